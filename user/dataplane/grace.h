/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of the session table that are removed, until they are free: a grace period later, when no
 * program that was running then runs any more (docs/session-table.md).
 *
 * A thread waits and frees. Entries are given to it by the one thread that removes, and until then
 * are nobody else's to free.
 */
#pragma once

#include <stdint.h>

#include "dataplane/table.h"

struct grace;

/* Return: 0; negative errno (maps, thread). */
int grace_open(struct session_table *table, struct grace **ret_grace);

/* What has not been freed yet is found dead by the next process. */
void grace_close(struct grace *g);

/* Have an entry freed that has been taken (table_take_dead). Waits itself if there is no memory. */
void grace_add(struct grace *g, uint32_t index);

/* Wait until all is free. */
void grace_drain(struct grace *g);

/* Entries that are not free yet. */
uint32_t grace_pending(struct grace *g);
