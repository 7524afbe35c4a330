/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarding of DNS queries of any type to the upstream servers, bytes in and bytes out, with
 * c-ares inside an sd-event loop. The query goes out as it came, EDNS and all, with an ID of
 * our own and from a random port that at most eight queries share, or a few more where
 * hundreds wait for answers (RFC 5452 9.2); the answer comes back with the client's ID.
 * A truncated answer is asked for again over TCP (RFC 7766 5), and so is one of more than 512
 * bytes, because c-ares 1.18 does not look at the EDNS of a query that it only carries.
 *
 * It neither parses nor caches. Servers that are our own listening addresses are left out, so that
 * no query goes in circles.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "io/ares_loop.h"

struct upstream;

struct upstream_settings {
	struct dns_servers servers; /* our own listening addresses among them: see there */
	struct fq_addr source;      /* of queries, to servers of its IP version; zero: any */
	uint64_t timeout_ms;        /* of a whole query, over all servers and tries */
	unsigned int in_flight_max;
};

enum upstream_outcome {
	UPSTREAM_ANSWERED, /* whatever the RCODE */
	UPSTREAM_TIMEOUT,
	UPSTREAM_FAILED, /* no server could be reached, or none sent DNS */
};

/* @bytes: the answer, with UPSTREAM_ANSWERED; valid during the call */
typedef void (*upstream_fn)(void *ctx, enum upstream_outcome outcome, const uint8_t *bytes,
			    size_t len);

/*
 * Return: 0; -EINVAL if a server is not an address; -EDESTADDRREQ if no server is left once our
 * own addresses are taken away; -ENOMEM; another errno of sd-event.
 */
int upstream_new(sd_event *event, const struct upstream_settings *settings,
		 struct upstream **ret_upstream);

/* Ends all queries without calling back. */
void upstream_free(struct upstream *upstream);
DEFINE_CLEANUP(struct upstream *, upstream_free)

/*
 * Forward a query; @fn is called once with @ctx, never from within this function.
 *
 * Return: 0; -EBADMSG if it is shorter than a DNS header; -EBUSY if too many are in flight;
 * -ENOMEM or another errno. After a failure @fn is not called.
 */
int upstream_forward(struct upstream *upstream, const uint8_t *query, size_t len, upstream_fn fn,
		     void *ctx);

/* Queries under way; NULL: 0. */
unsigned int upstream_in_flight(const struct upstream *upstream);
