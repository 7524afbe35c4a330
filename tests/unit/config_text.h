/* SPDX-License-Identifier: BSD-2-Clause */
/* Configurations as text, for test_config.c and test_config_refused.c. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* Three lines that every short example below begins with. */
#define BASE "interfaces: [lan0]\nedge:\n  dns: {listen: [192.0.2.1]}\n"
/* What every gateway or edge on another machine that has no key must be inside of. */
#define TRUSTED  "control: {trusted: [10.0.0.0/8]}\n"
#define UUID1    "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"
#define UUID2    "00000000-0000-0000-0000-000000000065"
#define RESOURCE "- {id: " UUID1 ", name: web, address: web.example"

static inline struct config *parse_ok(const char *text)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_LEN];

	if (config_parse("t.yaml", text, strlen(text), &config, error) < 0)
		fail_msg("%s\n%s", error, text);
	assert_string_equal(error, "");
	return config;
}

static const char whole[] =
	"interfaces: [lan0, {name: wan0, mode: native}]   # where the programs run\n"
	"control: {trusted: [10.9.0.0/24]}\n"
	"edge:\n"
	"  dns: {listen: [\"192.0.2.1\"], upstream: [system]}\n"
	"  pools: {ipv4: 100.96.0.0/11, ipv6: \"fd00:2021:1111:8000::/107\"}\n"
	"  gateways:\n"
	"    - {name: site-a, address: 10.9.0.1, port: 4700}\n"
	"gateway:\n"
	"  listen: {address: 10.9.0.1, port: 4700}\n"
	"  edges: [{name: home, address: 10.9.0.7}]\n"
	"  resolver: {servers: [system], timeout_s: 10}\n"
	"  masquerade: auto                  # auto | none | [addresses]\n"
	"  ports: 1024-65535\n"
	"  sessions: {max: 1048576, per_client: 65536}\n"
	"clients:\n"
	"  - {name: lan, prefixes: [192.0.2.0/24, \"2001:db8:1::/64\"]}\n"
	"resources:\n"
	"  - id: " UUID1 "\n"
	"    name: intranet\n"
	"    address: \"*.corp.example\"\n"
	"    ip_stack: dual                  # dual | ipv4 | ipv6\n"
	"    filters: [{tcp: 443}, {tcp: 8000-8100}, icmp]\n"
	"    gateways: [site-a]\n"
	"grants:\n"
	"  - {client: lan, resource: intranet, expires: 2027-01-01T00:00:00Z}\n";
