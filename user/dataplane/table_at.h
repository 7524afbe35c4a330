/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * <fqdnat/table.h> for arrays that user space has mapped: a query's `arrays` is the struct
 * session_table. Included by what looks up or changes entries itself, see table.h.
 */
#pragma once

#include "dataplane/table.h"

#include <fqdnat/table.h>

static inline struct fq_slot *table_at(const struct table_query *q, __u32 index)
{
	const struct session_table *t = q->arrays;

	return index < t->table->slots ? &t->slot[index] : NULL;
}

static inline struct fq_slot6 *table_at6(const struct table_query *q, __u32 index)
{
	const struct session_table *t = q->arrays;

	return index < t->table->slots ? &t->six[index] : NULL;
}
