/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS service: who may ask, what the stub answers, and what goes to the upstream servers.
 *
 * A name's addresses are answered only when the packet path knows them: the application's first
 * packet may be faster than anything that we would do afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "base/probe.h"
#include "daemon/daemon.h"

#define RCODE_SERVFAIL 2
#define RCODE_REFUSED  5

/* A query that is with an upstream server. */
struct forwarded {
	LIST_ENTRY(forwarded) link;
	struct daemon *d;
	struct dns_request *req;
	size_t answer_max;
};

static bool loopback(const struct fq_addr *a)
{
	static const struct fq_addr one = {.b = {[15] = 1}};

	return ipaddr_is_v4(a) ? a->b[12] == 127 : ipaddr_equal(a, &one);
}

static bool contains(const struct ipprefix *prefixes, unsigned int count, const struct fq_addr *a)
{
	for (unsigned int i = 0; i < count; i++)
		if (ipprefix_contains(&prefixes[i], a))
			return true;
	return false;
}

/* An open resolver is a weapon: clients and this machine may ask, unless configured otherwise. */
bool dns_may_ask(void *ctx, const struct fq_addr *src)
{
	const struct daemon *d = ctx;
	const struct config *c = d->config;

	if (loopback(src))
		return true;
	if (c->edge.dns.allow_count)
		return contains(c->edge.dns.allow, c->edge.dns.allow_count, src);
	for (unsigned int i = 0; i < c->client_count; i++)
		if (contains(c->clients[i].prefixes, c->clients[i].prefix_count, src))
			return true;
	return false;
}

void dns_reply_error(struct dns_request *req, uint8_t rcode)
{
	_cleanup_(freep) uint8_t *answer = NULL;
	size_t query_len, len;
	const uint8_t *query = dns_request_bytes(req, &query_len);

	if (stub_error(query, query_len, rcode, &answer, &len) == 0)
		(void)dns_request_reply(req, answer, len);
}

static void forwarded_free(struct forwarded *f)
{
	LIST_REMOVE(f, link);
	dns_request_unref(f->req);
	free(f);
}

void dns_forget_forwarded(struct daemon *d)
{
	while (!LIST_EMPTY(&d->forwarded))
		forwarded_free(LIST_FIRST(&d->forwarded));
}

static void on_upstream(void *ctx, enum upstream_outcome outcome, const uint8_t *bytes, size_t len)
{
	struct forwarded *f = ctx;
	struct daemon *d = f->d;
	size_t query_len;
	const uint8_t *query = dns_request_bytes(f->req, &query_len);

	if (outcome == UPSTREAM_ANSWERED) {
		_cleanup_(freep) uint8_t *answer = malloc(len);

		(void)cache_put(d->cache, query, query_len, bytes, len, instant_now());
		if (answer) {
			memcpy(answer, bytes, len);
			len = stub_truncate(answer, len, f->answer_max);
			(void)dns_request_reply(f->req, answer, len);
		}
	} else {
		dataplane_count(d->dp, FQ_R_DNS_TIMEOUT, outcome == UPSTREAM_TIMEOUT);
		/* D-05: by UDP the client asks again by itself. */
		if (outcome == UPSTREAM_FAILED || dns_request_is_tcp(f->req))
			dns_reply_error(f->req, RCODE_SERVFAIL);
	}
	forwarded_free(f);
}

static void forward(struct daemon *d, struct dns_request *req, struct upstream *to,
		    size_t answer_max)
{
	_cleanup_(freep) uint8_t *cached = NULL;
	struct forwarded *f;
	size_t query_len, len;
	const uint8_t *query = dns_request_bytes(req, &query_len);

	if (cache_get(d->cache, query, query_len, instant_now(), &cached, &len)) {
		len = stub_truncate(cached, len, answer_max);
		(void)dns_request_reply(req, cached, len);
		return;
	}
	f = malloc(sizeof(*f));
	if (f && to) {
		*f = (struct forwarded){
			.d = d, .req = dns_request_ref(req), .answer_max = answer_max};
		LIST_INSERT_HEAD(&d->forwarded, f, link);
		if (upstream_forward(to, query, query_len, on_upstream, f) == 0)
			return;
		forwarded_free(f);
	} else {
		free(f);
	}
	dataplane_count(d->dp, FQ_R_DNS_OVERLOAD, 1);
	dns_reply_error(req, RCODE_SERVFAIL);
}

void dns_forward(struct daemon *d, struct dns_request *req, struct upstream *to)
{
	forward(d, req, to, dns_request_max(req));
}

/* An address that could not be written down might be given to another name after a restart. */
static bool answer_may_be_lost(const struct daemon *d, const struct stub_reply *reply)
{
	struct edge_domain_view view;

	return d->store_failing && reply->name.len &&
	       edge_find_name(d->edge, &reply->name, &view) &&
	       store_domain_pending(d->store, view.id);
}

/*
 * A name that is new to us costs addresses and a lookup, and others want some, too: a client
 * gets them at a limited rate (G-05).
 */
static int decide(struct daemon *d, struct dns_request *req, struct stub_reply *ret_reply)
{
	struct stub_query q = {.tcp = dns_request_is_tcp(req), .no_new_names = true};
	int r;

	q.bytes = dns_request_bytes(req, &q.len);
	r = stub_handle(d->edge, &q, instant_now(), ret_reply);
	if (r < 0 || ret_reply->reason != FQ_R_DNS_OVERLOAD ||
	    !bucket_take(d->new_names, dns_request_source(req), instant_now()))
		return r;
	stub_reply_done(ret_reply);
	q.no_new_names = false;
	return stub_handle(d->edge, &q, instant_now(), ret_reply);
}

/* The id of the next new domain: another one than before means that there is one. */
static uint32_t next_domain(const struct daemon *d)
{
	struct edge_marks marks;

	edge_marks(d->edge, &marks);
	return marks.next_domain;
}

static void answer(struct daemon *d, const struct dns_asked *a)
{
	const struct stub_reply *reply = &a->reply;

	if (reply->reason)
		dataplane_count(d->dp, reply->reason, 1);
	switch (reply->outcome) {
	case STUB_ANSWER:
		if (answer_may_be_lost(d, reply)) {
			dns_reply_error(a->req, RCODE_SERVFAIL);
			break;
		}
		if (reply->reason == FQ_R_DNS_LOCAL && dns_request_port(a->req) == DNS_PORT_XDP)
			dns_xdp_answered(d, reply);
		(void)dns_request_reply(a->req, reply->bytes, reply->len);
		break;
	case STUB_FORWARD:
		forward(d, a->req, d->upstream, reply->answer_max);
		break;
	case STUB_SITE:
		forward(d, a->req, site_of_gateway(d, reply->gateway), reply->answer_max);
		break;
	case STUB_DROP:
		break;
	}
}

/*
 * Answer what has been asked together: what follows from all of it is applied and written in one go
 * before.
 */
void dns_on_handled(void *ctx)
{
	struct daemon *d = ctx;
	unsigned int count = d->asked_count;

	if (!count)
		return;
	/* The packet path is to know a new domain's addresses before the application does. */
	if (d->asked_new)
		daemon_drain(d);
	else
		daemon_pump_gather(d);
	d->asked_count = 0;
	d->asked_new = false;
	for (unsigned int i = 0; i < count; i++) {
		answer(d, &d->asked[i]);
		stub_reply_done(&d->asked[i].reply);
		dns_request_unref(d->asked[i].req);
	}
}

/* Decide on the answer; it is given with those to what else has come. */
static void take(struct daemon *d, struct dns_request *req)
{
	struct dns_asked *a = &d->asked[d->asked_count];
	uint32_t next = next_domain(d);

	if (decide(d, req, &a->reply) < 0) {
		dns_reply_error(req, RCODE_SERVFAIL);
		return;
	}
	PROBE_DNS_QUERY(a->reply.name.text, a->reply.qtype, a->reply.outcome, a->reply.reason);
	d->asked_new = d->asked_new || next_domain(d) != next;
	a->req = dns_request_ref(req);
	if (++d->asked_count == DNS_TOGETHER)
		dns_on_handled(d);
}

/* Whoever may not ask is told so, but not more often than is useful, and never about an answer. */
static void refuse(struct daemon *d, struct dns_request *req)
{
	static const struct fq_addr everybody;

	dataplane_count(d->dp, FQ_R_DNS_REFUSED, 1);
	if (bucket_take(d->refusals, &everybody, instant_now()))
		dns_reply_error(req, RCODE_REFUSED);
}

static bool is_response(const struct dns_request *req)
{
	size_t len;

	return dns_request_bytes(req, &len)[2] & 0x80; /* QR, RFC 1035 4.1.1 */
}

void dns_on_request(void *ctx, struct dns_request *req)
{
	const struct fq_addr *src = dns_request_source(req);
	struct daemon *d = ctx;

	if (is_response(req)) {
		dataplane_count(d->dp, FQ_R_DNS_MALFORMED, 1);
	} else if (!dns_may_ask(d, src)) {
		refuse(d, req);
	} else if (!bucket_take(d->queries, src, instant_now())) {
		dataplane_count(d->dp, FQ_R_DNS_OVERLOAD, 1);
	} else {
		take(d, req);
	}
	dns_request_unref(req);
}
