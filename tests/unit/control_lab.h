/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway's and an edge's control transport on the loopback, one loop, and a hand-made peer
 * (struct wire) that can send anything. Edges live on 127.0.0.2 and above, the gateway on
 * 127.0.0.1 or ::1.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/instant.h"
#include "base/ipaddr.h"
#include "core/control.h"
#include "core/seal.h"
#include "io/control_udp.h"

#define LAB_DEADLINE_NS (10 * NSEC_PER_SEC)
#define LAB_DATAGRAM    2048
#define LAB_EDGE        21     /* the edge's id at the gateway */
#define LAB_INCARNATION 0x0701 /* of the gateway */
#define LAB_GATEWAY     11     /* the gateway's id at the edge */
#define LAB_UUID        "00000000-0000-0000-0000-000000000065"

static const uint8_t lab_key[SEAL_KEY_BYTES] = {42, 1};

/* What an end has reported. */
struct end {
	uint16_t incarnation; /* that it was told */
	struct control_udp *udp;
	unsigned int heard, messages;
	uint32_t peer; /* of the last report */
	struct control_message last;
};

struct lab {
	sd_event *event;
	uint64_t epoch; /* the last one given out */
	struct end gateway, edge;
	char error[CONTROL_UDP_ERROR_LEN];
};

static inline void lab_on_incarnation(void *ctx, uint32_t peer, uint16_t incarnation)
{
	struct end *end = ctx;

	(void)peer;
	end->incarnation = incarnation;
}

static inline void lab_on_heard(void *ctx, uint32_t peer)
{
	struct end *end = ctx;

	end->heard++;
	end->peer = peer;
}

static inline void lab_on_message(void *ctx, uint32_t peer, const struct control_message *msg)
{
	struct end *end = ctx;

	end->messages++;
	end->peer = peer;
	end->last = *msg;
}

static inline struct fq_addr lab_addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static inline int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab || sd_event_new(&lab->event) < 0)
		return -1;
	lab->epoch = 1000;
	*state = lab;
	return 0;
}

static inline int lab_teardown(void **state)
{
	struct lab *lab = *state;

	control_udp_free(lab->gateway.udp);
	control_udp_free(lab->edge.udp);
	sd_event_unref(lab->event);
	free(lab);
	return 0;
}

/* Run the loop until a condition holds. */
#define LAB_UNTIL(lab, condition)                                                                  \
	for (struct instant deadline_ = instant_add(instant_now(), LAB_DEADLINE_NS); !(condition); \
	     lab_step((lab), deadline_))

static inline void lab_step(struct lab *lab, struct instant deadline)
{
	assert_false(instant_reached(deadline, instant_now()));
	assert_true(sd_event_run(lab->event, 10000) >= 0);
}

static inline struct control_udp_settings lab_settings(enum control_role role, struct end *end,
						       const char *addr)
{
	struct control_udp_settings settings = {
		.role = role,
		.has_local = addr,
		.on_heard = lab_on_heard,
		.on_incarnation = lab_on_incarnation,
		.on_message = lab_on_message,
		.ctx = end,
	};

	if (addr)
		settings.addr = lab_addr(addr);
	return settings;
}

static inline void lab_set(struct lab *lab, struct control_udp *udp,
			   const struct control_udp_peer *peer)
{
	assert_int_equal(control_udp_peers_set(udp, peer, 1, ++lab->epoch), 0);
}

/* The gateway, with one edge. @port: 0: any. */
static inline void lab_gateway(struct lab *lab, const char *listen, uint16_t port, const char *edge,
			       const uint8_t *key)
{
	struct control_udp_settings settings =
		lab_settings(CONTROL_ROLE_GATEWAY, &lab->gateway, listen);
	struct control_udp_peer peer = {
		.id = LAB_EDGE, .addr = lab_addr(edge), .key = key, .incarnation = LAB_INCARNATION};

	settings.port = port;
	assert_int_equal(control_udp_new(lab->event, &settings, &lab->gateway.udp, lab->error), 0);
	lab_set(lab, lab->gateway.udp, &peer);
}

/* The edge, with one gateway. */
static inline void lab_edge(struct lab *lab, const char *local, const char *gateway, uint16_t port,
			    const uint8_t *key)
{
	struct control_udp_settings settings = lab_settings(CONTROL_ROLE_EDGE, &lab->edge, local);
	struct control_udp_peer peer = {
		.id = LAB_GATEWAY, .addr = lab_addr(gateway), .port = port, .key = key};

	assert_int_equal(control_udp_new(lab->event, &settings, &lab->edge.udp, lab->error), 0);
	lab_set(lab, lab->edge.udp, &peer);
}

static inline uint16_t lab_port(const struct lab *lab)
{
	return control_udp_port(lab->gateway.udp);
}

static inline struct control_udp_view lab_view(const struct control_udp *udp, uint32_t peer)
{
	struct control_udp_view view;

	assert_int_equal(control_udp_view(udp, peer, &view), 0);
	return view;
}

static inline struct control_udp_counters lab_edge_counters(const struct lab *lab)
{
	return lab_view(lab->gateway.udp, LAB_EDGE).counters;
}

static inline struct control_udp_counters lab_gateway_counters(const struct lab *lab)
{
	return lab_view(lab->edge.udp, LAB_GATEWAY).counters;
}

static inline struct control_message lab_message(enum control_event event)
{
	struct control_message msg = {.event = event, .generation = 77};

	if (event != CONTROL_ASSIGNED_IPS && event != CONTROL_DOMAIN_STATUS)
		return msg;
	strcpy(msg.resource, LAB_UUID);
	assert_int_equal(dname_from_text("example.com", &msg.domain), 0);
	if (event == CONTROL_DOMAIN_STATUS)
		msg.status = CONTROL_ACTIVE;
	for (unsigned int i = 0; event == CONTROL_ASSIGNED_IPS && i < 4; i++) {
		struct fq_addr first = lab_addr("100.96.0.1");

		msg.proxies[msg.proxy_count++] = ipaddr_add(&first, i);
	}
	return msg;
}

static inline void lab_send_to_gateway(struct lab *lab, enum control_event event)
{
	struct control_message msg = lab_message(event);

	assert_int_equal(control_udp_send(lab->edge.udp, LAB_GATEWAY, &msg), 0);
}

static inline void lab_send_to_edge(struct lab *lab, enum control_event event)
{
	struct control_message msg = lab_message(event);

	assert_int_equal(control_udp_send(lab->gateway.udp, LAB_EDGE, &msg), 0);
}

static inline uint64_t lab_unanswered(const struct lab *lab)
{
	struct control_udp_counters c = lab_gateway_counters(lab);

	return c.sent[CONTROL_PROBE] - c.received[CONTROL_PROBE_REPLY];
}

/* Probes there and their replies back, until both ends know each other. */
static inline void lab_acquaint(struct lab *lab)
{
	struct control_message probe = lab_message(CONTROL_PROBE);
	uint64_t lost = lab_unanswered(lab);

	assert_int_equal(control_udp_send(lab->edge.udp, LAB_GATEWAY, &probe), 0);
	LAB_UNTIL(lab, lab_unanswered(lab) == lost);
	lab->edge.messages = lab->gateway.messages = lab->edge.heard = lab->gateway.heard = 0;
}

/* ---- a hand-made peer ---- */

struct wire {
	int fd;
	bool keyed;
	struct seal seal;
};

struct datagram {
	uint8_t bytes[LAB_DATAGRAM];
	size_t len;
};

static inline int wire_socket(const char *from, uint16_t port)
{
	struct fq_addr addr = lab_addr(from);
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(&addr, port, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static inline uint16_t wire_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct fq_addr addr;
	uint16_t port = 0;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(ipaddr_from_sockaddr((struct sockaddr *)&sa, &addr, &port), 0);
	return port;
}

static inline void wire_connect(int fd, const char *to, uint16_t port)
{
	struct fq_addr addr = lab_addr(to);
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(&addr, port, &sa);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
}

/* An edge on @from that sends to the lab's gateway on 127.0.0.1. */
static inline struct wire wire_edge(struct lab *lab, const char *from, const uint8_t *key)
{
	struct wire w = {.fd = wire_socket(from, 0), .keyed = key};

	wire_connect(w.fd, "127.0.0.1", lab_port(lab));
	if (key)
		assert_int_equal(seal_init(&w.seal, SEAL_EDGE, key, ++lab->epoch), 0);
	return w;
}

static inline void wire_done(struct wire *w)
{
	closep(&w->fd);
}

static inline void wire_send_bytes(const struct wire *w, const void *bytes, size_t len)
{
	assert_int_equal(send(w->fd, bytes, len, 0), len);
}

static inline void wire_resend(const struct wire *w, const struct datagram *d)
{
	wire_send_bytes(w, d->bytes, d->len);
}

/* As the peer would write it. */
static inline struct datagram wire_write(struct wire *w, enum control_event event)
{
	struct control_message msg = lab_message(event);
	struct datagram d;

	assert_int_equal(control_encode(&msg, d.bytes, sizeof(d.bytes), &d.len), 0);
	if (w->keyed)
		assert_int_equal(seal_put(&w->seal, w->seal.peer_epoch, d.bytes, d.len,
					  sizeof(d.bytes), &d.len),
				 0);
	return d;
}

static inline struct datagram wire_send(struct wire *w, enum control_event event)
{
	struct datagram d = wire_write(w, event);

	wire_resend(w, &d);
	return d;
}

static inline bool wire_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static inline struct datagram wire_read(struct lab *lab, int fd)
{
	struct datagram d;
	ssize_t n;

	LAB_UNTIL(lab, wire_readable(fd));
	n = recv(fd, d.bytes, sizeof(d.bytes), 0);
	assert_true(n >= 0);
	d.len = (size_t)n;
	return d;
}

/* The next message, which must be in order. */
static inline struct control_message wire_receive(struct lab *lab, struct wire *w)
{
	struct datagram d = wire_read(lab, w->fd);
	struct seal_opened opened = {.len = d.len};
	struct control_message msg;

	if (w->keyed) {
		enum seal_verdict verdict = seal_open(&w->seal, d.bytes, d.len, &opened);

		assert_true(verdict == SEAL_TAKEN || verdict == SEAL_NEW_PEER);
	}
	assert_int_equal(control_decode(d.bytes, opened.len, &msg), 0);
	return msg;
}

/* The peer and the gateway learn each other's epochs. */
static inline void wire_acquaint(struct lab *lab, struct wire *w)
{
	wire_send(w, CONTROL_PROBE);
	assert_int_equal(wire_receive(lab, w).event, CONTROL_PROBE_REPLY);
	wire_send(w, CONTROL_PROBE);
	assert_int_equal(wire_receive(lab, w).event, CONTROL_PROBE_REPLY);
	lab->gateway.heard = 0;
}
