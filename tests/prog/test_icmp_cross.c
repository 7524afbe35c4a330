/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors whose receiver has the other IP version, through the loaded programs: in both
 * directions, byte for byte. Which message becomes which is tested whole in
 * tests/unit/test_pkt_xlat_error.c.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 40000 /* of the client; TCP's and UDP's NAT ports are others */
#define PEER 443
#define FULL 0 /* the whole packet is quoted */

/* A client of one version, a resource of the other, routers on both sides. */
struct way {
	const char *client, *proxy, *nat, *server, *inside, *outside;
};

static const struct way WAYS[] = {
	{CLIENT4, PROXY4, GW6, SERVER6, "192.0.2.77", "2001:db8:2::77"},
	{CLIENT6, PROXY6, GW4, SERVER4, "2001:db8:1::77", "198.51.100.77"},
};

static const uint8_t PROTOCOLS[] = {PKT_TCP, PKT_UDP, PKT_ICMP};

/* A message: its last four bytes in host order. */
struct message {
	uint8_t type, code;
	uint32_t rest;
};

/* The same in both versions. */
static const struct same {
	struct message v4, v6;
} SAME[] = {
	{{3, 1, 0}, {1, 0, 0}},        /* host unreachable, no route */
	{{3, 3, 0}, {1, 4, 0}},        /* port */
	{{3, 10, 0}, {1, 1, 0}},       /* prohibited */
	{{3, 2, 0}, {4, 1, 6}},        /* protocol, next header */
	{{3, 4, 1400}, {2, 0, 1420}},  /* too big */
	{{11, 0, 0}, {3, 0, 0}},       /* TTL */
	{{12, 0, 9U << 24}, {4, 0, 6}} /* parameter */
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void cross(struct prog *t)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4, SERVER6, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, SERVER4, DOMAIN, &resource, 1);
}

static bool is_v6(const char *address)
{
	return strchr(address, ':') != NULL;
}

static uint16_t nat_port; /* of the flow that was opened last */

static void open_flow(struct prog *t, const struct way *w, uint8_t proto)
{
	const struct fq_tuple key =
		prog_tuple(proto == PKT_ICMP && is_v6(w->client) ? 58 : proto, w->client, PORT,
			   w->proxy, proto == PKT_TCP ? PEER : 0);
	struct prog_result res;
	struct pkt p;

	PKT(&p, .src = w->client, .dst = w->proxy, .proto = proto, .sport = PORT, .dport = PEER);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	nat_port = ntohs(prog_session(t, &key).port);
}

/* What an error is about: a packet that went out (the error comes in), or one that came in. */
static void about(struct pkt *p, const struct way *w, uint8_t proto, enum fq_dir error, bool inside)
{
	static const uint8_t payload[40] = "a few bytes, and no more than these";
	const char *us = inside ? w->client : w->nat, *peer = inside ? w->proxy : w->server;
	uint16_t port = inside ? PORT : nat_port;
	bool in = error == FQ_DIR_IN;

	PKT(p, .src = in ? us : peer, .dst = in ? peer : us, .proto = proto,
	    .sport = in || proto == PKT_ICMP ? port : PEER, .dport = in ? PEER : port, .reply = !in,
	    .tos = 0x2e, .ttl = 33, .no_df = true, .payload = payload,
	    .payload_len = sizeof(payload));
}

/* The error itself; @quote: bytes behind the quoted IP header. */
static void error(struct pkt *p, const char *src, const char *dst, const struct message *m,
		  const struct pkt *quoted, size_t quote, struct pkt_spec s)
{
	size_t len = pkt_l3_len(quoted);

	if (quote)
		len = quote + (pkt_data(quoted)[PKT_L3] >> 4 == 6 ? 40 : 20);
	s.src = src;
	s.dst = dst;
	s.proto = PKT_ICMP;
	s.icmp_type = m->type;
	s.icmp_code = m->code;
	s.sport = m->rest >> 16;
	s.seq = m->rest & 0xffff;
	s.payload = pkt_data(quoted) + PKT_L3;
	s.payload_len = len;
	pkt_build(p, &s);
}

/* An error from outside, or from inside, and what becomes of it. */
static void build(struct pkt *p, struct pkt *expected, const struct way *w, uint8_t proto,
		  enum fq_dir dir, const struct same *m, size_t quote)
{
	bool in = dir == FQ_DIR_IN;
	bool from6 = is_v6(in ? w->outside : w->client);
	struct pkt inside, outside;

	about(&inside, w, proto, dir, true);
	about(&outside, w, proto, dir, false);
	error(p, in ? w->outside : w->inside, in ? w->nat : w->proxy, from6 ? &m->v6 : &m->v4,
	      in ? &outside : &inside, quote,
	      (struct pkt_spec){.tos = 0xc0,
				.dmac = in ? PKT_MAC_GW_SERVER : PKT_MAC_GW_CLIENT,
				.smac = in ? PKT_MAC_SERVER : PKT_MAC_CLIENT});
	error(expected, in ? w->proxy : w->nat, in ? w->client : w->server, from6 ? &m->v4 : &m->v6,
	      in ? &inside : &outside, quote,
	      (struct pkt_spec){.tos = 0xc0,
				.ttl = 63,
				.no_df = true,
				.dmac = in ? PKT_MAC_CLIENT : PKT_MAC_SERVER,
				.smac = in ? PKT_MAC_GW_CLIENT : PKT_MAC_GW_SERVER});
}

/* An IPv4 packet that may be fragmented has an identification of its own: take it over. */
static void adopt_id(struct pkt *expected, const struct pkt *got)
{
	uint8_t *ip = pkt_data(expected) + PKT_L3;

	if (ip[0] >> 4 != 4)
		return;
	memcpy(ip + 4, pkt_data(got) + PKT_L3 + 4, 2);
	memset(ip + 10, 0, 2);
	*(uint16_t *)(ip + 10) = htons(pkt_checksum(ip, 20, 0));
}

static void expect(struct prog *t, const struct pkt *p, enum fq_dir dir, struct pkt *expected)
{
	struct prog_result res;

	prog_run(t, p, dir == FQ_DIR_IN ? SERVER_SIDE : CLIENT_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_ICMP_TRANSLATED);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	adopt_id(expected, &res.out);
	pkt_assert_equal(&res.out, expected);
}

/* I-07: every protocol, both directions, all of it quoted or as little as the RFCs promise. */
static void errors_reach_the_other_version(void **state)
{
	static const size_t quotes[] = {FULL, 8, 9, 20};
	struct prog *t = *state;
	struct pkt p, expected;

	cross(t);
	for (size_t i = 0; i < N(WAYS) * N(PROTOCOLS) * 2 * N(SAME) * N(quotes); i++) {
		const struct way *w = &WAYS[i % 2];
		enum fq_dir dir = i / 2 % 2 ? FQ_DIR_IN : FQ_DIR_OUT;
		uint8_t proto = PROTOCOLS[i / 4 % 3];
		size_t quote = quotes[i / 12 % N(quotes)];
		const struct same *m = &SAME[i / 12 / N(quotes)];

		open_flow(t, w, proto);
		build(&p, &expected, w, proto, dir, m, quote);
		expect(t, &p, dir, &expected);
	}
}

/* N-09: they are no packets of the session. */
static void errors_change_nothing_of_the_session(void **state)
{
	struct prog *t = *state;
	const struct way *w = &WAYS[0];
	const struct fq_tuple key = prog_tuple(PKT_UDP, w->client, PORT, w->proxy, 0);
	struct session_entry before, after;
	struct pkt p, expected;

	cross(t);
	open_flow(t, w, PKT_UDP);
	before = prog_session(t, &key);
	build(&p, &expected, w, PKT_UDP, FQ_DIR_IN, &SAME[1], FULL);
	expect(t, &p, FQ_DIR_IN, &expected);
	build(&p, &expected, w, PKT_UDP, FQ_DIR_OUT, &SAME[1], FULL);
	expect(t, &p, FQ_DIR_OUT, &expected);
	after = prog_session(t, &key);
	assert_memory_equal(&before, &after, sizeof(before));
}

/* RFC 7915 4.2, 5.2: what has no counterpart is dropped, and not answered. */
static void messages_without_counterpart_are_dropped(void **state)
{
	static const struct message none4[] = {
		{3, 14, 0}, {3, 99, 0}, {12, 1, 0}, {12, 0, 4U << 24}};
	static const struct message none6[] = {{1, 5, 0}, {4, 2, 0}, {4, 0, 3}, {4, 0, 40}};
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;

	cross(t);
	for (unsigned int i = 0; i < 8; i++) {
		const struct way *w = &WAYS[i % 2];
		struct same m = {none4[i / 2], none6[i / 2]};

		open_flow(t, w, PKT_UDP);
		build(&p, &expected, w, PKT_UDP, FQ_DIR_IN, &m, FULL);
		prog_run(t, &p, SERVER_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_ICMP_NO_COUNTERPART);
		assert_int_equal(res.verdict, XDP_DROP);
	}
}

/* RFC 4884, RFC 7915 4.2, 5.2: they are cut off, and the length that tells of them is cleared. */
static void extensions_are_cut_off(void **state)
{
	static const uint8_t extension[] = {0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 2, 3};
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		const struct way *w = &WAYS[i];
		bool from6 = is_v6(w->outside);
		struct message m = from6 ? (struct message){1, 4, 16U << 24}
					 : (struct message){3, 3, 32U << 16};
		struct pkt_spec s = {.tos = 0xc0,
				     .src = w->outside,
				     .dst = w->nat,
				     .proto = PKT_ICMP,
				     .icmp_type = m.type,
				     .icmp_code = m.code,
				     .sport = m.rest >> 16,
				     .dmac = PKT_MAC_GW_SERVER,
				     .smac = PKT_MAC_SERVER};
		struct pkt quoted, p, expected;
		uint8_t body[128 + 20] = {0};

		open_flow(t, w, PKT_UDP);
		build(&p, &expected, w, PKT_UDP, FQ_DIR_IN, &SAME[1], FULL);
		about(&quoted, w, PKT_UDP, FQ_DIR_IN, false);
		memcpy(body, pkt_data(&quoted) + PKT_L3, pkt_l3_len(&quoted));
		memcpy(body + 128, extension, sizeof(extension));
		s.payload = body;
		s.payload_len = 128 + sizeof(extension);
		pkt_build(&p, &s);
		/* The padding up to 128 bytes belongs to the field, and stays. */
		about(&quoted, w, PKT_UDP, FQ_DIR_IN, true);
		memset(body, 0, sizeof(body));
		memcpy(body, pkt_data(&quoted) + PKT_L3, pkt_l3_len(&quoted));
		s = (struct pkt_spec){.tos = 0xc0,
				      .src = w->proxy,
				      .dst = w->client,
				      .proto = PKT_ICMP,
				      .icmp_type = from6 ? 3 : 1,
				      .icmp_code = from6 ? 3 : 4,
				      .ttl = 63,
				      .no_df = true,
				      .payload = body,
				      .payload_len = from6 ? 128 - 20 : 128 + 20,
				      .dmac = PKT_MAC_CLIENT,
				      .smac = PKT_MAC_GW_CLIENT};
		pkt_build(&expected, &s);
		expect(t, &p, FQ_DIR_IN, &expected);
	}
}

/* RFC 4443 2.4 c: an error that grows does not grow beyond 1280 bytes. */
static void long_quotes_are_cut(void **state)
{
	static uint8_t payload[1300];
	const struct way *w = &WAYS[1]; /* from IPv4 */
	struct prog *t = *state;
	struct pkt_spec inside = {.src = w->client,
				  .dst = w->proxy,
				  .proto = PKT_UDP,
				  .sport = PORT,
				  .dport = PEER,
				  .payload = payload,
				  .payload_len = 1200},
			outside = inside;
	struct pkt quoted, p, expected;

	cross(t);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 5 >> 1;
	open_flow(t, w, PKT_UDP);
	outside.src = w->nat;
	outside.dst = w->server;
	outside.sport = nat_port;
	pkt_build(&quoted, &outside);
	error(&p, w->outside, w->nat, &SAME[1].v4, &quoted, FULL,
	      (struct pkt_spec){.dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER});
	pkt_build(&quoted, &inside);
	error(&expected, w->proxy, w->client, &SAME[1].v6, &quoted, 1280 - 48 - 48,
	      (struct pkt_spec){.ttl = 63, .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT});
	expect(t, &p, FQ_DIR_IN, &expected);
}

/* RFC 7915 4.3, 5.3: a quoted first fragment is one in the other version, too. */
static void quoted_fragments_stay_fragments(void **state)
{
	struct prog *t = *state;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		const struct way *w = &WAYS[i];
		struct pkt whole, fragment, p, expected;
		size_t hlen;

		open_flow(t, w, PKT_UDP);
		about(&whole, w, PKT_UDP, FQ_DIR_IN, false);
		pkt_fragment(&fragment, &whole, 0, 24, 0x1234);
		error(&p, w->outside, w->nat, is_v6(w->outside) ? &SAME[1].v6 : &SAME[1].v4,
		      &fragment, FULL,
		      (struct pkt_spec){.dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER});
		about(&whole, w, PKT_UDP, FQ_DIR_IN, true);
		pkt_fragment(&fragment, &whole, 0, 24, 0x1234);
		hlen = pkt_l3_len(&fragment);
		error(&expected, w->proxy, w->client, is_v6(w->outside) ? &SAME[1].v4 : &SAME[1].v6,
		      &fragment, hlen - (is_v6(w->client) ? 40 : 20),
		      (struct pkt_spec){.ttl = 63,
					.no_df = true,
					.dmac = PKT_MAC_CLIENT,
					.smac = PKT_MAC_GW_CLIENT});
		expect(t, &p, FQ_DIR_IN, &expected);
	}
}

/* RFC 5508 REQ-3: as within one version. */
static void errors_with_a_wrong_checksum_are_dropped(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;

	cross(t);
	for (unsigned int i = 0; i < 2; i++) {
		open_flow(t, &WAYS[i], PKT_UDP);
		build(&p, &expected, &WAYS[i], PKT_UDP, FQ_DIR_IN, &SAME[0], FULL);
		pkt_data(&p)[p.len - 1] ^= 1;
		prog_run(t, &p, SERVER_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_ICMP_BAD_CHECKSUM);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, prog_test_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_reach_the_other_version),
		TEST(errors_change_nothing_of_the_session),
		TEST(messages_without_counterpart_are_dropped),
		TEST(extensions_are_cut_off),
		TEST(long_quotes_are_cut),
		TEST(quoted_fragments_stay_fragments),
		TEST(errors_with_a_wrong_checksum_are_dropped),
	};
	int failed;

	failed = cmocka_run_group_tests_name("icmp across versions, native", tests,
					     prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("icmp across versions, tc", tests,
						    prog_group_setup_tc, prog_group_teardown);
}
