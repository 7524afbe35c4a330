/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control server in a directory of its own, calls to it from a thread, and clients that speak by
 * hand. Used by test_ctl*.c.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static inline int handler(void *ctx, const char *command, const json_t *args, json_t **ret_result,
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

static inline void start(struct fixture *f)
{
	int r = ctl_server_new(f->event, f->path, handler, f, &f->server, f->error);

	if (r < 0)
		fail_msg("%s", f->error);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void step(struct fixture *f, struct instant deadline)
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

static inline void *call_thread(void *arg)
{
	struct call *call = arg;

	call->r = ctl_call(call->f->path, call->command, call->args, call->timeout_ms,
			   &call->result, call->error);
	atomic_store(&call->done, true);
	return NULL;
}

static inline struct call call(struct fixture *f, const char *command, const json_t *args)
{
	struct call c = {.f = f, .command = command, .args = args, .timeout_ms = CTL_TIMEOUT_MS};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_thread, &c), 0);
	RUN_UNTIL(f, atomic_load(&c.done));
	pthread_join(thread, NULL);
	return c;
}

/* A peer of our own making. */
static inline int raw_client(struct fixture *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void raw_send(struct fixture *f, int fd, const char *bytes, size_t len)
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

static inline bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* The next line, without its end; "" at the end of the stream. */
static inline const char *raw_line(struct fixture *f, int fd)
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
