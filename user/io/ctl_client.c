/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's client: blocking, with a deadline. One call, one connection.
 */
#include "io/ctl_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/instant.h"

#define READ_BYTES (64 << 10)

struct client {
	const char *path;
	char *error; /* the caller's ret_error */
	int fd;
	struct instant deadline;
	const volatile sig_atomic_t *stop; /* NULL: none */
	char *in;
	size_t in_begin, in_len, in_cap; /* not used yet: in_begin to in_len */
	size_t scanned;                  /* no newline before */
};

static void client_done(struct client *client)
{
	closep(&client->fd);
	free(client->in);
}

/* Say what failed, unless somebody has already. */
static int fail(struct client *client, const char *what, int error)
{
	if (!client->error[0])
		snprintf(client->error, CTL_ERROR_LEN, "%s %s: %s", what, client->path,
			 strerror(-error));
	return error;
}

/* A daemon that hangs lets connections wait in its queue until that is full, then connect(). */
static int client_connect(struct client *client, int timeout_ms)
{
	const struct timeval wait = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(client->path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, client->path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
	    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return -errno;
	if (connect(client->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/*
 * Signals are let in while we wait and at no other time since *stop was looked at: one that has
 * come before the wait has set it, one that comes later interrupts the wait.
 */
static int poll_unless_stopped(struct client *client, struct pollfd *p, const struct timespec *left)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r < 0)
		return r;
	r = client->stop && *client->stop ? -EINTR : ppoll(p, 1, left, &before);
	if (r == -1)
		r = -errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* Wait until the socket is ready. Return: 0; -ETIMEDOUT; -EINTR; others. */
static int wait_for(struct client *client, short events)
{
	struct pollfd p = {.fd = client->fd, .events = events};
	struct timespec left;
	bool forever = client->deadline.ns == INSTANT_NEVER.ns;
	int r;

	if (!forever) {
		int64_t left_ns = instant_sub(client->deadline, instant_now());

		if (left_ns <= 0)
			return -ETIMEDOUT;
		left = (struct timespec){left_ns / NSEC_PER_SEC, left_ns % NSEC_PER_SEC};
	}
	r = poll_unless_stopped(client, &p, forever ? NULL : &left);
	if (r < 0)
		return r;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int send_all(struct client *client, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(client->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		int r = 0;

		if (n < 0 && errno == EAGAIN)
			r = wait_for(client, POLLOUT);
		else if (n < 0)
			r = -errno;
		if (r < 0)
			return r;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int send_request(struct client *client, const char *command, const json_t *args)
{
	json_t *request = json_pack("{s:s, s:O*}", "command", command, "args", args);
	_cleanup_(freep) char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t len;

	json_decref(request);
	if (!line)
		return -ENOMEM;
	len = strlen(line);
	if (len > CTL_REQUEST_MAX)
		return -E2BIG;
	line[len] = '\n'; /* in the place of the NUL */
	return send_all(client, line, len + 1);
}

/* More bytes. Return: 0; -ECONNRESET at the end of the stream; others. */
static int receive(struct client *client)
{
	ssize_t n;
	int r;

	if (client->in_cap - client->in_len < READ_BYTES) {
		size_t cap = client->in_cap ? client->in_cap * 2 : 2 * READ_BYTES;
		char *in = realloc(client->in, cap);

		if (!in)
			return -ENOMEM;
		client->in = in;
		client->in_cap = cap;
	}
	r = wait_for(client, POLLIN);
	if (r < 0)
		return r;
	n = recv(client->fd, client->in + client->in_len, client->in_cap - client->in_len,
		 MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	client->in_len += (size_t)n;
	return 0;
}

/* The next line as JSON. Return: 0; -EPROTO; -ECONNRESET at the end of the stream; others. */
static int read_json(struct client *client, json_t **ret_json)
{
	char *end, *begin;
	json_t *json;
	int r;

	if (client->in_begin > 0) {
		client->in_len -= client->in_begin;
		memmove(client->in, client->in + client->in_begin, client->in_len);
		client->in_begin = client->scanned = 0;
	}
	for (;;) {
		end = client->in_len > client->scanned ? memchr(client->in + client->scanned, '\n',
								client->in_len - client->scanned)
						       : NULL;
		if (end)
			break;
		client->scanned = client->in_len;
		if (client->in_len > CTL_REPLY_MAX)
			return -EPROTO;
		r = receive(client);
		if (r < 0)
			return r;
	}
	begin = client->in;
	client->in_begin = (size_t)(end - begin) + 1;
	json = json_loadb(begin, (size_t)(end - begin), 0, NULL);
	if (!json)
		return -EPROTO;
	*ret_json = json;
	return 0;
}

/* Read a reply and take it apart. */
static int read_reply(struct client *client, json_t **ret_result)
{
	json_t *reply, *ok, *result;
	const char *text;
	int r;

	r = read_json(client, &reply);
	if (r < 0)
		return r == -ECONNRESET ? -EPROTO : r;
	ok = json_object_get(reply, "ok");
	result = json_object_get(reply, "result");
	text = json_string_value(json_object_get(reply, "error"));
	if (json_is_true(ok) && result) {
		*ret_result = json_incref(result);
	} else if (json_is_false(ok) && text) {
		snprintf(client->error, CTL_ERROR_LEN, "%s", text);
		r = -EREMOTEIO;
	} else {
		r = -EPROTO;
	}
	json_decref(reply);
	return r;
}

/* Connect, ask, and read the reply. */
static int call(struct client *client, const char *command, const json_t *args, int timeout_ms,
		json_t **ret_result)
{
	int r;

	client->deadline = instant_add(instant_now(), timeout_ms * NSEC_PER_MSEC);
	r = client_connect(client, timeout_ms);
	if (r < 0)
		return fail(client, "cannot connect to", r);
	r = send_request(client, command, args);
	/* A server that is full says so and closes before it reads. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return fail(client, "cannot send a request to", r);
	r = read_reply(client, ret_result);
	return r < 0 ? fail(client, "no reply from", r) : 0;
}

int ctl_call(const char *path, const char *command, const json_t *args, int timeout_ms,
	     json_t **ret_result, char ret_error[CTL_ERROR_LEN])
{
	_cleanup_(client_done) struct client client = {.path = path, .error = ret_error, .fd = -1};

	ret_error[0] = '\0';
	return call(&client, command, args, timeout_ms, ret_result);
}

int ctl_follow(const char *path, ctl_follower follower, void *ctx,
	       const volatile sig_atomic_t *stop, char ret_error[CTL_ERROR_LEN])
{
	_cleanup_(client_done) struct client client = {
		.path = path, .error = ret_error, .fd = -1, .stop = stop};
	json_t *json;
	int r;

	ret_error[0] = '\0';
	r = call(&client, CTL_MONITOR, NULL, CTL_TIMEOUT_MS, &json);
	if (r < 0)
		return r;
	json_decref(json);
	client.deadline = INSTANT_NEVER;
	for (;;) {
		r = read_json(&client, &json);
		if (r == -ECONNRESET)
			return 0;
		if (r < 0)
			return fail(&client, "cannot follow", r);
		r = follower(ctx, json);
		json_decref(json);
		if (stop && *stop)
			return -EINTR;
		if (r != 0)
			return r;
	}
}
