/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about sessions through the loaded program: sessions of all protocols, errors about
 * them from outside and from clients, and what becomes of those.
 */
#pragma once

#include "prog.h"

#define ERR_PORT 40000 /* of the client; NAT ports are others */
#define ERR_PEER 443

/* One protocol over one IP version, the session's addresses, and routers on both sides. */
struct err_flow {
	const char *client, *proxy, *nat, *real, *inside, *outside;
	uint8_t proto;
};

#define ERR_INSIDE4  "192.0.2.77"
#define ERR_INSIDE6  "2001:db8:1::77"
#define ERR_OUTSIDE4 "198.51.100.77"
#define ERR_OUTSIDE6 "2001:db8:2::77"

#define ERR_FLOWS_COUNT 6
extern const struct err_flow ERR_FLOWS[ERR_FLOWS_COUNT];

#define ERR_TCP4 (&ERR_FLOWS[0])
#define ERR_UDP4 (&ERR_FLOWS[1])
#define ERR_UDP6 (&ERR_FLOWS[4])

#define FOR_ERR_FLOWS(f) \
	for (const struct err_flow *f = ERR_FLOWS; f < ERR_FLOWS + ERR_FLOWS_COUNT; f++)

bool err_is_v6(const struct err_flow *f);

/* Keys of the session's entries; it is open. */
struct fq_tuple err_out_key(const struct err_flow *f);
struct fq_tuple err_in_key(struct prog *t, const struct err_flow *f);

/* Open the session. Return: its NAT port or id. */
uint16_t err_open_flow(struct prog *t, const struct err_flow *f);

/*
 * What an error is about, see tests/unit/test_pkt_icmp_xlat.c. @inside: as the client's side knows
 * it, else as the resource's side does.
 */
void err_about(struct pkt *p, const struct err_flow *f, enum fq_dir dir, bool inside, uint16_t nat);

/* An error from outside, as it arrives, and as the client gets it. */
void err_from_outside(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e);
void err_to_client(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e);

/* An error from a client, and as the resource gets it. */
void err_from_client(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e);
void err_to_resource(struct pkt *p, const struct err_flow *f, uint16_t nat, struct pkt_error e);

/* Host unreachable, no route... */
struct pkt_error err_unreachable(const struct err_flow *f);

/* Run it: it is translated. */
void err_expect_in(struct prog *t, const struct err_flow *f, uint16_t nat, struct pkt_error e);
void err_expect_out(struct prog *t, const struct err_flow *f, uint16_t nat, struct pkt_error e);
