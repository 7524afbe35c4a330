/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the XDP programs answer (bpf/dns.h), compiled natively: the stub resolver's bytes, or
 * nothing.
 */
#include <string.h>

#include "stub_lab.h"

#include "../lib/dns_same.h"
#include "../lib/pkt.h"

#define QUERIES 20000

static const char *const names[] = {"web.corp.example", "a.corp.example", "four.example",
				    "six.example"};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* Of the first name: its first addresses; of the last one, its last. */
static const char *const reverses[] = {
	"1.0.96.100.in-addr.arpa",
	"16.0.96.100.in-addr.arpa",
	"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpa",
	"f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpa",
};

#define N_REVERSES (sizeof(reverses) / sizeof(reverses[0]))

static void confirm(const char *name, const char *resources)
{
	char text[128];

	for (const char *r = resources; *r; r++) {
		snprintf(text, sizeof(text), "active %s %c@%c", name, *r, *r == 'D' ? '2' : '1');
		bed_do(&bed, 1, text);
	}
}

/* All names of the list are answered and confirmed, and in the map. */
static int setup_map(void **state)
{
	static struct dns_same map;

	setup(state);
	bed_do(&bed, 0, "up 2");
	for (size_t i = 0; i < N_NAMES; i++) {
		char text[128];

		snprintf(text, sizeof(text), "query %s", names[i]);
		bed_do(&bed, 0, text);
	}
	confirm("web.corp.example", "D");
	confirm("web.corp.example", "A");
	confirm("a.corp.example", "A");
	confirm("four.example", "B");
	confirm("six.example", "C");
	map.count = 0;
	for (size_t i = 0; i < N_NAMES; i++)
		assert_true(dns_same_add(&map, bed.edge, names[i], bed.now));
	map.ptr_count = 0;
	for (size_t i = 0; i < N_REVERSES; i++)
		assert_true(dns_same_add_ptr(&map, bed.edge, reverses[i], bed.now));
	*state = &map;
	return 0;
}

/* ---- random queries ---- */

struct query {
	uint8_t bytes[DNS_HEADER_LEN + 512];
	size_t len;
};

static uint32_t seed = 1;

static unsigned int below(unsigned int n)
{
	return pkt_random(&seed) % n;
}

static void put(struct query *q, const void *bytes, size_t len)
{
	memcpy(q->bytes + q->len, bytes, len);
	q->len += len;
}

static void put16(struct query *q, uint16_t v)
{
	put(q, (uint8_t[]){v >> 8, v & 0xff}, 2);
}

/* In mixed case (draft-vixie-dnsext-dns0x20). */
static void put_name(struct query *q, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		put(q, &(uint8_t){len}, 1);
		for (size_t i = 0; i < len; i++) {
			bool letter = name[i] >= 'a' && name[i] <= 'z';

			put(q, &(uint8_t){name[i] - (letter && below(2) ? 32 : 0)}, 1);
		}
		name += len + (name[len] == '.');
	}
	put(q, "", 1);
}

static void put_opt(struct query *q)
{
	static const uint16_t sizes[] = {0, 512, 1232, 4096};
	uint8_t options[24] = {0, 10, 0, 8};
	uint16_t len = below(2) ? 12 : below(3) * 4;

	put(q, "", 1);
	put16(q, DNS_TYPE_OPT);
	put16(q, sizes[below(4)]);
	put16(q, below(20) ? 0 : below(65536)); /* extended rcode, version */
	put16(q, below(2) ? 0 : below(3) ? 0x8000 : below(65536));
	put16(q, len);
	put(q, options, len);
}

static void random_query(struct query *q)
{
	static const uint16_t types[] = {1, 1, 28, 28, 65, 64, 12, 16, 33, 255};
	static const uint16_t flags[] = {0, 0x100, 0x110, 0x120, 0x10, 0x130};
	static const char *const others[] = {"www.example",
					     "use-application-dns.net",
					     "x",
					     "01.0.96.100.in-addr.arpa",
					     "corp.example",
					     "1.0.96.1000.in-addr.arpa",
					     "17.0.96.100.in-addr.arpa"};
	bool opt = below(2), reverse = !below(4);

	q->len = 0;
	put16(q, below(65536));
	put16(q, below(10) ? flags[below(6)] : below(65536));
	put16(q, 1);
	put16(q, 0);
	put16(q, 0);
	put16(q, opt);
	put_name(q, !below(10) ? others[below(7)]
		    : reverse  ? reverses[below(N_REVERSES)]
			       : names[below(N_NAMES)]);
	put16(q, reverse && below(10) ? 12 : types[below(10)]);
	put16(q, 1);
	if (opt)
		put_opt(q);
	for (unsigned int changed = below(4) ? 0 : below(3); changed; changed--)
		q->bytes[below(q->len)] = below(256);
	if (!below(20))
		q->len -= below(q->len - DNS_HEADER_LEN);
	else if (!below(20))
		q->len += below(8);
}

/* D-04: whatever is asked, in whatever form, the answer is the same, byte by byte. */
static void answers_are_the_daemons(void **state)
{
	unsigned int n[3] = {0};
	struct query q;

	for (int i = 0; i < QUERIES; i++) {
		enum dns_same_result result;

		memset(&q, 0, sizeof(q));
		random_query(&q);
		result = dns_same(*state, bed.edge, bed.now, q.bytes, q.len);
		n[result]++;
		if (result == DNS_SAME_DIFFERS)
			fail_msg("query %d", i);
	}
	/* What is plain is answered. */
	assert_true(n[DNS_SAME_EQUAL] > QUERIES / 4);
	assert_true(n[DNS_SAME_DAEMON] > QUERIES / 4);
}

static enum dns_same_result ask_ptr(const struct dns_same *map, const char *name)
{
	struct query q = {.bytes = {[2] = 1, [5] = 1}, .len = DNS_HEADER_LEN};

	put_name(&q, name);
	put16(&q, DNS_TYPE_PTR);
	put16(&q, DNS_CLASS_IN);
	return dns_same(map, bed.edge, bed.now, q.bytes, q.len);
}

/* D-02: reverse names of proxy addresses, in the one form that they have, and no others. */
static void reverse_names_of_proxies_are_answered(void **state)
{
	static const char *const others[] = {
		"17.0.96.100.in-addr.arpa",
		"01.0.96.100.in-addr.arpa",
		"1.00.96.100.in-addr.arpa",
		"1.0.96.356.in-addr.arpa",
		"1.0.96.1000.in-addr.arpa",
		"1.0.96.10a.in-addr.arpa",
		"0.96.100.in-addr.arpa",
		"1.1.0.96.100.in-addr.arpa",
		"1.0.96.100.in-addr.arpb",
		"1.0.96.100.in-addr.arpa.x",
		"1.0.96.100.ip6.arpa",
		"10.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpa",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.g.ip6.arpa",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip7.arpa",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpb",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.ip6.arpa",
	};

	for (size_t i = 0; i < N_REVERSES; i++)
		assert_int_equal(ask_ptr(*state, reverses[i]), DNS_SAME_EQUAL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(ask_ptr(*state, others[i]), DNS_SAME_DAEMON);
}

/* Only of addresses that are a domain's, as long as they are. */
static void what_has_no_ptr_entry(void **state)
{
	struct dns_same map = {0};

	(void)state;
	assert_false(dns_same_add_ptr(&map, bed.edge, "1.0.96.100.in-addr.arpa", bed.now));
	bed_do(&bed, 0, "query a.corp.example");
	assert_true(dns_same_add_ptr(&map, bed.edge, "1.0.96.100.in-addr.arpa", bed.now));
	assert_false(dns_same_add_ptr(&map, bed.edge, "5.0.96.100.in-addr.arpa", bed.now));
	assert_false(dns_same_add_ptr(&map, bed.edge, "a.corp.example", bed.now));
	bed_do(&bed, 10, "forget a.corp.example");
	assert_false(dns_same_add_ptr(&map, bed.edge, "1.0.96.100.in-addr.arpa", bed.now));
}

/* ---- what has an entry ---- */

static bool has_entry(const char *name)
{
	struct dns_same map = {0};

	return dns_same_add(&map, bed.edge, name, bed.now);
}

/* C-02, C-03, C-10: only names whose packets pass are answered without the daemon. */
static void only_names_whose_packets_pass(void **state)
{
	(void)state;
	assert_false(has_entry("b.corp.example"));
	bed_do(&bed, 10, "query b.corp.example");
	assert_false(has_entry("b.corp.example"));
	bed_do(&bed, 20, "inactive b.corp.example A@1");
	assert_false(has_entry("b.corp.example"));
	bed_do(&bed, 3000, "query b.corp.example");
	assert_false(has_entry("b.corp.example"));
	bed_do(&bed, 3010, "active b.corp.example A@1");
	assert_true(has_entry("b.corp.example"));
	/* Recreating: packets go on flowing. */
	bed_do(&bed, 9000, "query b.corp.example");
	assert_true(has_entry("b.corp.example"));
	bed_do(&bed, 9010, "inactive b.corp.example A@1");
	assert_false(has_entry("b.corp.example"));
	bed_do(&bed, 9020, "forget b.corp.example");
	assert_false(has_entry("b.corp.example"));
}

/* Milliseconds until a query is the daemon's again. */
static unsigned int lease_ms(const char *name)
{
	struct dns_same map = {0};

	assert_true(dns_same_add(&map, bed.edge, name, bed.now));
	assert_true((uint64_t)map.value[0].end << FQ_DNS_END_SHIFT > map.value[0].renew_at);
	return (map.value[0].renew_at - bed.now.ns) / 1000000;
}

/* C-11, C-24: what a query would do is done by one that is heard; others need not be. */
static void leases_end_when_a_query_would_matter(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.corp.example");
	bed_do(&bed, 10, "active a.corp.example A@1");
	assert_int_equal(lease_ms("a.corp.example"), 100);
	/* To be asked for again at 2300, whoever asks until then. */
	bed_do(&bed, 300, "query a.corp.example");
	assert_int_equal(lease_ms("a.corp.example"), 1000);
	bed_do(&bed, 1600, "query a.corp.example");
	assert_int_equal(lease_ms("a.corp.example"), 700);
	bed_do(&bed, 2250, "query a.corp.example");
	assert_int_equal(lease_ms("a.corp.example"), 100);
	/* Asked, not answered. */
	bed_do(&bed, 2300, "tick");
	assert_int_equal(lease_ms("a.corp.example"), 100);
	bed_do(&bed, 2310, "active a.corp.example A@1");
	assert_int_equal(lease_ms("a.corp.example"), 100);
	/* Two resources: the one that may ask sooner decides. */
	bed_do(&bed, 3000, "query web.corp.example");
	bed_do(&bed, 3010, "up 2");
	bed_do(&bed, 3020, "query web.corp.example");
	bed_do(&bed, 3030, "active web.corp.example D@2");
	bed_do(&bed, 3040, "active web.corp.example A@1");
	bed_do(&bed, 3500, "query web.corp.example");
	assert_in_range(lease_ms("web.corp.example"), 900, 1000);
}

/* Names of up to FQ_DNS_NAME_MAX bytes on the wire, not one more. */
static void long_names_have_no_entry(void **state)
{
	static const char fits[] = "a-name-that-is-just-short-enough.corp.example";
	struct fq_dns_key key;
	struct dname name;
	char longer[64];

	(void)state;
	_Static_assert(sizeof(fits) - 1 + 2 == FQ_DNS_NAME_MAX - 1, "one byte to spare");
	snprintf(longer, sizeof(longer), "a%s", fits);
	assert_int_equal(dname_from_text(longer, &name), 0);
	assert_true(dnslease_key(&name, &key));
	assert_int_equal(key.name[0], 33);
	assert_memory_equal(key.name + 34, "\4corp\7example", 14);
	snprintf(longer, sizeof(longer), "aa%s", fits);
	assert_int_equal(dname_from_text(longer, &name), 0);
	assert_false(dnslease_key(&name, &key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_are_the_daemons, setup_map, teardown),
		cmocka_unit_test_setup_teardown(reverse_names_of_proxies_are_answered, setup_map,
						teardown),
		T(what_has_no_ptr_entry),
		T(only_names_whose_packets_pass),
		T(leases_end_when_a_query_would_matter),
		T(long_names_have_no_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
