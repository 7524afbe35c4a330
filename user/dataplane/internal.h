/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of dataplane/ share; nobody else includes it. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/dataplane.h"
#include "dataplane/grace.h"
#include "dataplane/table.h"

#define DP_PATH_MAX 256
#define DP_BATCH    1024 /* entries of one batched lookup */

#define DP_DOMAIN_ENTRIES 8 /* of the edge map: a domain's proxy addresses */

enum dp_map {
	M_CONTROL,
	M_SESSIONS,
	M_SESSIONS_COLD,
	M_SESSIONS_SIX,
	M_TOMBSTONES,
	M_CLIENTS,
	M_GRANTS,
	M_FILTERS,
	M_XLAT,
	M_EDGE,
	M_GATEWAYS,
	M_DEVS,
	M_VLANS,
	M_HOPS,
	M_TX,
	M_QUOTA,
	M_STATS,
	M_ICMP_BUCKETS,
	M_ICMP_CPU,
	M_FRAGMENTS,
	M_FRAG_CPU,
	M_IP_IDS,
	M_DNS,
	M_DNS_ADDRS,
	M_UPCALLS,
	M_USER,
	M_COUNT
};

/* What a pinned map has to be; the programs' own expectation is checked by libbpf. */
struct map_spec {
	const char *name;
	enum bpf_map_type type;
	uint32_t key_size, value_size;
};

extern const struct map_spec map_specs[M_COUNT];

/* Those for tc are an object of their own, loaded when an interface wants them (load_tc.c). */
enum dp_prog { P_NATIVE, P_GENERIC, P_INJECT, P_TC, P_TC_L3, P_COUNT };

#define P_XDP_COUNT P_TC

extern const char *const prog_pins[P_COUNT];
extern const char *const prog_names[P_COUNT];

/*
 * Map "user": one mmapable element written by the daemon alone, for those who look: events
 * counted in user space, and the times by which sessions expire.
 */
#define DP_EVENTS_MAX 256

struct dp_user {
	uint64_t events[DP_EVENTS_MAX]; /* by enum fq_reason */
	struct expiry_policy expiry;
};

_Static_assert(FQ_REASON_MAX <= DP_EVENTS_MAX, "room for every reason");
_Static_assert(sizeof(struct dp_user) == 8 * DP_EVENTS_MAX + 56, "pinned: a change is a new ABI");

struct sync;
struct ring_buffer;

struct dataplane {
	char bpffs[DP_PATH_MAX];
	struct dp_settings settings;
	bool loaded; /* false: dataplane_open_pinned */
	bool taken_over;

	int maps[M_COUNT];
	int progs[P_COUNT];
	uint32_t capacity;              /* sessions */
	uint32_t domains, translations; /* that the maps have room for */
	struct fq_control *control;     /* these three: mapped */
	struct fq_quota *quota;
	struct dp_user *user;

	struct sync *sync; /* sync.c */

	struct ring_buffer *ring; /* upcall.c */
	dp_upcall_fn upcall_cb;
	void *upcall_ctx;
	unsigned int upcall_left, upcall_read;
	int raw4, raw6, packet;

	int netlink;        /* addr.c */
	bool netlink_dirty; /* the devs map may be behind */
	bool links_dirty;   /* the tx map and pinned links may be behind */
	bool netlink_lost;  /* changes of interfaces have been lost */

	int hops; /* netlink socket of hops.c */

	struct session_table table; /* mapped; sessions.c */
	struct grace *grace;
	struct {
		uint32_t next; /* index */
		bool thorough; /* look for orphans among busy entries, too */
	} sweep;
};

/* ---- bpffs.c: the directory ---- */

/* Paths inside it. Return: 0; -ENAMETOOLONG. */
int dp_path(char path[DP_PATH_MAX], const char *bpffs, const char *leaf);
int dp_path_map(char path[DP_PATH_MAX], const char *bpffs, enum dp_map map);
int dp_path_link(char path[DP_PATH_MAX], const char *bpffs, uint32_t ifindex);

/*
 * A word about an interface, kept beside its link as long as we are attached: where a symbolic link
 * points to. Setting NULL or "" removes it. What is not there is "".
 */
#define DP_NOTE_MAX 160
void bpffs_note_set(const char *bpffs, uint32_t ifindex, const char *note);
void bpffs_note_get(const char *bpffs, uint32_t ifindex, char ret_note[DP_NOTE_MAX]);

/* That we have made the clsact queueing discipline of an interface: the same way. */
void bpffs_qdisc_set(const char *bpffs, uint32_t ifindex, bool ours);
bool bpffs_qdisc_get(const char *bpffs, uint32_t ifindex);

/* Make the directory; mount /sys/fs/bpf if that is where it is and nothing is mounted. */
int bpffs_prepare(const char *bpffs, struct dp_error *err);

/* Remove the directories that are empty. */
void bpffs_tidy(const char *bpffs);

/* Remove what a process that died between pinning and renaming has left. */
void bpffs_remove_unfinished(const char *bpffs);

/* Remove pinned maps and programs, then the directories. Links are the caller's. */
void bpffs_unpin(const char *bpffs);

/* Pin @fd at @path, in the place of what is pinned there. */
int bpffs_pin(int fd, const char *path);

/* Every pinned link: fd and the interface's index by its file name. @cb returns non-zero to end. */
typedef int (*bpffs_link_fn)(void *ctx, int fd, uint32_t ifindex, const char *path);
int bpffs_links(const char *bpffs, bpffs_link_fn cb, void *ctx);

/* Open the pinned maps into @maps (-1 where there is none) and check what they are. */
int bpffs_open_maps(const char *bpffs, uint32_t file_flags, struct dp_error *err,
		    int maps[M_COUNT]);
void close_fds(int *fds, size_t n);

/* ---- load.c: the BPF object ---- */

/*
 * Load the XDP programs on top of @maps; what is -1 is made and filled in.
 *
 * @ret_progs: P_XDP_COUNT program fds, owned by the caller
 */
int load_object(const struct dp_settings *settings, int maps[M_COUNT], struct dp_error *err,
		int ret_progs[P_COUNT]);

/* An object opened on top of @maps, not loaded, only @prog in it: for libxdp. */
int load_prepare(const struct fq_settings *settings, const int maps[M_COUNT], enum dp_prog prog,
		 struct bpf_object **ret_object, void **ret_skeleton);
void load_release(void *skeleton);

/* What all objects of ours need. */
int load_reuse_maps(const struct bpf_object *obj, const int maps[M_COUNT]);
int load_take_programs(const struct bpf_object *obj, enum dp_prog first, enum dp_prog last,
		       int ret_progs[P_COUNT]);

/* ---- load_tc.c ---- */

/* Load the programs for tc, all maps given, into @ret_progs[P_TC] and [P_TC_L3]. */
int load_tc(const struct fq_settings *settings, const int maps[M_COUNT], struct dp_error *err,
	    int ret_progs[P_COUNT]);

/* The same with what @dp has, and pin them, unless that is done. */
int load_tc_once(struct dataplane *dp, struct dp_error *err);

/* The settings of a loaded XDP program, from the map of its read-only data. */
int load_settings_from(int prog_fd, struct fq_settings *ret_settings);

/*
 * The settings that a loaded program was given.
 *
 * @rodata_fd: map of its read-only data, of @size bytes
 *
 * Return: 0; -EPROTO: they are not there; negative errno.
 */
int load_settings_of(int rodata_fd, uint32_t size, struct fq_settings *ret_settings);

/* Keep the words of libbpf and libxdp for an error text. */
void log_capture(void);
const char *log_captured(void);

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

/* ---- mapwalk.c ---- */

typedef int (*map_walk_fn)(void *ctx, const void *key, const void *value);

/*
 * Every entry of a map, in batches where it has them. @value is NULL where the map has no
 * batches. @cb may delete the entry it is shown.
 *
 * Return: 0; what @cb returned if not 0; negative errno.
 */
int map_walk(enum dp_map map, int fd, map_walk_fn cb, void *ctx);

/* Does map_walk tell values? */
bool map_has_batches(enum dp_map map);

/* Number of entries. */
int map_count(enum dp_map map, int fd, uint64_t *ret_count);

/* ---- sessions.c ---- */

/*
 * Have a dead entry freed, which somebody else has removed or left (@again: another process); the
 * second: all that are there.
 */
void sessions_bring_out(struct dataplane *dp, uint32_t index, bool again);
void sessions_bring_out_all(struct dataplane *dp);

/* Compute open sessions of control and quota from the table. */
int sessions_recount(struct dataplane *dp);

bool session_matches(const struct dp_match *m, const struct fq_tuple *out_key,
		     const struct session_entry *out);

/* ---- upcall.c ---- */

int upcall_open(struct dataplane *dp);
void upcall_close(struct dataplane *dp);

/* ---- maps.c ---- */

/* Return: 0, also if there is no such entry; errors of the kernel. */
int map_del(struct dataplane *dp, enum dp_map map, const void *key);

/* Elements of an array stay; without an address they are no gateways. Return: 1 if it was one; 0;
 * negative errno. */
int gateway_clear(struct dataplane *dp, uint32_t id);

/* ---- sync.c: all of it does nothing unless maps are being taken over ---- */

/* Is the entry there with this very value? Then it is kept, and need not be written. */
bool sync_is_kept(struct dataplane *dp, enum dp_map map, const void *key, const void *value);

/* sync_is_kept of these is to follow: reach for them all at once. */
void sync_expect(const struct dataplane *dp, enum dp_map map, const void *keys, unsigned int count);

/* It was written, or deleted, since. */
void sync_written(struct dataplane *dp, enum dp_map map, const void *key, const void *value);
void sync_deleted(struct dataplane *dp, enum dp_map map, const void *key);
void sync_gateway(struct dataplane *dp, uint32_t id, bool set);

void sync_free(struct sync *sync);

/* ---- dataplane.c ---- */

/* Pin what is not pinned (any more), and the programs in the place of those pinned. */
int dataplane_pin(struct dataplane *dp, struct dp_error *err);
