/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending control messages: encode, seal, hand over to the socket. */
#include <errno.h>

#include "base/probe.h"
#include "io/control_udp_impl.h"

int control_peer_send(struct control_peer *peer, const struct control_to *to,
		      const struct control_message *msg)
{
	struct control_message with = *msg;
	uint8_t bytes[CONTROL_DATAGRAM_MAX];
	size_t len;
	int r;

	if (to->port == 0)
		return -ENOTCONN;
	with.incarnation = peer->incarnation;
	r = control_encode(&with, bytes, CONTROL_MESSAGE_MAX, &len);
	if (r < 0)
		return r;
	if (peer->keyed) {
		r = seal_put(&peer->seal, to->epoch, bytes, len, sizeof(bytes), &len);
		if (r < 0)
			return r;
	}
	PROBE_CONTROL_MESSAGE(PROBE_OUT, peer->id, msg->event, msg->generation, msg->domain.text);
	if (control_socket_send(peer, to->port, bytes, len))
		peer->counters.sent[msg->event]++;
	return 0;
}

int control_udp_send(struct control_udp *udp, uint32_t peer, const struct control_message *msg)
{
	struct control_peer *p = control_peers_by_id(&udp->peers, peer);

	if (!p)
		return -ENOENT;
	return control_peer_send(
		p, &(struct control_to){.port = p->port, .epoch = p->seal.peer_epoch}, msg);
}

void control_udp_incarnation_set(struct control_udp *udp, uint32_t peer, uint16_t incarnation)
{
	struct control_peer *p = control_peers_by_id(&udp->peers, peer);

	if (p)
		p->incarnation = incarnation;
}

void control_peer_hello(struct control_peer *peer, const struct control_to *to)
{
	struct control_message probe = {.event = CONTROL_PROBE};

	if (++peer->udp->number == 0)
		peer->udp->number = 1;
	probe.generation = peer->udp->number;
	(void)control_peer_send(peer, to, &probe);
}
