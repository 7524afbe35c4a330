/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of sessions: those that have been idle (expiry.h), those that are flushed, halves
 * that have lost their other half; and the count of those that are open.
 *
 * Order of removal: tombstone, out, in. As long as the in entry stands, nobody else can get its
 * tuple; a client that sends meanwhile opens a new session on another port. The other way round
 * it would keep sending into a session whose replies nobody translates. A forwarded session has
 * only one in tuple, which the next one of the same flow gets again: here the out entry goes last,
 * so that it is not removed from under its successor; and nothing is buried.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/internal.h"

#define ORPHAN_NS      (5 * NSEC_PER_SEC) /* the halves are made one after the other */
#define SWEEP_MIN      64
#define SWEEP_MAX      65536
#define RECOUNT_ROUNDS 3

struct session {
	struct fq_tuple out_key, in_key;
	struct fq_session out, in;
	bool has_in; /* @in_key is this session's, not another's */
};

static int lookup(const struct dataplane *dp, const struct fq_tuple *key,
		  struct fq_session *ret_entry)
{
	return bpf_map_lookup_elem(dp->maps[M_SESSIONS], key, ret_entry) < 0 ? -errno : 0;
}

/* The other half belongs to this one only if it leads back. */
static bool leads_back(const struct fq_tuple *key, const struct fq_tuple *partner_key,
		       const struct fq_session *partner)
{
	struct fq_tuple back = session_partner(partner_key, partner);

	return memcmp(&back, key, sizeof(back)) == 0;
}

/* Find the other half of @key. *@ret_found: false if there is none. */
static int find_partner(const struct dataplane *dp, const struct fq_tuple *key,
			const struct fq_session *entry, struct fq_tuple *ret_key,
			struct fq_session *ret_entry, bool *ret_found)
{
	int r;

	*ret_key = session_partner(key, entry);
	r = lookup(dp, ret_key, ret_entry);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_found = r == 0 && leads_back(key, ret_key, ret_entry);
	return 0;
}

static void less_one(uint32_t *counter)
{
	uint32_t have = __atomic_load_n(counter, __ATOMIC_RELAXED);

	/* Never below zero: an error in the count must not lock everyone out. */
	while (have && !__atomic_compare_exchange_n(counter, &have, have - 1, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void bury(struct dataplane *dp, const struct session *s, struct instant now)
{
	const struct fq_tombstone stone = {
		.until = (uint64_t)now.ns + dp->settings.program.tombstone_ns,
		.client = s->out_key.src,
	};

	/* One that cannot be set only means that late packets go to the kernel. */
	(void)bpf_map_update_elem(dp->maps[M_TOMBSTONES], &s->in_key, &stone, BPF_ANY);
}

static int drop_entry(struct dataplane *dp, const struct fq_tuple *key)
{
	if (bpf_map_delete_elem(dp->maps[M_SESSIONS], key) < 0)
		return -errno;
	return 0;
}

/* Where a client's sessions count beside its own element of quota; NULL: scope 0. */
static struct fq_quota *scope_quota(struct dataplane *dp, uint32_t client)
{
	uint32_t scope = __atomic_load_n(&dp->quota[client].scope, __ATOMIC_RELAXED);

	return scope && scope < FQ_SCOPES_MAX ? &dp->quota[FQ_CLIENTS_MAX + scope] : NULL;
}

/* Give back what open.h has counted for an out entry. */
static void unaccount(struct dataplane *dp, const struct fq_session *out)
{
	struct fq_quota *scope;

	less_one(&dp->control->sessions);
	if (out->client >= FQ_CLIENTS_MAX)
		return;
	less_one(&dp->quota[out->client].sessions);
	scope = scope_quota(dp, out->client);
	if (scope)
		less_one(&scope->sessions);
}

static int drop_out(struct dataplane *dp, const struct session *s, bool *ret_removed)
{
	int r = drop_entry(dp, &s->out_key);

	*ret_removed = r == 0;
	if (r == 0)
		unaccount(dp, &s->out);
	return r == -ENOENT ? 0 : r;
}

static int drop_in(struct dataplane *dp, const struct session *s)
{
	int r = s->has_in ? drop_entry(dp, &s->in_key) : 0;

	return r == -ENOENT ? 0 : r;
}

/* *@ret_removed: false if somebody else was faster */
static int remove_session(struct dataplane *dp, const struct session *s, struct instant now,
			  bool *ret_removed)
{
	int r;

	/* A forwarded session's in tuple is between two other machines: what is late there is the
	 * gateway's to drop. */
	if (s->out.gateway) {
		r = drop_in(dp, s);
		return r < 0 ? r : drop_out(dp, s, ret_removed);
	}
	if (s->has_in)
		bury(dp, s, now);
	r = drop_out(dp, s, ret_removed);
	return r < 0 ? r : drop_in(dp, s);
}

/* An entry without its other half. An out entry has been counted, an in entry has not. */
static int remove_orphan(struct dataplane *dp, const struct fq_tuple *key,
			 const struct fq_session *entry, struct dp_sweep *sweep)
{
	int r = drop_entry(dp, key);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (entry->dir == FQ_DIR_OUT)
		unaccount(dp, entry);
	sweep->orphans++;
	return 0;
}

static bool old_enough(const struct fq_session *entry, struct instant now)
{
	return now.ns - (int64_t)entry->created >= ORPHAN_NS;
}

static int sweep_out(struct dataplane *dp, const struct fq_tuple *key,
		     const struct fq_session *entry, struct instant now, struct dp_sweep *sweep)
{
	const struct expiry_policy *policy = &dp->settings.expiry;
	struct session s = {.out_key = *key};
	bool removed = false;
	int r;

	if (!dp->sweep.thorough &&
	    !instant_reached(session_expiry_earliest(entry, key->proto, policy), now))
		return 0;
	/* As it is now: the batch may be old, and its packets may have gone on. */
	r = lookup(dp, key, &s.out);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = find_partner(dp, key, &s.out, &s.in_key, &s.in, &s.has_in);
	if (r < 0)
		return r;
	if (!s.has_in)
		return old_enough(&s.out, now) ? remove_orphan(dp, key, &s.out, sweep) : 0;
	if (!instant_reached(session_expiry(&s.out, &s.in, key->proto, policy), now))
		return 0;
	r = remove_session(dp, &s, now, &removed);
	if (removed)
		sweep->expired++;
	return r;
}

/* In entries end with their out entry; here only those without one are looked for. */
static int sweep_in(struct dataplane *dp, const struct fq_tuple *key,
		    const struct fq_session *entry, struct instant now, struct dp_sweep *sweep)
{
	struct instant earliest = session_expiry_earliest(entry, key->proto, &dp->settings.expiry);
	struct fq_session out;
	struct fq_tuple out_key;
	bool found;
	int r;

	if (!old_enough(entry, now) || (!dp->sweep.thorough && !instant_reached(earliest, now)))
		return 0;
	r = find_partner(dp, key, entry, &out_key, &out, &found);
	return r < 0 || found ? r : remove_orphan(dp, key, entry, sweep);
}

static int sweep_buffers(struct dataplane *dp, unsigned int cap)
{
	if (dp->sweep.cap >= cap)
		return 0;
	free(dp->sweep.keys);
	free(dp->sweep.entries);
	dp->sweep.keys = calloc(cap, sizeof(*dp->sweep.keys));
	dp->sweep.entries = calloc(cap, sizeof(*dp->sweep.entries));
	dp->sweep.cap = dp->sweep.keys && dp->sweep.entries ? cap : 0;
	return dp->sweep.cap ? 0 : -ENOMEM;
}

/* The next part of the table into the buffers. *@ret_end: it was the last. */
static int sweep_read(struct dataplane *dp, uint32_t *n, bool *ret_end)
{
	int r = bpf_map_lookup_batch(dp->maps[M_SESSIONS],
				     dp->sweep.midway ? &dp->sweep.cursor : NULL, &dp->sweep.cursor,
				     dp->sweep.keys, dp->sweep.entries, n, NULL);

	if (r < 0 && errno != ENOENT)
		return -errno;
	*ret_end = r < 0;
	return 0;
}

int dataplane_sweep(struct dataplane *dp, struct instant now, unsigned int budget,
		    struct dp_sweep *ret_sweep)
{
	uint32_t n = budget < SWEEP_MIN ? SWEEP_MIN : budget > SWEEP_MAX ? SWEEP_MAX : budget;
	struct dp_sweep sweep = {0};
	bool end = false;
	int r;

	r = sweep_buffers(dp, n);
	if (r == 0)
		r = sweep_read(dp, &n, &end);
	if (r < 0)
		return r;
	dp->sweep.midway = !end;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		const struct fq_tuple *key = &dp->sweep.keys[i];
		const struct fq_session *entry = &dp->sweep.entries[i];

		r = (entry->dir == FQ_DIR_OUT ? sweep_out : sweep_in)(dp, key, entry, now, &sweep);
	}
	dataplane_count(dp, FQ_R_SESSION_EXPIRED, sweep.expired);
	if (r < 0)
		return r;
	if (end)
		dp->sweep.thorough = false;
	sweep.examined = n;
	sweep.pass_done = end;
	*ret_sweep = sweep;
	return 0;
}

/* ---- flush ---- */

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fq_addr));
}

/* Of a forwarded flow the real and the masquerade address are not known here. */
static bool matches_translation(const struct dp_match *m, const struct fq_session *out)
{
	if (out->gateway)
		return !m->real && !m->nat;
	return (!m->real || ipaddr_equal(m->real, &out->dst)) &&
	       (!m->nat || bsearch(&out->src, m->nat, m->nats, sizeof(*m->nat), compare_addr));
}

int dp_pair_compare(const void *a, const void *b)
{
	const struct dp_pair *p = a, *q = b;

	if (p->domain != q->domain)
		return p->domain < q->domain ? -1 : 1;
	return (p->resource > q->resource) - (p->resource < q->resource);
}

static bool matches_pair(const struct dp_match *m, const struct fq_session *out)
{
	const struct dp_pair pair = {out->domain, out->resource};

	return bsearch(&pair, m->pairs, m->pair_count, sizeof(pair), dp_pair_compare);
}

static int compare_domain(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool matches_domain(const struct dp_match *m, uint32_t domain)
{
	return (!m->domain || *m->domain == domain) &&
	       (!m->domains ||
		bsearch(&domain, m->domains, m->domain_count, sizeof(*m->domains), compare_domain));
}

bool session_matches(const struct dp_match *m, const struct fq_tuple *out_key,
		     const struct fq_session *out)
{
	return matches_translation(m, out) &&
	       (!m->client_addr || ipprefix_contains(m->client_addr, &out_key->src)) &&
	       (!m->proxy || ipaddr_equal(m->proxy, &out_key->dst)) &&
	       matches_domain(m, out->domain) && (!m->client || *m->client == out->client) &&
	       (!m->resource || *m->resource == out->resource) &&
	       (!m->gateway || *m->gateway == out->gateway) && (!m->pairs || matches_pair(m, out));
}

struct flush {
	struct dataplane *dp;
	const struct dp_match *match;
	struct instant now;
	uint64_t flushed;
};

static int flush_one(void *ctx, const void *key, const void *value)
{
	struct flush *flush = ctx;
	struct session s = {.out_key = *(const struct fq_tuple *)key,
			    .out = *(const struct fq_session *)value};
	bool removed = false;
	int r;

	if (s.out.dir != FQ_DIR_OUT || !session_matches(flush->match, &s.out_key, &s.out))
		return 0;
	r = find_partner(flush->dp, &s.out_key, &s.out, &s.in_key, &s.in, &s.has_in);
	if (r == 0)
		r = remove_session(flush->dp, &s, flush->now, &removed);
	flush->flushed += removed;
	return r;
}

int dataplane_flush(struct dataplane *dp, const struct dp_match *match, struct instant now,
		    uint64_t *ret_flushed)
{
	struct flush flush = {.dp = dp, .match = match, .now = now};
	int r = map_walk(M_SESSIONS, dp->maps[M_SESSIONS], flush_one, &flush);

	dataplane_count(dp, FQ_R_SESSION_REVOKED, flush.flushed);
	*ret_flushed = flush.flushed;
	return r;
}

/* ---- recount ---- */

struct recount {
	struct dataplane *dp;
	uint32_t before[FQ_QUOTAS_MAX];
	uint32_t walked[FQ_QUOTAS_MAX];
};

static int recount_one(void *ctx, const void *key, const void *value)
{
	const struct fq_session *entry = value;
	struct recount *count = ctx;
	struct fq_quota *scope;

	(void)key;
	if (entry->dir != FQ_DIR_OUT || entry->client >= FQ_CLIENTS_MAX)
		return 0;
	count->walked[entry->client]++;
	scope = scope_quota(count->dp, entry->client);
	if (scope)
		count->walked[scope - count->dp->quota]++;
	return 0;
}

/*
 * Programs may be running and counting. Clients and scopes whose counter moved during the walk are
 * left for the next round; *@ret_moved says whether there were any.
 */
static int recount_round(struct recount *count, bool *ret_moved)
{
	struct dataplane *dp = count->dp;
	int r;

	memset(count->walked, 0, sizeof(count->walked));
	for (uint32_t i = 0; i < FQ_QUOTAS_MAX; i++)
		count->before[i] = __atomic_load_n(&dp->quota[i].sessions, __ATOMIC_RELAXED);
	r = map_walk(M_SESSIONS, dp->maps[M_SESSIONS], recount_one, count);
	if (r < 0)
		return r;
	*ret_moved = false;
	for (uint32_t i = 0; i < FQ_QUOTAS_MAX; i++) {
		uint32_t have = count->before[i];

		if (!__atomic_compare_exchange_n(&dp->quota[i].sessions, &have, count->walked[i],
						 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			*ret_moved = true;
	}
	return 0;
}

/* The sum over clients, by the difference, so that what is opened meanwhile stays counted. */
static void recount_total(struct dataplane *dp)
{
	uint32_t before = dataplane_sessions_used(dp), sum = 0;

	for (uint32_t c = 0; c < FQ_CLIENTS_MAX; c++)
		sum += dataplane_quota_used(dp, c);
	__atomic_fetch_add(&dp->control->sessions, sum - before, __ATOMIC_RELAXED);
}

int sessions_recount(struct dataplane *dp)
{
	_cleanup_(freep) struct recount *count = malloc(sizeof(*count));
	bool moved = true;

	if (!count)
		return -ENOMEM;
	count->dp = dp;
	for (int i = 0; i < RECOUNT_ROUNDS && moved; i++) {
		int r = recount_round(count, &moved);

		if (r < 0)
			return r;
	}
	recount_total(dp);
	return 0;
}
