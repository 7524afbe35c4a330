/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entry of the session table, as it stands in memory: part of the ABI (<fqdnat/abi.h>).
 *
 * Elements of the three arrays (sessions, sessions_cold, sessions_six) with the same index belong
 * together. How they come and go: <fqdnat/table.h>.
 */
#pragma once

#include <stddef.h>

#include <fqdnat/abi.h>

#define TABLE_SLOTS_MIN 4096 /* all probes of a home are different slots */
#define TABLE_SLOTS_MAX (1U << 30)
#define TABLE_NONE      (~0U) /* no index */

/* fq_slot.state; FREE to CLAIMED to LIVE to LIVE | DEAD to FREE */
enum table_state {
	TABLE_FREE = 0,
	TABLE_CLAIMED = 1, /* being filled by the one that claimed it */
	TABLE_LIVE = 2,    /* has been in its home's word: user space may look */
	TABLE_DEAD = 4,    /* is removed, or about to be; to be freed after a grace period */
	TABLE_TAKEN = 8,   /* user space knows that it is dead */
};

/* fq_slot.kind */
#define TABLE_KIND_PROTO   0x03 /* 0: TCP, 1: UDP, 2: the ICMP of its IP version */
#define TABLE_KIND_IP6     0x04
#define TABLE_KIND_KEY     (TABLE_KIND_PROTO | TABLE_KIND_IP6) /* part of the key */
#define TABLE_KIND_IN      0x08                                /* FQ_DIR_IN */
#define TABLE_KIND_TO6     0x10                                /* becomes an IPv6 packet */
#define TABLE_KIND_FORWARD 0x20 /* goes on as it is, by way of a gateway */

#define TABLE_HOP_NONE 0xffff

/*
 * A line. @bits belongs to the keys whose home this is, everything else to the entry that stands
 * here. @kind and the key and result are constant while it can be found; what forwards has no
 * result.
 */
struct fq_slot {
	__u64 bits; /* bit i: a key of this home stands at table_probe(i) */
	union {
		__u32 word; /* changed by atomic operations alone */
		struct {
			__u8 state;
			__u8 tcp_seen; /* FQ_TCP_* */
			__u8 kind;
			__u8 wscale; /* TCP: shift of the sender's windows */
		};
	};
	union {
		__u32 ports; /* both of the key */
		struct {
			__be16 sport;
			__be16 dport;
		};
	};
	union {
		struct {
			__be32 src;
			__be32 dst;
			__be32 to_src; /* what the packet becomes; IPv6: in fq_slot6 */
			__be32 to_dst;
		};
		struct {
			__u64 print; /* IPv4: both addresses; IPv6: the key's hash, see fq_slot6 */
			__u32 gateway; /* TABLE_KIND_FORWARD: of both IP versions */
			__u32 zero;
		};
	};
	union {
		__u64 way; /* these three are stored at once */
		struct {
			__be16 to_port; /* constant: client-side port or id after translation */
			__u16 hop;      /* index of hops, in generation @gen; TABLE_HOP_NONE */
			__u32 gen;      /* fq_control.gen for which the packet was last permitted */
		};
	};
	__u64 counts; /* bytes (L3 lengths) + 2^32 packets, added at once; what carries: fq_cold */
	__u32 last;   /* of the last packet: table_ticks; 0: none yet */
	union {
		struct {
			__u32 ack;  /* greatest acknowledgement; FQ_TCP_ACK */
			__u32 edge; /* of the window offered with it: the first number beyond */
			__u32 next; /* after what it has sent; FQ_TCP_ACK */
		} tcp;              /* what the sender has told; see bpf/tcp.h; host order */
		__be16 peer_port;   /* UDP: the resource's port, last permitted */
	};
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct fq_slot) == 64, "one cache line");
_Static_assert(offsetof(struct fq_slot, state) % 4 == 0, "table_word: byte 0");
_Static_assert(offsetof(struct fq_slot, kind) % 4 == 2, "table_word: byte 2");
_Static_assert(offsetof(struct fq_slot, to_src) == offsetof(struct fq_slot, gateway), "one word");
_Static_assert(offsetof(struct fq_slot, way) == 32 && offsetof(struct fq_slot, counts) == 40,
	       "words");

/* The addresses of an entry whose key or result is IPv6, all mapped where IPv4; same index. */
struct fq_slot6 {
	struct fq_addr src;
	struct fq_addr dst;
	struct fq_addr to_src;
	struct fq_addr to_dst;
};

/* What few packets need to know or change; same index. */
struct fq_cold {
	__u64 created; /* instant */
	__u32 domain;
	__u32 resource;
	__u32 client;
	__u32 carry;   /* changed atomically: TABLE_CARRY_* of fq_slot.counts */
	__u32 syn_end; /* number after its last SYN and the data in that; FQ_TCP_SYN */
	__u16 syn_len; /* of that data */
	__u8 syn_wscale;
	__u8 syn_pending; /* no answer to that SYN has come yet */
};

/*
 * What has become of fq_slot.counts: how often the bytes have passed 2^32, which has gone on into
 * the packets, and how often the whole word has passed 2^64.
 */
#define TABLE_CARRY_BYTES  1
#define TABLE_CARRY_COUNTS (1U << 20)
#define TABLE_COUNT_PACKET (1ULL << 32)

FQ_ASSERT_SIZE(struct fq_slot6, 64);
FQ_ASSERT_SIZE(struct fq_cold, 32);

/*
 * Instants of the last packet, in 2^20 ns (1.05 ms): 49 days and the hours of a day ahead of now
 * are told apart from each other. Never 0.
 */
static inline __attribute__((always_inline)) __u32 table_ticks(__u64 now)
{
	__u32 ticks = now >> 20;

	return ticks ? ticks : 1;
}

static inline __attribute__((always_inline)) __u64 table_packets(__u64 counts, __u32 carry)
{
	return ((__u64)(carry / TABLE_CARRY_COUNTS) << 32 | counts >> 32) -
	       carry % TABLE_CARRY_COUNTS;
}

static inline __attribute__((always_inline)) __u64 table_bytes(__u64 counts, __u32 carry)
{
	return (__u64)(carry % TABLE_CARRY_COUNTS) << 32 | (__u32)counts;
}
