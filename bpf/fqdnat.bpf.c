/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object: one path, two programs. They share maps and settings and differ in who completes
 * partial checksums (hook_xdp.h); the loader attaches the one that fits the mode.
 */
#include "hook_xdp.h"

SEC("xdp")
int fqdnat_xdp(struct xdp_md *ctx)
{
	return hook_xdp(ctx, false);
}

SEC("xdp")
int fqdnat_xdp_generic(struct xdp_md *ctx)
{
	return hook_xdp(ctx, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
