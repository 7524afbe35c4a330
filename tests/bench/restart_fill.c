/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leave what a daemon with many domains would: rows in the store of one that has stopped and, for a
 * gateway in its process, translations in its pinned map. Called by restart.sh.
 *
 *     bench-restart-fill STATE BPFFS RESOURCE-UUID PATTERN-SUFFIX GATEWAY DOMAINS
 *
 * GATEWAY: its name, or "" for the one in the process. Proxy addresses are handed out in order from
 * the pools 100.64.0.0/10 and fd00:2021:1111:8000::/106, as the daemon does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "base/ipaddr.h"
#include "core/edge.h"
#include "dataplane/internal.h"
#include "store/store.h"

#define FIRST   1   /* the network address is nobody's */
#define BATCH   512 /* domains */
#define PER     PROXIES_MAX
#define SKIP_AT ((100U - 64) << 14 | 100U << 6 | 111U >> 2) /* see POOL_V4_SENTINEL */

struct fill {
	struct store *store;
	struct proxies *proxies; /* NULL: the gateway is elsewhere */
	uint32_t resource, gateway;
	const char *suffix;
};

static _Noreturn void die(const char *what, int r)
{
	fprintf(stderr, "bench-restart-fill: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* Addresses of the @n-th domain. Four of its own in each family, none of the sentinel's 256. */
static void proxies_of(uint32_t n, struct fq_addr proxies[PER])
{
	struct fq_addr v4, v6;

	n += FIRST;
	n += n >= SKIP_AT ? 64 : 0;
	(void)ipaddr_parse("100.64.0.0", &v4);
	(void)ipaddr_parse("fd00:2021:1111:8000::", &v6);
	for (uint32_t i = 0; i < PER; i++)
		proxies[i] = i < PROXIES_V4 ? ipaddr_add(&v4, n * PROXIES_V4 + i)
					    : ipaddr_add(&v6, n * PROXIES_V6 + i - PROXIES_V4);
}

static int pinned(const char *bpffs, const char *map)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, map);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path, -errno);
	return fd;
}

/* Nobody else writes: the daemon has ended. */
static struct proxies *open_proxies(const char *bpffs)
{
	const struct proxy_fds fds = {pinned(bpffs, "proxies"), pinned(bpffs, "edge"),
				      pinned(bpffs, "xlat")};
	struct dp_user *user = mmap(NULL, sizeof(*user), PROT_READ | PROT_WRITE, MAP_SHARED,
				    pinned(bpffs, "user"), 0);
	struct proxies *proxies;
	int r;

	if (user == MAP_FAILED)
		die("cannot map what the daemon has left", -errno);
	r = proxies_open(&fds, &user->pools, true, &user->proxies, &proxies);
	if (r < 0)
		die("cannot open the maps", r);
	return proxies;
}

static void add_xlats(struct fill *f, uint32_t id, const struct fq_addr proxies[PER],
		      const struct store_records *records)
{
	for (unsigned int i = 0; i < PER; i++) {
		const struct fq_xlat_key key = {.proxy = proxies[i]};
		const struct fq_xlat value = {
			.real = i < PROXIES_V4 ? records->v4[0] : records->v6[0],
			.domain = id,
			.has_real = 1,
			.resources = 1,
			.resource = {f->resource},
		};
		int r = proxies_set_xlat(f->proxies, &key, &value);

		if (r < 0)
			die("cannot write translations", r);
	}
}

static int add_domain(struct fill *f, uint32_t n)
{
	struct store_domain domain = {.id = n + 1, .proxy_count = PER, .created_s = 1};
	struct store_records records = {.domain = n + 1, .v4_count = 1, .v6_count = 1};
	const struct store_entry entry = {
		.gateway = f->gateway,
		.domain = n + 1,
		.resource = f->resource,
		.state = EDGE_CONFIRMED,
		.generation = n + 1,
		.families = IP_FAMILY_ALL,
	};
	int r;

	snprintf(domain.name, sizeof(domain.name), "host-%07u.%s", n, f->suffix);
	proxies_of(n, domain.proxies);
	(void)ipaddr_parse("198.51.100.10", &records.v4[0]);
	(void)ipaddr_parse("2001:db8:2::10", &records.v6[0]);
	r = store_put_domain(f->store, &domain);
	if (r == 0)
		r = store_put_entry(f->store, &entry);
	if (r == 0 && f->proxies)
		r = store_put_records(f->store, &records);
	if (r == 0 && f->proxies)
		add_xlats(f, domain.id, domain.proxies, &records);
	if (r == 0 && n % BATCH == BATCH - 1)
		r = store_commit(f->store);
	return r;
}

int main(int argc, char **argv)
{
	static struct fill f;
	char error[STORE_ERROR_LEN];
	uint32_t domains;
	int r;

	if (argc != 7) {
		fprintf(stderr, "usage: see %s\n", __FILE__);
		return 2;
	}
	domains = (uint32_t)atoi(argv[6]);
	f.suffix = argv[4];
	r = store_open(argv[1], STORE_WRITE, &f.store, error);
	if (r < 0)
		die(error, r);
	r = store_id(f.store, STORE_RESOURCE, argv[3], &f.resource);
	if (r == 0 && *argv[5])
		r = store_id(f.store, STORE_GATEWAY, argv[5], &f.gateway);
	if (r == 0 && !*argv[5])
		f.proxies = open_proxies(argv[2]);
	for (uint32_t n = 0; n < domains && r == 0; n++)
		r = add_domain(&f, n);
	proxies_free(f.proxies);
	if (r == 0)
		r = store_commit(f.store);
	store_free(f.store);
	if (r < 0)
		die("cannot write the store", r);
	return 0;
}
