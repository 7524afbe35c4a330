/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of ids, see names.h. Called by the objects that read maps: session and proxy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "cli/names.h"
#include "cli/places.h"
#include "store/store.h"

struct name {
	uint32_t id;
	UT_hash_handle by_id;
	char text[];
};

struct names {
	struct name *domains;
	struct name *clients;
	struct name *gateways;
};

static int add(struct name **table, uint32_t id, const char *text)
{
	size_t len = strlen(text) + 1;
	struct name *name = malloc(sizeof(*name) + len), *known;

	if (!name)
		return -ENOMEM;
	*name = (struct name){.id = id};
	memcpy(name->text, text, len);

	HASH_FIND(by_id, *table, &id, sizeof(id), known);
	if (known) {
		HASH_DELETE(by_id, *table, known);
		free(known);
	}
	HASH_ADD(by_id, *table, id, sizeof(name->id), name);
	return 0;
}

static const char *lookup(struct name *table, uint32_t id)
{
	struct name *name;

	HASH_FIND(by_id, table, &id, sizeof(id), name);
	return name ? name->text : NULL;
}

static bool find(const struct name *table, const char *text, uint32_t *ret_id)
{
	for (const struct name *name = table; name; name = name->by_id.next)
		if (!strcmp(name->text, text)) {
			*ret_id = name->id;
			return true;
		}
	return false;
}

static void clear(struct name **table)
{
	struct name *name, *next;

	HASH_ITER (by_id, *table, name, next) {
		HASH_DELETE(by_id, *table, name);
		free(name);
	}
}

static int add_domain(void *ctx, const struct store_domain *row)
{
	struct names *names = ctx;

	return add(&names->domains, row->id, row->name);
}

/* A domain that edges on other machines ask for. */
static int add_remote(void *ctx, const struct store_remote *row)
{
	struct names *names = ctx;

	return add(&names->domains, row->id, row->name);
}

static int add_client(void *ctx, uint32_t id, const char *key)
{
	struct names *names = ctx;

	return add(&names->clients, id, key);
}

static int add_gateway(void *ctx, uint32_t id, const char *key)
{
	struct names *names = ctx;

	return add(&names->gateways, id, key);
}

static int read_store(struct names *names, struct store *store)
{
	int r = store_foreach_domain(store, add_domain, names);

	if (r == 0)
		r = store_foreach_remote(store, add_remote, names);
	if (r == 0)
		r = store_foreach_id(store, STORE_CLIENT, add_client, names);
	return r == 0 ? store_foreach_id(store, STORE_GATEWAY, add_gateway, names) : r;
}

enum cli_exit names_open(struct cli *cli, struct names **ret_names)
{
	_cleanup_(store_freep) struct store *store = NULL;
	_cleanup_(names_freep) struct names *names = calloc(1, sizeof(*names));
	char error[STORE_ERROR_LEN] = "";
	int r;

	if (!names)
		return cli_fail(cli, "out of memory");
	r = store_open(places_state(cli), STORE_READ, &store, error);
	if (r == 0)
		r = read_store(names, store);
	if (r == -ENOMEM)
		return cli_fail(cli, "out of memory");
	if (r < 0)
		cli_note(cli, "names are missing: %s", error[0] ? error : strerror(-r));
	*ret_names = TAKE_PTR(names);
	return CLI_OK;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	clear(&names->domains);
	clear(&names->clients);
	clear(&names->gateways);
	free(names);
}

const char *names_domain(const struct names *names, uint32_t id)
{
	return lookup(names->domains, id);
}

const char *names_client(const struct names *names, uint32_t id)
{
	return lookup(names->clients, id);
}

const char *names_gateway(const struct names *names, uint32_t id)
{
	return lookup(names->gateways, id);
}

int names_foreach_client(const struct names *names,
			 int (*fn)(void *ctx, uint32_t id, const char *name), void *ctx)
{
	int r = 0;

	for (const struct name *name = names->clients; name && r == 0; name = name->by_id.next)
		r = fn(ctx, name->id, name->text);
	return r;
}

bool names_find_domain(const struct names *names, const char *name, uint32_t *ret_id)
{
	return find(names->domains, name, ret_id);
}

bool names_find_client(const struct names *names, const char *name, uint32_t *ret_id)
{
	return find(names->clients, name, ret_id);
}
