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

int edge_restore_domain(struct edge *edge, const struct edge_domain_record *record,
			struct instant now)
{
	struct match match;
	struct domain *d;
	int r;

	if (record->proxies.count != PROXIES_MAX || record->id == 0 || record->id >= POOL_OWNER_MAX)
		return -EINVAL;
	if (edge_domain_find(edge, &record->name) || edge_domain_find_id(edge, record->id))
		return -EEXIST;
	if (HASH_CNT(hh_id, edge->by_id) >= edge->settings.domains_max)
		return -ENOSPC;

	edge_resources_match(edge->resources, &record->name, &match);
	d = edge_domain_new(&record->name, &match);
	if (!d)
		return -ENOMEM;
	d->id = record->id;
	d->proxies = record->proxies;
	d->queried = now;
	d->passed = true; /* nobody knows */
	r = edge_domain_link(edge, d);
	if (r < 0) {
		edge_domain_unref(d);
		return r;
	}
	r = pool_mark_used(edge->pool, d->id, &d->proxies, now);
	if (r < 0) {
		edge_domain_unlink(edge, d);
		edge_domain_unref(d);
		return r;
	}
	if (d->id >= edge->next_domain)
		edge->next_domain = d->id + 1;
	return 0;
}

static struct entry *entry_of(const struct domain *d, uint32_t resource)
{
	for (unsigned int i = 0; i < d->entry_count; i++)
		if (d->entries[i]->resource->id == resource)
			return d->entries[i];
	return NULL;
}

static bool serves(const struct resource *r, uint32_t gateway)
{
	for (unsigned int i = 0; i < r->gateway_count; i++)
		if (r->gateways[i] == gateway)
			return true;
	return false;
}

int edge_restore_entry(struct edge *edge, const struct edge_entry_record *record,
		       struct instant now)
{
	struct domain *d = edge_domain_find_id(edge, record->domain);
	struct entry *e = d ? entry_of(d, record->resource) : NULL;
	struct edge_gateway *gateway;
	bool confirmed = record->state == EDGE_CONFIRMED || record->state == EDGE_RECREATING;

	if (!e || !serves(e->resource, record->gateway) || record->state == EDGE_NONE)
		return -ENOENT;
	if (e->state != EDGE_NONE)
		return -EEXIST;
	gateway = edge_gateway_get(edge, record->gateway);
	if (!gateway)
		return -ENOMEM;

	/* Not through entry_set_state: nothing has changed that the store would not know. */
	edge_entry_bind(e, gateway);
	e->state = confirmed ? EDGE_CONFIRMED : EDGE_FAILED;
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
	struct domain *d, *next;
	int r;

	r = edge_queue_reserve(&edge->queue, HASH_CNT(hh_id, edge->by_id));
	if (r < 0)
		return r;
	HASH_ITER (hh_id, edge->by_id, d, next)
		edge_domain_settle(edge, d);
	return 0;
}
