/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about sessions, with what is quoted cut short or not; see gen.h.
 */
#include <string.h>

#include "base/ipaddr.h"
#include "gen.h"

/* RFC 4884: a length of the quoted packet, which need not be true; the sums are right again. */
static void say_length(struct gen *g, struct pkt *p, bool v6)
{
	uint8_t *icmp = pkt_data(p) + PKT_L3 + (v6 ? 40 : 20);
	uint8_t from[2], to[2];

	from[0] = to[0] = icmp[4];
	from[1] = to[1] = icmp[5];
	to[!v6] = gen_below(g, v6 ? 40 : 80);
	orc_put16(icmp + 2, orc_checksum_update(orc_get16(icmp + 2), from, to, 2));
	icmp[4] = to[0];
	icmp[5] = to[1];
}

/* A quoted IPv6 packet that says that it was as long as can be. */
static void say_huge(struct gen *g, struct pkt *p)
{
	uint8_t *icmp = pkt_data(p) + PKT_L3 + 40, to[2];

	orc_put16(to, 65535 - gen_below(g, 50));
	orc_put16(icmp + 2, orc_checksum_update(orc_get16(icmp + 2), icmp + 12, to, 2));
	memcpy(icmp + 12, to, 2);
}

/* A packet of the session as one of its ends sees it; once in a while a datagram's first part. */
static void quoted(struct gen *g, const struct orc_flow *f, bool out, bool v6, struct pkt *ret)
{
	struct pkt_spec s = {0};
	struct pkt whole;
	struct gen_texts t;

	s.proto = f->proto[0] == 58 || f->proto[0] == 1 ? PKT_ICMP : f->proto[0];
	s.src = ipaddr_format(out ? &f->nat : &f->proxy, t.src);
	s.dst = ipaddr_format(out ? &f->real : &f->client, t.dst);
	s.sport = out ? f->nat_port : f->peer_port;
	s.dport = out ? f->peer_port : f->client_port;
	if (s.proto == PKT_ICMP) {
		s.sport = out ? f->nat_port : f->client_port;
		s.reply = !out;
	}
	gen_decorate(g, &s, &t, v6);
	pkt_build(ret, &s);
	if (!gen_once_in(g, 8))
		return;
	whole = *ret;
	pkt_fragment(ret, &whole, 0, 8 + 8 * gen_below(g, 8), gen_below(g, 1 << 20));
}

/* How much is quoted: as the RFCs allow (0), hardly enough, or more than allowed. */
static size_t pick_quote(struct gen *g, const struct pkt *about, bool v6)
{
	size_t least = v6 ? 40 : 20, len = pkt_l3_len(about);

	if (gen_once_in(g, 3))
		return least + 6 + gen_below(g, 40);
	return gen_once_in(g, 3) ? (len < 2000 ? len : 2000) : 0;
}

void gen_error(struct gen *g, const struct orc_flow *f, struct pkt *ret)
{
	static const uint8_t types4[] = {3, 3, 3, 11, 12, 4, 5}, types6[] = {1, 1, 2, 3, 4, 100};
	bool out = gen_once_in(g, 2), v6 = !orc_v4(out ? &f->nat : &f->client);
	bool pointer = gen_once_in(g, 2);
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	struct pkt about;

	/* What went in that direction comes back: the sender of the error is beyond. */
	quoted(g, f, out, v6, &about);
	ipaddr_format(out ? &f->nat : &f->proxy, dst);
	ipaddr_format(out ? &f->real : &f->client, src);
	pkt_build_error(ret,
			&(struct pkt_error){
				.src = gen_once_in(g, 2) ? src
				       : v6              ? "2001:db8:2::fe"
							 : "198.51.100.254",
				.dst = dst,
				.type = v6 ? types6[gen_below(g, 6)] : types4[gen_below(g, 7)],
				.code = gen_below(g, gen_once_in(g, 2) ? 3 : 17),
				.mtu = gen_once_in(g, 4) ? 0 : gen_below(g, pointer ? 44 : 2000),
				.word = !v6 && pointer ? gen_below(g, 24) << 8 : 0,
				.quote = pick_quote(g, &about, v6),
				.extensions = gen_once_in(g, 6) ? 4 + gen_below(g, 100) : 0,
				.dmac = out ? PKT_MAC_GW_SERVER : PKT_MAC_GW_CLIENT,
				.smac = out ? PKT_MAC_SERVER : PKT_MAC_CLIENT,
			},
			&about);
	if (gen_once_in(g, 4))
		say_length(g, ret, v6);
	if (v6 && gen_once_in(g, 30))
		say_huge(g, ret);
	if (!v6 && gen_once_in(g, 3))
		pkt_data(ret)[PKT_L3 + 6] = 0; /* no DF */
	if (gen_once_in(g, 8))
		pkt_data(ret)[PKT_L3 + (v6 ? 7 : 8)] = gen_below(g, 4);
	gen_repair(ret);
}
