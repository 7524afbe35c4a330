/* SPDX-License-Identifier: BSD-2-Clause */
/* Views of the edge for people; they change nothing. See edge.h. */
#include "core/edge_internal.h"

static void view_of(const struct domain *d, struct edge_domain_view *v)
{
	*v = (struct edge_domain_view){
		.id = d->id,
		.name = &d->name,
		.proxies = &d->proxies,
		.verdict = d->verdict,
		.held = d->held.count,
		.queried = d->queried,
		.resource_count = d->entry_count,
	};
	for (unsigned int i = 0; i < d->entry_count; i++) {
		const struct entry *e = d->entries[i];

		v->resources[i] = e->resource->id;
		v->ipv4 = v->ipv4 || e->resource->ip_stack != IP_STACK_IPV6;
		v->ipv6 = v->ipv6 || e->resource->ip_stack != IP_STACK_IPV4;
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
		};
	}
}

void edge_foreach_domain(const struct edge *edge,
			 bool (*cb)(const struct edge_domain_view *domain, void *ctx), void *ctx)
{
	struct edge_domain_view v;

	for (const struct domain *d = edge->by_id; d; d = d->hh_id.next) {
		view_of(d, &v);
		if (!cb(&v, ctx))
			return;
	}
}

static bool show(const struct domain *d, struct edge_domain_view *ret_domain)
{
	if (d)
		view_of(d, ret_domain);
	return d;
}

bool edge_find_name(const struct edge *edge, const struct dname *name,
		    struct edge_domain_view *ret_domain)
{
	return show(edge_domain_find(edge, name), ret_domain);
}

bool edge_find_proxy(const struct edge *edge, const struct fq_addr *proxy,
		     struct edge_domain_view *ret_domain)
{
	return show(edge_domain_find_proxy(edge, proxy), ret_domain);
}

bool edge_find_id(const struct edge *edge, uint32_t domain, struct edge_domain_view *ret_domain)
{
	return show(edge_domain_find_id(edge, domain), ret_domain);
}

void edge_usage(const struct edge *edge, struct edge_usage *ret_usage)
{
	struct edge_usage u = {
		.domains = HASH_CNT(hh_id, edge->by_id),
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
