/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must survive a restart: ids that index pinned maps, domains with their proxy addresses,
 * the state of their entries, what they resolved to, and grants changed by hand. SQLite in
 * write-ahead mode, DIR/state.db; one writer, any number of readers beside it.
 *
 * Changes are kept in memory, the newest one of a row, until store_commit writes them all in
 * one transaction: call it once per round of the event loop. If it fails (disk full, say),
 * nothing is lost: the changes stay, newer ones join them, and the next commit tries again.
 * Memory is bounded by the number of rows, whose limits are the owner's.
 *
 * A crash of the process loses what was not committed; a crash of the machine may lose the last
 * commits (synchronous=NORMAL), but never leaves half a one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"

#define STORE_DIR_DEFAULT   "/var/lib/fqdnat"
#define STORE_FILE          "state.db"
#define STORE_ERROR_LEN     320
#define STORE_NAME_LEN      256 /* a domain name or a name of the configuration, with its NUL */
#define STORE_PROXIES_MAX   8
#define STORE_ADDRESSES_MAX 32 /* of a domain, each family */

struct store;

enum store_mode {
	STORE_READ,  /* beside a daemon or without one */
	STORE_WRITE, /* the daemon: one at a time */
};

/*
 * Open DIR/state.db; for writing, make what is missing. A full disk does not keep a writer from
 * what is there already, but nobody can read beside it then until it is opened again.
 *
 * @dir:       the directory
 * @ret_error: on failure: which file, and what is wrong with it
 *
 * Return: 0; -ENOENT (STORE_READ, no file); -EBUSY if another daemon writes; -EBADMSG if the file
 * is corrupt or no database; -EPROTONOSUPPORT if it has another schema (that of an earlier release
 * is brought up to date by a writer); -ENOSPC; others.
 */
int store_open(const char *dir, enum store_mode mode, struct store **ret_store,
	       char ret_error[STORE_ERROR_LEN]);

/* Changes that were not committed are lost. */
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

/*
 * Write all changes since the last commit. Cheap if there are none.
 *
 * Return: 0; -ENOSPC, -EIO, -EROFS, -EBADMSG, ...: the changes are kept for the next commit.
 */
int store_commit(struct store *store);

/* Changes waiting for store_commit. */
size_t store_pending(const struct store *store);

/* Is a domain's own row among them? Its entries and records do not count. */
bool store_domain_pending(const struct store *store, uint32_t id);

/*
 * What went wrong last, for the log line beside an errno: SQLite's words, or the table, the key and
 * the column of a row that makes no sense.
 */
const char *store_error(const struct store *store);

/*
 * Ids: small numbers that stand for names in pinned maps, the same over restarts.
 */
enum store_kind {
	STORE_CLIENT,   /* from 0, less than FQ_CLIENTS_MAX (index of the map quota) */
	STORE_RESOURCE, /* from 1, less than FQ_RESOURCES_MAX */
	STORE_GATEWAY, /* an edge's; from 1, less than FQ_GATEWAYS_MAX: 0 is the one in this process
			*/
	STORE_EDGE,    /* a gateway's scopes; from 1, less than FQ_SCOPES_MAX: 0 as above */
	STORE_KINDS,
};

/*
 * The id of @key, made if it has none: the least one that is free.
 *
 * @key: a name, up to STORE_NAME_LEN - 1 bytes; copied
 *
 * Return: 0; -ENOSPC if every id is taken; -EINVAL if @key is empty or too long; -ENOMEM; -EROFS.
 */
int store_id(struct store *store, enum store_kind kind, const char *key, uint32_t *ret_id);

/* The key of an id; NULL: none. Valid until the id is purged. */
const char *store_name(const struct store *store, enum store_kind kind, uint32_t id);

/*
 * Free an id for reuse; the caller has removed it from every map before. No error if there is none.
 *
 * Return: 0; -ENOMEM; -EROFS.
 */
int store_id_purge(struct store *store, enum store_kind kind, uint32_t id);

/* Every id of a kind, in no order. A callback's value other than 0 ends the walk and is returned.
 */
int store_foreach_id(struct store *store, enum store_kind kind,
		     int (*fn)(void *ctx, uint32_t id, const char *key), void *ctx);

/*
 * Rows. put replaces the row with the same key; delete of one that does not exist is no error.
 * Both return 0; -ENOMEM; -EROFS. foreach walks in the order of the key over the rows as
 * they will be when everything is committed, and writes nothing itself: it works with a full disk,
 * too. A callback's value other than 0 ends the walk and is returned; a row that makes no sense
 * ends it with -EBADMSG (see store_error). A callback must neither commit nor change rows of
 * the kind that it is given.
 */

struct store_domain { /* key: id */
	uint32_t id;
	char name[STORE_NAME_LEN];
	struct fq_addr proxies[STORE_PROXIES_MAX]; /* in the order of assignment */
	unsigned int proxy_count;
	int64_t created_s; /* wall clock, Unix time */
};

int store_put_domain(struct store *store, const struct store_domain *row);
/* With its entries and records. */
int store_delete_domain(struct store *store, uint32_t id);
int store_foreach_domain(struct store *store, int (*fn)(void *ctx, const struct store_domain *),
			 void *ctx);

struct store_entry { /* key: gateway, domain, resource */
	uint32_t gateway;
	uint32_t domain;
	uint32_t resource;
	uint32_t state; /* of core/edge.h; not looked at */
	uint32_t generation;
	uint32_t families; /* of core/edge.h, the same; 0 in rows of earlier releases */
};

int store_put_entry(struct store *store, const struct store_entry *row);
int store_delete_entry(struct store *store, uint32_t gateway, uint32_t domain, uint32_t resource);
int store_foreach_entry(struct store *store, int (*fn)(void *ctx, const struct store_entry *),
			void *ctx);

struct store_records { /* key: domain */
	uint32_t domain;
	struct fq_addr v4[STORE_ADDRESSES_MAX];
	struct fq_addr v6[STORE_ADDRESSES_MAX];
	unsigned int v4_count;
	unsigned int v6_count;
};

int store_put_records(struct store *store, const struct store_records *row);
int store_delete_records(struct store *store, uint32_t domain);
int store_foreach_records(struct store *store, int (*fn)(void *ctx, const struct store_records *),
			  void *ctx);

struct store_grant { /* key: client, resource; overrides the configuration's */
	char client[STORE_NAME_LEN];
	char resource[STORE_NAME_LEN]; /* its UUID, as text: a name may be given to another */
	int64_t expires_s;             /* wall clock, Unix time; 0: never */
	bool revoked;
};

int store_put_grant(struct store *store, const struct store_grant *row);
int store_delete_grant(struct store *store, const char *client, const char *resource);
int store_foreach_grant(struct store *store, int (*fn)(void *ctx, const struct store_grant *),
			void *ctx);

struct store_remote { /* key: id; a domain that edges on other machines have asked this gateway for
		       */
	uint32_t id;  /* in translations and sessions, as the ids of domains of the edge in this
			 process: the  owner keeps the two apart */
	char name[STORE_NAME_LEN];
};

int store_put_remote(struct store *store, const struct store_remote *row);
int store_delete_remote(struct store *store, uint32_t id);
int store_foreach_remote(struct store *store, int (*fn)(void *ctx, const struct store_remote *),
			 void *ctx);

/*
 * The epoch of a process that begins: greater than those of all processes that have used this
 * store before, also when the clock was set back meanwhile. Commit it before it is told to others.
 *
 * @now_us: wall clock, Unix time; a store that was lost is made up for by it
 *
 * Return: 0; -ENOMEM; -EROFS; errnos of reading.
 */
int store_epoch(struct store *store, uint64_t now_us, uint64_t *ret_epoch);

/*
 * Numbers by name, for what is no row of its own. put and get as with rows: what was put is got
 * at once, and kept by the next commit.
 *
 * @key: up to STORE_NAME_LEN - 1 bytes; copied
 *
 * Return: put: 0; -EINVAL if @key is empty or too long; -ENOMEM; -EROFS. get: 0; -ENOENT; -EINVAL;
 * others.
 */
int store_put_meta(struct store *store, const char *key, uint64_t value);
int store_get_meta(struct store *store, const char *key, uint64_t *ret_value);
