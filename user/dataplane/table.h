/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session table as user space sees it: the arrays of <fqdnat/session.h> as memory.
 *
 * Readers may be any process; entries are removed and freed by one alone, the daemon. What is read
 * is a copy: it is one entry's, or there is none. Nothing here waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"

#include <fqdnat/session.h>

/* What the sender of one direction of a TCP connection has told; see bpf/tcp.h. Host order. */
struct session_tcp {
	uint32_t ack, edge, next;
	uint32_t syn_end;
	uint16_t syn_len;
	uint8_t syn_wscale, wscale;
	uint8_t syn_pending;
};

/*
 * One direction of a session, put together. What the packet becomes: source @src, destination @dst,
 * and the client's side port or id @port (source of out, destination of in). The partner entry's
 * key is that result, reversed. With a @gateway the result is the tuple itself.
 */
struct session_entry {
	struct fq_addr src;
	struct fq_addr dst;
	__be16 port;
	__be16 peer_port; /* resource's port: of the tuple (TCP), last permitted (UDP), 0 (ICMP) */
	uint8_t dir;      /* enum fq_dir */
	uint8_t tcp_seen; /* FQ_TCP_* */
	uint16_t gateway; /* 0: translated here; else: as it is, by way of that gateway */
	uint32_t client, resource, domain;
	uint32_t gen;     /* fq_control.gen for which the packet was last permitted */
	uint16_t hop;     /* TABLE_HOP_NONE: not known */
	uint64_t created; /* instant, ns */
	uint64_t last; /* instant of the last packet, rounded down by up to 1.05 ms; 0: none yet */
	uint64_t packets;
	uint64_t bytes; /* L3 lengths */
	struct session_tcp tcp;
};

/* Slots that @sessions sessions need: two each, and a fifth more room, so that few are refused. */
uint32_t table_slots(uint32_t sessions);

/* For how many sessions a table of @slots slots is. */
uint32_t table_sessions(uint32_t slots);

/* Draw the keys of an empty table. Return: 0; negative errno (getrandom). */
int table_draw(struct fq_table *ret_table, uint32_t slots);

struct session_table {
	const struct fq_table *table; /* in the mapped fq_control */
	struct fq_slot *slot;
	struct fq_slot6 *six;
	struct fq_cold *cold;
};

/*
 * Map the arrays.
 *
 * @slot_fd, @six_fd, @cold_fd: maps of table->slots elements; stay the caller's
 * @table: stays the caller's, and has to live as long
 * @writable: entries may be removed
 */
int table_map(struct session_table *t, int slot_fd, int six_fd, int cold_fd,
	      const struct fq_table *table, bool writable);
void table_unmap(struct session_table *t);

/*
 * Read the entry at @index.
 *
 * @now: near which its instants are (they are kept in 32 bits)
 *
 * Return: false if there is none.
 */
bool table_read(const struct session_table *t, uint32_t index, struct instant now,
		struct fq_tuple *ret_key, struct session_entry *ret_entry);

/*
 * The same at a glance: a live entry's protocol, and how long it has been idle (INT64_MAX: it has
 * had no packet yet). Touches one cache line.
 */
bool table_glance(const struct session_table *t, uint32_t index, struct instant now,
		  uint8_t *ret_proto, int64_t *ret_idle_ns);

/* Find the entry of a key. Return: its index; TABLE_NONE. */
uint32_t table_find(const struct session_table *t, const struct fq_tuple *key);

/* Remove a live entry: it is found no longer, but is not free yet. Return: false if somebody else
 * has.
 */
bool table_end(struct session_table *t, uint32_t index);

/*
 * Take a dead entry into the care of who frees it: it is out of its home's word from here on.
 *
 * @again: also one that has been taken before, by a process that is gone
 *
 * Return: false if there is none.
 */
bool table_take_dead(struct session_table *t, uint32_t index, bool again);

/* Free an entry that has been taken, a grace period after that. */
void table_release(struct session_table *t, uint32_t index);
