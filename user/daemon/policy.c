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

#define CLOCK_JITTER_NS (100 * NSEC_PER_MSEC)

/*
 * Both clocks are read one after the other, so their difference is never quite the same: it is
 * kept as long as it moves by no more than that, so that an unchanged grant stays unchanged.
 */
struct instant instant_of_wall(struct daemon *d, time_t wall)
{
	struct timespec now;
	int64_t offset_ns, wall_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	offset_ns = now.tv_sec * NSEC_PER_SEC + now.tv_nsec - instant_now().ns;
	if (llabs(offset_ns - d->wall_offset_ns) > CLOCK_JITTER_NS)
		d->wall_offset_ns = offset_ns;
	if (__builtin_mul_overflow((int64_t)wall, NSEC_PER_SEC, &wall_ns))
		return INSTANT_NEVER;
	return instant_add((struct instant){wall_ns}, -d->wall_offset_ns);
}

/* Whose proxy addresses a client uses. */
static int scope_of_client(struct daemon *d, const struct config_client *c, uint32_t *ret_scope)
{
	*ret_scope = LOCAL_SCOPE;
	if (!c->remote)
		return 0;
	return store_id(d->store, STORE_EDGE, d->config->gateway.edges[c->edge].name, ret_scope);
}

static int add_clients(struct daemon *d, struct policy *p)
{
	for (unsigned int i = 0; i < d->config->client_count; i++) {
		const struct config_client *c = &d->config->clients[i];
		struct policy_client row = {
			.name = c->name,
			.prefixes = c->prefixes,
			.prefix_count = c->prefix_count,
		};
		int r;

		r = store_id(d->store, STORE_CLIENT, c->name, &row.id);
		if (r >= 0)
			r = scope_of_client(d, c, &row.scope);
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
			.any_family = c->translate == CONFIG_TRANSLATE_ANY,
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
		row.expires = instant_of_wall(d, expires);
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

/* Grants by hand outlive the clients and resources they name: those are passed over. */
static int override_grant(void *ctx, const struct store_grant *g)
{
	const struct overriding *o = ctx;
	uint32_t client, resource;
	int r;

	if (!config_resource(o->d, g->resource) || !client_configured(o->d, g->client))
		return 0;
	if (!g->revoked)
		return put_grant(o->d, o->policy, g->client, g->resource, g->expires_s);
	r = store_id(o->d->store, STORE_CLIENT, g->client, &client);
	if (r >= 0)
		r = store_id(o->d->store, STORE_RESOURCE, g->resource, &resource);
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

/* The gateways that serve a resource, in the order of preference. */
static int gateways_of_resource(struct daemon *d, const struct config_resource *c,
				struct edge_resource *ret)
{
	const struct config_edge *e = &d->config->edge;

	ret->gateways[0] = LOCAL_GATEWAY;
	ret->gateway_count = e->gateway_count ? c->gateway_count : 1;
	for (unsigned int i = 0; i < c->gateway_count && e->gateway_count; i++) {
		int r = store_id(d->store, STORE_GATEWAY, e->gateways[c->gateways[i]].name,
				 &ret->gateways[i]);

		if (r < 0)
			return r;
	}
	return 0;
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
		};
		memcpy(list[i].uuid, c->id, sizeof(list[i].uuid));
		r = store_id(d->store, STORE_RESOURCE, c->id, &list[i].id);
		if (r >= 0)
			r = gateways_of_resource(d, c, &list[i]);
		if (r < 0)
			return r;
	}
	return edge_set_resources(d->edge, list, count, instant_now());
}

int policy_apply(struct daemon *d)
{
	int r;

	r = resource_index_build(d);
	if (r >= 0)
		r = apply_to_gateway(d);
	if (r >= 0)
		r = apply_to_edge(d);
	if (r < 0)
		log_event(LOG_ERR, "cannot apply the policy", log_errno(r));
	else if (d->cache)
		cache_flush(d->cache);
	return r;
}

void quotas_apply(struct daemon *d)
{
	for (unsigned int i = 0; i < d->config->client_count; i++) {
		const struct config_client *c = &d->config->clients[i];
		uint32_t id, scope;

		if (store_id(d->store, STORE_CLIENT, c->name, &id) == 0 &&
		    scope_of_client(d, c, &scope) == 0)
			dataplane_quota_set(d->dp, id, scope,
					    d->config->gateway.sessions.per_client);
	}
}

/* Ids that nothing configured has. */
struct unused_ids {
	const struct daemon *d;
	enum store_kind kind;
	uint32_t *ids;
	size_t count;
};

static bool configured(const struct daemon *d, enum store_kind kind, const char *key)
{
	const struct config *c = d->config;

	switch (kind) {
	case STORE_CLIENT:
		return client_configured(d, key);
	case STORE_RESOURCE:
		return config_resource(d, key);
	case STORE_GATEWAY:
		for (unsigned int i = 0; i < c->edge.gateway_count; i++)
			if (strcmp(c->edge.gateways[i].name, key) == 0)
				return true;
		return false;
	default:
		for (unsigned int i = 0; i < c->gateway.edge_count; i++)
			if (strcmp(c->gateway.edges[i].name, key) == 0)
				return true;
		return false;
	}
}

static int collect_unused(void *ctx, uint32_t id, const char *key)
{
	struct unused_ids *u = ctx;
	uint32_t *ids;

	if (configured(u->d, u->kind, key))
		return 0;
	ids = reallocarray(u->ids, u->count + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	u->ids = ids;
	ids[u->count++] = id;
	return 0;
}

/* Sessions that carry the id would be taken for the next owner's; they may not pass any more
 * anyway. */
static int purge_kind(struct daemon *d, enum store_kind kind)
{
	struct unused_ids u = {.d = d, .kind = kind};
	int r;

	r = store_foreach_id(d->store, kind, collect_unused, &u);
	for (size_t i = 0; i < u.count && r >= 0; i++) {
		struct dp_match match = {0};
		uint16_t gateway;

		if (kind == STORE_CLIENT)
			match.client = &u.ids[i];
		else if (kind == STORE_RESOURCE)
			match.resource = &u.ids[i];
		gateway = (uint16_t)u.ids[i];
		if (kind == STORE_GATEWAY)
			match.gateway = &gateway;
		if (kind != STORE_EDGE)
			dataplane_flush(d->dp, &match, instant_now());
		r = store_id_purge(d->store, kind, u.ids[i]);
	}
	free(u.ids);
	return r;
}

int ids_purge(struct daemon *d)
{
	int r = 0;

	for (enum store_kind kind = 0; kind < STORE_KINDS && r >= 0; kind++)
		r = purge_kind(d, kind);
	if (r < 0)
		log_event(LOG_ERR, "cannot free what is configured no longer", log_errno(r));
	return r;
}
