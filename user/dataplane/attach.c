/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on interfaces. XDP: by libxdp's dispatcher where that is possible (dispatch.c), else by
 * a bpf_link of our own, pinned, so that the program outlives the process. tc: attach_tc.c. Which
 * of them: hooks.c.
 *
 * A new version takes the place of an old one by an update of the link: every packet meets one
 * of the two. Only a change of mode detaches first.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/load.h"
#include "dataplane/net.h"

static const char *const mode_names[] = {
	[DP_MODE_AUTO] = "auto",
	[DP_MODE_NATIVE] = "native",
	[DP_MODE_GENERIC] = "generic",
	[DP_MODE_TC] = "tc",
};

int dp_mode_parse(const char *word, enum dp_mode *ret_mode)
{
	for (enum dp_mode m = 0; m < sizeof(mode_names) / sizeof(mode_names[0]); m++) {
		if (strcmp(word, mode_names[m]) == 0) {
			*ret_mode = m;
			return 0;
		}
	}
	return -EINVAL;
}

const char *dp_mode_name(enum dp_mode mode)
{
	return mode_names[mode];
}

/* ---- replacing ---- */

static int prog_for(const struct dataplane *dp, enum dp_mode mode)
{
	return dp->progs[mode == DP_MODE_GENERIC ? P_GENERIC : P_NATIVE];
}

/* The new version of a program that runs for tc, by its name: we may not see its interface. */
static int prog_tc_for(const struct dataplane *dp, uint32_t old_id)
{
	struct bpf_prog_info info = {0};
	bool bare = prog_info(old_id, &info) == 0 && strcmp(info.name, prog_names[P_TC_L3]) == 0;

	return dp->progs[bare ? P_TC_L3 : P_TC];
}

struct replace {
	struct dataplane *dp;
	struct dp_error *err;
};

static int replace_link(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	const struct replace *replace = ctx;
	uint32_t alive = 0, prog_id = 0;
	enum dp_mode mode;
	int r;

	r = link_info(fd, &alive, &prog_id);
	if (r < 0)
		return r;
	if (!alive) {
		/* The interface is gone, or another has its index now. */
		(void)unlink(path);
		bpffs_note_set(replace->dp->bpffs, ifindex, NULL);
		return 0;
	}
	mode = link_mode(ifindex, prog_id);
	if (mode == DP_MODE_TC)
		r = load_tc_once(replace->dp, replace->err);
	if (r < 0)
		return r;
	r = bpf_link_update(fd,
			    mode == DP_MODE_TC ? prog_tc_for(replace->dp, prog_id)
					       : prog_for(replace->dp, mode),
			    NULL);
	if (r < 0)
		return dp_fail(replace->err, r, "cannot replace the program on interface %u: %s",
			       ifindex, strerror(-r));
	return 0;
}

int attach_replace(struct dataplane *dp, struct dp_error *err)
{
	struct replace replace = {.dp = dp, .err = err};
	int r;

	/* For failures without better words. */
	(void)dp_fail(err, 0, "cannot read what is attached by %s", dp->bpffs);
	r = bpffs_links(dp->bpffs, replace_link, &replace);
	if (r == 0)
		r = dispatch_replace(dp, err);
	return r < 0 ? r : clsact_replace(dp, err);
}

/* ---- attaching ---- */

static int check_interface(const char *ifname, enum dp_mode mode, struct dp_error *err,
			   uint32_t *ret_ifindex)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};
	unsigned int type;

	if (fd < 0)
		return dp_fail(err, -errno, "%s: no socket: %s", ifname, strerror(errno));
	if (!*ifname || strlen(ifname) >= sizeof(req.ifr_name))
		return dp_fail(err, -ENODEV, "'%s' is no interface name", ifname);
	strcpy(req.ifr_name, ifname);
	if (ioctl(fd, SIOCGIFINDEX, &req) < 0)
		return dp_fail(err, -ENODEV, "no interface '%s' in this network namespace", ifname);
	*ret_ifindex = (uint32_t)req.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		return dp_fail(err, -errno, "%s: %s", ifname, strerror(errno));
	type = req.ifr_hwaddr.sa_family;
	if (type != ARPHRD_ETHER && !hook_type_bare(type))
		return dp_fail(err, -EMEDIUMTYPE,
			       "%s is no interface for Ethernet or IP (link type %u): it cannot be "
			       "translated there",
			       ifname, type);
	if (type != ARPHRD_ETHER && (mode == DP_MODE_NATIVE || mode == DP_MODE_GENERIC))
		return dp_fail(
			err, -EMEDIUMTYPE,
			"%s has no Ethernet header (TUN, WireGuard, PPP): XDP cannot translate "
			"there, mode tc can",
			ifname);
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return dp_fail(err, -errno, "%s: %s", ifname, strerror(errno));
	if (!(req.ifr_flags & IFF_UP))
		return dp_fail(err, -ENETDOWN, "%s is down: ip link set %s up", ifname, ifname);
	return 0;
}

static const char *native_refusal(int r)
{
	switch (-r) {
	case EOPNOTSUPP:
		return "driver has no native XDP";
	case ERANGE:
		return "MTU too large for native XDP (here or at the veth peer)";
	case ENOSPC:
		return "native XDP needs as many receive queues as the peer has transmit queues "
		       "(ethtool -L)";
	case EINVAL:
		return "driver refuses native XDP with these settings (MTU, LRO or queues)";
	default:
		return strerror(-r);
	}
}

static int fail_busy(const char *ifname, uint32_t ifindex, struct dp_error *err)
{
	struct xdp_state state = {0};
	struct bpf_prog_info info = {0};
	uint32_t id;

	(void)xdp_state_get(ifindex, &state);
	id = state.native_id ? state.native_id : state.generic_id;
	(void)prog_info(id, &info);
	return dp_fail(err, -EBUSY,
		       "%s already has another XDP program (id %u, %s): remove it, or run where "
		       "libxdp's dispatcher works",
		       ifname, id, *info.name ? info.name : "unnamed");
}

static int create_link(struct dataplane *dp, uint32_t ifindex, enum dp_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = mode == DP_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	_cleanup_(closep) int fd = -1;
	char path[DP_PATH_MAX];
	int r;

	r = dp_path_link(path, dp->bpffs, ifindex);
	if (r < 0)
		return r;
	fd = bpf_link_create(prog_for(dp, mode), (int)ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return -errno;
	/* Not pinned, the link ends with the descriptor: nothing is left behind. */
	return bpffs_pin(fd, path);
}

/* Would another mode do better after this? Not if the interface is taken or gone. */
static bool other_may_help(int r)
{
	return r != -EBUSY && r != -EEXIST && r != -ENODEV && r != -EPERM && r != -ENOMEM;
}

static int attach_link(struct dataplane *dp, const char *ifname, enum dp_mode mode,
		       struct dp_error *err, struct dp_attached *a)
{
	int r = create_link(dp, a->ifindex, mode);

	if (r == -EBUSY || r == -EEXIST)
		return fail_busy(ifname, a->ifindex, err);
	if (r < 0 && mode == DP_MODE_NATIVE)
		return dp_fail(err, r == -EOPNOTSUPP ? -ENOTSUP : r,
			       "%s: cannot attach natively: %s", ifname, native_refusal(r));
	if (r < 0)
		return dp_fail(err, r, "%s: cannot attach: %s", ifname, strerror(-r));
	return 0;
}

/*
 * By libxdp, if that is possible and not ruled out, so that other programs can live beside ours.
 *
 * *@ret_done: attached; otherwise our own link has to do.
 */
static int attach_dispatcher(struct dataplane *dp, const char *ifname, enum dp_mode mode,
			     struct dp_error *err, struct dp_attached *a, bool *ret_done)
{
	bool required = dp->settings.dispatcher == DP_DISPATCHER_REQUIRE;
	int r;

	*ret_done = false;
	if (dp->settings.dispatcher == DP_DISPATCHER_NEVER)
		return 0;
	if (!dispatch_possible()) {
		if (required)
			return dp_fail(
				err, -ENOTSUP,
				"%s: libxdp's dispatcher is required, but this kernel refuses "
				"programs of type EXT, of which it is made",
				ifname);
		return 0;
	}
	r = dispatch_attach(dp, a->ifindex, mode, err);
	if ((r == -EBUSY || r == -EEXIST) && required)
		return fail_busy(ifname, a->ifindex, err);
	if (r < 0 && required)
		return r;
	a->dispatcher = *ret_done = r == 0;
	return 0;
}

static int attach_xdp(struct dataplane *dp, const char *ifname, enum dp_mode mode,
		      struct dp_error *err, struct dp_attached *a)
{
	bool done;
	int r = attach_dispatcher(dp, ifname, mode, err, a, &done);

	a->mode = mode;
	return r < 0 || done ? r : attach_link(dp, ifname, mode, err, a);
}

static int attach_tc(struct dataplane *dp, struct dp_error *err, struct dp_attached *a)
{
	a->mode = DP_MODE_TC;
	a->dispatcher = false;
	return tc_attach(dp, a->ifindex, hook_ethernet(a->ifindex), err);
}

/* By the hook that hooks.c takes for the right one; if it is impossible, by the next best. */
static int attach_auto(struct dataplane *dp, const char *ifname, struct dp_error *err,
		       struct dp_attached *a)
{
	int r;

	if (hook_choose(dp, a->ifindex, ifname, a->note) == DP_MODE_NATIVE) {
		snprintf(a->note, sizeof(a->note), "the driver has native XDP");
		r = attach_xdp(dp, ifname, DP_MODE_NATIVE, err, a);
		if (r == 0 || !other_may_help(r))
			return r;
		snprintf(a->note, sizeof(a->note), "%s", native_refusal(r));
	}
	r = attach_tc(dp, err, a);
	if (r == 0 || !other_may_help(r) || !hook_ethernet(a->ifindex))
		return r;
	snprintf(a->note, sizeof(a->note), "tc is not possible: %s", strerror(-r));
	return attach_xdp(dp, ifname, DP_MODE_GENERIC, err, a);
}

static int attach_mode(struct dataplane *dp, const char *ifname, enum dp_mode mode,
		       struct dp_error *err, struct dp_attached *a)
{
	int r;

	if (mode == DP_MODE_AUTO) {
		r = attach_auto(dp, ifname, err, a);
	} else {
		snprintf(a->note, sizeof(a->note), "asked for");
		r = mode == DP_MODE_TC ? attach_tc(dp, err, a)
				       : attach_xdp(dp, ifname, mode, err, a);
	}
	if (r == 0)
		bpffs_note_set(dp->bpffs, a->ifindex, a->note);
	return r;
}

/*
 * What of ours is on the interface already.
 *
 * *@ret_current: its mode; AUTO: nothing
 */
static int attached_mode(struct dataplane *dp, uint32_t ifindex, struct dp_error *err,
			 bool *ret_dispatcher, enum dp_mode *ret_current)
{
	uint32_t alive = 0, prog_id, sessions_id = map_id(dp->maps[M_SESSIONS]);
	_cleanup_(closep) int fd = -1;
	char path[DP_PATH_MAX];
	int r;

	*ret_current = DP_MODE_AUTO;
	*ret_dispatcher = false;
	r = dp_path_link(path, dp->bpffs, ifindex);
	if (r < 0)
		return dp_fail(err, r, "%s: the path is too long", dp->bpffs);
	fd = bpf_obj_get(path);
	if (fd >= 0) {
		r = link_info(fd, &alive, &prog_id);
		if (r < 0)
			return dp_fail(err, r, "%s: %s", path, strerror(-r));
		r = link_check_here(ifindex, alive, prog_id, dp->bpffs, err);
		if (r < 0)
			return r;
		if (alive)
			*ret_current = link_mode(ifindex, prog_id);
		else
			(void)unlink(path);
	}
	if (!alive && dispatch_find(ifindex, sessions_id, ret_current, &prog_id))
		*ret_dispatcher = true;
	else if (!alive && clsact_find(ifindex, sessions_id, &prog_id))
		*ret_current = DP_MODE_TC;
	return 0;
}

static bool dispatcher_suits(enum dp_dispatcher wanted, bool have)
{
	return wanted == DP_DISPATCHER_AUTO || have == (wanted == DP_DISPATCHER_REQUIRE);
}

/*
 * Is what runs there what is wanted? Where XDP would do, too, what has been chosen once stays:
 * every change of the hook loses packets.
 */
static bool mode_suits(const struct dataplane *dp, const char *ifname, enum dp_mode wanted,
		       enum dp_mode have, const struct dp_attached *a)
{
	char why[DP_NOTE_MAX];

	if (have == DP_MODE_AUTO)
		return false;
	if (wanted == DP_MODE_AUTO && have != DP_MODE_TC &&
	    hook_choose(dp, a->ifindex, ifname, why) == DP_MODE_TC)
		return false;
	if (wanted != DP_MODE_AUTO && wanted != have)
		return false;
	return have == DP_MODE_TC || dispatcher_suits(dp->settings.dispatcher, a->dispatcher);
}

int dataplane_attach(struct dataplane *dp, const char *ifname, enum dp_mode mode,
		     struct dp_error *err, struct dp_attached *ret_attached)
{
	struct dp_attached a = {0};
	enum dp_mode current;
	int r;

	r = check_interface(ifname, mode, err, &a.ifindex);
	if (r == 0)
		r = dataplane_pin(dp, err);
	if (r == 0)
		r = attached_mode(dp, a.ifindex, err, &a.dispatcher, &current);
	if (r < 0)
		return r;
	if (mode_suits(dp, ifname, mode, current, &a)) {
		a.mode = current;
		bpffs_note_get(dp->bpffs, a.ifindex, a.note);
	} else {
		if (current != DP_MODE_AUTO)
			r = detach_interface(dp->bpffs, a.ifindex, map_id(dp->maps[M_SESSIONS]),
					     err);
		if (r == 0)
			r = attach_mode(dp, ifname, mode, err, &a);
	}
	if (r < 0)
		return r;
	/* If it is interrupted, a change of interfaces is about to be reported, and it is done
	 * then. */
	r = vlan_refresh(dp);
	/* The new program may be what lets this interface, or its peer, take frames. */
	if (r == 0 || r == -EINTR)
		r = redirect_refresh(dp->maps[M_TX], dp->maps[M_VLANS]);
	if (r < 0)
		return dp_fail(err, r, "%s: cannot be redirected to: %s", ifname, strerror(-r));
	*ret_attached = a;
	return 0;
}
