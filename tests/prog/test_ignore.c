/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that are neither translated nor answered: what is dropped in silence, and what is left to
 * the kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#define PORT 5000

static void tcp4(struct pkt *p, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT4;
	s.dst = s.dst ? s.dst : PROXY4;
	s.proto = PKT_TCP;
	s.sport = PORT;
	s.dport = 443;
	pkt_build(p, &s);
}

static void tcp6(struct pkt *p, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT6;
	s.dst = s.dst ? s.dst : PROXY6;
	tcp4(p, s);
}

static void open_both(struct prog *t)
{
	struct prog_result res;
	struct pkt p;

	tcp4(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	tcp6(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

/* G-32: nothing is said about broadcasts and multicasts. */
static void broadcasts_to_the_pool_are_dropped(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.dmac = PKT_MAC_GROUP});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BROADCAST, NULL);
	tcp4(&p, (struct pkt_spec){.src = "224.0.0.5"});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BROADCAST, NULL);
	tcp4(&p, (struct pkt_spec){.src = "255.255.255.255"});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BROADCAST, NULL);
	tcp6(&p, (struct pkt_spec){.src = "ff02::1"});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_BROADCAST, NULL);
	tcp4(&p, (struct pkt_spec){.dst = GW_CLIENT4, .dmac = PKT_MAC_GROUP});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
}

/* G-29: neither TCP, UDP nor ICMP echo. */
static void other_protocols_to_the_pool_are_dropped(void **state)
{
	static const uint8_t protocols[] = {2, 41, 47, 50, 51, 132, 58};
	struct pkt p;

	for (size_t i = 0; i < sizeof(protocols); i++) {
		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = protocols[i]);
		prog_expect(*state, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
	}
	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = 132);
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP, .reply = true);
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP, .icmp_type = 13);
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = PKT_ICMP, .icmp_type = 135);
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_POOL_L4, NULL);
}

static void reset_without_session_is_dropped(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.tcp_flags = 0x14});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_NO_SESSION_RST, NULL);
	assert_int_equal(prog_sessions(*state), 0);
}

/* G-22, G-28, G-40, G-41, G-44: the kernel's traffic is the kernel's. */
static void what_is_not_ours_passes_untouched(void **state)
{
	struct pkt p;

	tcp4(&p, (struct pkt_spec){.dst = GW_CLIENT4});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	tcp6(&p, (struct pkt_spec){.dst = "2001:db8:77::1", .ttl = 1});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	tcp4(&p, (struct pkt_spec){.ethertype = ETH_P_ARP});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_NOT_IP, NULL);
	tcp4(&p, (struct pkt_spec){.ethertype = ETH_P_8021Q});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_VLAN, NULL);
	tcp4(&p, (struct pkt_spec){.ethertype = ETH_P_8021AD});
	prog_expect(*state, &p, CLIENT_SIDE, FQ_R_VLAN, NULL);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_ICMP);
	prog_expect(*state, &p, SERVER_SIDE, FQ_R_L4_UNSUPPORTED, NULL);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = 47);
	prog_expect(*state, &p, SERVER_SIDE, FQ_R_L4_UNSUPPORTED, NULL);
	PKT(&p, .src = SERVER6, .dst = "ff02::1", .proto = PKT_ICMP, .icmp_type = 134);
	prog_expect(*state, &p, SERVER_SIDE, FQ_R_L4_UNSUPPORTED, NULL);
}

/* Promiscuous interfaces and flooding switches show frames that somebody else forwards. */
static void frames_for_other_macs_are_not_ours(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	prog_mac(t, CLIENT_SIDE, PKT_MAC_GW_CLIENT);
	tcp4(&p, (struct pkt_spec){.dmac = PKT_MAC_SERVER});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	tcp6(&p, (struct pkt_spec){.dmac = PKT_MAC_SERVER});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	/* nor answered: this one would be refused */
	tcp4(&p, (struct pkt_spec){.dst = PROXY4_B, .dmac = PKT_MAC_SERVER});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	assert_int_equal(prog_sessions(t), 0);

	tcp4(&p, (struct pkt_spec){.dmac = PKT_MAC_GROUP});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_BROADCAST, NULL);
	tcp4(&p, (struct pkt_spec){.dmac = PKT_MAC_GW_CLIENT});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

/* The same of answers; where no address is known, all are taken. */
static void answers_for_other_macs_are_not_ours(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	open_both(t);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_TCP, .sport = 443, .dport = PORT,
	    .dmac = PKT_MAC_CLIENT);
	prog_run(t, &p, SERVER_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	prog_mac(t, SERVER_SIDE, PKT_MAC_GW_SERVER);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_NOT_OURS, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(broadcasts_to_the_pool_are_dropped), T(other_protocols_to_the_pool_are_dropped),
		T(reset_without_session_is_dropped),   T(what_is_not_ours_passes_untouched),
		T(frames_for_other_macs_are_not_ours), T(answers_for_other_macs_are_not_ours),
	};
	int failed;

	failed =
		cmocka_run_group_tests_name("ignore", tests, prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("ignore, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
