/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets per second through a gateway, from a live-frames generator in the client's namespace to
 * an XDP sink in the net's, all on the CPU that this thread is pinned to: each batch is worked off
 * before the next is made, so nothing is lost and the slowest part sets the pace. A gateway in
 * userspace has a higher priority than this thread: it, too, works off a batch before the next.
 *
 * Before measuring, every flow's first packet is sent, and it is checked that the flows are there
 * (session and connection tracking counts) and that what arrives is what should (addresses, TTL,
 * checksum).
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "bench.h"
#include "bench.skel.h"
#include "box.h"
#include "memory.h"
#include "rig.h"

#define PPS_SECTION        "pps"
#define PPS_NEW_SECTION    "new"
#define PPS_MEMORY_SECTION "memory"
#define PPS_PIECE          5000 /* new flows that make a sample, at least */
#define PPS_SAMPLE_NS      250e6
#define PPS_PROBE          20000 /* packets that tell how many make a sample */
#define PPS_FILLS          5     /* passes over all flows until every first packet got through */
#define PPS_LINKS          (LAB_PATHS + 4)

struct pps_bench {
	struct lab *lab;
	struct rig rig;
	struct box box, box64;
	int link_fd[PPS_LINKS];
	unsigned int links;
	unsigned int opened; /* flows that are there on every way */
	uint64_t sent, lost;
};

/* What is sent, what it arrives as, and how many flows at most (0: any). */
struct pps_path {
	enum frame_kind kind;
	const char *src, *dst;
	unsigned int routed, flows_max;
};

/* clang-format off: a table */
static const struct pps_path paths[LAB_PATHS] = {
	[LAB_DIRECT] = {FRAME_OUT4, BOX_CLIENT4, BENCH_PROXY4, 0, 0},
	[LAB_BARE] = {FRAME_OUT4, BOX_CLIENT4, BENCH_PROXY4, 0, 0},
	[LAB_FIB] = {FRAME_OUT4, BOX_CLIENT4, BENCH_PROXY4, 0, 0},
	[LAB_KERNEL] = {FRAME_OUT4, BOX_CLIENT4, BENCH_PROXY4, 1, 0},
	[LAB_NFT] = {FRAME_OUT4, BOX_NAT4, BENCH_REAL4, 1, 0},
	[LAB_TUN] = {FRAME_OUT4, LAB_TUN_NAT, BENCH_REAL4, 2, 100000},
	[LAB_TAYGA] = {FRAME_TAYGA, LAB_TAYGA_NAT, BENCH_REAL64, 3, 100000},
	[LAB_FQDNAT] = {FRAME_OUT4, BOX_NAT4, BENCH_REAL4, 1, 0},
	[LAB_FQDNAT64] = {FRAME_OUT64, BOX_NAT4, BENCH_REAL64, 1, 100000},
};
/* clang-format on */

static bool takes_part(const struct pps_bench *b, enum lab_path path, unsigned int flows)
{
	return !b->lab->path[path].missing &&
	       (!paths[path].flows_max || flows <= paths[path].flows_max);
}

static struct box *box_of(struct pps_bench *b, enum lab_path path)
{
	return path == LAB_FQDNAT ? &b->box : path == LAB_FQDNAT64 ? &b->box64 : NULL;
}

static int attach(struct pps_bench *b, int netns_fd, int prog_fd, unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int r = lab_enter(netns_fd);

	if (r < 0)
		return r;
	r = bpf_link_create(prog_fd, ifindex, BPF_XDP, &opts);
	if (r < 0) {
		fprintf(stderr, "bench: cannot attach: %s\n", strerror(-r));
		return r;
	}
	b->link_fd[b->links++] = r;
	return 0;
}

static int devmap_set(struct bpf_map *map, uint32_t key, uint32_t ifindex)
{
	if (bpf_map_update_elem(bpf_map__fd(map), &key, &ifindex, BPF_ANY) == 0)
		return 0;
	fprintf(stderr, "bench: cannot write map %s: %s\n", bpf_map__name(map), strerror(errno));
	return -errno;
}

/* Programs on their interfaces, egress maps filled; each in the namespace it belongs to. */
static int prepare(struct pps_bench *b)
{
	struct bench_bpf *skel = b->rig.skel;
	struct lab *lab = b->lab;
	const struct lab_links *bare = &lab->path[LAB_BARE], *fib = &lab->path[LAB_FIB];
	int r = 0;

	for (int p = 0; p < LAB_PATHS && r == 0; p++) {
		r = attach(b, lab->net_fd, bpf_program__fd(skel->progs.sink), lab->path[p].net);
		if (r == 0)
			r = lab_enter(lab->client_fd);
		if (r == 0)
			r = devmap_set(skel->maps.gen_tx, p, lab->path[p].client);
	}
	if (r == 0)
		r = attach(b, bare->gateway_fd, bpf_program__fd(skel->progs.bare), bare->lan);
	if (r == 0)
		r = devmap_set(skel->maps.bare_tx, 0, bare->wan);
	if (r == 0)
		r = attach(b, fib->gateway_fd, bpf_program__fd(skel->progs.bare_fib), fib->lan);
	if (r == 0)
		r = devmap_set(skel->maps.bare_tx, 1, fib->wan);
	for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++)
		if (box_of(b, p))
			r = attach(b, lab->path[p].gateway_fd, box_prog_fd(box_of(b, p)),
				   lab->path[p].lan);
	return r == 0 ? lab_enter(lab->client_fd) : r;
}

/* Frames in flight reach the sink within a softirq; wait until none has come for 2 ms. */
static uint64_t drained(struct pps_bench *b)
{
	volatile __u64 *sunk = &b->rig.skel->bss->vars.sunk;
	uint64_t before;

	do {
		before = *sunk;
		usleep(2000);
	} while (*sunk != before);
	return before;
}

/* Send and count; the rate counts what had arrived when the last frame was sent. */
static int send_to(struct pps_bench *b, enum lab_path path, unsigned int packets, double *ret_mpps)
{
	volatile __u64 *sunk = &b->rig.skel->bss->vars.sunk;
	uint64_t before = *sunk, arrived;
	double ns;
	int r = rig_send(&b->rig, paths[path].kind, path, b->lab->path[path].client, packets, &ns);

	arrived = *sunk - before;
	if (r < 0)
		return r;
	*ret_mpps = arrived / ns * 1e3;
	arrived = drained(b) - before;
	b->sent += packets;
	b->lost += packets - arrived;
	return 0;
}

/* Flows with a session (connection) at a path's gateway; -1: the path keeps none. */
static long flows_at(struct pps_bench *b, enum lab_path path)
{
	long n = -1;

	if (box_of(b, path))
		return box_sessions(box_of(b, path));
	if (path != LAB_NFT)
		return -1;
	if (lab_enter(b->lab->path[path].gateway_fd) == 0)
		n = lab_read_number("/proc/sys/net/netfilter/nf_conntrack_count");
	(void)lab_enter(b->lab->client_fd);
	return n;
}

/* Send every flow's first packet; again where the first attempt lost some. */
static int open_flows(struct pps_bench *b, enum lab_path path, unsigned int flows)
{
	double mpps;
	int r;

	for (int pass = 0; pass < PPS_FILLS; pass++) {
		rig_draw_sequence(&b->rig, 0, flows);
		r = send_to(b, path, flows, &mpps);
		if (r < 0)
			return r;
		if (flows_at(b, path) >= 0 && flows_at(b, path) != (long)flows)
			continue;
		if (path == LAB_FQDNAT)
			b->opened = flows;
		return 0;
	}
	fprintf(stderr, "bench: %s: %ld flows instead of %u\n", lab_path_names[path],
		flows_at(b, path), flows);
	if (box_of(b, path))
		box_explain(box_of(b, path));
	return -EPROTO;
}

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* One's complement sum over UDP and its pseudo header: 0xffff if the checksum is right. */
static uint32_t udp_sum(const uint8_t *frame)
{
	uint32_t sum = IPPROTO_UDP + BENCH_LEN4 - 34;

	for (int i = 26; i < BENCH_LEN4; i += 2)
		sum += get16(frame + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Is what arrives what should? */
static int check(struct pps_bench *b, enum lab_path path)
{
	struct bench_vars *vars = &b->rig.skel->bss->vars;
	uint8_t want_src[4], want_dst[4];
	double mpps;
	int r;

	vars->keep = 1;
	rig_draw_sequence(&b->rig, 0, 1);
	r = send_to(b, path, 64, &mpps);
	vars->keep = 0;
	if (r < 0)
		return r;
	inet_pton(AF_INET, paths[path].src, want_src);
	inet_pton(AF_INET, paths[path].dst, want_dst);
	if (memcmp(vars->last + 26, want_src, 4) == 0 &&
	    memcmp(vars->last + 30, want_dst, 4) == 0 &&
	    vars->last[22] == BENCH_TTL - paths[path].routed &&
	    get16(vars->last + 34) == BENCH_PORT && udp_sum(vars->last) == 0xffff)
		return 0;
	fprintf(stderr, "bench: %s: what arrives is not what should:\n", lab_path_names[path]);
	for (int i = 0; i < BENCH_LEN4; i++)
		fprintf(stderr, "%02x%s", vars->last[i], i % 20 == 19 ? "\n" : " ");
	return -EPROTO;
}

static void add_ratios(struct report *report, unsigned int flows)
{
	for (enum lab_path p = LAB_FIB; p < LAB_PATHS; p++)
		report_ratio(report, lab_path_names[p], lab_path_names[LAB_BARE], flows);
	report_ratio(report, lab_path_names[LAB_FQDNAT], lab_path_names[LAB_NFT], flows);
	report_ratio(report, lab_path_names[LAB_FQDNAT], lab_path_names[LAB_KERNEL], flows);
	report_ratio(report, lab_path_names[LAB_FQDNAT], lab_path_names[LAB_TUN], flows);
	report_ratio(report, lab_path_names[LAB_FQDNAT64], lab_path_names[LAB_TAYGA], flows);
}

/*
 * First packets of flows that are not there yet: @before .. @flows - 1 in as many pieces as there
 * are rounds, the ways taking turns. Only where a piece is long enough to be timed.
 */
static int measure_new(struct pps_bench *b, const struct bench_plan *plan, unsigned int before,
		       unsigned int flows, struct report *report)
{
	static const struct {
		enum lab_path path;
		const char *name;
	} ways[] = {{LAB_NFT, "nft new"}, {LAB_FQDNAT, "fqdnat new"}};
	unsigned int piece = (flows - before) / plan->rounds;
	size_t first = report->count;
	double mpps;
	int r = 0;

	if (piece < PPS_PIECE)
		return 0;
	for (int w = 0; w < 2; w++)
		if (!report_add(report, PPS_NEW_SECTION, ways[w].name, "Mpps", flows))
			return -ENOMEM;
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		for (int w = 0; w < 2 && r == 0; w++) {
			rig_draw_sequence(&b->rig, before + round * piece, flows);
			r = send_to(b, ways[w].path, piece, &mpps);
			if (r == 0)
				figure_sample(&report->figures[first + w], mpps);
		}
	}
	report_ratio(report, ways[1].name, ways[0].name, flows);
	for (int w = 0; w < 2 && r == 0; w++)
		r = open_flows(b, ways[w].path, flows);
	return r;
}

/* Open the flows, and tell what each way's session takes in memory. */
static int open_new(struct pps_bench *b, const struct bench_plan *plan, unsigned int before,
		    unsigned int flows, struct report *report)
{
	double slabs = memory_slabs(), ours = box_sessions_memory(&b->box);
	size_t first = report->count;
	struct figure *f;
	int r = measure_new(b, plan, before, flows, report);

	if (r < 0 || report->count == first)
		return r;
	f = report_add(report, PPS_MEMORY_SECTION, "nft session", "B", flows);
	if (!f)
		return -ENOMEM;
	figure_sample(f, (memory_slabs() - slabs) / (flows - before));
	f = report_add(report, PPS_MEMORY_SECTION, "fqdnat session", "B", flows);
	if (!f)
		return -ENOMEM;
	figure_sample(f, ours / b->box.room);
	report_ratio(report, "fqdnat session", "nft session", flows);
	return 0;
}

/* Flows open, arrival checked, and how many packets make a sample. */
static int warm_up(struct pps_bench *b, enum lab_path path, unsigned int flows,
		   unsigned int *ret_packets)
{
	double mpps;
	int r = open_flows(b, path, flows);

	if (r == 0)
		r = check(b, path);
	rig_draw(&b->rig, flows);
	if (r == 0)
		r = send_to(b, path, PPS_PROBE, &mpps);
	if (r < 0)
		return r;
	*ret_packets = mpps * 1e-3 * PPS_SAMPLE_NS;
	return mpps > 0 ? 0 : -EPROTO;
}

static int measure(struct pps_bench *b, const struct bench_plan *plan, unsigned int flows,
		   struct report *report)
{
	unsigned int packets[LAB_PATHS];
	size_t figure[LAB_PATHS];
	double mpps;
	int r = 0;

	for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++) {
		if (!takes_part(b, p, flows))
			continue;
		r = warm_up(b, p, flows, &packets[p]);
		figure[p] = report->count;
		if (r == 0 && !report_add(report, PPS_SECTION, lab_path_names[p], "Mpps", flows))
			r = -ENOMEM;
	}
	b->sent = b->lost = 0;
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++) {
			if (!takes_part(b, p, flows))
				continue;
			r = send_to(b, p, packets[p], &mpps);
			if (r == 0)
				figure_sample(&report->figures[figure[p]], mpps);
		}
	}
	add_ratios(report, flows);
	if (b->lost)
		fprintf(stderr, "bench: at %u flows, %llu of %llu frames were lost on the way\n",
			flows, (unsigned long long)b->lost, (unsigned long long)b->sent);
	return r;
}

static int open_box(struct pps_bench *b, enum lab_path path, unsigned int flows_max)
{
	const struct lab_links *links = &b->lab->path[path];
	int r = lab_enter(links->gateway_fd);

	return r < 0 ? r : box_open(box_of(b, path), links->lan, links->wan, flows_max);
}

int bench_pps(const struct bench_plan *plan, struct lab *lab, struct report *report)
{
	unsigned int flows_max = plan->flows[plan->flows_count - 1];
	struct pps_bench b = {.lab = lab};
	int r;

	for (enum lab_path p = 0; p < LAB_PATHS; p++)
		if (lab->path[p].missing)
			report_skip(report, lab_path_names[p], lab->path[p].missing);
	r = open_box(&b, LAB_FQDNAT, flows_max);
	if (r == 0)
		r = open_box(&b, LAB_FQDNAT64, paths[LAB_FQDNAT64].flows_max);
	if (r == 0)
		r = rig_open(&b.rig, 1);
	if (r == 0)
		r = prepare(&b);
	for (unsigned int i = 0; i < plan->flows_count && r == 0; i++) {
		r = open_new(&b, plan, b.opened, plan->flows[i], report);
		if (r == 0 && !plan->new_only)
			r = measure(&b, plan, plan->flows[i], report);
	}
	for (unsigned int i = 0; i < b.links; i++)
		closep(&b.link_fd[i]);
	rig_close(&b.rig);
	box_close(&b.box64);
	box_close(&b.box);
	(void)lab_enter(lab->home_fd);
	return r;
}
