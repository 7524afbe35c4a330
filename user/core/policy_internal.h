/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables behind struct policy, for policy.c (building) and policy_find.c (lookups) only.
 *
 * Grants are kept twice: by (client, resource), and in a list by (scope, resource), which is
 * what an AssignedIps asks for.
 */
#pragma once

#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1 /* after HASH_ADD, hh.tbl is NULL if memory ran out */
#include <uthash.h>

#include "core/pattern.h"
#include "core/policy.h"
#include "core/uuid.h"

struct prefix_node {
	struct fq_prefix key;
	struct client_node *client;
	UT_hash_handle hh;
};

struct client_node {
	struct policy_client pub;
	UT_hash_handle hh;
};

struct resource_node {
	struct policy_resource pub;
	struct pattern pattern;
	UT_hash_handle hh;
	UT_hash_handle hh_uuid;
};

struct group_key {
	uint32_t scope;
	uint32_t resource;
};

/* The grants of one resource to the clients of one scope. */
struct group_node {
	struct group_key key;
	LIST_HEAD(, grant_node) grants;
	UT_hash_handle hh;
};

struct grant_node {
	struct fq_grant_key key;
	struct policy_grant pub;
	struct group_node *group;
	LIST_ENTRY(grant_node) entry;
	UT_hash_handle hh;
};

/* A scope that some client uses. */
struct scope_node {
	uint32_t scope;
	unsigned int grants;
	UT_hash_handle hh;
};

struct policy {
	struct client_node *clients;
	struct prefix_node *prefixes;
	struct resource_node *resources; /* by id */
	struct resource_node *by_uuid;
	struct grant_node *grants;
	struct group_node *groups;
	struct scope_node *scopes;
};

static inline struct fq_prefix policy_prefix_key(const struct ipprefix *prefix)
{
	return (struct fq_prefix){.prefixlen = prefix->len, .addr = prefix->addr};
}

struct client_node *policy_client_node(const struct policy *policy, uint32_t id);
struct resource_node *policy_resource_node(const struct policy *policy, uint32_t id);
struct grant_node *policy_grant_node(const struct policy *policy, uint32_t client,
				     uint32_t resource);
struct group_node *policy_group_node(const struct policy *policy, uint32_t scope,
				     uint32_t resource);
struct scope_node *policy_scope_node(const struct policy *policy, uint32_t scope);
