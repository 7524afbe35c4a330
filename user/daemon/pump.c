/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the roles: take actions and messages from one, hand them to the other, until nothing is
 * left to do. Inputs that one action causes (an AssignedIps that is answered at once, say) are
 * queued, never nested.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/probe.h"
#include "daemon/daemon.h"

#define STORE_RETRY_NS NSEC_PER_SEC

/* What may be lost with the process waits so long for more: a commit costs what ten answers do. */
#define STORE_GATHER_NS (50 * NSEC_PER_MSEC)

/* What of all that is to be written does not wait. */
enum keeping { KEEP_NOW, KEEP_NEWS_NOW, KEEP_LATER };

/* New resources may concern a million domains: others want to be served meanwhile. */
#define ACTIONS_AT_ONCE 4096

void mailbox_done(struct mailbox *box)
{
	struct letter *l;

	while ((l = box->first)) {
		box->first = l->next;
		free(l);
	}
	box->last = NULL;
}

static struct letter *mailbox_take(struct mailbox *box)
{
	struct letter *l = box->first;

	if (!l)
		return NULL;
	PROBE_CONTROL_MESSAGE(PROBE_WITHIN, 0, l->msg.event, l->msg.generation, l->msg.domain.text);
	box->first = l->next;
	if (!box->first)
		box->last = NULL;
	return l;
}

void mailbox_post(struct mailbox *box, const struct control_message *msg)
{
	struct letter *l = malloc(sizeof(*l));

	/* Lost like a datagram: the edge asks again. */
	if (!l)
		return;
	l->next = NULL;
	l->msg = *msg;
	*(box->first ? box->last : &box->first) = l;
	box->last = &l->next;
}

/* The gateway's side of an edge that said AssignedIps. */
static void deliver_to_gateway(struct daemon *d, const struct letter *l)
{
	int r = gateway_assigned(d->gateway, LOCAL_SCOPE, &l->msg, instant_now());

	if (r < 0) {
		dataplane_count(d->dp, FQ_R_CONTROL_INVALID, 1);
		log_limited(LOG_WARNING, "gateway cannot handle a message", log_errno(r));
	}
}

void edge_take_status(struct daemon *d, uint32_t gateway, const struct control_message *msg)
{
	const struct edge_status status = {
		.gateway = gateway,
		.generation = msg->generation,
		.uuid = msg->resource,
		.domain = &msg->domain,
		.active = msg->status == CONTROL_ACTIVE,
	};
	enum edge_status_outcome outcome;
	int r;

	r = edge_status(d->edge, &status, instant_now(), &outcome);
	if (r < 0)
		log_limited(LOG_WARNING, "edge cannot handle a message", log_errno(r));
	else if (outcome == EDGE_STATUS_STALE)
		dataplane_count(d->dp, FQ_R_STATUS_STALE, 1);
}

/* @budget: actions of the edge that may still be applied */
static bool pump_once(struct daemon *d, unsigned int *budget)
{
	struct gateway_action ga;
	struct edge_action ea;
	struct letter *l;
	bool moved = false;

	for (; *budget && edge_next(d->edge, &ea); (*budget)--) {
		edge_apply(d, &ea);
		moved = true;
	}
	while ((l = mailbox_take(&d->to_gateway))) {
		deliver_to_gateway(d, l);
		free(l);
		moved = true;
	}
	while (gateway_next(d->gateway, &ga)) {
		gateway_apply(d, &ga);
		moved = true;
	}
	xlats_write(d);
	d->unset_count = 0;
	sessions_end(d);
	while ((l = mailbox_take(&d->to_edge))) {
		edge_take_status(d, LOCAL_GATEWAY, &l->msg);
		free(l);
		moved = true;
	}
	return moved;
}

static void commit(struct daemon *d)
{
	int r = store_commit(d->store);

	if (r < 0) {
		dataplane_count(d->dp, FQ_R_STORE_FAILED, 1);
		if (!d->store_failing)
			log_event(LOG_ERR, "state cannot be written; kept in memory, trying again",
				  log_errno(r), log_str("detail", store_error(d->store)));
	} else if (d->store_failing) {
		log_event(LOG_INFO, "state is written again");
	}
	d->store_failing = r < 0;
	d->store_due = INSTANT_NEVER;
	d->store_news = false;
	d->store_retry = instant_add(instant_now(), STORE_RETRY_NS);
}

/* @more: there is something to do at once */
static void set_deadline(struct daemon *d, bool more)
{
	struct instant at = instant_min(edge_deadline(d->edge), gateway_deadline(d->gateway));

	at = instant_min(at, d->store_due);
	at = more ? instant_now() : instant_min(at, gateways_deadline(d));
	if (at.ns == INSTANT_NEVER.ns) {
		(void)sd_event_source_set_enabled(d->deadline, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(d->deadline, at.ns / NSEC_PER_USEC + 1);
	(void)sd_event_source_set_enabled(d->deadline, SD_EVENT_ONESHOT);
}

/*
 * Write what is new, now or with what follows. A full disk is not asked again with every query:
 * each try writes everything that waits.
 */
static void keep(struct daemon *d, enum keeping keeping)
{
	bool at_once = keeping == KEEP_NOW || (keeping == KEEP_NEWS_NOW && d->store_news);
	struct instant now;

	if (!store_pending(d->store))
		return;
	now = instant_now();
	if (d->store_failing) {
		if (instant_reached(d->store_retry, now))
			commit(d);
	} else if (at_once || instant_reached(d->store_due, now)) {
		commit(d);
	} else if (d->store_due.ns == INSTANT_NEVER.ns) {
		d->store_due = instant_add(now, STORE_GATHER_NS);
	}
}

static void pump(struct daemon *d, unsigned int budget, enum keeping keeping)
{
	if (d->pumping || !d->deadline)
		return;
	d->pumping = true;
	while (budget && pump_once(d, &budget))
		;
	keep(d, keeping);
	set_deadline(d, !budget);
	d->pumping = false;
}

void daemon_pump(struct daemon *d)
{
	pump(d, ACTIONS_AT_ONCE, KEEP_NOW);
}

void daemon_pump_gather(struct daemon *d)
{
	pump(d, ACTIONS_AT_ONCE, KEEP_LATER);
}

void daemon_pump_news(struct daemon *d)
{
	pump(d, ACTIONS_AT_ONCE, KEEP_NEWS_NOW);
}

void daemon_drain(struct daemon *d)
{
	pump(d, UINT_MAX, KEEP_NOW);
}
