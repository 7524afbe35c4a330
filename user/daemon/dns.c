/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS service: who may ask, what the stub answers, and what goes to the upstream servers.
 *
 * A name's addresses are answered only when the packet path knows them: the application's first
 * packet may be faster than anything that we would do afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/stub.h"
#include "daemon/daemon.h"

#define RCODE_SERVFAIL 2
#define RCODE_REFUSED  5

#define UPSTREAM_TIMEOUT_MS 5000
#define CACHE_BYTES_EACH    1024 /* of the limit, for each cached answer */
#define BUCKET_SOURCES      4096

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
static bool may_ask(const struct daemon *d, const struct fq_addr *src)
{
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

static void reply_error(struct dns_request *req, uint8_t rcode)
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
			reply_error(f->req, RCODE_SERVFAIL);
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
	reply_error(req, RCODE_SERVFAIL);
}

static void answer(struct daemon *d, struct dns_request *req)
{
	struct stub_query q = {.tcp = dns_request_is_tcp(req)};
	struct stub_reply reply;

	q.bytes = dns_request_bytes(req, &q.len);
	if (stub_handle(d->edge, &q, instant_now(), &reply) < 0) {
		reply_error(req, RCODE_SERVFAIL);
		return;
	}
	daemon_pump(d);
	if (reply.reason)
		dataplane_count(d->dp, reply.reason, 1);
	switch (reply.outcome) {
	case STUB_ANSWER:
		/* An address that could not be written down might be given to another name. */
		if (d->store_failing && store_pending(d->store))
			reply_error(req, RCODE_SERVFAIL);
		else
			(void)dns_request_reply(req, reply.bytes, reply.len);
		break;
	case STUB_FORWARD:
		forward(d, req, d->upstream, reply.answer_max);
		break;
	case STUB_SITE:
		forward(d, req, d->site, reply.answer_max);
		break;
	case STUB_DROP:
		break;
	}
	stub_reply_done(&reply);
}

static void on_request(void *ctx, struct dns_request *req)
{
	const struct fq_addr *src = dns_request_source(req);
	struct daemon *d = ctx;

	if (!may_ask(d, src)) {
		dataplane_count(d->dp, FQ_R_DNS_REFUSED, 1);
		reply_error(req, RCODE_REFUSED);
	} else if (!bucket_take(d->buckets, src, instant_now())) {
		dataplane_count(d->dp, FQ_R_DNS_OVERLOAD, 1);
	} else {
		answer(d, req);
	}
	dns_request_unref(req);
}

/* ---- starting ---- */

/* A list of servers as text, and our own addresses, for as long as it takes to hand them over. */
struct server_list {
	char text[CONFIG_SERVERS_MAX][IPADDR_STRLEN + 8];
	const char *names[CONFIG_SERVERS_MAX];
	struct fq_addr own[CONFIG_LISTEN_MAX];
};

static struct dns_servers server_list(const struct daemon *d, const struct config_servers *s,
				      struct server_list *l)
{
	unsigned int own_count = d->config->edge.dns.listen_count;

	for (unsigned int i = 0; i < s->count; i++) {
		char host[IPADDR_STRLEN];

		snprintf(l->text[i], sizeof(l->text[i]),
			 ipaddr_is_v4(&s->server[i].addr) ? "%s:%u" : "[%s]:%u",
			 ipaddr_format(&s->server[i].addr, host), s->server[i].port);
		l->names[i] = l->text[i];
	}
	for (unsigned int i = 0; i < own_count; i++)
		l->own[i] = d->config->edge.dns.listen[i].addr;
	return (struct dns_servers){
		.text = l->names, .count = s->count, .own = l->own, .own_count = own_count};
}

static int upstream_start(struct daemon *d, const struct config_servers *servers,
			  struct upstream **ret_upstream)
{
	struct server_list list;
	const struct upstream_settings s = {
		.servers = server_list(d, servers, &list),
		.timeout_ms = UPSTREAM_TIMEOUT_MS,
		.in_flight_max = d->config->limits.dns_requests,
	};

	return upstream_new(d->event, &s, ret_upstream);
}

/* Without a server to ask, names of resources are answered still. */
static int upstreams_start(struct daemon *d)
{
	int r;

	r = upstream_start(d, &d->config->edge.dns.upstream, &d->upstream);
	if (r >= 0)
		r = upstream_start(d, &d->config->gateway.resolver.servers, &d->site);
	if (r == -EDESTADDRREQ) {
		log_event(LOG_WARNING, "no upstream DNS server but ourselves: names that are no "
				       "resource cannot be resolved");
		return 0;
	}
	return r;
}

static int cache_start(struct daemon *d)
{
	unsigned int n = d->config->limits.dns_cache;
	struct cache_settings s = {.entries_max = n, .bytes_max = (size_t)n * CACHE_BYTES_EACH};
	const struct bucket_settings b = {
		.per_second = d->config->limits.dns_per_client,
		.burst =
			d->config->limits.dns_per_client ? 2 * d->config->limits.dns_per_client : 1,
		.sources_max = BUCKET_SOURCES,
	};
	int r;

	if (getrandom(s.hash_key, sizeof(s.hash_key), 0) < 0)
		return -errno;
	r = cache_new(&s, &d->cache);
	return r < 0 ? r : bucket_table_new(&b, &d->buckets);
}

int dns_start(struct daemon *d)
{
	struct dns_server_settings s = dns_server_settings_default();
	struct dns_listen listen[CONFIG_LISTEN_MAX];
	char error[DNS_SERVER_ERROR_LEN];
	int r;

	r = cache_start(d);
	if (r >= 0)
		r = upstreams_start(d);
	if (r < 0) {
		log_event(LOG_ERR, "cannot start the DNS service", log_errno(r));
		return r;
	}
	s.listen = listen;
	s.listen_count = d->config->edge.dns.listen_count;
	for (size_t i = 0; i < s.listen_count; i++)
		listen[i] = (struct dns_listen){d->config->edge.dns.listen[i].addr,
						d->config->edge.dns.listen[i].port};
	s.requests_max = d->config->limits.dns_requests;
	s.freebind = true;
	s.handle = on_request;
	s.ctx = d;
	r = dns_server_new(d->event, &s, &d->dns, error);
	if (r < 0)
		log_event(LOG_ERR, "cannot start the DNS service", log_str("reason", error));
	return r;
}

void dns_stop(struct daemon *d)
{
	dns_server_free(TAKE_PTR(d->dns));
	upstream_free(TAKE_PTR(d->upstream));
	upstream_free(TAKE_PTR(d->site));
	while (!LIST_EMPTY(&d->forwarded))
		forwarded_free(LIST_FIRST(&d->forwarded));
	cache_free(TAKE_PTR(d->cache));
	bucket_table_free(TAKE_PTR(d->buckets));
}

int resolver_start(struct daemon *d, struct resolver **ret_resolver)
{
	struct server_list list;
	const struct resolver_settings s = {
		.servers = server_list(d, &d->config->gateway.resolver.servers, &list),
		.timeout_ms = d->config->gateway.resolver.timeout_s * 1000,
	};

	return resolver_new(d->event, &s, gateway_on_resolved, d, ret_resolver);
}
