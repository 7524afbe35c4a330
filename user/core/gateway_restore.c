/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over translations after a restart. They stay in force as they are found; whatever the
 * policy or the pools do not permit any more goes.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

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

/* What decides whether a resource publishes it is mostly the same for all of a domain. */
static bool same_resources(const struct fq_xlat *a, const struct fq_xlat *b)
{
	return a->resources == b->resources &&
	       memcmp(a->resource, b->resource, sizeof(a->resource)) == 0;
}

struct judged {
	const struct fq_xlat *value; /* NULL: none yet */
	bool published;
};

static bool is_permitted(const struct gateway *gw, const struct dname *name,
			 const struct gateway_found *found, struct judged *last)
{
	if (!name || !in_pools(gw, &found->key->proxy) ||
	    !policy_knows_scope(gw->policy, found->key->scope) ||
	    found->value->resources > FQ_XLAT_RESOURCES)
		return false;
	if (!last->value || !same_resources(found->value, last->value))
		*last = (struct judged){found->value, is_published(gw, name, found->value)};
	return last->published;
}

static int binding_get(struct gateway *gw, const struct dname *name, uint32_t scope_id, uint32_t id,
		       struct gw_binding **ret_binding)
{
	struct gw_domain *domain;
	struct gw_scope *scope;
	int r;

	r = gw_scope_get(gw, scope_id, (struct instant){0}, &scope);
	if (r < 0)
		return r;
	r = domain_get(gw, name, id, &domain);
	if (r < 0)
		return r;
	r = gw_binding_get(gw, scope, domain, ret_binding);
	if (r < 0)
		gw_domain_release(gw, domain);
	return r;
}

/* Into *@binding, which is made for the first one. */
static int restore(struct gateway *gw, const struct dname *name, const struct gateway_found *found,
		   uint32_t hash, struct gw_binding **binding)
{
	int r = 0;

	if (!*binding)
		r = binding_get(gw, name, found->key->scope, found->value->domain, binding);
	return r < 0 ? r : gw_binding_restore(gw, *binding, found, hash);
}

/* Places in a table that is larger than any cache: have all that are looked for come together. */
static void reach_for(const struct gateway *gw, const struct gateway_found *found,
		      unsigned int count, uint32_t hashes[CONTROL_PROXIES_MAX])
{
	for (unsigned int i = 0; i < count; i++) {
		hashes[i] = gw_xlat_hash(gw, found[i].key);
		buckets_expect(&gw->xlats, hashes[i]);
	}
	for (unsigned int i = 0; i < count; i++)
		__builtin_prefetch(buckets_first(&gw->xlats, hashes[i]));
}

int gateway_restore_xlats(struct gateway *gw, const struct dname *name,
			  const struct gateway_found *found, unsigned int count)
{
	uint32_t hashes[CONTROL_PROXIES_MAX];
	struct gw_binding *binding = NULL;
	struct judged last = {0};
	int r;

	assert(count <= CONTROL_PROXIES_MAX);
	r = gw_reserve(gw, BINDING_ACTIONS + count);
	reach_for(gw, found, count, hashes);
	for (unsigned int i = 0; i < count && r == 0; i++) {
		if (gw_xlat_find(gw, found[i].key, hashes[i]))
			continue;
		if (is_permitted(gw, name, &found[i], &last))
			r = restore(gw, name, &found[i], hashes[i], &binding);
		else
			discard(gw, found[i].key);
		if (r == -ENOMEM)
			break;
		if (r < 0)
			discard(gw, found[i].key);
		r = 0;
	}
	/* That frees it if nothing is in it. */
	if (binding)
		gw_binding_review(gw, binding);
	return r;
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
