/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark's tools, loaded: the programs of bench.bpf.c with their templates, and timed
 * runs of them.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

struct bench_bpf;

/* Set by a signal; whoever loops gives up with -EINTR. */
extern volatile sig_atomic_t bench_stop;

struct rig {
	struct bench_bpf *skel;
};

/*
 * Load the programs.
 *
 * @sessions_fd: session table for the hash_lookup yardstick; stays the caller's
 * @flows_max:   lines of the array_read yardstick
 *
 * Return: 0; negative errno, said on stderr.
 */
int rig_open(struct rig *rig, int sessions_fd, unsigned int flows_max);
void rig_close(struct rig *rig);

/* The program that writes frames of a kind and calls the target. */
int rig_wrapper(const struct rig *rig, enum bench_kind kind);

/* Put a program into the slot that wrappers call. Return: 0; negative errno. */
int rig_target(struct rig *rig, int prog_fd);

/* The next runs draw from @flows flows, at random or one after the other from @first. */
void rig_draw(struct rig *rig, unsigned int flows);
void rig_draw_sequence(struct rig *rig, unsigned int first, unsigned int flows);

/*
 * Run a program @repeat times on a frame of @kind as if it came in on @ifindex of this thread's
 * namespace.
 *
 * @ret_ns:      CPU time of the runs, per run; without other tasks' time
 * @ret_verdict: of the last run
 *
 * Return: 0; negative errno.
 */
int rig_run(int prog_fd, enum bench_kind kind, unsigned int ifindex, unsigned int repeat,
	    double *ret_ns, uint32_t *ret_verdict);

/*
 * Send @packets frames to a path by live frames, from this thread's namespace (the client's).
 *
 * @ifindex: any interface of it
 * @ret_ns:  wall-clock time per packet
 *
 * Return: 0; negative errno.
 */
int rig_send(struct rig *rig, unsigned int path, unsigned int ifindex, unsigned int packets,
	     double *ret_ns);
