/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs' picture of a connection (bpf/tcp.h) against the connection itself: two endpoints
 * after RFC 9293 and 5961, a network that loses, repeats and reorders before and behind the
 * translator, a forger who knows the ports but no numbers, and a translator that forgets.
 *
 * While that goes on, the picture may be late but never worse than the endpoints have said. As soon
 * as it is quiet, it is right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/tcp_ends.h"

enum { F = FQ_TCP_FIN, Y = FQ_TCP_SYN, R = FQ_TCP_RST, A = FQ_TCP_ACK };

/* The translator: without a session, only what goes out passes, and makes one. */
static bool translate(struct world *w, int dir, const struct fq_pkt *p)
{
	if (!w->made) {
		if (dir == FQ_DIR_IN || (p->tcp_flags & R))
			return false;
		tcp_halves(w->side);
		w->made = true;
	}
	tcp_track(w->side, (uint8_t)dir, p);
	return true;
}

static bool take(struct world *w, struct queue *q, struct fq_pkt *ret_p)
{
	unsigned int i;

	if (!q->n)
		return false;
	i = w->lossless ? 0 : world_random(w, q->n < 4 ? q->n : 4);
	*ret_p = q->p[i];
	if (!w->lossless && world_random(w, 16) == 0)
		return true; /* and once more, later */
	memmove(&q->p[i], &q->p[i + 1], (q->n - i - 1) * sizeof(q->p[0]));
	q->n--;
	return w->lossless || world_random(w, 12) != 0;
}

static void step_network(struct world *w)
{
	int dir = world_random(w, 2);
	struct fq_pkt p;

	if (world_random(w, 2)) {
		if (take(w, &w->before[dir], &p) && translate(w, dir, &p))
			queue_put(&w->behind[dir], &p);
	} else if (take(w, &w->behind[dir], &p)) {
		end_receive(w, !dir, &p);
	}
}

/* Towards the client, as from the server, with any numbers but those the client expects. */
static void forge(struct world *w)
{
	static const uint8_t flags[] = {R, R | A, F | A, Y, Y | A, A};
	struct fq_pkt p = {.tcp_flags = flags[world_random(w, sizeof(flags))],
			   .tcp = {.seq = pkt_random(&w->random),
				   .ack = pkt_random(&w->random),
				   .window = (uint16_t)world_random(w, 65536),
				   .wscale = (uint8_t)world_random(w, 15)}};
	const struct end *client = &w->end[FQ_DIR_OUT];

	/* A client that has sent its SYN only takes any SYN for the server's. */
	if (p.tcp_flags == Y && client->stage != OPEN)
		return;
	if (p.tcp.seq - client->expected + (1U << 20) < 1U << 21 ||
	    p.tcp.ack - client->una + (1U << 20) < 1U << 21)
		return;
	if (translate(w, FQ_DIR_IN, &p))
		end_receive(w, FQ_DIR_OUT, &p);
}

static enum session_state picture(const struct world *w)
{
	return tcp_state_of(w->side);
}

/* Never worse than what has been said. */
static void check_meanwhile(const struct world *w, bool reset)
{
	const struct end *c = &w->end[FQ_DIR_OUT], *s = &w->end[FQ_DIR_IN];
	enum session_state state = picture(w);

	if (!w->made)
		return;
	if (!reset)
		assert_int_not_equal(state, SESSION_RESET);
	if (!c->fin && !s->fin)
		assert_int_not_equal(state, SESSION_HALF_CLOSED);
	if (!c->fin || !s->fin)
		assert_int_not_equal(state, SESSION_CLOSING);
}

static enum session_state truth(const struct world *w)
{
	const struct end *c = &w->end[FQ_DIR_OUT], *s = &w->end[FQ_DIR_IN];

	if (c->stage == GONE || s->stage == GONE)
		return SESSION_RESET;
	if (c->fin && s->fin)
		return SESSION_CLOSING;
	return c->fin || s->fin ? SESSION_HALF_CLOSED : SESSION_ESTABLISHED;
}

/* Let everything arrive, and each end ask whether the other is still there. */
static void settle(struct world *w)
{
	w->lossless = true;
	for (int round = 0; round < 40; round++) {
		for (int who = 0; who < 2; who++)
			end_send_again(w, who);
		for (int i = 0;
		     i < 2000 && w->before[0].n + w->before[1].n + w->behind[0].n + w->behind[1].n;
		     i++)
			step_network(w);
	}
	w->lossless = false;
}

static void check_settled(const struct world *w)
{
	enum session_state state = picture(w), real = truth(w);

	/* Nobody asks any more, and the RST has been lost before the translator. */
	if (w->end[0].stage == GONE && w->end[1].stage == GONE)
		return;
	if (w->forgot && real == SESSION_HALF_CLOSED)
		return; /* FIN and its acknowledgement may have been before */
	if (w->forgot && real == SESSION_CLOSING && state != SESSION_RESET)
		return;
	if (state != real)
		fail_msg("the translator takes for %s what is %s", session_state_name(state),
			 session_state_name(real));
}

struct plan {
	bool aborts, forges, forgets, at_once;
};

static void act(struct world *w, const struct plan *plan)
{
	int who = world_random(w, 2);

	switch (world_random(w, 64)) {
	case 0:
		end_close(w, who);
		break;
	case 1:
		if (plan->aborts && world_random(w, 8) == 0)
			end_abort(w, who);
		break;
	case 2:
		if (plan->forgets && world_random(w, 8) == 0 && w->made) {
			w->made = false;
			w->forgot = true;
		}
		break;
	case 3 ... 8:
		end_send_again(w, who);
		break;
	case 9 ... 20:
		end_write(w, who);
		break;
	case 21 ... 26:
		if (plan->forges && w->made)
			forge(w);
		break;
	default:
		break;
	}
}

static void begin(struct world *w, const struct plan *plan)
{
	for (int who = 0; who < 2; who++) {
		struct end *e = &w->end[who];

		*e = (struct end){
			.first = world_random(w, 4) ? pkt_random(&w->random)
						    : -world_random(w, 3000),
			.room = 2000 + world_random(w, 3) * 200000,
			.shift = world_random(w, 4) ? (uint8_t)world_random(w, 9) : TCP_WSCALE_NONE,
		};
		e->una = e->first;
		e->next = e->first + 1;
	}
	w->end[FQ_DIR_OUT].stage = SYN_SENT;
	w->end[FQ_DIR_IN].stage = plan->at_once ? SYN_SENT : LISTENING;
	end_send_syn(w, FQ_DIR_OUT);
	if (plan->at_once)
		end_send_syn(w, FQ_DIR_IN);
}

/* Several connections, one after the other, on the same tuple. */
static void live(uint32_t seed, const struct plan *plan)
{
	struct world w = {.random = seed};

	for (int connection = 0; connection < 3; connection++) {
		bool reset = false;

		begin(&w, plan);
		for (int i = 0; i < 600; i++) {
			act(&w, plan);
			for (int j = 0; j < 3; j++)
				step_network(&w);
			reset |= w.end[0].stage == GONE || w.end[1].stage == GONE;
			if (connection == 0)
				check_meanwhile(&w, reset);
		}
		settle(&w);
		if (w.made)
			check_settled(&w);
		w.forgot = false;
		for (int who = 0; who < 2; who++)
			w.before[who].n = w.behind[who].n = 0;
		/* The next one begins where this one has ended. */
		if (plan->at_once || (truth(&w) != SESSION_CLOSING && truth(&w) != SESSION_RESET))
			break;
	}
}

static void run(const struct plan *plan)
{
	for (uint32_t seed = 1; seed <= 1500; seed++)
		live(seed * 2654435761U | 1, plan);
}

/* N-06: opening, open, half-closed, closing, as the endpoints have it */
static void the_picture_follows_the_endpoints(void **state)
{
	(void)state;
	run(&(struct plan){0});
}

static void it_follows_resets(void **state)
{
	(void)state;
	run(&(struct plan){.aborts = true});
}

/* N-10: nothing that a blind forger sends ends a connection or hides its end */
static void a_blind_forger_changes_nothing(void **state)
{
	(void)state;
	run(&(struct plan){.forges = true});
	run(&(struct plan){.forges = true, .aborts = true});
}

static void it_is_found_again_in_its_midst(void **state)
{
	(void)state;
	run(&(struct plan){.forgets = true, .aborts = true});
}

/* RFC 5382 REQ-2 */
static void both_may_open_it_at_once(void **state)
{
	(void)state;
	run(&(struct plan){.at_once = true});
	run(&(struct plan){.at_once = true, .aborts = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_picture_follows_the_endpoints),
		cmocka_unit_test(it_follows_resets),
		cmocka_unit_test(a_blind_forger_changes_nothing),
		cmocka_unit_test(it_is_found_again_in_its_midst),
		cmocka_unit_test(both_may_open_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
