/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that are not translated: every reason, and the ICMP error the sender gets, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#define PORT 5000

static void tcp4(struct pkt *p, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT4;
	s.dst = s.dst ? s.dst : PROXY4;
	s.proto = PKT_TCP;
	s.sport = PORT;
	s.dport = 443;
	pkt_build(p, &s);
}

static void tcp6(struct pkt *p, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT6;
	s.dst = s.dst ? s.dst : PROXY6;
	tcp4(p, s);
}

/* A client's first packets of both IP versions are refused with these ICMP types and codes. */
static void refused(struct prog *t, enum fq_reason reason, uint8_t type4, uint8_t code4,
		    uint8_t type6, uint8_t code6)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){0});
	prog_expect_refused(t, &p, CLIENT_SIDE, reason, PROXY4, type4, code4, 0);
	tcp6(&p, (struct pkt_spec){0});
	prog_expect_refused(t, &p, CLIENT_SIDE, reason, PROXY6, type6, code6, 0);
	assert_int_equal(prog_sessions(t), 0);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 0);
	assert_int_equal(prog_get_control(t).sessions, 0);
}

static void xlat_both(struct prog *t, const char *real4, const char *real6)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4, real4, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, real6, DOMAIN, &resource, 1);
}

/* G-25, G-31: network unreachable, from the proxy address the client tried. */
static void unassigned_proxy_address_is_unreachable(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.dst = PROXY4_B});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NO_TRANSLATION, PROXY4_B, 3, 0, 0);
	tcp6(&p, (struct pkt_spec){.dst = PROXY6_B});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NO_TRANSLATION, PROXY6_B, 1, 3, 0);
}

/* G-25: the same where only the gateway knows nothing. */
static void proxy_address_without_translation_is_unreachable(void **state)
{
	struct pkt p;

	prog_edge(*state, PROXY4_B, FQ_EDGE_FORWARD);
	tcp4(&p, (struct pkt_spec){.dst = PROXY4_B});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NO_TRANSLATION, PROXY4_B, 3, 0, 0);
}

/* G-26: so that Happy Eyeballs tries the other family at once. */
static void family_without_address_is_unreachable(void **state)
{
	xlat_both(*state, NULL, NULL);
	refused(*state, FQ_R_NO_FAMILY, 3, 0, 1, 3);
}

static void failed_domain_is_unreachable(void **state)
{
	prog_edge(*state, PROXY4, FQ_EDGE_REFUSE);
	prog_edge(*state, PROXY6, FQ_EDGE_REFUSE);
	refused(*state, FQ_R_DOMAIN_FAILED, 3, 0, 1, 3);
}

static void interface_without_address_cannot_masquerade(void **state)
{
	prog_dev(*state, SERVER_SIDE, NULL, NULL);
	refused(*state, FQ_R_NO_NAT_ADDRESS, 3, 0, 1, 3);
}

static void missing_route_is_unreachable(void **state)
{
	xlat_both(*state, "203.0.113.200", "2001:db8:ffff::1");
	refused(*state, FQ_R_NO_ROUTE, 3, 0, 1, 0);
}

static void blackhole_route_drops(void **state)
{
	struct pkt p;

	xlat_both(*state, "203.0.113.5", "2001:db8:bad::1");
	tcp4(&p, (struct pkt_spec){0});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BLACKHOLE, NULL);
	tcp6(&p, (struct pkt_spec){0});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BLACKHOLE, NULL);
	assert_int_equal(prog_sessions(*state), 0);
}

static void forwarding_off_drops(void **state)
{
	struct pkt p;

	assert_int_equal(system("sysctl -qw net.ipv4.conf.cl.forwarding=0"), 0);
	tcp4(&p, (struct pkt_spec){0});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_FORWARDING_OFF, NULL);
	assert_int_equal(system("sysctl -qw net.ipv4.conf.cl.forwarding=1"), 0);
}

/* G-21, G-24: a source in no client's prefix is prohibited. */
static void strangers_are_prohibited(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.src = "192.0.3.2"});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NOT_A_CLIENT, PROXY4, 3, 13, 0);
	tcp6(&p, (struct pkt_spec){.src = "2001:db8:9::2"});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NOT_A_CLIENT, PROXY6, 1, 1, 0);
}

/* Before anything is said about the domain. */
static void strangers_learn_nothing_about_domains(void **state)
{
	struct pkt p;

	prog_edge(*state, PROXY4, FQ_EDGE_HOLD);
	tcp4(&p, (struct pkt_spec){.src = "192.0.3.2"});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NOT_A_CLIENT, PROXY4, 3, 13, 0);
	tcp4(&p, (struct pkt_spec){.src = "192.0.3.2", .dst = PROXY4_B});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NOT_A_CLIENT, PROXY4_B, 3, 13, 0);
	prog_poll(*state);
	assert_int_equal(((struct prog *)*state)->upcalls, 0);
}

static void link_local_sources_are_no_clients(void **state)
{
	struct pkt p;

	prog_client(*state, "fe80::", 10, CLIENT, SCOPE);
	tcp6(&p, (struct pkt_spec){.src = "fe80::1"});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_NOT_A_CLIENT, PROXY6, 1, 1, 0);
}

/* G-24: prohibited where the grant is missing... */
static void missing_grant_is_prohibited(void **state)
{
	prog_revoke(*state, CLIENT, RESOURCE);
	refused(*state, FQ_R_NOT_GRANTED, 3, 13, 1, 1);
}

/* G-24, F-04: ...and where the filter denies. */
static void filtered_port_is_prohibited(void **state)
{
	const struct fq_filter icmp_only = {.icmp = 1};

	prog_filter(*state, RESOURCE, &icmp_only);
	refused(*state, FQ_R_FILTERED, 3, 13, 1, 1);
}

/* RFC 6888 REQ-11, RFC 5508 REQ-8 */
static void quota_is_prohibited(void **state)
{
	prog_quota(*state, CLIENT, 0);
	refused(*state, FQ_R_QUOTA, 3, 13, 1, 1);
}

static void full_table_is_prohibited(void **state)
{
	prog_limit(*state, 0);
	refused(*state, FQ_R_TABLE_FULL, 3, 13, 1, 1);
}

static void last_hop_is_time_exceeded(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.ttl = 1});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY4, 11, 0, 0);
	tcp6(&p, (struct pkt_spec){.ttl = 1});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY6, 3, 0, 0);
	pkt_data(&p)[PKT_L3 + 7] = 0;
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY6, 3, 0, 0);
	assert_int_equal(prog_sessions(*state), 0);
}

static void open_both(struct prog *t)
{
	struct prog_result res;
	struct pkt p;

	tcp4(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	tcp6(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

/* The resource is told by the gateway, whose address it knows; the session is not refreshed. */
static void last_hop_of_a_reply_is_time_exceeded_by_the_gateway(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = prog_tuple(PKT_TCP, SERVER4, 443, GW4, PORT);
	struct pkt p;

	open_both(t);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT, .ttl = 1,
	    .dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER);
	prog_expect_refused(t, &p, SERVER_SIDE, FQ_R_TTL_EXCEEDED, GW4, 11, 0, 0);
	PKT(&p, .src = SERVER6, .dst = GW6, .proto = PKT_TCP, .sport = 443, .dport = PORT, .ttl = 1,
	    .dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER);
	prog_expect_refused(t, &p, SERVER_SIDE, FQ_R_TTL_EXCEEDED, GW6, 3, 0, 0);
	assert_int_equal(prog_session(t, &key).packets, 0);
}

static void too_big_packet_is_told_the_mtu(void **state)
{
	static const uint8_t payload[1300];
	struct pkt p;

	xlat_both(*state, NARROW4, NARROW6);
	tcp4(&p, (struct pkt_spec){.payload = payload, .payload_len = 561, .frag = 0x4000});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 600);
	tcp6(&p, (struct pkt_spec){.payload = payload, .payload_len = 1221});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY6, 2, 0, 1280);
	assert_int_equal(prog_sessions(*state), 0);
}

static void packet_of_just_the_mtu_passes(void **state)
{
	static const uint8_t payload[1300];
	struct prog_result res;
	struct pkt p;

	xlat_both(*state, NARROW4, NARROW6);
	tcp4(&p, (struct pkt_spec){.payload = payload, .payload_len = 560});
	prog_run(*state, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	tcp6(&p, (struct pkt_spec){.payload = payload, .payload_len = 1220});
	prog_run(*state, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

/* RFC 1812 4.3.2.3: as much as fits 576 bytes; RFC 4443 2.4 c: 1280. */
static void long_packets_are_quoted_as_far_as_allowed(void **state)
{
	static uint8_t payload[1400];
	struct pkt p;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 11;
	prog_edge(*state, PROXY4, FQ_EDGE_REFUSE);
	prog_edge(*state, PROXY6, FQ_EDGE_REFUSE);
	for (size_t len = 480; len <= sizeof(payload); len += 23) {
		struct pkt_spec s = {.payload = payload, .payload_len = len};

		tcp4(&p, s);
		prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
		tcp6(&p, s);
		prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY6, 1, 3, 0);
	}
}

/* G-31: the IP header is quoted with its options, Ethernet padding is not. */
static void options_are_quoted_and_padding_is_not(void **state)
{
	static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 1};
	struct pkt p;

	prog_edge(*state, PROXY4, FQ_EDGE_REFUSE);
	tcp4(&p, (struct pkt_spec){.options = options, .options_len = sizeof(options), .pad = 20});
	prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
}

static void every_protocol_is_refused_alike(void **state)
{
	const uint8_t protocols[] = {PKT_TCP, PKT_UDP, PKT_ICMP};
	struct pkt p;

	prog_edge(*state, PROXY4, FQ_EDGE_REFUSE);
	prog_edge(*state, PROXY6, FQ_EDGE_REFUSE);
	for (size_t i = 0; i < 3; i++) {
		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = protocols[i], .sport = 9);
		prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
		PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = protocols[i], .sport = 9);
		prog_expect_refused(*state, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY6, 1, 3, 0);
	}
}

static void quoted_partial_checksum_is_completed(void **state)
{
	struct pkt p, full, expected;
	struct prog_result res;

	prog_edge(*state, PROXY4, FQ_EDGE_REFUSE);
	tcp4(&p, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	tcp4(&full, (struct pkt_spec){0});
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4, .dst = CLIENT4, .type = 3, .code = 0},
			&full);
	prog_run(*state, &p, CLIENT_SIDE, &res);

	assert_int_equal(res.verdict, XDP_REDIRECT);
	pkt_assert_equal(&res.out, &expected);
}

/* The kernel would complete a checksum inside the quoted packet: the daemon sends this one. */
static void error_about_partial_checksum_is_slow_in_generic_mode(void **state)
{
	struct prog *t = *state;
	struct pkt p, full, expected;
	struct prog_result res;

	prog_edge(t, PROXY4, FQ_EDGE_REFUSE);
	tcp4(&p, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	tcp4(&full, (struct pkt_spec){0});
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4, .dst = CLIENT4, .type = 3, .code = 0},
			&full);
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(res.verdict, XDP_DROP);
	assert_int_equal(res.reason, FQ_R_DOMAIN_FAILED);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SLOW);
	assert_int_equal(t->upcall[0].len, expected.len);
	assert_memory_equal(t->upcall[0].frame, pkt_data(&expected), expected.len);
}

/* G-32: sources that are no single host are not told (RFC 1812 4.3.2.7, RFC 4443 2.4 e). */
static void nobody_is_told_nothing(void **state)
{
	static const char *const sources[] = {"0.0.0.0",   "0.1.2.3", "127.0.0.1",
					      "240.0.0.1", "::",      "::1"};

	prog_client(*state, "::", 0, CLIENT, SCOPE); /* everyone is a client, but they are not */
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct prog_result res;
		struct pkt p;

		if (strchr(sources[i], ':'))
			tcp6(&p, (struct pkt_spec){.src = sources[i]});
		else
			tcp4(&p, (struct pkt_spec){.src = sources[i]});
		prog_run(*state, &p, CLIENT_SIDE, &res);

		assert_int_equal(res.verdict, XDP_DROP);
		assert_int_equal(res.reason, FQ_R_NOT_A_CLIENT);
		assert_int_equal(res.count[FQ_R_ICMP_NOT_ALLOWED].packets, 1);
		assert_int_equal(res.count[FQ_R_ICMP_SENT].packets, 0);
	}
}

/* G-32: errors are limited (RFC 1812 4.3.2.8, RFC 4443 2.4 f). */
static void errors_are_limited_by_receiver(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog_result res;
	struct prog *t;
	struct pkt p;

	(void)state;
	s.icmp_per_second = 1;
	s.icmp_burst = 3;
	t = prog_new(&s, false);
	assert_non_null(t);
	prog_edge(t, PROXY4, FQ_EDGE_REFUSE);
	for (int i = 0; i < 5; i++) {
		tcp4(&p, (struct pkt_spec){0});
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_DOMAIN_FAILED);
		assert_int_equal(res.verdict, i < 3 ? XDP_REDIRECT : XDP_DROP);
		assert_int_equal(res.count[FQ_R_ICMP_LIMITED].packets, i < 3 ? 0 : 1);
	}
	tcp4(&p, (struct pkt_spec){.src = "192.0.2.77"});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	prog_free(t);
}

static void errors_are_limited_over_all(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog_result res;
	unsigned int sent = 0;
	struct prog *t;
	struct pkt p;

	(void)state;
	s.icmp_cpu_per_second = 1;
	s.icmp_cpu_burst = 2;
	t = prog_new(&s, false);
	assert_non_null(t);
	prog_edge(t, PROXY4, FQ_EDGE_REFUSE);
	for (int i = 1; i < 20; i++) {
		char src[20];

		snprintf(src, sizeof(src), "192.0.2.%d", i);
		tcp4(&p, (struct pkt_spec){.src = src});
		prog_run(t, &p, CLIENT_SIDE, &res);
		sent += res.count[FQ_R_ICMP_SENT].packets;
	}
	assert_in_range(sent, 2, 5); /* two CPUs, perhaps */
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
/* What is the same for all programs. */
#define ALIKE                                                                                      \
	T(unassigned_proxy_address_is_unreachable),                                                \
		T(proxy_address_without_translation_is_unreachable),                               \
		T(family_without_address_is_unreachable), T(failed_domain_is_unreachable),         \
		T(interface_without_address_cannot_masquerade), T(missing_route_is_unreachable),   \
		T(blackhole_route_drops), T(forwarding_off_drops), T(strangers_are_prohibited),    \
		T(strangers_learn_nothing_about_domains), T(link_local_sources_are_no_clients),    \
		T(missing_grant_is_prohibited), T(filtered_port_is_prohibited),                    \
		T(quota_is_prohibited), T(full_table_is_prohibited), T(last_hop_is_time_exceeded), \
		T(last_hop_of_a_reply_is_time_exceeded_by_the_gateway),                            \
		T(too_big_packet_is_told_the_mtu), T(packet_of_just_the_mtu_passes),               \
		T(long_packets_are_quoted_as_far_as_allowed),                                      \
		T(options_are_quoted_and_padding_is_not), T(every_protocol_is_refused_alike),      \
		T(nobody_is_told_nothing), T(errors_are_limited_by_receiver),                      \
		T(errors_are_limited_over_all)
	const struct CMUnitTest native[] = {
		ALIKE,
		T(quoted_partial_checksum_is_completed),
	};
	const struct CMUnitTest tc[] = {
		ALIKE,
		T(error_about_partial_checksum_is_slow_in_generic_mode),
	};
	const struct CMUnitTest generic[] = {
		T(failed_domain_is_unreachable),
		T(error_about_partial_checksum_is_slow_in_generic_mode),
	};
	int failed;

	failed = cmocka_run_group_tests_name("refuse, native", native, prog_group_setup,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("refuse, VLANs", native, prog_group_setup_vlan,
					      prog_group_teardown);
	failed += cmocka_run_group_tests_name("refuse, tc", tc, prog_group_setup_tc,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("refuse, generic", generic,
						    prog_group_setup_generic, prog_group_teardown);
}
