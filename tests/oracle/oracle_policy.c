/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may reach what: statements G-21, G-24, F-01 to F-10, A-01 to A-08, M-06 of
 * docs/behaviours.md.
 */
#include "oracle.h"

/* G-21: longest prefix; what is no single host, or link-local, is nobody's client. */
const struct fq_client *orc_client(const struct orc_world *w, const struct fq_addr *a)
{
	const struct fq_client *best = NULL;
	unsigned int best_len = 0;

	if (!orc_single_host(a) ||
	    (orc_v4(a) ? a->b[12] == 169 && a->b[13] == 254 : a->b[0] == 0xfe && a->b[1] >> 6 == 2))
		return NULL;
	for (unsigned int i = 0; i < w->clients.n; i++) {
		const struct fq_prefix *k = &w->clients.entry[i].key;

		if ((best && k->prefixlen < best_len) || !orc_in_prefix(a, &k->addr, k->prefixlen))
			continue;
		best = &w->clients.entry[i].value;
		best_len = k->prefixlen;
	}
	return best;
}

const struct fq_xlat *orc_xlat(const struct orc_world *w, uint32_t scope,
			       const struct fq_addr *proxy)
{
	for (unsigned int i = 0; i < w->xlats.n; i++)
		if (w->xlats.entry[i].key.scope == scope &&
		    orc_same(&w->xlats.entry[i].key.proxy, proxy))
			return &w->xlats.entry[i].value;
	return NULL;
}

uint16_t orc_peer_port(const struct orc_pkt *p, enum fq_dir dir)
{
	if (p->kind != ORC_TCP && p->kind != ORC_UDP)
		return 0;
	return dir == FQ_DIR_OUT ? p->dport : p->sport;
}

static bool filter_permits(const struct fq_filter *f, uint8_t proto, uint16_t port)
{
	if (f->allow_all)
		return true; /* F-01 */
	if (proto == 1 || proto == 58)
		return f->icmp;                      /* F-03 */
	for (unsigned int i = 0; i < f->ranges; i++) /* F-02, F-04 */
		if (f->range[i].proto == proto && port >= f->range[i].lo && port <= f->range[i].hi)
			return true;
	return false;
}

static enum fq_reason permit(const struct orc_world *w, uint32_t client, uint32_t resource,
			     uint8_t proto, uint16_t port, struct orc_right *ret)
{
	const struct fq_filter *filter = NULL;
	const struct fq_grant *grant = NULL;

	for (unsigned int i = 0; i < w->grants.n; i++)
		if (w->grants.entry[i].key.client == client &&
		    w->grants.entry[i].key.resource == resource)
			grant = &w->grants.entry[i].value;
	for (unsigned int i = 0; i < w->filters.n; i++)
		if (w->filters.entry[i].key == resource)
			filter = &w->filters.entry[i].value;
	if (!grant || !filter || (grant->expires && w->now >= grant->expires))
		return FQ_R_NOT_GRANTED;
	if (!filter_permits(filter, proto, port))
		return FQ_R_FILTERED;
	*ret = (struct orc_right){.resource = resource, .expires = grant->expires};
	return FQ_OK;
}

/* M-06: the first that permits; "filtered" says more than "not granted". */
enum fq_reason orc_permit_new(const struct orc_world *w, uint32_t client, const struct fq_xlat *x,
			      uint8_t proto, uint16_t port, struct orc_right *ret)
{
	enum fq_reason answer = FQ_R_NOT_GRANTED;

	for (unsigned int i = 0; i < x->resources; i++) {
		enum fq_reason r = permit(w, client, x->resource[i], proto, port, ret);

		if (r == FQ_OK)
			return r;
		if (r == FQ_R_FILTERED)
			answer = r;
	}
	return answer;
}

static bool publishes(const struct fq_xlat *x, uint32_t resource)
{
	for (unsigned int i = 0; i < x->resources; i++)
		if (x->resource[i] == resource)
			return true;
	return false;
}

/* By the resource that has permitted it, or by another one of the same domain (M-06). */
static enum fq_reason right_of(const struct orc_world *w, const struct fq_client *client,
			       const struct orc_flow *f, const struct orc_half *h, uint16_t port,
			       struct orc_right *ret)
{
	const struct fq_xlat *x = orc_xlat(w, client->scope, &f->proxy);

	/* Session first (G-30): whatever has become of the translation, the right is asked for. */
	if (!x || x->domain != h->domain)
		return permit(w, client->client, h->resource, f->proto[FQ_DIR_OUT], port, ret);
	if (publishes(x, h->resource) &&
	    permit(w, client->client, h->resource, f->proto[FQ_DIR_OUT], port, ret) == FQ_OK)
		return FQ_OK;
	return orc_permit_new(w, client->client, x, f->proto[FQ_DIR_OUT], port, ret);
}

/*
 * Is a packet of a session still permitted (A-01, A-08, F-09, G-46)? Nothing is asked as long as
 * neither policy nor port have changed nor any grant has expired.
 */
enum fq_reason orc_permit_again(const struct orc_world *w, struct orc_flow *f,
				const struct orc_pkt *p, enum fq_dir dir)
{
	uint16_t port = orc_peer_port(p, dir);
	struct orc_half *h = &f->half[dir];
	const struct fq_client *client;
	struct orc_right right = {0};
	enum fq_reason r;

	if (h->gen == w->control.gen && h->peer_port == port && w->now < w->control.grants_until)
		return FQ_OK;
	client = orc_client(w, &f->client);
	if (!client)
		return FQ_R_NOT_A_CLIENT;
	r = h->gateway ? FQ_OK : right_of(w, client, f, h, port, &right);
	if (r)
		return r;
	h->resource = right.resource;
	h->peer_port = port;
	h->gen = w->control.gen;
	return FQ_OK;
}
