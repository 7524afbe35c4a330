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

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(domain_of_another_scope_is_not_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
