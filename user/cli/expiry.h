/* SPDX-License-Identifier: BSD-2-Clause */
/* When a grant ends, as it is typed. Pure: the caller says what time it is. */
#pragma once

#include <time.h>

#define EXPIRY_LEN 24 /* "2027-01-01T00:00:00Z" and its NUL */

/*
 * @word: RFC 3339 with seconds and Z or an offset, or a number with s, m, h or d: that long
 *        after @now
 * @now:  the current time
 * @ret:  RFC 3339 in UTC, as the daemon takes it
 *
 * A time in the past is valid: such a grant is there and expired.
 *
 * Return: 0; -EINVAL.
 */
int expiry_parse(const char *word, time_t now, char ret[EXPIRY_LEN]);
