/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The oracle: an independent reference translator.
 *
 * Says of a frame what the programs must make of it: its reason, whether it is sent, passed or
 * dropped, every byte of what is sent, what the daemon is told, and the sessions afterwards.
 * Written from the RFCs, docs/packet-path.md and docs/behaviours.md for being read, not for
 * speed; it shares with bpf/ the formats of the maps and the list of reasons, and no code.
 *
 * Where an answer is the program's to choose (a free NAT port), the oracle asks what it has chosen,
 * checks that this is a legal choice, and goes on with it.
 *
 * Ports are in host order here, addresses as in the maps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>
#include <fqdnat/reason.h>

#include "../lib/pkt.h"

#define ORC_SIDES   2 /* interfaces: towards the clients, towards the resources */
#define ORC_ENTRIES 256
#define ORC_FLOWS   512
#define ORC_UPCALLS 4

/* --- the world: what the maps and the kernel say --------------------------------------------- */

enum orc_hop { /* where a route leads */
	       ORC_HOP_NEXT,
	       ORC_HOP_UNRESOLVED, /* to a neighbour that is not known */
	       ORC_HOP_NONE,       /* unreachable, no route, or this host itself */
	       ORC_HOP_BLACKHOLE,
};

/* The first route whose prefix has the address is taken. */
struct orc_route {
	struct fq_addr prefix;
	unsigned int len; /* of the mapped form */
	enum orc_hop hop;
	unsigned int side;
	uint32_t mtu;
	const uint8_t *dmac;
	struct fq_addr via; /* zero: the destination itself is the neighbour */
};

struct orc_socket { /* of this host; not connected */
	uint8_t proto;
	struct fq_addr addr;
	uint16_t port;
};

/* Where an interface has its program; see oracle_hook.c. */
enum orc_hook {
	ORC_NATIVE,
	ORC_GENERIC,
	ORC_INJECT,
	ORC_TC,
	ORC_TC_BARE, /* packets have no Ethernet header there */
	ORC_HOOKS,
};

#define ORC_TABLE(key_type, value_type)   \
	struct {                          \
		unsigned int n;           \
		struct {                  \
			key_type key;     \
			value_type value; \
		} entry[ORC_ENTRIES];     \
	}

struct orc_datagram { /* what its first fragment has said */
	uint8_t kind; /* enum orc_kind */
	uint8_t proto;
	uint16_t sport, dport;
	uint16_t ip_id; /* behind us; 0: its own */
	bool waiting;   /* the first one is yet to come */
};

struct orc_world {
	struct fq_settings settings;
	ORC_TABLE(struct fq_prefix, struct fq_client) clients;
	ORC_TABLE(struct fq_grant_key, struct fq_grant) grants;
	ORC_TABLE(uint32_t, struct fq_filter) filters;
	ORC_TABLE(struct fq_xlat_key, struct fq_xlat) xlats;
	ORC_TABLE(struct fq_addr, struct fq_edge) edges;
	ORC_TABLE(uint32_t, struct fq_gateway) gateways;
	ORC_TABLE(uint32_t, struct fq_quota) quotas;           /* by index of the map */
	ORC_TABLE(struct fq_tuple, struct fq_addr) tombstones; /* whose it was */
	ORC_TABLE(struct fq_addr, uint64_t) buckets; /* tokens left; nothing is refilled */
	ORC_TABLE(struct fq_frag_key, struct orc_datagram) datagrams;
	struct fq_control control;
	struct fq_dev dev[ORC_SIDES];
	enum orc_hook hook[ORC_SIDES];
	uint32_t ifindex[ORC_SIDES];
	bool redirectable[ORC_SIDES];
	bool forwarding_off[ORC_SIDES]; /* IPv4, of packets that come in there */
	uint8_t mac[ORC_SIDES][6];      /* of the interfaces */
	const struct orc_route *route;
	unsigned int routes;
	const struct orc_socket *socket;
	unsigned int sockets;
	uint64_t now;
};

/* --- sessions ----------------------------------------------------------------------------------
 */

struct orc_half {  /* what each direction keeps for itself */
	bool seen; /* a packet has gone this way */
	uint32_t resource, gen, domain;
	uint16_t peer_port, gateway;
	uint64_t packets, bytes;
	uint64_t age_ns; /* of the last packet, or of the beginning */
};

/* A TCP endpoint, as far as it has told; see oracle_tcp.c. */
struct orc_tcp_end {
	bool syn, acknowledged, fin, rst;
	uint32_t ack, edge; /* what it has acknowledged, and where its window ends */
	uint32_t next;      /* the number that it will send next */
	uint32_t syn_end, syn_len;
	int syn_shift;
	bool syn_open; /* not answered yet */
	int shift;     /* of its windows */
};

enum orc_tcp_state {
	ORC_TCP_OPENING,
	ORC_TCP_ESTABLISHED,
	ORC_TCP_HALF_CLOSED,
	ORC_TCP_CLOSING,
	ORC_TCP_RESET,
};

struct orc_flow {
	bool live;
	uint8_t proto[2]; /* by enum fq_dir: ICMP has another number in the other version */
	struct fq_addr client, proxy, nat, real;
	uint16_t client_port, nat_port; /* or id */
	uint16_t peer_port;             /* TCP: the resource's; else 0 */
	uint32_t client_id;
	struct orc_half half[2];   /* by enum fq_dir */
	struct orc_tcp_end end[2]; /* TCP: by the direction in which it sends */
};

struct orc {
	struct orc_world w;
	struct orc_flow flow[ORC_FLOWS];
	/* The NAT port that the program has given to the flow of this out tuple; -1: none. */
	int (*chosen)(void *ctx, const struct fq_tuple *out);
	/* The id of what the program sends, an IP packet that begins at @l3. */
	uint16_t (*chosen_id)(void *ctx, size_t l3);
	uint16_t last_id;
	void *ctx;
	char complaint[200]; /* a choice that was not legal */
};

/* --- packets -----------------------------------------------------------------------------------
 */

enum orc_kind {
	ORC_OTHER,
	ORC_TCP,
	ORC_UDP,
	ORC_ECHO_REQUEST,
	ORC_ECHO_REPLY,
	ORC_ICMP_ERROR,
};

enum orc_frag {
	ORC_WHOLE,
	ORC_FIRST,
	ORC_LATER, /* has no L4 header */
};

struct orc_pkt {
	const struct pkt *frame; /* it was read from */
	bool v6;
	bool addressed; /* the addresses below are there */
	bool l2_group;
	enum orc_kind kind;
	struct fq_addr src, dst;
	uint8_t proto; /* of what follows all headers of IP */
	uint8_t ttl, tos;
	uint8_t tcp_flags;
	uint16_t sport, dport; /* ICMP: the id, in both */
	bool df;               /* IPv4 */
	enum orc_frag frag;
	bool more; /* fragments */
	size_t frag_off;
	uint32_t frag_id;
	uint8_t frag_proto; /* IPv4: what its header says */
	size_t l3, l3_len;  /* offset, length */
	size_t l4, l4_len;  /* UDP: by its own length */
};

struct orc_upcall {
	uint32_t kind, domain, ifindex, len;
	uint16_t l3_offset, gateway, mtu;
	struct fq_addr proxy;
	uint8_t frame[FQ_HOLD_FRAME_MAX];
};

enum orc_fate {
	ORC_PASS, /* to the kernel, as it came */
	ORC_DROP,
	ORC_SEND,      /* out of an interface: .out */
	ORC_HAND_BACK, /* the same, by whom the program was called */
};

struct orc_result {
	enum fq_reason reason;
	enum orc_fate fate;
	struct pkt out;
	unsigned int event[FQ_REASON_MAX];
	const struct orc_flow *flow; /* whose packet it was */
	bool resized;                /* before its L4 part */
	bool counted;                /* the length to be counted is certain */
	size_t bytes;
	unsigned int upcalls;
	struct orc_upcall upcall[ORC_UPCALLS];
};

/* What is planned for a packet. */
struct orc_plan {
	enum fq_dir dir;
	unsigned int ingress; /* side */
	struct fq_addr src, dst;
	uint16_t port;  /* of the client's side */
	uint16_t ip_id; /* IPv4; 0: stays */
	uint32_t domain;
	uint16_t gateway; /* on the way to it */
	bool forwarded;   /* not translated */
	unsigned int side;
	bool unresolved;
	bool error; /* an ICMP error about a session; what is quoted becomes: */
	struct fq_addr quoted_src, quoted_dst;
	bool split;        /* too big, and may be fragmented: by the daemon */
	uint32_t told_mtu; /* in the sender's version */
	uint32_t mtu;
	const uint8_t *dmac;
};

/* The oracle's answer for a frame that came in on @side. */
void orc_packet(struct orc *o, unsigned int side, const struct pkt *in, struct orc_result *ret);

/* To the daemon: @head, and the frame up to the end of its IP packet at @l3. Return: it fits. */
bool orc_hand_up(struct orc_result *res, const struct orc_upcall *head, const struct pkt *frame,
		 size_t l3, size_t l3_len);

void orc_complain(struct orc *o, const char *what, int number);

/* oracle_bytes.c: big-endian words, addresses, checksums (RFC 1071, RFC 1624). */
uint16_t orc_get16(const uint8_t *at);
void orc_put16(uint8_t *at, uint16_t v);
uint32_t orc_sum(const uint8_t *bytes, size_t len, uint32_t seed);
uint16_t orc_checksum_update(uint16_t check, const uint8_t *from, const uint8_t *to, size_t len);
void orc_replace(uint8_t *field, const uint8_t *to, size_t len, uint8_t *check);
uint32_t orc_pseudo_sum(const struct orc_pkt *p);
bool orc_same(const struct fq_addr *a, const struct fq_addr *b);
bool orc_zero(const struct fq_addr *a);
bool orc_v4(const struct fq_addr *a);
bool orc_in_prefix(const struct fq_addr *a, const struct fq_addr *prefix, unsigned int len);

/* oracle_parse.c. Return: FQ_OK for TCP, UDP and ICMP echo. */
enum fq_reason orc_parse(const struct pkt *frame, bool bare, struct orc_pkt *ret);
enum fq_reason orc_parse_ip(const struct pkt *frame, size_t l3, bool v6, struct orc_pkt *ret);
bool orc_is_proxy(const struct orc_world *w, const struct fq_addr *a);
bool orc_in_pool(const struct orc_world *w, const struct orc_pkt *p);
bool orc_group_source(const struct orc_pkt *p);
bool orc_single_host(const struct fq_addr *a);

/* oracle_policy.c */
struct orc_right {
	uint32_t resource;
	uint64_t expires;
};
const struct fq_client *orc_client(const struct orc_world *w, const struct fq_addr *a);
const struct fq_xlat *orc_xlat(const struct orc_world *w, uint32_t scope,
			       const struct fq_addr *proxy);
uint16_t orc_peer_port(const struct orc_pkt *p, enum fq_dir dir);
enum fq_reason orc_permit_new(const struct orc_world *w, uint32_t client, const struct fq_xlat *x,
			      uint8_t proto, uint16_t port, struct orc_right *ret);
enum fq_reason orc_permit_again(const struct orc_world *w, struct orc_flow *f,
				const struct orc_pkt *p, enum fq_dir dir);

/* oracle_flow.c */
struct orc_flow *orc_flow_find(struct orc *o, const struct orc_pkt *p, enum fq_dir dir);
struct fq_tuple orc_flow_tuple(const struct orc_flow *f, enum fq_dir dir);
enum fq_reason orc_flow_open(struct orc *o, const struct orc_pkt *p, const struct orc_flow *wanted,
			     struct orc_result *res);
void orc_flow_end(struct orc *o, struct orc_flow *f);
void orc_flow_count(struct orc_flow *f, const struct orc_pkt *p, enum fq_dir dir);
const struct fq_addr *orc_tombstone(const struct orc_world *w, const struct fq_tuple *in);
bool orc_socket(const struct orc_world *w, uint8_t proto, const struct fq_addr *a, uint16_t port);
bool orc_addresses_local(const struct orc_world *w);

/* oracle_tcp.c */
bool orc_tcp(struct orc_tcp_end end[2], enum fq_dir dir, const struct orc_pkt *p);
enum orc_tcp_state orc_tcp_state(const struct orc_tcp_end end[2]);

/* oracle_route.c */
enum fq_reason orc_route(const struct orc_world *w, const struct orc_pkt *p,
			 const struct fq_addr *dst, struct orc_plan *plan);
enum fq_reason orc_route_gateway(struct orc_world *w, const struct orc_pkt *p,
				 struct orc_plan *plan, struct orc_result *res);

bool orc_route_back(const struct orc_world *w, const struct orc_pkt *p, unsigned int side);
bool orc_gateway_leads(const struct orc_world *w, uint32_t id, unsigned int side);

/* oracle_frag.c */
enum fq_reason orc_frag_borrow(struct orc_world *w, struct orc_pkt *p, struct orc_plan *plan);
void orc_frag_again(struct orc_world *w, const struct orc_pkt *p, struct orc_plan *plan);
enum fq_reason orc_frag_unknown(struct orc_world *w, const struct orc_pkt *p, unsigned int side,
				bool to_pool, struct orc_result *res);
void orc_frag_first(struct orc_world *w, const struct orc_pkt *p, unsigned int side, bool to_pool,
		    enum fq_reason r, const struct orc_plan *plan, struct orc_result *res);
void orc_frag_id(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan);

/* oracle_path.c */
enum fq_reason orc_path(struct orc *o, struct orc_pkt *p, enum fq_reason parsed,
			struct orc_plan *plan, struct orc_result *res);

enum fq_reason orc_in_unknown(struct orc *o, const struct orc_pkt *p);
bool orc_error_from_gateway(struct orc *o, const struct orc_flow *f, unsigned int side);

/* oracle_about.c: ICMP errors about sessions. */
enum fq_reason orc_about(struct orc *o, const struct orc_pkt *p, struct orc_plan *plan,
			 struct orc_result *res);
void orc_about_rewrite(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan);

/* oracle_cross.c: the same into the other IP version; @q: what is quoted. */
bool orc_cross_has_message(const struct orc_pkt *p, const struct orc_pkt *q);
void orc_cross_error(struct pkt *frame, const struct orc_pkt *p, const struct orc_pkt *q,
		     const struct orc_plan *plan);

/* oracle_hook.c: what one hook does otherwise than another. */
bool orc_asks_neighbours(enum orc_hook hook);
bool orc_keeps_partial(enum orc_hook hook);
bool orc_goes_slow(const struct orc_world *w, const struct orc_pkt *p, const struct orc_plan *plan);
bool orc_sends_back(const struct orc_world *w, unsigned int side, bool partial);
size_t orc_l3_after(const struct orc_world *w, const struct orc_pkt *p,
		    const struct orc_plan *plan);
void orc_leave_partial(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan);
void orc_address(const struct orc_world *w, struct pkt *frame, const struct orc_pkt *p,
		 const struct orc_plan *plan);
void orc_put_before(struct pkt *frame, const void *bytes, size_t len);

/* oracle_nat.c: bytes of what is sent on. */
size_t orc_checksum_offset(const struct orc_pkt *p);
bool orc_complete(struct pkt *frame, const struct orc_pkt *p);
void orc_rewrite_ip(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan);
void orc_rewrite(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan);

/* oracle_siit.c: into the other IP version. */
bool orc_crosses(const struct orc_pkt *p, const struct fq_addr *dst);
size_t orc_leaving_len(const struct orc_pkt *p, const struct fq_addr *dst);
uint32_t orc_told_mtu(const struct orc_pkt *p, const struct fq_addr *dst, uint32_t mtu);
bool orc_needs_id(const struct orc_pkt *p, const struct fq_addr *dst);
enum fq_reason orc_may_cross(const struct orc_pkt *p);
bool orc_cross(struct pkt *frame, const struct orc_pkt *p, const struct orc_plan *plan);

/* oracle_mss.c */
void orc_clamp(const struct orc_world *w, struct pkt *frame, const struct orc_pkt *p,
	       const struct orc_plan *plan);

/* oracle_icmp.c: errors of ours. Return: false if none may be sent. */
bool orc_error(const struct orc_world *w, const struct pkt *about, const struct orc_pkt *p,
	       const struct orc_plan *plan, enum fq_reason reason, unsigned int side,
	       struct pkt *ret);
