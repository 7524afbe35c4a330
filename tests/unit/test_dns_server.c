/* SPDX-License-Identifier: BSD-2-Clause */
/* The DNS server over real sockets of the loopback interface, on ports the kernel chooses. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/instant.h"
#include "base/ipaddr.h"
#include "io/dns_server.h"

#define KEPT_MAX    256
#define DEADLINE_NS (10 * NSEC_PER_SEC)

/* A server and what its handler does. */
struct fixture {
	sd_event *event;
	struct dns_server_settings settings;
	struct dns_server *server;
	char error[DNS_SERVER_ERROR_LEN];

	bool keep; /* do not answer at once */
	struct dns_request *kept[KEPT_MAX];
	unsigned int kept_count;
	size_t answer_len; /* 0: the query comes back */
	unsigned int handled;
	uint8_t big[DNS_TCP_MAX];
};

static void handle(void *ctx, struct dns_request *req)
{
	struct fixture *f = ctx;
	size_t len;
	const uint8_t *bytes = dns_request_bytes(req, &len);

	f->handled++;
	if (f->keep) {
		assert_true(f->kept_count < KEPT_MAX);
		f->kept[f->kept_count++] = req;
		return;
	}
	if (f->answer_len)
		(void)dns_request_reply(req, f->big, f->answer_len);
	else
		assert_int_equal(dns_request_reply(req, bytes, len), 0);
	dns_request_unref(req);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || sd_event_new(&f->event) < 0)
		return -1;
	f->settings = dns_server_settings_default();
	f->settings.handle = handle;
	f->settings.ctx = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < f->kept_count; i++)
		dns_request_unref(f->kept[i]);
	dns_server_free(f->server);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static void start(struct fixture *f, const char *listen)
{
	struct dns_listen where = {.addr = addr(listen)};

	f->settings.listen = &where;
	f->settings.listen_count = 1;
	assert_int_equal(dns_server_new(f->event, &f->settings, &f->server, f->error), 0);
	assert_int_not_equal(dns_server_port(f->server, 0), 0);
}

static struct dns_server_counters counters(struct fixture *f)
{
	return dns_server_counters(f->server);
}

static void step(struct fixture *f, struct instant deadline)
{
	assert_false(instant_reached(deadline, instant_now()));
	assert_true(sd_event_run(f->event, 10000) >= 0);
}

/* Run the loop until a condition holds, and a statement before each step. */
#define RUN_UNTIL(f, condition)                                                                \
	for (struct instant deadline_ = instant_add(instant_now(), DEADLINE_NS); !(condition); \
	     step(f, deadline_))

static int client(struct fixture *f, int type, const char *to)
{
	struct fq_addr a = addr(to);
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(&a, dns_server_port(f->server, 0), &sa);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* A query of @len bytes, recognisable by @id. */
static void query(uint8_t *bytes, size_t len, uint8_t id)
{
	memset(bytes, 0, len);
	bytes[1] = id;
}

/* The same with its length before it. Return: bytes of both. */
static size_t frame(uint8_t *bytes, size_t len, uint8_t id)
{
	bytes[0] = (uint8_t)(len >> 8);
	bytes[1] = (uint8_t)len;
	query(bytes + 2, len, id);
	return len + 2;
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* The next @len bytes of a connection. */
static void read_exactly(struct fixture *f, int fd, uint8_t *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n;

		RUN_UNTIL(f, readable(fd));
		n = recv(fd, bytes + done, len - done, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

/* Is the connection closed by the server, after whatever is left to read? */
static bool is_closed(int fd)
{
	static uint8_t rest[65536];
	ssize_t n;

	do
		n = recv(fd, rest, sizeof(rest), 0);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static void expect_frame(struct fixture *f, int fd, size_t len, uint8_t id)
{
	uint8_t bytes[2 + 512];

	assert_true(len <= 512);
	read_exactly(f, fd, bytes, 2 + len);
	assert_int_equal(bytes[0] << 8 | bytes[1], len);
	assert_int_equal(bytes[3], id);
}

static void ask_udp(struct fixture *f, const char *to)
{
	_cleanup_(closep) int fd = client(f, SOCK_DGRAM, to);
	uint8_t bytes[512];

	query(bytes, 40, 7);
	assert_int_equal(send(fd, bytes, 40, 0), 40);
	RUN_UNTIL(f, readable(fd));
	/* a connected socket sees only what comes from the address it asked */
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 40);
	assert_int_equal(bytes[1], 7);
}

static void udp_answers_leave_from_the_address_that_was_asked(void **state)
{
	struct fixture *f = *state;

	start(f, "::");
	ask_udp(f, "127.0.0.1");
	ask_udp(f, "127.1.2.3");
	ask_udp(f, "::1");
	dns_server_free(TAKE_PTR(f->server));

	start(f, "0.0.0.0");
	ask_udp(f, "127.1.2.3");
	dns_server_free(TAKE_PTR(f->server));

	start(f, "127.9.9.9");
	ask_udp(f, "127.9.9.9");
}

static void udp_takes_more_than_a_batch(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	for (int i = 0; i < 100; i++) {
		query(bytes, 40, (uint8_t)i);
		assert_int_equal(send(fd, bytes, 40, 0), 40);
	}
	for (int i = 0; i < 100; i++) {
		RUN_UNTIL(f, readable(fd));
		assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 40);
		assert_int_equal(bytes[1], i);
	}
	assert_int_equal(counters(f).requests, 0);
}

/* D-04: what is no DNS message by its length is dropped and counted */
static void udp_drops_what_cannot_be_a_query(void **state)
{
	static const uint8_t bytes[8192];
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;

	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, 0, 0), 0);
	assert_int_equal(send(fd, bytes, DNS_HEADER_BYTES - 1, 0), DNS_HEADER_BYTES - 1);
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(send(fd, bytes, DNS_HEADER_BYTES, 0), DNS_HEADER_BYTES);

	RUN_UNTIL(f, counters(f).udp_queries == 4);
	assert_int_equal(counters(f).malformed, 3);
	assert_int_equal(f->handled, 1);
}

static void request_is_answered_once_and_within_its_limit(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	struct fq_addr local = addr("127.0.0.1");
	struct dns_request *req;
	uint8_t bytes[64];

	start(f, "127.0.0.1");
	f->keep = true;
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	query(bytes, 40, 1);
	assert_int_equal(send(fd, bytes, 40, 0), 40);
	RUN_UNTIL(f, f->kept_count == 1);
	req = f->kept[0];

	assert_true(ipaddr_equal(dns_request_source(req), &local));
	assert_false(dns_request_is_tcp(req));
	assert_int_equal(dns_request_max(req), DNS_UDP_MAX);
	assert_int_equal(dns_request_reply(req, f->big, DNS_UDP_MAX + 1), -EMSGSIZE);
	assert_int_equal(dns_request_reply(req, f->big, DNS_UDP_MAX), 0);
	assert_int_equal(dns_request_reply(req, f->big, 40), -EALREADY);
	RUN_UNTIL(f, readable(fd));
	assert_int_equal(recv(fd, f->big, sizeof(f->big), 0), DNS_UDP_MAX);
}

static void requests_in_progress_are_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	f->settings.requests_max = 3;
	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	query(bytes, 40, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(fd, bytes, 40, 0), 40);
	RUN_UNTIL(f, counters(f).udp_queries == 5);
	assert_int_equal(f->kept_count, 3);
	assert_int_equal(counters(f).overload, 2);
	assert_int_equal(counters(f).requests, 3);

	/* dropped without an answer: the place is free again */
	dns_request_unref(f->kept[--f->kept_count]);
	assert_int_equal(counters(f).requests, 2);
	assert_int_equal(send(fd, bytes, 40, 0), 40);
	RUN_UNTIL(f, f->kept_count == 3);
}

static void request_outlives_the_server(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int udp = -1, tcp = -1;
	uint8_t bytes[64];

	f->keep = true;
	start(f, "127.0.0.1");
	udp = client(f, SOCK_DGRAM, "127.0.0.1");
	tcp = client(f, SOCK_STREAM, "127.0.0.1");
	query(bytes, 40, 1);
	assert_int_equal(send(udp, bytes, 40, 0), 40);
	assert_int_equal(send(tcp, bytes, frame(bytes, 40, 2), 0), 42);
	RUN_UNTIL(f, f->kept_count == 2);

	dns_server_free(TAKE_PTR(f->server));

	assert_int_equal(dns_request_reply(f->kept[0], bytes, 40), -ENOTCONN);
	assert_int_equal(dns_request_reply(f->kept[1], bytes, 40), -ENOTCONN);
}

static void address_in_use_is_named(void **state)
{
	struct fixture *f = *state;
	struct dns_server *second = NULL;
	struct dns_listen where = {.addr = addr("127.0.0.1")};
	char expected[DNS_SERVER_ERROR_LEN];

	start(f, "127.0.0.1");
	where.port = dns_server_port(f->server, 0);
	f->settings.listen = &where;
	assert_int_equal(dns_server_new(f->event, &f->settings, &second, f->error), -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "cannot listen on 127.0.0.1 port %u (tcp): Address already in use", where.port);
	assert_string_equal(f->error, expected);
	assert_null(second);

	where.addr = addr("192.0.2.1");
	assert_int_equal(dns_server_new(f->event, &f->settings, &second, f->error), -EADDRNOTAVAIL);
	f->settings.freebind = true;
	assert_int_equal(dns_server_new(f->event, &f->settings, &second, f->error), 0);
	dns_server_free(second);
}

/* RFC 7766 6.2.1.1, 7: pipelined queries are answered in any order */
static void tcp_answers_pipelined_queries_as_they_come(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[512];
	size_t len = 0;

	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	for (uint8_t i = 0; i < 5; i++)
		len += frame(bytes + len, 40, i);
	assert_int_equal(send(fd, bytes, len, 0), len);
	RUN_UNTIL(f, f->kept_count == 5);

	for (int i = 4; i >= 0; i--) {
		const uint8_t *q = dns_request_bytes(f->kept[i], &len);

		assert_true(dns_request_is_tcp(f->kept[i]));
		assert_int_equal(dns_request_reply(f->kept[i], q, len), 0);
		dns_request_unref(f->kept[i]);
	}
	f->kept_count = 0;

	for (int i = 4; i >= 0; i--)
		expect_frame(f, fd, 40, (uint8_t)i);
}

static void tcp_takes_queries_in_pieces(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[512];
	size_t len;

	start(f, "::1");
	fd = client(f, SOCK_STREAM, "::1");
	len = frame(bytes, 40, 1);
	len += frame(bytes + len, 300, 2);
	/* byte by byte; the second query's end comes with the third */
	for (size_t i = 0; i < len - 10; i++) {
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		assert_true(sd_event_run(f->event, 0) >= 0);
	}
	expect_frame(f, fd, 40, 1);
	assert_int_equal(f->handled, 1);
	memmove(bytes, bytes + len - 10, 10);
	len = 10 + frame(bytes + 10, 40, 3);
	assert_int_equal(send(fd, bytes, len, 0), len);

	expect_frame(f, fd, 300, 2);
	expect_frame(f, fd, 40, 3);
}

static void tcp_carries_the_longest_message(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	static uint8_t bytes[2 + DNS_TCP_MAX], back[2 + DNS_TCP_MAX];
	size_t sent = 0;

	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	frame(bytes, DNS_TCP_MAX, 9);
	while (sent < sizeof(bytes)) {
		ssize_t n = send(fd, bytes + sent, sizeof(bytes) - sent, 0);

		if (n > 0)
			sent += (size_t)n;
		assert_true(sd_event_run(f->event, 0) >= 0);
	}
	read_exactly(f, fd, back, sizeof(back));
	assert_memory_equal(bytes, back, sizeof(back));
}

/* D-04: malformed: the stream cannot be trusted any more */
static void tcp_closes_on_a_message_without_header(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, frame(bytes, DNS_HEADER_BYTES - 1, 1), 0), 13);
	RUN_UNTIL(f, readable(fd));
	assert_true(is_closed(fd));
	assert_int_equal(counters(f).malformed, 1);
	assert_int_equal(counters(f).tcp_clients, 0);
}

/* A connection from an address of the loopback interface. */
static int client_from(struct fixture *f, const char *from)
{
	const struct fq_addr to = addr("127.0.0.1"), source = addr(from);
	struct sockaddr_storage sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;

	assert_true(fd >= 0);
	len = ipaddr_to_sockaddr(&source, 0, &sa);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = ipaddr_to_sockaddr(&to, dns_server_port(f->server, 0), &sa);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* The same from the @i-th of many addresses, once it was accepted. */
static int accepted_from(struct fixture *f, unsigned int i)
{
	uint64_t before = counters(f).tcp_accepted;
	char text[32];
	int fd;

	snprintf(text, sizeof(text), "127.0.1.%u", i);
	fd = client_from(f, text);
	RUN_UNTIL(f, counters(f).tcp_accepted == before + 1);
	return fd;
}

/* D-04: ten connections for each listen address; the eleventh is closed while all are in use */
static void tcp_closes_the_eleventh_connection(void **state)
{
	struct fixture *f = *state;
	int fds[10], eleventh, again;
	uint8_t bytes[64];

	f->keep = true;
	start(f, "127.0.0.1");
	for (unsigned int i = 0; i < 10; i++) {
		fds[i] = accepted_from(f, i);
		assert_int_equal(send(fds[i], bytes, frame(bytes, 40, (uint8_t)i), 0), 42);
		RUN_UNTIL(f, f->kept_count == i + 1);
	}
	eleventh = client_from(f, "127.0.1.11");
	RUN_UNTIL(f, readable(eleventh));
	assert_true(is_closed(eleventh));
	assert_int_equal(counters(f).tcp_refused, 1);
	assert_int_equal(counters(f).tcp_clients, 10);

	/* the ten are served, and one that goes makes room */
	for (unsigned int i = 0; i < 10; i++) {
		size_t len;
		const uint8_t *query_bytes = dns_request_bytes(f->kept[i], &len);

		assert_int_equal(dns_request_reply(f->kept[i], query_bytes, len), 0);
		expect_frame(f, fds[i], 40, (uint8_t)i);
		dns_request_unref(f->kept[i]);
	}
	f->kept_count = 0;
	f->keep = false;
	close(fds[0]);
	RUN_UNTIL(f, counters(f).tcp_clients == 9);
	again = accepted_from(f, 0);
	assert_int_equal(send(again, bytes, frame(bytes, 40, 77), 0), 42);
	expect_frame(f, again, 40, 77);

	close(eleventh);
	close(again);
	for (int i = 1; i < 10; i++)
		close(fds[i]);
}

/* D-04: where all places are taken, the one idle longest gives way (RFC 7766 6.2.3) */
static void tcp_longest_idle_connection_gives_way(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	int fds[12];

	start(f, "127.0.0.1");
	f->keep = true;
	fds[0] = accepted_from(f, 0); /* the oldest one, but it waits for an answer */
	assert_int_equal(send(fds[0], bytes, frame(bytes, 40, 0), 0), 42);
	RUN_UNTIL(f, f->kept_count == 1);
	f->keep = false;
	for (unsigned int i = 1; i < 10; i++)
		fds[i] = accepted_from(f, i);
	assert_int_equal(send(fds[1], bytes, frame(bytes, 40, 1), 0), 42);
	expect_frame(f, fds[1], 40, 1); /* moved since: the third is idle longest */

	fds[10] = accepted_from(f, 10);
	assert_int_equal(counters(f).tcp_clients, 10);
	assert_int_equal(counters(f).tcp_refused, 0);
	assert_int_equal(counters(f).tcp_timeouts, 1);
	assert_true(is_closed(fds[2]));
	for (unsigned int i = 0; i < 11; i++)
		if (i != 2)
			assert_false(is_closed(fds[i]));
	fds[11] = accepted_from(f, 11);
	assert_true(is_closed(fds[3]));
	for (unsigned int i = 0; i < 12; i++)
		close(fds[i]);
}

/* D-04: a source has four connections at most, and others are served still */
static void tcp_source_has_four_connections(void **state)
{
	struct fixture *f = *state;
	int fds[4], fifth, other;

	start(f, "127.0.0.1");
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = accepted_from(f, 1);
	fifth = client_from(f, "127.0.1.1");
	RUN_UNTIL(f, readable(fifth));
	assert_true(is_closed(fifth));
	assert_int_equal(counters(f).tcp_refused, 1);
	other = accepted_from(f, 2);
	close(fds[0]);
	RUN_UNTIL(f, counters(f).tcp_clients == 4);
	fds[0] = accepted_from(f, 1);
	for (unsigned int i = 0; i < 4; i++)
		close(fds[i]);
	close(fifth);
	close(other);
}

static bool is_friend(void *ctx, const struct fq_addr *src)
{
	(void)ctx;
	return src->b[14] == 1;
}

/* Strangers are sent away before they take a place. */
static void tcp_closes_who_may_not_connect(void **state)
{
	struct fixture *f = *state;
	int stranger, friend;
	uint8_t bytes[64];

	f->settings.may_connect = is_friend;
	start(f, "127.0.0.1");
	stranger = client_from(f, "127.0.2.1");
	RUN_UNTIL(f, readable(stranger));
	assert_true(is_closed(stranger));
	assert_int_equal(counters(f).tcp_refused, 1);
	assert_int_equal(counters(f).tcp_accepted, 0);
	friend = accepted_from(f, 1);
	assert_int_equal(send(friend, bytes, frame(bytes, 40, 7), 0), 42);
	expect_frame(f, friend, 40, 7);
	close(stranger);
	close(friend);
}

static void tcp_closes_idle_connections(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	f->settings.tcp_idle_ns = 100 * NSEC_PER_MSEC;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, frame(bytes, 40, 1), 0), 42);
	expect_frame(f, fd, 40, 1);
	RUN_UNTIL(f, readable(fd));
	assert_true(is_closed(fd));
	assert_int_equal(counters(f).tcp_timeouts, 1);
}

static void tcp_is_not_kept_open_by_single_bytes(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	struct instant begin = instant_now();
	uint8_t bytes[512];
	size_t i = 0;

	f->settings.tcp_idle_ns = 150 * NSEC_PER_MSEC;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	frame(bytes, 500, 1);
	while (counters(f).tcp_timeouts == 0) {
		int64_t elapsed_ns = instant_sub(instant_now(), begin);

		assert_true(elapsed_ns < DEADLINE_NS);
		if (elapsed_ns > (int64_t)i * 10 * NSEC_PER_MSEC && i < 499)
			(void)send(fd, bytes + i++, 1, MSG_NOSIGNAL);
		assert_true(sd_event_run(f->event, 5000) >= 0);
	}
	assert_true(i > 2);
	assert_int_equal(f->handled, 0);
	assert_int_equal(counters(f).tcp_clients, 0);
}

static void tcp_waits_while_it_is_we_who_are_slow(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	struct instant begin;
	uint8_t bytes[64];

	f->settings.tcp_idle_ns = 50 * NSEC_PER_MSEC;
	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, frame(bytes, 40, 1), 0), 42);
	RUN_UNTIL(f, f->kept_count == 1);
	begin = instant_now();
	RUN_UNTIL(f, instant_sub(instant_now(), begin) > 300 * NSEC_PER_MSEC);

	assert_int_equal(dns_request_reply(f->kept[0], f->big, 40), 0);
	expect_frame(f, fd, 40, 0);
}

static void tcp_stops_reading_a_deep_pipeline(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[50 * 42];
	size_t len = 0;

	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	for (uint8_t i = 0; i < 50; i++)
		len += frame(bytes + len, 40, i);
	assert_int_equal(send(fd, bytes, len, 0), len);
	RUN_UNTIL(f, f->kept_count == DNS_TCP_PIPELINE_MAX);
	for (int i = 0; i < 5; i++)
		assert_true(sd_event_run(f->event, 1000) >= 0);
	assert_int_equal(f->kept_count, DNS_TCP_PIPELINE_MAX);

	/* each one that ends lets the next begin, though no byte arrives */
	for (unsigned int i = 0; i < 50; i++) {
		RUN_UNTIL(f, f->kept_count > i);
		assert_int_equal(dns_request_reply(f->kept[i], bytes + 42 * i + 2, 40), 0);
		dns_request_unref(f->kept[i]);
		f->kept[i] = NULL;
		expect_frame(f, fd, 40, (uint8_t)i);
	}
}

static void tcp_drops_a_client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];
	size_t len = frame(bytes, 40, 1);
	int small = 4096;

	f->settings.tcp_idle_ns = 200 * NSEC_PER_MSEC;
	f->answer_len = 60000;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (struct instant begin = instant_now(); counters(f).tcp_timeouts == 0;) {
		assert_true(instant_sub(instant_now(), begin) < DEADLINE_NS);
		(void)send(fd, bytes, len, MSG_NOSIGNAL);
		assert_true(sd_event_run(f->event, 1000) >= 0);
	}
	assert_int_equal(counters(f).tcp_clients, 0);
	assert_int_equal(counters(f).requests, 0);
}

static void tcp_bounds_what_waits_to_be_read(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[DNS_TCP_PIPELINE_MAX * 42];
	unsigned int refused = 0;
	char some[16384];
	size_t len = 0;

	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	for (uint8_t i = 0; i < DNS_TCP_PIPELINE_MAX; i++)
		len += frame(bytes + len, 40, i);
	/* two MiB of answers a round, of which is read what lets the next one begin and no more */
	for (int round = 0; round < 20 && refused == 0; round++) {
		assert_int_equal(send(fd, bytes, len, 0), len);
		RUN_UNTIL(f, f->kept_count == DNS_TCP_PIPELINE_MAX)
		(void)recv(fd, some, sizeof(some), 0);
		for (unsigned int i = 0; i < DNS_TCP_PIPELINE_MAX; i++) {
			int r = dns_request_reply(f->kept[i], f->big, DNS_TCP_MAX);

			assert_true(r == 0 || r == -ENOTCONN);
			refused += r < 0;
			dns_request_unref(f->kept[i]);
		}
		f->kept_count = 0;
	}
	assert_true(refused > 0);
	RUN_UNTIL(f, counters(f).tcp_clients == 0);
}

static void tcp_answers_a_client_that_has_finished_sending(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, frame(bytes, 40, 5), 0), 42);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	RUN_UNTIL(f, f->kept_count == 1);
	for (int i = 0; i < 3; i++)
		assert_true(sd_event_run(f->event, 1000) >= 0);

	assert_int_equal(dns_request_reply(f->kept[0], bytes + 2, 40), 0);
	dns_request_unref(f->kept[0]);
	f->kept_count = 0;

	expect_frame(f, fd, 40, 5);
	RUN_UNTIL(f, readable(fd));
	assert_true(is_closed(fd));
}

static void tcp_client_that_is_gone_is_not_answered(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	int fd;

	f->keep = true;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	assert_int_equal(send(fd, bytes, frame(bytes, 40, 5), 0), 42);
	RUN_UNTIL(f, f->kept_count == 1);
	/* reset, not just closed: half-closed clients are answered */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
				    sizeof(struct linger)),
			 0);
	close(fd);
	RUN_UNTIL(f, counters(f).tcp_clients == 0);

	assert_int_equal(dns_request_reply(f->kept[0], bytes, 40), -ENOTCONN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(udp_answers_leave_from_the_address_that_was_asked),
		T(udp_takes_more_than_a_batch),
		T(udp_drops_what_cannot_be_a_query),
		T(request_is_answered_once_and_within_its_limit),
		T(requests_in_progress_are_bounded),
		T(request_outlives_the_server),
		T(address_in_use_is_named),
		T(tcp_answers_pipelined_queries_as_they_come),
		T(tcp_takes_queries_in_pieces),
		T(tcp_carries_the_longest_message),
		T(tcp_closes_on_a_message_without_header),
		T(tcp_closes_the_eleventh_connection),
		T(tcp_longest_idle_connection_gives_way),
		T(tcp_source_has_four_connections),
		T(tcp_closes_who_may_not_connect),
		T(tcp_closes_idle_connections),
		T(tcp_is_not_kept_open_by_single_bytes),
		T(tcp_waits_while_it_is_we_who_are_slow),
		T(tcp_stops_reading_a_deep_pipeline),
		T(tcp_drops_a_client_that_does_not_read),
		T(tcp_bounds_what_waits_to_be_read),
		T(tcp_answers_a_client_that_has_finished_sending),
		T(tcp_client_that_is_gone_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
