/* SPDX-License-Identifier: BSD-2-Clause */
/* See tcp_ends.h. */
#include "tcp_ends.h"

enum { F = FQ_TCP_FIN, Y = FQ_TCP_SYN, R = FQ_TCP_RST, A = FQ_TCP_ACK };

uint32_t world_random(struct world *w, uint32_t n)
{
	return pkt_random(&w->random) % n;
}

void queue_put(struct queue *q, const struct fq_pkt *p)
{
	if (q->n < QUEUE_MAX)
		q->p[q->n++] = *p;
}

static void send_segment(struct world *w, int who, uint8_t flags, uint32_t seq, uint16_t len)
{
	struct end *e = &w->end[who];
	uint32_t window = flags & Y || !e->scaled ? e->room : e->room >> e->shift;
	struct fq_pkt p = {.tcp_flags = flags,
			   .tcp = {.seq = seq,
				   .ack = flags & A ? e->expected : 0,
				   .window = window > 0xffff ? 0xffff : (uint16_t)window,
				   .len = len,
				   .wscale = e->shift}};

	queue_put(&w->before[who], &p);
}

static void send_ack(struct world *w, int who)
{
	send_segment(w, who, A, w->end[who].next, 0);
}

static void send_reset(struct world *w, int who, const struct fq_pkt *about)
{
	uint32_t end = about->tcp.seq + about->tcp.len + !!(about->tcp_flags & Y) +
		       !!(about->tcp_flags & F);
	struct fq_pkt p = {.tcp_flags = R | A, .tcp = {.ack = end}};

	if (about->tcp_flags & A)
		p = (struct fq_pkt){.tcp_flags = R, .tcp = {.seq = about->tcp.ack}};
	queue_put(&w->before[who], &p);
}

void end_send_syn(struct world *w, int who)
{
	struct end *e = &w->end[who];

	send_segment(w, who, e->stage == SYN_SENT ? Y : Y | A, e->first, 0);
}

/* Whatever has not been acknowledged, from its beginning on. */
void end_send_again(struct world *w, int who)
{
	struct end *e = &w->end[who];
	uint32_t data = e->next - e->una - e->fin;

	if (e->stage == SYN_SENT || e->stage == SYN_RECEIVED) {
		end_send_syn(w, who);
	} else if (e->stage == OPEN && e->una == e->next) {
		send_segment(w, who, A, e->next - 1, 0); /* keepalive */
	} else if (e->stage == OPEN) {
		bool last = e->fin && e->una == e->fin_at;
		uint32_t len = last ? 0 : data > 1400 ? 1400 : data;

		last |= e->fin && len == data;
		send_segment(w, who, last ? F | A : A, e->una, (uint16_t)len);
	}
}

static void end_open(struct end *e, const struct fq_pkt *p)
{
	e->stage = OPEN;
	e->una = p->tcp.ack;
}

static void heard_syn(struct end *e, const struct fq_pkt *p)
{
	e->expected = p->tcp.seq + 1;
	e->peer_shift = p->tcp.wscale;
	e->scaled = e->shift != TCP_WSCALE_NONE && p->tcp.wscale != TCP_WSCALE_NONE;
	e->peer_room = p->tcp.window;
}

static void in_syn_sent(struct world *w, int who, const struct fq_pkt *p)
{
	struct end *e = &w->end[who];

	if ((p->tcp_flags & A) && p->tcp.ack != e->first + 1) {
		if (!(p->tcp_flags & R))
			send_reset(w, who, p);
	} else if (p->tcp_flags & R) {
		if (p->tcp_flags & A)
			e->stage = GONE;
	} else if (p->tcp_flags & Y) {
		heard_syn(e, p);
		e->stage = SYN_RECEIVED;
		if (p->tcp_flags & A) {
			end_open(e, p);
			send_ack(w, who);
		} else {
			end_send_syn(w, who);
		}
	}
}

/* RFC 9293 3.10.7.4 with RFC 5961: only what comes in order is taken. */
static void in_open(struct world *w, int who, const struct fq_pkt *p)
{
	struct end *e = &w->end[who];
	uint32_t ahead = p->tcp.seq - e->expected;

	if (p->tcp_flags & R) {
		if (ahead == 0)
			e->stage = GONE;
		else if (ahead < e->room)
			send_ack(w, who);
		return;
	}
	if (p->tcp_flags & Y) {
		if (e->stage == SYN_RECEIVED)
			end_send_syn(w, who);
		else
			send_ack(w, who);
		if (!(p->tcp_flags & A) || e->stage == OPEN || p->tcp.ack != e->first + 1)
			return;
	}
	if (!(p->tcp_flags & A))
		return;
	if (e->next - p->tcp.ack > e->next - e->una) {
		send_ack(w, who);
		return;
	}
	e->una = p->tcp.ack;
	if (e->stage == SYN_RECEIVED)
		e->stage = OPEN;
	if (p->tcp_flags & Y)
		return;
	e->peer_room = (uint32_t)p->tcp.window << (e->scaled ? e->peer_shift : 0);
	if (ahead == 0 && !e->fin_received) {
		e->expected += p->tcp.len + !!(p->tcp_flags & F);
		e->fin_received = p->tcp_flags & F;
	}
	if (ahead || p->tcp.len || (p->tcp_flags & F))
		send_ack(w, who);
}

void end_receive(struct world *w, int who, const struct fq_pkt *p)
{
	struct end *e = &w->end[who];

	switch (e->stage) {
	case LISTENING:
		if ((p->tcp_flags & (Y | A | R)) == Y) {
			heard_syn(e, p);
			e->stage = SYN_RECEIVED;
			end_send_syn(w, who);
		} else if (!(p->tcp_flags & R)) {
			send_reset(w, who, p);
		}
		break;
	case SYN_SENT:
		in_syn_sent(w, who, p);
		break;
	case GONE:
		if (!(p->tcp_flags & R))
			send_reset(w, who, p);
		break;
	default:
		in_open(w, who, p);
	}
}

void end_abort(struct world *w, int who)
{
	struct end *e = &w->end[who];

	if (e->stage != OPEN && e->stage != SYN_RECEIVED)
		return;
	send_segment(w, who, R | A, e->next, 0);
	e->stage = GONE;
}

void end_close(struct world *w, int who)
{
	struct end *e = &w->end[who];

	if (e->stage != OPEN || e->fin)
		return;
	e->fin = true;
	e->fin_at = e->next++;
	send_segment(w, who, F | A, e->fin_at, 0);
}

void end_write(struct world *w, int who)
{
	struct end *e = &w->end[who];
	uint32_t in_flight = e->next - e->una, len = 1 + world_random(w, 1400);

	if (e->stage != OPEN || e->fin || in_flight + len > e->peer_room)
		return;
	send_segment(w, who, A, e->next, (uint16_t)len);
	e->next += len;
}
