/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that wait for a gateway: core/held.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/edge_bed.h"

static const struct fq_addr proxy = {
	.b = {[10] = 0xff, [11] = 0xff, [12] = 100, [13] = 96, [15] = 1}};

static struct held held;
static struct held_budget budget;
static uint8_t offered_family;
static uint8_t frame[BED_FRAME_MAX];

static int setup(void **state)
{
	(void)state;
	held = (struct held){0};
	budget = (struct held_budget){.bytes_max = 1 << 20};
	offered_family = IP_FAMILY_V4;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	held_drop(&held, &budget);
	return budget.bytes || budget.packets;
}

static struct instant at(int64_t s)
{
	return (struct instant){s * NSEC_PER_SEC};
}

static enum held_outcome offer(uint16_t len)
{
	return held_offer(&held, &budget,
			  &(struct held_offer){.bytes = frame,
					       .len = len,
					       .l3_offset = 14,
					       .ifindex = 3,
					       .family = offered_family},
			  at(1));
}

static enum held_outcome offer_udp(uint16_t number)
{
	return offer(bed_udp_frame(frame, &proxy, number));
}

static enum held_outcome offer_syn(uint16_t number, uint32_t stamp)
{
	return offer(bed_syn_frame(frame, &proxy, number, stamp));
}

/* A SYN over IPv6, made of the one over IPv4. */
static enum held_outcome offer_syn6(uint16_t number, uint32_t stamp)
{
	uint8_t syn[BED_FRAME_MAX];
	uint16_t len = bed_syn_frame(syn, &proxy, number, stamp);

	memset(frame, 0, sizeof(frame));
	memcpy(frame, "\0\0\0\0\0\0\0\0\0\0\0\0\x86\xdd\x60", 15);
	frame[19] = 32;
	frame[20] = 6;
	frame[22] = 0xfd;
	frame[38] = 0xfd;
	memcpy(frame + 54, syn + 34, len - 34U);
	return offer((uint16_t)(len + 20));
}

/* C-02: handed over in order of arrival, as they were. */
static void taken_in_order(void **state)
{
	struct held_frame *frames, *f;
	unsigned int count;
	uint16_t n = 0;

	(void)state;
	for (uint16_t i = 0; i < 5; i++)
		assert_int_equal(offer_udp(i), HELD_STORED);
	frames = held_take(&held, &budget, IP_FAMILY_ALL, &count);
	for (f = frames; f; f = f->next, n++) {
		uint16_t len = bed_udp_frame(frame, &proxy, n);

		assert_int_equal(f->len, len);
		assert_memory_equal(f->bytes, frame, len);
		assert_int_equal(f->l3_offset, 14);
		assert_int_equal(f->ifindex, 3);
	}
	assert_int_equal(n, 5);
	assert_int_equal(count, 5);
	assert_int_equal(held.count, 0);
	held_frames_free(frames);
}

/* What is left after each taking stays in order, and is added to at its end. */
static void one_family_is_taken_alone(void **state)
{
	const unsigned int families[] = {IP_FAMILY_V6, IP_FAMILY_V4, IP_FAMILY_V6, IP_FAMILY_V4,
					 IP_FAMILY_V6};
	struct held_frame *six, *four;
	unsigned int count;

	(void)state;
	for (uint16_t i = 0; i < 5; i++) {
		offered_family = (uint8_t)families[i];
		assert_int_equal(offer_udp(i), HELD_STORED);
	}

	six = held_take(&held, &budget, IP_FAMILY_V6, &count);
	assert_int_equal(count, 3);
	assert_int_equal(held.count, 2);
	assert_int_equal(budget.packets, 2);
	offered_family = IP_FAMILY_V4;
	assert_int_equal(offer_udp(5), HELD_STORED);
	assert_null(held_take(&held, &budget, IP_FAMILY_V6, &count));
	assert_int_equal(count, 0);
	four = held_take(&held, &budget, IP_FAMILY_V4, &count);

	assert_int_equal(count, 3);
	assert_int_equal(held.count, 0);
	assert_null(held.first);
	assert_null(held.last);
	for (const struct held_frame *f = six, *g = four; f && g; f = f->next, g = g->next) {
		assert_int_equal(f->family, IP_FAMILY_V6);
		assert_int_equal(g->family, IP_FAMILY_V4);
		assert_true(!f->next || f->bytes[f->len - 1] < f->next->bytes[f->next->len - 1]);
		assert_true(!g->next || g->bytes[g->len - 1] < g->next->bytes[g->next->len - 1]);
	}
	held_frames_free(six);
	held_frames_free(four);
}

/* C-03: the 33rd overwrites the oldest, and says so. */
static void oldest_is_overwritten(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < HELD_PACKETS_MAX; i++)
		assert_int_equal(offer_udp(i), HELD_STORED);
	assert_int_equal(offer_udp(100), HELD_FULL);
	assert_int_equal(held.count, HELD_PACKETS_MAX);
	assert_int_equal(held.first->bytes[14 + 20 + 8 + 1], 1);
	assert_int_equal(held.last->bytes[14 + 20 + 8 + 1], 100);
}

/* C-04, C-06: an identical packet is stored once, whatever its link-layer header. */
static void identical_packet_is_stored_once(void **state)
{
	uint16_t len;

	(void)state;
	assert_int_equal(offer_udp(1), HELD_STORED);
	assert_int_equal(offer_udp(2), HELD_STORED);
	assert_int_equal(offer_udp(1), HELD_DUPLICATE);
	len = bed_udp_frame(frame, &proxy, 2);
	frame[6] = 0x02;
	assert_int_equal(offer(len), HELD_DUPLICATE);
	assert_int_equal(held.count, 2);
}

/* C-05: a retransmitted SYN replaces the old one, in its place. */
static void replaces_existing_tcp_syn_retransmission(void **state)
{
	(void)state;
	assert_int_equal(offer_syn(7, 1024), HELD_STORED);
	assert_int_equal(offer_udp(1), HELD_STORED);
	assert_int_equal(offer_syn(7, 1025), HELD_REPLACED);
	assert_int_equal(offer_syn(7, 1025), HELD_DUPLICATE);
	assert_int_equal(held.count, 2);
	bed_syn_frame(frame, &proxy, 7, 1025);
	assert_memory_equal(held.first->bytes, frame, held.first->len);
}

/* C-05: over IPv6, too; one of the other family is another connection. */
static void replaces_syn_over_ipv6(void **state)
{
	(void)state;
	assert_int_equal(offer_syn(7, 1024), HELD_STORED);
	assert_int_equal(offer_syn6(7, 1024), HELD_STORED);
	assert_int_equal(offer_syn6(7, 1025), HELD_REPLACED);
	assert_int_equal(held.count, 2);
}

/* C-05: another sequence number, port or address, or an ACK, is no retransmission. */
static void other_segments_are_not_replaced(void **state)
{
	uint16_t len;

	(void)state;
	assert_int_equal(offer_syn(7, 1024), HELD_STORED);
	assert_int_equal(offer_syn(8, 1024), HELD_STORED);
	len = bed_syn_frame(frame, &proxy, 7, 1026);
	frame[14 + 20 + 1]++; /* source port */
	assert_int_equal(offer(len), HELD_STORED);
	len = bed_syn_frame(frame, &proxy, 7, 1027);
	frame[14 + 15]++; /* source address */
	assert_int_equal(offer(len), HELD_STORED);
	len = bed_syn_frame(frame, &proxy, 7, 1028);
	frame[14 + 20 + 13] |= 0x10; /* SYN and ACK */
	assert_int_equal(offer(len), HELD_STORED);
	len = bed_syn_frame(frame, &proxy, 7, 1029);
	frame[14 + 20 + 13] |= 0x10;
	assert_int_equal(offer(len), HELD_STORED);
	len = bed_syn_frame(frame, &proxy, 7, 1030);
	frame[14 + 6] = 0x20; /* a first fragment */
	assert_int_equal(offer(len), HELD_STORED);
	assert_int_equal(held.count, 7);
}

/* C-24: the limit of bytes is shared, and nothing is given up for what does not fit. */
static void limit_of_bytes_holds(void **state)
{
	struct held other = {0};
	size_t one;

	(void)state;
	assert_int_equal(offer_udp(0), HELD_STORED);
	one = budget.bytes;
	budget.bytes_max = HELD_PACKETS_MAX * one;
	for (uint16_t i = 1; i < HELD_PACKETS_MAX; i++)
		assert_int_equal(offer_udp(i), HELD_STORED);

	assert_int_equal(offer_udp(100), HELD_FULL);   /* the oldest makes room */
	assert_int_equal(offer_syn(1, 1), HELD_LIMIT); /* it does not for a larger one */
	assert_int_equal(held.count, HELD_PACKETS_MAX);
	bed_udp_frame(frame, &proxy, 7);
	assert_int_equal(
		held_offer(&other, &budget,
			   &(struct held_offer){.bytes = frame, .len = 44, .l3_offset = 14}, at(1)),
		HELD_LIMIT);
	held_drop(&held, &budget);
	assert_int_equal(budget.bytes, 0);
	assert_int_equal(budget.packets, 0);
}

/* C-24: what was held too long is dropped; what is sent again is as young as that. */
static void old_packets_are_dropped(void **state)
{
	struct held_offer o = {.bytes = frame, .l3_offset = 14};

	(void)state;
	for (uint16_t i = 0; i < 4; i++) {
		o.len = bed_syn_frame(frame, &proxy, i, 0);
		held_offer(&held, &budget, &o, at(10 * i));
	}
	o.len = bed_syn_frame(frame, &proxy, 0, 99);
	assert_int_equal(held_offer(&held, &budget, &o, at(50)), HELD_REPLACED);
	assert_int_equal(held_drop_older(&held, &budget, at(15)), 1);
	o.len = bed_syn_frame(frame, &proxy, 2, 0);
	assert_int_equal(held_offer(&held, &budget, &o, at(60)), HELD_DUPLICATE);
	assert_int_equal(held_drop_older(&held, &budget, at(30)), 1);
	assert_int_equal(held.count, 2);
	assert_int_equal(held_drop_older(&held, &budget, at(49)), 0);
	assert_int_equal(held_drop_older(&held, &budget, at(60)), 2);
	assert_null(held.first);
	assert_null(held.last);
	assert_int_equal(budget.bytes, 0);
}

/* Bytes that are no packet are refused, and short ones are no SYN. */
static void odd_frames_do_no_harm(void **state)
{
	(void)state;
	memset(frame, 0x45, sizeof(frame));
	assert_int_equal(offer(14), HELD_LIMIT);
	for (uint16_t len = 15; len < 15 + HELD_PACKETS_MAX; len++)
		assert_int_equal(offer(len), HELD_STORED);
	memset(frame, 0x60, sizeof(frame));
	for (uint16_t len = 15; len < 90; len++)
		assert_int_equal(offer(len), HELD_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(taken_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(one_family_is_taken_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(oldest_is_overwritten, setup, teardown),
		cmocka_unit_test_setup_teardown(identical_packet_is_stored_once, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces_existing_tcp_syn_retransmission, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replaces_syn_over_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(other_segments_are_not_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(limit_of_bytes_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(old_packets_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_frames_do_no_harm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
