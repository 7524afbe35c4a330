/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of the command line: exact match, suggestions, pairs, numbers, times. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/expiry.h"
#include "cli/words.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const objects[] = {"domain",  "resource", "client", "grant", "proxy",
				      "session", "gateway",  "prog",   "stats", "monitor",
				      "config",  "version",  "help"};

static void words_match_exactly_only(void **state)
{
	(void)state;

	assert_int_equal(words_find("domain", objects, N(objects)), 0);
	assert_int_equal(words_find("help", objects, N(objects)), 12);
	assert_int_equal(words_find("dom", objects, N(objects)), N(objects));
	assert_int_equal(words_find("Domain", objects, N(objects)), N(objects));
	assert_int_equal(words_find("", objects, N(objects)), N(objects));
}

static void nearest_word_is_suggested(void **state)
{
	static const struct {
		const char *typed, *meant;
	} cases[] = {
		{"domian", "domain"},
		{"sesion", "session"},
		{"sessions", "session"},
		{"sess", "session"},
		{"DOMAIN", "domain"},
		{"stat", "stats"},
		{"gatway", "gateway"},
		{"prxy", "proxy"},
		{"moniter", "monitor"},
		{"hlep", "help"},
		{"resources", "resource"},
		{"versoin", "version"},
		{"pro", "prog"},
		{"xlient", "client"},
		{"clients-of", "client"},
		{"xyzzy", NULL},
		{"", NULL},
		{"q", NULL},
		{"a-word-much-longer-than-any-of-ours-is", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		const char *nearest = words_nearest(cases[i].typed, objects, N(objects));

		if (strcmp(nearest ?: "nothing", cases[i].meant ?: "nothing"))
			fail_msg("'%s' suggests %s", cases[i].typed, nearest ?: "nothing");
	}
}

static void wrong_word_is_named_with_what_was_expected(void **state)
{
	static const char *const commands[] = {"show", "flush", "help"};
	char buf[WORDS_ERROR_LEN];

	(void)state;
	assert_string_equal(words_unknown("session command", "fush", commands, 3, buf, sizeof(buf)),
			    "session command 'fush' is unknown, did you mean 'flush'? "
			    "expected show, flush or help");
	assert_string_equal(
		words_unknown("session command", "x\033[2J", commands, 3, buf, sizeof(buf)),
		"session command 'x?[2J' is unknown, expected show, flush or help");
}

static void joined_words_are_cut_at_the_buffer(void **state)
{
	char buf[12];

	(void)state;
	assert_string_equal(words_join(objects, N(objects), buf, sizeof(buf)), "domain, res");
	assert_string_equal(words_join(objects, 1, buf, sizeof(buf)), "domain");
	assert_string_equal(words_join(objects, 0, buf, sizeof(buf)), "");
}

struct filter {
	const char *client, *domain;
};

static int parse(int argc, const char *const *argv, struct filter *f, char *error)
{
	const struct word_value values[] = {
		{"client", "ADDRESS", true, &f->client},
		{"domain", "NAME", false, &f->domain},
	};

	return words_parse(argc, (char *const *)argv, values, N(values), error);
}

static void pairs_come_in_any_order(void **state)
{
	static const char *const argv[] = {"domain", "web.corp.example", "client", "192.0.2.2"};
	char error[WORDS_ERROR_LEN];
	struct filter f;

	(void)state;
	assert_int_equal(parse(4, argv, &f, error), 0);
	assert_string_equal(f.client, "192.0.2.2");
	assert_string_equal(f.domain, "web.corp.example");

	assert_int_equal(parse(2, argv + 2, &f, error), 0);
	assert_null(f.domain);
}

static void wrong_pairs_say_what_is_wrong(void **state)
{
	static const struct {
		const char *argv[4];
		int argc;
		const char *error;
	} cases[] = {
		{{"clint", "A"},
		 2,
		 "word 'clint' is unknown, did you mean 'client'? expected client or domain"},
		{{"client"}, 1, "'client' needs a value, expected: client ADDRESS"},
		{{"client", ""}, 2, "'client' needs a value, expected: client ADDRESS"},
		{{"client", "A", "client", "B"}, 4, "'client' is given twice"},
		{{"domain", "N"}, 2, "'client' is missing, expected: client ADDRESS"},
		{{NULL}, 0, "'client' is missing, expected: client ADDRESS"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char error[WORDS_ERROR_LEN] = "";
		struct filter f;

		assert_int_equal(parse(cases[i].argc, cases[i].argv, &f, error), -EINVAL);
		assert_string_equal(error, cases[i].error);
	}
}

static void numbers_are_whole_and_bounded(void **state)
{
	unsigned long n = 7;

	(void)state;
	assert_int_equal(words_number("60", 1, 3600, &n), 0);
	assert_int_equal(n, 60);

	assert_int_equal(words_number("", 1, 3600, &n), -EINVAL);
	assert_int_equal(words_number("-1", 1, 3600, &n), -EINVAL);
	assert_int_equal(words_number(" 1", 1, 3600, &n), -EINVAL);
	assert_int_equal(words_number("1x", 1, 3600, &n), -EINVAL);
	assert_int_equal(words_number("0x10", 1, 3600, &n), -EINVAL);
	assert_int_equal(words_number("0", 1, 3600, &n), -ERANGE);
	assert_int_equal(words_number("3601", 1, 3600, &n), -ERANGE);
	assert_int_equal(words_number("99999999999999999999999", 1, 3600, &n), -ERANGE);
	assert_int_equal(n, 60);
}

static void grant_times_become_utc(void **state)
{
	static const struct {
		const char *typed, *utc;
	} cases[] = {
		{"2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"2027-01-01T01:30:00+01:30", "2027-01-01T00:00:00Z"},
		{"2026-12-31T19:00:00-05:00", "2027-01-01T00:00:00Z"},
		{"2028-02-29T12:00:00Z", "2028-02-29T12:00:00Z"},
		{"30s", "1970-01-02T00:00:30Z"},
		{"90m", "1970-01-02T01:30:00Z"},
		{"8h", "1970-01-02T08:00:00Z"},
		{"7d", "1970-01-09T00:00:00Z"},
	};
	char utc[EXPIRY_LEN];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		assert_int_equal(expiry_parse(cases[i].typed, 86400, utc), 0);
		assert_string_equal(utc, cases[i].utc);
	}
}

static void wrong_grant_times_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"8",
		"h",
		"0h",
		"-8h",
		"8 h",
		"8w",
		"1.5h",
		"99999999d",
		"tomorrow",
		"2027-01-01",
		"2027-01-01T00:00Z",
		"2027-01-01 00:00:00Z",
		"2027-01-01T00:00:00",
		"2027-02-30T00:00:00Z",
		"2027-13-01T00:00:00Z",
		"2027-01-01T25:00:00Z",
		"2027-01-01T00:00:00Zulu",
		"2027-01-01T00:00:00+1:00",
		"2027-01-01T00:00:00+0100",
		"2027-1-1T000:00:00Z",
	};
	char utc[EXPIRY_LEN] = "untouched";

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		if (expiry_parse(cases[i], 86400, utc) != -EINVAL)
			fail_msg("'%s' was taken for %s", cases[i], utc);
	assert_string_equal(utc, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_match_exactly_only),
		cmocka_unit_test(nearest_word_is_suggested),
		cmocka_unit_test(wrong_word_is_named_with_what_was_expected),
		cmocka_unit_test(joined_words_are_cut_at_the_buffer),
		cmocka_unit_test(pairs_come_in_any_order),
		cmocka_unit_test(wrong_pairs_say_what_is_wrong),
		cmocka_unit_test(numbers_are_whole_and_bounded),
		cmocka_unit_test(grant_times_become_utc),
		cmocka_unit_test(wrong_grant_times_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
