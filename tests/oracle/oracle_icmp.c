/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors of ours: who is told what, byte by byte (RFC 792, RFC 1812 4.3.2, RFC 1191, RFC
 * 4443; G-24 to G-26, G-31, G-32).
 */
#include <string.h>

#include "oracle.h"

#define TOTAL4 576  /* RFC 1812 4.3.2.3 */
#define TOTAL6 1280 /* RFC 4443 2.4 c */

static const struct {
	uint8_t type4, code4, type6, code6;
} kinds[FQ_REASON_MAX] = {
	/* clang-format off: a table */
	[FQ_R_NO_TRANSLATION] = {3, 0, 1, 3},  [FQ_R_NO_FAMILY] = {3, 0, 1, 3},
	[FQ_R_DOMAIN_FAILED] = {3, 0, 1, 3},   [FQ_R_NOT_A_CLIENT] = {3, 13, 1, 1},
	[FQ_R_NOT_GRANTED] = {3, 13, 1, 1},    [FQ_R_FILTERED] = {3, 13, 1, 1},
	[FQ_R_TABLE_FULL] = {3, 13, 1, 1},     [FQ_R_QUOTA] = {3, 13, 1, 1},
	[FQ_R_EDGE_QUOTA] = {3, 13, 1, 1},     [FQ_R_NO_PORT] = {3, 13, 1, 1},
	[FQ_R_NO_NAT_ADDRESS] = {3, 0, 1, 3},  [FQ_R_NO_ROUTE] = {3, 0, 1, 0},
	[FQ_R_GATEWAY_UNKNOWN] = {3, 0, 1, 3}, [FQ_R_SOURCE_ROUTED] = {3, 5, 1, 0},
	[FQ_R_TTL_EXCEEDED] = {11, 0, 3, 0},   [FQ_R_TOO_BIG] = {3, 4, 2, 0},
	/* clang-format on */
};

/*
 * Out: the proxy address that was tried (G-31), unless hops are to be seen and this is one (I-06).
 * In: the gateway's on that interface.
 */
static struct fq_addr error_source(const struct orc_world *w, const struct orc_pkt *p,
				   const struct orc_plan *plan, enum fq_reason reason,
				   unsigned int side)
{
	const struct fq_addr *own = p->v6 ? &w->dev[side].nat6 : &w->dev[side].nat4;

	bool hop = w->settings.show_hops && reason == FQ_R_TTL_EXCEEDED;

	return (plan->dir == FQ_DIR_OUT && !hop) || orc_zero(own) ? p->dst : *own;
}

static void write_icmp(uint8_t *icmp, size_t len, uint8_t type, uint8_t code, uint32_t mtu,
		       uint32_t pseudo)
{
	icmp[0] = type;
	icmp[1] = code;
	orc_put16(icmp + 4, mtu >> 16);
	orc_put16(icmp + 6, mtu & 0xffff);
	orc_put16(icmp + 2, ~orc_sum(icmp, len, pseudo) & 0xffff);
}

static void write_ip4(uint8_t *ip, size_t len, const struct fq_addr *src, const struct fq_addr *dst)
{
	ip[0] = 0x45;
	ip[1] = 0xc0; /* internetwork control (RFC 1812 4.3.2.5) */
	orc_put16(ip + 2, len);
	orc_put16(ip + 6, 0x4000); /* DF, so that id 0 will do (RFC 6864 4) */
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, src->b + 12, 4);
	memcpy(ip + 16, dst->b + 12, 4);
	orc_put16(ip + 10, ~orc_sum(ip, 20, 0) & 0xffff);
}

static void write_ip6(uint8_t *ip, size_t len, const struct fq_addr *src, const struct fq_addr *dst)
{
	ip[0] = 0x60;
	orc_put16(ip + 4, len - 40);
	ip[6] = 58;
	ip[7] = 64;
	memcpy(ip + 8, src->b, 16);
	memcpy(ip + 24, dst->b, 16);
}

bool orc_error(const struct orc_world *w, const struct pkt *about, const struct orc_pkt *p,
	       const struct orc_plan *plan, enum fq_reason reason, unsigned int side,
	       struct pkt *ret)
{
	size_t hlen = p->v6 ? 48 : 28, max = (p->v6 ? TOTAL6 : TOTAL4) - hlen;
	size_t quote = p->l3_len < max ? p->l3_len : max, len = hlen + quote;
	struct orc_pkt e = {.v6 = p->v6, .dst = p->src, .proto = 58, .l4_len = 8 + quote};
	uint8_t type = p->v6 ? kinds[reason].type6 : kinds[reason].type4;
	uint8_t code = p->v6 ? kinds[reason].code6 : kinds[reason].code4;
	uint32_t mtu = reason == FQ_R_TOO_BIG ? plan->told_mtu : 0;
	uint8_t *eth = pkt_data(ret), *ip = eth + p->l3;

	if (!orc_single_host(&p->src) || p->l2_group || p->frag == ORC_LATER)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(eth, pkt_data(about), p->l3);
	if (p->l3) {
		memcpy(eth, pkt_data(about) + 6, 6);
		memcpy(eth + 6, pkt_data(about), 6);
	}
	memcpy(ip + hlen, pkt_data(about) + p->l3, quote);
	e.src = error_source(w, p, plan, reason, side);
	if (p->v6) {
		write_ip6(ip, len, &e.src, &e.dst);
		write_icmp(ip + 40, 8 + quote, type, code, mtu, orc_pseudo_sum(&e));
	} else {
		write_ip4(ip, len, &e.src, &e.dst);
		write_icmp(ip + 20, 8 + quote, type, code, mtu, 0);
	}
	ret->len = p->l3 + len;
	return true;
}
