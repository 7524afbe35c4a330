/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the DNS server: what its UDP and TCP halves share. Included by io/dns_*.c only. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "io/acceptor.h"
#include "io/dns_server.h"

#define DNS_UDP_BATCH     32   /* datagrams read in one wakeup */
#define DNS_UDP_QUERY_MAX 4096 /* longer queries do not exist outside of attacks */

struct dns_conn;
struct dns_udp_batch;

/* One listen address. */
struct dns_listener {
	struct dns_server *server;
	struct fq_addr addr;
	uint16_t port;
	int udp_fd, tcp_fd;
	sd_event_source *udp;
	struct acceptor *acceptor;
	struct dns_conn *conns; /* utlist */
	unsigned int conn_count;
};

struct dns_server {
	sd_event *event;
	struct dns_server_settings settings;
	struct dns_listener *listeners;
	size_t listener_count;
	struct dns_request *requests; /* utlist: in progress */
	struct dns_server_counters counters;
	struct dns_udp_batch *udp_batch; /* NULL: none is being read */
	uint8_t udp_buffer[DNS_UDP_BATCH][DNS_UDP_QUERY_MAX];
};

struct dns_request {
	struct dns_request *prev, *next;
	unsigned int refs;
	struct dns_server *server; /* NULL: it was freed */
	struct fq_addr source;
	struct dns_listener *listener; /* as long as the server is there */
	bool tcp;
	bool answered;

	/* UDP */
	struct sockaddr_storage peer;
	socklen_t peer_len;
	struct in6_pktinfo local6; /* address that was asked; family of peer says which */
	struct in_pktinfo local4;
	bool has_local;

	/* TCP */
	struct dns_conn *conn; /* NULL: it was closed */
	struct dns_request *conn_prev, *conn_next;

	size_t len;
	uint8_t bytes[];
};

/*
 * Make a request and put it on the server's list.
 *
 * Return: a reference for the handler; NULL if there are too many, or no memory: counted.
 */
struct dns_request *dns_request_new(struct dns_server *server, const uint8_t *bytes, size_t len);

/* Those that came together have been handed over. */
void dns_requests_handled(struct dns_server *server);

/* The UDP half: sd_event's handler of a listener's socket, and how a request of it is answered. */
int dns_udp_readable(sd_event_source *source, int fd, uint32_t revents, void *ctx);
int dns_udp_reply(struct dns_request *req, const uint8_t *bytes, size_t len);

/* The TCP half. */
int dns_tcp_listen(struct dns_listener *listener);
void dns_tcp_done(struct dns_listener *listener);
int dns_tcp_reply(struct dns_request *req, const uint8_t *bytes, size_t len);

/* The last reference to a request of a connection is gone. */
void dns_tcp_request_done(struct dns_request *req);
