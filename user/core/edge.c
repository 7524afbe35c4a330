/* SPDX-License-Identifier: BSD-2-Clause */
/* The inputs of the edge: each makes room in the queue, then cannot fail. See edge.h. */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

#define TICK_BATCH 64 /* entries, and domains, that one edge_tick looks after */

/* Most actions of one query or packet: the domain's own, the others' and what is let go. */
#define INPUT_ACTIONS \
	((1 + RECLAIM_DOMAINS) * DOMAIN_ACTIONS + 2 * EDGE_RESEND_BATCH * (2 + SETTLE_ACTIONS))

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
	r = edge_table_init(&edge->table, settings->domains_max);
	if (r < 0)
		return r;
	r = edge_resources_new(edge, NULL, 0, &edge->resources);
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
	edge_queue_done(&edge->queue);
	edge_domain_free_all(edge);
	edge_table_done(&edge->table);
	timers_done(&edge->watches);
	HASH_ITER (hh, edge->gateways, g, next) {
		HASH_DEL(edge->gateways, g);
		free(g);
	}
	edge_resources_free(edge->resources);
	pool_free(edge->pool);
	free(edge);
	return NULL;
}

/* ---- inputs: names ---- */

static struct edge_answer answer_of(const struct edge *edge, const struct domain *d)
{
	struct edge_answer a = {.matched = true, .domain = d->id};
	unsigned int families = 0;

	for (const struct entry *e = d->entries; e; e = e->next_of_domain)
		families |= edge_stack_families(e->resource->ip_stack);
	a.ipv4 = families & IP_FAMILY_V4;
	a.ipv6 = families & IP_FAMILY_V6;
	edge_domain_proxies(edge, d, &a.proxies);
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
	r = edge_queue_reserve(edge, INPUT_ACTIONS);
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
	*ret_answer = answer_of(edge, d);
	return 0;
}

int edge_requery(struct edge *edge, const struct dname *name, struct instant now)
{
	struct domain *d = edge_domain_find(edge, name);
	int r;

	r = edge_queue_reserve(edge, INPUT_ACTIONS);
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
	r = edge_queue_reserve(edge, INPUT_ACTIONS);
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

bool edge_knows(const struct edge *edge, const struct dname *name)
{
	return edge_domain_find(edge, name);
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
	g = edge_gateway_of(r);
	*ret_site = (struct edge_site){
		.resource = r->id,
		.gateway = g                  ? g->id
			   : r->gateway_count ? r->gateways[0]->id
					      : 0,
		.up = g != NULL,
	};
	return true;
}

/* ---- inputs: packets ---- */

int edge_packet(struct edge *edge, const struct fq_addr *proxy, const struct held_offer *frame,
		struct instant now)
{
	_cleanup_(held_frames_freep) struct held_frame *f = NULL;
	struct domain *d = edge_domain_find_proxy(edge, proxy);
	unsigned int family = ipaddr_is_v4(proxy) ? 0 : 1;
	struct held_offer offer = *frame;
	struct record *record;
	int r;

	if (!d)
		return -ENOENT;
	r = edge_queue_reserve(edge, INPUT_ACTIONS);
	if (r < 0)
		return r;
	edge_domain_wake(edge, d, now);
	offer.family = (uint8_t)(1U << family);
	if (d->verdict[family] == FQ_EDGE_HOLD)
		return edge_domain_hold(edge, d, &offer, now);
	f = held_frame_new(&offer, now);
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
	r = edge_queue_reserve(edge, INPUT_ACTIONS);
	if (r < 0)
		return r;
	edge_domain_wake(edge, d, now);
	return 0;
}

/* ---- inputs: control messages ---- */

static void domain_catch_up(struct edge *edge, struct domain *d, struct instant now)
{
	bool changed = false;

	for (struct entry *e = d->entries; e; e = e->next_of_domain)
		changed = edge_entry_catch_up(edge, e, now) || changed;
	if (changed)
		edge_domain_settle(edge, d);
}

static struct entry *entry_of_status(const struct domain *d, uint32_t gateway, const char *uuid)
{
	for (struct entry *e = d->entries; e; e = e->next_of_domain)
		if (e->gateway && e->gateway->id == gateway && strcmp(e->resource->uuid, uuid) == 0)
			return e;
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

	r = edge_queue_reserve(edge, INPUT_ACTIONS);
	if (r < 0)
		return r;
	if (d)
		domain_catch_up(edge, d, now);
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
	if (status->generation)
		e->taken = status->generation;
	if (status->active) {
		edge_gateway_prove(e->gateway);
		edge_entry_set_state(edge, e, EDGE_CONFIRMED, now);
	} else {
		edge_entry_refused(edge, e, now);
	}
	edge_domain_settle(edge, d);
	*ret_outcome = EDGE_STATUS_APPLIED;
	return 0;
}

/* ---- inputs: time ---- */

struct instant edge_deadline(const struct edge *edge)
{
	struct instant t = INSTANT_NEVER;

	if (edge_walk_is_on(edge))
		return (struct instant){0};
	if (edge->due)
		t = edge->due->due_at;
	t = instant_min(t, edge_send_deadline(edge));
	t = instant_min(t, edge_late_deadline(edge));
	t = instant_min(t, edge_rest_deadline(edge));
	return instant_min(t, timers_next(&edge->watches));
}

int edge_tick(struct edge *edge, struct instant now)
{
	int r;

	r = edge_queue_reserve(edge, TICK_BATCH * (4 + 3 * SETTLE_ACTIONS + 1 + DOMAIN_ACTIONS) +
					     EDGE_WALK_BATCH * WALK_ACTIONS);
	if (r < 0)
		return r;
	edge_rest_run(edge, now);
	edge_run_due(edge, now, TICK_BATCH);
	edge_send_run(edge, now, TICK_BATCH);
	edge_watch_run(edge, now, TICK_BATCH);
	edge_late_run(edge, now, TICK_BATCH);
	edge_walk_run(edge, now, EDGE_WALK_BATCH);
	return 0;
}
