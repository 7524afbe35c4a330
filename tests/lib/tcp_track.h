/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs' judgement of a TCP segment without the programs: as session_count calls it. */
#pragma once

#include <netinet/in.h>

#include "dataplane/expiry.h"

#include "../../bpf/tcp.h"
#include "pkt.h"

/* One direction's entry; zero but for its direction to begin with. */
struct tcp_half {
	struct fq_slot slot;
	struct fq_cold cold;
};

static inline void tcp_halves(struct tcp_half side[2])
{
	side[FQ_DIR_OUT] = (struct tcp_half){0};
	side[FQ_DIR_IN] = (struct tcp_half){.slot.kind = TABLE_KIND_IN};
}

/* @side: the entries, by enum fq_dir. Return: whether the segment keeps the session. */
static inline bool tcp_track(struct tcp_half side[2], uint8_t dir, const struct fq_pkt *p)
{
	const struct tcp_end own = {&side[dir].slot, &side[dir].cold};
	const struct tcp_end peer = {&side[!dir].slot, &side[!dir].cold};

	if (tcp_needs_peer(own.s->tcp_seen, p->tcp_flags))
		return tcp_note(&own, &peer, p);
	tcp_advance(own.s, p, false);
	return true;
}

/* As user space sees it. */
static inline enum session_state tcp_state_of(const struct tcp_half side[2])
{
	const struct session_entry out = {.tcp_seen = side[FQ_DIR_OUT].slot.tcp_seen};
	const struct session_entry in = {.tcp_seen = side[FQ_DIR_IN].slot.tcp_seen};

	return session_state(&out, &in, IPPROTO_TCP);
}
