/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's file: opening, locking, transactions, and errors.
 *
 * Its tables are in store_schema.c, rows in store_rows.c, changes in store_changes.c, ids in
 * store_ids.c. A lock file of our own keeps a second daemon out: SQLite's locks let two writers
 * take turns, and closing any other descriptor of the database would drop them.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "store/store_impl.h"

#define WRITER_WAIT_MS 1000
#define READER_WAIT_MS 3000
#define DIRECTORY_MODE 0750
#define STORE_PATH_LEN 4096

static const char *const sql[STATEMENTS] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_ROLLBACK] = "ROLLBACK",
	[STMT_DELETE_ENTRIES] = "DELETE FROM entries WHERE domain = ?",
	[STMT_GET_META] = "SELECT value FROM meta WHERE key = ?",

	[STMT_PUT + TABLE_IDS] = "REPLACE INTO ids VALUES (?, ?, ?)",
	[STMT_PUT + TABLE_DOMAINS] = "REPLACE INTO domains VALUES (?, ?, ?, ?)",
	[STMT_PUT + TABLE_ENTRIES] = "REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)",
	[STMT_PUT + TABLE_RECORDS] = "REPLACE INTO records VALUES (?, ?, ?)",
	[STMT_PUT + TABLE_GRANTS] = "REPLACE INTO grants VALUES (?, ?, ?, ?)",
	[STMT_PUT + TABLE_REMOTES] = "REPLACE INTO remotes VALUES (?, ?)",
	[STMT_PUT + TABLE_META] = "REPLACE INTO meta VALUES (?, ?)",

	[STMT_DELETE + TABLE_IDS] = "DELETE FROM ids WHERE kind = ? AND id = ?",
	[STMT_DELETE + TABLE_DOMAINS] = "DELETE FROM domains WHERE id = ?",
	[STMT_DELETE + TABLE_ENTRIES] =
		"DELETE FROM entries WHERE gateway = ? AND domain = ? AND resource = ?",
	[STMT_DELETE + TABLE_RECORDS] = "DELETE FROM records WHERE domain = ?",
	[STMT_DELETE + TABLE_GRANTS] = "DELETE FROM grants WHERE client = ? AND resource = ?",
	[STMT_DELETE + TABLE_REMOTES] = "DELETE FROM remotes WHERE id = ?",
	[STMT_DELETE + TABLE_META] = "DELETE FROM meta WHERE key = ?",

	[STMT_SELECT + TABLE_IDS] = "SELECT kind, id, key FROM ids ORDER BY kind, id",
	[STMT_SELECT + TABLE_DOMAINS] =
		"SELECT id, name, proxies, created FROM domains ORDER BY id",
	[STMT_SELECT + TABLE_ENTRIES] =
		"SELECT gateway, domain, resource, state, generation, families"
		" FROM entries ORDER BY gateway, domain, resource",
	[STMT_SELECT + TABLE_RECORDS] = "SELECT domain, v4, v6 FROM records ORDER BY domain",
	[STMT_SELECT + TABLE_GRANTS] = "SELECT client, resource, expires, revoked"
				       " FROM grants ORDER BY client, resource",
	[STMT_SELECT + TABLE_REMOTES] = "SELECT id, name FROM remotes ORDER BY id",
	[STMT_SELECT + TABLE_META] = "SELECT key, value FROM meta ORDER BY key",
};

int store_fail(struct store *store, int rc)
{
	int system_errno = sqlite3_system_errno(store->db);

	snprintf(store->error, sizeof(store->error), "%s", sqlite3_errmsg(store->db));
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
		return -EBADMSG;
	default:
		return system_errno > 0 ? -system_errno : -EIO;
	}
}

int store_exec(struct store *store, const char *text)
{
	int rc = sqlite3_exec(store->db, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_fail(store, rc);
}

int store_run(struct store *store, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);
	int r = rc == SQLITE_DONE ? 0 : store_fail(store, rc);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

/* Does the file hold together? Refused by the first word of SQLite's check. */
static int check_integrity(struct store *store)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	int r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW) {
		r = store_fail(store, rc);
	} else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0) {
		snprintf(store->error, sizeof(store->error), "%s", sqlite3_column_text(stmt, 0));
		r = -EBADMSG;
	}
	sqlite3_finalize(stmt);
	return r;
}

/* @alone: nobody reads beside us; the index of the write-ahead file is in our memory then. */
static int open_connection(struct store *store, const char *path, bool alone)
{
	int flags =
		store->readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int rc, r = 0;

	rc = sqlite3_open_v2(path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (!store->db)
		return -ENOMEM;
	if (rc != SQLITE_OK)
		return store_fail(store, rc);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, store->readonly ? READER_WAIT_MS : WRITER_WAIT_MS);
	if (alone)
		r = store_exec(store, "PRAGMA locking_mode = EXCLUSIVE;");
	if (!store->readonly && r == 0)
		r = store_exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
	if (!store->readonly && r == 0)
		r = check_integrity(store);
	return r < 0 ? r : store_check_schema(store);
}

static int open_database(struct store *store, const char *path)
{
	int rc, r;

	r = open_connection(store, path, false);
	if (r == -ENOSPC && !store->readonly) {
		/* The index that is shared with readers would be a file: there is no room for it.
		 */
		sqlite3_close(TAKE_PTR(store->db));
		r = open_connection(store, path, true);
	}
	for (int i = 0; i < STATEMENTS && r == 0; i++) {
		rc = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					&store->statements[i], NULL);
		if (rc != SQLITE_OK)
			r = store_fail(store, rc);
	}
	if (r < 0)
		return r;
	return store_ids_load(store);
}

static void close_database(struct store *store)
{
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close(store->db);
	store->db = NULL;
	store_ids_done(store);
}

/* One daemon a directory; the kernel drops the lock when the process ends. */
static int lock_directory(struct store *store, const char *dir)
{
	char path[STORE_PATH_LEN];

	snprintf(path, sizeof(path), "%s/lock", dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0) {
		snprintf(store->error, sizeof(store->error), "cannot make lock file: %s",
			 strerror(errno));
		return -errno;
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(store->error, sizeof(store->error), "%s",
			 errno == EWOULDBLOCK ? "in use by another daemon" : strerror(errno));
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	}
	return 0;
}

static int open_in(struct store *store, const char *dir, enum store_mode mode)
{
	char path[STORE_PATH_LEN];
	int r;

	snprintf(path, sizeof(path), "%s/" STORE_FILE, dir);
	if (mode == STORE_READ) {
		if (access(path, F_OK) < 0) {
			snprintf(store->error, sizeof(store->error), "%s", strerror(errno));
			return -errno;
		}
		return open_database(store, path);
	}
	if (mkdir(dir, DIRECTORY_MODE) < 0 && errno != EEXIST) {
		snprintf(store->error, sizeof(store->error), "cannot make directory: %s",
			 strerror(errno));
		return -errno;
	}
	r = lock_directory(store, dir);
	if (r < 0)
		return r;
	return open_database(store, path);
}

int store_open(const char *dir, enum store_mode mode, struct store **ret_store,
	       char ret_error[STORE_ERROR_LEN])
{
	_cleanup_(store_freep) struct store *store = NULL;
	int r;

	if (strlen(dir) > STORE_PATH_LEN - 64) {
		snprintf(ret_error, STORE_ERROR_LEN, "state directory: path too long");
		return -ENAMETOOLONG;
	}
	store = calloc(1, sizeof(*store));
	if (!store) {
		snprintf(ret_error, STORE_ERROR_LEN, "out of memory");
		return -ENOMEM;
	}
	store->readonly = mode == STORE_READ;
	store->lock_fd = -1;
	r = open_in(store, dir, mode);
	if (r < 0) {
		snprintf(ret_error, STORE_ERROR_LEN, "%.130s/" STORE_FILE ": %.170s", dir,
			 store->error[0] ? store->error : strerror(-r));
		return r;
	}
	*ret_store = TAKE_PTR(store);
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store_drop_changes(store);
	close_database(store);
	closep(&store->lock_fd);
	free(store);
}

const char *store_error(const struct store *store)
{
	return store->error;
}

size_t store_pending(const struct store *store)
{
	return HASH_COUNT(store->changes);
}

/* Statements that delete what belongs to a domain. */
static int apply_cascade(struct store *store, uint32_t domain)
{
	sqlite3_stmt *const stmts[] = {store->statements[STMT_DELETE_ENTRIES],
				       store->statements[STMT_DELETE + TABLE_RECORDS]};
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		sqlite3_bind_int64(stmts[i], 1, domain);
		r = store_run(store, stmts[i]);
	}
	return r;
}

static int apply(struct store *store, const struct change *change)
{
	sqlite3_stmt *stmt;
	int rc, r;

	if (change->cascade) {
		r = apply_cascade(store, ((const struct store_domain *)change->row)->id);
		if (r < 0)
			return r;
	}
	stmt = store->statements[(change->remove ? STMT_DELETE : STMT_PUT) + change->table];
	rc = change->remove ? store_bind_key(stmt, change->table, change->row)
			    : store_bind_row(stmt, change->table, change->row);
	if (rc != SQLITE_OK)
		return store_fail(store, rc);
	return store_run(store, stmt);
}

int store_commit(struct store *store)
{
	const struct change *change;
	int r;

	if (!store->changes)
		return 0;
	r = store_run(store, store->statements[STMT_BEGIN]);
	if (r < 0)
		return r;
	for (change = store->changes; change && r == 0; change = change->hh.next)
		r = apply(store, change);
	if (r == 0)
		r = store_run(store, store->statements[STMT_COMMIT]);
	if (r == 0) {
		store_drop_changes(store);
		return 0;
	}
	/* Some errors have rolled back already; keep the words of the first one. */
	if (!sqlite3_get_autocommit(store->db)) {
		sqlite3_step(store->statements[STMT_ROLLBACK]);
		sqlite3_reset(store->statements[STMT_ROLLBACK]);
	}
	return r;
}
