/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of a session table by hand: as a program would add them, and as nobody removes them. */
#pragma once

#include "dataplane/table.h"

/* Add an entry, or change the one that has this key. */
void table_put(struct session_table *t, const struct fq_tuple *key, const struct session_entry *e);

/* Remove an entry and free it at once: no program may be running. Return: false if there is none.
 */
bool table_drop(struct session_table *t, const struct fq_tuple *key);

/* All of them, and what is left of others. */
void table_clear(struct session_table *t);

unsigned int table_live(const struct session_table *t);
