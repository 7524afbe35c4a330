/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JSON value as a YAML document (block style, YAML 1.2 core schema), as `config show` prints
 * the configuration: what it prints can be read back. Strings are quoted where they could be
 * taken for something else; JSON's quoting is valid in YAML.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "cli/print_impl.h"

#define INDENT 2

/* Letters first, then nothing that YAML gives a meaning to, and no keyword. */
static bool is_plain(const char *text)
{
	static const char *const keywords[] = {"true", "false", "null", "yes", "no",
					       "on",   "off",   "y",    "n"};

	if (!isalpha((unsigned char)*text))
		return false;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (!strcasecmp(text, keywords[i]))
			return false;
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-/", *p))
			return false;
	return true;
}

static void put_string(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
	} else {
		_cleanup_(json_decrefp) json_t *value = json_string(text);

		if (value)
			json_dumpf(value, out, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	}
}

static bool is_block(const json_t *value)
{
	return (json_is_array(value) && json_array_size(value) > 0) ||
	       (json_is_object(value) && json_object_size(value) > 0);
}

static void put_value(FILE *out, const json_t *value, int indent);

static void put_list(FILE *out, const json_t *list, int indent)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *value = json_array_get(list, i);

		fprintf(out, "%*s- ", i > 0 ? indent : 0, "");
		put_value(out, value, indent + INDENT);
	}
}

/* The first member stands where the caller has left the cursor. */
static void put_map(FILE *out, const json_t *map, int indent)
{
	const char *key;
	json_t *value;
	bool first = true;

	json_object_foreach ((json_t *)map, key, value) {
		fprintf(out, "%*s", first ? 0 : indent, "");
		put_string(out, key);
		fputc(':', out);
		first = false;
		if (is_block(value))
			fprintf(out, "\n%*s", indent + INDENT, "");
		else
			fputc(' ', out);
		put_value(out, value, indent + INDENT);
	}
}

static void put_value(FILE *out, const json_t *value, int indent)
{
	if (is_block(value)) {
		if (json_is_array(value))
			put_list(out, value, indent);
		else
			put_map(out, value, indent);
		return;
	}
	if (json_is_string(value))
		put_string(out, json_string_value(value));
	else
		json_dumpf(value, out, JSON_ENCODE_ANY);
	fputc('\n', out);
}

void print_yaml(FILE *out, const json_t *value)
{
	put_value(out, value, 0);
}
