/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking things up in a policy, see policy.h. */
#include "core/policy.h"

#include <string.h>

#include "core/policy_internal.h"

struct resource_node *policy_resource_node(const struct policy *policy, uint32_t id)
{
	struct resource_node *node;

	HASH_FIND(hh, policy->resources, &id, sizeof(id), node);
	return node;
}

struct client_node *policy_client_node(const struct policy *policy, uint32_t id)
{
	struct client_node *node;

	HASH_FIND(hh, policy->clients, &id, sizeof(id), node);
	return node;
}

struct grant_node *policy_grant_node(const struct policy *policy, uint32_t client,
				     uint32_t resource)
{
	struct fq_grant_key key = {.client = client, .resource = resource};
	struct grant_node *node;

	HASH_FIND(hh, policy->grants, &key, sizeof(key), node);
	return node;
}

struct group_node *policy_group_node(const struct policy *policy, uint32_t scope, uint32_t resource)
{
	struct group_key key = {.scope = scope, .resource = resource};
	struct group_node *node;

	HASH_FIND(hh, policy->groups, &key, sizeof(key), node);
	return node;
}

struct scope_node *policy_scope_node(const struct policy *policy, uint32_t scope)
{
	struct scope_node *node;

	HASH_FIND(hh, policy->scopes, &scope, sizeof(scope), node);
	return node;
}

const struct policy_client *policy_find_client(const struct policy *policy, uint32_t id)
{
	const struct client_node *node = policy_client_node(policy, id);

	return node ? &node->pub : NULL;
}

const struct policy_resource *policy_find_resource(const struct policy *policy, uint32_t id)
{
	const struct resource_node *node = policy_resource_node(policy, id);

	return node ? &node->pub : NULL;
}

const struct policy_resource *policy_find_uuid(const struct policy *policy, const char *uuid)
{
	struct resource_node *node;

	HASH_FIND(hh_uuid, policy->by_uuid, uuid, UUID_STRLEN - 1, node);
	return node ? &node->pub : NULL;
}

const struct policy_grant *policy_find_grant(const struct policy *policy, uint32_t client,
					     uint32_t resource)
{
	const struct grant_node *node = policy_grant_node(policy, client, resource);

	return node ? &node->pub : NULL;
}

const struct policy_client *policy_find_prefix(const struct policy *policy,
					       const struct ipprefix *prefix)
{
	struct fq_prefix key = policy_prefix_key(prefix);
	struct prefix_node *node;

	HASH_FIND(hh, policy->prefixes, &key, sizeof(key), node);
	return node ? &node->client->pub : NULL;
}

bool policy_knows_scope(const struct policy *policy, uint32_t scope)
{
	return policy_scope_node(policy, scope);
}

bool policy_scope_granted(const struct policy *policy, uint32_t scope, uint32_t resource,
			  struct instant now)
{
	const struct group_node *group = policy_group_node(policy, scope, resource);
	const struct grant_node *grant;

	if (!group)
		return false;
	LIST_FOREACH (grant, &group->grants, entry)
		if (!instant_reached(grant->pub.expires, now))
			return true;
	return false;
}

unsigned int policy_scope_grants(const struct policy *policy, uint32_t scope)
{
	const struct scope_node *node = policy_scope_node(policy, scope);

	return node ? node->grants : 0;
}

bool policy_matches(const struct policy *policy, uint32_t resource, const struct dname *name)
{
	const struct resource_node *node = policy_resource_node(policy, resource);

	return node && pattern_match(&node->pattern, name);
}

int policy_compare(const struct policy *policy, uint32_t a, uint32_t b)
{
	const struct resource_node *x = policy_resource_node(policy, a),
				   *y = policy_resource_node(policy, b);
	int order = pattern_compare(&x->pattern, &y->pattern);

	return order ? order : strcmp(y->pub.uuid, x->pub.uuid);
}

#define TABLE_FOREACH(type, head, fn, ctx)                                             \
	do {                                                                           \
		for (const struct type *node_ = (head); node_; node_ = node_->hh.next) \
			(fn)((ctx), &node_->pub);                                      \
	} while (0)

void policy_foreach_client(const struct policy *policy,
			   void (*fn)(void *ctx, const struct policy_client *), void *ctx)
{
	TABLE_FOREACH(client_node, policy->clients, fn, ctx);
}

void policy_foreach_resource(const struct policy *policy,
			     void (*fn)(void *ctx, const struct policy_resource *), void *ctx)
{
	TABLE_FOREACH(resource_node, policy->resources, fn, ctx);
}

void policy_foreach_grant(const struct policy *policy,
			  void (*fn)(void *ctx, const struct policy_grant *), void *ctx)
{
	TABLE_FOREACH(grant_node, policy->grants, fn, ctx);
}

unsigned int policy_client_count(const struct policy *policy)
{
	return HASH_COUNT(policy->clients);
}

unsigned int policy_resource_count(const struct policy *policy)
{
	return HASH_COUNT(policy->resources);
}

unsigned int policy_grant_count(const struct policy *policy)
{
	return HASH_COUNT(policy->grants);
}

unsigned int policy_prefix_count(const struct policy *policy)
{
	return HASH_COUNT(policy->prefixes);
}

struct instant policy_next_expiry(const struct policy *policy)
{
	struct instant next = INSTANT_NEVER;

	for (const struct grant_node *node = policy->grants; node; node = node->hh.next)
		next = instant_min(next, node->pub.expires);
	return next;
}
