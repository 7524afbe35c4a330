/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation and forwarding, byte by byte: every protocol and IP version, both directions, headers
 * with options, checksums of every kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#define TICK_NS (1 << 20) /* instants of packets are rounded down to it */

#define PORT 5000 /* outside the kernel's ephemeral range: kept by the NAT */

/* One protocol over one IP version, and what its packets look like at every point. */
struct flow {
	const char *client, *proxy, *nat, *server;
	uint8_t proto;
	uint16_t port;
};

static const struct flow FLOWS[] = {
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_TCP, 443},
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_UDP, 53},
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_ICMP, 0},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_TCP, 443},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_UDP, 53},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_ICMP, 0},
};

#define N_FLOWS (sizeof(FLOWS) / sizeof(FLOWS[0]))

/* The four packets of an exchange, from a description that has the rest: payload, options... */
static void out_packet(struct pkt *p, const struct flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->client;
	s.dst = f->proxy;
	s.sport = PORT;
	s.dport = f->port;
	pkt_build(p, &s);
}

static void out_translated(struct pkt *p, const struct flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->nat;
	s.dst = f->server;
	s.sport = PORT;
	s.dport = f->port;
	s.ttl = (s.ttl ? s.ttl : 64) - 1;
	s.dmac = PKT_MAC_SERVER;
	s.smac = PKT_MAC_GW_SERVER;
	pkt_build(p, &s);
}

static void in_packet(struct pkt *p, const struct flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->server;
	s.dst = f->nat;
	s.sport = f->proto == PKT_ICMP ? PORT : f->port;
	s.dport = PORT;
	s.reply = true;
	s.dmac = PKT_MAC_GW_SERVER;
	s.smac = PKT_MAC_SERVER;
	pkt_build(p, &s);
}

static void in_translated(struct pkt *p, const struct flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->proxy;
	s.dst = f->client;
	s.sport = f->proto == PKT_ICMP ? PORT : f->port;
	s.dport = PORT;
	s.reply = true;
	s.ttl = (s.ttl ? s.ttl : 64) - 1;
	s.dmac = PKT_MAC_CLIENT;
	s.smac = PKT_MAC_GW_CLIENT;
	pkt_build(p, &s);
}

/* Send a packet out and its answer in; @sent describes both, @expected what is to arrive. */
static void exchange(struct prog *t, const struct flow *f, struct pkt_spec sent,
		     struct pkt_spec expected)
{
	struct pkt in, out;

	out_packet(&in, f, sent);
	out_translated(&out, f, expected);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_TRANSLATED, &out);
	in_packet(&in, f, sent);
	in_translated(&out, f, expected);
	prog_expect(t, &in, SERVER_SIDE, FQ_R_TRANSLATED, &out);
}

static struct fq_tuple out_tuple(const struct flow *f)
{
	uint8_t proto = f->proto == PKT_ICMP && strchr(f->client, ':') ? 58 : f->proto;

	return prog_tuple(proto, f->client, PORT, f->proxy, f->proto == PKT_TCP ? f->port : 0);
}

/* G-27, G-42: to the real address and back from the proxy address, byte by byte. */
static void packets_are_translated_both_ways(void **state)
{
	struct prog *t = *state;

	for (size_t i = 0; i < N_FLOWS; i++) {
		for (int n = 0; n < 3; n++)
			exchange(t, &FLOWS[i], (struct pkt_spec){.seq = n},
				 (struct pkt_spec){.seq = n});
		assert_int_equal(prog_sessions(t), 2 * (i + 1));
	}
}

static void first_packet_makes_both_entries(void **state)
{
	struct prog *t = *state;
	const struct flow *f = &FLOWS[0];
	const struct fq_tuple key = out_tuple(f);
	uint64_t before = prog_now();
	struct prog_result res;
	struct session_entry out, in;
	struct fq_tuple partner;
	struct pkt p;

	out_packet(&p, f, (struct pkt_spec){.tcp_flags = 0x02});
	prog_run(t, &p, CLIENT_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.count[FQ_R_SESSION_CREATED].packets, 1);
	assert_int_equal(res.count[FQ_R_TRANSLATED].bytes, pkt_l3_len(&p));
	assert_int_equal(prog_sessions(t), 2);
	out = prog_session(t, &key);
	assert_int_equal(out.dir, FQ_DIR_OUT);
	assert_int_equal(out.client, CLIENT);
	assert_int_equal(out.resource, RESOURCE);
	assert_int_equal(out.domain, DOMAIN);
	assert_int_equal(out.gen, prog_get_control(t).gen);
	assert_int_equal(out.peer_port, __builtin_bswap16(443));
	assert_int_equal(out.tcp_seen, FQ_TCP_SYN);
	assert_int_equal(out.packets, 1);
	assert_int_equal(out.bytes, pkt_l3_len(&p));
	assert_true(out.created >= before && out.last + TICK_NS >= before &&
		    out.created <= prog_now());
	partner = prog_partner(&key, &out);
	in = prog_session(t, &partner);
	assert_int_equal(in.dir, FQ_DIR_IN);
	assert_int_equal(in.packets, 0);
	assert_int_equal(in.last, 0);
	assert_int_equal(in.tcp_seen, 0);
	partner = prog_partner(&partner, &in);
	assert_memory_equal(&partner, &key, sizeof(key));
	assert_int_equal(prog_get_control(t).sessions, 1);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 1);
}

/* N-07: each direction's entry notes its own last packet, so that either keeps the session. */
static void both_directions_are_counted_apart(void **state)
{
	struct prog *t = *state;
	const struct flow *f = &FLOWS[1];
	const struct fq_tuple key = out_tuple(f);
	struct session_entry s;
	struct fq_tuple partner;

	for (int n = 0; n < 3; n++)
		exchange(t, f, (struct pkt_spec){0}, (struct pkt_spec){0});

	s = prog_session(t, &key);
	partner = prog_partner(&key, &s);
	assert_int_equal(s.packets, 3);
	assert_int_equal(s.bytes, 3 * (28 + 6));
	s = prog_session(t, &partner);
	assert_int_equal(s.packets, 3);
	assert_true(s.last + TICK_NS >= s.created);
}

static void ipv4_options_are_carried(void **state)
{
	static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0};
	struct pkt_spec s = {.options = options, .options_len = sizeof(options)};

	for (size_t i = 0; i < 3; i++)
		exchange(*state, &FLOWS[i], s, s);
}

static void ipv6_extension_headers_are_carried(void **state)
{
	/* hop-by-hop (8 bytes), destination options (16), routing header without segments left */
	static const uint8_t ext[] = {
		60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 1, 12, 0, 0, 0, 0,
		0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 4, 0,  0, 0, 0, 0,
	};
	uint8_t chain[sizeof(ext)];
	struct pkt_spec s = {.ext = chain, .ext_len = sizeof(ext), .ext_first = 0};

	for (size_t i = 3; i < N_FLOWS; i++) {
		memcpy(chain, ext, sizeof(ext));
		chain[24] = FLOWS[i].proto == PKT_ICMP ? 58 : FLOWS[i].proto;
		exchange(*state, &FLOWS[i], s, s);
	}
}

static void ethernet_padding_is_no_part_of_the_packet(void **state)
{
	struct pkt_spec s = {.pad = 18};

	for (size_t i = 0; i < N_FLOWS; i++)
		exchange(*state, &FLOWS[i], s, s);
}

/* RFC 3168, RFC 6864: translation leaves ECN, DSCP, flow label, DF and the id alone. */
static void ecn_id_and_flow_label_stay(void **state)
{
	struct pkt_spec s = {.tos = 0xb9, .flow_label = 0xabcde, .ip_id = 0x1234, .frag = 0x4000};

	for (size_t i = 0; i < N_FLOWS; i++)
		exchange(*state, &FLOWS[i], s, s);
}

static void payloads_of_every_length_pass(void **state)
{
	static uint8_t payload[1400];
	struct pkt_spec s = {.payload = payload};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7;
	for (size_t i = 0; i < N_FLOWS; i++) {
		for (s.payload_len = 0; s.payload_len < 260; s.payload_len += 13)
			exchange(*state, &FLOWS[i], s, s);
		s.payload_len = sizeof(payload) - 1;
		exchange(*state, &FLOWS[i], s, s);
	}
}

/* RFC 768: no checksum stays no checksum. */
static void udp_zero_checksum_stays_zero(void **state)
{
	struct pkt_spec s = {.csum = PKT_CSUM_ZERO};

	exchange(*state, &FLOWS[1], s, s);
}

/* RFC 768: a computed 0 is sent as 0xffff. Found by trying payloads until it is the result. */
static void udp_computed_zero_is_sent_as_ones(void **state)
{
	const size_t flows[] = {1, 4};

	for (size_t i = 0; i < 2; i++) {
		const struct flow *f = &FLOWS[flows[i]];
		size_t off = PKT_L3 + (strchr(f->client, ':') ? 40 : 20);
		uint8_t payload[2];
		struct pkt_spec s = {.payload = payload, .payload_len = 2};
		struct pkt p;
		uint32_t n = 0;

		do {
			assert_true(n < 65536);
			payload[0] = n >> 8;
			payload[1] = n++ & 0xff;
			out_translated(&p, f, s);
		} while (pkt_data(&p)[off + 6] != 0xff || pkt_data(&p)[off + 7] != 0xff);
		exchange(*state, f, s, s);
	}
}

/* Every 16-bit checksum there is passes through the incremental update. */
static void all_checksums_are_updated_right(void **state)
{
	struct prog *t = *state;

	for (size_t i = 0; i < N_FLOWS; i++) {
		uint8_t payload[2];
		struct pkt_spec s = {.payload = payload, .payload_len = 2};
		struct pkt in, out;

		for (uint32_t n = 0; n < 65536; n += 257) {
			payload[0] = n >> 8;
			payload[1] = n & 0xff;
			out_packet(&in, &FLOWS[i], s);
			out_translated(&out, &FLOWS[i], s);
			prog_expect(t, &in, CLIENT_SIDE, FQ_R_TRANSLATED, &out);
		}
	}
}

static void wrong_checksums_stay_wrong(void **state)
{
	struct prog *t = *state;
	const struct flow *f = &FLOWS[0];
	struct prog_result res;
	struct pkt in, out;

	out_packet(&in, f, (struct pkt_spec){0});
	out_translated(&out, f, (struct pkt_spec){0});
	pkt_data(&in)[PKT_L3 + 20 + 16] ^= 0x40;

	prog_run(t, &in, CLIENT_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_memory_not_equal(pkt_data(&res.out) + PKT_L3 + 36, pkt_data(&out) + PKT_L3 + 36, 2);
}

static void partial_checksum_is_completed(void **state)
{
	static const uint8_t payload[] = "an odd number of bytes";
	struct pkt_spec full = {.payload = payload, .payload_len = 21}, partial = full;
	struct prog_result res;
	struct pkt p;

	partial.csum = PKT_CSUM_PARTIAL;
	for (size_t i = 0; i < N_FLOWS; i++) {
		if (FLOWS[i].proto != PKT_ICMP)
			exchange(*state, &FLOWS[i], partial, full);
	}
	partial.pad = full.pad = 30;
	exchange(*state, &FLOWS[1], partial, full);

	out_packet(&p, &FLOWS[0], partial);
	prog_run(*state, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.count[FQ_R_CSUM_PARTIAL].packets, 1);
}

static void long_partial_checksum_is_completed(void **state)
{
	static uint8_t payload[1447];
	struct pkt_spec full = {.payload = payload, .payload_len = sizeof(payload)}, partial = full;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i ^ i >> 3;
	partial.csum = PKT_CSUM_PARTIAL;
	for (partial.payload_len = 1300; partial.payload_len < sizeof(payload) - 8;
	     partial.payload_len += 9) {
		full.payload_len = partial.payload_len;
		exchange(*state, &FLOWS[0], partial, full);
		exchange(*state, &FLOWS[3 + 1], partial, full);
	}
}

/* In generic mode the kernel completes it when the packet is sent, from the new pseudo header. */
static void partial_checksum_stays_partial_in_generic_mode(void **state)
{
	struct pkt_spec s = {.csum = PKT_CSUM_PARTIAL};

	for (size_t i = 0; i < N_FLOWS; i++) {
		if (FLOWS[i].proto != PKT_ICMP)
			exchange(*state, &FLOWS[i], s, s);
	}
}

/* N-02: the peer's port is not rewritten; one UDP mapping serves all of them. */
static void one_udp_mapping_serves_all_ports_of_the_peer(void **state)
{
	struct prog *t = *state;
	struct flow f = FLOWS[1];

	for (f.port = 1; f.port < 65000; f.port += 9999)
		exchange(t, &f, (struct pkt_spec){0}, (struct pkt_spec){0});

	assert_int_equal(prog_sessions(t), 2);
}

/* N-04, G-07, G-30: a session keeps its real address wherever its domain resolves to now. */
static void session_keeps_its_real_address(void **state)
{
	const uint32_t resource = RESOURCE;
	struct prog *t = *state;

	exchange(t, &FLOWS[0], (struct pkt_spec){0}, (struct pkt_spec){0});
	prog_xlat(t, PROXY4, SILENT4, DOMAIN, &resource, 1);
	exchange(t, &FLOWS[0], (struct pkt_spec){0}, (struct pkt_spec){0});
	/* also if there is none any more, and whatever the edge says */
	prog_xlat(t, PROXY4, NULL, DOMAIN, &resource, 1);
	prog_edge(t, PROXY4, FQ_EDGE_REFUSE);
	exchange(t, &FLOWS[0], (struct pkt_spec){0}, (struct pkt_spec){0});
}

static void ttl_two_is_the_last_that_passes(void **state)
{
	struct pkt_spec s = {.ttl = 2};

	for (size_t i = 0; i < N_FLOWS; i++)
		exchange(*state, &FLOWS[i], s, s);
}

/* G-45: nobody but the session's peer may answer. */
static void other_hosts_cannot_use_a_mapping(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	exchange(t, &FLOWS[1], (struct pkt_spec){0}, (struct pkt_spec){0});
	PKT(&p, .src = "198.51.100.3", .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT);

	prog_expect(t, &p, SERVER_SIDE, FQ_R_NOT_OURS, NULL);
}

/* IPv4-mapped addresses on the wire are not IPv4 addresses. */
static void mapped_addresses_reach_no_ipv4_session(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	exchange(t, &FLOWS[0], (struct pkt_spec){0}, (struct pkt_spec){0});
	PKT(&p, .src = "::ffff:" CLIENT4, .dst = "::ffff:" PROXY4, .proto = PKT_TCP, .sport = PORT,
	    .dport = 443);

	prog_expect(t, &p, CLIENT_SIDE, FQ_R_MALFORMED, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
/* What is the same for all programs. */
#define ALIKE                                                                                   \
	T(packets_are_translated_both_ways), T(first_packet_makes_both_entries),                \
		T(both_directions_are_counted_apart), T(ipv4_options_are_carried),              \
		T(ipv6_extension_headers_are_carried),                                          \
		T(ethernet_padding_is_no_part_of_the_packet), T(ecn_id_and_flow_label_stay),    \
		T(payloads_of_every_length_pass), T(udp_zero_checksum_stays_zero),              \
		T(udp_computed_zero_is_sent_as_ones), T(all_checksums_are_updated_right),       \
		T(wrong_checksums_stay_wrong), T(one_udp_mapping_serves_all_ports_of_the_peer), \
		T(session_keeps_its_real_address), T(ttl_two_is_the_last_that_passes),          \
		T(other_hosts_cannot_use_a_mapping), T(mapped_addresses_reach_no_ipv4_session)
	const struct CMUnitTest native[] = {
		ALIKE,
		T(partial_checksum_is_completed),
		T(long_partial_checksum_is_completed),
	};
	const struct CMUnitTest tc[] = {
		ALIKE,
		T(partial_checksum_stays_partial_in_generic_mode),
	};
	const struct CMUnitTest generic[] = {
		T(packets_are_translated_both_ways),
		T(ipv4_options_are_carried),
		T(ethernet_padding_is_no_part_of_the_packet),
		T(udp_zero_checksum_stays_zero),
		T(partial_checksum_stays_partial_in_generic_mode),
	};
	int failed;

	failed = cmocka_run_group_tests_name("forward, native", native, prog_group_setup,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("forward, VLANs", native, prog_group_setup_vlan,
					      prog_group_teardown);
	failed += cmocka_run_group_tests_name("forward, tc", tc, prog_group_setup_tc,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("forward, generic", generic,
						    prog_group_setup_generic, prog_group_teardown);
}
