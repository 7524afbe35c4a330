/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a gateway can be reached, see peer.h. */
#include "core/peer.h"

#include <stddef.h>

/* xorshift64*; the state is never 0 */
static uint64_t next_random(struct peer *p)
{
	p->random ^= p->random >> 12;
	p->random ^= p->random << 25;
	p->random ^= p->random >> 27;
	return p->random * 0x2545f4914f6cdd1dULL;
}

/* @ns, give or take up to a fifth: edges that start together must not probe together. */
static int64_t jittered(struct peer *p, int64_t ns)
{
	int64_t spread = ns / PEER_JITTER;

	return ns - spread + (int64_t)((next_random(p) >> 1) % (uint64_t)(2 * spread + 1));
}

static enum peer_event set_state(struct peer *p, enum peer_state to, struct instant now)
{
	static const enum peer_event events[] = {
		[PEER_UNKNOWN] = PEER_EVENT_NONE,
		[PEER_UP] = PEER_EVENT_UP,
		[PEER_SILENT] = PEER_EVENT_SILENT,
		[PEER_GONE] = PEER_EVENT_GONE,
	};

	if (p->state == to)
		return PEER_EVENT_NONE;
	p->state = to;
	p->since = now;
	return events[to];
}

void peer_init(struct peer *p, uint64_t seed, struct instant now)
{
	*p = (struct peer){
		.state = PEER_UNKNOWN,
		.since = now,
		.heard = INSTANT_NEVER,
		.srtt_ns = -1,
		.random = seed ? seed : 1,
		.probed = {INT64_MIN},
		.probe_at = now,
	};
	p->number = (uint32_t)(next_random(p) >> 32);
}

/* Nothing was in vain that was sent so far. */
static void note_heard(struct peer *p, struct instant now)
{
	p->heard = now;
	p->unanswered = 0;
}

static enum peer_event come_up(struct peer *p, struct instant now)
{
	p->doublings = 0;
	p->probe_at = instant_add(now, jittered(p, PEER_IDLE_NS));
	return set_state(p, PEER_UP, now);
}

enum peer_event peer_heard(struct peer *p, struct instant now)
{
	note_heard(p, now);
	/* Only a ProbeReply tells the incarnation: nothing else puts the next Probe off. */
	if (p->state == PEER_GONE || p->state == PEER_UP)
		return PEER_EVENT_NONE;
	return come_up(p, now);
}

/* RFC 6298 2.2, 2.3; every Probe has its own number, so that no sample is ambiguous. */
static void measure(struct peer *p, int64_t rtt_ns)
{
	p->srtt_ns = p->srtt_ns < 0 ? rtt_ns : p->srtt_ns + (rtt_ns - p->srtt_ns) / 8;
}

/* Whether @number is one of the last Probes, and this the first answer to it. */
static bool take_probe(struct peer *p, uint32_t number, struct instant *ret_at)
{
	if (number == 0)
		return false;
	for (size_t i = 0; i < PEER_PROBES; i++) {
		if (p->probes[i].number != number)
			continue;
		p->probes[i].number = 0;
		*ret_at = p->probes[i].at;
		return true;
	}
	return false;
}

enum peer_event peer_replied(struct peer *p, uint32_t number, struct instant now)
{
	struct instant at;

	if (!take_probe(p, number, &at))
		return peer_heard(p, now);
	note_heard(p, now);
	measure(p, instant_sub(now, at));
	return come_up(p, now);
}

enum peer_event peer_goodbye(struct peer *p, struct instant now)
{
	note_heard(p, now);
	if (p->state == PEER_GONE)
		return PEER_EVENT_NONE;
	/* Replies to earlier Probes are of the one that has gone. */
	for (size_t i = 0; i < PEER_PROBES; i++)
		p->probes[i].number = 0;
	p->doublings = 0;
	p->probe_at = instant_add(now, jittered(p, PEER_RETRY_NS));
	return set_state(p, PEER_GONE, now);
}

void peer_wanted(struct peer *p, struct instant now)
{
	struct instant soon = instant_add(p->probed, PEER_RETRY_NS);

	p->doublings = 0;
	if (soon.ns < now.ns)
		soon = now;
	p->probe_at = instant_min(p->probe_at, soon);
}

struct instant peer_deadline(const struct peer *p)
{
	return p->probe_at;
}

/* Known to be away: there is no hurry. */
static bool is_away(const struct peer *p)
{
	return p->state == PEER_SILENT || p->state == PEER_GONE;
}

static bool falls_silent(const struct peer *p, struct instant now)
{
	struct instant heard = p->state == PEER_UNKNOWN ? p->since : p->heard;

	return !is_away(p) && p->unanswered >= PEER_SILENT_PROBES &&
	       instant_reached(instant_add(heard, PEER_SILENT_NS), now);
}

static uint32_t probe(struct peer *p, struct instant now)
{
	if (++p->number == 0) /* 0 is no number */
		p->number = 1;
	p->probes[p->probes_at].number = p->number;
	p->probes[p->probes_at].at = now;
	p->probes_at = (p->probes_at + 1) % PEER_PROBES;
	p->probed = now;
	p->unanswered++;
	return p->number;
}

/* The time to the next Probe if this one is not answered. */
static int64_t retry_ns(struct peer *p)
{
	int64_t ns = PEER_RETRY_NS << p->doublings;

	if (!is_away(p))
		return PEER_RETRY_NS;
	if (ns >= PEER_BACKOFF_NS)
		return PEER_BACKOFF_NS;
	p->doublings++;
	return ns;
}

/*
 * Silence is looked for when a Probe is due, that is when the one before it has had its time
 * to be answered.
 */
enum peer_event peer_tick(struct peer *p, struct instant now, uint32_t *ret_probe)
{
	enum peer_event event = PEER_EVENT_NONE;

	*ret_probe = 0;
	if (!instant_reached(p->probe_at, now))
		return event;
	if (falls_silent(p, now))
		event = set_state(p, PEER_SILENT, now);
	*ret_probe = probe(p, now);
	p->probe_at = instant_add(now, jittered(p, retry_ns(p)));
	return event;
}

const char *peer_state_name(enum peer_state state)
{
	switch (state) {
	case PEER_UP:
		return "up";
	case PEER_SILENT:
		return "silent";
	case PEER_GONE:
		return "gone";
	case PEER_UNKNOWN:
		break;
	}
	return "unknown";
}
