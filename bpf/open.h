/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a session: source address, quota, port, and both entries of the table.
 *
 * Two CPUs may open the same session, or different ones that want the same port. That a key stands
 * in the table once decides both races: the in entry claims the port, the out entry claims the
 * flow. The in entry comes first, because a reply can only follow the packet that is still in our
 * hands.
 *
 * A port that a socket of this host uses is not taken, and the kernel's own ephemeral range
 * is left to it where the source address is this host's. Nothing is evicted to make room.
 *
 * RFC 4787 (REQ-1 to 3, 8), RFC 6056, RFC 6888 (REQ-4, 8, 11). Statements N-01 to N-05, N-11.
 */
#pragma once

#include "open_entry.h"
#include "route.h"
#include "stats.h"
#include "upcall.h"

/* May sockets of this host have the addresses that sessions get? */
fq_inline bool open_addresses_local(void)
{
	switch (fq_settings.masquerade) {
	case FQ_MASQ_AUTO:
		return true;
	case FQ_MASQ_GIVEN:
		return fq_settings.given_local;
	default:
		return false;
	}
}

/*
 * The source address of the session. @family: of the real address
 *
 * Return: FQ_OK with *@ret_nat; NO_NAT_ADDRESS.
 */
fq_inline enum fq_reason open_nat_address(const struct fq_pkt *p, __u32 oif, __u8 family,
					  struct fq_addr *ret_nat)
{
	bool v4 = family == FQ_AF_INET;
	const struct fq_dev *dev;
	__u32 count, i;

	switch (fq_settings.masquerade) {
	case FQ_MASQ_NONE:
		*ret_nat = p->tuple.src;
		return family == p->family ? FQ_OK : FQ_R_NO_NAT_ADDRESS;
	case FQ_MASQ_GIVEN:
		count = v4 ? fq_settings.nat4_count : fq_settings.nat6_count;
		if (count == 0)
			return FQ_R_NO_NAT_ADDRESS;
		i = nat_pick(&p->tuple.src, fq_settings.hash_seed, count) % FQ_NAT_ADDRESSES;
		*ret_nat = v4 ? fq_settings.nat4[i] : fq_settings.nat6[i];
		return FQ_OK;
	default:
		dev = bpf_map_lookup_elem(&devs, &oif);
		if (!dev)
			return FQ_R_NO_NAT_ADDRESS;
		*ret_nat = v4 ? dev->nat4 : dev->nat6;
		return addr_is_zero(ret_nat) ? FQ_R_NO_NAT_ADDRESS : FQ_OK;
	}
}

/* A count may be below zero for a moment, when user space has counted anew. */
fq_inline bool open_full(__u32 count, __u32 max)
{
	return (__s32)count >= 0 && count >= max;
}

/* Count one more. Return: false if that is too many: it is not counted. */
fq_inline bool open_take(__u32 *count, const __u32 *max)
{
	if (!open_full(__sync_fetch_and_add(count, 1), READ_ONCE(*max)))
		return true;
	__sync_fetch_and_add(count, -1);
	return false;
}

/* The element of the scope of a client's sessions; NULL: it has none (a scope out of range, too).
 */
fq_inline struct fq_quota *open_scope(const struct fq_quota *client)
{
	__u32 index = FQ_CLIENTS_MAX + READ_ONCE(client->scope);

	return index == FQ_CLIENTS_MAX ? NULL : bpf_map_lookup_elem(&quota, &index);
}

/* Count one more session. Return: FQ_OK; QUOTA; EDGE_QUOTA; TABLE_FULL. */
fq_inline enum fq_reason open_account(__u32 client)
{
	struct fq_quota *q = bpf_map_lookup_elem(&quota, &client), *scope;
	struct fq_control *c = maps_control();

	if (!q || !c || !open_take(&q->sessions, &q->max))
		return FQ_R_QUOTA;
	scope = open_scope(q);
	if (scope && !open_take(&scope->sessions, &scope->max)) {
		__sync_fetch_and_add(&q->sessions, -1);
		return FQ_R_EDGE_QUOTA;
	}
	if (!open_take(&c->sessions, &c->sessions_max)) {
		__sync_fetch_and_add(&q->sessions, -1);
		if (scope)
			__sync_fetch_and_add(&scope->sessions, -1);
		return FQ_R_TABLE_FULL;
	}
	return FQ_OK;
}

static __noinline void open_unaccount(__u32 client)
{
	struct fq_quota *q = bpf_map_lookup_elem(&quota, &client), *scope;
	struct fq_control *c = maps_control();

	if (!q || !c)
		return;
	__sync_fetch_and_add(&c->sessions, -1);
	__sync_fetch_and_add(&q->sessions, -1);
	scope = open_scope(q);
	if (scope)
		__sync_fetch_and_add(&scope->sessions, -1);
}

/*
 * Would the kernel give a packet with this in tuple to a socket of this host?
 *
 * @sport: the resource's port
 * @connected: only a TCP socket with exactly this tuple counts, no listener
 */
fq_global bool local_socket(fq_ctx *ctx, const struct fq_tuple *in, __be16 sport, bool connected)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size;
	bool found;

	if (!in)
		return true;
	if (addr_is_mapped(&in->src)) {
		t.ipv4.saddr = in->src.w[3];
		t.ipv4.daddr = in->dst.w[3];
		t.ipv4.sport = sport;
		t.ipv4.dport = in->dport;
		size = sizeof(t.ipv4);
	} else {
		__builtin_memcpy(t.ipv6.saddr, &in->src, sizeof(t.ipv6.saddr));
		__builtin_memcpy(t.ipv6.daddr, &in->dst, sizeof(t.ipv6.daddr));
		t.ipv6.sport = sport;
		t.ipv6.dport = in->dport;
		size = sizeof(t.ipv6);
	}
	if (in->proto == FQ_PROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	found = !connected || sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return found;
}

/*
 * In, no session: late packets are dropped, but for those that a socket of this host waits for.
 * The port is free again, so it may have got it.
 *
 * @in: tuple of the packet, or of those that an ICMP error is about
 * @sport: the resource's port
 */
fq_inline enum fq_reason late_packet(fq_ctx *ctx, const struct fq_tuple *in, __be16 sport)
{
	if (!session_tombstone(in))
		return FQ_R_NOT_OURS;
	if (proto_has_ports(in->proto) && open_addresses_local() &&
	    local_socket(ctx, in, sport, false))
		return FQ_R_LOCAL_SOCKET;
	return FQ_R_EXPIRED_SESSION;
}

/*
 * The ports to choose from. The hash leaves out the peer's port, so that a client's port
 * towards one proxy address maps to one port as long as that is free (RFC 4787 REQ-1).
 *
 * A well-known port is mapped to a well-known one, as servers may insist on (RFC 4787 REQ-3a): to
 * itself, or to one of those that clients use (512 and up, rresvport).
 */
fq_inline void open_ports(const struct fq_pkt *p, struct nat_ports *ret_ports)
{
	__u32 hash = nat_hash_addr(fq_settings.hash_seed, &p->tuple.src);
	__u32 skip_lo = 1, skip_hi = 0;

	hash = nat_hash_addr(hash, &p->tuple.dst);
	hash = nat_mix(hash, (__u32)p->sport << 16 | p->tuple.proto);
	hash = nat_finish(hash);
	if (!proto_has_ports(p->tuple.proto)) {
		nat_ports_init(ret_ports, 0, 0xffff, 1, 0, hash);
		return;
	}
	if (bpf_ntohs(p->sport) < NAT_PORT_HIGH) {
		nat_ports_init_low(ret_ports, hash);
		return;
	}
	if (open_addresses_local() && fq_settings.local_hi) {
		skip_lo = fq_settings.local_lo;
		skip_hi = fq_settings.local_hi;
	}
	nat_ports_init(ret_ports, fq_settings.port_lo, fq_settings.port_hi, skip_lo, skip_hi, hash);
}

/* May the client get the tuple? For a time after its end it is kept for who has had it (N-11). */
fq_inline bool open_free(const struct fq_tuple *in, const struct fq_addr *client, bool *ret_stone)
{
	const struct fq_tombstone *t = session_tombstone(in);

	*ret_stone = t != NULL;
	return !t || addr_equal(&t->client, client);
}

/* Try to claim a port. Return: FQ_OK; NO_PORT if it is taken; TABLE_FULL. */
fq_global enum fq_reason open_claim(fq_ctx *ctx, __u32 slot, __be16 rport, __u32 port)
{
	const struct fq_control *c = maps_control();
	struct open_work *w = open_work(slot);

	if (!w || !c)
		return FQ_R_NO_PORT;
	w->in.dport = bpf_htons(port);
	w->in_query = table_query(&c->table, &w->in);
	open_touch(w);
	if (!open_free(&w->in, &w->out.src, &w->stone))
		return FQ_R_NO_PORT;
	if (proto_has_ports(w->in.proto) && open_addresses_local() &&
	    local_socket(ctx, &w->in, rport, false))
		return FQ_R_NO_PORT;
	return open_add(w->slot, true);
}

/* The client's own port if possible, else one after the other from the hashed start. */
fq_inline enum fq_reason open_claim_any(fq_ctx *ctx, const struct fq_pkt *p, struct open_work *w)
{
	__u32 own = bpf_ntohs(p->sport);
	enum fq_reason r;

	open_ports(p, &w->ports);
	if (fq_settings.masquerade == FQ_MASQ_NONE || nat_port_allowed(&w->ports, own)) {
		r = open_claim(ctx, w->slot, p->dport, own);
		if (r != FQ_R_NO_PORT)
			return r;
		stats_count(FQ_R_PORT_RETRY, p->l3_len);
	}
	for (__u32 i = 0; i < NAT_TRIES && i < w->ports.usable; i++) {
		r = open_claim(ctx, w->slot, p->dport, nat_port(&w->ports, i));
		if (r != FQ_R_NO_PORT)
			return r;
		stats_count(FQ_R_PORT_RETRY, p->l3_len);
	}
	return FQ_R_NO_PORT;
}

/*
 * The in tuple of a forwarded flow is nobody else's: what is there is this flow's, being opened by
 * another CPU or being removed.
 */
fq_inline enum fq_reason open_claim_own(const struct fq_pkt *p, const struct fq_control *c,
					struct open_work *w)
{
	enum fq_reason r;

	w->in.dport = p->sport;
	w->in_query = table_query(&c->table, &w->in);
	w->stone = session_tombstone(&w->in) != NULL;
	r = open_add(w->slot, true);
	return r == FQ_R_NO_PORT ? FQ_OK : r;
}

fq_inline void open_keys(const struct fq_control *c, struct open_work *w, const struct fq_pkt *p)
{
	__builtin_memset(&w->in, 0, sizeof(w->in));
	w->in.src = w->real;
	w->in.dst = w->nat;
	w->in.sport = p->tuple.dport;
	w->in.proto = xlat_proto_of(p->tuple.proto, addr_family(&w->real));
	w->out = p->tuple;
	w->out_query = table_query(&c->table, &w->out);
	w->client_port = p->sport;
	w->six = !addr_is_mapped(&w->out.src) || !addr_is_mapped(&w->real);
}

/*
 * Make both entries of a session that has been accounted for.
 *
 * Return: FQ_OK, also if another CPU has made the same session meanwhile (*@ret_mine is
 * false: ours is undone); NO_PORT; TABLE_FULL.
 */
fq_inline enum fq_reason open_insert(fq_ctx *ctx, const struct fq_pkt *p, struct open_work *w,
				     bool *ret_mine)
{
	const struct fq_control *c = maps_control();
	enum fq_reason r;

	if (!c)
		return FQ_R_TABLE_FULL;
	open_keys(c, w, p);
	r = w->gateway ? open_claim_own(p, c, w) : open_claim_any(ctx, p, w);
	if (r)
		return r;
	r = open_add(w->slot, false);
	if (r) {
		if (r != FQ_R_NO_PORT || !w->gateway)
			session_remove(&w->in);
		return r == FQ_R_NO_PORT ? FQ_OK : r;
	}
	/* One that has been left since is of no consequence: a session comes before it. */
	if (w->stone)
		bpf_map_delete_elem(&tombstones, &w->in);
	*ret_mine = true;
	return FQ_OK;
}

/*
 * Open the session of an out packet that is permitted and has a route (plan->oif), from w->nat to
 * w->real. Another CPU's session may go elsewhere: then the route is forgotten.
 *
 * Return: FQ_OK; QUOTA; EDGE_QUOTA; TABLE_FULL; NO_PORT.
 */
static __noinline enum fq_reason open_session(fq_ctx *ctx, const struct fq_pkt *p,
					      struct open_work *w, struct fq_plan *plan)
{
	bool mine = false;
	enum fq_reason r;

	w->slot = mode_slot(plan->mode);
	r = open_account(w->ask.client);
	if (r)
		return r;
	r = open_insert(ctx, p, w, &mine);
	if (!mine) {
		open_unaccount(w->ask.client);
		plan->oif = 0;
		return r;
	}
	stats_count(FQ_R_SESSION_CREATED, p->l3_len);
	upcall_session(p->ifindex, w->domain, &p->tuple);
	return FQ_OK;
}
