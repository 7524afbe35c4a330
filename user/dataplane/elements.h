/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which elements of an array that the programs read are in use (proxies.c): given out in ascending
 * order; those that were given back, when no program knows them any more.
 */
#pragma once

#include "dataplane/pages.h"

struct index_list {
	uint32_t *index;
	uint32_t count, room;
};

struct elements {
	struct pages pages;
	uint32_t fresh; /* from here on, none has ever been; 0 is nobody's */
	struct index_list free;
	struct index_list left; /* given back, and not waited for yet */
	uint8_t *stale;         /* by element, below stale_end; NULL: nobody is taking over */
	uint32_t stale_end;
	uint64_t *used, *max; /* how many are, and may be, in use */
};

/* Return: 0 with *@ret_index, which is not 0; -E2BIG; -ENOMEM; errors of the kernel. */
int elements_take(struct elements *e, bool beyond_limit, uint32_t *ret_index);

/* To be called when nothing names it any more. */
void elements_give(struct elements *e, uint32_t index);

/*
 * At the beginning, for each element that something names; then elements_ready, once.
 *
 * Return: 0; -ENOENT: it cannot be one, or is somebody else's already; -ENOMEM.
 */
int elements_found(struct elements *e, uint32_t index);
int elements_ready(struct elements *e);

/* Taking over. */
int elements_begin(struct elements *e);
void elements_keep(struct elements *e, uint32_t index);
bool elements_is_stale(const struct elements *e, uint32_t index);
void elements_end(struct elements *e);

void elements_close(struct elements *e);
