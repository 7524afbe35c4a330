/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors from anyone, into the other IP version: what comes out is an error there, about a
 * packet of the same session, and no longer than it may be (bpf/icmp_cross.h, bpf/xlat_error.h).
 *
 * The first byte says the direction, the rest is a frame.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_cross.c
 *	fuzz_cross tests/fuzz/corpus/cross
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/icmp_cross.h"

#include "fuzz.h"

#define FRAME_MAX 2048
#define PORT      1024

static bool read_message(struct icmp_xlat *x, const uint8_t *frame, const struct fq_pkt *p,
			 uint8_t dir)
{
	memset(x, 0, sizeof(*x));
	x->len = p->l4_len < sizeof(x->message) ? p->l4_len : sizeof(x->message);
	x->family = p->family;
	x->dir = dir;
	memcpy(x->message, frame + p->l4_off, x->len);
	if (x->len > sizeof(x->icmp))
		fuzz_repair4(x->quote, x->len - sizeof(x->icmp));
	return icmp_xlat_read(x) == FQ_OK;
}

static struct fq_plan plan_into(uint8_t family)
{
	struct fq_plan plan = {.family = family, .error = 1};

	if (family == FQ_AF_INET6) {
		plan.src = (struct fq_addr){.b = {0x20, 1, [15] = 1}};
		plan.dst = (struct fq_addr){.b = {0x20, 1, [15] = 2}};
	} else {
		addr_set4(&plan.src, bpf_htonl(0xc6336401));
		addr_set4(&plan.dst, bpf_htonl(0xc6336402));
	}
	return plan;
}

/* RFC 7915 4.2, 5.2: what may come out, and the field that goes with it. */
static void check_message(const struct icmp_xlat *x, uint8_t family)
{
	uint32_t rest;

	memcpy(&rest, &x->icmp.id, sizeof(rest));
	rest = bpf_ntohl(rest);
	require(icmp_xlat_type(family, x->icmp.type) && !x->icmp.check);
	if (family == FQ_AF_INET && x->icmp.type == ICMP_UNREACHABLE && x->icmp.code == 4)
		require(rest >= 68 && rest <= 0xffff);
	if (family == FQ_AF_INET6 && x->icmp.type == ICMP6_TOO_BIG)
		require(rest >= 1280 && rest <= 0xffff);
	if (family == FQ_AF_INET && x->icmp.type == ICMP_PARAMETER)
		require((rest & 0xffffff) == 0 && rest >> 24 < 20);
	if (family == FQ_AF_INET6 && x->icmp.type == ICMP6_PARAMETER)
		require(rest < 40);
}

/* What follows the ICMP header, put together; it ends where it ends. */
static void check_quote(const struct icmp_xlat *x, const struct fq_plan *plan)
{
	uint32_t hlen = xlat_hlen(plan->family, x->quoted.frag);
	struct icmp_xlat y;

	require(x->head.payload == sizeof(x->icmp) + hlen + x->keep);
	require(x->keep >= ICMP_QUOTE_L4 &&
		x->keep <= x->len - sizeof(x->icmp) - x->l4_off + FRAME_MAX);
	require(xlat_hlen(plan->family, 0) + x->head.payload <= ICMP_ERR_TOTAL6);
	require(x->quoted.payload >= ICMP_QUOTE_L4 && x->quoted.payload + 20 <= 0xffff);

	memset(&y, 0, sizeof(y));
	y.family = plan->family;
	y.dir = x->dir;
	y.icmp = x->icmp;
	if (plan->family == FQ_AF_INET)
		xlat_ip4(&x->quoted, (struct fq_ip4 *)y.quote);
	else
		xlat_ip6(&x->quoted, (struct fq_ip6 *)y.quote);
	if (plan->family == FQ_AF_INET6 && x->quoted.frag)
		xlat_ip6_frag(&x->quoted, (struct fq_ip6_frag *)(y.quote + sizeof(struct fq_ip6)));
	memcpy(y.quote + hlen, x->quote + x->l4_off, ICMP_QUOTE_L4);
	y.len = sizeof(y.icmp) + hlen + ICMP_QUOTE_L4;
	require(icmp_xlat_read(&y) == FQ_OK);
	require(addr_equal(&y.key.src, &plan->src) && addr_equal(&y.key.dst, &plan->dst));
	require((y.dir == FQ_DIR_IN ? y.key.dport : y.key.sport) == bpf_htons(PORT));
	require(y.peer_port == x->peer_port && y.more == x->more && icmp_xlat_header_valid(&y));
}

static void take(const uint8_t *frame, const struct fq_pkt *p, uint8_t dir)
{
	uint8_t family = p->family == FQ_AF_INET ? FQ_AF_INET6 : FQ_AF_INET;
	const struct fq_plan plan = plan_into(family);
	struct icmp_xlat x;

	if (!icmp_xlat_type(p->family, frame[p->l4_off]) || !read_message(&x, frame, p, dir) ||
	    !icmp_cross_rewrite(&x, p, &plan, bpf_htons(PORT)))
		return;
	check_message(&x, family);
	check_quote(&x, &plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fq_pkt p = {0};
	uint8_t *room, *frame;

	if (size < 1 || size > FRAME_MAX)
		return 0;
	room = malloc(1 + size); /* ends where the frame ends */
	require(room != NULL);
	frame = room + 2;
	memcpy(frame, data + 1, size - 1);
	if (size - 1 > ETH_HLEN)
		fuzz_repair4(frame + ETH_HLEN, size - 1 - ETH_HLEN);
	if (parse_frame(frame, frame + size - 1, &p) == FQ_R_ICMP_ERROR && p.ttl > 1)
		take(frame, &p, data[0] & 1);
	free(room);
	return 0;
}
