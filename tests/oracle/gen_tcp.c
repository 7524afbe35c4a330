/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of a connection: what would come next in it, and numbers about the borders of what is
 * believed; see gen.h.
 */
#include "gen.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };

/* Beside a border, most often on it. */
static uint32_t near(struct gen *g, uint32_t n)
{
	static const int32_t steps[] = {1,       -1,      2,          -2,
					65535,   -65535,  65536,      -65536,
					65537,   1 << 26, -(1 << 26), (1 << 26) + 1,
					1000000, -100000, 1 << 30,    0x7fffffff};

	if (gen_once_in(g, 40))
		return pkt_random(&g->rng);
	return gen_below(g, 3) ? n : n + steps[gen_below(g, sizeof(steps) / sizeof(steps[0]))];
}

/* Where its sender is, or what the other one expects. */
static uint32_t pick_seq(struct gen *g, const struct orc_tcp_end *own,
			 const struct orc_tcp_end *other)
{
	const uint32_t places[] = {own->acknowledged ? own->next : own->syn_end,
				   own->syn_end,
				   own->syn_end - 1,
				   other->ack,
				   other->edge,
				   own->next};

	return near(g, places[gen_once_in(g, 3) ? gen_below(g, 6) : 0]);
}

static uint32_t pick_ack(struct gen *g, const struct orc_tcp_end *own,
			 const struct orc_tcp_end *other)
{
	const uint32_t places[] = {other->acknowledged ? other->next : other->syn_end,
				   other->syn_end,
				   own->ack,
				   own->edge,
				   other->syn_end - other->syn_len,
				   other->next};

	return near(g, places[gen_once_in(g, 3) ? gen_below(g, 6) : 0]);
}

/* What would come next. */
static uint8_t pick_flags(struct gen *g, const struct orc_tcp_end *own,
			  const struct orc_tcp_end *other)
{
	static const uint8_t open[] = {ACK, ACK, ACK | PSH, ACK, FIN | ACK, RST, RST | ACK, SYN};

	if (!own->syn && other->syn)
		return SYN | (gen_once_in(g, 6) ? 0 : ACK);
	if (!own->syn && !own->acknowledged && gen_once_in(g, 2))
		return SYN;
	return open[gen_below(g, sizeof(open))];
}

void gen_tcp(struct gen *g, const struct orc_flow *f, enum fq_dir dir, struct pkt_spec *s)
{
	static const uint16_t windows[] = {0, 1, 64240, 65535, 1000};
	const struct orc_tcp_end *own = &f->end[dir], *other = &f->end[!dir];

	if (s->proto != PKT_TCP || gen_once_in(g, 8))
		return;
	if (!gen_once_in(g, 6))
		s->tcp_flags = pick_flags(g, own, other);
	s->tcp_seq = pick_seq(g, own, other);
	s->tcp_ack = s->tcp_flags & ACK || gen_once_in(g, 8) ? pick_ack(g, own, other) : 0;
	s->tcp_window = windows[gen_below(g, 5)];
}
