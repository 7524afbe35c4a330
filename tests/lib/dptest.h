/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway to try the dataplane on: network namespaces of a client, of the gateway (the test
 * itself) and of a server, and a bpffs of its own. All of it ends with the process.
 *
 *	client c0 192.0.2.2, 2001:db8:1::2 -- cl 192.0.2.1, 2001:db8:1::1 gateway
 *	gateway sv 198.51.100.1, 2001:db8:2::1 -- s0 198.51.100.2, 2001:db8:2::2 server
 *
 * The peers have GRO on, so that they take redirected frames. Root is needed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/view.h"

#define DPT_CLIENT4 "192.0.2.2"
#define DPT_CLIENT6 "2001:db8:1::2"
#define DPT_GW4     "198.51.100.1"
#define DPT_GW6     "2001:db8:2::1"
#define DPT_SERVER4 "198.51.100.2"
#define DPT_SERVER6 "2001:db8:2::2"
#define DPT_PROXY4  "100.96.0.1"
#define DPT_PROXY6  "fd00:2021:1111:8000::1"

#define DPT_CLIENT   1
#define DPT_RESOURCE 5
#define DPT_DOMAIN   9

enum dpt_side {
	DPT_GATEWAY,
	DPT_CLIENT_SIDE,
	DPT_SERVER_SIDE,
};

/* cmocka group setup and teardown. */
int dpt_enter(void **state);
int dpt_leave(void **state);

/* cmocka test teardown: nothing attached, nothing pinned. */
int dpt_clean(void **state);

/* The bpffs's directory for the programs; it exists only while something is pinned. */
const char *dpt_bpffs(void);

/* Run a command in a namespace; fails the test if the command fails. */
void dpt_run(enum dpt_side side, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A socket in a namespace. @local: address to bind to, or NULL; @port: 0 any. Non-blocking. */
int dpt_socket(enum dpt_side side, int type, const char *local, uint16_t port);

/* Send a datagram of @len bytes. */
void dpt_send(int fd, const char *to, uint16_t port, const void *bytes, size_t len);

/* Wait up to 3 s until the socket has something. */
bool dpt_readable(int fd);

struct dp_settings dpt_settings(void);

/* Open, fail the test otherwise. */
struct dataplane *dpt_open(void);

/*
 * The world: client DPT_CLIENT, resource DPT_RESOURCE (no filter, granted), domain DPT_DOMAIN with
 * the two proxy addresses, confirmed.
 */
void dpt_world(struct dataplane *dp);

/* Attach to cl and sv, natively. */
void dpt_attach(struct dataplane *dp);

struct fq_addr dpt_addr(const char *text);

/* Read upcalls and send those that are translated, as the daemon does. Returns how many. */
unsigned int dpt_slow(struct dataplane *dp);

/* A counter by a view of its own. */
uint64_t dpt_count(enum fq_reason reason);

/* XDP programs on an interface of the gateway. */
bool dpt_has_program(const char *ifname);

/* Pinned links. */
unsigned int dpt_links(void);

/* Make the two entries of a session; times in ns. */
struct dpt_session {
	uint8_t proto;
	uint16_t client_port, nat_port, port;
	const char *client, *proxy, *nat, *real;    /* NULL: the world's */
	uint32_t client_id, resource_id, domain_id; /* 0: the world's */
	uint16_t gateway;                           /* that it is forwarded to */
	uint64_t created, last_out, last_in;
	uint8_t seen_out, seen_in;
	bool no_out, no_in; /* only half of it */
	bool uncounted;     /* leave the counters alone */
};

void dpt_session(struct dataplane *dp, const struct dpt_session *session);

/* Entries of the session table, and of the tombstones. */
uint64_t dpt_entries(const char *map);
