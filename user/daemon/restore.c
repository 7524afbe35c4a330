/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over: domains, states and records from the store, translations from the pinned map.
 * Rows that no longer fit the configuration are deleted.
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

struct xlat_list {
	struct dpview_proxy *rows;
	size_t count, room;
};

static int collect_xlat(void *ctx, const struct dpview_proxy *row)
{
	struct xlat_list *l = ctx;

	if (!row->has_xlat)
		return 0;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		struct dpview_proxy *rows = reallocarray(l->rows, room, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		l->rows = rows;
		l->room = room;
	}
	l->rows[l->count++] = *row;
	return 0;
}

/* A translation that is kept is set again, so that dataplane_sync_end keeps it, too. */
static int restore_xlat(struct daemon *d, const struct dpview_proxy *row)
{
	const struct fq_xlat_key key = {.scope = row->scope, .proxy = row->proxy};
	struct edge_domain_view view;
	struct dname name;
	int r;

	if (key.scope == LOCAL_SCOPE &&
	    (!edge_find_proxy(d->edge, &row->proxy, &view) || view.id != row->xlat.domain))
		return 0;
	if (!name_of_domain(d, row->xlat.domain, &name))
		return 0;
	r = dataplane_xlat_set(d->dp, key.scope, &key.proxy, &row->xlat);
	return r < 0 ? r : gateway_restore_xlat(d->gateway, &name, &key, &row->xlat);
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
	struct xlat_list l = {0};
	int r;

	r = restore_names(d);
	if (r >= 0)
		r = dpview_proxies(d->view, collect_xlat, &l);
	for (size_t i = 0; i < l.count && r >= 0; i++)
		r = restore_xlat(d, &l.rows[i]);
	free(l.rows);
	if (r >= 0)
		r = store_foreach_records(d->store, restore_records, d);
	if (r >= 0)
		r = end_orphans(d);
	if (r >= 0)
		names_foreach(d->names, prune_name, d);
	return r;
}
