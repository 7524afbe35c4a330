/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which programs a sequence goes through; packets without Ethernet header; see gen.h.
 *
 * BPF_PROG_TEST_RUN takes the first 14 bytes of every packet for an Ethernet header, and says of it
 * what would be true then: its protocol is what bytes 12 and 13 say, and if the first one is odd,
 * it was sent to a group. An IP packet whose source address begins with 8.0 (0x0800), or has 86dd
 * in its third word, has the right protocol; and an IPv4 header of an even number of words is for
 * one host. There are a client and a resource with such addresses.
 */
#include <string.h>

#include "gen.h"

struct gen_opening {
	enum orc_hook hook[ORC_SIDES];
};

static const struct gen_opening OPENINGS[] = {
	{{ORC_NATIVE, ORC_NATIVE}},  {{ORC_NATIVE, ORC_NATIVE}}, {{ORC_GENERIC, ORC_GENERIC}},
	{{ORC_INJECT, ORC_INJECT}},  {{ORC_TC, ORC_TC}},         {{ORC_TC, ORC_TC}},
	{{ORC_TC_BARE, ORC_TC}},     {{ORC_TC, ORC_TC_BARE}},    {{ORC_TC_BARE, ORC_TC_BARE}},
	{{ORC_TC_BARE, ORC_NATIVE}}, {{ORC_NATIVE, ORC_TC}},     {{ORC_TC, ORC_GENERIC}},
};

#define N_OPENINGS (sizeof(OPENINGS) / sizeof(OPENINGS[0]))
#define N_PROXIES  4 /* that get a resource of the right address */

void gen_choose_hooks(struct gen *g)
{
	g->opening = &OPENINGS[gen_below(g, N_OPENINGS)];
	g->opened = 0;
}

bool gen_opening_step(struct gen *g, struct step *ret)
{
	unsigned int n = g->opened++, proxy = (n - ORC_SIDES) / 2;

	if (n < ORC_SIDES) {
		ret->op = STEP_HOOK;
		ret->arg[0] = n;
		ret->arg[1] = g->opening->hook[n];
		return true;
	}
	if (g->opening->hook[SERVER_SIDE] != ORC_TC_BARE || proxy >= N_PROXIES)
		return false;
	ret->op = STEP_XLAT;
	ret->arg[1] = n % 2; /* IPv6 */
	ret->arg[2] = proxy;
	/* The last one: into the other version. */
	ret->arg[3] = 2 + RIG_BARE + (proxy == N_PROXIES - 1 ? RIG_REALS : 0);
	ret->arg[4] = 1;
	return true;
}

/* An option that says nothing, so that the header's length is even. */
static void make_even(struct pkt *p)
{
	uint8_t *ip = pkt_data(p);

	if (p->len < 20 || p->len + 4 > PKT_CAP || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 ||
	    !(ip[0] & 1) || (ip[0] & 15) == 15)
		return;
	memmove(ip + 24, ip + 20, p->len - 20);
	memset(ip + 20, 1, 4);
	p->len += 4;
	ip[0]++; /* the first two words' sum grows by 0x0104 */
	orc_put16(ip + 2, orc_get16(ip + 2) + 4);
	orc_put16(ip + 10, orc_checksum_update(orc_get16(ip + 10), (uint8_t[6]){0},
					       (uint8_t[]){1, 4, 1, 1, 1, 1}, 6));
}

void gen_bare(struct gen *g, struct pkt *p)
{
	if (p->len < ETH_HLEN + ETH_HLEN + 1) /* the kernel runs nothing shorter */
		return;
	p->len -= ETH_HLEN;
	memmove(pkt_data(p), pkt_data(p) + ETH_HLEN, p->len);
	if (!gen_once_in(g, 50))
		make_even(p);
}
