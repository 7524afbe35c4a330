/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF programs under test: loaded with a world of their own, run by BPF_PROG_TEST_RUN.
 *
 * prog_enter moves the process into a network namespace it has for itself, with a client's
 * and a server's side (veth, addresses, permanent neighbours, forwarding on), so that the FIB
 * answers as on a gateway. Nothing is sent: a test run ends with the verdict. Root is needed.
 *
 * The world, see prog_reset: client 1 (192.0.2.0/24, 2001:db8:1::/64), resource 5 (no filter,
 * granted), domain 9 with one proxy address a family that means SERVER4 and SERVER6, confirmed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>
#include <fqdnat/reason.h>

#include "dataplane/dnsnames.h"
#include "dataplane/proxies.h"
#include "dataplane/table.h"
#include "pkt.h"

struct fqdnat_bpf;
struct fqdnat_tc_bpf;
struct ring_buffer;

#define CLIENT4    "192.0.2.2"
#define CLIENT6    "2001:db8:1::2"
#define GW_CLIENT4 "192.0.2.1"
#define GW_CLIENT6 "2001:db8:1::1"
#define GW4        "198.51.100.1" /* towards the server; masquerade address */
#define GW6        "2001:db8:2::1"
#define SERVER4    "198.51.100.2"
#define SERVER6    "2001:db8:2::2"
#define SILENT4    "198.51.100.9" /* on the server's link, neighbour unknown */
#define SILENT6    "2001:db8:2::9"
#define NARROW4    "198.51.103.1"  /* by a route with an MTU of 600 */
#define NARROW6    "2001:db8:3::1" /* 1280 */
#define PROXY4     "100.96.0.10"
#define PROXY6     "fd00:2021:1111:8000::10"
#define PROXY4_B   "100.96.0.11" /* in the pools, not assigned */
#define PROXY6_B   "fd00:2021:1111:8000::11"

#define CLIENT   1
#define SCOPE    0
#define RESOURCE 5
#define DOMAIN   9

#define PROG_UPCALLS      16
#define PROG_SESSIONS_CAP 2048 /* entries of the session table, two a session */
#define PROG_SLOTS        4096
#define PROG_NAMES        8192

/* A struct fq_upcall with room for its frame. */
struct prog_upcall {
	uint32_t kind, domain, ifindex, len;
	uint16_t l3_offset, gateway, mtu;
	struct fq_addr proxy;
	uint8_t frame[FQ_HOLD_FRAME_MAX];
};

/* The program that is run. */
enum prog_kind {
	PROG_NATIVE,
	PROG_GENERIC,
	PROG_TC,
	PROG_ALL,  /* every one is loaded; the native one is run */
	PROG_VLAN, /* the native one; both sides are VLAN devices on one trunk */
};

/* PROG_VLAN: the ids, and what else is in the tags that come in (PCP 5, DEI). */
#define PROG_VID(side)  ((side) == CLIENT_SIDE ? 100 : 4094)
#define PROG_VLAN_FLAGS 0xb000

struct prog {
	struct fqdnat_bpf *skel; /* its maps are those of the tc program, too */
	struct fqdnat_tc_bpf *tc;
	struct ring_buffer *ring;
	struct fq_control *control; /* mapped */
	struct session_table table; /* mapped */
	struct proxies *proxies;
	struct proxy_usage proxy_usage;
	struct dnsnames *names;
	struct dnsnames_usage names_usage;
	int fd;            /* of the program that is run */
	uint32_t gso_size; /* tc: of the packets that it is given; 0: each is one */
	uint32_t trunk;    /* PROG_VLAN: interface on which all packets come in; else 0 */
	struct prog_upcall upcall[PROG_UPCALLS];
	unsigned int upcalls; /* received since prog_reset */
};

struct prog_result {
	int verdict; /* XDP_*, also of the tc program: the one that means the same */
	enum fq_reason reason;
	struct fq_count count[FQ_REASON_MAX]; /* gained by this run */
	struct pkt out;
};

enum prog_side {
	CLIENT_SIDE,
	SERVER_SIDE,
};

/* cmocka group setup: the namespace. Fails if that cannot be made. */
int prog_enter(void **state);

/* Settings of the world: AUTO masquerade, ports 1024-65535 without 32768-60999. */
struct fq_settings prog_settings(void);

/* Load a program with these settings. NULL: the usual. */
struct prog *prog_new(const struct fq_settings *settings, enum prog_kind kind);
void prog_free(struct prog *t);

/* Empty all maps and set up the world again. */
void prog_reset(struct prog *t);

/* cmocka group setup and teardown, test setup: one usual program for the group. */
int prog_group_setup(void **state);
int prog_group_setup_generic(void **state);
int prog_group_setup_tc(void **state);
int prog_group_setup_vlan(void **state);
int prog_group_teardown(void **state);
int prog_test_setup(void **state);

uint32_t prog_ifindex(enum prog_side side);

/*
 * Run once. Fails unless exactly one reason that is a packet's fate has been counted.
 *
 * PROG_VLAN: the packet is given a tag, and what comes out has to have the right one: the other
 * side's if it is translated, the same side's if it is an answer, the very same if it is the
 * kernel's. It is taken off, so that tests need not know of it.
 */
void prog_run(struct prog *t, const struct pkt *in, enum prog_side side, struct prog_result *ret);

/* The same on any interface, as it is. */
void prog_run_on(struct prog *t, const struct pkt *in, uint32_t ifindex, struct prog_result *ret);

/* Run and compare what tests compare always. @expected NULL: the frame is unchanged. */
void prog_expect(struct prog *t, const struct pkt *in, enum prog_side side, enum fq_reason reason,
		 const struct pkt *expected);

/* Run a packet that is refused: the ICMP error @type/@code/@mtu from @src comes back. */
void prog_expect_refused(struct prog *t, const struct pkt *in, enum prog_side side,
			 enum fq_reason reason, const char *src, uint8_t type, uint8_t code,
			 uint16_t mtu);

/* Fetch what is in the ring into t->upcall. */
void prog_poll(struct prog *t);

struct fq_addr prog_addr(const char *text);

/* A key of the session map; ports in host order. */
struct fq_tuple prog_tuple(uint8_t proto, const char *src, uint16_t sport, const char *dst,
			   uint16_t dport);

/* Sessions: entries in the map; one by tuple (fails if it is not there, or the tuple is). */
unsigned int prog_sessions(struct prog *t);
struct session_entry prog_session(struct prog *t, const struct fq_tuple *key);
bool prog_has_session(struct prog *t, const struct fq_tuple *key);
/* Remove an entry and free it. Return: false if there is none. */
bool prog_drop_session(struct prog *t, const struct fq_tuple *key);

void prog_set_session(struct prog *t, const struct fq_tuple *key, const struct session_entry *s);

/* The partner entry's key: what the packet becomes, reversed. */
struct fq_tuple prog_partner(const struct fq_tuple *key, const struct session_entry *s);

/* The port that the session of a UDP or ICMP out tuple has got. */
uint16_t prog_nat_port(struct prog *t, const struct fq_tuple *out);

/* Changes of the world; the policy generation is not touched unless said. */
void prog_client(struct prog *t, const char *prefix, unsigned int len, uint32_t client,
		 uint32_t scope);
void prog_grant(struct prog *t, uint32_t client, uint32_t resource, uint64_t expires);
void prog_revoke(struct prog *t, uint32_t client, uint32_t resource);
void prog_filter(struct prog *t, uint32_t resource, const struct fq_filter *f);
void prog_xlat(struct prog *t, const char *proxy, const char *real, uint32_t domain,
	       const uint32_t *resources, unsigned int n);
void prog_xlat_scope(struct prog *t, uint32_t scope, const char *proxy, const char *real);
void prog_edge(struct prog *t, const char *proxy, enum fq_edge_verdict verdict);
void prog_edge_to(struct prog *t, const char *proxy, enum fq_edge_verdict verdict,
		  uint32_t gateway);
void prog_put_edge(struct prog *t, const struct fq_addr *proxy, const struct fq_edge *edge);
void prog_put_xlat(struct prog *t, const struct fq_xlat_key *key, const struct fq_xlat *xlat);
void prog_gateway(struct prog *t, uint32_t id, const char *addr, bool up); /* NULL: none */
void prog_dev(struct prog *t, enum prog_side side, const char *nat4, const char *nat6);
void prog_mac(struct prog *t, enum prog_side side, const uint8_t mac[ETH_ALEN]);
void prog_redirectable(struct prog *t, enum prog_side side, bool redirectable);
void prog_vlan(struct prog *t, enum prog_side side, uint32_t trunk, uint32_t vid);
void prog_quota(struct prog *t, uint32_t client, uint32_t max);
void prog_scope(struct prog *t, uint32_t client, uint32_t scope, uint32_t max);
void prog_limit(struct prog *t, uint32_t sessions_max);
void prog_policy_changed(struct prog *t);
void prog_routes_changed(struct prog *t); /* else next hops stay remembered */

/* Somebody wants to be told of sessions. */
void prog_monitor(struct prog *t);
struct fq_quota prog_get_quota(struct prog *t, uint32_t client);
struct fq_control prog_get_control(struct prog *t);

/* CLOCK_MONOTONIC_COARSE, as the programs read it. */
uint64_t prog_now(void);
