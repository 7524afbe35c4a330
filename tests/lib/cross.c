/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets between IPv4 and IPv6; see cross.h.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "cross.h"

const struct cross_way CROSS_46 = {CLIENT4, PROXY4, GW6, SERVER6, SILENT6, NARROW6, false},
		       CROSS_64 = {CLIENT6, PROXY6, GW4, SERVER4, SILENT4, NARROW4, true};

const struct cross_way *const CROSS_WAYS[2] = {&CROSS_46, &CROSS_64};

void cross_means(struct prog *t, const struct cross_way *w, const char *real)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, w->proxy, real, DOMAIN, &resource, 1);
}

void cross_all(struct prog *t)
{
	cross_means(t, &CROSS_46, SERVER6);
	cross_means(t, &CROSS_64, SERVER4);
}

/* What has been IPv6 may be fragmented if it is short (RFC 7915 5.1). */
static void build_short(struct pkt *p, struct pkt_spec *s)
{
	pkt_build(p, s);
	s->no_df = pkt_l3_len(p) <= 1260;
	pkt_build(p, s);
}

void cross_out(struct pkt *p, struct pkt *expected, const struct cross_way *w, struct pkt_spec s)
{
	s.src = w->client;
	s.dst = w->proxy;
	s.sport = s.sport ? s.sport : CROSS_PORT;
	s.dport = s.proto == PKT_ICMP ? 0 : CROSS_PEER;
	s.ttl = s.ttl ? s.ttl : 64;
	pkt_build(p, &s);
	s.src = w->nat;
	s.dst = w->server;
	s.ttl--;
	s.flow_label = 0;
	s.no_df = true;
	s.options_len = s.ext_len = 0;
	s.dmac = PKT_MAC_SERVER;
	s.smac = PKT_MAC_GW_SERVER;
	s.csum = s.csum == PKT_CSUM_ZERO && w->v6 ? PKT_CSUM_ZERO : PKT_CSUM_FULL;
	build_short(expected, &s);
}

void cross_in(struct pkt *p, struct pkt *expected, const struct cross_way *w, struct pkt_spec s)
{
	bool icmp = s.proto == PKT_ICMP;

	s.reply = true;
	s.src = w->server;
	s.dst = w->nat;
	s.sport = icmp ? CROSS_PORT : CROSS_PEER;
	s.dport = icmp ? 0 : CROSS_PORT;
	s.ttl = s.ttl ? s.ttl : 64;
	s.dmac = PKT_MAC_GW_SERVER;
	s.smac = PKT_MAC_SERVER;
	pkt_build(p, &s);
	s.src = w->proxy;
	s.dst = w->client;
	s.ttl--;
	s.flow_label = 0;
	s.no_df = true;
	s.dmac = PKT_MAC_CLIENT;
	s.smac = PKT_MAC_GW_CLIENT;
	s.csum = s.csum == PKT_CSUM_ZERO && !w->v6 ? PKT_CSUM_ZERO : PKT_CSUM_FULL;
	build_short(expected, &s);
}

void cross_adopt_id(struct pkt *expected, const struct pkt *got)
{
	uint8_t *ip = pkt_data(expected) + PKT_L3;

	if (ip[0] >> 4 != 4 || (ip[6] & 0x40))
		return;
	memcpy(ip + 4, pkt_data(got) + PKT_L3 + 4, 2);
	memset(ip + 10, 0, 2);
	*(uint16_t *)(ip + 10) = htons(pkt_checksum(ip, 20, 0));
}

void cross_expect(struct prog *t, const struct pkt *in, enum prog_side side, struct pkt *expected)
{
	struct prog_result res;

	prog_run(t, in, side, &res);

	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	cross_adopt_id(expected, &res.out);
	pkt_assert_equal(&res.out, expected);
	assert_int_equal(res.count[FQ_R_TRANSLATED].bytes, pkt_l3_len(in));
}

void cross_out_and_in(struct prog *t, const struct cross_way *w, struct pkt_spec s)
{
	struct pkt p, expected;

	cross_out(&p, &expected, w, s);
	cross_expect(t, &p, CLIENT_SIDE, &expected);
	cross_in(&p, &expected, w, s);
	cross_expect(t, &p, SERVER_SIDE, &expected);
}
