/* SPDX-License-Identifier: BSD-2-Clause */
/* Removal of sessions, and how they are shown (user/dataplane: sessions, view). */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"

#define S(n) ((uint64_t)(n)*NSEC_PER_SEC)

static const struct instant at_1000_s = {1000 * NSEC_PER_SEC};

/* The whole table, in parts. */
static struct dp_sweep sweep_all(struct dataplane *dp, struct instant now)
{
	struct dp_sweep sum = {0}, part = {0};

	for (unsigned int i = 0; i < 10000 && !sum.pass_done; i++) {
		part = dataplane_sweep(dp, now, 64);
		assert_true(part.examined <= 64);
		sum.examined += part.examined;
		sum.expired += part.expired;
		sum.orphans += part.orphans;
		sum.pass_done = part.pass_done;
	}
	assert_true(sum.pass_done);
	return sum;
}

static void udp(struct dataplane *dp, uint16_t port, uint64_t last_out, uint64_t last_in)
{
	dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_UDP,
					      .client_port = port,
					      .nat_port = port,
					      .port = 53,
					      .created = S(1),
					      .last_out = last_out,
					      .last_in = last_in});
}

/* N-06: what has been idle is removed, both halves of it, and nothing else; counters follow */
static void idle_sessions_are_removed_and_busy_ones_are_not(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dp_sweep sweep;

	(void)state;
	for (uint16_t i = 0; i < 300; i++) {
		udp(dp, 2000 + i, S(600), S(650)); /* idle for 350 s */
		udp(dp, 3000 + i, S(700), S(950)); /* replied to 50 s ago */
		udp(dp, 4000 + i, S(870), 0);      /* never answered, 130 s */
		udp(dp, 5000 + i, S(980), 0);      /* never answered, 20 s */
	}
	assert_int_equal(dataplane_sessions_used(dp), 1200);

	sweep = sweep_all(dp, at_1000_s);

	/* The other halves of what is removed are not always met. */
	assert_in_range(sweep.examined, 1800, 2400);
	assert_int_equal(sweep.expired, 600);
	assert_int_equal(sweep.orphans, 0);
	assert_int_equal(dpt_entries("sessions"), 1200);
	assert_int_equal(dataplane_sessions_used(dp), 600);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), 600);
	assert_int_equal(dpt_count(FQ_R_SESSION_EXPIRED), 600);
}

/* N-08: tuples of ended sessions are kept in a table that cannot grow */
static void an_ended_session_leaves_a_tombstone_for_a_time(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct fq_tuple in = {.src = dpt_addr(DPT_SERVER4),
			      .dst = dpt_addr(DPT_GW4),
			      .dport = htons(2000),
			      .proto = IPPROTO_UDP};
	struct fq_tombstone stone = {0};
	struct fq_addr client = dpt_addr(DPT_CLIENT4);

	(void)state;
	udp(dp, 2000, S(1), S(2));
	sweep_all(dp, at_1000_s);

	assert_int_equal(dpt_entries("tombstones"), 1);
	assert_int_equal(bpf_map_lookup_elem(dp->maps[M_TOMBSTONES], &in, &stone), 0);
	assert_int_equal(stone.until, S(1010));
	assert_memory_equal(&stone.client, &client, sizeof(client));
}

/* Nobody here holds the tuple of a forwarded session for anybody. */
static void a_forwarded_session_leaves_none(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dpt_session forwarded = {.proto = IPPROTO_UDP,
					.client_port = 4000,
					.nat_port = 4000,
					.port = 53,
					.nat = DPT_CLIENT4,
					.real = DPT_PROXY4,
					.gateway = 3,
					.created = S(1),
					.last_out = S(1),
					.last_in = S(2)};
	uint64_t flushed;

	(void)state;
	dpt_session(dp, &forwarded);
	assert_int_equal(sweep_all(dp, at_1000_s).expired, 1);
	dpt_session(dp, &forwarded);
	flushed = dataplane_flush(dp, &(struct dp_match){0}, at_1000_s);

	assert_int_equal(flushed, 1);
	assert_int_equal(dpt_entries("sessions"), 0);
	assert_int_equal(dpt_entries("tombstones"), 0);
	assert_int_equal(dataplane_sessions_used(dp), 0);
}

static void tcp(struct dataplane *dp, uint16_t port, uint8_t seen_out, uint8_t seen_in)
{
	dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_TCP,
					      .client_port = port,
					      .nat_port = port,
					      .port = 80,
					      .created = S(1),
					      .last_out = S(900),
					      .last_in = S(1000),
					      .seen_out = seen_out,
					      .seen_in = seen_in});
}

/* N-06, N-10: TCP goes by its state, each with the time that is configured for it */
static void tcp_sessions_go_by_their_state(void **state)
{
	enum { OPEN = FQ_TCP_SYN | FQ_TCP_ACK };
	struct dp_settings settings = dpt_settings();
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;

	(void)state;
	settings.expiry.tcp_reset_ns = 100 * NSEC_PER_SEC;
	settings.expiry.tcp_closing_ns = 200 * NSEC_PER_SEC;
	settings.expiry.tcp_opening_ns = 300 * NSEC_PER_SEC;
	settings.expiry.tcp_established_ns = 400 * NSEC_PER_SEC;
	assert_int_equal(dataplane_open(&settings, NULL, &dp), 0);
	tcp(dp, 1, OPEN | FQ_TCP_RST, OPEN | FQ_TCP_RST);
	tcp(dp, 2, OPEN | FQ_TCP_FIN, OPEN | FQ_TCP_FIN);
	tcp(dp, 3, FQ_TCP_SYN, OPEN);
	tcp(dp, 4, OPEN, OPEN);
	tcp(dp, 5, OPEN | FQ_TCP_FIN, OPEN);

	for (unsigned int s = 100; s <= 300; s += 100) {
		assert_int_equal(sweep_all(dp, (struct instant){S(1000 + s - 1)}).expired, 0);
		assert_int_equal(sweep_all(dp, (struct instant){S(1000 + s)}).expired, 1);
	}
	assert_int_equal(sweep_all(dp, (struct instant){S(1399)}).expired, 0);
	assert_int_equal(sweep_all(dp, (struct instant){S(1400)}).expired, 2);
}

/* N-06: a configured idle time holds from the next look on */
static void idle_times_are_those_of_the_settings(void **state)
{
	struct dp_settings settings = dpt_settings();
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;

	(void)state;
	settings.expiry.udp_ns = 10 * NSEC_PER_SEC;
	assert_int_equal(dataplane_open(&settings, NULL, &dp), 0);
	udp(dp, 1, S(980), S(985));

	assert_int_equal(sweep_all(dp, at_1000_s).expired, 1);
}

static void halves_without_their_other_half_are_removed(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct dpt_session half = {.proto = IPPROTO_UDP,
				   .client_port = 1,
				   .nat_port = 1,
				   .created = S(990),
				   .last_out = S(999),
				   .last_in = S(999)};
	struct dp_sweep sweep;

	(void)state;
	half.no_out = true;
	dpt_session(dp, &half);
	half = (struct dpt_session){.proto = IPPROTO_UDP,
				    .client_port = 2,
				    .nat_port = 2,
				    .created = S(990),
				    .last_out = S(999),
				    .no_in = true};
	dpt_session(dp, &half);
	/* Only just being made. */
	half.client_port = 3;
	half.created = S(998);
	dpt_session(dp, &half);
	udp(dp, 4, S(999), S(999));

	sweep = sweep_all(dp, at_1000_s);

	assert_int_equal(sweep.orphans, 2);
	assert_int_equal(sweep.expired, 0);
	assert_int_equal(dpt_entries("sessions"), 3);
	assert_int_equal(dataplane_sessions_used(dp), 2);
}

/* Two out entries lead to one in entry: it belongs to the one it leads back to. */
static void a_half_that_leads_elsewhere_is_not_taken_along(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	uint64_t flushed;

	(void)state;
	udp(dp, 1, S(999), S(999));
	dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_UDP,
					      .client_port = 2,
					      .nat_port = 1,
					      .created = S(1),
					      .last_out = S(2),
					      .no_in = true,
					      .domain_id = 44});
	flushed = dataplane_flush(dp, &(struct dp_match){.domain = &(uint32_t){44}}, at_1000_s);

	assert_int_equal(flushed, 1);
	assert_int_equal(dpt_entries("sessions"), 2);
	assert_int_equal(dpt_entries("tombstones"), 0);
}

static void counters_never_go_below_zero(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_UDP,
					      .client_port = 1,
					      .nat_port = 1,
					      .created = S(1),
					      .uncounted = true});
	assert_int_equal(sweep_all(dp, at_1000_s).expired, 1);
	assert_int_equal(dataplane_sessions_used(dp), 0);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), 0);
}

static void one_pass(struct dataplane *dp, unsigned int parts)
{
	struct dp_sweep sweep = {0};
	uint64_t examined = 0;

	for (unsigned int i = 0; i < parts; i++) {
		assert_false(sweep.pass_done);
		sweep = dataplane_sweep(dp, at_1000_s, 1024);
		examined += sweep.examined;
	}
	assert_true(sweep.pass_done);
	assert_int_equal(examined, 6000);
}

/* The first pass after a start looks at every session closely, later ones at who may have ended. */
static void a_sweep_does_as_much_as_it_is_told_to(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	const uint32_t slots = dp->table.table->slots;

	(void)state;
	for (uint16_t i = 0; i < 3000; i++)
		udp(dp, 2000 + i, S(990), S(990));
	assert_int_equal(sweep_all(dp, at_1000_s).examined, 6000);
	one_pass(dp, (slots + 1023) / 1024);
}

/* What has been removed is free again after a grace period, for whomever it is the place then. */
static void removed_entries_make_room_for_others(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (uint16_t i = 0; i < 2000; i++)
			udp(dp, 2000 + i, S(1), S(1));
		assert_int_equal(sweep_all(dp, at_1000_s).expired, 2000);
		assert_int_equal(dpt_entries("sessions"), 0);
		grace_drain(dp->grace);
		assert_int_equal(grace_pending(dp->grace), 0);
		for (uint32_t i = 0; i < dp->table.table->slots; i++)
			if (dp->table.slot[i].word || dp->table.slot[i].bits)
				fail_msg("round %d: slot %u is not free", round, i);
	}
}

/* A program, or a daemon that has died since, has removed them. */
static void dead_entries_of_others_are_freed(void **state)
{
	struct dataplane *dp = dpt_open();

	(void)state;
	for (uint16_t i = 0; i < 100; i++)
		udp(dp, 2000 + i, S(990), S(990));
	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		if (dp->table.slot[i].word && i % 3)
			assert_true(table_end(&dp->table, i));
		else if (dp->table.slot[i].word) /* died before it had unlinked it */
			dp->table.slot[i].state |= TABLE_DEAD;
	dataplane_free(dp);
	dp = dpt_open();
	grace_drain(dp->grace);
	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		assert_true(!dp->table.slot[i].word && !dp->table.slot[i].bits);
	dataplane_free(dp);
}

static uint64_t flush(struct dataplane *dp, const struct dp_match *match)
{
	uint64_t flushed;

	flushed = dataplane_flush(dp, match, at_1000_s);
	return flushed;
}

static void three_sessions(struct dataplane *dp)
{
	struct dpt_session a = {.proto = IPPROTO_TCP, .client_port = 1, .nat_port = 1, .port = 80};
	struct dpt_session b = {.proto = IPPROTO_UDP,
				.client_port = 1,
				.nat_port = 1,
				.client = "192.0.2.77",
				.proxy = "100.96.0.9",
				.real = "203.0.113.1",
				.client_id = 2,
				.resource_id = 6,
				.domain_id = 10};
	struct dpt_session c = {.proto = IPPROTO_ICMPV6,
				.client_port = 1,
				.nat_port = 1,
				.client = DPT_CLIENT6,
				.proxy = DPT_PROXY6,
				.nat = DPT_GW6,
				.real = DPT_SERVER6};

	dpt_session(dp, &a);
	dpt_session(dp, &b);
	dpt_session(dp, &c);
}

/* sessions of a client, a resource or a domain that goes away are removed at once */
static void flush_takes_what_matches_and_nothing_else(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	struct fq_addr proxy = dpt_addr("100.96.0.9"), real = dpt_addr(DPT_SERVER6);
	struct fq_addr nats[] = {dpt_addr("198.51.100.99"), dpt_addr(DPT_GW6)};
	struct ipprefix host, net;
	const struct dp_match matches[] = {
		{.client_addr = &host},
		{.proxy = &proxy},
		{.domain = &(uint32_t){10}},
		{.client = &(uint32_t){2}},
		{.resource = &(uint32_t){6}},
		{.client_addr = &net, .domain = &(uint32_t){10}},
		{.real = &real},
		{.nat = nats, .nats = 2},
	};

	(void)state;
	assert_int_equal(ipprefix_parse("192.0.2.77", &host), 0);
	assert_int_equal(ipprefix_parse("192.0.2.0/24", &net), 0);
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		three_sessions(dp);
		assert_int_equal(flush(dp, &matches[i]), 1);
		assert_int_equal(dpt_entries("sessions"), 4);
		assert_int_equal(flush(dp, &(struct dp_match){0}), 2);
	}

	assert_int_equal(dataplane_sessions_used(dp), 0);
	assert_int_equal(dataplane_quota_used(dp, 2), 0);
	assert_int_equal(dpt_count(FQ_R_SESSION_REVOKED), 3 * 8);
	assert_int_equal(dpt_entries("tombstones"), 3);
	three_sessions(dp);
	assert_int_equal(
		flush(dp, &(struct dp_match){.client_addr = &net, .client = &(uint32_t){9}}), 0);
}

/* All domains that are looked for are found by one walk, wherever they are in the list. */
static void flush_takes_the_sessions_of_many_domains(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	const uint32_t domains[] = {1, 10, 20, 30, 0xfffffffe}, none[] = {9};

	(void)state;
	for (uint32_t domain = 1; domain <= 40; domain++)
		dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_UDP,
						      .client_port = (uint16_t)(100 + domain),
						      .nat_port = (uint16_t)(100 + domain),
						      .port = 53,
						      .domain_id = domain});

	assert_int_equal(flush(dp, &(struct dp_match){.domains = domains, .domain_count = 5}), 4);
	assert_int_equal(flush(dp, &(struct dp_match){.domains = domains, .domain_count = 5}), 0);
	assert_int_equal(flush(dp, &(struct dp_match){.domains = none, .domain_count = 0}), 0);
	assert_int_equal(flush(dp, &(struct dp_match){.domains = none, .domain_count = 1}), 1);
	assert_int_equal(dataplane_sessions_used(dp), 35);
}

struct rows {
	struct dpview_session row[8];
	unsigned int count;
};

static int keep_row(void *ctx, const struct dpview_session *row)
{
	struct rows *rows = ctx;

	rows->row[rows->count++] = *row;
	return 0;
}

static void a_row_joins_both_directions(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct rows rows = {.count = 0};
	const struct dpview_session *row = &rows.row[0];
	uint32_t other = 8;
	struct fq_addr a;

	(void)state;
	dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_TCP,
					      .client_port = 4000,
					      .nat_port = 5000,
					      .port = 443,
					      .created = S(800),
					      .last_out = S(900),
					      .last_in = S(990),
					      .seen_out = FQ_TCP_FIN,
					      .seen_in = FQ_TCP_FIN});
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_sessions(view, NULL, at_1000_s, keep_row, &rows), 0);

	assert_int_equal(rows.count, 1);
	assert_int_equal(row->proto, IPPROTO_TCP);
	assert_string_equal(session_state_name(row->state), "closing");
	a = dpt_addr(DPT_PROXY4);
	assert_true(ipaddr_equal(&row->proxy, &a));
	a = dpt_addr(DPT_GW4);
	assert_true(ipaddr_equal(&row->nat, &a));
	a = dpt_addr(DPT_SERVER4);
	assert_true(ipaddr_equal(&row->real, &a));
	assert_int_equal(row->client_port, 4000);
	assert_int_equal(row->nat_port, 5000);
	assert_int_equal(row->port, 443);
	assert_int_equal(row->real_port, 443);
	assert_int_equal(row->domain_id, DPT_DOMAIN);
	/* Instants of packets are rounded down. */
	assert_in_range(row->idle_ns, S(10), S(10) + (1 << 20));
	assert_int_equal(row->idle_ns + row->expires_ns, S(240));
	assert_int_equal(dpview_sessions(view, &(struct dp_match){.domain = &other}, at_1000_s,
					 keep_row, &rows),
			 0);
	assert_int_equal(rows.count, 1);
}

static int stop_at_first(void *ctx, const struct dpview_session *row)
{
	(void)row;
	++*(unsigned int *)ctx;
	return 7;
}

static void a_callback_can_end_the_walk(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	unsigned int calls = 0;

	(void)state;
	three_sessions(dp);
	assert_int_equal(dpview_open(dpt_bpffs(), NULL, &view), 0);
	assert_int_equal(dpview_sessions(view, NULL, at_1000_s, stop_at_first, &calls), 7);
	assert_int_equal(calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(idle_sessions_are_removed_and_busy_ones_are_not,
					  dpt_clean),
		cmocka_unit_test_teardown(an_ended_session_leaves_a_tombstone_for_a_time,
					  dpt_clean),
		cmocka_unit_test_teardown(a_forwarded_session_leaves_none, dpt_clean),
		cmocka_unit_test_teardown(tcp_sessions_go_by_their_state, dpt_clean),
		cmocka_unit_test_teardown(idle_times_are_those_of_the_settings, dpt_clean),
		cmocka_unit_test_teardown(halves_without_their_other_half_are_removed, dpt_clean),
		cmocka_unit_test_teardown(a_half_that_leads_elsewhere_is_not_taken_along,
					  dpt_clean),
		cmocka_unit_test_teardown(counters_never_go_below_zero, dpt_clean),
		cmocka_unit_test_teardown(a_sweep_does_as_much_as_it_is_told_to, dpt_clean),
		cmocka_unit_test_teardown(removed_entries_make_room_for_others, dpt_clean),
		cmocka_unit_test_teardown(dead_entries_of_others_are_freed, dpt_clean),
		cmocka_unit_test_teardown(flush_takes_what_matches_and_nothing_else, dpt_clean),
		cmocka_unit_test_teardown(flush_takes_the_sessions_of_many_domains, dpt_clean),
		cmocka_unit_test_teardown(a_row_joins_both_directions, dpt_clean),
		cmocka_unit_test_teardown(a_callback_can_end_the_walk, dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
