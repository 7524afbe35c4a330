/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways that refuse because this edge has no grant there, and others that do not. */
#include "edge_lab.h"

/* A is everything below a, at gateway 1, else 2. */
static int setup_two(void **state)
{
	const struct edge_resource a = bed_resource('A', "*.a", IP_STACK_DUAL, 1, 2);

	(void)state;
	bed_open(&bed, NULL);
	reload("", &a, 1);
	bed_do(&bed, 0, "up 1");
	bed_do(&bed, 0, "up 2");
	return 0;
}

#define P(test) cmocka_unit_test_setup_teardown(test, setup_two, teardown)

/* C-28: after its Goodbye a gateway refuses; the other is asked, and what is held waits on. */
static void refusal_after_goodbye_moves_on(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 10, "active x.a A@1");
	expect(1000, "gone 1", "A@1 confirmed>none; x.a hold");
	expect(1500, "up 1", "");
	expect(2000, "query x.a", "A@1 none>pending; send A@1 #2 4+4; x.a hold @1");
	expect(2001, "packet x.a 7", "");
	expect(2010, "inactive x.a A@1",
	       "A@1 pending>none; A@2 none>pending; send A@2 #3 4+4; x.a hold @2");
	expect(2011, "inactive x.a A@1 #2", "unknown");
	expect(2020, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2; release x.a 7");
	/* The next names go there at once. */
	expect(3000, "query y.a", "new y.a; A@2 none>pending; send A@2 #4 4+4; y.a hold @2");
	expect(3010, "inactive y.a A@2", "A@2 pending>failed; y.a refuse");
}

/* C-28: it is tried again, more and more rarely, until it confirms something. */
static void refusing_gateway_is_tried_again(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 0, "inactive x.a A@1");
	bed_do(&bed, 0, "active x.a A@2");
	assert_int_equal(instant_sub(edge_deadline(bed.edge), bed.now), EDGE_REST_NS);
	expect(29000, "tick", "");
	expect(29001, "query y.a", "new y.a; A@2 none>pending; send A@2 #3 4+4; y.a hold @2");
	bed_do(&bed, 29002, "active y.a A@2");
	expect(30000, "tick", "");
	expect(31000, "query x.a",
	       "A@2 confirmed>none; A@1 none>pending; send A@1 #4 4+4; x.a hold @1");
	expect(31001, "inactive x.a A@1",
	       "A@1 pending>none; A@2 none>pending; send A@2 #5 4+4; x.a hold @2");
	bed_do(&bed, 31001, "active x.a A@2");
	assert_int_equal(instant_sub(edge_deadline(bed.edge), bed.now), 2 * EDGE_REST_NS);
	bed_do(&bed, 91001, "tick");
	bed_do(&bed, 91002, "query x.a");
	expect(91003, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1");
	/* It has a grant now: what it refuses is refused. */
	bed_do(&bed, 91004, "query z.a");
	expect(91005, "inactive z.a A@1", "A@1 pending>failed; z.a refuse");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
}

/* C-28: answers that were under way are one refusal, and one that confirms ends the rest. */
static void answers_of_one_moment_count_once(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 0, "query y.a");
	bed_do(&bed, 0, "query z.a");
	bed_do(&bed, 1, "inactive x.a A@1");
	expect(2, "inactive y.a A@1",
	       "A@1 pending>none; A@2 none>pending; send A@2 #5 4+4; y.a hold @2");
	bed_do(&bed, 2, "active y.a A@2");
	bed_do(&bed, 2, "active x.a A@2");
	expect(2000, "tick", "");
	assert_int_equal(instant_sub(edge_deadline(bed.edge), bed.now),
			 EDGE_REST_NS - 1999 * NSEC_PER_MSEC);
	expect(2001, "active z.a A@1", "A@1 pending>confirmed; z.a forward @1");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
}

/* C-09, C-28: all refuse: the name has failed, and nothing is asked until somebody asks for it. */
static void refused_by_all_has_failed(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "inactive x.a A@1");
	expect(2, "inactive x.a A@2", "A@2 pending>failed; x.a refuse");
	expect(3, "packet x.a 1", "release x.a 1");
	expect(20000, "query x.a",
	       "A@2 failed>recreating; A@2 recreating>pending; send A@2 #3 4+4; x.a hold @2");
	expect(20001, "inactive x.a A@2", "A@2 pending>failed; x.a refuse");
	expect(20002, "inactive x.a A@2 #0", "");
	expect(30001, "tick", "");
	expect(30002, "query x.a",
	       "A@2 failed>none; A@1 none>pending; send A@1 #4 4+4; x.a hold @1");
}

/* C-28: the last gateway that is up is asked, even if it rests. */
static void resting_gateway_is_better_than_none(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "inactive x.a A@1");
	bed_do(&bed, 2, "active x.a A@2");
	expect(20000, "lost 2", "A@2 confirmed>none; x.a hold");
	expect(20001, "query x.a", "A@1 none>pending; send A@1 #3 4+4; x.a hold @1");
	expect(20002, "inactive x.a A@1", "A@1 pending>failed; x.a refuse");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(refusal_after_goodbye_moves_on),      P(refusing_gateway_is_tried_again),
		P(answers_of_one_moment_count_once),    P(refused_by_all_has_failed),
		P(resting_gateway_is_better_than_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
