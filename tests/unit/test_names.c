/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of domain names at a gateway (user/core: names). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/names.h"

static const uint8_t key[DNAME_KEY_LEN] = {1};

static struct dname name_of(const char *text)
{
	struct dname name;

	assert_int_equal(dname_from_text(text, &name), 0);
	return name;
}

static void a_name_keeps_its_number(void **state)
{
	_cleanup_(names_freep) struct names *names = NULL;
	struct dname a = name_of("a.corp.example"), b = name_of("b.corp.example");
	uint32_t id, other;

	(void)state;
	assert_int_equal(names_new(key, 100, &names), 0);
	assert_int_equal(names_id(names, &a, &id), 1);
	assert_int_equal(names_id(names, &b, &other), 1);
	assert_int_not_equal(id, other);
	assert_int_equal(names_id(names, &a, &other), 0);
	assert_int_equal(id, other);
	assert_string_equal(names_find(names, id)->text, "a.corp.example");
	assert_int_equal(names_lookup(names, &a), id);
}

/* G-10: a number that sessions may bear still is not another name's. */
static void a_dropped_number_is_not_given_out_again(void **state)
{
	_cleanup_(names_freep) struct names *names = NULL;
	struct dname a = name_of("a.corp.example");
	uint32_t id, again;

	(void)state;
	assert_int_equal(names_new(key, 100, &names), 0);
	assert_int_equal(names_id(names, &a, &id), 1);
	names_drop(names, id);
	names_drop(names, id);
	assert_null(names_find(names, id));
	assert_int_equal(names_lookup(names, &a), 0);
	assert_int_equal(names_id(names, &a, &again), 1);
	assert_int_not_equal(id, again);
}

static void numbers_survive_a_restart(void **state)
{
	_cleanup_(names_freep) struct names *names = NULL;
	struct dname a = name_of("a.corp.example"), b = name_of("b.corp.example");
	uint32_t id;

	(void)state;
	assert_int_equal(names_new(key, 100, &names), 0);
	assert_int_equal(names_restore(names, &a, NAMES_FIRST + 5), 0);
	assert_int_equal(names_restore(names, &a, NAMES_FIRST + 6), -EEXIST);
	assert_int_equal(names_restore(names, &b, NAMES_FIRST + 5), -EEXIST);
	assert_int_equal(names_restore(names, &b, 5), -EINVAL);
	names_restore_mark(names, NAMES_FIRST + 9);
	assert_int_equal(names_id(names, &b, &id), 1);
	assert_int_equal(id, NAMES_FIRST + 9);
	assert_int_equal(names_mark(names), NAMES_FIRST + 10);
}

static void the_range_begins_anew_and_passes_over_what_is_taken(void **state)
{
	_cleanup_(names_freep) struct names *names = NULL;
	struct dname a = name_of("a.corp.example"), b = name_of("b.corp.example");
	struct dname c = name_of("c.corp.example");
	uint32_t id;

	(void)state;
	assert_int_equal(names_new(key, 100, &names), 0);
	assert_int_equal(names_id(names, &a, &id), 1);
	names_restore_mark(names, UINT32_MAX);
	assert_int_equal(names_id(names, &b, &id), 1);
	assert_int_equal(id, UINT32_MAX);
	assert_int_equal(names_id(names, &c, &id), 1);
	assert_int_equal(id, NAMES_FIRST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_keeps_its_number),
		cmocka_unit_test(a_dropped_number_is_not_given_out_again),
		cmocka_unit_test(numbers_survive_a_restart),
		cmocka_unit_test(the_range_begins_anew_and_passes_over_what_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
