/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's scopes, the edges it serves: what each may use of what all have, and what
 * happens when one goes.
 */
#include <errno.h>

#include "core/gateway_internal.h"

struct gw_scope *gw_scope_find(const struct gateway *gw, uint32_t id)
{
	struct gw_scope *scope;

	HASH_FIND(hh, gw->scopes, &id, sizeof(id), scope);
	return scope;
}

static int64_t message_ns(const struct gateway *gw)
{
	return NSEC_PER_SEC / gw->settings.assigned_per_s;
}

int gw_scope_get(struct gateway *gw, uint32_t id, struct instant now, struct gw_scope **ret_scope)
{
	struct gw_scope *scope = gw_scope_find(gw, id);

	if (!scope) {
		scope = calloc(1, sizeof(*scope));
		if (!scope)
			return -ENOMEM;
		scope->id = id;
		scope->credit_ns = gw->settings.assigned_burst * message_ns(gw);
		scope->refilled = now;
		TAILQ_INIT(&scope->bindings);
		HASH_ADD(hh, gw->scopes, id, sizeof(scope->id), scope);
		if (!scope->hh.tbl) {
			free(scope);
			return -ENOMEM;
		}
	}
	*ret_scope = scope;
	return 0;
}

/* Token bucket, in ns of credit. */
bool gw_scope_take(const struct gateway *gw, struct gw_scope *scope, struct instant now)
{
	int64_t cost = message_ns(gw), full = gw->settings.assigned_burst * cost;
	int64_t passed = instant_sub(now, scope->refilled);

	scope->refilled = now;
	scope->credit_ns = passed < full - scope->credit_ns ? scope->credit_ns + passed : full;
	if (scope->credit_ns < cost)
		return false;
	scope->credit_ns -= cost;
	return true;
}

int gw_scope_make_room(struct gateway *gw, struct gw_scope *scope, unsigned int n)
{
	while (scope->xlats + n > gw->settings.xlat_per_scope) {
		struct gw_binding *oldest = TAILQ_FIRST(&scope->bindings);
		int r;

		if (!oldest || oldest == TAILQ_LAST(&scope->bindings, gw_bindings))
			return 0;
		r = gw_reserve(gw, BINDING_ACTIONS);
		if (r < 0)
			return r;
		gw_binding_free(gw, oldest);
	}
	return 0;
}

void gw_scope_goodbye(struct gateway *gw, struct gw_scope *scope)
{
	if (scope->goodbye || TAILQ_EMPTY(&scope->bindings) ||
	    policy_scope_grants(gw->policy, scope->id))
		return;
	scope->goodbye = true;
	gw_push(gw, GATEWAY_GOODBYE)->goodbye.scope = scope->id;
}

int gateway_scope_gone(struct gateway *gw, uint32_t id)
{
	struct gw_scope *scope = gw_scope_find(gw, id);
	struct gw_binding *binding;

	while (scope && (binding = TAILQ_FIRST(&scope->bindings))) {
		int r = gw_reserve(gw, BINDING_ACTIONS);

		if (r < 0)
			return r;
		gw_lookup_unwait(binding->domain, id);
		gw_binding_free(gw, binding);
	}
	return 0;
}

int gateway_forget(struct gateway *gw, uint32_t scope, const struct dname *name)
{
	struct gw_domain *domain = gw_domain_find(gw, name);
	struct gw_binding *binding = domain ? gw_binding_find(gw, scope, domain->id) : NULL;
	int r;

	if (!binding)
		return 0;
	r = gw_reserve(gw, BINDING_ACTIONS);
	if (r < 0)
		return r;
	gw_lookup_unwait(domain, scope);
	gw_binding_free(gw, binding);
	return 0;
}

struct gateway_usage gateway_usage(const struct gateway *gw)
{
	struct gateway_usage usage = {
		.domains = gw->domains.count,
		.scopes = HASH_COUNT(gw->scopes),
		.resolutions = gw->lookups,
		.resolutions_max = gw->settings.resolutions_max,
		.xlats = gw->xlats.count,
		.xlat_per_scope = gw->settings.xlat_per_scope,
		.clients = policy_client_count(gw->policy),
		.resources = policy_resource_count(gw->policy),
		.grants = policy_grant_count(gw->policy),
	};

	for (const struct gw_scope *scope = gw->scopes; scope; scope = scope->hh.next)
		if (scope->xlats > usage.xlats_scope)
			usage.xlats_scope = scope->xlats;
	return usage;
}

struct gateway_scope_usage gateway_scope_usage(const struct gateway *gw, uint32_t id)
{
	const struct gw_scope *scope = gw_scope_find(gw, id);

	if (!scope)
		return (struct gateway_scope_usage){0};
	return (struct gateway_scope_usage){
		.domains = scope->domains,
		.translations = scope->xlats,
		.lookups = scope->lookups,
	};
}
