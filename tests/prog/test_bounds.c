/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What limits the programs: the pools, and the memory for sessions that have ended.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"

#include "fqdnat.skel.h"

#define OUTSIDE4  "203.0.113.5" /* neither in a pool nor anybody's */
#define OUTSIDE6  "2001:db8:77::5"
#define PORT      5000
#define SECOND_NS 1000000000ULL

/* M-07: an address outside the pools is the kernel's; the maps have no place for it. */
static void addresses_outside_the_pools_are_never_translated(void **state)
{
	static const char *const outside[] = {OUTSIDE4, OUTSIDE6};
	const struct fq_xlat xlat = {.domain = DOMAIN};
	const struct fq_edge edge = {.domain = DOMAIN};
	struct prog *t = *state;
	struct pkt p;

	for (int i = 0; i < 2; i++) {
		const struct fq_xlat_key key = {.proxy = prog_addr(outside[i])};

		assert_int_equal(proxies_set_xlat(t->proxies, &key, &xlat), -ERANGE);
		assert_int_equal(proxies_set_edge(t->proxies, &key.proxy, &edge), -ERANGE);
	}
	PKT(&p, .src = CLIENT4, .dst = OUTSIDE4, .proto = PKT_UDP, .sport = PORT, .dport = 53);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	PKT(&p, .src = CLIENT6, .dst = OUTSIDE6, .proto = PKT_UDP, .sport = PORT, .dport = 53);
	prog_expect(t, &p, CLIENT_SIDE, FQ_R_NOT_OURS, NULL);
	assert_int_equal(prog_sessions(t), 0);
}

static void set_tombstone(const struct prog *t, uint16_t port, uint32_t host)
{
	struct fq_tuple key = prog_tuple(PKT_UDP, SERVER4, 0, GW4, port);
	const struct fq_tombstone stone = {.until = prog_now() + 60 * SECOND_NS};

	key.src.w[3] ^= host << 8; /* the network's part: none of the hosts that tests use */
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.tombstones), &key, &stone, BPF_ANY),
		0);
}

static unsigned int tombstones(const struct prog *t)
{
	const int fd = bpf_map__fd(t->skel->maps.tombstones);
	const struct fq_tuple *previous = NULL;
	struct fq_tuple key;
	unsigned int n = 0;

	while (bpf_map_get_next_key(fd, previous, &key) == 0) {
		previous = &key;
		n++;
	}
	return n;
}

/* N-08: however many sessions end, the memory of them is bounded, and the last ended is in it. */
static void memory_of_ended_sessions_is_bounded(void **state)
{
	struct prog *t = prog_new(NULL, false);
	struct pkt p;

	(void)state;
	prog_reset(t);
	for (uint32_t i = 0; i < FQ_TOMBSTONES_MAX + FQ_TOMBSTONES_MAX / 8; i++)
		set_tombstone(t, 1 + i % 65535, 1 + i / 65535);
	set_tombstone(t, PORT, 0);

	assert_true(tombstones(t) <= FQ_TOMBSTONES_MAX);
	PKT(&p, .src = SERVER4, .dst = GW4, .proto = PKT_UDP, .sport = 53, .dport = PORT);
	prog_expect(t, &p, SERVER_SIDE, FQ_R_EXPIRED_SESSION, NULL);
	prog_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, prog_test_setup)
	const struct CMUnitTest tests[] = {
		T(addresses_outside_the_pools_are_never_translated),
		T(memory_of_ended_sessions_is_bounded),
	};

	return cmocka_run_group_tests_name("bounds", tests, prog_group_setup, prog_group_teardown);
}
