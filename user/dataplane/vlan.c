/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN devices (IEEE 802.1Q), kept in map vlans, so that native XDP on the interface below handles
 * what is theirs: packets that leave by any of this namespace, packets that come in by those that
 * we are attached to and that are up. Their own program (tc) gets what XDP leaves to the kernel,
 * and everything where the interface below has no native XDP.
 *
 * Not here: devices of 802.1ad, and those whose interface below is in another namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define DUMP_TRIES 3

struct vlan {
	uint32_t ifindex, lower, vid;
	bool up, ours;
};

struct vlans {
	struct dataplane *dp;
	unsigned int count;
	struct vlan vlan[FQ_VLANS_MAX];
};

/* ---- what is there ---- */

/* Is it a VLAN device? *@ret_data: the attributes of its kind. */
static bool kind_is_vlan(const struct rtattr *info, const struct rtattr **ret_data)
{
	int left = (int)RTA_PAYLOAD(info);
	bool vlan = false;

	*ret_data = NULL;
	for (const struct rtattr *attr = RTA_DATA(info); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		if (attr->rta_type == IFLA_INFO_KIND)
			vlan = RTA_PAYLOAD(attr) == sizeof("vlan") &&
			       memcmp(RTA_DATA(attr), "vlan", sizeof("vlan")) == 0;
		else if (attr->rta_type == IFLA_INFO_DATA)
			*ret_data = attr;
	}
	return vlan && *ret_data;
}

/* The id; 0: not one of 802.1Q. */
static uint32_t vlan_id(const struct rtattr *data)
{
	int left = (int)RTA_PAYLOAD(data);
	uint16_t id = 0, protocol = htons(ETH_P_8021Q);

	for (const struct rtattr *attr = RTA_DATA(data); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		if (RTA_PAYLOAD(attr) < sizeof(uint16_t))
			continue;
		if (attr->rta_type == IFLA_VLAN_ID)
			memcpy(&id, RTA_DATA(attr), sizeof(id));
		else if (attr->rta_type == IFLA_VLAN_PROTOCOL)
			memcpy(&protocol, RTA_DATA(attr), sizeof(protocol));
	}
	return protocol == htons(ETH_P_8021Q) ? id : 0;
}

static bool vlan_read(const struct nlmsghdr *h, struct vlan *ret_vlan)
{
	const struct ifinfomsg *msg = NLMSG_DATA(h);
	struct vlan v = {.ifindex = (uint32_t)msg->ifi_index, .up = msg->ifi_flags & IFF_UP};
	const struct rtattr *data = NULL;
	int left = (int)IFLA_PAYLOAD(h);
	bool elsewhere = false, vlan = false;

	if (h->nlmsg_type != RTM_NEWLINK)
		return false;
	for (const struct rtattr *attr = IFLA_RTA(msg); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		if (attr->rta_type == IFLA_LINK && RTA_PAYLOAD(attr) == sizeof(v.lower))
			memcpy(&v.lower, RTA_DATA(attr), sizeof(v.lower));
		else if (attr->rta_type == IFLA_LINK_NETNSID)
			elsewhere = true;
		else if (attr->rta_type == IFLA_LINKINFO)
			vlan = kind_is_vlan(attr, &data);
	}
	v.vid = vlan && !elsewhere ? vlan_id(data) : 0;
	*ret_vlan = v;
	return v.vid && v.lower;
}

/* Is a program of ours attached to the interface, by whatever hook? */
static bool attached(const struct dataplane *dp, uint32_t ifindex)
{
	uint32_t sessions_id = map_id(dp->maps[M_SESSIONS]), alive, prog_id;
	_cleanup_(closep) int fd = -1;
	char path[DP_PATH_MAX];
	enum dp_mode mode;

	if (dp_path_link(path, dp->bpffs, ifindex) < 0)
		return false;
	fd = bpf_obj_get(path);
	if (fd >= 0 && link_info(fd, &alive, &prog_id) == 0 && alive == ifindex &&
	    runs_here(ifindex, prog_id))
		return true;
	return dispatch_find(ifindex, sessions_id, &mode, &prog_id) ||
	       clsact_find(ifindex, sessions_id, &prog_id);
}

static int take_link(void *ctx, const struct nlmsghdr *h)
{
	struct vlans *vlans = ctx;
	struct vlan v;

	if (!vlan_read(h, &v) || vlans->count == FQ_VLANS_MAX)
		return 0;
	v.ours = v.up && attached(vlans->dp, v.ifindex);
	vlans->vlan[vlans->count++] = v;
	return 0;
}

/* ---- map ---- */

static int entry_set(const struct dataplane *dp, struct fq_vlan_key key, struct fq_vlan value)
{
	return bpf_map_update_elem(dp->maps[M_VLANS], &key, &value, BPF_ANY) < 0 ? -errno : 0;
}

static int write_vlans(const struct vlans *vlans)
{
	int r = 0;

	for (unsigned int i = 0; i < vlans->count && r == 0; i++) {
		const struct vlan *v = &vlans->vlan[i];

		r = entry_set(vlans->dp, (struct fq_vlan_key){.ifindex = v->ifindex},
			      (struct fq_vlan){.ifindex = v->lower, .vid = v->vid});
		if (r == 0 && v->ours)
			r = entry_set(vlans->dp,
				      (struct fq_vlan_key){.ifindex = v->lower, .vid = v->vid},
				      (struct fq_vlan){.ifindex = v->ifindex});
	}
	return r;
}

static bool still_so(const struct vlans *vlans, const struct fq_vlan_key *key,
		     const struct fq_vlan *value)
{
	for (unsigned int i = 0; i < vlans->count; i++) {
		const struct vlan *v = &vlans->vlan[i];

		if (key->vid ? v->ours && v->lower == key->ifindex && v->vid == key->vid &&
				       v->ifindex == value->ifindex
			     : v->ifindex == key->ifindex)
			return true;
	}
	return false;
}

/* First from the map tx, so that nothing is redirected of which nobody knows the tag. */
static int remove_gone(void *ctx, const void *key, const void *value)
{
	const struct fq_vlan_key *k = key;
	const struct vlans *vlans = ctx;

	if (still_so(vlans, k, value))
		return 0;
	if (!k->vid)
		(void)bpf_map_delete_elem(vlans->dp->maps[M_TX], &k->ifindex);
	(void)bpf_map_delete_elem(vlans->dp->maps[M_VLANS], key);
	return 0;
}

int vlan_refresh(struct dataplane *dp)
{
	_cleanup_(freep) struct vlans *vlans = calloc(1, sizeof(*vlans));
	int r = -EINTR;

	if (!vlans)
		return -ENOMEM;
	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		*vlans = (struct vlans){.dp = dp};
		r = rtnl_dump(RTM_GETLINK, take_link, vlans);
	}
	if (r < 0)
		return r;
	r = write_vlans(vlans);
	if (r == 0)
		r = map_walk(M_VLANS, dp->maps[M_VLANS], remove_gone, vlans);
	/* Known before frames are sent to one: the map tx comes after this. */
	__atomic_store_n(&dp->control->vlans, vlans->count, __ATOMIC_RELEASE);
	return r;
}

struct forget {
	int vlans_fd;
	uint32_t ifindex;
};

static int forget_one(void *ctx, const void *key, const void *value)
{
	const struct forget *forget = ctx;
	const struct fq_vlan_key *k = key;
	const struct fq_vlan *v = value;

	if (k->vid && v->ifindex == forget->ifindex)
		(void)bpf_map_delete_elem(forget->vlans_fd, key);
	return 0;
}

void vlan_forget(int vlans_fd, uint32_t ifindex)
{
	struct forget forget = {.vlans_fd = vlans_fd, .ifindex = ifindex};

	(void)map_walk(M_VLANS, vlans_fd, forget_one, &forget);
}

uint32_t vlan_lower(int vlans_fd, uint32_t ifindex, uint32_t *ret_vid)
{
	struct fq_vlan_key key = {.ifindex = ifindex};
	struct fq_vlan below;

	if (vlans_fd < 0 || bpf_map_lookup_elem(vlans_fd, &key, &below) < 0)
		return 0;
	*ret_vid = below.vid;
	return below.ifindex;
}

/* ---- for those who look ---- */

static int found_above(void *ctx, const struct nlmsghdr *h)
{
	uint32_t *ifindex = ctx;
	struct vlan v;

	if (vlan_read(h, &v) && v.lower == *ifindex)
		*ifindex = 0;
	return 0;
}

bool vlan_above(uint32_t ifindex)
{
	return ifindex && rtnl_dump(RTM_GETLINK, found_above, &ifindex) == 0 && !ifindex;
}

void vlan_note(int vlans_fd, uint32_t sessions_id, uint32_t ifindex, char note[DP_NOTE_MAX])
{
	struct fq_vlan_key key = {0};
	struct fq_vlan above;
	struct xdp_state state;
	char name[IF_NAMESIZE];
	enum dp_mode mode = DP_MODE_AUTO;
	uint32_t prog_id;

	key.ifindex = vlan_lower(vlans_fd, ifindex, &key.vid);
	if (!key.ifindex || bpf_map_lookup_elem(vlans_fd, &key, &above) < 0 ||
	    !if_indextoname(key.ifindex, name))
		return;
	if (xdp_state_get(key.ifindex, &state) == 0 && state.native_id &&
	    (prog_uses_map(state.native_id, sessions_id) ||
	     (dispatch_find(key.ifindex, sessions_id, &mode, &prog_id) && mode == DP_MODE_NATIVE)))
		snprintf(note, DP_NOTE_MAX, "VLAN %u, behind native XDP on %s", key.vid, name);
}
