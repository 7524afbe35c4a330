/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-only settings of the BPF object: `const volatile struct fq_settings fq_settings` in
 * .rodata, filled by the loader before the program is verified. A change means loading the
 * program anew and replacing the old one.
 */
#pragma once

#include <fqdnat/abi.h>

struct fq_settings {
	/* Proxy pools, by network address and mask (IPv4-mapped); G-11, P-01. */
	struct fq_addr pool4, pool4_mask;
	struct fq_addr pool6, pool6_mask;

	/* Source NAT. */
	__u32 masquerade; /* enum fq_masquerade */
	__u32 nat4_count, nat6_count;
	struct fq_addr nat4[FQ_NAT_ADDRESSES]; /* given addresses; a client always gets the same */
	struct fq_addr nat6[FQ_NAT_ADDRESSES];
	__u32 given_local; /* 1: some given address is this host's, so sockets may use it, too */

	/* NAT ports and ICMP ids, host order, inclusive (RFC 4787 REQ-3, RFC 6056). */
	__u32 port_lo, port_hi;
	/* The kernel's own ephemeral ports (ip_local_port_range), not used with an address of
	 * this host, so that no socket opened later loses its flow; hi 0: no such range. */
	__u32 local_lo, local_hi;
	__u32 hash_seed;

	/* ICMP errors we send: per receiver, and per CPU over all (RFC 1812 4.3.2.8, RFC 4443 2.4
	 * f). */
	__u32 icmp_per_second, icmp_burst;
	__u32 icmp_cpu_per_second, icmp_cpu_burst;

	__u32 source_check; /* enum fq_source_check */
	__u32 mss_clamp;    /* largest TCP segment that a SYN may announce; 0: any; FQ_MSS_AUTO */
	__u32 show_hops;    /* 1: ICMP errors keep the address of the router that sends them */
	__u64 tick_ns;      /* between two ticks of the kernel (1 / HZ); 0: not known */
	__u64 tombstone_ns; /* G-43: late packets of an ended session are dropped this long */
};

enum fq_masquerade {
	FQ_MASQ_AUTO,  /* the egress interface's address (devs) */
	FQ_MASQ_NONE,  /* the client's own address */
	FQ_MASQ_GIVEN, /* nat4, nat6 */
};

/* Who is believed where he comes from; each includes those before it. */
#define FQ_MSS_AUTO 0xffff /* what fits the MTUs on both sides */

enum fq_source_check {
	FQ_SOURCE_NONE,
	FQ_SOURCE_REPLIES, /* C-22: gateways, by the interface that leads to each */
	FQ_SOURCE_STRICT,  /* clients, by the interface that leads to each (RFC 3704 2.2) */
};

FQ_ASSERT_SIZE(struct fq_settings, 400);
