/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines in a binary heap, see timers.h. */
#include "core/timers.h"

#include <errno.h>
#include <stdlib.h>

int timers_reserve(struct timers *timers, size_t n)
{
	size_t room = timers->room ? timers->room : 64;
	struct timer **heap;

	if (n < timers->room)
		return 0;
	while (room <= n)
		room *= 2;
	heap = reallocarray(timers->heap, room, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

void timers_done(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}

static void put(struct timers *timers, size_t slot, struct timer *timer)
{
	timers->heap[slot] = timer;
	timer->slot = slot;
}

/* Move the timer towards the top while it is earlier than what is above. */
static void sift_up(struct timers *timers, struct timer *timer, size_t slot)
{
	while (slot > 1 && timers->heap[slot / 2]->at.ns > timer->at.ns) {
		put(timers, slot, timers->heap[slot / 2]);
		slot /= 2;
	}
	put(timers, slot, timer);
}

/* Move it towards the bottom while something below is earlier. */
static void sift_down(struct timers *timers, struct timer *timer, size_t slot)
{
	for (size_t child = 2 * slot; child <= timers->count; child = 2 * slot) {
		if (child < timers->count &&
		    timers->heap[child + 1]->at.ns < timers->heap[child]->at.ns)
			child++;
		if (timers->heap[child]->at.ns >= timer->at.ns)
			break;
		put(timers, slot, timers->heap[child]);
		slot = child;
	}
	put(timers, slot, timer);
}

void timer_set(struct timers *timers, struct timer *timer, struct instant at)
{
	size_t slot = timer->slot ? timer->slot : ++timers->count;

	timer->at = at;
	sift_up(timers, timer, slot);
	sift_down(timers, timer, timer->slot);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	size_t slot = timer->slot;
	struct timer *last;

	if (!slot)
		return;
	timer->slot = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	sift_up(timers, last, slot);
	sift_down(timers, last, last->slot);
}

struct instant timers_next(const struct timers *timers)
{
	return timers->count ? timers->heap[1]->at : INSTANT_NEVER;
}

struct timer *timers_take(struct timers *timers, struct instant now)
{
	struct timer *first = timers->count ? timers->heap[1] : NULL;

	if (!first || !instant_reached(first->at, now))
		return NULL;
	timer_stop(timers, first);
	return first;
}
