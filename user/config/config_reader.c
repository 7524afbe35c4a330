/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a YAML document against tables of keys: maps, lists, and the words of errors. */
#include "config/config_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <uthash.h>

#define SHOWN_LEN 64 /* bytes of a foreign value that an error repeats */
#define WORDS_MAX 32

struct seen {
	UT_hash_handle hh;
	unsigned int index;
	size_t line;
	char key[]; /* "what\ntext" */
};

/* A foreign text for an error: cut, and without what could disturb the reader's terminal. */
static const char *shown(const char *text, char buf[SHOWN_LEN + 4])
{
	size_t n = 0;

	for (; text[n] && n < SHOWN_LEN; n++)
		buf[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f ? '?' : text[n];
	strcpy(buf + n, text[n] ? "..." : "");
	return buf;
}

int reader_error(struct reader *rd, const yaml_node_t *node, const char *format, ...)
{
	int n = snprintf(rd->error, CONFIG_ERROR_LEN, "%s:%zu: %s%s", rd->name,
			 node->start_mark.line + 1, rd->path, rd->path[0] ? ": " : "");
	va_list args;

	if (n < 0 || n >= CONFIG_ERROR_LEN)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(rd->error + n, CONFIG_ERROR_LEN - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

bool reader_is_null(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	text = (const char *)node->data.scalar.value;
	return strcmp(text, "") == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

bool reader_is_empty(const yaml_node_t *node)
{
	return reader_is_null(node) ||
	       (node->type == YAML_SEQUENCE_NODE && reader_count(node) == 0);
}

const char *reader_text(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE || reader_is_null(node))
		return NULL;
	text = (const char *)node->data.scalar.value;
	/* A NUL inside makes it something else than it seems. */
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

int reader_expected(struct reader *rd, const yaml_node_t *node, const char *expected)
{
	const char *text = reader_text(node);
	char buf[SHOWN_LEN + 4];

	if (text)
		return reader_error(rd, node, "\"%s\": expected %s", shown(text, buf), expected);
	return reader_error(rd, node, "expected %s, found %s", expected,
			    node->type == YAML_SEQUENCE_NODE  ? "a list"
			    : node->type == YAML_MAPPING_NODE ? "a map"
							      : "nothing");
}

int reader_scalar(struct reader *rd, yaml_node_t *node, const char *expected, const char **ret_text)
{
	const char *text = reader_text(node);

	if (!text)
		return reader_expected(rd, node, expected);
	*ret_text = text;
	return 0;
}

/* Edit distance of two short words; longer ones are far apart. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[WORDS_MAX + 1];
	size_t n = strlen(b);

	if (n > WORDS_MAX || strlen(a) > WORDS_MAX)
		return WORDS_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned int diagonal = row[0];

		row[0]++;
		for (size_t j = 0; j < n; j++) {
			unsigned int best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *reader_nearest(const char *word, const char *const *words)
{
	unsigned int least = strlen(word) < 5 ? 2 : 3; /* exclusive */
	const char *nearest = NULL;

	for (; *words; words++) {
		/* A forgotten unit is near, too: timeout for timeout_s. */
		bool begins =
			strncmp(*words, word, strlen(word)) == 0 && (*words)[strlen(word)] == '_';
		unsigned int d = begins ? 1 : distance(word, *words);

		if (d < least) {
			least = d;
			nearest = *words;
		}
	}
	return nearest;
}

static int unknown_key(struct reader *rd, const yaml_node_t *node, const struct key *keys)
{
	const char *words[WORDS_MAX + 1] = {NULL}, *nearest;
	char list[256] = "", buf[SHOWN_LEN + 4];
	size_t len = 0;

	for (size_t i = 0; keys[i].name && i < WORDS_MAX; i++) {
		words[i] = keys[i].name;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					keys[i].name);
		if (len >= sizeof(list))
			len = sizeof(list) - 1;
	}
	shown((const char *)node->data.scalar.value, buf);
	nearest = reader_nearest(buf, words);
	if (nearest)
		return reader_error(rd, node, "unknown key \"%s\", did you mean \"%s\"?", buf,
				    nearest);
	return reader_error(rd, node, "unknown key \"%s\", expected one of: %s", buf, list);
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

/* Every key of the file must be in the table, once. */
static int check_keys(struct reader *rd, yaml_node_t *node, const struct key *keys)
{
	const yaml_node_pair_t *begin;

	if (node->type != YAML_MAPPING_NODE)
		return 0;
	begin = node->data.mapping.pairs.start;
	for (const yaml_node_pair_t *p = begin; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *name = yaml_document_get_node(rd->doc, p->key);

		if (!reader_text(name))
			return reader_expected(rd, name, "a key");
		if (!find_key(keys, reader_text(name)))
			return unknown_key(rd, name, keys);
		for (const yaml_node_pair_t *q = begin; q < p; q++) {
			const yaml_node_t *other = yaml_document_get_node(rd->doc, q->key);

			if (strcmp(reader_text(other), reader_text(name)) == 0)
				return reader_error(rd, name,
						    "key \"%s\" is there twice, first in line %zu",
						    reader_text(name), other->start_mark.line + 1);
		}
	}
	return 0;
}

static yaml_node_t *find_value(struct reader *rd, const yaml_node_t *node, const char *name)
{
	if (node->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(rd->doc, p->key);

		if (strcmp(reader_text(key), name) == 0)
			return yaml_document_get_node(rd->doc, p->value);
	}
	return NULL;
}

int reader_map(struct reader *rd, yaml_node_t *node, const struct key *keys, void *target)
{
	size_t before = strlen(rd->path);
	int r;

	if (node->type != YAML_MAPPING_NODE && !reader_is_null(node))
		return reader_expected(rd, node, "a map");
	r = check_keys(rd, node, keys);
	for (; keys->name && r == 0; keys++) {
		yaml_node_t *value = find_value(rd, node, keys->name);

		if (!value && keys->required)
			return reader_error(rd, node, "key \"%s\" is missing", keys->name);
		if (!value)
			continue;
		snprintf(rd->path + before, sizeof(rd->path) - before, "%s%s", before ? "." : "",
			 keys->name);
		r = keys->read(rd, value, keys, (char *)target + keys->offset);
		if (r == 0)
			rd->path[before] = '\0';
	}
	return r;
}

int read_map(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	return reader_map(rd, node, key->more, field);
}

unsigned int reader_count(const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return 0;
	return (unsigned int)(node->data.sequence.items.top - node->data.sequence.items.start);
}

int reader_list(struct reader *rd, yaml_node_t *node, unsigned int max, item_fn fn, void *ctx)
{
	size_t before = strlen(rd->path);
	unsigned int count = reader_count(node);

	if (node->type != YAML_SEQUENCE_NODE && !reader_is_null(node))
		return reader_expected(rd, node, "a list");
	if (count > max)
		return reader_error(rd, node, "%u items, expected at most %u", count, max);
	for (unsigned int i = 0; i < count; i++) {
		yaml_node_item_t item = node->data.sequence.items.start[i];
		int r;

		snprintf(rd->path + before, sizeof(rd->path) - before, "[%u]", i);
		r = fn(rd, yaml_document_get_node(rd->doc, item), ctx);
		if (r < 0)
			return r;
		rd->path[before] = '\0';
	}
	return 0;
}

static struct seen *find_seen(const struct reader *rd, const char *key)
{
	struct seen *entry;

	HASH_FIND_STR(rd->seen, key, entry);
	return entry;
}

/* Namespaces and values are short: names, ids, addresses. */
static void seen_key(char key[512], const char *what, const char *text)
{
	snprintf(key, 512, "%s\n%s", what, text);
}

int reader_unique(struct reader *rd, const yaml_node_t *node, const char *what, const char *text,
		  unsigned int index)
{
	char key[512], buf[SHOWN_LEN + 4];
	struct seen *entry;
	size_t len;

	seen_key(key, what, text);
	entry = find_seen(rd, key);
	if (entry)
		return reader_error(rd, node, "%s \"%s\" is used twice, first in line %zu", what,
				    shown(text, buf), entry->line);
	len = strlen(key);
	entry = malloc(sizeof(*entry) + len + 1);
	if (!entry)
		return -ENOMEM;
	entry->index = index;
	entry->line = node->start_mark.line + 1;
	memcpy(entry->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, rd->seen, entry->key, len, entry);
	return 0;
}

bool reader_find(const struct reader *rd, const char *what, const char *text,
		 unsigned int *ret_index)
{
	const struct seen *entry;
	char key[512];

	seen_key(key, what, text);
	entry = find_seen(rd, key);
	if (entry)
		*ret_index = entry->index;
	return entry;
}

void reader_done(struct reader *rd)
{
	struct seen *entry, *next;

	HASH_ITER (hh, rd->seen, entry, next) {
		HASH_DEL(rd->seen, entry);
		free(entry);
	}
}
