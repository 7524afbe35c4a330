/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: calls, from both ends, and from peers that misbehave. */
#include <stdio.h>
#include <sys/resource.h>

#include "ctl_lab.h"

static void call_gets_its_result(void **state)
{
	struct fixture *f = *state;
	json_t *args = json_pack("{s:s, s:i}", "name", "gr\xc3\xbc\xc3\x9f\n", "n", 7);
	struct call c;

	start(f);
	c = call(f, "echo", args);
	assert_int_equal(c.r, 0);
	assert_true(json_equal(c.result, args));
	json_decref(c.result);
	json_decref(args);

	c = call(f, "echo", NULL);
	assert_int_equal(c.r, 0);
	assert_true(json_is_object(c.result));
	assert_int_equal(json_object_size(c.result), 0);
	json_decref(c.result);

	c = call(f, "nothing", NULL);
	assert_int_equal(c.r, 0);
	assert_true(json_is_null(c.result));
	json_decref(c.result);
	RUN_UNTIL(f, ctl_server_connections(f->server) == 0);
}

static void call_gets_long_results(void **state)
{
	struct fixture *f = *state;
	json_t *args = json_pack("{s:i}", "n", 500000);
	struct call c;

	start(f);
	c = call(f, "big", args);
	assert_int_equal(c.r, 0);
	assert_int_equal(json_array_size(c.result), 500000);
	json_decref(c.result);
	json_decref(args);
}

static void call_gets_the_words_of_an_error(void **state)
{
	struct fixture *f = *state;
	struct call c;

	start(f);
	c = call(f, "dance", NULL);
	assert_int_equal(c.r, -EREMOTEIO);
	assert_string_equal(c.error, "unknown command \"dance\"");
	c = call(f, "errno", NULL);
	assert_int_equal(c.r, -EREMOTEIO);
	assert_string_equal(c.error, "No space left on device");
}

static void call_that_is_too_long_is_not_sent(void **state)
{
	struct fixture *f = *state;
	char name[CTL_REQUEST_MAX + 1];
	struct call c;
	json_t *args;

	memset(name, 'x', sizeof(name));
	args = json_pack("{s:s%}", "name", name, sizeof(name));
	start(f);
	c = call(f, "echo", args);
	assert_int_equal(c.r, -E2BIG);
	assert_int_equal(f->handled, 0);
	json_decref(args);
}

static void call_without_a_daemon_says_so(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;
	char expected[CTL_ERROR_LEN];

	assert_int_equal(ctl_call(f->path, "echo", NULL, 1000, &result, f->error), -ENOENT);
	snprintf(expected, sizeof(expected), "cannot connect to %s: No such file or directory",
		 f->path);
	assert_string_equal(f->error, expected);
	assert_null(result);
}

static void call_has_a_deadline(void **state)
{
	struct fixture *f = *state;
	struct instant begin = instant_now();
	json_t *result = NULL;

	start(f); /* and nobody runs it */
	assert_int_equal(ctl_call(f->path, "echo", NULL, 100, &result, f->error), -ETIMEDOUT);
	assert_true(instant_sub(instant_now(), begin) < 10 * NSEC_PER_SEC);
	assert_non_null(strstr(f->error, "no reply from"));
}

static void garbage_is_answered_and_the_connection_lives(void **state)
{
	static const struct {
		const char *request;
		const char *reply;
	} rows[] = {
		{"hello\n", "{\"ok\":false,\"error\":\"request is not JSON: '[' or '{' expected "
			    "near 'hello'\"}"},
		{"\n", "{\"ok\":false,\"error\":\"request is not JSON: '[' or '{' expected near "
		       "end of file\"}"},
		{"[]\n", "{\"ok\":false,\"error\":\"request has no \\\"command\\\": expected an "
			 "object with a string\"}"},
		{"{\"command\":7}\n", "{\"ok\":false,\"error\":\"request has no \\\"command\\\": "
				      "expected an object with a string\"}"},
		{"{\"command\":\"echo\",\"args\":[]}\n",
		 "{\"ok\":false,\"error\":\"\\\"args\\\" is not an object\"}"},
		{"{\"command\":\"echo\",\"command\":\"echo\"}\n",
		 "{\"ok\":false,\"error\":\"request is not JSON: duplicate object key near "
		 "'\\\"command\\\"'\"}"},
		{"{\"command\":\"echo\"}\n", "{\"ok\":true,\"result\":{}}"},
	};
	static const char not_utf8[] = "{\"command\":\"echo\",\"args\":{\"a\":\"\xff\"}}\n";
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;

	start(f);
	fd = raw_client(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		raw_send(f, fd, rows[i].request, strlen(rows[i].request));
		assert_string_equal(raw_line(f, fd), rows[i].reply);
	}
	raw_send(f, fd, not_utf8, strlen(not_utf8));
	assert_non_null(strstr(raw_line(f, fd), "request is not JSON: unable to decode byte 0xff"));
	assert_int_equal(f->handled, 1);
}

static void requests_in_one_packet_or_in_pieces_are_the_same(void **state)
{
	static const char requests[] = "{\"command\":\"echo\",\"args\":{\"n\":1}}\n"
				       "{\"command\":\"nothing\"}\n{\"command\":\"echo\"}\n";
	struct fixture *f = *state;

	start(f);
	for (size_t piece = sizeof(requests) - 1; piece > 0; piece /= 3) {
		_cleanup_(closep) int fd = raw_client(f);

		for (size_t at = 0; at < sizeof(requests) - 1; at += piece) {
			size_t left = sizeof(requests) - 1 - at;

			raw_send(f, fd, requests + at, left < piece ? left : piece);
		}
		assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":{\"n\":1}}");
		assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":null}");
		assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":{}}");
	}
}

static void request_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	static char bytes[CTL_REQUEST_MAX + 1];

	memset(bytes, ' ', sizeof(bytes));
	memcpy(bytes, "{\"command\":\"nothing\"}", 21);
	start(f);

	/* the longest there may be */
	fd = raw_client(f);
	bytes[CTL_REQUEST_MAX] = '\n';
	raw_send(f, fd, bytes, sizeof(bytes));
	assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":null}");

	bytes[CTL_REQUEST_MAX] = ' ';
	raw_send(f, fd, bytes, sizeof(bytes));
	assert_string_equal(raw_line(f, fd), "{\"ok\":false,\"error\":\"request is too long\"}");
	assert_string_equal(raw_line(f, fd), "");
	assert_int_equal(f->handled, 1);
	assert_int_equal(ctl_server_connections(f->server), 0);
}

static void connections_are_bounded(void **state)
{
	struct fixture *f = *state;
	int fds[CTL_CONNECTIONS_MAX], more;

	start(f);
	for (int i = 0; i < CTL_CONNECTIONS_MAX; i++) {
		fds[i] = raw_client(f);
		RUN_UNTIL(f, ctl_server_connections(f->server) == (unsigned int)i + 1);
	}
	more = raw_client(f);
	assert_string_equal(raw_line(f, more), "{\"ok\":false,\"error\":\"too many connections\"}");
	assert_string_equal(raw_line(f, more), "");
	close(more);
	close(fds[0]);
	RUN_UNTIL(f, ctl_server_connections(f->server) == CTL_CONNECTIONS_MAX - 1);
	fds[0] = raw_client(f);
	raw_send(f, fds[0], "{\"command\":\"nothing\"}\n", 22);
	assert_string_equal(raw_line(f, fds[0]), "{\"ok\":true,\"result\":null}");
	for (int i = 0; i < CTL_CONNECTIONS_MAX; i++)
		close(fds[i]);
}

/* Without descriptors the loop sleeps, and goes on when there are some again. */
static void loop_does_not_spin_without_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, low;
	unsigned int rounds = 0;
	int client, spare;

	start(f);
	client = raw_client(f);
	spare = dup(client);
	assert_true(spare >= 0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (struct instant end = instant_add(instant_now(), 300 * NSEC_PER_MSEC);
	     !instant_reached(end, instant_now()); rounds++)
		assert_true(sd_event_run(f->event, 20000) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_in_range(rounds, 1, 40);
	assert_int_equal(ctl_server_connections(f->server), 0);
	RUN_UNTIL(f, ctl_server_connections(f->server) == 1);
	close(client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(call_gets_its_result),
		T(call_gets_long_results),
		T(call_gets_the_words_of_an_error),
		T(call_that_is_too_long_is_not_sent),
		T(call_without_a_daemon_says_so),
		T(call_has_a_deadline),
		T(garbage_is_answered_and_the_connection_lives),
		T(requests_in_one_packet_or_in_pieces_are_the_same),
		T(request_that_is_too_long_is_refused),
		T(connections_are_bounded),
		T(loop_does_not_spin_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
