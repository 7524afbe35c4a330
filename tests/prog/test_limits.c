/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits, and two CPUs at once: quotas and full tables leave live sessions alone, and counts stay
 * right whoever wins.
 */
#include <pthread.h>
#include <sched.h>
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

#include "../lib/prog.h"
#include "../lib/skip.h"

#include "fqdnat.skel.h"

static enum fq_reason out(struct prog *t, uint8_t proto, const char *src, uint16_t sport,
			  const char *proxy, uint16_t dport)
{
	struct prog_result res;
	struct pkt p;

	PKT(&p, .src = src, .dst = proxy, .proto = proto, .sport = sport, .dport = dport);
	prog_run(t, &p, CLIENT_SIDE, &res);
	return res.reason;
}

/* RFC 6888 REQ-4, REQ-11: the new one is refused, the old ones are not touched. */
static void quota_is_the_clients_own(void **state)
{
	struct prog *t = *state;

	prog_quota(t, CLIENT, 2);
	prog_client(t, "192.0.2.3", 128, CLIENT + 1, SCOPE);
	prog_grant(t, CLIENT + 1, RESOURCE, 0);
	prog_quota(t, CLIENT + 1, 2);

	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 2, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 3, PROXY4, 443), FQ_R_QUOTA);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, "192.0.2.3", 3, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 2);
	assert_int_equal(prog_get_control(t).sessions, 3);
}

/* RFC 6888 REQ-4, REQ-11: a flood is its client's own trouble; others open sessions as before. */
static void flood_of_one_client_does_not_touch_others(void **state)
{
	enum { QUOTA = 200, FLOOD = 2000 };
	unsigned int refused = 0, told = 0, limited = 0;
	struct prog *t = *state;

	prog_quota(t, CLIENT, QUOTA);
	prog_client(t, "192.0.2.3", 128, CLIENT + 1, SCOPE);
	prog_grant(t, CLIENT + 1, RESOURCE, 0);
	prog_quota(t, CLIENT + 1, QUOTA);
	for (uint16_t i = 0; i < FLOOD; i++) {
		struct prog_result res;
		struct pkt p;

		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = i % 2 ? PKT_TCP : PKT_UDP,
		    .sport = 2000 + i, .dport = 443, .tcp_flags = 0x02);
		prog_run(t, &p, CLIENT_SIDE, &res);
		refused += res.reason == FQ_R_QUOTA;
		told += res.count[FQ_R_ICMP_SENT].packets;
		limited += res.count[FQ_R_ICMP_LIMITED].packets;
		if (i % 20 == 0)
			assert_int_equal(out(t, PKT_TCP, "192.0.2.3", 10000 + i, PROXY4, 443),
					 FQ_R_TRANSLATED);
	}
	assert_int_equal(refused, FLOOD - QUOTA);
	assert_int_equal(told + limited, refused);
	assert_true(told > 0);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, QUOTA);
	assert_int_equal(prog_get_quota(t, CLIENT + 1).sessions, FLOOD / 20);
	/* what was there first is there still */
	assert_int_equal(out(t, PKT_UDP, CLIENT4, 2000, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, "192.0.2.3", 10000, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_get_control(t).sessions, QUOTA + FLOOD / 20);
}

static void full_table_keeps_what_it_has(void **state)
{
	struct prog *t = *state;

	prog_limit(t, 2);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 2, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 3, PROXY4, 443), FQ_R_TABLE_FULL);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 2, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 2);
	assert_int_equal(prog_get_control(t).sessions, 2);
}

/* User space may have counted anew in between: a count below zero is no quota used up. */
static void count_below_zero_is_not_full(void **state)
{
	const struct fq_quota below = {.sessions = (uint32_t)-1, .max = 1};
	const uint32_t client = CLIENT;
	struct prog *t = *state;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.quota), &client, &below, BPF_ANY), 0);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 2, PROXY4, 443), FQ_R_TRANSLATED);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 3, PROXY4, 443), FQ_R_QUOTA);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, 1);
}

/* The same where the map itself is the limit; half an entry pair is not left behind. */
static void full_map_keeps_what_it_has(void **state)
{
	struct prog *t = *state;
	unsigned int opened = 0;

	prog_limit(t, 1 << 20);
	prog_quota(t, CLIENT, 1 << 20);
	while (out(t, PKT_TCP, CLIENT4, 1024 + opened, PROXY4, 443) == FQ_R_TRANSLATED)
		opened++;

	assert_int_equal(prog_sessions(t), 2 * opened);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, opened);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1024 + opened, PROXY4, 443), FQ_R_TABLE_FULL);
	assert_int_equal(out(t, PKT_TCP, CLIENT4, 1024, PROXY4, 443), FQ_R_TRANSLATED);
}

#define RACES 300

struct racer {
	struct prog *t;
	pthread_barrier_t *start;
	uint32_t ifindex;
	int cpu;
	int failed;
};

/* Open the same flows in the same order as the other one, at the same time. */
static void *race(void *arg)
{
	struct racer *r = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		r->failed++;
	for (int i = 0; i < RACES; i++) {
		struct xdp_md ctx = {.ingress_ifindex = r->ifindex};
		LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
		struct pkt p;

		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = i % 2 ? PKT_TCP : PKT_UDP,
		    .sport = 40000 + i, .dport = 443);
		ctx.data_end = p.len;
		opts.data_in = pkt_data(&p);
		opts.data_size_in = p.len;
		pthread_barrier_wait(r->start);
		if (bpf_prog_test_run_opts(r->t->fd, &opts) < 0 || opts.retval != XDP_REDIRECT)
			r->failed++;
	}
	return NULL;
}

/* RFC 4787 REQ-1 under fire: one pair of entries for each flow, and right counts. */
static void two_cpus_open_one_session(void **state)
{
	struct prog *t = *state;
	pthread_barrier_t start;
	struct racer racer[2];
	pthread_t thread[2];

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("needs two CPUs");
	pthread_barrier_init(&start, NULL, 2);
	for (int i = 0; i < 2; i++) {
		racer[i] = (struct racer){
			.t = t, .start = &start, .ifindex = prog_ifindex(CLIENT_SIDE), .cpu = i};
		assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&start);

	assert_int_equal(racer[0].failed + racer[1].failed, 0);
	assert_int_equal(prog_sessions(t), 2 * RACES);
	assert_int_equal(prog_get_quota(t, CLIENT).sessions, RACES);
	assert_int_equal(prog_get_control(t).sessions, RACES);
	for (int i = 0; i < RACES; i++) {
		bool tcp = i % 2;
		const struct fq_tuple key = prog_tuple(tcp ? PKT_TCP : PKT_UDP, CLIENT4, 40000 + i,
						       PROXY4, tcp ? 443 : 0);
		struct session_entry s = prog_session(t, &key);
		struct fq_tuple partner = prog_partner(&key, &s);

		assert_int_equal(s.packets, 2);
		s = prog_session(t, &partner);
		partner = prog_partner(&partner, &s);
		assert_memory_equal(&partner, &key, sizeof(key));
	}
}

/* One entry of a per-CPU map, all CPUs; the caller frees. */
static void *scratch_new(const struct bpf_map *map, size_t *ret_size)
{
	*ret_size = (bpf_map__value_size(map) + 7) / 8 * 8 * libbpf_num_possible_cpus();
	return malloc(*ret_size);
}

static void scratch_fill(const struct bpf_map *map, uint32_t slot)
{
	size_t size;
	void *values = scratch_new(map, &size);

	memset(values, 0xa5, size);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &slot, values, BPF_ANY), 0);
	free(values);
}

/* By any CPU. Behind each one's value there may be padding that is zero. */
static bool scratch_used(const struct bpf_map *map, uint32_t slot)
{
	size_t size, each = (bpf_map__value_size(map) + 7) / 8 * 8;
	uint8_t *values = scratch_new(map, &size);
	bool used = false;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &slot, values), 0);
	for (size_t cpu = 0; cpu < size; cpu += each)
		for (size_t i = 0; i < bpf_map__value_size(map); i++)
			used |= values[cpu + i] != 0xa5;
	free(values);
	return used;
}

static void run_with_partial_checksum(int fd)
{
	struct xdp_md ctx = {.ingress_ifindex = prog_ifindex(CLIENT_SIDE)};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	struct pkt p;

	PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_TCP, .sport = 1, .dport = 443,
	    .csum = PKT_CSUM_PARTIAL);
	ctx.data_end = p.len;
	opts.data_in = pkt_data(&p);
	opts.data_size_in = p.len;
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	assert_int_equal(opts.retval, XDP_REDIRECT);
}

/*
 * The attached program may interrupt the injecting one on its CPU (BPF_PROG_TEST_RUN leaves
 * softirqs on before kernel 6.3): neither writes where the other does.
 */
static void injecting_shares_no_scratch_with_the_attached_program(void **state)
{
	struct prog *t = *state;
	const struct bpf_map *const scratch[] = {t->skel->maps.open_scratch,
						 t->skel->maps.sum_scratch};
	const int fds[] = {t->fd, bpf_program__fd(t->skel->progs.fqdnat_xdp_inject)};

	for (uint32_t mine = 0; mine < 2; mine++) {
		prog_reset(t);
		for (size_t i = 0; i < 2; i++) {
			scratch_fill(scratch[i], 0);
			scratch_fill(scratch[i], 1);
		}
		run_with_partial_checksum(fds[mine]);
		for (size_t i = 0; i < 2; i++) {
			assert_true(scratch_used(scratch[i], mine));
			assert_false(scratch_used(scratch[i], !mine));
		}
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
/* What is the same for all programs. */
#define ALIKE                                                                      \
	T(quota_is_the_clients_own), T(flood_of_one_client_does_not_touch_others), \
		T(full_table_keeps_what_it_has), T(count_below_zero_is_not_full),  \
		T(full_map_keeps_what_it_has)
	const struct CMUnitTest tests[] = {
		ALIKE,
		T(two_cpus_open_one_session),
		T(injecting_shares_no_scratch_with_the_attached_program),
	};
	const struct CMUnitTest tc[] = {
		ALIKE,
	};
	int failed;

	failed =
		cmocka_run_group_tests_name("limits", tests, prog_group_setup, prog_group_teardown);
	return failed + cmocka_run_group_tests_name("limits, tc", tc, prog_group_setup_tc,
						    prog_group_teardown);
}
