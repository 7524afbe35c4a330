/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The JSON printer: one value on standard output, RFC 8259, in the order the keys were given.
 * Rows are written as they come; the columns of tables do not matter here.
 */
#include <errno.h>
#include <string.h>

#include "cli/print_impl.h"

#define INDENT 2

static size_t flags(const struct printer *p)
{
	return JSON_ENCODE_ANY |
	       (p->form == PRINT_JSON_PRETTY ? JSON_INDENT(INDENT) : JSON_COMPACT);
}

/* @value, its lines after the first moved right by @indent. */
static int put(struct printer *p, const json_t *value, int indent)
{
	_cleanup_(freep) char *text = json_dumps(value, flags(p));

	if (!text)
		return -ENOMEM;
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		fputs(line, p->out);
		if (next)
			fprintf(p->out, "\n%*s", indent, "");
	}
	return print_status(p);
}

static int json_begin(struct printer *p)
{
	fputc('[', p->out);
	return print_status(p);
}

static int json_row(struct printer *p, const json_t *row)
{
	bool pretty = p->form == PRINT_JSON_PRETTY;

	if (p->rows > 0)
		fputc(',', p->out);
	if (pretty)
		fprintf(p->out, "\n%*s", INDENT, "");
	return put(p, row, INDENT);
}

static int json_end(struct printer *p)
{
	if (p->form == PRINT_JSON_PRETTY && p->rows > 0)
		fputc('\n', p->out);
	fputs("]\n", p->out);
	return print_status(p);
}

static int json_value(struct printer *p, const json_t *value)
{
	int r = put(p, value, 0);

	fputc('\n', p->out);
	return r < 0 ? r : print_status(p);
}

static int json_record(struct printer *p, const struct column *columns, size_t n,
		       const json_t *record)
{
	(void)columns;
	(void)n;
	return json_value(p, record);
}

const struct printer_ops print_json_ops = {
	.begin = json_begin,
	.row = json_row,
	.end = json_end,
	.record = json_record,
	.tree = json_value,
	.event = json_value,
};
