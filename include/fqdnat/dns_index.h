/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where what is answered about a name stands: part of the ABI (<fqdnat/abi.h>).
 *
 * Two arrays, each a map of maps whose pages are made as they are needed:
 *
 *     dns        buckets, by the hash of the name: a cache line that says which elements to look at
 *     dns_names  elements: a name, and what is answered
 *
 * User space writes, the programs read, without a lock, as in <fqdnat/proxy_index.h>: an element is
 * complete before a bucket says where it is, only the instants in it change where they stand, and
 * it is used again only when every program that may know it has ended (a grace period).
 *
 * A name whose bucket is full is not here: the daemon answers it.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include <fqdnat/abi.h>

/* Elements of a page, by powers of 2. */
#define DNS_BUCKET_BITS 10
#define DNS_NAME_BITS   12

#define DNS_NAMES_MAX    (1U << 22)
#define DNS_BUCKETS_MAX  (DNS_NAMES_MAX / 2)
#define DNS_BUCKETS_MIN  (1U << DNS_BUCKET_BITS)
#define DNS_BUCKET_PAGES (DNS_BUCKETS_MAX >> DNS_BUCKET_BITS)
#define DNS_NAME_PAGES   ((DNS_NAMES_MAX >> DNS_NAME_BITS) + 1)

#define DNS_SLOTS 8 /* of a bucket */

/* A slot: the hash's upper half in its own, the element in its lower; 0: none. */
struct fq_dns_bucket {
	__u64 slot[DNS_SLOTS];
};

/* What the answer to the most frequent question needs is in the first two cache lines. */
struct fq_dns_name {
	struct fq_dns_key key;
	struct fq_dns dns;
	__u8 pad[48]; /* zero */
};

FQ_ASSERT_SIZE(struct fq_dns_bucket, 64);
FQ_ASSERT_SIZE(struct fq_dns_name, 192);

/*
 * Multilinear hashing, and mixing behind it, as in table_hash (<fqdnat/table.h>): clients choose
 * names. Words in the order of the wire, so that zeros behind the name do not count.
 */
static inline __attribute__((always_inline)) __u64 dns_hash(const struct fq_dns_table *t,
							    const struct fq_dns_key *key)
{
	__u64 h = t->key[0];

	for (int i = 0; i < FQ_DNS_NAME_MAX / 8; i++)
		h += t->key[2 * i + 1] * (__u32)key->word[i] +
		     t->key[2 * i + 2] * (key->word[i] >> 32);
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccd;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53;
	return h ^ h >> 33;
}

static inline __attribute__((always_inline)) _Bool dns_same_key(const struct fq_dns_key *a,
								const struct fq_dns_key *b)
{
	__u64 differs = 0;

	for (int i = 0; i < FQ_DNS_NAME_MAX / 8; i++)
		differs |= a->word[i] ^ b->word[i];
	return !differs;
}

/* Which element a bucket names for this hash; 0: none. */
static inline __attribute__((always_inline)) __u32 dns_slot(const struct fq_dns_bucket *b,
							    __u64 hash)
{
	for (int i = 0; i < DNS_SLOTS; i++) {
		__u64 slot = *(const volatile __u64 *)&b->slot[i];

		if (slot && slot >> 32 == hash >> 32)
			return (__u32)slot;
	}
	return 0;
}
