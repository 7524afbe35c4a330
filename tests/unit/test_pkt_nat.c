/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation, compiled natively: which ports are tried, and headers rewritten against packets that
 * were built translated.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/nat.h"
#include "../../bpf/parse.h"
#include "../lib/pkt.h"

static struct fq_addr mapped(const char *text)
{
	struct fq_addr a;
	uint32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		addr_set4(&a, v4);
	else
		assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

/* One's complement sum of the packet, 0 and 0xffff being one number. */
static uint32_t packet_sum(const struct pkt *p)
{
	return (uint16_t)~pkt_checksum(pkt_data(p) + ETH_HLEN, p->len - ETH_HLEN, 0) % 0xffff;
}

/* Do what the hook does: parse, plan, rewrite. What is said about the sum over the packet is true.
 */
static bool translate(struct pkt *p, const char *src, const char *dst, uint16_t port, uint8_t dir)
{
	struct fq_plan plan = {
		.src = mapped(src),
		.dst = mapped(dst),
		.port = bpf_htons(port),
		.dir = dir,
	};
	uint8_t *data = pkt_data(p), *l4;
	uint16_t *check, check_was;
	uint32_t sum = packet_sum(p);
	__be16 *port_at, port_was;
	struct fq_pkt f = {0};
	bool partial;

	assert_int_equal(parse_frame(data, data + p->len, &f), FQ_OK);
	l4 = data + f.l4_off;
	if (f.family == FQ_AF_INET)
		nat_rewrite_ip4(&f, &plan, (struct fq_ip4 *)(data + ETH_HLEN));
	else
		nat_rewrite_ip6(&f, &plan, (struct fq_ip6 *)(data + ETH_HLEN));
	check = (uint16_t *)(l4 + nat_check_off(f.tuple.proto));
	port_at = (__be16 *)(l4 + nat_port_off(f.tuple.proto, dir));
	check_was = *check;
	port_was = *port_at;
	partial = nat_rewrite_l4(&f, &plan, check, port_at);
	sum += bpf_ntohs(nat_sum_diff(
		&f, &plan, csum_diff16(check_was, *check) + csum_diff16(port_was, *port_at)));
	assert_int_equal(packet_sum(p), sum % 0xffff);
	return partial;
}

static void random_packets_are_rewritten_as_if_built_so(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	uint32_t seed = 3;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		bool v6 = i % 2, in = i / 2 % 2;
		uint8_t payload[32];
		struct pkt_spec s = {
			.src = v6 ? "2001:db8:1::2" : "192.0.2.2",
			.dst = v6 ? "fd00:2021:1111:8000::9" : "100.96.0.9",
			.proto = protocols[i / 4 % 3],
			.sport = pkt_random(&seed),
			.dport = pkt_random(&seed),
			.ttl = 2 + pkt_random(&seed) % 254,
			.tos = pkt_random(&seed),
			.ip_id = pkt_random(&seed),
			.reply = in,
			.payload = payload,
			.payload_len = pkt_random(&seed) % sizeof(payload),
			.csum = i % 7 == 0 ? PKT_CSUM_PARTIAL : PKT_CSUM_FULL,
		};
		uint16_t port = pkt_random(&seed);
		struct pkt p, expected;
		bool partial;

		for (size_t n = 0; n < sizeof(payload); n++)
			payload[n] = pkt_random(&seed);
		if (s.proto == PKT_ICMP)
			s.csum = PKT_CSUM_FULL;
		pkt_build(&p, &s);
		s.src = v6 ? "2001:db8:2::1" : "198.51.100.1";
		s.dst = v6 ? "2001:db8:2::2" : "198.51.100.2";
		s.ttl--;
		if (s.proto == PKT_ICMP || !in)
			s.sport = port;
		else
			s.dport = port;
		pkt_build(&expected, &s);

		partial = translate(&p, s.src, s.dst, port, in ? FQ_DIR_IN : FQ_DIR_OUT);

		/* One in 65536 complete checksums looks partial; none of this seed's does. */
		assert_int_equal(partial, s.csum == PKT_CSUM_PARTIAL);
		pkt_assert_equal(&p, &expected);
	}
}

static void udp_without_checksum_stays_without(void **state)
{
	struct pkt p, expected;

	(void)state;
	PKT(&p, .src = "192.0.2.2", .dst = "100.96.0.9", .proto = PKT_UDP, .csum = PKT_CSUM_ZERO);
	PKT(&expected, .src = "198.51.100.1", .dst = "198.51.100.2", .proto = PKT_UDP, .sport = 7,
	    .csum = PKT_CSUM_ZERO, .ttl = 63);
	assert_false(translate(&p, "198.51.100.1", "198.51.100.2", 7, FQ_DIR_OUT));
	pkt_assert_equal(&p, &expected);
}

/* RFC 4787 REQ-3: each port of the range once, none of what is left out. */
static void search_visits_every_port_once(void **state)
{
	static const struct {
		uint32_t lo, hi, skip_lo, skip_hi, usable;
	} rows[] = {
		{1024, 65535, 32768, 60999, 64512 - 28232},
		{1024, 65535, 1, 0, 64512}, /* nothing left out */
		{0, 65535, 1, 0, 65536},
		{40000, 50000, 32768, 60999, 0},
		{40000, 62000, 32768, 60999, 1001},
		{30000, 40000, 32768, 60999, 2768},
		{1024, 2000, 32768, 60999, 977}, /* apart */
		{61000, 62000, 32768, 60999, 1001},
		{5, 5, 1, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static uint8_t seen[65536];
		struct nat_ports n;

		memset(seen, 0, sizeof(seen));
		nat_ports_init(&n, rows[i].lo, rows[i].hi, rows[i].skip_lo, rows[i].skip_hi,
			       0xdeadbeef);
		assert_int_equal(n.usable, rows[i].usable);
		for (uint32_t k = 0; k < n.usable; k++) {
			uint32_t port = nat_port(&n, k);

			assert_true(nat_port_allowed(&n, port));
			assert_int_equal(seen[port]++, 0);
			assert_true(port >= rows[i].lo && port <= rows[i].hi);
			assert_false(port >= rows[i].skip_lo && port <= rows[i].skip_hi);
		}
		for (uint32_t port = 0; port < 65536; port++)
			assert_int_equal(nat_port_allowed(&n, port), seen[port]);
	}
}

/* RFC 6056: where the search begins is spread over the range. */
static void search_begins_anywhere(void **state)
{
	unsigned int quarter[4] = {0};

	(void)state;
	for (uint32_t i = 0; i < 4000; i++) {
		struct nat_ports n;

		nat_ports_init(&n, 1024, 65535, 1, 0, nat_finish(nat_mix(0x5eed, i)));
		quarter[(nat_port(&n, 0) - 1024) / 16128]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(quarter[i], 850, 1150);
}

static void address_pick_is_stable_and_in_range(void **state)
{
	struct fq_addr a = mapped("192.0.2.2");
	unsigned int seen[3] = {0};

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t pick;

		a.w[3] = i;
		pick = nat_pick(&a, 1, 3);
		assert_int_equal(pick, nat_pick(&a, 1, 3));
		assert_in_range(pick, 0, 2);
		seen[pick]++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packets_are_rewritten_as_if_built_so),
		cmocka_unit_test(udp_without_checksum_stays_without),
		cmocka_unit_test(search_visits_every_port_once),
		cmocka_unit_test(search_begins_anywhere),
		cmocka_unit_test(address_pick_is_stable_and_in_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
