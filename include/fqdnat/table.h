/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session table: a hash table in arrays, a cache line for each direction of a session.
 *
 * Pure: no helper, no map; compiled for BPF and natively. Who includes it says where a line is
 * (table_at, table_at6). Layout, protocol and proof are in docs/session-table.md; its model is
 * tests/model/table.pml.
 *
 * In short: line h is two things, a slot for any entry, and the home of the keys that hash to h.
 * Those stand in some of 64 slots around it (table_probe), and the home's word @bits says in which.
 * A key is in the table if and only if a set bit of its home leads to it. So adding is one
 * compare-and-swap of that word, removing is one atomic AND, and a reader needs one line where the
 * entry stands at home, two mostly where it does not.
 *
 * Two rules carry the proof:
 *  - Programs run between rcu_read_lock and rcu_read_unlock. What was removed is not freed before
 *    every program that ran then has ended (a grace period); only user space frees.
 *  - Entries are complete before their bit is set, and what they are found by never changes.
 */
#pragma once

#include <stdbool.h>

#include <bpf/bpf_endian.h>

#include <fqdnat/session.h>

#define TABLE_PROBES 64
#define TABLE_TRIES  8 /* compare-and-swaps of a home before a session is refused */

#define table_inline static inline __attribute__((always_inline))

/* Where to look for a key, and for what: as in fq_slot. */
struct table_query {
	__u64 print;
	__u32 ports;
	__u32 kind; /* TABLE_KIND_KEY of it */
	__u32 slots;
	__u32 home;
#ifndef __bpf__
	const void *arrays; /* which table: for table_at and table_at6 */
#endif
};

/* Given by who includes this. Return: NULL where @index is not below q->slots, and only there. */
static inline struct fq_slot *table_at(const struct table_query *q, __u32 index);
static inline struct fq_slot6 *table_at6(const struct table_query *q, __u32 index);

/*
 * BPF, given by who includes this: have the memory bring fq_slot6 @index, which will be needed if
 * the entry is there, while it brings the line that tells. There is no instruction for that, so it
 * is a load whose result nobody waits for.
 */
static inline void table_touch6(__u32 index);

/*
 * What other CPUs change. A reader's way from the bits to the entry is an address dependency, which
 * both x86 and arm64 keep in order; a BPF program has no load-acquire on Linux 6.1, and the branch
 * on the bit alone orders nothing. table_after makes an index depend on the bits that led to it.
 */
#ifdef __bpf__
#define table_global  __attribute__((noinline)) /* as fq_global: the verifier looks at it once */
#define TABLE_LOAD(x) (*(const volatile __typeof__(x) *)&(x))

table_inline __u64 table_after(__u64 index, __u64 bits)
{
	asm volatile("%[bits] &= 0\n\t%[index] += %[bits]"
		     : [index] "+r"(index), [bits] "+r"(bits));
	return index;
}
#else
#define table_global  static inline
#define TABLE_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

table_inline __u64 table_after(__u64 index, __u64 bits)
{
	(void)bits;
	return index;
}

table_inline void table_touch6(__u32 index)
{
	(void)index;
}
#endif

/* State and kind in the word around them. */
table_inline __u32 table_word(__u8 state, __u8 kind)
{
	union {
		__u8 b[4];
		__u32 w;
	} word = {.b = {state, 0, kind, 0}};

	return word.w;
}

/* Two halves of a word, in the order in which they stand in memory. */
table_inline __u32 table_pair16(__be16 first, __be16 second)
{
	union {
		__be16 half[2];
		__u32 w;
	} word = {.half = {first, second}};

	return word.w;
}

table_inline __u64 table_pair32(__be32 first, __be32 second)
{
	union {
		__be32 half[2];
		__u64 w;
	} word = {.half = {first, second}};

	return word.w;
}

#define TABLE_TCP 6 /* IP protocol numbers */
#define TABLE_UDP 17

table_inline __u8 table_kind(const struct fq_tuple *tuple)
{
	const struct fq_addr *a = &tuple->src;
	bool v4 = !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
	__u8 proto = tuple->proto == TABLE_TCP ? 0 : tuple->proto == TABLE_UDP ? 1 : 2;

	return proto | (v4 ? 0 : TABLE_KIND_IP6);
}

/*
 * Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast"): two keys
 * have the same sum for one choice of random multipliers in 2^33. The mixing behind it
 * (MurmurHash3's 64-bit finalizer) is not linear: who has found out, by timing, that two keys share
 * a home has learnt nothing about others.
 */
table_inline __u64 table_hash(const struct fq_table *t, const struct fq_tuple *tuple, __u32 ports,
			      __u8 kind)
{
	__u64 h = t->key[0] + t->key[1] * tuple->src.w[3] + t->key[2] * tuple->dst.w[3] +
		  t->key[3] * ports + t->key[4] * kind;

	if (kind & TABLE_KIND_IP6)
		for (int i = 0; i < 3; i++)
			h += t->key[5 + i] * tuple->src.w[i] + t->key[8 + i] * tuple->dst.w[i];
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccd;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53;
	return h ^ h >> 33;
}

table_inline struct table_query table_query(const struct fq_table *t, const struct fq_tuple *tuple)
{
	__u32 ports = table_pair16(tuple->sport, tuple->dport);
	__u8 kind = table_kind(tuple);
	__u64 hash = table_hash(t, tuple, ports, kind);

	return (struct table_query){
		.print = kind & TABLE_KIND_IP6 ? hash
					       : table_pair32(tuple->src.w[3], tuple->dst.w[3]),
		.ports = ports,
		.kind = kind,
		.slots = t->slots,
		.home = (hash >> 32) * t->slots >> 32,
	};
}

/*
 * Where keys of a home may stand, best first: at home, in the line that processors fetch together
 * with it, and then ever farther away, so that crowded homes do not get into each other's way.
 */
table_inline __u32 table_probe(__u32 slots, __u32 home, __u32 i)
{
	__u32 index = home + i * (i + 1) / 2;

	if (i == 1)
		return home ^ 1;
	return index < slots ? index : index - slots;
}

table_inline bool table_same_addr(const struct fq_addr *a, const struct fq_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

/* Does the key stand there? Only of slots that a bit has led to. */
table_inline bool table_is(const struct fq_slot *s, __u32 index, const struct table_query *q,
			   const struct fq_tuple *key)
{
	const struct fq_slot6 *six;

	if ((TABLE_LOAD(s->word) & table_word(0, TABLE_KIND_KEY)) != table_word(0, q->kind) ||
	    s->ports != q->ports || s->print != q->print)
		return false;
	if (!(q->kind & TABLE_KIND_IP6))
		return true;
	six = table_at6(q, index);
	return six && table_same_addr(&six->src, &key->src) &&
	       table_same_addr(&six->dst, &key->dst);
}

/* Look for the key at the places that @bits names. Return: its index; TABLE_NONE. */
table_inline __u32 table_look(const struct table_query *q, const struct fq_tuple *key, __u64 bits)
{
	for (__u32 i = 0; i < TABLE_PROBES && bits >> i; i++) {
		struct fq_slot *s;
		__u32 index;

		if (!(bits >> i & 1))
			continue;
		index = table_after(table_probe(q->slots, q->home, i), bits);
		s = table_at(q, index);
		if (s && table_is(s, index, q, key))
			return index;
	}
	return TABLE_NONE;
}

table_global __u32 table_scan(const struct table_query *q, const struct fq_tuple *key, __u64 bits)
{
	return q && key ? table_look(q, key, bits) : TABLE_NONE;
}

#ifdef __bpf__
/*
 * The same for IPv4, whose key a query holds completely: for who has it in registers, and would
 * keep in memory whatever has an address.
 */
table_global __u32 table_scan4(__u64 print, __u32 ports, __u32 kind, __u64 place, __u64 bits)
{
	const struct table_query q = {
		.print = print,
		.ports = ports,
		.kind = kind & ~TABLE_KIND_IP6,
		.slots = place >> 32,
		.home = place,
	};

	return table_look(&q, NULL, bits);
}
#endif

/*
 * The entry of a key if it stands at home; else NULL, and *@ret_bits says where else it may stand,
 * for table_scan: nowhere if they are 0.
 */
table_inline struct fq_slot *table_home(const struct table_query *q, const struct fq_tuple *key,
					__u64 *ret_bits)
{
	struct fq_slot *home = table_at(q, q->home);
	__u64 bits;

	*ret_bits = 0;
	if (!home)
		return NULL;
	if (q->kind & TABLE_KIND_IP6)
		table_touch6(q->home);
	bits = TABLE_LOAD(home->bits);
	if (bits & 1) {
		struct fq_slot *s = (void *)home + table_after(0, bits);

		if (table_is(s, q->home, q, key))
			return s;
	}
	*ret_bits = bits & ~1ULL;
	return NULL;
}

/*
 * Find an entry. It stays what it is until the program has ended, even if it is removed meanwhile.
 *
 * @ret_index: where it is; TABLE_NONE if there is none
 *
 * Return: it; NULL.
 */
table_inline struct fq_slot *table_lookup(const struct table_query *q, const struct fq_tuple *key,
					  __u32 *ret_index)
{
	__u64 bits;
	struct fq_slot *s = table_home(q, key, &bits);

	*ret_index = s ? q->home : bits ? table_scan(q, key, bits) : TABLE_NONE;
	return s ? s : table_at(q, *ret_index);
}

enum table_result {
	TABLE_DONE,
	TABLE_EXISTS, /* another entry has the key, or has just ended */
	TABLE_FULL,   /* no place for it */
	TABLE_BUSY,   /* others have been faster too often */
};

/* An entry in the making. */
struct table_claim {
	struct fq_slot *slot;
	__u64 seen; /* bits of the home behind which the key does not stand */
	__u32 index;
	__u32 probe;
};

/*
 * Add an entry, first step: a slot. The caller fills it, everything behind the word, and its
 * companions of the same index; then comes table_publish, or table_abandon.
 *
 * @flags: TABLE_KIND_* that are not part of the key
 *
 * Return: DONE; EXISTS; FULL.
 */
table_inline enum table_result table_claim(const struct table_query *q, const struct fq_tuple *key,
					   __u8 flags, struct table_claim *ret_claim)
{
	struct fq_slot *home = table_at(q, q->home);
	__u8 kind = q->kind | flags;
	struct table_claim c = {};

	if (!home)
		return TABLE_FULL;
	c.seen = TABLE_LOAD(home->bits);
	if (c.seen && table_scan(q, key, c.seen) != TABLE_NONE)
		return TABLE_EXISTS;
	for (c.probe = 0; c.probe < TABLE_PROBES; c.probe++) {
		c.index = table_probe(q->slots, q->home, c.probe);
		c.slot = table_at(q, c.index);
		if (!c.slot || TABLE_LOAD(c.slot->word) != TABLE_FREE)
			continue;
		if (__sync_val_compare_and_swap(&c.slot->word, TABLE_FREE,
						table_word(TABLE_CLAIMED, kind)) != TABLE_FREE)
			continue;
		*ret_claim = c;
		return TABLE_DONE;
	}
	return TABLE_FULL;
}

/* Give back a slot that nobody has seen. */
table_inline void table_abandon(const struct table_claim *c)
{
	/* Whoever claims it next comes after all that has been written here. */
	__atomic_exchange_n(&c->slot->word, TABLE_FREE, __ATOMIC_SEQ_CST);
}

/*
 * Add an entry, last step: from here on it is found. If the home's word is not what it was, only
 * what has been added since is looked at. A bit that was cleared cannot have been set again: the
 * slot behind it waits for a grace period, and so for this program.
 *
 * Return: DONE; EXISTS or BUSY: the slot is given back.
 */
table_inline enum table_result table_publish(const struct table_query *q,
					     const struct fq_tuple *key, struct table_claim *c)
{
	struct fq_slot *home = table_at(q, q->home);
	enum table_result r = TABLE_BUSY;

	for (int n = 0; home && n < TABLE_TRIES; n++) {
		__u64 bits = __sync_val_compare_and_swap(&home->bits, c->seen,
							 c->seen | 1ULL << c->probe);

		if (bits == c->seen) {
			__sync_fetch_and_or(&c->slot->word, table_word(TABLE_LIVE, 0));
			return TABLE_DONE;
		}
		if (bits & ~c->seen && table_scan(q, key, bits & ~c->seen) != TABLE_NONE) {
			r = TABLE_EXISTS;
			break;
		}
		c->seen = bits;
	}
	table_abandon(c);
	return r;
}

/* Take a dead entry out of its home's word, if it is still there. */
table_inline void table_unlink(struct fq_slot *home, __u32 probe)
{
	__sync_fetch_and_and(&home->bits, ~(1ULL << probe));
}

/*
 * Remove a live entry. It is found no longer, but not free yet.
 *
 * Return: false if somebody else has.
 */
table_inline bool table_remove(struct fq_slot *home, struct fq_slot *s, __u32 probe)
{
	__u32 dead = table_word(TABLE_DEAD, 0);

	if (__sync_fetch_and_or(&s->word, dead) & dead)
		return false;
	table_unlink(home, probe);
	return true;
}

/* Which of its home's probes is the slot? Return: TABLE_PROBES if none. */
table_inline __u32 table_probe_of(__u32 slots, __u32 home, __u32 index)
{
	__u32 i = 0;

	while (i < TABLE_PROBES && table_probe(slots, home, i) != index)
		i++;
	return i;
}

#ifndef __bpf__
/* Free a dead entry that is not linked: a grace period after that, and by user space alone. */
static inline void table_free(struct fq_slot *s)
{
	__atomic_store_n(&s->word, TABLE_FREE, __ATOMIC_RELEASE);
}
#endif
