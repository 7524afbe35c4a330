/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a translated packet goes: the kernel's FIB, neighbours and MTU, asked for every packet, so
 * that a change counts at once.
 *
 * The lookup is what the kernel does for a NATed packet: destinations are translated before it,
 * sources after it. Policy rules therefore see the client's address on the way out and the
 * resource's on the way in, as the sender wrote them.
 */
#pragma once

#include "maps.h"
#include "pkt.h"

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

/*
 * Find the next hop to @dst.
 *
 * On success, plan->oif and the MAC addresses are set, or, if the neighbour is not known,
 * plan->oif and plan->slow.
 *
 * Return: FQ_OK; TOO_BIG (with plan->mtu); NO_ROUTE; BLACKHOLE; FORWARDING_OFF.
 */
static __noinline enum fq_reason route(struct xdp_md *ctx, const struct fq_pkt *p,
				       const struct fq_addr *dst, struct fq_plan *plan)
{
	struct bpf_fib_lookup fib = {
		.family = p->family,
		.l4_protocol = p->tuple.proto,
		.tot_len = p->l3_len,
		.ifindex = ctx->ingress_ifindex,
	};
	long status;

	if (proto_has_ports(p->tuple.proto)) {
		fib.sport = p->sport;
		fib.dport = p->dport;
	}
	if (p->family == FQ_AF_INET) {
		fib.tos = p->tos;
		fib.ipv4_src = p->tuple.src.w[3];
		fib.ipv4_dst = dst->w[3];
	} else {
		fib.flowinfo = p->flowinfo;
		__builtin_memcpy(fib.ipv6_src, &p->tuple.src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, dst, sizeof(fib.ipv6_dst));
	}
	status = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (status != BPF_FIB_LKUP_RET_SUCCESS && status != BPF_FIB_LKUP_RET_NO_NEIGH) {
		plan->mtu = fib.mtu_result;
		return route_reason(status);
	}
	plan->oif = fib.ifindex;
	plan->slow = status == BPF_FIB_LKUP_RET_NO_NEIGH;
	__builtin_memcpy(plan->dmac, fib.dmac, ETH_ALEN);
	__builtin_memcpy(plan->smac, fib.smac, ETH_ALEN);
	return FQ_OK;
}
