/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS queries answered by the XDP program: the frames that come back, byte by byte, and everything
 * that is left to the daemon, untouched. That the messages are the daemon's is shown in
 * tests/unit/test_pkt_dns.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../../bpf/dns.h"
#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 5000
#define NAME "\3web\4corp\7example"

/* A message: header without answers, question; OPT record. */
struct message {
	uint8_t bytes[512];
	size_t len;
};

static void put(struct message *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static struct message query_for(const char *wire, uint16_t type)
{
	struct message m = {0};

	put(&m, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", DNS_HEADER_LEN);
	put(&m, wire, strlen(wire) + 1);
	put(&m, (uint8_t[]){type >> 8, type & 0xff, 0, DNS_CLASS_IN}, 4);
	return m;
}

static struct message query(uint16_t type)
{
	return query_for(NAME, type);
}

static struct fq_dns entry(void)
{
	struct fq_dns e = {.renew_at = UINT64_MAX, .end = UINT32_MAX, .ipv4 = 1, .ipv6 = 1};
	char text[64];

	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "100.96.0.%d", i + 1);
		e.v4[i] = prog_addr(text).w[3];
		snprintf(text, sizeof(text), "fd00:2021:1111:8000::%d", i + 5);
		e.v6[i] = prog_addr(text);
	}
	return e;
}

static void set(struct prog *t, const struct fq_dns *e)
{
	const struct fq_dns_key key = {.name = NAME};

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t->skel->maps.dns), &key, e, BPF_ANY), 0);
}

static struct fq_dns_ptr entry_ptr(void)
{
	return (struct fq_dns_ptr){
		.renew_at = UINT64_MAX, .end = UINT32_MAX, .len = sizeof(NAME), .name = NAME};
}

static void set_ptr(struct prog *t, const char *proxy, const struct fq_dns_ptr *e)
{
	const struct fq_addr addr = prog_addr(proxy);

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t->skel->maps.dns_ptr), &addr, e, BPF_ANY),
			 0);
}

static void listen_at(struct prog *t, const char *text)
{
	const struct fq_addr addr = prog_addr(text);
	const uint32_t yes = 1;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.dns_addrs), &addr, &yes, BPF_ANY), 0);
}

static int test_setup(void **state)
{
	struct fq_dns e = entry();
	int r = prog_test_setup(state);

	set(*state, &e);
	listen_at(*state, GW_CLIENT4);
	listen_at(*state, GW_CLIENT6);
	return r;
}

static void build(struct pkt *p, const struct message *m, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT4;
	s.dst = s.dst ? s.dst : GW_CLIENT4;
	s.proto = s.proto ? s.proto : PKT_UDP;
	s.sport = s.sport ? s.sport : PORT;
	s.dport = s.dport ? s.dport : 53;
	s.payload = m->bytes;
	s.payload_len = m->len;
	pkt_build(p, &s);
}

/* The answer by the program's own code. */
static struct message answer_to(const struct message *q)
{
	struct dns_work w = {.body_len = q->len - DNS_HEADER_LEN};
	const struct fq_dns_ptr ptr = entry_ptr();
	const struct fq_dns e = entry();
	struct message m = {0};

	memcpy(&w.msg.header, q->bytes, q->len);
	assert_true(dns_read(&w));
	assert_true(w.type == DNS_TYPE_PTR ? dns_make_ptr(&w, &ptr) : dns_make(&w, &e));
	put(&m, &w.msg.header, DNS_HEADER_LEN + w.body_len);
	return m;
}

static void build_answer(struct pkt *p, const struct message *q, struct pkt_spec s)
{
	struct message m = answer_to(q);

	PKT(p, .src = s.dst ? s.dst : GW_CLIENT4, .dst = s.src ? s.src : CLIENT4, .proto = PKT_UDP,
	    .sport = 53, .dport = PORT, .payload = m.bytes, .payload_len = m.len, .csum = s.csum,
	    .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
}

/* Answered; the answer's checksum is of the kind @csum. */
static void answered(struct prog *t, const struct message *q, struct pkt_spec s, enum pkt_csum csum)
{
	struct pkt in, out;

	build(&in, q, s);
	s.csum = csum;
	build_answer(&out, q, s);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_DNS_ANSWERED, &out);
}

static void left(struct prog *t, const struct message *q, struct pkt_spec s)
{
	struct pkt in;

	build(&in, q, s);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
}

static const struct pkt_spec over4, over6 = {.src = CLIENT6, .dst = GW_CLIENT6};

/* ---- what is answered ---- */

/* D-01: A and AAAA by addresses, HTTPS and SVCB by their absence, over either IP version. */
static void queries_are_answered(void **state)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_HTTPS, DNS_TYPE_SVCB};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message q = query(types[i]);

		answered(*state, &q, over4, PKT_CSUM_FULL);
		answered(*state, &q, over6, PKT_CSUM_FULL);
		q.bytes[11] = 1;
		put(&q, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", DNS_OPT_LEN);
		answered(*state, &q, over4, PKT_CSUM_FULL);
		answered(*state, &q, over6, PKT_CSUM_FULL);
	}
}

/* The answer may be shorter than the query; padding of the Ethernet frame is no part of it. */
static void frames_of_every_length(void **state)
{
	for (size_t options = 0; options <= 64; options++) {
		struct message q = query(DNS_TYPE_HTTPS);

		q.bytes[11] = 1;
		put(&q, "\0\0\x29\x04\xd0\0\0\0\0\0", DNS_OPT_LEN - 1);
		put(&q, (uint8_t[65]){options}, 1 + options);
		answered(*state, &q, over4, PKT_CSUM_FULL);
		answered(*state, &q, (struct pkt_spec){.pad = options}, PKT_CSUM_FULL);
		answered(*state, &q, over6, PKT_CSUM_FULL);
	}
}

/* RFC 768, RFC 8200 8.1: over IPv4 a checksum may be missing. A wrong one is the kernel's. */
static void checksums_are_verified(void **state)
{
	struct message q = query(DNS_TYPE_A);
	struct pkt in;

	answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_ZERO}, PKT_CSUM_FULL);
	left(*state, &q,
	     (struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_ZERO});
	build(&in, &q, over4);
	pkt_data(&in)[in.len - 1] ^= 2;
	prog_expect(*state, &in, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
}

static void partial_checksums_are_completed(void **state)
{
	struct message q = query(DNS_TYPE_A);

	answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL}, PKT_CSUM_FULL);
	answered(*state, &q,
		 (struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_PARTIAL},
		 PKT_CSUM_FULL);
}

static void partial_checksums_stay_so(void **state)
{
	struct message q = query(DNS_TYPE_A);

	answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL}, PKT_CSUM_PARTIAL);
	answered(*state, &q,
		 (struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_PARTIAL},
		 PKT_CSUM_PARTIAL);
}

/* ---- what is left to the daemon ---- */

static void other_names_and_types_are_left(void **state)
{
	static const uint16_t types[] = {0, 2, 5, 6, 12, 15, 16, 33, 41, 255, 256 + 1};
	struct message q;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		q = query(types[i]);
		left(*state, &q, over4);
	}
	q = query_for("\3wea\4corp\7example", DNS_TYPE_A);
	left(*state, &q, over4);
	q = query_for("\3web\4corp\7exampl", DNS_TYPE_A);
	left(*state, &q, over4);
	q = query_for("", DNS_TYPE_A);
	left(*state, &q, over4);
	q = query(DNS_TYPE_A);
	q.bytes[q.len - 1] = 3; /* class CH */
	left(*state, &q, over4);
}

/* Cut off anywhere, or with something behind it. */
static void broken_messages_are_left(void **state)
{
	struct message q = query(DNS_TYPE_A);

	for (size_t len = q.len - 1; len; len--) {
		q.len = len;
		left(*state, &q, over4);
		left(*state, &q, over6);
	}
	q = query(DNS_TYPE_A);
	for (size_t len = q.len + 1; len <= 300; len++) {
		q.len = len;
		left(*state, &q, over4);
	}
}

static void unusual_packets_are_left(void **state)
{
	const struct pkt_spec specs[] = {
		{.dport = 5353},
		{.proto = PKT_TCP},
		{.options = (const uint8_t[]){1, 1, 1, 0}, .options_len = 4},
		{.dmac = PKT_MAC_GROUP},
		{.dst = SILENT4},         /* passes through */
		{.dst = GW4},             /* ours, but nobody listens */
		{.src = SERVER4},         /* no client */
		{.src = "198.51.100.77"}, /* the route to it leads elsewhere */
		{.src = CLIENT6,
		 .dst = GW6,
		 .ext_first = 60,
		 .ext = (const uint8_t[8]){PKT_UDP, 0, 1, 4},
		 .ext_len = 8},
	};
	struct message q = query(DNS_TYPE_A);

	prog_client(*state, "198.51.100.77", 128, CLIENT, SCOPE);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		left(*state, &q, specs[i]);
	/* Listened at, but not this host's (IP_FREEBIND). */
	listen_at(*state, SILENT4);
	left(*state, &q, (struct pkt_spec){.dst = SILENT4});
	/* Of another edge. */
	prog_client(*state, CLIENT4, 128, CLIENT, 7);
	left(*state, &q, over4);
}

/* Who may ask where is remembered, but not beyond a change of policy or of routes. */
static void what_is_remembered_ends(void **state)
{
	const struct fq_addr addr = prog_addr(GW_CLIENT4);
	struct message q = query(DNS_TYPE_A);
	struct prog *t = *state;

	answered(t, &q, over4, PKT_CSUM_FULL);
	prog_client(t, CLIENT4, 128, CLIENT, 7);
	answered(t, &q, over4, PKT_CSUM_FULL);
	prog_policy_changed(t);
	left(t, &q, over4);
	prog_client(t, CLIENT4, 128, CLIENT, SCOPE);
	answered(t, &q, over4, PKT_CSUM_FULL);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(t->skel->maps.dns_addrs), &addr), 0);
	answered(t, &q, over4, PKT_CSUM_FULL);
	prog_routes_changed(t);
	left(t, &q, over4);
	/* What is remembered of one is nothing to another. */
	listen_at(t, GW_CLIENT4);
	answered(t, &q, over4, PKT_CSUM_FULL);
	left(t, &q, (struct pkt_spec){.dst = GW4});
	left(t, &q, (struct pkt_spec){.src = SERVER4});
}

/* ---- leases ---- */

static uint64_t renew_at(struct prog *t)
{
	const struct fq_dns_key key = {.name = NAME};
	struct fq_dns e;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.dns), &key, &e), 0);
	return e.renew_at;
}

/* Of both families, and only of addresses that are there; a lease ends as a name's does. */
static void reverse_names_are_answered(void **state)
{
	static const char v4[] = "\1"
				 "1\1"
				 "0\2"
				 "96\3"
				 "100\7in-addr\4arpa";
	static const char v6[] = "\1"
				 "5\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0"
				 "\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "0"
				 "\1"
				 "0\1"
				 "0\1"
				 "0\1"
				 "8\1"
				 "1\1"
				 "1\1"
				 "1\1"
				 "1"
				 "\1"
				 "1\1"
				 "2\1"
				 "0\1"
				 "2\1"
				 "0\1"
				 "0\1"
				 "D\1"
				 "f\3iP6\4arpa";
	struct message of4 = query_for(v4, DNS_TYPE_PTR), of6 = query_for(v6, DNS_TYPE_PTR);
	struct message address = query_for(v6, DNS_TYPE_AAAA);
	struct fq_dns_ptr e = entry_ptr();

	left(*state, &of4, over4);
	left(*state, &of6, over4);
	set_ptr(*state, "100.96.0.1", &e);
	answered(*state, &of4, over4, PKT_CSUM_FULL);
	answered(*state, &of4, over6, PKT_CSUM_FULL);
	left(*state, &of6, over4);
	set_ptr(*state, "fd00:2021:1111:8000::5", &e);
	answered(*state, &of6, over4, PKT_CSUM_FULL);
	answered(*state, &of6, over6, PKT_CSUM_FULL);
	left(*state, &address, over6);
	e.renew_at = prog_now();
	set_ptr(*state, "100.96.0.1", &e);
	left(*state, &of4, over4);
}

/* The first query when a lease is over is the daemon's; for a while no other is. */
static void leases_are_renewed_by_a_query(void **state)
{
	struct message q = query(DNS_TYPE_A);
	struct fq_dns e = entry();

	e.renew_at = prog_now();
	set(*state, &e);
	left(*state, &q, over4);
	assert_true(renew_at(*state) > e.renew_at);
	/* However long this machine takes to get here. */
	e.renew_at = UINT64_MAX;
	set(*state, &e);
	answered(*state, &q, over4, PKT_CSUM_FULL);
}

static void nothing_is_answered_for_long(void **state)
{
	struct message q = query(DNS_TYPE_A);
	struct fq_dns e = entry();

	e.end = prog_now() >> FQ_DNS_END_SHIFT;
	set(*state, &e);
	left(*state, &q, over4);
	left(*state, &q, over6);
}

static void nothing_is_answered_at_tc(void **state)
{
	struct message q = query(DNS_TYPE_A);

	left(*state, &q, over4);
	left(*state, &q, over6);
}

#define T(test) cmocka_unit_test_setup(test, test_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(queries_are_answered),         T(frames_of_every_length),
		T(checksums_are_verified),       T(other_names_and_types_are_left),
		T(broken_messages_are_left),     T(unusual_packets_are_left),
		T(what_is_remembered_ends),      T(leases_are_renewed_by_a_query),
		T(nothing_is_answered_for_long), T(reverse_names_are_answered),
	};
	const struct CMUnitTest native[] = {T(partial_checksums_are_completed)};
	const struct CMUnitTest generic[] = {T(partial_checksums_stay_so)};
	const struct CMUnitTest tc[] = {T(nothing_is_answered_at_tc)};

	return cmocka_run_group_tests(tests, prog_group_setup, prog_group_teardown) +
	       cmocka_run_group_tests(tests, prog_group_setup_generic, prog_group_teardown) +
	       cmocka_run_group_tests(native, prog_group_setup, prog_group_teardown) +
	       cmocka_run_group_tests(generic, prog_group_setup_generic, prog_group_teardown) +
	       cmocka_run_group_tests(tc, prog_group_setup_tc, prog_group_teardown);
}
