/* SPDX-License-Identifier: BSD-2-Clause */
/* An input of an edge, from its beginning to its comparison with the reference. See box.h. */
#include "box.h"

static int64_t now_ns(const struct box_edge *e)
{
	return e->box->sim.now.ns;
}

struct box_input box_edge_begin(struct box_edge *e)
{
	e->asked_name = -1;
	e->at_once = false;
	for (unsigned int n = 0; n < BOX_NAMES; n++) {
		e->model.holds[n] = e->held_count[n] > 0;
		for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
			e->was_failed[n][r] = e->model.entry[n][r].state == MODEL_FAILED;
	}
	return (struct box_input){.e = e};
}

/* ---- comparison ---- */

static void compare_sends(const struct box_input *in)
{
	struct box_edge *e = in->e;

	for (unsigned int i = 0; i < in->sent_count; i++) {
		const struct model_send *s = &in->sent[i].send;
		uint32_t last = e->model.entry[s->name][s->resource].last;

		BOX_MUST(e->box, in->sent[i].generation != 0);
		BOX_MUST(e->box, !last || (int32_t)(in->sent[i].generation - last) > 0);
		/* Sent, and the reference says that it had to be. */
		BOX_MUST(e->box,
			 model_sent(&e->model, s, in->sent[i].generation) ||
				 (in->is_tick &&
				  model_watched(&e->model, s, in->sent[i].generation, now_ns(e))));
	}
	/* The reference says that something had to be sent, and it was not. */
	for (unsigned int i = 0; i < e->model.send_count; i++)
		box_say(e->box, "edge %u: %u should have been asked for %s, resource %u", e->id,
			e->model.sends[i].gateway, box_names[e->model.sends[i].name],
			e->model.sends[i].resource);
	BOX_MUST(e->box, e->model.send_count == 0);
}

/* T-12: states are those of the reference, after every input. */
static void compare_entry(const struct box_edge *e, const struct edge_domain_view *v,
			  unsigned int name, unsigned int r)
{
	const struct model_entry *m = &e->model.entry[name][r];
	const struct edge_entry_view none = {.resource = r + 1}, *entry = &none;

	for (unsigned int i = 0; i < v->entry_count; i++)
		if (v->entries[i].resource == r + 1)
			entry = &v->entries[i];
	if ((unsigned int)entry->state != (unsigned int)m->state)
		box_say(e->box, "edge %u: %s, resource %u is %s, should be %s", e->id,
			box_names[name], r, edge_state_name(entry->state),
			edge_state_name((enum edge_state)m->state));
	BOX_MUST(e->box, (unsigned int)entry->state == (unsigned int)m->state);
	BOX_MUST(e->box, entry->gateway == m->gateway);
	if (m->state == MODEL_PENDING || m->state == MODEL_RECREATING)
		BOX_MUST(e->box, entry->buffering == m->hold);
}

/* What packets to an address of the domain meet. Return: whether they wait. */
static bool compare_verdict(struct box_edge *e, const struct edge_domain_view *v, unsigned int name,
			    const struct fq_addr *proxy)
{
	const struct box_verdict *row = box_edge_verdict(e, proxy);
	unsigned int family = ipaddr_is_v4(proxy) ? GATEWAY_A : GATEWAY_AAAA, gateway = 0;
	enum model_verdict verdict = model_verdict(&e->model, name, family, &gateway);

	BOX_MUST(e->box, row->used && row->name == name && row->domain == v->id);
	BOX_MUST(e->box, (unsigned int)row->verdict == (unsigned int)verdict);
	BOX_MUST(e->box, row->verdict == v->verdict[family]);
	if (verdict == MODEL_FORWARD)
		BOX_MUST(e->box, row->gateway == gateway);
	return verdict == MODEL_HOLD;
}

static void compare_name(struct box_edge *e, unsigned int name)
{
	bool waits[GATEWAY_FAMILIES] = {false};
	struct edge_domain_view v;
	struct dname n;

	BOX_MUST(e->box, dname_from_text(box_names[name], &n) == 0);
	BOX_MUST(e->box, edge_find_name(e->edge, &n, &v) == e->model.known[name]);
	if (!e->model.known[name])
		return;
	for (unsigned int r = 0; r < MODEL_RESOURCES; r++)
		compare_entry(e, &v, name, r);
	BOX_MUST(e->box, v.held == e->held_count[name]);
	for (unsigned int i = 0; i < v.proxies->count; i++)
		waits[i < PROXIES_V4 ? GATEWAY_A : GATEWAY_AAAA] =
			compare_verdict(e, &v, name, &v.proxies->addr[i]);
	/* C-02, C-24: nothing waits but in HOLD, and nothing for ever. */
	for (unsigned int i = 0; i < e->held_count[name]; i++) {
		const struct box_packet *p = &e->box->packet[e->held[name][i]];

		BOX_MUST(e->box, waits[p->family]);
		BOX_MUST(e->box, now_ns(e) - p->held_ns <= 2 * BOX_HELD_MAX_NS);
	}
}

void box_edge_finish(struct box_input *in)
{
	struct box_edge *e = in->e;
	struct edge_action a;

	while (edge_next(e->edge, &a))
		box_edge_apply(in, &a);
	if (in->offered) {
		unsigned int name = e->box->packet[in->offered].name;

		BOX_MUST(e->box, e->held_count[name] < HELD_PACKETS_MAX);
		e->held[name][e->held_count[name]++] = in->offered;
		e->box->packet[in->offered].held_ns = now_ns(e);
		e->box->totals->held++;
	}
	compare_sends(in);
	for (unsigned int n = 0; n < BOX_NAMES; n++)
		compare_name(e, n);
	box_edge_arm(e);
}
