/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object for tc: the same path, for interfaces that XDP does not serve well. Two programs:
 * for packets with an Ethernet header and without.
 */
#define FQ_TC
#include "hook.h"

fq_inline int run(fq_ctx *ctx, bool ethernet)
{
	__u32 bytes = ctx_len(ctx) - (ethernet ? ETH_HLEN : 0);
	struct fq_pkt p = {};
	enum fq_reason r;

	r = tc_parse(ctx, &p, ethernet);
	return hook_run(ctx, r, &p, FQ_MODE_TC, bytes);
}

SEC("tc")
int fqdnat_tc(fq_ctx *ctx)
{
	return run(ctx, true);
}

SEC("tc")
int fqdnat_tc_l3(fq_ctx *ctx)
{
	return run(ctx, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
