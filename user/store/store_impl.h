/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the store: what its files share. Included by store/ only. */
#pragma once

#include <sqlite3.h>
#include <uthash.h>

#include "store/store.h"

enum store_table {
	TABLE_IDS,
	TABLE_DOMAINS,
	TABLE_ENTRIES,
	TABLE_RECORDS,
	TABLE_GRANTS,
	TABLE_REMOTES,
	TABLE_META,
	TABLES,
};

struct id_row {
	enum store_kind kind;
	uint32_t id;
	char key[STORE_NAME_LEN];
};

struct meta_row {
	char key[STORE_NAME_LEN];
	uint64_t value;
};

/* A row of any table. */
union store_row {
	struct id_row id;
	struct store_domain domain;
	struct store_entry entry;
	struct store_records records;
	struct store_grant grant;
	struct store_remote remote;
	struct meta_row meta;
};

/* A change that waits for the commit: the newest of its row. */
struct change {
	UT_hash_handle hh;
	enum store_table table;
	bool remove;  /* delete the row; row has its key only */
	bool cascade; /* TABLE_DOMAINS: entries and records go first */
	uint64_t seq; /* its place among the changes */
	void *row;    /* struct id_row, store_domain, ... */
	size_t key_len;
	unsigned char key[]; /* table and key of the row */
};

/* An id in use. */
struct id {
	UT_hash_handle hh;
	uint32_t id;
	char key[];
};

struct ids {
	struct id *by_key;   /* uthash */
	struct id **by_id;   /* ids_cap[kind] of them */
	uint32_t least_free; /* no id below is free */
};

enum statement {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_DELETE_ENTRIES, /* of a domain */
	STMT_GET_META,
	STMT_PUT, /* + enum store_table */
	STMT_DELETE = STMT_PUT + TABLES,
	STMT_SELECT = STMT_DELETE + TABLES,
	STATEMENTS = STMT_SELECT + TABLES,
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct change *changes; /* uthash, in the order in which they are to be applied */
	uint64_t last_seq;
	struct ids ids[STORE_KINDS];
	bool readonly;
	int lock_fd;
	char error[STORE_ERROR_LEN];
};

/* Remember what SQLite says and translate it. Return: negative errno. */
int store_fail(struct store *store, int rc);

/* Step a statement that returns no rows, and reset it. Return: 0; negative errno. */
int store_run(struct store *store, sqlite3_stmt *stmt);

/* Run statements without parameters and rows. Return: 0; negative errno. */
int store_exec(struct store *store, const char *text);

/*
 * Make the tables of a new file, bring those of an earlier release up to date, refuse others.
 *
 * Return: 0; -EPROTONOSUPPORT, and store_error says why; errnos of SQLite.
 */
int store_check_schema(struct store *store);

/* Bind the key of a row, or all of it, to the statement. Return: an SQLite code. */
int store_bind_key(sqlite3_stmt *stmt, enum store_table table, const void *row);
int store_bind_row(sqlite3_stmt *stmt, enum store_table table, const void *row);

/* Read the row a SELECT stands at. Return: 0; -EBADMSG, and store_error says which row it is. */
int store_read_row(struct store *store, sqlite3_stmt *stmt, enum store_table table,
		   union store_row *row);

/* Say what is wrong with the row a SELECT stands at. Return: -EBADMSG. */
int store_bad_row(struct store *store, sqlite3_stmt *stmt, enum store_table table,
		  const char *what);

/* The row that waits to be put, with the key of @row; NULL: none. */
const void *store_pending_row(const struct store *store, enum store_table table, const void *row);

/* Queue a change. Return: 0; -ENOMEM; -EROFS. */
int store_change(struct store *store, enum store_table table, bool remove, const void *row);

/*
 * Walk over a table as rows, as if all changes had been committed. @fn gets the row struct of
 * the table.
 */
int store_walk(struct store *store, enum store_table table, int (*fn)(void *ctx, const void *row),
	       void *ctx);

/* Forget every change. */
void store_drop_changes(struct store *store);

/* Read the ids of the file into memory; forget them. */
int store_ids_load(struct store *store);
void store_ids_done(struct store *store);
