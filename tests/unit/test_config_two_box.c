/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of edges and gateways on different machines: gateways, edges, keys, trusted
 * prefixes, and whose client is whose.
 */
#include "config_lab.h"

static struct config *parse_ok(const char *text)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_LEN], buf[4096];

	expand(text, buf);
	if (config_parse("t.yaml", buf, strlen(buf), &config, error) < 0)
		fail_msg("%s\n%s", error, buf);
	return config;
}

static void assert_addr(const struct fq_addr *a, const char *expected)
{
	char text[IPADDR_STRLEN];

	assert_string_equal(ipaddr_format(a, text), expected);
}

static void assert_key(const struct config_key *key, uint8_t first)
{
	assert_true(key->given);
	for (unsigned int i = 0; i < CONFIG_KEY_LEN; i++)
		assert_int_equal(key->bytes[i], i == 0 ? first : i);
}

static void edge_has_gateways(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(EDGE "  control: {address: 10.9.0.7}\n"
			      "  gateways:\n"
			      "  - {name: site-a, address: 10.9.0.1}\n"
			      "  - {name: site-b, address: 203.0.113.9, port: 4711, dns_port: 5353,"
			      " key_file: %/one}\n");

	(void)state;
	assert_true(c->has_edge);
	assert_false(c->has_gateway);
	assert_true(c->edge.control.has_address);
	assert_addr(&c->edge.control.address, "10.9.0.7");
	assert_int_equal(c->edge.gateway_count, 2);
	assert_string_equal(c->edge.gateways[0].name, "site-a");
	assert_int_equal(c->edge.gateways[0].at.port, 4700);
	assert_int_equal(c->edge.gateways[0].dns_port, 53535);
	assert_false(c->edge.gateways[0].key.given);
	assert_addr(&c->edge.gateways[1].at.addr, "203.0.113.9");
	assert_int_equal(c->edge.gateways[1].at.port, 4711);
	assert_int_equal(c->edge.gateways[1].dns_port, 5353);
	assert_key(&c->edge.gateways[1].key, 0);
	assert_int_equal(c->control.trusted_count, 2);
}

static void gateway_has_edges(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [wan0]\n"
			 "gateway:\n"
			 "  listen: {address: \"2001:db8::1\", port: 4711, dns_port: 5353}\n"
			 "  edges:\n"
			 "  - {name: home, address: \"2001:db8::7\", key_file: %/one}\n"
			 "  - {name: shop, address: \"2001:db8::8\", key_file: %/two}\n"
			 "  per_edge: {resolutions: 7, translations: 80, sessions: 900}\n");

	(void)state;
	assert_false(c->has_edge);
	assert_true(c->has_gateway);
	assert_true(c->gateway.has_listen);
	assert_addr(&c->gateway.listen.addr, "2001:db8::1");
	assert_int_equal(c->gateway.listen.port, 4711);
	assert_int_equal(c->gateway.dns_port, 5353);
	assert_int_equal(c->gateway.edge_count, 2);
	assert_string_equal(c->gateway.edges[1].name, "shop");
	assert_addr(&c->gateway.edges[1].addr, "2001:db8::8");
	assert_key(&c->gateway.edges[0].key, 0);
	assert_key(&c->gateway.edges[1].key, 0xff);
	assert_int_equal(c->gateway.per_edge.resolutions, 7);
	assert_int_equal(c->gateway.per_edge.translations, 80);
	assert_int_equal(c->gateway.per_edge.sessions, 900);
}

static void a_gateway_alone_has_its_edges_pools(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [wan0]\n"
			 "gateway:\n"
			 "  listen: {address: \"100.96.0.1\"}\n"
			 "  edges: [{name: home, address: 10.9.0.7, key_file: %/one}]\n"
			 "  pools: {ipv4: 198.18.0.0/15, ipv6: \"2001:2::/107\"}\n");
	json_t *json = config_to_json(c), *pools;

	(void)state;
	assert_addr(&c->edge.pool4.addr, "198.18.0.0");
	assert_int_equal(c->edge.pool6.len, 107);
	assert_false(c->has_edge);
	pools = json_object_get(json_object_get(json, "gateway"), "pools");
	assert_string_equal(json_string_value(json_object_get(pools, "ipv4")), "198.18.0.0/15");
	json_decref(json);
}

static void ports_have_their_defaults(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(GW "  edges: [{name: home, address: 10.9.0.7}]\n");

	(void)state;
	assert_int_equal(c->gateway.listen.port, 4700);
	assert_int_equal(c->gateway.dns_port, 53535);
}

static void one_box_has_no_peers(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [lan0]\nedge: {" DNS "}\nclients:\n"
			 "- {name: lan, prefixes: [192.0.2.0/24]}\n");

	(void)state;
	assert_true(c->has_edge && c->has_gateway);
	assert_false(c->gateway.has_listen || c->edge.control.has_address);
	assert_int_equal(c->edge.gateway_count + c->gateway.edge_count, 0);
	assert_int_equal(c->gateway.per_edge.sessions, 0);
	assert_false(c->clients[0].remote);
}

static void one_process_may_be_both_for_others(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(GW "  edges: [{name: home, address: 10.9.0.7}]\n"
			    "edge: {" DNS ", gateways: [{name: site-b, address: 10.9.0.2}]}\n"
			    "clients:\n"
			    "- {name: lan, prefixes: [192.0.2.0/24]}\n"
			    "- {name: far, prefixes: [198.51.100.0/24], edge: home}\n");

	(void)state;
	assert_true(c->has_edge && c->has_gateway);
	assert_false(c->clients[0].remote);
	assert_true(c->clients[1].remote);
	assert_int_equal(c->clients[1].edge, 0);
	/* The edge in this process asks elsewhere: nobody else wants sessions here. */
	assert_int_equal(c->gateway.per_edge.sessions, c->gateway.sessions.max);
}

/* Its own sessions are those that it forwards. */
static void an_edge_alone_bounds_its_sessions(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(EDGE "  sessions: {max: 5000}\n"
			      "  timeouts: {udp_s: 30, tcp_reset_s: 7}\n"
			      "  gateways: [{name: a, address: 10.9.0.1}]\n");
	json_t *json = config_to_json(c), *edge = json_object_get(json, "edge"), *timeouts;

	(void)state;
	assert_false(c->has_gateway);
	assert_int_equal(c->gateway.sessions.max, 5000);
	assert_int_equal(c->gateway.sessions.per_client, 5000);
	assert_int_equal(c->gateway.timeouts.udp_s, 30);
	assert_int_equal(c->gateway.timeouts.tcp_reset_s, 7);
	assert_int_equal(c->gateway.timeouts.tcp_established_s, 7440);
	assert_null(json_object_get(json, "gateway"));
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(edge, "sessions"), "per_client")),
			 5000);
	timeouts = json_object_get(edge, "timeouts");
	assert_int_equal(json_integer_value(json_object_get(timeouts, "udp_s")), 30);
	assert_null(json_object_get(timeouts, "tombstone_s"));
	json_decref(json);
}

static void messages_of_a_peer_have_a_rate(void **state)
{
	_cleanup_(config_freep) struct config *usual = parse_ok(EDGE);
	_cleanup_(config_freep) struct config *c =
		parse_ok("interfaces: [a]\ncontrol: {rate: 20000}\nedge: {" DNS "}\n");
	json_t *json = config_to_json(c), *control = json_object_get(json, "control");

	(void)state;
	assert_int_equal(usual->control.rate, 2000);
	assert_int_equal(c->control.rate, 20000);
	assert_int_equal(json_integer_value(json_object_get(control, "rate")), 20000);
	json_decref(json);
}

static void key_files_may_have_several_forms(void **state)
{
	static const char *const forms[] = {"one", "one-hex", "one-bare", "one-spaces"};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char text[512];
		struct config *c;

		snprintf(text, sizeof(text),
			 EDGE "  gateways: [{name: a, address: 10.0.0.1, key_file: %%/%s}]\n",
			 forms[i]);
		c = parse_ok(text);
		assert_key(&c->edge.gateways[0].key, 0);
		config_free(c);
	}
}

static void clients_belong_to_an_edge(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(GW "  edges:\n"
			    "  - {name: home, address: 10.9.0.7}\n"
			    "  - {name: shop, address: 10.9.0.8}\n"
			    "clients:\n"
			    "- {name: a, prefixes: [192.0.2.0/24], edge: shop}\n"
			    "- {edge: home, name: b, prefixes: [198.51.100.0/24]}\n");

	(void)state;
	assert_true(c->clients[0].remote && c->clients[1].remote);
	assert_int_equal(c->clients[0].edge, 1);
	assert_int_equal(c->clients[1].edge, 0);
}

static void the_only_edge_is_every_clients(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(GW "  edges: [{name: home, address: 10.9.0.7}]\n"
			    "clients: [{name: a, prefixes: [192.0.2.0/24]}]\n");

	(void)state;
	assert_true(c->clients[0].remote);
	assert_int_equal(c->clients[0].edge, 0);
}

/* One edge cannot take what others need; a single one can have all. */
static void limits_of_an_edge_follow_the_number_of_edges(void **state)
{
	_cleanup_(config_freep) struct config *one =
		parse_ok(GW "  edges: [{name: a, address: 10.9.0.7}]\n"
			    "  sessions: {max: 1000}\nlimits: {resolutions: 1, domains: 10}\n");
	_cleanup_(config_freep) struct config *own =
		parse_ok(GW "  edges: [{name: a, address: 10.9.0.7}]\n"
			    "  sessions: {max: 1000}\nedge: {" DNS "}\n");
	_cleanup_(config_freep) struct config *two = parse_ok(
		GW "  edges: [{name: a, address: 10.9.0.7}, {name: b, address: 10.9.0.8}]\n"
		   "  sessions: {max: 1000}\nlimits: {resolutions: 1, domains: 10}\n");

	(void)state;
	assert_int_equal(one->gateway.per_edge.sessions, 1000);
	assert_int_equal(one->gateway.per_edge.translations, 80);
	assert_int_equal(one->gateway.per_edge.resolutions, 1);
	assert_int_equal(own->gateway.per_edge.sessions, 500);
	assert_int_equal(two->gateway.per_edge.sessions, 500);
	assert_int_equal(two->gateway.per_edge.translations, 40);
	assert_int_equal(two->gateway.per_edge.resolutions, 1);
}

/* What config show prints is a configuration that means the same, and tells no key. */
static void json_round_trip_is_the_same(void **state)
{
	_cleanup_(config_freep) struct config *c =
		parse_ok(GW "  edges:\n"
			    "  - {name: home, address: 10.9.0.7, key_file: %/one}\n"
			    "  - {name: shop, address: 10.9.0.8}\n"
			    "edge: {" DNS ", control: {address: 10.9.0.1}, gateways: "
			    "[{name: b, address: 10.9.0.2, key_file: %/two}, {name: c, address: "
			    "10.9.0.3, port: 1, dns_port: 2}]}\n"
			    "clients:\n- {name: far, prefixes: [192.0.2.0/24], edge: shop}\n");
	_cleanup_(config_freep) struct config *again = NULL;
	json_t *json = config_to_json(c), *json_again;
	_cleanup_(freep) char *text = json_dumps(json, 0);
	char error[CONFIG_ERROR_LEN];

	(void)state;
	assert_non_null(strstr(text, "/one\""));
	assert_null(strstr(text, "AAECAw"));
	assert_null(strstr(text, "000102"));
	assert_int_equal(config_parse("json", text, strlen(text), &again, error), 0);
	json_again = config_to_json(again);
	assert_true(json_equal(json, json_again));
	assert_true(again->clients[0].remote);
	assert_int_equal(again->clients[0].edge, 1);
	assert_key(&again->edge.gateways[0].key, 0xff);
	json_decref(json);
	json_decref(json_again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edge_has_gateways),
		cmocka_unit_test(gateway_has_edges),
		cmocka_unit_test(a_gateway_alone_has_its_edges_pools),
		cmocka_unit_test(ports_have_their_defaults),
		cmocka_unit_test(one_box_has_no_peers),
		cmocka_unit_test(one_process_may_be_both_for_others),
		cmocka_unit_test(an_edge_alone_bounds_its_sessions),
		cmocka_unit_test(messages_of_a_peer_have_a_rate),
		cmocka_unit_test(key_files_may_have_several_forms),
		cmocka_unit_test(clients_belong_to_an_edge),
		cmocka_unit_test(the_only_edge_is_every_clients),
		cmocka_unit_test(limits_of_an_edge_follow_the_number_of_edges),
		cmocka_unit_test(json_round_trip_is_the_same),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
