/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain costs an edge that has 1000, 100000, 1000000 of them (`make bench-domains`): time
 * of a DNS answer and of a DomainStatus through the core, bytes in to actions out, and memory.
 * docs/performance.md has the method.
 *
 * All edges exist at once and are alike but for their domains, and work in turns, so that what
 * disturbs one disturbs all. No network, no packet path, no store: those are the same for every
 * number of domains. Needs no root. domains_gateway.c looks at a gateway, afterwards.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "core/control.h"
#include "core/edge.h"
#include "core/stub.h"
#include "domains.h"

#define BATCH_MAX      16384 /* different names asked for before they are confirmed */
#define INPUTS         32768 /* of each kind in a round */
#define NEW_NAMES      2048  /* in a round; they are given up after it */
#define ROUNDS_DEFAULT 9
#define WARM_UP        2 /* rounds that do not count */
#define DOMAINS_MAX    (1U << 21)
#define MESSAGE_MAX    192 /* of both kinds, with names as they are here */
#define UUID           "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"

struct rng {
	uint64_t x;
};

/* One message on its way in, and what the edge has said of its domain. */
struct input {
	uint8_t bytes[MESSAGE_MAX];
	size_t len;
	uint32_t number; /* of the name */
	uint32_t generation;
};

static struct input *inputs;
static uint32_t *order;

static uint32_t draw(struct rng *rng, uint32_t below)
{
	rng->x ^= rng->x << 13;
	rng->x ^= rng->x >> 7;
	rng->x ^= rng->x << 17;
	return (uint32_t)(((rng->x >> 32) * below) >> 32);
}

double domains_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!f || fscanf(f, "%*u %lu", &pages) != 1)
		return 0;
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

static _Noreturn void die(const char *what, int r)
{
	fprintf(stderr, "bench-domains: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* ---- names and messages ---- */

void domains_name_of(uint32_t number, struct dname *ret_name)
{
	char text[64];

	snprintf(text, sizeof(text), "host-%07u.dept-%03u.corp.example", number, number % 997);
	if (dname_from_text(text, ret_name) < 0)
		abort();
}

/* An A query with EDNS, as a resolver library sends it (RFC 1035 4.1, RFC 6891 6.1.1). */
static void make_query(struct input *in, uint32_t number)
{
	static const uint8_t tail[] = {0, 0, 1, 0, 1, /* A, IN */ 0, 0, 41, 4, 208, 0,
				       0, 0, 0, 0, 0};
	uint8_t head[12] = {(uint8_t)(number >> 8), (uint8_t)number, 1, 0, 0, 1, [11] = 1};
	uint8_t *p = in->bytes;
	struct dname name;

	domains_name_of(number, &name);
	p = mempcpy(p, head, sizeof(head));
	for (const char *label = name.text; *label;) {
		size_t len = strcspn(label, ".");

		*p++ = (uint8_t)len;
		p = mempcpy(p, label, len);
		label += len + (label[len] == '.');
	}
	p = mempcpy(p, tail, sizeof(tail));
	in->len = (size_t)(p - in->bytes);
	in->number = number;
	in->generation = 0;
}

/* The gateway's answer to what the edge has asked. */
static void make_status(struct input *in)
{
	struct control_message msg = {
		.event = CONTROL_DOMAIN_STATUS,
		.generation = in->generation,
		.resource = UUID,
		.status = CONTROL_ACTIVE,
	};
	int r;

	domains_name_of(in->number, &msg.domain);
	r = control_encode(&msg, in->bytes, sizeof(in->bytes), &in->len);
	if (r < 0)
		die("cannot encode", r);
}

/* ---- inputs ---- */

/* As the daemon does, but that nothing is done with the actions. */
static unsigned int drain(struct edge *edge, uint32_t *ret_generation)
{
	struct edge_action a;
	unsigned int n = 0;

	for (; edge_next(edge, &a); n++)
		if (a.kind == EDGE_SEND_ASSIGNED)
			*ret_generation = a.send.generation;
	return n;
}

static unsigned int query(struct subject *s, struct input *in)
{
	const struct stub_query q = {.bytes = in->bytes, .len = in->len};
	struct stub_reply reply;
	unsigned int n;
	int r;

	r = stub_handle(s->edge, &q, s->now, &reply);
	if (r < 0 || reply.outcome != STUB_ANSWER || reply.reason != FQ_R_DNS_LOCAL)
		die("not answered", r < 0 ? r : -EPROTO);
	n = drain(s->edge, &in->generation);
	stub_reply_done(&reply);
	return n;
}

static unsigned int status(struct subject *s, struct input *in)
{
	enum edge_status_outcome outcome;
	struct edge_status status;
	struct control_message msg;
	uint32_t ignored;
	int r;

	r = control_decode(in->bytes, in->len, &msg);
	if (r < 0)
		die("not decoded", r);
	status = (struct edge_status){
		.gateway = 1,
		.generation = msg.generation,
		.uuid = msg.resource,
		.domain = &msg.domain,
		.active = msg.status == CONTROL_ACTIVE,
	};
	r = edge_status(s->edge, &status, s->now, &outcome);
	if (r < 0 || outcome != EDGE_STATUS_APPLIED)
		die("status not taken", r < 0 ? r : -EPROTO);
	return drain(s->edge, &ignored);
}

static double run(struct subject *s, int kind, uint32_t count)
{
	unsigned int (*const input)(struct subject *, struct input *) =
		kind == STATUS ? status : query;
	uint64_t actions = 0;
	double begin = domains_cpu_ns();

	for (uint32_t i = 0; i < count; i++)
		actions += input(s, &inputs[i]);
	s->inputs[kind] += count;
	s->actions[kind] += actions;
	return domains_cpu_ns() - begin;
}

static void shuffle_inputs(struct rng *rng, uint32_t count)
{
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = draw(rng, i + 1);
		struct input t = inputs[i];

		inputs[i] = inputs[j];
		inputs[j] = t;
	}
}

static double confirm(struct subject *s, struct rng *rng, uint32_t count)
{
	s->now = instant_add(s->now, 20 * NSEC_PER_MSEC);
	shuffle_inputs(rng, count);
	for (uint32_t i = 0; i < count; i++)
		make_status(&inputs[i]);
	return run(s, STATUS, count);
}

/* ---- making an edge ---- */

static void open_edge(struct subject *s)
{
	static const struct edge_resource resource = {
		.id = 1,
		.uuid = UUID,
		.name = "corp",
		.pattern = "**.corp.example",
		.gateways = {1, 2},
		.gateway_count = 2,
	};
	struct edge_settings settings = {
		.pool.quarantine_ns = 7440 * NSEC_PER_SEC,
		.domains_max = DOMAINS_MAX,
		.held_bytes_max = 1 << 20,
		.held_max_ns = EDGE_HELD_MAX_NS,
	};
	int r;

	(void)ipprefix_parse("10.0.0.0/8", &settings.pool.v4);
	(void)ipprefix_parse("fd00:2021:1111:8000::/104", &settings.pool.v6);
	if (getrandom(settings.hash_key, sizeof(settings.hash_key), 0) < 0)
		die("no entropy", -errno);
	s->now = (struct instant){1000 * NSEC_PER_SEC};
	r = edge_new(&settings, &s->edge);
	if (r == 0)
		r = edge_gateway_up(s->edge, 1, s->now);
	if (r == 0)
		r = edge_gateway_up(s->edge, 2, s->now);
	if (r == 0)
		r = edge_set_resources(s->edge, &resource, 1, s->now);
	if (r < 0)
		die("cannot make an edge", r);
}

/* All names are asked for once, in random order, and confirmed. */
static void fill(struct subject *s, struct rng *rng)
{
	double heap, rss;

	open_edge(s);
	heap = allocated();
	rss = resident();
	for (uint32_t i = 0; i < s->domains; i++) {
		uint32_t j = draw(rng, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32_t done = 0, n; done < s->domains; done += n) {
		n = s->domains - done < 1000 ? s->domains - done : 1000;
		for (uint32_t i = 0; i < n; i++)
			make_query(&inputs[i], order[done + i]);
		(void)run(s, NEW, n);
		(void)confirm(s, rng, n);
	}
	s->heap = (allocated() - heap) / s->domains;
	s->rss = (resident() - rss) / s->domains;
	s->next_new = s->domains;
}

/* ---- rounds ---- */

/* A batch of different names, drawn at random. */
static uint32_t draw_names(const struct subject *s, struct rng *rng)
{
	uint32_t count = s->domains < BATCH_MAX ? s->domains : BATCH_MAX;
	uint32_t stride = s->domains / count, shift = draw(rng, s->domains);

	for (uint32_t i = 0; i < count; i++)
		make_query(&inputs[i], (i * stride + draw(rng, stride) + shift) % s->domains);
	shuffle_inputs(rng, count);
	return count;
}

static void round_of_known(struct subject *s, struct rng *rng, double cost[KINDS])
{
	uint32_t done = 0, n;

	for (; done < INPUTS; done += n) {
		/* Longer than the time in which asking again is put off. */
		s->now = instant_add(s->now, 10 * NSEC_PER_SEC);
		n = draw_names(s, rng);
		cost[KNOWN] += run(s, KNOWN, n);
		cost[STATUS] += confirm(s, rng, n);
	}
	cost[KNOWN] /= done;
	cost[STATUS] /= done;
}

static void round_of_new(struct subject *s, double cost[KINDS])
{
	uint32_t ignored;

	for (uint32_t i = 0; i < NEW_NAMES; i++)
		make_query(&inputs[i], s->next_new++);
	cost[NEW] = run(s, NEW, NEW_NAMES) / NEW_NAMES;
	for (uint32_t i = 0; i < NEW_NAMES; i++) {
		struct dname name;

		domains_name_of(inputs[i].number, &name);
		(void)edge_forget(s->edge, &name, s->now);
		(void)drain(s->edge, &ignored);
	}
}

static void measure(struct subject *subjects, struct rng *rng, unsigned int rounds)
{
	for (unsigned int round = 0; round < rounds + WARM_UP; round++) {
		for (int i = 0; i < SIZES; i++) {
			struct subject *s = &subjects[i];
			double cost[KINDS] = {};

			/* What counts is counted from the first round that does. */
			if (round == WARM_UP) {
				memset(s->inputs, 0, sizeof(s->inputs));
				memset(s->actions, 0, sizeof(s->actions));
			}
			round_of_known(s, rng, cost);
			round_of_new(s, cost);
			for (int k = 0; k < KINDS && round >= WARM_UP; k++)
				figure_sample(&s->cost[k], cost[k]);
		}
	}
}

/* Actions until the question about a name that is asked for now. */
static uint64_t actions_before_send(struct subject *s, uint32_t number)
{
	struct edge_answer answer;
	struct edge_action a;
	struct dname name;
	uint64_t n = 0;
	int r;

	domains_name_of(number, &name);
	r = edge_query(s->edge, &name, s->now, &answer);
	if (r < 0)
		die("not answered", r);
	for (; edge_next(s->edge, &a); n++)
		if (a.kind == EDGE_SEND_ASSIGNED && dname_equal(a.name, &name))
			return n;
	die("not asked for", -EPROTO);
}

/* Last, because it cannot be repeated: the gateway of all domains is lost, another one is up. */
static void lose_gateway(struct subject *s)
{
	uint32_t ignored;
	double begin = domains_cpu_ns(), from = begin;
	int r = edge_gateway_lost(s->edge, 1, s->now);

	s->lost_ms = (domains_cpu_ns() - begin) / 1e6;
	s->known_waits = actions_before_send(s, s->domains - 1);
	s->lost_actions = s->known_waits + drain(s->edge, &ignored);
	s->new_waits = actions_before_send(s, s->next_new);
	s->lost_actions += s->new_waits + drain(s->edge, &ignored);
	while (r == 0 && instant_reached(edge_deadline(s->edge), s->now)) {
		double slice = domains_cpu_ns();

		r = edge_tick(s->edge, s->now);
		s->lost_actions += drain(s->edge, &ignored);
		slice = (domains_cpu_ns() - slice) / 1e6;
		s->slice_ms = s->slice_ms > slice ? s->slice_ms : slice;
	}
	if (r < 0)
		die("cannot lose a gateway", r);
	s->walk_ms = (domains_cpu_ns() - from) / 1e6;
}

/* ---- main ---- */

static const char usage[] = "usage: bench-domains [--rounds N] [--json FILE]\n";

static int parse_options(int argc, char **argv, unsigned int *ret_rounds, const char **ret_json)
{
	static const struct option longs[] = {{"rounds", required_argument, NULL, 'r'},
					      {"json", required_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {}};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			*ret_rounds = (unsigned int)atoi(optarg);
			if (*ret_rounds == 0 || *ret_rounds > REPORT_ROUNDS_MAX)
				return -EINVAL;
			break;
		case 'j':
			*ret_json = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	return optind < argc ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct subject subjects[SIZES] = {
		{.domains = 1000}, {.domains = 100000}, {.domains = 1000000}};
	struct rng rng = {0x9e3779b97f4a7c15};
	unsigned int rounds = ROUNDS_DEFAULT;
	const char *json = NULL;

	if (parse_options(argc, argv, &rounds, &json) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	inputs = calloc(BATCH_MAX, sizeof(*inputs));
	order = calloc(subjects[SIZES - 1].domains, sizeof(*order));
	if (!inputs || !order)
		die("cannot begin", -ENOMEM);
	for (int i = 0; i < SIZES; i++)
		fill(&subjects[i], &rng);
	measure(subjects, &rng, rounds);
	for (int i = 0; i < SIZES; i++)
		lose_gateway(&subjects[i]);
	for (int i = 0; i < SIZES; i++)
		edge_free(subjects[i].edge);
	for (int i = 0; i < SIZES; i++) {
		int r = domains_gateway(&subjects[i]);

		if (r < 0)
			die("a gateway fails", r);
	}
	domains_print(subjects);
	free(inputs);
	free(order);
	return json && domains_write(subjects, json) < 0;
}
