/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors of the packet path, compiled natively: kinds, headers, who may be told, and how
 * often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../bpf/icmp_err.h"
#include "../../bpf/parse.h"
#include "../lib/pkt.h"

static struct fq_pkt parsed(const struct pkt *p)
{
	struct fq_pkt f = {0};

	assert_int_equal(parse_frame(pkt_data(p), pkt_data(p) + p->len, &f), FQ_OK);
	return f;
}

/* G-24, G-25, G-26: each refusal has an error, nothing else has one. */
static void every_refusal_has_an_error(void **state)
{
	(void)state;
#define X(id, name, class, text)                               \
	assert_int_equal(icmp_err_kinds[FQ_R_##id].type4 != 0, \
			 FQ_CLASS_##class == FQ_CLASS_REFUSE); \
	assert_int_equal(icmp_err_kinds[FQ_R_##id].type6 != 0, FQ_CLASS_##class == FQ_CLASS_REFUSE);
	FQ_REASONS(X)
#undef X
}

static void assert_written(const char *src, const char *dst, uint8_t type, uint8_t code,
			   uint16_t mtu, const struct pkt *about)
{
	struct fq_pkt f = parsed(about);
	bool v6 = f.family == FQ_AF_INET6;
	struct icmp_err e = {
		.src = f.tuple.dst,
		.dst = f.tuple.src,
		.quote_len = icmp_err_quote(&f),
		.mtu = mtu,
		.family = f.family,
		.type = type,
		.code = code,
	};
	struct pkt got = {0}, expected;
	uint8_t *ip = pkt_data(&got) + PKT_L3;

	/* byte sums are those of other people: see pkt_checksum */
	e.quote_sum = bpf_htons((uint16_t)~pkt_checksum(pkt_data(about) + PKT_L3, e.quote_len, 0));
	pkt_build_error(
		&expected,
		&(struct pkt_error){.src = src, .dst = dst, .type = type, .code = code, .mtu = mtu},
		about);
	got.len = expected.len;
	memcpy(pkt_data(&got), pkt_data(&expected), PKT_L3);
	memcpy(ip + (v6 ? ICMP_ERR_HLEN6 : ICMP_ERR_HLEN4), pkt_data(about) + PKT_L3, e.quote_len);
	if (v6)
		icmp_err_write6(&e, (struct fq_ip6 *)ip);
	else
		icmp_err_write4(&e, (struct fq_ip4 *)ip);

	pkt_assert_equal(&got, &expected);
}

/* G-31: all lengths up to what the RFCs allow, and beyond. */
static void errors_are_written_as_if_built_so(void **state)
{
	static uint8_t payload[1500];
	struct pkt p;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 31 >> 3;
	for (size_t len = 0; len < sizeof(payload); len += 7) {
		PKT(&p, .src = "192.0.2.2", .dst = "100.96.0.9", .proto = PKT_UDP,
		    .payload = payload, .payload_len = len);
		assert_written("100.96.0.9", "192.0.2.2", 3, 4, len, &p);
		PKT(&p, .src = "2001:db8::2", .dst = "fd00::9", .proto = PKT_TCP,
		    .payload = payload, .payload_len = len);
		assert_written("fd00::9", "2001:db8::2", 2, 0, len, &p);
	}
}

/* G-32: who is no single host is not told, and nothing that came as a broadcast is answered. */
static void nobody_is_told(void **state)
{
	static const char *const nobody[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1",
					     "255.255.255.255"};
	struct fq_pkt f;
	struct pkt p;

	(void)state;
	PKT(&p, .src = "192.0.2.2", .dst = "100.96.0.9", .proto = PKT_UDP);
	f = parsed(&p);
	assert_true(icmp_err_allowed(&f));
	PKT(&p, .src = "192.0.2.2", .dst = "100.96.0.9", .proto = PKT_UDP, .dmac = PKT_MAC_GROUP);
	f = parsed(&p);
	assert_false(icmp_err_allowed(&f));
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		PKT(&p, .src = nobody[i], .dst = "100.96.0.9", .proto = PKT_UDP);
		f = parsed(&p);
		assert_false(icmp_err_allowed(&f));
	}
	PKT(&p, .src = "192.0.2.2", .dst = "224.0.0.1", .proto = PKT_UDP);
	f = parsed(&p);
	assert_false(icmp_err_allowed(&f));
	PKT(&p, .src = "::", .dst = "fd00::9", .proto = PKT_UDP);
	f = parsed(&p);
	assert_false(icmp_err_allowed(&f));
}

static unsigned int take(struct fq_bucket *b, uint32_t rate, uint32_t burst, uint64_t now,
			 int tries)
{
	unsigned int n = 0;

	while (tries--)
		n += bucket_take(b, rate, burst, now);
	return n;
}

static void bucket_gives_burst_then_rate(void **state)
{
	struct fq_bucket b = {0};
	uint64_t now = 1000 * NSEC_PER_SEC;

	(void)state;
	assert_int_equal(take(&b, 10, 5, now, 20), 5);
	assert_int_equal(take(&b, 10, 5, now + NSEC_PER_SEC / 10 - 1, 20), 0);
	assert_int_equal(take(&b, 10, 5, now + NSEC_PER_SEC / 10, 20), 1);
	assert_int_equal(take(&b, 10, 5, now + NSEC_PER_SEC, 20), 5);
	assert_int_equal(take(&b, 10, 5, now + 1000000 * NSEC_PER_SEC, 20), 5);
}

/* Asking often does not lose fractions of tokens. */
static void bucket_keeps_its_rate_however_often_asked(void **state)
{
	struct fq_bucket b = {0};
	uint64_t now = 1000 * NSEC_PER_SEC;
	unsigned int n = 0;

	(void)state;
	take(&b, 7, 1, now, 2);
	for (int ms = 1; ms <= 10000; ms++)
		n += bucket_take(&b, 7, 1, now + ms * (NSEC_PER_SEC / 1000));
	assert_in_range(n, 69, 70);
}

static void bucket_of_no_rate_or_no_size_is_empty(void **state)
{
	struct fq_bucket b = {0};

	(void)state;
	assert_int_equal(take(&b, 0, 5, 1000 * NSEC_PER_SEC, 10), 0);
	assert_int_equal(take(&b, 10, 0, 1000 * NSEC_PER_SEC, 10), 0);
}

/* The other CPU's clock may be a tick behind. */
static void bucket_survives_time_that_runs_back(void **state)
{
	struct fq_bucket b = {.refilled = 1000 * NSEC_PER_SEC, .tokens = 1};

	(void)state;
	assert_int_equal(take(&b, 10, 5, 999 * NSEC_PER_SEC, 10), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_has_an_error),
		cmocka_unit_test(errors_are_written_as_if_built_so),
		cmocka_unit_test(nobody_is_told),
		cmocka_unit_test(bucket_gives_burst_then_rate),
		cmocka_unit_test(bucket_keeps_its_rate_however_often_asked),
		cmocka_unit_test(bucket_of_no_rate_or_no_size_is_empty),
		cmocka_unit_test(bucket_survives_time_that_runs_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
