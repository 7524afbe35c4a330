/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where packets go: what the kernel's FIB answers in the world of the tests, and what the path
 * makes of it.
 */
#include "oracle.h"

static const struct orc_route *look_up(const struct orc_world *w, const struct fq_addr *dst)
{
	for (unsigned int i = 0; i < w->routes; i++)
		if (orc_in_prefix(dst, &w->route[i].prefix, w->route[i].len))
			return &w->route[i];
	return NULL;
}

/*
 * RFC 4787 REQ-13, RFC 7915 4: DF clear, and short enough to travel to the daemon, with an IPv6 and
 * a Fragment header if it gets them.
 */
static bool may_be_split(const struct orc_pkt *p, const struct fq_addr *as)
{
	size_t more = orc_crosses(p, as) ? 40 + 8 - 20 : 0;

	return !p->v6 && !p->df && p->l3 + p->l3_len + more <= FQ_HOLD_FRAME_MAX;
}

static enum fq_reason ask(const struct orc_world *w, const struct orc_pkt *p,
			  const struct fq_addr *dst, struct orc_plan *plan,
			  const struct orc_route **ret_route)
{
	const struct orc_route *route = look_up(w, dst);
	const struct fq_addr *as = plan->gateway ? &p->dst : dst; /* how it will look */

	/* Of the version that is asked for: an IPv6 packet may go to an IPv4 gateway. */
	if (orc_v4(dst) && w->forwarding_off[plan->ingress])
		return FQ_R_FORWARDING_OFF;
	if (!route || route->hop == ORC_HOP_NONE)
		return FQ_R_NO_ROUTE;
	if (route->hop == ORC_HOP_BLACKHOLE)
		return FQ_R_BLACKHOLE;
	plan->mtu = route->mtu;
	plan->told_mtu = orc_told_mtu(p, as, route->mtu);
	plan->split = orc_leaving_len(p, as) > route->mtu;
	if (plan->split && !may_be_split(p, as))
		return FQ_R_TOO_BIG;
	if (plan->split && orc_crosses(p, as))
		plan->mtu = 1280;
	plan->side = route->side;
	plan->dmac = route->dmac;
	plan->unresolved = route->hop == ORC_HOP_UNRESOLVED;
	*ret_route = route;
	return FQ_OK;
}

enum fq_reason orc_route(const struct orc_world *w, const struct orc_pkt *p,
			 const struct fq_addr *dst, struct orc_plan *plan)
{
	const struct orc_route *route;

	return ask(w, p, dst, plan, &route);
}

/* Not left to the kernel if the neighbour is unknown: the daemon is told of the next hop. */
enum fq_reason orc_route_gateway(struct orc_world *w, const struct orc_pkt *p,
				 struct orc_plan *plan, struct orc_result *res)
{
	const struct orc_route *route;
	struct fq_gateway *g = NULL;
	struct orc_upcall *u;
	enum fq_reason r;

	for (unsigned int i = 0; i < w->gateways.n; i++)
		if (w->gateways.entry[i].key == plan->gateway)
			g = &w->gateways.entry[i].value;
	if (!g || orc_zero(&g->addr))
		return FQ_R_GATEWAY_UNKNOWN;
	r = ask(w, p, &g->addr, plan, &route);
	if (!r)
		g->ifindex = w->ifindex[plan->side];
	if (r || !plan->unresolved || orc_asks_neighbours(w->hook[plan->ingress]))
		return r;
	if (!g->told_at) { /* "at most twice a second": sequences are shorter */
		g->told_at = 1;
		u = &res->upcall[res->upcalls++];
		*u = (struct orc_upcall){
			.kind = FQ_UPCALL_TOUCH,
			.ifindex = w->ifindex[plan->side],
			.gateway = plan->gateway,
			.proxy = orc_zero(&route->via) ? g->addr : route->via,
		};
	}
	return FQ_R_GATEWAY_UNRESOLVED;
}

/* RFC 3704 2.2: does the route to the source lead out where the packet came in? */
bool orc_route_back(const struct orc_world *w, const struct orc_pkt *p, unsigned int side)
{
	const struct orc_route *route = look_up(w, &p->src);

	if (!p->v6 && w->forwarding_off[side])
		return false;
	return route && (route->hop == ORC_HOP_NEXT || route->hop == ORC_HOP_UNRESOLVED) &&
	       route->side == side;
}

/* Do packets to the gateway leave by that interface? Where none has yet, they may. */
bool orc_gateway_leads(const struct orc_world *w, uint32_t id, unsigned int side)
{
	for (unsigned int i = 0; i < w->gateways.n; i++) {
		const struct fq_gateway *g = &w->gateways.entry[i].value;

		if (w->gateways.entry[i].key == id && !orc_zero(&g->addr))
			return !g->ifindex || g->ifindex == w->ifindex[side];
	}
	return false;
}
