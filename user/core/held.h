/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets of one domain that wait for its gateway: at most HELD_PACKETS_MAX of them,
 * within a number of bytes shared by all domains (C-02 to C-06). Called by the edge; pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/instant.h"

#define HELD_PACKETS_MAX 32

/* Sets of IP families: what a frame is of, what is to be taken. */
#define IP_FAMILY_V4  0x1U
#define IP_FAMILY_V6  0x2U
#define IP_FAMILIES   2 /* family i is bit i */
#define IP_FAMILY_ALL (IP_FAMILY_V4 | IP_FAMILY_V6)

/* What is held by all domains together. */
struct held_budget {
	size_t bytes_max;
	size_t bytes; /* with the cost of keeping them */
	size_t packets;
};

/* An Ethernet frame as it was received, padding included. */
struct held_frame {
	struct held_frame *next;
	struct instant at;  /* when it was offered; of a SYN, when its first one was */
	uint32_t ifindex;   /* ingress */
	uint16_t l3_offset; /* of the IP header in bytes */
	uint16_t len;
	uint8_t family; /* IP_FAMILY_V4 or _V6 */
	uint8_t bytes[];
};

/* A frame that is offered; the bytes are copied. */
struct held_offer {
	const uint8_t *bytes;
	uint16_t len;
	uint16_t l3_offset;
	uint32_t ifindex;
	uint8_t family; /* IP_FAMILY_V4 or _V6; edge_packet sets it */
};

struct held {
	struct held_frame *first, *last;
	unsigned int count;
};

enum held_outcome {
	HELD_STORED,
	HELD_DUPLICATE, /* byte-identical IP packet is held already (C-04) */
	HELD_REPLACED,  /* took the place of an older SYN of the same connection (C-05) */
	HELD_FULL,      /* stored; the oldest was overwritten (C-03) */
	HELD_LIMIT,     /* not stored: held_budget.bytes_max, no memory, or not a packet */
};

/* Copy an offered frame, owned by no buffer. Return: NULL: no memory, or not a packet. */
struct held_frame *held_frame_new(const struct held_offer *offer, struct instant now);

/*
 * Offer a frame.
 *
 * A TCP SYN (SYN set, ACK clear) with the addresses, ports and sequence number of a held one
 * is its retransmission and replaces it, in its place.
 */
enum held_outcome held_offer(struct held *held, struct held_budget *budget,
			     const struct held_offer *offer, struct instant now);

/*
 * Take all frames of @families, in order of arrival; the caller frees the list. NULL: none.
 *
 * @ret_count: how many
 */
struct held_frame *held_take(struct held *held, struct held_budget *budget, unsigned int families,
			     unsigned int *ret_count);

/* Drop frames offered at or before @limit, and not again (as a duplicate or a SYN that replaces)
 * since. Return: how many. */
unsigned int held_drop_older(struct held *held, struct held_budget *budget, struct instant limit);

/* Drop all. Return: how many. */
unsigned int held_drop(struct held *held, struct held_budget *budget);

/* Free a list of frames. */
struct held_frame *held_frames_free(struct held_frame *frames);
DEFINE_CLEANUP(struct held_frame *, held_frames_free)
