/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver of a gateway of the world: what its lookups find, and when. See box.h. */
#include "box.h"

#include <string.h>

/* What of a lookup's halves counts; a lookup that failed takes nothing back (RFC 8767). */
static void learn(struct box_gateway *g, unsigned int name)
{
	const enum gateway_outcome *outcome = g->lookup[name].outcome;
	bool nxdomain = outcome[0] == GATEWAY_NXDOMAIN || outcome[1] == GATEWAY_NXDOMAIN;

	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		bool failed = outcome[f] == GATEWAY_FAILED || outcome[f] == GATEWAY_TIMEOUT;

		if (!failed || nxdomain)
			g->latest[name][f] =
				outcome[f] == GATEWAY_OK ? g->lookup[name].hosts[f] : 0;
	}
	box_say(g->box, "gateway %u: %s resolves to %x, %x (outcomes %d, %d)", g->id,
		box_names[name], g->latest[name][0], g->latest[name][1], outcome[0], outcome[1]);
	memset(&g->lookup[name], 0, sizeof(g->lookup[name]));
}

static uint64_t lookup_arg(const struct box_gateway *g, unsigned int name, unsigned int family)
{
	return (uint64_t)g->incarnation << 32 | name << 8 | family;
}

static void on_answer(void *ctx, uint64_t arg, const uint8_t *bytes, size_t len)
{
	struct box_gateway *g = ctx;
	unsigned int name = (arg >> 8) & 0xff, family = arg & 0xff;
	const struct box_zone *zone = &g->zone[name];
	struct fq_addr addrs[BOX_HOSTS + 2];
	struct gateway_answer answer = {
		.family = family,
		.outcome = zone->outcome[family],
		.addrs = addrs,
		.ttl_s = 1 + sim_pick(&g->box->sim, 20),
	};
	struct dname n;

	(void)bytes;
	(void)len;
	if (!g->gw || arg >> 32 != g->incarnation)
		return;
	BOX_MUST(g->box, g->lookup[name].running && !g->lookup[name].in[family]);
	g->lookup[name].in[family] = true;
	g->lookup[name].outcome[family] = answer.outcome;
	if (answer.outcome == GATEWAY_OK) {
		g->lookup[name].hosts[family] = zone->hosts[family];
		g->ever[name][family] |= zone->hosts[family];
		for (unsigned int i = 0; i < BOX_HOSTS; i++)
			if (zone->hosts[family] >> i & 1)
				addrs[answer.count++] = box_host(g->id, name, family, i);
		/* Addresses that no packet may reach. */
		BOX_MUST(g->box,
			 ipaddr_parse(family ? "::1" : "127.0.0.1", &addrs[answer.count++]) == 0);
	}
	if (g->lookup[name].in[!family])
		learn(g, name);
	BOX_MUST(g->box, dname_from_text(box_names[name], &n) == 0);
	BOX_MUST(g->box, gateway_resolved(g->gw, &n, &answer, g->box->sim.now) == 0);
	box_gateway_drain(g);
}

void box_gateway_resolve(struct box_gateway *g, const struct gateway_action *a)
{
	int name = box_name_index(a->resolve.name.text);

	BOX_MUST(g->box, name >= 0 && !g->lookup[name].running); /* lookups are shared */
	g->lookup[name].running = true;
	for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
		bool late = g->zone[name].outcome[f] == GATEWAY_TIMEOUT;
		int64_t ns = g->zone[name].delay_ns;

		ns += sim_pick(&g->box->sim, 50) * NSEC_PER_MSEC;
		sim_after(&g->box->sim, late ? 5 * NSEC_PER_SEC : ns, on_answer, g,
			  lookup_arg(g, (unsigned int)name, f), NULL, 0);
	}
}
