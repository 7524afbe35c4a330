/* SPDX-License-Identifier: BSD-2-Clause */
/* Building and changing the tables of clients, resources and grants, see policy.h. */
#include "core/policy.h"

#include <errno.h>
#include <string.h>

#include "core/policy_internal.h"

int policy_new(struct policy **ret_policy)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	*ret_policy = policy;
	return 0;
}

static void client_free(struct client_node *node)
{
	free((char *)node->pub.name);
	free((struct ipprefix *)node->pub.prefixes);
	free(node);
}

static void resource_free(struct resource_node *node)
{
	free((char *)node->pub.uuid);
	free((char *)node->pub.name);
	free((char *)node->pub.pattern);
	free(node);
}

#define TABLE_FREE(handle, head, free_fn)                 \
	do {                                              \
		__typeof__(head) node_, next_;            \
		HASH_ITER (handle, head, node_, next_) {  \
			HASH_DELETE(handle, head, node_); \
			free_fn(node_);                   \
		}                                         \
	} while (0)

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	TABLE_FREE(hh, policy->grants, free);
	TABLE_FREE(hh, policy->groups, free);
	TABLE_FREE(hh, policy->scopes, free);
	TABLE_FREE(hh, policy->prefixes, free);
	TABLE_FREE(hh, policy->clients, client_free);
	HASH_CLEAR(hh_uuid, policy->by_uuid);
	TABLE_FREE(hh, policy->resources, resource_free);
	free(policy);
}

static int prefix_add(struct policy *policy, struct client_node *client,
		      const struct ipprefix *prefix)
{
	struct prefix_node *node, *taken;
	struct fq_prefix key = policy_prefix_key(prefix);

	HASH_FIND(hh, policy->prefixes, &key, sizeof(key), taken);
	if (taken)
		return -EEXIST;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->key = key;
	node->client = client;
	HASH_ADD(hh, policy->prefixes, key, sizeof(node->key), node);
	if (!node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	return 0;
}

static int scope_add(struct policy *policy, uint32_t scope)
{
	struct scope_node *node;

	if (policy_scope_node(policy, scope))
		return 0;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->scope = scope;
	HASH_ADD(hh, policy->scopes, scope, sizeof(node->scope), node);
	if (!node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	return 0;
}

static int client_new(const struct policy_client *client, struct client_node **ret_node)
{
	struct client_node *node = calloc(1, sizeof(*node));
	struct ipprefix *prefixes = calloc(client->prefix_count + 1, sizeof(*prefixes));
	char *name = strdup(client->name);

	if (!node || !prefixes || !name) {
		free(node);
		free(prefixes);
		free(name);
		return -ENOMEM;
	}
	if (client->prefix_count)
		memcpy(prefixes, client->prefixes, client->prefix_count * sizeof(*prefixes));
	node->pub = *client;
	node->pub.name = name;
	node->pub.prefixes = prefixes;
	*ret_node = node;
	return 0;
}

int policy_add_client(struct policy *policy, const struct policy_client *client)
{
	struct client_node *node;
	int r;

	if (client->id >= FQ_CLIENTS_MAX)
		return -ERANGE;
	if (policy_find_client(policy, client->id))
		return -EEXIST;
	r = scope_add(policy, client->scope);
	if (r < 0)
		return r;
	r = client_new(client, &node);
	if (r < 0)
		return r;
	HASH_ADD(hh, policy->clients, pub.id, sizeof(node->pub.id), node);
	if (!node->hh.tbl) {
		client_free(node);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < client->prefix_count && r == 0; i++)
		r = prefix_add(policy, node, &client->prefixes[i]);
	return r;
}

/* Unused parts are zeroed, so that filters can be compared as bytes. */
static struct fq_filter filter_normal(const struct fq_filter *filter)
{
	struct fq_filter normal = {
		.allow_all = filter->allow_all,
		.icmp = filter->icmp,
		.ranges = filter->ranges < FQ_FILTER_RANGES ? filter->ranges : FQ_FILTER_RANGES,
	};

	for (unsigned int i = 0; i < normal.ranges; i++)
		normal.range[i] = (struct fq_port_range){
			.proto = filter->range[i].proto,
			.lo = filter->range[i].lo,
			.hi = filter->range[i].hi,
		};
	return normal;
}

static int resource_new(const struct policy_resource *resource, const char *uuid,
			struct resource_node **ret_node)
{
	struct resource_node *node = calloc(1, sizeof(*node));

	if (!node)
		return -ENOMEM;
	node->pub = *resource;
	node->pub.filter = filter_normal(&resource->filter);
	node->pub.uuid = strdup(uuid);
	node->pub.name = strdup(resource->name);
	node->pub.pattern = strdup(resource->pattern);
	if (!node->pub.uuid || !node->pub.name || !node->pub.pattern) {
		resource_free(node);
		return -ENOMEM;
	}
	*ret_node = node;
	return 0;
}

int policy_add_resource(struct policy *policy, const struct policy_resource *resource)
{
	char uuid[UUID_STRLEN];
	struct pattern pattern;
	struct resource_node *node;
	int r;

	r = uuid_from_text(resource->uuid, uuid);
	if (r < 0)
		return r;
	r = pattern_parse(resource->pattern, &pattern);
	if (r < 0)
		return r;
	if (policy_find_resource(policy, resource->id) || policy_find_uuid(policy, uuid))
		return -EEXIST;
	if (policy_resource_count(policy) >= FQ_RESOURCES_MAX)
		return -ENOSPC;
	r = resource_new(resource, uuid, &node);
	if (r < 0)
		return r;
	node->pattern = pattern;
	HASH_ADD(hh, policy->resources, pub.id, sizeof(node->pub.id), node);
	if (!node->hh.tbl) {
		resource_free(node);
		return -ENOMEM;
	}
	HASH_ADD_KEYPTR(hh_uuid, policy->by_uuid, node->pub.uuid, UUID_STRLEN - 1, node);
	if (!node->hh_uuid.tbl) {
		HASH_DELETE(hh, policy->resources, node);
		resource_free(node);
		return -ENOMEM;
	}
	return 0;
}

/* An empty group is kept until the policy goes: there are no more than scopes times resources. */
static struct group_node *group_get(struct policy *policy, uint32_t scope, uint32_t resource)
{
	struct group_node *node = policy_group_node(policy, scope, resource);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->key = (struct group_key){.scope = scope, .resource = resource};
	LIST_INIT(&node->grants);
	HASH_ADD(hh, policy->groups, key, sizeof(node->key), node);
	if (!node->hh.tbl) {
		free(node);
		return NULL;
	}
	return node;
}

int policy_put_grant(struct policy *policy, const struct policy_grant *grant)
{
	const struct client_node *client = policy_client_node(policy, grant->client);
	struct grant_node *node = policy_grant_node(policy, grant->client, grant->resource);

	if (!client || !policy_resource_node(policy, grant->resource))
		return -ENOENT;
	if (node) {
		node->pub.expires = grant->expires;
		return 0;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->pub = *grant;
	node->key = (struct fq_grant_key){.client = grant->client, .resource = grant->resource};
	node->group = group_get(policy, client->pub.scope, grant->resource);
	if (node->group)
		HASH_ADD(hh, policy->grants, key, sizeof(node->key), node);
	if (!node->group || !node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&node->group->grants, node, entry);
	policy_scope_node(policy, client->pub.scope)->grants++;
	return 0;
}

static void grant_free(struct policy *policy, struct grant_node *node)
{
	policy_scope_node(policy, node->group->key.scope)->grants--;
	LIST_REMOVE(node, entry);
	HASH_DELETE(hh, policy->grants, node);
	free(node);
}

bool policy_del_grant(struct policy *policy, uint32_t client, uint32_t resource)
{
	struct grant_node *node = policy_grant_node(policy, client, resource);

	if (!node)
		return false;
	grant_free(policy, node);
	return true;
}

void policy_expire(struct policy *policy, struct instant now,
		   void (*fn)(void *ctx, const struct policy_grant *), void *ctx)
{
	struct grant_node *node, *next;

	HASH_ITER (hh, policy->grants, node, next) {
		if (!instant_reached(node->pub.expires, now))
			continue;
		fn(ctx, &node->pub);
		grant_free(policy, node);
	}
}
