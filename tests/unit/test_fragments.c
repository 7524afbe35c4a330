/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments that came before the first one of their datagram: order, limits, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/fragments.h"

static struct instant at(int64_t ms)
{
	return (struct instant){ms * NSEC_PER_MSEC};
}

static struct fq_frag_key key_of(uint8_t source, uint32_t id)
{
	return (struct fq_frag_key){.src.b[15] = source, .dst.b[15] = 1, .id = id, .proto = 17};
}

static int keep(struct fragments *f, uint8_t source, uint32_t id, uint8_t mark, struct instant now)
{
	const struct fq_frag_key key = key_of(source, id);
	uint8_t bytes[60] = {[59] = mark};

	return fragments_keep(f, &key,
			      &(struct held_offer){
				      .bytes = bytes,
				      .len = sizeof(bytes),
				      .l3_offset = 14,
				      .ifindex = mark,
			      },
			      now);
}

static int setup(void **state)
{
	*state = fragments_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	fragments_free(*state);
	return 0;
}

static void those_of_one_datagram_come_back_in_order(void **state)
{
	struct fragments *f = *state;
	struct fq_frag_key key = key_of(1, 7);
	struct held_frame *frames;

	assert_int_equal(keep(f, 1, 7, 1, at(0)), 0);
	assert_int_equal(keep(f, 1, 8, 2, at(0)), 0);
	assert_int_equal(keep(f, 2, 7, 3, at(0)), 0);
	assert_int_equal(keep(f, 1, 7, 4, at(0)), 0);
	frames = fragments_take(f, &key);
	assert_int_equal(frames->bytes[59], 1);
	assert_int_equal(frames->ifindex, 1);
	assert_int_equal(frames->next->bytes[59], 4);
	assert_null(frames->next->next);
	held_frames_free(frames);
	assert_null(fragments_take(f, &key));
	assert_int_equal(fragments_count(f), 2);
}

static void one_source_cannot_take_what_others_need(void **state)
{
	struct fragments *f = *state;

	for (unsigned int i = 0; i < FRAGMENTS_PER_SOURCE; i++)
		assert_int_equal(keep(f, 1, i, 0, at(0)), 0);
	assert_int_equal(keep(f, 1, 1000, 0, at(0)), -ENOBUFS);
	assert_int_equal(keep(f, 2, 1000, 0, at(0)), 0);
}

static void all_together_have_a_limit(void **state)
{
	struct fragments *f = *state;

	for (unsigned int i = 0; i < FRAGMENTS_MAX; i++)
		assert_int_equal(keep(f, (uint8_t)(i / 32), i, 0, at(0)), 0);
	assert_int_equal(keep(f, 200, 1000, 0, at(0)), -ENOBUFS);
	assert_int_equal(fragments_count(f), FRAGMENTS_MAX);
}

static void what_waits_too_long_is_dropped(void **state)
{
	struct fragments *f = *state;

	assert_int_equal(keep(f, 1, 1, 0, at(0)), 0);
	assert_int_equal(keep(f, 1, 2, 0, at(1500)), 0);
	assert_int_equal(fragments_expire(f, at(1999)), 0);
	assert_int_equal(fragments_expire(f, at(2000)), 1);
	assert_int_equal(fragments_count(f), 1);
	assert_int_equal(fragments_expire(f, at(3500)), 1);
	assert_int_equal(fragments_count(f), 0);
}

static void key_is_read_from_the_upcall(void **state)
{
	_Alignas(8) uint8_t room[sizeof(struct fq_upcall) + 80] = {0};
	struct fq_upcall *u = (struct fq_upcall *)room;
	struct fq_frag_key key;

	(void)state;
	*u = (struct fq_upcall){
		.kind = FQ_UPCALL_FRAGMENT,
		.domain = 0x1234,
		.gateway = 17,
		.len = 80,
		.l3_offset = 14,
		.proxy.b[15] = 9,
	};
	u->frame[14] = 0x45;
	memcpy(u->frame + 14 + 12, "\xc0\x00\x02\x07", 4);
	fragments_key(u, &key);
	assert_memory_equal(&key.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07", 16);
	assert_int_equal(key.dst.b[15], 9);
	assert_int_equal(key.id, 0x1234);
	assert_int_equal(key.proto, 17);
	u->frame[14] = 0x60;
	memcpy(u->frame + 14 + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05", 16);
	fragments_key(u, &key);
	assert_memory_equal(&key.src, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05", 16);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(those_of_one_datagram_come_back_in_order),
		T(one_source_cannot_take_what_others_need),
		T(all_together_have_a_limit),
		T(what_waits_too_long_is_dropped),
		cmocka_unit_test(key_is_read_from_the_upcall),
	};

	return cmocka_run_group_tests_name("fragments", tests, NULL, NULL);
}
