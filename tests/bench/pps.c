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
#include <stdio.h>

#include "bed.h"
#include "bench.h"
#include "memory.h"

#define PPS_SECTION        "pps"
#define PPS_NEW_SECTION    "new"
#define PPS_MEMORY_SECTION "memory"
#define PPS_PIECE          5000 /* new flows that make a sample, at least */
#define PPS_SAMPLE_NS      250e6
#define PPS_PROBE          20000 /* packets that tell how many make a sample */

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
static int measure_new(struct bed *b, const struct bench_plan *plan, unsigned int before,
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
			r = bed_send(b, ways[w].path, piece, &mpps);
			if (r == 0)
				figure_sample(&report->figures[first + w], mpps);
		}
	}
	report_ratio(report, ways[1].name, ways[0].name, flows);
	for (int w = 0; w < 2 && r == 0; w++)
		r = bed_open_flows(b, ways[w].path, flows);
	return r;
}

/* Open the flows, and tell what each way's session takes in memory. */
static int open_new(struct bed *b, const struct bench_plan *plan, unsigned int before,
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
static int warm_up(struct bed *b, enum lab_path path, unsigned int flows, unsigned int *ret_packets)
{
	double mpps;
	int r = bed_open_flows(b, path, flows);

	if (r == 0)
		r = bed_check(b, path);
	rig_draw(&b->rig, flows);
	if (r == 0)
		r = bed_send(b, path, PPS_PROBE, &mpps);
	if (r < 0)
		return r;
	*ret_packets = mpps * 1e-3 * PPS_SAMPLE_NS;
	return mpps > 0 ? 0 : -EPROTO;
}

static int measure(struct bed *b, const struct bench_plan *plan, unsigned int flows,
		   struct report *report)
{
	unsigned int packets[LAB_PATHS];
	size_t figure[LAB_PATHS];
	double mpps;
	int r = 0;

	for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++) {
		if (!bed_takes_part(b, p, flows))
			continue;
		r = warm_up(b, p, flows, &packets[p]);
		figure[p] = report->count;
		if (r == 0 && !report_add(report, PPS_SECTION, lab_path_names[p], "Mpps", flows))
			r = -ENOMEM;
	}
	b->sent = b->lost = 0;
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		for (enum lab_path p = 0; p < LAB_PATHS && r == 0; p++) {
			if (!bed_takes_part(b, p, flows))
				continue;
			r = bed_send(b, p, packets[p], &mpps);
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

int bench_pps(const struct bench_plan *plan, struct lab *lab, struct report *report)
{
	struct bed b;
	int r = bed_open(&b, lab, plan->flows[plan->flows_count - 1]);

	for (unsigned int i = 0; i < plan->flows_count && r == 0; i++) {
		r = open_new(&b, plan, b.box.opened, plan->flows[i], report);
		if (r == 0 && !plan->new_only)
			r = measure(&b, plan, plan->flows[i], report);
	}
	bed_close(&b);
	return r;
}
