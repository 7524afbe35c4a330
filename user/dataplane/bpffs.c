/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory in a bpffs: made, read, and removed without a trace.
 *
 * Knows names and paths, nothing of what the pinned things do.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"

#define BPFFS_ROOT "/sys/fs/bpf"

/* Ends the name of what is pinned but not in its place yet. A bpffs permits no points. */
#define UNFINISHED "_new"

#define SPEC(n, t, k, v)                                                            \
	{                                                                           \
		.name = n, .type = BPF_MAP_TYPE_##t, .key_size = k, .value_size = v \
	}

const struct map_spec map_specs[M_COUNT] = {
	[M_CONTROL] = SPEC("control", ARRAY, 4, sizeof(struct fq_control)),
	[M_SESSIONS] = SPEC("sessions", ARRAY, 4, sizeof(struct fq_slot)),
	[M_SESSIONS_COLD] = SPEC("sessions_cold", ARRAY, 4, sizeof(struct fq_cold)),
	[M_SESSIONS_SIX] = SPEC("sessions_six", ARRAY, 4, sizeof(struct fq_slot6)),
	[M_TOMBSTONES] =
		SPEC("tombstones", LRU_HASH, sizeof(struct fq_tuple), sizeof(struct fq_tombstone)),
	[M_CLIENTS] = SPEC("clients", LPM_TRIE, sizeof(struct fq_prefix), sizeof(struct fq_client)),
	[M_GRANTS] = SPEC("grants", HASH, sizeof(struct fq_grant_key), sizeof(struct fq_grant)),
	[M_FILTERS] = SPEC("filters", HASH, 4, sizeof(struct fq_filter)),
	[M_PROXIES] = SPEC("proxies", ARRAY_OF_MAPS, 4, 4),
	[M_XLAT] = SPEC("xlat", ARRAY_OF_MAPS, 4, 4),
	[M_EDGE] = SPEC("edge", ARRAY_OF_MAPS, 4, 4),
	[M_GATEWAYS] = SPEC("gateways", ARRAY, 4, sizeof(struct fq_gateway)),
	[M_DEVS] = SPEC("devs", HASH, 4, sizeof(struct fq_dev)),
	[M_VLANS] = SPEC("vlans", HASH, sizeof(struct fq_vlan_key), sizeof(struct fq_vlan)),
	[M_HOPS] = SPEC("hops", ARRAY, 4, sizeof(struct fq_hop)),
	[M_TX] = SPEC("tx", DEVMAP_HASH, 4, 4),
	[M_QUOTA] = SPEC("quota", ARRAY, 4, sizeof(struct fq_quota)),
	[M_STATS] = SPEC("stats", PERCPU_ARRAY, 4, sizeof(struct fq_count)),
	[M_ICMP_BUCKETS] =
		SPEC("icmp_buckets", LRU_HASH, sizeof(struct fq_addr), sizeof(struct fq_bucket)),
	[M_ICMP_CPU] = SPEC("icmp_cpu", PERCPU_ARRAY, 4, sizeof(struct fq_bucket)),
	[M_FRAGMENTS] =
		SPEC("fragments", LRU_HASH, sizeof(struct fq_frag_key), sizeof(struct fq_frag)),
	[M_FRAG_CPU] = SPEC("frag_cpu", PERCPU_ARRAY, 4, sizeof(struct fq_bucket)),
	[M_IP_IDS] = SPEC("ip_ids", ARRAY, 4, 4),
	[M_DNS] = SPEC("dns", ARRAY_OF_MAPS, 4, 4),
	[M_DNS_NAMES] = SPEC("dns_names", ARRAY_OF_MAPS, 4, 4),
	[M_DNS_ASKED] = SPEC("dns_asked", RINGBUF, 0, 0),
	[M_DNS_PTR] = SPEC("dns_ptr", LRU_HASH, sizeof(struct fq_addr), sizeof(struct fq_dns_ptr)),
	[M_DNS_ADDRS] = SPEC("dns_addrs", HASH, sizeof(struct fq_addr), 4),
	[M_UPCALLS] = SPEC("upcalls", RINGBUF, 0, 0),
	[M_USER] = SPEC("user", ARRAY, 4, sizeof(struct dp_user)),
};

const char *const prog_pins[P_COUNT] = {
	[P_NATIVE] = "prog_xdp", [P_GENERIC] = "prog_xdp_generic", [P_INJECT] = "prog_xdp_inject",
	[P_TC] = "prog_tc",      [P_TC_L3] = "prog_tc_l3",
};

const char *const prog_names[P_COUNT] = {
	[P_NATIVE] = "fqdnat_xdp",        [P_GENERIC] = "fqdnat_xdp_generic",
	[P_INJECT] = "fqdnat_xdp_inject", [P_TC] = "fqdnat_tc",
	[P_TC_L3] = "fqdnat_tc_l3",
};

int dp_fail(struct dp_error *err, int r, const char *format, ...)
{
	va_list ap;

	if (!err)
		return r;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return r;
}

void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static int path_format(char path[DP_PATH_MAX], const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(path, DP_PATH_MAX, format, ap);
	va_end(ap);
	return n < DP_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int dp_path(char path[DP_PATH_MAX], const char *bpffs, const char *leaf)
{
	return path_format(path, "%s/%s", bpffs, leaf);
}

int dp_path_map(char path[DP_PATH_MAX], const char *bpffs, enum dp_map map)
{
	return path_format(path, "%s/maps/%s", bpffs, map_specs[map].name);
}

int dp_path_link(char path[DP_PATH_MAX], const char *bpffs, uint32_t ifindex)
{
	return path_format(path, "%s/links/%u", bpffs, ifindex);
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

/*
 * A mount in a namespace of our own (ip netns exec, PrivateMounts=) would end with the process,
 * and the programs with it.
 */
static bool own_mount_namespace(void)
{
	struct stat self, init;

	if (stat("/proc/self/ns/mnt", &self) < 0 || stat("/proc/1/ns/mnt", &init) < 0)
		return false;
	return self.st_ino != init.st_ino;
}

static int mount_root(struct dp_error *err)
{
	if (own_mount_namespace())
		return dp_fail(err, -ENOTSUP,
			       BPFFS_ROOT
			       " is hidden in this mount namespace (ip netns exec?): use "
			       "nsenter --net=/run/netns/NAME, or FQDNAT_BPFFS with a directory on "
			       "another bpffs");
	if (mount("bpf", BPFFS_ROOT, "bpf", 0, "mode=0700") < 0)
		return dp_fail(err, -errno, "cannot mount a bpffs on " BPFFS_ROOT ": %s",
			       strerror(errno));
	return 0;
}

/* The nearest directory at or above @path that exists. */
static void existing_parent(const char *path, char parent[DP_PATH_MAX])
{
	strcpy(parent, path);
	while (access(parent, F_OK) < 0) {
		char *slash = strrchr(parent, '/');

		if (!slash || slash == parent) {
			strcpy(parent, slash ? "/" : ".");
			return;
		}
		*slash = '\0';
	}
}

static int make_dir(const char *path, struct dp_error *err)
{
	char parent[DP_PATH_MAX];
	char *slash;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return dp_fail(err, -errno, "cannot make %s: %s", path, strerror(errno));
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return dp_fail(err, -ENOENT, "cannot make %s", path);
	*slash = '\0';
	if (make_dir(parent, err) < 0)
		return -ENOENT;
	if (mkdir(path, 0700) < 0)
		return dp_fail(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

int bpffs_prepare(const char *bpffs, struct dp_error *err)
{
	static const char *const dirs[] = {"maps", "links"};
	char path[DP_PATH_MAX];
	int r;

	existing_parent(bpffs, path);
	if (!is_bpffs(path) && strncmp(bpffs, BPFFS_ROOT "/", sizeof(BPFFS_ROOT)) == 0) {
		r = mount_root(err);
		if (r < 0)
			return r;
		existing_parent(bpffs, path);
	}
	if (!is_bpffs(path))
		return dp_fail(
			err, -ENOTSUP,
			"%s is not on a bpffs: mount -t bpf bpf DIR, and name a directory in it",
			bpffs);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		r = dp_path(path, bpffs, dirs[i]);
		if (r < 0)
			return dp_fail(err, r, "%s: the path is too long", bpffs);
		r = make_dir(path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void bpffs_tidy(const char *bpffs)
{
	char path[DP_PATH_MAX];

	/* Where something is left, or a mount point, rmdir does nothing: as it should be. */
	if (dp_path(path, bpffs, "links") == 0)
		(void)rmdir(path);
	if (dp_path(path, bpffs, "maps") == 0)
		(void)rmdir(path);
	(void)rmdir(bpffs);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_unfinished(const char *name)
{
	size_t len = strlen(name), tail = sizeof(UNFINISHED) - 1;

	return len > tail && strcmp(name + len - tail, UNFINISHED) == 0;
}

static void remove_unfinished_in(const char *path)
{
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_unfinished(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
}

void bpffs_remove_unfinished(const char *bpffs)
{
	char path[DP_PATH_MAX];

	remove_unfinished_in(bpffs);
	if (dp_path(path, bpffs, "maps") == 0)
		remove_unfinished_in(path);
	if (dp_path(path, bpffs, "links") == 0)
		remove_unfinished_in(path);
}

/* Words about interfaces that are gone. */
static void remove_notes(const char *bpffs)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[DP_PATH_MAX];
	struct dirent *entry;

	if (dp_path(path, bpffs, "links") < 0)
		return;
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strchr(entry->d_name, '_'))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
}

void bpffs_unpin(const char *bpffs)
{
	char path[DP_PATH_MAX];

	bpffs_remove_unfinished(bpffs);
	remove_notes(bpffs);

	for (enum dp_prog p = 0; p < P_COUNT; p++)
		if (dp_path(path, bpffs, prog_pins[p]) == 0)
			(void)unlink(path);
	for (enum dp_map m = 0; m < M_COUNT; m++)
		if (dp_path_map(path, bpffs, m) == 0)
			(void)unlink(path);
	bpffs_tidy(bpffs);
}

int bpffs_pin(int fd, const char *path)
{
	char fresh[DP_PATH_MAX + sizeof(UNFINISHED)];

	snprintf(fresh, sizeof(fresh), "%s" UNFINISHED, path);
	(void)unlink(fresh);
	if (bpf_obj_pin(fd, fresh) < 0)
		return -errno;
	if (rename(fresh, path) < 0) {
		int r = -errno;

		(void)unlink(fresh);
		return r;
	}
	return 0;
}

int bpffs_links(const char *bpffs, bpffs_link_fn cb, void *ctx)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[DP_PATH_MAX];
	struct dirent *entry;
	int r;

	r = dp_path(path, bpffs, "links");
	if (r < 0)
		return r;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		_cleanup_(closep) int fd = -1;
		char *end;
		unsigned long ifindex = strtoul(entry->d_name, &end, 10);

		if (*end || end == entry->d_name)
			continue;
		r = dp_path_link(path, bpffs, (uint32_t)ifindex);
		if (r < 0)
			return r;
		fd = bpf_obj_get(path);
		if (fd < 0)
			return -errno;
		r = cb(ctx, fd, (uint32_t)ifindex, path);
		if (r)
			return r;
	}
	return 0;
}

static int check_map(int fd, const struct map_spec *spec, const char *bpffs, struct dp_error *err)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return dp_fail(err, -errno, "%s/maps/%s: %s", bpffs, spec->name, strerror(errno));
	if (info.type != spec->type || info.key_size != spec->key_size ||
	    info.value_size != spec->value_size)
		return dp_fail(
			err, -EPROTO,
			"%s/maps/%s is not of this version (key %u, value %u bytes; expected "
			"%u, %u): run 'fqdnat prog detach' on every interface, then start again",
			bpffs, spec->name, info.key_size, info.value_size, spec->key_size,
			spec->value_size);
	return 0;
}

static int check_abi(int control_fd, const char *bpffs, struct dp_error *err)
{
	struct fq_control control;
	uint32_t zero = 0;

	if (control_fd < 0)
		return 0;
	if (bpf_map_lookup_elem(control_fd, &zero, &control) < 0)
		return dp_fail(err, -errno, "%s/maps/control: %s", bpffs, strerror(errno));
	if (control.abi_version && control.abi_version != FQ_ABI_VERSION)
		return dp_fail(err, -EPROTO,
			       "the maps in %s have ABI version %u, this program has %u: run "
			       "'fqdnat prog detach' on every interface (sessions end), then start "
			       "again",
			       bpffs, control.abi_version, FQ_ABI_VERSION);
	return 0;
}

int bpffs_open_maps(const char *bpffs, uint32_t file_flags, struct dp_error *err, int maps[M_COUNT])
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = file_flags);
	int fds[M_COUNT], r = 0;

	memset(fds, -1, sizeof(fds));
	for (enum dp_map m = 0; m < M_COUNT; m++) {
		char path[DP_PATH_MAX];

		r = dp_path_map(path, bpffs, m);
		if (r < 0)
			break;
		fds[m] = bpf_obj_get_opts(path, &opts);
		if (fds[m] < 0 && errno != ENOENT) {
			r = dp_fail(err, -errno, "%s: %s", path, strerror(errno));
			break;
		}
		if (fds[m] < 0)
			continue;
		/* The version comes first: it is the better explanation of a size. */
		r = check_map(fds[m], &map_specs[m], bpffs, err);
		if (r == 0 && m == M_CONTROL)
			r = check_abi(fds[m], bpffs, err);
		if (r < 0)
			break;
	}
	if (r < 0) {
		close_fds(fds, M_COUNT);
		return r;
	}
	memcpy(maps, fds, sizeof(fds));
	return 0;
}
