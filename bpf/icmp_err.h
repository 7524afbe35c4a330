/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about packets that are refused: which one, whether it may be sent, and its
 * headers.
 *
 * Pure: no helper, no map. hook.h makes room in the frame and sends it.
 *
 * RFC 792, RFC 1191, RFC 1812 4.3.2, RFC 4443 2.4 and 3. Statements G-24 to G-26, G-31, G-32 of
 * docs/behaviours.md.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

#define ICMP_ERR_TTL    64
#define ICMP_ERR_TOS    0xc0 /* RFC 1812 4.3.2.5: precedence 6 */
#define ICMP_ERR_TOTAL4 576  /* RFC 1812 4.3.2.3: as much as fits */
#define ICMP_ERR_TOTAL6 1280 /* RFC 4443 2.4 c */
#define ICMP_ERR_HLEN4  (sizeof(struct fq_ip4) + sizeof(struct fq_icmp))
#define ICMP_ERR_HLEN6  (sizeof(struct fq_ip6) + sizeof(struct fq_icmp))
#define NSEC_PER_SEC    1000000000ULL

struct icmp_err_kind {
	__u8 type4, code4;
	__u8 type6, code6;
};

/* Reasons that are not listed send nothing; no error has type 0 in IPv4. */
static const struct icmp_err_kind icmp_err_kinds[FQ_REASON_MAX] = {
	/* network unreachable; address unreachable, so that Happy Eyeballs goes on (G-25, G-26) */
	[FQ_R_NO_TRANSLATION] = {3, 0, 1, 3},
	[FQ_R_NO_FAMILY] = {3, 0, 1, 3},
	[FQ_R_DOMAIN_FAILED] = {3, 0, 1, 3},
	[FQ_R_NO_NAT_ADDRESS] = {3, 0, 1, 3},
	[FQ_R_GATEWAY_UNKNOWN] = {3, 0, 1, 3},
	[FQ_R_NO_ROUTE] = {3, 0, 1, 0},
	/* administratively prohibited (G-24; RFC 5508 REQ-8, RFC 6888 REQ-11) */
	[FQ_R_NOT_A_CLIENT] = {3, 13, 1, 1},
	[FQ_R_NOT_GRANTED] = {3, 13, 1, 1},
	[FQ_R_FILTERED] = {3, 13, 1, 1},
	[FQ_R_QUOTA] = {3, 13, 1, 1},
	[FQ_R_EDGE_QUOTA] = {3, 13, 1, 1},
	[FQ_R_TABLE_FULL] = {3, 13, 1, 1},
	[FQ_R_NO_PORT] = {3, 13, 1, 1},
	/* source route failed (RFC 7915 4.1); never the fate of an IPv6 packet */
	[FQ_R_SOURCE_ROUTED] = {3, 5, 1, 0},
	/* time exceeded in transit */
	[FQ_R_TTL_EXCEEDED] = {11, 0, 3, 0},
	/* fragmentation needed; packet too big */
	[FQ_R_TOO_BIG] = {3, 4, 2, 0},
};

/* An error to be written. */
struct icmp_err {
	struct fq_addr src;
	struct fq_addr dst;
	__u64 quote_sum; /* of the quoted bytes, not folded */
	__u16 l3_off;    /* of the refused packet in the frame, and of the error */
	__u16 quote_len;
	__u16 mtu; /* 0 if the error has none */
	__u8 family;
	__u8 type;
	__u8 code;
};

/*
 * May an error be sent about this packet? Errors and multicast destinations do not get here: they
 * are no sessions' and no proxy addresses' (RFC 1812 4.3.2.7, RFC 4443 2.4 e).
 */
fq_inline bool icmp_err_allowed(const struct fq_pkt *p)
{
	return p->family && !p->l2_group && !(p->frag & FQ_FRAG_LATER) &&
	       !addr_is_nobody(&p->tuple.src, p->family) &&
	       !addr_is_multicast(&p->tuple.dst, p->family) &&
	       !addr_is_broadcast(&p->tuple.dst, p->family);
}

/* Bytes of the refused packet that are quoted. */
fq_inline __u16 icmp_err_quote(const struct fq_pkt *p)
{
	__u16 max = p->family == FQ_AF_INET ? ICMP_ERR_TOTAL4 - ICMP_ERR_HLEN4
					    : ICMP_ERR_TOTAL6 - ICMP_ERR_HLEN6;

	return p->l3_len < max ? p->l3_len : max;
}

/* The ICMP header without its checksum; the MTU stands in the last 16 (RFC 1191) or 32 bits. */
fq_inline struct fq_icmp icmp_err_header(const struct icmp_err *e)
{
	return (struct fq_icmp){.type = e->type, .code = e->code, .seq = bpf_htons(e->mtu)};
}

fq_inline __u64 icmp_err_sum(const struct icmp_err *e, const struct fq_icmp *icmp)
{
	return e->quote_sum + bpf_htons(icmp->type << 8 | icmp->code) + icmp->seq;
}

/* Write the headers before the quoted packet. @ip: room for ICMP_ERR_HLEN4 bytes. */
fq_inline void icmp_err_write4(const struct icmp_err *e, struct fq_ip4 *ip)
{
	struct fq_icmp icmp = icmp_err_header(e);
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = 0;

	*ip = (struct fq_ip4){
		.version_ihl = 0x45,
		.tos = ICMP_ERR_TOS,
		.tot_len = bpf_htons(ICMP_ERR_HLEN4 + e->quote_len),
		.frag_off = bpf_htons(IP4_DF), /* so that the id may be 0 (RFC 6864) */
		.ttl = ICMP_ERR_TTL,
		.protocol = FQ_PROTO_ICMP,
		.src = e->src.w[3],
		.dst = e->dst.w[3],
	};
	for (__u32 i = 0; i < sizeof(*ip) / 4; i++)
		sum += word[i];
	ip->check = ~csum_fold(sum);
	icmp.check = ~csum_fold(icmp_err_sum(e, &icmp));
	*(struct fq_icmp *)(ip + 1) = icmp;
}

/* The same for IPv6. @ip: room for ICMP_ERR_HLEN6 bytes. */
fq_inline void icmp_err_write6(const struct icmp_err *e, struct fq_ip6 *ip)
{
	struct fq_icmp icmp = icmp_err_header(e);
	__u16 len = sizeof(icmp) + e->quote_len;

	*ip = (struct fq_ip6){
		.flowinfo = bpf_htonl(6U << 28),
		.payload_len = bpf_htons(len),
		.next_header = FQ_PROTO_ICMPV6,
		.hop_limit = ICMP_ERR_TTL,
		.src = e->src,
		.dst = e->dst,
	};
	icmp.check = ~csum_fold(icmp_err_sum(e, &icmp) +
				csum_pseudo(&e->src, &e->dst, FQ_AF_INET6, FQ_PROTO_ICMPV6, len));
	*(struct fq_icmp *)(ip + 1) = icmp;
}

/*
 * Take a token from a bucket that gains @per_second tokens up to @burst.
 *
 * Only whole tokens are gained, and the time they took is what is accounted for, so that slow
 * rates are kept, too. Two CPUs may race for one bucket: then an error more or less is sent.
 */
fq_inline bool bucket_take(struct fq_bucket *b, __u32 per_second, __u32 burst, __u64 now)
{
	__u64 idle = now > b->refilled ? now - b->refilled : 0;
	__u64 tokens = b->tokens;

	if (per_second && idle >= NSEC_PER_SEC / per_second) {
		/* A longer idle time fills any bucket, and would overflow. */
		__u64 gain = idle > burst * NSEC_PER_SEC ? burst : idle * per_second / NSEC_PER_SEC;

		tokens += gain;
		b->refilled = tokens < burst ? b->refilled + gain * NSEC_PER_SEC / per_second : now;
		if (tokens > burst)
			tokens = burst;
	}
	if (tokens)
		b->tokens = tokens - 1;
	else
		b->tokens = 0;
	return tokens != 0;
}
