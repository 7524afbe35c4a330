/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path of a packet in its order (docs/packet-path.md), up to a plan or a reason.
 */
#include "oracle.h"

#define SYN 0x02
#define RST 0x04

#define ANSWERED_LATELY_NS 5000000000ULL

/* What a reason of the parser is called if the packet goes to a proxy address. */
static enum fq_reason of_pool(enum fq_reason r)
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

static bool is_flag(const struct orc_pkt *p, uint8_t flag)
{
	return p->kind == ORC_TCP && (p->tcp_flags & flag);
}

/* --- edge ---------------------------------------------------------------------------------------
 */

static enum fq_reason edge(struct orc *o, unsigned int side, const struct orc_pkt *p,
			   struct orc_plan *plan, struct orc_result *res)
{
	struct fq_edge *e = NULL;

	for (unsigned int i = 0; i < o->w.edges.n; i++)
		if (orc_same(&o->w.edges.entry[i].key, &p->dst))
			e = &o->w.edges.entry[i].value;
	if (!e)
		return FQ_R_NO_TRANSLATION;
	plan->domain = e->domain;
	plan->gateway = e->gateway;
	if (e->verdict == FQ_EDGE_HOLD)
		return FQ_R_HELD;
	if (e->verdict != FQ_EDGE_FORWARD)
		return FQ_R_DOMAIN_FAILED;
	if (e->touch_at && o->w.now >= e->touch_at) { /* C-08 */
		e->touch_at = UINT64_MAX;             /* again after 2 s: sequences are shorter */
		res->upcall[res->upcalls++] = (struct orc_upcall){.kind = FQ_UPCALL_TOUCH,
								  .domain = e->domain,
								  .ifindex = o->w.ifindex[side],
								  .proxy = p->dst};
	}
	return FQ_OK;
}

static const struct fq_gateway *gateway(const struct orc *o, uint32_t id)
{
	for (unsigned int i = 0; i < o->w.gateways.n; i++)
		if (o->w.gateways.entry[i].key == id &&
		    !orc_zero(&o->w.gateways.entry[i].value.addr))
			return &o->w.gateways.entry[i].value;
	return NULL;
}

/* To a gateway elsewhere: the flow is a session that translates nothing. */
static enum fq_reason open_forwarded(struct orc *o, unsigned int side, const struct orc_pkt *p,
				     const struct fq_client *client, struct orc_plan *plan,
				     struct orc_result *res)
{
	struct orc_flow f = {
		.client = p->src,
		.proxy = p->dst,
		.nat = p->src,
		.real = p->dst,
		.client_id = client->client,
		.half = {[FQ_DIR_OUT] = {.domain = plan->domain, .gateway = plan->gateway},
			 [FQ_DIR_IN] = {.bytes = o->w.ifindex[side]}}};
	enum fq_reason r;

	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	r = orc_route_gateway(&o->w, p, plan, res);
	return r ? r : orc_flow_open(o, p, &f, res);
}

/* --- gateway ------------------------------------------------------------------------------------
 */

static bool given_address(const struct orc *o, bool v6, const struct orc_flow *f)
{
	const struct fq_settings *s = &o->w.settings;

	for (unsigned int i = 0; i < (v6 ? s->nat6_count : s->nat4_count); i++)
		if (orc_same(v6 ? &s->nat6[i] : &s->nat4[i], &f->nat))
			return true;
	return false;
}

/* "A client always gets the same": which of several is the hash's business, so tests give one. */
static enum fq_reason nat_address(const struct orc *o, const struct orc_pkt *p, unsigned int side,
				  struct orc_flow *f)
{
	const struct fq_settings *s = &o->w.settings;
	bool v6 = !orc_v4(&f->real);

	switch (s->masquerade) {
	case FQ_MASQ_NONE:
		f->nat = p->src;
		return orc_crosses(p, &f->real) ? FQ_R_NO_NAT_ADDRESS : FQ_OK;
	case FQ_MASQ_GIVEN:
		f->nat = v6 ? s->nat6[0] : s->nat4[0];
		return given_address(o, v6, f) ? FQ_OK : FQ_R_NO_NAT_ADDRESS;
	default:
		f->nat = v6 ? o->w.dev[side].nat6 : o->w.dev[side].nat4;
		return orc_zero(&f->nat) ? FQ_R_NO_NAT_ADDRESS : FQ_OK;
	}
}

/* Translation, right, address of this family, TTL, route, NAT address; then the session. */
static enum fq_reason open_translated(struct orc *o, unsigned int side, const struct orc_pkt *p,
				      const struct fq_client *client, struct orc_plan *plan,
				      struct orc_result *res)
{
	const struct fq_xlat *x = orc_xlat(&o->w, client->scope, &p->dst);
	struct orc_flow f = {.client = p->src, .proxy = p->dst, .client_id = client->client};
	struct orc_right right = {0};
	enum fq_reason r;

	if (!x)
		return FQ_R_NO_TRANSLATION;
	r = orc_permit_new(&o->w, client->client, x, p->proto, orc_peer_port(p, FQ_DIR_OUT),
			   &right);
	if (r)
		return r;
	if (!x->has_real)
		return FQ_R_NO_FAMILY;
	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	f.real = x->real;
	r = orc_crosses(p, &f.real) ? orc_may_cross(p) : FQ_OK;
	if (!r)
		r = orc_route(&o->w, p, &f.real, plan);
	if (!r)
		r = nat_address(o, p, plan->side, &f);
	if (r)
		return r;
	f.half[FQ_DIR_OUT] = (struct orc_half){.domain = x->domain, .resource = right.resource};
	f.half[FQ_DIR_IN].bytes = o->w.ifindex[side];
	return orc_flow_open(o, p, &f, res);
}

/* Out, no session: strangers learn nothing, an edge's own clients are the edge's first. */
static enum fq_reason out_new(struct orc *o, unsigned int side, const struct orc_pkt *p,
			      struct orc_plan *plan, struct orc_result *res)
{
	const struct fq_client *client;
	enum fq_reason r;

	if (is_flag(p, RST))
		return FQ_R_NO_SESSION_RST;
	client = orc_client(&o->w, &p->src);
	if (!client)
		return FQ_R_NOT_A_CLIENT;
	if (o->w.settings.source_check == FQ_SOURCE_STRICT && !orc_route_back(&o->w, p, side))
		return FQ_R_WRONG_WAY;
	if (client->scope == 0) {
		r = edge(o, side, p, plan, res);
		if (r)
			return r;
		if (plan->gateway)
			return open_forwarded(o, side, p, client, plan, res);
	}
	return open_translated(o, side, p, client, plan, res);
}

/* --- sessions -----------------------------------------------------------------------------------
 */

/*
 * Where does a packet of a forwarded session go? To the gateway it goes to, unless it opens a
 * connection, or that gateway is neither up nor has answered the flow lately: then the edge decides
 * anew ("To a gateway elsewhere"). @*f is NULL if that is to be translated here.
 */
static enum fq_reason forwarded_where(struct orc *o, unsigned int side, const struct orc_pkt *p,
				      struct orc_flow **f, struct orc_plan *plan,
				      struct orc_result *res)
{
	struct orc_half *out = &(*f)->half[FQ_DIR_OUT], *in = &(*f)->half[FQ_DIR_IN];
	const struct fq_gateway *g = gateway(o, out->gateway);
	enum fq_reason r;

	plan->gateway = out->gateway;
	if (g && !is_flag(p, SYN) && (g->up || (in->seen && in->age_ns < ANSWERED_LATELY_NS)))
		return FQ_OK;
	r = edge(o, side, p, plan, res);
	if (r)
		return r;
	out->domain = plan->domain;
	if (plan->gateway) {
		out->gateway = plan->gateway;
	} else {
		orc_flow_end(o, *f);
		*f = NULL;
	}
	return FQ_OK;
}

/*
 * C-22: a reply of a forwarded session comes by the interface that leads to its gateway: the one it
 * began with, or the one it has moved to. Interfaces without addresses are not judged.
 */
static bool from_gateway(struct orc *o, const struct orc_flow *f, const struct orc_pkt *p,
			 unsigned int side, struct orc_result *res)
{
	struct orc_plan again = {.gateway = f->half[FQ_DIR_OUT].gateway, .ingress = side};

	if (orc_gateway_leads(&o->w, f->half[FQ_DIR_IN].gateway, side))
		return true;
	if (orc_zero(&o->w.dev[side].nat4) && orc_zero(&o->w.dev[side].nat6))
		return true;
	orc_route_gateway(&o->w, p, &again, res);
	return orc_gateway_leads(&o->w, again.gateway, side);
}

/*
 * No socket of the tests' world is connected: a session is never taken over by one.
 */
/* Of an ICMP error: by an interface that leads to either gateway; nothing is asked for it. */
bool orc_error_from_gateway(struct orc *o, const struct orc_flow *f, unsigned int side)
{
	return orc_gateway_leads(&o->w, f->half[FQ_DIR_IN].gateway, side) ||
	       orc_gateway_leads(&o->w, f->half[FQ_DIR_OUT].gateway, side) ||
	       (orc_zero(&o->w.dev[side].nat4) && orc_zero(&o->w.dev[side].nat6));
}

static enum fq_reason of_session(struct orc *o, struct orc_flow *f, const struct orc_pkt *p,
				 struct orc_plan *plan, struct orc_result *res)
{
	bool out = plan->dir == FQ_DIR_OUT;
	enum fq_reason r;

	if (!out && f->half[FQ_DIR_IN].gateway && o->w.settings.source_check != FQ_SOURCE_NONE &&
	    !from_gateway(o, f, p, plan->ingress, res))
		return FQ_R_WRONG_GATEWAY;

	r = orc_permit_again(&o->w, f, p, plan->dir);
	if (r)
		return out ? r : FQ_R_REVOKED;
	if (p->ttl <= 1)
		return FQ_R_TTL_EXCEEDED;
	plan->src = out ? f->nat : f->proxy;
	plan->dst = out ? f->real : f->client;
	plan->port = out ? f->nat_port : f->client_port;
	plan->forwarded = f->half[plan->dir].gateway != 0;
	r = orc_crosses(p, &plan->dst) ? orc_may_cross(p) : FQ_OK;
	if (r)
		return r;
	r = plan->gateway ? orc_route_gateway(&o->w, p, plan, res)
			  : orc_route(&o->w, p, &plan->dst, plan);
	if (r)
		return r;
	orc_frag_id(o, p, plan);
	orc_flow_count(f, p, plan->dir);
	res->flow = f;
	return FQ_OK;
}

/* In, no session: late packets are dropped, but for those that a local socket waits for (G-43). */
enum fq_reason orc_in_unknown(struct orc *o, const struct orc_pkt *p)
{
	struct fq_tuple in = {.src = p->src, .dst = p->dst, .proto = p->proto};

	in.dport = __builtin_bswap16(p->dport);
	if (p->kind == ORC_TCP)
		in.sport = __builtin_bswap16(p->sport);
	if (!orc_tombstone(&o->w, &in))
		return FQ_R_NOT_OURS;
	if ((p->kind == ORC_TCP || p->kind == ORC_UDP) && orc_addresses_local(&o->w) &&
	    orc_socket(&o->w, p->proto, &p->dst, p->dport))
		return FQ_R_LOCAL_SOCKET;
	return FQ_R_EXPIRED_SESSION;
}

static enum fq_reason of_flow(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan,
			      struct orc_result *res)
{
	struct orc_flow *f = orc_flow_find(o, p, plan->dir);
	bool out = plan->dir == FQ_DIR_OUT;
	enum fq_reason r;

	if (!f && !out)
		return orc_in_unknown(o, p);
	if (f && out && f->half[FQ_DIR_OUT].gateway) {
		r = forwarded_where(o, plan->ingress, p, &f, plan, res);
		if (r)
			return r;
	}
	if (!f) {
		r = out_new(o, plan->ingress, p, plan, res);
		if (r)
			return r;
		f = orc_flow_find(o, p, plan->dir);
		if (!f)
			return FQ_R_TABLE_FULL;
	}
	return of_session(o, f, p, plan, res);
}

enum fq_reason orc_path(struct orc *o, struct orc_pkt *p, enum fq_reason parsed,
			struct orc_plan *plan, struct orc_result *res)
{
	bool to_pool = orc_in_pool(&o->w, p);
	enum fq_reason r = parsed;

	plan->dir = to_pool ? FQ_DIR_OUT : FQ_DIR_IN;
	if (!r && orc_group_source(p))
		r = to_pool ? FQ_R_BROADCAST : FQ_R_NOT_OURS;
	if (r == FQ_R_ICMP_ERROR)
		r = orc_about(o, p, plan, res);
	if (plan->error)
		return r;
	if (!r && p->frag == ORC_LATER)
		r = orc_frag_borrow(&o->w, p, plan);
	/* What has been kept is not kept again. */
	if (r == FQ_R_FRAGMENT && o->w.hook[plan->ingress] != ORC_INJECT)
		r = orc_frag_unknown(&o->w, p, plan->ingress, to_pool, res);
	if (!r && p->kind == (to_pool ? ORC_ECHO_REPLY : ORC_ECHO_REQUEST))
		r = FQ_R_L4_UNSUPPORTED;
	if (r)
		return to_pool ? of_pool(r) : r;
	if (p->frag == ORC_FIRST)
		orc_frag_again(&o->w, p, plan);
	r = of_flow(o, p, plan, res);
	if (p->frag == ORC_FIRST)
		orc_frag_first(&o->w, p, plan->ingress, to_pool, r, plan, res);
	return r;
}
