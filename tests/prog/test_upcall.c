/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon is told: held packets, packets for the kernel's neighbour resolution, new flows,
 * new sessions; and what happens when nobody listens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 5000

static void udp(struct pkt *p, struct pkt_spec s)
{
	s.src = s.src ? s.src : CLIENT4;
	s.dst = s.dst ? s.dst : PROXY4;
	s.proto = PKT_UDP;
	s.sport = PORT;
	s.dport = 53;
	pkt_build(p, &s);
}

static void hold(struct prog *t)
{
	prog_edge(t, PROXY4, FQ_EDGE_HOLD);
	prog_edge(t, PROXY6, FQ_EDGE_HOLD);
}

static void use_silent_host(struct prog *t)
{
	const uint32_t resource = RESOURCE;

	prog_xlat(t, PROXY4, SILENT4, DOMAIN, &resource, 1);
	prog_xlat(t, PROXY6, SILENT6, DOMAIN, &resource, 1);
}

static void assert_record(struct prog *t, uint32_t kind, const struct pkt *frame, const char *proxy)
{
	const struct fq_addr a = prog_addr(proxy);
	const struct prog_upcall *u = &t->upcall[0];
	struct pkt got = {.len = u->len};

	assert_int_equal(t->upcalls, 1);
	assert_int_equal(u->kind, kind);
	assert_int_equal(u->domain, kind == FQ_UPCALL_HOLD ? DOMAIN : 0);
	assert_int_equal(u->ifindex, prog_ifindex(CLIENT_SIDE));
	assert_int_equal(u->l3_offset, ETH_HLEN);
	assert_memory_equal(&u->proxy, &a, sizeof(a));
	memcpy(pkt_data(&got), t->upcall[0].frame, u->len);
	pkt_assert_equal(&got, frame);
}

/* C-02: nothing is forwarded, no session is made, the daemon has the frame as it was. */
static void packet_of_a_pending_domain_is_held(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	hold(t);
	udp(&p, (struct pkt_spec){0});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_HOLD, &p, PROXY4);
	assert_int_equal(prog_sessions(t), 0);
}

static void held_ipv6_packet_is_held_whole(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	hold(t);
	udp(&p, (struct pkt_spec){.src = CLIENT6, .dst = PROXY6});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_HOLD, &p, PROXY6);
}

static void ethernet_padding_is_not_held(void **state)
{
	struct prog *t = *state;
	struct pkt p, bare;

	hold(t);
	udp(&p, (struct pkt_spec){.pad = 18});
	udp(&bare, (struct pkt_spec){0});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_HOLD, &bare, PROXY4);
}

/* User space has no card that could complete it. */
static void partial_checksum_is_completed_before_holding(void **state)
{
	struct prog *t = *state;
	struct pkt p, full;

	hold(t);
	udp(&p, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	udp(&full, (struct pkt_spec){0});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, &full);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_HOLD, &full, PROXY4);
}

static void frames_of_every_size_are_held(void **state)
{
	/* around the three record sizes; 42 bytes of headers */
	static const size_t frames[] = {42, 127, 128, 129, 511, 512, 513, 2047, 2048};
	static uint8_t payload[2048];
	struct prog *t = *state;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 13;
	hold(t);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct pkt p;

		udp(&p, (struct pkt_spec){.payload = payload, .payload_len = frames[i] - 42});
		assert_int_equal(p.len, frames[i]);
		t->upcalls = 0;
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
		prog_poll(t);
		assert_record(t, FQ_UPCALL_HOLD, &p, PROXY4);
	}
}

static void longer_frames_are_not_held(void **state)
{
	static const uint8_t payload[2048];
	struct prog *t = *state;
	struct pkt p;

	hold(t);
	udp(&p, (struct pkt_spec){.payload = payload, .payload_len = FQ_HOLD_FRAME_MAX - 42 + 1});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HOLD_FAILED, NULL);
	prog_poll(t);

	assert_int_equal(t->upcalls, 0);
}

/* Nobody reads: fill the ring. */
static void fill_ring(struct prog *t)
{
	static const uint8_t payload[1900];
	struct xdp_md ctx = {.ingress_ifindex = prog_ifindex(CLIENT_SIDE)};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = FQ_UPCALL_BYTES / FQ_HOLD_FRAME_MAX + 1);
	struct pkt p;

	hold(t);
	udp(&p, (struct pkt_spec){.payload = payload, .payload_len = sizeof(payload)});
	ctx.data_end = p.len;
	opts.data_in = pkt_data(&p);
	opts.data_size_in = p.len;
	assert_int_equal(bpf_prog_test_run_opts(t->fd, &opts), 0);
}

static void full_ring_drops_what_should_be_held(void **state)
{
	static const uint8_t payload[1900];
	struct prog *t = *state;
	struct pkt p;

	fill_ring(t);
	udp(&p, (struct pkt_spec){.payload = payload, .payload_len = sizeof(payload)});
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HOLD_FAILED, NULL);
}

static void unknown_neighbour_takes_the_slow_way(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = prog_tuple(PKT_UDP, CLIENT4, PORT, PROXY4, 0);
	struct pkt p, expected;

	use_silent_host(t);
	udp(&p, (struct pkt_spec){0});
	PKT(&expected, .src = GW4, .dst = SILENT4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED_SLOW, &expected);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_SLOW, &expected, GW4);
	assert_int_equal(prog_session(t, &key).packets, 1);
}

static void slow_ipv6_packet_is_translated_whole(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	use_silent_host(t);
	udp(&p, (struct pkt_spec){.src = CLIENT6, .dst = PROXY6, .csum = PKT_CSUM_PARTIAL});
	PKT(&expected, .src = GW6, .dst = SILENT6, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED_SLOW, &expected);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_SLOW, &expected, GW6);
}

static void slow_packet_has_a_complete_checksum(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	use_silent_host(t);
	udp(&p, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	PKT(&expected, .src = GW4, .dst = SILENT4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED_SLOW, &expected);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_SLOW, &expected, GW4);
}

static void known_neighbour_ends_the_slow_way(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;
	struct prog_result res;

	use_silent_host(t);
	udp(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED_SLOW);
	assert_int_equal(system("ip neigh replace " SILENT4
				" lladdr 02:00:00:00:02:09 dev sv nud permanent"),
			 0);
	PKT(&expected, .src = GW4, .dst = SILENT4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63, .dmac = (const uint8_t[]){2, 0, 0, 0, 2, 9}, .smac = PKT_MAC_GW_SERVER);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	assert_int_equal(system("ip neigh del " SILENT4 " dev sv"), 0);
}

static void full_ring_drops_what_should_go_slowly(void **state)
{
	static const uint8_t payload[1400];
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	fill_ring(t);
	prog_edge(t, PROXY4, FQ_EDGE_FORWARD);
	use_silent_host(t);
	udp(&p, (struct pkt_spec){.payload = payload, .payload_len = sizeof(payload)});
	prog_run(t, &p, CLIENT_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_SLOW_FAILED);
	assert_int_equal(res.verdict, XDP_DROP);
}

/* Bridges, VLANs, tunnels: the kernel sends what cannot be redirected there. */
static void interface_that_takes_no_frames_takes_the_slow_way(void **state)
{
	struct prog *t = *state;
	struct pkt p, expected;

	prog_redirectable(t, SERVER_SIDE, false);
	udp(&p, (struct pkt_spec){.csum = PKT_CSUM_PARTIAL});
	PKT(&expected, .src = GW4, .dst = SERVER4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED_SLOW, &expected);
	prog_poll(t);

	assert_record(t, FQ_UPCALL_SLOW, &expected, GW4);
}

static void error_to_such_an_interface_takes_the_slow_way(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;

	prog_redirectable(t, CLIENT_SIDE, false);
	udp(&p, (struct pkt_spec){.dst = PROXY4_B});
	pkt_build_error(&expected,
			&(struct pkt_error){.src = PROXY4_B, .dst = CLIENT4, .type = 3, .code = 0},
			&p);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_NO_TRANSLATION);
	assert_int_equal(res.verdict, XDP_DROP);
	prog_poll(t);

	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SLOW);
	assert_int_equal(t->upcall[0].len, expected.len);
	assert_memory_equal(t->upcall[0].frame, pkt_data(&expected), expected.len);
}

/* In generic mode every interface takes packets. */
static void generic_mode_redirects_to_any_interface(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	prog_redirectable(t, SERVER_SIDE, false);
	udp(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);

	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.verdict, XDP_REDIRECT);
}

static uint16_t udp_check(const struct pkt *p)
{
	const uint8_t *check = pkt_data(p) + PKT_L3 + 20 + 6;

	return check[0] << 8 | check[1];
}

/*
 * One complete checksum in 65536 is the pseudo header's sum, too. Whether it was partial only the
 * kernel knows, so the packet goes out with a checksum that is complete.
 */
static void complete_checksum_that_looks_partial_arrives_complete(void **state)
{
	uint8_t payload[2] = {0};
	const struct pkt_spec s = {.payload = payload, .payload_len = sizeof(payload)};
	struct pkt_spec partial = s;
	struct prog *t = *state;
	struct pkt p, expected;
	uint32_t x;

	/* The sum of all is to be its complement: what is missing is the payload. */
	partial.csum = PKT_CSUM_PARTIAL;
	udp(&p, partial);
	x = (uint16_t)~udp_check(&p);
	udp(&expected, s);
	x += udp_check(&expected);
	x = (x & 0xffff) + (x >> 16);
	payload[0] = x >> 8;
	payload[1] = x & 0xff;
	x = udp_check(&p);
	udp(&p, s);
	assert_int_equal(udp_check(&p), x);

	PKT(&expected, .src = GW4, .dst = SERVER4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ttl = 63, .payload = payload, .payload_len = sizeof(payload));
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED_SLOW, &expected);
	prog_poll(t);
	assert_record(t, FQ_UPCALL_SLOW, &expected, GW4);
}

static void set_touch(struct prog *t, uint64_t at)
{
	const struct fq_addr key = prog_addr(PROXY4);
	const struct fq_edge e = {.domain = DOMAIN, .verdict = FQ_EDGE_FORWARD, .touch_at = at};

	prog_put_edge(t, &key, &e);
}

static uint64_t get_touch(struct prog *t)
{
	const struct fq_addr key = prog_addr(PROXY4);
	struct fq_edge e;

	assert_true(proxies_get_edge(t->proxies, &key, &e));
	return e.touch_at;
}

/* C-08: packets of a domain whose status is outstanding make the edge ask again, every 2 s. */
static void new_flow_touches_its_domain_once(void **state)
{
	const struct fq_addr proxy = prog_addr(PROXY4);
	struct prog *t = *state;
	struct prog_result res;
	uint64_t now;
	struct pkt p;

	now = prog_now();
	set_touch(t, now);
	for (uint16_t port = 1; port < 4; port++) {
		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = port,
		    .dport = 53);
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, FQ_R_TRANSLATED);
	}
	prog_poll(t);

	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_TOUCH);
	assert_int_equal(t->upcall[0].domain, DOMAIN);
	assert_int_equal(t->upcall[0].len, 0);
	assert_memory_equal(&t->upcall[0].proxy, &proxy, sizeof(proxy));
	assert_true(get_touch(t) >= now + 2000000000 && get_touch(t) <= prog_now() + 2000000000);
}

static void sessions_touch_nothing(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	udp(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	set_touch(t, 1);
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(t->upcalls, 0);
	assert_int_equal(get_touch(t), 1);
}

static void instant_to_come_is_no_touch(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p;

	set_touch(t, prog_now() + 3600000000000);
	udp(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(t->upcalls, 0);
}

static void opened_session_is_told_if_asked_for(void **state)
{
	struct prog *t = *state;
	const struct fq_tuple key = prog_tuple(PKT_UDP, CLIENT4, PORT, PROXY4, 0);
	struct prog_result res;
	struct pkt p;

	prog_monitor(t);
	udp(&p, (struct pkt_spec){0});
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_run(t, &p, CLIENT_SIDE, &res);
	prog_poll(t);

	assert_int_equal(t->upcalls, 1);
	assert_int_equal(t->upcall[0].kind, FQ_UPCALL_SESSION);
	assert_int_equal(t->upcall[0].len, sizeof(key));
	assert_memory_equal(t->upcall[0].frame, &key, sizeof(key));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest native[] = {
		T(packet_of_a_pending_domain_is_held),
		T(held_ipv6_packet_is_held_whole),
		T(ethernet_padding_is_not_held),
		T(partial_checksum_is_completed_before_holding),
		T(frames_of_every_size_are_held),
		T(longer_frames_are_not_held),
		T(full_ring_drops_what_should_be_held),
		T(unknown_neighbour_takes_the_slow_way),
		T(slow_ipv6_packet_is_translated_whole),
		T(slow_packet_has_a_complete_checksum),
		T(known_neighbour_ends_the_slow_way),
		T(full_ring_drops_what_should_go_slowly),
		T(interface_that_takes_no_frames_takes_the_slow_way),
		T(error_to_such_an_interface_takes_the_slow_way),
		T(new_flow_touches_its_domain_once),
		T(sessions_touch_nothing),
		T(instant_to_come_is_no_touch),
		T(opened_session_is_told_if_asked_for),
	};
	const struct CMUnitTest generic[] = {
		T(partial_checksum_is_completed_before_holding),
		T(slow_packet_has_a_complete_checksum),
		T(generic_mode_redirects_to_any_interface),
		T(complete_checksum_that_looks_partial_arrives_complete),
	};
	const struct CMUnitTest tc[] = {
		T(packet_of_a_pending_domain_is_held),
		T(held_ipv6_packet_is_held_whole),
		T(ethernet_padding_is_not_held),
		T(partial_checksum_is_completed_before_holding),
		T(frames_of_every_size_are_held),
		T(longer_frames_are_not_held),
		T(new_flow_touches_its_domain_once),
		T(sessions_touch_nothing),
		T(instant_to_come_is_no_touch),
		T(opened_session_is_told_if_asked_for),
		T(generic_mode_redirects_to_any_interface),
		T(complete_checksum_that_looks_partial_arrives_complete),
	};
	int failed;

	failed = cmocka_run_group_tests_name("upcall, native", native, prog_group_setup,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("upcall, VLANs", native, prog_group_setup_vlan,
					      prog_group_teardown);
	failed += cmocka_run_group_tests_name("upcall, tc", tc, prog_group_setup_tc,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("upcall, generic", generic,
						    prog_group_setup_generic, prog_group_teardown);
}
