/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address patterns of resources: which names a resource publishes.
 *
 *	*	any characters within one label (none, too, beside others)
 *	?	exactly one character, not a dot
 *	**	as a whole label: any number of labels, none included
 *
 * A leading "*." or "**." also matches the name without it. Pure; a value type without heap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/dname.h"

#define PATTERN_LABELS_MAX 127 /* as many as a name can have */

struct pattern {
	uint8_t len;                       /* of text */
	uint8_t labels;                    /* number of them */
	uint8_t start[PATTERN_LABELS_MAX]; /* where each begins in text */
	char text[DNAME_LEN_MAX + 1];      /* lower case, no trailing dot, NUL-terminated */
};

/*
 * Parse a pattern, in any case, with or without a trailing dot.
 *
 * Return: 0; -EINVAL: empty, too long, an empty or too long label, a byte that is neither
 * LDH, '_', '*' nor '?', or "**" beside other characters in a label (M-03).
 */
int pattern_parse(const char *text, struct pattern *ret_pattern);

/* Whether @name is published by @p (M-01). Time is at most labels × labels × label length². */
bool pattern_match(const struct pattern *p, const struct dname *name);

/*
 * Total order by specificity, most specific first (M-04, M-05): labels are compared from the
 * right; a pattern that ends goes before one that goes on; a literal label before one with
 * wildcards, '?' before '*' before "**".
 *
 * Return: <0 if @a is more specific, >0 if @b is, 0 if they are the same pattern.
 */
int pattern_compare(const struct pattern *a, const struct pattern *b);

/* The pattern as text, with dots (M-02); lives as long as @p. */
const char *pattern_format(const struct pattern *p);

/*
 * The labels to the right of the last wildcard: every name that matches ends with them.
 * "" if the last label has a wildcard. Lives as long as @p.
 */
const char *pattern_literal_suffix(const struct pattern *p);

/* Literal characters that a label must begin with, or end with. */
struct pattern_part {
	const char *text; /* not terminated; lives as long as the pattern */
	unsigned int len; /* 0: nothing is known */
	bool at_end;
};

/*
 * What some label to the left of pattern_literal_suffix has in every name that matches: the
 * longest literal beginning or end of the pattern's labels there.
 */
struct pattern_part pattern_literal_part(const struct pattern *p);
