/* SPDX-License-Identifier: BSD-2-Clause */
/* The seal of control messages, see seal.h. */
#include "core/seal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <sodium.h>

#include "core/control.h"

/* Trailer */
#define SENDER_OFFSET   0
#define RECEIVER_OFFSET 8
#define SEQUENCE_OFFSET 16
#define TAG_OFFSET      24

_Static_assert(TAG_OFFSET + SEAL_TAG_BYTES == SEAL_TRAILER_BYTES, "the tag comes last");
_Static_assert(SEAL_TAG_BYTES >= crypto_generichash_BYTES_MIN, "BLAKE2b can make the tag");
_Static_assert(SEAL_KEY_BYTES == crypto_generichash_KEYBYTES, "and takes the key");

struct trailer {
	uint64_t sender, receiver, sequence;
};

static void put64(uint8_t *bytes, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

static void derive(uint8_t out[SEAL_KEY_BYTES], const uint8_t key[SEAL_KEY_BYTES],
		   enum seal_end sender)
{
	static const char *const context[] = {
		[SEAL_EDGE] = "fqdnat control edge to gateway",
		[SEAL_GATEWAY] = "fqdnat control gateway to edge",
	};

	(void)crypto_generichash(out, SEAL_KEY_BYTES, (const uint8_t *)context[sender],
				 strlen(context[sender]), key, SEAL_KEY_BYTES);
}

int seal_init(struct seal *seal, enum seal_end end, const uint8_t key[SEAL_KEY_BYTES],
	      uint64_t epoch)
{
	if (epoch == 0)
		return -EINVAL;
	if (sodium_init() < 0)
		return -EIO;
	*seal = (struct seal){.epoch = epoch};
	derive(seal->key_out, key, end);
	derive(seal->key_in, key, end == SEAL_EDGE ? SEAL_GATEWAY : SEAL_EDGE);
	return 0;
}

void seal_done(struct seal *seal)
{
	sodium_memzero(seal, sizeof(*seal));
}

int seal_put(struct seal *seal, uint64_t receiver_epoch, uint8_t *bytes, size_t len, size_t cap,
	     size_t *ret_len)
{
	uint8_t *trailer = bytes + len;

	if (len < CONTROL_HEADER_BYTES)
		return -EBADMSG;
	if (cap < SEAL_TRAILER_BYTES || len > cap - SEAL_TRAILER_BYTES)
		return -EMSGSIZE;
	bytes[CONTROL_FLAGS_OFFSET] |= CONTROL_FLAG_SEALED;
	put64(trailer + SENDER_OFFSET, seal->epoch);
	put64(trailer + RECEIVER_OFFSET, receiver_epoch);
	put64(trailer + SEQUENCE_OFFSET, ++seal->sequence);
	(void)crypto_generichash(trailer + TAG_OFFSET, SEAL_TAG_BYTES, bytes, len + TAG_OFFSET,
				 seal->key_out, sizeof(seal->key_out));
	*ret_len = len + SEAL_TRAILER_BYTES;
	return 0;
}

static bool authentic(const struct seal *seal, const uint8_t *bytes, size_t len)
{
	uint8_t tag[SEAL_TAG_BYTES];

	if (len < CONTROL_HEADER_BYTES + SEAL_TRAILER_BYTES ||
	    !(bytes[CONTROL_FLAGS_OFFSET] & CONTROL_FLAG_SEALED))
		return false;
	(void)crypto_generichash(tag, sizeof(tag), bytes, len - sizeof(tag), seal->key_in,
				 sizeof(seal->key_in));
	return sodium_memcmp(tag, bytes + len - sizeof(tag), sizeof(tag)) == 0;
}

static bool is_taken(const struct seal *seal, uint64_t sequence)
{
	return seal->taken[sequence % SEAL_WINDOW / 64] >> (sequence % 64) & 1;
}

static void mark(struct seal *seal, uint64_t sequence, bool taken)
{
	uint64_t *word = &seal->taken[sequence % SEAL_WINDOW / 64];
	uint64_t bit = 1ULL << (sequence % 64);

	*word = taken ? *word | bit : *word & ~bit;
}

/* Whether @sequence is a new one; if so it is taken. The window is a ring (RFC 4303 A2). */
static bool take(struct seal *seal, uint64_t sequence)
{
	if (sequence == 0)
		return false;
	if (sequence <= seal->newest) {
		if (seal->newest - sequence >= SEAL_WINDOW || is_taken(seal, sequence))
			return false;
	} else if (sequence - seal->newest >= SEAL_WINDOW) {
		memset(seal->taken, 0, sizeof(seal->taken));
		seal->newest = sequence;
	} else {
		while (seal->newest < sequence)
			mark(seal, ++seal->newest, false);
	}
	mark(seal, sequence, true);
	return true;
}

/*
 * A Probe whose sender does not know our epoch. It cannot be told from a recorded one, so it
 * changes nothing but this: the same Probe, or an older one, is not answered again.
 */
static enum seal_verdict asked(struct seal *seal, const struct trailer *t)
{
	if (t->sender < seal->asked.epoch ||
	    (t->sender == seal->asked.epoch && t->sequence <= seal->asked.sequence))
		return SEAL_REPLAYED;
	seal->asked.epoch = t->sender;
	seal->asked.sequence = t->sequence;
	return SEAL_ASKED;
}

static enum seal_verdict judge(struct seal *seal, const struct trailer *t, bool probe)
{
	if (t->sender == 0 || t->sender < seal->peer_epoch)
		return SEAL_OUTDATED;
	if (t->receiver != seal->epoch)
		return probe ? asked(seal, t) : SEAL_STALE;
	if (t->sender == seal->peer_epoch)
		return take(seal, t->sequence) ? SEAL_TAKEN : SEAL_REPLAYED;
	if (t->sequence == 0)
		return SEAL_REPLAYED;
	seal->peer_epoch = t->sender;
	seal->newest = 0;
	memset(seal->taken, 0, sizeof(seal->taken));
	(void)take(seal, t->sequence);
	return SEAL_NEW_PEER;
}

enum seal_verdict seal_open(struct seal *seal, const uint8_t *bytes, size_t len,
			    struct seal_opened *ret_opened)
{
	const uint8_t *trailer;
	struct trailer t;

	if (!authentic(seal, bytes, len))
		return SEAL_FORGED;
	trailer = bytes + len - SEAL_TRAILER_BYTES;
	t = (struct trailer){
		.sender = get64(trailer + SENDER_OFFSET),
		.receiver = get64(trailer + RECEIVER_OFFSET),
		.sequence = get64(trailer + SEQUENCE_OFFSET),
	};
	*ret_opened = (struct seal_opened){
		.len = len - SEAL_TRAILER_BYTES,
		.sender_epoch = t.sender,
	};
	return judge(seal, &t, bytes[CONTROL_EVENT_OFFSET] == CONTROL_PROBE);
}
