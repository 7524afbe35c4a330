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

#include "../lib/dns_frames.h"

/* ---- what is answered ---- */

/* D-01: A and AAAA by addresses, HTTPS and SVCB by their absence, over either IP version. */
static void queries_are_answered(void **state)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_HTTPS, DNS_TYPE_SVCB};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct dnsf_message q = dnsf_query(types[i]);

		dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
		dnsf_answered(*state, &q, dnsf_over6, PKT_CSUM_FULL);
		q.bytes[11] = 1;
		dnsf_put(&q, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", DNS_OPT_LEN);
		dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
		dnsf_answered(*state, &q, dnsf_over6, PKT_CSUM_FULL);
	}
}

/* The answer may be shorter than the query; padding of the Ethernet frame is no part of it. */
static void frames_of_every_length(void **state)
{
	for (size_t options = 0; options <= 64; options++) {
		struct dnsf_message q = dnsf_query(DNS_TYPE_HTTPS);

		q.bytes[11] = 1;
		dnsf_put(&q, "\0\0\x29\x04\xd0\0\0\0\0\0", DNS_OPT_LEN - 1);
		dnsf_put(&q, (uint8_t[65]){options}, 1 + options);
		dnsf_answered(*state, &q, dnsf_over4, PKT_CSUM_FULL);
		dnsf_answered(*state, &q, (struct pkt_spec){.pad = options}, PKT_CSUM_FULL);
		dnsf_answered(*state, &q, dnsf_over6, PKT_CSUM_FULL);
	}
}

/* RFC 768, RFC 8200 8.1: over IPv4 a checksum may be missing. A wrong one is the kernel's. */
static void checksums_are_verified(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct pkt in;

	dnsf_answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_ZERO}, PKT_CSUM_FULL);
	dnsf_left(*state, &q,
		  (struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_ZERO});
	dnsf_build(&in, &q, dnsf_over4);
	pkt_data(&in)[in.len - 1] ^= 2;
	prog_expect(*state, &in, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
}

static void partial_checksums_are_completed(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);

	dnsf_answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL}, PKT_CSUM_FULL);
	dnsf_answered(
		*state, &q,
		(struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_PARTIAL},
		PKT_CSUM_FULL);
}

static void partial_checksums_stay_so(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);

	dnsf_answered(*state, &q, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL}, PKT_CSUM_PARTIAL);
	dnsf_answered(
		*state, &q,
		(struct pkt_spec){.src = CLIENT6, .dst = GW_CLIENT6, .csum = PKT_CSUM_PARTIAL},
		PKT_CSUM_PARTIAL);
}

/* ---- what is left to the daemon ---- */

static void other_names_and_types_are_left(void **state)
{
	static const uint16_t types[] = {0, 2, 5, 6, 12, 15, 16, 33, 41, 255, 256 + 1};
	struct dnsf_message q;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		q = dnsf_query(types[i]);
		dnsf_left(*state, &q, dnsf_over4);
	}
	q = dnsf_query_for("\3wea\4corp\7example", DNS_TYPE_A);
	dnsf_left(*state, &q, dnsf_over4);
	q = dnsf_query_for("\3web\4corp\7exampl", DNS_TYPE_A);
	dnsf_left(*state, &q, dnsf_over4);
	q = dnsf_query_for("", DNS_TYPE_A);
	dnsf_left(*state, &q, dnsf_over4);
	q = dnsf_query(DNS_TYPE_A);
	q.bytes[q.len - 1] = 3; /* class CH */
	dnsf_left(*state, &q, dnsf_over4);
}

/* Cut off anywhere, or with something behind it. */
static void broken_messages_are_left(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);

	for (size_t len = q.len - 1; len; len--) {
		q.len = len;
		dnsf_left(*state, &q, dnsf_over4);
		dnsf_left(*state, &q, dnsf_over6);
	}
	q = dnsf_query(DNS_TYPE_A);
	for (size_t len = q.len + 1; len <= 300; len++) {
		q.len = len;
		dnsf_left(*state, &q, dnsf_over4);
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
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);

	prog_client(*state, "198.51.100.77", 128, CLIENT, SCOPE);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		dnsf_left(*state, &q, specs[i]);
	/* Listened at, but not this host's (IP_FREEBIND). */
	dnsf_listen_at(*state, SILENT4);
	dnsf_left(*state, &q, (struct pkt_spec){.dst = SILENT4});
	/* Of another edge. */
	prog_client(*state, CLIENT4, 128, CLIENT, 7);
	dnsf_left(*state, &q, dnsf_over4);
}

/* Who may ask where is remembered, but not beyond a change of policy or of routes. */
static void what_is_remembered_ends(void **state)
{
	const struct fq_addr addr = prog_addr(GW_CLIENT4);
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct prog *t = *state;

	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	prog_client(t, CLIENT4, 128, CLIENT, 7);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	prog_policy_changed(t);
	dnsf_left(t, &q, dnsf_over4);
	prog_client(t, CLIENT4, 128, CLIENT, SCOPE);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(t->skel->maps.dns_addrs), &addr), 0);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	prog_routes_changed(t);
	dnsf_left(t, &q, dnsf_over4);
	/* What is remembered of one is nothing to another. */
	dnsf_listen_at(t, GW_CLIENT4);
	dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
	dnsf_left(t, &q, (struct pkt_spec){.dst = GW4});
	dnsf_left(t, &q, (struct pkt_spec){.src = SERVER4});
}

/*
 * Who has asked before is answered ahead of the pipeline (bpf/dns_ahead.h): what it would not
 * answer, or not so, is not.
 */
static void only_plain_packets_go_ahead(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);
	struct prog *t = *state;
	struct pkt in;

	for (int ahead = 0; ahead < 2; ahead++) {
		dnsf_answered(t, &q, dnsf_over4, PKT_CSUM_FULL);
		dnsf_answered(t, &q, dnsf_over6, PKT_CSUM_FULL);
		/* A frame for a group; behind the datagram, something. */
		dnsf_left(t, &q, (struct pkt_spec){.dmac = PKT_MAC_GROUP});
		dnsf_build(&in, &q, dnsf_over4);
		pkt_data(&in)[14 + 20 + 5]--;
		prog_expect(t, &in, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
		/* A fragment, a header that is damaged: as without DNS. */
		dnsf_build(&in, &q, dnsf_over4);
		pkt_data(&in)[14 + 10] ^= 1;
		prog_expect(t, &in, CLIENT_SIDE, FQ_R_MALFORMED, NULL);
		/* Another type of service is another route back. */
		dnsf_answered(t, &q, (struct pkt_spec){.tos = 0x20}, PKT_CSUM_FULL);
	}
}

/* ---- reverse names ---- */

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
	struct dnsf_message of4 = dnsf_query_for(v4, DNS_TYPE_PTR),
			    of6 = dnsf_query_for(v6, DNS_TYPE_PTR);
	struct dnsf_message address = dnsf_query_for(v6, DNS_TYPE_AAAA);
	struct fq_dns_ptr e = dnsf_entry_ptr();

	dnsf_left(*state, &of4, dnsf_over4);
	dnsf_left(*state, &of6, dnsf_over4);
	dnsf_set_ptr(*state, "100.96.0.1", &e);
	dnsf_answered(*state, &of4, dnsf_over4, PKT_CSUM_FULL);
	dnsf_answered(*state, &of4, dnsf_over6, PKT_CSUM_FULL);
	dnsf_left(*state, &of6, dnsf_over4);
	dnsf_set_ptr(*state, "fd00:2021:1111:8000::5", &e);
	dnsf_answered(*state, &of6, dnsf_over4, PKT_CSUM_FULL);
	dnsf_answered(*state, &of6, dnsf_over6, PKT_CSUM_FULL);
	dnsf_left(*state, &address, dnsf_over6);
	e.renew_at = dnsf_past();
	dnsf_set_ptr(*state, "100.96.0.1", &e);
	dnsf_left(*state, &of4, dnsf_over4);
}

static void nothing_is_answered_at_tc(void **state)
{
	struct dnsf_message q = dnsf_query(DNS_TYPE_A);

	dnsf_left(*state, &q, dnsf_over4);
	dnsf_left(*state, &q, dnsf_over6);
}

#define T(test) cmocka_unit_test_setup(test, dnsf_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(queries_are_answered),       T(frames_of_every_length),
		T(checksums_are_verified),     T(other_names_and_types_are_left),
		T(broken_messages_are_left),   T(unusual_packets_are_left),
		T(what_is_remembered_ends),    T(only_plain_packets_go_ahead),
		T(reverse_names_are_answered),
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
