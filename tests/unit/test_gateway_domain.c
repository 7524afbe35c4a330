/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains of the gateway: what is left of a forgotten one, its ids, and how they are shown. */
#include <errno.h>

#include "gateway_lab.h"

static void forgotten_domain_leaves_nothing(void **state)
{
	struct lab *lab = *state;
	struct dname name = lab_name(WWW);

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	lab_clear(lab);
	assert_int_equal(gateway_forget(lab->gw, 0, &name), 0);
	lab_drain(lab);

	assert_int_equal(lab->xlats, 0);
	assert_int_equal(lab->dels, 8);
	assert_int_equal(lab->gone, 1);
	assert_int_equal(gateway_usage(lab->gw).domains, 0);
}

/* The ids of an owner that gives a name a new one when it has been forgotten. */
static uint32_t changing_id;

static int give_changing_id(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	(void)ctx;
	(void)name;
	*ret_id = changing_id;
	return changing_id ? 0 : -ENOENT;
}

static struct lab *changing_lab(void)
{
	struct gateway_settings settings = gateway_settings_default();
	struct lab *lab = malloc(sizeof(*lab));

	assert_non_null(lab);
	settings.domain_id = give_changing_id;
	changing_id = 1;
	lab_open(lab, &settings);
	return lab;
}

/* G-10: forgotten and asked for again while its lookup runs: the translations bear the new id. */
static void forgotten_during_lookup_takes_the_new_id(void **state)
{
	struct lab *lab = changing_lab();
	struct dname name = lab_name(WWW);

	(void)state;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(gateway_forget(lab->gw, 0, &name), 0);
	lab_drain(lab);
	changing_id = 2;
	lab_assign(lab, 0, LAB_WWW, WWW, 1);
	assert_int_equal(lab->resolves, 1); /* it is by name, and under way */
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");

	assert_int_equal(lab->xlats, 8);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 1, i))->domain, 2);
		assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_AAAA, 1, i))->domain, 2);
	}
	assert_int_equal(lab->records, 1);
	assert_int_equal(lab->record_domain, 2);
	assert_int_equal(lab->statuses, 1);
	lab_expect_status(lab, 0, 1, true);
	lab_teardown((void **)&lab);
}

/* The same when it had been resolved before: the store hears of it under the new id. */
static void records_follow_the_new_id(void **state)
{
	struct lab *lab = changing_lab();
	struct dname name = lab_name(WWW);

	(void)state;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	lab->now.ns += 301 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 2);
	assert_int_equal(gateway_forget(lab->gw, 0, &name), 0);
	lab_drain(lab);
	lab_clear(lab);
	changing_id = 2;
	lab_assign(lab, 0, LAB_WWW, WWW, 1);
	assert_int_equal(lab->record_domain, 1); /* of no use any more */
	assert_int_equal(lab->record_count[GATEWAY_A], 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");

	assert_int_equal(lab->records, 2);
	assert_int_equal(lab->record_domain, 2);
	assert_int_equal(lab->record_count[GATEWAY_A], 1);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 1, 0))->domain, 2);
	lab_teardown((void **)&lab);
}

/* A domain that has translations keeps its id; one that the owner does not know is refused. */
static void bound_domain_keeps_its_id(void **state)
{
	struct lab *lab = changing_lab();
	struct control_message msg = lab_message(LAB_CORP, WWW, 1, 1);

	(void)state;
	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	changing_id = 0;
	assert_int_equal(gateway_assigned(lab->gw, 0, &msg, lab->now), -ENOENT);
	changing_id = 2;
	lab_send(lab, 0, &msg);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 1, 0))->domain, 1);
	assert_int_equal(lab_xlat(lab, LAB_SCOPE, lab_proxy(GATEWAY_A, 0, 0))->domain, 1);
	lab_teardown((void **)&lab);
}

static unsigned int seen;

static void see(void *ctx, const struct gateway_xlat *xlat)
{
	struct lab *lab = ctx;

	assert_memory_equal(lab_xlat(lab, xlat->key->scope, xlat->key->proxy), xlat->value,
			    sizeof(*xlat->value));
	assert_string_equal(xlat->name->text, WWW);
	seen++;
}

static void view_shows_what_the_map_has(void **state)
{
	struct lab *lab = *state;
	struct gateway_records records;
	struct dname name = lab_name(WWW);

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.2 198.51.100.1", "2001:db8::1");
	gateway_foreach_xlat(lab->gw, see, lab);

	assert_int_equal(seen, 8);
	assert_true(gateway_find_records(lab->gw, &name, &records));
	assert_int_equal(records.count[GATEWAY_A], 2);
	assert_int_equal(records.count[GATEWAY_AAAA], 1);
	assert_int_equal(gateway_usage(lab->gw).xlats_scope, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(forgotten_domain_leaves_nothing),
		cmocka_unit_test(forgotten_during_lookup_takes_the_new_id),
		cmocka_unit_test(records_follow_the_new_id),
		cmocka_unit_test(bound_domain_keeps_its_id),
		LAB_TEST(view_shows_what_the_map_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
