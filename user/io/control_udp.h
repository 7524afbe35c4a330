/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages between machines: UDP sockets, seals, rates and counters (W-05, W-07).
 *
 * One object for each role. The gateway's has one socket; an edge is known by its address and
 * answered at the port of its last message that was accepted. The edge's has a connected
 * socket for each gateway, so that the kernel takes nothing from anyone else.
 *
 * A datagram is looked at in this order, and counted with the first thing that is wrong:
 *
 *	source        is a peer                                     unknown_source
 *	size          8..1280 bytes, 48..1320 sealed                undersized, oversized
 *	event         known; one that the other role sends          unknown_event, misdirected
 *	seal          there if and only if the peer has a key       forged
 *	epochs        of the two processes that live now            stale_epoch
 *	sequence      not taken before                              replayed
 *	rate          of the peer; not used up by what is above     limited
 *	payload       as the event's                                malformed
 *
 * Without a key all trust is in the source address: the configuration sees to it that it is
 * inside a tunnel.
 *
 * Probes are answered here. It sends Probes of its own only where a seal's epochs have to be
 * exchanged; those that watch a gateway are core/peer.h's. It does not log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "core/control.h"
#include "core/seal.h"

#define CONTROL_UDP_PORT      4700
#define CONTROL_UDP_RATE      2000 /* messages a second from one peer ... */
#define CONTROL_UDP_BURST     4000 /* ... and at once: those of two seconds */
#define CONTROL_UDP_ERROR_LEN 160

struct control_udp;

enum control_role {
	CONTROL_ROLE_EDGE,    /* peers are gateways */
	CONTROL_ROLE_GATEWAY, /* peers are edges */
};

struct control_udp_settings {
	enum control_role role;
	bool has_local; /* gateway: must be set */
	/*
	 * Gateway: where it listens, no wildcard. Edge: the source of what it sends to gateways of
	 * the same IP version; others, and without has_local all, get the one the route says.
	 */
	struct fq_addr addr;
	uint16_t port; /* host order; gateway only; 0: any (tests) */
	bool freebind; /* an address that this host does not have (yet) will do */

	/*
	 * An authentic message has come, but ProbeReply and Goodbye: see peer_heard. Before
	 * on_message, if that is called, too.
	 */
	void (*on_heard)(void *ctx, uint32_t peer);

	/* The incarnation in a Probe or ProbeReply that was taken; not called for 0. Before both.
	 */
	void (*on_incarnation)(void *ctx, uint32_t peer, uint16_t incarnation);

	/*
	 * AssignedIps (gateway), DomainStatus (edge), Goodbye, ProbeReply (.generation is the
	 * number of the Probe). May send; must not set peers or free.
	 */
	void (*on_message)(void *ctx, uint32_t peer, const struct control_message *msg);
	void *ctx;
};

/*
 * @event:     the loop; a reference is taken
 * @ret_error: on failure: what could not be done, on which address, and why
 *
 * Return: 0; -EINVAL for settings that make no sense; errnos of socket, bind and sd-event.
 */
int control_udp_new(sd_event *event, const struct control_udp_settings *settings,
		    struct control_udp **ret_udp, char ret_error[CONTROL_UDP_ERROR_LEN]);

/* Says no Goodbye. */
void control_udp_free(struct control_udp *udp);
DEFINE_CLEANUP(struct control_udp *, control_udp_free)

/* Port that the gateway listens on, host order. */
uint16_t control_udp_port(const struct control_udp *udp);

struct control_udp_peer {
	uint32_t id; /* the caller's name for it */
	struct fq_addr addr;
	uint16_t port;           /* host order; of a gateway; of an edge ignored */
	const uint8_t *key;      /* SEAL_KEY_BYTES; NULL: not sealed. Copied */
	uint16_t incarnation;    /* of what we have for it: told with Probes and ProbeReplies */
	unsigned int per_second; /* messages taken; 0: CONTROL_UDP_RATE */
	unsigned int burst;      /* 0: those of two seconds */
};

/*
 * Replace the set of peers. One that stays (same id, address, port and key) keeps its epochs,
 * socket and known port; its counters stay as long as the id does.
 *
 * @epoch: for the seals that begin here, those of new peers and new keys: greater than any that
 *         was given before, in this process or an earlier one
 *
 * Return: 0; -EEXIST: two have one id or one address; -EINVAL: epoch 0, wildcard address, a
 * gateway's port 0; -ENOMEM; the old set stays then.
 */
int control_udp_peers_set(struct control_udp *udp, const struct control_udp_peer *peers,
			  size_t count, uint64_t epoch);

/* Of what we have for the peer, from now on. */
void control_udp_incarnation_set(struct control_udp *udp, uint32_t peer, uint16_t incarnation);

/*
 * Encode, seal and send a message, without waiting. Probes and ProbeReplies get the incarnation.
 * What the kernel does not take is lost, as anything on the way may be, and counted as send_failed.
 *
 * Return: 0, also if it was lost; -ENOENT: no such peer; -ENOTCONN: nothing was heard yet of this
 * edge, so there is no port to send to; -EINVAL, -EMSGSIZE, -ENOMEM of control_encode.
 */
int control_udp_send(struct control_udp *udp, uint32_t peer, const struct control_message *msg);

/* What is counted of a peer beside received and sent messages: X(name, sentence). */
#define CONTROL_UDP_COUNTERS(X)                                                       \
	X(undersized, "shorter than a header, or than a header and its seal")         \
	X(oversized, "longer than a message can be")                                  \
	X(unknown_event, "an event that is not known")                                \
	X(misdirected, "an event that only this side sends")                          \
	X(forged, "wrong seal, none where a key is configured, or one where none is") \
	X(stale_epoch, "sealed to or by an earlier process")                          \
	X(replayed, "sealed message that was taken before, or is too old to know")    \
	X(limited, "more messages than the peer may send")                            \
	X(malformed, "payload is not what the event wants")                           \
	X(send_failed, "not sent: the kernel did not take it")                        \
	X(unreachable, "ICMP error came back")

struct control_udp_counters {
	uint64_t received[CONTROL_EVENT_COUNT]; /* accepted, by event */
	uint64_t sent[CONTROL_EVENT_COUNT];
#define X(name, text) uint64_t name;
	CONTROL_UDP_COUNTERS(X)
#undef X
};

/* Call @fn for every counter: "received_assigned_ips", "sent_probe", "forged", ... */
void control_udp_counters_foreach(const struct control_udp_counters *counters,
				  void (*fn)(void *ctx, const char *name, uint64_t value),
				  void *ctx);

struct control_udp_view {
	struct fq_addr addr;
	uint16_t port; /* host order; where messages go; 0: not known yet */
	bool keyed;
	uint64_t peer_epoch; /* keyed: of the peer's process; 0: not known yet */
	struct control_udp_counters counters;
};

/* Return: 0; -ENOENT. */
int control_udp_view(const struct control_udp *udp, uint32_t peer,
		     struct control_udp_view *ret_view);

/* What belongs to no peer. */
struct control_udp_totals {
	uint64_t unknown_source; /* messages whose source is no peer */
	uint64_t overflow;       /* messages the kernel dropped because the queue was full */
};

struct control_udp_totals control_udp_totals(const struct control_udp *udp);
