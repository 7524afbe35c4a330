/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object for tc: loaded on the maps of the XDP programs when the first interface wants it.
 * The only file that includes its skeleton. See load.c.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/internal.h"
#include "dataplane/load.h"

#include "fqdnat_tc.skel.h"

DEFINE_CLEANUP(struct fqdnat_tc_bpf *, fqdnat_tc_bpf__destroy)

int load_tc(const struct fq_settings *settings, const int maps[M_COUNT], struct dp_error *err,
	    int ret_progs[P_COUNT])
{
	_cleanup_(fqdnat_tc_bpf__destroyp) struct fqdnat_tc_bpf *skel = NULL;
	int r;

	log_capture();
	skel = fqdnat_tc_bpf__open();
	if (!skel)
		return dp_fail(err, -errno, "cannot read the programs for tc: %s", strerror(errno));
	skel->rodata->fq_settings = *settings;
	r = load_reuse_maps(skel->obj, maps);
	if (r == 0)
		r = fqdnat_tc_bpf__load(skel);
	if (r < 0)
		return dp_fail(err, r, "the kernel does not take the programs for tc: %s: %s",
			       strerror(-r), log_captured());
	r = load_take_programs(skel->obj, P_TC, P_TC_L3, ret_progs);
	return r < 0 ? dp_fail(err, r, "the programs for tc are not those expected: %s",
			       strerror(-r))
		     : 0;
}

int load_tc_once(struct dataplane *dp, struct dp_error *err)
{
	struct fq_settings settings = dp->settings.program;
	int r = 0;

	if (dp->progs[P_TC] >= 0 && dp->progs[P_TC_L3] >= 0)
		return 0;
	if (!dp->loaded)
		r = load_settings_from(dp->progs[P_NATIVE], &settings);
	if (r < 0)
		return dp_fail(err, r, "cannot read the settings of the pinned programs: %s",
			       strerror(-r));
	r = load_tc(&settings, dp->maps, err, dp->progs);
	return r < 0 ? r : dataplane_pin(dp, err);
}
