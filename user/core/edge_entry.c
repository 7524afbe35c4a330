/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of an entry.
 *
 *	             DNS query             packet, touch       Active      other status
 *	NONE         ask                   ask                 -           -
 *	Pending      repeat after 2 s      repeat after 2 s    Confirmed   Failed
 *	Recreating   -                     -                   Confirmed   Failed
 *	Confirmed    Recreating, then ask  -                   Confirmed   Failed
 *	Failed       Recreating, then ask  -                   Confirmed   Failed
 *
 * An entry that is to be asked for at another gateway than its own goes through NONE: with a
 * query if a preferred one is up or its own is lost, with a packet if it is open and its own is
 * lost, with another status than Active if that is not the last word (edge_entry_refused).
 *
 * Called by the inputs in edge*.c, which have made room in the queue: nothing here fails.
 */
#include "core/edge_internal.h"

#include <assert.h>

/* The first that is up and does not rest, other than @but. */
static struct edge_gateway *first_ready(const struct resource *r, const struct edge_gateway *but)
{
	for (unsigned int i = 0; i < r->gateway_count; i++)
		if (r->gateways[i]->up && !r->gateways[i]->rests && r->gateways[i] != but)
			return r->gateways[i];
	return NULL;
}

struct edge_gateway *edge_gateway_of(const struct resource *r)
{
	struct edge_gateway *ready = first_ready(r, NULL);

	for (unsigned int i = 0; i < r->gateway_count && !ready; i++)
		if (r->gateways[i]->up)
			ready = r->gateways[i];
	return ready;
}

/*
 * Where an entry is to be asked for. One whose gateway is not up and not lost, because it was
 * restored and nothing has been heard yet, does not go to a less preferred one. NULL: nowhere.
 */
static struct edge_gateway *gateway_for(const struct entry *e)
{
	struct edge_gateway *to = edge_gateway_of(e->resource);

	for (unsigned int i = 0; i < e->resource->gateway_count; i++) {
		struct edge_gateway *g = e->resource->gateways[i];

		if (g == to)
			return g;
		if (g == e->gateway && !g->up && !g->lost)
			return NULL;
	}
	return NULL;
}

static bool is_open(enum edge_state state)
{
	return state == EDGE_PENDING || state == EDGE_RECREATING;
}

bool edge_entry_is_flowing(const struct entry *e)
{
	return e->state == EDGE_CONFIRMED || (is_open(e->state) && !e->buffering);
}

void edge_entry_bind(struct entry *e, struct edge_gateway *gateway)
{
	assert(e->state == EDGE_NONE); /* gateway.count */
	if (e->gateway) {
		if (e->gateway->walk == e)
			e->gateway->walk = e->gw_next;
		DL_DELETE2(e->gateway->entries, e, gw_prev, gw_next);
	}
	e->gateway = gateway;
	if (gateway) {
		e->life = gateway->life;
		DL_APPEND2(gateway->entries, e, gw_prev, gw_next);
	}
}

static enum edge_state stored_state(const struct entry *e)
{
	if (e->state == EDGE_NONE)
		return EDGE_NONE;
	return edge_entry_is_flowing(e) ? EDGE_CONFIRMED : EDGE_FAILED;
}

/*
 * What a change of state is to the store. An entry that was answered is open again under the
 * generation that it was answered under: a new one comes with the question.
 */
static enum edge_news news_of(const struct entry *e, enum edge_state from, enum edge_state stored)
{
	if (stored_state(e) != stored)
		return EDGE_NEWS_STATE;
	return e->state == EDGE_RECREATING && !is_open(from) ? EDGE_NEWS_NONE
							     : EDGE_NEWS_GENERATION;
}

static void entry_unqueue(struct edge *edge, struct entry *e)
{
	if (e->state == EDGE_PENDING)
		edge_send_cancel(e);
	if (e->waiting)
		DL_DELETE(edge->due, e);
	e->waiting = false;
}

void edge_entry_set_state(struct edge *edge, struct entry *e, enum edge_state to,
			  struct instant now)
{
	enum edge_state stored = stored_state(e);
	struct record *r;

	if (to == e->state)
		return;
	entry_unqueue(edge, e);
	edge->entry_count += (to != EDGE_NONE) - (e->state != EDGE_NONE);
	edge->open_count += is_open(to) - is_open(e->state);
	e->gateway->count[e->state] -= e->state != EDGE_NONE;
	e->gateway->count[to] += to != EDGE_NONE;

	r = edge_queue_add(edge, EDGE_STATE_CHANGED, e->domain);
	r->gateway = e->gateway->id;
	r->resource = e->resource->id;
	r->generation = e->generation;
	r->told = (uint8_t)edge_stack_families(e->resource->ip_stack);
	r->from = e->state;
	r->to = (uint8_t)to;
	e->state = (uint8_t)to;
	e->since = now;
	r->stored = (uint8_t)stored_state(e);
	r->news = (uint8_t)news_of(e, r->from, stored);
	if (to == EDGE_PENDING)
		edge_send_await(e);
}

void edge_entry_vanish(struct edge *edge, struct entry *e, struct instant now)
{
	edge_entry_set_state(edge, e, EDGE_NONE, now);
	edge_entry_bind(e, NULL);
}

bool edge_entry_is_stranded(const struct entry *e, const struct resource *r)
{
	return e->gateway && e->gateway->lost && e->state != EDGE_FAILED && edge_gateway_of(r);
}

static bool resend_is_due(const struct entry *e, struct instant now)
{
	return instant_reached(instant_add(e->sent_at, EDGE_RESEND_NS), now);
}

/* Begin a request: earlier statuses are void from now on. The gateway is up. */
static void entry_ask(struct edge *edge, struct entry *e, struct instant now)
{
	e->generation = e->request = edge_next_generation(edge);
	e->taken = 0; /* of an earlier request: of no use, and wrong once the counter wraps */
	e->resends = 0;
	edge_entry_set_state(edge, e, EDGE_PENDING, now);
	edge_send(edge, e, QUEUE_FIRST, now);
}

/* Ask a gateway that knows nothing of the entry: packets wait for its answer. */
static void entry_ask_at(struct edge *edge, struct entry *e, struct edge_gateway *g,
			 struct instant now)
{
	edge_entry_vanish(edge, e, now);
	edge_entry_bind(e, g);
	e->buffering = true;
	entry_ask(edge, e, now);
}

void edge_entry_refused(struct edge *edge, struct entry *e, struct instant now)
{
	struct edge_gateway *g = e->gateway, *next = first_ready(e->resource, g);

	if (g->proven || !is_open(e->state) || !next) {
		edge_entry_set_state(edge, e, EDGE_FAILED, now);
		return;
	}
	edge_gateway_rest(g, now);
	entry_ask_at(edge, e, next, now);
}

/* Say that somebody waits for any of the resource's gateways that are not up. Room is reserved. */
static void entry_want(struct edge *edge, const struct entry *e)
{
	for (unsigned int i = 0; i < e->resource->gateway_count; i++) {
		struct edge_gateway *g = e->resource->gateways[i];

		if (g->up || g->wanted)
			continue;
		g->wanted = true;
		edge_queue_add(edge, EDGE_GATEWAY_WANTED, NULL)->gateway = g->id;
	}
}

bool edge_entry_suspend(struct edge *edge, struct entry *e, struct instant now)
{
	if (e->state != EDGE_PENDING && !e->waiting)
		return false;
	if (e->state == EDGE_PENDING)
		edge_entry_set_state(edge, e, EDGE_RECREATING, now);
	else
		entry_unqueue(edge, e);
	return true;
}

/* Have edge_run_due ask 2 s from now. */
static void entry_wait(struct edge *edge, struct entry *e, struct instant now)
{
	e->due_at = instant_add(now, EDGE_RESEND_NS);
	e->waiting = true;
	DL_APPEND(edge->due, e);
}

/* Begin anew what has been answered: ask at once, in 2 s, or when the gateway comes up. */
static void entry_recreate(struct edge *edge, struct entry *e, struct instant now, bool at_once)
{
	e->buffering = e->state == EDGE_FAILED;
	at_once = at_once || e->buffering || resend_is_due(e, now);
	edge_entry_set_state(edge, e, EDGE_RECREATING, now);
	if (!e->gateway->up)
		entry_want(edge, e);
	else if (at_once)
		entry_ask(edge, e, now);
	else
		entry_wait(edge, e, now);
}

void edge_entry_wake(struct edge *edge, struct entry *e, struct instant now)
{
	struct edge_gateway *g = gateway_for(e);

	switch ((enum edge_state)e->state) {
	case EDGE_PENDING:
		if (resend_is_due(e, now))
			edge_send(edge, e, QUEUE_AGAIN, now);
		return;
	case EDGE_NONE:
	case EDGE_RECREATING:
		if (!e->gateway || !e->gateway->up) {
			if (g)
				entry_ask_at(edge, e, g, now);
			else
				entry_want(edge, e);
		} else if (e->waiting ? instant_reached(e->due_at, now) : resend_is_due(e, now)) {
			entry_ask(edge, e, now);
		} else if (!e->waiting) {
			entry_wait(edge, e, now);
		}
		return;
	case EDGE_CONFIRMED:
		if (!e->gateway->up)
			entry_want(edge, e);
		return;
	case EDGE_FAILED:
		return;
	}
}

/* A DNS query for the domain (@at_once: an operator's wish). */
static void entry_query(struct edge *edge, struct entry *e, struct instant now, bool at_once)
{
	bool same_ask = instant_sub(now, e->sent_at) < EDGE_SAME_ASK_NS;
	struct edge_gateway *g = gateway_for(e);

	if (g && g != e->gateway)
		entry_ask_at(edge, e, g, now);
	else if (e->waiting && at_once)
		entry_ask(edge, e, now);
	else if (e->state != EDGE_CONFIRMED && e->state != EDGE_FAILED)
		edge_entry_wake(edge, e, now);
	else if (at_once || !same_ask)
		entry_recreate(edge, e, now, at_once);
}

/* ---- a domain ---- */

void edge_domain_wake(struct edge *edge, struct domain *d, struct instant now)
{
	for (struct entry *e = d->entries; e; e = e->next_of_domain) {
		edge_entry_catch_up(edge, e, now);
		edge_entry_wake(edge, e, now);
	}
	edge_domain_settle(edge, d);
}

void edge_domain_query(struct edge *edge, struct domain *d, struct instant now, bool at_once)
{
	/* Its neighbours in the list, which is the last thing to be done. */
	__builtin_prefetch(d->idle_prev, 1);
	__builtin_prefetch(d->idle_next, 1);
	for (struct entry *e = d->entries; e; e = e->next_of_domain) {
		edge_entry_catch_up(edge, e, now);
		entry_query(edge, e, now, at_once);
	}
	edge_domain_queried(edge, d, now);
	edge_domain_settle(edge, d);
}

void edge_run_due(struct edge *edge, struct instant now, unsigned int max)
{
	for (; max && edge->due && instant_reached(edge->due->due_at, now); max--) {
		struct entry *e = edge->due;

		if (!edge_entry_catch_up(edge, e, now))
			entry_ask(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
}

/* The request that was made longest ago, if it may be repeated now. NULL: there is none. */
static struct entry *oldest_pending(const struct edge *edge, struct instant now)
{
	const struct edge_gateway *g, *next;
	struct entry *oldest = NULL;

	HASH_ITER (hh, edge->gateways, g, next) {
		struct entry *e = g->pending;

		if (e && resend_is_due(e, now) && edge_send_has_spare(g, now) &&
		    (!oldest || e->sent_at.ns < oldest->sent_at.ns))
			oldest = e;
	}
	return oldest;
}

/* Repeat the oldest requests of any domain, a bounded number (C-25). */
static void run_pending(struct edge *edge, struct instant now, unsigned int max)
{
	struct entry *e;

	for (; max && (e = oldest_pending(edge, now)); max--) {
		if (!edge_entry_catch_up(edge, e, now))
			edge_send(edge, e, QUEUE_AGAIN, now);
		edge_domain_settle(edge, e->domain);
	}
}

void edge_look_after_others(struct edge *edge, struct instant now)
{
	edge_run_due(edge, now, EDGE_RESEND_BATCH);
	run_pending(edge, now, EDGE_RESEND_BATCH);
}
