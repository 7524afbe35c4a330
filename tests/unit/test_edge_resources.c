/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of very many resources publish a name: found as if each had been tried, by trying few. */
#include <stdio.h>
#include <stdlib.h>

#include "edge_lab.h"

#include "core/edge_internal.h"

#define MANY 10000

/* Ten thousand patterns, a fifth of each form. */
static const char *const forms[] = {
	"*.s%u.example",       "web-%u-*.corp.example",  "**.?*-%u.corp.example",
	"host%u.corp.example", "inner%u.*.corp.example",
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

struct many {
	struct edge_resource list[MANY];
	char text[MANY][48];
};

static struct edge_resource resource(unsigned int i, const char *pattern)
{
	struct edge_resource r = {
		.id = i + 1,
		.name = "r",
		.pattern = pattern,
		.gateways = {1},
		.gateway_count = 1,
	};

	snprintf(r.uuid, sizeof(r.uuid), "5f0a7c1e-6d0f-4f0e-9d3b-%012x", i);
	return r;
}

static struct many *make_many(void)
{
	struct many *many = calloc(1, sizeof(*many));

	assert_non_null(many);
	for (unsigned int i = 0; i < MANY; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(many->text[i], sizeof(many->text[i]), forms[i % FORMS], i);
#pragma GCC diagnostic pop
		many->list[i] = resource(i, many->text[i]);
	}
	return many;
}

static struct resources *make(const struct edge_resource *list, size_t count)
{
	struct resources *set;

	assert_int_equal(edge_resources_new(bed.edge, list, count, &set), 0);
	return set;
}

/* Of ten thousand patterns a handful is compared with a name, whichever it is. */
static void few_patterns_are_tried(void **state)
{
	static const struct {
		const char *name;
		uint32_t id; /* of the one that matches; 0: none */
	} rows[] = {
		{"www.s4000.example", 4001},
		{"s4000.example", 4001},
		{"web-4001-a.corp.example", 4002},
		{"web-4001.corp.example", 0},
		{"db-4002.corp.example", 4003},
		{"a.b.c.db-4002.corp.example", 4003},
		{"host4003.corp.example", 4004},
		{"x.host4003.corp.example", 0},
		{"inner4004.x.corp.example", 4005},
		{"inner4004.inner4004.corp.example", 4005},
		{"inner4004.corp.example", 0},
		{"corp.example", 0},
		{"nothing.at.all", 0},
	};
	_cleanup_(freep) struct many *many = make_many();
	_cleanup_(edge_resources_freep) struct resources *set = make(many->list, MANY);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dname name = bed_name(rows[i].name);
		struct match m;

		edge_resources_match(set, &name, &m);
		assert_int_equal(m.count, rows[i].id != 0);
		if (m.count)
			assert_int_equal(m.resource[0]->id, rows[i].id);
		if (m.tried > 4)
			fail_msg("%s: %u patterns were tried", rows[i].name, m.tried);
	}
}

static uint32_t draw(uint32_t below)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 33) % below;
}

/* One to three labels of one to three characters out of @alphabet. */
static void random_text(const char *alphabet, char text[16])
{
	unsigned int labels = 1 + draw(3), at = 0;

	for (unsigned int i = 0; i < labels; i++) {
		if (i)
			text[at++] = '.';
		for (unsigned int n = 1 + draw(3); n; n--)
			text[at++] = alphabet[draw((uint32_t)strlen(alphabet))];
	}
	text[at] = '\0';
}

static int by_id(const void *a, const void *b)
{
	const struct resource *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* M-01: every pattern that matches is found, and no other, whatever they look like. */
static void nothing_that_matches_is_missed(void **state)
{
	struct edge_resource list[EDGE_DOMAIN_RESOURCES];
	char text[EDGE_DOMAIN_RESOURCES][16];

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		_cleanup_(edge_resources_freep) struct resources *set = NULL;
		unsigned int expected = 0;
		struct pattern pattern;
		struct dname name;
		struct match m;
		char asked[16];

		for (unsigned int i = 0; i < EDGE_DOMAIN_RESOURCES; i++) {
			random_text("aab*?*", text[i]);
			list[i] = resource(i, text[i]);
		}
		set = make(list, EDGE_DOMAIN_RESOURCES);
		random_text("ab", asked);
		name = bed_name(asked);
		edge_resources_match(set, &name, &m);

		qsort(m.resource, m.count, sizeof(m.resource[0]), by_id);
		for (unsigned int i = 0; i < EDGE_DOMAIN_RESOURCES; i++) {
			if (pattern_parse(text[i], &pattern) < 0 || !pattern_match(&pattern, &name))
				continue;
			if (expected == m.count || m.resource[expected]->id != i + 1)
				fail_msg("%s is not found for %s", text[i], asked);
			expected++;
		}
		assert_int_equal(m.count, expected);
	}
}

/* of ten thousand resources that are the same nothing is said; of one that is not, only that.
 */
static void reload_touches_only_what_changed(void **state)
{
	_cleanup_(freep) struct many *many = make_many();

	(void)state;
	reload("", many->list, MANY);
	bed_do(&bed, 1, "query www.s4000.example");
	bed_do(&bed, 2, "query host3.corp.example");

	reload("", many->list, MANY);
	many->list[8].pattern = "*.elsewhere";
	reload("", many->list, MANY);
	many->list[3].pattern = "*.elsewhere";
	reload("D@1 pending>none; changed host3.corp.example; host3.corp.example refuse",
	       many->list, MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(few_patterns_are_tried),
		T(nothing_that_matches_is_missed),
		T(reload_touches_only_what_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
