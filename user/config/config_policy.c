/* SPDX-License-Identifier: BSD-2-Clause */
/* The sections clients, resources and grants of the configuration, and that they fit together. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/config_sections.h"
#include "config/config_values.h"

static const char CLIENT[] = "client name";
static const char RESOURCE[] = "resource name";

/* Say that a name is unknown, and which was probably meant. */
static int unknown_name(struct reader *rd, const yaml_node_t *node, const char *what,
			const char *const *names)
{
	const char *nearest = reader_nearest(reader_text(node), names);

	if (nearest)
		return reader_error(rd, node, "unknown %s \"%s\", did you mean \"%s\"?", what,
				    reader_text(node), nearest);
	return reader_error(rd, node, "unknown %s \"%s\"", what, reader_text(node));
}

/* Names at a fixed distance in an array of structs, for a suggestion. */
static int unknown(struct reader *rd, const yaml_node_t *node, const char *what,
		   const void *first_name, size_t stride, unsigned int count)
{
	_cleanup_(freep) const char **names = calloc(count + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		names[i] = (const char *)first_name + i * stride;
	return unknown_name(rd, node, what, names);
}

static int read_client_prefix(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config_client *client = ctx;
	struct ipprefix *prefix = &client->prefixes[client->prefix_count];
	const struct ipprefix *pools[] = {&rd->config->edge.pool4, &rd->config->edge.pool6};
	char text[IPADDR_STRLEN + 4], pool[IPADDR_STRLEN + 4];
	int r;

	r = read_prefix(rd, node, prefix);
	if (r < 0)
		return r;
	client->prefix_count++;
	ipprefix_format(prefix, text, sizeof(text));
	for (int i = 0; i < 2; i++)
		if (ipprefix_overlaps(prefix, pools[i]))
			return reader_error(rd, node, "%s overlaps the proxy pool %s", text,
					    ipprefix_format(pools[i], pool, sizeof(pool)));
	return reader_unique(rd, node, "client prefix", text, 0);
}

static int read_client_prefixes(struct reader *rd, yaml_node_t *node, const struct key *key,
				void *field)
{
	struct config_client *client = field;
	unsigned int count = reader_count(node);

	if (reader_is_empty(node))
		return reader_error(rd, node, "the list is empty, expected at least one prefix");
	client->prefixes = calloc(count ? count : 1, sizeof(client->prefixes[0]));
	if (!client->prefixes)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_client_prefix, client);
}

/* Whose proxy addresses the client uses, where edges are on other machines. */
static int read_client_edge(struct reader *rd, yaml_node_t *node, const struct key *key,
			    void *field)
{
	const struct config_gateway *g = &rd->config->gateway;
	struct config_client *client = field;
	char name[CONFIG_NAME_LEN];
	int r = read_name(rd, node, key, name);

	if (r < 0)
		return r;
	if (g->edge_count == 0)
		return reader_error(rd, node,
				    "unknown edge \"%s\": gateway.edges is absent, "
				    "the edge is the one in this process",
				    name);
	if (!reader_find(rd, NAME_EDGE, name, &client->edge))
		return unknown(rd, node, "edge", g->edges[0].name, sizeof(g->edges[0]),
			       g->edge_count);
	client->remote = true;
	return 0;
}

/* Without the key: the edge in this process, else the only one there is. */
static int default_edge(struct reader *rd, yaml_node_t *node, struct config_client *client)
{
	unsigned int count = rd->config->gateway.edge_count;

	if (client->remote || rd->config->has_edge || count == 0)
		return 0;
	if (count > 1)
		return reader_error(rd, node,
				    "key \"edge\" is missing: gateway.edges has %u, "
				    "expected the one whose proxy addresses the client uses",
				    count);
	client->remote = true;
	client->edge = 0;
	return 0;
}

static const struct key client_keys[] = {
	{.name = "name",
	 .read = read_unique_name,
	 .more = CLIENT,
	 .required = true,
	 .offset = offsetof(struct config_client, name)},
	{.name = "prefixes",
	 .read = read_client_prefixes,
	 .max = CONFIG_PREFIXES_MAX,
	 .required = true},
	{.name = "edge", .read = read_client_edge},
	{0},
};

static int read_client(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config *config = ctx;
	struct config_client *client = &config->clients[config->client_count];
	int r;

	rd->index = config->client_count++;
	r = reader_map(rd, node, client_keys, client);
	return r < 0 ? r : default_edge(rd, node, client);
}

int read_clients(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config *config = field;
	unsigned int count = reader_count(node);

	config->clients = calloc(count ? count : 1, sizeof(config->clients[0]));
	if (!config->clients)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_client, config);
}

static int read_resource_id(struct reader *rd, yaml_node_t *node, const struct key *key,
			    void *field)
{
	int r = read_uuid(rd, node, key, field);

	return r < 0 ? r : reader_unique(rd, node, "resource id", field, rd->index);
}

static const struct word stacks[] = {
	{"dual", CONFIG_STACK_DUAL},
	{"ipv4", CONFIG_STACK_IPV4},
	{"ipv6", CONFIG_STACK_IPV6},
	{0},
};

const char *config_stack_name(enum config_ip_stack stack)
{
	return stacks[stack].name;
}

static const struct word translates[] = {
	{"same-family", CONFIG_TRANSLATE_SAME_FAMILY},
	{"any", CONFIG_TRANSLATE_ANY},
	{0},
};

const char *config_translate_name(enum config_translate translate)
{
	return translates[translate].name;
}

/* A port or range of the protocol key->min. */
static int read_filter_ports(struct reader *rd, yaml_node_t *node, const struct key *key,
			     void *field)
{
	struct fq_port_range range = {.proto = (uint8_t)key->min};
	struct fq_filter *filter = field;
	int r;

	r = read_port_range(rd, node, &range.lo, &range.hi);
	if (r < 0)
		return r;
	if (filter->ranges == FQ_FILTER_RANGES)
		return reader_error(rd, node, "more than %u port ranges", FQ_FILTER_RANGES);
	filter->range[filter->ranges++] = range;
	return 0;
}

static const struct key filter_keys[] = {
	{.name = "tcp", .read = read_filter_ports, .min = IPPROTO_TCP},
	{.name = "udp", .read = read_filter_ports, .min = IPPROTO_UDP},
	{0},
};

/* {tcp: ports}, {udp: ports}, or icmp. */
static int read_filter(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct fq_filter *filter = ctx;
	const char *text = reader_text(node);

	filter->allow_all = 0;
	if (text && strcmp(text, "icmp") == 0) {
		filter->icmp = 1;
		return 0;
	}
	if (node->type != YAML_MAPPING_NODE ||
	    node->data.mapping.pairs.top == node->data.mapping.pairs.start)
		return reader_expected(rd, node, "{tcp: PORTS}, {udp: PORTS} or icmp");
	return reader_map(rd, node, filter_keys, filter);
}

static int read_filters(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	return reader_list(rd, node, key->max, read_filter, field);
}

static int read_resource_gateway(struct reader *rd, yaml_node_t *node, void *ctx)
{
	const struct config_edge *edge = &rd->config->edge;
	struct config_resource *resource = ctx;
	char name[CONFIG_NAME_LEN];
	unsigned int index;
	int r;

	r = read_name(rd, node, NULL, name);
	if (r < 0)
		return r;
	if (!rd->config->has_edge)
		return 0; /* a gateway alone does not ask who else serves it */
	if (edge->gateway_count == 0)
		return reader_error(rd, node,
				    "unknown gateway \"%s\": edge.gateways is absent, "
				    "the gateway is the one in this process",
				    name);
	if (!reader_find(rd, NAME_GATEWAY, name, &index))
		return unknown(rd, node, "gateway", edge->gateways[0].name,
			       sizeof(edge->gateways[0]), edge->gateway_count);
	for (unsigned int i = 0; i < resource->gateway_count; i++)
		if (resource->gateways[i] == index)
			return reader_error(rd, node, "gateway \"%s\" is there twice", name);
	resource->gateways[resource->gateway_count++] = index;
	return 0;
}

static int read_resource_gateways(struct reader *rd, yaml_node_t *node, const struct key *key,
				  void *field)
{
	return reader_list(rd, node, key->max, read_resource_gateway, field);
}

static const struct key resource_keys[] = {
	{.name = "id",
	 .read = read_resource_id,
	 .required = true,
	 .offset = offsetof(struct config_resource, id)},
	{.name = "name",
	 .read = read_unique_name,
	 .more = RESOURCE,
	 .required = true,
	 .offset = offsetof(struct config_resource, name)},
	{.name = "address",
	 .read = read_pattern,
	 .required = true,
	 .offset = offsetof(struct config_resource, address)},
	{.name = "ip_stack",
	 .read = read_word,
	 .more = stacks,
	 .offset = offsetof(struct config_resource, ip_stack)},
	{.name = "translate",
	 .read = read_word,
	 .more = translates,
	 .offset = offsetof(struct config_resource, translate)},
	{.name = "filters",
	 .read = read_filters,
	 .max = 2 * FQ_FILTER_RANGES,
	 .offset = offsetof(struct config_resource, filter)},
	{.name = "gateways", .read = read_resource_gateways, .max = CONFIG_RESOURCE_GATEWAYS_MAX},
	{0},
};

/* Without a list of its own, a resource is served by every gateway. */
static int default_gateways(struct reader *rd, yaml_node_t *node, struct config_resource *resource)
{
	unsigned int count = rd->config->edge.gateway_count;

	if (resource->gateway_count > 0)
		return 0;
	if (count > CONFIG_RESOURCE_GATEWAYS_MAX)
		return reader_error(rd, node, "key \"gateways\" is missing: there are more than %u",
				    CONFIG_RESOURCE_GATEWAYS_MAX);
	for (unsigned int i = 0; i < count; i++)
		resource->gateways[resource->gateway_count++] = i;
	return 0;
}

static int read_resource(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config *config = ctx;
	struct config_resource *resource = &config->resources[config->resource_count];
	int r;

	rd->index = config->resource_count++;
	resource->filter.allow_all = 1;
	r = reader_map(rd, node, resource_keys, resource);
	return r < 0 ? r : default_gateways(rd, node, resource);
}

int read_resources(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config *config = field;
	unsigned int count = reader_count(node);

	config->resources = calloc(count ? count : 1, sizeof(config->resources[0]));
	if (!config->resources)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_resource, config);
}

static int read_grant_client(struct reader *rd, yaml_node_t *node, const struct key *key,
			     void *field)
{
	const struct config *config = rd->config;
	char name[CONFIG_NAME_LEN];
	int r = read_name(rd, node, key, name);

	if (r < 0 || reader_find(rd, CLIENT, name, field))
		return r;
	return unknown(rd, node, "client", config->clients ? config->clients[0].name : NULL,
		       sizeof(config->clients[0]), config->client_count);
}

static int read_grant_resource(struct reader *rd, yaml_node_t *node, const struct key *key,
			       void *field)
{
	const struct config *config = rd->config;
	char name[CONFIG_NAME_LEN];
	int r = read_name(rd, node, key, name);

	if (r < 0 || reader_find(rd, RESOURCE, name, field))
		return r;
	return unknown(rd, node, "resource", config->resources ? config->resources[0].name : NULL,
		       sizeof(config->resources[0]), config->resource_count);
}

static const struct key grant_keys[] = {
	{.name = "client",
	 .read = read_grant_client,
	 .required = true,
	 .offset = offsetof(struct config_grant, client)},
	{.name = "resource",
	 .read = read_grant_resource,
	 .required = true,
	 .offset = offsetof(struct config_grant, resource)},
	{.name = "expires", .read = read_time, .offset = offsetof(struct config_grant, expires)},
	{0},
};

static int read_grant(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config *config = ctx;
	struct config_grant *grant = &config->grants[config->grant_count++];
	char pair[2 * CONFIG_NAME_LEN + 4];
	int r;

	r = reader_map(rd, node, grant_keys, grant);
	if (r < 0)
		return r;
	snprintf(pair, sizeof(pair), "%s to %s", config->clients[grant->client].name,
		 config->resources[grant->resource].name);
	return reader_unique(rd, node, "grant", pair, 0);
}

int read_grants(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config *config = field;
	unsigned int count = reader_count(node);

	config->grants = calloc(count ? count : 1, sizeof(config->grants[0]));
	if (!config->grants)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_grant, config);
}
