/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the control transport: what its files share. Included by io/control_*.c only. */
#pragma once

#include <sys/socket.h>

#include "base/instant.h"
#include "io/control_udp.h"

#define CONTROL_DATAGRAM_MAX (CONTROL_MESSAGE_MAX + SEAL_TRAILER_BYTES)
#define CONTROL_BATCH        64                    /* datagrams read in one turn of the loop */
#define CONTROL_HELLO_NS     (500 * NSEC_PER_MSEC) /* between two Probes for stale epochs */

struct control_peer {
	struct control_udp *udp;
	uint32_t id;
	struct fq_addr addr;
	uint16_t port; /* where messages go; of an edge: known from what it sent, or 0 */

	bool keyed;
	uint8_t key[SEAL_KEY_BYTES];
	struct seal seal;
	uint16_t incarnation;    /* of what we have for it */
	struct instant hello_at; /* no Probe for a stale epoch before */

	/* Tokens, in time: a message costs cost_ns. */
	int64_t cost_ns, credit_max_ns, credit_ns;
	struct instant seen;

	int fd; /* edge: connected; -1: opened by the next message to send */
	sd_event_source *source;

	struct control_udp_counters counters;
};

/* Sorted arrays of one allocation each: few, and looked up much more often than changed. */
struct control_peers {
	size_t count;
	struct control_peer **by_id, **by_addr;
};

struct control_udp {
	sd_event *event;
	struct control_udp_settings settings;
	int fd; /* gateway: bound; edge: -1 */
	uint16_t port;
	sd_event_source *source;
	struct control_peers peers;
	uint32_t number; /* of the last Probe sent from here */
	uint64_t unknown_source;
	uint64_t overflow; /* of sockets that are closed */
	uint8_t buffer[CONTROL_BATCH][CONTROL_DATAGRAM_MAX];
};

/* control_udp.c */

/* Read what has come, at most CONTROL_BATCH datagrams. @peer: of the socket; NULL: any. */
void control_udp_receive(struct control_udp *udp, int fd, struct control_peer *peer);

/* control_peers.c */

void control_peers_done(struct control_peers *peers);
struct control_peer *control_peers_by_id(const struct control_peers *peers, uint32_t id);
struct control_peer *control_peers_by_addr(const struct control_peers *peers,
					   const struct fq_addr *addr);

bool control_addr_is_wildcard(const struct fq_addr *addr);

/* Whether the peer may send another message now. */
bool control_peer_admit(struct control_peer *peer, struct instant now);

/* control_socket.c */

/* Return: 0; negative errno, and *@ret_port is untouched. */
int control_socket_listen(struct control_udp *udp);
void control_socket_close(struct control_peer *peer);

/* Messages that the kernel dropped at this socket. */
uint64_t control_socket_drops(int fd);

/*
 * Send bytes to a peer, once. Losses are counted there.
 *
 * @port: at an edge; host order
 *
 * Return: whether the kernel took them.
 */
bool control_socket_send(struct control_peer *peer, uint16_t port, const uint8_t *bytes,
			 size_t len);

/* control_udp_send.c */

/* Where a message goes, if not where every message to the peer goes. */
struct control_to {
	uint16_t port;  /* host order */
	uint64_t epoch; /* keyed */
};

/* As control_udp_send. */
int control_peer_send(struct control_peer *peer, const struct control_to *to,
		      const struct control_message *msg);

/* A Probe of the transport's own. */
void control_peer_hello(struct control_peer *peer, const struct control_to *to);
