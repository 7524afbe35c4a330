/* SPDX-License-Identifier: BSD-2-Clause */
/* The edge after a restart: domains, entries and marks from the store. */
#include <errno.h>

#include "edge_lab.h"

static struct edge_domain_record record(uint32_t id, const char *name, const char *v4,
					const char *v6)
{
	struct edge_domain_record r = {.id = id, .name = bed_name(name), .proxies = {.count = 8}};
	struct fq_addr first4, first6;

	assert_int_equal(ipaddr_parse(v4, &first4), 0);
	assert_int_equal(ipaddr_parse(v6, &first6), 0);
	for (unsigned int i = 0; i < 4; i++) {
		r.proxies.addr[i] = ipaddr_add(&first4, i);
		r.proxies.addr[4 + i] = ipaddr_add(&first6, i);
	}
	return r;
}

static unsigned int told; /* families of the next record */

static void restore(int expected, uint32_t gateway, uint32_t domain, char resource,
		    enum edge_state was)
{
	struct edge_entry_record r = {
		.gateway = gateway,
		.domain = domain,
		.resource = (uint32_t)(resource - 'A' + 1),
		.state = was,
		.generation = 40 + domain,
		.families = told,
	};

	assert_int_equal(edge_restore_entry(bed.edge, &r, bed.now), expected);
}

static const char *restored(void)
{
	assert_int_equal(edge_restored(bed.edge), 0);
	return bed_do(&bed, 0, "tick");
}

/* P-07, P-08: domains come back with their ids and very addresses, new ones get others. */
static void domains_are_restored(void **state)
{
	struct edge_domain_record a = record(7, "a.x", "100.96.4.1", "fd00:2021:1111:8000::100");
	struct dname name = bed_name("new.x");
	struct edge_domain_view v;
	char buf[IPADDR_STRLEN];

	(void)state;
	assert_int_equal(edge_restore_domain(bed.edge, &a, bed.now), 0);
	assert_string_equal(restored(), "a.x hold");
	expect(0, "query a.x", "A@1 none>pending; send A@1 #1 4+4; a.x hold @1");
	bed_do(&bed, 0, "query new.x");
	assert_true(edge_find_name(bed.edge, &name, &v));
	assert_int_equal(v.id, 8);
	assert_string_equal(ipaddr_format(&v.proxies->addr[0], buf), "100.96.4.5");
	assert_true(edge_find_proxy(bed.edge, &a.proxies.addr[5], &v));
	assert_int_equal(v.id, 7);
}

/* P-08, P-10: neither ids nor addresses of domains given up before a restart come back at once. */
static void marks_survive_a_restart(void **state)
{
	struct edge_domain_record web = record(1, "web.x", "100.96.0.1", "fd00:2021:1111:8000::");
	struct dname name = bed_name("new.x");
	struct edge_domain_view v;
	struct edge_marks marks;
	char buf[IPADDR_STRLEN];

	(void)state;
	bed_do(&bed, 0, "query web.x");
	bed_do(&bed, 0, "query four.x");
	bed_do(&bed, 0, "forget four.x");
	edge_marks(bed.edge, &marks);
	assert_int_equal(marks.next_domain, 3);
	assert_int_equal(marks.fresh4, 9);
	assert_int_equal(marks.fresh6, 8);

	teardown(NULL);
	setup(NULL);
	assert_int_equal(edge_restore_marks(bed.edge, &marks, bed.now), 0);
	assert_int_equal(edge_restore_domain(bed.edge, &web, bed.now), 0);
	assert_string_equal(restored(), "web.x hold");
	bed_do(&bed, 0, "query new.x");
	assert_true(edge_find_name(bed.edge, &name, &v));
	assert_int_equal(v.id, 3);
	assert_string_equal(ipaddr_format(&v.proxies->addr[0], buf), "100.96.0.9");
	assert_string_equal(ipaddr_format(&v.proxies->addr[4], buf), "fd00:2021:1111:8000::8");
	edge_marks(bed.edge, &marks);
	assert_int_equal(marks.next_domain, 4);
	assert_int_equal(marks.fresh4, 13);
}

/* Marks that cannot be are refused; older ones than what is known change nothing. */
static void impossible_marks_are_refused(void **state)
{
	struct edge_marks marks = {.next_domain = UINT32_MAX, .fresh4 = 100}, now;

	(void)state;
	bed_do(&bed, 0, "query a.x");
	assert_int_equal(edge_restore_marks(bed.edge, &marks, bed.now), -EINVAL);
	marks = (struct edge_marks){0};
	assert_int_equal(edge_restore_marks(bed.edge, &marks, bed.now), 0);
	edge_marks(bed.edge, &now);
	assert_int_equal(now.next_domain, 2);
	assert_int_equal(now.fresh4, 5);
}

/* P-06, C-19: what a gateway was told is of no use once the resource has other families. */
static void changed_stack_is_noticed_after_a_restart(void **state)
{
	struct edge_domain_record a = record(1, "a.x", "100.96.4.0", "fd00:2021:1111:8000::100");
	struct edge_domain_record b = record(2, "b.y", "100.96.5.0", "fd00:2021:1111:8000::200");
	const struct edge_resource list[] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0),
		bed_resource('B', "**.y", IP_STACK_IPV6, 1, 0),
	};

	(void)state;
	reload("", list, 2);
	assert_int_equal(edge_restore_domain(bed.edge, &a, bed.now), 0);
	assert_int_equal(edge_restore_domain(bed.edge, &b, bed.now), 0);
	told = IP_FAMILY_V4;
	restore(-ENOENT, 1, 1, 'A', EDGE_CONFIRMED);
	restore(-ENOENT, 1, 2, 'B', EDGE_CONFIRMED);
	told = IP_FAMILY_V6;
	restore(0, 1, 2, 'B', EDGE_CONFIRMED);
	told = 0; /* not known */

	assert_string_equal(restored(), "a.x hold; b.y/4 refuse; b.y/6 forward @1");
	expect(1, "packet a.x 1", "A@1 none>pending; send A@1 #43 4+4; a.x hold @1");
}

/* C-20: after a restart what flowed flows, what did not is refused and not retried. */
static void entries_are_restored(void **state)
{
	static const enum edge_state states[] = {
		EDGE_CONFIRMED,
		EDGE_RECREATING,
		EDGE_PENDING,
		EDGE_FAILED,
	};

	(void)state;
	bed_close(&bed);
	bed_open(&bed, NULL);
	reload("", (const struct edge_resource[]){bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0)},
	       1);
	for (uint32_t i = 0; i < 4; i++) {
		char name[] = {(char)('a' + i), '.', 'x', '\0'};
		char v4[32], v6[64];
		struct edge_domain_record r;

		snprintf(v4, sizeof(v4), "100.96.0.%u", 1 + 4 * i);
		snprintf(v6, sizeof(v6), "fd00:2021:1111:8000::%x", 4 * i);
		r = record(i + 1, name, v4, v6);
		assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), 0);
		restore(0, 1, i + 1, 'A', states[i]);
	}
	assert_string_equal(restored(), "a.x forward @1; b.x forward @1; c.x refuse; d.x refuse");

	/* The gateway is not known to be up: nothing is sent, nothing is lost. */
	expect(0, "packet a.x 1", "release a.x 1");
	expect(0, "query c.x", "A@1 failed>recreating; c.x hold @1");
	expect(0, "up 1", "");
	expect(1, "query c.x", "A@1 recreating>pending; send A@1 #45 4+4");
	expect(0, "active a.x A@1 #41", "");
	expect(0, "active d.x A@1 #44", "A@1 failed>confirmed; d.x forward @1");
	expect(0, "inactive c.x A@1 #43", "stale");
}

/* P-04, P-08: records that contradict each other or the configuration are refused. */
static void impossible_records_are_refused(void **state)
{
	struct edge_domain_record a = record(7, "a.x", "100.96.4.1", "fd00:2021:1111:8000::100");
	struct edge_domain_record r;

	(void)state;
	assert_int_equal(edge_restore_domain(bed.edge, &a, bed.now), 0);
	r = record(8, "a.x", "100.96.5.1", "fd00:2021:1111:8000::200");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EEXIST);
	r = record(7, "b.x", "100.96.5.1", "fd00:2021:1111:8000::200");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EEXIST);
	r = record(8, "b.x", "100.96.5.1", "fd00:2021:1111:8000::100");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EEXIST);
	r = record(8, "b.x", "10.0.0.1", "fd00:2021:1111:8000::200");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -ERANGE);
	r = record(0, "b.x", "100.96.5.1", "fd00:2021:1111:8000::200");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EINVAL);
	r.id = 8;
	r.proxies.count = 4;
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EINVAL);
	r.proxies.count = 8;
	r.proxies.addr[0] = r.proxies.addr[4]; /* not IPv4 first */
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), -EINVAL);
	r = record(8, "b.x", "100.96.5.1", "fd00:2021:1111:8000::200");
	assert_int_equal(edge_restore_domain(bed.edge, &r, bed.now), 0);

	restore(-ENOENT, 1, 99, 'A', EDGE_CONFIRMED);
	restore(-ENOENT, 1, 7, 'B', EDGE_CONFIRMED);
	restore(-ENOENT, 2, 7, 'A', EDGE_CONFIRMED);
	restore(0, 1, 7, 'A', EDGE_CONFIRMED);
	restore(-EEXIST, 1, 7, 'A', EDGE_FAILED);
}

/* What is stored of an entry: whether its packets flow. */
static void note_stored(struct bed *b, const struct edge_action *a, void *ctx)
{
	(void)b;
	if (a->kind == EDGE_STATE_CHANGED)
		*(enum edge_state *)ctx = a->state.stored;
}

static void stored_state_says_whether_packets_flow(void **state)
{
	enum edge_state stored = EDGE_NONE;

	(void)state;
	bed.on_action = note_stored;
	bed.ctx = &stored;
	bed_do(&bed, 0, "query a.x");
	assert_int_equal(stored, EDGE_FAILED);
	bed_do(&bed, 1, "active a.x A@1");
	assert_int_equal(stored, EDGE_CONFIRMED);
	bed_do(&bed, 5000, "query a.x");
	assert_int_equal(bed_state(&bed, "a.x", 'A'), EDGE_PENDING);
	assert_int_equal(stored, EDGE_CONFIRMED);
	bed_do(&bed, 5001, "inactive a.x A@1");
	assert_int_equal(stored, EDGE_FAILED);
	bed_do(&bed, 5002, "gone 1");
	assert_int_equal(stored, EDGE_NONE);
}

/* C-17: a status taken half the counter's range ago is not newer than today's. */
static void old_status_does_not_outlive_its_request(void **state)
{
	struct edge_domain_record a = record(1, "a.x", "100.96.4.1", "fd00:2021:1111:8000::100");
	struct edge_settings settings = bed_settings();

	(void)state;
	settings.generation = INT32_MAX;
	bed_close(&bed);
	bed_open(&bed, &settings);
	reload("", (const struct edge_resource[]){bed_resource('A', "**.x", IP_STACK_DUAL, 1, 0)},
	       1);
	bed_do(&bed, 0, "up 1");
	assert_int_equal(edge_restore_domain(bed.edge, &a, bed.now), 0);
	restore(0, 1, 1, 'A', EDGE_CONFIRMED); /* generation 41 */
	bed_do(&bed, 0, "query b.x");
	for (int i = 1; i < 60; i++)
		bed_do(&bed, 2000 * i, "query b.x");
	bed_do(&bed, 200000, "query a.x");
	expect(200001, "active a.x A@1", "A@1 pending>confirmed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(domains_are_restored),
		T(marks_survive_a_restart),
		T(impossible_marks_are_refused),
		T(changed_stack_is_noticed_after_a_restart),
		T(entries_are_restored),
		T(impossible_records_are_refused),
		T(stored_state_says_whether_packets_flow),
		T(old_status_does_not_outlive_its_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
