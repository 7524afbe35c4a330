/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors through the loaded program: from outside about what a client has sent, from a client
 * about what it has received. Byte for byte, with the session's state before and after.
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
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define PORT 40000 /* of the client; NAT ports are others */
#define PEER 443

/* One protocol over one IP version, the session's addresses, and routers on both sides. */
struct flow {
	const char *client, *proxy, *nat, *real, *inside, *outside;
	uint8_t proto;
};

#define INSIDE4  "192.0.2.77"
#define INSIDE6  "2001:db8:1::77"
#define OUTSIDE4 "198.51.100.77"
#define OUTSIDE6 "2001:db8:2::77"

static const struct flow FLOWS[] = {
	{CLIENT4, PROXY4, GW4, SERVER4, INSIDE4, OUTSIDE4, PKT_TCP},
	{CLIENT4, PROXY4, GW4, SERVER4, INSIDE4, OUTSIDE4, PKT_UDP},
	{CLIENT4, PROXY4, GW4, SERVER4, INSIDE4, OUTSIDE4, PKT_ICMP},
	{CLIENT6, PROXY6, GW6, SERVER6, INSIDE6, OUTSIDE6, PKT_TCP},
	{CLIENT6, PROXY6, GW6, SERVER6, INSIDE6, OUTSIDE6, PKT_UDP},
	{CLIENT6, PROXY6, GW6, SERVER6, INSIDE6, OUTSIDE6, PKT_ICMP},
};

static const struct flow *const UDP4 = &FLOWS[1], *const TCP4 = &FLOWS[0], *const UDP6 = &FLOWS[4];

#define FOR_FLOWS(f) \
	for (const struct flow *f = FLOWS; f < FLOWS + sizeof(FLOWS) / sizeof(FLOWS[0]); f++)

static bool is_v6(const struct flow *f)
{
	return strchr(f->client, ':') != NULL;
}

/* ---- packets ---- */

static struct fq_tuple out_key(const struct flow *f)
{
	uint8_t proto = f->proto == PKT_ICMP && is_v6(f) ? 58 : f->proto;

	return prog_tuple(proto, f->client, PORT, f->proxy, f->proto == PKT_TCP ? PEER : 0);
}

static struct fq_tuple in_key(struct prog *t, const struct flow *f)
{
	const struct fq_tuple key = out_key(f);
	const struct fq_session s = prog_session(t, &key);

	return prog_partner(&key, &s);
}

/* Open the session. Ids of echo requests differ, too: somebody else has the client's. */
static uint16_t open_flow(struct prog *t, const struct flow *f)
{
	const struct fq_tuple key = out_key(f);
	struct prog_result res;
	struct pkt p;

	if (f->proto == PKT_ICMP) {
		PKT(&p, .src = f->inside, .dst = f->proxy, .proto = PKT_ICMP, .sport = PORT);
		prog_run(t, &p, CLIENT_SIDE, &res);
	}
	PKT(&p, .src = f->client, .dst = f->proxy, .proto = f->proto, .sport = PORT, .dport = PEER);
	prog_run(t, &p, CLIENT_SIDE, &res);
	assert_true(res.reason == FQ_R_TRANSLATED || res.reason == FQ_R_TRANSLATED_SLOW);
	return ntohs(prog_session(t, &key).port);
}

/*
 * What an error is about, see tests/unit/test_pkt_icmp_xlat.c. @inside: as the client's side knows
 * it, else as the resource's side does.
 */
static void about(struct pkt *p, const struct flow *f, enum fq_dir dir, bool inside, uint16_t nat)
{
	static const uint8_t payload[40] = "a few bytes";
	const char *us = inside ? f->client : f->nat, *peer = inside ? f->proxy : f->real;
	uint16_t port = inside ? PORT : nat;
	bool in = dir == FQ_DIR_IN;

	PKT(p, .src = in ? us : peer, .dst = in ? peer : us, .proto = f->proto,
	    .sport = in || f->proto == PKT_ICMP ? port : PEER, .dport = in ? PEER : port,
	    .reply = !in, .payload = payload, .payload_len = sizeof(payload) - 1);
}

/* An error from outside, as it arrives, and as the client gets it. */
static void from_outside(struct pkt *p, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	about(&quoted, f, FQ_DIR_IN, false, nat);
	e.src = e.src ? e.src : f->outside;
	e.dst = e.dst ? e.dst : f->nat;
	e.dmac = PKT_MAC_GW_SERVER;
	e.smac = PKT_MAC_SERVER;
	pkt_build_error(p, &e, &quoted);
}

static void to_client(struct pkt *p, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	about(&quoted, f, FQ_DIR_IN, true, nat);
	e.src = e.src ? e.src : f->proxy;
	e.dst = f->client;
	e.ttl = (e.ttl ? e.ttl : 64) - 1;
	e.dmac = PKT_MAC_CLIENT;
	e.smac = PKT_MAC_GW_CLIENT;
	pkt_build_error(p, &e, &quoted);
}

/* An error from a client, and as the resource gets it. */
static void from_client(struct pkt *p, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	about(&quoted, f, FQ_DIR_OUT, true, nat);
	e.src = e.src ? e.src : f->client;
	e.dst = e.dst ? e.dst : f->proxy;
	e.dmac = PKT_MAC_GW_CLIENT;
	e.smac = PKT_MAC_CLIENT;
	pkt_build_error(p, &e, &quoted);
}

static void to_resource(struct pkt *p, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt quoted;

	about(&quoted, f, FQ_DIR_OUT, false, nat);
	e.src = f->nat;
	e.dst = f->real;
	e.ttl = (e.ttl ? e.ttl : 64) - 1;
	e.dmac = PKT_MAC_SERVER;
	e.smac = PKT_MAC_GW_SERVER;
	pkt_build_error(p, &e, &quoted);
}

static struct pkt_error unreachable(const struct flow *f)
{
	return (struct pkt_error){.type = is_v6(f) ? 1 : 3, .code = 1};
}

static void expect_in(struct prog *t, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt p, expected;

	from_outside(&p, f, nat, e);
	e.src = NULL;
	to_client(&expected, f, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}

static void expect_out(struct prog *t, const struct flow *f, uint16_t nat, struct pkt_error e)
{
	struct pkt p, expected;

	from_client(&p, f, nat, e);
	to_resource(&expected, f, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
}

/* ---- both ways ---- */

static const uint8_t TYPES4[] = {3, 11, 12}, TYPES6[] = {1, 2, 3, 4};

/* I-01, I-02, I-06, N-09: as if the proxy address had said so, and no session is touched. */
static void errors_from_outside_reach_the_client(void **state)
{
	struct prog *t = *state;

	FOR_FLOWS(f)
	{
		uint16_t nat = open_flow(t, f);
		const struct fq_tuple out = out_key(f), in = in_key(t, f);
		const struct fq_session before_out = prog_session(t, &out);
		const struct fq_session before_in = prog_session(t, &in);
		struct fq_session after;

		assert_int_not_equal(nat, PORT);
		for (size_t i = 0; i < (is_v6(f) ? sizeof(TYPES6) : sizeof(TYPES4)); i++) {
			struct pkt_error e = {.type = is_v6(f) ? TYPES6[i] : TYPES4[i]};

			for (e.code = 0; e.code < 16; e.code++) {
				e.mtu = 1280 + e.code;
				expect_in(t, f, nat, e);
				e.src = f->real;
				expect_in(t, f, nat, e);
				e.src = NULL;
			}
		}
		after = prog_session(t, &out);
		assert_memory_equal(&before_out, &after, sizeof(after));
		after = prog_session(t, &in);
		assert_memory_equal(&before_in, &after, sizeof(after));
	}
}

/* G-20: what a client has to say about what it has received. */
static void errors_of_clients_reach_the_resource(void **state)
{
	struct prog *t = *state;

	FOR_FLOWS(f)
	{
		uint16_t nat = open_flow(t, f);
		const struct fq_tuple out = out_key(f), in = in_key(t, f);
		const struct fq_session before_out = prog_session(t, &out);
		const struct fq_session before_in = prog_session(t, &in);
		struct fq_session after;

		for (size_t i = 0; i < (is_v6(f) ? sizeof(TYPES6) : sizeof(TYPES4)); i++) {
			struct pkt_error e = {.type = is_v6(f) ? TYPES6[i] : TYPES4[i]};

			for (e.code = 0; e.code < 16; e.code++) {
				e.mtu = 1280 + e.code;
				expect_out(t, f, nat, e);
				e.src = f->inside; /* a router on the client's side */
				expect_out(t, f, nat, e);
				e.src = NULL;
			}
		}
		after = prog_session(t, &out);
		assert_memory_equal(&before_out, &after, sizeof(after));
		after = prog_session(t, &in);
		assert_memory_equal(&before_in, &after, sizeof(after));
	}
}

/* I-03: of every length that frames have. */
static void quotes_of_any_length_are_translated(void **state)
{
	struct prog *t = *state;

	FOR_FLOWS(f)
	{
		uint16_t nat = open_flow(t, f);
		struct pkt_error e = unreachable(f);
		size_t hlen = is_v6(f) ? 40 : 20;

		for (e.quote = hlen + 8; e.quote < hlen + 47; e.quote++) {
			/* half of a TCP checksum is left as it is */
			if (f->proto != PKT_TCP || e.quote != hlen + 17)
				expect_in(t, f, nat, e);
		}
		e.quote = 0;
		for (e.extensions = 1; e.extensions < 1300; e.extensions += 37)
			expect_in(t, f, nat, e);
		e.extensions = 0;
		for (e.quote = 1; e.quote < hlen + 8; e.quote++) {
			struct pkt p;

			from_outside(&p, f, nat, e);
			prog_expect(t, &p, SERVER_SIDE, FQ_R_MALFORMED, NULL);
			from_client(&p, f, nat, e);
			prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_MALFORMED, NULL);
		}
	}
}

/* G-46: errors about a session that exists pass, whatever its filter says by now. */
static void filters_are_not_asked(void **state)
{
	const struct fq_filter nothing = {.allow_all = 0};
	struct prog *t = *state;
	uint16_t nat = open_flow(t, UDP4);

	prog_filter(t, RESOURCE, &nothing);
	prog_policy_changed(t);
	expect_in(t, UDP4, nat, unreachable(UDP4));
	expect_out(t, UDP4, nat, unreachable(UDP4));
}

/* ---- nothing of ours ---- */

/* I-05: about an unknown session: the kernel's. */
static void errors_about_nothing_known_are_the_kernels(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	FOR_FLOWS(f)
	{
		from_outside(&p, f, 1234, unreachable(f));
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	}
}

/* The receiver must be who has sent what is quoted. */
static void errors_to_others_are_the_kernels(void **state)
{
	struct prog *t = *state;
	uint16_t nat = open_flow(t, UDP4);
	struct pkt_error e = unreachable(UDP4);
	struct pkt p;

	e.dst = "198.51.100.3";
	from_outside(&p, UDP4, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	e.dst = NULL;
	e.src = "224.0.0.1";
	from_outside(&p, UDP4, nat, e);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
}

/* The way of a session's packets that go out is no way for errors that come in, nor the reverse. */
static void errors_about_the_wrong_direction_are_not_translated(void **state)
{
	struct prog *t = *state;
	uint16_t nat = open_flow(t, TCP4);
	struct pkt quoted, p;

	about(&quoted, TCP4, FQ_DIR_OUT, false, nat); /* from the resource: nobody's to be told */
	pkt_build_error(&p, &(struct pkt_error){.src = OUTSIDE4, .dst = SERVER4, .type = 3},
			&quoted);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
	about(&quoted, TCP4, FQ_DIR_IN, true, nat); /* the client's own packet */
	pkt_build_error(&p, &(struct pkt_error){.src = CLIENT4, .dst = PROXY4, .type = 3}, &quoted);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
}

/* Redirects are advice to the gateway itself; source quench is of the past (RFC 6633). */
static void other_errors_are_not_translated(void **state)
{
	static const uint8_t others4[] = {4, 5}, others6[] = {5, 100, 127};
	struct prog *t = *state;
	uint16_t nat4 = open_flow(t, UDP4), nat6 = open_flow(t, UDP6);
	struct pkt p;

	for (size_t i = 0; i < sizeof(others4); i++) {
		from_outside(&p, UDP4, nat4, (struct pkt_error){.type = others4[i]});
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
		from_client(&p, UDP4, nat4, (struct pkt_error){.type = others4[i]});
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_ICMP_ERROR, NULL);
	}
	for (size_t i = 0; i < sizeof(others6); i++) {
		from_outside(&p, UDP6, nat6, (struct pkt_error){.type = others6[i]});
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_ERROR, NULL);
		from_client(&p, UDP6, nat6, (struct pkt_error){.type = others6[i]});
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
	from_outside(&p, UDP4, 5001, unreachable(UDP4));
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
	from_outside(&p, UDP4, 5002, unreachable(UDP4));
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	close(fd);
}

/* The same while the session is still there, marked as taken over. */
static void errors_about_tuples_taken_over_are_the_sockets(void **state)
{
	struct prog *t = *state;
	uint16_t nat = open_flow(t, TCP4);
	const struct fq_tuple out = out_key(TCP4), in = in_key(t, TCP4);
	struct fq_session s = prog_session(t, &in);
	struct pkt p;

	s.tcp_seen = FQ_TCP_LOCAL | FQ_TCP_RST;
	prog_set_session(t, &in, &s);
	s = prog_session(t, &out);
	s.tcp_seen = FQ_TCP_LOCAL | FQ_TCP_RST;
	prog_set_session(t, &out, &s);
	from_outside(&p, TCP4, nat, unreachable(TCP4));
	prog_expect(t, &p, SERVER_SIDE, FQ_R_LOCAL_SOCKET, NULL);
	from_client(&p, TCP4, nat, unreachable(TCP4));
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

	FOR_FLOWS(f)
	{
		from_client(&p, f, 1234, unreachable(f));
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	}
	nat = open_flow(t, UDP4);
	e = unreachable(UDP4);
	e.dst = PROXY4_B; /* another one than the packet came from */
	from_client(&p, UDP4, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_ICMP, .icmp_type = 3,
	    .dmac = PKT_MAC_GROUP);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_POOL_ICMP_ERROR, NULL);
}

/* G-20: nobody speaks for another client's sessions. */
static void errors_about_others_sessions_are_dropped(void **state)
{
	struct prog *t = *state;
	uint16_t nat = open_flow(t, UDP4);
	struct pkt_error e = unreachable(UDP4);
	struct pkt p;

	e.src = "203.0.113.7"; /* no client */
	from_client(&p, UDP4, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	prog_client(t, "203.0.113.7", 128, CLIENT + 1, SCOPE);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_NO_SESSION, NULL);
	prog_client(t, "203.0.113.7", 128, CLIENT, SCOPE);
	expect_out(t, UDP4, nat, e);
}

/* RFC 5508 REQ-3: the message's checksum must be right, all of it. */
static void wrong_checksums_are_dropped(void **state)
{
	struct prog *t = *state;
	struct pkt p;

	FOR_FLOWS(f)
	{
		uint16_t nat = open_flow(t, f);
		struct pkt_error e = unreachable(f);

		e.extensions = 300;
		from_outside(&p, f, nat, e);
		pkt_data(&p)[p.len - 1] ^= 1;
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);
		from_client(&p, f, nat, e);
		pkt_data(&p)[p.len - 2] ^= 0x80;
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);
	}
}

/* RFC 5508 REQ-3 a: so must the quoted header's; the quoted L4 checksum is not asked (c). */
static void wrong_quoted_headers_are_dropped(void **state)
{
	struct prog *t = *state;
	uint16_t nat = open_flow(t, UDP4);
	struct pkt quoted, p, expected;
	struct pkt_error e = {.src = OUTSIDE4, .dst = GW4, .type = 3};

	about(&quoted, UDP4, FQ_DIR_IN, false, nat);
	pkt_data(&quoted)[PKT_L3 + 8]--; /* TTL */
	pkt_build_error(&p, &e, &quoted);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_BAD_CHECKSUM, NULL);

	about(&quoted, UDP4, FQ_DIR_IN, false, nat);
	pkt_data(&quoted)[quoted.len - 1] ^= 0x10;
	pkt_build_error(&p, &e, &quoted);
	about(&quoted, UDP4, FQ_DIR_IN, true, nat);
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

/* G-32: nothing is said about an error that can go no further. */
static void the_last_hop_is_not_told(void **state)
{
	struct prog *t = *state;
	struct pkt_error e;
	struct pkt p;

	FOR_FLOWS(f)
	{
		uint16_t nat = open_flow(t, f);

		e = unreachable(f);
		e.ttl = 2;
		expect_in(t, f, nat, e);
		expect_out(t, f, nat, e);
		e.ttl = 1;
		from_outside(&p, f, nat, e);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
		from_client(&p, f, nat, e);
		prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
	}
}

/* G-32: nor about one that is too big for its way. */
static void too_big_errors_are_not_answered(void **state)
{
	struct flow f = *UDP4;
	struct prog *t = *state;
	struct pkt_error e = {.type = 3, .extensions = 600};
	uint16_t nat;
	struct pkt p;

	f.real = NARROW4;
	prog_xlat(t, PROXY4, NARROW4, DOMAIN, (const uint32_t[]){RESOURCE}, 1);
	nat = open_flow(t, &f);
	from_client(&p, &f, nat, e);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_ICMP_UNDELIVERABLE, NULL);
}

/* RFC 6864: the source is shared, so ids that must be unique are ours, as of all packets. */
static void ids_of_errors_are_ours(void **state)
{
	static const uint8_t DF_OFF = PKT_L3 + 6, ID = PKT_L3 + 4, CHECK = PKT_L3 + 10;
	struct prog *t = *state;
	uint16_t nat = open_flow(t, UDP4);
	struct prog_result res;
	struct pkt p, expected;

	from_outside(&p, UDP4, nat, unreachable(UDP4));
	to_client(&expected, UDP4, nat, unreachable(UDP4));
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
	struct flow f = *UDP4;
	struct prog *t = *state;
	struct prog_result res;
	struct pkt p, expected;
	uint16_t nat;

	f.real = SILENT4;
	prog_xlat(t, PROXY4, SILENT4, DOMAIN, (const uint32_t[]){RESOURCE}, 1);
	nat = open_flow(t, &f);
	prog_poll(t);
	t->upcalls = 0;
	from_client(&p, &f, nat, unreachable(&f));
	to_resource(&expected, &f, nat, unreachable(&f));
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
	FOR_FLOWS(f)
	{
		struct pkt_error e = {.type = is_v6(f) ? 3 : 11};
		uint16_t nat = open_flow(t, f);

		from_outside(&p, f, nat, e);
		e.src = f->outside;
		to_client(&expected, f, nat, e);
		prog_expect(t, &p, SERVER_SIDE, FQ_R_ICMP_TRANSLATED, &expected);
		e.src = f->real;
		expect_in(t, f, nat, e);
		e.src = f->inside;
		expect_out(t, f, nat, e);

		/* the gateway is a router, too */
		PKT(&p, .src = f->client, .dst = f->proxy, .proto = f->proto, .sport = PORT,
		    .dport = PEER, .ttl = 1);
		prog_expect_refused(t, &p, CLIENT_SIDE, FQ_R_TTL_EXCEEDED,
				    is_v6(f) ? GW_CLIENT6 : GW_CLIENT4, is_v6(f) ? 3 : 11, 0, 0);
	}
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
#define ALIKE                                                                                   \
	T(errors_from_outside_reach_the_client), T(errors_of_clients_reach_the_resource),       \
		T(quotes_of_any_length_are_translated), T(filters_are_not_asked),               \
		T(errors_about_nothing_known_are_the_kernels),                                  \
		T(errors_to_others_are_the_kernels),                                            \
		T(errors_about_the_wrong_direction_are_not_translated),                         \
		T(other_errors_are_not_translated), T(errors_about_ended_sessions_are_dropped), \
		T(errors_are_not_taken_from_local_sockets),                                     \
		T(errors_about_tuples_taken_over_are_the_sockets),                              \
		T(errors_of_clients_about_no_session_are_dropped),                              \
		T(errors_about_others_sessions_are_dropped), T(wrong_checksums_are_dropped),    \
		T(wrong_quoted_headers_are_dropped), T(the_last_hop_is_not_told),               \
		T(too_big_errors_are_not_answered), T(ids_of_errors_are_ours),                  \
		T(routers_are_shown_if_wanted)
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
