/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a session has ended. Pure: two entries and a policy in, an instant out.
 *
 * What its packets say has been judged by the programs (bpf/tcp.h); here it is put together. Every
 * state has a time of its own, counted from the last packet in either direction.
 *
 * RFC 5382 REQ-5 and RFC 7857 2 (TCP), RFC 4787 REQ-5 and 6 (UDP), RFC 5508 REQ-2 (ICMP).
 */
#pragma once

#include <stdint.h>

#include "base/instant.h"
#include "dataplane/table.h"

/* TCP is open until both have acknowledged, and half-closed while one still sends. */
enum session_state {
	SESSION_OPENING,
	SESSION_ESTABLISHED,
	SESSION_HALF_CLOSED, /* FIN in one direction */
	SESSION_CLOSING,     /* in both */
	SESSION_RESET,       /* RST in one, and nothing else since */
	SESSION_UNCONFIRMED, /* UDP, ICMP: nothing has come in yet */
	SESSION_CONFIRMED,
};

/* Idle times after which a session is removed. */
struct expiry_policy {
	int64_t tcp_opening_ns;
	int64_t tcp_established_ns; /* half-closed, too */
	int64_t tcp_closing_ns;
	int64_t tcp_reset_ns;
	int64_t udp_ns;
	int64_t icmp_ns;
	int64_t unconfirmed_ns; /* or that of the protocol, if it is less */
};

/* As the RFCs recommend. */
#define EXPIRY_POLICY_DEFAULT                              \
	((struct expiry_policy){                           \
		.tcp_opening_ns = 240 * NSEC_PER_SEC,      \
		.tcp_established_ns = 7440 * NSEC_PER_SEC, \
		.tcp_closing_ns = 240 * NSEC_PER_SEC,      \
		.tcp_reset_ns = 240 * NSEC_PER_SEC,        \
		.udp_ns = 300 * NSEC_PER_SEC,              \
		.icmp_ns = 60 * NSEC_PER_SEC,              \
		.unconfirmed_ns = 120 * NSEC_PER_SEC,      \
	})

/* "opening", "half_closed" ... */
const char *session_state_name(enum session_state state);

/*
 * @out, @in: the two entries of a session
 * @proto: of its tuple
 */
enum session_state session_state(const struct session_entry *out, const struct session_entry *in,
				 uint8_t proto);

/* Instant of the last packet in either direction (of the creation, if there was none). */
struct instant session_last(const struct session_entry *out, const struct session_entry *in);

/* The instant at which a session ends unless another packet comes (N-06). */
struct instant session_expiry(const struct session_entry *out, const struct session_entry *in,
			      uint8_t proto, const struct expiry_policy *policy);

/*
 * Whoever has been idle for less has not ended, whatever the state of the session: so that most are
 * passed over without their other half being looked up.
 */
int64_t session_idle_least(uint8_t proto, const struct expiry_policy *policy);

/* The key of the other half, by the key and the entry of one. Works in both directions. */
struct fq_tuple session_partner(const struct fq_tuple *key, const struct session_entry *entry);
