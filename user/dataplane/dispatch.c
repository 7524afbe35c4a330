/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching by libxdp's dispatcher, so that other XDP programs can live on the same interface.
 *
 * The dispatcher chains programs of type EXT, which are verified against the dispatcher of one
 * interface: every interface gets an object of its own, on the same maps. libxdp pins the
 * dispatcher in /sys/fs/bpf/xdp, so programs stay when the process ends. A new version is attached
 * beside the old one before that is detached. In between a packet meets the new one first; what it
 * passes to the kernel is counted by the old one, too.
 *
 * Kernels may refuse type EXT (no trampolines on the architecture, vendor policy): asked once.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <xdp/libxdp.h>

#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/load.h"

#define SLOTS_MAX 10 /* of libxdp's dispatcher */

bool dispatch_possible(void)
{
	static int possible = -1;

	if (possible < 0)
		possible = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1;
	return possible;
}

static enum xdp_attach_mode libxdp_mode(enum dp_mode mode)
{
	return mode == DP_MODE_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

DEFINE_CLEANUP(struct xdp_multiprog *, xdp_multiprog__close)
DEFINE_CLEANUP(struct xdp_program *, xdp_program__close)
DEFINE_CLEANUP(void *, load_release)

static struct xdp_multiprog *multiprog_get(uint32_t ifindex)
{
	struct xdp_multiprog *mp;

	if (!dispatch_possible())
		return NULL;
	mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	if (libxdp_get_error(mp))
		return NULL;
	if (xdp_multiprog__is_legacy(mp)) {
		xdp_multiprog__close(mp);
		return NULL;
	}
	return mp;
}

/* The first program in the dispatcher that uses our session table, but for @except. */
static struct xdp_program *multiprog_ours(struct xdp_multiprog *mp, uint32_t sessions_id,
					  uint32_t except)
{
	struct xdp_program *prog = NULL;

	while ((prog = xdp_multiprog__next_prog(prog, mp)))
		if (xdp_program__id(prog) != except &&
		    prog_uses_map(xdp_program__id(prog), sessions_id))
			return prog;
	return NULL;
}

bool dispatch_find(uint32_t ifindex, uint32_t sessions_id, enum dp_mode *ret_mode,
		   uint32_t *ret_prog_id)
{
	_cleanup_(xdp_multiprog__closep) struct xdp_multiprog *mp = multiprog_get(ifindex);
	struct xdp_program *prog = mp ? multiprog_ours(mp, sessions_id, 0) : NULL;

	if (!prog)
		return false;
	*ret_mode =
		xdp_multiprog__attach_mode(mp) == XDP_MODE_SKB ? DP_MODE_GENERIC : DP_MODE_NATIVE;
	*ret_prog_id = xdp_program__id(prog);
	return true;
}

static int detach_first(uint32_t ifindex, uint32_t sessions_id, uint32_t except)
{
	_cleanup_(xdp_multiprog__closep) struct xdp_multiprog *mp = multiprog_get(ifindex);
	struct xdp_program *prog = mp ? multiprog_ours(mp, sessions_id, except) : NULL;

	if (!prog)
		return -ENOENT;
	return xdp_program__detach(prog, (int)ifindex, xdp_multiprog__attach_mode(mp), 0);
}

/*
 * Detach ours but for @except: more than one after a crash during a replacement. Return: 0; -ENOENT
 * if there was none.
 */
static int detach_except(uint32_t ifindex, uint32_t sessions_id, uint32_t except)
{
	int r = detach_first(ifindex, sessions_id, except);

	if (r < 0)
		return r;
	for (int i = 1; i < SLOTS_MAX && r == 0; i++)
		r = detach_first(ifindex, sessions_id, except);
	return r == -ENOENT ? 0 : r;
}

int dispatch_detach(uint32_t ifindex, uint32_t sessions_id, struct dp_error *err)
{
	int r = detach_except(ifindex, sessions_id, 0);

	if (r < 0 && r != -ENOENT)
		return dp_fail(err, r, "libxdp cannot detach from interface %u: %s", ifindex,
			       log_captured());
	return r;
}

int dispatch_attach(struct dataplane *dp, uint32_t ifindex, enum dp_mode mode, struct dp_error *err)
{
	_cleanup_(xdp_program__closep) struct xdp_program *prog = NULL;
	_cleanup_(load_releasep) void *skeleton = NULL;
	enum dp_prog p = mode == DP_MODE_GENERIC ? P_GENERIC : P_NATIVE;
	struct fq_settings settings = dp->settings.program;
	struct bpf_object *object;
	int r;

	log_capture();
	r = dp->loaded ? 0 : load_settings_from(dp->progs[p], &settings);
	if (r == 0)
		r = load_prepare(&settings, dp->maps, p, &object, &skeleton);
	if (r < 0)
		return dp_fail(err, r, "cannot prepare a program for libxdp: %s", strerror(-r));

	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = object, .prog_name = prog_names[p]);

	prog = xdp_program__create(&opts);
	r = (int)libxdp_get_error(prog);
	if (r) {
		prog = NULL;
		return dp_fail(err, r, "libxdp does not take the program: %s", log_captured());
	}
	r = xdp_program__attach(prog, (int)ifindex, libxdp_mode(mode), 0);
	if (r < 0)
		return dp_fail(err, r, "libxdp cannot attach to interface %u: %s", ifindex,
			       log_captured());
	return 0;
}

/* ---- over all interfaces of this namespace ---- */

int dispatch_each(uint32_t sessions_id, dispatch_fn cb, void *ctx)
{
	struct if_nameindex *list;
	int r = 0;

	if (!dispatch_possible())
		return 0;
	list = if_nameindex();
	if (!list)
		return -errno;
	for (const struct if_nameindex *i = list; i->if_index && r == 0; i++) {
		enum dp_mode mode;
		uint32_t prog_id;

		if (dispatch_find(i->if_index, sessions_id, &mode, &prog_id))
			r = cb(ctx, i->if_index, mode, prog_id);
	}
	if_freenameindex(list);
	return r;
}

struct replace {
	struct dataplane *dp;
	struct dp_error *err;
	uint32_t sessions_id;
};

static int replace_one(void *ctx, uint32_t ifindex, enum dp_mode mode, uint32_t old_id)
{
	const struct replace *replace = ctx;
	_cleanup_(xdp_multiprog__closep) struct xdp_multiprog *mp = NULL;
	struct xdp_program *fresh;
	int r;

	/* Only one, so that what is new is what is not old. */
	r = detach_except(ifindex, replace->sessions_id, old_id);
	if (r < 0 && r != -ENOENT)
		return r;
	r = dispatch_attach(replace->dp, ifindex, mode, replace->err);
	if (r < 0)
		return r;
	mp = multiprog_get(ifindex);
	fresh = mp ? multiprog_ours(mp, replace->sessions_id, old_id) : NULL;
	return fresh ? detach_except(ifindex, replace->sessions_id, xdp_program__id(fresh)) : 0;
}

int dispatch_replace(struct dataplane *dp, struct dp_error *err)
{
	struct replace replace = {
		.dp = dp, .err = err, .sessions_id = map_id(dp->maps[M_SESSIONS])};

	return dispatch_each(replace.sessions_id, replace_one, &replace);
}

static int found(void *ctx, uint32_t ifindex, enum dp_mode mode, uint32_t prog_id)
{
	(void)ctx;
	(void)ifindex;
	(void)mode;
	(void)prog_id;
	return 1;
}

bool dispatch_any(uint32_t sessions_id)
{
	return dispatch_each(sessions_id, found, NULL) > 0;
}

static int detach_one(void *ctx, uint32_t ifindex, enum dp_mode mode, uint32_t prog_id)
{
	(void)mode;
	(void)prog_id;
	(void)detach_except(ifindex, *(const uint32_t *)ctx, 0);
	return 0;
}

void dispatch_detach_all(uint32_t sessions_id)
{
	(void)dispatch_each(sessions_id, detach_one, &sessions_id);
}
