/* SPDX-License-Identifier: BSD-2-Clause */
/* The DNS server: its sockets, requests of both kinds, and what is not answered. */
#include <stdio.h>

#include "dns_lab.h"

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

/* With ids from 0 on, all before the first one is read. */
static void send_queries(int fd, int count)
{
	uint8_t bytes[40];

	for (int i = 0; i < count; i++) {
		query(bytes, sizeof(bytes), (uint8_t)i);
		assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	}
}

static void udp_takes_more_than_a_batch(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	send_queries(fd, 100);
	for (int i = 0; i < 100; i++) {
		RUN_UNTIL(f, readable(fd));
		assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 40);
		assert_int_equal(bytes[1], i);
	}
	assert_int_equal(counters(f).requests, 0);
}

static void answer_all(void *ctx)
{
	const struct fixture *f = ctx;

	assert_int_equal(f->kept_count, 25);
	answer_kept(ctx);
}

static void udp_says_when_all_that_came_has_been_handled(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	f->keep = true;
	f->settings.handled = answer_all;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	send_queries(fd, 25);
	for (int i = 0; i < 25; i++) {
		RUN_UNTIL(f, readable(fd));
		assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 40);
		assert_int_equal(bytes[1], 24 - i);
	}
	assert_int_equal(counters(f).requests, 0);
}

/* Requests that only wait for those that came with them take nobody's place. */
static void udp_answers_more_at_once_than_there_are_places(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[64];

	f->keep = true;
	f->settings.handled = answer_kept;
	f->settings.requests_max = 10;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_DGRAM, "127.0.0.1");
	send_queries(fd, 25);
	for (int i = 0; i < 25; i++) {
		RUN_UNTIL(f, readable(fd));
		assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 40);
	}
	assert_int_equal(counters(f).overload, 0);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(udp_answers_leave_from_the_address_that_was_asked),
		T(udp_takes_more_than_a_batch),
		T(udp_says_when_all_that_came_has_been_handled),
		T(udp_answers_more_at_once_than_there_are_places),
		T(udp_drops_what_cannot_be_a_query),
		T(request_is_answered_once_and_within_its_limit),
		T(requests_in_progress_are_bounded),
		T(request_outlives_the_server),
		T(address_in_use_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
