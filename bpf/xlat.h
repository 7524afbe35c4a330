/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation between IPv4 and IPv6: the new header and the new L4 checksum. ICMP errors are in
 * xlat_error.h.
 *
 * Pure: no helper, no map. Headers are computed on the stack from the parsed packet and the plan.
 * They serve for packets quoted in ICMP errors, too (RFC 7915 4.3, 5.3): these may be fragments,
 * and keep their TTL.
 *
 * RFC 7915 4.1, 4.5, 5.1, 5.5; RFC 6864 (identification), RFC 6935 (UDP without checksum).
 */
#pragma once

#include "csum.h"
#include "icmp_err.h"
#include "nat.h"
#include "parse.h"
#include "pkt.h"

#define IP4_HLEN_MAX    60
#define IP4_OPTIONS_MAX (IP4_HLEN_MAX - IP4_HLEN_MIN)
#define IP4_DF_ABOVE    1260 /* what the smallest IPv6 link carries may be fragmented behind us */
#define IP6_MTU_MIN     1280
#define IP4_MTU_MIN     68
#define XLAT_GROWTH     20 /* an IPv6 header less an IPv4 header */

/* RFC 791 3.1 */
enum ip4_option {
	IP4_OPT_END = 0,
	IP4_OPT_NOP = 1,
	IP4_OPT_LSRR = 131,
	IP4_OPT_SSRR = 137,
};

/* What the new header is made of. */
struct xlat_head {
	struct fq_addr src;
	struct fq_addr dst;
	__be32 id; /* of a fragment; IPv4: its last two bytes, also of what may become fragments */
	__u16 frag_off; /* bytes */
	__u8 frag;      /* FQ_FRAG_* */
	__u16 payload;  /* bytes from the L4 header on */
	__u8 tos;       /* or traffic class, with ECN */
	__u8 ttl;
	__u8 proto; /* of the new family */
};

fq_inline __u8 addr_family(const struct fq_addr *a)
{
	return addr_is_mapped(a) ? FQ_AF_INET : FQ_AF_INET6;
}

/* The protocol's number in the other family. */
fq_inline __u8 xlat_proto(__u8 proto)
{
	if (proto == FQ_PROTO_ICMP)
		return FQ_PROTO_ICMPV6;
	return proto == FQ_PROTO_ICMPV6 ? FQ_PROTO_ICMP : proto;
}

/* The protocol's number if the addresses are of @family. */
fq_inline __u8 xlat_proto_of(__u8 proto, __u8 family)
{
	if (proto == FQ_PROTO_ICMP || proto == FQ_PROTO_ICMPV6)
		return family == FQ_AF_INET ? FQ_PROTO_ICMP : FQ_PROTO_ICMPV6;
	return proto;
}

/* Bytes behind the IP header, its options and extension headers. */
fq_inline __u16 xlat_payload(const struct fq_pkt *p)
{
	return p->l3_len - (p->l4_off - p->l3_off);
}

/* Bytes of the header in front of the L4 packet, with a Fragment header for a fragment only. */
fq_inline __u32 xlat_hlen(__u8 family, __u8 frag)
{
	if (family == FQ_AF_INET)
		return sizeof(struct fq_ip4);
	return sizeof(struct fq_ip6) + (frag ? sizeof(struct fq_ip6_frag) : 0);
}

/* Bytes that the packet gains before its L4 header when it becomes one of @family. */
fq_inline int xlat_growth(const struct fq_pkt *p, __u8 family)
{
	return family == p->family ? 0 : (int)xlat_hlen(family, p->frag) - (p->l4_off - p->l3_off);
}

/*
 * Length of an IP packet when it has become one of @family; what has no room there is too long.
 *
 * @len: of @p, or of each of the packets that it is (p->mtu_len)
 */
fq_inline __u16 xlat_len(const struct fq_pkt *p, __u16 len, __u8 family)
{
	__u32 becomes = len + xlat_growth(p, family);

	return becomes > 0xffff ? 0xffff : becomes;
}

/*
 * What the sender is told of the next hop's MTU beyond us (RFC 7915 4.2, 5.2). An IPv6 sender
 * learns of none below 1280: it would not believe it.
 *
 * @frag: of the packet; fragments of IPv4 grow by a Fragment header, too
 */
fq_inline __u16 xlat_mtu(__u16 mtu, __u8 sender, __u8 frag)
{
	__u16 growth = XLAT_GROWTH + (frag ? sizeof(struct fq_ip6_frag) : 0);

	if (sender == FQ_AF_INET)
		return mtu < IP4_MTU_MIN + growth ? IP4_MTU_MIN : mtu - growth;
	if (mtu < IP6_MTU_MIN - XLAT_GROWTH)
		return IP6_MTU_MIN;
	return mtu > 0xffff - XLAT_GROWTH ? 0xffff : mtu + XLAT_GROWTH;
}

/* Type of service or traffic class: all eight bits (RFC 7915 4.1, 5.1). */
fq_inline __u8 xlat_tos(const struct fq_pkt *p)
{
	return p->family == FQ_AF_INET ? p->tos : bpf_ntohl(p->flowinfo) >> 20;
}

/*
 * Does the packet need an identification that no other one of its new addresses has (RFC 6864 4.2)?
 * Fragments do, and what may become fragments on its way: in IPv4 what has DF clear, which is the
 * sender's choice or, for what comes from IPv6, that of xlat_df.
 */
fq_inline bool xlat_needs_id(const struct fq_pkt *p, __u8 family)
{
	if (p->family == FQ_AF_INET)
		return p->frag || (family == FQ_AF_INET && !p->df);
	return family == FQ_AF_INET && (p->frag || xlat_len(p, p->mtu_len, family) <= IP4_DF_ABOVE);
}

/* What @p becomes under @plan, one hop on. */
fq_inline void xlat_head(const struct fq_pkt *p, const struct fq_plan *plan,
			 struct xlat_head *ret_head)
{
	*ret_head = (struct xlat_head){
		.src = plan->src,
		.dst = plan->dst,
		.id = bpf_htonl(bpf_ntohs(plan->ip_id)),
		.frag_off = p->frag_off,
		.frag = p->frag,
		.payload = xlat_payload(p),
		.tos = xlat_tos(p),
		.ttl = p->ttl - 1,
		.proto = xlat_proto(p->tuple.proto),
	};
}

fq_inline void xlat_ip6(const struct xlat_head *h, struct fq_ip6 *ip)
{
	*ip = (struct fq_ip6){
		.flowinfo = bpf_htonl(6U << 28 | (__u32)h->tos << 20),
		.payload_len =
			bpf_htons(xlat_hlen(FQ_AF_INET6, h->frag) - sizeof(*ip) + h->payload),
		.next_header = h->frag ? FQ_PROTO_FRAGMENT : h->proto,
		.hop_limit = h->ttl,
		.src = h->src,
		.dst = h->dst,
	};
}

fq_inline void xlat_ip6_frag(const struct xlat_head *h, struct fq_ip6_frag *frag)
{
	*frag = (struct fq_ip6_frag){
		.next_header = h->proto,
		.off = bpf_htons((h->frag_off & ~7) | ((h->frag & FQ_FRAG_MORE) != 0)),
		.id = h->id,
	};
}

/*
 * RFC 7915 5.1: shorter ones may be fragmented behind us, because an IPv6 sender would not believe
 * an MTU below 1280; others have no identification (RFC 6864 4.1: then the field says nothing).
 */
fq_inline __u16 xlat_df(const struct xlat_head *h)
{
	return h->payload + sizeof(struct fq_ip4) > IP4_DF_ABOVE ? IP4_DF : 0;
}

fq_inline void xlat_ip4(const struct xlat_head *h, struct fq_ip4 *ip)
{
	__u16 flags =
		h->frag ? (h->frag & FQ_FRAG_MORE ? IP4_MF : 0) | h->frag_off / 8 : xlat_df(h);
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = 0;

	*ip = (struct fq_ip4){
		.version_ihl = 0x45,
		.tos = h->tos,
		.tot_len = bpf_htons(sizeof(*ip) + h->payload),
		.id = flags & IP4_DF ? 0 : bpf_htons(bpf_ntohl(h->id)),
		.frag_off = bpf_htons(flags),
		.ttl = h->ttl,
		.protocol = h->proto,
		.src = h->src.w[3],
		.dst = h->dst.w[3],
	};
	for (__u32 i = 0; i < sizeof(*ip) / 4; i++)
		sum += word[i];
	ip->check = ~csum_fold(sum);
}

/*
 * Are there options by which the packet is to visit other routers first (RFC 7915 4.1)? Then it is
 * not for us to say where it goes. Options that cannot be read are taken for such.
 *
 * @options, @len: bytes behind the first 20 of the header; 2 more can be read
 */
fq_inline bool xlat_source_routed(const __u8 *options, const void *end, __u32 len)
{
	__u32 skip = 0; /* bytes of an option that has been looked at */

	for (__u32 i = 0; i < IP4_OPTIONS_MAX && i < len; i++) {
		const __u8 *o = options + i;

		if ((const void *)(o + 3) > end)
			return true;
		if (!skip) {
			if (o[0] == IP4_OPT_END)
				return false;
			if (o[0] == IP4_OPT_NOP)
				continue;
			if (o[1] < 2 || o[1] > len - i)
				return true;
			/* The pointer stands behind the list when all has been visited. */
			if ((o[0] == IP4_OPT_LSRR || o[0] == IP4_OPT_SSRR) &&
			    (o[1] < 3 || o[2] <= o[1]))
				return true;
			skip = o[1];
		}
		/* One less; by this way the verifier sees the same range in every turn. */
		skip = (skip + 63) & 63;
	}
	return false;
}

/* The ICMP echo message's type in the other family (RFC 7915 4.2, 5.2). */
fq_inline __u8 xlat_echo(__u8 type)
{
	switch (type) {
	case ICMP_ECHO:
		return ICMP6_ECHO;
	case ICMP_ECHO_REPLY:
		return ICMP6_ECHO_REPLY;
	case ICMP6_ECHO:
		return ICMP_ECHO;
	default:
		return ICMP_ECHO_REPLY;
	}
}

/* Sum of what the L4 checksum covers beside the L4 packet. ICMPv4 has no pseudo header. */
fq_inline __u64 xlat_pseudo(const struct fq_addr *src, const struct fq_addr *dst, __u8 family,
			    __u8 proto, __u16 len)
{
	if (proto == FQ_PROTO_ICMP)
		return 0;
	return csum_pseudo(src, dst, family, proto, len);
}

/* What the change of pseudo headers does to the L4 checksum. */
fq_inline __u64 xlat_pseudo_diff(const struct fq_pkt *p, const struct fq_plan *plan)
{
	__u64 from =
		xlat_pseudo(&p->tuple.src, &p->tuple.dst, p->family, p->tuple.proto, p->l4_len);
	__u64 to = xlat_pseudo(&plan->src, &plan->dst, plan->family, xlat_proto(p->tuple.proto),
			       p->l4_len);

	return csum_diff16(csum_fold(from), csum_fold(to));
}

/*
 * Write a translation into the L4 header.
 *
 * @l4:    its first byte, an ICMP message's type
 * @check: its checksum, at nat_check_off
 * @port:  its client-side port or id, at nat_port_off
 *
 * IPv6 demands a checksum of UDP (RFC 8200 8.1), so one that is missing is made (RFC 7915 4.5);
 * the other way round a missing one, which RFC 6935 permits to tunnels, stays missing.
 *
 * Return: true if the L4 packet has still to be summed up: the checksum is the new pseudo header's
 * sum. *@ret_made: because there was none.
 */
fq_inline bool xlat_rewrite_l4(const struct fq_pkt *p, const struct fq_plan *plan, __u8 *l4,
			       __u16 *check, __be16 *port, bool *ret_made)
{
	__u64 diff = csum_diff16(*port, plan->port) + xlat_pseudo_diff(p, plan);
	bool udp = p->tuple.proto == FQ_PROTO_UDP, missing = udp && !*check;
	__u8 proto = xlat_proto(p->tuple.proto);

	*ret_made = missing && plan->family == FQ_AF_INET6;
	*port = plan->port;
	if (*ret_made || nat_csum_partial(p, *check)) {
		*check = csum_fold(
			csum_pseudo(&plan->src, &plan->dst, plan->family, proto, p->l4_len));
		return true;
	}
	if (missing)
		return false;
	if (proto != p->tuple.proto) {
		__u8 type = xlat_echo(*l4);

		diff += csum_diff16(bpf_htons(*l4 << 8), bpf_htons(type << 8));
		*l4 = type;
	}
	*check = csum_update(*check, diff);
	if (udp)
		*check = csum_udp_nonzero(*check);
	return false;
}
