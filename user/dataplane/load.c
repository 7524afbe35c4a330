/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object for XDP: opened, given its settings and maps, loaded. The only file that includes
 * its skeleton; load_tc.c has the other object.
 *
 * Nothing is pinned or attached here. The skeleton does not outlive a call: maps and programs
 * are kept as file descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xdp/libxdp.h>

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"
#include "dataplane/load.h"

#include "fqdnat.skel.h"

/* The end of what the libraries said last, on one line: the verifier's verdict stands there. */
static char captured[320];

static void capture(const char *format, va_list ap)
{
	static char message[1 << 16];
	size_t have = strlen(captured), n;
	const char *text = message;

	vsnprintf(message, sizeof(message), format, ap);
	for (char *c = message; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	n = strlen(message);
	if (n >= sizeof(captured)) {
		text = message + n - sizeof(captured) + 1;
		n = sizeof(captured) - 1;
	}
	if (have + n >= sizeof(captured)) {
		size_t drop = have + n + 1 - sizeof(captured);

		memmove(captured, captured + drop, have - drop + 1);
		have -= drop;
	}
	memcpy(captured + have, text, n);
	captured[have + n] = '\0';
}

static int capture_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level == LIBBPF_WARN)
		capture(format, ap);
	return 0;
}

static int capture_libxdp(enum libxdp_print_level level, const char *format, va_list ap)
{
	if (level == LIBXDP_WARN)
		capture(format, ap);
	return 0;
}

void log_capture(void)
{
	captured[0] = '\0';
	libbpf_set_print(capture_libbpf);
	libxdp_set_print(capture_libxdp);
}

const char *log_captured(void)
{
	return captured;
}

DEFINE_CLEANUP(struct fqdnat_bpf *, fqdnat_bpf__destroy)

int load_reuse_maps(const struct bpf_object *obj, const int maps[M_COUNT])
{
	for (enum dp_map m = 0; m < M_USER; m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_specs[m].name);
		int r;

		if (!map)
			return -EPROTO;
		if (maps[m] < 0)
			continue;
		r = bpf_map__reuse_fd(map, maps[m]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Open the object, give it the maps we have. */
static int open_object(const struct fq_settings *settings, const int maps[M_COUNT],
		       struct fqdnat_bpf **ret_skel)
{
	_cleanup_(fqdnat_bpf__destroyp) struct fqdnat_bpf *skel = fqdnat_bpf__open();
	int r;

	if (!skel)
		return -errno;
	skel->rodata->fq_settings = *settings;
	r = load_reuse_maps(skel->obj, maps);
	if (r < 0)
		return r;
	*ret_skel = TAKE_PTR(skel);
	return 0;
}

static int dup_fd(int fd, int *ret_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

int load_take_programs(const struct bpf_object *obj, enum dp_prog first, enum dp_prog last,
		       int ret_progs[P_COUNT])
{
	int fds[P_COUNT];

	memset(fds, -1, sizeof(fds));
	for (enum dp_prog p = first; p <= last; p++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(obj, prog_names[p]);
		int r = prog ? dup_fd(bpf_program__fd(prog), &fds[p]) : -EPROTO;

		if (r < 0) {
			close_fds(fds, P_COUNT);
			return r;
		}
	}
	memcpy(ret_progs + first, fds + first, (last - first + 1) * sizeof(*fds));
	return 0;
}

/* Maps that the object has made. */
static int take_maps(const struct fqdnat_bpf *skel, int maps[M_COUNT])
{
	for (enum dp_map m = 0; m < M_USER; m++) {
		int r;

		if (maps[m] >= 0)
			continue;
		r = dup_fd(bpf_object__find_map_fd_by_name(skel->obj, map_specs[m].name), &maps[m]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Room for @entries in a map that is to be made; 0: what the object says. */
static int set_room(struct bpf_map *map, int fd, uint32_t entries)
{
	return fd >= 0 || entries == 0 ? 0 : bpf_map__set_max_entries(map, entries);
}

static int set_rooms(struct fqdnat_bpf *skel, const struct dp_settings *s, const int maps[M_COUNT])
{
	uint32_t slots = s->sessions_max ? table_slots(s->sessions_max) : 0;
	int r;

	r = set_room(skel->maps.sessions, maps[M_SESSIONS], slots);
	if (r == 0)
		r = set_room(skel->maps.sessions_cold, maps[M_SESSIONS_COLD], slots);
	if (r == 0)
		r = set_room(skel->maps.sessions_six, maps[M_SESSIONS_SIX], slots);
	return r;
}

int load_object(const struct dp_settings *settings, int maps[M_COUNT], struct dp_error *err,
		int ret_progs[P_COUNT])
{
	_cleanup_(fqdnat_bpf__destroyp) struct fqdnat_bpf *skel = NULL;
	int r;

	log_capture();
	r = open_object(&settings->program, maps, &skel);
	if (r == 0)
		r = set_rooms(skel, settings, maps);
	if (r == 0)
		r = fqdnat_bpf__load(skel);
	if (r < 0)
		return dp_fail(err, r, "the kernel does not take the programs: %s: %s",
			       strerror(-r), log_captured());
	r = take_maps(skel, maps);
	if (r == 0)
		r = load_take_programs(skel->obj, P_NATIVE, P_INJECT, ret_progs);
	return r < 0 ? dp_fail(err, r, "the programs are not those expected: %s", strerror(-r)) : 0;
}

int load_prepare(const struct fq_settings *settings, const int maps[M_COUNT], enum dp_prog prog,
		 struct bpf_object **ret_object, void **ret_skeleton)
{
	_cleanup_(fqdnat_bpf__destroyp) struct fqdnat_bpf *skel = NULL;
	int r;

	r = open_object(settings, maps, &skel);
	if (r < 0)
		return r;
	for (enum dp_prog p = 0; p < P_XDP_COUNT; p++)
		if (p != prog)
			bpf_program__set_autoload(
				bpf_object__find_program_by_name(skel->obj, prog_names[p]), false);
	*ret_object = skel->obj;
	*ret_skeleton = TAKE_PTR(skel);
	return 0;
}

int load_settings_from(int prog_fd, struct fq_settings *ret_settings)
{
	uint32_t ids[64], len;
	struct bpf_prog_info prog = {.map_ids = (uintptr_t)ids, .nr_map_ids = 64};

	len = sizeof(prog);
	if (bpf_obj_get_info_by_fd(prog_fd, &prog, &len) < 0)
		return -errno;
	for (uint32_t i = 0; i < prog.nr_map_ids && i < 64; i++) {
		_cleanup_(closep) int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info info = {0};

		len = sizeof(info);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
		    strstr(info.name, ".rodata"))
			return load_settings_of(fd, info.value_size, ret_settings);
	}
	return -ENOENT;
}

int load_settings_of(int rodata_fd, uint32_t size, struct fq_settings *ret_settings)
{
	_cleanup_(freep) struct fqdnat_bpf__rodata *rodata = NULL;
	uint32_t zero = 0;

	/* The skeleton does not list constants of the compiler's, which stand behind. */
	if (size < sizeof(*rodata))
		return -EPROTO;
	rodata = malloc(size);
	if (!rodata)
		return -ENOMEM;
	if (bpf_map_lookup_elem(rodata_fd, &zero, rodata) < 0)
		return -errno;
	*ret_settings = rodata->fq_settings;
	return 0;
}

void load_release(void *skeleton)
{
	fqdnat_bpf__destroy(skeleton);
}
