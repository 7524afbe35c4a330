/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's rows: structs to SQL values and back, and the queue of changes.
 *
 * What comes out of the file is checked like anything from outside: lengths and ranges that
 * no daemon wrote end a walk with -EBADMSG.
 */
#include <errno.h>
#include <string.h>

#include "store/store_impl.h"

static const size_t row_sizes[TABLES] = {
	[TABLE_IDS] = sizeof(struct id_row),
	[TABLE_DOMAINS] = sizeof(struct store_domain),
	[TABLE_ENTRIES] = sizeof(struct store_entry),
	[TABLE_RECORDS] = sizeof(struct store_records),
	[TABLE_GRANTS] = sizeof(struct store_grant),
};

/* Bind the next parameters in turn; the first error is remembered. */
struct binder {
	sqlite3_stmt *stmt;
	int n;
	int rc;
};

static void bind_int(struct binder *b, int64_t value)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_int64(b->stmt, ++b->n, value);
}

/* The row outlives the step: SQLite need not copy. */
static void bind_text(struct binder *b, const char *text)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_text(b->stmt, ++b->n, text, -1, SQLITE_STATIC);
}

static void bind_addrs(struct binder *b, const struct fq_addr *addrs, unsigned int count)
{
	if (b->rc == SQLITE_OK)
		b->rc = sqlite3_bind_blob(b->stmt, ++b->n, addrs, (int)(count * sizeof(*addrs)),
					  SQLITE_STATIC);
}

static void bind_key(struct binder *b, enum store_table table, const void *data)
{
	switch (table) {
	case TABLE_IDS:
		bind_int(b, ((const struct id_row *)data)->kind);
		bind_int(b, ((const struct id_row *)data)->id);
		return;
	case TABLE_DOMAINS:
		bind_int(b, ((const struct store_domain *)data)->id);
		return;
	case TABLE_ENTRIES:
		bind_int(b, ((const struct store_entry *)data)->gateway);
		bind_int(b, ((const struct store_entry *)data)->domain);
		bind_int(b, ((const struct store_entry *)data)->resource);
		return;
	case TABLE_RECORDS:
		bind_int(b, ((const struct store_records *)data)->domain);
		return;
	case TABLE_GRANTS:
		bind_text(b, ((const struct store_grant *)data)->client);
		bind_text(b, ((const struct store_grant *)data)->resource);
		return;
	case TABLES:
		return;
	}
}

int store_bind_key(sqlite3_stmt *stmt, enum store_table table, const void *row)
{
	struct binder b = {.stmt = stmt, .rc = SQLITE_OK};

	bind_key(&b, table, row);
	return b.rc;
}

int store_bind_row(sqlite3_stmt *stmt, enum store_table table, const void *data)
{
	struct binder b = {.stmt = stmt, .rc = SQLITE_OK};

	bind_key(&b, table, data);
	switch (table) {
	case TABLE_IDS:
		bind_text(&b, ((const struct id_row *)data)->key);
		break;
	case TABLE_DOMAINS: {
		const struct store_domain *row = data;

		bind_text(&b, row->name);
		bind_addrs(&b, row->proxies, row->proxy_count);
		bind_int(&b, row->created_s);
		break;
	}
	case TABLE_ENTRIES:
		bind_int(&b, ((const struct store_entry *)data)->state);
		bind_int(&b, ((const struct store_entry *)data)->generation);
		break;
	case TABLE_RECORDS: {
		const struct store_records *row = data;

		bind_addrs(&b, row->v4, row->v4_count);
		bind_addrs(&b, row->v6, row->v6_count);
		break;
	}
	case TABLE_GRANTS:
		bind_int(&b, ((const struct store_grant *)data)->expires_s);
		bind_int(&b, ((const struct store_grant *)data)->revoked);
		break;
	case TABLES:
		break;
	}
	return b.rc;
}

/* Read the next columns in turn; a value that makes no sense is remembered. */
struct reader {
	sqlite3_stmt *stmt;
	int n;
	bool bad;
};

static int64_t read_int(struct reader *rd)
{
	return sqlite3_column_int64(rd->stmt, rd->n++);
}

static uint32_t read_u32(struct reader *rd)
{
	int64_t value = read_int(rd);

	if (value < 0 || value > UINT32_MAX)
		rd->bad = true;
	return (uint32_t)value;
}

static void read_name(struct reader *rd, char name[STORE_NAME_LEN])
{
	const unsigned char *text = sqlite3_column_text(rd->stmt, rd->n);
	int len = sqlite3_column_bytes(rd->stmt, rd->n++);

	if (!text || len >= STORE_NAME_LEN || memchr(text, '\0', (size_t)len))
		rd->bad = true;
	else
		memcpy(name, text, (size_t)len + 1);
}

static unsigned int read_addrs(struct reader *rd, struct fq_addr *addrs, size_t cap)
{
	const void *blob = sqlite3_column_blob(rd->stmt, rd->n);
	size_t len = (size_t)sqlite3_column_bytes(rd->stmt, rd->n++);

	if (len % sizeof(*addrs) != 0 || len > cap * sizeof(*addrs)) {
		rd->bad = true;
		return 0;
	}
	if (len > 0)
		memcpy(addrs, blob, len);
	return (unsigned int)(len / sizeof(*addrs));
}

union row {
	struct id_row id;
	struct store_domain domain;
	struct store_entry entry;
	struct store_records records;
	struct store_grant grant;
};

static bool read_row(sqlite3_stmt *stmt, enum store_table table, union row *row)
{
	struct reader rd = {.stmt = stmt};

	*row = (union row){0};
	switch (table) {
	case TABLE_IDS:
		row->id.kind = read_u32(&rd);
		row->id.id = read_u32(&rd);
		read_name(&rd, row->id.key);
		break;
	case TABLE_DOMAINS:
		row->domain.id = read_u32(&rd);
		read_name(&rd, row->domain.name);
		row->domain.proxy_count = read_addrs(&rd, row->domain.proxies, STORE_PROXIES_MAX);
		row->domain.created_s = read_int(&rd);
		break;
	case TABLE_ENTRIES:
		row->entry.gateway = read_u32(&rd);
		row->entry.domain = read_u32(&rd);
		row->entry.resource = read_u32(&rd);
		row->entry.state = read_u32(&rd);
		row->entry.generation = read_u32(&rd);
		break;
	case TABLE_RECORDS:
		row->records.domain = read_u32(&rd);
		row->records.v4_count = read_addrs(&rd, row->records.v4, STORE_ADDRESSES_MAX);
		row->records.v6_count = read_addrs(&rd, row->records.v6, STORE_ADDRESSES_MAX);
		break;
	case TABLE_GRANTS:
		read_name(&rd, row->grant.client);
		read_name(&rd, row->grant.resource);
		row->grant.expires_s = read_int(&rd);
		row->grant.revoked = read_int(&rd) != 0;
		break;
	case TABLES:
		break;
	}
	return !rd.bad;
}

int store_walk(struct store *store, enum store_table table, int (*fn)(void *ctx, const void *row),
	       void *ctx)
{
	sqlite3_stmt *stmt = store->statements[STMT_SELECT + table];
	union row row;
	int rc, r;

	r = store_commit(store);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (!read_row(stmt, table, &row)) {
			strcpy(store->error, "a row makes no sense");
			r = -EBADMSG;
		} else {
			r = fn(ctx, &row);
		}
		if (r != 0)
			break;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = store_fail(store, rc);
	sqlite3_reset(stmt);
	return r;
}

/* Table and key of a row as bytes. Return: their number. */
static size_t change_key(enum store_table table, const void *data, unsigned char *key)
{
	uint32_t n[4] = {table};
	size_t count = 2;

	switch (table) {
	case TABLE_IDS:
		n[1] = ((const struct id_row *)data)->kind;
		n[2] = ((const struct id_row *)data)->id;
		count = 3;
		break;
	case TABLE_DOMAINS:
		n[1] = ((const struct store_domain *)data)->id;
		break;
	case TABLE_ENTRIES:
		n[1] = ((const struct store_entry *)data)->gateway;
		n[2] = ((const struct store_entry *)data)->domain;
		n[3] = ((const struct store_entry *)data)->resource;
		count = 4;
		break;
	case TABLE_RECORDS:
		n[1] = ((const struct store_records *)data)->domain;
		break;
	case TABLE_GRANTS: {
		const struct store_grant *row = data;
		size_t client = strlen(row->client) + 1, resource = strlen(row->resource) + 1;

		memcpy(key, n, sizeof(n[0]));
		memcpy(key + sizeof(n[0]), row->client, client);
		memcpy(key + sizeof(n[0]) + client, row->resource, resource);
		return sizeof(n[0]) + client + resource;
	}
	case TABLES:
		break;
	}
	memcpy(key, n, count * sizeof(n[0]));
	return count * sizeof(n[0]);
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

int store_change(struct store *store, enum store_table table, bool remove, const void *row)
{
	unsigned char key[sizeof(uint32_t) + 2 * STORE_NAME_LEN];
	size_t len = change_key(table, row, key);
	struct change *change;

	if (store->readonly)
		return -EROFS;
	HASH_FIND(hh, store->changes, key, len, change);
	if (!change) {
		change = change_new(table, key, len);
		if (!change)
			return -ENOMEM;
		HASH_ADD_KEYPTR(hh, store->changes, change->key, len, change);
	} else if (!change->cascade || remove) {
		/*
		 * The newest change comes last. Only a domain made anew stays where it was deleted,
		 * before entries and records that were put since.
		 */
		HASH_DEL(store->changes, change);
		HASH_ADD_KEYPTR(hh, store->changes, change->key, len, change);
	}
	memcpy(change->row, row, row_sizes[table]);
	change->remove = remove;
	change->cascade = change->cascade || (remove && table == TABLE_DOMAINS);
	return 0;
}

int store_put_domain(struct store *store, const struct store_domain *row)
{
	return store_change(store, TABLE_DOMAINS, false, row);
}

int store_delete_domain(struct store *store, uint32_t id)
{
	return store_change(store, TABLE_DOMAINS, true, &(struct store_domain){.id = id});
}

int store_put_entry(struct store *store, const struct store_entry *row)
{
	return store_change(store, TABLE_ENTRIES, false, row);
}

int store_delete_entry(struct store *store, uint32_t gateway, uint32_t domain, uint32_t resource)
{
	const struct store_entry row = {gateway, domain, resource, 0, 0};

	return store_change(store, TABLE_ENTRIES, true, &row);
}

int store_put_records(struct store *store, const struct store_records *row)
{
	return store_change(store, TABLE_RECORDS, false, row);
}

int store_delete_records(struct store *store, uint32_t domain)
{
	return store_change(store, TABLE_RECORDS, true, &(struct store_records){.domain = domain});
}

int store_put_grant(struct store *store, const struct store_grant *row)
{
	return store_change(store, TABLE_GRANTS, false, row);
}

int store_delete_grant(struct store *store, const char *client, const char *resource)
{
	struct store_grant row = {.expires_s = 0};

	if (strlen(client) >= sizeof(row.client) || strlen(resource) >= sizeof(row.resource))
		return 0;
	strcpy(row.client, client);
	strcpy(row.resource, resource);
	return store_change(store, TABLE_GRANTS, true, &row);
}

/* A walk's callback of the public type, called with a row of the table's struct. */
#define DEFINE_FOREACH(name, table, type)                                                    \
	struct name##_walk {                                                                 \
		int (*fn)(void *ctx, const type *);                                          \
		void *ctx;                                                                   \
	};                                                                                   \
	static int name##_row(void *ctx, const void *row)                                    \
	{                                                                                    \
		const struct name##_walk *walk = ctx;                                        \
                                                                                             \
		return walk->fn(walk->ctx, row);                                             \
	}                                                                                    \
	int store_foreach_##name(struct store *store, int (*fn)(void *ctx, const type *),    \
				 void *ctx)                                                  \
	{                                                                                    \
		return store_walk(store, table, name##_row, &(struct name##_walk){fn, ctx}); \
	}

DEFINE_FOREACH(domain, TABLE_DOMAINS, struct store_domain)
DEFINE_FOREACH(entry, TABLE_ENTRIES, struct store_entry)
DEFINE_FOREACH(records, TABLE_RECORDS, struct store_records)
DEFINE_FOREACH(grant, TABLE_GRANTS, struct store_grant)
