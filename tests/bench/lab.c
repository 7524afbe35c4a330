/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Namespaces, interfaces, routes and rules of the benchmark; see lab.h. Uses iproute2, ethtool and
 * nft as an operator would. All neighbours are permanent: nothing is resolved while measuring.
 */
#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "plan.h"

#define LAB_NAME "fqbench"

const char *const lab_path_names[LAB_PATHS] = {
	[LAB_DIRECT] = "direct", [LAB_BARE] = "bare",     [LAB_FIB] = "bare+fib",
	[LAB_KERNEL] = "kernel", [LAB_NFT] = "nft",       [LAB_TUN] = "tun",
	[LAB_TAYGA] = "tayga64", [LAB_FQDNAT] = "fqdnat", [LAB_FQDNAT64] = "fqdnat64",
};

static const char mac_client[] = "02:00:00:00:00:01";
static const char mac_lan[] = "02:00:00:00:00:02";
static const char mac_wan[] = "02:00:00:00:00:03";
static const char mac_net[] = "02:00:00:00:00:04";

int lab_command(const char *input, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	FILE *pipe;
	int status;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pipe = popen(line, "w");
	if (!pipe)
		return -errno;
	if (input)
		fputs(input, pipe);
	status = pclose(pipe);
	if (status == 0)
		return 0;
	fprintf(stderr, "bench: `%s` failed\n", line);
	return -EIO;
}

static int write_text(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		int r = -errno;

		fprintf(stderr, "bench: cannot write %s to %s: %s\n", text, path, strerror(-r));
		return r;
	}
	return 0;
}

static int read_text(const char *path, char *buf, size_t cap)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f || !fgets(buf, cap, f))
		return -ENOENT;
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

long lab_read_number(const char *path)
{
	char text[32];

	return read_text(path, text, sizeof(text)) < 0 ? -1 : strtol(text, NULL, 10);
}

int lab_enter(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0) {
		fprintf(stderr, "bench: cannot enter a namespace: %s\n", strerror(errno));
		return -errno;
	}
	return 0;
}

static int netns_add(const struct lab *lab, const char *name, int *ret_fd)
{
	char path[96];
	int fd, r;

	r = lab_command(NULL, "ip netns add %s-%s", lab->prefix, name);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/run/netns/%s-%s", lab->prefix, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "bench: cannot open %s: %s\n", path, strerror(errno));
		return -errno;
	}
	*ret_fd = fd;
	return 0;
}

/* Namespaces of a process that is gone, or of @pid. */
static void netns_remove_all(long pid)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *e;
	long owner;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (sscanf(e->d_name, LAB_NAME "-%ld-", &owner) != 1)
			continue;
		if (owner == pid || (kill(owner, 0) < 0 && errno == ESRCH))
			(void)lab_command(NULL, "ip netns del %s", e->d_name);
	}
	closedir(dir);
}

/* What holds for every namespace before it has interfaces: forwarding on, no filters in the way. */
static int netns_settings(void)
{
	static const char *const settings[][2] = {
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		{"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
		{"/proc/sys/net/ipv4/conf/all/rp_filter", "0"},
		{"/proc/sys/net/ipv4/conf/default/rp_filter", "0"},
		{"/proc/sys/net/ipv6/conf/default/accept_dad", "0"},
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && r == 0; i++)
		r = write_text(settings[i][0], settings[i][1]);
	return r;
}

static int make_direct(struct lab *lab)
{
	char script[512];
	int r;

	snprintf(script, sizeof(script),
		 "link add direct address %s type veth peer name direct address %s netns %s-net\n"
		 "link set direct up\n",
		 mac_client, mac_net, lab->prefix);
	r = lab_enter(lab->client_fd);
	if (r == 0)
		r = lab_command(script, "ip -batch -");
	if (r == 0)
		r = lab_enter(lab->net_fd);
	return r == 0 ? lab_command(NULL, "ip link set direct up") : r;
}

/* A gateway between client and net, with addresses, routes and neighbours. */
static int make_gateway(struct lab *lab, enum lab_path path)
{
	const char *name = lab_path_names[path];
	char script[2048];
	int r;

	r = netns_add(lab, name, &lab->path[path].gateway_fd);
	if (r == 0)
		r = lab_enter(lab->path[path].gateway_fd);
	if (r == 0)
		r = netns_settings();
	if (r < 0)
		return r;
	snprintf(script, sizeof(script),
		 "link add lan0 address %s type veth peer name %s address %s netns %s-client\n"
		 "link add wan0 address %s type veth peer name %s address %s netns %s-net\n"
		 "link set lo up\n"
		 "link set lan0 up\n"
		 "link set wan0 up\n"
		 "addr add 192.0.2.1/24 dev lan0\n"
		 "addr add 2001:db8:1::1/64 dev lan0 nodad\n"
		 "addr add 198.51.100.1/24 dev wan0\n"
		 "addr add 2001:db8:2::1/64 dev wan0 nodad\n"
		 "neigh add 192.0.2.2 lladdr %s dev lan0 nud permanent\n"
		 "neigh add 2001:db8:1::2 lladdr %s dev lan0 nud permanent\n"
		 "neigh add 198.51.100.2 lladdr %s dev wan0 nud permanent\n"
		 "neigh add 2001:db8:2::2 lladdr %s dev wan0 nud permanent\n"
		 "route add 10.64.0.0/16 via 198.51.100.2\n"
		 "route add 100.96.0.0/11 via 198.51.100.2\n"
		 "route add 2001:db8:40::/48 via 2001:db8:2::2\n",
		 mac_lan, name, mac_client, lab->prefix, mac_wan, name, mac_net, lab->prefix,
		 mac_client, mac_client, mac_net, mac_net);
	r = lab_command(script, "ip -batch -");
	/* A veth takes redirected frames only with NAPI, which GRO (or an XDP program) switches on.
	 */
	if (r == 0)
		r = lab_command(NULL, "ethtool -K lan0 gro on && ethtool -K wan0 gro on");
	if (r == 0)
		r = lab_enter(lab->client_fd);
	if (r == 0)
		r = lab_command(NULL, "ip link set %s up && ethtool -K %s gro on", name, name);
	if (r == 0)
		r = lab_enter(lab->net_fd);
	return r == 0 ? lab_command(NULL, "ip link set %s up", name) : r;
}

/* Both tables of the same size as the flows; connection tracking outlives a whole run. */
static int make_nft(struct lab *lab, unsigned int flows_max)
{
	char *rules = NULL;
	size_t len = 0;
	FILE *f;
	int r;

	r = lab_enter(lab->home_fd);
	if (r < 0)
		return r;
	if (lab_read_number("/proc/sys/net/netfilter/nf_conntrack_max") < 2L * flows_max) {
		(void)read_text("/proc/sys/net/netfilter/nf_conntrack_buckets",
				lab->conntrack_buckets, sizeof(lab->conntrack_buckets));
		(void)read_text("/proc/sys/net/netfilter/nf_conntrack_max", lab->conntrack_max,
				sizeof(lab->conntrack_max));
		if (write_text("/proc/sys/net/netfilter/nf_conntrack_buckets", "1048576") < 0 ||
		    write_text("/proc/sys/net/netfilter/nf_conntrack_max", "4194304") < 0)
			return -EPERM;
	}

	f = open_memstream(&rules, &len);
	if (!f)
		return -ENOMEM;
	fputs("table ip bench {\n\tmap real {\n\t\ttype ipv4_addr : ipv4_addr\n\t\telements = {",
	      f);
	for (unsigned int i = 0; i < BENCH_PROXIES; i++)
		fprintf(f, "%s 100.96.%u.%u : 10.64.%u.%u", i ? "," : "", 4 + i / 256, i % 256,
			4 + i / 256, i % 256);
	fputs(" }\n\t}\n"
	      "\tchain pre {\n\t\ttype nat hook prerouting priority dstnat\n"
	      "\t\tdnat to ip daddr map @real\n\t}\n"
	      "\tchain post {\n\t\ttype nat hook postrouting priority srcnat\n"
	      "\t\toifname \"wan0\" masquerade\n\t}\n}\n",
	      f);
	fclose(f);
	r = lab_enter(lab->path[LAB_NFT].gateway_fd);
	if (r == 0)
		r = lab_command(rules, "nft -f -");
	free(rules);
	if (r == 0)
		r = write_text("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "3600");
	if (r == 0)
		r = write_text("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", "3600");
	return r;
}

static int find_links(struct lab *lab)
{
	for (int p = 0; p < LAB_PATHS; p++) {
		struct lab_links *links = &lab->path[p];

		if (lab_enter(lab->client_fd) < 0)
			return -EIO;
		links->client = if_nametoindex(lab_path_names[p]);
		if (lab_enter(lab->net_fd) < 0)
			return -EIO;
		links->net = if_nametoindex(lab_path_names[p]);
		if (p == LAB_DIRECT)
			continue;
		if (lab_enter(links->gateway_fd) < 0)
			return -EIO;
		links->lan = if_nametoindex("lan0");
		links->wan = if_nametoindex("wan0");
	}
	return 0;
}

int lab_make(struct lab *lab, unsigned int flows_max)
{
	int r = 0;

	*lab = (struct lab){.client_fd = -1, .net_fd = -1};
	for (int p = 0; p < LAB_PATHS; p++)
		lab->path[p].gateway_fd = -1;
	lab->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (lab->home_fd < 0)
		return -errno;
	snprintf(lab->prefix, sizeof(lab->prefix), LAB_NAME "-%ld", (long)getpid());
	netns_remove_all(0);

	r = netns_add(lab, "client", &lab->client_fd);
	if (r == 0)
		r = netns_add(lab, "net", &lab->net_fd);
	if (r == 0)
		r = make_direct(lab);
	for (enum lab_path p = LAB_BARE; p < LAB_PATHS && r == 0; p++)
		r = make_gateway(lab, p);
	if (r == 0)
		r = make_nft(lab, flows_max);
	if (r == 0)
		r = find_links(lab);
	if (r == 0)
		r = lab_start_tun(lab);
	if (r == 0)
		r = lab_start_tayga(lab);
	if (r == 0)
		r = lab_enter(lab->home_fd);
	if (r < 0)
		lab_done(lab);
	return r;
}

void lab_done(struct lab *lab)
{
	if (lab->home_fd < 0)
		return;
	(void)lab_enter(lab->home_fd);
	if (lab->conntrack_max[0])
		(void)write_text("/proc/sys/net/netfilter/nf_conntrack_max", lab->conntrack_max);
	if (lab->conntrack_buckets[0])
		(void)write_text("/proc/sys/net/netfilter/nf_conntrack_buckets",
				 lab->conntrack_buckets);
	for (int p = 0; p < LAB_PATHS; p++) {
		if (lab->path[p].process > 0) {
			kill(lab->path[p].process, SIGKILL);
			waitpid(lab->path[p].process, NULL, 0);
		}
		closep(&lab->path[p].gateway_fd);
	}
	closep(&lab->client_fd);
	closep(&lab->net_fd);
	netns_remove_all(getpid());
	closep(&lab->home_fd);
	lab->home_fd = -1;
}
