/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP connections through the programs: every segment is translated, and the entries in the map say
 * what state the connection is in. What each segment means is in unit/test_pkt_tcp.c.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/expiry.h"

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 5000
#define C    0xfffffff0U /* the client's first number: it wraps soon */
#define S    7000U

enum { F = FQ_TCP_FIN, Y = FQ_TCP_SYN, R = FQ_TCP_RST, A = FQ_TCP_ACK };

struct way {
	const char *client, *proxy, *server, *gateway;
};

static const struct way v4 = {CLIENT4, PROXY4, SERVER4, GW4};
static const struct way v6 = {CLIENT6, PROXY6, SERVER6, GW6};

/* A segment by its distance from the first numbers. */
static void build(struct pkt *p, const struct way *way, enum prog_side side, uint8_t flags,
		  int32_t seq, int32_t ack)
{
	bool out = side == CLIENT_SIDE;

	PKT(p, .src = out ? way->client : way->server, .dst = out ? way->proxy : way->gateway,
	    .proto = PKT_TCP, .sport = out ? PORT : 443, .dport = out ? 443 : PORT,
	    .tcp_flags = flags, .tcp_seq = (out ? C : S) + (uint32_t)seq,
	    .tcp_ack = flags & A ? (out ? S : C) + (uint32_t)ack : 0, .tcp_window = 1000,
	    .tcp_wscale = flags & Y ? 6 : 0, .payload = "", .payload_len = 0);
}

static struct session_entry entry(struct prog *t, const struct way *way, enum fq_dir dir)
{
	const struct fq_tuple key = prog_tuple(PKT_TCP, way->client, PORT, way->proxy, 443);
	struct session_entry s = prog_session(t, &key);
	const struct fq_tuple partner = prog_partner(&key, &s);

	return dir == FQ_DIR_OUT ? s : prog_session(t, &partner);
}

/* Every segment passes. Return: the state after it. */
static enum session_state segment(struct prog *t, const struct way *way, enum prog_side side,
				  uint8_t flags, int32_t seq, int32_t ack)
{
	struct session_entry out, in;
	struct prog_result res;
	struct pkt p;

	build(&p, way, side, flags, seq, ack);
	prog_run(t, &p, side, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	out = entry(t, way, FQ_DIR_OUT);
	in = entry(t, way, FQ_DIR_IN);
	return session_state(&out, &in, IPPROTO_TCP);
}

#define to(way, ...)   segment(t, way, CLIENT_SIDE, __VA_ARGS__)
#define from(way, ...) segment(t, way, SERVER_SIDE, __VA_ARGS__)

static void open_connection(struct prog *t, const struct way *way)
{
	assert_int_equal(to(way, Y, 0, 0), SESSION_OPENING);
	assert_int_equal(from(way, Y | A, 0, 1), SESSION_OPENING);
	assert_int_equal(to(way, A, 1, 1), SESSION_ESTABLISHED);
}

/* N-06 */
static void a_connection_has_a_state(void **state)
{
	const struct way *const ways[] = {&v4, &v6};
	struct prog *t = *state;

	for (int i = 0; i < 2; i++) {
		open_connection(t, ways[i]);
		assert_int_equal(to(ways[i], F | A, 1, 1), SESSION_HALF_CLOSED);
		assert_int_equal(from(ways[i], A, 1, 2), SESSION_HALF_CLOSED);
		assert_int_equal(from(ways[i], F | A, 1, 2), SESSION_CLOSING);
		assert_int_equal(to(ways[i], A, 2, 2), SESSION_CLOSING);
	}
	assert_int_equal(prog_sessions(t), 4);
}

/* RFC 7323: what is kept of a window is what its sender means by it. */
static void windows_are_scaled(void **state)
{
	struct prog *t = *state;
	struct session_entry s;

	open_connection(t, &v4);
	s = entry(t, &v4, FQ_DIR_OUT);
	assert_int_equal(s.tcp.ack, S + 1);
	assert_int_equal(s.tcp.edge, S + 1 + (1000 << 6));
	s = entry(t, &v4, FQ_DIR_IN);
	assert_int_equal(s.tcp.ack, C + 1);
	assert_int_equal(s.tcp.edge, C + 1 + 1000); /* a SYN's is not */
	assert_int_equal(s.tcp.wscale, 6);
}

/* N-10: RFC 7857 2.2: translated, but nothing is ended by them */
static void blind_segments_pass_and_end_nothing(void **state)
{
	struct prog *t = *state;

	open_connection(t, &v4);
	assert_int_equal(from(&v4, R, 0, 0), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R, 65000, 0), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R | A, -5000000, 1), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, F | A, 100000000, 1), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, Y, 500000, 0), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, Y | A, 500000, 99), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R, 1, 0), SESSION_RESET);
}

/* N-10: a reset that either side contradicts is none */
static void traffic_after_a_reset_revives_the_session(void **state)
{
	struct prog *t = *state;

	open_connection(t, &v4);
	assert_int_equal(from(&v4, R, 900, 0), SESSION_RESET);
	assert_int_equal(to(&v4, A, 1, 1), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R, 900, 0), SESSION_RESET);
	assert_int_equal(from(&v4, A, 1, 1), SESSION_ESTABLISHED);
}

/* N-10: the next connection on the same ports is not closing because the last one was. */
static void new_connection_forgets_the_old_ones_end(void **state)
{
	struct prog *t = *state;

	open_connection(t, &v4);
	to(&v4, F | A, 1, 1);
	assert_int_equal(from(&v4, F | A, 1, 2), SESSION_CLOSING);

	assert_int_equal(to(&v4, Y, 90000, 0), SESSION_OPENING);
	assert_int_equal(from(&v4, Y | A, 80000, 90001), SESSION_OPENING);
	assert_int_equal(to(&v4, A, 90001, 80001), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R | A, -7000, 1), SESSION_ESTABLISHED);
}

/* After a restart without sessions, connections are found in their midst. */
static void a_connection_is_joined_in_its_midst(void **state)
{
	struct prog *t = *state;

	assert_int_equal(to(&v4, A, 500, 900), SESSION_OPENING);
	assert_int_equal(from(&v4, A, 900, 500), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R, -900, 0), SESSION_ESTABLISHED);
	assert_int_equal(from(&v4, R, 900, 0), SESSION_RESET);
}

/* The coarse clock ticks. */
static void wait_a_tick(void)
{
	uint64_t before = prog_now();

	while (prog_now() == before)
		usleep(1000);
}

/* N-07: RFC 7857 7.1: resets keep no session, whoever sends them; what they start is their time */
static void resets_do_not_keep_a_session(void **state)
{
	struct prog *t = *state;
	uint64_t before;

	open_connection(t, &v4);
	before = entry(t, &v4, FQ_DIR_IN).last;
	wait_a_tick();
	from(&v4, R, 100000000, 0);
	assert_int_equal(entry(t, &v4, FQ_DIR_IN).last, before);
	assert_int_equal(entry(t, &v4, FQ_DIR_IN).packets, 2);

	before = entry(t, &v4, FQ_DIR_OUT).last;
	to(&v4, R, 1, 0);
	assert_true(entry(t, &v4, FQ_DIR_OUT).last > before);
	before = entry(t, &v4, FQ_DIR_OUT).last;
	wait_a_tick();
	to(&v4, R, 1, 0);
	assert_int_equal(entry(t, &v4, FQ_DIR_OUT).last, before);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(a_connection_has_a_state),
		T(windows_are_scaled),
		T(blind_segments_pass_and_end_nothing),
		T(traffic_after_a_reset_revives_the_session),
		T(new_connection_forgets_the_old_ones_end),
		T(a_connection_is_joined_in_its_midst),
		T(resets_do_not_keep_a_session),
	};

	return cmocka_run_group_tests_name("tcp", tests, prog_group_setup, prog_group_teardown);
}
