/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN tags (IEEE 802.1Q 9.6) in native XDP, which sees frames before the kernel has taken the tag
 * off. A frame of a VLAN device of ours loses its tag before anything else is done to it and is
 * that device's from then on: routes, addresses, limits and answers are the device's, as they are
 * in tc. One that leaves by a VLAN device gets its tag last, and goes out by the interface below,
 * which the map tx has in the device's place. A frame that is the kernel's after all gets back the
 * tag it came with.
 *
 * One tag only, and only around IP: the rest is left to the kernel. Priority (PCP) and drop
 * eligibility (DEI) of what we send are 0.
 *
 * Untagged frames pay one look at the control map when they leave.
 */
#pragma once

#include "ctx.h"
#include "frame.h"
#include "maps.h"
#include "parse.h"

#define VLAN_HLEN     4
#define VLAN_VID_MASK 0x0fff

struct vlan_macs {
	__u32 w[3]; /* destination and source */
};

struct vlan_frame {
	struct vlan_macs macs;
	__be16 tpid; /* ETH_P_8021Q */
	__be16 tci;  /* PCP, DEI, VLAN id */
	__be16 proto;
};

FQ_ASSERT_SIZE(struct vlan_macs, 2 * ETH_ALEN);

/* See struct fq_vlan. */
fq_inline const struct fq_vlan *vlan_find(__u32 ifindex, __u32 vid)
{
	struct fq_vlan_key key = {.ifindex = ifindex, .vid = vid};

	return bpf_map_lookup_elem(&vlans, &key);
}

/* The other level of a VLAN device, which most interfaces are not: asked only where there are any.
 */
fq_inline const struct fq_vlan *vlan_below(__u32 ifindex)
{
	const struct fq_control *c = maps_control();

	return c && c->vlans ? vlan_find(ifindex, 0) : NULL;
}

/* Put a tag into the frame. Packet pointers end here. */
static __noinline bool vlan_tag(fq_ctx *ctx, __be16 tci)
{
	struct vlan_frame *f = ctx_data(ctx);
	struct vlan_macs macs;

	if ((void *)(&f->macs + 1) > ctx_end(ctx))
		return false;
	macs = f->macs;
	if (bpf_xdp_adjust_head(ctx, -VLAN_HLEN))
		return false;
	f = ctx_data(ctx);
	if ((void *)(&f->tci + 1) > ctx_end(ctx))
		return false;
	f->macs = macs;
	f->tpid = bpf_htons(ETH_P_8021Q);
	f->tci = tci;
	return true;
}

/* Take the tag off. Packet pointers end here. Return: false: the frame is what it was. */
fq_inline bool vlan_untag(fq_ctx *ctx)
{
	struct vlan_frame *f = ctx_data(ctx);
	struct vlan_macs macs;

	if ((void *)(f + 1) > ctx_end(ctx))
		return false;
	macs = f->macs;
	if (bpf_xdp_adjust_head(ctx, VLAN_HLEN))
		return false;
	f = ctx_data(ctx);
	if ((void *)(&f->macs + 1) > ctx_end(ctx))
		return false;
	f->macs = macs;
	return true;
}

/*
 * A frame that parse_frame has found to be tagged: if it is a VLAN device's of ours, take the tag
 * off and parse it as that device's.
 *
 * @p: p->ifindex is what has received it; what it belongs to, and the tag in p->vlan, if it is ours
 *
 * Return: VLAN: it is the kernel's, and as it was; else as parse_frame.
 */
fq_global enum fq_reason vlan_enter(fq_ctx *ctx, struct fq_pkt *p)
{
	const struct vlan_frame *f = ctx_data(ctx);
	const struct fq_vlan *device;
	__be16 tci;
	__u32 vid;

	if (!p || (const void *)(f + 1) > ctx_end(ctx) || f->tpid != bpf_htons(ETH_P_8021Q) ||
	    (f->proto != bpf_htons(ETH_P_IP) && f->proto != bpf_htons(ETH_P_IPV6)))
		return FQ_R_VLAN;
	tci = f->tci;
	vid = bpf_ntohs(tci) & VLAN_VID_MASK;
	/* Of id 0 is what has a priority only. */
	device = vid ? vlan_find(p->ifindex, vid) : NULL;
	if (!device || frame_foreign(ctx, device->ifindex) || !vlan_untag(ctx))
		return FQ_R_VLAN;
	p->ifindex = device->ifindex;
	p->vlan = tci;
	return parse_frame(ctx_data(ctx), ctx_end(ctx), p);
}

/* A frame that is to leave by @oif: the tag, if that is a VLAN device. Packet pointers end here. */
fq_inline bool vlan_leave(fq_ctx *ctx, __u32 oif)
{
	const struct fq_vlan *below = vlan_below(oif);

	return !below || vlan_tag(ctx, bpf_htons(below->vid));
}
