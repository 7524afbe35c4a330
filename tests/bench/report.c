/* SPDX-License-Identifier: BSD-2-Clause */
/* Median, spread, ratios, table and JSON; see report.h. */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"

struct figure *report_add(struct report *report, const char *section, const char *name,
			  const char *unit, unsigned int flows)
{
	struct figure *grown = reallocarray(report->figures, report->count + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	report->figures = grown;
	grown[report->count] =
		(struct figure){.section = section, .name = name, .unit = unit, .flows = flows};
	return &grown[report->count++];
}

void figure_sample(struct figure *f, double value)
{
	if (f->rounds < REPORT_ROUNDS_MAX)
		f->sample[f->rounds++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which @share of the values lie. */
static double quantile(const double *values, unsigned int n, double share)
{
	double sorted[REPORT_ROUNDS_MAX], at = share * (n ? n - 1 : 0);
	unsigned int below = at;

	if (n == 0)
		return 0;
	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	if (below + 1 >= n)
		return sorted[n - 1];
	return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

static double median(const double *values, unsigned int n)
{
	return quantile(values, n, 0.5);
}

double figure_median(const struct figure *f)
{
	return median(f->sample, f->rounds);
}

static void spread(const struct figure *f, double *ret_min, double *ret_max)
{
	double min = f->sample[0], max = f->sample[0];

	for (unsigned int i = 1; i < f->rounds; i++) {
		min = f->sample[i] < min ? f->sample[i] : min;
		max = f->sample[i] > max ? f->sample[i] : max;
	}
	*ret_min = min;
	*ret_max = max;
}

static struct figure *find(const struct report *report, const char *name, unsigned int flows)
{
	for (size_t i = 0; i < report->count; i++) {
		struct figure *f = &report->figures[i];

		if (f->flows == flows && strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

void report_ratio(struct report *report, const char *name, const char *to, unsigned int flows)
{
	struct figure *f = find(report, name, flows), *other = find(report, to, flows);
	double ratios[REPORT_ROUNDS_MAX], q1, q3;

	if (!f || !other || f->rounds != other->rounds || f->ratios == REPORT_RATIOS_MAX)
		return;
	q1 = quantile(other->sample, other->rounds, 0.25);
	q3 = quantile(other->sample, other->rounds, 0.75);
	if (q1 <= 0 || q3 - q1 > figure_median(other))
		return;
	for (unsigned int i = 0; i < f->rounds; i++)
		ratios[i] = f->sample[i] / other->sample[i];
	f->ratio[f->ratios].to = other->name;
	f->ratio[f->ratios++].value = median(ratios, f->rounds);
}

void report_skip(struct report *report, const char *what, const char *why)
{
	for (size_t i = 0; i < report->skips; i++)
		if (strcmp(report->skipped[i].what, what) == 0)
			return;
	if (report->skips == REPORT_SKIPS_MAX)
		return;
	report->skipped[report->skips++] = (struct skipped){what, why};
	printf("%s: not measured, %s\n", what, why);
}

/* The different numbers of flows of a section, in the order of measuring. */
static unsigned int columns(const struct report *report, const char *section,
			    unsigned int flows[REPORT_FLOWS_MAX])
{
	unsigned int n = 0, j;

	for (size_t i = 0; i < report->count; i++) {
		const struct figure *f = &report->figures[i];

		if (strcmp(f->section, section) != 0)
			continue;
		for (j = 0; j < n && flows[j] != f->flows; j++)
			;
		if (j == n && n < REPORT_FLOWS_MAX)
			flows[n++] = f->flows;
	}
	return n;
}

static void print_cell(const struct figure *f)
{
	char text[48] = "-";
	double min, max;

	if (f) {
		int digits = figure_median(f) < 10 ? 2 : figure_median(f) < 100 ? 1 : 0;

		spread(f, &min, &max);
		snprintf(text, sizeof(text), "%.*f (%.*f..%.*f)", digits, figure_median(f), digits,
			 min, digits, max);
	}
	printf("  %18s", text);
}

static const double *ratio_of(const struct figure *f, const char *to)
{
	for (unsigned int i = 0; f && i < f->ratios; i++)
		if (strcmp(f->ratio[i].to, to) == 0)
			return &f->ratio[i].value;
	return NULL;
}

/* The line of a row's ratios to another, if there is any. */
static void print_ratios(const struct report *report, const char *name, const char *to,
			 const unsigned int *flows, unsigned int n)
{
	bool any = false;

	for (unsigned int i = 0; i < n; i++)
		any |= ratio_of(find(report, name, flows[i]), to) != NULL;
	if (!any)
		return;
	printf("  / %-17s", to);
	for (unsigned int i = 0; i < n; i++) {
		const double *ratio = ratio_of(find(report, name, flows[i]), to);

		if (ratio)
			printf("  %18.2f", *ratio);
		else
			printf("  %18s", "-");
	}
	putchar('\n');
}

static void print_row(const struct report *report, const struct figure *row,
		      const unsigned int *flows, unsigned int n)
{
	printf("%-16s %-4s", row->name, row->unit);
	for (unsigned int i = 0; i < n; i++)
		print_cell(find(report, row->name, flows[i]));
	putchar('\n');
	for (size_t i = 0; i < report->count; i++) {
		const struct figure *to = &report->figures[i];

		if (to->flows == flows[0])
			print_ratios(report, row->name, to->name, flows, n);
	}
}

bool report_has(const struct report *report, const char *section, size_t first)
{
	for (size_t i = first; i < report->count; i++)
		if (strcmp(report->figures[i].section, section) == 0)
			return true;
	return false;
}

void report_print(const struct report *report, const char *section, const char *title)
{
	unsigned int flows[REPORT_FLOWS_MAX];
	unsigned int n = columns(report, section, flows);

	if (n == 0)
		return;
	printf("\n%s: median (min..max)\n%-21s", title, "flows");
	for (unsigned int i = 0; i < n; i++)
		printf("  %18u", flows[i]);
	putchar('\n');
	/* Every name was measured with every number of flows. */
	for (size_t i = 0; i < report->count; i++) {
		const struct figure *f = &report->figures[i];

		if (f->flows == flows[0] && strcmp(f->section, section) == 0)
			print_row(report, f, flows, n);
	}
	fflush(stdout);
}

static json_t *figure_json(const struct report *report, const struct figure *f)
{
	json_t *o, *samples = json_array(), *ratios = json_object();
	double min, max;

	spread(f, &min, &max);
	for (unsigned int i = 0; i < f->rounds; i++)
		json_array_append_new(samples, json_real(f->sample[i]));
	for (unsigned int i = 0; i < f->ratios; i++)
		json_object_set_new(ratios, f->ratio[i].to, json_real(f->ratio[i].value));
	o = json_pack("{s:s, s:i, s:s, s:f, s:f, s:f, s:o, s:o}", "name", f->name, "flows",
		      (int)f->flows, "unit", f->unit, "median", figure_median(f), "min", min, "max",
		      max, "samples", samples, "ratio_to", ratios);
	if (o)
		json_object_set_new(o, "command",
				    json_sprintf("%s --only %s --flows %u", report->program,
						 f->section, f->flows));
	return o;
}

/* The value of the first line of a file that begins with @key, else the whole first line. */
static json_t *line_of(const char *path, const char *key)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		char *value = line;

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		if (*key) {
			value = strchr(line, ':');
			value = value ? value + 1 + strspn(value + 1, " \t") : line;
		}
		return json_string(value);
	}
	return json_null();
}

static json_t *machine_json(void)
{
	time_t now = time(NULL);
	struct utsname uts;
	struct tm tm;
	double load[1] = {};
	char date[32];

	uname(&uts);
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)getloadavg(load, 1);
	return json_pack("{s:s, s:s, s:o, s:i, s:o, s:o, s:f, s:s}", "kernel", uts.release, "arch",
			 uts.machine, "cpu", line_of("/proc/cpuinfo", "model name"), "cpus",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "spectre_v2",
			 line_of("/sys/devices/system/cpu/vulnerabilities/spectre_v2", ""),
			 "bpf_jit_enable", line_of("/proc/sys/net/core/bpf_jit_enable", ""),
			 "load_1min", load[0], "date", date);
}

int report_write(const struct report *report, const char *path)
{
	json_t *figures = json_array(), *skipped = json_object(), *root;
	int r;

	for (size_t i = 0; i < report->count; i++)
		json_array_append_new(figures, figure_json(report, &report->figures[i]));
	for (size_t i = 0; i < report->skips; i++)
		json_object_set_new(skipped, report->skipped[i].what,
				    json_string(report->skipped[i].why));
	root = json_pack("{s:s, s:o, s:o, s:o}", "version", FQ_VERSION, "machine", machine_json(),
			 "figures", figures, "skipped", skipped);
	r = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(root);
	if (r == 0)
		return 0;
	fprintf(stderr, "bench: cannot write %s\n", path);
	return -EIO;
}

void report_done(struct report *report)
{
	free(report->figures);
	*report = (struct report){};
}
