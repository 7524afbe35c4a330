/* SPDX-License-Identifier: BSD-2-Clause */
/* The stub resolver: what is answered for which name and type, and what goes elsewhere. */
#include <errno.h>
#include <string.h>

#include "core/reverse.h"

#include "stub_lab.h"

#define HTTPS ((ldns_rr_type)65)

/* D-01, P-02: A and AAAA of a resource, four records with TTL 1, all assigned at once. */
static void addresses_of_a_resource(void **state)
{
	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	assert_true(ldns_pkt_aa(answer));
	assert_record(0, "a.corp.example.\t1\tIN\tA\t100.96.0.1\n");
	assert_record(3, "a.corp.example.\t1\tIN\tA\t100.96.0.4\n");
	assert_int_equal(reply.reason, FQ_R_DNS_LOCAL);

	ask("a.corp.example.", LDNS_RR_TYPE_AAAA);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	assert_record(0, "a.corp.example.\t1\tIN\tAAAA\tfd00:2021:1111:8000::\n");
	assert_record(3, "a.corp.example.\t1\tIN\tAAAA\tfd00:2021:1111:8000::3\n");
}

/* P-03: asked again, the same addresses in the same order. */
static void repeated_queries_get_the_same_addresses(void **state)
{
	uint8_t first[512];
	size_t len;

	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	len = reply.len;
	memcpy(first, reply.bytes, len);
	ask("b.corp.example.", LDNS_RR_TYPE_A);
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_int_equal(reply.len, len);
	assert_memory_equal(reply.bytes, first, len);
}

/* D-01: names of no resource are the upstream's. */
static void other_names_are_forwarded(void **state)
{
	static const ldns_rr_type types[] = {
		LDNS_RR_TYPE_A,   LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_PTR, HTTPS,
		LDNS_RR_TYPE_SRV, LDNS_RR_TYPE_TXT,  LDNS_RR_TYPE_MX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(ask("www.example.", types[i]), STUB_FORWARD);
		assert_int_equal(reply.reason, FQ_R_DNS_FORWARDED);
		assert_int_equal(reply.qtype, types[i]);
	}
	assert_int_equal(ask("we\\032ird.corp.example.", LDNS_RR_TYPE_A), STUB_FORWARD);
	assert_int_equal(ask(".", LDNS_RR_TYPE_NS), STUB_FORWARD);
}

/* D-01: MX, NS, SOA, CAA, ANY of a resource are the upstream's, too. */
static void other_types_are_forwarded(void **state)
{
	static const ldns_rr_type types[] = {
		LDNS_RR_TYPE_MX,  LDNS_RR_TYPE_NS,    LDNS_RR_TYPE_SOA,
		LDNS_RR_TYPE_CAA, LDNS_RR_TYPE_CNAME, LDNS_RR_TYPE_ANY,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(ask("a.corp.example.", types[i]), STUB_FORWARD);
}

/* D-01: HTTPS and SVCB of a resource are answered without a record. */
static void https_is_nodata(void **state)
{
	(void)state;
	ask("a.corp.example.", HTTPS);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	ask("a.corp.example.", (ldns_rr_type)64);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	bed_do(&bed, 0, "refresh a.corp.example");
	assert_string_equal(bed.text, "error ENOENT"); /* it makes no domain */
}

/* D-03: HTTPS of a failed domain asks its gateway again. */
static void https_recreates(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query a.corp.example");
	bed_do(&bed, 1, "inactive a.corp.example A@1");
	bed_do(&bed, 5000, "tick");
	ask("a.corp.example.", HTTPS);
	assert_int_equal(bed_state(&bed, "a.corp.example", 'A'), EDGE_PENDING);
}

/* D-01: SRV and TXT go to the site of the most specific resource. */
static void srv_and_txt_go_to_the_site(void **state)
{
	(void)state;
	assert_int_equal(ask("_ldap._tcp.corp.example.", LDNS_RR_TYPE_SRV), STUB_FORWARD);
	assert_int_equal(ask("a.corp.example.", LDNS_RR_TYPE_SRV), STUB_SITE);
	assert_int_equal(reply.resource, 1);
	assert_int_equal(reply.gateway, 1);
	assert_int_equal(ask("web.corp.example.", LDNS_RR_TYPE_TXT), STUB_SITE);
	assert_int_equal(reply.resource, 4);
	assert_int_equal(reply.gateway, 1); /* 2 is not up */
	bed_do(&bed, 0, "up 2");
	assert_int_equal(ask("web.corp.example.", LDNS_RR_TYPE_TXT), STUB_SITE);
	assert_int_equal(reply.gateway, 2);
}

/* M-05, D-01: of equally specific resources the one with the greatest id is the site. */
static void ties_go_to_the_greatest_id(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "*.corp.example", IP_STACK_DUAL, 1, 0),
		bed_resource('C', "*.corp.example", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "*.corp.example", IP_STACK_DUAL, 1, 0),
	};

	(void)state;
	bed_resources(&bed, list, 3);
	assert_int_equal(ask("a.corp.example.", LDNS_RR_TYPE_TXT), STUB_SITE);
	assert_int_equal(reply.resource, 3);
}

/* D-01: PTR of an assigned proxy address gives the domain, whichever family. */
static void ptr_of_a_proxy_address(void **state)
{
	(void)state;
	assert_int_equal(ask("1.0.96.100.in-addr.arpa.", LDNS_RR_TYPE_PTR), STUB_FORWARD);
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	ask("1.0.96.100.in-addr.arpa.", LDNS_RR_TYPE_PTR);
	assert_answer(LDNS_RCODE_NOERROR, 1);
	assert_record(0, "1.0.96.100.in-addr.arpa.\t1\tIN\tPTR\ta.corp.example.\n");
	ask("3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.1.1.1.1.2.0.2.0.0.d.f.ip6.arpa.",
	    LDNS_RR_TYPE_PTR);
	assert_answer(LDNS_RCODE_NOERROR, 1);
}

/* D-02: PTR of an address that is not ours is the upstream's. */
static void ptr_of_other_addresses_is_forwarded(void **state)
{
	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_int_equal(ask("5.0.96.100.in-addr.arpa.", LDNS_RR_TYPE_PTR), STUB_FORWARD);
	assert_int_equal(ask("1.2.0.192.in-addr.arpa.", LDNS_RR_TYPE_PTR), STUB_FORWARD);
	assert_int_equal(ask("1.0.1.0.96.100.in-addr.arpa.", LDNS_RR_TYPE_PTR), STUB_FORWARD);
}

/* D-01: the canary of DNS over HTTPS does not exist, whatever is asked. */
static void query_for_doh_canary_domain_records_nx_domain(void **state)
{
	static const ldns_rr_type types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_MX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ask("Use-Application-DNS.net.", types[i]);
		assert_answer(LDNS_RCODE_NXDOMAIN, 0);
	}
}

/* P-05: a family that the resource lacks is answered without a record. */
static void stack_is_honoured(void **state)
{
	(void)state;
	ask("four.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	ask("four.example.", LDNS_RR_TYPE_AAAA);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	ask("six.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	ask("six.example.", LDNS_RR_TYPE_AAAA);
	assert_answer(LDNS_RCODE_NOERROR, 4);
}

/* P-05, D-08: the setting can be changed after the addresses were assigned. */
static void stack_can_be_restricted_later(void **state)
{
	struct edge_resource list[] = {bed_resource('A', "*.corp.example", IP_STACK_IPV6, 1, 0)};

	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	bed_resources(&bed, list, 1);
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	ask("a.corp.example.", LDNS_RR_TYPE_AAAA);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	list[0].ip_stack = IP_STACK_DUAL;
	bed_resources(&bed, list, 1);
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_record(0, "a.corp.example.\t1\tIN\tA\t100.96.0.1\n");
}

/* P-06: a family is answered if any matching resource has it. */
static void any_resource_gives_a_family(void **state)
{
	(void)state;
	ask("a.mixed.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	ask("a.mixed.example.", LDNS_RR_TYPE_AAAA);
	assert_answer(LDNS_RCODE_NOERROR, 4);
}

/* D-08: the set of resources changes, the next answer follows it, addresses stay. */
static void resources_change_at_once(void **state)
{
	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	bed_resources(&bed, NULL, 0);
	assert_int_equal(ask("a.corp.example.", LDNS_RR_TYPE_A), STUB_FORWARD);
	assert_int_equal(ask("a.corp.example.", HTTPS), STUB_FORWARD);
	set_resources();
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_record(0, "a.corp.example.\t1\tIN\tA\t100.96.0.1\n");
}

/* P-10: the pool is exhausted: SERVFAIL, counted. */
static void exhausted_pool_is_servfail(void **state)
{
	struct edge_settings settings = bed_settings();

	(void)state;
	assert_int_equal(ipprefix_parse("100.96.0.0/29", &settings.pool.v4), 0);
	bed_close(&bed);
	bed_open(&bed, &settings);
	set_resources();
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	ask("b.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_SERVFAIL, 0);
	assert_int_equal(reply.reason, FQ_R_POOL_EXHAUSTED);
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
}

/* P-10: no new names for a client that has made too many; those that have addresses go on. */
static void new_names_can_be_refused(void **state)
{
	static const struct {
		const char *name;
		ldns_rr_type type;
		enum stub_outcome outcome;
		ldns_pkt_rcode rcode;
		enum fq_reason reason;
	} rows[] = {
		{"a.corp.example.", LDNS_RR_TYPE_A, STUB_ANSWER, LDNS_RCODE_NOERROR,
		 FQ_R_DNS_LOCAL},
		{"b.corp.example.", LDNS_RR_TYPE_A, STUB_ANSWER, LDNS_RCODE_REFUSED,
		 FQ_R_DNS_OVERLOAD},
		{"b.corp.example.", LDNS_RR_TYPE_AAAA, STUB_ANSWER, LDNS_RCODE_REFUSED,
		 FQ_R_DNS_OVERLOAD},
		{"b.corp.example.", HTTPS, STUB_ANSWER, LDNS_RCODE_NOERROR, FQ_R_DNS_LOCAL},
		{"b.corp.example.", LDNS_RR_TYPE_TXT, STUB_SITE, 0, FQ_R_DNS_FORWARDED},
		{"www.example.", LDNS_RR_TYPE_A, STUB_FORWARD, 0, FQ_R_DNS_FORWARDED},
	};
	struct edge_usage usage;

	(void)state;
	ask("a.corp.example.", LDNS_RR_TYPE_A);
	no_new_names = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ask(rows[i].name, rows[i].type), rows[i].outcome);
		assert_int_equal(reply.reason, rows[i].reason);
		if (rows[i].outcome == STUB_ANSWER)
			assert_int_equal(ldns_pkt_get_rcode(answer), rows[i].rcode);
	}
	edge_usage(bed.edge, &usage);
	assert_int_equal(usage.domains, 1);
}

struct reverse_row {
	const char *name;
	const char *addr; /* NULL: none */
};

/* D-02: what is the reverse name of an address, and what is not. */
static void reverse_names(void **state)
{
#define NIBBLES "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4"
	static const struct reverse_row rows[] = {
		{"1.2.3.4.in-addr.arpa", "4.3.2.1"},
		{"255.0.0.10.in-addr.arpa", "10.0.0.255"},
		{"1.2.3.4.5.in-addr.arpa", NULL},
		{"2.3.4.in-addr.arpa", NULL},
		{"1.2.3.4.in-addr.carpa", NULL},
		{"1.2.3.4.ip6.arpa", NULL},
		{"1.2.3.256.in-addr.arpa", NULL},
		{"1.2.3.04.in-addr.arpa", NULL},
		{"1.2.3.a.in-addr.arpa", NULL},
		{"1.2.3.0000.in-addr.arpa", NULL},
		{"in-addr.arpa", NULL},
		{"ip6.arpa", NULL},
		{NIBBLES ".ip6.arpa", "4321:0:1:2:3:4:567:89ab"},
		{"1." NIBBLES ".ip6.arpa", NULL},
		{NIBBLES ".in-addr.arpa", NULL},
		{NIBBLES ".ip6.carpa", NULL},
		{"g.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa", NULL},
		{"ba.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.0.ip6.arpa", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dname name = bed_name(rows[i].name);
		char buf[IPADDR_STRLEN];
		struct fq_addr addr;
		bool is = reverse_parse(&name, &addr);

		if (is != (rows[i].addr != NULL))
			fail_msg("%s", rows[i].name);
		if (is)
			assert_string_equal(ipaddr_format(&addr, buf), rows[i].addr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_of_a_resource),
		T(repeated_queries_get_the_same_addresses),
		T(other_names_are_forwarded),
		T(other_types_are_forwarded),
		T(https_is_nodata),
		T(https_recreates),
		T(srv_and_txt_go_to_the_site),
		T(ties_go_to_the_greatest_id),
		T(ptr_of_a_proxy_address),
		T(ptr_of_other_addresses_is_forwarded),
		T(query_for_doh_canary_domain_records_nx_domain),
		T(stack_is_honoured),
		T(stack_can_be_restricted_later),
		T(any_resource_gives_a_family),
		T(resources_change_at_once),
		T(exhausted_pool_is_servfail),
		T(new_names_can_be_refused),
		cmocka_unit_test(reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
