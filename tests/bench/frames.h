/* SPDX-License-Identifier: BSD-2-Clause */
/* The frames of the benchmark, by what they are for; the flow's numbers are filled in by
 * bench.bpf.c. */
#pragma once

#include <stdbool.h>

#include "plan.h"

enum frame_kind {
	FRAME_OUT4, /* client to proxy address, UDP */
	FRAME_IN4,  /* real address to NAT address */
	FRAME_OUT6,
	FRAME_IN6,
	FRAME_OUT46, /* to an IPv4 proxy address of an IPv6 server */
	FRAME_IN46,
	FRAME_OUT64,
	FRAME_IN64,
	FRAME_OUT_FAR, /* IPv4, to a proxy address of a gateway elsewhere */
	FRAME_IN_FAR,
	FRAME_SYN, /* a TCP handshake over IPv4, */
	FRAME_SYN_ACK,
	FRAME_ACK_OUT, /* the end of it, which may be repeated */
	FRAME_ACK_IN,
	FRAME_TAYGA,   /* as OUT64, to the same server behind tayga's prefix */
	FRAME_REFUSED, /* as OUT4, of other ports, to one that the resource's filter denies */
	FRAME_KINDS,
};

enum bench_layout frame_layout(enum frame_kind kind);
unsigned int frame_len(enum frame_kind kind);
bool frame_is_out(enum frame_kind kind);

/* The whole frame of flow 0 (UDP over IPv4) with a mark: the far end sends it back. */
void frame_echo(enum frame_kind kind, unsigned char ret_frame[BENCH_LEN4]);

/* The frame of flow 0, with checksum fields of zero, and the sums that the program completes. */
void frame_template(enum frame_kind kind, struct bench_template *ret_template);
