/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors whose receiver has the other IP version: what the quoted packet and the message
 * become. Whose error it is, icmp_xlat.h has found out.
 *
 * Pure: no helper, no map. The quoted L4 header and the ICMP header are translated in the copy
 * (struct icmp_xlat); the two IP headers are described, to be written into the resized packet.
 *
 * The error's own source cannot be kept: it has no address of the other version (RFC 6791 would
 * have one for all). So both headers have the session's two addresses, once in each order.
 *
 * RFC 7915 4.2, 4.3, 5.2, 5.3.
 */
#pragma once

#include "icmp_xlat.h"
#include "xlat_error.h"

/* The quoted packet's own length behind its headers; of one that lies, what is there. */
fq_inline __u16 cross_payload(const struct icmp_xlat *x)
{
	const struct fq_ip4 *ip4 = (const void *)x->quote;
	const struct fq_ip6 *ip6 = (const void *)x->quote;
	__u32 len = x->family == FQ_AF_INET ? bpf_ntohs(ip4->tot_len)
					    : sizeof(*ip6) + bpf_ntohs(ip6->payload_len);

	if (len < x->quote_len)
		len = x->quote_len;
	return len - x->l4_off;
}

/* Both IP headers as they become. @p, @plan: of the error */
fq_inline void cross_heads(struct icmp_xlat *x, const struct fq_pkt *p, const struct fq_plan *plan)
{
	const struct fq_ip4 *ip4 = (const void *)x->quote;
	const struct fq_ip6 *ip6 = (const void *)x->quote;
	bool v4 = x->family == FQ_AF_INET;

	x->quoted = (struct xlat_head){
		.src = plan->dst,
		.dst = plan->src,
		.payload = cross_payload(x),
		.tos = v4 ? ip4->tos : bpf_ntohl(ip6->flowinfo) >> 20,
		.ttl = v4 ? ip4->ttl : ip6->hop_limit,
		.id = x->more ? x->id : 0,
		.frag = x->more ? FQ_FRAG_FIRST | FQ_FRAG_MORE : 0,
		.proto = xlat_proto(x->key.proto),
	};
	xlat_head(p, plan, &x->head);
	x->head.payload = sizeof(x->icmp) + xlat_hlen(plan->family, x->quoted.frag) + x->keep;
}

/*
 * Bytes of the quoted packet behind its headers that are sent on: no extensions (RFC 4884; the
 * length that announces them is cleared), and no more than an error may have (RFC 4443 2.4 c).
 *
 * @len: of the error's ICMP message
 */
fq_inline __u16 cross_keep(const struct icmp_xlat *x, __u32 len)
{
	__u32 max = ICMP_ERR_TOTAL6 - ICMP_ERR_HLEN6 - xlat_hlen(FQ_AF_INET6, FQ_FRAG_FIRST);
	__u32 attribute = icmp_xlat_attribute(x->family, &x->icmp);

	len -= sizeof(x->icmp);
	if (attribute && attribute < len)
		len = attribute;
	len -= x->l4_off;
	return len < max ? len : max;
}

/* What the change of pseudo headers, and of an echo message's type, does to the quoted checksum. */
fq_inline __u64 cross_diff(struct icmp_xlat *x, const struct fq_plan *plan)
{
	__u8 proto = x->key.proto;
	__u16 len = cross_payload(x);
	__u64 from = xlat_pseudo(&x->key.dst, &x->key.src, x->family, proto, len);
	__u64 to = xlat_pseudo(&plan->dst, &plan->src, plan->family, xlat_proto(proto), len);
	__u64 diff = csum_diff16(csum_fold(from), csum_fold(to));
	__u32 off = x->l4_off;

	icmp_hide(off);
	if (off <= FQ_L4_OFF_MAX && proto != xlat_proto(proto)) {
		__u8 was = x->quote[off], type = xlat_echo(was);

		x->quote[off] = type;
		diff += csum_diff16(bpf_htons(was << 8), bpf_htons(type << 8));
	}
	return diff;
}

/* The quoted L4 header: echo type, port or id, checksum. */
fq_inline void cross_quote_l4(struct icmp_xlat *x, const struct fq_plan *plan, __be16 port)
{
	__u64 diff = cross_diff(x, plan);
	__u32 off = x->l4_off;
	__u16 *check;

	quote_rewrite_l4(x, port, diff);
	/* Within one version no other header is part of ICMPv4's checksum. */
	icmp_hide(off);
	if (x->key.proto != FQ_PROTO_ICMP || off > FQ_L4_OFF_MAX)
		return;
	check = (__u16 *)(x->quote + off + offsetof(struct fq_icmp, check));
	*check = csum_update(*check, diff);
}

/* The ICMP header, with a checksum of 0. Return: false: there is no such message. */
fq_inline bool cross_message(struct icmp_xlat *x)
{
	const struct fq_ip4 *ip4 = (const void *)x->quote;
	__be32 *rest = (__be32 *)&x->icmp.id;
	struct xlat_icmp to;
	bool known;

	if (x->family == FQ_AF_INET) {
		to = xlat_icmp4(x->icmp.type, x->icmp.code);
		known = xlat_rest4(to.rest, *rest, bpf_ntohs(ip4->tot_len), rest);
	} else {
		to = xlat_icmp6(x->icmp.type, x->icmp.code);
		known = xlat_rest6(to.rest, *rest, rest);
	}
	x->icmp.type = to.type;
	x->icmp.code = to.code;
	x->icmp.check = 0;
	return known;
}

/*
 * Translate the copy, but for the IP headers, and describe those.
 *
 * @x:    as icmp_xlat_read left it
 * @p:    the error as parsed
 * @plan: complete; its addresses as they become
 * @port: the quoted packet's port or id, the client's
 *
 * Return: false: the other version has no such message, or no packet as long as the quoted one says
 * it was, and the error is dropped.
 */
fq_inline bool icmp_cross_rewrite(struct icmp_xlat *x, const struct fq_pkt *p,
				  const struct fq_plan *plan, __be16 port)
{
	if (plan->family == FQ_AF_INET && cross_payload(x) > 0xffff - sizeof(struct fq_ip4))
		return false;
	x->keep = cross_keep(x, p->l4_len);
	cross_heads(x, p, plan);
	cross_quote_l4(x, plan, port);
	return cross_message(x);
}
