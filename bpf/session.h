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

#include "policy.h"

/* Plain loads and stores of what another CPU may be changing: done once, and not torn. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

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

/* TCP flags in the 32-bit word around them, all of which is changed atomically. */
fq_inline __u32 tcp_seen_word(__u8 flags)
{
	union {
		__u8 b[4];
		__u32 w;
	} word = {.b = {0, flags, 0, 0}};

	_Static_assert(offsetof(struct fq_session, tcp_seen) % 4 == 1, "tcp_seen is byte 1");
	return word.w;
}

fq_inline void session_tcp_seen(struct fq_session *s, __u8 flags)
{
	if (flags & ~READ_ONCE(s->tcp_seen))
		__sync_fetch_and_or((__u32 *)&s->dir, tcp_seen_word(flags));
}

/*
 * Forget what a packet contradicts: SYN opens a new connection on the old one's ports, and what
 * follows a reset shows that the connection is alive (RFC 7857 2.2). Each direction speaks for
 * itself. Where another CPU is changing the flags, the next packet will do it; a tuple that a
 * local socket has taken over is not given back.
 */
fq_inline void session_tcp_forget(struct fq_session *s, __u8 flags)
{
	__u32 *word = (__u32 *)&s->dir, seen;
	__u8 stale = 0;

	if (flags & FQ_TCP_SYN)
		stale = FQ_TCP_FIN | FQ_TCP_RST;
	else if (!(flags & FQ_TCP_RST))
		stale = FQ_TCP_RST;
	if (!(READ_ONCE(s->tcp_seen) & stale))
		return;
	seen = READ_ONCE(*word);
	if (!(seen & tcp_seen_word(FQ_TCP_LOCAL)))
		__sync_val_compare_and_swap(word, seen, seen & ~tcp_seen_word(stale));
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

/*
 * A packet of the session goes on its way. ICMP errors are no such packets (N-09), and
 * neither are those that were refused.
 */
fq_inline void session_count(struct fq_session *s, const struct fq_pkt *p, __u64 now)
{
	WRITE_ONCE(s->last, now);
	__sync_fetch_and_add(&s->packets, 1);
	__sync_fetch_and_add(&s->bytes, p->l3_len);
	session_tcp_forget(s, p->tcp_flags);
	session_tcp_seen(s, p->tcp_flags);
}

/* A tuple that belonged to a session not long ago (G-43). */
fq_inline bool session_tombstone(const struct fq_tuple *tuple)
{
	const __u64 *until = bpf_map_lookup_elem(&tombstones, tuple);

	return until && bpf_ktime_get_coarse_ns() < *until;
}
