/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs on every CPU and user space at the session table at once: few flows, opened by all
 * as fast as they are flushed, in places that are used again and again. What is left in the end has
 * to be whole. (tests/unit/test_table_race.c does it natively, with a log of who did what.)
 */
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"
#include "../lib/pkt.h"

#define FLOWS   6
#define ROUNDS  10   /* at least, with a grace period behind each */
#define FLUSHES 40   /* in a round, fewer than places: the flows move from one to the next */
#define RUNS    1000 /* packets of a thread at least */
#define THREADS 4    /* of programs */
#define SYN     0x02
#define FIN_ACK 0x11

static const uint8_t protos[] = {PKT_TCP, PKT_UDP, PKT_ICMP};

struct flow {
	uint8_t proto;
	bool v6;
	uint16_t port;
};

struct runner {
	pthread_t thread;
	struct dataplane *dp;
	uint32_t random;
	uint32_t client_if, server_if;
	const bool *end;
	unsigned int runs, failed;
};

static struct flow flow_of(uint32_t i)
{
	return (struct flow){.proto = protos[i % 3], .v6 = i / 3 % 2, .port = (uint16_t)(2000 + i)};
}

static bool run(struct runner *r, const struct pkt *p, uint32_t ifindex)
{
	struct xdp_md ctx = {.data_end = (uint32_t)p->len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = pkt_data(p),
		    .data_size_in = (uint32_t)p->len, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	return bpf_prog_test_run_opts(r->dp->progs[P_NATIVE], &opts) == 0;
}

static struct pkt packet_out(const struct flow *f, uint8_t flags)
{
	struct pkt p;

	PKT(&p, .src = f->v6 ? DPT_CLIENT6 : DPT_CLIENT4, .dst = f->v6 ? DPT_PROXY6 : DPT_PROXY4,
	    .proto = f->proto, .sport = f->port, .dport = 443, .tcp_flags = flags);
	return p;
}

/* The answer to a packet of the flow, if it has a session now. */
static bool packet_in(const struct runner *r, const struct flow *f, uint8_t flags,
		      struct pkt *ret_packet)
{
	bool tcp = f->proto == PKT_TCP, icmp = f->proto == PKT_ICMP;
	const struct fq_tuple want = {
		.src = dpt_addr(f->v6 ? DPT_CLIENT6 : DPT_CLIENT4),
		.dst = dpt_addr(f->v6 ? DPT_PROXY6 : DPT_PROXY4),
		.sport = htons(f->port),
		.dport = htons(tcp ? 443 : 0),
		.proto = icmp && f->v6 ? IPPROTO_ICMPV6 : f->proto,
	};
	uint32_t index = table_find(&r->dp->table, &want);
	struct session_entry out;
	struct fq_tuple key;

	if (index == TABLE_NONE || !table_read(&r->dp->table, index, instant_now(), &key, &out))
		return false;
	PKT(ret_packet, .src = f->v6 ? DPT_SERVER6 : DPT_SERVER4, .dst = f->v6 ? DPT_GW6 : DPT_GW4,
	    .proto = f->proto, .sport = icmp ? ntohs(out.port) : 443, .dport = ntohs(out.port),
	    .reply = true, .tcp_flags = flags, .dmac = PKT_MAC_GW_SERVER, .smac = PKT_MAC_SERVER);
	return true;
}

static void *run_packets(void *ctx)
{
	static const uint8_t flags[] = {SYN, 0, 0, FIN_ACK};
	struct runner *r = ctx;

	while (!__atomic_load_n(r->end, __ATOMIC_RELAXED)) {
		struct flow f = flow_of(pkt_random(&r->random) % FLOWS);
		uint8_t flag = flags[pkt_random(&r->random) % 4];
		struct pkt p = packet_out(&f, flag);

		r->failed += !run(r, &p, r->client_if);
		__atomic_fetch_add(&r->runs, 1, __ATOMIC_RELAXED);
		if (!packet_in(r, &f, flag, &p))
			continue;
		r->failed += !run(r, &p, r->server_if);
	}
	return NULL;
}

/* MAC addresses as packets of tests have them, neighbours that need not be asked. */
static void prepare_interfaces(void)
{
	dpt_run(DPT_GATEWAY, "ip link set cl address 02:00:00:00:01:01");
	dpt_run(DPT_GATEWAY, "ip link set sv address 02:00:00:00:02:01");
	dpt_run(DPT_GATEWAY,
		"ip neigh replace " DPT_SERVER4 " lladdr 02:00:00:00:02:02 dev sv nud permanent");
	dpt_run(DPT_GATEWAY,
		"ip neigh replace " DPT_SERVER6 " lladdr 02:00:00:00:02:02 dev sv nud permanent");
	dpt_run(DPT_GATEWAY,
		"ip neigh replace " DPT_CLIENT4 " lladdr 02:00:00:00:01:02 dev cl nud permanent");
	dpt_run(DPT_GATEWAY,
		"ip neigh replace " DPT_CLIENT6 " lladdr 02:00:00:00:01:02 dev cl nud permanent");
}

/* What stands there: found by its key in its place alone, and with its other half. */
static bool is_whole(const struct dataplane *dp, uint32_t index, enum fq_dir *ret_dir)
{
	const struct session_table *t = &dp->table;
	struct session_entry entry, other;
	struct fq_tuple key, partner, same;
	uint32_t at;

	if (!table_read(t, index, instant_now(), &key, &entry) || table_find(t, &key) != index)
		return false;
	*ret_dir = entry.dir;
	partner = session_partner(&key, &entry);
	at = table_find(t, &partner);
	if (at == TABLE_NONE || !table_read(t, at, instant_now(), &same, &other))
		return false;
	same = session_partner(&same, &other);
	return memcmp(&same, &key, sizeof(key)) == 0 && other.dir != entry.dir;
}

/* Nobody runs any more. Return: sessions. */
static unsigned int assert_whole(const struct dataplane *dp)
{
	unsigned int bits = 0, live = 0, out = 0;

	for (uint32_t i = 0; i < dp->table.table->slots; i++) {
		const struct fq_slot *s = &dp->table.slot[i];
		enum fq_dir dir = FQ_DIR_OUT;

		bits += (unsigned int)__builtin_popcountll(s->bits);
		if (!s->word || (s->state & TABLE_DEAD))
			continue;
		if (s->state != (TABLE_CLAIMED | TABLE_LIVE) || !is_whole(dp, i, &dir))
			fail_msg("slot %u: state %u is not whole", i, s->state);
		live++;
		out += dir == FQ_DIR_OUT;
	}
	assert_int_equal(bits, live);
	assert_int_equal(live, 2 * out);
	return out;
}

static void assert_empty(const struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->table.table->slots; i++)
		if (dp->table.slot[i].word || dp->table.slot[i].bits)
			fail_msg("slot %u is not free", i);
}

/* The least table there is: flushed the faster. */
static struct dataplane *open_small(void)
{
	struct dp_settings settings = dpt_settings();
	struct dataplane *dp = NULL;
	struct dp_error err;

	settings.sessions_max = 100;
	if (dataplane_open(&settings, &err, &dp) < 0)
		fail_msg("%s", err.text);
	return dp;
}

static bool all_have_run(const struct runner *runners)
{
	for (uint32_t i = 0; i < THREADS; i++)
		if (__atomic_load_n(&runners[i].runs, __ATOMIC_RELAXED) < RUNS)
			return false;
	return true;
}

static void sessions_are_whole_however_they_are_opened_and_flushed(void **state)
{
	const struct dp_match all = {0}, client = {.client = &(uint32_t){DPT_CLIENT}};
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct runner runners[THREADS];
	uint64_t flushed = 0;
	unsigned int left;
	bool end = false;

	(void)state;
	prepare_interfaces();
	dp = open_small();
	dpt_world(dp);
	for (uint32_t i = 0; i < THREADS; i++) {
		runners[i] = (struct runner){.dp = dp,
					     .random = i + 1,
					     .end = &end,
					     .client_if = if_nametoindex("cl"),
					     .server_if = if_nametoindex("sv")};
		assert_int_equal(pthread_create(&runners[i].thread, NULL, run_packets, &runners[i]),
				 0);
	}
	for (int i = 0; i < ROUNDS || !all_have_run(runners); i++) {
		for (int n = 0; n < FLUSHES; n++) {
			while (dataplane_sessions_used(dp) < FLOWS / 2)
				sched_yield();
			flushed += dataplane_flush(dp, n % 2 ? &all : &client, instant_now());
		}
		(void)dataplane_sweep(dp, instant_now(), 65536);
		grace_drain(dp->grace);
	}
	__atomic_store_n(&end, true, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(runners[i].thread, NULL);
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(runners[i].failed, 0);
	left = assert_whole(dp);
	assert_int_equal(dataplane_sessions_used(dp), left);
	assert_int_equal(dataplane_quota_used(dp, DPT_CLIENT), left);
	assert_true(flushed > 0);
	assert_int_equal(dpt_count(FQ_R_SESSION_CREATED), flushed + left);

	assert_int_equal(dataplane_flush(dp, &all, instant_now()), left);
	(void)dataplane_sweep(dp, instant_now(), 65536);
	grace_drain(dp->grace);
	assert_int_equal(dataplane_sessions_used(dp), 0);
	assert_empty(dp);
}

/* New sessions need the room at once, and the next sweep may be a second away. */
static void what_is_flushed_makes_room_without_another_sweep(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = open_small();

	(void)state;
	for (uint16_t i = 0; i < 1000; i++)
		dpt_session(dp, &(struct dpt_session){.proto = IPPROTO_UDP,
						      .client_port = (uint16_t)(2000 + i),
						      .nat_port = (uint16_t)(2000 + i)});
	assert_int_equal(dataplane_flush(dp, &(struct dp_match){0}, instant_now()), 1000);
	while (grace_pending(dp->grace))
		sched_yield();
	assert_empty(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sessions_are_whole_however_they_are_opened_and_flushed,
					  dpt_clean),
		cmocka_unit_test_teardown(what_is_flushed_makes_room_without_another_sweep,
					  dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
