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
	struct hook_work *w = hook_begin(ctx, FQ_MODE_TC);
	enum fq_reason r;

	if (!w)
		return HOOK_PASS;
	r = tc_parse(ctx, &w->p, ethernet);
	return hook_run(ctx, r, w, bytes);
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
