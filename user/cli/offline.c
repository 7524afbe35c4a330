/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon has left on disk, see offline.h. Reads the store only; held packets went with the
 * daemon, so their number is 0. Called by `fqdnat domain show`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/ipaddr.h"
#include "cli/offline.h"
#include "cli/places.h"
#include "core/edge.h"
#include "store/store.h"

struct domain {
	uint32_t id;
	json_t *common; /* what all rows of the domain share */
	bool shown;     /* there is a row */
	UT_hash_handle hh;
};

struct reader {
	struct store *store;
	const char *name; /* NULL: every one */
	struct domain *domains;
	json_t *rows;
};

static json_t *addresses(const struct fq_addr *list, unsigned int n, json_t *array)
{
	for (unsigned int i = 0; array && i < n; i++) {
		char text[IPADDR_STRLEN];

		if (json_array_append_new(array, json_string(ipaddr_format(&list[i], text))) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int read_domain(void *ctx, const struct store_domain *row)
{
	struct reader *reader = ctx;
	struct domain *domain;

	if (reader->name && strcmp(reader->name, row->name))
		return 0;
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	domain->id = row->id;
	domain->common = json_pack("{s:s, s:n, s:n, s:n, s:o, s:[], s:i, s:n, s:n}", "domain",
				   row->name, "resource", "gateway", "state", "proxy_addresses",
				   addresses(row->proxies, row->proxy_count, json_array()),
				   "real_addresses", "held_packets", 0, "state_age_s", "resends");
	if (!domain->common) {
		free(domain);
		return -ENOMEM;
	}
	HASH_ADD(hh, reader->domains, id, sizeof(domain->id), domain);
	return 0;
}

static struct domain *find(const struct reader *reader, uint32_t id)
{
	struct domain *domain;

	HASH_FIND(hh, reader->domains, &id, sizeof(id), domain);
	return domain;
}

static int read_records(void *ctx, const struct store_records *row)
{
	struct domain *domain = find(ctx, row->domain);
	json_t *list;

	if (!domain)
		return 0;
	list = addresses(row->v6, row->v6_count, addresses(row->v4, row->v4_count, json_array()));
	return list && json_object_set_new(domain->common, "real_addresses", list) == 0 ? 0
											: -ENOMEM;
}

static int read_entry(void *ctx, const struct store_entry *row)
{
	struct reader *reader = ctx;
	struct domain *domain = find(reader, row->domain);
	_cleanup_(json_decrefp) json_t *state = NULL, *whole = NULL;
	const char *gateway;

	if (!domain)
		return 0;
	domain->shown = true;
	gateway = row->gateway == 0 ? CLI_LOCAL
				    : store_name(reader->store, STORE_GATEWAY, row->gateway);
	state = json_pack("{s:s?, s:s?, s:s?}", "resource",
			  store_name(reader->store, STORE_RESOURCE, row->resource), "gateway",
			  gateway, "state",
			  row->state == EDGE_NONE ? NULL : edge_state_name(row->state));
	whole = json_copy(domain->common);
	if (!state || !whole || json_object_update(whole, state) < 0 ||
	    json_array_append(reader->rows, whole) < 0)
		return -ENOMEM;
	return 0;
}

/* Rows of domains of which no gateway has said anything. */
static int add_rest(struct reader *reader)
{
	for (struct domain *d = reader->domains; d; d = d->hh.next)
		if (!d->shown && json_array_append(reader->rows, d->common) < 0)
			return -ENOMEM;
	return 0;
}

static int read_all(struct reader *reader)
{
	int r;

	reader->rows = json_array();
	if (!reader->rows)
		return -ENOMEM;
	r = store_foreach_domain(reader->store, read_domain, reader);
	if (r == 0)
		r = store_foreach_records(reader->store, read_records, reader);
	if (r == 0)
		r = store_foreach_entry(reader->store, read_entry, reader);
	return r == 0 ? add_rest(reader) : r;
}

static void clear(struct reader *reader)
{
	struct domain *domain, *next;

	HASH_ITER (hh, reader->domains, domain, next) {
		HASH_DEL(reader->domains, domain);
		json_decref(domain->common);
		free(domain);
	}
	json_decref(reader->rows);
	store_free(reader->store);
}

enum cli_exit offline_domains(struct cli *cli, const char *name, json_t **ret_domains)
{
	_cleanup_(clear) struct reader reader = {.name = name};
	char error[STORE_ERROR_LEN];
	int r;

	r = store_open(places_state(cli), STORE_READ, &reader.store, error);
	if (r < 0)
		return cli_fail(cli, "%s", error);
	r = read_all(&reader);
	if (r < 0)
		return cli_fail(cli, "cannot read the domains in %s: %s", places_state(cli),
				strerror(-r));
	*ret_domains = TAKE_PTR(reader.rows);
	return CLI_OK;
}
