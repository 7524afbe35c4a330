/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the XDP programs answer about names, as memory: <fqdnat/dns_index.h>. To set a name is some
 * stores. One process writes, and what the one before it has said is forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <fqdnat/dns_index.h>

#include "base/cleanup.h"

/* The maps of maps. */
struct dnsnames_fds {
	int dns, names;
};

/* For who looks and for who comes next; lies in memory that both see. */
struct dnsnames_usage {
	uint64_t names, max; /* names there are, and may be */
	/* pages: a bit for each that there is */
	uint64_t bucket_pages[DNS_BUCKET_PAGES / 64];
	uint64_t name_pages[DNS_NAME_PAGES / 64 + 1];
};

struct dnsnames;

/*
 * @table: in the programs' memory; gets its size, and its keys if it has none
 * @max:   names that there may be
 *
 * Return: 0; -EIO: no random numbers; -ENOMEM; errors of the kernel.
 */
int dnsnames_open(const struct dnsnames_fds *fds, struct fq_dns_table *table, uint32_t max,
		  struct dnsnames_usage *usage, struct dnsnames **ret_names);
struct dnsnames *dnsnames_free(struct dnsnames *n);
DEFINE_CLEANUP(struct dnsnames *, dnsnames_free)

/*
 * Return: 0; -E2BIG: as many are there as may be; -ENOSPC: no room beside those that have its hash;
 * -ENOMEM; errors of the kernel. Then there is none of that name.
 */
int dnsnames_set(struct dnsnames *n, const struct fq_dns_key *key, const struct fq_dns *dns);
void dnsnames_del(struct dnsnames *n, const struct fq_dns_key *key);
void dnsnames_clear(struct dnsnames *n);

/* As it stands. Return: whether there is one. */
bool dnsnames_get(const struct dnsnames *n, const struct fq_dns_key *key, struct fq_dns *ret_dns);
