/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an edge shall do, said once more and as simply as possible: the reference for random runs.
 *
 * Written from the table of states in docs/behaviours.md and the rules for several gateways, with
 * arrays that are walked from end to end; it shares nothing with user/core but this header's
 * plain numbers. It is given the inputs and messages that the real edge was given, and then knows
 * which AssignedIps must have been sent, no more and no fewer, and the state of every entry.
 *
 * Names, resources and gateways are small numbers; resources from 0, gateways from 1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MODEL_NAMES     6
#define MODEL_RESOURCES 4
#define MODEL_GATEWAYS  3

enum model_state {
	MODEL_NONE,
	MODEL_PENDING,
	MODEL_RECREATING,
	MODEL_CONFIRMED,
	MODEL_FAILED,
};

enum model_verdict {
	MODEL_FORWARD,
	MODEL_HOLD,
	MODEL_REFUSE,
};

enum model_outcome {
	MODEL_APPLIED,
	MODEL_UNKNOWN,
	MODEL_STALE,
};

/* What is configured of a resource. */
struct model_resource {
	bool present;
	unsigned int names; /* bit n: it publishes name n */
	unsigned int rank;  /* of its pattern: lower is more specific; no two are alike */
	unsigned int stack; /* 0: both families, 1: IPv4, 2: IPv6 */
	unsigned int gateways[MODEL_GATEWAYS]; /* in their order; 0 ends */
};

struct model_entry {
	enum model_state state;
	unsigned int gateway; /* 0: none */
	bool hold;            /* packets wait while it is Pending or Recreating */
	bool asked;           /* by this process, or before it started */
	int64_t asked_ns;
	int64_t ask_at_ns; /* of Recreating: when it will be; 0: when the gateway is there */
	uint32_t first;    /* generations of the running request */
	uint32_t last;
	uint32_t taken;  /* of the last status taken; 0: none */
	uint32_t stored; /* when the state changed last */
};

/* An AssignedIps that must have been sent. */
struct model_send {
	unsigned int name, resource, gateway;
	bool is_new; /* of a new request, not a repetition */
};

struct edge_model {
	struct model_resource resource[MODEL_RESOURCES];
	bool known[MODEL_NAMES]; /* has addresses */
	struct model_entry entry[MODEL_NAMES][MODEL_RESOURCES];
	bool up[MODEL_GATEWAYS + 1];
	bool lost[MODEL_GATEWAYS + 1];   /* known not to be up; one that is waited for is neither */
	bool met[MODEL_GATEWAYS + 1];    /* since the start it was up, or a resource named it */
	bool proven[MODEL_GATEWAYS + 1]; /* it has confirmed something since it came or went */
	int64_t rest_until_ns[MODEL_GATEWAYS + 1]; /* others come first; 0: it does not rest */
	int64_t rest_ns[MODEL_GATEWAYS + 1];       /* of the last rest */
	bool holds[MODEL_NAMES]; /* packets are held: told by the caller before each input */
	struct model_send sends[64];
	unsigned int send_count;
};

void model_init(struct edge_model *m);

/* Inputs; each adds to the sends. */
void model_set_resources(struct edge_model *m, const struct model_resource list[MODEL_RESOURCES]);
void model_up(struct edge_model *m, unsigned int gateway, int64_t now_ns);
void model_lost(struct edge_model *m, unsigned int gateway, int64_t now_ns);
void model_gone(struct edge_model *m, unsigned int gateway, int64_t now_ns);

/* @local: not A or AAAA: never makes a domain; @at_once: an operator's wish */
void model_query(struct edge_model *m, unsigned int name, bool local, bool at_once, int64_t now_ns);
void model_forget(struct edge_model *m, unsigned int name);

/* A packet to be held, or a new flow that passed and was told of. */
void model_packet(struct edge_model *m, unsigned int name, int64_t now_ns);
enum model_outcome model_status(struct edge_model *m, unsigned int name, unsigned int resource,
				unsigned int gateway, uint32_t generation, bool active,
				int64_t now_ns);
void model_tick(struct edge_model *m, int64_t now_ns);

/* The process ended and starts again from what it had stored. */
void model_restart(struct edge_model *m, const struct model_resource list[MODEL_RESOURCES],
		   int64_t now_ns);

/*
 * The real edge has sent this. Return: whether it had to. Its generation must be newer than the
 * entry's last one, which the caller sees to.
 */
bool model_sent(struct edge_model *m, const struct model_send *send, uint32_t generation);

/*
 * The same for what a tick may send, in its own time, because packets are held: they are a reason
 * to ask again as good as a new one.
 */
bool model_watched(struct edge_model *m, const struct model_send *send, uint32_t generation,
		   int64_t now_ns);

/* Whether a question that held packets wait for has been forgotten. */
bool model_is_overdue(const struct edge_model *m, unsigned int name, int64_t now_ns);

/* Whether resource @r publishes @name now. */
bool model_publishes(const struct edge_model *m, unsigned int name, unsigned int r);

/*
 * What packets of the name meet, and with MODEL_FORWARD which gateway.
 *
 * @family: 0: IPv4, 1: IPv6; only resources that have it count
 */
enum model_verdict model_verdict(const struct edge_model *m, unsigned int name, unsigned int family,
				 unsigned int *ret_gateway);
