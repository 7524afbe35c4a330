/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting: every packet once by the reason of its fate, events beside that.
 */
#pragma once

#include "maps.h"
#include "pkt.h"

/*
 * @bytes: L3 length
 */
fq_inline void stats_count(enum fq_reason reason, __u32 bytes)
{
	__u32 key = reason;
	struct fq_count *c = bpf_map_lookup_elem(&stats, &key);

	if (!c)
		return;
	c->packets++;
	c->bytes += bytes;
}

static const __u8 reason_classes[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = FQ_CLASS_##class,
	FQ_REASONS(X)
#undef X
};

/* What becomes of a packet with this reason. */
fq_inline enum fq_reason_class reason_class(enum fq_reason reason)
{
	return reason < FQ_REASON_MAX ? reason_classes[reason] : FQ_CLASS_DROP;
}
