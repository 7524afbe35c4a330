/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world of tests of the BPF programs: what the maps say; see prog.h.
 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "prog.h"
#include "table_put.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

static void empty(const struct bpf_map *map)
{
	int fd = bpf_map__fd(map);
	uint8_t key[64];

	assert(bpf_map__key_size(map) <= sizeof(key));
	while (bpf_map_get_next_key(fd, NULL, key) == 0) {
		if (bpf_map_delete_elem(fd, key) < 0)
			return;
	}
}

static void update(const struct bpf_map *map, const void *key, const void *value)
{
	assert(bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) == 0);
}

static void zero_per_cpu(const struct bpf_map *map, uint32_t entries, size_t value_size)
{
	void *values = calloc(libbpf_num_possible_cpus(), value_size);

	assert(values);
	for (uint32_t i = 0; i < entries; i++)
		update(map, &i, values);
	free(values);
}

void prog_reset(struct prog *t)
{
	const struct fq_filter any = {.allow_all = 1};
	const uint32_t resource = RESOURCE, zero = 0;
	const struct fq_control control = {
		.abi_version = FQ_ABI_VERSION,
		/* What the programs have kept of next hops is of earlier tests. */
		.gen = t->control->gen + 1,
		.sessions_max = PROG_SESSIONS_CAP / 2,
		.hops_until = UINT64_MAX,
		.grants_until = UINT64_MAX,
		.table = t->control->table,
		.dns = t->control->dns,
	};

	table_clear(&t->table);
	empty(t->skel->maps.tombstones);
	empty(t->skel->maps.clients);
	empty(t->skel->maps.grants);
	empty(t->skel->maps.filters);
	proxies_clear(t->proxies);
	empty(t->skel->maps.devs);
	empty(t->skel->maps.vlans);
	empty(t->skel->maps.tx);
	empty(t->skel->maps.icmp_buckets);
	empty(t->skel->maps.fragments);
	dnsnames_clear(t->names);
	empty(t->skel->maps.dns_ptr);
	empty(t->skel->maps.dns_addrs);
	zero_per_cpu(t->skel->maps.frag_cpu, 1, sizeof(struct fq_bucket));
	zero_per_cpu(t->skel->maps.icmp_cpu, 1, sizeof(struct fq_bucket));
	for (uint32_t id = 0; id < FQ_GATEWAYS_MAX; id++)
		update(t->skel->maps.gateways, &id, &(struct fq_gateway){0});
	update(t->skel->maps.control, &zero, &control);
	prog_poll(t);
	t->upcalls = 0;

	prog_client(t, "192.0.2.0", 96 + 24, CLIENT, SCOPE);
	prog_client(t, "2001:db8:1::", 64, CLIENT, SCOPE);
	prog_quota(t, CLIENT, 1000);
	prog_filter(t, RESOURCE, &any);
	prog_grant(t, CLIENT, RESOURCE, 0);
	prog_xlat(t, PROXY4, SERVER4, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, SERVER6, DOMAIN, &resource, 1);
	prog_edge(t, PROXY4, FQ_EDGE_FORWARD);
	prog_edge(t, PROXY6, FQ_EDGE_FORWARD);
	prog_dev(t, CLIENT_SIDE, GW_CLIENT4, GW_CLIENT6);
	prog_dev(t, SERVER_SIDE, GW4, GW6);
	prog_redirectable(t, CLIENT_SIDE, true);
	prog_redirectable(t, SERVER_SIDE, true);
	for (enum prog_side side = CLIENT_SIDE; t->trunk && side <= SERVER_SIDE; side++)
		prog_vlan(t, side, t->trunk, PROG_VID(side));
}

struct fq_tuple prog_tuple(uint8_t proto, const char *src, uint16_t sport, const char *dst,
			   uint16_t dport)
{
	return (struct fq_tuple){
		.src = prog_addr(src),
		.dst = prog_addr(dst),
		.sport = __builtin_bswap16(sport),
		.dport = __builtin_bswap16(dport),
		.proto = proto,
	};
}

unsigned int prog_sessions(struct prog *t)
{
	return table_live(&t->table);
}

static bool find_session(struct prog *t, const struct fq_tuple *key, struct session_entry *ret)
{
	uint32_t index = table_find(&t->table, key);
	struct fq_tuple same;

	return index != TABLE_NONE && table_read(&t->table, index, instant_now(), &same, ret);
}

bool prog_has_session(struct prog *t, const struct fq_tuple *key)
{
	struct session_entry s;

	return find_session(t, key, &s);
}

struct session_entry prog_session(struct prog *t, const struct fq_tuple *key)
{
	struct session_entry s;

	if (!find_session(t, key, &s))
		fail_msg("no such session");
	return s;
}

void prog_set_session(struct prog *t, const struct fq_tuple *key, const struct session_entry *s)
{
	table_put(&t->table, key, s);
}

bool prog_drop_session(struct prog *t, const struct fq_tuple *key)
{
	return table_drop(&t->table, key);
}

struct fq_tuple prog_partner(const struct fq_tuple *key, const struct session_entry *s)
{
	struct fq_tuple p = {.src = s->dst, .dst = s->src, .proto = key->proto};

	if (s->dir == FQ_DIR_OUT) {
		p.sport = key->dport;
		p.dport = s->port;
	} else {
		p.sport = s->port;
		p.dport = key->sport;
	}
	return p;
}

uint16_t prog_nat_port(struct prog *t, const struct fq_tuple *out)
{
	return __builtin_bswap16(prog_session(t, out).port);
}

void prog_client(struct prog *t, const char *prefix, unsigned int len, uint32_t client,
		 uint32_t scope)
{
	const struct fq_prefix key = {.prefixlen = len, .addr = prog_addr(prefix)};
	const struct fq_client value = {.client = client, .scope = scope};

	update(t->skel->maps.clients, &key, &value);
}

void prog_grant(struct prog *t, uint32_t client, uint32_t resource, uint64_t expires)
{
	const struct fq_grant_key key = {.client = client, .resource = resource};
	const struct fq_grant value = {.expires = expires};

	update(t->skel->maps.grants, &key, &value);
	if (expires && expires < t->control->grants_until)
		t->control->grants_until = expires;
}

void prog_revoke(struct prog *t, uint32_t client, uint32_t resource)
{
	const struct fq_grant_key key = {.client = client, .resource = resource};

	assert(bpf_map_delete_elem(bpf_map__fd(t->skel->maps.grants), &key) == 0);
}

void prog_filter(struct prog *t, uint32_t resource, const struct fq_filter *f)
{
	update(t->skel->maps.filters, &resource, f);
}

/* NULL: not any more. */
void prog_put_edge(struct prog *t, const struct fq_addr *proxy, const struct fq_edge *edge)
{
	if (edge)
		assert(proxies_set_edge(t->proxies, proxy, edge) == 0);
	else
		proxies_del_edge(t->proxies, proxy);
}

void prog_put_xlat(struct prog *t, const struct fq_xlat_key *key, const struct fq_xlat *xlat)
{
	if (xlat)
		assert(proxies_set_xlat(t->proxies, key, xlat) == 0);
	else
		proxies_del_xlat(t->proxies, key);
}

void prog_xlat(struct prog *t, const char *proxy, const char *real, uint32_t domain,
	       const uint32_t *resources, unsigned int n)
{
	const struct fq_xlat_key key = {.scope = SCOPE, .proxy = prog_addr(proxy)};
	struct fq_xlat value = {.domain = domain, .has_real = real != NULL, .resources = n};

	if (real)
		value.real = prog_addr(real);
	memcpy(value.resource, resources, n * sizeof(*resources));
	prog_put_xlat(t, &key, &value);
}

void prog_xlat_scope(struct prog *t, uint32_t scope, const char *proxy, const char *real)
{
	const struct fq_xlat_key key = {.scope = scope, .proxy = prog_addr(proxy)};
	const struct fq_xlat value = {.real = prog_addr(real),
				      .domain = DOMAIN,
				      .has_real = 1,
				      .resources = 1,
				      .resource = {RESOURCE}};

	prog_put_xlat(t, &key, &value);
}

void prog_edge_to(struct prog *t, const char *proxy, enum fq_edge_verdict verdict, uint32_t gateway)
{
	const struct fq_addr key = prog_addr(proxy);
	const struct fq_edge value = {.domain = DOMAIN, .gateway = gateway, .verdict = verdict};

	prog_put_edge(t, &key, &value);
}

void prog_edge(struct prog *t, const char *proxy, enum fq_edge_verdict verdict)
{
	prog_edge_to(t, proxy, verdict, 0);
}

void prog_gateway(struct prog *t, uint32_t id, const char *addr, bool up)
{
	struct fq_gateway value = {.up = up};

	if (addr)
		value.addr = prog_addr(addr);
	update(t->skel->maps.gateways, &id, &value);
	prog_routes_changed(t);
}

void prog_dev(struct prog *t, enum prog_side side, const char *nat4, const char *nat6)
{
	const uint32_t key = prog_ifindex(side);
	struct fq_dev value = {.mtu = 1500};

	if (nat4)
		value.nat4 = prog_addr(nat4);
	if (nat6)
		value.nat6 = prog_addr(nat6);
	update(t->skel->maps.devs, &key, &value);
}

void prog_mac(struct prog *t, enum prog_side side, const uint8_t mac[ETH_ALEN])
{
	const uint32_t key = prog_ifindex(side);
	struct fq_dev value;

	assert(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.devs), &key, &value) == 0);
	memcpy(value.mac, mac, ETH_ALEN);
	update(t->skel->maps.devs, &key, &value);
	prog_routes_changed(t);
}

void prog_routes_changed(struct prog *t)
{
	struct fq_control c = prog_get_control(t);
	const uint32_t zero = 0;

	c.gen = t->control->gen + 1;
	update(t->skel->maps.control, &zero, &c);
}

void prog_redirectable(struct prog *t, enum prog_side side, bool redirectable)
{
	const uint32_t key = prog_ifindex(side);

	if (redirectable)
		update(t->skel->maps.tx, &key, &key);
	else
		assert(bpf_map_delete_elem(bpf_map__fd(t->skel->maps.tx), &key) == 0);
}

void prog_vlan(struct prog *t, enum prog_side side, uint32_t trunk, uint32_t vid)
{
	const struct fq_vlan_key above = {.ifindex = prog_ifindex(side)},
				 below = {.ifindex = trunk, .vid = vid};
	const struct fq_vlan device = {.ifindex = above.ifindex},
			     on = {.ifindex = trunk, .vid = vid};
	struct fq_control control = prog_get_control(t);
	const uint32_t zero = 0;

	update(t->skel->maps.vlans, &above, &on);
	update(t->skel->maps.vlans, &below, &device);
	update(t->skel->maps.tx, &above.ifindex, &trunk);
	control.vlans++;
	update(t->skel->maps.control, &zero, &control);
}

void prog_quota(struct prog *t, uint32_t client, uint32_t max)
{
	struct fq_quota value = {.max = max};

	update(t->skel->maps.quota, &client, &value);
}

void prog_scope(struct prog *t, uint32_t client, uint32_t scope, uint32_t max)
{
	const uint32_t index = FQ_CLIENTS_MAX + scope;
	struct fq_quota value = prog_get_quota(t, client);

	value.scope = scope;
	update(t->skel->maps.quota, &client, &value);
	value = (struct fq_quota){.max = max};
	update(t->skel->maps.quota, &index, &value);
}

void prog_limit(struct prog *t, uint32_t sessions_max)
{
	struct fq_control c = prog_get_control(t);
	const uint32_t zero = 0;

	c.sessions_max = sessions_max;
	update(t->skel->maps.control, &zero, &c);
}

void prog_policy_changed(struct prog *t)
{
	struct fq_control c = prog_get_control(t);
	const uint32_t zero = 0;

	c.gen = t->control->gen + 1;
	update(t->skel->maps.control, &zero, &c);
}

void prog_monitor(struct prog *t)
{
	struct fq_control c = prog_get_control(t);
	const uint32_t zero = 0;

	c.monitors = 1;
	update(t->skel->maps.control, &zero, &c);
}

struct fq_quota prog_get_quota(struct prog *t, uint32_t client)
{
	struct fq_quota q;

	assert(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.quota), &client, &q) == 0);
	return q;
}

struct fq_control prog_get_control(struct prog *t)
{
	const uint32_t zero = 0;
	struct fq_control c;

	assert(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.control), &zero, &c) == 0);
	return c;
}
