/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at programs: where they run, what they cost. See view.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/net.h"
#include "dataplane/view_internal.h"

#define PROGS_MAX 64

struct prog_walk {
	struct dpview *view;
	dpview_prog_fn cb;
	void *ctx;
};

static void add_warning(void *ctx, const char *text)
{
	struct dpview_prog *row = ctx;

	if (row->warning_count < DPVIEW_WARNINGS_MAX)
		snprintf(row->warning[row->warning_count++], sizeof(row->warning[0]), "%s", text);
}

static int prog_row(const struct prog_walk *walk, struct dpview_prog *row)
{
	struct bpf_prog_info info = {0};

	if (prog_info(row->id, &info) == 0) {
		row->run_cnt = info.run_cnt;
		row->run_time_ns = info.run_time_ns;
	}
	bpffs_note_get(walk->view->bpffs, row->ifindex, row->why);
	vlan_note(walk->view->maps[M_VLANS], map_id(walk->view->maps[M_SESSIONS]), row->ifindex,
		  row->why);
	if (row->dispatcher || row->filter || runs_here(row->ifindex, row->id)) {
		if (!if_indextoname(row->ifindex, row->dev))
			row->dev[0] = '\0';
		(void)dataplane_warnings(row->ifindex, row->mode, add_warning, row);
	} else {
		add_warning(row, "the interface is in another network namespace than this command");
	}
	return walk->cb(walk->ctx, row);
}

static int prog_by_link(void *ctx, int fd, uint32_t ifindex, const char *path)
{
	const struct prog_walk *walk = ctx;
	struct dpview_prog row = {.ifindex = ifindex};
	uint32_t alive;

	(void)path;
	if (link_info(fd, &alive, &row.id) < 0 || !alive)
		return 0;
	row.mode = link_mode(ifindex, row.id);
	return prog_row(walk, &row);
}

static int prog_by_dispatcher(void *ctx, uint32_t ifindex, enum dp_mode mode, uint32_t prog_id)
{
	struct dpview_prog row = {
		.ifindex = ifindex, .mode = mode, .dispatcher = true, .id = prog_id};

	return prog_row(ctx, &row);
}

static int prog_by_filter(void *ctx, uint32_t ifindex, uint32_t prog_id)
{
	struct dpview_prog row = {
		.ifindex = ifindex, .mode = DP_MODE_TC, .filter = true, .id = prog_id};

	return prog_row(ctx, &row);
}

int dpview_progs(struct dpview *view, dpview_prog_fn cb, void *ctx)
{
	struct prog_walk walk = {.view = view, .cb = cb, .ctx = ctx};
	uint32_t sessions_id = map_id(view->maps[M_SESSIONS]);
	int r = bpffs_links(view->bpffs, prog_by_link, &walk);

	if (r == 0)
		r = dispatch_each(sessions_id, prog_by_dispatcher, &walk);
	return r ? r : clsact_each(sessions_id, prog_by_filter, &walk);
}

/* ---- profile ---- */

struct profile {
	struct dpview_profile prog[PROGS_MAX];
	unsigned int count;
};

/* Several interfaces may run the same program. */
static int profile_add(void *ctx, const struct dpview_prog *row)
{
	struct profile *profile = ctx;
	struct bpf_prog_info info = {0};
	struct dpview_profile *p;

	for (unsigned int i = 0; i < profile->count; i++)
		if (profile->prog[i].id == row->id)
			return 0;
	if (profile->count == PROGS_MAX || prog_info(row->id, &info) < 0)
		return 0;
	p = &profile->prog[profile->count++];
	*p = (struct dpview_profile){
		.id = row->id, .run_cnt = info.run_cnt, .run_time_ns = info.run_time_ns};
	memcpy(p->name, info.name, sizeof(p->name));
	return 0;
}

/* From what it was to what has been added. Programs that are gone keep nothing. */
static void profile_end(struct profile *profile)
{
	for (unsigned int i = 0; i < profile->count; i++) {
		struct dpview_profile *p = &profile->prog[i];
		struct bpf_prog_info info = {0};

		if (prog_info(p->id, &info) == 0) {
			p->run_cnt = info.run_cnt - p->run_cnt;
			p->run_time_ns = info.run_time_ns - p->run_time_ns;
		} else {
			p->run_cnt = 0;
			p->run_time_ns = 0;
		}
	}
}

int dpview_profile(struct dpview *view, unsigned int seconds, struct dp_error *err,
		   dpview_profile_fn cb, void *ctx)
{
	struct timespec left = {.tv_sec = seconds};
	struct profile profile = {.count = 0};
	_cleanup_(closep) int stats_fd = -1;
	int r;

	/* The kernel measures as long as this is open. */
	stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats_fd < 0)
		return dp_fail(err, -errno, "cannot have the kernel measure run times: %s",
			       strerror(errno));
	r = dpview_progs(view, profile_add, &profile);
	if (r < 0)
		return dp_fail(err, r, "cannot read the programs: %s", strerror(-r));
	if (nanosleep(&left, NULL) < 0)
		return dp_fail(err, -errno, "interrupted");
	profile_end(&profile);
	for (unsigned int i = 0; i < profile.count && r == 0; i++)
		r = cb(ctx, &profile.prog[i]);
	return r;
}
