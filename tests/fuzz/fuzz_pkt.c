/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from anyone: parsing reads nothing outside them; what is translated is translated back to
 * the same bytes but for the TTL; what becomes a packet of the other IP version is found to be that
 * one by the parser; errors about them have the checksums they should.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_pkt.c
 *	fuzz_pkt tests/fuzz/corpus/pkt
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/icmp_err.h"
#include "../../bpf/mss.h"
#include "../../bpf/nat.h"
#include "../../bpf/parse.h"
#include "../../bpf/xlat.h"

#include "fuzz.h"

#define FRAME_MAX 2048

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

	/* A reply has its id in the other place, and a later fragment none: the same code. */
	if (p->echo_reply || (p->frag & FQ_FRAG_LATER))
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

/* Fragments of TCP and UDP do; what a later one is of, its first one has said. */
static bool may_cross(struct fq_pkt *p)
{
	if (p->frag & FQ_FRAG_LATER)
		p->tuple.proto = FQ_PROTO_UDP;
	return !p->frag || p->tuple.proto == FQ_PROTO_TCP || p->tuple.proto == FQ_PROTO_UDP;
}

/* Into the other IP version: the parser finds the same datagram there, with the new addresses. */
static void cross(const uint8_t *frame, size_t len, const struct fq_pkt *p)
{
	const uint8_t *options = frame + ETH_HLEN + sizeof(struct fq_ip4);
	struct fq_plan plan = {
		.family = p->family == FQ_AF_INET ? FQ_AF_INET6 : FQ_AF_INET,
		.port = bpf_htons(1024),
		.ip_id = bpf_htons(7),
		.dir = p->echo_reply ? FQ_DIR_IN : FQ_DIR_OUT,
	};
	size_t hlen = xlat_hlen(plan.family, p->frag), rest = len - p->l4_off;
	uint8_t *room = calloc(1, 2 + ETH_HLEN + hlen + rest), *out = room + 2, *l3, *l4;
	struct xlat_head head;
	struct fq_pkt q = {0};
	bool made;

	require(room != NULL);
	addr_set4(&plan.src, bpf_htonl(0xc6336401));
	addr_set4(&plan.dst, bpf_htonl(0xc6336402));
	if (plan.family == FQ_AF_INET6) {
		plan.src = (struct fq_addr){.b = {0x20, 1, [15] = 1}};
		plan.dst = (struct fq_addr){.b = {0x20, 1, [15] = 2}};
		(void)xlat_source_routed(options, frame + len,
					 p->l4_off - ETH_HLEN - sizeof(struct fq_ip4));
	}
	l3 = out + ETH_HLEN;
	l4 = l3 + hlen;
	memcpy(l4, frame + p->l4_off, rest);
	xlat_head(p, &plan, &head);
	out[12] = plan.family == FQ_AF_INET ? 0x08 : 0x86;
	out[13] = plan.family == FQ_AF_INET ? 0x00 : 0xdd;
	if (plan.family == FQ_AF_INET)
		xlat_ip4(&head, (struct fq_ip4 *)l3);
	else
		xlat_ip6(&head, (struct fq_ip6 *)l3);
	if (plan.family == FQ_AF_INET6 && p->frag)
		xlat_ip6_frag(&head, (struct fq_ip6_frag *)(l3 + sizeof(struct fq_ip6)));
	if (!(p->frag & FQ_FRAG_LATER))
		xlat_rewrite_l4(p, &plan, l4, (uint16_t *)(l4 + nat_check_off(p->tuple.proto)),
				(__be16 *)(l4 + nat_port_off(p->tuple.proto, plan.dir)), &made);
	require(parse_frame(out, out + ETH_HLEN + hlen + rest, &q) == FQ_OK);
	require(addr_equal(&q.tuple.src, &plan.src) && addr_equal(&q.tuple.dst, &plan.dst));
	require(q.ttl == p->ttl - 1 && q.frag == p->frag && q.frag_off == p->frag_off);
	require(q.l4_len == p->l4_len && q.echo_reply == p->echo_reply);
	free(room);
}

/* The options of a SYN: what is found lies within them. */
static void clamp(const uint8_t *frame, const struct fq_pkt *p)
{
	size_t len = p->l4_hlen - sizeof(struct fq_tcp);
	struct mss_search search = {.len = len};
	uint32_t at;

	if (p->tuple.proto != FQ_PROTO_TCP || (p->frag & FQ_FRAG_LATER) || !len)
		return;
	memcpy(search.options, frame + p->l4_off + sizeof(struct fq_tcp), len);
	for (uint32_t i = 0; i < MSS_OPTIONS_MAX && !mss_step(i, &search); i++)
		;
	at = search.found;
	require(!at || (at >= 2 && at + 2 <= len && search.options[at - 2] == TCP_OPTION_MSS));
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
	e.quote_sum = bpf_htons(fuzz_sum(out + hlen, e.quote_len, 0));
	if (p->family == FQ_AF_INET) {
		icmp_err_write4(&e, (struct fq_ip4 *)out);
		require(hlen + e.quote_len <= ICMP_ERR_TOTAL4);
		require(fuzz_sum(out, sizeof(struct fq_ip4), 0) == 0xffff);
		require(fuzz_sum(out + 20, 8 + e.quote_len, 0) == 0xffff);
	} else {
		icmp_err_write6(&e, (struct fq_ip6 *)out);
		require(hlen + e.quote_len <= ICMP_ERR_TOTAL6);
	}
}

/* Half of the IPv4 headers get the right checksum: the fuzzer would hardly ever find one. */
static void repair(uint8_t *frame, size_t size)
{
	if (size % 2 == 0 && size > ETH_HLEN)
		fuzz_repair4(frame + ETH_HLEN, size - ETH_HLEN);
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
		clamp(frame, &p);
		if (p.ttl >= 2 && may_cross(&p))
			cross(frame, size, &p);
		if (p.ttl >= 2)
			translate(frame, size, &p);
	}
	free(room);
	return 0;
}
