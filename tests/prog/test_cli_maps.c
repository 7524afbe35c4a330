/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line without a daemon: what it shows from real pinned maps and a real store.
 *
 * In its own mount and network namespace; runs the built `fqdnat` as a user would.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <jansson.h>

#include "core/edge.h"
#include "dataplane/dataplane.h"
#include "dataplane/table.h"
#include "store/store.h"

#include "../lib/table_put.h"

#define SESSIONS_MAX 1024
#define DOMAIN       7
#define FAILED       9

static char dir[] = "/tmp/fqdnat-cli-XXXXXX";
static char bpffs[64], state[64], binary[4096 + 32];
static uint32_t client;
static struct dataplane *dp;

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

/* ---- what an earlier daemon has left ---- */

struct flow {
	uint8_t proto;
	const char *client, *proxy, *nat, *real;
	uint16_t client_port, nat_port, peer_port;
	uint64_t out, in; /* packets of 100 bytes */
};

static void put_session(struct session_table *table, const struct flow *f)
{
	bool tcp = f->proto == IPPROTO_TCP;
	uint64_t now = (uint64_t)instant_now().ns;
	const struct fq_tuple out_key = {
		.src = addr(f->client),
		.dst = addr(f->proxy),
		.sport = htons(f->client_port),
		.dport = tcp ? htons(f->peer_port) : 0,
		.proto = f->proto,
	};
	const struct fq_tuple in_key = {
		.src = addr(f->real),
		.dst = addr(f->nat),
		.sport = tcp ? htons(f->peer_port) : 0,
		.dport = htons(f->nat_port),
		.proto = f->proto,
	};
	struct session_entry out = {
		.src = in_key.dst,
		.dst = in_key.src,
		.port = htons(f->nat_port),
		.peer_port = htons(f->peer_port),
		.dir = FQ_DIR_OUT,
		.client = client,
		.resource = 1,
		.domain = DOMAIN,
		.created = now,
		.last = now,
		.packets = f->out,
		.bytes = f->out * 100,
		.tcp_seen = f->proto == IPPROTO_TCP ? FQ_TCP_SYN | FQ_TCP_ACK : 0,
	};
	struct session_entry in = out;

	in.src = out_key.dst;
	in.dst = out_key.src;
	in.port = htons(f->client_port);
	in.dir = FQ_DIR_IN;
	in.last = f->in ? now : 0;
	in.packets = f->in;
	in.bytes = f->in * 100;
	table_put(table, &out_key, &out);
	table_put(table, &in_key, &in);
}

static int pinned(const char *map)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", bpffs, map);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void put_sessions(void)
{
	static const struct flow flows[] = {
		{IPPROTO_TCP, "192.0.2.2", "100.96.0.1", "198.51.100.1", "198.51.100.10", 40000,
		 40001, 443, 3, 2},
		{IPPROTO_UDP, "2001:db8:1111:2222:3333:4444:5555:6666",
		 "fd00:2021:1111:8000:1111:2222:3333:4444",
		 "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "2001:db8:1234:5678:9abc:def0:1234:5678",
		 50000, 50001, 53, 1, 0},
		{IPPROTO_ICMP, "192.0.2.3", "100.96.0.1", "198.51.100.1", "198.51.100.10", 77, 78,
		 0, 5, 5},
	};
	int slot = pinned("sessions"), six = pinned("sessions_six"), cold = pinned("sessions_cold");
	int control = pinned("control");
	struct session_table table;
	struct fq_control c;
	const uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(control, &zero, &c), 0);
	assert_int_equal(table_map(&table, slot, six, cold, &c.table, true), 0);
	for (size_t i = 0; i < sizeof(flows) / sizeof(*flows); i++)
		put_session(&table, &flows[i]);
	table_unmap(&table);
	close(slot);
	close(six);
	close(cold);
	close(control);
}

static void put_proxies(void)
{
	const struct fq_addr good = addr("100.96.0.1"), none = addr("fd00:2021:1111:8000::1"),
			     failed = addr("100.96.0.5");
	const struct fq_edge forward = {.domain = DOMAIN, .verdict = FQ_EDGE_FORWARD};
	const struct fq_edge refuse = {.domain = FAILED, .verdict = FQ_EDGE_REFUSE};
	struct fq_xlat xlat = {.domain = DOMAIN, .has_real = 1, .resources = 1, .resource = {1}};

	xlat.real = addr("198.51.100.10");
	assert_int_equal(dataplane_xlat_set(dp, 0, &good, &xlat), 0);
	assert_int_equal(dataplane_grant_set(dp, 0, 1, 0), 0);
	xlat.has_real = 0;
	assert_int_equal(dataplane_xlat_set(dp, 0, &none, &xlat), 0);
	assert_int_equal(dataplane_edge_set(dp, &good, &forward), 0);
	assert_int_equal(dataplane_edge_set(dp, &none, &forward), 0);
	assert_int_equal(dataplane_edge_set(dp, &failed, &refuse), 0);
	dataplane_count(dp, FQ_R_DNS_LOCAL, 42);
}

static void put_names(void)
{
	const struct store_domain domains[] = {
		{.id = DOMAIN, .name = "web.corp.example", .proxy_count = 2},
		{.id = FAILED, .name = "nx.corp.example", .proxy_count = 1},
	};
	struct store_domain web = domains[0], nx = domains[1];
	struct store_entry confirmed = {.domain = DOMAIN, .state = EDGE_CONFIRMED};
	struct store_entry failed = {.domain = FAILED, .state = EDGE_FAILED};
	struct store_records records = {.domain = DOMAIN, .v4_count = 1};
	_cleanup_(store_freep) struct store *store = NULL;
	char error[STORE_ERROR_LEN];

	assert_int_equal(store_open(state, STORE_WRITE, &store, error), 0);
	assert_int_equal(store_id(store, STORE_CLIENT, "lan", &client), 0);
	assert_int_equal(store_id(store, STORE_RESOURCE, "intranet", &confirmed.resource), 0);
	failed.resource = confirmed.resource;
	web.proxies[0] = addr("100.96.0.1");
	web.proxies[1] = addr("fd00:2021:1111:8000::1");
	nx.proxies[0] = addr("100.96.0.5");
	records.v4[0] = addr("198.51.100.10");
	assert_int_equal(store_put_domain(store, &web), 0);
	assert_int_equal(store_put_domain(store, &nx), 0);
	assert_int_equal(store_put_entry(store, &confirmed), 0);
	assert_int_equal(store_put_entry(store, &failed), 0);
	assert_int_equal(store_put_records(store, &records), 0);
	assert_int_equal(store_commit(store), 0);
}

/* ---- running the command line ---- */

/* Standard output of `fqdnat ARGS`; fails the test if the exit status is not @status. */
static char *fqdnat(int status, const char *args)
{
	_cleanup_(freep) char *command = NULL;
	char *out = NULL;
	size_t cap = 0;
	FILE *f;

	assert_true(asprintf(&command, "FQDNAT_BPFFS=%s FQDNAT_STATE=%s %s -s %s/no.sock %s", bpffs,
			     state, binary, dir, args) > 0);
	f = popen(command, "r");
	assert_non_null(f);
	if (getdelim(&out, &cap, '\0', f) < 0) {
		free(out);
		out = strdup("");
	}
	assert_int_equal(WEXITSTATUS(pclose(f)), status);
	return out;
}

/* The JSON value that it prints. */
static json_t *fqdnat_json(const char *args)
{
	_cleanup_(freep) char *out = fqdnat(0, args);
	json_t *value = json_loads(out, JSON_DECODE_ANY, NULL);

	if (!value)
		fail_msg("'%s' prints no JSON: %s", args, out);
	return value;
}

static json_t *row(const json_t *rows, const char *key, const char *value)
{
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *r = json_array_get(rows, i);
		const char *text = json_string_value(json_object_get(r, key));

		if (text && !strcmp(text, value))
			return r;
	}
	fail_msg("no row with %s %s", key, value);
	return NULL;
}

/* @expected: a JSON object; each of its members must be in @row. */
static void assert_has(const json_t *r, const char *expected)
{
	_cleanup_(json_decrefp) json_t *wanted = json_loads(expected, 0, NULL);
	const char *key;
	json_t *value;

	assert_non_null(wanted);
	json_object_foreach (wanted, key, value)
		if (!json_equal(json_object_get(r, key), value))
			fail_msg("%s is %s", key,
				 json_dumps(json_object_get(r, key), JSON_ENCODE_ANY) ?: "absent");
}

static size_t widest(const char *text)
{
	size_t most = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		most = len > most ? len : most;
		text += len + (text[len] == '\n');
	}
	return most;
}

static void assert_count(const char *args, size_t n)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json(args);

	assert_true(json_is_array(rows));
	assert_int_equal(json_array_size(rows), n);
}

/* ---- tests ---- */

static void session_show_has_the_keys_of_the_contract(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j session show");

	(void)s;
	assert_int_equal(json_array_size(rows), 3);
	assert_has(row(rows, "protocol", "tcp"),
		   "{\"client\":\"192.0.2.2\",\"client_port\":40000,\"proxy\":\"100.96.0.1\","
		   "\"port\":443,\"nat\":\"198.51.100.1\",\"nat_port\":40001,"
		   "\"real\":\"198.51.100.10\",\"real_port\":443,\"domain\":\"web.corp.example\","
		   "\"client_name\":\"lan\",\"state\":\"established\",\"packets_out\":3,"
		   "\"bytes_out\":300,\"packets_in\":2,\"bytes_in\":200}");
	assert_has(row(rows, "protocol", "udp"), "{\"state\":\"unconfirmed\",\"packets_in\":0}");
	assert_true(json_is_integer(json_object_get(row(rows, "protocol", "udp"), "idle_s")));
	assert_true(json_is_integer(json_object_get(row(rows, "protocol", "udp"), "expires_s")));
}

static void icmp_id_stands_in_the_ports(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j session show");

	(void)s;
	assert_has(row(rows, "protocol", "icmp"),
		   "{\"client_port\":77,\"nat_port\":78,\"port\":0,\"real_port\":0}");
}

static void session_words_select(void **s)
{
	(void)s;
	assert_count("-j session show client 192.0.2.2", 1);
	assert_count("-j session show client 192.0.2.0/24", 2);
	assert_count("-j session show client lan", 3);
	assert_count("-j session show domain WEB.corp.example.", 3);
	assert_count("-j session show domain nx.corp.example", 0);
	assert_count("-j session show proxy 100.96.0.1 real 198.51.100.10", 2);
	assert_count("-j session show client 192.0.2.3 proxy 100.96.0.2", 0);
	free(fqdnat(1, "session show client nobody 2>/dev/null"));
	free(fqdnat(1, "session show domain never.asked.example 2>/dev/null"));
}

static void session_table_fits_100_columns(void **s)
{
	_cleanup_(freep) char *text = fqdnat(0, "session show");

	(void)s;
	assert_in_range(widest(text), 1, 100);
	assert_non_null(strstr(text, "[2001:db8:1111:2222:3333:4444:5555:6666]:50000"));
	assert_non_null(strstr(text, "[fd00:2021:1111:8000:1111:2222:3333:4444]:53"));
}

static void proxy_show_tells_state_and_real_address(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j proxy show");

	(void)s;
	assert_int_equal(json_array_size(rows), 3);
	assert_has(row(rows, "address", "100.96.0.1"),
		   "{\"domain\":\"web.corp.example\",\"client\":\"lan\",\"state\":\"confirmed\","
		   "\"real_address\":\"198.51.100.10\"}");
	assert_has(row(rows, "address", "fd00:2021:1111:8000::1"),
		   "{\"state\":\"confirmed\",\"real_address\":null}");
	assert_has(row(rows, "address", "100.96.0.5"),
		   "{\"domain\":\"nx.corp.example\",\"client\":null,\"state\":\"failed\","
		   "\"real_address\":null}");
	assert_count("-j proxy show domain web.corp.example", 2);
	assert_count("-j proxy show address 100.96.0.5", 1);
}

static void stats_show_names_every_reason(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j stats show");
	_cleanup_(freep) char *text = fqdnat(0, "stats show");

	(void)s;
	assert_int_equal(json_array_size(rows), FQ_REASON_MAX - 1);
	assert_has(row(rows, "reason", "dns_local"),
		   "{\"packets\":42,\"text\":\"DNS query answered here\"}");
	assert_in_range(widest(text), 1, 100);
}

static void limits_have_use_and_size(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j stats limits");

	(void)s;
	assert_true(json_array_size(rows) > 0);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		assert_true(json_is_integer(json_object_get(json_array_get(rows, i), "used")));
		assert_true(json_is_integer(json_object_get(json_array_get(rows, i), "max")));
	}
}

static void domain_show_tells_what_the_daemon_left(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j domain show");

	(void)s;
	assert_int_equal(json_array_size(rows), 2);
	assert_has(row(rows, "domain", "web.corp.example"),
		   "{\"resource\":\"intranet\",\"gateway\":\"local\",\"state\":\"confirmed\","
		   "\"proxy_addresses\":[\"100.96.0.1\",\"fd00:2021:1111:8000::1\"],"
		   "\"real_addresses\":[\"198.51.100.10\"],\"held_packets\":0}");
	assert_has(row(rows, "domain", "nx.corp.example"),
		   "{\"state\":\"failed\",\"real_addresses\":[]}");
	assert_count("-j domain show nx.corp.example", 1);
	free(fqdnat(1, "domain show never.asked.example 2>/dev/null"));
}

static void prog_show_names_interface_and_mode(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j prog show");

	(void)s;
	assert_int_equal(json_array_size(rows), 1);
	assert_has(json_array_get(rows, 0),
		   "{\"dev\":\"v0\",\"mode\":\"native\",\"dispatcher\":false}");
	assert_true(json_is_integer(json_object_get(json_array_get(rows, 0), "run_cnt")));
	assert_true(json_is_integer(json_object_get(json_array_get(rows, 0), "run_time_ns")));
	assert_true(json_integer_value(json_object_get(json_array_get(rows, 0), "id")) > 0);
}

static void profile_measures_the_attached_programs(void **s)
{
	_cleanup_(json_decrefp) json_t *rows = fqdnat_json("-j prog profile 1");

	(void)s;
	assert_int_equal(json_array_size(rows), 1);
	assert_true(json_is_integer(json_object_get(json_array_get(rows, 0), "run_cnt")));
}

static void attach_and_detach_work_without_a_daemon(void **s)
{
	(void)s;
	free(fqdnat(1, "prog attach dev nope0 2>/dev/null"));
	free(fqdnat(1, "prog detach dev v1 2>/dev/null"));
	free(fqdnat(0, "prog attach dev v1 mode generic"));
	assert_count("-j prog show", 2);
	free(fqdnat(0, "prog detach dev v1"));
	assert_count("-j prog show", 1);
	assert_count("-j session show", 3);
}

/* Last: nothing is there any more. */
static void last_detach_leaves_no_trace(void **s)
{
	(void)s;
	free(fqdnat(0, "prog detach dev v0"));
	assert_count("-j prog show", 0);
	free(fqdnat(1, "session show 2>/dev/null"));
	assert_int_equal(access(bpffs, F_OK), -1);
}

/* ---- setting up ---- */

static void find_binary(void)
{
	const char *given = getenv("FQDNAT");
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	assert_true(len > 0);
	self[len] = '\0';
	for (int up = 0; up < 3; up++) { /* BUILD/tests/prog/NAME */
		end = strrchr(self, '/');
		assert_non_null(end);
		*end = '\0';
	}
	if (given)
		snprintf(binary, sizeof(binary), "%s", given);
	else
		snprintf(binary, sizeof(binary), "%s/fqdnat", self);
}

static int set_up(void **s)
{
	const struct dp_settings settings = {
		.bpffs = bpffs,
		.program = {.pool4 = addr("100.96.0.0"),
			    .pool4_mask = ipprefix_mask(96 + 11),
			    .pool6 = addr("fd00:2021:1111:8000::"),
			    .pool6_mask = ipprefix_mask(107),
			    .port_lo = 1024,
			    .port_hi = 65535},
		.sessions_max = SESSIONS_MAX,
		.dispatcher = DP_DISPATCHER_NEVER,
		.expiry = EXPIRY_POLICY_DEFAULT,
	};
	struct dp_attached attached;
	struct dp_error error = {0};

	(void)s;
	assert_non_null(mkdtemp(dir));
	snprintf(bpffs, sizeof(bpffs), "%s/bpf/fqdnat", dir);
	snprintf(state, sizeof(state), "%s/bpf", dir);
	assert_int_equal(mkdir(state, 0700), 0);
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("bpf", state, "bpf", 0, NULL), 0);
	snprintf(state, sizeof(state), "%s/state", dir);

	assert_int_equal(system("ip link add v0 type veth peer name v1 && ip link set v0 up && "
				"ip link set v1 up"),
			 0);

	if (dataplane_open(&settings, &error, &dp) < 0 ||
	    dataplane_attach(dp, "v0", DP_MODE_NATIVE, &error, &attached) < 0)
		fail_msg("%s", error.text);
	put_names();
	put_sessions();
	put_proxies();
	return 0;
}

static int tear_down(void **s)
{
	char command[128];

	(void)s;
	dataplane_free(dp);
	snprintf(command, sizeof(command), "umount %s/bpf && rm -rf %s", dir, dir);
	return system(command) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session_show_has_the_keys_of_the_contract),
		cmocka_unit_test(icmp_id_stands_in_the_ports),
		cmocka_unit_test(session_words_select),
		cmocka_unit_test(session_table_fits_100_columns),
		cmocka_unit_test(proxy_show_tells_state_and_real_address),
		cmocka_unit_test(stats_show_names_every_reason),
		cmocka_unit_test(limits_have_use_and_size),
		cmocka_unit_test(domain_show_tells_what_the_daemon_left),
		cmocka_unit_test(prog_show_names_interface_and_mode),
		cmocka_unit_test(profile_measures_the_attached_programs),
		cmocka_unit_test(attach_and_detach_work_without_a_daemon),
		cmocka_unit_test(last_detach_leaves_no_trace),
	};

	if (geteuid() != 0) {
		puts("SKIP: root is needed to pin maps");
		return 0;
	}
	find_binary();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
