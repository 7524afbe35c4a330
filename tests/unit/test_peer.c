/* SPDX-License-Identifier: BSD-2-Clause */
/* Health of a gateway as its edge sees it, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/peer.h"

#define SEED 42

static struct peer peer;

static struct instant at(int64_t ms)
{
	return (struct instant){1000 * NSEC_PER_SEC + ms * NSEC_PER_MSEC};
}

static int64_t ms_of(struct instant t)
{
	return instant_sub(t, at(0)) / NSEC_PER_MSEC;
}

static int setup(void **state)
{
	(void)state;
	peer_init(&peer, SEED, at(0));
	return 0;
}

/* What came of running until @until. */
struct run {
	unsigned int probes;
	uint32_t last;    /* number of the last Probe */
	int64_t first_ms; /* when the first and the last Probe was sent */
	int64_t last_ms;
	struct instant last_at;
	int64_t silent_ms; /* -1: it did not fall silent */
};

static struct run run_until(int64_t until_ms)
{
	struct run run = {.first_ms = -1, .silent_ms = -1};

	while (peer_deadline(&peer).ns <= at(until_ms).ns) {
		struct instant now = peer_deadline(&peer);
		uint32_t number = 0;

		if (peer_tick(&peer, now, &number) == PEER_EVENT_SILENT)
			run.silent_ms = ms_of(now);
		assert_int_not_equal(number, 0);
		assert_int_not_equal(number, run.last);
		if (!run.probes++)
			run.first_ms = ms_of(now);
		run.last = number;
		run.last_ms = ms_of(now);
		run.last_at = now;
	}
	return run;
}

static struct run run_once(void)
{
	return run_until(ms_of(peer_deadline(&peer)) + 1);
}

/* Up since @ms, by a message. */
static void make_up(int64_t ms)
{
	assert_int_equal(peer_heard(&peer, at(ms)), PEER_EVENT_UP);
	assert_int_equal(peer.state, PEER_UP);
}

static void first_probe_is_due_at_once(void **state)
{
	struct run run = run_until(0);

	(void)state;
	assert_int_equal(run.probes, 1);
	assert_int_equal(peer.state, PEER_UNKNOWN);
	assert_int_equal(peer.heard.ns, INSTANT_NEVER.ns);
	assert_true(peer.srtt_ns < 0);
}

static void reply_brings_it_up_and_measures(void **state)
{
	struct run run = run_until(0);

	(void)state;
	assert_int_equal(peer_replied(&peer, run.last, at(80)), PEER_EVENT_UP);
	assert_int_equal(peer.srtt_ns, 80 * NSEC_PER_MSEC);
	assert_int_equal(peer.heard.ns, at(80).ns);
	assert_int_equal(peer.since.ns, at(80).ns);
	assert_int_equal(peer_replied(&peer, run.last, at(81)), PEER_EVENT_NONE);
}

/* RFC 6298 2.3: alpha is 1/8. A late reply counts for its own Probe, a repeated one for none. */
static void rtt_is_smoothed_by_number(void **state)
{
	struct run first = run_until(0), second;

	(void)state;
	second = run_until(600);
	assert_int_equal(second.probes, 1);
	peer_replied(&peer, first.last, at(800));
	assert_int_equal(peer.srtt_ns, 800 * NSEC_PER_MSEC);
	peer_replied(&peer, first.last, at(900));
	assert_int_equal(peer.srtt_ns, 800 * NSEC_PER_MSEC);
	peer_replied(&peer, second.last, instant_add(second.last_at, 400 * NSEC_PER_MSEC));
	assert_int_equal(peer.srtt_ns, 750 * NSEC_PER_MSEC);
	peer_replied(&peer, 0, at(second.last_ms + 500));
	peer_replied(&peer, 12345, at(second.last_ms + 500));
	assert_int_equal(peer.srtt_ns, 750 * NSEC_PER_MSEC);
}

/* Other messages do not tell whether it has lost what it had confirmed (its incarnation). */
static void probes_go_on_while_it_is_heard(void **state)
{
	int64_t replied_ms = 0;

	(void)state;
	make_up(0);
	for (int i = 0; i < 10; i++) {
		struct run run;

		for (int ms = 1000; ms <= 7000; ms += 1000)
			assert_int_equal(peer_heard(&peer, at(replied_ms + ms)), PEER_EVENT_NONE);
		run = run_once();
		assert_int_equal(run.probes, 1);
		assert_in_range(run.last_ms - replied_ms, 8000, 12000);
		replied_ms = run.last_ms + 20;
		assert_int_equal(peer_replied(&peer, run.last, at(replied_ms)), PEER_EVENT_NONE);
	}
}

static void idle_peer_is_probed_every_ten_seconds(void **state)
{
	int64_t heard_ms = 0;

	(void)state;
	make_up(0);
	for (int i = 0; i < 100; i++) {
		struct run run = run_once();

		assert_int_equal(run.probes, 1);
		assert_in_range(run.last_ms - heard_ms, 8000, 12000);
		heard_ms = run.last_ms + 20;
		assert_int_equal(peer_replied(&peer, run.last, at(heard_ms)), PEER_EVENT_NONE);
	}
}

/* Never before 15 s, nor before ten Probes had half a second each; and not much later. */
static void silence_takes_fifteen_seconds_and_ten_probes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct run run;

		peer_init(&peer, seed, at(0));
		make_up(0);
		run = run_until(20000);
		assert_int_equal(peer.state, PEER_SILENT);
		assert_in_range(run.silent_ms, 15000, 18500);
		assert_in_range(run.first_ms, 8000, 12000);
	}
}

static void one_message_ends_the_doubt(void **state)
{
	(void)state;
	make_up(0);
	run_until(14900);
	assert_int_equal(peer_heard(&peer, at(14900)), PEER_EVENT_NONE);
	assert_true(run_until(14900 + 14999).probes > 10);
	assert_int_equal(peer.state, PEER_UP);
}

/* The edge's machine slept for an hour: that is nobody's silence. */
static void sleeping_edge_finds_no_silence(void **state)
{
	uint32_t number;

	(void)state;
	make_up(0);
	assert_int_equal(peer_tick(&peer, at(3600000), &number), PEER_EVENT_NONE);
	assert_int_not_equal(number, 0);
	assert_int_equal(peer_replied(&peer, number, at(3600010)), PEER_EVENT_NONE);
	assert_int_equal(peer.state, PEER_UP);
}

/* C-20: restored entries of a gateway that is never heard are not kept from others for ever. */
static void never_heard_is_silent_in_the_end(void **state)
{
	struct run run = run_until(20000);

	(void)state;
	assert_int_equal(peer.state, PEER_SILENT);
	assert_in_range(run.silent_ms, 15000, 15600);
	assert_int_equal(peer.heard.ns, INSTANT_NEVER.ns);
}

#define BACKOFF_MS (PEER_BACKOFF_NS / NSEC_PER_MSEC)

static void silent_peer_is_probed_ever_more_rarely(void **state)
{
	struct run run;
	int64_t expect_ms = 500, last_ms;

	(void)state;
	do
		run = run_once();
	while (run.silent_ms < 0);
	last_ms = run.silent_ms;
	for (int i = 0; i < 12; i++) {
		run = run_once();
		assert_in_range(run.last_ms - last_ms, expect_ms * 4 / 5 - 1,
				expect_ms * 6 / 5 + 1);
		last_ms = run.last_ms;
		expect_ms = expect_ms * 2 > BACKOFF_MS ? BACKOFF_MS : expect_ms * 2;
	}
	assert_int_equal(expect_ms, BACKOFF_MS);
}

/* However many wait. */
static void wanted_peer_is_probed_every_half_second(void **state)
{
	unsigned int probes = 0;
	uint32_t number;

	(void)state;
	run_until(300000); /* far in the backoff */
	assert_int_equal(peer.state, PEER_SILENT);
	for (int64_t ms = 300000; ms < 310000; ms++) {
		peer_wanted(&peer, at(ms));
		peer_tick(&peer, at(ms), &number);
		probes += number != 0;
	}
	assert_in_range(probes, 20, 26);
}

static void wanted_once_is_probed_soon(void **state)
{
	(void)state;
	run_until(300000);
	peer_wanted(&peer, at(300000));
	assert_true(ms_of(peer_deadline(&peer)) <= 300500);
	assert_true(ms_of(peer_deadline(&peer)) >= 300000);
	/* and again and again, with the backoff anew */
	assert_in_range(run_until(308000).probes, 3, 6);
}

/* The way to it is not known (its neighbour, say): a Probe has the kernel look. */
static void wanted_is_probed_also_while_it_is_up(void **state)
{
	(void)state;
	make_up(0);
	peer_wanted(&peer, at(100));
	assert_in_range(ms_of(peer_deadline(&peer)), 100, 600);
	assert_int_equal(peer.state, PEER_UP);
}

static void silent_peer_comes_back_with_any_message(void **state)
{
	(void)state;
	make_up(0);
	run_until(20000);
	assert_int_equal(peer.state, PEER_SILENT);
	make_up(20000);
	assert_int_equal(run_until(27999).probes, 0);
}

/* C-18, A-06: what has said Goodbye is gone, whatever was still under way. */
static void goodbye_is_undone_by_a_new_reply_only(void **state)
{
	struct run before = run_until(0), after;

	(void)state;
	make_up(0);
	assert_int_equal(peer_goodbye(&peer, at(100)), PEER_EVENT_GONE);
	assert_int_equal(peer_goodbye(&peer, at(101)), PEER_EVENT_NONE);
	assert_int_equal(peer_heard(&peer, at(102)), PEER_EVENT_NONE);
	assert_int_equal(peer_replied(&peer, before.last, at(103)), PEER_EVENT_NONE);
	assert_int_equal(peer.state, PEER_GONE);

	after = run_until(800);
	assert_int_equal(after.probes, 1);
	assert_int_equal(peer_replied(&peer, after.last, at(810)), PEER_EVENT_UP);
}

static void goodbye_of_a_stranger_counts_too(void **state)
{
	(void)state;
	assert_int_equal(peer_goodbye(&peer, at(0)), PEER_EVENT_GONE);
	assert_int_equal(run_until(100000).silent_ms, -1);
	assert_int_equal(peer.state, PEER_GONE);
}

static void probes_differ_between_peers(void **state)
{
	struct run a = run_until(60000), b;

	(void)state;
	peer_init(&peer, SEED + 1, at(0));
	b = run_until(60000);
	assert_int_not_equal(a.last, b.last);
	assert_int_not_equal(a.last_ms, b.last_ms);
}

static void numbers_skip_zero(void **state)
{
	uint32_t number;

	(void)state;
	peer_init(&peer, 0, at(0));
	peer.number = UINT32_MAX;
	peer_tick(&peer, at(0), &number);
	assert_int_equal(number, 1);
}

/* With every tenth message lost either way, nothing falls silent in a day. */
static void moderate_loss_is_no_silence(void **state)
{
	uint64_t random = 1;
	int64_t ms = 0;

	(void)state;
	make_up(0);
	while (ms < 86400000) {
		uint32_t number;

		ms = ms_of(peer_deadline(&peer)) + 1;
		assert_int_equal(peer_tick(&peer, at(ms), &number), PEER_EVENT_NONE);
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		if ((random >> 33) % 100 < 81)
			peer_replied(&peer, number, at(ms + 30));
	}
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(peer_state_name(PEER_UNKNOWN), "unknown");
	assert_string_equal(peer_state_name(PEER_UP), "up");
	assert_string_equal(peer_state_name(PEER_SILENT), "silent");
	assert_string_equal(peer_state_name(PEER_GONE), "gone");
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_probe_is_due_at_once),
		T(reply_brings_it_up_and_measures),
		T(rtt_is_smoothed_by_number),
		T(probes_go_on_while_it_is_heard),
		T(idle_peer_is_probed_every_ten_seconds),
		T(silence_takes_fifteen_seconds_and_ten_probes),
		T(one_message_ends_the_doubt),
		T(sleeping_edge_finds_no_silence),
		T(never_heard_is_silent_in_the_end),
		T(silent_peer_is_probed_ever_more_rarely),
		T(wanted_peer_is_probed_every_half_second),
		T(wanted_once_is_probed_soon),
		T(wanted_is_probed_also_while_it_is_up),
		T(silent_peer_comes_back_with_any_message),
		T(goodbye_is_undone_by_a_new_reply_only),
		T(goodbye_of_a_stranger_counts_too),
		T(probes_differ_between_peers),
		T(numbers_skip_zero),
		T(moderate_loss_is_no_silence),
		T(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
