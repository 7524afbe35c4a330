/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The straight way through the XDP program for what most packets are: whole, without options or
 * extension headers, of a session that exists, about which nothing has to be asked anew.
 *
 * Where it goes, the session remembers (hops.h); to which MAC address it has come is compared with
 * that, so that it is for this host and for no group.
 *
 * It decides nothing. Every check below is whether the pipeline would come to the plain end, and
 * what fails one takes the pipeline from its beginning: nothing has been written or counted until
 * then, so what comes out is the same to the byte (tests/prog/test_oracle.c). What saves the time
 * is what it leaves out, and that the packet is known in registers only, because nothing here is a
 * function that takes it by its address.
 */
#pragma once

#include "hook.h"

#define FAST_NOT (-1) /* not a packet for this way */

/* An IPv4 header without options, not of a fragment. As parse_ip4. */
fq_inline bool fast_parse4(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_ip4 *ip = data + ETH_HLEN;
	__u32 len;

	if ((const void *)(ip + 1) > end || ip->version_ihl != (4 << 4 | IP4_HLEN_MIN / 4) ||
	    (ip->frag_off & bpf_htons(IP4_MF | IP4_OFFSET)))
		return false;
	len = bpf_ntohs(ip->tot_len);
	if (len < sizeof(*ip) || len > end - data - ETH_HLEN ||
	    !ip4_header_valid(ip, end, sizeof(*ip)))
		return false;
	addr_set4(&p->tuple.src, ip->src);
	addr_set4(&p->tuple.dst, ip->dst);
	p->ttl = ip->ttl;
	p->tos = ip->tos;
	p->df = (ip->frag_off & bpf_htons(IP4_DF)) != 0;
	p->l3_len = len;
	p->l4_off = ETH_HLEN + sizeof(*ip);
	p->l4_len = len - sizeof(*ip);
	return true;
}

/* An IPv6 header, of a packet that may have others behind it. As parse_ip6. */
fq_inline bool fast_parse6(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_ip6 *ip = data + ETH_HLEN;
	__u32 len;

	if ((const void *)(ip + 1) > end || (bpf_ntohl(ip->flowinfo) >> 28) != 6 ||
	    addr_is_mapped(&ip->src) || addr_is_mapped(&ip->dst))
		return false;
	len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (len > end - data - ETH_HLEN || len > 0xffff)
		return false;
	p->tuple.src = ip->src;
	p->tuple.dst = ip->dst;
	p->ttl = ip->hop_limit;
	p->flowinfo = ip->flowinfo & bpf_htonl(0x0fffffff);
	p->l3_len = len;
	p->l4_off = ETH_HLEN + sizeof(*ip);
	p->l4_len = len - sizeof(*ip);
	return true;
}

fq_inline bool fast_parse_l4(const void *data, const void *end, struct fq_pkt *p)
{
	switch (p->tuple.proto) {
	case FQ_PROTO_TCP:
		return !parse_tcp(data, end, p);
	case FQ_PROTO_UDP:
		return !parse_udp(data, end, p);
	case FQ_PROTO_ICMP:
		return p->family == FQ_AF_INET && !parse_icmp(data, end, p);
	case FQ_PROTO_ICMPV6:
		return p->family == FQ_AF_INET6 && !parse_icmp(data, end, p);
	default:
		return false;
	}
}

/* A packet of which nothing is unusual, and that may go one hop further. */
fq_inline bool fast_parse(const void *data, const void *end, struct fq_pkt *p, const __u8 family,
			  const __u8 proto)
{
	*p = (struct fq_pkt){.family = family, .l3_off = ETH_HLEN, .tuple.proto = proto};
	if (!(family == FQ_AF_INET ? fast_parse4(data, end, p) : fast_parse6(data, end, p)))
		return false;
	p->mtu_len = p->l3_len;
	return p->ttl > 1 && !addr_is_multicast(&p->tuple.src, family) &&
	       !addr_is_broadcast(&p->tuple.src, family) && fast_parse_l4(data, end, p);
}

/* The addresses once more: to keep them meanwhile takes more of the stack than there is. */
fq_inline void fast_reload6(const void *data, struct fq_pkt *p)
{
	const struct fq_ip6 *ip = data + ETH_HLEN;

	asm volatile("" ::: "memory");
	p->tuple.src = ip->src;
	p->tuple.dst = ip->dst;
}

/* As table_lookup. Only what is known by no address stays in registers: hence the copy. */
fq_inline struct fq_slot *fast_find(const struct fq_control *c, const struct fq_pkt *p,
				    __u32 *ret_index)
{
	const struct fq_tuple key = p->tuple;
	const struct table_query q = table_query(&c->table, &key);
	struct fq_slot *s;
	__u64 bits;

	if (p->family == FQ_AF_INET6)
		return table_lookup(&q, &key, ret_index);
	*ret_index = q.home;
	s = table_home(&q, &key, &bits);
	if (s || !bits)
		return s;
	*ret_index = table_scan4(q.print, q.ports, q.kind, (__u64)q.slots << 32 | q.home, bits);
	return session_at(*ret_index);
}

/* Of a session whose packets keep their IP version, and permitted as it is? */
fq_inline bool fast_permitted(const struct fq_slot *s, const struct fq_pkt *p, __u8 dir,
			      const struct fq_control *c, __u64 now)
{
	__u8 seen = READ_ONCE(s->tcp_seen), to = p->family == FQ_AF_INET6 ? TABLE_KIND_TO6 : 0;

	if (p->tuple.proto == FQ_PROTO_TCP &&
	    ((seen & FQ_TCP_LOCAL) || tcp_needs_peer(seen, p->tcp_flags)))
		return false;
	return (s->kind & TABLE_KIND_TO6) == to && session_permitted(s, p, dir, c, now);
}

/*
 * Of a session that is forwarded: by way of a gateway that is up (*@ret_gateway), or back from it?
 */
fq_inline bool fast_forwards(const fq_ctx *ctx, const struct fq_slot *s, __u8 dir,
			     __u16 *ret_gateway)
{
	__u32 id = session_gateway(s);
	const struct fq_gateway *g;

	if (dir == FQ_DIR_IN)
		return fq_settings.source_check == FQ_SOURCE_NONE ||
		       gateway_leads(id, ctx_ifindex(ctx));
	*ret_gateway = id;
	g = gateway_find(id);
	return g && g->up;
}

/* The next hop that the session remembers, if it takes this packet. */
fq_inline const struct fq_hop *fast_hop(const fq_ctx *ctx, const struct ethhdr *eth,
					const struct fq_slot *s, const struct fq_pkt *p, __u32 gen,
					__u16 gateway)
{
	const struct fq_hop *hop = hop_find(s, gen, hop_asked(p, gateway));

	if (!hop || hop->iif != ctx_ifindex(ctx) || p->l3_len > hop->mtu || !hop_is_here(hop, eth))
		return NULL;
	return hop;
}

fq_inline void fast_count(struct fq_slot *s, __u32 index, const struct fq_pkt *p, __u64 now,
			  enum fq_reason reason)
{
	if (p->tuple.proto == FQ_PROTO_TCP)
		tcp_advance(s, p, false);
	session_keep(s, index, p, now, true);
	stats_count(reason, p->l3_len);
}

/*
 * The instant, by the number of ticks: the kernel's clock is among the most expensive things
 * that a packet would need here. Packets that take the pipeline compare the two (hops_gen_now), and
 * there are some of them at least as often as a generation begins.
 */
fq_inline __u64 fast_now(const struct fq_control *c)
{
	__u64 offset = READ_ONCE(c->clock_offset);

	return fq_settings.tick_ns && offset ? bpf_jiffies64() * fq_settings.tick_ns + offset
					     : bpf_ktime_get_coarse_ns();
}

/* The header has been parsed there: @l4 and its port are in the frame. */
fq_inline void fast_write_l4(void *l4, const struct fq_pkt *p, const struct fq_plan *plan,
			     __u16 *check, __u64 addr_diff)
{
	__be16 *port = l4 + nat_port_off(p->tuple.proto, plan->dir);
	__u64 diff = csum_diff16(*port, plan->port);

	if (p->tuple.proto != FQ_PROTO_ICMP)
		diff += addr_diff;
	nat_update_check(p->tuple.proto, check, diff);
	*port = plan->port;
}

fq_inline void fast_write4(void *l3, const struct fq_slot *s, const struct fq_pkt *p,
			   struct fq_plan *plan, __u16 *check)
{
	addr_set4(&plan->src, s->to_src);
	addr_set4(&plan->dst, s->to_dst);
	fast_write_l4(l3 + sizeof(struct fq_ip4), p, plan, check, nat_addr_diff(p, plan));
	nat_rewrite_ip4(p, plan, l3);
}

/* From memory to memory: eight words of addresses do not stay in registers. */
fq_inline void fast_write6(void *l3, const struct fq_slot6 *six, const struct fq_pkt *p,
			   const struct fq_plan *plan, __u16 *check)
{
	struct fq_ip6 *ip = l3;
	__u64 diff = csum_diff_addr(&ip->src, &six->to_src, FQ_AF_INET6) +
		     csum_diff_addr(&ip->dst, &six->to_dst, FQ_AF_INET6);

	fast_write_l4(ip + 1, p, plan, check, diff);
	ip->src = six->to_src;
	ip->dst = six->to_dst;
	ip->hop_limit = p->ttl - 1;
}

/* What is forwarded only gets older. */
fq_inline void fast_write_ttl(void *l3, const struct fq_pkt *p)
{
	struct fq_ip4 *ip4 = l3;
	struct fq_ip6 *ip6 = l3;

	if (p->family == FQ_AF_INET6) {
		ip6->hop_limit = p->ttl - 1;
		return;
	}
	ip4->ttl = p->ttl - 1;
	ip4->check = csum_update(ip4->check, nat_ttl_diff(p));
}

/* The same function for each IP version and protocol, so that all offsets are constants. */
fq_inline int fast_run(fq_ctx *ctx, const enum fq_mode mode, const __u8 family, const __u8 proto)
{
	void *data = ctx_data(ctx), *end = ctx_end(ctx);
	struct fq_plan plan = {.mode = mode, .family = family};
	const struct fq_control *c = maps_control();
	const struct fq_slot6 *six = NULL;
	const struct fq_hop *hop;
	struct ethhdr *eth = data;
	struct fq_slot *s;
	struct fq_pkt p;
	__u32 index;
	__u16 *check;
	bool forward;
	__u64 now;

	if (!c || !fast_parse(data, end, &p, family, proto))
		return FAST_NOT;
	plan.dir = pool_has(&p.tuple.dst) ? FQ_DIR_OUT : FQ_DIR_IN;
	if (normalise(&p, plan.dir))
		return FAST_NOT;
	s = fast_find(c, &p, &index);
	if (family == FQ_AF_INET6)
		fast_reload6(data, &p);
	if (!s)
		return FAST_NOT;
	now = fast_now(c);
	check = data + p.l4_off + nat_check_off(proto);
	if (!fast_permitted(s, &p, plan.dir, c, now) || nat_csum_partial(&p, *check))
		return FAST_NOT;
	forward = s->kind & TABLE_KIND_FORWARD;
	if (forward && !fast_forwards(ctx, s, plan.dir, &plan.gateway))
		return FAST_NOT;
	hop = fast_hop(ctx, eth, s, &p, hops_gen(c, now), plan.gateway);
	if (family == FQ_AF_INET6 && !(six = bpf_map_lookup_elem(&sessions_six, &index)))
		return FAST_NOT;
	if (!hop || xdp_redirect(hop->oif, mode) != XDP_REDIRECT)
		return FAST_NOT;
	fast_count(s, index, &p, now, forward ? FQ_R_FORWARDED : FQ_R_TRANSLATED);
	plan.port = s->to_port;
	if (!forward && xlat_needs_id(&p, family))
		plan.ip_id = frag_new_id();
	if (forward)
		fast_write_ttl(data + ETH_HLEN, &p);
	else if (family == FQ_AF_INET)
		fast_write4(data + ETH_HLEN, s, &p, &plan, check);
	else
		fast_write6(data + ETH_HLEN, six, &p, &plan, check);
	hop_write(hop, eth);
	return XDP_REDIRECT;
}

/*
 * Within the program itself: a call costs a sixth of a packet's time where the kernel keeps
 * processors from guessing what a function returns to. The stack has room for one of the two, and
 * IPv6 needs more of it.
 */
fq_inline int fast_ip4(fq_ctx *ctx, enum fq_mode mode)
{
	const struct fq_ip4 *ip = ctx_data(ctx) + ETH_HLEN;

	if ((const void *)(ip + 1) > ctx_end(ctx))
		return FAST_NOT;
	switch (ip->protocol) {
	case FQ_PROTO_TCP:
		return fast_run(ctx, mode, FQ_AF_INET, FQ_PROTO_TCP);
	case FQ_PROTO_UDP:
		return fast_run(ctx, mode, FQ_AF_INET, FQ_PROTO_UDP);
	case FQ_PROTO_ICMP:
		return fast_run(ctx, mode, FQ_AF_INET, FQ_PROTO_ICMP);
	default:
		return FAST_NOT;
	}
}

static __noinline int fast_ip6(fq_ctx *ctx, enum fq_mode mode)
{
	const struct fq_ip6 *ip = ctx_data(ctx) + ETH_HLEN;

	if ((const void *)(ip + 1) > ctx_end(ctx))
		return FAST_NOT;
	switch (ip->next_header) {
	case FQ_PROTO_TCP:
		return fast_run(ctx, mode, FQ_AF_INET6, FQ_PROTO_TCP);
	case FQ_PROTO_UDP:
		return fast_run(ctx, mode, FQ_AF_INET6, FQ_PROTO_UDP);
	case FQ_PROTO_ICMPV6:
		return fast_run(ctx, mode, FQ_AF_INET6, FQ_PROTO_ICMPV6);
	default:
		return FAST_NOT;
	}
}
