/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation proper: which port to try, and how a header is rewritten.
 *
 * Pure: no helper, no map. nat_rewrite_* are the only writers of translated packets, in both
 * directions and for all protocols; pipeline.h plans, frame.h calls them.
 *
 * RFC 4787 (REQ-1, REQ-3), RFC 6056 3.3.3, RFC 1624, RFC 768, RFC 3022 4.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

#define NAT_TRIES     64   /* ports tried for a session before it is refused */
#define NAT_PORT_LOW  512  /* well-known ports given to clients */
#define NAT_PORT_HIGH 1024 /* above them (RFC 4787 REQ-3a) */

/* MurmurHash3's mixing of one word. */
fq_inline __u32 nat_mix(__u32 h, __u32 word)
{
	word *= 0xcc9e2d51;
	word = word << 15 | word >> 17;
	h ^= word * 0x1b873593;
	h = h << 13 | h >> 19;
	return h * 5 + 0xe6546b64;
}

fq_inline __u32 nat_finish(__u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ h >> 16;
}

fq_inline __u32 nat_hash_addr(__u32 h, const struct fq_addr *a)
{
	for (int i = 0; i < 4; i++)
		h = nat_mix(h, a->w[i]);
	return h;
}

/* Which of several addresses a client gets: always the same (RFC 4787 REQ-2). */
fq_inline __u32 nat_pick(const struct fq_addr *client, __u32 seed, __u32 count)
{
	return nat_finish(nat_hash_addr(seed, client)) % count;
}

/*
 * The ports (or ids) a session may get, host order: [lo, hi] without [skip_lo, skip_hi],
 * which lies inside. They are tried one after the other from a hashed start (RFC 6056 3.3.3).
 */
struct nat_ports {
	__u32 lo;
	__u32 keep_lo; /* the least that a client keeps if it has it */
	__u32 skip_lo;
	__u32 skip;   /* ports left out, from skip_lo on */
	__u32 usable; /* 0: none */
	__u32 start;  /* index of the first one tried, < usable */
};

/*
 * @hi >= @lo; the range left out may overlap in any way, or be empty (@skip_hi < @skip_lo).
 * @hash must not depend on the peer's port, so that mappings are endpoint independent as far
 * as ports allow (RFC 4787 REQ-1, RFC 6056 3.3.3).
 */
fq_inline void nat_ports_init(struct nat_ports *n, __u32 lo, __u32 hi, __u32 skip_lo, __u32 skip_hi,
			      __u32 hash)
{
	skip_lo = skip_lo < lo ? lo : skip_lo;
	skip_hi = skip_hi > hi ? hi : skip_hi;
	n->lo = lo;
	n->keep_lo = lo;
	n->skip_lo = skip_lo;
	n->skip = skip_hi >= skip_lo ? skip_hi - skip_lo + 1 : 0;
	n->usable = hi - lo + 1 - n->skip;
	n->start = n->usable ? hash % n->usable : 0;
}

/* A well-known port stays one; those below NAT_PORT_LOW are kept, but not given (REQ-3a). */
fq_inline void nat_ports_init_low(struct nat_ports *n, __u32 hash)
{
	nat_ports_init(n, NAT_PORT_LOW, NAT_PORT_HIGH - 1, 1, 0, hash);
	n->keep_lo = 1;
}

fq_inline bool nat_port_allowed(const struct nat_ports *n, __u32 port)
{
	if (port < n->keep_lo || port > n->lo + n->usable + n->skip - 1)
		return false;
	return port < n->skip_lo || port >= n->skip_lo + n->skip;
}

/* The @i-th port of the search; @n->usable is not 0. */
fq_inline __u32 nat_port(const struct nat_ports *n, __u32 i)
{
	__u32 port = n->lo + (n->start + i) % n->usable;

	return port < n->skip_lo ? port : port + n->skip;
}

/* Offset of the checksum in the L4 header. */
fq_inline __u32 nat_check_off(__u8 proto)
{
	if (proto == FQ_PROTO_TCP)
		return offsetof(struct fq_tcp, check);
	if (proto == FQ_PROTO_UDP)
		return offsetof(struct fq_udp, check);
	return offsetof(struct fq_icmp, check);
}

/* Offset of the client's port or id in the L4 header. */
fq_inline __u32 nat_port_off(__u8 proto, __u8 dir)
{
	if (proto != FQ_PROTO_TCP && proto != FQ_PROTO_UDP)
		return offsetof(struct fq_icmp, id);
	return dir == FQ_DIR_OUT ? offsetof(struct fq_tcp, sport) : offsetof(struct fq_tcp, dport);
}

/*
 * Is the checksum one that the sender left to its network card?
 *
 * Virtual interfaces hand such packets over as they are: the field holds the folded sum of the
 * pseudo header, not complemented (CHECKSUM_PARTIAL). A complete checksum has the same
 * value once in 65536 packets; completing it again does no harm. Fragments are always complete.
 */
fq_inline bool nat_csum_partial(const struct fq_pkt *p, __u16 check)
{
	if (p->frag || (p->tuple.proto != FQ_PROTO_TCP && p->tuple.proto != FQ_PROTO_UDP))
		return false;
	return check == csum_fold(csum_pseudo(&p->tuple.src, &p->tuple.dst, p->family,
					      p->tuple.proto, p->l4_len));
}

/* What the addresses' change does to every checksum that covers them. */
fq_inline __u64 nat_addr_diff(const struct fq_pkt *p, const struct fq_plan *plan)
{
	return csum_diff_addr(&p->tuple.src, &plan->src, p->family) +
	       csum_diff_addr(&p->tuple.dst, &plan->dst, p->family);
}

/* What a hop less does to an IPv4 header's checksum. It is the first byte of its 16-bit word. */
fq_inline __u64 nat_ttl_diff(const struct fq_pkt *p)
{
	return csum_diff16(bpf_htons(p->ttl << 8), bpf_htons((p->ttl - 1) << 8));
}

/* Addresses, id, TTL, header checksum. The TTL is at least 2. */
fq_inline void nat_rewrite_ip4(const struct fq_pkt *p, const struct fq_plan *plan,
			       struct fq_ip4 *ip)
{
	__u64 diff = nat_ttl_diff(p);

	if (plan->ip_id) {
		diff += csum_diff16(ip->id, plan->ip_id);
		ip->id = plan->ip_id;
	}
	ip->src = plan->src.w[3];
	ip->dst = plan->dst.w[3];
	ip->ttl = p->ttl - 1;
	ip->check = csum_update(ip->check, nat_addr_diff(p, plan) + diff);
}

fq_inline void nat_rewrite_ip6(const struct fq_pkt *p, const struct fq_plan *plan,
			       struct fq_ip6 *ip)
{
	ip->src = plan->src;
	ip->dst = plan->dst;
	ip->hop_limit = p->ttl - 1;
}

/*
 * What a translation changes in the sum over the whole IP packet. That of an IPv4 header stays what
 * it is: its checksum sees to it.
 *
 * @l4_diff: sum of csum_diff* of the words changed in the L4 header
 */
fq_inline __u32 nat_sum_diff(const struct fq_pkt *p, const struct fq_plan *plan, __u64 l4_diff)
{
	if (p->family == FQ_AF_INET6)
		l4_diff += nat_addr_diff(p, plan) +
			   csum_diff16(bpf_htons(p->ttl), bpf_htons(p->ttl - 1));
	return csum_fold(l4_diff);
}

/* Of a whole checksum. UDP's of 0 is none, and stays. */
fq_inline void nat_update_check(__u8 proto, __u16 *check, __u64 diff)
{
	if (proto != FQ_PROTO_UDP)
		*check = csum_update(*check, diff);
	else if (*check)
		*check = csum_udp_nonzero(csum_update(*check, diff));
}

/*
 * Write a translation into the L4 header.
 *
 * @p:     the packet as parsed
 * @plan:  what it becomes
 * @check: its checksum, at nat_check_off
 * @port:  its client-side port or id, at nat_port_off
 *
 * A UDP checksum of 0 (none) stays 0: over IPv4 that is legal (RFC 768), over IPv6 it is the
 * receiver's to judge (RFC 6935). ICMPv4 has no pseudo header.
 *
 * Return: true if the checksum was partial. It still is: it is now the new pseudo header's sum,
 * and whoever sends the packet completes it.
 */
fq_inline bool nat_rewrite_l4(const struct fq_pkt *p, const struct fq_plan *plan, __u16 *check,
			      __be16 *port)
{
	__u64 diff = csum_diff16(*port, plan->port);
	bool partial = nat_csum_partial(p, *check);
	__u8 proto = p->tuple.proto;

	if (proto != FQ_PROTO_ICMP)
		diff += nat_addr_diff(p, plan);
	if (partial)
		*check =
			csum_fold(csum_pseudo(&plan->src, &plan->dst, p->family, proto, p->l4_len));
	else if (!plan->forwarded) /* else it is as the sender has written it */
		nat_update_check(proto, check, diff);
	*port = plan->port;
	return partial;
}
