/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing a translation between IPv4 and IPv6, which changes the size of the packet. Used by
 * hook.h; the resizing itself is the hook's.
 *
 * The new header needs nothing of the old one that is not in struct fq_pkt. The L4 header is
 * written where it stands, then the packet is resized before it. The L4 part never moves in memory:
 * what the kernel notes of a partial checksum stays true.
 */
#pragma once

#include "icmp_path.h"
#include "xlat.h"

/* What is left to do about the L4 checksum. */
enum hook_csum {
	HOOK_CSUM_DONE,
	HOOK_CSUM_PARTIAL, /* as it was received */
	HOOK_CSUM_MISSING, /* there was none, and there has to be one */
};

/*
 * Port, checksum, ICMP type, where they are. *@ret_csum: enum hook_csum
 *
 * What is global is so for the sake of the stack: two calls may have 512 bytes in all.
 */
fq_global bool hook_xlat_l4(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan,
			    __u8 *ret_csum)
{
	__u16 *check, was_check;
	__be16 *port, was_port;
	__u8 *l4, was_type;
	bool unsummed, made;
	__u32 off, l4_off;

	if (!p || !plan || !ret_csum)
		return false;
	l4_off = p->l4_off;
	/* Else clang 16 reads it anew, behind the check of its bounds. */
	barrier_var(l4_off);
	*ret_csum = HOOK_CSUM_DONE;
	if (p->frag & FQ_FRAG_LATER)
		return true;
	off = l4_off + nat_port_off(p->tuple.proto, plan->dir);
	if (l4_off > FQ_L4_OFF_MAX || off > FQ_L4_OFF_MAX + sizeof(struct fq_tcp))
		return false;
	check = frame_check(ctx, p);
	port = frame_at(ctx, off, FRAME_L4_MASK);
	l4 = frame_at(ctx, l4_off, FRAME_L4_MASK);
	if (!check || (void *)(port + 1) > ctx_end(ctx) || (void *)(l4 + 1) > ctx_end(ctx))
		return false;
	was_check = *check;
	was_port = *port;
	was_type = *l4;
	unsummed = xlat_rewrite_l4(p, plan, l4, check, port, &made);
	*ret_csum = made ? HOOK_CSUM_MISSING : unsummed ? HOOK_CSUM_PARTIAL : HOOK_CSUM_DONE;
	/* A port's first byte has changed with the port. */
	if (proto_has_ports(p->tuple.proto))
		was_type = *l4;
	ctx_sum_changed(ctx,
			csum_fold(csum_diff16(was_check, *check) + csum_diff16(was_port, *port) +
				  csum_diff16(bpf_htons(was_type << 8), bpf_htons(*l4 << 8))));
	return true;
}

/* The new header, behind @l3_off bytes. */
fq_inline bool hook_xlat_header(fq_ctx *ctx, __u32 l3_off, const struct xlat_head *head,
				__u8 family)
{
	void *l3 = frame_at(ctx, l3_off, FRAME_L3_MASK);

	if (family == FQ_AF_INET) {
		if (l3 + sizeof(struct fq_ip4) > ctx_end(ctx))
			return false;
		xlat_ip4(head, l3);
		return true;
	}
	if (l3 + sizeof(struct fq_ip6) + sizeof(struct fq_ip6_frag) > ctx_end(ctx))
		return false;
	xlat_ip6(head, l3);
	if (head->frag)
		xlat_ip6_frag(head, l3 + sizeof(struct fq_ip6));
	return true;
}

/* The Ethernet header's last field, if there is one. */
fq_inline bool hook_xlat_ethertype(fq_ctx *ctx, __u32 l3_off, __u8 family)
{
	__be16 *ethertype = frame_at(ctx, l3_off - sizeof(*ethertype), FRAME_L3_MASK);

	if (l3_off < ETH_HLEN)
		return true;
	if ((void *)(ethertype + 1) > ctx_end(ctx))
		return false;
	*ethertype = family == FQ_AF_INET ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	return true;
}

/* What the parser would say of the packet now, but for addresses and ports. */
fq_inline void hook_xlat_done(struct fq_pkt *p, const struct fq_plan *plan, __u32 l3_len,
			      __u32 hlen)
{
	p->mtu_len += l3_len - p->l3_len;
	p->l3_len = l3_len;
	p->l4_off = p->l3_off + hlen;
	p->family = plan->family;
	p->tuple.proto = xlat_proto(p->tuple.proto);
}

/*
 * Replace the header.
 *
 * @p: as parsed; then what the parser would say of the result, but for addresses and ports
 */
fq_global bool hook_xlat_l3(fq_ctx *ctx, struct fq_pkt *p, const struct fq_plan *plan)
{
	struct xlat_head head;
	__u32 l3_off, hlen;
	int grow;

	if (!p || !plan)
		return false;
	l3_off = p->l3_off;
	barrier_var(l3_off);
	if (l3_off > FQ_L3_OFF_MAX)
		return false;
	xlat_head(p, plan, &head);
	hlen = xlat_hlen(plan->family, p->frag);
	grow = xlat_growth(p, plan->family);
	if (!hook_grow_into(ctx, grow, plan->family) ||
	    !hook_emptied(ctx, mode_slot(plan->mode), l3_off, hlen) ||
	    !hook_xlat_header(ctx, l3_off, &head, plan->family) ||
	    !hook_filled(ctx, mode_slot(plan->mode), l3_off, hlen))
		return false;
	if (!hook_xlat_ethertype(ctx, l3_off, plan->family))
		return false;
	hook_xlat_done(p, plan, p->l3_len + grow, hlen);
	return true;
}

/* Write a translation into the other IP version. @p, *@ret_csum: see above. */
fq_inline bool hook_xlat(fq_ctx *ctx, struct fq_pkt *p, const struct fq_plan *plan, __u8 *ret_csum)
{
	return hook_xlat_l4(ctx, p, plan, ret_csum) && hook_xlat_l3(ctx, p, plan);
}

/* An ICMP error's beginning, in each version. */
struct hook_error4 {
	struct fq_ip4 ip;
	struct fq_icmp icmp;
	struct fq_ip4 quoted;
};

struct hook_error6 {
	struct fq_ip6 ip;
	struct fq_icmp icmp;
	struct fq_ip6 quoted;
	struct fq_ip6_frag frag; /* of a quoted fragment only */
};

/* The headers up to what is kept of the quoted packet (at least its 8 bytes of L4). */
fq_inline bool hook_error_headers(fq_ctx *ctx, __u32 l3_off, const struct icmp_xlat *x, __u8 family)
{
	struct hook_error4 *to4 = frame_at(ctx, l3_off, FRAME_L3_MASK);
	struct hook_error6 *to6 = (void *)to4;

	if (family == FQ_AF_INET) {
		if ((void *)(to4 + 1) > ctx_end(ctx))
			return false;
		xlat_ip4(&x->head, &to4->ip);
		to4->icmp = x->icmp;
		xlat_ip4(&x->quoted, &to4->quoted);
		return true;
	}
	if ((void *)(to6 + 1) > ctx_end(ctx))
		return false;
	xlat_ip6(&x->head, &to6->ip);
	to6->icmp = x->icmp;
	xlat_ip6(&x->quoted, &to6->quoted);
	if (x->quoted.frag)
		xlat_ip6_frag(&x->quoted, &to6->frag);
	return true;
}

/* The message's checksum, which is 0 so far. */
fq_global bool hook_error_check(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	__u16 *check;
	__u64 sum;

	if (!p || !plan || !frame_sum(ctx, mode_slot(plan->mode), p->l4_off, p->l4_len, &sum))
		return false;
	check = frame_check(ctx, p);
	if (!check)
		return false;
	*check = ~csum_fold(
		sum + xlat_pseudo(&plan->src, &plan->dst, p->family, p->tuple.proto, p->l4_len));
	return true;
}

/*
 * Write an ICMP error into the other IP version: two headers are replaced, and the end may go.
 *
 * @p: as of hook_xlat_l3
 */
fq_global bool hook_xlat_error(fq_ctx *ctx, struct fq_pkt *p, const struct fq_plan *plan)
{
	__u32 l3_off, from, hlen, headers;
	const struct icmp_xlat *x;

	if (!p || !plan)
		return false;
	x = icmp_work(plan->mode);
	l3_off = p->l3_off;
	barrier_var(l3_off);
	if (!x || l3_off > FQ_L3_OFF_MAX || !icmp_write_message(ctx, p, plan))
		return false;
	hlen = xlat_hlen(plan->family, 0);
	headers = hlen + x->head.payload - x->keep;
	from = p->l4_off + sizeof(x->icmp) + x->l4_off;
	if (!hook_trim(ctx, from + x->keep) ||
	    !hook_grow_into(ctx, (int)(l3_off + headers) - (int)from, plan->family) ||
	    !hook_emptied(ctx, mode_slot(plan->mode), l3_off, headers) ||
	    !hook_error_headers(ctx, l3_off, x, plan->family))
		return false;
	hook_xlat_done(p, plan, headers + x->keep, hlen);
	p->l4_len = p->l3_len - hlen;
	if (!hook_error_check(ctx, p, plan) ||
	    !hook_filled(ctx, mode_slot(plan->mode), l3_off, headers))
		return false;
	return hook_xlat_ethertype(ctx, l3_off, plan->family);
}
