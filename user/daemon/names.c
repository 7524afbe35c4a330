/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of ids, and what the configuration calls by a name: asked for with every line of the log,
 * so nothing here is linear but where a person has typed the name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/daemon.h"

/* A resource of d->config by its UUID. */
struct resource_index {
	const struct config_resource *resource;
	UT_hash_handle hh;
};

static void index_free(struct resource_index *index)
{
	struct resource_index *row, *next;

	HASH_ITER (hh, index, row, next) {
		HASH_DEL(index, row);
		free(row);
	}
}

int resource_index_build(struct daemon *d)
{
	struct resource_index *index = NULL;

	/* Never one that points into a configuration that is gone. */
	resource_index_free(d);
	for (unsigned int i = 0; i < d->config->resource_count; i++) {
		struct resource_index *row = calloc(1, sizeof(*row));

		if (row) {
			row->resource = &d->config->resources[i];
			HASH_ADD_KEYPTR(hh, index, row->resource->id, strlen(row->resource->id),
					row);
		}
		if (!row || !row->hh.tbl) {
			free(row);
			index_free(index);
			return -ENOMEM;
		}
	}
	d->resources = index;
	return 0;
}

void resource_index_free(struct daemon *d)
{
	index_free(d->resources);
	d->resources = NULL;
}

const struct config_resource *config_resource(const struct daemon *d, const char *uuid)
{
	struct resource_index *row;

	HASH_FIND(hh, d->resources, uuid, strlen(uuid), row);
	return row ? row->resource : NULL;
}

const char *name_of_client(const struct daemon *d, uint32_t id)
{
	const char *name = store_name(d->store, STORE_CLIENT, id);

	return name ? name : "?";
}

const char *name_of_resource(const struct daemon *d, uint32_t id)
{
	const char *uuid = store_name(d->store, STORE_RESOURCE, id);
	const struct config_resource *c = uuid ? config_resource(d, uuid) : NULL;

	if (c)
		return c->name;
	return uuid ? uuid : "?";
}

const char *name_of_gateway(const struct daemon *d, uint32_t id)
{
	const char *name = id == LOCAL_GATEWAY ? "local" : store_name(d->store, STORE_GATEWAY, id);

	return name ? name : "?";
}

const char *name_of_scope(const struct daemon *d, uint32_t scope)
{
	const char *name = scope == LOCAL_SCOPE ? "local" : store_name(d->store, STORE_EDGE, scope);

	return name ? name : "?";
}

bool id_of_domain(const struct daemon *d, const struct dname *name, uint32_t *ret_id)
{
	struct edge_domain_view view;

	*ret_id = names_lookup(d->names, name);
	if (*ret_id)
		return true;
	if (!edge_find_name(d->edge, name, &view))
		return false;
	*ret_id = view.id;
	return true;
}

bool name_of_domain(const struct daemon *d, uint32_t id, struct dname *ret_name)
{
	const struct dname *name = names_find(d->names, id);
	struct edge_domain_view view;

	if (!name && edge_find_id(d->edge, id, &view))
		name = view.name;
	if (name)
		*ret_name = *name;
	return name;
}

bool client_configured(const struct daemon *d, const char *name)
{
	for (unsigned int i = 0; i < d->config->client_count; i++)
		if (strcmp(d->config->clients[i].name, name) == 0)
			return true;
	return false;
}

const char *uuid_of_resource(const struct daemon *d, const char *name)
{
	for (unsigned int i = 0; i < d->config->resource_count; i++)
		if (strcmp(d->config->resources[i].name, name) == 0)
			return d->config->resources[i].id;
	return NULL;
}
