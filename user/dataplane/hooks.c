/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which hook is right for an interface (mode auto).
 *
 * Native XDP is the fastest for packets of a network card. tc is the only one for packets without
 * an Ethernet header, keeps the offloads of virtual interfaces (checksums, segments of 64 KB), and
 * sends to any interface. Generic XDP does nothing that tc does not do better.
 */
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

bool hook_type_bare(unsigned int type)
{
	switch (type) {
	case ARPHRD_NONE: /* TUN, WireGuard */
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
		return true;
	default:
		return false;
	}
}

/* ARPHRD_*; ARPHRD_VOID: no such interface. */
static unsigned int link_type(uint32_t ifindex)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};

	if (fd < 0 || !if_indextoname(ifindex, req.ifr_name) || ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		return ARPHRD_VOID;
	return req.ifr_hwaddr.sa_family;
}

bool hook_ethernet(uint32_t ifindex)
{
	return link_type(ifindex) == ARPHRD_ETHER;
}

bool dataplane_bare(const char *ifname)
{
	return hook_type_bare(link_type(if_nametoindex(ifname)));
}

static int find_bare(char *name, uint32_t ifindex)
{
	return hook_type_bare(link_type(ifindex)) && if_indextoname(ifindex, name);
}

static int bare_link(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	uint32_t alive, prog_id;

	(void)path;
	return link_info(fd, &alive, &prog_id) == 0 && alive && find_bare(ctx, ifindex);
}

static int bare_filter(void *ctx, uint32_t ifindex, uint32_t prog_id)
{
	(void)prog_id;
	return find_bare(ctx, ifindex);
}

bool hook_any_bare(const struct dataplane *dp, char ret_name[IF_NAMESIZE])
{
	return bpffs_links(dp->bpffs, bare_link, ret_name) > 0 ||
	       clsact_each(map_id(dp->maps[M_SESSIONS]), bare_filter, ret_name) > 0;
}

enum dp_mode hook_choose(const struct dataplane *dp, uint32_t ifindex, const char *ifname,
			 char *ret_why)
{
	char bare[IF_NAMESIZE];

	if (!hook_ethernet(ifindex))
		snprintf(ret_why, DP_NOTE_MAX, "no Ethernet header");
	else if (is_veth(ifname))
		snprintf(ret_why, DP_NOTE_MAX, "veth: offloads are kept");
	else if (vlan_above(ifindex) && vlan_tags_hidden(ifindex, ifname))
		snprintf(ret_why, DP_NOTE_MAX,
			 "VLAN tags are taken off before native XDP sees them (ethtool -K %s "
			 "rx-vlan-offload off)",
			 ifname);
	else if (hook_any_bare(dp, bare))
		snprintf(ret_why, DP_NOTE_MAX, "native XDP cannot send to %s (no Ethernet header)",
			 bare);
	else
		return DP_MODE_NATIVE;
	return DP_MODE_TC;
}
