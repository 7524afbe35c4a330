/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP hook: what hook.h needs to be done to frames, in XDP's way. Beside hook_tc.h the only
 * place that resizes and redirects frames, and the only one that knows XDP verdicts.
 *
 * XDP_TX is never returned for a packet: a veth peer without a program of its own would lose the
 * frame. Answers are redirected to the interface they came from.
 */
#pragma once

#include "frame.h"
#include "parse.h"
#include "upcall.h"
#include "vlan.h"

#define HOOK_PASS XDP_PASS
#define HOOK_DROP XDP_DROP
#define HOOK_SENT XDP_REDIRECT

/* Parse the frame, if it is for this host. See parse_frame, vlan_enter. */
fq_inline enum fq_reason hook_parse(fq_ctx *ctx, struct fq_pkt *p, const enum fq_mode mode)
{
	enum fq_reason r;

	if (frame_foreign(ctx, p->ifindex))
		return FQ_R_NOT_OURS;
	r = parse_frame(ctx_data(ctx), ctx_end(ctx), p);
	return r == FQ_R_VLAN && mode == FQ_MODE_NATIVE ? vlan_enter(ctx, p) : r;
}

/*
 * The reason that is counted. What is left to a VLAN device's own program after all counts there:
 * here it is one more tagged frame that is the kernel's.
 */
fq_inline enum fq_reason hook_reason(const struct fq_pkt *p, enum fq_reason r)
{
	return p->vlan && reason_class(r) == FQ_CLASS_PASS ? FQ_R_VLAN : r;
}

/* Leave the frame to the kernel, as it came. */
fq_inline int hook_pass(fq_ctx *ctx, const struct fq_pkt *p)
{
	return p->vlan && !vlan_tag(ctx, p->vlan) ? XDP_DROP : XDP_PASS;
}

/* The frame ends after @len bytes; no longer than it is. */
fq_inline bool hook_trim(fq_ctx *ctx, __u32 len)
{
	return !bpf_xdp_adjust_tail(ctx, (int)len - (int)ctx_len(ctx));
}

/*
 * Make room of @delta bytes before the L3 header, or (negative) take so many away. The Ethernet
 * header goes before them. What is in the room is anything. Packet pointers end here.
 */
fq_inline bool hook_grow(fq_ctx *ctx, int delta)
{
	struct ethhdr *eth = ctx_data(ctx), old;

	if ((void *)(eth + 1) > ctx_end(ctx))
		return false;
	old = *eth;
	if (bpf_xdp_adjust_head(ctx, -delta))
		return false;
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_end(ctx))
		return false;
	*eth = old;
	return true;
}

/* The same for a packet that becomes one of @family. */
fq_inline bool hook_grow_into(fq_ctx *ctx, int delta, __u8 family)
{
	(void)family;
	return hook_grow(ctx, delta);
}

/* The bytes [off, off + len) of the frame are about to be written anew. */
fq_inline bool hook_emptied(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len)
{
	(void)ctx;
	(void)slot;
	(void)off;
	(void)len;
	return true;
}

/* That room, [off, off + len) of the frame, has been filled. */
fq_inline bool hook_filled(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len)
{
	(void)ctx;
	(void)slot;
	(void)off;
	(void)len;
	return true;
}

/*
 * A device map first: it is faster, sends in bulk, and knows who takes native frames: others
 * (bridges, tunnels) would lose them. In generic mode every interface takes packets, and VLAN
 * devices write their tag themselves; in native mode it is yet to be written (vlan_leave).
 *
 * Return: HOOK_SENT; HOOK_PASS if the daemon has to send the packet.
 */
fq_inline int xdp_redirect(__u32 oif, __u8 mode)
{
	int verdict = XDP_PASS;

	if (mode != FQ_MODE_GENERIC || !vlan_below(oif))
		verdict = bpf_redirect_map(&tx, oif, XDP_PASS);
	if (verdict == XDP_REDIRECT || mode == FQ_MODE_NATIVE)
		return verdict;
	return bpf_redirect(oif, 0);
}

/* Send the frame back to where it has come from; it is addressed. As xdp_redirect; or HOOK_DROP. */
fq_inline int hook_send_back(fq_ctx *ctx, __u32 ifindex, __u8 mode)
{
	int verdict = xdp_redirect(ifindex, mode);

	if (verdict == XDP_REDIRECT && mode == FQ_MODE_NATIVE && !vlan_leave(ctx, ifindex))
		return XDP_DROP;
	return verdict;
}

/*
 * Choose how the packet leaves: by redirection, or (plan->slow) by the daemon. Return: what
 * hook_leave wants to know.
 */
fq_inline int hook_way(struct fq_plan *plan)
{
	int verdict = XDP_DROP;

	/* Who injects does not learn where a packet was redirected to. */
	if (plan->mode == FQ_MODE_INJECT && plan->gateway)
		plan->slow = 1;
	if (!plan->slow) {
		verdict = xdp_redirect(plan->oif, plan->mode);
		plan->slow = verdict != XDP_REDIRECT;
	}
	return verdict;
}

/* A packet on its way to a gateway, back to who injects it; the interface stands before the frame.
 */
static __noinline enum fq_reason xdp_hand_back(fq_ctx *ctx, __u32 oif)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return FQ_R_SLOW_FAILED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > ctx_data(ctx))
		return FQ_R_SLOW_FAILED;
	*meta = oif;
	return FQ_R_FORWARDED_SLOW;
}

/*
 * Send a packet that has been written.
 *
 * @way: as from hook_way
 * @l3_off: of the packet in the frame, before and after
 *
 * Return: FQ_OK with *@ret_verdict, or (plan->slow) with the frame as hook_slow wants it;
 * FORWARDED_SLOW with *@ret_verdict; SLOW_FAILED; GATEWAY_UNRESOLVED; WRITE_FAILED.
 */
fq_inline enum fq_reason hook_leave(fq_ctx *ctx, const struct fq_plan *plan, int way, __u32 *l3_off,
				    int *ret_verdict)
{
	struct ethhdr *eth = ctx_data(ctx);

	(void)l3_off;
	if ((void *)(eth + 1) > ctx_end(ctx))
		return FQ_R_WRITE_FAILED;
	if (!plan->slow || plan->gateway) {
		__builtin_memcpy(eth->h_dest, plan->dmac, ETH_ALEN);
		__builtin_memcpy(eth->h_source, plan->smac, ETH_ALEN);
	}
	if (!plan->slow) {
		*ret_verdict = way;
		if (plan->mode == FQ_MODE_NATIVE && !vlan_leave(ctx, plan->oif))
			return FQ_R_WRITE_FAILED;
	}
	if (plan->mode == FQ_MODE_INJECT && plan->gateway && !plan->split) {
		*ret_verdict = XDP_TX;
		return xdp_hand_back(ctx, plan->oif);
	}
	return FQ_OK;
}
