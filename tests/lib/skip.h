/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A skip that says why. scripts/test.sh shows the reason beside the test's name, and counts a skip
 * without one as a failure.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * End this test without a result. cmocka's TAP line for it has room for the test's name only.
 *
 * @reason: what is missing, one line
 */
static inline void skip_because(const char *reason)
{
	print_message("# skip: %s\n", reason);
	skip();
}
