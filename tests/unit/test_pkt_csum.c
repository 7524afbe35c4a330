/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksum arithmetic of the packet path, compiled natively: incremental updates against full sums
 * by another implementation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/csum.h"
#include "../lib/pkt.h"

/* Words in packet order, and their complemented sum as it would stand in a packet. */
static uint16_t full(const uint16_t *words, size_t n)
{
	return bpf_htons(pkt_checksum(words, n * 2, 0));
}

/* The same value in one's complement arithmetic: 0 and 0xffff are both zero. */
static void assert_same_sum(uint16_t a, uint16_t b)
{
	if ((a == 0 || a == 0xffff) && (b == 0 || b == 0xffff))
		return;
	assert_int_equal(a, b);
}

static void fold_equals_modulo_65535(void **state)
{
	uint32_t seed = 1;

	(void)state;
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_fold(0xffff), 0xffff);
	assert_int_equal(csum_fold(0x10000), 1);
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	for (int i = 0; i < 100000; i++) {
		uint64_t sum = (uint64_t)pkt_random(&seed) << 32 | pkt_random(&seed);

		assert_int_equal(csum_fold(sum) % 65535, sum % 65535);
		assert_int_not_equal(csum_fold(sum), 0);
	}
}

/* RFC 1624 4: the example, where the older equation gives 0xffff. */
static void rfc1624_section_4_example(void **state)
{
	(void)state;
	assert_int_equal(csum_update(0xdd2f, csum_diff16(0x5555, 0x3285)), 0x0000);
}

/* Every new value of a word, from a few old ones, byte-exact as long as the sum is not zero. */
static void update_equals_full_sum_for_every_word(void **state)
{
	static const uint16_t old[] = {0x0000, 0x0001, 0x00ff, 0x1234, 0x8000, 0xfffe, 0xffff};

	(void)state;
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		for (uint32_t to = 0; to <= 0xffff; to++) {
			uint16_t words[] = {0x4500, old[i], 0x0102, 0xabcd};
			uint16_t before = full(words, 4), after;

			words[1] = to;
			after = csum_update(before, csum_diff16(old[i], to));
			assert_int_equal(after, full(words, 4));
		}
	}
}

/* Several words at once, as 32-bit ones, at any place. */
static void differences_add_up(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t words[6], to[2];
		uint16_t before, after;

		for (int n = 0; n < 6; n++)
			words[n] = pkt_random(&seed);
		to[0] = pkt_random(&seed);
		to[1] = i % 3 ? pkt_random(&seed) : 0;
		before = full((uint16_t *)words, 12);
		after = csum_update(before,
				    csum_diff32(words[1], to[0]) + csum_diff32(words[4], to[1]));
		words[1] = to[0];
		words[4] = to[1];
		assert_same_sum(after, full((uint16_t *)words, 12));
	}
}

static void nothing_changed_changes_nothing(void **state)
{
	(void)state;
	for (uint32_t check = 1; check <= 0xfffe; check++)
		assert_int_equal(csum_update(check, csum_diff16(0x1234, 0x1234)), check);
}

static void addresses_of_both_families_are_summed(void **state)
{
	struct fq_addr a, b;
	uint32_t seed = 9;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		for (int n = 0; n < 4; n++) {
			a.w[n] = pkt_random(&seed);
			b.w[n] = pkt_random(&seed);
		}
		assert_same_sum(csum_fold(csum_addr(&a, FQ_AF_INET6)), ~full((uint16_t *)&a, 8));
		assert_same_sum(
			csum_update(full((uint16_t *)&a, 8), csum_diff_addr(&a, &b, FQ_AF_INET6)),
			full((uint16_t *)&b, 8));
		assert_same_sum(csum_update(full((uint16_t *)&a.w[3], 2),
					    csum_diff_addr(&a, &b, FQ_AF_INET)),
				full((uint16_t *)&b.w[3], 2));
	}
}

static void pseudo_header_is_that_of_the_rfcs(void **state)
{
	struct pkt p;
	struct fq_addr src, dst;

	(void)state;
	/* a packet whose checksum was computed elsewhere: everything sums up to ones */
	PKT(&p, .src = "2001:db8::1", .dst = "2001:db8::2", .proto = PKT_UDP, .sport = 1,
	    .dport = 2, .payload = "xy", .payload_len = 2);
	memcpy(&src, pkt_data(&p) + PKT_L3 + 8, 16);
	memcpy(&dst, pkt_data(&p) + PKT_L3 + 24, 16);
	assert_int_equal(csum_fold(csum_pseudo(&src, &dst, FQ_AF_INET6, PKT_UDP, 10) +
				   (uint16_t)~full((uint16_t *)(pkt_data(&p) + PKT_L3 + 40), 5)),
			 0xffff);
}

static void udp_zero_becomes_ones(void **state)
{
	(void)state;
	assert_int_equal(csum_udp_nonzero(0), 0xffff);
	assert_int_equal(csum_udp_nonzero(1), 1);
	assert_int_equal(csum_udp_nonzero(0xffff), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_equals_modulo_65535),
		cmocka_unit_test(rfc1624_section_4_example),
		cmocka_unit_test(update_equals_full_sum_for_every_word),
		cmocka_unit_test(differences_add_up),
		cmocka_unit_test(nothing_changed_changes_nothing),
		cmocka_unit_test(addresses_of_both_families_are_summed),
		cmocka_unit_test(pseudo_header_is_that_of_the_rfcs),
		cmocka_unit_test(udp_zero_becomes_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
