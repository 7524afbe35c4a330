/* SPDX-License-Identifier: BSD-2-Clause */
/* Proxy addresses: core/pool.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/pool.h"

#define QUARANTINE_NS (100 * NSEC_PER_SEC)

static struct instant at(int64_t s)
{
	return (struct instant){s * NSEC_PER_SEC};
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static struct ipprefix prefix(const char *text)
{
	struct ipprefix p;

	assert_int_equal(ipprefix_parse(text, &p), 0);
	return p;
}

static struct pool *pool_of(const char *v4, const char *v6, const struct ipprefix *excluded)
{
	struct pool_settings settings = {
		.v4 = prefix(v4),
		.v6 = prefix(v6),
		.excluded = excluded,
		.excluded_count = excluded != NULL,
		.quarantine_ns = QUARANTINE_NS,
	};
	struct pool *pool;

	assert_int_equal(pool_new(&settings, &pool), 0);
	return pool;
}

static struct pool *default_pool(void)
{
	return pool_of(POOL_V4_DEFAULT, POOL_V6_DEFAULT, NULL);
}

static void assert_addr(const struct fq_addr *a, const char *text)
{
	char buf[IPADDR_STRLEN];

	assert_string_equal(ipaddr_format(a, buf), text);
}

/* P-01, P-02: 4 + 4 at once, from the first address of each pool. */
static void first_lease_is_the_start_of_the_pools(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = default_pool();
	struct proxies p;

	(void)state;
	assert_int_equal(pool_lease(pool, 1, at(0), &p), 0);
	assert_int_equal(p.count, 8);
	assert_addr(&p.addr[0], "100.96.0.1");
	assert_addr(&p.addr[3], "100.96.0.4");
	assert_addr(&p.addr[4], "fd00:2021:1111:8000::");
	assert_addr(&p.addr[7], "fd00:2021:1111:8000::3");
}

/* P-01: the sentinel ranges, and what this host uses itself, are never handed out. */
static void excluded_ranges_are_skipped(void **state)
{
	struct ipprefix own = prefix("100.100.110.248/30");
	_cleanup_(pool_freep) struct pool *pool =
		pool_of("100.100.110.0/23", POOL_V6_DEFAULT, &own);
	struct ipprefix sentinel = prefix(POOL_V4_SENTINEL);
	struct proxies p;
	unsigned int leases = 0;

	(void)state;
	for (; pool_lease(pool, leases + 1, at(0), &p) == 0; leases++)
		for (int i = 0; i < PROXIES_V4; i++) {
			assert_false(ipprefix_contains(&sentinel, &p.addr[i]));
			assert_false(ipprefix_contains(&own, &p.addr[i]));
		}
	assert_int_equal(leases, (256 - 1 - 4) / 4); /* network address, own */
}

/* P-01: an IPv6 sentinel is found in the middle of a pool that begins there. */
static void ipv6_sentinel_is_skipped(void **state)
{
	_cleanup_(pool_freep) struct pool *pool =
		pool_of(POOL_V4_DEFAULT, "fd00:2021:1111:8000:100:100:111:0/119", NULL);
	struct pool_usage v4, v6;
	struct proxies p;

	(void)state;
	pool_usage(pool, &v4, &v6);
	assert_int_equal(v6.size, 256);
	assert_int_equal(v4.size, (1 << 21) - 2 - 256);
	assert_int_equal(pool_lease(pool, 1, at(0), &p), 0);
	assert_addr(&p.addr[4], "fd00:2021:1111:8000:100:100:111:100");
}

/* P-04: an address has one owner, who can be asked for. */
static void addresses_have_one_owner(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = default_pool();
	struct fq_addr other = addr("192.0.2.1");
	struct proxies p, q;

	(void)state;
	assert_int_equal(pool_lease(pool, 7, at(0), &p), 0);
	assert_int_equal(pool_lease(pool, 8, at(0), &q), 0);
	for (int i = 0; i < PROXIES_MAX; i++) {
		assert_int_equal(pool_owner(pool, &p.addr[i]), 7);
		assert_int_equal(pool_owner(pool, &q.addr[i]), 8);
	}
	assert_int_equal(pool_owner(pool, &other), 0);
	other = addr("100.96.0.9");
	assert_int_equal(pool_owner(pool, &other), 0);
	other = addr("100.100.111.1");
	assert_int_equal(pool_owner(pool, &other), 0);
	other = addr("fd00:2021:1111:8000:0:1::");
	assert_int_equal(pool_owner(pool, &other), 0);
}

/* P-08: exactly the restored addresses are taken, wherever they lie. */
static void restored_addresses_are_not_leased(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = pool_of("100.96.0.0/28", POOL_V6_DEFAULT, NULL);
	struct proxies restored = {.count = 2, .addr = {addr("100.96.0.3"), addr("100.96.0.6")}};
	struct proxies p;

	(void)state;
	assert_int_equal(pool_mark_used(pool, 5, &restored, at(10)), 0);
	assert_int_equal(pool_owner(pool, &restored.addr[1]), 5);

	assert_int_equal(pool_lease(pool, 6, at(11), &p), 0);
	assert_addr(&p.addr[0], "100.96.0.7");

	/* What is left of .11 to .14 and, after the quarantine, the gaps .1 .2 .4 .5. */
	assert_int_equal(pool_lease(pool, 7, at(12), &p), 0);
	assert_addr(&p.addr[3], "100.96.0.14");
	assert_int_equal(pool_lease(pool, 8, at(109), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 8, at(110), &p), 0);
	assert_addr(&p.addr[0], "100.96.0.1");
	assert_addr(&p.addr[2], "100.96.0.4");
	assert_int_equal(pool_lease(pool, 9, at(9999), &p), -ENOSPC);
}

/* P-08: restored addresses that cannot be: nothing is marked. */
static void impossible_restores_are_refused(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = default_pool();
	struct proxies p = {.count = 2, .addr = {addr("100.96.0.1"), addr("192.0.2.1")}};
	struct pool_usage v4, v6;

	(void)state;
	assert_int_equal(pool_mark_used(pool, 1, &p, at(0)), -ERANGE);
	p.addr[1] = addr("100.100.111.7");
	assert_int_equal(pool_mark_used(pool, 1, &p, at(0)), -ERANGE);
	p.addr[1] = addr("100.96.0.0");
	assert_int_equal(pool_mark_used(pool, 1, &p, at(0)), -ERANGE);
	p.addr[1] = p.addr[0];
	assert_int_equal(pool_mark_used(pool, 1, &p, at(0)), -EEXIST);
	pool_usage(pool, &v4, &v6);
	assert_int_equal(v4.leased, 0);
	p.count = 1;
	assert_int_equal(pool_mark_used(pool, 1, &p, at(0)), 0);
	assert_int_equal(pool_mark_used(pool, 2, &p, at(0)), -EEXIST);
}

/* P-10: released addresses rest, and come back least recently released first. */
static void released_addresses_rest(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = pool_of("100.96.0.0/28", POOL_V6_DEFAULT, NULL);
	struct proxies a, b, c, p;

	(void)state;
	assert_int_equal(pool_lease(pool, 1, at(0), &a), 0);
	assert_int_equal(pool_lease(pool, 2, at(0), &b), 0);
	assert_int_equal(pool_lease(pool, 3, at(0), &c), 0);
	assert_int_equal(pool_release(pool, 2, &b, POOL_REST_LONG, at(10)), 0);
	assert_int_equal(pool_release(pool, 1, &a, POOL_REST_LONG, at(20)), 0);
	assert_int_equal(pool_owner(pool, &a.addr[0]), 0);

	/* .13 and .14 are fresh, two more are wanted. */
	assert_int_equal(pool_lease(pool, 4, at(109), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 4, at(110), &p), 0);
	assert_addr(&p.addr[0], "100.96.0.13");
	assert_memory_equal(&p.addr[2], &b.addr[0], 2 * sizeof(p.addr[0]));
	assert_addr(&p.addr[4], "fd00:2021:1111:8000::c");

	assert_int_equal(pool_lease(pool, 5, at(119), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 5, at(120), &p), 0);
	assert_memory_equal(&p.addr[0], &b.addr[2], 2 * sizeof(p.addr[0]));
	assert_memory_equal(&p.addr[2], &a.addr[0], 2 * sizeof(p.addr[0]));
}

/* P-10: addresses that nothing ever passed with rest a minute, but the longer rested go first. */
static void unused_addresses_rest_shortly(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = pool_of("100.96.0.0/28", POOL_V6_DEFAULT, NULL);
	struct proxies a, b, c, p;

	(void)state;
	assert_int_equal(pool_lease(pool, 1, at(0), &a), 0);
	assert_int_equal(pool_lease(pool, 2, at(0), &b), 0);
	assert_int_equal(pool_lease(pool, 3, at(0), &c), 0);
	assert_int_equal(pool_release(pool, 1, &a, POOL_REST_LONG, at(10)), 0);
	assert_int_equal(pool_release(pool, 2, &b, POOL_REST_SHORT, at(20)), 0);
	assert_int_equal(pool_release(pool, 3, &c, POOL_REST_SHORT, at(60)), 0);

	/* .13 and .14 are fresh, two more are wanted. */
	assert_int_equal(pool_lease(pool, 4, at(79), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 4, at(80), &p), 0);
	assert_memory_equal(&p.addr[2], &b.addr[0], 2 * sizeof(p.addr[0]));
	assert_int_equal(pool_lease(pool, 5, at(109), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 5, at(110), &p), 0);
	assert_memory_equal(&p.addr[0], &a.addr[0], 4 * sizeof(p.addr[0]));
	assert_int_equal(pool_lease(pool, 6, at(119), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 6, at(120), &p), 0);
	assert_memory_equal(&p.addr[0], &b.addr[2], 2 * sizeof(p.addr[0]));
	assert_memory_equal(&p.addr[2], &c.addr[0], 2 * sizeof(p.addr[0]));
}

static void assert_quarantined(const struct pool *pool, uint32_t expected)
{
	struct pool_usage v4, v6;

	pool_usage(pool, &v4, &v6);
	assert_int_equal(v4.quarantined, expected);
}

/* P-08, P-10: what was released before a restart rests, although nobody owns it any more. */
static void marks_survive_a_restart(void **state)
{
	struct proxies restored = {.count = 2, .addr = {addr("100.96.0.2"), addr("100.96.0.3")}};
	const struct pool_marks marks = {.fresh4 = 7, .fresh6 = 4};

	(void)state;
	for (int first = 0; first < 2; first++) { /* the order does not matter */
		_cleanup_(pool_freep) struct pool *pool =
			pool_of("100.96.0.0/28", POOL_V6_DEFAULT, NULL);
		struct proxies p;

		if (first)
			pool_restore_marks(pool, &marks, at(10));
		assert_int_equal(pool_mark_used(pool, 5, &restored, at(10)), 0);
		if (!first)
			pool_restore_marks(pool, &marks, at(10));
		assert_int_equal(pool_marks(pool).fresh4, 7);
		assert_quarantined(pool, 4); /* .1, .4 to .6 */

		assert_int_equal(pool_lease(pool, 6, at(11), &p), 0);
		assert_addr(&p.addr[0], "100.96.0.7");
		assert_addr(&p.addr[4], "fd00:2021:1111:8000::4");
		assert_int_equal(pool_lease(pool, 7, at(11), &p), 0);
		assert_int_equal(pool_lease(pool, 8, at(109), &p), -ENOSPC);
		assert_int_equal(pool_lease(pool, 8, at(110), &p), 0);
		assert_addr(&p.addr[0], "100.96.0.1");
		assert_addr(&p.addr[3], "100.96.0.6");
		assert_quarantined(pool, 0);
		assert_int_equal(pool_marks(pool).fresh4, 16);
	}
}

/* P-11: marks of another, larger pool mean the end of this one; they never go back. */
static void marks_end_with_the_pool(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = pool_of("100.96.0.0/29", POOL_V6_DEFAULT, NULL);
	struct pool_marks marks = {.fresh4 = UINT32_MAX, .fresh6 = 8};
	struct proxies p;

	(void)state;
	pool_restore_marks(pool, &marks, at(0));
	marks = (struct pool_marks){0};
	pool_restore_marks(pool, &marks, at(50));
	assert_int_equal(pool_marks(pool).fresh4, 8);
	assert_quarantined(pool, 6);
	assert_int_equal(pool_lease(pool, 1, at(99), &p), -ENOSPC);
	assert_int_equal(pool_lease(pool, 1, at(100), &p), 0);
	assert_addr(&p.addr[0], "100.96.0.1");
	assert_addr(&p.addr[4], "fd00:2021:1111:8000::8");
}

/* P-10: exhausted, nothing is half-leased, whichever family is short. */
static void exhaustion_leases_nothing(void **state)
{
	_cleanup_(pool_freep) struct pool *small4 = pool_of("100.96.0.0/29", POOL_V6_DEFAULT, NULL);
	_cleanup_(pool_freep) struct pool *small6 =
		pool_of(POOL_V4_DEFAULT, "fd00:2021:1111:8000::/126", NULL);
	struct pool *pools[] = {small4, small6};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pool_usage v4, v6;
		struct proxies p;

		assert_int_equal(pool_lease(pools[i], 1, at(0), &p), 0);
		assert_int_equal(pool_lease(pools[i], 2, at(0), &p), -ENOSPC);
		pool_usage(pools[i], &v4, &v6);
		assert_int_equal(v4.leased, 4);
		assert_int_equal(v6.leased, 4);
		assert_int_equal(pool_release(pools[i], 1, &p, POOL_REST_LONG, at(1)), 0);
		pool_usage(pools[i], &v4, &v6);
		assert_int_equal(v4.leased, 0);
		assert_int_equal(v4.quarantined, 4);
		assert_int_equal(pool_release(pools[i], 1, &p, POOL_REST_LONG, at(1)),
				 0); /* not twice */
		pool_usage(pools[i], &v4, &v6);
		assert_int_equal(v6.quarantined, 4);
	}
}

/* P-10: many leases and releases in turn never give one address to two. */
static void quarantine_ring_keeps_its_order(void **state)
{
	_cleanup_(pool_freep) struct pool *pool = pool_of("100.96.0.0/22", POOL_V6_DEFAULT, NULL);
	struct proxies held[200];
	struct pool_usage v4, v6;
	int64_t s = 0;

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(pool_lease(pool, i + 1, at(s), &held[i]), 0);
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t i = round * 7 % 200;

		assert_int_equal(pool_release(pool, i + 1, &held[i], POOL_REST_LONG, at(++s)), 0);
		s += 3;
		assert_int_equal(pool_lease(pool, i + 1, at(s), &held[i]), 0);
		for (int j = 0; j < PROXIES_MAX; j++)
			assert_int_equal(pool_owner(pool, &held[i].addr[j]), i + 1);
	}
	for (uint32_t i = 0; i < 200; i++)
		for (int j = 0; j < PROXIES_MAX; j++)
			assert_int_equal(pool_owner(pool, &held[i].addr[j]), i + 1);
	pool_usage(pool, &v4, &v6);
	assert_int_equal(v4.leased, 800);
}

/* P-11: the pools are configurable; those without room for one domain are refused. */
static void pools_without_room_are_refused(void **state)
{
	struct pool_settings settings = {.v4 = prefix("198.18.0.0/30"),
					 .v6 = prefix("2001:2::/48")};
	struct ipprefix all = prefix("198.18.0.0/15");
	struct pool *pool = NULL;
	struct proxies p;

	(void)state;
	assert_int_equal(pool_new(&settings, &pool), -EINVAL);
	settings.v4 = prefix("198.18.0.0/15");
	settings.excluded = &all;
	settings.excluded_count = 1;
	assert_int_equal(pool_new(&settings, &pool), -EINVAL);
	settings.excluded_count = 0;
	settings.v6 = settings.v4;
	assert_int_equal(pool_new(&settings, &pool), -EINVAL);
	settings.v6 = prefix("2001:2::/48");
	assert_int_equal(pool_new(&settings, &pool), 0);
	assert_int_equal(pool_lease(pool, 1, at(0), &p), 0);
	assert_addr(&p.addr[0], "198.18.0.1");
	assert_addr(&p.addr[4], "2001:2::");
	pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_lease_is_the_start_of_the_pools),
		cmocka_unit_test(excluded_ranges_are_skipped),
		cmocka_unit_test(ipv6_sentinel_is_skipped),
		cmocka_unit_test(addresses_have_one_owner),
		cmocka_unit_test(restored_addresses_are_not_leased),
		cmocka_unit_test(impossible_restores_are_refused),
		cmocka_unit_test(released_addresses_rest),
		cmocka_unit_test(unused_addresses_rest_shortly),
		cmocka_unit_test(marks_survive_a_restart),
		cmocka_unit_test(marks_end_with_the_pool),
		cmocka_unit_test(exhaustion_leases_nothing),
		cmocka_unit_test(quarantine_ring_keeps_its_order),
		cmocka_unit_test(pools_without_room_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
