/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control transport: its life, and what becomes of a datagram.
 *
 * Nothing of a datagram is acted on before every check in control_udp.h's table has passed; a
 * datagram that fails one changes a counter, and no more.
 */
#include "base/probe.h"
#include "io/control_udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ipaddr.h"
#include "io/control_udp_impl.h"

/* What this role takes; the rest of the known events is what it sends. */
static bool takes(enum control_role role, enum control_event event)
{
	switch (event) {
	case CONTROL_ASSIGNED_IPS:
		return role == CONTROL_ROLE_GATEWAY;
	case CONTROL_DOMAIN_STATUS:
		return role == CONTROL_ROLE_EDGE;
	default:
		return true;
	}
}

struct datagram {
	const uint8_t *bytes;
	size_t len;      /* without the seal, once that is open */
	bool truncated;  /* it was longer */
	uint16_t port;   /* it came from; host order */
	uint64_t sender; /* epoch */
};

/* Size and header, before anything costs much. Return: the counter of what is wrong; NULL: fine. */
static uint64_t *check_header(struct control_peer *peer, const struct datagram *d)
{
	struct control_udp_counters *c = &peer->counters;
	bool sealed;
	size_t trailer;

	if (d->len < CONTROL_HEADER_BYTES)
		return &c->undersized;
	sealed = d->bytes[CONTROL_FLAGS_OFFSET] & CONTROL_FLAG_SEALED;
	trailer = sealed ? SEAL_TRAILER_BYTES : 0;
	if (d->len < CONTROL_HEADER_BYTES + trailer)
		return &c->undersized;
	if (d->truncated || d->len > CONTROL_MESSAGE_MAX + trailer)
		return &c->oversized;
	if (d->bytes[CONTROL_EVENT_OFFSET] >= CONTROL_EVENT_COUNT)
		return &c->unknown_event;
	if (!takes(peer->udp->settings.role, d->bytes[CONTROL_EVENT_OFFSET]))
		return &c->misdirected;
	if (sealed != peer->keyed)
		return &c->forged;
	return NULL;
}

/* Tell a peer that does not know our epoch what it is; not more often than it has any use for. */
static void tell_epoch(struct control_peer *peer, uint16_t port, struct instant now)
{
	if (!instant_reached(peer->hello_at, now))
		return;
	peer->hello_at = instant_add(now, CONTROL_HELLO_NS);
	control_peer_hello(peer,
			   &(struct control_to){.port = port, .epoch = peer->seal.peer_epoch});
}

/* Return: as check_header; then *@ret_verdict is SEAL_TAKEN, SEAL_NEW_PEER or SEAL_ASKED. */
static uint64_t *check_seal(struct control_peer *peer, struct datagram *d, struct instant now,
			    enum seal_verdict *ret_verdict)
{
	struct seal_opened opened;
	enum seal_verdict verdict = seal_open(&peer->seal, d->bytes, d->len, &opened);

	switch (verdict) {
	case SEAL_FORGED:
		return &peer->counters.forged;
	case SEAL_REPLAYED:
		return &peer->counters.replayed;
	case SEAL_OUTDATED:
		return &peer->counters.stale_epoch;
	case SEAL_STALE:
		tell_epoch(peer, d->port, now);
		return &peer->counters.stale_epoch;
	case SEAL_TAKEN:
	case SEAL_NEW_PEER:
	case SEAL_ASKED:
		break;
	}
	d->len = opened.len;
	d->sender = opened.sender_epoch;
	*ret_verdict = verdict;
	return NULL;
}

static void answer_probe(struct control_peer *peer, const struct control_to *to, uint32_t number)
{
	const struct control_message reply = {.event = CONTROL_PROBE_REPLY, .generation = number};

	(void)control_peer_send(peer, to, &reply);
}

/* An authentic message of a live process. */
static void deliver(struct control_peer *peer, const struct control_message *msg)
{
	const struct control_udp_settings *settings = &peer->udp->settings;

	PROBE_CONTROL_MESSAGE(PROBE_IN, peer->id, msg->event, msg->generation, msg->domain.text);
	if (msg->incarnation)
		settings->on_incarnation(settings->ctx, peer->id, msg->incarnation);
	if (msg->event != CONTROL_PROBE_REPLY && msg->event != CONTROL_GOODBYE)
		settings->on_heard(settings->ctx, peer->id);
	if (msg->event != CONTROL_PROBE)
		settings->on_message(settings->ctx, peer->id, msg);
}

/* Return: the counter to raise. */
static uint64_t *handle(struct control_peer *peer, struct datagram *d, struct instant now)
{
	enum seal_verdict verdict = SEAL_TAKEN;
	struct control_message msg;
	struct control_to back;
	uint64_t *wrong;

	wrong = check_header(peer, d);
	if (!wrong && peer->keyed)
		wrong = check_seal(peer, d, now, &verdict);
	if (wrong)
		return wrong;
	if (!control_peer_admit(peer, now))
		return &peer->counters.limited;
	if (control_decode(d->bytes, d->len, &msg) < 0)
		return &peer->counters.malformed;

	back = (struct control_to){.port = d->port, .epoch = d->sender};
	if (msg.event == CONTROL_PROBE)
		answer_probe(peer, &back, msg.generation);
	if (verdict == SEAL_ASKED)
		return &peer->counters.received[msg.event];
	peer->port = d->port;
	/* Whoever has answered our question need not know our epoch yet. */
	if (verdict == SEAL_NEW_PEER && msg.event == CONTROL_PROBE_REPLY)
		control_peer_hello(peer, &back);
	/* The last that is done with the peer: the owner may send, and so come back here. */
	peer->counters.received[msg.event]++;
	deliver(peer, &msg);
	return NULL;
}

static void on_datagram(struct control_udp *udp, struct control_peer *peer, struct datagram *d,
			const struct sockaddr_storage *from, struct instant now)
{
	struct fq_addr addr;
	uint64_t *counter;

	if (ipaddr_from_sockaddr((const struct sockaddr *)from, &addr, &d->port) < 0)
		return;
	if (!peer)
		peer = control_peers_by_addr(&udp->peers, &addr);
	else if (!ipaddr_equal(&addr, &peer->addr) || d->port != peer->port)
		peer = NULL; /* came between bind and connect */
	if (!peer || d->port == 0) {
		udp->unknown_source++;
		return;
	}
	counter = handle(peer, d, now);
	if (counter)
		(*counter)++;
}

static struct instant loop_now(const struct control_udp *udp)
{
	uint64_t usec;

	if (sd_event_now(udp->event, CLOCK_MONOTONIC, &usec) < 0)
		return instant_now();
	return (struct instant){(int64_t)usec * NSEC_PER_USEC};
}

void control_udp_receive(struct control_udp *udp, int fd, struct control_peer *peer)
{
	struct sockaddr_storage from[CONTROL_BATCH];
	struct mmsghdr msgs[CONTROL_BATCH] = {0};
	struct iovec iovs[CONTROL_BATCH];
	struct instant now = loop_now(udp);
	int n;

	for (int i = 0; i < CONTROL_BATCH; i++) {
		iovs[i] = (struct iovec){udp->buffer[i], sizeof(udp->buffer[i])};
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, msgs, CONTROL_BATCH, MSG_DONTWAIT, NULL);
	/* Errors are ICMP's about what was sent earlier, or passing: the socket stays. */
	if (n < 0 && errno == ECONNREFUSED && peer)
		peer->counters.unreachable++;
	for (int i = 0; i < n; i++) {
		struct datagram d = {
			.bytes = udp->buffer[i],
			.len = msgs[i].msg_len,
			.truncated = msgs[i].msg_hdr.msg_flags & MSG_TRUNC,
		};

		on_datagram(udp, peer, &d, &from[i], now);
	}
}

int control_udp_new(sd_event *event, const struct control_udp_settings *settings,
		    struct control_udp **ret_udp, char ret_error[CONTROL_UDP_ERROR_LEN])
{
	_cleanup_(control_udp_freep) struct control_udp *udp = calloc(1, sizeof(*udp));
	char text[IPADDR_STRLEN];
	int r;

	snprintf(ret_error, CONTROL_UDP_ERROR_LEN, "out of memory");
	if (!udp)
		return -ENOMEM;
	udp->event = sd_event_ref(event);
	udp->settings = *settings;
	udp->fd = -1;
	if (settings->role == CONTROL_ROLE_GATEWAY) {
		/* Answers leave from where the edge has sent to: a wildcard cannot promise that. */
		r = settings->has_local && !control_addr_is_wildcard(&settings->addr)
			    ? control_socket_listen(udp)
			    : -EINVAL;
		if (r < 0) {
			snprintf(ret_error, CONTROL_UDP_ERROR_LEN,
				 "cannot listen for control messages on %s port %u: %s",
				 ipaddr_format(&settings->addr, text), settings->port,
				 strerror(-r));
			return r;
		}
	}
	*ret_udp = TAKE_PTR(udp);
	return 0;
}

void control_udp_free(struct control_udp *udp)
{
	if (!udp)
		return;
	control_peers_done(&udp->peers);
	sd_event_source_disable_unref(udp->source);
	if (udp->fd >= 0)
		close(udp->fd);
	sd_event_unref(udp->event);
	free(udp);
}

uint16_t control_udp_port(const struct control_udp *udp)
{
	return udp->port;
}
