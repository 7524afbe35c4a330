/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path of an ICMP error: whose session is it about, may it pass, what becomes of it, and where
 * to? Beside the path of all other packets, so that those pay nothing for it.
 *
 * An error is no packet of the session: nothing of the session is changed by it, and its filter is
 * not asked (N-09, G-46). No error is ever answered with another one (G-32). From outside, what
 * does not belong to a session of ours is the kernel's; what clients send to proxy addresses is
 * nobody else's, and dropped.
 *
 * RFC 5508 REQ-3 to 6. Statements G-20, I-01 to I-06.
 */
#pragma once

#include "forward.h"
#include "frag.h"
#include "frame.h"
#include "icmp_cross.h"
#include "open.h"

/* Between icmp_stage, which plans, and icmp_write. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FQ_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct icmp_xlat);
} icmp_scratch SEC(".maps");

fq_inline struct icmp_xlat *icmp_work(__u8 mode)
{
	__u32 slot = mode_slot(mode);

	return bpf_map_lookup_elem(&icmp_scratch, &slot);
}

/*
 * Copy the message's beginning, and read it. Return: as icmp_xlat_read.
 *
 * The length is hidden from the compiler, which else checks one copy of it and uses another of
 * which the verifier does not know that it is not 0 (clang 16).
 */
fq_global enum fq_reason icmp_read(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	struct icmp_xlat *x;
	__u32 len;

	if (!p || !plan)
		return FQ_R_MALFORMED;
	x = icmp_work(plan->mode);
	if (!x)
		return FQ_R_MALFORMED;
	len = p->l4_len;
	if (len > sizeof(x->message))
		len = sizeof(x->message);
	barrier_var(len);
	if (len < sizeof(x->icmp) || len > sizeof(x->message) ||
	    ctx_load(ctx, p->l4_off, x->message, len))
		return FQ_R_MALFORMED;
	x->len = len;
	x->family = p->family;
	x->dir = plan->dir;
	return icmp_xlat_read(x);
}

/* RFC 5508 REQ-3: the message's checksum, and the quoted header's. */
fq_global bool icmp_valid(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	struct icmp_xlat *x;
	__u64 sum;

	if (!p || !plan)
		return false;
	x = icmp_work(plan->mode);
	if (!x || !icmp_xlat_header_valid(x) ||
	    !frame_sum(ctx, mode_slot(plan->mode), p->l4_off, p->l4_len, &sum))
		return false;
	if (p->family == FQ_AF_INET6)
		sum += csum_pseudo(&p->tuple.src, &p->tuple.dst, p->family, p->tuple.proto,
				   p->l4_len);
	return csum_fold(sum) == 0xffff;
}

/*
 * From outside, to the host that the quoted packet came from. What is about no session, or about
 * one whose tuple a socket of this host has now, is the kernel's.
 */
fq_inline enum fq_reason icmp_match_in(fq_ctx *ctx, const struct fq_pkt *p, struct icmp_xlat *x,
				       const struct fq_slot *s)
{
	enum fq_reason r;

	if (!addr_equal(&x->key.dst, &p->tuple.dst))
		return FQ_R_ICMP_ERROR;
	if (!s) {
		r = late_packet(ctx, &x->key, x->peer_port);
		return r == FQ_R_NOT_OURS ? FQ_R_ICMP_ERROR : r;
	}
	if (session_dir(s) != FQ_DIR_IN)
		return FQ_R_ICMP_ERROR;
	if (fq_settings.source_check != FQ_SOURCE_NONE && session_gateway(s) &&
	    !forwarded_error_back(s, &x->key, p->ifindex))
		return FQ_R_WRONG_GATEWAY;
	return READ_ONCE(s->tcp_seen) & FQ_TCP_LOCAL ? FQ_R_LOCAL_SOCKET : FQ_OK;
}

/*
 * From a client, or from a router on its side that has an address of the same client, about a
 * packet that the session has brought it.
 */
fq_inline enum fq_reason icmp_match_out(const struct fq_pkt *p, const struct icmp_xlat *x,
					__u32 index)
{
	const struct fq_client *client = policy_client(&p->tuple.src);
	const struct fq_cold *cold = session_cold(index);
	const struct fq_slot *s = session_at(index);

	if (!s || !cold || session_dir(s) != FQ_DIR_OUT ||
	    (READ_ONCE(s->tcp_seen) & FQ_TCP_LOCAL) || !addr_equal(&x->key.dst, &p->tuple.dst) ||
	    !client || client->client != cold->client)
		return FQ_R_ICMP_NO_SESSION;
	return FQ_OK;
}

/*
 * The error's own source. Routers on the path are hidden unless they are to be seen (I-06); the
 * resource always is, or its real address would be told; and in the other IP version nobody has an
 * address. What is forwarded stays as it is.
 */
fq_inline bool icmp_keeps_source(const struct fq_pkt *p, const struct icmp_xlat *x,
				 const struct fq_slot *s)
{
	return session_gateway(s) ||
	       (session_dir(s) == FQ_DIR_IN && fq_settings.show_hops &&
		session_family(s) == p->family && !addr_equal(&p->tuple.src, &x->key.src));
}

/*
 * What becomes of the error but for its way, as of any packet of the session. @from: where those
 * packets come from then
 */
fq_inline void icmp_plan(const struct fq_pkt *p, const struct icmp_xlat *x, const struct fq_slot *s,
			 const struct fq_addr *from, struct fq_plan *plan)
{
	bool cut;

	plan->error = 1;
	plan->src = icmp_keeps_source(p, x, s) ? p->tuple.src : *from;
	plan->family = session_family(s);
	plan->forwarded = session_gateway(s) != 0;
	if (plan->dir == FQ_DIR_OUT)
		plan->gateway = session_gateway(s);
	/* Of whatever length it is now: it will be short enough to be fragmented, see cross_keep.
	 */
	cut = p->family == FQ_AF_INET6 && plan->family == FQ_AF_INET;
	if (!plan->forwarded && (cut || xlat_needs_id(p, plan->family)))
		plan->ip_id = frag_new_id();
}

/*
 * Return: as route; ICMP_UNDELIVERABLE where another packet would be refused. The reason is hidden
 * from the compiler, which else checks one register and uses another (clang 16).
 */
fq_inline enum fq_reason icmp_route(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan)
{
	enum fq_reason r;

	if (p->ttl <= 1)
		return FQ_R_ICMP_UNDELIVERABLE;
	r = plan->gateway ? route_gateway(ctx, p, plan, bpf_ktime_get_coarse_ns())
			  : route(ctx, p, &plan->dst, plan);
	if (!r)
		return FQ_OK;
	barrier_var(r);
	return reason_class(r) == FQ_CLASS_REFUSE ? FQ_R_ICMP_UNDELIVERABLE : r;
}

/*
 * Decide about an ICMP error.
 *
 * @p:    the error as parsed
 * @plan: @mode and @dir are set; complete if FQ_OK is returned, and icmp_write may be called
 *
 * Return: FQ_OK; ICMP_ERROR, MALFORMED: not ours, or not to be told to be; a reason to drop it; in:
 * LOCAL_SOCKET.
 */
fq_global enum fq_reason icmp_stage(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan)
{
	const struct fq_slot *s;
	struct fq_addr from = {};
	struct icmp_xlat *x;
	enum fq_reason r;
	__u32 index;

	if (!p || !plan)
		return FQ_R_ICMP_ERROR;
	x = icmp_work(plan->mode);
	if (!x || p->l2_group || addr_is_multicast(&p->tuple.src, p->family) ||
	    addr_is_broadcast(&p->tuple.src, p->family))
		return FQ_R_ICMP_ERROR;
	r = icmp_read(ctx, p, plan);
	if (r)
		return r;
	index = session_find(&x->key);
	s = session_at(index);
	r = plan->dir == FQ_DIR_IN ? icmp_match_in(ctx, p, x, s) : icmp_match_out(p, x, index);
	if (r || !s)
		return r;
	if (!icmp_valid(ctx, p, plan))
		return FQ_R_ICMP_BAD_CHECKSUM;

	session_result(s, index, &x->key, &from, &plan->dst);
	icmp_plan(p, x, s, &from, plan);
	r = icmp_route(ctx, p, plan);
	if (r)
		return r;
	if (plan->family == p->family) {
		icmp_xlat_rewrite(x, p, plan, &plan->dst, &from, s->to_port);
		return FQ_OK;
	}
	return icmp_cross_rewrite(x, p, plan, s->to_port) ? FQ_OK : FQ_R_ICMP_NO_COUNTERPART;
}

/*
 * Write the copy of the message back. The bounds are checked on what follows the ICMP header,
 * hidden from the compiler: see frame_sum_rest.
 */
fq_global bool icmp_write_message(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	struct icmp_xlat *x;
	__u32 quoted;

	if (!p || !plan)
		return false;
	x = icmp_work(plan->mode);
	if (!x)
		return false;
	quoted = x->len - sizeof(x->icmp);
	barrier_var(quoted);
	return quoted <= ICMP_QUOTE_MAX &&
	       !ctx_store(ctx, p->l4_off, x->message, sizeof(x->icmp) + quoted);
}

/* Write what icmp_stage has planned, within one IP version; else: hook_xlat_error. */
fq_global bool icmp_write(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	if (!p || !plan || !icmp_write_message(ctx, p, plan))
		return false;
	if (!frame_translate_l3(ctx, p, plan))
		return false;
	ctx_sum_changed(ctx, nat_sum_diff(p, plan, 0));
	return true;
}
