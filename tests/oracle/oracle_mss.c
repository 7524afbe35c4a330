/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The segment size that a SYN announces, lowered to what fits (docs/man/fqdnat.yaml.5, mss_clamp;
 * RFC 9293 3.2, 3.7.1).
 */
#include <string.h>

#include "oracle.h"

#define SYN     0x02
#define MSS_MIN 536

static uint32_t fits(uint32_t mtu, bool v6)
{
	uint32_t headers = v6 ? 60 : 40;

	return mtu < headers + MSS_MIN ? MSS_MIN : mtu - headers;
}

/*
 * What fits both the interface where it came in and the route by which it leaves. That one's MTU is
 * not known as long as the neighbour is not: then that of its interface counts.
 */
static uint32_t limit_of(const struct orc_world *w, const struct orc_pkt *p,
			 const struct orc_plan *plan)
{
	uint32_t mtu = plan->unresolved && !plan->split ? w->dev[plan->side].mtu : plan->mtu;
	uint32_t here, there = fits(mtu, orc_crosses(p, &plan->dst) ? !p->v6 : p->v6);

	if (w->settings.mss_clamp != FQ_MSS_AUTO)
		return w->settings.mss_clamp;
	there = mtu ? there : 0;
	if (!w->dev[plan->ingress].mtu)
		return there;
	here = fits(w->dev[plan->ingress].mtu, p->v6);
	return there && there < here ? there : here;
}

/* Return: where the two bytes of the value are; NULL: it is not there, or not to be read. */
static uint8_t *find_mss(uint8_t *at, const uint8_t *end)
{
	while (at + 4 <= end && at[0] != 0) {
		if (at[0] == 1) {
			at++;
			continue;
		}
		if (at[0] == 2)
			return at[1] == 4 ? at + 2 : NULL;
		if (at[1] < 2)
			return NULL;
		at += at[1];
	}
	return NULL;
}

/* @frame: as it leaves but for this. @p: as it came. */
void orc_clamp(const struct orc_world *w, struct pkt *frame, const struct orc_pkt *p,
	       const struct orc_plan *plan)
{
	uint32_t limit = limit_of(w, p, plan);
	uint8_t *tcp, *value, words[4];
	struct orc_pkt now;
	size_t odd;

	if (!limit || p->kind != ORC_TCP || p->frag == ORC_LATER || !(p->tcp_flags & SYN))
		return;
	orc_parse_ip(frame, p->l3, !orc_v4(&plan->dst), &now);
	tcp = pkt_data(frame) + now.l4;
	value = find_mss(tcp + 20, tcp + (tcp[12] >> 4) * 4);
	if (!value || orc_get16(value) <= limit)
		return;
	odd = (value - tcp) % 2; /* then it lies in two words of the sum */
	memcpy(words, value - odd, sizeof(words));
	orc_put16(words + odd, limit);
	orc_replace(value - odd, words, odd ? 4 : 2, tcp + 16);
}
