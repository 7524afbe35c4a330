/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge for each test: resource A is everything below x, at gateway 1; B is b.x, IPv4 only, at
 * gateway 2; both gateways are there. Used by test_edge*.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/edge_bed.h"

static struct bed bed;

static inline void reload(const char *expect, const struct edge_resource *list, size_t count)
{
	assert_string_equal(bed_resources(&bed, list, count), expect);
}

static inline int setup(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "b.x", IP_STACK_IPV4, 2, 0),
	};

	(void)state;
	bed_open(&bed, NULL);
	reload("", list, 2);
	bed_do(&bed, 0, "up 1");
	bed_do(&bed, 0, "up 2");
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	bed_close(&bed);
	return 0;
}

static inline void expect(int64_t ms, const char *input, const char *text)
{
	assert_string_equal(bed_do(&bed, ms, input), text);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
