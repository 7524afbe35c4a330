/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object for XDP: one path, three programs. They share maps and settings and differ in who
 * completes partial checksums (hook.h); the loader attaches the one that fits the mode, and the
 * daemon runs the third with the packets it has held.
 */
#include "dns_ahead.h"
#include "fast.h"

/* Return: the verdict; FAST_NOT: nothing has happened, and the packet takes the pipeline. */
fq_inline int straight(fq_ctx *ctx, const enum fq_mode mode)
{
	const void *data = ctx_data(ctx), *end = ctx_end(ctx);
	const struct ethhdr *eth = data;
	int verdict = FAST_NOT;

	if ((const void *)(eth + 1) > end)
		return FAST_NOT;
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		if (dns_may_be_query(data, end, FQ_AF_INET))
			verdict = dns_ahead4(ctx, mode);
		return verdict != FAST_NOT ? verdict : fast_ip4(ctx, mode);
	case bpf_htons(ETH_P_IPV6):
		if (dns_may_be_query(data, end, FQ_AF_INET6))
			verdict = dns_ahead6(ctx, mode);
		return verdict != FAST_NOT ? verdict : fast_ip6(ctx, mode);
	default:
		return FAST_NOT;
	}
}

fq_inline int run(fq_ctx *ctx, const enum fq_mode mode)
{
	__u32 bytes = ctx_len(ctx) - ETH_HLEN;
	struct hook_work *w;
	enum fq_reason r;
	int verdict;

	verdict = mode == FQ_MODE_INJECT ? FAST_NOT : straight(ctx, mode);
	if (verdict != FAST_NOT)
		return verdict;
	w = hook_begin(ctx, mode);
	if (!w)
		return HOOK_PASS;
	r = hook_parse(ctx, &w->p, mode);
	return hook_run(ctx, r, w, bytes);
}

SEC("xdp")
int fqdnat_xdp(fq_ctx *ctx)
{
	return run(ctx, FQ_MODE_NATIVE);
}

SEC("xdp")
int fqdnat_xdp_generic(fq_ctx *ctx)
{
	return run(ctx, FQ_MODE_GENERIC);
}

SEC("xdp")
int fqdnat_xdp_inject(fq_ctx *ctx)
{
	return run(ctx, FQ_MODE_INJECT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
