/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge after a restart: domains, addresses and answers as they were saved. Nothing is
 * asked, and what was open comes back as Failed: its packets are refused, not held, until its
 * name is asked for again.
 */
#include "core/edge_internal.h"

#include <errno.h>

void edge_marks(const struct edge *edge, struct edge_marks *ret_marks)
{
	struct pool_marks pool = pool_marks(edge->pool);

	*ret_marks = (struct edge_marks){
		.next_domain = edge->next_domain,
		.fresh4 = pool.fresh4,
		.fresh6 = pool.fresh6,
	};
}

int edge_restore_marks(struct edge *edge, const struct edge_marks *marks, struct instant now)
{
	const struct pool_marks pool = {.fresh4 = marks->fresh4, .fresh6 = marks->fresh6};

	if (marks->next_domain > POOL_OWNER_MAX)
		return -EINVAL;
	if (marks->next_domain > edge->next_domain)
		edge->next_domain = marks->next_domain;
	pool_restore_marks(edge->pool, &pool, now);
	return 0;
}

static bool proxies_are_whole(const struct proxies *p)
{
	if (p->count != PROXIES_MAX)
		return false;
	for (unsigned int i = 0; i < PROXIES_MAX; i++)
		if (ipaddr_is_v4(&p->addr[i]) != (i < PROXIES_V4))
			return false;
	return true;
}

int edge_restore_domain(struct edge *edge, const struct edge_domain_record *record,
			struct instant now)
{
	struct match match;
	struct domain *d;
	int r;

	if (!proxies_are_whole(&record->proxies) || record->id == 0 || record->id >= POOL_OWNER_MAX)
		return -EINVAL;
	if (edge_domain_find(edge, &record->name) || edge_domain_find_id(edge, record->id))
		return -EEXIST;
	if (edge->table.count >= edge->settings.domains_max)
		return -ENOSPC;

	edge_resources_match(edge->resources, &record->name, &match);
	d = edge_domain_new(&record->name, &match);
	if (!d)
		return -ENOMEM;
	d->id = record->id;
	edge_domain_set_proxies(d, &record->proxies);
	d->queried = now;
	d->passed = true; /* nobody knows */
	r = pool_mark_used(edge->pool, d->id, &record->proxies, now);
	if (r < 0) {
		edge_domain_unref(d);
		return r;
	}
	edge_domain_link(edge, d);
	if (d->id >= edge->next_domain)
		edge->next_domain = d->id + 1;
	return 0;
}

static bool serves(const struct resource *r, uint32_t gateway)
{
	for (unsigned int i = 0; i < r->gateway_count; i++)
		if (r->gateways[i]->id == gateway)
			return true;
	return false;
}

int edge_restore_entry(struct edge *edge, const struct edge_entry_record *record,
		       struct instant now)
{
	struct domain *d = edge_domain_find_id(edge, record->domain);
	struct entry *e = d ? edge_domain_entry(d, record->resource) : NULL;
	struct edge_gateway *g;
	bool confirmed = record->state == EDGE_CONFIRMED || record->state == EDGE_RECREATING;

	if (!e || !serves(e->resource, record->gateway) || record->state == EDGE_NONE)
		return -ENOENT;
	if (record->families && record->families != edge_stack_families(e->resource->ip_stack))
		return -ENOENT;
	if (e->state != EDGE_NONE)
		return -EEXIST;
	g = edge_gateway_find(edge, record->gateway); /* the resource's: it is there */

	/* Not through entry_set_state: nothing has changed that the store would not know. */
	edge_entry_bind(e, g);
	e->state = confirmed ? EDGE_CONFIRMED : EDGE_FAILED;
	g->count[e->state]++;
	g->proven = g->proven || confirmed; /* else it has gone, and the record with it */
	e->since = now;
	e->sent_at = (struct instant){now.ns - EDGE_RESEND_NS};
	e->generation = e->request = e->taken = record->generation;
	edge->entry_count++;
	if ((int32_t)(record->generation - edge->generation) > 0)
		edge->generation = record->generation;
	return 0;
}

int edge_restored(struct edge *edge)
{
	struct domain *d;
	int r;

	r = edge_queue_reserve(edge, (size_t)IP_FAMILIES * edge->table.count);
	if (r < 0)
		return r;
	for (d = edge->table.first; d; d = d->next)
		edge_domain_settle(edge, d);
	return 0;
}
