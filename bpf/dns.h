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

/* A record without its data: pointer to the name, type, class, TTL, length. */
#define DNS_RECORD_LEN 12
#define DNS_A_LEN      (DNS_RECORD_LEN + 4)
#define DNS_AAAA_LEN   (DNS_RECORD_LEN + 16)

/* A name in ip6.arpa (RFC 3596 2.5): 32 labels of one hexadecimal digit, and this. */
#define DNS_IP6_SUFFIX   "\3ip6\4arpa"
#define DNS_IP6_NAME_LEN (64 + sizeof(DNS_IP6_SUFFIX))

/* Offsets into a body are masked, so that kernel 6.1 knows that they are in it. */
#define DNS_QUESTION_MASK 127
#define DNS_BODY_MAX      256

_Static_assert(DNS_QUESTION_MAX <= DNS_QUESTION_MASK, "every question");
_Static_assert(DNS_IP6_NAME_LEN + 4 <= DNS_QUESTION_MASK, "every question");
_Static_assert(DNS_RECORD_LEN + FQ_DNS_NAME_MAX <= DNS_RECORDS * DNS_AAAA_LEN, "PTR, too");
_Static_assert(DNS_QUESTION_MASK + DNS_RECORDS * DNS_AAAA_LEN + DNS_OPT_LEN + 4 <= DNS_BODY_MAX,
	       "every answer, and to the end of its last word");

#define DNS_TYPE_A     1
#define DNS_TYPE_PTR   12
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
	struct fq_addr proxy;  /* PTR: the address that the name stands for */
	struct dns_datagram msg;
	__u32 body_len;
	__u32 question_len;
	__u16 type;
	__u8 edns, dnssec_ok;
	__u8 complete; /* the answer's checksum is to be */
};

/* Eight bytes in lower case. Lengths of labels are no letters: they are less than 'A'. */
fq_inline __u64 dns_lower(__u64 bytes)
{
	const __u64 each = 0x0101010101010101ULL;
	__u64 low = bytes & each * 0x7f;
	__u64 from_a = low + each * (0x80 - 'A'), beyond_z = low + each * (0x80 - 'Z' - 1);

	return bytes | (from_a & ~beyond_z & ~bytes & each * 0x80) >> 2;
}

/* Eight bytes as a number whose lowest ones are the first, and back. */
fq_inline __u64 dns_le64(__u64 bytes)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? bytes : __builtin_bswap64(bytes);
}

/*
 * The key of the name at the beginning of the body: its bytes to the first zero. Where that is not
 * the root label, or where a label is too long, the key is no name's, because no name has such
 * bytes (dnslease_key): nobody needs to walk the labels.
 *
 * Return: length of the name, with the zero; 0: longer than a key.
 */
fq_inline __u32 dns_key(struct dns_work *w)
{
	const __u64 each = 0x0101010101010101ULL;
	__u64 keep = ~0ULL;
	__u32 len = 0;

	__builtin_memcpy(&w->key, w->msg.body, sizeof(w->key));
	for (__u32 i = 0; i < sizeof(w->key) / 8; i++) {
		__u64 word = dns_le64(w->key.word[i]);
		/* The lowest bit is that of the first zero; above it there may be others. */
		__u64 zeros = (word - each) & ~word & each * 0x80, first = zeros & -zeros;

		if (keep && zeros) {
			keep = first - 1;
			/* One of each byte to this one: their sum. */
			len = 8 * i + ((keep & each) * each >> 56);
			word &= keep;
			keep = 0;
		} else {
			word &= keep;
		}
		w->key.word[i] = dns_le64(dns_lower(word));
	}
	return len;
}

/* A hexadecimal digit's value; of anything else more than 15. */
fq_inline __u8 dns_hex(__u8 c)
{
	if ((__u8)(c - '0') < 10)
		return c - '0';
	c = (c | 0x20) - 'a';
	return c < 6 ? c + 10 : 16;
}

/* Is the name at the beginning of the body one in ip6.arpa? Then w->proxy is its address. */
fq_inline bool dns_ip6(struct dns_work *w)
{
	const __u8 *b = w->msg.body;
	__u64 suffix, end;
	__u8 bad = 0;

	for (int i = 0; i < 16; i++) {
		__u8 low = dns_hex(b[4 * i + 1]), high = dns_hex(b[4 * i + 3]);

		bad |= (b[4 * i] ^ 1) | (b[4 * i + 2] ^ 1) | ((low | high) & 0xf0);
		w->proxy.b[15 - i] = high << 4 | low;
	}
	__builtin_memcpy(&suffix, b + 64, sizeof(suffix));
	__builtin_memcpy(&end, DNS_IP6_SUFFIX, sizeof(end));
	return !bad && dns_lower(suffix) == end && (b[72] | 0x20) == 'a' && !b[73];
}

/* The decimal number of a label of @len digits, without zeros before it; else more than 255. */
fq_inline __u32 dns_decimal(const __u8 *digit, __u32 len)
{
	__u32 value = 0;

	if (!len || len > 3 || (digit[0] == '0' && len > 1))
		return 256;
	for (__u32 i = 0; i < 3; i++) {
		if (i >= len)
			break;
		if ((__u8)(digit[i] - '0') > 9)
			return 256;
		value = 10 * value + (digit[i] - '0');
	}
	return value;
}

/* Is the name in w->key one in in-addr.arpa (RFC 1035 3.5)? Then w->proxy is its address. */
fq_inline bool dns_ip4(struct dns_work *w)
{
	static const char suffix[] = "\7in-addr\4arpa";
	__u32 off = 0;

	w->proxy = (struct fq_addr){.w[2] = bpf_htonl(0xffff)};
	for (int i = 0; i < 4; i++) {
		const __u8 *label = w->key.name + (off & 31);
		__u32 value = dns_decimal(label + 1, label[0]);

		if (value > 255)
			return false;
		w->proxy.b[15 - i] = value;
		off += label[0] + 1;
	}
	for (__u32 i = 0; i < sizeof(suffix); i++)
		if (w->key.name[(off & 31) + i] != (__u8)suffix[i])
			return false;
	return true;
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
 * Read a query: w->msg and w->body_len are the caller's. What stands behind it may be anything.
 *
 * Return: whether it is one that the daemon answers with addresses, or none, of w->key, or, if
 * w->type is PTR, with the name of w->proxy.
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
	name_len = dns_key(w);
	if (!name_len && dns_ip6(w))
		name_len = DNS_IP6_NAME_LEN;
	if (name_len < 2 || name_len + 4 > w->body_len)
		return false;
	q = w->msg.body + (name_len & DNS_QUESTION_MASK);
	if (q[2] || q[3] != DNS_CLASS_IN)
		return false;
	w->type = q[0] << 8 | q[1];
	w->question_len = name_len + 4;
	if (name_len > FQ_DNS_NAME_MAX && w->type != DNS_TYPE_PTR)
		return false;
	if (w->type == DNS_TYPE_PTR && name_len <= FQ_DNS_NAME_MAX && !dns_ip4(w))
		return false;
	return dns_additional(w);
}

/* Words that may stand anywhere. The verifier takes such, clang does not believe it. */
#ifdef __bpf__
fq_inline void dns_put32(__u8 *at, __be32 word)
{
	*(volatile __u32 *)at = word;
}

fq_inline void dns_put64(__u8 *at, __be64 word)
{
	*(volatile __u64 *)at = word;
}
#else
fq_inline void dns_put32(__u8 *at, __be32 word)
{
	memcpy(at, &word, sizeof(word));
}

fq_inline void dns_put64(__u8 *at, __be64 word)
{
	memcpy(at, &word, sizeof(word));
}
#endif

/*
 * A record's beginning: a pointer to the question's name (RFC 1035 4.1.4), type, class, TTL, length
 * of the data, which is the caller's.
 */
fq_inline void dns_record(__u8 *at, __u8 type, __u8 len)
{
	dns_put64(at, bpf_cpu_to_be64(0xc000000000000000ULL | (__u64)DNS_HEADER_LEN << 48 |
				      (__u64)type << 32 | DNS_CLASS_IN << 16));
	dns_put32(at + 8, bpf_htonl(DNS_TTL_S << 16 | len));
}

/* The header, and the end of the message: behind @records of @len bytes at @at. */
fq_inline void dns_end(struct dns_work *w, __u8 *at, __u32 records, __u32 len)
{
	struct dns_header *h = &w->msg.header;

	h->flags = (h->flags & bpf_htons(DNS_RD_CD)) | bpf_htons(DNS_ANSWER);
	h->ancount = bpf_htons(records);
	h->arcount = bpf_htons(w->edns);
	w->body_len = w->question_len + len;
	at += len;
	if (w->edns) {
		/* Root, OPT, size; no more of the code, version 0, the flag DO; no options. */
		dns_put64(at, bpf_cpu_to_be64((__u64)DNS_TYPE_OPT << 40 |
					      (__u64)DNS_UDP_SIZE << 24 | w->dnssec_ok));
		dns_put32(at + 8, 0);
		at += DNS_OPT_LEN;
		w->body_len += DNS_OPT_LEN;
	}
	dns_put32(at, 0);
}

/*
 * Make the answer from what is known of the name, in the query's place.
 *
 * Return: whether there is one for this type; else the query is as it was.
 */
fq_inline bool dns_make(struct dns_work *w, const struct fq_dns *name)
{
	__u8 *at = w->msg.body + (w->question_len & DNS_QUESTION_MASK);
	__u32 records = 0, len = 0;

	if (w->type == DNS_TYPE_A && name->ipv4) {
		for (__u32 i = 0; i < DNS_RECORDS; i++, len += DNS_A_LEN) {
			dns_record(at + len, DNS_TYPE_A, 4);
			dns_put32(at + len + DNS_RECORD_LEN, name->v4[i]);
		}
		records = DNS_RECORDS;
	} else if (w->type == DNS_TYPE_AAAA && name->ipv6) {
		for (__u32 i = 0; i < DNS_RECORDS; i++, len += DNS_AAAA_LEN) {
			dns_record(at + len, DNS_TYPE_AAAA, 16);
			for (int j = 0; j < 4; j++)
				dns_put32(at + len + DNS_RECORD_LEN + 4 * j, name->v6[i].w[j]);
		}
		records = DNS_RECORDS;
	} else if (w->type != DNS_TYPE_A && w->type != DNS_TYPE_AAAA && w->type != DNS_TYPE_HTTPS &&
		   w->type != DNS_TYPE_SVCB) {
		return false;
	}
	dns_end(w, at, records, len);
	return true;
}

/* The same from what is known of the address. */
fq_inline bool dns_make_ptr(struct dns_work *w, const struct fq_dns_ptr *proxy)
{
	__u8 *at = w->msg.body + (w->question_len & DNS_QUESTION_MASK);
	__u32 len = proxy->len;

	if (len > FQ_DNS_NAME_MAX)
		return false;
	dns_record(at, DNS_TYPE_PTR, len);
	__builtin_memcpy(at + DNS_RECORD_LEN, proxy->name, FQ_DNS_NAME_MAX);
	dns_end(w, at, 1, DNS_RECORD_LEN + len);
	return true;
}
