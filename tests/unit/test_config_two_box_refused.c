/* SPDX-License-Identifier: BSD-2-Clause */
/* What is refused in the configuration of edges and gateways on different machines, and the exact
 * words of it. */
#include "config_lab.h"

#define WHY_UNTRUSTED                                                                      \
	" is not inside control.trusted: anybody could forge messages; give both sides a " \
	"key_file, or list the prefix in control.trusted if it is inside a tunnel"
#define HOW_TO_MAKE "(umask 077; head -c 32 /dev/urandom | base64 > FILE)"
#define NO_KEY                                                                               \
	" holds no key, expected one line, 32 bytes as base64 or as 64 hex digits, as made " \
	"with " HOW_TO_MAKE
#define KEY(file) EDGE "  gateways:\n  - {name: a, address: 10.0.0.1, key_file: " file "}\n"

static const struct {
	const char *text, *error;
} bad[] = {
	/* words */
	{"interfaces: [a]\ncontrol: {trust: []}\n",
	 "t.yaml:2: control: unknown key \"trust\", did you mean \"trusted\"?"},
	{"interfaces: [a]\ncontrol: {trusted: [10.9.0.1/24]}\n",
	 "t.yaml:2: control.trusted[0]: \"10.9.0.1/24\": expected a prefix without bits behind its "
	 "length"},
	{"interfaces: [a]\ncontrol: {rate: 9}\n",
	 "t.yaml:2: control.rate: \"9\": expected a number from 10 to 1000000"},
	{"interfaces: [a]\ncontrol: {rate: 1000001}\n",
	 "t.yaml:2: control.rate: \"1000001\": expected a number from 10 to 1000000"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1, keyfile: /k}]\n",
	 "t.yaml:5: edge.gateways[0]: unknown key \"keyfile\", did you mean \"key_file\"?"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1, dns: 53}]\n",
	 "t.yaml:5: edge.gateways[0]: unknown key \"dns\", did you mean \"dns_port\"?"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1, dns_port: 0}]\n",
	 "t.yaml:5: edge.gateways[0].dns_port: \"0\": expected a port from 1 to 65535"},
	{EDGE "  control: {adress: 10.9.0.7}\n",
	 "t.yaml:5: edge.control: unknown key \"adress\", did you mean \"address\"?"},
	{EDGE "  control: {}\n", "t.yaml:5: edge.control: key \"address\" is missing"},
	{EDGE "  control: {address: 100.96.0.1}\n",
	 "t.yaml:5: edge.control.address: 100.96.0.1 lies in the proxy pool 100.96.0.0/11"},
	{GW "  edges: [{name: a b, address: 10.9.0.7}]\n",
	 "t.yaml:5: gateway.edges[0].name: \"a b\": expected a name of 1 to 63 letters, digits, "
	 "'.', '_' or '-'"},
	{EDGE "gateway:\n  pools: {ipv4: 198.18.0.0/15}\n",
	 "t.yaml:6: gateway.pools: the pools are those of edge.pools"},
	{GW "  edges: [{name: a}]\n", "t.yaml:5: gateway.edges[0]: key \"address\" is missing"},
	{GW "  edges: [{name: a, address: home.example}]\n",
	 "t.yaml:5: gateway.edges[0].address: \"home.example\": expected an IPv4 or IPv6 address"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\n  per_edge: {session: 7}\n",
	 "t.yaml:6: gateway.per_edge: unknown key \"session\", did you mean \"sessions\"?"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\n  per_edge: {translations: 7}\n",
	 "t.yaml:6: gateway.per_edge.translations: \"7\": expected a number from 8 to 33554432"},

	/* used twice */
	{EDGE "  gateways:\n  - {name: a, address: 10.9.0.1}\n  - {name: b, address: 10.9.0.1, "
	      "port: 9}\n",
	 "t.yaml:7: edge.gateways[1]: gateway address \"10.9.0.1\" is used twice, first in line 6"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1, port: 53535}]\n",
	 "t.yaml:5: edge.gateways[0]: port and dns_port are both 53535, expected different ones"},
	{GW "  edges:\n  - {name: a, address: 10.9.0.7}\n  - {name: a, address: 10.9.0.8}\n",
	 "t.yaml:7: gateway.edges[1].name: edge name \"a\" is used twice, first in line 6"},
	{GW "  edges:\n  - {name: a, address: 10.9.0.7}\n  - {name: b, address: 10.9.0.7}\n",
	 "t.yaml:7: gateway.edges[1]: edge address \"10.9.0.7\" is used twice, first in line 6"},
	{"interfaces: [a]\nedge: {dns: {listen: [10.9.0.1]}}\ngateway:\n  listen: {address: "
	 "10.9.0.1, dns_port: 53}\n",
	 "t.yaml:4: gateway.listen: listen address \"10.9.0.1 port 53\" is used twice, first in "
	 "line 2"},
	{"interfaces: [a]\ngateway:\n  listen: {address: 10.9.0.1, dns_port: 4700}\n",
	 "t.yaml:3: gateway.listen: listen address \"10.9.0.1 port 4700\" is used twice, first in "
	 "line 3"},
	{KEY("%/one") "  - {name: b, address: 10.0.0.2, key_file: %/one-hex}\n",
	 "t.yaml:7: edge.gateways[1]: %/one-hex holds the same key as the one of \"a\", expected a "
	 "key of its own for every pair of an edge and a gateway"},
	/* Reflected, it would be taken for the other side's. */
	{KEY("%/one") "gateway:\n  listen: {address: 10.0.0.9}\n  edges:\n"
		      "  - {name: b, address: 10.0.0.1, key_file: %/one}\n",
	 "t.yaml:10: gateway.edges[0]: %/one holds the same key as the one of \"a\", expected a "
	 "key of its own for every pair of an edge and a gateway"},

	/* what would let anybody in */
	{EDGE "  gateways: [{name: a, address: 10.0.0.1}]\n",
	 "t.yaml:5: edge.gateways[0]: \"a\" has no key_file, and its address "
	 "10.0.0.1" WHY_UNTRUSTED},
	{"interfaces: [a]\nedge:\n  " DNS "\n  gateways: [{name: a, address: 10.9.0.1}]\n",
	 "t.yaml:4: edge.gateways[0]: \"a\" has no key_file, and its address "
	 "10.9.0.1" WHY_UNTRUSTED},
	{GW "  edges: [{name: a, address: 10.0.0.7}]\n",
	 "t.yaml:5: gateway.edges[0]: \"a\" has no key_file, and its address "
	 "10.0.0.7" WHY_UNTRUSTED},
	{"interfaces: [a]\n" TUNNEL "gateway:\n  listen: {address: 10.0.0.1}\n"
	 "  edges: [{name: a, address: 10.9.0.7}]\n",
	 "t.yaml:5: gateway.edges[0]: \"a\" has no key_file, and the listen address "
	 "10.0.0.1" WHY_UNTRUSTED},
	{KEY("%/nowhere"), "t.yaml:6: edge.gateways[0].key_file: %/nowhere does not exist; make it "
			   "on one side with " HOW_TO_MAKE " and copy it to the other"},
	{KEY("key"), "t.yaml:6: edge.gateways[0].key_file: \"key\": expected an absolute path"},
	{KEY("%"), "t.yaml:6: edge.gateways[0].key_file: % is no file, expected one that holds a "
		   "key"},
	{KEY("%/open"), "t.yaml:6: edge.gateways[0].key_file: %/open is open to others (mode "
			"0640), expected 0600: chmod 600 %/open, and a new key if others may have "
			"read it"},
	{KEY("%/world"), "t.yaml:6: edge.gateways[0].key_file: %/world is open to others (mode "
			 "0604), expected 0600: chmod 600 %/world, and a new key if others may "
			 "have read it"},
	{KEY("%/empty"), "t.yaml:6: edge.gateways[0].key_file: %/empty" NO_KEY},
	{KEY("%/short"), "t.yaml:6: edge.gateways[0].key_file: %/short" NO_KEY},
	{KEY("%/long"), "t.yaml:6: edge.gateways[0].key_file: %/long" NO_KEY},
	{KEY("%/word"), "t.yaml:6: edge.gateways[0].key_file: %/word" NO_KEY},
	{KEY("%/lines"), "t.yaml:6: edge.gateways[0].key_file: %/lines" NO_KEY},

	/* parts that do not fit together */
	{GW, "t.yaml:4: gateway: key \"edges\" is missing: with listen, expected the edges that "
	     "may ask"},
	{GW "  edges: []\n", "t.yaml:5: gateway.edges: the list is empty: leave the key out if the "
			     "edge is in this process"},
	{"interfaces: [a]\n" TUNNEL "gateway:\n  edges: [{name: a, address: 10.9.0.7}]\n",
	 "t.yaml:4: gateway: key \"listen\" is missing: with edges, expected the address that they "
	 "send to"},
	{"interfaces: [a]\ngateway: {}\n",
	 "t.yaml:2: gateway: nobody can ask this gateway: expected listen and edges, or an edge in "
	 "this process that has no gateways on other machines"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1}]\ngateway: {masquerade: none}\n",
	 "t.yaml:6: gateway: nobody can ask this gateway: expected listen and edges, or an edge in "
	 "this process that has no gateways on other machines"},
	/* one process has one table of sessions */
	{EDGE "  sessions: {max: 100}\n",
	 "t.yaml:5: edge.sessions: edge and gateway in one process have one table of sessions: "
	 "write gateway.sessions instead of edge.sessions"},
	{EDGE "  timeouts: {udp_s: 100}\n",
	 "t.yaml:5: edge.timeouts: edge and gateway in one process have one table of sessions: "
	 "write gateway.timeouts instead of edge.timeouts"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\nedge:\n  " DNS
	    "\n  gateways: [{name: b, address: 10.9.0.1}]\n  sessions: {max: 100}\n",
	 "t.yaml:4: gateway: edge and gateway in one process have one table of sessions: write "
	 "gateway.sessions instead of edge.sessions"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\nedge:\n  " DNS
	    "\n  gateways: [{name: b, address: 10.9.0.1}]\n  timeouts: {udp_s: 100}\n",
	 "t.yaml:4: gateway: edge and gateway in one process have one table of sessions: write "
	 "gateway.timeouts instead of edge.timeouts"},
	{EDGE "  gateways: [{name: a, address: 10.9.0.1}]\n  sessions: {max: 100, per_client: "
	      "101}\n",
	 "t.yaml:6: edge.sessions: per_client 101 is more than max 100"},
	/* An edge buries nothing. */
	{EDGE "  gateways: [{name: a, address: 10.9.0.1}]\n  timeouts: {tombstone_s: 1}\n",
	 "t.yaml:6: edge.timeouts: unknown key \"tombstone_s\", expected one of: tcp_opening_s, "
	 "tcp_established_s, tcp_closing_s, tcp_reset_s, udp_s, icmp_s, unconfirmed_s"},
	{EDGE "  control: {address: 10.9.0.7}\n  gateways: [{name: a, address: \"fd09::1\"}]\n",
	 "t.yaml:6: edge.gateways[0]: fd09::1 cannot be reached from 10.9.0.7: one is IPv4, the "
	 "other IPv6"},
	{GW "  edges: [{name: a, address: \"fd09::1\"}]\n",
	 "t.yaml:5: gateway.edges[0]: fd09::1 cannot be reached from 10.9.0.1: one is IPv4, the "
	 "other IPv6"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\n  sessions: {max: 100}\n"
	    "  per_edge: {sessions: 101}\n",
	 "t.yaml:7: gateway.per_edge: sessions 101 is more than gateway.sessions.max 100"},
	{GW "  edges: [{name: a, address: 10.9.0.7}]\n  per_edge: {resolutions: 11}\n"
	    "limits: {resolutions: 10}\n",
	 "t.yaml:6: gateway.per_edge: resolutions 11 is more than limits.resolutions 10"},
	{"interfaces: [a]\nedge: {" DNS "}\ngateway:\n  per_edge: {sessions: 11}\n",
	 "t.yaml:4: gateway.per_edge: gateway.edges is absent, expected edges on other machines"},
	{"interfaces: [a]\nedge: {" DNS "}\nclients:\n- {name: a, prefixes: [192.0.2.0/24], edge: "
	 "home}\n",
	 "t.yaml:4: clients[0].edge: unknown edge \"home\": gateway.edges is absent, the edge is "
	 "the one in this process"},
	{GW "  edges: [{name: home, address: 10.9.0.7}]\n"
	    "clients: [{name: a, prefixes: [192.0.2.0/24], edge: hone}]\n",
	 "t.yaml:6: clients[0].edge: unknown edge \"hone\", did you mean \"home\"?"},
	{GW "  edges: [{name: home, address: 10.9.0.7}, {name: shop, address: 10.9.0.8}]\n"
	    "clients:\n- {name: a, prefixes: [192.0.2.0/24]}\n",
	 "t.yaml:7: clients[0]: key \"edge\" is missing: gateway.edges has 2, expected the one "
	 "whose proxy addresses the client uses"},
};

static void what_is_wrong_is_said_exactly(void **state)
{
	unsigned int failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[4096], expected[4096], error[CONFIG_ERROR_LEN];
		struct config *config = NULL;
		int r;

		expand(bad[i].text, text);
		expand(bad[i].error, expected);
		r = config_parse("t.yaml", text, strlen(text), &config, error);
		if (r == -EINVAL && strcmp(error, expected) == 0)
			continue;
		print_error("%s\nexpected %s\nis %d    %s\n", text, expected, r, error);
		config_free(config);
		failed++;
	}
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said_exactly),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
