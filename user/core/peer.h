/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a gateway can be reached, as its edge sees it: from what is heard of it, and from
 * Probes, whose replies also tell whether it still has what it has confirmed.
 *
 *	          heard   ProbeReply   Goodbye   silence
 *	unknown   up      up           gone      silent
 *	up        -       -            gone      silent
 *	silent    up      up           gone      -
 *	gone      -       up           -         -
 *
 * Silence is PEER_SILENT_NS without a message and PEER_SILENT_PROBES Probes in vain: neither a
 * process that slept nor one lost Probe makes a gateway silent. It counts from peer_init on for
 * one that is never heard, so that others take over what was restored for it.
 * What is gone comes back with a reply to a Probe that was sent after its Goodbye, not with a
 * message that was under way. Probes to what is silent or gone become rarer, up to one in
 * PEER_BACKOFF_NS.
 *
 * Pure: a plain struct, no clock, no socket, no allocation; random only from the seed. The
 * caller authenticates messages first and passes the events on to the edge (edge_gateway_up,
 * _lost, _gone). Called by the daemon and the scenarios.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"

#define PEER_IDLE_NS       (10 * NSEC_PER_SEC)   /* from a ProbeReply to the next Probe */
#define PEER_RETRY_NS      (500 * NSEC_PER_MSEC) /* to the next one when there is no answer */
#define PEER_BACKOFF_NS    (10 * NSEC_PER_SEC)   /* the longest time between two of them */
#define PEER_JITTER        5                     /* times vary by up to a fifth, either way */
#define PEER_SILENT_NS     (15 * NSEC_PER_SEC)
#define PEER_SILENT_PROBES 10

#define PEER_PROBES 32 /* remembered, to know the round-trip time of a late reply */

enum peer_state {
	PEER_UNKNOWN, /* not heard yet */
	PEER_UP,
	PEER_SILENT,
	PEER_GONE, /* it said Goodbye */
};

/* What an input has changed; the edge is to be told. */
enum peer_event {
	PEER_EVENT_NONE,
	PEER_EVENT_UP,     /* edge_gateway_up */
	PEER_EVENT_SILENT, /* edge_gateway_lost */
	PEER_EVENT_GONE,   /* edge_gateway_gone */
};

struct peer {
	/* to be read by anyone */
	enum peer_state state;
	struct instant since; /* of the state */
	struct instant heard; /* last authentic message; INSTANT_NEVER */
	int64_t srtt_ns;      /* smoothed round-trip time (RFC 6298 2); -1: never measured */

	/* peer.c's own */
	uint64_t random;
	uint32_t number;         /* of the last Probe */
	uint32_t unanswered;     /* Probes since the last message */
	unsigned int doublings;  /* of PEER_RETRY_NS: the backoff */
	struct instant probed;   /* last Probe; INT64_MIN: none */
	struct instant probe_at; /* next Probe */
	struct {
		uint32_t number; /* 0: free, or answered */
		struct instant at;
	} probes[PEER_PROBES]; /* ring */
	unsigned int probes_at;
};

/*
 * A peer that was never heard; its first Probe is due at once.
 *
 * @seed: different for every peer and every start: of the jitter and of the Probes' numbers
 */
void peer_init(struct peer *p, uint64_t seed, struct instant now);

/* An authentic message but ProbeReply and Goodbye has come. */
enum peer_event peer_heard(struct peer *p, struct instant now);

/* An authentic ProbeReply has come. One that answers none of the last Probes counts as heard. */
enum peer_event peer_replied(struct peer *p, uint32_t number, struct instant now);

/* An authentic Goodbye has come. */
enum peer_event peer_goodbye(struct peer *p, struct instant now);

/*
 * Something waits for this peer (EDGE_GATEWAY_WANTED), or for the way to it: the backoff starts
 * anew and the next Probe is due PEER_RETRY_NS after the last one.
 */
void peer_wanted(struct peer *p, struct instant now);

/* When peer_tick has something to do. Changes with every input. */
struct instant peer_deadline(const struct peer *p);

/*
 * Do what is due.
 *
 * @ret_probe: number of the Probe to send now; 0: none
 *
 * Return: PEER_EVENT_SILENT or _NONE.
 */
enum peer_event peer_tick(struct peer *p, struct instant now, uint32_t *ret_probe);

/* "unknown", "up", "silent", "gone". */
const char *peer_state_name(enum peer_state state);
