/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that exist: finding, asking again whether they are still permitted, counting.
 *
 * A session is two entries of one map, one a direction, so that a packet touches one. They are
 * made by open.h and ended by user space, never here: who deletes an entry adjusts the
 * counts.
 *
 * Statements A-08, F-09, G-43, G-46, M-06, N-09, N-10 of docs/behaviours.md.
 */
#pragma once

#include "ctx.h"
#include "policy.h"
#include "tcp.h"

fq_inline struct fq_session *session_find(const struct fq_tuple *tuple)
{
	return bpf_map_lookup_elem(&sessions, tuple);
}

/* The resource's port in this packet; ICMP has none. */
fq_inline __be16 session_peer_port(const struct fq_pkt *p, __u8 dir)
{
	if (p->tuple.proto != FQ_PROTO_TCP && p->tuple.proto != FQ_PROTO_UDP)
		return 0;
	return dir == FQ_DIR_OUT ? p->dport : p->sport;
}

static __noinline enum fq_reason session_right(const struct fq_session *s,
					       const struct fq_xlat_key *key,
					       const struct policy_ask *ask,
					       struct policy_right *ret_right)
{
	const struct fq_xlat *x = bpf_map_lookup_elem(&xlat, key);
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
fq_global enum fq_reason session_permit(struct fq_session *s, const struct fq_pkt *p, __u64 now,
					__u32 gen)
{
	struct policy_ask ask = {.now = now};
	struct policy_right right = {};
	const struct fq_client *client;
	struct fq_xlat_key key = {};
	enum fq_reason r;
	__u8 dir;

	if (!s || !p)
		return FQ_R_NOT_A_CLIENT;
	dir = s->dir;
	client = policy_client(dir == FQ_DIR_OUT ? &p->tuple.src : &s->dst);
	if (!client)
		return FQ_R_NOT_A_CLIENT;
	ask.port = session_peer_port(p, dir);
	ask.proto = p->tuple.proto;
	ask.client = client->client;
	key.scope = client->scope;
	key.proxy = dir == FQ_DIR_OUT ? p->tuple.dst : s->src;
	r = s->gateway ? FQ_OK : session_right(s, &key, &ask, &right);
	if (r)
		return r;
	WRITE_ONCE(s->resource, right.resource);
	WRITE_ONCE(s->grant_expires, right.expires);
	WRITE_ONCE(s->peer_port, ask.port);
	WRITE_ONCE(s->policy_gen, gen);
	return FQ_OK;
}

/*
 * Is the packet still permitted? Costs nothing but comparisons as long as nothing has
 * changed. UDP mappings serve every port of the peer, so a new port is a new question (G-46).
 */
fq_inline enum fq_reason session_check(struct fq_session *s, const struct fq_pkt *p, __u64 now)
{
	struct fq_control *c = maps_control();
	__u64 expires = READ_ONCE(s->grant_expires);
	__u32 gen;

	if (!c)
		return FQ_R_NOT_GRANTED;
	gen = READ_ONCE(c->policy_gen);
	if (READ_ONCE(s->policy_gen) == gen && (!expires || now < expires) &&
	    READ_ONCE(s->peer_port) == session_peer_port(p, s->dir))
		return FQ_OK;
	return session_permit(s, p, now, gen);
}

/*
 * From now on by way of that gateway. A plain store of its two bytes: it can lose to no other CPU's
 * change of the flags beside it, and undoes none, since each of those is one atomic operation on
 * the whole word. A compare-and-swap here could lose, and the rest of a connection would go where
 * its SYN has not been. Of two CPUs that move the flow at once, the later one's verdict stands.
 */
fq_inline void session_rebind(struct fq_session *s, __u16 gateway)
{
	WRITE_ONCE(s->gateway, gateway);
}

/* The other direction's key: what the packet becomes, reversed. */
fq_inline struct fq_tuple session_partner(const struct fq_session *s, const struct fq_pkt *p)
{
	bool out = s->dir == FQ_DIR_OUT;

	return (struct fq_tuple){
		.src = s->dst,
		.dst = s->src,
		.sport = out ? p->tuple.dport : s->port,
		.dport = out ? s->port : p->tuple.sport,
		.proto = p->tuple.proto,
	};
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

fq_global bool session_note(struct fq_session *s, struct fq_session *peer, const struct fq_pkt *p)
{
	return !s || !peer || !p || tcp_note(s, peer, p);
}

/*
 * A segment that says more than how far its sender has got: there are a few of them in a
 * connection.
 *
 * Return: whether it keeps the session. Without the other half, which is being made or removed, it
 * does.
 */
static __noinline bool session_tcp(fq_ctx *ctx, struct fq_session *s, struct fq_pkt *p)
{
	struct fq_tuple key = session_partner(s, p);
	struct fq_session *peer = session_find(&key);

	if (p->tcp_flags & FQ_TCP_SYN)
		p->tcp.wscale = session_wscale(ctx, p);
	return session_note(s, peer, p);
}

/* Count it. @keeps: it keeps the session */
fq_inline void session_keep(struct fq_session *s, const struct fq_pkt *p, __u64 now, bool keeps)
{
	if (keeps)
		WRITE_ONCE(s->last, now);
	__sync_fetch_and_add(&s->packets, 1);
	__sync_fetch_and_add(&s->bytes, p->l3_len);
}

/*
 * A packet of the session goes on its way, and keeps it for another while (RFC 4787 REQ-6: in both
 * directions). ICMP errors are no such packets (N-09), and neither are those that were refused.
 */
fq_inline void session_count(fq_ctx *ctx, struct fq_session *s, struct fq_pkt *p, __u64 now)
{
	bool keeps = true;

	if (p->tuple.proto == FQ_PROTO_TCP && !(p->frag & FQ_FRAG_LATER)) {
		if (tcp_needs_peer(READ_ONCE(s->tcp_seen), p->tcp_flags))
			keeps = session_tcp(ctx, s, p);
		else
			tcp_advance(s, p, false);
	}
	session_keep(s, p, now, keeps);
}

/* Is that a live one? Set when a session has ended (G-43). */
fq_inline const struct fq_tombstone *session_tombstone(const struct fq_tuple *tuple)
{
	const struct fq_tombstone *t = bpf_map_lookup_elem(&tombstones, tuple);

	return t && bpf_ktime_get_coarse_ns() < t->until ? t : NULL;
}
