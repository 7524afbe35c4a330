/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: finding, opening, counting and ending them (N-01 to N-11, RFC 4787 REQ-1 to REQ-3, RFC
 * 6888 REQ-4, REQ-11).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "oracle.h"

/* N-01: TCP knows the resource's port, UDP and ICMP do not. */
struct orc_flow *orc_flow_find(struct orc *o, const struct orc_pkt *p, enum fq_dir dir)
{
	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		struct orc_flow *f = &o->flow[i];

		if (!f->live || f->proto[dir] != p->proto)
			continue;
		if (p->kind == ORC_TCP && f->peer_port != orc_peer_port(p, dir))
			continue;
		if (dir == FQ_DIR_OUT && orc_same(&f->client, &p->src) &&
		    orc_same(&f->proxy, &p->dst) && f->client_port == p->sport)
			return f;
		if (dir == FQ_DIR_IN && orc_same(&f->real, &p->src) && orc_same(&f->nat, &p->dst) &&
		    f->nat_port == p->dport)
			return f;
	}
	return NULL;
}

struct fq_tuple orc_flow_tuple(const struct orc_flow *f, enum fq_dir dir)
{
	if (dir == FQ_DIR_OUT)
		return (struct fq_tuple){.src = f->client,
					 .dst = f->proxy,
					 .sport = htons(f->client_port),
					 .dport = htons(f->peer_port),
					 .proto = f->proto[FQ_DIR_OUT]};
	return (struct fq_tuple){.src = f->real,
				 .dst = f->nat,
				 .sport = htons(f->peer_port),
				 .dport = htons(f->nat_port),
				 .proto = f->proto[FQ_DIR_IN]};
}

bool orc_socket(const struct orc_world *w, uint8_t proto, const struct fq_addr *a, uint16_t port)
{
	for (unsigned int i = 0; i < w->sockets; i++)
		if (w->socket[i].proto == proto && w->socket[i].port == port &&
		    orc_same(&w->socket[i].addr, a))
			return true;
	return false;
}

/* May sockets of this host have the addresses that sessions get? */
bool orc_addresses_local(const struct orc_world *w)
{
	return w->settings.masquerade == FQ_MASQ_AUTO ||
	       (w->settings.masquerade == FQ_MASQ_GIVEN && w->settings.given_local);
}

/* G-43: had the tuple a session lately? Return: the client's address. */
const struct fq_addr *orc_tombstone(const struct orc_world *w, const struct fq_tuple *in)
{
	for (unsigned int i = 0; i < w->tombstones.n; i++)
		if (memcmp(&w->tombstones.entry[i].key, in, sizeof(*in)) == 0)
			return &w->tombstones.entry[i].value;
	return NULL;
}

/* N-05 */
static void forget_tombstone(struct orc_world *w, const struct fq_tuple *in)
{
	for (unsigned int i = 0; i < w->tombstones.n; i++)
		if (memcmp(&w->tombstones.entry[i].key, in, sizeof(*in)) == 0)
			w->tombstones.entry[i] = w->tombstones.entry[--w->tombstones.n];
}

/* --- quotas (RFC 6888 REQ-4; a client counts in its scope, too, unless that is 0) ---------------
 */

static struct fq_quota *quota_of(struct orc *o, uint32_t index)
{
	for (unsigned int i = 0; i < o->w.quotas.n; i++)
		if (o->w.quotas.entry[i].key == index)
			return &o->w.quotas.entry[i].value;
	return NULL;
}

static struct fq_quota *quota_of_scope(struct orc *o, uint32_t client)
{
	const struct fq_quota *q = quota_of(o, client);

	return q && q->scope ? quota_of(o, FQ_CLIENTS_MAX + q->scope) : NULL;
}

static enum fq_reason account(struct orc *o, uint32_t client)
{
	struct fq_quota *q = quota_of(o, client), *scope = quota_of_scope(o, client);
	struct fq_control *c = &o->w.control;

	if (!q || q->sessions >= q->max)
		return FQ_R_QUOTA;
	if (scope && scope->sessions >= scope->max)
		return FQ_R_EDGE_QUOTA;
	if (c->sessions >= c->sessions_max)
		return FQ_R_TABLE_FULL;
	q->sessions++;
	c->sessions++;
	if (scope)
		scope->sessions++;
	return FQ_OK;
}

static void unaccount(struct orc *o, uint32_t client)
{
	struct fq_quota *q = quota_of(o, client), *scope = quota_of_scope(o, client);

	if (q)
		q->sessions--;
	if (scope)
		scope->sessions--;
	o->w.control.sessions--;
}

/* --- the choice of a port ----------------------------------------------------------------------
 */

static bool taken(const struct orc *o, const struct orc_flow *f, uint16_t port)
{
	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		const struct orc_flow *g = &o->flow[i];

		if (g->live && g->proto[FQ_DIR_IN] == f->proto[FQ_DIR_IN] && g->nat_port == port &&
		    g->peer_port == f->peer_port && orc_same(&g->nat, &f->nat) &&
		    orc_same(&g->real, &f->real))
			return true;
	}
	return false;
}

static bool has_ports(const struct orc_flow *f)
{
	return f->proto[0] == 6 || f->proto[0] == 17;
}

#define CLASS_LOW   512 /* of the ports below 1024, those that are given to clients without it */
#define CLASS_LIMIT 1024

/*
 * RFC 4787 REQ-3a: in the client's class; else in the configured range, and not of the kernel's own
 * (docs/packet-path.md, "NAT ports").
 */
static bool in_range(const struct orc *o, const struct orc_flow *f, uint16_t port)
{
	const struct fq_settings *s = &o->w.settings;

	if (!has_ports(f))
		return true;
	if (f->client_port < CLASS_LIMIT)
		return port < CLASS_LIMIT &&
		       (port >= CLASS_LOW || (port == f->client_port && port > 0));
	if (orc_addresses_local(&o->w) && s->local_hi && port >= s->local_lo && port <= s->local_hi)
		return false;
	return port >= s->port_lo && port <= s->port_hi;
}

/* RFC 6888 REQ-8: for a time after its end, nobody but that client gets the tuple. */
static bool somebody_elses(const struct orc *o, const struct orc_flow *f, uint16_t port)
{
	struct orc_flow would = *f;
	const struct fq_addr *whose;
	struct fq_tuple in;

	would.nat_port = port;
	in = orc_flow_tuple(&would, FQ_DIR_IN);
	whose = orc_tombstone(&o->w, &in);
	return whose && !orc_same(whose, &f->client);
}

static bool legal(const struct orc *o, const struct orc_flow *f, uint16_t port)
{
	bool masquerade = o->w.settings.masquerade != FQ_MASQ_NONE;

	if (taken(o, f, port) || somebody_elses(o, f, port))
		return false;
	if (port == f->client_port && !masquerade) /* the client's own address: its own port */
		return true;
	if (has_ports(f) && masquerade && orc_socket(&o->w, f->proto[FQ_DIR_IN], &f->nat, port))
		return false;
	return in_range(o, f, port);
}

void orc_complain(struct orc *o, const char *what, int number)
{
	snprintf(o->complaint, sizeof(o->complaint), "%s: %d", what, number);
}

static enum fq_reason choose_port(struct orc *o, struct orc_flow *f)
{
	const struct fq_tuple out = orc_flow_tuple(f, FQ_DIR_OUT);
	int chosen = o->chosen(o->ctx, &out);

	if (chosen < 0) {
		/* The search is bounded (64 tries), but the client's own port is one of them. */
		if (legal(o, f, f->client_port))
			orc_complain(o, "no port, but the client's own is free", f->client_port);
		return FQ_R_NO_PORT;
	}
	if (!legal(o, f, chosen))
		orc_complain(o, "not a legal choice", chosen);
	else if (chosen != f->client_port && legal(o, f, f->client_port))
		orc_complain(o, "not the client's own port, which is free", chosen);
	f->nat_port = chosen;
	return FQ_OK;
}

/* --- life ---------------------------------------------------------------------------------------
 */

static struct orc_flow *free_flow(struct orc *o)
{
	for (unsigned int i = 0; i < ORC_FLOWS; i++)
		if (!o->flow[i].live)
			return &o->flow[i];
	return NULL;
}

static void tell_monitors(struct orc *o, const struct orc_flow *f, uint32_t ifindex,
			  struct orc_result *res)
{
	struct fq_tuple out = orc_flow_tuple(f, FQ_DIR_OUT);
	struct orc_upcall *u;

	if (!o->w.control.monitors)
		return;
	u = &res->upcall[res->upcalls++];
	*u = (struct orc_upcall){.kind = FQ_UPCALL_SESSION,
				 .domain = f->half[FQ_DIR_OUT].domain,
				 .ifindex = ifindex,
				 .len = sizeof(out),
				 .proxy = out.dst};
	memcpy(u->frame, &out, sizeof(out));
}

/* @wanted: everything but ports, and the out half. Its @half[FQ_DIR_IN].bytes: the interface. */
enum fq_reason orc_flow_open(struct orc *o, const struct orc_pkt *p, const struct orc_flow *wanted,
			     struct orc_result *res)
{
	uint32_t ifindex = wanted->half[FQ_DIR_IN].bytes;
	struct orc_flow f = *wanted, *slot = free_flow(o);
	struct fq_tuple in;
	enum fq_reason r;

	r = account(o, f.client_id);
	if (r)
		return r;
	f.live = true;
	f.proto[FQ_DIR_OUT] = f.proto[FQ_DIR_IN] = p->proto;
	if (p->kind == ORC_ECHO_REQUEST)
		f.proto[FQ_DIR_IN] = orc_v4(&f.real) ? 1 : 58;
	f.client_port = p->sport;
	f.peer_port = p->kind == ORC_TCP ? p->dport : 0;
	f.half[FQ_DIR_OUT].gen = o->w.control.gen;
	f.half[FQ_DIR_OUT].peer_port = orc_peer_port(p, FQ_DIR_OUT);
	f.half[FQ_DIR_IN] = f.half[FQ_DIR_OUT];
	f.nat_port = f.client_port;
	r = f.half[FQ_DIR_OUT].gateway ? FQ_OK : choose_port(o, &f);
	if (r || !slot) {
		unaccount(o, f.client_id);
		return slot ? r : FQ_R_TABLE_FULL;
	}
	*slot = f;
	in = orc_flow_tuple(slot, FQ_DIR_IN);
	forget_tombstone(&o->w, &in);
	res->event[FQ_R_SESSION_CREATED]++;
	tell_monitors(o, slot, ifindex, res);
	return FQ_OK;
}

void orc_flow_end(struct orc *o, struct orc_flow *f)
{
	unaccount(o, f->client_id);
	f->live = false;
}

/* A packet goes on its way; not each keeps the session. */
void orc_flow_count(struct orc_flow *f, const struct orc_pkt *p, enum fq_dir dir)
{
	struct orc_half *h = &f->half[dir];

	h->packets++;
	h->bytes += p->l3_len;
	if (p->kind == ORC_TCP && p->frag != ORC_LATER && !orc_tcp(f->end, dir, p))
		return;
	h->seen = true;
	h->age_ns = 0;
}
