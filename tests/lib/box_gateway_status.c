/* SPDX-License-Identifier: BSD-2-Clause */
/* What a gateway of the world may say, and what its map must be then. See box.h. */
#include "box.h"

#include <string.h>

/* The edge has gone: what is under way may be answered still, or not. */
void box_gateway_drop_asks(struct box_gateway *g, unsigned int edge)
{
	for (unsigned int i = 0; i < g->asks; i++)
		g->ask[i].is_optional = g->ask[i].is_optional || g->ask[i].edge == edge;
}

/* What the map has for an address of the edge; NULL: nothing. */
static const struct fq_xlat *translation(const struct box_gateway *g, unsigned int edge,
					 const struct fq_addr *proxy)
{
	for (unsigned int i = 0; i < BOX_ROWS; i++)
		if (g->xlat[i].used && g->xlat[i].key.scope == edge &&
		    ipaddr_equal(&g->xlat[i].key.proxy, proxy))
			return &g->xlat[i].value;
	return NULL;
}

/* G-10: whatever the addresses of a message meant before, they do not any more. */
void box_gateway_check_moved(const struct box_gateway *g, const struct box_ask *a)
{
	for (unsigned int i = 0; i < a->proxy_count; i++) {
		const struct fq_xlat *x = translation(g, a->edge, &a->proxies[i]);

		BOX_MUST(g->box, !x || x->domain == BOX_DOMAIN_BASE + a->name);
	}
}

/* G-07: translations are there before the edge is told that it may send. */
static void check_translated(const struct box_gateway *g, const struct box_ask *a)
{
	for (unsigned int i = 0; i < a->proxy_count; i++) {
		const struct fq_xlat *x = translation(g, a->edge, &a->proxies[i]);
		bool listed = false;

		for (unsigned int k = 0; x && k < x->resources; k++)
			listed = listed || x->resource[k] == a->resource + 1;
		BOX_MUST(g->box, x && x->domain == BOX_DOMAIN_BASE + a->name && listed);
	}
}

/* G-13: every status answers an AssignedIps that came, once. */
static struct box_ask take_ask(struct box_gateway *g, const struct control_message *msg,
			       unsigned int edge)
{
	int name = box_name_index(msg->domain.text), resource = box_resource_index(msg->resource);
	unsigned int found = g->asks;
	struct box_ask ask;

	for (unsigned int i = 0; i < g->asks; i++) {
		const struct box_ask *a = &g->ask[i];

		if (a->generation == msg->generation && a->edge == edge && (int)a->name == name &&
		    (int)a->resource == resource && (found == g->asks || g->ask[found].is_optional))
			found = i;
	}
	if (found == g->asks)
		box_fail(g->box, "a status that nobody has asked for");
	ask = g->ask[found];
	g->ask[found] = g->ask[--g->asks];
	return ask;
}

void box_gateway_status(struct box_gateway *g, const struct gateway_action *a)
{
	const struct control_message *msg = &a->status.msg;
	const struct box_ask ask = take_ask(g, msg, a->status.scope);
	bool may = box_gateway_publishes(g, ask.name, ask.resource) &&
		   box_gateway_granted(g, ask.edge, ask.resource);
	bool resolves = g->latest[ask.name][GATEWAY_A] || g->latest[ask.name][GATEWAY_AAAA];

	box_say(g->box, "gateway %u: status %d for edge %u, %s, resource %u, #%u", g->id,
		msg->status, ask.edge, msg->domain.text, ask.resource, msg->generation);
	if (msg->status == CONTROL_ACTIVE) { /* G-01, G-02, G-03 */
		BOX_MUST(g->box, may && resolves);
		/* An older one may have had addresses that a newer one has taken back. */
		if (ask.generation == g->newest[ask.edge][ask.name])
			check_translated(g, &ask);
	} else {
		BOX_MUST(g->box, !may || !resolves || g->excused[ask.edge][ask.name]);
	}
	box_post(g->box, ask.edge, g->id, false, msg);
}
