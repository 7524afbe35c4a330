/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers by ldns, see answer.h. */
#include "core/answer.h"

#include <errno.h>

#include <ldns/ldns.h>

#include "base/cleanup.h"
#include "core/dnswire.h"
#include "core/stub.h"

static void pkt_freep(ldns_pkt **pkt)
{
	if (*pkt)
		ldns_pkt_free(*pkt);
}

/* A record of the question's name and type. Takes @rdata. Return: 0; -ENOMEM. */
static int push_record(ldns_pkt *pkt, const ldns_rr *question, ldns_rdf *rdata)
{
	ldns_rr *rr = rdata ? ldns_rr_new() : NULL;
	ldns_rdf *owner = rr ? ldns_rdf_clone(ldns_rr_owner(question)) : NULL;

	if (!owner) {
		if (rr)
			ldns_rr_free(rr);
		ldns_rdf_deep_free(rdata);
		return -ENOMEM;
	}
	ldns_rr_set_owner(rr, owner);
	ldns_rr_set_type(rr, ldns_rr_get_type(question));
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, STUB_TTL_S);
	if (!ldns_rr_push_rdf(rr, rdata)) {
		ldns_rdf_deep_free(rdata);
		ldns_rr_free(rr);
		return -ENOMEM;
	}
	if (!ldns_pkt_push_rr(pkt, LDNS_SECTION_ANSWER, rr)) {
		ldns_rr_free(rr);
		return -ENOMEM;
	}
	return 0;
}

static ldns_rdf *address_rdata(const struct fq_addr *a)
{
	if (ipaddr_is_v4(a))
		return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, 4, a->b + 12);
	return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, 16, a->b);
}

static int push_answers(ldns_pkt *pkt, const ldns_rr *question, const struct answer *answer)
{
	int r;

	for (unsigned int i = 0; i < answer->count; i++) {
		r = push_record(pkt, question, address_rdata(&answer->addresses[i]));
		if (r < 0)
			return r;
	}
	if (answer->ptr)
		return push_record(pkt, question, ldns_dname_new_frm_str(answer->ptr->text));
	return 0;
}

/* The question as it was asked, case and all. */
static int push_question(ldns_pkt *pkt, const struct dnswire_message *q, const ldns_rr **ret_rr)
{
	size_t at = DNSWIRE_HEADER_LEN;
	ldns_rr *rr = NULL;

	if (ldns_wire2rr(&rr, q->bytes, q->question_end, &at, LDNS_SECTION_QUESTION) !=
	    LDNS_STATUS_OK)
		return -ENOMEM; /* its bounds have been checked */
	if (!ldns_pkt_push_rr(pkt, LDNS_SECTION_QUESTION, rr)) {
		ldns_rr_free(rr);
		return -ENOMEM;
	}
	*ret_rr = rr;
	return 0;
}

static void set_header(ldns_pkt *pkt, const struct dnswire_message *q, const struct answer *answer)
{
	ldns_pkt_set_id(pkt, q->id);
	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_opcode(pkt, (ldns_pkt_opcode)((q->flags & DNSWIRE_OPCODE) >> 11));
	ldns_pkt_set_aa(pkt, answer->authoritative);
	ldns_pkt_set_rd(pkt, q->flags & DNSWIRE_RD);
	ldns_pkt_set_ra(pkt, true);
	ldns_pkt_set_cd(pkt, q->flags & DNSWIRE_CD);
	ldns_pkt_set_rcode(pkt, (uint8_t)(answer->rcode & DNSWIRE_RCODE));
	if (q->depth == DNSWIRE_WHOLE && q->opt_len) {
		ldns_pkt_set_edns_udp_size(pkt, STUB_UDP_SIZE);
		ldns_pkt_set_edns_do(pkt, q->dnssec_ok);
		ldns_pkt_set_edns_extended_rcode(pkt, (uint8_t)(answer->rcode >> 4));
	}
}

int answer_build(const struct dnswire_message *q, const struct answer *answer, uint8_t **ret_bytes,
		 size_t *ret_len)
{
	_cleanup_(pkt_freep) ldns_pkt *pkt = ldns_pkt_new();
	const ldns_rr *question;
	uint8_t *bytes;
	size_t len;
	int r;

	if (!pkt)
		return -ENOMEM;
	set_header(pkt, q, answer);
	if (q->depth >= DNSWIRE_QUESTION) {
		r = push_question(pkt, q, &question);
		if (r < 0)
			return r;
		r = push_answers(pkt, question, answer);
		if (r < 0)
			return r;
	}
	if (ldns_pkt2wire(&bytes, pkt, &len) != LDNS_STATUS_OK)
		return -ENOMEM;
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}
