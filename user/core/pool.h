/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proxy addresses: which domain owns which, out of one IPv4 and one IPv6 prefix.
 *
 * A lease is 4 + 4 addresses at once (P-02), or nothing. Fresh addresses are handed out in
 * ascending order; released ones only after a rest, least recently released first, and only
 * when no fresh ones are left (P-10). Called by the edge; pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/ipaddr.h"

#define PROXIES_V4  4
#define PROXIES_V6  4
#define PROXIES_MAX (PROXIES_V4 + PROXIES_V6)

/* P-01: the defaults, and the ranges inside them that are never handed out. */
#define POOL_V4_DEFAULT  "100.96.0.0/11"
#define POOL_V6_DEFAULT  "fd00:2021:1111:8000::/107"
#define POOL_V4_SENTINEL "100.100.111.0/24"
#define POOL_V6_SENTINEL "fd00:2021:1111:8000:100:100:111:0/120"

/* Of a larger prefix only the first 2^24 addresses are used. */
#define POOL_ADDRESSES_MAX (1U << 24)

/*
 * How long released addresses rest. LONG, the quarantine: as long as a session may live that
 * began with them. SHORT is for those that no packet ever passed with: no session exists, only
 * clients that were told the address. They were told with a TTL of 1 s, have been refused or
 * kept waiting, and give up within the 63 s of Linux's SYN retransmissions (tcp_syn_retries 6)
 * or the minute that browsers keep a name, counted from their last query and so mostly over
 * before the address is released.
 */
enum pool_rest {
	POOL_REST_LONG,
	POOL_REST_SHORT,
	POOL_RESTS,
};

#define POOL_REST_SHORT_NS (60 * NSEC_PER_SEC) /* but no longer than the quarantine */

/* The proxy addresses of a domain, in order, IPv4 first. */
struct proxies {
	unsigned int count;
	struct fq_addr addr[PROXIES_MAX];
};

struct pool_settings {
	struct ipprefix v4, v6;
	const struct ipprefix
		*excluded; /* besides the sentinels: addresses of this host, ...; copied */
	size_t excluded_count;
	int64_t quarantine_ns; /* at least the longest session TTL */
};

struct pool_usage {    /* addresses of one family */
	uint32_t size; /* that may be handed out */
	uint32_t leased;
	uint32_t quarantined; /* released, or gaps of unknown past: see pool_restore_marks */
};

/* Up to where addresses have ever been leased, as offsets in the prefixes: to be stored (P-10). */
struct pool_marks {
	uint32_t fresh4, fresh6;
};

struct pool;

/* Return: 0; -EINVAL: v4 is not IPv4, v6 not IPv6, or one has no room for a lease; -ENOMEM. */
int pool_new(const struct pool_settings *settings, struct pool **ret_pool);
struct pool *pool_free(struct pool *pool);
DEFINE_CLEANUP(struct pool *, pool_free)

/*
 * Lease PROXIES_V4 + PROXIES_V6 addresses.
 *
 * @owner: of the addresses from now on; not 0, less than POOL_OWNER_MAX
 * @now:   must not run backwards between calls
 *
 * Return: 0; -ENOSPC: no family or only one has enough; nothing is leased then.
 */
int pool_lease(struct pool *pool, uint32_t owner, struct instant now, struct proxies *ret_proxies);

#define POOL_OWNER_MAX 0xfffffff0U

/*
 * Mark restored addresses as leased: exactly these, not as many (P-08).
 *
 * Later leases begin above the highest one; the gaps below it are treated as released at
 * @now, for they may have been in quarantine when they were saved. What was released above it
 * is known by pool_restore_marks only.
 *
 * Return: 0; -ERANGE: one is outside the pool or excluded; -EEXIST: one is leased. All or none.
 */
int pool_mark_used(struct pool *pool, uint32_t owner, const struct proxies *proxies,
		   struct instant now);

/* Let the addresses of @owner among @proxies rest. Return: 0; -ENOMEM: still leased. */
int pool_release(struct pool *pool, uint32_t owner, const struct proxies *proxies,
		 enum pool_rest rest, struct instant now);

struct pool_marks pool_marks(const struct pool *pool);

/*
 * Go on from where an earlier pool ended: later leases begin at the marks; what lies below them
 * and is leased to nobody was released some time ago, and rests the whole quarantine from @now.
 * Before or after pool_mark_used. Marks behind the end of the pool mean its end.
 */
void pool_restore_marks(struct pool *pool, const struct pool_marks *marks, struct instant now);

/* Who leases @addr; 0: nobody. */
uint32_t pool_owner(const struct pool *pool, const struct fq_addr *addr);

void pool_usage(const struct pool *pool, struct pool_usage *ret_v4, struct pool_usage *ret_v6);
