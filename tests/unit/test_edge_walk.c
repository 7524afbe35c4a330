/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway of very many domains is lost, goes, or comes back: what is wanted now does not wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_lab.h"

#define MANY     2000
#define AT_ONCE  1000 /* actions: more is too many to wait for */
#define GATEWAYS 3

/* What an AssignedIps has said last of a name. */
static struct {
	uint32_t gateway, generation;
	unsigned int resends;
} sent[MANY];

static uint32_t newest; /* generation */

/* All names at gateway 1, then 2, then 3. */
static int setup_many(void **state)
{
	struct edge_resource a = bed_resource('A', "*.a", IP_STACK_DUAL, 1, 2);

	a.gateways[2] = 3;
	a.gateway_count = 3;
	(void)state;
	memset(sent, 0, sizeof(sent));
	newest = 0;
	bed_open(&bed, NULL);
	reload("", &a, 1);
	bed_do(&bed, 0, "up 1");
	bed_do(&bed, 0, "up 2");
	return 0;
}

#define P(test) cmocka_unit_test_setup_teardown(test, setup_many, teardown)

static struct dname many_name(unsigned int i)
{
	char text[16];

	snprintf(text, sizeof(text), "n%u.a", i);
	return bed_name(text);
}

/* Take up to @max actions. Return: how many there were. */
static unsigned int take(unsigned int max)
{
	struct edge_action a;
	unsigned int n = 0;

	for (; n < max && edge_next(bed.edge, &a); n++) {
		unsigned int i = a.name ? (unsigned int)strtoul(a.name->text + 1, NULL, 10) : 0;

		if (a.kind != EDGE_SEND_ASSIGNED)
			continue;
		assert_true(a.send.generation > newest);
		newest = sent[i].generation = a.send.generation;
		sent[i].gateway = a.send.gateway;
		sent[i].resends = a.send.resends;
	}
	return n;
}

static void ask(unsigned int i)
{
	struct dname name = many_name(i);
	struct edge_answer answer;

	assert_int_equal(edge_query(bed.edge, &name, bed.now, &answer), 0);
}

static enum edge_status_outcome say(unsigned int i, bool active)
{
	struct dname name = many_name(i);
	const struct edge_status status = {
		.gateway = sent[i].gateway,
		.generation = sent[i].generation,
		.uuid = "00000000-0000-4000-8000-000000000001",
		.domain = &name,
		.active = active,
	};
	enum edge_status_outcome outcome;

	assert_int_equal(edge_status(bed.edge, &status, bed.now, &outcome), 0);
	return outcome;
}

static void make_many(void)
{
	for (unsigned int i = 0; i < MANY; i++) {
		ask(i);
		take(UINT32_MAX);
		assert_int_equal(say(i, true), EDGE_STATUS_APPLIED);
		take(UINT32_MAX);
	}
	bed.now = instant_add(bed.now, 20 * NSEC_PER_SEC);
}

/* Return: how many inputs it took. */
static unsigned int walk(void)
{
	unsigned int ticks = 0;

	for (; instant_reached(edge_deadline(bed.edge), bed.now); ticks++) {
		struct edge_usage usage;

		assert_int_equal(edge_tick(bed.edge, bed.now), 0);
		edge_usage(bed.edge, &usage);
		assert_true(usage.actions < AT_ONCE);
		take(UINT32_MAX);
	}
	return ticks;
}

static void gateway_has(uint32_t gateway, uint32_t pending, uint32_t confirmed)
{
	struct edge_gateway_view v;

	assert_true(edge_gateway_view(bed.edge, gateway, &v));
	assert_int_equal(v.pending, pending);
	assert_int_equal(v.confirmed, confirmed);
}

/* C-27: a name that is asked for goes to the next gateway before most others are let go of. */
static void wanted_names_overtake(void **state)
{
	(void)state;
	make_many();
	assert_int_equal(edge_gateway_lost(bed.edge, 1, bed.now), 0);
	ask(MANY - 1);
	assert_true(take(UINT32_MAX) < AT_ONCE);
	assert_int_equal(sent[MANY - 1].gateway, 2);
	assert_int_equal(say(MANY - 1, true), EDGE_STATUS_APPLIED);
	assert_true(walk() > 1);
	gateway_has(1, 0, 0);
	gateway_has(2, 0, 1);
}

/* C-18, C-27: what has gone is forgotten, even if it is back before all domains know. */
static void returned_gateway_is_asked_anew(void **state)
{
	(void)state;
	make_many();
	assert_int_equal(edge_gateway_gone(bed.edge, 1, bed.now), 0);
	assert_int_equal(edge_gateway_up(bed.edge, 1, bed.now), 0);
	take(UINT32_MAX);
	assert_int_equal(say(MANY - 1, true), EDGE_STATUS_UNKNOWN);
	ask(MANY - 2);
	take(UINT32_MAX);
	assert_int_equal(sent[MANY - 2].gateway, 1);
	assert_int_equal(sent[MANY - 2].generation, newest);
	assert_int_equal(sent[MANY - 2].resends, 0);
	walk();
	gateway_has(1, 1, 0);
}

/* C-20, C-27: what did not learn that contact was lost before it was there again stays. */
static void regained_contact_ends_the_walk(void **state)
{
	struct edge_gateway_view v;

	(void)state;
	make_many();
	assert_int_equal(edge_gateway_lost(bed.edge, 1, bed.now), 0);
	assert_int_equal(edge_gateway_up(bed.edge, 1, bed.now), 0);
	take(UINT32_MAX);
	walk();
	assert_true(edge_gateway_view(bed.edge, 1, &v));
	assert_true(v.confirmed > MANY / 2);
	ask(MANY - 1);
	take(UINT32_MAX);
	assert_int_equal(sent[MANY - 1].gateway, 1);
}

/* ---- at random ---- */

static uint64_t dice = 1;
static bool up[GATEWAYS + 1], lost[GATEWAYS + 1];
static uint32_t gone_at[GATEWAYS + 1]; /* generation */

static uint32_t pick(uint32_t n)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (uint32_t)((dice * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static void change_gateway(void)
{
	uint32_t g = 1 + pick(GATEWAYS), what = pick(4);

	up[g] = what > 1;
	lost[g] = what == 1 || (what == 0 && lost[g]);
	if (what == 0)
		assert_int_equal(edge_gateway_gone(bed.edge, g, bed.now), 0);
	else if (what == 1)
		assert_int_equal(edge_gateway_lost(bed.edge, g, bed.now), 0);
	else
		assert_int_equal(edge_gateway_up(bed.edge, g, bed.now), 0);
	take(UINT32_MAX);
	if (what == 0)
		gone_at[g] = newest;
}

/* Everything has caught up: what must be true of each entry, wherever the walks were cut. */
static bool check(const struct edge_domain_view *v, void *ctx)
{
	const struct edge_entry_view *e = &v->entries[0];

	(void)ctx;
	if (!v->entry_count)
		return true;
	assert_true(e->generation > gone_at[e->gateway]);
	if (!up[e->gateway]) {
		assert_int_not_equal(e->state, EDGE_PENDING);
		assert_true(e->state == EDGE_FAILED || (!up[1] && !up[2] && !up[3]));
	}
	return true;
}

/* C-18, C-20, C-27: walks that are cut short by other changes leave nothing behind. */
static void interrupted_walks_end_well(void **state)
{
	(void)state;
	make_many();
	up[1] = up[2] = true;
	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int n = pick(12); n; n--) {
			uint32_t i = pick(MANY);

			bed.now = instant_add(bed.now, pick(500) * NSEC_PER_MSEC);
			if (pick(4) == 0)
				change_gateway();
			ask(i);
			take(UINT32_MAX);
			if (pick(2) && up[sent[i].gateway])
				(void)say(i, pick(4));
			if (pick(2))
				assert_int_equal(edge_tick(bed.edge, bed.now), 0);
			take(UINT32_MAX);
		}
		for (unsigned int n = pick(MANY); n; n--) {
			ask(pick(MANY));
			take(UINT32_MAX);
		}
		walk();
		edge_foreach_domain(bed.edge, check, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(wanted_names_overtake),
		P(returned_gateway_is_asked_anew),
		P(regained_contact_ends_the_walk),
		P(interrupted_walks_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
