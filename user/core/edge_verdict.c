/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the entries of a domain mean for its packets: a verdict for each IP family, because a
 * resource that has one family has told its gateway of no address of the other (P-06). Called by
 * the inputs in edge*.c, which have made room in the queue: nothing here fails.
 */
#include "core/edge_internal.h"

struct verdict {
	enum fq_edge_verdict verdict;
	uint32_t gateway;
	struct instant touch_at;
};

/*
 * From when on a new flow that passes is to have the entry asked for (C-08). The packet path is
 * told when that has come: nearly every question is answered long before.
 */
static struct instant entry_touch_at(const struct entry *e)
{
	if (e->state == EDGE_PENDING)
		return e->queued || !e->late ? INSTANT_NEVER
					     : instant_add(e->sent_at, EDGE_RESEND_NS);
	if (e->state == EDGE_RECREATING && !e->waiting && e->gateway->up)
		return e->since; /* it could not be asked for then */
	return INSTANT_NEVER;
}

/*
 * What all entries of a family together mean for its packets. They wait as long as one gateway is
 * still to say something, even if it has not been asked yet: the first packets wait for it (C-21,
 * C-24). A family that no resource has is refused: no gateway knows its addresses, and DNS answers
 * none of them (P-05).
 */
static struct verdict verdict_of(const struct domain *d, unsigned int family)
{
	struct verdict v = {.verdict = FQ_EDGE_REFUSE, .touch_at = INSTANT_NEVER};

	for (const struct entry *e = d->entries; e; e = e->next_of_domain) {
		if (!(edge_stack_families(e->resource->ip_stack) & family))
			continue;
		v.touch_at = instant_min(v.touch_at, entry_touch_at(e));
		if (v.verdict == FQ_EDGE_FORWARD || e->state == EDGE_FAILED)
			continue;
		if (edge_entry_is_flowing(e)) {
			v.verdict = FQ_EDGE_FORWARD;
			v.gateway = e->gateway->id;
		} else {
			v.verdict = FQ_EDGE_HOLD;
			if (e->gateway && !v.gateway)
				v.gateway = e->gateway->id;
		}
	}
	if (v.verdict != FQ_EDGE_FORWARD)
		v.touch_at = INSTANT_NEVER;
	return v;
}

static bool is_emitted(const struct domain *d, unsigned int i, const struct verdict *v)
{
	return d->verdict[i] == v->verdict && d->gateway[i] == v->gateway &&
	       d->touch_at[i].ns == v->touch_at.ns;
}

static bool is_same(const struct verdict *a, const struct verdict *b)
{
	return a->verdict == b->verdict && a->gateway == b->gateway &&
	       a->touch_at.ns == b->touch_at.ns;
}

static void emit(struct edge *edge, struct domain *d, const struct verdict *v,
		 unsigned int families)
{
	struct record *r = edge_queue_add(edge, EDGE_SET_VERDICT, d);

	r->families = (uint8_t)families;
	r->detail = (uint8_t)v->verdict;
	r->gateway = v->gateway;
	r->touch_at = v->touch_at;
	for (unsigned int i = 0; i < IP_FAMILIES; i++) {
		if (!(families >> i & 1))
			continue;
		d->verdict[i] = (uint8_t)v->verdict;
		d->gateway[i] = v->gateway;
		d->touch_at[i] = v->touch_at;
	}
}

/* One action for both families if they have come to the same. */
static void emit_changed(struct edge *edge, struct domain *d, const struct verdict v[IP_FAMILIES])
{
	unsigned int changed = 0;

	for (unsigned int i = 0; i < IP_FAMILIES; i++)
		changed |= (unsigned int)!is_emitted(d, i, &v[i]) << i;
	if (changed == IP_FAMILY_ALL && is_same(&v[0], &v[1])) {
		emit(edge, d, &v[0], changed);
		return;
	}
	for (unsigned int i = 0; i < IP_FAMILIES; i++)
		if (changed >> i & 1)
			emit(edge, d, &v[i], 1U << i);
}

/*
 * Frames of @families wait no longer: they are released, or dropped but not silently, so that their
 * senders can be told.
 */
static void let_go(struct edge *edge, struct domain *d, unsigned int families,
		   enum edge_action_kind kind)
{
	unsigned int count;
	struct held_frame *frames = held_take(&d->holding->held, &edge->held, families, &count);
	struct record *r;

	if (!frames)
		return;
	r = edge_queue_add(edge, kind, d);
	r->detail = EDGE_HELD_DROPPED; /* of EDGE_HELD_EVENT */
	r->count = count;
	r->frames = frames;
}

void edge_domain_settle(struct edge *edge, struct domain *d)
{
	struct verdict v[IP_FAMILIES];
	unsigned int families[FQ_EDGE_REFUSE + 1] = {0}; /* by verdict */

	for (unsigned int i = 0; i < IP_FAMILIES; i++) {
		v[i] = verdict_of(d, 1U << i);
		families[v[i].verdict] |= 1U << i;
	}
	emit_changed(edge, d, v);
	if (families[FQ_EDGE_FORWARD])
		edge_domain_passes(edge, d);
	if (!d->holding)
		return;
	let_go(edge, d, families[FQ_EDGE_FORWARD], EDGE_RELEASE);
	let_go(edge, d, families[FQ_EDGE_REFUSE], EDGE_HELD_EVENT);
	if (!d->holding->held.count)
		edge_domain_end_holding(edge, d);
}
