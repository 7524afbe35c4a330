/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets for tests; see pkt.h. Written to be obviously right, not fast.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkt.h"

const uint8_t PKT_MAC_CLIENT[ETH_ALEN] = {2, 0, 0, 0, 1, 2};
const uint8_t PKT_MAC_SERVER[ETH_ALEN] = {2, 0, 0, 0, 2, 2};
const uint8_t PKT_MAC_GW_CLIENT[ETH_ALEN] = {2, 0, 0, 0, 1, 1};
const uint8_t PKT_MAC_GW_SERVER[ETH_ALEN] = {2, 0, 0, 0, 2, 1};
const uint8_t PKT_MAC_GROUP[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const char DEFAULT_PAYLOAD[] = "fqdnat";

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v & 0xff;
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, value >> 16);
	put16(to + 2, value & 0xffff);
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t sum(const void *bytes, size_t len, uint32_t seed)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		seed += i % 2 ? b[i] : b[i] << 8;
	while (seed >> 16)
		seed = (seed & 0xffff) + (seed >> 16);
	return seed;
}

uint16_t pkt_checksum(const void *bytes, size_t len, uint32_t seed)
{
	return ~sum(bytes, len, seed) & 0xffff;
}

/* Where an address stands in an IP header, and how long it is. */
struct address {
	uint8_t bytes[16];
	size_t len;
};

static struct address parse_address(const char *text)
{
	struct address a = {.len = 4};

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		return a;
	a.len = 16;
	assert(inet_pton(AF_INET6, text, a.bytes) == 1);
	return a;
}

static uint32_t pseudo_sum(const struct address *src, const struct address *dst, uint8_t proto,
			   size_t len)
{
	uint32_t s = sum(src->bytes, src->len, proto);

	s = sum(dst->bytes, dst->len, s);
	return sum("", 0, s + (len >> 16) + (len & 0xffff));
}

static size_t build_tcp(uint8_t *l4, const struct pkt_spec *s)
{
	size_t hlen = 20 + (s->tcp_options_len ? s->tcp_options_len : s->tcp_wscale ? 4 : 0);

	put16(l4, s->sport);
	put16(l4 + 2, s->dport);
	put32(l4 + 4, s->tcp_seq ? s->tcp_seq : s->seq);
	put32(l4 + 8, s->tcp_ack);
	l4[13] = s->tcp_flags ? s->tcp_flags : 0x10;
	put16(l4 + 14, s->tcp_window ? s->tcp_window : 0xfaf0);
	if (s->tcp_options_len)
		memcpy(l4 + 20, s->tcp_options, s->tcp_options_len);
	else if (s->tcp_wscale)
		memcpy(l4 + 20, (uint8_t[]){1, 3, 3, s->tcp_wscale}, 4);
	l4[12] = (hlen / 4) << 4;
	return hlen;
}

static size_t build_udp(uint8_t *l4, const struct pkt_spec *s, size_t payload_len)
{
	put16(l4, s->sport);
	put16(l4 + 2, s->dport);
	put16(l4 + 4, 8 + payload_len);
	return 8;
}

static size_t build_icmp(uint8_t *l4, const struct pkt_spec *s, bool v6)
{
	if (s->icmp_type || s->icmp_code)
		l4[0] = s->icmp_type;
	else if (v6)
		l4[0] = s->reply ? 129 : 128;
	else
		l4[0] = s->reply ? 0 : 8;
	l4[1] = s->icmp_code;
	put16(l4 + 4, s->sport);
	put16(l4 + 6, s->seq);
	return 8;
}

static void fill_checksum(uint8_t *l4, size_t len, size_t off, uint32_t pseudo,
			  const struct pkt_spec *s)
{
	uint16_t check = pkt_checksum(l4, len, pseudo);

	if (s->csum == PKT_CSUM_ZERO)
		return;
	if (s->csum == PKT_CSUM_PARTIAL)
		check = pseudo;
	else if (s->proto == PKT_UDP && check == 0)
		check = 0xffff;
	put16(l4 + off, check);
}

/* Return: length of the L4 packet. */
static size_t build_l4(uint8_t *l4, const struct pkt_spec *s, const struct address *src,
		       const struct address *dst)
{
	bool v6 = src->len == 16;
	const void *payload = s->payload ? s->payload : DEFAULT_PAYLOAD;
	size_t payload_len = s->payload ? s->payload_len : sizeof(DEFAULT_PAYLOAD) - 1;
	uint8_t proto = s->proto == PKT_ICMP && v6 ? 58 : s->proto;
	size_t hlen = 0, off = 0;

	if (s->proto == PKT_TCP) {
		hlen = build_tcp(l4, s);
		off = 16;
	} else if (s->proto == PKT_UDP) {
		hlen = build_udp(l4, s, payload_len);
		off = 6;
	} else if (s->proto == PKT_ICMP) {
		hlen = build_icmp(l4, s, v6);
		off = 2;
	}
	memcpy(l4 + hlen, payload, payload_len);
	if (off)
		fill_checksum(l4, hlen + payload_len, off,
			      s->proto == PKT_ICMP && !v6
				      ? 0
				      : pseudo_sum(src, dst, proto, hlen + payload_len),
			      s);
	return hlen + payload_len;
}

static size_t build_ip4(uint8_t *ip, const struct pkt_spec *s, const struct address *src,
			const struct address *dst)
{
	size_t hlen = 20 + s->options_len;
	size_t len = hlen + build_l4(ip + hlen, s, src, dst);

	ip[0] = 0x40 | (hlen / 4);
	ip[1] = s->tos;
	put16(ip + 2, len);
	put16(ip + 4, s->ip_id);
	put16(ip + 6, s->frag ? s->frag : s->no_df ? 0 : 0x4000);
	ip[8] = s->ttl ? s->ttl : 64;
	ip[9] = s->proto;
	memcpy(ip + 12, src->bytes, 4);
	memcpy(ip + 16, dst->bytes, 4);
	if (s->options_len)
		memcpy(ip + 20, s->options, s->options_len);
	put16(ip + 10, pkt_checksum(ip, hlen, 0));
	return len;
}

static size_t build_ip6(uint8_t *ip, const struct pkt_spec *s, const struct address *src,
			const struct address *dst)
{
	size_t l4_len = build_l4(ip + 40 + s->ext_len, s, src, dst);

	ip[0] = 0x60 | s->tos >> 4;
	ip[1] = (s->tos & 15) << 4 | (s->flow_label >> 16 & 15);
	put16(ip + 2, s->flow_label & 0xffff);
	put16(ip + 4, s->ext_len + l4_len);
	ip[6] = s->ext_len ? s->ext_first : s->proto == PKT_ICMP ? 58 : s->proto;
	ip[7] = s->ttl ? s->ttl : 64;
	memcpy(ip + 8, src->bytes, 16);
	memcpy(ip + 24, dst->bytes, 16);
	if (s->ext_len)
		memcpy(ip + 40, s->ext, s->ext_len);
	return 40 + s->ext_len + l4_len;
}

void pkt_build(struct pkt *p, const struct pkt_spec *s)
{
	struct address src = parse_address(s->src), dst = parse_address(s->dst);
	uint8_t *eth = pkt_data(p);
	bool v6 = src.len == 16;

	assert(src.len == dst.len);
	memset(p, 0, sizeof(*p));
	memcpy(eth, s->dmac ? s->dmac : PKT_MAC_GW_CLIENT, ETH_ALEN);
	memcpy(eth + ETH_ALEN, s->smac ? s->smac : PKT_MAC_CLIENT, ETH_ALEN);
	put16(eth + 12, s->ethertype ? s->ethertype : v6 ? ETH_P_IPV6 : ETH_P_IP);
	p->len = PKT_L3;
	p->len += v6 ? build_ip6(eth + PKT_L3, s, &src, &dst)
		     : build_ip4(eth + PKT_L3, s, &src, &dst);
	memset(eth + p->len, 0xaa, s->pad);
	p->len += s->pad;
	assert(p->len <= PKT_CAP);
}

size_t pkt_l3_len(const struct pkt *p)
{
	const uint8_t *ip = pkt_data(p) + PKT_L3;

	return ip[0] >> 4 == 6 ? 40u + get16(ip + 4) : get16(ip + 2);
}

void pkt_build_error(struct pkt *p, const struct pkt_error *e, const struct pkt *about)
{
	struct address src = parse_address(e->src), dst = parse_address(e->dst);
	const uint8_t *old = pkt_data(about);
	bool v6 = src.len == 16;
	size_t max = v6 ? 1280 - 48 : 576 - 28;
	size_t quote = e->quote ? e->quote : pkt_l3_len(about) < max ? pkt_l3_len(about) : max;
	uint8_t body[PKT_CAP];
	struct pkt_spec spec = {
		.src = e->src,
		.dst = e->dst,
		.proto = PKT_ICMP,
		.icmp_type = e->type,
		.icmp_code = e->code,
		.sport = e->word,
		.seq = e->mtu,
		.ttl = e->ttl,
		.tos = v6 ? 0 : 0xc0,
		.frag = v6 ? 0 : 0x4000,
		.payload = body,
		.payload_len = quote + e->extensions,
		.dmac = e->dmac ? e->dmac : old + ETH_ALEN,
		.smac = e->smac ? e->smac : old,
	};

	assert(src.len == dst.len && quote + e->extensions <= sizeof(body));
	memcpy(body, old + PKT_L3, quote);
	memset(body + quote, 0xee, e->extensions);
	pkt_build(p, &spec);
}

static void print_frame(const char *what, const struct pkt *p)
{
	fprintf(stderr, "%s (%zu bytes):\n", what, p->len);
	for (size_t i = 0; i < p->len; i++)
		fprintf(stderr, "%s%02x%s", i % 16 ? " " : "  ", pkt_data(p)[i],
			i % 16 == 15 || i + 1 == p->len ? "\n" : "");
}

void pkt_assert_equal(const struct pkt *got, const struct pkt *expected)
{
	size_t n = got->len < expected->len ? got->len : expected->len, i;

	for (i = 0; i < n; i++) {
		if (pkt_data(got)[i] != pkt_data(expected)[i])
			break;
	}
	if (i == n && got->len == expected->len)
		return;
	print_frame("got", got);
	print_frame("expected", expected);
	fail_msg("frames differ at offset %zu (0x%zx)", i, i);
}

uint32_t pkt_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void pkt_fragment(struct pkt *p, const struct pkt *whole, size_t off, size_t len, uint32_t id)
{
	const uint8_t *from = pkt_data(whole) + PKT_L3;
	bool v6 = from[0] >> 4 == 6;
	size_t hlen = v6 ? 40 : (from[0] & 15) * 4u, rest = pkt_l3_len(whole) - hlen - off;
	uint8_t *ip = pkt_data(p) + PKT_L3;
	bool more = len && len < rest;

	len = more ? len : rest;
	assert(off % 8 == 0 && (!more || len % 8 == 0));
	memset(p, 0, sizeof(*p));
	memcpy(pkt_data(p), pkt_data(whole), PKT_L3 + hlen);
	memcpy(ip + hlen + (v6 ? 8 : 0), from + hlen + off, len);
	if (v6) {
		ip[6] = 44;
		put16(ip + 4, 8 + len);
		ip[40] = from[6];
		put16(ip + 42, off | more);
		put16(ip + 44, id >> 16);
		put16(ip + 46, id & 0xffff);
		hlen += 8;
	} else {
		put16(ip + 2, hlen + len);
		put16(ip + 4, id);
		put16(ip + 6, off / 8 | (more ? 0x2000 : 0));
		put16(ip + 10, 0);
		put16(ip + 10, pkt_checksum(ip, hlen, 0));
	}
	p->len = PKT_L3 + hlen + len;
}

void pkt_tag(struct pkt *p, uint16_t tpid, uint16_t tci)
{
	uint8_t *at = pkt_data(p) + 2 * ETH_ALEN;

	assert(p->len + 4 <= PKT_CAP);
	memmove(at + 4, at, p->len - 2 * ETH_ALEN);
	put16(at, tpid);
	put16(at + 2, tci);
	p->len += 4;
}

uint16_t pkt_untag(struct pkt *p)
{
	uint8_t *at = pkt_data(p) + 2 * ETH_ALEN;
	uint16_t tci = at[2] << 8 | at[3];

	if (at[0] != ETH_P_8021Q >> 8 || at[1] != (ETH_P_8021Q & 0xff))
		return 0;
	p->len -= 4;
	memmove(at, at + 4, p->len - 2 * ETH_ALEN);
	return tci;
}
