/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that exist: finding, asking again whether they are still permitted, counting.
 *
 * A session is two entries of one table (<fqdnat/table.h>), one a direction, so that a packet
 * touches one. They are made by open.h and ended by user space, with one exception
 * (session_remove): who removes an out entry adjusts the counts.
 *
 * Statements A-08, F-09, G-43, G-46, M-06, N-09, N-10 of docs/behaviours.md.
 */
#pragma once

#include <fqdnat/table.h>

#include "ctx.h"
#include "policy.h"
#include "tcp.h"

static inline struct fq_slot *table_at(const struct table_query *q, __u32 index)
{
	(void)q;
	return bpf_map_lookup_elem(&sessions, &index);
}

static inline struct fq_slot6 *table_at6(const struct table_query *q, __u32 index)
{
	(void)q;
	return bpf_map_lookup_elem(&sessions_six, &index);
}

static inline void table_touch6(__u32 index)
{
	struct fq_slot6 *six = bpf_map_lookup_elem(&sessions_six, &index);

	if (six)
		(void)TABLE_LOAD(six->src.w[0]);
}

/* NULL if @index is TABLE_NONE. */
fq_inline struct fq_slot *session_at(__u32 index)
{
	return bpf_map_lookup_elem(&sessions, &index);
}

fq_inline struct fq_cold *session_cold(__u32 index)
{
	return bpf_map_lookup_elem(&sessions_cold, &index);
}

/* Where a tuple's entry is; TABLE_NONE if there is none. */
fq_global __u32 session_find(const struct fq_tuple *tuple)
{
	const struct fq_control *c = maps_control();
	struct table_query q;
	__u32 index;

	if (!c || !tuple)
		return TABLE_NONE;
	q = table_query(&c->table, tuple);
	table_lookup(&q, tuple, &index);
	return index;
}

/*
 * Remove an entry, which is another CPU's business no more. Counts are the caller's.
 *
 * Return: false if there is none, or somebody else has.
 */
fq_global bool session_remove(const struct fq_tuple *tuple)
{
	const struct fq_control *c = maps_control();
	struct fq_slot *home, *s;
	struct table_query q;
	__u32 index;

	if (!c || !tuple)
		return false;
	q = table_query(&c->table, tuple);
	s = table_lookup(&q, tuple, &index);
	home = session_at(q.home);
	return home && s && table_remove(home, s, table_probe_of(q.slots, q.home, index) & 63);
}

fq_inline enum fq_dir session_dir(const struct fq_slot *s)
{
	return s->kind & TABLE_KIND_IN ? FQ_DIR_IN : FQ_DIR_OUT;
}

/* 0: translated here; else: forwarded as it is, by way of that gateway. */
fq_inline __u16 session_gateway(const struct fq_slot *s)
{
	return s->kind & TABLE_KIND_FORWARD ? READ_ONCE(s->gateway) : 0;
}

/* IP version of what its packets become. */
fq_inline __u8 session_family(const struct fq_slot *s)
{
	return s->kind & TABLE_KIND_TO6 ? FQ_AF_INET6 : FQ_AF_INET;
}

/* The addresses of what the packets of tuple @key become. */
fq_inline void session_result(const struct fq_slot *s, __u32 index, const struct fq_tuple *key,
			      struct fq_addr *ret_src, struct fq_addr *ret_dst)
{
	const struct fq_slot6 *six;

	if (s->kind & TABLE_KIND_FORWARD) {
		*ret_src = key->src;
		*ret_dst = key->dst;
	} else if (!(s->kind & (TABLE_KIND_IP6 | TABLE_KIND_TO6))) {
		addr_set4(ret_src, s->to_src);
		addr_set4(ret_dst, s->to_dst);
	} else if ((six = bpf_map_lookup_elem(&sessions_six, &index))) {
		*ret_src = six->to_src;
		*ret_dst = six->to_dst;
	}
}

/* Permitted in generation @gen, in which its packets take next hop @hop: both at once. */
fq_inline void session_set_way(struct fq_slot *s, __u32 gen, __u16 hop)
{
	const struct fq_slot want = {.to_port = s->to_port, .hop = hop, .gen = gen};

	/* An exchange is a barrier: the port that was written before is read again behind it. */
	__sync_lock_test_and_set(&s->way, want.way);
}

/* In generation @gen its packets take next hop @hop, if that is the one of its permission still. */
fq_inline void session_set_hop(struct fq_slot *s, __u32 gen, __u16 hop)
{
	const struct fq_slot have = {.way = READ_ONCE(s->way)};
	struct fq_slot want = {.way = have.way};

	want.hop = hop;
	if (have.gen == gen)
		__sync_val_compare_and_swap(&s->way, have.way, want.way);
}

/* The resource's port in this packet; ICMP has none. */
fq_inline __be16 session_peer_port(const struct fq_pkt *p, __u8 dir)
{
	if (p->tuple.proto != FQ_PROTO_TCP && p->tuple.proto != FQ_PROTO_UDP)
		return 0;
	return dir == FQ_DIR_OUT ? p->dport : p->sport;
}

static __noinline enum fq_reason session_right(const struct fq_cold *s,
					       const struct fq_xlat_key *key,
					       const struct policy_ask *ask,
					       struct policy_right *ret_right)
{
	const struct fq_xlat *x = proxy_xlat(key->scope, &key->proxy);
	enum fq_reason r;

	if (!x || x->domain != s->domain)
		return policy_resource(ask, s->resource, ret_right);
	if (policy_xlat_lists(x, s->resource)) {
		r = policy_resource(ask, s->resource, ret_right);
		if (!r)
			return FQ_OK;
	}
	return policy_xlat(ask, x, ret_right);
}

/*
 * Ask the policy anew, and note its answer in the session. Of a forwarded one only the client is
 * asked about: the rest is its gateway's business.
 *
 * The resource by which the session was permitted comes first; if it permits no longer, or no
 * longer publishes the name, another one of the same domain and proxy address may (M-06). Whatever
 * has become of the translation itself is of no interest: session first.
 */
fq_global enum fq_reason session_permit(struct fq_slot *s, __u32 index, const struct fq_pkt *p,
					__u64 now, __u32 gen)
{
	struct fq_cold *cold = session_cold(index);
	struct policy_ask ask = {.now = now};
	struct policy_right right = {};
	const struct fq_client *client;
	struct fq_xlat_key key = {};
	struct fq_addr addr = {};
	enum fq_reason r;

	if (!s || !p || !cold)
		return FQ_R_NOT_A_CLIENT;
	if (session_dir(s) == FQ_DIR_OUT) {
		addr = p->tuple.src;
		key.proxy = p->tuple.dst;
	} else {
		session_result(s, index, &p->tuple, &key.proxy, &addr);
	}
	client = policy_client(&addr);
	if (!client)
		return FQ_R_NOT_A_CLIENT;
	ask.port = session_peer_port(p, session_dir(s));
	ask.proto = p->tuple.proto;
	ask.client = client->client;
	key.scope = client->scope;
	r = session_gateway(s) ? FQ_OK : session_right(cold, &key, &ask, &right);
	if (r)
		return r;
	WRITE_ONCE(cold->resource, right.resource);
	if (p->tuple.proto == FQ_PROTO_UDP)
		WRITE_ONCE(s->peer_port, ask.port);
	session_set_way(s, gen, TABLE_HOP_NONE);
	/* Another CPU's question about another port, in an earlier generation: ask again. */
	if (p->tuple.proto == FQ_PROTO_UDP && READ_ONCE(s->peer_port) != ask.port)
		session_set_way(s, 0, TABLE_HOP_NONE);
	return FQ_OK;
}

/* Nothing has changed since a packet to the same port was permitted? */
fq_inline bool session_permitted(const struct fq_slot *s, const struct fq_pkt *p, __u8 dir,
				 const struct fq_control *c, __u64 now)
{
	return READ_ONCE(s->gen) == READ_ONCE(c->gen) && now < READ_ONCE(c->grants_until) &&
	       (p->tuple.proto != FQ_PROTO_UDP ||
		READ_ONCE(s->peer_port) == session_peer_port(p, dir));
}

/*
 * Is the packet still permitted? Costs nothing but comparisons as long as nothing has
 * changed. UDP mappings serve every port of the peer, so a new port is a new question (G-46).
 */
fq_inline enum fq_reason session_check(struct fq_slot *s, __u32 index, const struct fq_pkt *p,
				       __u64 now)
{
	struct fq_control *c = maps_control();

	if (!c)
		return FQ_R_NOT_GRANTED;
	/* Of the generation before the question: what changes meanwhile is asked for again. */
	return session_permitted(s, p, session_dir(s), c, now)
		       ? FQ_OK
		       : session_permit(s, index, p, now, READ_ONCE(c->gen));
}

/*
 * From now on by way of that gateway. A plain store, which can lose to no other CPU's change of
 * something else and undoes none. Of two CPUs that move the flow at once, the later one's verdict
 * stands.
 */
fq_inline void session_rebind(struct fq_slot *s, __u16 gateway)
{
	WRITE_ONCE(s->gateway, gateway);
}

/* The other direction's key: what the packet becomes, reversed. */
fq_inline struct fq_tuple session_partner(const struct fq_slot *s, __u32 index,
					  const struct fq_pkt *p)
{
	bool out = session_dir(s) == FQ_DIR_OUT;
	struct fq_tuple t = {
		.sport = out ? p->tuple.dport : s->to_port,
		.dport = out ? s->to_port : p->tuple.sport,
		.proto = p->tuple.proto,
	};

	session_result(s, index, &p->tuple, &t.dst, &t.src);
	return t;
}

/* See tcp_option. @off: in the frame */
fq_global __u32 session_option(fq_ctx *ctx, __u32 off)
{
	if (off > FQ_L4_OFF_MAX + sizeof(struct fq_tcp) + TCP_OPTIONS_MAX)
		return 0;
	return tcp_option(ctx_data(ctx) + off, ctx_end(ctx));
}

/* The shift of the windows that a SYN asks for. */
fq_inline __u8 session_wscale(fq_ctx *ctx, const struct fq_pkt *p)
{
	__u32 off = p->l4_off + sizeof(struct fq_tcp), end = p->l4_off + p->l4_hlen;

	for (int i = 0; i < TCP_OPTIONS_MAX && off < end; i++) {
		__u32 option = session_option(ctx, off);

		if (!option)
			break;
		off += option & 0xff;
		if (option >> 8 != TCP_WSCALE_NONE)
			return off > end ? TCP_WSCALE_NONE : option >> 8;
	}
	return TCP_WSCALE_NONE;
}

fq_global bool session_note(struct fq_slot *s, struct fq_cold *cold, struct fq_slot *peer,
			    struct fq_cold *peer_cold, const struct fq_pkt *p)
{
	const struct tcp_end own = {s, cold}, other = {peer, peer_cold};

	return !s || !cold || !peer || !peer_cold || !p || tcp_note(&own, &other, p);
}

/*
 * A segment that says more than how far its sender has got: there are a few of them in a
 * connection.
 *
 * Return: whether it keeps the session. Without the other half, which is being made or removed, it
 * does.
 */
static __noinline bool session_tcp(fq_ctx *ctx, struct fq_slot *s, __u32 index, struct fq_pkt *p)
{
	struct fq_tuple key = session_partner(s, index, p);
	__u32 peer = session_find(&key);

	if (p->tcp_flags & FQ_TCP_SYN)
		p->tcp.wscale = session_wscale(ctx, p);
	return session_note(s, session_cold(index), session_at(peer), session_cold(peer), p);
}

/* A part of the counts has come around, once in 4 GiB: @after is what they have become. */
static __noinline void session_carry(__u32 index, __u64 after, __u32 len)
{
	struct fq_cold *cold = session_cold(index);
	__u32 carry = 0;

	if ((__u32)after < len)
		carry += TABLE_CARRY_BYTES;
	if (after < TABLE_COUNT_PACKET + len)
		carry += TABLE_CARRY_COUNTS;
	if (cold)
		__sync_fetch_and_add(&cold->carry, carry);
}

/* Count it. @keeps: it keeps the session */
fq_inline void session_keep(struct fq_slot *s, __u32 index, const struct fq_pkt *p, __u64 now,
			    bool keeps)
{
	__u64 more = TABLE_COUNT_PACKET + p->l3_len, after;

	if (keeps)
		WRITE_ONCE(s->last, table_ticks(now));
	after = __sync_fetch_and_add(&s->counts, more) + more;
	if ((__u32)after < p->l3_len || after < more)
		session_carry(index, after, p->l3_len);
}

/*
 * A packet of the session goes on its way, and keeps it for another while (RFC 4787 REQ-6: in both
 * directions). ICMP errors are no such packets (N-09), and neither are those that were refused.
 */
fq_inline void session_count(fq_ctx *ctx, struct fq_slot *s, __u32 index, struct fq_pkt *p,
			     __u64 now)
{
	bool keeps = true;

	if (p->tuple.proto == FQ_PROTO_TCP && !(p->frag & FQ_FRAG_LATER)) {
		if (tcp_needs_peer(READ_ONCE(s->tcp_seen), p->tcp_flags))
			keeps = session_tcp(ctx, s, index, p);
		else
			tcp_advance(s, p, false);
	}
	session_keep(s, index, p, now, keeps);
}

/* Is that a live one? Set when a session has ended (G-43). */
fq_inline const struct fq_tombstone *session_tombstone(const struct fq_tuple *tuple)
{
	const struct fq_tombstone *t = bpf_map_lookup_elem(&tombstones, tuple);

	return t && bpf_ktime_get_coarse_ns() < t->until ? t : NULL;
}
