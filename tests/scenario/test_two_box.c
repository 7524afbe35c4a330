/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edges and gateways with a bad path between them, in virtual time, at random: see tests/lib/box.h
 * for what happens and for what is checked.
 *
 * Environment: RUNS (10000; fewer where a sanitizer watches), SEED replays one run and tells what
 * happens, FIRST is the first seed of several.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/box.h"

#ifdef __SANITIZE_ADDRESS__
#define RUNS 1000
#else
#define RUNS 10000
#endif

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/*
 * C-01 to C-24: every AssignedIps is sent that the reference sends, and no other; every entry is
 * in its state. W-01, W-02: all of it encoded and decoded.
 */
static void every_run_ends_well(void **state)
{
	uint64_t seed = number_from("SEED", 0), first = seed ? seed : number_from("FIRST", 1);
	uint64_t runs = seed ? 1 : number_from("RUNS", RUNS);
	struct box_totals t = {0};

	(void)state;
	for (uint64_t i = 0; i < runs; i++)
		box_run(first + i, seed != 0, &t);
	printf("# summary: %llu runs, seeds %llu..%llu, %lu messages (%lu lost, %lu duplicated), "
	       "%lu asks, "
	       "%lu statuses (%lu stale), %lu queries, %lu packets (%lu held, %lu released), "
	       "%lu restarts, %lu gateways lost\n",
	       (unsigned long long)runs, (unsigned long long)first,
	       (unsigned long long)(first + runs - 1), t.control.sent, t.control.lost,
	       t.control.duplicated, t.asks, t.statuses, t.stale, t.queries, t.packets, t.held,
	       t.released, t.restarts, t.failovers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_run_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
