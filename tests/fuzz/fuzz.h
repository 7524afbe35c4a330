/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzz targets of the packet path share: a claim, a sum, and right IPv4 header checksums.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline void require(int truth)
{
	if (!truth)
		abort();
}

/* One's complement sum of 16-bit words, the first byte the high one. @seed: a sum to begin with */
static inline uint16_t fuzz_sum(const uint8_t *bytes, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		seed += i % 2 ? bytes[i] : bytes[i] << 8;
	while (seed >> 16)
		seed = (seed & 0xffff) + (seed >> 16);
	return (uint16_t)seed;
}

/* A right checksum for an IPv4 header of @size bytes at most: the fuzzer would hardly ever find
 * one. */
static inline void fuzz_repair4(uint8_t *ip, size_t size)
{
	size_t hlen = size ? (ip[0] & 15) * 4 : 0;
	uint16_t check;

	if (hlen < 20 || size < hlen || ip[0] >> 4 != 4)
		return;
	ip[10] = ip[11] = 0;
	check = ~fuzz_sum(ip, hlen, 0);
	ip[10] = check >> 8;
	ip[11] = check & 0xff;
}
