/* SPDX-License-Identifier: BSD-2-Clause */
/* The session table (include/fqdnat/table.h) in one thread: what it finds, how full it gets, and
 * how far it looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/table_lab.h"

#define SESSIONS 1000000U
#define SLOTS    (SESSIONS / 4 * 10) /* two entries a session, load 0.8 */

/* A random flow of UDP, client side as source. */
static struct fq_tuple flow(struct table_lab *lab)
{
	uint64_t r = table_lab_random(lab);

	return table_lab_tuple(0x0a000000 | (r & 0xffffff), 0x64600000 | (r >> 24 & 0xffff),
			       (uint16_t)(r >> 40), 0, IPPROTO_UDP);
}

static enum table_result add(struct table_lab *lab, const struct fq_tuple *tuple,
			     uint32_t *ret_index)
{
	struct table_query q = table_lab_query(lab, tuple);
	struct table_claim c;
	enum table_result r = table_claim(&q, tuple, 0, &c);

	if (r != TABLE_DONE)
		return r;
	table_lab_fill(lab, &c, &q, tuple, c.index);
	*ret_index = c.index;
	return table_publish(&q, tuple, &c);
}

static struct fq_slot *find(struct table_lab *lab, const struct fq_tuple *tuple)
{
	struct table_query q = table_lab_query(lab, tuple);
	uint32_t index;

	return table_lookup(&q, tuple, &index);
}

/* Without freeing it. */
static bool end(struct table_lab *lab, uint32_t index)
{
	struct fq_slot *s = &lab->slot[index];
	struct fq_tuple tuple = table_lab_key(lab, index);
	struct table_query q = table_lab_query(lab, &tuple);

	return table_remove(&lab->slot[q.home], s, table_probe_of(lab->table.slots, q.home, index));
}

static void probes_of_a_home_are_different_slots(void **state)
{
	const uint32_t homes[] = {0, 1, 2, 100, 2047, 4000, 4094, 4095};

	(void)state;
	for (size_t h = 0; h < sizeof(homes) / sizeof(*homes); h++) {
		uint8_t seen[TABLE_SLOTS_MIN] = {0};

		for (uint32_t i = 0; i < TABLE_PROBES; i++) {
			uint32_t index = table_probe(TABLE_SLOTS_MIN, homes[h], i);

			assert_true(index < TABLE_SLOTS_MIN);
			assert_int_equal(seen[index]++, 0);
			assert_int_equal(table_probe_of(TABLE_SLOTS_MIN, homes[h], index), i);
		}
	}
}

static void what_was_added_is_found_and_nothing_else(void **state)
{
	struct table_lab *lab = *state;
	struct fq_tuple a = table_lab_tuple(0x0a000001, 0x64600001, 5000, 53, IPPROTO_TCP), b;
	uint32_t index, twice;

	assert_null(find(lab, &a));
	assert_int_equal(add(lab, &a, &index), TABLE_DONE);

	assert_ptr_equal(find(lab, &a), &lab->slot[index]);
	assert_int_equal(add(lab, &a, &twice), TABLE_EXISTS);
	b = a, b.sport ^= 1;
	assert_null(find(lab, &b));
	b = a, b.dport ^= 1;
	assert_null(find(lab, &b));
	b = a, b.proto = IPPROTO_UDP;
	assert_null(find(lab, &b));
	b = a, b.src = a.dst, b.dst = a.src;
	assert_null(find(lab, &b));
}

static void removed_entry_is_gone_at_once_and_its_slot_free_when_user_space_says_so(void **state)
{
	struct table_lab *lab = *state;
	struct fq_tuple a = flow(lab);
	uint32_t index, again;

	assert_int_equal(add(lab, &a, &index), TABLE_DONE);
	assert_true(end(lab, index));
	assert_null(find(lab, &a));
	assert_false(end(lab, index));

	assert_int_equal(add(lab, &a, &again), TABLE_DONE);
	assert_int_not_equal(again, index);
	assert_true(end(lab, again));
	table_free(&lab->slot[index]);
	assert_int_equal(add(lab, &a, &again), TABLE_DONE);
	assert_int_equal(again, index);
}

static void ipv6_keys_are_compared_not_only_their_print(void **state)
{
	struct table_lab *lab = *state;
	struct fq_tuple a = {.src.b = {0x20, 1, 0xd, 0xb8, [15] = 1},
			     .dst.b = {0x20, 1, 0xd, 0xb8, [15] = 2},
			     .sport = 7,
			     .proto = IPPROTO_UDP};
	uint32_t index;

	assert_int_equal(add(lab, &a, &index), TABLE_DONE);
	assert_ptr_equal(find(lab, &a), &lab->slot[index]);
	/* as if another key had the same hash */
	lab->slot6[index].dst.b[14] = 1;
	assert_null(find(lab, &a));
	lab->slot6[index].dst.b[14] = 0;
	assert_ptr_equal(find(lab, &a), &lab->slot[index]);
}

static void a_home_holds_64_keys_and_refuses_the_next(void **state)
{
	struct table_lab *lab = *state;
	struct fq_tuple key[TABLE_PROBES + 1];
	uint32_t index;

	table_lab_same_home(lab, 1234, key, TABLE_PROBES + 1);
	for (int i = 0; i < TABLE_PROBES; i++)
		assert_int_equal(add(lab, &key[i], &index), TABLE_DONE);
	for (int i = 0; i < TABLE_PROBES; i++)
		assert_non_null(find(lab, &key[i]));
	assert_int_equal(add(lab, &key[TABLE_PROBES], &index), TABLE_FULL);
	assert_null(find(lab, &key[TABLE_PROBES]));
}

/* Lines that a packet of an entry touches. */
static unsigned int lines(struct table_lab *lab, uint32_t index)
{
	struct fq_tuple tuple = table_lab_key(lab, index);
	struct table_query q = table_lab_query(lab, &tuple);
	uint32_t probe = table_probe_of(lab->table.slots, q.home, index);
	uint64_t before = lab->slot[q.home].bits & ((1ULL << probe) - 1) & ~1ULL;

	return probe ? 2 + (unsigned int)__builtin_popcountll(before) : 1;
}

/* The reply's tuple: the first free port. */
static enum table_result add_reply(struct table_lab *lab, uint32_t *ret_index)
{
	uint64_t r = table_lab_random(lab);
	struct fq_tuple in;

	do {
		in = table_lab_tuple(0xc0000000 | (r & 0xffff), 0xc6336401, 0, (uint16_t)(r >> 16),
				     IPPROTO_UDP);
		r += 1 << 16;
	} while (find(lab, &in));
	return add(lab, &in, ret_index);
}

/* Goal: no refusal at load 0.8, neither on the way there nor when it stays so. */
static void a_million_sessions_at_load_point_eight_are_not_refused(void **state)
{
	struct table_lab *lab = table_lab_new(SLOTS, 1);
	uint32_t *out = calloc(SESSIONS, sizeof(*out)), index;
	uint64_t out_lines = 0, in_lines = 0, refused = 0;

	(void)state;
	assert_non_null(out);
	for (uint32_t n = 0; n < SESSIONS; n++) {
		struct fq_tuple tuple;

		do
			tuple = flow(lab);
		while (find(lab, &tuple));
		refused += add(lab, &tuple, &out[n]) != TABLE_DONE;
		out_lines += lines(lab, out[n]);
		refused += add_reply(lab, &index) != TABLE_DONE;
		in_lines += lines(lab, index);
	}
	assert_int_equal(refused, 0);
	print_message("# load 0.80: lines a packet, out %.2f, in %.2f\n",
		      (double)out_lines / SESSIONS, (double)in_lines / SESSIONS);
	assert_true(out_lines < SESSIONS * 2ULL);
	assert_true(in_lines < SESSIONS * 2ULL);

	/* Half of it comes and goes. */
	for (uint32_t i = 0; i < SESSIONS / 2; i++) {
		uint32_t n = (uint32_t)(table_lab_random(lab) % SESSIONS);
		struct fq_tuple tuple;

		assert_true(end(lab, out[n]));
		table_free(&lab->slot[out[n]]);
		do
			tuple = flow(lab);
		while (find(lab, &tuple));
		refused += add(lab, &tuple, &out[n]) != TABLE_DONE;
	}
	print_message("# refused of %u more at load 0.80: %llu\n", SESSIONS / 2,
		      (unsigned long long)refused);
	assert_true(refused <= 5);
	free(out);
	table_lab_free(lab);
}

/* How many of the keys share the most crowded home? */
static unsigned int crowd(const struct table_lab *lab, const struct fq_tuple *key, unsigned int n)
{
	uint8_t *count = calloc(lab->table.slots, 1);
	unsigned int most = 0;

	assert_non_null(count);
	for (unsigned int i = 0; i < n; i++) {
		struct table_query q = table_lab_query(lab, &key[i]);

		if (++count[q.home] > most)
			most = count[q.home];
	}
	free(count);
	return most;
}

static void keys_chosen_for_one_table_are_harmless_in_another(void **state)
{
	struct table_lab *lab = *state, *other = table_lab_new(TABLE_SLOTS_MIN, 2);
	struct fq_tuple key[500];

	table_lab_same_home(lab, 99, key, 500);
	assert_int_equal(crowd(lab, key, 200), 200);
	assert_true(crowd(other, key, 500) <= 6);
	table_lab_free(other);
}

static void difference_of_two_keys_that_collide_is_no_recipe(void **state)
{
	struct table_lab *lab = *state;
	struct fq_tuple pair[2], key[200];
	uint32_t by;

	for (uint32_t home = 0; home < 20; home++) {
		table_lab_same_home(lab, home, pair, 2);
		by = bpf_ntohl(pair[1].src.w[3]) - bpf_ntohl(pair[0].src.w[3]);
		for (uint32_t i = 0; i < 200; i++) {
			key[i] = pair[0];
			key[i].src.w[3] = bpf_htonl(bpf_ntohl(pair[0].src.w[3]) + i * by);
		}
		assert_true(crowd(lab, key, 200) <= 6);
	}
}

static int small_table(void **state)
{
	*state = table_lab_new(TABLE_SLOTS_MIN, 1);
	return *state ? 0 : -1;
}

static int no_table(void **state)
{
	table_lab_free(*state);
	return 0;
}

#define SMALL(test) cmocka_unit_test_setup_teardown(test, small_table, no_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_of_a_home_are_different_slots),
		SMALL(what_was_added_is_found_and_nothing_else),
		SMALL(removed_entry_is_gone_at_once_and_its_slot_free_when_user_space_says_so),
		SMALL(ipv6_keys_are_compared_not_only_their_print),
		SMALL(a_home_holds_64_keys_and_refuses_the_next),
		cmocka_unit_test(a_million_sessions_at_load_point_eight_are_not_refused),
		SMALL(keys_chosen_for_one_table_are_harmless_in_another),
		SMALL(difference_of_two_keys_that_collide_is_no_recipe),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
