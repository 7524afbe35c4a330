/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as JSON, in the shape of the file, for `fqdnat config show`.
 *
 * Out of memory anywhere leaves a NULL that jansson's pack and append functions pass on.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_values.h"

static json_t *addr_json(const struct fq_addr *addr)
{
	char text[IPADDR_STRLEN];

	return json_string(ipaddr_format(addr, text));
}

static json_t *prefix_json(const struct ipprefix *prefix)
{
	char text[IPADDR_STRLEN + 4];

	return json_string(ipprefix_format(prefix, text, sizeof(text)));
}

/* As it would be written: the port only where it is not the usual one. */
static json_t *endpoint_json(const struct config_endpoint *at, uint16_t usual)
{
	char text[IPADDR_STRLEN], full[IPADDR_STRLEN + 10];

	ipaddr_format(&at->addr, text);
	if (at->port == usual)
		return json_string(text);
	snprintf(full, sizeof(full), ipaddr_is_v4(&at->addr) ? "%s:%u" : "[%s]:%u", text, at->port);
	return json_string(full);
}

static json_t *servers_json(const struct config_servers *servers)
{
	json_t *list = json_array();

	if (servers->count == 0)
		json_array_append_new(list, json_string("system"));
	for (unsigned int i = 0; i < servers->count; i++)
		json_array_append_new(list, endpoint_json(&servers->server[i], 53));
	return list;
}

static json_t *range_json(unsigned int lo, unsigned int hi)
{
	char text[16];

	if (lo == hi)
		return json_integer(lo);
	snprintf(text, sizeof(text), "%u-%u", lo, hi);
	return json_string(text);
}

static json_t *interfaces_json(const struct config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->interface_count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "name", config->interfaces[i].name, "mode",
					config_mode_name(config->interfaces[i].mode)));
	return list;
}

static json_t *dns_json(const struct config_edge *edge)
{
	json_t *listen = json_array(), *allow = edge->dns.allow_count ? json_array() : NULL;

	for (unsigned int i = 0; i < edge->dns.listen_count; i++)
		json_array_append_new(listen, endpoint_json(&edge->dns.listen[i], 53));
	for (unsigned int i = 0; i < edge->dns.allow_count; i++)
		json_array_append_new(allow, prefix_json(&edge->dns.allow[i]));
	return json_pack("{s:o, s:o, s:o*, s:s}", "listen", listen, "upstream",
			 servers_json(&edge->dns.upstream), "allow", allow, "xdp",
			 edge->dns.xdp ? "on" : "off");
}

/* The file a key is in; what is in the file is shown to nobody. */
static const char *key_file(const struct config_key *key)
{
	return key->given ? key->file : NULL;
}

static json_t *edge_gateways_json(const struct config_edge *edge)
{
	json_t *list = edge->gateway_count ? json_array() : NULL;

	for (unsigned int i = 0; i < edge->gateway_count; i++) {
		const struct config_edge_gateway *g = &edge->gateways[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:i, s:i, s:s*}", "name", g->name,
						      "address", addr_json(&g->at.addr), "port",
						      g->at.port, "dns_port", g->dns_port,
						      "key_file", key_file(&g->key)));
	}
	return list;
}

static json_t *pools_json(const struct config_edge *edge)
{
	return json_pack("{s:o, s:o}", "ipv4", prefix_json(&edge->pool4), "ipv6",
			 prefix_json(&edge->pool6));
}

static json_t *sessions_json(const struct config_gateway *g)
{
	return json_pack("{s:i, s:i}", "max", g->sessions.max, "per_client",
			 g->sessions.per_client);
}

static json_t *timeouts_json(const struct config_gateway *g)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "tcp_opening_s",
			 g->timeouts.tcp_opening_s, "tcp_established_s",
			 g->timeouts.tcp_established_s, "tcp_closing_s", g->timeouts.tcp_closing_s,
			 "tcp_reset_s", g->timeouts.tcp_reset_s, "udp_s", g->timeouts.udp_s,
			 "icmp_s", g->timeouts.icmp_s, "unconfirmed_s", g->timeouts.unconfirmed_s,
			 "tombstone_s", g->timeouts.tombstone_s);
}

static json_t *edge_json(const struct config *config)
{
	const struct config_edge *edge = &config->edge;
	json_t *control = NULL, *sessions = NULL, *timeouts = NULL;

	if (edge->control.has_address)
		control = json_pack("{s:o}", "address", addr_json(&edge->control.address));
	if (!config->has_gateway) {
		sessions = sessions_json(&config->gateway);
		timeouts = timeouts_json(&config->gateway);
		json_object_del(timeouts, "tombstone_s");
	}
	return json_pack("{s:o, s:o, s:o*, s:o*, s:o*, s:o*}", "dns", dns_json(edge), "pools",
			 pools_json(edge), "control", control, "gateways", edge_gateways_json(edge),
			 "sessions", sessions, "timeouts", timeouts);
}

static json_t *masquerade_json(const struct config_gateway *g)
{
	json_t *list;

	if (g->masquerade != FQ_MASQ_GIVEN)
		return json_string(g->masquerade == FQ_MASQ_AUTO ? "auto" : "none");
	list = json_array();
	for (unsigned int i = 0; i < g->nat4_count; i++)
		json_array_append_new(list, addr_json(&g->nat4[i]));
	for (unsigned int i = 0; i < g->nat6_count; i++)
		json_array_append_new(list, addr_json(&g->nat6[i]));
	return list;
}

static json_t *gateway_edges_json(const struct config_gateway *g)
{
	json_t *list = g->edge_count ? json_array() : NULL;

	for (unsigned int i = 0; i < g->edge_count; i++) {
		const struct config_gateway_edge *e = &g->edges[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:s*}", "name", e->name,
						      "address", addr_json(&e->addr), "key_file",
						      key_file(&e->key)));
	}
	return list;
}

/* @edge: that has the pools; NULL: the section edge shows them */
static json_t *gateway_json(const struct config_gateway *g, const struct config_edge *edge)
{
	json_t *listen = NULL, *per_edge = NULL;

	if (g->has_listen)
		listen = json_pack("{s:o, s:i, s:i}", "address", addr_json(&g->listen.addr), "port",
				   g->listen.port, "dns_port", g->dns_port);
	if (g->edge_count)
		per_edge = json_pack("{s:i, s:i, s:i}", "resolutions", g->per_edge.resolutions,
				     "translations", g->per_edge.translations, "sessions",
				     g->per_edge.sessions);
	return json_pack("{s:o*, s:o*, s:o*, s:o*, s:{s:o, s:i}, s:o, s:s, s:o, s:o, s:o}", "pools",
			 edge ? pools_json(edge) : NULL, "listen", listen, "edges",
			 gateway_edges_json(g), "per_edge", per_edge, "resolver", "servers",
			 servers_json(&g->resolver.servers), "timeout_s", g->resolver.timeout_s,
			 "masquerade", masquerade_json(g), "hops", g->show_hops ? "show" : "hide",
			 "ports", range_json(g->port_lo, g->port_hi), "sessions", sessions_json(g),
			 "timeouts", timeouts_json(g));
}

static json_t *control_json(const struct config *config)
{
	json_t *trusted = config->control.trusted_count ? json_array() : NULL;

	for (unsigned int i = 0; i < config->control.trusted_count; i++)
		json_array_append_new(trusted, prefix_json(&config->control.trusted[i]));
	return json_pack("{s:o*, s:i}", "trusted", trusted, "rate", config->control.rate);
}

static json_t *clients_json(const struct config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->client_count; i++) {
		const struct config_client *c = &config->clients[i];
		json_t *prefixes = json_array();

		for (unsigned int j = 0; j < c->prefix_count; j++)
			json_array_append_new(prefixes, prefix_json(&c->prefixes[j]));
		json_array_append_new(
			list,
			json_pack("{s:s, s:o, s:s*}", "name", c->name, "prefixes", prefixes, "edge",
				  c->remote ? config->gateway.edges[c->edge].name : NULL));
	}
	return list;
}

static json_t *filters_json(const struct fq_filter *filter)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < filter->ranges; i++) {
		const struct fq_port_range *range = &filter->range[i];

		json_array_append_new(list, json_pack("{s:o}",
						      range->proto == IPPROTO_TCP ? "tcp" : "udp",
						      range_json(range->lo, range->hi)));
	}
	if (filter->icmp)
		json_array_append_new(list, json_string("icmp"));
	return list;
}

static json_t *resources_json(const struct config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->resource_count; i++) {
		const struct config_resource *r = &config->resources[i];
		json_t *gateways = json_array();

		for (unsigned int j = 0; j < r->gateway_count; j++)
			json_array_append_new(
				gateways, json_string(config->edge.gateways[r->gateways[j]].name));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "id", r->id,
						"name", r->name, "address", r->address, "ip_stack",
						config_stack_name(r->ip_stack), "translate",
						config_translate_name(r->translate), "filters",
						filters_json(&r->filter), "gateways", gateways));
	}
	return list;
}

static json_t *time_json(time_t t)
{
	char text[32];
	struct tm tm;

	if (t == 0)
		return json_null();
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *grants_json(const struct config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->grant_count; i++) {
		const struct config_grant *g = &config->grants[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "client",
						      config->clients[g->client].name, "resource",
						      config->resources[g->resource].name,
						      "expires", time_json(g->expires)));
	}
	return list;
}

static json_t *limits_json(const struct config_limits *limits)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "domains", limits->domains,
			 "held_bytes", limits->held_bytes, "dns_requests", limits->dns_requests,
			 "dns_per_client", limits->dns_per_client, "new_names_per_client",
			 limits->new_names_per_client, "dns_cache", limits->dns_cache,
			 "resolutions", limits->resolutions);
}

static json_t *mss_clamp_json(const struct config *config)
{
	if (config->mss_clamp == 0 || config->mss_clamp == FQ_MSS_AUTO)
		return json_string(config->mss_clamp ? "auto" : "none");
	return json_integer(config->mss_clamp);
}

json_t *config_to_json(const struct config *config)
{
	return json_pack(
		"{s:o, s:s, s:o, s:o, s:o*, s:o*, s:o, s:o, s:o, s:o, s:{s:s, s:s}, s:s, s:s, s:s}",
		"interfaces", interfaces_json(config), "source_check",
		config_source_check_name(config->source_check), "mss_clamp", mss_clamp_json(config),
		"control", control_json(config), "edge",
		config->has_edge ? edge_json(config) : NULL, "gateway",
		config->has_gateway
			? gateway_json(&config->gateway, config->has_edge ? NULL : &config->edge)
			: NULL,
		"clients", clients_json(config), "resources", resources_json(config), "grants",
		grants_json(config), "limits", limits_json(&config->limits), "log", "format",
		log_format_name(config->log.format), "level", log_level_name(config->log.level),
		"bpffs", config->bpffs, "state", config->state, "control_socket",
		config->control_socket);
}
