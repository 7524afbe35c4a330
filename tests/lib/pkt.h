/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets for tests: built from a description, layer by layer, with checksums computed by the
 * plainest implementation there is (bytes, big-endian words, full sums), which shares no line with
 * the code under test. Expected packets are described in the same way as the ones sent.
 *
 * A description names what matters; the rest is filled in: TTL 64, MACs of the client's side,
 * complete checksums, a short payload.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_ether.h>

#define PKT_CAP 4096

enum pkt_proto {
	PKT_ICMP = 1, /* ICMPv6 if the addresses are */
	PKT_TCP = 6,
	PKT_UDP = 17,
};

enum pkt_csum {
	PKT_CSUM_FULL,
	PKT_CSUM_PARTIAL, /* pseudo header's sum, not complemented: left to the card */
	PKT_CSUM_ZERO,    /* none */
};

/* A frame. The IP header is 4-byte aligned: the frame starts at offset 2 of @room. */
struct pkt {
	size_t len;
	_Alignas(8) uint8_t room[2 + PKT_CAP];
};

#define pkt_data(p) ((p)->room + 2)
#define PKT_L3      ETH_HLEN

struct pkt_spec {
	const char *src, *dst; /* text; decides the IP version */
	uint8_t proto;
	uint16_t sport, dport;        /* ICMP: sport is the id */
	bool reply;                   /* ICMP: echo reply */
	uint8_t icmp_type, icmp_code; /* ICMP: instead of echo, if either is set */
	uint8_t tcp_flags;            /* 0: ACK */
	uint8_t ttl;                  /* 0: 64 */
	uint8_t tos;                  /* or traffic class */
	uint32_t flow_label;
	uint16_t seq;
	uint32_t tcp_seq, tcp_ack;  /* tcp_seq 0: seq */
	uint16_t tcp_window;        /* 0: 64240 */
	uint8_t tcp_wscale;         /* option, if not 0 */
	const uint8_t *tcp_options; /* instead: a multiple of 4 bytes */
	size_t tcp_options_len;
	uint16_t ip_id;
	uint16_t frag;          /* IPv4: flags and offset, host order; 0: DF */
	bool no_df;             /* IPv4: a whole packet that may be fragmented */
	const uint8_t *options; /* IPv4: a multiple of 4 bytes */
	size_t options_len;
	const uint8_t *ext; /* IPv6: extension headers; the first one's type is ext_first */
	size_t ext_len;
	uint8_t ext_first;
	const void *payload; /* NULL: "fqdnat"; of payload_len bytes */
	size_t payload_len;
	enum pkt_csum csum;
	size_t pad;                 /* bytes of Ethernet padding behind the IP packet */
	const uint8_t *dmac, *smac; /* NULL: gateway's, client's */
	uint16_t ethertype;         /* 0: by address */
};

extern const uint8_t PKT_MAC_CLIENT[ETH_ALEN];
extern const uint8_t PKT_MAC_SERVER[ETH_ALEN];
extern const uint8_t PKT_MAC_GW_CLIENT[ETH_ALEN]; /* gateway's, towards the client */
extern const uint8_t PKT_MAC_GW_SERVER[ETH_ALEN];
extern const uint8_t PKT_MAC_GROUP[ETH_ALEN];

void pkt_build(struct pkt *p, const struct pkt_spec *spec);

/* pkt_build with the description in place. */
#define PKT(p, ...) pkt_build((p), &(struct pkt_spec){__VA_ARGS__})

/* An ICMP error about a frame. */
struct pkt_error {
	const char *src, *dst;
	uint8_t type, code;
	uint16_t mtu;
	uint16_t word;              /* bytes 4 and 5 of the message */
	uint8_t ttl;                /* 0: 64 */
	size_t quote;               /* bytes of @about's IP packet; 0: as the RFCs allow */
	size_t extensions;          /* bytes that follow the quote (RFC 4884) */
	const uint8_t *dmac, *smac; /* NULL: those of @about, swapped */
};

void pkt_build_error(struct pkt *p, const struct pkt_error *e, const struct pkt *about);

/* Put in a VLAN tag: @tpid is its ethertype. Take one off; return: its TCI; 0: there is none. */
void pkt_tag(struct pkt *p, uint16_t tpid, uint16_t tci);
uint16_t pkt_untag(struct pkt *p);

/* Length of the IP packet by its own header. */
size_t pkt_l3_len(const struct pkt *p);

/* Internet checksum of bytes, complemented; @seed is added (RFC 1071). */
uint16_t pkt_checksum(const void *bytes, size_t len, uint32_t seed);

/* Fail unless both frames are the same; prints both and the first difference. */
void pkt_assert_equal(const struct pkt *got, const struct pkt *expected);

/* xorshift: the same sequence for the same seed on every machine. */
uint32_t pkt_random(uint32_t *state);

/*
 * Bytes [@off, @off + @len) of what follows the IP header of @whole, as a fragment; @len 0: all
 * that is left. @off is a multiple of 8. IPv6: a Fragment header with @id is put in; IPv4: @id.
 */
void pkt_fragment(struct pkt *p, const struct pkt *whole, size_t off, size_t len, uint32_t id);
