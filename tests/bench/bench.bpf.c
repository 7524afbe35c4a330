/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark's own programs: a packet generator, a sink, the things that fqdnat is compared
 * with, and wrappers that give the program under test a freshly drawn flow with every run.
 *
 * A wrapper writes the whole header (so what the program under test wrote into the frame
 * does not matter) and tail-calls slot 0 of `target`: a constant index, which the JIT turns
 * into a direct jump. The runner puts the program under test there, or `finish` to learn
 * what the wrapper itself costs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct bench_template template; /* of the kind that is drawn; the runner changes it */
struct bench_vars vars;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* Egress of the generator, by path; in the client's namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} gen_tx SEC(".maps");

/* Egress of `bare`; of the same type as fqdnat's. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} bare_tx SEC(".maps");

/* Yardstick: one cache line a flow; resized by the runner. */
struct bench_line {
	__u64 word[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_line);
} lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_line);
} spread SEC(".maps");

const volatile __u32 spread_lines = 1;

/* Yardstick: an entry a flow; resized by the runner. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct bench_key);
	__type(value, struct bench_value);
} plain_hash SEC(".maps");

static __always_inline __u32 draw_flow(void)
{
	__u64 x = vars.rng;

	if (vars.sequential) {
		vars.flow = vars.next;
		vars.next = vars.next + 1 < vars.flows ? vars.next + 1 : 0;
		return vars.flow;
	}
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	vars.rng = x;
	vars.flow = ((x >> 32) * vars.flows) >> 32;
	return vars.flow;
}

static __always_inline __be16 checksum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return bpf_htons(~sum);
}

/*
 * Write the frame of a newly drawn flow over the packet.
 *
 * The packet is written in words of 8 bytes through a pointer of that type: the target has
 * no unaligned access of its own, memcpy() would be compiled to single bytes. A frame that was
 * translated between IPv4 and IPv6 in the last run begins elsewhere, and is moved back.
 */
static __always_inline int write_frame(struct xdp_md *ctx, enum bench_layout layout)
{
	const bool v6 = layout == BENCH_UDP6_OUT || layout == BENCH_UDP6_IN;
	const bool tcp = layout == BENCH_TCP4_OUT || layout == BENCH_TCP4_IN;
	const bool out =
		layout == BENCH_UDP4_OUT || layout == BENCH_UDP6_OUT || layout == BENCH_TCP4_OUT;
	const __u32 len = v6 ? BENCH_LEN6 : BENCH_LEN4;
	const __u32 l4 = v6 ? 54 : 34, l4_check_at = l4 + (tcp ? 16 : 6);
	const __u32 client_port_at = out ? l4 : l4 + 2;
	/* the last two bytes of the proxy address, or of the real one */
	const __u32 number_at = v6 ? (out ? 52 : 36) : (out ? 32 : 28);
	long longer = (long)ctx->data_end - (long)ctx->data - (long)len;
	__u32 flow = draw_flow();
	__u16 proxy = flow % BENCH_PROXIES;
	__u16 port = flow / BENCH_PROXIES;
	__u16 l4_check;
	__u64 *data;
	__u8 *bytes;

	if (longer && bpf_xdp_adjust_head(ctx, longer))
		return -1;
	data = (void *)(long)ctx->data;
	bytes = (void *)data;
	if (bytes + len > (__u8 *)(long)ctx->data_end)
		return -1;
#pragma unroll
	for (__u32 i = 0; i < len / 8; i++)
		data[i] = template.word[i];
	if (len % 8)
		*(__u32 *)(data + len / 8) = template.word[len / 8];

	l4_check = checksum(template.l4_sum + proxy + port);
	if (!tcp && !l4_check)
		l4_check = 0xffff;
	if (!v6)
		*(__be16 *)(bytes + 24) = checksum(template.ip_sum + proxy);
	*(__be16 *)(bytes + number_at) |= bpf_htons(proxy);
	*(__be16 *)(bytes + client_port_at) =
		bpf_htons(bpf_ntohs(*(__be16 *)(bytes + client_port_at)) + port);
	*(__be16 *)(bytes + l4_check_at) = l4_check;
	return 0;
}

#define WRAPPER(name, layout)                           \
	SEC("xdp")                                      \
	int name(struct xdp_md *ctx)                    \
	{                                               \
		if (write_frame(ctx, layout) == 0)      \
			bpf_tail_call(ctx, &target, 0); \
		return XDP_ABORTED;                     \
	}

WRAPPER(wrap_udp4_out, BENCH_UDP4_OUT)
WRAPPER(wrap_udp4_in, BENCH_UDP4_IN)
WRAPPER(wrap_udp6_out, BENCH_UDP6_OUT)
WRAPPER(wrap_udp6_in, BENCH_UDP6_IN)
WRAPPER(wrap_tcp4_out, BENCH_TCP4_OUT)
WRAPPER(wrap_tcp4_in, BENCH_TCP4_IN)

/* Nothing: the cost of a run. */
SEC("xdp")
int finish(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* The least a forwarder can do: new link-layer addresses and out. */
SEC("xdp")
int bare(struct xdp_md *ctx)
{
	static const __u8 dst[ETH_ALEN] = BENCH_MAC_NET, src[ETH_ALEN] = BENCH_MAC_WAN;
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	/* Neighbour discovery of the namespaces' own stacks is not ours. */
	if (eth->h_dest[0] & 1)
		return XDP_PASS;
	__builtin_memcpy(eth->h_dest, dst, sizeof(dst));
	__builtin_memcpy(eth->h_source, src, sizeof(src));
	return bpf_redirect_map(&bare_tx, 0, XDP_ABORTED);
}

/* The same, to where the kernel's tables say; slot 1 of bare_tx is the egress. */
SEC("xdp")
int bare_fib(struct xdp_md *ctx)
{
	__u8 *bytes = (void *)(long)ctx->data;
	struct bpf_fib_lookup fib = {.family = 2 /* AF_INET */, .ifindex = ctx->ingress_ifindex};

	if (bytes + 34 > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	if (bytes[0] & 1 || bytes[12] != 0x08 || bytes[13] != 0x00)
		return XDP_PASS;
	__builtin_memcpy(&fib.ipv4_src, bytes + 26, 4);
	__builtin_memcpy(&fib.ipv4_dst, bytes + 30, 4);
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_ABORTED;
	__builtin_memcpy(bytes, fib.dmac, ETH_ALEN);
	__builtin_memcpy(bytes + ETH_ALEN, fib.smac, ETH_ALEN);
	return bpf_redirect_map(&bare_tx, 1, XDP_ABORTED);
}

/* One random cache line of an array as large as the number of flows. */
SEC("xdp")
int array_read(struct xdp_md *ctx)
{
	__u32 flow = vars.flow;
	struct bench_line *line = bpf_map_lookup_elem(&lines, &flow);

	(void)ctx;
	if (!line)
		return XDP_ABORTED;
	vars.sink_sum += line->word[0];
	return XDP_PASS;
}

/* The same of as many lines, spread over an array as large as the session table. */
SEC("xdp")
int spread_read(struct xdp_md *ctx)
{
	__u32 at = (__u64)(vars.flow * 2654435761U) * spread_lines >> 32;
	struct bench_line *line = bpf_map_lookup_elem(&spread, &at);

	(void)ctx;
	if (!line)
		return XDP_ABORTED;
	vars.sink_sum += line->word[0];
	return XDP_PASS;
}

/* The key of a packet of wrap_udp4_out, as a session table would have it. */
static __always_inline int hash_key(struct xdp_md *ctx, struct bench_key *ret_key)
{
	__u8 *bytes = (void *)(long)ctx->data;

	if (bytes + BENCH_LEN4 > (__u8 *)(long)ctx->data_end)
		return -1;
	*ret_key = (struct bench_key){.proto = IPPROTO_UDP};
	ret_key->src[2] = ret_key->dst[2] = bpf_htonl(0xffff);
	__builtin_memcpy(&ret_key->src[3], bytes + 26, 4);
	__builtin_memcpy(&ret_key->dst[3], bytes + 30, 4);
	__builtin_memcpy(&ret_key->sport, bytes + 34, 2);
	return 0;
}

/* One lookup in a hash map. */
SEC("xdp")
int hash_lookup(struct xdp_md *ctx)
{
	struct bench_value *value;
	struct bench_key key;

	if (hash_key(ctx, &key))
		return XDP_ABORTED;
	value = bpf_map_lookup_elem(&plain_hash, &key);
	if (!value)
		return XDP_ABORTED;
	vars.sink_sum += value->word[0];
	return XDP_PASS;
}

SEC("xdp")
int hash_insert(struct xdp_md *ctx)
{
	struct bench_value value = {};
	struct bench_key key;

	if (hash_key(ctx, &key) || bpf_map_update_elem(&plain_hash, &key, &value, BPF_ANY))
		return XDP_ABORTED;
	return XDP_PASS;
}

/*
 * The generator, run with live frames in the client's namespace. Its pages come back as the
 * receiver left them: rewritten, and with the length that the receiver gave the frame. The
 * kernel takes start and length from the program's context only if they differ from those it
 * was started with, hence frames are given longer (BENCH_LEN_GIVEN) and cut here.
 */
static __always_inline int generate(struct xdp_md *ctx, enum bench_layout layout, __u32 len)
{
	long longer = (long)ctx->data_end - (long)ctx->data - (long)len;

	if (longer && bpf_xdp_adjust_tail(ctx, -longer))
		return XDP_ABORTED;
	if (write_frame(ctx, layout))
		return XDP_ABORTED;
	return bpf_redirect_map(&gen_tx, vars.path, XDP_ABORTED);
}

SEC("xdp")
int gen4(struct xdp_md *ctx)
{
	return generate(ctx, BENCH_UDP4_OUT, BENCH_LEN4);
}

SEC("xdp")
int gen6(struct xdp_md *ctx)
{
	return generate(ctx, BENCH_UDP6_OUT, BENCH_LEN6);
}

/* Back to where it came from. Checksums stay right: the same words in another order. */
static __always_inline int send_back(struct xdp_md *ctx, __u8 *bytes)
{
	__u8 mac[ETH_ALEN];
	__u16 port;
	__u32 addr;

	__builtin_memcpy(mac, bytes, ETH_ALEN);
	__builtin_memcpy(bytes, bytes + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(bytes + ETH_ALEN, mac, ETH_ALEN);
	__builtin_memcpy(&addr, bytes + 26, 4);
	__builtin_memcpy(bytes + 26, bytes + 30, 4);
	__builtin_memcpy(bytes + 30, &addr, 4);
	__builtin_memcpy(&port, bytes + 34, 2);
	__builtin_memcpy(bytes + 34, bytes + 36, 2);
	__builtin_memcpy(bytes + 36, &port, 2);
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

/*
 * The far end: count and drop UDP, send back what asks for it, leave the rest (neighbour
 * discovery) to the stack. On request it keeps the frame, so that the runner can see what
 * became of it.
 */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u8 *bytes = (void *)(long)ctx->data;

	if (bytes + BENCH_LEN4 > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	if (bytes[12] != 0x08 || bytes[13] != 0x00 || bytes[23] != IPPROTO_UDP)
		return XDP_PASS;
	if (bytes[BENCH_ECHO_AT] == BENCH_ECHO)
		return send_back(ctx, bytes);
	vars.sunk++;
	if (vars.keep)
		__builtin_memcpy(vars.last, bytes, BENCH_LEN4);
	return XDP_DROP;
}
