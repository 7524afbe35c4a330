/* SPDX-License-Identifier: BSD-2-Clause */
/* See table_put.h. */
#include "table_put.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "base/ipaddr.h"
#include "dataplane/table_at.h"

static uint8_t flags_of(const struct session_entry *e)
{
	return (e->dir == FQ_DIR_IN ? TABLE_KIND_IN : 0) | (e->gateway ? TABLE_KIND_FORWARD : 0) |
	       (ipaddr_is_v4(&e->dst) ? 0 : TABLE_KIND_TO6);
}

static void fill_slot(struct fq_slot *s, const struct table_query *q, const struct fq_tuple *key,
		      const struct session_entry *e)
{
	s->ports = q->ports;
	s->print = q->print;
	if (!(q->kind & TABLE_KIND_IP6)) {
		s->to_src = e->src.w[3];
		s->to_dst = e->dst.w[3];
	}
	if (e->gateway)
		s->gateway = e->gateway;
	s->to_port = e->port;
	s->hop = e->hop ? e->hop : TABLE_HOP_NONE;
	s->gen = e->gen;
	s->last = e->last ? table_ticks(e->last) : 0;
	s->counts = (e->packets << 32) + e->bytes;
	s->tcp.ack = e->tcp.ack;
	s->tcp.edge = e->tcp.edge;
	s->tcp.next = e->tcp.next;
	if (key->proto == IPPROTO_UDP)
		s->peer_port = e->peer_port;
	s->tcp_seen = e->tcp_seen;
	s->wscale = e->tcp.wscale;
}

static void fill_cold(struct fq_cold *c, const struct session_entry *e)
{
	*c = (struct fq_cold){
		.created = e->created,
		.domain = e->domain,
		.resource = e->resource,
		.client = e->client,
		.carry = (uint32_t)((e->packets + (e->bytes >> 32)) >> 32) * TABLE_CARRY_COUNTS +
			 (uint32_t)(e->bytes >> 32) * TABLE_CARRY_BYTES,
		.syn_end = e->tcp.syn_end,
		.syn_len = e->tcp.syn_len,
		.syn_wscale = e->tcp.syn_wscale,
		.syn_pending = e->tcp.syn_pending,
	};
}

static void fill(struct session_table *t, uint32_t index, const struct table_query *q,
		 const struct fq_tuple *key, const struct session_entry *e)
{
	fill_slot(&t->slot[index], q, key, e);
	fill_cold(&t->cold[index], e);
	t->six[index] = (struct fq_slot6){
		.src = key->src, .dst = key->dst, .to_src = e->src, .to_dst = e->dst};
}

void table_put(struct session_table *t, const struct fq_tuple *key, const struct session_entry *e)
{
	struct table_query q = table_query(t->table, key);
	struct table_claim claim;
	uint32_t index;

	q.arrays = t;
	if (table_lookup(&q, key, &index)) {
		fill(t, index, &q, key, e);
		return;
	}
	assert(table_claim(&q, key, flags_of(e), &claim) == TABLE_DONE);
	fill(t, claim.index, &q, key, e);
	assert(table_publish(&q, key, &claim) == TABLE_DONE);
}

bool table_drop(struct session_table *t, const struct fq_tuple *key)
{
	uint32_t index = table_find(t, key);

	if (index == TABLE_NONE || !table_end(t, index) || !table_take_dead(t, index, false))
		return false;
	table_release(t, index);
	return true;
}

void table_clear(struct session_table *t)
{
	memset(t->slot, 0, t->table->slots * sizeof(*t->slot));
}

unsigned int table_live(const struct session_table *t)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < t->table->slots; i++)
		n += (t->slot[i].state & (TABLE_LIVE | TABLE_DEAD)) == TABLE_LIVE;
	return n;
}
