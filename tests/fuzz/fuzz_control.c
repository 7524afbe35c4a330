/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages from anyone: whatever is accepted can be written again, and reads the same.
 *
 *	clang-16 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_control.c
 *	fuzz_control tests/fuzz/corpus/control
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/control.h"

static void require(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_message msg, again;
	uint8_t bytes[CONTROL_MESSAGE_MAX];
	size_t len;

	if (control_decode(data, size, &msg) < 0)
		return 0;
	require(control_encode(&msg, bytes, sizeof(bytes), &len) == 0);
	require(control_decode(bytes, len, &again) == 0);
	require(memcmp(&msg, &again, sizeof(msg)) == 0);
	return 0;
}
