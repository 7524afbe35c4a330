/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of dataplane/ share: the state and the maps; nobody else includes it. What belongs
 * to some of them only is in bpffs.h, load.h, hooks.h and net.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/dataplane.h"
#include "dataplane/grace.h"
#include "dataplane/dnsnames.h"
#include "dataplane/proxies.h"
#include "dataplane/table.h"

#define DP_PATH_MAX 256
#define DP_BATCH    1024 /* entries of one batched lookup */

#define DP_DOMAIN_ENTRIES       8 /* of a domain: its proxy addresses */
#define DP_DOMAINS_DEFAULT      131072
#define DP_TRANSLATIONS_DEFAULT 1048576

enum dp_map {
	M_CONTROL,
	M_SESSIONS,
	M_SESSIONS_COLD,
	M_SESSIONS_SIX,
	M_TOMBSTONES,
	M_CLIENTS,
	M_GRANTS,
	M_FILTERS,
	M_PROXIES,
	M_XLAT,
	M_EDGE,
	M_GATEWAYS,
	M_DEVS,
	M_VLANS,
	M_HOPS,
	M_TX,
	M_QUOTA,
	M_STATS,
	M_ICMP_BUCKETS,
	M_ICMP_CPU,
	M_FRAGMENTS,
	M_FRAG_CPU,
	M_IP_IDS,
	M_DNS,
	M_DNS_NAMES,
	M_DNS_ASKED,
	M_DNS_PTR,
	M_DNS_ADDRS,
	M_UPCALLS,
	M_USER,
	M_COUNT
};

/* What a pinned map has to be; the programs' own expectation is checked by libbpf. */
struct map_spec {
	const char *name;
	enum bpf_map_type type;
	uint32_t key_size, value_size;
};

extern const struct map_spec map_specs[M_COUNT];

/* Those for tc are an object of their own, loaded when an interface wants them (load_tc.c). */
enum dp_prog { P_NATIVE, P_GENERIC, P_INJECT, P_TC, P_TC_L3, P_COUNT };

#define P_XDP_COUNT P_TC

extern const char *const prog_pins[P_COUNT];
extern const char *const prog_names[P_COUNT];

/*
 * Map "user": one mmapable element written by the daemon alone, for those who look: events
 * counted in user space, the times by which sessions expire, and what is known of proxy addresses.
 */
#define DP_EVENTS_MAX 256

struct dp_user {
	uint64_t events[DP_EVENTS_MAX]; /* by enum fq_reason */
	struct expiry_policy expiry;
	struct proxy_pools pools; /* by which the proxy addresses have their numbers */
	struct proxy_usage proxies;
	struct dnsnames_usage dnsnames;
};

_Static_assert(FQ_REASON_MAX <= DP_EVENTS_MAX, "room for every reason");
_Static_assert(sizeof(struct dp_user) == 8 * DP_EVENTS_MAX + 56 + 64 + sizeof(struct proxy_usage) +
						 sizeof(struct dnsnames_usage),
	       "pinned: a change is a new ABI");

struct sync;
struct ring_buffer;

struct dataplane {
	char bpffs[DP_PATH_MAX];
	struct dp_settings settings;
	bool loaded; /* false: dataplane_open_pinned */
	bool taken_over;

	int maps[M_COUNT];
	int progs[P_COUNT];
	uint32_t capacity;          /* sessions */
	struct fq_control *control; /* these three: mapped */
	struct fq_quota *quota;
	struct dp_user *user;

	struct proxies *proxies;
	struct dnsnames *dnsnames;
	struct sync *sync; /* sync.c */

	struct ring_buffer *ring; /* upcall.c */
	dp_upcall_fn upcall_cb;
	void *upcall_ctx;
	unsigned int upcall_left, upcall_read;

	struct ring_buffer *asked; /* dns.c */
	dp_asked_fn asked_cb;
	void *asked_ctx;
	unsigned int asked_left;

	int raw4, raw6, packet;

	int netlink;        /* addr.c */
	bool netlink_dirty; /* the devs map may be behind */
	bool links_dirty;   /* the tx map and pinned links may be behind */
	bool netlink_lost;  /* changes of interfaces have been lost */

	int hops; /* netlink socket of hops.c */

	struct session_table table; /* mapped; sessions.c */
	struct grace *grace;
	struct {
		uint32_t next; /* index */
		bool thorough; /* look for orphans among busy entries, too */
		bool found;    /* anything, in this pass or, at its beginning, in the last one */
		unsigned int spared; /* passes since, because there is no session */
	} sweep;
};

/* ---- mapwalk.c ---- */

typedef int (*map_walk_fn)(void *ctx, const void *key, const void *value);

/*
 * Every entry of a map, in batches where it has them. @value is NULL where the map has no
 * batches. @cb may delete the entry it is shown.
 *
 * Return: 0; what @cb returned if not 0; negative errno.
 */
int map_walk(enum dp_map map, int fd, map_walk_fn cb, void *ctx);

/* Does map_walk tell values? */
bool map_has_batches(enum dp_map map);

/* Number of entries. */
int map_count(enum dp_map map, int fd, uint64_t *ret_count);

/* ---- sessions.c ---- */

/*
 * Have a dead entry freed, which somebody else has removed or left (@again: another process); the
 * second: all that are there.
 */
/* Return: whether it was dead. */
bool sessions_bring_out(struct dataplane *dp, uint32_t index, bool again);
void sessions_bring_out_all(struct dataplane *dp);

/* Compute open sessions of control and quota from the table. */
int sessions_recount(struct dataplane *dp);

bool session_matches(const struct dp_match *m, const struct fq_tuple *out_key,
		     const struct session_entry *out);

/* ---- upcall.c ---- */

int upcall_open(struct dataplane *dp);
void upcall_close(struct dataplane *dp);

/* ---- dns.c ---- */

int dns_open(struct dataplane *dp);
void dns_close(struct dataplane *dp);

/* ---- maps.c ---- */

/* Return: 0, also if there is no such entry; errors of the kernel. */
int map_del(struct dataplane *dp, enum dp_map map, const void *key);

/* Elements of an array stay; without an address they are no gateways. Return: 1 if it was one; 0;
 * negative errno. */
int gateway_clear(struct dataplane *dp, uint32_t id);

/* ---- sync.c: all of it does nothing unless maps are being taken over ---- */

/* Is the entry there with this very value? Then it is kept, and need not be written. */
bool sync_is_kept(struct dataplane *dp, enum dp_map map, const void *key, const void *value);

/* It was written, or deleted, since. */
void sync_written(struct dataplane *dp, enum dp_map map, const void *key, const void *value);
void sync_deleted(struct dataplane *dp, enum dp_map map, const void *key);
void sync_gateway(struct dataplane *dp, uint32_t id, bool set);

void sync_free(struct sync *sync);

/* ---- dataplane.c ---- */

/* Pin what is not pinned (any more), and the programs in the place of those pinned. */
int dataplane_pin(struct dataplane *dp, struct dp_error *err);
