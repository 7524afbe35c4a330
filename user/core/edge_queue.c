/* SPDX-License-Identifier: BSD-2-Clause */
/* The actions of the edge, in order: a ring of compact records, see edge_internal.h. */
#include "core/edge_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define QUEUE_CAP_MIN  256
#define QUEUE_CAP_KEEP 4096 /* a larger ring is given back once it is empty */

int edge_queue_reserve(struct edge *edge, size_t n)
{
	struct queue *q = &edge->queue;
	size_t cap = q->cap ? q->cap : QUEUE_CAP_MIN;
	struct record *records;

	n += HASH_COUNT(edge->gateways);
	if (q->count + n <= q->cap)
		return 0;
	while (cap < q->count + n)
		cap *= 2;
	records = calloc(cap, sizeof(*records));
	if (!records)
		return -ENOMEM;
	for (size_t i = 0; i < q->count; i++)
		records[i] = q->records[(q->first + i) % q->cap];
	free(q->records);
	*q = (struct queue){.records = records, .cap = cap, .count = q->count};
	return 0;
}

void edge_queue_done(struct queue *q)
{
	for (; q->count; q->count--) {
		struct record *r = &q->records[q->first];

		held_frames_free(r->frames);
		edge_domain_unref(r->domain);
		q->first = (q->first + 1) % q->cap;
	}
	free(q->records);
	*q = (struct queue){0};
}

struct record *edge_queue_add(struct edge *edge, enum edge_action_kind kind, struct domain *d)
{
	struct queue *q = &edge->queue;
	struct record *r;

	assert(q->count < q->cap); /* reserved by the input */
	r = &q->records[(q->first + q->count++) % q->cap];
	*r = (struct record){.kind = (uint8_t)kind, .domain = d, .families = IP_FAMILY_ALL};
	if (d)
		d->refs++;
	return r;
}

void edge_domain_unref(struct domain *d)
{
	struct entry *e, *next;

	if (!d || --d->refs)
		return;
	for (e = d->entries; e; e = next) {
		next = e->next_of_domain;
		edge_entry_free(e);
	}
	free(d);
}

/* Leave only the addresses of some families (P-06). */
static void restrict_to(struct proxies *p, unsigned int families)
{
	const struct proxies all = *p;

	*p = (struct proxies){0};
	for (unsigned int i = 0; i < all.count; i++)
		if (families & (ipaddr_is_v4(&all.addr[i]) ? IP_FAMILY_V4 : IP_FAMILY_V6))
			p->addr[p->count++] = all.addr[i];
}

static void fill_domain_set(const struct record *r, struct edge_action *action)
{
	const struct domain *d = r->domain;

	action->domain_set.is_new = r->detail;
	for (const struct entry *e = d->entries; e; e = e->next_of_domain)
		action->domain_set.resources[action->domain_set.count++] = e->resource->id;
}

static void fill(struct edge *edge, const struct record *r, struct edge_action *action)
{
	struct edge_gateway *g;

	switch (action->kind) {
	case EDGE_SEND_ASSIGNED:
		action->send.gateway = r->gateway;
		action->send.generation = r->generation;
		action->send.resource = r->resource;
		action->send.resends = r->count;
		memcpy(action->send.uuid, r->uuid, sizeof(action->send.uuid));
		break;
	case EDGE_SET_VERDICT:
		action->verdict.verdict = r->detail;
		action->verdict.gateway = r->gateway;
		action->verdict.touch_at = r->touch_at;
		break;
	case EDGE_RELEASE:
		action->frames.first = r->frames;
		action->frames.count = r->count;
		break;
	case EDGE_HELD_EVENT:
		action->held.event = r->detail;
		action->held.count = r->count;
		action->held.refused = r->frames;
		break;
	case EDGE_STATE_CHANGED:
		action->state.gateway = r->gateway;
		action->state.resource = r->resource;
		action->state.generation = r->generation;
		action->state.from = r->from;
		action->state.to = r->to;
		action->state.stored = r->stored;
		action->state.families = r->told;
		action->state.news = r->news;
		break;
	case EDGE_DOMAIN_SET:
		fill_domain_set(r, action);
		break;
	case EDGE_RESOURCE_IGNORED:
		action->resource_ignored.resource = r->resource;
		break;
	case EDGE_GATEWAY_WANTED:
		action->wanted.gateway = r->gateway;
		g = edge_gateway_find(edge, r->gateway);
		g->wanted = false;
		break;
	case EDGE_DEL_VERDICT:
	case EDGE_DOMAIN_GONE:
		break;
	}
}

bool edge_next(struct edge *edge, struct edge_action *ret_action)
{
	struct queue *q = &edge->queue;
	struct record *r;

	if (!q->count) {
		if (q->cap > QUEUE_CAP_KEEP)
			edge_queue_done(q);
		return false;
	}
	r = &q->records[q->first];
	q->first = (q->first + 1) % q->cap;
	q->count--;

	*ret_action = (struct edge_action){.kind = r->kind};
	if (r->domain) {
		ret_action->domain = r->domain->id;
		edge_domain_name(r->domain, &edge->shown);
		ret_action->name = &edge->shown;
		edge_domain_proxies(edge, r->domain, &ret_action->proxies);
		restrict_to(&ret_action->proxies, r->families);
	}
	fill(edge, r, ret_action);
	edge_domain_unref(r->domain);
	return true;
}
