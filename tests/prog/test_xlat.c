/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation between IPv4 and IPv6 by the programs: packets byte for byte in both directions,
 * sessions, sizes, and what cannot be translated.
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

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 5000
#define PEER 53

/* Both ways: a client of one version, a resource that has the other one. */
static const struct way {
	const char *client, *proxy, *nat, *server, *silent, *narrow;
	bool v6; /* the client */
} NAT46 = {CLIENT4, PROXY4, GW6, SERVER6, SILENT6, NARROW6, false},
  NAT64 = {CLIENT6, PROXY6, GW4, SERVER4, SILENT4, NARROW4, true};

static const struct way *const WAYS[] = {&NAT46, &NAT64};

static void means(struct prog *t, const struct way *w, const char *real)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, w->proxy, real, DOMAIN, &resource, 1);
}

static void cross(struct prog *t)
{
	means(t, &NAT46, SERVER6);
	means(t, &NAT64, SERVER4);
}

/* What has been IPv6 may be fragmented if it is short (RFC 7915 5.1). */
static void build_short(struct pkt *p, struct pkt_spec *s)
{
	pkt_build(p, s);
	s->no_df = pkt_l3_len(p) <= 1260;
	pkt_build(p, s);
}

/* From the client; what becomes of it. */
static void build_out(struct pkt *p, struct pkt *expected, const struct way *w, struct pkt_spec s)
{
	s.src = w->client;
	s.dst = w->proxy;
	s.sport = s.sport ? s.sport : PORT;
	s.dport = s.proto == PKT_ICMP ? 0 : PEER;
	s.ttl = s.ttl ? s.ttl : 64;
	pkt_build(p, &s);
	s.src = w->nat;
	s.dst = w->server;
	s.ttl--;
	s.flow_label = 0;
	s.no_df = true;
	s.options_len = s.ext_len = 0;
	s.dmac = PKT_MAC_SERVER;
	s.smac = PKT_MAC_GW_SERVER;
	s.csum = s.csum == PKT_CSUM_ZERO && w->v6 ? PKT_CSUM_ZERO : PKT_CSUM_FULL;
	build_short(expected, &s);
}

/* From the resource; what becomes of it. */
static void build_in(struct pkt *p, struct pkt *expected, const struct way *w, struct pkt_spec s)
{
	bool icmp = s.proto == PKT_ICMP;

	s.reply = true;
	s.src = w->server;
	s.dst = w->nat;
	s.sport = icmp ? PORT : PEER;
	s.dport = icmp ? 0 : PORT;
	s.ttl = s.ttl ? s.ttl : 64;
	s.dmac = PKT_MAC_GW_SERVER;
	s.smac = PKT_MAC_SERVER;
	pkt_build(p, &s);
	s.src = w->proxy;
	s.dst = w->client;
	s.ttl--;
	s.flow_label = 0;
	s.no_df = true;
	s.dmac = PKT_MAC_CLIENT;
	s.smac = PKT_MAC_GW_CLIENT;
	s.csum = s.csum == PKT_CSUM_ZERO && !w->v6 ? PKT_CSUM_ZERO : PKT_CSUM_FULL;
	build_short(expected, &s);
}

/* An IPv4 packet that may be fragmented has an identification of its own: take it over. */
static void adopt_id(struct pkt *expected, const struct pkt *got)
{
	uint8_t *ip = pkt_data(expected) + PKT_L3;

	if (ip[0] >> 4 != 4 || (ip[6] & 0x40))
		return;
	memcpy(ip + 4, pkt_data(got) + PKT_L3 + 4, 2);
	memset(ip + 10, 0, 2);
	*(uint16_t *)(ip + 10) = htons(pkt_checksum(ip, 20, 0));
}

static void expect(struct prog *t, const struct pkt *in, enum prog_side side, struct pkt *expected)
{
	struct prog_result res;

	prog_run(t, in, side, &res);

	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	adopt_id(expected, &res.out);
	pkt_assert_equal(&res.out, expected);
	assert_int_equal(res.count[FQ_R_TRANSLATED].bytes, pkt_l3_len(in));
}

static void out_and_in(struct prog *t, const struct way *w, struct pkt_spec s)
{
	struct pkt p, expected;

	build_out(&p, &expected, w, s);
	expect(t, &p, CLIENT_SIDE, &expected);
	build_in(&p, &expected, w, s);
	expect(t, &p, SERVER_SIDE, &expected);
}

/* G-51: TCP, UDP, echo; complete and missing checksums (RFC 7915 4, 5). */
static void packets_become_those_of_the_other_version(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 3; k++)
			out_and_in(t, WAYS[i], (struct pkt_spec){.proto = protocols[k]});
		out_and_in(t, WAYS[i], (struct pkt_spec){.proto = PKT_UDP, .csum = PKT_CSUM_ZERO});
	}
}

static void partial_checksum_is_completed(void **state)
{
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		out_and_in(t, WAYS[i],
			   (struct pkt_spec){.proto = PKT_TCP, .csum = PKT_CSUM_PARTIAL});
		out_and_in(t, WAYS[i],
			   (struct pkt_spec){.proto = PKT_UDP, .csum = PKT_CSUM_PARTIAL});
	}
}

/* RFC 7915 4.1, 5.1: DSCP and ECN, all values, both ways. */
static void every_traffic_class_is_kept(void **state)
{
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int tos = 0; tos < 256; tos++)
			out_and_in(t, WAYS[i],
				   (struct pkt_spec){
					   .proto = PKT_UDP, .tos = tos, .flow_label = 0x12345});
}

/* RFC 7915 4.5: the checksum is made, and counted; of any length, odd ones too. */
static void missing_udp_checksum_is_made_for_ipv6(void **state)
{
	static uint8_t payload[1400];
	struct prog *t = *state;

	cross(t);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7 >> 2;
	for (size_t len = 0; len < sizeof(payload); len += 13) {
		struct pkt_spec s = {.proto = PKT_UDP,
				     .payload = payload,
				     .payload_len = len,
				     .csum = PKT_CSUM_ZERO};
		struct pkt p, expected;
		struct prog_result res;

		build_out(&p, &expected, &NAT46, s);
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

	cross(t);
	build_out(&p, &expected, &NAT46,
		  (struct pkt_spec){.proto = PKT_UDP, .options = router_alert, .options_len = 4});
	expect(t, &p, CLIENT_SIDE, &expected);
	build_out(&p, &expected, &NAT64,
		  (struct pkt_spec){.proto = PKT_UDP, .ext = padn, .ext_len = 8, .ext_first = 60});
	expect(t, &p, CLIENT_SIDE, &expected);
}

/* G-53: also in a session that exists (RFC 7915 4.1). */
static void source_route_in_use_is_refused(void **state)
{
	static const uint8_t route[] = {131, 7, 4, 192, 0, 2, 9, 0};
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		build_out(&p, &expected, &NAT46,
			  (struct pkt_spec){.proto = PKT_UDP, .options = route, .options_len = 8});
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_SOURCE_ROUTED, PROXY4, 3, 5, 0);
		assert_int_equal(prog_sessions(t), 2 * i);
		build_out(&p, &expected, &NAT46, (struct pkt_spec){.proto = PKT_UDP});
		expect(t, &p, CLIENT_SIDE, &expected);
	}
}

/* N-01: each half leads to the other, across versions; ICMP changes its number. */
static void halves_lead_to_each_other(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 3; k++) {
			const struct way *w = WAYS[i];
			bool tcp = protocols[k] == PKT_TCP, icmp = protocols[k] == PKT_ICMP;
			struct fq_tuple out = prog_tuple(icmp && w->v6 ? 58 : protocols[k],
							 w->client, PORT, w->proxy, tcp ? PEER : 0);
			struct fq_tuple in = prog_tuple(icmp && !w->v6 ? 58 : protocols[k],
							w->server, tcp ? PEER : 0, w->nat, PORT);
			struct pkt p, expected;

			build_out(&p, &expected, w, (struct pkt_spec){.proto = protocols[k]});
			expect(t, &p, CLIENT_SIDE, &expected);
			assert_true(prog_has_session(t, &out));
			assert_true(prog_has_session(t, &in));
		}
	}
}

/* G-52: before anything is lost, with the MTU that the sender understands (RFC 7915 4.2, 5.2). */
static void too_big_is_judged_by_the_length_that_leaves(void **state)
{
	static const uint8_t payload[1500];
	struct prog *t = *state;
	struct pkt p, expected;
	struct prog_result res;

	/* NARROW6: 1280; NARROW4: 600, of which an IPv6 host would not believe 620 */
	means(t, &NAT46, NARROW6);
	means(t, &NAT64, NARROW4);
	build_out(&p, &expected, &NAT46,
		  (struct pkt_spec){
			  .proto = PKT_UDP,
			  .payload = payload,
			  .payload_len = 1280 - 48 + 1,
		  });
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 1260);
	build_out(&p, &expected, &NAT64,
		  (struct pkt_spec){
			  .proto = PKT_UDP, .payload = payload, .payload_len = 600 - 28 + 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY6, 2, 0, 1280);
	assert_int_equal(prog_sessions(t), 0);

	build_out(
		&p, &expected, &NAT46,
		(struct pkt_spec){.proto = PKT_UDP, .payload = payload, .payload_len = 1280 - 48});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	build_out(&p, &expected, &NAT64,
		  (struct pkt_spec){.proto = PKT_UDP, .payload = payload, .payload_len = 600 - 28});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

/* The links have 1500: a full IPv4 packet does not fit, an IPv6 one shrinks. */
static void full_packets_shrink_but_do_not_grow(void **state)
{
	static const uint8_t payload[1500];
	struct pkt_spec s = {.proto = PKT_UDP, .payload = payload};
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	s.payload_len = 1500 - 48;
	build_out(&p, &expected, &NAT46, s);
	expect(t, &p, CLIENT_SIDE, &expected);
	build_out(&p, &expected, &NAT64, s);
	expect(t, &p, CLIENT_SIDE, &expected);
	build_in(&p, &expected, &NAT64, s);
	expect(t, &p, SERVER_SIDE, &expected);
	s.payload_len++;
	build_out(&p, &expected, &NAT46, s);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 1480);
	build_in(&p, &expected, &NAT64, s);
	prog_expect_refused(t, &p, SERVER_SIDE, FQ_R_TOO_BIG, GW4, 3, 4, 1480);
}

/* RFC 7915 5.1 */
static void df_is_set_above_1260_bytes(void **state)
{
	static const uint8_t payload[1500];
	struct prog *t = *state;

	cross(t);
	for (size_t len = 1260 - 28 - 2; len <= 1260 - 28 + 2; len++) {
		struct pkt_spec s = {.proto = PKT_UDP, .payload = payload, .payload_len = len};
		struct pkt p, expected;
		struct prog_result res;

		build_out(&p, &expected, &NAT64, s);
		prog_run(t, &p, CLIENT_SIDE, &res);
		adopt_id(&expected, &res.out);
		pkt_assert_equal(&res.out, &expected);
		assert_int_equal(pkt_data(&res.out)[PKT_L3 + 6], len > 1260 - 28 ? 0x40 : 0);
	}
}

/* RFC 7915 5.1, RFC 6864: identifications differ from packet to packet. */
static void identifications_differ(void **state)
{
	unsigned int seen[65536 / 32] = {0}, distinct = 0;
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	build_out(&p, &expected, &NAT64, (struct pkt_spec){.proto = PKT_UDP});
	for (unsigned int i = 0; i < 256; i++) {
		struct prog_result res;
		uint16_t id;

		prog_run(t, &p, CLIENT_SIDE, &res);
		memcpy(&id, pkt_data(&res.out) + PKT_L3 + 4, 2);
		distinct += !(seen[id / 32] >> id % 32 & 1);
		seen[id / 32] |= 1U << id % 32;
	}
	assert_true(distinct > 240);
}

#define DATAGRAM 600
#define FIRST    256

/* A fragment of @whole becomes the same one of @expected. @id: behind us; 0: not known yet */
static void expect_fragment(struct prog *t, const struct pkt *whole, const struct pkt *expected,
			    enum prog_side side, size_t off, size_t len, uint32_t *id)
{
	struct pkt in, out;
	struct prog_result res;

	pkt_fragment(&in, whole, off, len, 0xbeef);
	prog_run(t, &in, side, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	if (!*id) {
		const uint8_t *ip = pkt_data(&res.out) + PKT_L3;

		*id = ip[0] >> 4 == 4 ? ip[4] << 8 | ip[5] : ip[46] << 8 | ip[47];
	}
	pkt_fragment(&out, expected, off, len, *id);
	pkt_assert_equal(&res.out, &out);
}

/* G-55: a Fragment header comes or goes; the parts of a datagram keep an identification. */
static void fragments_become_fragments(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP};
	static const uint8_t payload[DATAGRAM];
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			for (unsigned int side = 0; side < 2; side++) {
				struct pkt_spec s = {.proto = protocols[k],
						     .payload = payload,
						     .payload_len = DATAGRAM,
						     .no_df = true};
				struct pkt p, expected;
				uint32_t id = 0;

				if (side == CLIENT_SIDE)
					build_out(&p, &expected, WAYS[i], s);
				else
					build_in(&p, &expected, WAYS[i], s);
				expect_fragment(t, &p, &expected, side, 0, FIRST, &id);
				expect_fragment(t, &p, &expected, side, FIRST, 128, &id);
				expect_fragment(t, &p, &expected, side, FIRST + 128, 0, &id);
				assert_int_not_equal(id, 0);
			}
		}
	}
}

/* G-55, RFC 7915 1.2, 4.5: their checksums would have to cover what is not here. */
static void fragments_of_icmp_and_without_checksum_are_dropped(void **state)
{
	static const uint8_t payload[DATAGRAM];
	static const struct pkt_spec specs[] = {
		{.proto = PKT_ICMP, .payload = payload, .payload_len = DATAGRAM, .no_df = true},
		{.proto = PKT_UDP,
		 .payload = payload,
		 .payload_len = DATAGRAM,
		 .no_df = true,
		 .csum = PKT_CSUM_ZERO},
	};
	struct prog *t = *state;
	struct pkt p, fragment, expected;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		build_out(&p, &expected, &NAT46, specs[i]);
		pkt_fragment(&fragment, &p, 0, FIRST, 0xbeef);
		prog_expect(t, &fragment, CLIENT_SIDE, FQ_R_FRAGMENT_STAYS, NULL);
	}
	build_out(&p, &expected, &NAT64, specs[0]);
	pkt_fragment(&fragment, &p, 0, FIRST, 0xbeef);
	prog_expect(t, &fragment, CLIENT_SIDE, FQ_R_FRAGMENT_STAYS, NULL);
	assert_int_equal(prog_sessions(t), 0);
}

/* The sender is told in its own version. */
static void ttl_exceeded_is_told_to_the_sender(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	build_out(&p, &expected, &NAT46, (struct pkt_spec){.proto = PKT_UDP, .ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY4, 11, 0, 0);
	build_out(&p, &expected, &NAT64, (struct pkt_spec){.proto = PKT_UDP, .ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY6, 3, 0, 0);
}

/* The daemon gets the packet as it is to leave, with a checksum that nobody has to complete. */
static void unknown_neighbour_is_left_to_the_kernel(void **state)
{
	struct prog *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct way w = *WAYS[i];
		struct prog_result res;
		struct pkt p, expected, got;

		prog_reset(t);
		means(t, &w, w.silent);
		w.server = w.silent;
		build_out(&p, &expected, &w,
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
		adopt_id(&expected, &got);
		pkt_assert_equal(&got, &expected);
	}
}

/* F-03, F-04: echo is echo; G-24: filters ask for protocol and port, not for the version. */
static void filters_hold_across_versions(void **state)
{
	struct fq_filter only_icmp = {.icmp = 1};
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	prog_filter(t, RESOURCE, &only_icmp);
	prog_policy_changed(t);
	for (unsigned int i = 0; i < 2; i++) {
		out_and_in(t, WAYS[i], (struct pkt_spec){.proto = PKT_ICMP});
		build_out(&p, &expected, WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_FILTERED, WAYS[i]->proxy, i ? 1 : 3,
				    i ? 1 : 13, 0);
	}
}

/* a withdrawn grant stops both directions with the next packet. */
static void revoked_session_stops(void **state)
{
	struct prog *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct pkt p, expected;

		prog_reset(t);
		cross(t);
		out_and_in(t, WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
		prog_revoke(t, CLIENT, RESOURCE);
		prog_policy_changed(t);
		build_in(&p, &expected, WAYS[i], (struct pkt_spec){.proto = PKT_UDP});
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
	cross(t);
	build_out(&p, &expected, &NAT46, (struct pkt_spec){.proto = PKT_UDP});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NO_NAT_ADDRESS, PROXY4, 3, 0, 0);
	prog_free(t);
}

/* The same packet with a partial checksum. */
static void make_partial(struct pkt *expected, const struct way *w, const void *payload, size_t len)
{
	struct pkt partial;

	PKT(&partial, .src = w->nat, .dst = w->server, .proto = PKT_TCP, .sport = PORT,
	    .dport = PEER, .csum = PKT_CSUM_PARTIAL, .payload = payload, .payload_len = len);
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

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		struct pkt p, expected;

		build_out(&p, &expected, WAYS[i],
			  (struct pkt_spec){.proto = PKT_TCP,
					    .payload = payload,
					    .payload_len = sizeof(payload),
					    .csum = PKT_CSUM_PARTIAL});
		make_partial(&expected, WAYS[i], payload, sizeof(payload));
		expect(t, &p, CLIENT_SIDE, &expected);
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

	cross(t);
	/* 20 bytes of TCP, 40 of IPv6 */
	t->gso_size = 1440;
	for (unsigned int i = 0; i < 2; i++) {
		build_out(&p, &expected, WAYS[i], s);
		make_partial(&expected, WAYS[i], payload, sizeof(payload));
		expect(t, &p, CLIENT_SIDE, &expected);
	}
	t->gso_size = 1441;
	build_out(&p, &expected, &NAT46, s);
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
		struct way w = *WAYS[i];
		struct pkt p, expected;

		means(t, &w, w.silent);
		w.server = w.silent;
		build_out(&p, &expected, &w, (struct pkt_spec){.proto = PKT_UDP});
		memcpy(pkt_data(&expected), pkt_data(&p), 2 * ETH_ALEN);
		expect(t, &p, CLIENT_SIDE, &expected);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, prog_test_setup)

/* What is the same for all programs. */
#define ALIKE                                                                                 \
	TEST(packets_become_those_of_the_other_version), TEST(every_traffic_class_is_kept),   \
		TEST(missing_udp_checksum_is_made_for_ipv6),                                  \
		TEST(options_and_extension_headers_are_left_out),                             \
		TEST(source_route_in_use_is_refused), TEST(halves_lead_to_each_other),        \
		TEST(too_big_is_judged_by_the_length_that_leaves),                            \
		TEST(full_packets_shrink_but_do_not_grow), TEST(df_is_set_above_1260_bytes),  \
		TEST(identifications_differ), TEST(fragments_become_fragments),               \
		TEST(fragments_of_icmp_and_without_checksum_are_dropped),                     \
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
