/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maximum segment size that a TCP SYN announces: where it stands, and what it may be.
 *
 * Pure: no helper, no map. RFC 9293 3.2, 3.7.1.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

#define MSS_OPTIONS_MAX 40 /* bytes of options that a TCP header can have */
#define MSS_ROOM        64 /* to read them into: a power of two, so that any index can be masked */
#define MSS_MIN         536

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_LEN_MSS    4

/* The search for the option. */
struct mss_search {
	__u8 options[MSS_ROOM];
	__u32 len;   /* of the options */
	__u32 at;    /* where the next one begins */
	__u32 found; /* offset of the two bytes of the value; 0: not found */
};

/*
 * Look at one option. Called up to MSS_OPTIONS_MAX times (by bpf_loop: kernel 6.1 would follow
 * every way through a loop over lengths that the packet says).
 *
 * Return: 1 if the search has ended.
 */
static long mss_step(__u32 i, void *search)
{
	struct mss_search *s = search;
	__u32 at = s->at;
	__u8 kind = s->options[at & (MSS_ROOM - 1)];
	__u8 size = s->options[(at + 1) & (MSS_ROOM - 1)];

	(void)i;
	if (at + TCP_LEN_MSS > s->len || kind == TCP_OPTION_END)
		return 1;
	if (kind == TCP_OPTION_NOP)
		size = 1;
	else if (size < 2)
		return 1;
	if (kind == TCP_OPTION_MSS) {
		s->found = size == TCP_LEN_MSS ? at + 2 : 0;
		return 1;
	}
	s->at = at + size;
	return 0;
}

/* Bytes of a segment's data that fit into a packet of @mtu bytes, no options counted. */
fq_inline __u32 mss_of_mtu(__u32 mtu, __u8 family)
{
	__u32 headers = sizeof(struct fq_tcp) +
			(family == FQ_AF_INET ? sizeof(struct fq_ip4) : sizeof(struct fq_ip6));

	return mtu > headers + MSS_MIN ? mtu - headers : MSS_MIN;
}

/* What a new value at this offset of the options does to the checksum (csum.h). */
fq_inline __u64 mss_diff(__u16 from, __u16 to, __u32 at)
{
	from = bpf_htons(from);
	to = bpf_htons(to);
	/* Behind an odd number of bytes it stands in the other halves of two words. */
	if (at & 1)
		return csum_diff16(__builtin_bswap16(from), __builtin_bswap16(to));
	return csum_diff16(from, to);
}
