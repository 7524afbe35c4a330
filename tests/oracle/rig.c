/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames through program and oracle, and the comparison; see rig.h.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "base/ipaddr.h"
#include "rig.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */
#include "fqdnat_tc.skel.h"

#define CPUS_MAX   256
#define TOLD_NS    20000000 /* in the past, because the programs' clock is some ticks behind */
#define TC_LEN_MIN (ETH_HLEN + 40) /* the kernel runs tc programs with whole headers only */

static const enum fq_reason_class CLASSES[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = FQ_CLASS_##class,
	FQ_REASONS(X)
#undef X
};

static const char *const NAMESPACE[] = {
	"ip neigh replace 192.0.2.3 lladdr 02:00:00:00:01:02 dev cl nud permanent",
	"ip neigh replace 2001:db8:1::3 lladdr 02:00:00:00:01:02 dev cl nud permanent",
	"ip route add 8.0.0.0/17 via " CLIENT4,
	"ip route add 8.0.128.0/17 via " SERVER4,
	"ip -6 route add 2001:db8:86dd::/49 via " CLIENT6,
	"ip -6 route add 2001:db8:86dd:8000::/49 via " SERVER6,
};

/* clang-format off: a table */
static const struct {
	const char *prefix;
	unsigned int len;
	enum orc_hop hop;
	unsigned int side;
	uint32_t mtu;
	const char *via;
} ROUTES[] = {
	/* of prog_enter's namespace; the first that fits */
	{GW_CLIENT4, 128, ORC_HOP_NONE, 0, 0, NULL},
	{"192.0.2.255", 128, ORC_HOP_NONE, 0, 0, NULL},
	{CLIENT4, 127, ORC_HOP_NEXT, 0, 1500, NULL}, /* and .3 */
	{"192.0.2.0", 96 + 24, ORC_HOP_UNRESOLVED, 0, 1500, NULL},
	{GW4, 128, ORC_HOP_NONE, 1, 0, NULL},
	{"198.51.100.255", 128, ORC_HOP_NONE, 1, 0, NULL},
	{SERVER4, 128, ORC_HOP_NEXT, 1, 1500, NULL},
	{"198.51.100.0", 96 + 24, ORC_HOP_UNRESOLVED, 1, 1500, NULL},
	{"198.51.103.0", 96 + 24, ORC_HOP_NEXT, 1, 600, SERVER4},
	{"203.0.113.0", 96 + 25, ORC_HOP_BLACKHOLE, 1, 0, NULL},
	{"8.0.0.0", 96 + 17, ORC_HOP_NEXT, 0, 1500, CLIENT4},
	{"8.0.128.0", 96 + 17, ORC_HOP_NEXT, 1, 1500, SERVER4},
	{GW_CLIENT6, 128, ORC_HOP_NONE, 0, 0, NULL},
	{"2001:db8:1::", 128, ORC_HOP_NONE, 0, 0, NULL}, /* anycast: ours */
	{CLIENT6, 127, ORC_HOP_NEXT, 0, 1500, NULL},
	{"2001:db8:1::", 64, ORC_HOP_UNRESOLVED, 0, 1500, NULL},
	{GW6, 128, ORC_HOP_NONE, 1, 0, NULL},
	{"2001:db8:2::", 128, ORC_HOP_NONE, 1, 0, NULL},
	{SERVER6, 128, ORC_HOP_NEXT, 1, 1500, NULL},
	{"2001:db8:2::", 64, ORC_HOP_UNRESOLVED, 1, 1500, NULL},
	{"2001:db8:3::", 64, ORC_HOP_NEXT, 1, 1280, SERVER6},
	{"2001:db8:bad::", 64, ORC_HOP_BLACKHOLE, 1, 0, NULL},
	{"2001:db8:86dd::", 49, ORC_HOP_NEXT, 0, 1500, CLIENT6},
	{"2001:db8:86dd:8000::", 49, ORC_HOP_NEXT, 1, 1500, SERVER6},
};
/* clang-format on */

#define N_ROUTES (sizeof(ROUTES) / sizeof(ROUTES[0]))

static struct orc_route routes[N_ROUTES];

/* Sockets of the gateway that no session may take the ports of. */
static const struct {
	const char *addr;
	uint8_t proto;
	uint16_t port;
} SOCKETS[] = {
	{GW4, IPPROTO_UDP, 5001},
	{GW4, IPPROTO_TCP, 5002},
	{GW6, IPPROTO_UDP, 5001},
	{GW6, IPPROTO_TCP, 5002},
};

#define N_SOCKETS (sizeof(SOCKETS) / sizeof(SOCKETS[0]))

_Static_assert(N_SOCKETS == RIG_SOCKETS, "one number");

static struct orc_socket sockets[N_SOCKETS];

/* What would come in for it from the server, in the form of the session map. */
struct fq_tuple rig_socket_tuple(unsigned int i)
{
	const struct orc_socket *s = &sockets[i % N_SOCKETS];

	return (struct fq_tuple){
		.src = prog_addr(orc_v4(&s->addr) ? SERVER4 : SERVER6),
		.dst = s->addr,
		.sport = s->proto == IPPROTO_TCP ? htons(443) : 0,
		.dport = htons(s->port),
		.proto = s->proto,
	};
}

static int open_socket(const struct fq_addr *addr, uint8_t proto, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(addr, port, &sa);
	int fd = socket(sa.ss_family, proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -1;
	return proto == IPPROTO_TCP ? listen(fd, 1) : 0;
}

int rig_enter(void)
{
	for (size_t i = 0; i < sizeof(NAMESPACE) / sizeof(NAMESPACE[0]); i++)
		if (system(NAMESPACE[i]) != 0)
			return -1;
	for (size_t i = 0; i < N_ROUTES; i++) {
		routes[i] = (struct orc_route){
			.prefix = prog_addr(ROUTES[i].prefix),
			.len = ROUTES[i].len,
			.hop = ROUTES[i].hop,
			.side = ROUTES[i].side,
			.mtu = ROUTES[i].mtu,
			.dmac = ROUTES[i].side ? PKT_MAC_SERVER : PKT_MAC_CLIENT,
		};
		if (ROUTES[i].via)
			routes[i].via = prog_addr(ROUTES[i].via);
	}
	for (size_t i = 0; i < N_SOCKETS; i++) {
		sockets[i] = (struct orc_socket){.proto = SOCKETS[i].proto,
						 .addr = prog_addr(SOCKETS[i].addr),
						 .port = SOCKETS[i].port};
		if (open_socket(&sockets[i].addr, sockets[i].proto, sockets[i].port) < 0)
			return -1;
	}
	return 0;
}

static int chosen_port(void *ctx, const struct fq_tuple *out)
{
	struct rig *b = ctx;

	return prog_has_session(b->t, out) ? prog_nat_port(b->t, out) : -1;
}

static uint16_t chosen_id(void *ctx, size_t l3)
{
	const struct rig *b = ctx;

	const uint8_t *ip = pkt_data(&b->got) + l3;

	return orc_get16(ip[0] >> 4 == 6 ? ip + 46 : ip + 4); /* IPv6: of the Fragment header */
}

struct rig *rig_new(unsigned int world)
{
	struct rig *b = calloc(1, sizeof(*b));
	struct fq_settings s = rig_settings(world);

	assert(b);
	b->world = world;
	b->t = prog_new(&s, PROG_ALL);
	assert(b->t);
	b->o.w.ifindex[0] = prog_ifindex(CLIENT_SIDE);
	b->o.w.ifindex[1] = prog_ifindex(SERVER_SIDE);
	return b;
}

void rig_free(struct rig *b)
{
	if (!b)
		return;
	prog_free(b->t);
	free(b);
}

static void read_stats(struct rig *b, uint64_t ret[FQ_REASON_MAX][2])
{
	static struct fq_count values[FQ_REASON_MAX * CPUS_MAX];
	static uint32_t keys[FQ_REASON_MAX];
	int cpus = libbpf_num_possible_cpus();
	uint32_t n = FQ_REASON_MAX, cursor;

	assert(cpus <= CPUS_MAX);
	if (bpf_map_lookup_batch(bpf_map__fd(b->t->skel->maps.stats), NULL, &cursor, keys, values,
				 &n, NULL) < 0)
		assert(errno == ENOENT && n == FQ_REASON_MAX);
	memset(ret, 0, FQ_REASON_MAX * sizeof(ret[0]));
	for (uint32_t i = 0; i < n; i++)
		for (int cpu = 0; cpu < cpus; cpu++) {
			ret[keys[i]][0] += values[i * cpus + cpu].packets;
			ret[keys[i]][1] += values[i * cpus + cpu].bytes;
		}
}

void rig_reset(struct rig *b)
{
	struct orc_world *w = &b->o.w;
	uint32_t ifindex[ORC_SIDES] = {w->ifindex[0], w->ifindex[1]};

	if (b->clean)
		rig_world_clear(b);
	else
		prog_reset(b->t);
	b->clean = false; /* until it has been found so */
	memset(&b->o, 0, sizeof(b->o));
	b->o.chosen = chosen_port;
	b->o.chosen_id = chosen_id;
	b->o.ctx = b;
	memcpy(w->ifindex, ifindex, sizeof(ifindex));
	memcpy(w->mac[0], PKT_MAC_GW_CLIENT, ETH_ALEN);
	memcpy(w->mac[1], PKT_MAC_GW_SERVER, ETH_ALEN);
	w->settings = rig_settings(b->world);
	w->route = routes;
	w->routes = N_ROUTES;
	w->socket = sockets;
	w->sockets = N_SOCKETS;
	w->now = b->started = prog_now();
	rig_world_standard(b);
	read_stats(b, b->stats);
}

/* --- frames -------------------------------------------------------------------------------------
 */

bool rig_disagree(struct rig *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(b->why, sizeof(b->why), format, args);
	va_end(args);
	return false;
}

static int program_fd(const struct rig *b, enum orc_hook hook)
{
	const struct bpf_program *programs[] = {
		[ORC_NATIVE] = b->t->skel->progs.fqdnat_xdp,
		[ORC_GENERIC] = b->t->skel->progs.fqdnat_xdp_generic,
		[ORC_INJECT] = b->t->skel->progs.fqdnat_xdp_inject,
		[ORC_TC] = b->t->tc->progs.fqdnat_tc,
		[ORC_TC_BARE] = b->t->tc->progs.fqdnat_tc_l3,
	};

	return bpf_program__fd(programs[hook]);
}

/*
 * The daemon is told of a gateway's neighbour at most twice a second. To the oracle a sequence is
 * shorter than that, however long the machine takes over it.
 */
static void stop_the_clock_of_telling(struct rig *b)
{
	int fd = bpf_map__fd(b->t->skel->maps.gateways);

	for (unsigned int i = 0; i < b->o.w.gateways.n; i++) {
		uint32_t id = b->o.w.gateways.entry[i].key;
		struct fq_gateway g;

		if (!b->o.w.gateways.entry[i].value.told_at ||
		    bpf_map_lookup_elem(fd, &id, &g) < 0 || !g.told_at)
			continue;
		g.told_at = prog_now() - TOLD_NS;
		assert(bpf_map_update_elem(fd, &id, &g, BPF_ANY) == 0);
	}
}

static int run(struct rig *b, const struct step *s)
{
	const uint32_t ifindex = b->o.w.ifindex[s->arg[0]];
	enum orc_hook hook = b->o.w.hook[s->arg[0]];
	struct xdp_md xdp = {.data_end = s->frame.len, .ingress_ifindex = ifindex};
	struct __sk_buff skb = {.ifindex = ifindex};
	bool tc = hook >= ORC_TC;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = pkt_data(&s->frame),
		    .data_size_in = s->frame.len, .data_out = pkt_data(&b->got),
		    .data_size_out = PKT_CAP);

	opts.ctx_in = tc ? (void *)&skb : (void *)&xdp;
	opts.ctx_size_in = tc ? sizeof(skb) : sizeof(xdp);
	b->frames[hook]++;
	b->t->upcalls = 0;
	stop_the_clock_of_telling(b);
	if (bpf_prog_test_run_opts(program_fd(b, hook), &opts) < 0)
		fail_msg("test run of %zu bytes, hook %d: %s", s->frame.len, hook, strerror(errno));
	b->got.len = opts.data_size_out;
	prog_poll(b->t);
	return opts.retval;
}

static bool compare_counts(struct rig *b)
{
	const struct orc_result *said = &b->said;
	uint64_t now[FQ_REASON_MAX][2], fates = 0;
	int fate = 0;

	read_stats(b, now);
	for (int r = 1; r < FQ_REASON_MAX; r++) {
		uint64_t n = now[r][0] - b->stats[r][0];

		b->seen[r] += n;
		if (CLASSES[r] != FQ_CLASS_EVENT) {
			fates += n;
			fate = n ? r : fate;
		} else if (n != said->event[r] && r != FQ_R_PORT_RETRY) {
			return rig_disagree(b, "%s counted %lu times, not %u", step_reason_name(r),
					    n, said->event[r]);
		}
	}
	if (fates != 1)
		return rig_disagree(b, "%lu reasons for one packet", fates);
	if (fate != (int)said->reason)
		return rig_disagree(b, "the program says %s, the oracle %s", step_reason_name(fate),
				    step_reason_name(said->reason));
	if (said->counted && now[fate][1] - b->stats[fate][1] != said->bytes)
		return rig_disagree(b, "%s: %lu bytes counted, not %zu", step_reason_name(fate),
				    now[fate][1] - b->stats[fate][1], said->bytes);
	memcpy(b->stats, now, sizeof(now));
	return true;
}

/* @blind: the frame's bytes are of no interest. */
static bool compare_upcall(struct rig *b, unsigned int i, bool blind)
{
	const struct prog_upcall *got = &b->t->upcall[i];
	const struct orc_upcall *said = &b->said.upcall[i];

	if (got->kind != said->kind || got->domain != said->domain ||
	    got->ifindex != said->ifindex || got->len != said->len ||
	    got->l3_offset != said->l3_offset || got->gateway != said->gateway ||
	    got->mtu != said->mtu)
		return rig_disagree(
			b,
			"upcall %u: kind %u domain %u ifindex %u len %u l3 %u gateway %u, "
			"not %u %u %u %u %u %u",
			i, got->kind, got->domain, got->ifindex, got->len, got->l3_offset,
			got->gateway, said->kind, said->domain, said->ifindex, said->len,
			said->l3_offset, said->gateway);
	if (!orc_same(&got->proxy, &said->proxy))
		return rig_disagree(b, "upcall %u: another address", i);
	for (size_t at = 0; at < said->len; at++)
		if (!blind && got->frame[at] != said->frame[at])
			return rig_disagree(b, "upcall %u: byte %zu of its frame", i, at);
	return true;
}

static bool compare_frame(struct rig *b, bool tc, int verdict, bool blind)
{
	static const int verdicts[2][4] = {
		{[ORC_PASS] = XDP_PASS,
		 [ORC_DROP] = XDP_DROP,
		 [ORC_SEND] = XDP_REDIRECT,
		 [ORC_HAND_BACK] = XDP_TX},
		/* <linux/pkt_cls.h>: unspec, shot, redirect */
		{[ORC_PASS] = -1, [ORC_DROP] = 2, [ORC_SEND] = 7},
	};
	const struct pkt *out = &b->said.out;

	if (verdict != verdicts[tc][b->said.fate])
		return rig_disagree(b, "%s: verdict %d, not %d", step_reason_name(b->said.reason),
				    verdict, verdicts[tc][b->said.fate]);
	if (blind || b->said.fate == ORC_DROP)
		return true;
	if (b->got.len != out->len)
		return rig_disagree(b, "%s: %zu bytes, not %zu", step_reason_name(b->said.reason),
				    b->got.len, out->len);
	for (size_t at = 0; at < out->len; at++)
		if (pkt_data(&b->got)[at] != pkt_data(out)[at])
			return rig_disagree(b, "%s: byte %zu is %02x, not %02x",
					    step_reason_name(b->said.reason), at,
					    pkt_data(&b->got)[at], pkt_data(out)[at]);
	return true;
}

static bool not_written(struct rig *b)
{
	uint64_t now[FQ_REASON_MAX][2];

	read_stats(b, now);
	if (now[FQ_R_WRITE_FAILED][0] == b->stats[FQ_R_WRITE_FAILED][0])
		return false;
	memcpy(b->stats, now, sizeof(now));
	rig_forget_datagrams(b); /* the ids of its fragments cannot be seen */
	return true;
}

/*
 * In a test run the kernel resizes a packet without Ethernet header behind its first 14 bytes: what
 * comes out is no packet, and nothing if it is short. tests/e2e/test_wireguard.sh has real ones.
 */
static bool is_spoilt(const struct rig *b, const struct step *s)
{
	return b->said.resized && b->o.w.hook[s->arg[0]] == ORC_TC_BARE;
}

static bool take_frame(struct rig *b, const struct step *s)
{
	bool tc = b->o.w.hook[s->arg[0]] >= ORC_TC;
	int verdict;

	if (tc && s->frame.len < TC_LEN_MIN)
		return true;
	verdict = run(b, s);
	b->o.complaint[0] = '\0';
	orc_packet(&b->o, s->arg[0], &s->frame, &b->said);
	if (is_spoilt(b, s) && not_written(b))
		return true;
	if (!compare_counts(b) || !compare_frame(b, tc, verdict, is_spoilt(b, s)))
		return false;
	if (b->t->upcalls != b->said.upcalls)
		return rig_disagree(b, "%s: %u upcalls, not %u", step_reason_name(b->said.reason),
				    b->t->upcalls, b->said.upcalls);
	for (unsigned int i = 0; i < b->said.upcalls; i++)
		if (!compare_upcall(b, i, is_spoilt(b, s)))
			return false;
	if (b->said.flow && !rig_compare_flow(b, b->said.flow))
		return false;
	if (b->o.complaint[0])
		return rig_disagree(b, "%s", b->o.complaint);
	if (s->expected && s->expected != (int)b->said.reason)
		return rig_disagree(b, "%s, expected %s", step_reason_name(b->said.reason),
				    step_reason_name(s->expected));
	return true;
}

bool rig_step(struct rig *b, const struct step *s)
{
	if (s->op == STEP_FRAME)
		return take_frame(b, s);
	rig_change(b, s);
	return true;
}
