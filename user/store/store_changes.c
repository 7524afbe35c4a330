/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The changes that wait for a commit: the newest of each row, in memory, and walks that see the
 * file as it will be with them.
 *
 * A walk writes nothing. Two lists in the order of the key are merged: the rows of the file, and
 * the changes that put a row; a change hides the file's row with the same key.
 */
#include <errno.h>
#include <string.h>

#include "store/store_impl.h"

#define KEY_BYTES_MAX (sizeof(uint32_t) + 2 * STORE_NAME_LEN)

static const size_t row_sizes[TABLES] = {
	[TABLE_IDS] = sizeof(struct id_row),
	[TABLE_DOMAINS] = sizeof(struct store_domain),
	[TABLE_ENTRIES] = sizeof(struct store_entry),
	[TABLE_RECORDS] = sizeof(struct store_records),
	[TABLE_GRANTS] = sizeof(struct store_grant),
	[TABLE_REMOTES] = sizeof(struct store_remote),
	[TABLE_META] = sizeof(struct meta_row),
};

/* The key of a row: numbers in order, or texts in order. */
struct key {
	uint32_t n[3];
	unsigned int n_count;
	const char *text[2];
	unsigned int text_count;
};

static struct key key_of(enum store_table table, const void *data)
{
	const union store_row *row = data;

	switch (table) {
	case TABLE_IDS:
		return (struct key){.n = {row->id.kind, row->id.id}, .n_count = 2};
	case TABLE_DOMAINS:
		return (struct key){.n = {row->domain.id}, .n_count = 1};
	case TABLE_ENTRIES:
		return (struct key){
			.n = {row->entry.gateway, row->entry.domain, row->entry.resource},
			.n_count = 3};
	case TABLE_RECORDS:
		return (struct key){.n = {row->records.domain}, .n_count = 1};
	case TABLE_GRANTS:
		return (struct key){.text = {row->grant.client, row->grant.resource},
				    .text_count = 2};
	case TABLE_REMOTES:
		return (struct key){.n = {row->remote.id}, .n_count = 1};
	case TABLE_META:
		return (struct key){.text = {row->meta.key}, .text_count = 1};
	case TABLES:
		break;
	}
	return (struct key){0};
}

/* In SQLite's order: numbers by value, texts by byte. Both keys are of the same table. */
static int key_compare(const struct key *a, const struct key *b)
{
	int r = 0;

	for (unsigned int i = 0; i < a->n_count && r == 0; i++)
		r = (a->n[i] > b->n[i]) - (a->n[i] < b->n[i]);
	for (unsigned int i = 0; i < a->text_count && r == 0; i++)
		r = strcmp(a->text[i], b->text[i]);
	return r;
}

/* Table and key as bytes, for the hash. Return: their number. */
static size_t key_bytes(enum store_table table, const void *row, unsigned char *bytes)
{
	struct key key = key_of(table, row);
	uint32_t number = table;
	size_t len = sizeof(number);

	memcpy(bytes, &number, sizeof(number));
	memcpy(bytes + len, key.n, key.n_count * sizeof(key.n[0]));
	len += key.n_count * sizeof(key.n[0]);
	for (unsigned int i = 0; i < key.text_count; i++) {
		size_t text = strlen(key.text[i]) + 1;

		memcpy(bytes + len, key.text[i], text);
		len += text;
	}
	return len;
}

static struct change *find(const struct store *store, enum store_table table, const void *row)
{
	unsigned char key[KEY_BYTES_MAX];
	size_t len = key_bytes(table, row, key);
	struct change *change;

	HASH_FIND(hh, store->changes, key, len, change);
	return change;
}

static struct change *change_new(enum store_table table, const unsigned char *key, size_t len)
{
	struct change *change = calloc(1, sizeof(*change) + len);

	if (!change)
		return NULL;
	change->row = malloc(row_sizes[table]);
	if (!change->row) {
		free(change);
		return NULL;
	}
	change->table = table;
	change->key_len = len;
	memcpy(change->key, key, len);
	return change;
}

static void append(struct store *store, struct change *change)
{
	change->seq = ++store->last_seq;
	HASH_ADD_KEYPTR(hh, store->changes, change->key, change->key_len, change);
}

int store_change(struct store *store, enum store_table table, bool remove, const void *row)
{
	unsigned char key[KEY_BYTES_MAX];
	size_t len = key_bytes(table, row, key);
	struct change *change;

	if (store->readonly)
		return -EROFS;
	HASH_FIND(hh, store->changes, key, len, change);
	if (!change) {
		change = change_new(table, key, len);
		if (!change)
			return -ENOMEM;
		append(store, change);
	} else if (!change->cascade || remove) {
		/*
		 * The newest change comes last. Only a domain made anew stays where it was deleted,
		 * before entries and records that were put since.
		 */
		HASH_DEL(store->changes, change);
		append(store, change);
	}
	memcpy(change->row, row, row_sizes[table]);
	change->remove = remove;
	change->cascade = change->cascade || (remove && table == TABLE_DOMAINS);
	return 0;
}

void store_drop_changes(struct store *store)
{
	struct change *change, *next;

	HASH_ITER (hh, store->changes, change, next) {
		HASH_DEL(store->changes, change);
		free(change->row);
		free(change);
	}
}

const void *store_pending_row(const struct store *store, enum store_table table, const void *row)
{
	const struct change *change = find(store, table, row);

	return change && !change->remove ? change->row : NULL;
}

bool store_domain_pending(const struct store *store, uint32_t id)
{
	return find(store, TABLE_DOMAINS, &(struct store_domain){.id = id}) != NULL;
}

/* Was the domain that the row belongs to deleted after @seq? */
static bool deleted_with_domain(const struct store *store, enum store_table table, const void *data,
				uint64_t seq)
{
	const union store_row *row = data;
	struct store_domain domain = {0};
	const struct change *change;

	if (table != TABLE_ENTRIES && table != TABLE_RECORDS)
		return false;
	domain.id = table == TABLE_ENTRIES ? row->entry.domain : row->records.domain;
	change = find(store, TABLE_DOMAINS, &domain);
	return change && change->cascade && change->seq > seq;
}

static int compare_changes(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;
	struct key kx = key_of((*x)->table, (*x)->row), ky = key_of((*y)->table, (*y)->row);

	return key_compare(&kx, &ky);
}

/* The changes that put a row into a table, in the order of the key. */
struct puts {
	const struct change **list;
	size_t count, next;
};

static int puts_make(struct store *store, enum store_table table, struct puts *puts)
{
	*puts = (struct puts){0};
	if (!store->changes)
		return 0;
	puts->list = calloc(HASH_COUNT(store->changes), sizeof(*puts->list));
	if (!puts->list)
		return -ENOMEM;
	for (const struct change *c = store->changes; c; c = c->hh.next)
		if (c->table == table && !c->remove &&
		    !deleted_with_domain(store, table, c->row, c->seq))
			puts->list[puts->count++] = c;
	qsort(puts->list, puts->count, sizeof(*puts->list), compare_changes);
	return 0;
}

struct walk {
	struct store *store;
	enum store_table table;
	struct puts puts;
	int (*fn)(void *ctx, const void *row);
	void *ctx;
};

/* The rows that are put before the key of @row, or all that are left (NULL). */
static int walk_puts(struct walk *w, const void *row)
{
	struct key end = row ? key_of(w->table, row) : (struct key){0};
	int r = 0;

	while (r == 0 && w->puts.next < w->puts.count) {
		const struct change *change = w->puts.list[w->puts.next];
		struct key key = key_of(w->table, change->row);

		if (row && key_compare(&key, &end) >= 0)
			break;
		w->puts.next++;
		r = w->fn(w->ctx, change->row);
	}
	return r;
}

static int walk_file_row(struct walk *w, const void *row)
{
	int r = walk_puts(w, row);

	if (r != 0 || find(w->store, w->table, row) ||
	    deleted_with_domain(w->store, w->table, row, 0))
		return r;
	return w->fn(w->ctx, row);
}

int store_walk(struct store *store, enum store_table table, int (*fn)(void *ctx, const void *row),
	       void *ctx)
{
	struct walk w = {.store = store, .table = table, .fn = fn, .ctx = ctx};
	sqlite3_stmt *stmt = store->statements[STMT_SELECT + table];
	union store_row row;
	int rc = SQLITE_DONE, r;

	r = puts_make(store, table, &w.puts);
	while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		r = store_read_row(store, stmt, table, &row);
		if (r == 0)
			r = walk_file_row(&w, &row);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = store_fail(store, rc);
	sqlite3_reset(stmt);
	if (r == 0)
		r = walk_puts(&w, NULL);
	free(w.puts.list);
	return r;
}
