/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments: the first one of a datagram has the ports, the others borrow them and then take the
 * same path. Those that come before the first one travel to the daemon, which puts them back when
 * it has come.
 *
 * In, one cannot know whose a later fragment is: the kernel gets it, and the daemon a copy. If the
 * datagram turns out to be a session's, the kernel's part of it never becomes whole.
 *
 * What the first fragment says is believed for as long as the others may take; nothing else is
 * remembered of a datagram, and nothing is reassembled. Tables and rates are bounded, so that a
 * flood of fragments costs other fragments at most.
 *
 * RFC 4787 REQ-14, RFC 6864, RFC 6946, RFC 1858, RFC 3128, RFC 8200 4.5.
 */
#pragma once

#include "icmp_err.h"
#include "open.h"
#include "upcall.h"

#define FRAG_KNOWN_NS     15000000000ULL /* how long after the first one others may come */
#define FRAG_WAIT_NS      2000000000ULL  /* how long others are kept (RFC 6146: FRAGMENT_MIN) */
#define FRAG_TCP_HLEN_MIN 20
#define FRAG_KEEP_RATE    2000 /* a second and CPU that travel to the daemon */
#define FRAG_KEEP_BURST   512

fq_inline void frag_key(const struct fq_pkt *p, struct fq_frag_key *ret_key)
{
	__builtin_memset(ret_key, 0, sizeof(*ret_key));
	ret_key->src = p->tuple.src;
	ret_key->dst = p->tuple.dst;
	ret_key->id = p->frag_id;
	ret_key->proto = p->family == FQ_AF_INET ? p->tuple.proto : 0;
}

/*
 * An id for a datagram that may be fragmented behind us: several clients share an address, so that
 * their own ids may meet (RFC 6864 5.1). Never 0. Return: 0 if there is no way to get one.
 */
fq_inline __be16 frag_new_id(void)
{
	__u32 zero = 0;
	__u32 *next = bpf_map_lookup_elem(&ip_ids, &zero);

	return next ? bpf_htons(__sync_fetch_and_add(next, 1) % 0xffff + 1) : 0;
}

/* May a packet in, to this address, be a session's? Only then it is worth while to wait. */
fq_inline bool frag_may_be_ours(__u32 ifindex, const struct fq_addr *src, const struct fq_addr *dst)
{
	const struct fq_dev *dev;

	if (pool_has(src) || fq_settings.masquerade == FQ_MASQ_NONE)
		return policy_client(dst) != NULL;
	if (fq_settings.masquerade == FQ_MASQ_AUTO) {
		dev = bpf_map_lookup_elem(&devs, &ifindex);
		return dev && (addr_equal(dst, &dev->nat4) || addr_equal(dst, &dev->nat6));
	}
	for (__u32 i = 0; i < FQ_NAT_ADDRESSES; i++) {
		struct fq_addr nat4 = fq_settings.nat4[i], nat6 = fq_settings.nat6[i];

		if (addr_equal(dst, &nat4) || addr_equal(dst, &nat6))
			return true;
	}
	return false;
}

fq_inline bool frag_token(__u64 now)
{
	__u32 zero = 0;
	struct fq_bucket *b = bpf_map_lookup_elem(&frag_cpu, &zero);

	return b && bucket_take(b, FRAG_KEEP_RATE, FRAG_KEEP_BURST, now);
}

/*
 * A later fragment: give it the ports of the first one.
 *
 * Return: FQ_OK with *@ret_id (see struct fq_frag); FRAGMENT_OVERLAP; FRAGMENT: not known.
 */
fq_global enum fq_reason frag_borrow(struct fq_pkt *p, __be16 *ret_id)
{
	const struct fq_frag *f;
	struct fq_frag_key key;

	if (!p || !ret_id)
		return FQ_R_FRAGMENT;
	frag_key(p, &key);
	f = bpf_map_lookup_elem(&fragments, &key);
	if (!f || f->waiting || bpf_ktime_get_coarse_ns() >= f->until)
		return FQ_R_FRAGMENT;
	if (f->proto == FQ_PROTO_TCP && p->frag_off < FRAG_TCP_HLEN_MIN)
		return FQ_R_FRAGMENT_OVERLAP;
	p->sport = f->sport;
	p->dport = f->dport;
	p->tuple.proto = f->proto;
	p->echo_reply = f->echo_reply;
	*ret_id = f->id;
	return FQ_OK;
}

/*
 * The id that a first fragment has had behind us if this one is it once more (the network doubles
 * packets, too): the others have that id. 0: it is new.
 */
fq_global __be16 frag_id_before(const struct fq_pkt *p)
{
	const struct fq_frag *f;
	struct fq_frag_key key;

	if (!p)
		return 0;
	frag_key(p, &key);
	f = bpf_map_lookup_elem(&fragments, &key);
	if (!f || f->waiting || f->sport != p->sport || f->dport != p->dport ||
	    bpf_ktime_get_coarse_ns() >= f->until)
		return 0;
	return f->id;
}

/* Note that fragments wait. What was noted too long ago makes room. */
static __noinline void frag_wait(const struct fq_pkt *p, __u64 now)
{
	struct fq_frag waiting = {.until = now + FRAG_WAIT_NS, .waiting = 1};
	const struct fq_frag *before;
	struct fq_frag_key key;

	frag_key(p, &key);
	before = bpf_map_lookup_elem(&fragments, &key);
	if (before && now >= before->until)
		bpf_map_delete_elem(&fragments, &key);
	/* If the first one comes on another CPU just now, the daemon finds what it has said. */
	bpf_map_update_elem(&fragments, &key, &waiting, BPF_NOEXIST);
}

/*
 * A later fragment of which nothing is known: the daemon keeps it until the first one has come.
 *
 * Return: FRAGMENT_HELD; NOT_A_CLIENT; FRAGMENT: it is not, or the kernel gets it, too.
 */
fq_global enum fq_reason frag_unknown(fq_ctx *ctx, const struct fq_pkt *p, bool to_pool)
{
	struct fq_upcall head = {.kind = FQ_UPCALL_FRAGMENT};
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!p)
		return FQ_R_FRAGMENT;
	if (to_pool && !policy_client(&p->tuple.src))
		return FQ_R_NOT_A_CLIENT;
	if (!to_pool && !frag_may_be_ours(p->ifindex, &p->tuple.src, &p->tuple.dst))
		return FQ_R_FRAGMENT;
	head.ifindex = p->ifindex;
	head.domain = p->frag_id;
	head.gateway = p->family == FQ_AF_INET ? p->tuple.proto : 0;
	head.proxy = p->tuple.dst;
	if (frag_token(now)) {
		frag_wait(p, now);
		if (upcall_frame(ctx, &head, p->l3_off, p->l3_len))
			return to_pool ? FQ_R_FRAGMENT_HELD : FQ_R_FRAGMENT;
	}
	stats_count(FQ_R_FRAGMENT_LIMIT, p->l3_len);
	return FQ_R_FRAGMENT;
}

/*
 * The first fragment, whatever has become of it: the others follow.
 *
 * @ours: so do they if it was not ours, and then nothing needs to be known of it
 * @id:   see struct fq_frag
 *
 * Return: true if some are kept; the daemon is told.
 */
fq_global bool frag_first(const struct fq_pkt *p, bool ours, __be16 id)
{
	const struct fq_frag *before;
	struct fq_frag_key key;
	struct fq_frag f = {};
	bool waiting;

	if (!p || (!ours && !frag_may_be_ours(p->ifindex, &p->tuple.src, &p->tuple.dst)))
		return false;
	frag_key(p, &key);
	before = bpf_map_lookup_elem(&fragments, &key);
	waiting = before && before->waiting;
	f.until = bpf_ktime_get_coarse_ns() + FRAG_KNOWN_NS;
	f.sport = p->sport;
	f.dport = p->dport;
	f.id = id;
	f.proto = p->tuple.proto;
	f.echo_reply = p->echo_reply;
	bpf_map_update_elem(&fragments, &key, &f, BPF_ANY);
	if (waiting)
		upcall_first(p->ifindex, &key);
	return waiting;
}
