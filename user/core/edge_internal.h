/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the edge; included by edge*.c only.
 *
 *	edge.c			inputs: names, packets, statuses, time
 *	edge_reload.c		input: resources
 *	edge_restore.c		inputs: restart
 *	edge_entry.c		states of entries
 *	edge_verdict.c		what they mean for the packets of a domain
 *	edge_domain.c		domains: making, giving up
 *	edge_held.c		domains that hold packets
 *	edge_table.c		domains: finding
 *	edge_gateway.c		inputs: gateways
 *	edge_send.c		when AssignedIps go out
 *	edge_resources.c	resources, and which of them publish a name
 *	edge_queue.c		actions
 *	edge_view.c		views for people
 *
 * A domain has one entry for each resource that publishes it; EDGE_NONE is an entry that
 * knows no gateway yet. What may be numerous is linked where it is needed and nowhere walked:
 *
 *	gateway.pending	entries in EDGE_PENDING, by sent_at; from gateway.fresh on, those of
 *			which it is not known yet that no answer comes
 *	gateway.queue	entries in EDGE_PENDING whose AssignedIps waits for its turn
 *	due		entries in EDGE_RECREATING that wait for their 2 s, by due_at
 *	gateway.entries	entries of a gateway
 *	holding		domains that hold packets
 *	watches		the same, by the time when they are to be looked after
 *	idle		all domains, least recently asked for first: those that packets ever
 *			passed with, and the others
 *
 * There may be a million domains, nearly all of them with one entry: that is what struct domain
 * and struct entry are made for. Names have their own length; addresses are 32 bits, because
 * the pools are; entries of a domain are a list.
 */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "core/edge.h"
#include "core/pattern.h"
#include "core/timers.h"

/* Most actions of edge_domain_settle: a verdict for each family, one is released, one refused. */
#define SETTLE_ACTIONS (IP_FAMILIES + 2)

/* Most actions that one domain can cause in one input: every entry three, and its own few. */
#define DOMAIN_ACTIONS (3 * EDGE_DOMAIN_RESOURCES + 2 * SETTLE_ACTIONS + 3)

struct resource {
	uint32_t id;
	char uuid[UUID_STRLEN];
	struct pattern pattern;
	enum ip_stack ip_stack;
	struct edge_gateway *gateways[EDGE_RESOURCE_GATEWAYS]; /* the edge's */
	unsigned int gateway_count;
	struct resource *next; /* with the same literal suffix and part */
	UT_hash_handle hh_id, hh_uuid;
};

/* Those of a suffix whose patterns have the same literal part, see pattern_literal_part. */
struct part {
	const char *text; /* of the first resource's pattern */
	struct resource *resources;
	UT_hash_handle hh;
};

struct parts {
	struct part *by_text;
	uint64_t lens; /* bit n: one of n bytes is there */
};

/* Resources whose patterns end in the same literal labels. */
struct suffix {
	const char *text;     /* of the first resource's pattern */
	struct resource *any; /* without a literal part */
	struct parts begin, end;
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
	unsigned int tried; /* patterns that were compared with the name */
};

/* What AssignedIps waits in. */
enum send_queue {
	QUEUE_FIRST, /* of a request */
	QUEUE_AGAIN,
	QUEUE_COUNT,
};

struct edge_gateway {
	uint32_t id;
	bool up;
	bool lost;   /* others take over what is still bound to it */
	bool wanted; /* EDGE_GATEWAY_WANTED is queued */
	bool proven; /* it has confirmed something since it came or went */
	bool rests;  /* until rest_until: others come first */
	struct entry *entries;
	uint32_t count[EDGE_FAILED + 1]; /* of them, by state */
	struct entry *pending, *queue[QUEUE_COUNT];
	struct entry *fresh; /* in pending; NULL: none */
	struct entry *walk;  /* the next of them that is to catch up; NULL: all have */
	uint16_t life;       /* another one when it has gone */
	unsigned int turn;
	int64_t cost_ns, burst_ns; /* of an AssignedIps, and of as many as may go at once; 0 */
	struct instant full_at;    /* when the whole burst is there again */
	struct instant rest_until;
	int64_t rest_ns; /* of the last rest; 0: none since it was proven */
	UT_hash_handle hh;
};

struct entry {
	struct domain *domain;
	struct resource *resource;
	struct edge_gateway *gateway; /* NULL in EDGE_NONE */
	struct entry *next_of_domain; /* less specific */
	uint8_t state;                /* enum edge_state */
	bool buffering : 1;
	bool waiting : 1;   /* in edge.due */
	bool late : 1;      /* Pending: it has not been answered within EDGE_RESEND_NS */
	uint8_t queued : 2; /* Pending: 0: in gateway.pending; else in gateway.queue[queued - 1] */
	uint16_t life;      /* of its gateway, when it was bound to it */
	uint32_t resends;
	struct instant since;
	struct instant sent_at;
	struct instant due_at;
	uint32_t generation;       /* of the last AssignedIps */
	uint32_t request;          /* generation of the request's first AssignedIps */
	uint32_t taken;            /* generation of the last status taken; 0: none */
	struct entry *prev, *next; /* in gateway.pending, gateway.queue or edge.due */
	struct entry *gw_prev, *gw_next;
};

struct domain {
	struct domain *next_by_name, *next_by_id; /* in a bucket of the table */
	struct domain *prev, *next;               /* table.first, in order of creation */
	struct domain *idle_prev, *idle_next;     /* edge.idle[passed] */
	struct entry *entries;                    /* most specific first */
	struct entry own;                         /* room for one of them; see edge_entry_new */
	struct holding *holding;                  /* NULL: no packet waits */
	struct instant queried;
	struct instant touch_at[IP_FAMILIES]; /* of the verdicts */
	uint32_t gateway[IP_FAMILIES];
	uint32_t id;
	uint32_t refs; /* the table, and every queued action */
	uint8_t entry_count;
	bool passed;                  /* it has been FQ_EDGE_FORWARD: there may be sessions */
	uint8_t verdict[IP_FAMILIES]; /* emitted: enum fq_edge_verdict; VERDICT_NONE: nothing yet */
	__be32 proxies[PROXIES_MAX];  /* last words of the addresses, IPv4 first */
	uint8_t name_len;
	char name[]; /* canonical, not terminated */
};

#define VERDICT_NONE 0xff

/* What few domains need: at least one packet that waits. */
struct holding {
	struct domain *domain;
	struct held held;
	struct timer watch;
	struct holding *prev, *next; /* edge.holding */
};

#define FOREACH_ENTRY(d, e) for (e = (d)->entries; e; e = e->next_of_domain)

/*
 * Domains by name and by id. The number of buckets is fixed, as that of domains is: no query
 * pays for a table that grows, and buckets that were never used take no memory.
 */
struct table {
	struct domain **by_name, **by_id;
	uint32_t mask; /* number of buckets - 1 */
	uint32_t count;
	struct domain *first;
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
	uint8_t families;         /* of the addresses that the action is about */
	uint8_t told;             /* STATE_CHANGED: families that the gateway knows */
	uint8_t news;             /* enum edge_news */
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
	struct table table;
	struct domain *idle[2];
	struct holding *holding;
	uint32_t holding_count;
	struct timers watches;
	struct entry *due;
	struct held_budget held;
	struct queue queue;
	struct dname shown; /* what the last action's name points to */
	uint32_t next_domain;
	uint32_t generation;
	uint32_t entry_count, open_count; /* entries that are not NONE; Pending or Recreating */
};

/* ---- edge_queue.c ---- */

/*
 * Make room for @n more actions and one EDGE_GATEWAY_WANTED for every gateway, so that queueing
 * them cannot fail. Return: 0; -ENOMEM.
 */
int edge_queue_reserve(struct edge *edge, size_t n);
void edge_queue_done(struct queue *q);

/* A new record at the end, of all families, with a reference to @d (which may be NULL); else zero.
 */
struct record *edge_queue_add(struct edge *edge, enum edge_action_kind kind, struct domain *d);

/* Give a reference back; the last one frees the domain. */
void edge_domain_unref(struct domain *d);

/* ---- edge_resources.c ---- */

/* The families that a resource with this IP stack has. */
unsigned int edge_stack_families(enum ip_stack stack);

/* The gateways they name are made if they are new. Return: as edge_set_resources. */
int edge_resources_new(struct edge *edge, const struct edge_resource *list, size_t count,
		       struct resources **ret_resources);
struct resources *edge_resources_free(struct resources *r);
DEFINE_CLEANUP(struct resources *, edge_resources_free)

void edge_resources_match(const struct resources *r, const struct dname *name,
			  struct match *ret_match);

/* ---- edge_table.c ---- */

/* Return: 0; -ENOMEM. */
int edge_table_init(struct table *t, uint32_t domains_max);
void edge_table_done(struct table *t);

struct domain *edge_domain_find(const struct edge *edge, const struct dname *name);
struct domain *edge_domain_find_id(const struct edge *edge, uint32_t id);
struct domain *edge_domain_find_proxy(const struct edge *edge, const struct fq_addr *proxy);

/* Into the table and edge.idle, and out of them. */
void edge_domain_link(struct edge *edge, struct domain *d);
void edge_domain_unlink(struct edge *edge, struct domain *d);

/* ---- edge_domain.c ---- */

/* A domain in no table, with an entry for each resource. NULL: no memory. */
struct domain *edge_domain_new(const struct dname *name, const struct match *match);

void edge_domain_name(const struct domain *d, struct dname *ret_name);

/* The addresses of a domain, as short as it keeps them, and as they are. */
void edge_domain_set_proxies(struct domain *d, const struct proxies *proxies);
void edge_domain_proxies(const struct edge *edge, const struct domain *d,
			 struct proxies *ret_proxies);

/* The entry for a resource. NULL: there is none. */
struct entry *edge_domain_entry(const struct domain *d, uint32_t resource);

/* A new domain with addresses, in all tables. Return: 0; -ENOSPC; -ENOMEM. */
int edge_domain_assign(struct edge *edge, const struct dname *name, const struct match *match,
		       struct instant now, struct domain **ret_domain);

/* It was asked for. */
void edge_domain_queried(struct edge *edge, struct domain *d, struct instant now);

/* From now on packets pass, and there may be sessions. */
void edge_domain_passes(struct edge *edge, struct domain *d);

/* Drop what is held and say so, because nobody will take it. Room is reserved. */
void edge_domain_drop_held(struct edge *edge, struct domain *d);

/* In the domain itself, where most have theirs, if it has none there. NULL: no memory. */
struct entry *edge_entry_new(struct domain *d, struct resource *resource);
void edge_entry_free(struct entry *e);

/* Say that the domain is new or has other resources. Room is reserved. */
void edge_domain_announce(struct edge *edge, struct domain *d, bool is_new);

/* Free everything of a domain that is in no table. */
void edge_domain_free_all(struct edge *edge);

/* Let up to two domains go that nobody uses, if room is short. Room is reserved. */
void edge_domains_reclaim(struct edge *edge, struct instant now);

#define RECLAIM_DOMAINS 2 /* let go per new domain */
#define RECLAIM_LOOK    4 /* looked at per new domain */

/* ---- edge_held.c ---- */

/* Hold a packet. Room is reserved for one action. Return: 0; -ENOMEM, and it is not held. */
int edge_domain_hold(struct edge *edge, struct domain *d, const struct held_offer *offer,
		     struct instant now);

/* Nothing is held any more: what was for it is freed. */
void edge_domain_end_holding(struct edge *edge, struct domain *d);

/* Look after up to @max domains whose time has come. Room is reserved. */
void edge_watch_run(struct edge *edge, struct instant now, unsigned int max);

/* ---- edge_entry.c ---- */

/* The only writer of entry.state: keeps lists and counts, queues EDGE_STATE_CHANGED. */
void edge_entry_set_state(struct edge *edge, struct entry *e, enum edge_state to,
			  struct instant now);

/* Bind an entry in EDGE_NONE to its gateway, or with NULL to none. */
void edge_entry_bind(struct entry *e, struct edge_gateway *gateway);

/* Make an entry vanish: EDGE_NONE, and bound to no gateway. */
void edge_entry_vanish(struct edge *edge, struct entry *e, struct instant now);

/*
 * Whether an entry waits for a lost gateway in vain: another one of @r could be asked. Failed
 * ones wait for nothing.
 */
bool edge_entry_is_stranded(const struct entry *e, const struct resource *r);

/*
 * Do for an entry what anything that wants it to work may do: find a gateway, begin a request
 * that could not be made, repeat one that is 2 s old. Never touches an answered one (C-09).
 */
void edge_entry_wake(struct edge *edge, struct entry *e, struct instant now);

/* Its gateway cannot be reached: what is open waits for edge_gateway_up. Return: whether it is. */
bool edge_entry_suspend(struct edge *edge, struct entry *e, struct instant now);

/* edge_entry_wake for all entries of a domain. */
void edge_domain_wake(struct edge *edge, struct domain *d, struct instant now);

/* A DNS query for the domain; @at_once: an operator's wish, which waits for nothing. */
void edge_domain_query(struct edge *edge, struct domain *d, struct instant now, bool at_once);

/* Whether packets of new flows pass while the entry is in its state. */
bool edge_entry_is_flowing(const struct entry *e);

/* Ask again for up to @max entries whose 2 s are over. */
void edge_run_due(struct edge *edge, struct instant now, unsigned int max);

/* Look after a bounded number of entries of any domain, because a query came (C-25). */
void edge_look_after_others(struct edge *edge, struct instant now);

/*
 * The gateway that serves a resource now: the first that is up and does not rest, else the first
 * that is up, or NULL.
 */
struct edge_gateway *edge_gateway_of(const struct resource *r);

/* Its gateway has refused an entry: that is the last word, or another one is asked (C-28). */
void edge_entry_refused(struct edge *edge, struct entry *e, struct instant now);

/* ---- edge_send.c ---- */

uint32_t edge_next_generation(struct edge *edge);

/* Send a Pending entry's AssignedIps, now or when its turn comes; nothing if it waits already. */
void edge_send(struct edge *edge, struct entry *e, enum send_queue which, struct instant now);

/* Whether what nobody has asked for may be sent, too. */
bool edge_send_has_spare(const struct edge_gateway *g, struct instant now);

/* A Pending entry that stands nowhere waits for an answer. */
void edge_send_await(struct entry *e);

/* Take a Pending entry off its list: it waits for neither an answer nor its turn. */
void edge_send_cancel(struct entry *e);

/* Send what has its turn, up to @max messages. */
void edge_send_run(struct edge *edge, struct instant now, unsigned int max);
struct instant edge_send_deadline(const struct edge *edge);

/* See that up to @max entries have not been answered in time. Room is reserved. */
void edge_late_run(struct edge *edge, struct instant now, unsigned int max);
struct instant edge_late_deadline(const struct edge *edge);

/* ---- edge_verdict.c ---- */

/* Queue verdicts that have changed, then release or refuse what is held. Room is reserved. */
void edge_domain_settle(struct edge *edge, struct domain *d);

/* ---- edge_gateway.c ---- */

struct edge_gateway *edge_gateway_find(const struct edge *edge, uint32_t id);

/* The same, made if it is new. NULL: no memory. */
struct edge_gateway *edge_gateway_get(struct edge *edge, uint32_t id);

/* Whether the entry's gateway has gone since it was bound to it. */
bool edge_entry_is_void(const struct entry *e);

/*
 * Let an entry follow what has become of its gateway, before anything is done with it. One action
 * at most; the caller settles the domain. Return: whether it has changed.
 */
bool edge_entry_catch_up(struct edge *edge, struct entry *e, struct instant now);

/* Let up to @max entries catch up that nobody has asked for. */
void edge_walk_run(struct edge *edge, struct instant now, unsigned int max);
bool edge_walk_is_on(const struct edge *edge);

/* A gateway has confirmed something, or has refused what another one may confirm. */
void edge_gateway_prove(struct edge_gateway *g);
void edge_gateway_rest(struct edge_gateway *g, struct instant now);

/* Rests that are over end. */
void edge_rest_run(struct edge *edge, struct instant now);
struct instant edge_rest_deadline(const struct edge *edge);

#define EDGE_WALK_BATCH 128                  /* entries that one input looks at */
#define WALK_ACTIONS    (1 + SETTLE_ACTIONS) /* of each of them */
