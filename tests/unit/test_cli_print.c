/* SPDX-License-Identifier: BSD-2-Clause */
/* The printers: tables that fit, JSON that is one value, text that is harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/print.h"
#include "cli/text.h"

#define N(a)    (sizeof(a) / sizeof((a)[0]))
#define LONG_V6 "2001:db8:1111:2222:3333:4444:5555:6666" /* 38 characters; the longest has 39 */

static const struct column pairs[] = {
	{"NAME", "name", 0, NULL},
	{"COUNT", "count", COLUMN_RIGHT, NULL},
};

static const struct column endpoints[] = {
	{"PROTO", "protocol", 0, NULL},
	{"CLIENT", "client", 0, NULL},
	{"PROXY", "proxy", 0, NULL},
	{"NAT", "nat", COLUMN_BREAK, NULL},
	{"REAL", "real", 0, NULL},
	{"STATE", "state", COLUMN_BREAK, NULL},
	{"PACKETS", "n", COLUMN_RIGHT, NULL},
};

struct capture {
	FILE *f;
	char *text;
	size_t len;
	struct printer *p;
};

static void open_capture(struct capture *c, enum print_form form, bool bold)
{
	c->f = open_memstream(&c->text, &c->len);
	assert_non_null(c->f);
	assert_int_equal(printer_new(c->f, form, PRINT_WIDTH, bold, &c->p), 0);
}

static void close_capture(struct capture *c)
{
	printer_free(c->p);
	fclose(c->f);
	free(c->text);
}

static void expect_rows(enum print_form form, const struct column *columns, size_t n,
			const char *rows, const char *text)
{
	struct capture c = {0};
	json_t *array = json_loads(rows, 0, NULL);

	assert_non_null(array);
	open_capture(&c, form, false);
	assert_int_equal(print_rows(c.p, columns, n, array), 0);
	assert_string_equal(c.text, text);
	close_capture(&c);
	json_decref(array);
}

static size_t widest_line(const char *text)
{
	size_t widest = 0;
	char *copy = strdup(text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")))
		if (text_width(line) > widest)
			widest = text_width(line);
	free(copy);
	return widest;
}

static void table_aligns_words_left_and_numbers_right(void **state)
{
	(void)state;
	expect_rows(PRINT_TEXT, pairs, 2,
		    "[{\"name\":\"a\",\"count\":5},{\"name\":\"longer\",\"count\":123456}]",
		    "NAME     COUNT\n"
		    "a            5\n"
		    "longer  123456\n");
}

static void empty_table_has_its_heading(void **state)
{
	(void)state;
	expect_rows(PRINT_TEXT, pairs, 2, "[]", "NAME  COUNT\n");
}

static void missing_and_null_values_are_dashes(void **state)
{
	(void)state;
	expect_rows(PRINT_TEXT, pairs, 2, "[{\"name\":null}]",
		    "NAME  COUNT\n"
		    "-         -\n");
}

static void lists_show_the_first_and_how_many_follow(void **state)
{
	static const struct column columns[] = {{"A", "a", COLUMN_FIRST, NULL},
						{"B", "b", 0, NULL}};

	(void)state;
	expect_rows(
		PRINT_TEXT, columns, 2,
		"[{\"a\":[\"x\",\"y\",\"z\"],\"b\":[{\"tcp\":443},\"icmp\"]},{\"a\":[],\"b\":[1]}]",
		"A       B\n"
		"x (+2)  tcp 443, icmp\n"
		"-       1\n");
}

static void ipv4_sessions_need_one_line(void **state)
{
	(void)state;
	expect_rows(
		PRINT_TEXT, endpoints, N(endpoints),
		"[{\"protocol\":\"tcp\",\"client\":\"192.0.2.2:40000\",\"proxy\":\"100.96.0.1:"
		"443\","
		"\"nat\":\"198.51.100.1\",\"real\":\"198.51.100.10\",\"state\":\"new\",\"n\":7}]",
		"PROTO  CLIENT           PROXY           NAT           REAL           STATE  "
		"PACKETS\n"
		"tcp    192.0.2.2:40000  100.96.0.1:443  198.51.100.1  198.51.100.10  new          "
		"7\n");
}

static void too_wide_rows_fold_at_their_breaks(void **state)
{
	(void)state;
	expect_rows(PRINT_TEXT, endpoints, N(endpoints),
		    "[{\"protocol\":\"tcp\",\"client\":\"" LONG_V6 "\",\"proxy\":\"" LONG_V6 "\","
		    "\"nat\":\"" LONG_V6 "\",\"real\":\"2001:db8::1\",\"state\":\"new\",\"n\":7}]",
		    "PROTO  CLIENT                                  PROXY\n"
		    "    NAT                                     REAL\n"
		    "    STATE  PACKETS\n"
		    "tcp    " LONG_V6 "  " LONG_V6 "\n"
		    "    " LONG_V6 "  2001:db8::1\n"
		    "    new          7\n");
}

static void longest_endpoints_fit_100_columns(void **state)
{
	static const char longest[] = "[2001:0db8:1111:2222:3333:4444:5555:6666]:65535";
	struct capture c = {0};

	(void)state;
	open_capture(&c, PRINT_TEXT, false);
	assert_int_equal(print_begin(c.p, endpoints, N(endpoints)), 0);
	assert_int_equal(print_row(c.p, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "protocol",
						  "icmpv6", "client", longest, "proxy", longest,
						  "nat", longest, "real", longest, "state",
						  "established", "n", 1 << 30)),
			 0);
	assert_int_equal(print_end(c.p), 0);

	assert_in_range(widest_line(c.text), 60, PRINT_WIDTH);
	assert_non_null(strstr(c.text, longest));
	close_capture(&c);
}

static void names_of_any_length_fit_100_columns(void **state)
{
	char name[254];
	struct capture c = {0};

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	open_capture(&c, PRINT_TEXT, false);
	assert_int_equal(print_begin(c.p, endpoints, N(endpoints)), 0);
	assert_int_equal(
		print_row(c.p, json_pack("{s:s, s:s, s:s, s:s, s:s}", "protocol", name, "client",
					 name, "proxy", name, "nat", name, "real", name)),
		0);
	assert_int_equal(print_end(c.p), 0);

	assert_in_range(widest_line(c.text), 60, PRINT_WIDTH);
	close_capture(&c);
}

static void last_column_wraps_into_its_room(void **state)
{
	static const struct column columns[] = {{"REASON", "reason", 0, NULL},
						{"TEXT", "text", COLUMN_WRAP, NULL}};

	(void)state;
	expect_rows(
		PRINT_TEXT, columns, 2,
		"[{\"reason\":\"translated_slow\",\"text\":\"translated and sent through the "
		"kernel while the neighbour is being resolved there, which may take some time\"}]",
		"REASON           TEXT\n"
		"translated_slow  translated and sent through the kernel while the neighbour is "
		"being resolved there,\n"
		"                 which may take some time\n");
}

static void later_batches_only_widen_columns(void **state)
{
	struct capture c = {0};
	char *line;
	size_t lines = 0;

	(void)state;
	open_capture(&c, PRINT_TEXT, false);
	assert_int_equal(print_begin(c.p, pairs, 2), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(
			print_row(c.p, json_pack("{s:s, s:i}", "name",
						 i < 1500 ? "n" : "a-longer-name", "count", i)),
			0);
	assert_int_equal(print_end(c.p), 0);

	for (line = c.text; (line = strchr(line, '\n')); line++)
		lines++;
	assert_int_equal(lines, 2001);
	assert_non_null(strstr(c.text, "\na-longer-name   1999\n"));
	close_capture(&c);
}

static void titles_are_bold_only_on_a_terminal(void **state)
{
	struct capture c = {0};
	json_t *none = json_array();

	(void)state;
	open_capture(&c, PRINT_TEXT, true);
	assert_int_equal(print_rows(c.p, pairs, 2, none), 0);
	assert_string_equal(c.text, "\033[1mNAME  COUNT\n\033[0m");
	close_capture(&c);
	json_decref(none);
}

static void json_is_one_line_with_rows_untouched(void **state)
{
	(void)state;
	expect_rows(PRINT_JSON, pairs, 2, "[]", "[]\n");
	expect_rows(
		PRINT_JSON, pairs, 2,
		"[{\"name\":\"a\",\"count\":5,\"more\":null},{\"name\":\"b\\u001b\",\"x\":[1.5]}]",
		"[{\"name\":\"a\",\"count\":5,\"more\":null},{\"name\":\"b\\u001B\",\"x\":[1.5]}]"
		"\n");
}

static void pretty_json_is_indented_as_one_value(void **state)
{
	(void)state;
	expect_rows(PRINT_JSON_PRETTY, pairs, 2, "[]", "[]\n");
	expect_rows(PRINT_JSON_PRETTY, pairs, 2, "[{\"a\":1},{\"b\":[2]}]",
		    "[\n"
		    "  {\n"
		    "    \"a\": 1\n"
		    "  },\n"
		    "  {\n"
		    "    \"b\": [\n"
		    "      2\n"
		    "    ]\n"
		    "  }\n"
		    "]\n");
}

static void records_list_everything(void **state)
{
	static const struct column columns[] = {
		{"DOMAIN", "domain", 0, NULL},
		{"PROXY", "proxy_addresses", COLUMN_FIRST, NULL},
		{NULL, "resends", 0, NULL},
		{NULL, "not_there", 0, NULL},
	};
	struct capture c = {0};
	json_t *record = json_pack("{s:s, s:[s,s], s:i}", "domain", "web.corp.example",
				   "proxy_addresses", "100.96.0.1", "100.96.0.2", "resends", 0);

	(void)state;
	open_capture(&c, PRINT_TEXT, false);
	assert_int_equal(print_record(c.p, columns, N(columns), record), 0);
	assert_string_equal(c.text, "domain:           web.corp.example\n"
				    "proxy addresses:  100.96.0.1, 100.96.0.2\n"
				    "resends:          0\n");
	close_capture(&c);
	json_decref(record);
}

static void events_are_one_line_each(void **state)
{
	struct capture text = {0}, json = {0};
	json_t *event = json_pack("{s:s, s:s, s:s, s:i, s:s}", "event", "domain", "time", "T",
				  "name", "a b\nc", "held", 3, "state", "failed");

	(void)state;
	open_capture(&text, PRINT_TEXT, false);
	open_capture(&json, PRINT_JSON, false);
	assert_int_equal(print_event(text.p, event), 0);
	assert_int_equal(print_event(json.p, event), 0);

	assert_string_equal(text.text, "T domain name=\"a b?c\" held=3 state=failed\n");
	assert_string_equal(json.text, "{\"event\":\"domain\",\"time\":\"T\",\"name\":\"a b\\nc\","
				       "\"held\":3,\"state\":\"failed\"}\n");
	close_capture(&text);
	close_capture(&json);
	json_decref(event);
}

static void trees_become_yaml(void **state)
{
	struct capture c = {0};
	json_t *tree = json_loads(
		"{\"interfaces\":[\"lan0\",{\"name\":\"wan0\",\"mode\":\"native\"}],"
		"\"edge\":{\"pools\":{\"ipv4\":\"100.96.0.0/11\"},\"allow\":[]},"
		"\"count\":-3,\"on\":true,\"none\":null,\"word\":\"yes\",\"x\":[[1,2],[3]]}",
		0, NULL);

	(void)state;
	open_capture(&c, PRINT_TEXT, false);
	assert_int_equal(print_tree(c.p, tree), 0);
	assert_string_equal(c.text, "interfaces:\n"
				    "  - lan0\n"
				    "  - name: wan0\n"
				    "    mode: native\n"
				    "edge:\n"
				    "  pools:\n"
				    "    ipv4: \"100.96.0.0/11\"\n"
				    "  allow: []\n"
				    "count: -3\n"
				    "\"on\": true\n"
				    "none: null\n"
				    "word: \"yes\"\n"
				    "x:\n"
				    "  - - 1\n"
				    "    - 2\n"
				    "  - - 3\n");
	close_capture(&c);
	json_decref(tree);
}

static void expect_text(char *got, const char *expected)
{
	assert_non_null(got);
	assert_string_equal(got, expected);
	free(got);
}

static void text_counts_characters_and_is_harmless(void **state)
{
	(void)state;
	assert_int_equal(text_width("b\xc3\xbc"
				    "cher"),
			 6);
	expect_text(text_printable("a\033[2Jb\x7f"
				   "c\xc2\x9b"
				   "d"),
		    "a?[2Jb?c??d");
	expect_text(text_printable("b\xc3\xbc"
				   "cher"),
		    "b\xc3\xbc"
		    "cher");
	expect_text(text_shorten("short", 10), "short");
	expect_text(text_shorten("a-very-long-name.corp.example", 15), "a-very...xample");
	expect_text(text_shorten("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 5),
		    "\xc3\xbc...\xc3\xbc");
}

static void durations_and_endpoints_read_well(void **state)
{
	(void)state;
	expect_text(text_duration(-1), "0s");
	expect_text(text_duration(59), "59s");
	expect_text(text_duration(60), "1m00s");
	expect_text(text_duration(7440), "2h04m");
	expect_text(text_duration(3 * 86400 + 7 * 3600), "3d07h");
	expect_text(text_endpoint("192.0.2.1", 443), "192.0.2.1:443");
	expect_text(text_endpoint("2001:db8::1", 443), "[2001:db8::1]:443");
	expect_text(text_endpoint("2001:db8::1", 0), "2001:db8::1");
	expect_text(text_endpoint(NULL, 1), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_aligns_words_left_and_numbers_right),
		cmocka_unit_test(empty_table_has_its_heading),
		cmocka_unit_test(missing_and_null_values_are_dashes),
		cmocka_unit_test(lists_show_the_first_and_how_many_follow),
		cmocka_unit_test(ipv4_sessions_need_one_line),
		cmocka_unit_test(too_wide_rows_fold_at_their_breaks),
		cmocka_unit_test(longest_endpoints_fit_100_columns),
		cmocka_unit_test(names_of_any_length_fit_100_columns),
		cmocka_unit_test(last_column_wraps_into_its_room),
		cmocka_unit_test(later_batches_only_widen_columns),
		cmocka_unit_test(titles_are_bold_only_on_a_terminal),
		cmocka_unit_test(json_is_one_line_with_rows_untouched),
		cmocka_unit_test(pretty_json_is_indented_as_one_value),
		cmocka_unit_test(records_list_everything),
		cmocka_unit_test(events_are_one_line_each),
		cmocka_unit_test(trees_become_yaml),
		cmocka_unit_test(text_counts_characters_and_is_harmless),
		cmocka_unit_test(durations_and_endpoints_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
