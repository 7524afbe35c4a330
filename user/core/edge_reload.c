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
				edge_entry_free(plans->plan[i].entry[j]);
	free(plans->plan);
}

/*
 * Whether what an entry's gateway was told holds under the new rules: it serves the resource, and
 * knows the addresses of the very families that are answered; nor has another one to take over.
 */
static bool is_valid(const struct entry *e, const struct resource *r)
{
	if (!e->gateway)
		return true;
	if (e->resource->ip_stack != r->ip_stack || edge_entry_is_stranded(e, r) ||
	    edge_entry_is_void(e))
		return false;
	for (unsigned int i = 0; i < r->gateway_count; i++)
		if (r->gateways[i] == e->gateway)
			return true;
	return false;
}

static int plan_domain(struct plan *p, struct domain *d, const struct resources *set)
{
	const struct entry *old = d->entries; /* in the same place */
	struct match match;
	struct dname name;

	edge_domain_name(d, &name);
	edge_resources_match(set, &name, &match);
	p->domain = d;
	p->changed = match.count != d->entry_count;
	for (; p->count < match.count; p->count++) {
		struct resource *r = match.resource[p->count];
		struct entry *e = edge_domain_entry(d, r->id);

		p->is_new[p->count] = !e;
		p->changed = p->changed || !e || e != old || !is_valid(e, r) ||
			     e->resource->ip_stack != r->ip_stack; /* even if nobody was asked */
		old = old ? old->next_of_domain : NULL;
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
	size_t domains = edge->table.count;

	plans->plan = calloc(domains + 1, sizeof(*plans->plan));
	if (!plans->plan)
		return -ENOMEM;
	for (struct domain *d = edge->table.first; d; d = d->next) {
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
	struct entry *e, *next, **last = &d->entries;

	for (e = d->entries; e; e = next) {
		next = e->next_of_domain;
		if (plan_keeps(p, e))
			continue;
		edge_entry_vanish(edge, e, now);
		if (!plan_contains(p, e))
			edge_entry_free(e);
	}
	d->entry_count = (uint8_t)p->count;
	for (unsigned int i = 0; i < p->count; i++) {
		*last = p->entry[i];
		(*last)->resource = p->resource[i];
		last = &(*last)->next_of_domain;
		p->is_new[i] = false; /* the domain's now */
	}
	*last = NULL;
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

	r = edge_resources_new(edge, resources, count, &set);
	if (r < 0)
		return r;
	r = plan_all(edge, set, &plans);
	if (r < 0)
		return r;
	r = edge_queue_reserve(edge, plans.actions + count_ignored(set));
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
