/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the XDP programs may answer of what the stub resolver does: the map entry of a name, see
 * struct fq_dns. Pure.
 */
#pragma once

#include <stdbool.h>

#include <fqdnat/abi.h>

#include "base/instant.h"
#include "core/dname.h"
#include "core/edge.h"

/*
 * The key of a name.
 *
 * Return: whether it is short enough for one.
 */
bool dnslease_key(const struct dname *name, struct fq_dns_key *ret_key);

/* The name of a key. Return: 0; -EINVAL: it is none's. */
int dnslease_name(const struct fq_dns_key *key, struct dname *ret_name);

/*
 * The entry of a name that the stub has just answered.
 *
 * Return: whether it may have one: it is short enough, and its packets pass.
 */
bool dnslease_make(const struct edge *edge, const struct dname *name, struct instant now,
		   struct fq_dns_key *ret_key, struct fq_dns *ret_value);

/*
 * The same of PTR: of the proxy address whose reverse name has been asked for.
 *
 * Return: whether it may have one: it is a domain's, whose name is short enough.
 */
bool dnslease_make_ptr(const struct edge *edge, const struct dname *name, struct instant now,
		       struct fq_addr *ret_proxy, struct fq_dns_ptr *ret_value);
