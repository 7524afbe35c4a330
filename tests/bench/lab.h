/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark's laboratory: one client and one net namespace, and between them a gateway
 * namespace for each way of forwarding, so that all ways are there at once and runs can be
 * interleaved without setting anything up in between.
 *
 *	client ─ lan0 [gateway "kernel"] wan0 ─ net
 *	       ─ lan0 [gateway "nft"]    wan0 ─
 *	       ─ ...                          ─
 *
 * Names carry the process id; what a killed run left behind is removed by the next.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum lab_path {
	LAB_DIRECT, /* client and net joined by one veth: what generator and sink cost */
	LAB_BARE,   /* XDP: new MAC addresses, redirect */
	LAB_FIB,    /* the same with the kernel's route and neighbour for every packet */
	LAB_KERNEL, /* routed by the kernel, no netfilter */
	LAB_NFT,    /* nftables: DNAT by map, masquerade */
	LAB_TUN,    /* NAT in userspace over TUN: tun_nat.c */
	LAB_TAYGA,  /* NAT64 in userspace over TUN, of Debian */
	LAB_FQDNAT,
	LAB_FQDNAT64,
	LAB_PATHS,
};

/* Addresses of clients behind the gateways in userspace; not the gateways' own. */
#define LAB_TUN_NAT    "203.0.113.1"
#define LAB_TAYGA_NAT  "203.0.113.2"
#define LAB_TAYGA_REAL "2001:db8:64::10.64.8.0" /* BENCH_REAL64 behind the prefix */

extern const char *const lab_path_names[LAB_PATHS];

/* Indices of a path's interfaces, each in its own namespace; direct has no gateway. */
struct lab_links {
	int gateway_fd;
	unsigned int client, lan, wan, net;
	pid_t process;       /* the gateway in userspace; 0: none */
	const char *missing; /* why there is no such gateway; NULL: there is */
};

struct lab {
	char prefix[32];
	int home_fd, client_fd, net_fd;
	struct lab_links path[LAB_PATHS];
	char conntrack_buckets[16], conntrack_max[16]; /* to be restored; empty: unchanged */
};

/*
 * Build everything. On failure it has been said on stderr and what was made is removed.
 *
 * @flows_max: most flows that connection tracking will have to keep
 *
 * Return: 0; negative errno.
 */
int lab_make(struct lab *lab, unsigned int flows_max);

/* Remove everything; accepts a half-made laboratory. */
void lab_done(struct lab *lab);

/*
 * Start the gateways in userspace, on the CPU that this thread is pinned to. lab_done() ends them.
 * One that cannot be is missing, and no failure.
 */
int lab_start_tun(struct lab *lab);
int lab_start_tayga(struct lab *lab);

/* Run a shell command in this thread's namespace, @input on its standard input. */
int lab_command(const char *input, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Move this thread into a namespace (one of the fds of struct lab). Return: 0; negative errno. */
int lab_enter(int fd);

/* Number in a file of this thread's namespace, for example /proc/sys/net/...; -1: none. */
long lab_read_number(const char *path);
