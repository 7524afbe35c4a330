/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN tags in native XDP: which tagged frames are a VLAN device's of ours, and what becomes of the
 * tag. That everything else is the same with tags is shown by the suites that run with PROG_VLAN.
 *
 * The kernel here needs no VLAN devices: veths play them, the maps say that they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT  5000
#define VID   100
#define OTHER 200 /* nobody's */

static const uint8_t MAC_OTHER[ETH_ALEN] = {2, 0, 0, 0, 9, 9};

static uint32_t trunk(void)
{
	return if_nametoindex("trunk");
}

static void out(struct pkt *p)
{
	PKT(p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53);
}

static void out_translated(struct pkt *p)
{
	PKT(p, .src = GW4, .dst = SERVER4, .proto = PKT_UDP, .sport = PORT, .dport = 53, .ttl = 63,
	    .dmac = PKT_MAC_SERVER, .smac = PKT_MAC_GW_SERVER);
}

static void in(struct pkt *p)
{
	PKT(p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT,
	    .dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER);
}

static void in_translated(struct pkt *p)
{
	PKT(p, .src = PROXY4, .dst = CLIENT4, .proto = PKT_UDP, .sport = 53, .dport = PORT,
	    .ttl = 63, .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
}

/* @expected NULL: the frame is unchanged. */
static void expect_on(struct prog *t, const struct pkt *p, uint32_t ifindex, enum fq_reason reason,
		      int verdict, const struct pkt *expected)
{
	struct prog_result res;

	prog_run_on(t, p, ifindex, &res);
	assert_int_equal(res.reason, reason);
	assert_int_equal(res.verdict, verdict);
	pkt_assert_equal(&res.out, expected ? expected : p);
}

static void expect_kernels(struct prog *t, const struct pkt *p)
{
	expect_on(t, p, trunk(), FQ_R_VLAN, XDP_PASS, NULL);
}

/* G-56: the client's side is a VLAN, the resource's is not, and the reverse. */
static void tags_come_and_go(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, 0xe000 | VID);
	out_translated(&expected);
	expect_on(t, &p, trunk(), FQ_R_TRANSLATED, XDP_REDIRECT, &expected);

	in(&p);
	in_translated(&expected);
	pkt_tag(&expected, ETH_P_8021Q, VID);
	expect_on(t, &p, prog_ifindex(SERVER_SIDE), FQ_R_TRANSLATED, XDP_REDIRECT, &expected);
}

/* G-57: of unknown ids, of none (priority only), of two tags, of 802.1ad, around anything but IP.
 */
static void other_tags_are_the_kernels(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	for (uint16_t vid = 0; vid < 4095; vid++) {
		if (vid == VID)
			continue;
		out(&p);
		pkt_tag(&p, ETH_P_8021Q, 0x6000 | vid);
		expect_kernels(t, &p);
	}
	out(&p);
	pkt_tag(&p, ETH_P_8021AD, VID);
	expect_kernels(t, &p);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	pkt_tag(&p, ETH_P_8021Q, VID);
	expect_kernels(t, &p);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .ethertype = ETH_P_ARP);
	pkt_tag(&p, ETH_P_8021Q, VID);
	expect_kernels(t, &p);
	assert_int_equal(prog_sessions(t), 0);
}

/* The same id on another interface is another network. */
static void ids_count_on_their_interface_only(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	expect_on(t, &p, prog_ifindex(SERVER_SIDE), FQ_R_VLAN, XDP_PASS, NULL);
}

/*
 * G-57: what is not ours goes on as it came, tag and all, and is counted as a tagged frame: the
 * device's own program counts what it is.
 */
static void what_is_left_to_the_kernel_keeps_its_tag(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	PKT(&p, .src = CLIENT4, .dst = GW_CLIENT4, .proto = PKT_TCP, .sport = PORT, .dport = 22,
	    .pad = 6);
	pkt_tag(&p, ETH_P_8021Q, 0xf000 | VID);
	expect_kernels(t, &p);
	PKT(&p, .src = CLIENT6, .dst = "ff02::1", .proto = PKT_ICMP, .icmp_type = 134,
	    .dmac = PKT_MAC_GROUP);
	pkt_tag(&p, ETH_P_8021Q, 0x1000 | VID);
	expect_kernels(t, &p);
}

/* A switch that floods; a VLAN device may have another address than the interface below. */
static void frames_for_other_macs_are_the_kernels(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	prog_mac(t, CLIENT_SIDE, MAC_OTHER);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	expect_kernels(t, &p);
}

/* Frames that end anywhere in their headers. */
static void short_frames_do_no_harm(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	for (size_t len = ETH_HLEN; len < ETH_HLEN + 4 + 28; len++) {
		p.len = len;
		prog_run_on(t, &p, trunk(), &res);
		/* As soon as its address can be read, it is the pool's. */
		if (res.reason == FQ_R_POOL_MALFORMED) {
			assert_int_equal(res.verdict, XDP_DROP);
			continue;
		}
		assert_int_equal(res.reason, FQ_R_VLAN);
		assert_int_equal(res.verdict, XDP_PASS);
		pkt_assert_equal(&res.out, &p);
	}
}

/* G-56: an ICMP error goes back into the VLAN, with a priority of its own. */
static void answers_stay_in_their_vlan(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	PKT(&p, .src = CLIENT4, .dst = PROXY4_B, .proto = PKT_UDP, .sport = PORT, .dport = 53);
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4_B, .dst = CLIENT4, .type = 3, .code = 0},
			&p);
	pkt_tag(&p, ETH_P_8021Q, 0x8000 | VID);
	pkt_tag(&expected, ETH_P_8021Q, VID);
	expect_on(t, &p, trunk(), FQ_R_NO_TRANSLATION, XDP_REDIRECT, &expected);
}

/* The daemon gets packets without tag, as the VLAN device's. */
static void daemon_sees_the_vlan_device(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, bare;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	prog_edge(t, PROXY4, FQ_EDGE_HOLD);
	out(&bare);
	p = bare;
	pkt_tag(&p, ETH_P_8021Q, VID);
	prog_run_on(t, &p, trunk(), &res);
	assert_int_equal(res.reason, FQ_R_HELD);
	prog_poll(t);

	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].ifindex, prog_ifindex(CLIENT_SIDE));
	assert_int_equal(t->upcall[0].l3_offset, PKT_L3);
	assert_int_equal(t->upcall[0].len, bare.len);
	assert_memory_equal(t->upcall[0].frame, pkt_data(&bare), bare.len);
}

/* Where the interface below takes no redirected frames, the kernel sends by the VLAN device. */
static void devices_that_take_no_frames_take_the_slow_way(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_vlan(t, SERVER_SIDE, trunk(), VID);
	prog_redirectable(t, SERVER_SIDE, false);
	out(&p);
	out_translated(&expected);
	memcpy(pkt_data(&expected), pkt_data(&p), 2 * ETH_ALEN);
	expect_on(t, &p, prog_ifindex(CLIENT_SIDE), FQ_R_TRANSLATED_SLOW, XDP_DROP, &expected);
}

/* The source check asks for the device, not for the interface below. */
static void sources_are_checked_on_the_device(void **state)
{
	struct fq_settings settings = prog_settings();
	struct prog *t;
	struct prog_result res;
	struct pkt p;

	(void)state;
	settings.source_check = FQ_SOURCE_STRICT;
	t = prog_new(&settings, PROG_NATIVE);
	assert_non_null(t);
	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	prog_vlan(t, SERVER_SIDE, trunk(), OTHER);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, OTHER);
	prog_run_on(t, &p, trunk(), &res);
	assert_int_equal(res.reason, FQ_R_WRONG_WAY);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	prog_run_on(t, &p, trunk(), &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	prog_free(t);
}

/* In generic mode the kernel sees tags first, and VLAN devices write their own. */
static void generic_mode_leaves_tags_to_the_kernel(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_vlan(t, CLIENT_SIDE, trunk(), VID);
	prog_vlan(t, SERVER_SIDE, trunk(), OTHER);
	out(&p);
	pkt_tag(&p, ETH_P_8021Q, VID);
	expect_kernels(t, &p);
	out(&p);
	out_translated(&expected);
	expect_on(t, &p, prog_ifindex(CLIENT_SIDE), FQ_R_TRANSLATED, XDP_REDIRECT, &expected);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest native[] = {
		T(tags_come_and_go),
		T(other_tags_are_the_kernels),
		T(ids_count_on_their_interface_only),
		T(what_is_left_to_the_kernel_keeps_its_tag),
		T(frames_for_other_macs_are_the_kernels),
		T(short_frames_do_no_harm),
		T(answers_stay_in_their_vlan),
		T(daemon_sees_the_vlan_device),
		T(devices_that_take_no_frames_take_the_slow_way),
		T(sources_are_checked_on_the_device),
	};
	const struct CMUnitTest generic[] = {
		T(generic_mode_leaves_tags_to_the_kernel),
	};
	int failed = cmocka_run_group_tests_name("VLANs, native", native, prog_group_setup,
						 prog_group_teardown);

	return failed + cmocka_run_group_tests_name("VLANs, generic", generic,
						    prog_group_setup_generic, prog_group_teardown);
}
