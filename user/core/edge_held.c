/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains that hold packets. Somebody waits for the gateway's answer there, so the edge does not
 * wait for another packet or query to repeat the question: it watches over the domain, every 2 s,
 * until the packets are taken, refused, or too old.
 */
#include "core/edge_internal.h"

#include <errno.h>

static void held_event(struct edge *edge, struct domain *d, enum edge_held_event event,
		       unsigned int count)
{
	struct record *r = edge_queue_add(edge, EDGE_HELD_EVENT, d);

	r->detail = (uint8_t)event;
	r->count = count;
}

/* Look after the domain when its next question is to be repeated, in 2 s at the latest. */
static void watch(struct edge *edge, struct domain *d, struct instant now)
{
	struct instant at = instant_add(now, EDGE_RESEND_NS);
	const struct entry *e;

	FOREACH_ENTRY(d, e)
	if (e->state == EDGE_PENDING && instant_sub(e->sent_at, now) > -EDGE_RESEND_NS)
		at = instant_min(at, instant_add(e->sent_at, EDGE_RESEND_NS));
	timer_set(&edge->watches, &d->holding->watch, at);
}

/* Return: 0; -ENOMEM. */
static int begin_holding(struct edge *edge, struct domain *d, struct instant now)
{
	struct holding *h;

	if (timers_reserve(&edge->watches, edge->holding_count + 1) < 0)
		return -ENOMEM;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->domain = d;
	d->holding = h;
	DL_APPEND(edge->holding, h);
	edge->holding_count++;
	watch(edge, d, now);
	return 0;
}

void edge_domain_end_holding(struct edge *edge, struct domain *d)
{
	DL_DELETE(edge->holding, d->holding);
	edge->holding_count--;
	timer_stop(&edge->watches, &d->holding->watch);
	free(d->holding);
	d->holding = NULL;
}

int edge_domain_hold(struct edge *edge, struct domain *d, const struct held_offer *offer,
		     struct instant now)
{
	if (!d->holding && begin_holding(edge, d, now) < 0)
		return -ENOMEM;
	switch (held_offer(&d->holding->held, &edge->held, offer, now)) {
	case HELD_STORED:
		break;
	case HELD_DUPLICATE:
	case HELD_REPLACED:
		held_event(edge, d, EDGE_HELD_DUPLICATE, 1);
		break;
	case HELD_FULL:
		held_event(edge, d, EDGE_HELD_FULL, 1);
		break;
	case HELD_LIMIT:
		held_event(edge, d, EDGE_HELD_LIMIT, 1);
		break;
	}
	if (!d->holding->held.count)
		edge_domain_end_holding(edge, d);
	return 0;
}

/* Drop packets that nobody has taken in held_max_ns. */
static void expire(struct edge *edge, struct domain *d, struct instant now)
{
	struct instant limit = {now.ns - edge->settings.held_max_ns};
	unsigned int n = held_drop_older(&d->holding->held, &edge->held, limit);

	if (n)
		held_event(edge, d, EDGE_HELD_DROPPED, n);
	if (!d->holding->held.count)
		edge_domain_end_holding(edge, d);
}

void edge_watch_run(struct edge *edge, struct instant now, unsigned int max)
{
	for (; max; max--) {
		struct timer *timer = timers_take(&edge->watches, now);
		struct domain *d;

		if (!timer)
			return;
		d = timer_owner(timer, struct holding, watch)->domain;
		expire(edge, d, now);
		if (d->holding)
			edge_domain_wake(edge, d, now);
		if (d->holding)
			watch(edge, d, now);
	}
}
