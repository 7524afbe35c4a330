/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may reach what: client by source prefix, grant by client and resource, filter by
 * resource. Reads maps, writes none.
 *
 * Statements M-06, F-01 to F-06, G-21, G-24, A-08 of docs/behaviours.md.
 */
#pragma once

#include "maps.h"
#include "pkt.h"
#include "proxy.h"

/* What somebody wants to use. */
struct policy_ask {
	__u64 now;
	__u32 client;
	__be16 port; /* the resource's; TCP and UDP */
	__u8 proto;
};

/* By what right it is permitted. */
struct policy_right {
	__u32 resource;
};

/* The client with the longest prefix of @addr; NULL: none. Link-local hosts are none's. */
fq_inline const struct fq_client *policy_client(const struct fq_addr *addr)
{
	struct fq_prefix key = {.prefixlen = 128, .addr = *addr};
	__u8 family = addr_is_mapped(addr) ? FQ_AF_INET : FQ_AF_INET6;

	if (addr_is_nobody(addr, family) || addr_is_link_local(addr, family))
		return NULL;
	return bpf_map_lookup_elem(&clients, &key);
}

/*
 * Does a resource's filter permit this protocol and port?
 *
 * Filters of ICMP permit echo, ranges are inclusive, and with any filter other protocols are
 * denied (F-01 to F-05); errors about permitted packets are not asked about here.
 */
fq_inline bool policy_filter_permits(const struct fq_filter *f, __u8 proto, __be16 port)
{
	__u16 n = bpf_ntohs(port);

	if (f->allow_all)
		return true;
	if (proto == FQ_PROTO_ICMP || proto == FQ_PROTO_ICMPV6)
		return f->icmp;
	for (int i = 0; i < FQ_FILTER_RANGES; i++) {
		const struct fq_port_range *range = &f->range[i];

		if (i >= f->ranges)
			break;
		if (range->proto == proto && range->lo <= n && n <= range->hi)
			return true;
	}
	return false;
}

/* Return: FQ_OK with *@ret_right; NOT_GRANTED; FILTERED. */
fq_global enum fq_reason policy_resource(const struct policy_ask *ask, __u32 resource,
					 struct policy_right *ret_right)
{
	struct fq_grant_key key = {.resource = resource};
	const struct fq_grant *grant;
	const struct fq_filter *filter;

	if (!ask || !ret_right)
		return FQ_R_NOT_GRANTED;
	key.client = ask->client;
	grant = bpf_map_lookup_elem(&grants, &key);
	if (!grant || (grant->expires && ask->now >= grant->expires))
		return FQ_R_NOT_GRANTED;
	filter = bpf_map_lookup_elem(&filters, &resource);
	if (!filter)
		return FQ_R_NOT_GRANTED;
	if (!policy_filter_permits(filter, ask->proto, ask->port))
		return FQ_R_FILTERED;
	ret_right->resource = resource;
	return FQ_OK;
}

fq_inline bool policy_xlat_lists(const struct fq_xlat *x, __u32 resource)
{
	for (int i = 0; i < FQ_XLAT_RESOURCES; i++)
		if (i < x->resources && x->resource[i] == resource)
			return true;
	return false;
}

/*
 * The first of a proxy address's resources that permits it (M-06: they are in order of
 * specificity, and one that denies is passed over).
 *
 * Return: FQ_OK with *@ret_right; FILTERED if some resource is granted; else NOT_GRANTED.
 */
static __noinline enum fq_reason policy_xlat(const struct policy_ask *ask, const struct fq_xlat *x,
					     struct policy_right *ret_right)
{
	enum fq_reason r, worst = FQ_R_NOT_GRANTED;

	for (int i = 0; i < FQ_XLAT_RESOURCES; i++) {
		if (i >= x->resources)
			break;
		r = policy_resource(ask, x->resource[i], ret_right);
		if (!r)
			return FQ_OK;
		if (r == FQ_R_FILTERED)
			worst = r;
	}
	return worst;
}
