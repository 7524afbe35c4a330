/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash table of a fixed number of buckets, of nodes that live in the structs they belong to.
 *
 * For what may be numerous. Not uthash: its tables grow in one step, which at a million domains
 * makes one message wait for two seconds, and take 56 bytes a node. Here nobody pays for growth,
 * and buckets that were never used take no memory. More nodes than planned for only make chains
 * longer.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct bucket_node {
	struct bucket_node *next;
	uint32_t hash;
};

struct buckets {
	struct bucket_node **first;
	uint32_t mask;  /* number of buckets - 1 */
	uint32_t count; /* of nodes */
};

#define BUCKETS_MIN 64
#define BUCKETS_MAX (1U << 24)

/* The struct that a node (not NULL) lives in. */
#define bucket_owner(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* @planned: nodes that there may be. Return: 0; -ENOMEM. */
static inline int buckets_init(struct buckets *b, uint64_t planned)
{
	uint32_t n = BUCKETS_MIN;

	while (n < planned && n < BUCKETS_MAX)
		n *= 2;
	*b = (struct buckets){.mask = n - 1};
	b->first = calloc(n, sizeof(b->first[0]));
	return b->first ? 0 : -ENOMEM;
}

/* The nodes are the owner's. */
static inline void buckets_done(struct buckets *b)
{
	free(b->first);
	*b = (struct buckets){0};
}

/* The first node that may be the one of @hash; the others follow as ->next. NULL: none. */
static inline struct bucket_node *buckets_first(const struct buckets *b, uint32_t hash)
{
	return b->first[hash & b->mask];
}

/* A look at the bucket of @hash is to follow: have it brought. */
static inline void buckets_expect(const struct buckets *b, uint32_t hash)
{
	__builtin_prefetch(&b->first[hash & b->mask], 1);
}

static inline void buckets_add(struct buckets *b, struct bucket_node *node, uint32_t hash)
{
	struct bucket_node **at = &b->first[hash & b->mask];

	node->hash = hash;
	node->next = *at;
	*at = node;
	b->count++;
}

/* @node is in the table. */
static inline void buckets_remove(struct buckets *b, struct bucket_node *node)
{
	struct bucket_node **at = &b->first[node->hash & b->mask];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	b->count--;
}
