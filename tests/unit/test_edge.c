/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge beside its state machine (that is tests/scenario) and what has a file of its own:
 * answers, views, generations.
 */
#include <string.h>

#include "edge_lab.h"

/* P-02, P-03, P-05: the answer has all addresses, and says which families count. */
static void answer_has_addresses_and_families(void **state)
{
	struct dname name = bed_name("b.x");
	struct edge_answer first, again;

	(void)state;
	assert_int_equal(edge_query(bed.edge, &name, bed.now, &first), 0);
	assert_true(first.matched && first.ipv4 && first.ipv6);
	assert_int_equal(first.proxies.count, PROXIES_MAX);
	assert_int_equal(edge_query(bed.edge, &name, bed.now, &again), 0);
	assert_memory_equal(&first.proxies, &again.proxies, sizeof(first.proxies));
}

/* P-03: asked again, there is no event of assignment. */
static void repeated_queries_dont_emit_events(void **state)
{
	(void)state;
	assert_non_null(strstr(bed_do(&bed, 0, "query a.x"), "new a.x"));
	expect(1, "query a.x", "");
	expect(2, "query a.x", "");
}

static bool count_domains(const struct edge_domain_view *v, void *ctx)
{
	unsigned int *n = ctx;

	assert_int_equal(v->id, *n + 1);
	return ++*n < 2;
}

static void views_show_what_is_there(void **state)
{
	struct dname name = bed_name("b.x");
	struct edge_domain_view v;
	struct edge_usage usage;
	unsigned int n = 0;

	(void)state;
	bed_do(&bed, 0, "query b.x");
	bed_do(&bed, 5, "inactive b.x B@2");
	bed_do(&bed, 6, "packet b.x 1");
	bed_do(&bed, 2000, "query a.x");
	bed_do(&bed, 2000, "query c.x");
	assert_true(edge_find_name(bed.edge, &name, &v));
	assert_int_equal(v.verdict[0], FQ_EDGE_HOLD);
	assert_int_equal(v.verdict[1], FQ_EDGE_HOLD);
	assert_int_equal(v.held, 1);
	assert_int_equal(v.entry_count, 2);
	assert_int_equal(v.entries[0].state, EDGE_FAILED);
	assert_int_equal(v.entries[1].state, EDGE_PENDING);
	assert_int_equal(v.entries[1].resends, 1);
	assert_true(v.entries[1].buffering);
	assert_int_equal(instant_sub(v.entries[1].sent_at, v.entries[1].since), 2 * NSEC_PER_SEC);
	assert_true(edge_find_id(bed.edge, v.id, &v));
	assert_false(edge_find_id(bed.edge, 99, &v));

	edge_foreach_domain(bed.edge, count_domains, &n);
	assert_int_equal(n, 2);
	edge_usage(bed.edge, &usage);
	assert_int_equal(usage.domains, 3);
	assert_int_equal(usage.entries, 4);
	assert_int_equal(usage.pending, 3);
	assert_int_equal(usage.held_packets, 1);
}

/* Freed with actions and packets still queued, nothing leaks (seen by the sanitizer). */
static void free_with_work_left(void **state)
{
	struct dname name = bed_name("a.x");
	struct edge_answer answer;
	struct edge_action action;

	(void)state;
	bed_do(&bed, 0, "query b.x");
	bed_do(&bed, 0, "packet b.x 1");
	assert_int_equal(edge_query(bed.edge, &name, bed.now, &answer), 0);
	assert_int_equal(edge_forget(bed.edge, &name, bed.now), 0);
	assert_true(edge_next(bed.edge, &action));
	assert_string_equal(action.name->text, "a.x");
}

/* Generations start where they are told to, and skip 0, which means none. */
static void generations_skip_zero(void **state)
{
	struct edge_settings settings = bed_settings();

	(void)state;
	settings.generation = UINT32_MAX - 1;
	bed_close(&bed);
	bed_open(&bed, &settings);
	reload("", (const struct edge_resource[]){bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0)},
	       1);
	bed_do(&bed, 0, "up 1");
	expect(0, "query a.x", "new a.x; A@1 none>pending; send A@1 #4294967295 4+4; a.x hold @1");
	expect(2000, "query a.x", "send A@1 #1 4+4 again 1");
	expect(2001, "active a.x A@1 #4294967295", "A@1 pending>confirmed; a.x forward @1");
	expect(2002, "inactive a.x A@1 #1", "A@1 confirmed>failed; a.x refuse");
	expect(2003, "active a.x A@1 #4294967295", "stale");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answer_has_addresses_and_families),
		T(repeated_queries_dont_emit_events),
		T(views_show_what_is_there),
		T(free_with_work_left),
		T(generations_skip_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
