/* SPDX-License-Identifier: BSD-2-Clause */
/* AssignedIps and lookups at the gateway: what is refused, what is set up, what is answered. */
#include <errno.h>

#include "gateway_lab.h"

#define WWW "www.corp.example"

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

/* G-04: one family fails, the other is used. */
static void partial_result_is_used(void **state)
{
	static const enum gateway_outcome failures[] = {GATEWAY_FAILED, GATEWAY_TIMEOUT,
							GATEWAY_NODATA, GATEWAY_NXDOMAIN};

	(void)state;
	for (size_t i = 0; i < N(failures); i++) {
		struct lab lab;

		lab_open(&lab, NULL);
		lab_assign(&lab, 0, LAB_WWW, WWW, 0);
		lab_answer(&lab, WWW, GATEWAY_A, failures[i], NULL);
		lab_answer(&lab, WWW, GATEWAY_AAAA, GATEWAY_OK, "2001:db8::1");

		lab_expect_status(&lab, 0, 1, true);
		assert_string_equal(lab_block(&lab, 0, GATEWAY_A, 0), "-,-,-,-");
		assert_string_equal(lab_block(&lab, 0, GATEWAY_AAAA, 0),
				    "2001:db8::1,2001:db8::1,2001:db8::1,2001:db8::1");
		gateway_free(lab.gw);
	}
}

/* G-05: beyond the limit a request is dropped and counted; a place comes free with an answer. */
static void lookups_are_limited(void **state)
{
	struct gateway_settings settings = gateway_settings_default();
	struct lab lab;

	(void)state;
	settings.resolutions_max = 3;
	settings.resolutions_per_scope = 2;
	lab_open(&lab, &settings);
	lab_assign(&lab, 0, LAB_CORP, "a.corp.example", 0);
	lab_assign(&lab, 0, LAB_CORP, "b.corp.example", 1);
	lab_assign(&lab, 0, LAB_CORP, "c.corp.example", 2); /* the scope's share is used up */
	assert_int_equal(lab.resolves, 2);
	assert_int_equal(lab.limited, 1);
	lab_assign(&lab, LAB_SCOPE, LAB_CORP, "c.corp.example", 2); /* another scope has its own */
	assert_int_equal(lab.resolves, 3);
	lab_assign(&lab, LAB_SCOPE, LAB_CORP, "d.corp.example", 3); /* all are used up */
	assert_int_equal(lab.limited, 2);
	assert_int_equal(lab.statuses, 0);
	assert_int_equal(gateway_usage(lab.gw).resolutions, 3);

	lab_assign(&lab, LAB_SCOPE, LAB_CORP, "a.corp.example", 3); /* joins a lookup: no limit */
	assert_int_equal(lab.limited, 2);
	lab_resolved(&lab, "a.corp.example", "198.51.100.1", "");
	assert_int_equal(lab.statuses, 2);
	lab_assign(&lab, 0, LAB_CORP, "e.corp.example", 4);
	assert_int_equal(lab.resolves, 4);
	gateway_free(lab.gw);
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

/* G-05 [ours]: identical lookups are one lookup, and everyone is answered. */
static void identical_lookups_are_coalesced(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_assign(lab, 0, LAB_CORP, WWW, 0);
	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	assert_int_equal(lab->resolves, 1);
	lab_resolved(lab, WWW, "198.51.100.1", "");

	assert_int_equal(lab->statuses, 3);
	assert_int_equal(lab->status[2].scope, LAB_SCOPE);
	assert_string_equal(lab_block(lab, LAB_SCOPE, GATEWAY_A, 0),
			    lab_block(lab, 0, GATEWAY_A, 0));
}

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

/* G-09 as design 4 has it: no address at all is Inactive, and packets are told "unreachable". */
static void no_address_at_all_is_inactive(void **state)
{
	static const enum gateway_outcome none[] = {GATEWAY_NODATA, GATEWAY_NXDOMAIN, GATEWAY_OK};

	(void)state;
	for (size_t i = 0; i < N(none); i++) {
		struct lab lab;

		lab_open(&lab, NULL);
		lab_assign(&lab, 0, LAB_WWW, WWW, 0);
		lab_answer(&lab, WWW, GATEWAY_A, none[i], NULL);
		lab_answer(&lab, WWW, GATEWAY_AAAA, none[i], NULL);

		lab_expect_status(&lab, 0, 1, false);
		assert_string_equal(lab_block(&lab, 0, GATEWAY_A, 0), "-,-,-,-");
		assert_string_equal(lab_block(&lab, 0, GATEWAY_AAAA, 0), "-,-,-,-");
		gateway_free(lab.gw);
	}
}

/* G-09: "no record" is believed for a moment only, so that a repaired name works at once. */
static void negative_answer_is_short_lived(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "", "");
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 1);
	lab_expect_status(lab, 1, 1, false);

	lab->now.ns += NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 2);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_expect_status(lab, 2, 1, true);
}

/* G-02, G-09: known addresses outlive a lookup that fails, and a definite answer ends them. */
static void failed_lookup_keeps_known_addresses(void **state)
{
	static const enum gateway_outcome failures[] = {GATEWAY_FAILED, GATEWAY_TIMEOUT};
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	for (size_t i = 0; i < N(failures); i++) {
		lab->now.ns += 61 * NSEC_PER_SEC;
		lab_clear(lab);
		lab_assign(lab, 0, LAB_WWW, WWW, 0);
		lab_answer(lab, WWW, GATEWAY_A, failures[i], NULL);
		lab_answer(lab, WWW, GATEWAY_AAAA, failures[i], NULL);
		assert_int_equal(lab->resolves, 1);
		lab_expect_status(lab, 0, 1, true);
		assert_int_equal(lab->records, 0);
		assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0),
				    "2001:db8::1,2001:db8::1,2001:db8::1,2001:db8::1");
	}

	lab->now.ns += 61 * NSEC_PER_SEC;
	lab_clear(lab);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_TIMEOUT, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_NXDOMAIN, NULL);
	lab_expect_status(lab, 0, 1, false);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), "-,-,-,-");
}

static void failed_lookup_is_repeated_soon(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab->now.ns += 61 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_TIMEOUT, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_TIMEOUT, NULL);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 2);

	lab->now.ns += 5 * NSEC_PER_SEC;
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 3);
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

/* G-12: a lookup that times out leaves entries without real address. */
static void timeout_leaves_empty_translations(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_TIMEOUT, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_TIMEOUT, NULL);

	lab_expect_status(lab, 0, 1, false);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), "-,-,-,-");
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	assert_int_equal(lab->resolves, 2);
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

static void answer_is_fresh_for_its_ttl(void **state)
{
	static const struct {
		uint32_t ttl_s;
		int64_t fresh_s;
	} rows[] = {{0, 5}, {1, 5}, {60, 60}, {301, 300}, {UINT32_MAX, 300}};
	struct lab *lab = *state;
	struct dname name = lab_name(WWW);
	struct fq_addr real = lab_addr("198.51.100.1");

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	for (size_t i = 0; i < N(rows); i++) {
		struct gateway_answer a = {GATEWAY_A, GATEWAY_OK, &real, 1, rows[i].ttl_s};

		assert_int_equal(gateway_resolved(lab->gw, &name, &a, lab->now), 0);
		lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_NODATA, NULL);
		lab->now.ns += rows[i].fresh_s * NSEC_PER_SEC - 1;
		lab_assign(lab, 0, LAB_WWW, WWW, 0);
		assert_int_equal(lab->resolves, i + 1);
		lab->now.ns += 1;
		lab_assign(lab, 0, LAB_WWW, WWW, 0);
		assert_int_equal(lab->resolves, i + 2);
	}
}

static void unusable_addresses_are_dropped(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(
		lab, WWW,
		"0.0.0.0 0.1.2.3 127.0.0.1 127.255.0.1 169.254.1.1 224.0.0.1 239.255.255.255 "
		"255.255.255.255 100.96.0.1 100.127.255.255 10.0.0.1",
		":: ::1 fe80::1 febf::1 ff02::1 fd00:2021:1111:8000::1 ::ffff:8.8.8.8 fd00::1");

	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0), "10.0.0.1,10.0.0.1,10.0.0.1,10.0.0.1");
	assert_string_equal(lab_block(lab, 0, GATEWAY_AAAA, 0), "fd00::1,fd00::1,fd00::1,fd00::1");
	assert_int_equal(lab->record_count[GATEWAY_A] + lab->record_count[GATEWAY_AAAA], 2);
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

static void late_and_repeated_answers_are_ignored(void **state)
{
	struct lab *lab = *state;

	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_OK, "198.51.100.1");
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_OK, "198.51.100.1");
	lab_answer(lab, WWW, GATEWAY_A, GATEWAY_OK, "198.51.100.2");
	assert_int_equal(lab->statuses, 0);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_NODATA, NULL);
	lab_answer(lab, WWW, GATEWAY_AAAA, GATEWAY_OK, "2001:db8::1");

	assert_int_equal(lab->statuses, 1);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
}

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
	assert_int_equal(lab->records, 1);
	assert_int_equal(lab->record_count[GATEWAY_A] + lab->record_count[GATEWAY_AAAA], 0);
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

/* ---- seeded runs: whatever happens, the map, the view and the counts agree ---- */

struct dice {
	uint64_t state;
};

/* xorshift64* */
static unsigned int roll(struct dice *dice, unsigned int n)
{
	dice->state ^= dice->state >> 12;
	dice->state ^= dice->state << 25;
	dice->state ^= dice->state >> 27;
	return (unsigned int)((dice->state * 2685821657736338717ULL) >> 33) % n;
}

struct check {
	struct lab *lab;
	unsigned int count;
};

static void check_row(void *ctx, const struct gateway_xlat *xlat)
{
	struct check *check = ctx;
	const struct fq_xlat *row = lab_xlat(check->lab, xlat->key->scope, xlat->key->proxy);
	uint32_t id;

	check->count++;
	assert_non_null(row);
	assert_memory_equal(row, xlat->value, sizeof(*row));
	assert_int_equal(lab_domain_id(NULL, xlat->name, &id), 0);
	assert_int_equal(row->domain, id);
	assert_in_range(row->resources, 1, FQ_XLAT_RESOURCES);
	for (unsigned int i = 0; i < row->resources; i++)
		assert_true(policy_matches(gateway_policy(check->lab->gw), row->resource[i],
					   xlat->name));
	for (unsigned int i = 1; i < row->resources; i++)
		assert_true(policy_compare(gateway_policy(check->lab->gw), row->resource[i - 1],
					   row->resource[i]) < 0);
}

/* Active at once means that every proxy address of the message can be used for its resource. */
static void check_active(struct lab *lab, uint32_t scope, const struct control_message *msg)
{
	if (!lab->statuses || !lab->status[0].active)
		return;
	for (unsigned int i = 0; i < msg->proxy_count; i++) {
		const struct fq_xlat *row = lab_xlat(lab, scope, msg->proxies[i]);
		bool listed = false;

		assert_non_null(row);
		for (unsigned int k = 0; k < row->resources; k++)
			listed |= row->resource[k] == lab->status[0].resource;
		assert_true(listed);
	}
}

static void random_step(struct lab *lab, struct dice *dice)
{
	static const char *const names[] = {WWW, "a.corp.example", "b.corp.example",
					    "c.corp.example", "d.other.example"};
	static const char *const answers[] = {"", "198.51.100.1", "198.51.100.2 198.51.100.3",
					      "127.0.0.1"};
	const char *name = names[roll(dice, N(names))];
	struct dname dname = lab_name(name);
	uint32_t scope = roll(dice, 2) ? LAB_SCOPE : 0;
	unsigned int resource = LAB_CORP + roll(dice, 3);

	switch (roll(dice, 12)) {
	case 0 ... 4: {
		struct control_message msg = lab_message(resource, name, roll(dice, 4), 1);

		if (roll(dice, 4) == 0)
			msg.proxy_count = 4;
		lab_send(lab, scope, &msg);
		check_active(lab, scope, &msg);
		break;
	}
	case 5 ... 6:
		lab_answer(lab, name, GATEWAY_A, roll(dice, 5), answers[roll(dice, N(answers))]);
		break;
	case 7:
		lab_answer(lab, name, GATEWAY_AAAA, roll(dice, 5),
			   roll(dice, 2) ? "2001:db8::1" : "");
		break;
	case 8:
		lab->resource[0].pattern = roll(dice, 2) ? "*.corp.example" : "?.corp.example";
		lab->resource[2].pattern = roll(dice, 2) ? "*.other.example" : "**.example";
		lab_reload(lab);
		break;
	case 9:
		if (roll(dice, 4) == 0)
			assert_int_equal(gateway_scope_gone(lab->gw, scope), 0);
		else
			assert_int_equal(gateway_forget(lab->gw, scope, &dname), 0);
		lab_drain(lab);
		break;
	case 10: {
		struct policy_grant grant = {roll(dice, 2) ? LAB_LAN : LAB_FAR,
					     resource,
					     {lab->now.ns + roll(dice, 5) * NSEC_PER_SEC}};

		assert_int_equal(gateway_grant_add(lab->gw, &grant), 0);
		lab_drain(lab);
		break;
	}
	default:
		lab->now.ns += roll(dice, 20) * NSEC_PER_SEC;
		assert_int_equal(gateway_tick(lab->gw, lab->now), 0);
		lab_drain(lab);
	}
}

static void random_runs_keep_map_and_view_alike(void **state)
{
	struct gateway_settings settings = gateway_settings_default();

	(void)state;
	settings.xlat_per_scope = 24;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct dice dice = {seed * 0x9e3779b97f4a7c15ULL};
		struct lab lab;
		struct check check = {.lab = &lab};

		lab_open(&lab, &settings);
		for (unsigned int step = 0; step < 200; step++) {
			lab_clear(&lab);
			random_step(&lab, &dice);
			check.count = 0;
			gateway_foreach_xlat(lab.gw, check_row, &check);
			assert_int_equal(check.count, lab.xlats);
			assert_true(gateway_usage(lab.gw).xlats >= lab.xlats);
			assert_true(gateway_usage(lab.gw).xlats_scope <= settings.xlat_per_scope);
		}
		gateway_free(lab.gw);
	}
}

#define LAB_TEST(fn) cmocka_unit_test_setup_teardown(fn, lab_setup, lab_teardown)

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
		cmocka_unit_test(partial_result_is_used),
		cmocka_unit_test(lookups_are_limited),
		LAB_TEST(messages_are_limited_by_scope),
		LAB_TEST(identical_lookups_are_coalesced),
		LAB_TEST(assignment_does_not_depend_on_answer_order),
		LAB_TEST(resolution_always_overwrites),
		LAB_TEST(ipv4_only_domain_has_ipv6_entries),
		LAB_TEST(round_robin),
		LAB_TEST(many_addresses_are_bounded),
		cmocka_unit_test(no_address_at_all_is_inactive),
		LAB_TEST(negative_answer_is_short_lived),
		LAB_TEST(failed_lookup_keeps_known_addresses),
		LAB_TEST(failed_lookup_is_repeated_soon),
		LAB_TEST(moved_proxy_addresses_are_cleared_alone),
		LAB_TEST(scopes_do_not_share_proxy_addresses),
		LAB_TEST(robbed_domain_is_inactive),
		LAB_TEST(renumbered_domain_gives_up_old_addresses),
		LAB_TEST(foreign_proxy_addresses_are_refused),
		LAB_TEST(mixed_proxy_counts_are_refused),
		LAB_TEST(timeout_leaves_empty_translations),
		LAB_TEST(every_message_is_answered),
		LAB_TEST(answer_is_fresh_for_its_ttl),
		LAB_TEST(unusable_addresses_are_dropped),
		cmocka_unit_test(resources_are_ordered_by_specificity_then_uuid),
		LAB_TEST(joining_resource_is_added_at_once),
		cmocka_unit_test(full_scope_gives_up_what_was_unasked_longest),
		cmocka_unit_test(settings_without_sense_are_refused),
		LAB_TEST(late_and_repeated_answers_are_ignored),
		LAB_TEST(forgotten_domain_leaves_nothing),
		cmocka_unit_test(forgotten_during_lookup_takes_the_new_id),
		cmocka_unit_test(records_follow_the_new_id),
		cmocka_unit_test(bound_domain_keeps_its_id),
		LAB_TEST(view_shows_what_the_map_has),
		cmocka_unit_test(random_runs_keep_map_and_view_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
