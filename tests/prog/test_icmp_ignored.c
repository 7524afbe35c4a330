/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors that are not translated: about nothing that is ours, of the wrong kind or direction,
 * damaged. They are the kernel's, or dropped.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cmocka.h>

#include "../lib/err_flow.h"

#include "fqdnat.skel.h"

/* I-05: about an unknown session: the kernel's. */
static void errors_about_nothing_known_are_the_kernels(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	FOR_ERR_FLOWS(f)
	{
		err_from_outside(&p, f, 1234, err_unreachable(f));
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	}
}

/* The receiver must be who has sent what is quoted. */
static void errors_to_others_are_the_kernels(void **state)
{
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_UDP4);
	struct pkt_error e = err_unreachable(ERR_UDP4);
	struct pkt p;

	e.dst = "198.51.100.3";
	err_from_outside(&p, ERR_UDP4, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	e.dst = NULL;
	e.src = "224.0.0.1";
	err_from_outside(&p, ERR_UDP4, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
}

/* The way of a session's packets that go out is no way for errors that come in, nor the reverse. */
static void errors_about_the_wrong_direction_are_not_translated(void **state)
{
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_TCP4);
	struct pkt quoted, p;

	err_about(&quoted, ERR_TCP4, FQ_DIR_OUT, false,
		  nat); /* from the resource: nobody's to be told */
	pkt_build_error(&p, &(struct pkt_error){.src = ERR_OUTSIDE4, .dst = SERVER4, .type = 3},
			&quoted);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	err_about(&quoted, ERR_TCP4, FQ_DIR_IN, true, nat); /* the client's own packet */
	pkt_build_error(&p, &(struct pkt_error){.src = CLIENT4, .dst = PROXY4, .type = 3}, &quoted);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
}

/* Redirects are advice to the gateway itself; source quench is of the past (RFC 6633). */
static void other_errors_are_not_translated(void **state)
{
	static const uint8_t others4[] = {4, 5}, others6[] = {5, 100, 127};
	struct prog *t = *state;
	uint16_t nat4 = err_open_flow(t, ERR_UDP4), nat6 = err_open_flow(t, ERR_UDP6);
	struct pkt p;

	for (size_t i = 0; i < sizeof(others4); i++) {
		err_from_outside(&p, ERR_UDP4, nat4, (struct pkt_error){.type = others4[i]});
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
		err_from_client(&p, ERR_UDP4, nat4, (struct pkt_error){.type = others4[i]});
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_ICMP_ERROR, NULL);
	}
	for (size_t i = 0; i < sizeof(others6); i++) {
		err_from_outside(&p, ERR_UDP6, nat6, (struct pkt_error){.type = others6[i]});
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
		err_from_client(&p, ERR_UDP6, nat6, (struct pkt_error){.type = others6[i]});
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_ICMP_ERROR, NULL);
	}
}

static void set_tombstone(struct prog *t, const struct fq_tuple *key)
{
	uint64_t until = prog_now() + 10000000000;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.tombstones), key, &until, BPF_ANY),
		0);
}

/* I-05, G-43: about a session that has ended: dropped. */
static void errors_about_ended_sessions_are_dropped(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, 5001);
	struct pkt p;

	set_tombstone(t, &key);
	err_from_outside(&p, ERR_UDP4, 5001, err_unreachable(ERR_UDP4));
	prog_expect(t, &p, SERVER_SIDE, FQ_R_EXPIRED_SESSION, NULL);
}

/* A socket of this host has the port now, and may be what the error is for. */
static void errors_are_not_taken_from_local_sockets(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, 5002);
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(5002)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pkt p;

	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	set_tombstone(t, &key);
	err_from_outside(&p, ERR_UDP4, 5002, err_unreachable(ERR_UDP4));
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	close(fd);
}

/* The same while the session is still there, marked as taken over. */
static void errors_about_tuples_taken_over_are_the_sockets(void **state)
{
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_TCP4);
	const struct fq_tuple out = err_out_key(ERR_TCP4), in = err_in_key(t, ERR_TCP4);
	struct session_entry s = prog_session(t, &in);
	struct pkt p;

	s.tcp_seen = FQ_TCP_LOCAL | FQ_TCP_RST;
	prog_set_session(t, &in, &s);
	s = prog_session(t, &out);
	s.tcp_seen = FQ_TCP_LOCAL | FQ_TCP_RST;
	prog_set_session(t, &out, &s);
	err_from_outside(&p, ERR_TCP4, nat, err_unreachable(ERR_TCP4));
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	err_from_client(&p, ERR_TCP4, nat, err_unreachable(ERR_TCP4));
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
}

/* ---- refused, in silence ---- */

/* G-20, G-32: errors to proxy addresses about nothing that was sent from there. */
static void errors_of_clients_about_no_session_are_dropped(void **state)
{
	struct prog *t = *state;
	struct pkt_error e;
	uint16_t nat;
	struct pkt p;

	FOR_ERR_FLOWS(f)
	{
		err_from_client(&p, f, 1234, err_unreachable(f));
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	}
	nat = err_open_flow(t, ERR_UDP4);
	e = err_unreachable(ERR_UDP4);
	e.dst = PROXY4_B; /* another one than the packet came from */
	err_from_client(&p, ERR_UDP4, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP, .icmp_type = 3,
	    .dmac = PKT_MAC_GROUP);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_ICMP_ERROR, NULL);
}

/* G-20: nobody speaks for another client's sessions. */
static void errors_about_others_sessions_are_dropped(void **state)
{
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_UDP4);
	struct pkt_error e = err_unreachable(ERR_UDP4);
	struct pkt p;

	e.src = "203.0.113.7"; /* no client */
	err_from_client(&p, ERR_UDP4, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	prog_client(t, "203.0.113.7", 128, CLIENT + 1, SCOPE);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	prog_client(t, "203.0.113.7", 128, CLIENT, SCOPE);
	err_expect_out(t, ERR_UDP4, nat, e);
}

/* RFC 5508 REQ-3: the message's checksum must be right, all of it. */
static void wrong_checksums_are_dropped(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	FOR_ERR_FLOWS(f)
	{
		uint16_t nat = err_open_flow(t, f);
		struct pkt_error e = err_unreachable(f);

		e.extensions = 300;
		err_from_outside(&p, f, nat, e);
		pkt_data(&p)[p.len - 1] ^= 1;
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);
		err_from_client(&p, f, nat, e);
		pkt_data(&p)[p.len - 2] ^= 0x80;
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);
	}
}

/* RFC 5508 REQ-3 a: so must the quoted header's; the quoted L4 checksum is not asked (c). */
static void wrong_quoted_headers_are_dropped(void **state)
{
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_UDP4);
	struct pkt quoted, p, expected;
	struct pkt_error e = {.src = ERR_OUTSIDE4, .dst = GW4, .type = 3};

	err_about(&quoted, ERR_UDP4, FQ_DIR_IN, false, nat);
	pkt_data(&quoted)[PKT_L3 + 8]--; /* TTL */
	pkt_build_error(&p, &e, &quoted);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);

	err_about(&quoted, ERR_UDP4, FQ_DIR_IN, false, nat);
	pkt_data(&quoted)[quoted.len - 1] ^= 0x10;
	pkt_build_error(&p, &e, &quoted);
	err_about(&quoted, ERR_UDP4, FQ_DIR_IN, true, nat);
	pkt_data(&quoted)[quoted.len - 1] ^= 0x10;
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4,
					    .dst = CLIENT4,
					    .type = 3,
					    .ttl = 63,
					    .dmac = PKT_MAC_CLIENT,
					    .smac = PKT_MAC_GW_CLIENT},
			&quoted);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
#define ALIKE                                                                                   \
	T(errors_about_nothing_known_are_the_kernels), T(errors_to_others_are_the_kernels),     \
		T(errors_about_the_wrong_direction_are_not_translated),                         \
		T(other_errors_are_not_translated), T(errors_about_ended_sessions_are_dropped), \
		T(errors_are_not_taken_from_local_sockets),                                     \
		T(errors_about_tuples_taken_over_are_the_sockets),                              \
		T(errors_of_clients_about_no_session_are_dropped),                              \
		T(errors_about_others_sessions_are_dropped), T(wrong_checksums_are_dropped),    \
		T(wrong_quoted_headers_are_dropped)
	const struct CMUnitTest tests[] = {ALIKE};
	int failed = cmocka_run_group_tests_name("ignored icmp errors, native", tests,
						 prog_group_setup, prog_group_teardown);

	failed += cmocka_run_group_tests_name("ignored icmp errors, tc", tests, prog_group_setup_tc,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("ignored icmp errors, generic", tests,
						    prog_group_setup_generic, prog_group_teardown);
}
