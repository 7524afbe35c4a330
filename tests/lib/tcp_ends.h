/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two TCP endpoints after RFC 9293 and 5961, and the queues between them and a translator in the
 * middle. Data are numbers without bytes; only what comes in order is taken, and whatever has not
 * been acknowledged is sent again from its beginning on, when the test says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tcp_track.h"

enum stage { LISTENING, SYN_SENT, SYN_RECEIVED, OPEN, GONE };

struct end {
	enum stage stage;
	uint32_t first, una, next; /* sent: first number, not acknowledged, next */
	uint32_t fin_at;           /* its FIN's number, with @fin */
	bool fin, fin_received;
	uint32_t expected, room, peer_room;
	uint8_t shift, peer_shift;
	bool scaled;
};

#define QUEUE_MAX 64

/* To an endpoint in two parts: before the translator and behind it. */
struct queue {
	struct fq_pkt p[QUEUE_MAX];
	unsigned int n;
};

struct world {
	struct end end[2];                 /* FQ_DIR_OUT: the client */
	struct queue before[2], behind[2]; /* by direction */
	struct tcp_half side[2];
	bool made, forgot, lossless;
	uint32_t random;
};

uint32_t world_random(struct world *w, uint32_t n);
void queue_put(struct queue *q, const struct fq_pkt *p);

/* Begin; whatever has to be sent again, or a keepalive; some data; FIN; RST. */
void end_send_syn(struct world *w, int who);
void end_send_again(struct world *w, int who);
void end_write(struct world *w, int who);
void end_close(struct world *w, int who);
void end_abort(struct world *w, int who);

void end_receive(struct world *w, int who, const struct fq_pkt *p);
