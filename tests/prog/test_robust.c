/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that are cut short, that lie, or that make no sense: each ends with one reason and a
 * verdict that fits it, what passes is untouched, and nothing to a proxy address reaches the
 * kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT      5000
#define SEED      0x5eed1234
#define MUTATIONS 20000

static const uint8_t OPTIONS[] = {7, 7, 4, 0, 0, 0, 0, 1};
static const uint8_t EXT[] = {60, 0, 1, 4, 0, 0, 0, 0, PKT_TCP, 0, 1, 4, 0, 0, 0, 0};

static const struct pkt_spec VALID[] = {
	{.src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .sport = PORT, .dport = 443},
	{.src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53},
	{.src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP, .sport = PORT},
	{.src = CLIENT4,
	 .dst = PROXY4,
	 .proto = PKT_TCP,
	 .sport = PORT,
	 .dport = 443,
	 .options = OPTIONS,
	 .options_len = sizeof(OPTIONS)},
	{.src = CLIENT6, .dst = PROXY6, .proto = PKT_TCP, .sport = PORT, .dport = 443},
	{.src = CLIENT6, .dst = PROXY6, .proto = PKT_UDP, .sport = PORT, .dport = 53},
	{.src = CLIENT6, .dst = PROXY6, .proto = PKT_ICMP, .sport = PORT},
	{.src = CLIENT6,
	 .dst = PROXY6,
	 .proto = PKT_TCP,
	 .sport = PORT,
	 .dport = 443,
	 .ext = EXT,
	 .ext_len = sizeof(EXT),
	 .ext_first = 0},
	{.src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT},
	{.src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT},
	{.src = SERVER6, .dst = GW6, .proto = PKT_TCP, .sport = 443, .dport = PORT},
	{.src = CLIENT4, .dst = PROXY4_B, .proto = PKT_UDP, .sport = PORT, .dport = 53},
};

#define N_VALID (sizeof(VALID) / sizeof(VALID[0]))

static uint32_t seed = SEED;

/* Let the server's packets belong to sessions. */
static void open_sessions(struct prog *t)
{
	static const size_t outs[] = {0, 1, 4};
	struct prog_result res;
	struct pkt p;

	for (size_t i = 0; i < 3; i++) {
		pkt_build(&p, &VALID[outs[i]]);
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_TRANSLATED);
	}
}

/* Does the frame's own header say that it goes to a pool? */
static bool to_pool(const struct pkt *p)
{
	static const uint8_t pool6[] = {0xfd, 0x00, 0x20, 0x21, 0x11, 0x11, 0x80, 0, 0, 0, 0, 0, 0};
	const uint8_t *eth = pkt_data(p), *ip = eth + PKT_L3;

	if (p->len >= PKT_L3 + 20 && eth[12] == 8 && eth[13] == 0 && ip[0] >> 4 == 4)
		return ip[16] == 100 && (ip[17] & 0xe0) == 96;
	if (p->len >= PKT_L3 + 40 && eth[12] == 0x86 && eth[13] == 0xdd && ip[0] >> 4 == 6)
		return memcmp(ip + 24, pool6, sizeof(pool6)) == 0 && (ip[37] & 0xe0) == 0;
	return false;
}

/* The kernel's test runs give a tc program no frame without a whole IP header. */
static size_t shortest(const struct prog *t)
{
	return t->tc ? ETH_HLEN + 40 : ETH_HLEN;
}

static void assert_harmless(struct prog *t, const struct pkt *p)
{
	struct prog_result res;

	prog_run(t, p, CLIENT_SIDE, &res); /* fails unless exactly one reason is counted */

	if (res.verdict != XDP_PASS && res.verdict != XDP_DROP && res.verdict != XDP_REDIRECT)
		fail_msg("verdict %d, reason %d", res.verdict, res.reason);
	if (res.verdict == XDP_PASS) {
		pkt_assert_equal(&res.out, p);
		assert_false(to_pool(p));
	}
	if (res.reason == FQ_R_TRANSLATED)
		assert_int_equal(res.out.len, p->len);
}

static void truncated_packets_are_never_translated(void **state)
{
	struct prog *t = *state;

	open_sessions(t);
	for (size_t i = 0; i < N_VALID; i++) {
		struct pkt p;

		pkt_build(&p, &VALID[i]);
		for (p.len--; p.len >= shortest(t); p.len--) {
			struct prog_result res;

			assert_harmless(t, &p);
			prog_run(t, &p, CLIENT_SIDE, &res);
			assert_true(res.reason == FQ_R_MALFORMED ||
				    res.reason == FQ_R_POOL_MALFORMED);
		}
	}
}

/* The IP header ends the packet before the L4 header does, although the frame goes on. */
static void packets_shorter_than_their_headers_are_malformed(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	for (uint8_t len = 0; len < 40; len++) {
		uint8_t *ip = pkt_data(&p) + PKT_L3;
		uint16_t check;

		pkt_build(&p, &VALID[0]);
		ip[3] = len;
		ip[10] = ip[11] = 0;
		check = pkt_checksum(ip, 20, 0);
		ip[10] = check >> 8;
		ip[11] = check & 0xff;
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	}
	for (uint8_t len = 0; len < 20; len++) {
		pkt_build(&p, &VALID[4]);
		pkt_data(&p)[PKT_L3 + 5] = len;
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	}
}

static void lying_length_fields_are_malformed(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	pkt_build(&p, &VALID[0]); /* data offset behind the packet */
	pkt_data(&p)[PKT_L3 + 32] = 0xf0;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[0]); /* data offset inside the fixed header */
	pkt_data(&p)[PKT_L3 + 32] = 0x40;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[1]); /* UDP length behind the packet */
	pkt_data(&p)[PKT_L3 + 25] += 1;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[1]); /* UDP length inside the header */
	pkt_data(&p)[PKT_L3 + 25] = 7;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[0]); /* header checksum (RFC 1812 5.2.2) */
	pkt_data(&p)[PKT_L3 + 10] ^= 1;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[7]); /* extension header behind the packet */
	pkt_data(&p)[PKT_L3 + 49] = 200;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[7]); /* hop-by-hop options in second place */
	pkt_data(&p)[PKT_L3 + 40] = 0;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	pkt_build(&p, &VALID[8]); /* the same to others is the kernel's to judge */
	pkt_data(&p)[PKT_L3 + 32] = 0xf0;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_MALFORMED, NULL);
}

/* Bounded: a chain longer than what is walked is not translated. */
static void endless_extension_headers_are_not_translated(void **state)
{
	uint8_t chain[10 * 8] = {0};
	struct prog *t = *state;
	struct pkt p;

	for (size_t i = 0; i < sizeof(chain); i += 8)
		chain[i] = 60;
	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = PKT_TCP, .sport = PORT, .dport = 443,
	    .ext = chain, .ext_len = sizeof(chain), .ext_first = 60);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
}

/* A destination that is not the last one has another pseudo header. */
static void routing_header_in_use_is_not_translated(void **state)
{
	uint8_t header[8] = {PKT_TCP, 0, 4, 1};
	struct prog *t = *state;
	struct pkt p;

	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = PKT_TCP, .sport = PORT, .dport = 443,
	    .ext = header, .ext_len = sizeof(header), .ext_first = 43);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
}

static void mutate(struct pkt *p)
{
	unsigned int n = 1 + pkt_random(&seed) % 6;
	size_t headers = p->len < 80 ? p->len : 80;

	while (n--)
		pkt_data(p)[12 + pkt_random(&seed) % (headers - 12)] = pkt_random(&seed);
	if (pkt_random(&seed) % 8 == 0)
		p->len = ETH_HLEN + pkt_random(&seed) % (p->len - ETH_HLEN);
}

/* IPv4 header checksums would stop most mutations early: make them right now and then. */
static void repair(struct pkt *p)
{
	uint8_t *ip = pkt_data(p) + PKT_L3;
	size_t hlen = (ip[0] & 15) * 4;
	uint16_t check;

	if (ip[0] >> 4 != 4 || p->len < PKT_L3 + hlen || hlen < 20)
		return;
	ip[10] = ip[11] = 0;
	check = pkt_checksum(ip, hlen, 0);
	ip[10] = check >> 8;
	ip[11] = check & 0xff;
}

/* G-47: whatever it is, one reason is counted for it. */
static void random_mutations_do_no_harm(void **state)
{
	struct prog *t = *state;

	print_message("seed 0x%x\n", SEED);
	open_sessions(t);
	prog_quota(t, CLIENT, 100);
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		struct pkt p;

		pkt_build(&p, &VALID[pkt_random(&seed) % N_VALID]);
		mutate(&p);
		if (pkt_random(&seed) % 4)
			repair(&p);
		if (p.len < shortest(t))
			p.len = shortest(t);
		assert_harmless(t, &p);
		if (t->upcalls > 1000)
			t->upcalls = 0;
	}
	assert_int_equal(prog_sessions(t), 2 * prog_get_control(t).sessions);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(truncated_packets_are_never_translated),
		T(packets_shorter_than_their_headers_are_malformed),
		T(lying_length_fields_are_malformed),
		T(endless_extension_headers_are_not_translated),
		T(routing_header_in_use_is_not_translated),
		T(random_mutations_do_no_harm),
	};
	int failed;

	failed =
		cmocka_run_group_tests_name("robust", tests, prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("robust, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
