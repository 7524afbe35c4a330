/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control transport between an edge and a gateway on real sockets: what arrives, who is
 * answered where, restarts. test_control_peers.c has reloads, test_control_hostile.c what is
 * refused.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "control_lab.h"
#include "../lib/skip.h"

static void assert_travels(struct lab *lab)
{
	struct control_message assigned = lab_message(CONTROL_ASSIGNED_IPS);

	lab_acquaint(lab);
	lab_send_to_gateway(lab, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab->gateway.messages == 1);
	assert_memory_equal(&lab->gateway.last, &assigned, sizeof(assigned));
	assert_int_equal(lab->gateway.peer, LAB_EDGE);
	assert_int_equal(lab->gateway.heard, 1);

	lab_send_to_edge(lab, CONTROL_DOMAIN_STATUS);
	LAB_UNTIL(lab, lab->edge.messages == 1);
	assert_int_equal(lab->edge.last.event, CONTROL_DOMAIN_STATUS);
	assert_int_equal(lab->edge.last.status, CONTROL_ACTIVE);
	assert_int_equal(lab->edge.last.generation, 77);
	assert_int_equal(lab->edge.peer, LAB_GATEWAY);
	assert_int_equal(lab->edge.heard, 1);

	assert_int_equal(lab_edge_counters(lab).received[CONTROL_ASSIGNED_IPS], 1);
	assert_int_equal(lab_edge_counters(lab).sent[CONTROL_DOMAIN_STATUS], 1);
	assert_int_equal(lab_gateway_counters(lab).sent[CONTROL_ASSIGNED_IPS], 1);
	assert_int_equal(lab_gateway_counters(lab).received[CONTROL_DOMAIN_STATUS], 1);
}

/* W-01, W-02: AssignedIps and DomainStatus travel as they are, sealed. */
static void sealed_messages_travel_over_ipv4(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	assert_travels(lab);
	assert_true(lab_view(lab->gateway.udp, LAB_EDGE).peer_epoch != 0);
}

/* W-01, W-02: and inside a tunnel without a seal. */
static void plain_messages_travel_over_ipv4(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", NULL);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), NULL);
	assert_travels(lab);
}

static void sealed_messages_travel_over_ipv6(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "::1", 0, "::1", lab_key);
	lab_edge(lab, NULL, "::1", lab_port(lab), lab_key);
	assert_travels(lab);
}

/* W-04: the longest message passes, with its seal. */
static void the_longest_message_travels(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(CONTROL_ASSIGNED_IPS);
	struct fq_addr last = lab_addr("fd00:2021:1111:8000:ffff:ffff:ffff:fff0");
	char text[DNAME_LEN_MAX + 1];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 63; i < sizeof(text) - 1; i += 64)
		text[i] = '.';
	assert_int_equal(dname_from_text(text, &msg.domain), 0);
	for (unsigned int i = 0; i < 8; i++)
		msg.proxies[i] = ipaddr_add(&last, i);
	msg.proxy_count = 8;
	lab_gateway(lab, "::1", 0, "::1", lab_key);
	lab_edge(lab, NULL, "::1", lab_port(lab), lab_key);
	lab_acquaint(lab);

	assert_int_equal(control_udp_send(lab->edge.udp, LAB_GATEWAY, &msg), 0);

	LAB_UNTIL(lab, lab->gateway.messages == 1);
	assert_string_equal(lab->gateway.last.domain.text, text);
	assert_int_equal(lab->gateway.last.proxy_count, 8);
}

/* Probes are answered by the transport, and count as heard; a reply is told with its number. */
static void probes_are_answered(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	lab_acquaint(lab);

	lab_send_to_gateway(lab, CONTROL_PROBE);
	LAB_UNTIL(lab, lab->edge.messages == 1);

	assert_int_equal(lab->edge.last.event, CONTROL_PROBE_REPLY);
	assert_int_equal(lab->edge.last.generation, 77);
	assert_int_equal(lab->edge.incarnation, LAB_INCARNATION);
	assert_int_equal(lab->gateway.incarnation, 0);

	/* Another one, and the edge's own with its Probes. */
	control_udp_incarnation_set(lab->gateway.udp, LAB_EDGE, 9);
	control_udp_incarnation_set(lab->edge.udp, LAB_GATEWAY, 8);
	lab_send_to_gateway(lab, CONTROL_PROBE);
	LAB_UNTIL(lab, lab->edge.messages == 2);
	assert_int_equal(lab->edge.incarnation, 9);
	assert_int_equal(lab->gateway.incarnation, 8);
	assert_int_equal(lab->edge.heard, 0);
	assert_int_equal(lab->gateway.heard, 2);
	assert_int_equal(lab->gateway.messages, 0);
}

static void goodbye_is_reported_and_not_heard(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	lab_acquaint(lab);

	lab_send_to_edge(lab, CONTROL_GOODBYE);
	LAB_UNTIL(lab, lab->edge.messages == 1);

	assert_int_equal(lab->edge.last.event, CONTROL_GOODBYE);
	assert_int_equal(lab->edge.heard, 0);
}

/* An edge is answered at the port of its last message that was accepted, and of no other. */
static void answers_go_to_the_last_accepted_port(void **state)
{
	struct lab *lab = *state;
	struct wire first, second, forger;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	first = wire_edge(lab, "127.0.0.2", lab_key);
	wire_acquaint(lab, &first);
	second = first;
	second.fd = wire_socket("127.0.0.2", 0);
	wire_connect(second.fd, "127.0.0.1", lab_port(lab));
	forger = wire_edge(lab, "127.0.0.2", NULL);

	wire_send(&second, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab->gateway.messages == 1);
	wire_send(&forger, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab_edge_counters(lab).forged == 1);
	lab_send_to_edge(lab, CONTROL_DOMAIN_STATUS);

	assert_int_equal(wire_receive(lab, &second).event, CONTROL_DOMAIN_STATUS);
	assert_int_equal(lab_view(lab->gateway.udp, LAB_EDGE).port, wire_port(second.fd));
	assert_false(wire_readable(first.fd));
	assert_false(wire_readable(forger.fd));
	wire_done(&first);
	wire_done(&second);
	wire_done(&forger);
}

static void an_edge_that_was_not_heard_cannot_be_sent_to(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(CONTROL_GOODBYE), bad = {.event = CONTROL_PROBE};

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	assert_int_equal(control_udp_send(lab->gateway.udp, LAB_EDGE, &msg), -ENOTCONN);
	assert_int_equal(control_udp_send(lab->gateway.udp, LAB_EDGE + 1, &msg), -ENOENT);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	assert_int_equal(control_udp_send(lab->edge.udp, LAB_GATEWAY, &bad), -EINVAL);
}

/* W-07: a gateway that has started anew and an edge that has not find together by themselves. */
static void a_restarted_gateway_is_found_again(void **state)
{
	struct lab *lab = *state;
	uint16_t port;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	lab_acquaint(lab);
	port = lab_port(lab);
	control_udp_free(lab->gateway.udp);
	lab_gateway(lab, "127.0.0.1", port, "127.0.0.2", lab_key);

	lab_send_to_gateway(lab, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab_view(lab->edge.udp, LAB_GATEWAY).peer_epoch == lab->epoch);
	assert_int_equal(lab_edge_counters(lab).stale_epoch, 1);
	LAB_UNTIL(lab, lab_edge_counters(lab).received[CONTROL_PROBE_REPLY] == 2);
	assert_int_equal(lab->gateway.messages, 2); /* the replies to its Probes */

	lab_send_to_gateway(lab, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab->gateway.messages == 3);
	assert_int_equal(lab->gateway.last.event, CONTROL_ASSIGNED_IPS);
}

/* W-07: the same the other way round. */
static void a_restarted_edge_is_found_again(void **state)
{
	struct lab *lab = *state;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);
	lab_acquaint(lab);
	control_udp_free(lab->edge.udp);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), lab_key);

	lab_acquaint(lab);

	assert_int_equal(lab_view(lab->gateway.udp, LAB_EDGE).peer_epoch, lab->epoch);
	lab_send_to_edge(lab, CONTROL_DOMAIN_STATUS);
	LAB_UNTIL(lab, lab->edge.messages == 1);
}

/* Nobody listens: counted, and the gateway is reached when it is there. */
static void icmp_errors_are_only_counted(void **state)
{
	struct lab *lab = *state;
	int fd = wire_socket("127.0.0.1", 0);
	uint16_t port = wire_port(fd);

	closep(&fd);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", port, NULL);
	lab_send_to_gateway(lab, CONTROL_PROBE);
	LAB_UNTIL(lab, lab_gateway_counters(lab).unreachable == 1);
	lab_send_to_gateway(lab, CONTROL_PROBE);
	lab_send_to_gateway(lab, CONTROL_PROBE); /* tells of the one before, and goes out */
	LAB_UNTIL(lab, lab_gateway_counters(lab).unreachable == 3);
	assert_int_equal(lab_gateway_counters(lab).sent[CONTROL_PROBE], 3);
	assert_int_equal(lab_gateway_counters(lab).send_failed, 0);

	lab_gateway(lab, "127.0.0.1", port, "127.0.0.2", NULL);
	lab_acquaint(lab);
}

/* An address that this host does not have yet. */
static void a_local_address_may_come_later(void **state)
{
	struct lab *lab = *state;
	struct control_udp_settings settings =
		lab_settings(CONTROL_ROLE_GATEWAY, &lab->gateway, "192.0.2.77");

	lab_edge(lab, "192.0.2.77", "127.0.0.1", 4700, lab_key);
	lab_send_to_gateway(lab, CONTROL_PROBE);
	assert_int_equal(lab_gateway_counters(lab).send_failed, 1);
	assert_int_equal(lab_gateway_counters(lab).sent[CONTROL_PROBE], 0);

	assert_int_equal(control_udp_new(lab->event, &settings, &lab->gateway.udp, lab->error),
			 -EADDRNOTAVAIL);
	assert_string_equal(lab->error, "cannot listen for control messages on 192.0.2.77 port 0: "
					"Cannot assign requested address");
	settings.freebind = true;
	assert_int_equal(control_udp_new(lab->event, &settings, &lab->gateway.udp, lab->error), 0);
}

static void assert_source(struct lab *lab, int fd, const char *expected)
{
	struct fq_addr want = lab_addr(expected), addr;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	uint8_t bytes[LAB_DATAGRAM];
	uint16_t port;

	LAB_UNTIL(lab, wire_readable(fd));
	assert_int_equal(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&sa, &len), 8);
	assert_int_equal(ipaddr_from_sockaddr((struct sockaddr *)&sa, &addr, &port), 0);
	assert_true(ipaddr_equal(&addr, &want));
}

/* The host's address changes: the next message goes out from the new one, without a restart. */
static void a_new_source_address_is_taken_up(void **state)
{
	struct lab *lab = *state;
	_cleanup_(closep) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1;

	if (home < 0 || unshare(CLONE_NEWNET) < 0)
		skip_because("cannot make a network namespace: not root?");
	assert_int_equal(system("ip link set lo up && ip addr add 198.51.100.1/32 dev lo &&"
				"ip addr add 192.0.2.77/32 dev lo && ip route replace "
				"local 198.51.100.1 dev lo src 192.0.2.77 table local"),
			 0);
	fd = wire_socket("198.51.100.1", 0);
	lab_edge(lab, NULL, "198.51.100.1", wire_port(fd), NULL);
	lab_send_to_gateway(lab, CONTROL_PROBE);
	assert_source(lab, fd, "192.0.2.77");

	assert_int_equal(system("ip addr add 192.0.2.78/32 dev lo && ip route replace "
				"local 198.51.100.1 dev lo src 192.0.2.78 table local &&"
				"ip addr del 192.0.2.77/32 dev lo"),
			 0);
	lab_send_to_gateway(lab, CONTROL_PROBE);

	assert_source(lab, fd, "192.0.2.78");
	assert_int_equal(lab_gateway_counters(lab).send_failed, 0);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
}

static void wildcards_are_refused(void **state)
{
	static const char *const wildcards[] = {"0.0.0.0", "::"};
	struct lab *lab = *state;

	lab_edge(lab, NULL, "127.0.0.1", 4700, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct control_udp_settings settings =
			lab_settings(CONTROL_ROLE_GATEWAY, &lab->gateway, wildcards[i]);
		struct control_udp_peer peer = {.addr = lab_addr(wildcards[i]), .port = 1};

		assert_int_equal(
			control_udp_new(lab->event, &settings, &lab->gateway.udp, lab->error),
			-EINVAL);
		assert_int_equal(control_udp_peers_set(lab->edge.udp, &peer, 1, 1), -EINVAL);
	}
	assert_int_equal(lab_view(lab->edge.udp, LAB_GATEWAY).port, 4700);
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(sealed_messages_travel_over_ipv4),
		LAB_TEST(plain_messages_travel_over_ipv4),
		LAB_TEST(sealed_messages_travel_over_ipv6),
		LAB_TEST(the_longest_message_travels),
		LAB_TEST(probes_are_answered),
		LAB_TEST(goodbye_is_reported_and_not_heard),
		LAB_TEST(answers_go_to_the_last_accepted_port),
		LAB_TEST(an_edge_that_was_not_heard_cannot_be_sent_to),
		LAB_TEST(a_restarted_gateway_is_found_again),
		LAB_TEST(a_restarted_edge_is_found_again),
		LAB_TEST(icmp_errors_are_only_counted),
		LAB_TEST(a_local_address_may_come_later),
		LAB_TEST(a_new_source_address_is_taken_up),
		LAB_TEST(wildcards_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
