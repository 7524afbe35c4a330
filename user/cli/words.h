/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of the command line: looking them up exactly, naming a wrong one together with what
 * was expected, and `word value` pairs. Pure: no output, no exit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define WORDS_ERROR_LEN 512

/*
 * A word that takes a value: "client A".
 *
 * @word:     as typed
 * @what:     what stands for the value in help and errors
 * @required: an error if it is missing
 * @ret:      where the value goes; NULL there means not given; points into argv
 */
struct word_value {
	const char *word;
	const char *what;
	bool required;
	const char **ret;
};

/* Index of @word in @words (exact), or @n. */
size_t words_find(const char *word, const char *const *words, size_t n);

/*
 * The candidate that a mistyped word most probably meant: a unique beginning of it, or a
 * small distance (insert, delete, replace, swap of neighbours) for its length.
 *
 * Return: one of @words; NULL if none is near.
 */
const char *words_nearest(const char *word, const char *const *words, size_t n);

/* "a, b or c" into @buf (cut at @cap). Returns @buf. */
const char *words_join(const char *const *words, size_t n, char *buf, size_t cap);

/*
 * The sentence for a wrong word: `KIND 'WORD' is unknown, did you mean 'X'? expected a, b or c`.
 * Control characters of @word are replaced. Returns @buf.
 */
const char *words_unknown(const char *kind, const char *word, const char *const *words, size_t n,
			  char *buf, size_t cap);

/*
 * Parse `word value` pairs, each at most once, in any order.
 *
 * @error: what was wrong and what was expected; written on failure only
 *
 * Return: 0; -EINVAL.
 */
int words_parse(int argc, char *const *argv, const struct word_value *values, size_t n,
		char error[WORDS_ERROR_LEN]);

/*
 * A whole decimal number within bounds; no sign, no space.
 *
 * Return: 0; -EINVAL; -ERANGE.
 */
int words_number(const char *word, unsigned long lo, unsigned long hi, unsigned long *ret_number);
