/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: what is accepted and what becomes of it. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_text.h"

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static void assert_addr(const struct fq_addr *a, const char *expected)
{
	char text[IPADDR_STRLEN];

	assert_string_equal(ipaddr_format(a, text), expected);
}

static void assert_prefix(const struct ipprefix *p, const char *expected)
{
	char text[IPADDR_STRLEN + 4];

	assert_string_equal(ipprefix_format(p, text, sizeof(text)), expected);
}

static void whole_contract_is_read(void **state)
{
	_cleanup_(config_freep) struct config *c = parse_ok(whole);
	const struct config_resource *r = &c->resources[0];

	(void)state;
	assert_int_equal(c->interface_count, 2);
	assert_string_equal(c->interfaces[0].name, "lan0");
	assert_int_equal(c->interfaces[0].mode, CONFIG_MODE_AUTO);
	assert_string_equal(c->interfaces[1].name, "wan0");
	assert_int_equal(c->interfaces[1].mode, CONFIG_MODE_NATIVE);

	assert_true(c->has_edge);
	assert_int_equal(c->edge.dns.listen_count, 1);
	assert_addr(&c->edge.dns.listen[0].addr, "192.0.2.1");
	assert_int_equal(c->edge.dns.listen[0].port, 53);
	assert_int_equal(c->edge.dns.upstream.count, 0);
	assert_prefix(&c->edge.pool4, "100.96.0.0/11");
	assert_prefix(&c->edge.pool6, "fd00:2021:1111:8000::/107");
	assert_int_equal(c->edge.gateway_count, 1);
	assert_string_equal(c->edge.gateways[0].name, "site-a");
	assert_addr(&c->edge.gateways[0].at.addr, "10.9.0.1");
	assert_int_equal(c->edge.gateways[0].at.port, 4700);

	assert_true(c->has_gateway);
	assert_true(c->gateway.has_listen);
	assert_addr(&c->gateway.listen.addr, "10.9.0.1");
	assert_int_equal(c->gateway.listen.port, 4700);
	assert_int_equal(c->gateway.resolver.timeout_s, 10);
	assert_int_equal(c->gateway.masquerade, FQ_MASQ_AUTO);
	assert_int_equal(c->gateway.port_lo, 1024);
	assert_int_equal(c->gateway.port_hi, 65535);
	assert_int_equal(c->gateway.sessions.max, 1048576);
	assert_int_equal(c->gateway.sessions.per_client, 65536);

	assert_int_equal(c->client_count, 1);
	assert_string_equal(c->clients[0].name, "lan");
	assert_int_equal(c->clients[0].prefix_count, 2);
	assert_prefix(&c->clients[0].prefixes[1], "2001:db8:1::/64");

	assert_int_equal(c->resource_count, 1);
	assert_string_equal(r->id, UUID1);
	assert_string_equal(r->address, "*.corp.example");
	assert_int_equal(r->ip_stack, CONFIG_STACK_DUAL);
	assert_int_equal(r->gateway_count, 1);
	assert_int_equal(r->gateways[0], 0);
	assert_int_equal(r->filter.allow_all, 0);
	assert_int_equal(r->filter.icmp, 1);
	assert_int_equal(r->filter.ranges, 2);
	assert_int_equal(r->filter.range[1].proto, IPPROTO_TCP);
	assert_int_equal(r->filter.range[1].lo, 8000);
	assert_int_equal(r->filter.range[1].hi, 8100);

	assert_int_equal(c->grant_count, 1);
	assert_int_equal(c->grants[0].client, 0);
	assert_int_equal(c->grants[0].resource, 0);
	assert_int_equal(c->grants[0].expires, 1798761600);
}

/* P-01, G-02, N-06: the defaults */
static void defaults_are_filled_in(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;

	(void)state;
	unsetenv("FQDNAT_BPFFS");
	unsetenv("FQDNAT_STATE");
	c = parse_ok(BASE);
	assert_prefix(&c->edge.pool4, "100.96.0.0/11");
	assert_prefix(&c->edge.pool6, "fd00:2021:1111:8000::/107");
	assert_true(c->has_gateway); /* one box: no edge.gateways */
	assert_false(c->gateway.has_listen);
	assert_int_equal(c->edge.dns.allow_count, 0);
	assert_int_equal(c->gateway.resolver.servers.count, 0);
	assert_int_equal(c->gateway.resolver.timeout_s, 10);
	assert_int_equal(c->gateway.masquerade, FQ_MASQ_AUTO);
	assert_int_equal(c->gateway.port_lo, 1024);
	assert_int_equal(c->gateway.sessions.max, 262144);
	assert_int_equal(c->gateway.sessions.per_client, 65536);
	assert_int_equal(c->gateway.timeouts.tcp_opening_s, 240);
	assert_int_equal(c->gateway.timeouts.tcp_established_s, 7440);
	assert_int_equal(c->gateway.timeouts.tcp_closing_s, 240);
	assert_int_equal(c->gateway.timeouts.tcp_reset_s, 240);
	assert_int_equal(c->gateway.timeouts.udp_s, 300);
	assert_int_equal(c->gateway.timeouts.icmp_s, 60);
	assert_int_equal(c->gateway.timeouts.unconfirmed_s, 120);
	assert_int_equal(c->gateway.timeouts.tombstone_s, 120);
	assert_int_equal(c->limits.resolutions, 1000);
	assert_int_equal(c->limits.domains, 65536);
	assert_int_equal(c->limits.new_names_per_client, 10);
	assert_int_equal(c->log.format, LOG_FORMAT_AUTO);
	assert_int_equal(c->log.level, LOG_INFO);
	assert_string_equal(c->bpffs, "/sys/fs/bpf/fqdnat");
	assert_string_equal(c->state, "/var/lib/fqdnat");
	assert_string_equal(c->control_socket, "/run/fqdnat/control.sock");
}

static void environment_moves_places_and_the_file_goes_first(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;

	(void)state;
	setenv("FQDNAT_BPFFS", "/sys/fs/bpf/other", 1);
	setenv("FQDNAT_STATE", "relative", 1);
	c = parse_ok(BASE);
	assert_string_equal(c->bpffs, "/sys/fs/bpf/other");
	assert_string_equal(c->state, "/var/lib/fqdnat");
	config_free(TAKE_PTR(c));
	c = parse_ok(BASE "bpffs: /sys/fs/bpf/mine\nstate: /tmp/s\ncontrol_socket: /tmp/c\n");
	assert_string_equal(c->bpffs, "/sys/fs/bpf/mine");
	assert_string_equal(c->state, "/tmp/s");
	assert_string_equal(c->control_socket, "/tmp/c");
	unsetenv("FQDNAT_BPFFS");
	unsetenv("FQDNAT_STATE");
}

static void endpoints_have_optional_ports(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [lan0]\n"
			 "edge:\n"
			 "  dns:\n"
			 "    listen: [192.0.2.1, \"192.0.2.1:5353\", \"2001:db8::1\", "
			 "\"[2001:db8::1]:54\", \"::\"]\n"
			 "    upstream: [198.51.100.1, \"198.51.100.1:54\"]\n"
			 "    allow: [192.0.2.0/24, 2001:db8::/32]\n");
	const struct config_endpoint *l = c->edge.dns.listen;

	(void)state;
	assert_int_equal(c->edge.dns.listen_count, 5);
	assert_int_equal(l[0].port, 53);
	assert_int_equal(l[1].port, 5353);
	assert_addr(&l[2].addr, "2001:db8::1");
	assert_int_equal(l[2].port, 53);
	assert_addr(&l[3].addr, "2001:db8::1");
	assert_int_equal(l[3].port, 54);
	assert_true(ipaddr_is_zero(&l[4].addr));
	assert_int_equal(c->edge.dns.upstream.count, 2);
	assert_int_equal(c->edge.dns.upstream.server[1].port, 54);
	assert_int_equal(c->edge.dns.allow_count, 2);
	assert_prefix(&c->edge.dns.allow[1], "2001:db8::/32");
}

static void masquerade_has_three_forms(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(BASE "gateway: {masquerade: [198.51.100.7, 2001:db8::7, 198.51.100.8]}\n");
	struct fq_addr second = addr("198.51.100.8");

	(void)state;
	assert_int_equal(c->gateway.masquerade, FQ_MASQ_GIVEN);
	assert_int_equal(c->gateway.nat4_count, 2);
	assert_int_equal(c->gateway.nat6_count, 1);
	assert_true(ipaddr_equal(&c->gateway.nat4[1], &second));
	config_free(TAKE_PTR(c));

	c = parse_ok(BASE "gateway: {masquerade: none}\n");
	assert_int_equal(c->gateway.masquerade, FQ_MASQ_NONE);
	config_free(TAKE_PTR(c));

	c = parse_ok(BASE "gateway: {masquerade: auto}\n");
	assert_int_equal(c->gateway.masquerade, FQ_MASQ_AUTO);
}

/* I-06: hidden unless said otherwise */
static void hops_are_hidden_or_shown(void **state)
{
	_cleanup_(config_freep) struct config *c = parse_ok(BASE);

	(void)state;
	assert_false(c->gateway.show_hops);
	config_free(TAKE_PTR(c));

	c = parse_ok(BASE "gateway: {hops: show}\n");
	assert_true(c->gateway.show_hops);
	config_free(TAKE_PTR(c));

	c = parse_ok(BASE "gateway: {hops: hide}\n");
	assert_false(c->gateway.show_hops);
}

/* F-01, F-02, F-03: no filter permits everything, ranges are inclusive, icmp is a word */
static void filters_have_three_forms(void **state)
{
	_cleanup_(config_freep) struct config *c = parse_ok(
		BASE
		"resources:\n" RESOURCE "}\n"
		"- {id: " UUID2
		", name: b, address: b.example, filters: [{udp: 53-53}, {tcp: \"1-65535\"}]}\n");

	(void)state;
	assert_int_equal(c->resources[0].filter.allow_all, 1);
	assert_int_equal(c->resources[0].filter.ranges, 0);
	assert_int_equal(c->resources[1].filter.allow_all, 0);
	assert_int_equal(c->resources[1].filter.icmp, 0);
	assert_int_equal(c->resources[1].filter.ranges, 2);
	assert_int_equal(c->resources[1].filter.range[0].proto, IPPROTO_UDP);
	assert_int_equal(c->resources[1].filter.range[0].lo, 53);
	assert_int_equal(c->resources[1].filter.range[0].hi, 53);
	assert_int_equal(c->resources[1].filter.range[1].hi, 65535);
}

static void resource_without_gateways_has_all_of_them(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(BASE "  gateways: [{name: a, address: 10.0.0.1}, {name: b, address: "
			      "10.0.0.2, port: 9}]\n" TRUSTED "resources:\n" RESOURCE "}\n"
			      "- {id: " UUID2 ", name: b, address: b.example, gateways: [b]}\n");

	(void)state;
	assert_false(c->has_gateway);
	assert_int_equal(c->edge.gateways[0].at.port, 4700);
	assert_int_equal(c->edge.gateways[1].at.port, 9);
	assert_int_equal(c->resources[0].gateway_count, 2);
	assert_int_equal(c->resources[0].gateways[1], 1);
	assert_int_equal(c->resources[1].gateway_count, 1);
	assert_int_equal(c->resources[1].gateways[0], 1);
}

static void sections_may_come_in_any_order(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("grants: [{client: lan, resource: web}]\n"
			 "resources:\n" RESOURCE ", gateways: [a]}\n"
			 "clients: [{prefixes: [192.0.2.0/24], name: lan}]\n"
			 "edge: {gateways: [{name: a, address: 10.0.0.1}], dns: {listen: "
			 "[192.0.2.1]}}\n" TRUSTED "interfaces: [lan0]\n");

	(void)state;
	assert_int_equal(c->grant_count, 1);
	assert_int_equal(c->grants[0].expires, 0);
	assert_int_equal(c->resources[0].gateway_count, 1);
}

static void sections_may_be_left_empty(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(BASE "gateway:\nclients:\nresources: []\ngrants: ~\nlog:\ncontrol:\n");

	(void)state;
	assert_true(c->has_gateway);
	assert_int_equal(c->client_count + c->resource_count + c->grant_count, 0);
}

static void gateway_alone_does_not_know_the_edges_gateways(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [wan0]\ngateway: {listen: {address: 10.9.0.1}, "
			 "edges: [{name: home, address: 10.9.0.7}]}\n" TRUSTED
			 "resources:\n" RESOURCE ", gateways: [site-a]}\n");

	(void)state;
	assert_int_equal(c->gateway.listen.port, 4700);
	assert_int_equal(c->resources[0].gateway_count, 0);
}

static void sessions_per_client_follow_max(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(BASE "gateway: {sessions: {max: 1000}}\n");

	(void)state;
	assert_int_equal(c->gateway.sessions.per_client, 1000);
}

/* As many domains as the pools hold, and no more than the default if nobody says how many. */
static void domains_are_bounded_by_the_pools(void **state)
{
	static const struct {
		const char *pools, *limits;
		unsigned int domains;
	} cases[] = {
		{"", "limits: {domains: 524288}\n", 524288},
		{"pools: {ipv4: 100.64.0.0/10, ipv6: \"fd00:2021:1111:8000::/106\"}",
		 "limits: {domains: 1048576}\n", 1048576},
		{"pools: {ipv4: 10.0.0.0/8, ipv6: \"fd00:2021:1111::/48\"}",
		 "limits: {domains: 4194304}\n", 4194304},
		{"pools: {ipv4: 100.64.0.0/24}", "", 64},
		{"pools: {ipv6: \"fd00:2021:1111:8000::/120\"}", "", 64},
		{"pools: {ipv6: \"fd00:2021:1111:8000::/64\"}", "", 65536},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(config_freep) struct config *c = NULL;
		char text[512];

		snprintf(text, sizeof(text),
			 "interfaces: [a]\nedge:\n  dns: {listen: [192.0.2.1]}\n  %s\n%s",
			 cases[i].pools, cases[i].limits);
		c = parse_ok(text);
		assert_int_equal(c->limits.domains, cases[i].domains);
	}
}

static void sources_are_checked_as_wished(void **state)
{
	static const struct {
		const char *line;
		enum fq_source_check check;
	} cases[] = {
		{"", FQ_SOURCE_REPLIES},
		{"source_check: none\n", FQ_SOURCE_NONE},
		{"source_check: replies\n", FQ_SOURCE_REPLIES},
		{"source_check: strict\n", FQ_SOURCE_STRICT},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(config_freep) struct config *c = NULL;

		snprintf(text, sizeof(text), BASE "%s", cases[i].line);
		c = parse_ok(text);
		assert_int_equal(c->source_check, cases[i].check);
	}
}

static void segments_are_clamped_as_wished(void **state)
{
	static const struct {
		const char *line;
		unsigned int clamp;
	} cases[] = {
		{"", 0},
		{"mss_clamp: none\n", 0},
		{"mss_clamp: auto\n", FQ_MSS_AUTO},
		{"mss_clamp: 1220\n", 1220},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(config_freep) struct config *c = NULL;

		snprintf(text, sizeof(text), BASE "%s", cases[i].line);
		c = parse_ok(text);
		assert_int_equal(c->mss_clamp, cases[i].clamp);
	}
}

/* What config show prints is a configuration that means the same. */
static void json_round_trip_is_the_same(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;
	static const char *const texts[] = {
		whole,
		BASE,
		BASE "gateway: {masquerade: [198.51.100.7, 2001:db8::7], ports: 2000, "
		     "hops: show}\n"
		     "resources:\n" RESOURCE
		     ", ip_stack: ipv6, translate: any, filters: [icmp, {udp: 53}]}\n"
		     "source_check: strict\nmss_clamp: 1220\nlog: {format: json, level: "
		     "debug}\nlimits: {domains: "
		     "7, dns_per_client: 0, "
		     "new_names_per_client: 0}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *first, *second;
		char *text;

		c = parse_ok(texts[i]);
		first = config_to_json(c);
		assert_non_null(first);
		config_free(TAKE_PTR(c));
		text = json_dumps(first, JSON_INDENT(2));
		c = parse_ok(text);
		config_free(TAKE_PTR(c));
		c = parse_ok(text);
		second = config_to_json(c);
		assert_true(json_equal(first, second));
		config_free(TAKE_PTR(c));
		free(text);
		json_decref(first);
		json_decref(second);
	}
}

static void file_is_read_whole(void **state)
{
	char path[] = "/tmp/fqdnat-config-XXXXXX", error[CONFIG_ERROR_LEN];
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(closep) int fd = mkstemp(path);
	char comment[1000];

	(void)state;
	assert_true(fd >= 0);
	memset(comment, '#', sizeof(comment));
	comment[sizeof(comment) - 1] = '\n';
	for (int i = 0; i < 200; i++)
		assert_int_equal(write(fd, comment, sizeof(comment)), sizeof(comment));
	assert_int_equal(write(fd, BASE, strlen(BASE)), strlen(BASE));
	assert_int_equal(config_load(path, &config, error), 0);
	assert_int_equal(config->interface_count, 1);
	unlink(path);
}

static void modes_are_words(void **state)
{
	enum config_mode mode;

	(void)state;
	assert_int_equal(config_mode_parse("generic", &mode), 0);
	assert_int_equal(mode, CONFIG_MODE_GENERIC);
	assert_int_equal(config_mode_parse("Generic", &mode), -EINVAL);
	assert_string_equal(config_mode_name(CONFIG_MODE_NATIVE), "native");
	assert_string_equal(config_stack_name(CONFIG_STACK_IPV6), "ipv6");
}

static void keep_warning(void *ctx, const char *text)
{
	char *all = ctx;

	strcat(all, text);
	strcat(all, "\n");
}

/* N-06: an idle time below an RFC's is the operator's choice, but not a silent one. */
static void times_below_the_rfcs_are_warned_of(void **state)
{
	_cleanup_(config_freep) struct config *good = parse_ok(BASE);
	_cleanup_(config_freep) struct config *hasty =
		parse_ok(BASE "gateway: {timeouts: {tcp_established_s: 7439, udp_s: 120, "
			      "tombstone_s: 119}}\n");
	char all[1024] = "";

	(void)state;
	config_warnings(good, keep_warning, all);
	assert_string_equal(all, "");
	config_warnings(hasty, keep_warning, all);
	assert_string_equal(
		all, "gateway.timeouts.tcp_established_s: 7439 is less than 7440 (RFC 5382 REQ-5)\n"
		     "gateway.timeouts.tombstone_s: 119 is less than 120 (RFC 6888 REQ-8)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_contract_is_read),
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(environment_moves_places_and_the_file_goes_first),
		cmocka_unit_test(endpoints_have_optional_ports),
		cmocka_unit_test(masquerade_has_three_forms),
		cmocka_unit_test(hops_are_hidden_or_shown),
		cmocka_unit_test(filters_have_three_forms),
		cmocka_unit_test(resource_without_gateways_has_all_of_them),
		cmocka_unit_test(sections_may_come_in_any_order),
		cmocka_unit_test(sections_may_be_left_empty),
		cmocka_unit_test(gateway_alone_does_not_know_the_edges_gateways),
		cmocka_unit_test(sessions_per_client_follow_max),
		cmocka_unit_test(domains_are_bounded_by_the_pools),
		cmocka_unit_test(sources_are_checked_as_wished),
		cmocka_unit_test(segments_are_clamped_as_wished),
		cmocka_unit_test(json_round_trip_is_the_same),
		cmocka_unit_test(file_is_read_whole),
		cmocka_unit_test(modes_are_words),
		cmocka_unit_test(times_below_the_rfcs_are_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
