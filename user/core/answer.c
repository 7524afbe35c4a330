/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers from forms, see answer.h.
 *
 *	header      of the form; ID, opcode, RD and CD are the query's
 *	question    of the query, as it was asked
 *	records     of the form: each owned by a pointer to the question's name; the address is
 *	            written over
 *	OPT         of the form
 *
 * All behind the question is the same for every name, as it is of no name's length.
 */
#include "core/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/dnswire.h"

#define TYPE_A    1
#define TYPE_AAAA 28

#define FORM_COUNT_MAX 8  /* addresses of an answer that has a form */
#define RECORD_HEAD    12 /* pointer, type, class, TTL, length (RFC 1035 4.1.3) */
#define FORM_TAIL_MAX  (FORM_COUNT_MAX * (RECORD_HEAD + 16) + 32)

/* The header's bits that an answer takes from its query (RFC 1035 4.1.1, RFC 4035 3.2.2). */
#define FLAGS_OF_QUERY (DNSWIRE_RD | DNSWIRE_CD)

enum form_edns { NO_EDNS, EDNS, EDNS_DO, FORM_EDNS };
enum form_kind { FORM_NONE, FORM_V4, FORM_V6, FORM_KINDS };

struct form {
	uint8_t header[DNSWIRE_HEADER_LEN];
	uint8_t tail[FORM_TAIL_MAX];
	size_t tail_len; /* without records and EDNS: 0 */
	unsigned int count;
	bool made;
};

static struct form forms[FORM_KINDS][FORM_EDNS];

/* A query for "x." that the library answers for every name. */
static const uint8_t sample[][DNSWIRE_HEADER_LEN + 7 + 11] = {
	[NO_EDNS] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0, TYPE_A, 0, 1},
	[EDNS] = {0, 0,    0,   0, 0, 1,      0, 0, 0, 0, 0,
		  1, 1,    'x', 0, 0, TYPE_A, 0, 1, 0, 0, DNSWIRE_TYPE_OPT,
		  4, 0xd0, 0,   0, 0, 0,      0, 0},
	[EDNS_DO] = {0, 0,    0,   0, 0,    1,      0, 0, 0, 0, 0,
		     1, 1,    'x', 0, 0,    TYPE_A, 0, 1, 0, 0, DNSWIRE_TYPE_OPT,
		     4, 0xd0, 0,   0, 0x80, 0,      0, 0},
};

static const uint16_t types[FORM_KINDS] = {TYPE_A, TYPE_A, TYPE_AAAA};

/* Return: 0; -ENOMEM; -EMSGSIZE: this answer has no form. */
static int form_make(struct form *form, enum form_kind kind, enum form_edns edns,
		     const struct answer *answer)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	uint8_t query[sizeof(sample[0])];
	struct dnswire_message q;
	size_t len;
	int r;

	memcpy(query, sample[edns], sizeof(query));
	query[DNSWIRE_HEADER_LEN + 4] = (uint8_t)types[kind];
	r = dnswire_parse(query, edns == NO_EDNS ? sizeof(query) - 11 : sizeof(query), &q);
	if (r >= 0)
		r = answer_build(&q, answer, &bytes, &len);
	if (r < 0)
		return r;
	if (len - q.question_end > sizeof(form->tail))
		return -EMSGSIZE;
	memcpy(form->header, bytes, sizeof(form->header));
	form->tail_len = len - q.question_end;
	memcpy(form->tail, bytes + q.question_end, form->tail_len);
	form->count = answer->count;
	form->made = true;
	return 0;
}

/* Return: the form of an answer; NULL: it has none, or no memory. */
static const struct form *form_of(const struct dnswire_message *q, const struct answer *answer)
{
	enum form_edns edns = !q->opt_len ? NO_EDNS : q->dnssec_ok ? EDNS_DO : EDNS;
	enum form_kind kind = FORM_NONE;
	struct form *form;

	/* The root is its own shortest form: nothing would point to it. */
	if (q->depth != DNSWIRE_WHOLE || q->name_len < 2 || q->qclass != DNSWIRE_CLASS_IN ||
	    q->flags & DNSWIRE_OPCODE || answer->rcode || !answer->authoritative || answer->ptr ||
	    answer->count > FORM_COUNT_MAX)
		return NULL;
	if (answer->count)
		kind = ipaddr_is_v4(&answer->addresses[0]) ? FORM_V4 : FORM_V6;
	if (answer->count && q->qtype != types[kind])
		return NULL;
	form = &forms[kind][edns];
	if ((!form->made || form->count != answer->count) &&
	    form_make(form, kind, edns, answer) < 0)
		return NULL;
	return form;
}

static void put_addresses(uint8_t *tail, const struct answer *answer)
{
	for (unsigned int i = 0; i < answer->count; i++) {
		const struct fq_addr *a = &answer->addresses[i];
		size_t len = ipaddr_is_v4(a) ? 4 : 16;

		memcpy(tail + RECORD_HEAD, a->b + sizeof(a->b) - len, len);
		tail += RECORD_HEAD + len;
	}
}

int answer_make(const struct dnswire_message *q, const struct answer *answer, uint8_t **ret_bytes,
		size_t *ret_len)
{
	const struct form *form = form_of(q, answer);
	size_t len;
	uint8_t *bytes;

	if (!form)
		return answer_build(q, answer, ret_bytes, ret_len);
	len = q->question_end + form->tail_len;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, form->header, DNSWIRE_HEADER_LEN);
	dnswire_put16(bytes, q->id);
	dnswire_put16(bytes + 2, dnswire_get16(bytes + 2) | (q->flags & FLAGS_OF_QUERY));
	memcpy(bytes + DNSWIRE_HEADER_LEN, q->bytes + DNSWIRE_HEADER_LEN,
	       q->question_end - DNSWIRE_HEADER_LEN);
	memcpy(bytes + q->question_end, form->tail, form->tail_len);
	put_addresses(bytes + q->question_end, answer);
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}
