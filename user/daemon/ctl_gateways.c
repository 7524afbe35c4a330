/* SPDX-License-Identifier: BSD-2-Clause */
/* `fqdnat gateway show`: an edge's gateways, a gateway's edges, in the words of the JSON contract.
 */
#include "daemon/daemon.h"

/* An edge counts as up as long after its last message; it says something every few seconds. */
#define EDGE_SILENT_NS (30 * NSEC_PER_SEC)

static void add_counter(void *ctx, const char *name, uint64_t value)
{
	json_object_set_new(ctx, name, json_integer((json_int_t)value));
}

static json_t *age_json(struct instant since)
{
	if (since.ns == INSTANT_NEVER.ns)
		return json_null();
	return json_integer(instant_sub(instant_now(), since) / NSEC_PER_SEC);
}

/* What the transport knows of a peer. */
static void add_transport(json_t *row, const struct control_udp *udp, uint32_t id)
{
	struct control_udp_view view;
	char text[IPADDR_STRLEN];
	json_t *messages;

	if (!udp || control_udp_view(udp, id, &view) < 0)
		return;
	messages = json_object();
	control_udp_counters_foreach(&view.counters, add_counter, messages);
	json_object_set_new(row, "address", json_string(ipaddr_format(&view.addr, text)));
	json_object_set_new(row, "port", view.port ? json_integer(view.port) : json_null());
	json_object_set_new(row, "sealed", json_boolean(view.keyed));
	json_object_set_new(row, "messages", messages);
}

/* Domains of a gateway, by the edge's states. */
static void add_states(json_t *row, const struct edge *edge, uint32_t gateway)
{
	struct edge_gateway_view v = {0};

	(void)edge_gateway_view(edge, gateway, &v);
	json_object_set_new(row, "domains",
			    json_integer(v.pending + v.recreating + v.confirmed + v.failed));
	json_object_set_new(row, "pending", json_integer(v.pending));
	json_object_set_new(row, "recreating", json_integer(v.recreating));
	json_object_set_new(row, "confirmed", json_integer(v.confirmed));
	json_object_set_new(row, "failed", json_integer(v.failed));
}

static json_t *local_row(struct daemon *d)
{
	json_t *row = json_pack("{s:s, s:s, s:n, s:s}", "name", name_of_gateway(d, LOCAL_GATEWAY),
				"role", "gateway", "address", "state", "up");

	add_states(row, d->edge, LOCAL_GATEWAY);
	return row;
}

static json_t *remote_row(struct daemon *d, const struct remote *g)
{
	const struct peer *p = &g->health;
	json_t *rtt = p->srtt_ns < 0 ? json_null() : json_real((double)p->srtt_ns / NSEC_PER_MSEC);
	json_t *row =
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", g->name, "role", "gateway",
			  "state", peer_state_name(p->state), "state_age_s", age_json(p->since),
			  "last_heard_s", age_json(p->heard), "rtt_ms", rtt);

	add_transport(row, d->to_gateways, g->id);
	add_states(row, d->edge, g->id);
	return row;
}

static const char *edge_state(const struct far_edge *e)
{
	if (e->heard.ns == INSTANT_NEVER.ns)
		return peer_state_name(PEER_UNKNOWN);
	return peer_state_name(instant_sub(instant_now(), e->heard) < EDGE_SILENT_NS ? PEER_UP
										     : PEER_SILENT);
}

static json_t *far_edge_row(struct daemon *d, const struct far_edge *e)
{
	const struct gateway_scope_usage u = gateway_scope_usage(d->gateway, e->scope);
	struct fq_quota quota = {0};
	json_t *row;

	(void)dpview_scope_quota(d->view, e->scope, &quota);
	row = json_pack("{s:s, s:s, s:s, s:o, s:n, s:i, s:i, s:i, s:i, s:i}", "name", e->name,
			"role", "edge", "state", edge_state(e), "last_heard_s", age_json(e->heard),
			"rtt_ms", "domains", (int)u.domains, "translations", (int)u.translations,
			"lookups", (int)u.lookups, "sessions", (int)quota.sessions, "sessions_max",
			(int)quota.max);
	add_transport(row, d->to_edges, e->scope);
	return row;
}

json_t *show_gateways(struct daemon *d)
{
	json_t *rows = json_array();

	if (d->config->has_edge && !d->remote_count)
		json_array_append_new(rows, local_row(d));
	for (unsigned int i = 0; i < d->remote_count; i++)
		json_array_append_new(rows, remote_row(d, &d->remotes[i]));
	for (unsigned int i = 0; i < d->far_edge_count; i++)
		json_array_append_new(rows, far_edge_row(d, &d->far_edges[i]));
	return rows;
}
