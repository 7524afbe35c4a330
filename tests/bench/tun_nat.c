/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Meant to be fast, so that the comparison is fair: no cryptography, no locks, no system call but a
 * read and a write for each packet (a TUN device takes no more than one in either), one table with
 * open addressing and a cache line an entry, checksums changed by differences that the entry
 * keeps (RFC 1624). Each direction has an entry, as in any NAT.
 */
#include "tun_nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lab.h"
#include "plan.h"

#define SLOTS      (1 << 20) /* a power of two; for at most half as many directions of flows */
#define FRAME_MAX  2048
#define L4_AT      20 /* packets with IP options are not translated */
#define PACKET_MIN (L4_AT + 8)

struct tuple {
	uint32_t src, dst; /* network order, as the ports */
	uint16_t sport, dport;
};

struct entry {
	struct tuple from, to;
	uint16_t ip_delta, l4_delta; /* to be added to the checksums' complements */
	bool used;
} __attribute__((aligned(64)));

struct nat {
	struct entry *slots;
	uint32_t proxy, real, nat; /* host order */
};

int tun_nat_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	_cleanup_(closep) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static uint32_t hash(const struct tuple *t)
{
	uint64_t x = ((uint64_t)t->src << 32 | t->dst) * 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 29) ^ ((uint32_t)t->sport << 16 | t->dport)) * 0xbf58476d1ce4e5b9;
	return x >> 40;
}

static bool same(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The entry of a tuple, or the free one where it belongs; NULL: the table is full. */
static struct entry *find(const struct nat *nat, const struct tuple *t)
{
	uint32_t at = hash(t);

	for (int probe = 0; probe < 64; probe++) {
		struct entry *e = &nat->slots[(at + probe) & (SLOTS - 1)];

		if (!e->used || same(&e->from, t))
			return e;
	}
	return NULL;
}

static uint32_t words(uint32_t n)
{
	return (n >> 16) + (n & 0xffff);
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static void put(struct entry *e, const struct tuple *from, const struct tuple *to)
{
	uint32_t addrs = words(~from->src) + words(to->src) + words(~from->dst) + words(to->dst);
	uint32_t ports = (uint16_t)~from->sport + to->sport + (uint16_t)~from->dport + to->dport;

	*e = (struct entry){.from = *from,
			    .to = *to,
			    .ip_delta = fold(addrs),
			    .l4_delta = fold(addrs + ports),
			    .used = true};
}

/* A new flow to a proxy address: both directions, the port kept. NULL: not ours, or full. */
static struct entry *open_flow(const struct nat *nat, struct entry *out, const struct tuple *t)
{
	uint32_t number = ntohl(t->dst) - nat->proxy;
	struct tuple to = {.src = htonl(nat->nat), .sport = t->sport, .dport = t->dport};
	struct tuple reply, reply_to;
	struct entry *in;

	if (number >= BENCH_PROXIES)
		return NULL;
	to.dst = htonl(nat->real + number);
	reply = (struct tuple){to.dst, to.src, to.dport, to.sport};
	reply_to = (struct tuple){t->dst, t->src, t->dport, t->sport};
	put(out, t, &to);
	in = find(nat, &reply);
	if (!in || in->used)
		return NULL;
	put(in, &reply, &reply_to);
	return out;
}

static void add(uint8_t *check, uint16_t delta)
{
	uint16_t old;

	memcpy(&old, check, sizeof(old));
	old = ~fold((uint16_t)~old + (uint32_t)delta);
	memcpy(check, &old, sizeof(old));
}

/* Return: whether it is to be sent on. */
static bool translate(const struct nat *nat, uint8_t *packet, ssize_t len)
{
	struct entry *e;
	struct tuple t;

	if (len < PACKET_MIN || packet[0] != 0x45 || packet[9] != IPPROTO_UDP)
		return false;
	memcpy(&t.src, packet + 12, 8);
	memcpy(&t.sport, packet + L4_AT, 4);
	e = find(nat, &t);
	if (e && !e->used)
		e = open_flow(nat, e, &t);
	if (!e)
		return false;
	memcpy(packet + 12, &e->to.src, 8);
	memcpy(packet + L4_AT, &e->to.sport, 4);
	add(packet + 10, e->ip_delta);
	add(packet + L4_AT + 6, e->l4_delta);
	return true;
}

void tun_nat_run(int fd)
{
	struct nat nat = {.slots = mmap(NULL, SLOTS * sizeof(struct entry), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)};
	uint8_t packet[FRAME_MAX];
	ssize_t len;

	if (nat.slots == MAP_FAILED)
		return;
	nat.proxy = ntohl(inet_addr(BENCH_PROXY4));
	nat.real = ntohl(inet_addr(BENCH_REAL4));
	nat.nat = ntohl(inet_addr(LAB_TUN_NAT));
	while ((len = read(fd, packet, sizeof(packet))) >= 0)
		if (translate(&nat, packet, len) && write(fd, packet, len) < 0)
			continue; /* a packet that the kernel does not take is lost, as on a wire */
}
