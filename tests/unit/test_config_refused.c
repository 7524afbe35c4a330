/* SPDX-License-Identifier: BSD-2-Clause */
/* Configurations that are refused, and the exact words. */
#include <errno.h>
#include <stdio.h>

#include "config_text.h"

static const struct {
	const char *text;
	const char *error;
} bad[] = {
	/* the file */
	{"", "t.yaml:1: the file is empty, expected interfaces, edge, clients, ..."},
	{"# nothing\n", "t.yaml:1: the file is empty, expected interfaces, edge, clients, ..."},
	{"a: [1\nb: 2\n",
	 "t.yaml:2: not YAML: while parsing a flow sequence, did not find expected ',' or ']'"},
	{"a: b\n\tc: d\n", "t.yaml:2: not YAML: while scanning a plain scalar, found a tab "
			   "character that violates indentation"},
	{"a: \"\xff\"\n", "t.yaml:1: not YAML: invalid leading UTF-8 octet"},
	{BASE "---\na: b\n", "t.yaml:4: a second document begins, expected one"},
	{"[a, b]\n", "t.yaml:1: expected a map, found a list"},
	{"hello\n", "t.yaml:1: \"hello\": expected a map"},

	/* keys */
	{BASE "grant: []\n", "t.yaml:4: unknown key \"grant\", did you mean \"grants\"?"},
	{BASE "frobnicate: 1\n",
	 "t.yaml:4: unknown key \"frobnicate\", expected one of: "
	 "interfaces, source_check, mss_clamp, control, limits, edge, gateway, clients, "
	 "resources, grants, log, bpffs, state, control_socket"},
	{"interfaces: [a]\nedge:\n  dns: {listen: [192.0.2.1], upstrem: [system]}\n",
	 "t.yaml:3: edge.dns: unknown key \"upstrem\", did you mean \"upstream\"?"},
	{BASE "log: {level: info}\nlog: {level: warn}\n",
	 "t.yaml:5: key \"log\" is there twice, first in line 4"},
	{BASE "? [a]\n: b\n", "t.yaml:4: expected a key, found a list"},
	{BASE "\"fro\\ebni\": 1\n",
	 "t.yaml:4: unknown key \"fro?bni\", expected one of: interfaces, source_check, "
	 "mss_clamp, control, limits, edge, gateway, clients, resources, grants, log, bpffs, "
	 "state, control_socket"},
	{"interfaces: [a]\n",
	 "t.yaml:1: neither \"edge\" nor \"gateway\" is there, expected at least one of them"},
	{"edge: {dns: {listen: [192.0.2.1]}}\n", "t.yaml:1: key \"interfaces\" is missing"},

	/* interfaces */
	{"interfaces: lan0\ngateway:\n", "t.yaml:1: interfaces: \"lan0\": expected a list"},
	{"interfaces: []\ngateway:\n",
	 "t.yaml:1: interfaces: the list is empty, expected at least one interface"},
	{"interfaces: [lan0, lan0]\ngateway:\n",
	 "t.yaml:1: interfaces[1]: interface \"lan0\" is used twice, first in line 1"},
	{"interfaces: [an-interface-name]\ngateway:\n",
	 "t.yaml:1: interfaces[0]: \"an-interface-name\": expected the name of an interface, up to "
	 "15 bytes"},
	{"interfaces: [{name: a, mode: fast}]\ngateway:\n",
	 "t.yaml:1: interfaces[0].mode: \"fast\": expected one of: auto, native, generic, tc"},
	{"interfaces: [{mode: native}]\ngateway:\n",
	 "t.yaml:1: interfaces[0]: key \"name\" is missing"},
	{"interfaces: [[a]]\ngateway:\n", "t.yaml:1: interfaces[0]: expected the name of an "
					  "interface, up to 15 bytes, found a list"},

	{"interfaces: [a]\nmss_clamp: 535\ngateway:\n",
	 "t.yaml:2: mss_clamp: \"535\": expected a number from 536 to 65495"},
	{"interfaces: [a]\nmss_clamp: often\ngateway:\n",
	 "t.yaml:2: mss_clamp: \"often\": expected none, auto, or a number from 536 to 65495"},
	{"interfaces: [a]\nsource_check: loose\ngateway:\n",
	 "t.yaml:2: source_check: \"loose\": expected one of: none, replies, strict"},

	/* edge */
	{"interfaces: [a]\nedge:\n", "t.yaml:2: edge: key \"dns\" is missing"},
	{"interfaces: [a]\nedge: {dns: {}}\n", "t.yaml:2: edge.dns: key \"listen\" is missing"},
	{"interfaces: [a]\nedge: {dns: {listen: []}}\n",
	 "t.yaml:2: edge.dns.listen: the list is empty, expected at least one address"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1, 192.0.2.300]}}\n",
	 "t.yaml:2: edge.dns.listen[1]: \"192.0.2.300\": expected an address with an optional "
	 "port: "
	 "192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53"},
	{"interfaces: [a]\nedge: {dns: {listen: [\"192.0.2.1:0\"]}}\n",
	 "t.yaml:2: edge.dns.listen[0]: \"192.0.2.1:0\": expected a port from 1 to 65535 after the "
	 "address"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1,\n  \"192.0.2.1:53\"]}}\n",
	 "t.yaml:3: edge.dns.listen[1]: listen address \"192.0.2.1 port 53\" is used twice, first "
	 "in line 2"},
	{"interfaces: [a]\nedge: {dns: {listen: [224.0.0.1]}}\n",
	 "t.yaml:2: edge.dns.listen[0]: \"224.0.0.1\": expected an address of this host"},
	{"interfaces: [a]\nedge: {dns: {listen: [100.100.111.1]}}\n",
	 "t.yaml:2: edge.dns.listen[0]: 100.100.111.1 lies in the proxy pool 100.96.0.0/11"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1], upstream: []}}\n",
	 "t.yaml:2: edge.dns.upstream: the list is empty, expected [system] or addresses"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1], upstream: system}}\n",
	 "t.yaml:2: edge.dns.upstream: \"system\": expected a list"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1], upstream: [192.0.2.2, system]}}\n",
	 "t.yaml:2: edge.dns.upstream[1]: \"system\" stands alone, not beside addresses"},
	{"interfaces: [a]\nedge: {dns: {listen: [192.0.2.1], allow: [192.0.2.7/24]}}\n",
	 "t.yaml:2: edge.dns.allow[0]: \"192.0.2.7/24\": expected a prefix without bits behind its "
	 "length"},
	{BASE "  pools: {ipv4: \"2001:db8::/107\"}\n",
	 "t.yaml:4: edge.pools.ipv4: \"2001:db8::/107\": expected an IPv4 prefix of length 8 to "
	 "29"},
	{BASE "  pools: {ipv4: 100.96.0.0/30}\n",
	 "t.yaml:4: edge.pools.ipv4: \"100.96.0.0/30\": expected an IPv4 prefix of length 8 to 29"},
	{BASE "  pools: {ipv6: \"2001:db8::/126\"}\n",
	 "t.yaml:4: edge.pools.ipv6: \"2001:db8::/126\": expected an IPv6 prefix of length 16 to "
	 "125"},
	{BASE "  pools: {ipv4: 192.0.2.0/24}\n",
	 "t.yaml:3: edge.dns.listen[0]: 192.0.2.1 lies in the proxy pool 192.0.2.0/24"},
	{BASE "  gateways: []\n",
	 "t.yaml:4: edge.gateways: the list is empty: leave the key out if the "
	 "gateway is in this process"},
	{BASE "  gateways: [{name: a, address: 10.0.0.1}, {name: a, address: 10.0.0.2}]\n" TRUSTED,
	 "t.yaml:4: edge.gateways[1].name: gateway name \"a\" is used twice, first in line 4"},
	{BASE "  gateways: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.1}]\n" TRUSTED,
	 "t.yaml:4: edge.gateways[1]: gateway address \"10.0.0.1\" is used twice, first "
	 "in line 4"},
	{BASE "  gateways: [{name: a, address: site.example}]\n",
	 "t.yaml:4: edge.gateways[0].address: \"site.example\": expected an IPv4 or IPv6 address"},
	{BASE "  gateways: [{name: a, address: 0.0.0.0}]\n",
	 "t.yaml:4: edge.gateways[0].address: \"0.0.0.0\": expected the address of a host"},
	{BASE "  gateways: [{name: a, address: 100.96.0.1}]\n",
	 "t.yaml:4: edge.gateways[0].address: 100.96.0.1 lies in the proxy pool 100.96.0.0/11"},
	{BASE "  gateways: [{name: a, address: 10.0.0.1, port: 65536}]\n",
	 "t.yaml:4: edge.gateways[0].port: \"65536\": expected a port from 1 to 65535"},

	/* gateway */
	{BASE "gateway: {listen: 10.9.0.1}\n",
	 "t.yaml:4: gateway.listen: \"10.9.0.1\": expected a map"},
	{BASE "gateway: {listen: {port: 4700}}\n",
	 "t.yaml:4: gateway.listen: key \"address\" is missing"},
	{BASE "gateway: {resolver: {timeout_s: 0}}\n",
	 "t.yaml:4: gateway.resolver.timeout_s: \"0\": expected a number from 1 to 60"},
	{BASE "gateway: {resolver: {timeout_s: ten}}\n",
	 "t.yaml:4: gateway.resolver.timeout_s: \"ten\": expected a number from 1 to 60"},
	{BASE "gateway: {resolver: {timeout_s: [10]}}\n",
	 "t.yaml:4: gateway.resolver.timeout_s: expected a number from 1 to 60, found a list"},
	{BASE "gateway: {masquerade: []}\n", "t.yaml:4: gateway.masquerade: the list is empty, "
					     "expected addresses, or \"none\" to keep the "
					     "client's own"},
	{BASE "gateway: {hops: yes}\n", "t.yaml:4: gateway.hops: \"yes\": expected hide or show"},
	{BASE "gateway: {masquerade: yes}\n",
	 "t.yaml:4: gateway.masquerade: \"yes\": expected auto, none, or a list of addresses"},
	{BASE "gateway: {masquerade: [127.0.0.1]}\n",
	 "t.yaml:4: gateway.masquerade[0]: \"127.0.0.1\": expected an address that others can "
	 "answer to"},
	{BASE "gateway: {masquerade: [100.96.0.1]}\n",
	 "t.yaml:4: gateway.masquerade[0]: 100.96.0.1 lies in the proxy pool 100.96.0.0/11"},
	{BASE "gateway: {masquerade: [198.51.100.1, 198.51.100.1]}\n",
	 "t.yaml:4: gateway.masquerade[1]: masquerade address \"198.51.100.1\" is used twice, "
	 "first in line 4"},
	{BASE "gateway: {masquerade: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, "
	      "10.0.0.7, "
	      "10.0.0.8, 10.0.0.9]}\n",
	 "t.yaml:4: gateway.masquerade[8]: more than 8 addresses of one family"},
	{BASE "gateway: {ports: 2000-1000}\n",
	 "t.yaml:4: gateway.ports: \"2000-1000\": expected a range with its lesser port first"},
	{BASE "gateway: {ports: 512-2000}\n", "t.yaml:4: gateway.ports: \"512-2000\": expected "
					      "ports from 1024 on, clients' ports below are "
					      "mapped to such"},
	{BASE "gateway: {ports: 0-1000}\n", "t.yaml:4: gateway.ports: \"0-1000\": expected a port "
					    "or a range of ports such as 8000-8100"},
	{BASE "gateway: {sessions: {max: 100, per_client: 200}}\n",
	 "t.yaml:4: gateway.sessions: per_client 200 is more than max 100"},
	{BASE "gateway: {sessions: {max: 99999999999}}\n",
	 "t.yaml:4: gateway.sessions.max: \"99999999999\": expected a number from 16 to 16777216"},
	{BASE "gateway: {timeouts: {udps: 300}}\n",
	 "t.yaml:4: gateway.timeouts: unknown key \"udps\", did you mean \"udp_s\"?"},
	{BASE "gateway: {timeouts: {icmp_s: -1}}\n",
	 "t.yaml:4: gateway.timeouts.icmp_s: \"-1\": expected a number from 1 to 604800"},

	/* clients */
	{BASE "clients: [{name: lan}]\n", "t.yaml:4: clients[0]: key \"prefixes\" is missing"},
	{BASE "clients: [{name: lan, prefixes: []}]\n",
	 "t.yaml:4: clients[0].prefixes: the list is empty, expected at least one prefix"},
	{BASE "clients: [{name: a b, prefixes: [192.0.2.0/24]}]\n",
	 "t.yaml:4: clients[0].name: \"a b\": expected a name of 1 to 63 letters, digits, '.', '_' "
	 "or '-'"},
	{BASE "clients:\n- {name: lan, prefixes: [192.0.2.0/24]}\n- {name: lan, prefixes: "
	      "[198.51.100.0/24]}\n",
	 "t.yaml:6: clients[1].name: client name \"lan\" is used twice, first in line 5"},
	{BASE
	 "clients:\n- {name: a, prefixes: [192.0.2.0/24]}\n- {name: b, prefixes: [192.0.2.0/24]}\n",
	 "t.yaml:6: clients[1].prefixes[0]: client prefix \"192.0.2.0/24\" is used twice, first in "
	 "line 5"},
	{BASE "clients: [{name: a, prefixes: [100.64.0.0/10]}]\n",
	 "t.yaml:4: clients[0].prefixes[0]: 100.64.0.0/10 overlaps the proxy pool 100.96.0.0/11"},
	{BASE "clients: [{name: a, prefixes: [\"fd00::/8\"]}]\n",
	 "t.yaml:4: clients[0].prefixes[0]: fd00::/8 overlaps the proxy pool "
	 "fd00:2021:1111:8000::/107"},
	{BASE "clients: [{name: a, prefixes: [192.0.2.0/33]}]\n",
	 "t.yaml:4: clients[0].prefixes[0]: \"192.0.2.0/33\": expected a prefix such as "
	 "192.0.2.0/24 or "
	 "2001:db8::/64"},
	{BASE "clients: [{name: a, prefixes: [2001:db8::1/64]}]\n",
	 "t.yaml:4: clients[0].prefixes[0]: \"2001:db8::1/64\": expected a prefix without bits "
	 "behind its "
	 "length"},

	/* resources */
	{BASE "resources: [{name: web, address: web.example}]\n",
	 "t.yaml:4: resources[0]: key \"id\" is missing"},
	{BASE "resources: [{id: 5f0a7c1e, name: web, address: web.example}]\n",
	 "t.yaml:4: resources[0].id: \"5f0a7c1e\": expected a UUID such as "
	 "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"},
	{BASE "resources:\n" RESOURCE "}\n- {id: " UUID1 ", name: b, address: b.example}\n",
	 "t.yaml:6: resources[1].id: resource id \"" UUID1 "\" is used twice, first in line 5"},
	{BASE "resources:\n" RESOURCE "}\n- {id: " UUID2 ", name: web, address: b.example}\n",
	 "t.yaml:6: resources[1].name: resource name \"web\" is used twice, first in line 5"},
	/* M-03 */
	{BASE "resources: [{id: " UUID1 ", name: web, address: \"a..example\"}]\n",
	 "t.yaml:4: resources[0].address: \"a..example\": expected a name, or a pattern such as "
	 "*.corp.example or **.corp.example"},
	{BASE "resources: [{id: " UUID1 ", name: web, address: \"a**.example\"}]\n",
	 "t.yaml:4: resources[0].address: \"a**.example\": expected a name, or a pattern such as "
	 "*.corp.example or **.corp.example"},
	{BASE "resources:\n" RESOURCE ", ip_stack: both}\n",
	 "t.yaml:5: resources[0].ip_stack: \"both\": expected one of: dual, ipv4, ipv6"},
	{BASE "resources:\n" RESOURCE ", translate: ipv6}\n",
	 "t.yaml:5: resources[0].translate: \"ipv6\": expected one of: same-family, any"},
	{BASE "resources:\n" RESOURCE ", filters: [http]}\n",
	 "t.yaml:5: resources[0].filters[0]: \"http\": expected {tcp: PORTS}, {udp: PORTS} or "
	 "icmp"},
	{BASE "resources:\n" RESOURCE ", filters: [{}]}\n",
	 "t.yaml:5: resources[0].filters[0]: expected {tcp: PORTS}, {udp: PORTS} or icmp, found a "
	 "map"},
	{BASE "resources:\n" RESOURCE ", filters: [{sctp: 7}]}\n",
	 "t.yaml:5: resources[0].filters[0]: unknown key \"sctp\", expected one of: tcp, udp"},
	{BASE "resources:\n" RESOURCE ", filters: [{tcp: 8100-8000}]}\n",
	 "t.yaml:5: resources[0].filters[0].tcp: \"8100-8000\": expected a range with its lesser "
	 "port first"},
	{BASE "resources:\n" RESOURCE ", filters: [{tcp: 1-2-3}]}\n",
	 "t.yaml:5: resources[0].filters[0].tcp: \"1-2-3\": expected a port or a range of ports "
	 "such as "
	 "8000-8100"},
	{BASE "resources:\n" RESOURCE ", gateways: [site-a]}\n",
	 "t.yaml:5: resources[0].gateways[0]: unknown gateway \"site-a\": edge.gateways is absent, "
	 "the "
	 "gateway is the one in this process"},
	{BASE "  gateways: [{name: site-a, address: 10.0.0.1}]\nresources:\n" RESOURCE
	      ", gateways: [site-b]}\n" TRUSTED,
	 "t.yaml:6: resources[0].gateways[0]: unknown gateway \"site-b\", did you mean "
	 "\"site-a\"?"},
	{BASE "  gateways: [{name: a, address: 10.0.0.1}]\nresources:\n" RESOURCE
	      ", gateways: [a, a]}\n" TRUSTED,
	 "t.yaml:6: resources[0].gateways[1]: gateway \"a\" is there twice"},

	/* grants */
	{BASE "grants: [{client: lan, resource: web}]\n",
	 "t.yaml:4: grants[0].client: unknown client \"lan\""},
	{BASE "clients: [{name: lan, prefixes: [192.0.2.0/24]}]\ngrants: [{client: lam, resource: "
	      "web}]\n",
	 "t.yaml:5: grants[0].client: unknown client \"lam\", did you mean \"lan\"?"},
	{BASE "clients: [{name: lan, prefixes: [192.0.2.0/24]}]\ngrants: [{client: lan, resource: "
	      "intranet}]\n",
	 "t.yaml:5: grants[0].resource: unknown resource \"intranet\""},
	{BASE "clients: [{name: lan, prefixes: [192.0.2.0/24]}]\nresources:\n" RESOURCE "}\n"
	      "grants: [{client: lan, resource: web, expires: tomorrow}]\n",
	 "t.yaml:7: grants[0].expires: \"tomorrow\": expected a time such as 2027-01-01T00:00:00Z"},
	{BASE "clients: [{name: lan, prefixes: [192.0.2.0/24]}]\nresources:\n" RESOURCE "}\n"
	      "grants: [{client: lan, resource: web, expires: 2027-02-29T00:00:00Z}]\n",
	 "t.yaml:7: grants[0].expires: \"2027-02-29T00:00:00Z\": expected a date and time that "
	 "exist, after "
	 "1970"},
	{BASE "clients: [{name: lan, prefixes: [192.0.2.0/24]}]\nresources:\n" RESOURCE "}\n"
	      "grants:\n- {client: lan, resource: web}\n- {resource: web, client: lan}\n",
	 "t.yaml:9: grants[1]: grant \"lan to web\" is used twice, first in line 8"},

	/* the rest */
	{BASE "limits: {domains: 524289}\n",
	 "t.yaml:3: edge: the pools hold 524288 domains, limits.domains is 524289: expected pools "
	 "of /10 for IPv4 and /106 for IPv6, or larger"},
	{BASE "limits: {new_names_per_client: 1000001}\n",
	 "t.yaml:4: limits.new_names_per_client: \"1000001\": expected a number from 0 to 1000000"},
	{BASE "limits: {domains: 0}\n",
	 "t.yaml:4: limits.domains: \"0\": expected a number from 1 to 4194304"},
	{BASE "log: {level: warning}\n",
	 "t.yaml:4: log.level: \"warning\": expected one of: error, warn, info, debug"},
	{BASE "log: {format: xml}\n",
	 "t.yaml:4: log.format: \"xml\": expected one of: auto, text, json, journal"},
	{BASE "state: var/lib\n", "t.yaml:4: state: \"var/lib\": expected an absolute path"},
	{BASE "state: \"/a\\0b\"\n", "t.yaml:4: state: expected an absolute path, found nothing"},
	{BASE "control_socket:\n",
	 "t.yaml:4: control_socket: expected an absolute path, found nothing"},
};

static void what_is_wrong_is_said_exactly(void **state)
{
	unsigned int failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config *config = NULL;
		char error[CONFIG_ERROR_LEN];
		int r = config_parse("t.yaml", bad[i].text, strlen(bad[i].text), &config, error);

		if (r == -EINVAL && strcmp(error, bad[i].error) == 0)
			continue;
		print_error("%s\nexpected %s\nis %d    %s\n", bad[i].text, bad[i].error, r, error);
		config_free(config);
		failed++;
	}
	assert_int_equal(failed, 0);
}

/* A list of @count items made by a format that takes its number. */
static void long_list(char *text, size_t cap, const char *begin, const char *item, int count,
		      const char *end)
{
	size_t len = (size_t)snprintf(text, cap, "%s", begin);

	for (int i = 0; i < count; i++) {
		/* "%d" stands for the number */
		const char *place = strstr(item, "%d");

		assert_non_null(place);
		len += (size_t)snprintf(text + len, cap - len, "%.*s%d%s", (int)(place - item),
					item, i, place + 2);
		assert_true(len < cap);
	}
	snprintf(text + len, cap - len, "%s", end);
}

static void lists_are_bounded(void **state)
{
	static const struct {
		const char *begin, *item, *end;
		int max;
		const char *error; /* with one more */
	} rows[] = {
		{BASE "resources:\n" RESOURCE ", filters: [", "{tcp: 1%d},", "]}\n",
		 FQ_FILTER_RANGES,
		 "t.yaml:5: resources[0].filters[32].tcp: more than 32 port ranges"},
		{"edge: {dns: {listen: [192.0.2.1]}}\ninterfaces: [", "eth%d,", "]\n",
		 CONFIG_INTERFACES_MAX, "t.yaml:2: interfaces: 65 items, expected at most 64"},
		{BASE "clients:\n- name: a\n  prefixes: [", "10.0.%d.0/24,", "]\n",
		 CONFIG_PREFIXES_MAX,
		 "t.yaml:6: clients[0].prefixes: 65 items, expected at most 64"},
		{"interfaces: [a]\nedge: {dns: {listen: [", "10.0.0.1%d,", "]}}\n",
		 CONFIG_LISTEN_MAX, "t.yaml:2: edge.dns.listen: 17 items, expected at most 16"},
		{BASE "gateway: {resolver: {servers: [", "10.0.0.1%d,", "]}}\n", CONFIG_SERVERS_MAX,
		 "t.yaml:4: gateway.resolver.servers: 9 items, expected at most 8"},
		{0},
	};
	static char text[65536];

	(void)state;
	for (size_t i = 0; rows[i].error; i++) {
		struct config *config = NULL;
		char error[CONFIG_ERROR_LEN];

		long_list(text, sizeof(text), rows[i].begin, rows[i].item, rows[i].max,
			  rows[i].end);
		config_free(parse_ok(text));
		long_list(text, sizeof(text), rows[i].begin, rows[i].item, rows[i].max + 1,
			  rows[i].end);
		assert_int_equal(config_parse("t.yaml", text, strlen(text), &config, error),
				 -EINVAL);
		assert_string_equal(error, rows[i].error);
	}
}

static void times_are_those_of_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int r;
		time_t t;
	} rows[] = {
		{"2027-01-01T00:00:00Z", 0, 1798761600},
		{"2026-11-22T12:34:56Z", 0, 1795350896},
		{"2000-02-29T23:59:59Z", 0, 951868799},
		{"2100-03-01T00:00:00Z", 0, 4107542400},
		{"2400-12-31T00:00:00Z", 0, 13601001600},
		{"2027-01-01T02:00:00+02:00", 0, 1798761600},
		{"2026-12-31T19:30:00-04:30", 0, 1798761600},
		{"1970-01-01T00:00:01Z", 0, 1},
		{"1970-01-01T00:00:00Z", -ERANGE, 0},
		{"1969-12-31T23:59:59Z", -ERANGE, 0},
		{"2100-02-29T00:00:00Z", -ERANGE, 0},
		{"2027-13-01T00:00:00Z", -ERANGE, 0},
		{"2027-00-01T00:00:00Z", -ERANGE, 0},
		{"2027-04-31T00:00:00Z", -ERANGE, 0},
		{"2027-01-01T24:00:00Z", -ERANGE, 0},
		{"2027-01-01", -EINVAL, 0},
		{"2027-01-01 00:00:00Z", -EINVAL, 0},
		{"2027-01-01T00:00:00", -EINVAL, 0},
		{"2027-01-01T00:00:00Zjunk", -EINVAL, 0},
		{"+027-01-01T00:00:00Z", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		time_t t = 0;

		if (config_time_parse(rows[i].text, &t) != rows[i].r || t != rows[i].t)
			fail_msg("%s: %lld", rows[i].text, (long long)t);
	}
}

static void file_that_cannot_be_read_is_named(void **state)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_LEN];

	(void)state;
	assert_int_equal(config_load("/nonexistent/fqdnat.yaml", &config, error), -ENOENT);
	assert_string_equal(error,
			    "/nonexistent/fqdnat.yaml: cannot be read: No such file or directory");
	assert_int_equal(config_load("/tmp", &config, error), -EISDIR);
	assert_null(config);
}

/* Every prefix of a good file is either good or refused; nothing else happens. */
static void truncated_files_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct config *config = NULL;
		char error[CONFIG_ERROR_LEN];
		int r = config_parse("t.yaml", whole, len, &config, error);

		assert_true(r == 0 || (r == -EINVAL && strncmp(error, "t.yaml:", 7) == 0));
		config_free(config);
	}
}

static void aliases_do_not_go_in_circles(void **state)
{
	static const char text[] = BASE "clients: &a [*a]\n";
	struct config *config = NULL;
	char error[CONFIG_ERROR_LEN];

	(void)state;
	assert_int_equal(config_parse("t.yaml", text, strlen(text), &config, error), -EINVAL);
	assert_string_equal(error, "t.yaml:4: clients[0]: expected a map, found a list");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said_exactly),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(times_are_those_of_rfc_3339),
		cmocka_unit_test(file_that_cannot_be_read_is_named),
		cmocka_unit_test(truncated_files_are_refused),
		cmocka_unit_test(aliases_do_not_go_in_circles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
