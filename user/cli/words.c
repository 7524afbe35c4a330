/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of the command line, see words.h. Called by the command table and by the objects'
 * files. It never abbreviates: a script that relied on a prefix would break with the next
 * command, so a near word is only suggested.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/words.h"

#define WORD_LEN_MAX 32 /* longer words are not compared: none of ours is near them */

size_t words_find(const char *word, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			break;
	return i;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance; both are at most WORD_LEN_MAX long. Case is ignored. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_LEN_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *now = rows[2];
	size_t la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		last[j] = j;

	for (size_t i = 1; i <= la; i++) {
		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			int ca = tolower((unsigned char)a[i - 1]);
			int cb = tolower((unsigned char)b[j - 1]);

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}

		unsigned int *spare = before;

		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

/* The only word that goes on where the typed one ends, or the reverse: "sess", "delete". */
static const char *unique_completion(const char *word, const char *const *words, size_t n)
{
	const char *found = NULL;
	size_t len = strlen(word);

	for (size_t i = 0; i < n; i++) {
		size_t word_len = strlen(words[i]);

		if (word_len < 3 || strncasecmp(word, words[i], len < word_len ? len : word_len))
			continue;
		if (found)
			return NULL;
		found = words[i];
	}
	return found;
}

const char *words_nearest(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word);
	unsigned int best = len < 3 ? 1 : len < 6 ? 2 : 3;
	const char *found = NULL;

	if (len == 0 || len > WORD_LEN_MAX)
		return NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned int d;

		if (strlen(words[i]) > WORD_LEN_MAX)
			continue;
		d = distance(word, words[i]);
		/* As many changes as letters is another word, not a mistyped one. */
		if (d > best || (found && d == best) || d >= strlen(words[i]) || d >= len + (d < 2))
			continue;
		best = d;
		found = words[i];
	}
	if (found && best < 2)
		return found;
	return unique_completion(word, words, n) ?: found;
}

const char *words_join(const char *const *words, size_t n, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && len < cap; i++) {
		const char *separator = i == 0 ? "" : i + 1 == n ? " or " : ", ";
		int r = snprintf(buf + len, cap - len, "%s%s", separator, words[i]);

		len += r > 0 ? (size_t)r : 0;
	}
	return buf;
}

/* What was typed comes back to a terminal: nothing in it may act there. */
static void defuse(const char *word, char *buf, size_t cap)
{
	size_t len = 0;

	for (; *word && len + 1 < cap; word++)
		buf[len++] = iscntrl((unsigned char)*word) ? '?' : *word;
	buf[len] = '\0';
}

const char *words_unknown(const char *kind, const char *word, const char *const *words, size_t n,
			  char *buf, size_t cap)
{
	const char *nearest = words_nearest(word, words, n);
	char typed[80], expected[320];

	defuse(word, typed, sizeof(typed));
	words_join(words, n, expected, sizeof(expected));
	if (nearest)
		snprintf(buf, cap, "%s '%s' is unknown, did you mean '%s'? expected %s", kind,
			 typed, nearest, expected);
	else
		snprintf(buf, cap, "%s '%s' is unknown, expected %s", kind, typed, expected);
	return buf;
}

static int parse_pair(const char *word, const char *value, const struct word_value *values,
		      size_t n, char error[WORDS_ERROR_LEN])
{
	const char *names[n];
	size_t i;

	for (i = 0; i < n; i++)
		names[i] = values[i].word;

	i = words_find(word, names, n);
	if (i == n) {
		words_unknown("word", word, names, n, error, WORDS_ERROR_LEN);
		return -EINVAL;
	}
	if (*values[i].ret) {
		snprintf(error, WORDS_ERROR_LEN, "'%s' is given twice", names[i]);
		return -EINVAL;
	}
	if (!value || !*value) {
		snprintf(error, WORDS_ERROR_LEN, "'%s' needs a value, expected: %s %s", names[i],
			 names[i], values[i].what);
		return -EINVAL;
	}
	*values[i].ret = value;
	return 0;
}

int words_parse(int argc, char *const *argv, const struct word_value *values, size_t n,
		char error[WORDS_ERROR_LEN])
{
	for (size_t i = 0; i < n; i++)
		*values[i].ret = NULL;

	for (int i = 0; i < argc; i += 2) {
		int r = parse_pair(argv[i], i + 1 < argc ? argv[i + 1] : NULL, values, n, error);

		if (r < 0)
			return r;
	}

	for (size_t i = 0; i < n; i++)
		if (values[i].required && !*values[i].ret) {
			snprintf(error, WORDS_ERROR_LEN, "'%s' is missing, expected: %s %s",
				 values[i].word, values[i].word, values[i].what);
			return -EINVAL;
		}
	return 0;
}

int words_number(const char *word, unsigned long lo, unsigned long hi, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)*word))
		return -EINVAL;
	errno = 0;
	number = strtoul(word, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || number < lo || number > hi)
		return -ERANGE;
	*ret_number = number;
	return 0;
}
