/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hooks do otherwise than native XDP (docs/packet-path.md, "Holding", "At tc", "Virtual
 * interfaces"): everything else is the same for all of them, and knows none.
 */
#include <string.h>

#include "oracle.h"

static bool at_tc(enum orc_hook hook)
{
	return hook == ORC_TC || hook == ORC_TC_BARE;
}

/* Has the kernel ask for an unknown neighbour, and keep the packet meanwhile? */
bool orc_asks_neighbours(enum orc_hook hook)
{
	return at_tc(hook);
}

/* Does the kernel know by itself that a checksum is yet to be completed? */
bool orc_keeps_partial(enum orc_hook hook)
{
	return at_tc(hook) || hook == ORC_GENERIC;
}

/* It looks partial, and is right as it is: whether the kernel takes it for partial is not known. */
static bool ambiguous(const struct orc_pkt *p)
{
	struct pkt copy = *p->frame;

	return orc_complete(&copy, p) &&
	       orc_sum(pkt_data(p->frame) + p->l4, p->l4_len, orc_pseudo_sum(p)) == 0xffff;
}

/* Does the daemon send the packet, or (injected, to a gateway) who has called the program? */
bool orc_goes_slow(const struct orc_world *w, const struct orc_pkt *p, const struct orc_plan *plan)
{
	enum orc_hook hook = w->hook[plan->ingress];

	if (plan->split || (plan->unresolved && !at_tc(hook)))
		return true;
	if (orc_keeps_partial(hook))
		return ambiguous(p);
	if (hook == ORC_INJECT) /* who injects sends what is redirected, but does not learn where */
		return plan->gateway;
	return !w->redirectable[plan->side];
}

/*
 * May an error of ours go back to where it is due? The kernel would complete a partial checksum in
 * the middle of what is quoted.
 */
bool orc_sends_back(const struct orc_world *w, unsigned int side, bool partial)
{
	if (orc_keeps_partial(w->hook[side]))
		return !partial;
	return w->hook[side] == ORC_INJECT || w->redirectable[side];
}

static bool gets_header(const struct orc_world *w, const struct orc_pkt *p,
			const struct orc_plan *plan)
{
	return !p->l3 && w->hook[plan->side] != ORC_TC_BARE;
}

/* Where the IP packet begins in what the program leaves behind. */
size_t orc_l3_after(const struct orc_world *w, const struct orc_pkt *p, const struct orc_plan *plan)
{
	bool slow = orc_goes_slow(w, p, plan);

	if (slow && plan->gateway && !plan->split && w->hook[plan->ingress] == ORC_INJECT)
		return p->l3 + sizeof(uint32_t);
	return gets_header(w, p, plan) && (!slow || plan->gateway) ? ETH_HLEN : p->l3;
}

/* The kernel completes it when it sends the packet. */
void orc_leave_partial(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan)
{
	struct orc_pkt now;

	orc_parse_ip(frame, p->l3, !orc_v4(&plan->dst), &now);
	orc_put16(pkt_data(frame) + now.l4 + orc_checksum_offset(&now), orc_pseudo_sum(&now));
}

void orc_put_before(struct pkt *frame, const void *bytes, size_t len)
{
	memmove(pkt_data(frame) + len, pkt_data(frame), frame->len);
	memcpy(pkt_data(frame), bytes, len);
	frame->len += len;
}

/* At tc, the header of what leaves by an interface without one is taken off by the kernel. */
void orc_address(const struct orc_world *w, struct pkt *frame, const struct orc_pkt *p,
		 const struct orc_plan *plan)
{
	bool tc = at_tc(w->hook[plan->ingress]);
	uint8_t *eth = pkt_data(frame), header[ETH_HLEN] = {0};

	if (tc && w->hook[plan->side] == ORC_TC_BARE)
		return;
	if (gets_header(w, p, plan)) {
		orc_put16(header + 12, orc_v4(&plan->dst) ? ETH_P_IP : ETH_P_IPV6);
		orc_put_before(frame, header, sizeof(header));
	}
	if (tc && plan->unresolved)
		return;
	memcpy(eth, plan->dmac, 6);
	memcpy(eth + 6, w->mac[plan->side], 6);
}
