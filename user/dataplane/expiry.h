/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a session has ended. Pure: two entries and a policy in, an instant out.
 *
 * RFC 5382 REQ-5 (established TCP: not under 2 h 4 min), RFC 4787 REQ-5 (UDP: not under 2 min),
 * RFC 5508 REQ-2 (ICMP: not under 60 s), RFC 7857 2.2 (a reset ends nothing at once: it may be
 * blind, so the mapping stays until 4 minutes have passed without a packet).
 *
 * Deviations from RFC 5382 REQ-5, which asks 4 minutes for a connection that is not established
 * (partially open or closing), both so that ports come back soon, both an operator can set:
 *
 *	TCP opening, until the client has sent a second packet (the ACK that completes the
 *	handshake): unconfirmed_ns. Before, a scanned port would be held as an established
 *	connection. A SYN sent twice counts as that second packet.
 *
 *	TCP closing (N-06): tcp_closing_ns after the last packet, FIN seen in both directions. A
 *	last ACK or a FIN sent again later than that meets the tombstone and is dropped.
 */
#pragma once

#include <stdint.h>

#include <fqdnat/abi.h>

#include "base/instant.h"

/* Idle times after which a session is removed; the least that applies counts. */
struct expiry_policy {
	int64_t tcp_established_ns; /* since the last packet in either direction */
	int64_t tcp_closing_ns;     /* the same, FIN seen in both */
	int64_t tcp_reset_ns;       /* the same, RST seen in one */
	int64_t udp_ns;
	int64_t icmp_ns;
	int64_t unconfirmed_ns; /* none ever came in; or TCP and the client sent one packet only */
};

#define EXPIRY_POLICY_DEFAULT                              \
	((struct expiry_policy){                           \
		.tcp_established_ns = 7440 * NSEC_PER_SEC, \
		.tcp_closing_ns = 5 * NSEC_PER_SEC,        \
		.tcp_reset_ns = 240 * NSEC_PER_SEC,        \
		.udp_ns = 120 * NSEC_PER_SEC,              \
		.icmp_ns = 120 * NSEC_PER_SEC,             \
		.unconfirmed_ns = 60 * NSEC_PER_SEC,       \
	})

enum session_state {
	SESSION_NEW, /* nothing has come in yet */
	SESSION_ESTABLISHED,
	SESSION_CLOSING, /* TCP: FIN seen in both directions */
	SESSION_RESET,   /* TCP: RST seen */
};

/* "new", "established", "closing", "reset". */
const char *session_state_name(enum session_state state);

/* @out, @in: the two entries of a session. */
enum session_state session_state(const struct fq_session *out, const struct fq_session *in);

/* Instant of the last packet in either direction (of the creation, if there was none). */
struct instant session_last(const struct fq_session *out, const struct fq_session *in);

/*
 * The instant at which a session ends unless another packet comes (N-06).
 *
 * @proto: of its tuple
 */
struct instant session_expiry(const struct fq_session *out, const struct fq_session *in,
			      uint8_t proto, const struct expiry_policy *policy);

/*
 * The earliest result session_expiry can have for any @in, so that a fresh session is passed
 * over without its other half being looked up.
 */
struct instant session_expiry_earliest(const struct fq_session *out, uint8_t proto,
				       const struct expiry_policy *policy);

/* The key of the other half, by the key and the entry of one. Works in both directions. */
struct fq_tuple session_partner(const struct fq_tuple *key, const struct fq_session *entry);
