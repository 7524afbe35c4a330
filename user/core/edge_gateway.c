/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gateways of the edge: they come, are lost, and go. See edge.h.
 *
 * What concerns all entries of a gateway changes their states and verdicts only. Nothing is
 * asked here but for domains that hold packets; all others wait until somebody wants them.
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

static size_t entry_count(const struct edge_gateway *g)
{
	return (size_t)g->count[EDGE_PENDING] + g->count[EDGE_RECREATING] +
	       g->count[EDGE_CONFIRMED] + g->count[EDGE_FAILED];
}

/*
 * Room for a new state and new verdicts of every entry of @g and of lost gateways, and for
 * waking all domains that hold packets, and releasing or refusing those.
 */
static int reserve(struct edge *edge, const struct edge_gateway *g)
{
	const struct edge_gateway *other, *next;
	const struct holding *h;
	size_t n = (1 + IP_FAMILIES) * entry_count(g);

	HASH_ITER (hh, edge->gateways, other, next)
		n += other->lost && other != g ? (1 + IP_FAMILIES) * entry_count(other) : 0;
	for (h = edge->holding; h; h = h->next)
		n += DOMAIN_ACTIONS;
	return edge_queue_reserve(edge, n);
}

/* Waking one may end its holding. */
static void wake_holding(struct edge *edge, struct instant now)
{
	struct holding *h, *next;

	DL_FOREACH_SAFE (edge->holding, h, next)
		edge_domain_wake(edge, h->domain, now);
}

/* Let go of the entries that a lost gateway keeps from one that is up. */
static void vanish_stranded(struct edge *edge, struct edge_gateway *g, struct instant now)
{
	struct entry *e, *next;

	DL_FOREACH_SAFE2 (g->entries, e, next, gw_next) {
		if (!edge_entry_is_stranded(e, e->resource))
			continue;
		edge_entry_vanish(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
}

int edge_gateway_up(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_get(edge, gateway), *other, *next;
	struct entry *e;
	int r;

	if (!g)
		return -ENOMEM;
	r = reserve(edge, g);
	if (r < 0)
		return r;
	g->up = true;
	g->lost = false;
	HASH_ITER (hh, edge->gateways, other, next)
		if (other->lost)
			vanish_stranded(edge, other, now);
	/* Those that flow are asked for when a new flow comes: their verdicts say so now. */
	for (e = g->count[EDGE_RECREATING] ? g->entries : NULL; e; e = e->gw_next)
		edge_domain_settle(edge, e->domain);
	wake_holding(edge, now);
	return 0;
}

int edge_gateway_lost(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	struct entry *e;
	int r;

	if (!g)
		return 0;
	r = reserve(edge, g);
	if (r < 0)
		return r;
	g->up = false;
	g->lost = true;
	vanish_stranded(edge, g, now);
	for (e = g->entries; e; e = e->gw_next) {
		edge_entry_suspend(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
	wake_holding(edge, now);
	return 0;
}

int edge_gateway_gone(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	int r;

	if (!g)
		return 0;
	r = reserve(edge, g);
	if (r < 0)
		return r;
	g->up = false;
	while (g->entries) {
		struct entry *e = g->entries;

		edge_entry_vanish(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
	wake_holding(edge, now);
	return 0;
}
