/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's translations: which proxy addresses of a scope belong to which domain, which
 * resources let packets use them, and which real address they mean.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

/* Edges choose the addresses: the hash is keyed, so that they do not choose the bucket. */
uint32_t gw_xlat_hash(const struct gateway *gw, const struct fq_xlat_key *key)
{
	return hash_bytes(key, sizeof(*key), gw->settings.hash_key);
}

struct gw_xlat *gw_xlat_find(const struct gateway *gw, const struct fq_xlat_key *key, uint32_t hash)
{
	for (struct bucket_node *at = buckets_first(&gw->xlats, hash); at; at = at->next) {
		struct gw_xlat *xlat = bucket_owner(at, struct gw_xlat, by_key);

		if (at->hash == hash && memcmp(&xlat->key, key, sizeof(*key)) == 0)
			return xlat;
	}
	return NULL;
}

/* A translation of no binding yet. */
static struct gw_xlat *xlat_new(struct gateway *gw, const struct fq_xlat_key *key, uint32_t hash)
{
	struct gw_xlat *xlat = calloc(1, sizeof(*xlat));

	if (!xlat)
		return NULL;
	xlat->key = *key;
	buckets_add(&gw->xlats, &xlat->by_key, hash);
	return xlat;
}

static void xlat_drop(struct gateway *gw, struct gw_xlat *xlat)
{
	buckets_remove(&gw->xlats, &xlat->by_key);
	free(xlat);
}

static void xlat_uninstall(struct gateway *gw, struct gw_xlat *xlat)
{
	if (xlat->installed)
		gw_push(gw, GATEWAY_XLAT_DEL)->xlat.key = xlat->key;
	xlat->installed = false;
}

static void xlat_install(struct gateway *gw, struct gw_xlat *xlat)
{
	struct gateway_action *action = gw_push(gw, GATEWAY_XLAT_SET);

	action->xlat.key = xlat->key;
	action->xlat.value = xlat->value;
	xlat->installed = true;
}

static enum gateway_family family_of(const struct gw_xlat *xlat)
{
	return ipaddr_is_v4(&xlat->key.proxy) ? GATEWAY_A : GATEWAY_AAAA;
}

/* Take the translation out of its binding; it keeps its place in the table. */
static void xlat_unlink(struct gateway *gw, struct gw_xlat *xlat)
{
	enum gateway_family f = family_of(xlat);
	struct gw_binding *binding = xlat->binding;
	unsigned int at = 0;

	xlat_uninstall(gw, xlat);
	while (binding->xlat[f][at] != xlat)
		at++;
	binding->count[f]--;
	memmove(&binding->xlat[f][at], &binding->xlat[f][at + 1],
		(binding->count[f] - at) * sizeof(binding->xlat[f][0]));
	binding->scope->xlats--;
	xlat->binding = NULL;
	xlat->value = (struct fq_xlat){0};
}

static void xlat_link(struct gw_xlat *xlat, struct gw_binding *binding)
{
	enum gateway_family f = family_of(xlat);
	unsigned int at = binding->count[f];

	assert(at < PROXIES_PER_FAMILY);
	while (at > 0 && ipaddr_cmp(&binding->xlat[f][at - 1]->key.proxy, &xlat->key.proxy) > 0) {
		binding->xlat[f][at] = binding->xlat[f][at - 1];
		at--;
	}
	binding->xlat[f][at] = xlat;
	binding->count[f]++;
	binding->scope->xlats++;
	xlat->binding = binding;
	xlat->value.domain = binding->domain->id;
}

/* Both are given out here, in order: they spread by themselves, and scopes lie far apart. */
static uint32_t binding_hash(uint32_t scope, uint32_t domain)
{
	return domain + scope * 0x9e3779b1;
}

struct gw_binding *gw_binding_find(const struct gateway *gw, uint32_t scope, uint32_t domain)
{
	const uint32_t hash = binding_hash(scope, domain);

	for (struct bucket_node *at = buckets_first(&gw->bindings, hash); at; at = at->next) {
		struct gw_binding *binding = bucket_owner(at, struct gw_binding, by_key);

		if (binding->key.scope == scope && binding->key.domain == domain)
			return binding;
	}
	return NULL;
}

int gw_binding_get(struct gateway *gw, struct gw_scope *scope, struct gw_domain *domain,
		   struct gw_binding **ret_binding)
{
	struct gw_binding *binding = gw_binding_find(gw, scope->id, domain->id);

	if (!binding) {
		binding = calloc(1, sizeof(*binding));
		if (!binding)
			return -ENOMEM;
		binding->key = (struct gw_binding_key){.scope = scope->id, .domain = domain->id};
		binding->scope = scope;
		binding->domain = domain;
		buckets_add(&gw->bindings, &binding->by_key, binding_hash(scope->id, domain->id));
		LIST_INSERT_HEAD(&domain->bindings, binding, of_domain);
		scope->domains++;
	} else {
		TAILQ_REMOVE(&scope->bindings, binding, of_scope);
	}
	TAILQ_INSERT_TAIL(&scope->bindings, binding, of_scope);
	*ret_binding = binding;
	return 0;
}

static bool binding_empty(const struct gw_binding *binding)
{
	return binding->count[GATEWAY_A] == 0 && binding->count[GATEWAY_AAAA] == 0;
}

void gw_binding_free(struct gateway *gw, struct gw_binding *binding)
{
	struct gw_domain *domain = binding->domain;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		while (binding->count[f]) {
			struct gw_xlat *xlat = binding->xlat[f][binding->count[f] - 1];

			xlat_unlink(gw, xlat);
			xlat_drop(gw, xlat);
		}
	}
	buckets_remove(&gw->bindings, &binding->by_key);
	TAILQ_REMOVE(&binding->scope->bindings, binding, of_scope);
	LIST_REMOVE(binding, of_domain);
	binding->scope->domains--;
	free(binding);
	gw_domain_release(gw, domain);
}

void gw_binding_abandon(struct gateway *gw, struct gw_binding *binding)
{
	/* Ignoring a lack of memory: an empty binding is filled or evicted later. */
	if (binding_empty(binding) && gw_reserve(gw, BINDING_ACTIONS) == 0)
		gw_binding_free(gw, binding);
}

static bool listed(const struct fq_addr *addr, const struct fq_addr *list, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (ipaddr_equal(addr, &list[i]))
			return true;
	return false;
}

/* Proxy addresses that the edge does not use for this domain any more. */
static void binding_drop_others(struct gateway *gw, struct gw_binding *binding,
				enum gateway_family family, const struct fq_addr *proxies)
{
	for (unsigned int i = binding->count[family]; i-- > 0;) {
		struct gw_xlat *xlat = binding->xlat[family][i];

		if (listed(&xlat->key.proxy, proxies, PROXIES_PER_FAMILY))
			continue;
		xlat_unlink(gw, xlat);
		xlat_drop(gw, xlat);
	}
}

/* Find or make the translations of @proxies; those of no binding are new. */
static int xlats_get(struct gateway *gw, uint32_t scope, const struct fq_addr *proxies,
		     struct gw_xlat *ret_xlats[PROXIES_PER_FAMILY])
{
	struct gw_xlat *xlats[PROXIES_PER_FAMILY];

	for (unsigned int i = 0; i < PROXIES_PER_FAMILY; i++) {
		struct fq_xlat_key key = {.scope = scope, .proxy = proxies[i]};
		uint32_t hash = gw_xlat_hash(gw, &key);

		xlats[i] = gw_xlat_find(gw, &key, hash) ?: xlat_new(gw, &key, hash);
		if (xlats[i])
			continue;
		while (i-- > 0)
			if (!xlats[i]->binding)
				xlat_drop(gw, xlats[i]);
		return -ENOMEM;
	}
	memcpy(ret_xlats, xlats, sizeof(xlats));
	return 0;
}

int gw_binding_assign(struct gateway *gw, struct gw_binding *binding, enum gateway_family family,
		      const struct fq_addr *proxies, bool *moved)
{
	struct gw_xlat *xlats[PROXIES_PER_FAMILY];
	int r;

	r = xlats_get(gw, binding->scope->id, proxies, xlats);
	if (r < 0)
		return r;
	binding_drop_others(gw, binding, family, proxies);
	for (unsigned int i = 0; i < PROXIES_PER_FAMILY; i++) {
		struct gw_binding *from = xlats[i]->binding;

		if (from == binding)
			continue;
		if (from) {
			xlat_unlink(gw, xlats[i]);
			if (binding_empty(from))
				gw_binding_free(gw, from);
		}
		xlat_link(xlats[i], binding);
		*moved = true;
	}
	return 0;
}

int gw_binding_restore(struct gateway *gw, struct gw_binding *binding,
		       const struct gateway_found *found, uint32_t hash)
{
	enum gateway_family family = ipaddr_is_v4(&found->key->proxy) ? GATEWAY_A : GATEWAY_AAAA;
	struct gw_xlat *xlat;

	if (binding->count[family] == PROXIES_PER_FAMILY)
		return -ENOSPC;
	xlat = xlat_new(gw, found->key, hash);
	if (!xlat)
		return -ENOMEM;
	xlat->value = *found->value;
	xlat->installed = true;
	xlat_link(xlat, binding);
	return 0;
}

/* Insert in order; the least specific gives way if there is no room. Return: whether it is new. */
static bool value_permit(const struct policy *policy, struct fq_xlat *value, uint32_t resource)
{
	unsigned int at;

	for (unsigned int i = 0; i < value->resources; i++)
		if (value->resource[i] == resource)
			return false;
	if (value->resources == FQ_XLAT_RESOURCES) {
		if (policy_compare(policy, resource, value->resource[FQ_XLAT_RESOURCES - 1]) > 0)
			return false;
		value->resources--;
	}
	at = value->resources++;
	while (at > 0 && policy_compare(policy, value->resource[at - 1], resource) > 0) {
		value->resource[at] = value->resource[at - 1];
		at--;
	}
	value->resource[at] = resource;
	return true;
}

/*
 * Does a resource of the translation let packets change their IP version (G-26)? One is enough: the
 * resources of a name share its proxy addresses, and a packet is permitted after it is known where
 * it goes.
 */
static bool any_family(const struct policy *policy, const struct fq_xlat *value)
{
	for (unsigned int i = 0; i < value->resources; i++) {
		const struct policy_resource *resource =
			policy_find_resource(policy, value->resource[i]);

		if (resource && resource->any_family)
			return true;
	}
	return false;
}

/*
 * The real address of the @i-th proxy address of a family, by round robin (G-06): one of the same
 * family, or of the other one if that has none and a resource permits it.
 */
static void value_resolve(const struct gateway *gw, const struct gw_domain *domain,
			  enum gateway_family family, unsigned int i, struct fq_xlat *value)
{
	enum gateway_family from = family;
	unsigned int n;

	if (!domain->known_count[family] && any_family(gw->policy, value))
		from = family == GATEWAY_A ? GATEWAY_AAAA : GATEWAY_A;
	n = domain->known_count[from];
	value->has_real = n > 0;
	value->real = n ? domain->known[from][i % n] : (struct fq_addr){0};
}

/* After the resources have changed: a family without addresses may use the other's, or not. */
static void value_review(const struct gateway *gw, const struct gw_domain *domain,
			 enum gateway_family family, unsigned int i, struct fq_xlat *value)
{
	enum gateway_family other = family == GATEWAY_A ? GATEWAY_AAAA : GATEWAY_A;

	/* Else there is nothing to borrow, or nothing is known yet of what was found installed. */
	if (!domain->known_count[family] && domain->known_count[other])
		value_resolve(gw, domain, family, i, value);
}

void gw_binding_permit(struct gateway *gw, struct gw_binding *binding, enum gateway_family family,
		       uint32_t resource)
{
	for (unsigned int i = 0; i < binding->count[family]; i++) {
		struct gw_xlat *xlat = binding->xlat[family][i];

		if (!value_permit(gw->policy, &xlat->value, resource) || !xlat->installed)
			continue;
		value_review(gw, binding->domain, family, i, &xlat->value);
		xlat_install(gw, xlat);
	}
}

void gw_binding_install(struct gateway *gw, struct gw_binding *binding)
{
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		for (unsigned int i = 0; i < binding->count[f]; i++) {
			struct gw_xlat *xlat = binding->xlat[f][i];

			value_resolve(gw, binding->domain, f, i, &xlat->value);
			xlat_install(gw, xlat);
		}
	}
}

/* Resources of a domain whose sessions end, each once. */
struct ended {
	uint32_t resource[GATEWAY_FAMILIES * FQ_XLAT_RESOURCES];
	unsigned int count;
};

/* Nothing publishes the name any more: what is gone or revoked stops by itself, the rest not. */
static void end_sessions(struct gateway *gw, const struct fq_xlat *value, struct ended *ended)
{
	for (unsigned int i = 0; i < value->resources; i++) {
		struct gateway_action *action;
		unsigned int at = 0;

		/* Without its filter it permits nothing any more. */
		if (!policy_find_resource(gw->policy, value->resource[i]))
			continue;
		while (at < ended->count && ended->resource[at] != value->resource[i])
			at++;
		if (at < ended->count || at == sizeof(ended->resource) / sizeof(uint32_t))
			continue;
		ended->resource[ended->count++] = value->resource[i];
		action = gw_push(gw, GATEWAY_SESSIONS_END);
		action->end.domain = value->domain;
		action->end.resource = value->resource[i];
	}
}

/* Resources of a translation, and those of them that publish the name still. */
struct review {
	struct fq_xlat before, after; /* only their resources */
};

static bool same_resources(const struct fq_xlat *a, const struct fq_xlat *b)
{
	return a->resources == b->resources &&
	       memcmp(a->resource, b->resource, sizeof(a->resource)) == 0;
}

static void copy_resources(struct fq_xlat *to, const struct fq_xlat *from)
{
	to->resources = from->resources;
	memcpy(to->resource, from->resource, sizeof(to->resource));
}

/*
 * The value without the resources that do not publish the name any more.
 *
 * @last: the review of another one of the same domain, whose resources are mostly the same; begins
 *        as zero
 */
static struct fq_xlat reviewed(const struct gateway *gw, const struct gw_xlat *xlat,
			       struct review *last)
{
	struct fq_xlat value = xlat->value;

	if (!same_resources(&last->before, &value)) {
		*last = (struct review){0};
		copy_resources(&last->before, &value);
		for (unsigned int k = 0; k < value.resources; k++)
			if (policy_matches(gw->policy, value.resource[k],
					   &xlat->binding->domain->name))
				(void)value_permit(gw->policy, &last->after, value.resource[k]);
	}
	copy_resources(&value, &last->after);
	return value;
}

void gw_binding_review(struct gateway *gw, struct gw_binding *binding)
{
	struct review last = {0};
	struct ended ended = {0};

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		for (unsigned int i = binding->count[f]; i-- > 0;) {
			struct gw_xlat *xlat = binding->xlat[f][i];
			struct fq_xlat value = reviewed(gw, xlat, &last);

			if (value.resources && xlat->installed)
				value_review(gw, binding->domain, f, i, &value);
			gw->narrowed |= value.resources < xlat->value.resources;
			if (!value.resources) {
				end_sessions(gw, &xlat->value, &ended);
				xlat_unlink(gw, xlat);
				xlat_drop(gw, xlat);
			} else if (memcmp(&value, &xlat->value, sizeof(value)) != 0) {
				xlat->value = value;
				if (xlat->installed)
					xlat_install(gw, xlat);
			}
		}
	}
	if (binding_empty(binding))
		gw_binding_free(gw, binding);
}
