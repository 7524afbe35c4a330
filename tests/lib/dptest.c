/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway to try the dataplane on; see dptest.h. */
#include "dptest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "table_put.h"

static struct {
	char dir[64], bpffs[80];
	pid_t pid[3];
	int ns[3];
} lab;

#define KEEP_STILL(dev)                                       \
	"net.ipv4.neigh." dev ".delay_first_probe_time=3600 " \
	"net.ipv6.neigh." dev ".delay_first_probe_time=3600"

static const struct {
	enum dpt_side side;
	const char *command;
} commands[] = {
	{DPT_GATEWAY, "ip link set lo up"},
	{DPT_GATEWAY, "ip addr add 192.0.2.1/24 dev cl"},
	{DPT_GATEWAY, "ip addr add 2001:db8:1::1/64 dev cl nodad"},
	{DPT_GATEWAY, "ip link set cl up"},
	{DPT_GATEWAY, "ip addr add 198.51.100.1/24 dev sv"},
	{DPT_GATEWAY, "ip addr add 2001:db8:2::1/64 dev sv nodad"},
	{DPT_GATEWAY, "ip link set sv up"},
	{DPT_GATEWAY, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
	{DPT_CLIENT_SIDE, "ip addr add 192.0.2.2/24 dev c0"},
	{DPT_CLIENT_SIDE, "ip addr add 2001:db8:1::2/64 dev c0 nodad"},
	{DPT_CLIENT_SIDE, "ip link set c0 up"},
	/* After "up": the other end takes no notice of what is switched before. */
	{DPT_CLIENT_SIDE, "ethtool -K c0 gro on"},
	/* Else they ask the gateway some time after a packet, who then knows them unasked. */
	{DPT_CLIENT_SIDE, "sysctl -qw " KEEP_STILL("c0")},
	{DPT_CLIENT_SIDE, "ip route add default via 192.0.2.1"},
	{DPT_CLIENT_SIDE, "ip -6 route add default via 2001:db8:1::1"},
	{DPT_SERVER_SIDE, "ip addr add 198.51.100.2/24 dev s0"},
	{DPT_SERVER_SIDE, "ip addr add 2001:db8:2::2/64 dev s0 nodad"},
	{DPT_SERVER_SIDE, "ip link set s0 up"},
	{DPT_SERVER_SIDE, "ethtool -K s0 gro on"},
	{DPT_SERVER_SIDE, "sysctl -qw " KEEP_STILL("s0")},
};

void dpt_run(enum dpt_side side, const char *format, ...)
{
	char command[512], full[600];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (side == DPT_GATEWAY)
		snprintf(full, sizeof(full), "%s", command);
	else
		snprintf(full, sizeof(full), "nsenter --net=/proc/%d/ns/net %s", lab.pid[side],
			 command);
	if (system(full) != 0)
		fail_msg("failed: %s", full);
}

/* A process that does nothing but keep a network namespace. */
static int make_namespace(enum dpt_side side)
{
	char path[64];
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return -1;
	lab.pid[side] = fork();
	if (lab.pid[side] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0)
			_exit(1);
		(void)!write(ready[1], "", 1);
		close(ready[0]);
		close(ready[1]);
		/* Not on our standard output's pipe, should we be killed. */
		close(STDOUT_FILENO);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (lab.pid[side] < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", lab.pid[side]);
	lab.ns[side] = open(path, O_RDONLY | O_CLOEXEC);
	return lab.ns[side] < 0 ? -1 : 0;
}

int dpt_enter(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("unshare");
		return -1;
	}
	strcpy(lab.dir, "/tmp/fqdnat-test-XXXXXX");
	if (!mkdtemp(lab.dir) || mount("bpf", lab.dir, "bpf", 0, NULL) < 0) {
		perror("bpffs");
		return -1;
	}
	snprintf(lab.bpffs, sizeof(lab.bpffs), "%s/fqdnat", lab.dir);
	lab.ns[DPT_GATEWAY] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (make_namespace(DPT_CLIENT_SIDE) < 0 || make_namespace(DPT_SERVER_SIDE) < 0)
		return -1;
	dpt_run(DPT_GATEWAY, "ip link add cl type veth peer name c0 netns %d",
		lab.pid[DPT_CLIENT_SIDE]);
	dpt_run(DPT_GATEWAY, "ip link add sv type veth peer name s0 netns %d",
		lab.pid[DPT_SERVER_SIDE]);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		dpt_run(commands[i].side, "%s", commands[i].command);
	return 0;
}

int dpt_leave(void **state)
{
	(void)state;
	for (enum dpt_side side = DPT_CLIENT_SIDE; side <= DPT_SERVER_SIDE; side++) {
		kill(lab.pid[side], SIGKILL);
		waitpid(lab.pid[side], NULL, 0);
	}
	umount2(lab.dir, MNT_DETACH);
	return rmdir(lab.dir);
}

int dpt_clean(void **state)
{
	(void)state;
	return dataplane_purge(lab.bpffs, NULL);
}

const char *dpt_bpffs(void)
{
	return lab.bpffs;
}

struct fq_addr dpt_addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

int dpt_socket(enum dpt_side side, int type, const char *local, uint16_t port)
{
	struct sockaddr_storage sa;
	struct fq_addr a = dpt_addr(local ? local : "0.0.0.0");
	socklen_t len = ipaddr_to_sockaddr(&a, port, &sa);
	int fd, one = 1, room = 32 << 20;

	assert_int_equal(setns(lab.ns[side], CLONE_NEWNET), 0);
	fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(lab.ns[DPT_GATEWAY], CLONE_NEWNET), 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

void dpt_send(int fd, const char *to, uint16_t port, const void *bytes, size_t n)
{
	struct sockaddr_storage sa;
	struct fq_addr a = dpt_addr(to);
	socklen_t len = ipaddr_to_sockaddr(&a, port, &sa);

	assert_int_equal(sendto(fd, bytes, n, 0, (struct sockaddr *)&sa, len), n);
}

bool dpt_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 3000) == 1;
}

struct dp_settings dpt_settings(void)
{
	return (struct dp_settings){
		.bpffs = lab.bpffs,
		.program =
			{
				.pool4 = dpt_addr("100.96.0.0"),
				.pool4_mask = ipprefix_mask(96 + 11),
				.pool6 = dpt_addr("fd00:2021:1111:8000::"),
				.pool6_mask = ipprefix_mask(107),
				.masquerade = FQ_MASQ_AUTO,
				.port_lo = 1024,
				.port_hi = 65535,
				.local_lo = 32768,
				.local_hi = 60999,
				.hash_seed = 1,
				.icmp_per_second = 1000,
				.icmp_burst = 1000,
				.icmp_cpu_per_second = 1000,
				.icmp_cpu_burst = 1000,
				.tombstone_ns = 10 * NSEC_PER_SEC,
			},
		.sessions_max = 4096,
		.dispatcher = DP_DISPATCHER_NEVER,
		.expiry = EXPIRY_POLICY_DEFAULT,
	};
}

struct dataplane *dpt_open(void)
{
	struct dp_settings settings = dpt_settings();
	struct dataplane *dp = NULL;
	struct dp_error err;

	if (dataplane_open(&settings, &err, &dp) < 0)
		fail_msg("%s", err.text);
	return dp;
}

static void world_family(struct dataplane *dp, const char *prefix, const char *proxy,
			 const char *real)
{
	struct fq_client client = {.client = DPT_CLIENT};
	struct fq_xlat xlat = {.real = dpt_addr(real),
			       .domain = DPT_DOMAIN,
			       .has_real = 1,
			       .resources = 1,
			       .resource = {DPT_RESOURCE}};
	struct fq_edge edge = {.domain = DPT_DOMAIN, .verdict = FQ_EDGE_FORWARD};
	struct fq_addr a = dpt_addr(proxy);
	struct ipprefix p;

	assert_int_equal(ipprefix_parse(prefix, &p), 0);
	assert_int_equal(dataplane_client_set(dp, &p, &client), 0);
	assert_int_equal(dataplane_xlat_set(dp, 0, &a, &xlat), 0);
	assert_int_equal(dataplane_edge_set(dp, &a, &edge), 0);
}

void dpt_world(struct dataplane *dp)
{
	struct fq_filter filter = {.allow_all = 1};

	world_family(dp, "192.0.2.0/24", DPT_PROXY4, DPT_SERVER4);
	world_family(dp, "2001:db8:1::/64", DPT_PROXY6, DPT_SERVER6);
	assert_int_equal(dataplane_filter_set(dp, DPT_RESOURCE, &filter), 0);
	assert_int_equal(dataplane_grant_set(dp, DPT_CLIENT, DPT_RESOURCE, 0), 0);
	dataplane_quota_set(dp, DPT_CLIENT, 0, 1000);
	dataplane_policy_changed(dp);
}

void dpt_attach(struct dataplane *dp)
{
	struct dp_attached attached;
	struct dp_error err;

	if (dataplane_attach(dp, "cl", DP_MODE_NATIVE, &err, &attached) < 0 ||
	    dataplane_attach(dp, "sv", DP_MODE_NATIVE, &err, &attached) < 0)
		fail_msg("%s", err.text);
}

static void send_slow(void *ctx, const struct fq_upcall *u)
{
	if (u->kind == FQ_UPCALL_SLOW)
		assert_int_equal(
			dataplane_send_l3(ctx, u->frame + u->l3_offset, u->len - u->l3_offset), 0);
}

unsigned int dpt_slow(struct dataplane *dp)
{
	int n = dataplane_upcalls_poll(dp, send_slow, dp, 1000);

	assert_true(n >= 0);
	return (unsigned int)n;
}

uint64_t dpt_count(enum fq_reason reason)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct fq_count counts[FQ_REASON_MAX];

	assert_int_equal(dpview_open(lab.bpffs, NULL, &view), 0);
	assert_int_equal(dpview_stats(view, counts), 0);
	return counts[reason].packets;
}

bool dpt_has_program(const char *ifname)
{
	struct xdp_state xdp;

	assert_int_equal(xdp_state_get(if_nametoindex(ifname), &xdp), 0);
	return xdp.native_id || xdp.generic_id;
}

static int count_link(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	(void)fd;
	(void)ifindex;
	(void)path;
	++*(unsigned int *)ctx;
	return 0;
}

unsigned int dpt_links(void)
{
	unsigned int n = 0;

	assert_int_equal(bpffs_links(lab.bpffs, count_link, &n), 0);
	return n;
}

static void put(struct dataplane *dp, const struct fq_tuple *key, const struct session_entry *entry)
{
	assert_true(table_find(&dp->table, key) == TABLE_NONE);
	table_put(&dp->table, key, entry);
}

void dpt_session(struct dataplane *dp, const struct dpt_session *s)
{
	uint16_t tcp_port = s->proto == IPPROTO_TCP ? htons(s->port) : 0;
	struct fq_tuple key = {
		.src = dpt_addr(s->client ?: DPT_CLIENT4),
		.dst = dpt_addr(s->proxy ?: DPT_PROXY4),
		.sport = htons(s->client_port),
		.dport = tcp_port,
		.proto = s->proto,
	};
	struct session_entry out = {
		.src = dpt_addr(s->nat ?: DPT_GW4),
		.dst = dpt_addr(s->real ?: DPT_SERVER4),
		.port = htons(s->nat_port),
		.peer_port = htons(s->port),
		.dir = FQ_DIR_OUT,
		.tcp_seen = s->seen_out,
		.client = s->client_id ?: DPT_CLIENT,
		.resource = s->resource_id ?: DPT_RESOURCE,
		.domain = s->domain_id ?: DPT_DOMAIN,
		.gateway = s->gateway,
		.created = s->created,
		.last = s->last_out,
	};
	struct session_entry in = out;
	struct fq_tuple in_key = session_partner(&key, &out);

	in.src = key.dst;
	in.dst = key.src;
	in.port = key.sport;
	in.dir = FQ_DIR_IN;
	in.tcp_seen = s->seen_in;
	in.last = s->last_in;
	if (!s->no_in)
		put(dp, &in_key, &in);
	if (s->no_out)
		return;
	put(dp, &key, &out);
	if (s->uncounted)
		return;
	dp->control->sessions++;
	dp->quota[out.client].sessions++;
}

static int pinned_map(enum dp_map map)
{
	char path[DP_PATH_MAX];
	int fd;

	assert_int_equal(dp_path_map(path, lab.bpffs, map), 0);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t live_sessions(void)
{
	_cleanup_(closep) int slot = pinned_map(M_SESSIONS), six = pinned_map(M_SESSIONS_SIX);
	_cleanup_(closep) int cold = pinned_map(M_SESSIONS_COLD), control = pinned_map(M_CONTROL);
	struct session_table table;
	const uint32_t zero = 0;
	struct fq_control c;
	uint64_t n;

	assert_int_equal(bpf_map_lookup_elem(control, &zero, &c), 0);
	assert_int_equal(table_map(&table, slot, six, cold, &c.table, false), 0);
	n = table_live(&table);
	table_unmap(&table);
	return n;
}

static uint64_t proxies_used(enum dp_map map)
{
	_cleanup_(closep) int fd = -1;
	char path[DP_PATH_MAX];
	struct dp_user user;
	uint32_t zero = 0;

	assert_int_equal(dp_path_map(path, lab.bpffs, M_USER), 0);
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &user), 0);
	return map == M_EDGE ? user.proxies.edge : user.proxies.xlat;
}

uint64_t dpt_entries(const char *name)
{
	for (enum dp_map m = 0; m < M_COUNT; m++) {
		_cleanup_(closep) int fd = -1;
		char path[DP_PATH_MAX];
		uint64_t n;

		if (strcmp(map_specs[m].name, name) != 0)
			continue;
		if (m == M_SESSIONS)
			return live_sessions();
		if (m == M_EDGE || m == M_XLAT)
			return proxies_used(m);
		assert_int_equal(dp_path_map(path, lab.bpffs, m), 0);
		fd = bpf_obj_get(path);
		assert_true(fd >= 0);
		assert_int_equal(map_count(m, fd, &n), 0);
		return n;
	}
	fail_msg("no map %s", name);
	return 0;
}
