/* SPDX-License-Identifier: BSD-2-Clause */
/* The edge gets other resources: what that does to domains, and what is refused. */
#include <stdio.h>
#include <string.h>

#include "edge_lab.h"

/* C-19, D-08: a resource goes, and its entries, and only they; addresses stay. */
static void removed_resource_takes_its_entries(void **state)
{
	const struct edge_resource only_a[] = {bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0)};
	struct fq_addr before;

	(void)state;
	bed_do(&bed, 0, "query b.x");
	bed_do(&bed, 1, "active b.x A@1");
	bed_do(&bed, 2, "active b.x B@2");
	before = bed_proxy(&bed, "b.x");

	reload("B@2 confirmed>none; changed b.x; b.x/4 forward @1", only_a, 1);
	expect(3, "active b.x B@2", "unknown");
	reload("A@1 confirmed>none; changed b.x; b.x refuse", NULL, 0);
	expect(4, "query b.x", "no match");
	expect(5, "packet b.x 1", "release b.x 1"); /* to be refused */

	reload("changed b.x; b.x hold", only_a, 1);
	expect(6, "query b.x", "A@1 none>pending; send A@1 #3 4+4; b.x hold @1");
	assert_true(ipaddr_equal(&before, &(struct fq_addr[]){bed_proxy(&bed, "b.x")}[0]));
}

/* C-19: what a removed resource held is dropped. */
static void removed_resource_drops_held_packets(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "packet a.x 1");
	reload("A@1 pending>none; changed a.x; a.x refuse; dropped a.x 1", NULL, 0);
}

/* P-07, P-09: a changed pattern changes who publishes a domain, not its addresses. */
static void changed_pattern_reconciles_domains(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "*.y", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_IPV4, 2, 0),
		bed_resource('C', "*.x", IP_STACK_DUAL, 1, 0),
	};

	(void)state;
	bed_do(&bed, 0, "query b.x");
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "active a.x A@1");
	bed_do(&bed, 1, "active b.x B@2");
	reload("A@1 pending>none; changed b.x; b.x/6 hold; "
	       "A@1 confirmed>none; changed a.x; a.x hold",
	       list, 3);
	reload("", list, 3);
	expect(5, "query a.x", "C@1 none>pending; send C@1 #4 4+4; a.x hold @1");
}

/* A resource moves to another gateway: its entries there are asked for anew. */
static void resource_moves_to_another_gateway(void **state)
{
	const struct edge_resource moved[] = {bed_resource('A', "**.x", IP_STACK_DUAL, 2, 0)};

	(void)state;
	bed_do(&bed, 0, "query a.x");
	bed_do(&bed, 1, "active a.x A@1");
	reload("A@1 confirmed>none; changed a.x; a.x hold", moved, 1);
	expect(5, "packet a.x 1", "A@2 none>pending; send A@2 #2 4+4; a.x hold @2");
}

/* P-06: AssignedIps carries the families that its resource has when it is sent. */
static void assigned_ips_follow_the_stack(void **state)
{
	const struct edge_resource six[] = {bed_resource('A', "**.x", IP_STACK_IPV6, 1, 0)};

	(void)state;
	expect(0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1");
	expect(1, "packet a.x 1", "");
	expect(1, "packet6 a.x 2", "");
	reload("A@1 pending>none; changed a.x; a.x/4 refuse; a.x/6 hold; dropped a.x 1", six, 1);
	expect(2, "active a.x A@1", "unknown"); /* which knows other addresses than are answered */
	expect(3, "query a.x", "A@1 none>pending; send A@1 #2 0+4; a.x/6 hold @1");
	expect(4, "active a.x A@1", "A@1 pending>confirmed; a.x/6 forward @1; release a.x 2");
}

/* P-06, C-19: a gateway that was told of IPv4 only is told anew before IPv6 packets pass. */
static void changed_stack_is_asked_for_again(void **state)
{
	const struct edge_resource four[] = {bed_resource('A', "**.x", IP_STACK_IPV4, 1, 0)};
	const struct edge_resource dual[] = {bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0)};
	struct dname name = bed_name("a.x");
	struct edge_answer answer;

	(void)state;
	reload("", four, 1);
	expect(0, "query a.x",
	       "new a.x; A@1 none>pending; send A@1 #1 4+0; a.x/4 hold @1; a.x/6 refuse");
	bed_do(&bed, 1, "active a.x A@1");
	bed_do(&bed, 1, "query failed.x");
	bed_do(&bed, 2, "inactive failed.x A@1");
	reload("", four, 1);

	reload("A@1 confirmed>none; changed a.x; a.x hold; "
	       "A@1 failed>none; changed failed.x; failed.x hold",
	       dual, 1);
	expect(3, "packet a.x 1", "A@1 none>pending; send A@1 #3 4+4; a.x hold @1");
	assert_int_equal(edge_query(bed.edge, &name, bed.now, &answer), 0);
	assert_true(answer.ipv4 && answer.ipv6);
	expect(4, "active a.x A@1", "A@1 pending>confirmed; a.x forward @1; release a.x 1");
	expect(5, "query failed.x", "A@1 none>pending; send A@1 #4 4+4; failed.x hold @1");
}

/* P-06: beside a resource that goes on as it was, the changed one is asked for with a query. */
static void changed_stack_leaves_others_alone(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_DUAL, 2, 0),
	};

	(void)state;
	bed_do(&bed, 0, "query b.x");
	bed_do(&bed, 1, "active b.x A@1");
	bed_do(&bed, 2, "active b.x B@2");
	reload("B@2 confirmed>none; changed b.x; b.x/4 forward @1", list, 2);
	expect(3000, "query b.x",
	       "B@2 none>pending; send B@2 #3 4+4; A@1 confirmed>recreating; "
	       "A@1 recreating>pending; send A@1 #4 4+4");
}

/* M-03: an invalid pattern is left out and said so. */
static void invalid_pattern_is_ignored(void **state)
{
	struct edge_resource list[] = {
		bed_resource('A', "a..x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_DUAL, 1, 0),
	};

	(void)state;
	reload("ignored A", list, 2);
	expect(0, "query a.x", "no match");
	expect(0, "query b.x", "new b.x; B@1 none>pending; send B@1 #1 4+4; b.x hold @1");
}

static void impossible_resources_change_nothing(void **state)
{
	struct edge_resource list[] = {
		bed_resource('C', "*.c", IP_STACK_DUAL, 1, 0),
		bed_resource('C', "*.d", IP_STACK_DUAL, 1, 0),
	};

	(void)state;
	reload("error EEXIST", list, 2);
	list[1].id = 9;
	reload("error EEXIST", list, 2);
	strcpy(list[1].uuid, "no uuid");
	reload("error EINVAL", list, 2);
	list[1] = bed_resource('D', "*.d", IP_STACK_DUAL, 1, 0);
	list[1].gateway_count = EDGE_RESOURCE_GATEWAYS + 1;
	reload("error EINVAL", list, 2);
	expect(0, "query a.x", "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold @1");
}

/* M-04, M-05, M-06: a domain's resources, most specific first, ties by greatest id. */
static void resources_of_a_domain_are_ordered(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "*.b.x", IP_STACK_DUAL, 1, 0),
		bed_resource('C', "a.b.x", IP_STACK_DUAL, 1, 0),
		bed_resource('D', "*.b.x", IP_STACK_DUAL, 1, 0),
		bed_resource('E', "?.b.x", IP_STACK_DUAL, 1, 0),
	};
	static const uint32_t order[] = {3, 5, 4, 2, 1};
	struct dname name = bed_name("a.b.x");
	struct edge_domain_view v;

	(void)state;
	reload("", list, 5);
	bed_do(&bed, 0, "query a.b.x");
	assert_true(edge_find_name(bed.edge, &name, &v));
	assert_int_equal(v.resource_count, 5);
	assert_memory_equal(v.resources, order, sizeof(order));
}

/* M-04: of more resources than fit, the least specific ones are left out. */
static void too_many_resources_keep_the_specific_ones(void **state)
{
	struct edge_resource list[10];
	char patterns[10][32] = {""};
	struct dname name = bed_name("abcdefghij.x");
	struct edge_domain_view v;

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(patterns[i], sizeof(patterns[i]), "%.*s*.x", i, "abcdefghij");
		list[i] = bed_resource((char)('A' + i), patterns[i], IP_STACK_DUAL, 1, 0);
	}
	reload("", list, 10);
	bed_do(&bed, 0, "query abcdefghij.x");
	assert_true(edge_find_name(bed.edge, &name, &v));
	assert_int_equal(v.resource_count, EDGE_DOMAIN_RESOURCES);
	assert_int_equal(v.resources[0], 10);
	assert_int_equal(v.resources[7], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(removed_resource_takes_its_entries),
		T(removed_resource_drops_held_packets),
		T(changed_pattern_reconciles_domains),
		T(resource_moves_to_another_gateway),
		T(assigned_ips_follow_the_stack),
		T(changed_stack_is_asked_for_again),
		T(changed_stack_leaves_others_alone),
		T(invalid_pattern_is_ignored),
		T(impossible_resources_change_nothing),
		T(resources_of_a_domain_are_ordered),
		T(too_many_resources_keep_the_specific_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
