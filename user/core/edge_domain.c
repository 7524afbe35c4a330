/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains of the edge: making and giving them up, see edge_internal.h. */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

struct entry *edge_entry_new(struct domain *d, struct resource *resource)
{
	struct entry *e = d->own.domain ? calloc(1, sizeof(*e)) : &d->own;

	if (e) {
		e->domain = d;
		e->resource = resource;
	}
	return e;
}

void edge_entry_free(struct entry *e)
{
	if (e == &e->domain->own)
		*e = (struct entry){0};
	else
		free(e);
}

struct domain *edge_domain_new(const struct dname *name, const struct match *match)
{
	struct domain *d = calloc(1, sizeof(*d) + name->len);
	struct entry **last;

	if (!d)
		return NULL;
	d->name_len = name->len;
	memcpy(d->name, name->text, name->len);
	d->refs = 1;
	memset(d->verdict, VERDICT_NONE, sizeof(d->verdict));
	last = &d->entries;
	for (; d->entry_count < match->count; d->entry_count++) {
		*last = edge_entry_new(d, match->resource[d->entry_count]);
		if (!*last) {
			edge_domain_unref(d);
			return NULL;
		}
		last = &(*last)->next_of_domain;
	}
	return d;
}

void edge_domain_name(const struct domain *d, struct dname *ret_name)
{
	*ret_name = (struct dname){.len = d->name_len};
	memcpy(ret_name->text, d->name, d->name_len);
}

void edge_domain_set_proxies(struct domain *d, const struct proxies *proxies)
{
	for (unsigned int i = 0; i < PROXIES_MAX; i++)
		d->proxies[i] = proxies->addr[i].w[3];
}

void edge_domain_proxies(const struct edge *edge, const struct domain *d,
			 struct proxies *ret_proxies)
{
	const struct pool_settings *pool = &edge->settings.pool;

	ret_proxies->count = PROXIES_MAX;
	for (unsigned int i = 0; i < PROXIES_MAX; i++) {
		ret_proxies->addr[i] = i < PROXIES_V4 ? pool->v4.addr : pool->v6.addr;
		ret_proxies->addr[i].w[3] = d->proxies[i];
	}
}

struct entry *edge_domain_entry(const struct domain *d, uint32_t resource)
{
	struct entry *e = d->entries;

	while (e && e->resource->id != resource)
		e = e->next_of_domain;
	return e;
}

void edge_domain_announce(struct edge *edge, struct domain *d, bool is_new)
{
	edge_queue_add(edge, EDGE_DOMAIN_SET, d)->detail = is_new;
}

int edge_domain_assign(struct edge *edge, const struct dname *name, const struct match *match,
		       struct instant now, struct domain **ret_domain)
{
	struct proxies proxies;
	struct domain *d;
	int r;

	if (edge->table.count >= edge->settings.domains_max || edge->next_domain >= POOL_OWNER_MAX)
		return -ENOSPC;
	d = edge_domain_new(name, match);
	if (!d)
		return -ENOMEM;
	d->id = edge->next_domain;
	d->queried = now;
	r = pool_lease(edge->pool, d->id, now, &proxies);
	if (r < 0) {
		edge_domain_unref(d);
		return r;
	}
	edge_domain_set_proxies(d, &proxies);
	edge_domain_link(edge, d);
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

	if (!d->holding)
		return;
	r = edge_queue_add(edge, EDGE_HELD_EVENT, d);
	r->detail = EDGE_HELD_DROPPED;
	r->count = held_drop(&d->holding->held, &edge->held);
	edge_domain_end_holding(edge, d);
}

/* Take @d out of all tables and give its addresses up. Room is reserved. Return: 0; -ENOMEM. */
static int domain_remove(struct edge *edge, struct domain *d, enum pool_rest rest,
			 struct instant now)
{
	struct proxies proxies;
	int r;

	edge_domain_proxies(edge, d, &proxies);
	r = pool_release(edge->pool, d->id, &proxies, rest, now);
	if (r < 0)
		return r;
	for (struct entry *e = d->entries; e; e = e->next_of_domain)
		edge_entry_vanish(edge, e, now);
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
	r = edge_queue_reserve(edge, DOMAIN_ACTIONS);
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
	return is_short(edge->table.count, edge->settings.domains_max) ||
	       is_short((uint64_t)v4.leased + v4.quarantined + PROXIES_V4, v4.size) ||
	       is_short((uint64_t)v6.leased + v6.quarantined + PROXIES_V6, v6.size);
}

static bool in_use(const struct edge *edge, const struct domain *d)
{
	return d->holding || (d->passed && edge->settings.in_use(edge->settings.ctx, d->id));
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

	DL_FOREACH_SAFE (edge->table.first, d, next) {
		if (d->holding) {
			held_drop(&d->holding->held, &edge->held);
			edge_domain_end_holding(edge, d);
		}
		edge_domain_unlink(edge, d);
		edge_domain_unref(d);
	}
}
