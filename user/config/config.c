/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration's schema: its tables of keys, the defaults, and loading.
 *
 * Sections are read in the order of the tables, so that a later one can refer to what an earlier
 * one has defined: limits and trusted prefixes before the edge's and the gateway's peers, pools
 * before everything that must not lie in them, edges before clients, clients and resources before
 * grants. config_policy.c has those three, config_peers.c the peers.
 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config_sections.h"
#include "config/config_values.h"
#include "core/pool.h"
#include "io/control_udp.h"
#include "io/ctl.h"
#include "store/store.h"

#define FILE_MAX (16 << 20)

static int read_interface_name(struct reader *rd, yaml_node_t *node, const struct key *key,
			       void *field)
{
	const char *text = reader_text(node);

	(void)key;
	if (!text || !text[0] || strlen(text) >= IFNAMSIZ || strpbrk(text, "/ \t\n:") ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return reader_expected(rd, node, "the name of an interface, up to 15 bytes");
	strcpy(field, text);
	return reader_unique(rd, node, "interface", text, 0);
}

static const struct word modes[] = {
	{"auto", CONFIG_MODE_AUTO},
	{"native", CONFIG_MODE_NATIVE},
	{"generic", CONFIG_MODE_GENERIC},
	{"tc", CONFIG_MODE_TC},
	{0},
};

static const struct key interface_keys[] = {
	{.name = "name",
	 .read = read_interface_name,
	 .required = true,
	 .offset = offsetof(struct config_interface, name)},
	{.name = "mode",
	 .read = read_word,
	 .more = modes,
	 .offset = offsetof(struct config_interface, mode)},
	{0},
};

/* A name, or a map of name and mode. */
static int read_interface(struct reader *rd, yaml_node_t *node, void *ctx)
{
	struct config *config = ctx;
	struct config_interface *interface = &config->interfaces[config->interface_count++];

	if (node->type == YAML_MAPPING_NODE)
		return reader_map(rd, node, interface_keys, interface);
	return read_interface_name(rd, node, NULL, interface->name);
}

static int read_interfaces(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config *config = field;
	unsigned int count = reader_count(node);

	if (reader_is_empty(node))
		return reader_error(rd, node, "the list is empty, expected at least one interface");
	config->interfaces = calloc(count ? count : 1, sizeof(config->interfaces[0]));
	if (!config->interfaces)
		return -ENOMEM;
	return reader_list(rd, node, key->max, read_interface, config);
}

static const struct word source_checks[] = {
	{"none", FQ_SOURCE_NONE},
	{"replies", FQ_SOURCE_REPLIES},
	{"strict", FQ_SOURCE_STRICT},
	{0},
};

const char *config_source_check_name(enum fq_source_check check)
{
	return source_checks[check].name;
}

/* none, auto, or a number of bytes. */
static int read_mss_clamp(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	const char *text = reader_text(node);
	unsigned int *clamp = &((struct config *)field)->mss_clamp;

	if (text && (strcmp(text, "none") == 0 || strcmp(text, "auto") == 0)) {
		*clamp = *text == 'a' ? FQ_MSS_AUTO : 0;
		return 0;
	}
	if (text && strspn(text, "0123456789") == strlen(text))
		return read_uint(rd, node, key, clamp);
	return reader_expected(rd, node, "none, auto, or a number from 536 to 65495");
}

static const struct word log_formats[] = {
	{"auto", LOG_FORMAT_AUTO},
	{"text", LOG_FORMAT_TEXT},
	{"json", LOG_FORMAT_JSON},
	{"journal", LOG_FORMAT_JOURNAL},
	{0},
};

static const struct word log_levels[] = {
	{"error", LOG_ERR}, {"warn", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {0},
};

static const struct key log_keys[] = {
	{.name = "format",
	 .read = read_word,
	 .more = log_formats,
	 .offset = offsetof(struct config, log.format)},
	{.name = "level",
	 .read = read_word,
	 .more = log_levels,
	 .offset = offsetof(struct config, log.level)},
	{0},
};

#define LIMIT(field, lo, hi)                                             \
	{                                                                \
		.name = #field, .read = read_uint, .min = lo, .max = hi, \
		.offset = offsetof(struct config_limits, field)          \
	}

static const struct key limit_keys[] = {
	LIMIT(domains, 1, CONFIG_DOMAINS_MAX),
	LIMIT(held_bytes, 65536, 1 << 30),
	LIMIT(dns_requests, 16, 65536),
	LIMIT(dns_per_client, 0, 1000000),
	LIMIT(new_names_per_client, 0, 1000000),
	LIMIT(dns_cache, 0, 1000000),
	LIMIT(resolutions, 1, 65536),
	{0},
};

static const struct key root_keys[] = {
	{.name = "interfaces",
	 .read = read_interfaces,
	 .max = CONFIG_INTERFACES_MAX,
	 .required = true},
	{.name = "source_check",
	 .read = read_word,
	 .more = source_checks,
	 .offset = offsetof(struct config, source_check)},
	{.name = "mss_clamp", .read = read_mss_clamp, .min = 536, .max = 65495},
	{.name = "control", .read = read_control},
	{.name = "limits",
	 .read = read_map,
	 .more = limit_keys,
	 .offset = offsetof(struct config, limits)},
	{.name = "edge", .read = read_edge, .offset = offsetof(struct config, edge)},
	{.name = "gateway", .read = read_gateway, .offset = offsetof(struct config, gateway)},
	{.name = "clients", .read = read_clients, .max = FQ_CLIENTS_MAX},
	{.name = "resources", .read = read_resources, .max = FQ_RESOURCES_MAX - 1},
	{.name = "grants", .read = read_grants, .max = CONFIG_GRANTS_MAX},
	{.name = "log", .read = read_map, .more = log_keys},
	{.name = "bpffs", .read = read_path, .offset = offsetof(struct config, bpffs)},
	{.name = "state", .read = read_path, .offset = offsetof(struct config, state)},
	{.name = "control_socket",
	 .read = read_path,
	 .offset = offsetof(struct config, control_socket)},
	{0},
};

/* A path from the environment, if it can be one. */
static void set_path(char path[CONFIG_PATH_LEN], const char *variable, const char *otherwise)
{
	const char *value = variable ? getenv(variable) : NULL;

	if (!value || value[0] != '/' || strlen(value) >= CONFIG_PATH_LEN)
		value = otherwise;
	strcpy(path, value);
}

static void set_defaults(struct config *config)
{
	(void)ipprefix_parse("100.96.0.0/11", &config->edge.pool4);
	(void)ipprefix_parse("fd00:2021:1111:8000::/107", &config->edge.pool6);
	config->source_check = FQ_SOURCE_REPLIES;
	config->gateway.resolver.timeout_s = 10;
	config->gateway.masquerade = FQ_MASQ_AUTO;
	config->gateway.port_lo = 1024;
	config->gateway.port_hi = 65535;
	config->gateway.sessions.max = 262144;
	config->gateway.timeouts.tcp_opening_s = 240;
	config->gateway.timeouts.tcp_established_s = 7440;
	config->gateway.timeouts.tcp_closing_s = 240;
	config->gateway.timeouts.tcp_reset_s = 240;
	config->gateway.timeouts.udp_s = 300;
	config->gateway.timeouts.icmp_s = 60;
	config->gateway.timeouts.unconfirmed_s = 120;
	config->gateway.timeouts.tombstone_s = 120;
	config->control.rate = CONTROL_UDP_RATE;
	config->limits = (struct config_limits){
		.held_bytes = 16 << 20,
		.dns_requests = 4096,
		.dns_per_client = 500,
		.new_names_per_client = 10,
		.dns_cache = 4096,
		.resolutions = 1000,
	};
	config->log.format = LOG_FORMAT_AUTO;
	config->log.level = LOG_INFO;
	set_path(config->bpffs, "FQDNAT_BPFFS", FQ_BPFFS_DEFAULT);
	set_path(config->state, "FQDNAT_STATE", STORE_DIR_DEFAULT);
	set_path(config->control_socket, NULL, CTL_SOCKET_DEFAULT);
}

#define DOMAINS_DEFAULT 65536

/* What one edge may have: all, or half of it if others may want some. */
static unsigned int share(const struct config *config, unsigned int all)
{
	bool own = config->has_edge && config->edge.gateway_count == 0;

	return (config->gateway.edge_count == 1 && !own) || all == 1 ? all : all / 2;
}

static void complete_per_edge(struct config *config)
{
	struct config_gateway *g = &config->gateway;

	if (g->edge_count == 0)
		return;
	if (g->per_edge.resolutions == 0)
		g->per_edge.resolutions = share(config, config->limits.resolutions);
	if (g->per_edge.translations == 0)
		g->per_edge.translations = share(config, config->limits.domains * PROXIES_MAX);
	if (g->per_edge.sessions == 0)
		g->per_edge.sessions = share(config, g->sessions.max);
}

/* What follows from what was read, and the contradictions that only the whole shows. */
static int complete(struct reader *rd, yaml_node_t *root)
{
	struct config *config = rd->config;
	struct config_gateway *g = &config->gateway;
	unsigned int pools = config_pool_domains(config);

	if (!config->has_edge && !config->has_gateway)
		return reader_error(rd, root,
				    "neither \"edge\" nor \"gateway\" is there, "
				    "expected at least one of them");
	if (config->has_edge && config->edge.gateway_count == 0)
		config->has_gateway = true;
	if (g->sessions.per_client == 0)
		g->sessions.per_client = g->sessions.max < 65536 ? g->sessions.max : 65536;
	/* Without a wish of the operator's, what the pools hold will do. */
	if (config->limits.domains == 0)
		config->limits.domains = pools < DOMAINS_DEFAULT ? pools : DOMAINS_DEFAULT;
	complete_per_edge(config);
	return 0;
}

static int read_document(struct reader *rd)
{
	yaml_node_t *root = yaml_document_get_root_node(rd->doc);
	int r;

	if (!root) {
		snprintf(rd->error, CONFIG_ERROR_LEN,
			 "%s:1: the file is empty, expected interfaces, edge, clients, ...",
			 rd->name);
		return -EINVAL;
	}
	r = reader_map(rd, root, root_keys, rd->config);
	return r < 0 ? r : complete(rd, root);
}

/* What the YAML parser has to say. */
static int syntax_error(const yaml_parser_t *parser, const char *name, char *error)
{
	/* A byte that is no character has no mark of its own. */
	size_t line =
		parser->error == YAML_READER_ERROR ? parser->mark.line : parser->problem_mark.line;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	snprintf(error, CONFIG_ERROR_LEN, "%s:%zu: not YAML: %s%s%s", name, line + 1,
		 parser->context ? parser->context : "", parser->context ? ", " : "",
		 parser->problem ? parser->problem : "malformed");
	return -EINVAL;
}

/* After the document there must be nothing more. */
static int check_end(yaml_parser_t *parser, const char *name, char *error)
{
	yaml_document_t doc;
	yaml_node_t *root;
	int r = 0;

	if (!yaml_parser_load(parser, &doc))
		return syntax_error(parser, name, error);
	root = yaml_document_get_root_node(&doc);
	if (root) {
		snprintf(error, CONFIG_ERROR_LEN, "%s:%zu: a second document begins, expected one",
			 name, doc.start_mark.line + 1);
		r = -EINVAL;
	}
	yaml_document_delete(&doc);
	return r;
}

static int parse_stream(yaml_parser_t *parser, const char *name, struct config *config, char *error)
{
	struct reader rd = {.name = name, .error = error, .config = config};
	yaml_document_t doc;
	int r;

	if (!yaml_parser_load(parser, &doc))
		return syntax_error(parser, name, error);
	rd.doc = &doc;
	r = read_document(&rd);
	if (r == 0)
		r = check_end(parser, name, error);
	reader_done(&rd);
	yaml_document_delete(&doc);
	return r;
}

int config_parse(const char *name, const char *text, size_t len, struct config **ret_config,
		 char ret_error[CONFIG_ERROR_LEN])
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	yaml_parser_t parser;
	int r;

	snprintf(ret_error, CONFIG_ERROR_LEN, "%s: out of memory", name);
	if (!config || !yaml_parser_initialize(&parser))
		return -ENOMEM;
	set_defaults(config);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	r = parse_stream(&parser, name, config, ret_error);
	yaml_parser_delete(&parser);
	if (r < 0)
		return r;
	ret_error[0] = '\0';
	*ret_config = TAKE_PTR(config);
	return 0;
}

/* The whole of a file. Return: 0; -EFBIG; errnos of fopen and fread. */
static int read_file(const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *text = NULL;
	size_t len = 0, cap = 0;

	if (!f)
		return -errno;
	for (;;) {
		if (len == cap) {
			char *grown;

			if (len > FILE_MAX)
				return -EFBIG;
			cap = cap ? 2 * cap : 65536;
			grown = realloc(text, cap);
			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		len += fread(text + len, 1, cap - len, f);
		if (ferror(f))
			return errno ? -errno : -EIO;
		if (feof(f))
			break;
	}
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int config_load(const char *path, struct config **ret_config, char ret_error[CONFIG_ERROR_LEN])
{
	_cleanup_(freep) char *text = NULL;
	size_t len = 0;
	int r;

	r = read_file(path, &text, &len);
	if (r < 0) {
		snprintf(ret_error, CONFIG_ERROR_LEN, "%s: cannot be read: %s", path, strerror(-r));
		return r;
	}
	return config_parse(path, text, len, ret_config, ret_error);
}

/* Keys do not stay in memory that is given back. */
static void free_gateways(struct config_edge *edge)
{
	if (edge->gateways)
		explicit_bzero(edge->gateways, edge->gateway_count * sizeof(edge->gateways[0]));
	free(edge->gateways);
}

static void free_edges(struct config_gateway *gateway)
{
	if (gateway->edges)
		explicit_bzero(gateway->edges, gateway->edge_count * sizeof(gateway->edges[0]));
	free(gateway->edges);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (unsigned int i = 0; i < config->client_count; i++)
		free(config->clients[i].prefixes);
	free(config->interfaces);
	free_gateways(&config->edge);
	free_edges(&config->gateway);
	free(config->clients);
	free(config->resources);
	free(config->grants);
	free(config);
}

const char *config_mode_name(enum config_mode mode)
{
	return modes[mode].name;
}

int config_mode_parse(const char *word, enum config_mode *ret_mode)
{
	for (const struct word *w = modes; w->name; w++) {
		if (strcmp(word, w->name) == 0) {
			*ret_mode = (enum config_mode)w->value;
			return 0;
		}
	}
	return -EINVAL;
}
