/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about sessions between IPv4 and IPv6: the message, the quoted packet and both IP
 * headers in the other version (RFC 7915 4.2 to 4.5, 5.2 to 5.5; docs/packet-path.md, "Between IPv4
 * and IPv6"). Whose the error is, oracle_about.c says.
 */
#include <string.h>

#include "oracle.h"

#define ERROR_MAX    1280                      /* RFC 4443 2.4 c */
#define KEPT_MAX     (ERROR_MAX - 40 - 8 - 48) /* with the longest headers, of a fragment */
#define MAY_FRAGMENT 1260                      /* RFC 7915 5.1 */
#define NOWHERE      (-1)

struct message {
	uint8_t type, code;
	uint32_t rest; /* the last four bytes of its header */
};

/* --- the message -------------------------------------------------------------------------------
 */

/* 4.2, figure 3. */
static int pointer_to_ip6(unsigned int at)
{
	static const int to[20] = {
		0,       1,       4, 4, NOWHERE, NOWHERE, NOWHERE, NOWHERE, 7,  6,
		NOWHERE, NOWHERE, 8, 8, 8,       8,       24,      24,      24, 24,
	};

	return at < 20 ? to[at] : NOWHERE;
}

/* 5.2, figure 6. */
static int pointer_to_ip4(uint32_t at)
{
	static const int to[8] = {0, 1, NOWHERE, NOWHERE, 2, 2, 9, 8};

	if (at < 8)
		return to[at];
	return at < 24 ? 12 : at < 40 ? 16 : NOWHERE;
}

/*
 * 4.2: 20 more. A router that says nothing has met a packet of @total bytes: RFC 1191 7.1, but not
 * less than IPv6 has, which counts as a plateau itself.
 */
static uint32_t mtu_to_ip6(uint32_t mtu, size_t total)
{
	static const uint32_t plateaus[] = {1280, 1492, 2002, 4352, 8166, 17914, 32000};
	uint32_t likely = 0;

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]) && !mtu; i++)
		if (plateaus[i] < total)
			likely = plateaus[i];
	mtu += likely + 20;
	if (mtu > 0xffff)
		mtu = 0xffff;
	return mtu < 1280 ? 1280 : mtu;
}

/* 5.2: 20 less, of what 16 bits can say; RFC 791 3.2 knows none below 68. */
static uint32_t mtu_to_ip4(uint32_t mtu)
{
	if (mtu > 0xffff)
		mtu = 0xffff;
	return mtu < 68 + 20 ? 68 : mtu - 20;
}

static bool unreachable_to_ip6(const uint8_t *icmp, size_t total, struct message *ret)
{
	*ret = (struct message){.type = 1};
	switch (icmp[1]) {
	case 0:
	case 1:
	case 5 ... 8:
	case 11:
	case 12:
		return true;
	case 2: /* protocol: unrecognised next header, which is at 6 */
		*ret = (struct message){.type = 4, .code = 1, .rest = 6};
		return true;
	case 3:
		ret->code = 4;
		return true;
	case 4:
		*ret = (struct message){.type = 2, .rest = mtu_to_ip6(orc_get16(icmp + 6), total)};
		return true;
	case 9:
	case 10:
	case 13:
	case 15:
		ret->code = 1;
		return true;
	default:
		return false;
	}
}

static bool message_to_ip6(const uint8_t *icmp, size_t total, struct message *ret)
{
	int pointer;

	if (icmp[0] == 3)
		return unreachable_to_ip6(icmp, total, ret);
	if (icmp[0] == 11) {
		*ret = (struct message){.type = 3, .code = icmp[1]};
		return true;
	}
	pointer = pointer_to_ip6(icmp[4]);
	*ret = (struct message){.type = 4, .rest = pointer};
	return (icmp[1] == 0 || icmp[1] == 2) && pointer != NOWHERE;
}

static bool message_to_ip4(const uint8_t *icmp, struct message *ret)
{
	static const uint8_t unreachable[5] = {1, 10, 1, 1, 3};
	uint32_t rest = (uint32_t)orc_get16(icmp + 4) << 16 | orc_get16(icmp + 6);
	int pointer = pointer_to_ip4(rest);

	*ret = (struct message){.type = 3};
	switch (icmp[0]) {
	case 1:
		ret->code = icmp[1] < 5 ? unreachable[icmp[1]] : 0;
		return icmp[1] < 5;
	case 2:
		ret->code = 4;
		ret->rest = mtu_to_ip4(rest);
		return true;
	case 3:
		*ret = (struct message){.type = 11, .code = icmp[1]};
		return true;
	}
	if (icmp[1] == 1) { /* next header: protocol */
		ret->code = 2;
		return true;
	}
	*ret = (struct message){.type = 12, .rest = (uint32_t)pointer << 24};
	return icmp[1] == 0 && pointer != NOWHERE;
}

static bool message(const struct orc_pkt *p, const struct orc_pkt *q, struct message *ret)
{
	const uint8_t *frame = pkt_data(p->frame);

	return p->v6 ? message_to_ip4(frame + p->l4, ret)
		     : message_to_ip6(frame + p->l4, orc_get16(frame + q->l3 + 2), ret);
}

bool orc_cross_has_message(const struct orc_pkt *p, const struct orc_pkt *q)
{
	const uint8_t *ip = pkt_data(q->frame) + q->l3;
	struct message m;

	/* No packet that was an IPv4 one is so long. */
	if (p->v6 && 40 + orc_get16(ip + 4) - (q->l4 - q->l3) > 65535 - 20)
		return false;
	return message(p, q, &m);
}

/* --- headers ------------------------------------------------------------------------------------
 */

/* What of a packet is to be written; its sizes are those of the new version. */
struct header {
	struct fq_addr src, dst;
	uint8_t tos, ttl, proto;
	bool more;
	uint32_t id;
	size_t payload;
};

static size_t header_len(bool v6, bool more)
{
	return v6 ? (more ? 48 : 40) : 20;
}

static void write_ip6(uint8_t *ip, const struct header *h)
{
	size_t len = header_len(true, h->more);

	memset(ip, 0, len);
	ip[0] = 0x60 | h->tos >> 4;
	ip[1] = (h->tos & 15) << 4;
	orc_put16(ip + 4, len - 40 + h->payload);
	ip[6] = h->more ? 44 : h->proto;
	ip[7] = h->ttl;
	memcpy(ip + 8, h->src.b, 16);
	memcpy(ip + 24, h->dst.b, 16);
	if (h->more) {
		ip[40] = h->proto;
		ip[43] = 1;
		orc_put16(ip + 44, h->id >> 16);
		orc_put16(ip + 46, h->id);
	}
}

/* 5.1, 5.1.1. What has DF set needs no identification (RFC 6864 4.1). */
static void write_ip4(uint8_t *ip, const struct header *h)
{
	bool df = !h->more && 20 + h->payload > MAY_FRAGMENT;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = h->tos;
	orc_put16(ip + 2, 20 + h->payload);
	orc_put16(ip + 4, df ? 0 : h->id);
	orc_put16(ip + 6, h->more ? 0x2000 : df ? 0x4000 : 0);
	ip[8] = h->ttl;
	ip[9] = h->proto;
	memcpy(ip + 12, h->src.b + 12, 4);
	memcpy(ip + 16, h->dst.b + 12, 4);
	orc_put16(ip + 10, ~orc_sum(ip, 20, 0) & 0xffff);
}

static uint8_t other_proto(uint8_t proto)
{
	return proto == 1 ? 58 : proto == 58 ? 1 : proto;
}

/* 4.3, 5.3: as of any packet, but the TTL stays. */
static struct header quoted_header(const struct orc_pkt *q, const struct orc_plan *plan)
{
	const uint8_t *ip = pkt_data(q->frame) + q->l3;
	struct header h = {
		.src = plan->quoted_src,
		.dst = plan->quoted_dst,
		.tos = q->v6 ? (ip[0] << 4 | ip[1] >> 4) & 0xff : ip[1],
		.ttl = q->v6 ? ip[7] : ip[8],
		.proto = other_proto(q->proto),
		.more = q->more,
		.id = q->more ? q->frag_id : 0,
		.payload = q->v6 ? 40 + orc_get16(ip + 4) : orc_get16(ip + 2),
	};

	h.payload -= q->l4 - q->l3;
	return h;
}

/* --- the quoted packet --------------------------------------------------------------------------
 */

/* What its checksum covers beside it; ICMPv4's covers nothing else. */
static uint32_t pseudo(const struct orc_pkt *q, size_t payload)
{
	struct orc_pkt whole = *q;

	whole.l4_len = payload;
	return q->proto == 1 ? 0 : orc_pseudo_sum(&whole);
}

/* 4.5, 5.5: the checksum as far as it is quoted, and none remains none. @l4: a copy of @q's */
static void cross_l4(uint8_t *l4, const struct orc_pkt *q, const struct orc_plan *plan,
		     const struct header *h)
{
	bool ports = q->kind == ORC_TCP || q->kind == ORC_UDP;
	size_t at = q->kind == ORC_TCP ? 16 : q->kind == ORC_UDP ? 6 : 2;
	uint8_t *check = l4 + at, to[2], old[2];
	struct orc_pkt after = *q;

	if (at + 2 > q->l4_len || (q->kind == ORC_UDP && !orc_get16(check)))
		check = NULL;
	orc_put16(to, plan->port);
	orc_replace(ports ? l4 + (plan->dir == FQ_DIR_IN ? 0 : 2) : l4 + 4, to, 2, check);
	if (!ports) {
		bool reply = q->kind == ORC_ECHO_REPLY;
		uint8_t type[2] = {q->v6 ? (reply ? 0 : 8) : (reply ? 129 : 128), l4[1]};

		orc_replace(l4, type, 2, check);
	}
	if (!check)
		return;
	after.v6 = !q->v6;
	after.proto = h->proto;
	after.src = h->src;
	after.dst = h->dst;
	orc_put16(old, pseudo(q, h->payload));
	orc_put16(to, pseudo(&after, h->payload));
	orc_put16(check, orc_checksum_update(orc_get16(check), old, to, 2));
	if (q->kind == ORC_UDP && !orc_get16(check))
		orc_put16(check, 0xffff);
}

/*
 * @frame: a copy of the one that @p was read from; @q: what it quotes.
 *
 * RFC 4884 extensions are left out, and with them the length that announces them (4.2, 5.2).
 */
void orc_cross_error(struct pkt *frame, const struct orc_pkt *p, const struct orc_pkt *q,
		     const struct orc_plan *plan)
{
	struct header quoted = quoted_header(q, plan), outer;
	size_t hlen = header_len(!p->v6, false), quoted_hlen = header_len(!p->v6, quoted.more);
	size_t kept = q->l3 + q->l3_len - q->l4;
	uint8_t *eth = pkt_data(frame), *icmp = eth + p->l3 + hlen;
	struct orc_pkt after = *p;
	struct message m;

	if (kept > KEPT_MAX)
		kept = KEPT_MAX;
	outer = (struct header){.src = plan->src,
				.dst = plan->dst,
				.tos = p->tos,
				.ttl = p->ttl - 1,
				.proto = other_proto(p->proto),
				.id = plan->ip_id,
				.payload = 8 + quoted_hlen + kept};
	message(p, q, &m);
	if (p->l3)
		orc_put16(eth + 12, p->v6 ? ETH_P_IP : ETH_P_IPV6);
	memcpy(icmp + 8 + quoted_hlen, pkt_data(q->frame) + q->l4, kept);
	cross_l4(icmp + 8 + quoted_hlen, q, plan, &quoted);
	(p->v6 ? write_ip4 : write_ip6)(eth + p->l3, &outer);
	(p->v6 ? write_ip4 : write_ip6)(icmp + 8, &quoted);
	icmp[0] = m.type;
	icmp[1] = m.code;
	orc_put16(icmp + 2, 0);
	orc_put16(icmp + 4, m.rest >> 16);
	orc_put16(icmp + 6, m.rest);
	frame->len = p->l3 + hlen + outer.payload;
	after.v6 = !p->v6;
	after.proto = outer.proto;
	after.src = plan->src;
	after.dst = plan->dst;
	orc_put16(icmp + 2, ~orc_sum(icmp, outer.payload, pseudo(&after, outer.payload)) & 0xffff);
}
