/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's policy: from the old one to the new one by the least number of changes to the
 * maps, what is taken away first; grants that come, go and expire.
 */
#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

/* grants are looked through at most this often; the maps carry the exact instant. */
#define EXPIRY_PERIOD_NS NSEC_PER_SEC

/* One of the two policies is walked, the other is looked into. */
struct diff {
	struct gateway *gw;
	const struct policy *other;
	bool changed;
};

/* An expiry before the clock's zero is still one: 0 would mean never. */
static struct fq_grant grant_value(const struct policy_grant *grant)
{
	if (grant->expires.ns == INSTANT_NEVER.ns)
		return (struct fq_grant){0};
	return (struct fq_grant){.expires = grant->expires.ns > 0 ? (__u64)grant->expires.ns : 1};
}

static void push_grant(struct gateway *gw, enum gateway_action_kind kind,
		       const struct policy_grant *grant)
{
	struct gateway_action *action = gw_push(gw, kind);

	action->grant.key = (struct fq_grant_key){
		.client = grant->client,
		.resource = grant->resource,
	};
	action->grant.value = grant_value(grant);
}

static void push_prefix(struct gateway *gw, enum gateway_action_kind kind,
			const struct policy_client *client, const struct ipprefix *prefix)
{
	struct gateway_action *action = gw_push(gw, kind);

	action->client.key = (struct fq_prefix){.prefixlen = prefix->len, .addr = prefix->addr};
	action->client.value = (struct fq_client){.client = client->id, .scope = client->scope};
}

static void push_filter(struct gateway *gw, enum gateway_action_kind kind,
			const struct policy_resource *resource)
{
	struct gateway_action *action = gw_push(gw, kind);

	action->filter.resource = resource->id;
	action->filter.value = resource->filter;
}

static void revoke_grant(void *ctx, const struct policy_grant *grant)
{
	struct diff *diff = ctx;

	if (policy_find_grant(diff->other, grant->client, grant->resource))
		return;
	push_grant(diff->gw, GATEWAY_GRANT_DEL, grant);
	diff->changed = true;
}

static void set_grant(void *ctx, const struct policy_grant *grant)
{
	struct diff *diff = ctx;
	const struct policy_grant *old;

	old = policy_find_grant(diff->other, grant->client, grant->resource);
	if (old && old->expires.ns == grant->expires.ns)
		return;
	push_grant(diff->gw, GATEWAY_GRANT_SET, grant);
	diff->changed = true;
}

static void remove_prefixes(void *ctx, const struct policy_client *client)
{
	struct diff *diff = ctx;

	for (unsigned int i = 0; i < client->prefix_count; i++) {
		if (policy_find_prefix(diff->other, &client->prefixes[i]))
			continue;
		push_prefix(diff->gw, GATEWAY_CLIENT_DEL, client, &client->prefixes[i]);
		diff->changed = true;
	}
}

static void set_prefixes(void *ctx, const struct policy_client *client)
{
	struct diff *diff = ctx;

	for (unsigned int i = 0; i < client->prefix_count; i++) {
		const struct policy_client *old;

		old = policy_find_prefix(diff->other, &client->prefixes[i]);
		if (old && old->id == client->id && old->scope == client->scope)
			continue;
		push_prefix(diff->gw, GATEWAY_CLIENT_SET, client, &client->prefixes[i]);
		diff->changed = true;
	}
}

static void remove_filter(void *ctx, const struct policy_resource *resource)
{
	struct diff *diff = ctx;

	if (policy_find_resource(diff->other, resource->id))
		return;
	push_filter(diff->gw, GATEWAY_FILTER_DEL, resource);
	diff->changed = true;
}

static void set_filter(void *ctx, const struct policy_resource *resource)
{
	struct diff *diff = ctx;
	const struct policy_resource *old = policy_find_resource(diff->other, resource->id);

	if (old && memcmp(&old->filter, &resource->filter, sizeof(old->filter)) == 0)
		return;
	push_filter(diff->gw, GATEWAY_FILTER_SET, resource);
	diff->changed = true;
}

static void push_changed(struct gateway *gw)
{
	gw_push(gw, GATEWAY_POLICY_CHANGED);
}

static size_t policy_size(const struct policy *policy)
{
	return (size_t)policy_grant_count(policy) + policy_prefix_count(policy) +
	       policy_resource_count(policy);
}

static void say_goodbyes(struct gateway *gw)
{
	for (struct gw_scope *scope = gw->scopes; scope; scope = scope->hh.next)
		gw_scope_goodbye(gw, scope);
}

static void review_bindings(struct gateway *gw)
{
	for (struct gw_scope *scope = gw->scopes; scope; scope = scope->hh.next) {
		struct gw_binding *binding, *next;

		for (binding = TAILQ_FIRST(&scope->bindings); binding; binding = next) {
			next = TAILQ_NEXT(binding, of_scope);
			gw_binding_review(gw, binding);
		}
	}
}

int gateway_set_policy(struct gateway *gw, struct policy *policy, struct instant now)
{
	_cleanup_(policy_freep) struct policy *unused = policy;
	_cleanup_(policy_freep) struct policy *old = NULL;
	struct diff removed, added;
	int r;

	r = gw_reserve(gw, policy_size(gw->policy) + policy_size(policy) + gw->xlats.count +
				   gw->bindings.count * BINDING_ACTIONS + HASH_COUNT(gw->scopes) +
				   1);
	if (r < 0)
		return r;
	old = gw->policy;
	gw->policy = TAKE_PTR(unused);
	removed = (struct diff){.gw = gw, .other = gw->policy};
	added = (struct diff){.gw = gw, .other = old};

	policy_foreach_grant(old, revoke_grant, &removed);
	policy_foreach_client(old, remove_prefixes, &removed);
	policy_foreach_resource(old, remove_filter, &removed);
	gw->narrowed = false;
	review_bindings(gw);
	policy_foreach_resource(gw->policy, set_filter, &added);
	policy_foreach_client(gw->policy, set_prefixes, &added);
	policy_foreach_grant(gw->policy, set_grant, &added);
	if (removed.changed || added.changed || gw->narrowed)
		push_changed(gw);
	say_goodbyes(gw);
	gw->next_expiry = policy_next_expiry(gw->policy);
	gw->expired_at = (struct instant){now.ns - EXPIRY_PERIOD_NS};
	return 0;
}

const struct policy *gateway_policy(const struct gateway *gw)
{
	return gw->policy;
}

int gateway_grant_add(struct gateway *gw, const struct policy_grant *grant)
{
	int r;

	r = gw_reserve(gw, 2);
	if (r < 0)
		return r;
	r = policy_put_grant(gw->policy, grant);
	if (r < 0)
		return r;
	push_grant(gw, GATEWAY_GRANT_SET, grant);
	push_changed(gw);
	/* If this one was the earliest and now comes later, the next tick finds that out. */
	gw->next_expiry = instant_min(gw->next_expiry, grant->expires);
	return 0;
}

int gateway_grant_del(struct gateway *gw, uint32_t client, uint32_t resource)
{
	struct policy_grant grant = {.client = client, .resource = resource};
	int r;

	r = gw_reserve(gw, 2 + HASH_COUNT(gw->scopes));
	if (r < 0)
		return r;
	if (!policy_del_grant(gw->policy, client, resource))
		return -ENOENT;
	push_grant(gw, GATEWAY_GRANT_DEL, &grant);
	push_changed(gw);
	say_goodbyes(gw);
	return 0;
}

static void expire_grant(void *ctx, const struct policy_grant *grant)
{
	push_grant(ctx, GATEWAY_GRANT_DEL, grant);
}

/* When grants are to be looked through: at most once a second. */
static struct instant expiry_deadline(const struct gateway *gw)
{
	struct instant earliest;

	if (gw->next_expiry.ns == INSTANT_NEVER.ns)
		return INSTANT_NEVER;
	earliest = instant_add(gw->expired_at, EXPIRY_PERIOD_NS);
	return gw->next_expiry.ns > earliest.ns ? gw->next_expiry : earliest;
}

struct instant gateway_deadline(const struct gateway *gw)
{
	return instant_min(expiry_deadline(gw), gw_refresh_deadline(gw));
}

static int expire_grants(struct gateway *gw, struct instant now)
{
	unsigned int before = policy_grant_count(gw->policy);
	int r;

	r = gw_reserve(gw, before + HASH_COUNT(gw->scopes) + 1);
	if (r < 0)
		return r;
	policy_expire(gw->policy, now, expire_grant, gw);
	if (policy_grant_count(gw->policy) != before) {
		push_changed(gw);
		say_goodbyes(gw);
	}
	gw->expired_at = now;
	gw->next_expiry = policy_next_expiry(gw->policy);
	return 0;
}

int gateway_tick(struct gateway *gw, struct instant now)
{
	int r = 0;

	if (instant_reached(expiry_deadline(gw), now))
		r = expire_grants(gw, now);
	return r < 0 ? r : gw_refresh_run(gw, now);
}
