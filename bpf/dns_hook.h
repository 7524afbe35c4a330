/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers DNS queries in XDP, for names that the daemon has answered a moment ago: see struct
 * fq_dns. At the end of each lease the daemon hears of one query for the name, so it knows of
 * queries what it has to know, and nothing is answered for long without it.
 *
 * A query from somebody who has asked before is answered ahead of everything else (dns_ahead), as
 * port 53 of this host's addresses is no session's: NAT does not use it (open.h). Anybody else's
 * takes the pipeline first, and then the kernel is asked whether he may (hook_dns).
 *
 * Reads everything first; whatever is unusual, and whatever fails before the first write, is left
 * to the daemon.
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
#define DNS_RETRY_NS  FQ_DNS_LEASE_MAX_NS /* what the daemon hears of may be lost: once more */

/* Who has asked where, and by which interface; so it may, as long as the generation lasts. */
struct dns_seen {
	struct fq_addr src, dst;
	__u32 ifindex;
	__u32 gen; /* fq_control.gen; 0: nobody vouches for it */
	__u16 tos;
	__u8 here[ETH_ALEN]; /* the MAC address that the frame has come to */
};

#define DNS_SEEN_WORDS (sizeof(struct dns_seen) / 8)
#define DNS_SEEN_MAX   4096 /* a CPU; a power of 2 */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DNS_SEEN_MAX);
	__type(key, __u32);
	__type(value, struct dns_seen);
} dns_seen SEC(".maps");

/* A query: its packet, and its message. */
struct dns_turn {
	struct dns_seen who;
	__u64 now;
	__u32 l3_len, l4_len;
	__be16 sport;
	__u8 family, mode;
	__u32 pad;
	struct dns_work work;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_turn);
} dns_scratch SEC(".maps");

fq_inline struct dns_turn *dns_turn(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dns_scratch, &zero);
}

/* ---- the message ---- */

/* Where the datagram begins. */
fq_inline __u32 dns_udp_off(__u8 family)
{
	return family == FQ_AF_INET ? DNS_UDP4_OFF : DNS_UDP6_OFF;
}

/* The sum of the datagram of @len bytes, not folded; not of its pseudo header. */
fq_inline __u64 dns_sum(struct dns_work *w, __u32 len)
{
	len = (len + 3) & 0x1fc;
	if (len > sizeof(w->msg))
		return 0;
	return (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&w->msg, len, 0);
}

/* The datagram, into the scratch. Return: false: it has no body, or too much of it. */
fq_inline bool dns_load(fq_ctx *ctx, struct dns_turn *t)
{
	__u32 last = t->l4_len - DNS_AHEAD_LEN - 1;
	struct dns_work *w = &t->work;

	barrier_var(last); /* as in frame_sum_rest */
	if (last >= DNS_QUERY_MAX - 1 ||
	    ctx_load(ctx, dns_udp_off(t->family), &w->msg, DNS_AHEAD_LEN + last + 1))
		return false;
	w->body_len = last + 1;
	dns_put32(w->msg.body + w->body_len, 0);
	return true;
}

fq_inline __u64 dns_pseudo(const struct dns_turn *t, __u32 len)
{
	return csum_pseudo(&t->who.src, &t->who.dst, t->family, FQ_PROTO_UDP, len);
}

/*
 * Is the query's checksum right? Where the kernel keeps partial ones, the answer to one is to be
 * partial as well: w->complete.
 */
fq_inline bool dns_check(struct dns_turn *t)
{
	__u16 check = t->work.msg.udp.check;
	__u64 sum = dns_pseudo(t, t->l4_len);
	bool partial = check == csum_fold(sum), keeps = mode_keeps_partial(t->mode), whole;

	t->work.complete = !partial || !keeps;
	if (!check) /* RFC 8200 8.1 */
		return t->family == FQ_AF_INET;
	if (partial && !keeps)
		return true;
	whole = csum_fold(dns_sum(&t->work, t->l4_len) + sum) == 0xffff;
	/* One that is both says nothing of what the kernel will do with it. */
	return whole != partial;
}

/* ---- the answer ---- */

/*
 * The daemon hears of a query for that name; it is woken now and then only. Return: false: it has
 * not read what it was told before.
 */
fq_inline bool dns_tell(const struct fq_dns_key *key, __u64 now)
{
	struct fq_control *c = maps_control();
	__u64 flags = BPF_RB_NO_WAKEUP, woken;
	struct fq_dns_key *name;

	if (!c)
		return false;
	name = bpf_ringbuf_reserve(&dns_asked, sizeof(*name), 0);
	if (!name)
		return false;
	*name = *key;
	woken = READ_ONCE(c->dns.woken_at);
	if (now - woken >= FQ_DNS_WAKE_NS &&
	    __sync_val_compare_and_swap(&c->dns.woken_at, woken, now) == woken)
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(name, flags);
	return true;
}

/* Is nothing said about it any more? The daemon may be gone. */
fq_inline bool dns_ended(__u32 end, __u64 now)
{
	return now >> FQ_DNS_END_SHIFT >= end;
}

/* Is this the query at the end of a lease? It is so for one. */
fq_inline bool dns_renews(__u64 *renew_at, __u64 now)
{
	__u64 at = READ_ONCE(*renew_at);

	return now >= at && __sync_val_compare_and_swap(renew_at, at, now + DNS_RETRY_NS) == at;
}

/*
 * PTR: the query at the end of a lease is the daemon's. The kernel may use an element for another
 * key as soon as it has been replaced, so the answer counts if the key still leads to it.
 */
static __noinline bool dns_answer_ptr(struct dns_turn *t)
{
	struct dns_work *w = &t->work;
	struct fq_dns_ptr *proxy = bpf_map_lookup_elem(&dns_ptr, &w->proxy);

	return proxy && !dns_ended(proxy->end, t->now) && !dns_renews(&proxy->renew_at, t->now) &&
	       dns_make_ptr(w, proxy) && bpf_map_lookup_elem(&dns_ptr, &w->proxy) == proxy;
}

/* What is known of the name; it stays what it is until the program ends. */
fq_inline struct fq_dns *dns_find(const struct fq_dns_key *key)
{
	const struct fq_control *c = maps_control();
	const struct fq_dns_bucket *bucket;
	struct fq_dns_name *name;
	__u32 at;
	__u64 hash;

	if (!c)
		return NULL;
	hash = dns_hash(&c->dns, key);
	bucket = PAGED(&dns, (__u32)hash & (c->dns.buckets - 1), DNS_BUCKET_BITS);
	at = bucket ? dns_slot(bucket, hash) : 0;
	if (!at)
		return NULL;
	name = PAGED(&dns_names, at, DNS_NAME_BITS);
	return name && dns_same_key(&name->key, key) ? &name->dns : NULL;
}

/* Make the answer of what is known. Return: false: that is nothing, or the daemon is to know. */
fq_global bool dns_answer(__u32 slot)
{
	struct dns_turn *t = bpf_map_lookup_elem(&dns_scratch, &slot);
	struct fq_dns *name;

	if (!t || !dns_read(&t->work))
		return false;
	if (t->work.type == DNS_TYPE_PTR)
		return dns_answer_ptr(t);
	name = dns_find(&t->work.key);
	return name && !dns_ended(name->end, t->now) &&
	       (!dns_renews(&name->renew_at, t->now) || dns_tell(&t->work.key, t->now)) &&
	       dns_make(&t->work, name);
}

/* The answer's IP header over the query's, @len bytes with it. */
fq_inline bool dns_write_ip(fq_ctx *ctx, const struct dns_turn *t, __u32 len)
{
	void *l3 = ctx_data(ctx) + ETH_HLEN;
	struct fq_ip4 *ip4 = l3;
	struct fq_ip6 *ip6 = l3;
	const __u32 *word = l3;
	__u64 sum = 0;

	if (t->family == FQ_AF_INET6) {
		if ((void *)(ip6 + 1) > ctx_end(ctx))
			return false;
		*ip6 = (struct fq_ip6){
			.flowinfo = bpf_htonl(6U << 28),
			.payload_len = bpf_htons(len - sizeof(*ip6)),
			.next_header = FQ_PROTO_UDP,
			.hop_limit = DNS_TTL,
			.src = t->who.dst,
			.dst = t->who.src,
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
		.src = t->who.dst.w[3],
		.dst = t->who.src.w[3],
	};
	for (int i = 0; i < (int)sizeof(*ip4) / 4; i++)
		sum += word[i];
	ip4->check = ~csum_fold(sum);
	return true;
}

/* The answer's UDP header, in the scratch, and its checksum over all that stands there. */
fq_inline void dns_write_udp(struct dns_turn *t, __u32 len)
{
	struct fq_udp *udp = &t->work.msg.udp;
	__u64 sum = dns_pseudo(t, len);

	udp->sport = bpf_htons(DNS_PORT);
	udp->dport = t->sport;
	udp->len = bpf_htons(len);
	udp->check = 0;
	udp->check = t->work.complete ? csum_udp_nonzero(~csum_fold(dns_sum(&t->work, len) + sum))
				      : csum_fold(sum);
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
fq_inline enum fq_reason dns_write(fq_ctx *ctx, struct dns_turn *t)
{
	__u32 off = dns_udp_off(t->family), last = t->work.body_len - 1, len;

	barrier_var(last);
	if (last >= DNS_BODY_MAX - 1)
		return FQ_R_WRITE_FAILED;
	len = DNS_AHEAD_LEN + last + 1;
	if (!dns_resize(ctx, (int)(off + len) - (int)ctx_len(ctx), t->work.complete))
		return FQ_R_NOT_OURS;
	dns_write_udp(t, len);
	if (!frame_turn(ctx) || !dns_write_ip(ctx, t, off - ETH_HLEN + len) ||
	    ctx_store(ctx, off, &t->work.msg, DNS_AHEAD_LEN + last + 1))
		return FQ_R_WRITE_FAILED;
	return FQ_R_DNS_ANSWERED;
}

/*
 * Answer the query that the scratch tells of, if there is an answer. Return: as dns_write; or
 * NOT_OURS: it is the daemon's, nothing has been written.
 */
fq_global enum fq_reason dns_serve(fq_ctx *ctx)
{
	struct dns_turn *t = dns_turn();

	if (!t || !dns_load(ctx, t) || !dns_check(t) || !dns_answer(0) ||
	    xdp_redirect(t->who.ifindex, t->mode) != XDP_REDIRECT)
		return FQ_R_NOT_OURS;
	return dns_write(ctx, t);
}

/* ---- who asks ---- */

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

/* Where it is remembered that he may. */
fq_inline struct dns_seen *dns_seen_at(const struct dns_seen *who)
{
	__u32 slot = nat_mix(nat_mix(who->src.w[3], who->src.w[2]), who->dst.w[3]);

	slot = nat_finish(nat_mix(slot, who->ifindex)) & (DNS_SEEN_MAX - 1);
	return bpf_map_lookup_elem(&dns_seen, &slot);
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

/*
 * Might it be a query for us to answer? Whole, untagged, nothing between the headers, and nothing
 * behind the datagram.
 */
fq_inline bool dns_wanted(const struct fq_pkt *p, __u8 mode)
{
	return mode != FQ_MODE_INJECT && !p->frag && !p->vlan && !p->l2_group && p->sport &&
	       p->l3_off == ETH_HLEN && p->l4_off == dns_udp_off(p->family) &&
	       p->l3_off + p->l3_len == p->l4_off + p->l4_len;
}

/* The scratch, of a packet that has been parsed. Return: false: it cannot be answered. */
fq_inline bool dns_begin(fq_ctx *ctx, struct dns_turn *t, const struct fq_pkt *p, __u8 mode)
{
	const struct fq_control *c = maps_control();
	const struct ethhdr *eth = ctx_data(ctx);

	if (!c || (const void *)(eth + 1) > ctx_end(ctx))
		return false;
	t->now = bpf_ktime_get_coarse_ns();
	t->who = (struct dns_seen){
		.src = p->tuple.src,
		.dst = p->tuple.dst,
		.ifindex = p->ifindex,
		.gen = hops_gen_now(t->now),
		.tos = xlat_tos(p),
	};
	__builtin_memcpy(t->who.here, eth->h_dest, ETH_ALEN);
	t->l3_len = p->l3_len;
	t->l4_len = p->l4_len;
	t->sport = p->sport;
	t->family = p->family;
	t->mode = mode;
	return true;
}

/*
 * May the packet's sender ask? Then that is remembered.
 *
 * Return: false: no; or it is remembered already, and there is no answer to this (dns_ahead).
 */
fq_global bool dns_admit(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	struct dns_turn *t = dns_turn();
	struct dns_seen *seen;

	if (!p || !t || !dns_wanted(p, mode) || !dns_begin(ctx, t, p, mode))
		return false;
	seen = dns_seen_at(&t->who);
	if (!seen || (t->who.gen && dns_seen_same(seen, &t->who)) || !dns_permitted(ctx, p))
		return false;
	*seen = t->who;
	return true;
}

/*
 * What becomes of a packet that is the kernel's: it still is (NOT_OURS, untouched); DNS_ANSWERED:
 * to be sent back; WRITE_FAILED.
 */
fq_inline enum fq_reason hook_dns(fq_ctx *ctx, const struct fq_pkt *p, __u8 mode)
{
	if (p->tuple.proto != FQ_PROTO_UDP || p->dport != bpf_htons(DNS_PORT) ||
	    !dns_admit(ctx, p, mode))
		return FQ_R_NOT_OURS;
	return dns_serve(ctx);
}
