/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote gateways and scopes as the daemon sees them (user/dataplane: maps, sessions, upcall,
 * view), the first with real traffic between namespaces: the server is the gateway, and has the
 * proxy addresses itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"
#include "../lib/table_put.h"

#define PORT    7
#define GATEWAY 3
#define S(n)    ((uint64_t)(n)*NSEC_PER_SEC)

static int enter(void **state)
{
	int r = dpt_enter(state);

	if (r < 0)
		return r;
	dpt_run(DPT_SERVER_SIDE, "ip addr add " DPT_PROXY4 "/32 dev s0");
	dpt_run(DPT_SERVER_SIDE, "ip addr add " DPT_PROXY6 "/128 dev s0 nodad");
	dpt_run(DPT_SERVER_SIDE, "ip route add 192.0.2.0/24 via " DPT_GW4);
	dpt_run(DPT_SERVER_SIDE, "ip -6 route add 2001:db8:1::/64 via " DPT_GW6);
	/* The pools' routes are of no help. */
	dpt_run(DPT_GATEWAY, "ip route add 100.96.0.0/11 via " DPT_CLIENT4);
	dpt_run(DPT_GATEWAY, "ip -6 route add fd00:2021:1111:8000::/107 via " DPT_CLIENT6);
	return 0;
}

static void use_gateway(struct dataplane *dp, const char *addr, enum fq_edge_verdict verdict)
{
	struct fq_edge edge = {.domain = DPT_DOMAIN, .gateway = GATEWAY, .verdict = verdict};
	struct fq_addr proxy4 = dpt_addr(DPT_PROXY4), proxy6 = dpt_addr(DPT_PROXY6);
	struct fq_addr a = dpt_addr(addr);

	assert_int_equal(dataplane_gateway_set(dp, GATEWAY, &a, true), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy4, &edge), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy6, &edge), 0);
}

/* The neighbour's answer is waited for here: the daemon's probes see to that. */
static void resolve(const char *addr)
{
	dpt_run(DPT_GATEWAY, "ping -q -c 1 -W 2 %s >/dev/null", addr);
}

static void assert_received(int fd, const char *text)
{
	char got[64] = {0};

	if (!dpt_readable(fd))
		fail_msg("'%s' has not arrived", text);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen(text));
	assert_string_equal(got, text);
}

/* ---- traffic ---- */

static void exchange(const char *local, const char *proxy, const char *gateway)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, local, 4000);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, proxy, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	dpt_world(dp);
	dpt_attach(dp);
	use_gateway(dp, gateway, FQ_EDGE_FORWARD);
	resolve(gateway);
	dpt_send(client, proxy, PORT, "out", 3);
	assert_received(server, "out");
	dpt_send(server, local, 4000, "in", 2);
	assert_received(client, "in");
	assert_int_equal(dataplane_sessions_used(dp), 1);
	assert_int_equal(dpt_count(FQ_R_FORWARDED), 2);
}

static void packets_reach_the_gateway_and_come_back(void **state)
{
	(void)state;
	exchange(DPT_CLIENT4, DPT_PROXY4, DPT_SERVER4);
}

static void ipv6_packets_reach_a_gateway_by_ipv4(void **state)
{
	(void)state;
	exchange(DPT_CLIENT6, DPT_PROXY6, DPT_SERVER4);
}

static void ipv4_packets_reach_a_gateway_by_ipv6(void **state)
{
	(void)state;
	exchange(DPT_CLIENT4, DPT_PROXY4, DPT_SERVER6);
}

struct held {
	_Alignas(8) uint8_t frame[FQ_HOLD_FRAME_MAX];
	uint32_t len, ifindex;
	unsigned int count;
};

static void keep_held(void *ctx, const struct fq_upcall *u)
{
	struct held *held = ctx;

	assert_int_equal(u->kind, FQ_UPCALL_HOLD);
	memcpy(held->frame, u->frame, u->len);
	held->len = u->len;
	held->ifindex = u->ifindex;
	held->count++;
}

/* C-02: what was held for a domain goes to the domain's gateway. */
static void a_held_packet_reaches_the_gateway(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT6, 4000);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_PROXY6, PORT);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct held held = {.count = 0};
	enum dp_injected injected;

	(void)state;
	dpt_world(dp);
	dpt_attach(dp);
	use_gateway(dp, DPT_SERVER4, FQ_EDGE_HOLD);
	resolve(DPT_SERVER4);
	dpt_send(client, DPT_PROXY6, PORT, "held", 4);
	while (!held.count && dpt_readable(dataplane_upcalls_fd(dp)))
		assert_true(dataplane_upcalls_poll(dp, keep_held, &held, 1) >= 0);
	use_gateway(dp, DPT_SERVER4, FQ_EDGE_FORWARD);
	assert_int_equal(dataplane_inject(dp, held.frame, held.len, held.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_SENT);

	assert_received(server, "held");
	assert_int_equal(held.count, 1);
	assert_int_equal(dpt_count(FQ_R_FORWARDED_SLOW), 1);
}

/* A tunnel of which we are the other end. */
static int open_tunnel(const char *name)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &req), 0);
	return fd;
}

/* XDP cannot send to it, and its packets have no Ethernet header. */
static void the_daemon_sends_into_tunnels(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4000);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(closep) int tunnel = open_tunnel("tun9");
	struct fq_addr proxy = dpt_addr(DPT_PROXY4);
	struct held held = {.count = 0};
	struct iphdr ip = {0};

	(void)state;
	dpt_world(dp);
	dpt_attach(dp);
	dpt_run(DPT_GATEWAY, "ip addr add 10.9.0.1 peer 10.9.0.2 dev tun9");
	dpt_run(DPT_GATEWAY, "ip link set tun9 up");
	assert_int_equal(dataplane_netlink_ready(dp, NULL, NULL), 0);
	use_gateway(dp, "10.9.0.2", FQ_EDGE_FORWARD);
	/* As the daemon's probe does: the kernel has a neighbour then. */
	dpt_run(DPT_GATEWAY, "ping -q -c 1 -W 0.1 10.9.0.2 >/dev/null || true");
	dpt_send(client, DPT_PROXY4, PORT, "tunnel", 6);
	assert_true(dpt_readable(dataplane_upcalls_fd(dp)));
	assert_int_equal(dataplane_upcalls_poll(dp, keep_held, &held, 10), 1);

	while (ip.daddr != proxy.w[3]) {
		char packet[2048];

		assert_true(dpt_readable(tunnel));
		assert_true(read(tunnel, packet, sizeof(packet)) >= (ssize_t)sizeof(ip));
		memcpy(&ip, packet, sizeof(ip));
	}
	assert_int_equal(ip.version, 4);
	assert_int_equal(ip.ttl, 63);
	assert_int_equal(ntohs(ip.tot_len), 20 + 8 + 6);
	assert_int_equal(held.count, 0);
	assert_int_equal(dpt_count(FQ_R_FORWARDED_SLOW), 1);
}

/* ---- maps ---- */

static void gateways_are_set_and_deleted(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct fq_addr a = dpt_addr(DPT_SERVER6), b = dpt_addr(DPT_SERVER4);
	const uint32_t one = 1;
	struct fq_gateway g;
	uint32_t gen;

	(void)state;
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dataplane_gateway_set(dp, 0, &a, true), -EINVAL);
	assert_int_equal(dataplane_gateway_set(dp, FQ_GATEWAYS_MAX, &a, true), -EINVAL);
	assert_int_equal(dpview_gateway(view, 1, &g), -ENOENT);
	assert_int_equal(dataplane_gateway_set(dp, 1, &a, true), 0);
	assert_int_equal(dpview_gateway(view, 1, &g), 0);
	assert_memory_equal(&g.addr, &a, sizeof(a));
	assert_int_equal(g.up, 1);
	assert_int_equal(dataplane_gateway_set(dp, 1, &a, false), 0);
	assert_int_equal(dpview_gateway(view, 1, &g), 0);
	assert_int_equal(g.up, 0);
	/* what the programs have noted of it goes with its address, and what sessions remember */
	gen = dp->control->gen;
	g.ifindex = 7;
	assert_int_equal(bpf_map_update_elem(dp->maps[M_GATEWAYS], &one, &g, BPF_ANY), 0);
	assert_int_equal(dataplane_gateway_set(dp, 1, &a, true), 0);
	assert_int_equal(dpview_gateway(view, 1, &g), 0);
	assert_int_equal(g.ifindex, 7);
	assert_int_equal(dp->control->gen, gen);
	assert_int_equal(dataplane_gateway_set(dp, 1, &b, true), 0);
	assert_int_equal(dpview_gateway(view, 1, &g), 0);
	assert_int_equal(g.ifindex, 0);
	assert_int_equal(dp->control->gen, gen + 1);
	assert_int_equal(dataplane_gateway_del(dp, 1), 0);
	assert_int_equal(dp->control->gen, gen + 2);
	assert_int_equal(dataplane_gateway_del(dp, 1), 0);
	assert_int_equal(dp->control->gen, gen + 2);
	assert_int_equal(dpview_gateway(view, 1, &g), -ENOENT);
}

/* Between begin and end everything is there; afterwards, what has been set. */
static void a_new_daemon_keeps_the_gateways_it_sets(void **state)
{
	struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct fq_addr a = dpt_addr(DPT_SERVER4);
	struct fq_gateway g;

	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(dataplane_gateway_set(dp, id, &a, true), 0);
	dataplane_free(dp);
	dp = dpt_open();
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dataplane_sync_begin(dp), 0);
	assert_int_equal(dataplane_gateway_set(dp, 2, &a, false), 0);
	assert_int_equal(dpview_gateway(view, 1, &g), 0);
	assert_int_equal(dataplane_sync_end(dp), 2);

	assert_int_equal(dpview_gateway(view, 1, &g), -ENOENT);
	assert_int_equal(dpview_gateway(view, 2, &g), 0);
	assert_int_equal(dpview_gateway(view, 3, &g), -ENOENT);
	dataplane_free(dp);
}

/* ---- sessions ---- */

/* Two entries of a flow that is forwarded. */
static void forwarded(struct dataplane *dp, uint16_t port, uint64_t last_out, uint64_t last_in)
{
	struct fq_tuple key = {.src = dpt_addr(DPT_CLIENT4),
			       .dst = dpt_addr(DPT_PROXY4),
			       .sport = htons(port),
			       .proto = IPPROTO_UDP};
	struct session_entry out = {.src = key.src,
				    .dst = key.dst,
				    .port = key.sport,
				    .peer_port = htons(53),
				    .dir = FQ_DIR_OUT,
				    .gateway = GATEWAY,
				    .client = DPT_CLIENT,
				    .domain = DPT_DOMAIN,
				    .created = S(1),
				    .last = last_out};
	struct fq_tuple in_key = session_partner(&key, &out);
	struct session_entry in = out;

	in.src = key.dst;
	in.dst = key.src;
	in.dir = FQ_DIR_IN;
	in.last = last_in;
	table_put(&dp->table, &key, &out);
	table_put(&dp->table, &in_key, &in);
	dp->control->sessions++;
	dp->quota[DPT_CLIENT].sessions++;
}

/* N-06: forwarded flows end as translated ones do, and are given back as they were counted. */
static void forwarded_sessions_expire(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_sweep sweep;

	(void)state;
	forwarded(dp, 1, S(600), S(650)); /* idle for 350 s */
	forwarded(dp, 2, S(700), S(950)); /* replied to 50 s ago */
	forwarded(dp, 3, S(870), 0);      /* never answered, 130 s */
	sweep = dataplane_sweep(dp, (struct instant){S(1000)}, 65536);

	assert_int_equal(sweep.expired, 2);
	assert_int_equal(sweep.orphans, 0);
	assert_int_equal(dpt_entries("sessions"), 2);
	assert_int_equal(dataplane_sessions_used(dp), 1);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), 1);
}

static int keep_row(void *ctx, const struct dpview_session *row)
{
	*(struct dpview_session *)ctx = *row;
	return 0;
}

/* Where it is translated, only the gateway knows. */
static void a_forwarded_session_has_a_gateway_and_no_real_address(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	const struct fq_addr proxy = dpt_addr(DPT_PROXY4), client = dpt_addr(DPT_CLIENT4);
	struct dpview_session row = {0};
	uint64_t flushed;

	(void)state;
	forwarded(dp, 9, S(1), S(2));
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_sessions(view, NULL, (struct instant){S(3)}, keep_row, &row), 0);
	assert_int_equal(row.gateway, GATEWAY);
	assert_true(ipaddr_is_zero(&row.real) && ipaddr_is_zero(&row.nat));
	assert_true(ipaddr_equal(&row.proxy, &proxy) && ipaddr_equal(&row.client, &client));
	assert_int_equal(row.client_port, 9);
	assert_int_equal(row.port, 53);

	/* Nor is it found by what it has not got. */
	flushed = dataplane_flush(dp, &(struct dp_match){.real = &proxy}, (struct instant){S(3)});
	assert_int_equal(flushed, 0);
	flushed = dataplane_flush(dp, &(struct dp_match){.nat = &client, .nats = 1},
				  (struct instant){S(3)});
	assert_int_equal(flushed, 0);
	flushed = dataplane_flush(dp, &(struct dp_match){.proxy = &proxy}, (struct instant){S(3)});
	assert_int_equal(flushed, 1);
	assert_int_equal(dpt_entries("sessions"), 0);
}

/* A daemon that is killed leaves its flows with their gateway. */
static void a_forwarded_flow_outlives_the_daemon(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4000);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_PROXY4, PORT);
	struct dataplane *dp = dpt_open();

	(void)state;
	dpt_world(dp);
	dpt_attach(dp);
	use_gateway(dp, DPT_SERVER4, FQ_EDGE_FORWARD);
	resolve(DPT_SERVER4);
	dpt_send(client, DPT_PROXY4, PORT, "one", 3);
	assert_received(server, "one");
	dataplane_free(dp);
	dpt_send(client, DPT_PROXY4, PORT, "two", 3);
	assert_received(server, "two");

	dp = dpt_open();
	assert_true(dataplane_taken_over(dp));
	assert_int_equal(dataplane_sessions_used(dp), 1);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), 1);
	/* What happens to the domain is of no interest to it. */
	use_gateway(dp, DPT_SERVER4, FQ_EDGE_REFUSE);
	dpt_send(client, DPT_PROXY4, PORT, "three", 5);
	assert_received(server, "three");
	dataplane_free(dp);
}

/* ---- scopes ---- */

static void sessions_count_for_their_scope_too(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dpt_session s = {.proto = IPPROTO_UDP, .created = S(1), .last_out = S(1)};
	struct dp_sweep sweep;
	struct fq_quota quota;

	(void)state;
	dataplane_quota_set(dp, 1, 7, 100);
	dataplane_quota_set(dp, 2, 7, 100);
	dataplane_quota_set(dp, 3, 8, 100);
	dataplane_scope_quota_set(dp, 7, 150);
	dataplane_scope_quota_set(dp, FQ_SCOPES_MAX, 150); /* there is none */
	for (uint32_t i = 1; i <= 3; i++) {
		s.client_port = s.nat_port = (uint16_t)i;
		s.client_id = i;
		dpt_session(dp, &s);
	}
	/* As after a crash: none of the counts is believed. */
	dp->quota[FQ_CLIENTS_MAX + 7].sessions = 99;
	assert_int_equal(sessions_recount(dp), 0);
	assert_int_equal(dataplane_scope_quota_used(dp, 7), 2);
	assert_int_equal(dataplane_scope_quota_used(dp, 8), 1);
	assert_int_equal(dataplane_scope_quota_used(dp, 0), 0);
	assert_int_equal(dataplane_sessions_used(dp), 3);
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_scope_quota(view, 7, &quota), 0);
	assert_int_equal(quota.sessions, 2);
	assert_int_equal(quota.max, 150);
	assert_int_equal(dpview_scope_quota(view, FQ_SCOPES_MAX, &quota), -ENOENT);

	/* To another edge, and to none. */
	dataplane_quota_set(dp, 2, 8, 100);
	dataplane_quota_set(dp, 3, 0, 100);
	assert_int_equal(dataplane_scope_quota_used(dp, 7), 1);
	assert_int_equal(dataplane_scope_quota_used(dp, 8), 1);
	sweep = dataplane_sweep(dp, (struct instant){S(1000)}, 65536);
	assert_int_equal(sweep.expired, 3);
	assert_int_equal(dataplane_scope_quota_used(dp, 7), 0);
	assert_int_equal(dataplane_scope_quota_used(dp, 8), 0);
	assert_int_equal(dataplane_sessions_used(dp), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, dpt_clean)
	const struct CMUnitTest tests[] = {
		T(packets_reach_the_gateway_and_come_back),
		T(ipv6_packets_reach_a_gateway_by_ipv4),
		T(ipv4_packets_reach_a_gateway_by_ipv6),
		T(a_held_packet_reaches_the_gateway),
		T(the_daemon_sends_into_tunnels),
		T(gateways_are_set_and_deleted),
		T(a_new_daemon_keeps_the_gateways_it_sets),
		T(forwarded_sessions_expire),
		T(a_forwarded_session_has_a_gateway_and_no_real_address),
		T(a_forwarded_flow_outlives_the_daemon),
		T(sessions_count_for_their_scope_too),
	};

	return cmocka_run_group_tests(tests, enter, dpt_leave);
}
