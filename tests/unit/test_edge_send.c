/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast the edge asks a gateway: no faster than it takes. Here that is one message a second. */
#include <stdio.h>
#include <string.h>

#include "edge_lab.h"

static void rate(unsigned int burst)
{
	assert_int_equal(edge_gateway_rate(bed.edge, 1, 1, burst), 0);
}

/* How often @word is in what the last input has caused. */
static unsigned int count(const char *word)
{
	unsigned int n = 0;

	for (const char *p = bed.text; (p = strstr(p, word)); p++)
		n++;
	return n;
}

/* C-26: what is too much waits, Pending, and goes out with time alone, the oldest first. */
static void questions_wait_for_their_turn(void **state)
{
	(void)state;
	rate(2);
	expect(0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1");
	expect(0, "query c.x", "new c.x; A@1 none>pending; send A@1 #2 4+4; c.x hold @1");
	expect(0, "query d.x", "new d.x; A@1 none>pending; d.x hold @1");
	expect(0, "query e.x", "new e.x; A@1 none>pending; e.x hold @1");
	expect(0, "tick", "");
	assert_int_equal(instant_sub(edge_deadline(bed.edge), bed.now), 1005 * NSEC_PER_MSEC);
	expect(1005, "tick", "send A@1 #3 4+4");
	assert_true(edge_deadline(bed.edge).ns > bed.now.ns);
	expect(1500, "query e.x", "");
	expect(2005, "tick", "send A@1 #4 4+4");
	expect(5000, "tick", "");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
	expect(5001, "active e.x A@1", "A@1 pending>confirmed; e.x forward @1");
}

/* C-26: other gateways have rates of their own. */
static void gateways_do_not_wait_for_each_other(void **state)
{
	(void)state;
	rate(1);
	expect(0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1");
	expect(0, "query b.x",
	       "new b.x; B@2 none>pending; send B@2 #2 4+0; A@1 none>pending; b.x/4 hold @2; "
	       "b.x/6 hold @1");
	expect(1005, "tick", "send A@1 #3 4+4");
}

/* C-26: first questions before repetitions, of which every fourth turn is. */
static void first_questions_go_first(void **state)
{
	char input[32];

	(void)state;
	rate(2);
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 0, "query c.x");
	for (int i = 0; i < 4; i++) {
		snprintf(input, sizeof(input), "query n%d.x", i);
		bed_do(&bed, 1, input);
	}
	bed_do(&bed, 2500, "packet a.x 1");
	bed_do(&bed, 2500, "packet c.x 2");
	expect(2600, "tick", "send A@1 #3 4+4; send A@1 #4 4+4");
	expect(3700, "tick", "send A@1 #5 4+4");
	expect(4800, "tick", "send A@1 #7 4+4 again 1");
	expect(5900, "tick", "send A@1 #6 4+4");
	expect(7000, "tick", "send A@1 #8 4+4 again 1");
}

/* C-08: it is seen in time, about, who is not answered; a question that is, costs no verdict. */
static void unanswered_are_noticed(void **state)
{
	int64_t late_ns;

	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "active a.x A@1");
	bed_do(&bed, 5001, "query a.x");
	late_ns = instant_sub(edge_deadline(bed.edge), bed.now) - EDGE_RESEND_NS;
	assert_in_range(late_ns, 0, 10 * NSEC_PER_MSEC);
	expect(7000, "tick", "");
	expect(7001, "tick", "a.x forward @1 touch 0");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
	expect(7002, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1");
	expect(9010, "query a.x",
	       "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #3 4+4");
	expect(9011, "active a.x A@1", "A@1 pending>confirmed");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
}

/* C-26: an answer, or a gateway that is not there any more, takes a question's turn away. */
static void answered_and_lost_have_no_turn(void **state)
{
	(void)state;
	rate(1);
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "query c.x");
	bed_do(&bed, 2, "query d.x");
	bed_do(&bed, 3, "active c.x A@1 #0");
	expect(1100, "tick", "send A@1 #3 4+4");
	bed_do(&bed, 1200, "query e.x");
	expect(1300, "lost 1",
	       "A@1 pending>recreating; A@1 pending>recreating; A@1 pending>recreating");
	assert_int_equal(edge_deadline(bed.edge).ns, INSTANT_NEVER.ns);
	expect(9000, "tick", "");
}

/* C-25, C-26: others are looked after with the upper half of the burst only. */
static void others_leave_half_of_the_burst(void **state)
{
	char input[32];

	(void)state;
	for (int i = 0; i < 8; i++) {
		snprintf(input, sizeof(input), "query n%d.x", i);
		bed_do(&bed, i, input);
	}
	rate(8);
	bed_do(&bed, 5000, "query z.x");
	assert_int_equal(count("again"), 3);
	bed_do(&bed, 5000, "query y.x");
	assert_int_equal(count("again"), 0);
	assert_int_equal(count("send"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(questions_wait_for_their_turn),  T(gateways_do_not_wait_for_each_other),
		T(first_questions_go_first),       T(answered_and_lost_have_no_turn),
		T(others_leave_half_of_the_burst), T(unanswered_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
