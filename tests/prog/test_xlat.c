/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation between IPv4 and IPv6 by the programs: packets byte for byte in both directions,
 * sessions, and what cannot be translated. Where the length matters: test_xlat_sizes.c.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/cross.h"

#include "fqdnat.skel.h"

/* G-51: TCP, UDP, echo; complete and missing checksums (RFC 7915 4, 5). */
static void packets_become_those_of_the_other_version(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	struct prog *t = *state;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 3; k++)
			cross_out_and_in(t, CROSS_WAYS[i],
					 (struct pkt_spec){.proto = protocols[k]});
		cross_out_and_in(t, CROSS_WAYS[i],
				 (struct pkt_spec){.proto = PKT_UDP, .csum = PKT_CSUM_ZERO});
	}
}

static void partial_checksum_is_completed(void **state)
{
	struct prog *t = *state;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		cross_out_and_in(t, CROSS_WAYS[i],
				 (struct pkt_spec){.proto = PKT_TCP, .csum = PKT_CSUM_PARTIAL});
		cross_out_and_in(t, CROSS_WAYS[i],
				 (struct pkt_spec){.proto = PKT_UDP, .csum = PKT_CSUM_PARTIAL});
	}
}

/* RFC 7915 4.1, 5.1: DSCP and ECN, all values, both ways. */
static void every_traffic_class_is_kept(void **state)
{
	struct prog *t = *state;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int tos = 0; tos < 256; tos++)
			cross_out_and_in(t, CROSS_WAYS[i],
					 (struct pkt_spec){.proto = PKT_UDP,
							   .tos = tos,
							   .flow_label = 0x12345});
}

/* RFC 7915 4.5: the checksum is made, and counted; of any length, odd ones too. */
static void missing_udp_checksum_is_made_for_ipv6(void **state)
{
	static uint8_t payload[1400];
	struct prog *t = *state;

	cross_all(t);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7 >> 2;
	for (size_t len = 0; len < sizeof(payload); len += 13) {
		struct pkt_spec s = {.proto = PKT_UDP,
				     .payload = payload,
				     .payload_len = len,
				     .csum = PKT_CSUM_ZERO};
		struct pkt p, expected;
		struct prog_result res;

		cross_out(&p, &expected, &CROSS_46, s);
		prog_run(t, &p, CLIENT_SIDE, &res);
		pkt_assert_equal(&res.out, &expected);
		assert_int_equal(res.count[FQ_R_CSUM_MADE].packets, 1);
		assert_int_equal(res.count[FQ_R_CSUM_PARTIAL].packets, 0);
	}
}

static void options_and_extension_headers_are_left_out(void **state)
{
	static const uint8_t router_alert[] = {148, 4, 0, 0};
	static const uint8_t padn[] = {17, 0, 1, 4, 0, 0, 0, 0};
	struct prog *t = *state;
	struct pkt p, expected;

	cross_all(t);
	cross_out(&p, &expected, &CROSS_46,
		  (struct pkt_spec){.proto = PKT_UDP, .options = router_alert, .options_len = 4});
	cross_expect(t, &p, CLIENT_SIDE, &expected);
	cross_out(&p, &expected, &CROSS_64,
		  (struct pkt_spec){.proto = PKT_UDP, .ext = padn, .ext_len = 8, .ext_first = 60});
	cross_expect(t, &p, CLIENT_SIDE, &expected);
}

/* G-53: also in a session that exists (RFC 7915 4.1). */
static void source_route_in_use_is_refused(void **state)
{
	static const uint8_t route[] = {131, 7, 4, 192, 0, 2, 9, 0};
	struct prog *t = *state;
	struct pkt p, expected;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		cross_out(&p, &expected, &CROSS_46,
			  (struct pkt_spec){.proto = PKT_UDP, .options = route, .options_len = 8});
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_SOURCE_ROUTED, PROXY4, 3, 5, 0);
		assert_int_equal(prog_sessions(t), 2 * i);
		cross_out(&p, &expected, &CROSS_46, (struct pkt_spec){.proto = PKT_UDP});
		cross_expect(t, &p, CLIENT_SIDE, &expected);
	}
}

/* N-01: each half leads to the other, across versions; ICMP changes its number. */
static void halves_lead_to_each_other(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	struct prog *t = *state;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 3; k++) {
			const struct cross_way *w = CROSS_WAYS[i];
			bool tcp = protocols[k] == PKT_TCP, icmp = protocols[k] == PKT_ICMP;
			struct fq_tuple out =
				prog_tuple(icmp && w->v6 ? 58 : protocols[k], w->client, CROSS_PORT,
					   w->proxy, tcp ? CROSS_PEER : 0);
			struct fq_tuple in =
				prog_tuple(icmp && !w->v6 ? 58 : protocols[k], w->server,
					   tcp ? CROSS_PEER : 0, w->nat, CROSS_PORT);
			struct pkt p, expected;

			cross_out(&p, &expected, w, (struct pkt_spec){.proto = protocols[k]});
			cross_expect(t, &p, CLIENT_SIDE, &expected);
			assert_true(prog_has_session(t, &out));
			assert_true(prog_has_session(t, &in));
		}
	}
}

/* The sender is told in its own version. */
static void ttl_exceeded_is_told_to_the_sender(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	cross_all(t);
	cross_out(&p, &expected, &CROSS_46, (struct pkt_spec){.proto = PKT_UDP, .ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY4, 11, 0, 0);
	cross_out(&p, &expected, &CROSS_64, (struct pkt_spec){.proto = PKT_UDP, .ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY6, 3, 0, 0);
}

/* The daemon gets the packet as it is to leave, with a checksum that nobody has to complete. */
static void unknown_neighbour_is_left_to_the_kernel(void **state)
{
	struct prog *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct cross_way w = *CROSS_WAYS[i];
		struct prog_result res;
		struct pkt p, expected, got;

		prog_reset(t);
		cross_means(t, &w, w.silent);
		w.server = w.silent;
		cross_out(&p, &expected, &w,
			  (struct pkt_spec){.proto = PKT_TCP, .csum = PKT_CSUM_PARTIAL});
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_TRANSLATED_SLOW);
		prog_poll(t);

		assert_int_equal(t->upcalls, 1);
		assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SLOW);
		got.len = t->upcall[0].len;
		memcpy(pkt_data(&got), t->upcall[0].frame, got.len);
		/* MAC addresses are the kernel's business. */
		memcpy(pkt_data(&got), pkt_data(&expected), 2 * ETH_ALEN);
		cross_adopt_id(&expected, &got);
		pkt_assert_equal(&got, &expected);
	}
}

/* F-03, F-04: echo is echo; G-24: filters ask for protocol and port, not for the version. */
static void filters_hold_across_versions(void **state)
{
	struct fq_filter only_icmp = {.icmp = 1};
	struct prog *t = *state;
	struct pkt p, expected;

	cross_all(t);
	prog_filter(t, RESOURCE, &only_icmp);
	prog_policy_changed(t);
	for (unsigned int i = 0; i < 2; i++) {
		cross_out_and_in(t, CROSS_WAYS[i], (struct pkt_spec){.proto = PKT_ICMP});
		cross_out(&p, &expected, CROSS_WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_FILTERED, CROSS_WAYS[i]->proxy,
				    i ? 1 : 3, i ? 1 : 13, 0);
	}
}

/* a withdrawn grant stops both directions with the next packet. */
static void revoked_session_stops(void **state)
{
	struct prog *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct pkt p, expected;

		prog_reset(t);
		cross_all(t);
		cross_out_and_in(t, CROSS_WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
		prog_revoke(t, CLIENT, RESOURCE);
		prog_policy_changed(t);
		cross_in(&p, &expected, CROSS_WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
		prog_expect(t, &p, SERVER_SIDE, FQ_R_REVOKED, NULL);
	}
}

/* An address of the other version cannot be the client's own. */
static void without_masquerade_there_is_no_source(void **state)
{
	struct fq_settings settings = prog_settings();
	struct pkt p, expected;
	struct prog *t;

	(void)state;
	settings.masquerade = FQ_MASQ_NONE;
	t = prog_new(&settings, PROG_NATIVE);
	cross_all(t);
	cross_out(&p, &expected, &CROSS_46, (struct pkt_spec){.proto = PKT_UDP});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NO_NAT_ADDRESS, PROXY4, 3, 0, 0);
	prog_free(t);
}

/* The same packet with a partial checksum. */
static void make_partial(struct pkt *expected, const struct cross_way *w, const void *payload,
			 size_t len)
{
	struct pkt partial;

	PKT(&partial, .src = w->nat, .dst = w->server, .proto = PKT_TCP, .sport = CROSS_PORT,
	    .dport = CROSS_PEER, .csum = PKT_CSUM_PARTIAL, .payload = payload, .payload_len = len);
	memcpy(pkt_data(expected) + expected->len - len - 4,
	       pkt_data(&partial) + partial.len - len - 4, 2);
}

/*
 * Generic mode and tc: the kernel completes a partial checksum by the place that it has noted; only
 * a missing one is made here.
 */
static void partial_checksum_stays_partial(void **state)
{
	static const uint8_t payload[32];
	struct prog *t = *state;

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		struct pkt p, expected;

		cross_out(&p, &expected, CROSS_WAYS[i],
			  (struct pkt_spec){.proto = PKT_TCP,
					    .payload = payload,
					    .payload_len = sizeof(payload),
					    .csum = PKT_CSUM_PARTIAL});
		make_partial(&expected, CROSS_WAYS[i], payload, sizeof(payload));
		cross_expect(t, &p, CLIENT_SIDE, &expected);
	}
}

/* tc: what the kernel has merged, or is yet to cut: each segment has to fit. */
static void merged_packets_are_translated_whole(void **state)
{
	static const uint8_t payload[3000];
	struct pkt_spec s = {.proto = PKT_TCP,
			     .payload = payload,
			     .payload_len = sizeof(payload),
			     .csum = PKT_CSUM_PARTIAL};
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;

	cross_all(t);
	/* 20 bytes of TCP, 40 of IPv6 */
	t->gso_size = 1440;
	for (unsigned int i = 0; i < 2; i++) {
		cross_out(&p, &expected, CROSS_WAYS[i], s);
		make_partial(&expected, CROSS_WAYS[i], payload, sizeof(payload));
		cross_expect(t, &p, CLIENT_SIDE, &expected);
	}
	t->gso_size = 1441;
	cross_out(&p, &expected, &CROSS_46, s);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TOO_BIG);
	t->gso_size = 0;
}

/* tc: the kernel has the neighbour's MAC address asked for, and is told the packet's new version.
 */
static void unknown_neighbour_is_asked_for(void **state)
{
	struct prog *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct cross_way w = *CROSS_WAYS[i];
		struct pkt p, expected;

		cross_means(t, &w, w.silent);
		w.server = w.silent;
		cross_out(&p, &expected, &w, (struct pkt_spec){.proto = PKT_UDP});
		memcpy(pkt_data(&expected), pkt_data(&p), 2 * ETH_ALEN);
		cross_expect(t, &p, CLIENT_SIDE, &expected);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, prog_test_setup)

/* What is the same for all programs. */
#define ALIKE                                                                                 \
	TEST(packets_become_those_of_the_other_version), TEST(every_traffic_class_is_kept),   \
		TEST(missing_udp_checksum_is_made_for_ipv6),                                  \
		TEST(options_and_extension_headers_are_left_out),                             \
		TEST(source_route_in_use_is_refused), TEST(halves_lead_to_each_other),        \
		TEST(ttl_exceeded_is_told_to_the_sender), TEST(filters_hold_across_versions), \
		TEST(revoked_session_stops)

int main(void)
{
	const struct CMUnitTest native[] = {
		ALIKE,
		TEST(partial_checksum_is_completed),
		TEST(unknown_neighbour_is_left_to_the_kernel),
		TEST(without_masquerade_there_is_no_source),
	};
	const struct CMUnitTest generic[] = {
		TEST(packets_become_those_of_the_other_version),
		TEST(missing_udp_checksum_is_made_for_ipv6),
		TEST(partial_checksum_stays_partial),
	};
	const struct CMUnitTest tc[] = {
		ALIKE,
		TEST(partial_checksum_stays_partial),
		TEST(merged_packets_are_translated_whole),
		TEST(unknown_neighbour_is_asked_for),
	};
	int failed;

	failed = cmocka_run_group_tests_name("xlat, native", native, prog_group_setup,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("xlat, VLANs", native, prog_group_setup_vlan,
					      prog_group_teardown);
	failed += cmocka_run_group_tests_name("xlat, generic", generic, prog_group_setup_generic,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("xlat, tc", tc, prog_group_setup_tc,
						    prog_group_teardown);
}
