/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path of a packet, in its order: direction, session, edge, gateway, route.
 *
 * Reads and plans. Nothing here writes to the packet or knows an XDP verdict: the outcome is
 * a reason, and with FQ_OK a plan that the hook carries out. HELD means that the hook is to
 * hold the packet, a reason of class REFUSE that it is to tell the sender.
 */
#pragma once

#include "forward.h"
#include "frag.h"
#include "hops.h"
#include "icmp_path.h"
#include "open.h"
#include "parse.h"

#define FORWARDED_ALIVE_NS 5000000000ULL /* answers so new show that a gateway forwards */
#define TICKS_APART_NS     (1ULL << 28)  /* of the clocks of two CPUs */
#define TOUCH_AGAIN_NS     2000000000ULL /* C-08: the daemon is told again after this long */

/* The parser's reason for a packet to a proxy address: such a packet is never the kernel's. */
fq_inline enum fq_reason pool_reason(enum fq_reason r)
{
	switch (r) {
	case FQ_R_MALFORMED:
		return FQ_R_POOL_MALFORMED;
	case FQ_R_FRAGMENT:
		return FQ_R_POOL_FRAGMENT;
	case FQ_R_ICMP_ERROR:
		return FQ_R_POOL_ICMP_ERROR;
	case FQ_R_L4_UNSUPPORTED:
		return FQ_R_POOL_L4;
	default:
		return r;
	}
}

/*
 * Give the tuple the form of the session map (struct fq_tuple). Only requests go out and only
 * replies come in; the other way round they are not ours.
 */
fq_inline enum fq_reason normalise(struct fq_pkt *p, __u8 dir)
{
	struct fq_tuple *t = &p->tuple;
	bool tcp = t->proto == FQ_PROTO_TCP;

	if (!proto_has_ports(t->proto) && p->echo_reply != (dir == FQ_DIR_IN))
		return FQ_R_L4_UNSUPPORTED;
	if (dir == FQ_DIR_OUT || tcp)
		t->sport = p->sport;
	if (dir == FQ_DIR_IN || tcp)
		t->dport = p->dport;
	return FQ_OK;
}

/* Edge: what is to become of packets to this proxy address, and where they go (plan->gateway). */
static __noinline enum fq_reason edge_stage(const struct fq_pkt *p, struct fq_plan *plan, __u64 now)
{
	struct fq_edge *e = proxy_edge(&p->tuple.dst), have = {};
	__u64 touch_at;

	if (!e)
		return FQ_R_NO_TRANSLATION;
	have.word = READ_ONCE(e->word);
	plan->domain = have.domain;
	plan->gateway = have.gateway;
	switch (have.verdict) {
	case FQ_EDGE_FORWARD:
		break;
	case FQ_EDGE_HOLD:
		return FQ_R_HELD;
	default:
		return FQ_R_DOMAIN_FAILED;
	}
	touch_at = READ_ONCE(e->touch_at);
	if (touch_at && now >= touch_at &&
	    __sync_val_compare_and_swap(&e->touch_at, touch_at, now + TOUCH_AGAIN_NS) == touch_at)
		upcall_touch(p->ifindex, have.domain, 0, &p->tuple.dst);
	return FQ_OK;
}

/* An IPv4 packet with options that say by which routers it is to travel? */
fq_inline bool source_routed(fq_ctx *ctx, const struct fq_pkt *p)
{
	__u32 len = p->l4_off - p->l3_off - sizeof(struct fq_ip4);
	const __u8 *options;

	if (p->family != FQ_AF_INET || !len || p->l3_off > FQ_L3_OFF_MAX)
		return false;
	options = ctx_data(ctx) + p->l3_off + sizeof(struct fq_ip4);
	return xlat_source_routed(options, ctx_end(ctx), len);
}

/*
 * A fragment of a message whose checksum would have to cover what is not here: ICMP, because
 * ICMPv6's covers the whole length, and UDP without one (RFC 7915 1.2, 4.5).
 *
 * The offset is hidden from clang 16, which checks one copy of it and uses another (kernel 6.1).
 */
fq_inline bool fragment_stays(fq_ctx *ctx, const struct fq_pkt *p)
{
	__u16 check;

	if (!p->frag)
		return false;
	if (p->tuple.proto != FQ_PROTO_UDP)
		return p->tuple.proto != FQ_PROTO_TCP;
	if (p->family != FQ_AF_INET || (p->frag & FQ_FRAG_LATER))
		return false;
	return ctx_load(ctx, p->l4_off + offsetof(struct fq_udp, check), &check, sizeof(check)) ||
	       !check;
}

/*
 * May the packet change its IP version? Routing headers in use do not get past the parser.
 *
 * Return: FQ_OK; SOURCE_ROUTED; FRAGMENT_STAYS.
 */
fq_global enum fq_reason xlat_stage(fq_ctx *ctx, const struct fq_pkt *p)
{
	if (!p || source_routed(ctx, p))
		return FQ_R_SOURCE_ROUTED;
	return fragment_stays(ctx, p) ? FQ_R_FRAGMENT_STAYS : FQ_OK;
}

/*
 * What a proxy address is translated to, and by what right: into @w.
 *
 * Return: FQ_OK; NO_TRANSLATION; NO_FAMILY; as policy_xlat.
 */
static __noinline enum fq_reason gateway_ask(const struct fq_pkt *p, __u32 scope,
					     struct open_work *w)
{
	const struct fq_xlat *x = proxy_xlat(scope, &p->tuple.dst);
	enum fq_reason r;

	if (!x)
		return FQ_R_NO_TRANSLATION;
	w->real = x->real;
	w->domain = x->domain;
	r = policy_xlat(&w->ask, x, &w->right);
	return r || x->has_real ? r : FQ_R_NO_FAMILY;
}

/* Gateway: translation, right, TTL, route; then the session. */
fq_inline enum fq_reason gateway_stage(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan,
				       const struct fq_client *client, __u64 now)
{
	struct fq_control *c = maps_control();
	struct open_work *w = open_work(mode_slot(plan->mode));
	enum fq_reason r;
	__u8 family;

	if (!c || !w)
		return FQ_R_NO_TRANSLATION;
	w->ask.now = now;
	w->ask.client = client->client;
	w->ask.port = session_peer_port(p, FQ_DIR_OUT);
	w->ask.proto = p->tuple.proto;
	/* Read before the policy: what changes after this is asked again with the next packet. */
	w->gen = READ_ONCE(c->gen);
	r = gateway_ask(p, client->scope, w);
	if (r)
		return r;
	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	w->gateway = 0;
	family = addr_family(&w->real);
	if (family != p->family) {
		r = xlat_stage(ctx, p);
		if (r)
			return r;
	}
	r = route(ctx, p, &w->real, plan);
	if (!r)
		r = open_nat_address(p, plan->oif, family, &w->nat);
	return r ? r : open_session(ctx, p, w, plan);
}

/* Edge, a gateway elsewhere (plan->gateway): TTL, route to it; then a session as the packet is. */
fq_inline enum fq_reason forward_stage(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan,
				       const struct fq_client *client, __u64 now)
{
	struct fq_control *c = maps_control();
	struct open_work *w = open_work(mode_slot(plan->mode));
	enum fq_reason r;

	if (!c || !w)
		return FQ_R_NO_TRANSLATION;
	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	w->ask.now = now;
	w->ask.client = client->client;
	w->ask.port = session_peer_port(p, FQ_DIR_OUT);
	w->gen = READ_ONCE(c->gen);
	w->right = (struct policy_right){};
	w->real = p->tuple.dst;
	w->nat = p->tuple.src;
	w->domain = plan->domain;
	w->gateway = plan->gateway;
	r = route_gateway(ctx, p, plan, now);
	return r ? r : open_session(ctx, p, w, plan);
}

/* Out, no session yet. Strangers are refused first: they are neither held nor told anything. */
static __noinline enum fq_reason out_new(fq_ctx *ctx, const struct fq_pkt *p, struct fq_plan *plan,
					 __u64 now)
{
	const struct fq_client *client;
	enum fq_reason r;

	if (p->tcp_flags & FQ_TCP_RST)
		return FQ_R_NO_SESSION_RST;
	client = policy_client(&p->tuple.src);
	if (!client)
		return FQ_R_NOT_A_CLIENT;
	if (fq_settings.source_check == FQ_SOURCE_STRICT && !route_back(ctx, p))
		return FQ_R_WRONG_WAY;
	/* In another scope the proxy address is that edge's, who has decided already. */
	if (!client->scope) {
		r = edge_stage(p, plan, now);
		if (r)
			return r;
		if (plan->gateway)
			return forward_stage(ctx, p, plan, client, now);
	}
	return gateway_stage(ctx, p, plan, client, now);
}

/* Answers have come of late: the gateway forwards, whatever has become of its messages. */
static __noinline bool forwarded_alive(const struct fq_pkt *p, __u64 now)
{
	struct fq_tuple in = forwarded_partner(&p->tuple);
	const struct fq_slot *partner = session_at(session_find(&in));
	__u32 last = partner ? READ_ONCE(partner->last) : 0;

	/* Another CPU may have a later instant. */
	return last && table_ticks(now + TICKS_APART_NS) - last <
			       (__u32)((FORWARDED_ALIVE_NS + TICKS_APART_NS) >> 20);
}

/*
 * End a forwarded session: its flow is translated here from now on. The out entry goes last, see
 * user/dataplane/sessions.c; who removes it adjusts the counts.
 */
static __noinline void forwarded_end(__u32 client, const struct fq_pkt *p)
{
	struct fq_tuple in = forwarded_partner(&p->tuple);

	session_remove(&in);
	if (session_remove(&p->tuple))
		open_unaccount(client);
}

/*
 * Out, of a forwarded session: where to (plan->gateway)? Running flows stick to their gateway. The
 * first packet of a TCP connection, and any whose gateway is neither up nor has answered the flow
 * of late, ask the edge map anew.
 *
 * Return: FQ_OK, *@ret_ended is true if the session has ended because this process is the gateway
 * now; as edge_stage.
 */
fq_inline enum fq_reason forwarded_stage(struct fq_slot *s, __u32 index, const struct fq_pkt *p,
					 struct fq_plan *plan, __u64 now, bool *ret_ended)
{
	__u16 before = session_gateway(s);
	struct fq_cold *cold;
	const struct fq_gateway *g = gateway_find(before);
	enum fq_reason r;

	plan->gateway = before;
	if (g && !(p->tcp_flags & FQ_TCP_SYN) && (g->up || forwarded_alive(p, now)))
		return FQ_OK;
	r = edge_stage(p, plan, now);
	if (r)
		return r;
	cold = session_cold(index);
	if (!cold)
		return FQ_R_NO_TRANSLATION;
	WRITE_ONCE(cold->domain, plan->domain);
	*ret_ended = !plan->gateway;
	if (*ret_ended)
		forwarded_end(cold->client, p);
	else if (plan->gateway != before)
		session_rebind(s, plan->gateway);
	return FQ_OK;
}

/* Mark both directions of a TCP session of which @s is the in entry. */
fq_inline void take_over(struct fq_slot *s, __u32 index, const struct fq_pkt *p)
{
	struct fq_tuple out = session_partner(s, index, p);
	struct fq_slot *partner = session_at(session_find(&out));

	tcp_seen_set(s, FQ_TCP_LOCAL | FQ_TCP_RST);
	if (partner)
		tcp_seen_set(partner, FQ_TCP_LOCAL | FQ_TCP_RST);
}

/*
 * Has a socket of this host taken over the tuple? A new connection between the two (SYN), where
 * packets of the old one have come in before, is not the session's. Such a session is marked, its
 * client's packets do not go out any more, and user space ends it.
 */
static __noinline bool taken_over(fq_ctx *ctx, struct fq_slot *s, __u32 index,
				  const struct fq_pkt *p)
{
	if (READ_ONCE(s->tcp_seen) & FQ_TCP_LOCAL)
		return true;
	if (!(p->tcp_flags & FQ_TCP_SYN) || !(READ_ONCE(s->counts) | READ_ONCE(s->last)) ||
	    session_gateway(s) || fq_settings.masquerade == FQ_MASQ_NONE ||
	    !local_socket(ctx, &p->tuple, p->sport, true))
		return false;
	take_over(s, index, p);
	return true;
}

/* A packet of a session: may it pass, and what becomes of it? */
fq_inline enum fq_reason session_stage(fq_ctx *ctx, struct fq_slot *s, __u32 index,
				       struct fq_pkt *p, struct fq_plan *plan, __u64 now)
{
	bool suits, remembered;
	enum fq_reason r;

	if (plan->dir == FQ_DIR_OUT && (READ_ONCE(s->tcp_seen) & FQ_TCP_LOCAL))
		return FQ_R_EXPIRED_SESSION;
	if (fq_settings.source_check != FQ_SOURCE_NONE && plan->dir == FQ_DIR_IN &&
	    session_gateway(s) && !forwarded_back(ctx, s, p, now))
		return FQ_R_WRONG_GATEWAY;
	if (plan->dir == FQ_DIR_IN && p->tuple.proto == FQ_PROTO_TCP &&
	    ((p->tcp_flags & FQ_TCP_SYN) || (READ_ONCE(s->tcp_seen) & FQ_TCP_LOCAL)) &&
	    taken_over(ctx, s, index, p))
		return FQ_R_LOCAL_SOCKET;
	r = session_check(s, index, p, now);
	if (r)
		return plan->dir == FQ_DIR_OUT ? r : FQ_R_REVOKED;
	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	session_result(s, index, &p->tuple, &plan->src, &plan->dst);
	plan->family = session_family(s);
	plan->port = s->to_port;
	plan->forwarded = session_gateway(s) != 0;
	if (plan->family != p->family) {
		r = xlat_stage(ctx, p);
		if (r)
			return r;
	}
	suits = hop_suits(p, plan);
	remembered = suits && !plan->oif && hop_take(s, p, plan);
	if (!plan->oif) {
		r = plan->gateway ? route_gateway(ctx, p, plan, now)
				  : route(ctx, p, &plan->dst, plan);
		if (r)
			return r;
	}
	if (!plan->ip_id && !plan->forwarded && xlat_needs_id(p, plan->family))
		plan->ip_id = frag_new_id();
	session_count(ctx, s, index, p, now);
	if (suits && !remembered && hop_worth(plan))
		hop_note(ctx, s, p, plan, now);
	return FQ_OK;
}

/* A packet whose tuple is known: its session, or a new one, or nobody's. */
fq_inline enum fq_reason flow_stage(fq_ctx *ctx, struct fq_pkt *p, struct fq_plan *plan)
{
	__u32 index = session_find(&p->tuple);
	struct fq_slot *s = session_at(index);
	bool out = plan->dir == FQ_DIR_OUT, ended = false;
	enum fq_reason r;
	__u64 now;

	if (!s && !out)
		return late_packet(ctx, &p->tuple, p->sport);
	now = bpf_ktime_get_coarse_ns();
	plan->route_gen = hops_gen_now(now);
	if (s && out && session_gateway(s)) {
		r = forwarded_stage(s, index, p, plan, now, &ended);
		if (r)
			return r;
	}
	if (!s || ended) {
		r = out_new(ctx, p, plan, now);
		if (r)
			return r;
		index = session_find(&p->tuple);
		s = session_at(index);
		if (!s)
			return FQ_R_TABLE_FULL;
		if (!plan->oif) /* another CPU's, whose verdict may have been another */
			plan->gateway = session_gateway(s);
	}
	return session_stage(ctx, s, index, p, plan, now);
}

/*
 * Decide about a parsed packet.
 *
 * @r:    what parse_frame said
 * @p:    what it found; the tuple is normalised here
 * @plan: zeroed by the caller but for @mode; complete if FQ_OK is returned, @dir in any case
 */
fq_inline enum fq_reason pipeline(fq_ctx *ctx, enum fq_reason r, struct fq_pkt *p,
				  struct fq_plan *plan)
{
	bool to_pool = p->family && pool_has(&p->tuple.dst);

	plan->dir = to_pool ? FQ_DIR_OUT : FQ_DIR_IN;
	if (r == FQ_R_ICMP_ERROR) {
		r = icmp_stage(ctx, p, plan);
		return to_pool ? pool_reason(r) : r;
	}
	if (!r && (p->l2_group || addr_is_multicast(&p->tuple.src, p->family) ||
		   addr_is_broadcast(&p->tuple.src, p->family)))
		r = to_pool ? FQ_R_BROADCAST : FQ_R_NOT_OURS;
	if (!r && (p->frag & FQ_FRAG_LATER))
		r = frag_borrow(p, &plan->ip_id);
	/* What has been kept is not kept again. */
	if (r == FQ_R_FRAGMENT && plan->mode != FQ_MODE_INJECT)
		r = frag_unknown(ctx, p, to_pool);
	if (!r)
		r = normalise(p, plan->dir);
	if (r)
		return to_pool ? pool_reason(r) : r;
	if (p->frag & FQ_FRAG_FIRST)
		plan->ip_id = frag_id_before(p);
	r = flow_stage(ctx, p, plan);
	/* A held one comes again, and then the others follow. */
	if ((p->frag & FQ_FRAG_FIRST) && r != FQ_R_HELD)
		frag_first(p, !r || to_pool, plan->ip_id);
	return r;
}
