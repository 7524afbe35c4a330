/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets whose sender and receiver have different IP versions, through the loaded programs: what
 * is sent, and what becomes of it.
 */
#pragma once

#include "prog.h"

#define CROSS_PORT 5000
#define CROSS_PEER 53

/* A client of one version, and a resource that has the other one. */
struct cross_way {
	const char *client, *proxy, *nat, *server, *silent, *narrow;
	bool v6; /* the client */
};

extern const struct cross_way CROSS_46, CROSS_64;
extern const struct cross_way *const CROSS_WAYS[2];

/* Both, or one proxy address, mean a resource of the other version. */
void cross_all(struct prog *t);
void cross_means(struct prog *t, const struct cross_way *w, const char *real);

/* From the client, or from the resource; what becomes of it. */
void cross_out(struct pkt *p, struct pkt *expected, const struct cross_way *w, struct pkt_spec s);
void cross_in(struct pkt *p, struct pkt *expected, const struct cross_way *w, struct pkt_spec s);

/* An IPv4 packet that may be fragmented has an identification of its own: take it over. */
void cross_adopt_id(struct pkt *expected, const struct pkt *got);

/* Run it: it is translated. */
void cross_expect(struct prog *t, const struct pkt *in, enum prog_side side, struct pkt *expected);
void cross_out_and_in(struct prog *t, const struct cross_way *w, struct pkt_spec s);
