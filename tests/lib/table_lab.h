/* SPDX-License-Identifier: BSD-2-Clause */
/* A session table in ordinary memory, for the tests of fqdnat/table.h. */
#pragma once

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fqdnat/table.h>

struct table_lab {
	struct fq_table table;
	struct fq_slot *slot;
	struct fq_slot6 *slot6;
	uint64_t random;
};

static inline struct fq_slot *table_at(const struct table_query *q, __u32 index)
{
	const struct table_lab *lab = q->arrays;

	return index < lab->table.slots ? &lab->slot[index] : NULL;
}

static inline struct fq_slot6 *table_at6(const struct table_query *q, __u32 index)
{
	const struct table_lab *lab = q->arrays;

	return index < lab->table.slots ? &lab->slot6[index] : NULL;
}

static inline struct table_query table_lab_query(const struct table_lab *lab,
						 const struct fq_tuple *tuple)
{
	struct table_query q = table_query(&lab->table, tuple);

	q.arrays = lab;
	return q;
}

/* SplitMix64 */
static inline uint64_t table_lab_random(struct table_lab *lab)
{
	uint64_t z = lab->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline void table_lab_free(struct table_lab *lab)
{
	if (!lab)
		return;
	free(lab->slot);
	free(lab->slot6);
	free(lab);
}

static inline struct table_lab *table_lab_new(uint32_t slots, uint64_t seed)
{
	struct table_lab *lab = calloc(1, sizeof(*lab));

	assert(lab && slots % 2 == 0 && slots >= TABLE_SLOTS_MIN);
	lab->slot = aligned_alloc(64, slots * sizeof(*lab->slot));
	lab->slot6 = calloc(slots, sizeof(*lab->slot6));
	assert(lab->slot && lab->slot6);
	memset(lab->slot, 0, slots * sizeof(*lab->slot));
	lab->table.slots = slots;
	lab->random = seed;
	for (int i = 0; i < FQ_TABLE_KEYS; i++)
		lab->table.key[i] = table_lab_random(lab);
	return lab;
}

/* Addresses and ports in host order. */
static inline struct fq_tuple table_lab_tuple(uint32_t src, uint32_t dst, uint16_t sport,
					      uint16_t dport, uint8_t proto)
{
	return (struct fq_tuple){
		.src.w = {0, 0, bpf_htonl(0xffff), bpf_htonl(src)},
		.dst.w = {0, 0, bpf_htonl(0xffff), bpf_htonl(dst)},
		.sport = bpf_htons(sport),
		.dport = bpf_htons(dport),
		.proto = proto,
	};
}

/* The claimed entry of a key. Its results are all derived from @serial, so that a mixture shows. */
static inline void table_lab_fill(struct table_lab *lab, const struct table_claim *c,
				  const struct table_query *q, const struct fq_tuple *k,
				  uint32_t serial)
{
	struct fq_slot *s = c->slot;

	s->ports = q->ports;
	s->print = q->print;
	if (q->kind & TABLE_KIND_IP6) {
		s->gateway = s->zero = 0;
		lab->slot6[c->index] = (struct fq_slot6){.src = k->src, .dst = k->dst};
	} else {
		s->to_src = serial;
		s->to_dst = ~serial;
	}
	s->to_port = (uint16_t)serial;
	s->hop = 0;
	s->last = serial;
	s->gen = serial;
	s->counts = 0;
	s->tcp.ack = s->tcp.edge = s->tcp.next = 0;
}

/* The key of an IPv4 entry. */
static inline struct fq_tuple table_lab_key(const struct table_lab *lab, uint32_t index)
{
	static const uint8_t proto[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	const struct fq_slot *s = &lab->slot[index];

	return (struct fq_tuple){
		.src.w = {0, 0, bpf_htonl(0xffff), s->src},
		.dst.w = {0, 0, bpf_htonl(0xffff), s->dst},
		.sport = s->sport,
		.dport = s->dport,
		.proto = proto[s->kind & TABLE_KIND_PROTO],
	};
}

/* @n keys of one home, by trying. */
static inline void table_lab_same_home(const struct table_lab *lab, uint32_t home,
				       struct fq_tuple *keys, unsigned int n)
{
	uint32_t src = 0x0a000000;

	for (unsigned int i = 0; i < n; src++) {
		struct table_query q;

		keys[i] = table_lab_tuple(src, 0x64600001, 4000, 0, IPPROTO_UDP);
		q = table_lab_query(lab, &keys[i]);
		i += q.home == home;
	}
}
