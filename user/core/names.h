/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for the domains that edges on other machines ask a gateway for: the gateway's sessions
 * and translations bear a number, its store and its operators know names. An edge numbers its
 * domains itself (core/edge.h); these are from another range, so that both can live in one process.
 *
 * Numbers are not used again until the range is used up. How many names there are is bounded by
 * their owner, the gateway's core.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "core/dname.h"

#define NAMES_FIRST 0x80000000u

struct names;

/*
 * @hash_key: random
 * @planned:  names that there may be; more of them take longer to find
 *
 * Return: 0; -ENOMEM.
 */
int names_new(const uint8_t hash_key[DNAME_KEY_LEN], uint64_t planned, struct names **ret_names);
void names_free(struct names *names);
DEFINE_CLEANUP(struct names *, names_free)

/* The number of a name, made if it has none. Return: 0; 1: it was made; -ENOMEM. */
int names_id(struct names *names, const struct dname *name, uint32_t *ret_id);

/* NULL: no name has it. Valid until it is dropped. */
const struct dname *names_find(const struct names *names, uint32_t id);

/* A name's number; 0: it has none. */
uint32_t names_lookup(const struct names *names, const struct dname *name);

void names_drop(struct names *names, uint32_t id);

/* Every name; @fn may drop the one that it is shown. */
void names_foreach(struct names *names,
		   void (*fn)(void *ctx, uint32_t id, const struct dname *name), void *ctx);

/*
 * Take over a number from before a restart; new ones are greater. Return: 0; -EINVAL: it is not
 * of the range; -EEXIST: the name or the number is taken; -ENOMEM.
 */
int names_restore(struct names *names, const struct dname *name, uint32_t id);

/* The next number to be given out, to be stored; and new ones are not below @next from now on. */
uint32_t names_mark(const struct names *names);
void names_restore_mark(struct names *names, uint32_t next);
