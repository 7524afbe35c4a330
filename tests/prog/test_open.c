/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening sessions: source addresses, ports and ids, local sockets, late packets of ended sessions.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 5000

static enum fq_reason out(struct prog *t, uint8_t proto, const char *src, uint16_t sport,
			  const char *proxy, uint16_t dport)
{
	struct prog_result res;
	struct pkt p;

	PKT(&p, .src = src, .dst = proxy, .proto = proto, .sport = sport, .dport = dport);
	prog_run(t, &p, CLIENT_SIDE, &res);
	return res.reason;
}

static uint16_t udp_port(struct prog *t, const char *src, uint16_t sport, const char *proxy)
{
	const struct fq_tuple key = prog_tuple(PKT_UDP, src, sport, proxy, 0);

	return prog_nat_port(t, &key);
}

/* A second proxy address of the same host. */
static void second_proxy(struct prog *t)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4_B, SERVER4, DOMAIN, &resource, 1);
	prog_edge(t, PROXY4_B, FQ_EDGE_FORWARD);
}

/* N-03: the port is kept where it is free, and another one is taken where it is not. */
static void two_flows_to_one_host_get_two_ports(void **state)
{
	struct prog *t = *state;
	uint16_t first, second;
	struct pkt p, expected;

	second_proxy(t);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4_B, 53), FQ_R_TRANSLATED);
	first = udp_port(t, CLIENT4, PORT, PROXY4);
	second = udp_port(t, CLIENT4, PORT, PROXY4_B);

	assert_int_equal(first, PORT);
	assert_int_not_equal(first, second);
	/* each answer is the right flow's */
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = second);
	PKT(&expected, .src = PROXY4_B, .dst = CLIENT4, .proto = PKT_UDP, .sport = 53,
	    .dport = PORT, .ttl = 63, .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_TRANSLATED, &expected);
}

/* N-03: two clients with the same port, and with the same echo id. */
static void clients_do_not_share_ports(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple a = prog_tuple(PKT_ICMP, CLIENT4, 77, PROXY4, 0);
	const struct fq_tuple b = prog_tuple(PKT_ICMP, "192.0.2.3", 77, PROXY4, 0);

	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, "192.0.2.3", PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_not_equal(udp_port(t, CLIENT4, PORT, PROXY4),
			     udp_port(t, "192.0.2.3", PORT, PROXY4));
	assert_int_equal(out(t, PKT_ICMP, CLIENT4, 77, PROXY4, 0), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_ICMP, "192.0.2.3", 77, PROXY4, 0), FQ_R_TRANSLATED);
	assert_int_equal(prog_nat_port(t, &a), 77);
	assert_int_not_equal(prog_nat_port(t, &b), 77);
}

/* RFC 4787 REQ-1: the port does not depend on where in the peer the flow goes. */
static void tcp_flows_of_one_port_keep_one_port(void **state)
{
	const uint16_t client_port = 40000; /* not kept: the kernel's range */
	struct prog *t = *state;
	uint16_t first = 0;

	for (uint16_t dport = 80; dport < 90; dport++) {
		const struct fq_tuple key =
			prog_tuple(PKT_TCP, CLIENT4, client_port, PROXY4, dport);

		assert_int_equal(out(t, PKT_TCP, CLIENT4, client_port, PROXY4, dport),
				 FQ_R_TRANSLATED);
		first = first ? first : prog_nat_port(t, &key);
		assert_int_equal(prog_nat_port(t, &key), first);
	}
}

/* N-01: for UDP and ICMP, the peer's port is no part of the mapping. */
static void mapping_does_not_know_the_peers_port(void **state)
{
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_UDP, CLIENT4, 40000, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, 40000, PROXY4, 5353), FQ_R_TRANSLATED);

	assert_int_equal(prog_sessions(t), 2);
	assert_true(udp_port(t, CLIENT4, 40000, PROXY4) != 0);
}

/* N-11: the same flow gets the same port again. */
static void mapping_comes_back_after_its_end(void **state)
{
	struct prog *t = *state;
	uint16_t before;

	assert_int_equal(out(t, PKT_UDP, CLIENT4, 40000, PROXY4, 53), FQ_R_TRANSLATED);
	before = udp_port(t, CLIENT4, 40000, PROXY4);
	prog_reset(t);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, 40000, PROXY4, 53), FQ_R_TRANSLATED);

	assert_int_equal(udp_port(t, CLIENT4, 40000, PROXY4), before);
}

/* Sockets that are opened later find their ports free. */
static void kernels_ephemeral_ports_are_left_alone(void **state)
{
	struct prog *t = *state;

	for (uint32_t port = 32768; port < 60999; port += 211) {
		uint16_t nat;

		assert_int_equal(out(t, PKT_UDP, CLIENT4, port, PROXY4, 53), FQ_R_TRANSLATED);
		nat = udp_port(t, CLIENT4, port, PROXY4);
		assert_true(nat >= 1024 && (nat < 32768 || nat > 60999));
	}
}

/* N-03: RFC 4787 REQ-3a: a well-known port is kept, or mapped to one; the others never are. */
static void ports_stay_in_their_class(void **state)
{
	struct prog *t = *state;

	for (uint16_t port = 0; port < 1024; port += 31) {
		uint16_t own, other;

		assert_int_equal(out(t, PKT_UDP, CLIENT4, port, PROXY4, 53), FQ_R_TRANSLATED);
		assert_int_equal(out(t, PKT_UDP, "192.0.2.3", port, PROXY4, 53), FQ_R_TRANSLATED);
		own = udp_port(t, CLIENT4, port, PROXY4);
		other = udp_port(t, "192.0.2.3", port, PROXY4);
		assert_true(port ? own == port || (own >= 512 && own < 1024) : own >= 512);
		assert_in_range(other, 512, 1023);
	}
	for (uint16_t port = 1024; port < 1200; port++) {
		assert_int_equal(out(t, PKT_UDP, CLIENT4, port, PROXY4, 53), FQ_R_TRANSLATED);
		assert_int_equal(out(t, PKT_UDP, "192.0.2.3", port, PROXY4, 53), FQ_R_TRANSLATED);
		assert_int_equal(udp_port(t, CLIENT4, port, PROXY4), port);
		assert_true(udp_port(t, "192.0.2.3", port, PROXY4) >= 1024);
	}
}

static int bound_socket(int type, const char *address, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;

	assert_true(fd >= 0);
	inet_pton(AF_INET, address, &sa.sin_addr);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* RFC 4787 REQ-3a: a service of this host keeps its port, and the client gets another such one. */
static void well_known_ports_of_local_sockets_are_not_taken(void **state)
{
	struct prog *t = *state;
	int here = bound_socket(SOCK_DGRAM, "0.0.0.0", 123);

	assert_int_equal(out(t, PKT_UDP, CLIENT4, 123, PROXY4, 123), FQ_R_TRANSLATED);
	assert_in_range(udp_port(t, CLIENT4, 123, PROXY4), 512, 1023);
	close(here);
}

static void connect_to_server(int fd, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, SERVER4, &sa.sin_addr);
	(void)connect(fd, (struct sockaddr *)&sa, sizeof(sa)); /* in progress, for ever */
}

/* Bound, listening, connecting: whoever has the port here keeps it. */
static void ports_of_local_sockets_are_not_taken(void **state)
{
	struct prog *t = *state;
	int udp = bound_socket(SOCK_DGRAM, "0.0.0.0", PORT);
	int listener = bound_socket(SOCK_STREAM, GW4, PORT + 1);
	int client = bound_socket(SOCK_STREAM, GW4, PORT + 2);
	const struct fq_tuple a = prog_tuple(PKT_UDP, CLIENT4, PORT, PROXY4, 0);
	const struct fq_tuple b = prog_tuple(PKT_TCP, CLIENT4, PORT + 1, PROXY4, 443);
	const struct fq_tuple c = prog_tuple(PKT_TCP, CLIENT4, PORT + 2, PROXY4, 443);
	const struct fq_tuple d = prog_tuple(PKT_TCP, CLIENT4, PORT + 2, PROXY4, 80);

	assert_int_equal(listen(listener, 1), 0);
	connect_to_server(client, 443);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, PORT + 1, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, PORT + 2, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, PORT + 2, PROXY4, 80), FQ_R_TRANSLATED);

	assert_int_not_equal(prog_nat_port(t, &a), PORT);
	assert_int_not_equal(prog_nat_port(t, &b), PORT + 1);
	assert_int_not_equal(prog_nat_port(t, &c), PORT + 2);
	assert_int_equal(prog_nat_port(t, &d), PORT + 2); /* another connection's port is free */
	close(udp);
	close(listener);
	close(client);
}

static void ports_of_local_ipv6_sockets_are_not_taken(void **state)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	const struct fq_tuple key = prog_tuple(PKT_UDP, CLIENT6, PORT, PROXY6, 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct prog *t = *state;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(out(t, PKT_UDP, CLIENT6, PORT, PROXY6, 53), FQ_R_TRANSLATED);

	assert_int_not_equal(prog_nat_port(t, &key), PORT);
	close(fd);
}

/* A socket of this host opens a connection that a session has had before. */
static void local_connection_takes_the_tuple_over(void **state)
{
	const struct fq_tuple key = prog_tuple(PKT_TCP, SERVER4, 443, GW4, PORT);
	const struct fq_tuple out_key = prog_tuple(PKT_TCP, CLIENT4, PORT, PROXY4, 443);
	struct prog *t = *state;
	struct prog_result res;
	struct pkt syn_ack, ack;
	int client;

	PKT(&syn_ack, .src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT,
	    .tcp_flags = 0x12);
	PKT(&ack, .src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, PORT, PROXY4, 443), FQ_R_TRANSLATED);
	prog_run(t, &syn_ack, SERVER_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	prog_run(t, &syn_ack, SERVER_SIDE, &res); /* sent again: still the session's */
	assert_int_equal(res.reason, FQ_R_TRANSLATED);

	client = bound_socket(SOCK_STREAM, GW4, PORT);
	connect_to_server(client, 443);
	prog_expect(t, &syn_ack, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	prog_expect(t, &ack, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	assert_int_equal(prog_session(t, &key).tcp_seen & (FQ_TCP_RST | FQ_TCP_LOCAL),
			 FQ_TCP_RST | FQ_TCP_LOCAL);
	/* nor does the client write into that connection, until the session has been ended */
	assert_int_equal(out(t, PKT_TCP, CLIENT4, PORT, PROXY4, 443), FQ_R_EXPIRED_SESSION);
	assert_int_equal(prog_session(t, &out_key).tcp_seen & (FQ_TCP_RST | FQ_TCP_LOCAL),
			 FQ_TCP_RST | FQ_TCP_LOCAL);
	close(client);
}

static void used_up_ports_are_refused(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog *t;
	struct pkt p;

	(void)state;
	s.port_lo = 2000;
	s.port_hi = 2003;
	t = prog_new(&s, false);
	assert_non_null(t);
	for (uint16_t port = 5000; port < 5004; port++)
		assert_int_equal(out(t, PKT_TCP, CLIENT4, port, PROXY4, 443), FQ_R_TRANSLATED);

	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .sport = 5004, .dport = 443);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NO_PORT, PROXY4, 3, 13, 0);
	assert_int_equal(prog_sessions(t), 8);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 4);
	/* RFC 7857 3: towards another port the same ones are free */
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 5004, PROXY4, 80), FQ_R_TRANSLATED);
	prog_free(t);
}

/* A port range that is all the kernel's leaves nothing. */
static void range_inside_the_kernels_is_refused(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog *t;

	(void)state;
	s.port_lo = 40000;
	s.port_hi = 50000;
	t = prog_new(&s, false);
	assert_non_null(t);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 45000, PROXY4, 443), FQ_R_NO_PORT);
	assert_int_equal(out(t, PKT_ICMP, CLIENT4, 45000, PROXY4, 0), FQ_R_TRANSLATED);
	prog_free(t);
}

static void masquerade_none_keeps_the_clients_address_and_port(void **state)
{
	struct fq_settings s = prog_settings();
	struct pkt p, expected;
	struct prog *t;
	int here;

	(void)state;
	s.masquerade = FQ_MASQ_NONE;
	t = prog_new(&s, false);
	assert_non_null(t);
	here = bound_socket(SOCK_DGRAM, "0.0.0.0", 40000);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = 40000, .dport = 53);
	PKT(&expected, .src = CLIENT4, .dst = SERVER4, .proto = PKT_UDP, .sport = 40000,
	    .dport = 53, .ttl = 63, .dmac = PKT_MAC_SERVER, .smac = PKT_MAC_GW_SERVER);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	PKT(&p, .src = SERVER4, .dst = CLIENT4, .proto = PKT_UDP, .sport = 53, .dport = 40000);
	PKT(&expected, .src = PROXY4, .dst = CLIENT4, .proto = PKT_UDP, .sport = 53, .dport = 40000,
	    .ttl = 63, .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_TRANSLATED, &expected);
	close(here);
	prog_free(t);
}

/* RFC 4787 REQ-2: a client always gets the same address. */
static void given_addresses_are_paired_with_clients(void **state)
{
	struct fq_settings s = prog_settings();
	bool seen[2] = {false};
	struct prog *t;

	(void)state;
	s.masquerade = FQ_MASQ_GIVEN;
	s.nat4_count = 2;
	s.nat4[0] = prog_addr("198.51.100.100");
	s.nat4[1] = prog_addr("198.51.100.101");
	t = prog_new(&s, false);
	assert_non_null(t);
	for (int i = 1; i < 40; i++) {
		struct session_entry first, second;
		struct fq_tuple key;
		char src[20];

		snprintf(src, sizeof(src), "192.0.2.%d", i);
		assert_int_equal(out(t, PKT_UDP, src, 40000, PROXY4, 53), FQ_R_TRANSLATED);
		assert_int_equal(out(t, PKT_TCP, src, 40001, PROXY4, 443), FQ_R_TRANSLATED);
		key = prog_tuple(PKT_UDP, src, 40000, PROXY4, 0);
		first = prog_session(t, &key);
		key = prog_tuple(PKT_TCP, src, 40001, PROXY4, 443);
		second = prog_session(t, &key);
		assert_memory_equal(&first.src, &second.src, sizeof(first.src));
		seen[first.src.b[15] - 100] = true;
	}
	assert_true(seen[0] && seen[1]);
	assert_int_equal(out(t, PKT_TCP, CLIENT6, PORT, PROXY6, 443), FQ_R_NO_NAT_ADDRESS);
	prog_free(t);
}

/* A given address that is this host's is shared with its sockets, another one is not. */
static void kernels_ports_are_left_alone_on_given_local_addresses(void **state)
{
	struct fq_settings s = prog_settings();

	(void)state;
	s.masquerade = FQ_MASQ_GIVEN;
	s.nat4_count = 1;
	s.nat4[0] = prog_addr(GW4);
	for (s.given_local = 0; s.given_local < 2; s.given_local++) {
		struct prog *t = prog_new(&s, false);
		uint16_t nat;

		assert_non_null(t);
		assert_int_equal(out(t, PKT_UDP, CLIENT4, 40000, PROXY4, 53), FQ_R_TRANSLATED);
		nat = udp_port(t, CLIENT4, 40000, PROXY4);
		if (s.given_local)
			assert_true(nat >= 1024 && (nat < 32768 || nat > 60999));
		else
			assert_int_equal(nat, 40000);
		prog_free(t);
	}
}

static void set_tombstone(struct prog *t, const struct fq_tuple *key, uint64_t until)
{
	const struct fq_tombstone stone = {.until = until, .client = prog_addr(CLIENT4)};

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.tombstones), key, &stone, BPF_ANY),
		0);
}

/* G-43: a late packet is nobody else's. */
static void late_packet_of_an_ended_session_is_dropped(void **state)
{
	const struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, PORT);
	struct prog *t = *state;
	struct pkt p;

	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT);
	set_tombstone(t, &key, prog_now() + 10000000000);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_EXPIRED_SESSION, NULL);
	set_tombstone(t, &key, prog_now() - 1);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_NOT_OURS, NULL);
}

/* A socket of this host has got the port that the session had. */
static void late_packets_are_not_taken_from_local_sockets(void **state)
{
	const struct fq_tuple udp_key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, PORT);
	const struct fq_tuple tcp_key = prog_tuple(PKT_TCP, SERVER4, 443, GW4, PORT);
	int udp = bound_socket(SOCK_DGRAM, GW4, PORT), tcp = bound_socket(SOCK_STREAM, GW4, PORT);
	struct prog *t = *state;
	struct pkt p;

	set_tombstone(t, &udp_key, prog_now() + 10000000000);
	set_tombstone(t, &tcp_key, prog_now() + 10000000000);
	connect_to_server(tcp, 443);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	close(udp);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_EXPIRED_SESSION, NULL);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT,
	    .tcp_flags = 0x12);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	close(tcp);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_EXPIRED_SESSION, NULL);
}

/* N-05: a new session on the tuple ends the mourning. */
static void new_session_removes_the_tombstone(void **state)
{
	const struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, PORT);
	struct prog *t = *state;
	struct fq_tombstone stone;
	struct prog_result res;
	struct pkt p;

	set_tombstone(t, &key, prog_now() + 10000000000);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4, 53), FQ_R_TRANSLATED);

	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT);
	prog_run(t, &p, SERVER_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_true(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.tombstones), &key, &stone) < 0);
}

/* N-11: RFC 6888 REQ-8: what a client has had is kept for it, and given to nobody else so soon. */
static void a_released_port_is_its_clients_for_a_time(void **state)
{
	const struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, PORT);
	struct prog *t = *state;

	set_tombstone(t, &key, prog_now() + 10000000000);
	assert_int_equal(out(t, PKT_UDP, "192.0.2.3", PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_not_equal(udp_port(t, "192.0.2.3", PORT, PROXY4), PORT);
	assert_int_equal(out(t, PKT_UDP, CLIENT4, PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(udp_port(t, CLIENT4, PORT, PROXY4), PORT);

	prog_reset(t);
	set_tombstone(t, &key, prog_now() - 1);
	assert_int_equal(out(t, PKT_UDP, "192.0.2.3", PORT, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(udp_port(t, "192.0.2.3", PORT, PROXY4), PORT);
}

/* Nor where nothing else is left: then the flow is refused. */
static void released_ports_may_be_all_there_are(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog *t;
	struct pkt p;

	(void)state;
	s.port_lo = 2000;
	s.port_hi = 2003;
	t = prog_new(&s, false);
	assert_non_null(t);
	for (uint16_t port = 2000; port < 2004; port++) {
		const struct fq_tuple key = prog_tuple(PKT_TCP, SERVER4, 443, GW4, port);

		set_tombstone(t, &key, prog_now() + 10000000000);
	}
	PKT(&p, .src = "192.0.2.3", .dst = PROXY4, .proto = PKT_TCP, .sport = 5000, .dport = 443,
	    .smac = PKT_MAC_CLIENT);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NO_PORT, PROXY4, 3, 13, 0);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 5000, PROXY4, 443), FQ_R_TRANSLATED);
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(two_flows_to_one_host_get_two_ports),
		T(clients_do_not_share_ports),
		T(tcp_flows_of_one_port_keep_one_port),
		T(mapping_does_not_know_the_peers_port),
		T(mapping_comes_back_after_its_end),
		T(kernels_ephemeral_ports_are_left_alone),
		T(ports_stay_in_their_class),
		T(well_known_ports_of_local_sockets_are_not_taken),
		T(ports_of_local_sockets_are_not_taken),
		T(ports_of_local_ipv6_sockets_are_not_taken),
		T(local_connection_takes_the_tuple_over),
		T(used_up_ports_are_refused),
		T(range_inside_the_kernels_is_refused),
		T(masquerade_none_keeps_the_clients_address_and_port),
		T(given_addresses_are_paired_with_clients),
		T(kernels_ports_are_left_alone_on_given_local_addresses),
		T(late_packet_of_an_ended_session_is_dropped),
		T(late_packets_are_not_taken_from_local_sockets),
		T(new_session_removes_the_tombstone),
		T(a_released_port_is_its_clients_for_a_time),
		T(released_ports_may_be_all_there_are),
	};
	int failed;

	failed = cmocka_run_group_tests_name("open", tests, prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("open, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
