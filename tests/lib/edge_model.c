/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference for the edge, see edge_model.h. */
#include "edge_model.h"

#include <assert.h>
#include <string.h>

#define SECOND_NS   1000000000LL
#define RESEND_NS   (2 * SECOND_NS)  /* C-07, C-08 */
#define SAME_ASK_NS (SECOND_NS / 10) /* A and AAAA are one asking */
#define REST_NS     (30 * SECOND_NS) /* C-28 */
#define REST_MAX_NS (960 * SECOND_NS)

void model_init(struct edge_model *m)
{
	memset(m, 0, sizeof(*m));
}

bool model_publishes(const struct edge_model *m, unsigned int name, unsigned int r)
{
	return m->known[name] && m->resource[r].present && (m->resource[r].names >> name & 1);
}

/* The first gateway of the list that is up; 0: none. */
static unsigned int first_up(const struct edge_model *m, unsigned int r)
{
	for (unsigned int i = 0; i < MODEL_GATEWAYS && m->resource[r].gateways[i]; i++)
		if (m->up[m->resource[r].gateways[i]])
			return m->resource[r].gateways[i];
	return 0;
}

/* The first that is up and does not rest, but @but; 0: none. */
static unsigned int first_ready(const struct edge_model *m, unsigned int r, unsigned int but)
{
	for (unsigned int i = 0; i < MODEL_GATEWAYS && m->resource[r].gateways[i]; i++) {
		unsigned int g = m->resource[r].gateways[i];

		if (m->up[g] && !m->rest_until_ns[g] && g != but)
			return g;
	}
	return 0;
}

/*
 * The gateway that an entry is to be asked for at: the first that is up, those that rest last. But
 * an entry from before a restart waits for its gateway, or one before it in the list, until that
 * is known to be lost.
 */
static unsigned int target_of(const struct edge_model *m, const struct model_entry *e,
			      unsigned int r)
{
	unsigned int target = first_ready(m, r, 0);

	if (!target)
		target = first_up(m, r);
	for (unsigned int i = 0; i < MODEL_GATEWAYS; i++) {
		unsigned int g = m->resource[r].gateways[i];

		if (g == target)
			return g;
		if (g == e->gateway && !m->up[g] && !m->lost[g])
			return 0;
	}
	return 0;
}

static bool is_listed(const struct edge_model *m, unsigned int r, unsigned int gateway)
{
	for (unsigned int i = 0; i < MODEL_GATEWAYS; i++)
		if (m->resource[r].gateways[i] == gateway)
			return true;
	return false;
}

static void set_state(struct model_entry *e, enum model_state to)
{
	if (to != e->state)
		e->stored = e->last;
	e->state = to;
	e->ask_at_ns = 0;
	if (to == MODEL_NONE)
		e->gateway = 0;
}

static void send(struct edge_model *m, unsigned int name, unsigned int r, bool is_new,
		 int64_t now_ns)
{
	struct model_entry *e = &m->entry[name][r];

	assert(m->send_count < sizeof(m->sends) / sizeof(m->sends[0]));
	m->sends[m->send_count++] = (struct model_send){name, r, e->gateway, is_new};
	if (is_new)
		set_state(e, MODEL_PENDING);
	e->asked = true;
	e->asked_ns = now_ns;
}

bool model_sent(struct edge_model *m, const struct model_send *sent, uint32_t generation)
{
	for (unsigned int i = 0; i < m->send_count; i++) {
		struct model_send *s = &m->sends[i];
		struct model_entry *e = &m->entry[s->name][s->resource];

		if (s->name != sent->name || s->resource != sent->resource ||
		    s->gateway != sent->gateway || s->is_new != sent->is_new)
			continue;
		e->last = generation;
		if (s->is_new) {
			e->first = e->stored = generation;
			e->taken = 0;
		}
		*s = m->sends[--m->send_count];
		return true;
	}
	return false;
}

/* ---- the table ---- */

/* Ask a gateway that knows nothing of it, so that packets wait (C-01, C-21). */
static void ask_at(struct edge_model *m, unsigned int name, unsigned int r, unsigned int gateway,
		   int64_t now_ns)
{
	set_state(&m->entry[name][r], MODEL_NONE);
	m->entry[name][r].gateway = gateway;
	m->entry[name][r].hold = true;
	send(m, name, r, true, now_ns);
}

/* Column "packet", and what a query does to entries that are open or none. */
static void wake(struct edge_model *m, unsigned int name, unsigned int r, int64_t now_ns)
{
	struct model_entry *e = &m->entry[name][r];
	bool is_old = now_ns - e->asked_ns >= RESEND_NS;
	unsigned int target = target_of(m, e, r);

	switch (e->state) {
	case MODEL_PENDING: /* C-07, C-08 */
		if (is_old)
			send(m, name, r, false, now_ns);
		return;
	case MODEL_NONE:
	case MODEL_RECREATING:
		if (!e->gateway || !m->up[e->gateway]) {
			if (target)
				ask_at(m, name, r, target, now_ns);
			return;
		}
		if (e->ask_at_ns ? now_ns >= e->ask_at_ns : is_old)
			send(m, name, r, true, now_ns);
		else if (!e->ask_at_ns)
			e->ask_at_ns = now_ns + RESEND_NS;
		return;
	case MODEL_CONFIRMED: /* C-09 */
	case MODEL_FAILED:
		return;
	}
}

static void wake_name(struct edge_model *m, unsigned int name, int64_t now_ns)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (model_publishes(m, name, r))
			wake(m, name, r, now_ns);
}

/* Column "DNS query for the domain". */
static void query_entry(struct edge_model *m, unsigned int name, unsigned int r, bool at_once,
			int64_t now_ns)
{
	struct model_entry *e = &m->entry[name][r];
	int64_t age_ns = now_ns - e->asked_ns;
	unsigned int target = target_of(m, e, r);

	if (target && target != e->gateway) { /* a preferred one, or its own is lost */
		ask_at(m, name, r, target, now_ns);
		return;
	}
	switch (e->state) {
	case MODEL_RECREATING:
		if (at_once && e->ask_at_ns)
			send(m, name, r, true, now_ns);
		else
			wake(m, name, r, now_ns);
		return;
	case MODEL_NONE:
	case MODEL_PENDING:
		wake(m, name, r, now_ns);
		return;
	case MODEL_CONFIRMED: /* C-11 */
	case MODEL_FAILED:    /* C-10 */
		break;
	}
	if (!at_once && age_ns < SAME_ASK_NS)
		return;
	e->hold = e->state == MODEL_FAILED;
	set_state(e, MODEL_RECREATING);
	if (!m->up[e->gateway])
		return;
	if (at_once || e->hold || age_ns >= RESEND_NS)
		send(m, name, r, true, now_ns);
	else
		e->ask_at_ns = now_ns + RESEND_NS;
}

/* What has waited for its 2 s. */
static void ask_due(struct edge_model *m, int64_t now_ns)
{
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (e->state == MODEL_RECREATING && e->ask_at_ns && now_ns >= e->ask_at_ns)
				send(m, n, r, true, now_ns);
		}
}

/* Line "DNS query for another domain": what is old and open is asked again. */
static void look_after_all(struct edge_model *m, int64_t now_ns)
{
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (e->state == MODEL_PENDING && now_ns - e->asked_ns >= RESEND_NS)
				send(m, n, r, false, now_ns);
		}
	ask_due(m, now_ns);
}

void model_query(struct edge_model *m, unsigned int name, bool local, bool at_once, int64_t now_ns)
{
	bool ours = false;

	if (!local && !m->known[name])
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
			m->known[name] = m->known[name] || (m->resource[r].present &&
							    (m->resource[r].names >> name & 1));
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (model_publishes(m, name, r)) {
			ours = true;
			query_entry(m, name, r, at_once, now_ns);
		}
	if ((ours || local) && !at_once)
		look_after_all(m, now_ns);
}

void model_packet(struct edge_model *m, unsigned int name, int64_t now_ns)
{
	wake_name(m, name, now_ns);
}

void model_tick(struct edge_model *m, int64_t now_ns)
{
	for (unsigned int g = 1; g <= MODEL_GATEWAYS; g++)
		if (now_ns >= m->rest_until_ns[g])
			m->rest_until_ns[g] = 0;
	ask_due(m, now_ns);
}

bool model_watched(struct edge_model *m, const struct model_send *sent, uint32_t generation,
		   int64_t now_ns)
{
	unsigned int n = sent->name, r = sent->resource;
	const struct model_entry *e = &m->entry[n][r];

	if (!m->holds[n] || !model_publishes(m, n, r) || e->state == MODEL_CONFIRMED ||
	    e->state == MODEL_FAILED)
		return false;
	wake(m, n, r, now_ns);
	return model_sent(m, sent, generation);
}

bool model_is_overdue(const struct edge_model *m, unsigned int name, int64_t now_ns)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (model_publishes(m, name, r) && m->entry[name][r].state == MODEL_PENDING &&
		    now_ns - m->entry[name][r].asked_ns > 2 * RESEND_NS)
			return true;
	return false;
}

/*
 * C-28: a gateway that has confirmed nothing yet refuses what somebody waits for. Another one is
 * asked, and this one rests. Return: whether there is one.
 */
static bool refused_by_one(struct edge_model *m, unsigned int name, unsigned int r,
			   unsigned int gateway, int64_t now_ns)
{
	enum model_state state = m->entry[name][r].state;
	unsigned int other = first_ready(m, r, gateway);

	if (m->proven[gateway] || !other || (state != MODEL_PENDING && state != MODEL_RECREATING))
		return false;
	if (!m->rest_until_ns[gateway]) {
		m->rest_ns[gateway] = m->rest_ns[gateway] ? 2 * m->rest_ns[gateway] : REST_NS;
		if (m->rest_ns[gateway] > REST_MAX_NS)
			m->rest_ns[gateway] = REST_MAX_NS;
		m->rest_until_ns[gateway] = now_ns + m->rest_ns[gateway];
	}
	ask_at(m, name, r, other, now_ns);
	return true;
}

/* Columns "Active" and "any other status". Generations are compared around their wrap. */
enum model_outcome model_status(struct edge_model *m, unsigned int name, unsigned int resource,
				unsigned int gateway, uint32_t generation, bool active,
				int64_t now_ns)
{
	struct model_entry *e = &m->entry[name][resource];

	if (!model_publishes(m, name, resource) || e->state == MODEL_NONE || e->gateway != gateway)
		return MODEL_UNKNOWN; /* C-15 */
	if (generation) {
		if (generation - e->first > e->last - e->first) /* of no message of the request */
			return MODEL_STALE;
		if (e->taken && generation - e->first < e->taken - e->first)
			return MODEL_STALE; /* C-17 */
		e->taken = generation;
	}
	if (active) {
		m->proven[gateway] = true;
		m->rest_until_ns[gateway] = m->rest_ns[gateway] = 0;
		set_state(e, MODEL_CONFIRMED);
	} else if (!refused_by_one(m, name, resource, gateway, now_ns)) {
		set_state(e, MODEL_FAILED);
	}
	return MODEL_APPLIED;
}

/* ---- gateways ---- */

/* What holds packets is asked for at once, everything else when somebody wants it. */
static void wake_holding(struct edge_model *m, int64_t now_ns)
{
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		if (m->known[n] && m->holds[n])
			wake_name(m, n, now_ns);
}

/*
 * Entries of lost gateways are given up if another one is up; not Failed ones, which only a query
 * of their own may bring to life (C-09).
 */
static void leave_lost(struct edge_model *m)
{
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (e->gateway && m->lost[e->gateway] && e->state != MODEL_FAILED &&
			    first_up(m, r))
				set_state(e, MODEL_NONE);
		}
}

void model_up(struct edge_model *m, unsigned int gateway, int64_t now_ns)
{
	m->up[gateway] = m->met[gateway] = true;
	m->lost[gateway] = false;
	leave_lost(m);
	wake_holding(m, now_ns);
}

void model_lost(struct edge_model *m, unsigned int gateway, int64_t now_ns)
{
	if (!m->met[gateway])
		return;
	m->up[gateway] = false;
	m->lost[gateway] = true;
	leave_lost(m);
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (e->gateway == gateway &&
			    (e->state == MODEL_PENDING || e->state == MODEL_RECREATING))
				set_state(e, MODEL_RECREATING); /* C-20 */
		}
	wake_holding(m, now_ns);
}

void model_gone(struct edge_model *m, unsigned int gateway, int64_t now_ns)
{
	if (!m->met[gateway])
		return;
	m->up[gateway] = m->proven[gateway] = false;
	m->lost[gateway] = true;
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
			if (m->entry[n][r].gateway == gateway)
				set_state(&m->entry[n][r], MODEL_NONE); /* C-18 */
	wake_holding(m, now_ns);
}

static void meet(struct edge_model *m)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		for (unsigned int i = 0; m->resource[r].present && i < MODEL_GATEWAYS; i++)
			m->met[m->resource[r].gateways[i]] = true;
}

/* C-19, D-08, P-09: an entry stays if all that its gateway was told still holds. */
void model_set_resources(struct edge_model *m, const struct model_resource list[MODEL_RESOURCES])
{
	struct model_resource old[MODEL_RESOURCES];

	memcpy(old, m->resource, sizeof(old));
	memcpy(m->resource, list, sizeof(m->resource));
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (!model_publishes(m, n, r))
				*e = (struct model_entry){0};
			else if (e->gateway &&
				 (old[r].stack != list[r].stack || !is_listed(m, r, e->gateway)))
				set_state(e, MODEL_NONE);
		}
	meet(m);
	leave_lost(m);
}

void model_forget(struct edge_model *m, unsigned int name)
{
	m->known[name] = false;
	memset(m->entry[name], 0, sizeof(m->entry[name]));
}

static bool is_flowing(const struct model_entry *e)
{
	bool open = e->state == MODEL_PENDING || e->state == MODEL_RECREATING;

	return e->state == MODEL_CONFIRMED || (open && !e->hold);
}

/*
 * Entries that still fit the configuration, families and all, come back answered, so that nothing
 * is asked.
 */
void model_restart(struct edge_model *m, const struct model_resource list[MODEL_RESOURCES],
		   int64_t now_ns)
{
	struct model_resource old[MODEL_RESOURCES];

	memcpy(old, m->resource, sizeof(old));
	memset(m->up, 0, sizeof(m->up));
	memset(m->lost, 0, sizeof(m->lost));
	memset(m->met, 0, sizeof(m->met));
	memset(m->proven, 0, sizeof(m->proven));
	memset(m->rest_until_ns, 0, sizeof(m->rest_until_ns));
	memset(m->rest_ns, 0, sizeof(m->rest_ns));
	memcpy(m->resource, list, sizeof(m->resource));
	meet(m);
	for (unsigned int n = 0; n < MODEL_NAMES; n++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			struct model_entry *e = &m->entry[n][r];

			if (e->state == MODEL_NONE || !model_publishes(m, n, r) ||
			    old[r].stack != list[r].stack || !is_listed(m, r, e->gateway)) {
				*e = (struct model_entry){0};
				continue;
			}
			e->state = is_flowing(e) ? MODEL_CONFIRMED : MODEL_FAILED;
			if (e->state == MODEL_CONFIRMED)
				m->proven[e->gateway] = true;
			e->asked_ns = now_ns - RESEND_NS;
			e->ask_at_ns = 0;
			e->first = e->last = e->taken = e->stored;
		}
}

enum model_verdict model_verdict(const struct edge_model *m, unsigned int name, unsigned int family,
				 unsigned int *ret_gateway)
{
	unsigned int rank = ~0U;
	enum model_verdict v = MODEL_REFUSE;

	for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
		const struct model_entry *e = &m->entry[name][r];

		if (!model_publishes(m, name, r))
			continue;
		if (m->resource[r].stack && m->resource[r].stack != family + 1)
			continue; /* its gateway was not told of these addresses (P-06) */
		if (is_flowing(e) && m->resource[r].rank < rank) { /* the most specific one */
			v = MODEL_FORWARD;
			rank = m->resource[r].rank;
			*ret_gateway = e->gateway;
		} else if (v == MODEL_REFUSE && e->state != MODEL_FAILED) {
			v = MODEL_HOLD; /* someone is still to say something (C-21, C-24) */
		}
	}
	return v;
}
