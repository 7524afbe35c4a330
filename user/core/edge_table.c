/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains by name and by id, see struct table in edge_internal.h.
 *
 * Not uthash: its tables grow in one step, which at a million domains is a query of 150 ms, and
 * cost 56 bytes a domain each.
 */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

#define BUCKETS_MAX (1U << 22)
#define FETCH_NAME  32 /* bytes of a name that are fetched with its domain */

int edge_table_init(struct table *t, uint32_t domains_max)
{
	uint32_t buckets = 64;

	while (buckets < domains_max && buckets < BUCKETS_MAX)
		buckets *= 2;
	t->mask = buckets - 1;
	t->by_name = calloc(buckets, sizeof(t->by_name[0]));
	t->by_id = calloc(buckets, sizeof(t->by_id[0]));
	return t->by_name && t->by_id ? 0 : -ENOMEM;
}

void edge_table_done(struct table *t)
{
	free(t->by_name);
	free(t->by_id);
	*t = (struct table){0};
}

static struct domain **bucket_of_name(const struct edge *edge, const struct dname *name)
{
	return &edge->table.by_name[dname_hash(name, edge->settings.hash_key) & edge->table.mask];
}

/* Ids are given out in order: they spread by themselves. */
static struct domain **bucket_of_id(const struct edge *edge, uint32_t id)
{
	return &edge->table.by_id[id & edge->table.mask];
}

/* Have the memory bring at once what is about to be read one after the other. */
static void fetch(const struct domain *d)
{
	for (size_t at = 0; at < sizeof(*d) + FETCH_NAME; at += 64)
		__builtin_prefetch((const char *)d + at);
}

struct domain *edge_domain_find(const struct edge *edge, const struct dname *name)
{
	struct domain *d = *bucket_of_name(edge, name);

	if (d)
		fetch(d);
	while (d && (d->name_len != name->len || memcmp(d->name, name->text, name->len) != 0))
		d = d->next_by_name;
	return d;
}

struct domain *edge_domain_find_id(const struct edge *edge, uint32_t id)
{
	struct domain *d = *bucket_of_id(edge, id);

	while (d && d->id != id)
		d = d->next_by_id;
	return d;
}

struct domain *edge_domain_find_proxy(const struct edge *edge, const struct fq_addr *proxy)
{
	uint32_t id = pool_owner(edge->pool, proxy);

	return id ? edge_domain_find_id(edge, id) : NULL;
}

void edge_domain_link(struct edge *edge, struct domain *d)
{
	struct dname name;
	struct domain **bucket;

	edge_domain_name(d, &name);
	bucket = bucket_of_name(edge, &name);
	d->next_by_name = *bucket;
	*bucket = d;
	bucket = bucket_of_id(edge, d->id);
	d->next_by_id = *bucket;
	*bucket = d;
	DL_APPEND(edge->table.first, d);
	DL_APPEND2(edge->idle[d->passed], d, idle_prev, idle_next);
	edge->table.count++;
}

void edge_domain_unlink(struct edge *edge, struct domain *d)
{
	struct dname name;
	struct domain **at;

	edge_domain_name(d, &name);
	for (at = bucket_of_name(edge, &name); *at != d;)
		at = &(*at)->next_by_name;
	*at = d->next_by_name;
	for (at = bucket_of_id(edge, d->id); *at != d;)
		at = &(*at)->next_by_id;
	*at = d->next_by_id;
	DL_DELETE(edge->table.first, d);
	DL_DELETE2(edge->idle[d->passed], d, idle_prev, idle_next);
	edge->table.count--;
}
