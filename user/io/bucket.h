/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Token buckets by source address: who asks too often is refused without others noticing.
 *
 * A source is an IPv4 address or an IPv6 /64 (what one host can choose from by itself, RFC 4941).
 * Memory is bounded: the table has a fixed number of buckets in sets of BUCKET_WAYS, placed by a
 * seeded hash; a new source takes the place of the one in its set that was seen longest ago. A
 * source whose bucket was taken begins with a full one, so the limit is a bound per source
 * and not a bound over all sources.
 */
#pragma once

#include <stdbool.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "base/instant.h"

#define BUCKET_WAYS 4

struct bucket_table;

struct bucket_settings {
	unsigned int per_second;  /* tokens a source gets; 0: no limit at all */
	unsigned int burst;       /* tokens it can save; at least 1 */
	unsigned int sources_max; /* buckets; rounded up to a power of two of sets */
};

/* Return: 0; -EINVAL; -ENOMEM. */
int bucket_table_new(const struct bucket_settings *settings, struct bucket_table **ret_table);
void bucket_table_free(struct bucket_table *table);
DEFINE_CLEANUP(struct bucket_table *, bucket_table_free)

/*
 * Take a token of @src's bucket.
 *
 * @now: must not run backwards between calls
 *
 * Return: whether there was one.
 */
bool bucket_take(struct bucket_table *table, const struct fq_addr *src, struct instant now);
