/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client that asks as fast as one CPU goes: queries made by live frames, answers counted and
 * dropped before the kernel sees them. See dnslive.c.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "dnslive.h"

#define UDP_OFF   (ETH_HLEN + 20)
#define FLAGS_OFF (UDP_OFF + 8 + 2) /* of the message */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct dnslive_vars vars;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DNSLIVE_NAMES_MAX);
	__type(key, __u32);
	__type(value, struct dnslive_query);
} queries SEC(".maps");

/* Slot 0: the interface that leads to the server. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} gen_tx SEC(".maps");

static __always_inline __u32 draw(void)
{
	__u64 x = vars.rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	vars.rng = x;
	return ((x >> 32) * vars.names) >> 32;
}

/* Frames come as their last receiver left them, whatever that was. */
SEC("xdp")
int ask(struct xdp_md *ctx)
{
	__u32 name = draw();
	struct dnslive_query *q = bpf_map_lookup_elem(&queries, &name);
	int given = ctx->data_end - ctx->data;
	__u32 len = q ? q->len : 0;

	barrier_var(len);
	if (!q || len < ETH_HLEN || len > DNSLIVE_QUERY_MAX)
		return XDP_ABORTED;
	if (bpf_xdp_adjust_tail(ctx, (int)len - given) ||
	    bpf_xdp_store_bytes(ctx, 0, q->frame, len))
		return XDP_ABORTED;
	return bpf_redirect_map(&gen_tx, 0, XDP_ABORTED);
}

/* On the interface that the answers come by. What is none is the kernel's. */
SEC("xdp")
int take(struct xdp_md *ctx)
{
	__u8 *bytes = (void *)(long)ctx->data;

	if (bytes + FLAGS_OFF + 6 > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	if (bytes[12] != 0x08 || bytes[13] != 0x00 || bytes[23] != 17 ||
	    *(__u16 *)(bytes + (vars.direct ? UDP_OFF + 2 : UDP_OFF)) != vars.port)
		return XDP_PASS;
	/* QR; NOERROR; a record. */
	if (vars.direct ||
	    ((bytes[FLAGS_OFF] & 0x80) && !(bytes[FLAGS_OFF + 1] & 0x0f) && bytes[FLAGS_OFF + 5]))
		vars.answered++;
	return XDP_DROP;
}
