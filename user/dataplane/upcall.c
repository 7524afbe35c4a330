/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcalls from the programs, and packets back to the kernel.
 *
 * A held frame is put through a program by BPF_PROG_RUN, which is a function call here: what
 * comes out is sent by a raw socket. (Live frames would need a receiver with NAPI, and would be
 * lost where the neighbour is not known yet; the kernel's own output waits for it.) It is a program
 * of its own, because up to kernel 6.2 the attached one may interrupt it on the same CPU.
 *
 * What is on its way to a remote gateway must not meet the kernel's routes, which know nothing of
 * gateways: the program says interface and MAC address (FQ_UPCALL_VIA), a packet socket sends.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"
#include "dataplane/net.h"

#define IP6_HEADER 40

/*
 * Packets that wait for a neighbour's answer are charged to the socket that sent them; the kernel
 * keeps up to net.ipv4.neigh.default.unres_qlen_bytes (208 KiB) of them for each neighbour. Room
 * for many, so that a few dead hosts do not stop the packets to all others.
 */
#define SEND_BUFFER (16 << 20)

/* ---- upcalls ---- */

static bool upcall_valid(const struct fq_upcall *u, size_t size)
{
	if (size < sizeof(*u) || u->len > size - sizeof(*u))
		return false;
	switch (u->kind) {
	case FQ_UPCALL_HOLD:
	case FQ_UPCALL_SLOW:
	case FQ_UPCALL_VIA:
	case FQ_UPCALL_FRAGMENT:
		return u->l3_offset >= ETH_HLEN && u->len >= u->l3_offset + sizeof(struct iphdr);
	case FQ_UPCALL_TOUCH:
		return true;
	case FQ_UPCALL_SESSION:
		return u->len == sizeof(struct fq_tuple);
	case FQ_UPCALL_FIRST:
		return u->len == sizeof(struct fq_frag_key);
	default:
		return false;
	}
}

/*
 * Without the Ethernet header: the kernel writes one where the interface has such, and tunnels take
 * the bare packet. What cannot be sent is lost, as on any link.
 */
int dataplane_send_via(const struct dataplane *dp, const void *header, const void *packet,
		       size_t len, uint32_t ifindex)
{
	const struct ethhdr *eth = header;
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = eth->h_proto,
		.sll_ifindex = (int)ifindex,
		.sll_halen = ETH_ALEN,
	};

	memcpy(to.sll_addr, eth->h_dest, ETH_ALEN);
	if (sendto(dp->packet, packet, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int send_via(const struct dataplane *dp, const uint8_t *frame, size_t len, uint32_t ifindex)
{
	return dataplane_send_via(dp, frame, frame + ETH_HLEN, len - ETH_HLEN, ifindex);
}

static int upcall_record(void *ctx, void *data, size_t size)
{
	struct dataplane *dp = ctx;
	const struct fq_upcall *u = data;

	if (upcall_valid(u, size)) {
		dp->upcall_read++;
		if (u->kind == FQ_UPCALL_TOUCH && u->gateway)
			(void)rtnl_neighbour_use(u->ifindex, &u->proxy);
		if (u->kind == FQ_UPCALL_VIA && !u->mtu)
			(void)send_via(dp, u->frame, u->len, u->ifindex);
		else
			dp->upcall_cb(dp->upcall_ctx, u);
	}
	/* A negative result ends the reading behind this record. */
	return --dp->upcall_left ? 0 : -ECANCELED;
}

/*
 * To send only. IPPROTO_RAW: we bring the IP header, in both families. A packet socket of protocol
 * 0 receives nothing.
 */
static int raw_open(int family)
{
	bool packet = family == AF_PACKET;
	int fd = socket(family, (packet ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC | SOCK_NONBLOCK,
			packet ? 0 : IPPROTO_RAW);
	int bytes = SEND_BUFFER;

	if (fd < 0)
		return -errno;
	/* Less than wanted is still good enough to send. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return fd;
}

int upcall_open(struct dataplane *dp)
{
	dp->ring = ring_buffer__new(dp->maps[M_UPCALLS], upcall_record, dp, NULL);
	if (!dp->ring)
		return -errno;
	dp->packet = raw_open(AF_PACKET);
	if (dp->packet < 0)
		return dp->packet;
	dp->raw4 = raw_open(AF_INET);
	if (dp->raw4 < 0)
		return dp->raw4;
	/* A kernel without IPv6 is no failure. */
	dp->raw6 = raw_open(AF_INET6);
	return dp->raw6 < 0 && dp->raw6 != -EAFNOSUPPORT ? dp->raw6 : 0;
}

void upcall_close(struct dataplane *dp)
{
	ring_buffer__free(dp->ring);
	dp->ring = NULL;
	close_fds(&dp->raw4, 1);
	close_fds(&dp->raw6, 1);
	close_fds(&dp->packet, 1);
}

int dataplane_upcalls_fd(const struct dataplane *dp)
{
	return ring_buffer__epoll_fd(dp->ring);
}

int dataplane_upcalls_poll(struct dataplane *dp, dp_upcall_fn cb, void *ctx, unsigned int max)
{
	int r;

	dp->upcall_cb = cb;
	dp->upcall_ctx = ctx;
	dp->upcall_left = max ? max : 1;
	dp->upcall_read = 0;
	r = ring_buffer__consume(dp->ring);
	return r < 0 && r != -ECANCELED ? r : (int)dp->upcall_read;
}

bool dataplane_fragment_known(const struct dataplane *dp, const struct fq_frag_key *key)
{
	struct fq_frag frag;

	return bpf_map_lookup_elem(dp->maps[M_FRAGMENTS], key, &frag) == 0 && !frag.waiting &&
	       !instant_reached((struct instant){(int64_t)frag.until}, instant_now());
}

/* ---- packets ---- */

static int send4(const struct dataplane *dp, const void *packet, size_t len)
{
	const struct iphdr *ip = packet;
	struct sockaddr_in to = {.sin_family = AF_INET};

	if (len < sizeof(*ip) || ntohs(ip->tot_len) < sizeof(*ip) || ntohs(ip->tot_len) > len)
		return -EBADMSG;
	memcpy(&to.sin_addr, (const char *)packet + offsetof(struct iphdr, daddr), 4);
	/* Without what Ethernet padding there may be. */
	if (sendto(dp->raw4, packet, ntohs(ip->tot_len), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int send6(const struct dataplane *dp, const void *packet, size_t len)
{
	const struct ip6_hdr *ip = packet;
	struct sockaddr_in6 to = {.sin6_family = AF_INET6};

	if (len < IP6_HEADER || IP6_HEADER + (size_t)ntohs(ip->ip6_plen) > len)
		return -EBADMSG;
	to.sin6_addr = ip->ip6_dst;
	if (sendto(dp->raw6, packet, IP6_HEADER + ntohs(ip->ip6_plen), 0, (struct sockaddr *)&to,
		   sizeof(to)) < 0)
		return -errno;
	return 0;
}

int dataplane_send_l3(struct dataplane *dp, const void *packet, size_t len)
{
	uint32_t aligned[(65536 + 64) / 4];

	if (len < 1 || len > 65536)
		return -EBADMSG;
	/* Behind an Ethernet header the IP header is not aligned. */
	memcpy(aligned, packet, len);
	switch (*(const uint8_t *)packet >> 4) {
	case 4:
		return send4(dp, aligned, len);
	case 6:
		return send6(dp, aligned, len);
	default:
		return -EBADMSG;
	}
}

int dataplane_inject(struct dataplane *dp, const void *frame, size_t len, uint32_t ifindex,
		     enum dp_injected *ret_injected)
{
	/* ICMP errors are longer than what they answer. */
	uint8_t out[2 * FQ_HOLD_FRAME_MAX];
	struct xdp_md in_ctx = {.data_end = (uint32_t)len, .ingress_ifindex = ifindex},
		      out_ctx = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &in_ctx,
		    .ctx_size_in = sizeof(in_ctx), .ctx_out = &out_ctx,
		    .ctx_size_out = sizeof(out_ctx), .repeat = 1);
	uint32_t oif;
	int r;

	if (len < ETH_HLEN || len > FQ_HOLD_FRAME_MAX)
		return -EMSGSIZE;
	r = bpf_prog_test_run_opts(dp->progs[P_INJECT], &opts);
	if (r < 0)
		return r;
	dataplane_count(dp, FQ_R_INJECTED, 1);
	switch (opts.retval) {
	case XDP_REDIRECT:
	case XDP_TX:
		if (out_ctx.data == sizeof(oif)) {
			memcpy(&oif, out, sizeof(oif));
			r = send_via(dp, out + sizeof(oif), opts.data_size_out - sizeof(oif), oif);
		} else {
			r = dataplane_send_l3(dp, out + ETH_HLEN, opts.data_size_out - ETH_HLEN);
		}
		if (r < 0)
			return r;
		*ret_injected = DP_INJECT_SENT;
		return 0;
	case XDP_PASS:
		*ret_injected = DP_INJECT_PASSED;
		return 0;
	default:
		*ret_injected = DP_INJECT_CONSUMED;
		return 0;
	}
}
