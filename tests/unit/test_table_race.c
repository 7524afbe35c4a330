/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session table (include/fqdnat/table.h) with every CPU opening, using and closing the same few
 * tuples, and all of it checked against a log afterwards: make race does the same under
 * ThreadSanitizer.
 *
 * Every thread notes for each call what came of it and two tickets of one counter, one taken before
 * it and one after. What one call has ended before another one began is in order; nothing else is
 * claimed of them.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/table_lab.h"

#define KEYS    12 /* of two homes whose slots overlap */
#define THREADS 4  /* at least; one a CPU */
#define MAX     64
#define CALLS   60000 /* a thread */

enum call { MISS, USE, OPEN, CLOSE };

struct note {
	uint64_t before, after; /* tickets */
	uint32_t serial;        /* of the entry; MISS: none */
	uint8_t key;
	uint8_t call;
};

struct actor {
	struct race *race;
	pthread_t thread;
	uint64_t section; /* odd while a program runs: between rcu_read_lock and _unlock */
	uint64_t random;
	uint32_t notes;
	struct note *note;
};

struct race {
	struct table_lab *lab;
	struct fq_tuple key[KEYS];
	struct actor actor[MAX + 1]; /* the last one is user space */
	uint32_t programs;
	uint32_t running;
	uint64_t ticket;
	uint32_t serial;
	uint32_t mixed; /* entries that were not whole */
	uint32_t refused;
};

static uint64_t ticket(struct race *race)
{
	return __atomic_fetch_add(&race->ticket, 1, __ATOMIC_SEQ_CST);
}

static uint64_t draw(struct actor *a)
{
	a->random ^= a->random << 13;
	a->random ^= a->random >> 7;
	return a->random ^= a->random << 17;
}

static void note(struct actor *a, enum call call, uint32_t key, uint32_t serial, uint64_t before)
{
	a->note[a->notes++] = (struct note){.before = before,
					    .after = ticket(a->race),
					    .serial = serial,
					    .key = (uint8_t)key,
					    .call = (uint8_t)call};
}

static void section_begin(struct actor *a)
{
	__atomic_fetch_add(&a->section, 1, __ATOMIC_SEQ_CST);
}

static void section_end(struct actor *a)
{
	__atomic_fetch_add(&a->section, 1, __ATOMIC_SEQ_CST);
}

/* Until every program that runs now has ended. */
static void grace(struct race *race)
{
	for (uint32_t i = 0; i < race->programs; i++) {
		uint64_t was = __atomic_load_n(&race->actor[i].section, __ATOMIC_SEQ_CST);

		while (was % 2 && __atomic_load_n(&race->actor[i].section, __ATOMIC_SEQ_CST) == was)
			sched_yield();
	}
}

static bool whole(const struct fq_slot *s)
{
	return s->to_dst == ~s->to_src && s->to_port == (uint16_t)s->to_src &&
	       s->last == s->to_src && s->gen == s->to_src;
}

static void open_one(struct actor *a, const struct table_query *q, uint32_t key)
{
	struct race *race = a->race;
	const struct fq_tuple *tuple = &race->key[key];
	uint32_t serial = __atomic_fetch_add(&race->serial, 1, __ATOMIC_RELAXED);
	uint64_t before = ticket(race);
	struct table_claim c;
	enum table_result r = table_claim(q, tuple, 0, &c);

	if (r == TABLE_DONE) {
		table_lab_fill(race->lab, &c, q, tuple, serial);
		if (draw(a) % 8 == 0)
			sched_yield();
		r = table_publish(q, tuple, &c);
	}
	if (r != TABLE_DONE) {
		if (r != TABLE_EXISTS)
			__atomic_fetch_add(&race->refused, 1, __ATOMIC_RELAXED);
		return;
	}
	note(a, OPEN, key, serial, before);
	if (draw(a) % 4)
		return;
	/* undone, as where the other direction exists */
	before = ticket(race);
	if (table_remove(&race->lab->slot[q->home], c.slot, c.probe))
		note(a, CLOSE, key, serial, before);
}

/* A packet of a tuple. */
static void packet(struct actor *a)
{
	struct race *race = a->race;
	uint32_t key = (uint32_t)(draw(a) % KEYS), index;
	struct table_query q = table_lab_query(race->lab, &race->key[key]);
	uint64_t before = ticket(race);
	struct fq_slot *s;

	section_begin(a);
	s = table_lookup(&q, &race->key[key], &index);
	if (s) {
		uint32_t serial = s->to_src;

		note(a, USE, key, serial, before);
		if (draw(a) % 8 == 0)
			sched_yield();
		if (s->to_src != serial || !whole(s))
			__atomic_fetch_add(&race->mixed, 1, __ATOMIC_RELAXED);
		__sync_fetch_and_add(&s->counts, TABLE_COUNT_PACKET);
	} else {
		note(a, MISS, key, 0, before);
		open_one(a, &q, key);
	}
	section_end(a);
}

static void *program(void *arg)
{
	struct actor *a = arg;

	for (int i = 0; i < CALLS; i++)
		packet(a);
	__atomic_fetch_sub(&a->race->running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static uint32_t key_of(const struct race *race, const struct fq_slot *s)
{
	uint32_t k = 0;

	while (race->key[k].src.w[3] != s->src)
		k++;
	return k;
}

/* Remove some of what is live, wait, free all that was dead before. */
static void sweep(struct actor *a)
{
	struct race *race = a->race;
	uint32_t dead[TABLE_SLOTS_MIN], n = 0;

	for (uint32_t i = 0; i < TABLE_SLOTS_MIN; i++) {
		struct fq_slot *s = &race->lab->slot[i];
		uint32_t word = TABLE_LOAD(s->word);
		struct table_query q;
		uint32_t key, probe;
		uint64_t before;

		if (!(word & table_word(TABLE_LIVE, 0)))
			continue;
		key = key_of(race, s);
		q = table_lab_query(race->lab, &race->key[key]);
		probe = table_probe_of(race->lab->table.slots, q.home, i);
		if (!(word & table_word(TABLE_DEAD, 0))) {
			uint32_t serial = s->to_src;

			if (draw(a) % 2)
				continue;
			before = ticket(race);
			if (table_remove(&race->lab->slot[q.home], s, probe))
				note(a, CLOSE, key, serial, before);
		}
		table_unlink(&race->lab->slot[q.home], probe);
		dead[n++] = i;
	}
	grace(race);
	while (n > 0)
		table_free(&race->lab->slot[dead[--n]]);
}

static int by_open(const void *a, const void *b)
{
	const struct note *x = *(struct note *const *)a, *y = *(struct note *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->before > y->before) - (x->before < y->before);
}

/* The log by serial: who opened, who closed. */
struct book {
	struct note **open, **close, **sorted;
	uint32_t n; /* opened */
};

static bool covers(const struct book *b, const struct note *open, const struct note *other)
{
	const struct note *close = b->close[open->serial];

	return open->after < other->before && (!close || close->before > other->after);
}

/*
 * The last entries of that key that were opened before @other, by when they began to be: was one of
 * them there all the time, from before @other until after it?
 */
static bool was_there(const struct book *b, const struct note *other)
{
	uint32_t lo = 0, hi = b->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct note *o = b->sorted[mid];

		if (o->key < other->key || (o->key == other->key && o->before < other->before))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (uint32_t i = lo, n = 0; i > 0 && n < MAX + 2; i--, n++) {
		const struct note *o = b->sorted[i - 1];

		if (o->key != other->key)
			break;
		if (o != other && covers(b, o, other))
			return true;
	}
	return false;
}

static void check_note(const struct book *b, const struct note *n)
{
	const struct note *open = n->call == MISS ? NULL : b->open[n->serial];
	const struct note *close = n->call == MISS ? NULL : b->close[n->serial];

	switch (n->call) {
	case MISS: /* there was none, at some instant of the call */
	case OPEN:
		assert_false(was_there(b, n));
		break;
	case USE: /* it had begun to be, and had not ended before the call */
		assert_non_null(open);
		assert_int_equal(open->key, n->key);
		assert_true(open->before < n->after);
		assert_true(!close || close->after > n->before);
		break;
	case CLOSE: /* once, and after it was opened */
		assert_ptr_equal(close, n);
		assert_non_null(open);
		assert_true(open->before < n->after);
		break;
	}
}

static int by_opened(const void *a, const void *b)
{
	const struct note *x = *(struct note *const *)a, *y = *(struct note *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->after > y->after) - (x->after < y->after);
}

/* There are no two entries of a key at any instant. */
static void check_once(struct book *b)
{
	uint64_t there_until = 0;

	qsort(b->sorted, b->n, sizeof(*b->sorted), by_opened);
	for (uint32_t i = 0; i < b->n; i++) {
		const struct note *o = b->sorted[i], *close = b->close[o->serial];
		uint64_t until = close ? close->before : UINT64_MAX;

		if (i == 0 || b->sorted[i - 1]->key != o->key)
			there_until = 0;
		assert_true(o->after > there_until || until <= o->after);
		there_until = until > o->after && until > there_until ? until : there_until;
	}
}

static void check_log(struct race *race)
{
	struct book b = {.open = calloc(race->serial, sizeof(*b.open)),
			 .close = calloc(race->serial, sizeof(*b.close)),
			 .sorted = calloc(race->serial, sizeof(*b.sorted))};
	uint64_t count[4] = {0};

	assert_true(b.open && b.close && b.sorted);
	for (uint32_t t = 0; t <= race->programs; t++) {
		struct actor *a = &race->actor[t];

		for (uint32_t i = 0; i < a->notes; i++) {
			struct note *n = &a->note[i];

			count[n->call]++;
			if (n->call == OPEN)
				b.open[n->serial] = b.sorted[b.n++] = n;
			if (n->call == CLOSE) {
				assert_null(b.close[n->serial]);
				b.close[n->serial] = n;
			}
		}
	}
	qsort(b.sorted, b.n, sizeof(*b.sorted), by_open);
	for (uint32_t t = 0; t <= race->programs; t++)
		for (uint32_t i = 0; i < race->actor[t].notes; i++)
			check_note(&b, &race->actor[t].note[i]);
	check_once(&b);
	print_message("# %u programs: missed %llu, used %llu, opened %llu, closed %llu\n",
		      race->programs, (unsigned long long)count[MISS],
		      (unsigned long long)count[USE], (unsigned long long)count[OPEN],
		      (unsigned long long)count[CLOSE]);
	assert_true(count[OPEN] > 100 && count[USE] > 100);
	free(b.open);
	free(b.close);
	free(b.sorted);
}

/* Every slot is free, or live and named by the one bit of its home. */
static void check_slots(struct race *race)
{
	uint32_t live = 0, bits = 0;

	for (uint32_t i = 0; i < TABLE_SLOTS_MIN; i++) {
		struct fq_slot *s = &race->lab->slot[i];
		struct table_query q;

		bits += (uint32_t)__builtin_popcountll(s->bits);
		if (s->state == TABLE_FREE)
			continue;
		assert_int_equal(s->state, TABLE_CLAIMED | TABLE_LIVE);
		q = table_lab_query(race->lab, &race->key[key_of(race, s)]);
		assert_true(race->lab->slot[q.home].bits >>
				    table_probe_of(TABLE_SLOTS_MIN, q.home, i) &
			    1);
		live++;
	}
	assert_int_equal(live, bits);
	assert_true(live <= KEYS);
}

static void start(struct race *race)
{
	for (uint32_t i = 0; i <= race->programs; i++) {
		struct actor *a = &race->actor[i];
		size_t notes = i < race->programs ? 3 * CALLS : 3ULL * CALLS * race->programs;

		*a = (struct actor){.race = race, .random = 88172645463325252ULL + i};
		a->note = calloc(notes, sizeof(*a->note));
		assert_non_null(a->note);
	}
	race->running = race->programs;
	for (uint32_t i = 0; i < race->programs; i++)
		assert_int_equal(
			pthread_create(&race->actor[i].thread, NULL, program, &race->actor[i]), 0);
}

static void calls_of_all_cpus_agree_with_one_order(void **state)
{
	struct race *race = calloc(1, sizeof(*race));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)state;
	assert_non_null(race);
	race->lab = table_lab_new(TABLE_SLOTS_MIN, 7);
	table_lab_same_home(race->lab, 600, race->key, KEYS / 2);
	table_lab_same_home(race->lab, 603, race->key + KEYS / 2, KEYS - KEYS / 2);
	race->programs = cpus < THREADS ? THREADS : cpus > MAX ? MAX : (uint32_t)cpus;

	start(race);
	while (__atomic_load_n(&race->running, __ATOMIC_SEQ_CST))
		sweep(&race->actor[race->programs]);
	for (uint32_t i = 0; i < race->programs; i++)
		pthread_join(race->actor[i].thread, NULL);
	sweep(&race->actor[race->programs]);

	assert_int_equal(race->mixed, 0);
	check_slots(race);
	check_log(race);
	print_message("# given up %u times\n", race->refused);
	for (uint32_t i = 0; i <= race->programs; i++)
		free(race->actor[i].note);
	table_lab_free(race->lab);
	free(race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_of_all_cpus_agree_with_one_order),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("table_race", tests, NULL, NULL);
}
