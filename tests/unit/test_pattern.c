/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and address patterns: core/dname.h, core/pattern.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/pattern.h"

static const uint8_t no_key[DNAME_KEY_LEN];

static struct pattern pattern(const char *text)
{
	struct pattern p;

	assert_int_equal(pattern_parse(text, &p), 0);
	return p;
}

static struct dname dname(const char *text)
{
	struct dname n;

	assert_int_equal(dname_from_text(text, &n), 0);
	return n;
}

static bool matches(const char *pattern_text, const char *name)
{
	struct pattern p = pattern(pattern_text);
	struct dname n = dname(name);

	return pattern_match(&p, &n);
}

struct row {
	const char *pattern, *name;
};

/* M-01: what is published. */
static void domain_pattern_matches(void **state)
{
	static const struct row rows[] = {
		{"**.example.com", "example.com"},
		{"**.example.com", "foo.example.com"},
		{"**.example.com", "foo.bar.example.com"},
		{"*.example.com", "example.com"},
		{"*.example.com", "foo.example.com"},
		{"app.**.example.com", "app.bar.foo.example.com"},
		{"app.**.example.com", "app.example.com"},
		{"app.*.example.com", "app.foo.example.com"},
		{"foo.*.example.com", "foo.bar.example.com"},
		{"app.*.*.example.com", "app.foo.bar.example.com"},
		{"app.f??.example.com", "app.foo.example.com"},
		{"*?*.example.com", "app.example.com"},
		{"app.**.web.**.example.com", "app.web.example.com"},
		{"app.**.web.**.example.com", "app.a.b.web.web.c.example.com"},
		{"example.com", "example.com"},
		{"EXAMPLE.com.", "Example.COM"},
		{"*ample.com", "ample.com"},
		{"*a*b*c.x", "zaabbcac.x"},
		{"_ldap._tcp.*.x", "_ldap._tcp.a.x"},
		{"**", "a"},
		{"**", "a.b.c"},
		{"**.**.x", "x"},
		{"a.**", "a"},
		{"*", "a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!matches(rows[i].pattern, rows[i].name))
			fail_msg("%s does not match %s", rows[i].pattern, rows[i].name);
}

/* M-01: and what is not. */
static void domain_pattern_does_not_match(void **state)
{
	static const struct row rows[] = {
		{"app.*com", "app.foo.com"},
		{"app?com", "app.com"},
		{"*.example.com", "foo.bar.example.com"},
		{"*.example.com", "example.com.net"},
		{"**.example.com", "fooexample.com"},
		{"app.*.example.com", "app.foo.bar.example.com"},
		{"app.*.example.com", "app.example.com"},
		{"*?*.example.com", "example.com"},
		{"app.f??.example.com", "app.fo.example.com"},
		{"app.**.web.**.example.com", "app.example.com"},
		{"example.com", "foo.example.com"},
		{"*.*.x", "x"},
		{"*", "a.b"},
		{"?.x", "x"},
		{"a*.x", "x"},
		{"*a*b*c.x", "zaabbca.x"},
		{"a.b.**.b.c", "a.b.c"},
		{"ab*bc.x", "abc.x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (matches(rows[i].pattern, rows[i].name))
			fail_msg("%s matches %s", rows[i].pattern, rows[i].name);
}

/* M-01: wildcards that could be tried in very many ways are matched at once. */
static void matching_is_not_exponential(void **state)
{
	char p[DNAME_LEN_MAX + 1] = "", n[DNAME_LEN_MAX + 1] = "";

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(p, "**.a.");
	strcat(p, "b");
	for (int i = 0; i < 125; i++)
		strcat(n, "a.");
	strcat(n, "c");
	assert_false(matches(p, n));
	assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*b.x",
			     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x"));
}

/* M-02: a pattern is shown as it was written, with dots. */
static void pattern_displays_without_slash(void **state)
{
	struct pattern p = pattern("**.Example.com");

	(void)state;
	assert_string_equal(pattern_format(&p), "**.example.com");
}

/* M-03: invalid ones are refused. */
static void invalid_patterns_are_refused(void **state)
{
	static const char *const texts[] = {
		"",           ".",
		".x",         "a..b",
		"a..",        "a**.x",
		"**a.x",      "***.x",
		"a b",        "a/b",
		"[ab].x",     "{a,b}.x",
		"\xc3\xa4.x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x",
	};
	char longest[300];
	struct pattern p;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (pattern_parse(texts[i], &p) != -EINVAL)
			fail_msg("\"%s\" is accepted", texts[i]);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'a';
	longest[253] = '\0';
	assert_int_equal(pattern_parse(longest, &p), 0);
	longest[253] = '.';
	longest[254] = '\0';
	assert_int_equal(pattern_parse(longest, &p), 0);
	longest[254] = 'a';
	longest[255] = '\0';
	assert_int_equal(pattern_parse(longest, &p), -EINVAL);
}

static int compare_texts(const void *a, const void *b)
{
	struct pattern x = pattern(*(const char *const *)a), y = pattern(*(const char *const *)b);

	return pattern_compare(&x, &y);
}

/* M-04: the order, most specific first. */
static void pattern_ordering(void **state)
{
	static const char *const sorted[] = {
		"example.com",     "bar.example.com", "*.bar.example.com",
		"foo.example.com", "?.example.com",   "*.example.com",
		"**.example.com",  "*ample.com",      "*.com",
	};
	enum { COUNT = sizeof(sorted) / sizeof(sorted[0]) };
	const char *texts[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < COUNT; j++) {
			int r = compare_texts(&sorted[i], &sorted[j]);

			assert_true(i < j ? r < 0 : i > j ? r > 0 : r == 0);
		}
	for (int i = 0; i < COUNT; i++)
		texts[i] = sorted[(i * 5 + 3) % COUNT];
	qsort(texts, COUNT, sizeof(texts[0]), compare_texts);
	for (int i = 0; i < COUNT; i++)
		assert_string_equal(texts[i], sorted[i]);
}

/* M-05: a name itself is more specific than any wildcard that matches it. */
static void prioritises_non_wildcard_over_wildcard_domain(void **state)
{
	static const char *const wildcards[] = {
		"*.b.c", "**.b.c", "?.b.c", "a.*.c", "a.**.c", "a.b.*", "**", "a.b.?", "*.*.*",
	};
	const char *exact = "a.b.c";

	(void)state;
	for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++) {
		assert_true(matches(wildcards[i], exact));
		assert_true(compare_texts(&exact, &wildcards[i]) < 0);
	}
}

static void literal_suffix_ends_every_match(void **state)
{
	struct pattern p = pattern("a.*.c.d");

	(void)state;
	assert_string_equal(pattern_literal_suffix(&p), "c.d");
	p = pattern("a.b");
	assert_string_equal(pattern_literal_suffix(&p), "a.b");
	p = pattern("a.b?");
	assert_string_equal(pattern_literal_suffix(&p), "");
}

static void names_are_canonical(void **state)
{
	struct dname a = dname("Web.Corp.Example."), b = dname("web.corp.example");

	(void)state;
	assert_true(dname_equal(&a, &b));
	assert_string_equal(a.text, "web.corp.example");
	assert_int_equal(a.len, 16);
	assert_int_equal(dname_hash(&a, no_key), dname_hash(&b, no_key));
	assert_int_not_equal(dname_hash(&a, no_key),
			     dname_hash(&a, (const uint8_t[DNAME_KEY_LEN]){1}));
}

static void other_names_are_refused(void **state)
{
	static const char *const texts[] = {"",    ".",  "..",    ".a",  "a..b",
					    "a b", "a*", "a\\.b", "\xff"};
	struct dname n;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(dname_from_text(texts[i], &n), -EINVAL);
	assert_int_equal(dname_from_bytes("a\0b", 3, &n), -EINVAL);
}

static void wire_names_are_read(void **state)
{
	static const uint8_t good[] = "\3Web\4corp\7example";
	static const uint8_t pointer[] = {1, 'a', 0xc0, 12};
	static const uint8_t dot[] = "\3a.b\1c";
	struct dname n, expected = dname("web.corp.example");

	(void)state;
	assert_int_equal(dname_from_wire(good, sizeof(good), &n), 0);
	assert_true(dname_equal(&n, &expected));
	for (size_t len = 0; len < sizeof(good); len++)
		assert_int_equal(dname_from_wire(good, len, &n), -EINVAL);
	assert_int_equal(dname_from_wire(pointer, sizeof(pointer), &n), -EINVAL);
	assert_int_equal(dname_from_wire(dot, sizeof(dot), &n), -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"", 1, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domain_pattern_matches),
		cmocka_unit_test(domain_pattern_does_not_match),
		cmocka_unit_test(matching_is_not_exponential),
		cmocka_unit_test(pattern_displays_without_slash),
		cmocka_unit_test(invalid_patterns_are_refused),
		cmocka_unit_test(pattern_ordering),
		cmocka_unit_test(prioritises_non_wildcard_over_wildcard_domain),
		cmocka_unit_test(literal_suffix_ends_every_match),
		cmocka_unit_test(names_are_canonical),
		cmocka_unit_test(other_names_are_refused),
		cmocka_unit_test(wire_names_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
