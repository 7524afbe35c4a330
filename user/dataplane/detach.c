/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Detaching, and removing every trace. Works by what is pinned alone: without a daemon, and on the
 * leavings of another version.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

static int detach_link(const char *bpffs, uint32_t ifindex, struct dp_error *err)
{
	_cleanup_(closep) int fd = -1;
	uint32_t alive = 0, prog_id;
	char path[DP_PATH_MAX];
	int r;

	r = dp_path_link(path, bpffs, ifindex);
	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	r = link_info(fd, &alive, &prog_id);
	if (r == 0)
		r = link_check_here(ifindex, alive, prog_id, bpffs, err);
	if (r < 0)
		return r;
	r = bpf_link_detach(fd);
	/* -ENOLINK: the interface went before us. */
	if (r < 0 && r != -ENOLINK)
		return r;
	return unlink(path) < 0 ? -errno : 0;
}

int detach_interface(const char *bpffs, uint32_t ifindex, uint32_t sessions_id,
		     struct dp_error *err)
{
	int r = detach_link(bpffs, ifindex, err);

	if (r == -ENOENT)
		r = dispatch_detach(ifindex, sessions_id, err);
	else if (r < 0 && r != -EXDEV)
		r = dp_fail(err, r, "cannot detach from interface %u: %s", ifindex, strerror(-r));
	if (r == -ENOENT)
		r = clsact_detach(bpffs, ifindex, sessions_id, err);
	if (r == 0)
		bpffs_note_set(bpffs, ifindex, NULL);
	return r;
}

static int count_live(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	uint32_t alive = 0, prog_id;
	unsigned int *live = ctx;

	(void)ifindex;
	if (link_info(fd, &alive, &prog_id) == 0 && alive)
		++*live;
	else
		(void)unlink(path);
	return 0;
}

static bool attached_anywhere(const char *bpffs, uint32_t sessions_id)
{
	unsigned int live = 0;

	if (bpffs_links(bpffs, count_live, &live) < 0 || live)
		return true;
	return dispatch_any(sessions_id) || clsact_any(sessions_id);
}

static int open_map(const char *bpffs, enum dp_map map)
{
	char path[DP_PATH_MAX];

	return dp_path_map(path, bpffs, map) < 0 ? -1 : bpf_obj_get(path);
}

int dataplane_detach_pinned(const char *bpffs, const char *ifname, struct dp_error *err)
{
	_cleanup_(closep) int sessions = -1;
	_cleanup_(closep) int tx = -1;
	_cleanup_(closep) int vlans = -1;
	uint32_t ifindex = if_nametoindex(ifname), sessions_id;
	int r = 0;

	bpffs = bpffs ? bpffs : FQ_BPFFS_DEFAULT;
	sessions = open_map(bpffs, M_SESSIONS);
	tx = open_map(bpffs, M_TX);
	vlans = open_map(bpffs, M_VLANS);
	sessions_id = sessions < 0 ? 0 : map_id(sessions);
	if (!ifindex)
		r = dp_fail(err, -ENODEV, "no interface '%s' in this network namespace", ifname);
	else
		r = detach_interface(bpffs, ifindex, sessions_id, err);
	if (r == 0 && vlans >= 0)
		vlan_forget(vlans, ifindex);
	if (r == -ENOENT)
		r = dp_fail(err, -ENOENT, "fqdnat is not attached to %s (by %s)", ifname, bpffs);
	/* Some drivers take frames only while a program is there. */
	if (r == 0 && tx >= 0)
		(void)redirect_refresh(tx, vlans);
	/* Also after a failure: what is left may belong to interfaces that are gone. */
	if (sessions >= 0 && !attached_anywhere(bpffs, sessions_id))
		bpffs_unpin(bpffs);
	return r;
}

int dataplane_detach(struct dataplane *dp, const char *ifname, struct dp_error *err)
{
	return dataplane_detach_pinned(dp->bpffs, ifname, err);
}

static int purge_link(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	(void)ctx;
	(void)ifindex;
	(void)bpf_link_detach(fd);
	return unlink(path) < 0 ? -errno : 0;
}

int dataplane_purge(const char *bpffs, struct dp_error *err)
{
	_cleanup_(closep) int sessions = -1;
	int r;

	bpffs = bpffs ? bpffs : FQ_BPFFS_DEFAULT;
	sessions = open_map(bpffs, M_SESSIONS);
	r = bpffs_links(bpffs, purge_link, NULL);
	if (r < 0)
		return dp_fail(err, r, "cannot remove the links in %s: %s", bpffs, strerror(-r));
	if (sessions >= 0) {
		dispatch_detach_all(map_id(sessions));
		clsact_detach_all(bpffs, map_id(sessions));
	}
	bpffs_unpin(bpffs);
	return 0;
}
