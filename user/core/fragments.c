/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments before the first one, see fragments.h. */
#include "core/fragments.h"

#include <errno.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct fragment {
	TAILQ_ENTRY(fragment) link;
	struct fq_frag_key key;
	struct held_frame *frame;
};

/* In order of arrival. */
struct fragments {
	TAILQ_HEAD(, fragment) kept;
	unsigned int count;
};

struct fragments *fragments_new(void)
{
	struct fragments *f = calloc(1, sizeof(*f));

	if (f)
		TAILQ_INIT(&f->kept);
	return f;
}

/* The frame of a fragment that is kept no longer. */
static struct held_frame *forget(struct fragments *f, struct fragment *one)
{
	struct held_frame *frame = one->frame;

	TAILQ_REMOVE(&f->kept, one, link);
	f->count--;
	free(one);
	return frame;
}

struct fragments *fragments_free(struct fragments *f)
{
	struct fragment *one;

	if (!f)
		return NULL;
	while ((one = TAILQ_FIRST(&f->kept)))
		held_frames_free(forget(f, one));
	free(f);
	return NULL;
}

void fragments_key(const struct fq_upcall *u, struct fq_frag_key *ret_key)
{
	const uint8_t *l3 = u->frame + u->l3_offset;

	*ret_key = (struct fq_frag_key){
		.dst = u->proxy,
		.id = u->domain,
		.proto = (uint8_t)u->gateway,
	};
	if (l3[0] >> 4 == 4) {
		ret_key->src.w[2] = htobe32(0xffff);
		memcpy(&ret_key->src.w[3], l3 + 12, 4);
	} else if (u->len >= u->l3_offset + sizeof(struct ip6_hdr)) {
		memcpy(&ret_key->src, l3 + 8, sizeof(ret_key->src));
	}
}

static unsigned int count_of(const struct fragments *f, const struct fq_addr *src)
{
	const struct fragment *one;
	unsigned int n = 0;

	TAILQ_FOREACH (one, &f->kept, link)
		n += memcmp(&one->key.src, src, sizeof(*src)) == 0;
	return n;
}

int fragments_keep(struct fragments *f, const struct fq_frag_key *key,
		   const struct held_offer *offer, struct instant now)
{
	struct fragment *one;

	if (f->count >= FRAGMENTS_MAX || count_of(f, &key->src) >= FRAGMENTS_PER_SOURCE)
		return -ENOBUFS;
	if (offer->len <= offer->l3_offset)
		return -EBADMSG;
	one = calloc(1, sizeof(*one));
	if (!one)
		return -ENOMEM;
	one->key = *key;
	one->frame = held_frame_new(offer, now);
	if (!one->frame) {
		free(one);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&f->kept, one, link);
	f->count++;
	return 0;
}

struct held_frame *fragments_take(struct fragments *f, const struct fq_frag_key *key)
{
	struct held_frame *first = NULL, **end = &first;
	struct fragment *one, *next;

	for (one = TAILQ_FIRST(&f->kept); one; one = next) {
		next = TAILQ_NEXT(one, link);
		if (memcmp(&one->key, key, sizeof(*key)) != 0)
			continue;
		*end = forget(f, one);
		end = &(*end)->next;
	}
	return first;
}

unsigned int fragments_expire(struct fragments *f, struct instant now)
{
	struct fragment *one;
	unsigned int n = 0;

	while ((one = TAILQ_FIRST(&f->kept)) &&
	       instant_reached(instant_add(one->frame->at, FRAGMENTS_KEPT_NS), now)) {
		held_frames_free(forget(f, one));
		n++;
	}
	return n;
}

unsigned int fragments_count(const struct fragments *f)
{
	return f->count;
}
