/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over translations after a restart. They stay in force as they are found; whatever the
 * policy or the pools do not permit any more goes.
 */
#include <errno.h>

#include "core/gateway_internal.h"

static void discard(struct gateway *gw, const struct fq_xlat_key *key)
{
	gw_push(gw, GATEWAY_XLAT_DEL)->xlat.key = *key;
}

static bool in_pools(const struct gateway *gw, const struct fq_addr *proxy)
{
	return ipprefix_contains(&gw->settings.pool4, proxy) ||
	       ipprefix_contains(&gw->settings.pool6, proxy);
}

/*
 * Whether a resource of the translation still publishes the name. One without any makes no domain,
 * which would only be reported gone again, while another scope's translation brings it back.
 */
static bool is_published(const struct gateway *gw, const struct dname *name,
			 const struct fq_xlat *value)
{
	for (unsigned int i = 0; i < value->resources; i++)
		if (policy_matches(gw->policy, value->resource[i], name))
			return true;
	return false;
}

static int domain_get(struct gateway *gw, const struct dname *name, uint32_t id,
		      struct gw_domain **ret_domain)
{
	struct gw_domain *domain = gw_domain_find(gw, name);

	if (!domain)
		return gw_domain_new(gw, name, id, ret_domain);
	if (domain->id != id)
		return -ESTALE;
	*ret_domain = domain;
	return 0;
}

static int restore(struct gateway *gw, const struct dname *name, const struct fq_xlat_key *key,
		   const struct fq_xlat *value)
{
	struct gw_binding *binding;
	struct gw_domain *domain;
	struct gw_scope *scope;
	int r;

	r = gw_scope_get(gw, key->scope, (struct instant){0}, &scope);
	if (r < 0)
		return r;
	r = domain_get(gw, name, value->domain, &domain);
	if (r < 0)
		return r;
	r = gw_binding_get(gw, scope, domain, &binding);
	if (r < 0) {
		gw_domain_release(gw, domain);
		return r;
	}
	r = gw_binding_restore(gw, binding, key, value);
	if (r < 0) {
		gw_binding_abandon(gw, binding);
		return r;
	}
	gw_binding_review(gw, binding);
	return 0;
}

int gateway_restore_xlat(struct gateway *gw, const struct dname *name,
			 const struct fq_xlat_key *key, const struct fq_xlat *value)
{
	int r;

	if (gw_xlat_find(gw, key))
		return 0;
	r = gw_reserve(gw, BINDING_ACTIONS + 1);
	if (r < 0)
		return r;
	if (!name || !in_pools(gw, &key->proxy) || !policy_knows_scope(gw->policy, key->scope) ||
	    value->resources > FQ_XLAT_RESOURCES || !is_published(gw, name, value)) {
		discard(gw, key);
		return 0;
	}
	r = restore(gw, name, key, value);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		discard(gw, key);
	return 0;
}

int gateway_restore_records(struct gateway *gw, const struct dname *name,
			    const struct gateway_records *records)
{
	struct gw_domain *domain = gw_domain_find(gw, name);
	bool changed = false;
	int r = 0;

	for (unsigned int f = 0; domain && f < GATEWAY_FAMILIES && r == 0; f++) {
		struct gw_addrs addrs = {0};

		gw_addrs_add(gw, f, records->addr[f], records->count[f], &addrs);
		r = gw_domain_learn(domain, f, &addrs, &changed);
	}
	return r;
}
