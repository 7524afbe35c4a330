/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DNS server's datagrams. Up to DNS_UDP_BATCH are read in one go, and what is answered at once
 * is sent in one go when all have been handled; answers that come later are sent each by itself.
 */
#include <errno.h>
#include <string.h>

#include "base/ipaddr.h"
#include "io/dns_server_impl.h"

/* Room for the ancillary data of either family. */
union control {
	struct cmsghdr align;
	char in6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	char in[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Answers to datagrams of one listener that wait for the others. */
struct dns_udp_batch {
	const struct dns_listener *listener;
	unsigned int count;
	struct mmsghdr msgs[DNS_UDP_BATCH];
	struct iovec iovs[DNS_UDP_BATCH];
	union control controls[DNS_UDP_BATCH];
	struct sockaddr_storage peers[DNS_UDP_BATCH];
	uint8_t bytes[DNS_UDP_BATCH][DNS_UDP_MAX];
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

static void put_message(struct msghdr *msg, struct iovec *iov, union control *control,
			struct dns_request *req)
{
	*msg = (struct msghdr){
		.msg_name = &req->peer,
		.msg_namelen = req->peer_len,
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(*control),
	};
	memset(control, 0, sizeof(*control));
	put_local(msg, req);
}

static void batch_add(struct dns_udp_batch *b, struct dns_request *req, const uint8_t *bytes,
		      size_t len)
{
	struct msghdr *msg = &b->msgs[b->count].msg_hdr;

	memcpy(b->bytes[b->count], bytes, len);
	b->iovs[b->count] = (struct iovec){.iov_base = b->bytes[b->count], .iov_len = len};
	put_message(msg, &b->iovs[b->count], &b->controls[b->count], req);
	/* The request may be gone when the batch is sent. */
	b->peers[b->count] = req->peer;
	msg->msg_name = &b->peers[b->count];
	b->count++;
}

/* One that the kernel does not take is lost, the others are sent. */
static void batch_send(struct dns_server *server, struct dns_udp_batch *b)
{
	unsigned int at = 0;

	while (at < b->count) {
		int n = sendmmsg(b->listener->udp_fd, b->msgs + at, b->count - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			server->counters.send_failed++;
		at += n < 0 ? 1 : (unsigned int)n;
	}
	b->count = 0;
}

int dns_udp_reply(struct dns_request *req, const uint8_t *bytes, size_t len)
{
	struct dns_udp_batch *batch = req->server->udp_batch;
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
	union control control;
	struct msghdr msg;

	if (batch && batch->listener == req->listener && batch->count < DNS_UDP_BATCH) {
		batch_add(batch, req, bytes, len);
		return 0;
	}
	put_message(&msg, &iov, &control, req);
	if (sendmsg(req->listener->udp_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		req->server->counters.send_failed++;
		return -errno;
	}
	return 0;
}

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

int dns_udp_readable(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct dns_listener *listener = ctx;
	struct dns_server *server = listener->server;
	struct sockaddr_storage peers[DNS_UDP_BATCH];
	union control controls[DNS_UDP_BATCH];
	struct mmsghdr msgs[DNS_UDP_BATCH] = {0};
	struct iovec iovs[DNS_UDP_BATCH];
	struct dns_udp_batch batch;
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
	batch.listener = listener;
	batch.count = 0;
	server->udp_batch = &batch;
	for (int i = 0; i < n; i++)
		udp_datagram(listener, server->udp_buffer[i], msgs[i].msg_len, &msgs[i].msg_hdr);
	dns_requests_handled(server);
	server->udp_batch = NULL;
	batch_send(server, &batch);
	return 0;
}
