/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs know of proxy addresses, as memory: verdicts of the edge, translations of the
 * gateway (<fqdnat/proxy_index.h>). To set one is some stores, to take over what is there is
 * reading it.
 *
 * One process writes. What it does between two stores may be its last: an element of edge or xlat
 * is complete before it is named, and nobody's once it is not, so whoever comes next finds every
 * address as it was or as it was to be.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/proxy_index.h>

#include "base/cleanup.h"

/* The pools by which addresses are numbered: network address and mask, mapped where IPv4. */
struct proxy_pools {
	struct fq_addr pool4, mask4, pool6, mask6;
};

/* The maps of maps. */
struct proxy_fds {
	int proxies, edge, xlat;
};

/* What is in use, for who looks and for who comes next; lies in memory that both see. */
struct proxy_usage {
	uint64_t edge, xlat;         /* elements */
	uint64_t edge_max, xlat_max; /* that there may be */
	/* pages: a bit for each that there is */
	uint64_t proxy_pages[PROXY_PAGES / 64];
	uint64_t edge_pages[EDGE_PAGES / 64 + 1];
	uint64_t xlat_pages[XLAT_PAGES / 64 + 1];
};

struct proxies;

/*
 * @write: false: only proxies_get_* and proxies_each
 * @usage: as the last one who wrote has left it; kept up to date
 *
 * Return: 0; -ENOMEM; errors of the kernel.
 */
int proxies_open(const struct proxy_fds *fds, const struct proxy_pools *pools, bool write,
		 struct proxy_usage *usage, struct proxies **ret_proxies);
struct proxies *proxies_free(struct proxies *p);
DEFINE_CLEANUP(struct proxies *, proxies_free)

/* How many there may be; before, as many as pools can hold. Those that are there stay. */
void proxies_limit(struct proxies *p, uint32_t edges, uint32_t xlats);

/*
 * A translation that is set to what it is already is not written.
 *
 * Return: 0; -ERANGE: @proxy is in no pool; -E2BIG: no room; -ENOMEM; errors of the kernel.
 */
int proxies_set_edge(struct proxies *p, const struct fq_addr *proxy, const struct fq_edge *edge);
int proxies_set_xlat(struct proxies *p, const struct fq_xlat_key *key, const struct fq_xlat *xlat);
void proxies_del_edge(struct proxies *p, const struct fq_addr *proxy);
void proxies_del_xlat(struct proxies *p, const struct fq_xlat_key *key);

/* Copies. Return: whether there is one. */
bool proxies_get_edge(const struct proxies *p, const struct fq_addr *proxy,
		      struct fq_edge *ret_edge);
bool proxies_get_xlat(const struct proxies *p, const struct fq_xlat_key *key,
		      struct fq_xlat *ret_xlat);

/* Have the memory bring what is known of this one, which is to be set next. */
void proxies_expect(const struct proxies *p, uint32_t scope, const struct fq_addr *proxy);

/*
 * An address of which something is known. NULL: that is not known. For who writes they are the
 * elements themselves, good until they are changed; else copies, good during the call.
 */
typedef int (*proxy_fn)(void *ctx, const struct fq_xlat_key *key, const struct fq_edge *edge,
			const struct fq_xlat *xlat);

/* All, by scope, IPv4 first. Return: 0; what @cb returned if not 0. */
int proxies_each(const struct proxies *p, proxy_fn cb, void *ctx);

/*
 * Taking over: what is there at the beginning and has neither been set nor kept since is deleted at
 * the end.
 *
 * Return of begin: 0; -ENOMEM. Of end: how many were deleted.
 */
int proxies_begin(struct proxies *p);
void proxies_keep_xlat(struct proxies *p, const struct fq_xlat_key *key);
unsigned int proxies_end(struct proxies *p);

/* Delete everything. */
void proxies_clear(struct proxies *p);
