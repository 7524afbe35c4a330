/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The output interface, see print.h: chooses the printer and keeps what both need. Called by
 * every command; knows no object.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "cli/print_impl.h"
#include "cli/text.h"

int printer_new(FILE *out, enum print_form form, size_t width, bool bold,
		struct printer **ret_printer)
{
	struct printer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct printer){
		.ops = form == PRINT_TEXT ? &print_text_ops : &print_json_ops,
		.out = out,
		.form = form,
		.width = width,
		.bold = bold,
	};
	*ret_printer = p;
	return 0;
}

void printer_free(struct printer *p)
{
	if (!p)
		return;
	table_free(p->table);
	free(p);
}

int print_status(const struct printer *p)
{
	return ferror(p->out) ? -EIO : 0;
}

char *print_cell(const struct column *column, const json_t *row)
{
	if (column->format)
		return column->format(row);
	if (column->flags & COLUMN_FIRST)
		return text_first(json_object_get(row, column->key));
	return text_value(json_object_get(row, column->key));
}

int print_begin(struct printer *p, const struct column *columns, size_t n)
{
	assert(n > 0 && n <= TABLE_COLUMNS_MAX);

	p->columns = columns;
	p->n_columns = n;
	p->rows = 0;
	return p->ops->begin(p);
}

int print_row(struct printer *p, json_t *row)
{
	int r = row ? p->ops->row(p, row) : -ENOMEM;

	json_decref(row);
	if (r == 0)
		p->rows++;
	return r;
}

int print_end(struct printer *p)
{
	int r = p->ops->end(p);

	if (r == 0 && fflush(p->out) != 0)
		r = -errno;
	return r;
}

int print_rows(struct printer *p, const struct column *columns, size_t n, const json_t *rows)
{
	int r = print_begin(p, columns, n);

	for (size_t i = 0; r == 0 && i < json_array_size(rows); i++)
		r = print_row(p, json_incref(json_array_get(rows, i)));
	return r == 0 ? print_end(p) : r;
}

int print_record(struct printer *p, const struct column *columns, size_t n, const json_t *record)
{
	int r = p->ops->record(p, columns, n, record);

	if (r == 0 && fflush(p->out) != 0)
		r = -errno;
	return r;
}

int print_records(struct printer *p, const struct column *columns, size_t n, const json_t *records)
{
	int r = 0;

	if (p->form != PRINT_TEXT)
		return print_rows(p, columns, n, records);
	for (size_t i = 0; r == 0 && i < json_array_size(records); i++) {
		if (i > 0)
			fputc('\n', p->out);
		r = print_record(p, columns, n, json_array_get(records, i));
	}
	return r;
}

int print_tree(struct printer *p, const json_t *value)
{
	int r = p->ops->tree(p, value);

	if (r == 0 && fflush(p->out) != 0)
		r = -errno;
	return r;
}

int print_result(struct printer *p, const json_t *value, const char *format, ...)
{
	va_list args;

	if (p->form != PRINT_TEXT)
		return print_tree(p, value);
	va_start(args, format);
	vfprintf(p->out, format, args);
	va_end(args);
	fputc('\n', p->out);
	return fflush(p->out) != 0 ? -errno : print_status(p);
}

int print_event(struct printer *p, const json_t *event)
{
	int r = p->ops->event(p, event);

	if (r == 0 && fflush(p->out) != 0)
		r = -errno;
	return r;
}
