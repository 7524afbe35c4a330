/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments: the first one decides, the others follow; those that come too early are kept; none of
 * it can be used to get around a filter, or to use up what others need.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT    5000 /* outside the kernel's ephemeral range: kept by the NAT */
#define PAYLOAD 600
#define FIRST   256 /* bytes of the first fragment behind the IP header */
#define ID      0xbeef

struct flow {
	const char *client, *proxy, *nat, *server;
	uint8_t proto;
	uint16_t port;
};

static const struct flow FLOWS[] = {
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_UDP, 53},
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_TCP, 443},
	{CLIENT4, PROXY4, GW4, SERVER4, PKT_ICMP, 0},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_UDP, 53},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_TCP, 443},
	{CLIENT6, PROXY6, GW6, SERVER6, PKT_ICMP, 0},
};

#define N_FLOWS (sizeof(FLOWS) / sizeof(FLOWS[0]))
#define UDP4    (&FLOWS[0])
#define TCP4    (&FLOWS[1])
#define UDP6    (&FLOWS[3])

static uint8_t payload[PAYLOAD];

/* The whole datagram at the four points of its way. */
static void out_packet(struct pkt *p, const struct flow *f)
{
	PKT(p, .src = f->client, .dst = f->proxy, .proto = f->proto, .sport = PORT,
	    .dport = f->port, .payload = payload, .payload_len = PAYLOAD);
}

static void out_translated(struct pkt *p, const struct flow *f)
{
	PKT(p, .src = f->nat, .dst = f->server, .proto = f->proto, .sport = PORT, .dport = f->port,
	    .payload = payload, .payload_len = PAYLOAD, .ttl = 63, .dmac = PKT_MAC_SERVER,
	    .smac = PKT_MAC_GW_SERVER);
}

static uint16_t server_port(const struct flow *f)
{
	return f->proto == PKT_ICMP ? PORT : f->port;
}

static void in_packet(struct pkt *p, const struct flow *f)
{
	PKT(p, .src = f->server, .dst = f->nat, .proto = f->proto, .sport = server_port(f),
	    .dport = PORT, .reply = true, .payload = payload, .payload_len = PAYLOAD,
	    .dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER);
}

static void in_translated(struct pkt *p, const struct flow *f)
{
	PKT(p, .src = f->proxy, .dst = f->client, .proto = f->proto, .sport = server_port(f),
	    .dport = PORT, .reply = true, .payload = payload, .payload_len = PAYLOAD, .ttl = 63,
	    .dmac = PKT_MAC_CLIENT, .smac = PKT_MAC_GW_CLIENT);
}

static bool is_v6(const struct pkt *p)
{
	return pkt_data(p)[PKT_L3] >> 4 == 6;
}

static uint16_t ip_id(const struct pkt *p)
{
	return (uint16_t)(pkt_data(p)[PKT_L3 + 4] << 8 | pkt_data(p)[PKT_L3 + 5]);
}

/* Run a fragment that is to be translated. @id: of the datagram behind us; 0: IPv4, not known */
static void expect_fragment(struct prog *t, const struct pkt *in, const struct pkt *out, size_t off,
			    size_t len, enum prog_side side, uint32_t *id)
{
	struct pkt fragment, expected;
	struct prog_result res;

	pkt_fragment(&fragment, in, off, len, ID);
	prog_run(t, &fragment, side, &res);
	assert_int_equal(res.reason, FQ_R_TRANSLATED);
	assert_int_equal(res.verdict, XDP_REDIRECT);
	if (is_v6(in))
		*id = ID;
	else if (!*id)
		*id = ip_id(&res.out);
	pkt_fragment(&expected, out, off, len, *id);
	pkt_assert_equal(&res.out, &expected);
}

static void expect_all(struct prog *t, const struct pkt *in, const struct pkt *out,
		       enum prog_side side)
{
	uint32_t id = 0;

	expect_fragment(t, in, out, 0, FIRST, side, &id);
	expect_fragment(t, in, out, FIRST, 128, side, &id);
	expect_fragment(t, in, out, FIRST + 128, 0, side, &id);
	assert_int_not_equal(id, 0);
}

static struct fq_tuple out_tuple(const struct flow *f)
{
	uint8_t proto = f->proto == PKT_ICMP && strchr(f->client, ':') ? 58 : f->proto;

	return prog_tuple(proto, f->client, PORT, f->proxy, f->proto == PKT_TCP ? f->port : 0);
}

/* RFC 4787 REQ-14: in order, every protocol, both IP versions, both directions. */
static void fragments_follow_the_first_one(void **state)
{
	struct prog *t = *state;
	struct pkt in, out;

	for (size_t i = 0; i < N_FLOWS; i++) {
		const struct fq_tuple key = out_tuple(&FLOWS[i]);

		out_packet(&in, &FLOWS[i]);
		out_translated(&out, &FLOWS[i]);
		expect_all(t, &in, &out, CLIENT_SIDE);
		assert_int_equal(prog_session(t, &key).packets, 3);
		in_packet(&in, &FLOWS[i]);
		in_translated(&out, &FLOWS[i]);
		expect_all(t, &in, &out, SERVER_SIDE);
	}
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

/* The network may double any packet: it is the same datagram, and has the same id. */
static void first_one_may_come_twice(void **state)
{
	struct prog *t = *state;
	struct pkt in, out;
	uint32_t id = 0;

	out_packet(&in, UDP4);
	out_translated(&out, UDP4);
	expect_fragment(t, &in, &out, 0, FIRST, CLIENT_SIDE, &id);
	expect_fragment(t, &in, &out, FIRST, 128, CLIENT_SIDE, &id);
	expect_fragment(t, &in, &out, 0, FIRST, CLIENT_SIDE, &id);
	expect_fragment(t, &in, &out, FIRST + 128, 0, CLIENT_SIDE, &id);
}

static void assert_kept(struct prog *t, const struct flow *f, const struct pkt *fragment,
			const char *dst, enum prog_side side)
{
	const struct fq_addr to = prog_addr(dst);
	const struct prog_upcall *u = &t->upcall[0];

	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(u->kind, FQ_UPCALL_FRAGMENT);
	assert_int_equal(u->ifindex, prog_ifindex(side));
	assert_int_equal(u->domain, __builtin_bswap32(ID));
	assert_int_equal(u->gateway, is_v6(fragment) ? 0 : f->proto);
	assert_memory_equal(&u->proxy, &to, sizeof(to));
	assert_int_equal(u->len, PKT_L3 + pkt_l3_len(fragment));
	assert_memory_equal(u->frame, pkt_data(fragment), u->len);
	t->upcalls = 0;
}

static void assert_told(struct prog *t, const struct flow *f, const char *src, const char *dst)
{
	const struct fq_frag_key key = {
		.src = prog_addr(src),
		.dst = prog_addr(dst),
		.id = __builtin_bswap32(ID),
		.proto = strchr(src, ':') ? 0 : f->proto,
	};
	const struct prog_upcall *u = &t->upcall[0];

	prog_poll(t);
	assert_int_equal(t->upcalls, 1);
	assert_int_equal(u->kind, FQ_UPCALL_FIRST);
	assert_int_equal(u->len, sizeof(key));
	assert_memory_equal(u->frame, &key, sizeof(key));
	t->upcalls = 0;
}

/* RFC 4787 REQ-14: out of order. To a proxy address nobody but us may have it. */
static void early_fragment_is_kept_until_the_first_one_comes(void **state)
{
	struct prog *t = *state;
	struct pkt in, out, early;

	for (size_t i = 0; i < N_FLOWS; i++) {
		uint32_t id = 0;

		prog_reset(t);
		out_packet(&in, &FLOWS[i]);
		out_translated(&out, &FLOWS[i]);
		pkt_fragment(&early, &in, FIRST, 0, ID);
		prog_expect(t, &early, CLIENT_SIDE, FQ_R_FRAGMENT_HELD, NULL);
		assert_kept(t, &FLOWS[i], &early, FLOWS[i].proxy, CLIENT_SIDE);
		expect_fragment(t, &in, &out, 0, FIRST, CLIENT_SIDE, &id);
		assert_told(t, &FLOWS[i], FLOWS[i].client, FLOWS[i].proxy);
		/* Put back by the daemon. */
		expect_fragment(t, &in, &out, FIRST, 0, CLIENT_SIDE, &id);
	}
}

/* In, it may be the kernel's: it goes there, and a copy is kept. */
static void early_fragment_in_is_the_kernels_and_kept(void **state)
{
	struct prog *t = *state;
	struct pkt in, out, early;

	for (size_t i = 0; i < N_FLOWS; i++) {
		struct prog_result res;
		uint32_t id = 0;

		prog_reset(t);
		out_packet(&in, &FLOWS[i]);
		prog_run(t, &in, CLIENT_SIDE, &res);
		in_packet(&in, &FLOWS[i]);
		in_translated(&out, &FLOWS[i]);
		pkt_fragment(&early, &in, FIRST, 0, ID);
		prog_expect(t, &early, SERVER_SIDE, FQ_R_FRAGMENT, NULL);
		assert_kept(t, &FLOWS[i], &early, FLOWS[i].nat, SERVER_SIDE);
		expect_fragment(t, &in, &out, 0, FIRST, SERVER_SIDE, &id);
		assert_told(t, &FLOWS[i], FLOWS[i].server, FLOWS[i].nat);
		expect_fragment(t, &in, &out, FIRST, 0, SERVER_SIDE, &id);
	}
}

/* The kernel's own datagrams, in order, and to addresses that sessions do not have. */
static void kernels_fragments_are_left_alone(void **state)
{
	struct prog *t = *state;
	struct pkt whole, p;

	in_packet(&whole, UDP4);
	pkt_fragment(&p, &whole, 0, FIRST, ID);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_NOT_OURS, NULL);
	pkt_fragment(&p, &whole, FIRST, 0, ID);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_NOT_OURS, NULL);
	PKT(&whole, .src = SERVER4, .dst = GW_CLIENT4, .proto = PKT_UDP, .payload = payload,
	    .payload_len = PAYLOAD);
	pkt_fragment(&p, &whole, FIRST, 0, ID);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_FRAGMENT, NULL);
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

/* G-32: only the first one is answered. */
static void fragments_of_a_refused_one_are_refused_silently(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt whole, p;

	prog_revoke(t, CLIENT, RESOURCE);
	out_packet(&whole, UDP4);
	pkt_fragment(&p, &whole, 0, FIRST, ID);
	prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_NOT_GRANTED, PROXY4, 3, 13, 0);
	pkt_fragment(&p, &whole, FIRST, 0, ID);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_NOT_GRANTED);
	assert_int_equal(res.verdict, XDP_DROP);
	assert_int_equal(res.count[FQ_R_ICMP_NOT_ALLOWED].packets, 1);
	assert_int_equal(res.count[FQ_R_ICMP_SENT].packets, 0);
}

static void strangers_fragments_are_not_kept(void **state)
{
	struct prog *t = *state;
	struct prog_result res;
	struct pkt whole, p;

	PKT(&whole, .src = "203.0.113.7", .dst = PROXY4, .proto = PKT_UDP, .payload = payload,
	    .payload_len = PAYLOAD);
	pkt_fragment(&p, &whole, FIRST, 0, ID);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_int_equal(res.reason, FQ_R_NOT_A_CLIENT);
	assert_int_equal(res.verdict, XDP_DROP);
	prog_poll(t);
	assert_int_equal(t->upcalls, 0);
}

/* While the domain is pending, the first one is held as every packet, and then the others wait. */
static void fragments_of_a_held_one_are_kept(void **state)
{
	struct prog *t = *state;
	struct pkt whole, p;

	prog_edge(t, PROXY4, FQ_EDGE_HOLD);
	out_packet(&whole, UDP4);
	pkt_fragment(&p, &whole, 0, FIRST, ID);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_HELD, NULL);
	prog_poll(t);
	t->upcalls = 0;
	pkt_fragment(&p, &whole, FIRST, 0, ID);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_FRAGMENT_HELD, NULL);
	assert_kept(t, UDP4, &p, PROXY4, CLIENT_SIDE);
}

/* RFC 1858, RFC 3128: ports that a filter has seen cannot be overwritten behind it. */
static void ports_cannot_be_overwritten(void **state)
{
	struct prog *t = *state;
	struct pkt whole, in, out, p;
	uint32_t id = 0;

	out_packet(&whole, TCP4);
	pkt_fragment(&p, &whole, 0, 16, ID);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
	out_packet(&in, TCP4);
	out_translated(&out, TCP4);
	expect_fragment(t, &in, &out, 0, FIRST, CLIENT_SIDE, &id);
	for (size_t off = 8; off < 20; off += 8) {
		pkt_fragment(&p, &whole, off, 64, ID);
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_FRAGMENT_OVERLAP, NULL);
	}
}

/* RFC 6864: datagrams that may be fragmented get ids that do not meet; the others keep theirs. */
static void ids_of_clients_do_not_meet(void **state)
{
	struct pkt p, q;
	struct prog *t = *state;
	struct prog_result one, two;

	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ip_id = ID, .no_df = true);
	prog_run(t, &p, CLIENT_SIDE, &one);
	PKT(&q, .src = "192.0.2.3", .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ip_id = ID, .no_df = true);
	prog_run(t, &q, CLIENT_SIDE, &two);
	assert_int_equal(one.reason, FQ_R_TRANSLATED);
	assert_int_equal(two.reason, FQ_R_TRANSLATED);
	assert_int_not_equal(ip_id(&one.out), ip_id(&two.out));
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ip_id = ID);
	prog_run(t, &p, CLIENT_SIDE, &one);
	assert_int_equal(ip_id(&one.out), ID);
	/* The header checksum is right: the expected packet is built anew. */
	PKT(&q, .src = GW4, .dst = SERVER4, .proto = PKT_UDP, .sport = PORT, .dport = 53,
	    .ip_id = ID, .ttl = 63, .dmac = PKT_MAC_SERVER, .smac = PKT_MAC_GW_SERVER);
	pkt_assert_equal(&one.out, &q);
}

/* RFC 6946: a Fragment header alone makes no fragment. */
static void atomic_fragments_are_whole(void **state)
{
	struct pkt in, out, p, expected;
	struct prog *t = *state;

	out_packet(&in, UDP6);
	out_translated(&out, UDP6);
	pkt_fragment(&p, &in, 0, 0, ID);
	pkt_fragment(&expected, &out, 0, 0, ID);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_TRANSLATED, &expected);
	pkt_fragment(&p, &in, FIRST, 0, ID);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_FRAGMENT_HELD, NULL);
}

/* What travels to the daemon has a rate, and the rest a reason. */
static void flood_of_fragments_has_a_limit(void **state)
{
	struct fq_bucket buckets[64];
	struct prog *t = *state;
	const uint32_t zero = 0;
	struct pkt whole, p;

	assert_true(libbpf_num_possible_cpus() <= 64);
	/* Three, and no more for an hour. */
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		buckets[i] = (struct fq_bucket){
			.refilled = prog_now() + 3600000000000ULL,
			.tokens = 3,
		};
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.frag_cpu), &zero, buckets, BPF_ANY),
		0);
	out_packet(&whole, UDP4);
	for (unsigned int i = 0; i < 5; i++) {
		struct prog_result res;

		pkt_fragment(&p, &whole, FIRST, 0, i);
		prog_run(t, &p, CLIENT_SIDE, &res);
		assert_int_equal(res.reason, i < 3 ? FQ_R_FRAGMENT_HELD : FQ_R_POOL_FRAGMENT);
		assert_int_equal(res.count[FQ_R_FRAGMENT_LIMIT].packets, i < 3 ? 0 : 1);
	}
	prog_poll(t);
	assert_int_equal(t->upcalls, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(fragments_follow_the_first_one),
		T(first_one_may_come_twice),
		T(early_fragment_is_kept_until_the_first_one_comes),
		T(early_fragment_in_is_the_kernels_and_kept),
		T(kernels_fragments_are_left_alone),
		T(fragments_of_a_refused_one_are_refused_silently),
		T(strangers_fragments_are_not_kept),
		T(fragments_of_a_held_one_are_kept),
		T(ports_cannot_be_overwritten),
		T(ids_of_clients_do_not_meet),
		T(atomic_fragments_are_whole),
		T(flood_of_fragments_has_a_limit),
	};
	int failed;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	failed = cmocka_run_group_tests_name("fragments", tests, prog_group_setup,
					     prog_group_teardown);
	failed += cmocka_run_group_tests_name("fragments, VLANs", tests, prog_group_setup_vlan,
					      prog_group_teardown);
	return failed + cmocka_run_group_tests_name("fragments, tc", tests, prog_group_setup_tc,
						    prog_group_teardown);
}
