/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the XDP program answers about names (user/dataplane/dnsnames.c), in maps of the kernel's:
 * how they come and go, what the daemon hears of them, and that no answer is a mixture.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/dns_frames.h"

/* ---- leases ---- */

static uint64_t renew_at(struct prog *t)
{
	const struct fq_dns_key key = {.name = DNSF_NAME};
	struct fq_dns e;

	assert_true(dnsnames_get(t->names, &key, &e));
	return e.renew_at;
}

struct told {
	unsigned int count;
	struct fq_dns_key last;
};

static int on_asked(void *ctx, void *data, size_t size)
{
	struct told *told = ctx;

	assert_int_equal(size, sizeof(told->last));
	memcpy(&told->last, data, size);
	told->count++;
	return 0;
}

static struct ring_buffer *told_open(struct prog *t, struct told *told)
{
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(t->skel->maps.dns_asked), on_asked, told, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	*told = (struct told){0};
	return ring;
}

/* The daemon hears of the first query when a lease is over; for a while of no other. */
static void leases_are_renewed_by_a_query(void **state)
{
	const struct fq_dns_key key = {.name = DNSF_NAME};
	struct dnsf_message q = dnsf_query_for("\3WEB\4corp\7Example", DNS_TYPE_A);
	struct fq_dns e = dnsf_entry();
	struct told told;
	struct ring_buffer *ring = told_open(*state, &told);

	e.renew_at = dnsf_past();
	dnsf_set(*state, &e);
	dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
	assert_true(renew_at(*state) > e.renew_at);
	assert_true(ring_buffer__consume(ring) >= 0);
	assert_int_equal(told.count, 1);
	assert_memory_equal(&told.last, &key, sizeof(key));
	/* However long this machine takes to get here. */
	e.renew_at = UINT64_MAX;
	dnsf_set(*state, &e);
	dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
	assert_true(ring_buffer__consume(ring) >= 0);
	assert_int_equal(told.count, 1);
	ring_buffer__free(ring);
}

/* One that it cannot be told of is the daemon's own. */
static void what_cannot_be_told_is_left(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct fq_dns e = dnsf_entry();
	struct told told;
	struct ring_buffer *ring = told_open(*state, &told);
	unsigned int n =
		(FQ_DNS_ASKED_BYTES - 1) / (sizeof(struct fq_dns_key) + BPF_RINGBUF_HDR_SZ);

	e.renew_at = dnsf_past();
	for (unsigned int i = 0; i < n; i++) {
		dnsf_set(*state, &e);
		dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
	}
	dnsf_set(*state, &e);
	dnsf_left(*state, &q, dnsf_over4);
	assert_true(ring_buffer__consume(ring) >= 0);
	assert_int_equal(told.count, n);
	ring_buffer__free(ring);
}

/* It is woken for the first one, and for another when some time has passed. */
static void the_daemon_is_woken_now_and_then(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct fq_dns e = dnsf_entry();
	struct prog *t = *state;
	uint64_t before = dnsf_past(), woken;

	t->control->dns.woken_at = 0;
	e.renew_at = before;
	dnsf_set(t, &e);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	woken = t->control->dns.woken_at;
	assert_true(woken >= before && woken <= prog_now());
	t->control->dns.woken_at = woken = prog_now();
	dnsf_set(t, &e);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	if (prog_now() - woken < FQ_DNS_WAKE_NS)
		assert_int_equal(t->control->dns.woken_at, woken);
}

static void nothing_is_answered_for_long(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct fq_dns e = dnsf_entry();

	e.end = dnsf_past() >> FQ_DNS_END_SHIFT;
	dnsf_set(*state, &e);
	dnsf_left(*state, &q, dnsf_over4);
	dnsf_left(*state, &q, dnsf_over6);
}

/* ---- names ---- */

/* Names that are short, and of which no two are alike. */
static struct fq_dns_key name(uint32_t i)
{
	struct fq_dns_key key = {.name = {8}};

	for (int digit = 0; digit < 8; digit++)
		key.name[1 + digit] = "0123456789abcdef"[i >> 4 * digit & 15];
	return key;
}

static struct fq_dns says(uint32_t n)
{
	struct fq_dns e = {.renew_at = UINT64_MAX, .end = UINT32_MAX, .ipv4 = 1, .ipv6 = 1};

	for (int i = 0; i < 4; i++)
		e.v4[i] = n;
	for (int i = 0; i < 16; i++)
		e.v6[i / 4].w[i % 4] = n;
	return e;
}

static int set(struct prog *t, uint32_t i, uint32_t n)
{
	const struct fq_dns_key key = name(i);
	const struct fq_dns e = says(n);

	return dnsnames_set(t->names, &key, &e);
}

/* 0: nothing is said. */
static uint32_t get(const struct prog *t, uint32_t i)
{
	const struct fq_dns_key key = name(i);
	struct fq_dns e;

	return dnsnames_get(t->names, &key, &e) ? e.v4[3] : 0;
}

static void del(struct prog *t, uint32_t i)
{
	const struct fq_dns_key key = name(i);

	dnsnames_del(t->names, &key);
}

/* As many as there may be, but for those whose bucket is full, of which there are hardly any. */
static void there_is_room_for_as_many_as_may_be(void **state)
{
	struct prog *t = *state;
	unsigned int refused = 0;

	dnsnames_clear(t->names);
	for (uint32_t i = 0; i < PROG_NAMES; i++) {
		int r = set(t, i, i + 1);

		assert_true(r == 0 || r == -ENOSPC);
		refused += r == -ENOSPC;
	}
	assert_true(refused < PROG_NAMES / 200);
	assert_int_equal(t->names_usage.names, PROG_NAMES - refused);
	for (uint32_t i = 0; refused && i < 2 * refused; i++)
		(void)set(t, PROG_NAMES + i, 1);
	for (uint32_t i = 0; i < PROG_NAMES; i++)
		assert_true(get(t, i) == i + 1 || get(t, i) == 0);
	for (uint32_t i = 0; i < PROG_NAMES; i++)
		del(t, i);
	for (uint32_t i = 0; i < PROG_NAMES; i++)
		assert_int_equal(get(t, i), 0);
}

static void not_one_more(void **state)
{
	struct prog *t = *state;
	uint32_t i = 0;
	int r;

	dnsnames_clear(t->names);
	for (;; i++) {
		r = set(t, i, 1);
		if (r != 0 && r != -ENOSPC)
			break;
	}
	assert_int_equal(r, -E2BIG);
	assert_int_equal(t->names_usage.names, PROG_NAMES);
	/* What is there may say something else. */
	assert_int_equal(set(t, 0, 2), 0);
	assert_int_equal(get(t, 0), 2);
	del(t, 1);
	assert_int_equal(set(t, i, 3), 0);
	assert_int_equal(get(t, i), 3);
}

/* Names of one bucket, as many as it has slots, and one more. */
static void a_full_bucket_takes_no_more(void **state)
{
	struct prog *t = *state;
	const struct fq_dns_table *table = &t->control->dns;
	uint32_t same[DNS_SLOTS + 1], n = 0;

	dnsnames_clear(t->names);
	for (uint32_t i = 0; n < DNS_SLOTS + 1; i++) {
		const struct fq_dns_key key = name(i);

		if ((dns_hash(table, &key) & (table->buckets - 1)) == 7)
			same[n++] = i;
	}
	for (uint32_t i = 0; i < DNS_SLOTS; i++)
		assert_int_equal(set(t, same[i], i + 1), 0);
	assert_int_equal(set(t, same[DNS_SLOTS], 99), -ENOSPC);
	assert_int_equal(get(t, same[DNS_SLOTS]), 0);
	for (uint32_t i = 0; i < DNS_SLOTS; i++)
		assert_int_equal(get(t, same[i]), i + 1);
	del(t, same[3]);
	assert_int_equal(set(t, same[DNS_SLOTS], 99), 0);
	assert_int_equal(get(t, same[DNS_SLOTS]), 99);
	assert_int_equal(get(t, same[3]), 0);
}

/* Whoever comes next knows nothing of the domains that were answered. */
static void the_next_process_begins_with_none(void **state)
{
	struct prog *t = *state;
	const struct dnsnames_fds fds = {bpf_map__fd(t->skel->maps.dns),
					 bpf_map__fd(t->skel->maps.dns_names)};
	const uint64_t key = t->control->dns.key[5];
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct fq_dns e = dnsf_entry();

	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	dnsnames_free(t->names);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	assert_int_equal(
		dnsnames_open(&fds, &t->control->dns, PROG_NAMES, &t->names_usage, &t->names), 0);
	assert_int_equal(t->names_usage.names, 0);
	assert_int_equal(t->control->dns.key[5], key);
	dnsf_left(t, &q, dnsf_over4);
	dnsf_set(t, &e);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
}

#define RUNS 20000

struct changer {
	struct prog *t;
	bool done, failed;
};

/* What is said of the name is changed, and now and then it is gone. */
static void *change(void *ctx)
{
	const struct fq_dns_key key = {.name = DNSF_NAME};
	struct changer *c = ctx;

	for (uint32_t i = 1; !__atomic_load_n(&c->done, __ATOMIC_ACQUIRE); i++) {
		const struct fq_dns e = says(i);

		if (dnsnames_set(c->t->names, &key, &e) < 0)
			c->failed = true;
		if (i % 5000 == 0)
			dnsnames_del(c->t->names, &key);
	}
	return NULL;
}

/* While another CPU changes what is said, every answer is of one time. */
static void no_answer_is_a_mixture(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_AAAA);
	const struct fq_dns first = says(1);
	struct changer c = {.t = *state};
	unsigned int answers = 0;
	pthread_t thread;
	struct pkt in;

	dnsf_set(*state, &first);
	dnsf_build(&in, &q, dnsf_over4);
	assert_int_equal(pthread_create(&thread, NULL, change, &c), 0);
	for (int i = 0; i < RUNS; i++) {
		struct prog_result res;
		const uint8_t *record;

		prog_run(c.t, &in, CLIENT_SIDE, &res);
		if (res.verdict != XDP_REDIRECT)
			continue;
		record = pkt_data(&res.out) + 14 + 20 + 8 + q.len + DNS_RECORD_LEN;
		for (int word = 1; word < 16; word++)
			assert_memory_equal(record + word / 4 * DNS_AAAA_LEN + word % 4 * 4, record,
					    4);
		answers++;
	}
	__atomic_store_n(&c.done, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(answers > 0);
	assert_false(c.failed);
}

#define T(test) cmocka_unit_test_setup(test, dnsf_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(leases_are_renewed_by_a_query),
		T(what_cannot_be_told_is_left),
		T(the_daemon_is_woken_now_and_then),
		T(nothing_is_answered_for_long),
		T(there_is_room_for_as_many_as_may_be),
		T(not_one_more),
		T(a_full_bucket_takes_no_more),
		T(the_next_process_begins_with_none),
		T(no_answer_is_a_mixture),
	};

	return cmocka_run_group_tests(tests, prog_group_setup, prog_group_teardown);
}
