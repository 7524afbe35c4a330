/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the edge; included by edge*.c only.
 *
 *	edge.c			inputs: names, packets, statuses, gateways, time
 *	edge_reload.c		input: resources
 *	edge_restore.c		inputs: restart
 *	edge_entry.c		states of entries, verdicts of domains
 *	edge_domain.c		domains: making, finding, giving up
 *	edge_resources.c	resources, and which of them publish a name
 *	edge_queue.c		actions
 *	edge_view.c		views for people
 *
 * A domain has one entry for each resource that publishes it; EDGE_NONE is an entry that
 * knows no gateway yet. What may be numerous is linked where it is needed and nowhere walked:
 *
 *	pending		entries in EDGE_PENDING, by sent_at
 *	due		entries in EDGE_RECREATING that wait for their 2 s, by due_at
 *	gateway.entries	entries of a gateway
 *	holding		domains that hold packets, by held_since
 *	idle		all domains, least recently asked for first: those that packets ever
 *			passed with, and the others
 */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "core/edge.h"
#include "core/pattern.h"

/* Most actions that one domain can cause in one input: every entry three, and its own few. */
#define DOMAIN_ACTIONS (3 * EDGE_DOMAIN_RESOURCES + 5)

struct resource {
	uint32_t id;
	char uuid[UUID_STRLEN];
	struct pattern pattern;
	enum ip_stack ip_stack;
	uint32_t gateways[EDGE_RESOURCE_GATEWAYS];
	unsigned int gateway_count;
	struct resource *next; /* with the same literal suffix */
	UT_hash_handle hh_id, hh_uuid;
};

/* Resources whose patterns end in the same literal labels. */
struct suffix {
	const char *text; /* of the first resource's pattern */
	struct resource *resources;
	UT_hash_handle hh;
};

struct resources {
	struct resource *by_id; /* owns */
	struct resource *by_uuid;
	struct suffix *suffixes;
};

/* Resources that publish a name, most specific first, ties by greatest uuid. */
struct match {
	unsigned int count;
	struct resource *resource[EDGE_DOMAIN_RESOURCES];
};

struct edge_gateway {
	uint32_t id;
	bool up;
	struct entry *entries;
	UT_hash_handle hh;
};

struct entry {
	struct domain *domain;
	struct resource *resource;
	struct edge_gateway *gateway; /* NULL in EDGE_NONE */
	enum edge_state state;
	bool buffering;
	bool waiting; /* in edge.due */
	struct instant since;
	struct instant sent_at;
	struct instant due_at;
	unsigned int resends;
	uint32_t generation;       /* of the last AssignedIps */
	uint32_t request;          /* generation of the request's first AssignedIps */
	uint32_t taken;            /* generation of the last status taken; 0: none */
	struct entry *prev, *next; /* edge.pending or edge.due */
	struct entry *gw_prev, *gw_next;
};

struct domain {
	struct dname name;
	uint32_t id;
	uint32_t refs; /* the table, and every queued action */
	struct proxies proxies;
	unsigned int entry_count;
	struct entry *entries[EDGE_DOMAIN_RESOURCES];
	struct held held;
	struct instant held_since;
	struct instant queried;
	bool passed;      /* it has been FQ_EDGE_FORWARD: there may be sessions */
	bool has_verdict; /* emitted: */
	enum fq_edge_verdict verdict;
	uint32_t verdict_gateway;
	struct instant touch_at;
	struct domain *idle_prev, *idle_next; /* edge.idle[passed] */
	struct domain *hold_prev, *hold_next;
	UT_hash_handle hh_id, hh_name;
};

/* A queued action, compact; edge_next makes a struct edge_action of it. */
struct record {
	struct domain *domain; /* a reference; NULL: none */
	struct held_frame *frames;
	struct instant touch_at;
	uint32_t gateway, generation, resource;
	unsigned int count;       /* frames, held, resends */
	uint8_t kind;             /* enum edge_action_kind */
	uint8_t from, to, stored; /* enum edge_state */
	uint8_t detail;           /* enum fq_edge_verdict, enum edge_held_event, is_new */
	uint8_t ip_stack;         /* SEND: enum ip_stack */
	char uuid[UUID_STRLEN];
};

struct queue {
	struct record *records; /* ring */
	size_t cap, first, count;
};

struct edge {
	struct edge_settings settings;
	struct pool *pool;
	struct resources *resources;
	struct edge_gateway *gateways;
	struct domain *by_id, *by_name;
	struct domain *idle[2], *holding;
	struct entry *pending, *due;
	struct held_budget held;
	struct queue queue;
	struct domain *shown; /* whose name the last action points to */
	uint32_t next_domain;
	uint32_t generation;
	uint32_t entry_count, open_count; /* entries that are not NONE; Pending or Recreating */
};

/* ---- edge_queue.c ---- */

/* Make room for @n more actions, so that queueing them cannot fail. Return: 0; -ENOMEM. */
int edge_queue_reserve(struct queue *q, size_t n);
void edge_queue_done(struct queue *q);

/* A new record at the end, zero but for its kind and a reference to @d (which may be NULL). */
struct record *edge_queue_add(struct edge *edge, enum edge_action_kind kind, struct domain *d);

/* Give a reference back; the last one frees the domain. */
void edge_domain_unref(struct domain *d);

/* ---- edge_resources.c ---- */

int edge_resources_new(const struct edge_resource *list, size_t count,
		       struct resources **ret_resources);
struct resources *edge_resources_free(struct resources *r);
DEFINE_CLEANUP(struct resources *, edge_resources_free)

struct resource *edge_resources_find(const struct resources *r, uint32_t id);
void edge_resources_match(const struct resources *r, const struct dname *name,
			  struct match *ret_match);

/* ---- edge_domain.c ---- */

struct domain *edge_domain_find(const struct edge *edge, const struct dname *name);
struct domain *edge_domain_find_id(const struct edge *edge, uint32_t id);
struct domain *edge_domain_find_proxy(const struct edge *edge, const struct fq_addr *proxy);

/* A domain in no table, with an entry for each resource. NULL: no memory. */
struct domain *edge_domain_new(const struct dname *name, const struct match *match);

/* Put it into the tables. Return: 0; -ENOMEM: it is in none. */
int edge_domain_link(struct edge *edge, struct domain *d);
void edge_domain_unlink(struct edge *edge, struct domain *d);

/* A new domain with addresses, in all tables. Return: 0; -ENOSPC; -ENOMEM. */
int edge_domain_assign(struct edge *edge, const struct dname *name, const struct match *match,
		       struct instant now, struct domain **ret_domain);

/* It was asked for. */
void edge_domain_queried(struct edge *edge, struct domain *d, struct instant now);

/* From now on packets pass, and there may be sessions. */
void edge_domain_passes(struct edge *edge, struct domain *d);

/* Drop what is held and say so, because nobody will take it. Room is reserved. */
void edge_domain_drop_held(struct edge *edge, struct domain *d);

struct entry *edge_entry_new(struct domain *d, struct resource *resource);

/* Say that the domain is new or has other resources. Room is reserved. */
void edge_domain_announce(struct edge *edge, struct domain *d, bool is_new);

/* Free everything of a domain that is in no table. */
void edge_domain_free_all(struct edge *edge);

/* Let up to two domains go that nobody uses, if room is short. Room is reserved. */
void edge_domains_reclaim(struct edge *edge, struct instant now);

#define RECLAIM_DOMAINS 2 /* let go per new domain */
#define RECLAIM_LOOK    4 /* looked at per new domain */

/* ---- edge_entry.c ---- */

/* The only writer of entry.state: keeps lists and counts, queues EDGE_STATE_CHANGED. */
void edge_entry_set_state(struct edge *edge, struct entry *e, enum edge_state to,
			  struct instant now);

/* Bind an entry to its gateway, or with NULL to none. */
void edge_entry_bind(struct entry *e, struct edge_gateway *gateway);

/*
 * Do for an entry what anything that wants it to work may do: find a gateway, begin a request
 * that could not be made, repeat one that is 2 s old. Never touches an answered one (C-09).
 */
void edge_entry_wake(struct edge *edge, struct entry *e, struct instant now);

/* Its gateway cannot be reached: what is open waits for edge_gateway_up. */
void edge_entry_suspend(struct edge *edge, struct entry *e, struct instant now);

/* edge_entry_wake for all entries of a domain. */
void edge_domain_wake(struct edge *edge, struct domain *d, struct instant now);

/* A DNS query for the domain; @at_once: an operator's wish, which waits for nothing. */
void edge_domain_query(struct edge *edge, struct domain *d, struct instant now, bool at_once);

/* Queue the verdict if it has changed, then release or drop what is held. */
void edge_domain_settle(struct edge *edge, struct domain *d);

/* Ask again for up to @max entries whose 2 s are over. */
void edge_run_due(struct edge *edge, struct instant now, unsigned int max);

/* Look after a bounded number of entries of any domain, because a query came (C-25). */
void edge_look_after_others(struct edge *edge, struct instant now);

/* The gateway that serves a resource now: the first that is up, or NULL. */
struct edge_gateway *edge_gateway_of(const struct edge *edge, const struct resource *r);

/* ---- edge.c ---- */

struct edge_gateway *edge_gateway_find(const struct edge *edge, uint32_t id);

/* The same, made if it is new. NULL: no memory. */
struct edge_gateway *edge_gateway_get(struct edge *edge, uint32_t id);
