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
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "dataplane/internal.h"

#define GRO_IPV4_MAX_SIZE 64    /* IFLA_GRO_IPV4_MAX_SIZE, which headers before 6.3 do not have */
#define MERGED_MAX        65536 /* the kernel's default */

#define STRINGS_MAX 1024

/* Of <linux/netdev.h>, which is younger than the headers we build with. */
#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3
#define NETDEV_XDP_ACT_NDO_XMIT   4

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

/* ---- netlink, one question and one answer ---- */

struct request {
	struct nlmsghdr h;
	char rest[128];
};

struct answer {
	union {
		struct nlmsghdr h;
		char bytes[16384];
	};
};

static int ask(int protocol, struct request *req, struct answer *ret_answer)
{
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	ssize_t len;

	if (fd < 0 || send(fd, req, req->h.nlmsg_len, 0) < 0)
		return -errno;
	len = recv(fd, ret_answer->bytes, sizeof(ret_answer->bytes), 0);
	if (len < 0)
		return -errno;
	if (!NLMSG_OK(&ret_answer->h, (size_t)len))
		return -EPROTO;
	if (ret_answer->h.nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(&ret_answer->h))->error ?: -EPROTO;
	return 0;
}

static void add_attr(struct request *req, uint16_t type, const void *data, size_t len)
{
	struct rtattr *attr = (void *)((char *)req + NLMSG_ALIGN(req->h.nlmsg_len));

	attr->rta_type = type;
	attr->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	req->h.nlmsg_len = NLMSG_ALIGN(req->h.nlmsg_len) + RTA_ALIGN(attr->rta_len);
}

static const struct rtattr *find_attr(const struct answer *answer, size_t header, uint16_t type)
{
	const struct rtattr *attr = (void *)((char *)NLMSG_DATA(&answer->h) + NLMSG_ALIGN(header));
	int left = (int)(answer->h.nlmsg_len - NLMSG_SPACE(header));

	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left))
		if (attr->rta_type == type)
			return attr;
	return NULL;
}

static struct request genl_request(uint16_t family, uint8_t command)
{
	struct request req = {.h = {.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
				    .nlmsg_type = family,
				    .nlmsg_flags = NLM_F_REQUEST}};
	struct genlmsghdr *genl = NLMSG_DATA(&req.h);

	*genl = (struct genlmsghdr){.cmd = command, .version = 1};
	return req;
}

/* The netdev family's message type, the same as long as the kernel runs. */
static int netdev_family(uint16_t *ret_family)
{
	static uint16_t family;
	struct request req = genl_request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	struct answer answer;
	const struct rtattr *attr;
	int r;

	if (!family) {
		add_attr(&req, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
		r = ask(NETLINK_GENERIC, &req, &answer);
		if (r < 0)
			return r;
		attr = find_attr(&answer, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
		if (!attr)
			return -ENOENT;
		family = *(const uint16_t *)RTA_DATA(attr);
	}
	*ret_family = family;
	return 0;
}

/* What a device can do with XDP. Return: 0; -ENOENT if the kernel cannot tell (before 6.3). */
static int xdp_features(uint32_t ifindex, uint64_t *ret_features)
{
	struct request req;
	struct answer answer;
	const struct rtattr *attr;
	uint16_t family;
	int r;

	r = netdev_family(&family);
	if (r < 0)
		return r;
	req = genl_request(family, NETDEV_CMD_DEV_GET);
	add_attr(&req, NETDEV_A_DEV_IFINDEX, &ifindex, sizeof(ifindex));
	r = ask(NETLINK_GENERIC, &req, &answer);
	if (r < 0)
		return r;
	attr = find_attr(&answer, GENL_HDRLEN, NETDEV_A_DEV_XDP_FEATURES);
	if (!attr || RTA_PAYLOAD(attr) < sizeof(*ret_features))
		return -ENOENT;
	memcpy(ret_features, RTA_DATA(attr), sizeof(*ret_features));
	return 0;
}

/* ---- ethtool ---- */

static int ethtool(const char *ifname, void *command)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_data = command};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	return fd < 0 || ioctl(fd, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

static bool ethtool_flag(const char *ifname, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ethtool(ifname, &value) == 0 && value.data;
}

/* @bit: ETH_FLAG_* */
static bool ethtool_bit(const char *ifname, uint32_t bit)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};

	return ethtool(ifname, &value) == 0 && (value.data & bit);
}

bool is_veth(const char *ifname)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	return ethtool(ifname, &info) == 0 && strcmp(info.driver, "veth") == 0;
}

static bool counts_loss(const char *name)
{
	/* rx_queue_N_xdp_drops are the program's own verdicts. */
	return strstr(name, "xdp_xmit_errors") ||
	       (strstr(name, "rx_queue") && strstr(name, "_drops") && !strstr(name, "xdp_drops"));
}

/* Frames lost in redirection, as far as the driver counts them. */
static uint64_t redirect_losses(const char *ifname)
{
	union {
		struct ethtool_sset_info info;
		char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} sset = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_STATS}};
	uint32_t count;
	_cleanup_(freep) struct ethtool_gstrings *names = NULL;
	_cleanup_(freep) struct ethtool_stats *stats = NULL;
	uint64_t sum = 0;

	if (ethtool(ifname, &sset) < 0)
		return 0;
	memcpy(&count, sset.room + sizeof(sset.info), sizeof(count));
	if (count > STRINGS_MAX)
		return 0;
	names = calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	stats = calloc(1, sizeof(*stats) + (size_t)count * sizeof(uint64_t));
	if (!names || !stats)
		return 0;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = count;
	stats->cmd = ETHTOOL_GSTATS;
	stats->n_stats = count;
	if (ethtool(ifname, names) < 0 || ethtool(ifname, stats) < 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		char name[ETH_GSTRING_LEN + 1] = {0};

		memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
		if (counts_loss(name))
			sum += stats->data[i];
	}
	return sum;
}

/* ---- veth ---- */

static int ask_link(uint32_t ifindex, struct answer *ret_answer)
{
	struct request req = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
				    .nlmsg_type = RTM_GETLINK,
				    .nlmsg_flags = NLM_F_REQUEST}};
	struct ifinfomsg *msg = NLMSG_DATA(&req.h);

	msg->ifi_index = (int)ifindex;
	return ask(NETLINK_ROUTE, &req, ret_answer);
}

/* Index of the peer. *@ret_here: it is in this namespace. */
static int veth_peer(uint32_t ifindex, uint32_t *ret_peer, bool *ret_here)
{
	const struct rtattr *peer;
	struct answer answer;
	int r;

	r = ask_link(ifindex, &answer);
	if (r < 0)
		return r;
	peer = find_attr(&answer, sizeof(struct ifinfomsg), IFLA_LINK);
	if (!peer)
		return -ENOENT;
	memcpy(ret_peer, RTA_DATA(peer), sizeof(*ret_peer));
	*ret_here = !find_attr(&answer, sizeof(struct ifinfomsg), IFLA_LINK_NETNSID);
	return 0;
}

static bool peer_polls(uint32_t peer)
{
	struct xdp_state state;
	char name[IF_NAMESIZE];

	if (xdp_state_get(peer, &state) == 0 && state.native_id)
		return true;
	return if_indextoname(peer, name) && ethtool_flag(name, ETHTOOL_GGRO);
}

#define PEER_REMEDY                                                                                \
	"its peer has no NAPI (at the peer, while it is up: ethtool -K PEER gro on; if it is on: " \
	"off and on); %llu lost so far"

static void warn_lost(struct warn *w, const char *ifname)
{
	warn(w, "frames redirected to %s are lost: " PEER_REMEDY, ifname,
	     (unsigned long long)redirect_losses(ifname));
}

/* The device says so itself: map tx is without it from the next change of an interface on. */
static void warn_slow(struct warn *w, const char *ifname)
{
	warn(w, "frames to %s take the slow way through the daemon: " PEER_REMEDY, ifname,
	     (unsigned long long)redirect_losses(ifname));
}

static void warn_veth(struct warn *w, uint32_t ifindex, const char *ifname)
{
	uint32_t peer;
	uint64_t lost;
	bool here;

	if (veth_peer(ifindex, &peer, &here) < 0)
		return;
	lost = redirect_losses(ifname);
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

	if (xdp_features(ifindex, &features) == 0)
		return features & NETDEV_XDP_ACT_NDO_XMIT;
	if (!if_indextoname(ifindex, ifname))
		return false;
	return is_veth(ifname) || (xdp_state_get(ifindex, &state) == 0 && state.native_id);
}

static void warn_redirect(struct warn *w, uint32_t ifindex, const char *ifname)
{
	uint64_t features;
	bool veth = is_veth(ifname);

	if (xdp_features(ifindex, &features) < 0) {
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
		return ethtool_bit(ifname, ETH_FLAG_RXVLAN);
	return veth_peer(ifindex, &peer, &here) < 0 || !here || !if_indextoname(peer, peer_name) ||
	       ethtool_bit(peer_name, ETH_FLAG_TXVLAN);
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
	if (ethtool_flag(ifname, ETHTOOL_GGRO))
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
static uint32_t merged_max(const struct answer *link, uint16_t attr)
{
	const struct rtattr *size = find_attr(link, sizeof(struct ifinfomsg), attr);
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
	struct answer link;

	if (ask_link(ifindex, &link) < 0)
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
