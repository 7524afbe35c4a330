/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Install 100000 domains with 8 proxy addresses each into the edge's map, as when a daemon starts
 * with new maps, or all domains move to another gateway. Called by restart.sh.
 *
 *     bench-restart-install BPFFS ROUNDS
 *
 * Prints a line a round and way, NAME DOMAINS s SECONDS, of CPU time: a domain at once (install,
 * what the daemon does), an address at once, and for comparison an array of as many elements in
 * batches of 1024, the least that the kernel takes for as many bytes. The map is empty before each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "core/pool.h"
#include "dataplane/dataplane.h"

#define DOMAINS   100000
#define ADDRESSES (DOMAINS * PROXIES_MAX)
#define BATCH     1024

static struct fq_addr proxies[DOMAINS][PROXIES_MAX];

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, int r)
{
	fprintf(stderr, "bench-restart-install: %s: %s\n", what, strerror(-r));
	exit(1);
}

static struct fq_edge verdict(uint32_t domain)
{
	return (struct fq_edge){.domain = domain + 1, .gateway = 1, .verdict = FQ_EDGE_FORWARD};
}

static int by_domain(struct dataplane *dp)
{
	int r = 0;

	for (uint32_t i = 0; i < DOMAINS && r == 0; i++) {
		const struct fq_edge value = verdict(i);

		r = dataplane_edge_set_all(dp, proxies[i], PROXIES_MAX, &value);
	}
	return r;
}

static int by_address(struct dataplane *dp)
{
	int r = 0;

	for (uint32_t i = 0; i < ADDRESSES && r == 0; i++) {
		const struct fq_edge value = verdict(i / PROXIES_MAX);

		r = dataplane_edge_set(dp, &proxies[i / PROXIES_MAX][i % PROXIES_MAX], &value);
	}
	return r;
}

static int array(int fd)
{
	static struct fq_edge values[BATCH];
	static uint32_t keys[BATCH];

	for (uint32_t at = 0; at < ADDRESSES; at += BATCH) {
		uint32_t n = ADDRESSES - at < BATCH ? ADDRESSES - at : BATCH;

		for (uint32_t i = 0; i < n; i++) {
			keys[i] = at + i;
			values[i] = verdict((at + i) / PROXIES_MAX);
		}
		if (bpf_map_update_batch(fd, keys, values, &n, NULL) < 0)
			return -errno;
	}
	return 0;
}

static void clear(struct dataplane *dp)
{
	for (uint32_t i = 0; i < ADDRESSES; i++)
		(void)dataplane_edge_del(dp, &proxies[i / PROXIES_MAX][i % PROXIES_MAX]);
}

static void told(const char *name, double begin, int r)
{
	if (r < 0)
		die(name, r);
	printf("%s %u s %.4f\n", name, DOMAINS, cpu_s() - begin);
}

static void make_proxies(struct fq_settings *s)
{
	(void)ipaddr_parse("100.64.0.0", &s->pool4);
	(void)ipaddr_parse("fd00:2021:1111:8000::", &s->pool6);
	s->pool4_mask = ipprefix_mask(96 + 10);
	s->pool6_mask = ipprefix_mask(106);
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		uint32_t domain = i / PROXIES_MAX, n = i % PROXIES_MAX;

		proxies[domain][n] = n < PROXIES_V4
					     ? ipaddr_add(&s->pool4, domain * PROXIES_V4 + n)
					     : ipaddr_add(&s->pool6, domain * PROXIES_V6 + n);
	}
}

int main(int argc, char **argv)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct dp_settings settings = {
		.sessions_max = 1024,
		.domains_max = DOMAINS,
		.expiry = EXPIRY_POLICY_DEFAULT,
	};
	_cleanup_(closep) int fd = -1;
	struct dp_error err;

	if (argc != 3) {
		fprintf(stderr, "usage: see %s\n", __FILE__);
		return 2;
	}
	settings.bpffs = argv[1];
	make_proxies(&settings.program);
	if (dataplane_open(&settings, &err, &dp) < 0) {
		fprintf(stderr, "bench-restart-install: %s\n", err.text);
		return 1;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fq_floor", sizeof(uint32_t),
			    sizeof(struct fq_edge), ADDRESSES, NULL);
	if (fd < 0)
		die("cannot make an array", -errno);
	for (int round = atoi(argv[2]); round > 0; round--) {
		double begin = cpu_s();

		told("install", begin, by_domain(dp));
		clear(dp);
		begin = cpu_s();
		told("install-by-address", begin, by_address(dp));
		clear(dp);
		begin = cpu_s();
		told("array", begin, array(fd));
	}
	return 0;
}
