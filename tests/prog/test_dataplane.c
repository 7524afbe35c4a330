/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading, pinning, attaching, replacing and removing (user/dataplane: load, bpffs, attach,
 * detach). */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/bpffs.h"
#include "dataplane/hooks.h"
#include "dataplane/internal.h"

#include "../lib/dptest.h"

static bool exists(const char *leaf)
{
	char path[DP_PATH_MAX];

	assert_int_equal(dp_path(path, dpt_bpffs(), leaf), 0);
	return access(path, F_OK) == 0;
}

static struct dp_attached attach(struct dataplane *dp, const char *ifname, enum dp_mode mode)
{
	struct dp_attached attached;
	struct dp_error err;

	if (dataplane_attach(dp, ifname, mode, &err, &attached) < 0)
		fail_msg("%s", err.text);
	return attached;
}

static void open_pins_everything(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	assert_false(dataplane_taken_over(dp));
	assert_true(exists("prog_xdp"));
	assert_true(exists("prog_xdp_generic"));
	assert_true(exists("maps/sessions"));
	assert_true(exists("maps/user"));
	assert_int_equal(dp->control->abi_version, FQ_ABI_VERSION);
	assert_int_equal(dataplane_sessions_capacity(dp), 4096);
}

static void reopening_keeps_sessions_and_translations(void **state)
{
	struct dp_settings bigger = dpt_settings();
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dataplane_freep) struct dataplane *again = NULL;

	(void)state;
	dpt_world(dp);
	dpt_session(dp, &(struct dpt_session){.proto = 17, .client_port = 1, .nat_port = 2});
	dataplane_free(TAKE_PTR(dp));

	bigger.sessions_max = 8192;
	assert_int_equal(dataplane_open(&bigger, NULL, &again), 0);

	assert_true(dataplane_taken_over(again));
	assert_int_equal(dpt_entries("sessions"), 2);
	assert_int_equal(dpt_entries("xlat"), 2);
	assert_int_equal(dataplane_sessions_used(again), 1);
	/* The table that is there wins over the one wanted. */
	assert_int_equal(dataplane_sessions_capacity(again), 4096);
	assert_int_equal(dataplane_sessions_max_set(again, 8192), 4096);
}

/* The room for proxy addresses is what is configured now, whatever it was. */
static void domains_have_the_room_that_is_configured(void **state)
{
	const struct fq_edge edge = {.domain = 1};
	const struct fq_xlat xlat = {.domain = 1};
	struct dp_settings settings = dpt_settings();
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	const struct fq_addr first = dpt_addr(DPT_PROXY4);

	(void)state;
	for (uint32_t domains = 1; domains < 3; domains++) {
		settings.domains_max = domains;
		settings.translations_max = 8 * domains;
		assert_int_equal(dataplane_open(&settings, NULL, &dp), 0);
		for (uint32_t i = 0; i < 8 * domains; i++) {
			const struct fq_addr proxy = ipaddr_add(&first, i);

			assert_int_equal(dataplane_edge_set(dp, &proxy, &edge), 0);
			assert_int_equal(dataplane_xlat_set(dp, 0, &proxy, &xlat), 0);
		}
		assert_int_equal(dataplane_edge_set(dp, &(struct fq_addr){0}, &edge), -ERANGE);
		for (uint32_t i = 8 * domains; i < 8 * domains + 3; i++) {
			const struct fq_addr proxy = ipaddr_add(&first, i);

			assert_int_equal(dataplane_edge_set(dp, &proxy, &edge), -E2BIG);
			assert_int_equal(dataplane_xlat_set(dp, 0, &proxy, &xlat), -E2BIG);
		}
		assert_int_equal(dpt_entries("edge"), 8 * domains);
		assert_int_equal(dpt_entries("xlat"), 8 * domains);
		dataplane_free(TAKE_PTR(dp));
	}
}

/* Addresses have their numbers by the pools. */
static void what_is_known_of_other_pools_is_forgotten(void **state)
{
	const struct fq_edge edge = {.domain = 1};
	const struct fq_addr proxy = dpt_addr(DPT_PROXY4);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_settings settings = dpt_settings();

	(void)state;
	assert_int_equal(dataplane_edge_set(dp, &proxy, &edge), 0);
	dataplane_free(TAKE_PTR(dp));
	dp = dpt_open();
	assert_int_equal(dpt_entries("edge"), 1);
	dataplane_free(TAKE_PTR(dp));

	settings.program.pool4 = dpt_addr("100.64.0.0");
	assert_int_equal(dataplane_open(&settings, NULL, &dp), 0);
	assert_int_equal(dpt_entries("edge"), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy, &edge), -ERANGE);
}

static void counters_are_recomputed_after_a_crash(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_session(dp, &(struct dpt_session){.proto = 17, .client_port = 1, .nat_port = 2});
	dpt_session(dp, &(struct dpt_session){
				.proto = 17, .client_port = 2, .nat_port = 3, .client_id = 7});
	dp->control->sessions = 77;
	dp->quota[DPT_CLIENT].sessions = 70;
	dp->quota[8].sessions = 7;
	dataplane_free(TAKE_PTR(dp));

	dp = dpt_open();

	assert_int_equal(dataplane_sessions_used(dp), 2);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), 1);
	assert_int_equal(dataplane_quota_used(dp, 7), 1);
	assert_int_equal(dataplane_quota_used(dp, 8), 0);
}

static void another_abi_version_is_refused_and_explained(void **state)
{
	struct dp_settings settings = dpt_settings();
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dataplane *again = NULL;
	struct dp_error err;
	char words[64];

	(void)state;
	snprintf(words, sizeof(words), "ABI version %d, this program has %d", FQ_ABI_VERSION + 1,
		 FQ_ABI_VERSION);
	dp->control->abi_version = FQ_ABI_VERSION + 1;
	dataplane_free(TAKE_PTR(dp));

	assert_int_equal(dataplane_open(&settings, &err, &again), -EPROTO);
	assert_non_null(strstr(err.text, words));
	assert_non_null(strstr(err.text, "fqdnat prog detach"));
	assert_int_equal(dpview_open(dpt_bpffs(), &err, &view), -EPROTO);
	assert_true(exists("maps/sessions"));
}

static void a_map_of_another_shape_is_refused_and_named(void **state)
{
	struct dp_settings settings = dpt_settings();
	struct dataplane *dp = NULL;
	_cleanup_(closep) int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "x", 4, 4, 1, NULL);
	char path[DP_PATH_MAX];
	struct dp_error err;

	(void)state;
	assert_int_equal(bpffs_prepare(dpt_bpffs(), &err), 0);
	assert_int_equal(dp_path_map(path, dpt_bpffs(), M_XLAT), 0);
	assert_int_equal(bpffs_pin(fd, path), 0);

	assert_int_equal(dataplane_open(&settings, &err, &dp), -EPROTO);
	assert_non_null(strstr(err.text, "maps/xlat is not of this version"));
}

static void a_directory_on_no_bpffs_is_refused_and_explained(void **state)
{
	struct dp_settings settings = dpt_settings();
	struct dataplane *dp = NULL;
	struct dp_error err;

	(void)state;
	settings.bpffs = "/tmp/fqdnat-nowhere/deep";
	assert_int_equal(dataplane_open(&settings, &err, &dp), -ENOTSUP);
	assert_non_null(strstr(err.text, "mount -t bpf bpf DIR"));
	assert_int_equal(access("/tmp/fqdnat-nowhere", F_OK), -1);
}

static void detaching_the_last_interface_removes_every_trace(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_attach(dp);

	assert_int_equal(dataplane_detach(dp, "cl", NULL), 0);
	assert_false(dpt_has_program("cl"));
	assert_true(exists("maps/sessions"));
	assert_int_equal(dataplane_detach(dp, "cl", NULL), -ENOENT);

	/* As the command line does it, without a daemon. */
	dataplane_free(TAKE_PTR(dp));
	assert_int_equal(dataplane_detach_pinned(dpt_bpffs(), "sv", NULL), 0);
	assert_false(dpt_has_program("sv"));
	assert_int_equal(access(dpt_bpffs(), F_OK), -1);
}

static void attaching_after_the_last_detach_pins_again(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	attach(dp, "cl", DP_MODE_NATIVE);
	assert_int_equal(dataplane_detach(dp, "cl", NULL), 0);
	assert_int_equal(access(dpt_bpffs(), F_OK), -1);

	attach(dp, "cl", DP_MODE_NATIVE);
	assert_true(exists("maps/sessions"));
	assert_true(exists("prog_xdp"));
}

static void the_command_line_attaches_without_a_daemon(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct dp_error err;

	(void)state;
	assert_int_equal(dataplane_open_pinned(dpt_bpffs(), DP_DISPATCHER_NEVER, &err, &dp),
			 -ENOENT);
	assert_non_null(strstr(err.text, "start fqdnatd first"));

	dataplane_free(dpt_open());
	assert_int_equal(dataplane_open_pinned(dpt_bpffs(), DP_DISPATCHER_NEVER, &err, &dp), 0);
	attach(dp, "cl", DP_MODE_NATIVE);
	assert_true(dpt_has_program("cl"));
}

static void links_of_interfaces_that_are_gone_are_cleaned_up(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	char leaf[32];

	(void)state;
	dpt_run(DPT_GATEWAY, "ip link add gone type veth peer name gone0");
	dpt_run(DPT_GATEWAY, "ip link set gone up");
	snprintf(leaf, sizeof(leaf), "links/%u", attach(dp, "gone", DP_MODE_NATIVE).ifindex);
	dpt_run(DPT_GATEWAY, "ip link del gone");
	assert_true(exists(leaf));
	dataplane_free(TAKE_PTR(dp));

	dp = dpt_open();

	assert_false(exists(leaf));
}

/* The process has died between pinning and renaming. */
static void what_was_pinned_halfway_is_removed(void **state)
{
	static const char *const leaves[] = {"prog_xdp_new", "maps/xlat_new", "links/77_new"};
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	char path[DP_PATH_MAX];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(dp_path(path, dpt_bpffs(), leaves[i]), 0);
		assert_int_equal(bpf_obj_pin(dp->maps[M_XLAT], path), 0);
	}
	dataplane_free(TAKE_PTR(dp));
	dp = dpt_open();
	for (size_t i = 0; i < 3; i++)
		assert_false(exists(leaves[i]));

	attach(dp, "cl", DP_MODE_NATIVE);
	assert_int_equal(dp_path(path, dpt_bpffs(), leaves[2]), 0);
	assert_int_equal(bpf_obj_pin(dp->maps[M_XLAT], path), 0);
	assert_int_equal(dataplane_detach(dp, "cl", NULL), 0);
	assert_int_equal(access(dpt_bpffs(), F_OK), -1);
}

/* The dispatcher's programs are loaded from the settings: they go with the programs. */
static void settings_go_with_the_programs(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_settings settings = dpt_settings();
	char path[DP_PATH_MAX];

	(void)state;
	settings.program.hash_seed = 2;
	assert_int_equal(dataplane_reload(dp, &settings, NULL), 0);
	assert_int_equal(dp->settings.program.hash_seed, 2);

	/* A map where only links may be: replacing fails. */
	assert_int_equal(dp_path(path, dpt_bpffs(), "links/77"), 0);
	assert_int_equal(bpf_obj_pin(dp->maps[M_XLAT], path), 0);
	settings.program.hash_seed = 3;
	assert_true(dataplane_reload(dp, &settings, NULL) < 0);
	assert_int_equal(dp->settings.program.hash_seed, 2);
	assert_int_equal(unlink(path), 0);
}

/* N-06: sessions outlive the daemon that made them */
static void a_killed_daemon_leaves_programs_and_sessions(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4000);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, 7);
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		dp = dpt_open();
		dpt_world(dp);
		dpt_attach(dp);
		dpt_run(DPT_GATEWAY, "ping -qc1 -W3 " DPT_SERVER4 " >/dev/null");
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));

	assert_true(dpt_has_program("cl"));
	dpt_send(client, DPT_PROXY4, 7, "one", 3);
	assert_true(dpt_readable(server));
	dp = dpt_open();
	assert_true(dataplane_taken_over(dp));
	assert_int_equal(dataplane_sessions_used(dp), 1);
}

#define REPLACEMENTS  3
#define WINDOW        32 /* datagrams on their way at once: no ring between can overflow */
#define DATAGRAMS_MIN 2000

/* Shared with the sender. */
struct flood {
	atomic_bool stop;
	atomic_uint sent, received;
};

static bool receive_one(int fd)
{
	char byte;

	return dpt_readable(fd) && recv(fd, &byte, 1, 0) >= 0;
}

/* A process that sends and receives as fast as it can until it is told to stop, or one is lost. */
static pid_t flood_start(struct flood *flood, int client, int server, const char *to)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!flood->stop || flood->sent < DATAGRAMS_MIN) {
		for (unsigned int i = 0; i < WINDOW; i++, flood->sent++)
			dpt_send(client, to, 7, "flood", 5);
		for (unsigned int i = 0; i < WINDOW; i++, flood->received++)
			if (!receive_one(server))
				_exit(1);
	}
	_exit(0);
}

/* A new version replaces the old one under traffic: every packet arrives, and is counted once. */
static void replacing_loses_no_packet(void **state)
{
	_cleanup_(closep) int client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4001);
	_cleanup_(closep) int server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, 7);
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct flood *flood = mmap(NULL, sizeof(*flood), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct dp_settings settings = dpt_settings();
	struct dp_error err;
	pid_t pid;

	(void)state;
	assert_true(flood != MAP_FAILED);
	dpt_world(dp);
	dpt_attach(dp);
	dpt_run(DPT_GATEWAY, "ping -qc1 -W3 " DPT_SERVER4 " >/dev/null");

	pid = flood_start(flood, client, server, DPT_PROXY4);
	for (unsigned int i = 0; i < REPLACEMENTS; i++) {
		unsigned int sent = flood->sent;

		settings.program.hash_seed++;
		if (dataplane_reload(dp, &settings, &err) < 0)
			fail_msg("%s", err.text);
		assert_true(flood->sent > sent);
	}
	flood->stop = true;
	waitpid(pid, NULL, 0);

	assert_int_equal(flood->received, flood->sent);
	assert_int_equal(dpt_count(FQ_R_TRANSLATED), flood->sent);
	print_message("%u replacements under %u packets\n", REPLACEMENTS, flood->sent);
	munmap(flood, sizeof(*flood));
}

static void a_restarted_daemon_replaces_the_program_in_place(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct xdp_state before, after;

	(void)state;
	attach(dp, "cl", DP_MODE_NATIVE);
	attach(dp, "sv", DP_MODE_GENERIC);
	assert_int_equal(xdp_state_get(if_nametoindex("sv"), &before), 0);
	dataplane_free(TAKE_PTR(dp));

	dp = dpt_open();

	assert_int_equal(xdp_state_get(if_nametoindex("sv"), &after), 0);
	assert_true(after.generic_id && after.generic_id != before.generic_id);
	assert_int_equal(attach(dp, "sv", DP_MODE_GENERIC).mode, DP_MODE_GENERIC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(open_pins_everything, dpt_clean),
		cmocka_unit_test_teardown(reopening_keeps_sessions_and_translations, dpt_clean),
		cmocka_unit_test_teardown(domains_have_the_room_that_is_configured, dpt_clean),
		cmocka_unit_test_teardown(what_is_known_of_other_pools_is_forgotten, dpt_clean),
		cmocka_unit_test_teardown(counters_are_recomputed_after_a_crash, dpt_clean),
		cmocka_unit_test_teardown(another_abi_version_is_refused_and_explained, dpt_clean),
		cmocka_unit_test_teardown(a_map_of_another_shape_is_refused_and_named, dpt_clean),
		cmocka_unit_test_teardown(a_directory_on_no_bpffs_is_refused_and_explained,
					  dpt_clean),
		cmocka_unit_test_teardown(detaching_the_last_interface_removes_every_trace,
					  dpt_clean),
		cmocka_unit_test_teardown(attaching_after_the_last_detach_pins_again, dpt_clean),
		cmocka_unit_test_teardown(the_command_line_attaches_without_a_daemon, dpt_clean),
		cmocka_unit_test_teardown(links_of_interfaces_that_are_gone_are_cleaned_up,
					  dpt_clean),
		cmocka_unit_test_teardown(what_was_pinned_halfway_is_removed, dpt_clean),
		cmocka_unit_test_teardown(settings_go_with_the_programs, dpt_clean),
		cmocka_unit_test_teardown(a_killed_daemon_leaves_programs_and_sessions, dpt_clean),
		cmocka_unit_test_teardown(replacing_loses_no_packet, dpt_clean),
		cmocka_unit_test_teardown(a_restarted_daemon_replaces_the_program_in_place,
					  dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
