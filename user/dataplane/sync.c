/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over what an earlier daemon has left in the maps: between dataplane_sync_begin and _end
 * this file knows every entry that was found and its value. What is set again as it is costs no
 * call of the kernel; what nobody has set by the end is deleted.
 *
 * A map's entries lie one behind the other, as they were read; a table of open addressing, made
 * when one is looked for, finds them. Its hash is seeded, because edges elsewhere choose keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/internal.h"

/* As many lists as a level of the cache has lines for. */
#define DIGIT_BITS 11
#define DIGITS     (1U << DIGIT_BITS)

static const enum dp_map sync_maps[] = {M_CLIENTS, M_GRANTS, M_FILTERS};

/* What is known of an entry. Its key follows, then its value if the map's walk has told it. */
enum found_state {
	FOUND_STALE, /* nobody has set it yet */
	FOUND_KEPT,  /* it is as it must be */
	FOUND_GONE,  /* deleted since, or seen twice */
};

struct found {
	uint32_t state;
	uint8_t key[];
};

struct slot {
	uint32_t number; /* of the entry, from 1; 0: free */
	uint32_t hash;
};

struct found_map {
	enum dp_map map;
	size_t key_size, value_size; /* 0: values are not known */
	uint8_t *entries;
	size_t count, room;
	struct slot *slots;
	uint32_t mask;
};

struct sync {
	struct found_map tables[M_COUNT];
	bool gateways[FQ_GATEWAYS_MAX]; /* set since */
	uint64_t seed;
};

static size_t entry_size(const struct found_map *t)
{
	return sizeof(struct found) + t->key_size + t->value_size;
}

static struct found *entry(const struct found_map *t, size_t i)
{
	return (struct found *)(t->entries + i * entry_size(t));
}

/* Keys are whole words. */
static uint32_t hash_of(const struct found_map *t, uint64_t seed, const void *key)
{
	const uint32_t *word = key;
	uint64_t h = seed;

	for (size_t i = 0; i < t->key_size / sizeof(*word); i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

/* Where the key stands, or the free place where it would. */
static struct slot *slot_of(const struct found_map *t, uint32_t hash, const void *key)
{
	for (uint32_t i = hash;; i++) {
		struct slot *slot = &t->slots[i & t->mask];

		if (!slot->number || (slot->hash == hash && memcmp(entry(t, slot->number - 1)->key,
								   key, t->key_size) == 0))
			return slot;
	}
}

/* ---- reading the maps ---- */

static int add(void *ctx, const void *key, const void *value)
{
	struct found_map *t = ctx;
	struct found *found;

	if (t->count == t->room) {
		size_t room = t->room ? 2 * t->room : DP_BATCH;
		uint8_t *entries = reallocarray(t->entries, room, entry_size(t));

		if (!entries)
			return -ENOMEM;
		t->entries = entries;
		t->room = room;
	}
	found = entry(t, t->count++);
	found->state = FOUND_STALE;
	memcpy(found->key, key, t->key_size);
	if (t->value_size)
		memcpy(found->key + t->key_size, value, t->value_size);
	return 0;
}

static void index_entry(struct found_map *t, size_t i, uint64_t seed)
{
	struct found *found = entry(t, i);
	uint32_t hash = hash_of(t, seed, found->key);
	struct slot *slot = slot_of(t, hash, found->key);

	/* A walk by keys may show one again. */
	if (slot->number)
		found->state = FOUND_GONE;
	else
		*slot = (struct slot){.number = (uint32_t)i + 1, .hash = hash};
}

static int found_index(struct found_map *t, uint64_t seed)
{
	uint32_t slots = 1;

	/* At most half of them are taken. */
	while (slots < 2 * t->count)
		slots *= 2;
	t->slots = calloc(slots, sizeof(*t->slots));
	t->mask = slots - 1;
	if (!t->slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++)
		index_entry(t, i, seed);
	return 0;
}

static int found_read(struct found_map *t, const struct dataplane *dp, enum dp_map map,
		      uint64_t seed)
{
	int r;

	*t = (struct found_map){
		.map = map,
		.key_size = map_specs[map].key_size,
		.value_size = map_has_batches(map) ? map_specs[map].value_size : 0,
	};
	r = map_walk(map, dp->maps[map], add, t);
	return r < 0 ? r : found_index(t, seed);
}

void sync_free(struct sync *sync)
{
	if (!sync)
		return;
	for (enum dp_map m = 0; m < M_COUNT; m++) {
		free(sync->tables[m].entries);
		free(sync->tables[m].slots);
	}
	free(sync);
}

DEFINE_CLEANUP(struct sync *, sync_free)

int dataplane_sync_begin(struct dataplane *dp)
{
	_cleanup_(sync_freep) struct sync *sync = calloc(1, sizeof(*sync));
	int r;

	if (!sync)
		return -ENOMEM;
	if (getrandom(&sync->seed, sizeof(sync->seed), 0) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(sync_maps) / sizeof(sync_maps[0]); i++) {
		r = found_read(&sync->tables[sync_maps[i]], dp, sync_maps[i], sync->seed);
		if (r < 0)
			return r;
	}
	r = proxies_begin(dp->proxies);
	if (r < 0)
		return r;
	sync_free(dp->sync);
	dp->sync = TAKE_PTR(sync);
	return 0;
}

/* ---- what is set meanwhile ---- */

/* NULL: it was not there when taking over began, or nobody is, or not this map. */
static struct found *find(const struct dataplane *dp, enum dp_map map, const void *key)
{
	const struct found_map *t = dp->sync ? &dp->sync->tables[map] : NULL;
	const struct slot *slot;

	if (!t || !t->slots)
		return NULL;
	slot = slot_of(t, hash_of(t, dp->sync->seed, key), key);
	return slot->number ? entry(t, slot->number - 1) : NULL;
}

bool sync_is_kept(struct dataplane *dp, enum dp_map map, const void *key, const void *value)
{
	struct found *found = find(dp, map, key);
	const struct found_map *t;

	if (!found || found->state == FOUND_GONE)
		return false;
	t = &dp->sync->tables[map];
	if (!t->value_size || memcmp(found->key + t->key_size, value, t->value_size) != 0)
		return false;
	found->state = FOUND_KEPT;
	return true;
}

void sync_written(struct dataplane *dp, enum dp_map map, const void *key, const void *value)
{
	struct found *found = find(dp, map, key);
	const struct found_map *t;

	if (!found)
		return;
	t = &dp->sync->tables[map];
	found->state = FOUND_KEPT;
	memcpy(found->key + t->key_size, value, t->value_size);
}

void sync_deleted(struct dataplane *dp, enum dp_map map, const void *key)
{
	struct found *found = find(dp, map, key);

	if (found)
		found->state = FOUND_GONE;
}

void sync_gateway(struct dataplane *dp, uint32_t id, bool set)
{
	if (dp->sync)
		dp->sync->gateways[id] = set;
}

/* ---- what was found ---- */

static uint64_t place_of(const struct dp_xlat *x)
{
	return (uint64_t)x->scope << 32 | x->domain;
}

static unsigned int digit_of(const struct dp_xlat *x, unsigned int shift)
{
	return place_of(x) >> shift & (DIGITS - 1);
}

/* One step of sort_xlats: by one digit, else in the order that they have. */
static void sort_by_digit(const struct dp_xlat *list, size_t count, unsigned int shift,
			  struct dp_xlat *ret_list)
{
	size_t at[DIGITS] = {0}, next = 0;

	for (size_t i = 0; i < count; i++)
		at[digit_of(&list[i], shift)]++;
	for (unsigned int d = 0; d < DIGITS; d++) {
		size_t n = at[d];

		at[d] = next;
		next += n;
	}
	for (size_t i = 0; i < count; i++)
		ret_list[at[digit_of(&list[i], shift)]++] = list[i];
}

/*
 * By scope and domain, digit by digit from the last one: both are small numbers, of which few
 * digits differ, and comparing a million with each other takes several times as long.
 */
static int sort_xlats(struct dp_xlat **list, size_t count)
{
	_cleanup_(freep) struct dp_xlat *other = calloc(count + 1, sizeof(*other));
	uint64_t differ = 0;

	if (!other)
		return -ENOMEM;
	for (size_t i = 1; i < count; i++)
		differ |= place_of(&(*list)[i]) ^ place_of(*list);
	for (unsigned int shift = 0; shift < 64; shift += DIGIT_BITS) {
		struct dp_xlat *sorted = other;

		if (!(differ >> shift & (DIGITS - 1)))
			continue;
		sort_by_digit(*list, count, shift, sorted);
		other = *list;
		*list = sorted;
	}
	return 0;
}

struct xlat_list {
	struct dp_xlat *list;
	size_t count, room;
};

static int add_xlat(void *ctx, const struct fq_xlat_key *key, const struct fq_edge *edge,
		    const struct fq_xlat *xlat)
{
	struct xlat_list *l = ctx;

	(void)edge;
	if (!xlat)
		return 0;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : DP_BATCH;
		struct dp_xlat *list = reallocarray(l->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		l->list = list;
		l->room = room;
	}
	l->list[l->count++] = (struct dp_xlat){
		.scope = key->scope, .domain = xlat->domain, .key = *key, .value = xlat};
	return 0;
}

int dataplane_sync_xlats(const struct dataplane *dp, struct dp_xlat **ret_list, size_t *ret_count)
{
	struct xlat_list l = {0};
	int r = proxies_each(dp->proxies, add_xlat, &l);

	if (r == 0)
		r = sort_xlats(&l.list, l.count);
	if (r < 0) {
		free(l.list);
		return r;
	}
	*ret_list = l.list;
	*ret_count = l.count;
	return 0;
}

void dataplane_sync_keep(struct dataplane *dp, const struct dp_xlat *xlat)
{
	proxies_keep_xlat(dp->proxies, &xlat->key);
}

/* ---- the end ---- */

static int delete_stale(struct dataplane *dp, const struct found_map *t, int *n)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct found *found = entry(t, i);
		int r;

		if (found->state != FOUND_STALE)
			continue;
		r = map_del(dp, t->map, found->key);
		if (r < 0)
			return r;
		++*n;
	}
	return 0;
}

int dataplane_sync_end(struct dataplane *dp)
{
	_cleanup_(sync_freep) struct sync *sync = TAKE_PTR(dp->sync);
	int n = 0;

	if (!sync)
		return 0;
	n += (int)proxies_end(dp->proxies);
	for (enum dp_map m = 0; m < M_COUNT; m++) {
		int r = delete_stale(dp, &sync->tables[m], &n);

		if (r < 0)
			return r;
	}
	for (uint32_t id = 1; id < FQ_GATEWAYS_MAX; id++) {
		int r = sync->gateways[id] ? 0 : gateway_clear(dp, id);

		if (r < 0)
			return r;
		n += r;
	}
	return n;
}
