/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Next hops that sessions remember, so that not every packet asks the kernel (fast.h).
 *
 * A session's entry names an element of the map "hops" beside the generation (fq_control.gen) in
 * which that was right. With the session the question has the same addresses and ports each time;
 * the interface by which the packet came and the type of service stand in the element. The daemon
 * begins a new generation when routes, rules, neighbours, links or addresses have changed, and
 * vouches for the present one until an instant (hops_until): once that has passed, as it does when
 * nobody is there to listen, nothing is remembered.
 *
 * Elements are written once and then only read, as long as their generation lasts. One of an
 * earlier generation is used again if its contents are the same, or for something else when no
 * packet can still be reading it.
 */
#pragma once

#include "ctx.h"
#include "nat.h"
#include "session.h"
#include "xlat.h"

#define HOPS_PROBES   4
#define HOPS_GRACE_NS 1000000000ULL /* no packet is in our hands for so long */
#define HOPS_WRITING  0xffffffff    /* fq_hop.gen: belongs to who writes it */

_Static_assert(!(FQ_HOPS_MAX & (FQ_HOPS_MAX - 1)), "a power of 2");

/* The generation that is vouched for at @now; 0: none. */
fq_inline __u32 hops_gen(const struct fq_control *c, __u64 now)
{
	return now < READ_ONCE(c->hops_until) ? READ_ONCE(c->gen) : 0;
}

/*
 * The same for who is about to ask the kernel: before, so that a change meanwhile is one after.
 * Corrects the clock of those who need not ask (fast_now).
 */
fq_inline __u32 hops_gen_now(__u64 now)
{
	struct fq_control *c = maps_control();
	__u64 tick = fq_settings.tick_ns, offset;

	if (!c)
		return 0;
	offset = now - bpf_jiffies64() * tick;
	/* They share the line with all CPUs. */
	if (tick && offset - READ_ONCE(c->clock_offset) + tick > 2 * tick)
		WRITE_ONCE(c->clock_offset, offset);
	return hops_gen(c, now);
}

/* What the kernel is asked for a packet like this one: struct fq_hop. */
fq_inline __u32 hop_asked(const struct fq_pkt *p, __u16 gateway)
{
	return xlat_tos(p) | (__u32)gateway << 8;
}

/*
 * The session's next hop for packets like this one; NULL: ask the kernel.
 *
 * @gen:   of hops_gen, and that of the session's permission
 * @asked: of hop_asked
 */
fq_inline const struct fq_hop *hop_find(const struct fq_slot *s, __u32 gen, __u32 asked)
{
	const struct fq_slot way = {.way = READ_ONCE(s->way)};
	__u32 index = way.hop;
	const struct fq_hop *hop;

	if (!gen || way.gen != gen)
		return NULL;
	hop = bpf_map_lookup_elem(&hops, &index);
	return hop && READ_ONCE(hop->gen) == gen && hop->asked == asked ? hop : NULL;
}

/* Has the frame come to where packets of this next hop do? Words, because bytes are slow. */
fq_inline bool hop_is_here(const struct fq_hop *hop, const struct ethhdr *eth)
{
	const __u32 *to = (const __u32 *)eth, *here = (const __u32 *)hop->here;

	_Static_assert(offsetof(struct fq_hop, here) % 4 == 0, "a word, and a half");
	return !((to[0] ^ here[0]) | (*(const __u16 *)&to[1] ^ *(const __u16 *)&here[1]));
}

/* Both addresses of the frame that leaves. */
fq_inline void hop_write(const struct fq_hop *hop, struct ethhdr *eth)
{
	const __u32 *from = (const __u32 *)hop->dmac;
	__u32 *to = (__u32 *)eth;

	_Static_assert(offsetof(struct fq_hop, dmac) % 4 == 0 &&
			       offsetof(struct fq_hop, smac) ==
				       offsetof(struct fq_hop, dmac) + ETH_ALEN,
		       "three words");
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

fq_inline bool hop_same(const struct fq_hop *a, const struct fq_hop *b)
{
	const __u32 *x = (const __u32 *)&a->iif, *y = (const __u32 *)&b->iif;
	__u32 differs = 0;

	_Static_assert(offsetof(struct fq_hop, iif) == 4 && sizeof(*a) == 36, "eight words");
	for (int i = 0; i < 8; i++)
		differs |= x[i] ^ y[i];
	return !differs;
}

/* Have element @hop be @want, whose generation is the present one. Return: it is. */
fq_inline bool hop_claim(struct fq_hop *hop, const struct fq_hop *want, bool quiet)
{
	__u32 gen = READ_ONCE(hop->gen);

	if (gen == HOPS_WRITING)
		return false;
	if (gen && hop_same(hop, want))
		return gen == want->gen ||
		       __sync_val_compare_and_swap(&hop->gen, gen, want->gen) == gen;
	if ((gen && (gen == want->gen || !quiet)) ||
	    __sync_val_compare_and_swap(&hop->gen, gen, HOPS_WRITING) != gen)
		return false;
	hop->iif = want->iif;
	hop->oif = want->oif;
	hop->mtu = want->mtu;
	hop->asked = want->asked;
	__builtin_memcpy(hop->here, want->here, sizeof(hop->here));
	__builtin_memcpy(hop->smac, want->smac, sizeof(hop->smac));
	__builtin_memcpy(hop->dmac, want->dmac, sizeof(hop->dmac));
	/* All of it before the generation: an exchange, unlike a store, is ordered. */
	__sync_lock_test_and_set(&hop->gen, want->gen);
	return true;
}

/*
 * The session's packets go where this one goes. @plan has been routed, in generation
 * plan->route_gen: the present one, or one that is over, and then this is of no consequence.
 */
static __noinline void hop_note(fq_ctx *ctx, struct fq_slot *s, const struct fq_pkt *p,
				const struct fq_plan *plan, __u64 now)
{
	const struct ethhdr *eth = ctx_data(ctx);
	const struct fq_control *c = maps_control();
	struct fq_hop want = {.gen = plan->route_gen,
			      .iif = p->ifindex,
			      .oif = plan->oif,
			      .mtu = plan->mtu,
			      .asked = hop_asked(p, plan->gateway)};
	__u32 at;
	bool quiet;

	if (!c || (const void *)(eth + 1) > ctx_end(ctx))
		return;
	__builtin_memcpy(want.here, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(want.smac, plan->smac, ETH_ALEN);
	__builtin_memcpy(want.dmac, plan->dmac, ETH_ALEN);
	quiet = now > READ_ONCE(c->gen_at) + HOPS_GRACE_NS;
	at = nat_mix(nat_mix(want.oif, want.iif), *(__u32 *)&want.dmac[2]);
	at = nat_finish(nat_mix(at, (__u32)want.mtu << 8 ^ want.asked));
	for (int i = 0; i < HOPS_PROBES; i++) {
		__u32 index = (at + i) & (FQ_HOPS_MAX - 1);
		struct fq_hop *hop = bpf_map_lookup_elem(&hops, &index);

		if (hop && hop_claim(hop, &want, quiet)) {
			session_set_hop(s, want.gen, index);
			return;
		}
	}
}

/* A VLAN device, whose frames get a tag last (vlan.h)? */
fq_inline bool hop_is_vlan(__u32 ifindex)
{
	const struct fq_vlan_key key = {.ifindex = ifindex};
	const struct fq_control *c = maps_control();

	return !c || (c->vlans && bpf_map_lookup_elem(&vlans, &key));
}

/*
 * May the session's next hop be remembered with a packet like this one? It has come as a frame
 * without a tag.
 */
fq_inline bool hop_suits(const struct fq_pkt *p, const struct fq_plan *plan)
{
	return !CTX_SENDS_ANYWHERE && plan->route_gen && plan->mode != FQ_MODE_INJECT && !p->vlan &&
	       p->l3_off == ETH_HLEN;
}

/* And does it leave as one whose addresses are known? */
fq_inline bool hop_worth(const struct fq_plan *plan)
{
	return !plan->slow && !plan->resolve && !hop_is_vlan(plan->oif);
}

/*
 * Send the packet where the session remembers, instead of asking the kernel.
 *
 * Return: false if nothing is remembered, or not for this packet.
 */
fq_inline bool hop_take(const struct fq_slot *s, const struct fq_pkt *p, struct fq_plan *plan)
{
	const struct fq_hop *hop = hop_find(s, plan->route_gen, hop_asked(p, plan->gateway));

	if (!hop || hop->iif != p->ifindex || xlat_len(p, p->mtu_len, plan->family) > hop->mtu)
		return false;
	plan->oif = hop->oif;
	plan->mtu = hop->mtu;
	__builtin_memcpy(plan->dmac, hop->dmac, ETH_ALEN);
	__builtin_memcpy(plan->smac, hop->smac, ETH_ALEN);
	return true;
}
