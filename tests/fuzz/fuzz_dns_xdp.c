/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS queries from anyone: what the XDP program answers (bpf/dns.h), the daemon would have answered
 * with the same bytes.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_dns_xdp.c
 *tests/lib/edge_bed.c fuzz_dns_xdp tests/fuzz/corpus/dns_xdp
 */
#include "fuzz.h"

#include "../lib/dns_same.h"
#include "../lib/edge_bed.h"

static struct bed bed;
static struct dns_same map;

static void open_edge(void)
{
	const struct edge_resource list[] = {
		bed_resource('A', "*.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "four.y", IP_STACK_IPV4, 1, 0),
		bed_resource('C', "six.y", IP_STACK_IPV6, 1, 0),
	};
	static const char *const steps[] = {
		"up 1",
		"query a.x",
		"active a.x A@1",
		"query four.y",
		"active four.y B@1",
		"query six.y",
		"active six.y C@1",
		"query b.x", /* pending: not in the map */
	};

	bed_open(&bed, NULL);
	bed_resources(&bed, list, sizeof(list) / sizeof(list[0]));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		bed_do(&bed, 0, steps[i]);
	require(dns_same_add(&map, bed.edge, "a.x", bed.now));
	require(dns_same_add(&map, bed.edge, "four.y", bed.now));
	require(dns_same_add(&map, bed.edge, "six.y", bed.now));
	require(!dns_same_add(&map, bed.edge, "b.x", bed.now));
	require(dns_same_add_ptr(&map, bed.edge, "1.0.96.100.in-addr.arpa", bed.now));
	require(dns_same_add_ptr(&map, bed.edge,
				 "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f"
				 ".ip6.arpa",
				 bed.now));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!bed.edge)
		open_edge();
	require(dns_same(&map, bed.edge, bed.now, data, size) != DNS_SAME_DIFFERS);
	return 0;
}
