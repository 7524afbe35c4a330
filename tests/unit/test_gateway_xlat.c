/* SPDX-License-Identifier: BSD-2-Clause */
/* Translations of the gateway: which real address each proxy address gets, and whose it is. */
#include "gateway_lab.h"

/* G-06: the set is sorted, so the assignment does not depend on the order of the answer. */
static void assignment_does_not_depend_on_answer_order(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.9 198.51.100.1 198.51.100.9 198.51.100.5", "");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.5,198.51.100.9,198.51.100.1");
	assert_int_equal(lab->records, 1);
	assert_int_equal(lab->record_count[GATEWAY_A], 3);
}

/* G-07: a new resolution overwrites all (sessions keep theirs: they are not in this map). */
static void resolution_always_overwrites(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	lab->now.ns += 61 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 2);
	lab_resolved(lab, WWW, "198.51.100.2", "");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), "-,-,-,-");
}

/* G-07: a family without a record has entries with no real address. */
static void ipv4_only_domain_has_ipv6_entries(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");

	assert_int_equal(lab->xlats, 8);
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), "-,-,-,-");
}

/* G-08: round robin over the sorted addresses. */
static void round_robin(void **state)
{
	static const struct {
		const char *real, *expected;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1,192.0.2.1,192.0.2.1,192.0.2.1"},
		{"192.0.2.1 192.0.2.2", "192.0.2.1,192.0.2.2,192.0.2.1,192.0.2.2"},
		{"192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.1"},
		{"192.0.2.6 192.0.2.5 192.0.2.4 192.0.2.3 192.0.2.2 192.0.2.1",
		 "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4"},
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < N(rows); i++) {
		lab_assign(lab, 0, LAB_WWW, WWW, 0);
		lab_resolved(lab, WWW, rows[i].real, "");
		assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), rows[i].expected);
		lab->now.ns += 61 * NSEC_PER_SEC;
	}
}

static void many_addresses_are_bounded(void **state)
{
	struct lab *lab = *state;
	char list[2048] = "";

	for (unsigned int i = 64; i-- > 0;)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "198.51.100.%u ", i);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, list, "");

	assert_int_equal(lab->record_count[GATEWAY_A], GATEWAY_ADDRESSES_MAX);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.0,198.51.100.1,198.51.100.2,198.51.100.3");
}

/* G-10: an address that moves to another domain is cleared at once, and only it. */
static void moved_proxy_addresses_are_cleared_alone(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_CORP, "new.corp.example", 0, 1);

	lab_assign(lab, 0, LAB_CORP, "old.corp.example", 0);
	lab_resolved(lab, "old.corp.example", "198.51.100.1", "2001:db8::1");
	lab_assign(lab, 0, LAB_CORP, "by.corp.example", 1);
	lab_resolved(lab, "by.corp.example", "198.51.100.2", "");
	lab_clear(lab);

	msg.proxy_count = 4; /* its IPv4 block only */
	lab_send(lab, 0, &msg);
	assert_int_equal(lab->dels, 4);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), ".,.,.,.");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0),
			    "2001:db8::1,2001:db8::1,2001:db8::1,2001:db8::1");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 1),
			    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2");

	lab_resolved(lab, "new.corp.example", "198.51.100.3", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.3,198.51.100.3,198.51.100.3,198.51.100.3");
}

/* G-10: another scope's proxy addresses are another matter. */
static void scopes_do_not_share_proxy_addresses(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_CORP, "a.corp.example", 0);
	lab_resolved(lab, "a.corp.example", "198.51.100.1", "");
	lab_assign(lab, LAB_SCOPE, LAB_CORP, "b.corp.example", 0);
	lab_resolved(lab, "b.corp.example", "198.51.100.2", "");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
	assert_string_equal(lab_block(lab, LAB_SCOPE, GATEWAY_A, 0),
			    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2");
}

/* G-10: a domain whose addresses were all taken is Inactive when its lookup comes back. */
static void robbed_domain_is_inactive(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_CORP, "old.corp.example", 0);
	lab_assign(lab, 0, LAB_CORP, "new.corp.example", 0);
	lab_resolved(lab, "old.corp.example", "198.51.100.1", "");

	assert_int_equal(lab->xlats, 0);
	lab_expect_status(lab, 0, 1, false);
	lab_resolved(lab, "new.corp.example", "198.51.100.2", "");
	lab_expect_status(lab, 1, 1, true);
	assert_int_equal(gateway_usage(lab->gw).domains, 1);
}

/* G-10: a domain that gets other addresses gives up its old ones. */
static void renumbered_domain_gives_up_old_addresses(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_assign(lab, 0, LAB_WWW, WWW, 5);

	assert_int_equal(lab->resolves, 1);
	assert_int_equal(lab->xlats, 8);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), ".,.,.,.");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 5),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
	assert_int_equal(gateway_usage(lab->gw).xlats, 8);
}

/* M-06: most specific pattern first, ties by greatest UUID, however they came. */
static void resources_are_ordered_by_specificity_then_uuid(void **state)
{
	static const uint32_t orders[][3] = {
		{LAB_CORP, LAB_WWW, 13}, {13, LAB_WWW, LAB_CORP}, {LAB_WWW, LAB_CORP, 13}};

	(void)state;
	for (size_t i = 0; i < N(orders); i++) {
		const struct fq_xlat *xlat;
		struct lab lab;

		lab_open(&lab, NULL);
		lab_resource(&lab, 13, "*.corp.example", (struct fq_filter){.allow_all = 1});
		lab_grant(&lab, LAB_LAN, 13);
		lab_reload(&lab);
		for (unsigned int k = 0; k < 3; k++)
			lab_assign(&lab, 0, orders[i][k], WWW, 0);
		lab_resolved(&lab, WWW, "198.51.100.1", "");

		xlat = lab_xlat(&lab, 0, lab_proxy(GATEWAY_A, 0, 2));
		assert_int_equal(xlat->resources, 3);
		assert_int_equal(xlat->resource[0], LAB_WWW);
		assert_int_equal(xlat->resource[1], 13);
		assert_int_equal(xlat->resource[2], LAB_CORP);
		gateway_free(lab.gw);
	}
}

/* G-07, M-06: a resource that joins a known domain is added without a new lookup. */
static void joining_resource_is_added_at_once(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_CORP, WWW, 0, 9);

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	msg.proxy_count = 4; /* an IPv4-only resource: its addresses only */
	lab_send(lab, 0, &msg);

	assert_int_equal(lab->resolves, 1);
	lab_expect_status(lab, 1, 9, true);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resources, 2);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_AAAA, 0, 0))->resources, 1);
}

static void set_any_family(struct lab *lab, uint32_t resource, bool any)
{
	for (unsigned int i = 0; i < lab->resources; i++)
		if (lab->resource[i].id == resource)
			lab->resource[i].any_family = any;
	lab_reload(lab);
}

/* G-50: a family without addresses borrows the other's, by the same round robin, and no other. */
static void missing_family_borrows_where_permitted(void **state)
{
	struct lab *lab = *state;

	set_any_family(lab, LAB_WWW, true);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "", "2001:db8::2 2001:db8::1");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "2001:db8::1,2001:db8::2,2001:db8::1,2001:db8::2");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0),
			    "2001:db8::1,2001:db8::2,2001:db8::1,2001:db8::2");

	lab->now.ns += 61 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");

	lab->now.ns += 61 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0),
			    "2001:db8::1,2001:db8::1,2001:db8::1,2001:db8::1");
}

/* G-50: nothing to borrow is nothing, also where it is permitted. */
static void no_address_at_all_is_none(void **state)
{
	struct lab *lab = *state;

	set_any_family(lab, LAB_WWW, true);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "", "");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), "-,-,-,-");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), "-,-,-,-");
	lab_expect_status(lab, 0, 1, false);
}

/* G-54: a change of the setting, or a resource that joins, needs no new lookup. */
static void permission_to_borrow_comes_and_goes_at_once(void **state)
{
	static const char NONE[] = "-,-,-,-";
	static const char REAL[] = "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1";
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), NONE);

	set_any_family(lab, LAB_WWW, true);
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), REAL);
	set_any_family(lab, LAB_WWW, false);
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), NONE);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), REAL);

	set_any_family(lab, LAB_CORP, true);
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), NONE);
	lab_assign(lab, 0, LAB_CORP, WWW, 0); /* the one that permits it publishes the name, too */
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), REAL);
	assert_int_equal(lab->resolves, 1);
}

static void full_scope_gives_up_what_was_unasked_longest(void **state)
{
	struct gateway_settings settings = gateway_settings_default();
	struct lab lab;

	(void)state;
	settings.xlat_per_scope = 16;
	lab_open(&lab, &settings);
	for (unsigned int i = 0; i < 2; i++) {
		const char *name = i ? "b.corp.example" : "a.corp.example";

		lab_assign(&lab, 0, LAB_CORP, name, i);
		lab_resolved(&lab, name, "198.51.100.1", "");
	}
	lab_assign(&lab, 0, LAB_CORP, "a.corp.example", 0);
	lab_assign(&lab, 0, LAB_CORP, "c.corp.example", 2);
	lab_resolved(&lab, "c.corp.example", "198.51.100.1", "");

	assert_int_equal(lab.xlats, 16);
	assert_string_equal(lab_block(&lab, 0, GATEWAY_A, 1), ".,.,.,.");
	assert_string_not_equal(lab_block(&lab, 0, GATEWAY_A, 0), ".,.,.,.");
	gateway_free(lab.gw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(assignment_does_not_depend_on_answer_order),
		LAB_TEST(resolution_always_overwrites),
		LAB_TEST(ipv4_only_domain_has_ipv6_entries),
		LAB_TEST(round_robin),
		LAB_TEST(many_addresses_are_bounded),
		LAB_TEST(moved_proxy_addresses_are_cleared_alone),
		LAB_TEST(scopes_do_not_share_proxy_addresses),
		LAB_TEST(robbed_domain_is_inactive),
		LAB_TEST(renumbered_domain_gives_up_old_addresses),
		cmocka_unit_test(resources_are_ordered_by_specificity_then_uuid),
		LAB_TEST(joining_resource_is_added_at_once),
		LAB_TEST(missing_family_borrows_where_permitted),
		LAB_TEST(no_address_at_all_is_none),
		LAB_TEST(permission_to_borrow_comes_and_goes_at_once),
		cmocka_unit_test(full_scope_gives_up_what_was_unasked_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
