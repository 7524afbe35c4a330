/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of a proxy address, which user space may be changing: what is found stays what it
 * is until the program ends, see <fqdnat/proxy_index.h>.
 */
#pragma once

#include <fqdnat/proxy_index.h>

#include "maps.h"
#include "pkt.h"

/* Is it a proxy address? The mask of a pool in use begins with ones, also in the mapped form. */
fq_inline bool pool_has(const struct fq_addr *a)
{
	const volatile struct fq_settings *c = &fq_settings;

	if (addr_is_mapped(a))
		return c->pool4_mask.w[0] && (a->w[3] & c->pool4_mask.w[3]) == c->pool4.w[3];
	return c->pool6_mask.w[0] && (a->w[0] & c->pool6_mask.w[0]) == c->pool6.w[0] &&
	       (a->w[1] & c->pool6_mask.w[1]) == c->pool6.w[1] &&
	       (a->w[2] & c->pool6_mask.w[2]) == c->pool6.w[2] &&
	       (a->w[3] & c->pool6_mask.w[3]) == c->pool6.w[3];
}

/* Element @index of an array that is made of pages; NULL: its page is not there. */
#define PAGED(map, index, bits)                                                        \
	({                                                                             \
		__u32 page_ = (index) >> (bits), at_ = (index) & ((1U << (bits)) - 1); \
		void *elements_ = bpf_map_lookup_elem(map, &page_);                    \
                                                                                       \
		elements_ ? bpf_map_lookup_elem(elements_, &at_) : NULL;               \
	})

/* Which elements are the address'; NULL: none. */
static __noinline const struct fq_proxy *proxy_find(__u32 scope, const struct fq_addr *a)
{
	bool v4 = addr_is_mapped(a);
	__u32 number;

	if (!pool_has(a) || scope >= FQ_SCOPES_MAX)
		return NULL;
	number = v4 ? proxy_number(a, &fq_settings.pool4_mask, true)
		    : proxy_number(a, &fq_settings.pool6_mask, false);
	if (number == PROXY_NONE)
		return NULL;
	return PAGED(&proxies, proxy_index(scope, number), PROXY_PAGE_BITS);
}

/* What the edge does with packets to it; NULL: the edge knows nothing of it. */
static __noinline struct fq_edge *proxy_edge(const struct fq_addr *a)
{
	const struct fq_proxy *proxy = proxy_find(0, a);
	__u32 index = proxy ? READ_ONCE(proxy->edge) : 0;

	return index ? PAGED(&edge, index, EDGE_PAGE_BITS) : NULL;
}

/* Its translation in a scope; NULL: it has none. */
static __noinline const struct fq_xlat *proxy_xlat(__u32 scope, const struct fq_addr *a)
{
	const struct fq_proxy *proxy = proxy_find(scope, a);
	__u32 index = proxy ? READ_ONCE(proxy->xlat) : 0;

	return index ? PAGED(&xlat, index, XLAT_PAGE_BITS) : NULL;
}
