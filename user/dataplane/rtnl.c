/* SPDX-License-Identifier: BSD-2-Clause */
/* rtnetlink: a socket that listens, and everything of one kind asked for at once. */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/internal.h"
#include "dataplane/net.h"

int rtnl_open(unsigned int groups, int *ret_fd)
{
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = groups};

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int rtnl_neighbour_use(uint32_t ifindex, const struct fq_addr *addr)
{
	bool v4 = ipaddr_is_v4(addr);
	struct {
		struct nlmsghdr h;
		struct ndmsg msg;
		struct rtattr attr;
		uint8_t addr[16];
	} request = {
		.h = {.nlmsg_type = RTM_NEWNEIGH, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE},
		.msg = {.ndm_family = v4 ? AF_INET : AF_INET6,
			.ndm_ifindex = (int)ifindex,
			.ndm_flags = NTF_USE},
		.attr = {.rta_type = NDA_DST, .rta_len = RTA_LENGTH(v4 ? 4 : 16)},
	};
	_cleanup_(closep) int fd = -1;
	int r = rtnl_open(0, &fd);

	if (r < 0)
		return r;
	memcpy(request.addr, v4 ? &addr->b[12] : addr->b, v4 ? 4 : 16);
	request.h.nlmsg_len = NLMSG_LENGTH(sizeof(request.msg)) + request.attr.rta_len;
	return send(fd, &request, request.h.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* One datagram of a dump. *@ret_done: it was the last. */
static int dump_part(const char *buffer, int len, rtnl_fn cb, void *ctx, bool *ret_done)
{
	for (const struct nlmsghdr *h = (const struct nlmsghdr *)buffer;
	     NLMSG_OK(h, (unsigned int)len); h = NLMSG_NEXT(h, len)) {
		int r;

		/* Something changed meanwhile: the dump may lack what has been there all along. */
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error ?: -EPROTO;
		if (h->nlmsg_type == NLMSG_DONE) {
			*ret_done = true;
			return 0;
		}
		r = cb(ctx, h);
		if (r < 0)
			return r;
	}
	return 0;
}

int rtnl_dump_request(struct nlmsghdr *request, rtnl_fn cb, void *ctx)
{
	_cleanup_(freep) char *buffer = malloc(RTNL_BUFFER);
	_cleanup_(closep) int fd = -1;
	bool done = false;
	int r;

	if (!buffer)
		return -ENOMEM;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r = rtnl_open(0, &fd);
	if (r == 0 && send(fd, request, request->nlmsg_len, 0) < 0)
		r = -errno;
	while (r == 0 && !done) {
		ssize_t len = recv(fd, buffer, RTNL_BUFFER, 0);

		r = len < 0 ? -errno : dump_part(buffer, (int)len, cb, ctx, &done);
	}
	return r;
}

int rtnl_dump(uint16_t type, rtnl_fn cb, void *ctx)
{
	/* Room for the header of either; in both the family comes first. */
	struct {
		struct nlmsghdr h;
		struct ifinfomsg msg;
	} request = {
		.h = {.nlmsg_len = sizeof(request), .nlmsg_type = type},
		.msg = {.ifi_family = AF_UNSPEC},
	};

	if (type == RTM_GETADDR)
		request.h.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg));
	return rtnl_dump_request(&request.h, cb, ctx);
}
