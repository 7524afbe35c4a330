/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about sessions; see err_flow.h.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "err_flow.h"

const struct err_flow ERR_FLOWS[ERR_FLOWS_COUNT] = {
	{CLIENT4, PROXY4, GW4, SERVER4, ERR_INSIDE4, ERR_OUTSIDE4, PKT_TCP},
	{CLIENT4, PROXY4, GW4, SERVER4, ERR_INSIDE4, ERR_OUTSIDE4, PKT_UDP},
	{CLIENT4, PROXY4, GW4, SERVER4, ERR_INSIDE4, ERR_OUTSIDE4, PKT_ICMP},
	{CLIENT6, PROXY6, GW6, SERVER6, ERR_INSIDE6, ERR_OUTSIDE6, PKT_TCP},
	{CLIENT6, PROXY6, GW6, SERVER6, ERR_INSIDE6, ERR_OUTSIDE6, PKT_UDP},
	{CLIENT6, PROXY6, GW6, SERVER6, ERR_INSIDE6, ERR_OUTSIDE6, PKT_ICMP},
};

bool err_is_v6(const struct err_flow *f)
{
	return strchr(f->client, ':') != NULL;
}

/* ---- packets ---- */

struct fq_tuple err_out_key(const struct err_flow *f)
{
	uint8_t proto = f->proto == PKT_ICMP && err_is_v6(f) ? 58 : f->proto;

	return prog_tuple(proto, f->client, ERR_PORT, f->proxy, f->proto == PKT_TCP ? ERR_PEER : 0);
}

struct fq_tuple err_in_key(struct prog *t, const struct err_flow *f)
{
	const struct fq_tuple key = err_out_key(f);
	const struct session_entry s = prog_session(t, &key);

	return prog_partner(&key, &s);
}

/* Ids of echo requests differ, too: somebody else has the client's. */
uint16_t err_open_flow(struct prog *t, const struct err_flow *f)
{
	const struct fq_tuple key = err_out_key(f);
	struct prog_result res;
	struct pkt p;

	if (f->proto == PKT_ICMP) {
		PKT(&p, .src = f->inside, .dst = f->proxy, .proto = PKT_ICMP, .sport = ERR_PORT);
		prog_run(t, &p, CLIENT_SIDE, &res);
	}
	PKT(&p, .src = f->client, .dst = f->proxy, .proto = f->proto, .sport = ERR_PORT,
	    .dport = ERR_PEER);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_true(res.reason == FQ_R_TRANSLATED || res.reason == FQ_R_TRANSLATED_SLOW);
	return ntohs(prog_session(t, &key).port);
}

void err_about(struct pkt *p, const struct err_flow *f, enum fq_dir dir, bool inside, uint16_t nat)
{
	static const uint8_t payload[40] = "a few bytes";
	const char *us = inside ? f->client : f->nat, *peer = inside ? f->proxy : f->real;
	uint16_t port = inside ? ERR_PORT : nat;
	bool in = dir == FQ_DIR_IN;

	PKT(p, .src = in ? us : peer, .dst = in ? peer : us, .proto = f->proto,
	    .sport = in || f->proto == PKT_ICMP ? port : ERR_PEER, .dport = in ? ERR_PEER : port,
	    .reply = !in, .payload = payload, .payload_len = sizeof(payload) - 1);
}

void err_from_outside(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	err_about(&quoted, f, FQ_DIR_IN, false, nat);
	e.src = e.src ? e.src : f->outside;
	e.dst = e.dst ? e.dst : f->nat;
	e.dmac = PKT_MAC_GW_SERVER;
	e.smac = PKT_MAC_SERVER;
	pkt_build_error(p, &e, &quoted);
}

void err_to_client(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	err_about(&quoted, f, FQ_DIR_IN, true, nat);
	e.src = e.src ? e.src : f->proxy;
	e.dst = f->client;
	e.ttl = (e.ttl ? e.ttl : 64) - 1;
	e.dmac = PKT_MAC_CLIENT;
	e.smac = PKT_MAC_GW_CLIENT;
	pkt_build_error(p, &e, &quoted);
}

void err_from_client(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	err_about(&quoted, f, FQ_DIR_OUT, true, nat);
	e.src = e.src ? e.src : f->client;
	e.dst = e.dst ? e.dst : f->proxy;
	e.dmac = PKT_MAC_GW_CLIENT;
	e.smac = PKT_MAC_CLIENT;
	pkt_build_error(p, &e, &quoted);
}

void err_to_resource(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	err_about(&quoted, f, FQ_DIR_OUT, false, nat);
	e.src = f->nat;
	e.dst = f->real;
	e.ttl = (e.ttl ? e.ttl : 64) - 1;
	e.dmac = PKT_MAC_SERVER;
	e.smac = PKT_MAC_GW_SERVER;
	pkt_build_error(p, &e, &quoted);
}

struct pkt_error err_unreachable(const struct err_flow *f)
{
	return (struct pkt_error){.type = err_is_v6(f) ? 1 : 3, .code = 1};
}

void err_expect_in(struct prog *t, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt p, expected;

	err_from_outside(&p, f, nat, e);
	e.src = NULL;
	err_to_client(&expected, f, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}

void err_expect_out(struct prog *t, const struct err_flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt p, expected;

	err_from_client(&p, f, nat, e);
	err_to_resource(&expected, f, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}
