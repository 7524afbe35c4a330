/* SPDX-License-Identifier: BSD-2-Clause */
/* What two boxes need of the store: ids of gateways and edges, domains of edges on other machines,
 * the process's epoch; and the file of the release before them. */
#include <errno.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store_lab.h"

/* Fill a kind; the last name is the one with the greatest id. */
static void fill(struct store *store, enum store_kind kind, uint32_t first, uint32_t end)
{
	char name[16];
	uint32_t id;

	for (uint32_t i = first; i < end; i++) {
		snprintf(name, sizeof(name), "site-%u", i);
		assert_int_equal(store_id(store, kind, name, &id), 0);
		assert_int_equal(id, i);
	}
	assert_int_equal(store_id(store, kind, "one-too-many", &id), -ENOSPC);
}

static void gateways_and_edges_are_numbered_from_one(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	uint32_t id;

	fill(store, STORE_GATEWAY, 1, FQ_GATEWAYS_MAX);
	fill(store, STORE_EDGE, 1, FQ_SCOPES_MAX);
	assert_int_equal(store_commit(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_READ);

	assert_null(store_name(store, STORE_GATEWAY, 0));
	assert_null(store_name(store, STORE_EDGE, 0));
	assert_string_equal(store_name(store, STORE_GATEWAY, FQ_GATEWAYS_MAX - 1), "site-255");
	assert_string_equal(store_name(store, STORE_EDGE, 7), "site-7");
	assert_null(store_name(store, STORE_EDGE, FQ_SCOPES_MAX));
	assert_int_equal(store_id(store, STORE_EDGE, "site-7", &id), 0);
	assert_int_equal(id, 7);
}

/* The same name may be an edge's and a gateway's: one machine can be both. */
static void kinds_do_not_share_ids(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	uint32_t edge, gateway, other;

	assert_int_equal(store_id(store, STORE_GATEWAY, "other", &other), 0);
	assert_int_equal(store_id(store, STORE_GATEWAY, "home", &gateway), 0);
	assert_int_equal(store_id(store, STORE_EDGE, "home", &edge), 0);

	assert_int_equal(gateway, 2);
	assert_int_equal(edge, 1);
	assert_int_equal(store_id_purge(store, STORE_GATEWAY, gateway), 0);
	assert_null(store_name(store, STORE_GATEWAY, gateway));
	assert_string_equal(store_name(store, STORE_EDGE, edge), "home");
}

static int collect_remote(void *ctx, const struct store_remote *row)
{
	char *text = ctx;

	snprintf(text + strlen(text), 256 - strlen(text), "%u %s\n", row->id, row->name);
	return 0;
}

static void domains_of_other_edges_survive(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	char text[256] = "";

	assert_int_equal(store_put_remote(store, &(struct store_remote){0x80000002, "b.example"}),
			 0);
	assert_int_equal(store_put_remote(store, &(struct store_remote){0x80000001, "a.example"}),
			 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_put_remote(store, &(struct store_remote){0x80000003, "c.example"}),
			 0);
	assert_int_equal(store_delete_remote(store, 0x80000002), 0);
	assert_int_equal(store_foreach_remote(store, collect_remote, text), 0);
	assert_string_equal(text, "2147483649 a.example\n2147483651 c.example\n");
	assert_int_equal(store_commit(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_READ);
	text[0] = '\0';

	assert_int_equal(store_foreach_remote(store, collect_remote, text), 0);
	assert_string_equal(text, "2147483649 a.example\n2147483651 c.example\n");
}

/* An epoch of a new process, at a wall clock. */
static uint64_t epoch_at(struct fixture *f, uint64_t now_us)
{
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	uint64_t epoch;

	assert_int_equal(store_epoch(store, now_us, &epoch), 0);
	assert_int_equal(store_commit(store), 0);
	return epoch;
}

static void epochs_rise_whatever_the_clock_does(void **state)
{
	const uint64_t year_2027 = 1798761600000000;
	struct fixture *f = *state;

	assert_int_equal(epoch_at(f, year_2027), year_2027);
	assert_int_equal(epoch_at(f, year_2027), year_2027 + 1);
	assert_int_equal(epoch_at(f, 0), year_2027 + 2); /* the clock's battery is empty */
	assert_int_equal(epoch_at(f, year_2027 + 1000), year_2027 + 1000);

	/* The state directory is lost: the clock goes on where it was. */
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(epoch_at(f, year_2027 + 2000), year_2027 + 2000);
}

static void a_reader_has_no_epoch(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = NULL;
	uint64_t epoch = 7;

	epoch_at(f, 1000);
	store = open_ok(f, STORE_READ);

	assert_int_equal(store_epoch(store, 2000, &epoch), -EROFS);
	assert_int_equal(epoch, 7);
}

/* The tables of schema version 2, as that release made them. */
static const char version_2[] =
	"PRAGMA journal_mode = WAL;"
	"CREATE TABLE ids (kind INTEGER, id INTEGER, key TEXT NOT NULL,"
	" PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT NOT NULL, proxies BLOB NOT NULL,"
	" created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE entries (gateway INTEGER, domain INTEGER, resource INTEGER,"
	" state INTEGER NOT NULL, generation INTEGER NOT NULL,"
	" PRIMARY KEY (gateway, domain, resource)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX entries_domain ON entries (domain);"
	"CREATE TABLE records (domain INTEGER PRIMARY KEY, v4 BLOB NOT NULL, v6 BLOB NOT NULL)"
	" STRICT;"
	"CREATE TABLE grants (client TEXT, resource TEXT, expires INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL, PRIMARY KEY (client, resource)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT INTO ids VALUES (0, 3, 'lan'), (1, 1, '5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10');"
	"INSERT INTO domains VALUES (7, 'www.corp.example', zeroblob(128), 1798761600);"
	"INSERT INTO entries VALUES (0, 7, 1, 2, 99);"
	"INSERT INTO grants VALUES ('lan', '5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10', 0, 1);"
	"INSERT INTO meta VALUES ('next_domain', 8);"
	"PRAGMA application_id = 1718709876;"
	"PRAGMA user_version = 2;";

static void write_version_2(struct fixture *f)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_2, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void the_release_before_is_taken_over(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = NULL;
	struct rows rows;
	uint64_t value;

	write_version_2(f);
	store = open_ok(f, STORE_WRITE);
	assert_int_equal(store_put_remote(store, &(struct store_remote){9, "a.example"}), 0);
	assert_int_equal(store_commit(store), 0);
	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_WRITE);

	assert_string_equal(store_name(store, STORE_CLIENT, 3), "lan");
	assert_int_equal(domains(store, &rows), 1);
	assert_string_equal(rows.domain[0].name, "www.corp.example");
	assert_int_equal(rows.domain[0].proxy_count, 8);
	assert_int_equal(entries(store, &rows), 1);
	assert_int_equal(rows.entry[0].generation, 99);
	assert_int_equal(rows.entry[0].families, 0);
	assert_int_equal(store_get_meta(store, "next_domain", &value), 0);
	assert_int_equal(value, 8);
}

/* Only the daemon changes the file. */
static void a_reader_leaves_the_release_before_alone(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;

	write_version_2(f);

	assert_int_equal(store_open(f->dir, STORE_READ, &store, f->error), -EPROTONOSUPPORT);
	assert_non_null(strstr(f->error, "has schema version 2, expected 4: brought up to date "
					 "when the daemon starts"));
}

/* A step that fails leaves the file as it was. */
static void a_migration_is_whole_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	sqlite3 *db = NULL;

	write_version_2(f);
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE remotes (mine)", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);

	assert_true(store_open(f->dir, STORE_WRITE, &store, f->error) < 0);
	assert_non_null(strstr(f->error, "table remotes already exists"));
	assert_true(store_open(f->dir, STORE_READ, &store, f->error) < 0);
	assert_non_null(strstr(f->error, "has schema version 2"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(gateways_and_edges_are_numbered_from_one),
		T(kinds_do_not_share_ids),
		T(domains_of_other_edges_survive),
		T(epochs_rise_whatever_the_clock_does),
		T(a_reader_has_no_epoch),
		T(the_release_before_is_taken_over),
		T(a_reader_leaves_the_release_before_alone),
		T(a_migration_is_whole_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
