/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs tell the daemon, by ring buffer. A full ring is reported to the caller,
 * never waited for.
 *
 * Frames are copied into records of three sizes: the size of a reservation has to be a
 * constant for the verifier (kernel 6.1 to 6.18), and one size for all would fill the
 * ring with air.
 */
#pragma once

#include "ctx.h"
#include "maps.h"
#include "pkt.h"

/*
 * The first @len bytes of the frame. Where there is no Ethernet header (@l3_off is 0), one of zeros
 * is put before it and counted: the daemon knows one form only.
 */
fq_inline bool upcall_load(fq_ctx *ctx, __u32 l3_off, __u8 *frame, __u32 len)
{
	struct ethhdr *eth = (struct ethhdr *)frame;

	/* Bounds as the verifier wants them: the helper refuses a length that may be 0. */
	if (l3_off)
		return len >= ETH_HLEN && !ctx_load(ctx, 0, frame, len);
	if (len <= ETH_HLEN || ctx_load(ctx, 0, frame + ETH_HLEN, len - ETH_HLEN))
		return false;
	__builtin_memset(eth, 0, sizeof(*eth));
	eth->h_proto = frame[ETH_HLEN] >> 4 == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	return true;
}

/* A record of @cap bytes for a frame of @len <= @cap. */
fq_inline bool upcall_frame_cap(fq_ctx *ctx, const struct fq_upcall *head, __u32 l3_off, __u32 cap)
{
	struct fq_upcall *u = bpf_ringbuf_reserve(&upcalls, sizeof(*u) + cap, 0);
	__u32 len = head->len;

	if (!u)
		return false;
	*u = *head;
	if (len > cap || !upcall_load(ctx, l3_off, u->frame, len)) {
		bpf_ringbuf_discard(u, 0);
		return false;
	}
	bpf_ringbuf_submit(u, 0);
	return true;
}

/*
 * Send the frame, from its Ethernet header (or one of zeros) to the end of its IP packet.
 *
 * @head: @kind, @domain, @ifindex and @proxy are the caller's; see struct fq_upcall
 * @l3_off: of the IP packet in the frame; 0: there is no Ethernet header
 * @l3_len: of the IP packet
 *
 * Return: false if it is too long or the ring is full.
 */
fq_global bool upcall_frame(fq_ctx *ctx, struct fq_upcall *head, __u32 l3_off, __u32 l3_len)
{
	if (!head)
		return false;
	head->l3_offset = l3_off ? l3_off : ETH_HLEN;
	head->len = head->l3_offset + l3_len;
	if (head->len <= 128)
		return upcall_frame_cap(ctx, head, l3_off, 128);
	if (head->len <= 512)
		return upcall_frame_cap(ctx, head, l3_off, 512);
	if (head->len <= FQ_HOLD_FRAME_MAX)
		return upcall_frame_cap(ctx, head, l3_off, FQ_HOLD_FRAME_MAX);
	return false;
}

/* See FQ_UPCALL_TOUCH. Lost if the ring is full: the next packet tells. */
fq_inline void upcall_touch(__u32 ifindex, __u32 domain, __u16 gateway, const struct fq_addr *addr)
{
	struct fq_upcall *u = bpf_ringbuf_reserve(&upcalls, sizeof(*u), 0);

	if (!u)
		return;
	*u = (struct fq_upcall){
		.kind = FQ_UPCALL_TOUCH,
		.domain = domain,
		.ifindex = ifindex,
		.gateway = gateway,
		.proxy = *addr,
	};
	bpf_ringbuf_submit(u, 0);
}

/* The first fragment of a datagram has come of which others are kept. See FQ_UPCALL_FIRST. */
fq_inline void upcall_first(__u32 ifindex, const struct fq_frag_key *key)
{
	struct fq_upcall *u = bpf_ringbuf_reserve(&upcalls, sizeof(*u) + sizeof(*key), 0);

	if (!u)
		return;
	*u = (struct fq_upcall){
		.kind = FQ_UPCALL_FIRST,
		.ifindex = ifindex,
		.len = sizeof(*key),
		.proxy = key->dst,
	};
	__builtin_memcpy(u->frame, key, sizeof(*key));
	bpf_ringbuf_submit(u, 0);
}

/*
 * A session has been opened, and somebody wants to know; its out tuple stands in place of a
 * frame. Such news may fill half of the ring: the rest is for packets.
 */
fq_inline void upcall_session(__u32 ifindex, __u32 domain, const struct fq_tuple *out)
{
	const struct fq_control *c = maps_control();
	struct fq_upcall *u;

	if (!c || !c->monitors ||
	    bpf_ringbuf_query(&upcalls, BPF_RB_AVAIL_DATA) > FQ_UPCALL_BYTES / 2)
		return;
	u = bpf_ringbuf_reserve(&upcalls, sizeof(*u) + sizeof(*out), 0);
	if (!u)
		return;
	*u = (struct fq_upcall){
		.kind = FQ_UPCALL_SESSION,
		.domain = domain,
		.ifindex = ifindex,
		.len = sizeof(*out),
		.proxy = out->dst,
	};
	__builtin_memcpy(u->frame, out, sizeof(*out));
	bpf_ringbuf_submit(u, 0);
}
