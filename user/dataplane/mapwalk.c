/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every entry of a map: in batches where the kernel has them (hash tables), else key by key.
 *
 * A hash table's batch is a number of whole buckets, so entries that come and go meanwhile
 * neither hide nor repeat others. Key by key, a deletion may restart the walk: rows can repeat.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/internal.h"

bool map_has_batches(enum dp_map map)
{
	enum bpf_map_type type = map_specs[map].type;

	return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH;
}

static int walk_batches(const struct map_spec *spec, int fd, map_walk_fn cb, void *ctx)
{
	_cleanup_(freep) char *keys = malloc((size_t)DP_BATCH * spec->key_size);
	_cleanup_(freep) char *values = malloc((size_t)DP_BATCH * spec->value_size);
	uint32_t cursor = 0;
	bool midway = false, end = false;

	if (!keys || !values)
		return -ENOMEM;
	while (!end) {
		uint32_t n = DP_BATCH;

		if (bpf_map_lookup_batch(fd, midway ? &cursor : NULL, &cursor, keys, values, &n,
					 NULL) < 0) {
			if (errno != ENOENT)
				return -errno;
			end = true;
		}
		midway = true;
		for (uint32_t i = 0; i < n; i++) {
			int r = cb(ctx, keys + (size_t)i * spec->key_size,
				   values + (size_t)i * spec->value_size);

			if (r)
				return r;
		}
	}
	return 0;
}

static int walk_keys(const struct map_spec *spec, int fd, map_walk_fn cb, void *ctx)
{
	_cleanup_(freep) char *key = malloc(spec->key_size);
	_cleanup_(freep) char *next = malloc(spec->key_size);
	int more;

	if (!key || !next)
		return -ENOMEM;
	more = bpf_map_get_next_key(fd, NULL, next);
	while (more == 0) {
		int r;

		memcpy(key, next, spec->key_size);
		/* The next one first: the callback may delete this one. */
		more = bpf_map_get_next_key(fd, key, next);
		r = cb(ctx, key, NULL);
		if (r)
			return r;
	}
	return more == -ENOENT ? 0 : more;
}

int map_walk(enum dp_map map, int fd, map_walk_fn cb, void *ctx)
{
	const struct map_spec *spec = &map_specs[map];

	return map_has_batches(map) ? walk_batches(spec, fd, cb, ctx)
				    : walk_keys(spec, fd, cb, ctx);
}

static int count_one(void *ctx, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(uint64_t *)ctx;
	return 0;
}

int map_count(enum dp_map map, int fd, uint64_t *ret_count)
{
	uint64_t n = 0;
	int r = map_walk(map, fd, count_one, &n);

	if (r == 0)
		*ret_count = n;
	return r;
}
