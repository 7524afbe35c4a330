/* SPDX-License-Identifier: BSD-2-Clause */
/* The benchmark of domains: table and JSON, see domains.h. */
#include "domains.h"

#include <stdio.h>

#include <jansson.h>

static const char *const kinds[] = {"known name", "new name", "status"};

/* The median of the rounds' ratios to the smallest edge. */
static double ratio(const struct subject *subjects, ptrdiff_t i, int kind)
{
	const struct figure *f = &subjects[i].cost[kind], *to = &subjects[0].cost[kind];
	struct figure ratios = {};

	for (unsigned int k = 0; k < f->rounds; k++)
		figure_sample(&ratios, f->sample[k] / to->sample[k]);
	return figure_median(&ratios);
}

static double per_input(const struct subject *s, int kind)
{
	return (double)s->actions[kind] / (double)s->inputs[kind];
}

static void print_line(const char *what, const double value[SIZES], int digits)
{
	printf("%-32s", what);
	for (int i = 0; i < SIZES; i++)
		printf("  %12.*f", digits, value[i]);
	putchar('\n');
}

#define LINE(what, digits, expression)                          \
	do {                                                    \
		double value[SIZES];                            \
		for (int i = 0; i < SIZES; i++) {               \
			const struct subject *s = &subjects[i]; \
			value[i] = expression;                  \
		}                                               \
		print_line(what, value, digits);                \
	} while (0)

void domains_print(const struct subject subjects[SIZES])
{
	char what[64];

	LINE("domains", 0, s->domains);
	for (int k = 0; k < KINDS; k++) {
		snprintf(what, sizeof(what), "%s, ns", kinds[k]);
		LINE(what, 0, figure_median(&s->cost[k]));
		LINE("  / fewest domains", 2, ratio(subjects, s - subjects, k));
		LINE("  actions", 2, per_input(s, k));
	}
	LINE("heap, bytes a domain", 0, s->heap);
	LINE("resident, bytes a domain", 0, s->rss);
	LINE("gateway lost, ms", 2, s->lost_ms);
	LINE("  until all domains know, ms", 2, s->walk_ms);
	LINE("  longest slice of it, ms", 2, s->slice_ms);
	LINE("  actions", 0, (double)s->lost_actions);
	LINE("  before a known name's question", 0, (double)s->known_waits);
	LINE("  before a new name's question", 0, (double)s->new_waits);
	LINE("gateway: an input, ns", 0, s->site_ns);
	LINE("  the slowest of all, ms", 2, s->site_worst_ms);
}

static json_t *figure_json(const struct subject *subjects, int i, int kind)
{
	const struct subject *s = &subjects[i];
	json_t *samples = json_array();

	for (unsigned int k = 0; k < s->cost[kind].rounds; k++)
		json_array_append_new(samples, json_real(s->cost[kind].sample[k]));
	return json_pack("{s:s, s:s, s:f, s:f, s:f, s:o}", "name", kinds[kind], "unit", "ns",
			 "median", figure_median(&s->cost[kind]), "ratio_to_fewest",
			 ratio(subjects, i, kind), "actions", per_input(s, kind), "samples",
			 samples);
}

int domains_write(const struct subject subjects[SIZES], const char *path)
{
	json_t *rows = json_array(), *root;
	int r;

	for (int i = 0; i < SIZES; i++) {
		const struct subject *s = &subjects[i];
		json_t *figures = json_array();

		for (int k = 0; k < KINDS; k++)
			json_array_append_new(figures, figure_json(subjects, i, k));
		json_array_append_new(
			rows,
			json_pack("{s:i, s:o, s:f, s:f, s:{s:f, s:f, s:f, s:I, s:I, s:I}, "
				  "s:{s:f, s:f}}",
				  "domains", (int)s->domains, "figures", figures, "heap_bytes_each",
				  s->heap, "resident_bytes_each", s->rss, "gateway_lost",
				  "input_ms", s->lost_ms, "walk_ms", s->walk_ms, "slice_ms",
				  s->slice_ms, "actions", (json_int_t)s->lost_actions,
				  "before_known", (json_int_t)s->known_waits, "before_new",
				  (json_int_t)s->new_waits, "gateway", "input_ns", s->site_ns,
				  "worst_ms", s->site_worst_ms));
	}
	root = json_pack("{s:s, s:o}", "version", FQ_VERSION, "sizes", rows);
	r = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(root);
	if (r < 0)
		fprintf(stderr, "bench-domains: cannot write %s\n", path);
	return r;
}
