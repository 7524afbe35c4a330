/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between IPv4 and IPv6: a new header, RFC 7915 sections 4.1, 4.2, 4.5, 5.1, 5.2, 5.5, with the
 * addresses of a session (RFC 6146).
 */
#include <string.h>

#include "oracle.h"

#define MAY_FRAGMENT 1260 /* RFC 7915 5.1: IPv4 packets of up to so many bytes have DF clear */

bool orc_crosses(const struct orc_pkt *p, const struct fq_addr *dst)
{
	return p->v6 == orc_v4(dst);
}

/* The length of the packet as it leaves for @dst. */
size_t orc_leaving_len(const struct orc_pkt *p, const struct fq_addr *dst)
{
	size_t rest = p->l3 + p->l3_len - p->l4;

	if (!orc_crosses(p, dst))
		return p->l3_len;
	if (p->v6)
		return 20 + rest;
	return 40 + (p->frag == ORC_WHOLE ? 0 : 8) + rest;
}

/* What the sender is told about the MTU of the link behind us (4.2, 5.2; RFC 8200 5). */
uint32_t orc_told_mtu(const struct orc_pkt *p, const struct fq_addr *dst, uint32_t mtu)
{
	if (!orc_crosses(p, dst))
		return mtu;
	if (!p->v6)
		return mtu - (p->frag == ORC_WHOLE ? 20 : 28);
	return mtu + 20 < 1280 ? 1280 : mtu + 20;
}

/* Needs the packet, as it leaves, an identification that it has not got yet (RFC 6864)? */
bool orc_needs_id(const struct orc_pkt *p, const struct fq_addr *dst)
{
	if (!orc_crosses(p, dst))
		return !p->v6 && (!p->df || p->frag != ORC_WHOLE);
	if (p->frag != ORC_WHOLE)
		return true;
	if (p->v6 && p->kind == ORC_ICMP_ERROR) /* cut to what may be fragmented */
		return true;
	return p->v6 && orc_leaving_len(p, dst) <= MAY_FRAGMENT;
}

/* 1.2, 4.5: ICMP has one checksum over all, and one that is missing cannot be made of a part. */
static bool must_stay(const struct orc_pkt *p)
{
	const uint8_t *l4 = pkt_data(p->frame) + p->l4;

	if (p->frag == ORC_WHOLE)
		return false;
	if (p->kind != ORC_TCP && p->kind != ORC_UDP)
		return true;
	return !p->v6 && p->kind == ORC_UDP && p->frag == ORC_FIRST && orc_get16(l4 + 6) == 0;
}

/*
 * 4.1: a loose or strict source route that is not used up. Options that cannot be read are taken
 * for one.
 */
static bool source_routed(const struct orc_pkt *p)
{
	const uint8_t *ip = pkt_data(p->frame) + p->l3;
	size_t at = 20, end = p->v6 ? 0 : (ip[0] & 15) * 4;

	while (at < end && ip[at] != 0) {
		if (ip[at] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= end || ip[at + 1] < 2 || at + ip[at + 1] > end)
			return true;
		if ((ip[at] == 131 || ip[at] == 137) &&
		    (ip[at + 1] < 3 || ip[at + 2] <= ip[at + 1]))
			return true;
		at += ip[at + 1];
	}
	return false;
}

enum fq_reason orc_may_cross(const struct orc_pkt *p)
{
	if (source_routed(p))
		return FQ_R_SOURCE_ROUTED;
	return must_stay(p) ? FQ_R_FRAGMENT_STAYS : FQ_OK;
}

/* --- headers ------------------------------------------------------------------------------------
 */

static size_t write_ip6(uint8_t *ip, const struct orc_pkt *p, const struct orc_plan *plan,
			uint8_t proto, bool more)
{
	size_t len = orc_leaving_len(p, &plan->dst), hlen = 40;

	memset(ip, 0, 48);
	ip[0] = 0x60 | p->tos >> 4;
	ip[1] = (p->tos & 15) << 4;
	orc_put16(ip + 4, len - 40);
	ip[6] = proto;
	ip[7] = p->ttl - 1;
	memcpy(ip + 8, plan->src.b, 16);
	memcpy(ip + 24, plan->dst.b, 16);
	if (p->frag != ORC_WHOLE) {
		ip[6] = 44;
		ip[40] = proto;
		orc_put16(ip + 42, p->frag_off | more);
		orc_put16(ip + 46, plan->ip_id);
		hlen += 8;
	}
	return hlen;
}

static size_t write_ip4(uint8_t *ip, const struct orc_pkt *p, const struct orc_plan *plan,
			uint8_t proto, bool more)
{
	size_t len = orc_leaving_len(p, &plan->dst);

	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = p->tos;
	orc_put16(ip + 2, len);
	orc_put16(ip + 4, plan->ip_id);
	if (p->frag != ORC_WHOLE)
		orc_put16(ip + 6, p->frag_off / 8 | (more ? 0x2000 : 0));
	else if (len > MAY_FRAGMENT)
		orc_put16(ip + 6, 0x4000);
	ip[8] = p->ttl - 1;
	ip[9] = proto;
	memcpy(ip + 12, plan->src.b + 12, 4);
	memcpy(ip + 16, plan->dst.b + 12, 4);
	orc_put16(ip + 10, ~orc_sum(ip, 20, 0) & 0xffff);
	return 20;
}

/* --- what follows the header --------------------------------------------------------------------
 */

/* Replace one sum by another in a checksum. */
static void exchange(uint8_t *check, uint32_t from, uint32_t to)
{
	uint8_t old[2], new[2];

	orc_put16(old, from);
	orc_put16(new, to);
	orc_put16(check, orc_checksum_update(orc_get16(check), old, new, 2));
}

/* 4.2, 5.2: echo has another type, and ICMPv6 a pseudo header. */
static void rewrite_echo(uint8_t *l4, const struct orc_pkt *p, const struct orc_plan *plan,
			 const struct orc_pkt *after)
{
	static const uint8_t types[2][2] = {{128, 129}, {8, 0}}; /* to IPv6, to IPv4 */
	uint8_t type[2] = {types[p->v6][p->kind == ORC_ECHO_REPLY], l4[1]}, id[2];

	orc_replace(l4, type, 2, l4 + 2);
	orc_put16(id, plan->port);
	orc_replace(l4 + 4, id, 2, l4 + 2);
	exchange(l4 + 2, p->v6 ? orc_pseudo_sum(p) : 0, p->v6 ? 0 : orc_pseudo_sum(after));
}

/* Return: a checksum was made that had been left out. */
static bool rewrite_ports(uint8_t *l4, const struct orc_pkt *p, const struct orc_plan *plan,
			  const struct orc_pkt *after)
{
	uint8_t *check = l4 + (p->kind == ORC_TCP ? 16 : 6), port[2];
	bool none = p->kind == ORC_UDP && orc_get16(check) == 0;

	orc_put16(port, plan->port);
	orc_replace(plan->dir == FQ_DIR_OUT ? l4 : l4 + 2, port, 2, none ? NULL : check);
	if (none && p->v6)
		return false;
	if (none)
		orc_put16(check, ~orc_sum(l4, p->l4_len, orc_pseudo_sum(after)) & 0xffff);
	else
		exchange(check, orc_pseudo_sum(p), orc_pseudo_sum(after));
	if (p->kind == ORC_UDP && !orc_get16(check))
		orc_put16(check, 0xffff);
	return none;
}

/* @frame: completed before (orc_complete). Return: a UDP checksum was made. */
bool orc_cross(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan)
{
	uint8_t proto = p->kind == ORC_TCP ? 6 : p->kind == ORC_UDP ? 17 : p->v6 ? 1 : 58;
	struct orc_pkt after = *p;
	struct pkt before = *frame;
	const uint8_t *old = pkt_data(&before);
	uint8_t *eth = pkt_data(frame);
	bool made = false;
	size_t hlen;

	after.v6 = !p->v6;
	after.proto = proto;
	after.src = plan->src;
	after.dst = plan->dst;
	hlen = p->v6 ? write_ip4(eth + p->l3, p, plan, proto, p->more)
		     : write_ip6(eth + p->l3, p, plan, proto, p->more);
	if (p->l3)
		orc_put16(eth + 12, p->v6 ? ETH_P_IP : ETH_P_IPV6);
	memcpy(eth + p->l3 + hlen, old + p->l4, frame->len - p->l4);
	frame->len = p->l3 + hlen + frame->len - p->l4;
	if (p->frag == ORC_LATER)
		return false;
	if (p->kind == ORC_TCP || p->kind == ORC_UDP)
		made = rewrite_ports(eth + p->l3 + hlen, p, plan, &after);
	else
		rewrite_echo(eth + p->l3 + hlen, p, plan, &after);
	return made;
}
