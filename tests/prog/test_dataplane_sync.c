/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking over maps: what stays, what goes, and that what is right already is not written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/internal.h"

#include "../lib/dptest.h"

static const struct fq_edge forward = {.domain = DPT_DOMAIN, .verdict = FQ_EDGE_FORWARD};
static const struct fq_edge refuse = {.domain = DPT_DOMAIN, .verdict = FQ_EDGE_REFUSE};

/* As an earlier daemon has left it. */
static struct dataplane *open_world(void)
{
	struct dataplane *dp = dpt_open();

	dpt_world(dp);
	dataplane_free(dp);
	dp = dpt_open();
	assert_int_equal(dataplane_sync_begin(dp), 0);
	return dp;
}

static uint32_t verdict_of(const struct dataplane *dp, const struct fq_addr *proxy)
{
	struct fq_edge value;

	assert_true(proxies_get_edge(dp->proxies, proxy, &value));
	return value.verdict;
}

/* what the new policy does not list is gone after taking over, and nothing was missing
 * meanwhile */
static void taking_over_keeps_what_is_set_and_drops_the_rest(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = open_world();
	struct fq_addr proxy = dpt_addr(DPT_PROXY4);

	(void)state;
	assert_int_equal(dataplane_grant_set(dp, DPT_CLIENT, DPT_RESOURCE, 0), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxy, &forward), 0);
	assert_int_equal(dpt_entries("clients"), 2);
	assert_int_equal(dataplane_sync_end(dp), 2 + 1 + 2 + 1);

	assert_int_equal(dpt_entries("clients"), 0);
	assert_int_equal(dpt_entries("filters"), 0);
	assert_int_equal(dpt_entries("xlat"), 0);
	assert_int_equal(dpt_entries("grants"), 1);
	assert_int_equal(dpt_entries("edge"), 1);
	assert_int_equal(dataplane_sync_end(dp), 0);
	assert_int_equal(dataplane_grant_del(dp, 77, 77), 0);
}

/* A frozen map refuses every write from user space. */
static void what_is_right_already_is_not_written(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = open_world();
	const struct fq_addr proxies[] = {dpt_addr(DPT_PROXY4), dpt_addr(DPT_PROXY6)};

	(void)state;
	assert_int_equal(bpf_map_freeze(dp->maps[M_GRANTS]), 0);

	assert_int_equal(dataplane_edge_set_all(dp, proxies, 2, &forward), 0);
	assert_int_equal(dataplane_grant_set(dp, DPT_CLIENT, DPT_RESOURCE, 0), 0);
	assert_int_equal(dataplane_grant_set(dp, DPT_CLIENT, DPT_RESOURCE, 7), -EPERM);
	/* Clients, filter and translations. */
	assert_int_equal(dataplane_sync_end(dp), 2 + 1 + 2);
}

/* What was found is no longer there once something else was written, or it was deleted. */
static void what_changes_meanwhile_is_written_again(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = open_world();
	const struct fq_addr proxies[] = {dpt_addr(DPT_PROXY4), dpt_addr(DPT_PROXY6)};

	(void)state;
	assert_int_equal(dataplane_edge_set(dp, &proxies[0], &forward), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxies[0], &refuse), 0);
	assert_int_equal(dataplane_edge_set_all(dp, proxies, 2, &forward), 0);
	assert_int_equal(verdict_of(dp, &proxies[0]), FQ_EDGE_FORWARD);

	assert_int_equal(dataplane_edge_set_all(dp, proxies, 2, &refuse), 0);
	assert_int_equal(dataplane_edge_set_all(dp, proxies, 2, &forward), 0);
	assert_int_equal(verdict_of(dp, &proxies[1]), FQ_EDGE_FORWARD);

	assert_int_equal(dataplane_edge_del(dp, &proxies[0]), 0);
	assert_int_equal(dataplane_edge_set(dp, &proxies[0], &forward), 0);
	assert_int_equal(verdict_of(dp, &proxies[0]), FQ_EDGE_FORWARD);
	assert_int_equal(dataplane_edge_del(dp, &proxies[1]), 0);

	assert_true(dataplane_sync_end(dp) > 0);
	assert_int_equal(dpt_entries("edge"), 1);
}

/* More than one batch of the map's walk, and not in its order. */
static void translations_are_told_by_scope_and_domain(void **state)
{
	enum { DOMAINS = 500, SCOPES = 3 };
	_cleanup_(dataplane_freep) struct dataplane *dp = dpt_open();
	_cleanup_(freep) struct dp_xlat *list = NULL;
	struct fq_addr proxy = dpt_addr(DPT_PROXY4);
	size_t count;

	(void)state;
	for (uint32_t i = 0; i < SCOPES * DOMAINS; i++) {
		/* Numbers of an edge here, and those that names of edges elsewhere have. */
		const struct fq_xlat xlat = {.domain = 1 + (i * 7) % DOMAINS * 8589973};
		struct fq_addr at = ipaddr_add(&proxy, i);

		assert_int_equal(dataplane_xlat_set(dp, i % SCOPES, &at, &xlat), 0);
	}
	dataplane_free(TAKE_PTR(dp));
	dp = dpt_open();
	assert_int_equal(dataplane_sync_begin(dp), 0);

	assert_int_equal(dataplane_sync_xlats(dp, &list, &count), 0);
	assert_int_equal(count, SCOPES * DOMAINS);
	for (size_t i = 0; i < count; i++) {
		const struct dp_xlat *x = &list[i], *before = i ? &list[i - 1] : x;

		assert_int_equal(x->scope, x->key.scope);
		assert_int_equal(x->domain, x->value->domain);
		assert_true(x->scope > before->scope ||
			    (x->scope == before->scope && x->domain >= before->domain));
		if (i)
			dataplane_sync_keep(dp, x);
	}
	assert_int_equal(dataplane_sync_end(dp), 1);
	assert_int_equal(dpt_entries("xlat"), SCOPES * DOMAINS - 1);
}

/* What is set to what it is stays where it is; a change stands elsewhere. */
static void a_kept_translation_can_be_set_again(void **state)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = open_world();
	_cleanup_(freep) struct dp_xlat *list = NULL, *again = NULL;
	const struct fq_xlat *first;
	struct fq_xlat other;
	size_t count;

	(void)state;
	assert_int_equal(dataplane_sync_xlats(dp, &list, &count), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++)
		dataplane_sync_keep(dp, &list[i]);

	first = list[0].value;
	other = *first;
	assert_int_equal(dataplane_xlat_set(dp, list[0].scope, &list[0].key.proxy, &other), 0);
	assert_int_equal(dataplane_sync_xlats(dp, &again, &count), 0);
	assert_ptr_equal(again[0].value, first);
	free(TAKE_PTR(again));
	other.resources = 0;
	assert_int_equal(dataplane_xlat_set(dp, list[0].scope, &list[0].key.proxy, &other), 0);
	assert_int_equal(dataplane_sync_xlats(dp, &again, &count), 0);
	assert_ptr_not_equal(again[0].value, first);
	assert_memory_equal(again[0].value, &other, sizeof(other));
	assert_true(dataplane_sync_end(dp) > 0);
	assert_int_equal(dpt_entries("xlat"), 2);
}

static void fill_xlats(struct fq_xlat_key *keys, struct fq_xlat *values, unsigned int count)
{
	struct fq_addr proxy = dpt_addr(DPT_PROXY4);

	for (unsigned int i = 0; i < count; i++) {
		keys[i] = (struct fq_xlat_key){.proxy = ipaddr_add(&proxy, i)};
		values[i] = (struct fq_xlat){.domain = DPT_DOMAIN + i};
	}
}

static uint32_t domain_of(const struct dataplane *dp, const struct fq_xlat_key *key)
{
	struct fq_xlat value;

	assert_true(proxies_get_xlat(dp->proxies, key, &value));
	return value.domain;
}

/* More than one call takes, and not all of them new. */
static void translations_are_set_together(void **state)
{
	enum { COUNT = 19 };
	_cleanup_(dataplane_freep) struct dataplane *dp = open_world();
	struct fq_xlat_key keys[COUNT];
	struct fq_xlat values[COUNT];

	(void)state;
	fill_xlats(keys, values, COUNT);
	assert_true(proxies_get_xlat(dp->proxies, &keys[0], &values[0]));
	values[0].domain = DPT_DOMAIN;
	assert_int_equal(dataplane_xlat_set_all(dp, keys, values, COUNT), 0);
	assert_int_equal(dataplane_xlat_set_all(dp, keys, values, 0), 0);

	assert_true(dataplane_sync_end(dp) > 0);
	assert_int_equal(dpt_entries("xlat"), COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		assert_int_equal(domain_of(dp, &keys[i]), DPT_DOMAIN + i);
}

/* There is no room for the new ones; what is there can still be changed, before and after them. */
static void of_several_translations_those_that_can_be_are_set(void **state)
{
	enum { COUNT = 8, NEW = 3 };
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	struct dp_settings settings = dpt_settings();
	struct fq_xlat_key keys[COUNT];
	struct fq_xlat values[COUNT];
	struct dp_error err;
	uint32_t room, at = 0;

	(void)state;
	settings.translations_max = 64;
	assert_int_equal(dataplane_open(&settings, &err, &dp), 0);
	fill_xlats(keys, values, COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		if (i != NEW)
			assert_int_equal(dataplane_xlat_set_all(dp, &keys[i], &values[i], 1), 0);
	room = settings.translations_max;
	for (uint32_t n = COUNT - 1; n < room; n++, at++)
		assert_int_equal(dataplane_xlat_set(dp, 1 + at, &keys[0].proxy, &values[0]), 0);

	for (unsigned int i = 0; i < COUNT; i++)
		values[i].domain += 100;
	assert_int_equal(dataplane_xlat_set_all(dp, keys, values, COUNT), -E2BIG);
	for (unsigned int i = 0; i < COUNT; i++)
		if (i != NEW)
			assert_int_equal(domain_of(dp, &keys[i]), DPT_DOMAIN + 100 + i);
	assert_int_equal(dpt_entries("xlat"), room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(taking_over_keeps_what_is_set_and_drops_the_rest,
					  dpt_clean),
		cmocka_unit_test_teardown(what_is_right_already_is_not_written, dpt_clean),
		cmocka_unit_test_teardown(what_changes_meanwhile_is_written_again, dpt_clean),
		cmocka_unit_test_teardown(translations_are_told_by_scope_and_domain, dpt_clean),
		cmocka_unit_test_teardown(a_kept_translation_can_be_set_again, dpt_clean),
		cmocka_unit_test_teardown(translations_are_set_together, dpt_clean),
		cmocka_unit_test_teardown(of_several_translations_those_that_can_be_are_set,
					  dpt_clean),
	};

	return cmocka_run_group_tests(tests, dpt_enter, dpt_leave);
}
