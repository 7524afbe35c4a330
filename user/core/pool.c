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

/* Where the next address comes from. */
struct cursor {
	uint32_t fresh;  /* never leased from here on */
	uint32_t gap;    /* gaps between restored addresses, from here up to fresh */
	uint32_t queue;  /* index of the oldest in the quarantine */
	uint32_t queued; /* how many are there */
};

struct family {
	struct ipprefix prefix;
	uint32_t count; /* of owner[] */
	uint32_t *owner;
	struct cursor cursor;
	struct instant restored_at; /* of the gaps */
	struct released *queue;     /* ring: least recently released first */
	uint32_t queue_cap;
	struct pool_usage usage;
};

struct pool {
	struct family v4, v6;
	int64_t quarantine_ns;
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
	pool->quarantine_ns = settings->quarantine_ns;
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

struct pool *pool_free(struct pool *pool)
{
	if (pool) {
		free(pool->v4.owner);
		free(pool->v4.queue);
		free(pool->v6.owner);
		free(pool->v6.queue);
		free(pool);
	}
	return NULL;
}

/* The next address that may be leased, moving the cursor on. Return: whether there is one. */
static bool family_next(const struct family *f, int64_t quarantine_ns, struct instant now,
			struct cursor *c, uint32_t *ret_offset)
{
	for (; c->fresh < f->count; c->fresh++) {
		if (f->owner[c->fresh] == OWNER_NONE) {
			*ret_offset = c->fresh++;
			return true;
		}
	}
	if (c->queued) {
		const struct released *oldest = &f->queue[c->queue];

		if (instant_reached(instant_add(oldest->at, quarantine_ns), now)) {
			*ret_offset = oldest->offset;
			c->queue = (c->queue + 1) % f->queue_cap;
			c->queued--;
			return true;
		}
	}
	if (!instant_reached(instant_add(f->restored_at, quarantine_ns), now))
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
static bool family_choose(const struct family *f, int64_t quarantine_ns, struct instant now,
			  unsigned int count, uint32_t *ret_offsets, struct cursor *ret_cursor)
{
	*ret_cursor = f->cursor;
	for (unsigned int i = 0; i < count; i++)
		if (!family_next(f, quarantine_ns, now, ret_cursor, &ret_offsets[i]))
			return false;
	return true;
}

static void family_lease(struct family *f, uint32_t owner, unsigned int count,
			 const uint32_t *offsets, const struct cursor *cursor)
{
	f->usage.leased += count;
	f->usage.quarantined -= f->cursor.queued - cursor->queued;
	f->cursor = *cursor;
	for (unsigned int i = 0; i < count; i++)
		f->owner[offsets[i]] = owner;
}

int pool_lease(struct pool *pool, uint32_t owner, struct instant now, struct proxies *ret_proxies)
{
	struct cursor c4, c6;
	uint32_t v4[PROXIES_V4], v6[PROXIES_V6];

	if (!family_choose(&pool->v4, pool->quarantine_ns, now, PROXIES_V4, v4, &c4) ||
	    !family_choose(&pool->v6, pool->quarantine_ns, now, PROXIES_V6, v6, &c6))
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

static void pool_mark(struct pool *pool, uint32_t owner, const struct fq_addr *addr,
		      struct instant now)
{
	struct family *f = pool_family(pool, addr);
	uint32_t offset;

	if (!family_offset(f, addr, &offset))
		return;
	f->owner[offset] = owner;
	f->usage.leased++;
	if (offset >= f->cursor.fresh) {
		f->cursor.fresh = offset + 1;
		f->restored_at = now;
	}
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

/* Make room for @count more in the quarantine. */
static int queue_reserve(struct family *f, uint32_t count)
{
	uint32_t cap = f->queue_cap ? f->queue_cap : 64;
	struct released *queue;

	if (f->cursor.queued + count <= f->queue_cap)
		return 0;
	while (cap < f->cursor.queued + count)
		cap *= 2;
	queue = calloc(cap, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->cursor.queued; i++)
		queue[i] = f->queue[(f->cursor.queue + i) % f->queue_cap];
	free(f->queue);
	f->queue = queue;
	f->queue_cap = cap;
	f->cursor.queue = 0;
	return 0;
}

static void family_release(struct family *f, uint32_t owner, const struct fq_addr *addr,
			   struct instant now)
{
	uint32_t offset, at;

	if (!family_offset(f, addr, &offset) || f->owner[offset] != owner)
		return;
	at = (f->cursor.queue + f->cursor.queued++) % f->queue_cap;
	f->queue[at] = (struct released){now, offset};
	f->owner[offset] = OWNER_QUARANTINE;
	f->usage.leased--;
	f->usage.quarantined++;
}

int pool_release(struct pool *pool, uint32_t owner, const struct proxies *proxies,
		 struct instant now)
{
	int r;

	r = queue_reserve(&pool->v4, PROXIES_MAX);
	if (r < 0)
		return r;
	r = queue_reserve(&pool->v6, PROXIES_MAX);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < proxies->count; i++)
		family_release(pool_family(pool, &proxies->addr[i]), owner, &proxies->addr[i], now);
	return 0;
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
