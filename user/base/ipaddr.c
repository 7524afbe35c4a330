/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and prefixes, see ipaddr.h. */
#include "base/ipaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ipaddr_cmp(const struct fq_addr *a, const struct fq_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

struct fq_addr ipaddr_from_v4(const void *bytes)
{
	struct fq_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

	memcpy(a.b + 12, bytes, 4);
	return a;
}

struct fq_addr ipaddr_from_v6(const void *bytes)
{
	struct fq_addr a;

	memcpy(a.b, bytes, 16);
	return a;
}

int ipaddr_parse(const char *text, struct fq_addr *ret_addr)
{
	unsigned char bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*ret_addr = ipaddr_from_v4(bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*ret_addr = ipaddr_from_v6(bytes);
	else
		return -EINVAL;
	return 0;
}

const char *ipaddr_format(const struct fq_addr *a, char buf[IPADDR_STRLEN])
{
	if (ipaddr_is_v4(a))
		return inet_ntop(AF_INET, a->b + 12, buf, IPADDR_STRLEN);
	return inet_ntop(AF_INET6, a->b, buf, IPADDR_STRLEN);
}

struct fq_addr ipprefix_mask(unsigned int len)
{
	struct fq_addr mask = {0};

	for (unsigned int i = 0; i < 16; i++) {
		unsigned int bits = len > 8 * i ? len - 8 * i : 0;

		mask.b[i] = bits >= 8 ? 0xff : (unsigned char)(0xff00 >> bits);
	}
	return mask;
}

int ipprefix_parse(const char *text, struct ipprefix *ret_prefix)
{
	char host[IPADDR_STRLEN];
	const char *slash = strchrnul(text, '/');
	struct ipprefix p;
	unsigned int bits;

	if ((size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, slash - text);
	host[slash - text] = '\0';
	if (ipaddr_parse(host, &p.addr) < 0)
		return -EINVAL;

	bits = ipaddr_is_v4(&p.addr) ? 32 : 128;
	p.len = bits;
	if (*slash) {
		char *end;
		unsigned long n = strtoul(slash + 1, &end, 10);

		if (slash[1] < '0' || slash[1] > '9' || *end || n > bits)
			return -EINVAL;
		p.len = n;
	}
	p.len += 128 - bits;

	struct fq_addr mask = ipprefix_mask(p.len);

	for (unsigned int i = 0; i < 16; i++)
		if (p.addr.b[i] & ~mask.b[i])
			return -EINVAL;
	*ret_prefix = p;
	return 0;
}

const char *ipprefix_format(const struct ipprefix *p, char *buf, size_t cap)
{
	char host[IPADDR_STRLEN];
	bool v4 = ipaddr_is_v4(&p->addr) && p->len >= 96;

	snprintf(buf, cap, "%s/%u", ipaddr_format(&p->addr, host), v4 ? p->len - 96 : p->len);
	return buf;
}

bool ipprefix_contains(const struct ipprefix *p, const struct fq_addr *a)
{
	struct fq_addr mask = ipprefix_mask(p->len);

	for (unsigned int i = 0; i < 4; i++)
		if ((a->w[i] & mask.w[i]) != p->addr.w[i])
			return false;
	return true;
}

bool ipprefix_overlaps(const struct ipprefix *a, const struct ipprefix *b)
{
	return a->len <= b->len ? ipprefix_contains(a, &b->addr) : ipprefix_contains(b, &a->addr);
}

struct fq_addr ipaddr_add(const struct fq_addr *a, uint64_t n)
{
	struct fq_addr sum = *a;

	for (int i = 15; i >= 0 && n; i--) {
		n += sum.b[i];
		sum.b[i] = (unsigned char)n;
		n >>= 8;
	}
	return sum;
}

socklen_t ipaddr_to_sockaddr(const struct fq_addr *a, uint16_t port,
			     struct sockaddr_storage *ret_sa)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ret_sa;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret_sa;

	if (ipaddr_is_v4(a)) {
		*sin = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&sin->sin_addr, a->b + 12, 4);
		return sizeof(*sin);
	}
	*sin6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&sin6->sin6_addr, a->b, 16);
	return sizeof(*sin6);
}

int ipaddr_from_sockaddr(const struct sockaddr *sa, struct fq_addr *ret_addr, uint16_t *ret_port)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;

		*ret_addr = ipaddr_from_v4(&sin->sin_addr);
		*ret_port = ntohs(sin->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;

		*ret_addr = ipaddr_from_v6(&sin6->sin6_addr);
		*ret_port = ntohs(sin6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}
