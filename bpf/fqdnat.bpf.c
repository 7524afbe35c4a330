/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object: one path, three programs. They share maps and settings and differ in who
 * completes partial checksums (hook_xdp.h); the loader attaches the one that fits the mode, and the
 * daemon runs the third with the packets it has held.
 */
#include "hook_xdp.h"

SEC("xdp")
int fqdnat_xdp(fq_ctx *ctx)
{
	return hook_xdp(ctx, FQ_MODE_NATIVE);
}

SEC("xdp")
int fqdnat_xdp_generic(fq_ctx *ctx)
{
	return hook_xdp(ctx, FQ_MODE_GENERIC);
}

SEC("xdp")
int fqdnat_xdp_inject(fq_ctx *ctx)
{
	return hook_xdp(ctx, FQ_MODE_INJECT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
