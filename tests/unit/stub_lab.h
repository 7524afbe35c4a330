/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stub resolver over an edge, and its last reply. Queries are made and answers read by ldns.
 * Used by test_stub*.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "../lib/edge_bed.h"

#include "core/stub.h"

static struct bed bed;
static struct stub_reply reply;
static ldns_pkt *answer; /* of the last query, NULL: none */
static bool no_new_names;

static inline void set_resources(void)
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

static inline int setup(void **state)
{
	(void)state;
	bed_open(&bed, NULL);
	bed_do(&bed, 0, "up 1");
	set_resources();
	return 0;
}

static inline void reply_reset(void)
{
	stub_reply_done(&reply);
	reply = (struct stub_reply){0};
	if (answer)
		ldns_pkt_free(answer);
	answer = NULL;
}

static inline int teardown(void **state)
{
	(void)state;
	no_new_names = false;
	reply_reset();
	bed_close(&bed);
	return 0;
}

static inline enum stub_outcome handle(const uint8_t *bytes, size_t len, bool tcp)
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

static inline ldns_pkt *query_of(const char *name, ldns_rr_type type, ldns_rr_class class)
{
	ldns_pkt *q = NULL;

	assert_int_equal(ldns_pkt_query_new_frm_str(&q, name, type, class, LDNS_RD),
			 LDNS_STATUS_OK);
	ldns_pkt_set_id(q, 0x1234);
	return q;
}

/* Frees @q. */
static inline enum stub_outcome handle_pkt(ldns_pkt *q, bool tcp)
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

static inline enum stub_outcome ask(const char *name, ldns_rr_type type)
{
	return handle_pkt(query_of(name, type, LDNS_RR_CLASS_IN), false);
}

static inline void assert_answer(ldns_pkt_rcode rcode, size_t records)
{
	assert_int_equal(reply.outcome, STUB_ANSWER);
	assert_int_equal(ldns_pkt_get_rcode(answer), rcode);
	assert_int_equal(ldns_pkt_ancount(answer), records);
	assert_int_equal(ldns_pkt_id(answer), 0x1234);
	assert_true(ldns_pkt_qr(answer));
	assert_true(ldns_pkt_rd(answer));
	assert_true(ldns_pkt_ra(answer));
}

static inline void assert_record(size_t i, const char *text)
{
	char *s = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(answer), i));

	assert_string_equal(s, text);
	free(s);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
