/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers DNS queries in XDP, for names that the daemon has answered a moment ago: see struct
 * fq_dns. At the end of each lease, one query for a name goes to the daemon as if this were not
 * here, so it knows of queries what it has to know, and nothing is answered for long without it.
 *
 * Called by hook_run for packets that are the kernel's. Reads everything first; whatever is
 * unusual, and whatever fails before the first write, is left to the daemon.
 */
#pragma once

#include "dns.h"
#include "frame.h"
#include "hook_xdp.h"
#include "hops.h"
#include "policy.h"
#include "route.h"

#define DNS_PORT      53
#define DNS_TTL       64
#define DNS_UDP4_OFF  (ETH_HLEN + sizeof(struct fq_ip4))
#define DNS_UDP6_OFF  (ETH_HLEN + sizeof(struct fq_ip6))
#define DNS_AHEAD_LEN (sizeof(struct fq_udp) + DNS_HEADER_LEN) /* of a body */
#define DNS_RETRY_NS  FQ_DNS_LEASE_MAX_NS /* the query may be lost: the next one that goes */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_work);
} dns_scratch SEC(".maps");

/* Who has asked where, and by which interface; so it may, as long as the generation lasts. */
struct dns_seen {
	struct fq_addr src, dst;
	__u32 ifindex;
	__u32 gen; /* fq_control.gen; 0: nobody vouches for it */
	__u32 tos;
	__u32 pad; /* zero */
};

#define DNS_SEEN_WORDS (sizeof(struct dns_seen) / 8)
#define DNS_SEEN_MAX   256 /* a CPU; a power of 2 */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DNS_SEEN_MAX);
	__type(key, __u32);
	__type(value, struct dns_seen);
} dns_seen SEC(".maps");

/* Might it be a query for us to answer? Whole, untagged, and nothing between the headers. */
fq_inline bool dns_wanted(const struct fq_pkt *p, __u8 mode)
{
	__u32 off = p->family == FQ_AF_INET ? DNS_UDP4_OFF : DNS_UDP6_OFF;

	return p->tuple.proto == FQ_PROTO_UDP && p->dport == bpf_htons(DNS_PORT) &&
	       mode != FQ_MODE_INJECT && !p->frag && !p->vlan && !p->l2_group && p->sport &&
	       p->l3_off == ETH_HLEN && p->l4_off == off;
}

/* Where the datagram begins, of packets that are wanted. */
fq_inline __u32 dns_udp_off(const struct fq_pkt *p)
{
	return p->family == FQ_AF_INET ? DNS_UDP4_OFF : DNS_UDP6_OFF;
}

/* The datagram, into the scratch. Return: false: it has no body, or too much of it. */
fq_inline bool dns_load(fq_ctx *ctx, const struct fq_pkt *p, struct dns_work *w)
{
	__u32 last = p->l4_len - DNS_AHEAD_LEN - 1;

	barrier_var(last); /* as in frame_sum_rest */
	if (last >= DNS_QUERY_MAX - 1)
		return false;
	__builtin_memset(w->msg.body, 0, DNS_QUERY_MAX);
	w->body_len = last + 1;
	return !ctx_load(ctx, dns_udp_off(p), &w->msg, DNS_AHEAD_LEN + last + 1);
}

/* The sum of the datagram, not folded; not of its pseudo header. */
fq_inline __u64 dns_sum(struct dns_work *w)
{
	__u32 len = (DNS_AHEAD_LEN + w->body_len + 3) & 0x1fc;

	if (len > sizeof(w->msg))
		return 0;
	return (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&w->msg, len, 0);
}

/*
 * Is the query's checksum right? Where the kernel keeps partial ones, the answer to one is to be
 * partial as well: w->complete.
 */
fq_inline bool dns_check(const struct fq_pkt *p, __u8 mode, struct dns_work *w)
{
	__u16 check = w->msg.udp.check;
	bool partial = nat_csum_partial(p, check), keeps = mode_keeps_partial(mode), whole;
	__u64 sum;

	w->complete = !partial || !keeps;
	if (!check) /* RFC 8200 8.1 */
		return p->family == FQ_AF_INET;
	if (partial && !keeps)
		return true;
	sum = csum_pseudo(&p->tuple.src, &p->tuple.dst, p->family, FQ_PROTO_UDP, p->l4_len);
	whole = csum_fold(dns_sum(w) + sum) == 0xffff;
	/* One that is both says nothing of what the kernel will do with it. */
	return whole != partial;
}

/* Is the address this host's at the moment? What listens may be yet to get it (IP_FREEBIND). */
fq_inline bool dns_is_local(fq_ctx *ctx, const struct fq_pkt *p)
{
	struct bpf_fib_lookup fib = {
		.family = p->family,
		.l4_protocol = FQ_PROTO_UDP,
		.tot_len = 1,
		.ifindex = p->ifindex,
	};

	if (p->family == FQ_AF_INET) {
		fib.ipv4_src = p->tuple.src.w[3];
		fib.ipv4_dst = p->tuple.dst.w[3];
	} else {
		__builtin_memcpy(fib.ipv6_src, &p->tuple.src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &p->tuple.dst, sizeof(fib.ipv6_dst));
	}
	return bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* The query in the scratch: dns_read. */
fq_global bool dns_read_scratch(__u32 slot)
{
	struct dns_work *w = bpf_map_lookup_elem(&dns_scratch, &slot);

	return w && dns_read(w);
}

/* Is a lease in force? At its end, the one query that asks is told no. */
fq_inline bool dns_leased(__u64 *renew_at, __u32 end)
{
	__u64 now = bpf_ktime_get_coarse_ns(), at = READ_ONCE(*renew_at);

	if (now >> FQ_DNS_END_SHIFT >= end)
		return false;
	return now < at || __sync_val_compare_and_swap(renew_at, at, now + DNS_RETRY_NS) != at;
}

/*
 * Make the answer of what is known. The kernel may use an element for another key as soon as it has
 * been replaced, so the answer counts if the key still leads to it.
 *
 * Return: false: nothing is known, or the daemon is to get this query.
 */
fq_inline bool dns_answer(struct dns_work *w)
{
	struct fq_dns_ptr *proxy;
	struct fq_dns *name;

	if (w->type == DNS_TYPE_PTR) {
		proxy = bpf_map_lookup_elem(&dns_ptr, &w->proxy);
		return proxy && dns_leased(&proxy->renew_at, proxy->end) &&
		       dns_make_ptr(w, proxy) && bpf_map_lookup_elem(&dns_ptr, &w->proxy) == proxy;
	}
	name = bpf_map_lookup_elem(&dns, &w->key);
	return name && dns_leased(&name->renew_at, name->end) && dns_make(w, name) &&
	       bpf_map_lookup_elem(&dns, &w->key) == name;
}

/* The answer's IP header over the query's, @len bytes with it. */
fq_inline bool dns_write_ip(fq_ctx *ctx, const struct fq_pkt *p, __u32 len)
{
	void *l3 = ctx_data(ctx) + ETH_HLEN;
	struct fq_ip4 *ip4 = l3;
	struct fq_ip6 *ip6 = l3;
	const __u32 *word = l3;
	__u64 sum = 0;

	if (p->family == FQ_AF_INET6) {
		if ((void *)(ip6 + 1) > ctx_end(ctx))
			return false;
		*ip6 = (struct fq_ip6){
			.flowinfo = bpf_htonl(6U << 28),
			.payload_len = bpf_htons(len - sizeof(*ip6)),
			.next_header = FQ_PROTO_UDP,
			.hop_limit = DNS_TTL,
			.src = p->tuple.dst,
			.dst = p->tuple.src,
		};
		return true;
	}
	if ((void *)(ip4 + 1) > ctx_end(ctx))
		return false;
	*ip4 = (struct fq_ip4){
		.version_ihl = 0x45,
		.tot_len = bpf_htons(len),
		.frag_off = bpf_htons(IP4_DF),
		.ttl = DNS_TTL,
		.protocol = FQ_PROTO_UDP,
		.src = p->tuple.dst.w[3],
		.dst = p->tuple.src.w[3],
	};
	for (int i = 0; i < (int)sizeof(*ip4) / 4; i++)
		sum += word[i];
	ip4->check = ~csum_fold(sum);
	return true;
}

/* The answer's UDP header, in the scratch, and its checksum over all that stands there. */
fq_inline void dns_write_udp(const struct fq_pkt *p, struct dns_work *w, __u32 len)
{
	__u64 sum = csum_pseudo(&p->tuple.src, &p->tuple.dst, p->family, FQ_PROTO_UDP, len);
	struct fq_udp *udp = &w->msg.udp;

	udp->sport = p->dport;
	udp->dport = p->sport;
	udp->len = bpf_htons(len);
	udp->check = 0;
	udp->check = w->complete ? csum_udp_nonzero(~csum_fold(dns_sum(w) + sum)) : csum_fold(sum);
}

/*
 * The frame gets @delta bytes longer, at its end if there is room: what is drawn together in one
 * allocation often has none. Then at its beginning, unless the kernel has noted where the checksum
 * that it is to complete stands.
 */
fq_inline bool dns_resize(fq_ctx *ctx, int delta, bool may_move)
{
	return !bpf_xdp_adjust_tail(ctx, delta) || (may_move && hook_grow(ctx, delta));
}

/*
 * Turn the query into the answer that stands in the scratch.
 *
 * Return: DNS_ANSWERED: to be sent back; WRITE_FAILED; NOT_OURS: no room, nothing has been written.
 */
fq_global enum fq_reason dns_write(fq_ctx *ctx, const struct fq_pkt *p)
{
	__u32 zero = 0, off, last, len;
	struct dns_work *w = bpf_map_lookup_elem(&dns_scratch, &zero);

	if (!w || !p)
		return FQ_R_WRITE_FAILED;
	last = w->body_len - 1;
	barrier_var(last);
	if (last >= DNS_BODY_MAX - 1)
		return FQ_R_WRITE_FAILED;
	off = dns_udp_off(p);
	len = DNS_AHEAD_LEN + last + 1;
	if (!dns_resize(ctx, (int)(off + len) - (int)ctx_len(ctx), w->complete))
		return FQ_R_NOT_OURS;
	dns_write_udp(p, w, len);
	if (!frame_turn(ctx) || !dns_write_ip(ctx, p, off - ETH_HLEN + len) ||
	    ctx_store(ctx, off, &w->msg, DNS_AHEAD_LEN + last + 1))
		return FQ_R_WRITE_FAILED;
	return FQ_R_DNS_ANSWERED;
}

/* May it be answered, as far as its addresses tell? Its sender's, and that it is asked at. */
static __noinline bool dns_permitted(fq_ctx *ctx, const struct fq_pkt *p)
{
	const struct fq_client *client;
	struct fq_addr addr;

	/* A copy: kernels before 6.4 take no memory of a caller's as a key. */
	addr = p->tuple.dst;
	if (!bpf_map_lookup_elem(&dns_addrs, &addr))
		return false;
	addr = p->tuple.src;
	client = policy_client(&addr);
	return client && !client->scope && dns_is_local(ctx, p) && route_back(ctx, p);
}

/* The same for both, all bits of them: they have no holes. */
fq_inline bool dns_seen_same(const struct dns_seen *a, const struct dns_seen *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;
	__u64 differs = 0;

	_Static_assert(sizeof(*a) == 48, "no holes");
	for (__u32 i = 0; i < DNS_SEEN_WORDS; i++)
		differs |= x[i] ^ y[i];
	return !differs;
}

/* May it be answered? Asked of the kernel once, and again when something has changed. */
fq_global bool dns_asked(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	const struct fq_control *c = maps_control();
	struct dns_seen *seen, now;
	__u32 slot;

	if (!p || !c || !dns_wanted(p, mode))
		return false;
	now = (struct dns_seen){
		.src = p->tuple.src,
		.dst = p->tuple.dst,
		.ifindex = p->ifindex,
		.gen = hops_gen(c, bpf_ktime_get_coarse_ns()),
		.tos = xlat_tos(p),
	};
	slot = nat_mix(nat_mix(now.src.w[3], now.src.w[2]), now.dst.w[3]);
	slot = nat_finish(nat_mix(slot, now.ifindex)) & (DNS_SEEN_MAX - 1);
	seen = bpf_map_lookup_elem(&dns_seen, &slot);
	if (!seen)
		return false;
	if (now.gen && dns_seen_same(seen, &now))
		return true;
	if (!dns_permitted(ctx, p))
		return false;
	*seen = now;
	return true;
}

/* Make the answer in the scratch. Return: false: this one is the daemon's. */
fq_global bool dns_decide(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	__u32 zero = 0;
	struct dns_work *w = bpf_map_lookup_elem(&dns_scratch, &zero);

	if (!w || !p || !dns_load(ctx, p, w) || !dns_check(p, mode, w) || !dns_read_scratch(zero))
		return false;
	return dns_answer(w) && xdp_redirect(p->ifindex, mode) == XDP_REDIRECT;
}

/*
 * What becomes of a packet that is the kernel's: it still is (NOT_OURS, untouched); DNS_ANSWERED:
 * to be sent back; WRITE_FAILED.
 */
fq_inline enum fq_reason hook_dns(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	if (p->tuple.proto != FQ_PROTO_UDP || p->dport != bpf_htons(DNS_PORT) ||
	    !dns_asked(ctx, p, mode) || !dns_decide(ctx, p, mode))
		return FQ_R_NOT_OURS;
	return dns_write(ctx, p);
}
