/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the segments of a connection say about it: opening, established, half-closed, closing,
 * reset; and which of them keep its session (docs/packet-path.md, "TCP", "What keeps a session";
 * RFC 5382 REQ-2, REQ-5, RFC 7857 2 and 7.1, RFC 5961 3 to 5, RFC 6191, RFC 7323 2, RFC 9293).
 *
 * An end is what a sender has told about itself. Everything is asked of ends, in the words of the
 * table there: nothing is known here of entries, bits and shortcuts.
 */
#include "oracle.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

#define UNSCALED  65535     /* the largest window without scaling */
#define FORGET    (1 << 26) /* so far back is nobody's late segment: we were wrong */
#define SHIFT_MAX 14        /* RFC 7323 2.3 */

struct segment {
	uint8_t flags;
	uint32_t seq, ack, len, window;
	int shift; /* of a SYN; -1: no such option */
};

/* --- numbers (RFC 9293 3.4: modulo 2^32) --------------------------------------------------------
 */

static uint32_t from_to(uint32_t from, uint32_t to)
{
	return to - from;
}

static bool within(uint32_t n, uint32_t first, uint32_t last)
{
	return from_to(first, n) <= from_to(first, last);
}

/* The greater of two; of one that is too far behind the other the new one is right. */
static void raise(uint32_t *number, uint32_t to)
{
	bool ahead = from_to(*number, to) < 1U << 31;

	if (ahead || from_to(to, *number) > FORGET)
		*number = to;
}

/* --- segments -----------------------------------------------------------------------------------
 */

/* RFC 7323 2.2; an option that the header cuts off is none. */
static int shift_of(const uint8_t *at, const uint8_t *end)
{
	while (at < end && at[0] != 0) {
		if (at[0] == 1) {
			at++;
			continue;
		}
		if (at + 2 > end || at[1] < 2)
			return -1;
		if (at[0] == 3 && at[1] == 3 && at + 3 <= end)
			return at[2] < SHIFT_MAX ? at[2] : SHIFT_MAX;
		at += at[1];
	}
	return -1;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)orc_get16(at) << 16 | orc_get16(at + 2);
}

static struct segment segment_of(const struct orc_pkt *p)
{
	const uint8_t *tcp = pkt_data(p->frame) + p->l4;
	size_t hlen = (tcp[12] >> 4) * 4;

	return (struct segment){
		.flags = tcp[13] & (FIN | SYN | RST | ACK),
		.seq = get32(tcp + 4),
		.ack = get32(tcp + 8),
		.len = p->l4_len - hlen,
		.window = orc_get16(tcp + 14),
		.shift = tcp[13] & SYN ? shift_of(tcp + 20, tcp + hlen) : -1,
	};
}

/* --- ends ---------------------------------------------------------------------------------------
 */

static void tell(struct orc_tcp_end *e, const struct segment *s, bool first)
{
	uint32_t window = s->flags & SYN ? s->window : s->window << e->shift;
	uint32_t edge = s->ack + window, next = s->seq + s->len;

	if (first) {
		e->ack = s->ack;
		e->edge = edge;
		e->next = next;
	} else {
		raise(&e->ack, s->ack);
		raise(&e->edge, edge);
		raise(&e->next, next);
	}
	e->acknowledged = true;
}

/* The number behind a SYN, and what it carries (RFC 7413). */
static uint32_t behind_syn(const struct segment *s)
{
	return s->seq + 1 + s->len;
}

static bool said_that_syn(const struct orc_tcp_end *e, const struct segment *s)
{
	return e->syn && e->syn_end == behind_syn(s);
}

static void keep_in_mind(struct orc_tcp_end *e, const struct segment *s)
{
	e->syn = e->syn_open = true;
	e->syn_end = behind_syn(s);
	e->syn_len = s->len;
	e->syn_shift = s->shift;
}

/* Both or neither. */
static void agree_on_scale(struct orc_tcp_end *a, struct orc_tcp_end *b)
{
	bool both = a->syn_shift >= 0 && b->syn_shift >= 0;

	a->shift = both ? a->syn_shift : 0;
	b->shift = both ? b->syn_shift : 0;
}

/* A new connection: what is known of the old one is no more. Numbers stay, nobody asks for them. */
static void begin(struct orc_tcp_end *e, bool syn, bool acknowledged)
{
	e->syn = syn;
	e->acknowledged = acknowledged;
	e->fin = e->rst = false;
}

static bool has_said_its_end(const struct orc_tcp_end *e)
{
	return e->fin || e->rst;
}

/* With the data in it, without, or with a part of it. */
static bool answers_syn(const struct segment *s, const struct orc_tcp_end *e)
{
	return (s->flags & ACK) && e->syn && within(s->ack, e->syn_end - e->syn_len, e->syn_end);
}

/* --- what is expected ---------------------------------------------------------------------------
 */

/* Of a client: where it is, or not further back than its server has acknowledged. */
static bool client_may_be_at(const struct orc_tcp_end *client, const struct orc_tcp_end *server,
			     uint32_t n)
{
	uint32_t at = client->acknowledged ? client->next : client->syn_end;
	uint32_t back = server->acknowledged ? from_to(server->ack, at) : 0;

	if (back < UNSCALED || back > FORGET)
		back = UNSCALED;
	return within(n, at - back, at + UNSCALED);
}

/* What the other one has offered. Who has not acknowledged yet offers as much as he can unscaled.
 */
static bool is_in_window(const struct orc_tcp_end *own, const struct orc_tcp_end *other, uint32_t n,
			 bool keepalive)
{
	uint32_t left = own->syn_end, right = left + UNSCALED;

	if (!other->acknowledged && !other->syn) /* not heard of since we have joined */
		return true;
	if (!other->acknowledged && !own->syn)
		return false;
	if (other->acknowledged) {
		left = other->ack;
		right = from_to(left, other->edge) < 1U << 31 ? other->edge : left;
	}
	return within(n, left, right) || (keepalive && n + 1 == left);
}

static bool is_expected(const struct orc_tcp_end end[2], enum fq_dir dir, uint32_t n,
			bool keepalive)
{
	const struct orc_tcp_end *own = &end[dir], *other = &end[!dir];

	if (dir == FQ_DIR_OUT && (own->syn || own->acknowledged))
		return client_may_be_at(own, other, n);
	return is_in_window(own, other, n, keepalive);
}

/* --- the table ----------------------------------------------------------------------------------
 */

/* Return: the session is kept (RFC 7857 7.1): the time of a reset one begins with it. */
static bool reset(struct orc_tcp_end end[2], enum fq_dir dir, const struct segment *s)
{
	bool refuses = end[!dir].syn_open && answers_syn(s, &end[!dir]);

	if (!refuses && !is_expected(end, dir, s->seq, false))
		return false;
	if (end[dir].rst && end[!dir].rst)
		return false;
	end[dir].rst = end[!dir].rst = true;
	return true;
}

static void open_or_keep(struct orc_tcp_end end[2], enum fq_dir dir, const struct segment *s)
{
	struct orc_tcp_end *own = &end[dir], *other = &end[!dir];
	bool client = dir == FQ_DIR_OUT, again = said_that_syn(own, s);
	bool was_reset = own->rst && other->rst;
	bool ended_alike = was_reset || (own->fin && other->fin);
	bool open = own->acknowledged && other->acknowledged;
	bool fresh = !own->syn && !own->acknowledged && !has_said_its_end(own);
	bool unheard = !other->syn && !other->acknowledged && !has_said_its_end(other);

	if (client && (was_reset || (!again && (ended_alike || (!open && (!fresh || unheard)))))) {
		keep_in_mind(own, s);
		begin(own, true, false);
		begin(other, false, false);
	} else if (!own->syn && !own->acknowledged && other->syn) { /* both at once */
		keep_in_mind(own, s);
		agree_on_scale(own, other);
	} else if (client || ended_alike) {
		keep_in_mind(own, s);
	}
}

static void accept(struct orc_tcp_end end[2], enum fq_dir dir, const struct segment *s)
{
	struct orc_tcp_end *own = &end[dir], *other = &end[!dir];
	bool again = said_that_syn(own, s);

	if (!answers_syn(s, other))
		return;
	other->syn_open = false;
	if (!again) {
		keep_in_mind(own, s);
		agree_on_scale(own, other);
		begin(own, true, false);
		begin(other, true, false);
	}
	tell(own, s, !own->acknowledged);
}

static void go_on(struct orc_tcp_end end[2], enum fq_dir dir, const struct segment *s)
{
	struct orc_tcp_end *own = &end[dir], *other = &end[!dir];
	bool believed = is_expected(end, dir, s->seq + s->len, true);
	bool first = !own->acknowledged;
	/* Who has not said a SYN is in the midst of a connection, which none of SYNs is. */
	bool misplaced = first && !own->syn && other->syn && !other->acknowledged;

	if ((s->flags & ACK) && !misplaced) {
		if (first && !own->syn)
			own->shift = SHIFT_MAX;
		tell(own, s, first);
	}
	if (believed) {
		own->rst = false;
		own->fin |= s->flags & FIN;
	}
}

/* A segment of the session on its way. Return: it keeps the session. */
bool orc_tcp(struct orc_tcp_end end[2], enum fq_dir dir, const struct orc_pkt *p)
{
	const struct segment s = segment_of(p);

	if (s.flags & RST)
		return reset(end, dir, &s);
	if ((s.flags & (SYN | ACK)) == (SYN | ACK))
		accept(end, dir, &s);
	else if (s.flags & SYN)
		open_or_keep(end, dir, &s);
	else
		go_on(end, dir, &s);
	return true;
}

/* RFC 5382 REQ-5, RFC 7857 2: what is kept for how long. */
enum orc_tcp_state orc_tcp_state(const struct orc_tcp_end end[2])
{
	if (end[0].rst && end[1].rst)
		return ORC_TCP_RESET;
	if (end[0].fin && end[1].fin)
		return ORC_TCP_CLOSING;
	if (!end[0].acknowledged || !end[1].acknowledged)
		return ORC_TCP_OPENING;
	return end[0].fin || end[1].fin ? ORC_TCP_HALF_CLOSED : ORC_TCP_ESTABLISHED;
}
