/* SPDX-License-Identifier: BSD-2-Clause */
/* AssignedIps at the gateway: what is refused, what is set up, what is answered. */
#include <errno.h>

#include "gateway_lab.h"

/* G-01: not granted: Inactive at once, no lookup, nothing changed. */
static void not_granted_is_inactive_without_lookup(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_OTHER, "a.other.example", 0);

	assert_int_equal(lab->resolves, 0);
	assert_int_equal(lab->statuses, 1);
	lab_expect_status(lab, 0, 1, false);
	assert_int_equal(lab->xlats, 0);
	assert_int_equal(lab->actions, 1);
}

/* G-01: a grant to a client of another scope is none. */
static void grant_of_another_scope_does_not_count(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, LAB_SCOPE, LAB_WWW, WWW, 0);

	assert_int_equal(lab->resolves, 0);
	lab_expect_status(lab, 0, 1, false);
}

/* G-01, A-01: a grant that has expired is none, even before anybody has looked. */
static void expired_grant_does_not_count(void **state)
{
	struct lab *lab = *state;
	struct policy_grant grant = {LAB_LAN, LAB_OTHER, {lab->now.ns}};

	assert_int_equal(gateway_grant_add(lab->gw, &grant), 0);
	lab_assign(lab, 0, LAB_OTHER, "a.other.example", 0);

	assert_int_equal(lab->resolves, 0);
	lab_expect_status(lab, 0, 1, false);
}

/* G-02: Active after the set-up has succeeded, and the translations come before the status. */
static void granted_domain_is_resolved_then_active(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_WWW, WWW, 0, 42);

	lab_send(lab, 0, &msg);
	assert_int_equal(lab->resolves, 1);
	assert_string_equal(lab->resolve[0].text, WWW);
	assert_int_equal(lab->statuses, 0);

	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_OK, "198.51.100.1");
	assert_int_equal(lab->statuses, 0);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_OK, "2001:db8::1");

	assert_int_equal(lab->statuses, 1);
	lab_expect_status(lab, 0, 42, true);
	assert_string_equal(lab->status[0].domain, WWW);
	assert_int_equal(lab->status[0].resource, LAB_WWW);
	assert_int_equal(lab->sets, 8);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
}

static void translations_are_set_before_the_status(void **state)
{
	struct lab *lab = *state;
	struct dname name = lab_name(WWW);
	struct fq_addr real = lab_addr("198.51.100.1");
	struct gateway_answer a = {GATEWAY_A, GATEWAY_OK, &real, 1, 60};
	struct gateway_answer aaaa = {.family = GATEWAY_AAAA, .outcome = GATEWAY_NODATA};
	struct gateway_action action;
	unsigned int sets = 0;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(gateway_resolved(lab->gw, &name, &a, lab->now), 0);
	assert_int_equal(gateway_resolved(lab->gw, &name, &aaaa, lab->now), 0);
	while (gateway_next(lab->gw, &action) && action.kind != GATEWAY_STATUS)
		sets += action.kind == GATEWAY_XLAT_SET;

	assert_int_equal(action.kind, GATEWAY_STATUS);
	assert_int_equal(sets, 8);
	lab_drain(lab);
	assert_int_equal(lab->sets, 0);
}

/*
 * G-03: unknown scope, unknown resource, name that the pattern does not match: Inactive.
 * W-07: a message counts for the scope that its carrier vouches for; without one nothing changes.
 */
static void unknown_scope_resource_and_name_are_inactive(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_CORP, WWW, 0, 1);

	lab_send(lab, 99, &msg);
	strcpy(msg.resource, "ffffffff-0000-0000-0000-000000000000");
	lab_send(lab, 0, &msg);
	lab_assign(lab, 0, LAB_CORP, "a.b.corp.example", 0);
	lab_assign(lab, 0, LAB_WWW, "mail.corp.example", 0);

	assert_int_equal(lab->statuses, 4);
	for (unsigned int i = 0; i < 4; i++)
		lab_expect_status(lab, i, 1, false);
	assert_int_equal(lab->resolves, 0);
	assert_int_equal(lab->actions, 4);
}

/* G-03: what was revoked while the lookup ran is Inactive. */
static void grant_revoked_during_lookup_is_inactive(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(gateway_grant_del(lab->gw, LAB_LAN, LAB_WWW), 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");

	lab_expect_status(lab, 0, 1, false);
}

/* G-05 [ours]: the rate of each scope is limited, and one scope does not starve another. */
static void messages_are_limited_by_scope(void **state)
{
	struct lab *lab = *state;

	for (unsigned int i = 0; i < 400; i++)
		lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->limited, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->limited, 1);
	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	assert_int_equal(lab->limited, 1);

	lab->now.ns += NSEC_PER_SEC / 200;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->limited, 2);
	assert_int_equal(lab->resolves, 1);
}

/* G-11: addresses outside the pools are refused before anything changes. */
static void foreign_proxy_addresses_are_refused(void **state)
{
	static const char *const foreign[] = {"100.95.255.255", "100.128.0.0", "8.8.8.8",
					      "fd00:2021:1111:8000::2000:0", "2001:db8::1"};
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_CORP, "old.corp.example", 0);
	lab_resolved(lab, "old.corp.example", "198.51.100.1", "2001:db8::1");
	lab_clear(lab);
	for (size_t i = 0; i < N(foreign); i++) {
		struct control_message msg = lab_message(LAB_CORP, "new.corp.example", 0, 1);

		msg.proxies[strchr(foreign[i], '.') ? 3 : 7] = lab_addr(foreign[i]);
		lab_send(lab, 0, &msg);
		lab_expect_status(lab, i, 1, false);
	}
	assert_int_equal(lab->invalid, N(foreign));
	assert_int_equal(lab->resolves, 0);
	assert_int_equal(lab->dels + lab->sets, 0);
	assert_int_equal(lab->xlats, 8);
}

/* G-11: four of each family, or four of one. */
static void mixed_proxy_counts_are_refused(void **state)
{
	struct lab *lab = *state;
	struct control_message msg = lab_message(LAB_WWW, WWW, 0, 1);

	msg.proxy_count = 5;
	lab_send(lab, 0, &msg);
	msg.proxy_count = 0;
	lab_send(lab, 0, &msg);
	msg.proxy_count = 4;
	msg.proxies[3] = msg.proxies[7];
	lab_send(lab, 0, &msg);
	msg.proxies[3] = msg.proxies[0];
	lab_send(lab, 0, &msg);
	assert_int_equal(lab->invalid, 4);
	assert_int_equal(lab->resolves, 0);
}

/* G-13: every AssignedIps is answered, with its generation, repeated ones too. */
static void every_message_is_answered(void **state)
{
	struct lab *lab = *state;

	for (uint32_t g = 1; g <= 3; g++) {
		struct control_message msg = lab_message(LAB_WWW, WWW, 0, g);

		lab_send(lab, 0, &msg);
	}
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_int_equal(lab->statuses, 3);
	for (uint32_t g = 4; g <= 5; g++) {
		struct control_message msg = lab_message(LAB_WWW, WWW, 0, g);

		lab_send(lab, 0, &msg);
	}
	assert_int_equal(lab->statuses, 5);
	for (uint32_t g = 1; g <= 5; g++)
		lab_expect_status(lab, g - 1, g, true);
	assert_int_equal(lab->resolves, 1);
	assert_int_equal(lab->sets, 8);
}

static void settings_without_sense_are_refused(void **state)
{
	struct gateway_settings good = gateway_settings_default(), s;
	struct gateway *gw = NULL;

	(void)state;
	assert_int_equal(gateway_new(&good, &gw), -EINVAL); /* no domain_id */
	good.domain_id = lab_domain_id;
	s = good;
	s.assigned_per_s = 0;
	assert_int_equal(gateway_new(&s, &gw), -EINVAL);
	s = good;
	s.xlat_per_scope = 7;
	assert_int_equal(gateway_new(&s, &gw), -EINVAL);
	assert_null(gw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(not_granted_is_inactive_without_lookup),
		LAB_TEST(grant_of_another_scope_does_not_count),
		LAB_TEST(expired_grant_does_not_count),
		LAB_TEST(granted_domain_is_resolved_then_active),
		LAB_TEST(translations_are_set_before_the_status),
		LAB_TEST(unknown_scope_resource_and_name_are_inactive),
		LAB_TEST(grant_revoked_during_lookup_is_inactive),
		LAB_TEST(messages_are_limited_by_scope),
		LAB_TEST(foreign_proxy_addresses_are_refused),
		LAB_TEST(mixed_proxy_counts_are_refused),
		LAB_TEST(every_message_is_answered),
		cmocka_unit_test(settings_without_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
