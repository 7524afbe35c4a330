/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control transport and those who mean no good, or know no better (W-05, W-07): every
 * datagram that is refused is counted by its kind, changes nothing else, and disturbs nobody.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "control_lab.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A gateway that knows one edge, made by hand. */
static struct wire known_edge(struct lab *lab, const uint8_t *key)
{
	struct wire edge;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", key);
	edge = wire_edge(lab, "127.0.0.2", key);
	wire_acquaint(lab, &edge);
	return edge;
}

/* The edge's own messages still pass. */
static void assert_undisturbed(struct lab *lab, struct wire *edge)
{
	unsigned int messages = lab->gateway.messages;

	wire_send(edge, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab->gateway.messages == messages + 1);
	assert_int_equal(lab->gateway.last.event, CONTROL_ASSIGNED_IPS);
}

/* After this, @counter of the edge is 1 more, and nothing was reported. */
#define EXPECT_COUNTED(lab, counter, statement)                                              \
	do {                                                                                 \
		uint64_t before_ = lab_edge_counters(lab).counter;                           \
		unsigned int heard_ = (lab)->gateway.heard, told_ = (lab)->gateway.messages; \
		statement;                                                                   \
		LAB_UNTIL(lab, lab_edge_counters(lab).counter == before_ + 1);               \
		assert_int_equal((lab)->gateway.heard, heard_);                              \
		assert_int_equal((lab)->gateway.messages, told_);                            \
	} while (0)

/* W-07: whoever is no peer is not even looked at. */
static void strangers_are_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key),
		    stranger = wire_edge(lab, "127.0.0.9", lab_key);

	wire_send(&stranger, CONTROL_PROBE);
	wire_send_bytes(&stranger, "", 0);
	LAB_UNTIL(lab, control_udp_totals(lab->gateway.udp).unknown_source == 2);

	assert_int_equal(lab->gateway.heard, 0);
	assert_false(wire_readable(stranger.fd));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
	wire_done(&stranger);
}

/* W-05: what is too short, too long or of no known kind. */
static void shapeless_datagrams_are_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, NULL);
	uint8_t bytes[LAB_DATAGRAM] = {CONTROL_GOODBYE};

	EXPECT_COUNTED(lab, undersized, wire_send_bytes(&edge, bytes, 0));
	EXPECT_COUNTED(lab, undersized, wire_send_bytes(&edge, bytes, 7));
	EXPECT_COUNTED(lab, oversized, wire_send_bytes(&edge, bytes, CONTROL_MESSAGE_MAX + 1));
	EXPECT_COUNTED(lab, oversized, wire_send_bytes(&edge, bytes, LAB_DATAGRAM));
	bytes[CONTROL_FLAGS_OFFSET] = CONTROL_FLAG_SEALED;
	EXPECT_COUNTED(lab, undersized, wire_send_bytes(&edge, bytes, 47));
	EXPECT_COUNTED(lab, oversized,
		       wire_send_bytes(&edge, bytes, CONTROL_MESSAGE_MAX + SEAL_TRAILER_BYTES + 1));
	bytes[CONTROL_FLAGS_OFFSET] = 0;
	bytes[CONTROL_EVENT_OFFSET] = CONTROL_EVENT_COUNT;
	EXPECT_COUNTED(lab, unknown_event, wire_send_bytes(&edge, bytes, 8));
	bytes[CONTROL_EVENT_OFFSET] = 255;
	EXPECT_COUNTED(lab, unknown_event, wire_send_bytes(&edge, bytes, 8));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
}

/* W-05: a header that is fine, and a payload that is not. */
static void malformed_payloads_are_counted(void **state)
{
	static const char *const payloads[] = {"", "{", "{}", "[1]", "\xff\xfe"};
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, NULL);
	uint8_t bytes[64] = {CONTROL_ASSIGNED_IPS};

	for (size_t i = 0; i < N(payloads); i++) {
		memcpy(bytes + 8, payloads[i], strlen(payloads[i]));
		EXPECT_COUNTED(lab, malformed,
			       wire_send_bytes(&edge, bytes, 8 + strlen(payloads[i])));
	}
	bytes[CONTROL_EVENT_OFFSET] = CONTROL_PROBE;
	EXPECT_COUNTED(lab, malformed, wire_send_bytes(&edge, bytes, 8));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
}

/* W-05: authentic, and still nonsense. */
static void sealed_nonsense_is_malformed(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key);
	struct datagram d = {.bytes = {CONTROL_ASSIGNED_IPS, [8] = '{'}, .len = 9};

	assert_int_equal(
		seal_put(&edge.seal, edge.seal.peer_epoch, d.bytes, d.len, sizeof(d.bytes), &d.len),
		0);
	EXPECT_COUNTED(lab, malformed, wire_resend(&edge, &d));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
}

/* What only this side sends, is not taken from the other; a reflection, for one. */
static void misdirected_events_are_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, NULL);
	struct wire gateway = {.fd = wire_socket("127.0.0.1", 0)};
	struct datagram d;

	EXPECT_COUNTED(lab, misdirected, wire_send(&edge, CONTROL_DOMAIN_STATUS));
	assert_undisturbed(lab, &edge);

	lab_edge(lab, "127.0.0.3", "127.0.0.1", wire_port(gateway.fd), NULL);
	assert_int_equal(control_udp_send(lab->edge.udp, LAB_GATEWAY,
					  &(struct control_message){.event = CONTROL_PROBE,
								    .generation = 1}),
			 0);
	LAB_UNTIL(lab, wire_readable(gateway.fd));
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(
		recvfrom(gateway.fd, d.bytes, sizeof(d.bytes), 0, (struct sockaddr *)&sa, &len), 8);
	assert_int_equal(connect(gateway.fd, (struct sockaddr *)&sa, len), 0);
	wire_send(&gateway, CONTROL_ASSIGNED_IPS);
	LAB_UNTIL(lab, lab_gateway_counters(lab).misdirected == 1);
	assert_int_equal(lab->edge.messages, 0);
	wire_done(&gateway);
	wire_done(&edge);
}

/* W-07: no seal, the seal of another key, a changed one, a reflected one, one where none belongs.
 */
static void forgeries_are_counted(void **state)
{
	uint8_t other_key[SEAL_KEY_BYTES] = {1};
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key);
	struct wire plain = wire_edge(lab, "127.0.0.2", NULL);
	struct wire other = wire_edge(lab, "127.0.0.2", other_key);
	struct control_message probe = lab_message(CONTROL_PROBE);
	struct datagram d;

	EXPECT_COUNTED(lab, forged, wire_send(&plain, CONTROL_GOODBYE));
	EXPECT_COUNTED(lab, forged, wire_send(&other, CONTROL_PROBE));
	d = wire_write(&edge, CONTROL_GOODBYE);
	d.bytes[d.len - 1] ^= 1;
	EXPECT_COUNTED(lab, forged, wire_resend(&edge, &d));
	assert_int_equal(control_udp_send(lab->gateway.udp, LAB_EDGE, &probe), 0);
	d = wire_read(lab, edge.fd);
	EXPECT_COUNTED(lab, forged, wire_resend(&edge, &d));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
	wire_done(&plain);
	wire_done(&other);
}

static void a_seal_without_a_key_is_forged(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, NULL), sealed = wire_edge(lab, "127.0.0.2", lab_key);

	EXPECT_COUNTED(lab, forged, wire_send(&sealed, CONTROL_PROBE));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
	wire_done(&sealed);
}

/* W-07: what was taken before is not taken again, in whatever order it comes. */
static void replays_are_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key);
	struct datagram d[3];

	for (int i = 0; i < 3; i++)
		d[i] = wire_write(&edge, CONTROL_GOODBYE);
	for (unsigned int i = 0; i < 3; i++) {
		wire_resend(&edge, &d[2 - i]); /* reordered: fine */
		LAB_UNTIL(lab, lab->gateway.messages == i + 1);
	}
	for (int i = 0; i < 3; i++)
		EXPECT_COUNTED(lab, replayed, wire_resend(&edge, &d[i]));
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
}

/* W-07: messages to a process that is gone, and of one that is gone. */
static void messages_of_former_lives_are_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key), reborn;
	struct datagram old = wire_write(&edge, CONTROL_GOODBYE), lost;
	uint16_t port = lab_port(lab);
	struct instant begin;
	uint64_t questions;

	control_udp_free(lab->gateway.udp);
	lab_gateway(lab, "127.0.0.1", port, "127.0.0.2", lab_key);
	begin = instant_now();
	for (int i = 0; i < 6; i++)
		EXPECT_COUNTED(lab, stale_epoch, wire_resend(&edge, &old));
	questions = lab_edge_counters(lab).sent[CONTROL_PROBE]; /* one for all of them, if quick */
	assert_in_range(questions, 1,
			1 + instant_sub(instant_now(), begin) / (500 * NSEC_PER_MSEC));

	for (uint64_t i = 0; i < questions; i++)
		wire_read(lab, edge.fd);
	wire_acquaint(lab, &edge);
	lost = wire_write(&edge, CONTROL_GOODBYE);
	reborn = wire_edge(lab, "127.0.0.2", lab_key);
	wire_acquaint(lab, &reborn);
	EXPECT_COUNTED(lab, stale_epoch, wire_resend(&edge, &lost));
	assert_int_equal(lab_edge_counters(lab).sent[CONTROL_PROBE], questions);
	assert_undisturbed(lab, &reborn);
	wire_done(&edge);
	wire_done(&reborn);
}

/* A recorded question for the epoch is answered once, not heard, and moves no port. */
static void recorded_questions_are_worth_one_answer(void **state)
{
	struct lab *lab = *state;
	struct wire edge, thief;
	struct datagram question;
	uint16_t port;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	edge = wire_edge(lab, "127.0.0.2", lab_key);
	thief = wire_edge(lab, "127.0.0.2", NULL);
	question = wire_write(&edge, CONTROL_PROBE); /* recorded, and lost */
	wire_acquaint(lab, &edge);
	port = lab_view(lab->gateway.udp, LAB_EDGE).port;
	assert_int_equal(port, wire_port(edge.fd));

	EXPECT_COUNTED(lab, replayed, wire_resend(&thief, &question));
	edge.seal.peer_epoch = 0;
	question = wire_write(&edge, CONTROL_PROBE); /* asks again */
	EXPECT_COUNTED(lab, received[CONTROL_PROBE], wire_resend(&thief, &question));
	for (int i = 0; i < 3; i++)
		EXPECT_COUNTED(lab, replayed, wire_resend(&thief, &question));

	assert_int_equal(lab_view(lab->gateway.udp, LAB_EDGE).port, port);
	wire_read(lab, thief.fd);
	assert_false(wire_readable(thief.fd));
	wire_done(&edge);
	wire_done(&thief);
}

/* An authentic peer that sends too much is held to its rate. */
static void too_many_messages_are_limited(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer slow = {
		.id = LAB_EDGE, .addr = lab_addr("127.0.0.2"), .per_second = 1, .burst = 3};
	struct wire edge = known_edge(lab, NULL);
	struct control_udp_counters c;

	lab_set(lab, lab->gateway.udp, &slow);
	for (int i = 0; i < 50; i++)
		wire_send(&edge, CONTROL_GOODBYE);
	LAB_UNTIL(lab, (c = lab_edge_counters(lab), c.received[CONTROL_GOODBYE] + c.limited == 50));

	assert_in_range(c.received[CONTROL_GOODBYE], 3, 3 + LAB_DEADLINE_NS / NSEC_PER_SEC);
	assert_int_equal(lab->gateway.messages, c.received[CONTROL_GOODBYE]);
	wire_done(&edge);
}

/* What was not said of the burst follows from the rate: what two seconds bring. */
static void the_burst_follows_the_rate(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer slow = {
		.id = LAB_EDGE, .addr = lab_addr("127.0.0.2"), .per_second = 10};
	struct wire edge = known_edge(lab, NULL);
	struct control_udp_counters c;

	lab_set(lab, lab->gateway.udp, &slow);
	for (int i = 0; i < 200; i++)
		wire_send(&edge, CONTROL_GOODBYE);
	LAB_UNTIL(lab,
		  (c = lab_edge_counters(lab), c.received[CONTROL_GOODBYE] + c.limited == 200));

	assert_in_range(c.received[CONTROL_GOODBYE], 20, 20 + 10 * LAB_DEADLINE_NS / NSEC_PER_SEC);
	wire_done(&edge);
}

/* W-07: forgeries, replays and old questions in an edge's name do not use up what it may send. */
static void forgers_use_up_nobodys_rate(void **state)
{
	struct lab *lab = *state;
	struct control_udp_peer slow = {.id = LAB_EDGE,
					.addr = lab_addr("127.0.0.2"),
					.key = lab_key,
					.per_second = 1,
					.burst = 4};
	struct wire edge, plain;
	struct datagram replay;
	struct control_udp_counters c;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", lab_key);
	lab_set(lab, lab->gateway.udp, &slow);
	edge = wire_edge(lab, "127.0.0.2", lab_key);
	plain = wire_edge(lab, "127.0.0.2", NULL);
	wire_acquaint(lab, &edge);
	replay = wire_send(&edge, CONTROL_GOODBYE);
	LAB_UNTIL(lab, lab->gateway.messages == 1);
	for (int i = 0; i < 200; i++) {
		wire_resend(&edge, &replay);
		wire_send(&plain, CONTROL_GOODBYE);
	}
	LAB_UNTIL(lab, (c = lab_edge_counters(lab), c.replayed == 200 && c.forged == 200));

	assert_undisturbed(lab, &edge);
	assert_int_equal(lab_edge_counters(lab).limited, 0);
	wire_done(&edge);
	wire_done(&plain);
}

/* W-07: 100,000 datagrams of a stranger, and every message of the edge arrives. */
static void a_flood_of_strangers_drowns_nobody(void **state)
{
	enum { ROUNDS = 200, FLOOD = 500 };

	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key), stranger = wire_edge(lab, "127.0.0.9", NULL);
	struct datagram d = wire_write(&stranger, CONTROL_ASSIGNED_IPS);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < FLOOD; k++)
			wire_resend(&stranger, &d);
		wire_send(&edge, CONTROL_ASSIGNED_IPS);
		LAB_UNTIL(lab, lab->gateway.messages == i + 1);
	}
	assert_int_equal(control_udp_totals(lab->gateway.udp).unknown_source, ROUNDS * FLOOD);
	assert_int_equal(control_udp_totals(lab->gateway.udp).overflow, 0);
	assert_false(wire_readable(stranger.fd));
	wire_done(&edge);
	wire_done(&stranger);
}

/* What the kernel had to drop is told. */
static void overflow_is_counted(void **state)
{
	struct lab *lab = *state;
	struct wire edge = known_edge(lab, NULL), stranger = wire_edge(lab, "127.0.0.9", NULL);
	struct control_udp_totals totals;

	for (int i = 0; i < 20000; i++)
		wire_send_bytes(&stranger, "", 1);
	LAB_UNTIL(lab, (totals = control_udp_totals(lab->gateway.udp),
			totals.unknown_source + totals.overflow == 20000));
	assert_true(totals.overflow > 0);
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
	wire_done(&stranger);
}

/* W-07: an edge's sockets take nothing from anyone but the gateway: the kernel sees to it. */
static void edges_hear_only_their_gateway(void **state)
{
	struct lab *lab = *state;
	struct wire stranger = {.fd = wire_socket("127.0.0.9", 0)};
	uint16_t port;

	lab_gateway(lab, "127.0.0.1", 0, "127.0.0.2", NULL);
	lab_edge(lab, "127.0.0.2", "127.0.0.1", lab_port(lab), NULL);
	lab_acquaint(lab);
	port = lab_view(lab->gateway.udp, LAB_EDGE).port;
	wire_connect(stranger.fd, "127.0.0.2", port);

	wire_send(&stranger, CONTROL_GOODBYE);

	lab_acquaint(lab);
	assert_int_equal(lab_gateway_counters(lab).received[CONTROL_GOODBYE], 0);
	assert_int_equal(control_udp_totals(lab->edge.udp).unknown_source, 0);
	wire_done(&stranger);
}

/* Anything at all, thousands of times. */
static void noise_changes_nothing(void **state)
{
	enum { DATAGRAMS = 3000 };

	struct lab *lab = *state;
	struct wire edge = known_edge(lab, lab_key);
	struct wire plain = wire_edge(lab, "127.0.0.2", NULL);
	struct control_udp_counters c;
	uint8_t bytes[1400];

	srandom(1);
	for (int i = 0; i < DATAGRAMS; i++) {
		size_t len = (size_t)random() % sizeof(bytes);

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(k == 0 ? random() % 6 : random());
		wire_send_bytes(&plain, bytes, len);
		if (i % 100 == 99)
			LAB_UNTIL(lab, (c = lab_edge_counters(lab),
					c.undersized + c.oversized + c.unknown_event +
							c.misdirected + c.forged ==
						(uint64_t)i + 1));
	}
	assert_int_equal(lab->gateway.heard, 0);
	assert_int_equal(lab->gateway.messages, 0);
	assert_undisturbed(lab, &edge);
	wire_done(&edge);
	wire_done(&plain);
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(strangers_are_counted),
		LAB_TEST(shapeless_datagrams_are_counted),
		LAB_TEST(malformed_payloads_are_counted),
		LAB_TEST(sealed_nonsense_is_malformed),
		LAB_TEST(misdirected_events_are_counted),
		LAB_TEST(forgeries_are_counted),
		LAB_TEST(a_seal_without_a_key_is_forged),
		LAB_TEST(replays_are_counted),
		LAB_TEST(messages_of_former_lives_are_counted),
		LAB_TEST(recorded_questions_are_worth_one_answer),
		LAB_TEST(too_many_messages_are_limited),
		LAB_TEST(the_burst_follows_the_rate),
		LAB_TEST(forgers_use_up_nobodys_rate),
		LAB_TEST(a_flood_of_strangers_drowns_nobody),
		LAB_TEST(overflow_is_counted),
		LAB_TEST(edges_hear_only_their_gateway),
		LAB_TEST(noise_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
