/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gateways of the edge: they come, are lost, and go. See edge.h.
 *
 * What concerns all entries of a gateway changes their states and verdicts only. Nothing is
 * asked here but for domains that hold packets; all others wait until somebody wants them.
 *
 * There may be a million entries, and each is an action or two. So only the gateway changes at
 * once; its entries catch up with it when somebody wants them, and all others in a walk along the
 * gateway's list, a few at a time, that edge_tick goes on with. The queue of actions stays short,
 * and what is wanted now overtakes the walk. An entry is up to date if it
 *
 *	is of the present life of its gateway: else the gateway has gone meanwhile (C-18)
 *	is not stranded: else it vanishes (C-20)
 *	is not open, or its gateway is up
 */
#include "core/edge_internal.h"

#include <errno.h>

struct edge_gateway *edge_gateway_find(const struct edge *edge, uint32_t id)
{
	struct edge_gateway *g;

	HASH_FIND(hh, edge->gateways, &id, sizeof(id), g);
	return g;
}

struct edge_gateway *edge_gateway_get(struct edge *edge, uint32_t id)
{
	struct edge_gateway *g = edge_gateway_find(edge, id);

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->id = id;
	HASH_ADD(hh, edge->gateways, id, sizeof(g->id), g);
	if (!g->hh.tbl) {
		free(g);
		return NULL;
	}
	return g;
}

bool edge_entry_is_void(const struct entry *e)
{
	return e->gateway && e->life != e->gateway->life;
}

bool edge_entry_catch_up(struct edge *edge, struct entry *e, struct instant now)
{
	if (!e->gateway)
		return false;
	if (edge_entry_is_void(e) || edge_entry_is_stranded(e, e->resource)) {
		edge_entry_vanish(edge, e, now);
		return true;
	}
	return !e->gateway->up && edge_entry_suspend(edge, e, now);
}

static void begin_walk(struct edge_gateway *g)
{
	g->walk = g->entries;
}

void edge_walk_run(struct edge *edge, struct instant now, unsigned int max)
{
	struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next) {
		for (; max && g->walk; max--) {
			struct entry *e = g->walk;

			g->walk = e->gw_next;
			edge_entry_catch_up(edge, e, now);
			edge_domain_settle(edge, e->domain);
		}
	}
}

bool edge_walk_is_on(const struct edge *edge)
{
	const struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next)
		if (g->walk)
			return true;
	return false;
}

/*
 * Room for the first steps of the walk, and for waking all domains that hold packets, and releasing
 * or refusing those.
 */
static int reserve(struct edge *edge)
{
	return edge_queue_reserve(edge, EDGE_WALK_BATCH * WALK_ACTIONS +
						(size_t)edge->holding_count * DOMAIN_ACTIONS);
}

/* ---- rests ---- */

void edge_gateway_prove(struct edge_gateway *g)
{
	g->proven = true;
	g->rests = false;
	g->rest_ns = 0;
}

void edge_gateway_rest(struct edge_gateway *g, struct instant now)
{
	if (g->rests) /* an answer that was under way when the first one came */
		return;
	g->rest_ns = g->rest_ns ? 2 * g->rest_ns : EDGE_REST_NS;
	if (g->rest_ns > EDGE_REST_MAX_NS)
		g->rest_ns = EDGE_REST_MAX_NS;
	g->rests = true;
	g->rest_until = instant_add(now, g->rest_ns);
}

void edge_rest_run(struct edge *edge, struct instant now)
{
	struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next)
		g->rests = g->rests && !instant_reached(g->rest_until, now);
}

struct instant edge_rest_deadline(const struct edge *edge)
{
	struct instant t = INSTANT_NEVER;
	const struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next)
		if (g->rests)
			t = instant_min(t, g->rest_until);
	return t;
}

/* ---- inputs ---- */

/* Waking one may end its holding. */
static void wake_holding(struct edge *edge, struct instant now)
{
	struct holding *h, *next;

	DL_FOREACH_SAFE (edge->holding, h, next)
		edge_domain_wake(edge, h->domain, now);
}

/* What concerns few is done at once. */
static void follow(struct edge *edge, struct instant now)
{
	edge_walk_run(edge, now, EDGE_WALK_BATCH);
	wake_holding(edge, now);
}

int edge_gateway_up(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_get(edge, gateway), *other, *next;
	int r;

	if (!g)
		return -ENOMEM;
	r = reserve(edge);
	if (r < 0)
		return r;
	g->up = true;
	g->lost = false;
	HASH_ITER (hh, edge->gateways, other, next)
		if (other->lost)
			begin_walk(other);
	/* Those that flow are asked for when a new flow comes: their verdicts say so now. */
	if (g->count[EDGE_RECREATING])
		begin_walk(g);
	follow(edge, now);
	return 0;
}

int edge_gateway_lost(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	int r;

	if (!g)
		return 0;
	r = reserve(edge);
	if (r < 0)
		return r;
	g->up = false;
	g->lost = true;
	begin_walk(g);
	follow(edge, now);
	return 0;
}

int edge_gateway_gone(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	int r;

	if (!g)
		return 0;
	r = reserve(edge);
	if (r < 0)
		return r;
	g->up = false;
	g->proven = false;
	g->life++;
	begin_walk(g);
	follow(edge, now);
	return 0;
}
