/* SPDX-License-Identifier: BSD-2-Clause */
/* The world of edges and gateways: how it is made, and what happens at random. See box.h. */
#include "box.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const box_names[BOX_NAMES] = {"a.x", "b.x", "c.x", "a.y", "b.y", "a.z"};

/* What a pattern publishes and how specific it is, written down by hand. */
static const struct {
	const char *text;
	unsigned int names, rank;
} patterns[MODEL_RESOURCES][3] = {
	{{"*.x", 0x07, 3}, {"?.x", 0x07, 2}, {"**.x", 0x07, 4}},
	{{"b.x", 0x02, 1}, {"b.x", 0x02, 1}, {"c.x", 0x04, 1}},
	{{"*.y", 0x18, 3}, {"a.y", 0x08, 1}, {"**.y", 0x18, 4}},
	{{"**", 0x3f, 9}, {"*.z", 0x20, 3}, {"a.z", 0x20, 1}},
};

/* ---- small things ---- */

void box_fail(const struct box *box, const char *what)
{
	fflush(stdout);
	fprintf(stderr,
		"not ok - seed %llu at %lld ms: %s\n"
		"# replay: SEED=%llu build/tests/scenario/test_two_box\n",
		(unsigned long long)box->seed, (long long)(box->sim.now.ns / NSEC_PER_MSEC), what,
		(unsigned long long)box->seed);
	exit(1);
}

void box_say(const struct box *box, const char *format, ...)
{
	va_list args;

	if (!box->verbose)
		return;
	fprintf(stderr, "# %10.3f ", (double)box->sim.now.ns / (double)NSEC_PER_SEC);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int box_name_index(const char *text)
{
	for (unsigned int n = 0; n < BOX_NAMES; n++)
		if (strcmp(box_names[n], text) == 0)
			return (int)n;
	return -1;
}

void box_uuid(unsigned int resource, char ret_uuid[UUID_STRLEN])
{
	snprintf(ret_uuid, UUID_STRLEN, "00000000-0000-4000-8000-%012x", resource + 1);
}

int box_resource_index(const char *uuid)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
		char text[UUID_STRLEN];

		box_uuid(r, text);
		if (strcmp(text, uuid) == 0)
			return (int)r;
	}
	return -1;
}

struct fq_addr box_host(unsigned int gateway, unsigned int name, unsigned int family,
			unsigned int i)
{
	const uint8_t v4[4] = {10, (uint8_t)gateway, (uint8_t)(name + 1), (uint8_t)(i + 1)};
	const uint8_t v6[16] = {0x20,
				1,
				0x0d,
				0xb8,
				0,
				(uint8_t)gateway,
				0,
				(uint8_t)name,
				[15] = (uint8_t)(i + 1)};

	return family == GATEWAY_A ? ipaddr_from_v4(v4) : ipaddr_from_v6(v6);
}

struct fq_addr box_client(unsigned int edge)
{
	const uint8_t v4[4] = {192, 0, 2, (uint8_t)edge};

	return ipaddr_from_v4(v4);
}

int64_t box_delay(struct box *box, unsigned int edge, unsigned int gateway)
{
	const struct sim_path *path = &box->path[edge][gateway];

	return path->delay_ns + sim_pick(&box->sim, 1000) * (path->spread_ns / 1000);
}

void box_post(struct box *box, unsigned int edge, unsigned int gateway, bool to_gateway,
	      const struct control_message *msg)
{
	uint8_t buf[CONTROL_MESSAGE_MAX];
	size_t len;

	BOX_MUST(box, control_encode(msg, buf, sizeof(buf), &len) == 0);
	sim_send(&box->sim, &box->path[edge][gateway], &box->totals->control,
		 to_gateway ? box_gateway_receive : box_edge_receive,
		 to_gateway ? (void *)box->gateway[gateway] : (void *)box->edge[edge],
		 to_gateway ? edge : gateway, buf, len);
}

static uint32_t pick(struct box *box, uint32_t n)
{
	return sim_pick(&box->sim, n);
}

static struct box_edge *any_edge(struct box *box)
{
	return box->edge[1 + pick(box, box->edges)];
}

static struct box_gateway *any_gateway(struct box *box)
{
	return box->gateway[1 + pick(box, box->gateways)];
}

void box_pass(struct box *box, int64_t ns)
{
	sim_run(&box->sim, instant_add(box->sim.now, ns));
}

/* ---- what is configured, and what names resolve to ---- */

static void make_resource(struct box *box, struct box_config *c, unsigned int r)
{
	unsigned int p = pick(box, 3), first = pick(box, box->gateways);
	unsigned int count = 1 + pick(box, box->gateways);

	c->pattern[r] = patterns[r][p].text;
	c->resource[r] = (struct model_resource){
		.present = pick(box, 8) > 0,
		.names = patterns[r][p].names,
		.rank = patterns[r][p].rank,
		.stack = pick(box, 3),
	};
	for (unsigned int i = 0; i < count; i++)
		c->resource[r].gateways[i] = 1 + (first + i) % box->gateways;
}

/* A new configuration: the last one with a resource or two changed. Return: its number. */
static unsigned int make_config(struct box *box)
{
	unsigned int number = box->config_count;
	struct box_config *c = &box->config[number];

	if (number == sizeof(box->config) / sizeof(box->config[0]))
		return number - 1;
	box->config_count++;
	if (number)
		*c = box->config[number - 1];
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (!number || pick(box, 2))
			make_resource(box, c, r);
	return number;
}

void box_make_zone(struct box *box, struct box_zone *z, bool mild)
{
	static const enum gateway_outcome outcomes[] = {
		GATEWAY_OK, GATEWAY_OK, GATEWAY_OK, GATEWAY_NODATA, GATEWAY_FAILED, GATEWAY_TIMEOUT,
	};
	bool nxdomain = pick(box, 6) == 0;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		z->outcome[f] = nxdomain ? GATEWAY_NXDOMAIN : outcomes[pick(box, mild ? 4 : 6)];
		z->hosts[f] = 1 + pick(box, (1 << BOX_HOSTS) - 1);
	}
	z->delay_ns = pick(box, mild || pick(box, 4) ? 50 : 4000) * NSEC_PER_MSEC;
}

static void make_grant(struct box *box, unsigned int edge, unsigned int r, bool given)
{
	box->grant[edge][r].given = given;
	box->grant[edge][r].expires = INSTANT_NEVER;
	if (pick(box, 4) == 0)
		box->grant[edge][r].expires =
			instant_add(box->sim.now, pick(box, 30000) * NSEC_PER_MSEC);
}

static void make_path(struct box *box, struct sim_path *path, unsigned int loss)
{
	static const int64_t spread_ms[] = {1, 30, 300, 1900};

	*path = (struct sim_path){
		.loss = loss,
		.duplicate = pick(box, 3) ? pick(box, 30) : 0,
		.delay_ns = (1 + pick(box, 50)) * NSEC_PER_MSEC,
		.spread_ns = spread_ms[pick(box, 4)] * NSEC_PER_MSEC,
	};
}

static void make_world(struct box *box)
{
	static const unsigned int losses[] = {0, 10, 30, 60, 90};
	unsigned int loss = losses[pick(box, 5)];

	box->edges = 1 + pick(box, pick(box, 2) ? BOX_EDGES : 2);
	box->gateways = 1 + pick(box, BOX_GATEWAYS);
	box->limited = pick(box, 8) == 0;
	box->reuses = pick(box, 2);
	make_config(box);
	for (unsigned int e = 1; e <= box->edges; e++) {
		box->edge[e] = calloc(1, sizeof(*box->edge[e]));
		assert(box->edge[e]);
		box->edge[e]->box = box;
		box->edge[e]->id = e;
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
			make_grant(box, e, r, pick(box, 5) > 0);
	}
	for (unsigned int g = 1; g <= box->gateways; g++) {
		box->gateway[g] = calloc(1, sizeof(*box->gateway[g]));
		assert(box->gateway[g]);
		box->gateway[g]->box = box;
		box->gateway[g]->id = g;
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			box_make_zone(box, &box->gateway[g]->zone[n], false);
		for (unsigned int e = 1; e <= box->edges; e++)
			make_path(box, &box->path[e][g], loss);
	}
}

static void end_world(struct box *box)
{
	for (unsigned int e = 1; e <= box->edges; e++) {
		edge_free(box->edge[e]->edge);
		free(box->edge[e]);
	}
	for (unsigned int g = 1; g <= box->gateways; g++) {
		gateway_free(box->gateway[g]->gw);
		free(box->gateway[g]);
	}
	sim_done(&box->sim);
}

/* ---- what happens ---- */

static void start_edge(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_edge *e = ctx;

	(void)arg;
	(void)bytes;
	(void)len;
	if (!e->edge)
		box_edge_start(e);
}

static void start_gateway(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;

	(void)arg;
	(void)bytes;
	(void)len;
	if (!g->gw)
		box_gateway_start(g);
}

static void configure_edge(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_edge *e = ctx;

	(void)bytes;
	(void)len;
	if (arg > e->config)
		box_edge_configure(e, (unsigned int)arg);
}

static void configure_gateway(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;

	(void)bytes;
	(void)len;
	if (arg > g->config)
		box_gateway_configure(g, (unsigned int)arg);
}

static void mend_path(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct sim_path *path = ctx;

	(void)arg;
	(void)bytes;
	(void)len;
	path->cut = false;
}

/* A restart, short enough that nobody misses it, or long. */
static void restart_edge(struct box *box)
{
	struct box_edge *e = any_edge(box);
	int64_t down_ns = pick(box, 3000) * NSEC_PER_MSEC;

	if (!e->edge)
		return;
	if (box->reuses && pick(box, 6) == 0) {
		/* All that it has sent, and all that its applications have, has ended before it
		 * hands out the same addresses for other names. */
		box_edge_goodbye(e);
		box_edge_stop(e);
		box_edge_erase(e);
		down_ns = BOX_DELAY_MAX_NS + NSEC_PER_SEC;
	} else {
		box_edge_stop(e);
	}
	sim_after(&box->sim, down_ns, start_edge, e, 0, NULL, 0);
}

static void restart_gateway(struct box *box)
{
	struct box_gateway *g = any_gateway(box);

	if (!g->gw)
		return;
	box_gateway_stop(g, pick(box, 2));
	sim_after(&box->sim, pick(box, pick(box, 2) ? 2000 : 60000) * NSEC_PER_MSEC, start_gateway,
		  g, 0, NULL, 0);
}

static void change_config(struct box *box)
{
	unsigned int config = make_config(box);

	for (unsigned int e = 1; e <= box->edges; e++)
		sim_after(&box->sim, pick(box, 2000) * NSEC_PER_MSEC, configure_edge, box->edge[e],
			  config, NULL, 0);
	for (unsigned int g = 1; g <= box->gateways; g++)
		sim_after(&box->sim, pick(box, 2000) * NSEC_PER_MSEC, configure_gateway,
			  box->gateway[g], config, NULL, 0);
}

static void change_grant(struct box *box)
{
	unsigned int edge = 1 + pick(box, box->edges), r = pick(box, MODEL_RESOURCES);

	make_grant(box, edge, r, !box->grant[edge][r].given || pick(box, 4) == 0);
	box_say(box, "grant of resource %u to edge %u: %s", r, edge,
		box->grant[edge][r].given ? "given" : "revoked");
	for (unsigned int g = 1; g <= box->gateways; g++)
		box_gateway_grant(box->gateway[g], edge, r);
}

static void cut_path(struct box *box)
{
	struct sim_path *path = &box->path[1 + pick(box, box->edges)][1 + pick(box, box->gateways)];
	int64_t ns = pick(box, pick(box, 2) ? 5000 : 60000) * NSEC_PER_MSEC;

	if (path->cut)
		return;
	path->cut = true;
	sim_after(&box->sim, ns, mend_path, path, 0, NULL, 0);
}

/* A burst to one name, of new flows and of those that there are. */
static void send_packets(struct box *box)
{
	struct box_edge *e = any_edge(box);
	unsigned int name = pick(box, BOX_NAMES), count = 1 + pick(box, pick(box, 8) ? 4 : 40);

	for (unsigned int i = 0; i < count; i++) {
		unsigned int old = box->packets ? 1 + pick(box, box->packets) : 0;

		if (old && box->packet[old].edge == e->id && pick(box, 2))
			box_follow(e, old);
		else
			(void)box_send(e, name, pick(box, 2), pick(box, 2));
	}
}

static void step(struct box *box)
{
	uint32_t kind = pick(box, 100);

	if (kind < 42)
		box_edge_query(any_edge(box), pick(box, BOX_NAMES), pick(box, 6) == 0);
	else if (kind < 72)
		send_packets(box);
	else if (kind < 78)
		change_grant(box);
	else if (kind < 83)
		box_make_zone(box, &any_gateway(box)->zone[pick(box, BOX_NAMES)], false);
	else if (kind < 88)
		cut_path(box);
	else if (kind < 91)
		restart_edge(box);
	else if (kind < 94)
		restart_gateway(box);
	else if (kind < 96)
		change_config(box);
	else if (kind < 98 || !box->reuses)
		box_edge_refresh(any_edge(box), pick(box, BOX_NAMES));
	else
		box_edge_forget(any_edge(box), pick(box, BOX_NAMES));
}

static int64_t gap_ns(struct box *box)
{
	uint32_t kind = pick(box, 100);

	if (kind < 70)
		return pick(box, 600) * NSEC_PER_MSEC;
	if (kind < 95)
		return (1000 + pick(box, 3000)) * NSEC_PER_MSEC;
	return (10000 + pick(box, 20000)) * NSEC_PER_MSEC;
}

void box_run(uint64_t seed, bool verbose, struct box_totals *totals)
{
	static struct box box;
	unsigned int steps;

	memset(&box, 0, sizeof(box));
	box.seed = seed;
	box.verbose = verbose;
	box.totals = totals;
	sim_init(&box.sim, seed, (struct instant){1000 * NSEC_PER_SEC});
	make_world(&box);
	for (unsigned int g = 1; g <= box.gateways; g++)
		box_gateway_start(box.gateway[g]);
	for (unsigned int e = 1; e <= box.edges; e++)
		box_edge_start(box.edge[e]);
	steps = 20 + pick(&box, 60);
	for (unsigned int i = 0; i < steps; i++) {
		box_pass(&box, gap_ns(&box));
		step(&box);
	}
	box_end(&box);
	end_world(&box);
}
