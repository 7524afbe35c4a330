/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual time, see sim.h. */
#include "sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void sim_init(struct sim *s, uint64_t seed, struct instant now)
{
	*s = (struct sim){.now = now, .random = seed * 0x9e3779b97f4a7c15ULL + 1};
	if (!s->random)
		s->random = 1;
	for (int i = 0; i < 8; i++) /* neighbouring seeds part */
		(void)sim_pick(s, 2);
}

void sim_done(struct sim *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->heap[i].bytes);
	free(s->heap);
	*s = (struct sim){0};
}

/* xorshift64* */
uint32_t sim_pick(struct sim *s, uint32_t n)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (uint32_t)((s->random * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

bool sim_chance(struct sim *s, unsigned int percent)
{
	return sim_pick(s, 100) < percent;
}

static bool goes_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->order < b->order;
}

static void push(struct sim *s, const struct sim_event *ev)
{
	size_t at = s->count++;

	if (s->count > s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->heap = realloc(s->heap, s->cap * sizeof(*s->heap));
		assert(s->heap);
	}
	while (at && goes_before(ev, &s->heap[(at - 1) / 2])) {
		s->heap[at] = s->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	s->heap[at] = *ev;
}

static struct sim_event pop(struct sim *s)
{
	struct sim_event first = s->heap[0], last = s->heap[--s->count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < s->count) {
		if (child + 1 < s->count && goes_before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!goes_before(&s->heap[child], &last))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = last;
	return first;
}

void sim_after(struct sim *s, int64_t delay_ns, sim_fn *fn, void *ctx, uint64_t arg,
	       const void *bytes, size_t len)
{
	struct sim_event ev = {
		.at = instant_add(s->now, delay_ns),
		.order = s->order++,
		.fn = fn,
		.ctx = ctx,
		.arg = arg,
		.len = len,
	};

	if (len) {
		ev.bytes = malloc(len);
		assert(ev.bytes);
		memcpy(ev.bytes, bytes, len);
	}
	push(s, &ev);
}

void sim_send(struct sim *s, const struct sim_path *path, struct sim_counts *counts, sim_fn *fn,
	      void *ctx, uint64_t arg, const void *bytes, size_t len)
{
	unsigned int copies = sim_chance(s, path->duplicate) ? 2 : 1;

	counts->sent++;
	counts->duplicated += copies - 1;
	while (copies--) {
		int64_t delay_ns = path->delay_ns;

		if (path->spread_ns)
			delay_ns += sim_pick(s, 1000) * path->spread_ns / 1000;
		if (sim_chance(s, path->loss) || path->cut)
			counts->lost++;
		else
			sim_after(s, delay_ns, fn, ctx, arg, bytes, len);
	}
}

void sim_run(struct sim *s, struct instant end)
{
	while (s->count && s->heap[0].at.ns <= end.ns) {
		struct sim_event ev = pop(s);

		s->now = ev.at;
		ev.fn(ev.ctx, ev.arg, ev.bytes, ev.len);
		free(ev.bytes);
	}
	s->now = end;
}
