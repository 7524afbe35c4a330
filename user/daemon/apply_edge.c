/* SPDX-License-Identifier: BSD-2-Clause */
/* What the edge has decided, applied: verdicts to the map, messages to gateways, frames back into
 * the packet path, domains and states to the store, the log and monitors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/probe.h"
#include "daemon/daemon.h"

#define GENERATIONS_AHEAD 65536

/*
 * A generation must not be used again by a process to come: the store is ahead of those in use, so
 * that it need not be written with each.
 */
static void mark_generation(struct daemon *d, uint32_t generation)
{
	if ((int32_t)(d->generation_mark - generation) > GENERATIONS_AHEAD / 2)
		return;
	d->generation_mark = generation + GENERATIONS_AHEAD;
	(void)store_put_meta(d->store, META_GENERATION, d->generation_mark);
}

static void send_assigned(struct daemon *d, const struct edge_action *a)
{
	struct control_message msg = {
		.event = CONTROL_ASSIGNED_IPS,
		.generation = a->send.generation,
		.domain = *a->name,
		.proxy_count = a->proxies.count,
	};

	memcpy(msg.resource, a->send.uuid, sizeof(msg.resource));
	memcpy(msg.proxies, a->proxies.addr, a->proxies.count * sizeof(msg.proxies[0]));
	mark_generation(d, a->send.generation);
	log_limited(LOG_DEBUG, "assigned ips sent", log_str("domain", a->name->text),
		    log_str("resource", name_of_resource(d, a->send.resource)),
		    log_str("gateway", name_of_gateway(d, a->send.gateway)),
		    log_uint("resends", a->send.resends));
	if (a->send.gateway == LOCAL_GATEWAY)
		mailbox_post(&d->to_gateway, &msg);
	else
		gateway_send(d, a->send.gateway, &msg);
}

static void set_verdict(struct daemon *d, const struct edge_action *a)
{
	const struct fq_edge value = {
		.domain = a->domain,
		.gateway = a->verdict.gateway,
		.verdict = a->verdict.verdict,
		.touch_at = a->verdict.touch_at.ns == INSTANT_NEVER.ns ? 0 : a->verdict.touch_at.ns,
	};
	int r = dataplane_edge_set_all(d->dp, a->proxies.addr, a->proxies.count, &value);

	if (a->verdict.verdict != FQ_EDGE_FORWARD)
		dns_xdp_changed(d, a->name);
	if (r < 0)
		log_limited(LOG_ERR, "cannot set a proxy address", log_str("domain", a->name->text),
			    log_errno(r));
}

static void del_verdict(struct daemon *d, const struct edge_action *a)
{
	for (unsigned int i = 0; i < a->proxies.count; i++)
		(void)dataplane_edge_del(d->dp, &a->proxies.addr[i]);
}

static void release(struct daemon *d, struct edge_action *a)
{
	for (const struct held_frame *f = a->frames.first; f; f = f->next) {
		enum dp_injected fate;
		int r = dataplane_inject(d->dp, f->bytes, f->len, f->ifindex, &fate);

		if (r < 0)
			log_limited(LOG_WARNING, "held packet lost",
				    log_str("domain", a->name->text), log_errno(r));
		dataplane_count(d->dp, r < 0 ? FQ_R_HELD_DROPPED : FQ_R_HELD_RELEASED, 1);
	}
	held_frames_free(a->frames.first);
}

static void count_held(struct daemon *d, const struct edge_action *a)
{
	static const enum fq_reason reason[] = {
		[EDGE_HELD_FULL] = FQ_R_HELD_FULL,
		[EDGE_HELD_DUPLICATE] = FQ_R_HELD_DUPLICATE,
		[EDGE_HELD_DROPPED] = FQ_R_HELD_DROPPED,
		[EDGE_HELD_LIMIT] = FQ_R_HELD_LIMIT,
	};

	dataplane_count(d->dp, reason[a->held.event], a->held.count);
	/* The verdict refuses by now: the program drops them and tells their senders at once, who
	 * would otherwise find out with their first retransmission. */
	for (const struct held_frame *f = a->held.refused; f; f = f->next) {
		enum dp_injected fate;

		(void)dataplane_inject(d->dp, f->bytes, f->len, f->ifindex, &fate);
	}
	held_frames_free(a->held.refused);
}

static void store_state(struct daemon *d, const struct edge_action *a)
{
	const struct store_entry row = {
		.gateway = a->state.gateway,
		.domain = a->domain,
		.resource = a->state.resource,
		.state = a->state.stored,
		.generation = a->state.generation,
		.families = a->state.families,
	};

	if (a->state.news == EDGE_NEWS_NONE)
		return;
	if (a->state.stored == EDGE_NONE)
		(void)store_delete_entry(d->store, row.gateway, row.domain, row.resource);
	else
		(void)store_put_entry(d->store, &row);
	d->store_news = d->store_news || a->state.news == EDGE_NEWS_STATE;
}

static void state_changed(struct daemon *d, const struct edge_action *a)
{
	const char *resource = name_of_resource(d, a->state.resource);
	const char *gateway = name_of_gateway(d, a->state.gateway);

	PROBE_STATE_CHANGE(a->name->text, a->state.gateway, a->state.from, a->state.to);
	/* A name that is asked about is answered as before, unless its packets wait: set_verdict.
	 */
	if (a->state.to == EDGE_NONE || a->state.to == EDGE_FAILED)
		dns_xdp_changed(d, a->name);
	store_state(d, a);
	log_limited(a->state.to == EDGE_FAILED || a->state.from == EDGE_FAILED ||
				    a->state.from == EDGE_NONE
			    ? LOG_INFO
			    : LOG_DEBUG,
		    "domain state", log_str("domain", a->name->text), log_str("resource", resource),
		    log_str("gateway", gateway), log_str("from", edge_state_name(a->state.from)),
		    log_str("to", edge_state_name(a->state.to)));
	if (monitor_wanted(d))
		monitor_publish(d,
				json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "event", "domain",
					  "domain", a->name->text, "resource", resource, "gateway",
					  gateway, "from", edge_state_name(a->state.from), "state",
					  edge_state_name(a->state.to)));
}

static void domain_set(struct daemon *d, const struct edge_action *a)
{
	struct store_domain row = {.id = a->domain, .proxy_count = a->proxies.count};

	if (!a->domain_set.is_new) {
		dns_xdp_changed(d, a->name);
		return;
	}
	row.created_s = time(NULL);
	memcpy(row.name, a->name->text, a->name->len + 1);
	memcpy(row.proxies, a->proxies.addr, a->proxies.count * sizeof(row.proxies[0]));
	(void)store_put_domain(d->store, &row);
	marks_store(d);
}

void edge_apply(struct daemon *d, struct edge_action *a)
{
	switch (a->kind) {
	case EDGE_SEND_ASSIGNED:
		send_assigned(d, a);
		break;
	case EDGE_SET_VERDICT:
		set_verdict(d, a);
		break;
	case EDGE_DEL_VERDICT:
		del_verdict(d, a);
		break;
	case EDGE_RELEASE:
		release(d, a);
		break;
	case EDGE_HELD_EVENT:
		count_held(d, a);
		break;
	case EDGE_STATE_CHANGED:
		state_changed(d, a);
		break;
	case EDGE_DOMAIN_SET:
		domain_set(d, a);
		break;
	case EDGE_DOMAIN_GONE:
		dns_xdp_gone(d, a->name, &a->proxies);
		(void)store_delete_domain(d->store, a->domain);
		/* Said by Goodbye or silence elsewhere; here the gateway need not wait for either.
		 */
		(void)gateway_forget(d->gateway, LOCAL_SCOPE, a->name);
		break;
	case EDGE_GATEWAY_WANTED:
		gateways_wanted(d, a->wanted.gateway);
		break;
	case EDGE_RESOURCE_IGNORED:
		log_event(LOG_WARNING, "resource ignored: its address pattern is not valid",
			  log_str("resource", name_of_resource(d, a->resource_ignored.resource)));
		break;
	}
}
