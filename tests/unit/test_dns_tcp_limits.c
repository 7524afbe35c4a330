/* SPDX-License-Identifier: BSD-2-Clause */
/* The TCP half of the DNS server: how many connections, how long, how much (D-04). */
#include <stdio.h>

#include "dns_lab.h"

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

	f->settings.tcp_idle_ns = NSEC_PER_SEC; /* in which some are sent, whatever else runs */
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(tcp_closes_the_eleventh_connection), T(tcp_longest_idle_connection_gives_way),
		T(tcp_source_has_four_connections),    T(tcp_closes_who_may_not_connect),
		T(tcp_closes_idle_connections),        T(tcp_is_not_kept_open_by_single_bytes),
		T(tcp_stops_reading_a_deep_pipeline),  T(tcp_drops_a_client_that_does_not_read),
		T(tcp_bounds_what_waits_to_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
