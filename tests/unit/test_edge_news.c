/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a change of state is to the store, which is written at once only where something would be
 * lost with it: nothing, a generation, or a state that would not come back by itself.
 */
#include "edge_lab.h"

struct told {
	char text[512];
};

static void tell(struct bed *b, const struct edge_action *a, void *ctx)
{
	static const char *const news[] = {"nothing", "generation", "state"};
	struct told *told = ctx;
	size_t used = strlen(told->text);

	(void)b;
	if (a->kind == EDGE_STATE_CHANGED)
		snprintf(told->text + used, sizeof(told->text) - used, "%s%s>%s %s",
			 used ? "; " : "", edge_state_name(a->state.from),
			 edge_state_name(a->state.to), news[a->state.news]);
}

/* What the changes of state that @input makes are to the store. */
static void expect_news(int64_t ms, const char *input, const char *text)
{
	struct told told = {0};

	bed.on_action = tell;
	bed.ctx = &told;
	bed_do(&bed, ms, input);
	bed.on_action = NULL;
	assert_string_equal(told.text, text);
}

static void a_first_question_and_its_answer_are_states(void **state)
{
	(void)state;
	expect_news(0, "query a.x", "none>pending state");
	expect_news(10, "active a.x A@1", "pending>confirmed state");
	expect_news(20, "query b.x", "none>pending state; none>pending state");
	expect_news(30, "inactive b.x B@2", "pending>failed generation");
}

/* Whatever is open comes back as it was answered last: only a number is new. */
static void a_known_name_that_is_asked_for_again_is_a_generation(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 10, "active a.x A@1");
	expect_news(3000, "query a.x",
		    "confirmed>recreating nothing; recreating>pending generation");
	expect_news(3010, "active a.x A@1", "pending>confirmed generation");
}

static void another_answer_is_a_state_and_the_same_one_is_not(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 10, "active a.x A@1");
	bed_do(&bed, 3000, "query a.x");
	expect_news(3010, "inactive a.x A@1", "pending>failed state");

	expect_news(6000, "query a.x", "failed>recreating nothing; recreating>pending generation");
	expect_news(6010, "inactive a.x A@1", "pending>failed generation");

	bed_do(&bed, 9000, "query a.x");
	expect_news(9010, "active a.x A@1", "pending>confirmed state");
}

static void what_is_forgotten_is_a_state(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.x");
	expect_news(10, "forget a.x", "pending>none state");
	bed_do(&bed, 20, "query a.x");
	bed_do(&bed, 30, "active a.x A@1");
	expect_news(40, "forget a.x", "confirmed>none state");
}

/* The row of the one gateway goes, and that of the other one is new. */
static void another_gateway_is_a_state(void **state)
{
	const struct edge_resource list[] = {bed_resource('A', "**.x", IP_STACK_DUAL, 1, 2)};

	(void)state;
	reload("", list, 1);
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 10, "active a.x A@1");
	expect_news(20, "lost 1", "confirmed>none state");
	expect_news(30, "query a.x", "none>pending state");
	expect_news(40, "active a.x A@2", "pending>confirmed state");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_first_question_and_its_answer_are_states),
		T(a_known_name_that_is_asked_for_again_is_a_generation),
		T(another_answer_is_a_state_and_the_same_one_is_not),
		T(what_is_forgotten_is_a_state),
		T(another_gateway_is_a_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
