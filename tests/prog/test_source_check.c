/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether packets are believed where they come from: the setting source_check. What it means for
 * replies is in test_edge_source.c; here, clients, and that it can be switched off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/forward.h"

static int enter(void **state, enum fq_source_check check)
{
	struct fq_settings settings = prog_settings();

	if (prog_enter(state) < 0)
		return -1;
	settings.source_check = check;
	*state = prog_new(&settings, false);
	return *state ? 0 : -1;
}

static int enter_none(void **state)
{
	return enter(state, FQ_SOURCE_NONE);
}

static int enter_replies(void **state)
{
	return enter(state, FQ_SOURCE_REPLIES);
}

static int enter_strict(void **state)
{
	return enter(state, FQ_SOURCE_STRICT);
}

static enum fq_reason run(struct prog *t, const struct fwd_flow *f, enum prog_side side)
{
	struct prog_result res;
	struct pkt p;

	fwd_out(&p, f, FWD_SYN);
	prog_run(t, &p, side, &res);
	return res.reason;
}

static const struct fwd_flow *flow_from(struct fwd_flow *f, const char *client)
{
	*f = (struct fwd_flow){client, PROXY4, PKT_UDP, 53};
	return f;
}

/* ---- strict ---- */

static void clients_are_served_where_they_are(void **state)
{
	struct prog *t = *state;

	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		assert_int_equal(run(t, &FWD_FLOWS[i], SERVER_SIDE), FQ_R_WRONG_WAY);
		assert_int_equal(prog_sessions(t), 2 * i);
		assert_int_equal(run(t, &FWD_FLOWS[i], CLIENT_SIDE), FQ_R_TRANSLATED);
		assert_int_equal(prog_sessions(t), 2 * (i + 1));
	}
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, FWD_FLOWS_COUNT);
}

/* RFC 3704 2.2: neither is a source to which there is no way at all, or that is this host's. */
static void a_source_without_a_way_back_is_nobodys(void **state)
{
	struct prog *t = *state;
	struct fwd_flow f;

	prog_client(t, "10.77.0.0", 96 + 16, CLIENT, SCOPE);
	assert_int_equal(run(t, flow_from(&f, "10.77.0.1"), CLIENT_SIDE), FQ_R_WRONG_WAY);
	assert_int_equal(run(t, flow_from(&f, GW_CLIENT4), CLIENT_SIDE), FQ_R_WRONG_WAY);
	assert_int_equal(system("ip route add 10.77.0.0/16 via " CLIENT4), 0);
	assert_int_equal(run(t, flow_from(&f, "10.77.0.1"), CLIENT_SIDE), FQ_R_TRANSLATED);
	assert_int_equal(run(t, flow_from(&f, "10.77.0.2"), SERVER_SIDE), FQ_R_WRONG_WAY);
	assert_int_equal(system("ip route replace blackhole 10.77.0.0/16"), 0);
	assert_int_equal(run(t, flow_from(&f, "10.77.0.2"), CLIENT_SIDE), FQ_R_WRONG_WAY);
	assert_int_equal(system("ip route del 10.77.0.0/16"), 0);
}

/* A neighbour that is not known yet is no reason to doubt. */
static void the_way_back_needs_no_neighbour(void **state)
{
	struct fwd_flow f;

	assert_int_equal(run(*state, flow_from(&f, "192.0.2.77"), CLIENT_SIDE), FQ_R_TRANSLATED);
}

/* A route that changes does not end what runs. */
static void sessions_are_not_asked_again(void **state)
{
	struct prog *t = *state;

	assert_int_equal(run(t, FWD_UDP, CLIENT_SIDE), FQ_R_TRANSLATED);
	assert_int_equal(run(t, FWD_UDP, SERVER_SIDE), FQ_R_TRANSLATED);
}

/* Nothing is held for them, and no domain is asked for. */
static void the_edge_does_not_see_them(void **state)
{
	struct prog *t = *state;

	prog_edge(t, PROXY4, FQ_EDGE_HOLD);
	assert_int_equal(run(t, FWD_UDP, SERVER_SIDE), FQ_R_WRONG_WAY);
	prog_gateway(t, FWD_A, SERVER4, true);
	prog_edge_to(t, PROXY4, FQ_EDGE_FORWARD, FWD_A);
	assert_int_equal(run(t, FWD_UDP, SERVER_SIDE), FQ_R_WRONG_WAY);
	assert_int_equal(run(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_WRONG_GATEWAY);
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

/* ---- the others ---- */

static void clients_are_believed_anywhere(void **state)
{
	assert_int_equal(run(*state, FWD_UDP, SERVER_SIDE), FQ_R_TRANSLATED);
}

static void replies_are_believed_anywhere(void **state)
{
	struct prog *t = *state;

	prog_gateway(t, FWD_A, SERVER4, true);
	prog_edge_to(t, PROXY4, FQ_EDGE_FORWARD, FWD_A);
	assert_int_equal(run(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, CLIENT_SIDE), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_in_by(t, FWD_UDP, SERVER_SIDE), FQ_R_FORWARDED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest strict[] = {
		T(clients_are_served_where_they_are), T(a_source_without_a_way_back_is_nobodys),
		T(the_way_back_needs_no_neighbour),   T(sessions_are_not_asked_again),
		T(the_edge_does_not_see_them),
	};
	const struct CMUnitTest replies[] = {
		T(clients_are_believed_anywhere),
	};
	const struct CMUnitTest none[] = {
		T(clients_are_believed_anywhere),
		T(replies_are_believed_anywhere),
	};
	int failed;

	failed = cmocka_run_group_tests_name("source_check: strict", strict, enter_strict,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("source_check: replies", replies, enter_replies,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("source_check: none", none, enter_none,
						    prog_group_teardown);
}
