/* SPDX-License-Identifier: BSD-2-Clause */
/* Seeded runs of the gateway: whatever happens, the map, the view and the counts agree. */
#include "gateway_lab.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs_keep_map_and_view_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
