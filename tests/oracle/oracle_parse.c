/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading frames: what kind of packet is it, and where does it go? (IEEE 802.3, RFC 791, RFC 1812
 * 5.2.2, RFC 8200, RFC 768, RFC 9293, RFC 792, RFC 4443)
 */
#include <string.h>

#include "oracle.h"

#define EXT_HEADERS_MAX 6 /* docs/packet-path.md, "Which reason, if several apply" */
#define L4_OFFSET_MAX   512

static enum fq_reason parse_tcp(const uint8_t *l4, struct orc_pkt *p)
{
	size_t hlen;

	if (p->l4_len < 20)
		return FQ_R_MALFORMED;
	hlen = (l4[12] >> 4) * 4;
	if (hlen < 20 || hlen > p->l4_len)
		return FQ_R_MALFORMED;
	p->kind = ORC_TCP;
	p->tcp_flags = l4[13];
	p->sport = orc_get16(l4);
	p->dport = orc_get16(l4 + 2);
	return FQ_OK;
}

/* What lies between the end of the UDP datagram and that of the IP packet is not its own. */
static enum fq_reason parse_udp(const uint8_t *l4, struct orc_pkt *p)
{
	size_t len;

	if (p->l4_len < 8)
		return FQ_R_MALFORMED;
	len = orc_get16(l4 + 4);
	if (len < 8 || (len > p->l4_len && p->frag == ORC_WHOLE))
		return FQ_R_MALFORMED;
	p->kind = ORC_UDP;
	if (p->frag == ORC_WHOLE)
		p->l4_len = len;
	p->sport = orc_get16(l4);
	p->dport = orc_get16(l4 + 2);
	return FQ_OK;
}

static enum fq_reason parse_icmp(const uint8_t *l4, struct orc_pkt *p)
{
	const uint8_t request = p->v6 ? 128 : 8, reply = p->v6 ? 129 : 0;
	bool error;

	if (p->l4_len < 8)
		return FQ_R_MALFORMED;
	/* RFC 4443 2.1: types below 128 are errors. RFC 792, RFC 1122 3.2.2: these are. */
	error = p->v6 ? l4[0] < 128
		      : l4[0] == 3 || l4[0] == 4 || l4[0] == 5 || l4[0] == 11 || l4[0] == 12;
	if (error && p->frag != ORC_WHOLE)
		return FQ_R_L4_UNSUPPORTED;
	if (error) {
		p->kind = ORC_ICMP_ERROR;
		return FQ_R_ICMP_ERROR;
	}
	if (l4[0] != request && l4[0] != reply)
		return FQ_R_L4_UNSUPPORTED;
	p->kind = l4[0] == request ? ORC_ECHO_REQUEST : ORC_ECHO_REPLY;
	p->sport = p->dport = orc_get16(l4 + 4);
	return FQ_OK;
}

static enum fq_reason parse_l4(const uint8_t *frame, struct orc_pkt *p, uint8_t proto, size_t l4)
{
	if (l4 > L4_OFFSET_MAX)
		return FQ_R_L4_UNSUPPORTED;
	p->proto = proto;
	p->l4 = l4;
	p->l4_len = p->l3 + p->l3_len - l4;
	if (p->frag == ORC_LATER) /* of IPv6, the first one alone says what it is */
		return p->v6 || proto == 6 || proto == 17 || proto == 1 ? FQ_OK
									: FQ_R_L4_UNSUPPORTED;
	if (proto == 6)
		return parse_tcp(frame + l4, p);
	if (proto == 17)
		return parse_udp(frame + l4, p);
	if (proto == (p->v6 ? 58 : 1))
		return parse_icmp(frame + l4, p);
	return FQ_R_L4_UNSUPPORTED;
}

static struct fq_addr mapped(const uint8_t *ip)
{
	struct fq_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

	memcpy(a.b + 12, ip, 4);
	return a;
}

static enum fq_reason parse_ip4(const uint8_t *frame, size_t room, struct orc_pkt *p)
{
	const uint8_t *ip = frame + p->l3;
	size_t hlen, len;

	if (room < 20 || ip[0] >> 4 != 4)
		return FQ_R_MALFORMED;
	p->addressed = true;
	p->src = mapped(ip + 12);
	p->dst = mapped(ip + 16);
	p->ttl = ip[8];
	p->tos = ip[1];
	hlen = (ip[0] & 15) * 4;
	len = orc_get16(ip + 2);
	if (hlen < 20 || len < hlen || len > room || orc_sum(ip, hlen, 0) != 0xffff)
		return FQ_R_MALFORMED;
	p->l3_len = len;
	p->df = orc_get16(ip + 6) & 0x4000;
	p->frag_off = (orc_get16(ip + 6) & 0x1fff) * 8;
	p->more = orc_get16(ip + 6) & 0x2000;
	p->frag_id = orc_get16(ip + 4);
	p->frag_proto = ip[9];
	if (p->frag_off)
		p->frag = ORC_LATER;
	else if (p->more)
		p->frag = ORC_FIRST;
	if (p->more && (len - hlen) % 8) /* 3.2: all but the last one are of so many units */
		return FQ_R_MALFORMED;
	return parse_l4(frame, p, ip[9], p->l3 + hlen);
}

/* RFC 8200 4.5. Without offset and more to come, the packet is whole (RFC 6946). */
static void fragment_header(const uint8_t *ext, struct orc_pkt *p)
{
	p->frag_off = orc_get16(ext + 2) & 0xfff8;
	p->more = ext[3] & 1;
	p->frag_id = (uint32_t)orc_get16(ext + 4) << 16 | orc_get16(ext + 6);
	if (p->frag_off)
		p->frag = ORC_LATER;
	else if (p->more)
		p->frag = ORC_FIRST;
}

/* RFC 8200 4: the chain of headers up to what is translated. */
static enum fq_reason walk_extensions(const uint8_t *frame, struct orc_pkt *p)
{
	size_t at = p->l3 + 40, end = p->l3 + p->l3_len;
	uint8_t proto = frame[p->l3 + 6];

	for (unsigned int i = 0; i < EXT_HEADERS_MAX; i++) {
		const uint8_t *ext = frame + at;

		if (proto != 0 && proto != 43 && proto != 44 && proto != 60)
			break;
		if (proto == 0 && i > 0) /* only right behind the IPv6 header (4.1) */
			return FQ_R_MALFORMED;
		if (at > L4_OFFSET_MAX)
			return FQ_R_L4_UNSUPPORTED;
		if (at + 8 > end)
			return FQ_R_MALFORMED;
		if (proto == 43 && ext[3]) /* not yet at its destination */
			return FQ_R_L4_UNSUPPORTED;
		if (proto == 44) {
			if (p->frag != ORC_WHOLE)
				return FQ_R_MALFORMED;
			fragment_header(ext, p);
			if (p->more && orc_get16(frame + p->l3 + 4) % 8) /* 4.5 */
				return FQ_R_MALFORMED;
			at += 8;
		} else {
			at += 8 + 8 * (size_t)ext[1];
		}
		proto = ext[0];
		if (at > end)
			return FQ_R_MALFORMED;
		if (p->frag == ORC_LATER)
			break;
	}
	return parse_l4(frame, p, proto, at);
}

static enum fq_reason parse_ip6(const uint8_t *frame, size_t room, struct orc_pkt *p)
{
	const uint8_t *ip = frame + p->l3;
	size_t len;

	if (room < 40 || ip[0] >> 4 != 6)
		return FQ_R_MALFORMED;
	memcpy(&p->src, ip + 8, 16);
	memcpy(&p->dst, ip + 24, 16);
	if (orc_v4(&p->src) || orc_v4(&p->dst)) /* RFC 4291 2.5.5.2: not on a wire */
		return FQ_R_MALFORMED;
	p->addressed = true;
	p->ttl = ip[7];
	p->tos = (ip[0] & 15) << 4 | ip[1] >> 4;
	len = 40 + (size_t)orc_get16(ip + 4);
	if (len > room || len > 65535)
		return FQ_R_MALFORMED;
	p->l3_len = len;
	return walk_extensions(frame, p);
}

enum fq_reason orc_parse_ip(const struct pkt *frame, size_t l3, bool v6, struct orc_pkt *ret)
{
	const uint8_t *bytes = pkt_data(frame);

	*ret = (struct orc_pkt){.frame = frame, .v6 = v6, .l3 = l3, .l2_group = bytes[0] & 1};
	return v6 ? parse_ip6(bytes, frame->len - l3, ret) : parse_ip4(bytes, frame->len - l3, ret);
}

/*
 * @bare: there is no Ethernet header. What the kernel says of such a packet, it has in a test run
 * from the place where that would be: see gen_bare.c.
 */
enum fq_reason orc_parse(const struct pkt *frame, bool bare, struct orc_pkt *ret)
{
	const uint8_t *eth = pkt_data(frame);
	size_t l3 = bare ? 0 : ETH_HLEN;

	*ret = (struct orc_pkt){.frame = frame, .l3 = l3, .l2_group = eth[0] & 1};
	switch (orc_get16(eth + 12)) {
	case ETH_P_IP:
		return orc_parse_ip(frame, l3, false, ret);
	case ETH_P_IPV6:
		return orc_parse_ip(frame, l3, true, ret);
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		return FQ_R_VLAN;
	default:
		return FQ_R_NOT_IP;
	}
}

static bool masked_equal(const struct fq_addr *a, const struct fq_addr *net,
			 const struct fq_addr *mask)
{
	for (int i = 0; i < 16; i++)
		if ((a->b[i] & mask->b[i]) != net->b[i])
			return false;
	return true;
}

bool orc_is_proxy(const struct orc_world *w, const struct fq_addr *a)
{
	const struct fq_settings *s = &w->settings;

	return orc_v4(a) ? masked_equal(a, &s->pool4, &s->pool4_mask)
			 : masked_equal(a, &s->pool6, &s->pool6_mask);
}

bool orc_in_pool(const struct orc_world *w, const struct orc_pkt *p)
{
	return p->addressed && orc_is_proxy(w, &p->dst);
}

/* From a group of hosts, or everyone; or sent to a group on the link. */
bool orc_group_source(const struct orc_pkt *p)
{
	const uint8_t *v4 = p->src.b + 12;

	if (p->l2_group)
		return true;
	if (p->v6)
		return p->src.b[0] == 0xff;
	return (v4[0] >= 224 && v4[0] < 240) || (v4[0] & v4[1] & v4[2] & v4[3]) == 0xff;
}

/* RFC 1812 4.3.2.7, RFC 4443 2.4 e: an address of one host elsewhere, which may be answered. */
bool orc_single_host(const struct fq_addr *a)
{
	static const struct fq_addr loopback6 = {.b = {[15] = 1}};

	if (orc_v4(a))
		return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
	return a->b[0] != 0xff && !orc_zero(a) && !orc_same(a, &loopback6);
}
