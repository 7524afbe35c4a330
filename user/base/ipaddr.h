/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and prefixes in the form of the maps: struct fq_addr, IPv4 kept IPv4-mapped
 * (RFC 4291 2.5.5.2). Text is RFC 5952 for IPv6 and dotted decimal for IPv4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <fqdnat/abi.h>

#define IPADDR_STRLEN 46

struct ipprefix {
	struct fq_addr addr; /* host bits zero */
	unsigned int len;    /* 0..128 in the mapped form; IPv4 /n is 96 + n */
};

static inline bool ipaddr_is_v4(const struct fq_addr *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == __builtin_bswap32(0xffff);
}

static inline bool ipaddr_is_zero(const struct fq_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

/* Total order: bytewise, so IPv4 sorts by value. Return: <0, 0, >0. */
int ipaddr_cmp(const struct fq_addr *a, const struct fq_addr *b);

static inline bool ipaddr_equal(const struct fq_addr *a, const struct fq_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* From 4 bytes / 16 bytes in network order. */
struct fq_addr ipaddr_from_v4(const void *bytes);
struct fq_addr ipaddr_from_v6(const void *bytes);

/* Parse "192.0.2.1" or "2001:db8::1". Return: 0; -EINVAL. */
int ipaddr_parse(const char *text, struct fq_addr *ret_addr);

/* Print into @buf; returns @buf. */
const char *ipaddr_format(const struct fq_addr *a, char buf[IPADDR_STRLEN]);

/* Parse "192.0.2.0/24" or a single address. Return: 0; -EINVAL (also: host bits set). */
int ipprefix_parse(const char *text, struct ipprefix *ret_prefix);

/* "192.0.2.0/24"; @buf holds at least IPADDR_STRLEN + 4. Returns @buf. */
const char *ipprefix_format(const struct ipprefix *p, char *buf, size_t cap);

bool ipprefix_contains(const struct ipprefix *p, const struct fq_addr *a);
bool ipprefix_overlaps(const struct ipprefix *a, const struct ipprefix *b);

/* The mask of a prefix length in the mapped form (0..128). */
struct fq_addr ipprefix_mask(unsigned int len);

/* @a + @n in its last 32 bits with carry into the 128-bit number. */
struct fq_addr ipaddr_add(const struct fq_addr *a, uint64_t n);

/*
 * To and from a socket address. @port: host order.
 * Return of from: 0; -EAFNOSUPPORT.
 */
socklen_t ipaddr_to_sockaddr(const struct fq_addr *a, uint16_t port,
			     struct sockaddr_storage *ret_sa);
int ipaddr_from_sockaddr(const struct sockaddr *sa, struct fq_addr *ret_addr, uint16_t *ret_port);
