/* SPDX-License-Identifier: BSD-2-Clause */
/* Elements in use and free ones, see elements.h. */
#include "dataplane/elements.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define WAIT_FOR 1024 /* so many are waited for at once, as long as there are others */

static int list_add(struct index_list *l, uint32_t index)
{
	if (l->count == l->room) {
		uint32_t room = l->room ? 2 * l->room : 256;
		uint32_t *more = reallocarray(l->index, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->index = more;
		l->room = room;
	}
	l->index[l->count++] = index;
	return 0;
}

/* A grace period: no program knows any more what has been given back. */
static int wait_for_left(struct elements *e)
{
	struct index_list none = e->free;
	int r = pages_wait(&e->pages);

	if (r < 0)
		return r;
	e->free = e->left;
	e->left = none;
	return 0;
}

static uint64_t elements_max(const struct elements *e)
{
	return (uint64_t)e->pages.count << e->pages.bits;
}

int elements_take(struct elements *e, bool beyond_limit, uint32_t *ret_index)
{
	bool any = e->fresh < elements_max(e);
	void *memory;
	int r = 0;

	if (!beyond_limit && *e->used >= *e->max)
		return -E2BIG;
	if (!e->free.count && e->left.count && (e->left.count >= WAIT_FOR || !any))
		r = wait_for_left(e);
	if (r < 0)
		return r;
	if (e->free.count) {
		*ret_index = e->free.index[--e->free.count];
	} else {
		r = any ? pages_get(&e->pages, e->fresh, &memory) : -E2BIG;
		if (r < 0)
			return r;
		*ret_index = e->fresh++;
	}
	++*e->used;
	elements_keep(e, *ret_index);
	return 0;
}

void elements_give(struct elements *e, uint32_t index)
{
	/* Without memory it stays out of use until the next process finds it free. */
	(void)list_add(&e->left, index);
	--*e->used;
}

int elements_found(struct elements *e, uint32_t index)
{
	if (!pages_at(&e->pages, index))
		return -ENOENT;
	if (index >= e->stale_end) {
		uint32_t end = (index | 0xffff) + 1;
		uint8_t *more = realloc(e->stale, end);

		if (!more)
			return -ENOMEM;
		memset(more + e->stale_end, 0, end - e->stale_end);
		e->stale = more;
		e->stale_end = end;
	}
	if (e->stale[index])
		return -ENOENT;
	e->stale[index] = 1;
	++*e->used;
	if (index >= e->fresh)
		e->fresh = index + 1;
	return 0;
}

int elements_ready(struct elements *e)
{
	int r = 0;

	for (uint32_t i = 1; i < e->fresh && r == 0; i++)
		if (!e->stale[i])
			r = list_add(&e->left, i);
	elements_end(e);
	return r;
}

int elements_begin(struct elements *e)
{
	elements_end(e);
	e->stale = malloc(e->fresh);
	if (!e->stale)
		return -ENOMEM;
	memset(e->stale, 1, e->fresh);
	e->stale_end = e->fresh;
	return 0;
}

void elements_keep(struct elements *e, uint32_t index)
{
	if (index < e->stale_end)
		e->stale[index] = 0;
}

bool elements_is_stale(const struct elements *e, uint32_t index)
{
	return index < e->stale_end && e->stale[index];
}

void elements_end(struct elements *e)
{
	free(TAKE_PTR(e->stale));
	e->stale_end = 0;
}

void elements_close(struct elements *e)
{
	pages_close(&e->pages);
	free(e->free.index);
	free(e->left.index);
	elements_end(e);
}
