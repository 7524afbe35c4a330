/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of the world, see box.h: from the application through the edge's packet path and the
 * gateway's to the host, and back. What the programs do in bpf/ is done here in its order: session
 * first, then the edge's verdict; at the gateway client, translation, grant.
 */
#include "box.h"

#include <string.h>

#define UPCALL_SPREAD_US 3000

static struct box_packet *packet_of(const struct box *box, uint64_t number)
{
	BOX_MUST(box, number > 0 && number <= box->packets);
	return (struct box_packet *)&box->packet[number];
}

/* ---- the application ---- */

static unsigned int new_packet(struct box *box, const struct box_packet *p)
{
	if (box->packets + 1 == BOX_PACKETS)
		return 0;
	box->packet[++box->packets] = *p;
	box->totals->packets++;
	return box->packets;
}

unsigned int box_send(struct box_edge *e, unsigned int name, unsigned int family, bool is_syn)
{
	const struct edge_answer *a = &e->answer[name].answer;
	struct box_packet p = {.edge = e->id, .name = name, .family = family, .is_syn = is_syn};
	unsigned int number;

	if (!e->answer[name].known || !(family == GATEWAY_A ? a->ipv4 : a->ipv6) ||
	    e->box->flows + 1 == BOX_FLOWS)
		return 0;
	p.proxy = a->proxies.addr[family * PROXIES_V4 + sim_pick(&e->box->sim, PROXIES_V4)];
	p.flow = ++e->box->flows;
	number = new_packet(e->box, &p);
	if (number)
		box_transmit(e, number);
	return number;
}

void box_transmit(struct box_edge *e, unsigned int packet)
{
	box_say(e->box, "edge %u: packet %u of flow %u to %s", e->id, packet,
		e->box->packet[packet].flow, box_names[e->box->packet[packet].name]);
	packet_of(e->box, packet)->sent++;
	box_path_packet(e, packet);
}

void box_follow(struct box_edge *e, unsigned int packet)
{
	struct box_packet p = e->box->packet[packet];
	const struct proxies *proxies = &e->answer[p.name].answer.proxies;
	bool current = false;

	for (unsigned int i = 0; e->answer[p.name].known && i < proxies->count; i++)
		current = current || ipaddr_equal(&proxies->addr[i], &p.proxy);
	if (!current) /* it has closed what it had, for its address is nobody's any more */
		return;
	if (p.is_syn && !p.observed && sim_chance(&e->box->sim, 50)) {
		box_transmit(e, packet);
		return;
	}
	p.sent = p.observed = p.replied = p.refused = p.dropped = 0;
	p.is_syn = false;
	packet = new_packet(e->box, &p);
	if (packet)
		box_transmit(e, packet);
}

static void on_reply(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box *box = ctx;
	struct box_packet *p = packet_of(box, arg);
	struct fq_addr source;

	/* T-02: one reply for a request, from the address that the application tried. */
	BOX_MUST(box, ++p->replied <= p->observed);
	BOX_MUST(box, len == sizeof(source));
	memcpy(&source, bytes, len);
	BOX_MUST(box, ipaddr_equal(&source, &p->proxy));
}

/* ---- the gateway ---- */

static bool host_among(const struct box_gateway *g, const struct box_packet *p,
		       const struct fq_addr *addr, unsigned int hosts)
{
	for (unsigned int i = 0; i < BOX_HOSTS; i++) {
		struct fq_addr host = box_host(g->id, p->name, p->family, i);

		if ((hosts >> i & 1) && ipaddr_equal(&host, addr))
			return true;
	}
	return false;
}

static const struct fq_client *client_of(const struct box_gateway *g, const struct fq_addr *source)
{
	for (unsigned int i = 0; i < BOX_ROWS; i++) {
		struct ipprefix prefix = {g->client[i].key.addr, g->client[i].key.prefixlen};

		if (g->client[i].used && ipprefix_contains(&prefix, source))
			return &g->client[i].value;
	}
	return NULL;
}

static bool grant_valid(const struct box_gateway *g, uint32_t client, uint32_t resource)
{
	for (unsigned int i = 0; i < BOX_ROWS; i++)
		if (g->grant[i].used && g->grant[i].key.client == client &&
		    g->grant[i].key.resource == resource)
			return !g->grant[i].value.expires ||
			       g->grant[i].value.expires > (uint64_t)g->box->sim.now.ns;
	return false;
}

static const struct fq_xlat *xlat_of(const struct box_gateway *g, uint32_t scope,
				     const struct fq_addr *proxy)
{
	for (unsigned int i = 0; i < BOX_ROWS; i++)
		if (g->xlat[i].used && g->xlat[i].key.scope == scope &&
		    ipaddr_equal(&g->xlat[i].key.proxy, proxy))
			return &g->xlat[i].value;
	return NULL;
}

static bool permitted(const struct box_gateway *g, uint32_t client, const struct fq_xlat *x)
{
	for (unsigned int i = 0; x && i < x->resources; i++)
		if (grant_valid(g, client, x->resource[i]))
			return true;
	return false;
}

/* what the policy says now, whatever the maps say. A daemon that is down changes nothing. */
static bool policy_permits(const struct box_gateway *g, const struct box_packet *p)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (box_gateway_publishes(g, p->name, r) && box_gateway_granted(g, p->edge, r))
			return true;
	return !g->gw;
}

static void on_gateway(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;
	struct box *box = g->box;
	struct box_packet *p = packet_of(box, arg);
	struct box_session *s = &g->session[p->edge][p->flow];
	const struct fq_addr source = box_client(p->edge);
	const struct fq_client *client = client_of(g, &source);
	const struct fq_xlat *x;

	(void)bytes;
	(void)len;
	BOX_MUST(box, client && client->scope == p->edge); /* T-03 */
	x = xlat_of(g, client->scope, &p->proxy);
	if (!(s->used ? grant_valid(g, client->client, s->resource) ||
				permitted(g, client->client, x)
		      : x && x->has_real && permitted(g, client->client, x))) {
		p->refused++; /* T-06 */
		return;
	}
	if (!s->used) {
		*s = (struct box_session){.used = true, .real = x->real, .name = p->name};
		for (unsigned int i = 0; i < x->resources && !s->resource; i++)
			if (grant_valid(g, client->client, x->resource[i]))
				s->resource = x->resource[i];
		if (!host_among(g, p, &s->real, g->latest[p->name][p->family]))
			box_say(box, "gateway %u: packet %llu to %s goes elsewhere, family %u",
				g->id, (unsigned long long)arg, box_names[p->name], p->family);
		/* T-04: a new session goes where the name resolved to at last. */
		BOX_MUST(box, host_among(g, p, &s->real, g->latest[p->name][p->family]));
	}
	/*
	 * T-05, T-14: a flow keeps its host, and no packet reaches one that its name never
	 * resolved to, whoever had the address before; none arrives without a grant.
	 */
	BOX_MUST(box, host_among(g, p, &s->real, g->ever[p->name][p->family]));
	BOX_MUST(box, policy_permits(g, p));
	/* T-01, T-08: seen as often as it was sent, at most. */
	BOX_MUST(box, ++p->observed <= p->sent);
	box_say(box, "gateway %u: packet %llu arrives", g->id, (unsigned long long)arg);
	if (!box->path[p->edge][g->id].cut)
		sim_after(&box->sim, box_delay(box, p->edge, g->id), on_reply, box, arg, &p->proxy,
			  sizeof(p->proxy));
}

/* ---- the edge ---- */

static void forward(struct box_edge *e, unsigned int packet, unsigned int gateway)
{
	if (e->box->path[e->id][gateway].cut) {
		packet_of(e->box, packet)->dropped++;
		return;
	}
	sim_after(&e->box->sim, box_delay(e->box, e->id, gateway), on_gateway,
		  e->box->gateway[gateway], packet, NULL, 0);
}

/* What an upcall carries. */
struct upcall {
	bool is_touch;
	uint32_t domain;
	unsigned int name;
};

static void on_upcall(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_edge *e = ctx;
	unsigned int packet = (unsigned int)(arg & 0xffffffff);
	struct upcall up;

	BOX_MUST(e->box, len == sizeof(up));
	memcpy(&up, bytes, len);
	if (!e->edge || arg >> 32 != e->incarnation) { /* nobody reads the ring */
		if (!up.is_touch)
			packet_of(e->box, packet)->dropped++;
	} else if (up.is_touch) {
		box_edge_touch(e, up.domain, up.name);
	} else {
		box_edge_hold(e, packet);
	}
}

static void upcall(struct box_edge *e, unsigned int packet, const struct box_verdict *v,
		   bool is_touch)
{
	const struct upcall up = {.is_touch = is_touch, .domain = v->domain, .name = v->name};
	struct sim *sim = &e->box->sim;
	struct instant at = instant_add(sim->now, sim_pick(sim, UPCALL_SPREAD_US) * NSEC_PER_USEC);

	if (at.ns < e->upcall_at.ns)
		at = e->upcall_at;
	e->upcall_at = at;
	sim_after(sim, at.ns - sim->now.ns, on_upcall, e, (uint64_t)e->incarnation << 32 | packet,
		  &up, sizeof(up));
}

static const struct box_verdict *verdict_of(const struct box_edge *e, const struct fq_addr *proxy)
{
	for (unsigned int i = 0; i < BOX_VERDICTS; i++)
		if (e->verdict[i].used && ipaddr_equal(&e->verdict[i].proxy, proxy))
			return &e->verdict[i];
	return NULL;
}

void box_path_packet(struct box_edge *e, unsigned int packet)
{
	struct box_packet *p = packet_of(e->box, packet);
	struct box_session *s = &e->session[p->flow];
	const struct box_verdict *v;

	/* A running flow sticks to its gateway while that is up. */
	if (s->used && !p->is_syn && e->path_up[s->gateway]) {
		forward(e, packet, s->gateway);
		return;
	}
	v = verdict_of(e, &p->proxy);
	if (!v) {
		p->dropped++; /* T-07: nobody's address */
	} else if (v->verdict == FQ_EDGE_HOLD) {
		upcall(e, packet, v, false);
	} else if (v->verdict == FQ_EDGE_REFUSE) {
		p->refused++;
	} else {
		if (!s->used && instant_reached(v->touch_at, e->box->sim.now))
			upcall(e, 0, v, true);
		s->used = true;
		s->gateway = v->gateway;
		forward(e, packet, v->gateway);
	}
}
