/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From bytes to struct fq_pkt: Ethernet, IPv4 with options, IPv6 with extension headers, TCP,
 * UDP and ICMP echo.
 *
 * Pure: no helper, no map. Reads only between @data and @end, believes no length it has
 * not checked, writes nothing but the struct fq_pkt. Every bound is checked immediately before
 * use: the verifier wants it there, and so does the reader.
 *
 * The reasons are those of a packet that is not to a proxy address; pipeline.h knows better.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

#define IP4_HLEN_MIN     20
#define IP4_OPTION_WORDS 10 /* ihl is at most 15 words */
#define IP6_EXT_MAX      6  /* extension headers walked */
#define IP6_EXT_MIN      8  /* bytes of one */

/* RFC 792 */
#define ICMP_ECHO_REPLY  0
#define ICMP_UNREACHABLE 3
#define ICMP_QUENCH      4
#define ICMP_REDIRECT    5
#define ICMP_ECHO        8
#define ICMP_EXCEEDED    11
#define ICMP_PARAMETER   12
/* RFC 4443 2.1: errors have the high bit clear */
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG     2
#define ICMP6_EXCEEDED    3
#define ICMP6_PARAMETER   4
#define ICMP6_INFO        128
#define ICMP6_ECHO        128
#define ICMP6_ECHO_REPLY  129

fq_inline enum fq_reason parse_tcp(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_tcp *tcp = data + p->l4_off;
	__u32 hlen;

	if ((const void *)(tcp + 1) > end)
		return FQ_R_MALFORMED;
	hlen = (tcp->doff >> 4) * 4;
	if (hlen < sizeof(*tcp) || hlen > p->l4_len)
		return FQ_R_MALFORMED;
	p->sport = tcp->sport;
	p->dport = tcp->dport;
	p->l4_hlen = hlen;
	p->tcp_flags = tcp->flags & (FQ_TCP_FIN | FQ_TCP_SYN | FQ_TCP_RST | FQ_TCP_ACK);
	p->tcp.seq = bpf_ntohl(tcp->seq);
	p->tcp.ack = bpf_ntohl(tcp->ack);
	p->tcp.window = bpf_ntohs(tcp->window);
	p->tcp.len = p->l4_len - hlen;
	return FQ_OK;
}

fq_inline enum fq_reason parse_udp(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_udp *udp = data + p->l4_off;
	__u16 len;

	if ((const void *)(udp + 1) > end || p->l4_len < sizeof(*udp))
		return FQ_R_MALFORMED;
	len = bpf_ntohs(udp->len);
	if (len < sizeof(*udp) || (len > p->l4_len && !p->frag))
		return FQ_R_MALFORMED;
	p->sport = udp->sport;
	p->dport = udp->dport;
	p->l4_hlen = sizeof(*udp);
	if (!p->frag)
		p->l4_len = len;
	return FQ_OK;
}

fq_inline enum fq_reason icmp4_class(__u8 type)
{
	switch (type) {
	case ICMP_ECHO:
	case ICMP_ECHO_REPLY:
		return FQ_OK;
	case ICMP_UNREACHABLE:
	case ICMP_QUENCH:
	case ICMP_REDIRECT:
	case ICMP_EXCEEDED:
	case ICMP_PARAMETER:
		return FQ_R_ICMP_ERROR;
	default:
		return FQ_R_L4_UNSUPPORTED;
	}
}

fq_inline enum fq_reason icmp6_class(__u8 type)
{
	if (type == ICMP6_ECHO || type == ICMP6_ECHO_REPLY)
		return FQ_OK;
	return type < ICMP6_INFO ? FQ_R_ICMP_ERROR : FQ_R_L4_UNSUPPORTED;
}

fq_inline enum fq_reason parse_icmp(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_icmp *icmp = data + p->l4_off;
	enum fq_reason r;

	if ((const void *)(icmp + 1) > end || p->l4_len < sizeof(*icmp))
		return FQ_R_MALFORMED;
	r = p->family == FQ_AF_INET ? icmp4_class(icmp->type) : icmp6_class(icmp->type);
	if (r)
		return r == FQ_R_ICMP_ERROR && p->frag ? FQ_R_L4_UNSUPPORTED : r;
	p->l4_hlen = sizeof(*icmp);
	p->echo_reply = icmp->type == ICMP_ECHO_REPLY || icmp->type == ICMP6_ECHO_REPLY;
	if (p->echo_reply)
		p->dport = icmp->id;
	else
		p->sport = icmp->id;
	return FQ_OK;
}

/*
 * @off: of the L4 header in the frame
 * @len: bytes of the IP packet from there; the frame has been found to hold them
 */
fq_inline enum fq_reason parse_l4(const void *data, const void *end, struct fq_pkt *p, __u8 proto,
				  __u32 off, __u32 len)
{
	enum fq_reason r;

	if (off > FQ_L4_OFF_MAX)
		return FQ_R_L4_UNSUPPORTED;
	p->l4_off = off;
	p->l4_len = len;
	p->tuple.proto = proto;
	if ((p->frag & FQ_FRAG_LATER) && p->family == FQ_AF_INET6)
		r = FQ_OK;
	else if (p->frag & FQ_FRAG_LATER)
		r = proto == FQ_PROTO_TCP || proto == FQ_PROTO_UDP || proto == FQ_PROTO_ICMP
			    ? FQ_OK
			    : FQ_R_L4_UNSUPPORTED;
	else if (proto == FQ_PROTO_TCP)
		r = parse_tcp(data, end, p);
	else if (proto == FQ_PROTO_UDP)
		r = parse_udp(data, end, p);
	else if (proto == (p->family == FQ_AF_INET ? FQ_PROTO_ICMP : FQ_PROTO_ICMPV6))
		r = parse_icmp(data, end, p);
	else
		r = FQ_R_L4_UNSUPPORTED;
	return r;
}

/* @off: in bytes */
fq_inline void parse_fragment(struct fq_pkt *p, __u16 off, bool more, __be32 id)
{
	p->frag = off ? FQ_FRAG_LATER : FQ_FRAG_FIRST;
	if (more)
		p->frag |= FQ_FRAG_MORE;
	p->frag_off = off;
	p->frag_id = id;
}

/* RFC 1812 5.2.2: the header checksum is verified before anything else is believed. */
fq_inline bool ip4_header_valid(const struct fq_ip4 *ip, const void *end, __u32 hlen)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = 0;

	for (int i = 0; i < IP4_HLEN_MIN / 4; i++)
		sum += word[i];
	for (int i = 0; i < IP4_OPTION_WORDS; i++) {
		const __u32 *option = word + IP4_HLEN_MIN / 4 + i;

		if (IP4_HLEN_MIN + 4 * i >= (int)hlen)
			break;
		if ((const void *)(option + 1) > end)
			return false;
		sum += *option;
	}
	return csum_fold(sum) == 0xffff;
}

fq_inline enum fq_reason parse_ip4(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_ip4 *ip = data + p->l3_off;
	__u32 hlen, len;
	__u16 frag;

	if ((const void *)(ip + 1) > end || ip->version_ihl >> 4 != 4)
		return FQ_R_MALFORMED;
	addr_set4(&p->tuple.src, ip->src);
	addr_set4(&p->tuple.dst, ip->dst);
	p->family = FQ_AF_INET;
	p->ttl = ip->ttl;
	p->tos = ip->tos;

	hlen = (ip->version_ihl & 15) * 4;
	len = bpf_ntohs(ip->tot_len);
	if (hlen < IP4_HLEN_MIN || len < hlen || len > p->l3_room ||
	    !ip4_header_valid(ip, end, hlen))
		return FQ_R_MALFORMED;
	p->l3_len = p->mtu_len = len;
	frag = bpf_ntohs(ip->frag_off);
	p->df = (frag & IP4_DF) != 0;
	/* RFC 791 3.2: all but the last are of whole units of 8 bytes. */
	if ((frag & IP4_MF) && (len - hlen) & 7)
		return FQ_R_MALFORMED;
	if (frag & (IP4_MF | IP4_OFFSET))
		parse_fragment(p, (frag & IP4_OFFSET) * 8, frag & IP4_MF,
			       bpf_htonl(bpf_ntohs(ip->id)));
	return parse_l4(data, end, p, ip->protocol, p->l3_off + hlen, len - hlen);
}

/* A Fragment header that makes no fragment is an atomic one: the datagram is whole (RFC 6946). */
fq_inline void parse_ip6_fragment(struct fq_pkt *p, const struct fq_ip6_ext *ext)
{
	const struct fq_ip6_frag *frag = (const void *)ext;
	__u16 off = bpf_ntohs(frag->off);

	if (off & 0xfff9)
		parse_fragment(p, off & 0xfff8, off & 1, frag->id);
}

/*
 * Walk the extension headers (RFC 8200 4) to the one we can translate behind. In later fragments
 * there is none: p->tuple.proto is then what the Fragment header says.
 *
 * A routing header that is still in use says that the destination is not the final one: the
 * L4 checksum covers another address, and the packet is not for whom it seems to be.
 */
fq_inline enum fq_reason parse_ip6_ext(const void *data, const void *end, struct fq_pkt *p,
				       __u8 proto)
{
	__u32 off = p->l3_off + sizeof(struct fq_ip6);
	__u32 l3_end = p->l3_off + p->l3_len;

	for (int i = 0; i < IP6_EXT_MAX; i++) {
		const struct fq_ip6_ext *ext;
		__u8 now = proto;

		if (now != FQ_PROTO_HOPOPTS && now != FQ_PROTO_ROUTING && now != FQ_PROTO_DSTOPTS &&
		    now != FQ_PROTO_FRAGMENT)
			break;
		if (now == FQ_PROTO_HOPOPTS && i > 0)
			return FQ_R_MALFORMED;
		if (off > FQ_L4_OFF_MAX)
			return FQ_R_L4_UNSUPPORTED;
		ext = data + off;
		if ((const void *)(ext + 1) > end || off + IP6_EXT_MIN > l3_end)
			return FQ_R_MALFORMED;
		if (now == FQ_PROTO_ROUTING && ext->segments_left)
			return FQ_R_L4_UNSUPPORTED;
		if (now == FQ_PROTO_FRAGMENT) {
			if (p->frag)
				return FQ_R_MALFORMED;
			parse_ip6_fragment(p, ext);
			/* RFC 8200 4.5; all other headers are of such units, too. */
			if ((p->frag & FQ_FRAG_MORE) && p->l3_len & 7)
				return FQ_R_MALFORMED;
		}
		proto = ext->next_header;
		off += 8 + (now == FQ_PROTO_FRAGMENT ? 0 : ext->len * 8);
		if (off > l3_end)
			return FQ_R_MALFORMED;
		if (p->frag & FQ_FRAG_LATER)
			break;
	}
	return parse_l4(data, end, p, proto, off, l3_end - off);
}

fq_inline enum fq_reason parse_ip6(const void *data, const void *end, struct fq_pkt *p)
{
	const struct fq_ip6 *ip = data + p->l3_off;
	__u32 len;

	if ((const void *)(ip + 1) > end || (bpf_ntohl(ip->flowinfo) >> 28) != 6)
		return FQ_R_MALFORMED;
	/* Such addresses are not seen on a wire, and would be taken for IPv4 ones. */
	if (addr_is_mapped(&ip->src) || addr_is_mapped(&ip->dst))
		return FQ_R_MALFORMED;
	p->tuple.src = ip->src;
	p->tuple.dst = ip->dst;
	p->family = FQ_AF_INET6;
	p->ttl = ip->hop_limit;
	p->flowinfo = ip->flowinfo & bpf_htonl(0x0fffffff);

	len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (len > p->l3_room || len > 0xffff)
		return FQ_R_MALFORMED;
	p->l3_len = p->mtu_len = len;
	return parse_ip6_ext(data, end, p, ip->next_header);
}

/*
 * Parse a packet from its IP header on: p->l3_off and p->l3_room are the caller's. As parse_frame;
 * MALFORMED, too, if its headers do not lie in one piece between @data and @end.
 *
 * @proto: ethertype of what begins at p->l3_off
 */
fq_inline enum fq_reason parse_l3(const void *data, const void *end, struct fq_pkt *p, __be16 proto)
{
	switch (proto) {
	case bpf_htons(ETH_P_IP):
		return parse_ip4(data, end, p);
	case bpf_htons(ETH_P_IPV6):
		return parse_ip6(data, end, p);
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return FQ_R_VLAN;
	default:
		return FQ_R_NOT_IP;
	}
}

/*
 * Parse a frame.
 *
 * @data, @end: the frame
 * @p:          zeroed by the caller; says how far we came, also when a reason is returned
 *
 * Return: FQ_OK for TCP, UDP and ICMP echo, and for later fragments of whatever (p->frag); NOT_IP,
 * VLAN, MALFORMED, ICMP_ERROR, L4_UNSUPPORTED otherwise.
 */
fq_inline enum fq_reason parse_frame(const void *data, const void *end, struct fq_pkt *p)
{
	const struct ethhdr *eth = data;

	p->l3_off = sizeof(*eth);
	if ((const void *)(eth + 1) > end)
		return FQ_R_MALFORMED;
	p->l3_room = end - data - sizeof(*eth);
	p->l2_group = eth->h_dest[0] & 1;
	return parse_l3(data, end, p, eth->h_proto);
}
