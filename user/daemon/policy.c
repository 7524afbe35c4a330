/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the configuration, and the grants changed by hand, to what edge and gateway work with.
 *
 * Names become small numbers that stay the same over restarts (store), because pinned maps
 * hold them; times of the wall clock become instants.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"

const char *name_of_client(const struct daemon *d, uint32_t id)
{
	const char *name = store_name(d->store, STORE_CLIENT, id);

	return name ? name : "?";
}

const char *name_of_resource(const struct daemon *d, uint32_t id)
{
	const char *uuid = store_name(d->store, STORE_RESOURCE, id);

	for (unsigned int i = 0; uuid && i < d->config->resource_count; i++)
		if (strcmp(d->config->resources[i].id, uuid) == 0)
			return d->config->resources[i].name;
	return uuid ? uuid : "?";
}

const char *name_of_gateway(const struct daemon *d, uint32_t id)
{
	const char *name = id == LOCAL_GATEWAY ? "local" : store_name(d->store, STORE_GATEWAY, id);

	return name ? name : "?";
}

struct instant instant_of_wall(time_t wall)
{
	return instant_add(instant_now(), (wall - time(NULL)) * NSEC_PER_SEC);
}

static int add_clients(struct daemon *d, struct policy *p)
{
	for (unsigned int i = 0; i < d->config->client_count; i++) {
		const struct config_client *c = &d->config->clients[i];
		struct policy_client row = {
			.scope = LOCAL_SCOPE,
			.name = c->name,
			.prefixes = c->prefixes,
			.prefix_count = c->prefix_count,
		};
		int r;

		r = store_id(d->store, STORE_CLIENT, c->name, &row.id);
		if (r >= 0)
			r = policy_add_client(p, &row);
		if (r < 0) {
			log_event(LOG_ERR, "client cannot be used", log_str("client", c->name),
				  log_errno(r));
			return r;
		}
	}
	return 0;
}

static int add_resources(struct daemon *d, struct policy *p)
{
	for (unsigned int i = 0; i < d->config->resource_count; i++) {
		const struct config_resource *c = &d->config->resources[i];
		struct policy_resource row = {
			.uuid = c->id,
			.name = c->name,
			.pattern = c->address,
			.filter = c->filter,
		};
		int r;

		r = store_id(d->store, STORE_RESOURCE, c->id, &row.id);
		if (r >= 0)
			r = policy_add_resource(p, &row);
		if (r < 0) {
			log_event(LOG_ERR, "resource cannot be used", log_str("resource", c->name),
				  log_errno(r));
			return r;
		}
	}
	return 0;
}

static int put_grant(struct daemon *d, struct policy *p, const char *client, const char *uuid,
		     time_t expires)
{
	struct policy_grant row = {.expires = INSTANT_NEVER};
	int r;

	if (expires)
		row.expires = instant_of_wall(expires);
	r = store_id(d->store, STORE_CLIENT, client, &row.client);
	if (r >= 0)
		r = store_id(d->store, STORE_RESOURCE, uuid, &row.resource);
	if (r >= 0)
		r = policy_put_grant(p, &row);
	return r;
}

struct overriding {
	struct daemon *d;
	struct policy *policy;
};

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

/* Grants by hand outlive the clients and resources they name: those are passed over. */
static int override_grant(void *ctx, const struct store_grant *g)
{
	const struct overriding *o = ctx;
	const char *uuid = uuid_of_resource(o->d, g->resource);
	uint32_t client, resource;
	int r;

	if (!uuid || !client_configured(o->d, g->client))
		return 0;
	if (!g->revoked)
		return put_grant(o->d, o->policy, g->client, uuid, g->expires_s);
	r = store_id(o->d->store, STORE_CLIENT, g->client, &client);
	if (r >= 0)
		r = store_id(o->d->store, STORE_RESOURCE, uuid, &resource);
	if (r >= 0)
		(void)policy_del_grant(o->policy, client, resource);
	return r;
}

static int add_grants(struct daemon *d, struct policy *p)
{
	struct overriding o = {d, p};

	for (unsigned int i = 0; i < d->config->grant_count; i++) {
		const struct config_grant *g = &d->config->grants[i];
		int r = put_grant(d, p, d->config->clients[g->client].name,
				  d->config->resources[g->resource].id, g->expires);

		if (r < 0)
			return r;
	}
	return store_foreach_grant(d->store, override_grant, &o);
}

static int apply_to_gateway(struct daemon *d)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	int r;

	r = policy_new(&p);
	if (r >= 0)
		r = add_clients(d, p);
	if (r >= 0)
		r = add_resources(d, p);
	if (r >= 0)
		r = add_grants(d, p);
	if (r < 0)
		return r;
	return gateway_set_policy(d->gateway, TAKE_PTR(p), instant_now());
}

static int apply_to_edge(struct daemon *d)
{
	static const enum ip_stack stack[] = {
		[CONFIG_STACK_DUAL] = IP_STACK_DUAL,
		[CONFIG_STACK_IPV4] = IP_STACK_IPV4,
		[CONFIG_STACK_IPV6] = IP_STACK_IPV6,
	};
	unsigned int count = d->config->resource_count;
	_cleanup_(freep) struct edge_resource *list = calloc(count + 1, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		const struct config_resource *c = &d->config->resources[i];

		list[i] = (struct edge_resource){
			.name = c->name,
			.pattern = c->address,
			.ip_stack = stack[c->ip_stack],
			.gateways = {LOCAL_GATEWAY},
			.gateway_count = 1,
		};
		memcpy(list[i].uuid, c->id, sizeof(list[i].uuid));
		r = store_id(d->store, STORE_RESOURCE, c->id, &list[i].id);
		if (r < 0)
			return r;
	}
	return edge_set_resources(d->edge, list, count, instant_now());
}

int policy_apply(struct daemon *d)
{
	int r;

	r = apply_to_gateway(d);
	if (r >= 0)
		r = apply_to_edge(d);
	if (r < 0)
		log_event(LOG_ERR, "cannot apply the policy", log_errno(r));
	else if (d->cache)
		cache_flush(d->cache);
	return r;
}
