/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's resolver: A and AAAA of a name, looked up separately and at the same time with
 * c-ares inside an sd-event loop. Each family is reported on its own, so that one that fails does
 * not take the other along (G-04). Each lookup has a random port of its own (RFC 5452 9.2). CNAMEs
 * are followed within the answer (RFC 1034 3.6.2).
 *
 * No search domains, no hosts file, no cache: the caller knows what is fresh.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "core/dname.h"
#include "io/ares_loop.h"

#define RESOLVER_ADDRESSES_MAX 64 /* of one answer; more are left out */

struct resolver;

struct resolver_settings {
	struct dns_servers servers;
	uint64_t timeout_ms; /* of a whole lookup, over all servers and tries */
};

enum resolver_outcome {
	RESOLVER_OK,
	RESOLVER_NODATA,
	RESOLVER_NXDOMAIN,
	RESOLVER_FAILED, /* SERVFAIL, REFUSED, malformed, no server can be reached */
	RESOLVER_TIMEOUT,
};

struct resolver_answer {
	int family; /* AF_INET or AF_INET6 */
	enum resolver_outcome outcome;
	const struct fq_addr *addrs; /* with RESOLVER_OK; valid during the call */
	unsigned int count;
	uint32_t ttl_s; /* least TTL of the records and CNAMEs */
};

/*
 * Called twice for each resolver_query, once for each family, never from within
 * resolver_query itself. May call resolver_query, must not call resolver_free.
 */
typedef void (*resolver_fn)(void *ctx, const struct dname *name,
			    const struct resolver_answer *answer);

/*
 * @event: the loop; a reference is taken
 *
 * Return: 0; -EINVAL if a server is not an address; -EDESTADDRREQ if no server is left once our
 * own addresses are taken away; -ENOMEM; another errno of sd-event.
 */
int resolver_new(sd_event *event, const struct resolver_settings *settings, resolver_fn fn,
		 void *ctx, struct resolver **ret_resolver);

/* Ends all lookups without calling back. */
void resolver_free(struct resolver *resolver);
DEFINE_CLEANUP(struct resolver *, resolver_free)

/*
 * Start a lookup of both families. Return: 0; -ENOMEM or another errno, and nothing will be called.
 */
int resolver_query(struct resolver *resolver, const struct dname *name);

/* Lookups under way, each family for itself; NULL: 0. */
unsigned int resolver_in_flight(const struct resolver *resolver);
