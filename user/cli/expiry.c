/* SPDX-License-Identifier: BSD-2-Clause */
/* When a grant ends, see expiry.h. Times are read as in the configuration (RFC 3339 5.6). */
#include <errno.h>
#include <string.h>

#include "cli/expiry.h"
#include "cli/words.h"
#include "config/config.h"

#define SECONDS_MAX (100UL * 366 * 86400) /* a century: more is a typing error */

/* "8h" */
static int parse_span(const char *word, unsigned long *ret_s)
{
	static const struct {
		char unit;
		unsigned long s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t len = strlen(word);
	char digits[16];
	unsigned long n;

	if (len < 2 || len > sizeof(digits))
		return -EINVAL;
	memcpy(digits, word, len - 1);
	digits[len - 1] = '\0';

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (word[len - 1] != units[i].unit)
			continue;
		if (words_number(digits, 1, SECONDS_MAX / units[i].s, &n) < 0)
			return -EINVAL;
		*ret_s = n * units[i].s;
		return 0;
	}
	return -EINVAL;
}

int expiry_parse(const char *word, time_t now, char ret[EXPIRY_LEN])
{
	unsigned long span_s;
	struct tm tm;
	time_t t;

	if (parse_span(word, &span_s) == 0)
		t = now + (time_t)span_s;
	else if (config_time_parse(word, &t) < 0)
		return -EINVAL;
	if (!gmtime_r(&t, &tm) || !strftime(ret, EXPIRY_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return -EINVAL;
	return 0;
}
