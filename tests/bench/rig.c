/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timed runs; see rig.h. Timed runs count the CPU time of this thread, which leaves
 * out what other tasks take, in ns (the kernel's own figure is rounded to whole ns a run).
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/instant.h"
#include "bench.skel.h"
#include "box.h"
#include "dataplane/table.h"

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif
#define RIG_BATCH 64 /* as many as a NAPI poll takes: queues stay short */

volatile sig_atomic_t bench_stop;

int rig_open(struct rig *rig, unsigned int flows_max)
{
	int r = 0;

	rig->skel = bench_bpf__open();
	if (!rig->skel)
		return -errno;
	rig->skel->rodata->spread_lines = table_slots(box_room(flows_max));
	r = bpf_map__set_max_entries(rig->skel->maps.lines, flows_max);
	if (r == 0)
		r = bpf_map__set_max_entries(rig->skel->maps.spread,
					     rig->skel->rodata->spread_lines);
	if (r == 0)
		r = bpf_map__set_max_entries(rig->skel->maps.plain_hash, flows_max);
	if (r == 0)
		r = bench_bpf__load(rig->skel);
	if (r < 0) {
		fprintf(stderr, "bench: cannot load its programs: %s\n", strerror(-r));
		rig_close(rig);
		return r;
	}
	rig->skel->bss->vars.rng = 0x9e3779b97f4a7c15;
	return 0;
}

void rig_close(struct rig *rig)
{
	bench_bpf__destroy(rig->skel);
	rig->skel = NULL;
}

static int wrapper_fd(const struct rig *rig, enum bench_layout layout)
{
	const struct bpf_program *wrappers[BENCH_LAYOUTS] = {
		[BENCH_UDP4_OUT] = rig->skel->progs.wrap_udp4_out,
		[BENCH_UDP4_IN] = rig->skel->progs.wrap_udp4_in,
		[BENCH_UDP6_OUT] = rig->skel->progs.wrap_udp6_out,
		[BENCH_UDP6_IN] = rig->skel->progs.wrap_udp6_in,
		[BENCH_TCP4_OUT] = rig->skel->progs.wrap_tcp4_out,
		[BENCH_TCP4_IN] = rig->skel->progs.wrap_tcp4_in,
	};

	return bpf_program__fd(wrappers[layout]);
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

int rig_run(struct rig *rig, enum frame_kind kind, unsigned int ifindex, unsigned int repeat,
	    double *ret_ns, uint32_t *ret_verdict)
{
	unsigned int len = frame_len(kind);
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = ifindex};
	uint8_t frame[BENCH_LEN6] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = repeat);
	int64_t start;
	int r;

	frame_template(kind, &rig->skel->bss->template);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	r = bench_stop ? -EINTR
		       : bpf_prog_test_run_opts(wrapper_fd(rig, frame_layout(kind)), &opts);
	if (r < 0)
		return r;
	*ret_ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / repeat;
	*ret_verdict = opts.retval;
	return 0;
}

int rig_send(struct rig *rig, enum frame_kind kind, unsigned int path, unsigned int ifindex,
	     unsigned int packets, double *ret_ns)
{
	const struct bpf_program *gen = frame_layout(kind) == BENCH_UDP6_OUT
						? rig->skel->progs.gen6
						: rig->skel->progs.gen4;
	struct xdp_md ctx = {.data_end = BENCH_LEN_GIVEN, .ingress_ifindex = ifindex};
	uint8_t frame[BENCH_LEN_GIVEN] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = packets,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = RIG_BATCH);
	int64_t start;
	int r;

	frame_template(kind, &rig->skel->bss->template);
	rig->skel->bss->vars.path = path;
	start = clock_ns(CLOCK_MONOTONIC);
	r = bench_stop ? -EINTR : bpf_prog_test_run_opts(bpf_program__fd(gen), &opts);
	if (r < 0)
		return r;
	*ret_ns = clock_ns(CLOCK_MONOTONIC) - start;
	return 0;
}
