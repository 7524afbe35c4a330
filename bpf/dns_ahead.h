/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS queries of those who have asked before, answered without the pipeline: see dns_hook.h. As in
 * fast.h, what is not plain takes the pipeline from its beginning, and nothing has been written or
 * counted until then.
 */
#pragma once

#include "dns_hook.h"
#include "fast.h"

/* Is that where the port of a datagram to us stands? Almost all packets end here. */
fq_inline bool dns_may_be_query(const void *data, const void *end, const __u8 family)
{
	const struct fq_ip4 *ip4 = data + ETH_HLEN;
	const struct fq_ip6 *ip6 = data + ETH_HLEN;
	const struct fq_udp *udp = data + dns_udp_off(family);

	if ((const void *)(udp + 1) > end || udp->dport != bpf_htons(DNS_PORT))
		return false;
	return family == FQ_AF_INET ? ip4->protocol == FQ_PROTO_UDP &&
					      ip4->version_ihl == (4 << 4 | IP4_HLEN_MIN / 4)
				    : ip6->next_header == FQ_PROTO_UDP;
}

/* As parse_ip4, of what is no fragment. */
fq_inline bool dns_parse4(const void *data, const void *end, struct dns_turn *t)
{
	const struct fq_ip4 *ip = data + ETH_HLEN;

	if ((const void *)(ip + 1) > end || (ip->frag_off & bpf_htons(IP4_MF | IP4_OFFSET)) ||
	    !ip4_header_valid(ip, end, sizeof(*ip)))
		return false;
	addr_set4(&t->who.src, ip->src);
	addr_set4(&t->who.dst, ip->dst);
	t->who.tos = ip->tos;
	t->l3_len = bpf_ntohs(ip->tot_len);
	t->l4_len = t->l3_len - sizeof(*ip);
	return true;
}

/* As parse_ip6. */
fq_inline bool dns_parse6(const void *data, const void *end, struct dns_turn *t)
{
	const struct fq_ip6 *ip = data + ETH_HLEN;
	__u32 first;

	if ((const void *)(ip + 1) > end)
		return false;
	first = bpf_ntohl(ip->flowinfo);
	if (first >> 28 != 6 || addr_is_mapped(&ip->src) || addr_is_mapped(&ip->dst))
		return false;
	t->who.src = ip->src;
	t->who.dst = ip->dst;
	t->who.tos = first >> 20 & 0xff;
	t->l4_len = bpf_ntohs(ip->payload_len);
	t->l3_len = t->l4_len + sizeof(*ip);
	return true;
}

/* A datagram that fills its packet, all of which is in the frame. */
fq_inline bool dns_parse(const void *data, const void *end, struct dns_turn *t, const __u8 family)
{
	const struct fq_udp *udp = data + dns_udp_off(family);
	const struct ethhdr *eth = data;

	if (!(family == FQ_AF_INET ? dns_parse4(data, end, t) : dns_parse6(data, end, t)) ||
	    (const void *)(udp + 1) > end)
		return false;
	__builtin_memcpy(t->who.here, eth->h_dest, ETH_ALEN);
	t->sport = udp->sport;
	t->family = family;
	return udp->sport && bpf_ntohs(udp->len) == t->l4_len && t->l3_len <= end - data - ETH_HLEN;
}

fq_inline int dns_family(fq_ctx *ctx, const enum fq_mode mode, const __u8 family)
{
	const struct fq_control *c = maps_control();
	const struct dns_seen *seen;
	struct dns_turn *t = dns_turn();
	enum fq_reason r;

	if (!t || !c || !dns_parse(ctx_data(ctx), ctx_end(ctx), t, family))
		return FAST_NOT;
	t->mode = mode;
	t->now = fast_now(c);
	t->who.ifindex = ctx_ifindex(ctx);
	t->who.gen = hops_gen(c, t->now);
	seen = t->who.gen ? dns_seen_at(&t->who) : NULL;
	if (!seen || !dns_seen_same(seen, &t->who))
		return FAST_NOT;
	r = dns_serve(ctx);
	if (r == FQ_R_NOT_OURS)
		return FAST_NOT;
	stats_count(r, t->l3_len);
	return r == FQ_R_DNS_ANSWERED ? XDP_REDIRECT : XDP_DROP;
}

static __noinline int dns_ahead4(fq_ctx *ctx, enum fq_mode mode)
{
	return dns_family(ctx, mode, FQ_AF_INET);
}

static __noinline int dns_ahead6(fq_ctx *ctx, enum fq_mode mode)
{
	return dns_family(ctx, mode, FQ_AF_INET6);
}
