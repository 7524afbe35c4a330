/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps at random, and changes of the world; see gen.h.
 */
#include "gen.h"

uint32_t gen_below(struct gen *g, uint32_t n)
{
	return n ? pkt_random(&g->rng) % n : 0;
}

bool gen_once_in(struct gen *g, uint32_t n)
{
	return gen_below(g, n) == 0;
}

void gen_start(struct gen *g, uint32_t seed)
{
	g->rng = seed * 2654435761U + 0x9e3779b9;
	g->rng = g->rng ? g->rng : 1;
	for (int i = 0; i < 4; i++)
		pkt_random(&g->rng);
	g->mood = gen_below(g, 4);
	g->fragments = 0;
	gen_choose_hooks(g);
}

/* How many values each argument has; what a change needs beside that, fix() adds. */
/* clang-format off: a table */
static const struct {
	enum step_op op;
	unsigned int weight;
	unsigned int range[STEP_ARGS];
} CHANGES[] = {
	{STEP_CLIENT, 2, {RIG_PREFIXES, 4}},
	{STEP_GRANT, 6, {4, 4, 4}},
	{STEP_FILTER, 6, {3, RIG_FILTERS}},
	{STEP_XLAT, 8, {2, 2, RIG_PROXIES - 1, 2 * RIG_REALS + 2, 8}},
	{STEP_EDGE, 8, {2, RIG_PROXIES - 1, 4, 4, 2}},
	{STEP_GATEWAY, 4, {3, 7, 2}},
	{STEP_QUOTA, 3, {3, 6}},
	{STEP_SCOPE, 1, {1, 6}},
	{STEP_LIMIT, 2, {12}},
	{STEP_MAC, 2, {2, 2}},
	{STEP_DEV, 2, {2, 2}},
	{STEP_TX, 3, {2, 2}},
	{STEP_POLICY, 8, {1}},
	{STEP_MONITOR, 2, {2}},
	{STEP_AGE, 8, {8}},
	{STEP_EXPIRE, 8, {64}},
	{STEP_TOMBSTONE, 2, {RIG_SOCKETS}},
	{STEP_FORWARDING, 1, {2, 2}},
	{STEP_HOOK,
	 2,
	 {2, ORC_TC_BARE}}, /* which is never changed to: the addresses would not fit */
};
/* clang-format on */

#define N_CHANGES (sizeof(CHANGES) / sizeof(CHANGES[0]))

/* What is numbered from 1 or 5, and limits that are mostly wide. */
static void fix(struct gen *g, struct step *s)
{
	switch (s->op) {
	case STEP_GRANT:
		s->arg[1] += RESOURCE;
		break;
	case STEP_FILTER:
		s->arg[0] += RESOURCE;
		break;
	case STEP_EDGE:
		if (gen_once_in(g, 2))
			s->arg[3] = 0;
		break;
	case STEP_GATEWAY:
	case STEP_SCOPE:
		s->arg[0]++;
		break;
	case STEP_QUOTA:
		s->arg[0]++;
		break;
	case STEP_LIMIT:
		s->arg[0] *= s->arg[0] * 3;
		break;
	default:
		break;
	}
	if ((s->op == STEP_QUOTA || s->op == STEP_SCOPE) && gen_once_in(g, 2))
		s->arg[1] += 100;
}

static void gen_change(struct gen *g, struct step *ret)
{
	unsigned int total = 0, at, i = 0;

	for (unsigned int k = 0; k < N_CHANGES; k++)
		total += CHANGES[k].weight;
	for (at = gen_below(g, total); at >= CHANGES[i].weight; i++)
		at -= CHANGES[i].weight;
	ret->op = CHANGES[i].op;
	for (int a = 0; a < STEP_ARGS; a++)
		ret->arg[a] = gen_below(g, CHANGES[i].range[a]);
	fix(g, ret);
}

void gen_step(struct gen *g, const struct rig *b, struct step *ret)
{
	static const unsigned int rate[] = {40, 8, 4, 20};

	ret->expected = 0;
	for (int a = 0; a < STEP_ARGS; a++)
		ret->arg[a] = 0;
	if (gen_opening_step(g, ret))
		return;
	if (gen_once_in(g, rate[g->mood]))
		gen_change(g, ret);
	else
		gen_frame(g, b, ret);
}
