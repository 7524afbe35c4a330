/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels of c-ares inside an sd-event loop, and jobs with a deadline on top of them: what the
 * resolver and the upstream forwarder have in common.
 *
 * c-ares 1.18 sends everything that is in flight on a channel from one port for each server.
 * For ports that cannot be guessed (RFC 5452 9.2) a channel takes few queries, then a fresh one
 * takes over and the old one drains. Their number is bounded: beyond it queries are spread over
 * those that drain.
 *
 * c-ares repeats a query and changes servers by its own timers but knows no limit for the
 * whole, and it may call back while the query is still being started. A job is reported
 * exactly once: with its result, or when its deadline has passed, and always from the event loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ares.h>
#include <systemd/sd-event.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "io/ares_servers.h"

struct loop_channel;

struct ares_job {
	TAILQ_ENTRY(ares_job) entry;
	uint64_t deadline_us;         /* CLOCK_MONOTONIC; 0: postponed */
	bool waiting;                 /* not reported yet */
	struct loop_channel *channel; /* until c-ares has called back */
};

/* The job is to be reported: its deadline has passed, or it was postponed. */
typedef void (*ares_job_fn)(void *ctx, struct ares_job *job);

struct ares_loop_settings {
	uint64_t timeout_ms;       /* of a job; c-ares' tries are fitted into it */
	unsigned int queries_each; /* of a channel, over its life */
	unsigned int channels_max;
	struct fq_addr source; /* of queries, to servers of its IP version; zero: any */
	ares_job_fn fn;        /* called from the event loop */
	void *ctx;
};

struct ares_loop;

/*
 * @settings: copied
 *
 * Return: 0; -EINVAL if a server is no address; -EDESTADDRREQ if none is left once our own are
 * taken away; -ENOMEM; another errno of sd-event.
 */
int ares_loop_open(sd_event *event, const struct dns_servers *servers,
		   const struct ares_loop_settings *settings, struct ares_loop **ret_loop);

/* Ends all queries: c-ares calls back with ARES_EDESTRUCTION, then @fn is called for what waits. */
void ares_loop_close(struct ares_loop *loop);
DEFINE_CLEANUP(struct ares_loop *, ares_loop_close)

/*
 * Brackets around calls that start queries.
 *
 * @queries:     how many, at most: they share a port
 * @ret_channel: for ares_query and ares_send, until ares_loop_end
 *
 * Return: 0; -ENOMEM or another errno, and then there is nothing to end.
 */
int ares_loop_begin(struct ares_loop *loop, unsigned int queries, ares_channel *ret_channel);
void ares_loop_end(struct ares_loop *loop);

/* The job waits from now on, for exactly one query; between begin and end. */
void ares_loop_add(struct ares_loop *loop, struct ares_job *job);

/*
 * c-ares has called back for the job.
 *
 * Return: whether the caller reports it now. If not, it was reported already, or it is postponed
 * (job->waiting) because the query is still being started.
 */
bool ares_loop_finish(struct ares_loop *loop, struct ares_job *job);
