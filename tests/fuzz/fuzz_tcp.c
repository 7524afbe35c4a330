/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection between any two: after each of its segments the programs' picture (bpf/tcp.h) is the
 * oracle's, which is of another make (tests/oracle/oracle_tcp.c).
 *
 * A segment is eight bytes and its options: direction and flags, where its numbers are from, how
 * far from there, the window, its data, the options' length.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_tcp.c tests/oracle/...
 *	fuzz_tcp tests/fuzz/corpus/tcp
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/parse.h"
#include "../../bpf/tcp.h"
#include "../lib/tcp_track.h"
#include "../oracle/oracle.h"

#define SEGMENT_LEN  8
#define SEGMENTS_MAX 64

static void require(int truth)
{
	if (!truth)
		abort();
}

/* As session_wscale looks for it. */
static uint8_t wscale_of(const uint8_t *tcp, uint32_t hlen, const uint8_t *end)
{
	uint32_t off = sizeof(struct fq_tcp);

	for (int i = 0; i < TCP_OPTIONS_MAX && off < hlen; i++) {
		uint32_t option = tcp_option(tcp + off, end);

		if (!option)
			break;
		off += option & 0xff;
		if (option >> 8 != TCP_WSCALE_NONE)
			return off > hlen ? TCP_WSCALE_NONE : option >> 8;
	}
	return TCP_WSCALE_NONE;
}

static void put32(uint8_t *at, uint32_t v)
{
	orc_put16(at, v >> 16);
	orc_put16(at + 2, v & 0xffff);
}

/* The place that a byte says, from a small to a large distance off it. */
static uint32_t number(const struct orc_tcp_end *own, const struct orc_tcp_end *other,
		       uint8_t place, uint8_t far)
{
	const uint32_t places[] = {own->next,   own->syn_end,   other->ack, other->edge,
				   other->next, other->syn_end, own->ack,   0};

	return places[place & 7] + ((uint32_t)(int8_t)far << ((place >> 3) & 31));
}

/* Return: how long the header is, at @tcp, where zeros and room for options are. */
static size_t header(uint8_t *tcp, const uint8_t *in, size_t size, const struct orc_tcp_end end[2])
{
	const uint8_t dir = in[0] >> 7;
	size_t options = (in[7] & 15) * 4;

	if (options > TCP_OPTIONS_MAX)
		options = TCP_OPTIONS_MAX;
	put32(tcp + 4, number(&end[dir], &end[!dir], in[1], in[2]));
	put32(tcp + 8, number(&end[!dir], &end[dir], in[3], in[4]));
	tcp[12] = (20 + options) / 4 << 4;
	tcp[13] = in[0] & 0x17;
	orc_put16(tcp + 14, in[5] << 8 | in[6]);
	if (size > SEGMENT_LEN)
		memcpy(tcp + 20, in + SEGMENT_LEN,
		       size - SEGMENT_LEN < options ? size - SEGMENT_LEN : options);
	return 20 + options;
}

static uint8_t flags_of(const struct orc_tcp_end *e)
{
	return e->fin * FQ_TCP_FIN | e->syn * FQ_TCP_SYN | e->rst * FQ_TCP_RST |
	       e->acknowledged * FQ_TCP_ACK;
}

/* Return: bytes of the input that it has taken. */
static size_t take(struct tcp_half side[2], struct orc_tcp_end end[2], const uint8_t *in,
		   size_t size)
{
	struct pkt frame = {0};
	struct orc_pkt p = {.frame = &frame, .kind = ORC_TCP, .l4 = 2}; /* aligned */
	uint8_t *tcp = pkt_data(&frame) + p.l4, dir = in[0] >> 7;
	size_t hlen = header(tcp, in, size, end);
	struct fq_pkt q = {0};

	p.l4_len = q.l4_len = hlen + (in[7] >> 4) * 100;
	q.tuple.proto = FQ_PROTO_TCP;
	require(parse_tcp(tcp, tcp + q.l4_len, &q) == FQ_OK);
	q.tcp.wscale = wscale_of(tcp, hlen, tcp + q.l4_len);
	require(tcp_track(side, dir, &q) == orc_tcp(end, dir, &p));
	for (int i = 0; i < 2; i++)
		require(side[i].slot.tcp_seen == flags_of(&end[i]));
	hlen -= 20;
	return SEGMENT_LEN + (size - SEGMENT_LEN < hlen ? size - SEGMENT_LEN : hlen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_half side[2];
	struct orc_tcp_end end[2] = {0};

	tcp_halves(side);
	for (int i = 0; i < SEGMENTS_MAX && size >= SEGMENT_LEN; i++) {
		size_t taken = take(side, end, data, size);

		data += taken;
		size -= taken;
	}
	return 0;
}
