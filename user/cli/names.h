/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the ids in the maps, from the store, read-only. Without a store there are no names, and
 * everything is shown without them.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "cli/cli.h"

struct names;

/* Read all names. No store is no failure: it is said, and no id has a name. */
enum cli_exit names_open(struct cli *cli, struct names **ret_names);
void names_free(struct names *names);
DEFINE_CLEANUP(struct names *, names_free)

/* NULL: unknown. Valid as long as @names. */
const char *names_domain(const struct names *names, uint32_t id);
const char *names_client(const struct names *names, uint32_t id);
const char *names_gateway(const struct names *names, uint32_t id);

/* Call @fn for every client until it returns non-zero, which is returned. */
int names_foreach_client(const struct names *names,
			 int (*fn)(void *ctx, uint32_t id, const char *name), void *ctx);

/*
 * The ids of names that were typed.
 *
 * Return: false if there is none of that name.
 */
bool names_find_domain(const struct names *names, const char *name, uint32_t *ret_id);
bool names_find_client(const struct names *names, const char *name, uint32_t *ret_id);
