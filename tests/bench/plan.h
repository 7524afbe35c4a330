/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the benchmark's BPF programs and its runner agree on: how flow number i looks on the
 * wire, the link-layer addresses of the laboratory, and the programs' variables.
 *
 * Flow i: one client; proxy address number i % BENCH_PROXIES, translated to the real address of
 * the same number; client port BENCH_PORT + i / BENCH_PROXIES. NAT keeps the port, so the
 * reply's tuple is known as well. UDP with 18 zero bytes of payload, the shortest Ethernet frame
 * (60 bytes) over IPv4, or TCP without any, with right checksums.
 */
#pragma once

#include <linux/types.h>

#define BENCH_PROXIES   1024 /* a power of two, as many as nftables' map has */
#define BENCH_PORT      1024 /* below the ephemeral range: no local socket is in the way */
#define BENCH_DPORT     4433
#define BENCH_FLOWS_MAX (BENCH_PROXIES * 16384)
#define BENCH_TTL       64

/* Flow fields are added to these numbers; the last 10 bits are free. 46: IPv4 proxy, IPv6 real. */
#define BENCH_PROXY4  "100.96.4.0"
#define BENCH_REAL4   "10.64.4.0"
#define BENCH_PROXY6  "fd00:2021:1111:8000::400"
#define BENCH_REAL6   "2001:db8:40::400"
#define BENCH_PROXY46 "100.96.8.0"
#define BENCH_REAL46  "2001:db8:40::800"
#define BENCH_PROXY64 "fd00:2021:1111:8000::800"
#define BENCH_REAL64  "10.64.8.0"
#define BENCH_FAR4    "100.96.12.0" /* of a gateway elsewhere */

/* Where the flow's numbers stand in a frame: a wrapper for each. */
enum bench_layout {
	BENCH_UDP4_OUT, /* client to proxy address */
	BENCH_UDP4_IN,  /* real address to NAT address */
	BENCH_UDP6_OUT,
	BENCH_UDP6_IN,
	BENCH_TCP4_OUT,
	BENCH_TCP4_IN,
	BENCH_LAYOUTS,
};

#define BENCH_LEN4 60 /* 14 + 20 + 8 + 18 */
#define BENCH_LEN6 80 /* 14 + 40 + 8 + 18 */
/* First byte of the payload of a frame that the far end sends back (UDP over IPv4). */
#define BENCH_ECHO    0xec
#define BENCH_ECHO_AT 42

/* Live frames are given longer and cut by the program; see gen4 in bench.bpf.c. */
#define BENCH_LEN_GIVEN 96

/* A frame of flow 0, of which a program makes that of flow i. */
struct bench_template {
	__u64 word[BENCH_LEN6 / 8];
	__u32 ip_sum; /* of the IPv4 header's words without its checksum */
	__u32 l4_sum; /* of the pseudo header, UDP or TCP header and payload, likewise */
};

/* Yardstick: a hash map with entries as large as a session's in a plain table: 40 and 128 bytes. */
struct bench_key {
	__u32 src[4], dst[4];
	__u16 sport, dport;
	__u32 proto;
};

struct bench_value {
	__u64 word[16];
};

struct bench_vars {
	__u64 rng;             /* xorshift64; not 0 */
	__u32 flows;           /* drawn from [0, flows) */
	__u32 sequential;      /* draw 0, 1, 2, ... instead of at random */
	__u32 next;            /* of the sequence */
	__u32 flow;            /* drawn last */
	__u32 path;            /* key in gen_tx: the generator's egress */
	__u32 keep;            /* the sink keeps the frame in last */
	__u64 sunk;            /* frames that reached the sink */
	__u64 sink_sum;        /* keeps what the yardsticks read alive */
	__u8 last[BENCH_LEN6]; /* the frame that reached the sink last */
};

/* Link-layer addresses by role; every path has the same. */
#define BENCH_MAC_CLIENT               \
	{                              \
		0x02, 0, 0, 0, 0, 0x01 \
	}
#define BENCH_MAC_LAN                  \
	{                              \
		0x02, 0, 0, 0, 0, 0x02 \
	}
#define BENCH_MAC_WAN                  \
	{                              \
		0x02, 0, 0, 0, 0, 0x03 \
	}
#define BENCH_MAC_NET                  \
	{                              \
		0x02, 0, 0, 0, 0, 0x04 \
	}
