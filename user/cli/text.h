/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for terminals: columns counted in characters, foreign strings made harmless, long ones
 * shortened in the middle. Strings are UTF-8; returned ones are malloc'd, NULL means no memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Columns that @text takes: its code points (names here have no combining or wide ones). */
size_t text_width(const char *text);

/* A copy without control characters, each replaced by '?'. */
char *text_printable(const char *text);

/* At most @width columns: "a-very-l...example" (the ends of names tell them apart). @width > 4. */
char *text_shorten(const char *text, size_t width);

/*
 * The next line of @text for word wrapping at @width columns. A word that is longer stands
 * alone and is cut.
 *
 * @ret_next: where the following line begins; NULL after the last one
 *
 * Return: bytes of this line, without the space at its end.
 */
size_t text_wrap(const char *text, size_t width, const char **ret_next);

/* "45s", "2m05s", "2h04m", "3d07h"; negative counts as 0. */
char *text_duration(int64_t seconds);

/* "192.0.2.1:443", "[2001:db8::1]:443"; without port if that is 0; "-" if @address is NULL. */
char *text_endpoint(const char *address, unsigned int port);

/*
 * A JSON value as people read it: strings printable, null "-", booleans yes or no, lists
 * joined by ", ", the members of an object as "key value".
 */
char *text_value(const json_t *value);

/* The same, but a list as its first element and how many follow: "192.0.2.1 (+3)". */
char *text_first(const json_t *value);
