/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge with remote gateways: packets go to their gateway as they are, byte by byte, whatever the
 * route of the proxy address says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/forward.h"

#include "fqdnat.skel.h"

/* ---- forwarding ---- */

static void exchange_all(struct prog *t)
{
	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		for (int n = 0; n < 3; n++) {
			fwd_out_to(t, &FWD_FLOWS[i], (struct pkt_spec){.seq = n, .ttl = 9},
				   FWD_MAC_A);
			fwd_in_from(t, &FWD_FLOWS[i], (struct pkt_spec){.seq = n, .ttl = 2});
		}
		assert_int_equal(prog_sessions(t), 2 * (i + 1));
	}
}

/* IPv6 packets, too: their destination is the gateway's to know, their next hop is IPv4. */
static void packets_go_to_their_gateway_and_back(void **state)
{
	exchange_all(*state);
}

static void the_gateways_address_may_be_ipv6(void **state)
{
	prog_gateway(*state, FWD_A, FWD_A6, true);
	exchange_all(*state);
}

static void what_is_sent_on_is_what_was_sent(void **state)
{
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
	struct prog *t = *state;

	fwd_out_to(t, FWD_UDP, (struct pkt_spec){.csum = PKT_CSUM_ZERO}, FWD_MAC_A);
	fwd_out_to(t, FWD_TCP, (struct pkt_spec){.options = options, .options_len = 8}, FWD_MAC_A);
	fwd_out_to(t, FWD_TCP, (struct pkt_spec){.pad = 12}, FWD_MAC_A);
	fwd_in_from(t, FWD_TCP, (struct pkt_spec){.options = options, .options_len = 8});
}

/* Native XDP loses the mark: the sender's checksum is completed here, as in translation. */
static void partial_checksums_are_completed(void **state)
{
	struct prog *t = *state;
	struct pkt in, expected;

	for (size_t i = 0; i < 2; i++) {
		fwd_out(&in, &FWD_FLOWS[i], (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
		fwd_out_forwarded(&expected, &FWD_FLOWS[i], FWD_ANY, FWD_MAC_A);
		prog_expect(t, &in, CLIENT_SIDE, FQ_R_FORWARDED, &expected);
	}
}

static void both_entries_are_the_tuple_itself(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = fwd_key(FWD_TCP);
	const struct fq_tuple in_key = prog_tuple(PKT_TCP, PROXY4, 443, CLIENT4, FWD_PORT);
	struct session_entry s;
	struct fq_tuple partner;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_in_from(t, FWD_TCP, (struct pkt_spec){.tcp_flags = 0x12});

	s = prog_session(t, &key);
	assert_int_equal(s.gateway, FWD_A);
	assert_int_equal(s.dir, FQ_DIR_OUT);
	assert_memory_equal(&s.src, &key.src, sizeof(s.src));
	assert_memory_equal(&s.dst, &key.dst, sizeof(s.dst));
	assert_int_equal(s.port, key.sport);
	assert_int_equal(s.peer_port, key.dport);
	assert_int_equal(s.client, CLIENT);
	assert_int_equal(s.resource, 0);
	assert_int_equal(s.domain, DOMAIN);
	assert_int_equal(s.tcp_seen, FQ_TCP_SYN);
	assert_int_equal(s.packets, 1);
	partner = prog_partner(&key, &s);
	assert_memory_equal(&partner, &in_key, sizeof(partner));
	s = prog_session(t, &in_key);
	assert_int_equal(s.gateway, FWD_A);
	assert_int_equal(s.dir, FQ_DIR_IN);
	assert_int_equal(s.packets, 1);
	partner = prog_partner(&in_key, &s);
	assert_memory_equal(&partner, &key, sizeof(partner));
}

static void the_last_hop_is_told(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	fwd_out(&p, FWD_TCP, (struct pkt_spec){.ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY4, 11, 0, 0);
	fwd_out(&p, &FWD_FLOWS[3], (struct pkt_spec){.ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY6, 3, 0, 0);
	assert_int_equal(prog_sessions(t), 0);
	fwd_out_to(t, FWD_TCP, (struct pkt_spec){.ttl = 2}, FWD_MAC_A);
	fwd_out(&p, FWD_TCP, (struct pkt_spec){.ttl = 1});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED, PROXY4, 11, 0, 0);
}

static void the_mtu_is_that_of_the_gateways_route(void **state)
{
	static const char payload[700];
	struct prog *t = *state;
	struct pkt p;

	prog_gateway(t, FWD_A, NARROW4, true);
	fwd_out(&p, FWD_UDP, (struct pkt_spec){.payload = payload, .payload_len = 700});
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 600);
	fwd_out_to(t, FWD_UDP, FWD_ANY, PKT_MAC_SERVER); /* behind a router */
}

/* ---- who may ---- */

static void only_the_client_is_asked_about(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_FORWARDED);
	prog_policy_changed(t);
	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x10), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in(t, FWD_TCP), FQ_R_FORWARDED);

	/* link-local hosts are nobody's clients */
	assert_int_equal(
		fwd_run_out(t, &(struct fwd_flow){"169.254.0.9", PROXY4, PKT_TCP, 443}, 0x02),
		FQ_R_NOT_A_CLIENT);
	assert_int_equal(
		fwd_run_out(t, &(struct fwd_flow){"203.0.113.9", PROXY4, PKT_TCP, 443}, 0x02),
		FQ_R_NOT_A_CLIENT);
}

static void a_client_that_is_none_any_more_is_stopped(void **state)
{
	const struct fq_prefix key = {.prefixlen = 96 + 24, .addr = prog_addr("192.0.2.0")};
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(t->skel->maps.clients), &key), 0);
	prog_policy_changed(t);

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_NOT_A_CLIENT);
	assert_int_equal(fwd_run_in(t, FWD_UDP), FQ_R_REVOKED);
}

static void replies_nobody_asked_for_are_left_alone(void **state)
{
	assert_int_equal(fwd_run_in(*state, FWD_TCP), FQ_R_NOT_OURS);
}

/* ---- neighbours and interfaces ---- */

/* The kernel would send it where the route of the proxy address leads: nobody sends it. */
static void without_a_neighbour_the_daemon_is_told(void **state)
{
	const uint64_t begin = prog_now(), again_ns = 500000000;
	struct prog *t = *state;
	struct pkt p;

	fwd_decide(t, FQ_EDGE_FORWARD, FWD_SILENT);
	fwd_out(&p, FWD_TCP, FWD_SYN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_GATEWAY_UNRESOLVED);
	prog_poll(t);

	assert_in_range(t->upcalls, 1, 1 + (prog_now() - begin) / again_ns);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_TOUCH);
	assert_int_equal(t->upcall[0].gateway, FWD_SILENT);
	assert_int_equal(prog_sessions(t), 0);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 0);
}

static void assert_via(struct prog *t, const struct pkt *expected)
{
	struct pkt got = {.len = t->upcall[0].len};

	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	got.len = t->upcall[0].len;
	memcpy(pkt_data(&got), t->upcall[0].frame, got.len);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_VIA);
	assert_int_equal(t->upcall[0].ifindex, prog_ifindex(SERVER_SIDE));
	pkt_assert_equal(&got, expected);
}

/* A bridge or a VLAN on the way to the gateway: the daemon has the whole frame, and where to. */
static void an_interface_that_takes_no_frames_gets_them_from_the_daemon(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_redirectable(t, SERVER_SIDE, false);
	fwd_out(&p, FWD_TCP, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	fwd_out_forwarded(&expected, FWD_TCP, FWD_ANY, FWD_MAC_A);
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED_SLOW);
	prog_poll(t);
	t->upcalls = 0;
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_FORWARDED_SLOW, &expected);
	assert_via(t, &expected);
}

/* Held packets are handed back to who injects them: no queue is in the way that could be full. The
 * interface stands before the frame, as XDP metadata. */
static void injected_packets_are_handed_back(void **state)
{
	struct prog *t = *state;
	int native = t->fd;
	struct prog_result res;
	struct pkt p, expected, got;
	uint32_t oif;

	fwd_out(&p, FWD_TCP, FWD_SYN);
	fwd_out_forwarded(&expected, FWD_TCP, FWD_SYN, FWD_MAC_A);
	t->fd = bpf_program__fd(t->skel->progs.fqdnat_xdp_inject);
	prog_run(t, &p, CLIENT_SIDE, &res);
	t->fd = native;
	assert_int_equal(res.reason, FQ_R_FORWARDED_SLOW);
	assert_int_equal(res.verdict, XDP_TX);
	assert_true(res.out.len > sizeof(oif));
	memcpy(&oif, pkt_data(&res.out), sizeof(oif));
	assert_int_equal(oif, prog_ifindex(SERVER_SIDE));
	got.len = res.out.len - sizeof(oif);
	memcpy(pkt_data(&got), pkt_data(&res.out) + sizeof(oif), got.len);
	pkt_assert_equal(&got, &expected);
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

static void partial_checksums_stay_partial_in_generic_mode(void **state)
{
	struct prog *t = *state;

	fwd_out_to(t, FWD_TCP, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL}, FWD_MAC_A);
	exchange_all(t);
}

/* See bpf/hops.h: nobody asks the kernel again before something has changed. */
static void the_next_hop_is_remembered(void **state)
{
	static const uint8_t elsewhere[ETH_ALEN] = {2, 0, 0, 0, 0x0c, 1};
	struct prog *t = *state;

	exchange_all(t);
	assert_int_equal(
		system("ip neigh replace " FWD_A4 " lladdr 02:00:00:00:0c:01 dev sv nud permanent"),
		0);
	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++)
		fwd_out_to(t, &FWD_FLOWS[i], FWD_ANY, FWD_MAC_A);
	prog_routes_changed(t);
	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++)
		fwd_out_to(t, &FWD_FLOWS[i], FWD_ANY, elsewhere);
}

/* It is that of one gateway. */
static void another_gateway_has_another_next_hop(void **state)
{
	struct prog *t = *state;

	exchange_all(t);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++)
		if (FWD_FLOWS[i].proto == PKT_TCP)
			fwd_out_to(t, &FWD_FLOWS[i], FWD_SYN, FWD_MAC_B);
	prog_gateway(t, FWD_A, FWD_B4, true);
	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++)
		fwd_out_to(t, &FWD_FLOWS[i], FWD_ANY, FWD_MAC_B);
}

static int neighbour_at_home(void **state)
{
	(void)state;
	return system("ip neigh replace " FWD_A4 " lladdr 02:00:00:00:0a:01 dev sv nud permanent");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, fwd_world)
	const struct CMUnitTest native[] = {
		T(packets_go_to_their_gateway_and_back),
		T(the_gateways_address_may_be_ipv6),
		T(what_is_sent_on_is_what_was_sent),
		T(partial_checksums_are_completed),
		T(both_entries_are_the_tuple_itself),
		T(the_last_hop_is_told),
		T(the_mtu_is_that_of_the_gateways_route),
		T(only_the_client_is_asked_about),
		T(a_client_that_is_none_any_more_is_stopped),
		T(replies_nobody_asked_for_are_left_alone),
		T(without_a_neighbour_the_daemon_is_told),
		T(an_interface_that_takes_no_frames_gets_them_from_the_daemon),
		T(injected_packets_are_handed_back),
		cmocka_unit_test_setup_teardown(the_next_hop_is_remembered, fwd_world,
						neighbour_at_home),
		T(another_gateway_has_another_next_hop),
	};
	const struct CMUnitTest generic[] = {
		T(partial_checksums_stay_partial_in_generic_mode),
	};
	int failed;

	failed =
		cmocka_run_group_tests_name("edge, native", native, fwd_enter, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("edge, generic", generic, fwd_enter_generic,
						    prog_group_teardown);
}
