/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about sessions, from outside and from clients: the session is that of the quoted
 * packet; outer and quoted headers are translated (docs/packet-path.md, "ICMP errors"; RFC 5508
 * 4.1 to 4.3, REQ-3 to REQ-6; RFC 4884; I-01 to I-06).
 */
#include <string.h>

#include "oracle.h"

#define HEADERS_MAX   512 /* as of any packet */
#define ATTRIBUTE_MIN 128 /* RFC 4884 3: less is no length of a quoted packet */

/* REQ-10. Redirects are for the gateway itself, source quenches for nobody (RFC 6633). */
static bool is_translated(const uint8_t *icmp, bool v6)
{
	return v6 ? icmp[0] >= 1 && icmp[0] <= 4 : icmp[0] == 3 || icmp[0] == 11 || icmp[0] == 12;
}

/* --- the quoted packet ---------------------------------------------------------------------------
 */

/* RFC 4884 4.1, 4.2, 4.5: how long the quoted packet is, if extensions follow it. */
static size_t attribute(const uint8_t *icmp, bool v6)
{
	size_t len = 0;

	if (!v6)
		len = icmp[5] * 4;
	else if (icmp[0] == 1 || icmp[0] == 3)
		len = icmp[4] * 8;
	return len < ATTRIBUTE_MIN ? 0 : len;
}

/* REQ-3: eight bytes are enough to know whose it is. Of ICMP, only echo has sessions. */
static enum fq_reason read_l4(const uint8_t *l4, uint8_t proto, struct orc_pkt *q)
{
	q->proto = proto;
	if (q->l4_len < 8)
		return FQ_R_MALFORMED;
	q->sport = orc_get16(l4);
	q->dport = orc_get16(l4 + 2);
	if (proto == 6 || proto == 17) {
		q->kind = proto == 6 ? ORC_TCP : ORC_UDP;
		return FQ_OK;
	}
	if (proto != (q->v6 ? 58 : 1))
		return FQ_R_ICMP_ERROR;
	q->sport = q->dport = orc_get16(l4 + 4);
	if (l4[0] == (q->v6 ? 128 : 8))
		q->kind = ORC_ECHO_REQUEST;
	else if (l4[0] == (q->v6 ? 129 : 0))
		q->kind = ORC_ECHO_REPLY;
	return q->kind == ORC_OTHER ? FQ_R_ICMP_ERROR : FQ_OK;
}

static enum fq_reason read_ip4(const uint8_t *ip, size_t room, struct orc_pkt *q)
{
	static const struct fq_addr mapped = {.b = {[10] = 0xff, [11] = 0xff}};
	size_t hlen = (ip[0] & 15) * 4;

	if (room < 20 || ip[0] >> 4 != 4 || hlen < 20)
		return FQ_R_MALFORMED;
	q->src = q->dst = mapped;
	memcpy(q->src.b + 12, ip + 12, 4);
	memcpy(q->dst.b + 12, ip + 16, 4);
	if (orc_get16(ip + 2) < room) /* what follows is padding */
		room = orc_get16(ip + 2);
	if (orc_get16(ip + 6) & 0x1fff) /* a later fragment is nobody's */
		return FQ_R_ICMP_ERROR;
	q->more = orc_get16(ip + 6) & 0x2000;
	q->frag_id = orc_get16(ip + 4);
	if (hlen > room)
		return FQ_R_MALFORMED;
	q->l4 = q->l3 + hlen;
	q->l4_len = room - hlen;
	return read_l4(ip + hlen, ip[9], q);
}

static enum fq_reason read_ip6(const uint8_t *ip, size_t room, struct orc_pkt *q)
{
	uint8_t proto = ip[6];
	size_t at = 40;

	if (room < 40 || ip[0] >> 4 != 6)
		return FQ_R_MALFORMED;
	memcpy(q->src.b, ip + 8, 16);
	memcpy(q->dst.b, ip + 24, 16);
	if (orc_v4(&q->src) || orc_v4(&q->dst))
		return FQ_R_MALFORMED;
	if (40 + (size_t)orc_get16(ip + 4) < room)
		room = 40 + orc_get16(ip + 4);
	for (int i = 0; i < 6 && (proto == 0 || proto == 43 || proto == 44 || proto == 60); i++) {
		const uint8_t *ext = ip + at;

		if (at > HEADERS_MAX)
			return FQ_R_ICMP_ERROR;
		if (at + 8 > room)
			return FQ_R_MALFORMED;
		if (proto == 44 ? orc_get16(ext + 2) & 0xfff8 : proto == 43 && ext[3])
			return FQ_R_ICMP_ERROR;
		if (proto == 44) {
			q->more = ext[3] & 1;
			q->frag_id = (uint32_t)orc_get16(ext + 4) << 16 | orc_get16(ext + 6);
		}
		at += proto == 44 ? 8 : 8 + 8 * (size_t)ext[1];
		proto = ext[0];
	}
	if (at > HEADERS_MAX)
		return FQ_R_ICMP_ERROR;
	if (at > room)
		return FQ_R_MALFORMED;
	q->l4 = q->l3 + at;
	q->l4_len = room - at;
	return read_l4(ip + at, proto, q);
}

static enum fq_reason read_quote(const struct orc_pkt *p, struct orc_pkt *ret)
{
	const uint8_t *icmp = pkt_data(p->frame) + p->l4;
	size_t room = p->l4_len - 8, len = attribute(icmp, p->v6);

	*ret = (struct orc_pkt){.frame = p->frame, .v6 = p->v6, .l3 = p->l4 + 8};
	if (len && len < room)
		room = len;
	ret->l3_len = room; /* with padding */
	return p->v6 ? read_ip6(icmp + 8, room, ret) : read_ip4(icmp + 8, room, ret);
}

/* REQ-3 a, 4.1: of the message, and of the quoted header. What the quote's L4 says is not verified.
 */
static bool is_intact(const struct orc_pkt *p, const struct orc_pkt *q)
{
	const uint8_t *frame = pkt_data(p->frame);

	if (orc_sum(frame + p->l4, p->l4_len, p->v6 ? orc_pseudo_sum(p) : 0) != 0xffff)
		return false;
	return p->v6 || orc_sum(frame + q->l3, q->l4 - q->l3, 0) == 0xffff;
}

/* --- whose it is
 * ---------------------------------------------------------------------------------- */

/* The quoted packet went the other way: what is its source is the error's destination. */
static struct orc_pkt reversed(const struct orc_pkt *q)
{
	struct orc_pkt r = *q;

	r.src = q->dst;
	r.dst = q->src;
	r.sport = q->dport;
	r.dport = q->sport;
	return r;
}

static enum fq_reason match_in(struct orc *o, const struct orc_pkt *p, const struct orc_pkt *r,
			       struct orc_flow **ret_flow, unsigned int side)
{
	enum fq_reason late;
	struct orc_flow *f;

	if (!orc_same(&r->dst, &p->dst))
		return FQ_R_ICMP_ERROR;
	f = *ret_flow = orc_flow_find(o, r, FQ_DIR_IN);
	if (!f) {
		late = orc_in_unknown(o, r);
		return late == FQ_R_NOT_OURS ? FQ_R_ICMP_ERROR : late;
	}
	if (f->half[FQ_DIR_IN].gateway && o->w.settings.source_check != FQ_SOURCE_NONE &&
	    !orc_error_from_gateway(o, f, side))
		return FQ_R_WRONG_GATEWAY;
	return FQ_OK;
}

/* From the session's client, or from a router that has an address of the same client. */
static enum fq_reason match_out(struct orc *o, const struct orc_pkt *p, const struct orc_pkt *r,
				struct orc_flow **ret_flow)
{
	const struct fq_client *client = orc_client(&o->w, &p->src);
	struct orc_flow *f = *ret_flow = orc_flow_find(o, r, FQ_DIR_OUT);

	if (!f || !orc_same(&r->dst, &p->dst) || !client || client->client != f->client_id)
		return FQ_R_ICMP_NO_SESSION;
	return FQ_OK;
}

/* --- what becomes of it
 * ---------------------------------------------------------------------------- */

/*
 * I-06, RFC 5508 REQ-4, REQ-5: routers outside are hidden, or keep their address; the resource
 * never does. Inside, everyone has the NAT address. An edge that forwards changes nothing.
 */
static struct fq_addr error_source(const struct orc *o, const struct orc_flow *f,
				   const struct orc_pkt *p, enum fq_dir dir)
{
	if (f->half[dir].gateway)
		return p->src;
	if (dir == FQ_DIR_OUT)
		return f->nat;
	if (orc_crosses(p, &f->client)) /* RFC 6791: nobody has an address of the other version */
		return f->proxy;
	return o->w.settings.show_hops && !orc_same(&p->src, &f->real) ? p->src : f->proxy;
}

static enum fq_reason way(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan,
			  struct orc_result *res)
{
	enum fq_reason r;

	if (p->ttl <= 1)
		return FQ_R_ICMP_UNDELIVERABLE;
	r = plan->gateway ? orc_route_gateway(&o->w, p, plan, res)
			  : orc_route(&o->w, p, &plan->dst, plan);
	return r == FQ_R_NO_ROUTE || r == FQ_R_TOO_BIG || r == FQ_R_GATEWAY_UNKNOWN
		       ? FQ_R_ICMP_UNDELIVERABLE
		       : r;
}

/* An ICMP error, as parsed. Return: FQ_OK with a plan; why not. */
enum fq_reason orc_about(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan,
			 struct orc_result *res)
{
	const uint8_t *icmp = pkt_data(p->frame) + p->l4;
	bool out = plan->dir == FQ_DIR_OUT;
	struct orc_flow *f = NULL;
	struct orc_pkt q, r;
	enum fq_reason reason;

	if (orc_group_source(p) || !is_translated(icmp, p->v6))
		return FQ_R_ICMP_ERROR;
	reason = read_quote(p, &q);
	if (reason)
		return reason;
	if (q.kind == (out ? ORC_ECHO_REQUEST : ORC_ECHO_REPLY))
		return FQ_R_ICMP_ERROR;
	r = reversed(&q);
	reason = out ? match_out(o, p, &r, &f) : match_in(o, p, &r, &f, plan->ingress);
	if (reason)
		return reason;
	if (!is_intact(p, &q))
		return FQ_R_ICMP_BAD_CHECKSUM;
	plan->error = true;
	plan->src = error_source(o, f, p, plan->dir);
	plan->dst = out ? f->real : f->client;
	plan->quoted_src = out ? f->real : f->client;
	plan->quoted_dst = out ? f->nat : f->proxy;
	plan->port = out ? f->nat_port : f->client_port;
	plan->forwarded = f->half[plan->dir].gateway != 0;
	plan->gateway = out ? f->half[FQ_DIR_OUT].gateway : 0;
	reason = way(o, p, plan, res);
	if (!reason && orc_crosses(p, &plan->dst) && !orc_cross_has_message(p, &q))
		reason = FQ_R_ICMP_NO_COUNTERPART;
	if (!reason)
		orc_frag_id(o, p, plan);
	return reason;
}

/* --- its bytes
 * -------------------------------------------------------------------------------------- */

/* Back into what its sender sent; its checksum, if it is there (I-04). */
static void rewrite_quote(uint8_t *frame, const struct orc_pkt *q, const struct orc_plan *plan)
{
	size_t at = q->kind == ORC_TCP ? 16 : q->kind == ORC_UDP ? 6 : 2;
	uint8_t *ip = frame + q->l3, *l4 = frame + q->l4, *check = l4 + at, to[2];
	size_t len = q->v6 ? 16 : 4, skip = 16 - len;
	bool pseudo = q->v6 || q->kind == ORC_TCP || q->kind == ORC_UDP;
	uint8_t *field = ip + (q->v6 ? 8 : 12);
	uint8_t old[32], new[32];

	if (at + 2 > q->l4_len || (q->kind == ORC_UDP && !orc_get16(check)))
		check = NULL;
	memcpy(new, plan->quoted_src.b + skip, len);
	memcpy(new + len, plan->quoted_dst.b + skip, len);
	memcpy(old, field, 2 * len);
	orc_replace(field, new, 2 * len, q->v6 ? NULL : ip + 10);
	if (check && pseudo)
		orc_put16(check, orc_checksum_update(orc_get16(check), old, new, 2 * len));
	orc_put16(to, plan->port);
	if (q->kind == ORC_TCP || q->kind == ORC_UDP)
		orc_replace(plan->dir == FQ_DIR_IN ? l4 : l4 + 2, to, 2, check);
	else
		orc_replace(l4 + 4, to, 2, check);
	if (check && q->kind == ORC_UDP && !orc_get16(check))
		orc_put16(check, 0xffff);
}

/* @frame: a copy of the one that @p was read from. */
void orc_about_rewrite(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan)
{
	uint8_t *icmp = pkt_data(frame) + p->l4;
	struct orc_pkt q, after = *p;

	read_quote(p, &q);
	if (orc_crosses(p, &plan->dst)) {
		orc_cross_error(frame, p, &q, plan);
		return;
	}
	orc_rewrite_ip(frame, p, plan);
	rewrite_quote(pkt_data(frame), &q, plan);
	after.src = plan->src;
	after.dst = plan->dst;
	orc_put16(icmp + 2, 0);
	orc_put16(icmp + 2, ~orc_sum(icmp, p->l4_len, p->v6 ? orc_pseudo_sum(&after) : 0) & 0xffff);
}
