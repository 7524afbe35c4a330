/* SPDX-License-Identifier: BSD-2-Clause */
/* Names in the programs' arrays, see dnsnames.h. */
#include "dataplane/dnsnames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/elements.h"

struct dnsnames {
	struct fq_dns_table *table;
	struct pages buckets;
	struct elements names;
};

/* Where a name is, or could be. */
struct place {
	uint64_t hash;
	__u64 *slot;              /* NULL: nowhere */
	struct fq_dns_name *name; /* that stands there; NULL: the slot is free */
};

static uint64_t bucket_of(const struct dnsnames *n, uint64_t hash)
{
	return hash & (n->table->buckets - 1);
}

static struct place find(const struct dnsnames *n, const struct fq_dns_key *key)
{
	struct place p = {.hash = dns_hash(n->table, key)};
	struct fq_dns_bucket *b = pages_at(&n->buckets, bucket_of(n, p.hash));

	for (unsigned int i = 0; b && i < DNS_SLOTS; i++) {
		uint64_t slot = b->slot[i];

		if (!slot && !p.slot)
			p.slot = &b->slot[i];
		if (!slot || slot >> 32 != p.hash >> 32)
			continue;
		/* The programs look at one element only. */
		p.slot = NULL;
		p.name = pages_at(&n->names.pages, (uint32_t)slot);
		if (dns_same_key(&p.name->key, key))
			p.slot = &b->slot[i];
		break;
	}
	return p;
}

/* The programs see all that was written before, and then this. */
static void put(__u64 *slot, uint64_t value)
{
	__atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

static void drop(struct dnsnames *n, __u64 *slot)
{
	uint32_t index = (uint32_t)*slot;

	put(slot, 0);
	elements_give(&n->names, index);
}

/* The instants aside. */
static bool says_the_same(const struct fq_dns *a, const struct fq_dns *b)
{
	return a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6 &&
	       memcmp(a->v4, b->v4, sizeof(a->v4)) == 0 && memcmp(a->v6, b->v6, sizeof(a->v6)) == 0;
}

static int add(struct dnsnames *n, const struct place *p, const struct fq_dns_key *key,
	       const struct fq_dns *dns)
{
	struct fq_dns_name *name;
	uint32_t index;
	int r = elements_take(&n->names, p->name, &index);

	if (r < 0)
		return r;
	name = pages_at(&n->names.pages, index);
	*name = (struct fq_dns_name){.key = *key, .dns = *dns};
	put(p->slot, p->hash >> 32 << 32 | index);
	return 0;
}

int dnsnames_set(struct dnsnames *n, const struct fq_dns_key *key, const struct fq_dns *dns)
{
	struct place p = find(n, key);
	uint32_t before;
	void *bucket;
	int r;

	if (!p.slot && !p.name) {
		r = pages_get(&n->buckets, bucket_of(n, p.hash), &bucket);
		if (r < 0)
			return r;
		p = find(n, key);
	}
	if (!p.slot)
		return -ENOSPC;
	if (!p.name)
		return add(n, &p, key, dns);
	if (says_the_same(&p.name->dns, dns)) {
		__atomic_store_n(&p.name->dns.end, dns->end, __ATOMIC_RELAXED);
		__atomic_store_n(&p.name->dns.renew_at, dns->renew_at, __ATOMIC_RELAXED);
		return 0;
	}
	before = (uint32_t)*p.slot;
	r = add(n, &p, key, dns);
	if (r < 0)
		drop(n, p.slot); /* better none than what is not so any more */
	else
		elements_give(&n->names, before);
	return r;
}

void dnsnames_del(struct dnsnames *n, const struct fq_dns_key *key)
{
	struct place p = find(n, key);

	if (p.slot && p.name)
		drop(n, p.slot);
}

bool dnsnames_get(const struct dnsnames *n, const struct fq_dns_key *key, struct fq_dns *ret_dns)
{
	struct place p = find(n, key);

	if (!p.slot || !p.name)
		return false;
	*ret_dns = p.name->dns;
	return true;
}

/* Every slot in which a name stands. */
static void each_slot(struct dnsnames *n, void (*cb)(struct dnsnames *n, __u64 *slot))
{
	for (uint64_t page = 0; page < DNS_BUCKET_PAGES; page++) {
		__u64 *slot = pages_at(&n->buckets, page << DNS_BUCKET_BITS);

		for (unsigned int i = 0; slot && i < DNS_SLOTS << DNS_BUCKET_BITS; i++)
			if (slot[i])
				cb(n, &slot[i]);
	}
}

void dnsnames_clear(struct dnsnames *n)
{
	each_slot(n, drop);
}

static void empty(struct dnsnames *n, __u64 *slot)
{
	(void)n;
	put(slot, 0);
}

/* What an earlier process has said, of whose elements nothing is known here. */
static int forget(struct dnsnames *n)
{
	each_slot(n, empty);
	*n->names.used = 0;
	return pages_wait(&n->names.pages);
}

static uint32_t buckets_for(uint32_t max)
{
	uint32_t buckets = DNS_BUCKETS_MIN;

	while (buckets < DNS_BUCKETS_MAX && buckets < max / 2)
		buckets *= 2;
	return buckets;
}

static int set_up(struct fq_dns_table *table, uint32_t max)
{
	struct fq_dns_table fresh = {0};

	if (!table->buckets) {
		if (getrandom(fresh.key, sizeof(fresh.key), 0) != sizeof(fresh.key))
			return -EIO;
		*table = fresh;
	}
	table->buckets = buckets_for(max);
	return 0;
}

int dnsnames_open(const struct dnsnames_fds *fds, struct fq_dns_table *table, uint32_t max,
		  struct dnsnames_usage *usage, struct dnsnames **ret_names)
{
	_cleanup_(dnsnames_freep) struct dnsnames *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->table = table;
	usage->max = max;
	n->buckets = (struct pages){.fd = fds->dns,
				    .size = sizeof(struct fq_dns_bucket),
				    .bits = DNS_BUCKET_BITS,
				    .count = DNS_BUCKET_PAGES,
				    .write = true,
				    .there = usage->bucket_pages};
	n->names = (struct elements){.pages = {.fd = fds->names,
					       .size = sizeof(struct fq_dns_name),
					       .bits = DNS_NAME_BITS,
					       .count = DNS_NAME_PAGES,
					       .write = true,
					       .there = usage->name_pages},
				     .fresh = 1,
				     .used = &usage->names,
				     .max = &usage->max};
	n->names.pages.kept = -1;
	r = pages_open(&n->buckets);
	if (r == 0)
		r = pages_open(&n->names.pages);
	if (r == 0)
		r = forget(n);
	if (r == 0)
		r = set_up(table, max);
	if (r < 0)
		return r;
	*ret_names = TAKE_PTR(n);
	return 0;
}

struct dnsnames *dnsnames_free(struct dnsnames *n)
{
	if (!n)
		return NULL;
	pages_close(&n->buckets);
	elements_close(&n->names);
	free(n);
	return NULL;
}
