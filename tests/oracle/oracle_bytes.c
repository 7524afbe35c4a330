/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of packets: words, addresses, checksums; see oracle.h. Sums are taken byte by byte.
 */
#include <string.h>

#include "oracle.h"

uint16_t orc_get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

void orc_put16(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v & 0xff;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* RFC 1071: the sum of 16-bit words, folded, not complemented; @seed is added. */
uint32_t orc_sum(const uint8_t *bytes, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		seed = fold(seed + (i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8));
	return seed;
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). @len is even. */
uint16_t orc_checksum_update(uint16_t check, const uint8_t *from, const uint8_t *to, size_t len)
{
	uint32_t sum = ~check & 0xffff;

	for (size_t i = 0; i < len; i += 2) {
		sum += ~orc_get16(from + i) & 0xffff;
		sum += orc_get16(to + i);
	}
	return ~fold(sum) & 0xffff;
}

/* Write @to over @field, and keep the checksum at @check (NULL: none) right. */
void orc_replace(uint8_t *field, const uint8_t *to, size_t len, uint8_t *check)
{
	if (check)
		orc_put16(check, orc_checksum_update(orc_get16(check), field, to, len));
	memcpy(field, to, len);
}

/* RFC 9293 3.1, RFC 768, RFC 8200 8.1: addresses, protocol and length. */
uint32_t orc_pseudo_sum(const struct orc_pkt *p)
{
	size_t skip = p->v6 ? 0 : 12;
	uint32_t sum = orc_sum(p->src.b + skip, 16 - skip, p->proto);

	sum = orc_sum(p->dst.b + skip, 16 - skip, sum);
	return fold(sum + (p->l4_len & 0xffff) + (p->l4_len >> 16));
}

bool orc_same(const struct fq_addr *a, const struct fq_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool orc_zero(const struct fq_addr *a)
{
	static const struct fq_addr zero;

	return orc_same(a, &zero);
}

bool orc_v4(const struct fq_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a, mapped, sizeof(mapped)) == 0;
}

bool orc_in_prefix(const struct fq_addr *a, const struct fq_addr *prefix, unsigned int len)
{
	for (unsigned int bit = 0; bit < len; bit++)
		if ((a->b[bit / 8] ^ prefix->b[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}
