/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads and fills the object under test; see box.h. It is not attached here.
 */
#include "box.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>
#include <fqdnat/reason.h>

#include "base/cleanup.h"
#include "base/ipaddr.h"
#include "dataplane/proxies.h"
#include "dataplane/table.h"
#include "fqdnat.skel.h"
#include "memory.h"
#include "rig.h"

#define BOX_CLIENT   1
#define BOX_RESOURCE 1
#define BOX_FAR      1 /* gateway BOX_GATEWAY */

static struct fq_addr addr(const char *text)
{
	struct fq_addr a = {};

	ipaddr_parse(text, &a);
	return a;
}

static void fill_settings(struct fq_settings *s)
{
	*s = (struct fq_settings){
		.pool4 = addr("100.96.0.0"),
		.pool4_mask = ipprefix_mask(96 + 11),
		.pool6 = addr("fd00:2021:1111:8000::"),
		.pool6_mask = ipprefix_mask(107),
		.masquerade = FQ_MASQ_GIVEN,
		.nat4_count = 1,
		.nat6_count = 1,
		.port_lo = 1024,
		.port_hi = 65535,
		.local_lo = 32768,
		.local_hi = 60999,
		.hash_seed = 0x5eed,
		.source_check = FQ_SOURCE_REPLIES,
		.tick_ns = clock_tick_ns(),
		/* No ICMP errors: their rate is limited, so most refused packets make none. */
		.tombstone_ns = 10000000000ULL,
	};
	s->nat4[0] = addr(BOX_NAT4);
	s->nat6[0] = addr(BOX_NAT6);
}

static int put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) == 0)
		return 0;
	fprintf(stderr, "bench: cannot write map %s: %s\n", bpf_map__name(map), strerror(errno));
	return -errno;
}

/* Proxy address number i and its translation. */
static int put_proxy(struct box *box, const char *proxy, const char *real, unsigned int i)
{
	struct fq_addr proxy0 = addr(proxy), real0 = addr(real);
	struct fq_xlat_key key = {.proxy = ipaddr_add(&proxy0, i)};
	struct fq_xlat xlat = {.real = ipaddr_add(&real0, i),
			       .domain = 1 + i,
			       .has_real = 1,
			       .resources = 1,
			       .resource = {BOX_RESOURCE}};
	struct fq_edge edge = {.domain = 1 + i, .verdict = FQ_EDGE_FORWARD};
	int r = proxies_set_xlat(box->proxies, &key, &xlat);

	return r < 0 ? r : proxies_set_edge(box->proxies, &key.proxy, &edge);
}

static int put_far(struct box *box)
{
	const struct fq_gateway gateway = {.addr = addr(BOX_GATEWAY), .up = 1};
	const struct fq_addr first = addr(BENCH_FAR4);
	const uint32_t id = BOX_FAR;
	int r = put(box->skel->maps.gateways, &id, &gateway);

	for (unsigned int i = 0; i < BENCH_PROXIES && r == 0; i++) {
		struct fq_edge edge = {
			.domain = 1 + i, .gateway = BOX_FAR, .verdict = FQ_EDGE_FORWARD};
		struct fq_addr proxy = ipaddr_add(&first, i);

		r = proxies_set_edge(box->proxies, &proxy, &edge);
	}
	return r;
}

static int open_proxies(struct box *box)
{
	const struct fq_settings *s = (const struct fq_settings *)&box->skel->rodata->fq_settings;
	const struct proxy_pools pools = {s->pool4, s->pool4_mask, s->pool6, s->pool6_mask};
	const struct proxy_fds fds = {bpf_map__fd(box->skel->maps.proxies),
				      bpf_map__fd(box->skel->maps.edge),
				      bpf_map__fd(box->skel->maps.xlat)};

	return proxies_open(&fds, &pools, true, &box->proxy_usage, &box->proxies);
}

static int put_policy(struct box *box, unsigned int sessions_max)
{
	struct fqdnat_bpf *skel = box->skel;
	static const char *const clients[] = {BOX_CLIENT4, BOX_CLIENT6};
	static const char *const proxies[][2] = {{BENCH_PROXY4, BENCH_REAL4},
						 {BENCH_PROXY6, BENCH_REAL6},
						 {BENCH_PROXY46, BENCH_REAL46},
						 {BENCH_PROXY64, BENCH_REAL64}};
	const uint32_t zero = 0, client_id = BOX_CLIENT, resource = BOX_RESOURCE;
	struct fq_control control = {.abi_version = FQ_ABI_VERSION,
				     .gen = 1,
				     .sessions_max = sessions_max,
				     .grants_until = UINT64_MAX,
				     .hops_until = UINT64_MAX};
	struct fq_quota quota = {.max = sessions_max};
	struct fq_client client = {.client = BOX_CLIENT};
	struct fq_grant_key grant_key = {.client = BOX_CLIENT, .resource = BOX_RESOURCE};
	struct fq_grant grant = {};
	struct fq_filter filter = {
		.ranges = 2,
		.icmp = 1,
		.range = {{.proto = IPPROTO_UDP, .lo = BENCH_DPORT, .hi = BENCH_DPORT},
			  {.proto = IPPROTO_TCP, .lo = BENCH_DPORT, .hi = BENCH_DPORT}}};
	int r = table_draw(&control.table, table_slots(sessions_max));

	if (r == 0)
		r = put(skel->maps.control, &zero, &control);

	for (int i = 0; i < 2 && r == 0; i++) {
		struct fq_prefix prefix = {.prefixlen = 128, .addr = addr(clients[i])};

		r = put(skel->maps.clients, &prefix, &client);
	}
	if (r == 0)
		r = put(skel->maps.quota, &client_id, &quota);
	if (r == 0)
		r = put(skel->maps.grants, &grant_key, &grant);
	if (r == 0)
		r = put(skel->maps.filters, &resource, &filter);
	for (size_t k = 0; k < sizeof(proxies) / sizeof(proxies[0]); k++)
		for (unsigned int i = 0; i < BENCH_PROXIES && r == 0; i++)
			r = put_proxy(box, proxies[k][0], proxies[k][1], i);
	return r < 0 ? r : put_far(box);
}

static int put_devices(struct fqdnat_bpf *skel, unsigned int lan, unsigned int wan)
{
	const uint32_t ifindex[] = {lan, wan};
	struct fq_dev dev = {.nat4 = addr(BOX_NAT4), .nat6 = addr(BOX_NAT6)};
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		r = put(skel->maps.devs, &ifindex[i], &dev);
		if (r == 0)
			r = put(skel->maps.tx, &ifindex[i], &ifindex[i]);
	}
	return r;
}

static int set_slots(struct fqdnat_bpf *skel, uint32_t slots)
{
	int r = bpf_map__set_max_entries(skel->maps.sessions, slots);

	if (r == 0)
		r = bpf_map__set_max_entries(skel->maps.sessions_cold, slots);
	return r < 0 ? r : bpf_map__set_max_entries(skel->maps.sessions_six, slots);
}

unsigned int box_room(unsigned int flows_max)
{
	return flows_max > BOX_SESSIONS ? flows_max : BOX_SESSIONS;
}

int box_open(struct box *box, unsigned int lan, unsigned int wan, unsigned int flows_max)
{
	unsigned int room = box_room(flows_max);
	int r;

	*box = (struct box){.skel = fqdnat_bpf__open(), .lan = lan, .wan = wan, .room = room};
	if (!box->skel)
		return -errno;
	fill_settings((struct fq_settings *)&box->skel->rodata->fq_settings);
	r = set_slots(box->skel, table_slots(room));
	if (r == 0)
		r = fqdnat_bpf__load(box->skel);
	if (r < 0)
		fprintf(stderr, "bench: cannot load the object under test: %s\n", strerror(-r));
	if (r == 0)
		r = open_proxies(box);
	if (r == 0)
		r = put_policy(box, room);
	if (r == 0)
		r = put_devices(box->skel, lan, wan);
	if (r < 0)
		box_close(box);
	return r;
}

void box_close(struct box *box)
{
	proxies_free(TAKE_PTR(box->proxies));
	fqdnat_bpf__destroy(box->skel);
	box->skel = NULL;
}

int box_prog_fd(const struct box *box)
{
	return bpf_program__fd(box->skel->progs.fqdnat_xdp);
}

double box_sessions_memory(const struct box *box)
{
	static const char *const names[] = {"sessions", "sessions_cold", "sessions_six"};
	double bytes = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = bpf_object__find_map_fd_by_name(box->skel->obj, names[i]);

		bytes += fd < 0 ? 0 : memory_of_map(fd);
	}
	return bytes;
}

unsigned int box_sessions(const struct box *box)
{
	struct fq_control control = {};
	uint32_t zero = 0;

	bpf_map_lookup_elem(bpf_map__fd(box->skel->maps.control), &zero, &control);
	return control.sessions;
}

uint64_t box_count(const struct box *box, enum fq_reason reason)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_(freep) struct fq_count *counts = calloc(cpus, sizeof(*counts));
	uint32_t key = reason;
	uint64_t sum = 0;

	if (!counts || bpf_map_lookup_elem(bpf_map__fd(box->skel->maps.stats), &key, counts) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += counts[i].packets;
	return sum;
}

void box_explain(const struct box *box)
{
	static const char *const names[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = name,
		FQ_REASONS(X)
#undef X
	};

	for (int i = 1; i < FQ_REASON_MAX; i++) {
		uint64_t n = box_count(box, i);

		if (n)
			fprintf(stderr, "bench: %s: %llu\n", names[i], (unsigned long long)n);
	}
}

int box_open_flows(struct box *box, struct rig *rig, enum frame_kind kind, unsigned int flows,
		   double *ret_ns)
{
	uint32_t verdict;
	double ns = 0;
	int r;

	if (flows > box->opened) {
		rig_draw_sequence(rig, box->opened, flows);
		r = rig_target(rig, box_prog_fd(box));
		if (r == 0)
			r = rig_run(rig, kind, box->lan, flows - box->opened, &ns, &verdict);
		if (r < 0)
			return r;
		box->opened = flows;
	}
	*ret_ns = ns;
	if (box_sessions(box) == box->opened)
		return 0;
	fprintf(stderr, "bench: %u sessions instead of %u:\n", box_sessions(box), flows);
	box_explain(box);
	return -EPROTO;
}
