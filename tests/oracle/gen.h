/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generator: steps at random, most of them sensible, some of them not. The same seed makes the
 * same steps as long as the world answers alike.
 */
#pragma once

#include "base/ipaddr.h"
#include "rig.h"

#define GEN_FRAGMENTS 3

struct gen {
	uint32_t rng;
	unsigned int mood; /* of this sequence: how many changes, mutations, strangers */
	const struct gen_opening *opening; /* of the hooks */
	unsigned int opened;
	struct pkt fragment[GEN_FRAGMENTS]; /* of one datagram, yet to be sent */
	unsigned int fragments, fragments_side;
};

void gen_start(struct gen *g, uint32_t seed);

/* The next step of a sequence; looks at the oracle's sessions. */
void gen_step(struct gen *g, const struct rig *b, struct step *ret);

/* gen_bare.c: which hooks; the steps that a sequence begins with. Return: there was one. */
struct gen_opening;
void gen_choose_hooks(struct gen *g);
bool gen_opening_step(struct gen *g, struct step *ret);

/* The frame as it comes by an interface without Ethernet header. */
void gen_bare(struct gen *g, struct pkt *p);

/* gen_packet.c: a frame of some session, or of none. */
void gen_frame(struct gen *g, const struct rig *b, struct step *ret);

/* Texts of addresses live as long as the frame is being built. */
struct gen_texts {
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	uint8_t ext[16];
};

/* What any packet may have. */
void gen_decorate(struct gen *g, struct pkt_spec *s, struct gen_texts *t, bool v6);

/* gen_error.c: an error about a packet of the session. */
void gen_error(struct gen *g, const struct orc_flow *f, struct pkt *ret);

/* gen_tcp.c: numbers and flags of a segment of the session. */
void gen_tcp(struct gen *g, const struct orc_flow *f, enum fq_dir dir, struct pkt_spec *s);

/* gen_mutate.c: damage a frame, more or less carefully. */
void gen_mutate(struct gen *g, struct pkt *p);

/* Make an IPv4 header's checksum right again. */
void gen_repair(struct pkt *p);

/* At random: 0 to @n - 1; true once in @n times. */
uint32_t gen_below(struct gen *g, uint32_t n);
bool gen_once_in(struct gen *g, uint32_t n);
