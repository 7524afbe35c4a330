/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damage: lengths, flags, addresses, checksums, truncation; see gen.h.
 */
#include <string.h>

#include "gen.h"

/* Most damage would end at the IPv4 header's checksum: make that right again. */
void gen_repair(struct pkt *p)
{
	uint8_t *ip = pkt_data(p) + PKT_L3;
	size_t hlen = (ip[0] & 15) * 4;

	if (p->len < PKT_L3 + 20 || ip[0] >> 4 != 4 || p->len < PKT_L3 + hlen || hlen < 20)
		return;
	orc_put16(ip + 10, 0);
	orc_put16(ip + 10, pkt_checksum(ip, hlen, 0));
}

static void any_byte(struct gen *g, struct pkt *p, size_t from, size_t to)
{
	if (to > p->len)
		to = p->len;
	if (from < to)
		pkt_data(p)[from + gen_below(g, to - from)] = gen_below(g, 256);
}

static void one_bit(struct gen *g, struct pkt *p, size_t from, size_t to)
{
	if (to > p->len)
		to = p->len;
	if (from < to)
		pkt_data(p)[from + gen_below(g, to - from)] ^= 1 << gen_below(g, 8);
}

static void length_field(struct gen *g, struct pkt *p)
{
	bool v6 = pkt_data(p)[12] == 0x86;
	size_t at = PKT_L3 + (v6 ? 4 : 2);

	if (p->len < at + 2)
		return;
	if (gen_once_in(g, 2))
		at = PKT_L3 + (v6 ? 44 : 24); /* of UDP, or what stands there */
	if (p->len >= at + 2)
		orc_put16(pkt_data(p) + at, orc_get16(pkt_data(p) + at) + gen_below(g, 33) - 16);
}

static void ethertype(struct gen *g, struct pkt *p)
{
	static const uint16_t types[] = {ETH_P_IP,    ETH_P_IPV6,   ETH_P_ARP,
					 ETH_P_8021Q, ETH_P_8021AD, 0x88cc};

	orc_put16(pkt_data(p) + 12, types[gen_below(g, 6)]);
}

/* Words that sums stumble over. */
static void odd_word(struct gen *g, struct pkt *p)
{
	size_t at = PKT_L3 + 2 * gen_below(g, 40);

	if (p->len >= at + 2)
		orc_put16(pkt_data(p) + at, gen_once_in(g, 2) ? 0 : 0xffff);
}

void gen_mutate(struct gen *g, struct pkt *p)
{
	for (unsigned int n = 1 + gen_below(g, 3); n; n--) {
		switch (gen_below(g, 9)) {
		case 0:
		case 1:
			any_byte(g, p, PKT_L3, PKT_L3 + 60);
			break;
		case 2:
			one_bit(g, p, PKT_L3, PKT_L3 + 100);
			break;
		case 3:
			one_bit(g, p, PKT_L3, p->len);
			break;
		case 4:
			length_field(g, p);
			break;
		case 5:
			p->len = PKT_L3 + gen_below(g, p->len - PKT_L3 + 1);
			break;
		case 6:
			odd_word(g, p);
			break;
		case 7:
			any_byte(g, p, 0, PKT_L3);
			break;
		default:
			ethertype(g, p);
			break;
		}
		if (p->len <= PKT_L3)
			p->len = PKT_L3 + 1;
	}
	if (!gen_once_in(g, 4))
		gen_repair(p);
}
