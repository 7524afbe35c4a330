/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the BPF programs and user space share: map keys and values, limits, names of pins.
 *
 * Includable from BPF and from user space. Everything here outlives both (the maps are
 * pinned): a change of a size, an offset or a meaning increments FQ_ABI_VERSION, and objects
 * of another version are refused by the loader, not guessed at.
 *
 * Byte order: __be16/__be32 and addresses are network order, everything else host order.
 * Instants are CLOCK_MONOTONIC in ns (what bpf_ktime_get_coarse_ns returns).
 */
#pragma once

#include <linux/types.h>

#define FQ_ABI_VERSION   10
#define FQ_BPFFS_DEFAULT "/sys/fs/bpf/fqdnat"

#define FQ_CLIENTS_MAX      4096  /* configured clients; index of fq_quota */
#define FQ_SCOPES_MAX       256   /* edges of a gateway; 0 is the one in this process */
#define FQ_GATEWAYS_MAX     256   /* gateways of an edge; 0 is the one in this process */
#define FQ_RESOURCES_MAX    16384 /* configured resources */
#define FQ_XLAT_RESOURCES   8     /* resources that may share one proxy address */
#define FQ_FILTER_RANGES    32    /* port ranges of one resource */
#define FQ_NAT_ADDRESSES    8     /* given masquerade addresses, each family */
#define FQ_TOMBSTONES_MAX   65536
#define FQ_ICMP_BUCKETS_MAX 16384
#define FQ_HOPS_MAX         4096 /* next hops remembered, at most 65536 */
#define FQ_FRAGMENTS_MAX    8192 /* datagrams whose fragments are remembered */
#define FQ_UPCALL_BYTES     (4 << 20)
#define FQ_HOLD_FRAME_MAX   2048 /* bytes of a frame that can travel to the daemon */

/* IPv4 addresses are kept IPv4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
struct fq_addr {
	union {
		__u8 b[16];
		__be32 w[4];
	};
};

/*
 * A session's tuple as it stands on the wire, one entry for each direction.
 *
 * TCP: both ports. UDP and ICMP echo: only the client's side (its port or id: source port
 * of the out tuple, destination port of the in tuple), the other is 0, so that one
 * mapping serves every port of the peer (RFC 4787 REQ-1, REQ-8: address-dependent filtering).
 */
struct fq_tuple {
	struct fq_addr src;
	struct fq_addr dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;  /* IPPROTO_TCP, _UDP, _ICMP or _ICMPV6 */
	__u8 pad[3]; /* zero */
};

enum fq_dir {
	FQ_DIR_OUT, /* client to resource */
	FQ_DIR_IN,  /* resource to client */
};

/*
 * What a direction of a TCP connection has said and was believed (bpf/tcp.h), kept in
 * fq_slot.tcp_seen (RFC 9293 3.1 bit values).
 */
#define FQ_TCP_FIN 0x01
#define FQ_TCP_SYN 0x02
#define FQ_TCP_RST 0x04 /* set in both directions; cleared in one that goes on */
#define FQ_TCP_ACK 0x10 /* has acknowledged: open as far as this direction is concerned */
/* A socket of this host has the in tuple now. Set in both directions, together with FQ_TCP_RST. */
#define FQ_TCP_LOCAL 0x80

/*
 * sessions, sessions_cold, sessions_six: BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, by the same index: the
 * session table, see <fqdnat/table.h>. Both directions of a session are entries of their own. What
 * an entry's packets become, reversed, is the other one's key.
 */
#define FQ_TABLE_KEYS 11

/* Constant while there are entries. The keys are random, and nobody else's business. */
struct fq_table {
	__u32 slots; /* even, TABLE_SLOTS_MIN to TABLE_SLOTS_MAX */
	__u32 pad;   /* zero */
	__u64 key[FQ_TABLE_KEYS];
};

/*
 * hops: BPF_MAP_TYPE_ARRAY. A next hop of packets that have come by @iif to the MAC address @here:
 * what the kernel's FIB has answered in generation @gen.
 */
struct fq_hop {
	__u32 gen; /* fq_control.gen; 0: never used */
	__u32 iif;
	__u32 oif;
	__u8 dmac[6]; /* these two as in the frame's header */
	__u8 smac[6];
	__u8 here[6];
	__u16 mtu;
	__u32 asked; /* what the kernel was asked: type of service + 2^8 * gateway (0: none) */
};

/* clients: BPF_MAP_TYPE_LPM_TRIE */
struct fq_prefix {
	__u32 prefixlen; /* 0..128; an IPv4 prefix of length n is 96 + n */
	struct fq_addr addr;
};

struct fq_client {
	__u32 client; /* < FQ_CLIENTS_MAX */
	__u32 scope;  /* whose proxy addresses it uses: an edge, < FQ_SCOPES_MAX; 0: this process */
};

/* grants: BPF_MAP_TYPE_HASH */
struct fq_grant_key {
	__u32 client;
	__u32 resource;
};

struct fq_grant {
	__u64 expires; /* instant; 0: never */
};

/* filters: BPF_MAP_TYPE_HASH by resource; F-01 to F-05 of docs/behaviours.md */
struct fq_port_range {
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;
	__u16 lo; /* host order, inclusive */
	__u16 hi;
};

struct fq_filter {
	__u8 allow_all; /* no filter configured: every protocol and port */
	__u8 icmp;      /* echo permitted */
	__u16 ranges;   /* entries used */
	struct fq_port_range range[FQ_FILTER_RANGES];
};

/* The key of a translation: a proxy address in an edge's scope. Where it stands: proxy_index.h */
struct fq_xlat_key {
	__u32 scope;
	struct fq_addr proxy;
};

/* xlat (gateway): an array of pages; a cache line. Element 0 is not used. */
struct fq_xlat {
	struct fq_addr real; /* meaningful if has_real */
	__u32 domain;
	__u8 has_real;  /* 0: the domain has no address of this family */
	__u8 resources; /* entries used */
	__u16 pad;
	__u32 resource[FQ_XLAT_RESOURCES]; /* most specific first, ties by greatest id */
	__u64 zero;
};

/* edge: an array of pages; what the edge does with packets out. Element 0 is not used. */
enum fq_edge_verdict {
	FQ_EDGE_FORWARD, /* to the gateway: confirmed, or being recreated */
	FQ_EDGE_HOLD,    /* pending, packets held */
	FQ_EDGE_REFUSE,  /* failed */
};

struct fq_edge {
	union {
		__u64 word; /* these are stored at once */
		struct {
			__u32 domain;
			__u16 gateway; /* < FQ_GATEWAYS_MAX; 0: the gateway in this process */
			__u16 verdict; /* enum fq_edge_verdict */
		};
	};
	__u64 touch_at; /* FORWARD: tell the daemon of a new flow at or after this instant; 0: never
			 */
};

/* gateways (edge): BPF_MAP_TYPE_ARRAY by gateway; element 0 is not used */
struct fq_gateway {
	struct fq_addr addr; /* packets go where the route to it leads; zero: no such gateway */
	__u64 told_at;       /* the programs have told of its missing neighbour at this instant */
	__u8 up;             /* 0: its sessions ask the edge map again unless answers come */
	__u8 pad[3];         /* zero */
	__u32 ifindex;       /* where packets to it went last, by the programs; 0: not known */
};

/* devs: BPF_MAP_TYPE_HASH by ifindex */
struct fq_dev {
	struct fq_addr nat4; /* masquerade addresses of the interface; zero: none */
	struct fq_addr nat6;
	__u8 mac[6]; /* frames for another one are not ours; zero: not checked */
	__u8 bare;   /* packets have no Ethernet header here (TUN, WireGuard) */
	__u8 pad;    /* zero */
	__u32 mtu;   /* 0: not known */
};

/*
 * vlans: BPF_MAP_TYPE_HASH. VLAN devices, seen from above and from below:
 * (device, 0) -> (the interface below, id): every device that frames may be sent by;
 * (the interface below, id) -> (device, 0): those whose frames are ours as they come in.
 */
struct fq_vlan_key {
	__u32 ifindex;
	__u32 vid; /* 1 to 4094; 0: @ifindex is the VLAN device */
};

struct fq_vlan {
	__u32 ifindex;
	__u32 vid; /* 0: @ifindex is the VLAN device */
};

#define FQ_VLANS_MAX 1024

/*
 * quota: BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, changed atomically by both sides. Clients come first,
 * then scopes: an element each of FQ_CLIENTS_MAX + scope. A session counts in both, but scope 0 has
 * no limit and no count.
 */
struct fq_quota {
	__u32 sessions; /* open now */
	__u32 max;
	__u32 scope; /* of a client */
	__u32 pad;   /* zero */
};

#define FQ_QUOTAS_MAX (FQ_CLIENTS_MAX + FQ_SCOPES_MAX)

/* How names find their bucket: see dns_index.h. */
#define FQ_DNS_KEYS 13

struct fq_dns_table {
	__u32 buckets; /* a power of 2; 0: there are none */
	__u32 pad;     /* zero */
	__u64 key[FQ_DNS_KEYS];
	__u64 woken_at; /* the daemon has been woken for map dns_asked at this instant */
};

/* control: BPF_MAP_TYPE_ARRAY, one element, BPF_F_MMAPABLE */
struct fq_control {
	__u32 abi_version; /* FQ_ABI_VERSION; written once by the loader */
	/*
	 * Incremented after clients, grants or filters have changed, or what decides about next
	 * hops: for every session both are asked anew. Never 0.
	 */
	__u32 gen;
	__u32 monitors; /* somebody wants FQ_UPCALL_SESSION */
	__u32 vlans;    /* VLAN devices in map vlans; 0: nobody needs to look there */
	__u64 gen_at;   /* instant of the last increment, written before */
	/* Instant until which the daemon listens for changes of routes and neighbours. */
	__u64 hops_until;
	/* No grant expires before this instant. From then on every packet asks for its own. */
	__u64 grants_until;
	__u64 clock_offset; /* of the clock that counts ticks: see bpf/fast.h; 0: not known */
	struct fq_table table;
	__u32 sessions; /* open now, atomically */
	__u32 sessions_max;
	struct fq_dns_table dns;
};

/* stats: BPF_MAP_TYPE_PERCPU_ARRAY by enum fq_reason */
struct fq_count {
	__u64 packets;
	__u64 bytes;
};

/* icmp_buckets: BPF_MAP_TYPE_LRU_HASH by struct fq_addr (who would be told) */
struct fq_bucket {
	__u64 refilled; /* instant */
	__u64 tokens;
};

/*
 * tombstones: BPF_MAP_TYPE_LRU_HASH by in tuple. Until then late packets are dropped, and nobody
 * but that client gets the tuple (RFC 6888 REQ-8).
 */
struct fq_tombstone {
	__u64 until; /* instant */
	struct fq_addr client;
};

/*
 * fragments: BPF_MAP_TYPE_LRU_HASH; what the first fragment of a datagram has said, for the others.
 * The key is theirs on the wire.
 */
struct fq_frag_key {
	struct fq_addr src;
	struct fq_addr dst;
	__be32 id;
	__u8 proto;  /* IPv4; IPv6 fragments belong together whatever they say (RFC 8200 4.5): 0 */
	__u8 pad[3]; /* zero */
};

struct fq_frag {
	__u64 until; /* instant */
	__be16 sport;
	__be16 dport;
	__be16 id; /* IPv4: the id that the datagram has behind us; 0: its own */
	__u8 proto;
	__u8 echo_reply;
	__u8 waiting; /* the first one is yet to come, and others are kept by the daemon */
	__u8 pad[7];  /* zero */
};

/* ip_ids: BPF_MAP_TYPE_ARRAY, one element: counts up, changed atomically */

/* upcalls: BPF_MAP_TYPE_RINGBUF; what the programs tell the daemon */
enum fq_upcall_kind {
	FQ_UPCALL_HOLD = 1, /* frame as received, to be held for @domain */
	FQ_UPCALL_SLOW,     /* frame as translated: IP packet to be sent by the kernel */
	FQ_UPCALL_TOUCH,   /* no frame: new flow of a domain whose touch_at has come, or @gateway */
	FQ_UPCALL_SESSION, /* no frame: session opened; @tuple is its out tuple (monitor) */
	FQ_UPCALL_VIA, /* frame as it is to leave by interface @ifindex, to its destination MAC */
	FQ_UPCALL_FRAGMENT, /* frame as received: a fragment, to be kept until the first one comes
			     */
	FQ_UPCALL_FIRST,    /* no frame: it has come; the fq_frag_key stands in its place */
};

struct fq_upcall {
	__u32 kind;      /* enum fq_upcall_kind */
	__u32 domain;    /* HOLD, SESSION, TOUCH of a domain; FRAGMENT: fq_frag_key.id; else 0 */
	__u32 ifindex;   /* ingress; VIA, TOUCH of a @gateway: egress */
	__u32 len;       /* bytes of the frame that follows, Ethernet header included; 0: none */
	__u16 l3_offset; /* of the IP header in the frame */
	__u16 gateway;   /* FRAGMENT: fq_frag_key.proto; TOUCH: its neighbour is not known, a packet
			    to it was dropped; else 0 */
	__u16 mtu;       /* SLOW, VIA: to be fragmented for it; 0: fits */
	__u16 pad;       /* zero */
	/* HOLD, FRAGMENT, TOUCH: destination; TOUCH of a @gateway: next hop; SLOW: source after
	 * translation
	 */
	struct fq_addr proxy;
	__u8 frame[];
};

/*
 * dns, dns_names (edge): BPF_MAP_TYPE_ARRAY_OF_MAPS, see dns_index.h; what the daemon has answered
 * of late, for the XDP programs to answer in the same way. The key is the name in wire format and
 * lower case, zeros behind it.
 */
#define FQ_DNS_NAME_MAX 48 /* bytes; longer names are not here */

/* How long the programs answer before the daemon hears of a query: in general; where it is known
 * that one would change nothing; if it has not said anything since. */
#define FQ_DNS_LEASE_NS     100000000ULL
#define FQ_DNS_LEASE_MAX_NS 1000000000ULL
#define FQ_DNS_END_NS       10000000000ULL
#define FQ_DNS_END_SHIFT    30 /* of such instants: 2^30 ns, about a second, are one */

struct fq_dns_key {
	union {
		__u8 name[FQ_DNS_NAME_MAX];
		__u64 word[FQ_DNS_NAME_MAX / 8];
	};
};

struct fq_dns {
	__be32 v4[4];    /* proxy addresses */
	__u64 renew_at;  /* the daemon hears of the first query at or after this instant */
	__u32 end;       /* all are its own, at or after this one: by FQ_DNS_END_SHIFT */
	__u8 ipv4, ipv6; /* 1: they are told; 0: there are none of this family */
	__u8 pad[2];     /* zero */
	struct fq_addr v6[4];
};

/*
 * dns_asked (edge): BPF_MAP_TYPE_RINGBUF of struct fq_dns_key: names that have been asked for at or
 * after their renew_at. Not every record wakes the daemon: see FQ_DNS_WAKE_NS.
 */
#define FQ_DNS_ASKED_BYTES (1 << 18)
#define FQ_DNS_WAKE_NS     100000000ULL /* once in so long; it looks again when as much has passed */

/* dns_ptr (edge): BPF_MAP_TYPE_LRU_HASH by struct fq_addr; the same of proxy addresses: PTR. */
#define FQ_DNS_PTR_MAX 8192

struct fq_dns_ptr {
	__u64 renew_at; /* the first query at or after this instant is the daemon's */
	__u32 end;
	__u8 len; /* of the name */
	__u8 pad[3];
	__u8 name[FQ_DNS_NAME_MAX]; /* in wire format, zeros behind it */
};

/* dns_addrs: BPF_MAP_TYPE_HASH by struct fq_addr; the daemon answers port 53 of it */

#define FQ_DNS_ADDRS_MAX 64

#define FQ_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), "ABI: size of " #type)

FQ_ASSERT_SIZE(struct fq_addr, 16);
FQ_ASSERT_SIZE(struct fq_tuple, 40);
FQ_ASSERT_SIZE(struct fq_hop, 36);
FQ_ASSERT_SIZE(struct fq_dns_table, 120);
FQ_ASSERT_SIZE(struct fq_control, 272);
FQ_ASSERT_SIZE(struct fq_table, 96);
FQ_ASSERT_SIZE(struct fq_tombstone, 24);
FQ_ASSERT_SIZE(struct fq_prefix, 20);
FQ_ASSERT_SIZE(struct fq_port_range, 6);
FQ_ASSERT_SIZE(struct fq_filter, 4 + 6 * FQ_FILTER_RANGES);
FQ_ASSERT_SIZE(struct fq_xlat_key, 20);
FQ_ASSERT_SIZE(struct fq_xlat, 64);
FQ_ASSERT_SIZE(struct fq_edge, 16);
FQ_ASSERT_SIZE(struct fq_gateway, 32);
FQ_ASSERT_SIZE(struct fq_dev, 44);
FQ_ASSERT_SIZE(struct fq_vlan_key, 8);
FQ_ASSERT_SIZE(struct fq_vlan, 8);
FQ_ASSERT_SIZE(struct fq_quota, 16);
FQ_ASSERT_SIZE(struct fq_frag_key, 40);
FQ_ASSERT_SIZE(struct fq_frag, 24);
FQ_ASSERT_SIZE(struct fq_dns_key, FQ_DNS_NAME_MAX);
FQ_ASSERT_SIZE(struct fq_dns, 96);
FQ_ASSERT_SIZE(struct fq_dns_ptr, 64);
FQ_ASSERT_SIZE(struct fq_upcall, 40);
