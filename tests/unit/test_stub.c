/* SPDX-License-Identifier: BSD-2-Clause */
/* The stub resolver: core/stub.h, core/reverse.h. Queries are made and answers read by ldns. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "../lib/edge_bed.h"
#include "core/reverse.h"
#include "core/stub.h"

#define HTTPS ((ldns_rr_type)65)

static struct bed bed;
static struct stub_reply reply;
static ldns_pkt *answer; /* of the last query, NULL: none */
static bool no_new_names;

static void set_resources(void)
{
	const struct edge_resource list[] = {
		bed_resource('A', "*.corp.example", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "four.example", IP_STACK_IPV4, 1, 0),
		bed_resource('C', "six.example", IP_STACK_IPV6, 1, 0),
		bed_resource('D', "web.corp.example", IP_STACK_DUAL, 2, 1),
		bed_resource('E', "*.mixed.example", IP_STACK_IPV4, 1, 0),
		bed_resource('F', "**.mixed.example", IP_STACK_IPV6, 1, 0),
	};

	bed_resources(&bed, list, sizeof(list) / sizeof(list[0]));
}

static int setup(void **state)
{
	(void)state;
	bed_open(&bed, NULL);
	bed_do(&bed, 0, "up 1");
	set_resources();
	return 0;
}

static void reply_reset(void)
{
	stub_reply_done(&reply);
	reply = (struct stub_reply){0};
	if (answer)
		ldns_pkt_free(answer);
	answer = NULL;
}

static int teardown(void **state)
{
	(void)state;
	no_new_names = false;
	reply_reset();
	bed_close(&bed);
	return 0;
}

static enum stub_outcome handle(const uint8_t *bytes, size_t len, bool tcp)
{
	const struct stub_query query = {
		.bytes = bytes, .len = len, .tcp = tcp, .no_new_names = no_new_names};
	struct edge_action a;

	reply_reset();
	assert_int_equal(stub_handle(bed.edge, &query, bed.now, &reply), 0);
	while (edge_next(bed.edge, &a))
		;
	if (reply.outcome == STUB_ANSWER)
		assert_int_equal(ldns_wire2pkt(&answer, reply.bytes, reply.len), LDNS_STATUS_OK);
	else
		assert_null(reply.bytes);
	return reply.outcome;
}

static ldns_pkt *query_of(const char *name, ldns_rr_type type, ldns_rr_class class)
{
	ldns_pkt *q = NULL;

	assert_int_equal(ldns_pkt_query_new_frm_str(&q, name, type, class, LDNS_RD),
			 LDNS_STATUS_OK);
	ldns_pkt_set_id(q, 0x1234);
	return q;
}

/* Frees @q. */
static enum stub_outcome handle_pkt(ldns_pkt *q, bool tcp)
{
	uint8_t *wire;
	size_t len;
	enum stub_outcome outcome;

	assert_int_equal(ldns_pkt2wire(&wire, q, &len), LDNS_STATUS_OK);
	outcome = handle(wire, len, tcp);
	free(wire);
	ldns_pkt_free(q);
	return outcome;
}

static enum stub_outcome ask(const char *name, ldns_rr_type type)
{
	return handle_pkt(query_of(name, type, LDNS_RR_CLASS_IN), false);
}

static void assert_answer(ldns_pkt_rcode rcode, size_t records)
{
	assert_int_equal(reply.outcome, STUB_ANSWER);
	assert_int_equal(ldns_pkt_get_rcode(answer), rcode);
	assert_int_equal(ldns_pkt_ancount(answer), records);
	assert_int_equal(ldns_pkt_id(answer), 0x1234);
	assert_true(ldns_pkt_qr(answer));
	assert_true(ldns_pkt_rd(answer));
	assert_true(ldns_pkt_ra(answer));
}

static void assert_record(size_t i, const char *text)
{
	char *s = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(answer), i));

	assert_string_equal(s, text);
	free(s);
}

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

/* The case of the question comes back (draft-vixie-dnsext-dns0x20). */
static void case_of_the_question_is_kept(void **state)
{
	char *s;

	(void)state;
	ask("A.cOrP.eXaMpLe.", LDNS_RR_TYPE_A);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	assert_record(0, "A.cOrP.eXaMpLe.\t1\tIN\tA\t100.96.0.1\n");
	s = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(answer), 0)));
	assert_string_equal(s, "A.cOrP.eXaMpLe.");
	assert_string_equal(reply.name.text, "a.corp.example");
	free(s);
}

/* D-04, RFC 6891: OPT is answered with ours, DO copied; without one there is none. */
static void edns_is_answered(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);

	(void)state;
	ldns_pkt_set_edns_udp_size(q, 4096);
	ldns_pkt_set_edns_do(q, true);
	ldns_pkt_set_cd(q, true);
	handle_pkt(q, false);
	assert_answer(LDNS_RCODE_NOERROR, 4);
	assert_true(ldns_pkt_edns(answer));
	assert_int_equal(ldns_pkt_edns_udp_size(answer), STUB_UDP_SIZE);
	assert_true(ldns_pkt_edns_do(answer));
	assert_true(ldns_pkt_cd(answer));
	assert_int_equal(reply.answer_max, STUB_UDP_SIZE);

	ask("a.corp.example.", LDNS_RR_TYPE_A);
	assert_false(ldns_pkt_edns(answer));
	assert_int_equal(reply.answer_max, STUB_UDP_MIN);
	handle_pkt(query_of("www.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN), true);
	assert_int_equal(reply.answer_max, STUB_TCP_MAX);
	q = query_of("www.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	ldns_pkt_set_edns_udp_size(q, 100); /* less than 512 means 512 */
	handle_pkt(q, false);
	assert_int_equal(reply.answer_max, STUB_UDP_MIN);
	q = query_of("www.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	ldns_pkt_set_edns_udp_size(q, 800);
	handle_pkt(q, false);
	assert_int_equal(reply.answer_max, 800);
}

/* RFC 6891 6.1.3: another version of EDNS is BADVERS. */
static void other_edns_version_is_badvers(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);

	(void)state;
	ldns_pkt_set_edns_udp_size(q, 1232);
	ldns_pkt_set_edns_version(q, 1);
	handle_pkt(q, false);
	assert_answer(LDNS_RCODE_NOERROR, 0);
	assert_int_equal(ldns_pkt_edns_extended_rcode(answer), 1);
	assert_int_equal(ldns_pkt_edns_version(answer), 0);
}

/* D-04: what is no query, or has no header, is dropped. */
static void answers_and_fragments_are_dropped(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	uint8_t bytes[11] = {0};

	(void)state;
	ldns_pkt_set_qr(q, true);
	assert_int_equal(handle_pkt(q, false), STUB_DROP);
	assert_int_equal(reply.reason, FQ_R_DNS_MALFORMED);
	assert_int_equal(handle(bytes, 0, false), STUB_DROP);
	assert_int_equal(handle(bytes, sizeof(bytes), false), STUB_DROP);
}

/* D-04: malformed with a header is FORMERR, at whatever byte it ends. */
static void truncated_queries_are_formerr(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	uint8_t *wire;
	size_t len;

	(void)state;
	ldns_pkt_set_edns_udp_size(q, 1232);
	assert_int_equal(ldns_pkt2wire(&wire, q, &len), LDNS_STATUS_OK);
	for (size_t n = 12; n < len; n++) {
		uint8_t *copy = malloc(n); /* its own block, for the sanitizer */

		memcpy(copy, wire, n);
		handle(copy, n, false);
		assert_answer(LDNS_RCODE_FORMERR, 0);
		assert_int_equal(reply.reason, FQ_R_DNS_MALFORMED);
		free(copy);
	}
	wire[5] = 2; /* QDCOUNT */
	handle(wire, len, false);
	assert_answer(LDNS_RCODE_FORMERR, 0);
	wire[5] = 0;
	handle(wire, len, false);
	assert_answer(LDNS_RCODE_FORMERR, 0);
	free(wire);
	ldns_pkt_free(q);
}

/* D-04: other opcodes are not implemented, other classes refused. */
static void other_opcodes_and_classes_are_refused(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_SOA, LDNS_RR_CLASS_IN);

	(void)state;
	ldns_pkt_set_opcode(q, LDNS_PACKET_NOTIFY);
	handle_pkt(q, false);
	assert_answer(LDNS_RCODE_NOTIMPL, 0);
	assert_int_equal(ldns_pkt_get_opcode(answer), LDNS_PACKET_NOTIFY);
	handle_pkt(query_of("version.bind.", LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_CH), false);
	assert_answer(LDNS_RCODE_REFUSED, 0);
}

/* Any bytes at all: an outcome, and nothing read out of bounds. */
static void random_bytes_do_no_harm(void **state)
{
	ldns_pkt *q = query_of("a.corp.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	uint32_t random = 1;
	uint8_t *wire;
	size_t len;

	(void)state;
	ldns_pkt_set_edns_udp_size(q, 1232);
	assert_int_equal(ldns_pkt2wire(&wire, q, &len), LDNS_STATUS_OK);
	for (int i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(len);

		memcpy(copy, wire, len);
		for (int j = 0; j < 1 + i % 5; j++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % len] = (uint8_t)(random >> 24);
		}
		handle(copy, len, i % 2);
		free(copy);
	}
	free(wire);
	ldns_pkt_free(q);
}

/* An answer with @count TXT records to a query with EDNS. */
static size_t long_answer(int count, uint8_t **ret_wire)
{
	ldns_pkt *p = query_of("www.example.", LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_IN);
	size_t len;

	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_edns_udp_size(p, 1232);
	for (int i = 0; i < count; i++) {
		ldns_rr *rr = NULL;

		assert_int_equal(ldns_rr_new_frm_str(&rr,
						     "www.example. 60 IN TXT \"0123456789abcdef\"",
						     0, NULL, NULL),
				 LDNS_STATUS_OK);
		ldns_pkt_push_rr(p, LDNS_SECTION_ANSWER, rr);
	}
	assert_int_equal(ldns_pkt2wire(ret_wire, p, &len), LDNS_STATUS_OK);
	ldns_pkt_free(p);
	return len;
}

/* D-04: an answer too long for UDP keeps question and OPT and has TC. */
static void long_answers_are_truncated(void **state)
{
	uint8_t *wire;
	size_t len = long_answer(40, &wire), n;

	(void)state;
	assert_int_equal(stub_truncate(wire, len, len), len);
	n = stub_truncate(wire, len, 512);
	assert_int_equal(ldns_wire2pkt(&answer, wire, n), LDNS_STATUS_OK);
	assert_true(ldns_pkt_tc(answer));
	assert_int_equal(ldns_pkt_qdcount(answer), 1);
	assert_int_equal(ldns_pkt_ancount(answer), 0);
	assert_true(ldns_pkt_edns(answer));
	assert_int_equal(ldns_pkt_edns_udp_size(answer), 1232);
	free(wire);
}

/* D-04: also if it is malformed: what is left is a header with TC, at most @max long. */
static void malformed_long_answers_are_truncated(void **state)
{
	(void)state;
	for (size_t cut = 12; cut < 300; cut += 7) {
		uint8_t *wire;
		size_t len = long_answer(40, &wire), n;

		memset(wire + cut, 0xff, len - cut);
		n = stub_truncate(wire, len, 512);
		assert_true(n >= 12 && n <= 512);
		assert_true(wire[2] & 0x02);
		free(wire);
	}
}

/* D-05: what an upstream that failed is answered for. */
static void upstream_failure_is_servfail(void **state)
{
	ldns_pkt *q = query_of("www.example.", LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN);
	uint8_t *wire;
	size_t len;

	(void)state;
	assert_int_equal(ldns_pkt2wire(&wire, q, &len), LDNS_STATUS_OK);
	reply.outcome = STUB_ANSWER;
	assert_int_equal(stub_error(wire, len, LDNS_RCODE_SERVFAIL, &reply.bytes, &reply.len), 0);
	assert_int_equal(ldns_wire2pkt(&answer, reply.bytes, reply.len), LDNS_STATUS_OK);
	assert_answer(LDNS_RCODE_SERVFAIL, 0);
	assert_int_equal(ldns_pkt_qdcount(answer), 1);
	assert_int_equal(stub_error(wire, 11, LDNS_RCODE_SERVFAIL, &wire, &len), -EBADMSG);
	wire[2] |= 0x80; /* QR: two servers would answer each other for ever */
	assert_int_equal(stub_error(wire, len, LDNS_RCODE_REFUSED, &wire, &len), -EBADMSG);
	free(wire);
	ldns_pkt_free(q);
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

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
		T(case_of_the_question_is_kept),
		T(edns_is_answered),
		T(other_edns_version_is_badvers),
		T(answers_and_fragments_are_dropped),
		T(truncated_queries_are_formerr),
		T(other_opcodes_and_classes_are_refused),
		T(random_bytes_do_no_harm),
		T(long_answers_are_truncated),
		T(malformed_long_answers_are_truncated),
		T(upstream_failure_is_servfail),
		cmocka_unit_test(reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
