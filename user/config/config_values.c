/* SPDX-License-Identifier: BSD-2-Clause */
/* Single values of the configuration: numbers, names, addresses, prefixes, ports, times. */
#include "config/config_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/pattern.h"
#include "core/uuid.h"

/* Decimal digits only. Return: whether @text is a number, and no greater than @max. */
static bool parse_number(const char *text, size_t len, unsigned long max, unsigned long *ret_value)
{
	unsigned long value = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

int read_uint(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	char expected[64];
	unsigned long value;

	if (!text || !parse_number(text, strlen(text), key->max, &value) || value < key->min) {
		snprintf(expected, sizeof(expected), "a number from %u to %u", key->min, key->max);
		return reader_expected(rd, node, expected);
	}
	*(unsigned int *)field = (unsigned int)value;
	return 0;
}

/* Names are words of the command line: no spaces, nothing that needs quoting. */
int read_name(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	size_t len = text ? strlen(text) : 0;

	(void)key;
	if (len == 0 || len >= CONFIG_NAME_LEN || !isalnum((unsigned char)text[0]) ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    len)
		return reader_expected(rd, node,
				       "a name of 1 to 63 letters, digits, '.', '_' or '-'");
	memcpy(field, text, len + 1);
	return 0;
}

int read_path(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);

	(void)key;
	if (!text || text[0] != '/')
		return reader_expected(rd, node, "an absolute path");
	if (strlen(text) >= CONFIG_PATH_LEN)
		return reader_expected(rd, node, "a path of at most 107 bytes");
	strcpy(field, text);
	return 0;
}

int read_uuid(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);

	(void)key;
	if (!text || uuid_from_text(text, field) < 0)
		return reader_expected(rd, node,
				       "a UUID such as 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10");
	return 0;
}

int read_pattern(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	struct pattern pattern;

	(void)key;
	if (!text || strlen(text) >= CONFIG_PATTERN_LEN || pattern_parse(text, &pattern) < 0)
		return reader_expected(
			rd, node, "a name, or a pattern such as *.corp.example or **.corp.example");
	strcpy(field, text);
	return 0;
}

bool is_unicast(const struct fq_addr *addr, bool loopback)
{
	if (ipaddr_is_v4(addr)) {
		uint8_t first = addr->b[12];

		return first != 0 && first < 224 && (loopback || first != 127);
	}
	if (addr->b[0] == 0xff || (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80))
		return false;
	for (int i = 0; i < 15; i++)
		if (addr->b[i])
			return true;
	return addr->b[15] > 1 || (addr->b[15] == 1 && loopback);
}

int read_address(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	struct fq_addr addr;

	(void)key;
	if (!text || ipaddr_parse(text, &addr) < 0)
		return reader_expected(rd, node, "an IPv4 or IPv6 address");
	if (!is_unicast(&addr, true))
		return reader_expected(rd, node, "the address of a host");
	memcpy(field, &addr, sizeof(addr));
	return 0;
}

int read_prefix(struct reader *rd, yaml_node_t *node, struct ipprefix *ret_prefix)
{
	const char *text = reader_text(node), *slash = text ? strchr(text, '/') : NULL;
	struct fq_addr addr;
	char base[IPADDR_STRLEN];
	unsigned long len;

	if (text && ipprefix_parse(text, ret_prefix) == 0)
		return 0;
	/* The usual mistake is an address of a host with the length of its network. */
	if (slash && (size_t)(slash - text) < sizeof(base)) {
		memcpy(base, text, (size_t)(slash - text));
		base[slash - text] = '\0';
		if (ipaddr_parse(base, &addr) == 0 &&
		    parse_number(slash + 1, strlen(slash + 1), ipaddr_is_v4(&addr) ? 32 : 128,
				 &len))
			return reader_expected(rd, node, "a prefix without bits behind its length");
	}
	return reader_expected(rd, node, "a prefix such as 192.0.2.0/24 or 2001:db8::/64");
}

/* Split "host:port" and "[host]:port". Return: whether there is a port. */
static bool split_endpoint(const char *text, char host[IPADDR_STRLEN], const char **ret_port)
{
	const char *begin = text, *end = text + strlen(text), *colon = strchr(text, ':');

	*ret_port = NULL;
	if (text[0] == '[') {
		begin = text + 1;
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return false;
		*ret_port = end + 2;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		*ret_port = colon + 1;
	}
	if ((size_t)(end - begin) >= IPADDR_STRLEN)
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return true;
}

int read_endpoint(struct reader *rd, yaml_node_t *node, uint16_t port,
		  struct config_endpoint *ret_endpoint)
{
	static const char expected[] = "an address with an optional port: 192.0.2.1, 192.0.2.1:53, "
				       "2001:db8::1 or [2001:db8::1]:53";
	const char *text = reader_text(node), *port_text;
	struct config_endpoint at = {.port = port};
	char host[IPADDR_STRLEN];
	unsigned long number;

	if (!text || !split_endpoint(text, host, &port_text) || ipaddr_parse(host, &at.addr) < 0)
		return reader_expected(rd, node, expected);
	if (port_text) {
		if (!parse_number(port_text, strlen(port_text), UINT16_MAX, &number) || number == 0)
			return reader_expected(rd, node,
					       "a port from 1 to 65535 after the address");
		at.port = (uint16_t)number;
	}
	*ret_endpoint = at;
	return 0;
}

const char *endpoint_format(const struct config_endpoint *at, char buf[IPADDR_STRLEN + 12])
{
	ipaddr_format(&at->addr, buf);
	snprintf(buf + strlen(buf), 12, " port %u", at->port);
	return buf;
}

int read_port(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	unsigned long value;

	(void)key;
	if (!text || !parse_number(text, strlen(text), UINT16_MAX, &value) || value == 0)
		return reader_expected(rd, node, "a port from 1 to 65535");
	*(uint16_t *)field = (uint16_t)value;
	return 0;
}

int read_port_range(struct reader *rd, yaml_node_t *node, uint16_t *ret_lo, uint16_t *ret_hi)
{
	const char *text = reader_text(node), *dash = text ? strchr(text, '-') : NULL;
	size_t len = dash ? (size_t)(dash - text) : text ? strlen(text) : 0;
	unsigned long lo, hi;

	if (!text || !parse_number(text, len, UINT16_MAX, &lo) || lo == 0)
		return reader_expected(rd, node, "a port or a range of ports such as 8000-8100");
	hi = lo;
	if (dash && (!parse_number(dash + 1, strlen(dash + 1), UINT16_MAX, &hi) || hi == 0))
		return reader_expected(rd, node, "a port or a range of ports such as 8000-8100");
	if (hi < lo)
		return reader_expected(rd, node, "a range with its lesser port first");
	*ret_lo = (uint16_t)lo;
	*ret_hi = (uint16_t)hi;
	return 0;
}

int read_word(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const struct word *words = key->more;
	const char *text = reader_text(node);
	char expected[128] = "one of: ";

	for (const struct word *w = words; w->name; w++) {
		if (text && strcmp(text, w->name) == 0) {
			*(int *)field = w->value;
			return 0;
		}
		if (w != words)
			strcat(expected, ", ");
		strcat(expected, w->name);
	}
	return reader_expected(rd, node, expected);
}

/* Days from 1970-01-01 to the first of a month of the Gregorian calendar. */
static int64_t days_to(int64_t year, unsigned int month)
{
	static const unsigned int before[] = {0,   31,  59,  90,  120, 151,
					      181, 212, 243, 273, 304, 334};
	int64_t y = month > 2 ? year : year - 1; /* of the last leap day that counts */

	return (year - 1970) * 365 + before[month - 1] + (y / 4 - y / 100 + y / 400) -
	       (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static unsigned int days_in(unsigned int year, unsigned int month)
{
	return (unsigned int)(month == 12 ? 31 : days_to(year, month + 1) - days_to(year, month));
}

int config_time_parse(const char *text, time_t *ret_time)
{
	unsigned int year, month, day, hour, minute, second, off_hour = 0, off_minute = 0;
	int64_t t, offset;
	int n = 0;
	char sign = 'Z', pattern[32];

	/* sscanf skips spaces and takes signs: look at the shape first. */
	for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
		pattern[i] = isdigit((unsigned char)text[i]) ? '0' : text[i];
		pattern[i + 1] = '\0';
		if (!text[i])
			break;
	}
	if (strncmp(pattern, "0000-00-00T00:00:00", 19) != 0 ||
	    (strcmp(pattern + 19, "Z") != 0 && strcmp(pattern + 19, "+00:00") != 0 &&
	     strcmp(pattern + 19, "-00:00") != 0))
		return -EINVAL;
	sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%c%n", &year, &month, &day, &hour, &minute, &second,
	       &sign, &n);
	if (sign != 'Z')
		sscanf(text + n, "%2u:%2u", &off_hour, &off_minute);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
	    hour > 23 || minute > 59 || second > 60 || off_hour > 23 || off_minute > 59)
		return -ERANGE;
	offset = (int64_t)off_hour * 3600 + off_minute * 60;
	t = (days_to(year, month) + day - 1) * 86400 + hour * 3600 + minute * 60 + second;
	t -= sign == '-' ? -offset : offset;
	if (t <= 0)
		return -ERANGE;
	*ret_time = t;
	return 0;
}

int read_time(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	int r = text ? config_time_parse(text, field) : -EINVAL;

	(void)key;
	if (reader_is_null(node))
		return 0;
	if (r == -ERANGE)
		return reader_expected(rd, node, "a date and time that exist, after 1970");
	if (r < 0)
		return reader_expected(rd, node, "a time such as 2027-01-01T00:00:00Z");
	return 0;
}
