/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation between IPv4 and IPv6 where the length matters: MTU, DF, identifications, fragments.
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

/* G-52: before anything is lost, with the MTU that the sender understands (RFC 7915 4.2, 5.2). */
static void too_big_is_judged_by_the_length_that_leaves(void **state)
{
	static const uint8_t payload[1500];
	struct prog *t = *state;
	struct pkt p, expected;
	struct prog_result res;

	/* NARROW6: 1280; NARROW4: 600, of which an IPv6 host would not believe 620 */
	cross_means(t, &CROSS_46, NARROW6);
	cross_means(t, &CROSS_64, NARROW4);
	cross_out(&p, &expected, &CROSS_46,
		  (struct pkt_spec){
			  .proto = PKT_UDP,
			  .payload = payload,
			  .payload_len = 1280 - 48 + 1,
		  });
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 1260);
	cross_out(&p, &expected, &CROSS_64,
		  (struct pkt_spec){
			  .proto = PKT_UDP, .payload = payload, .payload_len = 600 - 28 + 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY6, 2, 0, 1280);
	assert_int_equal(prog_sessions(t), 0);

	cross_out(
		&p, &expected, &CROSS_46,
		(struct pkt_spec){.proto = PKT_UDP, .payload = payload, .payload_len = 1280 - 48});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	cross_out(&p, &expected, &CROSS_64,
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

	cross_all(t);
	s.payload_len = 1500 - 48;
	cross_out(&p, &expected, &CROSS_46, s);
	cross_expect(t, &p, CLIENT_SIDE, &expected);
	cross_out(&p, &expected, &CROSS_64, s);
	cross_expect(t, &p, CLIENT_SIDE, &expected);
	cross_in(&p, &expected, &CROSS_64, s);
	cross_expect(t, &p, SERVER_SIDE, &expected);
	s.payload_len++;
	cross_out(&p, &expected, &CROSS_46, s);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 1480);
	cross_in(&p, &expected, &CROSS_64, s);
	prog_expect_refused(t, &p, SERVER_SIDE, FQ_R_TOO_BIG, GW4, 3, 4, 1480);
}

/* RFC 7915 5.1 */
static void df_is_set_above_1260_bytes(void **state)
{
	static const uint8_t payload[1500];
	struct prog *t = *state;

	cross_all(t);
	for (size_t len = 1260 - 28 - 2; len <= 1260 - 28 + 2; len++) {
		struct pkt_spec s = {.proto = PKT_UDP, .payload = payload, .payload_len = len};
		struct pkt p, expected;
		struct prog_result res;

		cross_out(&p, &expected, &CROSS_64, s);
		prog_run(t, &p, CLIENT_SIDE, &res);
		cross_adopt_id(&expected, &res.out);
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

	cross_all(t);
	cross_out(&p, &expected, &CROSS_64, (struct pkt_spec){.proto = PKT_UDP});
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

	cross_all(t);
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
					cross_out(&p, &expected, CROSS_WAYS[i], s);
				else
					cross_in(&p, &expected, CROSS_WAYS[i], s);
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

	cross_all(t);
	for (unsigned int i = 0; i < 2; i++) {
		cross_out(&p, &expected, &CROSS_46, specs[i]);
		pkt_fragment(&fragment, &p, 0, FIRST, 0xbeef);
		prog_expect(t, &fragment, CLIENT_SIDE, FQ_R_FRAGMENT_STAYS, NULL);
	}
	cross_out(&p, &expected, &CROSS_64, specs[0]);
	pkt_fragment(&fragment, &p, 0, FIRST, 0xbeef);
	prog_expect(t, &fragment, CLIENT_SIDE, FQ_R_FRAGMENT_STAYS, NULL);
	assert_int_equal(prog_sessions(t), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, prog_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(too_big_is_judged_by_the_length_that_leaves),
		TEST(full_packets_shrink_but_do_not_grow),
		TEST(df_is_set_above_1260_bytes),
		TEST(identifications_differ),
		TEST(fragments_become_fragments),
		TEST(fragments_of_icmp_and_without_checksum_are_dropped),
	};
	int failed = cmocka_run_group_tests_name("xlat sizes, native", tests, prog_group_setup,
						 prog_group_teardown);

	return failed + cmocka_run_group_tests_name("xlat sizes, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
