/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Map tx: the interfaces to which native XDP may redirect. The program sends to all others by the
 * slow way (FQ_UPCALL_SLOW); a frame redirected to one of those would be lost without a trace. In
 * the place of a VLAN device stands the interface below it: the program writes the tag.
 *
 * A change that only the peer of a veth sees (its GRO switched) is told to nobody here: the daemon
 * looks now and then (dataplane_redirect_refresh).
 */
#include <errno.h>
#include <net/if.h>

#include "dataplane/internal.h"
#include "dataplane/net.h"

static int redirect_set(int tx_fd, int vlans_fd, uint32_t ifindex)
{
	uint32_t vid, to = vlan_lower(vlans_fd, ifindex, &vid) ?: ifindex;

	/* The index, and nothing for "no program". */
	if (redirect_possible(to))
		return bpf_map_update_elem(tx_fd, &ifindex, &to, BPF_ANY) < 0 ? -errno : 0;
	(void)bpf_map_delete_elem(tx_fd, &ifindex);
	return 0;
}

int redirect_refresh(int tx_fd, int vlans_fd)
{
	struct if_nameindex *list = if_nameindex();
	int r = 0;

	if (!list)
		return -errno;
	/* What is gone from the namespace, the kernel (VLAN devices: vlan.c) has removed itself. */
	for (const struct if_nameindex *i = list; i->if_index && r == 0; i++) {
		r = redirect_set(tx_fd, vlans_fd, i->if_index);
		/* No room, or gone just now: it takes the slow way. */
		if (r == -E2BIG || r == -EINVAL || r == -ENODEV)
			r = 0;
	}
	if_freenameindex(list);
	return r;
}

int dataplane_redirect_refresh(struct dataplane *dp)
{
	return redirect_refresh(dp->maps[M_TX], dp->maps[M_VLANS]);
}
