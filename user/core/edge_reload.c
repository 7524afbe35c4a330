/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge gets other resources. First everything that can fail, with the old ones untouched;
 * then the change. Domains keep their addresses whatever happens (D-08, P-09).
 */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

/* What becomes of one domain. */
struct plan {
	struct domain *domain;
	bool changed;
	unsigned int count;
	struct resource *resource[EDGE_DOMAIN_RESOURCES];
	struct entry *entry[EDGE_DOMAIN_RESOURCES]; /* kept, or new */
	bool is_new[EDGE_DOMAIN_RESOURCES];
};

struct plans {
	struct plan *plan;
	size_t count;
	size_t actions;
};

static void plans_done(struct plans *plans)
{
	for (size_t i = 0; i < plans->count; i++)
		for (unsigned int j = 0; j < plans->plan[i].count; j++)
			if (plans->plan[i].is_new[j])
				free(plans->plan[i].entry[j]);
	free(plans->plan);
}

static struct entry *entry_of(const struct domain *d, uint32_t resource)
{
	for (unsigned int i = 0; i < d->entry_count; i++)
		if (d->entries[i]->resource->id == resource)
			return d->entries[i];
	return NULL;
}

/*
 * Whether what an entry's gateway was told holds under the new rules: it serves the resource, and
 * knows the addresses of the very families that are answered.
 */
static bool is_valid(const struct entry *e, const struct resource *r)
{
	if (!e->gateway)
		return true;
	if (e->resource->ip_stack != r->ip_stack)
		return false;
	for (unsigned int i = 0; i < r->gateway_count; i++)
		if (r->gateways[i] == e->gateway->id)
			return true;
	return false;
}

static int plan_domain(struct plan *p, struct domain *d, const struct resources *set)
{
	struct match match;

	edge_resources_match(set, &d->name, &match);
	p->domain = d;
	p->changed = match.count != d->entry_count;
	for (; p->count < match.count; p->count++) {
		struct resource *r = match.resource[p->count];
		struct entry *e = entry_of(d, r->id);

		p->is_new[p->count] = !e;
		p->changed = p->changed || !e || e != d->entries[p->count] || !is_valid(e, r);
		if (!e)
			e = edge_entry_new(d, r);
		if (!e)
			return -ENOMEM;
		p->resource[p->count] = r;
		p->entry[p->count] = e;
	}
	return 0;
}

static int plan_all(struct edge *edge, const struct resources *set, struct plans *plans)
{
	struct domain *d, *next;
	size_t domains = HASH_CNT(hh_id, edge->by_id);

	plans->plan = calloc(domains + 1, sizeof(*plans->plan));
	if (!plans->plan)
		return -ENOMEM;
	HASH_ITER (hh_id, edge->by_id, d, next) {
		struct plan *p = &plans->plan[plans->count++];
		int r = plan_domain(p, d, set);

		if (r < 0)
			return r;
		plans->actions += p->changed ? DOMAIN_ACTIONS : 0;
	}
	return 0;
}

static bool plan_keeps(const struct plan *p, const struct entry *e)
{
	for (unsigned int i = 0; i < p->count; i++)
		if (p->entry[i] == e)
			return is_valid(e, p->resource[i]);
	return false;
}

static bool plan_contains(const struct plan *p, const struct entry *e)
{
	for (unsigned int i = 0; i < p->count; i++)
		if (p->entry[i] == e)
			return true;
	return false;
}

static void apply(struct edge *edge, struct plan *p, struct instant now)
{
	struct domain *d = p->domain;

	for (unsigned int i = 0; i < d->entry_count; i++) {
		struct entry *e = d->entries[i];

		if (plan_keeps(p, e))
			continue;
		edge_entry_set_state(edge, e, EDGE_NONE, now);
		edge_entry_bind(e, NULL);
		if (!plan_contains(p, e))
			free(e);
	}
	d->entry_count = p->count;
	for (unsigned int i = 0; i < p->count; i++) {
		d->entries[i] = p->entry[i];
		d->entries[i]->resource = p->resource[i];
		p->is_new[i] = false; /* the domain's now */
	}
	if (!p->changed)
		return;
	edge_domain_announce(edge, d, false);
	edge_domain_settle(edge, d);
}

static size_t count_ignored(const struct resources *set)
{
	size_t n = 0;

	for (const struct resource *r = set->by_id; r; r = r->hh_id.next)
		n += r->pattern.len == 0;
	return n;
}

int edge_set_resources(struct edge *edge, const struct edge_resource *resources, size_t count,
		       struct instant now)
{
	_cleanup_(edge_resources_freep) struct resources *set = NULL;
	_cleanup_(plans_done) struct plans plans = {0};
	int r;

	r = edge_resources_new(resources, count, &set);
	if (r < 0)
		return r;
	r = plan_all(edge, set, &plans);
	if (r < 0)
		return r;
	r = edge_queue_reserve(&edge->queue, plans.actions + count_ignored(set));
	if (r < 0)
		return r;

	for (size_t i = 0; i < plans.count; i++)
		apply(edge, &plans.plan[i], now);
	for (const struct resource *s = set->by_id; s; s = s->hh_id.next)
		if (s->pattern.len == 0)
			edge_queue_add(edge, EDGE_RESOURCE_IGNORED, NULL)->resource = s->id;
	edge_resources_free(edge->resources);
	edge->resources = TAKE_PTR(set);
	return 0;
}
