/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nanoseconds for a packet of an established session, program alone.
 *
 * Each run draws a flow at random and writes its frame (wrappers of bench.bpf.c); what that costs
 * is measured in every round with a program that does nothing, and subtracted. In the same rounds,
 * and so on the same state of the machine: a redirect without NAT, one random read of an array with
 * a cache line for each flow, and one lookup in the session table itself.
 *
 * Every run under test must end as "translated": the object's own counters are compared.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench.h"
#include "bench.skel.h"
#include "box.h"
#include "rig.h"

#define NS_SECTION   "ns"
#define NS_SAMPLE_NS 40e6
#define NS_PROBE     5000 /* runs that tell how many make a sample */

enum ns_target {
	NS_ARRAY_READ,
	NS_HASH_LOOKUP,
	NS_REDIRECT,
	NS_NAT44,
	NS_NAT66,
	NS_TARGETS,
};

struct ns_case {
	const char *name;
	enum ns_target target;
	enum bench_kind kind;
	uint32_t verdict;
};

static const struct ns_case cases[] = {
	{"array read", NS_ARRAY_READ, BENCH_OUT4, XDP_PASS},
	{"hash lookup", NS_HASH_LOOKUP, BENCH_OUT4, XDP_PASS},
	{"redirect", NS_REDIRECT, BENCH_OUT4, XDP_REDIRECT},
	{"nat44 out", NS_NAT44, BENCH_OUT4, XDP_REDIRECT},
	{"nat44 in", NS_NAT44, BENCH_IN4, XDP_REDIRECT},
	{"nat66 out", NS_NAT66, BENCH_OUT6, XDP_REDIRECT},
	{"nat66 in", NS_NAT66, BENCH_IN6, XDP_REDIRECT},
};

#define NS_CASES (sizeof(cases) / sizeof(cases[0]))

struct ns_bench {
	struct rig rig;
	struct box box44, box66;
	int target_fd[NS_TARGETS];
	int finish_fd;
};

static struct box *box_of(struct ns_bench *b, enum ns_target target)
{
	return target == NS_NAT44 ? &b->box44 : target == NS_NAT66 ? &b->box66 : NULL;
}

/* Interface on which frames of a kind arrive. */
static unsigned int ingress(const struct ns_bench *b, enum bench_kind kind)
{
	return kind == BENCH_OUT4 || kind == BENCH_OUT6 ? b->box44.lan : b->box44.wan;
}

static int run(struct ns_bench *b, int target_fd, enum bench_kind kind, unsigned int repeat,
	       double *ret_ns, uint32_t *ret_verdict)
{
	int r = rig_target(&b->rig, target_fd);

	if (r < 0)
		return r;
	return rig_run(rig_wrapper(&b->rig, kind), kind, ingress(b, kind), repeat, ret_ns,
		       ret_verdict);
}

/* One sample of a case, wrapper included; an error if not every packet took the way it should. */
static int sample(struct ns_bench *b, const struct ns_case *c, unsigned int repeat, double *ret_ns)
{
	struct box *box = box_of(b, c->target);
	uint64_t before = box ? box_translated(box) : 0;
	uint32_t verdict;
	int r = run(b, b->target_fd[c->target], c->kind, repeat, ret_ns, &verdict);

	if (r < 0)
		return r;
	if (verdict == c->verdict && (!box || box_translated(box) - before == repeat))
		return 0;
	fprintf(stderr, "bench: %s: not every packet was translated (verdict %u)\n", c->name,
		verdict);
	if (box)
		box_explain(box);
	return -EPROTO;
}

/* Runs that take about the time of a sample. */
static unsigned int repeat_for(double ns)
{
	double n = NS_SAMPLE_NS / (ns > 1 ? ns : 1);

	return n < NS_PROBE ? NS_PROBE : n;
}

static int one_round(struct ns_bench *b, const unsigned int *repeat, double *ret_ns,
		     double *ret_wrapper)
{
	double wrapper[BENCH_KINDS];
	uint32_t verdict;
	int r = 0;

	for (int kind = 0; kind < BENCH_KINDS && r == 0; kind++)
		r = run(b, b->finish_fd, kind, repeat_for(40), &wrapper[kind], &verdict);
	for (size_t i = 0; i < NS_CASES && r == 0; i++) {
		r = sample(b, &cases[i], repeat[i], &ret_ns[i]);
		ret_ns[i] -= wrapper[cases[i].kind];
	}
	*ret_wrapper = wrapper[BENCH_OUT4];
	return r;
}

static int add_figures(struct report *report, unsigned int flows, size_t *ret_first)
{
	*ret_first = report->count;
	for (size_t i = 0; i < NS_CASES; i++)
		if (!report_add(report, NS_SECTION, cases[i].name, "ns", flows))
			return -ENOMEM;
	return report_add(report, NS_SECTION, "(wrapper)", "ns", flows) ? 0 : -ENOMEM;
}

static void add_ratios(struct report *report, unsigned int flows)
{
	for (size_t i = 0; i < NS_CASES; i++) {
		if (cases[i].target != NS_NAT44 && cases[i].target != NS_NAT66)
			continue;
		report_ratio(report, cases[i].name, "redirect", flows);
		report_ratio(report, cases[i].name, "array read", flows);
		report_ratio(report, cases[i].name, "hash lookup", flows);
	}
}

static int measure(struct ns_bench *b, const struct bench_plan *plan, unsigned int flows,
		   struct report *report)
{
	double wrapper, ns[NS_CASES];
	unsigned int repeat[NS_CASES];
	size_t first;
	int r;

	r = box_open_flows(&b->box44, &b->rig, BENCH_OUT4, flows);
	if (r == 0)
		r = box_open_flows(&b->box66, &b->rig, BENCH_OUT6, flows);
	rig_draw(&b->rig, flows);
	for (size_t i = 0; i < NS_CASES && r == 0; i++) {
		r = sample(b, &cases[i], NS_PROBE, &ns[i]);
		repeat[i] = repeat_for(ns[i]);
	}
	if (r == 0)
		r = add_figures(report, flows, &first);
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		r = one_round(b, repeat, ns, &wrapper);
		for (size_t i = 0; i < NS_CASES && r == 0; i++)
			figure_sample(&report->figures[first + i], ns[i]);
		if (r == 0)
			figure_sample(&report->figures[first + NS_CASES], wrapper);
	}
	add_ratios(report, flows);
	return r;
}

/* Egress of the bare redirect, and the programs that can be called. */
static int prepare(struct ns_bench *b)
{
	struct bench_bpf *skel = b->rig.skel;
	uint32_t slot = 0;

	b->finish_fd = bpf_program__fd(skel->progs.finish);
	b->target_fd[NS_ARRAY_READ] = bpf_program__fd(skel->progs.array_read);
	b->target_fd[NS_HASH_LOOKUP] = bpf_program__fd(skel->progs.hash_lookup);
	b->target_fd[NS_REDIRECT] = bpf_program__fd(skel->progs.bare);
	b->target_fd[NS_NAT44] = box_prog_fd(&b->box44);
	b->target_fd[NS_NAT66] = box_prog_fd(&b->box66);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.bare_tx), &slot, &b->box44.wan, BPF_ANY) < 0)
		return -errno;
	return 0;
}

int bench_ns(const struct bench_plan *plan, struct lab *lab, struct report *report)
{
	const struct lab_links *links = &lab->path[LAB_FQDNAT];
	unsigned int flows_max = plan->flows[plan->flows_count - 1];
	struct ns_bench b = {};
	int r;

	r = lab_enter(links->gateway_fd);
	if (r == 0)
		r = box_open(&b.box44, links->lan, links->wan, flows_max);
	if (r == 0)
		r = box_open(&b.box66, links->lan, links->wan, flows_max);
	if (r == 0)
		r = rig_open(&b.rig, box_sessions_fd(&b.box44), flows_max);
	if (r == 0)
		r = prepare(&b);
	for (unsigned int i = 0; i < plan->flows_count && r == 0; i++)
		r = measure(&b, plan, plan->flows[i], report);
	rig_close(&b.rig);
	box_close(&b.box66);
	box_close(&b.box44);
	(void)lab_enter(lab->home_fd);
	return r;
}
