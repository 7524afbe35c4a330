/* SPDX-License-Identifier: BSD-2-Clause */
/* The sections edge and gateway of the configuration, but for their peers: config_peers.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config_sections.h"
#include "config/config_values.h"
#include "core/pool.h"
#include "io/dns_server.h"

/* Bounds of a pool: room for a domain at least, and less than the whole Internet. */
#define POOL4_LEN_MIN (96 + 8)
#define POOL4_LEN_MAX (96 + 29)
#define POOL6_LEN_MIN 16
#define POOL6_LEN_MAX 125

int check_outside_pools(struct reader *rd, yaml_node_t *node, const struct fq_addr *addr)
{
	const struct ipprefix *pools[] = {&rd->config->edge.pool4, &rd->config->edge.pool6};
	char text[IPADDR_STRLEN], pool[IPADDR_STRLEN + 4];

	for (int i = 0; i < 2; i++)
		if (ipprefix_contains(pools[i], addr))
			return reader_error(rd, node, "%s lies in the proxy pool %s",
					    ipaddr_format(addr, text),
					    ipprefix_format(pools[i], pool, sizeof(pool)));
	return 0;
}

/* A list of endpoints under construction. */
struct endpoints {
	struct config_endpoint *list;
	unsigned int *count;
	uint16_t port;
	const char *what; /* namespace in which they must be unique */
};

static int add_endpoint(struct reader *rd, yaml_node_t *node, struct endpoints *e)
{
	struct config_endpoint *at = &e->list[*e->count];
	char text[IPADDR_STRLEN + 12];
	int r;

	r = read_endpoint(rd, node, e->port, at);
	if (r < 0)
		return r;
	(*e->count)++;
	return reader_unique(rd, node, e->what, endpoint_format(at, text), 0);
}

static int read_listen_item(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct endpoints *e = ctx;
	const struct config_endpoint *at = &e->list[*e->count];
	int r = add_endpoint(rd, node, e);
	struct fq_addr any4 = {.b = {[10] = 0xff, [11] = 0xff}};

	if (r < 0)
		return r;
	if (!is_unicast(&at->addr, true) && !ipaddr_is_zero(&at->addr) &&
	    !ipaddr_equal(&at->addr, &any4))
		return reader_expected(rd, node, "an address of this host");
	return check_outside_pools(rd, node, &at->addr);
}

static int read_dns_listen(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_edge *edge = field;
	struct endpoints e = {edge->dns.listen, &edge->dns.listen_count, DNS_PORT, LISTEN_ADDRESS};

	if (reader_is_empty(node))
		return reader_error(rd, node, "the list is empty, expected at least one address");
	return reader_list(rd, node, key->max, read_listen_item, &e);
}

static int read_server(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct endpoints *e = ctx;
	const struct config_endpoint *at = &e->list[*e->count];
	const char *text = reader_text(node);
	int r;

	if (text && strcmp(text, "system") == 0)
		return reader_error(rd, node, "\"system\" stands alone, not beside addresses");
	r = add_endpoint(rd, node, e);
	if (r < 0)
		return r;
	return is_unicast(&at->addr, true) ? 0 : reader_expected(rd, node, "the address of a host");
}

/* [system], or addresses. key->more: the namespace. */
static int read_servers(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_servers *servers = field;
	struct endpoints e = {servers->server, &servers->count, DNS_PORT, key->more};
	const char *first = NULL;

	if (reader_is_empty(node))
		return reader_error(rd, node, "the list is empty, expected [system] or addresses");
	if (reader_count(node) == 1)
		first = reader_text(
			yaml_document_get_node(rd->doc, node->data.sequence.items.start[0]));
	if (first && strcmp(first, "system") == 0)
		return 0;
	return reader_list(rd, node, CONFIG_SERVERS_MAX, read_server, &e);
}

static int read_allow_item(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config_edge *edge = ctx;

	return read_prefix(rd, node, &edge->dns.allow[edge->dns.allow_count++]);
}

static int read_allow(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	if (reader_is_empty(node))
		return reader_error(rd, node, "the list is empty, expected at least one prefix");
	return reader_list(rd, node, key->max, read_allow_item, field);
}

static int read_xdp(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_edge *edge = field;
	const char *text = reader_text(node);

	(void)key;
	if (!text || (strcmp(text, "off") != 0 && strcmp(text, "on") != 0))
		return reader_expected(rd, node, "off or on");
	edge->dns.xdp = strcmp(text, "on") == 0;
	return 0;
}

static const struct key dns_keys[] = {
	{.name = "listen", .read = read_dns_listen, .max = CONFIG_LISTEN_MAX, .required = true},
	{.name = "upstream",
	 .read = read_servers,
	 .more = "upstream server",
	 .offset = offsetof(struct config_edge, dns.upstream)},
	{.name = "allow", .read = read_allow, .max = CONFIG_PREFIXES_MAX},
	{.name = "xdp", .read = read_xdp},
	{0},
};

/* key->min and key->max bound the length. */
static int read_pool(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	unsigned int base = key->min == POOL4_LEN_MIN ? 96 : 0;
	struct ipprefix pool;
	char expected[64];
	int r;

	r = read_prefix(rd, node, &pool);
	if (r < 0)
		return r;
	if (ipaddr_is_v4(&pool.addr) != (base == 96) || pool.len < key->min ||
	    pool.len > key->max) {
		snprintf(expected, sizeof(expected), "an %s prefix of length %u to %u",
			 base ? "IPv4" : "IPv6", key->min - base, key->max - base);
		return reader_expected(rd, node, expected);
	}
	memcpy(field, &pool, sizeof(pool));
	return 0;
}

static const struct key pool_keys[] = {
	{.name = "ipv4",
	 .read = read_pool,
	 .min = POOL4_LEN_MIN,
	 .max = POOL4_LEN_MAX,
	 .offset = offsetof(struct config_edge, pool4)},
	{.name = "ipv6",
	 .read = read_pool,
	 .min = POOL6_LEN_MIN,
	 .max = POOL6_LEN_MAX,
	 .offset = offsetof(struct config_edge, pool6)},
	{0},
};

int read_outside_address(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	int r = read_address(rd, node, key, field);

	return r < 0 ? r : check_outside_pools(rd, node, field);
}

int read_unique_name(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	int r = read_name(rd, node, key, field);

	return r < 0 ? r : reader_unique(rd, node, key->more, field, rd->index);
}

static unsigned int prefix_domains(const struct ipprefix *pool, unsigned int each)
{
	unsigned int host_bits = 128 - pool->len;

	return (host_bits < 24 ? 1U << host_bits : POOL_ADDRESSES_MAX) / each;
}

unsigned int config_pool_domains(const struct config *config)
{
	unsigned int v4 = prefix_domains(&config->edge.pool4, PROXIES_V4);
	unsigned int v6 = prefix_domains(&config->edge.pool6, PROXIES_V6);

	return v4 < v6 ? v4 : v6;
}

/* More domains than the pools have addresses for cannot be: say which pools would do. */
static int check_pools_hold(struct reader *rd, yaml_node_t *node)
{
	unsigned int wanted = rd->config->limits.domains, bits = 0;

	if (wanted <= config_pool_domains(rd->config))
		return 0;
	while (1U << bits < wanted * PROXIES_V4)
		bits++;
	return reader_error(
		rd, node,
		"the pools hold %u domains, limits.domains is %u: expected pools of /%u "
		"for IPv4 and /%u for IPv6, or larger",
		config_pool_domains(rd->config), wanted, 32 - bits, 128 - bits);
}

/* ---- the table of sessions: of the gateway in this process, else of the edge ---- */

static const struct key session_keys[] = {
	{.name = "max",
	 .read = read_uint,
	 .min = 16,
	 .max = 1 << 24,
	 .offset = offsetof(struct config_gateway, sessions.max)},
	{.name = "per_client",
	 .read = read_uint,
	 .min = 1,
	 .max = 1 << 24,
	 .offset = offsetof(struct config_gateway, sessions.per_client)},
	{0},
};

static int read_sessions(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const struct config_gateway *g = field;
	int r;

	(void)key;
	r = reader_map(rd, node, session_keys, field);
	if (r < 0)
		return r;
	if (g->sessions.per_client > g->sessions.max)
		return reader_error(rd, node, "per_client %u is more than max %u",
				    g->sessions.per_client, g->sessions.max);
	return 0;
}

#define TIMEOUT(field)                                                      \
	{                                                                   \
		.name = #field, .read = read_uint, .min = 1, .max = 604800, \
		.offset = offsetof(struct config_gateway, timeouts.field)   \
	}

#define IDLE_TIMEOUTS                                                               \
	TIMEOUT(tcp_opening_s), TIMEOUT(tcp_established_s), TIMEOUT(tcp_closing_s), \
		TIMEOUT(tcp_reset_s), TIMEOUT(udp_s), TIMEOUT(icmp_s), TIMEOUT(unconfirmed_s)

static const struct key timeout_keys[] = {
	IDLE_TIMEOUTS,
	TIMEOUT(tombstone_s),
	{0},
};

/* Sessions that are forwarded have no address here that a late packet could be meant for. */
static const struct key edge_timeout_keys[] = {
	IDLE_TIMEOUTS,
	{0},
};

static int no_table_of_its_own(struct reader *rd, yaml_node_t *node, const char *key)
{
	return reader_error(rd, node,
			    "edge and gateway in one process have one table of sessions: write "
			    "gateway.%s instead of edge.%s",
			    key, key);
}

static int read_edge_sessions(struct reader *rd, yaml_node_t *node, const struct key *key,
			      void *field)
{
	struct config_edge *edge = field;

	if (edge->gateway_count == 0)
		return no_table_of_its_own(rd, node, key->name);
	edge->has_sessions = true;
	return read_sessions(rd, node, key, &rd->config->gateway);
}

static int read_edge_timeouts(struct reader *rd, yaml_node_t *node, const struct key *key,
			      void *field)
{
	struct config_edge *edge = field;

	if (edge->gateway_count == 0)
		return no_table_of_its_own(rd, node, key->name);
	edge->has_timeouts = true;
	return reader_map(rd, node, edge_timeout_keys, &rd->config->gateway);
}

/* ---- sections ---- */

/* Pools come first: the others must lie outside. Gateways come before what only an edge that has
 * some may set. */
static const struct key edge_keys[] = {
	{.name = "pools", .read = read_map, .more = pool_keys},
	{.name = "dns", .read = read_map, .more = dns_keys, .required = true},
	{.name = "control", .read = read_edge_control},
	{.name = "gateways", .read = read_edge_gateways, .max = CONFIG_GATEWAYS_MAX},
	{.name = "sessions", .read = read_edge_sessions},
	{.name = "timeouts", .read = read_edge_timeouts},
	{0},
};

int read_edge(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	int r;

	(void)key;
	rd->config->has_edge = true;
	r = reader_map(rd, node, edge_keys, field);
	return r < 0 ? r : check_pools_hold(rd, node);
}

static const struct key resolver_keys[] = {
	{.name = "servers",
	 .read = read_servers,
	 .more = "resolver server",
	 .offset = offsetof(struct config_gateway, resolver.servers)},
	{.name = "timeout_s",
	 .read = read_uint,
	 .min = 1,
	 .max = 60,
	 .offset = offsetof(struct config_gateway, resolver.timeout_s)},
	{0},
};

static int read_nat_address(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config_gateway *g = ctx;
	char text[IPADDR_STRLEN];
	struct fq_addr addr;
	unsigned int *count;
	int r;

	r = read_outside_address(rd, node, NULL, &addr);
	if (r < 0)
		return r;
	if (!is_unicast(&addr, false))
		return reader_expected(rd, node, "an address that others can answer to");
	count = ipaddr_is_v4(&addr) ? &g->nat4_count : &g->nat6_count;
	if (*count == FQ_NAT_ADDRESSES)
		return reader_error(rd, node, "more than %u addresses of one family",
				    FQ_NAT_ADDRESSES);
	(ipaddr_is_v4(&addr) ? g->nat4 : g->nat6)[(*count)++] = addr;
	return reader_unique(rd, node, "masquerade address", ipaddr_format(&addr, text), 0);
}

/* auto, none, or a list of addresses. */
static int read_masquerade(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_gateway *g = field;
	const char *text = reader_text(node);

	(void)key;
	if (node->type == YAML_SEQUENCE_NODE) {
		g->masquerade = FQ_MASQ_GIVEN;
		if (reader_count(node) == 0)
			return reader_error(rd, node,
					    "the list is empty, expected addresses, "
					    "or \"none\" to keep the client's own");
		return reader_list(rd, node, 2 * FQ_NAT_ADDRESSES, read_nat_address, g);
	}
	if (text && strcmp(text, "auto") == 0)
		g->masquerade = FQ_MASQ_AUTO;
	else if (text && strcmp(text, "none") == 0)
		g->masquerade = FQ_MASQ_NONE;
	else
		return reader_expected(rd, node, "auto, none, or a list of addresses");
	return 0;
}

static int read_hops(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_gateway *g = field;
	const char *text = reader_text(node);

	(void)key;
	if (!text || (strcmp(text, "hide") != 0 && strcmp(text, "show") != 0))
		return reader_expected(rd, node, "hide or show");
	g->show_hops = strcmp(text, "show") == 0;
	return 0;
}

static int read_ports(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_gateway *g = field;

	int r;

	(void)key;
	r = read_port_range(rd, node, &g->port_lo, &g->port_hi);
	if (r < 0)
		return r;
	if (g->port_lo < CONFIG_NAT_PORT_MIN)
		return reader_expected(rd, node,
				       "ports from 1024 on, clients' ports below are "
				       "mapped to such");
	return 0;
}

/* Of edges that are all on other machines: an edge in this process has its own. */
static int read_gateway_pools(struct reader *rd, yaml_node_t *node, const struct key *key,
			      void *field)
{
	(void)key;
	(void)field;
	if (rd->config->has_edge)
		return reader_error(rd, node, "the pools are those of edge.pools");
	return reader_map(rd, node, pool_keys, &rd->config->edge);
}

/* Pools come first, as at the edge; sessions come before what one edge may have of them. */
static const struct key gateway_keys[] = {
	{.name = "pools", .read = read_gateway_pools},
	{.name = "listen", .read = read_gateway_listen},
	{.name = "edges", .read = read_gateway_edges, .max = CONFIG_GATEWAYS_MAX},
	{.name = "resolver", .read = read_map, .more = resolver_keys},
	{.name = "masquerade", .read = read_masquerade},
	{.name = "hops", .read = read_hops},
	{.name = "ports", .read = read_ports},
	{.name = "sessions", .read = read_sessions},
	{.name = "per_edge", .read = read_per_edge},
	{.name = "timeouts", .read = read_map, .more = timeout_keys},
	{0},
};

int read_gateway(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	int r;

	(void)key;
	rd->config->has_gateway = true;
	if (rd->config->edge.has_sessions)
		return no_table_of_its_own(rd, node, "sessions");
	if (rd->config->edge.has_timeouts)
		return no_table_of_its_own(rd, node, "timeouts");
	r = reader_map(rd, node, gateway_keys, field);
	return r < 0 ? r : check_gateway_peers(rd, node);
}
