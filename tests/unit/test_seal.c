/* SPDX-License-Identifier: BSD-2-Clause */
/* The seal of control messages: what it lets through, and all that it does not (W-07). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/control.h"
#include "core/seal.h"

#define CAP (CONTROL_MESSAGE_MAX + SEAL_TRAILER_BYTES)

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};

/* A sealed datagram. */
struct sealed {
	uint8_t bytes[CAP];
	size_t len;
};

struct pair {
	struct seal edge, gateway;
};

static struct seal end(enum seal_end which, uint64_t epoch)
{
	struct seal s;

	assert_int_equal(seal_init(&s, which, key, epoch), 0);
	return s;
}

static struct sealed put_for(struct seal *seal, uint64_t receiver, uint8_t event)
{
	struct sealed d = {.bytes = {event, 0, 0, 0, 0, 0, 0, 1}, .len = CONTROL_HEADER_BYTES};

	assert_int_equal(seal_put(seal, receiver, d.bytes, d.len, CAP, &d.len), 0);
	return d;
}

static struct sealed put(struct seal *seal, uint8_t event)
{
	return put_for(seal, seal->peer_epoch, event);
}

static enum seal_verdict open_it(struct seal *seal, const struct sealed *d)
{
	struct seal_opened opened = {0};
	enum seal_verdict verdict = seal_open(seal, d->bytes, d->len, &opened);

	assert_int_equal(opened.len, verdict == SEAL_FORGED ? 0 : d->len - SEAL_TRAILER_BYTES);
	return verdict;
}

/* An edge of epoch 7 and a gateway of epoch 3 that know each other. */
static struct pair acquainted(void)
{
	struct pair p = {.edge = end(SEAL_EDGE, 7), .gateway = end(SEAL_GATEWAY, 3)};
	struct sealed d;

	d = put(&p.edge, CONTROL_PROBE);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_ASKED);
	d = put_for(&p.gateway, 7, CONTROL_PROBE_REPLY);
	assert_int_equal(open_it(&p.edge, &d), SEAL_NEW_PEER);
	d = put(&p.edge, CONTROL_PROBE);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_NEW_PEER);
	assert_int_equal(p.edge.peer_epoch, 3);
	assert_int_equal(p.gateway.peer_epoch, 7);
	return p;
}

static void assert_unchanged(struct seal *seal, const struct sealed *d, enum seal_verdict expected)
{
	struct seal before = *seal;

	assert_int_equal(open_it(seal, d), expected);
	assert_memory_equal(seal, &before, sizeof(before));
}

/* W-07: two that have the key take each other's messages, both ways. */
static void messages_pass_both_ways(void **state)
{
	struct pair p = acquainted();
	struct sealed d;

	(void)state;
	for (int i = 0; i < 3; i++) {
		d = put(&p.edge, CONTROL_ASSIGNED_IPS);
		assert_int_equal(d.len, CONTROL_HEADER_BYTES + SEAL_TRAILER_BYTES);
		assert_int_equal(open_it(&p.gateway, &d), SEAL_TAKEN);
		d = put(&p.gateway, CONTROL_DOMAIN_STATUS);
		assert_int_equal(open_it(&p.edge, &d), SEAL_TAKEN);
	}
}

/* W-07: no bit of a message can be changed, and nothing cut off or added. */
static void changed_messages_are_forged(void **state)
{
	struct pair p = acquainted();
	struct sealed d = put(&p.edge, CONTROL_ASSIGNED_IPS);

	(void)state;
	for (size_t bit = 0; bit < 8 * d.len; bit++) {
		struct sealed changed = d;

		changed.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_unchanged(&p.gateway, &changed, SEAL_FORGED);
	}
	for (size_t len = 0; len < d.len; len++) {
		struct sealed cut = d;

		cut.len = len;
		assert_unchanged(&p.gateway, &cut, SEAL_FORGED);
	}
	struct sealed more = d;

	more.len++;
	assert_unchanged(&p.gateway, &more, SEAL_FORGED);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_TAKEN);
}

/* W-07: a message is worth nothing where it came from. */
static void reflected_messages_are_forged(void **state)
{
	struct pair p = acquainted();
	struct sealed from_edge = put(&p.edge, CONTROL_GOODBYE);
	struct sealed from_gateway = put(&p.gateway, CONTROL_GOODBYE);

	(void)state;
	assert_unchanged(&p.edge, &from_edge, SEAL_FORGED);
	assert_unchanged(&p.gateway, &from_gateway, SEAL_FORGED);
}

static void other_keys_are_forged(void **state)
{
	struct pair p = acquainted();
	uint8_t other[SEAL_KEY_BYTES];
	struct seal stranger;
	struct sealed d;

	(void)state;
	memcpy(other, key, sizeof(other));
	other[31] ^= 1;
	assert_int_equal(seal_init(&stranger, SEAL_EDGE, other, 7), 0);
	stranger.peer_epoch = 3;
	d = put(&stranger, CONTROL_GOODBYE);
	assert_unchanged(&p.gateway, &d, SEAL_FORGED);
}

/* W-07: a message is taken once. */
static void replays_are_told(void **state)
{
	struct pair p = acquainted();
	struct sealed first = put(&p.edge, CONTROL_ASSIGNED_IPS);
	struct sealed second = put(&p.edge, CONTROL_ASSIGNED_IPS);

	(void)state;
	assert_int_equal(open_it(&p.gateway, &second), SEAL_TAKEN);
	assert_unchanged(&p.gateway, &second, SEAL_REPLAYED);
	assert_int_equal(open_it(&p.gateway, &first), SEAL_TAKEN);
	assert_unchanged(&p.gateway, &first, SEAL_REPLAYED);
	assert_unchanged(&p.gateway, &second, SEAL_REPLAYED);
}

static void the_window_is_1024_wide(void **state)
{
	struct pair p = acquainted();
	struct sealed too_old = put(&p.edge, CONTROL_GOODBYE);
	struct sealed oldest = put(&p.edge, CONTROL_GOODBYE);
	struct sealed newest;

	(void)state;
	for (int i = 0; i < SEAL_WINDOW - 1; i++)
		newest = put(&p.edge, CONTROL_GOODBYE);
	assert_int_equal(open_it(&p.gateway, &newest), SEAL_TAKEN);
	assert_unchanged(&p.gateway, &too_old, SEAL_REPLAYED);
	assert_int_equal(open_it(&p.gateway, &oldest), SEAL_TAKEN);
	assert_unchanged(&p.gateway, &oldest, SEAL_REPLAYED);
}

/* Any order, with losses and leaps: the same answers as a list of all that was taken. */
static void the_window_agrees_with_a_list(void **state)
{
	enum { MESSAGES = 6000, REACH = 1500 };

	struct pair p = acquainted();
	static struct sealed sent[MESSAGES];
	static bool taken[MESSAGES];
	int newest = -1;

	(void)state;
	srandom(4711);
	for (int i = 0; i < MESSAGES; i++)
		sent[i] = put(&p.edge, CONTROL_GOODBYE);
	for (int i = 0; i < 4 * MESSAGES; i++) {
		int top = i / 4, k = top - (int)(random() % REACH);
		bool expected;

		if (k < 0 || (top / 700) % 3 != 0) /* nothing comes for a while */
			continue;
		expected = !taken[k] && k > newest - SEAL_WINDOW;
		assert_int_equal(open_it(&p.gateway, &sent[k]),
				 expected ? SEAL_TAKEN : SEAL_REPLAYED);
		taken[k] |= expected;
		newest = expected && k > newest ? k : newest;
	}
	assert_true(newest > MESSAGES - REACH);
}

/* W-07: after a restart of the receiver, nothing that was recorded before counts. */
static void a_restarted_receiver_takes_nothing_old(void **state)
{
	struct pair p = acquainted();
	struct sealed old = put(&p.edge, CONTROL_GOODBYE);
	struct sealed d;

	(void)state;
	p.gateway = end(SEAL_GATEWAY, 4);
	assert_unchanged(&p.gateway, &old, SEAL_STALE);
	d = put(&p.edge, CONTROL_ASSIGNED_IPS);
	assert_unchanged(&p.gateway, &d, SEAL_STALE);

	/* The gateway's Probe brings both together again. */
	d = put(&p.gateway, CONTROL_PROBE);
	assert_int_equal(open_it(&p.edge, &d), SEAL_ASKED);
	assert_int_equal(p.edge.peer_epoch, 3);
	d = put_for(&p.edge, 4, CONTROL_PROBE_REPLY);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_NEW_PEER);
	d = put(&p.gateway, CONTROL_PROBE);
	assert_int_equal(open_it(&p.edge, &d), SEAL_NEW_PEER);
	d = put(&p.edge, CONTROL_ASSIGNED_IPS);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_TAKEN);
	assert_unchanged(&p.gateway, &old, SEAL_STALE);
}

/* W-07: once the new process of the peer was heard, the old one's messages do not count. */
static void a_restarted_sender_outdates_its_former_self(void **state)
{
	struct pair p = acquainted();
	struct sealed old = put(&p.edge, CONTROL_GOODBYE);
	struct sealed old_probe = put(&p.edge, CONTROL_PROBE);
	struct sealed d;

	(void)state;
	p.edge = end(SEAL_EDGE, 8);
	p.edge.peer_epoch = 3;
	d = put(&p.edge, CONTROL_PROBE);
	assert_int_equal(open_it(&p.gateway, &d), SEAL_NEW_PEER);
	assert_unchanged(&p.gateway, &d, SEAL_REPLAYED);
	assert_unchanged(&p.gateway, &old, SEAL_OUTDATED);
	assert_unchanged(&p.gateway, &old_probe, SEAL_OUTDATED);
}

/* Sequences begin anew with the epoch, however far the former ones had come. */
static void a_new_epoch_has_a_window_of_its_own(void **state)
{
	struct pair p = acquainted();
	struct sealed d;

	(void)state;
	for (int i = 0; i < 3 * SEAL_WINDOW; i++) {
		d = put(&p.edge, CONTROL_ASSIGNED_IPS);
		assert_int_equal(open_it(&p.gateway, &d), SEAL_TAKEN);
	}
	p.edge = end(SEAL_EDGE, 8);
	p.edge.peer_epoch = 3;
	for (int i = 0; i < 2 * SEAL_WINDOW; i++) {
		d = put(&p.edge, CONTROL_ASSIGNED_IPS);
		assert_int_equal(open_it(&p.gateway, &d), i ? SEAL_TAKEN : SEAL_NEW_PEER);
		assert_unchanged(&p.gateway, &d, SEAL_REPLAYED);
	}
}

/* A recorded Probe that asks for the epoch gets one answer in all, the next one its own. */
static void a_question_is_answered_once(void **state)
{
	struct seal edge = end(SEAL_EDGE, 7), gateway = end(SEAL_GATEWAY, 3);
	struct sealed first = put(&edge, CONTROL_PROBE), second = put(&edge, CONTROL_PROBE);
	struct sealed third = put(&edge, CONTROL_PROBE), next;

	(void)state;
	assert_int_equal(open_it(&gateway, &second), SEAL_ASKED);
	assert_unchanged(&gateway, &first, SEAL_REPLAYED);
	assert_unchanged(&gateway, &second, SEAL_REPLAYED);
	assert_int_equal(open_it(&gateway, &third), SEAL_ASKED);
	edge = end(SEAL_EDGE, 8);
	next = put(&edge, CONTROL_PROBE);
	assert_int_equal(open_it(&gateway, &next), SEAL_ASKED);
	assert_unchanged(&gateway, &third, SEAL_REPLAYED);
	assert_int_equal(gateway.peer_epoch, 0);
}

/* Only a Probe may ask: anything else that is not for us changes nothing. */
static void only_probes_ask(void **state)
{
	(void)state;
	for (uint8_t event = 0; event < CONTROL_EVENT_COUNT; event++) {
		struct seal edge = end(SEAL_EDGE, 7), gateway = end(SEAL_GATEWAY, 3);
		struct sealed d = put(&edge, event);

		if (event != CONTROL_PROBE)
			assert_unchanged(&gateway, &d, SEAL_STALE);
	}
}

static void epoch_and_sequence_0_are_nobodys(void **state)
{
	struct pair p = acquainted();
	struct seal s;
	struct sealed d;

	(void)state;
	assert_int_equal(seal_init(&s, SEAL_EDGE, key, 0), -EINVAL);
	p.edge.epoch = 0;
	d = put(&p.edge, CONTROL_PROBE);
	assert_unchanged(&p.gateway, &d, SEAL_OUTDATED);
	p.edge.epoch = 7;
	p.edge.sequence = UINT64_MAX;
	d = put(&p.edge, CONTROL_GOODBYE);
	assert_unchanged(&p.gateway, &d, SEAL_REPLAYED);
	p.edge.epoch = 8;
	p.edge.sequence = UINT64_MAX;
	d = put(&p.edge, CONTROL_GOODBYE);
	assert_unchanged(&p.gateway, &d, SEAL_REPLAYED);
}

static void a_seal_needs_room(void **state)
{
	struct seal edge = end(SEAL_EDGE, 7);
	uint8_t bytes[CAP] = {0};
	size_t len = 0;

	(void)state;
	assert_int_equal(seal_put(&edge, 0, bytes, 8, 47, &len), -EMSGSIZE);
	assert_int_equal(seal_put(&edge, 0, bytes, 8, 39, &len), -EMSGSIZE);
	assert_int_equal(seal_put(&edge, 0, bytes, 7, CAP, &len), -EBADMSG);
	assert_int_equal(len, 0);
	assert_int_equal(edge.sequence, 0);
	assert_int_equal(seal_put(&edge, 0, bytes, 8, 48, &len), 0);
	assert_int_equal(len, 48);
}

static void keys_are_overwritten(void **state)
{
	struct seal edge = end(SEAL_EDGE, 7), zero = {0};

	(void)state;
	seal_done(&edge);
	assert_memory_equal(&edge, &zero, sizeof(zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_pass_both_ways),
		cmocka_unit_test(changed_messages_are_forged),
		cmocka_unit_test(reflected_messages_are_forged),
		cmocka_unit_test(other_keys_are_forged),
		cmocka_unit_test(replays_are_told),
		cmocka_unit_test(the_window_is_1024_wide),
		cmocka_unit_test(the_window_agrees_with_a_list),
		cmocka_unit_test(a_restarted_receiver_takes_nothing_old),
		cmocka_unit_test(a_restarted_sender_outdates_its_former_self),
		cmocka_unit_test(a_new_epoch_has_a_window_of_its_own),
		cmocka_unit_test(a_question_is_answered_once),
		cmocka_unit_test(only_probes_ask),
		cmocka_unit_test(epoch_and_sequence_0_are_nobodys),
		cmocka_unit_test(a_seal_needs_room),
		cmocka_unit_test(keys_are_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
