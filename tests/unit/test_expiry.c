/* SPDX-License-Identifier: BSD-2-Clause */
/* When sessions end (user/dataplane/expiry.h): every row of N-06, and the times between. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ipaddr.h"
#include "dataplane/expiry.h"

#define S(n) ((uint64_t)(n)*NSEC_PER_SEC)

static const struct expiry_policy policy = {
	.tcp_established_ns = 7440 * NSEC_PER_SEC,
	.tcp_closing_ns = 5 * NSEC_PER_SEC,
	.tcp_reset_ns = 240 * NSEC_PER_SEC,
	.udp_ns = 120 * NSEC_PER_SEC,
	.icmp_ns = 120 * NSEC_PER_SEC,
	.unconfirmed_ns = 60 * NSEC_PER_SEC,
};

struct row {
	const char *claim;
	uint8_t proto;
	unsigned int created_s, out_s, in_s; /* last packets; 0: none */
	uint8_t out_seen, in_seen;
	unsigned int expires_s;
	enum session_state state;
};

/* N-06: the idle time of each protocol and state, counted from the right packet */
static const struct row rows[] = {
	{"tcp lives 7440 s after its last packet out", IPPROTO_TCP, 10, 1000, 900, FQ_TCP_SYN,
	 FQ_TCP_SYN, 8440, SESSION_ESTABLISHED},
	{"tcp lives 7440 s after its last packet in", IPPROTO_TCP, 10, 900, 1000, FQ_TCP_SYN,
	 FQ_TCP_SYN, 8440, SESSION_ESTABLISHED},
	{"udp lives 120 s after its last packet in", IPPROTO_UDP, 10, 20, 1000, 0, 0, 1120,
	 SESSION_ESTABLISHED},
	{"udp lives 120 s after its last packet out", IPPROTO_UDP, 10, 1000, 20, 0, 0, 1120,
	 SESSION_ESTABLISHED},
	{"icmp lives 120 s", IPPROTO_ICMP, 10, 1000, 1001, 0, 0, 1121, SESSION_ESTABLISHED},
	{"icmpv6 lives 120 s", IPPROTO_ICMPV6, 10, 1000, 1001, 0, 0, 1121, SESSION_ESTABLISHED},
	{"tcp that was never answered lives 60 s", IPPROTO_TCP, 10, 1000, 0, FQ_TCP_SYN, 0, 1060,
	 SESSION_NEW},
	{"udp that was never answered lives 60 s", IPPROTO_UDP, 10, 1000, 0, 0, 0, 1060,
	 SESSION_NEW},
	{"icmp that was never answered lives 60 s", IPPROTO_ICMP, 10, 1000, 0, 0, 0, 1060,
	 SESSION_NEW},
	{"a session without a packet lives 60 s from its creation", IPPROTO_UDP, 10, 0, 0, 0, 0, 70,
	 SESSION_NEW},
	{"fin in both directions ends it 5 s after the last packet", IPPROTO_TCP, 10, 1000, 1002,
	 FQ_TCP_SYN | FQ_TCP_FIN, FQ_TCP_SYN | FQ_TCP_FIN, 1007, SESSION_CLOSING},
	{"fin out alone is a half-closed connection and lives on", IPPROTO_TCP, 10, 1000, 1002,
	 FQ_TCP_SYN | FQ_TCP_FIN, FQ_TCP_SYN, 8442, SESSION_ESTABLISHED},
	{"fin in alone is a half-closed connection and lives on", IPPROTO_TCP, 10, 1000, 1002,
	 FQ_TCP_SYN, FQ_TCP_SYN | FQ_TCP_FIN, 8442, SESSION_ESTABLISHED},
	{"the least that applies counts: fin out, never answered", IPPROTO_TCP, 10, 1000, 0,
	 FQ_TCP_SYN | FQ_TCP_FIN, 0, 1060, SESSION_NEW},
	/* N-10: a reset may be blind, so it ends nothing at once (RFC 7857 2.2) */
	{"a reset from outside leaves 240 s", IPPROTO_TCP, 10, 1000, 1002, FQ_TCP_SYN,
	 FQ_TCP_SYN | FQ_TCP_RST, 1242, SESSION_RESET},
	{"a reset by the client leaves 240 s", IPPROTO_TCP, 10, 1000, 900, FQ_TCP_SYN | FQ_TCP_RST,
	 FQ_TCP_SYN, 1240, SESSION_RESET},
	{"after fin and reset the lesser counts", IPPROTO_TCP, 10, 1000, 1002,
	 FQ_TCP_FIN | FQ_TCP_RST, FQ_TCP_FIN, 1007, SESSION_RESET},
};

static void make(const struct row *row, struct fq_session *out, struct fq_session *in)
{
	*out = (struct fq_session){.dir = FQ_DIR_OUT,
				   .created = S(row->created_s),
				   .last = S(row->out_s),
				   .packets = 10,
				   .tcp_seen = row->out_seen};
	*in = (struct fq_session){.dir = FQ_DIR_IN,
				  .created = S(row->created_s),
				  .last = S(row->in_s),
				  .packets = row->in_s ? 1 : 0,
				  .tcp_seen = row->in_seen};
}

/* N-06, N-10: see the rows */
static void each_state_has_its_idle_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fq_session out, in;
		struct instant expiry;

		make(&rows[i], &out, &in);
		expiry = session_expiry(&out, &in, rows[i].proto, &policy);

		if (expiry.ns != (int64_t)S(rows[i].expires_s) ||
		    session_state(&out, &in) != rows[i].state)
			fail_msg("%s: expires at %lld s, state %s", rows[i].claim,
				 (long long)(expiry.ns / NSEC_PER_SEC),
				 session_state_name(session_state(&out, &in)));
	}
}

/* RFC 5382 REQ-5: a scanned port is no established connection */
static void tcp_is_established_by_the_clients_second_packet(void **state)
{
	struct fq_session out = {.last = S(1000), .packets = 1};
	struct fq_session in = {.dir = FQ_DIR_IN, .last = S(1001), .packets = 1};

	(void)state;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_TCP, &policy).ns, S(1061));
	assert_int_equal(session_expiry(&out, &in, IPPROTO_UDP, &policy).ns, S(1121));
	out.packets = 2;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_TCP, &policy).ns, S(8441));
}

/* N-07: both directions keep a session alive, not the outgoing one alone */
static void a_download_without_acknowledgements_lives(void **state)
{
	struct fq_session out = {.last = S(10)}, in = {.dir = FQ_DIR_IN, .last = S(500)};

	(void)state;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_UDP, &policy).ns, S(620));
	assert_int_equal(session_last(&out, &in).ns, S(500));
}

/* N-06: what is passed over without the other half being looked up was never due */
static void earliest_is_never_later_than_the_real_expiry(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fq_session out, in;

		make(&rows[i], &out, &in);

		assert_true(session_expiry_earliest(&out, rows[i].proto, &policy).ns <=
			    session_expiry(&out, &in, rows[i].proto, &policy).ns);
	}
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static const char *const OUTSIDE4[] = {"198.51.100.1", "198.51.100.2"};
static const char *const OUTSIDE6[] = {"2001:db8:2::1", "2001:db8:2::2"};

static void check_partner(uint8_t proto, uint8_t in_proto, uint16_t peer_port,
			  const char *const outside[2])
{
	struct fq_tuple out_key = {.src = addr("192.0.2.2"),
				   .dst = addr("100.96.0.1"),
				   .sport = htons(4000),
				   .dport = htons(peer_port),
				   .proto = proto};
	struct fq_session out = {.dir = FQ_DIR_OUT,
				 .src = addr(outside[0]),
				 .dst = addr(outside[1]),
				 .port = htons(5000)};
	struct fq_tuple in_key = {.src = out.dst,
				  .dst = out.src,
				  .sport = htons(peer_port),
				  .dport = htons(5000),
				  .proto = in_proto};
	struct fq_session in = {
		.dir = FQ_DIR_IN, .src = out_key.dst, .dst = out_key.src, .port = out_key.sport};
	struct fq_tuple found;

	found = session_partner(&out_key, &out);
	assert_memory_equal(&found, &in_key, sizeof(found));
	found = session_partner(&in_key, &in);
	assert_memory_equal(&found, &out_key, sizeof(found));
}

/* N-01: the inside and the outside tuple lead to each other */
static void halves_find_each_other(void **state)
{
	(void)state;
	check_partner(IPPROTO_TCP, IPPROTO_TCP, 443, OUTSIDE4);
	check_partner(IPPROTO_UDP, IPPROTO_UDP, 0, OUTSIDE4);
	check_partner(IPPROTO_ICMP, IPPROTO_ICMP, 0, OUTSIDE4);
}

/* N-01, G-51: also when they are of different IP versions, where ICMP has two numbers */
static void halves_of_two_versions_find_each_other(void **state)
{
	(void)state;
	check_partner(IPPROTO_TCP, IPPROTO_TCP, 443, OUTSIDE6);
	check_partner(IPPROTO_UDP, IPPROTO_UDP, 0, OUTSIDE6);
	check_partner(IPPROTO_ICMP, IPPROTO_ICMPV6, 0, OUTSIDE6);
}

static void never_is_never(void **state)
{
	struct expiry_policy forever = policy;
	struct fq_session out = {.last = S(10)}, in = {.last = S(10)};

	(void)state;
	forever.udp_ns = INT64_MAX;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_UDP, &forever).ns, INSTANT_NEVER.ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_idle_time),
		cmocka_unit_test(tcp_is_established_by_the_clients_second_packet),
		cmocka_unit_test(a_download_without_acknowledgements_lives),
		cmocka_unit_test(earliest_is_never_later_than_the_real_expiry),
		cmocka_unit_test(halves_find_each_other),
		cmocka_unit_test(halves_of_two_versions_find_each_other),
		cmocka_unit_test(never_is_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
