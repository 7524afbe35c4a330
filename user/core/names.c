/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of domains by number and numbers by name, see names.h. */
#include "core/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct row {
	struct dname name;
	uint32_t id;
	UT_hash_handle by_name, by_id;
};

struct names {
	uint8_t hash_key[DNAME_KEY_LEN];
	uint32_t next;
	struct row *by_name, *by_id;
};

int names_new(const uint8_t hash_key[DNAME_KEY_LEN], struct names **ret_names)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	memcpy(names->hash_key, hash_key, DNAME_KEY_LEN);
	names->next = NAMES_FIRST;
	*ret_names = names;
	return 0;
}

static void row_drop(struct names *names, struct row *row)
{
	HASH_DELETE(by_name, names->by_name, row);
	HASH_DELETE(by_id, names->by_id, row);
	free(row);
}

void names_free(struct names *names)
{
	struct row *row, *next;

	if (!names)
		return;
	HASH_ITER (by_id, names->by_id, row, next)
		row_drop(names, row);
	free(names);
}

static struct row *row_by_id(const struct names *names, uint32_t id)
{
	struct row *row;

	HASH_FIND(by_id, names->by_id, &id, sizeof(id), row);
	return row;
}

static struct row *row_by_name(const struct names *names, const struct dname *name)
{
	unsigned int hash = dname_hash(name, names->hash_key);
	struct row *row;

	HASH_FIND_BYHASHVALUE(by_name, names->by_name, name->text, name->len, hash, row);
	return row;
}

static int row_add(struct names *names, const struct dname *name, uint32_t id)
{
	unsigned int hash = dname_hash(name, names->hash_key);
	struct row *row = calloc(1, sizeof(*row));

	if (!row)
		return -ENOMEM;
	row->name = *name;
	row->id = id;
	HASH_ADD_KEYPTR_BYHASHVALUE(by_name, names->by_name, row->name.text, name->len, hash, row);
	if (!row->by_name.tbl) {
		free(row);
		return -ENOMEM;
	}
	HASH_ADD(by_id, names->by_id, id, sizeof(row->id), row);
	if (!row->by_id.tbl) {
		HASH_DELETE(by_name, names->by_name, row);
		free(row);
		return -ENOMEM;
	}
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

	HASH_ITER (by_id, names->by_id, row, next)
		fn(ctx, row->id, &row->name);
}

uint32_t names_mark(const struct names *names)
{
	return names->next;
}

void names_restore_mark(struct names *names, uint32_t next)
{
	names->next = next < NAMES_FIRST ? NAMES_FIRST : next;
}
