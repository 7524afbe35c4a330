/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways of the edge that come, are lost, say Goodbye and come back. */
#include "edge_lab.h"

#include <stdio.h>

/* A: gateway 1, else 2; B: 2, else 1; C: 1 only. All are up. */
static int setup_pairs(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "**.a", IP_STACK_DUAL, 1, 2),
		bed_resource('B', "**.b", IP_STACK_DUAL, 2, 1),
		bed_resource('C', "**.c", IP_STACK_DUAL, 1, 0),
	};

	(void)state;
	bed_open(&bed, NULL);
	reload("", list, 3);
	bed_do(&bed, 0, "up 1");
	bed_do(&bed, 0, "up 2");
	return 0;
}

#define ASK_A "A@1 none>pending; send A@1 #1 4+4; x.a hold @1"

static void confirm_a(void)
{
	expect(0, "query x.a", "new x.a; " ASK_A);
	expect(1, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1");
}

/* ---- Goodbye ---- */

/* C-18: what holds packets is asked for at the next gateway at once. */
static void goodbye_moves_held_domains(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "packet x.a 7");
	expect(2, "gone 1",
	       "A@1 pending>none; x.a hold; A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
	expect(3, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2; release x.a 7");
}

/* C-18: what holds none is asked for when somebody wants it. */
static void goodbye_leaves_open_domains_to_their_packets(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	expect(2, "gone 1", "A@1 pending>none; x.a hold");
	expect(60000, "tick", "");
	expect(60001, "packet x.a 7", "A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
}

/* C-18: confirmed ones, too; their new flows wait for the other gateway's answer. */
static void goodbye_asks_for_confirmed_domains_lazily(void **state)
{
	(void)state;
	confirm_a();
	expect(2, "gone 1", "A@1 confirmed>none; x.a hold");
	expect(3, "query x.a", "A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
	expect(4, "active x.a A@1 #1", "unknown");
	expect(5, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2");
}

/* C-18: with no other gateway, everything waits for this one. */
static void goodbye_without_another_gateway_waits(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.c");
	bed_do(&bed, 1, "packet x.c 7");
	expect(2, "gone 1", "C@1 pending>none; x.c hold");
	expect(3, "up 1", "C@1 none>pending; send C@1 #2 4+4; x.c hold @1");
}

/* ---- silence ---- */

/* C-20: the same for a gateway that is lost while another one can serve. */
static void silence_moves_held_domains(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "packet x.a 7");
	expect(2, "lost 1",
	       "A@1 pending>none; x.a hold; A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
	expect(3, "inactive x.a A@2", "A@2 pending>failed; x.a refuse; dropped x.a 1");
}

/* C-20 */
static void silence_asks_for_confirmed_domains_lazily(void **state)
{
	(void)state;
	confirm_a();
	expect(2, "lost 1", "A@1 confirmed>none; x.a hold");
	expect(60000, "tick", "");
	expect(60001, "packet x.a 7", "A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
	expect(60002, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2; release x.a 7");
}

/* C-20: flows of a domain that is being recreated are no reason to ask, either. */
static void silence_lets_recreating_domains_vanish(void **state)
{
	(void)state;
	confirm_a();
	expect(500, "query x.a", "A@1 confirmed>recreating");
	expect(600, "lost 1", "A@1 recreating>none; x.a hold");
	expect(9000, "tick", "");
	expect(9001, "query x.a", "A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
}

/* C-09, C-20: a failed domain stays refused; its own query asks the other gateway. */
static void silence_leaves_failed_domains_alone(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 0, "active x.a A@1");
	expect(1, "inactive x.a A@1", "A@1 confirmed>failed; x.a refuse");
	expect(2, "lost 1", "");
	expect(3, "packet x.a 7", "release x.a 7");
	expect(4, "query y.a", "new y.a; A@2 none>pending; send A@2 #2 4+4; y.a hold @2");
	expect(5, "query x.a", "A@1 failed>none; A@2 none>pending; send A@2 #3 4+4; x.a hold @2");
}

/* C-20: with no other gateway, silence clears nothing. */
static void silence_without_another_gateway_clears_nothing(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.c");
	bed_do(&bed, 1, "active x.c C@1");
	bed_do(&bed, 2, "query y.c");
	expect(3000, "lost 1", "C@1 pending>recreating");
	expect(3001, "packet x.c 7", "release x.c 7");
	expect(3002, "packet y.c 8", "");
	expect(3003, "up 1", "C@1 recreating>pending; send C@1 #3 4+4");
	expect(3004, "active y.c C@1", "C@1 pending>confirmed; y.c forward @1; release y.c 8");
}

/* C-20: a gateway that comes later takes over what another one was lost with. */
static void late_gateway_takes_over(void **state)
{
	(void)state;
	bed_do(&bed, 0, "gone 2");
	confirm_a();
	bed_do(&bed, 2, "query y.a");
	bed_do(&bed, 2, "inactive y.a A@1");
	bed_do(&bed, 3, "query z.a");
	bed_do(&bed, 3, "packet z.a 7");
	expect(4, "lost 1", "A@1 pending>recreating");
	expect(5, "up 2",
	       "A@1 confirmed>none; x.a hold; A@1 recreating>none; z.a hold; "
	       "A@2 none>pending; send A@2 #4 4+4; z.a hold @2");
	assert_int_equal(bed_state(&bed, "y.a", 'A'), EDGE_FAILED);
}

/* C-08: a flow that passes has a domain asked for that could not be asked for before. */
static void touch_asks_for_what_was_queried_in_silence(void **state)
{
	(void)state;
	bed_do(&bed, 0, "query x.c");
	bed_do(&bed, 1, "active x.c C@1");
	bed_do(&bed, 2, "lost 1");
	expect(5000, "query x.c", "C@1 confirmed>recreating");
	expect(5001, "touch x.c", "");
	expect(6000, "up 1", "x.c forward @1 touch -1000");
	expect(6001, "touch x.c", "C@1 recreating>pending; send C@1 #2 4+4; x.c forward @1");
}

/* ---- recovery ---- */

/* The preferred gateway is used again with the next query; packets stay where they are. */
static void recovered_gateway_serves_with_the_next_query(void **state)
{
	(void)state;
	confirm_a();
	bed_do(&bed, 2, "lost 1");
	bed_do(&bed, 3, "query x.a");
	expect(4, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2");
	expect(5000, "up 1", "");
	expect(5001, "packet x.a 7", "release x.a 7");
	expect(5002, "query y.a", "new y.a; A@1 none>pending; send A@1 #3 4+4; y.a hold @1");
	expect(5003, "query x.a",
	       "A@2 confirmed>none; A@1 none>pending; send A@1 #4 4+4; x.a hold @1");
	expect(5004, "packet x.a 8", "");
	expect(5005, "query x.a", "");
	expect(5006, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1; release x.a 8");
}

/* Packets that were held for the less preferred gateway are released by the preferred one. */
static void recovered_gateway_takes_held_packets(void **state)
{
	(void)state;
	bed_do(&bed, 0, "lost 1");
	bed_do(&bed, 1, "query x.a");
	bed_do(&bed, 2, "packet x.a 7");
	bed_do(&bed, 3, "up 1");
	expect(4, "query x.a", "A@2 pending>none; A@1 none>pending; send A@1 #2 4+4; x.a hold @1");
	expect(5, "active x.a A@2 #1", "unknown");
	expect(6, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1; release x.a 7");
}

/* A failed domain asks the recovered gateway, with its query only. */
static void recovered_gateway_is_asked_for_failed_domains(void **state)
{
	(void)state;
	bed_do(&bed, 0, "lost 1");
	bed_do(&bed, 1, "query x.a");
	bed_do(&bed, 2, "inactive x.a A@2");
	expect(3, "up 1", "");
	expect(4, "packet x.a 7", "release x.a 7");
	expect(5, "query x.a", "A@2 failed>none; A@1 none>pending; send A@1 #2 4+4; x.a hold @1");
}

/* C-17: generations grow from gateway to gateway, and none takes another one's answer. */
static void generations_do_not_mix(void **state)
{
	(void)state;
	confirm_a();
	bed_do(&bed, 2, "lost 1");
	expect(3, "query x.a", "A@2 none>pending; send A@2 #2 4+4; x.a hold @2");
	bed_do(&bed, 4, "lost 2");
	bed_do(&bed, 5, "up 1");
	expect(2006, "query x.a", "A@1 none>pending; send A@1 #3 4+4; x.a hold @1");
	expect(2007, "active x.a A@1 #1", "stale");
	expect(2008, "active x.a A@1 #2", "stale");
	expect(2009, "inactive x.a A@2 #2", "unknown");
	expect(2010, "active x.a A@1 #3", "A@1 pending>confirmed; x.a forward @1");
}

/* C-14: of two resources that share a domain, the one whose gateway is lost moves alone. */
static void resources_of_a_domain_move_alone(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "x.a", IP_STACK_DUAL, 1, 2),
		bed_resource('B', "**.a", IP_STACK_IPV4, 2, 0),
	};

	(void)state;
	reload("", list, 2);
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "active x.a B@2");
	expect(2, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1");
	expect(3, "lost 1", "A@1 confirmed>none; x.a/4 forward @2; x.a/6 hold");
	expect(4, "touch x.a", "A@2 none>pending; send A@2 #3 4+4; x.a/6 hold @2");
}

/* C-14, C-20: what one gateway has refused, another one may still serve: packets ask it. */
static void packets_wait_for_what_vanished(void **state)
{
	const struct edge_resource list[] = {
		bed_resource('A', "x.a", IP_STACK_DUAL, 1, 2),
		bed_resource('B', "**.a", IP_STACK_IPV4, 2, 0),
	};

	(void)state;
	reload("", list, 2);
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 1, "inactive x.a B@2");
	expect(2, "active x.a A@1", "A@1 pending>confirmed; x.a forward @1");
	expect(3, "lost 1", "A@1 confirmed>none; x.a hold");
	expect(4, "packet x.a 7", "A@2 none>pending; send A@2 #3 4+4; x.a hold @2");
	expect(5, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2; release x.a 7");
}

/* C-19, C-20: a reload that gives a lost gateway's resource another one sets its entries free. */
static void reload_sets_stranded_entries_free(void **state)
{
	const struct edge_resource list[] = {bed_resource('C', "**.c", IP_STACK_DUAL, 1, 2)};

	(void)state;
	bed_do(&bed, 0, "query x.c");
	bed_do(&bed, 1, "active x.c C@1");
	bed_do(&bed, 2, "query y.c");
	bed_do(&bed, 3, "inactive y.c C@1");
	bed_do(&bed, 4, "lost 1");
	reload("C@1 confirmed>none; changed x.c; x.c hold", list, 1);
	expect(5, "packet x.c 7", "C@2 none>pending; send C@2 #3 4+4; x.c hold @2");
	assert_int_equal(bed_state(&bed, "y.c", 'C'), EDGE_FAILED);
}

/* ---- restart ---- */

static void restore(const char *name, uint32_t id, uint32_t gateway, enum edge_state state)
{
	struct edge_domain_record d = {.id = id, .name = bed_name(name)};
	struct edge_entry_record e = {
		.gateway = gateway,
		.domain = id,
		.resource = 1,
		.state = state,
		.generation = 41,
	};

	for (; d.proxies.count < PROXIES_MAX; d.proxies.count++)
		assert_int_equal(ipaddr_parse(d.proxies.count < PROXIES_V4
						      ? "100.96.8.0"
						      : "fd00:2021:1111:8000::800",
					      &d.proxies.addr[d.proxies.count]),
				 0);
	for (unsigned int i = 0; i < PROXIES_MAX; i++)
		d.proxies.addr[i] = ipaddr_add(&d.proxies.addr[i], 4 * id + i % PROXIES_V4);
	assert_int_equal(edge_restore_domain(bed.edge, &d, bed.now), 0);
	assert_int_equal(edge_restore_entry(bed.edge, &e, bed.now), 0);
}

/* After a restart, the gateway that answers first does not take what is another one's. */
static void unheard_gateway_keeps_restored_entries(void **state)
{
	const struct edge_resource list[] = {bed_resource('A', "**.a", IP_STACK_DUAL, 1, 2)};

	(void)state;
	bed_close(&bed);
	bed_open(&bed, NULL);
	reload("", list, 1);
	restore("x.a", 1, 1, EDGE_CONFIRMED);
	assert_int_equal(edge_restored(bed.edge), 0);
	expect(0, "up 2", "x.a forward @1");
	expect(1, "packet x.a 7", "release x.a 7");
	expect(2, "query x.a", "A@1 confirmed>recreating");
	expect(3, "up 1", "x.a forward @1 touch -1");
	expect(4, "query x.a", "A@1 recreating>pending; send A@1 #42 4+4; x.a forward @1");
}

/* C-20: but when it is known to be silent, they are free. */
static void silent_gateway_loses_restored_entries(void **state)
{
	const struct edge_resource list[] = {bed_resource('A', "**.a", IP_STACK_DUAL, 1, 2)};

	(void)state;
	bed_close(&bed);
	bed_open(&bed, NULL);
	reload("", list, 1);
	restore("x.a", 1, 1, EDGE_CONFIRMED);
	restore("y.a", 2, 1, EDGE_FAILED);
	assert_int_equal(edge_restored(bed.edge), 0);
	bed_do(&bed, 0, "up 2");
	expect(15000, "lost 1", "A@1 confirmed>none; x.a hold");
	expect(15001, "packet x.a 7", "A@2 none>pending; send A@2 #42 4+4; x.a hold @2");
}

/* ---- wanted ---- */

/* C-21: a query or packet that no gateway can be asked for says which ones are waited for. */
static void waiting_queries_and_packets_want_gateways(void **state)
{
	(void)state;
	bed.say_wanted = true;
	bed_do(&bed, 0, "lost 1");
	expect(1, "query x.a", "new x.a; A@2 none>pending; send A@2 #1 4+4; x.a hold @2");
	expect(2, "active x.a A@2", "A@2 pending>confirmed; x.a forward @2");
	expect(3, "lost 2", "");
	expect(4, "packet x.a 6", "want 1; want 2; release x.a 6");
	expect(500, "query x.a", "A@2 confirmed>recreating; want 1; want 2");
	expect(600, "query x.c", "new x.c; want 1; x.c hold");
	expect(700, "packet x.c 7", "want 1");
	expect(800, "packet x.c 8", "want 1");
	expect(900, "up 1",
	       "A@2 recreating>none; x.a hold; C@1 none>pending; send C@1 #2 4+4; x.c hold @1");
}

/* After a restart its gateway is waited for though another one is up: that one need not be probed.
 */
static void gateways_that_are_up_are_not_wanted(void **state)
{
	const struct edge_resource list[] = {bed_resource('A', "**.a", IP_STACK_DUAL, 1, 2)};

	(void)state;
	bed_close(&bed);
	bed_open(&bed, NULL);
	bed.say_wanted = true;
	reload("", list, 1);
	restore("x.a", 1, 1, EDGE_CONFIRMED);
	assert_int_equal(edge_restored(bed.edge), 0);
	bed_do(&bed, 0, "up 2");
	expect(1, "packet x.a 7", "want 1; release x.a 7");
	expect(2, "query x.a", "A@1 confirmed>recreating; want 1");
}

/* ---- counts ---- */

static void assert_counts(uint32_t gateway, uint32_t pending, uint32_t recreating,
			  uint32_t confirmed, uint32_t failed)
{
	struct edge_gateway_view v;

	assert_true(edge_gateway_view(bed.edge, gateway, &v));
	assert_int_equal(v.pending, pending);
	assert_int_equal(v.recreating, recreating);
	assert_int_equal(v.confirmed, confirmed);
	assert_int_equal(v.failed, failed);
}

static void gateways_count_their_entries(void **state)
{
	struct edge_gateway_view v;

	(void)state;
	assert_false(edge_gateway_view(bed.edge, 9, &v));
	bed_do(&bed, 0, "query x.a");
	bed_do(&bed, 0, "query y.a");
	bed_do(&bed, 0, "query z.a");
	bed_do(&bed, 0, "query z.b");
	assert_counts(1, 3, 0, 0, 0);
	assert_counts(2, 1, 0, 0, 0);
	bed_do(&bed, 1, "active x.a A@1");
	bed_do(&bed, 1, "inactive y.a A@1");
	assert_counts(1, 1, 0, 1, 1);
	bed_do(&bed, 100, "query x.a");
	assert_counts(1, 1, 1, 0, 1);
	bed_do(&bed, 200, "lost 1");
	assert_counts(1, 0, 0, 0, 1);
	assert_true(edge_gateway_view(bed.edge, 1, &v) && !v.up);
	bed_do(&bed, 300, "query y.a");
	assert_counts(1, 0, 0, 0, 0);
	assert_counts(2, 2, 0, 0, 0);
	bed_do(&bed, 300, "forget z.b");
	assert_counts(2, 1, 0, 0, 0);
	assert_true(edge_gateway_view(bed.edge, 2, &v) && v.up);
}

/* ---- many ---- */

#define MANY 10000
#define HELD 10 /* that hold a packet */

static struct dname many_name(unsigned int i)
{
	char text[32];

	snprintf(text, sizeof(text), "n%u.a", i);
	return bed_name(text);
}

/* AssignedIps in the queue. */
static unsigned int count_sends(void)
{
	struct edge_action a;
	unsigned int n = 0;

	while (edge_next(bed.edge, &a)) {
		n += a.kind == EDGE_SEND_ASSIGNED;
		if (a.kind == EDGE_RELEASE)
			held_frames_free(a.frames.first);
		if (a.kind == EDGE_HELD_EVENT)
			held_frames_free(a.held.refused);
	}
	return n;
}

/* Let what concerns all domains of a gateway come to its end. */
static unsigned int walk(void)
{
	unsigned int sends = count_sends();

	while (instant_reached(edge_deadline(bed.edge), bed.now)) {
		assert_int_equal(edge_tick(bed.edge, bed.now), 0);
		sends += count_sends();
	}
	return sends;
}

/* Of ten, five are confirmed, two failed, three pending; the first of these hold packets. */
static void make_many(void)
{
	unsigned int held = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		struct dname name = many_name(i);
		struct edge_status status = {
			.gateway = 1,
			.uuid = "00000000-0000-4000-8000-000000000001",
			.domain = &name,
			.active = i % 10 < 5,
		};
		enum edge_status_outcome outcome;
		struct edge_answer answer;
		uint8_t frame[BED_FRAME_MAX];
		struct held_offer offer = {.bytes = frame, .l3_offset = 14};

		assert_int_equal(edge_query(bed.edge, &name, bed.now, &answer), 0);
		if (i % 10 < 7) {
			assert_int_equal(edge_status(bed.edge, &status, bed.now, &outcome), 0);
		} else if (held++ < HELD) {
			offer.len = bed_udp_frame(frame, &answer.proxies.addr[0], 1);
			assert_int_equal(
				edge_packet(bed.edge, &answer.proxies.addr[0], &offer, bed.now), 0);
		}
		count_sends();
	}
}

/* C-18, C-20: ten thousand domains lose their gateway: only those that packets wait for ask. */
static void lost_gateway_makes_no_storm(void **state)
{
	(void)state;
	make_many();
	bed.now = instant_add(bed.now, 20 * NSEC_PER_SEC);
	assert_int_equal(edge_gateway_lost(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), HELD);
	assert_counts(1, 0, 0, 0, MANY / 5);
	assert_counts(2, HELD, 0, 0, 0);

	bed.now = instant_add(bed.now, NSEC_PER_SEC);
	assert_int_equal(edge_gateway_up(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), 0);
	assert_int_equal(edge_gateway_gone(bed.edge, 2, bed.now), 0);
	assert_int_equal(walk(), HELD);
}

/* C-20: the same without another gateway. */
static void lost_sole_gateway_makes_no_storm(void **state)
{
	(void)state;
	bed_do(&bed, 0, "gone 2");
	make_many();
	bed.now = instant_add(bed.now, 20 * NSEC_PER_SEC);
	assert_int_equal(edge_gateway_lost(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), 0);
	assert_int_equal(edge_gateway_up(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), HELD);
}

/* C-18: nor does Goodbye, and the gateway that comes back. */
static void goodbye_makes_no_storm(void **state)
{
	(void)state;
	make_many();
	assert_int_equal(edge_gateway_gone(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), HELD);
	assert_counts(1, 0, 0, 0, 0);
	assert_int_equal(edge_gateway_up(bed.edge, 1, bed.now), 0);
	assert_int_equal(walk(), 0);
}

#define P(test) cmocka_unit_test_setup_teardown(test, setup_pairs, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(goodbye_moves_held_domains),
		P(goodbye_leaves_open_domains_to_their_packets),
		P(goodbye_asks_for_confirmed_domains_lazily),
		P(goodbye_without_another_gateway_waits),
		P(silence_moves_held_domains),
		P(silence_asks_for_confirmed_domains_lazily),
		P(silence_lets_recreating_domains_vanish),
		P(silence_leaves_failed_domains_alone),
		P(silence_without_another_gateway_clears_nothing),
		P(late_gateway_takes_over),
		P(touch_asks_for_what_was_queried_in_silence),
		P(recovered_gateway_serves_with_the_next_query),
		P(recovered_gateway_takes_held_packets),
		P(recovered_gateway_is_asked_for_failed_domains),
		P(generations_do_not_mix),
		P(resources_of_a_domain_move_alone),
		P(packets_wait_for_what_vanished),
		P(reload_sets_stranded_entries_free),
		P(unheard_gateway_keeps_restored_entries),
		P(silent_gateway_loses_restored_entries),
		P(waiting_queries_and_packets_want_gateways),
		P(gateways_that_are_up_are_not_wanted),
		P(gateways_count_their_entries),
		P(lost_gateway_makes_no_storm),
		P(lost_sole_gateway_makes_no_storm),
		P(goodbye_makes_no_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
