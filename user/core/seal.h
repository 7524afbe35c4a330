/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seal of a control message between an edge and a gateway that share a key: who wrote it,
 * for which process, and that it was not taken before (W-07).
 *
 *	header ‖ payload ‖ sender's epoch ‖ receiver's epoch ‖ sequence ‖ tag
 *	                   8                8                  8          16 bytes, big endian
 *
 * The tag is BLAKE2b (RFC 7693) over all that precedes it, with a key of the direction, made from
 * the shared one: a message never verifies where it came from. Nothing is encrypted.
 *
 * An epoch is the life of a sealing state: every process begins one that is greater than all its
 * former ones. A message counts only with the receiver's present epoch in it, so that what was
 * recorded before a restart is worth nothing after it, and no two clocks have to agree. Whoever
 * does not know the other's epoch sends a Probe; its reply, and only that, teaches it:
 *
 *	edge (epoch 7)                      gateway (epoch 3)
 *	Probe       7 to 0, 1        -->    SEAL_ASKED: answers, learns nothing
 *	SEAL_NEW_PEER                <--    ProbeReply  3 to 7, 1
 *	AssignedIps 7 to 3, 2        -->    SEAL_NEW_PEER: taken
 *
 * Pure: a plain struct, no clock, no socket, no allocation, no random. Called by the control
 * transport.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_BYTES     32
#define SEAL_TAG_BYTES     16
#define SEAL_TRAILER_BYTES 40
#define SEAL_WINDOW        1024 /* sequences; a message older than that counts as taken */

/* Which end of the pair we are. */
enum seal_end {
	SEAL_EDGE,
	SEAL_GATEWAY,
};

struct seal {
	/* to be read by anyone */
	uint64_t epoch;      /* ours */
	uint64_t peer_epoch; /* the peer's, as far as it was proven; 0: not yet */

	/* seal.c's own */
	uint8_t key_out[SEAL_KEY_BYTES], key_in[SEAL_KEY_BYTES];
	uint64_t sequence; /* of the last message sealed */
	uint64_t newest;   /* sequence taken in peer_epoch */
	uint64_t taken[SEAL_WINDOW / 64];
	struct { /* of the newest Probe that asked for our epoch */
		uint64_t epoch, sequence;
	} asked;
};

/*
 * @key:   of the pair, as configured; copied in the form of two derived keys
 * @epoch: not 0, and greater than any that was ever used with this key at this end
 *
 * Return: 0; -EINVAL for epoch 0; -EIO if libsodium cannot be initialised.
 */
int seal_init(struct seal *seal, enum seal_end end, const uint8_t key[SEAL_KEY_BYTES],
	      uint64_t epoch);

/* Overwrite the keys. */
void seal_done(struct seal *seal);

/*
 * Seal a message: mark it so in its header, append the trailer.
 *
 * @receiver_epoch: seal->peer_epoch; to answer SEAL_ASKED, the epoch that asked
 * @bytes:          an encoded message of @len bytes, with room for @cap
 *
 * Return: 0; -EMSGSIZE if the trailer does not fit; -EBADMSG without a whole header.
 */
int seal_put(struct seal *seal, uint64_t receiver_epoch, uint8_t *bytes, size_t len, size_t cap,
	     size_t *ret_len);

enum seal_verdict {
	SEAL_TAKEN,    /* authentic, for us, new: to be acted on */
	SEAL_NEW_PEER, /* the same, and the first one of a new epoch of the peer */
	SEAL_ASKED,    /* a Probe that does not know our epoch: answer it, do nothing else */
	SEAL_STALE,    /* authentic, but not for our epoch: a Probe to the peer tells it ours */
	SEAL_OUTDATED, /* authentic, but of an earlier epoch of the peer */
	SEAL_REPLAYED, /* authentic, but taken before, or too old to know */
	SEAL_FORGED,   /* not made with the key of this direction, or not sealed at all */
};

struct seal_opened {
	size_t len;            /* of header and payload */
	uint64_t sender_epoch; /* what an answer to SEAL_ASKED is sealed for */
};

/*
 * Check the seal of a datagram. What is learnt (peer_epoch, the window) is learnt from SEAL_TAKEN
 * and SEAL_NEW_PEER only.
 *
 * @ret_opened: written unless the verdict is SEAL_FORGED
 */
enum seal_verdict seal_open(struct seal *seal, const uint8_t *bytes, size_t len,
			    struct seal_opened *ret_opened);
