/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program is called with. The path is compiled once for each kind of program (FQ_TC: tc,
 * else XDP); this is the only header that knows which one it is, hook.h excepted, which includes
 * the hook's own.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "pkt.h"

#ifdef FQ_TC

typedef struct __sk_buff fq_ctx;

/* The hook has the kernel ask for an unknown neighbour, and sends to interfaces of any kind. */
#define CTX_SENDS_ANYWHERE true

/* Bytes of the frame. Not all of them need to lie between ctx_data and ctx_end. */
fq_inline __u32 ctx_len(const fq_ctx *ctx)
{
	return ctx->len;
}

/* The interface by which the frame has come. Of a packet: p->ifindex, which may be a VLAN device.
 */
fq_inline __u32 ctx_ifindex(const fq_ctx *ctx)
{
	return ctx->ifindex;
}

fq_inline long ctx_load(fq_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, off, to, len);
}

/* Packet pointers end here. What is known of the packet's sum is kept right. */
fq_inline long ctx_store(fq_ctx *ctx, __u32 off, void *from, __u32 len)
{
	return bpf_skb_store_bytes(ctx, off, from, len, BPF_F_RECOMPUTE_CSUM);
}

/*
 * The bytes from the L3 header on have changed, and with them their one's complement sum by @diff.
 * Packets may carry that sum, computed by the card (CHECKSUM_COMPLETE).
 */
fq_inline void ctx_sum_changed(fq_ctx *ctx, __u32 diff)
{
	bpf_csum_update(ctx, diff);
}

#else

typedef struct xdp_md fq_ctx;

#define CTX_SENDS_ANYWHERE false

fq_inline __u32 ctx_len(const fq_ctx *ctx)
{
	__u64 len = (long)ctx->data_end - (long)ctx->data;

	/* Else clang 16 adds and subtracts the pointers one by one, in 32 bits. */
	barrier_var(len);
	return len;
}

fq_inline __u32 ctx_ifindex(const fq_ctx *ctx)
{
	return ctx->ingress_ifindex;
}

fq_inline long ctx_load(fq_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len);
}

fq_inline long ctx_store(fq_ctx *ctx, __u32 off, void *from, __u32 len)
{
	return bpf_xdp_store_bytes(ctx, off, from, len);
}

fq_inline void ctx_sum_changed(fq_ctx *ctx, __u32 diff)
{
	(void)ctx;
	(void)diff;
}

#endif

fq_inline void *ctx_data(const fq_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

fq_inline void *ctx_end(const fq_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}
