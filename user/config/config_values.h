/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers of single values, for the tables of daemon/config.c. */
#pragma once

#include "config/config_reader.h"

/* Readers for tables; the type of the field stands beside each. */
int read_uint(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* unsigned int */
int read_name(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* char[CONFIG_NAME_LEN] */
int read_path(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* char[CONFIG_PATH_LEN] */
int read_uuid(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* char[CONFIG_UUID_LEN] */
int read_pattern(struct reader *rd, yaml_node_t *node, const struct key *key,
		 void *field); /* char[CONFIG_PATTERN_LEN] */
int read_address(struct reader *rd, yaml_node_t *node, const struct key *key,
		 void *field); /* struct fq_addr, unicast */
int read_port(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* uint16_t */
int read_time(struct reader *rd, yaml_node_t *node, const struct key *key,
	      void *field); /* time_t */

/* An enum (int) by words: key->more is a struct word table ended by a NULL name. */
struct word {
	const char *name;
	int value;
};

int read_word(struct reader *rd, yaml_node_t *node, const struct key *key, void *field);

/* A prefix. Return: 0; -EINVAL. */
int read_prefix(struct reader *rd, yaml_node_t *node, struct ipprefix *ret_prefix);

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53"; @port: if there is none. */
int read_endpoint(struct reader *rd, yaml_node_t *node, uint16_t port,
		  struct config_endpoint *ret_endpoint);

/* "443" or "8000-8100". @what: what the value is, for errors. */
int read_port_range(struct reader *rd, yaml_node_t *node, uint16_t *ret_lo, uint16_t *ret_hi);

/* Neither unspecified, multicast, broadcast, loopback (unless @loopback) nor IPv6 link-local. */
bool is_unicast(const struct fq_addr *addr, bool loopback);

/* "192.0.2.1 port 53". Returns @buf. */
const char *endpoint_format(const struct config_endpoint *at, char buf[IPADDR_STRLEN + 12]);
