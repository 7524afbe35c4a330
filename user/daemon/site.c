/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions of other types (SRV, TXT) about resources, answered at the site. The edge's half hands
 * them to the gateway that serves the name; the gateway's half takes them from its edges, and asks
 * its own servers about names that the edge's clients may reach, no others.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/dnswire.h"
#include "daemon/daemon.h"

#define RCODE_REFUSED 5

/* ---- at the edge ---- */

static int site_start(struct daemon *d, struct remote *g)
{
	char text[IPADDR_STRLEN + 8], host[IPADDR_STRLEN];
	const char *name = text;
	const struct upstream_settings s = {
		.servers = {.text = &name, .count = 1},
		.source = d->config->edge.control.address, /* by which the gateway knows us */
		.timeout_ms = SITE_TIMEOUT_MS,
		.in_flight_max = d->config->limits.dns_requests,
	};

	snprintf(text, sizeof(text), ipaddr_is_v4(&g->addr) ? "%s:%u" : "[%s]:%u",
		 ipaddr_format(&g->addr, host), g->dns_port);
	return upstream_new(d->event, &s, &g->site);
}

struct upstream *site_of_gateway(struct daemon *d, uint32_t id)
{
	struct remote *g;
	int r;

	if (id == LOCAL_GATEWAY)
		return d->site;
	g = gateway_remote(d, id);
	if (!g)
		return NULL;
	r = g->site ? 0 : site_start(d, g);
	if (r < 0)
		log_limited(LOG_ERR, "cannot ask at the site", log_str("gateway", g->name),
			    log_errno(r));
	return g->site;
}

/* ---- at the gateway ---- */

/* Whether a client of the scope may reach the name that is asked for. */
static bool may_ask_about(struct daemon *d, uint32_t scope, struct dns_request *req)
{
	struct dnswire_message m;
	struct edge_site site;
	struct dname name;
	const uint8_t *bytes;
	size_t len;

	bytes = dns_request_bytes(req, &len);
	if (dnswire_parse(bytes, len, &m) < 0 || m.depth < DNSWIRE_QUESTION ||
	    (m.flags & (DNSWIRE_QR | DNSWIRE_OPCODE)) ||
	    dname_from_wire(bytes + DNSWIRE_HEADER_LEN, m.name_len, &name) < 0)
		return false;
	return edge_site(d->edge, &name, &site) &&
	       policy_scope_granted(gateway_policy(d->gateway), scope, site.resource,
				    instant_now());
}

static bool site_may_connect(void *ctx, const struct fq_addr *src)
{
	uint32_t scope;

	return edge_scope_of(ctx, src, &scope);
}

static void site_on_request(void *ctx, struct dns_request *req)
{
	struct daemon *d = ctx;
	uint32_t scope;

	if (!edge_scope_of(d, dns_request_source(req), &scope))
		dataplane_count(d->dp, FQ_R_DNS_REFUSED, 1);
	else if (!bucket_take(d->queries, dns_request_source(req), instant_now()))
		dataplane_count(d->dp, FQ_R_DNS_OVERLOAD, 1);
	else if (may_ask_about(d, scope, req))
		dns_forward(d, req, d->site);
	else
		dns_reply_error(req, RCODE_REFUSED);
	dns_request_unref(req);
}

int site_apply(struct daemon *d)
{
	const struct config_gateway *g = &d->config->gateway;
	const struct dns_listen at = {g->listen.addr, g->dns_port};
	struct dns_server_settings s = dns_server_settings_default();
	char error[DNS_SERVER_ERROR_LEN];
	int r;

	if (d->site_server && g->has_listen &&
	    memcmp(&d->in_force.site_listen, &at, sizeof(at)) == 0)
		return 0;
	dns_server_free(TAKE_PTR(d->site_server));
	if (!g->has_listen)
		return 0;
	s.listen = &at;
	s.listen_count = 1;
	s.requests_max = d->config->limits.dns_requests;
	s.freebind = true;
	s.may_connect = site_may_connect;
	s.handle = site_on_request;
	s.ctx = d;
	r = dns_server_new(d->event, &s, &d->site_server, error);
	if (r < 0)
		log_event(LOG_ERR, "cannot listen for edges' questions", log_str("reason", error));
	else
		d->in_force.site_listen = at;
	return r;
}

void site_stop(struct daemon *d)
{
	dns_server_free(TAKE_PTR(d->site_server));
}
