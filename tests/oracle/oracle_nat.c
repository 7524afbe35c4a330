/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rewriting: addresses, port or id, TTL and checksums of a packet that keeps its IP version (RFC
 * 3022 4, RFC 1624, RFC 768, RFC 5508 3.1).
 */
#include <string.h>

#include "oracle.h"

size_t orc_checksum_offset(const struct orc_pkt *p)
{
	return p->kind == ORC_TCP ? 16 : p->kind == ORC_UDP ? 6 : 2;
}

/* ICMPv4 alone has no pseudo header. */
static bool has_pseudo(const struct orc_pkt *p)
{
	return p->v6 || p->kind == ORC_TCP || p->kind == ORC_UDP;
}

/*
 * A checksum that is just the sum of the pseudo header was left to hardware that does not exist:
 * complete it as the sender would have. Fragments are always complete. Return: it was so.
 */
bool orc_complete(struct pkt *frame, const struct orc_pkt *p)
{
	uint8_t *l4 = pkt_data(frame) + p->l4, *check = l4 + orc_checksum_offset(p);
	uint32_t pseudo = orc_pseudo_sum(p);
	uint16_t sum;

	if (p->frag != ORC_WHOLE || (p->kind != ORC_TCP && p->kind != ORC_UDP) ||
	    orc_get16(check) != pseudo)
		return false;
	orc_put16(check, 0);
	sum = ~orc_sum(l4, p->l4_len, pseudo) & 0xffff;
	if (p->kind == ORC_UDP && !sum) /* RFC 768: 0 means that there is none */
		sum = 0xffff;
	orc_put16(check, sum);
	return true;
}

static void rewrite_ip4(uint8_t *ip, const struct orc_plan *plan, uint8_t *l4_check)
{
	uint8_t ttl[2] = {ip[8] - 1, ip[9]}, id[2];

	orc_replace(ip + 8, ttl, 2, ip + 10);
	orc_put16(id, plan->ip_id);
	if (plan->ip_id)
		orc_replace(ip + 4, id, 2, ip + 10);
	for (int i = 0; i < 2; i++) {
		uint8_t *field = ip + (i ? 16 : 12);
		const uint8_t *to = (i ? &plan->dst : &plan->src)->b + 12;
		uint8_t old[4];

		memcpy(old, field, 4);
		orc_replace(field, to, 4, ip + 10);
		if (l4_check)
			orc_put16(l4_check, orc_checksum_update(orc_get16(l4_check), old, to, 4));
	}
}

static void rewrite_ip6(uint8_t *ip, const struct orc_plan *plan, uint8_t *l4_check)
{
	ip[7]--;
	orc_replace(ip + 8, plan->src.b, 16, l4_check);
	orc_replace(ip + 24, plan->dst.b, 16, l4_check);
}

/* Addresses, TTL and id alone. */
void orc_rewrite_ip(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan)
{
	uint8_t *ip = pkt_data(frame) + p->l3;

	if (p->v6)
		rewrite_ip6(ip, plan, NULL);
	else
		rewrite_ip4(ip, plan, NULL);
}

/* @frame: completed before (orc_complete). */
void orc_rewrite(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan)
{
	uint8_t *ip = pkt_data(frame) + p->l3, *l4 = pkt_data(frame) + p->l4;
	uint8_t *check = l4 + orc_checksum_offset(p), *port = l4 + 4, to[2];
	bool later = p->frag == ORC_LATER;
	bool none = later || plan->forwarded || (p->kind == ORC_UDP && orc_get16(check) == 0);

	if (p->kind == ORC_TCP || p->kind == ORC_UDP)
		port = plan->dir == FQ_DIR_OUT ? l4 : l4 + 2;
	if (none)
		check = NULL;
	if (p->v6)
		rewrite_ip6(ip, plan, check);
	else
		rewrite_ip4(ip, plan, has_pseudo(p) ? check : NULL);
	if (later)
		return;
	orc_put16(to, plan->port);
	orc_replace(port, to, 2, check);
	if (p->kind == ORC_UDP && check && !orc_get16(check))
		orc_put16(check, 0xffff);
}
