/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The peers of the control transport: who can be one, and what a reload leaves of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control_lab.h"

/* Two peers of one address could not be told apart; the old set stays. */
static void peers_must_differ(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer twice[] = {
		{.id = 1, .addr = lab_addr("192.0.2.1"), .port = 1},
		{.id = 2, .addr = lab_addr("192.0.2.1"), .port = 2},
	};

	lab_edge(lab, NULL, "127.0.0.1", 4700, NULL);
	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", NULL);
	assert_int_equal(control_udp_peers_set(lab->edge.udp, twice, 2, 1), -EEXIST);
	assert_int_equal(control_udp_peers_set(lab->gateway.udp, twice, 2, 1), -EEXIST);
	twice[1].addr = lab_addr("192.0.2.2");
	twice[1].id = 1;
	assert_int_equal(control_udp_peers_set(lab->edge.udp, twice, 2, 1), -EEXIST);
	assert_int_equal(control_udp_peers_set(lab->edge.udp, twice, 1, 0), -EINVAL);
	assert_int_equal(lab_view(lab->edge.udp, LAB_GATEWAY).port, 4700);
	assert_int_equal(lab_view(lab->gateway.udp, LAB_EDGE).port, 0);
}

/* A reload that keeps a peer keeps what is known of it, and takes nothing twice. */
static void a_reload_keeps_peers_that_stay(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer peers[] = {
		{.id = 99, .addr = lab_addr("127.0.0.3"), .key = lab_key},
		{.id = LAB_EDGE, .addr = lab_addr("127.0.0.2"), .key = lab_key},
	};
	struct wire edge;
	struct datagram old;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	edge = wire_edge(lab, "127.0.0.2", lab_key);
	wire_acquaint(lab, &edge);
	old = wire_send(&edge, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab->gateway.messages == 1);

	assert_int_equal(control_udp_peers_set(lab->gateway.udp, peers, 2, ++lab->epoch), 0);

	wire_resend(&edge, &old);
	LAB_UNTIL(lab, lab_edge_counters(lab).replayed == 1);
	lab_send_to_edge(lab, CONTROL_DOMAIN_STATUS);
	assert_int_equal(wire_receive(lab, &edge).event, CONTROL_DOMAIN_STATUS);
	assert_int_equal(lab_edge_counters(lab).received[CONTROL_ASSIGNED_IPS], 1);
	wire_done(&edge);
}

/* The edge's socket stays, too: what is under way to it arrives. */
static void a_reload_keeps_the_edges_sockets(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer peer;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	lab_acquaint(lab);
	peer = (struct control_udp_peer){.id = LAB_GATEWAY,
					 .addr = lab_addr("127.0.0.1"),
					 .port = lab_port(lab),
					 .key = lab_key};
	lab_send_to_edge(lab, CONTROL_DOMAIN_STATUS);
	lab_set(lab, lab->edge.udp, &peer);
	LAB_UNTIL(lab, lab->edge.messages == 1);
}

/* A key that changes begins a new epoch; going back to the old key brings nothing old back. */
static void a_new_key_begins_a_new_epoch(void **state)
{
	struct lab *lab = *state;
	uint8_t other_key[SEAL_KEY_BYTES] = {9};
	struct control_udp_peer peer = {
		.id = LAB_EDGE, .addr = lab_addr("127.0.0.2"), .key = other_key};
	struct wire edge;
	struct datagram old;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	edge = wire_edge(lab, "127.0.0.2", lab_key);
	wire_acquaint(lab, &edge);
	old = wire_send(&edge, CONTROL_GOODBYE);
	LAB_UNTIL(lab, lab->gateway.messages == 1);

	lab_set(lab, lab->gateway.udp, &peer);
	wire_resend(&edge, &old);
	LAB_UNTIL(lab, lab_edge_counters(lab).forged == 1);
	peer.key = lab_key;
	lab_set(lab, lab->gateway.udp, &peer);
	wire_resend(&edge, &old);
	LAB_UNTIL(lab, lab_edge_counters(lab).stale_epoch == 1);

	assert_int_equal(lab->gateway.messages, 1);
	assert_int_equal(lab_edge_counters(lab).received[CONTROL_GOODBYE], 1);
	wire_done(&edge);
}

static void a_removed_peer_is_a_stranger(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(CONTROL_GOODBYE);
	struct wire edge;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", NULL);
	edge = wire_edge(lab, "127.0.0.2", NULL);
	wire_acquaint(lab, &edge);

	assert_int_equal(control_udp_peers_set(lab->gateway.udp, NULL, 0, ++lab->epoch), 0);
	wire_send(&edge, CONTROL_ASSIGNED_IPS);

	LAB_UNTIL(lab, control_udp_totals(lab->gateway.udp).unknown_source == 1);
	assert_int_equal(lab->gateway.messages, 0);
	assert_int_equal(control_udp_send(lab->gateway.udp, LAB_EDGE, &msg), -ENOENT);
	wire_done(&edge);
}

struct list {
	char text[1024];
	uint64_t sum;
};

static void list(void *ctx, const char *name, uint64_t value)
{
	struct list *l = ctx;

	strcat(strcat(l->text, name), " ");
	l->sum += value;
}

static void counters_have_names(void **state)
{
	struct control_udp_counters counters;
	struct list l = {0};

	(void)state;
	memset(&counters, 0, sizeof(counters));
	for (size_t i = 0; i < sizeof(counters) / 8; i++)
		((uint64_t *)&counters)[i] = 1;
	control_udp_counters_foreach(&counters, list, &l);
	assert_string_equal(
		l.text,
		"received_assigned_ips received_domain_status received_goodbye received_probe "
		"received_probe_reply sent_assigned_ips sent_domain_status sent_goodbye sent_probe "
		"sent_probe_reply undersized oversized unknown_event misdirected forged "
		"stale_epoch replayed limited malformed send_failed unreachable ");
	assert_int_equal(l.sum, sizeof(counters) / 8);
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(peers_must_differ),
		LAB_TEST(a_reload_keeps_peers_that_stay),
		LAB_TEST(a_reload_keeps_the_edges_sockets),
		LAB_TEST(a_new_key_begins_a_new_epoch),
		LAB_TEST(a_removed_peer_is_a_stranger),
		cmocka_unit_test(counters_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
