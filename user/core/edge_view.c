/* SPDX-License-Identifier: BSD-2-Clause */
/* Views of the edge for people; they change nothing. See edge.h. */
#include "core/edge_internal.h"

static void view_of(const struct edge *edge, const struct domain *d, struct edge_domain_view *v)
{
	*v = (struct edge_domain_view){
		.id = d->id,
		.name = &v->name_space,
		.proxies = &v->proxies_space,
		.verdict = {d->verdict[0], d->verdict[1]},
		.held = d->holding ? d->holding->held.count : 0,
		.queried = d->queried,
	};
	edge_domain_name(d, &v->name_space);
	edge_domain_proxies(edge, d, &v->proxies_space);
	for (const struct entry *e = d->entries; e; e = e->next_of_domain) {
		unsigned int families = edge_stack_families(e->resource->ip_stack);

		v->resources[v->resource_count++] = e->resource->id;
		v->ipv4 = v->ipv4 || (families & IP_FAMILY_V4);
		v->ipv6 = v->ipv6 || (families & IP_FAMILY_V6);
		if (e->state == EDGE_NONE)
			continue;
		v->entries[v->entry_count++] = (struct edge_entry_view){
			.gateway = e->gateway->id,
			.resource = e->resource->id,
			.state = e->state,
			.buffering = e->buffering,
			.since = e->since,
			.sent_at = e->sent_at,
			.resends = e->resends,
			.generation = e->generation,
			.due_at = e->waiting ? e->due_at : INSTANT_NEVER,
		};
	}
}

void edge_foreach_domain(const struct edge *edge,
			 bool (*cb)(const struct edge_domain_view *domain, void *ctx), void *ctx)
{
	struct edge_domain_view v;

	for (const struct domain *d = edge->table.first; d; d = d->next) {
		view_of(edge, d, &v);
		if (!cb(&v, ctx))
			return;
	}
}

static bool show(const struct edge *edge, const struct domain *d,
		 struct edge_domain_view *ret_domain)
{
	if (d)
		view_of(edge, d, ret_domain);
	return d;
}

bool edge_find_name(const struct edge *edge, const struct dname *name,
		    struct edge_domain_view *ret_domain)
{
	return show(edge, edge_domain_find(edge, name), ret_domain);
}

bool edge_find_proxy(const struct edge *edge, const struct fq_addr *proxy,
		     struct edge_domain_view *ret_domain)
{
	return show(edge, edge_domain_find_proxy(edge, proxy), ret_domain);
}

bool edge_find_id(const struct edge *edge, uint32_t domain, struct edge_domain_view *ret_domain)
{
	return show(edge, edge_domain_find_id(edge, domain), ret_domain);
}

bool edge_gateway_view(const struct edge *edge, uint32_t gateway,
		       struct edge_gateway_view *ret_view)
{
	const struct edge_gateway *g = edge_gateway_find(edge, gateway);

	if (!g)
		return false;
	*ret_view = (struct edge_gateway_view){
		.up = g->up,
		.pending = g->count[EDGE_PENDING],
		.recreating = g->count[EDGE_RECREATING],
		.confirmed = g->count[EDGE_CONFIRMED],
		.failed = g->count[EDGE_FAILED],
	};
	return true;
}

void edge_usage(const struct edge *edge, struct edge_usage *ret_usage)
{
	struct edge_usage u = {
		.domains = edge->table.count,
		.domains_max = edge->settings.domains_max,
		.entries = edge->entry_count,
		.pending = edge->open_count,
		.held_packets = edge->held.packets,
		.held_bytes = edge->held.bytes,
		.held_bytes_max = edge->held.bytes_max,
		.actions = edge->queue.count,
	};

	pool_usage(edge->pool, &u.v4, &u.v6);
	*ret_usage = u;
}

const char *edge_state_name(enum edge_state state)
{
	switch (state) {
	case EDGE_PENDING:
		return "pending";
	case EDGE_RECREATING:
		return "recreating";
	case EDGE_CONFIRMED:
		return "confirmed";
	case EDGE_FAILED:
		return "failed";
	case EDGE_NONE:
		break;
	}
	return "none";
}
