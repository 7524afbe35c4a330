/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of the store's file, and bringing those of an earlier release up to date.
 *
 * A file of a later release is refused: it may hold what this one would lose.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store_impl.h"

#define SCHEMA_VERSION 4
#define SCHEMA_OLDEST  2
#define APPLICATION_ID 0x66716e74 /* "fqnt": a file of ours, not somebody else's database */

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

/* Since version 3. */
#define REMOTES "CREATE TABLE remotes (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"

/* Since version 4; 0 in rows from before. */
#define FAMILIES "families INTEGER NOT NULL DEFAULT 0"

/* clang-format off */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE ids (kind INTEGER, id INTEGER, key TEXT NOT NULL,"
	" PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT NOT NULL, proxies BLOB NOT NULL,"
	" created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE entries (gateway INTEGER, domain INTEGER, resource INTEGER,"
	" state INTEGER NOT NULL, generation INTEGER NOT NULL, " FAMILIES ","
	" PRIMARY KEY (gateway, domain, resource)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX entries_domain ON entries (domain);"
	"CREATE TABLE records (domain INTEGER PRIMARY KEY, v4 BLOB NOT NULL, v6 BLOB NOT NULL) STRICT;"
	"CREATE TABLE grants (client TEXT, resource TEXT, expires INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL, PRIMARY KEY (client, resource)) STRICT, WITHOUT ROWID;"
	REMOTES
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = " TEXT(APPLICATION_ID) ";"
	"PRAGMA user_version = " TEXT(SCHEMA_VERSION) ";"
	"COMMIT;";
/* clang-format on */

/* From each version to the next one; whole or not at all. */
static const char *const migrations[SCHEMA_VERSION] = {
	[2] = "BEGIN IMMEDIATE;" REMOTES "PRAGMA user_version = 3; COMMIT;",
	[3] = "BEGIN IMMEDIATE; ALTER TABLE entries ADD COLUMN " FAMILIES ";"
	      "PRAGMA user_version = 4; COMMIT;",
};

/* The first column of the first row of @text, as a number. */
static int query_int(struct store *store, const char *text, int64_t *ret_value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(store->db, text, -1, &stmt, NULL);
	int r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(stmt, 0);
	else
		r = store_fail(store, rc);
	sqlite3_finalize(stmt);
	return r;
}

/* What the tables were made by cannot be used as it is. Return: -EPROTONOSUPPORT. */
static int other_version(struct store *store, int64_t version)
{
	const char *why = "written by another release";

	if (version >= SCHEMA_OLDEST && version < SCHEMA_VERSION)
		why = "brought up to date when the daemon starts";
	snprintf(store->error, sizeof(store->error), "has schema version %lld, expected %d: %s",
		 (long long)version, SCHEMA_VERSION, why);
	return -EPROTONOSUPPORT;
}

static int migrate(struct store *store, int64_t version)
{
	int r = 0;

	for (; version < SCHEMA_VERSION && r == 0; version++)
		r = store_exec(store, migrations[version]);
	/* A step that failed is undone; its words are those of the first error. */
	if (r < 0 && !sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int store_check_schema(struct store *store)
{
	int64_t application, version, tables;
	int r;

	r = query_int(store, "PRAGMA application_id", &application);
	if (r == 0)
		r = query_int(store, "PRAGMA user_version", &version);
	if (r == 0)
		r = query_int(store, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r;
	if (application == 0 && version == 0 && tables == 0) {
		if (!store->readonly)
			return store_exec(store, schema);
		snprintf(store->error, sizeof(store->error), "is empty: no daemon has used it yet");
		return -EPROTONOSUPPORT;
	}
	if (application != APPLICATION_ID) {
		snprintf(store->error, sizeof(store->error), "is another program's database");
		return -EPROTONOSUPPORT;
	}
	if (version == SCHEMA_VERSION)
		return 0;
	if (version < SCHEMA_OLDEST || version > SCHEMA_VERSION || store->readonly)
		return other_version(store, version);
	return migrate(store, version);
}
