/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame from its first byte to its fate; see oracle.h.
 */
#include <string.h>

#include "oracle.h"

static const enum fq_reason_class CLASSES[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = FQ_CLASS_##class,
	FQ_REASONS(X)
#undef X
};

/* Frames for another machine, seen by a promiscuous interface, are not ours. */
static bool foreign(const struct orc_world *w, unsigned int side, const struct pkt *in)
{
	static const uint8_t unknown[6];
	const uint8_t *dmac = pkt_data(in), *mac = w->dev[side].mac;

	return w->hook[side] != ORC_TC_BARE && memcmp(mac, unknown, 6) != 0 && !(dmac[0] & 1) &&
	       memcmp(dmac, mac, 6) != 0;
}

/* The daemon knows one form only: without Ethernet header, one that says the protocol is made. */
bool orc_hand_up(struct orc_result *res, const struct orc_upcall *head, const struct pkt *frame,
		 size_t l3, size_t l3_len)
{
	struct orc_upcall *u = &res->upcall[res->upcalls];
	size_t len = ETH_HLEN + l3_len;

	if (len > FQ_HOLD_FRAME_MAX)
		return false;
	res->upcalls++;
	*u = *head;
	u->len = len;
	u->l3_offset = ETH_HLEN;
	memset(u->frame, 0, ETH_HLEN);
	memcpy(u->frame + ETH_HLEN - l3, pkt_data(frame), l3 + l3_len);
	if (!l3)
		orc_put16(u->frame + 12, u->frame[ETH_HLEN] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	return true;
}

/* Who injects a packet to a gateway gets it back, after the index of the interface. */
static bool hands_back(const struct orc *o, unsigned int side, const struct orc_plan *plan,
		       struct orc_result *res)
{
	if (o->w.hook[side] != ORC_INJECT || !plan->gateway || plan->split)
		return false;
	orc_put_before(&res->out, &o->w.ifindex[plan->side], sizeof(uint32_t));
	res->fate = ORC_HAND_BACK;
	return true;
}

static enum fq_reason forward(struct orc *o, unsigned int side, const struct orc_pkt *p,
			      const struct orc_plan *plan, struct orc_result *res)
{
	bool slow = orc_goes_slow(&o->w, p, plan), partial;
	size_t leaving;
	const struct orc_upcall head = {.kind = plan->gateway ? FQ_UPCALL_VIA : FQ_UPCALL_SLOW,
					.ifindex = o->w.ifindex[plan->gateway ? plan->side : side],
					.mtu = plan->split ? plan->mtu : 0,
					.proxy = plan->src};

	partial = orc_complete(&res->out, p);
	if (partial && (slow || !orc_keeps_partial(o->w.hook[side])))
		res->event[FQ_R_CSUM_PARTIAL]++;
	if (plan->error)
		orc_about_rewrite(&res->out, p, plan);
	else if (!orc_crosses(p, &plan->dst))
		orc_rewrite(&res->out, p, plan);
	else if (orc_cross(&res->out, p, plan))
		res->event[FQ_R_CSUM_MADE]++;
	orc_clamp(&o->w, &res->out, p, plan);
	res->resized = orc_crosses(p, &plan->dst);
	leaving = plan->error && orc_crosses(p, &plan->dst) ? res->out.len - p->l3
							    : orc_leaving_len(p, &plan->dst);
	if (partial && !slow && orc_keeps_partial(o->w.hook[side]))
		orc_leave_partial(&res->out, p, plan);
	if (!slow || plan->gateway)
		orc_address(&o->w, &res->out, p, plan);
	if (!slow)
		res->fate = ORC_SEND;
	else if (hands_back(o, side, plan, res))
		return FQ_R_FORWARDED_SLOW;
	else if (plan->gateway && plan->unresolved && o->w.hook[plan->side] != ORC_TC_BARE)
		return FQ_R_GATEWAY_UNRESOLVED;
	else if (!orc_hand_up(res, &head, &res->out, orc_l3_after(&o->w, p, plan), leaving))
		return FQ_R_SLOW_FAILED;
	if (plan->error)
		return FQ_R_ICMP_TRANSLATED;
	if (slow)
		return plan->forwarded ? FQ_R_FORWARDED_SLOW : FQ_R_TRANSLATED_SLOW;
	return plan->forwarded ? FQ_R_FORWARDED : FQ_R_TRANSLATED;
}

static enum fq_reason hold(struct orc *o, unsigned int side, const struct orc_pkt *p,
			   const struct orc_plan *plan, struct orc_result *res)
{
	const struct orc_upcall head = {.kind = FQ_UPCALL_HOLD,
					.domain = plan->domain,
					.ifindex = o->w.ifindex[side],
					.proxy = p->dst};

	if (orc_complete(&res->out, p))
		res->event[FQ_R_CSUM_PARTIAL]++;
	if (!orc_hand_up(res, &head, &res->out, p->l3, p->l3_len))
		return FQ_R_HOLD_FAILED;
	return FQ_R_HELD;
}

/* A token for each error to the same receiver; in the tests nothing is refilled. */
static bool limited(struct orc *o, const struct fq_addr *receiver)
{
	unsigned int i = 0;

	while (i < o->w.buckets.n && !orc_same(&o->w.buckets.entry[i].key, receiver))
		i++;
	if (i == o->w.buckets.n) {
		if (i == ORC_ENTRIES)
			return false;
		o->w.buckets.entry[i].key = *receiver;
		o->w.buckets.entry[i].value = o->w.settings.icmp_burst;
		o->w.buckets.n++;
	}
	if (!o->w.buckets.entry[i].value)
		return true;
	o->w.buckets.entry[i].value--;
	return false;
}

static void refuse(struct orc *o, unsigned int side, const struct orc_pkt *p,
		   const struct orc_plan *plan, struct orc_result *res)
{
	struct pkt about = res->out;
	bool partial = orc_complete(&about, p);
	const uint8_t *ip = pkt_data(&res->out) + p->l3;
	struct orc_upcall head = {.kind = FQ_UPCALL_SLOW,
				  .ifindex = o->w.ifindex[side],
				  .proxy.b = {[10] = 0xff, [11] = 0xff}};

	res->fate = ORC_DROP;
	if (!orc_error(&o->w, &about, p, plan, res->reason, side, &res->out)) {
		res->event[FQ_R_ICMP_NOT_ALLOWED]++;
		return;
	}
	if (limited(o, &p->src)) {
		res->event[FQ_R_ICMP_LIMITED]++;
		return;
	}
	if (partial)
		res->event[FQ_R_CSUM_PARTIAL]++;
	res->resized = true;
	res->event[FQ_R_ICMP_SENT]++;
	if (orc_sends_back(&o->w, side, partial)) {
		res->fate = ORC_SEND;
		return;
	}
	if (p->v6)
		memcpy(&head.proxy, ip + 8, 16);
	else
		memcpy(head.proxy.b + 12, ip + 12, 4);
	orc_hand_up(res, &head, &res->out, p->l3, res->out.len - p->l3);
}

void orc_packet(struct orc *o, unsigned int side, const struct pkt *in, struct orc_result *ret)
{
	struct orc_plan plan = {.ingress = side};
	struct orc_pkt p = {0};
	enum fq_reason r;

	memset(ret, 0, offsetof(struct orc_result, upcall));
	ret->out = *in;
	ret->fate = ORC_DROP;
	if (foreign(&o->w, side, in)) {
		r = FQ_R_NOT_OURS;
	} else {
		r = orc_parse(in, o->w.hook[side] == ORC_TC_BARE, &p);
		ret->counted = r == FQ_OK;
		ret->bytes = p.l3_len;
		r = orc_path(o, &p, r, &plan, ret);
	}
	if (r == FQ_OK)
		r = forward(o, side, &p, &plan, ret);
	else if (r == FQ_R_HELD)
		r = hold(o, side, &p, &plan, ret);
	ret->reason = r;
	if (CLASSES[r] == FQ_CLASS_PASS)
		ret->fate = ORC_PASS;
	else if (CLASSES[r] == FQ_CLASS_REFUSE)
		refuse(o, side, &p, &plan, ret);
}
