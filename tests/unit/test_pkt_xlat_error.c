/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors between IPv4 and IPv6: every type, code and pointer in both directions, against lists
 * written from the figures and lists of RFC 7915.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../bpf/xlat_error.h"

#define TOTAL 1500 /* length of the packet that the errors are about */

/* A message in full, its last four bytes in host order. */
struct message {
	int type, code;
	uint32_t rest;
};

static const struct message NONE = {-1, -1, 0};

static struct message got4(uint8_t type, uint8_t code, uint32_t rest, uint16_t total)
{
	struct xlat_icmp to = xlat_icmp4(type, code);
	__be32 word;

	if (!xlat_rest4(to.rest, htonl(rest), total, &word))
		return NONE;
	return (struct message){to.type, to.code, ntohl(word)};
}

static struct message got6(uint8_t type, uint8_t code, uint32_t rest)
{
	struct xlat_icmp to = xlat_icmp6(type, code);
	__be32 word;

	if (!xlat_rest6(to.rest, htonl(rest), &word))
		return NONE;
	return (struct message){to.type, to.code, ntohl(word)};
}

static void assert_message(struct message got, struct message expected)
{
	assert_int_equal(got.type, expected.type);
	assert_int_equal(got.code, expected.code);
	assert_int_equal(got.rest, expected.rest);
}

/* RFC 7915 figure 3: pointers, -1: not applicable. */
static int pointer4(unsigned int p)
{
	switch (p) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
	case 3:
		return 4;
	case 8:
		return 7;
	case 9:
		return 6;
	}
	if (p >= 12 && p <= 15)
		return 8;
	return p >= 16 && p <= 19 ? 24 : -1;
}

/* Figure 6 */
static int pointer6(uint32_t p)
{
	switch (p) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 4:
	case 5:
		return 2;
	case 6:
		return 9;
	case 7:
		return 8;
	}
	if (p >= 8 && p <= 23)
		return 12;
	return p >= 24 && p <= 39 ? 16 : -1;
}

/* RFC 7915 4.2, for a rest of 0 */
static struct message expected4(unsigned int type, unsigned int code)
{
	if (type == 11)
		return (struct message){3, code, 0};
	if (type == 12 && (code == 0 || code == 2))
		return (struct message){4, 0, 0};
	if (type != 3)
		return NONE;
	switch (code) {
	case 2:
		return (struct message){4, 1, 6};
	case 3:
		return (struct message){1, 4, 0};
	case 4:
		return (struct message){2, 0, 1492 + 20};
	case 9:
	case 10:
	case 13:
	case 15:
		return (struct message){1, 1, 0};
	case 0:
	case 1:
	case 5:
	case 6:
	case 7:
	case 8:
	case 11:
	case 12:
		return (struct message){1, 0, 0};
	}
	return NONE;
}

/* RFC 7915 5.2, for a rest of 0 */
static struct message expected6(unsigned int type, unsigned int code)
{
	switch (type) {
	case 1:
		if (code == 0 || code == 2 || code == 3)
			return (struct message){3, 1, 0};
		if (code == 1)
			return (struct message){3, 10, 0};
		return code == 4 ? (struct message){3, 3, 0} : NONE;
	case 2:
		return (struct message){3, 4, 68};
	case 3:
		return (struct message){11, code, 0};
	case 4:
		if (code == 0)
			return (struct message){12, 0, 0};
		return code == 1 ? (struct message){3, 2, 0} : NONE;
	}
	return NONE;
}

/* RFC 7915 4.2 */
static void every_icmpv4_error_has_its_icmpv6_error(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 256; type++)
		for (unsigned int code = 0; code < 256; code++)
			assert_message(got4(type, code, 0, TOTAL), expected4(type, code));
}

/* RFC 7915 5.2 */
static void every_icmpv6_error_has_its_icmpv4_error(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 256; type++)
		for (unsigned int code = 0; code < 256; code++)
			assert_message(got6(type, code, 0), expected6(type, code));
}

/* RFC 7915 figures 3 and 6; the other three bytes of ICMPv4 say nothing. */
static void every_pointer_points_to_the_same_field(void **state)
{
	static const uint32_t far[] = {256, 65536, 0x01000000, 0xffffffff};

	(void)state;
	for (unsigned int p = 0; p < 256; p++) {
		int to6 = pointer4(p), to4 = pointer6(p);

		assert_message(got4(12, 0, p << 24 | 0xabcdef, TOTAL),
			       to6 < 0 ? NONE : (struct message){4, 0, to6});
		assert_message(got4(12, 2, p << 24, TOTAL),
			       to6 < 0 ? NONE : (struct message){4, 0, to6});
		assert_message(got6(4, 0, p),
			       to4 < 0 ? NONE : (struct message){12, 0, (uint32_t)to4 << 24});
	}
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_message(got6(4, 0, far[i]), NONE);
}

/* RFC 7915 4.2, 6: 20 more, but an IPv6 host is told of no MTU below 1280. */
static void every_mtu_of_icmpv4_is_corrected(void **state)
{
	(void)state;
	for (uint32_t mtu = 1; mtu < 65536; mtu++) {
		uint32_t to = mtu + 20 < 1280 ? 1280 : mtu + 20 > 65535 ? 65535 : mtu + 20;

		assert_message(got4(3, 4, 0xabcd0000 | mtu, TOTAL), (struct message){2, 0, to});
	}
}

/* RFC 7915 4.2, RFC 1191 7.1: the greatest plateau below the packet's length. */
static void missing_mtu_is_the_next_plateau(void **state)
{
	static const uint32_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492};

	(void)state;
	for (uint32_t total = 0; total < 65536; total++) {
		uint32_t mtu = 1280 - 20;

		for (unsigned int i = 6; i-- > 0;)
			if (plateaus[i] < total)
				mtu = plateaus[i];
		if (mtu < 1280 && total > 1280)
			mtu = 1280;
		assert_message(got4(3, 4, 0, total), (struct message){2, 0, mtu + 20});
	}
}

/* RFC 7915 5.2: 20 less, in the 16 bits that IPv4 has. */
static void every_mtu_of_icmpv6_is_corrected(void **state)
{
	static const uint32_t far[] = {65536, 0x7fffffff, 0x80000000, 0xffffffff};

	(void)state;
	for (uint32_t mtu = 0; mtu < 65536; mtu++)
		assert_message(got6(2, 0, mtu), (struct message){3, 4, mtu < 88 ? 68 : mtu - 20});
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_message(got6(2, 0, far[i]), (struct message){3, 4, 65515});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_icmpv4_error_has_its_icmpv6_error),
		cmocka_unit_test(every_icmpv6_error_has_its_icmpv4_error),
		cmocka_unit_test(every_pointer_points_to_the_same_field),
		cmocka_unit_test(every_mtu_of_icmpv4_is_corrected),
		cmocka_unit_test(missing_mtu_is_the_next_plateau),
		cmocka_unit_test(every_mtu_of_icmpv6_is_corrected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
