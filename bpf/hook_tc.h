/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tc hook: what hook.h needs to be done to packets, in tc's way (TCX, or a clsact filter in
 * direct action mode, at ingress). See hook_xdp.h.
 *
 * Here packets are the kernel's (skb): they keep what interfaces are to do for them (checksums,
 * segmentation) on the way to any other interface. Three things follow. Only the first bytes may
 * lie in one piece. One packet may be many (GSO), up to 64 KB. And there may be no Ethernet header
 * (TUN, WireGuard): then the IP header is at 0.
 *
 * What is redirected leaves by the other interface's transmission path: nothing there depends on a
 * program, on the peer of a veth, or on a known neighbour.
 */
#pragma once

#include "frame.h"
#include "parse.h"
#include "upcall.h"

/* <linux/pkt_cls.h>: others' programs go on with what is not ours. */
#define TC_ACT_UNSPEC   (-1)
#define TC_ACT_SHOT     2
#define TC_ACT_REDIRECT 7

#define HOOK_PASS TC_ACT_UNSPEC
#define HOOK_DROP TC_ACT_SHOT
#define HOOK_SENT TC_ACT_REDIRECT

/* <linux/if_packet.h> */
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2

#define TC_HEADERS_MAX (FQ_L3_OFF_MAX + FQ_L4_OFF_MAX + 60) /* read, at most */

/* Have more of the packet lie in one piece. Return: false if nothing is gained by that. */
fq_inline bool tc_pull(fq_ctx *ctx)
{
	__u32 len = ctx_len(ctx), have = ctx->data_end - ctx->data;

	if (have >= len || have >= TC_HEADERS_MAX)
		return false;
	return !bpf_skb_pull_data(ctx, len < TC_HEADERS_MAX ? len : TC_HEADERS_MAX);
}

/*
 * The longest packet on the wire: headers and a segment (GSO). Who made the packet says so, and may
 * be a process with a TUN.
 */
fq_inline void tc_gso(const fq_ctx *ctx, struct fq_pkt *p)
{
	__u32 headers = p->l4_off - p->l3_off + p->l4_hlen;

	if (ctx->gso_size && p->l4_hlen && headers + ctx->gso_size < p->l3_len)
		p->mtu_len = headers + ctx->gso_size;
}

/*
 * Parse the packet, if it is for this host. A tag that the kernel has taken off (it does before
 * this hook) belongs to the frame.
 *
 * Most packets have all their headers in one piece; the others are parsed twice.
 */
fq_global enum fq_reason tc_parse(fq_ctx *ctx, struct fq_pkt *p, bool ethernet)
{
	__u32 l3_off = ethernet ? ETH_HLEN : 0;
	enum fq_reason r = FQ_R_MALFORMED;

	if (!p || ctx_len(ctx) < l3_off)
		return r;
	if (ethernet && frame_foreign(ctx, p->ifindex))
		return FQ_R_NOT_OURS;
	if (ctx->vlan_present)
		return FQ_R_VLAN;
	for (int i = 0; i < 2 && r == FQ_R_MALFORMED; i++) {
		if (i && !tc_pull(ctx))
			break;
		*p = (struct fq_pkt){.ifindex = ctx_ifindex(ctx),
				     .l3_off = l3_off,
				     .l3_room = ctx_len(ctx) - l3_off};
		p->l2_group =
			ctx->pkt_type == PACKET_BROADCAST || ctx->pkt_type == PACKET_MULTICAST;
		r = parse_l3(ctx_data(ctx), ctx_end(ctx), p, ctx->protocol);
	}
	tc_gso(ctx, p);
	return r;
}

/* The frame ends after @len bytes; no longer than it is. It is one packet in one piece then. */
fq_inline bool hook_trim(fq_ctx *ctx, __u32 len)
{
	return !bpf_skb_change_tail(ctx, len, 0);
}

/* See hook_xdp.h. What is in the room is zero: the sum over the packet is what it was. */
fq_inline bool hook_grow(fq_ctx *ctx, int delta)
{
	return !bpf_skb_adjust_room(ctx, delta, BPF_ADJ_ROOM_MAC, 0);
}

/*
 * See hook_xdp.h. The kernel has to know what the packet is now, in how its segments are made, too;
 * it adds or removes the difference between the two headers. (Since 5.14 it does so for datagrams
 * that are yet to be cut, too.)
 */
fq_inline bool hook_grow_into(fq_ctx *ctx, int delta, __u8 family)
{
	bool v4 = family == FQ_AF_INET;
	int rest = v4 ? delta + XLAT_GROWTH : delta - XLAT_GROWTH;

	if (bpf_skb_change_proto(ctx, v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6), 0))
		return false;
	return !rest || hook_grow(ctx, rest);
}

/* What is about to go does not count any more. */
fq_inline bool hook_emptied(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len)
{
	__u64 sum;

	if (!frame_sum(ctx, slot, off, len, &sum))
		return false;
	ctx_sum_changed(ctx, (__u16)~csum_fold(sum));
	return true;
}

/* Now it is not. */
fq_inline bool hook_filled(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len)
{
	__u64 sum;

	if (!frame_sum(ctx, slot, off, len, &sum))
		return false;
	ctx_sum_changed(ctx, csum_fold(sum));
	return true;
}

fq_inline int hook_send_back(fq_ctx *ctx, __u32 ifindex, __u8 mode)
{
	(void)ctx;
	(void)mode;
	return bpf_redirect(ifindex, 0);
}

fq_inline enum fq_reason hook_reason(const struct fq_pkt *p, enum fq_reason r)
{
	(void)p;
	return r;
}

fq_inline int hook_pass(fq_ctx *ctx, const struct fq_pkt *p)
{
	(void)ctx;
	(void)p;
	return HOOK_PASS;
}

fq_inline int hook_way(struct fq_plan *plan)
{
	(void)plan;
	return TC_ACT_REDIRECT;
}

/* Address the frame, which gets an Ethernet header if it has none. */
fq_inline bool tc_address(fq_ctx *ctx, const struct fq_plan *plan, __u32 *l3_off)
{
	struct ethhdr *eth;

	if (!*l3_off && bpf_skb_change_head(ctx, ETH_HLEN, 0))
		return false;
	*l3_off = ETH_HLEN;
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_end(ctx))
		return false;
	eth->h_proto = ctx->protocol;
	if (plan->resolve)
		return true;
	__builtin_memcpy(eth->h_dest, plan->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, plan->smac, ETH_ALEN);
	return true;
}

/* The kernel asks for the neighbour's MAC address, keeps the packet meanwhile, and addresses it. */
static __noinline int tc_send_resolve(const struct fq_plan *plan)
{
	struct bpf_redir_neigh hop = {};

	if (addr_is_mapped(&plan->hop)) {
		hop.nh_family = FQ_AF_INET;
		hop.ipv4_nh = plan->hop.w[3];
	} else {
		hop.nh_family = FQ_AF_INET6;
		__builtin_memcpy(hop.ipv6_nh, &plan->hop, sizeof(hop.ipv6_nh));
	}
	return bpf_redirect_neigh(plan->oif, &hop, sizeof(hop), 0);
}

/*
 * See hook_xdp.h. From an interface without Ethernet header to one that has it, the header is made;
 * the other way round the kernel takes it off.
 */
fq_inline enum fq_reason hook_leave(fq_ctx *ctx, const struct fq_plan *plan, int way, __u32 *l3_off,
				    int *ret_verdict)
{
	__u32 oif = plan->oif;
	const struct fq_dev *dev = bpf_map_lookup_elem(&devs, &oif);
	bool bare = dev && dev->bare;

	(void)way;
	if (plan->slow && !plan->gateway)
		return FQ_OK;
	if (!bare && !tc_address(ctx, plan, l3_off))
		return FQ_R_WRITE_FAILED;
	if (plan->slow)
		return plan->resolve && !bare ? FQ_R_GATEWAY_UNRESOLVED : FQ_OK;
	*ret_verdict = plan->resolve && !bare ? tc_send_resolve(plan) : bpf_redirect(oif, 0);
	return FQ_OK;
}

/* Queries are the daemon's here: see dns_hook.h. */
fq_inline enum fq_reason hook_dns(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	(void)ctx;
	(void)p;
	(void)mode;
	return FQ_R_NOT_OURS;
}
