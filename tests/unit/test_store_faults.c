/* SPDX-License-Identifier: BSD-2-Clause */
/* The store and files that are wrong, locked by others, or on a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "../lib/skip.h"
#include "store_lab.h"

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
		strstr(f->error, "has schema version 7, expected 4: written by another release"));

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

/* Another program at work on the file: a commit fails in bounded time, and nothing is lost. */
static void locked_file_loses_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain gone = domain_row(1, "gone.example"),
				  kept = domain_row(2, "kept.example"),
				  later = domain_row(3, "later.example");
	struct rows rows;
	sqlite3 *db = NULL;

	assert_int_equal(store_put_domain(store, &gone), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_delete_domain(store, 1), 0);
	assert_int_equal(store_put_domain(store, &kept), 0);
	assert_int_equal(store_commit(store), -EBUSY);
	assert_non_null(strstr(store_error(store), "locked"));
	assert_int_equal(store_pending(store), 2);
	assert_int_equal(store_put_domain(store, &later), 0);
	assert_int_equal(domains(store, &rows), 2);

	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_pending(store), 0);

	store_free(TAKE_PTR(store));
	store = open_ok(f, STORE_READ);
	assert_int_equal(domains(store, &rows), 2);
	assert_string_equal(rows.domain[0].name, "kept.example");
	assert_string_equal(rows.domain[1].name, "later.example");
}

/* A row in the middle cannot be written: the ones before it are not either, until all can be. */
static void commit_writes_everything_or_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = NULL, *reader = NULL;
	const struct store_domain domain = domain_row(1, "a.example");
	const struct store_entry entry = {.domain = 1, .resource = 1};
	const struct store_records records = {.domain = 1};
	struct rows rows;

	store_free(open_ok(f, STORE_WRITE));
	change_file(f, "CREATE TRIGGER refuse BEFORE INSERT ON entries "
		       "BEGIN SELECT RAISE(ABORT, 'no entry today'); END");
	store = open_ok(f, STORE_WRITE);
	reader = open_ok(f, STORE_READ);
	assert_int_equal(store_put_domain(store, &domain), 0);
	assert_int_equal(store_put_entry(store, &entry), 0);
	assert_int_equal(store_put_records(store, &records), 0);
	assert_true(store_commit(store) < 0);
	assert_non_null(strstr(store_error(store), "no entry today"));
	assert_int_equal(store_pending(store), 3);
	assert_int_equal(domains(reader, &rows), 0);

	change_file(f, "DROP TRIGGER refuse");
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(domains(reader, &rows), 1);
	assert_int_equal(entries(reader, &rows), 1);
	rows = (struct rows){0};
	assert_int_equal(store_foreach_records(reader, collect_records, &rows), 0);
	assert_int_equal(rows.count, 1);
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
	if (WEXITSTATUS(status) == 77)
		skip_because("cannot make a mount namespace (not root?)");
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(file_that_is_no_database_is_refused_and_kept),
		T(corrupt_file_is_refused),
		T(other_schemas_are_refused),
		T(rows_no_daemon_wrote_end_a_walk_and_are_named),
		T(ids_out_of_range_are_refused_at_open),
		T(locked_file_loses_nothing),
		T(commit_writes_everything_or_nothing),
		T(full_disk_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
