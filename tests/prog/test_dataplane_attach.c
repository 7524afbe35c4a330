/* SPDX-License-Identifier: BSD-2-Clause */
/* On which interfaces the programs run, and how (user/dataplane: attach, dispatch). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"

#include "../lib/dptest.h"

static struct dp_attached attach(struct dataplane *dp, const char *ifname, enum dp_mode mode)
{
	struct dp_attached attached;
	struct dp_error err;

	if (dataplane_attach(dp, ifname, mode, &err, &attached) < 0)
		fail_msg("%s", err.text);
	return attached;
}

/* Attaching fails with @expected and says @words. */
static void attach_fails(struct dataplane *dp, const char *ifname, enum dp_mode mode, int expected,
			 const char *words)
{
	struct dp_attached attached;
	struct dp_error err;

	assert_int_equal(dataplane_attach(dp, ifname, mode, &err, &attached), expected);
	if (!strstr(err.text, words))
		fail_msg("'%s' is not in: %s", words, err.text);
}

static void modes_are_what_they_say(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;
	struct xdp_state xdp;

	(void)state;
	attached = attach(dp, "cl", DP_MODE_NATIVE);
	assert_int_equal(attached.mode, DP_MODE_NATIVE);
	assert_int_equal(xdp_state_get(attached.ifindex, &xdp), 0);
	assert_true(xdp.native_id && !xdp.generic_id);

	/* The same again changes nothing, another mode does. */
	assert_int_equal(attach(dp, "cl", DP_MODE_NATIVE).mode, DP_MODE_NATIVE);
	assert_int_equal(attach(dp, "cl", DP_MODE_GENERIC).mode, DP_MODE_GENERIC);
	assert_int_equal(xdp_state_get(attached.ifindex, &xdp), 0);
	assert_true(!xdp.native_id && xdp.generic_id);

	attached = attach(dp, "cl", DP_MODE_TC);
	assert_int_equal(attached.mode, DP_MODE_TC);
	assert_string_equal(attached.note, "asked for");
	assert_int_equal(xdp_state_get(attached.ifindex, &xdp), 0);
	assert_true(!xdp.native_id && !xdp.generic_id);

	/* What is right stays. */
	assert_int_equal(attach(dp, "cl", DP_MODE_AUTO).mode, DP_MODE_TC);
	attached = attach(dp, "sv", DP_MODE_AUTO);
	assert_int_equal(attached.mode, DP_MODE_TC);
	assert_string_equal(attached.note, "veth: offloads are kept");
}

static void auto_takes_tc_where_the_driver_has_no_native_xdp(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link add br7 up type bridge");

	attached = attach(dp, "br7", DP_MODE_AUTO);

	assert_int_equal(attached.mode, DP_MODE_TC);
	assert_string_equal(attached.note, "driver has no native XDP");
	dpt_run(DPT_GATEWAY, "ip link del br7");
}

static void refused_natively_says_why(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link set cl mtu 9000");
	dpt_run(DPT_CLIENT_SIDE, "ip link set c0 mtu 9000");
	attach_fails(dp, "cl", DP_MODE_NATIVE, -ERANGE, "cannot attach natively: MTU too large");
	dpt_run(DPT_GATEWAY, "ip link set cl mtu 1500");
	dpt_run(DPT_CLIENT_SIDE, "ip link set c0 mtu 1500");
}

static void interfaces_that_will_not_do_are_refused_and_explained(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	attach_fails(dp, "nowhere0", DP_MODE_AUTO, -ENODEV, "no interface 'nowhere0'");
	attach_fails(dp, "a-name-that-is-too-long", DP_MODE_AUTO, -ENODEV, "is no interface name");
	attach_fails(dp, "lo", DP_MODE_AUTO, -EMEDIUMTYPE, "no interface for Ethernet or IP");
	dpt_run(DPT_GATEWAY, "ip link set cl down");
	attach_fails(dp, "cl", DP_MODE_AUTO, -ENETDOWN, "ip link set cl up");
	dpt_run(DPT_GATEWAY, "ip link set cl up");
	dpt_run(DPT_GATEWAY, "ip -6 addr replace 2001:db8:1::1/64 dev cl nodad");
	dpt_run(DPT_CLIENT_SIDE, "ip -6 route replace default via 2001:db8:1::1");
}

static void xdp_is_refused_on_l3_devices(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_run(DPT_GATEWAY, "ip tuntap add tun7 mode tun");
	dpt_run(DPT_GATEWAY, "ip link set tun7 up");
	attach_fails(dp, "tun7", DP_MODE_GENERIC, -EMEDIUMTYPE, "TUN, WireGuard");
	dpt_run(DPT_GATEWAY, "ip link del tun7");
}

static void an_interface_that_is_taken_names_the_other_program(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(closep) int link = -1;
	struct xdp_state xdp;
	char words[64];

	(void)state;
	link = bpf_link_create(dp->progs[P_NATIVE], (int)if_nametoindex("cl"), BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_int_equal(xdp_state_get(if_nametoindex("cl"), &xdp), 0);
	snprintf(words, sizeof(words), "another XDP program (id %u, fqdnat_xdp)", xdp.native_id);

	attach_fails(dp, "cl", DP_MODE_NATIVE, -EBUSY, words);
	assert_int_equal(dpt_links(), 0);
}

/* @ifname is in map tx. */
static bool takes_frames(struct dataplane *dp, const char *ifname)
{
	uint32_t ifindex = if_nametoindex(ifname), value;

	return bpf_map_lookup_elem(dp->maps[M_TX], &ifindex, &value) == 0;
}

/* A route may lead out by an interface where we are not attached. */
static void every_interface_that_can_takes_redirected_frames(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	assert_true(takes_frames(dp, "cl"));
	assert_true(takes_frames(dp, "sv"));
	assert_false(takes_frames(dp, "lo"));
	dpt_run(DPT_GATEWAY, "ip link add br7 type bridge");
	dpt_run(DPT_GATEWAY, "ip link add t0 type veth peer name t1");
	assert_int_equal(dataplane_netlink_ready(dp, NULL, NULL), 0);
	assert_false(takes_frames(dp, "br7"));

	/* The program makes t1 poll, so that t0 can take frames. */
	dpt_run(DPT_GATEWAY, "ip link set t0 up");
	dpt_run(DPT_GATEWAY, "ip link set t1 up");
	attach(dp, "t1", DP_MODE_NATIVE);
	assert_true(takes_frames(dp, "t0"));
	dpt_run(DPT_GATEWAY, "ip link del t0");
	dpt_run(DPT_GATEWAY, "ip link del br7");
}

/* Two namespaces, one directory, and the same index in both. */
static void a_link_of_another_namespace_is_left_alone(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(closep) int link = -1;
	struct dp_attached attached;
	struct dp_error err;
	char path[DP_PATH_MAX];

	(void)state;
	/* Whatever runs there, it is not on cl. */
	link = bpf_link_create(dp->progs[P_NATIVE], (int)if_nametoindex("sv"), BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_int_equal(dp_path_link(path, dpt_bpffs(), if_nametoindex("cl")), 0);
	assert_int_equal(bpffs_pin(link, path), 0);

	assert_int_equal(dataplane_attach(dp, "cl", DP_MODE_AUTO, &err, &attached), -EXDEV);
	assert_non_null(strstr(err.text, "another network namespace"));
	assert_int_equal(dataplane_detach(dp, "cl", &err), -EXDEV);
	assert_true(dpt_has_program("sv"));
	assert_int_equal(dpt_links(), 1);
}

/* The choice of libxdp's dispatcher, tried by its switch: this must not quietly do something else.
 */
static void a_required_dispatcher_is_used_or_missed_aloud(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_attached attached;

	(void)state;
	dp->settings.dispatcher = DP_DISPATCHER_REQUIRE;
	if (!dispatch_possible()) {
		attach_fails(dp, "cl", DP_MODE_NATIVE, -ENOTSUP, "refuses programs of type EXT");
		assert_false(dpt_has_program("cl"));
		return;
	}
	attached = attach(dp, "cl", DP_MODE_NATIVE);
	assert_true(attached.dispatcher);
	assert_int_equal(dataplane_detach(dp, "cl", NULL), 0);
	assert_false(dpt_has_program("cl"));
}

static void without_dispatcher_the_own_link_is_used(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	enum dp_dispatcher dispatcher = DP_DISPATCHER_AUTO;

	(void)state;
	assert_int_equal(dp_dispatcher_parse("never", &dispatcher), 0);
	assert_int_equal(dispatcher, DP_DISPATCHER_NEVER);
	assert_int_equal(dp_dispatcher_parse("perhaps", &dispatcher), -EINVAL);
	assert_false(attach(dp, "cl", DP_MODE_NATIVE).dispatcher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(modes_are_what_they_say, dpt_clean),
		cmocka_unit_test_teardown(auto_takes_tc_where_the_driver_has_no_native_xdp,
					  dpt_clean),
		cmocka_unit_test_teardown(refused_natively_says_why, dpt_clean),
		cmocka_unit_test_teardown(interfaces_that_will_not_do_are_refused_and_explained,
					  dpt_clean),
		cmocka_unit_test_teardown(xdp_is_refused_on_l3_devices, dpt_clean),
		cmocka_unit_test_teardown(an_interface_that_is_taken_names_the_other_program,
					  dpt_clean),
		cmocka_unit_test_teardown(every_interface_that_can_takes_redirected_frames,
					  dpt_clean),
		cmocka_unit_test_teardown(a_link_of_another_namespace_is_left_alone, dpt_clean),
		cmocka_unit_test_teardown(a_required_dispatcher_is_used_or_missed_aloud, dpt_clean),
		cmocka_unit_test_teardown(without_dispatcher_the_own_link_is_used, dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
