/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: a YAML file (fqdnat.yaml(5)) as plain structs, with every default filled in.
 *
 * Whatever is wrong is refused with "file:line: what": unknown keys, wrong types, values out of
 * range, and contradictions between parts. A configuration that loads can be run.
 *
 * Used by the daemon, and by the command line for `config check`.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>

#include <fqdnat/abi.h>
#include <fqdnat/config.h>

#include "base/cleanup.h"
#include "base/ipaddr.h"
#include "base/log.h"

#define CONFIG_FILE_DEFAULT          "/etc/fqdnat/fqdnat.yaml"
#define CONFIG_ERROR_LEN             512
#define CONFIG_NAME_LEN              64 /* of clients, resources, gateways, with the NUL */
#define CONFIG_UUID_LEN              37
#define CONFIG_PATTERN_LEN           256
#define CONFIG_PATH_LEN              108 /* fits sockaddr_un.sun_path */
#define CONFIG_INTERFACES_MAX        64
#define CONFIG_LISTEN_MAX            16
#define CONFIG_SERVERS_MAX           8
#define CONFIG_PREFIXES_MAX          64 /* of a client, of edge.dns.allow, of control.trusted */
#define CONFIG_GATEWAYS_MAX          64 /* of an edge, and edges of a gateway */
#define CONFIG_RESOURCE_GATEWAYS_MAX 8
#define CONFIG_GRANTS_MAX            262144
#define CONFIG_DOMAINS_MAX           4194304 /* what pools of 2^24 addresses hold */
#define CONFIG_TRANSLATIONS_MAX      (8 * CONFIG_DOMAINS_MAX)
#define CONFIG_NAT_PORT_MIN          1024
#define CONFIG_KEY_LEN               32 /* bytes of the key of an edge and a gateway */

enum config_mode {
	CONFIG_MODE_AUTO, /* the hook that is right for the interface */
	CONFIG_MODE_NATIVE,
	CONFIG_MODE_GENERIC,
	CONFIG_MODE_TC,
};

struct config_interface {
	char name[IFNAMSIZ];
	enum config_mode mode; /* default: auto */
};

struct config_endpoint {
	struct fq_addr addr;
	uint16_t port; /* host order */
};

/* DNS servers to ask: "system" (what resolv.conf names), or addresses. */
struct config_servers {
	unsigned int count;                                /* 0: system */
	struct config_endpoint server[CONFIG_SERVERS_MAX]; /* default port: 53 */
};

/*
 * What an edge and a gateway authenticate each other with. Without one, the peer's address is
 * inside control.trusted.
 */
struct config_key {
	bool given;
	uint8_t bytes[CONFIG_KEY_LEN]; /* what the file holds */
	char file[CONFIG_PATH_LEN];
};

/* A gateway on another machine, as this edge knows it. */
struct config_edge_gateway {
	char name[CONFIG_NAME_LEN];
	struct config_endpoint at; /* control messages; default port: 4700 */
	uint16_t dns_port;         /* host order; site questions; default: 53535 */
	struct config_key key;
};

/* An edge on another machine, as this gateway knows it. */
struct config_gateway_edge {
	char name[CONFIG_NAME_LEN];
	struct fq_addr addr; /* where its messages come from */
	struct config_key key;
};

struct config_edge {
	struct {
		struct config_endpoint listen[CONFIG_LISTEN_MAX]; /* default port: 53 */
		unsigned int listen_count;                        /* at least 1 */
		struct config_servers upstream;                   /* default: system */
		struct ipprefix allow[CONFIG_PREFIXES_MAX];
		unsigned int allow_count; /* 0 (default): the prefixes of all clients */
		bool xdp; /* the XDP programs answer, too; default: off; not with allow */
	} dns;
	struct ipprefix pool4, pool6; /* P-01: 100.96.0.0/11 and fd00:2021:1111:8000::/107 */
	struct {
		bool has_address;       /* default: what the route to a gateway says */
		struct fq_addr address; /* of this host; source of control messages */
	} control;
	struct config_edge_gateway *gateways;
	unsigned int gateway_count;      /* 0: the gateway in this process */
	bool has_sessions, has_timeouts; /* written in this section; kept in config_gateway */
};

struct config_gateway {
	bool has_listen;               /* default: no control messages from other machines */
	struct config_endpoint listen; /* default port: 4700 */
	uint16_t dns_port;             /* host order; with listen; default: 53535 */
	struct config_gateway_edge *edges;
	unsigned int edge_count;           /* at least 1 with listen, else 0 */
	struct {                           /* of one edge on another machine */
		unsigned int resolutions;  /* under way: 1..65536 */
		unsigned int translations; /* 8..CONFIG_TRANSLATIONS_MAX */
		unsigned int sessions;     /* 1..16777216 */
	} per_edge; /* defaults: all there is, half of it if others may want some, too */
	struct {
		struct config_servers servers; /* default: system */
		unsigned int timeout_s;        /* 1..60, default 10 (G-02) */
	} resolver;
	enum fq_masquerade masquerade;                                 /* default: auto */
	struct fq_addr nat4[FQ_NAT_ADDRESSES], nat6[FQ_NAT_ADDRESSES]; /* FQ_MASQ_GIVEN */
	unsigned int nat4_count, nat6_count;
	bool show_hops; /* routers that send ICMP errors are seen; default: hidden (I-06) */
	uint16_t port_lo, port_hi; /* host order, inclusive; default 1024-65535 */
	/* Of the process's table of sessions: without a gateway here, the section edge says it. */
	struct {
		unsigned int max;        /* 16..16777216, default 262144 */
		unsigned int per_client; /* 1..max, default 65536 or max if that is less */
	} sessions;
	struct { /* seconds, 1..604800; N-06. Defaults: what the RFCs recommend */
		unsigned int tcp_opening_s;     /* 240 (RFC 7857 2.1) */
		unsigned int tcp_established_s; /* 7440 (RFC 5382 REQ-5) */
		unsigned int tcp_closing_s;     /* FIN seen both ways: 240 (RFC 5382 REQ-5) */
		unsigned int tcp_reset_s;       /* 240 (RFC 7857 2.2) */
		unsigned int udp_s;             /* 300 (RFC 4787 REQ-5) */
		unsigned int icmp_s;            /* 60 (RFC 5508 REQ-2) */
		unsigned int unconfirmed_s;     /* UDP and ICMP, no answer yet: 120 */
		unsigned int tombstone_s;       /* a tuple is nobody else's: 120 (RFC 6888 REQ-8) */
	} timeouts;
};

struct config_client {
	char name[CONFIG_NAME_LEN];
	struct ipprefix *prefixes;
	unsigned int prefix_count; /* at least 1 */
	bool remote;               /* it uses the proxy addresses of an edge on another machine */
	unsigned int edge;         /* if so: index into gateway.edges */
};

enum config_ip_stack {
	CONFIG_STACK_DUAL,
	CONFIG_STACK_IPV4,
	CONFIG_STACK_IPV6,
};

enum config_translate {
	CONFIG_TRANSLATE_SAME_FAMILY,
	CONFIG_TRANSLATE_ANY,
};

struct config_resource {
	char id[CONFIG_UUID_LEN]; /* lower case */
	char name[CONFIG_NAME_LEN];
	char address[CONFIG_PATTERN_LEN];                    /* pattern, as written */
	enum config_ip_stack ip_stack;                       /* default: dual */
	enum config_translate translate;                     /* default: same-family */
	struct fq_filter filter;                             /* default (no filter): allow_all */
	unsigned int gateways[CONFIG_RESOURCE_GATEWAYS_MAX]; /* indices into edge.gateways */
	unsigned int gateway_count; /* default: all; 0: the gateway in this process */
};

struct config_grant {
	unsigned int client;   /* index into clients */
	unsigned int resource; /* index into resources */
	time_t expires;        /* wall clock; 0 (default): never */
};

struct config_limits {
	unsigned int domains;    /* 1..CONFIG_DOMAINS_MAX; default 65536, or what the pools hold */
	unsigned int held_bytes; /* of held packets, over all: 65536..1 GiB, default 16 MiB */
	unsigned int dns_requests;         /* in progress: 16..65536, default 4096 */
	unsigned int dns_per_client;       /* queries per second: default 500; 0: no limit */
	unsigned int new_names_per_client; /* per second: 0..1000000, default 10; 0: no limit */
	unsigned int dns_cache;            /* answers kept: 0..1000000, default 4096 */
	unsigned int resolutions;          /* under way: 1..65536, default 1000 (G-05) */
};

struct config {
	struct config_interface *interfaces;
	unsigned int interface_count;
	enum fq_source_check source_check; /* default: replies */
	unsigned int mss_clamp;            /* 0: none (default); FQ_MSS_AUTO; bytes */
	bool has_edge;                     /* the file has a section edge */
	bool has_gateway; /* it has a section gateway, or edge.gateways is absent */
	struct config_edge edge;
	struct config_gateway gateway;
	struct config_client *clients;
	unsigned int client_count;
	struct config_resource *resources;
	unsigned int resource_count;
	struct config_grant *grants;
	unsigned int grant_count;
	struct config_limits limits;
	struct {
		struct ipprefix trusted[CONFIG_PREFIXES_MAX]; /* addresses inside a tunnel */
		unsigned int trusted_count;
		unsigned int rate; /* messages a second from one peer: 10..1000000, default 2000 */
	} control;
	struct {
		enum log_format format; /* default: auto */
		int level;              /* default: LOG_INFO */
	} log;
	char bpffs[CONFIG_PATH_LEN]; /* default: FQDNAT_BPFFS or FQ_BPFFS_DEFAULT */
	char state[CONFIG_PATH_LEN]; /* directory; default: FQDNAT_STATE or /var/lib/fqdnat */
	char control_socket[CONFIG_PATH_LEN]; /* default: /run/fqdnat/control.sock */
};

/*
 * Read and check a configuration file.
 *
 * @path:       the file; also how errors name it
 * @ret_error:  on failure: "file:line: what was wrong, and what was expected"
 *
 * Return: 0; -EINVAL if the content was refused; -ENOMEM; errnos of opening and reading.
 */
int config_load(const char *path, struct config **ret_config, char ret_error[CONFIG_ERROR_LEN]);

/* The same from memory. @name: how errors call it. */
int config_parse(const char *name, const char *text, size_t len, struct config **ret_config,
		 char ret_error[CONFIG_ERROR_LEN]);

/* What is permitted but unwise, a line each. */
typedef void (*config_warning_fn)(void *ctx, const char *text);
void config_warnings(const struct config *config, config_warning_fn cb, void *ctx);

void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)

/* In the file's own shape, defaults filled in. Return: a new reference; NULL: out of memory. */
json_t *config_to_json(const struct config *config);

/* "auto", "native", "generic". Return of parse: 0; -EINVAL. */
const char *config_mode_name(enum config_mode mode);
int config_mode_parse(const char *word, enum config_mode *ret_mode);

/* "none", "replies", "strict". */
const char *config_source_check_name(enum fq_source_check check);

/* "dual", "ipv4", "ipv6". */
const char *config_stack_name(enum config_ip_stack stack);
const char *config_translate_name(enum config_translate translate);

/*
 * Parse a time: 2027-01-01T00:00:00Z (RFC 3339; an offset instead of Z is accepted).
 *
 * Return: 0; -EINVAL; -ERANGE.
 */
int config_time_parse(const char *text, time_t *ret_time);
