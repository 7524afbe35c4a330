/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's core: what an edge asks for, and taking over after a restart, see gateway.h. */
#include "core/gateway.h"

#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

/* G-05: one edge cannot use up what all have. */
#define RESOLUTIONS_MAX       1000
#define RESOLUTIONS_PER_SCOPE 500
#define ASSIGNED_PER_S        200
#define ASSIGNED_BURST        400
#define XLAT_PER_SCOPE        262144
#define TTL_MIN_NS            (5 * NSEC_PER_SEC)
#define TTL_MAX_NS            (300 * NSEC_PER_SEC)
#define NEGATIVE_TTL_NS       (1 * NSEC_PER_SEC)
#define REFRESH_IDLE_NS       (900 * NSEC_PER_SEC)

/* Why an AssignedIps is not acted on. */
enum refusal {
	ACCEPTED,
	SILENT_RATE, /* too many: counted, not answered; the edge asks again */
	SILENT_RESOLUTIONS,
	SILENT_STALE,     /* older than one that was acted on: counted */
	INACTIVE_POLICY,  /* unknown, not granted, no match: answered Inactive */
	INACTIVE_INVALID, /* bad proxy addresses: the same, counted */
};

/* What the checks have found out about a message. */
struct request {
	struct gw_scope *scope;
	struct gw_domain *domain; /* NULL: not known yet */
	struct gw_waiter waiter;  /* whom the answer is for, with the resource's id */
	bool moved;               /* proxy addresses that the domain did not have */
	struct fq_addr proxies[GATEWAY_FAMILIES][PROXIES_PER_FAMILY];
	unsigned int count[GATEWAY_FAMILIES];
};

struct gateway_settings gateway_settings_default(void)
{
	struct gateway_settings settings = {
		.resolutions_max = RESOLUTIONS_MAX,
		.resolutions_per_scope = RESOLUTIONS_PER_SCOPE,
		.assigned_per_s = ASSIGNED_PER_S,
		.assigned_burst = ASSIGNED_BURST,
		.xlat_per_scope = XLAT_PER_SCOPE,
		.ttl_min_ns = TTL_MIN_NS,
		.ttl_max_ns = TTL_MAX_NS,
		.negative_ttl_ns = NEGATIVE_TTL_NS,
		.refresh_idle_ns = REFRESH_IDLE_NS,
	};

	(void)ipprefix_parse("100.96.0.0/11", &settings.pool4);
	(void)ipprefix_parse("fd00:2021:1111:8000::/107", &settings.pool6);
	return settings;
}

/* As large as they will ever be: no message pays for a table that grows. */
static int make_tables(struct gateway *gw)
{
	uint64_t xlats = gw->settings.xlats_planned ?: gw->settings.xlat_per_scope;
	uint64_t domains = xlats / CONTROL_PROXIES_ONE;
	int r = buckets_init(&gw->xlats, xlats);

	if (r == 0)
		r = buckets_init(&gw->bindings, domains);
	return r < 0 ? r : buckets_init(&gw->domains, domains);
}

int gateway_new(const struct gateway_settings *settings, struct gateway **ret_gw)
{
	_cleanup_(gateway_freep) struct gateway *gw = NULL;
	int r;

	if (!settings->domain_id || !settings->assigned_per_s || !settings->assigned_burst ||
	    settings->xlat_per_scope < CONTROL_PROXIES_MAX)
		return -EINVAL;
	gw = calloc(1, sizeof(*gw));
	if (!gw)
		return -ENOMEM;
	gw->settings = *settings;
	TAILQ_INIT(&gw->all);
	r = make_tables(gw);
	if (r < 0)
		return r;
	gw->next_expiry = INSTANT_NEVER;
	gw->expired_at = (struct instant){INT64_MIN / 2};
	r = policy_new(&gw->policy);
	if (r < 0)
		return r;
	*ret_gw = TAKE_PTR(gw);
	return 0;
}

/* With all tables about to go: nothing is unlinked. */
static void free_bindings(struct gw_domain *domain)
{
	struct gw_binding *binding;

	while (!LIST_EMPTY(&domain->bindings)) {
		binding = LIST_FIRST(&domain->bindings);
		LIST_REMOVE(binding, of_domain);
		for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++)
			for (unsigned int i = 0; i < binding->count[f]; i++)
				free(binding->xlat[f][i]);
		free(binding);
	}
}

void gateway_free(struct gateway *gw)
{
	struct gw_scope *scope, *next_scope;
	struct gw_domain *domain;

	if (!gw)
		return;
	while ((domain = TAILQ_FIRST(&gw->all))) {
		free_bindings(domain);
		gw_lookup_free(gw, domain);
		gw_domain_free(gw, domain);
	}
	buckets_done(&gw->domains);
	buckets_done(&gw->bindings);
	buckets_done(&gw->xlats);
	HASH_ITER (hh, gw->scopes, scope, next_scope) {
		HASH_DELETE(hh, gw->scopes, scope);
		free(scope);
	}
	policy_free(gw->policy);
	timers_done(&gw->refreshes);
	gw_queue_free(gw);
	free(gw);
}

static bool fresh(const struct gw_domain *domain, struct instant now)
{
	return !domain->lookup && !instant_reached(domain->fresh_until, now);
}

/* Proxy addresses by family: all of them in the pools (G-11), four of a family or none. */
static bool proxies_check(const struct gateway *gw, const struct control_message *msg,
			  struct request *request)
{
	for (unsigned int i = 0; i < msg->proxy_count; i++) {
		const struct fq_addr *proxy = &msg->proxies[i];
		unsigned int f = ipaddr_is_v4(proxy) ? GATEWAY_A : GATEWAY_AAAA;
		const struct ipprefix *pool =
			f == GATEWAY_A ? &gw->settings.pool4 : &gw->settings.pool6;

		if (!ipprefix_contains(pool, proxy) || request->count[f] == PROXIES_PER_FAMILY)
			return false;
		for (unsigned int k = 0; k < request->count[f]; k++)
			if (ipaddr_equal(&request->proxies[f][k], proxy))
				return false;
		request->proxies[f][request->count[f]++] = *proxy;
	}
	return msg->proxy_count > 0 && request->count[GATEWAY_A] % PROXIES_PER_FAMILY == 0 &&
	       request->count[GATEWAY_AAAA] % PROXIES_PER_FAMILY == 0;
}

/* RFC 1982: whether a generation is older than another, 0 being of no age. */
static bool older(uint32_t generation, uint32_t than)
{
	return generation && than && (int32_t)(generation - than) < 0;
}

/*
 * Has the edge, after it sent this, given one of the proxy addresses to another domain, or the
 * domain other ones? Then a message that was late on its way must not undo it: packets would reach
 * the old host, or none.
 */
static bool overtaken(const struct gateway *gw, const struct control_message *msg,
		      const struct request *request)
{
	const struct gw_binding *own = NULL;

	if (request->domain)
		own = gw_binding_find(gw, request->scope->id, request->domain->id);
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		for (unsigned int i = 0; i < request->count[f]; i++) {
			const struct fq_xlat_key key = {.scope = request->scope->id,
							.proxy = request->proxies[f][i]};
			const struct gw_xlat *xlat = gw_xlat_find(gw, &key, gw_xlat_hash(gw, &key));

			if (xlat && xlat->binding != own &&
			    older(msg->generation, xlat->binding->generation))
				return true;
			if (own && own->count[f] && (!xlat || xlat->binding != own) &&
			    older(msg->generation, own->generation))
				return true;
		}
	}
	return false;
}

/* All checks, in the order that gateway.h promises; nothing but the rate limit changes. */
static enum refusal request_check(struct gateway *gw, const struct control_message *msg,
				  struct instant now, struct request *request)
{
	const struct policy_resource *resource = policy_find_uuid(gw->policy, msg->resource);

	if (request->scope && !gw_scope_take(gw, request->scope, now))
		return SILENT_RATE;
	if (!request->scope || !resource)
		return INACTIVE_POLICY;
	request->waiter.resource = resource->id;
	if (!policy_scope_granted(gw->policy, request->scope->id, resource->id, now))
		return INACTIVE_POLICY;
	if (!policy_matches(gw->policy, resource->id, &msg->domain))
		return INACTIVE_POLICY;
	if (!proxies_check(gw, msg, request))
		return INACTIVE_INVALID;
	request->domain = gw_domain_find(gw, &msg->domain);
	if (overtaken(gw, msg, request))
		return SILENT_STALE;
	if (request->domain && (request->domain->lookup || fresh(request->domain, now)))
		return ACCEPTED;
	return gw_lookup_permitted(gw, request->scope) ? ACCEPTED : SILENT_RESOLUTIONS;
}

static void refuse(struct gateway *gw, enum refusal refusal, const struct gw_waiter *waiter,
		   const struct dname *name)
{
	if (refusal == SILENT_RATE || refusal == SILENT_RESOLUTIONS) {
		gw_push_event(gw, FQ_R_RESOLVE_LIMITED, waiter->scope);
		return;
	}
	if (refusal == SILENT_STALE) {
		gw_push_event(gw, FQ_R_CONTROL_INVALID, waiter->scope);
		return;
	}
	if (refusal == INACTIVE_INVALID)
		gw_push_event(gw, FQ_R_CONTROL_INVALID, waiter->scope);
	gw_push_status(gw, waiter, name, false);
}

static int bind_proxies(struct gateway *gw, struct request *request, struct gw_binding *binding)
{
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		int r;

		if (!request->count[f])
			continue;
		r = gw_binding_assign(gw, binding, f, request->proxies[f], &request->moved);
		if (r < 0)
			return r;
		gw_binding_permit(gw, binding, f, request->waiter.resource);
	}
	return 0;
}

/* Answer from what is known, or let the message wait for a lookup. */
static int answer(struct gateway *gw, const struct request *request, struct gw_binding *binding,
		  struct instant now)
{
	struct gw_domain *domain = request->domain;

	if (fresh(domain, now)) {
		if (request->moved)
			gw_binding_install(gw, binding);
		gw_push_status(gw, &request->waiter, &domain->name,
			       domain->known_count[GATEWAY_A] || domain->known_count[GATEWAY_AAAA]);
		return 0;
	}
	if (!domain->lookup) {
		int r = gw_lookup_start(gw, request->scope, domain);

		if (r < 0)
			return r;
	}
	return gw_lookup_wait(domain, &request->waiter);
}

/* The owner is asked every time: it may have forgotten the name and know it anew meanwhile. */
static int domain_get(struct gateway *gw, const struct dname *name, struct gw_domain **domain)
{
	uint32_t id;
	int r;

	r = gw->settings.domain_id(gw->settings.ctx, name, &id);
	if (r < 0)
		return r;
	if (!*domain)
		return gw_domain_new(gw, name, id, domain);
	gw_domain_renew(gw, *domain, id);
	return 0;
}

/* Proxy addresses that the binding does not have yet. */
static unsigned int missing(const struct gateway *gw, const struct request *request,
			    const struct gw_binding *binding)
{
	unsigned int n = 0;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		for (unsigned int i = 0; i < request->count[f]; i++) {
			struct fq_xlat_key key = {
				.scope = request->scope->id,
				.proxy = request->proxies[f][i],
			};
			const struct gw_xlat *xlat = gw_xlat_find(gw, &key, gw_xlat_hash(gw, &key));

			n += !xlat || xlat->binding != binding;
		}
	}
	return n;
}

static int bind_and_answer(struct gateway *gw, struct request *request, struct gw_binding *binding,
			   struct instant now)
{
	int r;

	r = gw_scope_make_room(gw, request->scope, missing(gw, request, binding));
	if (r < 0)
		return r;
	/* Each address may replace one, clear another's, end that one's domain, and be set twice.
	 */
	r = gw_reserve(gw, 5 * CONTROL_PROXIES_MAX + 2);
	if (r < 0)
		return r;
	r = bind_proxies(gw, request, binding);
	if (r < 0)
		return r;
	if (!older(request->waiter.generation, binding->generation))
		binding->generation = request->waiter.generation;
	binding->domain->asked = now;
	request->scope->goodbye = false;
	return answer(gw, request, binding, now);
}

static int accept_request(struct gateway *gw, const struct control_message *msg,
			  struct request *request, struct instant now)
{
	struct gw_binding *binding = NULL;
	int r;

	r = gw_reserve(gw, 2);
	if (r < 0)
		return r;
	r = domain_get(gw, &msg->domain, &request->domain);
	if (r < 0)
		return r;
	r = gw_binding_get(gw, request->scope, request->domain, &binding);
	if (r < 0) {
		gw_domain_release(gw, request->domain);
		return r;
	}
	r = bind_and_answer(gw, request, binding, now);
	if (r < 0)
		gw_binding_abandon(gw, binding);
	return r;
}

int gateway_assigned(struct gateway *gw, uint32_t scope, const struct control_message *msg,
		     struct instant now)
{
	struct request request = {.waiter = {.scope = scope, .generation = msg->generation}};
	enum refusal refusal;
	int r;

	memcpy(request.waiter.uuid, msg->resource, sizeof(request.waiter.uuid));
	r = gw_reserve(gw, 2);
	if (r < 0)
		return r;
	if (policy_knows_scope(gw->policy, scope)) {
		r = gw_scope_get(gw, scope, now, &request.scope);
		if (r < 0)
			return r;
	}
	refusal = request_check(gw, msg, now, &request);
	if (refusal == ACCEPTED)
		return accept_request(gw, msg, &request, now);
	refuse(gw, refusal, &request.waiter, &msg->domain);
	return 0;
}
