/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's lookups: what starts one, what its two halves decide, and who is told.
 *
 * A failed or late lookup does not take back what is known (the idea of RFC 8767); a definite
 * "no such name" or "no record" does.
 */
#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

bool gw_lookup_permitted(const struct gateway *gw, const struct gw_scope *scope)
{
	return gw->lookups < gw->settings.resolutions_max &&
	       scope->lookups < gw->settings.resolutions_per_scope;
}

int gw_lookup_start(struct gateway *gw, struct gw_scope *scope, struct gw_domain *domain)
{
	struct gw_lookup *lookup = calloc(1, sizeof(*lookup));
	struct gateway_action *action;

	if (!lookup)
		return -ENOMEM;
	STAILQ_INIT(&lookup->waiters);
	lookup->scope = scope;
	scope->lookups++;
	gw->lookups++;
	domain->lookup = lookup;

	action = gw_push(gw, GATEWAY_RESOLVE);
	action->resolve.name = domain->name;
	action->resolve.domain = domain->id;
	return 0;
}

int gw_lookup_wait(struct gw_domain *domain, const struct gw_waiter *waiter)
{
	struct gw_waiter *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *waiter;
	STAILQ_INSERT_TAIL(&domain->lookup->waiters, copy, entry);
	return 0;
}

void gw_lookup_unwait(struct gw_domain *domain, uint32_t scope)
{
	struct gw_waiter *waiter, *next;

	if (!domain->lookup)
		return;
	for (waiter = STAILQ_FIRST(&domain->lookup->waiters); waiter; waiter = next) {
		next = STAILQ_NEXT(waiter, entry);
		if (waiter->scope != scope)
			continue;
		STAILQ_REMOVE(&domain->lookup->waiters, waiter, gw_waiter, entry);
		free(waiter);
	}
}

void gw_lookup_free(struct gateway *gw, struct gw_domain *domain)
{
	struct gw_lookup *lookup = domain->lookup;
	struct gw_waiter *waiter;

	if (!lookup)
		return;
	while ((waiter = STAILQ_FIRST(&lookup->waiters))) {
		STAILQ_REMOVE_HEAD(&lookup->waiters, entry);
		free(waiter);
	}
	lookup->scope->lookups--;
	gw->lookups--;
	domain->lookup = NULL;
	free(lookup);
}

void gw_push_status(struct gateway *gw, const struct gw_waiter *waiter, const struct dname *name,
		    bool active)
{
	struct gateway_action *action = gw_push(gw, GATEWAY_STATUS);
	struct control_message *msg = &action->status.msg;

	action->status.scope = waiter->scope;
	action->status.resource = waiter->resource;
	msg->event = CONTROL_DOMAIN_STATUS;
	msg->generation = waiter->generation;
	msg->domain = *name;
	msg->status = active ? CONTROL_ACTIVE : CONTROL_INACTIVE;
	memcpy(msg->resource, waiter->uuid, sizeof(msg->resource));
}

static bool negative(enum gateway_outcome outcome)
{
	return outcome == GATEWAY_NODATA || outcome == GATEWAY_NXDOMAIN;
}

/* The family's lookup told nothing, and neither did the other's: "no such name" holds for both. */
static bool untold(const struct gw_lookup *lookup, unsigned int family)
{
	unsigned int other = family == GATEWAY_A ? GATEWAY_AAAA : GATEWAY_A;

	return lookup->outcome[family] != GATEWAY_OK && !negative(lookup->outcome[family]) &&
	       lookup->outcome[other] != GATEWAY_NXDOMAIN;
}

static int learn(struct gw_domain *domain, bool *changed)
{
	const struct gw_lookup *lookup = domain->lookup;
	int r = 0;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES && r == 0; f++)
		if (!untold(lookup, f))
			r = gw_domain_learn(domain, f, &lookup->addrs[f], changed);
	return r;
}

static bool known(const struct gw_domain *domain)
{
	return domain->known_count[GATEWAY_A] || domain->known_count[GATEWAY_AAAA];
}

/* How long the domain is not asked for again, from now. */
static int64_t fresh_ns(const struct gateway *gw, const struct gw_domain *domain)
{
	const struct gw_lookup *lookup = domain->lookup;
	int64_t ttl_ns = gw->settings.ttl_max_ns;

	if (untold(lookup, GATEWAY_A) || untold(lookup, GATEWAY_AAAA))
		return known(domain) ? gw->settings.ttl_min_ns : 0;
	if (!known(domain))
		return gw->settings.negative_ttl_ns;
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++)
		if (lookup->addrs[f].count && lookup->ttl_s[f] * NSEC_PER_SEC < ttl_ns)
			ttl_ns = lookup->ttl_s[f] * NSEC_PER_SEC;
	return ttl_ns > gw->settings.ttl_min_ns ? ttl_ns : gw->settings.ttl_min_ns;
}

/* What was permitted when the message came may not be so any more (G-03). */
static bool still_permitted(const struct gateway *gw, const struct gw_domain *domain,
			    const struct gw_waiter *waiter, struct instant now)
{
	return gw_binding_find(gw, waiter->scope, domain->id) &&
	       policy_scope_granted(gw->policy, waiter->scope, waiter->resource, now) &&
	       policy_matches(gw->policy, waiter->resource, &domain->name);
}

static int reserve_for_finish(struct gateway *gw, const struct gw_domain *domain)
{
	const struct gw_binding *binding;
	const struct gw_waiter *waiter;
	size_t n = 2;

	LIST_FOREACH (binding, &domain->bindings, of_domain)
		n += BINDING_ACTIONS;
	STAILQ_FOREACH(waiter, &domain->lookup->waiters, entry)
	n++;
	return gw_reserve(gw, n);
}

/* Both families are in: translations first, then the statuses that let packets go. */
static int finish(struct gateway *gw, struct gw_domain *domain, struct instant now)
{
	struct gw_binding *binding;
	const struct gw_waiter *waiter;
	bool changed = false;
	int r;

	r = reserve_for_finish(gw, domain);
	if (r < 0)
		return r;
	r = learn(domain, &changed);
	if (r < 0)
		return r;
	domain->fresh_until = instant_add(now, fresh_ns(gw, domain));

	LIST_FOREACH (binding, &domain->bindings, of_domain)
		gw_binding_install(gw, binding);
	if (changed && !LIST_EMPTY(&domain->bindings)) {
		r = gw_push_records(gw, domain);
		if (r < 0)
			return r;
	}
	STAILQ_FOREACH(waiter, &domain->lookup->waiters, entry)
	gw_push_status(gw, waiter, &domain->name,
		       known(domain) && still_permitted(gw, domain, waiter, now));
	return 0;
}

int gateway_resolved(struct gateway *gw, const struct dname *name,
		     const struct gateway_answer *answer, struct instant now)
{
	struct gw_domain *domain = gw_domain_find(gw, name);
	struct gw_lookup *lookup = domain ? domain->lookup : NULL;
	int r;

	if (!lookup || lookup->in[answer->family])
		return 0;
	lookup->in[answer->family] = true;
	lookup->outcome[answer->family] = answer->outcome;
	lookup->ttl_s[answer->family] = answer->ttl_s;
	if (answer->outcome == GATEWAY_OK)
		gw_addrs_add(gw, answer->family, answer->addrs, answer->count,
			     &lookup->addrs[answer->family]);
	if (!lookup->in[GATEWAY_A] || !lookup->in[GATEWAY_AAAA])
		return 0;

	r = finish(gw, domain, now);
	gw_lookup_free(gw, domain);
	if (r < 0)
		return r;
	gw_refresh_plan(gw, domain);
	gw_domain_release(gw, domain);
	return 0;
}
