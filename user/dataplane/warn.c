/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is likely to go wrong on an interface, found out by asking the kernel. Changes nothing.
 *
 * Frames redirected to a veth would be lost without a trace unless its peer polls (NAPI), which it
 * does with an XDP program or with GRO on. Since Linux 6.3 the device itself says whether it can
 * take redirected frames (netdev netlink family); it is right even where the peer's setting is not:
 * GRO that was switched on while the peer was down has not reached the device. Before, the peer is
 * asked if it is in sight, else counters of lost frames have to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/device.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define GRO_IPV4_MAX_SIZE 64    /* IFLA_GRO_IPV4_MAX_SIZE, which headers before 6.3 do not have */
#define MERGED_MAX        65536 /* the kernel's default */

struct warn {
	dp_warning_fn cb;
	void *ctx;
	int count;
};

static void __attribute__((format(printf, 2, 3))) warn(struct warn *w, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	w->cb(w->ctx, text);
	w->count++;
}

/* ---- veth ---- */

/* Index of the peer. *@ret_here: it is in this namespace. */
static int veth_peer(uint32_t ifindex, uint32_t *ret_peer, bool *ret_here)
{
	const struct rtattr *peer;
	struct device_answer answer;
	int r;

	r = device_link(ifindex, &answer);
	if (r < 0)
		return r;
	peer = device_link_attr(&answer, IFLA_LINK);
	if (!peer)
		return -ENOENT;
	memcpy(ret_peer, RTA_DATA(peer), sizeof(*ret_peer));
	*ret_here = !device_link_attr(&answer, IFLA_LINK_NETNSID);
	return 0;
}

static bool peer_polls(uint32_t peer)
{
	struct xdp_state state;
	char name[IF_NAMESIZE];

	if (xdp_state_get(peer, &state) == 0 && state.native_id)
		return true;
	return if_indextoname(peer, name) && device_flag(name, ETHTOOL_GGRO);
}

#define PEER_REMEDY                                                                                \
	"its peer has no NAPI (at the peer, while it is up: ethtool -K PEER gro on; if it is on: " \
	"off and on); %llu lost so far"

static void warn_lost(struct warn *w, const char *ifname)
{
	warn(w, "frames redirected to %s are lost: " PEER_REMEDY, ifname,
	     (unsigned long long)device_losses(ifname));
}

/* The device says so itself: map tx is without it from the next change of an interface on. */
static void warn_slow(struct warn *w, const char *ifname)
{
	warn(w, "frames to %s take the slow way through the daemon: " PEER_REMEDY, ifname,
	     (unsigned long long)device_losses(ifname));
}

static void warn_veth(struct warn *w, uint32_t ifindex, const char *ifname)
{
	uint32_t peer;
	uint64_t lost;
	bool here;

	if (veth_peer(ifindex, &peer, &here) < 0)
		return;
	lost = device_losses(ifname);
	if (here && !peer_polls(peer))
		warn_lost(w, ifname);
	else if (!here && lost)
		warn(w,
		     "%s: peer is in another namespace and cannot be asked; %llu redirected frames "
		     "lost so far (at the peer: ethtool -K PEER gro on)",
		     ifname, (unsigned long long)lost);
}

bool redirect_possible(uint32_t ifindex)
{
	struct xdp_state state;
	char ifname[IF_NAMESIZE];
	uint64_t features;

	if (device_xdp_features(ifindex, &features) == 0)
		return features & NETDEV_XDP_ACT_NDO_XMIT;
	if (!if_indextoname(ifindex, ifname))
		return false;
	return is_veth(ifname) || (xdp_state_get(ifindex, &state) == 0 && state.native_id);
}

static void warn_redirect(struct warn *w, uint32_t ifindex, const char *ifname)
{
	uint64_t features;
	bool veth = is_veth(ifname);

	if (device_xdp_features(ifindex, &features) < 0) {
		if (veth)
			warn_veth(w, ifindex, ifname);
		return;
	}
	if (features & NETDEV_XDP_ACT_NDO_XMIT)
		return;
	if (veth)
		warn_slow(w, ifname);
	else
		warn(w,
		     "frames to %s take the slow way through the daemon: its driver cannot send "
		     "what native XDP redirects",
		     ifname);
}

/* ---- VLAN tags ---- */

/*
 * A veth hands over what its peer has sent: the tag stays beside the packet (skb), where XDP does
 * not see it, unless the peer writes it into the frame. A card takes it off as it receives.
 */
bool vlan_tags_hidden(uint32_t ifindex, const char *ifname)
{
	char peer_name[IF_NAMESIZE];
	uint32_t peer;
	bool here;

	if (!is_veth(ifname))
		return device_offload(ifname, ETH_FLAG_RXVLAN);
	return veth_peer(ifindex, &peer, &here) < 0 || !here || !if_indextoname(peer, peer_name) ||
	       device_offload(peer_name, ETH_FLAG_TXVLAN);
}

static void warn_vlan(struct warn *w, uint32_t ifindex, const char *ifname)
{
	if (!vlan_above(ifindex) || !vlan_tags_hidden(ifindex, ifname))
		return;
	if (is_veth(ifname))
		warn(w,
		     "%s: VLAN tags that are not in the frame are not seen, and the packets taken "
		     "for untagged ones: at the peer: ethtool -K PEER tx-vlan-offload off",
		     ifname);
	else
		warn(w,
		     "VLAN tags are taken off before XDP sees them, and the packets taken for "
		     "untagged ones: ethtool -K %s rx-vlan-offload off",
		     ifname);
}

/* ---- the rest ---- */

/* 0, 1 or (no such family or interface) -1. */
static int forwarding(const char *family, const char *ifname)
{
	_cleanup_(closep) int fd = -1;
	char path[128], text[16] = {0};

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding", family, ifname);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	return atoi(text);
}

static void warn_forwarding(struct warn *w, const char *ifname)
{
	static const char *const families[] = {"ipv4", "ipv6"};

	for (size_t i = 0; i < 2; i++)
		if (forwarding(families[i], ifname) == 0)
			warn(w, "forwarding is off: sysctl -w net.%s.conf.%s.forwarding=1",
			     families[i], ifname);
}

/* Frames larger than the MTU cannot be sent on; where they come from is the sender's TSO or our
 * GRO. */
static void warn_generic(struct warn *w, const char *ifname)
{
	if (device_flag(ifname, ETHTOOL_GGRO))
		warn(w,
		     "generic mode: GRO is on, and what it has merged is refused as too big: "
		     "ethtool -K %s gro off",
		     ifname);
	if (is_veth(ifname))
		warn(w,
		     "generic mode: segmentation offload of the peer makes frames too big: peer: "
		     "ethtool -K PEER tso off gso off");
}

/* What an interface merges at most; 0: the kernel does not say. */
static uint32_t merged_max(const struct device_answer *link, uint16_t attr)
{
	const struct rtattr *size = device_link_attr(link, attr);
	uint32_t max = 0;

	if (size)
		memcpy(&max, RTA_DATA(size), sizeof(max));
	return max;
}

/* BIG TCP: packets above 64 KB, whose headers do not say how long they are. */
static void warn_big(struct warn *w, uint32_t ifindex, const char *ifname)
{
	static const struct {
		uint16_t attr;
		const char *setting;
	} sizes[] = {{IFLA_GRO_MAX_SIZE, "gro_max_size"}, {GRO_IPV4_MAX_SIZE, "gro_ipv4_max_size"}};
	struct device_answer link;

	if (device_link(ifindex, &link) < 0)
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (merged_max(&link, sizes[i].attr) > MERGED_MAX)
			warn(w,
			     "%s merges TCP to more than 64 KB (BIG TCP), which is dropped: "
			     "ip link set %s %s %d",
			     ifname, ifname, sizes[i].setting, MERGED_MAX);
}

int dataplane_warnings(uint32_t ifindex, enum dp_mode mode, dp_warning_fn cb, void *ctx)
{
	struct warn w = {.cb = cb, .ctx = ctx};
	char ifname[IF_NAMESIZE];

	if (!if_indextoname(ifindex, ifname))
		return -ENODEV;
	/* What tc sends needs nothing of the interface, or of its peer. */
	if (mode != DP_MODE_TC)
		warn_redirect(&w, ifindex, ifname);
	warn_forwarding(&w, ifname);
	if (mode == DP_MODE_NATIVE)
		warn_vlan(&w, ifindex, ifname);
	else
		warn_big(&w, ifindex, ifname);
	if (mode == DP_MODE_GENERIC)
		warn_generic(&w, ifname);
	return w.count;
}
