/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors from anyone: reading depends on nothing behind the message; what is translated has
 * the checksums it should, is read as what it was made, and translated back becomes what it was.
 *
 * The first byte says the direction, the rest is a frame.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_icmp.c
 *	fuzz_icmp tests/fuzz/corpus/icmp
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/icmp_xlat.h"

#include "fuzz.h"

#define FRAME_MAX 2048

/* Sum of the whole message with its pseudo header; 0xffff if the checksum is right. */
static uint16_t message_sum(const struct icmp_xlat *x, const struct fq_addr *src,
			    const struct fq_addr *dst)
{
	uint32_t pseudo = 0;

	if (x->family == FQ_AF_INET6)
		pseudo = fuzz_sum(src->b, 16, fuzz_sum(dst->b, 16, FQ_PROTO_ICMPV6 + x->len));
	return fuzz_sum(x->message, x->len, pseudo);
}

static void repair_message(struct icmp_xlat *x, const struct fq_pkt *p)
{
	x->icmp.check = 0;
	x->icmp.check = ~bpf_htons(message_sum(x, &p->tuple.src, &p->tuple.dst));
}

static void assert_rest(const struct icmp_xlat *x, uint8_t filler)
{
	for (size_t i = x->len; i < sizeof(x->message); i++)
		require(x->message[i] == filler);
}

/* @filler: stands behind the message, and must make no difference */
static enum fq_reason read_message(struct icmp_xlat *x, const uint8_t *frame,
				   const struct fq_pkt *p, uint8_t dir, uint8_t filler)
{
	memset(x, filler, sizeof(*x));
	x->len = p->l4_len < sizeof(x->message) ? p->l4_len : sizeof(x->message);
	x->family = p->family;
	x->dir = dir;
	memcpy(x->message, frame + p->l4_off, x->len);
	if (x->len > sizeof(x->icmp))
		fuzz_repair4(x->quote, x->len - sizeof(x->icmp));
	return icmp_xlat_read(x);
}

static struct fq_addr other(uint8_t family, uint8_t last)
{
	struct fq_addr a = {.b = {0x20, 1, 0xd, 0xb8, [14] = 0xfe, [15] = last}};

	if (family == FQ_AF_INET)
		addr_set4(&a, bpf_htonl(0xc6336400 | last));
	return a;
}

static __be16 our_port(const struct icmp_xlat *x)
{
	return x->dir == FQ_DIR_IN ? x->key.dport : x->key.sport;
}

/* All the same, but for a checksum of 0 where it was 0xffff, or the reverse. */
static void assert_same_message(const struct icmp_xlat *got, const struct icmp_xlat *expected)
{
	struct icmp_xlat a = *got, b = *expected;
	uint32_t l4 = a.l4_off + nat_check_off(a.key.proto);

	require(a.len == b.len && a.l4_off == b.l4_off && a.quote_len == b.quote_len);
	a.icmp.check = b.icmp.check = 0;
	if (a.family == FQ_AF_INET) {
		((struct fq_ip4 *)a.quote)->check = ((struct fq_ip4 *)b.quote)->check = 0;
	}
	if (l4 + 2 <= a.quote_len) {
		uint16_t *ca = (uint16_t *)(a.quote + l4), *cb = (uint16_t *)(b.quote + l4);

		require(*ca == *cb || (uint16_t)(*ca + 1) <= 1);
		*ca = *cb = 0;
	}
	require(memcmp(a.message, b.message, a.len) == 0);
}

/* There and back again. */
static void translate(struct icmp_xlat *x, const struct fq_pkt *p, uint8_t filler)
{
	const struct fq_addr src = other(p->family, 1), dst = other(p->family, 2);
	const struct fq_plan there = {.src = other(p->family, 3), .dst = other(p->family, 4)};
	const struct fq_plan back = {.src = p->tuple.src, .dst = p->tuple.dst};
	struct icmp_xlat before = *x;
	struct fq_pkt q = *p;

	repair_message(&before, p);
	*x = before;
	icmp_xlat_rewrite(x, p, &there, &src, &dst, bpf_htons(1024));
	assert_rest(x, filler);
	require(message_sum(x, &there.src, &there.dst) == 0xffff);
	require(icmp_xlat_header_valid(x));

	require(icmp_xlat_read(x) == FQ_OK);
	require(addr_equal(&x->key.src, &dst) && addr_equal(&x->key.dst, &src));
	require(our_port(x) == bpf_htons(1024) && x->peer_port == before.peer_port);
	q.tuple.src = there.src;
	q.tuple.dst = there.dst;
	icmp_xlat_rewrite(x, &q, &back, &before.key.dst, &before.key.src, our_port(&before));
	require(message_sum(x, &back.src, &back.dst) == 0xffff);
	assert_same_message(x, &before);
}

static void take(const uint8_t *frame, const struct fq_pkt *p, uint8_t dir)
{
	struct icmp_xlat x, y;
	enum fq_reason r = read_message(&x, frame, p, dir, 0);

	require(r == FQ_OK || r == FQ_R_MALFORMED || r == FQ_R_ICMP_ERROR);
	require(read_message(&y, frame, p, dir, 0xff) == r);
	assert_rest(&x, 0);
	assert_rest(&y, 0xff);
	if (r)
		return;
	require(memcmp(&x.key, &y.key, sizeof(x.key)) == 0 && x.peer_port == y.peer_port);
	require(x.l4_off == y.l4_off && x.quote_len == y.quote_len);
	require(x.quote_len + sizeof(x.icmp) <= x.len && x.l4_off + ICMP_QUOTE_L4 <= x.quote_len);
	require(icmp_xlat_header_valid(&x));
	translate(&x, p, 0);
	translate(&y, p, 0xff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fq_pkt p = {0};
	uint8_t *room, *frame;
	uint8_t dir;

	if (size < 1 || size > FRAME_MAX)
		return 0;
	dir = data[0] & 1;
	size--;
	room = malloc(2 + size); /* ends where the frame ends */
	require(room != NULL);
	frame = room + 2;
	memcpy(frame, data + 1, size);
	if (size > ETH_HLEN)
		fuzz_repair4(frame + ETH_HLEN, size - ETH_HLEN);
	if (parse_frame(frame, frame + size, &p) == FQ_R_ICMP_ERROR)
		take(frame, &p, dir);
	free(room);
	return 0;
}
