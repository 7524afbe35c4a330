/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the XDP program answer a query as the daemon does? Its own code, compiled natively
 * (bpf/dns.h), with the map entries that the daemon would have made, against the stub resolver.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "../../bpf/dns.h"

#include "core/dnslease.h"
#include "core/stub.h"

#define DNS_SAME_NAMES 8

/* What is in the maps. */
struct dns_same {
	unsigned int count;
	struct fq_dns_key key[DNS_SAME_NAMES];
	struct fq_dns value[DNS_SAME_NAMES];
	unsigned int ptr_count;
	struct fq_addr proxy[DNS_SAME_NAMES];
	struct fq_dns_ptr ptr[DNS_SAME_NAMES];
};

enum dns_same_result {
	DNS_SAME_DAEMON, /* the program leaves it to the daemon */
	DNS_SAME_EQUAL,
	DNS_SAME_DIFFERS,
};

/* Return: whether there is an entry for it. */
static inline bool dns_same_add(struct dns_same *s, const struct edge *edge, const char *text,
				struct instant now)
{
	struct dname name;

	if (s->count == DNS_SAME_NAMES || dname_from_text(text, &name) < 0 ||
	    !dnslease_make(edge, &name, now, &s->key[s->count], &s->value[s->count]))
		return false;
	s->count++;
	return true;
}

/* The same of a reverse name. */
static inline bool dns_same_add_ptr(struct dns_same *s, const struct edge *edge, const char *text,
				    struct instant now)
{
	unsigned int i = s->ptr_count;
	struct dname name;

	if (i == DNS_SAME_NAMES || dname_from_text(text, &name) < 0 ||
	    !dnslease_make_ptr(edge, &name, now, &s->proxy[i], &s->ptr[i]))
		return false;
	s->ptr_count++;
	return true;
}

static inline bool dns_same_answer(const struct dns_same *s, struct dns_work *w)
{
	if (w->type == DNS_TYPE_PTR) {
		for (unsigned int i = 0; i < s->ptr_count; i++)
			if (memcmp(&s->proxy[i], &w->proxy, sizeof(w->proxy)) == 0)
				return dns_make_ptr(w, &s->ptr[i]);
		return false;
	}
	for (unsigned int i = 0; i < s->count; i++)
		if (memcmp(&s->key[i], &w->key, sizeof(w->key)) == 0)
			return dns_make(w, &s->value[i]);
	return false;
}

/* As the program does. Return: whether it answers; then the answer is in @w. */
static inline bool dns_same_program(const struct dns_same *s, const uint8_t *bytes, size_t len,
				    struct dns_work *w)
{
	if (len <= DNS_HEADER_LEN || len >= DNS_HEADER_LEN + DNS_QUERY_MAX)
		return false;
	memset(w, 0xa5, sizeof(*w)); /* what earlier queries have left */
	memcpy(&w->msg.header, bytes, len);
	w->body_len = len - DNS_HEADER_LEN;
	return dns_read(w) && dns_same_answer(s, w);
}

/* The rest of the last word counts for the checksum, and has to be zero. */
static inline bool dns_same_padded(const struct dns_work *w)
{
	const uint8_t *end = w->msg.body + w->body_len;

	return !(end[0] | end[1] | end[2]);
}

/* A query of a client, over UDP. */
static inline enum dns_same_result dns_same(const struct dns_same *s, struct edge *edge,
					    struct instant now, const uint8_t *bytes, size_t len)
{
	const struct stub_query query = {.bytes = bytes, .len = len};
	struct stub_reply by_daemon;
	struct edge_action action;
	struct dns_work w;
	bool same;

	if (!dns_same_program(s, bytes, len, &w))
		return DNS_SAME_DAEMON;
	if (stub_handle(edge, &query, now, &by_daemon) < 0)
		return DNS_SAME_DIFFERS;
	while (edge_next(edge, &action))
		;
	same = by_daemon.outcome == STUB_ANSWER && by_daemon.reason == FQ_R_DNS_LOCAL &&
	       by_daemon.len == DNS_HEADER_LEN + w.body_len &&
	       by_daemon.len <= by_daemon.answer_max &&
	       memcmp(by_daemon.bytes, &w.msg.header, by_daemon.len) == 0 && dns_same_padded(&w);
	stub_reply_done(&by_daemon);
	return same ? DNS_SAME_EQUAL : DNS_SAME_DIFFERS;
}
