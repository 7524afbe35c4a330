/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A resolver and a forwarder that ask a DNS server with all its faults, and what they have
 * answered. Used by test_resolver.c and test_upstream.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "base/ipaddr.h"
#include "dns_fake.h"
#include "io/resolver.h"
#include "io/upstream.h"

#define N(a)       (sizeof(a) / sizeof((a)[0]))
#define TIMEOUT_MS 800

#define FORWARDS_MAX 700

struct got {
	enum resolver_outcome outcome;
	struct fq_addr addrs[RESOLVER_ADDRESSES_MAX];
	unsigned int count;
	uint32_t ttl_s;
	unsigned int times;
};

struct lab {
	struct fake fake;
	sd_event *event;
	const char *server[2];
	struct got a, aaaa;
	struct resolver *resolver;
	struct upstream *upstream;

	enum upstream_outcome outcome;
	uint8_t answer[4096];
	size_t answer_len;
	unsigned int answers;
};

static inline void on_answer(void *ctx, const struct dname *name,
			     const struct resolver_answer *answer)
{
	struct lab *lab = ctx;
	struct got *got = answer->family == AF_INET ? &lab->a : &lab->aaaa;

	assert_true(name->len > 0);
	got->outcome = answer->outcome;
	got->count = answer->count;
	got->ttl_s = answer->ttl_s;
	got->times++;
	for (unsigned int i = 0; i < answer->count; i++)
		got->addrs[i] = answer->addrs[i];
}

static inline void on_forwarded(void *ctx, enum upstream_outcome outcome, const uint8_t *bytes,
				size_t len)
{
	struct lab *lab = ctx;

	lab->outcome = outcome;
	lab->answers++;
	lab->answer_len = len;
	assert_true(len <= sizeof(lab->answer));
	if (len)
		memcpy(lab->answer, bytes, len);
}

/* Run the loop until @*counter reaches @n, or fail. */
static inline void run_until(struct lab *lab, const unsigned int *counter, unsigned int n)
{
	struct instant end = instant_add(instant_now(), 10 * NSEC_PER_SEC);

	while (*counter < n) {
		assert_true(sd_event_run(lab->event, 100 * 1000) >= 0);
		assert_false(instant_reached(end, instant_now()));
	}
}

static inline void open_with(struct lab *lab, const char *server, uint64_t timeout_ms)
{
	struct resolver_settings rs = {.timeout_ms = timeout_ms};
	struct upstream_settings us = {.timeout_ms = timeout_ms, .in_flight_max = FORWARDS_MAX};

	lab->server[0] = server;
	rs.servers = us.servers = (struct dns_servers){.text = lab->server, .count = 1};
	assert_int_equal(resolver_new(lab->event, &rs, on_answer, lab, &lab->resolver), 0);
	assert_int_equal(upstream_new(lab->event, &us, &lab->upstream), 0);
}

static inline void close_both(struct lab *lab)
{
	resolver_free(TAKE_PTR(lab->resolver));
	upstream_free(TAKE_PTR(lab->upstream));
}

/* Where queries are counted: none is repeated, however slow the server is. */
static inline void ask_once(struct lab *lab)
{
	close_both(lab);
	open_with(lab, lab->fake.text, 100 * TIMEOUT_MS);
}

static inline int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_int_equal(fake_start(&lab->fake), 0);
	assert_int_equal(sd_event_new(&lab->event), 0);
	open_with(lab, lab->fake.text, TIMEOUT_MS);
	*state = lab;
	return 0;
}

static inline int teardown(void **state)
{
	struct lab *lab = *state;

	close_both(lab);
	sd_event_unref(lab->event);
	fake_stop(&lab->fake);
	free(lab);
	return 0;
}

static inline int compare_ports(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Ports that queries of the fake server have come from; each how often at most. */
static inline unsigned int ports(struct fake *fake, unsigned int *ret_shared)
{
	unsigned int count = fake->udp_queries < FAKE_PORTS ? fake->udp_queries : FAKE_PORTS;
	unsigned int distinct = 0, run = 0;

	*ret_shared = 0;
	qsort(fake->ports, count, sizeof(fake->ports[0]), compare_ports);
	for (unsigned int i = 0; i < count; i++) {
		bool same = i > 0 && fake->ports[i] == fake->ports[i - 1];

		distinct += !same;
		run = same ? run + 1 : 1;
		*ret_shared = run > *ret_shared ? run : *ret_shared;
	}
	return distinct;
}

#define LAB_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
