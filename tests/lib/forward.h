/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge with remote gateways, for tests of the BPF programs: the world of prog.h, in which domain
 * 9 is to be forwarded to gateway FWD_A, nothing is translated or granted, and the routes of the
 * pools lead back to the client.
 */
#pragma once

#include "prog.h"

#define FWD_PORT 5000

/* Gateways on the server's link, with neighbours; a third one's neighbour is not known. */
enum { FWD_A = 1, FWD_B, FWD_SILENT };

#define FWD_A4 "198.51.100.10"
#define FWD_A6 "2001:db8:2::10"
#define FWD_B4 "198.51.100.11"

extern const uint8_t FWD_MAC_A[ETH_ALEN];
extern const uint8_t FWD_MAC_B[ETH_ALEN];

/* cmocka group setup: namespace, routes, program for native or generic mode; test setup. */
int fwd_enter(void **state);
int fwd_enter_generic(void **state);
int fwd_world(void **state);

/* The verdict of both proxy addresses. */
void fwd_decide(struct prog *t, enum fq_edge_verdict verdict, uint32_t gateway);

/* One protocol over one IP version. */
struct fwd_flow {
	const char *client, *proxy;
	uint8_t proto;
	uint16_t port;
};

#define FWD_FLOWS_COUNT 6

extern const struct fwd_flow FWD_FLOWS[FWD_FLOWS_COUNT];
extern const struct fwd_flow *const FWD_TCP, *const FWD_UDP; /* over IPv4, of these */

#define FWD_ANY ((struct pkt_spec){0})
#define FWD_SYN ((struct pkt_spec){.tcp_flags = 0x02})

/* A packet of the flow, and what leaves the edge: a hop further, with other MAC addresses. */
void fwd_out(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s);
void fwd_out_forwarded(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s,
		       const uint8_t *mac);
void fwd_in(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s);
void fwd_in_forwarded(struct pkt *p, const struct fwd_flow *f, struct pkt_spec s);

/* Send one and compare: it leaves to that MAC address; to the client. */
void fwd_out_to(struct prog *t, const struct fwd_flow *f, struct pkt_spec s, const uint8_t *mac);
void fwd_in_from(struct prog *t, const struct fwd_flow *f, struct pkt_spec s);

/* Send one, without looking at it. */
enum fq_reason fwd_run_out(struct prog *t, const struct fwd_flow *f, uint8_t tcp_flags);
enum fq_reason fwd_run_in(struct prog *t, const struct fwd_flow *f);
enum fq_reason fwd_run_in_by(struct prog *t, const struct fwd_flow *f, enum prog_side side);

/* Key of its out entry. */
struct fq_tuple fwd_key(const struct fwd_flow *f);
