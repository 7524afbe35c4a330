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
#define SWEEP_CLOSE    16
#define SWEEP_SPARED   30 /* passes over an empty table */
#define RECOUNT_ROUNDS 3

struct session {
	struct fq_tuple out_key, in_key;
	struct session_entry out, in;
	uint32_t out_at, in_at; /* TABLE_NONE: there is none */
};

/* The other half belongs to this one only if it leads back. */
static bool leads_back(const struct fq_tuple *key, const struct fq_tuple *partner_key,
		       const struct session_entry *partner)
{
	struct fq_tuple back = session_partner(partner_key, partner);

	return memcmp(&back, key, sizeof(back)) == 0;
}

/* Find the other half of @key. Return: where it is; TABLE_NONE. */
static uint32_t find_partner(const struct dataplane *dp, const struct fq_tuple *key,
			     const struct session_entry *entry, struct instant now,
			     struct fq_tuple *ret_key, struct session_entry *ret_entry)
{
	struct fq_tuple partner = session_partner(key, entry);
	uint32_t index = table_find(&dp->table, &partner);

	if (index == TABLE_NONE || !table_read(&dp->table, index, now, ret_key, ret_entry) ||
	    !leads_back(key, ret_key, ret_entry))
		return TABLE_NONE;
	return index;
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

/* Return: false if somebody else has. */
static bool drop_entry(struct dataplane *dp, uint32_t index)
{
	if (index == TABLE_NONE || !table_end(&dp->table, index))
		return false;
	(void)sessions_bring_out(dp, index, false);
	return true;
}

/* Where a client's sessions count beside its own element of quota; NULL: scope 0. */
static struct fq_quota *scope_quota(struct dataplane *dp, uint32_t client)
{
	uint32_t scope = __atomic_load_n(&dp->quota[client].scope, __ATOMIC_RELAXED);

	return scope && scope < FQ_SCOPES_MAX ? &dp->quota[FQ_CLIENTS_MAX + scope] : NULL;
}

/* Give back what open.h has counted for an out entry. */
static void unaccount(struct dataplane *dp, const struct session_entry *out)
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

static bool drop_out(struct dataplane *dp, const struct session *s)
{
	bool removed = drop_entry(dp, s->out_at);

	if (removed)
		unaccount(dp, &s->out);
	return removed;
}

/* Return: false if somebody else was faster */
static bool remove_session(struct dataplane *dp, const struct session *s, struct instant now)
{
	bool removed;

	/* A forwarded session's in tuple is between two other machines: what is late there is the
	 * gateway's to drop. */
	if (s->out.gateway) {
		drop_entry(dp, s->in_at);
		return drop_out(dp, s);
	}
	if (s->in_at != TABLE_NONE)
		bury(dp, s, now);
	removed = drop_out(dp, s);
	drop_entry(dp, s->in_at);
	return removed;
}

/* An entry without its other half. An out entry has been counted, an in entry has not. */
static void remove_orphan(struct dataplane *dp, uint32_t index, const struct session_entry *entry,
			  struct dp_sweep *sweep)
{
	if (!drop_entry(dp, index))
		return;
	if (entry->dir == FQ_DIR_OUT)
		unaccount(dp, entry);
	sweep->orphans++;
}

static bool old_enough(const struct session_entry *entry, struct instant now)
{
	return now.ns - (int64_t)entry->created >= ORPHAN_NS;
}

static void sweep_out(struct dataplane *dp, struct session *s, struct instant now,
		      struct dp_sweep *sweep)
{
	const struct expiry_policy *policy = &dp->settings.expiry;
	uint8_t proto = s->out_key.proto;

	s->in_at = find_partner(dp, &s->out_key, &s->out, now, &s->in_key, &s->in);
	if (s->in_at == TABLE_NONE) {
		if (old_enough(&s->out, now))
			remove_orphan(dp, s->out_at, &s->out, sweep);
		return;
	}
	if (instant_reached(session_expiry(&s->out, &s->in, proto, policy), now))
		sweep->expired += remove_session(dp, s, now);
}

/* In entries end with their out entry; here only those without one are looked for. */
static void sweep_in(struct dataplane *dp, struct session *s, struct instant now,
		     struct dp_sweep *sweep)
{
	if (!old_enough(&s->in, now))
		return;
	if (find_partner(dp, &s->in_key, &s->in, now, &s->out_key, &s->out) == TABLE_NONE)
		remove_orphan(dp, s->in_at, &s->in, sweep);
}

/* Return: how much work that was. */
static unsigned int sweep_one(struct dataplane *dp, uint32_t index, struct instant now,
			      struct dp_sweep *sweep)
{
	struct session s = {.out_at = index, .in_at = index};
	int64_t idle_ns;
	uint8_t proto;

	if (sessions_bring_out(dp, index, false))
		dp->sweep.found = true;
	if (!table_glance(&dp->table, index, now, &proto, &idle_ns))
		return 1;
	dp->sweep.found = true;
	sweep->examined++;
	if (!dp->sweep.thorough && idle_ns < session_idle_least(proto, &dp->settings.expiry))
		return 1;
	if (!table_read(&dp->table, index, now, &s.out_key, &s.out))
		return 1;
	if (s.out.dir == FQ_DIR_OUT) {
		sweep_out(dp, &s, now, sweep);
	} else {
		s.in_key = s.out_key;
		s.in = s.out;
		sweep_in(dp, &s, now, sweep);
	}
	return SWEEP_CLOSE;
}

/*
 * Is there nothing to be found? No session, and the last pass has found no entry. What has been
 * opened and undone meanwhile waits for one of the next passes.
 */
static bool spare_pass(struct dataplane *dp)
{
	bool none = !__atomic_load_n(&dp->control->sessions, __ATOMIC_RELAXED) &&
		    !dp->sweep.found && !dp->sweep.thorough;

	if (none && dp->sweep.spared < SWEEP_SPARED) {
		dp->sweep.spared++;
		return true;
	}
	dp->sweep.spared = 0;
	dp->sweep.found = false;
	return false;
}

struct dp_sweep dataplane_sweep(struct dataplane *dp, struct instant now, unsigned int budget)
{
	unsigned int work = 0;
	uint32_t slots = dp->table.table->slots;
	struct dp_sweep sweep = {0};

	budget = budget < SWEEP_MIN ? SWEEP_MIN : budget > SWEEP_MAX ? SWEEP_MAX : budget;
	if (dp->sweep.next == 0 && spare_pass(dp))
		return (struct dp_sweep){.pass_done = true};
	while (work < budget && dp->sweep.next < slots)
		work += sweep_one(dp, dp->sweep.next++, now, &sweep);
	if (dp->sweep.next >= slots) {
		dp->sweep.next = 0;
		dp->sweep.thorough = false;
		sweep.pass_done = true;
	}
	dataplane_count(dp, FQ_R_SESSION_EXPIRED, sweep.expired);
	return sweep;
}

bool sessions_bring_out(struct dataplane *dp, uint32_t index, bool again)
{
	bool dead = table_take_dead(&dp->table, index, again);

	if (dead)
		grace_add(dp->grace, index);
	return dead;
}

void sessions_bring_out_all(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		(void)sessions_bring_out(dp, i, true);
}

/* ---- flush ---- */

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fq_addr));
}

/* Of a forwarded flow the real and the masquerade address are not known here. */
static bool matches_translation(const struct dp_match *m, const struct session_entry *out)
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

static bool matches_pair(const struct dp_match *m, const struct session_entry *out)
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
		     const struct session_entry *out)
{
	return matches_translation(m, out) &&
	       (!m->client_addr || ipprefix_contains(m->client_addr, &out_key->src)) &&
	       (!m->proxy || ipaddr_equal(m->proxy, &out_key->dst)) &&
	       matches_domain(m, out->domain) && (!m->client || *m->client == out->client) &&
	       (!m->resource || *m->resource == out->resource) &&
	       (!m->gateway || *m->gateway == out->gateway) && (!m->pairs || matches_pair(m, out));
}

static bool flush_one(struct dataplane *dp, const struct dp_match *match, uint32_t index,
		      struct instant now)
{
	struct session s = {.out_at = index};

	if (!table_read(&dp->table, index, now, &s.out_key, &s.out) || s.out.dir != FQ_DIR_OUT ||
	    !session_matches(match, &s.out_key, &s.out))
		return false;
	s.in_at = find_partner(dp, &s.out_key, &s.out, now, &s.in_key, &s.in);
	return remove_session(dp, &s, now);
}

uint64_t dataplane_flush(struct dataplane *dp, const struct dp_match *match, struct instant now)
{
	uint64_t flushed = 0;

	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		flushed += flush_one(dp, match, i, now);
	dataplane_count(dp, FQ_R_SESSION_REVOKED, flushed);
	return flushed;
}

/* ---- recount ---- */

struct recount {
	struct dataplane *dp;
	uint32_t before[FQ_QUOTAS_MAX];
	uint32_t walked[FQ_QUOTAS_MAX];
};

static void recount_one(struct recount *count, uint32_t index)
{
	struct session_entry entry;
	struct fq_quota *scope;
	struct fq_tuple key;

	if (!table_read(&count->dp->table, index, instant_now(), &key, &entry) ||
	    entry.dir != FQ_DIR_OUT || entry.client >= FQ_CLIENTS_MAX)
		return;
	count->walked[entry.client]++;
	scope = scope_quota(count->dp, entry.client);
	if (scope)
		count->walked[scope - count->dp->quota]++;
}

/*
 * Programs may be running and counting. Clients and scopes whose counter moved during the walk are
 * left for the next round. Return: whether there were any.
 */
static bool recount_round(struct recount *count)
{
	struct dataplane *dp = count->dp;
	bool moved = false;

	memset(count->walked, 0, sizeof(count->walked));
	for (uint32_t i = 0; i < FQ_QUOTAS_MAX; i++)
		count->before[i] = __atomic_load_n(&dp->quota[i].sessions, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		recount_one(count, i);
	for (uint32_t i = 0; i < FQ_QUOTAS_MAX; i++) {
		uint32_t have = count->before[i];

		if (!__atomic_compare_exchange_n(&dp->quota[i].sessions, &have, count->walked[i],
						 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			moved = true;
	}
	return moved;
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
	for (int i = 0; i < RECOUNT_ROUNDS && moved; i++)
		moved = recount_round(count);
	recount_total(dp);
	return 0;
}
