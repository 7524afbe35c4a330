/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge: which domains have proxy addresses, what each gateway has said about each, and
 * which packets wait for an answer. One state machine for every (gateway, domain, resource),
 * called an entry (C-01 to C-28, P-01 to P-11).
 *
 * Inputs come in as function calls with the time, effects go out as a queue of actions
 * (edge_next) and a deadline (edge_deadline). It never reads a clock, sends, sleeps or logs.
 * No input costs more than a constant number of domains, but for edge_set_resources and
 * edge_restored (all domains) and edge_gateway_up, _lost and _gone (those that hold packets). What
 * these three mean for all other domains of a gateway is done in slices by edge_tick, and for a
 * domain that is wanted meanwhile before anything else; until then views show its entries as they
 * were. Nobody is asked for a domain that nobody waits for: a gateway that goes or comes makes no
 * storm.
 *
 * An input that returns an error has changed nothing, unless it says otherwise.
 * Called by the daemon and by core/stub.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "core/dname.h"
#include "core/held.h"
#include "core/pool.h"
#include "core/uuid.h"

#define EDGE_RESOURCE_GATEWAYS 8
#define EDGE_DOMAIN_RESOURCES  FQ_XLAT_RESOURCES /* that may share a domain, most specific first */

#define EDGE_RESEND_NS    (2 * NSEC_PER_SEC)    /* C-07, C-08, C-24 */
#define EDGE_SAME_ASK_NS  (100 * NSEC_PER_MSEC) /* A and AAAA are asked in parallel */
#define EDGE_HELD_MAX_NS  (30 * NSEC_PER_SEC)   /* default of held_max_ns */
#define EDGE_UNUSED_NS    (60 * NSEC_PER_SEC)   /* see edge_settings.in_use */
#define EDGE_REST_NS      (30 * NSEC_PER_SEC)   /* C-28: of a gateway that refuses, at first */
#define EDGE_REST_MAX_NS  (960 * NSEC_PER_SEC)  /* and at most */
#define EDGE_RESEND_BATCH 16                    /* other domains looked after per query */

enum ip_stack {
	IP_STACK_DUAL,
	IP_STACK_IPV4,
	IP_STACK_IPV6,
};

enum edge_state {
	EDGE_NONE,       /* no entry */
	EDGE_PENDING,    /* AssignedIps sent, or about to be, and no answer yet */
	EDGE_RECREATING, /* to be asked again: in 2 s, or when the gateway can be reached */
	EDGE_CONFIRMED,
	EDGE_FAILED, /* left alone until its name is asked for again */
};

/* A resource as the edge sees it. Strings are copied. */
struct edge_resource {
	uint32_t id;
	char uuid[UUID_STRLEN]; /* lower case */
	const char *name;
	const char *pattern;
	enum ip_stack ip_stack;
	uint32_t gateways[EDGE_RESOURCE_GATEWAYS]; /* by preference, see below */
	unsigned int gateway_count;
};

struct edge_settings {
	struct pool_settings pool;
	uint32_t domains_max;
	size_t held_bytes_max;           /* of all held packets */
	int64_t held_max_ns;             /* a packet is held at least this long, 2 s more at most */
	uint32_t generation;             /* the first one sent is greater; restored ones raise it */
	uint8_t hash_key[DNAME_KEY_LEN]; /* random */

	/*
	 * Whether sessions of the domain exist. Domains that nobody has asked for in the pool's
	 * quarantine time, that hold nothing and are not in use give way when less than a
	 * sixteenth is left of the pool or of domains_max. A domain that no packet was ever let
	 * through for has no session: it gives way, before any other, when nobody has asked for
	 * it in EDGE_UNUSED_NS, and its addresses rest for POOL_REST_SHORT_NS only, so that
	 * asking for names that do not exist cannot lock the pool for the quarantine time. A
	 * restored domain counts as one that packets passed for. NULL: no domain ever gives way.
	 */
	bool (*in_use)(void *ctx, uint32_t domain);
	void *ctx;
};

struct edge;

/* Return: 0; -EINVAL (as pool_new, domains_max 0); -ENOMEM. */
int edge_new(const struct edge_settings *settings, struct edge **ret_edge);
struct edge *edge_free(struct edge *edge);
DEFINE_CLEANUP(struct edge *, edge_free)

/* ---- inputs: configuration and gateways ---- */

/*
 * Replace the set of resources (C-19, D-08, P-09).
 *
 * Domains keep their addresses. Entries go away if their resource does, no longer matches
 * the domain, is no longer served by their gateway, or gets another IP stack: the gateway knows
 * only the addresses of the families that it was told of (P-06), and is told anew with the next
 * query or held packet. So do entries of a lost gateway that another one now serves. A resource
 * whose pattern is invalid is left out and reported by
 * EDGE_RESOURCE_IGNORED (M-03).
 *
 * Return: 0; -EEXIST: two have one id or uuid; -EINVAL: too many gateways or a bad uuid; -ENOMEM.
 */
int edge_set_resources(struct edge *edge, const struct edge_resource *resources, size_t count,
		       struct instant now);

/*
 * A resource's gateways stand in order of preference, and the first that is up is asked. What
 * becomes of the entries of one that is not up depends on whether another one can take over:
 *
 *	          another one is up          none is
 *	lost      entries vanish             Confirmed go on, Pending wait (C-20)
 *	gone      entries vanish (C-18)      entries vanish (C-18)
 *
 * Vanished ones are asked for elsewhere with their next query or packet, at once if packets are
 * held. Failed ones stay when their gateway is lost: only a query asks for them again (C-09).
 * When a preferred gateway comes back, an entry moves to it with the next query for its domain,
 * and new flows wait until it has answered.
 *
 * A gateway that has confirmed nothing since it came, or went, may have no grant for us: it says
 * Goodbye, and is there again, but refuses whatever it is asked (C-28). So its refusal is not the
 * last word as long as another one is up: that one is asked at once, packets wait on, and the one
 * that refused rests: others come before it, for EDGE_REST_NS at first, twice as long each time it
 * refuses again, until it confirms something.
 */

/*
 * A gateway can be reached from now on. Domains that hold packets and wait for it are asked for
 * at once, others with their next query or packet (C-21): packets of those that flow are told
 * of by the verdict's touch_at. Entries of lost gateways that it can serve vanish.
 *
 * Return: 0; -ENOMEM.
 */
int edge_gateway_up(struct edge *edge, uint32_t gateway, struct instant now);

/* Contact to a gateway is lost; nothing is sent there until edge_gateway_up. Return: 0; -ENOMEM. */
int edge_gateway_lost(struct edge *edge, uint32_t gateway, struct instant now);

/* A gateway is gone or said Goodbye. Return: 0; -ENOMEM. */
int edge_gateway_gone(struct edge *edge, uint32_t gateway, struct instant now);

/*
 * A gateway is sent at most @burst AssignedIps at once and @per_second on the average; 0, as at
 * first: any number. What is more waits for its turn, Pending: first questions before repetitions,
 * the oldest first; edge_tick sends it. What others are looked after for (C-25) takes the upper
 * half of @burst only. Return: 0; -ENOMEM.
 */
int edge_gateway_rate(struct edge *edge, uint32_t gateway, unsigned int per_second,
		      unsigned int burst);

/* ---- inputs: names ---- */

struct edge_answer {
	bool matched; /* a resource publishes the name; the rest is valid only then */
	uint32_t domain;
	bool ipv4, ipv6;        /* families that any matching resource has (P-05, P-06) */
	struct proxies proxies; /* all of them, whatever the families */
};

/*
 * An A or AAAA query for @name: assign addresses if it is new (P-02), ask its gateways
 * (C-01, C-10 to C-13), look after up to EDGE_RESEND_BATCH other pending domains.
 *
 * A Confirmed or Failed entry is recreated: a Failed one asks its gateway at once, packets
 * are held; a Confirmed one asks at once, or 2 s later if it asked less than 2 s ago
 * (EDGE_RECREATING until then), packets flow. A query within EDGE_SAME_ASK_NS of the last
 * AssignedIps is part of the same asking (the AAAA to an A) and changes nothing.
 *
 * Return: 0; -ENOSPC: the name matches, but there is no address or room left; -ENOMEM. With
 * either, idle domains may have given way.
 */
int edge_query(struct edge *edge, const struct dname *name, struct instant now,
	       struct edge_answer *ret_answer);

/* The same for another local answer (PTR, HTTPS): never makes a domain (D-03). Return: 0; -ENOMEM.
 */
int edge_requery(struct edge *edge, const struct dname *name, struct instant now);

/* Whether a resource publishes @name; asks and changes nothing. */
bool edge_matches(const struct edge *edge, const struct dname *name);

/* Whether @name has addresses already. */
bool edge_knows(const struct edge *edge, const struct dname *name);

struct edge_site {
	uint32_t resource;
	uint32_t gateway; /* the one that serves, else the first */
	bool up;
};

/* The most specific resource that publishes @name, ties by greatest uuid. Return: whether one does.
 */
bool edge_site(const struct edge *edge, const struct dname *name, struct edge_site *ret_site);

/* For an operator: as a query, at once. Return: 0; -ENOENT: no such domain; -ENOMEM. */
int edge_refresh(struct edge *edge, const struct dname *name, struct instant now);

/* For an operator: give the domain up; its addresses are quarantined. Return: 0; -ENOENT; -ENOMEM.
 */
int edge_forget(struct edge *edge, const struct dname *name, struct instant now);

/* ---- inputs: packets ---- */

/*
 * A packet that the packet path wants held: hold it, or, if the verdict of its family is another
 * one by now, release it at once so that the packet path forwards or refuses it (C-23).
 * AssignedIps is repeated if it is 2 s old (C-08), and every 2 s by edge_tick as long as packets
 * are held: whoever sent them waits, and may have nothing more to say.
 *
 * @proxy: destination of the packet
 *
 * Return: 0; -ENOENT: no domain has @proxy; -ENOMEM, AssignedIps may have been repeated. The
 * packet is not kept then.
 */
int edge_packet(struct edge *edge, const struct fq_addr *proxy, const struct held_offer *frame,
		struct instant now);

/* A new flow of the domain passed at or after touch_at of its verdict. Return: 0; -ENOENT; -ENOMEM.
 */
int edge_touch(struct edge *edge, uint32_t domain, struct instant now);

/* ---- inputs: control messages ---- */

struct edge_status {
	uint32_t gateway;
	uint32_t generation; /* 0: none, always taken */
	const char *uuid;    /* of the resource, in any case */
	const struct dname *domain;
	bool active;
};

enum edge_status_outcome {
	EDGE_STATUS_APPLIED,
	EDGE_STATUS_UNKNOWN, /* there is no such entry (C-15) */
	EDGE_STATUS_STALE, /* of an earlier request, or older than a status already taken (C-17) */
};

/* Of a gateway that has been told to be up again, if it was not. Return: 0; -ENOMEM. */
int edge_status(struct edge *edge, const struct edge_status *status, struct instant now,
		enum edge_status_outcome *ret_outcome);

/* ---- inputs: time ---- */

/*
 * When edge_tick has something to do, in the past if there is more than one call of it may do;
 * INSTANT_NEVER: nothing. Changes with every input.
 */
struct instant edge_deadline(const struct edge *edge);

/*
 * Do what is due: ask again for Recreating domains, send what has waited for its turn, drop what
 * was held too long, let domains know of their gateways. Return: 0; -ENOMEM.
 */
int edge_tick(struct edge *edge, struct instant now);

/* ---- inputs: restart ---- */

struct edge_domain_record {
	uint32_t id;
	struct dname name;
	struct proxies proxies;
};

/*
 * How far ids and addresses have been given out, to be stored whenever a domain was made: what
 * the domains that are left do not tell when the last ones were given up (P-10).
 */
struct edge_marks {
	uint32_t next_domain;    /* the id of the next new domain */
	uint32_t fresh4, fresh6; /* offsets in the pools: never given out from there on */
};

void edge_marks(const struct edge *edge, struct edge_marks *ret_marks);

/*
 * Go on from @marks: new ids are not below next_domain, new addresses not below the offsets;
 * addresses below that no restored domain owns rest for the whole quarantine from @now. Marks never
 * go back; an offset behind the end of its pool means the end. To be called before edge_restored,
 * before or after the domains.
 *
 * Return: 0; -EINVAL: next_domain cannot be an id; nothing has changed.
 */
int edge_restore_marks(struct edge *edge, const struct edge_marks *marks, struct instant now);

/*
 * Give a domain back its id and addresses (P-08); new ids are greater than every restored one.
 *
 * Return: 0; -EEXIST: the name, id or an address is taken; -ERANGE: an address is not in the
 * pools; -EINVAL: not PROXIES_V4 IPv4 and then PROXIES_V6 IPv6 addresses, or id 0; -ENOSPC:
 * domains_max; -ENOMEM.
 */
int edge_restore_domain(struct edge *edge, const struct edge_domain_record *record,
			struct instant now);

struct edge_entry_record {
	uint32_t gateway;
	uint32_t domain;
	uint32_t resource;
	enum edge_state
		state; /* Confirmed, Recreating: Confirmed; else Failed: nothing is retried */
	uint32_t generation;
	unsigned int families; /* IP_FAMILY_*, of the addresses that the gateway was told; 0: not
				  known, from an earlier release */
};

/*
 * Give an entry back, after the resources and its domain; its gateway need not be up.
 *
 * Return: 0; -ENOENT: no such domain or resource, they no longer belong together, or the resource
 * has other families now: forget the record; -EEXIST; -ENOMEM.
 */
int edge_restore_entry(struct edge *edge, const struct edge_entry_record *record,
		       struct instant now);

/* Everything is restored: emit the verdict of every domain. Return: 0; -ENOMEM. */
int edge_restored(struct edge *edge);

/* ---- outputs ---- */

enum edge_action_kind {
	EDGE_SEND_ASSIGNED,    /* send AssignedIps (.send) */
	EDGE_SET_VERDICT,      /* of the addresses in .proxies, of one family or both (.verdict) */
	EDGE_DEL_VERDICT,      /* .proxies are nobody's */
	EDGE_RELEASE,          /* put held frames back into the packet path, in order (.frames) */
	EDGE_HELD_EVENT,       /* count (.held) */
	EDGE_STATE_CHANGED,    /* (.state) for log, monitor and store */
	EDGE_DOMAIN_SET,       /* new domain, or its resources changed (P-07, P-09): store it
				  (.domain_set) */
	EDGE_DOMAIN_GONE,      /* delete it, and its entries, from the store */
	EDGE_RESOURCE_IGNORED, /* its pattern is invalid (.resource_ignored) */
	EDGE_GATEWAY_WANTED,   /* a query or packet waits for it, and it is not up (.wanted):
				  peer_wanted */
};

/* How much of a state the store does not have, when all earlier ones have been stored. */
enum edge_news {
	EDGE_NEWS_NONE,
	EDGE_NEWS_GENERATION, /* and what is lost with it is asked for again */
	EDGE_NEWS_STATE,
};

enum edge_held_event {
	EDGE_HELD_FULL,      /* oldest overwritten: FQ_R_HELD_FULL */
	EDGE_HELD_DUPLICATE, /* was held already, or replaced a SYN: FQ_R_HELD_DUPLICATE */
	EDGE_HELD_DROPPED,   /* domain failed, was removed, or nobody answered: FQ_R_HELD_DROPPED */
	EDGE_HELD_LIMIT,     /* not held, memory limit: FQ_R_HELD_LIMIT */
};

struct edge_action {
	enum edge_action_kind kind;
	uint32_t domain;          /* 0 for EDGE_RESOURCE_IGNORED and EDGE_GATEWAY_WANTED */
	const struct dname *name; /* valid until the next call of edge_next; NULL as above */
	struct proxies proxies;   /* SEND: of the resource's families only (P-06); SET_VERDICT: of
				     those that it is about; else all */
	union {
		struct {
			uint32_t gateway;
			uint32_t generation; /* never 0 */
			uint32_t resource;
			char uuid[UUID_STRLEN];
			unsigned int resends; /* of this request so far; 0: first */
		} send;
		struct {
			enum fq_edge_verdict verdict;
			uint32_t gateway;        /* of FORWARD and HOLD; else 0 */
			struct instant touch_at; /* tell of new flows from then on; INSTANT_NEVER */
		} verdict;
		struct {
			struct held_frame *first; /* list, the receiver's: held_frames_free */
			unsigned int count;
		} frames;
		struct {
			enum edge_held_event event;
			unsigned int count;
			/* DROPPED because the domain failed: the frames, the receiver's, so that
			 * the packet path can refuse them by ICMP; else NULL. */
			struct held_frame *refused;
		} held;
		struct {
			uint32_t gateway;
			uint32_t resource;
			uint32_t generation;
			enum edge_state from, to; /* EDGE_NONE: there was or is no entry */
			enum edge_state
				stored; /* what edge_restore_entry shall be given; NONE: delete */
			unsigned int families; /* the same */
			enum edge_news news;
		} state;
		struct {
			bool is_new;
			unsigned int count;
			uint32_t resources[EDGE_DOMAIN_RESOURCES]; /* most specific first */
		} domain_set;
		struct {
			uint32_t resource;
		} resource_ignored;
		struct {
			uint32_t gateway;
		} wanted;
	};
};

/*
 * Take the next action; they are to be applied in this order.
 *
 * Frames of EDGE_RELEASE, and refused ones of EDGE_HELD_EVENT, belong to the caller.
 *
 * Return: whether there was one; false: nothing left to do.
 */
bool edge_next(struct edge *edge, struct edge_action *ret_action);

/* ---- views ---- */

struct edge_entry_view {
	uint32_t gateway;
	uint32_t resource;
	enum edge_state state;
	bool buffering;         /* Pending and Recreating: packets are held */
	struct instant since;   /* of this state */
	struct instant sent_at; /* of the last AssignedIps; meaningful if generation is not 0 */
	unsigned int resends;   /* of this request */
	uint32_t generation;    /* of the last AssignedIps */
	struct instant due_at;  /* of the next, which is decided; INSTANT_NEVER: none is */
};

/* It points into itself: not to be copied. */
struct edge_domain_view {
	uint32_t id;
	const struct dname *name;
	const struct proxies *proxies;
	bool ipv4, ipv6;                           /* families of its resources */
	enum fq_edge_verdict verdict[IP_FAMILIES]; /* of IPv4, of IPv6 */
	unsigned int held;                         /* packets */
	struct instant queried;                    /* last DNS query */
	unsigned int resource_count;
	uint32_t resources[EDGE_DOMAIN_RESOURCES]; /* that match, most specific first */
	unsigned int entry_count;
	struct edge_entry_view entries[EDGE_DOMAIN_RESOURCES];
	struct dname name_space;
	struct proxies proxies_space;
};

/* Call @cb for every domain, in order of creation, until it returns false. It must not call inputs.
 */
void edge_foreach_domain(const struct edge *edge,
			 bool (*cb)(const struct edge_domain_view *domain, void *ctx), void *ctx);

/* Find a domain. Return: whether there is one. */
bool edge_find_name(const struct edge *edge, const struct dname *name,
		    struct edge_domain_view *ret_domain);
bool edge_find_proxy(const struct edge *edge, const struct fq_addr *proxy,
		     struct edge_domain_view *ret_domain);
bool edge_find_id(const struct edge *edge, uint32_t domain, struct edge_domain_view *ret_domain);

/* What a gateway serves, by the state of its entries. */
struct edge_gateway_view {
	bool up;
	uint32_t pending, recreating, confirmed, failed;
};

/* Return: whether the gateway is known: a resource names it, or it was up. */
bool edge_gateway_view(const struct edge *edge, uint32_t gateway,
		       struct edge_gateway_view *ret_view);

struct edge_usage {
	uint32_t domains, domains_max;
	uint32_t entries;
	uint32_t pending; /* entries that are Pending or Recreating */
	size_t held_packets, held_bytes, held_bytes_max;
	size_t actions; /* queued */
	struct pool_usage v4, v6;
};

void edge_usage(const struct edge *edge, struct edge_usage *ret_usage);

/* "pending", "recreating", "confirmed", "failed", "none": the words of the JSON contract. */
const char *edge_state_name(enum edge_state state);
