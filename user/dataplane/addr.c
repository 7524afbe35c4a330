/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces of the namespace, kept in map devs: the MAC address of each, whether its packets have
 * an Ethernet header, and (a route may lead out by any) its primary global IPv4 address and its
 * preferred global IPv6 address, by which is masqueraded. Sessions that use an address which has
 * left the namespace are removed: no reply can come any more, and as long as the client sends they
 * would not end.
 *
 * Listens to rtnetlink. What a message says is not believed, only that something has changed:
 * then everything is read again as a whole, once for all messages that were waiting. After a loss
 * of messages (ENOBUFS) every interface is reported as it is.
 *
 * RFC 6724 rules 3, 7 and 8 in spirit: not deprecated, not temporary; and no address whose
 * duplicate detection (RFC 4862 5.4) is not over.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define DEVS_MAX   1024 /* as the map has */
#define DUMP_TRIES 3

struct dev {
	uint32_t ifindex;
	struct fq_dev value;
};

struct devs {
	struct dev dev[DEVS_MAX];
	unsigned int count;
	struct fq_addr *local; /* every address of the namespace, sorted when complete */
	size_t locals, local_room;
};

static void devs_free(struct devs *devs)
{
	if (devs)
		free(devs->local);
	free(devs);
}

DEFINE_CLEANUP(struct devs *, devs_free)

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

static struct fq_addr address_addr(const struct address *a)
{
	return a->family == AF_INET ? ipaddr_from_v4(a->local) : ipaddr_from_v6(a->local);
}

static bool address_read(const struct nlmsghdr *h, struct address *ret_address)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	struct address a = {.family = msg->ifa_family, .flags = msg->ifa_flags};
	size_t want = msg->ifa_family == AF_INET ? 4 : 16;
	const void *peer = NULL;
	int left = (int)IFA_PAYLOAD(h);

	if (msg->ifa_family != AF_INET && msg->ifa_family != AF_INET6)
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
			dev->value.nat4 = address_addr(a);
		return;
	}
	addr = address_addr(a);
	if (ipaddr_is_zero(&dev->value.nat6) ||
	    (is_unique_local(&dev->value.nat6) && !is_unique_local(&addr)))
		dev->value.nat6 = addr;
}

static int devs_add_local(struct devs *devs, const struct address *a)
{
	if (devs->locals == devs->local_room) {
		size_t room = devs->local_room ? 2 * devs->local_room : 64;
		struct fq_addr *local = reallocarray(devs->local, room, sizeof(*local));

		if (!local)
			return -ENOMEM;
		devs->local = local;
		devs->local_room = room;
	}
	devs->local[devs->locals++] = address_addr(a);
	return 0;
}

/* ---- what is there ---- */

static int take_address(void *ctx, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	struct address a;

	if (h->nlmsg_type != RTM_NEWADDR || !address_read(h, &a))
		return 0;
	if (msg->ifa_scope == RT_SCOPE_UNIVERSE)
		devs_add(ctx, msg->ifa_index, &a);
	return devs_add_local(ctx, &a);
}

static int take_link(void *ctx, const struct nlmsghdr *h)
{
	const struct ifinfomsg *msg = NLMSG_DATA(h);
	int left = (int)IFLA_PAYLOAD(h);
	struct dev *dev;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	dev = devs_get(ctx, (uint32_t)msg->ifi_index);
	if (dev)
		dev->value.bare = hook_type_bare(msg->ifi_type);
	for (const struct rtattr *attr = IFLA_RTA(msg); dev && RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left))
		if (attr->rta_type == IFLA_ADDRESS && msg->ifi_type == ARPHRD_ETHER &&
		    RTA_PAYLOAD(attr) == sizeof(dev->value.mac))
			memcpy(dev->value.mac, RTA_DATA(attr), sizeof(dev->value.mac));
		else if (attr->rta_type == IFLA_MTU && RTA_PAYLOAD(attr) == sizeof(dev->value.mtu))
			memcpy(&dev->value.mtu, RTA_DATA(attr), sizeof(dev->value.mtu));
	return 0;
}

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fq_addr));
}

/* Return: 0; -EINTR: something changed meanwhile, and will be reported. */
static int devs_read(struct devs **ret_devs)
{
	_cleanup_(devs_freep) struct devs *devs = calloc(1, sizeof(*devs));
	int r;

	if (!devs)
		return -ENOMEM;
	/* Interfaces with an address first, should there be too many. */
	r = rtnl_dump(RTM_GETADDR, take_address, devs);
	if (r == 0)
		r = rtnl_dump(RTM_GETLINK, take_link, devs);
	if (r < 0)
		return r;
	if (devs->locals)
		qsort(devs->local, devs->locals, sizeof(*devs->local), compare_addr);
	*ret_devs = TAKE_PTR(devs);
	return 0;
}

/* ---- map ---- */

struct update {
	const struct dataplane *dp;
	const struct devs *devs;
	struct fq_addr gone[2 * DEVS_MAX]; /* masquerade addresses that have left the namespace */
	size_t gones;
};

static bool is_local(const struct devs *devs, const struct fq_addr *addr)
{
	return devs->locals &&
	       bsearch(addr, devs->local, devs->locals, sizeof(*addr), compare_addr);
}

static void note_gone(struct update *u, const struct fq_addr *was)
{
	if (!ipaddr_is_zero(was) && !is_local(u->devs, was) && u->gones < 2 * DEVS_MAX)
		u->gone[u->gones++] = *was;
}

/* What the map says until now: compared, and removed if the interface is gone. */
static int compare_one(void *ctx, const void *key, const void *value)
{
	const struct fq_dev *was = value;
	struct update *u = ctx;
	uint32_t ifindex = *(const uint32_t *)key;

	note_gone(u, &was->nat4);
	note_gone(u, &was->nat6);
	for (unsigned int i = 0; i < u->devs->count; i++)
		if (u->devs->dev[i].ifindex == ifindex)
			return 0;
	(void)bpf_map_delete_elem(u->dp->maps[M_DEVS], key);
	return 0;
}

static int write_devs(struct dataplane *dp, const struct devs *devs)
{
	for (unsigned int i = 0; i < devs->count; i++)
		if (bpf_map_update_elem(dp->maps[M_DEVS], &devs->dev[i].ifindex,
					&devs->dev[i].value, BPF_ANY) < 0)
			return -errno;
	return 0;
}

/* Given addresses need not be this host's at all. */
static void flush_gone(struct dataplane *dp, struct update *u)
{
	struct dp_match match = {.nat = u->gone, .nats = u->gones};

	if (!u->gones || dp->settings.program.masquerade != FQ_MASQ_AUTO)
		return;
	qsort(u->gone, u->gones, sizeof(*u->gone), compare_addr);
	dataplane_flush(dp, &match, instant_now());
}

static int refresh_devs(struct dataplane *dp)
{
	_cleanup_(freep) struct update *u = calloc(1, sizeof(*u));
	_cleanup_(devs_freep) struct devs *devs = NULL;
	int r = -EINTR;

	if (!u)
		return -ENOMEM;
	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++)
		r = devs_read(&devs);
	if (r < 0)
		return r;
	u->dp = dp;
	u->devs = devs;
	r = map_walk(M_DEVS, dp->maps[M_DEVS], compare_one, u);
	/* First the new addresses, so that no session is opened with the old ones any more. */
	if (r == 0)
		r = write_devs(dp, devs);
	if (r == 0)
		flush_gone(dp, u);
	return r;
}

/* A link whose interface is gone; its index may be given to another. */
static int remove_dead(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	const struct dataplane *dp = ctx;
	uint32_t alive = 0, prog_id;

	if (link_info(fd, &alive, &prog_id) == 0 && !alive) {
		(void)unlink(path);
		bpffs_note_set(dp->bpffs, ifindex, NULL);
	}
	return 0;
}

static int refresh_links(struct dataplane *dp)
{
	int r = bpffs_links(dp->bpffs, remove_dead, dp);

	if (r == 0)
		r = vlan_refresh(dp);
	return r < 0 ? r : redirect_refresh(dp->maps[M_TX], dp->maps[M_VLANS]);
}

static int refresh(struct dataplane *dp)
{
	int r;

	if (dp->links_dirty) {
		r = refresh_links(dp);
		/* What interrupts is a change that is reported, so this is done again soon. */
		if (r < 0)
			return r == -EINTR ? 0 : r;
		dp->links_dirty = false;
	}
	if (dp->netlink_dirty) {
		r = refresh_devs(dp);
		if (r < 0)
			return r == -EINTR ? 0 : r;
		dp->netlink_dirty = false;
		/* To which MAC address frames come is part of what is remembered. */
		generation_begin(dp);
	}
	return 0;
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
		if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK) {
			dp->links_dirty = true;
			report_link(h, cb, ctx);
		}
	}
}

struct report {
	dp_link_fn cb;
	void *ctx;
};

static int report_dumped(void *ctx, const struct nlmsghdr *h)
{
	const struct report *report = ctx;

	if (h->nlmsg_type == RTM_NEWLINK)
		report_link(h, report->cb, report->ctx);
	return 0;
}

/* Messages have been lost: every interface as it is. */
static int report_all(struct dataplane *dp, dp_link_fn cb, void *ctx)
{
	struct report report = {.cb = cb, .ctx = ctx};
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++)
		r = rtnl_dump(RTM_GETLINK, report_dumped, &report);
	if (r == 0)
		dp->netlink_lost = false;
	return r == -EINTR ? 0 : r;
}

int dataplane_netlink_fd(const struct dataplane *dp)
{
	return dp->netlink;
}

int dataplane_netlink_ready(struct dataplane *dp, dp_link_fn cb, void *ctx)
{
	_cleanup_(freep) char *buffer = malloc(RTNL_BUFFER);
	int r;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		ssize_t len = recv(dp->netlink, buffer, RTNL_BUFFER, MSG_DONTWAIT);

		if (len >= 0) {
			read_changes(dp, buffer, (int)len, cb, ctx);
			continue;
		}
		if (errno == ENOBUFS) {
			dp->netlink_dirty = dp->links_dirty = dp->netlink_lost = true;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		break;
	}
	if (dp->netlink_lost) {
		r = report_all(dp, cb, ctx);
		if (r < 0)
			return r;
	}
	return refresh(dp);
}

int addr_open(struct dataplane *dp)
{
	int r = rtnl_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, &dp->netlink);

	dp->netlink_dirty = dp->links_dirty = true;
	return r < 0 ? r : refresh(dp);
}
