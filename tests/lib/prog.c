/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runner for tests of the BPF programs: namespace, loading, running, comparing; see prog.h.
 * prog_world.c has the maps.
 */
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "base/ipaddr.h"
#include "prog.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */
#include "fqdnat_tc.skel.h"

/* <linux/pkt_cls.h> drags in more than is wanted here. */
#define TC_ACT_SHOT     2
#define TC_ACT_REDIRECT 7

static const char *const REASON_NAMES[] = {"ok",
#define X(id, name, class, text) name,
					   FQ_REASONS(X)
#undef X
};

static const enum fq_reason_class REASON_CLASSES[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = FQ_CLASS_##class,
	FQ_REASONS(X)
#undef X
};

static const char *const NAMESPACE[] = {
	"ip link set lo up",
	"ip link add cl type veth peer name cl-peer",
	"ip link add sv type veth peer name sv-peer",
	"ip link set cl address 02:00:00:00:01:01 up",
	"ip link set sv address 02:00:00:00:02:01 up",
	"ip link set cl-peer up",
	"ip link add trunk type veth peer name trunk-peer",
	"ip link set sv-peer up",
	"ip addr add " GW_CLIENT4 "/24 dev cl",
	"ip addr add " GW4 "/24 dev sv",
	"ip addr add " GW_CLIENT6 "/64 dev cl nodad",
	"ip addr add " GW6 "/64 dev sv nodad",
	"ip neigh replace " CLIENT4 " lladdr 02:00:00:00:01:02 dev cl nud permanent",
	"ip neigh replace " CLIENT6 " lladdr 02:00:00:00:01:02 dev cl nud permanent",
	"ip neigh replace " SERVER4 " lladdr 02:00:00:00:02:02 dev sv nud permanent",
	"ip neigh replace " SERVER6 " lladdr 02:00:00:00:02:02 dev sv nud permanent",
	"ip route add 198.51.103.0/24 via " SERVER4 " mtu lock 600",
	"ip -6 route add 2001:db8:3::/64 via " SERVER6 " dev sv mtu lock 1280",
	"ip route add blackhole 203.0.113.0/25",
	"ip route add unreachable 203.0.113.128/25",
	"ip -6 route add blackhole 2001:db8:bad::/64",
	"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
};

int prog_enter(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return -1;
	}
	for (size_t i = 0; i < sizeof(NAMESPACE) / sizeof(NAMESPACE[0]); i++) {
		if (system(NAMESPACE[i]) != 0) {
			fprintf(stderr, "failed: %s\n", NAMESPACE[i]);
			return -1;
		}
	}
	return 0;
}

uint32_t prog_ifindex(enum prog_side side)
{
	return if_nametoindex(side == CLIENT_SIDE ? "cl" : "sv");
}

struct fq_addr prog_addr(const char *text)
{
	struct fq_addr a;

	assert(ipaddr_parse(text, &a) == 0);
	return a;
}

struct fq_settings prog_settings(void)
{
	return (struct fq_settings){
		.pool4 = prog_addr("100.96.0.0"),
		.pool4_mask = ipprefix_mask(96 + 11),
		.pool6 = prog_addr("fd00:2021:1111:8000::"),
		.pool6_mask = ipprefix_mask(107),
		.masquerade = FQ_MASQ_AUTO,
		.port_lo = 1024,
		.port_hi = 65535,
		.local_lo = 32768,
		.local_hi = 60999,
		.hash_seed = 0x5eed,
		.tick_ns = clock_tick_ns(),
		.icmp_per_second = 1000,
		.icmp_burst = 1000,
		.icmp_cpu_per_second = 1000000,
		.icmp_cpu_burst = 1000000,
		.source_check = FQ_SOURCE_REPLIES,
		.tombstone_ns = 1000000000,
	};
}

static int on_upcall(void *ctx, void *data, size_t size)
{
	struct prog *t = ctx;
	const struct fq_upcall *u = data;
	unsigned int i = t->upcalls++;

	if (i >= PROG_UPCALLS || size < sizeof(*u) + u->len || u->len > FQ_HOLD_FRAME_MAX)
		return 0;
	t->upcall[i].kind = u->kind;
	t->upcall[i].domain = u->domain;
	t->upcall[i].ifindex = u->ifindex;
	t->upcall[i].len = u->len;
	t->upcall[i].l3_offset = u->l3_offset;
	t->upcall[i].mtu = u->mtu;
	t->upcall[i].gateway = u->gateway;
	t->upcall[i].proxy = u->proxy;
	memcpy(t->upcall[i].frame, u->frame, u->len);
	return 0;
}

void prog_poll(struct prog *t)
{
	assert(ring_buffer__consume(t->ring) >= 0);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

/* The tc object on the maps of the other one. */
static int load_tc(struct prog *t, const struct fq_settings *settings, bool all)
{
	struct bpf_map *map;

	t->tc = fqdnat_tc_bpf__open();
	assert(t->tc);
	t->tc->rodata->fq_settings = *settings;
	bpf_object__for_each_map (map, t->tc->obj) {
		struct bpf_map *same =
			bpf_object__find_map_by_name(t->skel->obj, bpf_map__name(map));

		if (same && !bpf_map__is_internal(map))
			assert(bpf_map__reuse_fd(map, bpf_map__fd(same)) == 0);
	}
	assert(bpf_program__set_autoload(t->tc->progs.fqdnat_tc_l3, all) == 0);
	return fqdnat_tc_bpf__load(t->tc);
}

/* Keys of a table that is the same in every run. */
static void map_table(struct prog *t)
{
	uint64_t z = 1;

	t->control = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(t->skel->maps.control), 0);
	assert(t->control != MAP_FAILED);
	t->control->table.slots = PROG_SLOTS;
	for (int i = 0; i < FQ_TABLE_KEYS; i++)
		t->control->table.key[i] = z = z * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
	assert(table_map(&t->table, bpf_map__fd(t->skel->maps.sessions),
			 bpf_map__fd(t->skel->maps.sessions_six),
			 bpf_map__fd(t->skel->maps.sessions_cold), &t->control->table, true) == 0);
}

static void map_proxies(struct prog *t)
{
	const struct fq_settings *s = (const struct fq_settings *)&t->skel->rodata->fq_settings;
	const struct proxy_pools pools = {s->pool4, s->pool4_mask, s->pool6, s->pool6_mask};
	const struct proxy_fds fds = {bpf_map__fd(t->skel->maps.proxies),
				      bpf_map__fd(t->skel->maps.edge),
				      bpf_map__fd(t->skel->maps.xlat)};

	assert(proxies_open(&fds, &pools, true, &t->proxy_usage, &t->proxies) == 0);
}

static void map_names(struct prog *t)
{
	const struct dnsnames_fds fds = {bpf_map__fd(t->skel->maps.dns),
					 bpf_map__fd(t->skel->maps.dns_names)};

	assert(dnsnames_open(&fds, &t->control->dns, PROG_NAMES, &t->names_usage, &t->names) == 0);
}

struct prog *prog_new(const struct fq_settings *settings, enum prog_kind kind)
{
	struct fq_settings usual = prog_settings();
	struct prog *t = calloc(1, sizeof(*t));
	struct fqdnat_bpf *skel;
	bool all = kind == PROG_ALL, tc = kind == PROG_TC;
	bool generic = all || kind == PROG_GENERIC,
	     native = all || kind == PROG_NATIVE || kind == PROG_VLAN;

	assert(t);
	libbpf_set_print(quiet);
	t->skel = skel = fqdnat_bpf__open();
	assert(skel);
	settings = settings ? settings : &usual;
	skel->rodata->fq_settings = *settings;
	assert(bpf_map__set_max_entries(skel->maps.sessions, PROG_SLOTS) == 0);
	assert(bpf_map__set_max_entries(skel->maps.sessions_cold, PROG_SLOTS) == 0);
	assert(bpf_map__set_max_entries(skel->maps.sessions_six, PROG_SLOTS) == 0);
	assert(bpf_program__set_autoload(skel->progs.fqdnat_xdp, native) == 0);
	assert(bpf_program__set_autoload(skel->progs.fqdnat_xdp_inject, native) == 0);
	assert(bpf_program__set_autoload(skel->progs.fqdnat_xdp_generic, generic) == 0);
	if (fqdnat_bpf__load(skel) < 0 || ((tc || all) && load_tc(t, settings, all) < 0)) {
		prog_free(t);
		return NULL;
	}
	t->fd = bpf_program__fd(tc       ? t->tc->progs.fqdnat_tc
				: native ? skel->progs.fqdnat_xdp
					 : skel->progs.fqdnat_xdp_generic);
	map_table(t);
	map_proxies(t);
	map_names(t);
	t->ring = ring_buffer__new(bpf_map__fd(skel->maps.upcalls), on_upcall, t, NULL);
	assert(t->ring);
	if (kind == PROG_VLAN)
		t->trunk = if_nametoindex("trunk");
	prog_reset(t);
	return t;
}

void prog_free(struct prog *t)
{
	if (!t)
		return;
	ring_buffer__free(t->ring);
	table_unmap(&t->table);
	proxies_free(t->proxies);
	dnsnames_free(t->names);
	if (t->control)
		munmap(t->control, sysconf(_SC_PAGESIZE));
	fqdnat_tc_bpf__destroy(t->tc);
	fqdnat_bpf__destroy(t->skel);
	free(t);
}

static int group_setup(void **state, enum prog_kind kind)
{
	if (prog_enter(state) < 0)
		return -1;
	*state = prog_new(NULL, kind);
	return *state ? 0 : -1;
}

int prog_group_setup(void **state)
{
	return group_setup(state, PROG_NATIVE);
}

int prog_group_setup_generic(void **state)
{
	return group_setup(state, PROG_GENERIC);
}

int prog_group_setup_tc(void **state)
{
	return group_setup(state, PROG_TC);
}

int prog_group_setup_vlan(void **state)
{
	return group_setup(state, PROG_VLAN);
}

int prog_group_teardown(void **state)
{
	prog_free(*state);
	return 0;
}

int prog_test_setup(void **state)
{
	prog_reset(*state);
	return 0;
}

static void read_counts(struct prog *t, struct fq_count ret_count[FQ_REASON_MAX])
{
	int cpus = libbpf_num_possible_cpus();
	struct fq_count per_cpu[cpus];

	for (uint32_t r = 0; r < FQ_REASON_MAX; r++) {
		assert(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.stats), &r, per_cpu) == 0);
		ret_count[r] = (struct fq_count){0};
		for (int i = 0; i < cpus; i++) {
			ret_count[r].packets += per_cpu[i].packets;
			ret_count[r].bytes += per_cpu[i].bytes;
		}
	}
}

static void find_reason(const struct fq_count before[], struct prog_result *res)
{
	unsigned int fates = 0;

	for (uint32_t r = 0; r < FQ_REASON_MAX; r++) {
		res->count[r].packets -= before[r].packets;
		res->count[r].bytes -= before[r].bytes;
		if (!res->count[r].packets || REASON_CLASSES[r] == FQ_CLASS_EVENT)
			continue;
		fates += res->count[r].packets;
		res->reason = r;
	}
	if (fates != 1)
		fail_msg("%u reasons counted for one packet", fates);
}

static int xdp_verdict(int tc_verdict)
{
	switch (tc_verdict) {
	case TC_ACT_REDIRECT:
		return XDP_REDIRECT;
	case TC_ACT_SHOT:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

void prog_run_on(struct prog *t, const struct pkt *in, uint32_t ifindex, struct prog_result *ret)
{
	struct fq_count before[FQ_REASON_MAX];
	struct __sk_buff skb = {.ifindex = ifindex, .gso_size = t->gso_size};
	struct xdp_md xdp = {.data_end = in->len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = pkt_data(in), .data_size_in = in->len,
		    .data_out = pkt_data(&ret->out), .data_size_out = PKT_CAP);

	memset(ret, 0, sizeof(*ret));
	opts.ctx_in = t->tc ? (void *)&skb : (void *)&xdp;
	opts.ctx_size_in = t->tc ? sizeof(skb) : sizeof(xdp);
	read_counts(t, before);
	if (bpf_prog_test_run_opts(t->fd, &opts) < 0)
		fail_msg("test run: %s", strerror(errno));
	ret->verdict = t->tc ? xdp_verdict((int)opts.retval) : (int)opts.retval;
	ret->out.len = opts.data_size_out;
	read_counts(t, ret->count);
	find_reason(before, ret);
}

/* Take off the tag that the packet has to have. */
static void untag(struct prog_result *res, enum prog_side side)
{
	enum prog_side other = side == CLIENT_SIDE ? SERVER_SIDE : CLIENT_SIDE;
	uint16_t tci = PROG_VID(REASON_CLASSES[res->reason] == FQ_CLASS_REFUSE ? side : other);

	if (res->verdict == XDP_DROP)
		return;
	if (res->verdict == XDP_PASS)
		tci = PROG_VID(side) | PROG_VLAN_FLAGS;
	assert_int_equal(pkt_untag(&res->out), tci);
}

/* Run a packet as the side's VLAN device's. */
static void run_tagged(struct prog *t, const struct pkt *in, enum prog_side side,
		       struct prog_result *ret)
{
	struct pkt tagged = *in;

	pkt_tag(&tagged, ETH_P_8021Q, PROG_VID(side) | PROG_VLAN_FLAGS);
	prog_run_on(t, &tagged, t->trunk, ret);
	untag(ret, side);
}

void prog_run(struct prog *t, const struct pkt *in, enum prog_side side, struct prog_result *ret)
{
	if (t->trunk)
		run_tagged(t, in, side, ret);
	else
		prog_run_on(t, in, prog_ifindex(side), ret);
}

static int expected_verdict(enum fq_reason reason)
{
	switch (REASON_CLASSES[reason]) {
	case FQ_CLASS_PASS:
		return XDP_PASS;
	case FQ_CLASS_FORWARD:
		return reason == FQ_R_TRANSLATED_SLOW || reason == FQ_R_FORWARDED_SLOW
			       ? XDP_DROP
			       : XDP_REDIRECT;
	case FQ_CLASS_REFUSE:
		return XDP_REDIRECT;
	default:
		return XDP_DROP;
	}
}

void prog_expect(struct prog *t, const struct pkt *in, enum prog_side side, enum fq_reason reason,
		 const struct pkt *expected)
{
	struct prog_result res;

	prog_run(t, in, side, &res);

	/* The VLAN device's own program is to count it as what it is. */
	if (t->trunk && REASON_CLASSES[reason] == FQ_CLASS_PASS)
		reason = FQ_R_VLAN;
	assert_string_equal(REASON_NAMES[res.reason], REASON_NAMES[reason]);
	assert_int_equal(res.verdict, expected_verdict(reason));
	pkt_assert_equal(&res.out, expected ? expected : in);
}

void prog_expect_refused(struct prog *t, const struct pkt *in, enum prog_side side,
			 enum fq_reason reason, const char *src, uint8_t type, uint8_t code,
			 uint16_t mtu)
{
	const uint8_t *ip = pkt_data(in) + PKT_L3;
	bool v6 = ip[0] >> 4 == 6;
	struct fq_addr sender = v6 ? ipaddr_from_v6(ip + 8) : ipaddr_from_v4(ip + 12);
	char text[IPADDR_STRLEN];
	struct prog_result res;
	struct pkt expected;

	pkt_build_error(&expected,
			&(struct pkt_error){
				.src = src,
				.dst = ipaddr_format(&sender, text),
				.type = type,
				.code = code,
				.mtu = mtu,
			},
			in);
	prog_run(t, in, side, &res);

	assert_string_equal(REASON_NAMES[res.reason], REASON_NAMES[reason]);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	assert_int_equal(res.count[FQ_R_ICMP_SENT].packets, 1);
	pkt_assert_equal(&res.out, &expected);
}

uint64_t prog_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}
