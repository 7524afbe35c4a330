/* SPDX-License-Identifier: BSD-2-Clause */
/* Cache of upstream answers: core/cache.h. Messages are made and read by ldns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "core/cache.h"

static struct cache *cache;
static const struct cache_settings roomy = {.entries_max = 1000, .bytes_max = 1 << 20};

static int setup(void **state)
{
	(void)state;
	return cache_new(&roomy, &cache);
}

static int teardown(void **state)
{
	(void)state;
	cache = cache_free(cache);
	return 0;
}

static struct instant at(int64_t s)
{
	return (struct instant){(1000 + s) * NSEC_PER_SEC};
}

struct message {
	uint8_t bytes[2048];
	size_t len;
};

static struct message wire(ldns_pkt *p)
{
	struct message m;
	uint8_t *bytes;

	assert_int_equal(ldns_pkt2wire(&bytes, p, &m.len), LDNS_STATUS_OK);
	assert_true(m.len <= sizeof(m.bytes));
	memcpy(m.bytes, bytes, m.len);
	free(bytes);
	ldns_pkt_free(p);
	return m;
}

static ldns_pkt *pkt(const char *name, uint16_t id)
{
	ldns_pkt *p = NULL;

	assert_int_equal(
		ldns_pkt_query_new_frm_str(&p, name, LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, LDNS_RD),
		LDNS_STATUS_OK);
	ldns_pkt_set_id(p, id);
	return p;
}

static struct message query(const char *name, uint16_t id)
{
	return wire(pkt(name, id));
}

static void push(ldns_pkt *p, ldns_pkt_section section, const char *name, int ttl_s)
{
	char text[300];
	ldns_rr *rr = NULL;

	snprintf(text, sizeof(text), "%s %d IN A 192.0.2.1", name, ttl_s);
	assert_int_equal(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
	ldns_pkt_push_rr(p, section, rr);
}

static ldns_pkt *answer_pkt(const char *name, uint16_t id, int ttl_s)
{
	ldns_pkt *p = pkt(name, id);

	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_ra(p, true);
	push(p, LDNS_SECTION_ANSWER, name, ttl_s);
	return p;
}

static bool put(const struct message *q, ldns_pkt *answer, int64_t s)
{
	struct message a = wire(answer);

	return cache_put(cache, q->bytes, q->len, a.bytes, a.len, at(s));
}

static bool put_name(const char *name, int ttl_s, int64_t s)
{
	struct message q = query(name, 1);

	return put(&q, answer_pkt(name, 1, ttl_s), s);
}

/* Returns the answer, or NULL. */
static ldns_pkt *get(const struct message *q, int64_t s)
{
	ldns_pkt *p = NULL;
	uint8_t *bytes;
	size_t len;

	if (!cache_get(cache, q->bytes, q->len, at(s), &bytes, &len))
		return NULL;
	assert_int_equal(ldns_wire2pkt(&p, bytes, len), LDNS_STATUS_OK);
	free(bytes);
	return p;
}

static bool has(const char *name, int64_t s)
{
	struct message q = query(name, 9);
	ldns_pkt *p = get(&q, s);

	if (p)
		ldns_pkt_free(p);
	return p != NULL;
}

/* D-06: a hit has the query's id and case, and TTLs less the time passed. */
static void cache_hit_decrements_ttl(void **state)
{
	struct message q = query("WWW.example.", 77);
	ldns_pkt *p;
	char *s;

	(void)state;
	assert_true(put_name("www.example.", 60, 0));
	p = get(&q, 25);
	assert_non_null(p);
	assert_int_equal(ldns_pkt_id(p), 77);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(p), 0)), 35);
	s = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_question(p), 0));
	assert_non_null(strstr(s, "WWW.example."));
	free(s);
	ldns_pkt_free(p);

	assert_true(has("www.example.", 59));
	assert_false(has("www.example.", 60));
	assert_false(has("www.example.", 59)); /* forgotten */
}

/* D-06: the least TTL of all sections decides; the others count down beside it. */
static void cache_with_multiple_ttls_calculates_correctly(void **state)
{
	struct message q = query("www.example.", 1);
	ldns_pkt *p = answer_pkt("www.example.", 1, 300);

	(void)state;
	push(p, LDNS_SECTION_AUTHORITY, "ns.example.", 40);
	push(p, LDNS_SECTION_ADDITIONAL, "a.example.", 50);
	assert_true(put(&q, p, 0));
	p = get(&q, 39);
	assert_non_null(p);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(p), 0)), 261);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_authority(p), 0)), 1);
	assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_additional(p), 0)), 11);
	ldns_pkt_free(p);
	assert_false(has("www.example.", 40));
}

/* D-06: TTLs below 5 s are not kept, so never our own answers, whose TTL is 1 s. */
static void does_not_cache_response_from_stub_resolver(void **state)
{
	(void)state;
	assert_false(put_name("a.example.", 1, 0));
	assert_false(put_name("a.example.", 4, 0));
	assert_true(put_name("a.example.", 5, 0));
}

/* D-06: errors, truncated and empty answers are not kept. */
static void only_good_answers_are_kept(void **state)
{
	struct message q = query("www.example.", 1);
	ldns_pkt *p;

	(void)state;
	p = answer_pkt("www.example.", 1, 60);
	ldns_pkt_set_rcode(p, LDNS_RCODE_NXDOMAIN);
	assert_false(put(&q, p, 0));
	p = answer_pkt("www.example.", 1, 60);
	ldns_pkt_set_tc(p, true);
	assert_false(put(&q, p, 0));
	p = pkt("www.example.", 1);
	ldns_pkt_set_qr(p, true);
	push(p, LDNS_SECTION_AUTHORITY, "example.", 60);
	assert_false(put(&q, p, 0));
	p = answer_pkt("www.example.", 1, 60);
	ldns_pkt_set_edns_udp_size(p, 1232);
	ldns_pkt_set_edns_extended_rcode(p, 1);
	assert_false(put(&q, p, 0));
	assert_false(has("www.example.", 0));
}

/* D-06: what answers another question is not kept. */
static void foreign_answers_are_not_kept(void **state)
{
	struct message q = query("www.example.", 1);
	ldns_pkt *p;

	(void)state;
	assert_false(put(&q, answer_pkt("www.example.", 2, 60), 0));
	assert_false(put(&q, answer_pkt("xww.example.", 1, 60), 0));
	p = answer_pkt("www.example.", 1, 60);
	ldns_pkt_set_qr(p, false);
	assert_false(put(&q, p, 0));
	assert_true(put(&q, answer_pkt("WwW.eXample.", 1, 60), 0));
}

/* D-06: a query with other bits has another answer. */
static void bits_are_part_of_the_key(void **state)
{
	struct message plain = query("www.example.", 1), q;
	ldns_pkt *p;

	(void)state;
	assert_true(put(&plain, answer_pkt("www.example.", 1, 60), 0));
	p = pkt("www.example.", 1);
	ldns_pkt_set_edns_udp_size(p, 1232);
	q = wire(p);
	assert_null(get(&q, 1));
	p = pkt("www.example.", 1);
	ldns_pkt_set_cd(p, true);
	q = wire(p);
	assert_null(get(&q, 1));
	p = pkt("www.example.", 1);
	ldns_pkt_set_rd(p, false);
	q = wire(p);
	assert_null(get(&q, 1));
	p = pkt("www.example.", 1);
	ldns_pkt_set_edns_udp_size(p, 1232);
	ldns_pkt_set_edns_do(p, true);
	q = wire(p);
	p = answer_pkt("www.example.", 1, 60);
	ldns_pkt_set_edns_udp_size(p, 1232);
	assert_true(put(&q, p, 0));
	p = get(&q, 30); /* OPT's "TTL" is flags and stays */
	assert_non_null(p);
	assert_int_equal(ldns_pkt_edns_version(p), 0);
	assert_int_equal(ldns_pkt_edns_extended_rcode(p), 0);
	assert_int_equal(ldns_pkt_edns_udp_size(p), 1232);
	ldns_pkt_free(p);
	assert_true(has("www.example.", 1));
}

/* D-06: flushed when resources change. */
static void flush_forgets_everything(void **state)
{
	struct cache_usage usage;

	(void)state;
	assert_true(put_name("a.example.", 60, 0));
	assert_true(put_name("b.example.", 60, 0));
	cache_flush(cache);
	assert_false(has("a.example.", 0));
	cache_usage(cache, &usage);
	assert_int_equal(usage.entries, 0);
	assert_int_equal(usage.bytes, 0);
	assert_int_equal(usage.misses, 1);
}

/* D-06: entries are bounded; the least recently used one goes. */
static void least_recently_used_makes_room(void **state)
{
	struct cache_settings settings = {.entries_max = 2, .bytes_max = 1 << 20};
	struct cache_usage usage;

	(void)state;
	cache_free(cache);
	assert_int_equal(cache_new(&settings, &cache), 0);
	assert_true(put_name("a.example.", 60, 0));
	assert_true(put_name("b.example.", 60, 0));
	assert_true(has("a.example.", 1));
	assert_true(put_name("c.example.", 60, 1));
	assert_true(has("a.example.", 1));
	assert_false(has("b.example.", 1));
	assert_true(put_name("a.example.", 60, 2)); /* in its own place */
	cache_usage(cache, &usage);
	assert_int_equal(usage.entries, 2);
	assert_int_equal(usage.hits, 2);
}

/* D-06: bytes are bounded; what does not fit at all is not kept. */
static void bytes_are_bounded(void **state)
{
	struct cache_settings settings = {.entries_max = 1000};
	struct cache_usage usage;
	char name[32];

	(void)state;
	assert_true(put_name("a.example.", 60, 0));
	cache_usage(cache, &usage);
	settings.bytes_max = 3 * usage.bytes;
	cache_free(cache);
	assert_int_equal(cache_new(&settings, &cache), 0);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%d.example.", i);
		assert_true(put_name(name, 60, 0));
	}
	cache_usage(cache, &usage);
	assert_int_equal(usage.entries, 3);
	assert_true(usage.bytes <= settings.bytes_max);
	assert_true(has("9.example.", 0));
	cache_free(cache);
	settings.bytes_max = 10;
	assert_int_equal(cache_new(&settings, &cache), 0);
	assert_false(put_name("a.example.", 60, 0));
}

/* Any bytes at all: nothing is read out of bounds. */
static void random_bytes_do_no_harm(void **state)
{
	struct message q = query("www.example.", 1);
	struct message a = wire(answer_pkt("www.example.", 1, 60));
	uint32_t random = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(a.len), *got;
		size_t len = a.len;

		memcpy(copy, a.bytes, a.len);
		for (int j = 0; j < i % 4; j++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % len] = (uint8_t)(random >> 24);
		}
		if (i % 3 == 0)
			len = (random >> 8) % len;
		cache_put(cache, q.bytes, q.len, copy, len, at(0));
		cache_put(cache, copy, len, a.bytes, a.len, at(0));
		if (cache_get(cache, copy, len, at(1), &got, &len))
			free(got);
		free(copy);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cache_hit_decrements_ttl),
		T(cache_with_multiple_ttls_calculates_correctly),
		T(does_not_cache_response_from_stub_resolver),
		T(only_good_answers_are_kept),
		T(foreign_answers_are_not_kept),
		T(bits_are_part_of_the_key),
		T(flush_forgets_everything),
		T(least_recently_used_makes_room),
		T(bytes_are_bounded),
		T(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
