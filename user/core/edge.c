/* SPDX-License-Identifier: BSD-2-Clause */
/* The inputs of the edge: each makes room in the queue, then cannot fail. See edge.h. */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

#define TICK_BATCH 64 /* entries, and domains, that one edge_tick looks after */

/* Most actions of one query or packet: the domain's own, the others' and what is let go. */
#define INPUT_ACTIONS ((1 + RECLAIM_DOMAINS) * DOMAIN_ACTIONS + 2 * EDGE_RESEND_BATCH * 4)

int edge_new(const struct edge_settings *settings, struct edge **ret_edge)
{
	_cleanup_(edge_freep) struct edge *edge = NULL;
	int r;

	if (settings->domains_max == 0)
		return -EINVAL;
	edge = calloc(1, sizeof(*edge));
	if (!edge)
		return -ENOMEM;
	edge->settings = *settings;
	edge->settings.pool.excluded = NULL; /* the pool has read it */
	edge->held.bytes_max = settings->held_bytes_max;
	edge->generation = settings->generation;
	edge->next_domain = 1;
	r = pool_new(&settings->pool, &edge->pool);
	if (r < 0)
		return r;
	r = edge_resources_new(NULL, 0, &edge->resources);
	if (r < 0)
		return r;
	*ret_edge = TAKE_PTR(edge);
	return 0;
}

struct edge *edge_free(struct edge *edge)
{
	struct edge_gateway *g, *next;

	if (!edge)
		return NULL;
	edge_domain_unref(edge->shown);
	edge_queue_done(&edge->queue);
	edge_domain_free_all(edge);
	HASH_ITER (hh, edge->gateways, g, next) {
		HASH_DEL(edge->gateways, g);
		free(g);
	}
	edge_resources_free(edge->resources);
	pool_free(edge->pool);
	free(edge);
	return NULL;
}

/* ---- gateways ---- */

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

/* ---- inputs: names ---- */

static struct edge_answer answer_of(const struct domain *d)
{
	struct edge_answer a = {.matched = true, .domain = d->id, .proxies = d->proxies};

	for (unsigned int i = 0; i < d->entry_count; i++) {
		enum ip_stack stack = d->entries[i]->resource->ip_stack;

		a.ipv4 = a.ipv4 || stack != IP_STACK_IPV6;
		a.ipv6 = a.ipv6 || stack != IP_STACK_IPV4;
	}
	return a;
}

int edge_query(struct edge *edge, const struct dname *name, struct instant now,
	       struct edge_answer *ret_answer)
{
	struct domain *d = edge_domain_find(edge, name);
	struct match match = {0};
	int r;

	if (!d)
		edge_resources_match(edge->resources, name, &match);
	if (d ? !d->entry_count : !match.count) {
		*ret_answer = (struct edge_answer){0};
		return 0;
	}
	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	if (!d) {
		edge_domains_reclaim(edge, now);
		r = edge_domain_assign(edge, name, &match, now, &d);
		if (r < 0)
			return r;
	}
	edge_domain_query(edge, d, now, false);
	edge_look_after_others(edge, now);
	*ret_answer = answer_of(d);
	return 0;
}

int edge_requery(struct edge *edge, const struct dname *name, struct instant now)
{
	struct domain *d = edge_domain_find(edge, name);
	int r;

	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	if (d)
		edge_domain_query(edge, d, now, false);
	edge_look_after_others(edge, now);
	return 0;
}

int edge_refresh(struct edge *edge, const struct dname *name, struct instant now)
{
	struct domain *d = edge_domain_find(edge, name);
	int r;

	if (!d)
		return -ENOENT;
	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	edge_domain_query(edge, d, now, true);
	return 0;
}

bool edge_matches(const struct edge *edge, const struct dname *name)
{
	struct edge_site site;

	return edge_site(edge, name, &site);
}

bool edge_site(const struct edge *edge, const struct dname *name, struct edge_site *ret_site)
{
	const struct resource *r;
	const struct edge_gateway *g;
	struct match match;

	edge_resources_match(edge->resources, name, &match);
	if (!match.count)
		return false;
	r = match.resource[0];
	g = edge_gateway_of(edge, r);
	*ret_site = (struct edge_site){
		.resource = r->id,
		.gateway = g ? g->id : r->gateways[0],
		.up = g != NULL,
	};
	return true;
}

/* ---- inputs: packets ---- */

static void held_event(struct edge *edge, struct domain *d, enum edge_held_event event)
{
	struct record *r = edge_queue_add(edge, EDGE_HELD_EVENT, d);

	r->detail = (uint8_t)event;
	r->count = 1;
}

static void domain_hold(struct edge *edge, struct domain *d, const struct held_offer *offer,
			struct instant now)
{
	bool was_empty = d->held.count == 0;

	switch (held_offer(&d->held, &edge->held, offer, now)) {
	case HELD_STORED:
		break;
	case HELD_DUPLICATE:
	case HELD_REPLACED:
		held_event(edge, d, EDGE_HELD_DUPLICATE);
		break;
	case HELD_FULL:
		held_event(edge, d, EDGE_HELD_FULL);
		break;
	case HELD_LIMIT:
		held_event(edge, d, EDGE_HELD_LIMIT);
		break;
	}
	if (was_empty && d->held.count) {
		d->held_since = now;
		DL_APPEND2(edge->holding, d, hold_prev, hold_next);
	}
}

int edge_packet(struct edge *edge, const struct fq_addr *proxy, const struct held_offer *frame,
		struct instant now)
{
	_cleanup_(held_frames_freep) struct held_frame *f = NULL;
	struct domain *d = edge_domain_find_proxy(edge, proxy);
	struct record *record;
	int r;

	if (!d)
		return -ENOENT;
	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	edge_domain_wake(edge, d, now);
	if (d->verdict == FQ_EDGE_HOLD) {
		domain_hold(edge, d, frame, now);
		return 0;
	}
	f = held_frame_new(frame, now);
	if (!f)
		return -ENOMEM;
	record = edge_queue_add(edge, EDGE_RELEASE, d);
	record->count = 1;
	record->frames = TAKE_PTR(f);
	return 0;
}

int edge_touch(struct edge *edge, uint32_t domain, struct instant now)
{
	struct domain *d = edge_domain_find_id(edge, domain);
	int r;

	if (!d)
		return -ENOENT;
	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	edge_domain_wake(edge, d, now);
	return 0;
}

/* ---- inputs: control messages ---- */

static struct entry *entry_of_status(const struct domain *d, uint32_t gateway, const char *uuid)
{
	for (unsigned int i = 0; i < d->entry_count; i++) {
		struct entry *e = d->entries[i];

		if (e->gateway && e->gateway->id == gateway && strcmp(e->resource->uuid, uuid) == 0)
			return e;
	}
	return NULL;
}

/*
 * C-17: only a status of the running request counts, and none that is older than one already
 * taken. An answer to the request's first AssignedIps counts even if it has been repeated
 * meanwhile: else a gateway slower than 2 s would never be believed.
 */
static bool status_is_stale(const struct entry *e, uint32_t generation)
{
	if (generation == 0)
		return false;
	if ((int32_t)(generation - e->request) < 0 || (int32_t)(generation - e->generation) > 0)
		return true;
	return e->taken && (int32_t)(generation - e->taken) < 0;
}

int edge_status(struct edge *edge, const struct edge_status *status, struct instant now,
		enum edge_status_outcome *ret_outcome)
{
	struct domain *d = edge_domain_find(edge, status->domain);
	char uuid[UUID_STRLEN];
	struct entry *e;
	int r;

	e = d && uuid_from_text(status->uuid, uuid) == 0 ? entry_of_status(d, status->gateway, uuid)
							 : NULL;
	if (!e) {
		*ret_outcome = EDGE_STATUS_UNKNOWN;
		return 0;
	}
	if (status_is_stale(e, status->generation)) {
		*ret_outcome = EDGE_STATUS_STALE;
		return 0;
	}
	r = edge_queue_reserve(&edge->queue, INPUT_ACTIONS);
	if (r < 0)
		return r;
	if (status->generation)
		e->taken = status->generation;
	edge_entry_set_state(edge, e, status->active ? EDGE_CONFIRMED : EDGE_FAILED, now);
	edge_domain_settle(edge, d);
	*ret_outcome = EDGE_STATUS_APPLIED;
	return 0;
}

/* ---- inputs: gateways ---- */

/* Room for what waking all domains that hold packets and all of a gateway's can cause. */
static int reserve_for_gateway(struct edge *edge, const struct edge_gateway *g)
{
	size_t n = 0;
	const struct domain *d;
	const struct entry *e;

	DL_FOREACH2(edge->holding, d, hold_next)
	n += DOMAIN_ACTIONS;
	DL_FOREACH2(g->entries, e, gw_next)
	n += 6;
	return edge_queue_reserve(&edge->queue, n);
}

int edge_gateway_up(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_get(edge, gateway);
	struct domain *d, *d_next;
	struct entry *e;
	int r;

	if (!g)
		return -ENOMEM;
	r = reserve_for_gateway(edge, g);
	if (r < 0)
		return r;
	g->up = true;
	/* What was asked for while it was not up. */
	DL_FOREACH2(g->entries, e, gw_next)
	{
		if (e->state != EDGE_RECREATING)
			continue;
		edge_entry_wake(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
	DL_FOREACH_SAFE2 (edge->holding, d, d_next, hold_next)
		edge_domain_wake(edge, d, now);
	return 0;
}

int edge_gateway_lost(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	struct entry *e;
	int r;

	if (!g)
		return 0;
	r = reserve_for_gateway(edge, g);
	if (r < 0)
		return r;
	g->up = false;
	DL_FOREACH2(g->entries, e, gw_next)
	{
		edge_entry_suspend(edge, e, now);
		edge_domain_settle(edge, e->domain);
	}
	return 0;
}

int edge_gateway_gone(struct edge *edge, uint32_t gateway, struct instant now)
{
	struct edge_gateway *g = edge_gateway_find(edge, gateway);
	int r;

	if (!g)
		return 0;
	r = reserve_for_gateway(edge, g);
	if (r < 0)
		return r;
	g->up = false;
	while (g->entries) {
		struct entry *e = g->entries;

		edge_entry_set_state(edge, e, EDGE_NONE, now);
		edge_entry_bind(e, NULL);
		edge_domain_settle(edge, e->domain);
	}
	return 0;
}

/* ---- inputs: time ---- */

static struct instant held_deadline(const struct edge *edge, const struct domain *d)
{
	return instant_add(d->held_since, edge->settings.held_max_ns);
}

struct instant edge_deadline(const struct edge *edge)
{
	struct instant t = INSTANT_NEVER;

	if (edge->due)
		t = edge->due->due_at;
	if (edge->holding)
		t = instant_min(t, held_deadline(edge, edge->holding));
	return t;
}

/* Drop packets that nobody has taken in held_max_ns; look again when the others are as old. */
static void domain_expire_held(struct edge *edge, struct domain *d, struct instant now)
{
	struct instant limit = {now.ns - edge->settings.held_max_ns};
	unsigned int n = held_drop_older(&d->held, &edge->held, limit);

	if (n) {
		struct record *r = edge_queue_add(edge, EDGE_HELD_EVENT, d);

		r->detail = EDGE_HELD_DROPPED;
		r->count = n;
	}
	DL_DELETE2(edge->holding, d, hold_prev, hold_next);
	if (d->held.count) {
		d->held_since = now;
		DL_APPEND2(edge->holding, d, hold_prev, hold_next);
	}
}

int edge_tick(struct edge *edge, struct instant now)
{
	int r;

	r = edge_queue_reserve(&edge->queue, TICK_BATCH * 5);
	if (r < 0)
		return r;
	edge_run_due(edge, now, TICK_BATCH);
	for (unsigned int i = 0; i < TICK_BATCH && edge->holding; i++) {
		if (!instant_reached(held_deadline(edge, edge->holding), now))
			break;
		domain_expire_held(edge, edge->holding, now);
	}
	return 0;
}
