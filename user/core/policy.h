/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the administrator permits at a gateway: clients by source prefix, resources by name
 * pattern with their filters, and grants of resources to clients, with expiry.
 *
 * A policy is built once from the configuration by its owner (the policy_add_* functions
 * refuse contradictions), handed to gateway_set_policy, and afterwards only its grants change.
 * All lookups are by hash. Nothing here reads a clock: an expiry is an instant; the owner
 * converts wall-clock times, and does it anew when the wall clock was set.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/ipaddr.h"
#include "core/dname.h"

struct policy;

struct policy_client {
	uint32_t id;    /* < FQ_CLIENTS_MAX */
	uint32_t scope; /* the edge whose proxy addresses it uses; 0: this process */
	const char *name;
	const struct ipprefix *prefixes;
	unsigned int prefix_count;
};

struct policy_resource {
	uint32_t id;
	const char *uuid; /* in any case; kept in lower case */
	const char *name;
	const char *pattern;
	struct fq_filter filter; /* F-01 to F-05; no filter configured: allow_all */
	bool any_family;         /* its packets may be translated between IPv4 and IPv6 (G-26) */
};

struct policy_grant {
	uint32_t client;
	uint32_t resource;
	struct instant expires; /* INSTANT_NEVER: none */
};

/* Return: 0; -ENOMEM. */
int policy_new(struct policy **ret_policy);
void policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free)

/*
 * Add a client; everything is copied.
 *
 * Return: 0; -EEXIST if the id or one of the prefixes is taken; -ERANGE if the id is not below
 * FQ_CLIENTS_MAX; -ENOMEM. After a failure the policy is only good for policy_free.
 */
int policy_add_client(struct policy *policy, const struct policy_client *client);

/*
 * Add a resource; everything is copied.
 *
 * Return: 0; -EEXIST if the id or UUID is taken; -EINVAL if the pattern or UUID is not valid
 * (M-03: the owner says so and goes on without the resource); -ENOSPC at FQ_RESOURCES_MAX; -ENOMEM.
 */
int policy_add_resource(struct policy *policy, const struct policy_resource *resource);

/*
 * Grant a resource to a client, or change the grant's expiry. An expiry in the past is
 * accepted; such a grant is not valid and vanishes with the next gateway_tick.
 *
 * Return: 0; -ENOENT if the client or the resource is not known; -ENOMEM.
 */
int policy_put_grant(struct policy *policy, const struct policy_grant *grant);

/* Return: whether there was such a grant. */
bool policy_del_grant(struct policy *policy, uint32_t client, uint32_t resource);

/* Lookups. Return: owned by the policy; NULL if there is none. */
const struct policy_client *policy_find_client(const struct policy *policy, uint32_t id);
const struct policy_resource *policy_find_resource(const struct policy *policy, uint32_t id);
const struct policy_resource *policy_find_uuid(const struct policy *policy, const char *uuid);
const struct policy_grant *policy_find_grant(const struct policy *policy, uint32_t client,
					     uint32_t resource);

/* The client that owns exactly this prefix (not the longest match, which is the BPF map's
 * business). */
const struct policy_client *policy_find_prefix(const struct policy *policy,
					       const struct ipprefix *prefix);

/* Whether some client uses the scope. */
bool policy_knows_scope(const struct policy *policy, uint32_t scope);

/*
 * Whether some client of @scope has a grant for @resource that is valid at @now. The cost is that
 * of one lookup, unless grants have expired that gateway_tick has not seen yet.
 */
bool policy_scope_granted(const struct policy *policy, uint32_t scope, uint32_t resource,
			  struct instant now);

/* Grants of all clients of @scope, valid or not. */
unsigned int policy_scope_grants(const struct policy *policy, uint32_t scope);

/* Whether the resource is known and its pattern matches the name (G-03). */
bool policy_matches(const struct policy *policy, uint32_t resource, const struct dname *name);

/*
 * Order of two resources that share a proxy address: most specific pattern first, ties by
 * greatest UUID (M-06). Both must be known.
 *
 * Return: < 0 if @a comes first, > 0 if @b does, 0 only for the same resource.
 */
int policy_compare(const struct policy *policy, uint32_t a, uint32_t b);

/* Visit everything of a kind, in no particular order; @fn must not change the policy. */
void policy_foreach_client(const struct policy *policy,
			   void (*fn)(void *ctx, const struct policy_client *), void *ctx);
void policy_foreach_resource(const struct policy *policy,
			     void (*fn)(void *ctx, const struct policy_resource *), void *ctx);
void policy_foreach_grant(const struct policy *policy,
			  void (*fn)(void *ctx, const struct policy_grant *), void *ctx);

unsigned int policy_client_count(const struct policy *policy);
unsigned int policy_resource_count(const struct policy *policy);
unsigned int policy_grant_count(const struct policy *policy);
unsigned int policy_prefix_count(const struct policy *policy);

/*
 * Remove the grants that are not valid any more at @now; @fn is called for each before it goes.
 * O(grants).
 */
void policy_expire(struct policy *policy, struct instant now,
		   void (*fn)(void *ctx, const struct policy_grant *), void *ctx);

/* Earliest expiry of all grants; INSTANT_NEVER if none expires. O(grants). */
struct instant policy_next_expiry(const struct policy *policy);
