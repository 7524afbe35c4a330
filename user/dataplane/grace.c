/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grace periods, see grace.h.
 *
 * The kernel returns from an update of a map of maps only after synchronize_rcu(), so that user
 * space may know that no program still uses what it has had before. (membarrier would do, too,
 * but is refused with nohz_full.)
 */
#include "dataplane/grace.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

struct list {
	uint32_t *index;
	uint32_t count, room;
};

struct grace {
	struct session_table *table;
	int inner, outer; /* maps */

	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct list fresh;   /* wait for the next grace period */
	struct list waiting; /* for the present one: the thread's */
	bool end;
};

/* Return: false if the kernel has not waited. */
static bool wait_for_programs(const struct grace *g)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(g->outer, &zero, &g->inner, BPF_ANY) == 0;
}

/*
 * A grace period for @waiting, outside the lock. What cannot be waited for stays as it is until
 * something else is to be freed, too.
 */
static void wait_and_free(struct grace *g)
{
	bool waited;

	pthread_mutex_unlock(&g->lock);
	waited = wait_for_programs(g);
	for (uint32_t i = 0; waited && i < g->waiting.count; i++)
		table_release(g->table, g->waiting.index[i]);
	pthread_mutex_lock(&g->lock);
	if (waited)
		g->waiting.count = 0;
	else if (!g->end)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_cond_broadcast(&g->changed);
}

static void *run(void *ctx)
{
	struct grace *g = ctx;

	pthread_mutex_lock(&g->lock);
	while (!g->end) {
		if (!g->waiting.count) {
			struct list empty = g->waiting;

			g->waiting = g->fresh;
			g->fresh = empty;
		}
		if (g->waiting.count)
			wait_and_free(g);
		else
			pthread_cond_wait(&g->changed, &g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static int make_maps(struct grace *g)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	g->inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fq_grace_in", 4, 4, 1, NULL);
	if (g->inner < 0)
		return -errno;
	opts.inner_map_fd = (uint32_t)g->inner;
	g->outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "fq_grace", 4, 4, 1, &opts);
	return g->outer < 0 ? -errno : 0;
}

static void release(struct grace *g)
{
	closep(&g->inner);
	closep(&g->outer);
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->changed);
	free(g->fresh.index);
	free(g->waiting.index);
	free(g);
}

int grace_open(struct session_table *table, struct grace **ret_grace)
{
	struct grace *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->table = table;
	g->inner = g->outer = -1;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	r = make_maps(g);
	if (r == 0)
		r = -pthread_create(&g->thread, NULL, run, g);
	if (r < 0) {
		release(g);
		return r;
	}
	*ret_grace = g;
	return 0;
}

void grace_close(struct grace *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->end = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	release(g);
}

static bool list_add(struct list *l, uint32_t index)
{
	if (l->count == l->room) {
		uint32_t room = l->room ? 2 * l->room : 1024;
		uint32_t *fresh = reallocarray(l->index, room, sizeof(*fresh));

		if (!fresh)
			return false;
		l->index = fresh;
		l->room = room;
	}
	l->index[l->count++] = index;
	return true;
}

void grace_add(struct grace *g, uint32_t index)
{
	bool added;

	pthread_mutex_lock(&g->lock);
	added = list_add(&g->fresh, index);
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	/* Else it is found dead by the next process. */
	if (!added && wait_for_programs(g))
		table_release(g->table, index);
}

void grace_drain(struct grace *g)
{
	pthread_mutex_lock(&g->lock);
	while (g->fresh.count || g->waiting.count)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

uint32_t grace_pending(struct grace *g)
{
	uint32_t n;

	pthread_mutex_lock(&g->lock);
	n = g->fresh.count + g->waiting.count;
	pthread_mutex_unlock(&g->lock);
	return n;
}
