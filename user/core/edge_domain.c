/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains of the edge: making, finding and giving them up, see edge_internal.h. */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

struct domain *edge_domain_find(const struct edge *edge, const struct dname *name)
{
	uint32_t hash = dname_hash(name, edge->settings.hash_key);
	struct domain *d;

	HASH_FIND_BYHASHVALUE(hh_name, edge->by_name, name->text, name->len, hash, d);
	return d;
}

struct domain *edge_domain_find_id(const struct edge *edge, uint32_t id)
{
	struct domain *d;

	HASH_FIND(hh_id, edge->by_id, &id, sizeof(id), d);
	return d;
}

struct domain *edge_domain_find_proxy(const struct edge *edge, const struct fq_addr *proxy)
{
	uint32_t id = pool_owner(edge->pool, proxy);

	return id ? edge_domain_find_id(edge, id) : NULL;
}

struct entry *edge_entry_new(struct domain *d, struct resource *resource)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e) {
		e->domain = d;
		e->resource = resource;
	}
	return e;
}

struct domain *edge_domain_new(const struct dname *name, const struct match *match)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->name = *name;
	d->refs = 1;
	d->touch_at = INSTANT_NEVER;
	for (; d->entry_count < match->count; d->entry_count++) {
		struct entry *e = edge_entry_new(d, match->resource[d->entry_count]);

		if (!e) {
			edge_domain_unref(d);
			return NULL;
		}
		d->entries[d->entry_count] = e;
	}
	return d;
}

int edge_domain_link(struct edge *edge, struct domain *d)
{
	uint32_t hash = dname_hash(&d->name, edge->settings.hash_key);

	HASH_ADD(hh_id, edge->by_id, id, sizeof(d->id), d);
	if (!d->hh_id.tbl)
		return -ENOMEM;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh_name, edge->by_name, d->name.text, d->name.len, hash, d);
	if (!d->hh_name.tbl) {
		HASH_DELETE(hh_id, edge->by_id, d);
		return -ENOMEM;
	}
	DL_APPEND2(edge->idle[d->passed], d, idle_prev, idle_next);
	return 0;
}

void edge_domain_unlink(struct edge *edge, struct domain *d)
{
	HASH_DELETE(hh_id, edge->by_id, d);
	HASH_DELETE(hh_name, edge->by_name, d);
	DL_DELETE2(edge->idle[d->passed], d, idle_prev, idle_next);
}

void edge_domain_announce(struct edge *edge, struct domain *d, bool is_new)
{
	edge_queue_add(edge, EDGE_DOMAIN_SET, d)->detail = is_new;
}

int edge_domain_assign(struct edge *edge, const struct dname *name, const struct match *match,
		       struct instant now, struct domain **ret_domain)
{
	struct domain *d;
	int r;

	if (HASH_CNT(hh_id, edge->by_id) >= edge->settings.domains_max ||
	    edge->next_domain >= POOL_OWNER_MAX)
		return -ENOSPC;
	d = edge_domain_new(name, match);
	if (!d)
		return -ENOMEM;
	d->id = edge->next_domain;
	d->queried = now;
	r = edge_domain_link(edge, d);
	if (r < 0) {
		edge_domain_unref(d);
		return r;
	}
	r = pool_lease(edge->pool, d->id, now, &d->proxies);
	if (r < 0) {
		edge_domain_unlink(edge, d);
		edge_domain_unref(d);
		return r;
	}
	edge->next_domain++;
	edge_domain_announce(edge, d, true);
	*ret_domain = d;
	return 0;
}

void edge_domain_queried(struct edge *edge, struct domain *d, struct instant now)
{
	d->queried = now;
	DL_DELETE2(edge->idle[d->passed], d, idle_prev, idle_next);
	DL_APPEND2(edge->idle[d->passed], d, idle_prev, idle_next);
}

/* It goes behind domains that were asked for since it was: it may stay that much longer. */
void edge_domain_passes(struct edge *edge, struct domain *d)
{
	if (d->passed)
		return;
	DL_DELETE2(edge->idle[0], d, idle_prev, idle_next);
	d->passed = true;
	DL_APPEND2(edge->idle[1], d, idle_prev, idle_next);
}

void edge_domain_drop_held(struct edge *edge, struct domain *d)
{
	struct record *r;

	if (!d->held.count)
		return;
	r = edge_queue_add(edge, EDGE_HELD_EVENT, d);
	r->detail = EDGE_HELD_DROPPED;
	r->count = held_drop(&d->held, &edge->held);
	DL_DELETE2(edge->holding, d, hold_prev, hold_next);
}

/* Take @d out of all tables and give its addresses up. Room is reserved. Return: 0; -ENOMEM. */
static int domain_remove(struct edge *edge, struct domain *d, enum pool_rest rest,
			 struct instant now)
{
	int r;

	r = pool_release(edge->pool, d->id, &d->proxies, rest, now);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < d->entry_count; i++) {
		edge_entry_set_state(edge, d->entries[i], EDGE_NONE, now);
		edge_entry_bind(d->entries[i], NULL);
	}
	edge_domain_drop_held(edge, d);
	edge_queue_add(edge, EDGE_DEL_VERDICT, d);
	edge_queue_add(edge, EDGE_DOMAIN_GONE, d);
	edge_domain_unlink(edge, d);
	edge_domain_unref(d);
	return 0;
}

int edge_forget(struct edge *edge, const struct dname *name, struct instant now)
{
	struct domain *d = edge_domain_find(edge, name);
	int r;

	if (!d)
		return -ENOENT;
	r = edge_queue_reserve(&edge->queue, DOMAIN_ACTIONS);
	if (r < 0)
		return r;
	return domain_remove(edge, d, POOL_REST_LONG, now);
}

/* Less than a sixteenth is left. */
static bool is_short(uint64_t used, uint64_t size)
{
	return used + size / 16 >= size;
}

static bool room_is_short(const struct edge *edge)
{
	struct pool_usage v4, v6;

	pool_usage(edge->pool, &v4, &v6);
	return is_short(HASH_CNT(hh_id, edge->by_id), edge->settings.domains_max) ||
	       is_short((uint64_t)v4.leased + v4.quarantined + PROXIES_V4, v4.size) ||
	       is_short((uint64_t)v6.leased + v6.quarantined + PROXIES_V6, v6.size);
}

static bool in_use(const struct edge *edge, const struct domain *d)
{
	return d->held.count || (d->passed && edge->settings.in_use(edge->settings.ctx, d->id));
}

/* Let up to @max domains go: of those that packets have passed for, or of the others. Return: how
 * many went. */
static unsigned int reclaim(struct edge *edge, bool passed, unsigned int max, struct instant now)
{
	int64_t quarantine_ns = edge->settings.pool.quarantine_ns;
	int64_t idle_ns = passed || quarantine_ns < EDGE_UNUSED_NS ? quarantine_ns : EDGE_UNUSED_NS;
	enum pool_rest rest = passed ? POOL_REST_LONG : POOL_REST_SHORT;
	unsigned int gone = 0;

	for (unsigned int i = 0; i < RECLAIM_LOOK && gone < max; i++) {
		struct domain *d = edge->idle[passed];

		if (!d || !instant_reached(instant_add(d->queried, idle_ns), now))
			break;
		if (in_use(edge, d))
			edge_domain_queried(edge, d, now); /* in use without being asked for */
		else if (domain_remove(edge, d, rest, now) < 0)
			break;
		else
			gone++;
	}
	return gone;
}

void edge_domains_reclaim(struct edge *edge, struct instant now)
{
	unsigned int gone;

	if (!edge->settings.in_use || !room_is_short(edge))
		return;
	gone = reclaim(edge, false, RECLAIM_DOMAINS, now);
	(void)reclaim(edge, true, RECLAIM_DOMAINS - gone, now);
}

void edge_domain_free_all(struct edge *edge)
{
	struct domain *d, *next;

	HASH_ITER (hh_id, edge->by_id, d, next) {
		held_drop(&d->held, &edge->held);
		edge_domain_unlink(edge, d);
		edge_domain_unref(d);
	}
}
