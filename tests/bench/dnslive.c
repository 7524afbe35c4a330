/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queries of DNS by live frames: hardly any work for the one who asks.
 *
 *	dnslive OUT IN CLIENT SERVER PORT SERVER_MAC DOMAIN NAMES SECONDS
 *
 * Asks for A of n0.DOMAIN to n(NAMES-1).DOMAIN in random order, by interface OUT and from the
 * address CLIENT (both IPv4); answers come by interface IN. If that is another one, it is the other
 * end of OUT's veth, and what is counted there are the queries themselves: what all of this costs
 * without a server. Prints, in one line, how many queries were sent, how many right answers came
 *back, and the CPU time of this process in ns. In that is what the kernel does in softirqs with
 *queries on their way, all of it, if everybody is on one CPU.
 *
 * Used by dns.sh, in the client's namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "dnslive.h"

#include "dnslive.skel.h"

#define PORT       4000
#define BATCH      32   /* less than a socket's buffer takes: each frame counts as a page in it */
#define PIECE_MIN  1024 /* queries between two looks at the clock */
#define PIECE_MAX  1048576
#define PIECE_S    0.3 /* a piece waits for RCU at its beginning and its end */
#define UDP_OFF    (ETH_HLEN + sizeof(struct iphdr))
#define HEADER_LEN 12

struct asker {
	struct dnslive_bpf *skel;
	uint32_t out, in; /* interfaces */
	uint16_t port;
	struct ethhdr eth;
	struct in_addr client, server;
	int link_fd;
};

static int fail(const char *what, int r)
{
	fprintf(stderr, "dnslive: cannot %s: %s\n", what, strerror(-r));
	return r;
}

/* One's complement sum of big-endian words. */
static uint32_t sum(const uint8_t *bytes, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? bytes[i] : bytes[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static size_t put_name(uint8_t *at, const char *name)
{
	size_t off = 0;

	while (*name) {
		size_t len = strcspn(name, ".");

		at[off] = len;
		memcpy(at + off + 1, name, len);
		off += 1 + len;
		name += len + (name[len] == '.');
	}
	at[off] = 0;
	return off + 1;
}

/* Return: 0; -ENAMETOOLONG. */
static int make_query(const struct asker *a, const char *name, uint16_t id,
		      struct dnslive_query *ret_query)
{
	static const uint8_t question[] = {0, 1, 0, 1}; /* A, IN */
	uint8_t message[DNSLIVE_QUERY_MAX] = {id >> 8, id & 0xff, 1, 0, 0, 1};
	struct udphdr udp = {.source = htons(PORT), .dest = htons(a->port)};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
	size_t len = HEADER_LEN, udp_len;
	uint8_t *at = ret_query->frame;

	if (UDP_OFF + sizeof(udp) + len + strlen(name) + 2 + sizeof(question) > DNSLIVE_QUERY_MAX)
		return -ENAMETOOLONG;
	len += put_name(message + len, name);
	memcpy(message + len, question, sizeof(question));
	len += sizeof(question);
	udp_len = sizeof(udp) + len;
	udp.len = htons(udp_len);
	ip.saddr = a->client.s_addr;
	ip.daddr = a->server.s_addr;
	ip.tot_len = htons(sizeof(ip) + udp_len);
	ip.check = htons(~sum((uint8_t *)&ip, sizeof(ip), 0));
	udp.check = htons(~sum(message, len,
			       sum((uint8_t *)&udp, sizeof(udp),
				   sum((uint8_t *)&ip.saddr, 8, IPPROTO_UDP + udp_len))));
	memcpy(at, &a->eth, ETH_HLEN);
	memcpy(at + ETH_HLEN, &ip, sizeof(ip));
	memcpy(at + UDP_OFF, &udp, sizeof(udp));
	memcpy(at + UDP_OFF + sizeof(udp), message, len);
	ret_query->len = UDP_OFF + udp_len;
	return 0;
}

static int make_queries(struct asker *a, const char *domain, unsigned int names)
{
	char name[256];

	for (uint32_t i = 0; i < names; i++) {
		struct dnslive_query q = {0};
		int r;

		snprintf(name, sizeof(name), "n%u.%s", i, domain);
		r = make_query(a, name, i, &q);
		if (r < 0)
			return r;
		if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.queries), &i, &q, BPF_ANY) < 0)
			return -errno;
	}
	a->skel->bss->vars.names = names;
	a->skel->bss->vars.port = htons(a->port);
	a->skel->bss->vars.direct = a->out != a->in;
	a->skel->bss->vars.rng = 88172645463325252ULL;
	return 0;
}

static int hardware_address(const char *ifname, uint8_t ret_mac[ETH_ALEN])
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};

	if (fd < 0)
		return -errno;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		return -errno;
	memcpy(ret_mac, req.ifr_hwaddr.sa_data, ETH_ALEN);
	return 0;
}

/* Programs loaded, answers taken from the interface. */
static int attach(struct asker *a)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	const uint32_t zero = 0;

	a->skel = dnslive_bpf__open_and_load();
	if (!a->skel)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.gen_tx), &zero, &a->out, BPF_ANY) < 0)
		return -errno;
	a->link_fd =
		bpf_link_create(bpf_program__fd(a->skel->progs.take), (int)a->in, BPF_XDP, &opts);
	return a->link_fd < 0 ? a->link_fd : 0;
}

static int ask(struct asker *a, unsigned int count)
{
	uint8_t frame[DNSLIVE_GIVEN] = {0};
	struct xdp_md ctx = {.data_end = sizeof(frame), .ingress_ifindex = a->out};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	return bpf_prog_test_run_opts(bpf_program__fd(a->skel->progs.ask), &opts);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static unsigned long long cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int run(struct asker *a, double seconds)
{
	volatile __u64 *answered = &a->skel->bss->vars.answered;
	double begin = seconds_now(), now = begin;
	unsigned long long cpu = cpu_ns(), sent = 0;
	unsigned int piece = PIECE_MIN;

	while (now - begin < seconds) {
		double before = now;
		int r = ask(a, piece);

		if (r < 0)
			return r;
		sent += piece;
		now = seconds_now();
		if (now - before < PIECE_S && piece < PIECE_MAX)
			piece *= 2;
	}
	cpu = cpu_ns() - cpu;
	usleep(100000); /* what is on its way */
	printf("%llu %llu %llu\n", sent, (unsigned long long)*answered, cpu);
	return 0;
}

static int prepare(struct asker *a, char **argv)
{
	uint8_t *to = a->eth.h_dest;
	int r;

	a->out = if_nametoindex(argv[1]);
	a->in = if_nametoindex(argv[2]);
	if (!a->out || !a->in)
		return -errno;
	a->port = (uint16_t)strtoul(argv[5], NULL, 10);
	if (inet_pton(AF_INET, argv[3], &a->client) != 1 ||
	    inet_pton(AF_INET, argv[4], &a->server) != 1 ||
	    sscanf(argv[6], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4,
		   to + 5) != ETH_ALEN)
		return -EINVAL;
	a->eth.h_proto = htons(ETH_P_IP);
	r = hardware_address(argv[1], a->eth.h_source);
	return r < 0 ? r : attach(a);
}

int main(int argc, char **argv)
{
	struct asker a = {.link_fd = -1};
	unsigned long names = argc == 10 ? strtoul(argv[8], NULL, 10) : 0;
	int r;

	if (!names || names > DNSLIVE_NAMES_MAX) {
		fprintf(stderr, "Usage: dnslive OUT IN CLIENT SERVER PORT SERVER_MAC DOMAIN NAMES "
				"SECONDS\n");
		return EXIT_FAILURE;
	}
	r = prepare(&a, argv);
	if (r < 0)
		fail("begin", r);
	if (r == 0 && (r = make_queries(&a, argv[7], names)) < 0)
		fail("make queries", r);
	if (r == 0 && (r = run(&a, strtod(argv[9], NULL))) < 0)
		fail("ask", r);
	closep(&a.link_fd);
	dnslive_bpf__destroy(a.skel);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
