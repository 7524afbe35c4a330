/* SPDX-License-Identifier: BSD-2-Clause */
/* The actions of the edge, in order: a ring of compact records, see edge_internal.h. */
#include "core/edge_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define QUEUE_CAP_MIN  256
#define QUEUE_CAP_KEEP 4096 /* a larger ring is given back once it is empty */

int edge_queue_reserve(struct queue *q, size_t n)
{
	size_t cap = q->cap ? q->cap : QUEUE_CAP_MIN;
	struct record *records;

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
	*r = (struct record){.kind = (uint8_t)kind, .domain = d};
	if (d)
		d->refs++;
	return r;
}

void edge_domain_unref(struct domain *d)
{
	if (!d || --d->refs)
		return;
	for (unsigned int i = 0; i < d->entry_count; i++)
		free(d->entries[i]);
	free(d);
}

/* The addresses of the families that a resource has (P-06). */
static struct proxies proxies_of_stack(const struct proxies *all, enum ip_stack stack)
{
	struct proxies p = {0};

	for (unsigned int i = 0; i < all->count; i++) {
		bool v4 = ipaddr_is_v4(&all->addr[i]);

		if (stack == IP_STACK_DUAL || (stack == IP_STACK_IPV4) == v4)
			p.addr[p.count++] = all->addr[i];
	}
	return p;
}

static void fill_domain_set(const struct record *r, struct edge_action *action)
{
	const struct domain *d = r->domain;

	action->domain_set.is_new = r->detail;
	action->domain_set.count = d->entry_count;
	for (unsigned int i = 0; i < d->entry_count; i++)
		action->domain_set.resources[i] = d->entries[i]->resource->id;
}

static void fill(const struct record *r, struct edge_action *action)
{
	switch (action->kind) {
	case EDGE_SEND_ASSIGNED:
		action->proxies = proxies_of_stack(&r->domain->proxies, r->ip_stack);
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
		break;
	case EDGE_DOMAIN_SET:
		fill_domain_set(r, action);
		break;
	case EDGE_RESOURCE_IGNORED:
		action->resource_ignored.resource = r->resource;
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

	edge_domain_unref(TAKE_PTR(edge->shown));
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
		ret_action->name = &r->domain->name;
		ret_action->proxies = r->domain->proxies;
		edge->shown = r->domain; /* keeps the record's reference */
	}
	fill(r, ret_action);
	return true;
}
