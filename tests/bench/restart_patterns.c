/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a name that nobody has asked for costs an edge with ten, and with ten thousand resources,
 * whose patterns all end in the same domain. Needs no root. Called by restart.sh.
 *
 *     bench-restart-patterns ROUNDS
 *
 * Prints a line a round and edge: new-name, number of resources, ns, CPU time of a query.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/edge.h"

#define NAMES 20000 /* in a round; they are given up after it */
#define FEW   10
#define MANY  10000

static void die(const char *what, int r)
{
	fprintf(stderr, "bench-restart-patterns: %s: %s\n", what, strerror(-r));
	exit(1);
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int set_patterns(struct edge *edge, uint32_t count, struct instant now)
{
	_cleanup_(freep) struct edge_resource *list = calloc(count, sizeof(*list));
	_cleanup_(freep) char(*text)[40] = calloc(count, sizeof(*text));

	if (!list || !text)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		snprintf(text[i], sizeof(text[i]), "group-%u-*.**.corp.example", i);
		list[i] = (struct edge_resource){
			.id = i + 1,
			.name = "group",
			.pattern = text[i],
			.gateways = {1},
			.gateway_count = 1,
		};
		snprintf(list[i].uuid, sizeof(list[i].uuid), "5f0a7c1e-6d0f-4f0e-9d3b-%012x", i);
	}
	return edge_set_resources(edge, list, count, now);
}

static struct edge *make(uint32_t patterns, struct instant now)
{
	struct edge_settings settings = {
		.domains_max = 2 * NAMES,
		.held_bytes_max = 1 << 20,
		.held_max_ns = EDGE_HELD_MAX_NS,
	};
	struct edge *edge = NULL;
	int r;

	(void)ipprefix_parse("10.0.0.0/8", &settings.pool.v4);
	(void)ipprefix_parse("fd00:2021:1111:8000::/104", &settings.pool.v6);
	if (getrandom(settings.hash_key, sizeof(settings.hash_key), 0) < 0)
		die("no entropy", -errno);
	r = edge_new(&settings, &edge);
	if (r == 0)
		r = edge_gateway_up(edge, 1, now);
	if (r == 0)
		r = set_patterns(edge, patterns, now);
	if (r < 0)
		die("cannot make an edge", r);
	return edge;
}

static void drain(struct edge *edge)
{
	struct edge_action action;

	while (edge_next(edge, &action))
		;
}

static struct dname name_of(uint32_t i, uint32_t patterns)
{
	struct dname name;
	char text[48];

	snprintf(text, sizeof(text), "group-%u-%u.a.corp.example", i % patterns, i);
	if (dname_from_text(text, &name) < 0)
		abort();
	return name;
}

static void measure(struct edge *edge, uint32_t patterns, struct instant now)
{
	double spent = 0;

	for (uint32_t i = 0; i < NAMES; i++) {
		struct dname name = name_of(i, patterns);
		struct edge_answer answer;
		double begin = cpu_ns();
		int r = edge_query(edge, &name, now, &answer);

		drain(edge);
		spent += cpu_ns() - begin;
		if (r < 0 || !answer.matched)
			die("not answered", r < 0 ? r : -EPROTO);
		(void)edge_forget(edge, &name, now);
		drain(edge);
	}
	printf("new-name %u ns %.1f\n", patterns, spent / NAMES);
}

int main(int argc, char **argv)
{
	const struct instant now = {1000 * NSEC_PER_SEC};
	struct edge *few = make(FEW, now), *many = make(MANY, now);

	for (int round = argc > 1 ? atoi(argv[1]) : 1; round > 0; round--) {
		measure(few, FEW, now);
		measure(many, MANY, now);
	}
	edge_free(few);
	edge_free(many);
	return 0;
}
