/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs' judgement of a TCP segment without the programs: as session_count calls it. */
#pragma once

#include <netinet/in.h>

#include "dataplane/expiry.h"

#include "../../bpf/tcp.h"
#include "pkt.h"

/* @side: the entries, by enum fq_dir. Return: whether the segment keeps the session. */
static inline bool tcp_track(struct fq_session side[2], uint8_t dir, const struct fq_pkt *p)
{
	if (tcp_needs_peer(side[dir].tcp_seen, p->tcp_flags))
		return tcp_note(&side[dir], &side[!dir], p);
	tcp_advance(&side[dir], p, false);
	return true;
}
