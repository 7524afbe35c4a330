/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcalls, held packets put back, packets sent for the programs (user/dataplane: upcall). With
 * real traffic between namespaces.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"
#include "../lib/pkt.h"

#define PORT 7

static void assert_received(int fd, const char *text)
{
	char got[64] = {0};

	if (!dpt_readable(fd))
		fail_msg("'%s' has not arrived", text);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen(text));
	assert_string_equal(got, text);
}

static void set_verdict(struct dataplane *dp, enum fq_edge_verdict verdict)
{
	struct fq_edge edge = {.domain = DPT_DOMAIN, .verdict = verdict};
	struct fq_addr proxy4 = dpt_addr(DPT_PROXY4), proxy6 = dpt_addr(DPT_PROXY6);

	assert_int_equal(dataplane_edge_set(dp, &proxy4, &edge), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy6, &edge), 0);
}

/* ---- held packets ---- */

struct held {
	_Alignas(8) uint8_t frame[FQ_HOLD_FRAME_MAX];
	uint32_t kind, domain, ifindex, len; /* of the last upcall */
	uint16_t l3_offset;
	unsigned int count;
};

static void keep_upcall(void *ctx, const struct fq_upcall *u)
{
	struct held *held = ctx;

	held->kind = u->kind;
	held->domain = u->domain;
	held->ifindex = u->ifindex;
	held->len = u->len;
	held->l3_offset = u->l3_offset;
	memcpy(held->frame, u->frame, u->len);
	held->count++;
}

/* Wait for upcalls as the daemon's loop does. */
static void wait_upcalls(struct dataplane *dp, struct held *held, unsigned int count)
{
	while (held->count < count) {
		if (!dpt_readable(dataplane_upcalls_fd(dp)))
			fail_msg("%u upcalls of %u", held->count, count);
		assert_true(dataplane_upcalls_poll(dp, keep_upcall, held, 100) >= 0);
	}
}

/*
 * A packet is held, its domain confirmed, the packet put back. The server's neighbour entry does
 * not exist yet: the program gives the translated packet to us, the kernel asks and waits.
 */
static void held_packet_arrives(const char *local, const char *proxy, const char *server_addr)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, local, 4000);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, server_addr, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct held held = {.count = 0};
	enum dp_injected injected;

	dpt_world(dp);
	dpt_attach(dp);
	dpt_run(DPT_GATEWAY, "ip neigh flush dev sv");
	set_verdict(dp, FQ_EDGE_HOLD);
	dpt_send(client, proxy, PORT, "held", 4);
	wait_upcalls(dp, &held, 1);
	assert_int_equal(held.kind, FQ_UPCALL_HOLD);
	assert_int_equal(held.domain, DPT_DOMAIN);
	assert_int_equal(held.ifindex, if_nametoindex("cl"));

	set_verdict(dp, FQ_EDGE_FORWARD);
	assert_int_equal(dataplane_inject(dp, held.frame, held.len, held.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_CONSUMED);
	dpt_slow(dp);
	assert_received(server, "held");

	/* The neighbour is known now: what is put back is sent at once. */
	assert_int_equal(dataplane_inject(dp, held.frame, held.len, held.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_SENT);
	assert_received(server, "held");
	assert_int_equal(dataplane_sessions_used(dp), 1);
	assert_int_equal(dpt_count(FQ_R_INJECTED), 2);
}

/* C-02: what was held arrives once its domain is confirmed */
static void a_held_ipv4_packet_arrives_without_a_neighbour(void **state)
{
	(void)state;
	held_packet_arrives(DPT_CLIENT4, DPT_PROXY4, DPT_SERVER4);
}

/* C-02: the same over IPv6 */
static void a_held_ipv6_packet_arrives_without_a_neighbour(void **state)
{
	(void)state;
	held_packet_arrives(DPT_CLIENT6, DPT_PROXY6, DPT_SERVER6);
}

/* A packet that is refused when it is put back: the client gets the ICMP error. */
static void refusal_reaches(const char *local, const char *proxy, uint32_t level, uint32_t option)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, local, 4001);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct held held = {.count = 0};
	enum dp_injected injected;
	int one = 1;
	char byte;

	dpt_world(dp);
	dpt_attach(dp);
	assert_int_equal(setsockopt(client, (int)level, (int)option, &one, sizeof(one)), 0);
	set_verdict(dp, FQ_EDGE_HOLD);
	dpt_send(client, proxy, PORT, "held", 4);
	wait_upcalls(dp, &held, 1);

	assert_int_equal(dataplane_grant_del(dp, DPT_CLIENT, DPT_RESOURCE), 0);
	set_verdict(dp, FQ_EDGE_FORWARD);
	assert_int_equal(dataplane_inject(dp, held.frame, held.len, held.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_SENT);
	assert_true(dpt_readable(client));
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_true(errno == EHOSTUNREACH || errno == EACCES);
	assert_int_equal(dpt_count(FQ_R_NOT_GRANTED), 1);
}

static void a_refusal_of_a_held_packet_reaches_the_client(void **state)
{
	(void)state;
	refusal_reaches(DPT_CLIENT4, DPT_PROXY4, IPPROTO_IP, IP_RECVERR);
	dpt_clean(NULL);
	refusal_reaches(DPT_CLIENT6, DPT_PROXY6, IPPROTO_IPV6, IPV6_RECVERR);
}

/* A flow to a neighbour that is not known yet loses no packet. */
static void first_packets_to_an_unknown_neighbour_arrive(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT6, 4002);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER6, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_world(dp);
	dpt_attach(dp);
	dpt_run(DPT_GATEWAY, "ip neigh flush dev sv");
	dpt_send(client, DPT_PROXY6, PORT, "one", 3);
	assert_true(dpt_readable(dataplane_upcalls_fd(dp)));
	assert_int_equal(dpt_slow(dp), 1);
	assert_received(server, "one");
	assert_int_equal(dpt_count(FQ_R_TRANSLATED_SLOW), 1);
}

static void upcalls_are_read_in_order_and_no_more_than_asked_for(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4003);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct held held = {.count = 0};
	char byte;

	(void)state;
	dpt_world(dp);
	dpt_attach(dp);
	set_verdict(dp, FQ_EDGE_HOLD);
	for (byte = 'a'; byte <= 'e'; byte++)
		dpt_send(client, DPT_PROXY4, PORT, &byte, 1);
	while (dpt_count(FQ_R_HELD) < 5)
		usleep(1000);

	for (byte = 'a'; byte <= 'e'; byte++) {
		assert_true(dpt_readable(dataplane_upcalls_fd(dp)));
		assert_int_equal(dataplane_upcalls_poll(dp, keep_upcall, &held, 1), 1);
		assert_int_equal(held.frame[held.l3_offset + 28], byte);
	}
	assert_int_equal(dataplane_upcalls_poll(dp, keep_upcall, &held, 10), 0);
}

static void what_cannot_be_put_back_is_refused(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	uint8_t frame[9000] = {0};
	enum dp_injected injected;

	(void)state;
	dpt_run(DPT_GATEWAY, "true");
	assert_int_equal(dataplane_inject(dp, frame, 10, if_nametoindex("cl"), &injected),
			 -EMSGSIZE);
	assert_int_equal(dataplane_inject(dp, frame, 9000, if_nametoindex("cl"), &injected),
			 -EMSGSIZE);
	assert_int_equal(dataplane_inject(dp, frame, 2049, if_nametoindex("cl"), &injected),
			 -EMSGSIZE);
	assert_int_equal(dataplane_inject(dp, frame, 60, 99999, &injected), -ENODEV);
	assert_int_equal(dataplane_inject(dp, frame, 60, if_nametoindex("cl"), &injected), 0);
	assert_int_equal(injected, DP_INJECT_PASSED);
}

static void only_ip_packets_of_their_length_are_sent(void **state)
{
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct pkt p;
	uint8_t *ip = pkt_data(&p) + PKT_L3;
	size_t len;

	(void)state;
	/* A foreign source address is no obstacle. */
	PKT(&p, .src = "203.0.113.7", .dst = DPT_SERVER4, .proto = PKT_UDP, .sport = 1,
	    .dport = PORT, .payload = "sent", .payload_len = 4, .pad = 14);
	len = p.len - PKT_L3;
	assert_int_equal(dataplane_send_l3(dp, ip, len), 0);
	assert_received(server, "sent");

	assert_int_equal(dataplane_send_l3(dp, ip, 31), -EBADMSG);
	assert_int_equal(dataplane_send_l3(dp, ip, 0), -EBADMSG);
	ip[2] = 0;
	ip[3] = 19;
	assert_int_equal(dataplane_send_l3(dp, ip, len), -EBADMSG);
	ip[0] = 0x55;
	assert_int_equal(dataplane_send_l3(dp, ip, len), -EBADMSG);
	ip[0] = 0x60;
	assert_int_equal(dataplane_send_l3(dp, ip, 39), -EBADMSG);
}

/* What waits for a neighbour is charged to the socket: one host that is off must not fill it. */
static void a_dead_host_does_not_stop_the_others(void **state)
{
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct pkt p;

	(void)state;
	PKT(&p, .src = DPT_GW4, .dst = "198.51.100.66", .proto = PKT_UDP, .sport = 1,
	    .dport = PORT);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(dataplane_send_l3(dp, pkt_data(&p) + PKT_L3, p.len - PKT_L3), 0);
	PKT(&p, .src = DPT_GW4, .dst = DPT_SERVER4, .proto = PKT_UDP, .sport = 1, .dport = PORT,
	    .payload = "alive", .payload_len = 5);
	assert_int_equal(dataplane_send_l3(dp, pkt_data(&p) + PKT_L3, p.len - PKT_L3), 0);
	assert_received(server, "alive");
}

static void a_packet_over_the_mtu_is_reported(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	static const char payload[2000];
	struct pkt p;

	(void)state;
	PKT(&p, .src = DPT_GW4, .dst = DPT_SERVER4, .proto = PKT_UDP, .sport = 1, .dport = PORT,
	    .payload = payload, .payload_len = sizeof(payload));
	assert_int_equal(dataplane_send_l3(dp, pkt_data(&p) + PKT_L3, p.len - PKT_L3), -EMSGSIZE);
	PKT(&p, .src = DPT_GW6, .dst = DPT_SERVER6, .proto = PKT_UDP, .sport = 1, .dport = PORT,
	    .payload = payload, .payload_len = sizeof(payload));
	assert_int_equal(dataplane_send_l3(dp, pkt_data(&p) + PKT_L3, p.len - PKT_L3), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_held_ipv4_packet_arrives_without_a_neighbour,
					  dpt_clean),
		cmocka_unit_test_teardown(a_held_ipv6_packet_arrives_without_a_neighbour,
					  dpt_clean),
		cmocka_unit_test_teardown(a_refusal_of_a_held_packet_reaches_the_client, dpt_clean),
		cmocka_unit_test_teardown(first_packets_to_an_unknown_neighbour_arrive, dpt_clean),
		cmocka_unit_test_teardown(upcalls_are_read_in_order_and_no_more_than_asked_for,
					  dpt_clean),
		cmocka_unit_test_teardown(what_cannot_be_put_back_is_refused, dpt_clean),
		cmocka_unit_test_teardown(only_ip_packets_of_their_length_are_sent, dpt_clean),
		cmocka_unit_test_teardown(a_dead_host_does_not_stop_the_others, dpt_clean),
		cmocka_unit_test_teardown(a_packet_over_the_mtu_is_reported, dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
