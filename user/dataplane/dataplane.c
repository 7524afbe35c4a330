/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening, reloading and closing a dataplane, see dataplane.h. */
#include "dataplane/dataplane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"
#include "dataplane/load.h"
#include "dataplane/net.h"

int dp_dispatcher_parse(const char *word, enum dp_dispatcher *ret_dispatcher)
{
	static const char *const words[] = {
		[DP_DISPATCHER_AUTO] = "auto",
		[DP_DISPATCHER_NEVER] = "never",
		[DP_DISPATCHER_REQUIRE] = "require",
	};

	for (enum dp_dispatcher d = 0; d < sizeof(words) / sizeof(words[0]); d++) {
		if (strcmp(word, words[d]) == 0) {
			*ret_dispatcher = d;
			return 0;
		}
	}
	return -EINVAL;
}

static int dataplane_new(const char *bpffs, struct dp_error *err, struct dataplane **ret_dp)
{
	struct dataplane *dp;

	if (!bpffs)
		bpffs = FQ_BPFFS_DEFAULT;
	if (strlen(bpffs) >= DP_PATH_MAX - 32)
		return dp_fail(err, -ENAMETOOLONG, "%s: the path is too long", bpffs);
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return dp_fail(err, -ENOMEM, "out of memory");
	strcpy(dp->bpffs, bpffs);
	memset(dp->maps, -1, sizeof(dp->maps));
	memset(dp->progs, -1, sizeof(dp->progs));
	dp->raw4 = dp->raw6 = dp->packet = dp->netlink = dp->hops = -1;
	*ret_dp = dp;
	return 0;
}

static size_t mapped_bytes(enum dp_map map)
{
	size_t entries = map == M_QUOTA ? FQ_QUOTAS_MAX : 1;
	size_t bytes = entries * ((map_specs[map].value_size + 7) & ~7U);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static int map_memory(struct dataplane *dp, enum dp_map map, void *ret_memory)
{
	void *p =
		mmap(NULL, mapped_bytes(map), PROT_READ | PROT_WRITE, MAP_SHARED, dp->maps[map], 0);

	if (p == MAP_FAILED)
		return -errno;
	*(void **)ret_memory = p;
	return 0;
}

static void unmap_memory(void *p, enum dp_map map)
{
	if (p)
		munmap(p, mapped_bytes(map));
}

static int make_user_map(struct dataplane *dp)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	if (dp->maps[M_USER] >= 0)
		return 0;
	dp->maps[M_USER] =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "fq_user", 4, sizeof(struct dp_user), 1, &opts);
	return dp->maps[M_USER] < 0 ? -errno : 0;
}

static int map_room(int fd, uint32_t *ret_entries)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret_entries = info.max_entries;
	return 0;
}

/* What the session table has room for: a pinned one may be of another size than configured. */
static int read_capacity(struct dataplane *dp)
{
	uint32_t sessions = 0;
	int r = map_room(dp->maps[M_SESSIONS], &sessions);

	dp->capacity = table_sessions(sessions);
	return r;
}

/* A new table gets its keys before any program may use them. */
static int open_table(struct dataplane *dp)
{
	struct fq_control *c = dp->control;
	uint32_t slots = 0;
	int r = map_room(dp->maps[M_SESSIONS], &slots);

	if (r == 0 && c->table.slots != slots) {
		r = table_draw(&c->table, slots);
		c->grants_until = UINT64_MAX;
	}
	if (r == 0)
		r = table_map(&dp->table, dp->maps[M_SESSIONS], dp->maps[M_SESSIONS_SIX],
			      dp->maps[M_SESSIONS_COLD], &c->table, true);
	return r < 0 ? r : grace_open(&dp->table, &dp->grace);
}

static bool same_pools(const struct proxy_pools *a, const struct proxy_pools *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Addresses of earlier pools mean nothing any more, and have others' numbers. */
static int forget_pools(struct dataplane *dp, const struct proxy_fds *fds)
{
	_cleanup_(proxies_freep) struct proxies *earlier = NULL;
	int r = proxies_open(fds, &dp->user->pools, true, &dp->user->proxies, &earlier);

	if (r == 0)
		proxies_clear(earlier);
	return r;
}

static void limit_proxies(struct dataplane *dp)
{
	const struct dp_settings *s = &dp->settings;
	uint32_t domains = s->domains_max ? s->domains_max : DP_DOMAINS_DEFAULT;

	proxies_limit(dp->proxies, DP_DOMAIN_ENTRIES * domains,
		      s->translations_max ? s->translations_max : DP_TRANSLATIONS_DEFAULT);
}

static int open_proxies(struct dataplane *dp)
{
	const struct fq_settings *s = &dp->settings.program;
	const struct proxy_pools pools = {s->pool4, s->pool4_mask, s->pool6, s->pool6_mask};
	const struct proxy_fds fds = {dp->maps[M_PROXIES], dp->maps[M_EDGE], dp->maps[M_XLAT]};
	int r = 0;

	if (!same_pools(&dp->user->pools, &pools))
		r = forget_pools(dp, &fds);
	if (r < 0)
		return r;
	dp->user->pools = pools;
	r = proxies_open(&fds, &pools, true, &dp->user->proxies, &dp->proxies);
	if (r == 0)
		limit_proxies(dp);
	return r;
}

/* What both sides see without a system call. */
static int open_memory(struct dataplane *dp)
{
	int r;

	r = make_user_map(dp);
	if (r == 0)
		r = map_memory(dp, M_CONTROL, &dp->control);
	if (r == 0)
		r = map_memory(dp, M_QUOTA, &dp->quota);
	if (r == 0)
		r = map_memory(dp, M_USER, &dp->user);
	if (r == 0)
		r = open_table(dp);
	return r < 0 ? r : read_capacity(dp);
}

static int pin_maps(struct dataplane *dp)
{
	char path[DP_PATH_MAX];
	int r;

	/* Backwards: control says that the rest is complete. */
	for (int m = M_COUNT - 1; m >= 0; m--) {
		r = dp_path_map(path, dp->bpffs, (enum dp_map)m);
		if (r == 0 && access(path, F_OK) < 0)
			r = bpffs_pin(dp->maps[m], path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int pin_programs(struct dataplane *dp)
{
	char path[DP_PATH_MAX];

	for (enum dp_prog p = 0; p < P_COUNT; p++) {
		int r = dp_path(path, dp->bpffs, prog_pins[p]);

		/* Not needed (any more): one of other settings must not be found later. */
		if (r == 0 && dp->progs[p] < 0)
			(void)unlink(path);
		else if (r == 0)
			r = bpffs_pin(dp->progs[p], path);
		if (r < 0)
			return r;
	}
	return 0;
}

int dataplane_pin(struct dataplane *dp, struct dp_error *err)
{
	int r = bpffs_prepare(dp->bpffs, err);

	if (r < 0)
		return r;
	r = pin_maps(dp);
	if (r == 0)
		r = pin_programs(dp);
	return r < 0 ? dp_fail(err, r, "cannot pin in %s: %s", dp->bpffs, strerror(-r)) : 0;
}

static void apply_settings(struct dataplane *dp, const struct dp_settings *settings)
{
	dp->settings = *settings;
	dp->settings.bpffs = dp->bpffs;
	dp->user->expiry = settings->expiry;
	dataplane_sessions_max_set(dp, settings->sessions_max);
}

static int open_loaded(struct dataplane *dp, const struct dp_settings *settings,
		       struct dp_error *err)
{
	int r;

	r = load_object(settings, dp->maps, err, dp->progs);
	if (r < 0)
		return r;
	dp->loaded = true;
	r = open_memory(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot map shared memory: %s", strerror(-r));
	dp->control->abi_version = FQ_ABI_VERSION;
	apply_settings(dp, settings);
	r = open_proxies(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot read what is known of proxy addresses: %s",
			       strerror(-r));
	r = dns_open(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot map what is answered about names: %s", strerror(-r));
	sessions_bring_out_all(dp);
	r = sessions_recount(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot read the session table: %s", strerror(-r));
	dp->sweep.thorough = true;
	r = upcall_open(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot open the way to the programs' upcalls: %s",
			       strerror(-r));
	r = addr_open(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot follow addresses (netlink): %s", strerror(-r));
	r = hops_open(dp);
	if (r < 0)
		return dp_fail(err, r, "cannot follow routes (netlink): %s", strerror(-r));
	return 0;
}

int dataplane_open(const struct dp_settings *settings, struct dp_error *err,
		   struct dataplane **ret_dp)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	int r;

	r = dataplane_new(settings->bpffs, err, &dp);
	if (r < 0)
		return r;
	r = bpffs_prepare(dp->bpffs, err);
	if (r < 0)
		return r;
	bpffs_remove_unfinished(dp->bpffs);
	r = bpffs_open_maps(dp->bpffs, 0, err, dp->maps);
	if (r < 0)
		return r;
	dp->taken_over = dp->maps[M_SESSIONS] >= 0;
	r = open_loaded(dp, settings, err);
	if (r == 0)
		r = dataplane_pin(dp, err);
	if (r == 0)
		r = attach_replace(dp, err);
	if (r < 0) {
		bpffs_tidy(dp->bpffs);
		return r;
	}
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

int dataplane_open_pinned(const char *bpffs, enum dp_dispatcher dispatcher, struct dp_error *err,
			  struct dataplane **ret_dp)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	char path[DP_PATH_MAX];
	int r;

	r = dataplane_new(bpffs, err, &dp);
	if (r < 0)
		return r;
	r = bpffs_open_maps(dp->bpffs, 0, err, dp->maps);
	if (r < 0)
		return r;
	for (enum dp_prog p = 0; p < P_COUNT; p++)
		if (dp_path(path, dp->bpffs, prog_pins[p]) == 0)
			dp->progs[p] = bpf_obj_get(path);
	for (enum dp_map m = 0; m < M_COUNT; m++)
		if (dp->maps[m] < 0 || dp->progs[P_NATIVE] < 0 || dp->progs[P_GENERIC] < 0)
			return dp_fail(err, -ENOENT, "nothing is loaded in %s: start fqdnatd first",
				       dp->bpffs);
	r = map_memory(dp, M_CONTROL, &dp->control);
	if (r < 0)
		return dp_fail(err, r, "%s: %s", dp->bpffs, strerror(-r));
	log_capture();
	dp->settings.dispatcher = dispatcher;
	dp->settings.bpffs = dp->bpffs;
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

int dataplane_reload(struct dataplane *dp, const struct dp_settings *settings, struct dp_error *err)
{
	const struct fq_settings before = dp->settings.program;
	int fresh[P_COUNT], old[P_COUNT];
	int r;

	memset(fresh, -1, sizeof(fresh));
	r = load_object(settings, dp->maps, err, fresh);
	if (r == 0 && dp->progs[P_TC] >= 0)
		r = load_tc(&settings->program, dp->maps, err, fresh);
	if (r < 0) {
		close_fds(fresh, P_COUNT);
		return r;
	}
	memcpy(old, dp->progs, sizeof(old));
	memcpy(dp->progs, fresh, sizeof(fresh));
	/* The dispatcher's programs are loaded one by one, from these. */
	dp->settings.program = settings->program;
	r = dataplane_pin(dp, err);
	if (r == 0)
		r = attach_replace(dp, err);
	if (r < 0) {
		/* Back, so that every interface runs the same program. */
		memcpy(dp->progs, old, sizeof(old));
		dp->settings.program = before;
		(void)pin_programs(dp);
		(void)attach_replace(dp, NULL);
		close_fds(fresh, P_COUNT);
		return r;
	}
	close_fds(old, P_COUNT);
	apply_settings(dp, settings);
	return 0;
}

void dataplane_free(struct dataplane *dp)
{
	if (!dp)
		return;
	upcall_close(dp);
	sync_free(dp->sync);
	proxies_free(dp->proxies);
	dns_close(dp);
	hops_close(dp);
	grace_close(dp->grace);
	table_unmap(&dp->table);
	unmap_memory(dp->control, M_CONTROL);
	unmap_memory(dp->quota, M_QUOTA);
	unmap_memory(dp->user, M_USER);
	close_fds(&dp->netlink, 1);
	close_fds(dp->maps, M_COUNT);
	close_fds(dp->progs, P_COUNT);
	free(dp);
}

uint32_t dataplane_sessions_capacity(const struct dataplane *dp)
{
	return dp->capacity;
}

bool dataplane_taken_over(const struct dataplane *dp)
{
	return dp->taken_over;
}
