/* SPDX-License-Identifier: BSD-2-Clause */
/* The BPF objects, from the skeletons to loaded programs: for the files of dataplane/. */
#pragma once

#include "dataplane/internal.h"

/* ---- load.c: the BPF object ---- */

/*
 * Load the XDP programs on top of @maps; what is -1 is made and filled in.
 *
 * @ret_progs: P_XDP_COUNT program fds, owned by the caller
 */
int load_object(const struct dp_settings *settings, int maps[M_COUNT], struct dp_error *err,
		int ret_progs[P_COUNT]);

/* An object opened on top of @maps, not loaded, only @prog in it: for libxdp. */
int load_prepare(const struct fq_settings *settings, const int maps[M_COUNT], enum dp_prog prog,
		 struct bpf_object **ret_object, void **ret_skeleton);
void load_release(void *skeleton);

/* What all objects of ours need. */
int load_reuse_maps(const struct bpf_object *obj, const int maps[M_COUNT]);
int load_take_programs(const struct bpf_object *obj, enum dp_prog first, enum dp_prog last,
		       int ret_progs[P_COUNT]);

/* ---- load_tc.c ---- */

/* Load the programs for tc, all maps given, into @ret_progs[P_TC] and [P_TC_L3]. */
int load_tc(const struct fq_settings *settings, const int maps[M_COUNT], struct dp_error *err,
	    int ret_progs[P_COUNT]);

/* The same with what @dp has, and pin them, unless that is done. */
int load_tc_once(struct dataplane *dp, struct dp_error *err);

/* The settings of a loaded XDP program, from the map of its read-only data. */
int load_settings_from(int prog_fd, struct fq_settings *ret_settings);

/*
 * The settings that a loaded program was given.
 *
 * @rodata_fd: map of its read-only data, of @size bytes
 *
 * Return: 0; -EPROTO: they are not there; negative errno.
 */
int load_settings_of(int rodata_fd, uint32_t size, struct fq_settings *ret_settings);

/* Keep the words of libbpf and libxdp for an error text. */
void log_capture(void);
const char *log_captured(void);
