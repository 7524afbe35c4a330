/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many more names at once than a gateway takes messages, in virtual time: the real edge, and a
 * gateway that confirms everything but takes 2000 messages a second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/sim.h"

#include "core/edge.h"
#include "io/control_udp.h"

/* As the daemon has them of a gateway that takes 2000 messages a second. */
#define SEND_RATE  1800
#define SEND_BURST 2000

#define NAMES    100000
#define ASKED_NS (NSEC_PER_SEC / 3400) /* from one new name to the next */
#define UUID     "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"

/* What a name has seen. */
struct name {
	bool confirmed;
	bool sent;
	struct instant at; /* of the last AssignedIps */
};

struct world {
	struct sim sim;
	struct sim_path path;
	struct sim_counts counts;
	struct edge *edge;
	struct instant timer;
	struct name *names;
	uint32_t next, confirmed;
	struct instant taken_at;     /* the gateway's bucket was left at then ... */
	int64_t credit;              /* ... with so many ns */
	unsigned long asks, refused; /* messages that the edge sent, and the gateway did not take */
	struct instant last_confirmed;
};

static struct dname name_of(uint32_t number)
{
	struct dname n;
	char text[32];

	snprintf(text, sizeof(text), "n%u.x", number);
	assert_int_equal(dname_from_text(text, &n), 0);
	return n;
}

static void work(struct world *w);

/* ---- the gateway ---- */

static bool gateway_takes(struct world *w)
{
	const int64_t cost = NSEC_PER_SEC / CONTROL_UDP_RATE, full = cost * CONTROL_UDP_BURST;

	w->credit += instant_sub(w->sim.now, w->taken_at);
	w->credit = w->credit < full ? w->credit : full;
	w->taken_at = w->sim.now;
	if (w->credit < cost)
		return false;
	w->credit -= cost;
	return true;
}

static void on_status(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct world *w = ctx;
	struct dname name = name_of((uint32_t)(arg >> 32));
	const struct edge_status status = {
		.gateway = 1,
		.generation = (uint32_t)arg,
		.uuid = UUID,
		.domain = &name,
		.active = true,
	};
	enum edge_status_outcome outcome;

	(void)bytes;
	(void)len;
	assert_int_equal(edge_status(w->edge, &status, w->sim.now, &outcome), 0);
	work(w);
}

static void on_assigned(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct world *w = ctx;

	(void)bytes;
	(void)len;
	if (gateway_takes(w))
		sim_send(&w->sim, &w->path, &w->counts, on_status, w, arg, NULL, 0);
	else
		w->refused++;
}

/* ---- the edge ---- */

static void apply(struct world *w, const struct edge_action *a)
{
	struct name *n;
	uint32_t number;

	if (!a->name)
		return;
	number = (uint32_t)strtoul(a->name->text + 1, NULL, 10);
	n = &w->names[number];
	if (a->kind == EDGE_STATE_CHANGED) {
		w->confirmed += (a->state.to == EDGE_CONFIRMED) - n->confirmed;
		n->confirmed = a->state.to == EDGE_CONFIRMED;
		w->last_confirmed = w->sim.now;
	}
	if (a->kind != EDGE_SEND_ASSIGNED)
		return;
	/* C-07: at most one in 2 s */
	assert_true(!n->sent || instant_sub(w->sim.now, n->at) >= EDGE_RESEND_NS);
	n->sent = true;
	n->at = w->sim.now;
	w->asks++;
	sim_send(&w->sim, &w->path, &w->counts, on_assigned, w,
		 (uint64_t)number << 32 | a->send.generation, NULL, 0);
}

static void on_timer(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct world *w = ctx;

	(void)arg;
	(void)bytes;
	(void)len;
	w->timer = INSTANT_NEVER;
	if (instant_reached(edge_deadline(w->edge), w->sim.now))
		assert_int_equal(edge_tick(w->edge, w->sim.now), 0);
	work(w);
}

/* Do what an input has caused, and set the timer. */
static void work(struct world *w)
{
	struct edge_action a;
	struct instant t;

	while (edge_next(w->edge, &a))
		apply(w, &a);
	t = edge_deadline(w->edge);
	if (t.ns >= w->timer.ns)
		return;
	w->timer = t;
	sim_after(&w->sim, instant_sub(t, w->sim.now), on_timer, w, 0, NULL, 0);
}

/* An application asks for a name. */
static void ask(struct world *w, uint32_t number)
{
	struct dname name = name_of(number);
	struct edge_answer answer;

	assert_int_equal(edge_query(w->edge, &name, w->sim.now, &answer), 0);
	assert_true(answer.matched);
	work(w);
}

static void pass(struct world *w, int64_t ns)
{
	sim_run(&w->sim, instant_add(w->sim.now, ns));
}

static void open_world(struct world *w, unsigned int loss)
{
	const struct edge_resource resource = {
		.id = 1,
		.uuid = UUID,
		.name = "all",
		.pattern = "*.x",
		.gateways = {1},
		.gateway_count = 1,
	};
	struct edge_settings s = {
		.pool.quarantine_ns = 1000 * NSEC_PER_SEC,
		.domains_max = 2 * NAMES,
		.held_bytes_max = 1 << 20,
		.held_max_ns = EDGE_HELD_MAX_NS,
	};

	*w = (struct world){
		.path = {.loss = loss, .delay_ns = 10 * NSEC_PER_MSEC, .spread_ns = NSEC_PER_MSEC},
		.timer = INSTANT_NEVER,
		.credit = INT64_MAX / 2,
	};
	sim_init(&w->sim, 1, (struct instant){1000 * NSEC_PER_SEC});
	w->taken_at = w->sim.now;
	w->names = calloc(NAMES, sizeof(*w->names));
	assert_non_null(w->names);
	assert_int_equal(ipprefix_parse("10.0.0.0/8", &s.pool.v4), 0);
	assert_int_equal(ipprefix_parse("fd00:2021:1111:8000::/104", &s.pool.v6), 0);
	assert_int_equal(edge_new(&s, &w->edge), 0);
	assert_int_equal(edge_set_resources(w->edge, &resource, 1, w->sim.now), 0);
	assert_int_equal(edge_gateway_up(w->edge, 1, w->sim.now), 0);
	assert_int_equal(edge_gateway_rate(w->edge, 1, SEND_RATE, SEND_BURST), 0);
}

static void close_world(struct world *w)
{
	edge_free(w->edge);
	free(w->names);
	sim_done(&w->sim);
}

static void ask_all(struct world *w)
{
	for (uint32_t i = 0; i < NAMES; i++) {
		ask(w, i);
		pass(w, ASKED_NS);
	}
}

static void tell(const struct world *w, const char *what, struct instant begin)
{
	printf("# %s: %u of %u names confirmed after %.1f s, %lu messages, %lu more than the "
	       "gateway took, %lu lost\n",
	       what, w->confirmed, NAMES, (double)instant_sub(w->last_confirmed, begin) / 1e9,
	       w->asks, w->refused, w->counts.lost);
}

/* C-26: every name is asked for once, and that is enough: nothing is sent in vain. */
static void storm_is_sent_as_the_gateway_takes_it(void **state)
{
	struct instant begin;
	struct world w;

	(void)state;
	open_world(&w, 0);
	begin = w.sim.now;
	ask_all(&w);
	assert_true(w.confirmed < NAMES); /* it was a storm */
	pass(&w, 60 * NSEC_PER_SEC);
	tell(&w, "no loss", begin);
	assert_int_equal(w.confirmed, NAMES);
	assert_int_equal(w.asks, NAMES);
	assert_int_equal(w.refused, 0);
	close_world(&w);
}

/* C-26: with loss, too, as long as somebody asks. */
static void storm_with_loss_ends(void **state)
{
	struct instant begin;
	struct world w;

	(void)state;
	open_world(&w, 30);
	begin = w.sim.now;
	ask_all(&w);
	for (int round = 0; round < 60 && w.confirmed < NAMES; round++) {
		for (uint32_t i = 0; i < NAMES; i++)
			if (!w.names[i].confirmed) {
				ask(&w, i);
				pass(&w, ASKED_NS);
			}
		pass(&w, 5 * NSEC_PER_SEC);
	}
	tell(&w, "30 % loss", begin);
	assert_int_equal(w.confirmed, NAMES);
	assert_int_equal(w.refused, 0);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm_is_sent_as_the_gateway_takes_it),
		cmocka_unit_test(storm_with_loss_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
