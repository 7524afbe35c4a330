/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One's complement sums (RFC 1071) and their incremental update (RFC 1624).
 *
 * Pure: no helper, no map. Sums are kept in 64 bits without folding, so that 32-bit words may
 * be added as they are: 2^16 and 2^32 are both 1 modulo 65535. All words are in the byte
 * order of the packet; the result is, too (RFC 1071 2 B).
 */
#pragma once

#include "pkt.h"

/*
 * Fold a sum into 16 bits. The result is 0 only if @sum is 0. To a word its own halves are added
 * the other way round: the carry of the lower half goes into the upper one, which is the result.
 */
fq_inline __u16 csum_fold(__u64 sum)
{
	__u32 half;

	sum += sum << 32 | sum >> 32;
	half = sum >> 32;
	half += half << 16 | half >> 16;
	return half >> 16;
}

/*
 * The difference that replacing a word makes, to be added to a complemented checksum:
 * ~m + m' of RFC 1624. Differences add up.
 */
fq_inline __u64 csum_diff16(__u16 from, __u16 to)
{
	return (__u64)(__u16)~from + to;
}

fq_inline __u64 csum_diff32(__u32 from, __u32 to)
{
	return (__u64)(__u32)~from + to;
}

fq_inline __u64 csum_addr(const struct fq_addr *a, __u8 family)
{
	if (family == FQ_AF_INET)
		return a->w[3];
	return (__u64)a->w[0] + a->w[1] + a->w[2] + a->w[3];
}

fq_inline __u64 csum_diff_addr(const struct fq_addr *from, const struct fq_addr *to, __u8 family)
{
	if (family == FQ_AF_INET)
		return csum_diff32(from->w[3], to->w[3]);
	return csum_diff32(from->w[0], to->w[0]) + csum_diff32(from->w[1], to->w[1]) +
	       csum_diff32(from->w[2], to->w[2]) + csum_diff32(from->w[3], to->w[3]);
}

/*
 * New checksum after words have changed (RFC 1624, eqn. 3: HC' = ~(~HC + ~m + m')).
 *
 * @check: checksum field, as it stands in the packet
 * @diff:  sum of csum_diff* of the changed words
 *
 * 0 is a legal result. For UDP the caller applies the rule of RFC 768.
 */
fq_inline __u16 csum_update(__u16 check, __u64 diff)
{
	return ~csum_fold(diff + (__u16)~check);
}

/*
 * Sum of the pseudo header of RFC 9293 3.1, RFC 768 and RFC 8200 8.1, not folded. The two
 * forms give the same sum: they differ only in zero bytes.
 *
 * @len: length of the L4 packet, host order
 */
fq_inline __u64 csum_pseudo(const struct fq_addr *src, const struct fq_addr *dst, __u8 family,
			    __u8 proto, __u16 len)
{
	return csum_addr(src, family) + csum_addr(dst, family) + bpf_htons(proto) + bpf_htons(len);
}

/* UDP sends a computed 0 as 0xffff, because 0 says that there is no checksum (RFC 768). */
fq_inline __u16 csum_udp_nonzero(__u16 check)
{
	return check ? check : 0xffff;
}
