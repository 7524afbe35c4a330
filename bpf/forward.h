/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edge: flows whose gateway is elsewhere, forwarded as they are.
 *
 * Statement C-22.
 */
#pragma once

#include "route.h"
#include "session.h"

/* The other half of a forwarded session, by the tuple of this one. */
fq_inline struct fq_tuple forwarded_partner(const struct fq_tuple *t)
{
	return (struct fq_tuple){
		.src = t->dst,
		.dst = t->src,
		.sport = t->dport,
		.dport = t->sport,
		.proto = t->proto,
	};
}

/*
 * Interfaces without an address of their own are not judged: they may be ports of the one that
 * the route names (a bond runs its programs on them).
 */
fq_inline bool forwarded_judged(__u32 ifindex)
{
	const struct fq_dev *dev = bpf_map_lookup_elem(&devs, &ifindex);

	return dev && !(addr_is_zero(&dev->nat4) && addr_is_zero(&dev->nat6));
}

/*
 * In, of a forwarded session (C-22): from an interface that leads to the session's gateway? After
 * it has moved, to the first one (the in entry's) or the present one (the out entry's): answers of
 * the first may still be on their way. A route that has changed is noticed here, too.
 */
static __noinline bool forwarded_back(fq_ctx *ctx, const struct fq_slot *s, const struct fq_pkt *p,
				      __u64 now)
{
	struct fq_plan again = {.gateway = session_gateway(s)};
	struct fq_tuple out = forwarded_partner(&p->tuple);
	__u32 ifindex = p->ifindex;
	const struct fq_slot *partner;

	if (gateway_leads(again.gateway, ifindex) || !forwarded_judged(ifindex))
		return true;
	partner = session_at(session_find(&out));
	if (partner)
		again.gateway = session_gateway(partner);
	route_gateway(ctx, p, &again, now);
	return gateway_leads(again.gateway, ifindex);
}

/* The same of an ICMP error about the session of tuple @in. No route is asked: replies do that. */
fq_inline bool forwarded_error_back(const struct fq_slot *s, const struct fq_tuple *in,
				    __u32 ifindex)
{
	struct fq_tuple out = forwarded_partner(in);
	const struct fq_slot *partner;

	if (gateway_leads(session_gateway(s), ifindex) || !forwarded_judged(ifindex))
		return true;
	partner = session_at(session_find(&out));
	return partner && gateway_leads(session_gateway(partner), ifindex);
}
