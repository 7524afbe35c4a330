/* SPDX-License-Identifier: BSD-2-Clause */
/* What the edge's and the gateway's control messages have in common: epochs, and counters. */
#include <errno.h>
#include <time.h>

#include "daemon/daemon.h"

int control_epoch(struct daemon *d, uint64_t *ret_epoch)
{
	struct timespec now;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	r = store_epoch(d->store, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
			ret_epoch);
	return r < 0 ? r : store_commit(d->store);
}

static void add(struct control_told *sum, const struct control_udp_counters *c)
{
	sum->count[FQ_R_CONTROL_FORGED] += c->forged;
	sum->count[FQ_R_CONTROL_REPLAYED] += c->replayed;
	sum->count[FQ_R_CONTROL_STALE_EPOCH] += c->stale_epoch;
	sum->count[FQ_R_CONTROL_MALFORMED] +=
		c->malformed + c->undersized + c->oversized + c->misdirected;
	sum->count[FQ_R_CONTROL_UNKNOWN_EVENT] += c->unknown_event;
	sum->count[FQ_R_CONTROL_LIMITED] += c->limited;
}

static void add_peer(struct control_told *sum, const struct control_udp *udp, uint32_t id)
{
	struct control_udp_view view;

	if (udp && control_udp_view(udp, id, &view) == 0)
		add(sum, &view.counters);
}

static void add_totals(struct control_told *sum, const struct control_udp *udp)
{
	struct control_udp_totals totals;

	if (!udp)
		return;
	totals = control_udp_totals(udp);
	sum->count[FQ_R_CONTROL_UNKNOWN_SOURCE] += totals.unknown_source;
	sum->count[FQ_R_CONTROL_LIMITED] += totals.overflow;
}

void control_report(struct daemon *d)
{
	struct control_told now = {0};

	for (unsigned int i = 0; i < d->remote_count; i++)
		add_peer(&now, d->to_gateways, d->remotes[i].id);
	for (unsigned int i = 0; i < d->far_edge_count; i++)
		add_peer(&now, d->to_edges, d->far_edges[i].scope);
	add_totals(&now, d->to_gateways);
	add_totals(&now, d->to_edges);
	for (enum fq_reason r = 0; r < FQ_REASON_MAX; r++)
		/* Fewer: a peer is gone, and its counters with it. */
		if (now.count[r] > d->control_told.count[r])
			dataplane_count(d->dp, r, now.count[r] - d->control_told.count[r]);
	d->control_told = now;
}
