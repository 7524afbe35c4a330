/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DNS server over real sockets of the loopback interface, on a port the kernel chooses, and
 * clients that are not blocked by it: the test runs its loop. Used by test_dns_*.c.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

static inline void handle(void *ctx, struct dns_request *req)
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

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < f->kept_count; i++)
		dns_request_unref(f->kept[i]);
	dns_server_free(f->server);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static inline struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static inline void start(struct fixture *f, const char *listen)
{
	struct dns_listen where = {.addr = addr(listen)};

	f->settings.listen = &where;
	f->settings.listen_count = 1;
	assert_int_equal(dns_server_new(f->event, &f->settings, &f->server, f->error), 0);
	assert_int_not_equal(dns_server_port(f->server, 0), 0);
}

static inline struct dns_server_counters counters(struct fixture *f)
{
	return dns_server_counters(f->server);
}

static inline void step(struct fixture *f, struct instant deadline)
{
	assert_false(instant_reached(deadline, instant_now()));
	assert_true(sd_event_run(f->event, 10000) >= 0);
}

/* Run the loop until a condition holds, and a statement before each step. */
#define RUN_UNTIL(f, condition)                                                                \
	for (struct instant deadline_ = instant_add(instant_now(), DEADLINE_NS); !(condition); \
	     step(f, deadline_))

static inline int client(struct fixture *f, int type, const char *to)
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
static inline void query(uint8_t *bytes, size_t len, uint8_t id)
{
	memset(bytes, 0, len);
	bytes[1] = id;
}

/* The same with its length before it. Return: bytes of both. */
static inline size_t frame(uint8_t *bytes, size_t len, uint8_t id)
{
	bytes[0] = (uint8_t)(len >> 8);
	bytes[1] = (uint8_t)len;
	query(bytes + 2, len, id);
	return len + 2;
}

static inline bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* The next @len bytes of a connection. */
static inline void read_exactly(struct fixture *f, int fd, uint8_t *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n;

		RUN_UNTIL(f, readable(fd));
		n = recv(fd, bytes + done, len - done, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

/* dns_server_settings.handled: answers what has been kept, the last one first. */
static inline void answer_kept(void *ctx)
{
	struct fixture *f = ctx;

	while (f->kept_count) {
		struct dns_request *req = f->kept[--f->kept_count];
		size_t len;
		const uint8_t *bytes = dns_request_bytes(req, &len);

		assert_int_equal(dns_request_reply(req, bytes, len), 0);
		dns_request_unref(req);
	}
}

/* Is the connection closed by the server, after whatever is left to read? */
static inline bool is_closed(int fd)
{
	static uint8_t rest[65536];
	ssize_t n;

	do
		n = recv(fd, rest, sizeof(rest), 0);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static inline void expect_frame(struct fixture *f, int fd, size_t len, uint8_t id)
{
	uint8_t bytes[2 + 512];

	assert_true(len <= 512);
	read_exactly(f, fd, bytes, 2 + len);
	assert_int_equal(bytes[0] << 8 | bytes[1], len);
	assert_int_equal(bytes[3], id);
}
