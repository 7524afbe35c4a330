/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark's tools, loaded: the programs of bench.bpf.c, and timed runs of them.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "frames.h"

struct bench_bpf;

/* Set by a signal; whoever loops gives up with -EINTR. */
extern volatile sig_atomic_t bench_stop;

struct rig {
	struct bench_bpf *skel;
};

/*
 * Load the programs.
 *
 * @flows_max: lines of the array_read and spread_read yardsticks, entries of the hash_lookup
 * yardstick
 *
 * Return: 0; negative errno, said on stderr.
 */
int rig_open(struct rig *rig, unsigned int flows_max);
void rig_close(struct rig *rig);

/* Put a program into the slot that wrappers call. Return: 0; negative errno. */
int rig_target(struct rig *rig, int prog_fd);

/* The next runs draw from @flows flows, at random or one after the other from @first. */
void rig_draw(struct rig *rig, unsigned int flows);
void rig_draw_sequence(struct rig *rig, unsigned int first, unsigned int flows);

/*
 * Run the program that rig_target() has set @repeat times, each on a newly drawn flow's frame of
 * @kind, as if it came in on @ifindex of this thread's namespace.
 *
 * @ret_ns:      CPU time of the runs, per run, the drawing included; without other tasks' time
 * @ret_verdict: of the last run
 *
 * Return: 0; negative errno.
 */
int rig_run(struct rig *rig, enum frame_kind kind, unsigned int ifindex, unsigned int repeat,
	    double *ret_ns, uint32_t *ret_verdict);

/*
 * Send @packets frames of an outgoing UDP kind to a path by live frames, from this thread's
 * namespace (the client's).
 *
 * @ifindex: any interface of it
 * @ret_ns:  wall-clock time
 *
 * Return: 0; negative errno.
 */
int rig_send(struct rig *rig, enum frame_kind kind, unsigned int path, unsigned int ifindex,
	     unsigned int packets, double *ret_ns);
