/* SPDX-License-Identifier: BSD-2-Clause */
/* An edge of the world, see box.h: every input goes to the core and to its reference. */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge_bed.h"

/* As the daemon has them of a gateway that takes 2000 messages a second. */
#define SEND_RATE  1800
#define SEND_BURST 2000

#define ETH_LEN 14

static int64_t now_ns(const struct box_edge *e)
{
	return e->box->sim.now.ns;
}

/* ---- gateways ---- */

static void on_peer(struct box_edge *e, unsigned int gateway, enum peer_event event)
{
	struct instant now = e->box->sim.now;
	struct box_input in;

	if (event == PEER_EVENT_NONE)
		return;
	box_say(e->box, "edge %u: gateway %u is %s", e->id, gateway,
		peer_state_name(e->peer[gateway].state));
	in = box_edge_begin(e);
	e->path_up[gateway] = event == PEER_EVENT_UP;
	if (event == PEER_EVENT_UP) {
		model_up(&e->model, gateway, now.ns);
		BOX_MUST(e->box, edge_gateway_up(e->edge, gateway, now) == 0);
	} else if (event == PEER_EVENT_SILENT) {
		e->box->totals->failovers++;
		model_lost(&e->model, gateway, now.ns);
		BOX_MUST(e->box, edge_gateway_lost(e->edge, gateway, now) == 0);
	} else {
		e->box->totals->failovers++;
		model_gone(&e->model, gateway, now.ns);
		BOX_MUST(e->box, edge_gateway_gone(e->edge, gateway, now) == 0);
	}
	box_edge_finish(&in);
}

static void send_probe(struct box_edge *e, unsigned int gateway, uint32_t number)
{
	const struct control_message msg = {.event = CONTROL_PROBE, .generation = number};

	box_post(e->box, e->id, gateway, true, &msg);
}

static void receive_status(struct box_edge *e, unsigned int gateway,
			   const struct control_message *msg)
{
	int name = box_name_index(msg->domain.text), resource = box_resource_index(msg->resource);
	bool active = msg->status == CONTROL_ACTIVE;
	const struct edge_status status = {
		.gateway = gateway,
		.generation = msg->generation,
		.uuid = msg->resource,
		.domain = &msg->domain,
		.active = active,
	};
	enum edge_status_outcome outcome;
	enum model_outcome expected;
	struct box_input in = box_edge_begin(e);

	BOX_MUST(e->box, name >= 0 && resource >= 0);
	expected = model_status(&e->model, (unsigned int)name, (unsigned int)resource, gateway,
				msg->generation, active, now_ns(e));
	BOX_MUST(e->box, edge_status(e->edge, &status, e->box->sim.now, &outcome) == 0);
	box_say(e->box, "edge %u: %s from %u for %s, resource %d, #%u: outcome %d", e->id,
		active ? "active" : "inactive", gateway, msg->domain.text, resource,
		msg->generation, outcome);
	/* C-15, C-17 */
	BOX_MUST(e->box, (unsigned int)outcome == (unsigned int)expected);
	e->box->totals->statuses++;
	e->box->totals->stale += outcome == EDGE_STATUS_STALE;
	box_edge_finish(&in);
}

void box_edge_receive(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_edge *e = ctx;
	unsigned int gateway = (unsigned int)arg;
	struct peer *p = &e->peer[gateway];
	struct instant now = e->box->sim.now;
	struct control_message msg;

	if (!e->edge)
		return;
	BOX_MUST(e->box, control_decode(bytes, len, &msg) == 0);
	if (msg.event == CONTROL_PROBE_REPLY)
		on_peer(e, gateway, peer_replied(p, msg.generation, now));
	else if (msg.event == CONTROL_GOODBYE)
		on_peer(e, gateway, peer_goodbye(p, now));
	else if (p->state != PEER_GONE)
		on_peer(e, gateway, peer_heard(p, now));
	else /* what was under way when it said Goodbye brings nothing back */
		BOX_MUST(e->box, peer_heard(p, now) == PEER_EVENT_NONE);
	if (msg.event == CONTROL_DOMAIN_STATUS)
		receive_status(e, gateway, &msg);
	box_edge_arm(e);
}

/* ---- time ---- */

static void on_timer(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_edge *e = ctx;
	struct instant now = e->box->sim.now;
	uint32_t probe;

	(void)bytes;
	(void)len;
	if (!e->edge || arg != e->incarnation)
		return;
	if (e->timer.ns == now.ns)
		e->timer = INSTANT_NEVER;
	for (unsigned int g = 1; g <= e->box->gateways; g++) {
		on_peer(e, g, peer_tick(&e->peer[g], now, &probe));
		if (probe)
			send_probe(e, g, probe);
	}
	if (instant_reached(edge_deadline(e->edge), now)) {
		struct box_input in = box_edge_begin(e);

		in.is_tick = true;
		model_tick(&e->model, now.ns);
		BOX_MUST(e->box, edge_tick(e->edge, now) == 0);
		box_edge_finish(&in);
		BOX_MUST(e->box, edge_deadline(e->edge).ns > now.ns);
	}
	box_edge_arm(e);
}

void box_edge_arm(struct box_edge *e)
{
	struct instant t = edge_deadline(e->edge);

	for (unsigned int g = 1; g <= e->box->gateways; g++)
		t = instant_min(t, peer_deadline(&e->peer[g]));
	if (t.ns < now_ns(e))
		t.ns = now_ns(e);
	if (t.ns >= e->timer.ns)
		return;
	e->timer = t;
	sim_after(&e->box->sim, t.ns - now_ns(e), on_timer, e, e->incarnation, NULL, 0);
}

/* ---- names and packets ---- */

/* Somebody waits for a name: those of its gateways that are not up are probed soon. */
static void check_wanted(struct box_edge *e, unsigned int name)
{
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		for (unsigned int i = 0; i < MODEL_GATEWAYS; i++) {
			unsigned int g = e->model.resource[r].gateways[i];

			if (g && model_publishes(&e->model, name, r) &&
			    e->model.entry[name][r].state == MODEL_NONE)
				BOX_MUST(e->box, peer_deadline(&e->peer[g]).ns <=
							 now_ns(e) + PEER_RETRY_NS);
		}
}

static struct dname name_of(const struct box_edge *e, unsigned int name)
{
	struct dname n;

	BOX_MUST(e->box, dname_from_text(box_names[name], &n) == 0);
	return n;
}

/* T-10: every query has its answer, by the resources of that moment. */
static void check_answer(struct box_edge *e, unsigned int name, const struct edge_answer *a)
{
	bool matched = false, ipv4 = false, ipv6 = false;

	for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
		if (!model_publishes(&e->model, name, r))
			continue;
		matched = true;
		ipv4 = ipv4 || e->model.resource[r].stack != IP_STACK_IPV6;
		ipv6 = ipv6 || e->model.resource[r].stack != IP_STACK_IPV4;
	}
	BOX_MUST(e->box, a->matched == matched);
	e->answer[name].known = matched;
	if (!matched)
		return;
	BOX_MUST(e->box, a->ipv4 == ipv4 && a->ipv6 == ipv6); /* P-05, P-06 */
	BOX_MUST(e->box, memcmp(&a->proxies, &e->domain[name].record.proxies, sizeof(a->proxies)) ==
				 0); /* P-03 */
	e->answer[name].answer = *a;
	e->answer[name].at = e->box->sim.now;
}

void box_edge_query(struct box_edge *e, unsigned int name, bool local)
{
	struct dname n = name_of(e, name);
	struct edge_answer answer = {0};
	struct box_input in;
	int r;

	if (!e->edge)
		return;
	box_say(e->box, "edge %u: query %s%s", e->id, box_names[name], local ? " (local)" : "");
	e->box->totals->queries++;
	in = box_edge_begin(e);
	e->asked_name = (int)name;
	r = local ? edge_requery(e->edge, &n, e->box->sim.now)
		  : edge_query(e->edge, &n, e->box->sim.now, &answer);
	BOX_MUST(e->box, r == 0 || (r == -ENOSPC && !e->model.known[name]));
	if (r == 0)
		model_query(&e->model, name, local, false, now_ns(e));
	else
		e->answer[name].known = false;
	box_edge_finish(&in);
	if (r == 0 && !local)
		check_answer(e, name, &answer);
	check_wanted(e, name);
}

void box_edge_refresh(struct box_edge *e, unsigned int name)
{
	struct dname n = name_of(e, name);
	struct box_input in;

	if (!e->edge)
		return;
	box_say(e->box, "edge %u: refresh %s", e->id, box_names[name]);
	in = box_edge_begin(e);
	e->asked_name = (int)name;
	e->at_once = true;
	if (edge_refresh(e->edge, &n, e->box->sim.now) == 0)
		model_query(&e->model, name, true, true, now_ns(e));
	box_edge_finish(&in);
}

void box_edge_forget(struct box_edge *e, unsigned int name)
{
	struct dname n = name_of(e, name);
	struct box_input in;

	if (!e->edge)
		return;
	box_say(e->box, "edge %u: forget %s", e->id, box_names[name]);
	in = box_edge_begin(e);
	BOX_MUST(e->box, (edge_forget(e->edge, &n, e->box->sim.now) == 0) == e->model.known[name]);
	model_forget(&e->model, name);
	box_edge_finish(&in);
	e->answer[name].known = false;
	for (unsigned int g = 1; g <= e->box->gateways; g++)
		e->box->gateway[g]->excused[e->id][name] = true;
}

void box_edge_hold(struct box_edge *e, unsigned int packet)
{
	struct box_packet *p = &e->box->packet[packet];
	uint8_t buf[BED_FRAME_MAX];
	struct held_offer offer = {.bytes = buf, .l3_offset = ETH_LEN, .ifindex = 7};
	struct box_input in = box_edge_begin(e);
	int r;

	offer.len = p->is_syn ? bed_syn_frame(buf, &p->proxy, (uint16_t)packet,
					      sim_pick(&e->box->sim, 1000))
			      : bed_udp_frame(buf, &p->proxy, (uint16_t)packet);
	in.offered = packet;
	r = edge_packet(e->edge, &p->proxy, &offer, e->box->sim.now);
	BOX_MUST(e->box, r == 0 || r == -ENOENT);
	if (r == 0) {
		model_packet(&e->model, p->name, now_ns(e));
	} else {
		p->dropped++;
		in.offered = 0;
	}
	box_edge_finish(&in);
	if (r == 0)
		check_wanted(e, p->name);
}

void box_edge_touch(struct box_edge *e, uint32_t domain, unsigned int name)
{
	struct box_input in = box_edge_begin(e);
	int r = edge_touch(e->edge, domain, e->box->sim.now);

	BOX_MUST(e->box, r == 0 || r == -ENOENT);
	if (r == 0)
		model_packet(&e->model, name, now_ns(e));
	box_edge_finish(&in);
}

/* ---- configuration, restarts ---- */

static unsigned int edge_resources(const struct box *box, unsigned int config,
				   struct edge_resource list[MODEL_RESOURCES])
{
	const struct box_config *c = &box->config[config];
	unsigned int count = 0;

	for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
		struct edge_resource *to = &list[count];

		if (!c->resource[r].present)
			continue;
		*to = (struct edge_resource){
			.id = r + 1,
			.name = "resource",
			.pattern = c->pattern[r],
			.ip_stack = c->resource[r].stack,
		};
		box_uuid(r, to->uuid);
		while (to->gateway_count < MODEL_GATEWAYS &&
		       c->resource[r].gateways[to->gateway_count]) {
			to->gateways[to->gateway_count] =
				c->resource[r].gateways[to->gateway_count];
			to->gateway_count++;
		}
		count++;
	}
	return count;
}

void box_edge_configure(struct box_edge *e, unsigned int config)
{
	struct edge_resource list[MODEL_RESOURCES];
	unsigned int count = edge_resources(e->box, config, list);
	struct box_input in;

	e->config = config;
	if (!e->edge)
		return;
	box_say(e->box, "edge %u: configuration %u", e->id, config);
	in = box_edge_begin(e);
	model_set_resources(&e->model, e->box->config[config].resource);
	BOX_MUST(e->box, edge_set_resources(e->edge, list, count, e->box->sim.now) == 0);
	box_edge_finish(&in);
}

static struct edge_settings settings_of(const struct box_edge *e)
{
	struct edge_settings s = {
		.pool.quarantine_ns = 30 * NSEC_PER_SEC,
		.domains_max = 100,
		.held_bytes_max = e->box->seed % 5 ? 1 << 20 : 2000,
		.held_max_ns = BOX_HELD_MAX_NS,
		/* Greater than all before, and sometimes about to wrap. */
		.generation = (uint32_t)(now_ns(e) / NSEC_PER_MSEC) +
			      (e->box->seed % 7 ? 0 : UINT32_MAX - 1000020),
	};

	/* Small enough that a name given up and asked for again gets what another had. */
	BOX_MUST(e->box, ipprefix_parse("100.96.0.0/27", &s.pool.v4) == 0);
	BOX_MUST(e->box, ipprefix_parse("fd00:2021:1111:8000::/122", &s.pool.v6) == 0);
	return s;
}

static void restore(struct box_edge *e)
{
	struct instant now = e->box->sim.now;

	BOX_MUST(e->box, edge_restore_marks(e->edge, &e->marks, now) == 0);
	for (unsigned int n = 0; n < BOX_NAMES; n++) {
		if (!e->domain[n].used)
			continue;
		BOX_MUST(e->box, edge_restore_domain(e->edge, &e->domain[n].record, now) == 0);
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
			int err;

			if (!e->entry[n][r].used)
				continue;
			err = edge_restore_entry(e->edge, &e->entry[n][r].record, now);
			BOX_MUST(e->box, err == 0 || err == -ENOENT);
			e->entry[n][r].used = err == 0;
		}
	}
	BOX_MUST(e->box, edge_restored(e->edge) == 0);
}

void box_edge_start(struct box_edge *e)
{
	const struct edge_settings s = settings_of(e);
	struct edge_resource list[MODEL_RESOURCES];
	unsigned int count = edge_resources(e->box, e->config, list);
	struct box_input in;

	box_say(e->box, "edge %u: start", e->id);
	BOX_MUST(e->box, edge_new(&s, &e->edge) == 0);
	e->timer = INSTANT_NEVER;
	memset(e->last_ask, 0, sizeof(e->last_ask));
	memset(e->path_up, 0, sizeof(e->path_up));
	for (unsigned int g = 1; g <= e->box->gateways; g++)
		peer_init(&e->peer[g], sim_pick(&e->box->sim, 1U << 30) + 1, e->box->sim.now);
	for (unsigned int g = 1; g <= e->box->gateways; g++) /* never reached with so few names */
		BOX_MUST(e->box, edge_gateway_rate(e->edge, g, SEND_RATE, SEND_BURST) == 0);
	BOX_MUST(e->box, edge_set_resources(e->edge, list, count, e->box->sim.now) == 0);
	in = box_edge_begin(e);
	model_restart(&e->model, e->box->config[e->config].resource, now_ns(e));
	restore(e);
	box_edge_finish(&in);
}

void box_edge_stop(struct box_edge *e)
{
	if (!e->edge)
		return;
	box_say(e->box, "edge %u: stop", e->id);
	e->box->totals->restarts++;
	e->edge = edge_free(e->edge);
	e->incarnation++;
	for (unsigned int n = 0; n < BOX_NAMES; n++)
		while (e->held_count[n])
			e->box->packet[box_edge_take_held(e, n)].dropped++;
}

void box_edge_erase(struct box_edge *e)
{
	box_say(e->box, "edge %u: erased", e->id);
	model_init(&e->model);
	memset(e->verdict, 0, sizeof(e->verdict));
	memset(e->session, 0, sizeof(e->session));
	memset(e->domain, 0, sizeof(e->domain));
	memset(e->entry, 0, sizeof(e->entry));
	memset(e->answer, 0, sizeof(e->answer));
	e->marks = (struct edge_marks){0};
	for (unsigned int g = 1; g <= e->box->gateways; g++)
		memset(e->box->gateway[g]->excused[e->id], true,
		       sizeof(e->box->gateway[g]->excused[e->id]));
}

void box_edge_goodbye(struct box_edge *e)
{
	const struct control_message msg = {.event = CONTROL_GOODBYE};

	for (unsigned int g = 1; g <= e->box->gateways; g++)
		box_post(e->box, e->id, g, true, &msg);
}
