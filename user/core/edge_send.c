/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When AssignedIps go out: a gateway takes so many messages a second and drops what is more, so
 * what is more is not sent but waits for its turn. Asking and not being heard would make an edge
 * repeat itself, and leave even less room for what is new.
 *
 * Who waits for a turn stands in one of two queues of its gateway: first questions, and
 * repetitions that somebody wants now. First questions go first, but every fourth turn is a
 * repetition's, so that neither waits for ever. A queue is a list through the entries: it costs no
 * memory. Repetitions for the sake of C-25, which nobody has asked for, never stand here: they are
 * made while at least half of the burst is left.
 *
 * Called by edge_entry.c and the inputs in edge*.c, which have made room in the queue of actions.
 */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

#define AGAIN_TURNS   4                    /* one in so many is a repetition's */
#define SEND_TOGETHER (5 * NSEC_PER_MSEC)  /* turns that come so close to each other */
#define LATE_TOGETHER (10 * NSEC_PER_MSEC) /* the same of those that are not answered */

int edge_gateway_rate(struct edge *edge, uint32_t gateway, unsigned int per_second,
		      unsigned int burst)
{
	struct edge_gateway *g = edge_gateway_get(edge, gateway);

	if (!g)
		return -ENOMEM;
	g->cost_ns = per_second ? NSEC_PER_SEC / per_second : 0;
	g->burst_ns = g->cost_ns * burst;
	return 0;
}

/*
 * The bucket, as the instant when it will be full again: GCRA of ITU-T I.371, which needs no
 * second variable.
 */
static int64_t used_ns(const struct edge_gateway *g, struct instant now)
{
	return g->full_at.ns > now.ns ? instant_sub(g->full_at, now) : 0;
}

static bool may_send(const struct edge_gateway *g, struct instant now)
{
	return used_ns(g, now) + g->cost_ns <= g->burst_ns;
}

static bool is_waited_for(const struct edge_gateway *g)
{
	return g->queue[QUEUE_FIRST] || g->queue[QUEUE_AGAIN];
}

bool edge_send_has_spare(const struct edge_gateway *g, struct instant now)
{
	return g->up && !is_waited_for(g) && used_ns(g, now) + g->cost_ns <= g->burst_ns / 2;
}

void edge_send_await(struct entry *e)
{
	struct edge_gateway *g = e->gateway;

	DL_APPEND(g->pending, e);
	if (!g->fresh && !e->late)
		g->fresh = e;
}

/* Take a Pending entry off the list that it stands in. */
void edge_send_cancel(struct entry *e)
{
	struct edge_gateway *g = e->gateway;

	if (g->fresh == e)
		g->fresh = e->next;
	if (e->queued)
		DL_DELETE(g->queue[e->queued - 1], e);
	else
		DL_DELETE(g->pending, e);
	e->queued = 0;
}

uint32_t edge_next_generation(struct edge *edge)
{
	if (++edge->generation == 0) /* 0 means none */
		edge->generation = 1;
	return edge->generation;
}

static void send_now(struct edge *edge, struct entry *e, enum send_queue which, struct instant now)
{
	struct edge_gateway *g = e->gateway;
	struct record *r = edge_queue_add(edge, EDGE_SEND_ASSIGNED, e->domain);

	e->late = which == QUEUE_AGAIN;
	if (e->late) {
		e->generation = edge_next_generation(edge);
		e->resends++;
	}
	r->gateway = g->id;
	r->generation = e->generation;
	r->resource = e->resource->id;
	r->count = e->resends;
	r->families = (uint8_t)edge_stack_families(e->resource->ip_stack);
	memcpy(r->uuid, e->resource->uuid, sizeof(r->uuid));
	e->sent_at = now;
	g->full_at = instant_add(now, used_ns(g, now) + g->cost_ns);
	edge_send_cancel(e);
	edge_send_await(e);
}

void edge_send(struct edge *edge, struct entry *e, enum send_queue which, struct instant now)
{
	struct edge_gateway *g = e->gateway;

	if (e->queued)
		return;
	if (!is_waited_for(g) && may_send(g, now)) {
		send_now(edge, e, which, now);
		return;
	}
	edge_send_cancel(e);
	e->queued = (uint8_t)(which + 1);
	DL_APPEND(g->queue[which], e);
}

static enum send_queue next_queue(struct edge_gateway *g)
{
	if (!g->queue[QUEUE_AGAIN])
		return QUEUE_FIRST;
	if (!g->queue[QUEUE_FIRST])
		return QUEUE_AGAIN;
	return ++g->turn % AGAIN_TURNS ? QUEUE_FIRST : QUEUE_AGAIN;
}

void edge_send_run(struct edge *edge, struct instant now, unsigned int max)
{
	struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next) {
		for (; max && is_waited_for(g) && g->up && may_send(g, now); max--) {
			enum send_queue which = next_queue(g);
			struct entry *e = g->queue[which];

			if (!edge_entry_catch_up(edge, e, now))
				send_now(edge, e, which, now);
			edge_domain_settle(edge, e->domain);
		}
	}
}

/* A little later than the next turn: several are taken together then. */
struct instant edge_send_deadline(const struct edge *edge)
{
	struct instant t = INSTANT_NEVER;
	const struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next)
		if (is_waited_for(g) && g->up)
			t = instant_min(t, instant_add(g->full_at,
						       g->cost_ns - g->burst_ns + SEND_TOGETHER));
	return t;
}

/* ---- who is not answered ---- */

static struct instant late_at(const struct entry *e)
{
	return instant_add(e->sent_at, EDGE_RESEND_NS);
}

void edge_late_run(struct edge *edge, struct instant now, unsigned int max)
{
	struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next) {
		for (; max && g->fresh && instant_reached(late_at(g->fresh), now); max--) {
			struct entry *e = g->fresh;

			g->fresh = e->next;
			e->late = true;
			edge_entry_catch_up(edge, e, now);
			edge_domain_settle(edge, e->domain);
		}
	}
}

/* Rounded up: while answers come, it is another instant with each, and nothing is to be done. */
struct instant edge_late_deadline(const struct edge *edge)
{
	struct instant t = INSTANT_NEVER;
	const struct edge_gateway *g, *next;

	HASH_ITER (hh, edge->gateways, g, next)
		if (g->fresh)
			t = instant_min(t, late_at(g->fresh));
	if (t.ns != INSTANT_NEVER.ns)
		t.ns += LATE_TOGETHER - 1 - (t.ns + LATE_TOGETHER - 1) % LATE_TOGETHER;
	return t;
}
