/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A name that several resources publish for different IP families: what a gateway was told of one
 * family says nothing about packets of the other (P-06). A is everything below x, at gateway 1; S,
 * more specific, has IPv6 only, at gateway 2.
 */
#include "edge_lab.h"

static int families(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('S', "s.x", IP_STACK_IPV6, 2, 0),
	};

	(void)setup(state);
	reload("", list, 2);
	return 0;
}

#define F(test) cmocka_unit_test_setup_teardown(test, families, teardown)

/* P-06, C-14: the more specific resource takes the packets of its own family, no others. */
static void confirmed_ipv6_leaves_ipv4_where_it_is_known(void **state)
{
	(void)state;
	expect(0, "query s.x",
	       "new s.x; S@2 none>pending; send S@2 #1 0+4; A@1 none>pending; send A@1 #2 4+4; "
	       "s.x/4 hold @1; s.x/6 hold @2");
	expect(10, "active s.x S@2", "S@2 pending>confirmed; s.x/6 forward @2");
	expect(20, "active s.x A@1", "A@1 pending>confirmed; s.x/4 forward @1");
}

/* C-02, C-23: packets of one family go, those of the other wait on. */
static void held_packets_go_by_family(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query s.x");
	expect(1, "packet s.x 1", "");
	expect(2, "packet6 s.x 2", "");
	expect(3, "packet s.x 3", "");
	expect(4, "packet6 s.x 4", "");
	expect(10, "active s.x S@2", "S@2 pending>confirmed; s.x/6 forward @2; release s.x 2 4");
	expect(11, "packet6 s.x 5", "release s.x 5");
	expect(12, "packet s.x 6", "");
	expect(20, "active s.x A@1", "A@1 pending>confirmed; s.x/4 forward @1; release s.x 1 3 6");
}

/* C-02: both at once go in the order in which they came. */
static void families_are_released_in_order_of_arrival(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "packet6 a.x 1");
	bed_do(&bed, 2, "packet a.x 2");
	bed_do(&bed, 3, "packet6 a.x 3");
	expect(4, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2 3");
}

/* C-10: what one family's last gateway refuses is dropped, and what the other's holds is not. */
static void families_fail_alone(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query s.x");
	bed_do(&bed, 1, "packet s.x 1");
	bed_do(&bed, 2, "packet6 s.x 2");
	expect(3, "inactive s.x A@1", "A@1 pending>failed; s.x/4 refuse; dropped s.x 1");
	expect(4, "packet s.x 3", "release s.x 3"); /* to be refused */
	expect(5, "active s.x S@2", "S@2 pending>confirmed; s.x/6 forward @2; release s.x 2");
}

/* P-06, C-19: a reload takes a family away: what it held is refused, the other family waits on. */
static void family_taken_away_is_refused_alone(void **state)
{
	const struct edge_resource list[] = {bed_resource('S', "s.x", IP_STACK_IPV4, 2, 0)};

	(void)state;
	reload("", list, 1);
	bed_do(&bed, 0, "query s.x");
	bed_do(&bed, 1, "active s.x S@2");
	reload("S@2 confirmed>none; changed s.x; s.x hold",
	       (const struct edge_resource[]){bed_resource('S', "s.x", IP_STACK_DUAL, 2, 0)}, 1);
	expect(2, "packet6 s.x 1", "S@2 none>pending; send S@2 #2 4+4; s.x hold @2");
	expect(3, "packet s.x 2", "");
	reload("S@2 pending>none; changed s.x; s.x/4 hold; s.x/6 refuse; dropped s.x 1", list, 1);
	expect(4, "query s.x", "S@2 none>pending; send S@2 #3 4+0; s.x/4 hold @2");
	expect(5, "active s.x S@2", "S@2 pending>confirmed; s.x/4 forward @2; release s.x 2");
}

/* C-07, C-08: a question is repeated as long as packets of either family wait for it. */
static void question_is_repeated_for_the_family_that_waits(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query s.x");
	bed_do(&bed, 1, "packet s.x 1");
	bed_do(&bed, 2, "packet6 s.x 2");
	bed_do(&bed, 3, "active s.x S@2");
	expect(1999, "tick", "");
	expect(2000, "tick", "send A@1 #3 4+4 again 1; s.x/6 forward @2 touch 2000");
	expect(4000, "tick", "send A@1 #4 4+4 again 2; s.x/6 forward @2 touch 2000");
	expect(4001, "active s.x A@1",
	       "A@1 pending>confirmed; s.x/4 forward @1; s.x/6 forward @2; release s.x 1");
	assert_true(edge_deadline(bed.edge).ns == INSTANT_NEVER.ns);
}

/* P-05: no gateway knows these addresses, and nobody is told them: refused, not held. */
static void family_that_no_resource_has_is_refused(void **state)
{
	const struct edge_resource six[] = {bed_resource('A', "**.x", IP_STACK_IPV6, 1, 0)};

	(void)state;
	reload("", six, 1);
	expect(0, "query a.x",
	       "new a.x; A@1 none>pending; send A@1 #1 0+4; a.x/4 refuse; a.x/6 hold @1");
	expect(1, "packet a.x 1", "release a.x 1"); /* to be refused */
	expect(2, "packet6 a.x 2", "");
	expect(3, "active a.x A@1", "A@1 pending>confirmed; a.x/6 forward @1; release a.x 2");
	expect(4, "packet a.x 3", "release a.x 3");
}

/* P-06: also of a name that is bound to no gateway. */
static void reload_of_the_stack_changes_verdicts_of_unbound_names(void **state)
{
	const struct edge_resource six[] = {bed_resource('A', "**.x", IP_STACK_IPV6, 1, 0)};

	(void)state;
	bed_do(&bed, 0, "query a.x");
	expect(1, "gone 1", "A@1 pending>none; a.x hold");
	expect(2, "packet a.x 1", "");
	reload("changed a.x; a.x/4 refuse; dropped a.x 1", six, 1);
	expect(3, "up 1", "");
	expect(4, "packet6 a.x 2", "A@1 none>pending; send A@1 #2 0+4; a.x/6 hold @1");
}

/* C-20: the gateway of one family is lost, the other family goes on without it. */
static void lost_gateway_takes_its_family_only(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_IPV4, 1, 0),
		bed_resource('S', "s.x", IP_STACK_IPV6, 2, 1),
	};

	(void)state;
	reload("", list, 2);
	bed_do(&bed, 0, "query s.x");
	bed_do(&bed, 1, "active s.x S@2");
	bed_do(&bed, 2, "active s.x A@1");
	expect(3, "lost 2", "S@2 confirmed>none; s.x/6 hold");
	expect(4, "packet s.x 1",
	       "S@1 none>pending; send S@1 #3 0+4; s.x/6 hold @1; release s.x 1");
	expect(5, "packet6 s.x 2", "");
	expect(6, "active s.x S@1", "S@1 pending>confirmed; s.x/6 forward @1; release s.x 2");
}

/* C-08: a question that only the other family waits for does not have new flows told of. */
static void flows_are_told_of_for_their_own_family(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_IPV4, 1, 0),
		bed_resource('S', "s.x", IP_STACK_IPV6, 2, 0),
	};

	(void)state;
	reload("", list, 2);
	bed_do(&bed, 0, "query s.x");
	expect(1, "active s.x A@1", "A@1 pending>confirmed; s.x/4 forward @1");
	expect(2, "active s.x S@2", "S@2 pending>confirmed; s.x/6 forward @2");
	expect(3000, "lost 2", "");
	expect(3001, "query s.x",
	       "S@2 confirmed>recreating; A@1 confirmed>recreating; A@1 recreating>pending; "
	       "send A@1 #3 4+0");
	expect(3100, "up 2", "s.x/6 forward @2 touch -99");
	expect(5001, "tick", "s.x/4 forward @1 touch 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		F(confirmed_ipv6_leaves_ipv4_where_it_is_known),
		F(held_packets_go_by_family),
		F(families_are_released_in_order_of_arrival),
		F(families_fail_alone),
		F(family_taken_away_is_refused_alone),
		F(question_is_repeated_for_the_family_that_waits),
		F(family_that_no_resource_has_is_refused),
		F(reload_of_the_stack_changes_verdicts_of_unbound_names),
		F(lost_gateway_takes_its_family_only),
		F(flows_are_told_of_for_their_own_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
