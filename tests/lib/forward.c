/* SPDX-License-Identifier: BSD-2-Clause */
/* An edge with remote gateways; see forward.h. */
#include "forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "fqdnat.skel.h" /* needs the types of prog.h */

#define FWD_MACA "02:00:00:00:0a:01"
#define FWD_MACB "02:00:00:00:0b:01"

const uint8_t FWD_MAC_A[ETH_ALEN] = {2, 0, 0, 0, 0x0a, 1};
const uint8_t FWD_MAC_B[ETH_ALEN] = {2, 0, 0, 0, 0x0b, 1};

/* The pools' routes lead back to the client. */
static const char *const ROUTES[] = {
	"ip neigh replace " FWD_A4 " lladdr " FWD_MACA " dev sv nud permanent",
	"ip neigh replace " FWD_A6 " lladdr " FWD_MACA " dev sv nud permanent",
	"ip neigh replace " FWD_B4 " lladdr " FWD_MACB " dev sv nud permanent",
	"ip route add 100.96.0.0/11 via " CLIENT4,
	"ip -6 route add fd00:2021:1111:8000::/107 via " CLIENT6,
};

static int enter(void **state, bool generic)
{
	int r = generic ? prog_group_setup_generic(state) : prog_group_setup(state);

	for (size_t i = 0; r == 0 && i < sizeof(ROUTES) / sizeof(ROUTES[0]); i++)
		r = system(ROUTES[i]);
	return r;
}

int fwd_enter(void **state)
{
	return enter(state, false);
}

int fwd_enter_generic(void **state)
{
	return enter(state, true);
}

void fwd_decide(struct prog *t, enum fq_edge_verdict verdict, uint32_t gateway)
{
	prog_edge_to(t, PROXY4, verdict, gateway);
	prog_edge_to(t, PROXY6, verdict, gateway);
}

/* What the gateways ask about is not asked here: no translation, no grant. */
int fwd_world(void **state)
{
	const struct fq_xlat_key key4 = {.proxy = prog_addr(PROXY4)};
	const struct fq_xlat_key key6 = {.proxy = prog_addr(PROXY6)};
	struct prog *t = *state;

	prog_reset(t);
	prog_put_xlat(t, &key4, NULL);
	prog_put_xlat(t, &key6, NULL);
	prog_revoke(t, CLIENT, RESOURCE);
	prog_gateway(t, FWD_A, FWD_A4, true);
	prog_gateway(t, FWD_B, FWD_B4, true);
	prog_gateway(t, FWD_SILENT, SILENT4, true);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_A);
	return 0;
}

/* ---- packets ---- */

const struct fwd_flow FWD_FLOWS[FWD_FLOWS_COUNT] = {
	{CLIENT4, PROXY4, PKT_TCP, 443}, {CLIENT4, PROXY4, PKT_UDP, 53},
	{CLIENT4, PROXY4, PKT_ICMP, 0},  {CLIENT6, PROXY6, PKT_TCP, 443},
	{CLIENT6, PROXY6, PKT_UDP, 53},  {CLIENT6, PROXY6, PKT_ICMP, 0},
};

const struct fwd_flow *const FWD_TCP = &FWD_FLOWS[0];
const struct fwd_flow *const FWD_UDP = &FWD_FLOWS[1];

void fwd_out(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->client;
	s.dst = f->proxy;
	s.sport = FWD_PORT;
	s.dport = f->port;
	pkt_build(p, &s);
}

/* The same packet behind the edge: a hop further, with other MAC addresses. */
void fwd_out_forwarded(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s,
		       const uint8_t *mac)
{
	s.ttl = (s.ttl ? s.ttl : 64) - 1;
	s.dmac = mac;
	s.smac = PKT_MAC_GW_SERVER;
	fwd_out(p, f, s);
}

void fwd_in(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s)
{
	s.proto = f->proto;
	s.src = f->proxy;
	s.dst = f->client;
	s.sport = f->proto == PKT_ICMP ? FWD_PORT : f->port;
	s.dport = FWD_PORT;
	s.reply = true;
	s.dmac = s.dmac ? s.dmac : PKT_MAC_GW_SERVER;
	s.smac = s.smac ? s.smac : FWD_MAC_A;
	pkt_build(p, &s);
}

void fwd_in_forwarded(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s)
{
	s.ttl = (s.ttl ? s.ttl : 64) - 1;
	s.dmac = PKT_MAC_CLIENT;
	s.smac = PKT_MAC_GW_CLIENT;
	fwd_in(p, f, s);
}

void fwd_out_to(struct prog *t, const struct fwd_flow *f, struct pkt_spec s, const uint8_t *mac)
{
	struct pkt in, expected;

	fwd_out(&in, f, s);
	fwd_out_forwarded(&expected, f, s, mac);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_FORWARDED, &expected);
}

void fwd_in_from(struct prog *t, const struct fwd_flow *f, struct pkt_spec s)
{
	struct pkt in, expected;

	fwd_in(&in, f, s);
	fwd_in_forwarded(&expected, f, s);
	prog_expect(t, &in, SERVER_SIDE, FQ_R_FORWARDED, &expected);
}

enum fq_reason fwd_run_out(struct prog *t, const struct fwd_flow *f, uint8_t tcp_flags)
{
	struct prog_result res;
	struct pkt p;

	fwd_out(&p, f, (struct pkt_spec){.tcp_flags = tcp_flags});
	prog_run(t, &p, CLIENT_SIDE, &res);
	return res.reason;
}

enum fq_reason fwd_run_in_by(struct prog *t, const struct fwd_flow *f, enum prog_side side)
{
	struct prog_result res;
	struct pkt p;

	fwd_in(&p, f, (struct pkt_spec){0});
	prog_run(t, &p, side, &res);
	return res.reason;
}

enum fq_reason fwd_run_in(struct prog *t, const struct fwd_flow *f)
{
	return fwd_run_in_by(t, f, SERVER_SIDE);
}

struct fq_tuple fwd_key(const struct fwd_flow *f)
{
	uint8_t proto = f->proto == PKT_ICMP && strchr(f->client, ':') ? 58 : f->proto;

	return prog_tuple(proto, f->client, FWD_PORT, f->proxy, f->proto == PKT_TCP ? f->port : 0);
}
