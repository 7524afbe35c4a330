/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program is called with. The path is compiled once for each kind of program; this is the
 * only header that knows which one it is.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "pkt.h"

typedef struct xdp_md fq_ctx;

fq_inline void *ctx_data(const fq_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

fq_inline void *ctx_end(const fq_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* The interface by which the packet has come. */
fq_inline __u32 ctx_ifindex(const fq_ctx *ctx)
{
	return ctx->ingress_ifindex;
}

fq_inline long ctx_load(fq_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len);
}
