/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Masquerade addresses: for every interface of the namespace (a route may lead out by any)
 * its primary global IPv4 address and its preferred global IPv6 address, kept in map devs.
 *
 * Listens to rtnetlink. What a message says is not believed, only that something has changed:
 * then the addresses are read again as a whole, once for all messages that were waiting. A lost
 * message (ENOBUFS) is thus nothing special.
 *
 * RFC 6724 rules 3, 7 and 8 in spirit: not deprecated, not temporary; and no address whose
 * duplicate detection (RFC 4862 5.4) is not over.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/internal.h"

#define NETLINK_BUFFER 32768
#define DEVS_MAX       1024 /* as the map has */

struct dev {
	uint32_t ifindex;
	struct fq_dev value;
};

struct devs {
	struct dev dev[DEVS_MAX];
	unsigned int count;
};

static int netlink_open(unsigned int groups, int *ret_fd)
{
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = groups};

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- addresses ---- */

static struct dev *devs_get(struct devs *devs, uint32_t ifindex)
{
	for (unsigned int i = 0; i < devs->count; i++)
		if (devs->dev[i].ifindex == ifindex)
			return &devs->dev[i];
	if (devs->count == DEVS_MAX)
		return NULL;
	devs->dev[devs->count] = (struct dev){.ifindex = ifindex};
	return &devs->dev[devs->count++];
}

struct address {
	uint8_t family;
	uint32_t flags;
	const void *local; /* 4 or 16 bytes */
};

static bool address_read(const struct nlmsghdr *h, struct address *ret_address)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	struct address a = {.family = msg->ifa_family, .flags = msg->ifa_flags};
	size_t want = msg->ifa_family == AF_INET ? 4 : 16;
	const void *peer = NULL;
	int left = (int)IFA_PAYLOAD(h);

	if (msg->ifa_scope != RT_SCOPE_UNIVERSE ||
	    (msg->ifa_family != AF_INET && msg->ifa_family != AF_INET6))
		return false;
	for (const struct rtattr *attr = IFA_RTA(msg); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		if (attr->rta_type == IFA_FLAGS && RTA_PAYLOAD(attr) == 4)
			memcpy(&a.flags, RTA_DATA(attr), 4);
		else if (attr->rta_type == IFA_LOCAL && RTA_PAYLOAD(attr) == want)
			a.local = RTA_DATA(attr);
		else if (attr->rta_type == IFA_ADDRESS && RTA_PAYLOAD(attr) == want)
			peer = RTA_DATA(attr);
	}
	/* IFA_LOCAL is absent where IFA_ADDRESS is no peer's: IPv6. */
	if (!a.local)
		a.local = peer;
	*ret_address = a;
	return a.local;
}

/* fc00::/7 (RFC 4193): good where there is nothing better. */
static bool is_unique_local(const struct fq_addr *a)
{
	return (a->b[0] & 0xfe) == 0xfc;
}

static void devs_add(struct devs *devs, uint32_t ifindex, const struct address *a)
{
	/* In IPv6 the bit of IFA_F_SECONDARY says temporary (RFC 8981). */
	const uint32_t unfit4 = IFA_F_SECONDARY;
	const uint32_t unfit6 =
		IFA_F_TEMPORARY | IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
	struct fq_addr addr;
	struct dev *dev;

	if (a->flags & (a->family == AF_INET ? unfit4 : unfit6))
		return;
	dev = devs_get(devs, ifindex);
	if (!dev)
		return;
	if (a->family == AF_INET) {
		if (ipaddr_is_zero(&dev->value.nat4))
			dev->value.nat4 = ipaddr_from_v4(a->local);
		return;
	}
	addr = ipaddr_from_v6(a->local);
	if (ipaddr_is_zero(&dev->value.nat6) ||
	    (is_unique_local(&dev->value.nat6) && !is_unique_local(&addr)))
		dev->value.nat6 = addr;
}

/* One datagram of a dump. *@ret_done: it was the last. */
static int dump_part(const char *buffer, int len, struct devs *devs, bool *ret_done)
{
	for (const struct nlmsghdr *h = (const struct nlmsghdr *)buffer;
	     NLMSG_OK(h, (unsigned int)len); h = NLMSG_NEXT(h, len)) {
		const struct ifaddrmsg *msg = NLMSG_DATA(h);
		struct address a;

		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error ?: -EPROTO;
		if (h->nlmsg_type == NLMSG_DONE)
			*ret_done = true;
		else if (h->nlmsg_type == RTM_NEWADDR && address_read(h, &a))
			devs_add(devs, msg->ifa_index, &a);
	}
	return 0;
}

static int dump_addresses(struct devs *devs)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg msg;
	} request = {
		.h = {.nlmsg_len = sizeof(request),
		      .nlmsg_type = RTM_GETADDR,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.msg = {.ifa_family = AF_UNSPEC},
	};
	_cleanup_(freep) char *buffer = malloc(NETLINK_BUFFER);
	_cleanup_(closep) int fd = -1;
	bool done = false;
	int r;

	if (!buffer)
		return -ENOMEM;
	r = netlink_open(0, &fd);
	if (r == 0 && send(fd, &request, sizeof(request), 0) < 0)
		r = -errno;
	while (r == 0 && !done) {
		ssize_t len = recv(fd, buffer, NETLINK_BUFFER, 0);

		r = len < 0 ? -errno : dump_part(buffer, (int)len, devs, &done);
	}
	return r;
}

/* ---- map ---- */

struct prune {
	const struct dataplane *dp;
	const struct devs *devs;
};

static int prune_one(void *ctx, const void *key, const void *value)
{
	const struct prune *prune = ctx;
	uint32_t ifindex = *(const uint32_t *)key;

	(void)value;
	for (unsigned int i = 0; i < prune->devs->count; i++)
		if (prune->devs->dev[i].ifindex == ifindex)
			return 0;
	(void)bpf_map_delete_elem(prune->dp->maps[M_DEVS], key);
	return 0;
}

static int refresh(struct dataplane *dp)
{
	_cleanup_(freep) struct devs *devs = calloc(1, sizeof(*devs));
	struct prune prune = {.dp = dp, .devs = devs};
	int r;

	if (!devs)
		return -ENOMEM;
	r = dump_addresses(devs);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < devs->count; i++)
		if (bpf_map_update_elem(dp->maps[M_DEVS], &devs->dev[i].ifindex,
					&devs->dev[i].value, BPF_ANY) < 0)
			return -errno;
	return map_walk(M_DEVS, dp->maps[M_DEVS], prune_one, &prune);
}

/* ---- changes ---- */

static void report_link(const struct nlmsghdr *h, dp_link_fn cb, void *ctx)
{
	const struct ifinfomsg *msg = NLMSG_DATA(h);
	const char *name = "";
	int left = (int)IFLA_PAYLOAD(h);
	enum dp_link_event event;

	for (const struct rtattr *attr = IFLA_RTA(msg); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left))
		if (attr->rta_type == IFLA_IFNAME)
			name = RTA_DATA(attr);
	if (h->nlmsg_type == RTM_DELLINK)
		event = DP_LINK_GONE;
	else
		event = msg->ifi_flags & IFF_UP ? DP_LINK_UP : DP_LINK_DOWN;
	if (cb && msg->ifi_family == AF_UNSPEC)
		cb(ctx, event, (uint32_t)msg->ifi_index, name);
}

/* One datagram of changes. */
static void read_changes(struct dataplane *dp, const char *buffer, int len, dp_link_fn cb,
			 void *ctx)
{
	for (const struct nlmsghdr *h = (const struct nlmsghdr *)buffer;
	     NLMSG_OK(h, (unsigned int)len); h = NLMSG_NEXT(h, len)) {
		dp->netlink_dirty = true;
		if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
			report_link(h, cb, ctx);
	}
}

int dataplane_netlink_fd(const struct dataplane *dp)
{
	return dp->netlink;
}

int dataplane_netlink_ready(struct dataplane *dp, dp_link_fn cb, void *ctx)
{
	_cleanup_(freep) char *buffer = malloc(NETLINK_BUFFER);
	int r;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		ssize_t len = recv(dp->netlink, buffer, NETLINK_BUFFER, MSG_DONTWAIT);

		if (len >= 0) {
			read_changes(dp, buffer, (int)len, cb, ctx);
			continue;
		}
		if (errno == ENOBUFS) {
			dp->netlink_dirty = true;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		break;
	}
	if (!dp->netlink_dirty)
		return 0;
	r = refresh(dp);
	if (r == 0)
		dp->netlink_dirty = false;
	return r;
}

int addr_open(struct dataplane *dp)
{
	int r = netlink_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, &dp->netlink);

	return r < 0 ? r : refresh(dp);
}
