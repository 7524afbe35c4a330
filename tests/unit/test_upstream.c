/* SPDX-License-Identifier: BSD-2-Clause */
/* The forwarder to upstream servers against a DNS server with all its faults. */
#include <errno.h>
#include <fcntl.h>

#include "resolver_lab.h"

/* A query of type ANY with EDNS (DO set, 1232 bytes) and ID 0xbeef; returns its length. */
static size_t make_query(const char *label, uint8_t *q)
{
	static const uint8_t header[12] = {0xbe, 0xef, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 1};
	static const uint8_t rest[] = {4, 't', 'e', 's', 't', 0, 0, 255, 0, 1};
	static const uint8_t opt[] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0};
	size_t len = 12, n = strlen(label);

	memcpy(q, header, 12);
	q[len++] = (uint8_t)n;
	memcpy(q + len, label, n);
	len += n;
	memcpy(q + len, rest, sizeof(rest));
	len += sizeof(rest);
	memcpy(q + len, opt, sizeof(opt));
	return len + sizeof(opt);
}

static void forward(struct lab *lab, const char *label)
{
	uint8_t q[512];
	size_t len = make_query(label, q);

	lab->answers = 0;
	assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), 0);
	assert_int_equal(lab->answers, 0);
	run_until(lab, &lab->answers, 1);
	assert_int_equal(upstream_in_flight(lab->upstream), 0);
}

static void query_is_forwarded_as_it_came(void **state)
{
	struct lab *lab = *state;
	uint8_t q[512];
	size_t len = make_query("www", q);

	forward(lab, "www");
	assert_int_equal(lab->outcome, UPSTREAM_ANSWERED);
	assert_memory_equal(lab->answer, q, 2);
	assert_int_equal(lab->fake.last_len, len);
	assert_memory_equal(lab->fake.last + 2, q + 2, len - 2);
}

/* RFC 5452 9.2 */
static void forwarded_queries_leave_from_many_ports(void **state)
{
	struct lab *lab = *state;
	uint8_t q[512];
	size_t len = make_query("www", q);
	unsigned int shared;

	ask_once(lab);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), 0);
	assert_int_equal(upstream_in_flight(lab->upstream), 200);
	run_until(lab, &lab->answers, 200);
	assert_int_equal(lab->fake.udp_queries, 200);
	assert_in_range(ports(&lab->fake, &shared), 25, 200);
	assert_in_range(shared, 1, 8);
}

static void nothing_is_in_flight_where_there_is_nobody(void **state)
{
	(void)state;
	assert_int_equal(upstream_in_flight(NULL), 0);
	assert_int_equal(resolver_in_flight(NULL), 0);
}

/* D-05: a timeout is told apart from a failure; any RCODE of the server is passed on. */
static void forwarding_outcomes(void **state)
{
	static const struct {
		const char *label;
		enum upstream_outcome outcome;
		uint8_t rcode;
	} rows[] = {
		{"nx", UPSTREAM_ANSWERED, 3},       {"nodata", UPSTREAM_ANSWERED, 0},
		{"servfail", UPSTREAM_ANSWERED, 2}, {"refused", UPSTREAM_ANSWERED, 5},
		{"silent", UPSTREAM_TIMEOUT, 0},    {"wrongid", UPSTREAM_TIMEOUT, 0},
		{"short", UPSTREAM_TIMEOUT, 0},
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < N(rows); i++) {
		forward(lab, rows[i].label);
		if (lab->outcome != rows[i].outcome)
			fail_msg("%s: %d", rows[i].label, lab->outcome);
		if (lab->outcome == UPSTREAM_ANSWERED)
			assert_int_equal(lab->answer[3] & 15, rows[i].rcode);
	}
}

/* D-04: what is truncated, or long, comes whole by TCP. */
static void long_answers_come_by_tcp(void **state)
{
	struct lab *lab = *state;
	uint8_t q[512];
	size_t len = make_query("big", q);

	ask_once(lab);
	q[len - 11 - 3] = FAKE_AAAA; /* low byte of the type */
	lab->answers = 0;
	assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), 0);
	run_until(lab, &lab->answers, 1);
	assert_int_equal(lab->outcome, UPSTREAM_ANSWERED);
	assert_int_equal(lab->answer[2] & 2, 0);
	assert_true(lab->answer_len > 1000);
	assert_int_equal(lab->fake.tcp_queries, 1);
}

static unsigned int open_files(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void forwarding_is_bounded(void **state)
{
	struct lab *lab = *state;
	uint8_t q[512];
	size_t len = make_query("silent", q);

	assert_int_equal(upstream_forward(lab->upstream, q, 11, on_forwarded, lab), -EBADMSG);
	for (unsigned int i = 0; i < FORWARDS_MAX; i++)
		assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), 0);
	assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), -EBUSY);
	assert_in_range(open_files(), 64, 100); /* sockets, too */
	run_until(lab, &lab->answers, FORWARDS_MAX);
	assert_int_equal(upstream_forward(lab->upstream, q, len, on_forwarded, lab), 0);
	upstream_free(TAKE_PTR(lab->upstream));
	assert_int_equal(lab->answers, FORWARDS_MAX);
	assert_in_range(open_files(), 3, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(forwarded_queries_leave_from_many_ports),
		LAB_TEST(nothing_is_in_flight_where_there_is_nobody),
		LAB_TEST(query_is_forwarded_as_it_came),
		LAB_TEST(forwarding_outcomes),
		LAB_TEST(long_answers_come_by_tcp),
		LAB_TEST(forwarding_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
