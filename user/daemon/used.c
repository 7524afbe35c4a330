/* SPDX-License-Identifier: BSD-2-Clause */
/* Which domains have sessions: asked before a domain's proxy addresses are given to another. */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

struct id_list {
	uint32_t *ids;
	size_t count, room;
};

static int add_domain(void *ctx, const struct dpview_session *row)
{
	struct id_list *l = ctx;

	/* Sessions of one domain tend to stand together. */
	if (l->count && l->ids[l->count - 1] == row->domain_id)
		return 0;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 1024;
		uint32_t *ids = reallocarray(l->ids, room, sizeof(*ids));

		if (!ids)
			return -1;
		l->ids = ids;
		l->room = room;
	}
	l->ids[l->count++] = row->domain_id;
	return 0;
}

void used_domains_refresh(struct daemon *d)
{
	struct id_list l = {.ids = malloc(sizeof(uint32_t)), .room = 1};
	size_t n = 0;
	int r;

	free(TAKE_PTR(d->used));
	r = l.ids ? dpview_sessions(d->view, NULL, instant_now(), add_domain, &l) : -1;
	if (r) {
		free(l.ids);
		return;
	}
	qsort(l.ids, l.count, sizeof(*l.ids), compare_ids);
	for (size_t i = 0; i < l.count; i++)
		if (n == 0 || l.ids[n - 1] != l.ids[i])
			l.ids[n++] = l.ids[i];
	d->used = l.ids;
	d->used_count = n;
	d->used_at = instant_now();
}

bool used_domains_contain(const struct daemon *d, uint32_t domain)
{
	return bsearch(&domain, d->used, d->used_count, sizeof(*d->used), compare_ids);
}
