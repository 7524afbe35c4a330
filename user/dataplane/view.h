/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at a dataplane: read-only, by the pins alone, with or without a daemon.
 *
 * Never changes anything, never logs. Called by cli/ (and daemon/ for its own answers). Rows are
 * handed to callbacks, valid during the call; a callback ends the walk by returning non-zero,
 * which the walk returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <fqdnat/abi.h>
#include <fqdnat/reason.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "dataplane/dataplane.h"
#include "dataplane/error.h"
#include "dataplane/expiry.h"

struct dpview;

/*
 * @bpffs: NULL: FQ_BPFFS_DEFAULT
 *
 * Return: 0; -ENOENT nothing is pinned there; -EPROTO other ABI version; -EPERM.
 */
int dpview_open(const char *bpffs, struct dp_error *err, struct dpview **ret_view);
void dpview_free(struct dpview *view);
DEFINE_CLEANUP(struct dpview *, dpview_free)

struct dpview_session {
	uint8_t proto;            /* IPPROTO_TCP, _UDP, _ICMP, _ICMPV6 */
	enum session_state state; /* session_state_name */
	struct fq_addr client, proxy;
	struct fq_addr nat, real; /* zero if there is a gateway: only that one knows */
	/* Host order. ICMP: the id in client_port and nat_port, 0 in the others. */
	uint16_t client_port, port, nat_port, real_port;
	uint16_t gateway; /* to which the flow is forwarded; 0: translated here */
	uint32_t client_id, resource_id, domain_id;
	uint64_t packets_out, bytes_out, packets_in, bytes_in;
	int64_t idle_ns;    /* since the last packet in either direction */
	int64_t expires_ns; /* until removal; not below 0 */
};

typedef int (*dpview_session_fn)(void *ctx, const struct dpview_session *row);

/* @match: as for dataplane_flush; NULL: all. */
int dpview_sessions(struct dpview *view, const struct dp_match *match, struct instant now,
		    dpview_session_fn cb, void *ctx);

struct dpview_proxy {
	struct fq_addr proxy;
	uint32_t scope; /* 0: the edge in this process */
	uint32_t domain_id;
	bool has_edge; /* the edge knows it: @edge */
	bool has_xlat; /* the gateway knows it: @xlat */
	struct fq_edge edge;
	struct fq_xlat xlat; /* xlat.has_real, xlat.real */
};

typedef int (*dpview_proxy_fn)(void *ctx, const struct dpview_proxy *row);
int dpview_proxies(struct dpview *view, dpview_proxy_fn cb, void *ctx);

/* Sums over CPUs and user space; index enum fq_reason. */
int dpview_stats(struct dpview *view, struct fq_count ret_counts[FQ_REASON_MAX]);

#define DPVIEW_WARNINGS_MAX 8

struct dpview_prog {
	char dev[16]; /* empty: not in this network namespace */
	uint32_t ifindex;
	enum dp_mode mode;
	bool dispatcher;
	bool filter;   /* tc: a clsact filter, not a link */
	char why[160]; /* why by this hook; empty: attached by an older version */
	uint32_t id;
	uint64_t run_cnt; /* of the program, over all its interfaces; 0 unless profiled */
	uint64_t run_time_ns;
	unsigned int warning_count;
	char warning[DPVIEW_WARNINGS_MAX][256];
};

typedef int (*dpview_prog_fn)(void *ctx, const struct dpview_prog *row);
int dpview_progs(struct dpview *view, dpview_prog_fn cb, void *ctx);

struct dpview_limit {
	const char *name;
	uint64_t used, max;
};

/* Every map and counter that has a limit; "upcalls" is in bytes. */
typedef int (*dpview_limit_fn)(void *ctx, const struct dpview_limit *row);
int dpview_limits(struct dpview *view, dpview_limit_fn cb, void *ctx);

/* Whether the map has a grant of @resource for @client, expired or not. */
bool dpview_granted(struct dpview *view, uint32_t client, uint32_t resource);

/* Open sessions of a client, of a scope's clients, and the quota. -ENOENT: no such index. */
int dpview_quota(struct dpview *view, uint32_t client, struct fq_quota *ret_quota);
int dpview_scope_quota(struct dpview *view, uint32_t scope, struct fq_quota *ret_quota);

/* A gateway as the programs see it. Return: 0; -ENOENT if there is none of that id. */
int dpview_gateway(struct dpview *view, uint32_t id, struct fq_gateway *ret_gateway);

struct dpview_profile {
	uint32_t id;
	char name[16]; /* as the kernel knows the program */
	uint64_t run_cnt;
	uint64_t run_time_ns; /* of these runs */
};

/*
 * Count runs and their time for @seconds; the caller sleeps in here. The kernel measures only
 * meanwhile (it costs every BPF program of the machine some 30 ns a run).
 *
 * Return: 0; -EINTR if a signal came; -EPERM.
 */
typedef int (*dpview_profile_fn)(void *ctx, const struct dpview_profile *row);
int dpview_profile(struct dpview *view, unsigned int seconds, struct dp_error *err,
		   dpview_profile_fn cb, void *ctx);
