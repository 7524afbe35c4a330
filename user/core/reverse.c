/* SPDX-License-Identifier: BSD-2-Clause */
/* Reverse lookup names, see reverse.h. */
#include "core/reverse.h"

#include <string.h>

#define V4_SUFFIX  ".in-addr.arpa"
#define V6_SUFFIX  ".ip6.arpa"
#define V6_NIBBLES 32

/* Length of @name before @suffix; 0: it does not end so. */
static size_t stem_len(const struct dname *name, const char *suffix)
{
	size_t len = strlen(suffix);

	if (name->len <= len || memcmp(name->text + name->len - len, suffix, len) != 0)
		return 0;
	return name->len - len;
}

/* "4.3.2.1" is 1.2.3.4: four decimal octets, least significant first, no leading zero. */
static bool parse_v4(const char *text, size_t len, struct fq_addr *ret_addr)
{
	unsigned char octets[4];
	size_t at = 0;

	for (int i = 3; i >= 0; i--) {
		unsigned int value = 0;
		size_t start = at;

		for (; at < len && text[at] >= '0' && text[at] <= '9' && at - start < 3; at++)
			value = value * 10 + (unsigned int)(text[at] - '0');
		if (at == start || value > 255 || (text[start] == '0' && at - start > 1))
			return false;
		octets[i] = (unsigned char)value;
		if (i && (at >= len || text[at++] != '.'))
			return false;
	}
	if (at != len)
		return false;
	*ret_addr = ipaddr_from_v4(octets);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits with dots between them, least significant first. */
static bool parse_v6(const char *text, size_t len, struct fq_addr *ret_addr)
{
	unsigned char bytes[16] = {0};

	if (len != 2 * V6_NIBBLES - 1)
		return false;
	for (unsigned int i = 0; i < V6_NIBBLES; i++) {
		int digit = hex_digit(text[2 * i]);

		if (digit < 0 || (2 * i + 1 < len && text[2 * i + 1] != '.'))
			return false;
		bytes[15 - i / 2] |= (unsigned char)(i % 2 ? digit << 4 : digit);
	}
	*ret_addr = ipaddr_from_v6(bytes);
	return true;
}

bool reverse_parse(const struct dname *name, struct fq_addr *ret_addr)
{
	size_t len = stem_len(name, V4_SUFFIX);

	if (len)
		return parse_v4(name->text, len, ret_addr);
	len = stem_len(name, V6_SUFFIX);
	return len && parse_v6(name->text, len, ret_addr);
}
