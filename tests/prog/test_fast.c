/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The straight way of an established session's packets (bpf/fast.h): the same to the byte as the
 * long one, and not taken when anything has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/cross.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

#define PORT      5000
#define ELSEWHERE "02:00:00:00:02:99"
#define AT_HOME   "02:00:00:00:02:02"

static const uint8_t LONG[1300];
static const uint8_t MAC_ELSEWHERE[ETH_ALEN] = {2, 0, 0, 0, 2, 0x99};

/* Let next hops be remembered until then, in ns; 0: not at all. */
static void remember(struct prog *t, uint64_t until)
{
	struct fq_control c = prog_get_control(t);
	const uint32_t zero = 0;

	c.hops_until = until;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.control), &zero, &c, BPF_ANY), 0);
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* One packet out, of which this is special. */
#define OUT(t, res, ...)                                                                 \
	do {                                                                             \
		struct pkt p_;                                                           \
                                                                                         \
		PKT(&p_, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, \
		    .dport = 53, __VA_ARGS__);                                           \
		prog_run((t), &p_, CLIENT_SIDE, (res));                                  \
	} while (0)

static bool goes_to(const struct prog_result *res, const uint8_t mac[ETH_ALEN])
{
	return res->reason == FQ_R_TRANSLATED && memcmp(pkt_data(&res->out), mac, ETH_ALEN) == 0;
}

/* A session whose next hop is remembered: it does not notice that the neighbour has moved. */
static void begin(struct prog *t)
{
	struct prog_result res;

	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER));
	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER));
}

static void neighbour_moves(void)
{
	run("ip neigh replace " SERVER4 " lladdr " ELSEWHERE " dev sv nud permanent");
	run("ip -6 neigh replace " SERVER6 " lladdr " ELSEWHERE " dev sv nud permanent");
}

static int neighbour_at_home(void **state)
{
	(void)state;
	run("ip neigh replace " SERVER4 " lladdr " AT_HOME " dev sv nud permanent");
	run("ip -6 neigh replace " SERVER6 " lladdr " AT_HOME " dev sv nud permanent");
	run("ip route del " SERVER4 " 2>&1 | grep -q . || true");
	run("ip route del blackhole " SERVER4 " tos 0x10 2>&1 | grep -q . || true");
	run("ip link set sv mtu 1500 up");
	return 0;
}

static void next_hop_is_remembered_until_something_changes(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	neighbour_moves();
	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER));
	prog_routes_changed(t);
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
}

static void nothing_is_remembered_while_nobody_listens(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	neighbour_moves();
	remember(t, prog_now() - NSEC_PER_SEC);
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
}

/* What was not noted while nobody listened is not believed afterwards either. */
static void listening_again_begins_anew(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	remember(t, 0);
	neighbour_moves();
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
	prog_routes_changed(t);
	remember(t, UINT64_MAX);
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
}

static void route_that_changes_counts(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	run("ip route add blackhole " SERVER4);
	prog_routes_changed(t);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_BLACKHOLE);
	run("ip route del blackhole " SERVER4);
	prog_routes_changed(t);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

static void mtu_that_shrinks_counts(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	OUT(t, &res, .payload = LONG, .payload_len = 1000);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	run("ip route add " SERVER4 " dev sv mtu lock 600");
	prog_routes_changed(t);
	OUT(t, &res, .payload = LONG, .payload_len = 1000);
	assert_int_equal(res.reason, FQ_R_TOO_BIG);
	OUT(t, &res, .payload = LONG, .payload_len = 100);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	/* The next hop that is remembered now takes so much and no more. */
	OUT(t, &res, .payload = LONG, .payload_len = 1000);
	assert_int_equal(res.reason, FQ_R_TOO_BIG);
	OUT(t, &res, .payload = LONG, .payload_len = 572);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
}

static void link_that_goes_down_counts(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	run("ip route add blackhole " SERVER4 " metric 4000");
	run("ip link set sv down");
	prog_routes_changed(t);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_BLACKHOLE);
	run("ip link set sv up");
	run("ip route del blackhole " SERVER4 " metric 4000");
	run("ip route replace 198.51.103.0/24 via " SERVER4 " mtu lock 600");
	run("ip -6 addr replace " GW6 "/64 dev sv nodad");
	run("ip -6 neigh replace " SERVER6 " lladdr " AT_HOME " dev sv nud permanent");
	run("ip -6 route replace 2001:db8:3::/64 via " SERVER6 " dev sv mtu lock 1280");
}

/* The type of service is part of the question, and a session's packets may have several. */
static void type_of_service_has_its_own_way(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	run("ip route add blackhole " SERVER4 " tos 0x10");
	prog_routes_changed(t);
	begin(t);
	OUT(t, &res, .tos = 0x10);
	assert_int_equal(res.reason, FQ_R_BLACKHOLE);
	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER));
	run("ip route del blackhole " SERVER4 " tos 0x10");
}

/* What cannot go straight: a partial checksum, and another IP version behind us. */
static void long_way_out(struct prog *t, unsigned int i, uint16_t len, struct prog_result *ret_res)
{
	const struct pkt_spec spec = {.proto = PKT_UDP, .payload = LONG, .payload_len = len};
	struct pkt p, expected;

	if (i < 2) {
		cross_out(&p, &expected, CROSS_WAYS[i], spec);
		prog_run(t, &p, CLIENT_SIDE, ret_res);
	} else {
		OUT(t, ret_res, .csum = PKT_CSUM_PARTIAL, .payload = LONG, .payload_len = len);
	}
}

static void long_way_remembers_too(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	cross_all(t);
	for (unsigned int i = 0; i < 3; i++) {
		if (i == 2)
			prog_reset(t);
		prog_routes_changed(t);
		for (int n = 0; n < 2; n++) {
			long_way_out(t, i, 0, &res);
			assert_true(goes_to(&res, PKT_MAC_SERVER));
		}
		neighbour_moves();
		long_way_out(t, i, 0, &res);
		assert_true(goes_to(&res, PKT_MAC_SERVER));
		prog_routes_changed(t);
		long_way_out(t, i, 0, &res);
		assert_true(goes_to(&res, MAC_ELSEWHERE));
		neighbour_at_home(NULL);
	}
}

static void what_is_too_big_for_what_is_remembered_is_refused(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	for (unsigned int i = 0; i < 2; i++) {
		cross_means(t, CROSS_WAYS[i], CROSS_WAYS[i]->narrow);
		for (int n = 0; n < 2; n++) {
			long_way_out(t, i, 100, &res);
			assert_int_equal(res.reason, FQ_R_TRANSLATED);
		}
		long_way_out(t, i, sizeof(LONG), &res);
		assert_int_equal(res.reason, FQ_R_TOO_BIG);
		long_way_out(t, i, 100, &res);
		assert_int_equal(res.reason, FQ_R_TRANSLATED);
	}
}

static void frame_for_another_host_is_not_ours(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	prog_mac(t, CLIENT_SIDE, PKT_MAC_GW_CLIENT);
	begin(t);
	OUT(t, &res, .dmac = MAC_ELSEWHERE);
	assert_int_equal(res.reason, FQ_R_NOT_OURS);
	OUT(t, &res, .dmac = PKT_MAC_GROUP);
	assert_int_equal(res.reason, FQ_R_BROADCAST);
	prog_mac(t, CLIENT_SIDE, MAC_ELSEWHERE);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_NOT_OURS);
}

/* the right to it is asked about by comparisons, for every packet. */
static void grant_that_expires_counts(void **state)
{
	struct prog *t = *state;
	const uint64_t ends = prog_now() + 2000000000; /* time enough to begin */
	struct prog_result res;

	prog_grant(t, CLIENT, RESOURCE, ends);
	begin(t);
	/* The programs' clock is some ticks behind. */
	while (prog_now() <= ends + 100000000)
		usleep(1000);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_NOT_GRANTED);
}

static void policy_that_changes_counts(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	begin(t);
	prog_revoke(t, CLIENT, RESOURCE);
	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER)); /* nobody has said so yet */
	prog_policy_changed(t);
	OUT(t, &res, 0);
	assert_int_equal(res.reason, FQ_R_NOT_GRANTED);
}

/* Elements of an earlier generation are used again: there are more of these than there is room. */
static void next_hops_of_the_past_make_room(void **state)
{
	struct prog *t = *state;
	struct prog_result res;

	for (int i = 0; i < 3 * FQ_HOPS_MAX; i++) {
		const struct fq_hop old = {.gen = 1, .iif = 77};
		const uint32_t at = i % FQ_HOPS_MAX;

		assert_int_equal(bpf_map_update_elem(bpf_map__fd(t->skel->maps.hops), &at, &old, 0),
				 0);
	}
	prog_routes_changed(t);
	begin(t);
	neighbour_moves();
	OUT(t, &res, 0);
	assert_true(goes_to(&res, PKT_MAC_SERVER)); /* it is remembered */
}

/* Of a full table nothing is remembered, and all is well. */
static void no_room_is_no_harm(void **state)
{
	struct prog *t = *state;
	const struct fq_hop other = {.gen = prog_get_control(t).gen, .iif = 77};
	struct prog_result res;

	for (uint32_t at = 0; at < FQ_HOPS_MAX; at++)
		assert_int_equal(
			bpf_map_update_elem(bpf_map__fd(t->skel->maps.hops), &at, &other, 0), 0);
	begin(t);
	neighbour_moves();
	OUT(t, &res, 0);
	assert_true(goes_to(&res, MAC_ELSEWHERE));
}

/* ---- the same to the byte ---- */

static const struct {
	enum prog_side side;
	struct pkt_spec spec;
} FLOWS[] = {
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP}},
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .no_df = true, .ip_id = 7}},
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .csum = PKT_CSUM_ZERO}},
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .tos = 0xb9}},
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP}},
	{CLIENT_SIDE, {.src = CLIENT6, .dst = PROXY6, .proto = PKT_UDP, .flow_label = 0x12345}},
	{CLIENT_SIDE, {.src = CLIENT6, .dst = PROXY6, .proto = PKT_TCP, .tos = 0xb9}},
	{CLIENT_SIDE, {.src = CLIENT6, .dst = PROXY6, .proto = PKT_ICMP}},
	{CLIENT_SIDE, {.src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .csum = PKT_CSUM_PARTIAL}},
};

/* @i: flow; @n: of its packets. *@ret_res: what comes out. */
static void send_nth(struct prog *t, unsigned int i, unsigned int n, struct prog_result *ret_res)
{
	struct pkt_spec spec = FLOWS[i].spec;
	uint8_t payload[64];
	struct pkt p;

	for (unsigned int at = 0; at < sizeof(payload); at++)
		payload[at] = (uint8_t)(at * 31 + n * 7);
	spec.sport = PORT;
	spec.dport = 443;
	spec.seq = (uint16_t)n;
	spec.payload = payload;
	spec.payload_len = n % sizeof(payload);
	spec.pad = n % 3;
	pkt_build(&p, &spec);
	prog_run(t, &p, FLOWS[i].side, ret_res);
	assert_int_equal(ret_res->reason, FQ_R_TRANSLATED);
}

static struct fq_tuple key_of(unsigned int i)
{
	const struct pkt_spec *spec = &FLOWS[i].spec;

	return prog_tuple(spec->proto == PKT_ICMP && strchr(spec->src, ':') ? 58 : spec->proto,
			  spec->src, PORT, spec->dst, spec->proto == PKT_TCP ? 443 : 0);
}

static struct session_entry only_session_out(struct prog *t, unsigned int i)
{
	const struct fq_tuple key = key_of(i);

	return prog_session(t, &key);
}

/* Packets and bytes are one word: each of them comes around while the other goes on. */
static void counters_go_on_beyond_32_bits(void **state)
{
	static const uint64_t packets = (5ULL << 32) - 3, bytes = (7ULL << 32) - 120;
	const struct fq_tuple key = key_of(0);
	struct prog *t = *state;

	for (int straight = 0; straight < 2; straight++) {
		struct session_entry s;
		struct prog_result res;
		uint64_t sent = 0;

		prog_reset(t);
		remember(t, straight ? UINT64_MAX : 0);
		send_nth(t, 0, 0, &res);
		s = prog_session(t, &key);
		s.packets = packets;
		s.bytes = bytes;
		assert_true(prog_drop_session(t, &key));
		prog_set_session(t, &key, &s);
		for (unsigned int n = 1; n <= 6; n++) {
			send_nth(t, 0, n, &res);
			sent += res.count[FQ_R_TRANSLATED].bytes;
			s = prog_session(t, &key);
			assert_int_equal(s.packets, packets + n);
			assert_int_equal(s.bytes, bytes + sent);
		}
	}
}

#define COMPARED 200

static void both_ways_write_the_same(void **state)
{
	static struct prog_result one[COMPARED], res;
	struct prog *t = *state;

	for (unsigned int i = 0; i < sizeof(FLOWS) / sizeof(FLOWS[0]); i++) {
		const bool own_id = FLOWS[i].spec.no_df;
		struct session_entry a, b;

		for (int straight = 0; straight < 2; straight++) {
			prog_reset(t);
			remember(t, straight ? UINT64_MAX : 0);
			for (unsigned int n = 0; n < COMPARED; n++) {
				send_nth(t, i, n, straight ? &res : &one[n]);
				if (straight && !own_id)
					pkt_assert_equal(&res.out, &one[n].out);
				if (straight)
					assert_memory_equal(res.count, one[n].count,
							    sizeof(res.count));
			}
			*(straight ? &b : &a) = only_session_out(t, i);
		}
		assert_int_equal(a.packets, b.packets);
		assert_int_equal(a.bytes, b.bytes);
		assert_memory_equal(&a.tcp, &b.tcp, sizeof(a.tcp));
		assert_int_equal(a.hop, TABLE_HOP_NONE);
		assert_int_not_equal(b.hop, 0);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, prog_test_setup, neighbour_at_home)
	const struct CMUnitTest tests[] = {
		T(next_hop_is_remembered_until_something_changes),
		T(nothing_is_remembered_while_nobody_listens),
		T(listening_again_begins_anew),
		T(route_that_changes_counts),
		T(mtu_that_shrinks_counts),
		T(link_that_goes_down_counts),
		T(type_of_service_has_its_own_way),
		T(long_way_remembers_too),
		T(what_is_too_big_for_what_is_remembered_is_refused),
		T(frame_for_another_host_is_not_ours),
		T(grant_that_expires_counts),
		T(policy_that_changes_counts),
		T(next_hops_of_the_past_make_room),
		T(no_room_is_no_harm),
		T(both_ways_write_the_same),
		T(counters_go_on_beyond_32_bits),
	};

	return cmocka_run_group_tests_name("straight way", tests, prog_group_setup,
					   prog_group_teardown);
}
