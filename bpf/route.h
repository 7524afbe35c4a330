/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a translated packet goes: the kernel's FIB, neighbours and MTU. Sessions may remember
 * the answer as long as the daemon hears of changes (hops.h).
 *
 * The lookup is what the kernel does for a NATed packet: destinations are translated before it,
 * sources after it. Policy rules therefore see the client's address on the way out and the
 * resource's on the way in, as the sender wrote them.
 *
 * Across IP versions (dst's is not the packet's) they see no source, and everything else as it will
 * leave.
 *
 * On the way to a remote gateway they see neither: the question is where that gateway is, the same
 * for all packets, of whatever IP version.
 */
#pragma once

#include "ctx.h"
#include "maps.h"
#include "pkt.h"
#include "session.h"
#include "upcall.h"
#include "xlat.h"

#define GATEWAY_TELL_NS  500000000ULL /* the daemon is told again after this long */
#define ROUTE_GROWTH_MAX 28           /* bytes by which a translated packet may be longer */

/* The kernel's answers other than a next hop; the rest means that there is no way. */
fq_inline enum fq_reason route_reason(long status)
{
	switch (status) {
	case BPF_FIB_LKUP_RET_BLACKHOLE:
		return FQ_R_BLACKHOLE;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return FQ_R_FORWARDING_OFF;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return FQ_R_TOO_BIG;
	default:
		return FQ_R_NO_ROUTE;
	}
}

fq_inline bool proto_has_ports(__u8 proto)
{
	return proto == FQ_PROTO_TCP || proto == FQ_PROTO_UDP;
}

/* Interfaces without link-layer addresses (tunnels) take packets, not frames. */
fq_inline bool mac_is_zero(const __u8 mac[ETH_ALEN])
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* Where the lookup has put the next hop: in the place of the destination. */
fq_inline void route_hop(const struct bpf_fib_lookup *fib, struct fq_addr *ret_hop)
{
	if (fib->family == FQ_AF_INET)
		addr_set4(ret_hop, fib->ipv4_dst);
	else
		__builtin_memcpy(ret_hop, fib->ipv6_dst, sizeof(*ret_hop));
}

/* Ask the kernel, see route. */
fq_inline enum fq_reason route_ask(fq_ctx *ctx, struct bpf_fib_lookup *fib, struct fq_plan *plan)
{
	long status = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);

	if (status != BPF_FIB_LKUP_RET_SUCCESS && status != BPF_FIB_LKUP_RET_NO_NEIGH) {
		plan->mtu = fib->mtu_result;
		return route_reason(status);
	}
	plan->oif = fib->ifindex;
	plan->resolve = status == BPF_FIB_LKUP_RET_NO_NEIGH;
	/* Without a neighbour the kernel leaves there what it was given, the packet's length. */
	plan->mtu = plan->resolve ? 0 : fib->mtu_result;
	if (CTX_SENDS_ANYWHERE && plan->resolve) {
		route_hop(fib, &plan->hop);
		return FQ_OK;
	}
	plan->slow = !CTX_SENDS_ANYWHERE && (plan->resolve || mac_is_zero(fib->smac));
	__builtin_memcpy(plan->dmac, fib->dmac, ETH_ALEN);
	__builtin_memcpy(plan->smac, fib->smac, ETH_ALEN);
	return FQ_OK;
}

/*
 * An IPv4 packet without DF that is too big is not refused but fragmented (RFC 4787 REQ-13), which
 * is the daemon's work: the next hop is asked for once more, for a packet of any size.
 *
 * @parts: how large the fragments may be; 0: as large as the next hop takes
 *
 * Return: as route_ask; TOO_BIG if this one has to be refused.
 */
fq_inline enum fq_reason route_split(fq_ctx *ctx, const struct fq_pkt *p,
				     struct bpf_fib_lookup *fib, struct fq_plan *plan, __u16 parts)
{
	__u16 mtu = parts ? parts : plan->mtu;
	enum fq_reason r;

	if (p->family != FQ_AF_INET || p->df || pkt_is_gso(p) ||
	    p->l3_off + p->l3_len + (parts ? ROUTE_GROWTH_MAX : 0) > FQ_HOLD_FRAME_MAX)
		return FQ_R_TOO_BIG;
	fib->tot_len = 1;
	fib->ifindex = p->ifindex;
	r = route_ask(ctx, fib, plan);
	plan->mtu = mtu;
	plan->slow = plan->split = !r;
	return r;
}

/*
 * Find the next hop to @dst, whose IP version is the one in which the packet leaves.
 *
 * On success, plan->oif and the MAC addresses are set, or, if the neighbour is not known
 * (plan->resolve), plan->oif and what the hook makes of that: plan->hop or plan->slow.
 *
 * Return: FQ_OK; TOO_BIG (with plan->mtu, for the sender); NO_ROUTE; BLACKHOLE; FORWARDING_OFF.
 */
fq_global enum fq_reason route(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_addr *dst,
			       struct fq_plan *plan)
{
	struct bpf_fib_lookup fib = {};
	enum fq_reason r;
	__u8 family;
	bool same;

	if (!p || !dst || !plan)
		return FQ_R_NO_ROUTE;
	fib.ifindex = p->ifindex;
	family = addr_family(dst);
	same = family == p->family;
	fib.family = family;
	fib.l4_protocol = xlat_proto_of(p->tuple.proto, family);
	fib.tot_len = xlat_len(p, p->mtu_len, family);
	if (proto_has_ports(p->tuple.proto)) {
		fib.sport = p->sport;
		fib.dport = p->dport;
	}
	if (family == FQ_AF_INET) {
		fib.tos = xlat_tos(p);
		fib.ipv4_src = same ? p->tuple.src.w[3] : 0;
		fib.ipv4_dst = dst->w[3];
	} else {
		fib.flowinfo = same ? p->flowinfo : bpf_htonl((__u32)p->tos << 20);
		if (same)
			__builtin_memcpy(fib.ipv6_src, &p->tuple.src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, dst, sizeof(fib.ipv6_dst));
	}
	r = route_ask(ctx, &fib, plan);
	/* RFC 7915 4: beyond an IPv6 router nobody fragments, and every link takes that much. */
	if (r == FQ_R_TOO_BIG)
		r = route_split(ctx, p, &fib, plan, same ? 0 : IP6_MTU_MIN);
	if (r == FQ_R_TOO_BIG && !same)
		plan->mtu = xlat_mtu(plan->mtu, p->family, p->frag);
	return r;
}

/*
 * Would a packet to the source of this one leave by the interface by which this one has come?
 * Strict reverse path forwarding, RFC 3704 2.2; asked as the kernel does for net.ipv4.*.rp_filter,
 * which does not see packets that never reach it.
 */
static __noinline bool route_back(fq_ctx *ctx, const struct fq_pkt *p)
{
	struct bpf_fib_lookup fib = {
		.family = p->family,
		.l4_protocol = p->tuple.proto,
		.tot_len = 1, /* else tc would take the packet's */
		.ifindex = p->ifindex,
	};
	long status;

	if (p->family == FQ_AF_INET) {
		fib.tos = p->tos;
		fib.ipv4_src = p->tuple.dst.w[3];
		fib.ipv4_dst = p->tuple.src.w[3];
	} else {
		fib.flowinfo = p->flowinfo;
		__builtin_memcpy(fib.ipv6_src, &p->tuple.dst, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &p->tuple.src, sizeof(fib.ipv6_dst));
	}
	status = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return (status == BPF_FIB_LKUP_RET_SUCCESS || status == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       fib.ifindex == p->ifindex;
}

/* The gateway of that id; NULL: there is none. */
fq_inline struct fq_gateway *gateway_find(__u32 id)
{
	struct fq_gateway *g = bpf_map_lookup_elem(&gateways, &id);

	return g && !addr_is_zero(&g->addr) ? g : NULL;
}

/* Do packets to the gateway go out by that interface? Where none has gone yet, they may. */
fq_inline bool gateway_leads(__u32 id, __u32 ifindex)
{
	const struct fq_gateway *g = gateway_find(id);
	__u32 known;

	if (!g)
		return false;
	known = READ_ONCE(g->ifindex);
	return !known || known == ifindex;
}

/* The neighbour on the way to the gateway is not known: have user space make the kernel look for
 * it. */
fq_inline void gateway_tell(const struct fq_plan *plan, const struct fq_addr *hop,
			    struct fq_gateway *g, __u64 now)
{
	__u64 told_at = READ_ONCE(g->told_at);

	if ((!told_at || now - told_at >= GATEWAY_TELL_NS) &&
	    __sync_val_compare_and_swap(&g->told_at, told_at, now) == told_at)
		upcall_touch(plan->oif, 0, plan->gateway, hop);
}

/*
 * Find the next hop to the gateway plan->gateway: as route does, but a packet whose neighbour is
 * not known cannot be left to the kernel, which would send it where its destination's route leads.
 * Only a hook that can say the next hop has the kernel send it. The interface is noted, see
 * gateway_leads.
 *
 * Return: as route; GATEWAY_UNKNOWN; GATEWAY_UNRESOLVED.
 */
fq_global enum fq_reason route_gateway(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan,
				       __u64 now)
{
	struct bpf_fib_lookup fib = {};
	struct fq_gateway *g;
	struct fq_addr hop;
	enum fq_reason r;

	if (!p || !plan)
		return FQ_R_GATEWAY_UNKNOWN;
	/* Where it is not used, clang 16 would have callers pass anything: not to a global one. */
	barrier_var(now);
	g = gateway_find(plan->gateway);
	if (!g)
		return FQ_R_GATEWAY_UNKNOWN;
	fib.ifindex = p->ifindex;
	fib.l4_protocol = p->tuple.proto;
	fib.tot_len = p->mtu_len;
	if (addr_is_mapped(&g->addr)) {
		fib.family = FQ_AF_INET;
		fib.ipv4_dst = g->addr.w[3];
	} else {
		fib.family = FQ_AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, &g->addr, sizeof(fib.ipv6_dst));
	}
	r = route_ask(ctx, &fib, plan);
	if (r == FQ_R_TOO_BIG)
		r = route_split(ctx, p, &fib, plan, 0);
	if (!r && READ_ONCE(g->ifindex) != plan->oif)
		WRITE_ONCE(g->ifindex, plan->oif);
	if (r || !plan->resolve || CTX_SENDS_ANYWHERE)
		return r;
	route_hop(&fib, &hop);
	gateway_tell(plan, &hop, g, now);
	return FQ_R_GATEWAY_UNRESOLVED;
}
