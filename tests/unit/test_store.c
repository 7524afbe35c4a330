/* SPDX-License-Identifier: BSD-2-Clause */
/* The store: what was committed is there after a restart; ids and numbers last. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "store_lab.h"

static int collect_grant(void *ctx, const struct store_grant *row)
{
	struct rows *rows = ctx;

	rows->grant[rows->count++ % 8] = *row;
	return 0;
}

/* P-07, P-08: the addresses themselves are kept, in their order, not a count of them */
static void rows_are_the_same_after_a_restart(void **state)
{
	struct fixture *f = *state;
	_cleanup_(store_freep) struct store *store = open_ok(f, STORE_WRITE);
	const struct store_domain domain = domain_row(7, "www.corp.example");
	const struct store_entry entry = {.gateway = 1,
					  .domain = 7,
					  .resource = 3,
					  .state = 2,
					  .generation = UINT32_MAX,
					  .families = 3};
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
		T(numbers_are_kept_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
