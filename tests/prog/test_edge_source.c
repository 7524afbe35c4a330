/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge with remote gateways: replies are taken from the interface that leads to the session's
 * gateway, and from no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/forward.h"

/* A gateway that is reached by the client's link. */
#define LAN_GATEWAY     4
#define LAN_GATEWAY4    "192.0.2.50"
#define LAN_GATEWAY_MAC "02:00:00:00:0c:01"
#define LAN_GATEWAY_LINK \
	"ip neigh replace " LAN_GATEWAY4 " lladdr " LAN_GATEWAY_MAC " dev cl nud permanent"

static int enter(void **state)
{
	return fwd_enter(state) || system(LAN_GATEWAY_LINK);
}

static int world(void **state)
{
	int r = fwd_world(state);

	prog_gateway(*state, LAN_GATEWAY, LAN_GATEWAY4, true);
	return r;
}

/* C-22: from elsewhere they are dropped, and are no sign that the gateway is alive. */
static void replies_come_by_their_gateways_interface(void **state)
{
	struct prog *t = *state;
	struct fq_tuple in_key;
	struct fq_tuple key;
	struct session_entry s;

	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		const struct fwd_flow *f = &FWD_FLOWS[i];

		assert_int_equal(fwd_run_out(t, f, 0x02), FQ_R_FORWARDED);
		assert_int_equal(fwd_run_in_by(t, f, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
		key = fwd_key(f);
		s = prog_session(t, &key);
		in_key = prog_partner(&key, &s);
		assert_int_equal(prog_session(t, &in_key).packets, 0);
		assert_int_equal(prog_session(t, &in_key).last, 0);
		fwd_in_from(t, f, FWD_ANY);
		assert_int_equal(fwd_run_in_by(t, f, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
	}
}

/* Another gateway's interface is another interface. */
static void each_gateway_has_its_own(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_FORWARDED);
	fwd_decide(t, FQ_EDGE_FORWARD, LAN_GATEWAY);
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);

	assert_int_equal(fwd_run_in_by(t, FWD_TCP, SERVER_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_TCP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, SERVER_SIDE), FQ_R_WRONG_GATEWAY);
}

/* Answers of the first gateway may still be on their way. */
static void after_a_move_both_may_answer(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	fwd_decide(t, FQ_EDGE_FORWARD, LAN_GATEWAY);
	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_FORWARDED);

	assert_int_equal(fwd_run_in_by(t, FWD_TCP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_TCP, SERVER_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
}

/* No packet of the client's is needed for it: a reply asks for the route, too. */
static void a_route_that_changes_counts_at_once(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	assert_int_equal(system("ip route add " FWD_A4 "/32 via " CLIENT4), 0);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(system("ip route del " FWD_A4 "/32"), 0);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, SERVER_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
}

/* Where nobody knows yet (the gateway's entry is new, its sessions are not), nothing is lost. */
static void what_is_not_known_is_not_judged(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	prog_gateway(t, FWD_A, FWD_A4, true);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, SERVER_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
}

/* A port of a bond, say: the route names the bond. */
static void interfaces_without_an_address_are_not_judged(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	prog_dev(t, CLIENT_SIDE, NULL, NULL);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	prog_dev(t, CLIENT_SIDE, NULL, GW_CLIENT6);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
}

static void a_gateway_that_is_gone_answers_nobody(void **state)
{
	struct prog *t = *state;

	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	prog_gateway(t, FWD_A, NULL, false);
	assert_int_equal(fwd_run_in(t, FWD_UDP), FQ_R_WRONG_GATEWAY);
	/* moved to another one, its answers come */
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in(t, FWD_UDP), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, world)
	const struct CMUnitTest tests[] = {
		T(replies_come_by_their_gateways_interface),
		T(each_gateway_has_its_own),
		T(after_a_move_both_may_answer),
		T(a_route_that_changes_counts_at_once),
		T(what_is_not_known_is_not_judged),
		T(interfaces_without_an_address_are_not_judged),
		T(a_gateway_that_is_gone_answers_nobody),
	};

	return cmocka_run_group_tests_name("edge, replies", tests, enter, prog_group_teardown);
}
