/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may reach what, for new flows and for sessions that exist: clients, grants, filters, several
 * resources behind one proxy address, and everything withdrawn while packets flow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#define PORT      5000
#define RESOURCE2 6

static const struct fq_filter WEB = {
	.ranges = 2,
	.range = {{.proto = PKT_TCP, .lo = 443, .hi = 443},
		  {.proto = PKT_TCP, .lo = 8000, .hi = 8100}},
};

/* Send one packet out; return its reason. */
static enum fq_reason out(struct prog *t, uint8_t proto, const char *proxy, uint16_t dport)
{
	struct prog_result res;
	struct pkt p;

	PKT(&p, .src = CLIENT4, .dst = proxy, .proto = proto, .sport = PORT, .dport = dport);
	prog_run(t, &p, CLIENT_SIDE, &res);
	return res.reason;
}

/* Send one answer in. */
static enum fq_reason in(struct prog *t, uint8_t proto, uint16_t sport)
{
	struct prog_result res;
	struct pkt p;

	PKT(&p, .src = SERVER4, .dst = GW4, .proto = proto,
	    .sport = proto == PKT_ICMP ? PORT : sport, .dport = PORT, .reply = true);
	prog_run(t, &p, SERVER_SIDE, &res);
	return res.reason;
}

/* F-01: without a filter everything is permitted. */
static void no_filter_permits_everything(void **state)
{
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 1), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 65535), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_ICMP, PROXY4, 0), FQ_R_TRANSLATED);
}

/* F-02, F-04: both ends belong to a range, what is not named is denied. */
static void ranges_are_inclusive_and_of_their_protocol(void **state)
{
	struct prog *t = *state;

	prog_filter(t, RESOURCE, &WEB);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 8000), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 8100), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 7999), FQ_R_FILTERED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 8101), FQ_R_FILTERED);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 443), FQ_R_FILTERED);
	assert_int_equal(out(t, PKT_ICMP, PROXY4, 0), FQ_R_FILTERED);
}

static void all_ranges_of_a_filter_count(void **state)
{
	struct prog *t = *state;
	struct fq_filter full = {.ranges = FQ_FILTER_RANGES};

	for (int i = 0; i < FQ_FILTER_RANGES; i++)
		full.range[i] =
			(struct fq_port_range){.proto = PKT_UDP, .lo = 100 + i, .hi = 100 + i};
	prog_filter(t, RESOURCE, &full);

	assert_int_equal(out(t, PKT_UDP, PROXY4, 100 + FQ_FILTER_RANGES - 1), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 100), FQ_R_FILTERED);
}

/* F-03, F-05: what ICMP there is to ask about is echo; errors are not asked about. */
static void icmp_filter_permits_echo(void **state)
{
	const struct fq_filter icmp = {.icmp = 1};
	struct prog *t = *state;

	prog_filter(t, RESOURCE, &icmp);
	assert_int_equal(out(t, PKT_ICMP, PROXY4, 0), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_ICMP, 0), FQ_R_TRANSLATED);

	prog_filter(t, RESOURCE, &WEB);
	prog_policy_changed(t);
	assert_int_equal(out(t, PKT_ICMP, PROXY4, 0), FQ_R_FILTERED);
}

/* F-06: rights belong to the proxy address, not to the host behind it. */
static void one_host_by_two_names_has_two_rights(void **state)
{
	const uint32_t second = RESOURCE2;
	const struct fq_filter dns = {.ranges = 1,
				      .range = {{.proto = PKT_UDP, .lo = 53, .hi = 53}}};
	struct prog *t = *state;

	prog_filter(t, RESOURCE, &WEB);
	prog_filter(t, RESOURCE2, &dns);
	prog_grant(t, CLIENT, RESOURCE2, 0);
	prog_xlat(t, PROXY4_B, SERVER4, DOMAIN + 1, &second, 1);
	prog_edge(t, PROXY4_B, FQ_EDGE_FORWARD);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 53), FQ_R_FILTERED);
	assert_int_equal(out(t, PKT_UDP, PROXY4_B, 53), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4_B, 443), FQ_R_FILTERED);
}

static struct fq_tuple web_tuple(void)
{
	return prog_tuple(PKT_TCP, CLIENT4, PORT, PROXY4, 443);
}

static void share(struct prog *t)
{
	const uint32_t both[] = {RESOURCE, RESOURCE2};

	prog_xlat(t, PROXY4, SERVER4, DOMAIN, both, 2);
}

/* M-06: the first resource, in order of specificity, that is granted and permits. */
static void first_permitting_resource_wins(void **state)
{
	const struct fq_filter any = {.allow_all = 1};
	const struct fq_tuple key = web_tuple();
	struct prog *t = *state;

	share(t);
	prog_filter(t, RESOURCE2, &any);
	prog_grant(t, CLIENT, RESOURCE2, 0);
	prog_filter(t, RESOURCE, &WEB);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &key).resource, RESOURCE);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 53), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &(struct fq_tuple){.src = key.src,
							    .dst = key.dst,
							    .sport = key.sport,
							    .proto = PKT_UDP})
				 .resource,
			 RESOURCE2);
}

/* M-06: filtered wins over not granted, so that the refusal says what is wrong. */
static void refusal_names_the_nearest_miss(void **state)
{
	struct prog *t = *state;

	share(t);
	prog_filter(t, RESOURCE, &WEB);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 53), FQ_R_FILTERED);
	prog_revoke(t, CLIENT, RESOURCE);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 53), FQ_R_NOT_GRANTED);
}

/* M-06, F-07, F-10: what one resource loses, another one may still permit; the session changes
 * hands. */
static void session_moves_to_another_resource_of_its_domain(void **state)
{
	const struct fq_filter any = {.allow_all = 1};
	const struct fq_tuple key = web_tuple();
	struct prog *t = *state;

	share(t);
	prog_filter(t, RESOURCE2, &any);
	prog_grant(t, CLIENT, RESOURCE2, 0);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &key).resource, RESOURCE);

	prog_revoke(t, CLIENT, RESOURCE);
	prog_policy_changed(t);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &key).resource, RESOURCE2);

	prog_revoke(t, CLIENT, RESOURCE2);
	prog_policy_changed(t);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_REVOKED);
}

/* F-09: a resource whose pattern no longer publishes the name permits its sessions no longer,
 * whatever its grant; another one may. */
static void session_loses_a_resource_that_left_its_name(void **state)
{
	const uint32_t second = RESOURCE2;
	const struct fq_filter any = {.allow_all = 1};
	const struct fq_tuple key = web_tuple();
	struct prog *t = *state;

	share(t);
	prog_filter(t, RESOURCE2, &any);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	prog_xlat(t, PROXY4, SERVER4, DOMAIN, &second, 1);
	prog_policy_changed(t);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);

	prog_grant(t, CLIENT, RESOURCE2, 0);
	prog_policy_changed(t);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &key).resource, RESOURCE2);
}

/* The proxy address has moved to another domain: its resources are none of the session's. */
static void session_gets_no_right_from_another_domain(void **state)
{
	const uint32_t second = RESOURCE2;
	const struct fq_filter any = {.allow_all = 1};
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	prog_filter(t, RESOURCE2, &any);
	prog_grant(t, CLIENT, RESOURCE2, 0);
	prog_xlat(t, PROXY4, SERVER4, DOMAIN + 1, &second, 1);
	prog_revoke(t, CLIENT, RESOURCE);
	prog_policy_changed(t);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
}

/* with the next packet, in both directions; the sender of out packets is told. */
static void revoked_grant_stops_the_session(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_TRANSLATED);
	prog_revoke(t, CLIENT, RESOURCE);
	prog_policy_changed(t);

	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .sport = PORT, .dport = 443);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NOT_GRANTED, PROXY4, 3, 13, 0);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_REVOKED);
}

/* F-09, A-08: a narrowed filter counts with the next packet. */
static void narrowed_filter_stops_the_session(void **state)
{
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 22), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_TCP, 22), FQ_R_TRANSLATED);
	prog_filter(t, RESOURCE, &WEB);
	prog_policy_changed(t);

	assert_int_equal(in(t, PKT_TCP, 22), FQ_R_REVOKED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 22), FQ_R_FILTERED);
}

static void policy_change_that_still_permits_is_noted(void **state)
{
	const struct fq_tuple key = web_tuple();
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	prog_filter(t, RESOURCE, &WEB);
	prog_policy_changed(t);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_session(t, &key).gen, prog_get_control(t).gen);
}

static void removed_client_loses_its_sessions(void **state)
{
	struct prog *t = *state;

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	prog_client(t, "192.0.2.2", 128, CLIENT + 1, SCOPE);
	prog_policy_changed(t);

	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_REVOKED);
}

static void longest_prefix_names_the_client(void **state)
{
	struct prog *t = *state;

	prog_client(t, "192.0.2.2", 128, CLIENT + 1, SCOPE);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
	prog_grant(t, CLIENT + 1, RESOURCE, 0);
	prog_quota(t, CLIENT + 1, 1);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_get_quota(t, CLIENT + 1).sessions, 1);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 0);
}

/* G-23: translations are those of the client's scope. */
static void scopes_do_not_share_translations(void **state)
{
	struct prog *t = *state;

	prog_client(t, "192.0.2.2", 128, CLIENT, SCOPE + 1);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NO_TRANSLATION);
}

/* a grant ends at its instant, without anybody changing the policy. */
static void expired_grant_stops_the_session(void **state)
{
	uint64_t expires = prog_now() + 2000000000; /* time enough to open a session */
	struct prog *t = *state;

	prog_grant(t, CLIENT, RESOURCE, expires);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_TRANSLATED);
	/* The programs' clock is some ticks behind. */
	while (prog_now() < expires + 100000000)
		usleep(1000);

	assert_int_equal(in(t, PKT_TCP, 443), FQ_R_REVOKED);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 443), FQ_R_NOT_GRANTED);
	/* granted anew, it goes on. */
	prog_grant(t, CLIENT, RESOURCE, 0);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_TRANSLATED);
}

/* F-08: a resource's grant is needed, a grant for another one with the same host is none. */
static void grant_for_one_resource_is_none_for_another(void **state)
{
	const uint32_t second = RESOURCE2;
	const struct fq_filter any = {.allow_all = 1};
	struct prog *t = *state;

	prog_filter(t, RESOURCE2, &any);
	prog_xlat(t, PROXY4, SERVER4, DOMAIN, &second, 1);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
}

/* an expiry in the past permits nothing. */
static void grant_that_has_expired_before_permits_nothing(void **state)
{
	struct prog *t = *state;

	prog_grant(t, CLIENT, RESOURCE, 1);
	assert_int_equal(out(t, PKT_TCP, PROXY4, 443), FQ_R_NOT_GRANTED);
}

/* G-46: a UDP mapping serves every port of the peer, if the filter permits that port. */
static void new_port_of_an_old_mapping_is_filtered(void **state)
{
	const struct fq_filter dns = {.ranges = 1,
				      .range = {{.proto = PKT_UDP, .lo = 53, .hi = 54}}};
	struct prog *t = *state;

	prog_filter(t, RESOURCE, &dns);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 53), FQ_R_TRANSLATED);

	assert_int_equal(out(t, PKT_UDP, PROXY4, 54), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_UDP, PROXY4, 55), FQ_R_FILTERED);
	assert_int_equal(in(t, PKT_UDP, 53), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_UDP, 54), FQ_R_TRANSLATED);
	assert_int_equal(in(t, PKT_UDP, 123), FQ_R_REVOKED);
	assert_int_equal(in(t, PKT_UDP, 53), FQ_R_TRANSLATED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(no_filter_permits_everything),
		T(ranges_are_inclusive_and_of_their_protocol),
		T(all_ranges_of_a_filter_count),
		T(icmp_filter_permits_echo),
		T(one_host_by_two_names_has_two_rights),
		T(first_permitting_resource_wins),
		T(refusal_names_the_nearest_miss),
		T(session_moves_to_another_resource_of_its_domain),
		T(session_loses_a_resource_that_left_its_name),
		T(session_gets_no_right_from_another_domain),
		T(revoked_grant_stops_the_session),
		T(narrowed_filter_stops_the_session),
		T(policy_change_that_still_permits_is_noted),
		T(removed_client_loses_its_sessions),
		T(longest_prefix_names_the_client),
		T(scopes_do_not_share_translations),
		T(expired_grant_stops_the_session),
		T(grant_for_one_resource_is_none_for_another),
		T(grant_that_has_expired_before_permits_nothing),
		T(new_port_of_an_old_mapping_is_filtered),
	};
	int failed;

	failed =
		cmocka_run_group_tests_name("policy", tests, prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("policy, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
