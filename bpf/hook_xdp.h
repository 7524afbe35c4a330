/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP hook: carries out what the pipeline has decided. The only place that writes to
 * frames, resizes and redirects them, and that knows XDP verdicts.
 *
 * XDP_TX is never returned: a veth peer without a program of its own would lose the frame.
 * Answers are redirected to the interface they came from.
 *
 * Partial checksums: native XDP loses the mark that the sender's checksum is yet to be completed,
 * so it is completed here. In generic mode the mark stays with the packet and the kernel completes
 * it when it is sent, unless the daemon sends it (held, slow): then it is completed here, too.
 */
#pragma once

#include "frame.h"
#include "icmp_err.h"
#include "pipeline.h"

/*
 * A device map first: it is faster, sends in bulk, and knows who takes native frames: others
 * (bridges, VLANs, tunnels) would lose them. In generic mode every interface takes packets.
 *
 * Return: XDP_REDIRECT; XDP_PASS if the daemon has to send the packet.
 */
fq_inline int hook_redirect(__u32 oif, __u8 mode)
{
	int verdict = bpf_redirect_map(&tx, oif, XDP_PASS);

	if (verdict == XDP_REDIRECT || mode == FQ_MODE_NATIVE)
		return verdict;
	return bpf_redirect(oif, 0);
}

/* Choose how the packet leaves: by redirection, or (plan->slow) by the daemon. */
fq_inline int hook_way(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan)
{
	int verdict = XDP_DROP;

	if (plan->mode == FQ_MODE_GENERIC && frame_csum_ambiguous(ctx, p, plan))
		plan->slow = 1;
	/* Who injects does not learn where a packet was redirected to. */
	if (plan->mode == FQ_MODE_INJECT && plan->gateway)
		plan->slow = 1;
	if (!plan->slow) {
		verdict = hook_redirect(plan->oif, plan->mode);
		plan->slow = verdict != XDP_REDIRECT;
	}
	return verdict;
}

/*
 * Have the daemon send the packet: the kernel asks for the neighbour, and knows every interface. On
 * the way to a gateway the route is not the kernel's choice: there the frame is complete.
 */
static __noinline enum fq_reason hook_slow(fq_ctx *ctx, const struct fq_pkt *p,
					   const struct fq_plan *plan)
{
	struct fq_upcall head = {
		.kind = FQ_UPCALL_SLOW,
		.domain = plan->domain,
		.ifindex = ctx_ifindex(ctx),
		.proxy = plan->src,
	};

	/* Else clang 16 chooses between two addresses, one of them in the context. */
	barrier_var(head.ifindex);
	if (plan->gateway) {
		head.kind = FQ_UPCALL_VIA;
		head.ifindex = plan->oif;
	}
	if (!upcall_frame(ctx, &head, p->l3_off, p->l3_len))
		return FQ_R_SLOW_FAILED;
	return plan->forwarded ? FQ_R_FORWARDED_SLOW : FQ_R_TRANSLATED_SLOW;
}

/* A packet on its way to a gateway, back to who injects it; the interface stands before the frame.
 */
static __noinline enum fq_reason hook_hand_back(fq_ctx *ctx, __u32 oif)
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
 * Translate and send.
 *
 * Return: TRANSLATED, FORWARDED with *@ret_verdict; TRANSLATED_SLOW; FORWARDED_SLOW; SLOW_FAILED;
 * WRITE_FAILED.
 */
fq_inline enum fq_reason hook_forward(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan,
				      int *ret_verdict)
{
	struct ethhdr *eth;
	bool partial;
	int verdict;

	verdict = hook_way(ctx, p, plan);
	if (!frame_translate(ctx, p, plan, &partial))
		return FQ_R_WRITE_FAILED;
	if (partial && (plan->mode != FQ_MODE_GENERIC || plan->slow) &&
	    !frame_complete(ctx, p, plan))
		return FQ_R_WRITE_FAILED;
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_end(ctx))
		return FQ_R_WRITE_FAILED;
	if (!plan->slow || plan->gateway) {
		__builtin_memcpy(eth->h_dest, plan->dmac, ETH_ALEN);
		__builtin_memcpy(eth->h_source, plan->smac, ETH_ALEN);
	}
	if (plan->mode == FQ_MODE_INJECT && plan->gateway) {
		*ret_verdict = XDP_TX;
		return hook_hand_back(ctx, plan->oif);
	}
	if (plan->slow)
		return hook_slow(ctx, p, plan);
	*ret_verdict = verdict;
	return plan->forwarded ? FQ_R_FORWARDED : FQ_R_TRANSLATED;
}

/* Give the packet to the daemon, as its sender would have sent it. */
static __noinline enum fq_reason hook_hold(fq_ctx *ctx, const struct fq_pkt *p,
					   const struct fq_plan *plan)
{
	struct fq_upcall head = {
		.kind = FQ_UPCALL_HOLD,
		.domain = plan->domain,
		.ifindex = ctx_ifindex(ctx),
		.proxy = p->tuple.dst,
	};
	bool partial;

	if (!frame_complete_received(ctx, p, plan, &partial) ||
	    !upcall_frame(ctx, &head, p->l3_off, p->l3_len))
		return FQ_R_HOLD_FAILED;
	return FQ_R_HELD;
}

/* Rate limits: one receiver, then all (a receiver out of tokens must not use up everyone's). */
static __noinline bool icmp_tokens(const struct fq_addr *receiver)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct fq_bucket fresh = {.refilled = now, .tokens = fq_settings.icmp_burst};
	struct fq_bucket *b = bpf_map_lookup_elem(&icmp_buckets, receiver);
	__u32 zero = 0;

	if (b) {
		if (!bucket_take(b, fq_settings.icmp_per_second, fq_settings.icmp_burst, now))
			return false;
	} else {
		if (!fresh.tokens)
			return false;
		fresh.tokens--;
		bpf_map_update_elem(&icmp_buckets, receiver, &fresh, BPF_ANY);
	}
	b = bpf_map_lookup_elem(&icmp_cpu, &zero);
	return b &&
	       bucket_take(b, fq_settings.icmp_cpu_per_second, fq_settings.icmp_cpu_burst, now);
}

/*
 * Whose address the error has. Out: the proxy address, which is the destination as far as the
 * sender knows (G-31). In: ours on that interface, or what the resource takes for the sender.
 */
fq_inline void refuse_source(const fq_ctx *ctx, const struct fq_pkt *p, __u8 dir,
			     struct fq_addr *ret_src)
{
	__u32 ifindex = ctx_ifindex(ctx);
	const struct fq_dev *dev;

	*ret_src = p->tuple.dst;
	if (dir == FQ_DIR_OUT)
		return;
	dev = bpf_map_lookup_elem(&devs, &ifindex);
	if (!dev)
		return;
	if (p->family == FQ_AF_INET && !addr_is_zero(&dev->nat4))
		*ret_src = dev->nat4;
	if (p->family == FQ_AF_INET6 && !addr_is_zero(&dev->nat6))
		*ret_src = dev->nat6;
}

/* Trim the frame to what is quoted, and make room for the headers before it. */
fq_inline bool refuse_resize(fq_ctx *ctx, const struct icmp_err *e, int hlen)
{
	int len = ctx_end(ctx) - ctx_data(ctx);

	return !bpf_xdp_adjust_tail(ctx, e->l3_off + e->quote_len - len) &&
	       !bpf_xdp_adjust_head(ctx, -hlen);
}

/* Turn the frame into the error @e, back to where it came from. */
static __noinline bool refuse_write(fq_ctx *ctx, __u32 slot, struct icmp_err *e)
{
	int hlen = e->family == FQ_AF_INET ? ICMP_ERR_HLEN4 : ICMP_ERR_HLEN6;
	struct ethhdr *eth = ctx_data(ctx), old;
	void *l3;

	if ((void *)(eth + 1) > ctx_end(ctx))
		return false;
	old = *eth;
	if (!refuse_resize(ctx, e, hlen) ||
	    !frame_sum(ctx, slot, e->l3_off + hlen, e->quote_len, &e->quote_sum))
		return false;
	eth = ctx_data(ctx);
	l3 = eth + 1;
	if (l3 + ICMP_ERR_HLEN6 > ctx_end(ctx))
		return false;
	__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
	eth->h_proto = old.h_proto;
	if (e->family == FQ_AF_INET)
		icmp_err_write4(e, l3);
	else
		icmp_err_write6(e, l3);
	return true;
}

/*
 * Send the error. In generic mode a packet with a partial checksum keeps the kernel's mark,
 * which would have it "complete" a checksum in the middle of the quoted packet: such an error
 * takes the slow way (@partial).
 */
fq_inline int refuse_send(fq_ctx *ctx, const struct icmp_err *e, __u8 mode, bool partial)
{
	__u32 hlen = e->family == FQ_AF_INET ? ICMP_ERR_HLEN4 : ICMP_ERR_HLEN6;
	struct fq_upcall head = {
		.kind = FQ_UPCALL_SLOW,
		.ifindex = ctx_ifindex(ctx),
		.proxy = e->src,
	};

	if ((mode != FQ_MODE_GENERIC || !partial) &&
	    hook_redirect(ctx_ifindex(ctx), mode) == XDP_REDIRECT)
		return XDP_REDIRECT;
	upcall_frame(ctx, &head, e->l3_off, hlen + e->quote_len);
	return XDP_DROP;
}

/* Answer a refused packet by ICMP. Return: verdict. */
static __noinline int hook_refuse(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan,
				  __u32 reason)
{
	struct icmp_err e = {
		.dst = p->tuple.src,
		.l3_off = p->l3_off,
		.quote_len = icmp_err_quote(p),
		.family = p->family,
	};
	bool partial = false;

	if (reason >= FQ_REASON_MAX || !icmp_err_allowed(p)) {
		stats_count(FQ_R_ICMP_NOT_ALLOWED, p->l3_len);
		return XDP_DROP;
	}
	if (!icmp_tokens(&e.dst)) {
		stats_count(FQ_R_ICMP_LIMITED, p->l3_len);
		return XDP_DROP;
	}
	e.type = p->family == FQ_AF_INET ? icmp_err_kinds[reason].type4
					 : icmp_err_kinds[reason].type6;
	e.code = p->family == FQ_AF_INET ? icmp_err_kinds[reason].code4
					 : icmp_err_kinds[reason].code6;
	if (reason == FQ_R_TOO_BIG)
		e.mtu = plan->mtu;
	refuse_source(ctx, p, plan->dir, &e.src);
	if (!frame_complete_received(ctx, p, plan, &partial) ||
	    !refuse_write(ctx, mode_slot(plan->mode), &e))
		return XDP_DROP;
	stats_count(FQ_R_ICMP_SENT, p->l3_len);
	return refuse_send(ctx, &e, plan->mode, partial);
}

/* One frame, from its first byte to its verdict. */
fq_inline int hook_xdp(fq_ctx *ctx, const enum fq_mode mode)
{
	const void *data = ctx_data(ctx), *end = ctx_end(ctx);
	__u32 bytes = end - data - ETH_HLEN;
	struct fq_plan plan = {.mode = mode};
	struct fq_pkt p = {};
	int verdict = XDP_DROP;
	enum fq_reason r;

	if (frame_foreign(ctx)) {
		r = FQ_R_NOT_OURS;
	} else {
		r = parse_frame(data, end, &p);
		r = pipeline(ctx, r, &p, &plan);
	}
	if (!r)
		r = hook_forward(ctx, &p, &plan, &verdict);
	else if (r == FQ_R_HELD)
		r = hook_hold(ctx, &p, &plan);
	stats_count(r, p.l3_len ? p.l3_len : bytes);

	switch (reason_class(r)) {
	case FQ_CLASS_FORWARD:
		return verdict;
	case FQ_CLASS_PASS:
		return XDP_PASS;
	case FQ_CLASS_REFUSE:
		return hook_refuse(ctx, &p, &plan, r);
	default:
		return XDP_DROP;
	}
}
