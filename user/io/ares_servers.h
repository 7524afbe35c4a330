/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS servers that are asked, from text to what c-ares takes, without our own listeners. It
 * neither opens nor asks anything; io/ares_loop.c calls it once.
 */
#pragma once

#include <ares.h>

#include <fqdnat/abi.h>

#include "io/dns_listen.h"

#define ARES_SERVERS_MAX 16

/* Which servers are asked. */
struct dns_servers {
	/*
	 * "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353"; "system" stands
	 * for those of resolv.conf(5). None at all is as "system" alone.
	 */
	const char *const *text;
	unsigned int count;

	/*
	 * Our own listeners, left out so that no query goes in circles: exactly these addresses
	 * and ports, and for a wildcard every address this host has now, with that port.
	 */
	const struct dns_listen *own;
	unsigned int own_count;
};

/* Nodes linked to each other: must not be moved. */
struct ares_servers {
	struct ares_addr_port_node node[ARES_SERVERS_MAX];
	unsigned int count;
};

/*
 * Return: 0; -EINVAL if a server is no address; -EDESTADDRREQ if none is left once our own are
 * taken away; -ENOMEM; errnos of getifaddrs.
 */
int ares_servers_make(const struct dns_servers *servers, struct ares_servers *ret_list);
