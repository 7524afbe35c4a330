/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This gateway's edges on other machines: each is a scope in which proxy addresses mean something
 * of its own. The control transport authenticates what they say, the gateway's core acts on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

static struct far_edge *edge_find(const struct daemon *d, uint32_t scope)
{
	for (unsigned int i = 0; i < d->far_edge_count; i++)
		if (d->far_edges[i].scope == scope)
			return &d->far_edges[i];
	return NULL;
}

bool edge_scope_of(const struct daemon *d, const struct fq_addr *addr, uint32_t *ret_scope)
{
	for (unsigned int i = 0; i < d->far_edge_count; i++) {
		if (!ipaddr_equal(&d->far_edges[i].addr, addr))
			continue;
		*ret_scope = d->far_edges[i].scope;
		return true;
	}
	return false;
}

/* ---- messages ---- */

void scope_send(struct daemon *d, uint32_t scope, const struct control_message *msg)
{
	int r = d->to_edges ? control_udp_send(d->to_edges, scope, msg) : -ENOENT;

	/* Nothing heard of it in this process: it will ask. */
	if (r < 0 && r != -ENOTCONN)
		log_limited(LOG_ERR, "cannot send to an edge",
			    log_str("edge", name_of_scope(d, scope)), log_errno(r));
}

static void on_heard(void *ctx, uint32_t scope)
{
	struct daemon *d = ctx;
	struct far_edge *e = edge_find(d, scope);

	if (e)
		e->heard = instant_now();
}

/* An edge that has lost what it had asked for begins anew, and counts from the beginning. */
static void on_incarnation(void *ctx, uint32_t scope, uint16_t incarnation)
{
	struct daemon *d = ctx;

	if (!control_incarnation_changed(d, "edge", name_of_scope(d, scope), incarnation))
		return;
	log_limited(LOG_WARNING, "edge has lost its state",
		    log_str("edge", name_of_scope(d, scope)));
	(void)gateway_scope_gone(d->gateway, scope);
	daemon_pump(d);
}

static void on_message(void *ctx, uint32_t scope, const struct control_message *msg)
{
	struct daemon *d = ctx;
	int r = 0;

	switch (msg->event) {
	case CONTROL_ASSIGNED_IPS:
		r = gateway_assigned(d->gateway, scope, msg, instant_now());
		break;
	case CONTROL_GOODBYE:
		log_limited(LOG_INFO, "edge says goodbye",
			    log_str("edge", name_of_scope(d, scope)));
		r = gateway_scope_gone(d->gateway, scope);
		break;
	default:
		break;
	}
	if (r < 0)
		log_limited(LOG_WARNING, "gateway cannot handle a message",
			    log_str("edge", name_of_scope(d, scope)), log_errno(r));
	daemon_pump(d);
}

/* ---- configuration ---- */

static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return ipaddr_equal(&a->addr, &b->addr) && a->port == b->port;
}

/* A transport for the address that is configured: the one we have, or a new one. */
static int open_transport(struct daemon *d, struct control_udp **ret_udp)
{
	const struct config_endpoint *at = &d->config->gateway.listen;
	const struct control_udp_settings s = {
		.role = CONTROL_ROLE_GATEWAY,
		.has_local = true,
		.addr = at->addr,
		.port = at->port,
		.freebind = true,
		.on_heard = on_heard,
		.on_incarnation = on_incarnation,
		.on_message = on_message,
		.ctx = d,
	};
	char error[CONTROL_UDP_ERROR_LEN];
	int r;

	*ret_udp = d->to_edges;
	if (d->to_edges && same_endpoint(&d->in_force.control, at))
		return 0;
	r = control_udp_new(d->event, &s, ret_udp, error);
	if (r < 0)
		log_event(LOG_ERR, "cannot listen for edges", log_str("reason", error));
	return r;
}

static int set_peers(struct daemon *d, struct control_udp *udp, const struct far_edge *list,
		     uint64_t epoch)
{
	const struct config_gateway *g = &d->config->gateway;
	_cleanup_(freep) struct control_udp_peer *peers = calloc(g->edge_count + 1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	for (unsigned int i = 0; i < g->edge_count; i++)
		peers[i] = (struct control_udp_peer){
			.id = list[i].scope,
			.addr = list[i].addr,
			.key = g->edges[i].key.given ? g->edges[i].key.bytes : NULL,
			.incarnation = control_incarnation_for_edge(d, list[i].name),
			.per_second = d->config->control.rate,
		};
	return control_udp_peers_set(udp, peers, g->edge_count, epoch);
}

/* Edges that are configured no longer are told, and their translations go. */
static void say_goodbyes(struct daemon *d, const struct far_edge *list, unsigned int count)
{
	for (unsigned int i = 0; i < d->far_edge_count; i++) {
		uint32_t scope = d->far_edges[i].scope;
		bool listed = false;

		for (unsigned int k = 0; k < count; k++)
			listed |= list[k].scope == scope;
		if (listed)
			continue;
		scope_goodbye(d, scope);
		dataplane_scope_quota_set(d->dp, scope, 0);
	}
}

/* Listen as configured, to those that are. On failure everything stays as it was. */
static int change_transport(struct daemon *d, const struct far_edge *list)
{
	struct control_udp *udp;
	uint64_t epoch;
	int r;

	r = control_epoch(d, &epoch);
	if (r >= 0)
		r = open_transport(d, &udp);
	if (r < 0)
		return r;
	say_goodbyes(d, list, d->config->gateway.edge_count);
	r = set_peers(d, udp, list, epoch);
	if (udp == d->to_edges)
		return r;
	if (r < 0) {
		control_udp_free(udp);
		return r;
	}
	control_udp_free(d->to_edges);
	d->to_edges = udp;
	d->in_force.control = d->config->gateway.listen;
	return 0;
}

/* Said once, it may be lost: from now on every ProbeReply says the same by its incarnation. */
void scope_goodbye(struct daemon *d, uint32_t scope)
{
	const struct control_message goodbye = {.event = CONTROL_GOODBYE};

	scope_send(d, scope, &goodbye);
	(void)gateway_scope_gone(d->gateway, scope);
	if (d->to_edges)
		control_udp_incarnation_set(d->to_edges, scope,
					    control_incarnation_renew(d, name_of_scope(d, scope)));
}

static int list_edges(struct daemon *d, struct far_edge *list)
{
	const struct config_gateway *g = &d->config->gateway;

	for (unsigned int i = 0; i < g->edge_count; i++) {
		const struct config_gateway_edge *c = &g->edges[i];
		const struct far_edge *old;
		int r;

		list[i] = (struct far_edge){.addr = c->addr, .heard = INSTANT_NEVER};
		memcpy(list[i].name, c->name, sizeof(list[i].name));
		r = store_id(d->store, STORE_EDGE, c->name, &list[i].scope);
		if (r < 0)
			return r;
		old = edge_find(d, list[i].scope);
		if (old && ipaddr_equal(&old->addr, &c->addr))
			list[i].heard = old->heard;
	}
	return 0;
}

int edges_apply(struct daemon *d)
{
	const struct config_gateway *g = &d->config->gateway;
	_cleanup_(freep) struct far_edge *list = calloc(g->edge_count + 1, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	if (!g->has_listen && !d->to_edges)
		return 0;
	control_report(d);
	r = list_edges(d, list);
	if (r >= 0 && g->has_listen)
		r = change_transport(d, list);
	if (r < 0) {
		log_event(LOG_ERR, "cannot change the edges", log_errno(r));
		return r;
	}
	if (!g->has_listen)
		control_udp_free(TAKE_PTR(d->to_edges));
	free(d->far_edges);
	d->far_edges = TAKE_PTR(list);
	d->far_edge_count = g->edge_count;
	control_peers_changed(d);
	for (unsigned int i = 0; i < d->far_edge_count; i++)
		dataplane_scope_quota_set(d->dp, d->far_edges[i].scope, g->per_edge.sessions);
	return 0;
}

void edges_stop(struct daemon *d)
{
	control_udp_free(TAKE_PTR(d->to_edges));
	free(TAKE_PTR(d->far_edges));
	d->far_edge_count = 0;
}
