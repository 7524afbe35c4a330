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

/* Each time its own, so that none is taken for another. */
static const struct expiry_policy policy = {
	.tcp_opening_ns = 241 * NSEC_PER_SEC,
	.tcp_established_ns = 7440 * NSEC_PER_SEC,
	.tcp_closing_ns = 242 * NSEC_PER_SEC,
	.tcp_reset_ns = 243 * NSEC_PER_SEC,
	.udp_ns = 300 * NSEC_PER_SEC,
	.icmp_ns = 60 * NSEC_PER_SEC,
	.unconfirmed_ns = 120 * NSEC_PER_SEC,
};

struct row {
	const char *claim;
	uint8_t proto;
	unsigned int created_s, out_s, in_s; /* last packets; 0: none */
	uint8_t out_seen, in_seen;
	unsigned int expires_s;
	enum session_state state;
};

enum { F = FQ_TCP_FIN, Y = FQ_TCP_SYN, R = FQ_TCP_RST, A = FQ_TCP_ACK };

#define TCP  IPPROTO_TCP
#define UDP  IPPROTO_UDP
#define ICMP IPPROTO_ICMP

/* N-06: the idle time of each protocol and state, counted from the last packet */
static const struct row rows[] = {
	{"tcp lives 7440 s after its last packet out", TCP, 10, 1000, 900, Y | A, Y | A, 8440,
	 SESSION_ESTABLISHED},
	{"tcp lives 7440 s after its last packet in", TCP, 10, 900, 1000, Y | A, Y | A, 8440,
	 SESSION_ESTABLISHED},
	{"tcp that was joined in its midst, too", TCP, 10, 900, 1000, A, A, 8440,
	 SESSION_ESTABLISHED},
	{"tcp that was never answered is opening", TCP, 10, 1000, 0, Y, 0, 1241, SESSION_OPENING},
	{"tcp whose client has not acknowledged is opening", TCP, 10, 1000, 1001, Y, Y | A, 1242,
	 SESSION_OPENING},
	{"tcp whose server has not answered a packet is opening", TCP, 10, 1000, 0, A, 0, 1241,
	 SESSION_OPENING},
	{"a packet that opens nothing counts as one", TCP, 10, 1000, 1001, Y, 0, 1242,
	 SESSION_OPENING},
	{"fin out alone: half-closed, and lives on", TCP, 10, 1000, 1002, Y | A | F, Y | A, 8442,
	 SESSION_HALF_CLOSED},
	{"fin in alone: half-closed, and lives on", TCP, 10, 1000, 1002, Y | A, Y | A | F, 8442,
	 SESSION_HALF_CLOSED},
	{"fin of a client that was never answered", TCP, 10, 1000, 0, Y | F, 0, 1241,
	 SESSION_OPENING},
	{"fin in both directions closes it", TCP, 10, 1000, 1002, Y | A | F, Y | A | F, 1244,
	 SESSION_CLOSING},
	/* N-10: a reset may be blind, so it ends nothing at once (RFC 7857 2.2) */
	{"a reset leaves it a time", TCP, 10, 1000, 1002, Y | A | R, Y | A | R, 1245,
	 SESSION_RESET},
	{"a reset after fin in both directions, too", TCP, 10, 1000, 1002, Y | A | F | R,
	 Y | A | F | R, 1245, SESSION_RESET},
	{"who goes on after a reset is alive", TCP, 10, 1000, 1002, Y | A, Y | A | R, 8442,
	 SESSION_ESTABLISHED},
	{"a tuple that a socket has taken over is lost", TCP, 10, 1000, 1002, Y | A,
	 Y | A | FQ_TCP_LOCAL, 1245, SESSION_RESET},
	{"udp lives 300 s after its last packet in", UDP, 10, 20, 1000, 0, 0, 1300,
	 SESSION_CONFIRMED},
	{"udp lives 300 s after its last packet out", UDP, 10, 1000, 20, 0, 0, 1300,
	 SESSION_CONFIRMED},
	{"udp that was never answered lives 120 s", UDP, 10, 1000, 0, 0, 0, 1120,
	 SESSION_UNCONFIRMED},
	{"a session without a packet lives from its creation", UDP, 10, 0, 0, 0, 0, 130,
	 SESSION_UNCONFIRMED},
	{"icmp lives 60 s", ICMP, 10, 1000, 1001, 0, 0, 1061, SESSION_CONFIRMED},
	{"icmpv6 lives 60 s", IPPROTO_ICMPV6, 10, 1000, 1001, 0, 0, 1061, SESSION_CONFIRMED},
	{"icmp that was never answered lives no longer", ICMP, 10, 1000, 0, 0, 0, 1060,
	 SESSION_UNCONFIRMED},
};

static void make(const struct row *row, struct session_entry *out, struct session_entry *in)
{
	*out = (struct session_entry){.dir = FQ_DIR_OUT,
				      .created = S(row->created_s),
				      .last = S(row->out_s),
				      .tcp_seen = row->out_seen};
	*in = (struct session_entry){.dir = FQ_DIR_IN,
				     .created = S(row->created_s),
				     .last = S(row->in_s),
				     .tcp_seen = row->in_seen};
}

/* N-06, N-10: see the rows */
static void each_state_has_its_idle_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_entry out, in;
		struct instant expiry;

		make(&rows[i], &out, &in);
		expiry = session_expiry(&out, &in, rows[i].proto, &policy);

		if (expiry.ns != (int64_t)S(rows[i].expires_s) ||
		    session_state(&out, &in, rows[i].proto) != rows[i].state)
			fail_msg("%s: expires at %lld s, state %s", rows[i].claim,
				 (long long)(expiry.ns / NSEC_PER_SEC),
				 session_state_name(session_state(&out, &in, rows[i].proto)));
	}
}

/* N-07: both directions keep a session alive, not the outgoing one alone */
static void a_download_without_acknowledgements_lives(void **state)
{
	struct session_entry out = {.last = S(10)}, in = {.dir = FQ_DIR_IN, .last = S(500)};

	(void)state;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_UDP, &policy).ns, S(800));
	assert_int_equal(session_last(&out, &in).ns, S(500));
}

/* N-06: what is passed over without the other half being looked up was never due */
static void who_is_passed_over_has_not_ended(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_entry out, in;

		make(&rows[i], &out, &in);

		assert_true(instant_add(session_last(&out, &in),
					session_idle_least(rows[i].proto, &policy))
				    .ns <= session_expiry(&out, &in, rows[i].proto, &policy).ns);
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
	struct session_entry out = {.dir = FQ_DIR_OUT,
				    .src = addr(outside[0]),
				    .dst = addr(outside[1]),
				    .port = htons(5000)};
	struct fq_tuple in_key = {.src = out.dst,
				  .dst = out.src,
				  .sport = htons(peer_port),
				  .dport = htons(5000),
				  .proto = in_proto};
	struct session_entry in = {
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
	struct session_entry out = {.last = S(10)}, in = {.last = S(10)};

	(void)state;
	forever.udp_ns = INT64_MAX;
	assert_int_equal(session_expiry(&out, &in, IPPROTO_UDP, &forever).ns, INSTANT_NEVER.ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_idle_time),
		cmocka_unit_test(a_download_without_acknowledgements_lives),
		cmocka_unit_test(who_is_passed_over_has_not_ended),
		cmocka_unit_test(halves_find_each_other),
		cmocka_unit_test(halves_of_two_versions_find_each_other),
		cmocka_unit_test(never_is_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
