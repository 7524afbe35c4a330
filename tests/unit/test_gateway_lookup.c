/* SPDX-License-Identifier: BSD-2-Clause */
/* Lookups of the gateway: how many, what their answers do, and when they are repeated. */
#include "gateway_lab.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partial_result_is_used),
		cmocka_unit_test(lookups_are_limited),
		LAB_TEST(identical_lookups_are_coalesced),
		cmocka_unit_test(no_address_at_all_is_inactive),
		LAB_TEST(negative_answer_is_short_lived),
		LAB_TEST(failed_lookup_keeps_known_addresses),
		LAB_TEST(failed_lookup_is_repeated_soon),
		LAB_TEST(timeout_leaves_empty_translations),
		LAB_TEST(answer_is_fresh_for_its_ttl),
		LAB_TEST(unusable_addresses_are_dropped),
		LAB_TEST(late_and_repeated_answers_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
