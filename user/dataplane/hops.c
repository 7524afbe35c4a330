/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the programs when next hops that they remember (bpf/hops.h) may not be right any more, and
 * vouches for them as long as it is listening.
 *
 * Whatever the kernel says about links, addresses, neighbours, routes, rules or forwarding begins a
 * new generation; what it says is not read. What it does not say, such as that an IPv6 route's
 * lifetime has ended or a path's MTU has become known, counts after HOPS_AGE_NS at the latest. A
 * socket of its own, because a busy routing daemon fills it, and what others wait for must not be
 * lost behind that.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define HOPS_TRUST_NS (2500 * NSEC_PER_SEC / 1000) /* the daemon says so every second */
#define HOPS_AGE_NS   (10 * NSEC_PER_SEC)
#define HOPS_AT_ONCE  1024 /* messages; others wait for the next turn */

static const int groups[] = {
	RTNLGRP_LINK,         RTNLGRP_NEIGH,        RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
	RTNLGRP_IPV4_ROUTE,   RTNLGRP_IPV6_ROUTE,   RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,
	RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_NEXTHOP,
};

void generation_begin(struct dataplane *dp)
{
	struct fq_control *c = dp->control;
	uint64_t now = instant_now().ns;
	uint32_t gen;

	__atomic_store_n(&c->gen_at, now, __ATOMIC_RELEASE);
	gen = __atomic_add_fetch(&c->gen, 1, __ATOMIC_RELEASE);
	/* 0 says that there is none, and the last number belongs to the programs. */
	if (gen == UINT32_MAX || gen == 0)
		__atomic_store_n(&c->gen, 1, __ATOMIC_RELEASE);
}

/* Take in what is waiting. Return: whether there was something; negative errno. */
static int drain(int fd)
{
	int some = 0;

	for (int i = 0; i < HOPS_AT_ONCE; i++) {
		char byte;

		if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS)
			some = 1;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return some;
}

int dataplane_hops_fd(const struct dataplane *dp)
{
	return dp->hops;
}

int dataplane_hops_ready(struct dataplane *dp)
{
	int r = drain(dp->hops);

	if (r > 0)
		generation_begin(dp);
	return r < 0 ? r : 0;
}

int dataplane_hops_trust(struct dataplane *dp)
{
	uint64_t now = instant_now().ns;
	int r = dataplane_hops_ready(dp);

	if (r < 0)
		return r;
	if (now >= dp->control->gen_at + HOPS_AGE_NS)
		generation_begin(dp);
	__atomic_store_n(&dp->control->hops_until, now + HOPS_TRUST_NS, __ATOMIC_RELEASE);
	return 0;
}

int hops_open(struct dataplane *dp)
{
	int r = rtnl_open(0, &dp->hops);

	for (size_t i = 0; r == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (setsockopt(dp->hops, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			r = -errno;
	if (r < 0)
		return r;
	/* Nobody has listened until now. */
	generation_begin(dp);
	return 0;
}

void hops_close(struct dataplane *dp)
{
	if (dp->hops >= 0)
		__atomic_store_n(&dp->control->hops_until, 0, __ATOMIC_RELEASE);
	close_fds(&dp->hops, 1);
}
