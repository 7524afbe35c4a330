/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from anyone: parsing reads nothing outside them; what is translated is translated back to
 *the same bytes but for the TTL; errors about them have the checksums they should.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_pkt.c
 *	fuzz_pkt tests/fuzz/corpus/pkt
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/icmp_err.h"
#include "../../bpf/nat.h"
#include "../../bpf/parse.h"

#define FRAME_MAX 2048

static void require(int truth)
{
	if (!truth)
		abort();
}

static void rewrite(uint8_t *frame, const struct fq_pkt *p, const struct fq_plan *plan,
		    bool *ret_partial)
{
	uint8_t *l4 = frame + p->l4_off;

	if (p->family == FQ_AF_INET)
		nat_rewrite_ip4(p, plan, (struct fq_ip4 *)(frame + ETH_HLEN));
	else
		nat_rewrite_ip6(p, plan, (struct fq_ip6 *)(frame + ETH_HLEN));
	*ret_partial = nat_rewrite_l4(p, plan, (uint16_t *)(l4 + nat_check_off(p->tuple.proto)),
				      (__be16 *)(l4 + nat_port_off(p->tuple.proto, plan->dir)));
}

static uint16_t frame_sum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* There and back again; the parser must find there what was written. */
static void translate(uint8_t *frame, size_t len, const struct fq_pkt *p)
{
	const struct fq_plan there = {
		.src.b = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 1},
		.dst.b = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 2},
		.port = bpf_htons(1024),
	};
	const struct fq_plan there6 = {.src.b = {0x20, 1, [15] = 1},
				       .dst.b = {0x20, 1, [15] = 2},
				       .port = bpf_htons(1024)};
	const struct fq_plan *plan = p->family == FQ_AF_INET ? &there : &there6;
	struct fq_plan back = {.src = p->tuple.src, .dst = p->tuple.dst, .port = p->sport};
	struct fq_pkt q = {0};
	bool partial, still;

	if (p->echo_reply) /* has its id in the other place; the same code */
		return;
	rewrite(frame, p, plan, &partial);
	require(parse_frame(frame, frame + len, &q) == FQ_OK);
	require(memcmp(&q.tuple.src, &plan->src, 16) == 0 &&
		memcmp(&q.tuple.dst, &plan->dst, 16) == 0);
	require(q.ttl == p->ttl - 1 && q.sport == plan->port && q.dport == p->dport);
	require(q.l4_len == p->l4_len && q.l3_len == p->l3_len);
	if (q.ttl < 2)
		return;
	rewrite(frame, &q, &back, &still);
	require(!partial || still);
}

static void refuse(const uint8_t *frame, const struct fq_pkt *p)
{
	_Alignas(8) uint8_t out[FRAME_MAX + ICMP_ERR_HLEN6];
	struct icmp_err e = {
		.src = p->tuple.dst,
		.dst = p->tuple.src,
		.quote_len = icmp_err_quote(p),
		.family = p->family,
		.type = 3,
	};
	size_t hlen = p->family == FQ_AF_INET ? ICMP_ERR_HLEN4 : ICMP_ERR_HLEN6;

	if (!icmp_err_allowed(p))
		return;
	memcpy(out + hlen, frame + ETH_HLEN, e.quote_len);
	e.quote_sum = bpf_htons(frame_sum(out + hlen, e.quote_len));
	if (p->family == FQ_AF_INET) {
		icmp_err_write4(&e, (struct fq_ip4 *)out);
		require(hlen + e.quote_len <= ICMP_ERR_TOTAL4);
		require(frame_sum(out, sizeof(struct fq_ip4)) == 0xffff);
		require(frame_sum(out + 20, 8 + e.quote_len) == 0xffff);
	} else {
		icmp_err_write6(&e, (struct fq_ip6 *)out);
		require(hlen + e.quote_len <= ICMP_ERR_TOTAL6);
	}
}

/* Half of the IPv4 headers get the right checksum: the fuzzer would hardly ever find one. */
static void repair(uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + ETH_HLEN;
	size_t hlen = size > ETH_HLEN ? (ip[0] & 15) * 4 : 0;
	uint16_t check;

	if (size % 2 || hlen < IP4_HLEN_MIN || size < ETH_HLEN + hlen || ip[0] >> 4 != 4)
		return;
	ip[10] = ip[11] = 0;
	check = ~frame_sum(ip, hlen);
	ip[10] = check >> 8;
	ip[11] = check & 0xff;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *room, *frame;
	struct fq_pkt p = {0};
	enum fq_reason r;

	if (size > FRAME_MAX)
		return 0;
	room = malloc(2 + size); /* ends where the frame ends */
	require(room != NULL);
	frame = room + 2;
	memcpy(frame, data, size);
	repair(frame, size);
	r = parse_frame(frame, frame + size, &p);
	require(r < FQ_REASON_MAX);
	if (r == FQ_OK) {
		require((size_t)p.l4_off + p.l4_len <= size);
		refuse(frame, &p);
		if (p.ttl >= 2)
			translate(frame, size, &p);
	}
	free(room);
	return 0;
}
