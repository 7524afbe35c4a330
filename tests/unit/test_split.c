/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets larger than an MTU: their parts, put together again, are the packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "core/split.h"

#include "../lib/pkt.h"

static uint8_t payload[3000];

static void packet(struct pkt *p, struct pkt_spec s)
{
	s.src = "192.0.2.2";
	s.dst = "198.51.100.2";
	s.proto = PKT_UDP;
	s.ip_id = 77;
	s.no_df = true;
	s.payload = payload;
	if (!s.payload_len)
		s.payload_len = 1400;
	pkt_build(p, &s);
}

/* Take the parts; each must be what an independent splitter makes of the whole. */
static unsigned int compare(const struct pkt *whole, size_t mtu, uint32_t id)
{
	bool v6 = pkt_data(whole)[PKT_L3] >> 4 == 6;
	size_t len = pkt_l3_len(whole), off = 0, n, hlen = v6 ? 48 : 20, was = v6 ? 40 : 20;
	uint8_t part[PKT_CAP];
	unsigned int parts = 0;
	struct split s;

	assert_int_equal(split_begin(pkt_data(whole) + PKT_L3, len, mtu, id, &s), 0);
	while ((n = split_next(&s, part, sizeof(part)))) {
		struct pkt expected;

		assert_true(n <= mtu);
		pkt_fragment(&expected, whole, off, (mtu - hlen) & ~7UL, id);
		assert_int_equal(n, expected.len - PKT_L3);
		assert_memory_equal(part, pkt_data(&expected) + PKT_L3, n);
		off += n - hlen;
		parts++;
	}
	assert_int_equal(off, len - was);
	return parts;
}

/* RFC 791 3.2 */
static void parts_are_the_whole(void **state)
{
	struct pkt p;

	(void)state;
	for (size_t mtu = 28; mtu < 1500; mtu += 13) {
		packet(&p, (struct pkt_spec){0});
		compare(&p, mtu, 77);
	}
	packet(&p, (struct pkt_spec){.payload_len = 1472});
	assert_int_equal(compare(&p, 1500, 77), 1);
	packet(&p, (struct pkt_spec){.payload_len = 1473});
	assert_int_equal(compare(&p, 1500, 77), 2);
}

/* RFC 8200 4.5, of packets that were IPv4 ones (RFC 7915 4) */
static void parts_of_ip6_are_the_whole(void **state)
{
	struct pkt p;

	(void)state;
	PKT(&p, .src = "2001:db8::1", .dst = "2001:db8::2", .proto = PKT_UDP, .payload = payload,
	    .payload_len = 1400);
	for (size_t mtu = 56; mtu < 1448; mtu += 13)
		compare(&p, mtu, 0x80001234);
}

static void fragments_of_ip6_keep_their_datagram(void **state)
{
	struct pkt p, first, expected;
	uint8_t part[PKT_CAP];
	struct split s;
	size_t n;

	(void)state;
	PKT(&p, .src = "2001:db8::1", .dst = "2001:db8::2", .proto = PKT_UDP, .payload = payload,
	    .payload_len = 2000);
	pkt_fragment(&first, &p, 0, 1480, 77);
	assert_int_equal(split_begin(pkt_data(&first) + PKT_L3, pkt_l3_len(&first), 1280, 5, &s),
			 0);
	n = split_next(&s, part, sizeof(part));
	pkt_fragment(&expected, &p, 0, 1232, 77);
	assert_int_equal(n, pkt_l3_len(&expected));
	assert_memory_equal(part, pkt_data(&expected) + PKT_L3, n);
	n = split_next(&s, part, sizeof(part));
	pkt_fragment(&expected, &p, 1232, 1480 - 1232, 77);
	assert_int_equal(n, pkt_l3_len(&expected));
	assert_memory_equal(part, pkt_data(&expected) + PKT_L3, n);
	assert_int_equal(split_next(&s, part, sizeof(part)), 0);
}

static void fragments_can_be_fragmented(void **state)
{
	uint8_t part[PKT_CAP];
	struct split s;
	struct pkt p;
	size_t n;

	(void)state;
	packet(&p, (struct pkt_spec){.frag = 0x2000 | 100});
	assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, pkt_l3_len(&p), 1000, 0, &s), 0);
	n = split_next(&s, part, sizeof(part));
	assert_int_equal(n, 996);
	assert_int_equal(part[6] << 8 | part[7], 0x2000 | 100);
	n = split_next(&s, part, sizeof(part));
	assert_int_equal(part[6] << 8 | part[7], 0x2000 | (100 + 976 / 8));
	assert_int_equal(split_next(&s, part, sizeof(part)), 0);
}

/* RFC 791 3.1: options with the copied flag stand in every fragment. */
static void options_are_copied_if_they_say_so(void **state)
{
	/* record route (not copied), NOP, security (copied) */
	static const uint8_t options[] = {7, 3, 4, 1, 0x82, 4, 0xaa, 0xbb};
	uint8_t part[PKT_CAP];
	struct split s;
	struct pkt p;

	(void)state;
	packet(&p, (struct pkt_spec){.options = options, .options_len = sizeof(options)});
	assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, pkt_l3_len(&p), 800, 0, &s), 0);
	assert_true(split_next(&s, part, sizeof(part)));
	assert_int_equal(part[0], 0x47);
	assert_memory_equal(part + 20, options, sizeof(options));
	assert_true(split_next(&s, part, sizeof(part)));
	assert_int_equal(part[0], 0x46);
	assert_memory_equal(part + 20, options + 4, 4);
	assert_int_equal(pkt_checksum(part, 24, 0), 0);
}

static void what_cannot_be_split_is_refused(void **state)
{
	struct split s;
	struct pkt p;

	(void)state;
	packet(&p, (struct pkt_spec){.frag = 0x4000});
	assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, pkt_l3_len(&p), 1000, 0, &s),
			 -EMSGSIZE);
	packet(&p, (struct pkt_spec){0});
	assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, pkt_l3_len(&p), 27, 0, &s), -EMSGSIZE);
	for (size_t len = 0; len < pkt_l3_len(&p); len++)
		assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, len, 1000, 0, &s), -EBADMSG);
	PKT(&p, .src = "2001:db8::1", .dst = "2001:db8::2", .proto = PKT_UDP);
	assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, pkt_l3_len(&p), 55, 0, &s), -EMSGSIZE);
	for (size_t len = 0; len < pkt_l3_len(&p); len++)
		assert_int_equal(split_begin(pkt_data(&p) + PKT_L3, len, 1000, 0, &s), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_the_whole),
		cmocka_unit_test(parts_of_ip6_are_the_whole),
		cmocka_unit_test(fragments_of_ip6_keep_their_datagram),
		cmocka_unit_test(fragments_can_be_fragmented),
		cmocka_unit_test(options_are_copied_if_they_say_so),
		cmocka_unit_test(what_cannot_be_split_is_refused),
	};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
