/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries out what the pipeline has decided: writes, sends, holds and refuses packets. The same for
 * all hooks; what a hook does in its own way (verdicts, resizing, redirecting) is in hook_xdp.h and
 * hook_tc.h.
 *
 * Partial checksums: native XDP loses the mark that the sender's checksum is yet to be completed,
 * so it is completed here. In generic mode and in tc the mark stays with the packet and the kernel
 * completes it when it is sent, unless the daemon sends it (held, slow): then it is completed
 * here, too.
 */
#pragma once

#include "icmp_err.h"
#include "mss.h"
#include "pipeline.h"

#ifdef FQ_TC
#include "hook_tc.h"
#else
#include "dns_hook.h"
#endif

#include "hook_xlat.h"

/*
 * All that is known of the packet. Not on the stack: of its 512 bytes (kernel 6.1 counts in units
 * of 32 for each call) the deepest calls need most. scripts/bpf-stack.py tells.
 */
struct hook_work {
	struct fq_pkt p;
	struct fq_plan plan;
	struct icmp_err err;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FQ_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct hook_work);
} hook_scratch SEC(".maps");

/* The work of a new packet; never NULL, but the verifier does not know. */
fq_inline struct hook_work *hook_begin(const fq_ctx *ctx, const enum fq_mode mode)
{
	__u32 slot = mode_slot(mode);
	struct hook_work *w = bpf_map_lookup_elem(&hook_scratch, &slot);

	if (!w)
		return NULL;
	w->p = (struct fq_pkt){.ifindex = ctx_ifindex(ctx)};
	w->plan = (struct fq_plan){.mode = mode};
	return w;
}

/* Of an interface; 0: not known. */
static __noinline __u32 hook_dev_mtu(__u32 ifindex)
{
	const struct fq_dev *dev = bpf_map_lookup_elem(&devs, &ifindex);

	return dev ? dev->mtu : 0;
}

/*
 * The largest segments that fit both ways, where the connection comes from (@from, @family) and
 * where it goes. 0: any. The route's MTU is not known as long as its neighbour is not: then the
 * interface's counts.
 */
fq_inline __u32 hook_mss(__u32 from, const struct fq_plan *plan, __u8 family)
{
	__u32 mtu = plan->mtu ? plan->mtu : hook_dev_mtu(plan->oif), limit, here;

	if (fq_settings.mss_clamp != FQ_MSS_AUTO)
		return fq_settings.mss_clamp;
	limit = mtu ? mss_of_mtu(mtu, plan->family) : 0;
	mtu = hook_dev_mtu(from);
	here = mtu ? mss_of_mtu(mtu, family) : 0;
	return !limit || (here && here < limit) ? here : limit;
}

/*
 * Lower the maximum segment size of a SYN. @p is what leaves.
 *
 * @partial: the checksum is yet to be made, or completed
 */
fq_global bool hook_clamp(fq_ctx *ctx, const struct fq_pkt *p, __u32 mss, bool partial)
{
	struct mss_search search = {};
	__u32 len, at, off, was;
	__u16 *check;
	__u8 *value;

	if (!p || p->tuple.proto != FQ_PROTO_TCP || p->l4_hlen <= sizeof(struct fq_tcp) ||
	    p->l4_off > FQ_L4_OFF_MAX)
		return false;
	off = p->l4_off + sizeof(struct fq_tcp);
	len = p->l4_hlen - sizeof(struct fq_tcp) - 1;
	barrier_var(len); /* as in frame_sum_rest */
	if (len >= MSS_OPTIONS_MAX || ctx_load(ctx, off, search.options, len + 1))
		return false;
	search.len = len + 1;
	bpf_loop(MSS_OPTIONS_MAX, mss_step, &search, 0);
	at = search.found;
	if (!at || at >= MSS_OPTIONS_MAX)
		return false;
	was = search.options[at] << 8 | search.options[(at + 1) & (MSS_ROOM - 1)];
	if (was <= mss)
		return false;
	value = ctx_data(ctx) + off + at;
	if ((void *)(value + 2) > ctx_end(ctx))
		return false;
	value[0] = mss >> 8;
	value[1] = mss;
	check = frame_check(ctx, p);
	if (!check)
		return false;
	if (!partial)
		*check = csum_update(*check, mss_diff(was, mss, at));
	return true;
}

/* Write the translation, and complete its checksum unless the kernel will. @p is what leaves. */
fq_inline bool hook_write(fq_ctx *ctx, struct fq_pkt *p, const struct fq_plan *plan)
{
	__u8 csum = HOOK_CSUM_DONE, family = p->family;
	bool partial;
	__u32 mss;

	if (plan->error)
		return plan->family == p->family ? icmp_write(ctx, p, plan)
						 : hook_xlat_error(ctx, p, plan);
	if (plan->family != p->family) {
		if (!hook_xlat(ctx, p, plan, &csum))
			return false;
		partial = csum == HOOK_CSUM_PARTIAL;
	} else if (!frame_translate(ctx, p, plan, &partial)) {
		return false;
	}
	if ((p->tcp_flags & FQ_TCP_SYN) && (mss = hook_mss(p->ifindex, plan, family)))
		hook_clamp(ctx, p, mss, partial || csum == HOOK_CSUM_MISSING);
	if (csum == HOOK_CSUM_MISSING) {
		stats_count(FQ_R_CSUM_MADE, p->l3_len);
		return frame_make_check(ctx, p, plan);
	}
	return !partial || (mode_keeps_partial(plan->mode) && !plan->slow) ||
	       frame_complete(ctx, p, plan);
}

/* The reason of a packet that has been sent. */
fq_inline enum fq_reason hook_sent(const struct fq_plan *plan)
{
	if (plan->error)
		return FQ_R_ICMP_TRANSLATED;
	if (plan->slow)
		return plan->forwarded ? FQ_R_FORWARDED_SLOW : FQ_R_TRANSLATED_SLOW;
	return plan->forwarded ? FQ_R_FORWARDED : FQ_R_TRANSLATED;
}

/*
 * Have the daemon send the packet: the kernel asks for the neighbour, and knows every interface. On
 * the way to a gateway the route is not the kernel's choice: there the frame is complete.
 */
static __noinline enum fq_reason hook_slow(fq_ctx *ctx, const struct fq_pkt *p,
					   const struct fq_plan *plan, __u32 l3_off)
{
	struct fq_upcall head = {
		.kind = FQ_UPCALL_SLOW,
		.ifindex = p->ifindex,
		.mtu = plan->split ? plan->mtu : 0,
		.proxy = plan->src,
	};

	/* Else clang 16 chooses between two addresses, one of them in the context. */
	barrier_var(head.ifindex);
	if (plan->gateway) {
		head.kind = FQ_UPCALL_VIA;
		head.ifindex = plan->oif;
	}
	if (!upcall_frame(ctx, &head, l3_off, p->l3_len))
		return FQ_R_SLOW_FAILED;
	return hook_sent(plan);
}

/*
 * Translate and send.
 *
 * Return: TRANSLATED, FORWARDED, ICMP_TRANSLATED with *@ret_verdict; TRANSLATED_SLOW;
 * FORWARDED_SLOW; SLOW_FAILED; GATEWAY_UNRESOLVED; WRITE_FAILED.
 */
fq_inline enum fq_reason hook_forward(fq_ctx *ctx, struct fq_pkt *p, struct fq_plan *plan,
				      int *ret_verdict)
{
	__u32 l3_off = p->l3_off;
	enum fq_reason r;
	int way;

	if (mode_keeps_partial(plan->mode) && frame_csum_ambiguous(ctx, p, plan))
		plan->slow = 1;
	way = hook_way(plan);
	if (!hook_write(ctx, p, plan))
		return FQ_R_WRITE_FAILED;
	r = hook_leave(ctx, plan, way, &l3_off, ret_verdict);
	if (r)
		return r;
	return plan->slow ? hook_slow(ctx, p, plan, l3_off) : hook_sent(plan);
}

/* Give the packet to the daemon, as its sender would have sent it. */
static __noinline enum fq_reason hook_hold(fq_ctx *ctx, const struct fq_pkt *p,
					   const struct fq_plan *plan)
{
	struct fq_upcall head = {
		.kind = FQ_UPCALL_HOLD,
		.domain = plan->domain,
		.ifindex = p->ifindex,
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
 * sender knows (G-31). In, and where hops on the path are to be seen (I-06): ours on that
 * interface, or what the other side takes for the receiver.
 */
fq_inline void refuse_source(const struct fq_pkt *p, __u8 dir, __u32 reason,
			     struct fq_addr *ret_src)
{
	bool hop = reason == FQ_R_TTL_EXCEEDED && fq_settings.show_hops;
	__u32 ifindex = p->ifindex;
	const struct fq_dev *dev;

	*ret_src = p->tuple.dst;
	if (dir == FQ_DIR_OUT && !hop)
		return;
	dev = bpf_map_lookup_elem(&devs, &ifindex);
	if (!dev)
		return;
	if (p->family == FQ_AF_INET && !addr_is_zero(&dev->nat4))
		*ret_src = dev->nat4;
	if (p->family == FQ_AF_INET6 && !addr_is_zero(&dev->nat6))
		*ret_src = dev->nat6;
}

/* Turn the frame into the error @e, back to where it came from. */
static __noinline bool refuse_write(fq_ctx *ctx, __u32 slot, struct icmp_err *e)
{
	int hlen = e->family == FQ_AF_INET ? ICMP_ERR_HLEN4 : ICMP_ERR_HLEN6;
	__u32 l3_off = e->l3_off;
	void *l3;

	if (l3_off > FQ_L3_OFF_MAX || !hook_trim(ctx, l3_off + e->quote_len) ||
	    !hook_grow(ctx, hlen) ||
	    !frame_sum(ctx, slot, l3_off + hlen, e->quote_len, &e->quote_sum))
		return false;
	l3 = frame_at(ctx, l3_off, FRAME_L3_MASK);
	if (l3 + ICMP_ERR_HLEN6 > ctx_end(ctx))
		return false;
	if (e->family == FQ_AF_INET)
		icmp_err_write4(e, l3);
	else
		icmp_err_write6(e, l3);
	return hook_filled(ctx, slot, l3_off, hlen) && (!l3_off || frame_turn(ctx));
}

/*
 * Send the error. Where the kernel's mark of a partial checksum stays with the packet, it would
 * have the kernel "complete" a checksum in the middle of the quoted packet: such an error takes the
 * slow way (@partial).
 */
fq_inline int refuse_send(fq_ctx *ctx, const struct hook_work *w, bool partial)
{
	const struct icmp_err *e = &w->err;
	__u32 hlen = e->family == FQ_AF_INET ? ICMP_ERR_HLEN4 : ICMP_ERR_HLEN6;
	struct fq_upcall head = {
		.kind = FQ_UPCALL_SLOW,
		.ifindex = w->p.ifindex,
		.proxy = e->src,
	};
	int verdict = HOOK_PASS;

	if (!mode_keeps_partial(w->plan.mode) || !partial)
		verdict = hook_send_back(ctx, w->p.ifindex, w->plan.mode);
	if (verdict != HOOK_PASS)
		return verdict;
	upcall_frame(ctx, &head, e->l3_off, hlen + e->quote_len);
	return HOOK_DROP;
}

/* Answer a refused packet by ICMP. Return: verdict. */
static __noinline int hook_refuse(fq_ctx *ctx, struct hook_work *w, __u32 reason)
{
	const struct fq_plan *plan = &w->plan;
	const struct fq_pkt *p = &w->p;
	struct icmp_err *e = &w->err;
	bool partial = false;

	if (reason >= FQ_REASON_MAX || !icmp_err_allowed(p)) {
		stats_count(FQ_R_ICMP_NOT_ALLOWED, p->l3_len);
		return HOOK_DROP;
	}
	if (!icmp_tokens(&p->tuple.src)) {
		stats_count(FQ_R_ICMP_LIMITED, p->l3_len);
		return HOOK_DROP;
	}
	*e = (struct icmp_err){
		.dst = p->tuple.src,
		.l3_off = p->l3_off,
		.quote_len = icmp_err_quote(p),
		.mtu = reason == FQ_R_TOO_BIG ? plan->mtu : 0,
		.family = p->family,
	};
	e->type = p->family == FQ_AF_INET ? icmp_err_kinds[reason].type4
					  : icmp_err_kinds[reason].type6;
	e->code = p->family == FQ_AF_INET ? icmp_err_kinds[reason].code4
					  : icmp_err_kinds[reason].code6;
	refuse_source(p, plan->dir, reason, &e->src);
	/* Of what is longer than one packet, a part only is quoted: nobody can verify it. */
	if (pkt_is_gso(p))
		partial = true;
	else if (!frame_complete_received(ctx, p, plan, &partial))
		return HOOK_DROP;
	if (!refuse_write(ctx, mode_slot(plan->mode), e))
		return HOOK_DROP;
	stats_count(FQ_R_ICMP_SENT, p->l3_len);
	return refuse_send(ctx, w, partial);
}

/*
 * A packet that has been parsed (@r as from hook_parse), to its verdict.
 *
 * @bytes: counted for what is no IP packet
 */
fq_inline int hook_run(fq_ctx *ctx, enum fq_reason r, struct hook_work *w, __u32 bytes)
{
	struct fq_plan *plan = &w->plan;
	struct fq_pkt *p = &w->p;
	int verdict = HOOK_DROP;

	if (r != FQ_R_NOT_OURS)
		r = pipeline(ctx, r, p, plan);
	bytes = p->l3_len ? p->l3_len : bytes;
	if (!r) {
		r = hook_forward(ctx, p, plan, &verdict);
	} else if (r == FQ_R_NOT_OURS) {
		r = hook_dns(ctx, p, plan->mode);
		verdict = HOOK_SENT;
	} else if (r == FQ_R_HELD) {
		r = hook_hold(ctx, p, plan);
	}
	r = hook_reason(p, r);
	stats_count(r, bytes);

	switch (reason_class(r)) {
	case FQ_CLASS_FORWARD:
		return verdict;
	case FQ_CLASS_PASS:
		return hook_pass(ctx, p);
	case FQ_CLASS_REFUSE:
		return hook_refuse(ctx, w, r);
	default:
		return HOOK_DROP;
	}
}
