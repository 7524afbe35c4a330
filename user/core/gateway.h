/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's core: who may reach what, which proxy address means which real address in
 * whose scope, and what is answered to an edge that asks for a translation (G-01 to G-13,
 * F-, A- and M-06 of docs/behaviours.md).
 *
 * Pure: it has no socket, clock, log or global. Inputs carry the current instant; effects
 * come out of a queue (gateway_next) in the order in which they are to be applied. The owner
 * applies them to the BPF maps, resolves names, and carries statuses to the edge. Sessions
 * are not its business: a translation that changes moves new sessions only (G-07).
 *
 * A scope is an edge whose proxy addresses mean something of their own; scope 0 is the edge in
 * this process. Clients belong to a scope. Ids of clients, resources and domains are the owner's.
 *
 *	r = gateway_assigned(gw, scope, &msg, now);
 *	while (gateway_next(gw, &action))
 *		apply(&action);
 *
 * An input that returns -ENOMEM has left everything consistent and may be repeated. No cost grows
 * with the number of domains, except that of gateway_set_policy and gateway_foreach_xlat.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <fqdnat/abi.h>
#include <fqdnat/reason.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/ipaddr.h"
#include "core/control.h"
#include "core/dname.h"
#include "core/policy.h"

#define GATEWAY_ADDRESSES_MAX 32 /* real addresses kept of a domain, each family */

struct gateway;

struct gateway_settings {
	/* Proxy addresses come from here, and no real one does (G-11). */
	struct ipprefix pool4, pool6;

	unsigned int resolutions_max;       /* domains being resolved at a time (G-05) */
	unsigned int resolutions_per_scope; /* the same, started by one scope */
	unsigned int assigned_per_s; /* AssignedIps acted on, per scope: rate (at least 1) ... */
	unsigned int assigned_burst; /* ... and burst */
	unsigned int xlat_per_scope; /* proxy addresses with a translation; then the domains that
				      * were not asked for the longest give way */
	uint64_t xlats_planned; /* of all scopes: tables are made for so many; 0: for one scope's */
	int64_t ttl_min_ns, ttl_max_ns; /* an answer is used at least and at most this long */
	int64_t negative_ttl_ns;        /* "no such name" and "no record" are believed this long */
	int64_t refresh_idle_ns; /* records that have expired are looked up again, quietly, if an
				  * edge has asked for the name in this time; 0: never */

	uint8_t hash_key[DNAME_KEY_LEN]; /* random */

	/*
	 * Id of a domain, made if it has none; asked for with every AssignedIps. May change only
	 * after gateway_forget in every scope that has the domain. Return: 0; negative errno.
	 */
	int (*domain_id)(void *ctx, const struct dname *name, uint32_t *ret_id);
	void *ctx;
};

/* P-01's pools, G-05's limits, 5 s to 300 s; hash_key and domain_id are left to the caller. */
struct gateway_settings gateway_settings_default(void);

enum gateway_family {
	GATEWAY_A,
	GATEWAY_AAAA,
	GATEWAY_FAMILIES,
};

/* How the lookup of one family ended. */
enum gateway_outcome {
	GATEWAY_OK,       /* records, even if none of them is usable */
	GATEWAY_NODATA,   /* the name has no record of this type */
	GATEWAY_NXDOMAIN, /* there is no such name */
	GATEWAY_FAILED,   /* server failure, refused, malformed, no server */
	GATEWAY_TIMEOUT,
};

struct gateway_answer {
	enum gateway_family family;
	enum gateway_outcome outcome;
	const struct fq_addr *addrs; /* with GATEWAY_OK */
	unsigned int count;
	uint32_t ttl_s; /* least TTL of the records */
};

/* Real addresses of a domain, by family, each sorted and without duplicates. */
struct gateway_records {
	const struct fq_addr *addr[GATEWAY_FAMILIES];
	unsigned int count[GATEWAY_FAMILIES]; /* at most GATEWAY_ADDRESSES_MAX */
};

enum gateway_action_kind {
	GATEWAY_RESOLVE,  /* look up A and AAAA of name; one gateway_resolved for each */
	GATEWAY_STATUS,   /* tell the edge: status */
	GATEWAY_GOODBYE,  /* scope has no grant left: say Goodbye, then gateway_scope_gone */
	GATEWAY_XLAT_SET, /* map xlat */
	GATEWAY_XLAT_DEL, /* map xlat, key only */
	GATEWAY_CLIENT_SET,     /* map clients */
	GATEWAY_CLIENT_DEL,     /* map clients, prefix only */
	GATEWAY_GRANT_SET,      /* map grants */
	GATEWAY_GRANT_DEL,      /* map grants, key only */
	GATEWAY_FILTER_SET,     /* map filters */
	GATEWAY_FILTER_DEL,     /* map filters, resource only */
	GATEWAY_SESSIONS_END,   /* no resource publishes the name any more: end those of end */
	GATEWAY_POLICY_CHANGED, /* increment fq_control.gen; comes after the changes */
	GATEWAY_RECORDS, /* what a domain resolves to has changed (none: forget): for the store */
	GATEWAY_DOMAIN_GONE, /* no scope has it any more: forget its records and its id */
	GATEWAY_EVENT,       /* count the reason */
};

struct gateway_action {
	enum gateway_action_kind kind;
	union {
		struct {
			struct dname name;
			uint32_t domain;
		} resolve;
		struct {
			uint32_t scope;
			struct control_message msg; /* ready for control_encode or the local edge */
			uint32_t resource;          /* id; 0 if it is not known */
		} status;
		struct {
			uint32_t scope;
		} goodbye;
		struct {
			struct fq_xlat_key key;
			struct fq_xlat value;
		} xlat;
		struct {
			struct fq_prefix key;
			struct fq_client value;
		} client;
		struct {
			struct fq_grant_key key;
			struct fq_grant value;
		} grant;
		struct {
			uint32_t resource;
			struct fq_filter value;
		} filter;
		struct {
			uint32_t domain;
			/* Valid until the next call of gateway_next. */
			const struct gateway_records *records;
		} records;
		struct {
			uint32_t domain, resource; /* by which they were permitted */
		} end;
		struct {
			uint32_t domain;
		} gone;
		struct {
			enum fq_reason reason; /* RESOLVE_LIMITED, CONTROL_INVALID */
			uint32_t scope;
		} event;
	};
};

/*
 * The policy is empty until gateway_set_policy.
 *
 * @settings: copied
 *
 * Return: 0; -EINVAL without domain_id, a rate, or room for one domain's addresses; -ENOMEM.
 */
int gateway_new(const struct gateway_settings *settings, struct gateway **ret_gw);
void gateway_free(struct gateway *gw);
DEFINE_CLEANUP(struct gateway *, gateway_free)

/* Take the next action. Return: whether there was one. */
bool gateway_next(struct gateway *gw, struct gateway_action *ret_action);

/*
 * Replace the policy. Only differences become actions; what the new one does not list is
 * revoked, and translations lose the resources that are gone or no longer match.
 *
 * @policy: the gateway's from now on, also on failure
 *
 * Return: 0; -ENOMEM, and the old policy stays in force.
 */
int gateway_set_policy(struct gateway *gw, struct policy *policy, struct instant now);

/* The policy in force, for lookups and for the CLI. Valid until the next gateway_set_policy. */
const struct policy *gateway_policy(const struct gateway *gw);

/* Add a grant or change its expiry. Return: 0; -ENOENT (client or resource not known); -ENOMEM. */
int gateway_grant_add(struct gateway *gw, const struct policy_grant *grant);

/* Revoke a grant; running sessions stop with their next packet. Return: 0; -ENOENT; -ENOMEM.
 */
int gateway_grant_del(struct gateway *gw, uint32_t client, uint32_t resource);

/*
 * Handle an AssignedIps of an edge.
 *
 * Checks come first, in this order: rate of the scope (else an event and no answer), scope,
 * resource and grant known (G-01), name matches the pattern (G-03), proxy addresses inside the
 * pools (G-11; else Inactive at once), none of them given to another domain by a later message
 * (else an event and no answer), number of lookups (G-05; the same). Only
 * then state changes: proxy addresses that belong to another domain of the scope are cleared
 * (G-10), and the domain is looked up unless that is under way or a fresh answer is known. The
 * status follows, one for every message (G-13).
 *
 * @msg: a decoded message of event AssignedIps
 *
 * Return: 0, also when refused; -ENOMEM; what domain_id returned.
 */
int gateway_assigned(struct gateway *gw, uint32_t scope, const struct control_message *msg,
		     struct instant now);

/*
 * One half of the answer to GATEWAY_RESOLVE; when both families are in, translations are set and
 * statuses sent. The owner reports every family exactly once, a timeout or an error of its own
 * included; an answer that nobody waits for is ignored.
 *
 * Return: 0; -ENOMEM, and if it was the second half, the lookup is over without a status.
 */
int gateway_resolved(struct gateway *gw, const struct dname *name,
		     const struct gateway_answer *answer, struct instant now);

/*
 * The edge in this process has given a domain up: its translations in the scope vanish. Sessions
 * stay. Return: 0; -ENOMEM.
 */
int gateway_forget(struct gateway *gw, uint32_t scope, const struct dname *name);

/*
 * The edge has said Goodbye or was removed from the configuration: all its translations vanish
 * . Not to be called for a mere loss of contact. Return: 0; -ENOMEM.
 */
int gateway_scope_gone(struct gateway *gw, uint32_t scope);

/*
 * Do what is due: grants that have expired are removed, names in use whose records have
 * expired are looked up again. That moves new sessions only, and tells no edge. Return: 0; -ENOMEM.
 */
int gateway_tick(struct gateway *gw, struct instant now);

/* When gateway_tick is to be called; INSTANT_NEVER: not needed. */
struct instant gateway_deadline(const struct gateway *gw);

/* A translation found in the map after a restart. */
struct gateway_found {
	const struct fq_xlat_key *key;
	const struct fq_xlat *value;
};

/*
 * Take over translations of one domain in one scope; the policy is set already. What the policy or
 * the pools do not permit any more is removed from the map or corrected by an action.
 *
 * @name:  of the domain; NULL if it is not known, which removes the translations
 * @found: all of the same scope and domain
 * @count: at most CONTROL_PROXIES_MAX
 *
 * Return: 0; -ENOMEM.
 */
int gateway_restore_xlats(struct gateway *gw, const struct dname *name,
			  const struct gateway_found *found, unsigned int count);

/*
 * Take over what a domain resolved to before a restart: it counts as known from before, not as
 * fresh. Called after gateway_restore_xlats; of a domain without translations it is forgotten.
 *
 * Return: 0; -ENOMEM.
 */
int gateway_restore_records(struct gateway *gw, const struct dname *name,
			    const struct gateway_records *records);

/* A translation, for the CLI. */
struct gateway_xlat {
	const struct fq_xlat_key *key;
	const struct fq_xlat *value;
	const struct dname *name;
};

void gateway_foreach_xlat(const struct gateway *gw,
			  void (*fn)(void *ctx, const struct gateway_xlat *), void *ctx);

/* A domain in a scope, for the CLI. */
struct gateway_domain {
	uint32_t scope;
	const struct dname *name;
	uint32_t domain, resource; /* the most specific one that it is reached by */
	struct fq_addr proxies[CONTROL_PROXIES_MAX]; /* IPv4 first, ascending */
	unsigned int proxy_count;
	bool looking_up;
	struct gateway_records records; /* that are known */
};

/* Visit every domain of every scope, or those called @only (NULL: all). */
void gateway_foreach_domain(const struct gateway *gw, const struct dname *only,
			    void (*fn)(void *ctx, const struct gateway_domain *), void *ctx);

/* What a domain resolves to; valid until the next input. Return: whether the domain is known. */
bool gateway_find_records(const struct gateway *gw, const struct dname *name,
			  struct gateway_records *ret_records);

/* Limits and what is used of them. */
struct gateway_usage {
	unsigned int domains;
	unsigned int scopes;
	unsigned int resolutions, resolutions_max;
	unsigned int xlats;       /* of all scopes */
	unsigned int xlats_scope; /* of the fullest scope */
	unsigned int xlat_per_scope;
	unsigned int clients, resources, grants;
};

struct gateway_usage gateway_usage(const struct gateway *gw);

/* The same of one scope. */
struct gateway_scope_usage {
	unsigned int domains;      /* that it has proxy addresses for here */
	unsigned int translations; /* proxy addresses */
	unsigned int lookups;      /* under way on its account */
};

/* Zeros for a scope that has not asked for anything. */
struct gateway_scope_usage gateway_scope_usage(const struct gateway *gw, uint32_t scope);
