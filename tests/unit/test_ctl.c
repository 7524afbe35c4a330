/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: both ends against each other, and against peers that misbehave. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/instant.h"
#include "io/ctl_client.h"
#include "io/ctl_server.h"

#define DEADLINE_NS (20 * NSEC_PER_SEC)

struct fixture {
	char dir[64];
	char path[96];
	char error[CTL_ERROR_LEN];
	sd_event *event;
	struct ctl_server *server;
	unsigned int handled;
	bool publish; /* every request publishes an event */
};

static int handler(void *ctx, const char *command, const json_t *args, json_t **ret_result,
		   char ret_error[CTL_ERROR_LEN])
{
	struct fixture *f = ctx;

	f->handled++;
	if (f->publish) {
		json_t *event = json_pack("{s:s}", "event", "handled");

		assert_int_equal(ctl_server_publish(f->server, event), 0);
		json_decref(event);
	}
	if (strcmp(command, "echo") == 0) {
		*ret_result = json_deep_copy(args);
		return 0;
	}
	if (strcmp(command, "big") == 0) {
		json_int_t n = json_integer_value(json_object_get(args, "n"));

		*ret_result = json_array();
		while (n--)
			json_array_append_new(*ret_result, json_string("0123456789abcdef"));
		return 0;
	}
	if (strcmp(command, "nothing") == 0)
		return 0;
	if (strcmp(command, "errno") == 0)
		return -ENOSPC;
	snprintf(ret_error, CTL_ERROR_LEN, "unknown command \"%.100s\"", command);
	return -EINVAL;
}

static void start(struct fixture *f)
{
	int r = ctl_server_new(f->event, f->path, handler, f, &f->server, f->error);

	if (r < 0)
		fail_msg("%s", f->error);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || sd_event_new(&f->event) < 0)
		return -1;
	strcpy(f->dir, "/tmp/fqdnat-ctl-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/run/control.sock", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char run[80];

	ctl_server_free(f->server);
	sd_event_unref(f->event);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	unlink(f->path);
	rmdir(run);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void step(struct fixture *f, struct instant deadline)
{
	assert_true(instant_now().ns < deadline.ns);
	assert_true(sd_event_run(f->event, 2000) >= 0);
}

#define RUN_UNTIL(f, condition)                                                                \
	for (struct instant deadline_ = instant_add(instant_now(), DEADLINE_NS); !(condition); \
	     step(f, deadline_))

/* A call from a thread of its own, while this one runs the server. */
struct call {
	struct fixture *f;
	const char *command;
	const json_t *args;
	int timeout_ms;
	atomic_bool done;
	int r;
	json_t *result;
	char error[CTL_ERROR_LEN];
};

static void *call_thread(void *arg)
{
	struct call *call = arg;

	call->r = ctl_call(call->f->path, call->command, call->args, call->timeout_ms,
			   &call->result, call->error);
	atomic_store(&call->done, true);
	return NULL;
}

static struct call call(struct fixture *f, const char *command, const json_t *args)
{
	struct call c = {.f = f, .command = command, .args = args, .timeout_ms = CTL_TIMEOUT_MS};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_thread, &c), 0);
	RUN_UNTIL(f, atomic_load(&c.done));
	pthread_join(thread, NULL);
	return c;
}

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

/* A peer of our own making. */
static int raw_client(struct fixture *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void raw_send(struct fixture *f, int fd, const char *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else
			assert_int_equal(errno, EAGAIN);
		assert_true(sd_event_run(f->event, 0) >= 0);
	}
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* The next line, without its end; "" at the end of the stream. */
static const char *raw_line(struct fixture *f, int fd)
{
	static char line[4096];
	size_t len = 0;

	for (;;) {
		char *end;
		ssize_t n;

		RUN_UNTIL(f, readable(fd));
		assert_true(len < sizeof(line) - 1);
		n = recv(fd, line + len, sizeof(line) - 1 - len, MSG_PEEK);
		assert_true(n >= 0);
		end = memchr(line + len, '\n', (size_t)n);
		if (end)
			n = end + 1 - (line + len);
		assert_int_equal(recv(fd, line + len, (size_t)n, 0), n);
		len += (size_t)n;
		if (end || n == 0)
			break;
	}
	line[len > 0 && line[len - 1] == '\n' ? len - 1 : len] = '\0';
	return line;
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

static void publish(struct fixture *f, int n, size_t padding)
{
	static char text[8192];
	json_t *event;

	assert_true(padding < sizeof(text));
	memset(text, 'x', padding);
	text[padding] = '\0';
	event = json_pack("{s:i, s:s}", "event", n, "text", text);
	assert_int_equal(ctl_server_publish(f->server, event), 0);
	json_decref(event);
}

static int subscribe(struct fixture *f)
{
	int fd = raw_client(f);

	raw_send(f, fd, "{\"command\":\"monitor\"}\n", 22);
	assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":null}");
	return fd;
}

static void subscribers_get_events_in_order(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int a = -1, b = -1;

	start(f);
	publish(f, 0, 0); /* nobody listens */
	a = subscribe(f);
	publish(f, 1, 0);
	b = subscribe(f);
	publish(f, 2, 0);
	assert_int_equal(ctl_server_subscribers(f->server), 2);
	assert_string_equal(raw_line(f, a), "{\"event\":1,\"text\":\"\"}");
	assert_string_equal(raw_line(f, a), "{\"event\":2,\"text\":\"\"}");
	assert_string_equal(raw_line(f, b), "{\"event\":2,\"text\":\"\"}");

	/* what a subscriber says is not listened to; that it goes is noticed */
	raw_send(f, a, "{\"command\":\"nothing\"}\n", 22);
	publish(f, 3, 0);
	assert_string_equal(raw_line(f, a), "{\"event\":3,\"text\":\"\"}");
	assert_int_equal(f->handled, 0);
	close(TAKE_FD(b));
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
}

static void handler_may_publish(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int a = -1, b = -1;

	start(f);
	f->publish = true;
	a = subscribe(f);
	b = raw_client(f);
	raw_send(f, b, "{\"command\":\"nothing\"}\n", 22);
	assert_string_equal(raw_line(f, a), "{\"event\":\"handled\"}");
	assert_string_equal(raw_line(f, b), "{\"ok\":true,\"result\":null}");
}

static void slow_subscriber_is_told_and_dropped(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int slow = -1, fast = -1;
	char line[4096 + 64] = "";
	int sent = 0, got = 0;

	start(f);
	slow = subscribe(f);
	fast = subscribe(f);
	/* the kernel's buffers, then the queue */
	while (ctl_server_subscribers(f->server) == 2 && sent < 10000) {
		publish(f, sent++, 1000);
		assert_non_null(strstr(raw_line(f, fast), "\"event\":"));
	}
	/* it has missed nothing before the last line, and then it is over */
	for (;;) {
		char expected[32];

		strcpy(line, raw_line(f, slow));
		if (strstr(line, "overrun"))
			break;
		snprintf(expected, sizeof(expected), "{\"event\":%d,", got++);
		assert_memory_equal(line, expected, strlen(expected));
	}
	assert_string_equal(line, "{\"event\":\"overrun\","
				  "\"text\":\"events were not read fast enough: disconnected\"}");
	assert_in_range(got, CTL_MONITOR_QUEUE_MAX / 1100, sent);
	assert_string_equal(raw_line(f, slow), "");
	assert_int_equal(ctl_server_subscribers(f->server), 1);
	publish(f, 7, 0);
	assert_string_equal(raw_line(f, fast), "{\"event\":7,\"text\":\"\"}");
}

/* A follower from a thread of its own. */
struct follow {
	struct fixture *f;
	const volatile sig_atomic_t *stop;
	atomic_int events;
	atomic_bool done;
	int stop_after;
	int r;
	char error[CTL_ERROR_LEN];
};

static int on_event(void *ctx, const json_t *event)
{
	struct follow *follow = ctx;

	(void)event;
	return atomic_fetch_add(&follow->events, 1) + 1 == follow->stop_after ? 1 : 0;
}

static void *follow_thread(void *arg)
{
	struct follow *follow = arg;

	follow->r = ctl_follow(follow->f->path, on_event, follow, follow->stop, follow->error);
	atomic_store(&follow->done, true);
	return NULL;
}

static void follower_ends_when_it_likes_or_when_the_server_does(void **state)
{
	struct fixture *f = *state;
	struct follow follow = {.f = f, .stop_after = 2};
	pthread_t thread;

	start(f);
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	publish(f, 1, 0);
	publish(f, 2, 0);
	publish(f, 3, 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, 1);
	assert_int_equal(atomic_load(&follow.events), 2);

	follow = (struct follow){.f = f};
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 0);
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	for (int i = 0; i < 3; i++)
		step(f, instant_add(instant_now(), DEADLINE_NS)); /* the reply goes out */
	ctl_server_free(TAKE_PTR(f->server));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, 0);
}

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* The signal comes while the follower is busy, and no event after it. */
static int on_event_interrupted(void *ctx, const json_t *event)
{
	(void)ctx;
	(void)event;
	return raise(SIGUSR1);
}

static void *interrupted_thread(void *arg)
{
	struct follow *follow = arg;

	follow->r = ctl_follow(follow->f->path, on_event_interrupted, follow, follow->stop,
			       follow->error);
	atomic_store(&follow->done, true);
	return NULL;
}

static void signal_between_two_waits_ends_following(void **state)
{
	const struct sigaction action = {.sa_handler = interrupt};
	struct fixture *f = *state;
	struct follow follow = {.f = f, .stop = &interrupted};
	struct sigaction before;
	pthread_t thread;

	interrupted = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	start(f);
	assert_int_equal(pthread_create(&thread, NULL, interrupted_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	publish(f, 1, 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, -EINTR);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 0);

	/* and one that came before the first wait; the socket is never waited for */
	assert_int_equal(ctl_follow(f->path, on_event, &follow, &interrupted, follow.error),
			 -EINTR);

	/* and one that comes in the middle of a wait */
	interrupted = 0;
	follow = (struct follow){.f = f, .stop = &interrupted};
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	for (int i = 0; i < 20; i++)
		step(f, instant_add(instant_now(), DEADLINE_NS));
	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, -EINTR);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void file_that_cannot_be_looked_at_is_named(void **state)
{
	struct fixture *f = *state;
	char run[80], expected[CTL_ERROR_LEN];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(symlink("run", run), 0); /* to itself: ELOOP */
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &f->server, f->error),
			 -ELOOP);
	snprintf(expected, sizeof(expected), "cannot look at %s: Too many levels of symbolic links",
		 f->path);
	assert_string_equal(f->error, expected);
	assert_int_equal(unlink(run), 0);
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

static void socket_is_for_its_owner_only(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	start(f);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	ctl_server_free(TAKE_PTR(f->server));
	assert_int_equal(lstat(f->path, &st), -1);
}

static void stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *second = NULL;
	char expected[CTL_ERROR_LEN];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	start(f);
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &second, f->error),
			 -EADDRINUSE);
	snprintf(expected, sizeof(expected), "%s: another daemon answers there", f->path);
	assert_string_equal(f->error, expected);
	ctl_server_free(TAKE_PTR(f->server));

	/* what a killed daemon leaves behind */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	start(f);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *server = NULL;
	struct stat st;
	char run[80];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(mkdir(run, 0700), 0);
	close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &server, f->error), -EEXIST);
	assert_non_null(strstr(f->error, "exists and is no socket"));
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void paths_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *server = NULL;
	char path[200];
	json_t *result;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ctl_server_new(f->event, path, handler, f, &server, f->error),
			 -ENAMETOOLONG);
	assert_int_equal(ctl_call(path, "echo", NULL, 100, &result, f->error), -ENAMETOOLONG);
}

static void socket_of_a_successor_is_not_removed(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *successor = NULL;
	struct stat st;

	start(f);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &successor, f->error), 0);
	ctl_server_free(TAKE_PTR(f->server));
	assert_int_equal(lstat(f->path, &st), 0);
	ctl_server_free(successor);
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
		T(subscribers_get_events_in_order),
		T(handler_may_publish),
		T(slow_subscriber_is_told_and_dropped),
		T(follower_ends_when_it_likes_or_when_the_server_does),
		T(signal_between_two_waits_ends_following),
		T(file_that_cannot_be_looked_at_is_named),
		T(loop_does_not_spin_without_descriptors),
		T(socket_is_for_its_owner_only),
		T(stale_socket_is_replaced_and_a_live_one_is_not),
		T(file_that_is_no_socket_is_left_alone),
		T(paths_that_do_not_fit_are_refused),
		T(socket_of_a_successor_is_not_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
