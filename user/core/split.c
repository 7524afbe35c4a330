/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a packet that is too large, see split.h. */
#include "core/split.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#define OPTION_END    0
#define OPTION_NOP    1
#define OPTION_COPIED 0x80 /* in every fragment, not in the first one only */

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The header of all fragments but the first: with the options that are to be copied. */
static size_t later_header(const uint8_t *first, size_t hlen, uint8_t *ret_later)
{
	size_t n = sizeof(struct iphdr), i = n;

	memcpy(ret_later, first, n);
	while (i < hlen && first[i] != OPTION_END) {
		size_t len = first[i] == OPTION_NOP ? 1 : i + 1 < hlen ? first[i + 1] : 0;

		/* What contradicts itself ends the list. */
		if (len == 0 || i + len > hlen || (first[i] != OPTION_NOP && len < 2))
			break;
		if (first[i] & OPTION_COPIED) {
			memcpy(ret_later + n, first + i, len);
			n += len;
		}
		i += len;
	}
	while (n % 4)
		ret_later[n++] = OPTION_END;
	ret_later[0] = (uint8_t)(0x40 | n / 4);
	return n;
}

static int begin4(const uint8_t *packet, size_t len, size_t mtu, struct split *ret_split)
{
	size_t hlen = (packet[0] & 15) * 4u;
	struct split s = {.first_hlen = hlen};
	struct iphdr ip;
	uint16_t frag;

	if (len < sizeof(ip) || hlen < sizeof(ip) || hlen > len)
		return -EBADMSG;
	memcpy(&ip, packet, sizeof(ip));
	if (ntohs(ip.tot_len) != len)
		return -EBADMSG;
	frag = ntohs(ip.frag_off);
	if ((frag & IP_DF) || mtu < hlen + 8)
		return -EMSGSIZE;
	s.payload = packet + hlen;
	s.len = len - hlen;
	s.part = (mtu - hlen) & ~7UL;
	s.off = frag & IP_OFFMASK;
	s.more = frag & IP_MF;
	memcpy(s.first, packet, hlen);
	s.later_hlen = later_header(s.first, hlen, s.later);
	*ret_split = s;
	return 0;
}

static int begin6(const uint8_t *packet, size_t len, size_t mtu, uint32_t id,
		  struct split *ret_split)
{
	size_t hlen = sizeof(struct ip6_hdr) + sizeof(struct ip6_frag), have = hlen;
	struct split s = {.ip6 = true, .first_hlen = hlen, .later_hlen = hlen};
	struct ip6_frag frag;
	struct ip6_hdr ip;

	if (len < sizeof(ip))
		return -EBADMSG;
	memcpy(&ip, packet, sizeof(ip));
	if (ntohs(ip.ip6_plen) + sizeof(ip) != len)
		return -EBADMSG;
	if (mtu < hlen + 8)
		return -EMSGSIZE;
	if (ip.ip6_nxt == IPPROTO_FRAGMENT) {
		if (len < hlen)
			return -EBADMSG;
		memcpy(&frag, packet + sizeof(ip), sizeof(frag));
	} else {
		frag = (struct ip6_frag){.ip6f_nxt = ip.ip6_nxt, .ip6f_ident = htonl(id)};
		ip.ip6_nxt = IPPROTO_FRAGMENT;
		have = sizeof(ip);
	}
	s.payload = packet + have;
	s.len = len - have;
	s.part = (mtu - hlen) & ~7UL;
	s.off = ntohs(frag.ip6f_offlg) >> 3;
	s.more = frag.ip6f_offlg & IP6F_MORE_FRAG;
	memcpy(s.first, &ip, sizeof(ip));
	memcpy(s.first + sizeof(ip), &frag, sizeof(frag));
	memcpy(s.later, s.first, hlen);
	*ret_split = s;
	return 0;
}

int split_begin(const uint8_t *packet, size_t len, size_t mtu, uint32_t id, struct split *ret_split)
{
	switch (len ? packet[0] >> 4 : 0) {
	case 4:
		return begin4(packet, len, mtu, ret_split);
	case 6:
		return begin6(packet, len, mtu, id, ret_split);
	default:
		return -EBADMSG;
	}
}

/* @off: in units of 8 bytes */
static void write4(uint8_t *header, size_t hlen, size_t len, size_t off, bool more)
{
	struct iphdr ip;

	memcpy(&ip, header, sizeof(ip));
	ip.tot_len = htons((uint16_t)len);
	ip.frag_off = htons((uint16_t)(off | (more ? IP_MF : 0)));
	ip.check = 0;
	memcpy(header, &ip, sizeof(ip));
	ip.check = htons(checksum(header, hlen));
	memcpy(header, &ip, sizeof(ip));
}

static void write6(uint8_t *header, size_t len, size_t off, bool more)
{
	struct ip6_frag frag;
	struct ip6_hdr ip;

	memcpy(&ip, header, sizeof(ip));
	memcpy(&frag, header + sizeof(ip), sizeof(frag));
	ip.ip6_plen = htons((uint16_t)(len - sizeof(ip)));
	frag.ip6f_offlg = htons((uint16_t)(off << 3)) | (more ? IP6F_MORE_FRAG : 0);
	memcpy(header, &ip, sizeof(ip));
	memcpy(header + sizeof(ip), &frag, sizeof(frag));
}

size_t split_next(struct split *s, uint8_t *buf, size_t cap)
{
	size_t hlen = s->done ? s->later_hlen : s->first_hlen, rest = s->len - s->done;
	size_t n = rest > s->part ? s->part : rest, off = s->off + s->done / 8;
	bool more = n < rest || s->more;

	if (rest == 0 || cap < hlen + n)
		return 0;
	memcpy(buf, s->done ? s->later : s->first, hlen);
	if (s->ip6)
		write6(buf, hlen + n, off, more);
	else
		write4(buf, hlen, hlen + n, off, more);
	memcpy(buf + hlen, s->payload + s->done, n);
	s->done += n;
	return hlen + n;
}
