/* SPDX-License-Identifier: BSD-2-Clause */
/* What an edge of the world does, applied: messages, verdicts, held packets, the store. See box.h.
 */
#include "box.h"

#include <string.h>

static int64_t now_ns(const struct box_edge *e)
{
	return e->box->sim.now.ns;
}

/*
 * C-07, C-09, C-10: at most one AssignedIps for an entry in 2 s, and none for a Failed one. But a
 * query of its own recreates a Failed entry after 100 ms; an operator's wish waits for nothing;
 * another gateway, or an entry made anew, has nothing to do with what was asked before.
 */
static void check_send(struct box_edge *e, const struct model_send *s)
{
	unsigned int n = s->name, r = s->resource;
	bool own = e->asked_name == (int)n, other = e->last_ask[n][r].gateway != s->gateway;
	int64_t age_ns = now_ns(e) - e->last_ask[n][r].at_ns;
	bool was_failed = e->was_failed[n][r];

	BOX_MUST(e->box, e->peer[s->gateway].state == PEER_UP); /* C-21 */
	if (e->last_ask[n][r].sent && !other) {
		BOX_MUST(e->box, !was_failed || own);
		if (!(own && e->at_once))
			BOX_MUST(e->box,
				 age_ns >= (was_failed ? EDGE_SAME_ASK_NS : EDGE_RESEND_NS));
	}
	e->last_ask[n][r].sent = true;
	e->last_ask[n][r].gateway = s->gateway;
	e->last_ask[n][r].at_ns = now_ns(e);
}

/* P-06: the addresses of the resource's families, 4 or 8. */
static void check_proxies(struct box_edge *e, const struct edge_action *a, unsigned int name,
			  unsigned int resource)
{
	const struct proxies *all = &e->domain[name].record.proxies;
	unsigned int stack = e->model.resource[resource].stack, at = 0;

	for (unsigned int i = 0; i < all->count; i++) {
		if (stack != IP_STACK_DUAL &&
		    (stack == IP_STACK_IPV4) != ipaddr_is_v4(&all->addr[i]))
			continue;
		BOX_MUST(e->box, at < a->proxies.count &&
					 ipaddr_equal(&a->proxies.addr[at], &all->addr[i]));
		at++;
	}
	BOX_MUST(e->box, at == a->proxies.count);
}

static void send_assigned(struct box_input *in, const struct edge_action *a, unsigned int name)
{
	struct box_edge *e = in->e;
	struct box *box = e->box;
	struct control_message msg = {
		.event = CONTROL_ASSIGNED_IPS,
		.generation = a->send.generation,
		.domain = *a->name,
		.proxy_count = a->proxies.count,
	};
	struct model_send s = {
		.name = name,
		.resource = a->send.resource - 1,
		.gateway = a->send.gateway,
		.is_new = a->send.resends == 0,
	};

	box_say(box, "edge %u: ask %u for %s, resource %u, #%u, again %u", e->id, s.gateway,
		a->name->text, s.resource, msg.generation, a->send.resends);
	check_send(e, &s);
	check_proxies(e, a, name, s.resource);
	in->sent[in->sent_count].send = s;
	in->sent[in->sent_count++].generation = msg.generation;
	box->totals->asks++;
	memcpy(msg.resource, a->send.uuid, sizeof(msg.resource));
	memcpy(msg.proxies, a->proxies.addr, a->proxies.count * sizeof(msg.proxies[0]));
	box_post(box, e->id, s.gateway, true, &msg);
}

struct box_verdict *box_edge_verdict(struct box_edge *e, const struct fq_addr *proxy)
{
	struct box_verdict *free_row = NULL;

	for (unsigned int i = 0; i < BOX_VERDICTS; i++) {
		struct box_verdict *row = &e->verdict[i];

		if (row->used && ipaddr_equal(&row->proxy, proxy))
			return row;
		if (!row->used && !free_row)
			free_row = row;
	}
	BOX_MUST(e->box, free_row != NULL);
	free_row->proxy = *proxy;
	return free_row;
}

static void set_verdict(struct box_edge *e, const struct edge_action *a, unsigned int name)
{
	for (unsigned int i = 0; i < a->proxies.count; i++) {
		struct box_verdict *row = box_edge_verdict(e, &a->proxies.addr[i]);

		row->used = true;
		row->name = name;
		row->domain = a->domain;
		row->verdict = a->verdict.verdict;
		row->gateway = a->verdict.gateway;
		row->touch_at = a->verdict.touch_at;
	}
}

static void del_verdict(struct box_edge *e, const struct edge_action *a)
{
	for (unsigned int i = 0; i < a->proxies.count; i++)
		box_edge_verdict(e, &a->proxies.addr[i])->used = false;
}

/* ---- held packets ---- */

static unsigned int number_of(const struct held_frame *f)
{
	const uint8_t *l4 = f->bytes + f->l3_offset + 20;

	return f->bytes[f->l3_offset + 9] == 6 ? l4[6] << 8 | l4[7] : l4[8] << 8 | l4[9];
}

static unsigned int take_at(struct box_edge *e, unsigned int name, unsigned int i)
{
	unsigned int packet = e->held[name][i];

	BOX_MUST(e->box, i < e->held_count[name]);
	e->held_count[name]--;
	memmove(e->held[name] + i, e->held[name] + i + 1,
		(e->held_count[name] - i) * sizeof(unsigned int));
	return packet;
}

unsigned int box_edge_take_held(struct box_edge *e, unsigned int name)
{
	return take_at(e, name, 0);
}

/* The first that nobody has sent again for too long. */
static unsigned int take_old(struct box_edge *e, unsigned int name)
{
	unsigned int i = 0;

	while (i < e->held_count[name] &&
	       now_ns(e) - e->box->packet[e->held[name][i]].held_ns < BOX_HELD_MAX_NS)
		i++;
	return take_at(e, name, i);
}

/* The oldest whose verdict in the map is @verdict by now; the packet on offer if none is held. */
static unsigned int take_decided(struct box_input *in, unsigned int name,
				 enum fq_edge_verdict verdict)
{
	struct box_edge *e = in->e;
	unsigned int offered = in->offered;

	for (unsigned int i = 0; i < e->held_count[name]; i++) {
		const struct fq_addr *proxy = &e->box->packet[e->held[name][i]].proxy;

		if (box_edge_verdict(e, proxy)->verdict == verdict)
			return take_at(e, name, i);
	}
	in->offered = 0;
	return offered;
}

/* C-02, C-23: what comes back was held, and comes in the order in which it went. */
static void take_frames(struct box_input *in, struct held_frame *frames, unsigned int count,
			unsigned int name, enum fq_edge_verdict verdict)
{
	struct box_edge *e = in->e;
	unsigned int n = 0;

	for (const struct held_frame *f = frames; f; f = f->next, n++) {
		unsigned int number = number_of(f);

		BOX_MUST(e->box, number == take_decided(in, name, verdict));
		box_path_packet(e, number);
	}
	BOX_MUST(e->box, n == count);
	e->box->totals->released += n;
	held_frames_free(frames);
}

static bool is_held(const struct box_edge *e, unsigned int name, unsigned int packet)
{
	for (unsigned int i = 0; i < e->held_count[name]; i++)
		if (e->held[name][i] == packet)
			return true;
	return false;
}

/* Every packet that is not held on has an event that says why. */
static void held_event(struct box_input *in, const struct edge_action *a, unsigned int name)
{
	struct box_edge *e = in->e;
	struct box *box = e->box;

	switch (a->held.event) {
	case EDGE_HELD_FULL: /* C-03: the oldest gives way */
		BOX_MUST(box, e->held_count[name] == HELD_PACKETS_MAX && in->offered);
		box->packet[box_edge_take_held(e, name)].dropped++;
		break;
	case EDGE_HELD_DUPLICATE: /* C-04, C-05: it keeps its place */
		BOX_MUST(box, is_held(e, name, in->offered));
		box->packet[in->offered].held_ns = now_ns(e);
		box->packet[in->offered].dropped++;
		in->offered = 0;
		break;
	case EDGE_HELD_LIMIT:
		BOX_MUST(box, in->offered);
		box->packet[in->offered].dropped++;
		in->offered = 0;
		break;
	case EDGE_HELD_DROPPED:
		if (a->held.refused) {
			take_frames(in, a->held.refused, a->held.count, name, FQ_EDGE_REFUSE);
			break;
		}
		for (unsigned int i = 0; i < a->held.count; i++)
			box->packet[in->is_tick ? take_old(e, name) : box_edge_take_held(e, name)]
				.dropped++;
		break;
	}
}

/* ---- the store ---- */

static void store_state(struct box_edge *e, const struct edge_action *a, unsigned int name)
{
	unsigned int r = a->state.resource - 1;
	struct edge_entry_record *was = &e->entry[name][r].record;
	const struct edge_entry_record record = {
		.gateway = a->state.gateway,
		.domain = a->domain,
		.resource = a->state.resource,
		.state = a->state.stored,
		.generation = a->state.generation,
		.families = a->state.families,
	};

	box_say(e->box, "edge %u: %s, resource %u at %u: %s to %s", e->id, a->name->text, r,
		a->state.gateway, edge_state_name(a->state.from), edge_state_name(a->state.to));
	if (a->state.to == EDGE_NONE)
		e->last_ask[name][r].sent = false;
	if (a->state.news != EDGE_NEWS_STATE)
		BOX_MUST(e->box, was->state == record.state && e->entry[name][r].used);
	if (a->state.news == EDGE_NEWS_NONE)
		BOX_MUST(e->box, memcmp(was, &record, sizeof(record)) == 0);
	e->entry[name][r].used = a->state.stored != EDGE_NONE;
	*was = record;
}

static void store_domain(struct box_edge *e, const struct edge_action *a, unsigned int name)
{
	if (!a->domain_set.is_new)
		return;
	for (unsigned int n = 0; n < BOX_NAMES; n++) /* P-04 */
		for (unsigned int i = 0; e->domain[n].used && i < PROXIES_MAX; i++)
			for (unsigned int k = 0; k < a->proxies.count; k++)
				BOX_MUST(e->box,
					 !ipaddr_equal(&a->proxies.addr[k],
						       &e->domain[n].record.proxies.addr[i]));
	e->domain[name].used = true;
	e->domain[name].record = (struct edge_domain_record){
		.id = a->domain,
		.name = *a->name,
		.proxies = a->proxies,
	};
	edge_marks(e->edge, &e->marks);
}

void box_edge_apply(struct box_input *in, struct edge_action *a)
{
	struct box_edge *e = in->e;
	int index = a->name ? box_name_index(a->name->text) : 0;
	unsigned int name = (unsigned int)index;

	BOX_MUST(e->box, index >= 0);
	switch (a->kind) {
	case EDGE_SEND_ASSIGNED:
		send_assigned(in, a, name);
		break;
	case EDGE_SET_VERDICT:
		set_verdict(e, a, name);
		break;
	case EDGE_DEL_VERDICT:
		del_verdict(e, a);
		break;
	case EDGE_RELEASE:
		take_frames(in, a->frames.first, a->frames.count, name, FQ_EDGE_FORWARD);
		break;
	case EDGE_HELD_EVENT:
		held_event(in, a, name);
		break;
	case EDGE_STATE_CHANGED:
		store_state(e, a, name);
		break;
	case EDGE_DOMAIN_SET:
		store_domain(e, a, name);
		break;
	case EDGE_DOMAIN_GONE:
		e->domain[name].used = false;
		memset(e->entry[name], 0, sizeof(e->entry[name]));
		break;
	case EDGE_GATEWAY_WANTED:
		BOX_MUST(e->box, e->peer[a->wanted.gateway].state != PEER_UP);
		peer_wanted(&e->peer[a->wanted.gateway], e->box->sim.now);
		break;
	case EDGE_RESOURCE_IGNORED:
		BOX_MUST(e->box, !"a pattern is not valid");
		break;
	}
}
