/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS over UDP and TCP as a server (RFC 1035 4.2, RFC 7766): bytes in, bytes out, by sd-event.
 *
 * It carries messages and never looks into them beyond their length. The handler gets a
 * request with a reference, answers now or later, and drops the reference; a request dropped
 * without an answer stays unanswered.
 *
 *	static void on_request(void *ctx, struct dns_request *req)
 *	{
 *		...
 *		(void)dns_request_reply(req, answer, len);
 *		dns_request_unref(req);
 *	}
 *
 * Every resource is bounded: requests in progress over all, connections per listen address (D-04),
 * pipelined requests, input and unread output per connection, and its idle time. UDP answers
 * leave from the address that was asked, also if the socket is bound to a wildcard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <fqdnat/abi.h>

#include "base/cleanup.h"
#include "io/dns_listen.h"

#define DNS_HEADER_BYTES     12   /* RFC 1035 4.1.1; shorter messages are dropped */
#define DNS_UDP_MAX          1232 /* bytes of an UDP answer: fits every IPv6 path */
#define DNS_TCP_MAX          65535
#define DNS_TCP_PIPELINE_MAX 32          /* requests of one connection in progress */
#define DNS_TCP_OUTPUT_MAX   (256 << 10) /* unread bytes of one connection */
#define DNS_SERVER_ERROR_LEN 160

struct dns_server;
struct dns_request;

struct dns_server_settings {
	const struct dns_listen *listen; /* copied */
	size_t listen_count;
	unsigned int requests_max;    /* in progress, over all */
	unsigned int tcp_clients_max; /* connections per listen address; then idle ones give way */
	unsigned int tcp_source_max;  /* connections per source address, over all */
	int64_t tcp_idle_ns; /* without a complete query or a byte of progress in an answer */
	bool freebind;       /* listen on addresses that the host does not have (yet) */

	/* Who may connect by TCP at all; NULL: everyone. Asked once a connection, before reading.
	 */
	bool (*may_connect)(void *ctx, const struct fq_addr *src);

	/* A request: one reference to it is the handler's. Must not free the server. */
	void (*handle)(void *ctx, struct dns_request *req);

	/* Those that came together have all been handed over: answers that are given now are sent
	 * in one go. NULL: it does not matter. */
	void (*handled)(void *ctx);
	void *ctx;
};

/*
 * 4096 requests, 10 connections per address (D-04), 4 of them from one source, 10 s; listen,
 * may_connect and handle are left to the caller.
 */
struct dns_server_settings dns_server_settings_default(void);

struct dns_server_counters {
	uint64_t udp_queries;
	uint64_t tcp_queries;
	uint64_t tcp_accepted;
	uint64_t tcp_refused;     /* connections not allowed, or above a limit */
	uint64_t tcp_timeouts;    /* connections closed for being idle or slow, or giving way */
	uint64_t malformed;       /* shorter than a DNS header, or longer than can be */
	uint64_t overload;        /* dropped: requests_max reached */
	uint64_t send_failed;     /* UDP answers that the kernel did not take */
	unsigned int requests;    /* in progress now */
	unsigned int tcp_clients; /* connected now */
};

/*
 * Listen on every address of @settings, UDP and TCP.
 *
 * @event:     referenced
 * @ret_error: on failure: which address, which protocol, and why
 *
 * Return: 0; negative errno, and nothing listens.
 */
int dns_server_new(sd_event *event, const struct dns_server_settings *settings,
		   struct dns_server **ret_server, char ret_error[DNS_SERVER_ERROR_LEN]);

/* Stop listening and close connections. Requests in progress stay valid; answering them fails. */
void dns_server_free(struct dns_server *server);
DEFINE_CLEANUP(struct dns_server *, dns_server_free)

/* Port of listen address @i, host order. */
uint16_t dns_server_port(const struct dns_server *server, size_t i);

struct dns_server_counters dns_server_counters(const struct dns_server *server);

struct dns_request *dns_request_ref(struct dns_request *req);
void dns_request_unref(struct dns_request *req);
DEFINE_CLEANUP(struct dns_request *, dns_request_unref)

/* The message; at least DNS_HEADER_BYTES. Owned by the request. */
const uint8_t *dns_request_bytes(const struct dns_request *req, size_t *ret_len);

/* Who asks. Link-local IPv6 sources are given without their interface. */
const struct fq_addr *dns_request_source(const struct dns_request *req);

bool dns_request_is_tcp(const struct dns_request *req);

/* The port that was asked, host order; 0: the server is gone. */
uint16_t dns_request_port(const struct dns_request *req);

/* The longest answer that can be sent: DNS_UDP_MAX or DNS_TCP_MAX. The client's EDNS size and the
 * 512 bytes of RFC 1035 are the caller's business. */
size_t dns_request_max(const struct dns_request *req);

/*
 * Send an answer; at most one for each request.
 *
 * Return: 0 (sent, or queued: on a connection, or to be sent with other datagrams' answers as soon
 * as the handler has seen them; what the kernel does not take then is counted); -EMSGSIZE above
 * dns_request_max; -EALREADY if it was answered; -ENOTCONN if the client or the server is gone;
 * -ENOMEM; other errnos of sendmsg.
 */
int dns_request_reply(struct dns_request *req, const uint8_t *bytes, size_t len);
