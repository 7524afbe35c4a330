/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines (user/core: timers): random starts, moves and stops against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/timers.h"

#define COUNT 300

struct thing {
	int number;
	struct timer timer;
};

/* xorshift: the same numbers in every run. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static struct instant earliest(const struct thing *things)
{
	struct instant t = INSTANT_NEVER;

	for (int i = 0; i < COUNT; i++)
		if (things[i].timer.slot)
			t = instant_min(t, things[i].timer.at);
	return t;
}

static void the_earliest_comes_first_whatever_was_moved(void **state)
{
	static struct thing things[COUNT];
	struct timers timers = {0};
	uint32_t seed = 1;

	(void)state;
	assert_int_equal(timers_reserve(&timers, COUNT), 0);
	for (int step = 0; step < 20000; step++) {
		struct thing *t = &things[next_random(&seed) % COUNT];

		if (next_random(&seed) % 4)
			timer_set(&timers, &t->timer, (struct instant){next_random(&seed) % 1000});
		else
			timer_stop(&timers, &t->timer);
		assert_int_equal(timers_next(&timers).ns, earliest(things).ns);
	}
	timers_done(&timers);
}

static void they_are_taken_in_order_when_due(void **state)
{
	struct thing things[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
	struct timers timers = {0};
	struct timer *t;

	(void)state;
	assert_int_equal(timers_reserve(&timers, 3), 0);
	timer_set(&timers, &things[0].timer, (struct instant){30});
	timer_set(&timers, &things[1].timer, (struct instant){10});
	timer_set(&timers, &things[2].timer, (struct instant){20});
	assert_null(timers_take(&timers, (struct instant){9}));
	t = timers_take(&timers, (struct instant){20});
	assert_int_equal(timer_owner(t, struct thing, timer)->number, 1);
	t = timers_take(&timers, (struct instant){20});
	assert_int_equal(timer_owner(t, struct thing, timer)->number, 2);
	assert_null(timers_take(&timers, (struct instant){20}));
	timer_stop(&timers, &things[0].timer);
	timer_stop(&timers, &things[0].timer);
	assert_int_equal(timers_next(&timers).ns, INSTANT_NEVER.ns);
	timers_done(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_comes_first_whatever_was_moved),
		cmocka_unit_test(they_are_taken_in_order_when_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
