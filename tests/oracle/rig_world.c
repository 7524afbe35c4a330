/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world of the test rig: who is there, and how it changes; see rig.h.
 *
 * Each change is made twice, in the oracle's tables and in the programs' maps.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/ipaddr.h"
#include "rig.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

static const char *const CLIENTS[2][RIG_CLIENTS] = {
	{CLIENT4, "192.0.2.3", "192.0.2.70", "192.0.2.5", "192.0.3.2", "127.0.0.9", "8.0.0.2"},
	{CLIENT6, "2001:db8:1::3", "2001:db8:1:0:1::7", "2001:db8:1::5", "2001:db8:9::2", "fe80::5",
	 "2001:db8:86dd::2"},
};

static const char *const PROXIES[2][RIG_PROXIES] = {
	{PROXY4, PROXY4_B, "100.96.0.12", "100.127.255.255", "100.100.0.1"},
	{PROXY6, PROXY6_B, "fd00:2021:1111:8000::12", "fd00:2021:1111:8000::1f:ffff",
	 "fd00:2021:1111:8000::a:1"},
};

static const char *const REALS[2][RIG_REALS] = {
	{SERVER4, SILENT4, NARROW4, "203.0.113.5", "203.0.113.200", "192.0.2.3", "8.0.128.2"},
	{SERVER6, SILENT6, NARROW6, "2001:db8:bad::1", "2001:db8:ffff::1", "2001:db8:1::3",
	 "2001:db8:86dd:8000::2"},
};

static const struct {
	const char *addr;
	unsigned int len;
} PREFIXES[RIG_PREFIXES] = {
	{"192.0.2.0", 96 + 24}, {"192.0.2.3", 128},      {"192.0.2.64", 96 + 26},
	{"2001:db8:1::", 64},   {"2001:db8:1::3", 128},  {"2001:db8:1:0:1::", 80},
	{"8.0.0.0", 96 + 17},   {"2001:db8:86dd::", 49},
};

static const struct fq_filter FILTERS[RIG_FILTERS] = {
	{0}, /* not there */
	{.allow_all = 1},
	{.icmp = 1},
	{.ranges = 1, .range = {{.proto = 6, .lo = 443, .hi = 443}}},
	{.icmp = 1,
	 .ranges = 2,
	 .range = {{.proto = 17, .lo = 53, .hi = 80}, {.proto = 6, .lo = 0, .hi = 80}}},
	{.ranges = 1}, /* nothing but a range of nothing */
};

static const char *const GATEWAYS[] = {NULL,    SERVER4, SILENT4,        SERVER6,
				       NARROW4, SILENT6, "203.0.113.200"};

const char *rig_client_addr(bool v6, unsigned int i)
{
	return CLIENTS[v6][i % RIG_CLIENTS];
}

const char *rig_proxy_addr(bool v6, unsigned int i)
{
	return PROXIES[v6][i % RIG_PROXIES];
}

const char *rig_real_addr(bool v6, unsigned int i)
{
	return REALS[v6][i % RIG_REALS];
}

struct fq_settings rig_settings(unsigned int world)
{
	struct fq_settings s = prog_settings();

	s.icmp_per_second = 0; /* nothing is refilled: the oracle needs no clock */
	switch (world) {
	case 1:
		s.masquerade = FQ_MASQ_GIVEN;
		s.nat4_count = s.nat6_count = 1;
		s.nat4[0] = prog_addr("198.51.100.77");
		s.nat6[0] = prog_addr("2001:db8:2::77");
		s.port_lo = 5000;
		s.port_hi = 5003;
		s.icmp_burst = 3;
		s.mss_clamp = 1000;
		s.source_check = FQ_SOURCE_STRICT;
		break;
	case 2:
		s.masquerade = FQ_MASQ_NONE;
		s.show_hops = 1;
		s.source_check = FQ_SOURCE_NONE;
		break;
	case 3:
		s.port_lo = 5000;
		s.port_hi = 5020;
		s.local_lo = 5004;
		s.local_hi = 5007;
		s.mss_clamp = FQ_MSS_AUTO;
		break;
	default:
		break;
	}
	return s;
}

/* --- tables, and the maps that say the same ----------------------------------------------------
 */

void rig_set(const struct bpf_map *map, const void *key, const void *value)
{
	int r;

	if (!map)
		return;
	r = value ? bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY)
		  : bpf_map_delete_elem(bpf_map__fd(map), key);
	assert(r == 0 || !value);
}

/* Put into, replace in, or (@there is false) take out of both a table and its map, if it has one.
 */
#define PUT(table, map, wanted_key, wanted_value, there)                                       \
	do {                                                                                   \
		__auto_type k_ = (wanted_key);                                                 \
		__auto_type v_ = (wanted_value);                                               \
		unsigned int i_ = 0;                                                           \
                                                                                               \
		while (i_ < (table).n && memcmp(&(table).entry[i_].key, &k_, sizeof(k_)) != 0) \
			i_++;                                                                  \
		rig_set((map), &k_, (there) ? &v_ : NULL);                                     \
		if (there) {                                                                   \
			assert(i_ < ORC_ENTRIES);                                              \
			(table).entry[i_].key = k_;                                            \
			(table).entry[i_].value = v_;                                          \
			(table).n += i_ == (table).n;                                          \
		} else if (i_ < (table).n) {                                                   \
			(table).entry[i_] = (table).entry[--(table).n];                        \
		}                                                                              \
	} while (0)

static void change_client(struct rig *b, const int *arg)
{
	const struct fq_prefix key = {.prefixlen = PREFIXES[arg[0]].len,
				      .addr = prog_addr(PREFIXES[arg[0]].addr)};
	const struct fq_client value = {.client = arg[1], .scope = arg[1] == 3};

	PUT(b->o.w.clients, b->t->skel->maps.clients, key, value, arg[1]);
}

/* As user space does: lower at once, anew with the next generation. */
static void set_grants_until(struct rig *b, uint64_t until)
{
	if (until < b->o.w.control.grants_until)
		b->t->control->grants_until = b->o.w.control.grants_until = until;
}

static void set_grants_until_anew(struct rig *b)
{
	if (b->o.w.control.grants_until > b->o.w.now)
		return;
	b->t->control->grants_until = b->o.w.control.grants_until = UINT64_MAX;
	for (unsigned int i = 0; i < b->o.w.grants.n; i++)
		if (b->o.w.grants.entry[i].value.expires)
			set_grants_until(b, b->o.w.grants.entry[i].value.expires);
}

static void change_grant(struct rig *b, const int *arg)
{
	const struct fq_grant_key key = {.client = arg[0], .resource = arg[1]};
	const struct fq_grant value = {.expires = arg[2] == 2   ? 1
						  : arg[2] == 3 ? b->o.w.now + RIG_HOUR_NS
								: 0};

	PUT(b->o.w.grants, b->t->skel->maps.grants, key, value, arg[2]);
	if (arg[2] && value.expires)
		set_grants_until(b, value.expires);
}

static void change_filter(struct rig *b, const int *arg)
{
	const uint32_t key = arg[0];

	PUT(b->o.w.filters, b->t->skel->maps.filters, key, FILTERS[arg[1]], arg[1]);
}

/* Resources: a bit for each of RESOURCE, RESOURCE + 1... */
static void change_xlat(struct rig *b, const int *arg)
{
	const struct fq_xlat_key key = {.scope = arg[0],
					.proxy = prog_addr(PROXIES[arg[1]][arg[2]])};
	struct fq_xlat value = {.domain = DOMAIN + arg[2] / 2, .has_real = arg[3] > 1};
	unsigned int real = arg[3] - 2; /* those of the other version follow */

	if (value.has_real)
		value.real =
			prog_addr(REALS[real / RIG_REALS ? !arg[1] : arg[1]][real % RIG_REALS]);
	for (unsigned int i = 0; i < FQ_XLAT_RESOURCES; i++)
		if (arg[4] >> i & 1)
			value.resource[value.resources++] = RESOURCE + i;
	PUT(b->o.w.xlats, NULL, key, value, arg[3]);
	prog_put_xlat(b->t, &key, arg[3] ? &value : NULL);
}

static void change_edge(struct rig *b, const int *arg)
{
	const struct fq_addr key = prog_addr(PROXIES[arg[0]][arg[1]]);
	const struct fq_edge value = {.domain = DOMAIN + arg[1] / 2,
				      .gateway = arg[3],
				      .verdict = arg[2],
				      .touch_at = arg[4]};

	PUT(b->o.w.edges, NULL, key, value, arg[2] < 3);
	prog_put_edge(b->t, &key, arg[2] < 3 ? &value : NULL);
}

/* The counts stay what they are, on both sides. */
static void change_quota(struct rig *b, uint32_t key, uint32_t max, uint32_t scope)
{
	struct fq_quota value = prog_get_quota(b->t, key), old = {0};

	for (unsigned int i = 0; i < b->o.w.quotas.n; i++)
		if (b->o.w.quotas.entry[i].key == key)
			old = b->o.w.quotas.entry[i].value;
	value.max = old.max = max;
	value.scope = old.scope = scope;
	PUT(b->o.w.quotas, b->t->skel->maps.quota, key, value, true);
	for (unsigned int i = 0; i < b->o.w.quotas.n; i++)
		if (b->o.w.quotas.entry[i].key == key)
			b->o.w.quotas.entry[i].value = old;
}

static void change_control_word(struct rig *b, const struct step *s)
{
	struct fq_control c = prog_get_control(b->t);
	struct fq_control *mine = &b->o.w.control;
	const uint32_t zero = 0;

	if (s->op == STEP_LIMIT)
		c.sessions_max = mine->sessions_max = s->arg[0];
	else if (s->op == STEP_MONITOR)
		c.monitors = mine->monitors = s->arg[0];
	else
		c.gen = ++mine->gen;
	rig_set(b->t->skel->maps.control, &zero, &c);
}

static void change_control(struct rig *b, const struct step *s)
{
	if (s->op != STEP_LIMIT && s->op != STEP_MONITOR)
		set_grants_until_anew(b);
	change_control_word(b, s);
}

static void routes_changed(struct rig *b)
{
	prog_routes_changed(b->t);
	b->o.w.control.gen = b->t->control->gen;
}

/* As the daemon does it: what is noted of a gateway stays unless it has another address. */
static void change_gateway(struct rig *b, const int *arg)
{
	struct bpf_map *map = b->t->skel->maps.gateways;
	const uint32_t key = arg[0];
	struct fq_gateway have = {}, value = {};
	bool moved;

	if (GATEWAYS[arg[1]])
		value.addr = prog_addr(GATEWAYS[arg[1]]);
	assert(bpf_map_lookup_elem(bpf_map__fd(map), &key, &have) == 0);
	moved = memcmp(&have.addr, &value.addr, sizeof(have.addr)) != 0;
	if (!moved)
		value = have;
	value.up = arg[2];
	PUT(b->o.w.gateways, map, key, value, true);
	if (moved)
		routes_changed(b);
}

static void change_dev(struct rig *b, const struct step *s)
{
	unsigned int side = s->arg[0];
	struct fq_dev *dev = &b->o.w.dev[side];

	dev->mtu = side ? 1400 : 0; /* the limit of segments alone */

	if (s->op == STEP_MAC) {
		memcpy(dev->mac, b->o.w.mac[side], ETH_ALEN);
		if (!s->arg[1])
			memset(dev->mac, 0, ETH_ALEN);
	} else if (s->arg[1]) {
		dev->nat4 = prog_addr(side ? GW4 : GW_CLIENT4);
		dev->nat6 = prog_addr(side ? GW6 : GW_CLIENT6);
	} else {
		dev->nat4 = dev->nat6 = (struct fq_addr){0};
	}
	rig_set(b->t->skel->maps.devs, &b->o.w.ifindex[side], dev);
	routes_changed(b);
}

/* Another program; what the maps say of an interface without Ethernet header. */
static void change_hook(struct rig *b, const int *arg)
{
	b->o.w.hook[arg[0]] = arg[1];
	b->o.w.dev[arg[0]].bare = arg[1] == ORC_TC_BARE;
	rig_set(b->t->skel->maps.devs, &b->o.w.ifindex[arg[0]], &b->o.w.dev[arg[0]]);
	routes_changed(b);
}

static void change_tx(struct rig *b, const int *arg)
{
	const uint32_t *ifindex = &b->o.w.ifindex[arg[0]];

	b->o.w.redirectable[arg[0]] = arg[1];
	rig_set(b->t->skel->maps.tx, ifindex, arg[1] ? ifindex : NULL);
}

/* The kernel's setting; written only if it changes, which takes long. */
static void change_forwarding(struct rig *b, const int *arg)
{
	const char *const path = arg[0] ? "/proc/sys/net/ipv4/conf/sv/forwarding"
					: "/proc/sys/net/ipv4/conf/cl/forwarding";
	static bool is_off[ORC_SIDES]; /* of the namespace, which all rigs share */
	bool off = !arg[1];
	FILE *to;

	if (is_off[arg[0]] != off) {
		to = fopen(path, "w");
		assert(to && fputc(off ? '0' : '1', to) != EOF && fclose(to) == 0);
	}
	is_off[arg[0]] = b->o.w.forwarding_off[arg[0]] = off;
	routes_changed(b);
}

void rig_change(struct rig *b, const struct step *s)
{
	struct fq_addr nobody = {0};
	struct fq_tuple in;

	switch (s->op) {
	case STEP_CLIENT:
		return change_client(b, s->arg);
	case STEP_GRANT:
		return change_grant(b, s->arg);
	case STEP_FILTER:
		return change_filter(b, s->arg);
	case STEP_XLAT:
		return change_xlat(b, s->arg);
	case STEP_EDGE:
		return change_edge(b, s->arg);
	case STEP_GATEWAY:
		return change_gateway(b, s->arg);
	case STEP_QUOTA:
		return change_quota(b, s->arg[0], s->arg[1], s->arg[0] == 3);
	case STEP_SCOPE:
		return change_quota(b, FQ_CLIENTS_MAX + s->arg[0], s->arg[1], 0);
	case STEP_LIMIT:
	case STEP_POLICY:
	case STEP_MONITOR:
		return change_control(b, s);
	case STEP_MAC:
	case STEP_DEV:
		return change_dev(b, s);
	case STEP_TX:
		return change_tx(b, s->arg);
	case STEP_AGE:
		return rig_age(b, s->arg[0]);
	case STEP_EXPIRE:
		return rig_expire_nth(b, s->arg[0]);
	case STEP_TOMBSTONE:
		in = rig_socket_tuple(s->arg[0]);
		return rig_bury(b, &in, &nobody);
	case STEP_HOOK:
		return change_hook(b, s->arg);
	case STEP_FORWARDING:
		return change_forwarding(b, s->arg);
	default:
		return;
	}
}

/* clang-format off: a table */
static const struct step STANDARD[] = {
	{STEP_CLIENT, {0, 1}, 0, {0}},
	{STEP_CLIENT, {1, 2}, 0, {0}},
	{STEP_CLIENT, {2, 3}, 0, {0}},
	{STEP_CLIENT, {3, 1}, 0, {0}},
	{STEP_CLIENT, {4, 2}, 0, {0}},
	{STEP_CLIENT, {5, 3}, 0, {0}},
	{STEP_CLIENT, {6, 1}, 0, {0}},
	{STEP_CLIENT, {7, 1}, 0, {0}},
	{STEP_GRANT, {1, 5, 1}, 0, {0}},
	{STEP_GRANT, {2, 5, 1}, 0, {0}},
	{STEP_GRANT, {3, 5, 1}, 0, {0}},
	{STEP_GRANT, {1, 6, 1}, 0, {0}},
	{STEP_FILTER, {5, 1}, 0, {0}},
	{STEP_FILTER, {6, 1}, 0, {0}},
	{STEP_FILTER, {7, 1}, 0, {0}},
	{STEP_XLAT, {0, 0, 0, 2, 1}, 0, {0}},
	{STEP_XLAT, {0, 1, 0, 2, 1}, 0, {0}},
	{STEP_XLAT, {0, 0, 1, 2, 1}, 0, {0}},
	{STEP_XLAT, {0, 1, 1, 2, 1}, 0, {0}},
	{STEP_XLAT, {0, 0, 2, 4, 3}, 0, {0}},
	{STEP_XLAT, {0, 1, 2, 4, 3}, 0, {0}},
	{STEP_XLAT, {0, 0, 3, 2 + RIG_REALS, 1}, 0, {0}},
	{STEP_XLAT, {0, 1, 3, 2 + RIG_REALS, 1}, 0, {0}},
	{STEP_XLAT, {1, 0, 0, 2, 1}, 0, {0}},
	{STEP_XLAT, {1, 1, 0, 2, 1}, 0, {0}},
	{STEP_EDGE, {0, 0}, 0, {0}},
	{STEP_EDGE, {1, 0}, 0, {0}},

	{STEP_EDGE, {0, 2}, 0, {0}},
	{STEP_EDGE, {1, 2}, 0, {0}},
	{STEP_EDGE, {0, 3}, 0, {0}},
	{STEP_EDGE, {1, 3}, 0, {0}},
	{STEP_EDGE, {0, 1, 0, 1}, 0, {0}},
	{STEP_EDGE, {1, 1, 0, 1}, 0, {0}},
	{STEP_GATEWAY, {1, 1, 1}, 0, {0}},
	{STEP_GATEWAY, {2, 2, 1}, 0, {0}},
	{STEP_GATEWAY, {3, 0, 0}, 0, {0}},
	{STEP_QUOTA, {1, 400}, 0, {0}},
	{STEP_QUOTA, {2, 400}, 0, {0}},
	{STEP_QUOTA, {3, 400}, 0, {0}},
	{STEP_SCOPE, {1, 400}, 0, {0}},
	{STEP_LIMIT, {500}, 0, {0}},
	{STEP_DEV, {0, 1}, 0, {0}},
	{STEP_DEV, {1, 1}, 0, {0}},
	{STEP_HOOK, {0, ORC_NATIVE}, 0, {0}},
	{STEP_HOOK, {1, ORC_NATIVE}, 0, {0}},
	{STEP_TX, {0, 1}, 0, {0}},
	{STEP_TX, {1, 1}, 0, {0}},
	{STEP_FORWARDING, {0, 1}, 0, {0}},
	{STEP_FORWARDING, {1, 1}, 0, {0}},
};
/* clang-format on */

#define CLEAR(table, map)                                             \
	do {                                                          \
		for (unsigned int i_ = 0; i_ < (table).n; i_++)       \
			rig_set((map), &(table).entry[i_].key, NULL); \
	} while (0)

void rig_forget_datagrams(struct rig *b)
{
	CLEAR(b->o.w.datagrams, b->t->skel->maps.fragments);
	b->o.w.datagrams.n = 0;
}

void rig_world_clear(struct rig *b)
{
	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		for (int dir = 0; b->o.flow[i].live && dir < 2; dir++) {
			const struct fq_tuple key = orc_flow_tuple(&b->o.flow[i], dir);

			prog_drop_session(b->t, &key);
		}
	}
	CLEAR(b->o.w.clients, b->t->skel->maps.clients);
	CLEAR(b->o.w.grants, b->t->skel->maps.grants);
	CLEAR(b->o.w.filters, b->t->skel->maps.filters);
	proxies_clear(b->t->proxies);
	CLEAR(b->o.w.tombstones, b->t->skel->maps.tombstones);
	CLEAR(b->o.w.datagrams, b->t->skel->maps.fragments);
	CLEAR(b->o.w.buckets, b->t->skel->maps.icmp_buckets);
}

void rig_world_standard(struct rig *b)
{
	static const uint32_t quotas[] = {1, 2, 3, FQ_CLIENTS_MAX + 1};
	const struct fq_control control = {.abi_version = FQ_ABI_VERSION,
					   .gen = b->t->control->gen + 1,
					   .hops_until = UINT64_MAX,
					   .grants_until = UINT64_MAX,
					   .table = b->t->control->table};
	static const struct fq_quota none;
	const uint32_t zero = 0;

	b->o.w.control = control;
	rig_set(b->t->skel->maps.control, &zero, &control);
	for (size_t i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++)
		rig_set(b->t->skel->maps.quota, &quotas[i], &none);
	for (size_t i = 0; i < sizeof(STANDARD) / sizeof(STANDARD[0]); i++)
		rig_change(b, &STANDARD[i]);
}
