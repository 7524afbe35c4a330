/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients, resources and grants: what may be added, what a reload changes in the maps, how grants
 * end, and what is taken over after a restart. (What packets get is tested with the programs.)
 */
#include <errno.h>

#include "gateway_lab.h"

static const struct fq_filter *filter_of(struct lab *lab, uint32_t resource)
{
	unsigned int at = LAB_FIND(lab, filter, filters, resource);

	return at < lab->filters ? &lab->filter[at].value : NULL;
}

static const struct fq_grant *grant_of(struct lab *lab, uint32_t client, uint32_t resource)
{
	struct fq_grant_key key = {.client = client, .resource = resource};
	unsigned int at = LAB_FIND(lab, grantmap, grantmaps, key);

	return at < lab->grantmaps ? &lab->grantmap[at].value : NULL;
}

static const struct fq_client *client_of(struct lab *lab, const char *prefix)
{
	struct ipprefix p;
	struct fq_prefix key;
	unsigned int at;

	assert_int_equal(ipprefix_parse(prefix, &p), 0);
	key = (struct fq_prefix){.prefixlen = p.len, .addr = p.addr};
	at = LAB_FIND(lab, clientmap, clientmaps, key);
	return at < lab->clientmaps ? &lab->clientmap[at].value : NULL;
}

static void tick(struct lab *lab)
{
	assert_int_equal(gateway_tick(lab->gw, lab->now), 0);
	lab_drain(lab);
}

static void grant_until(struct lab *lab, uint32_t client, uint32_t resource, int64_t ns)
{
	struct policy_grant grant = {client, resource, {ns}};

	assert_int_equal(gateway_grant_add(lab->gw, &grant), 0);
	lab_drain(lab);
}

static void first_policy_fills_the_maps(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(lab->clientmaps, 2);
	assert_int_equal(client_of(lab, "192.0.2.0/24")->client, LAB_LAN);
	assert_int_equal(client_of(lab, "198.51.100.0/24")->scope, LAB_SCOPE);
	assert_int_equal(lab->grantmaps, 3);
	assert_int_equal(grant_of(lab, LAB_LAN, LAB_CORP)->expires, 0);
	assert_int_equal(lab->filters, 3);
}

/*
 * F-01: no filter permits everything. F-02: port ranges are inclusive as configured. F-03: the icmp
 * filter is a flag. F-04, F-05: a filter with one entry has neither the flag to permit everything
 * nor, unless listed, ICMP.
 */
static void filters_reach_the_map_as_configured(void **state)
{
	struct lab *lab = *state;
	const struct fq_filter *corp = filter_of(lab, LAB_CORP);
	const struct fq_filter *www = filter_of(lab, LAB_WWW);
	const struct fq_filter *other = filter_of(lab, LAB_OTHER);

	assert_true(www->allow_all);
	assert_false(corp->allow_all);
	assert_false(corp->icmp);
	assert_int_equal(corp->ranges, 1);
	assert_int_equal(corp->range[0].lo, 443);
	assert_int_equal(corp->range[0].hi, 443);
	assert_false(other->allow_all);
	assert_true(other->icmp);
	assert_int_equal(other->ranges, 0);
}

/*
 * F-06, F-08: rights hang on the proxy address: two resources on one real server keep their own
 * translations and filters, whatever the real address.
 */
static void resources_on_one_server_keep_their_rights_apart(void **state)
{
	struct lab *lab = *state;

	grant_until(lab, LAB_LAN, LAB_OTHER, INSTANT_NEVER.ns);
	lab_assign(lab, 0, LAB_CORP, "a.corp.example", 0);
	lab_resolved(lab, "a.corp.example", "198.51.100.1", "");
	lab_assign(lab, 0, LAB_OTHER, "b.other.example", 1);
	lab_resolved(lab, "b.other.example", "198.51.100.1", "");

	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resources, 1);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resource[0], LAB_CORP);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 1, 0))->resource[0], LAB_OTHER);
}

/* F-07, A-01: of two resources on one proxy address each grant expires alone. */
static void grants_expire_individually(void **state)
{
	struct lab *lab = *state;

	grant_until(lab, LAB_LAN, LAB_CORP, lab->now.ns + 10 * NSEC_PER_SEC);
	grant_until(lab, LAB_LAN, LAB_WWW, lab->now.ns + 20 * NSEC_PER_SEC);
	lab_clear(lab);

	lab->now.ns += 10 * NSEC_PER_SEC;
	tick(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_non_null(grant_of(lab, LAB_LAN, LAB_WWW));
	assert_int_equal(lab->changes, 1);
	assert_int_equal(filter_of(lab, LAB_CORP)->ranges, 1);

	lab->now.ns += 10 * NSEC_PER_SEC;
	tick(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_WWW));
	assert_int_equal(lab->changes, 2);
}

/* F-09: a changed filter is set and announced, so that existing sessions are checked anew. */
static void changed_filter_is_announced(void **state)
{
	struct lab *lab = *state;

	lab->resource[0].filter.range[0].hi = 444;
	lab_reload(lab);

	assert_int_equal(filter_of(lab, LAB_CORP)->range[0].hi, 444);
	assert_int_equal(lab->changes, 1);
	assert_true(lab->changed_last);
	assert_int_equal(lab->actions, 2);
}

/* F-09 (beyond the reference): domains that no longer match lose the resource. G-03 */
static void changed_pattern_takes_effect(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_CORP, WWW, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_assign(lab, 0, LAB_CORP, "a.corp.example", 1);
	lab_resolved(lab, "a.corp.example", "198.51.100.2", "");
	lab_clear(lab);

	lab->resource[0].pattern = "*.new.example";
	lab_reload(lab);

	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resources, 1);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resource[0], LAB_WWW);
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 1), ".,.,.,.");
	assert_int_equal(gateway_usage(lab->gw).domains, 1);
	/* running sessions are told: those of the first name ask again, as another resource
	 * may permit them, those of the second end. */
	assert_int_equal(lab->changes, 1);
	assert_int_equal(lab->ended, 1);
	assert_int_equal(lab->ended_resource, LAB_CORP);
	lab_assign(lab, 0, LAB_CORP, "a.corp.example", 1);
	lab_expect_status(lab, 0, 1, false);
}

/* M-06: a pattern that becomes more specific moves to the front. */
static void changed_pattern_changes_the_order(void **state)
{
	struct lab *lab = *state;
	const struct fq_xlat *xlat;

	lab_assign(lab, 0, LAB_CORP, WWW, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");

	lab->resource[0].pattern = WWW;
	lab->resource[1].pattern = "*.corp.example";
	lab_reload(lab);

	xlat = lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0));
	assert_int_equal(xlat->resource[0], LAB_CORP);
	assert_int_equal(xlat->resource[1], LAB_WWW);
	assert_true(xlat->has_real);
}

/* F-10: removing one of two resources of a domain removes only it. */
static void removed_resource_leaves_the_other(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_CORP, WWW, 0);
	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");

	lab->resource[0] = lab->resource[1];
	lab->resources = 1;
	lab->grant[0] = lab->grant[1];
	lab->grants = 1;
	lab_reload(lab);

	assert_null(filter_of(lab, LAB_CORP));
	assert_non_null(filter_of(lab, LAB_WWW));
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resources, 1);
	assert_int_equal(lab_xlat(lab, 0, lab_proxy(GATEWAY_A, 0, 0))->resource[0], LAB_WWW);
	assert_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_non_null(grant_of(lab, LAB_LAN, LAB_WWW));
}

/* expiry is looked at when it is due, and at most every second. */
static void expiry_is_checked_when_due_and_once_a_second(void **state)
{
	struct lab *lab = *state;
	int64_t start = lab->now.ns;

	assert_int_equal(gateway_deadline(lab->gw).ns, INSTANT_NEVER.ns);
	grant_until(lab, LAB_LAN, LAB_CORP, start + 5 * NSEC_PER_SEC);
	grant_until(lab, LAB_LAN, LAB_WWW, start + 5 * NSEC_PER_SEC + 1);
	lab_clear(lab);
	assert_int_equal(gateway_deadline(lab->gw).ns, start + 5 * NSEC_PER_SEC);

	lab->now.ns = start + 5 * NSEC_PER_SEC - 1;
	tick(lab);
	assert_int_equal(lab->actions, 0);
	lab->now.ns = start + 5 * NSEC_PER_SEC;
	tick(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_non_null(grant_of(lab, LAB_LAN, LAB_WWW));
	assert_int_equal(gateway_deadline(lab->gw).ns, start + 6 * NSEC_PER_SEC);
	lab->now.ns = start + 6 * NSEC_PER_SEC;
	tick(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_WWW));
	assert_int_equal(gateway_deadline(lab->gw).ns, INSTANT_NEVER.ns);
}

/* added again with an expiry in the past, a grant goes with the next tick. */
static void grant_with_past_expiry_goes_with_the_next_tick(void **state)
{
	struct lab *lab = *state;

	grant_until(lab, LAB_LAN, LAB_CORP, -NSEC_PER_SEC);
	assert_int_equal(grant_of(lab, LAB_LAN, LAB_CORP)->expires, 1);
	tick(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_int_equal(policy_grant_count(gateway_policy(lab->gw)), 2);
}

/* granting again changes the expiry, both ways, by command and by reload. */
static void granting_again_changes_the_expiry(void **state)
{
	struct lab *lab = *state;
	int64_t start = lab->now.ns;

	grant_until(lab, LAB_LAN, LAB_CORP, start + 5 * NSEC_PER_SEC);
	grant_until(lab, LAB_LAN, LAB_CORP, start + 50 * NSEC_PER_SEC);
	assert_int_equal(grant_of(lab, LAB_LAN, LAB_CORP)->expires, start + 50 * NSEC_PER_SEC);
	lab->now.ns = start + 6 * NSEC_PER_SEC;
	tick(lab);
	assert_non_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_int_equal(gateway_deadline(lab->gw).ns, start + 50 * NSEC_PER_SEC);

	lab->grant[0].expires.ns = start + 20 * NSEC_PER_SEC;
	lab_reload(lab);
	assert_int_equal(grant_of(lab, LAB_LAN, LAB_CORP)->expires, start + 20 * NSEC_PER_SEC);
	assert_int_equal(gateway_deadline(lab->gw).ns, start + 20 * NSEC_PER_SEC);
}

/* the last grant of a scope gone: Goodbye, once; then its state goes, and only its. */
static void last_grant_gone_is_a_goodbye(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	lab_assign(lab, 0, LAB_CORP, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_clear(lab);

	assert_int_equal(gateway_grant_del(lab->gw, LAB_FAR, LAB_CORP), 0);
	lab_drain(lab);
	assert_int_equal(lab->goodbyes, 1);
	assert_int_equal(lab->dels, 0);
	lab_reload(lab);
	assert_int_equal(gateway_grant_del(lab->gw, LAB_LAN, LAB_WWW), 0);
	lab_drain(lab);
	assert_int_equal(lab->goodbyes, 1);

	assert_int_equal(gateway_scope_gone(lab->gw, LAB_SCOPE), 0);
	lab_drain(lab);
	assert_int_equal(lab->dels, 8);
	assert_string_equal(lab_block(lab, LAB_SCOPE, GATEWAY_A, 0), ".,.,.,.");
	assert_string_equal(lab_block(lab, 0, GATEWAY_A, 0),
			    "198.51.100.1,198.51.100.1,198.51.100.1,198.51.100.1");
}

/* what a reload does not list is revoked, clients included, and taken away first. */
static void reload_revokes_what_is_not_listed(void **state)
{
	struct lab *lab = *state;
	struct gateway_action action;

	grant_until(lab, LAB_LAN, LAB_OTHER, INSTANT_NEVER.ns);
	lab_clear(lab);
	lab->clients = 1;
	lab->grants = 1;
	lab_client(lab, 3, 0, "203.0.113.0/24");
	lab_grant(lab, 3, LAB_OTHER);
	assert_int_equal(gateway_set_policy(lab->gw, lab_policy(lab), lab->now), 0);
	assert_true(gateway_next(lab->gw, &action));
	assert_int_equal(action.kind, GATEWAY_GRANT_DEL);
	lab_apply(lab, &action);
	lab_drain(lab);

	assert_int_equal(lab->clientmaps, 2);
	assert_null(client_of(lab, "198.51.100.0/24"));
	assert_int_equal(client_of(lab, "203.0.113.0/24")->client, 3);
	assert_int_equal(lab->grantmaps, 2);
	assert_non_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_non_null(grant_of(lab, 3, LAB_OTHER));
	assert_int_equal(lab->changes, 1);
	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	lab_expect_status(lab, 0, 1, false);
}

/* Goodbye received: translations and waiting messages of the scope are gone. */
static void goodbye_removes_all_state_of_the_scope(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "2001:db8::1");
	lab_assign(lab, LAB_SCOPE, LAB_CORP, "b.corp.example", 1);
	lab_clear(lab);
	assert_int_equal(gateway_scope_gone(lab->gw, LAB_SCOPE), 0);
	lab_drain(lab);

	assert_int_equal(lab->xlats, 0);
	assert_int_equal(gateway_usage(lab->gw).xlats, 0);
	lab_resolved(lab, "b.corp.example", "198.51.100.1", "");
	assert_int_equal(lab->statuses, 0);
	assert_int_equal(gateway_usage(lab->gw).domains, 0);
	assert_int_equal(gateway_usage(lab->gw).resolutions, 0);
	assert_int_equal(gateway_scope_gone(lab->gw, 99), 0);
}

/* losing contact is no input: an edge that comes back finds everything, and changes nothing.
 */
static void lost_contact_changes_nothing(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab->now.ns += 3600 * NSEC_PER_SEC;
	tick(lab);
	lab_clear(lab);
	lab_assign(lab, LAB_SCOPE, LAB_CORP, WWW, 0);

	assert_int_equal(lab->dels, 0);
	assert_int_equal(lab->xlats, 8);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	assert_int_equal(lab->records, 0);
	lab_expect_status(lab, 0, 1, true);
}

/* a revoked grant leaves the map at once, and the new generation makes sessions look. */
static void revocation_is_announced_last(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(gateway_grant_del(lab->gw, LAB_LAN, LAB_CORP), 0);
	lab_drain(lab);
	assert_null(grant_of(lab, LAB_LAN, LAB_CORP));
	assert_int_equal(lab->changes, 1);
	assert_true(lab->changed_last);
	assert_int_equal(gateway_grant_del(lab->gw, LAB_LAN, LAB_CORP), -ENOENT);
	lab_drain(lab);
	assert_int_equal(lab->changes, 1);
}

static void same_policy_changes_nothing(void **state)
{
	struct lab *lab = *state;

	lab_assign(lab, 0, LAB_WWW, WWW, 0);
	lab_resolved(lab, WWW, "198.51.100.1", "");
	lab_clear(lab);
	lab_reload(lab);
	assert_int_equal(lab->actions, 0);
}

static void prefix_that_changes_owner_is_set_not_removed(void **state)
{
	struct lab *lab = *state;

	lab->client[0].id = 3;
	lab->grants = 0;
	lab_reload(lab);
	assert_int_equal(lab->clientmaps, 2);
	assert_int_equal(client_of(lab, "192.0.2.0/24")->client, 3);
}

static void contradictions_are_refused(void **state)
{
	struct lab *lab = *state;
	struct policy *policy = lab_policy(lab);
	struct policy_client client = lab->client[0];
	struct policy_resource resource = lab->resource[0];

	assert_int_equal(policy_add_client(policy, &client), -EEXIST);
	client.id = FQ_CLIENTS_MAX;
	assert_int_equal(policy_add_client(policy, &client), -ERANGE);
	client.id = 9;
	assert_int_equal(policy_add_client(policy, &client), -EEXIST);

	assert_int_equal(policy_add_resource(policy, &resource), -EEXIST);
	resource.id = 99;
	assert_int_equal(policy_add_resource(policy, &resource), -EEXIST);
	resource.uuid = "no uuid";
	assert_int_equal(policy_add_resource(policy, &resource), -EINVAL);

	assert_int_equal(policy_put_grant(policy, &(struct policy_grant){LAB_LAN, 98, {0}}),
			 -ENOENT);
	assert_int_equal(policy_put_grant(policy, &(struct policy_grant){98, LAB_CORP, {0}}),
			 -ENOENT);
	policy_free(policy);
}

/* M-03: an invalid pattern is refused, and the resource is not there. */
static void invalid_pattern_is_refused(void **state)
{
	struct lab *lab = *state;
	struct policy *policy = lab_policy(lab);
	struct policy_resource resource = {
		.id = 13, .uuid = lab_uuid[13], .name = "bad", .pattern = "a..b"};

	assert_int_equal(policy_add_resource(policy, &resource), -EINVAL);
	assert_null(policy_find_resource(policy, 13));
	assert_null(policy_find_uuid(policy, lab_uuid[13]));
	policy_free(policy);
}

static void restart_takes_over_what_is_there(void **state)
{
	struct lab *old = *state, new;
	struct fq_addr known[] = {lab_addr("198.51.100.1")};
	struct gateway_records records = {.addr = {known, NULL}, .count = {1, 0}};
	struct dname name = lab_name(WWW);

	lab_assign(old, 0, LAB_WWW, WWW, 0);
	lab_resolved(old, WWW, "198.51.100.1", "");
	lab_open(&new, NULL);
	memcpy(new.xlat, old->xlat, sizeof(new.xlat));
	new.xlats = old->xlats;
	for (unsigned int i = 0; i < old->xlats; i++)
		assert_int_equal(gateway_restore_xlats(new.gw, &name,
						       &(struct gateway_found){&old->xlat[i].key,
									       &old->xlat[i].value},
						       1),
				 0);
	assert_int_equal(gateway_restore_records(new.gw, &name, &records), 0);
	lab_drain(&new);
	assert_int_equal(new.actions, 0);
	assert_int_equal(gateway_usage(new.gw).xlats, 8);

	lab_assign(&new, 0, LAB_WWW, WWW, 0); /* known, but not fresh */
	assert_int_equal(new.resolves, 1);
	lab_answer(&new, WWW, GATEWAY_A, GATEWAY_TIMEOUT, NULL);
	lab_answer(&new, WWW, GATEWAY_AAAA, GATEWAY_TIMEOUT, NULL);
	lab_expect_status(&new, 0, 1, true);
	assert_string_equal(lab_block(&new, 0, GATEWAY_A, 0), lab_block(old, 0, GATEWAY_A, 0));
	gateway_free(new.gw);
}

static void restart_removes_what_is_not_permitted(void **state)
{
	struct lab *lab = *state;
	struct dname www = lab_name(WWW), other = lab_name("a.other.example");
	struct fq_xlat value = {
		.real = lab_addr("198.51.100.1"), .domain = 5, .has_real = 1, .resources = 1};
	struct fq_addr outside = lab_addr("100.95.0.1");
	struct {
		uint32_t scope, resource;
		const struct dname *name;
		struct fq_addr proxy;
	} rows[] = {
		{0, LAB_WWW, NULL, lab_proxy(GATEWAY_A, 0, 0)},   /* domain unknown */
		{0, LAB_WWW, &www, outside},                      /* not in the pools */
		{99, LAB_WWW, &www, lab_proxy(GATEWAY_A, 0, 1)},  /* scope unknown */
		{0, LAB_WWW, &other, lab_proxy(GATEWAY_A, 0, 2)}, /* does not match */
		{0, 77, &www, lab_proxy(GATEWAY_A, 0, 3)},        /* resource unknown */
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct fq_xlat_key key = {.scope = rows[i].scope, .proxy = rows[i].proxy};

		value.domain = 5 + i;
		value.resource[0] = rows[i].resource;
		LAB_SET(lab, xlat, xlats, key, value);
		assert_int_equal(gateway_restore_xlats(lab->gw, rows[i].name,
						       &(struct gateway_found){&key, &value}, 1),
				 0);
	}
	lab_drain(lab);
	assert_int_equal(lab->dels, N(rows));
	assert_int_equal(lab->xlats, 0);
	assert_int_equal(gateway_usage(lab->gw).domains, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(first_policy_fills_the_maps),
		LAB_TEST(filters_reach_the_map_as_configured),
		LAB_TEST(resources_on_one_server_keep_their_rights_apart),
		LAB_TEST(grants_expire_individually),
		LAB_TEST(changed_filter_is_announced),
		LAB_TEST(changed_pattern_takes_effect),
		LAB_TEST(changed_pattern_changes_the_order),
		LAB_TEST(removed_resource_leaves_the_other),
		LAB_TEST(expiry_is_checked_when_due_and_once_a_second),
		LAB_TEST(grant_with_past_expiry_goes_with_the_next_tick),
		LAB_TEST(granting_again_changes_the_expiry),
		LAB_TEST(last_grant_gone_is_a_goodbye),
		LAB_TEST(reload_revokes_what_is_not_listed),
		LAB_TEST(goodbye_removes_all_state_of_the_scope),
		LAB_TEST(lost_contact_changes_nothing),
		LAB_TEST(revocation_is_announced_last),
		LAB_TEST(same_policy_changes_nothing),
		LAB_TEST(prefix_that_changes_owner_is_set_not_removed),
		LAB_TEST(contradictions_are_refused),
		LAB_TEST(invalid_pattern_is_refused),
		LAB_TEST(restart_takes_over_what_is_there),
		LAB_TEST(restart_removes_what_is_not_permitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
