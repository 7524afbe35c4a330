/* SPDX-License-Identifier: BSD-2-Clause */
/* What the edge's and the gateway's control messages have in common: epochs, and counters. */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/daemon.h"

int control_epoch(struct daemon *d, uint64_t *ret_epoch)
{
	struct timespec now;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	r = store_epoch(d->store, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
			ret_epoch);
	if (r < 0)
		return r;
	r = store_commit(d->store);
	/* Only a clock that was set back makes the store necessary: serving goes on without. */
	if (r < 0)
		log_event(LOG_ERR, "cannot write down the epoch", log_errno(r));
	return 0;
}

#define META_MAPS  "life of the maps"
#define META_STORE "life of the store"

/* A number of the store, made anew if there is none, or if what it stands for is new. */
static int life(struct daemon *d, const char *key, bool is_new, uint64_t *ret)
{
	int r = store_get_meta(d->store, key, ret);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && !is_new)
		return 0;
	if (getrandom(ret, sizeof(*ret), 0) < 0)
		return -errno;
	*ret >>= 1; /* the store's numbers have a sign */
	return store_put_meta(d->store, key, *ret);
}

int control_lives_begin(struct daemon *d)
{
	int r;

	r = life(d, META_MAPS, !dataplane_taken_over(d->dp), &d->life_of_maps);
	if (r >= 0)
		r = life(d, META_STORE, false, &d->life_of_store);
	if (r < 0)
		return r;
	/* Before anything else: whoever starts after us takes the maps over, and must not take them
	 * for those of before. */
	if (store_commit(d->store) < 0)
		log_event(LOG_ERR, "cannot write down that the maps are new");
	return 0;
}

/* What was dropped for one edge alone is counted beside. */
static void losses_key(const char *edge, char key[STORE_NAME_LEN])
{
	snprintf(key, STORE_NAME_LEN, "losses of edge %s", edge);
}

static uint16_t incarnation_of(uint64_t life)
{
	return (uint16_t)(life % UINT16_MAX + 1);
}

uint16_t control_incarnation_for_gateways(const struct daemon *d)
{
	return incarnation_of(d->life_of_store);
}

uint16_t control_incarnation_for_edge(struct daemon *d, const char *edge)
{
	char key[STORE_NAME_LEN];
	uint64_t losses = 0;

	losses_key(edge, key);
	(void)store_get_meta(d->store, key, &losses);
	return incarnation_of(d->life_of_maps + losses);
}

uint16_t control_incarnation_renew(struct daemon *d, const char *edge)
{
	char key[STORE_NAME_LEN];
	uint64_t losses = 0;

	losses_key(edge, key);
	(void)store_get_meta(d->store, key, &losses);
	(void)store_put_meta(d->store, key, losses + 1);
	return incarnation_of(d->life_of_maps + losses + 1);
}

bool control_incarnation_changed(struct daemon *d, const char *what, const char *name,
				 uint16_t incarnation)
{
	char key[STORE_NAME_LEN];
	uint64_t known = 0;

	snprintf(key, sizeof(key), "incarnation of %s %s", what, name);
	(void)store_get_meta(d->store, key, &known);
	if (known == incarnation)
		return false;
	(void)store_put_meta(d->store, key, incarnation);
	return known;
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

static struct control_told told_now(const struct daemon *d)
{
	struct control_told now = {0};

	for (unsigned int i = 0; i < d->remote_count; i++)
		add_peer(&now, d->to_gateways, d->remotes[i].id);
	for (unsigned int i = 0; i < d->far_edge_count; i++)
		add_peer(&now, d->to_edges, d->far_edges[i].scope);
	add_totals(&now, d->to_gateways);
	add_totals(&now, d->to_edges);
	return now;
}

void control_report(struct daemon *d)
{
	struct control_told now = told_now(d);

	for (enum fq_reason r = 0; r < FQ_REASON_MAX; r++)
		if (now.count[r] > d->control_told.count[r])
			dataplane_count(d->dp, r, now.count[r] - d->control_told.count[r]);
	d->control_told = now;
}

void control_peers_changed(struct daemon *d)
{
	d->control_told = told_now(d);
}
