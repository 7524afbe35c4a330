/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other machines in the configuration: an edge's gateways, a gateway's edges, and what makes
 * their messages believable: a key, or a prefix inside a tunnel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config_sections.h"
#include "config/config_values.h"

#define CONTROL_PORT  4700
#define SITE_DNS_PORT 53535

static int read_trusted_item(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config *config = ctx;

	return read_prefix(rd, node, &config->control.trusted[config->control.trusted_count++]);
}

static int read_trusted(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	return reader_list(rd, node, key->max, read_trusted_item, field);
}

static const struct key control_keys[] = {
	{.name = "trusted", .read = read_trusted, .max = CONFIG_PREFIXES_MAX},
	{.name = "rate",
	 .read = read_uint,
	 .min = 10,
	 .max = 1000000,
	 .offset = offsetof(struct config, control.rate)},
	{0},
};

int read_control(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	(void)key;
	return reader_map(rd, node, control_keys, field);
}

static bool is_trusted(const struct config *config, const struct fq_addr *addr)
{
	for (unsigned int i = 0; i < config->control.trusted_count; i++)
		if (ipprefix_contains(&config->control.trusted[i], addr))
			return true;
	return false;
}

/* A peer without a key is known by its address only: nobody else may be able to use that. */
static int check_trusted(struct reader *rd, yaml_node_t *node, const char *name, const char *what,
			 const struct fq_addr *addr)
{
	char text[IPADDR_STRLEN];

	if (is_trusted(rd->config, addr))
		return 0;
	return reader_error(rd, node,
			    "\"%s\" has no key_file, and %s %s is not inside control.trusted: "
			    "anybody could forge messages; give both sides a key_file, or list the "
			    "prefix in control.trusted if it is inside a tunnel",
			    name, what, ipaddr_format(addr, text));
}

/*
 * One key for two pairs would let one peer's messages pass for another's, or come back as if the
 * other side had sent them.
 */
static int check_key(struct reader *rd, yaml_node_t *node, const struct config_key *key)
{
	const struct config_edge *edge = &rd->config->edge;
	const struct config_gateway *gateway = &rd->config->gateway;
	const char *other = NULL;

	if (!key->given)
		return 0;
	for (unsigned int i = 0; i < edge->gateway_count; i++)
		if (&edge->gateways[i].key != key && edge->gateways[i].key.given &&
		    memcmp(edge->gateways[i].key.bytes, key->bytes, CONFIG_KEY_LEN) == 0)
			other = edge->gateways[i].name;
	for (unsigned int i = 0; i < gateway->edge_count; i++)
		if (&gateway->edges[i].key != key && gateway->edges[i].key.given &&
		    memcmp(gateway->edges[i].key.bytes, key->bytes, CONFIG_KEY_LEN) == 0)
			other = gateway->edges[i].name;
	if (!other)
		return 0;
	return reader_error(rd, node,
			    "%s holds the same key as the one of \"%s\", expected a key of its own "
			    "for every pair of an edge and a gateway",
			    key->file, other);
}

static int same_family(struct reader *rd, yaml_node_t *node, const struct fq_addr *addr,
		       const struct fq_addr *own)
{
	char text[IPADDR_STRLEN], own_text[IPADDR_STRLEN];

	if (ipaddr_is_v4(addr) == ipaddr_is_v4(own))
		return 0;
	return reader_error(rd, node, "%s cannot be reached from %s: one is IPv4, the other IPv6",
			    ipaddr_format(addr, text), ipaddr_format(own, own_text));
}

static const struct key edge_control_keys[] = {
	{.name = "address",
	 .read = read_outside_address,
	 .required = true,
	 .offset = offsetof(struct config_edge, control.address)},
	{0},
};

int read_edge_control(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_edge *edge = field;

	(void)key;
	if (reader_is_null(node))
		return 0;
	edge->control.has_address = true;
	return reader_map(rd, node, edge_control_keys, edge);
}

static const struct key edge_gateway_keys[] = {
	{.name = "name",
	 .read = read_unique_name,
	 .more = NAME_GATEWAY,
	 .required = true,
	 .offset = offsetof(struct config_edge_gateway, name)},
	{.name = "address",
	 .read = read_outside_address,
	 .required = true,
	 .offset = offsetof(struct config_edge_gateway, at.addr)},
	{.name = "port",
	 .read = read_port,
	 .offset = offsetof(struct config_edge_gateway, at.port)},
	{.name = "dns_port",
	 .read = read_port,
	 .offset = offsetof(struct config_edge_gateway, dns_port)},
	{.name = "key_file",
	 .read = read_key_file,
	 .offset = offsetof(struct config_edge_gateway, key)},
	{0},
};

static int check_edge_gateway(struct reader *rd, yaml_node_t *node,
			      const struct config_edge_gateway *gateway)
{
	const struct config_edge *edge = &rd->config->edge;
	char text[IPADDR_STRLEN];
	int r;

	r = reader_unique(rd, node, "gateway address", ipaddr_format(&gateway->at.addr, text), 0);
	if (r == 0 && gateway->at.port == gateway->dns_port)
		r = reader_error(rd, node, "port and dns_port are both %u, expected different ones",
				 gateway->dns_port);
	if (r == 0 && edge->control.has_address)
		r = same_family(rd, node, &gateway->at.addr, &edge->control.address);
	if (r == 0 && !gateway->key.given)
		r = check_trusted(rd, node, gateway->name, "its address", &gateway->at.addr);
	return r < 0 ? r : check_key(rd, node, &gateway->key);
}

static int read_edge_gateway(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config_edge *edge = ctx;
	struct config_edge_gateway *gateway = &edge->gateways[edge->gateway_count];
	int r;

	rd->index = edge->gateway_count++;
	gateway->at.port = CONTROL_PORT;
	gateway->dns_port = SITE_DNS_PORT;
	r = reader_map(rd, node, edge_gateway_keys, gateway);
	return r < 0 ? r : check_edge_gateway(rd, node, gateway);
}

int read_edge_gateways(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_edge *edge = field;
	unsigned int count = reader_count(node);

	if (reader_is_empty(node))
		return reader_error(rd, node,
				    "the list is empty: leave the key out "
				    "if the gateway is in this process");
	edge->gateways = calloc(count ? count : 1, sizeof(edge->gateways[0]));
	if (!edge->gateways)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_edge_gateway, edge);
}

static const struct key listen_keys[] = {
	{.name = "address",
	 .read = read_outside_address,
	 .required = true,
	 .offset = offsetof(struct config_gateway, listen.addr)},
	{.name = "port", .read = read_port, .offset = offsetof(struct config_gateway, listen.port)},
	{.name = "dns_port",
	 .read = read_port,
	 .offset = offsetof(struct config_gateway, dns_port)},
	{0},
};

int read_gateway_listen(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_gateway *gateway = field;
	struct config_endpoint dns;
	char text[IPADDR_STRLEN + 12];
	int r;

	(void)key;
	gateway->has_listen = true;
	gateway->listen.port = CONTROL_PORT;
	gateway->dns_port = SITE_DNS_PORT;
	r = reader_map(rd, node, listen_keys, gateway);
	if (r < 0)
		return r;
	dns = (struct config_endpoint){gateway->listen.addr, gateway->dns_port};
	r = reader_unique(rd, node, LISTEN_ADDRESS, endpoint_format(&gateway->listen, text), 0);
	if (r < 0)
		return r;
	return reader_unique(rd, node, LISTEN_ADDRESS, endpoint_format(&dns, text), 0);
}

static const struct key gateway_edge_keys[] = {
	{.name = "name",
	 .read = read_unique_name,
	 .more = NAME_EDGE,
	 .required = true,
	 .offset = offsetof(struct config_gateway_edge, name)},
	{.name = "address",
	 .read = read_outside_address,
	 .required = true,
	 .offset = offsetof(struct config_gateway_edge, addr)},
	{.name = "key_file",
	 .read = read_key_file,
	 .offset = offsetof(struct config_gateway_edge, key)},
	{0},
};

static int check_gateway_edge(struct reader *rd, yaml_node_t *node,
			      const struct config_gateway_edge *edge)
{
	const struct config_gateway *gateway = &rd->config->gateway;
	char text[IPADDR_STRLEN];
	int r;

	r = reader_unique(rd, node, "edge address", ipaddr_format(&edge->addr, text), 0);
	if (r == 0 && gateway->has_listen)
		r = same_family(rd, node, &edge->addr, &gateway->listen.addr);
	if (r == 0 && !edge->key.given)
		r = check_trusted(rd, node, edge->name, "its address", &edge->addr);
	if (r == 0 && !edge->key.given && gateway->has_listen)
		r = check_trusted(rd, node, edge->name, "the listen address",
				  &gateway->listen.addr);
	return r < 0 ? r : check_key(rd, node, &edge->key);
}

static int read_gateway_edge(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config_gateway *gateway = ctx;
	struct config_gateway_edge *edge = &gateway->edges[gateway->edge_count];
	int r;

	rd->index = gateway->edge_count++;
	r = reader_map(rd, node, gateway_edge_keys, edge);
	return r < 0 ? r : check_gateway_edge(rd, node, edge);
}

int read_gateway_edges(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_gateway *gateway = field;
	unsigned int count = reader_count(node);

	if (reader_is_empty(node))
		return reader_error(rd, node,
				    "the list is empty: leave the key out "
				    "if the edge is in this process");
	gateway->edges = calloc(count ? count : 1, sizeof(gateway->edges[0]));
	if (!gateway->edges)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_gateway_edge, gateway);
}

static const struct key per_edge_keys[] = {
	{.name = "resolutions",
	 .read = read_uint,
	 .min = 1,
	 .max = 65536,
	 .offset = offsetof(struct config_gateway, per_edge.resolutions)},
	{.name = "translations",
	 .read = read_uint,
	 .min = 8,
	 .max = CONFIG_TRANSLATIONS_MAX,
	 .offset = offsetof(struct config_gateway, per_edge.translations)},
	{.name = "sessions",
	 .read = read_uint,
	 .min = 1,
	 .max = 1 << 24,
	 .offset = offsetof(struct config_gateway, per_edge.sessions)},
	{0},
};

int read_per_edge(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const struct config_gateway *g = field;
	unsigned int resolutions = rd->config->limits.resolutions;
	int r;

	(void)key;
	r = reader_map(rd, node, per_edge_keys, field);
	if (r < 0)
		return r;
	if (g->edge_count == 0 && !reader_is_null(node))
		return reader_error(rd, node,
				    "gateway.edges is absent, expected edges on other machines");
	if (g->per_edge.sessions > g->sessions.max)
		return reader_error(rd, node, "sessions %u is more than gateway.sessions.max %u",
				    g->per_edge.sessions, g->sessions.max);
	if (g->per_edge.resolutions > resolutions)
		return reader_error(rd, node, "resolutions %u is more than limits.resolutions %u",
				    g->per_edge.resolutions, resolutions);
	return 0;
}

int check_gateway_peers(struct reader *rd, yaml_node_t *node)
{
	const struct config *config = rd->config;
	const struct config_gateway *g = &config->gateway;

	if (g->has_listen && g->edge_count == 0)
		return reader_error(rd, node,
				    "key \"edges\" is missing: with listen, expected the edges "
				    "that may ask");
	if (!g->has_listen && g->edge_count > 0)
		return reader_error(rd, node,
				    "key \"listen\" is missing: with edges, expected the address "
				    "that they send to");
	if (g->has_listen || (config->has_edge && config->edge.gateway_count == 0))
		return 0;
	return reader_error(rd, node,
			    "nobody can ask this gateway: expected listen and edges, or an edge in "
			    "this process that has no gateways on other machines");
}
