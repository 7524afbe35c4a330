/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS server: sockets, UDP, and the life of a request. io/dns_tcp.c has the connections.
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

size_t dns_request_max(const struct dns_request *req)
{
	return req->tcp ? DNS_TCP_MAX : DNS_UDP_MAX;
}

/* Room for the ancillary data of either family. */
union control {
	struct cmsghdr align;
	char in6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	char in[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Say which address the answer leaves from: the one that was asked. */
static void put_local(struct msghdr *msg, const struct dns_request *req)
{
	struct cmsghdr *cmsg;

	if (!req->has_local) {
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
		return;
	}
	cmsg = CMSG_FIRSTHDR(msg);
	if (req->peer.ss_family == AF_INET6) {
		cmsg->cmsg_level = IPPROTO_IPV6;
		cmsg->cmsg_type = IPV6_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(req->local6));
		memcpy(CMSG_DATA(cmsg), &req->local6, sizeof(req->local6));
		msg->msg_controllen = CMSG_SPACE(sizeof(req->local6));
	} else {
		cmsg->cmsg_level = IPPROTO_IP;
		cmsg->cmsg_type = IP_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(req->local4));
		memcpy(CMSG_DATA(cmsg), &req->local4, sizeof(req->local4));
		msg->msg_controllen = CMSG_SPACE(sizeof(req->local4));
	}
}

static int udp_reply(struct dns_request *req, const uint8_t *bytes, size_t len)
{
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
	union control control = {.in6 = {0}};
	struct msghdr msg = {
		.msg_name = &req->peer,
		.msg_namelen = req->peer_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	put_local(&msg, req);
	if (sendmsg(req->listener->udp_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		req->server->counters.send_failed++;
		return -errno;
	}
	return 0;
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
	return req->tcp ? dns_tcp_reply(req, bytes, len) : udp_reply(req, bytes, len);
}

/* UDP */

/* Keep the address that was asked, from the ancillary data of a datagram. */
static void take_local(struct dns_request *req, struct msghdr *msg)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
			memcpy(&req->local6, CMSG_DATA(cmsg), sizeof(req->local6));
			/* The way back is a matter of routes, except on a link. */
			if (!IN6_IS_ADDR_LINKLOCAL(&req->local6.ipi6_addr))
				req->local6.ipi6_ifindex = 0;
			req->has_local = true;
		} else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
			req->local4 = (struct in_pktinfo){.ipi_spec_dst = info.ipi_spec_dst};
			req->has_local = true;
		}
	}
}

static void udp_datagram(struct dns_listener *listener, const uint8_t *bytes, size_t len,
			 struct msghdr *msg)
{
	struct dns_server *server = listener->server;
	struct dns_request *req;
	uint16_t port;

	server->counters.udp_queries++;
	if (len < DNS_HEADER_BYTES || (msg->msg_flags & MSG_TRUNC)) {
		server->counters.malformed++;
		return;
	}
	req = dns_request_new(server, bytes, len);
	if (!req)
		return;
	req->listener = listener;
	req->peer_len = msg->msg_namelen;
	memcpy(&req->peer, msg->msg_name, msg->msg_namelen);
	take_local(req, msg);
	if (ipaddr_from_sockaddr((struct sockaddr *)&req->peer, &req->source, &port) < 0) {
		dns_request_unref(req);
		return;
	}
	server->settings.handle(server->settings.ctx, req);
}

static int on_udp(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct dns_listener *listener = ctx;
	struct dns_server *server = listener->server;
	struct sockaddr_storage peers[DNS_UDP_BATCH];
	union control controls[DNS_UDP_BATCH];
	struct mmsghdr msgs[DNS_UDP_BATCH] = {0};
	struct iovec iovs[DNS_UDP_BATCH];
	int n;

	(void)source;
	(void)revents;
	for (int i = 0; i < DNS_UDP_BATCH; i++) {
		iovs[i] = (struct iovec){server->udp_buffer[i], DNS_UDP_QUERY_MAX};
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &peers[i],
			.msg_namelen = sizeof(peers[i]),
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
			.msg_control = &controls[i],
			.msg_controllen = sizeof(controls[i]),
		};
	}
	/* Errors are those of earlier answers (ICMP) or passing: the socket stays. */
	n = recvmmsg(fd, msgs, DNS_UDP_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		udp_datagram(listener, server->udp_buffer[i], msgs[i].msg_len, &msgs[i].msg_hdr);
	return 0;
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
			       on_udp, listener);
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
