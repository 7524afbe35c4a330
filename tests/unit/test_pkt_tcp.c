/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What segments say about their connection (bpf/tcp.h), compiled natively: a script for every case
 * that has a name. Two endpoints that lose and reorder, with a forger, are in test_tcp_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/tcp.h"
#include "../lib/tcp_track.h"

#define C 1000000U /* the client's first number */
#define S 7000U    /* the server's */

enum { F = FQ_TCP_FIN, Y = FQ_TCP_SYN, R = FQ_TCP_RST, A = FQ_TCP_ACK };

enum { TO = FQ_DIR_OUT, FROM = FQ_DIR_IN };

/* A segment, and the state after it. Numbers are offsets from the sender's and the other's first.
 */
struct step {
	uint8_t dir, flags;
	int64_t seq, ack;
	uint16_t len;
	enum session_state state;
};

#define STEPS 12

struct script {
	const char *claim;
	struct step step[STEPS]; /* up to one with flags 0 */
};

#define OPENED                                                                      \
	{TO, Y, 0, 0, 0, SESSION_OPENING}, {FROM, Y | A, 0, 1, 0, SESSION_OPENING}, \
	{                                                                           \
		TO, A, 1, 1, 0, SESSION_ESTABLISHED                                 \
	}
#define MIDWAY                                            \
	{TO, A, 500, 900, 10, SESSION_OPENING},           \
	{                                                 \
		FROM, A, 900, 510, 0, SESSION_ESTABLISHED \
	}

static const struct script scripts[] = {
	{"three segments open it", {OPENED}},
	{"a SYN sent again changes nothing",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {TO, Y, 0, 0, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 1, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 1, 0, SESSION_OPENING},
	  {TO, A, 1, 1, 0, SESSION_ESTABLISHED},
	  {FROM, Y | A, 0, 1, 0, SESSION_ESTABLISHED}}},
	{"both open it at once (RFC 9293 3.5, figure 7)",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {FROM, Y, 0, 0, 0, SESSION_OPENING},
	  {TO, Y | A, 0, 1, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 1, 0, SESSION_ESTABLISHED},
	  {TO, F | A, 1, 1, 0, SESSION_HALF_CLOSED}}},
	{"a scanner's connection is reset",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 1, 0, SESSION_OPENING},
	  {TO, R, 1, 0, 0, SESSION_RESET}}},
	{"a closed port's answer resets: number 0, ours acknowledged",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING}, {FROM, R | A, -(int64_t)S, 1, 0, SESSION_RESET}}},
	{"such an answer that acknowledges something else does not",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {FROM, R | A, -(int64_t)S, 2, 0, SESSION_OPENING},
	  {FROM, R | A, -(int64_t)S, 0, 0, SESSION_OPENING},
	  {FROM, R, -(int64_t)S, 1, 0, SESSION_OPENING}}},
	{"an answer to a SYN that nobody has sent opens nothing",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 77, 0, SESSION_OPENING},
	  {FROM, A, 1, 1, 0, SESSION_OPENING},
	  {FROM, F | A, 1, 1, 0, SESSION_OPENING},
	  {FROM, Y | A, 5000, 1, 0, SESSION_OPENING},
	  {TO, A, 1, 5001, 0, SESSION_ESTABLISHED}}},
	{"data in the SYN may be acknowledged or not (RFC 7413)",
	 {{TO, Y, 0, 0, 100, SESSION_OPENING},
	  {FROM, Y | A, 0, 1, 0, SESSION_OPENING},
	  {TO, A, 1, 1, 100, SESSION_ESTABLISHED}}},
	{"with the data acknowledged, and a FIN before the client has said anything",
	 {{TO, Y, 0, 0, 100, SESSION_OPENING},
	  {FROM, Y | A, 0, 101, 0, SESSION_OPENING},
	  {FROM, F | A, 1, 101, 900, SESSION_OPENING},
	  {TO, F | A, 101, 902, 0, SESSION_CLOSING}}},
	{"a reset in answer to a SYN with data",
	 {{TO, Y, 0, 0, 100, SESSION_OPENING}, {FROM, R | A, -(int64_t)S, 101, 0, SESSION_RESET}}},
	{"FIN in both directions closes; acknowledgements do not open it again",
	 {OPENED,
	  {TO, F | A, 1, 1, 0, SESSION_HALF_CLOSED},
	  {FROM, A, 1, 2, 500, SESSION_HALF_CLOSED},
	  {FROM, F | A, 501, 2, 0, SESSION_CLOSING},
	  {TO, A, 2, 502, 0, SESSION_CLOSING},
	  {FROM, F | A, 501, 2, 0, SESSION_CLOSING},
	  {TO, A, 2, 502, 0, SESSION_CLOSING}}},
	{"FIN with data", {OPENED, {FROM, F | A, 1, 1, 1400, SESSION_HALF_CLOSED}}},
	{"FIN beyond the window is not believed",
	 {OPENED,
	  {FROM, F | A, 2 * 65536, 1, 0, SESSION_ESTABLISHED},
	  {FROM, F | A, -1, 1, 0, SESSION_ESTABLISHED},
	  {TO, F | A, -100000, 1, 0, SESSION_ESTABLISHED}}},
	{"a client that goes on is believed, whatever its server is said to have had",
	 {OPENED,
	  {FROM, A, 1, 30000000, 0, SESSION_ESTABLISHED}, /* forged */
	  {TO, F | A, 1, 1, 100, SESSION_HALF_CLOSED}}},
	{"a reset at the next number, or within the window",
	 {OPENED, {FROM, R, 1, 0, 0, SESSION_RESET}}},
	{"a reset at the window's end", {OPENED, {FROM, R, 1000, 0, 0, SESSION_RESET}}},
	{"a reset outside of the window is not believed (RFC 5961)",
	 {OPENED,
	  {FROM, R, 0, 0, 0, SESSION_ESTABLISHED},
	  {FROM, R, 65537, 0, 0, SESSION_ESTABLISHED},
	  {FROM, R | A, 0x40000000, 1, 0, SESSION_ESTABLISHED},
	  {TO, R, 100000, 0, 0, SESSION_ESTABLISHED},
	  {TO, R, -100000, 0, 0, SESSION_ESTABLISHED}}},
	{"a reset session is alive again when either side goes on (RFC 7857 2.2)",
	 {OPENED,
	  {FROM, R, 9, 0, 0, SESSION_RESET},
	  {FROM, R, 9, 0, 0, SESSION_RESET},
	  {TO, A, 1, 1, 0, SESSION_ESTABLISHED},
	  {FROM, R, 1, 0, 0, SESSION_RESET},
	  {FROM, A, 1, 1, 10, SESSION_ESTABLISHED}}},
	{"not when somebody else does",
	 {OPENED, {FROM, R, 1, 0, 0, SESSION_RESET}, {FROM, A, 400000, 1, 0, SESSION_RESET}}},
	{"a keepalive is one behind (RFC 9293 3.8.4)",
	 {OPENED,
	  {FROM, R, 9, 0, 0, SESSION_RESET},
	  {TO, A, 0, 1, 0, SESSION_ESTABLISHED},
	  {FROM, A, 1, 1, 0, SESSION_ESTABLISHED}}},
	{"SYN on an open connection changes nothing, nor does the challenge (RFC 5961 4)",
	 {OPENED,
	  {FROM, Y, 123456, 0, 0, SESSION_ESTABLISHED},
	  {TO, A, 1, 1, 0, SESSION_ESTABLISHED},
	  {TO, Y, 777777, 0, 0, SESSION_ESTABLISHED},
	  {FROM, A, 1, 1, 0, SESSION_ESTABLISHED}}},
	{"a client without a memory resets, then opens anew",
	 {OPENED,
	  {TO, Y, 777777, 0, 0, SESSION_ESTABLISHED},
	  {FROM, A, 1, 1, 0, SESSION_ESTABLISHED},
	  {TO, R, 1, 0, 0, SESSION_RESET},
	  {TO, Y, 777777, 0, 0, SESSION_OPENING},
	  {FROM, Y | A, 500000, 777778, 0, SESSION_OPENING},
	  {TO, A, 777778, 500001, 0, SESSION_ESTABLISHED}}},
	{"where both have lost it, the answer to the SYN tells",
	 {OPENED,
	  {TO, Y, 777777, 0, 0, SESSION_ESTABLISHED},
	  {FROM, Y | A, 500000, 777778, 0, SESSION_OPENING},
	  {TO, A, 777778, 500001, 0, SESSION_ESTABLISHED},
	  {FROM, R, 1, 0, 0, SESSION_ESTABLISHED},
	  {FROM, R, 500001, 0, 0, SESSION_RESET}}},
	{"or the refusal of the SYN",
	 {OPENED,
	  {TO, Y, 777777, 0, 0, SESSION_ESTABLISHED},
	  {FROM, R | A, -(int64_t)S, 777778, 0, SESSION_RESET}}},
	{"after its end a SYN with another number opens a new one (RFC 6191)",
	 {OPENED,
	  {TO, F | A, 1, 1, 0, SESSION_HALF_CLOSED},
	  {FROM, F | A, 1, 2, 0, SESSION_CLOSING},
	  {TO, Y, 0, 0, 0, SESSION_CLOSING}, /* a late one of the old connection */
	  {TO, Y, 90000, 0, 0, SESSION_OPENING},
	  {FROM, Y | A, 80000, 90001, 0, SESSION_OPENING},
	  {TO, A, 90001, 80001, 0, SESSION_ESTABLISHED}}},
	{"a client that gives up and begins anew",
	 {{TO, Y, 0, 0, 0, SESSION_OPENING},
	  {TO, Y, 50000, 0, 0, SESSION_OPENING},
	  {FROM, R | A, -(int64_t)S, 1, 0, SESSION_OPENING},
	  {FROM, Y | A, 0, 50001, 0, SESSION_OPENING},
	  {TO, A, 50001, 1, 0, SESSION_ESTABLISHED}}},
	{"in its midst, after a restart", {MIDWAY, {FROM, R, 900, 0, 0, SESSION_RESET}}},
	{"in its midst the windows are unknown, and taken for large",
	 {MIDWAY, {FROM, F | A, 900 + 5000000, 510, 0, SESSION_HALF_CLOSED}}},
	{"in its midst a blind reset is not believed either",
	 {MIDWAY, {FROM, R, -100000, 0, 0, SESSION_ESTABLISHED}}},
	{"a server that knows nothing of a connection in its midst",
	 {{TO, A, 500, 900, 10, SESSION_OPENING}, {FROM, R, 900, 0, 0, SESSION_RESET}}},
	{"late segments move nothing back",
	 {OPENED,
	  {TO, A, 1, 1001, 0, SESSION_ESTABLISHED},
	  {TO, A, 1, 501, 0, SESSION_ESTABLISHED},
	  {FROM, R, 501, 0, 0, SESSION_ESTABLISHED},
	  {FROM, R, 1001, 0, 0, SESSION_RESET}}},
};

static void run(const struct script *script, uint32_t shift)
{
	struct tcp_half side[2];

	tcp_halves(side);
	for (int i = 0; i < STEPS && script->step[i].flags; i++) {
		const struct step *step = &script->step[i];
		uint32_t mine = (step->dir == TO ? C : S) + shift;
		uint32_t other = (step->dir == TO ? S : C) + shift;
		struct fq_pkt p = {
			.tcp_flags = step->flags,
			.tcp = {.seq = mine + (uint32_t)step->seq,
				.ack = step->flags & A ? other + (uint32_t)step->ack : 0,
				.window = 1000,
				.len = step->len,
				.wscale = 6},
		};
		enum session_state state;

		/* Zero is zero, whatever the first numbers are. */
		if (step->seq == -(int64_t)S)
			p.tcp.seq = 0;
		tcp_track(side, step->dir, &p);
		state = tcp_state_of(side);
		if (state != step->state)
			fail_msg("%s: after segment %d it is %s", script->claim, i + 1,
				 session_state_name(state));
	}
}

/* N-10: also around the end of the number space */
static void each_segment_leads_to_its_state(void **state)
{
	static const uint32_t shifts[] = {0, -C, -C - 1, -C - 501, -S, -S - 1, -S - 500, 1U << 31};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		for (size_t j = 0; j < sizeof(shifts) / sizeof(shifts[0]); j++)
			run(&scripts[i], shifts[j]);
}

/* A connection with windows of one shift a side, TCP_WSCALE_NONE without the option. */
static void open_scaled(struct tcp_half side[2], uint8_t out_shift, uint8_t in_shift)
{
	struct fq_pkt syn = {.tcp_flags = Y, .tcp = {.seq = C, .window = 1000}};
	struct fq_pkt syn_ack = {.tcp_flags = Y | A,
				 .tcp = {.seq = S, .ack = C + 1, .window = 1000}};
	struct fq_pkt ack = {.tcp_flags = A, .tcp = {.seq = C + 1, .ack = S + 1, .window = 1000}};

	syn.tcp.wscale = out_shift;
	syn_ack.tcp.wscale = in_shift;
	tcp_halves(side);
	tcp_track(side, TO, &syn);
	tcp_track(side, FROM, &syn_ack);
	tcp_track(side, TO, &ack);
}

/* RFC 7323 2.2: scaled in both directions or in none, and never in a SYN */
static void windows_are_scaled_as_agreed(void **state)
{
	static const struct {
		uint8_t out, in;
		uint32_t out_window, in_window;
	} rows[] = {
		{0, 0, 1000, 1000},
		{7, 7, 128000, 128000},
		{7, 0, 128000, 1000},
		{14, 3, 16384000, 8000},
		{TCP_WSCALE_NONE, TCP_WSCALE_NONE, 1000, 1000},
		{7, TCP_WSCALE_NONE, 1000, 1000},
		{TCP_WSCALE_NONE, 7, 1000, 1000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fq_pkt ack = {.tcp_flags = A,
				     .tcp = {.seq = S + 1, .ack = C + 1, .window = 1000}};
		struct tcp_half side[2];

		open_scaled(side, rows[i].out, rows[i].in);
		assert_int_equal(side[TO].slot.tcp.edge - side[TO].slot.tcp.ack,
				 rows[i].out_window);
		assert_int_equal(side[FROM].slot.tcp.edge - side[FROM].slot.tcp.ack, 1000);
		tcp_track(side, FROM, &ack);
		assert_int_equal(side[FROM].slot.tcp.edge - side[FROM].slot.tcp.ack,
				 rows[i].in_window);
	}
}

/* With a window of zero only the next number is right. */
static void nothing_but_the_next_number_fits_into_no_window(void **state)
{
	struct fq_pkt zero = {.tcp_flags = A, .tcp = {.seq = C + 1, .ack = S + 1001, .window = 0}};
	struct fq_pkt rst = {.tcp_flags = R};
	struct tcp_half side[2];

	(void)state;
	open_scaled(side, 0, 0);
	tcp_track(side, TO, &zero);
	rst.tcp.seq = S + 1002;
	tcp_track(side, FROM, &rst);
	assert_int_equal(tcp_state_of(side), SESSION_ESTABLISHED);
	rst.tcp.seq = S + 1001;
	tcp_track(side, FROM, &rst);
	assert_int_equal(tcp_state_of(side), SESSION_RESET);
}

/* RFC 7857 7.1: a reset keeps no session, but its time begins with it. */
static void a_reset_keeps_no_session(void **state)
{
	struct fq_pkt rst = {.tcp_flags = R, .tcp = {.seq = C + 1}};
	struct fq_pkt blind = {.tcp_flags = R, .tcp = {.seq = S + 999999}};
	struct fq_pkt ack = {.tcp_flags = A, .tcp = {.seq = C + 1, .ack = S + 1}};
	struct tcp_half side[2];

	(void)state;
	open_scaled(side, 0, 0);
	assert_false(tcp_track(side, FROM, &blind));
	assert_true(tcp_track(side, TO, &rst));
	assert_false(tcp_track(side, TO, &rst));
	assert_true(tcp_track(side, TO, &ack));
}

/* A forger's acknowledgement is forgotten with the next true one. */
static void a_false_track_is_left(void **state)
{
	struct fq_pkt p = {.tcp_flags = A, .tcp = {.seq = S + 1, .window = 1000}};
	unsigned int stuck = 0;
	struct tcp_half side[2];
	uint32_t random = 99;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		open_scaled(side, 0, 0);
		p.tcp.ack = pkt_random(&random);
		tcp_track(side, FROM, &p);
		p.tcp.ack = C + 1;
		tcp_track(side, FROM, &p);
		stuck += side[FROM].slot.tcp.ack != C + 1;
	}
	/* Those that were a little ahead stay until the connection has come so far. */
	assert_in_range(stuck, 0, 10000 / 32);
}

static uint8_t wscale_of(const uint8_t *options, uint32_t len)
{
	uint32_t off = 0;

	while (off < len) {
		uint32_t option = tcp_option(options + off, options + len);

		if (!option)
			break;
		if (option >> 8 != TCP_WSCALE_NONE)
			return option >> 8;
		off += option & 0xff;
	}
	return TCP_WSCALE_NONE;
}

static void the_scale_is_found_among_options(void **state)
{
	static const struct {
		uint32_t len;
		uint8_t options[24], wscale;
	} rows[] = {
		{0, {0}, TCP_WSCALE_NONE},
		{3, {3, 3, 7}, 7},
		{20,
		 {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 9},
		 9},                                             /* Linux */
		{12, {2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2}, 8}, /* Windows */
		{4, {1, 3, 3, 200}, TCP_WSCALE_MAX},
		{4, {0, 3, 3, 7}, TCP_WSCALE_NONE},
		{4, {3, 4, 7, 0}, TCP_WSCALE_NONE}, /* of another length */
		{2, {3, 3}, TCP_WSCALE_NONE},
		{4, {2, 0, 3, 3}, TCP_WSCALE_NONE},
		{4, {2, 1, 3, 3}, TCP_WSCALE_NONE},
		{1, {2}, TCP_WSCALE_NONE},
		{4, {2, 40, 3, 3}, TCP_WSCALE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(wscale_of(rows[i].options, rows[i].len), rows[i].wscale);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_segment_leads_to_its_state),
		cmocka_unit_test(windows_are_scaled_as_agreed),
		cmocka_unit_test(nothing_but_the_next_number_fits_into_no_window),
		cmocka_unit_test(a_reset_keeps_no_session),
		cmocka_unit_test(a_false_track_is_left),
		cmocka_unit_test(the_scale_is_found_among_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
