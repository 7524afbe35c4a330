/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation of ICMP errors about translated packets: what the error quotes, whose session that
 * is, and what the quote and the message become. IPv4 to IPv4, IPv6 to IPv6, in both directions.
 *
 * Pure: no helper, no map. Works on a copy of the message's beginning: everything that is read or
 * changed in it is there, and the frame is written to when nothing can fail any more. The copy has
 * a fixed size, so that every bound is one the verifier knows.
 *
 * Of the quoted packet only what the RFCs promise is needed: its IP header and eight bytes behind
 * it. Its L4 checksum is updated where it is quoted and never validated: the end is missing.
 *
 * RFC 5508 (REQ-3 to 5), RFC 792, RFC 4443, RFC 4884, RFC 1624. Statements I-01 to I-04.
 */
#pragma once

#include "csum.h"
#include "nat.h"
#include "parse.h"
#include "xlat.h"

#define ICMP_QUOTE_L4  8   /* RFC 792: bytes quoted behind the IP header */
#define ICMP_QUOTE_EXT 128 /* RFC 4884 3: what is quoted before extensions is no shorter */
#define ICMP_QUOTE_MAX 536 /* up to the end of a TCP header at FQ_L4_OFF_MAX */
#define IP6_OFFSET     0xfff8

/*
 * Hide an offset from the compiler before its bounds are checked: else clang 16 checks one copy and
 * uses another, about which kernel 6.1 knows nothing.
 */
#define icmp_hide(off) asm volatile("" : "+r"(off))

/* RFC 4443 3; those of IPv4 are in parse.h */
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG     2
#define ICMP6_EXCEEDED    3
#define ICMP6_PARAMETER   4

_Static_assert(ICMP_QUOTE_MAX >= FQ_L4_OFF_MAX + sizeof(struct fq_tcp), "a TCP header fits");

/*
 * An error on its way. What is quoted is a packet of the other direction: of an error that comes
 * in, one that went out. It is found by the session's entry for the error's own direction.
 */
struct icmp_xlat {
	union {
		struct {
			struct fq_icmp icmp;
			__u8 quote[ICMP_QUOTE_MAX];
		};
		__u8 message[sizeof(struct fq_icmp) + ICMP_QUOTE_MAX];
	};
	struct fq_tuple key; /* the quoted tuple, reversed, in the form of the session map */
	__be16 peer_port;    /* quoted: the resource's; TCP and UDP */
	__u16 len;           /* of @message, as far as it is copied */
	__u16 quote_len;     /* of the quoted packet, as far as it is copied */
	__u16 l4_off;        /* in @quote */
	__u8 family;
	__u8 dir;  /* enum fq_dir, of the error */
	bool more; /* what is quoted is a first fragment, */
	__be32 id; /* with that identification */
	/* Into the other IP version, see icmp_cross.h. */
	__u16 keep;              /* bytes of the quoted packet behind its headers */
	struct xlat_head head;   /* the error's */
	struct xlat_head quoted; /* the quoted packet's */
};

/* Redirects are about the way to our own router; source quench is deprecated (RFC 6633). */
fq_inline bool icmp_xlat_type(__u8 family, __u8 type)
{
	if (family == FQ_AF_INET)
		return type == ICMP_UNREACHABLE || type == ICMP_EXCEEDED || type == ICMP_PARAMETER;
	return type == ICMP6_UNREACHABLE || type == ICMP6_TOO_BIG || type == ICMP6_EXCEEDED ||
	       type == ICMP6_PARAMETER;
}

/*
 * Length of the quoted packet by the message's length attribute, which is there if extensions
 * follow; 0: not there. In words of 32 bits (IPv4) or 64 (IPv6), in bytes that were unused before
 * and may hold anything: what cannot be is not believed (RFC 4884 3, 4).
 */
fq_inline __u32 icmp_xlat_attribute(__u8 family, const struct fq_icmp *icmp)
{
	__u16 word = bpf_ntohs(icmp->id);
	__u32 len = 0;

	if (family == FQ_AF_INET)
		len = (word & 0xff) * 4;
	else if (icmp->type == ICMP6_UNREACHABLE || icmp->type == ICMP6_EXCEEDED)
		len = (word >> 8) * 8;
	return len < ICMP_QUOTE_EXT ? 0 : len;
}

/* RFC 5508 REQ-3 a: is the quoted header's checksum right? IPv6 has none. */
fq_inline bool icmp_xlat_header_valid(const struct icmp_xlat *x)
{
	const __u32 *word = (const __u32 *)x->quote;
	__u64 sum = 0;

	if (x->family != FQ_AF_INET)
		return true;
	for (__u32 i = 0; i < IP4_HLEN_MIN / 4 + IP4_OPTION_WORDS; i++) {
		if (4 * i >= x->l4_off)
			break;
		sum += word[i];
	}
	return csum_fold(sum) == 0xffff;
}

/* The quoted packet's own length, where it is shorter than what is there: padding follows. */
fq_inline void quote_limit(struct icmp_xlat *x, __u32 len)
{
	if (x->quote_len > len)
		x->quote_len = len;
}

/* Ports, or the id of an echo request that went out, of a reply that came in. */
fq_inline enum fq_reason quote_l4(struct icmp_xlat *x, __u32 off)
{
	struct fq_tuple *key = &x->key;
	bool in = x->dir == FQ_DIR_IN;
	const struct fq_icmp *icmp;
	const struct fq_udp *udp;

	icmp_hide(off);
	if (off > FQ_L4_OFF_MAX)
		return FQ_R_ICMP_ERROR;
	if (off + ICMP_QUOTE_L4 > x->quote_len)
		return FQ_R_MALFORMED;
	udp = (const void *)(x->quote + off);
	icmp = (const void *)udp;
	x->l4_off = off;
	if (key->proto == FQ_PROTO_TCP || key->proto == FQ_PROTO_UDP) {
		x->peer_port = in ? udp->dport : udp->sport;
		if (in || key->proto == FQ_PROTO_TCP)
			key->dport = udp->sport;
		if (!in || key->proto == FQ_PROTO_TCP)
			key->sport = udp->dport;
		return FQ_OK;
	}
	if (x->family == FQ_AF_INET) {
		if (key->proto != FQ_PROTO_ICMP || icmp->type != (in ? ICMP_ECHO : ICMP_ECHO_REPLY))
			return FQ_R_ICMP_ERROR;
	} else if (key->proto != FQ_PROTO_ICMPV6 ||
		   icmp->type != (in ? ICMP6_ECHO : ICMP6_ECHO_REPLY)) {
		return FQ_R_ICMP_ERROR;
	}
	if (in)
		key->dport = icmp->id;
	else
		key->sport = icmp->id;
	return FQ_OK;
}

fq_inline enum fq_reason quote_ip4(struct icmp_xlat *x)
{
	const struct fq_ip4 *ip = (const void *)x->quote;
	__u32 hlen = (ip->version_ihl & 15) * 4;

	if (x->quote_len < sizeof(*ip) || ip->version_ihl >> 4 != 4 || hlen < IP4_HLEN_MIN)
		return FQ_R_MALFORMED;
	addr_set4(&x->key.src, ip->dst);
	addr_set4(&x->key.dst, ip->src);
	x->key.proto = ip->protocol;
	quote_limit(x, bpf_ntohs(ip->tot_len));
	/* The first fragment has the ports, the others do not. */
	if (ip->frag_off & bpf_htons(IP4_OFFSET))
		return FQ_R_ICMP_ERROR;
	x->more = ip->frag_off & bpf_htons(IP4_MF);
	x->id = bpf_htonl(bpf_ntohs(ip->id));
	return quote_l4(x, hlen);
}

/* Extension headers as parse_ip6_ext walks them, and the first fragment's. */
fq_inline enum fq_reason quote_ip6_ext(struct icmp_xlat *x, __u8 proto)
{
	__u32 off = sizeof(struct fq_ip6);

	for (int i = 0; i < IP6_EXT_MAX; i++) {
		const struct fq_ip6_ext *ext;
		bool fragment = proto == FQ_PROTO_FRAGMENT;

		if (!fragment && proto != FQ_PROTO_HOPOPTS && proto != FQ_PROTO_ROUTING &&
		    proto != FQ_PROTO_DSTOPTS)
			break;
		icmp_hide(off);
		if (off > FQ_L4_OFF_MAX)
			return FQ_R_ICMP_ERROR;
		if (off + sizeof(*ext) > x->quote_len)
			return FQ_R_MALFORMED;
		ext = (const void *)(x->quote + off);
		if (fragment && ((ext->type << 8 | ext->segments_left) & IP6_OFFSET))
			return FQ_R_ICMP_ERROR;
		if (proto == FQ_PROTO_ROUTING && ext->segments_left)
			return FQ_R_ICMP_ERROR;
		if (fragment) {
			x->more = ext->segments_left & 1;
			x->id = ((const struct fq_ip6_frag *)ext)->id;
		}
		proto = ext->next_header;
		off += fragment ? sizeof(*ext) : 8U + ext->len * 8;
	}
	x->key.proto = proto;
	return quote_l4(x, off);
}

fq_inline enum fq_reason quote_ip6(struct icmp_xlat *x)
{
	const struct fq_ip6 *ip = (const void *)x->quote;

	if (x->quote_len < sizeof(*ip) || (bpf_ntohl(ip->flowinfo) >> 28) != 6)
		return FQ_R_MALFORMED;
	if (addr_is_mapped(&ip->src) || addr_is_mapped(&ip->dst))
		return FQ_R_MALFORMED;
	x->key.src = ip->dst;
	x->key.dst = ip->src;
	quote_limit(x, sizeof(*ip) + bpf_ntohs(ip->payload_len));
	return quote_ip6_ext(x, ip->next_header);
}

/*
 * Read what an error is about. No checksum is looked at: see icmp_xlat_header_valid.
 *
 * @x: @message is filled with the first @len bytes of the ICMP message, as many as there are and
 *     fit; @family and @dir are set
 *
 * Return: FQ_OK with @x->key; MALFORMED; ICMP_ERROR: not of a kind that is translated, or about a
 * packet that cannot be told to be a session's.
 */
fq_inline enum fq_reason icmp_xlat_read(struct icmp_xlat *x)
{
	__u32 attribute;

	__builtin_memset(&x->key, 0, sizeof(x->key));
	x->peer_port = 0;
	x->more = false;
	if (x->len < sizeof(x->icmp) || x->len > sizeof(x->message))
		return FQ_R_MALFORMED;
	if (!icmp_xlat_type(x->family, x->icmp.type))
		return FQ_R_ICMP_ERROR;
	x->quote_len = x->len - sizeof(x->icmp);
	attribute = icmp_xlat_attribute(x->family, &x->icmp);
	if (attribute)
		quote_limit(x, attribute);
	return x->family == FQ_AF_INET ? quote_ip4(x) : quote_ip6(x);
}

/*
 * The quoted L4 header becomes what it was: port or id, and the checksum if it is quoted. (Of UDP
 * and ICMP it always is; 0 says that there is none, RFC 768.)
 *
 * @addr_diff: what the addresses' change does to checksums that cover them
 *
 * Return: the difference to the message's sum.
 */
fq_inline __u64 quote_rewrite_l4(struct icmp_xlat *x, __be16 port, __u64 addr_diff)
{
	__u8 proto = x->key.proto;
	__u32 off = x->l4_off, check_off = nat_check_off(proto);
	__u16 *field, *check, from;
	__u64 port_diff, diff;

	icmp_hide(off);
	if (off > FQ_L4_OFF_MAX)
		return 0;
	field = (__u16 *)(x->quote + off +
			  nat_port_off(proto, x->dir == FQ_DIR_IN ? FQ_DIR_OUT : FQ_DIR_IN));
	port_diff = csum_diff16(*field, port);
	*field = port;
	if (off + check_off + sizeof(*check) > x->quote_len)
		return port_diff;
	check = (__u16 *)(x->quote + off + check_off);
	from = *check;
	diff = proto == FQ_PROTO_ICMP ? port_diff : port_diff + addr_diff;
	if (proto != FQ_PROTO_UDP)
		*check = csum_update(from, diff);
	else if (from)
		*check = csum_udp_nonzero(csum_update(from, diff));
	return port_diff + csum_diff16(from, *check);
}

/*
 * Translate the copy: the quoted packet is given back the form in which the error's receiver knows
 * it, and the message its checksum.
 *
 * @x:    as icmp_xlat_read left it
 * @p:    the error as parsed
 * @plan: its addresses as they become
 * @src, @dst, @port: the quoted packet's as they become; the port or id is the client's
 */
fq_inline void icmp_xlat_rewrite(struct icmp_xlat *x, const struct fq_pkt *p,
				 const struct fq_plan *plan, const struct fq_addr *src,
				 const struct fq_addr *dst, __be16 port)
{
	struct fq_ip4 *ip4 = (struct fq_ip4 *)x->quote;
	struct fq_ip6 *ip6 = (struct fq_ip6 *)x->quote;
	__u64 addr_diff = csum_diff_addr(&x->key.dst, src, x->family) +
			  csum_diff_addr(&x->key.src, dst, x->family);
	__u64 diff = addr_diff + quote_rewrite_l4(x, port, addr_diff);
	__u16 from;

	if (x->family == FQ_AF_INET) {
		from = ip4->check;
		ip4->src = src->w[3];
		ip4->dst = dst->w[3];
		ip4->check = csum_update(from, addr_diff);
		diff += csum_diff16(from, ip4->check);
	} else {
		ip6->src = *src;
		ip6->dst = *dst;
		diff += nat_addr_diff(p, plan);
	}
	x->icmp.check = csum_update(x->icmp.check, diff);
}
