/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ownership in C: cleanup attributes and visible handing over.
 *
 *	_cleanup_(closep) int fd = -1;
 *	_cleanup_(pool_freep) struct pool *p = NULL;
 *	...
 *	*ret_pool = TAKE_PTR(p);
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Define NAMEp(TYPE **) for a function NAME(TYPE *) that accepts NULL. */
#define DEFINE_CLEANUP(type, name)          \
	static inline void name##p(type *p) \
	{                                   \
		if (*p)                     \
			name(*p);           \
	}

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
