/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text printer: tables that fit the width, records, event lines. A row that is too wide
 * for one line is folded: columns with COLUMN_BREAK begin an indented second line, and so
 * does whatever still does not fit. Widths are settled in batches of rows, so memory is
 * bounded; when a later batch needs other widths, columns only grow.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print_impl.h"
#include "cli/text.h"

#define GAP       2  /* columns between columns */
#define INDENT    4  /* of the further lines of a folded row */
#define CELL_MAX  47 /* longer cells are shortened; [IPv6]:port always fits */
#define WRAP_MIN  24 /* room that a wrapped column needs at least */
#define LABEL_GAP 2

static void clear_rows(struct table *t)
{
	for (size_t i = 0; i < TABLE_BATCH * TABLE_COLUMNS_MAX; i++) {
		free(t->cells[i]);
		t->cells[i] = NULL;
	}
	t->rows = 0;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	clear_rows(t);
	free(t);
}

static size_t least_width(const struct column *c, size_t width)
{
	return c->flags & COLUMN_WRAP && width > WRAP_MIN ? WRAP_MIN : width;
}

/* Spread the columns over as many lines as the width asks for; true if that has changed. */
static bool fold(struct printer *p)
{
	struct table *t = p->table;
	unsigned int lines[TABLE_COLUMNS_MAX] = {0}, line = 0;
	size_t used = 0;
	bool folded;

	for (size_t i = 0; i < p->n_columns; i++)
		if (p->columns[i].title)
			used += (used ? GAP : 0) + least_width(&p->columns[i], t->widths[i]);
	folded = used > p->width;

	used = 0;
	for (size_t i = 0; folded && i < p->n_columns; i++) {
		size_t width = least_width(&p->columns[i], t->widths[i]);

		if (!p->columns[i].title)
			continue;
		if (used && (p->columns[i].flags & COLUMN_BREAK || used + GAP + width > p->width)) {
			line++;
			used = INDENT;
		} else if (used) {
			used += GAP;
		}
		used += width;
		lines[i] = line;
	}

	if (!memcmp(lines, t->lines, sizeof(lines)))
		return false;
	memcpy(t->lines, lines, sizeof(lines));
	return true;
}

/* The room from @from to the end of the line, @text wrapped into it. */
static void put_wrapped(struct printer *p, const char *text, size_t from)
{
	size_t room = p->width > from + WRAP_MIN ? p->width - from : WRAP_MIN;

	for (const char *next; text; text = next) {
		size_t len = text_wrap(text, room, &next);

		fprintf(p->out, "%.*s", (int)len, text);
		if (next)
			fprintf(p->out, "\n%*s", (int)from, "");
	}
}

static void put_padding(struct printer *p, size_t columns)
{
	fprintf(p->out, "%*s", (int)columns, "");
}

/* One row; @cells has a text for each column that has a title. */
static void put_row(struct printer *p, char *const *cells)
{
	const struct table *t = p->table;
	size_t at = 0, owed = 0; /* column reached, padding not yet written */
	unsigned int line = 0;
	bool first = true;

	for (size_t i = 0; i < p->n_columns; i++) {
		const struct column *c = &p->columns[i];
		size_t width, pad;

		if (!c->title)
			continue;
		if (!first && t->lines[i] != line) {
			line = t->lines[i];
			fputc('\n', p->out);
			at = 0;
			owed = INDENT;
		} else if (!first) {
			owed += GAP;
		}
		first = false;

		if (c->flags & COLUMN_WRAP) {
			put_padding(p, owed);
			put_wrapped(p, cells[i], at + owed);
			continue;
		}
		width = text_width(cells[i]);
		pad = t->widths[i] > width ? t->widths[i] - width : 0;
		if (c->flags & COLUMN_RIGHT) {
			owed += pad;
			pad = 0;
		}
		put_padding(p, owed);
		fputs(cells[i], p->out);
		at += owed + width;
		owed = pad;
	}
	fputc('\n', p->out);
}

static void put_heading(struct printer *p)
{
	char *titles[TABLE_COLUMNS_MAX] = {NULL};

	for (size_t i = 0; i < p->n_columns; i++)
		titles[i] = (char *)p->columns[i].title;
	if (p->bold)
		fputs("\033[1m", p->out);
	put_row(p, titles);
	if (p->bold)
		fputs("\033[0m", p->out);
}

static int put_batch(struct printer *p)
{
	struct table *t = p->table;
	bool changed;

	for (size_t row = 0; row < t->rows; row++)
		for (size_t i = 0; i < p->n_columns; i++) {
			const char *cell = t->cells[row * TABLE_COLUMNS_MAX + i];
			size_t width = cell ? text_width(cell) : 0;

			if (width > t->widths[i])
				t->widths[i] = width;
		}

	changed = fold(p);
	if (changed || !t->headed)
		put_heading(p);
	t->headed = true;

	for (size_t row = 0; row < t->rows; row++)
		put_row(p, &t->cells[row * TABLE_COLUMNS_MAX]);
	clear_rows(t);
	return print_status(p);
}

static int text_begin(struct printer *p)
{
	table_free(p->table);
	p->table = calloc(1, sizeof(*p->table));
	if (!p->table)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_columns; i++)
		if (p->columns[i].title)
			p->table->widths[i] = text_width(p->columns[i].title);
	return 0;
}

static int text_row(struct printer *p, const json_t *row)
{
	struct table *t = p->table;
	char **cells = &t->cells[t->rows * TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < p->n_columns; i++) {
		const struct column *c = &p->columns[i];
		_cleanup_(freep) char *text = NULL;

		if (!c->title)
			continue;
		text = print_cell(c, row);
		if (!text)
			return -ENOMEM;
		free(cells[i]);
		cells[i] = c->flags & (COLUMN_WRAP | COLUMN_WHOLE) ? TAKE_PTR(text)
								   : text_shorten(text, CELL_MAX);
		if (!cells[i])
			return -ENOMEM;
	}
	return ++t->rows == TABLE_BATCH ? put_batch(p) : 0;
}

static int text_end(struct printer *p)
{
	int r = 0;

	if (!p->table)
		return -ENOMEM;
	if (p->table->rows > 0 || !p->table->headed)
		r = put_batch(p);
	table_free(p->table);
	p->table = NULL;
	return r;
}

/* Bytes of the label: the key without the unit of its number, which the text says. */
static size_t label_len(const struct column *c)
{
	size_t len = strlen(c->key);

	return c->format && len > 2 && !strcmp(c->key + len - 2, "_s") ? len - 2 : len;
}

/* "proxy_addresses" as "proxy addresses:". */
static void put_label(struct printer *p, const struct column *c, size_t width)
{
	size_t len = label_len(c);

	fputs(p->bold ? "\033[1m" : "", p->out);
	for (size_t i = 0; i < len; i++)
		fputc(c->key[i] == '_' ? ' ' : c->key[i], p->out);
	fprintf(p->out, ":%s", p->bold ? "\033[0m" : "");
	put_padding(p, width - len - 1);
}

static int text_record(struct printer *p, const struct column *columns, size_t n,
		       const json_t *record)
{
	size_t width = 0;

	for (size_t i = 0; i < n; i++)
		if (label_len(&columns[i]) > width)
			width = label_len(&columns[i]);
	width += 1 + LABEL_GAP;

	for (size_t i = 0; i < n; i++) {
		struct column whole = columns[i];
		_cleanup_(freep) char *text = NULL;

		if (!json_object_get(record, whole.key))
			continue;
		whole.flags &= ~COLUMN_FIRST;
		text = print_cell(&whole, record);
		if (!text)
			return -ENOMEM;
		put_label(p, &whole, width);
		put_wrapped(p, text, width);
		fputc('\n', p->out);
	}
	return print_status(p);
}

static int text_tree(struct printer *p, const json_t *value)
{
	print_yaml(p->out, value);
	return print_status(p);
}

static int put_member(struct printer *p, const char *key, const json_t *value)
{
	_cleanup_(freep) char *text = text_value(value);
	bool quoted = json_is_string(value) && strpbrk(json_string_value(value), " \"=");

	if (!text)
		return -ENOMEM;
	if (key)
		fprintf(p->out, " %s=", key);
	fprintf(p->out, quoted ? "\"%s\"" : "%s", text);
	return 0;
}

static int text_event(struct printer *p, const json_t *event)
{
	const json_t *name = json_object_get(event, "event");
	const char *key;
	json_t *value;
	int r;

	r = put_member(p, NULL, json_object_get(event, "time"));
	fputc(' ', p->out);
	if (r == 0)
		r = put_member(p, NULL, name);
	json_object_foreach ((json_t *)event, key, value)
		if (r == 0 && strcmp(key, "time") && strcmp(key, "event"))
			r = put_member(p, key, value);
	fputc('\n', p->out);
	return r < 0 ? r : print_status(p);
}

const struct printer_ops print_text_ops = {
	.begin = text_begin,
	.row = text_row,
	.end = text_end,
	.record = text_record,
	.tree = text_tree,
	.event = text_event,
};
