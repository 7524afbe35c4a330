/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's domains: names, what they resolve to, which addresses can be used at all, and a
 * view of their translations. */
#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

struct gw_domain *gw_domain_find(const struct gateway *gw, const struct dname *name)
{
	const uint32_t hash = dname_hash(name, gw->settings.hash_key);

	for (struct bucket_node *at = buckets_first(&gw->domains, hash); at; at = at->next) {
		struct gw_domain *domain = bucket_owner(at, struct gw_domain, by_name);

		if (at->hash == hash && dname_equal(&domain->name, name))
			return domain;
	}
	return NULL;
}

int gw_domain_new(struct gateway *gw, const struct dname *name, uint32_t id,
		  struct gw_domain **ret_domain)
{
	struct gw_domain *domain = calloc(1, sizeof(*domain));

	if (!domain || timers_reserve(&gw->refreshes, gw->domains.count + 1) < 0) {
		free(domain);
		return -ENOMEM;
	}
	domain->name = *name;
	domain->id = id;
	domain->fresh_until = (struct instant){INT64_MIN};
	LIST_INIT(&domain->bindings);
	buckets_add(&gw->domains, &domain->by_name, dname_hash(name, gw->settings.hash_key));
	TAILQ_INSERT_TAIL(&gw->all, domain, of_gateway);
	*ret_domain = domain;
	return 0;
}

void gw_domain_free(struct gateway *gw, struct gw_domain *domain)
{
	buckets_remove(&gw->domains, &domain->by_name);
	TAILQ_REMOVE(&gw->all, domain, of_gateway);
	timer_stop(&gw->refreshes, &domain->refresh);
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++)
		free(domain->known[f]);
	free(domain);
}

/* What it resolved to is of no use under this id any more. Takes one reserved place. */
static void domain_unlearn(struct gateway *gw, struct gw_domain *domain)
{
	bool known = domain->known_count[GATEWAY_A] || domain->known_count[GATEWAY_AAAA];

	domain->known_count[GATEWAY_A] = domain->known_count[GATEWAY_AAAA] = 0;
	if (known)
		/* Ignoring lack of memory: the store then keeps what nobody will ask for. */
		(void)gw_push_records(gw, domain);
}

void gw_domain_release(struct gateway *gw, struct gw_domain *domain)
{
	if (!LIST_EMPTY(&domain->bindings) || domain->lookup)
		return;
	gw_push(gw, GATEWAY_DOMAIN_GONE)->gone.domain = domain->id;
	gw_domain_free(gw, domain);
}

void gw_domain_renew(struct gateway *gw, struct gw_domain *domain, uint32_t id)
{
	if (domain->id == id || !LIST_EMPTY(&domain->bindings))
		return;
	domain_unlearn(gw, domain);
	domain->id = id;
}

int gw_domain_learn(struct gw_domain *domain, enum gateway_family family,
		    const struct gw_addrs *addrs, bool *changed)
{
	size_t bytes = addrs->count * sizeof(struct fq_addr);
	struct fq_addr *copy = NULL;

	if (addrs->count == domain->known_count[family] &&
	    (!bytes || memcmp(domain->known[family], addrs->addr, bytes) == 0))
		return 0;
	if (bytes) {
		copy = malloc(bytes);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, addrs->addr, bytes);
	}
	free(domain->known[family]);
	domain->known[family] = copy;
	domain->known_count[family] = addrs->count;
	*changed = true;
	return 0;
}

/*
 * Addresses that a name must not make the gateway send to: those that mean this host or this
 * link (RFC 1122 3.2.1.3, RFC 4291 2.5), groups, and the proxy pools themselves, which would
 * loop. A private address is a resource like any other.
 */
static bool usable4(const struct fq_addr *addr)
{
	const __u8 *a = addr->b + 12;

	if (a[0] == 0 || a[0] == 127 || (a[0] == 169 && a[1] == 254))
		return false;
	if ((a[0] & 0xf0) == 0xe0)
		return false;
	return !(a[0] == 255 && a[1] == 255 && a[2] == 255 && a[3] == 255);
}

static bool usable6(const struct fq_addr *addr)
{
	static const struct fq_addr loopback = {.b = {[15] = 1}};
	const __u8 *a = addr->b;

	if (ipaddr_is_zero(addr) || ipaddr_equal(addr, &loopback) || ipaddr_is_v4(addr))
		return false;
	return a[0] != 0xff && !(a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

static bool usable(const struct gateway *gw, enum gateway_family family, const struct fq_addr *addr)
{
	if (ipprefix_contains(&gw->settings.pool4, addr) ||
	    ipprefix_contains(&gw->settings.pool6, addr))
		return false;
	if (family == GATEWAY_A)
		return ipaddr_is_v4(addr) && usable4(addr);
	return usable6(addr);
}

void gw_addrs_add(const struct gateway *gw, enum gateway_family family, const struct fq_addr *addrs,
		  unsigned int count, struct gw_addrs *set)
{
	for (unsigned int i = 0; i < count; i++) {
		unsigned int at = 0;

		if (!usable(gw, family, &addrs[i]))
			continue;
		while (at < set->count && ipaddr_cmp(&set->addr[at], &addrs[i]) < 0)
			at++;
		if (at < set->count && ipaddr_equal(&set->addr[at], &addrs[i]))
			continue;
		/* Of too many the lowest are kept, whatever their order in the answer. */
		if (at == GATEWAY_ADDRESSES_MAX)
			continue;
		if (set->count == GATEWAY_ADDRESSES_MAX)
			set->count--;
		memmove(&set->addr[at + 1], &set->addr[at],
			(set->count - at) * sizeof(set->addr[0]));
		set->addr[at] = addrs[i];
		set->count++;
	}
}

static struct gateway_records records_of(const struct gw_domain *domain)
{
	struct gateway_records records;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		records.addr[f] = domain->known[f];
		records.count[f] = domain->known_count[f];
	}
	return records;
}

bool gateway_find_records(const struct gateway *gw, const struct dname *name,
			  struct gateway_records *ret_records)
{
	const struct gw_domain *domain = gw_domain_find(gw, name);

	if (!domain)
		return false;
	*ret_records = records_of(domain);
	return true;
}

static void show_bindings(const struct gw_domain *domain,
			  void (*fn)(void *ctx, const struct gateway_domain *), void *ctx)
{
	const struct gw_binding *binding;

	LIST_FOREACH (binding, &domain->bindings, of_domain) {
		struct gateway_domain view = {
			.scope = binding->scope->id,
			.name = &domain->name,
			.domain = domain->id,
			.looking_up = domain->lookup,
			.records = records_of(domain),
		};

		for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
			for (unsigned int i = 0; i < binding->count[f]; i++) {
				const struct gw_xlat *xlat = binding->xlat[f][i];

				view.proxies[view.proxy_count++] = xlat->key.proxy;
				view.resource = xlat->value.resource[0];
			}
		}
		fn(ctx, &view);
	}
}

void gateway_foreach_domain(const struct gateway *gw, const struct dname *only,
			    void (*fn)(void *ctx, const struct gateway_domain *), void *ctx)
{
	const struct gw_domain *domain = only ? gw_domain_find(gw, only) : TAILQ_FIRST(&gw->all);

	for (; domain; domain = only ? NULL : TAILQ_NEXT(domain, of_gateway))
		show_bindings(domain, fn, ctx);
}

static void show_xlats(const struct gw_binding *binding,
		       void (*fn)(void *ctx, const struct gateway_xlat *), void *ctx)
{
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++)
		for (unsigned int i = 0; i < binding->count[f]; i++)
			if (binding->xlat[f][i]->installed)
				fn(ctx, &(struct gateway_xlat){
						.key = &binding->xlat[f][i]->key,
						.value = &binding->xlat[f][i]->value,
						.name = &binding->domain->name,
					});
}

void gateway_foreach_xlat(const struct gateway *gw,
			  void (*fn)(void *ctx, const struct gateway_xlat *), void *ctx)
{
	const struct gw_domain *domain;
	const struct gw_binding *binding;

	TAILQ_FOREACH (domain, &gw->all, of_gateway)
		LIST_FOREACH (binding, &domain->bindings, of_domain)
			show_xlats(binding, fn, ctx);
}
