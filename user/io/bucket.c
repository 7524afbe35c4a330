/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Token buckets by source address. No clock: the caller says what time it is.
 *
 * Tokens are counted in nanoseconds of credit, so that no remainder is lost between two
 * queries: a query costs NSEC_PER_SEC / per_second.
 */
#include "io/bucket.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/ipaddr.h"

#define SETS_MAX (1U << 20)

struct bucket {
	struct fq_addr src;
	int64_t credit_ns;
	struct instant seen;
	bool used;
};

struct bucket_table {
	int64_t cost_ns;
	int64_t credit_max_ns;
	uint64_t seed;
	unsigned int sets; /* power of two */
	bool unlimited;
	struct bucket buckets[];
};

int bucket_table_new(const struct bucket_settings *settings, struct bucket_table **ret_table)
{
	struct bucket_table *table;
	unsigned int sets = 1;

	if (settings->burst == 0 || settings->sources_max == 0)
		return -EINVAL;
	while (sets < SETS_MAX && sets * BUCKET_WAYS < settings->sources_max)
		sets *= 2;
	table = calloc(1, sizeof(*table) + (size_t)sets * BUCKET_WAYS * sizeof(table->buckets[0]));
	if (!table)
		return -ENOMEM;
	table->sets = sets;
	table->unlimited = settings->per_second == 0;
	if (!table->unlimited) {
		table->cost_ns = NSEC_PER_SEC / settings->per_second;
		table->credit_max_ns = table->cost_ns * settings->burst;
	}
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) != sizeof(table->seed))
		table->seed =
			(uint64_t)(uintptr_t)table; /* early at boot: better than a constant */
	*ret_table = table;
	return 0;
}

void bucket_table_free(struct bucket_table *table)
{
	free(table);
}

/* The finaliser of MurmurHash3: every bit of the input changes half of the output's. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

static struct bucket *set_of(struct bucket_table *table, const struct fq_addr *src)
{
	uint64_t half[2];

	memcpy(half, src->b, sizeof(half));
	half[0] = mix(half[0] ^ table->seed);
	half[1] = mix(half[1] ^ half[0]);
	return &table->buckets[(half[1] & (table->sets - 1)) * BUCKET_WAYS];
}

/* The bucket of @src; a full one if it had none, in the place of the one seen longest ago. */
static struct bucket *find(struct bucket_table *table, const struct fq_addr *src,
			   struct instant now)
{
	struct bucket *set = set_of(table, src), *oldest = set;

	for (unsigned int i = 0; i < BUCKET_WAYS; i++) {
		if (set[i].used && ipaddr_equal(&set[i].src, src))
			return &set[i];
		if (oldest->used && (!set[i].used || set[i].seen.ns < oldest->seen.ns))
			oldest = &set[i];
	}
	*oldest = (struct bucket){
		.src = *src, .credit_ns = table->credit_max_ns, .seen = now, .used = true};
	return oldest;
}

bool bucket_take(struct bucket_table *table, const struct fq_addr *src, struct instant now)
{
	struct fq_addr key = *src;
	struct bucket *bucket;
	int64_t earned;

	if (table->unlimited)
		return true;
	if (!ipaddr_is_v4(&key))
		key.w[2] = key.w[3] = 0; /* the /64 */
	bucket = find(table, &key, now);
	earned = instant_sub(now, bucket->seen);
	bucket->seen = now;
	bucket->credit_ns = earned >= table->credit_max_ns - bucket->credit_ns
				    ? table->credit_max_ns
				    : bucket->credit_ns + earned;
	if (bucket->credit_ns < table->cost_ns)
		return false;
	bucket->credit_ns -= table->cost_ns;
	return true;
}
