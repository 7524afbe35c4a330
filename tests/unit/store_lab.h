/* SPDX-License-Identifier: BSD-2-Clause */
/* A store in a directory of its own for each test, and its rows in one place. Used by
 * test_store*.c. */
#pragma once

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/store.h"

struct fixture {
	char dir[64];
	char file[96];
	char error[STORE_ERROR_LEN];
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	strcpy(f->dir, "/tmp/fqdnat-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/" STORE_FILE, f->dir);
	*state = f;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static inline struct store *open_ok(struct fixture *f, enum store_mode mode)
{
	struct store *store = NULL;
	int r = store_open(f->dir, mode, &store, f->error);

	if (r < 0)
		fail_msg("store_open: %s: %s", strerror(-r), f->error);
	return store;
}

static inline struct store_domain domain_row(uint32_t id, const char *name)
{
	struct store_domain row = {.id = id, .proxy_count = 8, .created_s = 1798761600};

	strcpy(row.name, name);
	for (uint32_t i = 0; i < 8; i++) {
		row.proxies[i].b[0] = (uint8_t)id;
		row.proxies[i].b[15] = (uint8_t)(8 - i);
	}
	return row;
}

/* Rows of one kind, collected. */
struct rows {
	unsigned int count;
	struct store_domain domain[8];
	struct store_entry entry[8];
	struct store_records records[8];
	struct store_grant grant[8];
};

static inline int collect_domain(void *ctx, const struct store_domain *row)
{
	struct rows *rows = ctx;

	rows->domain[rows->count++ % 8] = *row;
	return 0;
}

static inline int collect_entry(void *ctx, const struct store_entry *row)
{
	struct rows *rows = ctx;

	rows->entry[rows->count++ % 8] = *row;
	return 0;
}

static inline int collect_records(void *ctx, const struct store_records *row)
{
	struct rows *rows = ctx;

	rows->records[rows->count++ % 8] = *row;
	return 0;
}

static inline unsigned int domains(struct store *store, struct rows *ret_rows)
{
	*ret_rows = (struct rows){0};
	assert_int_equal(store_foreach_domain(store, collect_domain, ret_rows), 0);
	return ret_rows->count;
}

static inline unsigned int entries(struct store *store, struct rows *ret_rows)
{
	*ret_rows = (struct rows){0};
	assert_int_equal(store_foreach_entry(store, collect_entry, ret_rows), 0);
	return ret_rows->count;
}
