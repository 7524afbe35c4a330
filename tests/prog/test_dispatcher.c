/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By libxdp's dispatcher (user/dataplane: dispatch), with real traffic between namespaces: a
 * gateway attached that way, replaced under load, beside another's program, and gone without a
 * trace. Skipped where the kernel refuses programs of type EXT.
 *
 * The other program is libxdp's own for AF_XDP, which passes on what no socket wants. The
 * dispatchers are pinned in the test's bpffs.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xdp/libxdp.h>

#include <cmocka.h>

#include "dataplane/hooks.h"
#include "dataplane/internal.h"

#include "../lib/dptest.h"
#include "../lib/skip.h"

#define PORT 7

DEFINE_CLEANUP(struct xdp_multiprog *, xdp_multiprog__close)
DEFINE_CLEANUP(struct xdp_program *, xdp_program__close)

static const char *const sides[] = {"cl", "sv"};

static int enter(void **state)
{
	char *root;
	int r = dpt_enter(state);

	if (r < 0)
		return r;
	/* The mount above the directory for the programs. */
	root = strdup(dpt_bpffs());
	if (!root)
		return -1;
	*strrchr(root, '/') = '\0';
	r = setenv(XDP_BPFFS_ENVVAR, root, 1);
	free(root);
	return r;
}

/* End a test that this kernel cannot run. */
static void need_dispatcher(void)
{
	if (!dispatch_possible())
		skip_because("this kernel refuses programs of type EXT");
}

/* An interface's dispatcher as libxdp sees it; NULL: there is none. */
static struct xdp_multiprog *dispatcher_of(const char *ifname)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)if_nametoindex(ifname));

	return libxdp_get_error(mp) ? NULL : mp;
}

/* Programs in the dispatcher, and how many of them are of this dataplane. */
static void assert_programs(const struct dataplane *dp, const char *ifname, int all, int ours)
{
	_cleanup_(xdp_multiprog__closep) struct xdp_multiprog *mp = dispatcher_of(ifname);
	struct xdp_program *prog = NULL;
	int found = 0;

	assert_non_null(mp);
	assert_false(xdp_multiprog__is_legacy(mp));
	assert_int_equal(xdp_multiprog__program_count(mp), all);
	while ((prog = xdp_multiprog__next_prog(prog, mp)))
		found += prog_uses_map(xdp_program__id(prog), map_id(dp->maps[M_SESSIONS]));
	assert_int_equal(found, ours);
}

static bool have_entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (*entry->d_name != '.')
			found = true;
	closedir(dir);
	return found;
}

/* Nothing on the interfaces, nothing in the bpffs but libxdp's own directory, empty. */
static void assert_no_trace(void)
{
	char path[128];

	for (size_t i = 0; i < 2; i++)
		assert_false(dpt_has_program(sides[i]));
	assert_int_equal(access(dpt_bpffs(), F_OK), -1);
	snprintf(path, sizeof(path), "%s/xdp", getenv(XDP_BPFFS_ENVVAR));
	assert_false(have_entries(path));
}

static struct dataplane *open_requiring(void)
{
	struct dp_settings settings = dpt_settings();
	struct dataplane *dp = NULL;
	struct dp_error err;

	settings.dispatcher = DP_DISPATCHER_REQUIRE;
	if (dataplane_open(&settings, &err, &dp) < 0)
		fail_msg("%s", err.text);
	dpt_world(dp);
	return dp;
}

static void attach_all(struct dataplane *dp, enum dp_mode mode)
{
	struct dp_attached attached;
	struct dp_error err;

	for (size_t i = 0; i < 2; i++) {
		if (dataplane_attach(dp, sides[i], mode, &err, &attached) < 0)
			fail_msg("%s", err.text);
		assert_true(attached.dispatcher);
		assert_int_equal(attached.mode, mode);
	}
}

static void detach_all(struct dataplane *dp)
{
	struct dp_error err;

	for (size_t i = 0; i < 2; i++)
		if (dataplane_detach(dp, sides[i], &err) < 0)
			fail_msg("%s", err.text);
}

/* What has arrived; a packet to a neighbour that is not known yet is the daemon's matter. */
static void assert_arrives(struct dataplane *dp, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int n = 0; n < 10000 && !poll(&p, 1, 1); n++)
		(void)dpt_slow(dp);
	assert_true(p.revents & POLLIN);
}

/* A question by the proxy address and its answer, in both families. */
static void assert_translated(struct dataplane *dp)
{
	static const struct {
		const char *client, *proxy, *server;
	} families[] = {
		{DPT_CLIENT4, DPT_PROXY4, DPT_SERVER4},
		{DPT_CLIENT6, DPT_PROXY6, DPT_SERVER6},
	};

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(closep) int client =
			dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, families[i].client, 4000);
		_cleanup_(closep) int server =
			dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, families[i].server, PORT);
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char text[8] = {0};

		dpt_send(client, families[i].proxy, PORT, "ask", 3);
		assert_arrives(dp, server);
		assert_int_equal(
			recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 3);
		assert_int_equal(sendto(server, "told", 4, 0, (struct sockaddr *)&from, len), 4);
		assert_arrives(dp, client);
		assert_int_equal(recv(client, text, sizeof(text), 0), 4);
		assert_string_equal(text, "told");
	}
}

/* ---- the other program ---- */

static struct xdp_program *foreign_attach(const char *ifname)
{
	struct xdp_program *prog = xdp_program__find_file("xsk_def_xdp_prog.o", NULL, NULL);

	assert_int_equal(libxdp_get_error(prog), 0);
	assert_int_equal(xdp_program__attach(prog, (int)if_nametoindex(ifname), XDP_MODE_NATIVE, 0),
			 0);
	return prog;
}

static void foreign_detach(struct xdp_program *prog, const char *ifname)
{
	assert_int_equal(xdp_program__detach(prog, (int)if_nametoindex(ifname), XDP_MODE_NATIVE, 0),
			 0);
}

/* ---- load ---- */

/* A child that sends numbered datagrams, a thousand a second, until it is told to end. */
static pid_t load_start(int fd, const char *proxy)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t n = 0;; n++) {
		struct sockaddr_storage sa;
		struct fq_addr a;
		socklen_t len;

		(void)ipaddr_parse(proxy, &a);
		len = ipaddr_to_sockaddr(&a, PORT, &sa);
		(void)sendto(fd, &n, sizeof(n), 0, (struct sockaddr *)&sa, len);
		usleep(1000);
	}
}

static void load_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What has arrived: every number from 0 on, none twice, none missing. Returns how many. */
static uint32_t assert_all_arrived(int server)
{
	uint32_t expected = 0, n;

	while (recv(server, &n, sizeof(n), 0) == sizeof(n)) {
		if (n != expected)
			fail_msg("datagram %u after %u", n, expected);
		expected++;
	}
	return expected;
}

/* ---- tests ---- */

static void traffic_is_translated(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	attach_all(dp, DP_MODE_NATIVE);
	assert_int_equal(dpt_links(), 0);
	assert_programs(dp, "cl", 1, 1);
	assert_programs(dp, "sv", 1, 1);
	assert_translated(dp);
	detach_all(dp);
	assert_no_trace();
}

static void generic_mode_is_dispatched_too(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct xdp_state xdp;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	attach_all(dp, DP_MODE_GENERIC);
	assert_int_equal(xdp_state_get(if_nametoindex("cl"), &xdp), 0);
	assert_true(!xdp.native_id && xdp.generic_id);
	assert_translated(dp);

	attach_all(dp, DP_MODE_NATIVE);
	assert_int_equal(xdp_state_get(if_nametoindex("cl"), &xdp), 0);
	assert_true(xdp.native_id && !xdp.generic_id);
	assert_translated(dp);
	detach_all(dp);
	assert_no_trace();
}

static void programs_stay_without_the_process_and_are_taken_over(void **state)
{
	struct dataplane *dp;
	uint64_t sessions;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	attach_all(dp, DP_MODE_NATIVE);
	assert_translated(dp);
	sessions = dpt_entries("sessions");
	dataplane_free(dp);
	assert_true(dpt_has_program("cl"));

	dp = open_requiring();
	assert_true(dataplane_taken_over(dp));
	assert_programs(dp, "cl", 1, 1);
	assert_programs(dp, "sv", 1, 1);
	assert_translated(dp);
	assert_int_equal(dpt_entries("sessions"), sessions);
	dataplane_free(dp);

	assert_int_equal(dataplane_purge(dpt_bpffs(), NULL), 0);
	assert_no_trace();
}

static void a_replacement_loses_no_packet(void **state)
{
	_cleanup_(closep) int client = -1;
	_cleanup_(closep) int server = -1;
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct dp_settings settings = dpt_settings();
	struct dp_error err;
	uint32_t count;
	pid_t load;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	attach_all(dp, DP_MODE_NATIVE);
	assert_translated(dp);
	client = dpt_socket(DPT_CLIENT_SIDE, SOCK_DGRAM, DPT_CLIENT4, 4000);
	server = dpt_socket(DPT_SERVER_SIDE, SOCK_DGRAM, DPT_SERVER4, PORT);
	settings.dispatcher = DP_DISPATCHER_REQUIRE;

	load = load_start(client, DPT_PROXY4);
	for (int i = 0; i < 2; i++) {
		settings.program.icmp_burst = 100 + (uint32_t)i;
		if (dataplane_reload(dp, &settings, &err) < 0)
			fail_msg("%s", err.text);
		assert_programs(dp, "cl", 1, 1);
		assert_programs(dp, "sv", 1, 1);
	}
	load_end(load);
	usleep(100000);

	count = assert_all_arrived(server);
	print_message("# %u datagrams during 2 replacements\n", count);
	assert_true(count > 10);
	detach_all(dp);
	assert_no_trace();
}

static void another_program_may_be_there_before(void **state)
{
	_cleanup_(xdp_program__closep) struct xdp_program *other = NULL;
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;

	(void)state;
	need_dispatcher();
	other = foreign_attach("cl");
	dp = open_requiring();
	attach_all(dp, DP_MODE_NATIVE);
	assert_programs(dp, "cl", 2, 1);
	assert_translated(dp);

	dataplane_free(dp);
	dp = open_requiring();
	assert_programs(dp, "cl", 2, 1);
	assert_translated(dp);

	detach_all(dp);
	assert_programs(dp, "cl", 1, 0);
	foreign_detach(other, "cl");
	assert_no_trace();
}

static void another_program_may_come_and_go(void **state)
{
	_cleanup_(xdp_program__closep) struct xdp_program *other = NULL;
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct dp_attached attached;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	attach_all(dp, DP_MODE_NATIVE);
	other = foreign_attach("cl");
	assert_programs(dp, "cl", 2, 1);
	assert_translated(dp);

	/* Known to be there already. */
	assert_int_equal(dataplane_attach(dp, "cl", DP_MODE_NATIVE, NULL, &attached), 0);
	assert_true(attached.dispatcher);
	assert_programs(dp, "cl", 2, 1);

	foreign_detach(other, "cl");
	assert_programs(dp, "cl", 1, 1);
	assert_translated(dp);
	detach_all(dp);
	assert_no_trace();
}

static void a_program_outside_of_any_dispatcher_is_not_touched(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	_cleanup_(closep) int link = -1;
	struct dp_attached attached;
	struct dp_error err;

	(void)state;
	need_dispatcher();
	dp = open_requiring();
	link = bpf_link_create(dp->progs[P_NATIVE], (int)if_nametoindex("cl"), BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_int_equal(dataplane_attach(dp, "cl", DP_MODE_NATIVE, &err, &attached), -EBUSY);
	assert_non_null(strstr(err.text, "another XDP program"));
	assert_true(dpt_has_program("cl"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(traffic_is_translated, dpt_clean),
		cmocka_unit_test_teardown(generic_mode_is_dispatched_too, dpt_clean),
		cmocka_unit_test_teardown(programs_stay_without_the_process_and_are_taken_over,
					  dpt_clean),
		cmocka_unit_test_teardown(a_replacement_loses_no_packet, dpt_clean),
		cmocka_unit_test_teardown(another_program_may_be_there_before, dpt_clean),
		cmocka_unit_test_teardown(another_program_may_come_and_go, dpt_clean),
		cmocka_unit_test_teardown(a_program_outside_of_any_dispatcher_is_not_touched,
					  dpt_clean),
	};

	return cmocka_run_group_tests(tests, enter, dpt_leave);
}
