/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time as a type. An instant is a point on CLOCK_MONOTONIC; durations are int64_t ..._ns.
 * Pure code is given instants; only the daemon, the CLI and tests read a clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC  1000000000LL

struct instant {
	int64_t ns;
};

#define INSTANT_NEVER ((struct instant){INT64_MAX})

static inline struct instant instant_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct instant){ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec};
}

/* How long the kernel's ticks are, in ns (1 / HZ: that is how its coarse clocks go on). */
static inline uint64_t clock_tick_ns(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) < 0)
		return 0;
	return (uint64_t)(ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec);
}

static inline struct instant instant_add(struct instant t, int64_t ns)
{
	int64_t sum;

	if (__builtin_add_overflow(t.ns, ns, &sum))
		return ns < 0 ? (struct instant){INT64_MIN} : INSTANT_NEVER;
	return (struct instant){sum};
}

static inline int64_t instant_sub(struct instant a, struct instant b)
{
	return a.ns - b.ns;
}

static inline bool instant_reached(struct instant deadline, struct instant now)
{
	return now.ns >= deadline.ns;
}

static inline struct instant instant_min(struct instant a, struct instant b)
{
	return a.ns < b.ns ? a : b;
}
