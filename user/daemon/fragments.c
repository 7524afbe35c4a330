/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments that came before the first one of their datagram: kept (core/fragments.h) and put back
 * on their way when the programs say that it has come.
 */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"

static void release(struct daemon *d, const struct fq_frag_key *key)
{
	_cleanup_(held_frames_freep) struct held_frame *first = fragments_take(d->fragments, key);

	for (const struct held_frame *f = first; f; f = f->next) {
		enum dp_injected fate;

		if (dataplane_inject(d->dp, f->bytes, f->len, f->ifindex, &fate) == 0)
			dataplane_count(d->dp, FQ_R_FRAGMENT_RELEASED, 1);
	}
}

void fragment_arrived(struct daemon *d, const struct fq_upcall *u)
{
	const struct held_offer offer = {
		.bytes = u->frame,
		.len = u->len,
		.l3_offset = u->l3_offset,
		.ifindex = u->ifindex,
	};
	struct fq_frag_key key;

	fragments_tick(d);
	fragments_key(u, &key);
	if (fragments_keep(d->fragments, &key, &offer, instant_now()) < 0) {
		dataplane_count(d->dp, FQ_R_FRAGMENT_LIMIT, 1);
		return;
	}
	/* The first one may have come while this one was on its way here. */
	if (dataplane_fragment_known(d->dp, &key))
		release(d, &key);
}

void fragment_first_arrived(struct daemon *d, const struct fq_upcall *u)
{
	struct fq_frag_key key;

	memcpy(&key, u->frame, sizeof(key));
	release(d, &key);
}

void fragments_tick(struct daemon *d)
{
	unsigned int n = fragments_expire(d->fragments, instant_now());

	if (n)
		dataplane_count(d->dp, FQ_R_FRAGMENT_EXPIRED, n);
}
