/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of domains by number and numbers by name, see names.h. */
#include "core/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/queue.h>

#include "core/buckets.h"

struct row {
	struct dname name;
	uint32_t id;
	struct bucket_node by_name, by_id;
	TAILQ_ENTRY(row) entry;
};

struct names {
	uint8_t hash_key[DNAME_KEY_LEN];
	uint32_t next;
	struct buckets by_name, by_id;
	TAILQ_HEAD(, row) all;
};

int names_new(const uint8_t hash_key[DNAME_KEY_LEN], uint64_t planned, struct names **ret_names)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	TAILQ_INIT(&names->all);
	if (buckets_init(&names->by_name, planned) < 0 ||
	    buckets_init(&names->by_id, planned) < 0) {
		names_free(names);
		return -ENOMEM;
	}
	memcpy(names->hash_key, hash_key, DNAME_KEY_LEN);
	names->next = NAMES_FIRST;
	*ret_names = names;
	return 0;
}

static void row_drop(struct names *names, struct row *row)
{
	buckets_remove(&names->by_name, &row->by_name);
	buckets_remove(&names->by_id, &row->by_id);
	TAILQ_REMOVE(&names->all, row, entry);
	free(row);
}

void names_free(struct names *names)
{
	struct row *row;

	if (!names)
		return;
	while ((row = TAILQ_FIRST(&names->all)))
		row_drop(names, row);
	buckets_done(&names->by_name);
	buckets_done(&names->by_id);
	free(names);
}

/* Numbers are given out in order: they spread by themselves. */
static struct row *row_by_id(const struct names *names, uint32_t id)
{
	for (struct bucket_node *at = buckets_first(&names->by_id, id); at; at = at->next)
		if (at->hash == id)
			return bucket_owner(at, struct row, by_id);
	return NULL;
}

static struct row *row_by_name(const struct names *names, const struct dname *name)
{
	const uint32_t hash = dname_hash(name, names->hash_key);

	for (struct bucket_node *at = buckets_first(&names->by_name, hash); at; at = at->next) {
		struct row *row = bucket_owner(at, struct row, by_name);

		if (at->hash == hash && dname_equal(&row->name, name))
			return row;
	}
	return NULL;
}

static int row_add(struct names *names, const struct dname *name, uint32_t id)
{
	struct row *row = calloc(1, sizeof(*row));

	if (!row)
		return -ENOMEM;
	row->name = *name;
	row->id = id;
	buckets_add(&names->by_name, &row->by_name, dname_hash(name, names->hash_key));
	buckets_add(&names->by_id, &row->by_id, id);
	TAILQ_INSERT_TAIL(&names->all, row, entry);
	return 0;
}

/* The next free number; the range begins anew at its end. */
static uint32_t next_free(struct names *names)
{
	while (row_by_id(names, names->next))
		names_restore_mark(names, names->next + 1);
	return names->next;
}

int names_id(struct names *names, const struct dname *name, uint32_t *ret_id)
{
	const struct row *row = row_by_name(names, name);
	int r;

	if (row) {
		*ret_id = row->id;
		return 0;
	}
	*ret_id = next_free(names);
	r = row_add(names, name, *ret_id);
	if (r < 0)
		return r;
	names_restore_mark(names, *ret_id + 1);
	return 1;
}

const struct dname *names_find(const struct names *names, uint32_t id)
{
	const struct row *row = row_by_id(names, id);

	return row ? &row->name : NULL;
}

uint32_t names_lookup(const struct names *names, const struct dname *name)
{
	const struct row *row = row_by_name(names, name);

	return row ? row->id : 0;
}

void names_drop(struct names *names, uint32_t id)
{
	struct row *row = row_by_id(names, id);

	if (row)
		row_drop(names, row);
}

int names_restore(struct names *names, const struct dname *name, uint32_t id)
{
	int r;

	if (id < NAMES_FIRST)
		return -EINVAL;
	if (row_by_id(names, id) || row_by_name(names, name))
		return -EEXIST;
	r = row_add(names, name, id);
	if (r == 0 && id >= names->next)
		names_restore_mark(names, id + 1);
	return r;
}

void names_foreach(struct names *names,
		   void (*fn)(void *ctx, uint32_t id, const struct dname *name), void *ctx)
{
	struct row *row, *next;

	/* @fn may drop the row that it is given. */
	for (row = TAILQ_FIRST(&names->all); row; row = next) {
		next = TAILQ_NEXT(row, entry);
		fn(ctx, row->id, &row->name);
	}
}

uint32_t names_mark(const struct names *names)
{
	return names->next;
}

void names_restore_mark(struct names *names, uint32_t next)
{
	names->next = next < NAMES_FIRST ? NAMES_FIRST : next;
}
