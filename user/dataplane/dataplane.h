/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's side of the dataplane: programs loaded, pinned, attached and replaced; maps
 * written; upcalls read; held packets put back; ended sessions removed.
 *
 * Everything lives under one directory of a bpffs and stays when the process ends:
 *
 *	maps/NAME		the maps of the BPF object, and "user" (see struct dp_user)
 *	prog_xdp		program for native mode
 *	prog_xdp_generic	program for generic mode
 *	prog_xdp_inject		program that held packets are put through
 *	prog_tc, prog_tc_l3	programs for tc, if an interface wants them
 *	links/IFINDEX		one link for each interface we are attached to, but by a tc filter
 *	links/IFINDEX_why	why by this hook: where this symbolic link points to
 *
 * Who opens the same directory again takes over what is there. Two processes must not have it
 * open for writing at once: the caller holds a lock. Looking (view.h) needs none.
 *
 * Never logs, never loops, never sleeps. All functions work on the network namespace of the
 * caller. Called by daemon/ (all) and cli/ (dataplane_open_pinned, _attach, _detach).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>
#include <fqdnat/reason.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/ipaddr.h"
#include "dataplane/error.h"
#include "dataplane/expiry.h"

struct dataplane;

/* ---- life ---- */

enum dp_dispatcher {
	DP_DISPATCHER_AUTO, /* libxdp's dispatcher; a link of our own where the kernel has no EXT */
	DP_DISPATCHER_NEVER,
	DP_DISPATCHER_REQUIRE, /* fail rather than use our own link */
};

struct dp_settings {
	const char *bpffs;          /* NULL: FQ_BPFFS_DEFAULT */
	struct fq_settings program; /* see <fqdnat/config.h> */
	uint32_t sessions_max;      /* sessions, not entries */
	uint32_t domains_max;       /* of the edge, with 8 proxy addresses; 0: 131072 */
	uint32_t translations_max;  /* of the gateway, over all scopes; 0: 1048576 */
	enum dp_dispatcher dispatcher;
	bool clsact; /* tc by filters, as before Linux 6.6, also where TCX is there */
	struct expiry_policy expiry;
};

/* "auto", "never", "require". Return: 0; -EINVAL. */
int dp_dispatcher_parse(const char *word, enum dp_dispatcher *ret_dispatcher);

/*
 * Load the programs, take over or make the maps, pin all, and put the new programs in the
 * place of those that are attached, without losing a packet.
 *
 * A pinned session table of another size is kept (its sessions count more); then fewer than
 * sessions_max sessions may be what dataplane_sessions_capacity says. Counters of open sessions are
 * recomputed from the table. What is known of proxy addresses of other pools is forgotten.
 *
 * @settings: copied
 *
 * Return: 0; -EPROTO if the pinned maps have another ABI version; -ENOTSUP if the directory is
 * on no bpffs; other errors of the kernel. @err says what to do.
 */
int dataplane_open(const struct dp_settings *settings, struct dp_error *err,
		   struct dataplane **ret_dp);

/*
 * Open what is pinned, without loading anything: for a CLI that works without the daemon.
 * dataplane_attach and dataplane_detach work; nothing else is meant to be called.
 *
 * Return: 0; -ENOENT if nothing is pinned there; -EPROTO.
 */
int dataplane_open_pinned(const char *bpffs, enum dp_dispatcher dispatcher, struct dp_error *err,
			  struct dataplane **ret_dp);

/*
 * Load the programs anew with other settings and replace those that run. The session table is
 * not touched. If it fails, the old ones go on.
 */
int dataplane_reload(struct dataplane *dp, const struct dp_settings *settings,
		     struct dp_error *err);

/* Close; programs, maps and sessions stay. Accepts NULL. */
void dataplane_free(struct dataplane *dp);
DEFINE_CLEANUP(struct dataplane *, dataplane_free)

/* Sessions the table has room for. */
uint32_t dataplane_sessions_capacity(const struct dataplane *dp);

/* The sessions map and the programs were there before: an earlier daemon's state was taken over. */
bool dataplane_taken_over(const struct dataplane *dp);

/* ---- interfaces (attach.c) ---- */

enum dp_mode {
	DP_MODE_AUTO, /* the right one: see hooks.c */
	DP_MODE_NATIVE,
	DP_MODE_GENERIC,
	DP_MODE_TC,
};

/* "auto", "native", "generic", "tc". Return: 0; -EINVAL. */
int dp_mode_parse(const char *word, enum dp_mode *ret_mode);
const char *dp_mode_name(enum dp_mode mode);

/* Do packets of that interface begin with the IP header? False, too, if there is no such. */
bool dataplane_bare(const char *ifname);

struct dp_attached {
	uint32_t ifindex;
	enum dp_mode mode; /* never AUTO */
	bool dispatcher;   /* by libxdp, beside other programs */
	char note[160];    /* why by this hook */
};

/*
 * Run on an interface. Does nothing if we do already in the right mode. What AUTO means changes
 * with the interfaces: natively attached to one when another one without Ethernet header is
 * attached to, it wants tc.
 *
 * Return: 0; -ENODEV no such interface; -ENETDOWN; -EMEDIUMTYPE neither Ethernet nor IP, or no
 * Ethernet and XDP asked for; -EBUSY another XDP program is there (@err names it); -ENOTSUP the
 * mode or the dispatcher asked for is not possible; -EXDEV: the directory has the link of another
 * namespace's interface with the same index.
 */
int dataplane_attach(struct dataplane *dp, const char *ifname, enum dp_mode mode,
		     struct dp_error *err, struct dp_attached *ret_attached);

/*
 * Run there no longer. The last interface takes every trace with it: maps, programs, sessions
 * and the directory. (A later dataplane_attach of the same @dp pins them again.)
 *
 * Return: 0; -ENODEV no such interface; -ENOENT we are not attached there; -EXDEV what is pinned is
 * of another network namespace.
 */
int dataplane_detach(struct dataplane *dp, const char *ifname, struct dp_error *err);

/*
 * The same without an open dataplane: by what is pinned alone, whatever its version.
 *
 * @bpffs: NULL: FQ_BPFFS_DEFAULT
 */
int dataplane_detach_pinned(const char *bpffs, const char *ifname, struct dp_error *err);

/* Detach everywhere and remove every trace. Return: 0, also if there was nothing. */
int dataplane_purge(const char *bpffs, struct dp_error *err);

/*
 * What is likely to go wrong on an interface, in words: redirected frames that would be lost
 * silently (a veth whose peer has no NAPI, a driver that cannot transmit them), forwarding off,
 * generic mode with segmentation offload.
 *
 * @cb: called for every warning; @text is valid during the call
 *
 * Return: number of warnings; negative errno if the interface cannot be looked at.
 */
typedef void (*dp_warning_fn)(void *ctx, const char *text);
int dataplane_warnings(uint32_t ifindex, enum dp_mode mode, dp_warning_fn cb, void *ctx);

/* ---- addresses and interfaces of this namespace (addr.c) ---- */

enum dp_link_event {
	DP_LINK_UP,   /* there and up: may be attached to */
	DP_LINK_DOWN, /* there and down */
	DP_LINK_GONE,
};

/* An event can come again without anything having changed. @ifname: valid during the call. */
typedef void (*dp_link_fn)(void *ctx, enum dp_link_event event, uint32_t ifindex,
			   const char *ifname);

/* Readable when something has changed. -1: dataplane_open_pinned. */
int dataplane_netlink_fd(const struct dataplane *dp);

/*
 * Read what has changed, bring the addresses (map devs) and the interfaces that take redirected
 * frames (map tx) up to date, remove links of interfaces that are gone, and sessions whose
 * masquerade address has left the namespace; report changes of interfaces that matter for
 * attaching. Done once by dataplane_open itself, without reports.
 *
 * @cb: may be NULL
 *
 * Return: 0; negative errno.
 */
int dataplane_netlink_ready(struct dataplane *dp, dp_link_fn cb, void *ctx);

/* Readable when something has changed that decides about next hops. -1: dataplane_open_pinned. */
int dataplane_hops_fd(const struct dataplane *dp);

/*
 * Have the programs forget the next hops that they remember, if something has changed. Return: 0;
 * negative errno.
 */
int dataplane_hops_ready(struct dataplane *dp);

/*
 * The same, and let the programs remember next hops for 2.5 s from now on: to be called each
 * second, by who watches dataplane_hops_fd. Return: 0; negative errno.
 */
int dataplane_hops_trust(struct dataplane *dp);

/*
 * Look anew which interfaces take redirected frames, because nobody is told when the peer of a veth
 * stops or begins to. Costs some calls of the kernel for every interface. Return: 0; negative
 * errno.
 */
int dataplane_redirect_refresh(struct dataplane *dp);

/* ---- maps (maps.c) ---- */

int dataplane_client_set(struct dataplane *dp, const struct ipprefix *prefix,
			 const struct fq_client *client);
int dataplane_client_del(struct dataplane *dp, const struct ipprefix *prefix);

/* @expires_ns: instant, CLOCK_MONOTONIC; 0: never */
int dataplane_grant_set(struct dataplane *dp, uint32_t client, uint32_t resource,
			uint64_t expires_ns);
int dataplane_grant_del(struct dataplane *dp, uint32_t client, uint32_t resource);

int dataplane_filter_set(struct dataplane *dp, uint32_t resource, const struct fq_filter *filter);
int dataplane_filter_del(struct dataplane *dp, uint32_t resource);

int dataplane_xlat_set(struct dataplane *dp, uint32_t scope, const struct fq_addr *proxy,
		       const struct fq_xlat *xlat);

/* The same for several, as dataplane_edge_set_all. @keys: each once */
int dataplane_xlat_set_all(struct dataplane *dp, const struct fq_xlat_key *keys,
			   const struct fq_xlat *values, unsigned int count);
int dataplane_xlat_del(struct dataplane *dp, uint32_t scope, const struct fq_addr *proxy);

int dataplane_edge_set(struct dataplane *dp, const struct fq_addr *proxy,
		       const struct fq_edge *edge);

/* The same for several proxy addresses. Return: 0; the first error, with all set that can be. */
int dataplane_edge_set_all(struct dataplane *dp, const struct fq_addr *proxies, unsigned int count,
			   const struct fq_edge *edge);
int dataplane_edge_del(struct dataplane *dp, const struct fq_addr *proxy);

/*
 * A remote gateway, to which flows of the verdicts that name it are forwarded.
 *
 * @id:   1 to FQ_GATEWAYS_MAX - 1
 * @addr: its own address; the route to it is the way of all its flows
 * @up:   false: packets of flows that were forwarded to it, and that it has not answered for 5 s,
 *        ask the edge map again, so that they move to another gateway if the verdict says so. It
 *        is no reason to refuse anything: a
 *        verdict to forward to a gateway that is not up is carried out. What nobody has said is
 *        down yet (after a start, say) is up.
 *
 * After deletion, flows ask again, and verdicts that name it refuse (FQ_R_GATEWAY_UNKNOWN).
 *
 * Return: 0; -EINVAL id out of range; errors of the kernel.
 */
int dataplane_gateway_set(struct dataplane *dp, uint32_t id, const struct fq_addr *addr, bool up);
int dataplane_gateway_del(struct dataplane *dp, uint32_t id);

/*
 * What the XDP programs answer about a name, see struct fq_dns; not part of sync.
 *
 * Return: as dnsnames_set (dnsnames.h).
 */
int dataplane_dns_set(struct dataplane *dp, const struct fq_dns_key *key,
		      const struct fq_dns *value);
void dataplane_dns_del(struct dataplane *dp, const struct fq_dns_key *key);

/* As it stands. Return: whether they answer it. */
bool dataplane_dns_get(const struct dataplane *dp, const struct fq_dns_key *key,
		       struct fq_dns *ret_value);

/*
 * A name that they have been asked for at the end of its lease. Readable: some have been, and
 * FQ_DNS_WAKE_NS later there may be others, of which nothing tells.
 *
 * Return of poll: how many were read, at most @max.
 */
typedef void (*dp_asked_fn)(void *ctx, const struct fq_dns_key *key);
int dataplane_dns_asked_fd(const struct dataplane *dp);
unsigned int dataplane_dns_asked_poll(struct dataplane *dp, dp_asked_fn cb, void *ctx,
				      unsigned int max);

/* What they answer for a proxy address, see struct fq_dns_ptr. */
int dataplane_dns_ptr_set(struct dataplane *dp, const struct fq_addr *proxy,
			  const struct fq_dns_ptr *value);
int dataplane_dns_ptr_del(struct dataplane *dp, const struct fq_addr *proxy);

/* Forget all names and addresses. Return: 0; errors of the kernel. */
int dataplane_dns_clear(struct dataplane *dp);

/* The addresses, and no others, whose port 53 they answer. Return: 0; errors of the kernel. */
int dataplane_dns_listen(struct dataplane *dp, const struct fq_addr *addrs, unsigned int count);

/*
 * All of the above: deleting what is not there is no failure.
 *
 * Return: 0; -E2BIG or -ENOSPC if the map is full; other errors of the kernel.
 */

/* If a grant has expired: until when does none of the others? To be called every now and then. */
void dataplane_grants_look(struct dataplane *dp);

/* Sessions are checked anew with their next packet. After a batch of client, grant, filter changes.
 */
void dataplane_policy_changed(struct dataplane *dp);

/*
 * Taking over: between begin and end, every entry that ought to be there is set; end deletes the
 * others, left from before, from clients, grants, filters, xlat, edge and gateways. Nothing is
 * missing at any moment. An entry that is set to the value that it has is not written.
 *
 * Return of end: number of entries deleted; negative errno.
 */
int dataplane_sync_begin(struct dataplane *dp);
int dataplane_sync_end(struct dataplane *dp);

/* A translation that was found at the beginning. @value is good until the translation is changed.
 */
struct dp_xlat {
	uint32_t scope, domain; /* key.scope, value->domain */
	struct fq_xlat_key key;
	const struct fq_xlat *value;
};

/*
 * All of them, by scope and domain. Between begin and end.
 *
 * @ret_list: for the caller to free
 *
 * Return: 0; -ENOMEM.
 */
int dataplane_sync_xlats(const struct dataplane *dp, struct dp_xlat **ret_list, size_t *ret_count);

/* As if it had been set to the value that it has. */
void dataplane_sync_keep(struct dataplane *dp, const struct dp_xlat *xlat);

/*
 * Limits of a client's sessions, and of all sessions of a scope's clients. Every client of the
 * clients map needs one; scope 0 has none.
 *
 * @client: < FQ_CLIENTS_MAX
 * @scope:  < FQ_SCOPES_MAX. When a client gets another one, its open sessions count there.
 */
void dataplane_quota_set(struct dataplane *dp, uint32_t client, uint32_t scope,
			 uint32_t sessions_max);
uint32_t dataplane_quota_used(const struct dataplane *dp, uint32_t client);
void dataplane_scope_quota_set(struct dataplane *dp, uint32_t scope, uint32_t sessions_max);
uint32_t dataplane_scope_quota_used(const struct dataplane *dp, uint32_t scope);

/* Capped at dataplane_sessions_capacity. Return: the limit that holds now. */
uint32_t dataplane_sessions_max_set(struct dataplane *dp, uint32_t sessions_max);
uint32_t dataplane_sessions_used(const struct dataplane *dp);

/* Whether the programs are to tell of every session they open (FQ_UPCALL_SESSION). */
void dataplane_monitor(struct dataplane *dp, bool wanted);

/* Count events that happen in user space; `stats show` adds them to the programs' counters. */
void dataplane_count(struct dataplane *dp, enum fq_reason reason, uint64_t n);

/* ---- upcalls and packets (upcall.c) ---- */

/* Readable when upcalls are waiting. */
int dataplane_upcalls_fd(const struct dataplane *dp);

/*
 * @upcall: aligned; upcall->len bytes of frame follow. HOLD, SLOW: l3_offset and an IP header lie
 * inside. SESSION: the frame is the session's out tuple, FIRST: a struct fq_frag_key. VIA never
 * comes here: it is sent by dataplane_upcalls_poll itself. Valid during the call.
 */
typedef void (*dp_upcall_fn)(void *ctx, const struct fq_upcall *upcall);

/*
 * Read upcalls.
 *
 * @max: at most so many (at least 1)
 *
 * Return: number read; negative errno. Records that contradict themselves are skipped.
 */
int dataplane_upcalls_poll(struct dataplane *dp, dp_upcall_fn cb, void *ctx, unsigned int max);

/*
 * Send an IP packet to a neighbour, whatever the routes say.
 *
 * @header:  an Ethernet header that names the neighbour and the protocol
 * @packet:  IP header first, @len bytes
 * @ifindex: by which interface
 *
 * Return: 0; errors of sendto.
 */
int dataplane_send_via(const struct dataplane *dp, const void *header, const void *packet,
		       size_t len, uint32_t ifindex);

/* Has the first fragment of a datagram been seen, not too long ago? */
bool dataplane_fragment_known(const struct dataplane *dp, const struct fq_frag_key *key);

enum dp_injected {
	DP_INJECT_SENT,     /* translated (or refused by ICMP) and handed to the kernel */
	DP_INJECT_CONSUMED, /* dropped, held again, or on its way as an upcall: counted there */
	DP_INJECT_PASSED,   /* not ours any more */
};

/*
 * Put a held frame back on its way: through the program, as if it had just come in, and what
 * comes out of it through the kernel's routing, which resolves the neighbour and queues.
 *
 * @frame:   Ethernet frame as held, complete checksums; at most FQ_HOLD_FRAME_MAX bytes
 * @ifindex: where it came from
 *
 * Return: 0; -EMSGSIZE shorter or longer than a held frame can be, or than the route's MTU; -ENODEV
 * interface gone; -ENETUNREACH, -ENOBUFS and others of the kernel.
 */
int dataplane_inject(struct dataplane *dp, const void *frame, size_t len, uint32_t ifindex,
		     enum dp_injected *ret_injected);

/*
 * Send an IP packet as it is (addresses, TTL, checksums) by the kernel's routes.
 *
 * @packet: IP header first
 *
 * Return: 0; -EBADMSG not an IP packet of that length; errors of sendto.
 */
int dataplane_send_l3(struct dataplane *dp, const void *packet, size_t len);

/* ---- sessions (sessions.c) ---- */

struct dp_sweep {
	uint64_t examined; /* entries */
	uint64_t expired;  /* sessions */
	uint64_t orphans;  /* entries without their other half */
	bool pass_done;    /* the whole table has been seen since the last true */
};

/*
 * Look at the next part of the session table and remove what has ended. Removed sessions leave a
 * tombstone, so that late packets are dropped (G-43); but not those that were forwarded.
 *
 * @budget: work at most (64 to 65536): each place for an entry is one, who is looked at closely 16
 */
struct dp_sweep dataplane_sweep(struct dataplane *dp, struct instant now, unsigned int budget);

/* Which sessions: all conditions that are set must hold; none set: every session. */
struct dp_pair {
	uint32_t domain, resource;
};

int dp_pair_compare(const void *a, const void *b);

struct dp_match {
	const struct ipprefix *client_addr;
	const struct fq_addr *proxy;
	const struct fq_addr *real;
	const struct fq_addr *nat; /* masquerade address: one of @nats, in the order of memcmp */
	size_t nats;
	const uint32_t *domain;
	const uint32_t *domains; /* one of these, in ascending order */
	size_t domain_count;
	const uint32_t *client;
	const uint32_t *resource;
	const uint16_t *gateway;     /* to which they are forwarded */
	const struct dp_pair *pairs; /* one of these, in ascending order: domain, then resource */
	size_t pair_count;
};

/* Remove sessions at once. Walks the whole table. Return: how many. */
uint64_t dataplane_flush(struct dataplane *dp, const struct dp_match *match, struct instant now);
