/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark (`make bench`): how long a packet takes in the program, and how many packets a
 * second pass, beside what else could do the work, in the same run. docs/performance.md has the
 * method. Needs root; works in namespaces of its own on one CPU, and removes them.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "rig.h"

#define ROUNDS_DEFAULT 9
#define LOAD_QUIET     0.5
#define LATENCY_FLOWS  1000

struct options {
	const char *only; /* a section, or NULL */
	const char *line; /* of it, or NULL */
	const char *json;
	int cpu; /* -1: the last that we may use */
	unsigned int rounds;
	unsigned int flows[REPORT_FLOWS_MAX], flows_count; /* 0: the sections' defaults */
};

static const char usage[] =
	"usage: bench [OPTIONS]\n"
	"  --only PART      one measurement:\n"
	"                   ns       time in the program\n"
	"                   ns-new   the same for first packets of sessions\n"
	"                   pps      packets per second\n"
	"                   new      first packets per second\n"
	"                   memory   of a session\n"
	"                   latency  echoes while packets are sent as fast as they pass\n"
	"                   install  filling the maps of 100000 domains\n"
	"  --flows N,N,...  numbers of flows (default: 1,1000,100000,1000000;\n"
	"                   for latency 1000)\n"
	"  --line NAME      of ns this one alone, as the report calls it (\"nat44 out\")\n"
	"  --rounds N       interleaved rounds (default 9)\n"
	"  --cpu N          CPU to work on (default: the last)\n"
	"  --json FILE      write the figures there\n";

static void on_signal(int sig)
{
	(void)sig;
	bench_stop = 1;
}

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "bench: %s: \"%s\"\n%s", what, word, usage);
	return -EINVAL;
}

static int parse_number(const char *text, unsigned int max, unsigned int *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > max)
		return usage_error("not a number in range", text);
	*ret = n;
	return 0;
}

static bool section_known(const char *name)
{
	static const char *const known[] = {"ns",     "ns-new",  "pps",    "new",
					    "memory", "latency", "install"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return false;
}

/* Ascending, because sessions are added from one to the next. */
static int parse_flows(char *list, struct options *o)
{
	unsigned int n;

	o->flows_count = 0;
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (parse_number(word, BENCH_FLOWS_MAX, &n) < 0)
			return -EINVAL;
		if (o->flows_count == REPORT_FLOWS_MAX || n == 0 ||
		    (o->flows_count && n <= o->flows[o->flows_count - 1]))
			return usage_error("numbers of flows must ascend, at most 8", word);
		o->flows[o->flows_count++] = n;
	}
	return o->flows_count ? 0 : usage_error("no number of flows", "");
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"only", required_argument, NULL, 'o'},   {"flows", required_argument, NULL, 'f'},
		{"rounds", required_argument, NULL, 'r'}, {"cpu", required_argument, NULL, 'c'},
		{"json", required_argument, NULL, 'j'},   {"line", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},         {},
	};
	unsigned int n;
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			o->only = optarg;
			if (!section_known(optarg))
				r = usage_error("no part of the benchmark", optarg);
			break;
		case 'f':
			r = parse_flows(optarg, o);
			break;
		case 'r':
			r = parse_number(optarg, REPORT_ROUNDS_MAX, &o->rounds);
			if (r == 0 && o->rounds == 0)
				r = usage_error("at least one round", optarg);
			break;
		case 'c':
			r = parse_number(optarg, CPU_SETSIZE - 1, &n);
			o->cpu = n;
			break;
		case 'j':
			o->json = optarg;
			break;
		case 'l':
			o->line = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (r == 0 && optind < argc)
		r = usage_error("unexpected word", argv[optind]);
	return r;
}

static int pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0) {
		if (sched_getaffinity(0, sizeof(set), &set) < 0)
			return -errno;
		for (int i = 0; i < CPU_SETSIZE; i++)
			if (CPU_ISSET(i, &set))
				cpu = i;
	}
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		fprintf(stderr, "bench: cannot work on CPU %d: %s\n", cpu, strerror(errno));
		return -errno;
	}
	return cpu;
}

static struct bench_plan make_plan(const struct options *o)
{
	struct bench_plan plan = {
		.rounds = o->rounds, .flows = {1, 1000, 100000, 1000000}, .flows_count = 4};

	if (o->flows_count) {
		memcpy(plan.flows, o->flows, sizeof(plan.flows));
		plan.flows_count = o->flows_count;
	}
	return plan;
}

static unsigned int most(const struct bench_plan *plan)
{
	return plan->flows[plan->flows_count - 1];
}

static bool wanted(const struct options *o, const char *section)
{
	return !o->only || strcmp(o->only, section) == 0;
}

static const struct {
	const char *section, *title;
} tables[] = {
	{"ns", "ns a packet in the program, established session, random flow"},
	{"ns-new", "ns in the program for the first packet of a new session"},
	{"pps", "million packets per second on one CPU, client - gateway - net"},
	{"new", "million first packets of new flows per second on one CPU"},
	{"memory", "bytes of kernel memory a session"},
	{"install", "seconds to fill a map with eight addresses of each domain"},
	{"latency", "us of an echo through a gateway that is fully loaded"},
};

static void print_tables(const struct report *report, size_t *printed)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (report_has(report, tables[i].section, *printed))
			report_print(report, tables[i].section, tables[i].title);
	*printed = report->count;
}

/*
 * In a laboratory of its own: connection tracking forgets nothing in between. @tracked: flows that
 * it has to keep
 */
static int in_lab(int (*part)(const struct bench_plan *, struct lab *, struct report *),
		  const struct bench_plan *plan, unsigned int tracked, struct report *report,
		  size_t *printed)
{
	struct lab lab;
	int r = lab_make(&lab, tracked);

	if (r < 0)
		return r;
	for (enum lab_path p = 0; p < LAB_PATHS; p++)
		if (lab.path[p].missing)
			report_skip(report, lab_path_names[p], lab.path[p].missing);
	r = part(plan, &lab, report);
	lab_done(&lab);
	print_tables(report, printed);
	return r;
}

/* What fills most comes last: the kernel is busy with removing it for a while. */
static int measure(const struct options *o, struct report *report)
{
	struct bench_plan ns = make_plan(o), pps = make_plan(o), latency = make_plan(o);
	size_t printed = 0;
	int r = 0;

	if (!o->flows_count) {
		latency.flows[0] = LATENCY_FLOWS;
		latency.flows_count = 1;
	}
	ns.line = o->line;
	ns.new_only = !wanted(o, "ns");
	pps.new_only = !wanted(o, "pps");
	if (wanted(o, "ns") || wanted(o, "ns-new"))
		r = in_lab(bench_ns, &ns, 0, report, &printed);
	if (r == 0 && wanted(o, "latency"))
		r = in_lab(bench_latency, &latency, most(&latency), report, &printed);
	if (r == 0 && wanted(o, "install"))
		r = bench_install(&pps, report);
	print_tables(report, &printed);
	if (r == 0 && (wanted(o, "pps") || wanted(o, "new") || wanted(o, "memory")))
		r = in_lab(bench_pps, &pps, most(&pps), report, &printed);
	return r;
}

static void print_head(int cpu, unsigned int rounds)
{
	double load[1] = {};

	(void)getloadavg(load, 1);
	printf("fqdnat %s, CPU %d, %u interleaved rounds, load average %.2f%s\n", FQ_VERSION, cpu,
	       rounds, load[0], load[0] > LOAD_QUIET ? ": not quiet, expect a wide spread" : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = ROUNDS_DEFAULT, .cpu = -1};
	struct report report = {.program = argv[0]};
	int r;

	if (parse_options(argc, argv, &o) < 0)
		return 2;
	if (geteuid() != 0) {
		fputs("bench: must be run as root\n", stderr);
		return 1;
	}
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGHUP, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);

	r = pin(o.cpu);
	if (r < 0)
		return 1;
	print_head(r, o.rounds);
	r = measure(&o, &report);
	if (r == 0 && o.json)
		r = report_write(&report, o.json);
	report_done(&report);
	if (r < 0)
		fprintf(stderr, "bench: stopped: %s\n", strerror(-r));
	return r < 0;
}
