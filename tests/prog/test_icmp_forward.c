/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge with remote gateways: ICMP errors about forwarded flows go to the client and to the
 * flow's gateway as they are, a hop further.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/forward.h"

#define ROUTER4 "198.51.100.77"
#define ROUTER6 "2001:db8:2::77"

static bool is_v6(const struct fwd_flow *f)
{
	return strchr(f->client, ':') != NULL;
}

/* An error about what has gone out (@in) or come in, at its @ttl, on its way between these MACs. */
static void error(struct pkt *p, const struct fwd_flow *f, bool in, uint8_t ttl,
		  const uint8_t *smac, const uint8_t *dmac)
{
	struct pkt quoted;

	if (in)
		fwd_out_forwarded(&quoted, f, FWD_ANY, FWD_MAC_A);
	else
		fwd_in_forwarded(&quoted, f, FWD_ANY);
	pkt_build_error(p,
			&(struct pkt_error){
				.src = !in        ? f->client
				       : is_v6(f) ? ROUTER6
						  : ROUTER4,
				.dst = in ? f->client : f->proxy,
				.type = is_v6(f) ? 2 : 3,
				.code = is_v6(f) ? 0 : 4,
				.mtu = 1300,
				.ttl = ttl,
				.smac = smac,
				.dmac = dmac,
			},
			&quoted);
}

/* The routers between edge and gateway are seen: nothing is translated here. */
static void errors_reach_the_client_as_they_are(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		const struct fwd_flow *f = &FWD_FLOWS[i];
		const struct fq_tuple key = fwd_key(f);
		struct session_entry before, after;

		fwd_out_to(t, f, FWD_ANY, FWD_MAC_A);
		before = prog_session(t, &key);
		error(&p, f, true, 64, FWD_MAC_A, PKT_MAC_GW_SERVER);
		error(&expected, f, true, 63, PKT_MAC_GW_CLIENT, PKT_MAC_CLIENT);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
		after = prog_session(t, &key);
		assert_memory_equal(&before, &after, sizeof(after));
	}
}

/* Whatever the route of the proxy address says. */
static void errors_reach_the_gateway_of_their_flow(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		const struct fwd_flow *f = &FWD_FLOWS[i];

		fwd_out_to(t, f, FWD_ANY, FWD_MAC_A);
		error(&p, f, false, 64, PKT_MAC_CLIENT, PKT_MAC_GW_CLIENT);
		error(&expected, f, false, 63, PKT_MAC_GW_SERVER, FWD_MAC_A);
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
	}
}

static void without_a_flow_nothing_is_forwarded(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	for (size_t i = 0; i < FWD_FLOWS_COUNT; i++) {
		error(&p, &FWD_FLOWS[i], true, 64, FWD_MAC_A, PKT_MAC_GW_SERVER);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
		error(&p, &FWD_FLOWS[i], false, 64, PKT_MAC_CLIENT, PKT_MAC_GW_CLIENT);
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	}
}

/* C-22: nobody but who is on the way to the gateway speaks about its flows. */
static void errors_from_elsewhere_are_dropped(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_dev(t, CLIENT_SIDE, GW_CLIENT4, GW_CLIENT6);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	error(&p, FWD_UDP, true, 64, PKT_MAC_CLIENT, PKT_MAC_GW_CLIENT);
	error(&expected, FWD_UDP, true, 63, PKT_MAC_GW_CLIENT, PKT_MAC_CLIENT);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_WRONG_GATEWAY, NULL);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}

/* G-32: nothing is answered, whatever stands in the way. */
static void what_cannot_go_to_its_gateway_is_dropped(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	error(&p, FWD_UDP, false, 1, PKT_MAC_CLIENT, PKT_MAC_GW_CLIENT);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
	error(&p, FWD_UDP, false, 64, PKT_MAC_CLIENT, PKT_MAC_GW_CLIENT);
	prog_gateway(t, FWD_A, NULL, true);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, fwd_world)
	const struct CMUnitTest tests[] = {
		T(errors_reach_the_client_as_they_are),
		T(errors_reach_the_gateway_of_their_flow),
		T(without_a_flow_nothing_is_forwarded),
		T(errors_from_elsewhere_are_dropped),
		T(what_cannot_go_to_its_gateway_is_dropped),
	};
	int failed = cmocka_run_group_tests_name("icmp errors of forwarded flows", tests, fwd_enter,
						 prog_group_teardown);

	return failed + cmocka_run_group_tests_name("icmp errors of forwarded flows, generic",
						    tests, fwd_enter_generic, prog_group_teardown);
}
