/* SPDX-License-Identifier: BSD-2-Clause */
/* The TCP half of the DNS server: messages on a connection (RFC 7766). */
#include "dns_lab.h"

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

/* What is wrong takes nothing from what came before it. */
static void tcp_answers_what_came_before_a_message_without_header(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[128];
	size_t len;

	f->keep = true;
	f->settings.handled = answer_kept;
	start(f, "127.0.0.1");
	fd = client(f, SOCK_STREAM, "127.0.0.1");
	len = frame(bytes, 40, 1);
	len += frame(bytes + len, 4, 2);
	assert_int_equal(send(fd, bytes, len, 0), len);
	expect_frame(f, fd, 40, 1);
	RUN_UNTIL(f, readable(fd));
	assert_true(is_closed(fd));
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
		T(tcp_answers_pipelined_queries_as_they_come),
		T(tcp_takes_queries_in_pieces),
		T(tcp_carries_the_longest_message),
		T(tcp_closes_on_a_message_without_header),
		T(tcp_answers_what_came_before_a_message_without_header),
		T(tcp_waits_while_it_is_we_who_are_slow),
		T(tcp_answers_a_client_that_has_finished_sending),
		T(tcp_client_that_is_gone_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
