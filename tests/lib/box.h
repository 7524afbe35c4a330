/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several edges and gateways in virtual time: the real cores, and around them in a few lines each
 * what the daemon, the packet path, the store and a resolver do. Control messages are encoded,
 * sent over paths that lose, repeat and reorder them, and decoded.
 *
 * Every input of an edge goes to its reference (edge_model.h), too, and is compared at once; what
 * gateways do is held against what their resolvers have answered. A failed comparison ends the
 * process and prints the command that replays the run.
 *
 *	box.c			the world: making it, and what happens
 *	box_end.c		the mild end, in which all must come right
 *	box_edge.c		an edge: its inputs
 *	box_edge_apply.c	what it does
 *	box_edge_compare.c	what it should have done
 *	box_gateway.c		a gateway: messages, maps, policy
 *	box_gateway_lookup.c	its resolver
 *	box_gateway_status.c	what it may say
 *	box_path.c		packets, from the application to the host and back
 */
#pragma once

#include "../lib/edge_model.h"
#include "../lib/sim.h"

#include "core/control.h"
#include "core/edge.h"
#include "core/gateway.h"
#include "core/peer.h"

#define BOX_EDGES       4
#define BOX_GATEWAYS    MODEL_GATEWAYS
#define BOX_NAMES       MODEL_NAMES
#define BOX_PACKETS     4096
#define BOX_FLOWS       1024
#define BOX_ROWS        256 /* of a map */
#define BOX_VERDICTS    64
#define BOX_DOMAIN_BASE 1000 /* ids of domains at gateways */
#define BOX_HOSTS       4    /* addresses that a name may have, each family */

#define BOX_HELD_MAX_NS  EDGE_HELD_MAX_NS
#define BOX_DELAY_MAX_NS (2 * NSEC_PER_SEC) /* no message is longer under way */

/* What a name resolves to at a gateway's site at a time. */
struct box_zone {
	enum gateway_outcome outcome[GATEWAY_FAMILIES];
	unsigned int hosts[GATEWAY_FAMILIES]; /* bit i: host i */
	int64_t delay_ns;
};

/* A packet that an application sends; a retransmitted SYN is the same one again. */
struct box_packet {
	unsigned int edge, name, flow, family;
	struct fq_addr proxy;
	bool is_syn;
	unsigned int sent;     /* transmissions */
	unsigned int observed; /* at a host */
	unsigned int replied;  /* back at the application */
	unsigned int refused;  /* by an ICMP error */
	unsigned int dropped;  /* with a reason, or lost with a path */
	int64_t held_ns;       /* since when it is held */
};

/* A flow's session, at the edge or at a gateway. */
struct box_session {
	bool used;
	unsigned int gateway; /* at an edge */
	struct fq_addr real;  /* at a gateway */
	uint32_t resource;    /* the same: by which it was permitted */
	unsigned int name;
};

struct box_verdict {
	bool used;
	struct fq_addr proxy;
	uint32_t domain;
	unsigned int name;
	enum fq_edge_verdict verdict;
	uint32_t gateway;
	struct instant touch_at;
};

/* An AssignedIps that a gateway has not answered yet. */
struct box_ask {
	uint32_t generation;
	unsigned int edge, name, resource;
	bool is_optional; /* the edge said Goodbye meanwhile */
	struct fq_addr proxies[CONTROL_PROXIES_MAX];
	unsigned int proxy_count;
};

struct box;

struct box_edge {
	struct box *box;
	unsigned int id; /* from 1: its scope at every gateway */
	unsigned int incarnation;
	struct edge *edge; /* NULL: it is down */
	struct edge_model model;
	struct peer peer[BOX_GATEWAYS + 1];
	bool path_up[BOX_GATEWAYS + 1]; /* as the packet path knows it */
	struct instant timer;           /* an event is under way for it */
	unsigned int config;            /* in force */

	/* The input that is being compared. */
	int asked_name; /* a query for it; -1 */
	bool at_once;
	bool was_failed[BOX_NAMES][MODEL_RESOURCES];
	struct {
		bool sent;
		unsigned int gateway;
		int64_t at_ns;
	} last_ask[BOX_NAMES][MODEL_RESOURCES];

	/* The packet path. */
	struct box_verdict verdict[BOX_VERDICTS];
	struct box_session session[BOX_FLOWS];
	struct instant upcall_at; /* the ring is first in, first out */
	unsigned int held[BOX_NAMES][HELD_PACKETS_MAX];
	unsigned int held_count[BOX_NAMES];

	/* The store. */
	struct {
		bool used;
		struct edge_domain_record record;
	} domain[BOX_NAMES];
	struct {
		bool used;
		struct edge_entry_record record;
	} entry[BOX_NAMES][MODEL_RESOURCES];
	struct edge_marks marks;

	/* What the applications know. */
	struct {
		bool known;
		struct edge_answer answer;
		struct instant at;
	} answer[BOX_NAMES];
};

struct box_gateway {
	struct box *box;
	unsigned int id; /* from 1 */
	unsigned int incarnation;
	struct gateway *gw; /* NULL: it is down */
	struct instant timer;
	unsigned int config;

	struct box_zone zone[BOX_NAMES];
	unsigned int ever[BOX_NAMES][GATEWAY_FAMILIES];   /* hosts it was ever told of */
	unsigned int latest[BOX_NAMES][GATEWAY_FAMILIES]; /* by the latest resolution, if kept */
	bool excused[BOX_EDGES + 1][BOX_NAMES]; /* translations were taken away by other than it */
	struct {
		bool running;
		bool in[GATEWAY_FAMILIES];
		enum gateway_outcome outcome[GATEWAY_FAMILIES];
		unsigned int hosts[GATEWAY_FAMILIES];
	} lookup[BOX_NAMES];

	uint32_t newest[BOX_EDGES + 1][BOX_NAMES]; /* generation of an AssignedIps, by name */
	struct box_ask ask[BOX_ROWS];
	unsigned int asks;

	/* The maps and the store. */
	struct {
		bool used;
		struct fq_xlat_key key;
		struct fq_xlat value;
	} xlat[BOX_ROWS];
	struct {
		bool used;
		struct fq_prefix key;
		struct fq_client value;
	} client[BOX_ROWS];
	struct {
		bool used;
		struct fq_grant_key key;
		struct fq_grant value;
	} grant[BOX_ROWS];
	struct {
		struct fq_addr addr[GATEWAY_FAMILIES][GATEWAY_ADDRESSES_MAX];
		unsigned int count[GATEWAY_FAMILIES];
	} records[BOX_NAMES];
	struct box_session session[BOX_EDGES + 1][BOX_FLOWS];
};

/* A configuration, as it is given to all boxes, to each in its time. */
struct box_config {
	struct model_resource resource[MODEL_RESOURCES];
	const char *pattern[MODEL_RESOURCES];
};

struct box_totals {
	unsigned long queries, packets, held, released, statuses, stale, asks, restarts, failovers;
	struct sim_counts control;
};

struct box {
	uint64_t seed;
	struct sim sim;
	unsigned int edges, gateways;
	struct box_edge *edge[BOX_EDGES + 1];
	struct box_gateway *gateway[BOX_GATEWAYS + 1];
	struct sim_path path[BOX_EDGES + 1][BOX_GATEWAYS + 1];
	struct box_config config[16];
	unsigned int config_count;
	struct {
		bool given;
		struct instant expires;
	} grant[BOX_EDGES + 1][MODEL_RESOURCES];
	struct box_packet packet[BOX_PACKETS]; /* from 1 */
	unsigned int packets, flows;
	bool limited; /* gateways have tight limits */
	bool reuses;  /* edges give addresses another name */
	bool verbose; /* tell what happens, to stderr */
	bool mild;    /* the end: nothing is lost any more */
	struct box_totals *totals;
};

/* ---- box.c ---- */

/* One run: random faults, then a mild end in which all must come right. */
void box_run(uint64_t seed, bool verbose, struct box_totals *totals);

/* Let time pass. */
void box_pass(struct box *box, int64_t ns);
void box_make_zone(struct box *box, struct box_zone *z, bool mild);
void box_end(struct box *box); /* box_end.c */

/* Does not return. */
void box_fail(const struct box *box, const char *what) __attribute__((noreturn));
void box_say(const struct box *box, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define BOX_MUST(box, condition)                   \
	do {                                       \
		if (!(condition))                  \
			box_fail(box, #condition); \
	} while (0)

extern const char *const box_names[BOX_NAMES];
int box_name_index(const char *text);
void box_uuid(unsigned int resource, char ret_uuid[UUID_STRLEN]);
int box_resource_index(const char *uuid);

/* Host @i of a name at a gateway's site: no two names or sites share one. */
struct fq_addr box_host(unsigned int gateway, unsigned int name, unsigned int family,
			unsigned int i);

/* Where the applications of an edge are. */
struct fq_addr box_client(unsigned int edge);

/* How long a packet is under way between the two. */
int64_t box_delay(struct box *box, unsigned int edge, unsigned int gateway);

/* Encode a message and send it over the path between the two. */
void box_post(struct box *box, unsigned int edge, unsigned int gateway, bool to_gateway,
	      const struct control_message *msg);

/* ---- box_edge.c ---- */

void box_edge_start(struct box_edge *e);
void box_edge_stop(struct box_edge *e);
void box_edge_erase(struct box_edge *e); /* its store and maps are lost, too */
void box_edge_configure(struct box_edge *e, unsigned int config);
void box_edge_query(struct box_edge *e, unsigned int name, bool local);
void box_edge_refresh(struct box_edge *e, unsigned int name);
void box_edge_forget(struct box_edge *e, unsigned int name);
void box_edge_hold(struct box_edge *e, unsigned int packet);
void box_edge_touch(struct box_edge *e, uint32_t domain, unsigned int name);
void box_edge_goodbye(struct box_edge *e);
sim_fn box_edge_receive; /* @ctx: the edge, @arg: gateway */

/* ---- box_gateway.c ---- */

void box_gateway_start(struct box_gateway *g);
void box_gateway_stop(struct box_gateway *g, bool goodbye);
void box_gateway_configure(struct box_gateway *g, unsigned int config);
void box_gateway_grant(struct box_gateway *g, unsigned int edge, unsigned int resource);
bool box_gateway_publishes(const struct box_gateway *g, unsigned int name, unsigned int resource);
bool box_gateway_granted(const struct box_gateway *g, unsigned int edge, unsigned int resource);
sim_fn box_gateway_receive; /* @ctx: the gateway, @arg: edge */

/* Apply all actions. */
void box_gateway_drain(struct box_gateway *g);

/* ---- box_gateway_lookup.c ---- */

/* Begin a lookup. */
void box_gateway_resolve(struct box_gateway *g, const struct gateway_action *a);

/* ---- box_gateway_status.c ---- */

/* Check a status and send it. */
void box_gateway_status(struct box_gateway *g, const struct gateway_action *a);
void box_gateway_drop_asks(struct box_gateway *g, unsigned int edge);
void box_gateway_check_moved(const struct box_gateway *g, const struct box_ask *ask);

/* ---- box_edge_compare.c, box_edge_apply.c ---- */

/* An input: begin, the reference's function and the core's, finish. */
struct box_input {
	struct box_edge *e;
	bool is_tick;
	unsigned int offered; /* packet that is to be held; 0: none, or taken care of */
	struct {
		struct model_send send;
		uint32_t generation;
	} sent[64];
	unsigned int sent_count;
};

struct box_input box_edge_begin(struct box_edge *e);

/* Apply all actions, then compare what was sent and all states with the reference. */
void box_edge_finish(struct box_input *in);
void box_edge_apply(struct box_input *in, struct edge_action *a);

/* The row of an address in the map; one that is not used yet if there is none. */
struct box_verdict *box_edge_verdict(struct box_edge *e, const struct fq_addr *proxy);

/* The oldest packet that is held. */
unsigned int box_edge_take_held(struct box_edge *e, unsigned int name);
void box_edge_arm(struct box_edge *e); /* box_edge.c */

/* ---- box_path.c ---- */

/* A packet of a new flow. Return: which one; 0: the application knows no address for it. */
unsigned int box_send(struct box_edge *e, unsigned int name, unsigned int family, bool is_syn);

/* The next packet of a flow, or its SYN again. */
void box_follow(struct box_edge *e, unsigned int packet);

void box_transmit(struct box_edge *e, unsigned int packet);

/* A frame is received, or comes back from the daemon. */
void box_path_packet(struct box_edge *e, unsigned int packet);
