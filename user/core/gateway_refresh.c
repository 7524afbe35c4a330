/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quiet lookups: what a name resolves to is kept fresh while edges use it, so that new sessions go
 * where the name points now. A name that does not resolve is left alone until an edge asks.
 */
#include "core/gateway_internal.h"

/* Lookups that nobody has asked for: 100 a second, so that many names do not keep the resolver
 * busy. Those that come later use what is known a little longer. */
#define REFRESH_BATCH    10
#define REFRESH_PAUSE_NS (100 * NSEC_PER_MSEC)
#define REFRESH_RETRY_NS NSEC_PER_SEC

void gw_refresh_plan(struct gateway *gw, struct gw_domain *domain)
{
	if (!domain->known_count[GATEWAY_A] && !domain->known_count[GATEWAY_AAAA])
		timer_stop(&gw->refreshes, &domain->refresh);
	else if (gw->settings.refresh_idle_ns)
		timer_set(&gw->refreshes, &domain->refresh, domain->fresh_until);
}

static bool in_use(const struct gateway *gw, const struct gw_domain *domain, struct instant now)
{
	return !LIST_EMPTY(&domain->bindings) &&
	       instant_sub(now, domain->asked) < gw->settings.refresh_idle_ns;
}

struct instant gw_refresh_deadline(const struct gateway *gw)
{
	struct instant next = timers_next(&gw->refreshes);

	return next.ns > gw->refresh_at.ns ? next : gw->refresh_at;
}

int gw_refresh_run(struct gateway *gw, struct instant now)
{
	struct timer *timer;
	int r;

	if (!instant_reached(gw_refresh_deadline(gw), now))
		return 0;
	gw->refresh_at = instant_add(now, REFRESH_PAUSE_NS);
	r = gw_reserve(gw, REFRESH_BATCH);
	for (unsigned int i = 0; r == 0 && i < REFRESH_BATCH; i++) {
		struct gw_domain *domain;
		struct gw_scope *scope;

		timer = timers_take(&gw->refreshes, now);
		if (!timer)
			break;
		domain = timer_owner(timer, struct gw_domain, refresh);
		if (domain->lookup || !in_use(gw, domain, now))
			continue;
		scope = LIST_FIRST(&domain->bindings)->scope;
		if (gw_lookup_permitted(gw, scope))
			r = gw_lookup_start(gw, scope, domain);
		else
			timer_set(&gw->refreshes, &domain->refresh,
				  instant_add(now, REFRESH_RETRY_NS));
	}
	return r;
}
