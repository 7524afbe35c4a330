/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long what the programs know of proxy addresses takes to be set: 100000 domains of eight
 * addresses each, a gateway's translations and an edge's verdicts, by the functions and in maps of
 * the type and flags that the daemon uses. Beside them an array of the same values in large
 * batches: what the system call and memory cost. All is deleted between rounds, which is not timed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/ipaddr.h"
#include "bench.h"
#include "dataplane/proxies.h"
#include "rig.h"

#define INSTALL_SECTION   "install"
#define INSTALL_DOMAINS   100000
#define INSTALL_ADDRESSES 8 /* of a domain: four of each IP version */
#define INSTALL_ENTRIES   (INSTALL_DOMAINS * INSTALL_ADDRESSES)
#define INSTALL_ROUNDS    5 /* at most */
#define INSTALL_BATCH     4096

enum { FILL_ARRAY, FILL_XLAT, FILL_EDGE, FILLINGS };

static const char *const names[FILLINGS] = {"array", "translations", "verdicts"};

struct installer {
	struct proxy_fds fds;
	struct proxy_pools pools;
	struct proxy_usage usage;
	struct proxies *proxies;
	int array;
	uint32_t *keys; /* of the array; and of zero, its values */
	struct fq_xlat *values;
};

static struct fq_addr address(const struct installer *in, unsigned int i)
{
	unsigned int domain = i / INSTALL_ADDRESSES, n = i % INSTALL_ADDRESSES;
	bool v4 = n < INSTALL_ADDRESSES / 2;

	return ipaddr_add(v4 ? &in->pools.pool4 : &in->pools.pool6,
			  domain * INSTALL_ADDRESSES / 2 + n % (INSTALL_ADDRESSES / 2));
}

static int fill_array(struct installer *in)
{
	for (uint32_t at = 0; at < INSTALL_ENTRIES; at += INSTALL_BATCH) {
		uint32_t n = INSTALL_ENTRIES - at;

		n = n < INSTALL_BATCH ? n : INSTALL_BATCH;
		if (bpf_map_update_batch(in->array, &in->keys[at], in->values, &n, NULL) < 0)
			return -errno;
	}
	return 0;
}

static int set_one(struct installer *in, bool xlat, unsigned int i)
{
	const uint32_t domain = 1 + i / INSTALL_ADDRESSES;
	const struct fq_edge edge = {.domain = domain, .verdict = FQ_EDGE_FORWARD};
	const struct fq_addr proxy = address(in, i);
	const struct fq_xlat_key key = {.proxy = proxy};
	const struct fq_xlat value = {
		.real = proxy, .domain = domain, .has_real = 1, .resources = 1, .resource = {1}};

	return xlat ? proxies_set_xlat(in->proxies, &key, &value)
		    : proxies_set_edge(in->proxies, &proxy, &edge);
}

static int fill(struct installer *in, int what, double *ret_s)
{
	struct instant start = instant_now();
	int r = 0;

	if (what == FILL_ARRAY)
		r = fill_array(in);
	else
		for (unsigned int i = 0; i < INSTALL_ENTRIES && r == 0; i++)
			r = set_one(in, what == FILL_XLAT, i);
	*ret_s = (double)instant_sub(instant_now(), start) / 1e9;
	return bench_stop ? -EINTR : r;
}

static int measure(struct installer *in, unsigned int rounds, struct report *report)
{
	size_t first = report->count;
	double s = 0;
	int r = 0;

	for (int i = 0; i < FILLINGS; i++)
		if (!report_add(report, INSTALL_SECTION, names[i], "s", INSTALL_DOMAINS))
			return -ENOMEM;
	for (unsigned int round = 0; round < rounds && r == 0; round++) {
		for (int i = 0; i < FILLINGS && r == 0; i++) {
			r = fill(in, i, &s);
			if (r == 0)
				figure_sample(&report->figures[first + i], s);
		}
		proxies_clear(in->proxies);
	}
	for (int i = FILL_XLAT; i < FILLINGS; i++)
		report_ratio(report, names[i], names[FILL_ARRAY], INSTALL_DOMAINS);
	return r;
}

/* A map of maps as the object has it. */
static int make_paged(size_t size, unsigned int bits, uint32_t pages)
{
	LIBBPF_OPTS(bpf_map_create_opts, flags, .map_flags = BPF_F_MMAPABLE);
	_cleanup_(closep) int page = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fqbench", sizeof(uint32_t),
						    (uint32_t)size, 1U << bits, &flags);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)page);

	return page < 0 ? page
			: bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "fqbench", sizeof(uint32_t),
					 sizeof(uint32_t), pages, &opts);
}

static int prepare(struct installer *in)
{
	(void)ipaddr_parse("100.96.0.0", &in->pools.pool4);
	(void)ipaddr_parse("fd00:2021:1111:8000::", &in->pools.pool6);
	in->pools.mask4 = ipprefix_mask(96 + 11);
	in->pools.mask6 = ipprefix_mask(107);
	in->fds.proxies = make_paged(sizeof(struct fq_proxy), PROXY_PAGE_BITS, PROXY_PAGES);
	in->fds.edge = make_paged(sizeof(struct fq_edge), EDGE_PAGE_BITS, EDGE_PAGES);
	in->fds.xlat = make_paged(sizeof(struct fq_xlat), XLAT_PAGE_BITS, XLAT_PAGES);
	in->array = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fqbench", sizeof(uint32_t),
				   sizeof(struct fq_xlat), INSTALL_ENTRIES, NULL);
	if (in->fds.proxies < 0 || in->fds.edge < 0 || in->fds.xlat < 0 || in->array < 0)
		return -errno;
	in->keys = calloc(INSTALL_ENTRIES, sizeof(*in->keys));
	in->values = calloc(INSTALL_BATCH, sizeof(*in->values));
	if (!in->keys || !in->values)
		return -ENOMEM;
	for (uint32_t i = 0; i < INSTALL_ENTRIES; i++)
		in->keys[i] = i;
	return proxies_open(&in->fds, &in->pools, true, &in->usage, &in->proxies);
}

int bench_install(const struct bench_plan *plan, struct report *report)
{
	unsigned int rounds = plan->rounds < INSTALL_ROUNDS ? plan->rounds : INSTALL_ROUNDS;
	struct installer in = {.fds = {-1, -1, -1}, .array = -1};
	int r = prepare(&in);

	if (r == 0)
		r = measure(&in, rounds, report);
	proxies_free(in.proxies);
	closep(&in.fds.proxies);
	closep(&in.fds.edge);
	closep(&in.fds.xlat);
	closep(&in.array);
	free(in.keys);
	free(in.values);
	if (r < 0)
		fprintf(stderr, "bench: cannot fill a map: %s\n", strerror(-r));
	return r;
}
