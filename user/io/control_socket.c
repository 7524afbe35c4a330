/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of the control transport: the gateway's bound one, and an edge's connected ones,
 * which are opened by the first message to send, and anew when the way to the gateway has changed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <linux/sock_diag.h>

#include "base/ipaddr.h"
#include "io/control_udp_impl.h"

#define RECEIVE_BUFFER (4 << 20) /* a burst of every peer at once */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * Messages may be larger than the path takes: let them be fragmented rather than lost. (IPv6
 * fragments at the sender, by what it knows of the path.)
 */
static int set_options(int fd, const struct fq_addr *addr, bool freebind)
{
	bool v4 = ipaddr_is_v4(addr);
	int r;

	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		(void)set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER); /* up to rmem_max */
	r = v4 ? set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
	       : set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0 && freebind)
		r = v4 ? set_option(fd, IPPROTO_IP, IP_FREEBIND, 1)
		       : set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return r;
}

static int open_socket(const struct fq_addr *family_of, bool freebind, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	int r;

	fd = socket(ipaddr_is_v4(family_of) ? AF_INET : AF_INET6,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = set_options(fd, family_of, freebind);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int bind_to(int fd, const struct fq_addr *addr, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(addr, port, &sa);

	return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

static int on_bound(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	(void)source;
	(void)revents;
	control_udp_receive(ctx, fd, NULL);
	return 0;
}

int control_socket_listen(struct control_udp *udp)
{
	const struct control_udp_settings *settings = &udp->settings;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct fq_addr addr;
	int r;

	r = open_socket(&settings->addr, settings->freebind, &udp->fd);
	if (r < 0)
		return r;
	r = bind_to(udp->fd, &settings->addr, settings->port);
	if (r < 0)
		return r;
	if (getsockname(udp->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	r = ipaddr_from_sockaddr((struct sockaddr *)&sa, &addr, &udp->port);
	if (r < 0)
		return r;
	return sd_event_add_io(udp->event, &udp->source, udp->fd, EPOLLIN, on_bound, udp);
}

static int on_connected(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct control_peer *peer = ctx;

	(void)source;
	(void)revents;
	control_udp_receive(peer->udp, fd, peer);
	return 0;
}

static int connect_to(struct control_peer *peer)
{
	const struct control_udp_settings *settings = &peer->udp->settings;
	_cleanup_(closep) int fd = -1;
	struct sockaddr_storage sa;
	socklen_t len;
	int r;

	/* No freebind: a source that is not there would only be found out by silence. */
	r = open_socket(&peer->addr, false, &fd);
	if (r < 0)
		return r;
	if (settings->has_local && ipaddr_is_v4(&settings->addr) == ipaddr_is_v4(&peer->addr)) {
		r = bind_to(fd, &settings->addr, 0);
		if (r < 0)
			return r;
	}
	len = ipaddr_to_sockaddr(&peer->addr, peer->port, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	r = sd_event_add_io(peer->udp->event, &peer->source, fd, EPOLLIN, on_connected, peer);
	if (r < 0)
		return r;
	peer->fd = TAKE_FD(fd);
	return 0;
}

void control_socket_close(struct control_peer *peer)
{
	peer->source = sd_event_source_disable_unref(peer->source);
	if (peer->fd < 0)
		return;
	peer->udp->overflow += control_socket_drops(peer->fd);
	close(TAKE_FD(peer->fd));
}

uint64_t control_socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

/* The source address that connect has chosen, or the route, is not good any more. */
static bool way_has_changed(int error)
{
	switch (error) {
	case EINVAL:
	case EADDRNOTAVAIL:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
		return true;
	default:
		return false;
	}
}

/* Twice, because the first may only be told what has become of an earlier one, or of the way. */
static bool send_connected(struct control_peer *peer, const uint8_t *bytes, size_t len)
{
	for (int i = 0; i < 2; i++) {
		if (peer->fd < 0 && connect_to(peer) < 0)
			return false;
		if (send(peer->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == ECONNREFUSED)
			peer->counters.unreachable++;
		else if (way_has_changed(errno))
			control_socket_close(peer);
		else
			return false;
	}
	return false;
}

bool control_socket_send(struct control_peer *peer, uint16_t port, const uint8_t *bytes, size_t len)
{
	const struct control_udp *udp = peer->udp;
	struct sockaddr_storage sa;
	socklen_t sa_len;
	bool sent;

	if (udp->settings.role == CONTROL_ROLE_EDGE) {
		sent = send_connected(peer, bytes, len);
	} else {
		sa_len = ipaddr_to_sockaddr(&peer->addr, port, &sa);
		sent = sendto(udp->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (struct sockaddr *)&sa, sa_len) >= 0;
	}
	if (!sent)
		peer->counters.send_failed++;
	return sent;
}
