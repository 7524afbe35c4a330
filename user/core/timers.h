/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many deadlines, the earliest at hand: a binary heap of timers that live in the structs they
 * belong to. Setting and stopping cost O(log n); room is made before, so neither can fail.
 *
 * A timer that is all zero is stopped.
 */
#pragma once

#include <stddef.h>

#include "base/instant.h"

struct timer {
	struct instant at; /* meaningful while it runs */
	size_t slot;       /* in the heap, from 1; 0: stopped */
};

struct timers {
	struct timer **heap; /* heap[0] is unused */
	size_t count, room;
};

/* Room for @n running timers. Return: 0; -ENOMEM. */
int timers_reserve(struct timers *timers, size_t n);

/* Frees the heap, not the timers. */
void timers_done(struct timers *timers);

/* Start or move a timer; at most as many run as there is room for. */
void timer_set(struct timers *timers, struct timer *timer, struct instant at);
void timer_stop(struct timers *timers, struct timer *timer);

/* INSTANT_NEVER: none runs. */
struct instant timers_next(const struct timers *timers);

/* The earliest timer if it is due at @now, stopped; NULL: none is. */
struct timer *timers_take(struct timers *timers, struct instant now);

/* The struct of @type that @timer is the member @member of. */
#define timer_owner(timer, type, member) ((type *)((char *)(timer)-offsetof(type, member)))
