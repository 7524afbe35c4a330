/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets: the rate is kept, sources do not disturb each other, memory is bounded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ipaddr.h"
#include "io/bucket.h"

static struct bucket_table *table_new(unsigned int per_second, unsigned int burst, unsigned int max)
{
	const struct bucket_settings settings = {per_second, burst, max};
	struct bucket_table *table = NULL;

	assert_int_equal(bucket_table_new(&settings, &table), 0);
	return table;
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static unsigned int take(struct bucket_table *table, const char *src, struct instant now,
			 unsigned int times)
{
	struct fq_addr a = addr(src);
	unsigned int n = 0;

	while (times--)
		n += bucket_take(table, &a, now);
	return n;
}

static void source_gets_its_burst_then_its_rate(void **state)
{
	_cleanup_(bucket_table_freep) struct bucket_table *table = table_new(10, 5, 64);
	struct instant t = {NSEC_PER_SEC};

	(void)state;
	assert_int_equal(take(table, "192.0.2.1", t, 100), 5);
	assert_int_equal(take(table, "192.0.2.1", instant_add(t, 99 * NSEC_PER_MSEC), 1), 0);
	assert_int_equal(take(table, "192.0.2.1", instant_add(t, 100 * NSEC_PER_MSEC), 2), 1);
	assert_int_equal(take(table, "192.0.2.1", instant_add(t, 3600 * NSEC_PER_SEC), 100), 5);
}

static void asking_more_often_earns_nothing(void **state)
{
	_cleanup_(bucket_table_freep) struct bucket_table *table = table_new(3, 1, 64);
	struct instant t = {NSEC_PER_SEC};
	unsigned int n = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) /* ten seconds, every 100 us */
		n += take(table, "192.0.2.1", instant_add(t, i * 100 * NSEC_PER_USEC), 1);
	assert_in_range(n, 30, 31);
}

static void sources_do_not_disturb_each_other(void **state)
{
	_cleanup_(bucket_table_freep) struct bucket_table *table = table_new(1, 2, 64);
	struct instant t = {NSEC_PER_SEC};

	(void)state;
	assert_int_equal(take(table, "192.0.2.1", t, 10), 2);
	assert_int_equal(take(table, "192.0.2.2", t, 10), 2);
	assert_int_equal(take(table, "2001:db8:0:1::1", t, 10), 2);
	/* the same /64 is the same source, the next one is not */
	assert_int_equal(take(table, "2001:db8:0:1:ffff::2", t, 10), 0);
	assert_int_equal(take(table, "2001:db8:0:2::1", t, 10), 2);
}

static void zero_rate_is_no_limit(void **state)
{
	_cleanup_(bucket_table_freep) struct bucket_table *table = table_new(0, 1, 64);

	(void)state;
	assert_int_equal(take(table, "192.0.2.1", (struct instant){0}, 1000), 1000);
}

static void flood_of_sources_does_not_grow_the_table(void **state)
{
	_cleanup_(bucket_table_freep) struct bucket_table *table = table_new(1, 1, 1024);
	struct fq_addr base = addr("10.0.0.0");
	struct instant t = {NSEC_PER_SEC};
	unsigned int n = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct fq_addr a = ipaddr_add(&base, i);

		n += bucket_take(table, &a, t);
	}
	assert_int_equal(n, 100000); /* each had a full bucket once */

	/* who asks all the time keeps its bucket while others come and go */
	for (uint32_t i = 0; i < 1000; i++) {
		struct fq_addr a = ipaddr_add(&base, i);

		t = instant_add(t, NSEC_PER_USEC);
		n = take(table, "192.0.2.1", t, 1);
		assert_int_equal(n, i == 0);
		(void)bucket_take(table, &a, t);
	}
}

static void settings_that_make_no_sense_are_refused(void **state)
{
	struct bucket_table *table = NULL;

	(void)state;
	assert_int_equal(bucket_table_new(&(struct bucket_settings){1, 0, 1}, &table), -EINVAL);
	assert_int_equal(bucket_table_new(&(struct bucket_settings){1, 1, 0}, &table), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_gets_its_burst_then_its_rate),
		cmocka_unit_test(asking_more_often_earns_nothing),
		cmocka_unit_test(sources_do_not_disturb_each_other),
		cmocka_unit_test(zero_rate_is_no_limit),
		cmocka_unit_test(flood_of_sources_does_not_grow_the_table),
		cmocka_unit_test(settings_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
