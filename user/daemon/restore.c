/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over: domains, states and records from the store, translations from the pinned map, as
 * they were found there when taking over began. Rows that no longer fit the configuration are
 * deleted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

/* Rows found wrong during a walk of the store, which must not be changed meanwhile. */
struct stale {
	struct daemon *d;
	struct store_entry *rows;
	size_t count;
};

static int stale_add(struct stale *s, const struct store_entry *row)
{
	struct store_entry *rows = reallocarray(s->rows, s->count + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	s->rows = rows;
	s->rows[s->count++] = *row;
	return 0;
}

static int restore_domain(void *ctx, const struct store_domain *row)
{
	struct edge_domain_record rec = {.id = row->id};
	struct stale *s = ctx;
	int r;

	r = dname_from_text(row->name, &rec.name);
	if (r >= 0 && row->proxy_count > PROXIES_MAX)
		r = -EINVAL;
	if (r >= 0) {
		rec.proxies.count = row->proxy_count;
		memcpy(rec.proxies.addr, row->proxies, row->proxy_count * sizeof(row->proxies[0]));
		r = edge_restore_domain(s->d->edge, &rec, instant_now());
	}
	if (r >= 0 || r == -ENOMEM)
		return r;
	log_event(LOG_WARNING, "stored domain dropped", log_str("domain", row->name), log_errno(r));
	return stale_add(s, &(struct store_entry){.domain = row->id});
}

/* A domain of edges elsewhere: only its number is ours. */
static int restore_name(void *ctx, const struct store_remote *row)
{
	struct stale *s = ctx;
	struct dname name;
	int r;

	r = dname_from_text(row->name, &name);
	if (r >= 0)
		r = names_restore(s->d->names, &name, row->id);
	return r >= 0 || r == -ENOMEM ? r : stale_add(s, &(struct store_entry){.domain = row->id});
}

static int restore_entry(void *ctx, const struct store_entry *row)
{
	struct stale *s = ctx;
	struct edge_entry_record rec = {
		.gateway = row->gateway,
		.domain = row->domain,
		.resource = row->resource,
		.state = row->state,
		.generation = row->generation,
		.families = row->families,
	};
	int r;

	/* New maps, after a reboot: nothing is translated here before it is asked for again, by the
	 * first packet. In the store, too: the next start takes these maps over. */
	if (row->gateway == LOCAL_GATEWAY && row->state != EDGE_FAILED &&
	    !dataplane_taken_over(s->d->dp))
		return stale_add(s, row);
	r = edge_restore_entry(s->d->edge, &rec, instant_now());
	return r >= 0 || r == -ENOMEM ? r : stale_add(s, row);
}

#define MARK_DOMAIN "next_domain"
#define MARK_V4     "fresh_ipv4"
#define MARK_V6     "fresh_ipv6"

void marks_store(struct daemon *d)
{
	struct edge_marks marks;

	edge_marks(d->edge, &marks);
	(void)store_put_meta(d->store, MARK_DOMAIN, marks.next_domain);
	(void)store_put_meta(d->store, MARK_V4, marks.fresh4);
	(void)store_put_meta(d->store, MARK_V6, marks.fresh6);
}

/* A store without marks is new. */
static int marks_restore(struct daemon *d)
{
	uint64_t domain, v4, v6;
	int r;

	r = store_get_meta(d->store, MARK_DOMAIN, &domain);
	if (r >= 0)
		r = store_get_meta(d->store, MARK_V4, &v4);
	if (r >= 0)
		r = store_get_meta(d->store, MARK_V6, &v6);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;

	const struct edge_marks marks = {.next_domain = domain, .fresh4 = v4, .fresh6 = v6};

	return edge_restore_marks(d->edge, &marks, instant_now());
}

int edge_restore_all(struct daemon *d)
{
	struct stale domains = {.d = d}, entries = {.d = d};
	int r;

	r = store_foreach_domain(d->store, restore_domain, &domains);
	if (r >= 0)
		r = store_foreach_entry(d->store, restore_entry, &entries);
	for (size_t i = 0; i < domains.count; i++)
		(void)store_delete_domain(d->store, domains.rows[i].domain);
	for (size_t i = 0; i < entries.count; i++)
		(void)store_delete_entry(d->store, entries.rows[i].gateway, entries.rows[i].domain,
					 entries.rows[i].resource);
	free(domains.rows);
	free(entries.rows);
	if (r >= 0)
		r = marks_restore(d);
	return r < 0 ? r : edge_restored(d->edge);
}

static int restore_records(void *ctx, const struct store_records *row)
{
	const struct gateway_records rec = {
		.addr = {[GATEWAY_A] = row->v4, [GATEWAY_AAAA] = row->v6},
		.count = {[GATEWAY_A] = row->v4_count, [GATEWAY_AAAA] = row->v6_count},
	};
	struct daemon *d = ctx;
	struct dname name;

	if (!name_of_domain(d, row->domain, &name))
		return 0;
	return gateway_restore_records(d->gateway, &name, &rec);
}

static bool is_of(const struct edge_domain_view *domain, const struct fq_addr *proxy)
{
	for (unsigned int i = 0; i < domain->proxies->count; i++)
		if (ipaddr_equal(&domain->proxies->addr[i], proxy))
			return true;
	return false;
}

/* Translations of one domain in one scope. */
static int restore_xlats(struct daemon *d, const struct dp_xlat *xlats, size_t count)
{
	struct gateway_found found[PROXIES_MAX];
	struct edge_domain_view view;
	struct dname name;
	int r = 0;

	if (xlats->scope != LOCAL_SCOPE) {
		if (!name_of_domain(d, xlats->domain, &name))
			return 0;
	} else {
		if (!edge_find_id(d->edge, xlats->domain, &view))
			return 0;
		name = *view.name;
	}
	for (size_t i = 0; i < count && r >= 0;) {
		unsigned int n = 0;

		for (; i < count && n < PROXIES_MAX; i++) {
			if (xlats->scope == LOCAL_SCOPE && !is_of(&view, &xlats[i].key.proxy))
				continue;
			dataplane_sync_keep(d->dp, &xlats[i]);
			found[n++] = (struct gateway_found){&xlats[i].key, xlats[i].value};
		}
		r = gateway_restore_xlats(d->gateway, &name, found, n);
	}
	return r;
}

/* They may lie far from each other: have the memory bring several at once. */
static void reach_for(const struct dp_xlat *xlats, size_t count)
{
	for (size_t i = 0; i < count && i < PROXIES_MAX; i++)
		__builtin_prefetch(xlats[i].value);
}

static int restore_all_xlats(struct daemon *d)
{
	_cleanup_(freep) struct dp_xlat *list = NULL;
	size_t count, begin, end;
	int r;

	r = dataplane_sync_xlats(d->dp, &list, &count);
	if (r < 0)
		return r;
	for (begin = 0; begin < count && r >= 0; begin = end) {
		for (end = begin + 1; end < count; end++)
			if (list[end].domain != list[begin].domain ||
			    list[end].scope != list[begin].scope)
				break;
		reach_for(&list[end], count - end);
		r = restore_xlats(d, &list[begin], end - begin);
	}
	return r;
}

/*
 * A domain that was forgotten just before a crash may have sessions still, and its addresses are
 * free: they must not lead a new domain's packets to the old host (G-10). One walk for all of them.
 */
static int end_orphans(struct daemon *d)
{
	_cleanup_(freep) uint32_t *orphans = NULL;
	struct dp_match match = {0};
	struct edge_domain_view view;
	uint64_t flushed;

	used_domains_refresh(d);
	orphans = calloc(d->used_count + 1, sizeof(*orphans));
	if (!orphans)
		return -ENOMEM;
	/* Those of edges elsewhere are theirs to know. In ascending order, as the used ones are. */
	for (size_t i = 0; i < d->used_count; i++)
		if (d->used[i] < NAMES_FIRST && !edge_find_id(d->edge, d->used[i], &view))
			orphans[match.domain_count++] = d->used[i];
	if (match.domain_count == 0)
		return 0;
	match.domains = orphans;
	flushed = dataplane_flush(d->dp, &match, instant_now());
	log_event(LOG_INFO, "ended sessions of forgotten domains",
		  log_uint("domains", match.domain_count), log_uint("sessions", flushed));
	return 0;
}

static int restore_names(struct daemon *d)
{
	struct stale names = {.d = d};
	int r = store_foreach_remote(d->store, restore_name, &names);

	for (size_t i = 0; i < names.count; i++)
		(void)store_delete_remote(d->store, names.rows[i].domain);
	free(names.rows);
	return r;
}

/* A name that no translation and no session bears is nobody's. */
static void prune_name(void *ctx, uint32_t id, const struct dname *name)
{
	struct gateway_records records;
	struct daemon *d = ctx;

	if (gateway_find_records(d->gateway, name, &records) || !d->used ||
	    used_domains_contain(d, id))
		return;
	names_drop(d->names, id);
	(void)store_delete_remote(d->store, id);
	(void)store_delete_records(d->store, id);
}

int gateway_restore_all(struct daemon *d)
{
	int r;

	r = restore_names(d);
	if (r >= 0)
		r = restore_all_xlats(d);
	if (r >= 0)
		r = store_foreach_records(d->store, restore_records, d);
	if (r >= 0)
		r = end_orphans(d);
	if (r >= 0)
		names_foreach(d->names, prune_name, d);
	return r;
}
