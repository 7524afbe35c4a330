/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the namespace is like, and the maps that say so to the programs: addresses, VLAN devices,
 * next hops, interfaces that take redirected frames. For the files of dataplane/.
 */
#pragma once

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"

/* ---- rtnl.c ---- */

#define RTNL_BUFFER 32768 /* as large as a datagram of the kernel gets */

struct nlmsghdr;

/* @groups: RTMGRP_*; 0: to ask only */
int rtnl_open(unsigned int groups, int *ret_fd);

/* What is made of each message of a dump. Return: 0; negative errno ends it. */
typedef int (*rtnl_fn)(void *ctx, const struct nlmsghdr *h);

/*
 * @type: RTM_GETADDR or RTM_GETLINK
 *
 * Return: 0; -EINTR: something changed meanwhile and part may be missing; what @cb returned;
 * negative errno.
 */
int rtnl_dump(uint16_t type, rtnl_fn cb, void *ctx);

/* The same by a request of one's own, whose flags are filled in. */
int rtnl_dump_request(struct nlmsghdr *request, rtnl_fn cb, void *ctx);

/* Make the kernel look for a neighbour, as a packet to it would. */
int rtnl_neighbour_use(uint32_t ifindex, const struct fq_addr *addr);

/* ---- addr.c ---- */

int addr_open(struct dataplane *dp);

/* ---- vlan.c ---- */

/*
 * Write the map of VLAN devices anew, by what is there and what we are attached to.
 *
 * Return: 0; -EINTR: something changed meanwhile, and is reported; negative errno.
 */
int vlan_refresh(struct dataplane *dp);

/* The frames of a VLAN device are not ours any more. */
void vlan_forget(int vlans_fd, uint32_t ifindex);

/* The interface below a VLAN device, and its id. 0: it is none. */
uint32_t vlan_lower(int vlans_fd, uint32_t ifindex, uint32_t *ret_vid);

/* Is there a VLAN device above the interface? */
bool vlan_above(uint32_t ifindex);

/* If the interface below takes the frames of a VLAN device of ours, say so in its note. */
void vlan_note(int vlans_fd, uint32_t sessions_id, uint32_t ifindex, char note[DP_NOTE_MAX]);

/* ---- hops.c ---- */

/* Listen to what decides about next hops. Nothing is vouched for yet. */
int hops_open(struct dataplane *dp);
void hops_close(struct dataplane *dp);

/*
 * What sessions remember, their permission and their next hops, may not be right any more: begin a
 * new generation.
 */
void generation_begin(struct dataplane *dp);

/* ---- warn.c ---- */

bool is_veth(const char *ifname);

/* May VLAN tags be taken off frames before XDP sees them? */
bool vlan_tags_hidden(uint32_t ifindex, const char *ifname);

/* ---- redirect.c, the first one warn.c ---- */

/* Does the interface take redirected frames from native XDP, and do they arrive? */
bool redirect_possible(uint32_t ifindex);

/* Put into the tx map the interfaces of this namespace that do, and no others. @vlans_fd: -1: none
 */
int redirect_refresh(int tx_fd, int vlans_fd);
