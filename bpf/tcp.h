/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a segment says about its connection: opening, open, closing, reset.
 *
 * Pure: no helper, no map; compiled for BPF and natively. It judges states, never packets: every
 * segment is translated, whatever comes out here (RFC 7857 2.2).
 *
 * Each direction's entry keeps what its sender has told: what it has acknowledged, up to where the
 * other one may send, where it is itself, its last SYN. A server's FIN and RST are measured by its
 * client's entry, a client's by its own: a forger outside can write into neither. Ordinary segments
 * touch their own entry alone; the other one is looked at for SYN, FIN, RST, the first of a
 * direction and the first after a reset (tcp_needs_peer).
 *
 * RFC 9293, 5961, 7323 2, 7413, 6191, 5382 (REQ-2, 5), 7857 2. Statements N-06, N-10.
 */
#pragma once

#include <fqdnat/session.h>

#include "pkt.h"

#define TCP_WSCALE_MAX  14   /* RFC 7323 2.3 */
#define TCP_WSCALE_NONE 0xff /* no such option */
#define TCP_OPTIONS_MAX 40
#define TCP_SCALE_TRIES 8 /* to change a shift, against other CPUs */

#define TCP_OPT_END    0
#define TCP_OPT_NOP    1
#define TCP_OPT_WSCALE 3

/*
 * What is this far behind is no late segment but shows that we are on the wrong track (a forger has
 * led us there, or a connection has begun that we have not seen): then it is believed.
 */
#define TCP_LATE_MAX (1 << 26)

/* How far a sender may have got before the other side's first acknowledgement has passed. */
#define TCP_UNACKED_MAX 0xffff

#define TCP_ENDS (FQ_TCP_FIN | FQ_TCP_RST)

/*
 * One option of a SYN: its length, and above that byte the shift it asks for.
 *
 * @opt: where it begins
 * @end: of the frame; the header has been found to end before
 *
 * Return: 0 if there are no more; TCP_WSCALE_NONE << 8 | length if it is another option.
 */
fq_inline __u32 tcp_option(const __u8 *opt, const void *end)
{
	if ((const void *)(opt + 1) > end || opt[0] == TCP_OPT_END)
		return 0;
	if (opt[0] == TCP_OPT_NOP)
		return TCP_WSCALE_NONE << 8 | 1;
	if ((const void *)(opt + 2) > end || opt[1] < 2)
		return 0;
	if (opt[0] != TCP_OPT_WSCALE || opt[1] != 3 || (const void *)(opt + 3) > end)
		return TCP_WSCALE_NONE << 8 | opt[1];
	return (opt[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : opt[2]) << 8 | 3;
}

/* One direction of a connection. */
struct tcp_end {
	struct fq_slot *s;
	struct fq_cold *c;
};

fq_inline __u8 tcp_seen(const struct tcp_end *e)
{
	return READ_ONCE(e->s->tcp_seen);
}

/* tcp_seen and the shift in the 32-bit word around them, which is changed atomically. */
fq_inline __u32 tcp_word(__u8 flags, __u8 shift)
{
	union {
		__u8 b[4];
		__u32 w;
	} word = {.b = {0, flags, 0, shift}};

	_Static_assert(offsetof(struct fq_slot, tcp_seen) % 4 == 1, "tcp_seen is byte 1");
	_Static_assert(offsetof(struct fq_slot, wscale) % 4 == 3, "wscale is byte 3");
	return word.w;
}

fq_inline void tcp_seen_set(struct fq_slot *s, __u8 flags)
{
	if (flags & ~READ_ONCE(s->tcp_seen))
		__sync_fetch_and_or(&s->word, tcp_word(flags, 0));
}

/* A tuple that a local socket has taken over is not given back. */
fq_inline void tcp_seen_clear(struct fq_slot *s, __u8 flags)
{
	__u8 seen = READ_ONCE(s->tcp_seen);

	if ((flags & seen) && !(seen & FQ_TCP_LOCAL))
		__sync_fetch_and_and(&s->word, ~tcp_word(flags, 0));
}

/* Who loses that often loses to CPUs that see the same connection: theirs is as good. */
fq_inline void tcp_set_scale(struct fq_slot *s, __u8 shift)
{
	for (int i = 0; i < TCP_SCALE_TRIES && READ_ONCE(s->wscale) != shift; i++) {
		__u32 have = READ_ONCE(s->word);
		__u32 want = (have & ~tcp_word(0, 0xff)) | tcp_word(0, shift);

		__sync_val_compare_and_swap(&s->word, have, want);
	}
}

/* From @lo to @hi, both inclusive, around the end of the number space. */
fq_inline bool tcp_between(__u32 n, __u32 lo, __u32 hi)
{
	return n - lo <= hi - lo;
}

fq_inline bool tcp_is_news(__u32 n, __u32 last)
{
	__s32 ahead = n - last;

	return ahead > 0 || ahead < -TCP_LATE_MAX;
}

/* Ended for both: a SYN now opens a new connection (RFC 9293 3.6.1, RFC 6191). */
fq_inline bool tcp_ended(__u8 a, __u8 b)
{
	return a & b & TCP_ENDS;
}

fq_inline bool tcp_open(__u8 a, __u8 b)
{
	return a & b & FQ_TCP_ACK;
}

fq_inline void tcp_move(__u32 *to, __u32 n, bool first)
{
	if (first || tcp_is_news(n, READ_ONCE(*to)))
		WRITE_ONCE(*to, n);
}

/* How far a segment with an acknowledgement shows its sender to be. */
fq_inline void tcp_advance(struct fq_slot *own, const struct fq_pkt *p, bool first)
{
	__u8 shift = p->tcp_flags & FQ_TCP_SYN ? 0 : READ_ONCE(own->wscale);

	tcp_move(&own->tcp.ack, p->tcp.ack, first);
	tcp_move(&own->tcp.edge, p->tcp.ack + ((__u32)p->tcp.window << (shift & 15)), first);
	tcp_move(&own->tcp.next, p->tcp.seq + p->tcp.len, first);
}

/* Where the next segment to @peer may be. Return: false: nowhere. */
fq_inline bool tcp_window(const struct tcp_end *own, const struct tcp_end *peer, __u32 *ret_lo,
			  __u32 *ret_hi)
{
	__u8 seen = tcp_seen(peer);
	__u32 right = READ_ONCE(peer->s->tcp.edge);

	if (seen & FQ_TCP_ACK) {
		*ret_lo = READ_ONCE(peer->s->tcp.ack);
		*ret_hi = (__s32)(right - *ret_lo) > 0 ? right : *ret_lo;
		return true;
	}
	if (seen & FQ_TCP_SYN) {
		*ret_lo = READ_ONCE(own->c->syn_end);
		*ret_hi = *ret_lo + TCP_UNACKED_MAX;
		return tcp_seen(own) & FQ_TCP_SYN;
	}
	/* It has not been heard of since we have joined. */
	*ret_lo = 0;
	*ret_hi = ~0U;
	return true;
}

/*
 * Is a client where it was? Its own entry is beyond the reach of forgers outside, which what its
 * server has acknowledged is not: that only tells how far a client may have fallen back.
 */
fq_inline bool tcp_goes_on(const struct tcp_end *own, const struct tcp_end *peer, __u32 seq)
{
	bool open = tcp_seen(own) & FQ_TCP_ACK;
	__u32 next = open ? READ_ONCE(own->s->tcp.next) : own->c->syn_end;
	__u32 back = 0;

	if (tcp_seen(peer) & FQ_TCP_ACK)
		back = next - READ_ONCE(peer->s->tcp.ack);
	if (back < TCP_UNACKED_MAX || back > TCP_LATE_MAX)
		back = TCP_UNACKED_MAX;
	return tcp_between(seq, next - back, next + TCP_UNACKED_MAX);
}

/* Is this number one that the other side expects, or @before one that it has had? */
fq_inline bool tcp_expected(const struct tcp_end *own, const struct tcp_end *peer, __u32 seq,
			    __u32 before)
{
	__u32 lo, hi;

	if (!(own->s->kind & TABLE_KIND_IN) && (tcp_seen(own) & (FQ_TCP_SYN | FQ_TCP_ACK)))
		return tcp_goes_on(own, peer, seq);
	return tcp_window(own, peer, &lo, &hi) && (tcp_between(seq, lo, hi) || seq + before == lo);
}

/* Does @ack acknowledge the last SYN of @peer, with or without the data in it (RFC 7413)? */
fq_inline bool tcp_answers_syn(const struct tcp_end *peer, const struct fq_pkt *p)
{
	return (p->tcp_flags & FQ_TCP_ACK) && (tcp_seen(peer) & FQ_TCP_SYN) &&
	       READ_ONCE(peer->c->syn_end) - p->tcp.ack <= READ_ONCE(peer->c->syn_len);
}

/* Scaled in both directions or in none (RFC 7323 2.2). */
fq_inline void tcp_settle_scale(const struct tcp_end *a, const struct tcp_end *b)
{
	bool both = a->c->syn_wscale != TCP_WSCALE_NONE && b->c->syn_wscale != TCP_WSCALE_NONE;

	tcp_set_scale(a->s, both ? a->c->syn_wscale : 0);
	tcp_set_scale(b->s, both ? b->c->syn_wscale : 0);
}

fq_inline __u32 tcp_syn_end(const struct fq_pkt *p)
{
	return p->tcp.seq + 1 + p->tcp.len;
}

fq_inline void tcp_keep_syn(const struct tcp_end *own, const struct fq_pkt *p)
{
	own->c->syn_end = tcp_syn_end(p);
	own->c->syn_len = p->tcp.len;
	own->c->syn_wscale = p->tcp.wscale;
	own->c->syn_pending = 1;
	tcp_seen_set(own->s, FQ_TCP_SYN);
}

/* Another connection on the same tuple. */
fq_inline void tcp_restart(const struct tcp_end *own, const struct tcp_end *peer, __u8 own_seen,
			   __u8 peer_seen)
{
	const __u8 all = FQ_TCP_SYN | FQ_TCP_ACK | TCP_ENDS;

	tcp_seen_set(own->s, own_seen);
	tcp_seen_clear(own->s, all & ~own_seen);
	tcp_seen_set(peer->s, peer_seen);
	tcp_seen_clear(peer->s, all & ~peer_seen);
}

/*
 * SYN without ACK. The client opens a connection where there is none (any more), and may begin
 * anew until it is open. Any other SYN may be a forger's, or of an end that has lost its memory:
 * whether it is good, the answer tells (RFC 5961 4: SYN-ACK, or a challenge and then a RST).
 */
fq_inline void tcp_syn(const struct tcp_end *own, const struct tcp_end *peer,
		       const struct fq_pkt *p)
{
	__u8 mine = tcp_seen(own), other = tcp_seen(peer);
	bool again = (mine & FQ_TCP_SYN) && READ_ONCE(own->c->syn_end) == tcp_syn_end(p);
	bool client = !(own->s->kind & TABLE_KIND_IN), ended = tcp_ended(mine, other);

	if (client && ((mine & other & FQ_TCP_RST) ||
		       (!again && (ended || (!tcp_open(mine, other) && (mine || !other)))))) {
		tcp_keep_syn(own, p);
		tcp_restart(own, peer, FQ_TCP_SYN, 0);
	} else if (!(mine & (FQ_TCP_SYN | FQ_TCP_ACK)) && (other & FQ_TCP_SYN)) {
		/* both open it at once */
		tcp_keep_syn(own, p);
		tcp_settle_scale(own, peer);
	} else if (client || ended) {
		tcp_keep_syn(own, p);
	}
}

/* SYN with ACK. If it answers a SYN, that one has been accepted, whatever there was before. */
fq_inline void tcp_syn_ack(const struct tcp_end *own, const struct tcp_end *peer,
			   const struct fq_pkt *p)
{
	__u8 mine = tcp_seen(own);
	bool again = (mine & FQ_TCP_SYN) && READ_ONCE(own->c->syn_end) == tcp_syn_end(p);

	if (!tcp_answers_syn(peer, p))
		return;
	peer->c->syn_pending = 0;
	if (!again) {
		tcp_keep_syn(own, p);
		tcp_settle_scale(own, peer);
		tcp_restart(own, peer, FQ_TCP_SYN | FQ_TCP_ACK, FQ_TCP_SYN);
	}
	tcp_advance(own->s, p, !again || !(mine & FQ_TCP_ACK));
	tcp_seen_set(own->s, FQ_TCP_ACK);
}

/*
 * A reset is noted in both directions, and is over when either goes on: one that was forged within
 * the window is contradicted by the challenge that it provokes (RFC 5961 3.2).
 *
 * Return: whether it is believed, and news.
 */
fq_inline bool tcp_reset(const struct tcp_end *own, const struct tcp_end *peer,
			 const struct fq_pkt *p)
{
	bool refused = peer->c->syn_pending && tcp_answers_syn(peer, p);

	if (!refused && !tcp_expected(own, peer, p->tcp.seq, 0))
		return false;
	if (tcp_seen(own) & tcp_seen(peer) & FQ_TCP_RST)
		return false;
	tcp_seen_set(own->s, FQ_TCP_RST);
	tcp_seen_set(peer->s, FQ_TCP_RST);
	return true;
}

/*
 * The first segment without SYN. Who has sent one has been answered; who has not can only be in
 * the middle of a connection, which no answer to a SYN is. Its scale has not been seen there.
 */
fq_inline void tcp_first(const struct tcp_end *own, const struct tcp_end *peer,
			 const struct fq_pkt *p)
{
	__u8 mine = tcp_seen(own), other = tcp_seen(peer);

	if (!(p->tcp_flags & FQ_TCP_ACK))
		return;
	if (!(mine & FQ_TCP_SYN)) {
		if ((other & FQ_TCP_SYN) && !(other & FQ_TCP_ACK))
			return;
		tcp_set_scale(own->s, TCP_WSCALE_MAX);
	}
	tcp_advance(own->s, p, true);
	tcp_seen_set(own->s, FQ_TCP_ACK);
}

/* Does this segment need more than tcp_advance? @seen: of its direction */
fq_inline bool tcp_needs_peer(__u8 seen, __u8 flags)
{
	return (flags & (FQ_TCP_SYN | TCP_ENDS)) || !(flags & seen & FQ_TCP_ACK) ||
	       (seen & FQ_TCP_RST);
}

/*
 * Note a segment that needs it.
 *
 * @own, @peer: the entries of its direction and of the other one
 *
 * Return: whether it keeps the session (RFC 7857 7.1: a RST does not, except that the time of a
 * reset session begins with it).
 */
fq_inline bool tcp_note(const struct tcp_end *own, const struct tcp_end *peer,
			const struct fq_pkt *p)
{
	__u32 end = p->tcp.seq + p->tcp.len;
	bool believed;

	if (p->tcp_flags & FQ_TCP_RST)
		return tcp_reset(own, peer, p);
	if (p->tcp_flags & FQ_TCP_SYN) {
		if (p->tcp_flags & FQ_TCP_ACK)
			tcp_syn_ack(own, peer, p);
		else
			tcp_syn(own, peer, p);
		return true;
	}
	/* One before is a keepalive (RFC 9293 3.8.4). */
	believed = tcp_expected(own, peer, end, 1);
	if (!(tcp_seen(own) & FQ_TCP_ACK))
		tcp_first(own, peer, p);
	else if (p->tcp_flags & FQ_TCP_ACK)
		tcp_advance(own->s, p, false);
	if (believed) {
		tcp_seen_clear(own->s, FQ_TCP_RST);
		if (p->tcp_flags & FQ_TCP_FIN)
			tcp_seen_set(own->s, FQ_TCP_FIN);
	}
	return true;
}
