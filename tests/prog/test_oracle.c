/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs against the oracle (tests/oracle/): sequences of packets at random, and the named
 * ones of tests/oracle/fixtures.
 *
 *	RUNS=200000   packets          SEED=0x...   of the first sequence; each has the next one
 *	KEEP=FILE     where the steps of a disagreement are written, made as few as possible
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../oracle/gen.h"

#define SEQUENCE_NS 400000000ULL /* GATEWAY_UNRESOLVED is told again after half a second */
#define FIXTURES    "tests/oracle/fixtures"

static struct rig *rigs[RIG_WORLDS];
static struct step steps[STEPS_MAX];

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* --- disagreements ------------------------------------------------------------------------------
 */

static bool replay(struct rig *b, const struct step *list, unsigned int n)
{
	rig_reset(b);
	for (unsigned int i = 0; i < n; i++)
		if (!rig_step(b, &list[i]))
			return false;
	return rig_compare_state(b);
}

/* Leave out what is not needed for disagreeing. */
static unsigned int shrink(struct rig *b, struct step *list, unsigned int n)
{
	static struct step fewer[STEPS_MAX];

	for (unsigned int i = n; i-- > 0;) {
		memcpy(fewer, list, i * sizeof(*list));
		memcpy(fewer + i, list + i + 1, (n - i - 1) * sizeof(*list));
		if (replay(b, fewer, n - 1))
			continue;
		n--;
		memcpy(list, fewer, n * sizeof(*list));
	}
	return n;
}

static void print_bytes(const char *what, const struct pkt *p)
{
	print_message("# %s:", what);
	for (size_t i = 0; i < p->len; i++)
		print_message("%s%02x", i % 16 ? "" : " ", pkt_data(p)[i]);
	print_message("\n");
}

static void report(struct rig *b, unsigned int n)
{
	const char *keep = getenv("KEEP");
	FILE *to = keep ? fopen(keep, "w") : NULL;

	if (!to)
		to = stderr;
	n = shrink(b, steps, n);
	replay(b, steps, n); /* so that what is printed is of the last step */
	fprintf(to, "# %s\nworld %u\n", b->why, b->world);
	for (unsigned int i = 0; i < n; i++)
		step_print(to, &steps[i]);
	if (n && steps[n - 1].op == STEP_FRAME) {
		print_bytes("sent", &steps[n - 1].frame);
		print_bytes("program", &b->got);
		print_bytes("oracle", &b->said.out);
	}
	if (to != stderr)
		fclose(to);
}

/* --- at random ----------------------------------------------------------------------------------
 */

/* One sequence. Return: false if it went wrong, at step *@ret_n - 1 or in the end. */
static bool run_sequence(struct rig *b, uint32_t seed, unsigned int *ret_n)
{
	struct gen g;
	unsigned int len;

	gen_start(&g, seed);
	len = 20 + gen_below(&g, STEPS_MAX - 20);
	rig_reset(b);
	for (*ret_n = 0; *ret_n < len;) {
		struct step *s = &steps[(*ret_n)++];

		gen_step(&g, b, s);
		if (!rig_step(b, s))
			return false;
	}
	return rig_compare_state(b);
}

/* The oracle has no clock: a sequence that took so long that the program's mattered is repeated. */
static bool agree(struct rig *b, uint32_t seed, unsigned int *ret_n)
{
	for (int tries = 0; tries < 4; tries++) {
		if (run_sequence(b, seed, ret_n))
			return true;
		if (prog_now() - b->started < SEQUENCE_NS)
			break;
	}
	return false;
}

static uint64_t frames_of(enum orc_hook hook)
{
	uint64_t n = 0;

	for (unsigned int w = 0; w < RIG_WORLDS; w++)
		n += rigs[w]->frames[hook];
	return n;
}

static uint64_t frames(void)
{
	uint64_t n = 0;

	for (int hook = 0; hook < ORC_HOOKS; hook++)
		n += frames_of(hook);
	return n;
}

static void print_summary(uint32_t seed, unsigned int sequences)
{
	static const char *const hooks[ORC_HOOKS] = {"xdp", "xdp_generic", "xdp_inject", "tc",
						     "tc_l3"};

	print_message("# summary: %lu packets in %u sequences, seeds 0x%x to 0x%x;",
		      (unsigned long)frames(), sequences, seed, seed + sequences - 1);
	for (int hook = 0; hook < ORC_HOOKS; hook++)
		print_message(" %s %lu%s", hooks[hook], (unsigned long)frames_of(hook),
			      hook + 1 < ORC_HOOKS ? "," : ";");
	for (int r = 1; r < FQ_REASON_MAX; r++) {
		uint64_t n = 0;

		for (unsigned int w = 0; w < RIG_WORLDS; w++)
			n += rigs[w]->seen[r];
		if (n)
			print_message(" %s %lu", step_reason_name(r), (unsigned long)n);
	}
	print_message("\n");
}

/* G-47, N-01: verdict, reason, every byte, what the daemon is told, sessions and counts. */
static void program_and_oracle_agree(void **state)
{
	const unsigned long runs = setting("RUNS", 200000);
	const uint32_t seed = setting("SEED", 0x5eed);
	const uint64_t before = frames(); /* fixtures' */
	unsigned int sequences = 0, n;

	(void)state;
	while (frames() - before < runs) {
		uint32_t mine = seed + sequences++;
		struct rig *b = rigs[mine % RIG_WORLDS];

		if (agree(b, mine, &n))
			continue;
		print_message("# SEED=0x%x RUNS=1: %s\n", mine, b->why);
		report(b, n);
		fail_msg("program and oracle disagree, seed 0x%x", mine);
	}
	print_summary(seed, sequences);
}

/* --- fixtures -----------------------------------------------------------------------------------
 */

static void run_fixture(const char *name)
{
	unsigned int world, line = 0, n = 0;
	char path[300], text[200];
	FILE *from;
	int r;

	snprintf(path, sizeof(path), FIXTURES "/%s", name);
	from = fopen(path, "r");
	assert_non_null(from);
	do {
		assert_non_null(fgets(text, sizeof(text), from));
		line++;
	} while (sscanf(text, "world %u", &world) != 1);
	assert_in_range(world, 0, RIG_WORLDS - 1);
	while (n < STEPS_MAX && (r = step_read(from, &steps[n], &line)) > 0)
		n++;
	if (r < 0)
		fail_msg("%s:%u: not understood", path, line);
	fclose(from);
	if (!replay(rigs[world], steps, n))
		fail_msg("%s: %s", name, rigs[world]->why);
}

static void what_was_wrong_once_stays_right(void **state)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir = opendir(FIXTURES);

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!strstr(e->d_name, ".hex"))
			continue;
		run_fixture(e->d_name);
		n++;
	}
	closedir(dir);
	print_message("# %u fixtures\n", n);
	assert_true(n > 0);
}

static int setup(void **state)
{
	if (prog_enter(state) < 0 || rig_enter() < 0)
		return -1;
	for (unsigned int w = 0; w < RIG_WORLDS; w++)
		rigs[w] = rig_new(w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int w = 0; w < RIG_WORLDS; w++)
		rig_free(rigs[w]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_wrong_once_stays_right),
		cmocka_unit_test(program_and_oracle_agree),
	};

	return cmocka_run_group_tests_name("oracle", tests, setup, teardown);
}
