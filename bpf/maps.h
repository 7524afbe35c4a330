/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps and the settings: what the programs share with user space and with each other.
 *
 * Names are names of pins; keys and values are in <fqdnat/abi.h>. Sizes are defaults, the loader
 * sets those of sessions by the configuration.
 *
 * Sessions are preallocated: making one takes no memory and a full table is full at the
 * stated number. It is no LRU map, because that would end live sessions to make room (RFC
 * 6888 REQ-11). What is written by administrators is not preallocated: it is small, and its
 * limits are large.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>
#include <fqdnat/dns_index.h>
#include <fqdnat/proxy_index.h>
#include <fqdnat/reason.h>
#include <fqdnat/session.h>

#define FQ_SLOTS_DEFAULT 655360 /* of 262144 sessions */

const volatile struct fq_settings fq_settings;

/*
 * A function that the verifier looks at once, not once for every state in which it is called: that
 * is the difference between its cost being the sum and being the product of the path's steps. In
 * exchange it knows nothing of the arguments: pointers may be NULL, and what they point to may be
 * anything, before and after. Up to kernel 6.3 it is no key or value for a map's helper, either.
 */
#define fq_global __attribute__((noinline))

/* The session table: elements of the same index belong together. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FQ_SLOTS_DEFAULT);
	__type(key, __u32);
	__type(value, struct fq_slot);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FQ_SLOTS_DEFAULT);
	__type(key, __u32);
	__type(value, struct fq_cold);
} sessions_cold SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FQ_SLOTS_DEFAULT);
	__type(key, __u32);
	__type(value, struct fq_slot6);
} sessions_six SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FQ_TOMBSTONES_MAX);
	__type(key, struct fq_tuple);
	__type(value, struct fq_tombstone);
} tombstones SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct fq_prefix);
	__type(value, struct fq_client);
} clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4 * 65536);
	__type(key, struct fq_grant_key);
	__type(value, struct fq_grant);
} grants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FQ_RESOURCES_MAX);
	__type(key, __u32);
	__type(value, struct fq_filter);
} filters SEC(".maps");

/*
 * What is known of proxy addresses: see proxy_index.h. Pages are made by user space, and without
 * types, as these are: to Linux 6.1 a map that has some is not like one that has none.
 */
#define PAGE_OF(name, bits, of)                    \
	struct name {                              \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1U << (bits)); \
		__uint(key_size, sizeof(__u32));   \
		__uint(value_size, sizeof(of));    \
	}

PAGE_OF(proxy_page, PROXY_PAGE_BITS, struct fq_proxy);
PAGE_OF(edge_page, EDGE_PAGE_BITS, struct fq_edge);
PAGE_OF(xlat_page, XLAT_PAGE_BITS, struct fq_xlat);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PROXY_PAGES);
	__type(key, __u32);
	__array(values, struct proxy_page);
} proxies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EDGE_PAGES);
	__type(key, __u32);
	__array(values, struct edge_page);
} edge SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XLAT_PAGES);
	__type(key, __u32);
	__array(values, struct xlat_page);
} xlat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FQ_GATEWAYS_MAX);
	__type(key, __u32);
	__type(value, struct fq_gateway);
} gateways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct fq_dev);
} devs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FQ_HOPS_MAX);
	__type(key, __u32);
	__type(value, struct fq_hop);
} hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * FQ_VLANS_MAX); /* one entry a direction */
	__type(key, struct fq_vlan_key);
	__type(value, struct fq_vlan);
} vlans SEC(".maps");

/* Interfaces that take redirected frames, by index. VLAN devices mean the interface below them. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} tx SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FQ_QUOTAS_MAX);
	__type(key, __u32);
	__type(value, struct fq_quota);
} quota SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fq_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FQ_REASON_MAX);
	__type(key, __u32);
	__type(value, struct fq_count);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FQ_ICMP_BUCKETS_MAX);
	__type(key, struct fq_addr);
	__type(value, struct fq_bucket);
} icmp_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fq_bucket);
} icmp_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FQ_FRAGMENTS_MAX);
	__type(key, struct fq_frag_key);
	__type(value, struct fq_frag);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fq_bucket);
} frag_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} ip_ids SEC(".maps");

/* What is answered about names: see dns_index.h. */
PAGE_OF(dns_page, DNS_BUCKET_BITS, struct fq_dns_bucket);
PAGE_OF(dns_names_page, DNS_NAME_BITS, struct fq_dns_name);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, DNS_BUCKET_PAGES);
	__type(key, __u32);
	__array(values, struct dns_page);
} dns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, DNS_NAME_PAGES);
	__type(key, __u32);
	__array(values, struct dns_names_page);
} dns_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FQ_DNS_ASKED_BYTES);
} dns_asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FQ_DNS_PTR_MAX);
	__type(key, struct fq_addr);
	__type(value, struct fq_dns_ptr);
} dns_ptr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FQ_DNS_ADDRS_MAX);
	__type(key, struct fq_addr);
	__type(value, __u32);
} dns_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FQ_UPCALL_BYTES);
} upcalls SEC(".maps");

/* The one element of control; never NULL, but the verifier does not know. */
static inline __attribute__((always_inline)) struct fq_control *maps_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}
