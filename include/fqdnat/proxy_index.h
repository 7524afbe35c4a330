/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where what is known of a proxy address stands: part of the ABI (<fqdnat/abi.h>).
 *
 * Three arrays, each a map of maps whose pages are made as they are needed:
 *
 *     proxies  by scope and number of the address: which elements of the other two are its own
 *     edge     verdicts of the edge
 *     xlat     translations of the gateway
 *
 * The number of an address is its offset in its pool, IPv6 behind IPv4.
 *
 * User space writes, the programs read, without a lock. A verdict is a word. A translation is
 * written to an element that nobody knows, and named then; it is never changed where it stands, and
 * an element that was named is used again only when every program that may know it has ended (a
 * grace period). So what a program finds is whole, and stays what it is until the program ends.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include <fqdnat/abi.h>

/* Elements of a page, by powers of 2: a page of edge or xlat has a megabyte. */
#define PROXY_PAGE_BITS 16
#define EDGE_PAGE_BITS  16
#define XLAT_PAGE_BITS  14

#define PROXY_POOL_BITS   24 /* addresses that a pool can have */
#define PROXY_SCOPE_PAGES (2U << (PROXY_POOL_BITS - PROXY_PAGE_BITS)) /* both pools' */
#define PROXY_PAGES       (FQ_SCOPES_MAX * PROXY_SCOPE_PAGES)
#define EDGE_PAGES        ((2U << (PROXY_POOL_BITS - EDGE_PAGE_BITS)) + 1)
#define XLAT_PAGES        ((2U << (PROXY_POOL_BITS - XLAT_PAGE_BITS)) + 1)

#define PROXY_NONE (~0U)

struct fq_proxy {
	__u32 edge; /* element of edge; 0: the edge knows nothing of the address */
	__u32 xlat; /* element of xlat; 0: no translation */
};

/*
 * The number of @a, which lies in the pool of @mask (both mapped where IPv4). Return: PROXY_NONE:
 * so far behind in a large pool that nobody gets it.
 */
static inline __attribute__((always_inline)) __u32
proxy_number(const struct fq_addr *a, const volatile struct fq_addr *mask, _Bool v4)
{
	__u32 host = bpf_ntohl(a->w[3] & ~mask->w[3]);

	if ((a->w[0] & ~mask->w[0]) | (a->w[1] & ~mask->w[1]) | (a->w[2] & ~mask->w[2]) ||
	    host >> PROXY_POOL_BITS)
		return PROXY_NONE;
	return v4 ? host : 1U << PROXY_POOL_BITS | host;
}

/* The element of proxies. */
static inline __attribute__((always_inline)) __u64 proxy_index(__u32 scope, __u32 number)
{
	return (__u64)scope << (PROXY_POOL_BITS + 1) | number;
}
