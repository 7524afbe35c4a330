/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway of the world, see box.h: what its daemon, maps, store and resolver do. */
#include "box.h"

#include <string.h>

/* ---- maps ---- */

/* The row of a key, or a free one; NULL: neither. */
#define ROW_OF(map, k)                                                                        \
	({                                                                                    \
		__typeof__(&(map)[0]) row_ = NULL;                                            \
		for (unsigned int i_ = 0; i_ < BOX_ROWS; i_++) {                              \
			if ((map)[i_].used && memcmp(&(map)[i_].key, &(k), sizeof(k)) == 0) { \
				row_ = &(map)[i_];                                            \
				break;                                                        \
			}                                                                     \
			if (!(map)[i_].used && !row_)                                         \
				row_ = &(map)[i_];                                            \
		}                                                                             \
		row_;                                                                         \
	})

#define ROW_SET(g, map, k, v)                               \
	do {                                                \
		__typeof__(&(map)[0]) at_ = ROW_OF(map, k); \
		BOX_MUST((g)->box, at_ != NULL);            \
		at_->used = true;                           \
		at_->key = (k);                             \
		at_->value = (v);                           \
	} while (0)

#define ROW_DEL(map, k)                                     \
	do {                                                \
		__typeof__(&(map)[0]) at_ = ROW_OF(map, k); \
		if (at_)                                    \
			at_->used = false;                  \
	} while (0)

/* ---- what the world says ---- */

bool box_gateway_publishes(const struct box_gateway *g, unsigned int name, unsigned int resource)
{
	const struct model_resource *r = &g->box->config[g->config].resource[resource];

	return r->present && (r->names >> name & 1);
}

bool box_gateway_granted(const struct box_gateway *g, unsigned int edge, unsigned int resource)
{
	return g->box->grant[edge][resource].given &&
	       g->box->sim.now.ns < g->box->grant[edge][resource].expires.ns;
}

/* ---- actions ---- */

static void scope_gone(struct box_gateway *g, unsigned int edge)
{
	box_gateway_drop_asks(g, edge);
	memset(g->excused[edge], true, sizeof(g->excused[edge]));
	BOX_MUST(g->box, gateway_scope_gone(g->gw, edge) == 0);
}

static void keep_records(struct box_gateway *g, const struct gateway_action *a)
{
	unsigned int name = a->records.domain - BOX_DOMAIN_BASE;
	const struct gateway_records *from = a->records.records;

	BOX_MUST(g->box, name < BOX_NAMES);
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		g->records[name].count[f] = from->count[f];
		for (unsigned int i = 0; i < from->count[f]; i++)
			g->records[name].addr[f][i] = from->addr[f][i];
	}
}

static void apply(struct box_gateway *g, const struct gateway_action *a)
{
	const struct control_message goodbye = {.event = CONTROL_GOODBYE};
	unsigned int name;

	switch (a->kind) {
	case GATEWAY_RESOLVE:
		box_gateway_resolve(g, a);
		break;
	case GATEWAY_STATUS:
		box_gateway_status(g, a);
		break;
	case GATEWAY_GOODBYE: /* */
		box_say(g->box, "gateway %u: goodbye to edge %u", g->id, a->goodbye.scope);
		box_post(g->box, a->goodbye.scope, g->id, false, &goodbye);
		scope_gone(g, a->goodbye.scope);
		break;
	case GATEWAY_XLAT_SET:
		ROW_SET(g, g->xlat, a->xlat.key, a->xlat.value);
		break;
	case GATEWAY_XLAT_DEL:
		ROW_DEL(g->xlat, a->xlat.key);
		break;
	case GATEWAY_CLIENT_SET:
		ROW_SET(g, g->client, a->client.key, a->client.value);
		break;
	case GATEWAY_CLIENT_DEL:
		ROW_DEL(g->client, a->client.key);
		break;
	case GATEWAY_GRANT_SET:
		ROW_SET(g, g->grant, a->grant.key, a->grant.value);
		break;
	case GATEWAY_GRANT_DEL:
		ROW_DEL(g->grant, a->grant.key);
		break;
	case GATEWAY_RECORDS:
		keep_records(g, a);
		break;
	case GATEWAY_EVENT: /* G-05: dropped, and not answered; or overtaken by a later one */
		BOX_MUST(g->box, a->event.reason == FQ_R_RESOLVE_LIMITED ? g->box->limited
									 : g->box->reuses);
		BOX_MUST(g->box, g->asks && g->ask[g->asks - 1].edge == a->event.scope);
		g->asks--;
		break;
	case GATEWAY_DOMAIN_GONE:
		name = a->gone.domain - BOX_DOMAIN_BASE;
		BOX_MUST(g->box, name < BOX_NAMES);
		memset(&g->records[name], 0, sizeof(g->records[name]));
		memset(g->latest[name], 0, sizeof(g->latest[name]));
		break;
	case GATEWAY_FILTER_SET:
	case GATEWAY_FILTER_DEL:
	case GATEWAY_SESSIONS_END: /* end_sessions knows by itself */
	case GATEWAY_POLICY_CHANGED:
		break;
	}
}

static void arm(struct box_gateway *g);

void box_gateway_drain(struct box_gateway *g)
{
	struct gateway_action a;

	while (gateway_next(g->gw, &a))
		apply(g, &a);
	arm(g);
}

static void on_timer(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;

	(void)bytes;
	(void)len;
	if (!g->gw || arg != g->incarnation)
		return;
	if (g->timer.ns == g->box->sim.now.ns)
		g->timer = INSTANT_NEVER;
	BOX_MUST(g->box, gateway_tick(g->gw, g->box->sim.now) == 0);
	box_gateway_drain(g);
}

static void arm(struct box_gateway *g)
{
	struct instant t = gateway_deadline(g->gw), now = g->box->sim.now;

	if (t.ns < now.ns)
		t = now;
	if (t.ns >= g->timer.ns)
		return;
	g->timer = t;
	sim_after(&g->box->sim, t.ns - now.ns, on_timer, g, g->incarnation, NULL, 0);
}

/* ---- messages ---- */

static void on_assigned(struct box_gateway *g, unsigned int edge, const struct control_message *msg)
{
	int name = box_name_index(msg->domain.text), resource = box_resource_index(msg->resource);
	struct box_ask ask = {
		.generation = msg->generation,
		.edge = edge,
		.name = (unsigned int)name,
		.resource = (unsigned int)resource,
		.proxy_count = msg->proxy_count,
	};
	unsigned int before = g->asks;

	BOX_MUST(g->box, name >= 0 && resource >= 0 && g->asks < BOX_ROWS);
	memcpy(ask.proxies, msg->proxies, sizeof(ask.proxies));
	g->ask[g->asks++] = ask;
	if (!g->newest[edge][ask.name] ||
	    (int32_t)(msg->generation - g->newest[edge][ask.name]) > 0)
		g->newest[edge][ask.name] = msg->generation;
	BOX_MUST(g->box, gateway_assigned(g->gw, edge, msg, g->box->sim.now) == 0);
	box_gateway_drain(g);
	if (g->asks > before) /* it waits for a lookup */
		box_gateway_check_moved(g, &ask);
}

void box_gateway_receive(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;
	unsigned int edge = (unsigned int)arg;
	struct control_message msg;

	if (!g->gw)
		return;
	BOX_MUST(g->box, control_decode(bytes, len, &msg) == 0);
	if (msg.event == CONTROL_PROBE) {
		msg.event = CONTROL_PROBE_REPLY;
		box_post(g->box, edge, g->id, false, &msg);
	} else if (msg.event == CONTROL_GOODBYE) { /* */
		scope_gone(g, edge);
		box_gateway_drain(g);
	} else if (msg.event == CONTROL_ASSIGNED_IPS) {
		on_assigned(g, edge, &msg);
	}
}

/* ---- policy ---- */

static int domain_id(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	const struct box_gateway *g = ctx;
	int index = box_name_index(name->text);

	BOX_MUST(g->box, index >= 0);
	*ret_id = BOX_DOMAIN_BASE + (uint32_t)index;
	return 0;
}

static void add_clients(const struct box_gateway *g, struct policy *policy)
{
	for (unsigned int e = 1; e <= g->box->edges; e++) {
		const struct ipprefix prefix = {box_client(e), 128};
		const struct policy_client client = {
			.id = 10 + e,
			.scope = e,
			.name = "client",
			.prefixes = &prefix,
			.prefix_count = 1,
		};

		BOX_MUST(g->box, policy_add_client(policy, &client) == 0);
	}
}

static void add_resource(const struct box_gateway *g, struct policy *policy, unsigned int r)
{
	char uuid[UUID_STRLEN];
	const struct policy_resource resource = {
		.id = r + 1,
		.uuid = uuid,
		.name = "resource",
		.pattern = g->box->config[g->config].pattern[r],
		.filter.allow_all = 1,
	};

	box_uuid(r, uuid);
	BOX_MUST(g->box, policy_add_resource(policy, &resource) == 0);
	for (unsigned int e = 1; e <= g->box->edges; e++) {
		const struct policy_grant grant = {10 + e, r + 1, g->box->grant[e][r].expires};

		if (g->box->grant[e][r].given)
			BOX_MUST(g->box, policy_put_grant(policy, &grant) == 0);
	}
}

/* A pattern that publishes a name no longer stops the sessions that it had permitted. */
static void end_sessions(struct box_gateway *g)
{
	for (unsigned int e = 1; e <= g->box->edges; e++)
		for (unsigned int i = 1; i <= g->box->flows; i++) {
			struct box_session *s = &g->session[e][i];

			if (s->used && !box_gateway_publishes(g, s->name, s->resource - 1))
				s->used = false;
		}
}

void box_gateway_configure(struct box_gateway *g, unsigned int config)
{
	struct policy *policy;

	g->config = config;
	if (!g->gw)
		return;
	box_say(g->box, "gateway %u: configuration %u", g->id, config);
	for (unsigned int n = 0; n < BOX_NAMES; n++) /* what waits may lose its translation */
		for (unsigned int e = 1; e <= g->box->edges; e++)
			g->excused[e][n] = g->excused[e][n] || g->lookup[n].running;
	BOX_MUST(g->box, policy_new(&policy) == 0);
	add_clients(g, policy);
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		if (g->box->config[config].resource[r].present)
			add_resource(g, policy, r);
	BOX_MUST(g->box, gateway_set_policy(g->gw, policy, g->box->sim.now) == 0);
	box_gateway_drain(g);
	end_sessions(g);
}

void box_gateway_grant(struct box_gateway *g, unsigned int edge, unsigned int resource)
{
	const struct policy_grant grant = {10 + edge, resource + 1,
					   g->box->grant[edge][resource].expires};

	if (!g->gw || !g->box->config[g->config].resource[resource].present)
		return;
	if (g->box->grant[edge][resource].given)
		BOX_MUST(g->box, gateway_grant_add(g->gw, &grant) == 0);
	else /* it may have expired */
		(void)gateway_grant_del(g->gw, grant.client, grant.resource);
	box_gateway_drain(g);
}

/* ---- restarts ---- */

static void restore(struct box_gateway *g)
{
	struct dname n;

	for (unsigned int i = 0; i < BOX_ROWS; i++) {
		struct fq_xlat_key key = g->xlat[i].key;
		struct fq_xlat value = g->xlat[i].value;

		if (!g->xlat[i].used)
			continue;
		BOX_MUST(g->box, value.domain - BOX_DOMAIN_BASE < BOX_NAMES);
		BOX_MUST(g->box,
			 dname_from_text(box_names[value.domain - BOX_DOMAIN_BASE], &n) == 0);
		BOX_MUST(g->box, gateway_restore_xlats(
					 g->gw, &n, &(struct gateway_found){&key, &value}, 1) == 0);
	}
	for (unsigned int name = 0; name < BOX_NAMES; name++) {
		struct gateway_records records;
		bool translated = false;

		for (unsigned int i = 0; i < BOX_ROWS; i++)
			translated =
				translated || (g->xlat[i].used &&
					       g->xlat[i].value.domain == BOX_DOMAIN_BASE + name);
		if (!translated) /* without translations nothing is known from before */
			memset(g->latest[name], 0, sizeof(g->latest[name]));

		for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
			records.addr[f] = g->records[name].addr[f];
			records.count[f] = g->records[name].count[f];
		}
		BOX_MUST(g->box, dname_from_text(box_names[name], &n) == 0);
		BOX_MUST(g->box, gateway_restore_records(g->gw, &n, &records) == 0);
	}
}

void box_gateway_start(struct box_gateway *g)
{
	struct gateway_settings s = gateway_settings_default();

	box_say(g->box, "gateway %u: start", g->id);
	s.domain_id = domain_id;
	s.ctx = g;
	if (g->box->limited) {
		s.resolutions_max = 3;
		s.resolutions_per_scope = 2;
		s.assigned_per_s = 6;
		s.assigned_burst = 8;
	}
	BOX_MUST(g->box, gateway_new(&s, &g->gw) == 0);
	g->timer = INSTANT_NEVER;
	/* The daemon ends with what its policy did not set again. */
	memset(g->client, 0, sizeof(g->client));
	memset(g->grant, 0, sizeof(g->grant));
	box_gateway_configure(g, g->config);
	restore(g);
	box_gateway_drain(g);
}

void box_gateway_stop(struct box_gateway *g, bool goodbye)
{
	const struct control_message msg = {.event = CONTROL_GOODBYE};

	if (!g->gw)
		return;
	box_say(g->box, "gateway %u: stop%s", g->id, goodbye ? " with goodbye" : "");
	g->box->totals->restarts++;
	for (unsigned int e = 1; goodbye && e <= g->box->edges; e++)
		box_post(g->box, e, g->id, false, &msg);
	gateway_free(g->gw);
	g->gw = NULL;
	g->incarnation++;
	g->asks = 0;
	memset(g->lookup, 0, sizeof(g->lookup));
}
