/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong in the reference, each once more as a test: the rows of its history that
 * concern control, under the numbers of its issues. Edge and gateway are the real cores; time is
 * a number.
 *
 * Rows that are tested elsewhere: patterns (#6809) unit/test_pattern.c; PTR, SRV, TXT and stacks
 * (#6765, #8221, #8335, #9372, #11891, #14530) unit/test_stub.c; TTLs (#8232, #8371)
 * unit/test_gateway_refresh.c; everything about packets (#6960, #7398, #8124, #9655 to #9834,
 * #10868, #10989, #12684, #14409) prog/ and e2e/; sessions that outlive a resolution at the data
 * path (N-04) prog/test_dataplane_sessions.c; random orders of all of it test_two_box.c.
 */
#include "../unit/gateway_lab.h"

#include "../lib/edge_bed.h"

struct step {
	int64_t ms;
	const char *input;
	const char *expect;
};

static void run_steps(struct bed *bed, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = bed_do(bed, steps[i].ms, steps[i].input);

		if (strcmp(text, steps[i].expect) != 0)
			print_error("%lld ms: %s\n", (long long)steps[i].ms, steps[i].input);
		assert_string_equal(text, steps[i].expect);
	}
}

/* A serves every name below x at gateway 1, B b.x at gateway 1, too. */
static void open_edge(struct bed *bed)
{
	const struct edge_resource resources[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_DUAL, 1, 0),
	};

	bed_open(bed, NULL);
	assert_string_equal(bed_resources(bed, resources, 2), "");
	assert_string_equal(bed_do(bed, 0, "up 1"), "");
}

#define EDGE_STEPS(...)                                                       \
	do {                                                                  \
		static const struct step steps_[] = {__VA_ARGS__};            \
		static struct bed bed_;                                       \
                                                                              \
		open_edge(&bed_);                                             \
		run_steps(&bed_, steps_, sizeof(steps_) / sizeof(steps_[0])); \
		bed_close(&bed_);                                             \
	} while (0)

#define ASKED                                                                             \
	{                                                                                 \
		0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1" \
	}

/* ---- the edge ---- */

/* C-19: #8398, state survived a resource that had been disabled. */
static void row_8398_disabled_resource_takes_its_state(void **state)
{
	static struct bed bed;
	const struct edge_resource b = bed_resource('B', "b.x", IP_STACK_DUAL, 1, 0);

	(void)state;
	open_edge(&bed);
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 10, "active a.x A@1");

	assert_string_equal(bed_resources(&bed, &b, 1),
			    "A@1 confirmed>none; changed a.x; a.x refuse");
	assert_string_equal(bed_do(&bed, 20, "active a.x A@1 #1"), "unknown");
	bed_close(&bed);
}

/* C-12: #8521, a query of a pending domain threw away what it held. */
static void row_8521_query_keeps_held_packets(void **state)
{
	(void)state;
	EDGE_STEPS(
		ASKED, {1, "packet a.x 1", ""}, {200, "query a.x", ""}, {201, "packet a.x 2", ""},
		{210, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1 2"});
}

/* C-11: #8935, holding while a domain was recreated stalled what flowed. */
static void row_8935_recreating_does_not_stall(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"},
		   {5000, "query a.x",
		    "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #2 4+4"},
		   {5001, "packet a.x 1", "release a.x 1"});
}

/* C-09, C-10: #9064, every query had all failed domains asked for again. */
static void row_9064_failed_domains_cause_no_storm(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {10, "inactive a.x A@1", "A@1 pending>failed; a.x refuse"},
		   {5000, "query z.x", "new z.x; A@1 none>pending; send A@1 #2 4+4; z.x hold @1"},
		   {5010, "active z.x A@1", "A@1 pending>confirmed; z.x forward @1"},
		   {15000, "query z.x",
		    "A@1 confirmed>recreating; A@1 recreating>pending; send A@1 #3 4+4"},
		   {15001, "packet a.x 1", "release a.x 1"},
		   {15002, "query a.x",
		    "A@1 failed>recreating; A@1 recreating>pending; send A@1 #4 4+4; a.x hold @1"});
}

/* C-08: #9904, one lost AssignedIps and a caching resolver made a black hole. */
static void row_9904_traffic_repeats_the_request(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {1, "packet a.x 1", ""}, {1999, "packet a.x 2", ""},
		   {2000, "packet a.x 3", "send A@1 #2 4+4 again 1"},
		   {2010, "active a.x A@1",
		    "A@1 pending>confirmed; a.x forward @1; release a.x 1 2 3"});
}

/* P-07, P-08: #10104, proxy addresses were others after a restart. */
static void row_10104_addresses_survive_a_restart(void **state)
{
	static struct bed first, second;
	struct edge_domain_record record = {.id = 1, .name = bed_name("a.x")};
	struct edge_domain_view view;

	(void)state;
	open_edge(&first);
	bed_do(&first, 0, "query a.x");
	assert_true(edge_find_name(first.edge, &record.name, &view));
	record.proxies = *view.proxies;
	bed_close(&first);

	open_edge(&second);
	assert_int_equal(edge_restore_domain(second.edge, &record, second.now), 0);
	assert_int_equal(edge_restored(second.edge), 0);
	bed_do(&second, 1, "query a.x");
	assert_true(edge_find_name(second.edge, &record.name, &view));
	assert_memory_equal(view.proxies, &record.proxies, sizeof(record.proxies));
	bed_close(&second);
}

/* C-14: #12917, two resources of one name shared one state. */
static void row_12917_resources_of_one_name_fail_alone(void **state)
{
	(void)state;
	EDGE_STEPS({0, "query b.x",
		    "new b.x; B@1 none>pending; send B@1 #1 4+4; A@1 none>pending; "
		    "send A@1 #2 4+4; b.x hold @1"},
		   {10, "inactive b.x A@1 #2", "A@1 pending>failed"},
		   {20, "active b.x B@1 #1", "B@1 pending>confirmed; b.x forward @1"});
}

/* P-09: #14545, a name stayed with a resource whose pattern no longer published it. */
static void row_14545_changed_pattern_lets_go_of_names(void **state)
{
	static struct bed bed;
	const struct edge_resource narrow = bed_resource('A', "b.x", IP_STACK_DUAL, 1, 0);
	struct fq_addr before, after;

	(void)state;
	open_edge(&bed);
	bed_do(&bed, 0, "query a.x");
	before = bed_proxy(&bed, "a.x");

	assert_string_equal(bed_resources(&bed, &narrow, 1),
			    "A@1 pending>none; changed a.x; a.x refuse");
	after = bed_proxy(&bed, "a.x");
	assert_true(ipaddr_equal(&before, &after));
	assert_string_equal(bed_do(&bed, 10, "query a.x"), "no match");
	bed_close(&bed);
}

/* C-23: #15325, packets were lost whose domain was answered before they came to be held. */
static void row_15325_late_packets_are_forwarded(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"},
		   {11, "packet a.x 1", "release a.x 1"},
		   {12, "inactive a.x A@1", "A@1 confirmed>failed; a.x refuse"},
		   {13, "packet a.x 2", "release a.x 2"});
}

/* A-07, C-20: #10040, a mere disconnect cleared what both sides knew. */
static void row_10040_lost_contact_clears_nothing(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"},
		   {20, "lost 1", ""}, {30, "packet a.x 1", "release a.x 1"}, {40, "up 1", ""},
		   {50, "packet a.x 2", "release a.x 2"});
}

/* C-18: #10076, without a Goodbye the edge went on with a gateway that had gone. */
static void row_10076_goodbye_ends_the_edges_state(void **state)
{
	(void)state;
	EDGE_STEPS(ASKED, {10, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1"},
		   {20, "gone 1", "A@1 confirmed>none; a.x hold"}, {30, "packet a.x 1", ""},
		   {40, "up 1", "A@1 none>pending; send A@1 #2 4+4; a.x hold @1"},
		   {50, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1"});
}

/* ---- the gateway ---- */

#define BEFORE "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1"
#define NOW    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2"
#define NONE4  "-,-,-,-"
#define GONE4  ".,.,.,."

static void establish(struct lab *lab)
{
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), BEFORE);
	lab_clear(lab);
}

/* A-06: #10076, translations outlived the edge's Goodbye. */
static void row_10076_goodbye_ends_the_gateways_state(void **state)
{
	struct lab *lab = *state;

	establish(lab);

	assert_int_equal(gateway_scope_gone(lab->gw, 0), 0);
	lab_drain(lab);

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), GONE4);
}

/* G-10: #10268, #10310, addresses numbered anew led to the old host. */
static void row_10310_renumbered_addresses_do_not_leak(void **state)
{
	struct lab *lab = *state;

	establish(lab);
	lab_assign(lab, 0, LAB_CORP, "other.corp.example", 0);

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), GONE4);
	lab_resolved(lab, "other.corp.example", "198.51.100.2", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), NOW);
}

/* G-04: #10373, one family's failure spoiled the other's answer. */
static void row_10373_partial_answers_are_used(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_FAILED, NULL);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_OK, "198.51.100.1");

	lab_expect_status(lab, 0, 1, true);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), BEFORE);
}

/* G-09, G-26: #10623, #10972, a family without records was "prohibited" instead of "unreachable".
 */
static void row_10972_all_proxy_addresses_are_known(void **state)
{
	struct lab *lab = *state;

	establish(lab);

	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), NONE4);
}

/* G-06, G-07: #8937, #10796, a new resolution moves new sessions, and all of them. */
static void row_10796_resolution_always_overwrites(void **state)
{
	struct lab *lab = *state;

	establish(lab);
	lab->now.ns += 1000 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.2", "");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), NOW);
}

/* G-11: #14970, proxy addresses outside the pools were taken. */
static void row_14970_foreign_proxy_addresses_are_refused(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_WWW, WWW, 0, 7);

	establish(lab);
	msg.proxies[0] = lab_addr("192.0.2.99");
	lab_send(lab, 0, &msg);

	lab_expect_status(lab, 0, 7, false);
	assert_int_equal(lab->invalid, 1);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), BEFORE);
}

/* A-05: #9896, #14556, what a new policy does not list was not revoked. */
static void row_9896_what_is_not_listed_is_revoked(void **state)
{
	struct lab *lab = *state;

	establish(lab);
	lab->grants = 0;
	lab_reload(lab);

	assert_int_equal(lab->grantmaps, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_expect_status(lab, 0, 1, false);
}

/* A-03: #9973, authorising again did not extend the expiry. */
static void row_9973_regrant_extends_the_expiry(void **state)
{
	struct lab *lab = *state;
	struct policy_grant grant = {LAB_LAN, LAB_WWW, instant_add(lab->now, 10 * NSEC_PER_SEC)};

	assert_int_equal(gateway_grant_add(lab->gw, &grant), 0);
	grant.expires = instant_add(lab->now, 100 * NSEC_PER_SEC);
	assert_int_equal(gateway_grant_add(lab->gw, &grant), 0);
	lab->now.ns += 50 * NSEC_PER_SEC;
	assert_int_equal(gateway_tick(lab->gw, lab->now), 0);
	lab_drain(lab);

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->statuses, 0); /* it is being looked up */
	assert_int_equal(lab->resolves, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_8398_disabled_resource_takes_its_state),
		cmocka_unit_test(row_8521_query_keeps_held_packets),
		cmocka_unit_test(row_8935_recreating_does_not_stall),
		cmocka_unit_test(row_9064_failed_domains_cause_no_storm),
		cmocka_unit_test(row_9904_traffic_repeats_the_request),
		cmocka_unit_test(row_10040_lost_contact_clears_nothing),
		cmocka_unit_test(row_10076_goodbye_ends_the_edges_state),
		cmocka_unit_test(row_10104_addresses_survive_a_restart),
		cmocka_unit_test(row_12917_resources_of_one_name_fail_alone),
		cmocka_unit_test(row_14545_changed_pattern_lets_go_of_names),
		cmocka_unit_test(row_15325_late_packets_are_forwarded),
		LAB_TEST(row_10076_goodbye_ends_the_gateways_state),
		LAB_TEST(row_10310_renumbered_addresses_do_not_leak),
		LAB_TEST(row_10373_partial_answers_are_used),
		LAB_TEST(row_10972_all_proxy_addresses_are_known),
		LAB_TEST(row_10796_resolution_always_overwrites),
		LAB_TEST(row_14970_foreign_proxy_addresses_are_refused),
		LAB_TEST(row_9896_what_is_not_listed_is_revoked),
		LAB_TEST(row_9973_regrant_extends_the_expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
