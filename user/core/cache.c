/* SPDX-License-Identifier: BSD-2-Clause */
/* Cache of upstream DNS answers, see cache.h. */
#include "core/cache.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include <sodium/crypto_shorthash.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "core/dnswire.h"

#define KEY_FIXED 5 /* bits, type, class */

/* Bits of a query that change its answer. */
enum {
	KEY_RD = 1,
	KEY_AD = 2,
	KEY_CD = 4,
	KEY_EDNS = 8,
	KEY_DO = 16,
};

struct key {
	size_t len;
	uint8_t bytes[KEY_FIXED + DNSWIRE_NAME_MAX];
};

struct cache_entry {
	struct key key;
	struct instant stored, expires;
	size_t len, ttl_count;
	uint8_t *answer;
	uint16_t *ttl_at; /* where TTLs stand in the answer */
	struct cache_entry *prev, *next;
	UT_hash_handle hh;
};

struct cache {
	struct cache_settings settings;
	struct cache_entry *table;
	struct cache_entry *used; /* least recently used first */
	size_t bytes;
	uint64_t hits, misses;
};

int cache_new(const struct cache_settings *settings, struct cache **ret_cache)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->settings = *settings;
	*ret_cache = cache;
	return 0;
}

struct cache *cache_free(struct cache *cache)
{
	if (cache)
		cache_flush(cache);
	free(cache);
	return NULL;
}

static size_t entry_cost(const struct cache_entry *e)
{
	return sizeof(*e) + e->len + e->ttl_count * sizeof(*e->ttl_at);
}

static struct cache_entry *entry_free(struct cache_entry *e)
{
	if (e) {
		free(e->answer);
		free(e->ttl_at);
		free(e);
	}
	return NULL;
}
DEFINE_CLEANUP(struct cache_entry *, entry_free)

static void forget(struct cache *cache, struct cache_entry *e)
{
	HASH_DELETE(hh, cache->table, e);
	DL_DELETE(cache->used, e);
	cache->bytes -= entry_cost(e);
	entry_free(e);
}

void cache_flush(struct cache *cache)
{
	while (cache->used)
		forget(cache, cache->used);
}

/* What a query is found by. Return: whether it is one whose answer may be kept. */
static bool make_key(const struct dnswire_message *q, struct key *ret_key)
{
	struct key k = {.len = KEY_FIXED + q->name_len};
	const uint16_t plain = DNSWIRE_RD | DNSWIRE_AD | DNSWIRE_CD;

	if (q->depth != DNSWIRE_WHOLE || (q->flags & ~plain) || q->ancount || q->nscount)
		return false;
	if (q->qclass != DNSWIRE_CLASS_IN || q->version != 0 || q->has_options)
		return false;
	k.bytes[0] = (uint8_t)((q->flags & DNSWIRE_RD ? KEY_RD : 0) |
			       (q->flags & DNSWIRE_AD ? KEY_AD : 0) |
			       (q->flags & DNSWIRE_CD ? KEY_CD : 0) | (q->opt_len ? KEY_EDNS : 0) |
			       (q->dnssec_ok ? KEY_DO : 0));
	dnswire_put16(k.bytes + 1, q->qtype);
	dnswire_put16(k.bytes + 3, q->qclass);
	for (size_t i = 0; i < q->name_len; i++)
		k.bytes[KEY_FIXED + i] = (uint8_t)tolower(q->bytes[DNSWIRE_HEADER_LEN + i]);
	*ret_key = k;
	return true;
}

static uint32_t hash_key(const struct cache *cache, const struct key *k)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t hash;

	crypto_shorthash(out, k->bytes, k->len, cache->settings.hash_key);
	memcpy(&hash, out, sizeof(hash));
	return hash;
}

static struct cache_entry *find(const struct cache *cache, const struct key *k)
{
	struct cache_entry *e;

	HASH_FIND_BYHASHVALUE(hh, cache->table, k->bytes, k->len, hash_key(cache, k), e);
	return e;
}

/* Whether @a answers @q, without error and whole (D-06). */
static bool is_good_answer(const struct dnswire_message *q, const struct dnswire_message *a)
{
	const uint16_t must_be = DNSWIRE_QR | DNSWIRE_OPCODE | DNSWIRE_TC | DNSWIRE_RCODE;

	if (a->depth != DNSWIRE_WHOLE || (a->flags & must_be) != DNSWIRE_QR || a->ancount == 0)
		return false;
	if (a->id != q->id || a->extended_rcode || a->len > UINT16_MAX)
		return false;
	if (a->qtype != q->qtype || a->qclass != q->qclass || a->name_len != q->name_len)
		return false;
	for (size_t i = DNSWIRE_HEADER_LEN; i < DNSWIRE_HEADER_LEN + q->name_len; i++)
		if (tolower(a->bytes[i]) != tolower(q->bytes[i]))
			return false;
	return true;
}

/* Note where TTLs stand. Return: the least one; 0 also if there is no memory. */
static uint32_t read_ttls(const struct dnswire_message *a, struct cache_entry *e)
{
	size_t count = (size_t)a->ancount + a->nscount + a->arcount, at = a->question_end;
	uint32_t least = CACHE_TTL_MAX_S;

	e->ttl_at = calloc(count, sizeof(*e->ttl_at));
	if (!e->ttl_at)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct dnswire_record r;

		if (dnswire_next(a, &at, &r) < 0)
			return 0;
		if (r.type == DNSWIRE_TYPE_OPT)
			continue;
		e->ttl_at[e->ttl_count++] = (uint16_t)r.ttl_at;
		if (r.ttl_s < least)
			least = r.ttl_s;
	}
	return least;
}

static void make_room(struct cache *cache, const struct cache_entry *e)
{
	while (cache->used && (HASH_COUNT(cache->table) >= cache->settings.entries_max ||
			       cache->bytes + entry_cost(e) > cache->settings.bytes_max))
		forget(cache, cache->used);
}

static bool insert(struct cache *cache, struct cache_entry *e)
{
	struct cache_entry *old = find(cache, &e->key);

	if (old)
		forget(cache, old);
	if (cache->settings.entries_max == 0 || entry_cost(e) > cache->settings.bytes_max)
		return false;
	make_room(cache, e);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, cache->table, e->key.bytes, e->key.len,
				    hash_key(cache, &e->key), e);
	if (!e->hh.tbl)
		return false;
	DL_APPEND(cache->used, e);
	cache->bytes += entry_cost(e);
	return true;
}

bool cache_put(struct cache *cache, const uint8_t *query, size_t query_len, const uint8_t *answer,
	       size_t answer_len, struct instant now)
{
	_cleanup_(entry_freep) struct cache_entry *e = NULL;
	struct dnswire_message q, a;
	uint32_t ttl_s;

	if (dnswire_parse(query, query_len, &q) < 0 || dnswire_parse(answer, answer_len, &a) < 0)
		return false;
	e = calloc(1, sizeof(*e));
	if (!e || !make_key(&q, &e->key) || !is_good_answer(&q, &a))
		return false;
	ttl_s = read_ttls(&a, e);
	if (ttl_s < CACHE_TTL_MIN_S)
		return false;
	e->answer = malloc(answer_len);
	if (!e->answer)
		return false;
	memcpy(e->answer, answer, answer_len);
	e->len = answer_len;
	e->stored = now;
	e->expires = instant_add(now, ttl_s * NSEC_PER_SEC);
	if (!insert(cache, e))
		return false;
	e = NULL; /* the table's now */
	return true;
}

/* A copy of a kept answer for this query, as it looks now. NULL: no memory. */
static uint8_t *copy_answer(const struct cache_entry *e, const struct dnswire_message *q,
			    struct instant now)
{
	uint32_t passed_s = (uint32_t)(instant_sub(now, e->stored) / NSEC_PER_SEC);
	uint8_t *copy = malloc(e->len);

	if (!copy)
		return NULL;
	memcpy(copy, e->answer, e->len);
	dnswire_put16(copy, q->id);
	memcpy(copy + DNSWIRE_HEADER_LEN, q->bytes + DNSWIRE_HEADER_LEN, q->name_len);
	for (size_t i = 0; i < e->ttl_count; i++) {
		uint8_t *p = copy + e->ttl_at[i];

		/* None is below the least one, and that has not passed. */
		dnswire_put32(p,
			      ((uint32_t)dnswire_get16(p) << 16 | dnswire_get16(p + 2)) - passed_s);
	}
	return copy;
}

bool cache_get(struct cache *cache, const uint8_t *query, size_t query_len, struct instant now,
	       uint8_t **ret_answer, size_t *ret_len)
{
	struct cache_entry *e = NULL;
	struct dnswire_message q;
	uint8_t *copy = NULL;
	struct key k;

	if (dnswire_parse(query, query_len, &q) == 0 && make_key(&q, &k))
		e = find(cache, &k);
	if (e && instant_reached(e->expires, now)) {
		forget(cache, e);
		e = NULL;
	}
	if (e)
		copy = copy_answer(e, &q, now);
	if (!copy) {
		cache->misses++;
		return false;
	}
	DL_DELETE(cache->used, e);
	DL_APPEND(cache->used, e);
	cache->hits++;
	*ret_answer = copy;
	*ret_len = e->len;
	return true;
}

void cache_usage(const struct cache *cache, struct cache_usage *ret_usage)
{
	*ret_usage = (struct cache_usage){
		.entries = HASH_COUNT(cache->table),
		.bytes = cache->bytes,
		.hits = cache->hits,
		.misses = cache->misses,
	};
}
