/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An array that the programs read and this process has mapped, made piece by piece: a map of maps
 * whose elements, arrays themselves, are made when something is to stand there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages {
	int fd;            /* the map of maps; the caller's */
	size_t size;       /* of an element */
	unsigned int bits; /* elements of a page: 2^bits */
	uint32_t count;    /* of pages, at most */
	bool write;
	uint64_t *there; /* a bit for each page that there is; the caller's */
	void **page;
	int kept; /* descriptor of page @kept_page; -1: there is none */
	uint32_t kept_page;
};

/*
 * Map the pages that @there says. All other members but the last three are set by the caller.
 *
 * Return: 0; -ENOMEM; errors of the kernel. To be closed in any case.
 */
int pages_open(struct pages *p);
void pages_close(struct pages *p);

/* An element; NULL: its page is not there, or there can be none. */
void *pages_at(const struct pages *p, uint64_t index);

/*
 * The same, with its page made if need be, which takes as long as a grace period.
 *
 * Return: 0; -E2BIG: there can be none; -ENOMEM; errors of the kernel.
 */
int pages_get(struct pages *p, uint64_t index, void *ret_element);

/* Wait until no program uses what it has found in them before: the kernel does, see grace.c. */
int pages_wait(const struct pages *p);
