/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses followed, maps written, and what is shown of it (user/dataplane: addr, maps, warn,
 * view). */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"

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
	d = dev(dp, "d0");
	assert_true(ipaddr_is_zero(&d.nat4) && ipaddr_is_zero(&d.nat6));
	change(dp, "ip link del d0");
	assert_int_equal(bpf_map_lookup_elem(dp->maps[M_DEVS], &gone, &d), -ENOENT);
}

static void mac_addresses_are_followed(void **state)
{
	static const uint8_t before[6] = {2, 0, 0, 0, 0, 1}, after[6] = {2, 0, 0, 0, 0, 2},
			     none[6] = {0};
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct fq_dev d;

	(void)state;
	change(dp, "ip link add m0 address 02:00:00:00:00:01 type veth peer name m1");
	d = dev(dp, "m0");
	assert_memory_equal(d.mac, before, 6);
	change(dp, "ip link set m0 address 02:00:00:00:00:02");
	d = dev(dp, "m0");
	assert_memory_equal(d.mac, after, 6);
	d = dev(dp, "lo");
	assert_memory_equal(d.mac, none, 6);
	change(dp, "ip link del m0");
}

/* Nobody answers to an address that has gone: the session would live as long as the client sends */
static void sessions_of_an_address_that_vanishes_are_removed(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	change(dp, "ip link add d0 type veth peer name d1");
	change(dp, "ip addr add 203.0.113.1/24 dev d0");
	dpt_session(dp,
		    &(struct dpt_session){
			    .proto = 17, .client_port = 1, .nat_port = 1, .nat = "203.0.113.1"});
	dpt_session(dp, &(struct dpt_session){.proto = 17, .client_port = 2, .nat_port = 2});

	/* Another interface has it: nothing is lost. */
	change(dp, "ip addr add 203.0.113.1/32 dev sv");
	change(dp, "ip addr flush dev d0");
	assert_int_equal(dataplane_sessions_used(dp), 2);

	change(dp, "ip addr add 203.0.113.1/24 dev d0");
	change(dp, "ip addr del 203.0.113.1/32 dev sv");
	change(dp, "ip link del d0");
	assert_int_equal(dataplane_sessions_used(dp), 1);
	assert_int_equal(dpt_count(FQ_R_SESSION_REVOKED), 1);
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

/* ENOBUFS: which messages are lost is not known, so every interface is reported. */
static void what_came_up_in_a_flood_of_changes_is_reported(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct events events = {.count = 0};
	int bytes = 1;

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link add e0 type veth peer name e1");
	assert_int_equal(dataplane_netlink_ready(dp, keep_event, &events), 0);
	events.count = 0;
	assert_int_equal(
		setsockopt(dataplane_netlink_fd(dp), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
		0);
	for (int i = 0; i < 4; i++)
		dpt_run(DPT_GATEWAY, "ip link set sv alias a%d", i);
	dpt_run(DPT_GATEWAY, "ip link set e0 up");
	assert_int_equal(dataplane_netlink_ready(dp, keep_event, &events), 0);
	assert_true(events.count && events.last == DP_LINK_UP);
	dpt_run(DPT_GATEWAY, "ip link del e0");
}

static void the_link_of_an_interface_that_is_gone_is_removed(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link add e0 type veth peer name e1");
	dpt_run(DPT_GATEWAY, "ip link set e0 up");
	assert_int_equal(dataplane_attach(dp, "e0", DP_MODE_NATIVE, NULL, &attached), 0);
	assert_int_equal(dpt_links(), 1);
	change(dp, "ip link del e0");
	assert_int_equal(dpt_links(), 0);
}

/* ---- maps ---- */

/* A-08, F-09: a change makes every session be asked anew */
static void a_changed_policy_has_a_new_generation(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	uint32_t before = dp->control->gen;

	(void)state;
	dataplane_policy_changed(dp);
	assert_int_equal(dp->control->gen, before + 1);
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

/* From kernel 6.3 on a device says whether it takes redirected frames. */
static bool devices_say_what_they_take(void)
{
	unsigned int major, minor;
	struct utsname kernel;

	assert_int_equal(uname(&kernel), 0);
	assert_int_equal(sscanf(kernel.release, "%u.%u", &major, &minor), 2);
	return major > 6 || (major == 6 && minor >= 3);
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
	assert_int_equal(warned(&row, "frames to sv take the slow way"),
			 devices_say_what_they_take());
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
	/* It may take a while until ping runs. */
	for (int i = 0; i < 20 && row.run_cnt < 5; i++) {
		dpt_run(DPT_CLIENT_SIDE, "ping -qc20 -i0.05 192.0.2.1 >/dev/null &");
		assert_int_equal(dpview_profile(view, 1, NULL, keep_profile, &row), 0);
	}
	assert_true(row.run_cnt >= 5);
	assert_true(row.run_time_ns > 0);
	assert_string_equal(row.name, "fqdnat_xdp");
}

struct limits {
	uint64_t sessions_used, sessions_max, xlat_used, devs_used, dns_used;
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
	} else if (strcmp(row->name, "dns") == 0) {
		limits->dns_used = row->used;
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

	assert_int_equal(limits.count, 14);
	assert_int_equal(limits.sessions_used, 1);
	assert_int_equal(limits.sessions_max, 4096);
	assert_int_equal(limits.xlat_used, 2);
	assert_int_equal(limits.devs_used, 3);
	assert_int_equal(dpview_quota(view, DPT_CLIENT, &quota), 0);
	assert_int_equal(quota.sessions, 1);
	assert_int_equal(quota.max, 1000);
}

static uint64_t names(struct dpview *view)
{
	struct limits limits = {.count = 0};

	assert_int_equal(dpview_limits(view, keep_limit, &limits), 0);
	return limits.dns_used;
}

/* What the programs answer DNS queries from: one name goes, or all do; none is in the way twice. */
static void names_come_and_go(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	const struct fq_addr addrs[] = {dpt_addr("192.0.2.1"), dpt_addr("2001:db8:1::1")};
	struct fq_dns_key key = {.name = "\1a\1x"};
	struct fq_dns value = {.ipv4 = 1}, have;
	const struct fq_dns_ptr ptr = {.len = 5, .name = "\1a\1x"};

	(void)state;
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	for (int i = 0; i < 3; i++) {
		key.name[1] = 'a' + i;
		assert_int_equal(dataplane_dns_set(dp, &key, &value), 0);
		assert_int_equal(dataplane_dns_set(dp, &key, &value), 0);
	}
	assert_int_equal(names(view), 3);
	value.v4[1] = 7;
	assert_int_equal(dataplane_dns_set(dp, &key, &value), 0);
	assert_true(dataplane_dns_get(dp, &key, &have));
	assert_int_equal(have.v4[1], 7);
	assert_int_equal(names(view), 3);
	dataplane_dns_del(dp, &key);
	dataplane_dns_del(dp, &key);
	assert_false(dataplane_dns_get(dp, &key, &have));
	assert_int_equal(names(view), 2);
	assert_int_equal(dataplane_dns_ptr_set(dp, &addrs[0], &ptr), 0);
	assert_int_equal(dataplane_dns_ptr_set(dp, &addrs[1], &ptr), 0);
	assert_int_equal(dataplane_dns_ptr_del(dp, &addrs[0]), 0);
	assert_int_equal(dataplane_dns_ptr_del(dp, &addrs[0]), 0);
	assert_int_equal(dataplane_dns_clear(dp), 0);
	assert_int_equal(names(view), 0);
	assert_int_equal(dataplane_dns_listen(dp, addrs, 2), 0);
	assert_int_equal(dataplane_dns_listen(dp, addrs + 1, 1), 0);
	assert_int_equal(dataplane_dns_listen(dp, NULL, 0), 0);
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
		cmocka_unit_test_teardown(masquerade_addresses_are_followed, dpt_clean),
		cmocka_unit_test_teardown(mac_addresses_are_followed, dpt_clean),
		cmocka_unit_test_teardown(sessions_of_an_address_that_vanishes_are_removed,
					  dpt_clean),
		cmocka_unit_test_teardown(what_came_up_in_a_flood_of_changes_is_reported,
					  dpt_clean),
		cmocka_unit_test_teardown(the_link_of_an_interface_that_is_gone_is_removed,
					  dpt_clean),
		cmocka_unit_test_teardown(coming_and_going_interfaces_are_reported, dpt_clean),
		cmocka_unit_test_teardown(a_changed_policy_has_a_new_generation, dpt_clean),
		cmocka_unit_test_teardown(programs_are_shown_with_what_is_wrong, dpt_clean),
		cmocka_unit_test_teardown(a_profile_counts_runs_and_their_time, dpt_clean),
		cmocka_unit_test_teardown(limits_are_shown_with_their_use, dpt_clean),
		cmocka_unit_test_teardown(names_come_and_go, dpt_clean),
		cmocka_unit_test_teardown(proxies_join_the_edge_and_the_gateway, dpt_clean),
		cmocka_unit_test_teardown(events_of_user_space_are_in_the_statistics, dpt_clean),
		cmocka_unit_test_teardown(looking_at_nothing_says_so, dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
