/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel says of an interface, see device.h. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "dataplane/device.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define STRINGS_MAX 1024

/* Of <linux/netdev.h>, which is younger than the headers we build with. */
#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3

/* ---- netlink, one question and one answer ---- */

struct request {
	struct nlmsghdr h;
	char rest[128];
};

static int ask(int protocol, struct request *req, struct device_answer *ret_answer)
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

static const struct rtattr *find_attr(const struct device_answer *answer, size_t header,
				      uint16_t type)
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
	struct device_answer answer;
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

int device_xdp_features(uint32_t ifindex, uint64_t *ret_features)
{
	struct request req;
	struct device_answer answer;
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

int device_link(uint32_t ifindex, struct device_answer *ret_answer)
{
	struct request req = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
				    .nlmsg_type = RTM_GETLINK,
				    .nlmsg_flags = NLM_F_REQUEST}};
	struct ifinfomsg *msg = NLMSG_DATA(&req.h);

	msg->ifi_index = (int)ifindex;
	return ask(NETLINK_ROUTE, &req, ret_answer);
}

const struct rtattr *device_link_attr(const struct device_answer *link, uint16_t type)
{
	return find_attr(link, sizeof(struct ifinfomsg), type);
}

/* ---- ethtool ---- */

static int ethtool(const char *ifname, void *command)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_data = command};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	return fd < 0 || ioctl(fd, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

bool device_flag(const char *ifname, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ethtool(ifname, &value) == 0 && value.data;
}

bool device_offload(const char *ifname, uint32_t bit)
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

uint64_t device_losses(const char *ifname)
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
