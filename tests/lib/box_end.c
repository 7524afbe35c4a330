/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of every run: nothing is lost any more, and all must come right. See box.h. */
#include "box.h"

static void calm_down(struct box *box)
{
	box_say(box, "from now on nothing is lost");
	box->mild = true;
	for (unsigned int e = 1; e <= box->edges; e++) {
		for (unsigned int g = 1; g <= box->gateways; g++) {
			box->path[e][g].loss = 0;
			box->path[e][g].cut = false;
			box->path[e][g].spread_ns = 300 * NSEC_PER_MSEC;
		}
		box_edge_configure(box->edge[e], box->config_count - 1);
		if (!box->edge[e]->edge)
			box_edge_start(box->edge[e]);
	}
	for (unsigned int g = 1; g <= box->gateways; g++) {
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			box_make_zone(box, &box->gateway[g]->zone[n], true);
		box_gateway_configure(box->gateway[g], box->config_count - 1);
		if (!box->gateway[g]->gw)
			box_gateway_start(box->gateway[g]);
	}
}

/* Applications that never ask DNS again, but go on trying. */
static void send_everywhere(struct box *box)
{
	for (unsigned int n = 0; n < BOX_NAMES; n++) {
		for (unsigned int e = 1; e <= box->edges; e++)
			(void)box_send(box->edge[e], n, sim_pick(&box->sim, 2), true);
		box_pass(box, 350 * NSEC_PER_MSEC);
	}
}

static void query_everything(struct box *box)
{
	for (unsigned int n = 0; n < BOX_NAMES; n++) {
		for (unsigned int e = 1; e <= box->edges; e++)
			box_edge_query(box->edge[e], n, false);
		box_pass(box, NSEC_PER_SEC);
	}
}

/* Whether the applications of an edge try an address that resource @r has a part in. */
static bool is_tried(const struct box_edge *e, unsigned int name, unsigned int r)
{
	const struct edge_answer *a = &e->answer[name].answer;
	unsigned int stack = e->model.resource[r].stack;

	return e->answer[name].known &&
	       ((a->ipv4 && stack != IP_STACK_IPV6) || (a->ipv6 && stack != IP_STACK_IPV4));
}

/* No domain stays Pending while messages can get through and someone asks. */
static void check_nothing_pending(struct box *box)
{
	for (unsigned int e = 1; e <= box->edges; e++)
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
				const struct box_edge *edge = box->edge[e];
				enum model_state state = edge->model.entry[n][r].state;

				if (!is_tried(edge, n, r))
					continue;
				if (state == MODEL_PENDING || state == MODEL_RECREATING)
					box_say(box, "edge %u: %s, resource %u is open", e,
						box_names[n], r);
				BOX_MUST(box, state != MODEL_PENDING && state != MODEL_RECREATING);
			}
}

/*
 * Asked for twice and answered: every entry is what grants and resolvers say, at its first gateway,
 * but for one that has only refused so far (C-28).
 */
static void check_entries(struct box *box)
{
	for (unsigned int e = 1; e <= box->edges; e++)
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
				const struct edge_model *m = &box->edge[e]->model;
				const struct model_entry *entry = &m->entry[n][r];
				const struct box_gateway *g;
				bool good;

				if (!model_publishes(m, n, r))
					continue;
				BOX_MUST(box, entry->gateway == m->resource[r].gateways[0] ||
						      !m->proven[m->resource[r].gateways[0]]);
				g = box->gateway[entry->gateway];
				good = box_gateway_granted(g, e, r) &&
				       (g->zone[n].outcome[0] == GATEWAY_OK ||
					g->zone[n].outcome[1] == GATEWAY_OK);
				BOX_MUST(box,
					 entry->state == (good ? MODEL_CONFIRMED : MODEL_FAILED));
			}
}

/* Whether some resource lets packets of a family through, of those that the edge knows at @gateway.
 */
static bool should_arrive(const struct box *box, unsigned int e, unsigned int n,
			  unsigned int family, unsigned int gateway)
{
	const struct edge_model *m = &box->edge[e]->model;
	const struct box_gateway *g = box->gateway[gateway];

	for (unsigned int r = 0; r < MODEL_RESOURCES; r++) {
		unsigned int other = family == GATEWAY_A ? IP_STACK_IPV6 : IP_STACK_IPV4;

		if (model_publishes(m, n, r) && m->resource[r].stack != other &&
		    m->entry[n][r].state == MODEL_CONFIRMED && m->entry[n][r].gateway == gateway &&
		    g->zone[n].outcome[family] == GATEWAY_OK)
			return true;
	}
	return false;
}

/*
 * T-01, T-02, T-06, T-07: a packet to a name that works arrives once and is answered once; one to
 * a name that does not is refused once, and arrives nowhere.
 */
static void check_packets(struct box *box)
{
	unsigned int packet[BOX_EDGES + 1][BOX_NAMES][GATEWAY_FAMILIES] = {0};

	for (unsigned int e = 1; e <= box->edges; e++)
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++)
				packet[e][n][f] = box_send(box->edge[e], n, f, false);
	box_pass(box, 3 * NSEC_PER_SEC);
	for (unsigned int e = 1; e <= box->edges; e++)
		for (unsigned int n = 0; n < BOX_NAMES; n++)
			for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
				const struct box_packet *p = &box->packet[packet[e][n][f]];
				unsigned int gateway = 0;
				bool arrives;

				if (!packet[e][n][f])
					continue;
				arrives = model_verdict(&box->edge[e]->model, n, f, &gateway) ==
						  MODEL_FORWARD &&
					  should_arrive(box, e, n, f, gateway);
				if (arrives)
					BOX_MUST(box, p->observed == 1 && p->replied == 1);
				BOX_MUST(box, p->observed == p->replied);
				BOX_MUST(box, p->refused == 1 - p->observed);
			}
}

/* Whatever was sent has arrived, was refused, or was dropped and counted; nothing waits. */
static void check_fates(struct box *box)
{
	for (unsigned int i = 1; i <= box->packets; i++) {
		const struct box_packet *p = &box->packet[i];

		if (p->sent != p->observed + p->refused + p->dropped)
			box_say(box,
				"packet %u of edge %u to %s: %u sent, %u seen, %u refused, %u "
				"dropped",
				i, p->edge, box_names[p->name], p->sent, p->observed, p->refused,
				p->dropped);
		BOX_MUST(box, p->sent == p->observed + p->refused + p->dropped);
	}
	for (unsigned int g = 1; g <= box->gateways; g++) /* G-13 */
		for (unsigned int i = 0; i < box->gateway[g]->asks; i++) {
			const struct box_ask *a = &box->gateway[g]->ask[i];

			box_say(box, "gateway %u: #%u of edge %u for %s is not answered", g,
				a->generation, a->edge, box_names[a->name]);
			BOX_MUST(box, a->is_optional);
		}
}

/*
 * T-13: packets may be lost while gateways are found again, which their applications make happen;
 * then none is.
 */
void box_end(struct box *box)
{
	calm_down(box);
	box_pass(box, 5 * NSEC_PER_SEC); /* what was under way */
	for (unsigned int i = 0; i < 25; i++)
		send_everywhere(box);
	box_pass(box, 2 * NSEC_PER_SEC);
	check_nothing_pending(box);
	for (unsigned int e = 1; e <= box->edges; e++)
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
			if (box->grant[e][r].expires.ns != INSTANT_NEVER.ns &&
			    box_gateway_granted(box->gateway[1], e, r)) {
				box->grant[e][r].expires = INSTANT_NEVER;
				for (unsigned int g = 1; g <= box->gateways; g++)
					box_gateway_grant(box->gateway[g], e, r);
			}
	for (unsigned int i = 0; i < 4; i++)
		query_everything(box);
	box_pass(box, 3 * NSEC_PER_SEC);
	check_nothing_pending(box);
	check_entries(box);
	check_packets(box);
	box_pass(box, 2 * EDGE_HELD_MAX_NS + NSEC_PER_SEC);
	check_fates(box);
}
