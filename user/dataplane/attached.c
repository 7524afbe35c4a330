/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What runs on an interface, and what is known of a program, a link and a map: asked of the kernel,
 * changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/hooks.h"
#include "dataplane/internal.h"

int xdp_state_get(uint32_t ifindex, struct xdp_state *ret_state)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int r = bpf_xdp_query((int)ifindex, 0, &opts);

	if (r < 0)
		return r;
	*ret_state =
		(struct xdp_state){.native_id = opts.drv_prog_id, .generic_id = opts.skb_prog_id};
	return 0;
}

int link_info(int link_fd, uint32_t *ret_ifindex, uint32_t *ret_prog_id)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &len) < 0)
		return -errno;
	*ret_ifindex = info.xdp.ifindex;
	*ret_prog_id = info.prog_id;
	return 0;
}

int prog_info(uint32_t id, struct bpf_prog_info *info)
{
	_cleanup_(closep) int fd = bpf_prog_get_fd_by_id(id);
	uint32_t len = sizeof(*info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, info, &len) < 0)
		return -errno;
	return 0;
}

uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ? 0 : info.id;
}

bool prog_uses_map(uint32_t prog_id, uint32_t wanted)
{
	uint32_t ids[64];
	struct bpf_prog_info info = {.map_ids = (uintptr_t)ids, .nr_map_ids = 64};

	if (!wanted || prog_info(prog_id, &info) < 0)
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++)
		if (ids[i] == wanted)
			return true;
	return false;
}

bool runs_here(uint32_t ifindex, uint32_t prog_id)
{
	struct xdp_state state;

	return (xdp_state_get(ifindex, &state) == 0 &&
		(state.native_id == prog_id || state.generic_id == prog_id)) ||
	       tc_runs_here(ifindex, prog_id);
}

int link_check_here(uint32_t ifindex, uint32_t alive, uint32_t prog_id, const char *bpffs,
		    struct dp_error *err)
{
	if (!alive || (alive == ifindex && runs_here(ifindex, prog_id)))
		return 0;
	return dp_fail(err, -EXDEV,
		       "%s/links/%u is of an interface in another network namespace: give every "
		       "namespace a directory of its own (FQDNAT_BPFFS)",
		       bpffs, ifindex);
}

enum dp_mode link_mode(uint32_t ifindex, uint32_t prog_id)
{
	struct bpf_prog_info info = {0};
	struct xdp_state state;

	if (xdp_state_get(ifindex, &state) == 0) {
		if (state.native_id == prog_id)
			return DP_MODE_NATIVE;
		if (state.generic_id == prog_id)
			return DP_MODE_GENERIC;
	}
	if (prog_info(prog_id, &info) < 0)
		return DP_MODE_NATIVE;
	if (info.type == BPF_PROG_TYPE_SCHED_CLS)
		return DP_MODE_TC;
	/* The kernel keeps 15 bytes of a name. */
	return strncmp(info.name, prog_names[P_GENERIC], sizeof(info.name) - 1) == 0
		       ? DP_MODE_GENERIC
		       : DP_MODE_NATIVE;
}
