/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state behind struct gateway, for gateway*.c only.
 *
 *	scope ──< binding >── domain ── lookup (while it runs) ──< waiter
 *	            │
 *	            └──< xlat (by scope and proxy address)
 *
 * A binding is a domain in a scope: the edge's proxy addresses for it. A domain lives as long
 * as it has a binding or a lookup; a scope as long as the gateway, which keeps its rate limit
 * through a Goodbye.
 */
#pragma once

#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1 /* after HASH_ADD, hh.tbl is NULL if memory ran out */
#include <uthash.h>

#include "core/buckets.h"
#include "core/gateway.h"
#include "core/timers.h"

/* Proxy addresses of a domain, each family (P-02). */
#define PROXIES_PER_FAMILY CONTROL_PROXIES_ONE

/* The node first, beside what it is found by: in one cache line, here and below. */
struct gw_xlat {
	struct bucket_node by_key;
	struct fq_xlat_key key;
	struct fq_xlat value;
	bool installed; /* the map has it */
	struct gw_binding *binding;
};

struct gw_binding_key {
	uint32_t scope;
	uint32_t domain;
};

struct gw_binding {
	struct bucket_node by_key;
	struct gw_binding_key key;
	struct gw_scope *scope;
	struct gw_domain *domain;
	struct gw_xlat *xlat[GATEWAY_FAMILIES][PROXIES_PER_FAMILY]; /* by address */
	unsigned int count[GATEWAY_FAMILIES];
	uint32_t generation;              /* of the last AssignedIps; 0: none */
	TAILQ_ENTRY(gw_binding) of_scope; /* longest unasked first */
	LIST_ENTRY(gw_binding) of_domain;
};

/* An AssignedIps that has not been answered yet. */
struct gw_waiter {
	uint32_t scope;
	uint32_t resource; /* 0: not known */
	uint32_t generation;
	char uuid[UUID_STRLEN]; /* of the resource */
	STAILQ_ENTRY(gw_waiter) entry;
};

struct gw_addrs {
	struct fq_addr addr[GATEWAY_ADDRESSES_MAX];
	unsigned int count;
};

/* A domain being resolved. */
struct gw_lookup {
	struct gw_scope *scope; /* whose limit it counts against */
	STAILQ_HEAD(, gw_waiter) waiters;
	bool in[GATEWAY_FAMILIES];
	enum gateway_outcome outcome[GATEWAY_FAMILIES];
	struct gw_addrs addrs[GATEWAY_FAMILIES];
	uint32_t ttl_s[GATEWAY_FAMILIES];
};

struct gw_domain {
	struct bucket_node by_name;
	struct dname name;
	uint32_t id;
	struct fq_addr *known[GATEWAY_FAMILIES];
	unsigned int known_count[GATEWAY_FAMILIES];
	struct instant fresh_until;
	struct instant asked;     /* last AssignedIps */
	struct timer refresh;     /* when it is to be looked up again without being asked */
	struct gw_lookup *lookup; /* NULL: none under way */
	LIST_HEAD(, gw_binding) bindings;
	TAILQ_ENTRY(gw_domain) of_gateway;
};

struct gw_scope {
	uint32_t id;
	int64_t credit_ns; /* token bucket of AssignedIps */
	struct instant refilled;
	unsigned int domains; /* bindings */
	unsigned int xlats;
	unsigned int lookups;
	bool goodbye; /* said, and nothing assigned since */
	TAILQ_HEAD(gw_bindings, gw_binding) bindings;
	UT_hash_handle hh;
};

/* The queue of actions; what RECORDS points to is kept beside its action. */
struct gw_queued {
	struct gateway_action action;
	struct gateway_records *records;
};

struct gateway {
	struct gateway_settings settings;
	struct policy *policy;
	struct buckets domains, bindings, xlats; /* by name; by scope and id; by key */
	TAILQ_HEAD(, gw_domain) all;             /* domains, oldest first */
	struct gw_scope *scopes;
	struct timers refreshes;
	struct instant refresh_at; /* not before */
	unsigned int lookups;
	bool narrowed; /* a translation has lost a resource: sessions are to ask again */
	struct instant next_expiry; /* of a grant */
	struct instant expired_at;  /* grants were looked through */

	struct gw_queued *queue;
	size_t queue_head, queue_len, queue_cap;
	struct gateway_records *delivered; /* of the action that gateway_next gave out last */
};

/* ---- gateway_queue.c ---- */

/* Make room for @n actions, so that gw_push cannot fail. Return: 0; -ENOMEM. */
int gw_reserve(struct gateway *gw, size_t n);

/* An action for the caller to fill in; room was reserved. */
struct gateway_action *gw_push(struct gateway *gw, enum gateway_action_kind kind);

/* Queue what @domain resolves to now. Return: 0; -ENOMEM. Takes one reserved place. */
int gw_push_records(struct gateway *gw, const struct gw_domain *domain);

void gw_push_event(struct gateway *gw, enum fq_reason reason, uint32_t scope);
void gw_queue_free(struct gateway *gw);

/* ---- gateway_domain.c ---- */

struct gw_domain *gw_domain_find(const struct gateway *gw, const struct dname *name);
int gw_domain_new(struct gateway *gw, const struct dname *name, uint32_t id,
		  struct gw_domain **ret_domain);

/*
 * The domain has lost a binding or its lookup: free it if that was the last. Takes one reserved
 * place: the owner forgets it, too.
 */
void gw_domain_release(struct gateway *gw, struct gw_domain *domain);

/*
 * The owner has given the name another id: it was forgotten and is asked for again while its
 * lookup runs, which goes on. A domain that has bindings keeps its id and what it resolves to:
 * translations bear them. Takes one reserved place.
 */
void gw_domain_renew(struct gateway *gw, struct gw_domain *domain, uint32_t id);
void gw_domain_free(struct gateway *gw, struct gw_domain *domain);

/* Replace the known addresses of a family. Return: 0; -ENOMEM. */
int gw_domain_learn(struct gw_domain *domain, enum gateway_family family,
		    const struct gw_addrs *addrs, bool *changed);

/* Add the addresses that are usable as real ones, sorted, without duplicates. */
void gw_addrs_add(const struct gateway *gw, enum gateway_family family, const struct fq_addr *addrs,
		  unsigned int count, struct gw_addrs *set);

/* ---- gateway_xlat.c ---- */

/* In gw->xlats; the second: @hash is that of the key. */
uint32_t gw_xlat_hash(const struct gateway *gw, const struct fq_xlat_key *key);
struct gw_xlat *gw_xlat_find(const struct gateway *gw, const struct fq_xlat_key *key,
			     uint32_t hash);
struct gw_binding *gw_binding_find(const struct gateway *gw, uint32_t scope, uint32_t domain);
int gw_binding_get(struct gateway *gw, struct gw_scope *scope, struct gw_domain *domain,
		   struct gw_binding **ret_binding);

/* Reserved places that gw_binding_free takes at most. */
#define BINDING_ACTIONS (GATEWAY_FAMILIES * (PROXIES_PER_FAMILY + FQ_XLAT_RESOURCES) + 1)

/* Remove a binding with its translations, and its domain if that was the last. */
void gw_binding_free(struct gateway *gw, struct gw_binding *binding);

/* After a failure: free the binding if nothing came of it. */
void gw_binding_abandon(struct gateway *gw, struct gw_binding *binding);

/*
 * Give @binding these proxy addresses of a family, sorted; addresses of other bindings move here
 * cleared. Takes 3 * PROXIES_PER_FAMILY reserved places.
 *
 * @moved: set if there are addresses that the binding did not have
 *
 * Return: 0; -ENOMEM, and nothing has changed.
 */
int gw_binding_assign(struct gateway *gw, struct gw_binding *binding, enum gateway_family family,
		      const struct fq_addr *proxies, bool *moved);

/*
 * Put one translation, found after a restart, into a binding; @hash: of its key. Return: 0;
 * -ENOSPC; -ENOMEM.
 */
int gw_binding_restore(struct gateway *gw, struct gw_binding *binding,
		       const struct gateway_found *found, uint32_t hash);

/*
 * Let packets for the binding's proxy addresses use @resource, too: at once where there is a
 * translation. Takes PROXIES_PER_FAMILY reserved places.
 */
void gw_binding_permit(struct gateway *gw, struct gw_binding *binding, enum gateway_family family,
		       uint32_t resource);

/* Set the real addresses by round robin and queue all translations (G-06 to G-08). */
void gw_binding_install(struct gateway *gw, struct gw_binding *binding);

/*
 * Drop resources that are gone or no longer match, and order the rest anew after a change of the
 * policy; queue what changes. May free the binding. Takes BINDING_ACTIONS places.
 */
void gw_binding_review(struct gateway *gw, struct gw_binding *binding);

/* ---- gateway_lookup.c ---- */

/* Whether another lookup may start for this scope (G-05). */
bool gw_lookup_permitted(const struct gateway *gw, const struct gw_scope *scope);

/* Start one; takes one reserved place. Return: 0; -ENOMEM. */
int gw_lookup_start(struct gateway *gw, struct gw_scope *scope, struct gw_domain *domain);

/* A message waits for the domain's lookup. Return: 0; -ENOMEM. */
int gw_lookup_wait(struct gw_domain *domain, const struct gw_waiter *waiter);

/* Nobody of the scope waits any more. */
void gw_lookup_unwait(struct gw_domain *domain, uint32_t scope);

void gw_lookup_free(struct gateway *gw, struct gw_domain *domain);

/* Queue a status; takes one reserved place. */
void gw_push_status(struct gateway *gw, const struct gw_waiter *waiter, const struct dname *name,
		    bool active);

/* ---- gateway_refresh.c ---- */

/* A lookup has ended: look the domain up again when its records have expired. */
void gw_refresh_plan(struct gateway *gw, struct gw_domain *domain);

/* When there is something to do; INSTANT_NEVER: nothing. */
struct instant gw_refresh_deadline(const struct gateway *gw);

/* Start the lookups that are due, a bounded number. Return: 0; -ENOMEM. */
int gw_refresh_run(struct gateway *gw, struct instant now);

/* ---- gateway_scope.c ---- */

struct gw_scope *gw_scope_find(const struct gateway *gw, uint32_t id);
int gw_scope_get(struct gateway *gw, uint32_t id, struct instant now, struct gw_scope **ret_scope);

/* One message more: whether the scope's rate permits it. */
bool gw_scope_take(const struct gateway *gw, struct gw_scope *scope, struct instant now);

/*
 * Make room for @n translations more (those that move here from other bindings are among them): the
 * domains that were not asked for the longest give way, but not the one that was asked for last.
 * Return: 0; -ENOMEM.
 */
int gw_scope_make_room(struct gateway *gw, struct gw_scope *scope, unsigned int n);

/* Queue a Goodbye if the scope has bindings but no grant; takes one reserved place. */
void gw_scope_goodbye(struct gateway *gw, struct gw_scope *scope);
