/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DNS server of few words for tests of the resolver and the forwarder: a thread on an
 * ephemeral port of 127.0.0.1, UDP and TCP. The first label of the name says how it behaves.
 */
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_A     1
#define FAKE_CNAME 5
#define FAKE_AAAA  28
#define FAKE_PORTS 512

struct fake {
	int udp, tcp, stop[2];
	uint16_t port;
	char text[32]; /* "127.0.0.1:port" */
	pthread_t thread;
	pthread_mutex_t lock;
	uint8_t last[512]; /* last query */
	size_t last_len;
	unsigned int udp_queries, tcp_queries;
	uint16_t ports[FAKE_PORTS]; /* the first UDP queries came from */
};

struct fake_msg {
	uint8_t bytes[4096];
	size_t len;
};

static inline void fake_put(struct fake_msg *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static inline void fake_put16(struct fake_msg *m, uint16_t v)
{
	fake_put(m, (uint8_t[]){v >> 8, v & 0xff}, 2);
}

/* A record; @owner: offset of its name in the message. Return: offset of its rdata. */
static inline size_t fake_rr(struct fake_msg *m, uint16_t owner, uint16_t type, uint32_t ttl,
			     const void *rdata, uint16_t len)
{
	fake_put16(m, 0xc000 | owner);
	fake_put16(m, type);
	fake_put16(m, 1);
	fake_put16(m, ttl >> 16);
	fake_put16(m, ttl & 0xffff);
	fake_put16(m, len);
	fake_put(m, rdata, len);
	m->bytes[7]++;
	return m->len - len;
}

static inline void fake_address(struct fake_msg *m, uint16_t owner, uint16_t type, uint32_t ttl,
				uint8_t last)
{
	const uint8_t v4[4] = {192, 0, 2, last};
	const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};

	if (type == FAKE_A)
		fake_rr(m, owner, type, ttl, v4, 4);
	else if (type == FAKE_AAAA)
		fake_rr(m, owner, type, ttl, v6, 16);
}

static inline bool fake_is(const uint8_t *query, const char *label)
{
	return query[12] == strlen(label) && memcmp(query + 13, label, query[12]) == 0;
}

/* Return: whether something is to be sent. */
static inline bool fake_answer(const uint8_t *query, size_t len, bool tcp, struct fake_msg *m)
{
	static const uint8_t target[] = {6, 't', 'a', 'r', 'g', 'e', 't', 4, 't', 'e', 's', 't', 0};
	size_t end = 12;
	uint16_t type;

	while (query[end])
		end += query[end] + 1u;
	end += 5;
	type = query[end - 4] << 8 | query[end - 3];
	memcpy(m->bytes, query, end);
	m->len = end;
	memset(m->bytes + 6, 0, 6);
	m->bytes[2] = 0x81;
	m->bytes[3] = 0x80;

	if (fake_is(query, "silent") || (fake_is(query, "partial") && type == FAKE_AAAA))
		return false;
	if (fake_is(query, "nx")) {
		m->bytes[3] |= 3;
	} else if (fake_is(query, "servfail") || (fake_is(query, "half") && type == FAKE_A)) {
		m->bytes[3] |= 2;
	} else if (fake_is(query, "refused")) {
		m->bytes[3] |= 5;
	} else if (fake_is(query, "wrongid")) {
		m->bytes[0] ^= 0xff;
		fake_address(m, 12, type, 60, 1);
	} else if (fake_is(query, "malformed")) {
		fake_address(m, 12, type, 60, 1);
		m->bytes[m->len - (type == FAKE_A ? 5 : 17)] = 200; /* rdlength beyond the end */
	} else if (fake_is(query, "short")) {
		m->len = 5;
	} else if (fake_is(query, "cname")) {
		size_t at = fake_rr(m, 12, FAKE_CNAME, 7, target, sizeof(target));

		fake_address(m, (uint16_t)at, type, 100, 9);
	} else if (fake_is(query, "dangling")) {
		fake_rr(m, 12, FAKE_CNAME, 7, target, sizeof(target));
	} else if (fake_is(query, "many")) {
		for (uint8_t i = 1; i <= 3; i++)
			fake_address(m, 12, type, 30u * i, i);
	} else if (fake_is(query, "big") && !tcp) {
		m->bytes[2] |= 2; /* TC */
	} else if (fake_is(query, "big") || fake_is(query, "long")) {
		for (unsigned int i = 0; i < 40; i++)
			fake_address(m, 12, type, 60, (uint8_t)i);
	} else if (!fake_is(query, "nodata")) {
		fake_address(m, 12, type, 60, 1);
	}
	(void)len;
	return true;
}

static inline void fake_record(struct fake *fake, const uint8_t *query, size_t len, bool tcp)
{
	pthread_mutex_lock(&fake->lock);
	fake->last_len = len < sizeof(fake->last) ? len : sizeof(fake->last);
	memcpy(fake->last, query, fake->last_len);
	fake->udp_queries += !tcp;
	fake->tcp_queries += tcp;
	pthread_mutex_unlock(&fake->lock);
}

static inline void fake_udp(struct fake *fake)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct fake_msg m = {0};
	uint8_t query[1500];
	ssize_t n =
		recvfrom(fake->udp, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);

	if (n < 17)
		return;
	if (fake->udp_queries < FAKE_PORTS)
		fake->ports[fake->udp_queries] = ntohs(from.sin_port);
	fake_record(fake, query, (size_t)n, false);
	if (fake_answer(query, (size_t)n, false, &m))
		(void)!sendto(fake->udp, m.bytes, m.len, 0, (struct sockaddr *)&from, from_len);
}

static inline void fake_tcp(struct fake *fake)
{
	struct fake_msg m = {0};
	uint8_t query[1500], head[2];
	int fd = accept(fake->tcp, NULL, NULL);

	if (fd < 0)
		return;
	if (recv(fd, head, 2, MSG_WAITALL) == 2) {
		size_t len = head[0] << 8 | head[1];

		if (len <= sizeof(query) && recv(fd, query, len, MSG_WAITALL) == (ssize_t)len) {
			fake_record(fake, query, len, true);
			if (fake_answer(query, len, true, &m)) {
				head[0] = (uint8_t)(m.len >> 8);
				head[1] = (uint8_t)m.len;
				(void)!send(fd, head, 2, MSG_NOSIGNAL);
				(void)!send(fd, m.bytes, m.len, MSG_NOSIGNAL);
			}
		}
	}
	close(fd);
}

static inline void *fake_run(void *arg)
{
	struct fake *fake = arg;
	struct pollfd fds[] = {
		{fake->udp, POLLIN, 0}, {fake->tcp, POLLIN, 0}, {fake->stop[0], POLLIN, 0}};

	while (poll(fds, 3, -1) >= 0 && !fds[2].revents) {
		if (fds[0].revents)
			fake_udp(fake);
		if (fds[1].revents)
			fake_tcp(fake);
	}
	return NULL;
}

/* Return: 0; -1. */
static inline int fake_start(struct fake *fake)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);

	*fake = (struct fake){.lock = PTHREAD_MUTEX_INITIALIZER};
	/* The UDP port is given, and hardly ever is the same TCP port taken: try a few times. */
	for (unsigned int i = 0; i < 20; i++) {
		sa.sin_port = 0;
		fake->udp = socket(AF_INET, SOCK_DGRAM, 0);
		fake->tcp = socket(AF_INET, SOCK_STREAM, 0);
		if (bind(fake->udp, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		    getsockname(fake->udp, (struct sockaddr *)&sa, &len) == 0 &&
		    bind(fake->tcp, (struct sockaddr *)&sa, sizeof(sa)) == 0)
			break;
		close(fake->udp);
		close(fake->tcp);
		if (i == 19)
			return -1;
	}
	fake->port = ntohs(sa.sin_port);
	snprintf(fake->text, sizeof(fake->text), "127.0.0.1:%u", fake->port);
	if (listen(fake->tcp, 8) < 0 || pipe(fake->stop) < 0)
		return -1;
	return pthread_create(&fake->thread, NULL, fake_run, fake) ? -1 : 0;
}

static inline void fake_stop(struct fake *fake)
{
	(void)!write(fake->stop[1], "x", 1);
	pthread_join(fake->thread, NULL);
	close(fake->udp);
	close(fake->tcp);
	close(fake->stop[0]);
	close(fake->stop[1]);
}
