/* SPDX-License-Identifier: BSD-2-Clause */
/* What the benchmark's frames look like; see frames.h. */
#include "frames.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "box.h"
#include "lab.h"

/* RFC 9293 3.1 */
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10
#define TCP_WINDOW   0xffff
#define TCP_HEADER   20

/* Numbers of a connection: both sides have said a SYN and nothing else. */
#define SEQ_CLIENT 1000
#define SEQ_SERVER 2000

#define OTHER_PORTS (BENCH_PORT + BENCH_FLOWS_MAX / BENCH_PROXIES)

struct frame_spec {
	enum bench_layout layout;
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t tcp_flags; /* 0: UDP */
	uint32_t seq, ack;
};

#define UDP(layout_, src_, dst_, sport_, dport_)                                              \
	{                                                                                     \
		.layout = layout_, .src = src_, .dst = dst_, .sport = sport_, .dport = dport_ \
	}

#define TCP_OUT(flags_, seq_, ack_)                                                          \
	{                                                                                    \
		.layout = BENCH_TCP4_OUT, .src = BOX_CLIENT4, .dst = BENCH_PROXY4,           \
		.sport = BENCH_PORT, .dport = BENCH_DPORT, .tcp_flags = flags_, .seq = seq_, \
		.ack = ack_                                                                  \
	}

#define TCP_IN(flags_, seq_, ack_)                                                           \
	{                                                                                    \
		.layout = BENCH_TCP4_IN, .src = BENCH_REAL4, .dst = BOX_NAT4,                \
		.sport = BENCH_DPORT, .dport = BENCH_PORT, .tcp_flags = flags_, .seq = seq_, \
		.ack = ack_                                                                  \
	}

/* clang-format off: a table */
static const struct frame_spec specs[FRAME_KINDS] = {
	[FRAME_OUT4] = UDP(BENCH_UDP4_OUT, BOX_CLIENT4, BENCH_PROXY4, BENCH_PORT, BENCH_DPORT),
	[FRAME_IN4] = UDP(BENCH_UDP4_IN, BENCH_REAL4, BOX_NAT4, BENCH_DPORT, BENCH_PORT),
	[FRAME_OUT6] = UDP(BENCH_UDP6_OUT, BOX_CLIENT6, BENCH_PROXY6, BENCH_PORT, BENCH_DPORT),
	[FRAME_IN6] = UDP(BENCH_UDP6_IN, BENCH_REAL6, BOX_NAT6, BENCH_DPORT, BENCH_PORT),
	[FRAME_OUT46] = UDP(BENCH_UDP4_OUT, BOX_CLIENT4, BENCH_PROXY46, BENCH_PORT, BENCH_DPORT),
	[FRAME_IN46] = UDP(BENCH_UDP6_IN, BENCH_REAL46, BOX_NAT6, BENCH_DPORT, BENCH_PORT),
	[FRAME_OUT64] = UDP(BENCH_UDP6_OUT, BOX_CLIENT6, BENCH_PROXY64, BENCH_PORT, BENCH_DPORT),
	[FRAME_IN64] = UDP(BENCH_UDP4_IN, BENCH_REAL64, BOX_NAT4, BENCH_DPORT, BENCH_PORT),
	[FRAME_OUT_FAR] = UDP(BENCH_UDP4_OUT, BOX_CLIENT4, BENCH_FAR4, BENCH_PORT, BENCH_DPORT),
	[FRAME_IN_FAR] = UDP(BENCH_UDP4_IN, BENCH_FAR4, BOX_CLIENT4, BENCH_DPORT, BENCH_PORT),
	[FRAME_SYN] = TCP_OUT(TCP_FLAG_SYN, SEQ_CLIENT, 0),
	[FRAME_SYN_ACK] = TCP_IN(TCP_FLAG_SYN | TCP_FLAG_ACK, SEQ_SERVER, SEQ_CLIENT + 1),
	[FRAME_ACK_OUT] = TCP_OUT(TCP_FLAG_ACK, SEQ_CLIENT + 1, SEQ_SERVER + 1),
	[FRAME_ACK_IN] = TCP_IN(TCP_FLAG_ACK, SEQ_SERVER + 1, SEQ_CLIENT + 1),
	[FRAME_TAYGA] = UDP(BENCH_UDP6_OUT, BOX_CLIENT6, LAB_TAYGA_REAL, BENCH_PORT, BENCH_DPORT),
	[FRAME_REFUSED] =
		UDP(BENCH_UDP4_OUT, BOX_CLIENT4, BENCH_PROXY4, OTHER_PORTS, BENCH_DPORT + 1),
};
/* clang-format on */

_Static_assert(OTHER_PORTS + BENCH_FLOWS_MAX / BENCH_PROXIES <= 65536, "ports are 16 bits");

static bool is_v4(enum frame_kind kind)
{
	return specs[kind].layout != BENCH_UDP6_OUT && specs[kind].layout != BENCH_UDP6_IN;
}

enum bench_layout frame_layout(enum frame_kind kind)
{
	return specs[kind].layout;
}

unsigned int frame_len(enum frame_kind kind)
{
	return is_v4(kind) ? BENCH_LEN4 : BENCH_LEN6;
}

bool frame_is_out(enum frame_kind kind)
{
	enum bench_layout layout = specs[kind].layout;

	return layout == BENCH_UDP4_OUT || layout == BENCH_UDP6_OUT || layout == BENCH_TCP4_OUT;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Sum of 16-bit words in network order (RFC 1071), not folded. @len: even. */
static uint32_t sum16(const uint8_t *p, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static void put_l4(uint8_t *l4, const struct frame_spec *spec, unsigned int len)
{
	put16(l4, spec->sport);
	put16(l4 + 2, spec->dport);
	if (!spec->tcp_flags) {
		put16(l4 + 4, len);
		return;
	}
	put32(l4 + 4, spec->seq);
	put32(l4 + 8, spec->ack);
	l4[12] = TCP_HEADER / 4 << 4;
	l4[13] = spec->tcp_flags;
	put16(l4 + 14, TCP_WINDOW);
}

void frame_template(enum frame_kind kind, struct bench_template *ret_template)
{
	static const uint8_t mac_dst[2][6] = {BENCH_MAC_WAN, BENCH_MAC_LAN};
	static const uint8_t mac_src[2][6] = {BENCH_MAC_NET, BENCH_MAC_CLIENT};
	const struct frame_spec *spec = &specs[kind];
	unsigned int l4 = is_v4(kind) ? 34 : 54;
	unsigned int l4_len = spec->tcp_flags ? TCP_HEADER : frame_len(kind) - l4;
	uint8_t proto = spec->tcp_flags ? IPPROTO_TCP : IPPROTO_UDP;
	uint8_t f[sizeof(ret_template->word)] = {};
	uint32_t addrs, ip_sum = 0;

	memcpy(f, mac_dst[frame_is_out(kind)], 6);
	memcpy(f + 6, mac_src[frame_is_out(kind)], 6);
	if (is_v4(kind)) {
		put16(f + 12, 0x0800);
		f[14] = 0x45;
		put16(f + 16, 20 + l4_len);
		put16(f + 20, 0x4000);
		f[22] = BENCH_TTL;
		f[23] = proto;
		inet_pton(AF_INET, spec->src, f + 26);
		inet_pton(AF_INET, spec->dst, f + 30);
		addrs = sum16(f + 26, 8);
		ip_sum = sum16(f + 14, 20);
	} else {
		put16(f + 12, 0x86dd);
		f[14] = 0x60;
		put16(f + 18, l4_len);
		f[20] = proto;
		f[21] = BENCH_TTL;
		inet_pton(AF_INET6, spec->src, f + 22);
		inet_pton(AF_INET6, spec->dst, f + 38);
		addrs = sum16(f + 22, 32);
	}
	put_l4(f + l4, spec, l4_len);
	*ret_template = (struct bench_template){
		.ip_sum = ip_sum, .l4_sum = addrs + proto + l4_len + sum16(f + l4, l4_len)};
	memcpy(ret_template->word, f, sizeof(f));
}

static uint16_t checksum(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

void frame_echo(enum frame_kind kind, unsigned char ret_frame[BENCH_LEN4])
{
	struct bench_template t;

	frame_template(kind, &t);
	memcpy(ret_frame, t.word, BENCH_LEN4);
	ret_frame[BENCH_ECHO_AT] = BENCH_ECHO;
	put16(ret_frame + 24, checksum(t.ip_sum));
	put16(ret_frame + 40, checksum(t.l4_sum + (BENCH_ECHO << 8)));
}
