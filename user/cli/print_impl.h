/* SPDX-License-Identifier: BSD-2-Clause */
/* Between print.c and the printers: what a printer is made of. For nobody else. */
#pragma once

#include "cli/print.h"

struct printer_ops {
	int (*begin)(struct printer *p);
	int (*row)(struct printer *p, const json_t *row);
	int (*end)(struct printer *p);
	int (*record)(struct printer *p, const struct column *columns, size_t n,
		      const json_t *record);
	int (*tree)(struct printer *p, const json_t *value);
	int (*event)(struct printer *p, const json_t *event);
};

#define TABLE_COLUMNS_MAX 24
#define TABLE_BATCH       512 /* rows laid out together */

/* Of the text printer: cells wait until their columns' widths are known. */
struct table {
	char *cells[TABLE_BATCH * TABLE_COLUMNS_MAX];
	size_t rows;
	size_t widths[TABLE_COLUMNS_MAX];
	unsigned int lines[TABLE_COLUMNS_MAX]; /* on which line of a folded row */
	bool headed;
};

struct printer {
	const struct printer_ops *ops;
	FILE *out;
	enum print_form form;
	size_t width;
	bool bold;

	const struct column *columns; /* of the table being printed */
	size_t n_columns;
	size_t rows; /* printed so far */
	struct table *table;
};

extern const struct printer_ops print_json_ops;
extern const struct printer_ops print_text_ops;

/* 0, or why writing to the file failed. */
int print_status(const struct printer *p);

/* Text of a cell: malloc'd; NULL: no memory. */
char *print_cell(const struct column *column, const json_t *row);

/* Writes @value as YAML (print_tree of the text printer). */
void print_yaml(FILE *out, const json_t *value);

void table_free(struct table *t);
