/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the programs run: by links, by clsact filters, in a dispatcher, and which of them is right.
 * For the files of dataplane/.
 */
#pragma once

#include <net/if.h>

#include "dataplane/internal.h"

/* ---- attached.c ---- */

/* What runs on an interface. */
struct xdp_state {
	uint32_t native_id, generic_id;
};

int xdp_state_get(uint32_t ifindex, struct xdp_state *ret_state);

/* ifindex of the device of a link (0: it is gone) and the program's id. */
int link_info(int link_fd, uint32_t *ret_ifindex, uint32_t *ret_prog_id);

/* By what runs there or, from another namespace, by the program's type and name. */
enum dp_mode link_mode(uint32_t ifindex, uint32_t prog_id);

/* Does the program run on the interface of that index in this namespace? */
bool runs_here(uint32_t ifindex, uint32_t prog_id);

/*
 * Is the link that is pinned under an interface's index of this namespace? -EXDEV: of another
 * one, where an interface has the same index.
 *
 * @alive, @prog_id: as from link_info
 */
int link_check_here(uint32_t ifindex, uint32_t alive, uint32_t prog_id, const char *bpffs,
		    struct dp_error *err);

/* *@info is in and out: pointers in it are filled (see bpf_obj_get_info_by_fd). */
int prog_info(uint32_t id, struct bpf_prog_info *info);

/* A map's id (0: cannot be asked), and whether a program uses it. */
uint32_t map_id(int fd);
bool prog_uses_map(uint32_t prog_id, uint32_t wanted);

/* ---- attach.c ---- */

/* Put our programs in the place of those behind every pinned link. */
int attach_replace(struct dataplane *dp, struct dp_error *err);

/* ---- attach_tc.c ---- */

/*
 * Run on an interface's tc ingress: by a pinned link (TCX) where the kernel has it, else by a
 * clsact filter.
 *
 * Return: 0; -EBUSY another's filter has our handle; -ENOTSUP the kernel has neither; others.
 */
int tc_attach(struct dataplane *dp, uint32_t ifindex, bool ethernet, struct dp_error *err);

/* Does the program run at the tc ingress of that interface of this namespace, by a link? */
bool tc_runs_here(uint32_t ifindex, uint32_t prog_id);

/* The clsact filter that runs one of our programs (of sessions map @sessions_id). */
bool clsact_find(uint32_t ifindex, uint32_t sessions_id, uint32_t *ret_prog_id);

/* Remove it, and the queueing discipline if it was ours and is empty. Return: 0; -ENOENT. */
int clsact_detach(const char *bpffs, uint32_t ifindex, uint32_t sessions_id, struct dp_error *err);

/* The same on every interface of this namespace. */
typedef int (*clsact_fn)(void *ctx, uint32_t ifindex, uint32_t prog_id);
int clsact_each(uint32_t sessions_id, clsact_fn cb, void *ctx);
int clsact_replace(struct dataplane *dp, struct dp_error *err);
bool clsact_any(uint32_t sessions_id);
void clsact_detach_all(const char *bpffs, uint32_t sessions_id);

/* ---- hooks.c ---- */

/* Do packets of interfaces of that ARPHRD_* begin with the IP header? */
bool hook_type_bare(unsigned int type);

/* Do packets of that interface have an Ethernet header? False, too, if there is no such. */
bool hook_ethernet(uint32_t ifindex);

/* Is there an interface among those we are attached to that has none? Its name. */
bool hook_any_bare(const struct dataplane *dp, char ret_name[IF_NAMESIZE]);

/*
 * Which hook is right for an interface.
 *
 * @ret_why: a few words, DP_NOTE_MAX bytes
 *
 * Return: TC; NATIVE: if the driver can do that.
 */
enum dp_mode hook_choose(const struct dataplane *dp, uint32_t ifindex, const char *ifname,
			 char *ret_why);

/* ---- detach.c ---- */

/*
 * @sessions_id: of the session table, by which our programs are known in a dispatcher
 *
 * Return: 0; -ENOENT if we are not there.
 */
int detach_interface(const char *bpffs, uint32_t ifindex, uint32_t sessions_id,
		     struct dp_error *err);

/* ---- dispatch.c ---- */

bool dispatch_possible(void);
int dispatch_attach(struct dataplane *dp, uint32_t ifindex, enum dp_mode mode,
		    struct dp_error *err);

/* Is our program (one that uses the map of id @sessions_id) in the dispatcher of @ifindex? */
bool dispatch_find(uint32_t ifindex, uint32_t sessions_id, enum dp_mode *ret_mode,
		   uint32_t *ret_prog_id);
int dispatch_detach(uint32_t ifindex, uint32_t sessions_id, struct dp_error *err);

/* The same on every interface of this namespace. */
typedef int (*dispatch_fn)(void *ctx, uint32_t ifindex, enum dp_mode mode, uint32_t prog_id);
int dispatch_each(uint32_t sessions_id, dispatch_fn cb, void *ctx);
int dispatch_replace(struct dataplane *dp, struct dp_error *err);
bool dispatch_any(uint32_t sessions_id);
void dispatch_detach_all(uint32_t sessions_id);
