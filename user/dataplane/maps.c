/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps that the daemon writes. Entries are set one by one or, a domain's, together; counters
 * and limits are shared memory, changed atomically because the programs change them, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/probe.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

int map_del(struct dataplane *dp, enum dp_map map, const void *key)
{
	if (bpf_map_delete_elem(dp->maps[map], key) < 0 && errno != ENOENT)
		return -errno;
	sync_deleted(dp, map, key);
	return 0;
}

int gateway_clear(struct dataplane *dp, uint32_t id)
{
	const struct fq_gateway none = {0};
	struct fq_gateway have;

	if (bpf_map_lookup_elem(dp->maps[M_GATEWAYS], &id, &have) < 0)
		return -errno;
	if (ipaddr_is_zero(&have.addr))
		return 0;
	if (bpf_map_update_elem(dp->maps[M_GATEWAYS], &id, &none, BPF_ANY) < 0)
		return -errno;
	/* Where it was, sessions may remember (bpf/hops.h). */
	generation_begin(dp);
	return 1;
}

/* ---- entries ---- */

static int map_set(struct dataplane *dp, enum dp_map map, const void *key, const void *value)
{
	int r;

	if (sync_is_kept(dp, map, key, value))
		return 0;
	r = bpf_map_update_elem(dp->maps[map], key, value, BPF_ANY) < 0 ? -errno : 0;
	PROBE_MAP_UPDATE(map_specs[map].name, key, 1, r);
	if (r == 0)
		sync_written(dp, map, key, value);
	return r;
}

int dataplane_client_set(struct dataplane *dp, const struct ipprefix *prefix,
			 const struct fq_client *client)
{
	struct fq_prefix key = {.prefixlen = prefix->len, .addr = prefix->addr};

	return map_set(dp, M_CLIENTS, &key, client);
}

int dataplane_client_del(struct dataplane *dp, const struct ipprefix *prefix)
{
	struct fq_prefix key = {.prefixlen = prefix->len, .addr = prefix->addr};

	return map_del(dp, M_CLIENTS, &key);
}

int dataplane_grant_set(struct dataplane *dp, uint32_t client, uint32_t resource,
			uint64_t expires_ns)
{
	struct fq_grant_key key = {.client = client, .resource = resource};
	struct fq_grant grant = {.expires = expires_ns};

	if (expires_ns && expires_ns < dp->control->grants_until)
		__atomic_store_n(&dp->control->grants_until, expires_ns, __ATOMIC_RELEASE);
	return map_set(dp, M_GRANTS, &key, &grant);
}

int dataplane_grant_del(struct dataplane *dp, uint32_t client, uint32_t resource)
{
	struct fq_grant_key key = {.client = client, .resource = resource};

	return map_del(dp, M_GRANTS, &key);
}

int dataplane_filter_set(struct dataplane *dp, uint32_t resource, const struct fq_filter *filter)
{
	return map_set(dp, M_FILTERS, &resource, filter);
}

int dataplane_filter_del(struct dataplane *dp, uint32_t resource)
{
	return map_del(dp, M_FILTERS, &resource);
}

int dataplane_xlat_set(struct dataplane *dp, uint32_t scope, const struct fq_addr *proxy,
		       const struct fq_xlat *xlat)
{
	const struct fq_xlat_key key = {.scope = scope, .proxy = *proxy};

	return dataplane_xlat_set_all(dp, &key, xlat, 1);
}

int dataplane_xlat_set_all(struct dataplane *dp, const struct fq_xlat_key *keys,
			   const struct fq_xlat *values, unsigned int count)
{
	int r = 0;

	for (unsigned int i = 0; i < count; i++)
		proxies_expect(dp->proxies, keys[i].scope, &keys[i].proxy);
	for (unsigned int i = 0; i < count; i++) {
		int err = proxies_set_xlat(dp->proxies, &keys[i], &values[i]);

		r = r < 0 ? r : err;
	}
	PROBE_MAP_UPDATE(map_specs[M_XLAT].name, keys, count, r);
	return r;
}

int dataplane_xlat_del(struct dataplane *dp, uint32_t scope, const struct fq_addr *proxy)
{
	const struct fq_xlat_key key = {.scope = scope, .proxy = *proxy};

	proxies_del_xlat(dp->proxies, &key);
	return 0;
}

int dataplane_edge_set(struct dataplane *dp, const struct fq_addr *proxy,
		       const struct fq_edge *edge)
{
	return dataplane_edge_set_all(dp, proxy, 1, edge);
}

int dataplane_edge_set_all(struct dataplane *dp, const struct fq_addr *proxies, unsigned int count,
			   const struct fq_edge *edge)
{
	int r = 0;

	for (unsigned int i = 0; i < count; i++)
		proxies_expect(dp->proxies, 0, &proxies[i]);
	for (unsigned int i = 0; i < count; i++) {
		int err = proxies_set_edge(dp->proxies, &proxies[i], edge);

		r = r < 0 ? r : err;
	}
	PROBE_MAP_UPDATE(map_specs[M_EDGE].name, proxies, count, r);
	return r;
}

int dataplane_edge_del(struct dataplane *dp, const struct fq_addr *proxy)
{
	proxies_del_edge(dp->proxies, proxy);
	return 0;
}

int dataplane_gateway_set(struct dataplane *dp, uint32_t id, const struct fq_addr *addr, bool up)
{
	struct fq_gateway value;
	bool moved;

	if (id == 0 || id >= FQ_GATEWAYS_MAX)
		return -EINVAL;
	if (bpf_map_lookup_elem(dp->maps[M_GATEWAYS], &id, &value) < 0)
		return -errno;
	sync_gateway(dp, id, true);
	if (ipaddr_equal(&value.addr, addr) && value.up == up)
		return 0;
	moved = !ipaddr_equal(&value.addr, addr);
	/* What the programs have noted meanwhile they note again. */
	if (moved)
		value = (struct fq_gateway){.addr = *addr};
	value.up = up;
	if (bpf_map_update_elem(dp->maps[M_GATEWAYS], &id, &value, BPF_ANY) < 0)
		return -errno;
	if (moved)
		generation_begin(dp);
	return 0;
}

int dataplane_gateway_del(struct dataplane *dp, uint32_t id)
{
	int r;

	if (id == 0 || id >= FQ_GATEWAYS_MAX)
		return -EINVAL;
	r = gateway_clear(dp, id);
	sync_gateway(dp, id, false);
	return r < 0 ? r : 0;
}

/* ---- counters and limits ---- */

static int earlier_grant(void *ctx, const void *key, const void *value)
{
	const struct fq_grant *grant = value;
	uint64_t *until = ctx;

	(void)key;
	if (grant->expires && grant->expires < *until)
		*until = grant->expires;
	return 0;
}

/* While it is in the past, every packet asks whether its own grant has expired. */
static void grants_until_anew(struct dataplane *dp)
{
	uint64_t until = UINT64_MAX;

	if (map_walk(M_GRANTS, dp->maps[M_GRANTS], earlier_grant, &until) == 0)
		__atomic_store_n(&dp->control->grants_until, until, __ATOMIC_RELEASE);
}

void dataplane_grants_look(struct dataplane *dp)
{
	if (dp->control->grants_until <= (uint64_t)instant_now().ns)
		grants_until_anew(dp);
}

void dataplane_policy_changed(struct dataplane *dp)
{
	/* First: until then, what is gone from the map is kept from sessions by its expiry alone.
	 */
	generation_begin(dp);
	dataplane_grants_look(dp);
}

static uint32_t quota_used(const struct dataplane *dp, uint32_t index)
{
	return __atomic_load_n(&dp->quota[index].sessions, __ATOMIC_RELAXED);
}

/* The client's open sessions with it. */
static void move_to_scope(struct dataplane *dp, uint32_t client, uint32_t scope)
{
	uint32_t before = __atomic_exchange_n(&dp->quota[client].scope, scope, __ATOMIC_RELAXED);
	uint32_t sessions = quota_used(dp, client);

	if (before == scope)
		return;
	if (before && before < FQ_SCOPES_MAX)
		__atomic_fetch_sub(&dp->quota[FQ_CLIENTS_MAX + before].sessions, sessions,
				   __ATOMIC_RELAXED);
	if (scope)
		__atomic_fetch_add(&dp->quota[FQ_CLIENTS_MAX + scope].sessions, sessions,
				   __ATOMIC_RELAXED);
}

void dataplane_quota_set(struct dataplane *dp, uint32_t client, uint32_t scope,
			 uint32_t sessions_max)
{
	if (client >= FQ_CLIENTS_MAX || scope >= FQ_SCOPES_MAX)
		return;
	move_to_scope(dp, client, scope);
	__atomic_store_n(&dp->quota[client].max, sessions_max, __ATOMIC_RELAXED);
}

uint32_t dataplane_quota_used(const struct dataplane *dp, uint32_t client)
{
	return client < FQ_CLIENTS_MAX ? quota_used(dp, client) : 0;
}

void dataplane_scope_quota_set(struct dataplane *dp, uint32_t scope, uint32_t sessions_max)
{
	if (scope < FQ_SCOPES_MAX)
		__atomic_store_n(&dp->quota[FQ_CLIENTS_MAX + scope].max, sessions_max,
				 __ATOMIC_RELAXED);
}

uint32_t dataplane_scope_quota_used(const struct dataplane *dp, uint32_t scope)
{
	return scope < FQ_SCOPES_MAX ? quota_used(dp, FQ_CLIENTS_MAX + scope) : 0;
}

void dataplane_monitor(struct dataplane *dp, bool wanted)
{
	__atomic_store_n(&dp->control->monitors, wanted, __ATOMIC_RELAXED);
}

uint32_t dataplane_sessions_max_set(struct dataplane *dp, uint32_t sessions_max)
{
	if (sessions_max > dp->capacity)
		sessions_max = dp->capacity;
	__atomic_store_n(&dp->control->sessions_max, sessions_max, __ATOMIC_RELAXED);
	return sessions_max;
}

uint32_t dataplane_sessions_used(const struct dataplane *dp)
{
	return __atomic_load_n(&dp->control->sessions, __ATOMIC_RELAXED);
}

void dataplane_count(struct dataplane *dp, enum fq_reason reason, uint64_t n)
{
	/* Only the daemon writes here; readers want whole words, nothing else. */
	if (reason < FQ_REASON_MAX)
		__atomic_fetch_add(&dp->user->events[reason], n, __ATOMIC_RELAXED);
}
