/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says of an interface, by netlink and by ethtool: one question, one answer.
 * Changes nothing. Called by warn.c.
 */
#pragma once

#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>

#define NETDEV_XDP_ACT_NDO_XMIT 4 /* takes redirected frames; <linux/netdev.h> of 6.3 */

struct device_answer {
	union {
		struct nlmsghdr h;
		char bytes[16384];
	};
};

/* RTM_GETLINK. Return: 0; negative errno, the kernel's too. */
int device_link(uint32_t ifindex, struct device_answer *ret_link);

/* An attribute of it (IFLA_*); NULL: it has none. Lives as long as @link. */
const struct rtattr *device_link_attr(const struct device_answer *link, uint16_t type);

/* NETDEV_XDP_ACT_*. Return: 0; -ENOENT if the kernel cannot tell (before 6.3). */
int device_xdp_features(uint32_t ifindex, uint64_t *ret_features);

/* @command: ETHTOOL_G* of a setting that is on or off; what cannot be asked is off */
bool device_flag(const char *ifname, uint32_t command);

/* @bit: ETH_FLAG_*; what cannot be asked is off */
bool device_offload(const char *ifname, uint32_t bit);

/* Frames lost in redirection, as far as the driver counts them. */
uint64_t device_losses(const char *ifname);
