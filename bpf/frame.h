/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame: sums over it, its partial checksums, and the writing of a translation that does not
 * change its size. Used by the hooks only.
 *
 * Partial checksums: virtual interfaces hand over packets whose checksum is yet to be completed by
 * the card (nat_csum_partial). Which hook completes them, and when, it says itself.
 */
#pragma once

#include "ctx.h"
#include "nat.h"
#include "stats.h"

#define SUM_CHUNK      128
#define SUM_CHUNKS_MAX 80 /* 10 KiB: more than a frame of one page */

/* Too large for the stack at the end of a call chain. A word more than a rest can have. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FQ_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, __u8[SUM_CHUNK + 4]);
} sum_scratch SEC(".maps");

/*
 * Sum of the last @len bytes, 1 to SUM_CHUNK - 1; those that are missing to a word are zero.
 *
 * The bounds are checked on len - 1, hidden from the compiler: kernel 6.1 does not learn from
 * "len != 0" that it is at least 1, which the helper requires (clang 16).
 */
fq_inline bool frame_sum_rest(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len, __s64 *sum)
{
	__u8 *rest = bpf_map_lookup_elem(&sum_scratch, &slot);
	__u32 last = len - 1;

	barrier_var(last);
	if (!rest || last >= SUM_CHUNK - 1)
		return false;
	len = last + 1;
	for (__u32 i = 0; i < 3; i++)
		rest[len + i] = 0;
	if (ctx_load(ctx, off, rest, len))
		return false;
	*sum = bpf_csum_diff(NULL, 0, (__be32 *)rest, (len + 3) & ~3U, *sum);
	return true;
}

/* Sum of the bytes [off, off + len) of the frame, not folded. @slot: see mode_slot */
fq_global bool frame_sum(fq_ctx *ctx, __u32 slot, __u32 off, __u32 len, __u64 *ret_sum)
{
	void *scratch = bpf_map_lookup_elem(&sum_scratch, &slot);
	__s64 sum = 0;

	if (!ret_sum || !scratch || off > FQ_L4_OFF_MAX)
		return false;
	for (int i = 0; i < SUM_CHUNKS_MAX && len >= SUM_CHUNK; i++) {
		void *chunk = ctx_data(ctx) + off;

		/* Behind what lies in one piece (tc), or behind the end. */
		if (chunk + SUM_CHUNK > ctx_end(ctx)) {
			chunk = scratch;
			if (ctx_load(ctx, off, chunk, SUM_CHUNK))
				return false;
		}
		sum = bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK, sum);
		off += SUM_CHUNK;
		len -= SUM_CHUNK;
	}
	if (len && !frame_sum_rest(ctx, slot, off, len, &sum))
		return false;
	*ret_sum = (__u32)sum;
	return true;
}

/*
 * A bounded offset, where it is used. Kernel 6.1 forgets what a comparison has shown of a value
 * when clang 16 reads it anew from the stack; what a mask has made of it, it knows.
 */
#define FRAME_L3_MASK 31
#define FRAME_L4_MASK 1023

_Static_assert(FQ_L3_OFF_MAX <= FRAME_L3_MASK, "every offset that is allowed");
_Static_assert(FQ_L4_OFF_MAX + sizeof(struct fq_tcp) <= FRAME_L4_MASK, "the same");

fq_inline void *frame_at(fq_ctx *ctx, __u32 off, __u32 mask)
{
	barrier_var(off);
	return ctx_data(ctx) + (off & mask);
}

/* The L4 checksum field; NULL cannot happen after parsing, but the verifier does not know. */
fq_inline __u16 *frame_check(fq_ctx *ctx, const struct fq_pkt *p)
{
	__u32 off = p->l4_off + nat_check_off(p->tuple.proto);
	__u16 *check;

	if (off > FQ_L4_OFF_MAX + sizeof(struct fq_tcp))
		return NULL;
	check = frame_at(ctx, off, FRAME_L4_MASK);
	return (void *)(check + 1) > ctx_end(ctx) ? NULL : check;
}

/* Make a checksum: the field holds the pseudo header's sum, so summing is enough. */
static __noinline bool frame_make_check(fq_ctx *ctx, const struct fq_pkt *p,
					const struct fq_plan *plan)
{
	__u16 *check, value;
	__u64 sum;

	if (!frame_sum(ctx, mode_slot(plan->mode), p->l4_off, p->l4_len, &sum))
		return false;
	value = ~csum_fold(sum);
	check = frame_check(ctx, p);
	if (!check)
		return false;
	if (p->tuple.proto == FQ_PROTO_UDP)
		value = csum_udp_nonzero(value);
	ctx_sum_changed(ctx, csum_fold(csum_diff16(*check, value)));
	*check = value;
	return true;
}

/* Complete a partial checksum. */
fq_inline bool frame_complete(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	stats_count(FQ_R_CSUM_PARTIAL, p->l3_len);
	return frame_make_check(ctx, p, plan);
}

/* The same for a packet as received. *@ret_partial: it was partial. */
static __noinline bool frame_complete_received(fq_ctx *ctx, const struct fq_pkt *p,
					       const struct fq_plan *plan, bool *ret_partial)
{
	const __u16 *check = frame_check(ctx, p);

	if (!check)
		return false;
	*ret_partial = nat_csum_partial(p, *check);
	return !*ret_partial || frame_complete(ctx, p, plan);
}

/* Write the translation of the IP header. */
fq_inline bool frame_translate_l3(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan)
{
	__u32 l3_off = p->l3_off;
	void *l3;

	if (l3_off > FQ_L3_OFF_MAX)
		return false;
	l3 = frame_at(ctx, l3_off, FRAME_L3_MASK);
	if (p->family == FQ_AF_INET) {
		if (l3 + sizeof(struct fq_ip4) > ctx_end(ctx))
			return false;
		nat_rewrite_ip4(p, plan, l3);
	} else {
		if (l3 + sizeof(struct fq_ip6) > ctx_end(ctx))
			return false;
		nat_rewrite_ip6(p, plan, l3);
	}
	return true;
}

/*
 * Write the translation of the L4 header. The checks stand where the pointers are used: kernel 6.1
 * would not know of them behind another branch. *@ret_diff: what the packet's sum changes by.
 */
fq_inline bool frame_translate_l4(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan,
				  bool *ret_partial, __u64 *ret_diff)
{
	__u32 off = p->l4_off + nat_port_off(p->tuple.proto, plan->dir);
	__u16 *check = frame_check(ctx, p), was_check;
	__be16 *port, was_port;

	if (off > FQ_L4_OFF_MAX + sizeof(struct fq_tcp))
		return false;
	port = frame_at(ctx, off, FRAME_L4_MASK);
	if (!check || (void *)(port + 1) > ctx_end(ctx))
		return false;
	was_check = *check;
	was_port = *port;
	*ret_partial = nat_rewrite_l4(p, plan, check, port);
	*ret_diff = csum_diff16(was_check, *check) + csum_diff16(was_port, *port);
	return true;
}

/* Write the translation. *@ret_partial: the checksum is yet to be completed. */
fq_inline bool frame_translate(fq_ctx *ctx, const struct fq_pkt *p, const struct fq_plan *plan,
			       bool *ret_partial)
{
	__u64 diff = 0;

	*ret_partial = false;
	if (!(p->frag & FQ_FRAG_LATER) && !frame_translate_l4(ctx, p, plan, ret_partial, &diff))
		return false;
	if (!frame_translate_l3(ctx, p, plan))
		return false;
	ctx_sum_changed(ctx, nat_sum_diff(p, plan, diff));
	return true;
}

/* Two hosts on one link: what came from one goes back to it. */
fq_inline bool frame_turn(fq_ctx *ctx)
{
	struct ethhdr *eth = ctx_data(ctx);
	__u8 mac[ETH_ALEN];

	if ((void *)(eth + 1) > ctx_end(ctx))
		return false;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	return true;
}

/*
 * Is the frame for another host? Interfaces see such frames when they are promiscuous, and when a
 * switch floods: to translate them would double packets.
 *
 * @ifindex: whose frame it is to be
 */
fq_inline bool frame_foreign(fq_ctx *ctx, __u32 ifindex)
{
	const struct ethhdr *eth = ctx_data(ctx);
	__u8 known = 0, differs = 0;
	const struct fq_dev *dev;

	if ((const void *)(eth + 1) > ctx_end(ctx) || (eth->h_dest[0] & 1))
		return false;
	dev = bpf_map_lookup_elem(&devs, &ifindex);
	if (!dev)
		return false;
	for (int i = 0; i < ETH_ALEN; i++) {
		known |= dev->mac[i];
		differs |= dev->mac[i] ^ eth->h_dest[i];
	}
	return known && differs;
}

/*
 * Where the kernel keeps the mark of partial checksums: may one that looks partial be complete? Of
 * those that happen to have the pseudo header's sum every one is right, of partial ones one in
 * 65536. The two need different rewriting, but the checksum that comes out in the end is the same.
 * What the kernel has merged, or is yet to cut (GSO), is partial.
 */
static __noinline bool frame_csum_ambiguous(fq_ctx *ctx, const struct fq_pkt *p,
					    const struct fq_plan *plan)
{
	const __u16 *check = frame_check(ctx, p);
	__u64 sum;

	if (!check || pkt_is_gso(p) || !nat_csum_partial(p, *check) ||
	    !frame_sum(ctx, mode_slot(plan->mode), p->l4_off, p->l4_len, &sum))
		return false;
	sum += csum_pseudo(&p->tuple.src, &p->tuple.dst, p->family, p->tuple.proto, p->l4_len);
	return csum_fold(sum) == 0xffff;
}
