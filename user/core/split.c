/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a packet that is too large, see split.h. */
#include "core/split.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
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

int split_begin(const uint8_t *packet, size_t len, size_t mtu, struct split *ret_split)
{
	size_t hlen = len ? (packet[0] & 15) * 4u : 0;
	struct split s = {.first_hlen = hlen};
	struct iphdr ip;
	uint16_t frag;

	if (len < sizeof(ip) || packet[0] >> 4 != 4 || hlen < sizeof(ip) || hlen > len)
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

size_t split_next(struct split *s, uint8_t *buf, size_t cap)
{
	size_t hlen = s->done ? s->later_hlen : s->first_hlen, rest = s->len - s->done;
	size_t n = rest > s->part ? s->part : rest;
	struct iphdr ip;

	if (rest == 0 || cap < hlen + n)
		return 0;
	memcpy(buf, s->done ? s->later : s->first, hlen);
	memcpy(&ip, buf, sizeof(ip));
	ip.tot_len = htons((uint16_t)(hlen + n));
	ip.frag_off = htons((uint16_t)((s->off + s->done / 8) | (n < rest || s->more ? IP_MF : 0)));
	ip.check = 0;
	memcpy(buf, &ip, sizeof(ip));
	ip.check = htons(checksum(buf, hlen));
	memcpy(buf, &ip, sizeof(ip));
	memcpy(buf + hlen, s->payload + s->done, n);
	s->done += n;
	return hlen + n;
}
