/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tc program where it differs from the XDP programs: neighbours that the kernel asks for,
 * packets that are many (GSO), errors about them. What is the same is tested with the XDP programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "../lib/prog.h"

#define PORT 4000

static uint8_t payload[3000];

static void use_real(struct prog *t, const char *real4, const char *real6)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4, real4, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, real6, DOMAIN, &resource, 1);
}

/* The frame is translated whole, and its MAC addresses are left to the kernel. */
static void unknown_neighbours_are_the_kernels_to_ask_for(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	use_real(t, SILENT4, SILENT6);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53);
	PKT(&expected, .src = GW4, .dst = SILENT4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = PKT_UDP, .sport = PORT, .dport = 53);
	PKT(&expected, .src = GW6, .dst = SILENT6, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

/* A packet of several segments, as the kernel has merged them or is yet to cut them. */
static void merged(struct prog *t, struct pkt *p, const char *src, const char *dst, size_t len,
		   uint32_t segment)
{
	PKT(p, .src = src, .dst = dst, .proto = PKT_TCP, .sport = PORT, .dport = 80,
	    .csum = PKT_CSUM_PARTIAL, .payload = payload, .payload_len = len);
	t->gso_size = segment;
}

static void merged_packets_pass_whole(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;

	merged(t, &p, CLIENT4, PROXY4, sizeof(payload), 1000);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.count[FQ_R_TRANSLATED].bytes, pkt_l3_len(&p));
	PKT(&expected, .src = GW4, .dst = SERVER4, .proto = PKT_TCP, .sport = PORT, .dport = 80,
	    .ttl = 63, .dmac = PKT_MAC_SERVER, .smac = PKT_MAC_GW_SERVER, .csum = PKT_CSUM_PARTIAL,
	    .payload = payload, .payload_len = sizeof(payload));
	pkt_assert_equal(&res.out, &expected);
}

/* 600 bytes: 20 of IP, 20 of TCP. 1280: 40 of IPv6. */
static void the_mtu_is_for_each_of_their_segments(void **state)
{
	static const struct {
		const char *src, *dst;
		uint32_t fits;
	} cases[] = {{CLIENT4, PROXY4, 560}, {CLIENT6, PROXY6, 1220}};
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	use_real(t, NARROW4, NARROW6);
	for (size_t i = 0; i < 2; i++) {
		merged(t, &p, cases[i].src, cases[i].dst, 2500, cases[i].fits);
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_TRANSLATED);

		merged(t, &p, cases[i].src, cases[i].dst, 2500, cases[i].fits + 1);
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_TOO_BIG);
		assert_int_equal(res.count[FQ_R_ICMP_SENT].packets, 1);
	}
}

/* Told by the daemon: the kernel would complete a checksum inside the quoted packet. */
static void refused_ones_are_quoted_as_far_as_allowed(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;
	struct prog_result res;

	prog_edge(t, PROXY4, FQ_EDGE_REFUSE);
	merged(t, &p, CLIENT4, PROXY4, sizeof(payload), 1000);
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4, .dst = CLIENT4, .type = 3, .code = 0},
			&p);
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(res.reason, FQ_R_DOMAIN_FAILED);
	assert_int_equal(res.verdict, XDP_DROP);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SLOW);
	assert_int_equal(t->upcall[0].len, expected.len);
	assert_memory_equal(t->upcall[0].frame, pkt_data(&expected), expected.len);
}

static void they_are_too_long_to_be_held(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	prog_edge(t, PROXY4, FQ_EDGE_HOLD);
	merged(t, &p, CLIENT4, PROXY4, sizeof(payload), 1000);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_HOLD_FAILED);
	assert_int_equal(res.verdict, XDP_DROP);
}

static int setup(void **state)
{
	((struct prog *)*state)->gso_size = 0;
	return prog_test_setup(state);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(unknown_neighbours_are_the_kernels_to_ask_for),
		T(merged_packets_pass_whole),
		T(the_mtu_is_for_each_of_their_segments),
		T(refused_ones_are_quoted_as_far_as_allowed),
		T(they_are_too_long_to_be_held),
	};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i ^ i >> 3;
	return cmocka_run_group_tests_name("tc", tests, prog_group_setup_tc, prog_group_teardown);
}
