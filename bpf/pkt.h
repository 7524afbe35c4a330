/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wire formats and the parsed packet.
 *
 * Pure: no helper, no map, no verdict; compiled for BPF and natively (unit tests, fuzzing).
 * Own header structs, because the kernel's drag half of libc into a BPF build. They assume
 * that the IP header is 4-byte aligned or that the machine does not care; natively, frames
 * start at offset 2 of an aligned buffer.
 *
 * RFC 791, 8200, 768, 9293, 792, 4443.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/if_ether.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>

#include <fqdnat/abi.h>
#include <fqdnat/reason.h>

#define fq_inline static inline __attribute__((always_inline))

/* Plain loads and stores of what another CPU may be changing: done once, and not torn. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define FQ_AF_INET  2
#define FQ_AF_INET6 10

enum fq_ipproto {
	FQ_PROTO_HOPOPTS = 0,
	FQ_PROTO_ICMP = 1,
	FQ_PROTO_TCP = 6,
	FQ_PROTO_UDP = 17,
	FQ_PROTO_ROUTING = 43,
	FQ_PROTO_FRAGMENT = 44,
	FQ_PROTO_ICMPV6 = 58,
	FQ_PROTO_DSTOPTS = 60,
};

struct fq_ip4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 src;
	__be32 dst;
};

struct fq_ip6 {
	__be32 flowinfo; /* version, traffic class, flow label */
	__be16 payload_len;
	__u8 next_header;
	__u8 hop_limit;
	struct fq_addr src;
	struct fq_addr dst;
};

#define IP4_DF     0x4000
#define IP4_MF     0x2000
#define IP4_OFFSET 0x1fff /* in units of 8 bytes */

/* RFC 8200 4.3, 4.4, 4.6: length in units of 8 bytes, the first 8 not counted. */
struct fq_ip6_ext {
	__u8 next_header;
	__u8 len;
	__u8 type;          /* routing header only */
	__u8 segments_left; /* routing header only */
	__u32 more;
};

struct fq_tcp {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 doff; /* header length in its upper four bits */
	__u8 flags;
	__be16 window;
	__u16 check;
	__be16 urgent;
};

struct fq_udp {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__u16 check;
};

/* ICMP and ICMPv6: the echo messages' form; errors use @id and @seq for other things. */
struct fq_icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be16 id;
	__be16 seq;
};

FQ_ASSERT_SIZE(struct fq_ip4, 20);
FQ_ASSERT_SIZE(struct fq_ip6, 40);
FQ_ASSERT_SIZE(struct fq_ip6_ext, 8);
FQ_ASSERT_SIZE(struct fq_tcp, 20);
FQ_ASSERT_SIZE(struct fq_udp, 8);
/* RFC 8200 4.5 */
struct fq_ip6_frag {
	__u8 next_header;
	__u8 reserved;
	__be16 off; /* in units of 8 bytes in its upper 13 bits; the lowest one: more follow */
	__be32 id;
};

FQ_ASSERT_SIZE(struct fq_icmp, 8);
FQ_ASSERT_SIZE(struct fq_ip6_frag, 8);

#define FQ_L3_OFF_MAX ETH_HLEN /* frames that we change have no tag (vlan.h) */
#define FQ_L4_OFF_MAX 512      /* longer extension header chains are not translated */

/* Of a TCP segment, host order. */
struct fq_segment {
	__u32 seq;
	__u32 ack;
	__u16 window; /* not scaled */
	__u16 len;    /* of its data */
	__u8 wscale;  /* of a SYN, when tcp.h looks at it: tcp_wscale */
};

/*
 * A packet as parse_frame found it. Whatever comes after the first failed check is zero;
 * @family is set as soon as both addresses are known.
 */
struct fq_pkt {
	struct fq_tuple tuple; /* as on the wire until pipeline.h has normalised its ports */
	__be16 sport;          /* TCP, UDP: as on the wire; echo request: id */
	__be16 dport;          /* TCP, UDP: as on the wire; echo reply: id */
	__u16 l3_len;          /* of the IP packet; frames may be longer (Ethernet padding) */
	__u16 l3_off;          /* of the IP header, from the start of the frame */
	__u16 l4_off;          /* the same of the L4 header */
	__u16 l4_len;          /* covered by the L4 checksum */
	__u16 mtu_len;         /* longest IP packet on the wire: l3_len, or less (GSO) */
	__u32 l3_room;         /* from the IP header to the end of the frame; set before parse_l3 */
	__u32 ifindex;         /* by which it has come; set before everything else */
	__be16 vlan;           /* tag (TCI) that has been taken off the frame; 0: none */
	__u8 family;           /* FQ_AF_*; 0: no IP addresses read */
	__u8 ttl;
	__u8 tos;
	__u8 tcp_flags; /* FQ_TCP_* of the wire and nothing else */
	__u8 l2_group;  /* link-layer broadcast or multicast */
	__u8 echo_reply;
	__u8 l4_hlen;    /* bytes of the TCP, UDP or ICMP echo header */
	__u8 frag;       /* FQ_FRAG_*; 0: a whole datagram */
	__u8 df;         /* IPv4: don't fragment */
	__u16 frag_off;  /* bytes */
	__be32 frag_id;  /* IPv4: in its last two bytes */
	__be32 flowinfo; /* IPv6: traffic class and flow label */
	struct fq_segment tcp;
};

/* Parts of a datagram. The first one has the L4 header, the others borrow its ports (frag.h). */
#define FQ_FRAG_FIRST 1
#define FQ_FRAG_LATER 2
#define FQ_FRAG_MORE  4 /* beside these: not the last one */

/* Several packets in one, which the kernel cuts when it sends them. */
fq_inline bool pkt_is_gso(const struct fq_pkt *p)
{
	return p->mtu_len != p->l3_len;
}

/* Which program it is that runs. */
enum fq_mode {
	FQ_MODE_NATIVE,
	FQ_MODE_GENERIC, /* skb mode */
	FQ_MODE_INJECT,  /* called by the daemon, which sends what is redirected */
	FQ_MODE_TC,
};

/*
 * Does the kernel's mark of a partial checksum stay with the packet? Then the kernel completes it
 * when the packet is sent.
 */
fq_inline bool mode_keeps_partial(__u8 mode)
{
	return mode == FQ_MODE_GENERIC || mode == FQ_MODE_TC;
}

/*
 * Which entry of a scratch map is this program's. Before kernel 6.3, BPF_PROG_TEST_RUN leaves
 * softirqs on, so that the attached program may interrupt the injecting one on the same CPU.
 */
#define FQ_SCRATCH_SLOTS 2

fq_inline __u32 mode_slot(__u8 mode)
{
	return mode == FQ_MODE_INJECT;
}

/*
 * What becomes of a packet: computed first, written last. The L3 part is a session's; the
 * rest is the route's.
 */
struct fq_plan {
	struct fq_addr src;
	struct fq_addr dst;
	__be16 port;  /* client-side port or id */
	__be16 ip_id; /* IPv4; 0: stays */
	__u8 dir;     /* enum fq_dir */
	__u8 slow;    /* the daemon sends it, and the kernel finds the way */
	__u16 mtu;    /* next hop's; TOO_BIG: what the sender is told */
	union {
		struct {
			__u8 dmac[ETH_ALEN];
			__u8 smac[ETH_ALEN];
		};
		struct fq_addr hop; /* tc, @resolve */
	};
	__u8 resolve;   /* the next hop's MAC address is not known */
	__u8 split;     /* too big, and may be fragmented: the daemon does it */
	__u8 mode;      /* enum fq_mode */
	__u8 forwarded; /* of a session that is translated elsewhere */
	__u8 family;    /* FQ_AF_* of @src and @dst */
	__u8 error;     /* ICMP error about a session's packet: see icmp_path.h */
	__u16 gateway; /* out: where the packet goes, whatever the route to its destination; 0: that
			*/
	__u32 oif;     /* 0: not routed yet */
	__u32 route_gen; /* in which it is routed, 0: not to be remembered; see hops.h */
	__u32 domain;    /* out, without a session; 0: not known */
};

fq_inline void addr_set4(struct fq_addr *a, __be32 v4)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = v4;
}

fq_inline bool addr_is_mapped(const struct fq_addr *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == bpf_htonl(0xffff);
}

fq_inline bool addr_is_zero(const struct fq_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

fq_inline bool addr_equal(const struct fq_addr *a, const struct fq_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

/* The first byte of an IPv4 address is byte 12 of its mapped form. */
fq_inline bool addr_is_multicast(const struct fq_addr *a, __u8 family)
{
	return family == FQ_AF_INET ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

/* 255.255.255.255; IPv6 has no broadcast. */
fq_inline bool addr_is_broadcast(const struct fq_addr *a, __u8 family)
{
	return family == FQ_AF_INET && a->w[3] == 0xffffffff;
}

/*
 * An address that identifies no single host, so that nothing may be sent to it in answer:
 * "this" network, loopback, multicast, class E (RFC 1122 3.2.1.3, RFC 1812 4.3.2.7); ::, ::1,
 * multicast (RFC 4443 2.4 e).
 */
fq_inline bool addr_is_nobody(const struct fq_addr *a, __u8 family)
{
	if (family == FQ_AF_INET)
		return a->b[12] == 0 || a->b[12] == 127 || a->b[12] >= 224;
	return a->b[0] == 0xff || (!(a->w[0] | a->w[1] | a->w[2]) && bpf_ntohl(a->w[3]) <= 1);
}

/* Not forwarded by routers: RFC 3927 7, RFC 4291 2.5.6. */
fq_inline bool addr_is_link_local(const struct fq_addr *a, __u8 family)
{
	if (family == FQ_AF_INET)
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}
