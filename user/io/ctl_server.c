/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's server: requests in, replies and events out, a line each.
 *
 * A connection's next request is looked at when its last reply has been read, so a reply at most
 * waits for each. Handlers run in the middle of reading and may publish events: nothing
 * here frees a connection except the callbacks of the event loop.
 */
#include "io/ctl_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utlist.h>

#include "io/acceptor.h"
#include "io/ctl_socket.h"

#define READ_BYTES       4096
#define INPUT_MAX        (CTL_REQUEST_MAX + 1) /* with the newline */
#define STALL_USEC       ((uint64_t)CTL_STALL_S * 1000000)
#define STALL_SLACK_USEC 100000

struct buffer {
	char *bytes;
	size_t len, cap;
};

struct conn {
	struct conn *prev, *next;
	struct ctl_server *server;
	int fd;
	sd_event_source *io, *stall;
	struct buffer in;
	struct buffer out;
	size_t out_sent; /* of out */
	bool monitor;    /* follows events */
	bool last;       /* to be closed when out is read */
	bool dead;       /* to be closed at once */
	bool stalled;    /* the stall timer runs */
};

struct ctl_server {
	sd_event *event;
	struct acceptor *acceptor;
	ctl_handler handler;
	void *ctx;
	struct ctl_socket socket;
	struct conn *conns; /* utlist */
	unsigned int conn_count;
	unsigned int monitor_count;
};

static int buffer_append(struct buffer *b, const void *bytes, size_t len)
{
	size_t cap = b->cap ? b->cap : READ_BYTES;
	char *grown;

	while (cap < b->len + len)
		cap *= 2;
	if (cap != b->cap) {
		grown = realloc(b->bytes, cap);
		if (!grown)
			return -ENOMEM;
		b->bytes = grown;
		b->cap = cap;
	}
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	return 0;
}

static void conn_close(struct conn *conn)
{
	struct ctl_server *server = conn->server;

	DL_DELETE(server->conns, conn);
	server->conn_count--;
	server->monitor_count -= conn->monitor;
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->stall);
	closep(&conn->fd);
	free(conn->in.bytes);
	free(conn->out.bytes);
	free(conn);
}

static size_t unread(const struct conn *conn)
{
	return conn->out.len - conn->out_sent;
}

/* Queue a line. Out of memory: the connection is of no use any more. */
static void put_line(struct conn *conn, const char *line, size_t len)
{
	if (buffer_append(&conn->out, line, len) < 0 || buffer_append(&conn->out, "\n", 1) < 0)
		conn->dead = true;
}

/* Queue a JSON value as a line, and release it. NULL: there was no memory for it. */
static void put_json(struct conn *conn, json_t *json)
{
	char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (!line)
		conn->dead = true;
	else if (strlen(line) >= CTL_REPLY_MAX)
		put_json(conn, json_pack("{s:b, s:s}", "ok", 0, "error", "result is too long"));
	else
		put_line(conn, line, strlen(line));
	free(line);
	json_decref(json);
}

static void put_error(struct conn *conn, const char *text)
{
	json_t *valid = json_string(text); /* NULL if it is not UTF-8 */

	put_json(conn, json_pack("{s:b, s:o}", "ok", 0, "error",
				 valid ? valid : json_string("error text is not UTF-8")));
}

static void put_result(struct conn *conn, json_t *result)
{
	put_json(conn, json_pack("{s:b, s:o}", "ok", 1, "result", result ? result : json_null()));
}

static void start_monitor(struct conn *conn)
{
	put_result(conn, NULL);
	conn->monitor = true;
	conn->server->monitor_count++;
}

static void run_command(struct conn *conn, const char *command, const json_t *args)
{
	struct ctl_server *server = conn->server;
	char error[CTL_ERROR_LEN] = "";
	json_t *result = NULL;
	int r;

	r = server->handler(server->ctx, command, args, &result, error);
	if (r == 0) {
		put_result(conn, result);
		return;
	}
	error[sizeof(error) - 1] = '\0';
	put_error(conn, error[0] ? error : strerror(-r));
}

static void handle_line(struct conn *conn, const char *line, size_t len)
{
	json_error_t why;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	json_t *args = json_object_get(request, "args");
	const char *command = json_string_value(json_object_get(request, "command"));
	char text[CTL_ERROR_LEN];

	if (!request) {
		snprintf(text, sizeof(text), "request is not JSON: %s", why.text);
		put_error(conn, text);
	} else if (!command) {
		put_error(conn, "request has no \"command\": expected an object with a string");
	} else if (args && !json_is_object(args)) {
		put_error(conn, "\"args\" is not an object");
	} else if (strcmp(command, CTL_MONITOR) == 0) {
		start_monitor(conn);
	} else {
		args = args ? json_incref(args) : json_object();
		if (args)
			run_command(conn, command, args);
		else
			conn->dead = true;
		json_decref(args);
	}
	json_decref(request);
}

/* Look at the next requests, one after the other has been read. */
static void handle_lines(struct conn *conn)
{
	while (!conn->dead && !conn->last && !conn->monitor && unread(conn) == 0) {
		char *end = conn->in.len ? memchr(conn->in.bytes, '\n', conn->in.len) : NULL;
		size_t len;

		if (!end && conn->in.len == INPUT_MAX) {
			put_error(conn, "request is too long");
			conn->last = true;
		}
		if (!end)
			return;
		len = (size_t)(end - conn->in.bytes);
		handle_line(conn, conn->in.bytes, len);
		conn->in.len -= len + 1;
		memmove(conn->in.bytes, end + 1, conn->in.len);
	}
	if (conn->monitor)
		conn->in.len = 0; /* a subscriber has nothing more to say */
}

/* Return: whether the client has closed its side. */
static bool conn_read(struct conn *conn)
{
	char bytes[READ_BYTES];
	size_t room = INPUT_MAX - conn->in.len;
	ssize_t n;

	n = recv(conn->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		conn->dead = true;
	else if (n > 0 && buffer_append(&conn->in, bytes, (size_t)n) < 0)
		conn->dead = true;
	return n == 0;
}

/* Send what waits. Return: whether anything moved. */
static bool conn_write(struct conn *conn)
{
	ssize_t n = 0;

	if (unread(conn) > 0) {
		n = send(conn->fd, conn->out.bytes + conn->out_sent, unread(conn),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			conn->dead = true;
	}
	if (n > 0)
		conn->out_sent += (size_t)n;
	if (unread(conn) == 0 && conn->out_sent > 0) {
		/* A long reply's memory is not kept for a connection's life. */
		free(conn->out.bytes);
		conn->out = (struct buffer){0};
		conn->out_sent = 0;
	}
	return n > 0;
}

/* The stall timer runs while something is half done; what moves sets it back. */
static int watch_stall(struct conn *conn, bool moved)
{
	bool busy = conn->in.len > 0 || unread(conn) > 0;
	int r = 0;

	if (busy && (moved || !conn->stalled))
		r = sd_event_source_set_time_relative(conn->stall, STALL_USEC);
	if (r >= 0 && busy != conn->stalled)
		r = sd_event_source_set_enabled(conn->stall,
						busy ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	conn->stalled = busy;
	return r;
}

/* The end of every callback: close, or wait for what can happen next. */
static void conn_settle(struct conn *conn)
{
	bool reading =
		!conn->last && conn->in.len < INPUT_MAX && (conn->monitor || unread(conn) == 0);
	uint32_t events = (reading ? EPOLLIN : 0u) | (unread(conn) > 0 ? EPOLLOUT : 0u);

	if (conn->dead || (conn->last && unread(conn) == 0) ||
	    sd_event_source_set_io_events(conn->io, events) < 0 || watch_stall(conn, true) < 0)
		conn_close(conn);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct conn *conn = ctx;
	bool moved, eof = false;

	(void)source;
	(void)fd;
	if (revents & EPOLLERR)
		conn->dead = true;
	if (revents & EPOLLOUT)
		(void)conn_write(conn);
	if (revents & (EPOLLIN | EPOLLHUP))
		eof = conn_read(conn);
	/* As long as replies are read at once, the next request is due. */
	do {
		handle_lines(conn);
		moved = unread(conn) > 0 && conn_write(conn);
	} while (moved && !conn->dead && unread(conn) == 0);
	/* Who has closed its side reads at most what is under way. */
	if (eof)
		conn->last = true;
	/* EPOLLIN and EPOLLOUT are reported only when something can move. */
	conn_settle(conn);
	return 0;
}

static int on_stall(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source;
	(void)usec;
	conn_close(ctx);
	return 0;
}

static int conn_new(struct ctl_server *server, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	conn->server = server;
	conn->fd = fd;
	DL_APPEND(server->conns, conn);
	server->conn_count++;
	r = sd_event_add_io(server->event, &conn->io, fd, EPOLLIN, on_io, conn);
	if (r >= 0)
		r = sd_event_add_time_relative(server->event, &conn->stall, CLOCK_MONOTONIC,
					       STALL_USEC, STALL_SLACK_USEC, on_stall, conn);
	if (r >= 0)
		r = sd_event_source_set_enabled(conn->stall, SD_EVENT_OFF);
	if (r < 0)
		conn_close(conn);
	return r;
}

static void on_connection(void *ctx, int fd, const struct sockaddr *peer)
{
	static const char full[] = "{\"ok\":false,\"error\":\"too many connections\"}\n";
	struct ctl_server *server = ctx;

	(void)peer;
	if (server->conn_count >= CTL_CONNECTIONS_MAX) {
		(void)send(fd, full, strlen(full), MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
	} else {
		(void)conn_new(server, fd);
	}
}

unsigned int ctl_server_subscribers(const struct ctl_server *server)
{
	return server->monitor_count;
}

unsigned int ctl_server_connections(const struct ctl_server *server)
{
	return server->conn_count;
}

static void publish_to(struct conn *conn, const char *line, size_t len)
{
	static const char overrun[] = "{\"event\":\"overrun\",\"text\":\"events were not read fast "
				      "enough: disconnected\"}";

	if (!conn->monitor || conn->last || conn->dead)
		return;
	if (unread(conn) + len > CTL_MONITOR_QUEUE_MAX) {
		put_line(conn, overrun, strlen(overrun));
		conn->last = true;
	} else {
		put_line(conn, line, len);
	}
	/* EPOLLOUT comes even if it is dead: the callback closes it. */
	if (sd_event_source_set_io_events(conn->io, EPOLLIN | EPOLLOUT) < 0 ||
	    watch_stall(conn, false) < 0)
		conn->dead = true;
}

int ctl_server_publish(struct ctl_server *server, const json_t *event)
{
	struct conn *conn;
	char *line;

	if (server->monitor_count == 0)
		return 0;
	line = json_dumps(event, JSON_COMPACT);
	if (!line)
		return -ENOMEM;
	DL_FOREACH (server->conns, conn)
		publish_to(conn, line, strlen(line));
	free(line);
	return 0;
}

int ctl_server_new(sd_event *event, const char *path, ctl_handler handler, void *ctx,
		   struct ctl_server **ret_server, char ret_error[CTL_ERROR_LEN])
{
	_cleanup_(ctl_server_freep) struct ctl_server *server = calloc(1, sizeof(*server));
	int r;

	snprintf(ret_error, CTL_ERROR_LEN, "out of memory");
	if (!server)
		return -ENOMEM;
	server->event = sd_event_ref(event);
	server->handler = handler;
	server->ctx = ctx;
	server->socket.fd = -1;
	r = ctl_socket_open(&server->socket, path, ret_error);
	if (r < 0)
		return r;
	r = acceptor_new(event, server->socket.fd, on_connection, server, &server->acceptor);
	if (r < 0)
		return r;
	ret_error[0] = '\0';
	*ret_server = TAKE_PTR(server);
	return 0;
}

void ctl_server_free(struct ctl_server *server)
{
	struct conn *conn, *next;

	if (!server)
		return;
	DL_FOREACH_SAFE (server->conns, conn, next)
		conn_close(conn);
	acceptor_free(server->acceptor);
	ctl_socket_close(&server->socket);
	sd_event_unref(server->event);
	free(server);
}
