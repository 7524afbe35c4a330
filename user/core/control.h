/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control messages between an edge and a gateway: bytes on the wire to a struct and
 * back (W-01 to W-06 of docs/behaviours.md).
 *
 * A message is an 8-byte header and a JSON payload, one message a datagram, best effort and
 * idempotent. The header's byte 0 is the event, byte 1 has flags, bytes 2..3 of a ProbeReply are
 *the incarnation, bytes 4..7 are the generation (big endian; 0: none); what has no meaning is zero
 *and ignored on receipt.
 *
 *	AssignedIps   edge to gateway   {"resource":uuid,"domain":"...","proxy_ips":["...",...]}
 *	DomainStatus  gateway to edge {"resource":uuid,"domain":"...","status":"Active"|"Inactive"}
 *	Goodbye       both              no payload
 *	Probe         both              no payload, the generation is its number, never 0
 *	ProbeReply    both              no payload, the number of the Probe
 *
 * The codec does not authenticate: whoever receives datagrams from outside does that first (W-07,
 * core/seal.h). It ignores the flags. The whole protocol is in docs/control-protocol.md.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <fqdnat/abi.h>

#include "core/dname.h"
#include "core/uuid.h"

#define CONTROL_HEADER_BYTES 8
#define CONTROL_MESSAGE_MAX  1280 /* header and payload; the smallest IPv6 MTU */
#define CONTROL_PROXIES_MAX  8
#define CONTROL_PROXIES_ONE  4 /* of one family only */

#define CONTROL_EVENT_OFFSET 0
#define CONTROL_FLAGS_OFFSET 1
#define CONTROL_FLAG_SEALED  0x01 /* a seal follows the payload */

/* X(id, name): in the order of the event byte. */
#define CONTROL_EVENTS(X)                 \
	X(ASSIGNED_IPS, "assigned_ips")   \
	X(DOMAIN_STATUS, "domain_status") \
	X(GOODBYE, "goodbye")             \
	X(PROBE, "probe")                 \
	X(PROBE_REPLY, "probe_reply")

enum control_event {
#define X(id, name) CONTROL_##id,
	CONTROL_EVENTS(X)
#undef X
		CONTROL_EVENT_COUNT,
};

enum control_status {
	CONTROL_INACTIVE, /* also every status word that is not known (W-03) */
	CONTROL_ACTIVE,
};

struct control_message {
	enum control_event event;
	uint32_t generation; /* 0: none; Probe and ProbeReply: the number, not 0 */
	/* Probe and ProbeReply: another one than before means that what the sender had for the
	 * receiver is gone; 0: not told. Other messages: 0. */
	uint16_t incarnation;
	char resource[UUID_STRLEN];
	struct dname domain;
	struct fq_addr proxies[CONTROL_PROXIES_MAX]; /* AssignedIps, in the order of the message */
	unsigned int proxy_count;                    /* 4 or 8 */
	enum control_status status;                  /* DomainStatus */
};

/*
 * Write a message into @buf.
 *
 * @msg:     a valid message; fields that its event has no use for are ignored
 * @buf:     at least CONTROL_MESSAGE_MAX bytes always suffice
 * @ret_len: bytes written
 *
 * Return: 0; -EMSGSIZE if @cap is too small; -EINVAL if a field is not valid; -ENOMEM.
 */
int control_encode(const struct control_message *msg, uint8_t *buf, size_t cap, size_t *ret_len);

/*
 * Read a message. The domain comes out in canonical form, the UUID in lower case. Members of the
 * payload that are not known are ignored.
 *
 * Return: 0; -EBADMSG for anything that is not a whole, well-formed message (short header,
 * too long, not JSON, missing or wrong members, bad UUID, name or address, other than 4 or 8
 * proxy addresses, one of them twice, Probe without a number); -EOPNOTSUPP for an event that is not
 * known (W-05); -ENOMEM. @ret_msg is untouched on failure.
 */
int control_decode(const uint8_t *bytes, size_t len, struct control_message *ret_msg);

/* "assigned_ips", "domain_status", "goodbye", "probe", "probe_reply". */
const char *control_event_name(enum control_event event);
