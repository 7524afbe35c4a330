/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealed control messages from anyone. The input is a script: it seals messages with chosen
 * epochs and sequences, cuts and changes them, and offers them in any order. A simple model, a
 * list of all that was taken, must agree; what was changed, or is noise, must be forged.
 *
 *	fuzz_seal tests/fuzz/corpus/seal
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/control.h"
#include "core/seal.h"

#define TAKEN_MAX 512
#define EPOCH     40 /* the receiver's */

struct model {
	uint64_t peer, newest;
	struct {
		uint64_t epoch, sequence;
	} taken[TAKEN_MAX], asked;
	unsigned int taken_count;
};

static void require(int truth)
{
	if (!truth)
		abort();
}

static bool was_taken(const struct model *m, uint64_t epoch, uint64_t sequence)
{
	for (unsigned int i = 0; i < m->taken_count; i++)
		if (m->taken[i].epoch == epoch && m->taken[i].sequence == sequence)
			return true;
	return false;
}

static enum seal_verdict take(struct model *m, uint64_t epoch, uint64_t sequence,
			      enum seal_verdict verdict)
{
	m->taken[m->taken_count].epoch = epoch;
	m->taken[m->taken_count++].sequence = sequence;
	m->peer = epoch;
	if (verdict == SEAL_NEW_PEER || sequence > m->newest)
		m->newest = sequence;
	return verdict;
}

static enum seal_verdict expected(struct model *m, uint8_t event, uint64_t sender,
				  uint64_t receiver, uint64_t sequence)
{
	if (sender == 0 || sender < m->peer)
		return SEAL_OUTDATED;
	if (receiver != EPOCH) {
		if (event != CONTROL_PROBE)
			return SEAL_STALE;
		if (sender < m->asked.epoch ||
		    (sender == m->asked.epoch && sequence <= m->asked.sequence))
			return SEAL_REPLAYED;
		m->asked.epoch = sender;
		m->asked.sequence = sequence;
		return SEAL_ASKED;
	}
	if (sequence == 0)
		return SEAL_REPLAYED;
	if (sender > m->peer)
		return take(m, sender, sequence, SEAL_NEW_PEER);
	if (sequence + SEAL_WINDOW <= m->newest || was_taken(m, sender, sequence))
		return SEAL_REPLAYED;
	return take(m, sender, sequence, SEAL_TAKEN);
}

/* One step: six bytes. */
static void step(struct seal *edge, struct seal *gateway, struct model *m, const uint8_t *s)
{
	uint8_t bytes[CONTROL_HEADER_BYTES + SEAL_TRAILER_BYTES] = {s[0] % 6};
	uint64_t sender = s[1] % 8, receiver = EPOCH - s[2] % 3, sequence = s[3] << 8 | s[4];
	struct seal_opened opened;
	enum seal_verdict verdict;
	size_t len;

	edge->epoch = sender;
	edge->sequence = sequence - 1;
	require(seal_put(edge, receiver, bytes, CONTROL_HEADER_BYTES, sizeof(bytes), &len) == 0);
	if (s[5] & 0x80) { /* one bit is wrong */
		bytes[s[5] % sizeof(bytes)] ^= (uint8_t)(1 << s[4] % 8);
		require(seal_open(gateway, bytes, len, &opened) == SEAL_FORGED);
		return;
	}
	verdict = seal_open(gateway, bytes, len, &opened);
	require(verdict == expected(m, bytes[0], sender, receiver, sequence));
	require(opened.len == CONTROL_HEADER_BYTES && opened.sender_epoch == sender);
	require(gateway->peer_epoch == m->peer);
	require(seal_open(edge, bytes, len, &opened) == SEAL_FORGED); /* reflected */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[SEAL_KEY_BYTES] = {7};
	struct seal edge, gateway, before;
	struct model m = {0};
	struct seal_opened opened;

	require(seal_init(&edge, SEAL_EDGE, key, 1) == 0);
	require(seal_init(&gateway, SEAL_GATEWAY, key, EPOCH) == 0);
	before = gateway;
	require(seal_open(&gateway, data, size, &opened) == SEAL_FORGED);
	require(memcmp(&gateway, &before, sizeof(before)) == 0);
	for (unsigned int i = 0; size >= 6 && i < TAKEN_MAX; data += 6, size -= 6, i++)
		step(&edge, &gateway, &m, data);
	return 0;
}
