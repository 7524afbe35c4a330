/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ids of names: kept in memory whole, because they are few and asked for with every line the
 * command line shows; new ones and freed ones are queued as changes like every other row.
 */
#include <errno.h>
#include <string.h>

#include "store/store_impl.h"

static const struct {
	uint32_t first;
	uint32_t end;
} range[STORE_KINDS] = {
	[STORE_CLIENT] = {0, FQ_CLIENTS_MAX},
	[STORE_RESOURCE] = {1, FQ_RESOURCES_MAX},
	[STORE_GATEWAY] = {1, FQ_GATEWAYS_MAX},
	[STORE_EDGE] = {1, FQ_SCOPES_MAX},
};

static bool key_fits(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len < STORE_NAME_LEN;
}

static int ids_add(struct ids *ids, uint32_t id, const char *key)
{
	size_t len = strlen(key);
	struct id *entry = malloc(sizeof(*entry) + len + 1);

	if (!entry)
		return -ENOMEM;
	entry->id = id;
	memcpy(entry->key, key, len + 1);
	ids->by_id[id] = entry;
	HASH_ADD_KEYPTR(hh, ids->by_key, entry->key, len, entry);
	return 0;
}

static int load_row(void *ctx, const void *data)
{
	const struct id_row *row = data;
	struct store *store = ctx;
	sqlite3_stmt *stmt = store->statements[STMT_SELECT + TABLE_IDS];
	struct ids *ids;
	struct id *known;

	if (row->kind >= STORE_KINDS || row->id < range[row->kind].first ||
	    row->id >= range[row->kind].end || !key_fits(row->key))
		return store_bad_row(store, stmt, TABLE_IDS, "no such kind or id can be");
	ids = &store->ids[row->kind];
	HASH_FIND_STR(ids->by_key, row->key, known);
	if (known)
		return store_bad_row(store, stmt, TABLE_IDS, "its key has another id, too");
	return ids_add(ids, row->id, row->key);
}

int store_ids_load(struct store *store)
{
	for (int kind = 0; kind < STORE_KINDS; kind++) {
		struct ids *ids = &store->ids[kind];

		ids->by_id = calloc(range[kind].end, sizeof(struct id *));
		if (!ids->by_id)
			return -ENOMEM;
		ids->least_free = range[kind].first;
	}
	return store_walk(store, TABLE_IDS, load_row, store);
}

void store_ids_done(struct store *store)
{
	for (int kind = 0; kind < STORE_KINDS; kind++) {
		struct ids *ids = &store->ids[kind];
		struct id *entry, *next;

		HASH_ITER (hh, ids->by_key, entry, next) {
			HASH_DEL(ids->by_key, entry);
			free(entry);
		}
		free(ids->by_id);
		ids->by_id = NULL;
	}
}

int store_id(struct store *store, enum store_kind kind, const char *key, uint32_t *ret_id)
{
	struct id_row row = {.kind = kind};
	struct ids *ids = &store->ids[kind];
	struct id *known;
	int r;

	if (!key_fits(key))
		return -EINVAL;
	HASH_FIND_STR(ids->by_key, key, known);
	if (known) {
		*ret_id = known->id;
		return 0;
	}
	while (ids->least_free < range[kind].end && ids->by_id[ids->least_free])
		ids->least_free++;
	if (ids->least_free == range[kind].end)
		return -ENOSPC;

	row.id = ids->least_free;
	strcpy(row.key, key);
	r = store_change(store, TABLE_IDS, false, &row);
	if (r == 0)
		r = ids_add(ids, row.id, key);
	if (r < 0)
		return r;
	*ret_id = row.id;
	return 0;
}

const char *store_name(const struct store *store, enum store_kind kind, uint32_t id)
{
	const struct id *entry = id < range[kind].end ? store->ids[kind].by_id[id] : NULL;

	return entry ? entry->key : NULL;
}

int store_id_purge(struct store *store, enum store_kind kind, uint32_t id)
{
	struct id_row row = {.kind = kind, .id = id};
	struct ids *ids = &store->ids[kind];
	struct id *entry;
	int r;

	entry = id < range[kind].end ? ids->by_id[id] : NULL;
	if (!entry)
		return 0;
	r = store_change(store, TABLE_IDS, true, &row);
	if (r < 0)
		return r;
	HASH_DEL(ids->by_key, entry);
	free(entry);
	ids->by_id[id] = NULL;
	if (id < ids->least_free)
		ids->least_free = id;
	return 0;
}

int store_foreach_id(struct store *store, enum store_kind kind,
		     int (*fn)(void *ctx, uint32_t id, const char *key), void *ctx)
{
	struct id *entry, *next;
	int r;

	HASH_ITER (hh, store->ids[kind].by_key, entry, next) {
		r = fn(ctx, entry->id, entry->key);
		if (r != 0)
			return r;
	}
	return 0;
}
