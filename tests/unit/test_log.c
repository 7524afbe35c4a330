/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: what a line looks like, that nothing from outside breaks one, and that it is bounded. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/log_line.h"

#include "../lib/skip.h"

#define FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.type = LOG_TYPE_END}})

static const char *finish(struct log_line *line)
{
	assert_true(line->len < sizeof(line->text));
	line->text[line->len] = '\0';
	return line->text;
}

static void assert_text(const struct log_field *fields, const char *expected)
{
	struct log_line line = {.len = 0};

	log_line_text(&line, "event", fields);
	assert_string_equal(finish(&line), expected);
}

static void text_quotes_what_is_not_plain(void **state)
{
	(void)state;
	assert_text(FIELDS(log_str("k", "www.corp.example")), "event k=www.corp.example");
	assert_text(FIELDS(log_str("k", "")), "event k=\"\"");
	assert_text(FIELDS(log_str("k", NULL)), "event k=-");
	assert_text(FIELDS(log_str("k", "a b")), "event k=\"a b\"");
	assert_text(FIELDS(log_str("k", "a=b")), "event k=\"a=b\"");
	assert_text(FIELDS(log_str("k", "a\"b\\c")), "event k=\"a\\\"b\\\\c\"");
	assert_text(FIELDS(log_str("k", "gr\xc3\xbc\xc3\x9f")), "event k=\"gr\xc3\xbc\xc3\x9f\"");
}

static void text_escapes_what_acts_on_a_terminal(void **state)
{
	(void)state;
	assert_text(FIELDS(log_str("k", "a\nerror: forged")), "event k=\"a\\nerror: forged\"");
	assert_text(FIELDS(log_str("k", "\x1b[2J")), "event k=\"\\x1b[2J\"");
	assert_text(FIELDS(log_bytes("k", "a\0b", 3)), "event k=\"a\\x00b\"");
	/* C1 control, right-to-left override, line separator */
	assert_text(FIELDS(log_str("k", "\xc2\x9b")), "event k=\"\\u009b\"");
	assert_text(FIELDS(log_str("k", "\xe2\x80\xae")), "event k=\"\\u202e\"");
	assert_text(FIELDS(log_str("k", "\xe2\x80\xa8")), "event k=\"\\u2028\"");
}

static void text_escapes_invalid_utf8(void **state)
{
	(void)state;
	assert_text(FIELDS(log_str("k", "\xff")), "event k=\"\\xff\"");
	/* overlong '/', surrogate, truncated, above U+10FFFF */
	assert_text(FIELDS(log_str("k", "\xc0\xaf")), "event k=\"\\xc0\\xaf\"");
	assert_text(FIELDS(log_str("k", "\xed\xa0\x80")), "event k=\"\\xed\\xa0\\x80\"");
	assert_text(FIELDS(log_str("k", "\xe2\x82")), "event k=\"\\xe2\\x82\"");
	assert_text(FIELDS(log_str("k", "\xf4\x90\x80\x80")), "event k=\"\\xf4\\x90\\x80\\x80\"");
}

static void text_prints_every_type(void **state)
{
	(void)state;
	assert_text(FIELDS(log_int("i", INT64_MIN), log_uint("u", UINT64_MAX), log_bool("b", true),
			   log_errno(-ENOENT)),
		    "event i=-9223372036854775808 u=18446744073709551615 b=true "
		    "error=\"No such file or directory\"");
}

static void long_values_are_cut_between_characters(void **state)
{
	char value[LOG_VALUE_MAX + 100];
	struct log_line line = {.len = 0};

	(void)state;
	memset(value, 'x', sizeof(value));
	/* a character of two bytes across the limit */
	memcpy(value + LOG_VALUE_MAX - 1, "\xc3\xbc", 2);

	log_line_text(&line, "m", FIELDS(log_bytes("k", value, sizeof(value))));

	finish(&line);
	assert_int_equal(line.len, strlen("m k=\"") + LOG_VALUE_MAX + 1 + strlen("...\""));
	assert_non_null(strstr(line.text, "x\xc3\xbc...\""));
}

static void line_that_is_full_stays_whole(void **state)
{
	struct log_field fields[LOG_FIELDS_MAX + 1] = {0};
	char value[LOG_VALUE_MAX];
	struct log_line line = {.len = 0};
	json_t *json;

	(void)state;
	memset(value, 1, sizeof(value)); /* six bytes each once escaped */
	for (int i = 0; i < LOG_FIELDS_MAX; i++)
		fields[i] = log_bytes("key", value, sizeof(value));

	log_line_json(&line, (struct timespec){0}, LOG_INFO, "m", fields);

	json = json_loads(finish(&line), 0, NULL);
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "truncated")));
	json_decref(json);
}

static void json_is_what_it_was_given(void **state)
{
	struct log_line line = {.len = 0};
	json_t *json;

	(void)state;
	log_line_json(&line, (struct timespec){1798761600, 7000000}, LOG_WARNING, "went on",
		      FIELDS(log_str("s", "a\"\\\n\x1b\xff"), log_int("i", -5),
			     log_bool("b", false), log_str("n", NULL)));

	assert_string_equal(finish(&line),
			    "{\"time\":\"2027-01-01T00:00:00.007Z\",\"level\":\"warn\","
			    "\"message\":\"went on\",\"s\":\"a\\\"\\\\\\n\\u001b\\ufffd\","
			    "\"i\":-5,\"b\":false,\"n\":null}");
	json = json_loads(line.text, 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_integer_value(json_object_get(json, "i")), -5);
	json_decref(json);
}

static void site_logs_a_burst_then_one_line_a_second(void **state)
{
	struct log_site site = {0};
	struct instant t = {1000};
	uint64_t suppressed = 99;

	(void)state;
	for (int i = 0; i < LOG_LIMIT_BURST; i++) {
		assert_true(log_site_take(&site, t, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	for (int i = 0; i < 1000; i++)
		assert_false(log_site_take(&site, t, &suppressed));
	assert_false(log_site_take(&site, instant_add(t, NSEC_PER_SEC - 1), &suppressed));

	t = instant_add(t, NSEC_PER_SEC);
	assert_true(log_site_take(&site, t, &suppressed));
	assert_int_equal(suppressed, 1001);
	assert_false(log_site_take(&site, t, &suppressed));

	/* a long silence earns a burst, not more */
	t = instant_add(t, 3600 * NSEC_PER_SEC);
	for (int i = 0; i < LOG_LIMIT_BURST; i++)
		assert_true(log_site_take(&site, t, &suppressed));
	assert_false(log_site_take(&site, t, &suppressed));
}

/* What @fn logs, up to 8 KiB. */
static void capture(void (*fn)(void), char *ret_text, size_t cap)
{
	_cleanup_(closep) int fd = memfd_create("log", MFD_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	log_redirect(fd);
	fn();
	log_redirect(-1);
	n = pread(fd, ret_text, cap - 1, 0);
	assert_true(n >= 0);
	ret_text[n] = '\0';
}

static void log_levels(void)
{
	log_open(LOG_FORMAT_TEXT, LOG_INFO);
	log_event(LOG_ERR, "broken");
	log_event(LOG_WARNING, "ignoring", log_uint("n", 1));
	log_event(LOG_INFO, "started");
	log_event(LOG_DEBUG, "detail");
}

static void less_important_levels_are_dropped(void **state)
{
	char text[256];

	(void)state;
	capture(log_levels, text, sizeof(text));

	assert_string_equal(text, "error: broken\nwarn: ignoring n=1\ninfo: started\n");
}

static void log_a_flood(void)
{
	log_open(LOG_FORMAT_JSON, LOG_INFO);
	for (int i = 0; i < 100000; i++)
		log_limited(LOG_WARNING, "malformed query", log_int("i", i));
}

static void what_an_application_can_cause_is_bounded(void **state)
{
	char text[8192];
	unsigned int lines = 0;

	(void)state;
	capture(log_a_flood, text, sizeof(text));

	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	/* the loop takes less than some seconds, even sanitised */
	assert_in_range(lines, LOG_LIMIT_BURST, LOG_LIMIT_BURST + 10);
}

static void log_keeps_errno(void **state)
{
	(void)state;
	log_open(LOG_FORMAT_TEXT, LOG_INFO);
	log_redirect(1000); /* not open: the write fails */
	errno = ENOSPC;
	log_event(LOG_ERR, "disk full");
	assert_int_equal(errno, ENOSPC);
	log_redirect(-1);
}

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

/* What the journal's socket would get, as NUL-terminated text. */
static void receive(int fd, char *text, size_t cap)
{
	ssize_t n = recv(fd, text, cap - 1, MSG_DONTWAIT);

	CHECK(n > 0);
	text[n] = '\0';
}

/* In a mount namespace with a journal of our own. Exits with 0, 1 or 77 (cannot be tried). */
static void try_journal(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX,
				   .sun_path = "/run/systemd/journal/socket"};
	char text[4096];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0)
		_exit(77);
	CHECK(mkdir("/run/systemd", 0755) == 0 && mkdir("/run/systemd/journal", 0755) == 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	log_open(LOG_FORMAT_JOURNAL, LOG_INFO);
	log_event(LOG_WARNING, "domain failed", log_str("domain", "www.corp.example"),
		  log_uint("held_packets", 3));
	receive(fd, text, sizeof(text));
	CHECK(strstr(text, "MESSAGE=domain failed domain=www.corp.example held_packets=3\n"));
	CHECK(strstr(text, "PRIORITY=4\n"));
	CHECK(strstr(text, "FQDNAT_DOMAIN=www.corp.example\n"));
	CHECK(strstr(text, "FQDNAT_HELD_PACKETS=3\n"));
	_exit(0);
}

static void journal_gets_fields_of_their_own(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		try_journal();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_because("cannot make a mount namespace (not root?)");
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void words_are_exact(void **state)
{
	enum log_format format;
	int level;

	(void)state;
	assert_int_equal(log_format_parse("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("JSON", &format), -EINVAL);
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_WARNING);
	assert_int_equal(log_level_parse("warning", &level), -EINVAL);
	assert_string_equal(log_level_name(LOG_NOTICE), "info");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_quotes_what_is_not_plain),
		cmocka_unit_test(text_escapes_what_acts_on_a_terminal),
		cmocka_unit_test(text_escapes_invalid_utf8),
		cmocka_unit_test(text_prints_every_type),
		cmocka_unit_test(long_values_are_cut_between_characters),
		cmocka_unit_test(line_that_is_full_stays_whole),
		cmocka_unit_test(json_is_what_it_was_given),
		cmocka_unit_test(site_logs_a_burst_then_one_line_a_second),
		cmocka_unit_test(less_important_levels_are_dropped),
		cmocka_unit_test(what_an_application_can_cause_is_bounded),
		cmocka_unit_test(log_keeps_errno),
		cmocka_unit_test(journal_gets_fields_of_their_own),
		cmocka_unit_test(words_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
