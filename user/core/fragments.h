/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments that came before the first one of their datagram: kept until it has come, at most
 * FRAGMENTS_KEPT_NS, at most FRAGMENTS_MAX and FRAGMENTS_PER_SOURCE of one source (RFC 4787
 * REQ-14: "in a manner that is not vulnerable to DoS attacks"). Called by the daemon; pure.
 *
 * Every function costs a walk over what is kept, which is little.
 */
#pragma once

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "core/held.h"

#define FRAGMENTS_MAX        256
#define FRAGMENTS_PER_SOURCE 64
#define FRAGMENTS_KEPT_NS    (2 * NSEC_PER_SEC) /* RFC 6146: FRAGMENT_MIN */

struct fragments;

/* Return: NULL: no memory. */
struct fragments *fragments_new(void);
struct fragments *fragments_free(struct fragments *f);
DEFINE_CLEANUP(struct fragments *, fragments_free)

/* The key of a fragment by its upcall (FQ_UPCALL_FRAGMENT), whose frame holds an IP header. */
void fragments_key(const struct fq_upcall *u, struct fq_frag_key *ret_key);

/*
 * Keep a copy.
 *
 * Return: 0; -ENOBUFS a limit is reached; -ENOMEM; -EBADMSG not a packet.
 */
int fragments_keep(struct fragments *f, const struct fq_frag_key *key,
		   const struct held_offer *offer, struct instant now);

/* Take those of a datagram, in order of arrival; the caller frees the list. NULL: none. */
struct held_frame *fragments_take(struct fragments *f, const struct fq_frag_key *key);

/* Drop those that have been kept too long. Return: how many. */
unsigned int fragments_expire(struct fragments *f, struct instant now);

/* How many are kept. */
unsigned int fragments_count(const struct fragments *f);
