/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation of ICMP errors, compiled natively. What comes out must be, byte for byte, the error
 * that the receiver would have got about the packet as it knows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/icmp_xlat.h"
#include "../lib/pkt.h"
#include "base/ipaddr.h"

#define CLIENT_PORT 5000
#define NAT_PORT    40001
#define PORT        443

/* A session, and a router on each side that sends errors. */
struct flow {
	const char *client, *proxy, *nat, *real, *inside, *outside;
	uint8_t proto;
};

#define FLOW4(p)                                                                         \
	{                                                                                \
		"192.0.2.2", "100.96.0.9", "198.51.100.1", "203.0.113.80", "192.0.2.77", \
			"198.51.100.33", p                                               \
	}
#define FLOW6(p)                                                                               \
	{                                                                                      \
		"2001:db8:1::2", "fd00:2021:1111:8000::9", "2001:db8:2::1", "2001:db8:99::80", \
			"2001:db8:1::77", "2001:db8:2::33", p                                  \
	}

static const struct flow FLOWS[] = {
	FLOW4(PKT_TCP), FLOW4(PKT_UDP), FLOW4(PKT_ICMP),
	FLOW6(PKT_TCP), FLOW6(PKT_UDP), FLOW6(PKT_ICMP),
};

#define FLOWS_COUNT (sizeof(FLOWS) / sizeof(FLOWS[0]))

static const struct {
	uint8_t type, length_words; /* RFC 4884: bytes in a unit of the length attribute; 0: none */
} TYPES4[] = {{3, 4}, {11, 4}, {12, 4}}, TYPES6[] = {{1, 8}, {2, 0}, {3, 8}, {4, 0}};

static bool is_v6(const struct flow *f)
{
	return strchr(f->client, ':') != NULL;
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

/*
 * The packet that an error is about. @known: as the error's receiver knows it, else as the sender
 * has seen it. What an error that comes in is about has gone out.
 */
static void about(struct pkt *p, const struct flow *f, enum fq_dir dir, bool known,
		  struct pkt_spec s)
{
	bool in = dir == FQ_DIR_IN;
	bool client_side = in == known;
	const char *inside = client_side ? f->client : f->nat;
	const char *peer = client_side ? f->proxy : f->real;
	uint16_t port = client_side ? CLIENT_PORT : NAT_PORT;

	s.proto = f->proto;
	s.src = in ? inside : peer;
	s.dst = in ? peer : inside;
	s.sport = in || f->proto == PKT_ICMP ? port : PORT;
	s.dport = in ? PORT : port;
	s.reply = !in;
	pkt_build(p, &s);
}

/* The error itself, before and after. */
static void error(struct pkt *p, const struct flow *f, enum fq_dir dir, bool known,
		  struct pkt_error e, struct pkt_spec s)
{
	bool in = dir == FQ_DIR_IN;
	struct pkt quoted;

	about(&quoted, f, dir, known, s);
	e.src = !known ? (in ? f->outside : f->inside) : in ? f->proxy : f->nat;
	e.dst = !known ? (in ? f->nat : f->proxy) : in ? f->client : f->real;
	e.ttl = known ? 63 : 64;
	e.dmac = PKT_MAC_GW_CLIENT;
	e.smac = PKT_MAC_CLIENT;
	pkt_build_error(p, &e, &quoted);
}

/* As icmp_path.h does it. */
static enum fq_reason read_error(struct icmp_xlat *x, struct fq_pkt *p, struct pkt *frame,
				 enum fq_dir dir)
{
	const uint8_t *data = pkt_data(frame);

	*p = (struct fq_pkt){0};
	assert_int_equal(parse_frame(data, data + frame->len, p), FQ_R_ICMP_ERROR);
	memset(x, 0xcc, sizeof(*x));
	x->len = p->l4_len < sizeof(x->message) ? p->l4_len : sizeof(x->message);
	x->family = p->family;
	x->dir = dir;
	memcpy(x->message, data + p->l4_off, x->len);
	return icmp_xlat_read(x);
}

static struct fq_tuple expected_key(const struct flow *f, enum fq_dir dir)
{
	struct fq_tuple key = {.proto = f->proto == PKT_ICMP && is_v6(f) ? 58 : f->proto};
	bool in = dir == FQ_DIR_IN;

	key.src = addr(in ? f->real : f->client);
	key.dst = addr(in ? f->nat : f->proxy);
	if (in || f->proto == PKT_TCP)
		key.dport = bpf_htons(in ? NAT_PORT : PORT);
	if (!in || f->proto == PKT_TCP)
		key.sport = bpf_htons(in ? PORT : CLIENT_PORT);
	return key;
}

static void assert_translated(const struct flow *f, enum fq_dir dir, struct pkt_error e,
			      struct pkt_spec s)
{
	bool in = dir == FQ_DIR_IN;
	struct fq_tuple key = expected_key(f, dir);
	struct fq_addr src = addr(in ? f->client : f->real), dst = addr(in ? f->proxy : f->nat);
	struct fq_plan plan = {.src = dst, .dst = src};
	struct pkt frame, expected;
	struct icmp_xlat x;
	struct fq_pkt p;
	uint8_t *l3 = pkt_data(&frame) + PKT_L3;

	error(&frame, f, dir, false, e, s);
	error(&expected, f, dir, true, e, s);
	assert_int_equal(read_error(&x, &p, &frame, dir), FQ_OK);
	assert_memory_equal(&x.key, &key, sizeof(key));
	assert_true(f->proto == PKT_ICMP || x.peer_port == bpf_htons(PORT));
	assert_true(icmp_xlat_header_valid(&x));

	icmp_xlat_rewrite(&x, &p, &plan, &src, &dst, bpf_htons(in ? CLIENT_PORT : NAT_PORT));
	if (is_v6(f))
		nat_rewrite_ip6(&p, &plan, (struct fq_ip6 *)l3);
	else
		nat_rewrite_ip4(&p, &plan, (struct fq_ip4 *)l3);
	memcpy(pkt_data(&frame) + p.l4_off, x.message, x.len);
	pkt_assert_equal(&frame, &expected);
}

static void assert_read(const struct flow *f, enum fq_dir dir, struct pkt_error e,
			struct pkt_spec s, enum fq_reason reason)
{
	struct icmp_xlat x;
	struct pkt frame;
	struct fq_pkt p;

	error(&frame, f, dir, false, e, s);
	assert_int_equal(read_error(&x, &p, &frame, dir), reason);
}

#define FOR_FLOWS(f, dir)                                                \
	for (const struct flow *f = FLOWS; f < FLOWS + FLOWS_COUNT; f++) \
		for (enum fq_dir dir = FQ_DIR_OUT; dir <= FQ_DIR_IN; dir++)

static struct pkt_error unreachable(const struct flow *f)
{
	return (struct pkt_error){.type = is_v6(f) ? 1 : 3, .code = 1};
}

/* I-01, I-02: every code of every type, the MTU and the pointer kept as they are. */
static void every_type_and_code_is_translated(void **state)
{
	(void)state;
	FOR_FLOWS(f, dir)
	{
		for (size_t i = 0; i < (is_v6(f) ? 4 : 3); i++) {
			struct pkt_error e = {.type = is_v6(f) ? TYPES6[i].type : TYPES4[i].type};

			for (int code = 0; code < 256; code++) {
				e.code = code;
				e.mtu = 1280 + code;
				e.word = code << 8;
				assert_translated(f, dir, e, (struct pkt_spec){0});
			}
		}
	}
}

/* Redirects, source quench and what does not exist are not translated. */
static void other_types_are_not_translated(void **state)
{
	static const uint8_t others4[] = {4, 5};

	(void)state;
	for (size_t i = 0; i < sizeof(others4); i++)
		assert_read(&FLOWS[0], FQ_DIR_IN, (struct pkt_error){.type = others4[i]},
			    (struct pkt_spec){0}, FQ_R_ICMP_ERROR);
	for (int type = 5; type < 128; type++)
		assert_read(&FLOWS[3], FQ_DIR_IN, (struct pkt_error){.type = type},
			    (struct pkt_spec){0}, FQ_R_ICMP_ERROR);
}

/* I-03, I-04: all lengths; checksums are right as far as they are quoted. */
static void eight_bytes_behind_the_header_are_enough(void **state)
{
	static const uint8_t payload[64] = "what nobody needs to know";
	struct pkt_spec s = {.payload = payload, .payload_len = sizeof(payload)};

	(void)state;
	FOR_FLOWS(f, dir)
	{
		size_t hlen = is_v6(f) ? 40 : 20;
		struct pkt_error e = unreachable(f);

		for (e.quote = 1; e.quote < hlen + 8; e.quote++)
			assert_read(f, dir, e, s, FQ_R_MALFORMED);
		for (; e.quote <= hlen + 8 + sizeof(payload); e.quote++) {
			/* half of a checksum: see below */
			if (f->proto != PKT_TCP || e.quote != hlen + 17)
				assert_translated(f, dir, e, s);
		}
	}
}

/* Half of a checksum is left as it is. */
static void half_a_checksum_stays(void **state)
{
	const struct flow *f = &FLOWS[0];
	const struct fq_addr src = addr(f->client), dst = addr(f->proxy);
	const struct fq_plan plan = {.src = dst, .dst = src};
	struct pkt_error e = {.src = f->proxy, .dst = f->client, .type = 3, .quote = 20 + 17};
	struct pkt frame, sent, known, expected;
	struct icmp_xlat x;
	struct fq_pkt p;

	(void)state;
	about(&sent, f, FQ_DIR_IN, false, (struct pkt_spec){0});
	about(&known, f, FQ_DIR_IN, true, (struct pkt_spec){0});
	pkt_data(&known)[PKT_L3 + 36] = pkt_data(&sent)[PKT_L3 + 36];
	pkt_build_error(&expected, &e, &known);
	e.src = f->outside;
	e.dst = f->nat;
	pkt_build_error(&frame, &e, &sent);
	assert_int_equal(read_error(&x, &p, &frame, FQ_DIR_IN), FQ_OK);
	icmp_xlat_rewrite(&x, &p, &plan, &src, &dst, bpf_htons(CLIENT_PORT));
	assert_memory_equal(x.message, pkt_data(&expected) + p.l4_off, x.len);
}

/* No more than a message's beginning is copied; a long one is translated as well. */
static void long_quotes_are_translated(void **state)
{
	static uint8_t payload[1400];
	struct pkt_spec s = {.payload = payload, .payload_len = sizeof(payload)};

	(void)state;
	memset(payload, 0xa5, sizeof(payload));
	FOR_FLOWS(f, dir)
	{
		struct pkt_error e = unreachable(f);

		for (e.quote = 500; e.quote <= 1400; e.quote += 9)
			assert_translated(f, dir, e, s);
	}
}

/* RFC 5508 REQ-3 b: options are stepped over. */
static void options_are_stepped_over(void **state)
{
	static const uint8_t options[40] = {7, 39, 4};

	(void)state;
	for (size_t len = 4; len <= sizeof(options); len += 4) {
		struct pkt_spec s = {.options = options, .options_len = len};

		for (size_t i = 0; i < 3; i++) {
			struct pkt_error e = {.type = 11, .quote = 20 + len + 8};

			assert_translated(&FLOWS[i], FQ_DIR_IN, e, s);
			assert_translated(&FLOWS[i], FQ_DIR_OUT, e, s);
			e.quote--;
			assert_read(&FLOWS[i], FQ_DIR_IN, e, s, FQ_R_MALFORMED);
		}
	}
}

static void extension_headers_are_stepped_over(void **state)
{
	static const uint8_t chain[] = {
		60, 0, 1, 4,  0, 0, 0, 0,                         /* hop-by-hop */
		43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* destination options */
		44, 0, 4, 0,  0, 0, 0, 0,                         /* routing, used up */
		0,  3, 0, 1,  0, 0, 0, 7, /* first fragment: the second byte is no length */
	};
	uint8_t ext[sizeof(chain)];

	(void)state;
	memcpy(ext, chain, sizeof(ext));
	for (size_t i = 3; i < FLOWS_COUNT; i++) {
		struct pkt_error e = {.type = 2, .mtu = 1280};
		struct pkt_spec s = {.ext = ext, .ext_len = sizeof(ext), .ext_first = 0};

		ext[32] = FLOWS[i].proto == PKT_ICMP ? 58 : FLOWS[i].proto;
		assert_translated(&FLOWS[i], FQ_DIR_IN, e, s);
		assert_translated(&FLOWS[i], FQ_DIR_OUT, e, s);
		for (e.quote = 41; e.quote < 40 + sizeof(ext) + 8; e.quote++)
			assert_read(&FLOWS[i], FQ_DIR_IN, e, s, FQ_R_MALFORMED);
		assert_translated(&FLOWS[i], FQ_DIR_IN, e, s);
	}
}

/* As long as they can be in packets that are translated; a TCP header begins at the very end. */
static void long_extension_headers_are_stepped_over(void **state)
{
	static uint8_t ext[480] = {PKT_TCP, sizeof(ext) / 8 - 1, 1, 4};
	struct pkt_spec s = {.ext = ext, .ext_len = 464, .ext_first = 60};
	struct pkt_error e = {.type = 1};

	(void)state;
	ext[1] = s.ext_len / 8 - 1;
	assert_translated(&FLOWS[3], FQ_DIR_IN, e, s);
	assert_translated(&FLOWS[3], FQ_DIR_OUT, e, s);
	s.ext_len = 472;
	ext[1] = s.ext_len / 8 - 1;
	assert_translated(&FLOWS[3], FQ_DIR_IN, e, s);
	s.ext_len = 480;
	ext[1] = s.ext_len / 8 - 1;
	assert_read(&FLOWS[3], FQ_DIR_IN, e, s, FQ_R_ICMP_ERROR);
}

static void only_first_fragments_tell_their_session(void **state)
{
	uint8_t fragment[] = {PKT_UDP, 0, 0, 1, 0, 0, 0, 9};
	struct pkt_spec v6 = {.ext = fragment, .ext_len = sizeof(fragment), .ext_first = 44};

	(void)state;
	assert_translated(&FLOWS[1], FQ_DIR_IN, unreachable(&FLOWS[1]),
			  (struct pkt_spec){.frag = 0x2000});
	assert_read(&FLOWS[1], FQ_DIR_IN, unreachable(&FLOWS[1]), (struct pkt_spec){.frag = 0x2001},
		    FQ_R_ICMP_ERROR);
	assert_read(&FLOWS[1], FQ_DIR_IN, unreachable(&FLOWS[1]), (struct pkt_spec){.frag = 0x1000},
		    FQ_R_ICMP_ERROR);
	assert_translated(&FLOWS[4], FQ_DIR_IN, unreachable(&FLOWS[4]), v6);
	fragment[2] = 0x01;
	assert_read(&FLOWS[4], FQ_DIR_IN, unreachable(&FLOWS[4]), v6, FQ_R_ICMP_ERROR);
	fragment[2] = 0;
	fragment[3] = 0x09;
	assert_read(&FLOWS[4], FQ_DIR_IN, unreachable(&FLOWS[4]), v6, FQ_R_ICMP_ERROR);
}

/* A packet with a hop still to come had another destination, and was never a session's. */
static void unfinished_routing_headers_tell_nothing(void **state)
{
	static const uint8_t ext[8] = {PKT_UDP, 0, 0, 1};

	(void)state;
	assert_read(&FLOWS[4], FQ_DIR_IN, unreachable(&FLOWS[4]),
		    (struct pkt_spec){.ext = ext, .ext_len = sizeof(ext), .ext_first = 43},
		    FQ_R_ICMP_ERROR);
}

/* RFC 5508 REQ-3 d, RFC 4884: extensions are carried along, and belong to nothing quoted. */
static void extensions_are_carried_along(void **state)
{
	static uint8_t payload[256];
	struct pkt_spec s = {.payload = payload, .payload_len = sizeof(payload)};
	struct icmp_xlat x;
	struct pkt frame;
	struct fq_pkt p;

	(void)state;
	FOR_FLOWS(f, dir)
	{
		struct pkt_error e = unreachable(f);

		e.quote = 128;
		e.extensions = 20;
		e.word = is_v6(f) ? 128 / 8 << 8 : 128 / 4;
		assert_translated(f, dir, e, s);
		error(&frame, f, dir, false, e, s);
		assert_int_equal(read_error(&x, &p, &frame, dir), FQ_OK);
		assert_int_equal(x.quote_len, 128);
	}
}

/* The end of the quote cuts a TCP header in two, before its checksum: 40 + 80 + 8 bytes. */
static void extensions_are_no_checksums(void **state)
{
	static const uint8_t ext[80] = {PKT_TCP, sizeof(ext) / 8 - 1, 1, 4};
	const struct pkt_spec s = {.ext = ext, .ext_len = sizeof(ext), .ext_first = 60};
	struct pkt_error e = {.type = 1, .quote = 128, .extensions = 20, .word = 128 / 8 << 8};

	(void)state;
	assert_translated(&FLOWS[3], FQ_DIR_IN, e, s);
	/* Where the MTU stands there is no length. */
	e = (struct pkt_error){.type = 2, .word = 128 / 8 << 8};
	assert_translated(&FLOWS[3], FQ_DIR_IN, e, s);
}

/* Bytes that were unused before RFC 4884 may hold anything. */
static void impossible_lengths_are_not_believed(void **state)
{
	(void)state;
	FOR_FLOWS(f, dir)
	{
		struct pkt_error e = unreachable(f);

		for (int length = 0; length < 256; length++) {
			e.word = is_v6(f) ? length << 8 : length;
			assert_translated(f, dir, e, (struct pkt_spec){0});
		}
	}
}

/* Padding behind a short packet is no part of it. */
static void padding_is_no_part_of_the_quote(void **state)
{
	static const uint8_t nothing[1];

	(void)state;
	FOR_FLOWS(f, dir)
	{
		struct pkt_error e = unreachable(f);

		e.extensions = 60;
		assert_translated(f, dir, e,
				  (struct pkt_spec){.payload = nothing, .payload_len = 0});
	}
}

/* RFC 768: no checksum stays none, and one that becomes 0 is 0xffff. */
static void udp_checksum_rules_are_kept(void **state)
{
	uint8_t payload[2];

	(void)state;
	for (size_t i = 1; i < FLOWS_COUNT; i += 3) {
		assert_translated(&FLOWS[i], FQ_DIR_IN, unreachable(&FLOWS[i]),
				  (struct pkt_spec){.csum = PKT_CSUM_ZERO});
		for (uint32_t n = 0; n < 0x10000; n++) {
			payload[0] = n >> 8;
			payload[1] = n & 0xff;
			assert_translated(&FLOWS[i], FQ_DIR_IN, unreachable(&FLOWS[i]),
					  (struct pkt_spec){.payload = payload, .payload_len = 2});
		}
	}
}

/* RFC 5508 REQ-3 a; every bit of the header counts, and nothing behind it. */
static void wrong_header_checksums_are_found(void **state)
{
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct pkt frame, broken;
	struct icmp_xlat x;
	struct fq_pkt p;

	(void)state;
	error(&frame, &FLOWS[1], FQ_DIR_IN, false, unreachable(&FLOWS[1]),
	      (struct pkt_spec){.options = options, .options_len = sizeof(options)});
	for (size_t bit = 0; bit < 36 * 8; bit++) {
		broken = frame;
		pkt_data(&broken)[PKT_L3 + 28 + bit / 8] ^= 1 << bit % 8;
		if (read_error(&x, &p, &broken, FQ_DIR_IN) != FQ_OK)
			continue;
		assert_int_equal(icmp_xlat_header_valid(&x), bit >= 28 * 8);
	}
}

/* What is quoted must be the kind of packet that sessions send that way. */
static void quotes_of_other_packets_tell_nothing(void **state)
{
	const struct flow other = {FLOWS[0].client,
				   FLOWS[0].proxy,
				   FLOWS[0].nat,
				   FLOWS[0].real,
				   FLOWS[0].inside,
				   FLOWS[0].outside,
				   47};
	struct flow mapped = FLOWS[4], icmp = FLOWS[2], icmp6 = FLOWS[5];
	struct pkt_spec type = {.icmp_type = 13}, type6 = {.icmp_type = 135};
	struct pkt_error e = {.type = 3};

	(void)state;
	assert_read(&other, FQ_DIR_IN, e,
		    (struct pkt_spec){.payload = "GRE packet", .payload_len = 10}, FQ_R_ICMP_ERROR);
	assert_read(&icmp, FQ_DIR_IN, e, type, FQ_R_ICMP_ERROR);
	assert_read(&icmp6, FQ_DIR_OUT, (struct pkt_error){.type = 1}, type6, FQ_R_ICMP_ERROR);
	type.icmp_type = 3; /* an error about an error */
	assert_read(&icmp, FQ_DIR_IN, e, type, FQ_R_ICMP_ERROR);
	mapped.real = "::ffff:203.0.113.80";
	assert_read(&mapped, FQ_DIR_IN, (struct pkt_error){.type = 1}, (struct pkt_spec){0},
		    FQ_R_MALFORMED);
}

/* A reply that is said to have gone out, a request that is said to have come in. */
static void echoes_have_their_direction(void **state)
{
	struct icmp_xlat x;
	struct pkt frame;
	struct fq_pkt p;

	(void)state;
	for (size_t i = 2; i < FLOWS_COUNT; i += 3) {
		error(&frame, &FLOWS[i], FQ_DIR_IN, false, unreachable(&FLOWS[i]),
		      (struct pkt_spec){0});
		assert_int_equal(read_error(&x, &p, &frame, FQ_DIR_OUT), FQ_R_ICMP_ERROR);
		error(&frame, &FLOWS[i], FQ_DIR_OUT, false, unreachable(&FLOWS[i]),
		      (struct pkt_spec){0});
		assert_int_equal(read_error(&x, &p, &frame, FQ_DIR_IN), FQ_R_ICMP_ERROR);
	}
}

/* The other version inside, a header length that lies, a packet shorter than its headers. */
static void lying_quotes_are_malformed(void **state)
{
	struct pkt frame, broken;
	struct icmp_xlat x;
	struct fq_pkt p;
	uint8_t *ip = pkt_data(&broken) + PKT_L3 + 28;

	(void)state;
	error(&frame, &FLOWS[1], FQ_DIR_IN, false, unreachable(&FLOWS[1]), (struct pkt_spec){0});
	broken = frame;
	ip[0] = 0x65;
	assert_int_equal(read_error(&x, &p, &broken, FQ_DIR_IN), FQ_R_MALFORMED);
	for (int ihl = 0; ihl < 16; ihl++) {
		broken = frame;
		ip[0] = 0x40 | ihl;
		assert_int_equal(read_error(&x, &p, &broken, FQ_DIR_IN) == FQ_R_MALFORMED,
				 ihl < 5 || ihl > 6); /* 34 bytes are quoted */
	}
	for (int len = 0; len < 28; len++) {
		broken = frame;
		ip[2] = 0;
		ip[3] = len;
		assert_int_equal(read_error(&x, &p, &broken, FQ_DIR_IN), FQ_R_MALFORMED);
	}
	error(&frame, &FLOWS[4], FQ_DIR_IN, false, unreachable(&FLOWS[4]), (struct pkt_spec){0});
	for (int len = 0; len < 8; len++) {
		broken = frame;
		pkt_data(&broken)[PKT_L3 + 48 + 5] = len;
		assert_int_equal(read_error(&x, &p, &broken, FQ_DIR_IN), FQ_R_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_and_code_is_translated),
		cmocka_unit_test(other_types_are_not_translated),
		cmocka_unit_test(eight_bytes_behind_the_header_are_enough),
		cmocka_unit_test(half_a_checksum_stays),
		cmocka_unit_test(long_quotes_are_translated),
		cmocka_unit_test(options_are_stepped_over),
		cmocka_unit_test(extension_headers_are_stepped_over),
		cmocka_unit_test(long_extension_headers_are_stepped_over),
		cmocka_unit_test(only_first_fragments_tell_their_session),
		cmocka_unit_test(unfinished_routing_headers_tell_nothing),
		cmocka_unit_test(extensions_are_carried_along),
		cmocka_unit_test(extensions_are_no_checksums),
		cmocka_unit_test(impossible_lengths_are_not_believed),
		cmocka_unit_test(padding_is_no_part_of_the_quote),
		cmocka_unit_test(udp_checksum_rules_are_kept),
		cmocka_unit_test(wrong_header_checksums_are_found),
		cmocka_unit_test(quotes_of_other_packets_tell_nothing),
		cmocka_unit_test(echoes_have_their_direction),
		cmocka_unit_test(lying_quotes_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
