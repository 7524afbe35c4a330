/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser of the packet path, compiled natively: what it finds, what it refuses, and that it
 * reads nothing outside the frame (each frame lies at the end of memory of its own).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/parse.h"
#include "../lib/pkt.h"

#define SRC4 "192.0.2.1"
#define DST4 "198.51.100.1"
#define SRC6 "2001:db8::1"
#define DST6 "2001:db8::2"

/* Parse a copy that ends where the frame ends: sanitizers see any byte too many. */
static enum fq_reason parse(const struct pkt *p, struct fq_pkt *ret)
{
	uint8_t *copy = malloc(2 + p->len);
	enum fq_reason r;

	assert_non_null(copy);
	memcpy(copy + 2, pkt_data(p), p->len);
	*ret = (struct fq_pkt){0};
	r = parse_frame(copy + 2, copy + 2 + p->len, ret);
	free(copy);
	return r;
}

static void tcp_over_ipv4_is_understood(void **state)
{
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = SRC4, .dst = DST4, .proto = PKT_TCP, .sport = 1000, .dport = 443,
	    .tcp_flags = 0x13, .ttl = 9, .tos = 0xb8, .options = options, .options_len = 8,
	    .payload = "abc", .payload_len = 3, .pad = 10);
	assert_int_equal(parse(&p, &f), FQ_OK);

	assert_int_equal(f.family, FQ_AF_INET);
	assert_true(addr_is_mapped(&f.tuple.src) && addr_is_mapped(&f.tuple.dst));
	assert_memory_equal(&f.tuple.src.w[3], ((uint8_t[]){192, 0, 2, 1}), 4);
	assert_memory_equal(&f.tuple.dst.w[3], ((uint8_t[]){198, 51, 100, 1}), 4);
	assert_int_equal(f.tuple.proto, PKT_TCP);
	assert_int_equal(bpf_ntohs(f.sport), 1000);
	assert_int_equal(bpf_ntohs(f.dport), 443);
	assert_int_equal(f.tcp_flags, FQ_TCP_SYN | FQ_TCP_FIN | FQ_TCP_ACK);
	assert_int_equal(f.ttl, 9);
	assert_int_equal(f.tos, 0xb8);
	assert_int_equal(f.l3_len, 20 + 8 + 20 + 3);
	assert_int_equal(f.l4_off, 14 + 28);
	assert_int_equal(f.l4_len, 23);
}

static void udp_over_ipv6_is_understood(void **state)
{
	static const uint8_t ext[] = {60, 0, 1, 4, 0, 0, 0, 0, PKT_UDP, 0, 1, 4, 0, 0, 0, 0};
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_UDP, .sport = 53, .dport = 5353, .tos = 0x2b,
	    .flow_label = 0x12345, .ext = ext, .ext_len = sizeof(ext), .ext_first = 0);
	assert_int_equal(parse(&p, &f), FQ_OK);

	assert_int_equal(f.family, FQ_AF_INET6);
	assert_int_equal(bpf_ntohl(f.flowinfo), 0x02b12345);
	assert_int_equal(f.l4_off, 14 + 40 + 16);
	assert_int_equal(f.l4_len, 8 + 6);
	assert_int_equal(f.l3_len, 40 + 16 + 14);
}

static void echo_has_its_id_on_the_clients_side(void **state)
{
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = SRC4, .dst = DST4, .proto = PKT_ICMP, .sport = 77);
	assert_int_equal(parse(&p, &f), FQ_OK);
	assert_int_equal(f.echo_reply, 0);
	assert_int_equal(bpf_ntohs(f.sport), 77);
	assert_int_equal(f.dport, 0);
	PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_ICMP, .sport = 77, .reply = true);
	assert_int_equal(parse(&p, &f), FQ_OK);
	assert_int_equal(f.echo_reply, 1);
	assert_int_equal(bpf_ntohs(f.dport), 77);
	assert_int_equal(f.sport, 0);
}

/* The UDP length, not the IP length, is what the checksum covers (RFC 768). */
static void udp_checksum_covers_the_udp_length(void **state)
{
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = SRC4, .dst = DST4, .proto = PKT_UDP, .payload = "abcdef", .payload_len = 6);
	pkt_data(&p)[PKT_L3 + 25] = 8 + 4;
	assert_int_equal(parse(&p, &f), FQ_OK);
	assert_int_equal(f.l4_len, 12);
}

/* All 256 types, both versions: echo is ours, errors are errors, the rest is neither. */
static void icmp_types_are_classified(void **state)
{
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		bool error4 = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
		enum fq_reason r4 = type == 0 || type == 8 ? FQ_OK
				    : error4               ? FQ_R_ICMP_ERROR
							   : FQ_R_L4_UNSUPPORTED;
		enum fq_reason r6 = type == 128 || type == 129 ? FQ_OK
				    : type < 128               ? FQ_R_ICMP_ERROR
							       : FQ_R_L4_UNSUPPORTED;

		PKT(&p, .src = SRC4, .dst = DST4, .proto = PKT_ICMP);
		pkt_data(&p)[PKT_L3 + 20] = type;
		assert_int_equal(parse(&p, &f), r4);
		PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_ICMP);
		pkt_data(&p)[PKT_L3 + 40] = type;
		assert_int_equal(parse(&p, &f), r6);
	}
}

/* All protocol numbers: three are ours, and IPv4's ICMP is nothing to IPv6. */
static void protocols_are_classified(void **state)
{
	static const uint8_t walked[] = {0, 43, 44, 60};
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	for (unsigned int proto = 0; proto < 256; proto++) {
		bool ours = proto == PKT_TCP || proto == PKT_UDP;

		if (!ours && proto != PKT_ICMP) {
			PKT(&p, .src = SRC4, .dst = DST4, .proto = proto);
			assert_int_equal(parse(&p, &f), FQ_R_L4_UNSUPPORTED);
		}
		if (!ours && proto != 58 && !memchr(walked, proto, sizeof(walked))) {
			PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_TCP);
			pkt_data(&p)[PKT_L3 + 6] = proto;
			assert_int_equal(parse(&p, &f), FQ_R_L4_UNSUPPORTED);
		}
	}
}

/* The addresses are known before anything about the rest is judged: pipeline.h needs them. */
static void refused_packets_have_addresses_if_the_header_is_there(void **state)
{
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = SRC4, .dst = DST4, .proto = 132, .frag = 0x2000, .payload = "a unit..",
	    .payload_len = 8);
	assert_int_equal(parse(&p, &f), FQ_R_L4_UNSUPPORTED);
	assert_int_equal(f.family, FQ_AF_INET);
	PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_TCP);
	p.len -= 10;
	assert_int_equal(parse(&p, &f), FQ_R_MALFORMED);
	assert_int_equal(f.family, FQ_AF_INET6);
	pkt_data(&p)[PKT_L3] = 0x50;
	assert_int_equal(parse(&p, &f), FQ_R_MALFORMED);
	assert_int_equal(f.family, 0);
}

/* RFC 791 3.2, RFC 8200 4.5. First ones and later ones; the last may have any length. */
static void fragments_but_the_last_are_of_whole_units(void **state)
{
	static const uint8_t zeros[24];
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	for (size_t len = 0; len < sizeof(zeros); len++) {
		for (unsigned int i = 0; i < 4; i++) {
			const uint8_t more = i & 1, unit = i >> 1;
			uint8_t ext[8] = {17, 0, 0, unit << 3 | more, 0, 0, 0, 1};

			PKT(&p, .src = SRC6, .dst = DST6, .proto = PKT_UDP, .ext = ext,
			    .ext_len = 8, .ext_first = 44, .payload = zeros, .payload_len = len);
			assert_int_equal(parse(&p, &f), more && len % 8 ? FQ_R_MALFORMED : FQ_OK);
			if (!more && !unit) /* of IPv4: no fragment */
				continue;
			PKT(&p, .src = SRC4, .dst = DST4, .proto = PKT_UDP,
			    .frag = more << 13 | unit, .payload = zeros, .payload_len = len);
			assert_int_equal(parse(&p, &f), more && len % 8 ? FQ_R_MALFORMED : FQ_OK);
		}
	}
}

static void every_prefix_of_a_packet_is_malformed(void **state)
{
	static const uint8_t ext[] = {60, 0, 1, 4, 0, 0, 0, 0, PKT_TCP, 1, 1, 12,
				      0,  0, 0, 0, 0, 0, 0, 0, 0,       0, 0, 0};
	static const uint8_t options[40] = {1};
	const struct pkt_spec specs[] = {
		{.src = SRC4, .dst = DST4, .proto = PKT_TCP, .options = options, .options_len = 40},
		{.src = SRC4, .dst = DST4, .proto = PKT_ICMP},
		{.src = SRC6, .dst = DST6, .proto = PKT_TCP, .ext = ext, .ext_len = sizeof(ext)},
		{.src = SRC6, .dst = DST6, .proto = PKT_UDP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct fq_pkt f;
		struct pkt p;

		pkt_build(&p, &specs[i]);
		assert_int_equal(parse(&p, &f), FQ_OK);
		while (p.len-- > 0)
			assert_int_equal(parse(&p, &f), FQ_R_MALFORMED);
	}
}

static void random_bytes_are_survived(void **state)
{
	uint32_t seed = 0xfeed;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct pkt p = {.len = pkt_random(&seed) % 120};
		struct fq_pkt f;
		enum fq_reason r;

		for (size_t n = 0; n < p.len; n++)
			pkt_data(&p)[n] = pkt_random(&seed);
		if (p.len > 15 && i % 4) { /* otherwise hardly any would be IP */
			pkt_data(&p)[12] = i % 2 ? 0x08 : 0x86;
			pkt_data(&p)[13] = i % 2 ? 0x00 : 0xdd;
			pkt_data(&p)[14] = i % 2 ? 0x45 : 0x60;
		}
		r = parse(&p, &f);
		assert_in_range(r, FQ_OK, FQ_REASON_MAX - 1);
		if (r == FQ_OK) {
			assert_true(f.l4_off + f.l4_len <= p.len);
			assert_true(f.l3_len + (size_t)ETH_HLEN <= p.len);
		}
	}
}

static void special_addresses_are_recognised(void **state)
{
	static const struct {
		struct fq_addr addr;
		uint8_t family;
		bool multicast, nobody, link_local;
	} rows[] = {
		{{.b = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}}, FQ_AF_INET, false, false, false},
		{{.b = {[10] = 0xff, [11] = 0xff, 223, 255, 255, 255}},
		 FQ_AF_INET,
		 false,
		 false,
		 false},
		{{.b = {[10] = 0xff, [11] = 0xff, 224, 0, 0, 1}}, FQ_AF_INET, true, true, false},
		{{.b = {[10] = 0xff, [11] = 0xff, 239, 255, 255, 255}},
		 FQ_AF_INET,
		 true,
		 true,
		 false},
		{{.b = {[10] = 0xff, [11] = 0xff, 240, 0, 0, 1}}, FQ_AF_INET, false, true, false},
		{{.b = {[10] = 0xff, [11] = 0xff, 0, 0, 0, 0}}, FQ_AF_INET, false, true, false},
		{{.b = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}}, FQ_AF_INET, false, true, false},
		{{.b = {[10] = 0xff, [11] = 0xff, 169, 254, 9, 9}}, FQ_AF_INET, false, false, true},
		{{.b = {0x20, 0x01, 0x0d, 0xb8}}, FQ_AF_INET6, false, false, false},
		{{.b = {0xff, 0x02, [15] = 1}}, FQ_AF_INET6, true, true, false},
		{{.b = {0}}, FQ_AF_INET6, false, true, false},
		{{.b = {[15] = 1}}, FQ_AF_INET6, false, true, false},
		{{.b = {[15] = 2}}, FQ_AF_INET6, false, false, false},
		{{.b = {0xfe, 0x80, [15] = 1}}, FQ_AF_INET6, false, false, true},
		{{.b = {0xfe, 0xbf, [15] = 1}}, FQ_AF_INET6, false, false, true},
		{{.b = {0xfe, 0xc0, [15] = 1}}, FQ_AF_INET6, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(addr_is_multicast(&rows[i].addr, rows[i].family),
				 rows[i].multicast);
		assert_int_equal(addr_is_nobody(&rows[i].addr, rows[i].family), rows[i].nobody);
		assert_int_equal(addr_is_link_local(&rows[i].addr, rows[i].family),
				 rows[i].link_local);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_over_ipv4_is_understood),
		cmocka_unit_test(udp_over_ipv6_is_understood),
		cmocka_unit_test(echo_has_its_id_on_the_clients_side),
		cmocka_unit_test(udp_checksum_covers_the_udp_length),
		cmocka_unit_test(icmp_types_are_classified),
		cmocka_unit_test(protocols_are_classified),
		cmocka_unit_test(refused_packets_have_addresses_if_the_header_is_there),
		cmocka_unit_test(every_prefix_of_a_packet_is_malformed),
		cmocka_unit_test(fragments_but_the_last_are_of_whole_units),
		cmocka_unit_test(random_bytes_are_survived),
		cmocka_unit_test(special_addresses_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
