/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and timed runs; see rig.h. Timed runs count the CPU time of this thread, which leaves
 * out what other tasks take, in ns (the kernel's own figure is rounded to whole ns a run).
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/instant.h"
#include "bench.skel.h"
#include "box.h"

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif
#define RIG_BATCH 64 /* as many as a NAPI poll takes: queues stay short */

volatile sig_atomic_t bench_stop;

struct endpoints {
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t mac_dst[6], mac_src[6];
};

static const struct endpoints endpoints[BENCH_KINDS] = {
	[BENCH_OUT4] = {BOX_CLIENT4, BENCH_PROXY4, BENCH_PORT, BENCH_DPORT, BENCH_MAC_LAN,
			BENCH_MAC_CLIENT},
	[BENCH_IN4] = {BENCH_REAL4, BOX_NAT4, BENCH_DPORT, BENCH_PORT, BENCH_MAC_WAN,
		       BENCH_MAC_NET},
	[BENCH_OUT6] = {BOX_CLIENT6, BENCH_PROXY6, BENCH_PORT, BENCH_DPORT, BENCH_MAC_LAN,
			BENCH_MAC_CLIENT},
	[BENCH_IN6] = {BENCH_REAL6, BOX_NAT6, BENCH_DPORT, BENCH_PORT, BENCH_MAC_WAN,
		       BENCH_MAC_NET},
};

static bool kind_is_v4(enum bench_kind kind)
{
	return kind == BENCH_OUT4 || kind == BENCH_IN4;
}

static unsigned int kind_len(enum bench_kind kind)
{
	return kind_is_v4(kind) ? BENCH_LEN4 : BENCH_LEN6;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* Sum of 16-bit words in network order (RFC 1071), not folded. @len: even. */
static uint32_t sum16(const uint8_t *p, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/* The frame of flow 0, with checksum fields of zero, and the sums that the program completes. */
static void make_template(enum bench_kind kind, struct bench_template *t)
{
	const struct endpoints *e = &endpoints[kind];
	uint8_t f[sizeof(t->word)] = {};
	unsigned int l4, l4_len, addrs;

	memcpy(f, e->mac_dst, 6);
	memcpy(f + 6, e->mac_src, 6);
	if (kind_is_v4(kind)) {
		l4 = 34;
		l4_len = BENCH_LEN4 - l4;
		put16(f + 12, 0x0800);
		f[14] = 0x45;
		put16(f + 16, 20 + l4_len);
		put16(f + 20, 0x4000);
		f[22] = BENCH_TTL;
		f[23] = IPPROTO_UDP;
		inet_pton(AF_INET, e->src, f + 26);
		inet_pton(AF_INET, e->dst, f + 30);
		addrs = sum16(f + 26, 8);
		t->ip_sum = sum16(f + 14, 20);
	} else {
		l4 = 54;
		l4_len = BENCH_LEN6 - l4;
		put16(f + 12, 0x86dd);
		f[14] = 0x60;
		put16(f + 18, l4_len);
		f[20] = IPPROTO_UDP;
		f[21] = BENCH_TTL;
		inet_pton(AF_INET6, e->src, f + 22);
		inet_pton(AF_INET6, e->dst, f + 38);
		addrs = sum16(f + 22, 32);
	}
	put16(f + l4, e->sport);
	put16(f + l4 + 2, e->dport);
	put16(f + l4 + 4, l4_len);
	t->l4_sum = addrs + IPPROTO_UDP + l4_len + sum16(f + l4, l4_len);
	memcpy(t->word, f, sizeof(t->word));
}

int rig_open(struct rig *rig, int sessions_fd, unsigned int flows_max)
{
	int r = 0;

	rig->skel = bench_bpf__open();
	if (!rig->skel)
		return -errno;
	r = bpf_map__set_max_entries(rig->skel->maps.lines, flows_max);
	if (r == 0)
		r = bpf_map__reuse_fd(rig->skel->maps.sessions, sessions_fd);
	if (r == 0)
		r = bench_bpf__load(rig->skel);
	if (r < 0) {
		fprintf(stderr, "bench: cannot load its programs: %s\n", strerror(-r));
		rig_close(rig);
		return r;
	}
	for (int kind = 0; kind < BENCH_KINDS; kind++)
		make_template(kind, &rig->skel->bss->templates[kind]);
	rig->skel->bss->vars.rng = 0x9e3779b97f4a7c15;
	return 0;
}

void rig_close(struct rig *rig)
{
	bench_bpf__destroy(rig->skel);
	rig->skel = NULL;
}

int rig_wrapper(const struct rig *rig, enum bench_kind kind)
{
	const struct bpf_program *wrappers[BENCH_KINDS] = {
		[BENCH_OUT4] = rig->skel->progs.wrap_out4,
		[BENCH_IN4] = rig->skel->progs.wrap_in4,
		[BENCH_OUT6] = rig->skel->progs.wrap_out6,
		[BENCH_IN6] = rig->skel->progs.wrap_in6,
	};

	return bpf_program__fd(wrappers[kind]);
}

int rig_target(struct rig *rig, int prog_fd)
{
	uint32_t slot = 0;

	if (bpf_map_update_elem(bpf_map__fd(rig->skel->maps.target), &slot, &prog_fd, BPF_ANY) == 0)
		return 0;
	fprintf(stderr, "bench: the program cannot be tail-called: %s\n", strerror(errno));
	return -errno;
}

void rig_draw(struct rig *rig, unsigned int flows)
{
	rig->skel->bss->vars.sequential = 0;
	rig->skel->bss->vars.flows = flows;
}

void rig_draw_sequence(struct rig *rig, unsigned int first, unsigned int flows)
{
	rig->skel->bss->vars.sequential = 1;
	rig->skel->bss->vars.flows = flows;
	rig->skel->bss->vars.next = first;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int rig_run(int prog_fd, enum bench_kind kind, unsigned int ifindex, unsigned int repeat,
	    double *ret_ns, uint32_t *ret_verdict)
{
	unsigned int len = kind_len(kind);
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = ifindex};
	uint8_t frame[BENCH_LEN6] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = repeat);
	int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int r;

	r = bench_stop ? -EINTR : bpf_prog_test_run_opts(prog_fd, &opts);
	if (r < 0)
		return r;
	*ret_ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / repeat;
	*ret_verdict = opts.retval;
	return 0;
}

int rig_send(struct rig *rig, unsigned int path, unsigned int ifindex, unsigned int packets,
	     double *ret_ns)
{
	struct xdp_md ctx = {.data_end = BENCH_LEN_GIVEN, .ingress_ifindex = ifindex};
	uint8_t frame[BENCH_LEN_GIVEN] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = packets,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = RIG_BATCH);
	int64_t start;
	int r;

	rig->skel->bss->vars.path = path;
	start = clock_ns(CLOCK_MONOTONIC);
	r = bench_stop ? -EINTR
		       : bpf_prog_test_run_opts(bpf_program__fd(rig->skel->progs.gen4), &opts);
	if (r < 0)
		return r;
	*ret_ns = (double)(clock_ns(CLOCK_MONOTONIC) - start) / packets;
	return 0;
}
