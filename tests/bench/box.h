/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object under test, loaded without the daemon: one client, one resource, and
 * translations for BENCH_PROXIES proxy addresses of each kind (44, 66, 46, 64), NAT to a given
 * address, so that ports are kept and replies can be foretold (plan.h).
 */
#pragma once

#include <stdint.h>

#include <fqdnat/reason.h>

#include "dataplane/proxies.h"
#include "frames.h"

#define BOX_CLIENT4 "192.0.2.2"
#define BOX_CLIENT6 "2001:db8:1::2"
#define BOX_NAT4    "198.51.100.1"
#define BOX_NAT6    "2001:db8:2::1"
#define BOX_GATEWAY "10.64.12.1" /* elsewhere: packets to BENCH_FAR4 go there as they are */

/*
 * That the table is made for, unless more are needed. With a million in one for as many, one run in
 * some dozens has a session refused (docs/session-table.md), and there is no figure.
 */
#define BOX_SESSIONS 1179648

struct fqdnat_bpf;
struct rig;

struct box {
	struct fqdnat_bpf *skel;
	struct proxies *proxies;
	struct proxy_usage proxy_usage;
	unsigned int lan, wan; /* interfaces in the gateway's namespace */
	unsigned int opened;   /* flows with a session */
	unsigned int room;     /* sessions that the table is made for */
};

/* The sessions that a box for so many flows has room for. */
unsigned int box_room(unsigned int flows_max);

/*
 * Load and configure; this thread must be in the gateway's namespace.
 *
 * @flows_max: most flows that will be opened
 *
 * Return: 0; negative errno, said on stderr.
 */
int box_open(struct box *box, unsigned int lan, unsigned int wan, unsigned int flows_max);
void box_close(struct box *box);

int box_prog_fd(const struct box *box);

/* Bytes that the kernel charges for all maps whose size is that of the session table. */
double box_sessions_memory(const struct box *box);

/*
 * Make sessions of flows that have none yet, up to number @flows - 1, by running the program with
 * the first packet of each.
 *
 * @kind:   of that packet
 * @ret_ns: time per packet, as rig_run() has it; 0 if there were all
 *
 * Return: 0; -EPROTO if the table does not hold exactly these flows afterwards; negative errno.
 */
int box_open_flows(struct box *box, struct rig *rig, enum frame_kind kind, unsigned int flows,
		   double *ret_ns);

/* Open sessions, and packets that ended in a way, as the object counts them. */
unsigned int box_sessions(const struct box *box);
uint64_t box_count(const struct box *box, enum fq_reason reason);

/* Print the reason counters that are not zero: why something is not as expected. */
void box_explain(const struct box *box);
