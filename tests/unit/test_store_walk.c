/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks over the store: rows as they will be when everything is committed, and nothing written. */
#include <string.h>

#include "store_lab.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(walk_sees_what_waits_without_writing_it),
		T(walk_keeps_the_order_of_texts),
		T(walk_hides_what_goes_with_a_domain),
		T(pending_domain_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
