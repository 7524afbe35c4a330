/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS server: sockets, and the life of a request. io/dns_udp.c has the datagrams, io/dns_tcp.c
 * the connections.
 *
 * It does not parse messages, resolve, or log.
 */
#include "io/dns_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <utlist.h>

#include "base/ipaddr.h"
#include "io/dns_server_impl.h"

struct dns_server_settings dns_server_settings_default(void)
{
	return (struct dns_server_settings){
		.requests_max = 4096,
		.tcp_clients_max = 10,
		.tcp_source_max = 4,
		.tcp_idle_ns = 10 * NSEC_PER_SEC,
	};
}

/* Requests */

struct dns_request *dns_request_new(struct dns_server *server, const uint8_t *bytes, size_t len)
{
	struct dns_request *req = NULL;

	/* Those that wait for others that came with them need not. */
	if (server->counters.requests >= server->settings.requests_max)
		dns_requests_handled(server);
	if (server->counters.requests < server->settings.requests_max)
		req = calloc(1, sizeof(*req) + len);
	if (!req) {
		server->counters.overload++;
		return NULL;
	}
	req->refs = 1;
	req->server = server;
	req->len = len;
	memcpy(req->bytes, bytes, len);
	DL_APPEND(server->requests, req);
	server->counters.requests++;
	return req;
}

struct dns_request *dns_request_ref(struct dns_request *req)
{
	req->refs++;
	return req;
}

void dns_request_unref(struct dns_request *req)
{
	if (!req || --req->refs > 0)
		return;
	if (req->conn)
		dns_tcp_request_done(req);
	if (req->server) {
		DL_DELETE(req->server->requests, req);
		req->server->counters.requests--;
	}
	free(req);
}

const uint8_t *dns_request_bytes(const struct dns_request *req, size_t *ret_len)
{
	*ret_len = req->len;
	return req->bytes;
}

const struct fq_addr *dns_request_source(const struct dns_request *req)
{
	return &req->source;
}

bool dns_request_is_tcp(const struct dns_request *req)
{
	return req->tcp;
}

uint16_t dns_request_port(const struct dns_request *req)
{
	return req->server ? req->listener->port : 0;
}

size_t dns_request_max(const struct dns_request *req)
{
	return req->tcp ? DNS_TCP_MAX : DNS_UDP_MAX;
}

int dns_request_reply(struct dns_request *req, const uint8_t *bytes, size_t len)
{
	if (len > dns_request_max(req))
		return -EMSGSIZE;
	if (req->answered)
		return -EALREADY;
	if (!req->server || (req->tcp && !req->conn))
		return -ENOTCONN;
	req->answered = true;
	return req->tcp ? dns_tcp_reply(req, bytes, len) : dns_udp_reply(req, bytes, len);
}

void dns_requests_handled(struct dns_server *server)
{
	if (server->settings.handled)
		server->settings.handled(server->settings.ctx);
}

/* Sockets */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int fd, int type, const struct dns_listener *listener)
{
	bool v4 = ipaddr_is_v4(&listener->addr), freebind = listener->server->settings.freebind;
	int r = 0;

	if (!v4)
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !ipaddr_is_zero(&listener->addr));
	if (r == 0 && freebind)
		r = v4 ? set_option(fd, IPPROTO_IP, IP_FREEBIND, 1)
		       : set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	/* Not for UDP, where it would let a second server take half of the queries. */
	if (r == 0 && type == SOCK_STREAM)
		r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && type == SOCK_DGRAM)
		r = v4 ? set_option(fd, IPPROTO_IP, IP_PKTINFO, 1)
		       : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	return r;
}

/* A bound socket. The port the kernel has chosen for the first is then asked for by the second. */
static int open_socket(struct dns_listener *listener, int type, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	struct sockaddr_storage sa;
	struct fq_addr addr;
	socklen_t len;
	int r;

	len = ipaddr_to_sockaddr(&listener->addr, listener->port, &sa);
	fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = set_options(fd, type, listener);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	r = ipaddr_from_sockaddr((struct sockaddr *)&sa, &addr, &listener->port);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int listen_tcp(struct dns_listener *listener)
{
	int r = open_socket(listener, SOCK_STREAM, &listener->tcp_fd);

	return r < 0 ? r : dns_tcp_listen(listener);
}

static int listen_udp(struct dns_listener *listener)
{
	int r = open_socket(listener, SOCK_DGRAM, &listener->udp_fd);

	if (r < 0)
		return r;
	return sd_event_add_io(listener->server->event, &listener->udp, listener->udp_fd, EPOLLIN,
			       dns_udp_readable, listener);
}

static int listen_on(struct dns_listener *listener, char error[DNS_SERVER_ERROR_LEN])
{
	char text[IPADDR_STRLEN];
	const char *protocol = "tcp";
	int r;

	r = listen_tcp(listener);
	if (r >= 0) {
		protocol = "udp";
		r = listen_udp(listener);
	}
	if (r >= 0)
		return 0;
	snprintf(error, DNS_SERVER_ERROR_LEN, "cannot listen on %s port %u (%s): %s",
		 ipaddr_format(&listener->addr, text), listener->port, protocol, strerror(-r));
	return r;
}

int dns_server_new(sd_event *event, const struct dns_server_settings *settings,
		   struct dns_server **ret_server, char ret_error[DNS_SERVER_ERROR_LEN])
{
	_cleanup_(dns_server_freep) struct dns_server *server = calloc(1, sizeof(*server));
	int r;

	snprintf(ret_error, DNS_SERVER_ERROR_LEN, "out of memory");
	if (!server)
		return -ENOMEM;
	server->event = sd_event_ref(event);
	server->settings = *settings;
	server->settings.listen = NULL;
	server->listeners = calloc(settings->listen_count, sizeof(server->listeners[0]));
	if (!server->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < settings->listen_count; i++) {
		struct dns_listener *listener = &server->listeners[server->listener_count++];

		*listener = (struct dns_listener){
			.server = server,
			.addr = settings->listen[i].addr,
			.port = settings->listen[i].port,
			.udp_fd = -1,
			.tcp_fd = -1,
		};
		r = listen_on(listener, ret_error);
		if (r < 0)
			return r;
	}
	ret_error[0] = '\0';
	*ret_server = TAKE_PTR(server);
	return 0;
}

void dns_server_free(struct dns_server *server)
{
	struct dns_request *req, *next;

	if (!server)
		return;
	for (size_t i = 0; i < server->listener_count; i++) {
		struct dns_listener *listener = &server->listeners[i];

		dns_tcp_done(listener);
		sd_event_source_disable_unref(listener->udp);
		closep(&listener->udp_fd);
	}
	DL_FOREACH_SAFE (server->requests, req, next) {
		DL_DELETE(server->requests, req);
		req->server = NULL;
	}
	sd_event_unref(server->event);
	free(server->listeners);
	free(server);
}

uint16_t dns_server_port(const struct dns_server *server, size_t i)
{
	return server->listeners[i].port;
}

struct dns_server_counters dns_server_counters(const struct dns_server *server)
{
	return server->counters;
}
