/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS messages (RFC 1035, 6891, 9460): queries that can be answered without the daemon are read,
 * and answered with the bytes that it would send (user/core/stub.c).
 *
 * Pure: no helper, no map. Compiled natively as well, and compared there with the daemon's answers
 * (tests/unit/test_pkt_dns.c, tests/fuzz/fuzz_dns_xdp.c).
 *
 * What is not the plain question for an address goes to the daemon: this file never says "no".
 */
#pragma once

#include "pkt.h"

#define DNS_HEADER_LEN   12
#define DNS_OPT_LEN      11
#define DNS_QUERY_MAX    128 /* bytes behind the header of a query: question and OPT */
#define DNS_QUESTION_MAX (FQ_DNS_NAME_MAX + 4)
#define DNS_RECORDS      4 /* addresses in an answer */
#define DNS_LABELS_MAX   (FQ_DNS_NAME_MAX / 2)

/* A record without its data: pointer to the name, type, class, TTL, length. */
#define DNS_RECORD_LEN 12
#define DNS_A_LEN      (DNS_RECORD_LEN + 4)
#define DNS_AAAA_LEN   (DNS_RECORD_LEN + 16)

/* Offsets into a body are masked, so that kernel 6.1 knows that they are in it. */
#define DNS_QUESTION_MASK 63
#define DNS_BODY_MAX      256

_Static_assert(DNS_QUESTION_MAX <= DNS_QUESTION_MASK, "every question");
_Static_assert(DNS_QUESTION_MASK + DNS_RECORDS * DNS_AAAA_LEN + DNS_OPT_LEN + 4 <= DNS_BODY_MAX,
	       "every answer, and to the end of its last word");

#define DNS_TYPE_A     1
#define DNS_TYPE_AAAA  28
#define DNS_TYPE_OPT   41
#define DNS_TYPE_SVCB  64
#define DNS_TYPE_HTTPS 65
#define DNS_CLASS_IN   1
#define DNS_TTL_S      1
#define DNS_UDP_SIZE   1232 /* that we offer */

/* Flags, host order. */
#define DNS_QR_OPCODE 0xf800
#define DNS_ANSWER    0x8480 /* QR, AA, RA */
#define DNS_RD_CD     0x0110
#define DNS_DO        0x80

struct dns_header {
	__be16 id;
	__be16 flags;
	__be16 qdcount;
	__be16 ancount;
	__be16 nscount;
	__be16 arcount;
};

/* What follows the IP header: a query, and later the answer in its place. */
struct dns_datagram {
	struct fq_udp udp;
	struct dns_header header;
	__u8 body[DNS_BODY_MAX]; /* behind the message: zeros to the end of a word */
} __attribute__((aligned(4)));

/* A query, and what is made of it. Too large for the stack. */
struct dns_work {
	struct fq_dns_key key; /* its name */
	struct dns_datagram msg;
	__u32 body_len;
	__u32 question_len;
	__u16 type;
	__u8 edns, dnssec_ok;
	__u8 complete; /* the answer's checksum is to be */
};

/* Length of the name at the beginning of the body, with the root label; 0: longer than a key, or
 * compressed. */
fq_inline __u32 dns_name_len(const struct dns_work *w)
{
	__u32 off = 0;

	for (int i = 0; i < DNS_LABELS_MAX; i++) {
		__u32 label = w->msg.body[off & DNS_QUESTION_MASK];

		off += label + 1;
		if (label > 63 || off > FQ_DNS_NAME_MAX)
			return 0;
		if (!label)
			return off;
	}
	return 0;
}

/* Eight bytes in lower case. Lengths of labels are no letters: they are less than 'A'. */
fq_inline __u64 dns_lower(__u64 bytes)
{
	const __u64 each = 0x0101010101010101ULL;
	__u64 low = bytes & each * 0x7f;
	__u64 from_a = low + each * (0x80 - 'A'), beyond_z = low + each * (0x80 - 'Z' - 1);

	return bytes | (from_a & ~beyond_z & ~bytes & each * 0x80) >> 2;
}

/* The key of the name of @len bytes at the beginning of the body. */
fq_inline void dns_key(struct dns_work *w, __u32 len)
{
	__builtin_memcpy(&w->key, w->msg.body, sizeof(w->key));
	for (__u32 i = 0; i < sizeof(w->key) / 8; i++) {
		__u64 word = bpf_cpu_to_be64(w->key.word[i]), keep = ~0ULL;

		if (len < 8 * i + 8)
			keep = len <= 8 * i ? 0 : ~0ULL << (64 - 8 * (len & 7));
		w->key.word[i] = bpf_be64_to_cpu(dns_lower(word) & keep);
	}
}

/* Is what follows the question nothing, or one OPT record of version 0? Its options say nothing
 * to us. */
fq_inline bool dns_additional(struct dns_work *w)
{
	const __u8 *opt = w->msg.body + (w->question_len & DNS_QUESTION_MASK);
	__u32 rest = w->body_len - w->question_len;

	if (!w->msg.header.arcount)
		return rest == 0;
	if (w->msg.header.arcount != bpf_htons(1) || rest < DNS_OPT_LEN)
		return false;
	if (opt[0] || opt[1] || opt[2] != DNS_TYPE_OPT || opt[6] ||
	    (__u32)(opt[9] << 8 | opt[10]) != rest - DNS_OPT_LEN)
		return false;
	w->edns = 1;
	w->dnssec_ok = opt[7] & DNS_DO;
	return true;
}

/*
 * Read a query: w->msg, with zeros behind it, and w->body_len are the caller's.
 *
 * Return: whether it is one that the daemon answers with addresses, or none, of w->key.
 */
fq_inline bool dns_read(struct dns_work *w)
{
	const struct dns_header *h = &w->msg.header;
	__u32 name_len;
	const __u8 *q;

	w->edns = w->dnssec_ok = 0;
	if ((h->flags & bpf_htons(DNS_QR_OPCODE)) || h->qdcount != bpf_htons(1) || h->ancount ||
	    h->nscount)
		return false;
	name_len = dns_name_len(w);
	if (name_len < 2 || name_len + 4 > w->body_len)
		return false;
	q = w->msg.body + (name_len & DNS_QUESTION_MASK);
	if (q[2] || q[3] != DNS_CLASS_IN)
		return false;
	w->type = q[0] << 8 | q[1];
	w->question_len = name_len + 4;
	dns_key(w, name_len);
	return dns_additional(w);
}

/* A record's beginning; its data is the caller's. */
fq_inline void dns_record(__u8 *at, __u8 type, __u8 len)
{
	at[0] = 0xc0; /* a pointer to the question's name (RFC 1035 4.1.4) */
	at[1] = DNS_HEADER_LEN;
	at[2] = 0;
	at[3] = type;
	at[4] = 0;
	at[5] = DNS_CLASS_IN;
	at[6] = at[7] = at[8] = 0;
	at[9] = DNS_TTL_S;
	at[10] = 0;
	at[11] = len;
}

/* The end of the message, behind records of @len bytes at @at. */
fq_inline void dns_end(struct dns_work *w, __u8 *at, __u32 len)
{
	w->body_len = w->question_len + len;
	at += len;
	if (w->edns) {
		at[0] = at[1] = 0;
		at[2] = DNS_TYPE_OPT;
		at[3] = DNS_UDP_SIZE >> 8;
		at[4] = DNS_UDP_SIZE & 0xff;
		at[5] = at[6] = 0;
		at[7] = w->dnssec_ok;
		at[8] = at[9] = at[10] = 0;
		at += DNS_OPT_LEN;
		w->body_len += DNS_OPT_LEN;
	}
	at[0] = at[1] = at[2] = 0;
}

/*
 * Make the answer from what is known of the name, in the query's place.
 *
 * Return: whether there is one for this type; else the query is as it was.
 */
fq_inline bool dns_make(struct dns_work *w, const struct fq_dns *name)
{
	__u8 *at = w->msg.body + (w->question_len & DNS_QUESTION_MASK);
	struct dns_header *h = &w->msg.header;
	__u32 records = 0, len = 0;

	if (w->type == DNS_TYPE_A && name->ipv4) {
		for (__u32 i = 0; i < DNS_RECORDS; i++, len += DNS_A_LEN) {
			dns_record(at + len, DNS_TYPE_A, 4);
			__builtin_memcpy(at + len + DNS_RECORD_LEN, name->addr[i].b + 12, 4);
		}
		records = DNS_RECORDS;
	} else if (w->type == DNS_TYPE_AAAA && name->ipv6) {
		for (__u32 i = 0; i < DNS_RECORDS; i++, len += DNS_AAAA_LEN) {
			dns_record(at + len, DNS_TYPE_AAAA, 16);
			__builtin_memcpy(at + len + DNS_RECORD_LEN, name->addr[DNS_RECORDS + i].b,
					 16);
		}
		records = DNS_RECORDS;
	} else if (w->type != DNS_TYPE_A && w->type != DNS_TYPE_AAAA && w->type != DNS_TYPE_HTTPS &&
		   w->type != DNS_TYPE_SVCB) {
		return false;
	}
	dns_end(w, at, len);
	h->flags = (h->flags & bpf_htons(DNS_RD_CD)) | bpf_htons(DNS_ANSWER);
	h->ancount = bpf_htons(records);
	h->arcount = bpf_htons(w->edns);
	return true;
}
