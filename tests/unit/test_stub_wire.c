/* SPDX-License-Identifier: BSD-2-Clause */
/* The stub resolver on the wire: EDNS, malformed queries, answers that are too long. */
#include <string.h>

#include "stub_lab.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
