/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking over the translations of several scopes, of which the policy permits some no longer. */
#include "gateway_lab.h"

static unsigned int restored_gone(struct lab *lab)
{
	struct gateway_action action;
	unsigned int gone = 0;

	while (gateway_next(lab->gw, &action))
		gone += action.kind == GATEWAY_DOMAIN_GONE;
	return gone;
}

static void restore(struct lab *lab, uint32_t scope, uint32_t resource)
{
	const struct fq_xlat_key key = {.scope = scope, .proxy = lab_proxy(GATEWAY_A, 0, 0)};
	struct fq_xlat value = {
		.real = lab_addr("198.51.100.1"),
		.has_real = 1,
		.resources = 1,
		.resource = {resource},
	};
	struct dname name = lab_name(WWW);

	assert_int_equal(lab_domain_id(NULL, &name, &value.domain), 0);
	assert_int_equal(
		gateway_restore_xlats(lab->gw, &name, &(struct gateway_found){&key, &value}, 1), 0);
}

/* A domain that one scope must give up and another keeps is not reported gone: its number lives. */
static void domain_of_another_scope_is_not_gone(void **state)
{
	struct lab *lab = *state;

	restore(lab, 0, LAB_OTHER); /* does not publish the name */
	restore(lab, LAB_SCOPE, LAB_CORP);

	assert_int_equal(restored_gone(lab), 0);
	assert_int_equal(gateway_usage(lab->gw).domains, 1);
}

/* Of one domain: each as its own resources and address have it, whatever those before it have. */
static void each_of_a_domain_is_judged(void **state)
{
	static const struct {
		uint32_t resource;
		bool kept;
	} rows[] = {
		{LAB_CORP, true},   {LAB_CORP, true}, {LAB_OTHER, false},
		{LAB_OTHER, false}, {LAB_CORP, true},
	};
	struct fq_xlat_key keys[1 + N(rows)];
	struct fq_xlat values[N(keys)];
	struct gateway_found found[N(keys)];
	struct gateway_action action;
	struct lab *lab = *state;
	struct dname name = lab_name(WWW);

	for (size_t i = 0; i < N(keys); i++) {
		keys[i] = (struct fq_xlat_key){.scope = LAB_SCOPE};
		keys[i].proxy = i ? lab_proxy(i > 3 ? GATEWAY_AAAA : GATEWAY_A, 0, i % 4)
				  : lab_addr("203.0.113.1"); /* in no pool */
		values[i] = (struct fq_xlat){.resources = 1};
		values[i].resource[0] = i ? rows[i - 1].resource : LAB_CORP;
		assert_int_equal(lab_domain_id(NULL, &name, &values[i].domain), 0);
		found[i] = (struct gateway_found){&keys[i], &values[i]};
	}
	assert_int_equal(gateway_restore_xlats(lab->gw, &name, &found[1], 1), 0);
	/* The first one that is looked at is there already. */
	found[0] = found[1];
	found[1] = (struct gateway_found){&keys[0], &values[0]};
	assert_int_equal(gateway_restore_xlats(lab->gw, &name, found, 2), 0);
	assert_int_equal(gateway_restore_xlats(lab->gw, &name, &found[0], N(found)), 0);

	bool gone[N(keys)] = {false};

	while (gateway_next(lab->gw, &action))
		for (size_t i = 0; action.kind == GATEWAY_XLAT_DEL && i < N(keys); i++)
			gone[i] =
				gone[i] || memcmp(&action.xlat.key, &keys[i], sizeof(keys[i])) == 0;
	assert_true(gone[0]);
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(gone[1 + i], !rows[i].kept);
	assert_int_equal(gateway_usage(lab->gw).xlats, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(domain_of_another_scope_is_not_gone),
		LAB_TEST(each_of_a_domain_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
