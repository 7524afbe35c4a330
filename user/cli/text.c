/* SPDX-License-Identifier: BSD-2-Clause */
/* Text for terminals, see text.h. Pure; called by the printers and the objects' files. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/text.h"

/* Bytes 10xxxxxx continue a code point (RFC 3629 3). */
static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += !continues(*text);
	return width;
}

/* Bytes of the first @columns columns. */
static size_t bytes_of(const char *text, size_t columns)
{
	const char *p = text;

	while (*p && (continues(*p) || columns-- > 0))
		p++;
	return (size_t)(p - text);
}

char *text_printable(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
		/* C1 controls are C2 80 to C2 9F in UTF-8: terminals act on some of them. */
		if ((unsigned char)p[0] == 0xc2 && continues(p[1]) && (unsigned char)p[1] < 0xa0) {
			p[0] = '?';
			p[1] = '?';
		}
	}
	return copy;
}

char *text_shorten(const char *text, size_t width)
{
	size_t columns = text_width(text), head, tail, head_bytes;
	char *cut;

	if (columns <= width)
		return strdup(text);

	head = (width - 3) / 2;
	tail = width - 3 - head;
	head_bytes = bytes_of(text, head);
	if (asprintf(&cut, "%.*s...%s", (int)head_bytes, text,
		     text + bytes_of(text, columns - tail)) < 0)
		return NULL;
	return cut;
}

size_t text_wrap(const char *text, size_t width, const char **ret_next)
{
	size_t fits = bytes_of(text, width), end = fits;

	if (!text[fits]) {
		*ret_next = NULL;
		return fits;
	}

	while (end > 0 && text[end] != ' ')
		end--;
	if (end == 0)
		end = fits;

	*ret_next = text + end + strspn(text + end, " ");
	if (!**ret_next)
		*ret_next = NULL;
	while (end > 0 && text[end - 1] == ' ')
		end--;
	return end;
}

char *text_duration(int64_t seconds)
{
	int64_t s = seconds > 0 ? seconds : 0;
	char *text;
	int r;

	if (s < 60)
		r = asprintf(&text, "%" PRId64 "s", s);
	else if (s < 3600)
		r = asprintf(&text, "%" PRId64 "m%02ds", s / 60, (int)(s % 60));
	else if (s < 86400)
		r = asprintf(&text, "%" PRId64 "h%02dm", s / 3600, (int)(s % 3600 / 60));
	else
		r = asprintf(&text, "%" PRId64 "d%02dh", s / 86400, (int)(s % 86400 / 3600));
	return r < 0 ? NULL : text;
}

char *text_endpoint(const char *address, unsigned int port)
{
	char *text;
	int r;

	if (!address)
		return strdup("-");
	if (!port)
		return text_printable(address);
	if (strchr(address, ':'))
		r = asprintf(&text, "[%s]:%u", address, port);
	else
		r = asprintf(&text, "%s:%u", address, port);
	return r < 0 ? NULL : text;
}

/* Members as "key value, key value", elements as "value, value". */
static char *joined(const json_t *list)
{
	bool object = json_is_object(list);
	void *member = object ? json_object_iter((json_t *)list) : NULL;
	size_t n = object ? json_object_size(list) : json_array_size(list);
	_cleanup_(freep) char *text = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	size_t len;

	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		json_t *value = object ? json_object_iter_value(member) : json_array_get(list, i);
		_cleanup_(freep) char *item = text_value(value);

		if (!item)
			return NULL;
		if (i > 0)
			fputs(", ", f);
		if (object) {
			fprintf(f, "%s ", json_object_iter_key(member));
			member = json_object_iter_next((json_t *)list, member);
		}
		fputs(item, f);
	}
	if (n == 0)
		fputc('-', f);
	if (fclose(TAKE_PTR(f)) != 0)
		return NULL;
	return TAKE_PTR(text);
}

char *text_value(const json_t *value)
{
	char *text = NULL;

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		return text_printable(json_string_value(value));
	case JSON_INTEGER:
		if (asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
			return NULL;
		return text;
	case JSON_REAL:
		if (asprintf(&text, "%.1f", json_real_value(value)) < 0)
			return NULL;
		return text;
	case JSON_TRUE:
		return strdup("yes");
	case JSON_FALSE:
		return strdup("no");
	case JSON_ARRAY:
	case JSON_OBJECT:
		return joined(value);
	case JSON_NULL:
		break;
	}
	return strdup("-");
}

char *text_first(const json_t *value)
{
	_cleanup_(freep) char *first = NULL;
	char *text;

	if (!json_is_array(value) || json_array_size(value) < 2)
		return text_value(value);

	first = text_value(json_array_get(value, 0));
	if (!first || asprintf(&text, "%s (+%zu)", first, json_array_size(value) - 1) < 0)
		return NULL;
	return text;
}
