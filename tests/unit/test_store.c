/* SPDX-License-Identifier: BSD-2-Clause */
/* The store: what was committed is there after a restart, and faults lose nothing. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/ipaddr.h"
#include "store/store.h"

struct fixture {
	char dir[64];
	char file[96];
	char error[STORE_ERROR_LEN];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	strcpy(f->dir, "/tmp/fqdnat-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/" STORE_FILE, f->dir);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static struct store *open_ok(struct fixture *f, enum store_mode mode)
{
	struct store *store = NULL;
	int r = store_open(f->dir, mode, &store, f->error);

	if (r < 0)
		fail_msg("store_open: %s: %s", strerror(-r), f->error);
	return store;
}

static struct store_domain domain_row(uint32_t id, const char *name)
{
	struct store_domain row = {.id = id, .proxy_count = 8, .created_s = 1798761600};

	strcpy(row.name, name);
	for (uint32_t i = 0; i < 8; i++) {
		row.proxies[i].b[0] = (uint8_t)id;
		row.proxies[i].b[15] = (uint8_t)(8 - i);
	}
	return row;
}

/* Rows of one kind, collected. */
struct rows {
	unsigned int count;
	struct store_domain domain[8];
	struct store_entry entry[8];
	struct store_records records[8];
	struct store_grant grant[8];
};

static int collect_domain(void *ctx, const struct store_domain *row)
{
	struct rows *rows = ctx;

	rows->domain[rows->count++ % 8] = *row;
	return 0;
}

static int collect_entry(void *ctx, const struct store_entry *row)
{
	struct rows *rows = ctx;

	rows->entry[rows->count++ % 8] = *row;
	return 0;
}

static int collect_records(void *ctx, const struct store_records *row)
{
	struct rows *rows = ctx;

	rows->records[rows->count++ % 8] = *row;
	return 0;
}

static int collect_grant(void *ctx, const struct store_grant *row)
{
	struct rows *rows = ctx;

	rows->grant[rows->count++ % 8] = *row;
	return 0;
}

static unsigned int domains(struct store *store, struct rows *ret_rows)
{
	*ret_rows = (struct rows){0};
	assert_int_equal(store_foreach_domain(store, collect_domain, ret_rows), 0);
	return ret_rows->count;
}

static unsigned int entries(struct store *store, struct rows *ret_rows)
{
	*ret_rows = (struct rows){0};
	assert_int_equal(store_foreach_entry(store, collect_entry, ret_rows), 0);
	return ret_rows->count;
}

/* P-07, P-08: the addresses themselves are kept, in their order, not a count of them */
static void rows_are_the_same_after_a_restart(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain domain = domain_row(7, "www.corp.example");
	const struct store_entry entry = {
		.gateway = 1, .domain = 7, .resource = 3, .state = 2, .generation = UINT32_MAX};
	const struct store_grant grant = {.client = "lan",
					  .resource = "6f1c0a52-3f0e-4c6e-9c1b-0e1a2b3c4d5e",
					  .expires_s = 1798761600,
					  .revoked = true};
	struct store_records records = {.domain = 7, .v4_count = 2, .v6_count = 32};
	struct rows rows;

	records.v4[0].b[15] = 9;
	records.v4[1].b[15] = 4;
	memset(records.v6, 6, sizeof(records.v6));
	assert_int_equal(store_put_domain(store, &domain), 0);
	assert_int_equal(store_put_entry(store, &entry), 0);
	assert_int_equal(store_put_records(store, &records), 0);
	assert_int_equal(store_put_grant(store, &grant), 0);
	assert_int_equal(store_pending(store), 4);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_pending(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_WRITE);

	assert_int_equal(domains(store, &rows), 1);
	assert_memory_equal(&rows.domain[0], &domain, sizeof(domain));
	assert_int_equal(entries(store, &rows), 1);
	assert_memory_equal(&rows.entry[0], &entry, sizeof(entry));
	rows = (struct rows){0};
	assert_int_equal(store_foreach_records(store, collect_records, &rows), 0);
	assert_int_equal(rows.count, 1);
	assert_memory_equal(&rows.records[0], &records, sizeof(records));
	rows = (struct rows){0};
	assert_int_equal(store_foreach_grant(store, collect_grant, &rows), 0);
	assert_int_equal(rows.count, 1);
	assert_string_equal(rows.grant[0].client, "lan");
	assert_string_equal(rows.grant[0].resource, grant.resource);
	assert_int_equal(rows.grant[0].expires_s, grant.expires_s);
	assert_true(rows.grant[0].revoked);
}

static void what_was_committed_survives_a_killed_daemon(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = NULL;
	struct rows rows;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct store_domain row = domain_row(1, "a.example");
		const struct store_domain lost = domain_row(2, "b.example");

		if (store_open(f->dir, STORE_WRITE, &store, f->error) < 0 ||
		    store_put_domain(store, &row) < 0 || store_commit(store) < 0 ||
		    store_put_domain(store, &lost) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));

	store = open_ok(f, STORE_WRITE);

	assert_int_equal(domains(store, &rows), 1);
	assert_string_equal(rows.domain[0].name, "a.example");
}

static void newest_change_of_a_row_wins(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	struct store_entry entry = {.domain = 1, .resource = 1};
	struct rows rows;

	for (uint32_t i = 0; i < 1000; i++) {
		entry.generation = i;
		assert_int_equal(store_put_entry(store, &entry), 0);
	}
	assert_int_equal(store_pending(store), 1);
	assert_int_equal(entries(store, &rows), 1);
	assert_int_equal(rows.entry[0].generation, 999);

	assert_int_equal(store_delete_entry(store, 0, 1, 1), 0);
	assert_int_equal(entries(store, &rows), 0);
	assert_int_equal(store_delete_entry(store, 0, 1, 1), 0);
	assert_int_equal(store_commit(store), 0);
}

static void domain_goes_with_its_entries_and_records(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain kept = domain_row(1, "a.example"),
				  gone = domain_row(2, "b.example");
	const struct store_entry e1 = {.domain = 1, .resource = 1},
				 e2 = {.domain = 2, .resource = 1},
				 e3 = {.domain = 2, .resource = 9};
	const struct store_records records = {.domain = 2};
	struct rows rows;

	assert_int_equal(store_put_domain(store, &kept), 0);
	assert_int_equal(store_put_domain(store, &gone), 0);
	assert_int_equal(store_put_entry(store, &e1), 0);
	assert_int_equal(store_put_entry(store, &e2), 0);
	assert_int_equal(store_put_records(store, &records), 0);
	assert_int_equal(store_commit(store), 0);

	/* one entry is on disk, one only waits; then the id is used again at once */
	assert_int_equal(store_put_entry(store, &e3), 0);
	assert_int_equal(store_delete_domain(store, 2), 0);
	assert_int_equal(store_put_domain(store, &gone), 0);
	assert_int_equal(store_put_entry(store, &e2), 0);
	assert_int_equal(store_commit(store), 0);

	assert_int_equal(domains(store, &rows), 2);
	assert_int_equal(entries(store, &rows), 2);
	assert_int_equal(rows.entry[0].domain, 1);
	assert_int_equal(rows.entry[1].domain, 2);
	assert_int_equal(rows.entry[1].resource, 1);
	rows = (struct rows){0};
	assert_int_equal(store_foreach_records(store, collect_records, &rows), 0);
	assert_int_equal(rows.count, 0);
}

static void ids_are_small_and_stable(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	uint32_t lan, guest, resource, gateway, id;

	assert_int_equal(store_id(store, STORE_CLIENT, "lan", &lan), 0);
	assert_int_equal(store_id(store, STORE_CLIENT, "guest", &guest), 0);
	assert_int_equal(store_id(store, STORE_RESOURCE, "lan", &resource), 0);
	assert_int_equal(store_id(store, STORE_GATEWAY, "site-a", &gateway), 0);
	assert_int_equal(lan, 0);
	assert_int_equal(guest, 1);
	assert_int_equal(resource, 1);
	assert_int_equal(gateway, 1); /* 0 is the one in this process */
	assert_int_equal(store_id(store, STORE_CLIENT, "lan", &id), 0);
	assert_int_equal(id, lan);
	assert_int_equal(store_commit(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_WRITE);

	assert_int_equal(store_id(store, STORE_CLIENT, "guest", &id), 0);
	assert_int_equal(id, guest);
	assert_string_equal(store_name(store, STORE_CLIENT, lan), "lan");
	assert_string_equal(store_name(store, STORE_GATEWAY, gateway), "site-a");
	assert_null(store_name(store, STORE_CLIENT, 2));
	assert_null(store_name(store, STORE_CLIENT, UINT32_MAX));
}

static void ids_are_used_again_only_after_purge(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	char name[16];
	uint32_t id;

	for (uint32_t i = 0; i < FQ_CLIENTS_MAX; i++) {
		snprintf(name, sizeof(name), "client-%u", i);
		assert_int_equal(store_id(store, STORE_CLIENT, name, &id), 0);
		assert_int_equal(id, i);
	}
	assert_int_equal(store_id(store, STORE_CLIENT, "one-too-many", &id), -ENOSPC);
	assert_int_equal(store_id_purge(store, STORE_CLIENT, 77), 0);
	assert_null(store_name(store, STORE_CLIENT, 77));
	assert_int_equal(store_id(store, STORE_CLIENT, "new", &id), 0);
	assert_int_equal(id, 77);
	assert_int_equal(store_commit(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_READ);

	assert_string_equal(store_name(store, STORE_CLIENT, 77), "new");
	assert_string_equal(store_name(store, STORE_CLIENT, 4095), "client-4095");
}

static void names_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	char name[STORE_NAME_LEN + 1] = "";
	uint32_t id;

	assert_int_equal(store_id(store, STORE_CLIENT, "", &id), -EINVAL);
	memset(name, 'x', STORE_NAME_LEN);
	assert_int_equal(store_id(store, STORE_CLIENT, name, &id), -EINVAL);
	assert_int_equal(store_pending(store), 0);
}

static void readers_see_commits_beside_the_writer(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *writer = open_ok(f, STORE_WRITE);
	const struct store_domain a = domain_row(1, "a.example"), b = domain_row(2, "b.example");
	_cleanup_(store_freep) struct store *reader = NULL;
	struct rows rows;

	assert_int_equal(store_put_domain(writer, &a), 0);
	assert_int_equal(store_commit(writer), 0);
	reader = open_ok(f, STORE_READ);
	assert_int_equal(domains(reader, &rows), 1);
	assert_int_equal(store_put_domain(reader, &b), -EROFS);
	assert_int_equal(store_put_domain(writer, &b), 0);
	assert_int_equal(domains(reader, &rows), 1);
	assert_int_equal(store_commit(writer), 0);
	assert_int_equal(domains(reader, &rows), 2);

	/* and after the writer has gone */
	store_free(TAKE_PTR(writer));
	assert_int_equal(domains(reader, &rows), 2);
	store_free(TAKE_PTR(reader));
	reader = open_ok(f, STORE_READ);
	assert_int_equal(domains(reader, &rows), 2);
}

static void reader_without_a_file_is_told(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	char expected[STORE_ERROR_LEN];

	assert_int_equal(store_open(f->dir, STORE_READ, &store, f->error), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: No such file or directory", f->file);
	assert_string_equal(f->error, expected);
	assert_null(store);
}

static void second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *first = open_ok(f, STORE_WRITE);
	struct store *second = NULL;

	assert_int_equal(store_open(f->dir, STORE_WRITE, &second, f->error), -EBUSY);
	assert_non_null(strstr(f->error, STORE_FILE ": in use by another daemon"));
	store_free(TAKE_PTR(first));
	first = open_ok(f, STORE_WRITE);
}

static void write_file(const char *path, size_t offset, const void *bytes, size_t len)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), len);
}

static void file_that_is_no_database_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	char text[8192];
	struct stat st;

	memset(text, 'x', sizeof(text));
	write_file(f->file, 0, text, sizeof(text));

	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EBADMSG);
	assert_non_null(strstr(f->error, STORE_FILE ": file is not a database"));
	assert_int_equal(store_open(f->dir, STORE_READ, &store, f->error), -EBADMSG);

	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_size, sizeof(text));
}

static void corrupt_file_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	char garbage[4096 * 3];
	struct store_domain row;

	for (uint32_t i = 0; i < 500; i++) {
		row = domain_row(i, "a.example");
		assert_int_equal(store_put_domain(store, &row), 0);
	}
	assert_int_equal(store_commit(store), 0);
	store_free(TAKE_PTR(store));
	memset(garbage, 0xa5, sizeof(garbage));
	write_file(f->file, 4096, garbage, sizeof(garbage));

	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EBADMSG);
	assert_non_null(strstr(f->error, STORE_FILE ": "));
}

static void change_file(struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void other_schemas_are_refused(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;

	store_free(open_ok(f, STORE_WRITE));
	change_file(f, "PRAGMA user_version = 7");
	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EPROTONOSUPPORT);
	assert_non_null(
		strstr(f->error, "has schema version 7, expected 2: written by another release"));

	assert_int_equal(unlink(f->file), 0);
	change_file(f, "CREATE TABLE theirs (a); PRAGMA user_version = 1");
	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EPROTONOSUPPORT);
	assert_non_null(strstr(f->error, "is another program's database"));
}

static void rows_no_daemon_wrote_end_a_walk_and_are_named(void **state)
{
	static const struct {
		const char *row, *error;
	} bad[] = {
		{"1, 'a', x'00112233', 0",
		 "table domains, row with id 1: its proxies makes no sense"},
		{"2, 'a', zeroblob(144), 0",
		 "table domains, row with id 2: its proxies makes no sense"},
		{"-1, 'a.example', x'', 0", "table domains, row with id -1: its id makes no sense"},
		{"3, hex(zeroblob(200)), x'', 0",
		 "table domains, row with id 3: its name makes no sense"},
	};
	struct fixture *f = *state;
	char sql[160];

	store_free(open_ok(f, STORE_WRITE));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(store_freep) struct store *store = NULL;
		struct rows rows = {0};

		snprintf(sql, sizeof(sql), "DELETE FROM domains; INSERT INTO domains VALUES (%s)",
			 bad[i].row);
		change_file(f, sql);
		store = open_ok(f, STORE_WRITE);
		assert_int_equal(store_foreach_domain(store, collect_domain, &rows), -EBADMSG);
		assert_string_equal(store_error(store), bad[i].error);
		assert_int_equal(rows.count, 0);
	}
}

static void ids_out_of_range_are_refused_at_open(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;

	store_free(open_ok(f, STORE_WRITE));
	change_file(f, "INSERT INTO ids VALUES (0, 4096, 'client')");
	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EBADMSG);
	assert_non_null(strstr(f->error, STORE_FILE ": table ids, row with kind 0 id 4096: "
						    "no such kind or id can be"));
	change_file(f, "DELETE FROM ids; INSERT INTO ids VALUES (0, 1, 'a'), (0, 2, 'a')");
	assert_int_equal(store_open(f->dir, STORE_WRITE, &store, f->error), -EBADMSG);
	assert_non_null(
		strstr(f->error, "table ids, row with kind 0 id 2: its key has another id, too"));
}

/* The rows of the file and the changes together, in the order of the key. */
static void walk_sees_what_waits_without_writing_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	struct store_entry entry = {0};
	struct rows rows;

	for (uint32_t id = 2; id <= 8; id += 2) {
		const struct store_domain row = domain_row(id, "committed.example");

		assert_int_equal(store_put_domain(store, &row), 0);
		entry.domain = id;
		assert_int_equal(store_put_entry(store, &entry), 0);
	}
	assert_int_equal(store_commit(store), 0);
	for (uint32_t id = 1; id <= 9; id += 4) {
		const struct store_domain row = domain_row(id, "waits.example");

		assert_int_equal(store_put_domain(store, &row), 0);
	}
	rows.domain[0] = domain_row(4, "changed.example");
	assert_int_equal(store_put_domain(store, &rows.domain[0]), 0);
	assert_int_equal(store_delete_domain(store, 6), 0);
	assert_int_equal(store_delete_entry(store, 0, 8, 0), 0);

	assert_int_equal(domains(store, &rows), 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(rows.domain[i].id, ((unsigned int[]){1, 2, 4, 5, 8, 9})[i]);
	assert_string_equal(rows.domain[2].name, "changed.example");
	assert_int_equal(entries(store, &rows), 2);
	assert_int_equal(rows.entry[0].domain, 2);
	assert_int_equal(rows.entry[1].domain, 4);
	assert_int_equal(store_pending(store), 6);

	assert_int_equal(store_commit(store), 0);
	assert_int_equal(domains(store, &rows), 6);
	assert_int_equal(entries(store, &rows), 2);
}

static int collect_client(void *ctx, const struct store_grant *row)
{
	strcat(ctx, row->client);
	strcat(ctx, row->resource);
	strcat(ctx, row->revoked ? "- " : " ");
	return 0;
}

static void walk_keeps_the_order_of_texts(void **state)
{
	static const char *const before[][2] = {{"a", "z"}, {"b", "1"}, {"\xc3\xbc", "1"}};
	static const char *const after[][2] = {{"aa", "1"}, {"a", "b"}, {"z", "1"}, {"b", "1"}};
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	struct store_grant row = {0};
	char text[128] = "";

	for (size_t i = 0; i < 3; i++) {
		strcpy(row.client, before[i][0]);
		strcpy(row.resource, before[i][1]);
		assert_int_equal(store_put_grant(store, &row), 0);
	}
	assert_int_equal(store_commit(store), 0);
	row.revoked = true;
	for (size_t i = 0; i < 4; i++) {
		strcpy(row.client, after[i][0]);
		strcpy(row.resource, after[i][1]);
		assert_int_equal(store_put_grant(store, &row), 0);
	}
	assert_int_equal(store_delete_grant(store, "a", "z"), 0);
	assert_int_equal(store_foreach_grant(store, collect_client, text), 0);
	assert_string_equal(text, "ab- aa1- b1- z1- \xc3\xbc"
				  "1 ");
}

/* What was put before its domain was deleted is gone with it; what was put since is not. */
static void walk_hides_what_goes_with_a_domain(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain domain = domain_row(2, "b.example");
	const struct store_entry on_disk = {.domain = 2, .resource = 1},
				 before = {.domain = 2, .resource = 2},
				 since = {.domain = 2, .resource = 3};
	const struct store_records records = {.domain = 2};
	struct rows rows = {0};

	assert_int_equal(store_put_domain(store, &domain), 0);
	assert_int_equal(store_put_entry(store, &on_disk), 0);
	assert_int_equal(store_put_records(store, &records), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_put_entry(store, &before), 0);
	assert_int_equal(store_delete_domain(store, 2), 0);
	assert_int_equal(domains(store, &rows), 0);
	assert_int_equal(entries(store, &rows), 0);

	assert_int_equal(store_put_entry(store, &since), 0);
	assert_int_equal(store_put_domain(store, &domain), 0);
	assert_int_equal(domains(store, &rows), 1);
	assert_int_equal(entries(store, &rows), 1);
	assert_int_equal(rows.entry[0].resource, 3);
	rows = (struct rows){0};
	assert_int_equal(store_foreach_records(store, collect_records, &rows), 0);
	assert_int_equal(rows.count, 0);

	assert_int_equal(store_commit(store), 0);
	assert_int_equal(entries(store, &rows), 1);
	assert_int_equal(rows.entry[0].resource, 3);
}

static void pending_domain_is_known(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain domain = domain_row(2, "b.example");
	const struct store_entry entry = {.domain = 3};

	assert_false(store_domain_pending(store, 2));
	assert_int_equal(store_put_domain(store, &domain), 0);
	assert_int_equal(store_put_entry(store, &entry), 0);
	assert_true(store_domain_pending(store, 2));
	assert_false(store_domain_pending(store, 3));
	assert_int_equal(store_commit(store), 0);
	assert_false(store_domain_pending(store, 2));
	assert_int_equal(store_delete_domain(store, 2), 0);
	assert_true(store_domain_pending(store, 2));
}

static void numbers_are_kept_by_name(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	char key[STORE_NAME_LEN + 1] = "";
	uint64_t value = 0;

	assert_int_equal(store_get_meta(store, "epoch", &value), -ENOENT);
	assert_int_equal(store_put_meta(store, "epoch", 1), 0);
	assert_int_equal(store_put_meta(store, "epoch", UINT64_MAX - 1), 0);
	assert_int_equal(store_put_meta(store, "other", 7), 0);
	assert_int_equal(store_pending(store), 2);
	assert_int_equal(store_get_meta(store, "epoch", &value), 0);
	assert_true(value == UINT64_MAX - 1);
	assert_int_equal(store_commit(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_READ);
	assert_int_equal(store_get_meta(store, "epoch", &value), 0);
	assert_true(value == UINT64_MAX - 1);
	assert_int_equal(store_get_meta(store, "other", &value), 0);
	assert_int_equal(value, 7);
	assert_int_equal(store_put_meta(store, "epoch", 1), -EROFS);
	assert_int_equal(store_get_meta(store, "", &value), -EINVAL);
	memset(key, 'x', STORE_NAME_LEN);
	assert_int_equal(store_get_meta(store, key, &value), -EINVAL);
	assert_int_equal(store_put_meta(store, key, 1), -EINVAL);
}

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

static void fill_disk(const char *dir, char *ret_path, size_t cap)
{
	static char block[4096];
	int fd;

	snprintf(ret_path, cap, "%s/filler", dir);
	fd = open(ret_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* In a mount namespace of its own, with 1 MiB of disk. Exits with 0, 1 or 77 (cannot be tried). */
static void try_full_disk(struct fixture *f)
{
	_cleanup_(store_freep) struct store *store = NULL;
	struct rows rows = {0};
	struct store_domain row;
	char filler[128];
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", f->dir, "tmpfs", 0, "size=1m") < 0)
		_exit(77);
	CHECK(store_open(f->dir, STORE_WRITE, &store, f->error) == 0);
	row = domain_row(1, "before.example");
	CHECK(store_put_domain(store, &row) == 0 && store_commit(store) == 0);
	fill_disk(f->dir, filler, sizeof(filler));

	for (uint32_t i = 2; i < 1000; i++) {
		row = domain_row(i, "while-full.example");
		CHECK(store_put_domain(store, &row) == 0);
	}
	CHECK(store_commit(store) == -ENOSPC);
	CHECK(strstr(store_error(store), "full"));
	CHECK(store_pending(store) == 998);
	row = domain_row(1000, "still-full.example");
	CHECK(store_put_domain(store, &row) == 0);
	CHECK(store_commit(store) == -ENOSPC);
	CHECK(store_pending(store) == 999);

	/* a reload reads everything while nothing can be written */
	CHECK(store_foreach_domain(store, collect_domain, &rows) == 0);
	CHECK(rows.count == 1000);
	CHECK(strcmp(rows.domain[0].name, "while-full.example") == 0);
	CHECK(rows.domain[999 % 8].id == 1000);
	CHECK(store_foreach_entry(store, collect_entry, &rows) == 0);
	CHECK(store_pending(store) == 999);
	rows = (struct rows){0};

	CHECK(unlink(filler) == 0);
	CHECK(store_commit(store) == 0);
	CHECK(store_pending(store) == 0);
	store_free(TAKE_PTR(store));
	CHECK(store_open(f->dir, STORE_WRITE, &store, f->error) == 0);
	CHECK(store_foreach_domain(store, collect_domain, &rows) == 0);
	CHECK(rows.count == 1000);
	store_free(TAKE_PTR(store));

	/* and so does a start */
	fill_disk(f->dir, filler, sizeof(filler));
	rows = (struct rows){0};
	r = store_open(f->dir, STORE_WRITE, &store, f->error);
	if (r < 0)
		fprintf(stderr, "store_open: %s: %s\n", strerror(-r), f->error);
	CHECK(r == 0);
	CHECK(store_foreach_domain(store, collect_domain, &rows) == 0);
	CHECK(rows.count == 1000);
	row = domain_row(1001, "started-full.example");
	CHECK(store_put_domain(store, &row) == 0);
	CHECK(store_commit(store) == -ENOSPC);
	CHECK(unlink(filler) == 0);
	CHECK(store_commit(store) == 0);
	store_free(TAKE_PTR(store));
	CHECK(store_open(f->dir, STORE_READ, &store, f->error) == 0);
	rows = (struct rows){0};
	CHECK(store_foreach_domain(store, collect_domain, &rows) == 0);
	CHECK(rows.count == 1001);
	store_free(TAKE_PTR(store));
	_exit(0);
}

static void full_disk_loses_nothing(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		try_full_disk(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: cannot make a mount namespace (not root?)\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rows_are_the_same_after_a_restart),
		T(what_was_committed_survives_a_killed_daemon),
		T(newest_change_of_a_row_wins),
		T(domain_goes_with_its_entries_and_records),
		T(ids_are_small_and_stable),
		T(ids_are_used_again_only_after_purge),
		T(names_that_do_not_fit_are_refused),
		T(readers_see_commits_beside_the_writer),
		T(reader_without_a_file_is_told),
		T(second_writer_is_refused),
		T(file_that_is_no_database_is_refused_and_kept),
		T(corrupt_file_is_refused),
		T(other_schemas_are_refused),
		T(rows_no_daemon_wrote_end_a_walk_and_are_named),
		T(ids_out_of_range_are_refused_at_open),
		T(walk_sees_what_waits_without_writing_it),
		T(walk_keeps_the_order_of_texts),
		T(walk_hides_what_goes_with_a_domain),
		T(pending_domain_is_known),
		T(numbers_are_kept_by_name),
		T(full_disk_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
