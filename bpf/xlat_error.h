/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors between IPv4 and IPv6: which message says the same in the other family, and the last
 * four bytes of its header.
 *
 * Pure: no helper, no map. The quoted packet is icmp_cross.h's.
 *
 * RFC 7915 4.2, 5.2, 6; RFC 1191 7.1 (plateaus).
 */
#pragma once

#include "xlat.h"

/* What the last four bytes of an ICMP header become. */
enum xlat_rest {
	XLAT_DROP, /* such a message has no counterpart */
	XLAT_UNUSED,
	XLAT_MTU,
	XLAT_POINTER,
	XLAT_NEXT_HEADER, /* points to that field of the IPv6 header */
};

/* An ICMP error's head. */
struct xlat_icmp {
	__u8 type;
	__u8 code;
	__u8 rest; /* enum xlat_rest */
};

/* clang-format off: tables */

/* RFC 7915 4.2: Destination Unreachable, by code. */
static const struct xlat_icmp xlat_unreachable4[] = {
	[0] = {1, 0, XLAT_UNUSED},  [1] = {1, 0, XLAT_UNUSED},  [2] = {4, 1, XLAT_NEXT_HEADER},
	[3] = {1, 4, XLAT_UNUSED},  [4] = {2, 0, XLAT_MTU},     [5] = {1, 0, XLAT_UNUSED},
	[6] = {1, 0, XLAT_UNUSED},  [7] = {1, 0, XLAT_UNUSED},  [8] = {1, 0, XLAT_UNUSED},
	[9] = {1, 1, XLAT_UNUSED},  [10] = {1, 1, XLAT_UNUSED}, [11] = {1, 0, XLAT_UNUSED},
	[12] = {1, 0, XLAT_UNUSED}, [13] = {1, 1, XLAT_UNUSED}, [14] = {0, 0, XLAT_DROP},
	[15] = {1, 1, XLAT_UNUSED},
};

/* RFC 7915 5.2: the same of ICMPv6. */
static const struct xlat_icmp xlat_unreachable6[] = {
	[0] = {3, 1, XLAT_UNUSED}, [1] = {3, 10, XLAT_UNUSED}, [2] = {3, 1, XLAT_UNUSED},
	[3] = {3, 1, XLAT_UNUSED}, [4] = {3, 3, XLAT_UNUSED},
};

/* RFC 7915 figures 3 and 6: where the same field stands in both headers; others have no match. */
static const struct xlat_field {
	__u8 first4, last4;
	__u8 first6, last6;
} xlat_fields[] = {
	{0, 0, 0, 0},     /* version */
	{1, 1, 1, 1},     /* type of service, traffic class */
	{2, 3, 4, 5},     /* total length, payload length */
	{8, 8, 7, 7},     /* time to live, hop limit */
	{9, 9, 6, 6},     /* protocol, next header */
	{12, 15, 8, 23},  /* source */
	{16, 19, 24, 39}, /* destination */
};

/* clang-format on */

#define XLAT_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define XLAT_NOWHERE 0xff

/* Likely MTUs (RFC 1191 7.1) that IPv6 knows, greatest first. */
static const __u16 xlat_plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, IP6_MTU_MIN};

/* An error of IPv4 in IPv6's words; XLAT_DROP: there are none. */
fq_inline struct xlat_icmp xlat_icmp4(__u8 type, __u8 code)
{
	switch (type) {
	case ICMP_UNREACHABLE:
		return code < XLAT_COUNT(xlat_unreachable4) ? xlat_unreachable4[code]
							    : (struct xlat_icmp){};
	case ICMP_EXCEEDED:
		return (struct xlat_icmp){ICMP6_EXCEEDED, code, XLAT_UNUSED};
	case ICMP_PARAMETER:
		if (code == 0 || code == 2) /* pointer indicates the error; bad length */
			return (struct xlat_icmp){ICMP6_PARAMETER, 0, XLAT_POINTER};
	}
	return (struct xlat_icmp){};
}

fq_inline struct xlat_icmp xlat_icmp6(__u8 type, __u8 code)
{
	switch (type) {
	case ICMP6_UNREACHABLE:
		return code < XLAT_COUNT(xlat_unreachable6) ? xlat_unreachable6[code]
							    : (struct xlat_icmp){};
	case ICMP6_TOO_BIG:
		return (struct xlat_icmp){ICMP_UNREACHABLE, 4, XLAT_MTU};
	case ICMP6_EXCEEDED:
		return (struct xlat_icmp){ICMP_EXCEEDED, code, XLAT_UNUSED};
	case ICMP6_PARAMETER:
		if (code == 0)
			return (struct xlat_icmp){ICMP_PARAMETER, 0, XLAT_POINTER};
		if (code == 1)
			return (struct xlat_icmp){ICMP_UNREACHABLE, 2, XLAT_UNUSED};
	}
	return (struct xlat_icmp){};
}

/*
 * The MTU of a Fragmentation Needed to an IPv6 sender. Routers older than RFC 1191 give none: then
 * the next plateau below what they could not forward is likely.
 *
 * @total: length of the quoted packet by its own header
 */
fq_inline __u32 xlat_mtu4(__u16 mtu, __u16 total)
{
	for (__u32 i = 0; !mtu && i < XLAT_COUNT(xlat_plateaus); i++)
		if (xlat_plateaus[i] < total)
			mtu = xlat_plateaus[i];
	return xlat_mtu(mtu, FQ_AF_INET6, 0);
}

/* The MTU of a Packet Too Big to an IPv4 sender. */
fq_inline __u16 xlat_mtu6(__u32 mtu)
{
	return xlat_mtu(mtu > 0xffff ? 0xffff : mtu, FQ_AF_INET, 0);
}

/* The byte at which a pointer into an IPv4 header points in an IPv6 header; XLAT_NOWHERE. */
fq_inline __u32 xlat_pointer4(__u32 pointer)
{
	__u32 to = XLAT_NOWHERE;

	for (__u32 i = 0; i < XLAT_COUNT(xlat_fields); i++)
		if (xlat_fields[i].first4 <= pointer && pointer <= xlat_fields[i].last4)
			to = xlat_fields[i].first6;
	return to;
}

fq_inline __u32 xlat_pointer6(__u32 pointer)
{
	__u32 to = XLAT_NOWHERE;

	for (__u32 i = 0; i < XLAT_COUNT(xlat_fields); i++)
		if (xlat_fields[i].first6 <= pointer && pointer <= xlat_fields[i].last6)
			to = xlat_fields[i].first4;
	return to;
}

/*
 * The last four bytes of an ICMPv4 error's header in IPv6's words.
 *
 * @kind:  what xlat_icmp4 said
 * @rest:  as in the packet
 * @total: see xlat_mtu4
 *
 * Return: false: it points to nothing that IPv6 has, and is dropped.
 */
fq_inline bool xlat_rest4(__u8 kind, __be32 rest, __u16 total, __be32 *ret_rest)
{
	__u32 value = bpf_ntohl(rest);

	switch (kind) {
	case XLAT_UNUSED:
		value = 0;
		break;
	case XLAT_MTU:
		value = xlat_mtu4(value & 0xffff, total);
		break;
	case XLAT_POINTER:
		value = xlat_pointer4(value >> 24);
		if (value == XLAT_NOWHERE)
			return false;
		break;
	case XLAT_NEXT_HEADER:
		value = offsetof(struct fq_ip6, next_header);
		break;
	default:
		return false;
	}
	*ret_rest = bpf_htonl(value);
	return true;
}

/* The same for an ICMPv6 error. */
fq_inline bool xlat_rest6(__u8 kind, __be32 rest, __be32 *ret_rest)
{
	__u32 value = bpf_ntohl(rest);

	switch (kind) {
	case XLAT_UNUSED:
		value = 0;
		break;
	case XLAT_MTU:
		value = xlat_mtu6(value);
		break;
	case XLAT_POINTER:
		value = xlat_pointer6(value);
		if (value == XLAT_NOWHERE)
			return false;
		value <<= 24;
		break;
	default:
		return false;
	}
	*ret_rest = bpf_htonl(value);
	return true;
}
