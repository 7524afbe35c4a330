/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cache of upstream DNS answers (D-06; RFC 1035 7.4, RFC 2181 5.2 and 8).
 *
 * Kept are answers that are NOERROR, not truncated, have at least one answer record and no
 * TTL below 5 s; found again by name, type, class and the bits that change an answer (RD, AD,
 * CD, EDNS, DO). A query with EDNS options goes upstream verbatim and past the cache, for its
 * answer may be meant for one client (RFC 7871, RFC 7873). Answers made here have TTL 1 and are so
 * never kept. Works on wire format without unpacking records; reads nothing out of bounds whatever
 * the bytes. Called by the daemon around its upstream; pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "core/dname.h"

#define CACHE_TTL_MIN_S 5
#define CACHE_TTL_MAX_S 86400

struct cache_settings {
	size_t entries_max;
	size_t bytes_max;                /* of answers and what keeping them costs */
	uint8_t hash_key[DNAME_KEY_LEN]; /* random */
};

struct cache_usage {
	size_t entries, bytes;
	uint64_t hits, misses;
};

struct cache;

/* Return: 0; -ENOMEM. */
int cache_new(const struct cache_settings *settings, struct cache **ret_cache);
struct cache *cache_free(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_free)

/*
 * Keep an answer, replacing an older one; the least recently used ones make room.
 *
 * @query, @answer: whole messages; an answer to another question, or anything malformed, is not
 * kept
 *
 * Return: whether it was kept.
 */
bool cache_put(struct cache *cache, const uint8_t *query, size_t query_len, const uint8_t *answer,
	       size_t answer_len, struct instant now);

/*
 * Answer a query from the cache: with its id and the case of its name, TTLs reduced by the
 * time passed.
 *
 * @ret_answer: malloc'ed, the caller's
 *
 * Return: whether there was one; outputs are written only then.
 */
bool cache_get(struct cache *cache, const uint8_t *query, size_t query_len, struct instant now,
	       uint8_t **ret_answer, size_t *ret_len);

/* Forget everything (resources have changed, D-06). */
void cache_flush(struct cache *cache);

void cache_usage(const struct cache *cache, struct cache_usage *ret_usage);
