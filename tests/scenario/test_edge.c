/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge in virtual time: scenarios, each a list of instants, inputs and what must come of
 * them, word by word (see tests/lib/edge_bed.h). Random runs are in test_edge_random.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/edge_bed.h"

struct step {
	int64_t ms;
	const char *input;
	const char *expect;
};

/* A serves every name below x at gateway 1; B, more specific, b.x at 2; C c.x at both. */
static void run(const struct step *steps, size_t count)
{
	const struct edge_resource resources[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_IPV4, 2, 0),
		bed_resource('C', "**.c", IP_STACK_DUAL, 1, 2),
	};
	static struct bed bed;

	bed_open(&bed, NULL);
	assert_string_equal(bed_resources(&bed, resources, 3), "");
	for (size_t i = 0; i < count; i++) {
		const char *text = bed_do(&bed, steps[i].ms, steps[i].input);

		if (strcmp(text, steps[i].expect) != 0)
			print_error("step %zu, %lld ms: %s\n", i + 1, (long long)steps[i].ms,
				    steps[i].input);
		assert_string_equal(text, steps[i].expect);
	}
	bed_close(&bed);
}

#define RUN(...)                                                   \
	do {                                                       \
		static const struct step steps_[] = {__VA_ARGS__}; \
		run(steps_, sizeof(steps_) / sizeof(steps_[0]));   \
	} while (0)

/* How every scenario with one domain begins. */
#define UP                    \
	{                     \
		0, "up 1", "" \
	}
#define ASKED                                                                             \
	{                                                                                 \
		0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1" \
	}
#define CONFIRMED                                                             \
	{                                                                     \
		10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1" \
	}
#define FAILED                                                           \
	{                                                                \
		10, "inactive a.x A@1", "A@1 pending>failed; a.x refuse" \
	}

/* C-01: the first query sends one AssignedIps; the entry is Pending and holds. */
static void first_query_asks_once(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1, "query a.x", ""}, {2, "requery a.x", ""});
}

/* C-02: held until Active, then released once and in order. */
static void packets_wait_for_active(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1, "packet a.x 1", ""}, {2, "packet a.x 2", ""}, {3, "packet a.x 3", ""},
	    {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2 3"},
	    {11, "active a.x A@1", ""});
}

/* C-04, C-05, C-06: nothing is held twice, also if it came before the gateway did. */
static void waiting_packets_are_not_held_twice(void **state)
{
	(void)state;
	RUN({0, "query a.x", "new a.x; a.x hold"}, {1, "packet a.x 1", ""},
	    {2, "syn a.x 9 1024", ""}, {3, "packet a.x 1", "duplicate a.x 1"},
	    {4, "up 1", "A@1 none>pending; send A@1 #1 4+4; a.x hold @1"},
	    {5, "packet a.x 1", "duplicate a.x 1"}, {6, "syn a.x 9 1025", "duplicate a.x 1"},
	    {7, "packet a.x 2", ""},
	    {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 9 2"});
}

/* C-07: repeated by a query after 2 s, not before; then the 2 s start anew. */
static void query_repeats_after_two_seconds(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1999, "query a.x", ""}, {2000, "query a.x", "send A@1 #2 4+4 again 1"},
	    {3999, "query a.x", ""}, {4000, "query a.x", "send A@1 #3 4+4 again 2"});
}

/* C-08: repeated by a packet after 2 s, held or passing. */
static void packet_repeats_after_two_seconds(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1999, "packet a.x 1", ""},
	    {2000, "packet a.x 2", "send A@1 #2 4+4 again 1"},
	    {2001, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2"},
	    {9000, "query a.x",
	     "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #3 4+4"},
	    {10999, "touch a.x", ""}, {10999, "tick", ""},
	    {11000, "tick", "a.x forward @1 touch 0"},
	    {11000, "touch a.x", "send A@1 #4 4+4 again 1; a.x forward @1 touch 2000"});
}

/* C-09: a failed domain is left alone, whatever else is asked for. */
static void failed_is_left_alone(void **state)
{
	(void)state;
	RUN(UP, ASKED, FAILED,
	    {5000, "query z.x", "new z.x; A@1 none>pending; send A@1 #2 4+4; z.x hold @1"},
	    {9000, "query z.x", "send A@1 #3 4+4 again 1"}, {9001, "packet a.x 1", "release a.x 1"},
	    {9002, "touch a.x", ""}, {60000, "tick", ""},
	    {60001, "query y.x",
	     "new y.x; A@1 none>pending; send A@1 #4 4+4; y.x hold @1; "
	     "send A@1 #5 4+4 again 2"});
}

/* C-10: a query of its own makes it asked for again, and packets are held. */
static void failed_is_recreated_by_its_query(void **state)
{
	(void)state;
	RUN(UP, ASKED, FAILED,
	    {500, "query a.x",
	     "A@1 failed>recreating; A@1 recreating>pending; send A@1 #2 4+4; "
	     "a.x hold @1"},
	    {501, "packet a.x 1", ""},
	    {510, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1"});
}

/* C-10: the AAAA that is asked beside an A does not ask a second time. */
static void parallel_query_is_the_same_asking(void **state)
{
	(void)state;
	RUN(UP, ASKED, FAILED, {99, "query a.x", ""},
	    {100, "query a.x",
	     "A@1 failed>recreating; A@1 recreating>pending; send A@1 #2 4+4; "
	     "a.x hold @1"},
	    {101, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"},
	    {150, "query a.x", ""});
}

/* C-11: a confirmed domain is asked for again while its packets flow. */
static void confirmed_flows_while_recreated(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED,
	    {5000, "query a.x",
	     "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #2 4+4"},
	    {5001, "packet a.x 1", "release a.x 1"},
	    {5002, "active a.x A@1", "A@1 pending>confirmed"});
}

/* C-11: but not more often than every 2 s: until then it is Recreating. */
static void confirmed_waits_its_two_seconds(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED, {1000, "query a.x", "A@1 confirmed>recreating"},
	    {1001, "query a.x", ""}, {1002, "packet a.x 1", "release a.x 1"}, {2999, "tick", ""},
	    {3000, "tick", "A@1 recreating>pending; send A@1 #2 4+4"},
	    {3001, "inactive a.x A@1", "A@1 pending>failed; a.x refuse"});
}

/* C-12: a query keeps what a Pending domain holds. */
static void query_keeps_held_packets(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1, "packet a.x 1", ""}, {2, "query a.x", ""}, {3, "packet a.x 2", ""},
	    {2000, "query a.x", "send A@1 #2 4+4 again 1"},
	    {2010, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2"});
}

/* C-13, C-14, P-06: two resources at two gateways: each is asked, with its own families. */
static void query_concerns_all_entries(void **state)
{
	(void)state;
	RUN(UP, {0, "up 2", ""},
	    {0, "query b.x",
	     "new b.x; B@2 none>pending; send B@2 #1 4+0; A@1 none>pending; "
	     "send A@1 #2 4+4; b.x/4 hold @2; b.x/6 hold @1"},
	    {10, "inactive b.x B@2", "B@2 pending>failed; b.x/4 hold @1"},
	    {20, "active b.x A@1", "A@1 pending>confirmed; b.x forward @1"},
	    {5000, "query b.x",
	     "B@2 failed>recreating; B@2 recreating>pending; send B@2 #3 4+0; "
	     "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #4 4+4"});
}

/* C-14: one that fails does not touch the other. */
static void one_resource_fails_alone(void **state)
{
	(void)state;
	RUN(UP, {0, "up 2", ""},
	    {0, "query b.x",
	     "new b.x; B@2 none>pending; send B@2 #1 4+0; A@1 none>pending; "
	     "send A@1 #2 4+4; b.x/4 hold @2; b.x/6 hold @1"},
	    {1, "packet b.x 1", ""},
	    {10, "active b.x B@2", "B@2 pending>confirmed; b.x/4 forward @2; release b.x 1"},
	    {20, "inactive b.x A@1", "A@1 pending>failed; b.x/6 refuse"},
	    {30, "packet b.x 2", "release b.x 2"},
	    {40, "inactive b.x B@2", "B@2 confirmed>failed; b.x/4 refuse"});
}

/* C-15: a status that nobody asked for. */
static void unknown_status_is_ignored(void **state)
{
	(void)state;
	RUN(UP, {0, "active a.x A@1 #1", "unknown"}, ASKED, {1, "active a.x A@2 #1", "unknown"},
	    {1, "active a.x B@1 #1", "unknown"}, {1, "active a.y A@1 #1", "unknown"});
}

/* C-16: Active in any other state confirms and releases nothing. */
static void active_confirms_from_every_state(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED, {20, "active a.x A@1", ""},
	    {1000, "query a.x", "A@1 confirmed>recreating"},
	    {1001, "active a.x A@1", "A@1 recreating>confirmed"}, {9000, "tick", ""},
	    {9000, "inactive a.x A@1", "A@1 confirmed>failed; a.x refuse"},
	    {9001, "active a.x A@1", "A@1 failed>confirmed; a.x forward @1"});
}

/* C-17: a status of an earlier request undoes nothing. */
static void late_status_is_stale(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED,
	    {5000, "query a.x",
	     "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #2 4+4"},
	    {5001, "inactive a.x A@1 #1", "stale"}, {5002, "inactive a.x A@1 #3", "stale"},
	    {5003, "active a.x A@1 #2", "A@1 pending>confirmed"},
	    {5004, "inactive a.x A@1 #1", "stale"},
	    {5005, "inactive a.x A@1 #0", "A@1 confirmed>failed; a.x refuse"});
}

/* C-17: an answer to any repetition counts, but never one older than another. */
static void reordered_answers_to_repetitions(void **state)
{
	(void)state;
	RUN(UP, ASKED, {2000, "query a.x", "send A@1 #2 4+4 again 1"},
	    {4000, "query a.x", "send A@1 #3 4+4 again 2"},
	    {4001, "active a.x A@1 #2", "A@1 pending>confirmed; a.x forward @1"},
	    {4002, "inactive a.x A@1 #1", "stale"},
	    {4003, "inactive a.x A@1 #3", "A@1 confirmed>failed; a.x refuse"},
	    {4004, "active a.x A@1 #2", "stale"});
}

/* C-18: a gateway goes, and its entries; the next query starts as at first. */
static void gone_gateway_takes_its_entries(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED, {20, "gone 1", "A@1 confirmed>none; a.x hold"},
	    {30, "active a.x A@1 #1", "unknown"}, {40, "query a.x", ""}, {50, "packet a.x 1", ""},
	    {60, "up 1", "A@1 none>pending; send A@1 #2 4+4; a.x hold @1"},
	    {70, "active a.x A@1 #1", "stale"},
	    {80, "active a.x A@1 #2", "A@1 pending>confirmed; a.x forward @1; release a.x 1"});
}

/* C-18: another gateway of the resource takes over, until the first one is back. */
static void next_gateway_serves(void **state)
{
	(void)state;
	RUN(UP, {0, "up 2", ""},
	    {0, "query z.c", "new z.c; C@1 none>pending; send C@1 #1 4+4; z.c hold @1"},
	    {10, "gone 1", "C@1 pending>none; z.c hold"},
	    {20, "packet z.c 1", "C@2 none>pending; send C@2 #2 4+4; z.c hold @2"},
	    {30, "active z.c C@2", "C@2 pending>confirmed; z.c forward @2; release z.c 1"},
	    {40, "up 1", ""}, {50, "packet z.c 2", "release z.c 2"},
	    {60, "query z.c", "C@2 confirmed>none; C@1 none>pending; send C@1 #3 4+4; z.c hold @1"},
	    {70, "packet z.c 3", ""},
	    {80, "active z.c C@1", "C@1 pending>confirmed; z.c forward @1; release z.c 3"});
}

/* C-20: a silent gateway is replaced like one that is gone, but its failures are kept (C-09). */
static void silent_gateway_is_replaced(void **state)
{
	(void)state;
	RUN(UP, {0, "up 2", ""},
	    {0, "query z.c", "new z.c; C@1 none>pending; send C@1 #1 4+4; z.c hold @1"},
	    {1, "packet z.c 1", ""},
	    {2, "query y.c", "new y.c; C@1 none>pending; send C@1 #2 4+4; y.c hold @1"},
	    {3, "active y.c C@1", "C@1 pending>confirmed; y.c forward @1"},
	    {4, "inactive y.c C@1", "C@1 confirmed>failed; y.c refuse"},
	    {15000, "lost 1",
	     "C@1 pending>none; z.c hold; C@2 none>pending; send C@2 #3 4+4; z.c hold @2"},
	    {15010, "active z.c C@2", "C@2 pending>confirmed; z.c forward @2; release z.c 1"},
	    {15020, "packet y.c 2", "release y.c 2"},
	    {15030, "query y.c", "C@1 failed>none; C@2 none>pending; send C@2 #4 4+4; y.c hold @2"},
	    {15040, "lost 2", "C@2 pending>recreating"}, {15050, "packet y.c 3", ""},
	    {16000, "up 1",
	     "C@2 confirmed>none; z.c hold; C@2 recreating>none; y.c hold; C@1 none>pending; "
	     "send C@1 #5 4+4; y.c hold @1"},
	    {16010, "active y.c C@1", "C@1 pending>confirmed; y.c forward @1; release y.c 3"});
}

/* C-20: contact lost and regained clears nothing; what is open is asked anew. */
static void lost_contact_clears_nothing(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED,
	    {20, "query z.x", "new z.x; A@1 none>pending; send A@1 #2 4+4; z.x hold @1"},
	    {30, "lost 1", "A@1 pending>recreating"}, {40, "packet a.x 1", "release a.x 1"},
	    {50, "packet z.x 2", ""}, {9000, "query z.x", ""},
	    {9001, "query a.x", "A@1 confirmed>recreating"},
	    {9002, "packet a.x 3", "release a.x 3"},
	    {10000, "up 1", "a.x forward @1 touch -999; A@1 recreating>pending; send A@1 #3 4+4"},
	    {10001, "active z.x A@1", "A@1 pending>confirmed; z.x forward @1; release z.x 2"},
	    {10002, "touch a.x", "A@1 recreating>pending; send A@1 #4 4+4; a.x forward @1"});
}

/* C-21: nothing is sent to a gateway that is not there, later a query or packet sends it. */
static void asks_when_the_gateway_has_come(void **state)
{
	(void)state;
	RUN({0, "query a.x", "new a.x; a.x hold"}, {0, "query z.x", "new z.x; z.x hold"},
	    {5000, "query a.x", ""}, {6000, "up 1", ""},
	    {6001, "query a.x", "A@1 none>pending; send A@1 #1 4+4; a.x hold @1"},
	    {6002, "packet z.x 1", "A@1 none>pending; send A@1 #2 4+4; z.x hold @1"});
}

/* C-21, C-24: a packet that waits makes it sent as soon as the gateway comes. */
static void waiting_packet_asks_when_the_gateway_comes(void **state)
{
	(void)state;
	RUN({0, "query a.x", "new a.x; a.x hold"}, {1, "packet a.x 1", ""},
	    {6000, "up 1", "A@1 none>pending; send A@1 #1 4+4; a.x hold @1"});
}

/* C-23: a packet that was to be held is put back at once if there is an answer by now. */
static void late_packet_is_not_lost(void **state)
{
	(void)state;
	RUN(UP, ASKED, CONFIRMED, {11, "packet a.x 1", "release a.x 1"},
	    {12, "inactive a.x A@1", "A@1 confirmed>failed; a.x refuse"},
	    {13, "packet a.x 2", "release a.x 2"});
}

/* C-02, C-24: nothing is held for ever. */
static void held_packets_age(void **state)
{
	(void)state;
	RUN(UP, ASKED, {0, "packet a.x 1", ""}, {20000, "packet a.x 2", "send A@1 #2 4+4 again 1"},
	    {29999, "tick", "send A@1 #3 4+4 again 2"},
	    {31999, "tick", "dropped a.x 1; send A@1 #4 4+4 again 3"},
	    {49999, "tick", "send A@1 #5 4+4 again 4"}, {51999, "tick", "dropped a.x 1"},
	    {53999, "tick", ""},
	    {60001, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"});
}

/* C-08 [ours]: as long as packets are held the question is repeated, whoever is silent; and not a
 * moment longer. */
static void holding_repeats_the_question(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1500, "packet a.x 1", ""}, {1999, "tick", ""},
	    {2000, "tick", "send A@1 #2 4+4 again 1"}, {3999, "tick", ""},
	    {4000, "tick", "send A@1 #3 4+4 again 2"}, {4500, "packet a.x 2", ""},
	    {6000, "tick", "send A@1 #4 4+4 again 3"},
	    {6010, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2"},
	    {9000, "tick", ""});
}

/* C-02: a domain that fails drops what it holds, and says so. */
static void failing_drops_held_packets(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1, "packet a.x 1", ""}, {2, "packet a.x 2", ""},
	    {10, "inactive a.x A@1", "A@1 pending>failed; a.x refuse; dropped a.x 2"});
}

/* D-03: PTR and HTTPS answers ask again, too, and are no-ops for other names. */
static void other_local_answers_recreate(void **state)
{
	(void)state;
	RUN(UP, {0, "requery a.x", ""}, ASKED, FAILED,
	    {5000, "requery a.x",
	     "A@1 failed>recreating; A@1 recreating>pending; send A@1 #2 4+4; "
	     "a.x hold @1"},
	    {5001, "requery 1.2.0.192.in-addr.arpa", ""});
}

/* An operator does not wait. */
static void refresh_asks_at_once(void **state)
{
	(void)state;
	RUN(UP, {0, "refresh a.x", "error ENOENT"}, ASKED, CONFIRMED,
	    {20, "refresh a.x",
	     "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #2 4+4"},
	    {21, "active a.x A@1", "A@1 pending>confirmed"},
	    {200, "query a.x", "A@1 confirmed>recreating"},
	    {201, "refresh a.x", "A@1 recreating>pending; send A@1 #3 4+4"});
}

/* P-10: forgotten, a domain is nobody's; asked for again, it is a new one. */
static void forget_gives_everything_up(void **state)
{
	(void)state;
	RUN(UP, ASKED, {1, "packet a.x 1", ""},
	    {2, "forget a.x", "A@1 pending>none; dropped a.x 1; del a.x; forgotten a.x"},
	    {3, "forget a.x", "error ENOENT"}, {4, "packet a.x 2", "error ENOENT"},
	    {5, "query a.x", "new a.x; A@1 none>pending; send A@1 #2 4+4; a.x hold @1"},
	    {6, "active a.x A@1 #1", "stale"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_query_asks_once),
		cmocka_unit_test(packets_wait_for_active),
		cmocka_unit_test(waiting_packets_are_not_held_twice),
		cmocka_unit_test(query_repeats_after_two_seconds),
		cmocka_unit_test(packet_repeats_after_two_seconds),
		cmocka_unit_test(failed_is_left_alone),
		cmocka_unit_test(failed_is_recreated_by_its_query),
		cmocka_unit_test(parallel_query_is_the_same_asking),
		cmocka_unit_test(confirmed_flows_while_recreated),
		cmocka_unit_test(confirmed_waits_its_two_seconds),
		cmocka_unit_test(query_keeps_held_packets),
		cmocka_unit_test(query_concerns_all_entries),
		cmocka_unit_test(one_resource_fails_alone),
		cmocka_unit_test(unknown_status_is_ignored),
		cmocka_unit_test(active_confirms_from_every_state),
		cmocka_unit_test(late_status_is_stale),
		cmocka_unit_test(reordered_answers_to_repetitions),
		cmocka_unit_test(gone_gateway_takes_its_entries),
		cmocka_unit_test(next_gateway_serves),
		cmocka_unit_test(silent_gateway_is_replaced),
		cmocka_unit_test(lost_contact_clears_nothing),
		cmocka_unit_test(asks_when_the_gateway_has_come),
		cmocka_unit_test(waiting_packet_asks_when_the_gateway_comes),
		cmocka_unit_test(late_packet_is_not_lost),
		cmocka_unit_test(held_packets_age),
		cmocka_unit_test(holding_repeats_the_question),
		cmocka_unit_test(failing_drops_held_packets),
		cmocka_unit_test(other_local_answers_recreate),
		cmocka_unit_test(refresh_asks_at_once),
		cmocka_unit_test(forget_gives_everything_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
