/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The test rig of the oracle: one world described once, told to the programs by their maps and to
 * the oracle as it is, and frames that go through both.
 *
 * What happens is a list of steps, of frames and of changes of the world, so that a disagreement
 * can be made shorter, kept in a file (fixtures/) and replayed.
 */
#pragma once

#include <stdio.h>

#include "../lib/prog.h"
#include "oracle.h"

#define STEP_ARGS 5
#define STEPS_MAX 160

enum step_op {
	STEP_FRAME,
	STEP_CLIENT,
	STEP_GRANT,
	STEP_FILTER,
	STEP_XLAT,
	STEP_EDGE,
	STEP_GATEWAY,
	STEP_QUOTA,
	STEP_SCOPE,
	STEP_LIMIT,
	STEP_MAC,
	STEP_DEV,
	STEP_TX,
	STEP_POLICY,
	STEP_MONITOR,
	STEP_AGE,
	STEP_EXPIRE,
	STEP_TOMBSTONE,
	STEP_FORWARDING,
	STEP_HOOK,
	STEP_OPS,
};

struct step {
	enum step_op op;
	int arg[STEP_ARGS]; /* see step.c; FRAME: the side */
	int expected;       /* FRAME, of a fixture: enum fq_reason; 0: nothing is said */
	struct pkt frame;
};

struct rig {
	struct prog *t;
	struct orc o;
	unsigned int world;
	uint64_t stats[FQ_REASON_MAX][2]; /* packets and bytes so far */
	uint64_t seen[FQ_REASON_MAX];     /* packets by reason, and events, over all */
	uint64_t frames[ORC_HOOKS];       /* by program */
	uint64_t started;                 /* instant of rig_reset */
	bool clean;                       /* the maps hold what the oracle says, and nothing else */
	char why[400];                    /* of the last disagreement */
	struct pkt got;                   /* the program's output for the last frame */
	struct orc_result said;
};

/* Addresses by number, for generator and steps. */
#define RIG_CLIENTS  7 /* of each family; RIG_BARE is one of them */
#define RIG_PROXIES  5 /* the last one is never assigned */
#define RIG_REALS    7
#define RIG_BARE     6 /* the one that packets without Ethernet header have, see gen_bare.c */
#define RIG_PREFIXES 8
#define RIG_FILTERS  6
#define RIG_GATEWAYS 4 /* ids 1 to 3 */
#define RIG_WORLDS   4

const char *rig_client_addr(bool v6, unsigned int i);
const char *rig_proxy_addr(bool v6, unsigned int i);
const char *rig_real_addr(bool v6, unsigned int i);

/* Load the program with the settings of a world. The namespace is there (prog_enter). */
struct rig *rig_new(unsigned int world);
void rig_free(struct rig *b);

/* A socket of the gateway's own; rig.c has them. */
#define RIG_SOCKETS 4
struct fq_tuple rig_socket_tuple(unsigned int i);

/* What the namespace needs beside prog_enter: neighbours, local sockets. Return: 0; -1. */
int rig_enter(void);

/* Everything as at the beginning: the standard world of that number. */
void rig_reset(struct rig *b);

/* Take a step. Return: false if program and oracle disagree (rig->why). */
bool rig_step(struct rig *b, const struct step *s);

/* rig_state.c: do the entries of a session agree? */
bool rig_compare_flow(struct rig *b, const struct orc_flow *f);

/* Do the entries of all sessions, and the counts, agree? */
bool rig_compare_state(struct rig *b);

/* Note in @b->why what is wrong. Return: false. */
bool rig_disagree(struct rig *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* rig_world.c: a change, to both. */
void rig_change(struct rig *b, const struct step *s);
void rig_world_standard(struct rig *b);

/* No fragment is known any more. */
void rig_forget_datagrams(struct rig *b);

/* Empty the maps of what the oracle knows of: faster than prog_reset. */
void rig_world_clear(struct rig *b);
struct fq_settings rig_settings(unsigned int world);

/* Into a map; @value NULL: out of it. */
struct bpf_map;
void rig_set(const struct bpf_map *map, const void *key, const void *value);

/* rig_time.c */
#define RIG_HOUR_NS 3600000000000ULL
void rig_age(struct rig *b, unsigned int seconds);
void rig_bury(struct rig *b, const struct fq_tuple *in, const struct fq_addr *client);
void rig_expire_nth(struct rig *b, unsigned int n);

/* step.c: a line of text each. Return of step_read: 1; 0 at the end; -1: not understood. */
void step_print(FILE *to, const struct step *s);
int step_read(FILE *from, struct step *ret, unsigned int *line);
const char *step_reason_name(int reason);
