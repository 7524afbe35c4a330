/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS over TCP (RFC 7766): connections of the DNS server.
 *
 * A client may send queries without waiting for answers and gets the answers in whatever
 * order they come (6.2.1.1, 7). Reading stops while DNS_TCP_PIPELINE_MAX queries are in
 * progress or half of DNS_TCP_OUTPUT_MAX waits to be read, so that a client's own pace bounds it. A
 * connection lives as long as complete queries or bytes of answers move (6.2.3); single bytes
 * of a query do not count. Where a listener is full, a new connection takes the place of the one
 * that has been idle longest (6.2.3), so that who just connects does not keep others out.
 *
 * The handler may answer at once, in the middle of reading: nothing here frees a connection
 * except the callbacks of the event loop. What goes wrong elsewhere marks it dead and wakes it.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include <utlist.h>

#include "base/ipaddr.h"
#include "io/dns_server_impl.h"

#define LENGTH_BYTES     2 /* RFC 1035 4.2.2 */
#define INPUT_INITIAL    1024
#define INPUT_MAX        (LENGTH_BYTES + DNS_TCP_MAX)
#define BACKLOG          64
#define TIMER_SLACK_USEC 50000

struct dns_conn {
	struct dns_conn *prev, *next;
	struct dns_listener *listener;
	struct fq_addr source;
	struct instant moved; /* the last progress */
	int fd;
	sd_event_source *io, *timer, *wake;
	struct dns_request *requests; /* in progress */
	unsigned int request_count;
	bool eof;  /* the client sends no more */
	bool dead; /* to be closed by the next callback */

	uint8_t *in;
	size_t in_begin, in_len, in_cap; /* not looked at yet: in_begin to in_len */
	uint8_t *out;
	size_t out_begin, out_len, out_cap; /* unread: out_begin to out_len */
};

static void conn_close(struct dns_conn *conn)
{
	struct dns_listener *listener = conn->listener;
	struct dns_request *req, *next;

	DL_FOREACH_SAFE2 (conn->requests, req, next, conn_next) {
		DL_DELETE2(conn->requests, req, conn_prev, conn_next);
		req->conn = NULL;
	}
	DL_DELETE(listener->conns, conn);
	listener->conn_count--;
	listener->server->counters.tcp_clients--;
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->timer);
	sd_event_source_disable_unref(conn->wake);
	closep(&conn->fd);
	free(conn->in);
	free(conn->out);
	free(conn);
}

/* Have the event loop look at the connection soon. */
static void conn_wake(struct dns_conn *conn)
{
	if (sd_event_source_set_enabled(conn->wake, SD_EVENT_ONESHOT) < 0)
		conn->dead = true; /* no memory: the idle timer will close it */
}

static void conn_progress(struct dns_conn *conn)
{
	uint64_t idle_usec = (uint64_t)conn->listener->server->settings.tcp_idle_ns / NSEC_PER_USEC;

	conn->moved = instant_now();
	if (sd_event_source_set_time_relative(conn->timer, idle_usec) < 0 ||
	    sd_event_source_set_enabled(conn->timer, SD_EVENT_ONESHOT) < 0)
		conn->dead = true;
}

static size_t unread(const struct dns_conn *conn)
{
	return conn->out_len - conn->out_begin;
}

static bool may_start(const struct dns_conn *conn)
{
	return !conn->dead && conn->request_count < DNS_TCP_PIPELINE_MAX &&
	       unread(conn) < DNS_TCP_OUTPUT_MAX / 2;
}

/* Bytes of the next message in the input, with its length; 0: not known yet. */
static size_t frame_bytes(const struct dns_conn *conn)
{
	const uint8_t *p = conn->in + conn->in_begin;

	if (conn->in_len - conn->in_begin < LENGTH_BYTES)
		return 0;
	return LENGTH_BYTES + ((size_t)p[0] << 8 | p[1]);
}

static bool has_frame(const struct dns_conn *conn)
{
	size_t frame = frame_bytes(conn);

	return frame > 0 && conn->in_len - conn->in_begin >= frame;
}

static void start_request(struct dns_conn *conn, size_t frame)
{
	struct dns_server *server = conn->listener->server;
	struct dns_request *req;

	server->counters.tcp_queries++;
	if (frame < LENGTH_BYTES + DNS_HEADER_BYTES) {
		server->counters.malformed++;
		conn->dead = true;
		return;
	}
	req = dns_request_new(server, conn->in + conn->in_begin + LENGTH_BYTES,
			      frame - LENGTH_BYTES);
	if (!req) {
		conn->dead = true; /* the client sees it at once and may ask elsewhere */
		return;
	}
	req->listener = conn->listener;
	req->tcp = true;
	req->source = conn->source;
	req->conn = conn;
	DL_APPEND2(conn->requests, req, conn_prev, conn_next);
	conn->request_count++;
	conn_progress(conn);
	server->settings.handle(server->settings.ctx, req);
	/* One by one: what has been answered decides whether the connection may ask more. */
	dns_requests_handled(server);
}

static void start_requests(struct dns_conn *conn)
{
	while (may_start(conn) && has_frame(conn)) {
		size_t frame = frame_bytes(conn);

		start_request(conn, frame);
		conn->in_begin += frame;
	}
	if (conn->in_begin > 0) {
		conn->in_len -= conn->in_begin;
		memmove(conn->in, conn->in + conn->in_begin, conn->in_len);
		conn->in_begin = 0;
	}
}

/* Room for the rest of the message that has begun, or for the next ones. */
static int make_room(struct dns_conn *conn)
{
	size_t frame = frame_bytes(conn), cap = conn->in_cap ? conn->in_cap : INPUT_INITIAL;
	uint8_t *in;

	while (cap < frame)
		cap *= 2;
	if (cap > INPUT_MAX)
		cap = INPUT_MAX;
	if (cap == conn->in_cap)
		return 0;
	in = realloc(conn->in, cap);
	if (!in)
		return -ENOMEM;
	conn->in = in;
	conn->in_cap = cap;
	return 0;
}

static void conn_read(struct dns_conn *conn)
{
	ssize_t n;

	if (make_room(conn) < 0) {
		conn->dead = true;
		return;
	}
	n = recv(conn->fd, conn->in + conn->in_len, conn->in_cap - conn->in_len, MSG_DONTWAIT);
	if (n == 0)
		conn->eof = true;
	else if (n > 0)
		conn->in_len += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		conn->dead = true;
}

static void conn_write(struct dns_conn *conn)
{
	ssize_t n;

	if (unread(conn) == 0)
		return;
	n = send(conn->fd, conn->out + conn->out_begin, unread(conn), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0) {
		conn->out_begin += (size_t)n;
		conn_progress(conn);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn->dead = true;
	}
	if (unread(conn) == 0)
		conn->out_begin = conn->out_len = 0;
}

/* The end of every callback: close, or wait for what can happen next. */
static void conn_settle(struct dns_conn *conn)
{
	bool reading = may_start(conn) && !conn->eof;
	bool finished = conn->eof && !conn->requests && unread(conn) == 0 && !has_frame(conn);
	uint32_t events = (reading ? EPOLLIN : 0u) | (unread(conn) > 0 ? EPOLLOUT : 0u);

	if (!conn->dead && !finished && sd_event_source_set_io_events(conn->io, events) >= 0)
		return;
	conn_close(conn);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct dns_conn *conn = ctx;

	(void)source;
	(void)fd;
	if (revents & (EPOLLERR | EPOLLHUP))
		conn->dead = true;
	if (revents & EPOLLOUT)
		conn_write(conn);
	if ((revents & EPOLLIN) && !conn->dead && !conn->eof && may_start(conn))
		conn_read(conn);
	start_requests(conn);
	conn_settle(conn);
	return 0;
}

/* A request has ended or an answer waits: go on with what was received meanwhile. */
static int on_wake(sd_event_source *source, void *ctx)
{
	struct dns_conn *conn = ctx;

	(void)source;
	start_requests(conn);
	conn_settle(conn);
	return 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct dns_conn *conn = ctx;

	(void)source;
	(void)usec;
	if (conn->requests && unread(conn) == 0 && !conn->dead) {
		conn_progress(conn); /* it is we who let the client wait */
	} else {
		conn->listener->server->counters.tcp_timeouts++;
		conn->dead = true;
	}
	conn_settle(conn);
	return 0;
}

static int append(struct dns_conn *conn, const void *bytes, size_t len)
{
	size_t need = unread(conn) + len, cap = conn->out_cap ? conn->out_cap : INPUT_INITIAL;
	uint8_t *out;

	if (conn->out_begin > 0) {
		memmove(conn->out, conn->out + conn->out_begin, unread(conn));
		conn->out_len -= conn->out_begin;
		conn->out_begin = 0;
	}
	while (cap < need)
		cap *= 2;
	if (cap != conn->out_cap) {
		out = realloc(conn->out, cap);
		if (!out)
			return -ENOMEM;
		conn->out = out;
		conn->out_cap = cap;
	}
	memcpy(conn->out + conn->out_len, bytes, len);
	conn->out_len += len;
	return 0;
}

/* Length and message in one segment if possible (RFC 7766 8). Return: bytes that were sent. */
static size_t send_now(struct dns_conn *conn, const uint8_t prefix[LENGTH_BYTES],
		       const uint8_t *bytes, size_t len)
{
	struct iovec iov[] = {{(void *)prefix, LENGTH_BYTES}, {(void *)bytes, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (unread(conn) > 0)
		return 0;
	n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		conn->dead = true;
	return n > 0 ? (size_t)n : 0;
}

int dns_tcp_reply(struct dns_request *req, const uint8_t *bytes, size_t len)
{
	const uint8_t prefix[LENGTH_BYTES] = {(uint8_t)(len >> 8), (uint8_t)len};
	struct dns_conn *conn = req->conn;
	size_t sent;
	int r = 0;

	if (conn->dead)
		return -ENOTCONN;
	sent = send_now(conn, prefix, bytes, len);
	if (sent > 0)
		conn_progress(conn);
	if (!conn->dead && sent < LENGTH_BYTES + len) {
		if (unread(conn) + LENGTH_BYTES + len - sent > DNS_TCP_OUTPUT_MAX)
			conn->dead = true; /* does not read what it asks for */
		if (!conn->dead && sent < LENGTH_BYTES)
			r = append(conn, prefix + sent, LENGTH_BYTES - sent);
		if (!conn->dead && r == 0) {
			size_t done = sent < LENGTH_BYTES ? 0 : sent - LENGTH_BYTES;

			r = append(conn, bytes + done, len - done);
		}
	}
	if (r < 0)
		conn->dead = true; /* half an answer would put the stream out of step */
	conn_wake(conn);
	return r < 0 ? r : conn->dead ? -ENOTCONN : 0;
}

void dns_tcp_request_done(struct dns_request *req)
{
	struct dns_conn *conn = req->conn;

	DL_DELETE2(conn->requests, req, conn_prev, conn_next);
	conn->request_count--;
	conn_wake(conn);
}

static int conn_new(struct dns_listener *listener, int fd, const struct fq_addr *source)
{
	sd_event *event = listener->server->event;
	struct dns_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	conn->listener = listener;
	conn->source = *source;
	conn->fd = fd;
	DL_APPEND(listener->conns, conn);
	listener->conn_count++;
	listener->server->counters.tcp_clients++;

	r = sd_event_add_io(event, &conn->io, fd, EPOLLIN, on_io, conn);
	if (r >= 0)
		r = sd_event_add_defer(event, &conn->wake, on_wake, conn);
	if (r >= 0)
		r = sd_event_source_set_enabled(conn->wake, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &conn->timer, CLOCK_MONOTONIC, 0,
					       TIMER_SLACK_USEC, on_idle, conn);
	if (r < 0) {
		conn_close(conn);
		return r;
	}
	conn_progress(conn);
	return 0;
}

/* Connections from an address, to whichever listener. */
static unsigned int connections_of(const struct dns_server *server, const struct fq_addr *source)
{
	const struct dns_conn *conn;
	unsigned int count = 0;

	for (size_t i = 0; i < server->listener_count; i++)
		DL_FOREACH (server->listeners[i].conns, conn)
			count += ipaddr_equal(&conn->source, source);
	return count;
}

/* Close the connection that has waited longest for its client. Return: whether there was one. */
static bool close_idlest(struct dns_listener *listener)
{
	struct dns_conn *conn, *idlest = NULL;

	DL_FOREACH (listener->conns, conn)
		if (!conn->requests && unread(conn) == 0 &&
		    (!idlest || instant_sub(conn->moved, idlest->moved) < 0))
			idlest = conn;
	if (!idlest)
		return false;
	listener->server->counters.tcp_timeouts++;
	conn_close(idlest);
	return true;
}

static bool may_accept(struct dns_listener *listener, const struct fq_addr *source)
{
	const struct dns_server_settings *s = &listener->server->settings;

	if (s->may_connect && !s->may_connect(s->ctx, source))
		return false;
	if (connections_of(listener->server, source) >= s->tcp_source_max)
		return false;
	return listener->conn_count < s->tcp_clients_max || close_idlest(listener);
}

/* Close at once whom we do not serve: what waits in the kernel's queue keeps others out, too. */
static void on_connection(void *ctx, int fd, const struct sockaddr *peer)
{
	struct dns_listener *listener = ctx;
	struct dns_server_counters *counters = &listener->server->counters;
	struct fq_addr source;
	uint16_t port;

	if (ipaddr_from_sockaddr(peer, &source, &port) < 0 || !may_accept(listener, &source)) {
		counters->tcp_refused++;
		close(fd);
		return;
	}
	counters->tcp_accepted++;
	(void)conn_new(listener, fd, &source);
}

int dns_tcp_listen(struct dns_listener *listener)
{
	if (listen(listener->tcp_fd, BACKLOG) < 0)
		return -errno;
	return acceptor_new(listener->server->event, listener->tcp_fd, on_connection, listener,
			    &listener->acceptor);
}

void dns_tcp_done(struct dns_listener *listener)
{
	struct dns_conn *conn, *next;

	DL_FOREACH_SAFE (listener->conns, conn, next)
		conn_close(conn);
	acceptor_free(TAKE_PTR(listener->acceptor));
	closep(&listener->tcp_fd);
	listener->tcp_fd = -1;
}
