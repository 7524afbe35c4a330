/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This edge's gateways on other machines: messages to and from them, and whether they can be
 * reached. The control transport authenticates, core/peer.h judges, the edge is told, and the
 * packet path learns where each one is.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/daemon.h"

struct remote *gateway_remote(const struct daemon *d, uint32_t id)
{
	for (unsigned int i = 0; i < d->remote_count; i++)
		if (d->remotes[i].id == id)
			return &d->remotes[i];
	return NULL;
}

/* ---- health ---- */

static void changed(struct daemon *d, const struct remote *g, enum fq_reason reason, int priority)
{
	const char *state = peer_state_name(g->health.state);

	dataplane_count(d->dp, reason, 1);
	log_limited(priority, "gateway", log_str("gateway", g->name), log_str("state", state));
	if (monitor_wanted(d))
		monitor_publish(d, json_pack("{s:s, s:s, s:s}", "event", "gateway", "gateway",
					     g->name, "state", state));
}

static void set_path(struct daemon *d, const struct remote *g, bool up)
{
	int r = dataplane_gateway_set(d->dp, g->id, &g->addr, up);

	if (r < 0)
		log_limited(LOG_ERR, "cannot set the way to a gateway", log_str("gateway", g->name),
			    log_errno(r));
}

static void apply_event(struct daemon *d, const struct remote *g, enum peer_event event)
{
	struct instant now = instant_now();
	int r = 0;

	switch (event) {
	case PEER_EVENT_NONE:
		return;
	case PEER_EVENT_UP:
		set_path(d, g, true);
		changed(d, g, FQ_R_GATEWAY_UP, LOG_INFO);
		r = edge_gateway_up(d->edge, g->id, now);
		break;
	case PEER_EVENT_SILENT:
		set_path(d, g, false);
		changed(d, g, FQ_R_GATEWAY_SILENT, LOG_WARNING);
		r = edge_gateway_lost(d->edge, g->id, now);
		break;
	case PEER_EVENT_GONE:
		set_path(d, g, false);
		changed(d, g, FQ_R_GATEWAY_GOODBYE, LOG_WARNING);
		r = edge_gateway_gone(d->edge, g->id, now);
		break;
	}
	if (r < 0)
		log_limited(LOG_ERR, "cannot follow a gateway", log_str("gateway", g->name),
			    log_errno(r));
}

void gateways_wanted(struct daemon *d, uint32_t id)
{
	struct remote *g = gateway_remote(d, id);

	if (g)
		peer_wanted(&g->health, instant_now());
}

struct instant gateways_deadline(const struct daemon *d)
{
	struct instant t = INSTANT_NEVER;

	for (unsigned int i = 0; i < d->remote_count; i++)
		t = instant_min(t, peer_deadline(&d->remotes[i].health));
	return t;
}

void gateways_tick(struct daemon *d, struct instant now)
{
	for (unsigned int i = 0; i < d->remote_count; i++) {
		struct remote *g = &d->remotes[i];
		struct control_message probe = {.event = CONTROL_PROBE};

		if (!instant_reached(peer_deadline(&g->health), now))
			continue;
		apply_event(d, g, peer_tick(&g->health, now, &probe.generation));
		if (probe.generation)
			gateway_send(d, g->id, &probe);
	}
}

/* ---- messages ---- */

void gateway_send(struct daemon *d, uint32_t id, const struct control_message *msg)
{
	int r = d->to_gateways ? control_udp_send(d->to_gateways, id, msg) : -ENOENT;

	if (r < 0)
		log_limited(LOG_ERR, "cannot send to a gateway",
			    log_str("gateway", name_of_gateway(d, id)), log_errno(r));
}

static void on_heard(void *ctx, uint32_t id)
{
	struct daemon *d = ctx;
	struct remote *g = gateway_remote(d, id);

	if (!g)
		return;
	apply_event(d, g, peer_heard(&g->health, instant_now()));
	daemon_pump_news(d);
}

/* What a gateway has lost is asked for again, as after a Goodbye. */
static void on_incarnation(void *ctx, uint32_t id, uint16_t incarnation)
{
	struct instant now = instant_now();
	struct daemon *d = ctx;
	struct remote *g = gateway_remote(d, id);

	if (!g || !control_incarnation_changed(d, "gateway", g->name, incarnation))
		return;
	log_limited(LOG_WARNING, "gateway has lost its translations", log_str("gateway", g->name));
	(void)edge_gateway_gone(d->edge, g->id, now);
	if (g->health.state == PEER_UP)
		(void)edge_gateway_up(d->edge, g->id, now);
	daemon_pump(d);
}

static void on_message(void *ctx, uint32_t id, const struct control_message *msg)
{
	struct daemon *d = ctx;
	struct remote *g = gateway_remote(d, id);

	if (!g)
		return;
	switch (msg->event) {
	case CONTROL_DOMAIN_STATUS:
		edge_take_status(d, id, msg);
		break;
	case CONTROL_GOODBYE:
		apply_event(d, g, peer_goodbye(&g->health, instant_now()));
		break;
	case CONTROL_PROBE_REPLY:
		apply_event(d, g, peer_replied(&g->health, msg->generation, instant_now()));
		break;
	default:
		break;
	}
	daemon_pump_news(d);
}

/* ---- configuration ---- */

static int open_transport(struct daemon *d)
{
	const struct config_edge *e = &d->config->edge;
	const struct control_udp_settings s = {
		.role = CONTROL_ROLE_EDGE,
		.has_local = e->control.has_address,
		.addr = e->control.address,
		.on_heard = on_heard,
		.on_incarnation = on_incarnation,
		.on_message = on_message,
		.ctx = d,
	};
	char error[CONTROL_UDP_ERROR_LEN];
	int r = control_udp_new(d->event, &s, &d->to_gateways, error);

	if (r < 0)
		log_event(LOG_ERR, "cannot speak to gateways", log_str("reason", error));
	return r;
}

/*
 * Only what it takes, if both are configured alike: the rest would be lost, and asked for again. A
 * tenth is left for Probes; at once half of what it takes, so that an edge which has just been
 * restarted may do it again.
 */
static int set_rates(struct daemon *d, const struct remote *list, unsigned int count)
{
	unsigned int rate = d->config->control.rate;
	int r = 0;

	_Static_assert(CONTROL_UDP_BURST == 2 * CONTROL_UDP_RATE, "a rate is half of a burst");
	for (unsigned int i = 0; i < count && r >= 0; i++)
		r = edge_gateway_rate(d->edge, list[i].id, rate - rate / 10, rate);
	return r;
}

/* The gateway as it was, if it is the same one; else a new one. */
static int remote_begin(struct daemon *d, const struct config_edge_gateway *c, struct remote *ret)
{
	const struct remote *old;
	uint64_t seed;
	uint32_t id;
	int r;

	r = store_id(d->store, STORE_GATEWAY, c->name, &id);
	if (r < 0)
		return r;
	old = gateway_remote(d, id);
	if (old && ipaddr_equal(&old->addr, &c->at.addr) && old->port == c->at.port &&
	    old->dns_port == c->dns_port) {
		*ret = *old;
		return 0;
	}
	if (getrandom(&seed, sizeof(seed), 0) < 0)
		return -errno;
	*ret = (struct remote){
		.id = id, .addr = c->at.addr, .port = c->at.port, .dns_port = c->dns_port};
	memcpy(ret->name, c->name, sizeof(ret->name));
	peer_init(&ret->health, seed, instant_now());
	return 0;
}

static int set_peers(struct daemon *d, const struct remote *list, unsigned int count,
		     uint64_t epoch)
{
	_cleanup_(freep) struct control_udp_peer *peers = calloc(count + 1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		const struct config_key *key = &d->config->edge.gateways[i].key;

		peers[i] = (struct control_udp_peer){
			.id = list[i].id,
			.addr = list[i].addr,
			.port = list[i].port,
			.key = key->given ? key->bytes : NULL,
			.incarnation = control_incarnation_for_gateways(d),
			.per_second = d->config->control.rate,
		};
	}
	return control_udp_peers_set(d->to_gateways, peers, count, epoch);
}

/* Those that are not in the new list are told, and forgotten. */
static void say_goodbyes(struct daemon *d, const struct remote *list, unsigned int count)
{
	const struct control_message goodbye = {.event = CONTROL_GOODBYE};

	for (unsigned int i = 0; i < d->remote_count; i++) {
		const struct remote *g = &d->remotes[i];
		bool listed = false;

		for (unsigned int k = 0; k < count; k++)
			listed |= list[k].id == g->id;
		if (listed)
			continue;
		gateway_send(d, g->id, &goodbye);
		(void)edge_gateway_gone(d->edge, g->id, instant_now());
		(void)dataplane_gateway_del(d->dp, g->id);
	}
}

/* Questions under way are forgotten, and asked again by whoever wants an answer. */
static void free_sites(struct daemon *d, const struct remote *list, unsigned int count)
{
	for (unsigned int i = 0; i < d->remote_count; i++) {
		struct upstream *site = d->remotes[i].site;
		bool stays = !site;

		for (unsigned int k = 0; k < count; k++)
			stays |= list[k].site == site;
		if (stays)
			continue;
		dns_forget_forwarded(d);
		upstream_free(site);
	}
}

int gateways_apply(struct daemon *d)
{
	const struct config_edge *e = &d->config->edge;
	_cleanup_(freep) struct remote *list = calloc(e->gateway_count + 1, sizeof(*list));
	uint64_t epoch;
	int r = 0;

	if (!e->gateway_count && !d->to_gateways)
		return 0;
	if (!list)
		return -ENOMEM;
	for (unsigned int i = 0; i < e->gateway_count && r >= 0; i++)
		r = remote_begin(d, &e->gateways[i], &list[i]);
	if (r >= 0 && !d->to_gateways)
		r = open_transport(d);
	if (r >= 0)
		r = set_rates(d, list, e->gateway_count);
	if (r >= 0)
		r = control_epoch(d, &epoch);
	if (r < 0) {
		log_event(LOG_ERR, "cannot change the gateways", log_errno(r));
		return r;
	}
	control_report(d);
	say_goodbyes(d, list, e->gateway_count);
	r = set_peers(d, list, e->gateway_count, epoch);
	if (r < 0) {
		log_event(LOG_ERR, "cannot change the gateways", log_errno(r));
		return r;
	}
	free_sites(d, list, e->gateway_count);
	free(d->remotes);
	d->remotes = TAKE_PTR(list);
	d->remote_count = e->gateway_count;
	control_peers_changed(d);
	for (unsigned int i = 0; i < d->remote_count; i++) {
		enum peer_state state = d->remotes[i].health.state;

		/* What nobody has said is down yet is up. */
		set_path(d, &d->remotes[i], state == PEER_UP || state == PEER_UNKNOWN);
	}
	return 0;
}

void gateways_stop(struct daemon *d)
{
	control_udp_free(TAKE_PTR(d->to_gateways));
	free_sites(d, NULL, 0);
	free(TAKE_PTR(d->remotes));
	d->remote_count = 0;
}
