/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long the maps of proxy addresses take to be filled: 100000 domains of eight addresses each.
 *
 * The maps are made like the object's own (type, sizes, flags), and filled as the daemon fills
 * them: a gateway's translations and an edge's verdicts by domain. Beside them an array of the same
 * values in large batches: what the system call and memory cost. They are emptied between rounds,
 * which is not timed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "bench.h"
#include "fqdnat.skel.h"
#include "rig.h"

#define INSTALL_SECTION   "install"
#define INSTALL_DOMAINS   100000
#define INSTALL_ADDRESSES 8
#define INSTALL_ENTRIES   (INSTALL_DOMAINS * INSTALL_ADDRESSES)
#define INSTALL_ROUNDS    5 /* at most: each takes seconds */
#define INSTALL_BATCH     4096

struct filling {
	const char *name;
	unsigned int batch; /* entries a call */
	enum bpf_map_type type;
	unsigned int key_size, value_size, flags, room;
	int fd;
	uint8_t *keys, *values;
};

enum { FILL_ARRAY, FILL_XLAT, FILL_EDGE, FILLINGS };

static void like(struct filling *f, const struct bpf_map *map)
{
	f->type = bpf_map__type(map);
	f->key_size = bpf_map__key_size(map);
	f->value_size = bpf_map__value_size(map);
	f->flags = bpf_map__map_flags(map);
	f->room = bpf_map__max_entries(map);
}

static int describe(struct filling fillings[FILLINGS])
{
	struct fqdnat_bpf *skel = fqdnat_bpf__open();

	if (!skel)
		return -errno;
	fillings[FILL_ARRAY] = (struct filling){.name = "array",
						.batch = INSTALL_BATCH,
						.type = BPF_MAP_TYPE_ARRAY,
						.key_size = sizeof(uint32_t),
						.value_size = sizeof(struct fq_xlat),
						.room = INSTALL_ENTRIES};
	fillings[FILL_XLAT] = (struct filling){.name = "translations", .batch = INSTALL_ADDRESSES};
	like(&fillings[FILL_XLAT], skel->maps.xlat);
	fillings[FILL_EDGE] = (struct filling){.name = "verdicts", .batch = INSTALL_ADDRESSES};
	like(&fillings[FILL_EDGE], skel->maps.edge);
	fqdnat_bpf__destroy(skel);
	return 0;
}

/* Keys differ in their last four bytes, where an address has its number. */
static int make(struct filling *f)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = f->flags);

	f->keys = calloc(INSTALL_ENTRIES, f->key_size);
	f->values = calloc(INSTALL_BATCH, f->value_size);
	if (!f->keys || !f->values)
		return -ENOMEM;
	for (uint32_t i = 0; i < INSTALL_ENTRIES; i++)
		memcpy(f->keys + (size_t)(i + 1) * f->key_size - sizeof(i), &i, sizeof(i));
	f->fd = bpf_map_create(f->type, "fqbench", f->key_size, f->value_size, f->room, &opts);
	return f->fd < 0 ? f->fd : 0;
}

static int put(const struct filling *f, unsigned int at)
{
	const void *keys = f->keys + (size_t)at * f->key_size;
	uint32_t n = INSTALL_ENTRIES - at < f->batch ? INSTALL_ENTRIES - at : f->batch;

	return bpf_map_update_batch(f->fd, keys, f->values, &n, NULL);
}

static int fill(const struct filling *f, double *ret_s)
{
	struct instant start = instant_now();

	for (unsigned int at = 0; at < INSTALL_ENTRIES; at += f->batch)
		if (put(f, at) < 0)
			return -errno;
	*ret_s = instant_sub(instant_now(), start) / 1e9;
	return bench_stop ? -EINTR : 0;
}

static int empty(const struct filling *f)
{
	uint32_t n = INSTALL_ENTRIES;

	if (f->type == BPF_MAP_TYPE_ARRAY)
		return 0;
	return bpf_map_delete_batch(f->fd, f->keys, &n, NULL) < 0 ? -errno : 0;
}

static int measure(struct filling *fillings, unsigned int rounds, struct report *report)
{
	size_t first = report->count;
	double s = 0;
	int r = 0;

	for (int i = 0; i < FILLINGS; i++)
		if (!report_add(report, INSTALL_SECTION, fillings[i].name, "s", INSTALL_DOMAINS))
			return -ENOMEM;
	for (unsigned int round = 0; round < rounds && r == 0; round++) {
		for (int i = 0; i < FILLINGS && r == 0; i++) {
			r = fill(&fillings[i], &s);
			if (r == 0)
				r = empty(&fillings[i]);
			if (r == 0)
				figure_sample(&report->figures[first + i], s);
		}
	}
	for (int i = FILL_XLAT; i < FILLINGS; i++)
		report_ratio(report, fillings[i].name, fillings[FILL_ARRAY].name, INSTALL_DOMAINS);
	return r;
}

int bench_install(const struct bench_plan *plan, struct report *report)
{
	unsigned int rounds = plan->rounds < INSTALL_ROUNDS ? plan->rounds : INSTALL_ROUNDS;
	struct filling fillings[FILLINGS] = {};
	int r = describe(fillings);

	for (int i = 0; i < FILLINGS && r == 0; i++) {
		fillings[i].fd = -1;
		r = make(&fillings[i]);
	}
	if (r == 0)
		r = measure(fillings, rounds, report);
	for (int i = 0; i < FILLINGS; i++) {
		if (fillings[i].keys)
			closep(&fillings[i].fd);
		free(fillings[i].keys);
		free(fillings[i].values);
	}
	if (r < 0)
		fprintf(stderr, "bench: cannot fill a map: %s\n", strerror(-r));
	return r;
}
