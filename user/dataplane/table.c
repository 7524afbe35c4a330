/* SPDX-License-Identifier: BSD-2-Clause */
/* The session table as memory, see table.h. */
#include "dataplane/table.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/ipaddr.h"
#include "dataplane/table_at.h"

#define READ_TRIES 4
#define AHEAD_MAX  (1U << 26) /* ticks: what is farther ahead of now is the past */

uint32_t table_slots(uint32_t sessions)
{
	uint64_t slots = ((uint64_t)sessions * 5 + 1) / 2;

	slots += slots & 1;
	if (slots < TABLE_SLOTS_MIN)
		return TABLE_SLOTS_MIN;
	return slots > TABLE_SLOTS_MAX ? TABLE_SLOTS_MAX : (uint32_t)slots;
}

uint32_t table_sessions(uint32_t slots)
{
	return (uint32_t)((uint64_t)slots * 2 / 5);
}

int table_draw(struct fq_table *ret_table, uint32_t slots)
{
	struct fq_table table = {.slots = slots};

	if (getrandom(table.key, sizeof(table.key), 0) != sizeof(table.key))
		return -EIO;
	*ret_table = table;
	return 0;
}

static int map_array(int fd, size_t bytes, bool writable, void *ret_memory)
{
	void *p =
		mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*(void **)ret_memory = p;
	return 0;
}

int table_map(struct session_table *t, int slot_fd, int six_fd, int cold_fd,
	      const struct fq_table *table, bool writable)
{
	size_t slots = table->slots;
	int r;

	*t = (struct session_table){.table = table};
	r = map_array(slot_fd, slots * sizeof(*t->slot), writable, &t->slot);
	if (r == 0)
		r = map_array(six_fd, slots * sizeof(*t->six), writable, &t->six);
	if (r == 0)
		r = map_array(cold_fd, slots * sizeof(*t->cold), writable, &t->cold);
	if (r < 0)
		table_unmap(t);
	return r;
}

void table_unmap(struct session_table *t)
{
	size_t slots = t->table ? t->table->slots : 0;

	if (t->slot)
		munmap(t->slot, slots * sizeof(*t->slot));
	if (t->six)
		munmap(t->six, slots * sizeof(*t->six));
	if (t->cold)
		munmap(t->cold, slots * sizeof(*t->cold));
	*t = (struct session_table){0};
}

static bool is_live(const struct fq_slot *s)
{
	const struct fq_slot have = {.word = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE)};

	return (have.state & (TABLE_LIVE | TABLE_DEAD)) == TABLE_LIVE;
}

static uint64_t instant_of_ticks(uint32_t ticks, struct instant now)
{
	uint64_t base = (uint64_t)now.ns >> 20;
	uint32_t ahead = ticks - (uint32_t)base;

	if (!ticks)
		return 0;
	if (ahead > AHEAD_MAX)
		return base + ahead >= 1ULL << 32 ? (base + ahead - (1ULL << 32)) << 20 : 1;
	return (base + ahead) << 20;
}

static struct fq_addr mapped(__be32 addr)
{
	return (struct fq_addr){.w = {0, 0, htonl(0xffff), addr}};
}

static uint8_t proto_of(const struct fq_slot *s)
{
	static const uint8_t proto[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMP};
	uint8_t p = proto[s->kind & TABLE_KIND_PROTO];

	return p == IPPROTO_ICMP && (s->kind & TABLE_KIND_IP6) ? IPPROTO_ICMPV6 : p;
}

static void put_key(const struct fq_slot *s, const struct fq_slot6 *six, struct fq_tuple *ret_key)
{
	bool v6 = s->kind & TABLE_KIND_IP6;

	*ret_key = (struct fq_tuple){
		.src = v6 ? six->src : mapped(s->src),
		.dst = v6 ? six->dst : mapped(s->dst),
		.sport = s->sport,
		.dport = s->dport,
		.proto = proto_of(s),
	};
}

static void put_result(const struct fq_slot *s, const struct fq_slot6 *six,
		       const struct fq_tuple *key, struct session_entry *e)
{
	bool wide = s->kind & (TABLE_KIND_IP6 | TABLE_KIND_TO6);

	e->port = s->to_port;
	if (s->kind & TABLE_KIND_FORWARD) {
		e->gateway = (uint16_t)s->gateway;
		e->src = key->src;
		e->dst = key->dst;
		return;
	}
	e->src = wide ? six->to_src : mapped(s->to_src);
	e->dst = wide ? six->to_dst : mapped(s->to_dst);
}

static __be16 peer_port(const struct fq_slot *s, uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return s->kind & TABLE_KIND_IN ? s->sport : s->dport;
	return proto == IPPROTO_UDP ? s->peer_port : 0;
}

static void put_tcp(const struct fq_slot *s, const struct fq_cold *c, struct session_tcp *ret_tcp)
{
	*ret_tcp = (struct session_tcp){
		.ack = s->tcp.ack,
		.edge = s->tcp.edge,
		.next = s->tcp.next,
		.wscale = s->wscale,
		.syn_end = c->syn_end,
		.syn_len = c->syn_len,
		.syn_wscale = c->syn_wscale,
		.syn_pending = c->syn_pending,
	};
}

/* From copies of the three. */
static void put_together(const struct fq_slot *s, const struct fq_slot6 *six,
			 const struct fq_cold *c, struct instant now, struct fq_tuple *ret_key,
			 struct session_entry *ret_entry)
{
	put_key(s, six, ret_key);
	*ret_entry = (struct session_entry){
		.peer_port = peer_port(s, ret_key->proto),
		.dir = s->kind & TABLE_KIND_IN ? FQ_DIR_IN : FQ_DIR_OUT,
		.tcp_seen = s->tcp_seen,
		.client = c->client,
		.resource = c->resource,
		.domain = c->domain,
		.gen = s->gen,
		.hop = s->hop,
		.created = c->created,
		.last = instant_of_ticks(s->last, now),
		.packets = table_packets(s->counts, c->carry),
		.bytes = table_bytes(s->counts, c->carry),
	};
	put_result(s, six, ret_key, ret_entry);
	if (ret_key->proto == IPPROTO_TCP)
		put_tcp(s, c, &ret_entry->tcp);
}

bool table_read(const struct session_table *t, uint32_t index, struct instant now,
		struct fq_tuple *ret_key, struct session_entry *ret_entry)
{
	for (int i = 0; i < READ_TRIES; i++) {
		struct fq_slot6 six = {0};
		struct fq_slot slot;
		struct fq_cold cold;

		if (!is_live(&t->slot[index]))
			return false;
		cold = t->cold[index];
		slot = t->slot[index];
		if (slot.kind & (TABLE_KIND_IP6 | TABLE_KIND_TO6))
			six = t->six[index];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!is_live(&t->slot[index]))
			return false;
		/* Another one's by now, or changed meanwhile. */
		if (memcmp(&t->cold[index], &cold, sizeof(cold)) != 0)
			continue;
		put_together(&slot, &six, &cold, now, ret_key, ret_entry);
		return true;
	}
	return false;
}

bool table_glance(const struct session_table *t, uint32_t index, struct instant now,
		  uint8_t *ret_proto, int64_t *ret_idle_ns)
{
	const struct fq_slot *s = &t->slot[index];
	uint64_t last;

	if (!is_live(s))
		return false;
	last = instant_of_ticks(__atomic_load_n(&s->last, __ATOMIC_RELAXED), now);
	*ret_proto = proto_of(s);
	*ret_idle_ns = last ? now.ns - (int64_t)last : INT64_MAX;
	return true;
}

uint32_t table_find(const struct session_table *t, const struct fq_tuple *key)
{
	struct table_query q = table_query(t->table, key);
	uint32_t index;

	q.arrays = t;
	(void)table_lookup(&q, key, &index);
	return index;
}

/* The home of the entry that stands at @index, and which of its places that is. */
static struct fq_slot *home_of(const struct session_table *t, uint32_t index, uint32_t *ret_probe)
{
	struct table_query q;
	struct fq_tuple key;

	put_key(&t->slot[index], &t->six[index], &key);
	q = table_query(t->table, &key);
	*ret_probe = table_probe_of(t->table->slots, q.home, index);
	return *ret_probe < TABLE_PROBES ? &t->slot[q.home] : NULL;
}

bool table_end(struct session_table *t, uint32_t index)
{
	uint32_t probe;
	struct fq_slot *home = home_of(t, index, &probe);

	return home && table_remove(home, &t->slot[index], probe);
}

bool table_take_dead(struct session_table *t, uint32_t index, bool again)
{
	struct fq_slot *s = &t->slot[index], *home;
	const struct fq_slot have = {.word = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE)};
	uint32_t probe;

	/* What is not live yet is being added: its bit is set before. */
	if ((have.state & (TABLE_LIVE | TABLE_DEAD)) != (TABLE_LIVE | TABLE_DEAD) ||
	    (!again && (have.state & TABLE_TAKEN)))
		return false;
	home = home_of(t, index, &probe);
	if (home)
		table_unlink(home, probe);
	__atomic_fetch_or(&s->word, table_word(TABLE_TAKEN, 0), __ATOMIC_SEQ_CST);
	return true;
}

void table_release(struct session_table *t, uint32_t index)
{
	const struct fq_slot have = {
		.word = __atomic_load_n(&t->slot[index].word, __ATOMIC_ACQUIRE)};

	/* Should there be another process that frees, an entry of now is not ended by us. */
	if ((have.state & (TABLE_DEAD | TABLE_TAKEN)) == (TABLE_DEAD | TABLE_TAKEN))
		table_free(&t->slot[index]);
}
