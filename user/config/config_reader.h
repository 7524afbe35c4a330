/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a YAML document against a schema of tables. Included by daemon/config*.c only.
 *
 * Why not libcyaml: release 1.3.1 has no unions (an interface is a name or a map, a filter a word
 * or a map), drops the line of a value once it is loaded, so that contradictions between
 * parts could not name theirs, and reports errors as lines of a log. So libyaml's document is
 * walked with tables of our own: a map is a table of keys, each with the function that reads
 * its value, the place it goes to, and the values it may have.
 *
 * Readers return 0, or -EINVAL (or -ENOMEM) after the first error has been put into words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yaml.h>

#include "config/config.h"

#define READER_PATH_LEN 128

struct reader {
	yaml_document_t *doc;
	const char *name;           /* of the file */
	char *error;                /* CONFIG_ERROR_LEN */
	char path[READER_PATH_LEN]; /* where we are: edge.dns.listen[0] */
	struct config *config;      /* what is being filled in */
	unsigned int index;         /* of the client, resource, ... being read */
	struct seen *seen;          /* names, ids, ... that must be unique: see reader_unique */
};

struct key;

/* Read @node into @field. */
typedef int (*read_fn)(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* A key of a map. */
struct key {
	const char *name;
	read_fn read;
	size_t offset;         /* of the field in the map's struct */
	unsigned int min, max; /* of numbers; max: of list items, of text with its NUL */
	bool required;
	const void *more; /* what else the reader needs */
};

/* A map's keys, ended by one without a name. Keys are read in the table's order, not the file's. */
int reader_map(struct reader *rd, yaml_node_t *node, const struct key *keys, void *target);

/* A key that is a map of its own: key->more is its table. */
int read_map(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* Call @fn for each item of a list. */
typedef int (*item_fn)(struct reader *rd, yaml_node_t *item, void *ctx);
int reader_list(struct reader *rd, yaml_node_t *node, unsigned int max, item_fn fn, void *ctx);

/* The number of items of a list; 0 if it is none. */
unsigned int reader_count(const yaml_node_t *node);

/* A value that was left out ("grants:") or null: an empty map or list, or the default. */
bool reader_is_null(const yaml_node_t *node);

/* The same, or a list without items. */
bool reader_is_empty(const yaml_node_t *node);

/* A scalar's text; NULL if the node is not a scalar, or an empty one. */
const char *reader_text(const yaml_node_t *node);

/* The same, with an error that says what was expected. */
int reader_scalar(struct reader *rd, yaml_node_t *node, const char *expected,
		  const char **ret_text);

/* Say what is wrong at @node: "file:line: path: text". Return: -EINVAL. */
int reader_error(struct reader *rd, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a value: "..., expected @expected". Return: -EINVAL. */
int reader_expected(struct reader *rd, const yaml_node_t *node, const char *expected);

/*
 * Note that @text was used as a @what; refuse it if it was before.
 *
 * @what:      "client name", ...: a namespace, and the word in the error
 * @index:     what reader_find gives for it
 */
int reader_unique(struct reader *rd, const yaml_node_t *node, const char *what, const char *text,
		  unsigned int index);

/* Whether, and with which index, @text was noted. */
bool reader_find(const struct reader *rd, const char *what, const char *text,
		 unsigned int *ret_index);

/* The word of @words (NULL-terminated) or keys that @word was probably meant to be; NULL: none. */
const char *reader_nearest(const char *word, const char *const *words);

void reader_done(struct reader *rd);
