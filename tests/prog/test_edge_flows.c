/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An edge with remote gateways: flows stick to theirs, new ones follow the verdict; limits; and at
 * the gateway, clients of several edges.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/forward.h"

#include "fqdnat.skel.h"

/* ---- flows stick to their gateway ---- */

/* Session first: for a running flow the verdict is of no interest. */
static void running_flows_stick_to_their_gateway(void **state)
{
	static const struct {
		enum fq_edge_verdict verdict;
		uint32_t gateway;
	} later[] = {
		{FQ_EDGE_FORWARD, FWD_B}, {FQ_EDGE_REFUSE, FWD_A}, {FQ_EDGE_HOLD, FWD_B},
		{FQ_EDGE_HOLD, FWD_A},    {FQ_EDGE_FORWARD, 0},    {FQ_EDGE_REFUSE, FWD_B},
	};
	struct prog *t = *state;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		fwd_decide(t, later[i].verdict, later[i].gateway);
		fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_A);
		fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
		fwd_in_from(t, FWD_TCP, FWD_ANY);
	}
	assert_int_equal(prog_sessions(t), 4);
}

static void new_flows_follow_the_verdict(void **state)
{
	const struct fwd_flow other = {CLIENT4, PROXY4, PKT_TCP, 80};
	struct prog *t = *state;
	struct pkt p;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	fwd_out_to(t, &other, FWD_SYN, FWD_MAC_B);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_A);
	fwd_decide(t, FQ_EDGE_REFUSE, FWD_B);
	fwd_out(&p, FWD_UDP, FWD_ANY);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
	fwd_decide(t, FQ_EDGE_HOLD, FWD_B);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_HOLD);
	assert_int_equal(prog_sessions(t), 4);
}

/* A new connection on the old one's ports is new. */
static void a_syn_asks_anew(void **state)
{
	const struct fq_tuple key = fwd_key(FWD_TCP);
	struct prog *t = *state;
	struct pkt p;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_out(&p, FWD_TCP, FWD_SYN);
	fwd_decide(t, FQ_EDGE_HOLD, FWD_A);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	fwd_decide(t, FQ_EDGE_REFUSE, FWD_A);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_A);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_B);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_B);

	assert_int_equal(prog_session(t, &key).gateway, FWD_B);
	assert_int_equal(prog_session(t, &key).dir, FQ_DIR_OUT);
	assert_int_equal(prog_sessions(t), 2);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 1);
}

/* Run without looking: in less time than prog_run needs, and by any thread. */
static void run_bare(const struct prog *t, const struct pkt *p)
{
	struct xdp_md ctx = {.data_end = p->len, .ingress_ifindex = prog_ifindex(CLIENT_SIDE)};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = pkt_data(p), .data_size_in = p->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	assert_int_equal(bpf_prog_test_run_opts(t->fd, &opts), 0);
}

struct other_cpu {
	const struct prog *t;
	atomic_bool stop;
};

/* The flow's flags change all the time: a reset, and that the connection is alive after all. */
static void *change_flags(void *ctx)
{
	struct other_cpu *other = ctx;
	struct pkt reset, ack;

	fwd_out(&reset, FWD_TCP, (struct pkt_spec){.tcp_flags = 0x04});
	fwd_out(&ack, FWD_TCP, (struct pkt_spec){.tcp_flags = 0x10});
	while (!atomic_load(&other->stop)) {
		run_bare(other->t, &reset);
		run_bare(other->t, &ack);
	}
	return NULL;
}

/* The entry's flags and its gateway stand in one word; else the SYN goes to the new gateway, and
 * the rest of the connection to the old one. */
static void no_other_cpu_undoes_a_move(void **state)
{
	const struct fq_tuple key = fwd_key(FWD_TCP);
	struct prog *t = *state;
	struct other_cpu other = {.t = t};
	unsigned int undone = 0;
	struct pkt syn;
	pthread_t thread;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_out(&syn, FWD_TCP, FWD_SYN);
	assert_int_equal(pthread_create(&thread, NULL, change_flags, &other), 0);
	for (int i = 0; i < 50000; i++) {
		uint32_t gateway = i % 2 ? FWD_A : FWD_B;

		prog_edge_to(t, PROXY4, FQ_EDGE_FORWARD, gateway);
		run_bare(t, &syn);
		undone += prog_session(t, &key).gateway != gateway;
	}
	atomic_store(&other.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(undone, 0);
}

static void flows_of_a_gateway_that_is_down_ask_anew(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	prog_gateway(t, FWD_A, FWD_A4, false);
	/* nobody else is there: tried all the same */
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	fwd_decide(t, FQ_EDGE_HOLD, FWD_B);
	fwd_out(&p, FWD_UDP, FWD_ANY);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	fwd_decide(t, FQ_EDGE_REFUSE, FWD_B);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_DOMAIN_FAILED, PROXY4, 3, 0, 0);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_B);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_B);
	fwd_in_from(t, FWD_UDP, (struct pkt_spec){.smac = FWD_MAC_B});

	/* back again: what has moved stays where it is */
	prog_gateway(t, FWD_A, FWD_A4, true);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_A);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_B);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_B);
	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
}

static void a_gateway_that_is_not_configured_is_told(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	prog_gateway(t, FWD_A, NULL, false);
	fwd_out(&p, FWD_TCP, FWD_SYN);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_GATEWAY_UNKNOWN, PROXY4, 3, 0, 0);
	fwd_out(&p, &FWD_FLOWS[3], FWD_SYN);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_GATEWAY_UNKNOWN, PROXY6, 1, 3, 0);
	fwd_decide(t, FQ_EDGE_FORWARD, FQ_GATEWAYS_MAX);
	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_GATEWAY_UNKNOWN);
	assert_int_equal(prog_sessions(t), 2);
	fwd_decide(t, FQ_EDGE_FORWARD, FWD_B);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_B);
}

/* From then on it is translated here; the counts are right. */
static void a_flow_may_move_to_the_gateway_of_this_process(void **state)
{
	const struct fq_tuple key = fwd_key(FWD_TCP);
	const struct fq_tuple in_key = prog_tuple(PKT_TCP, PROXY4, 443, CLIENT4, FWD_PORT);
	struct prog *t = *state;

	fwd_out_to(t, FWD_TCP, FWD_SYN, FWD_MAC_A);
	prog_xlat_scope(t, 0, PROXY4, SERVER4);
	prog_grant(t, CLIENT, RESOURCE, 0);
	fwd_decide(t, FQ_EDGE_FORWARD, 0);
	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x10), FQ_R_FORWARDED);
	assert_int_equal(fwd_run_out(t, FWD_TCP, 0x02), FQ_R_TRANSLATED);

	assert_int_equal(prog_session(t, &key).gateway, 0);
	assert_false(prog_has_session(t, &in_key));
	assert_int_equal(prog_sessions(t), 2);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 1);
	assert_int_equal(prog_get_control(t).sessions, 1);
}

/* C-08: new flows of a domain whose status is outstanding make the edge ask again. */
static void new_flows_touch_their_domain(void **state)
{
	const struct fq_edge value = {
		.domain = DOMAIN, .gateway = FWD_A, .verdict = FQ_EDGE_FORWARD, .touch_at = 1};
	const struct fq_addr proxy = prog_addr(PROXY4);
	struct prog *t = *state;

	prog_put_edge(t, &proxy, &value);
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_A);
	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_TOUCH);
	assert_int_equal(t->upcall[0].gateway, 0);
}

/* What a half-removed session has left of its in entry is no obstacle. */
static void a_leftover_in_entry_is_replaced(void **state)
{
	const struct fq_tuple key = fwd_key(FWD_UDP);
	struct prog *t = *state;

	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	assert_true(prog_drop_session(t, &key));
	fwd_out_to(t, FWD_UDP, FWD_ANY, FWD_MAC_A);
	fwd_in_from(t, FWD_UDP, FWD_ANY);
	assert_int_equal(prog_sessions(t), 2);
}

/* ---- limits and scopes ---- */

static void the_clients_quota_counts_forwarded_flows(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	prog_quota(t, CLIENT, 2);
	for (size_t i = 0; i < 2; i++)
		fwd_out_to(t, &FWD_FLOWS[i], FWD_ANY, FWD_MAC_A);
	fwd_out(&p, &FWD_FLOWS[2], FWD_ANY);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_QUOTA, PROXY4, 3, 13, 0);
	fwd_out_to(t, FWD_TCP, FWD_ANY, FWD_MAC_A);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 2);
	assert_int_equal(prog_get_control(t).sessions, 2);
}

/* Clients of edges elsewhere: their packets are translated here, whatever our own edge thinks. */
static void use_scope(struct prog *t, const char *addr, uint32_t client, uint32_t scope,
		      uint32_t max)
{
	prog_client(t, addr, 128, client, scope);
	prog_grant(t, client, RESOURCE, 0);
	prog_quota(t, client, 1000);
	prog_scope(t, client, scope, max);
}

/* G-23: the same proxy address means another host for each edge. */
static void each_scope_has_its_own_translations(void **state)
{
	static const struct {
		const char *client, *real;
		const uint8_t *mac;
	} rows[] = {{"192.0.2.7", SERVER4, PKT_MAC_SERVER}, {"192.0.2.8", FWD_A4, FWD_MAC_A}};
	struct prog *t = *state;

	fwd_decide(t, FQ_EDGE_REFUSE, 0);
	for (uint32_t i = 0; i < 2; i++) {
		use_scope(t, rows[i].client, CLIENT + i + 1, i + 1, 10);
		prog_xlat_scope(t, i + 1, PROXY4, rows[i].real);
	}
	for (uint32_t i = 0; i < 2; i++) {
		struct pkt in, expected;

		PKT(&in, .src = rows[i].client, .dst = PROXY4, .proto = PKT_UDP, .sport = FWD_PORT,
		    .dport = 53);
		PKT(&expected, .src = GW4, .dst = rows[i].real, .proto = PKT_UDP, .sport = FWD_PORT,
		    .dport = 53, .ttl = 63, .dmac = rows[i].mac, .smac = PKT_MAC_GW_SERVER);
		prog_expect(t, &in, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	}
	assert_int_equal(fwd_run_out(t, FWD_UDP, 0), FQ_R_DOMAIN_FAILED);
}

static void a_scope_is_limited_as_a_whole(void **state)
{
	const struct fwd_flow one = {"192.0.2.7", PROXY4, PKT_TCP, 443};
	const struct fwd_flow two = {"192.0.2.8", PROXY4, PKT_TCP, 443};
	const struct fwd_flow more = {"192.0.2.8", PROXY4, PKT_TCP, 80};
	const struct fwd_flow other = {"192.0.2.9", PROXY4, PKT_TCP, 443};
	struct prog *t = *state;
	struct pkt p;

	use_scope(t, "192.0.2.7", CLIENT + 1, 7, 2);
	use_scope(t, "192.0.2.8", CLIENT + 2, 7, 2);
	use_scope(t, "192.0.2.9", CLIENT + 3, 8, 1);
	prog_xlat_scope(t, 7, PROXY4, SERVER4);
	prog_xlat_scope(t, 8, PROXY4, SERVER4);
	assert_int_equal(fwd_run_out(t, &one, 0x02), FQ_R_TRANSLATED);
	assert_int_equal(fwd_run_out(t, &two, 0x02), FQ_R_TRANSLATED);
	fwd_out(&p, &more, FWD_SYN);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_EDGE_QUOTA, PROXY4, 3, 13, 0);
	assert_int_equal(fwd_run_out(t, &two, 0x10), FQ_R_TRANSLATED);
	assert_int_equal(fwd_run_out(t, &other, 0x02), FQ_R_TRANSLATED);

	assert_int_equal(prog_get_quota(t, FQ_CLIENTS_MAX + 7).sessions, 2);
	assert_int_equal(prog_get_quota(t, FQ_CLIENTS_MAX + 8).sessions, 1);
	assert_int_equal(prog_get_quota(t, CLIENT + 2).sessions, 1);
	/* a full table gives back what was counted before */
	prog_limit(t, 3);
	prog_scope(t, CLIENT + 3, 8, 5);
	assert_int_equal(fwd_run_out(t, &(struct fwd_flow){"192.0.2.9", PROXY4, PKT_TCP, 80}, 0x02),
			 FQ_R_TABLE_FULL);
	assert_int_equal(prog_get_quota(t, FQ_CLIENTS_MAX + 8).sessions, 0);
	assert_int_equal(prog_get_quota(t, CLIENT + 3).sessions, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, fwd_world)
	const struct CMUnitTest native[] = {
		T(running_flows_stick_to_their_gateway),
		T(new_flows_follow_the_verdict),
		T(a_syn_asks_anew),
		T(no_other_cpu_undoes_a_move),
		T(flows_of_a_gateway_that_is_down_ask_anew),
		T(a_gateway_that_is_not_configured_is_told),
		T(a_flow_may_move_to_the_gateway_of_this_process),
		T(new_flows_touch_their_domain),
		T(a_leftover_in_entry_is_replaced),
		T(the_clients_quota_counts_forwarded_flows),
		T(each_scope_has_its_own_translations),
		T(a_scope_is_limited_as_a_whole),
	};

	return cmocka_run_group_tests_name("edge, flows", native, fwd_enter, prog_group_teardown);
}
