/* SPDX-License-Identifier: BSD-2-Clause */
/* The laboratory with everything loaded and attached; see bed.h. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "bench.skel.h"

#define BED_FILLS 5 /* passes over all flows until every first packet got through */

/* What is sent, what it arrives as, and how many flows at most (0: any). */
struct bed_path {
	enum frame_kind kind;
	const char *src, *dst;
	unsigned int routed, flows_max;
};

/* clang-format off: a table */
static const struct bed_path paths[LAB_PATHS] = {
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

bool bed_takes_part(const struct bed *b, enum lab_path path, unsigned int flows)
{
	return !b->lab->path[path].missing &&
	       (!paths[path].flows_max || flows <= paths[path].flows_max);
}

struct box *bed_box_of(struct bed *b, enum lab_path path)
{
	return path == LAB_FQDNAT ? &b->box : path == LAB_FQDNAT64 ? &b->box64 : NULL;
}

static int attach(struct bed *b, int netns_fd, int prog_fd, unsigned int ifindex)
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
static int prepare(struct bed *b)
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
	for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++) {
		struct lab_links *links = &lab->path[p];
		struct box *box = bed_box_of(b, p);

		if (!box)
			continue;
		r = attach(b, links->gateway_fd, box_prog_fd(box), links->lan);
		if (r == 0)
			r = attach(b, links->gateway_fd, box_prog_fd(box), links->wan);
	}
	return r == 0 ? lab_enter(lab->client_fd) : r;
}

/* Frames in flight reach the sink within a softirq; wait until none has come for 2 ms. */
static uint64_t drained(struct bed *b)
{
	volatile __u64 *sunk = &b->rig.skel->bss->vars.sunk;
	uint64_t before;

	do {
		before = *sunk;
		usleep(2000);
	} while (*sunk != before);
	return before;
}

int bed_send(struct bed *b, enum lab_path path, unsigned int packets, double *ret_mpps)
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
static long flows_at(struct bed *b, enum lab_path path)
{
	long n = -1;

	if (bed_box_of(b, path))
		return box_sessions(bed_box_of(b, path));
	if (path != LAB_NFT)
		return -1;
	if (lab_enter(b->lab->path[path].gateway_fd) == 0)
		n = lab_read_number("/proc/sys/net/netfilter/nf_conntrack_count");
	(void)lab_enter(b->lab->client_fd);
	return n;
}

int bed_open_flows(struct bed *b, enum lab_path path, unsigned int flows)
{
	double mpps;
	int r;

	for (int pass = 0; pass < BED_FILLS; pass++) {
		rig_draw_sequence(&b->rig, 0, flows);
		r = bed_send(b, path, flows, &mpps);
		if (r < 0)
			return r;
		if (flows_at(b, path) >= 0 && flows_at(b, path) != (long)flows)
			continue;
		if (bed_box_of(b, path))
			bed_box_of(b, path)->opened = flows;
		return 0;
	}
	fprintf(stderr, "bench: %s: %ld flows instead of %u\n", lab_path_names[path],
		flows_at(b, path), flows);
	if (bed_box_of(b, path))
		box_explain(bed_box_of(b, path));
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

int bed_check(struct bed *b, enum lab_path path)
{
	struct bench_vars *vars = &b->rig.skel->bss->vars;
	uint8_t want_src[4], want_dst[4];
	double mpps;
	int r;

	vars->keep = 1;
	rig_draw_sequence(&b->rig, 0, 1);
	r = bed_send(b, path, 64, &mpps);
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

static int open_box(struct bed *b, enum lab_path path, unsigned int flows_max)
{
	const struct lab_links *links = &b->lab->path[path];
	int r = lab_enter(links->gateway_fd);

	return r < 0 ? r : box_open(bed_box_of(b, path), links->lan, links->wan, flows_max);
}

int bed_open(struct bed *b, struct lab *lab, unsigned int flows_max)
{
	int r;

	*b = (struct bed){.lab = lab};
	r = open_box(b, LAB_FQDNAT, flows_max);
	if (r == 0)
		r = open_box(b, LAB_FQDNAT64, paths[LAB_FQDNAT64].flows_max);
	if (r == 0)
		r = rig_open(&b->rig, 1);
	if (r == 0)
		r = prepare(b);
	return r;
}

void bed_close(struct bed *b)
{
	for (unsigned int i = 0; i < b->links; i++)
		closep(&b->link_fd[i]);
	rig_close(&b->rig);
	box_close(&b->box64);
	box_close(&b->box);
	(void)lab_enter(b->lab->home_fd);
}
