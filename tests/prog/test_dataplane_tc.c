/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs at tc: by TCX and by clsact, replaced, removed; the hook that mode auto chooses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"
#include "../lib/skip.h"

static struct dp_attached attach(struct dataplane *dp, const char *ifname, enum dp_mode mode)
{
	struct dp_attached attached;
	struct dp_error err;

	if (dataplane_attach(dp, ifname, mode, &err, &attached) < 0)
		fail_msg("%s", err.text);
	return attached;
}

struct rows {
	struct dpview_prog row[4];
	unsigned int count;
};

static int add_row(void *ctx, const struct dpview_prog *row)
{
	struct rows *rows = ctx;

	assert_true(rows->count < 4);
	rows->row[rows->count++] = *row;
	return 0;
}

static struct dpview_prog look(const char *ifname)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct rows rows = {.count = 0};

	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_progs(view, add_row, &rows), 0);
	for (unsigned int i = 0; i < rows.count; i++)
		if (strcmp(rows.row[i].dev, ifname) == 0)
			return rows.row[i];
	fail_msg("%s is not shown", ifname);
	return rows.row[0];
}

static bool has_clsact(const char *ifname)
{
	char command[128];

	snprintf(command, sizeof(command), "tc qdisc show dev %s | grep -q clsact", ifname);
	return system(command) == 0;
}

/* A datagram to the proxy address arrives at the server, and the answer at the client. */
static void assert_translates(void)
{
	int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 0);
	int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, 7000);
	char byte;

	dpt_send(client, DPT_PROXY4, 7000, "x", 1);
	assert_true(dpt_readable(server));
	assert_int_equal(recv(server, &byte, 1, 0), 1);
	close(client);
	close(server);
}

/* Both ways of attaching. */
static void use(struct dataplane *dp, bool clsact)
{
	dp->settings.clsact = clsact;
}

static void stays_and_is_replaced(bool clsact)
{
	struct dataplane *dp = dpt_open();
	uint32_t before;

	use(dp, clsact);
	dpt_world(dp);
	attach(dp, "cl", DP_MODE_TC);
	attach(dp, "sv", DP_MODE_TC);
	before = look("cl").id;
	if (!clsact && look("cl").filter) {
		dataplane_free(dp);
		skip_because("this kernel has no TCX (Linux 6.6)");
	}
	assert_int_equal(look("cl").filter, clsact);
	assert_int_equal(look("cl").mode, DP_MODE_TC);
	assert_string_equal(look("cl").why, "asked for");
	assert_int_equal(dpt_links(), clsact ? 0 : 2);
	assert_translates();

	/* Without a process it goes on; the next one puts its own in its place. */
	dataplane_free(dp);
	assert_translates();
	dp = dpt_open();
	assert_int_not_equal(look("cl").id, before);
	assert_int_equal(look("cl").filter, clsact);
	assert_translates();
	dataplane_free(dp);
}

static void links_stay_and_are_replaced(void **state)
{
	(void)state;
	stays_and_is_replaced(false);
}

static void filters_stay_and_are_replaced(void **state)
{
	(void)state;
	stays_and_is_replaced(true);
}

static void settings_are_replaced_together(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_settings settings = dpt_settings();
	struct dp_error err;
	uint32_t before;

	(void)state;
	attach(dp, "cl", DP_MODE_TC);
	before = look("cl").id;
	settings.program.port_lo = 2000;
	assert_int_equal(dataplane_reload(dp, &settings, &err), 0);
	assert_int_not_equal(look("cl").id, before);
}

#define MAPS_MAX 64 /* as many as the kernel takes of one program */

/* The maps of a program. Return: how many. */
static unsigned int maps_of(int prog, struct bpf_map_info ret[MAPS_MAX])
{
	uint32_t ids[MAPS_MAX], len;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};

	len = sizeof(info);
	assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &len), 0);
	assert_in_range(info.nr_map_ids, 1, MAPS_MAX);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);

		ret[i] = (struct bpf_map_info){0};
		len = sizeof(ret[i]);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &ret[i], &len), 0);
		close(fd);
	}
	return info.nr_map_ids;
}

/* Of nothing that is limited or numbered there is one for XDP and another one for tc. */
static void both_hooks_have_the_same_maps(void **state)
{
	struct dataplane *dp = dpt_open();
	struct bpf_map_info xdp[MAPS_MAX], tc[MAPS_MAX];
	unsigned int n, m, same = 0;

	(void)state;
	dpt_world(dp);
	attach(dp, "cl", DP_MODE_NATIVE);
	attach(dp, "sv", DP_MODE_TC);
	n = maps_of(dp->progs[P_NATIVE], xdp);
	m = maps_of(dp->progs[P_TC], tc);
	for (unsigned int i = 0; i < n; i++) {
		if (strstr(xdp[i].name, "scratch") || strchr(xdp[i].name, '.'))
			continue; /* of one packet; settings */
		for (unsigned int k = 0; k < m; k++) {
			if (strcmp(xdp[i].name, tc[k].name) != 0)
				continue;
			if (xdp[i].id != tc[k].id)
				fail_msg("%s is not shared", xdp[i].name);
			same++;
		}
	}
	assert_true(same > 10);
	dataplane_free(dp);
}

static void detaching_leaves_no_trace(void **state)
{
	struct dataplane *dp = dpt_open();
	struct dp_error err;

	(void)state;
	use(dp, true);
	attach(dp, "cl", DP_MODE_TC);
	use(dp, false);
	attach(dp, "sv", DP_MODE_TC);
	assert_true(has_clsact("cl"));
	dataplane_free(dp);

	assert_int_equal(dataplane_detach_pinned(dpt_bpffs(), "sv", &err), 0);
	assert_int_equal(look("cl").mode, DP_MODE_TC);
	assert_int_equal(dataplane_detach_pinned(dpt_bpffs(), "cl", &err), 0);
	assert_false(has_clsact("cl"));
	assert_int_equal(access(dpt_bpffs(), F_OK), -1);
	assert_int_equal(dataplane_detach_pinned(dpt_bpffs(), "cl", &err), -ENOENT);
}

/* Neither the queueing discipline of others nor one that others use meanwhile is removed. */
static void what_others_use_stays(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_error err;

	(void)state;
	use(dp, true);
	dpt_run(DPT_GATEWAY, "tc qdisc add dev cl clsact");
	attach(dp, "cl", DP_MODE_TC);
	attach(dp, "sv", DP_MODE_TC);
	dpt_run(DPT_GATEWAY, "tc filter add dev sv egress u32 match u32 0 0 flowid 1:1");
	assert_int_equal(dataplane_detach(dp, "cl", &err), 0);
	assert_int_equal(dataplane_detach(dp, "sv", &err), 0);
	assert_true(has_clsact("cl"));
	assert_true(has_clsact("sv"));
	dpt_run(DPT_GATEWAY, "tc qdisc del dev cl clsact");
	dpt_run(DPT_GATEWAY, "tc qdisc del dev sv clsact");
}

static void modes_change_both_ways(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_world(dp);
	attach(dp, "sv", DP_MODE_NATIVE);
	for (int i = 0; i < 4; i++) {
		use(dp, i & 2);
		attach(dp, "cl", i & 1 ? DP_MODE_NATIVE : DP_MODE_TC);
		assert_int_equal(look("cl").mode, i & 1 ? DP_MODE_NATIVE : DP_MODE_TC);
		assert_int_equal(dpt_has_program("cl"), i & 1);
		assert_translates();
	}
}

/* As the command line does when no daemon runs. */
static void pinned_programs_can_be_attached_to_tc(void **state)
{
	struct dataplane *dp = dpt_open();
	struct dp_error err;

	(void)state;
	dpt_world(dp);
	attach(dp, "sv", DP_MODE_NATIVE);
	dataplane_free(dp);

	assert_int_equal(dataplane_open_pinned(dpt_bpffs(), DP_DISPATCHER_NEVER, &err, &dp), 0);
	attach(dp, "cl", DP_MODE_TC);
	dataplane_free(dp);
	assert_int_equal(look("cl").mode, DP_MODE_TC);
	assert_translates();
}

static void interfaces_without_a_header_get_tc(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;

	(void)state;
	dpt_run(DPT_GATEWAY, "ip tuntap add tun7 mode tun");
	dpt_run(DPT_GATEWAY, "ip link set tun7 up");
	assert_true(dataplane_bare("tun7"));
	assert_false(dataplane_bare("cl"));
	assert_false(dataplane_bare("nowhere0"));

	attached = attach(dp, "tun7", DP_MODE_AUTO);
	assert_int_equal(attached.mode, DP_MODE_TC);
	assert_string_equal(attached.note, "no Ethernet header");
	assert_string_equal(look("tun7").why, "no Ethernet header");

	/* It goes, with its program; the next of its name may be attached to. */
	dpt_run(DPT_GATEWAY, "ip link del tun7");
	assert_int_equal(dataplane_netlink_ready(dp, NULL, NULL), 0);
	assert_int_equal(dpt_links(), 0);
	dpt_run(DPT_GATEWAY, "ip tuntap add tun7 mode tun");
	dpt_run(DPT_GATEWAY, "ip link set tun7 up");
	assert_int_equal(attach(dp, "tun7", DP_MODE_AUTO).mode, DP_MODE_TC);
	dpt_run(DPT_GATEWAY, "ip link del tun7");
}

/* TAP has native XDP, which cannot send to a TUN. */
static void beside_an_interface_without_a_header_others_get_tc(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;

	(void)state;
	dpt_run(DPT_GATEWAY, "ip tuntap add tap7 mode tap");
	dpt_run(DPT_GATEWAY, "ip link set tap7 up");
	attached = attach(dp, "tap7", DP_MODE_AUTO);
	assert_int_equal(attached.mode, DP_MODE_NATIVE);
	assert_string_equal(attached.note, "the driver has native XDP");

	dpt_run(DPT_GATEWAY, "ip tuntap add tun7 mode tun");
	dpt_run(DPT_GATEWAY, "ip link set tun7 up");
	attach(dp, "tun7", DP_MODE_AUTO);
	attached = attach(dp, "tap7", DP_MODE_AUTO);
	assert_int_equal(attached.mode, DP_MODE_TC);
	assert_non_null(strstr(attached.note, "cannot send to tun7"));
	dpt_run(DPT_GATEWAY, "ip link del tun7");
	dpt_run(DPT_GATEWAY, "ip link del tap7");
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, dpt_clean)
	const struct CMUnitTest tests[] = {
		T(links_stay_and_are_replaced),
		T(filters_stay_and_are_replaced),
		T(settings_are_replaced_together),
		T(both_hooks_have_the_same_maps),
		T(detaching_leaves_no_trace),
		T(what_others_use_stays),
		T(modes_change_both_ways),
		T(pinned_programs_can_be_attached_to_tc),
		T(interfaces_without_a_header_get_tc),
		T(beside_an_interface_without_a_header_others_get_tc),
	};

	return cmocka_run_group_tests_name("tc", tests, dpt_enter, dpt_leave);
}
