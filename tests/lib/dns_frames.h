/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames with DNS queries for the XDP program, and the frames that are to come back: by the
 * program's own code, natively compiled. That the messages are the daemon's is shown in
 * tests/unit/test_pkt_dns.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cmocka.h>

#include "../../bpf/dns.h"
#include "prog.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

#define DNSF_PORT 5000
#define DNSF_NAME "\3web\4corp\7example"

/* A message: header without answers, question; OPT record. */
struct dnsf_message {
	uint8_t bytes[512];
	size_t len;
};

static inline void dnsf_put(struct dnsf_message *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static inline struct dnsf_message dnsf_query_for(const char *wire, uint16_t type)
{
	struct dnsf_message m = {0};

	dnsf_put(&m, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", DNS_HEADER_LEN);
	dnsf_put(&m, wire, strlen(wire) + 1);
	dnsf_put(&m, (uint8_t[]){type >> 8, type & 0xff, 0, DNS_CLASS_IN}, 4);
	return m;
}

static inline struct dnsf_message dnsf_query(uint16_t type)
{
	return dnsf_query_for(DNSF_NAME, type);
}

/* An instant that the programs' clock, too, has passed: that may be some ticks behind. */
static inline uint64_t dnsf_past(void)
{
	return prog_now() - NSEC_PER_SEC / 10;
}

static inline struct fq_dns dnsf_entry(void)
{
	struct fq_dns e = {.renew_at = UINT64_MAX, .end = UINT32_MAX, .ipv4 = 1, .ipv6 = 1};
	char text[64];

	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "100.96.0.%d", i + 1);
		e.v4[i] = prog_addr(text).w[3];
		snprintf(text, sizeof(text), "fd00:2021:1111:8000::%d", i + 5);
		e.v6[i] = prog_addr(text);
	}
	return e;
}

static inline void dnsf_set(struct prog *t, const struct fq_dns *e)
{
	const struct fq_dns_key key = {.name = DNSF_NAME};

	assert_int_equal(dnsnames_set(t->names, &key, e), 0);
}

static inline struct fq_dns_ptr dnsf_entry_ptr(void)
{
	return (struct fq_dns_ptr){.renew_at = UINT64_MAX,
				   .end = UINT32_MAX,
				   .len = sizeof(DNSF_NAME),
				   .name = DNSF_NAME};
}

static inline void dnsf_set_ptr(struct prog *t, const char *proxy, const struct fq_dns_ptr *e)
{
	const struct fq_addr addr = prog_addr(proxy);

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t->skel->maps.dns_ptr), &addr, e, BPF_ANY),
			 0);
}

static inline void dnsf_listen_at(struct prog *t, const char *text)
{
	const struct fq_addr addr = prog_addr(text);
	const uint32_t yes = 1;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.dns_addrs), &addr, &yes, BPF_ANY), 0);
}

static inline int dnsf_setup(void **state)
{
	struct fq_dns e = dnsf_entry();
	int r = prog_test_setup(state);

	dnsf_set(*state, &e);
	dnsf_listen_at(*state, GW_CLIENT4);
	dnsf_listen_at(*state, GW_CLIENT6);
	return r;
}

static inline void dnsf_build(struct pkt *p, const struct dnsf_message *m, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT4;
	s.dst = s.dst ? s.dst : GW_CLIENT4;
	s.proto = s.proto ? s.proto : PKT_UDP;
	s.sport = s.sport ? s.sport : DNSF_PORT;
	s.dport = s.dport ? s.dport : 53;
	s.payload = m->bytes;
	s.payload_len = m->len;
	pkt_build(p, &s);
}

/* The answer by the program's own code. */
static inline struct dnsf_message dnsf_answer_to(const struct dnsf_message *q)
{
	struct dns_work w = {.body_len = q->len - DNS_HEADER_LEN};
	const struct fq_dns_ptr ptr = dnsf_entry_ptr();
	const struct fq_dns e = dnsf_entry();
	struct dnsf_message m = {0};

	memcpy(&w.msg.header, q->bytes, q->len);
	assert_true(dns_read(&w));
	assert_true(w.type == DNS_TYPE_PTR ? dns_make_ptr(&w, &ptr) : dns_make(&w, &e));
	dnsf_put(&m, &w.msg.header, DNS_HEADER_LEN + w.body_len);
	return m;
}

static inline void dnsf_build_answer(struct pkt *p, const struct dnsf_message *q, struct pkt_spec s)
{
	struct dnsf_message m = dnsf_answer_to(q);

	PKT(p, .src = s.dst ? s.dst : GW_CLIENT4, .dst = s.src ? s.src : CLIENT4, .proto = PKT_UDP,
	    .sport = 53, .dport = DNSF_PORT, .payload = m.bytes, .payload_len = m.len,
	    .csum = s.csum, .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
}

/* Answered; the answer's checksum is of the kind @csum. */
static inline void dnsf_answered(struct prog *t, const struct dnsf_message *q, struct pkt_spec s,
				 enum pkt_csum csum)
{
	struct pkt in, out;

	dnsf_build(&in, q, s);
	s.csum = csum;
	dnsf_build_answer(&out, q, s);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_DNS_ANSWERED, &out);
}

static inline void dnsf_left(struct prog *t, const struct dnsf_message *q, struct pkt_spec s)
{
	struct pkt in;

	dnsf_build(&in, q, s);
	prog_expect(t, &in, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
}

static const struct pkt_spec dnsf_over4, dnsf_over6 = {.src = CLIENT6, .dst = GW_CLIENT6};
