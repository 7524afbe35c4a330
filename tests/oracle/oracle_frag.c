/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments: the first one of a datagram has the ports, the others borrow them
 * (docs/packet-path.md, "Fragments"; RFC 4787 REQ-14, RFC 1858, RFC 3128, RFC 6864).
 */
#include <string.h>

#include "oracle.h"

#define TCP_HEADER 20

static struct fq_frag_key key_of(const struct orc_pkt *p)
{
	return (struct fq_frag_key){
		.src = p->src,
		.dst = p->dst,
		.id = __builtin_bswap32(p->frag_id),
		.proto = p->v6 ? 0 : p->frag_proto,
	};
}

static struct orc_datagram *note_of(struct orc_world *w, const struct orc_pkt *p, bool make)
{
	struct fq_frag_key key = key_of(p);
	unsigned int i = 0;

	while (i < w->datagrams.n && memcmp(&w->datagrams.entry[i].key, &key, sizeof(key)) != 0)
		i++;
	if (i == w->datagrams.n) {
		if (!make || i == ORC_ENTRIES)
			return NULL;
		w->datagrams.n++;
		w->datagrams.entry[i].key = key;
		w->datagrams.entry[i].value = (struct orc_datagram){0};
	}
	return &w->datagrams.entry[i].value;
}

/* May a packet in be a session's? Only then fragments of it are worth keeping. */
static bool may_be_ours(const struct orc_world *w, const struct orc_pkt *p, unsigned int side)
{
	const struct fq_settings *s = &w->settings;

	if (orc_is_proxy(w, &p->src) || s->masquerade == FQ_MASQ_NONE)
		return orc_client(w, &p->dst) != NULL;
	if (s->masquerade == FQ_MASQ_AUTO)
		return orc_same(&p->dst, &w->dev[side].nat4) ||
		       orc_same(&p->dst, &w->dev[side].nat6);
	for (unsigned int i = 0; i < FQ_NAT_ADDRESSES; i++)
		if ((i < s->nat4_count && orc_same(&p->dst, &s->nat4[i])) ||
		    (i < s->nat6_count && orc_same(&p->dst, &s->nat6[i])))
			return true;
	return false;
}

/* A later fragment, of a datagram that is known. Return: FQ_OK; FRAGMENT; FRAGMENT_OVERLAP. */
enum fq_reason orc_frag_borrow(struct orc_world *w, struct orc_pkt *p, struct orc_plan *plan)
{
	const struct orc_datagram *d = note_of(w, p, false);

	if (!d || d->waiting)
		return FQ_R_FRAGMENT;
	if (d->kind == ORC_TCP && p->frag_off < TCP_HEADER)
		return FQ_R_FRAGMENT_OVERLAP;
	p->kind = d->kind;
	p->proto = d->proto;
	p->sport = d->sport;
	p->dport = d->dport;
	plan->ip_id = d->ip_id;
	return FQ_OK;
}

/* A first fragment that comes twice is still of the same datagram (RFC 6864 4.2). */
void orc_frag_again(struct orc_world *w, const struct orc_pkt *p, struct orc_plan *plan)
{
	const struct orc_datagram *d = note_of(w, p, false);

	if (d && !d->waiting && d->sport == p->sport && d->dport == p->dport)
		plan->ip_id = d->ip_id;
}

/* A later fragment, of one that is not: the daemon keeps it, or a copy of it. */
enum fq_reason orc_frag_unknown(struct orc_world *w, const struct orc_pkt *p, unsigned int side,
				bool to_pool, struct orc_result *res)
{
	struct orc_datagram *d;

	if (to_pool && !orc_client(w, &p->src))
		return FQ_R_NOT_A_CLIENT;
	if (!to_pool && !may_be_ours(w, p, side))
		return FQ_R_FRAGMENT;
	d = note_of(w, p, true);
	if (d)
		d->waiting = true;
	if (!orc_hand_up(res,
			 &(struct orc_upcall){.kind = FQ_UPCALL_FRAGMENT,
					      .domain = __builtin_bswap32(p->frag_id),
					      .ifindex = w->ifindex[side],
					      .gateway = p->v6 ? 0 : p->frag_proto,
					      .proxy = p->dst},
			 p->frame, p->l3, p->l3_len)) {
		res->event[FQ_R_FRAGMENT_LIMIT]++;
		return FQ_R_FRAGMENT;
	}
	return to_pool ? FQ_R_FRAGMENT_HELD : FQ_R_FRAGMENT;
}

/* The first one, whatever has become of it (@r): the others follow. */
void orc_frag_first(struct orc_world *w, const struct orc_pkt *p, unsigned int side, bool to_pool,
		    enum fq_reason r, const struct orc_plan *plan, struct orc_result *res)
{
	struct fq_frag_key key = key_of(p);
	struct orc_datagram *d;
	struct orc_upcall *u;
	bool waiting;

	if (r == FQ_R_HELD || (r && !to_pool && !may_be_ours(w, p, side)))
		return;
	d = note_of(w, p, true);
	if (!d)
		return;
	waiting = d->waiting;
	*d = (struct orc_datagram){.kind = p->kind,
				   .proto = p->proto,
				   .sport = p->sport,
				   .dport = p->dport,
				   .ip_id = plan->ip_id};
	if (!waiting)
		return;
	u = &res->upcall[res->upcalls++];
	*u = (struct orc_upcall){.kind = FQ_UPCALL_FIRST,
				 .ifindex = w->ifindex[side],
				 .len = sizeof(key),
				 .proxy = p->dst};
	memcpy(u->frame, &key, sizeof(key));
}

/*
 * RFC 6864 4.1, 4.2: a datagram that is, or may become, fragments needs an id that no other one
 * from the same address has; which, the program chooses.
 */
void orc_frag_id(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan)
{
	if (plan->ip_id || plan->forwarded || !orc_needs_id(p, &plan->dst))
		return;
	plan->ip_id = o->chosen_id(o->ctx, orc_l3_after(&o->w, p, plan));
	if (!plan->ip_id || plan->ip_id == o->last_id)
		orc_complain(o, "not a legal id", plan->ip_id);
	o->last_id = plan->ip_id;
}
