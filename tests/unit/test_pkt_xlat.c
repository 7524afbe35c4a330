/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation between IPv4 and IPv6, compiled natively: packets rewritten against packets that were
 * built translated, and back.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/xlat.h"
#include "../lib/pkt.h"

#define ID 0xbeef

static struct fq_addr address(const char *text)
{
	struct fq_addr a;
	uint32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		addr_set4(&a, v4);
	else
		assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

/* Sum up an L4 packet whose checksum field holds the pseudo header's sum. */
static void complete(uint8_t *l4, const struct fq_pkt *f, uint16_t *check)
{
	uint16_t value = bpf_htons(pkt_checksum(l4, f->l4_len, 0));

	*check = f->tuple.proto == FQ_PROTO_UDP ? csum_udp_nonzero(value) : value;
}

/* Do what the hook does: parse, plan, write L4 in place and a header before it. */
static void translate(const struct pkt *from, const char *src, const char *dst, uint16_t port,
		      uint8_t dir, struct pkt *to)
{
	struct fq_plan plan = {
		.src = address(src),
		.dst = address(dst),
		.port = bpf_htons(port),
		.dir = dir,
		.ip_id = htons(ID),
	};
	const uint8_t *data = pkt_data(from);
	uint8_t *l3 = pkt_data(to) + PKT_L3, *l4;
	struct xlat_head head;
	struct fq_pkt f = {0};
	size_t hlen;
	bool made;

	plan.family = addr_family(&plan.dst);
	assert_int_equal(parse_frame(data, data + from->len, &f), FQ_OK);
	assert_int_not_equal(f.family, plan.family);
	xlat_head(&f, &plan, &head);
	hlen = xlat_hlen(plan.family, f.frag);
	l4 = l3 + hlen;

	memcpy(pkt_data(to), data, PKT_L3);
	*(uint16_t *)(l3 - 2) = htons(plan.family == FQ_AF_INET ? ETH_P_IP : ETH_P_IPV6);
	memcpy(l4, data + f.l4_off, from->len - f.l4_off);
	to->len = from->len - f.l4_off + PKT_L3 + hlen;
	if (plan.family == FQ_AF_INET)
		xlat_ip4(&head, (struct fq_ip4 *)l3);
	else
		xlat_ip6(&head, (struct fq_ip6 *)l3);
	if (xlat_rewrite_l4(&f, &plan, l4, (uint16_t *)(l4 + nat_check_off(f.tuple.proto)),
			    (__be16 *)(l4 + nat_port_off(f.tuple.proto, dir)), &made))
		complete(l4, &f, (uint16_t *)(l4 + nat_check_off(f.tuple.proto)));
	assert_int_equal(xlat_len(&f, f.l3_len, plan.family), pkt_l3_len(to));
}

static const struct side {
	const char *src, *dst;
} SIDES[] = {
	{"192.0.2.2", "100.96.0.9"},
	{"2001:db8:1::2", "fd00:2021:1111:8000::9"},
};

/* What a packet of @s becomes on the other side. */
static void expected_of(struct pkt_spec s, bool to_v6, uint16_t port, struct pkt *ret)
{
	s.src = SIDES[to_v6].src;
	s.dst = SIDES[to_v6].dst;
	s.ttl--;
	s.flow_label = 0;
	if (s.proto == PKT_ICMP || !s.reply)
		s.sport = port;
	else
		s.dport = port;
	s.csum = s.csum == PKT_CSUM_ZERO && !to_v6 ? PKT_CSUM_ZERO : PKT_CSUM_FULL;
	s.ip_id = ID;
	s.no_df = true;
	s.options_len = s.ext_len = 0;
	pkt_build(ret, &s);
	if (!to_v6 && pkt_l3_len(ret) > 1260) {
		s.no_df = false;
		s.ip_id = 0;
		pkt_build(ret, &s);
	}
}

static void check(struct pkt_spec s, bool to_v6, uint16_t port)
{
	struct pkt p, got, expected;

	s.src = SIDES[!to_v6].src;
	s.dst = SIDES[!to_v6].dst;
	pkt_build(&p, &s);
	expected_of(s, to_v6, port, &expected);

	translate(&p, SIDES[to_v6].src, SIDES[to_v6].dst, port, s.reply ? FQ_DIR_IN : FQ_DIR_OUT,
		  &got);

	pkt_assert_equal(&got, &expected);
}

/* RFC 7915 4.1, 4.5, 5.1, 5.5 */
static void random_packets_are_rewritten_as_if_built_so(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	static const enum pkt_csum csums[] = {PKT_CSUM_FULL, PKT_CSUM_FULL, PKT_CSUM_FULL,
					      PKT_CSUM_PARTIAL, PKT_CSUM_ZERO};
	uint8_t payload[64];
	uint32_t seed = 7;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct pkt_spec s = {
			.proto = protocols[i / 4 % 3],
			.sport = pkt_random(&seed),
			.dport = pkt_random(&seed),
			.ttl = 2 + pkt_random(&seed) % 254,
			.tos = pkt_random(&seed),
			.flow_label = pkt_random(&seed) & 0xfffff,
			.ip_id = pkt_random(&seed),
			.no_df = pkt_random(&seed) & 1,
			.seq = pkt_random(&seed),
			.reply = i / 2 % 2,
			.payload = payload,
			.payload_len = pkt_random(&seed) % sizeof(payload),
			.csum = csums[pkt_random(&seed) % 5],
		};

		for (size_t n = 0; n < sizeof(payload); n++)
			payload[n] = pkt_random(&seed);
		if (s.proto == PKT_ICMP || (s.proto == PKT_TCP && s.csum == PKT_CSUM_ZERO))
			s.csum = PKT_CSUM_FULL;
		check(s, i % 2, pkt_random(&seed));
	}
}

/* RFC 7915 4.1, 5.1: all eight bits, ECN among them, both ways. */
static void every_traffic_class_is_kept(void **state)
{
	(void)state;
	for (unsigned int tos = 0; tos < 256; tos++) {
		struct pkt_spec s = {
			.proto = PKT_UDP, .sport = 1, .dport = 2, .ttl = 9, .tos = tos};

		check(s, true, 3);
		check(s, false, 3);
	}
}

/* RFC 768: also where the sum comes out as 0, whichever words make it so. */
static void udp_checksum_is_never_zero(void **state)
{
	unsigned int zeros = 0;

	(void)state;
	for (unsigned int n = 0; n < 65536; n++) {
		const uint8_t payload[] = {n >> 8, n & 0xff};
		struct pkt_spec s = {.proto = PKT_UDP,
				     .sport = 4000,
				     .dport = 53,
				     .ttl = 64,
				     .payload = payload,
				     .payload_len = sizeof(payload)};
		struct pkt p;

		check(s, true, 4001);
		check(s, false, 4001);
		expected_of(s, false, 4001, &p);
		zeros += memcmp(pkt_data(&p) + PKT_L3 + 26, "\xff\xff", 2) == 0;
	}
	assert_int_equal(zeros, 1);
}

/* RFC 7915 5.1: DF from 1261 bytes on, and then no identification. */
static void df_is_set_above_1260_bytes(void **state)
{
	static uint8_t payload[1400];

	(void)state;
	for (size_t len = 1260 - 28 - 4; len <= 1260 - 28 + 4; len++) {
		struct pkt_spec s = {
			.proto = PKT_UDP, .ttl = 64, .payload = payload, .payload_len = len};

		check(s, false, 1);
		check(s, true, 1);
	}
}

/* RFC 7915 4.1: options are ignored; 5.1: extension headers are skipped. */
static void options_and_extension_headers_are_left_out(void **state)
{
	static const uint8_t router_alert[] = {148, 4, 0, 0};
	static const uint8_t padn[] = {17, 0, 1, 4, 0, 0, 0, 0};

	(void)state;
	check((struct pkt_spec){.proto = PKT_UDP,
				.ttl = 64,
				.options = router_alert,
				.options_len = sizeof(router_alert)},
	      true, 1);
	check((struct pkt_spec){.proto = PKT_UDP,
				.ttl = 64,
				.ext = padn,
				.ext_len = sizeof(padn),
				.ext_first = 60},
	      false, 1);
}

/* What happens to a packet there and back: nothing, but for what one of the versions lacks. */
static void there_and_back_is_the_same_packet(void **state)
{
	static const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	uint32_t seed = 11;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		bool v6 = i % 2;
		struct pkt_spec s = {
			.src = SIDES[v6].src,
			.dst = SIDES[v6].dst,
			.proto = protocols[i / 2 % 3],
			.sport = pkt_random(&seed),
			.dport = pkt_random(&seed),
			.ttl = 3 + pkt_random(&seed) % 253,
			.tos = pkt_random(&seed),
			.ip_id = ID,
			.no_df = true,
		};
		struct pkt p, over, back;

		pkt_build(&p, &s);
		translate(&p, SIDES[!v6].src, SIDES[!v6].dst, pkt_random(&seed), FQ_DIR_OUT, &over);
		translate(&over, SIDES[v6].src, SIDES[v6].dst, s.sport, FQ_DIR_OUT, &back);

		s.ttl -= 2;
		pkt_build(&p, &s);
		pkt_assert_equal(&back, &p);
	}
}

/* RFC 7915 4.1, 5.1.1: a Fragment header and the IPv4 header's fields say the same. */
static void fragments_keep_offset_and_flag(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 0x4000; i++) {
		struct xlat_head h = {
			.src = address("192.0.2.1"),
			.dst = address("192.0.2.2"),
			.id = htonl(0x5678),
			.frag_off = (i >> 1) * 8,
			.frag = (i >> 1 ? FQ_FRAG_LATER : FQ_FRAG_FIRST) |
				(i & 1 ? FQ_FRAG_MORE : 0),
			.payload = 1400,
			.proto = PKT_UDP,
		};
		struct fq_ip6_frag frag;
		struct fq_ip6 ip6;
		struct fq_ip4 ip4;

		xlat_ip4(&h, &ip4);
		assert_int_equal(ntohs(ip4.frag_off), (i & 1) << 13 | i >> 1);
		assert_int_equal(ntohs(ip4.id), 0x5678);
		assert_int_equal(pkt_checksum(&ip4, sizeof(ip4), 0), 0);

		xlat_ip6(&h, &ip6);
		xlat_ip6_frag(&h, &frag);
		assert_int_equal(ip6.next_header, 44);
		assert_int_equal(ntohs(ip6.payload_len), 1408);
		assert_int_equal(frag.next_header, PKT_UDP);
		assert_int_equal(frag.reserved, 0);
		assert_int_equal(ntohs(frag.off), (i >> 1) << 3 | (i & 1));
		assert_int_equal(ntohl(frag.id), 0x5678);
	}
}

/* RFC 7915 4.1: only a source route that is not used up is refused. */
static void source_routes_in_use_are_found(void **state)
{
	static const struct {
		uint8_t options[12];
		unsigned int len;
		bool refused;
	} rows[] = {
		{{0}, 0, false},
		{{1, 1, 1, 0}, 4, false},
		{{131, 7, 4, 192, 0, 2, 1, 0}, 8, true},
		{{137, 7, 4, 192, 0, 2, 1, 0}, 8, true},
		{{131, 7, 8, 192, 0, 2, 1, 0}, 8, false}, /* used up */
		{{137, 7, 8, 192, 0, 2, 1, 0}, 8, false},
		{{1, 131, 7, 4, 192, 0, 2, 1}, 8, true},
		{{148, 4, 0, 0, 131, 3, 4, 0}, 8, false},
		{{148, 4, 0, 0, 131, 7, 4, 1, 2, 3, 4, 0}, 12, true},
		{{0, 131, 7, 4, 192, 0, 2, 1}, 8, false}, /* behind the end */
		{{7, 7, 131, 7, 4, 2, 1, 0}, 8, false},   /* inside another one */
		{{148, 1, 0, 0}, 4, true},                /* cannot be read */
		{{148, 5, 0, 0}, 4, true},
		{{131, 2, 0, 0}, 4, true},
		{{1, 1, 1, 131}, 4, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[48 + 8] = {0};

		memcpy(bytes, rows[i].options, rows[i].len);
		assert_int_equal(xlat_source_routed(bytes, bytes + rows[i].len + 8, rows[i].len),
				 rows[i].refused);
	}
}

/* RFC 7915 4.2, 5.2: all MTUs; nothing over- or underflows. */
static void every_mtu_is_corrected_by_20_within_bounds(void **state)
{
	(void)state;
	for (uint32_t mtu = 0; mtu < 65536; mtu++) {
		uint32_t to4 = mtu < 88 ? 68 : mtu - 20;
		uint32_t to6 = mtu + 20 < 1280 ? 1280 : mtu + 20 > 65535 ? 65535 : mtu + 20;

		assert_int_equal(xlat_mtu(mtu, FQ_AF_INET, 0), to4);
		assert_int_equal(xlat_mtu(mtu, FQ_AF_INET6, 0), to6);
		/* Of a fragment: it grows by 28. */
		assert_int_equal(xlat_mtu(mtu, FQ_AF_INET, FQ_FRAG_FIRST),
				 mtu < 96 ? 68 : mtu - 28);
	}
}

/* A packet that grows beyond what a length field can say is too long for every link. */
static void growth_beyond_16_bits_is_too_long(void **state)
{
	const struct fq_pkt p = {.family = FQ_AF_INET, .l3_off = 14, .l4_off = 34};
	const struct fq_pkt f = {
		.family = FQ_AF_INET, .l3_off = 14, .l4_off = 34, .frag = FQ_FRAG_FIRST};

	(void)state;
	for (uint32_t len = 20; len < 65536; len++) {
		assert_int_equal(xlat_len(&p, len, FQ_AF_INET6),
				 len + 20 > 65535 ? 65535 : len + 20);
		assert_int_equal(xlat_len(&f, len, FQ_AF_INET6),
				 len + 28 > 65535 ? 65535 : len + 28);
		assert_int_equal(xlat_len(&p, len, FQ_AF_INET), len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packets_are_rewritten_as_if_built_so),
		cmocka_unit_test(every_traffic_class_is_kept),
		cmocka_unit_test(udp_checksum_is_never_zero),
		cmocka_unit_test(df_is_set_above_1260_bytes),
		cmocka_unit_test(options_and_extension_headers_are_left_out),
		cmocka_unit_test(there_and_back_is_the_same_packet),
		cmocka_unit_test(fragments_keep_offset_and_flag),
		cmocka_unit_test(source_routes_in_use_are_found),
		cmocka_unit_test(every_mtu_is_corrected_by_20_within_bounds),
		cmocka_unit_test(growth_beyond_16_bits_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
