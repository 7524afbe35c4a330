/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's queue of actions. Inputs reserve as many places as they can need before they
 * change anything, so that no action is lost halfway.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/gateway_internal.h"

/* A queue that grew beyond this is given back when it is empty. */
#define QUEUE_KEEP 1024

int gw_reserve(struct gateway *gw, size_t n)
{
	struct gw_queued *queue;
	size_t cap = gw->queue_cap ?: 64;

	if (gw->queue_head) {
		memmove(gw->queue, gw->queue + gw->queue_head,
			(gw->queue_len - gw->queue_head) * sizeof(*gw->queue));
		gw->queue_len -= gw->queue_head;
		gw->queue_head = 0;
	}
	while (cap < gw->queue_len + n)
		cap *= 2;
	if (cap == gw->queue_cap)
		return 0;
	queue = reallocarray(gw->queue, cap, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	gw->queue = queue;
	gw->queue_cap = cap;
	return 0;
}

struct gateway_action *gw_push(struct gateway *gw, enum gateway_action_kind kind)
{
	struct gw_queued *queued = &gw->queue[gw->queue_len];

	assert(gw->queue_len < gw->queue_cap);
	gw->queue_len++;
	*queued = (struct gw_queued){.action.kind = kind};
	return &queued->action;
}

int gw_push_records(struct gateway *gw, const struct gw_domain *domain)
{
	unsigned int total = domain->known_count[GATEWAY_A] + domain->known_count[GATEWAY_AAAA];
	struct gateway_records *records = malloc(sizeof(*records) + total * sizeof(struct fq_addr));
	struct gateway_action *action;
	struct fq_addr *addr;

	if (!records)
		return -ENOMEM;
	addr = (struct fq_addr *)(records + 1);
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		records->addr[f] = addr;
		records->count[f] = domain->known_count[f];
		for (unsigned int i = 0; i < domain->known_count[f]; i++)
			*addr++ = domain->known[f][i];
	}
	action = gw_push(gw, GATEWAY_RECORDS);
	action->records.domain = domain->id;
	action->records.records = records;
	gw->queue[gw->queue_len - 1].records = records;
	return 0;
}

void gw_push_event(struct gateway *gw, enum fq_reason reason, uint32_t scope)
{
	struct gateway_action *action = gw_push(gw, GATEWAY_EVENT);

	action->event.reason = reason;
	action->event.scope = scope;
}

bool gateway_next(struct gateway *gw, struct gateway_action *ret_action)
{
	struct gw_queued *queued;

	free(gw->delivered);
	gw->delivered = NULL;
	if (gw->queue_head == gw->queue_len) {
		gw->queue_head = gw->queue_len = 0;
		if (gw->queue_cap > QUEUE_KEEP) {
			free(gw->queue);
			gw->queue = NULL;
			gw->queue_cap = 0;
		}
		return false;
	}
	queued = &gw->queue[gw->queue_head++];
	gw->delivered = queued->records;
	*ret_action = queued->action;
	return true;
}

void gw_queue_free(struct gateway *gw)
{
	for (size_t i = gw->queue_head; i < gw->queue_len; i++)
		free(gw->queue[i].records);
	free(gw->delivered);
	free(gw->queue);
}
