/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual time for scenarios: dice, a queue of events, and paths that lose, repeat, delay and so
 * reorder what is sent over them. Everything follows from the seed; nothing reads a clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"

struct sim;

/* An event: @arg and the bytes are as given to sim_after or sim_send. */
typedef void sim_fn(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len);

struct sim_event {
	struct instant at;
	uint64_t order; /* events of one instant happen in the order in which they were made */
	sim_fn *fn;
	void *ctx;
	uint64_t arg;
	size_t len;
	uint8_t *bytes;
};

struct sim_counts {
	unsigned long sent, lost, duplicated;
};

struct sim {
	struct instant now;
	uint64_t random;
	uint64_t order;
	struct sim_event *heap;
	size_t count, cap;
};

/* What happens to a message; each is decided anew for every message. */
struct sim_path {
	unsigned int loss;      /* percent */
	unsigned int duplicate; /* percent */
	int64_t delay_ns;       /* at least ... */
	int64_t spread_ns;      /* ... and up to so much more */
	bool cut;               /* nothing passes */
};

void sim_init(struct sim *s, uint64_t seed, struct instant now);
void sim_done(struct sim *s);

/* A number below @n, which is not 0. */
uint32_t sim_pick(struct sim *s, uint32_t n);

/* True in @percent of 100 cases. */
bool sim_chance(struct sim *s, unsigned int percent);

/* Have @fn called; the bytes are copied. */
void sim_after(struct sim *s, int64_t delay_ns, sim_fn *fn, void *ctx, uint64_t arg,
	       const void *bytes, size_t len);

/* Send bytes over a path: @fn is called never, once or twice. */
void sim_send(struct sim *s, const struct sim_path *path, struct sim_counts *counts, sim_fn *fn,
	      void *ctx, uint64_t arg, const void *bytes, size_t len);

/* Let time pass until @end. */
void sim_run(struct sim *s, struct instant end);
