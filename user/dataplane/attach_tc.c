/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs at an interface's tc ingress: by TCX, a link as XDP has it (Linux 6.6), else by a filter
 * of the clsact queueing discipline in direct action mode.
 *
 * A filter stays by itself when the process ends, and is replaced in one step. It is known as ours
 * by handle, priority and the session table that its program uses. The queueing discipline is
 * removed with it only if we have made it and no other filter is left.
 */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/load.h"
#include "dataplane/net.h"

/* Of <linux/bpf.h>, which is older where we build. */
#define TCX_INGRESS ((enum bpf_attach_type)46)

/* Early among filters, and a handle that nobody takes by chance. */
#define FILTER_PRIORITY 10
#define FILTER_HANDLE   0xfa1

#define TCX_PROGS_MAX 64

/* ---- TCX ---- */

static int tcx_attach(int prog_fd, uint32_t ifindex, const char *path)
{
	_cleanup_(closep) int fd = bpf_link_create(prog_fd, (int)ifindex, TCX_INGRESS, NULL);

	if (fd < 0)
		return -errno;
	/* Not pinned, the link ends with the descriptor: nothing is left behind. */
	return bpffs_pin(fd, path);
}

bool tc_runs_here(uint32_t ifindex, uint32_t prog_id)
{
	uint32_t ids[TCX_PROGS_MAX];
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ids, .prog_cnt = TCX_PROGS_MAX);

	if (bpf_prog_query_opts((int)ifindex, TCX_INGRESS, &opts) < 0)
		return false;
	for (uint32_t i = 0; i < opts.prog_cnt && i < TCX_PROGS_MAX; i++)
		if (ids[i] == prog_id)
			return true;
	return false;
}

/* ---- clsact ---- */

static int filter_query(uint32_t ifindex, uint32_t *ret_prog_id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
	int r;

	/* libbpf says aloud that there is none. */
	log_capture();
	r = bpf_tc_query(&hook, &opts);
	if (r < 0)
		return r;
	*ret_prog_id = opts.prog_id;
	return 0;
}

static int filter_set(uint32_t ifindex, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = prog_fd, .flags = BPF_TC_F_REPLACE);

	return bpf_tc_attach(&hook, &opts);
}

bool clsact_find(uint32_t ifindex, uint32_t sessions_id, uint32_t *ret_prog_id)
{
	return filter_query(ifindex, ret_prog_id) == 0 && prog_uses_map(*ret_prog_id, sessions_id);
}

static int count_filter(void *ctx, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned int *)ctx;
	return 0;
}

static bool filters_left(uint32_t ifindex)
{
	static const uint32_t parents[] = {TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
					   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)};
	unsigned int filters = 0;

	for (size_t i = 0; i < 2; i++) {
		struct {
			struct nlmsghdr h;
			struct tcmsg msg;
		} request = {
			.h = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETTFILTER},
			.msg = {.tcm_ifindex = (int)ifindex, .tcm_parent = parents[i]},
		};

		if (rtnl_dump_request(&request.h, count_filter, &filters) < 0)
			return true;
	}
	return filters > 0;
}

/* The queueing discipline, as far as it is ours. */
static void qdisc_tidy(const char *bpffs, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (bpffs_qdisc_get(bpffs, ifindex) && !filters_left(ifindex))
		(void)bpf_tc_hook_destroy(&hook);
	bpffs_qdisc_set(bpffs, ifindex, false);
}

static int clsact_attach(struct dataplane *dp, uint32_t ifindex, int prog_fd, struct dp_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	uint32_t prog_id;
	int r = bpf_tc_hook_create(&hook);

	if (r < 0 && r != -EEXIST)
		return dp_fail(err, r == -ENOENT || r == -EOPNOTSUPP ? -ENOTSUP : r,
			       "interface %u: the kernel has neither TCX nor clsact: %s", ifindex,
			       strerror(-r));
	bpffs_qdisc_set(dp->bpffs, ifindex, r == 0);
	if (filter_query(ifindex, &prog_id) == 0)
		return dp_fail(err, -EBUSY,
			       "interface %u already has a tc filter of priority %u and handle "
			       "%#x (program %u)",
			       ifindex, FILTER_PRIORITY, FILTER_HANDLE, prog_id);
	r = filter_set(ifindex, prog_fd);
	if (r < 0) {
		qdisc_tidy(dp->bpffs, ifindex);
		return dp_fail(err, r, "interface %u: cannot attach a tc filter: %s", ifindex,
			       strerror(-r));
	}
	return 0;
}

int clsact_detach(const char *bpffs, uint32_t ifindex, uint32_t sessions_id, struct dp_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
	uint32_t prog_id;
	int r;

	if (!clsact_find(ifindex, sessions_id, &prog_id))
		return -ENOENT;
	r = bpf_tc_detach(&hook, &opts);
	if (r < 0)
		return dp_fail(err, r, "cannot remove the tc filter of interface %u: %s", ifindex,
			       strerror(-r));
	qdisc_tidy(bpffs, ifindex);
	return 0;
}

/* ---- either ---- */

int tc_attach(struct dataplane *dp, uint32_t ifindex, bool ethernet, struct dp_error *err)
{
	char path[DP_PATH_MAX];
	int prog_fd, r;

	r = load_tc_once(dp, err);
	if (r < 0)
		return r;
	r = dp_path_link(path, dp->bpffs, ifindex);
	if (r < 0)
		return dp_fail(err, r, "%s: the path is too long", dp->bpffs);
	prog_fd = dp->progs[ethernet ? P_TC : P_TC_L3];
	log_capture();
	r = dp->settings.clsact ? -EINVAL : tcx_attach(prog_fd, ifindex, path);
	/* What kernels before 6.6 say. */
	if (r == -EINVAL)
		return clsact_attach(dp, ifindex, prog_fd, err);
	return r < 0 ? dp_fail(err, r, "interface %u: cannot attach to tc: %s", ifindex,
			       strerror(-r))
		     : 0;
}

/* ---- clsact, over all interfaces of this namespace ---- */

int clsact_each(uint32_t sessions_id, clsact_fn cb, void *ctx)
{
	struct if_nameindex *list = if_nameindex();
	int r = 0;

	if (!list)
		return -errno;
	for (const struct if_nameindex *i = list; i->if_index && r == 0; i++) {
		uint32_t prog_id;

		if (clsact_find(i->if_index, sessions_id, &prog_id))
			r = cb(ctx, i->if_index, prog_id);
	}
	if_freenameindex(list);
	return r;
}

struct replace {
	struct dataplane *dp;
	struct dp_error *err;
};

static int replace_one(void *ctx, uint32_t ifindex, uint32_t prog_id)
{
	const struct replace *replace = ctx;
	int r = load_tc_once(replace->dp, replace->err);

	(void)prog_id;
	if (r < 0)
		return r;
	r = filter_set(ifindex, replace->dp->progs[hook_ethernet(ifindex) ? P_TC : P_TC_L3]);
	return r < 0 ? dp_fail(replace->err, r, "cannot replace the tc filter of interface %u: %s",
			       ifindex, strerror(-r))
		     : 0;
}

int clsact_replace(struct dataplane *dp, struct dp_error *err)
{
	struct replace replace = {.dp = dp, .err = err};

	return clsact_each(map_id(dp->maps[M_SESSIONS]), replace_one, &replace);
}

static int found(void *ctx, uint32_t ifindex, uint32_t prog_id)
{
	(void)ctx;
	(void)ifindex;
	(void)prog_id;
	return 1;
}

bool clsact_any(uint32_t sessions_id)
{
	return clsact_each(sessions_id, found, NULL) > 0;
}

struct detach {
	const char *bpffs;
	uint32_t sessions_id;
};

static int detach_one(void *ctx, uint32_t ifindex, uint32_t prog_id)
{
	const struct detach *detach = ctx;

	(void)prog_id;
	(void)clsact_detach(detach->bpffs, ifindex, detach->sessions_id, NULL);
	return 0;
}

void clsact_detach_all(const char *bpffs, uint32_t sessions_id)
{
	struct detach detach = {.bpffs = bpffs, .sessions_id = sessions_id};

	(void)clsact_each(sessions_id, detach_one, &detach);
}
