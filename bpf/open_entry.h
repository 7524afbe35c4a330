/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new flow (open.h) and its entries in the session table: filled, then added.
 */
#pragma once

#include "nat.h"
#include "policy.h"
#include "session.h"

/*
 * What the steps find out about a new flow, and the keys of its entries. Too large for the
 * 512 bytes of stack that a chain of calls has.
 */
struct open_work {
	__u32 slot; /* where it is itself */
	struct policy_ask ask;
	struct policy_right right;
	struct fq_addr real;
	struct fq_addr nat;
	__u32 domain;
	__u32 gen;
	__u16 gateway;
	struct nat_ports ports;
	struct fq_tuple in;
	struct fq_tuple out;
	struct table_query in_query;
	struct table_query out_query;
	__be16 client_port;
	bool six;   /* one of the addresses is IPv6: both entries have a fq_slot6 */
	bool stone; /* there is a tombstone of the in tuple */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FQ_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct open_work);
} open_scratch SEC(".maps");

fq_inline struct open_work *open_work(__u32 slot)
{
	return bpf_map_lookup_elem(&open_scratch, &slot);
}

/* The key of @q, and what its packets become: not yet to be found by anybody. */
fq_inline void open_fill(const struct open_work *w, const struct table_query *q, bool in,
			 struct fq_slot *s)
{
	s->ports = q->ports;
	s->print = q->print;
	s->to_port = in ? w->client_port : w->in.dport;
	s->hop = TABLE_HOP_NONE;
	s->gen = w->gen;
	s->counts = 0;
	s->last = 0;
	s->tcp.ack = 0;
	s->tcp.edge = 0;
	s->tcp.next = 0;
	if (w->in.proto == FQ_PROTO_UDP)
		s->peer_port = w->ask.port;
	if (!(q->kind & TABLE_KIND_IP6)) {
		s->to_src = in ? w->out.dst.w[3] : w->nat.w[3];
		s->to_dst = in ? w->out.src.w[3] : w->real.w[3];
	}
	if (w->gateway)
		s->gateway = w->gateway;
}

fq_inline void open_fill_cold(const struct open_work *w, struct fq_cold *cold)
{
	cold->created = w->ask.now;
	cold->domain = w->domain;
	cold->resource = w->right.resource;
	cold->client = w->ask.client;
	cold->carry = 0;
	cold->syn_end = 0;
	cold->syn_len = 0;
	cold->syn_wscale = 0;
	cold->syn_pending = 0;
}

fq_inline void open_fill_six(const struct open_work *w, const struct fq_tuple *key, bool in,
			     struct fq_slot6 *six)
{
	six->src = key->src;
	six->dst = key->dst;
	six->to_src = in ? w->out.dst : w->nat;
	six->to_dst = in ? w->out.src : w->real;
}

fq_inline void open_touch_at(const struct open_work *w, __u32 index)
{
	struct fq_slot *s = session_at(index);
	struct fq_cold *cold = session_cold(index);

	if (s)
		(void)TABLE_LOAD(s->word);
	if (cold)
		(void)TABLE_LOAD(cold->domain);
	if (w->six)
		table_touch6(index);
}

/*
 * Ask the memory at once for what will be written where both entries mostly stand, at home: atomic
 * operations wait for all that is on its way, and so for one line after the other.
 */
fq_inline void open_touch(const struct open_work *w)
{
	open_touch_at(w, w->in_query.home);
	open_touch_at(w, w->out_query.home);
}

/*
 * Add one of the entries.
 *
 * Return: FQ_OK; NO_PORT if there is one; TABLE_FULL.
 */
fq_global enum fq_reason open_add(__u32 slot, bool in)
{
	struct open_work *w = open_work(slot);
	const struct fq_tuple *key;
	enum table_result r;
	struct table_claim claim;
	const struct table_query *q;
	struct fq_slot6 *six;
	struct fq_cold *cold;
	__u8 kind;

	if (!w)
		return FQ_R_TABLE_FULL;
	key = in ? &w->in : &w->out;
	kind = in ? TABLE_KIND_IN : 0;
	kind |= w->gateway ? TABLE_KIND_FORWARD : 0;
	kind |= addr_is_mapped(in ? &w->out.src : &w->real) ? 0 : TABLE_KIND_TO6;
	q = in ? &w->in_query : &w->out_query;
	r = table_claim(q, key, kind, &claim);
	if (r != TABLE_DONE)
		return r == TABLE_EXISTS ? FQ_R_NO_PORT : FQ_R_TABLE_FULL;
	cold = session_cold(claim.index);
	six = table_at6(q, claim.index);
	if (!cold || !six) {
		table_abandon(&claim);
		return FQ_R_TABLE_FULL;
	}
	open_fill(w, q, in, claim.slot);
	open_fill_cold(w, cold);
	if (w->six)
		open_fill_six(w, key, in, six);
	r = table_publish(q, key, &claim);
	if (r == TABLE_DONE)
		return FQ_OK;
	return r == TABLE_EXISTS ? FQ_R_NO_PORT : FQ_R_TABLE_FULL;
}
