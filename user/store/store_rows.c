/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's rows: structs to SQL values and back, and what the owner calls with them.
 *
 * What comes out of the file is checked like anything from outside: lengths and ranges that
 * no daemon wrote are told by their table, row and column.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store_impl.h"

#define META_EPOCH "epoch"

#define KEY_SHOWN 24 /* bytes of a key's column in an error text */

static const struct {
	const char *name;
	int key_columns; /* the first ones of its SELECT */
} tables[TABLES] = {
	[TABLE_IDS] = {"ids", 2},         [TABLE_DOMAINS] = {"domains", 1},
	[TABLE_ENTRIES] = {"entries", 3}, [TABLE_RECORDS] = {"records", 1},
	[TABLE_GRANTS] = {"grants", 2},   [TABLE_REMOTES] = {"remotes", 1},
	[TABLE_META] = {"meta", 1},
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
	case TABLE_REMOTES:
		bind_int(b, ((const struct store_remote *)data)->id);
		return;
	case TABLE_META:
		bind_text(b, ((const struct meta_row *)data)->key);
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
		bind_int(&b, ((const struct store_entry *)data)->families);
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
	case TABLE_REMOTES:
		bind_text(&b, ((const struct store_remote *)data)->name);
		break;
	case TABLE_META:
		bind_int(&b, (int64_t)((const struct meta_row *)data)->value);
		break;
	case TABLES:
		break;
	}
	return b.rc;
}

/* Read the next columns in turn; the first one that makes no sense is remembered. */
struct reader {
	sqlite3_stmt *stmt;
	int n;
	const char *bad; /* its name */
};

static void read_bad(struct reader *rd)
{
	if (!rd->bad)
		rd->bad = sqlite3_column_name(rd->stmt, rd->n - 1);
}

static int64_t read_int(struct reader *rd)
{
	return sqlite3_column_int64(rd->stmt, rd->n++);
}

static uint32_t read_u32(struct reader *rd)
{
	int64_t value = read_int(rd);

	if (value < 0 || value > UINT32_MAX)
		read_bad(rd);
	return (uint32_t)value;
}

static void read_name(struct reader *rd, char name[STORE_NAME_LEN])
{
	const unsigned char *text = sqlite3_column_text(rd->stmt, rd->n);
	int len = sqlite3_column_bytes(rd->stmt, rd->n++);

	if (!text || len >= STORE_NAME_LEN || memchr(text, '\0', (size_t)len))
		read_bad(rd);
	else
		memcpy(name, text, (size_t)len + 1);
}

static unsigned int read_addrs(struct reader *rd, struct fq_addr *addrs, size_t cap)
{
	const void *blob = sqlite3_column_blob(rd->stmt, rd->n);
	size_t len = (size_t)sqlite3_column_bytes(rd->stmt, rd->n++);

	if (len % sizeof(*addrs) != 0 || len > cap * sizeof(*addrs)) {
		read_bad(rd);
		return 0;
	}
	if (len > 0)
		memcpy(addrs, blob, len);
	return (unsigned int)(len / sizeof(*addrs));
}

int store_bad_row(struct store *store, sqlite3_stmt *stmt, enum store_table table, const char *what)
{
	int used = snprintf(store->error, sizeof(store->error), "table %s, row with",
			    tables[table].name);

	for (int i = 0; i < tables[table].key_columns; i++)
		used += snprintf(store->error + used, sizeof(store->error) - (size_t)used,
				 " %s %.*s", sqlite3_column_name(stmt, i), KEY_SHOWN,
				 sqlite3_column_text(stmt, i) ?: (const unsigned char *)"NULL");
	snprintf(store->error + used, sizeof(store->error) - (size_t)used, ": %s", what);
	return -EBADMSG;
}

int store_read_row(struct store *store, sqlite3_stmt *stmt, enum store_table table,
		   union store_row *row)
{
	struct reader rd = {.stmt = stmt};
	char what[64];

	*row = (union store_row){0};
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
		row->entry.families = read_u32(&rd);
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
	case TABLE_REMOTES:
		row->remote.id = read_u32(&rd);
		read_name(&rd, row->remote.name);
		break;
	case TABLE_META:
		read_name(&rd, row->meta.key);
		row->meta.value = (uint64_t)read_int(&rd);
		break;
	case TABLES:
		break;
	}
	if (!rd.bad)
		return 0;
	snprintf(what, sizeof(what), "its %s makes no sense", rd.bad);
	return store_bad_row(store, stmt, table, what);
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
	const struct store_entry row = {
		.gateway = gateway,
		.domain = domain,
		.resource = resource,
	};

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

int store_put_remote(struct store *store, const struct store_remote *row)
{
	return store_change(store, TABLE_REMOTES, false, row);
}

int store_delete_remote(struct store *store, uint32_t id)
{
	return store_change(store, TABLE_REMOTES, true, &(struct store_remote){.id = id});
}

int store_put_meta(struct store *store, const char *key, uint64_t value)
{
	struct meta_row row = {.value = value};

	if (!*key || strlen(key) >= sizeof(row.key))
		return -EINVAL;
	strcpy(row.key, key);
	return store_change(store, TABLE_META, false, &row);
}

int store_get_meta(struct store *store, const char *key, uint64_t *ret_value)
{
	sqlite3_stmt *stmt = store->statements[STMT_GET_META];
	const struct meta_row *pending;
	struct meta_row row;
	int rc, r = 0;

	if (!*key || strlen(key) >= sizeof(row.key))
		return -EINVAL;
	strcpy(row.key, key);
	pending = store_pending_row(store, TABLE_META, &row);
	if (pending) {
		*ret_value = pending->value;
		return 0;
	}
	rc = store_bind_key(stmt, TABLE_META, &row);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_value = (uint64_t)sqlite3_column_int64(stmt, 0);
	else
		r = rc == SQLITE_DONE ? -ENOENT : store_fail(store, rc);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

int store_epoch(struct store *store, uint64_t now_us, uint64_t *ret_epoch)
{
	uint64_t last = 0, epoch;
	int r;

	r = store_get_meta(store, META_EPOCH, &last);
	if (r < 0 && r != -ENOENT)
		return r;
	epoch = now_us > last ? now_us : last + 1;
	r = store_put_meta(store, META_EPOCH, epoch);
	if (r < 0)
		return r;
	*ret_epoch = epoch;
	return 0;
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
DEFINE_FOREACH(remote, TABLE_REMOTES, struct store_remote)
