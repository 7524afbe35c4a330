/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers of whole sections of the configuration, for the table in daemon/config.c. */
#pragma once

#include "config/config_reader.h"

/* config_roles.c; the field is struct config_edge, config_gateway */
int read_edge(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_gateway(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* Domains that the pools have addresses for. */
unsigned int config_pool_domains(const struct config *config);

/* config_peers.c; the field is struct config_edge, config_gateway */
int read_edge_control(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_edge_gateways(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_gateway_listen(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_gateway_edges(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_per_edge(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* That somebody can ask the gateway of section @node, and that its edges are told apart. */
int check_gateway_peers(struct reader *rd, yaml_node_t *node);

/* config_peers.c; the field is struct config */
int read_control(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* config_key.c; the field is struct config_key */
int read_key_file(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* config_policy.c; the field is struct config */
int read_clients(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_resources(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);
int read_grants(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* A name (read_name) that must be unique in the namespace key->more; its index is rd->index. */
int read_unique_name(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* Namespaces of reader_unique that more than one file looks into. */
#define NAME_GATEWAY   "gateway name"
#define NAME_EDGE      "edge name"
#define LISTEN_ADDRESS "listen address"

/* A unicast address (struct fq_addr) outside of the proxy pools. */
int read_outside_address(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* Refuse an address inside a proxy pool. */
int check_outside_pools(struct reader *rd, yaml_node_t *node, const struct fq_addr *addr);
