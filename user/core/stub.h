/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stub resolver: what becomes of a DNS query (D-01 to D-04, D-08).
 *
 *	A, AAAA of a resource	answered with its proxy addresses, TTL 1 s
 *	HTTPS, SVCB of one	answered NODATA: else its hints would lead around us (RFC 9460)
 *	SRV, TXT of one		for the resolver at the resource's site
 *	PTR of a proxy address	answered with the domain
 *	use-application-dns.net	NXDOMAIN (the canary of DNS over HTTPS)
 *	everything else		for the upstream resolver
 *
 * What is handed on goes upstream as it came, every byte but the ID: EDNS and all of its options
 * (cookies, client subnet, padding), which are the client's and the upstream's affair. Answers
 * made here carry none.
 *
 * RFC 1035, 2308, 6891 (EDNS), 7766 (TCP), 9460, 9619. It never sends, waits or reads a
 * clock; whatever the bytes, it answers with an error or says to drop. Called by the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fqdnat/reason.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "core/dname.h"

#define STUB_UDP_SIZE 1232 /* what we offer and send at most by UDP */
#define STUB_UDP_MIN  512  /* without EDNS (RFC 1035 2.3.4) */
#define STUB_TCP_MAX  65535
#define STUB_TTL_S    1

struct edge;

struct stub_query {
	const uint8_t *bytes; /* one message, without TCP's length prefix */
	size_t len;
	bool tcp;
	bool no_new_names; /* the client has had enough: no address is assigned for it */
};

enum stub_outcome {
	STUB_ANSWER,  /* send .bytes */
	STUB_FORWARD, /* hand the query to an upstream resolver */
	STUB_SITE,    /* hand it to the resolver of .gateway, for .resource */
	STUB_DROP,    /* not a query, or nothing that could be answered */
};

struct stub_reply {
	enum stub_outcome outcome;
	enum fq_reason reason; /* to be counted: DNS_LOCAL, DNS_FORWARDED, DNS_MALFORMED,
				  DNS_OVERLOAD, POOL_EXHAUSTED */
	uint8_t *bytes;        /* malloc'ed; NULL unless STUB_ANSWER */
	size_t len;
	size_t answer_max; /* longest answer that the client takes: see stub_truncate */
	uint16_t qtype;    /* 0 if there is no question */
	struct dname name; /* of the question; len 0 if it has none of our form */
	uint32_t resource; /* STUB_SITE */
	uint32_t gateway;
};

/*
 * Decide about one query and answer it if it is ours. Emits the actions of edge_query.
 *
 * With no_new_names, A and AAAA of a name that a resource publishes but that has no addresses
 * yet are REFUSED, with reason DNS_OVERLOAD; everything else goes on as always.
 *
 * Return: 0; -ENOMEM: no answer could be made.
 */
int stub_handle(struct edge *edge, const struct stub_query *query, struct instant now,
		struct stub_reply *ret_reply);

/* Free what the reply owns. May be called twice. */
void stub_reply_done(struct stub_reply *reply);

/*
 * Shorten an answer of an upstream resolver that is longer than @max: header, question and
 * OPT stay, TC is set (RFC 2181 9, RFC 6891 7), so that the client asks again by TCP.
 *
 * @bytes: the answer, changed in place
 *
 * Return: its new length; @len if it fits already.
 */
size_t stub_truncate(uint8_t *bytes, size_t len, size_t max);

/*
 * An answer without records to @query: the upstream failed (SERVFAIL), or refuses (REFUSED).
 *
 * @rcode:     RFC 1035 4.1.1, 0..15
 * @ret_bytes: malloc'ed, the caller's
 *
 * Return: 0; -EBADMSG: @query has no header, or is a response: two servers that
 * answer answers would never stop; -ENOMEM.
 */
int stub_error(const uint8_t *query, size_t query_len, uint8_t rcode, uint8_t **ret_bytes,
	       size_t *ret_len);
