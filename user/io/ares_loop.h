/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A c-ares channel inside an sd-event loop, and jobs with a deadline on top of it: what the
 * resolver and the upstream forwarder have in common.
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

#define DNS_PORT 53

/* Which servers are asked. */
struct dns_servers {
	/*
	 * "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353"; "system" stands
	 * for those of resolv.conf(5). None at all is as "system" alone.
	 */
	const char *const *text;
	unsigned int count;

	/* Our own listening addresses and port, left out so that no query goes in circles. */
	const struct fq_addr *own;
	unsigned int own_count;
	uint16_t own_port; /* host order; 0: DNS_PORT */
};

struct ares_job {
	TAILQ_ENTRY(ares_job) entry;
	uint64_t deadline_us; /* CLOCK_MONOTONIC; 0: postponed */
	bool waiting;         /* not reported yet */
};

/* The job is to be reported: its deadline has passed, or it was postponed. */
typedef void (*ares_job_fn)(void *ctx, struct ares_job *job);

struct ares_loop;

/*
 * @timeout_ms: of a job; c-ares' tries are fitted into it
 * @fn, @ctx:   called from the event loop
 *
 * Return: 0; -EINVAL if a server is no address; -EDESTADDRREQ if none is left once our own are
 * taken away; -ENOMEM; another errno of sd-event.
 */
int ares_loop_open(sd_event *event, const struct dns_servers *servers, uint64_t timeout_ms,
		   ares_job_fn fn, void *ctx, struct ares_loop **ret_loop);

/* Ends all queries: c-ares calls back with ARES_EDESTRUCTION, then @fn is called for what waits. */
void ares_loop_close(struct ares_loop *loop);
DEFINE_CLEANUP(struct ares_loop *, ares_loop_close)

/* The channel, for ares_query and ares_send between ares_loop_begin and ares_loop_end. */
ares_channel ares_loop_channel(struct ares_loop *loop);

/* Brackets around calls that start queries. */
void ares_loop_begin(struct ares_loop *loop);
void ares_loop_end(struct ares_loop *loop);

/* The job waits from now on. */
void ares_loop_add(struct ares_loop *loop, struct ares_job *job);

/*
 * c-ares has called back for the job.
 *
 * Return: whether the caller reports it now. If not, it was reported already, or it is postponed
 * (job->waiting) because the query is still being started.
 */
bool ares_loop_finish(struct ares_loop *loop, struct ares_job *job);
