/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at the maps, see view.h. Programs are in view_progs.c. */
#include "dataplane/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/load.h"
#include "dataplane/view_internal.h"

int dpview_open(const char *bpffs, struct dp_error *err, struct dpview **ret_view)
{
	_cleanup_(dpview_freep) struct dpview *view = calloc(1, sizeof(*view));
	int r;

	if (!view)
		return dp_fail(err, -ENOMEM, "out of memory");
	bpffs = bpffs ? bpffs : FQ_BPFFS_DEFAULT;
	memset(view->maps, -1, sizeof(view->maps));
	if (strlen(bpffs) >= DP_PATH_MAX - 32)
		return dp_fail(err, -ENAMETOOLONG, "%s: the path is too long", bpffs);
	strcpy(view->bpffs, bpffs);
	r = bpffs_open_maps(bpffs, BPF_F_RDONLY, err, view->maps);
	if (r < 0)
		return r;
	for (enum dp_map m = 0; m < M_COUNT; m++)
		if (view->maps[m] < 0)
			return dp_fail(err, -ENOENT,
				       "nothing is loaded in %s: is fqdnatd running, and is "
				       "this its directory (-b, FQDNAT_BPFFS)?",
				       bpffs);
	log_capture();
	*ret_view = TAKE_PTR(view);
	return 0;
}

void dpview_free(struct dpview *view)
{
	if (!view)
		return;
	close_fds(view->maps, M_COUNT);
	free(view);
}

static int get_one(const struct dpview *view, enum dp_map map, uint32_t index, void *ret_value)
{
	return bpf_map_lookup_elem(view->maps[map], &index, ret_value) < 0 ? -errno : 0;
}

/* The kernel maps memory only from a descriptor that could write, even for reading. */
static int open_mappable(const struct dpview *view, enum dp_map map)
{
	char path[DP_PATH_MAX];
	int fd, r = dp_path_map(path, view->bpffs, map);

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

/* ---- sessions ---- */

struct session_walk {
	const struct dp_match *match;
	struct instant now;
	struct expiry_policy policy;
	dpview_session_fn cb;
	void *ctx;
};

static int64_t not_negative(int64_t ns)
{
	return ns < 0 ? 0 : ns;
}

static void session_row(const struct session_walk *walk, const struct fq_tuple *key,
			const struct session_entry *out, const struct session_entry *in,
			struct dpview_session *ret_row)
{
	bool icmp = key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6;

	*ret_row = (struct dpview_session){
		.proto = key->proto,
		.state = session_state(out, in, key->proto),
		.client = key->src,
		.proxy = key->dst,
		.gateway = out->gateway,
		.client_port = ntohs(key->sport),
		.nat_port = ntohs(out->port),
		.port = icmp ? 0 : ntohs(out->peer_port),
		.real_port = icmp ? 0 : ntohs(out->peer_port),
		.client_id = out->client,
		.resource_id = out->resource,
		.domain_id = out->domain,
		.packets_out = out->packets,
		.bytes_out = out->bytes,
		.packets_in = in->packets,
		.bytes_in = in->bytes,
		.idle_ns = not_negative(instant_sub(walk->now, session_last(out, in))),
		.expires_ns = not_negative(
			instant_sub(session_expiry(out, in, key->proto, &walk->policy), walk->now)),
	};
	if (out->gateway)
		return;
	ret_row->nat = out->src;
	ret_row->real = out->dst;
}

static int session_one(const struct session_walk *walk, const struct session_table *table,
		       uint32_t index)
{
	struct session_entry out, in = {0};
	struct fq_tuple key, in_key;
	struct dpview_session row;

	if (!table_read(table, index, walk->now, &key, &out) || out.dir != FQ_DIR_OUT ||
	    (walk->match && !session_matches(walk->match, &key, &out)))
		return 0;
	in_key = session_partner(&key, &out);
	index = table_find(table, &in_key);
	/* Being opened or removed just now: no reply yet, as far as we can see. */
	if (index == TABLE_NONE || !table_read(table, index, walk->now, &in_key, &in))
		in = (struct session_entry){0};
	session_row(walk, &key, &out, &in, &row);
	return walk->cb(walk->ctx, &row);
}

int dpview_sessions(struct dpview *view, const struct dp_match *match, struct instant now,
		    dpview_session_fn cb, void *ctx)
{
	struct session_walk walk = {.match = match, .now = now, .cb = cb, .ctx = ctx};
	_cleanup_(closep) int slot = open_mappable(view, M_SESSIONS);
	_cleanup_(closep) int six = open_mappable(view, M_SESSIONS_SIX);
	_cleanup_(closep) int cold = open_mappable(view, M_SESSIONS_COLD);
	struct fq_control control;
	struct session_table table;
	struct dp_user user;
	int r = get_one(view, M_USER, 0, &user);

	if (r == 0)
		r = get_one(view, M_CONTROL, 0, &control);
	if (r == 0)
		r = table_map(&table, slot, six, cold, &control.table, false);
	if (r < 0)
		return r;
	walk.policy = user.expiry;
	for (uint32_t i = 0; i < control.table.slots && r == 0; i++)
		r = session_one(&walk, &table, i);
	table_unmap(&table);
	return r;
}

/* ---- proxies ---- */

struct proxy_walk {
	dpview_proxy_fn cb;
	void *ctx;
};

static int proxy_row(void *ctx, const struct fq_xlat_key *key, const struct fq_edge *edge,
		     const struct fq_xlat *xlat)
{
	const struct proxy_walk *walk = ctx;
	struct dpview_proxy row = {
		.proxy = key->proxy, .scope = key->scope, .has_edge = edge, .has_xlat = xlat};

	if (edge)
		row.edge = *edge;
	if (xlat)
		row.xlat = *xlat;
	row.domain_id = xlat ? xlat->domain : edge->domain;
	return walk->cb(walk->ctx, &row);
}

int dpview_proxies(struct dpview *view, dpview_proxy_fn cb, void *ctx)
{
	struct proxy_walk walk = {.cb = cb, .ctx = ctx};
	const struct proxy_fds fds = {view->maps[M_PROXIES], view->maps[M_EDGE],
				      view->maps[M_XLAT]};
	_cleanup_(proxies_freep) struct proxies *proxies = NULL;
	struct dp_user user;
	int r = get_one(view, M_USER, 0, &user);

	if (r == 0)
		r = proxies_open(&fds, &user.pools, false, &user.proxies, &proxies);
	return r < 0 ? r : proxies_each(proxies, proxy_row, &walk);
}

/* ---- counters ---- */

int dpview_stats(struct dpview *view, struct fq_count ret_counts[FQ_REASON_MAX])
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_(freep) struct fq_count *percpu =
		calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*percpu));
	struct fq_count counts[FQ_REASON_MAX] = {0};
	struct dp_user user;
	int r;

	if (cpus < 0)
		return cpus;
	if (!percpu)
		return -ENOMEM;
	r = get_one(view, M_USER, 0, &user);
	for (uint32_t reason = 0; r == 0 && reason < FQ_REASON_MAX; reason++) {
		r = get_one(view, M_STATS, reason, percpu);
		/* A reason younger than the pinned map: nobody counts it there. */
		if (r == -ENOENT)
			r = 0;
		else
			for (int cpu = 0; r == 0 && cpu < cpus; cpu++) {
				counts[reason].packets += percpu[cpu].packets;
				counts[reason].bytes += percpu[cpu].bytes;
			}
		counts[reason].packets += user.events[reason];
	}
	if (r == 0)
		memcpy(ret_counts, counts, sizeof(counts));
	return r;
}

bool dpview_granted(struct dpview *view, uint32_t client, uint32_t resource)
{
	const struct fq_grant_key key = {.client = client, .resource = resource};
	struct fq_grant grant;

	return bpf_map_lookup_elem(view->maps[M_GRANTS], &key, &grant) == 0;
}

int dpview_quota(struct dpview *view, uint32_t client, struct fq_quota *ret_quota)
{
	return client < FQ_CLIENTS_MAX ? get_one(view, M_QUOTA, client, ret_quota) : -ENOENT;
}

int dpview_scope_quota(struct dpview *view, uint32_t scope, struct fq_quota *ret_quota)
{
	return scope < FQ_SCOPES_MAX ? get_one(view, M_QUOTA, FQ_CLIENTS_MAX + scope, ret_quota)
				     : -ENOENT;
}

int dpview_gateway(struct dpview *view, uint32_t id, struct fq_gateway *ret_gateway)
{
	struct fq_gateway gateway;
	int r = get_one(view, M_GATEWAYS, id, &gateway);

	if (r == 0 && ipaddr_is_zero(&gateway.addr))
		r = -ENOENT;
	if (r == 0)
		*ret_gateway = gateway;
	return r;
}

/* ---- limits ---- */

static int max_entries(int fd, uint64_t *ret_max)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret_max = info.max_entries;
	return 0;
}

/* Bytes waiting in the ring buffer: its first two pages say how far each side is. */
static int ring_used(const struct dpview *view, uint64_t *ret_used)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	_cleanup_(closep) int fd = open_mappable(view, M_UPCALLS);
	const char *p;

	if (fd < 0)
		return fd;
	p = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret_used = __atomic_load_n((const uint64_t *)(p + page), __ATOMIC_ACQUIRE) -
		    __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
	munmap((void *)p, 2 * page);
	return 0;
}

static int limit_row(struct dpview *view, enum dp_map map, struct dpview_limit *ret_row)
{
	struct dpview_limit row = {.name = map_specs[map].name};
	struct fq_control control;
	struct dp_user user;
	int r;

	if (map == M_SESSIONS) {
		r = get_one(view, M_CONTROL, 0, &control);
		row.used = control.sessions;
		row.max = control.sessions_max;
	} else if (map == M_DNS) {
		r = get_one(view, M_USER, 0, &user);
		row.used = user.dnsnames.names;
		row.max = user.dnsnames.max;
	} else if (map == M_EDGE || map == M_XLAT) {
		r = get_one(view, M_USER, 0, &user);
		row.used = map == M_EDGE ? user.proxies.edge : user.proxies.xlat;
		row.max = map == M_EDGE ? user.proxies.edge_max : user.proxies.xlat_max;
	} else {
		r = max_entries(view->maps[map], &row.max);
		if (r == 0)
			r = map == M_UPCALLS ? ring_used(view, &row.used)
					     : map_count(map, view->maps[map], &row.used);
	}
	if (r == 0)
		*ret_row = row;
	return r;
}

int dpview_limits(struct dpview *view, dpview_limit_fn cb, void *ctx)
{
	static const enum dp_map maps[] = {
		M_SESSIONS,   M_CLIENTS,      M_GRANTS,    M_FILTERS, M_XLAT,
		M_EDGE,       M_DNS,          M_DEVS,      M_VLANS,   M_TX,
		M_TOMBSTONES, M_ICMP_BUCKETS, M_FRAGMENTS, M_UPCALLS,
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		struct dpview_limit row;
		int r = limit_row(view, maps[i], &row);

		if (r == 0)
			r = cb(ctx, &row);
		if (r)
			return r;
	}
	return 0;
}
