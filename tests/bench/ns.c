/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nanoseconds for a packet, program alone: of established sessions, of new ones, of what is
 * refused.
 *
 * Each run draws a flow at random and writes its frame (wrappers of bench.bpf.c); what that costs
 * is measured in every round with a program that does nothing, and subtracted. In the same rounds,
 * and so on the same state of the machine: a redirect without NAT, one random read of an array with
 * a cache line for each flow, the same in an array as large as the session table, and one lookup in
 * a plain hash map with an entry for each.
 *
 * Every run under test must end as it should: the object's own counters are compared.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench.h"
#include "bench.skel.h"
#include "box.h"
#include "rig.h"

#define NS_SECTION     "ns"
#define NS_NEW_SECTION "ns-new"
#define NS_SAMPLE_NS   40e6
#define NS_PROBE       5000 /* runs that tell how many make a sample; new sessions that are one */

/* An object under test for each, so that their sessions do not get into each other's way. */
enum ns_box {
	NS_44,
	NS_66,
	NS_46,
	NS_64,
	NS_TCP,
	NS_FAR,
	NS_BOXES,
	NS_ARRAY_READ = NS_BOXES, /* yardsticks: no object */
	NS_SPREAD_READ,
	NS_HASH_LOOKUP,
	NS_REDIRECT,
	NS_TARGETS,
};

/* How a box' sessions come into being: each has been answered before it is timed. */
static const struct {
	const char *name; /* of the figure of new sessions */
	enum frame_kind first, then[2];
	unsigned int then_count;
} openings[NS_BOXES] = {
	[NS_44] = {.name = "nat44 new", .first = FRAME_OUT4, .then = {FRAME_IN4}, .then_count = 1},
	[NS_66] = {.name = "nat66 new", .first = FRAME_OUT6, .then = {FRAME_IN6}, .then_count = 1},
	[NS_46] = {.name = "nat46 new",
		   .first = FRAME_OUT46,
		   .then = {FRAME_IN46},
		   .then_count = 1},
	[NS_64] = {.name = "nat64 new",
		   .first = FRAME_OUT64,
		   .then = {FRAME_IN64},
		   .then_count = 1},
	[NS_TCP] = {.name = "tcp44 new",
		    .first = FRAME_SYN,
		    .then = {FRAME_SYN_ACK, FRAME_ACK_OUT},
		    .then_count = 2},
	[NS_FAR] = {.name = "forward new",
		    .first = FRAME_OUT_FAR,
		    .then = {FRAME_IN_FAR},
		    .then_count = 1},
};

struct ns_case {
	const char *name;
	enum ns_box target;
	enum frame_kind kind;
	uint32_t verdict;
	int reason; /* enum fq_reason; 0: no object */
};

static const struct ns_case cases[] = {
	{"array read", NS_ARRAY_READ, FRAME_OUT4, XDP_PASS, 0},
	{"spread read", NS_SPREAD_READ, FRAME_OUT4, XDP_PASS, 0},
	{"hash lookup", NS_HASH_LOOKUP, FRAME_OUT4, XDP_PASS, 0},
	{"redirect", NS_REDIRECT, FRAME_OUT4, XDP_REDIRECT, 0},
	{"nat44 out", NS_44, FRAME_OUT4, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat44 in", NS_44, FRAME_IN4, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat66 out", NS_66, FRAME_OUT6, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat66 in", NS_66, FRAME_IN6, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat46 out", NS_46, FRAME_OUT46, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat46 in", NS_46, FRAME_IN46, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat64 out", NS_64, FRAME_OUT64, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"nat64 in", NS_64, FRAME_IN64, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"tcp44 out", NS_TCP, FRAME_ACK_OUT, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"tcp44 in", NS_TCP, FRAME_ACK_IN, XDP_REDIRECT, FQ_R_TRANSLATED},
	{"forward out", NS_FAR, FRAME_OUT_FAR, XDP_REDIRECT, FQ_R_FORWARDED},
	{"forward in", NS_FAR, FRAME_IN_FAR, XDP_REDIRECT, FQ_R_FORWARDED},
	{"refused", NS_44, FRAME_REFUSED, XDP_DROP, FQ_R_FILTERED},
};

#define NS_CASES (sizeof(cases) / sizeof(cases[0]))

struct ns_bench {
	const struct lab_links *links;
	struct rig rig;
	struct box box[NS_BOXES];
	int target_fd[NS_TARGETS];
	int finish_fd;
	unsigned int hashed; /* flows with an entry in the plain hash map */
	const struct ns_case *cases[NS_CASES];
	size_t case_count;
	unsigned int layouts; /* bit i: of a case */
};

/* All, or the one that is asked for. Return: 0; -EINVAL there is none of that name. */
static int choose_cases(struct ns_bench *b, const char *line)
{
	b->layouts = 1U << BENCH_UDP4_OUT;
	for (size_t i = 0; i < NS_CASES; i++) {
		if (line && strcmp(line, cases[i].name) != 0)
			continue;
		b->cases[b->case_count++] = &cases[i];
		b->layouts |= 1U << frame_layout(cases[i].kind);
	}
	if (b->case_count)
		return 0;
	fprintf(stderr, "bench: ns has no line \"%s\"; it has", line);
	for (size_t i = 0; i < NS_CASES; i++)
		fprintf(stderr, "%s \"%s\"", i ? "," : "", cases[i].name);
	fputc('\n', stderr);
	return -EINVAL;
}

static int run(struct ns_bench *b, int target_fd, enum frame_kind kind, unsigned int repeat,
	       double *ret_ns, uint32_t *ret_verdict)
{
	unsigned int ifindex = frame_is_out(kind) ? b->links->lan : b->links->wan;
	int r = rig_target(&b->rig, target_fd);

	return r < 0 ? r : rig_run(&b->rig, kind, ifindex, repeat, ret_ns, ret_verdict);
}

/* One sample of a case, wrapper included; an error if not every packet took the way it should. */
static int sample(struct ns_bench *b, const struct ns_case *c, unsigned int repeat, double *ret_ns)
{
	struct box *box = c->target < NS_BOXES ? &b->box[c->target] : NULL;
	uint64_t before = box ? box_count(box, c->reason) : 0;
	uint32_t verdict;
	int r = run(b, b->target_fd[c->target], c->kind, repeat, ret_ns, &verdict);

	if (r < 0)
		return r;
	if (verdict == c->verdict && (!box || box_count(box, c->reason) - before == repeat))
		return 0;
	fprintf(stderr, "bench: %s: not every packet ended as it should (verdict %u)\n", c->name,
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

/* What the wrappers cost, by kind of frame. */
static int sample_wrappers(struct ns_bench *b, double ret_ns[BENCH_LAYOUTS])
{
	static const enum frame_kind kinds[BENCH_LAYOUTS] = {
		FRAME_OUT4, FRAME_IN4, FRAME_OUT6, FRAME_IN6, FRAME_ACK_OUT, FRAME_ACK_IN};
	uint32_t verdict;
	int r = 0;

	for (int i = 0; i < BENCH_LAYOUTS && r == 0; i++)
		if (b->layouts >> i & 1)
			r = run(b, b->finish_fd, kinds[i], repeat_for(40), &ret_ns[i], &verdict);
	return r;
}

static int one_round(struct ns_bench *b, const unsigned int *repeat, double *ret_ns,
		     double *ret_wrapper)
{
	double wrapper[BENCH_LAYOUTS];
	int r = sample_wrappers(b, wrapper);

	for (size_t i = 0; i < b->case_count && r == 0; i++) {
		r = sample(b, b->cases[i], repeat[i], &ret_ns[i]);
		ret_ns[i] -= wrapper[frame_layout(b->cases[i]->kind)];
	}
	*ret_wrapper = wrapper[BENCH_UDP4_OUT];
	return r;
}

static int add_figures(const struct ns_bench *b, struct report *report, unsigned int flows,
		       size_t *ret_first)
{
	*ret_first = report->count;
	for (size_t i = 0; i < b->case_count; i++)
		if (!report_add(report, NS_SECTION, b->cases[i]->name, "ns", flows))
			return -ENOMEM;
	return report_add(report, NS_SECTION, "(wrapper)", "ns", flows) ? 0 : -ENOMEM;
}

static void add_ratios(const struct ns_bench *b, struct report *report, unsigned int flows)
{
	if (b->case_count < NS_CASES)
		return;
	for (size_t i = 0; i < NS_CASES; i++) {
		if (cases[i].target >= NS_BOXES)
			continue;
		report_ratio(report, cases[i].name, "redirect", flows);
		report_ratio(report, cases[i].name, "array read", flows);
		report_ratio(report, cases[i].name, "spread read", flows);
		report_ratio(report, cases[i].name, "hash lookup", flows);
	}
	report_ratio(report, "nat66 out", "nat44 out", flows);
}

/* The rest of a handshake, for flows @first .. @flows - 1. */
static int finish_opening(struct ns_bench *b, enum ns_box target, unsigned int first,
			  unsigned int flows)
{
	uint32_t verdict;
	double ns;
	int r = 0;

	for (unsigned int i = 0; i < openings[target].then_count && r == 0; i++) {
		if (first == flows)
			break;
		rig_draw_sequence(&b->rig, first, flows);
		r = run(b, b->target_fd[target], openings[target].then[i], flows - first, &ns,
			&verdict);
	}
	return r;
}

/* Open a box' sessions up to @flows. */
static int open_box(struct ns_bench *b, enum ns_box target, unsigned int flows, double *ret_ns)
{
	unsigned int before = b->box[target].opened;
	int r = box_open_flows(&b->box[target], &b->rig, openings[target].first, flows, ret_ns);

	return r < 0 ? r : finish_opening(b, target, before, flows);
}

/*
 * Sessions that are not there yet, in as many pieces as there are rounds, the objects taking
 * turns; only where a piece is long enough to be timed.
 */
static int measure_new(struct ns_bench *b, const struct bench_plan *plan, unsigned int flows,
		       struct report *report)
{
	unsigned int before = b->box[NS_44].opened, piece = (flows - before) / plan->rounds;
	double ns, wrapper[BENCH_LAYOUTS];
	size_t first = report->count;
	int r = 0;

	if (piece < NS_PROBE)
		return 0;
	for (int i = 0; i < NS_BOXES; i++)
		if (!report_add(report, NS_NEW_SECTION, openings[i].name, "ns", flows))
			return -ENOMEM;
	for (unsigned int round = 1; round <= plan->rounds && r == 0; round++) {
		r = sample_wrappers(b, wrapper);
		for (int i = 0; i < NS_BOXES && r == 0; i++) {
			r = open_box(b, i, before + round * piece, &ns);
			ns -= wrapper[frame_layout(openings[i].first)];
			if (r == 0)
				figure_sample(&report->figures[first + i], ns);
		}
	}
	return r;
}

/* Everything that is to be there with so many flows. */
static int open_flows(struct ns_bench *b, unsigned int flows)
{
	uint32_t verdict;
	double ns;
	int r = 0;

	for (int i = 0; i < NS_BOXES && r == 0; i++)
		r = open_box(b, i, flows, &ns);
	if (r < 0 || flows == b->hashed)
		return r;
	rig_draw_sequence(&b->rig, b->hashed, flows);
	r = run(b, bpf_program__fd(b->rig.skel->progs.hash_insert), FRAME_OUT4, flows - b->hashed,
		&ns, &verdict);
	b->hashed = flows;
	return r == 0 && verdict != XDP_PASS ? -EPROTO : r;
}

static int measure(struct ns_bench *b, const struct bench_plan *plan, unsigned int flows,
		   struct report *report)
{
	double wrapper, ns[NS_CASES];
	unsigned int repeat[NS_CASES];
	size_t first;
	int r;

	r = measure_new(b, plan, flows, report);
	if (r == 0)
		r = open_flows(b, flows);
	if (r < 0 || plan->new_only)
		return r;
	rig_draw(&b->rig, flows);
	for (size_t i = 0; i < b->case_count && r == 0; i++) {
		r = sample(b, b->cases[i], NS_PROBE, &ns[i]);
		repeat[i] = repeat_for(ns[i]);
	}
	if (r == 0)
		r = add_figures(b, report, flows, &first);
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		r = one_round(b, repeat, ns, &wrapper);
		for (size_t i = 0; i < b->case_count && r == 0; i++)
			figure_sample(&report->figures[first + i], ns[i]);
		if (r == 0)
			figure_sample(&report->figures[first + b->case_count], wrapper);
	}
	add_ratios(b, report, flows);
	return r;
}

/* Egress of the bare redirect, and the programs that can be called. */
static int prepare(struct ns_bench *b)
{
	struct bench_bpf *skel = b->rig.skel;
	uint32_t slot = 0;

	b->finish_fd = bpf_program__fd(skel->progs.finish);
	b->target_fd[NS_ARRAY_READ] = bpf_program__fd(skel->progs.array_read);
	b->target_fd[NS_SPREAD_READ] = bpf_program__fd(skel->progs.spread_read);
	b->target_fd[NS_HASH_LOOKUP] = bpf_program__fd(skel->progs.hash_lookup);
	b->target_fd[NS_REDIRECT] = bpf_program__fd(skel->progs.bare);
	for (int i = 0; i < NS_BOXES; i++)
		b->target_fd[i] = box_prog_fd(&b->box[i]);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.bare_tx), &slot, &b->links->wan, BPF_ANY) <
	    0)
		return -errno;
	return 0;
}

int bench_ns(const struct bench_plan *plan, struct lab *lab, struct report *report)
{
	struct ns_bench b = {.links = &lab->path[LAB_FQDNAT]};
	unsigned int flows_max = plan->flows[plan->flows_count - 1];
	int r;

	r = choose_cases(&b, plan->line);
	if (r == 0)
		r = lab_enter(b.links->gateway_fd);
	for (int i = 0; i < NS_BOXES && r == 0; i++)
		r = box_open(&b.box[i], b.links->lan, b.links->wan, flows_max);
	if (r == 0)
		r = rig_open(&b.rig, flows_max);
	if (r == 0)
		r = prepare(&b);
	for (unsigned int i = 0; i < plan->flows_count && r == 0; i++)
		r = measure(&b, plan, plan->flows[i], report);
	rig_close(&b.rig);
	for (int i = 0; i < NS_BOXES; i++)
		box_close(&b.box[i]);
	(void)lab_enter(lab->home_fd);
	return r;
}
