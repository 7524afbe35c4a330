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

/* The Ethernet header's last field. */
fq_inline bool hook_xlat_ethertype(fq_ctx *ctx, __u32 l3_off, __u8 family)
{
	__be16 *ethertype = frame_at(ctx, l3_off - sizeof(*ethertype), FRAME_L3_MASK);

	if ((void *)(ethertype + 1) > ctx_end(ctx))
		return false;
	*ethertype = family == FQ_AF_INET ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	return true;
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
	if (l3_off >= ETH_HLEN && !hook_xlat_ethertype(ctx, l3_off, plan->family))
		return false;
	p->l3_len += grow;
	p->mtu_len += grow;
	p->l4_off += grow;
	p->family = plan->family;
	p->tuple.proto = head.proto;
	return true;
}

/* Write a translation into the other IP version. @p, *@ret_csum: see above. */
fq_inline bool hook_xlat(fq_ctx *ctx, struct fq_pkt *p, const struct fq_plan *plan, __u8 *ret_csum)
{
	return hook_xlat_l4(ctx, p, plan, ret_csum) && hook_xlat_l3(ctx, p, plan);
}
