/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gateway does on its own: names in use are kept fresh; and what it does not let a late
 * message do. */
#include "gateway_lab.h"

static void tick_at_deadline(struct lab *lab)
{
	lab->now = gateway_deadline(lab->gw);
	assert_int_equal(gateway_tick(lab->gw, lab->now), 0);
	lab_drain(lab);
}

/* TTLs drive a quiet re-resolution; G-07: it moves new sessions, and no edge hears of it. */
static void records_that_expire_are_looked_up_again(void **state)
{
	struct lab *lab = *state;
	struct instant start = lab->now;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_clear(lab);
	assert_int_equal(instant_sub(gateway_deadline(lab->gw), start), 60 * NSEC_PER_SEC);
	tick_at_deadline(lab);
	assert_int_equal(lab->resolves, 1);
	lab_resolved(lab, WWW, "198.51.100.2", "");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2");
	assert_int_equal(lab->statuses, 0);
	tick_at_deadline(lab);
	assert_int_equal(lab->resolves, 2);
}

static void a_name_that_nobody_asks_for_is_left_alone(void **state)
{
	struct lab *lab = *state;
	unsigned int lookups = 1;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	while (gateway_deadline(lab->gw).ns != INSTANT_NEVER.ns) {
		tick_at_deadline(lab);
		if (lab->resolves == lookups)
			continue;
		lookups = lab->resolves;
		lab_resolved(lab, WWW, "198.51.100.1", "");
	}
	/* Every 60 s for 900 s. */
	assert_int_equal(lookups, 15);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 16);
}

/* G-09: what does not exist is not asked for again before an edge asks. */
static void a_name_that_does_not_resolve_is_left_alone(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_NXDOMAIN, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_NXDOMAIN, NULL);
	assert_int_equal(gateway_deadline(lab->gw).ns, INSTANT_NEVER.ns);

	/* The same if it was known: a definite answer ends it. */
	lab->now = instant_add(lab->now, 2 * NSEC_PER_SEC);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	tick_at_deadline(lab);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_NXDOMAIN, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_NXDOMAIN, NULL);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), "-,-,-,-");
	assert_int_equal(gateway_deadline(lab->gw).ns, INSTANT_NEVER.ns);
}

/* RFC 8767: while the servers do not answer, what is known stays, and is asked for every few
 * seconds. */
static void a_lookup_that_fails_is_tried_again(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	for (int i = 0; i < 3; i++) {
		struct instant before;

		tick_at_deadline(lab);
		before = lab->now;
		lab_answer(lab, WWW, GATEWAY_A, GATEWAY_TIMEOUT, NULL);
		lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_FAILED, NULL);
		assert_int_equal(instant_sub(gateway_deadline(lab->gw), before), 5 * NSEC_PER_SEC);
	}
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
}

/* G-05: quiet lookups wait for a place like all others. */
static void quiet_lookups_are_limited_too(void **state)
{
	struct gateway_settings settings = gateway_settings_default();
	struct lab lab;

	(void)state;
	settings.resolutions_max = 1;
	lab_open(&lab, &settings);
	lab_assign(&lab, 0, LAB_CORP, "a.corp.example", 0);
	lab_resolved(&lab, "a.corp.example", "198.51.100.1", "");
	lab_assign(&lab, 0, LAB_CORP, "b.corp.example", 1);
	lab_resolved(&lab, "b.corp.example", "198.51.100.1", "");
	lab_clear(&lab);
	tick_at_deadline(&lab);
	assert_int_equal(lab.resolves, 1);
	tick_at_deadline(&lab); /* no place: a second later */
	assert_int_equal(lab.resolves, 1);
	lab_resolved(&lab, lab.resolve[0].text, "198.51.100.1", "");
	tick_at_deadline(&lab);
	assert_int_equal(lab.resolves, 2);
	gateway_free(lab.gw);
}

/* However many names expire at once: 100 lookups a second. */
static void quiet_lookups_have_a_rate(void **state)
{
	struct gateway_settings settings = gateway_settings_default();
	struct lab lab;
	char name[64];

	(void)state;
	settings.assigned_burst = 1000;
	lab_open(&lab, &settings);
	for (unsigned int i = 0; i < 30; i++) {
		struct control_message msg;

		snprintf(name, sizeof(name), "n%u.corp.example", i);
		msg = lab_message(LAB_CORP, name, i, 1 + i);
		assert_int_equal(gateway_assigned(lab.gw, LAB_SCOPE, &msg, lab.now), 0);
		while (gateway_next(lab.gw, &(struct gateway_action){0}))
			;
		for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
			struct dname dname = lab_name(name);
			struct fq_addr addr = lab_addr(f ? "2001:db8::1" : "198.51.100.1");
			struct gateway_answer answer = {
				.family = f, .addrs = &addr, .count = 1, .ttl_s = 60};

			assert_int_equal(gateway_resolved(lab.gw, &dname, &answer, lab.now), 0);
			while (gateway_next(lab.gw, &(struct gateway_action){0}))
				;
		}
	}
	for (unsigned int i = 1; i <= 3; i++) {
		struct instant before = lab.now;

		tick_at_deadline(&lab);
		assert_int_equal(lab.resolves, 10 * i);
		if (i > 1)
			assert_int_equal(instant_sub(lab.now, before), 100 * NSEC_PER_MSEC);
	}
	assert_int_equal(gateway_deadline(lab.gw).ns, INSTANT_NEVER.ns);
	gateway_free(lab.gw);
}

/* A forgotten domain leaves no timer. */
static void a_domain_that_is_gone_is_not_looked_up(void **state)
{
	struct lab *lab = *state;
	struct dname name = lab_name(WWW);

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_int_equal(gateway_forget(lab->gw, 0, &name), 0);
	lab_drain(lab);
	assert_int_equal(gateway_deadline(lab->gw).ns, INSTANT_NEVER.ns);
}

/* C-17 on the gateway's side, T-14: proxy addresses that the edge has given to another name do not
 * go back by a message that was late. */
static void a_late_message_does_not_take_addresses_back(void **state)
{
	struct lab *lab = *state;
	struct control_message old = lab_message(LAB_CORP, "a.corp.example", 0, 7);
	struct control_message new = lab_message(LAB_CORP, "b.corp.example", 0, 8);

	lab_send(lab, 0, &old);
	lab_resolved(lab, "a.corp.example", "198.51.100.1", "");
	lab_send(lab, 0, &new);
	lab_resolved(lab, "b.corp.example", "198.51.100.2", "");
	lab_clear(lab);

	lab_send(lab, 0, &old);
	assert_int_equal(lab->invalid, 1);
	assert_int_equal(lab->statuses + lab->resolves + lab->sets + lab->dels, 0);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.2,198.51.100.2,198.51.100.2,198.51.100.2");

	/* Late, but about its own addresses: harmless, and answered (G-13). */
	new.generation = 6;
	lab_send(lab, 0, &new);
	lab_expect_status(lab, 0, 6, true);
	/* And it does not make the one in between count. */
	lab_send(lab, 0, &old);
	assert_int_equal(lab->invalid, 2);
	/* Nor does an earlier message about the name's own earlier addresses. */
	assert_int_equal(lab->invalid, 2);
	new = lab_message(LAB_CORP, "b.corp.example", 1, 5);
	lab_send(lab, 0, &new);
	assert_int_equal(lab->invalid, 3);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 1), ".,.,.,.");
	/* Without a generation nothing is late. */
	old.generation = 0;
	lab_send(lab, 0, &old);
	assert_int_equal(lab->resolves, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(records_that_expire_are_looked_up_again),
		LAB_TEST(a_name_that_nobody_asks_for_is_left_alone),
		LAB_TEST(a_name_that_does_not_resolve_is_left_alone),
		LAB_TEST(a_lookup_that_fails_is_tried_again),
		cmocka_unit_test(quiet_lookups_are_limited_too),
		cmocka_unit_test(quiet_lookups_have_a_rate),
		LAB_TEST(a_domain_that_is_gone_is_not_looked_up),
		LAB_TEST(a_late_message_does_not_take_addresses_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
