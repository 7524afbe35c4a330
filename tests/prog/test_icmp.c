/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors through the loaded program: from outside about what a client has sent, from a client
 * about what it has received. Byte for byte, with the session's state before and after.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/err_flow.h"

/* ---- both ways ---- */

static const uint8_t TYPES4[] = {3, 11, 12}, TYPES6[] = {1, 2, 3, 4};

/* Every type and code, from its usual sender and from @other; the session stays as it is. */
static void send_all(struct prog *t, const struct err_flow *f, uint16_t nat,
		     void (*expect)(struct prog *, const struct err_flow *, uint16_t,
				    struct pkt_error),
		     const char *other)
{
	const struct fq_tuple out = err_out_key(f), in = err_in_key(t, f);
	const struct session_entry before_out = prog_session(t, &out);
	const struct session_entry before_in = prog_session(t, &in);
	struct session_entry after;

	for (size_t i = 0; i < (err_is_v6(f) ? sizeof(TYPES6) : sizeof(TYPES4)); i++) {
		struct pkt_error e = {.type = err_is_v6(f) ? TYPES6[i] : TYPES4[i]};

		for (e.code = 0; e.code < 16; e.code++) {
			e.mtu = 1280 + e.code;
			e.src = NULL;
			expect(t, f, nat, e);
			e.src = other;
			expect(t, f, nat, e);
		}
	}
	after = prog_session(t, &out);
	assert_memory_equal(&before_out, &after, sizeof(after));
	after = prog_session(t, &in);
	assert_memory_equal(&before_in, &after, sizeof(after));
}

/* I-01, I-02, I-06, N-09: as if the proxy address had said so, and no session is touched. */
static void errors_from_outside_reach_the_client(void **state)
{
	struct prog *t = *state;

	FOR_ERR_FLOWS(f)
	{
		uint16_t nat = err_open_flow(t, f);

		assert_int_not_equal(nat, ERR_PORT);
		send_all(t, f, nat, err_expect_in, f->real);
	}
}

/* G-20: what a client has to say about what it has received. */
static void errors_of_clients_reach_the_resource(void **state)
{
	struct prog *t = *state;

	FOR_ERR_FLOWS(f)
	{
		uint16_t nat = err_open_flow(t, f);

		/* and a router on the client's side */
		send_all(t, f, nat, err_expect_out, f->inside);
	}
}

/* I-03: of every length that frames have. */
static void quotes_of_any_length_are_translated(void **state)
{
	struct prog *t = *state;

	FOR_ERR_FLOWS(f)
	{
		uint16_t nat = err_open_flow(t, f);
		struct pkt_error e = err_unreachable(f);
		size_t hlen = err_is_v6(f) ? 40 : 20;

		for (e.quote = hlen + 8; e.quote < hlen + 47; e.quote++) {
			/* half of a TCP checksum is left as it is */
			if (f->proto != PKT_TCP || e.quote != hlen + 17)
				err_expect_in(t, f, nat, e);
		}
		e.quote = 0;
		for (e.extensions = 1; e.extensions < 1300; e.extensions += 37)
			err_expect_in(t, f, nat, e);
		e.extensions = 0;
		for (e.quote = 1; e.quote < hlen + 8; e.quote++) {
			struct pkt p;

			err_from_outside(&p, f, nat, e);
			prog_expect(t, &p, SERVER_SIDE, FQ_R_MALFORMED, NULL);
			err_from_client(&p, f, nat, e);
			prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
		}
	}
}

/* G-46: errors about a session that exists pass, whatever its filter says by now. */
static void filters_are_not_asked(void **state)
{
	const struct fq_filter nothing = {.allow_all = 0};
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_UDP4);

	prog_filter(t, RESOURCE, &nothing);
	prog_policy_changed(t);
	err_expect_in(t, ERR_UDP4, nat, err_unreachable(ERR_UDP4));
	err_expect_out(t, ERR_UDP4, nat, err_unreachable(ERR_UDP4));
}

/* G-32: nothing is said about an error that can go no further. */
static void the_last_hop_is_not_told(void **state)
{
	struct prog *t = *state;
	struct pkt_error e;
	struct pkt p;

	FOR_ERR_FLOWS(f)
	{
		uint16_t nat = err_open_flow(t, f);

		e = err_unreachable(f);
		e.ttl = 2;
		err_expect_in(t, f, nat, e);
		err_expect_out(t, f, nat, e);
		e.ttl = 1;
		err_from_outside(&p, f, nat, e);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
		err_from_client(&p, f, nat, e);
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
	}
}

/* G-32: nor about one that is too big for its way. */
static void too_big_errors_are_not_answered(void **state)
{
	struct err_flow f = *ERR_UDP4;
	struct prog *t = *state;
	struct pkt_error e = {.type = 3, .extensions = 600};
	uint16_t nat;
	struct pkt p;

	f.real = NARROW4;
	prog_xlat(t, PROXY4, NARROW4, DOMAIN, (const uint32_t[]){RESOURCE}, 1);
	nat = err_open_flow(t, &f);
	err_from_client(&p, &f, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
}

/* RFC 6864: the source is shared, so ids that must be unique are ours, as of all packets. */
static void ids_of_errors_are_ours(void **state)
{
	static const uint8_t DF_OFF = PKT_L3 + 6, ID = PKT_L3 + 4, CHECK = PKT_L3 + 10;
	struct prog *t = *state;
	uint16_t nat = err_open_flow(t, ERR_UDP4);
	struct prog_result res;
	struct pkt p, expected;

	err_from_outside(&p, ERR_UDP4, nat, err_unreachable(ERR_UDP4));
	err_to_client(&expected, ERR_UDP4, nat, err_unreachable(ERR_UDP4));
	pkt_data(&p)[DF_OFF] = pkt_data(&expected)[DF_OFF] = 0;
	memset(pkt_data(&p) + CHECK, 0, 2);
	*(uint16_t *)(pkt_data(&p) + CHECK) = htons(pkt_checksum(pkt_data(&p) + PKT_L3, 20, 0));
	prog_run(t, &p, SERVER_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_ICMP_TRANSLATED);
	assert_int_not_equal(*(uint16_t *)(pkt_data(&res.out) + ID), 0);
	memcpy(pkt_data(&expected) + ID, pkt_data(&res.out) + ID, 2);
	memset(pkt_data(&expected) + CHECK, 0, 2);
	*(uint16_t *)(pkt_data(&expected) + CHECK) =
		htons(pkt_checksum(pkt_data(&expected) + PKT_L3, 20, 0));
	pkt_assert_equal(&res.out, &expected);
}

/* ---- by other ways ---- */

static void unknown_neighbours_are_the_kernels_to_find(void **state)
{
	struct err_flow f = *ERR_UDP4;
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;
	uint16_t nat;

	f.real = SILENT4;
	prog_xlat(t, PROXY4, SILENT4, DOMAIN, (const uint32_t[]){RESOURCE}, 1);
	nat = err_open_flow(t, &f);
	prog_poll(t);
	t->upcalls = 0;
	err_from_client(&p, &f, nat, err_unreachable(&f));
	err_to_resource(&expected, &f, nat, err_unreachable(&f));
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(res.reason, FQ_R_ICMP_TRANSLATED);
	assert_int_equal(res.verdict, XDP_DROP);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SLOW);
	assert_int_equal(t->upcall[0].len, expected.len);
	assert_memory_equal(t->upcall[0].frame + PKT_L3, pkt_data(&expected) + PKT_L3,
			    expected.len - PKT_L3);
}

/* I-06: a router may be seen, by a setting; the resource never is. */
static void routers_are_shown_if_wanted(void **state)
{
	struct fq_settings s = prog_settings();
	struct pkt p, expected;
	struct prog *t;

	(void)state;
	s.show_hops = 1;
	t = prog_new(&s, PROG_NATIVE);
	prog_dev(t, CLIENT_SIDE, GW_CLIENT4, GW_CLIENT6);
	FOR_ERR_FLOWS(f)
	{
		struct pkt_error e = {.type = err_is_v6(f) ? 3 : 11};
		uint16_t nat = err_open_flow(t, f);

		err_from_outside(&p, f, nat, e);
		e.src = f->outside;
		err_to_client(&expected, f, nat, e);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
		e.src = f->real;
		err_expect_in(t, f, nat, e);
		e.src = f->inside;
		err_expect_out(t, f, nat, e);

		/* the gateway is a router, too */
		PKT(&p, .src = f->client, .dst = f->proxy, .proto = f->proto, .sport = ERR_PORT,
		    .dport = ERR_PEER, .ttl = 1);
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED,
				    err_is_v6(f) ? GW_CLIENT6 : GW_CLIENT4, err_is_v6(f) ? 3 : 11,
				    0, 0);
	}
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
#define ALIKE                                                                             \
	T(errors_from_outside_reach_the_client), T(errors_of_clients_reach_the_resource), \
		T(quotes_of_any_length_are_translated), T(filters_are_not_asked),         \
		T(the_last_hop_is_not_told), T(too_big_errors_are_not_answered),          \
		T(ids_of_errors_are_ours), T(routers_are_shown_if_wanted)
	/* tc has the kernel ask for the neighbour itself: prog/test_tc.c */
	const struct CMUnitTest tc[] = {ALIKE};
	const struct CMUnitTest tests[] = {ALIKE, T(unknown_neighbours_are_the_kernels_to_find)};
	int failed = cmocka_run_group_tests_name("icmp errors, native", tests, prog_group_setup,
						 prog_group_teardown);

	failed += cmocka_run_group_tests_name("icmp errors, VLANs", tests, prog_group_setup_vlan,
					      prog_group_teardown);
	failed += cmocka_run_group_tests_name("icmp errors, tc", tc, prog_group_setup_tc,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("icmp errors, generic", tests,
						    prog_group_setup_generic, prog_group_teardown);
}
