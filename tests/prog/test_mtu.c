/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that the next hop does not take, and the largest segments that a SYN may announce. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#define PORT 5000

static uint8_t payload[1700];

static void to_narrow(struct prog *t)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4, NARROW4, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, NARROW6, DOMAIN, &resource, 1);
}

/* RFC 4787 REQ-13: DF clear, so the daemon gets it, translated and whole, and the MTU. */
static void what_may_be_fragmented_is(void **state)
{
	const struct prog_upcall *u;
	struct prog *t = *state;
	struct pkt p, out, got;
	struct prog_result res;

	to_narrow(t);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1000, .no_df = true);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED_SLOW);
	assert_int_equal(res.verdict, XDP_DROP);
	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	u = &t->upcall[0];
	assert_int_equal(u->kind, FQ_UPCALL_SLOW);
	assert_int_equal(u->mtu, 600);
	got.len = u->len;
	memcpy(pkt_data(&got), u->frame, u->len);
	PKT(&out, .src = GW4, .dst = NARROW4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1000, .no_df = true, .ttl = 63,
	    .ip_id = (uint16_t)(u->frame[PKT_L3 + 4] << 8 | u->frame[PKT_L3 + 5]));
	pkt_assert_equal(&got, &out);
}

/* A packet that grows too long for IPv6: what the daemon gets, to be sent in parts of 1280 bytes.
 */
static void split6(struct prog *t, const struct pkt *p, struct pkt *ret_whole)
{
	const struct prog_upcall *u;
	struct prog_result res;

	prog_run(t, p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED_SLOW);
	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	u = &t->upcall[0];
	assert_int_equal(u->kind, FQ_UPCALL_SLOW);
	assert_int_equal(u->mtu, 1280);
	ret_whole->len = u->len;
	memcpy(pkt_data(ret_whole), u->frame, u->len);
}

/* RFC 7915 4: nobody fragments beyond an IPv6 router, so what may be fragmented is here. */
static void what_grows_too_long_for_ip6_is_fragmented(void **state)
{
	const uint32_t resource = RESOURCE;
	struct prog *t = *state;
	struct pkt p, out, got;

	prog_xlat(t, PROXY4, NARROW6, DOMAIN, &resource, 1);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1280 - 48 + 1, .no_df = true);
	PKT(&out, .src = GW6, .dst = NARROW6, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1280 - 48 + 1, .ttl = 63);
	split6(t, &p, &got);
	pkt_assert_equal(&got, &out);
}

/* A fragment grows by 28, and stays one of its datagram. */
static void a_fragment_that_grows_too_long_is_fragmented(void **state)
{
	const uint32_t resource = RESOURCE;
	struct pkt p, part, out, out_part, got;
	struct prog *t = *state;
	const uint8_t *id;

	prog_xlat(t, PROXY4, NARROW6, DOMAIN, &resource, 1);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1500, .no_df = true);
	PKT(&out, .src = GW6, .dst = NARROW6, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1500, .ttl = 63);
	pkt_fragment(&part, &p, 0, 1256, 0xbeef);
	split6(t, &part, &got);
	id = pkt_data(&got) + PKT_L3 + 40 + 6;
	assert_true(id[0] || id[1]);
	pkt_fragment(&out_part, &out, 0, 1256, (uint32_t)id[0] << 8 | id[1]);
	pkt_assert_equal(&got, &out_part);
}

/* The same: DF set, or IPv6: the sender is told. */
static void what_may_not_is_refused(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	to_narrow(t);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1000);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY4, 3, 4, 600);
	PKT(&p, .src = CLIENT6, .dst = PROXY6, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1300);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TOO_BIG, PROXY6, 2, 0, 1280);
}

/* Options of a SYN: MSS at an even or odd place among others. */
static const uint8_t plain[] = {2, 4, 0x05, 0xb4};
static const uint8_t odd[] = {1, 2, 4, 0x05, 0xb4, 1, 1, 1};
static const uint8_t late[] = {8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7, 2, 4, 0x05, 0xb4, 1, 1, 1};

static const struct {
	const uint8_t *bytes;
	size_t len, at;
} options[] = {{plain, sizeof(plain), 2}, {odd, sizeof(odd), 3}, {late, sizeof(late), 15}};

static void syn(struct pkt *p, bool v6, bool out, size_t i, uint16_t mss, enum pkt_csum csum)
{
	uint8_t bytes[40];

	memcpy(bytes, options[i].bytes, options[i].len);
	bytes[options[i].at] = mss >> 8;
	bytes[options[i].at + 1] = mss & 0xff;
	PKT(p,
	    .src = v6    ? (out ? GW6 : CLIENT6)
		   : out ? GW4
			 : CLIENT4,
	    .dst = v6    ? (out ? SERVER6 : PROXY6)
		   : out ? SERVER4
			 : PROXY4,
	    .proto = PKT_TCP, .sport = PORT, .dport = 443, .tcp_flags = 0x02, .tcp_options = bytes,
	    .tcp_options_len = options[i].len, .ttl = out ? 63 : 64,
	    .dmac = out ? PKT_MAC_SERVER : NULL, .smac = out ? PKT_MAC_GW_SERVER : NULL,
	    .csum = csum);
}

static void expect_clamped(struct prog *t, bool v6, uint16_t sent, uint16_t arrives)
{
	struct pkt in, out;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		for (enum pkt_csum csum = PKT_CSUM_FULL; csum <= PKT_CSUM_PARTIAL; csum++) {
			prog_reset(t);
			syn(&in, v6, false, i, sent, csum);
			syn(&out, v6, true, i, arrives, PKT_CSUM_FULL);
			prog_expect(t, &in, CLIENT_SIDE, FQ_R_TRANSLATED, &out);
		}
	}
}

static void segments_are_clamped_to_the_number(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog *t;

	(void)state;
	s.mss_clamp = 1000;
	t = prog_new(&s, PROG_NATIVE);
	expect_clamped(t, false, 1460, 1000);
	expect_clamped(t, true, 1440, 1000);
	expect_clamped(t, false, 999, 999);
	prog_free(t);
}

/* The MTU is 1500 on both sides: 40 or 60 bytes are headers. */
static void segments_are_clamped_to_the_mtu(void **state)
{
	struct fq_settings s = prog_settings();
	struct prog *t;

	(void)state;
	s.mss_clamp = FQ_MSS_AUTO;
	t = prog_new(&s, PROG_NATIVE);
	expect_clamped(t, false, 8960, 1460);
	expect_clamped(t, true, 8960, 1440);
	expect_clamped(t, false, 1460, 1460);
	prog_free(t);
}

/*
 * As long as a neighbour is not known the kernel says nothing of the MTU: then a SYN's own length
 * is not taken for it (the connection would have tiny segments for all its life), and what is to be
 * fragmented is so by the MTU that it was found too big for.
 */
static void unknown_neighbours_make_no_small_segments(void **state)
{
	struct fq_settings s = prog_settings();
	const uint32_t resource = RESOURCE;
	struct prog_result res;
	struct prog *t;
	struct pkt p;

	(void)state;
	s.mss_clamp = FQ_MSS_AUTO;
	t = prog_new(&s, PROG_NATIVE);
	prog_xlat(t, PROXY4, SILENT4, DOMAIN, &resource, 1);
	syn(&p, false, false, 0, 1460, PKT_CSUM_FULL);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED_SLOW);
	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	assert_memory_equal(t->upcall[0].frame + PKT_L3 + 40, plain, sizeof(plain));

	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .payload = payload, .payload_len = 1600, .no_df = true);
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);
	assert_int_equal(t->upcalls, 2);
	assert_int_equal(t->upcall[1].mtu, 1500);
	prog_free(t);
}

/* Lists that contradict themselves are left alone. */
static void broken_options_are_left_alone(void **state)
{
	static const uint8_t lists[][4] = {
		{2, 3, 0xff, 0xff}, {5, 0, 2, 4}, {8, 200, 1, 1}, {0, 2, 4, 0xff}, {1, 1, 1, 2},
	};
	struct fq_settings s = prog_settings();
	struct prog *t;
	struct pkt in, out;

	(void)state;
	s.mss_clamp = 536;
	t = prog_new(&s, PROG_NATIVE);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		prog_reset(t);
		PKT(&in, .src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .sport = PORT,
		    .dport = 443, .tcp_flags = 0x02, .tcp_options = lists[i], .tcp_options_len = 4);
		PKT(&out, .src = GW4, .dst = SERVER4, .proto = PKT_TCP, .sport = PORT, .dport = 443,
		    .tcp_flags = 0x02, .tcp_options = lists[i], .tcp_options_len = 4, .ttl = 63,
		    .dmac = PKT_MAC_SERVER, .smac = PKT_MAC_GW_SERVER);
		prog_expect(t, &in, CLIENT_SIDE, FQ_R_TRANSLATED, &out);
	}
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(what_may_be_fragmented_is),
		T(what_grows_too_long_for_ip6_is_fragmented),
		T(a_fragment_that_grows_too_long_is_fragmented),
		T(what_may_not_is_refused),
		cmocka_unit_test(segments_are_clamped_to_the_number),
		cmocka_unit_test(segments_are_clamped_to_the_mtu),
		cmocka_unit_test(unknown_neighbours_make_no_small_segments),
		cmocka_unit_test(broken_options_are_left_alone),
	};

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	return cmocka_run_group_tests_name("mtu", tests, prog_group_setup, prog_group_teardown);
}
