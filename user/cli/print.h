/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output interface: what a command has to say, whatever form was asked for. Commands give
 * JSON objects with the documented keys; the text printer lays them out as tables, the JSON
 * printer writes them as they are. Both write while rows come, so a million sessions do not
 * pile up in memory.
 *
 * A command calls either print_begin, print_row for each row, print_end; or print_record;
 * or print_records; or print_tree; or print_result; or print_event any number of times.
 *
 * All functions return 0 or negative errno (-ENOMEM, or what writing to the file gave).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "base/cleanup.h"

#define PRINT_WIDTH 100 /* columns of a table, unless the terminal is wider */

enum print_form {
	PRINT_TEXT,
	PRINT_JSON,        /* one line */
	PRINT_JSON_PRETTY, /* indented */
};

enum column_flag {
	COLUMN_RIGHT = 1 << 0, /* numbers */
	COLUMN_FIRST = 1 << 1, /* of a list only the first element and how many follow */
	COLUMN_WRAP = 1 << 2,  /* last column only: wrapped into the room that is left */
	COLUMN_BREAK = 1 << 3, /* if rows have to be folded, a second line begins here */
	COLUMN_WHOLE = 1 << 4, /* never shortened */
};

/*
 * A column of a table, or a line of a record.
 *
 * @title:  heading in a table; NULL: not in tables
 * @key:    of the value in a row; with '_' as ' ' the label in a record
 * @flags:  enum column_flag
 * @format: text of the cell where the value alone does not say it; malloc'd, NULL: no memory
 */
struct column {
	const char *title;
	const char *key;
	unsigned int flags;
	char *(*format)(const json_t *row);
};

struct printer;

/*
 * @out:   where it goes; not owned
 * @width: columns of a table, at least 60
 * @bold:  titles stand out (the file is a terminal)
 */
int printer_new(FILE *out, enum print_form form, size_t width, bool bold,
		struct printer **ret_printer);
void printer_free(struct printer *p);

/* @columns stay valid until print_end. */
int print_begin(struct printer *p, const struct column *columns, size_t n);
/* Takes @row over, also on failure. NULL counts as out of memory. */
int print_row(struct printer *p, json_t *row);
int print_end(struct printer *p);

/* All elements of @rows (an array; borrowed) as rows. */
int print_rows(struct printer *p, const struct column *columns, size_t n, const json_t *rows);

/* One object, a line for each column that it has a value for. @record is borrowed. */
int print_record(struct printer *p, const struct column *columns, size_t n, const json_t *record);

/* Some objects, each with all it has: an array in JSON, records in text. Borrowed. */
int print_records(struct printer *p, const struct column *columns, size_t n, const json_t *records);

/* Any value; as text in the form of a YAML document. Borrowed. */
int print_tree(struct printer *p, const json_t *value);

/* A result that is one sentence: the sentence in text, @value (borrowed) in JSON. */
int print_result(struct printer *p, const json_t *value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * One event of a live stream, on a line of its own, written out at once. Members "time" and
 * "event" stand first in text. Borrowed.
 */
int print_event(struct printer *p, const json_t *event);

DEFINE_CLEANUP(struct printer *, printer_free)
