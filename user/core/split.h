/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IP packets that are larger than the next hop's MTU and may be fragmented: the parts of one, one
 * after the other (RFC 791 3.2, RFC 8200 4.5; RFC 4787 REQ-13, RFC 7915 4). A fragment may be
 * fragmented again. Pure; called by user/daemon.
 *
 * IPv6 packets are those that were IPv4 ones before a translation: behind their header is nothing
 * but a Fragment header, if they were fragments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLIT_HLEN_MAX 60

struct split {
	const uint8_t *payload;
	size_t len;   /* of it */
	size_t part;  /* bytes of it in each fragment but the last */
	size_t done;  /* bytes of it that are in fragments already */
	uint16_t off; /* of the payload in its datagram, in units of 8 bytes */
	bool more;    /* the packet was not the last fragment of its datagram */
	uint8_t first[SPLIT_HLEN_MAX], later[SPLIT_HLEN_MAX]; /* headers */
	size_t first_hlen, later_hlen;
	bool ip6;
};

/*
 * @packet: IP header and payload, @len bytes; must outlive @ret_split
 * @mtu:    bytes of a whole IP packet
 * @id:     identification of the fragments of an IPv6 packet that is none so far, host order
 *
 * Return: 0; -EBADMSG not an IP packet of that length; -EMSGSIZE DF is set, or the MTU leaves no
 * room
 */
int split_begin(const uint8_t *packet, size_t len, size_t mtu, uint32_t id,
		struct split *ret_split);

/*
 * The next fragment, whole, with its checksum (IPv4).
 *
 * @cap: of @buf; at least the MTU
 *
 * Return: its length; 0: there is no more.
 */
size_t split_next(struct split *split, uint8_t *buf, size_t cap);
