/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proxy addresses, see pool.h.
 *
 * Each family has an array with the owner of every address. It is large and nearly always
 * almost empty, which costs nothing: untouched pages of calloc'ed memory do not exist.
 */
#include "core/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
	OWNER_NONE = 0,
	OWNER_QUARANTINE = POOL_OWNER_MAX,
	OWNER_EXCLUDED,
};

struct released {
	struct instant at;
	uint32_t offset;
};

/* Addresses at rest, least recently released first. */
struct ring {
	struct released *slot;
	uint32_t cap;
};

/* Where the next address comes from. */
struct cursor {
	uint32_t fresh; /* never leased from here on */
	uint32_t gap;   /* gaps between restored addresses, from here up to fresh */
	struct {
		uint32_t first, count;
	} resting[POOL_RESTS]; /* in the rings */
};

struct family {
	struct ipprefix prefix;
	uint32_t count; /* of owner[] */
	uint32_t *owner;
	struct cursor cursor;
	struct instant restored_at; /* of the gaps */
	struct ring resting[POOL_RESTS];
	struct pool_usage usage;
};

struct pool {
	struct family v4, v6;
	int64_t rest_ns[POOL_RESTS];
};

static struct fq_addr family_addr(const struct family *f, uint32_t offset)
{
	return ipaddr_add(&f->prefix.addr, offset);
}

/* Where @addr stands in owner[]. Return: whether it does. */
static bool family_offset(const struct family *f, const struct fq_addr *addr, uint32_t *ret_offset)
{
	uint32_t offset = ntohl(addr->w[3]) - ntohl(f->prefix.addr.w[3]);

	if (memcmp(addr->b, f->prefix.addr.b, 12) != 0 || offset >= f->count)
		return false;
	*ret_offset = offset;
	return true;
}

static void family_exclude(struct family *f, uint32_t offset)
{
	if (f->owner[offset] == OWNER_EXCLUDED)
		return;
	f->owner[offset] = OWNER_EXCLUDED;
	f->usage.size--;
}

static void family_exclude_prefix(struct family *f, const struct ipprefix *p)
{
	unsigned int host_bits = 128 - p->len;
	uint64_t size = host_bits < 32 ? 1ULL << host_bits : UINT32_MAX;
	uint32_t first;

	if (!ipprefix_overlaps(&f->prefix, p))
		return;
	if (!family_offset(f, &p->addr, &first))
		first = 0; /* begins before the pool, or behind the part of it that is used */
	if (first == 0 && !ipprefix_contains(p, &f->prefix.addr))
		return;
	for (uint64_t i = first; i < f->count && i - first < size; i++)
		family_exclude(f, (uint32_t)i);
}

static int family_init(struct family *f, const struct ipprefix *prefix)
{
	unsigned int host_bits = 128 - prefix->len;

	f->prefix = *prefix;
	f->count = host_bits < 24 ? 1U << host_bits : POOL_ADDRESSES_MAX;
	f->owner = calloc(f->count, sizeof(*f->owner));
	if (!f->owner)
		return -ENOMEM;
	f->usage.size = f->count;
	if (ipaddr_is_v4(&prefix->addr)) {
		/* Network and broadcast address; P-01 begins at .1. */
		family_exclude(f, 0);
		family_exclude(f, f->count - 1);
	}
	return 0;
}

static void pool_exclude(struct pool *pool, const struct ipprefix *prefix)
{
	family_exclude_prefix(&pool->v4, prefix);
	family_exclude_prefix(&pool->v6, prefix);
}

int pool_new(const struct pool_settings *settings, struct pool **ret_pool)
{
	static const char *const sentinels[] = {POOL_V4_SENTINEL, POOL_V6_SENTINEL};
	_cleanup_(pool_freep) struct pool *pool = NULL;
	struct ipprefix sentinel;
	int r;

	if (!ipaddr_is_v4(&settings->v4.addr) || settings->v4.len < 96 ||
	    ipaddr_is_v4(&settings->v6.addr))
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->rest_ns[POOL_REST_LONG] = settings->quarantine_ns;
	pool->rest_ns[POOL_REST_SHORT] = settings->quarantine_ns < POOL_REST_SHORT_NS
						 ? settings->quarantine_ns
						 : POOL_REST_SHORT_NS;
	r = family_init(&pool->v4, &settings->v4);
	if (r < 0)
		return r;
	r = family_init(&pool->v6, &settings->v6);
	if (r < 0)
		return r;

	for (unsigned int i = 0; i < 2; i++)
		if (ipprefix_parse(sentinels[i], &sentinel) == 0)
			pool_exclude(pool, &sentinel);
	for (size_t i = 0; i < settings->excluded_count; i++)
		pool_exclude(pool, &settings->excluded[i]);
	if (pool->v4.usage.size < PROXIES_V4 || pool->v6.usage.size < PROXIES_V6)
		return -EINVAL;

	*ret_pool = TAKE_PTR(pool);
	return 0;
}

static void family_done(struct family *f)
{
	for (unsigned int rest = 0; rest < POOL_RESTS; rest++)
		free(f->resting[rest].slot);
	free(f->owner);
}

struct pool *pool_free(struct pool *pool)
{
	if (pool) {
		family_done(&pool->v4);
		family_done(&pool->v6);
		free(pool);
	}
	return NULL;
}

/* The oldest address at rest, if it has rested enough. */
static bool next_rested(const struct family *f, enum pool_rest rest, int64_t rest_ns,
			struct cursor *c, struct instant now, uint32_t *ret_offset)
{
	const struct ring *ring = &f->resting[rest];
	const struct released *oldest;

	if (!c->resting[rest].count)
		return false;
	oldest = &ring->slot[c->resting[rest].first];
	if (!instant_reached(instant_add(oldest->at, rest_ns), now))
		return false;
	*ret_offset = oldest->offset;
	c->resting[rest].first = (c->resting[rest].first + 1) % ring->cap;
	c->resting[rest].count--;
	return true;
}

/* The next address that may be leased, moving the cursor on. Return: whether there is one. */
static bool family_next(const struct family *f, const int64_t *rest_ns, struct instant now,
			struct cursor *c, uint32_t *ret_offset)
{
	for (; c->fresh < f->count; c->fresh++) {
		if (f->owner[c->fresh] == OWNER_NONE) {
			*ret_offset = c->fresh++;
			return true;
		}
	}
	for (enum pool_rest rest = 0; rest < POOL_RESTS; rest++)
		if (next_rested(f, rest, rest_ns[rest], c, now, ret_offset))
			return true;
	if (!instant_reached(instant_add(f->restored_at, rest_ns[POOL_REST_LONG]), now))
		return false;
	/* Up to where fresh ones began before this lease, which has none of them marked yet. */
	for (; c->gap < f->cursor.fresh; c->gap++) {
		if (f->owner[c->gap] == OWNER_NONE) {
			*ret_offset = c->gap++;
			return true;
		}
	}
	return false;
}

/* Choose @count addresses without leasing them. Return: whether there are as many. */
static bool family_choose(const struct family *f, const int64_t *rest_ns, struct instant now,
			  unsigned int count, uint32_t *ret_offsets, struct cursor *ret_cursor)
{
	*ret_cursor = f->cursor;
	for (unsigned int i = 0; i < count; i++)
		if (!family_next(f, rest_ns, now, ret_cursor, &ret_offsets[i]))
			return false;
	return true;
}

static void family_lease(struct family *f, uint32_t owner, unsigned int count,
			 const uint32_t *offsets, const struct cursor *cursor)
{
	f->usage.leased += count;
	for (unsigned int i = 0; i < count; i++) {
		f->owner[offsets[i]] = owner;
		f->usage.quarantined -= offsets[i] < f->cursor.fresh;
	}
	f->cursor = *cursor;
}

int pool_lease(struct pool *pool, uint32_t owner, struct instant now, struct proxies *ret_proxies)
{
	struct cursor c4, c6;
	uint32_t v4[PROXIES_V4], v6[PROXIES_V6];

	if (!family_choose(&pool->v4, pool->rest_ns, now, PROXIES_V4, v4, &c4) ||
	    !family_choose(&pool->v6, pool->rest_ns, now, PROXIES_V6, v6, &c6))
		return -ENOSPC;
	family_lease(&pool->v4, owner, PROXIES_V4, v4, &c4);
	family_lease(&pool->v6, owner, PROXIES_V6, v6, &c6);

	ret_proxies->count = PROXIES_MAX;
	for (unsigned int i = 0; i < PROXIES_V4; i++)
		ret_proxies->addr[i] = family_addr(&pool->v4, v4[i]);
	for (unsigned int i = 0; i < PROXIES_V6; i++)
		ret_proxies->addr[PROXIES_V4 + i] = family_addr(&pool->v6, v6[i]);
	return 0;
}

static struct family *pool_family(struct pool *pool, const struct fq_addr *addr)
{
	return ipaddr_is_v4(addr) ? &pool->v4 : &pool->v6;
}

/* Return: 0; -ERANGE; -EEXIST: @addr cannot be marked. */
static int pool_check_free(struct pool *pool, const struct fq_addr *addr)
{
	const struct family *f = pool_family(pool, addr);
	uint32_t offset;

	if (!family_offset(f, addr, &offset) || f->owner[offset] == OWNER_EXCLUDED)
		return -ERANGE;
	return f->owner[offset] == OWNER_NONE ? 0 : -EEXIST;
}

/* No address below @fresh is fresh; those that nobody has are gaps from now on. */
static void family_restore_fresh(struct family *f, uint32_t fresh, struct instant now)
{
	if (fresh > f->count)
		fresh = f->count;
	if (fresh <= f->cursor.fresh)
		return;
	for (uint32_t i = f->cursor.fresh; i < fresh; i++)
		f->usage.quarantined += f->owner[i] == OWNER_NONE;
	f->cursor.fresh = fresh;
	f->restored_at = now;
}

static void pool_mark(struct pool *pool, uint32_t owner, const struct fq_addr *addr,
		      struct instant now)
{
	struct family *f = pool_family(pool, addr);
	uint32_t offset;

	if (!family_offset(f, addr, &offset))
		return;
	family_restore_fresh(f, offset + 1, now);
	f->owner[offset] = owner;
	f->usage.leased++;
	f->usage.quarantined--;
}

static bool proxies_are_distinct(const struct proxies *p)
{
	for (unsigned int i = 0; i < p->count; i++)
		for (unsigned int j = 0; j < i; j++)
			if (ipaddr_equal(&p->addr[i], &p->addr[j]))
				return false;
	return true;
}

int pool_mark_used(struct pool *pool, uint32_t owner, const struct proxies *proxies,
		   struct instant now)
{
	if (!proxies_are_distinct(proxies))
		return -EEXIST;
	for (unsigned int i = 0; i < proxies->count; i++) {
		int r = pool_check_free(pool, &proxies->addr[i]);

		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < proxies->count; i++)
		pool_mark(pool, owner, &proxies->addr[i], now);
	return 0;
}

/* Make room for the addresses of one more lease. */
static int rest_reserve(struct family *f, enum pool_rest rest)
{
	struct ring *ring = &f->resting[rest];
	uint32_t count = f->cursor.resting[rest].count, first = f->cursor.resting[rest].first;
	uint32_t cap = ring->cap ? 2 * ring->cap : 64;
	struct released *slot;

	if (count + PROXIES_MAX <= ring->cap)
		return 0;
	slot = calloc(cap, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		slot[i] = ring->slot[(first + i) % ring->cap];
	free(ring->slot);
	*ring = (struct ring){.slot = slot, .cap = cap};
	f->cursor.resting[rest].first = 0;
	return 0;
}

static void family_release(struct family *f, uint32_t owner, const struct fq_addr *addr,
			   enum pool_rest rest, struct instant now)
{
	struct ring *ring = &f->resting[rest];
	uint32_t offset, at;

	if (!family_offset(f, addr, &offset) || f->owner[offset] != owner)
		return;
	at = (f->cursor.resting[rest].first + f->cursor.resting[rest].count++) % ring->cap;
	ring->slot[at] = (struct released){now, offset};
	f->owner[offset] = OWNER_QUARANTINE;
	f->usage.leased--;
	f->usage.quarantined++;
}

int pool_release(struct pool *pool, uint32_t owner, const struct proxies *proxies,
		 enum pool_rest rest, struct instant now)
{
	int r;

	r = rest_reserve(&pool->v4, rest);
	if (r < 0)
		return r;
	r = rest_reserve(&pool->v6, rest);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < proxies->count; i++)
		family_release(pool_family(pool, &proxies->addr[i]), owner, &proxies->addr[i], rest,
			       now);
	return 0;
}

struct pool_marks pool_marks(const struct pool *pool)
{
	return (struct pool_marks){
		.fresh4 = pool->v4.cursor.fresh,
		.fresh6 = pool->v6.cursor.fresh,
	};
}

void pool_restore_marks(struct pool *pool, const struct pool_marks *marks, struct instant now)
{
	family_restore_fresh(&pool->v4, marks->fresh4, now);
	family_restore_fresh(&pool->v6, marks->fresh6, now);
}

uint32_t pool_owner(const struct pool *pool, const struct fq_addr *addr)
{
	const struct family *f = ipaddr_is_v4(addr) ? &pool->v4 : &pool->v6;
	uint32_t offset;

	if (!family_offset(f, addr, &offset) || f->owner[offset] >= POOL_OWNER_MAX)
		return 0;
	return f->owner[offset];
}

void pool_usage(const struct pool *pool, struct pool_usage *ret_v4, struct pool_usage *ret_v6)
{
	*ret_v4 = pool->v4.usage;
	*ret_v6 = pool->v6.usage;
}
