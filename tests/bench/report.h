/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures: samples of interleaved rounds, their median, spread, and ratios to other figures of
 * the same rounds; printed as a table and written as JSON.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REPORT_ROUNDS_MAX 99
#define REPORT_RATIOS_MAX 4
#define REPORT_FLOWS_MAX  8
#define REPORT_SKIPS_MAX  16

struct figure {
	const char *name, *unit; /* static strings */
	const char *section;     /* value of --only that measures it again */
	unsigned int flows;
	unsigned int rounds;
	double sample[REPORT_ROUNDS_MAX];
	unsigned int ratios;
	struct {
		const char *to; /* name of the other figure */
		double value;   /* median of the rounds' ratios */
	} ratio[REPORT_RATIOS_MAX];
};

/* What could not be measured, and why; static strings. */
struct skipped {
	const char *what, *why;
};

struct report {
	struct figure *figures;
	size_t count;
	const char *program; /* as it was called */
	struct skipped skipped[REPORT_SKIPS_MAX];
	size_t skips;
};

/* A new figure without samples; NULL if there is no memory. Valid until the next call. */
struct figure *report_add(struct report *report, const char *section, const char *name,
			  const char *unit, unsigned int flows);

/* Add the next round's sample. */
void figure_sample(struct figure *f, double value);

/*
 * Set @name's ratio to @to, both of the same flows and rounds. None is set if the middle half of
 * @to's samples varies by more than their own size: it would say nothing.
 */
void report_ratio(struct report *report, const char *name, const char *to, unsigned int flows);

/* Say why something is not measured: on the terminal, and in the JSON. */
void report_skip(struct report *report, const char *what, const char *why);

double figure_median(const struct figure *f);

/* Has a section any figure among those from number @first on? */
bool report_has(const struct report *report, const char *section, size_t first);

/* Print a section's figures: rows are names, columns are flows. */
void report_print(const struct report *report, const char *section, const char *title);

/* Return: 0; negative errno. */
int report_write(const struct report *report, const char *path);
void report_done(struct report *report);
