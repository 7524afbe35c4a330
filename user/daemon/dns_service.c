/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS service's parts, begun and changed while it runs: listeners, upstream servers, cache,
 * limits, and the gateway's resolver. What cannot be changed stays as it was, and is tried again
 * with the next reload: d->in_force says what runs, the configuration what ought to.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/daemon.h"

#define UPSTREAM_TIMEOUT_MS 5000
#define CACHE_BYTES_EACH    1024 /* of the limit, for each cached answer */
#define BUCKET_SOURCES      4096

/* Names that a client asks for the first time: what a person needs at once. What comes after, by
 * the second, is configured. */
#define NEW_NAMES_BURST 500

/* Refusals told to strangers, over all: enough to find a mistake, too few to be a reflector. */
#define REFUSALS_PER_SECOND 100

/* A list of servers as text, and our own addresses, for as long as it takes to hand them over. */
struct server_list {
	char text[CONFIG_SERVERS_MAX][IPADDR_STRLEN + 8];
	const char *names[CONFIG_SERVERS_MAX];
	struct dns_listen own[CONFIG_LISTEN_MAX];
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
		l->own[i] = (struct dns_listen){d->config->edge.dns.listen[i].addr,
						d->config->edge.dns.listen[i].port};
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
static int upstream_change(struct daemon *d, const struct config_servers *servers,
			   struct upstream **slot, const char *what)
{
	struct upstream *new = NULL;
	int r = upstream_start(d, servers, &new);

	if (r == -EDESTADDRREQ)
		log_event(LOG_WARNING, "no DNS server to ask but ourselves", log_str("for", what));
	else if (r < 0)
		return r;
	dns_forget_forwarded(d);
	upstream_free(*slot);
	*slot = new;
	return 0;
}

/* Lookups under way end with the old resolver, which is kept until then. */
static int resolver_change(struct daemon *d)
{
	struct server_list list;
	const struct resolver_settings s = {
		.servers = server_list(d, &d->config->gateway.resolver.servers, &list),
		.timeout_ms = d->config->gateway.resolver.timeout_s * 1000,
	};
	struct resolver *new = NULL;
	int r;

	if (d->retired && resolver_in_flight(d->retired))
		return -EBUSY;
	r = resolver_new(d->event, &s, gateway_on_resolved, d, &new);
	if (r < 0)
		return r;
	resolver_free(d->retired);
	d->retired = d->resolver;
	d->resolver = new;
	return 0;
}

static bool same_servers(const struct config_servers *a, const struct config_servers *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int resolver_apply(struct daemon *d)
{
	const struct config *c = d->config;
	struct in_force *f = &d->in_force;
	int r;

	if (d->resolver && f->timeout_s == c->gateway.resolver.timeout_s &&
	    same_servers(&f->resolver, &c->gateway.resolver.servers))
		return 0;
	r = resolver_change(d);
	if (r == -EDESTADDRREQ)
		log_event(LOG_ERR, "no DNS server to resolve with but ourselves; "
				   "set gateway.resolver.servers");
	else if (r == -EBUSY)
		log_event(LOG_ERR, "the resolver before the last is busy still; reload again");
	else if (r < 0)
		log_event(LOG_ERR, "cannot change the resolver", log_errno(r));
	if (r < 0)
		return r;
	f->resolver = c->gateway.resolver.servers;
	f->timeout_s = c->gateway.resolver.timeout_s;
	return 0;
}

static int upstreams_apply(struct daemon *d)
{
	const struct config *c = d->config;
	struct in_force *f = &d->in_force;
	int r = 0;

	if (f->dns && same_servers(&f->upstream, &c->edge.dns.upstream) &&
	    same_servers(&f->site, &c->gateway.resolver.servers))
		return 0;
	if (c->has_edge)
		r = upstream_change(d, &c->edge.dns.upstream, &d->upstream,
				    "names that are no resource");
	if (r >= 0)
		r = upstream_change(d, &c->gateway.resolver.servers, &d->site,
				    "SRV and TXT of resources");
	if (r < 0)
		return r;
	f->upstream = c->edge.dns.upstream;
	f->site = c->gateway.resolver.servers;
	return 0;
}

static int listen_on(struct daemon *d, const struct config_endpoint *at, unsigned int count,
		     char error[DNS_SERVER_ERROR_LEN])
{
	struct dns_server_settings s = dns_server_settings_default();
	struct dns_listen listen[CONFIG_LISTEN_MAX];

	for (unsigned int i = 0; i < count; i++)
		listen[i] = (struct dns_listen){at[i].addr, at[i].port};
	s.listen = listen;
	s.listen_count = count;
	s.requests_max = d->config->limits.dns_requests;
	s.freebind = true;
	s.may_connect = dns_may_ask;
	s.handle = dns_on_request;
	s.handled = dns_on_handled;
	s.ctx = d;
	return dns_server_new(d->event, &s, &d->dns, error);
}

/* What the transport has dropped before anything looked into it. */
void dns_report(struct daemon *d)
{
	struct dns_server_counters now, *told = &d->dns_told;

	if (!d->dns)
		return;
	now = dns_server_counters(d->dns);
	dataplane_count(d->dp, FQ_R_DNS_MALFORMED, now.malformed - told->malformed);
	dataplane_count(d->dp, FQ_R_DNS_OVERLOAD,
			now.overload - told->overload + now.tcp_refused - told->tcp_refused);
	*told = now;
}

/* New listeners begin to count at 0. */
static void listeners_end(struct daemon *d)
{
	dns_report(d);
	d->dns_told = (struct dns_server_counters){0};
	dns_server_free(TAKE_PTR(d->dns));
}

/* New addresses that cannot be had leave the old ones in force. */
static int listeners_apply(struct daemon *d)
{
	const struct config *c = d->config;
	struct in_force *f = &d->in_force;
	char error[DNS_SERVER_ERROR_LEN], again[DNS_SERVER_ERROR_LEN];
	int r;

	if (d->dns && f->listen_count == c->edge.dns.listen_count &&
	    memcmp(f->listen, c->edge.dns.listen, sizeof(f->listen)) == 0)
		return 0;
	listeners_end(d);
	r = listen_on(d, c->edge.dns.listen, c->edge.dns.listen_count, error);
	if (r < 0) {
		log_event(LOG_ERR, "cannot listen for DNS", log_str("reason", error));
		if (f->listen_count && listen_on(d, f->listen, f->listen_count, again) < 0)
			log_event(LOG_ERR, "cannot listen as before either",
				  log_str("reason", again));
		return r;
	}
	memcpy(f->listen, c->edge.dns.listen, sizeof(f->listen));
	f->listen_count = c->edge.dns.listen_count;
	return 0;
}

/* Twice what a second allows at least, as for queries. */
static unsigned int new_names_burst(unsigned int per_second)
{
	return 2 * per_second > NEW_NAMES_BURST ? 2 * per_second : NEW_NAMES_BURST;
}

static int limits_start(struct daemon *d)
{
	const struct config_limits *l = &d->config->limits;
	struct cache_settings cache = {
		.entries_max = l->dns_cache,
		.bytes_max = (size_t)l->dns_cache * CACHE_BYTES_EACH,
	};
	const struct bucket_settings queries = {
		.per_second = l->dns_per_client,
		.burst = l->dns_per_client ? 2 * l->dns_per_client : 1,
		.sources_max = BUCKET_SOURCES,
	};
	const struct bucket_settings names = {
		.per_second = l->new_names_per_client,
		.burst = new_names_burst(l->new_names_per_client),
		.sources_max = BUCKET_SOURCES,
	};
	const struct bucket_settings refusals = {
		.per_second = REFUSALS_PER_SECOND,
		.burst = REFUSALS_PER_SECOND,
		.sources_max = 1,
	};
	int r;

	if (getrandom(cache.hash_key, sizeof(cache.hash_key), 0) < 0)
		return -errno;
	r = cache_new(&cache, &d->cache);
	if (r >= 0)
		r = bucket_table_new(&queries, &d->queries);
	if (r >= 0)
		r = bucket_table_new(&names, &d->new_names);
	if (r >= 0)
		r = bucket_table_new(&refusals, &d->refusals);
	return r;
}

int dns_apply(struct daemon *d)
{
	int r = d->cache ? 0 : limits_start(d);

	if (r >= 0)
		r = upstreams_apply(d);
	if (r < 0) {
		log_event(LOG_ERR, "cannot set up the DNS service", log_errno(r));
		return r;
	}
	d->in_force.dns = true;
	return d->config->has_edge ? listeners_apply(d) : 0;
}

void dns_stop(struct daemon *d)
{
	dns_server_free(TAKE_PTR(d->dns));
	upstream_free(TAKE_PTR(d->upstream));
	upstream_free(TAKE_PTR(d->site));
	dns_forget_forwarded(d);
	resolver_free(TAKE_PTR(d->resolver));
	resolver_free(TAKE_PTR(d->retired));
	cache_free(TAKE_PTR(d->cache));
	bucket_table_free(TAKE_PTR(d->queries));
	bucket_table_free(TAKE_PTR(d->new_names));
	bucket_table_free(TAKE_PTR(d->refusals));
}
