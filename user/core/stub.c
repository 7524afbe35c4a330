/* SPDX-License-Identifier: BSD-2-Clause */
/* The stub resolver, see stub.h. Queries are read by core/dnswire.h, answers made by core/answer.h.
 */
#include "core/stub.h"

#include <errno.h>
#include <string.h>

#include <ldns/ldns.h>

#include "core/answer.h"
#include "core/dnswire.h"
#include "core/edge.h"
#include "core/reverse.h"

#define TYPE_SVCB     64 /* RFC 9460; ldns 1.8.3 knows them only if built so */
#define TYPE_HTTPS    65
#define RCODE_BADVERS 16 /* RFC 6891 9 */

static const char canary[] = "use-application-dns.net";

/* A query and what it says. */
struct asked {
	const struct stub_query *query;
	struct dnswire_message message;
};

/* ---- what becomes of a question ---- */

static int reply_with(const struct dnswire_message *q, const struct answer *answer,
		      enum fq_reason reason, struct stub_reply *reply)
{
	reply->outcome = STUB_ANSWER;
	reply->reason = reason;
	return answer_make(q, answer, &reply->bytes, &reply->len);
}

static int reply_error(const struct dnswire_message *q, unsigned int rcode, enum fq_reason reason,
		       struct stub_reply *reply)
{
	struct answer answer = {.rcode = rcode};

	return reply_with(q, &answer, reason, reply);
}

static int reply_forward(struct stub_reply *reply)
{
	reply->outcome = STUB_FORWARD;
	reply->reason = FQ_R_DNS_FORWARDED;
	return 0;
}

static int reply_local(const struct dnswire_message *q, struct answer *answer,
		       struct stub_reply *reply)
{
	answer->authoritative = true;
	return reply_with(q, answer, FQ_R_DNS_LOCAL, reply);
}

static bool is_new_name(const struct edge *edge, const struct dname *name)
{
	return !edge_knows(edge, name) && edge_matches(edge, name);
}

/* A or AAAA (P-02, P-05, P-06). */
static int handle_address(struct edge *edge, const struct asked *asked, struct instant now,
			  struct stub_reply *reply)
{
	const struct dnswire_message *q = &asked->message;
	bool v4 = q->qtype == LDNS_RR_TYPE_A;
	struct answer answer = {0};
	struct edge_answer a;
	int r;

	if (asked->query->no_new_names && is_new_name(edge, &reply->name))
		return reply_error(q, LDNS_RCODE_REFUSED, FQ_R_DNS_OVERLOAD, reply);
	r = edge_query(edge, &reply->name, now, &a);
	if (r == -ENOSPC)
		return reply_error(q, LDNS_RCODE_SERVFAIL, FQ_R_POOL_EXHAUSTED, reply);
	if (r < 0)
		return r;
	if (!a.matched)
		return reply_forward(reply);
	if (v4 ? a.ipv4 : a.ipv6) {
		answer.addresses = a.proxies.addr + (v4 ? 0 : PROXIES_V4);
		answer.count = v4 ? PROXIES_V4 : PROXIES_V6;
	}
	return reply_local(q, &answer, reply);
}

/* PTR of a proxy address; of any other the upstream knows more. */
static int handle_ptr(struct edge *edge, const struct dnswire_message *q, struct instant now,
		      struct stub_reply *reply)
{
	struct edge_domain_view domain;
	struct answer answer = {0};
	struct fq_addr addr;
	int r;

	if (!reverse_parse(&reply->name, &addr) || !edge_find_proxy(edge, &addr, &domain))
		return reply_forward(reply);
	answer.ptr = domain.name;
	r = edge_requery(edge, &reply->name, now);
	return r < 0 ? r : reply_local(q, &answer, reply);
}

/* HTTPS and SVCB: the name exists, such a record does not. */
static int handle_service(struct edge *edge, const struct dnswire_message *q, struct instant now,
			  struct stub_reply *reply)
{
	struct answer answer = {0};
	int r;

	if (!edge_matches(edge, &reply->name))
		return reply_forward(reply);
	r = edge_requery(edge, &reply->name, now);
	return r < 0 ? r : reply_local(q, &answer, reply);
}

static int handle_site(const struct edge *edge, struct stub_reply *reply)
{
	struct edge_site site;

	if (!edge_site(edge, &reply->name, &site))
		return reply_forward(reply);
	reply->outcome = STUB_SITE;
	reply->reason = FQ_R_DNS_FORWARDED;
	reply->resource = site.resource;
	reply->gateway = site.gateway;
	return 0;
}

static int handle_question(struct edge *edge, const struct asked *asked, struct instant now,
			   struct stub_reply *reply)
{
	const struct dnswire_message *q = &asked->message;
	struct answer nxdomain = {.rcode = LDNS_RCODE_NXDOMAIN};

	if (q->qclass != DNSWIRE_CLASS_IN)
		return reply_error(q, LDNS_RCODE_REFUSED, FQ_R_DNS_LOCAL, reply);
	if (dname_from_wire(q->bytes + DNSWIRE_HEADER_LEN, q->name_len, &reply->name) < 0)
		return reply_forward(reply);
	if (strcmp(reply->name.text, canary) == 0)
		return reply_local(q, &nxdomain, reply);

	switch (q->qtype) {
	case LDNS_RR_TYPE_A:
	case LDNS_RR_TYPE_AAAA:
		return handle_address(edge, asked, now, reply);
	case LDNS_RR_TYPE_PTR:
		return handle_ptr(edge, q, now, reply);
	case TYPE_SVCB:
	case TYPE_HTTPS:
		return handle_service(edge, q, now, reply);
	case LDNS_RR_TYPE_SRV:
	case LDNS_RR_TYPE_TXT:
		return handle_site(edge, reply);
	default:
		return reply_forward(reply);
	}
}

static size_t answer_max(const struct dnswire_message *q, bool tcp)
{
	if (tcp)
		return STUB_TCP_MAX;
	if (q->udp_size < STUB_UDP_MIN)
		return STUB_UDP_MIN;
	return q->udp_size < STUB_UDP_SIZE ? q->udp_size : STUB_UDP_SIZE;
}

static int handle_message(struct edge *edge, const struct asked *asked, struct instant now,
			  struct stub_reply *reply)
{
	const struct dnswire_message *q = &asked->message;

	if (q->flags & DNSWIRE_OPCODE)
		return reply_error(q, LDNS_RCODE_NOTIMPL, FQ_R_DNS_MALFORMED, reply);
	if (q->depth != DNSWIRE_WHOLE) /* RFC 9619: also any other number of questions */
		return reply_error(q, LDNS_RCODE_FORMERR, FQ_R_DNS_MALFORMED, reply);
	if (q->opt_len && q->version != 0)
		return reply_error(q, RCODE_BADVERS, FQ_R_DNS_MALFORMED, reply);
	reply->qtype = q->qtype;
	return handle_question(edge, asked, now, reply);
}

int stub_handle(struct edge *edge, const struct stub_query *query, struct instant now,
		struct stub_reply *ret_reply)
{
	struct stub_reply reply = {.outcome = STUB_DROP, .reason = FQ_R_DNS_MALFORMED};
	struct asked asked = {.query = query};
	int r;

	/* An answer to an answer would make two servers talk for ever. */
	if (dnswire_parse(query->bytes, query->len, &asked.message) < 0 ||
	    (asked.message.flags & DNSWIRE_QR)) {
		*ret_reply = reply;
		return 0;
	}
	reply.answer_max = answer_max(&asked.message, query->tcp);
	r = handle_message(edge, &asked, now, &reply);
	if (r < 0)
		return r;
	*ret_reply = reply;
	return 0;
}

void stub_reply_done(struct stub_reply *reply)
{
	free(reply->bytes);
	reply->bytes = NULL;
	reply->len = 0;
}

size_t stub_truncate(uint8_t *bytes, size_t len, size_t max)
{
	struct dnswire_message m;
	size_t end = DNSWIRE_HEADER_LEN;
	bool opt;

	if (len <= max || dnswire_parse(bytes, len, &m) < 0)
		return len;
	if (m.depth >= DNSWIRE_QUESTION && m.question_end <= max)
		end = m.question_end;
	opt = m.depth == DNSWIRE_WHOLE && m.opt_len && end == m.question_end &&
	      m.opt_len <= max - end;
	if (opt) {
		memmove(bytes + end, bytes + m.opt_at, m.opt_len);
		end += m.opt_len;
	}
	dnswire_put16(bytes + 2, m.flags | DNSWIRE_TC);
	dnswire_put16(bytes + 4, m.depth >= DNSWIRE_QUESTION && end > DNSWIRE_HEADER_LEN);
	dnswire_put16(bytes + 6, 0);
	dnswire_put16(bytes + 8, 0);
	dnswire_put16(bytes + 10, opt);
	return end;
}

int stub_error(const uint8_t *query, size_t query_len, uint8_t rcode, uint8_t **ret_bytes,
	       size_t *ret_len)
{
	struct answer answer = {.rcode = rcode};
	struct dnswire_message q;
	int r;

	r = dnswire_parse(query, query_len, &q);
	if (r < 0)
		return r;
	if (q.flags & DNSWIRE_QR)
		return -EBADMSG;
	return answer_make(&q, &answer, ret_bytes, ret_len);
}
