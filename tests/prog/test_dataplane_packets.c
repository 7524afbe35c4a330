/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcalls, held packets put back, packets sent for the programs, addresses followed, warnings, and
 * what is shown of it (user/dataplane: upcall, addr, maps, warn, view). With real traffic between
 * namespaces.
 */
#include <errno.h>
#include <linux/if_ether.h>
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

#include "dptest.h"
#include "pkt.h"

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
	struct fq_upcall head;
	unsigned int count;
};

static void keep_upcall(void *ctx, const struct fq_upcall *u)
{
	struct held *held = ctx;

	held->head = *u;
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
	assert_int_equal(held.head.kind, FQ_UPCALL_HOLD);
	assert_int_equal(held.head.domain, DPT_DOMAIN);
	assert_int_equal(held.head.ifindex, if_nametoindex("cl"));

	set_verdict(dp, FQ_EDGE_FORWARD);
	assert_int_equal(
		dataplane_inject(dp, held.frame, held.head.len, held.head.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_CONSUMED);
	dpt_slow(dp);
	assert_received(server, "held");

	/* The neighbour is known now: what is put back is sent at once. */
	assert_int_equal(
		dataplane_inject(dp, held.frame, held.head.len, held.head.ifindex, &injected), 0);
	assert_int_equal(injected, DP_INJECT_SENT);
	assert_received(server, "held");
	assert_int_equal(dataplane_sessions_used(dp), 1);
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
	assert_int_equal(
		dataplane_inject(dp, held.frame, held.head.len, held.head.ifindex, &injected), 0);
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
		assert_int_equal(held.frame[held.head.l3_offset + 28], byte);
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

/* ---- addresses ---- */

static struct fq_dev dev(struct dataplane *dp, const char *ifname)
{
	uint32_t ifindex = if_nametoindex(ifname);
	struct fq_dev value = {0};

	(void)bpf_map_lookup_elem(dp->maps[M_DEVS], &ifindex, &value);
	return value;
}

static void assert_addr(const struct fq_addr *got, const char *expected)
{
	char text[IPADDR_STRLEN];

	assert_string_equal(ipaddr_format(got, text), expected);
}

/* The interface's address changes: the map follows. */
static void change(struct dataplane *dp, const char *command)
{
	dpt_run(DPT_GATEWAY, "%s", command);
	assert_true(dpt_readable(dataplane_netlink_fd(dp)));
	assert_int_equal(dataplane_netlink_ready(dp, NULL, NULL), 0);
}

static void masquerade_addresses_are_followed(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	uint32_t gone;
	struct fq_dev d;

	(void)state;
	d = dev(dp, "sv");
	assert_addr(&d.nat4, DPT_GW4);
	assert_addr(&d.nat6, DPT_GW6);

	change(dp, "ip link add d0 type veth peer name d1");
	gone = if_nametoindex("d0");
	change(dp, "ip link set d0 up");
	change(dp, "ip addr add 203.0.113.1/24 dev d0");
	change(dp, "ip addr add 203.0.113.2/24 dev d0");
	change(dp, "ip addr add 169.254.1.1/16 dev d0 scope link");
	change(dp, "ip addr add fd00:1::1/64 dev d0 nodad");
	d = dev(dp, "d0");
	assert_addr(&d.nat4, "203.0.113.1");
	assert_addr(&d.nat6, "fd00:1::1");

	/* Global is better than unique local; deprecated is nothing; what is left moves up. */
	change(dp, "ip addr add 2001:db8:5::1/64 dev d0 nodad preferred_lft 0");
	d = dev(dp, "d0");
	assert_addr(&d.nat6, "fd00:1::1");
	change(dp, "ip addr add 2001:db8:6::1/64 dev d0 nodad");
	d = dev(dp, "d0");
	assert_addr(&d.nat6, "2001:db8:6::1");
	change(dp, "ip addr flush dev d0");
	assert_int_equal(bpf_map_lookup_elem(dp->maps[M_DEVS], &gone, &d), -ENOENT);
	change(dp, "ip link del d0");
}

struct events {
	unsigned int count;
	enum dp_link_event last;
	char name[IF_NAMESIZE];
};

static void keep_event(void *ctx, enum dp_link_event event, uint32_t ifindex, const char *ifname)
{
	struct events *events = ctx;

	(void)ifindex;
	if (strcmp(ifname, "e0") != 0)
		return;
	events->count++;
	events->last = event;
	strcpy(events->name, ifname);
}

static void coming_and_going_interfaces_are_reported(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct events events = {.count = 0};

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link add e0 type veth peer name e1");
	assert_int_equal(dataplane_netlink_ready(dp, keep_event, &events), 0);
	assert_true(events.count && events.last == DP_LINK_DOWN);
	dpt_run(DPT_GATEWAY, "ip link set e0 up");
	assert_int_equal(dataplane_netlink_ready(dp, keep_event, &events), 0);
	assert_int_equal(events.last, DP_LINK_UP);
	dpt_run(DPT_GATEWAY, "ip link del e0");
	assert_int_equal(dataplane_netlink_ready(dp, keep_event, &events), 0);
	assert_int_equal(events.last, DP_LINK_GONE);
}

/* ---- maps ---- */

/* what the new policy does not list is gone after taking over, and nothing was missing
 * meanwhile */
static void taking_over_keeps_what_is_set_and_drops_the_rest(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct fq_addr proxy = dpt_addr(DPT_PROXY4);
	struct fq_edge edge = {.domain = DPT_DOMAIN, .verdict = FQ_EDGE_FORWARD};

	(void)state;
	dpt_world(dp);
	dataplane_free(TAKE_PTR(dp));
	dp = dpt_open();

	assert_int_equal(dataplane_sync_begin(dp), 0);
	assert_int_equal(dataplane_grant_set(dp, DPT_CLIENT, DPT_RESOURCE, 0), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy, &edge), 0);
	assert_int_equal(dpt_entries("clients"), 2);
	assert_int_equal(dataplane_sync_end(dp), 2 + 1 + 2 + 1);

	assert_int_equal(dpt_entries("clients"), 0);
	assert_int_equal(dpt_entries("filters"), 0);
	assert_int_equal(dpt_entries("xlat"), 0);
	assert_int_equal(dpt_entries("grants"), 1);
	assert_int_equal(dpt_entries("edge"), 1);
	assert_int_equal(dataplane_sync_end(dp), 0);
	assert_int_equal(dataplane_grant_del(dp, 77, 77), 0);
}

/* A-08, F-09: a change makes every session be asked anew */
static void a_changed_policy_has_a_new_generation(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	uint32_t before = dp->control->policy_gen;

	(void)state;
	dataplane_policy_changed(dp);
	assert_int_equal(dp->control->policy_gen, before + 1);
}

/* ---- what is shown ---- */

static int first_prog(void *ctx, const struct dpview_prog *row)
{
	*(struct dpview_prog *)ctx = *row;
	return strcmp(row->dev, "sv") == 0;
}

static bool warned(const struct dpview_prog *row, const char *words)
{
	for (unsigned int i = 0; i < row->warning_count; i++)
		if (strstr(row->warning[i], words))
			return true;
	return false;
}

static struct dpview_prog prog_row(void)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dpview_prog row;

	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_progs(view, first_prog, &row), 1);
	return row;
}

static void programs_are_shown_with_what_is_wrong(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;
	struct dpview_prog row;

	(void)state;
	dpt_attach(dp);
	row = prog_row();
	assert_string_equal(row.dev, "sv");
	assert_int_equal(row.mode, DP_MODE_NATIVE);
	assert_true(row.id);
	assert_int_equal(row.warning_count, 0);

	dpt_run(DPT_SERVER_SIDE, "ethtool -K s0 gro off");
	dpt_run(DPT_GATEWAY, "sysctl -qw net.ipv4.conf.sv.forwarding=0");
	row = prog_row();
	assert_true(warned(&row, "frames redirected to sv are lost"));
	assert_true(warned(&row, "sysctl -w net.ipv4.conf.sv.forwarding=1"));
	dpt_run(DPT_SERVER_SIDE, "ethtool -K s0 gro on");
	dpt_run(DPT_GATEWAY, "sysctl -qw net.ipv4.conf.sv.forwarding=1");

	assert_int_equal(dataplane_attach(dp, "sv", DP_MODE_GENERIC, NULL, &attached), 0);
	row = prog_row();
	assert_int_equal(row.mode, DP_MODE_GENERIC);
	assert_true(warned(&row, "tso off gso off"));
}

static int keep_profile(void *ctx, const struct dpview_profile *row)
{
	*(struct dpview_profile *)ctx = *row;
	return 0;
}

static void a_profile_counts_runs_and_their_time(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dpview_profile row = {0};

	(void)state;
	dpt_attach(dp);
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	dpt_run(DPT_CLIENT_SIDE, "ping -qc5 -i0.1 192.0.2.1 >/dev/null &");
	assert_int_equal(dpview_profile(view, 1, NULL, keep_profile, &row), 0);
	assert_true(row.run_cnt >= 5);
	assert_true(row.run_time_ns > 0);
	assert_string_equal(row.name, "fqdnat_xdp");
}

struct limits {
	uint64_t sessions_used, sessions_max, xlat_used, devs_used;
	unsigned int count;
};

static int keep_limit(void *ctx, const struct dpview_limit *row)
{
	struct limits *limits = ctx;

	limits->count++;
	assert_true(row->used <= row->max);
	if (strcmp(row->name, "sessions") == 0) {
		limits->sessions_used = row->used;
		limits->sessions_max = row->max;
	} else if (strcmp(row->name, "xlat") == 0) {
		limits->xlat_used = row->used;
	} else if (strcmp(row->name, "devs") == 0) {
		limits->devs_used = row->used;
	}
	return 0;
}

static void limits_are_shown_with_their_use(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct limits limits = {.count = 0};
	struct fq_quota quota;

	(void)state;
	dpt_world(dp);
	dpt_session(dp, &(struct dpt_session){.proto = 17, .client_port = 1, .nat_port = 1});
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_limits(view, keep_limit, &limits), 0);

	assert_int_equal(limits.count, 11);
	assert_int_equal(limits.sessions_used, 1);
	assert_int_equal(limits.sessions_max, 4096);
	assert_int_equal(limits.xlat_used, 2);
	assert_int_equal(limits.devs_used, 2);
	assert_int_equal(dpview_quota(view, DPT_CLIENT, &quota), 0);
	assert_int_equal(quota.sessions, 1);
	assert_int_equal(quota.max, 1000);
}

struct proxies {
	unsigned int both, edge_only, xlat_only;
};

static int keep_proxy(void *ctx, const struct dpview_proxy *row)
{
	struct proxies *proxies = ctx;

	if (row->has_edge && row->has_xlat)
		proxies->both++;
	else if (row->has_edge)
		proxies->edge_only++;
	else
		proxies->xlat_only++;
	return 0;
}

static void proxies_join_the_edge_and_the_gateway(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct proxies proxies = {0};
	struct fq_addr pending = dpt_addr("100.96.0.9"), foreign = dpt_addr(DPT_PROXY4);
	struct fq_edge edge = {.domain = 3, .verdict = FQ_EDGE_HOLD};
	struct fq_xlat none = {.domain = 4};

	(void)state;
	dpt_world(dp);
	assert_int_equal(dataplane_edge_set(dp, &pending, &edge), 0);
	/* The same address in another edge's scope is another thing. */
	assert_int_equal(dataplane_xlat_set(dp, 5, &foreign, &none), 0);
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_proxies(view, keep_proxy, &proxies), 0);

	assert_int_equal(proxies.both, 2);
	assert_int_equal(proxies.edge_only, 1);
	assert_int_equal(proxies.xlat_only, 1);
}

static void events_of_user_space_are_in_the_statistics(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dataplane_count(dp, FQ_R_POOL_EXHAUSTED, 3);
	dataplane_count(dp, FQ_REASON_MAX, 3);
	dataplane_free(TAKE_PTR(dp));
	dp = dpt_open();
	dataplane_count(dp, FQ_R_POOL_EXHAUSTED, 4);
	assert_int_equal(dpt_count(FQ_R_POOL_EXHAUSTED), 7);
}

static void looking_at_nothing_says_so(void **state)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dp_error err;

	(void)state;
	assert_int_equal(dpview_open(dpt_bpffs(), &err, &view), -ENOENT);
	assert_non_null(strstr(err.text, "is fqdnatd running"));
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
		cmocka_unit_test_teardown(a_packet_over_the_mtu_is_reported, dpt_clean),
		cmocka_unit_test_teardown(masquerade_addresses_are_followed, dpt_clean),
		cmocka_unit_test_teardown(coming_and_going_interfaces_are_reported, dpt_clean),
		cmocka_unit_test_teardown(taking_over_keeps_what_is_set_and_drops_the_rest,
					  dpt_clean),
		cmocka_unit_test_teardown(a_changed_policy_has_a_new_generation, dpt_clean),
		cmocka_unit_test_teardown(programs_are_shown_with_what_is_wrong, dpt_clean),
		cmocka_unit_test_teardown(a_profile_counts_runs_and_their_time, dpt_clean),
		cmocka_unit_test_teardown(limits_are_shown_with_their_use, dpt_clean),
		cmocka_unit_test_teardown(proxies_join_the_edge_and_the_gateway, dpt_clean),
		cmocka_unit_test_teardown(events_of_user_space_are_in_the_statistics, dpt_clean),
		cmocka_unit_test_teardown(looking_at_nothing_says_so, dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
