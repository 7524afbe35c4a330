/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What program and oracle keep, and its comparison: sessions, quotas, counts; see rig.h.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "rig.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

static bool compare_half(struct rig *b, const struct orc_flow *f, enum fq_dir dir)
{
	const struct fq_tuple key = orc_flow_tuple(f, dir);
	const struct orc_half *h = &f->half[dir];
	uint8_t said_reset = (h->tcp_said | f->half[!dir].tcp_said) & FQ_TCP_RST, said_own;
	bool out = dir == FQ_DIR_OUT;
	struct fq_session got, said = {
				       .src = out ? f->nat : f->proxy,
				       .dst = out ? f->real : f->client,
				       .port = htons(out ? f->nat_port : f->client_port),
				       .peer_port = htons(h->peer_port),
				       .dir = dir,

				       .gateway = h->gateway,
				       .client = f->client_id,
				       .resource = h->resource,
				       .domain = h->domain,
				       .policy_gen = h->policy_gen,
				       .grant_expires = h->expires,
				       .packets = h->packets,
				       .bytes = h->bytes,
			       };

	if (!prog_has_session(b->t, &key))
		return rig_disagree(b, "session: no %s entry", out ? "out" : "in");
	got = prog_session(b->t, &key);
	if (h->seen != (got.last != 0) || !got.created)
		return rig_disagree(b, "session: an instant of the %s entry", out ? "out" : "in");
	said_own = h->tcp_said & (FQ_TCP_FIN | FQ_TCP_SYN | FQ_TCP_ACK);
	if (got.tcp_seen & ~(said_own | said_reset))
		return rig_disagree(b, "session: flags %02x of the %s entry, which nobody has said",
				    got.tcp_seen, out ? "out" : "in");
	got.last = got.created = got.tcp_seen = 0;
	got.tcp = said.tcp;
	for (size_t at = 0; at < sizeof(got); at++)
		if (((uint8_t *)&got)[at] != ((uint8_t *)&said)[at])
			return rig_disagree(b, "session: byte %zu of the %s entry", at,
					    out ? "out" : "in");
	return true;
}

static bool compare_quotas(struct rig *b)
{
	for (unsigned int i = 0; i < b->o.w.quotas.n; i++) {
		uint32_t key = b->o.w.quotas.entry[i].key;
		struct fq_quota got = prog_get_quota(b->t, key);

		if (memcmp(&got, &b->o.w.quotas.entry[i].value, sizeof(got)) != 0)
			return rig_disagree(b, "quota %u: %u sessions, not %u", key, got.sessions,
					    b->o.w.quotas.entry[i].value.sessions);
	}
	return true;
}

/* In one go: walking by keys takes long. */
static unsigned int count_entries(struct rig *b)
{
	static struct fq_session values[PROG_SESSIONS_CAP];
	static struct fq_tuple keys[PROG_SESSIONS_CAP];
	uint32_t n = PROG_SESSIONS_CAP, cursor;
	int r = bpf_map_lookup_batch(bpf_map__fd(b->t->skel->maps.sessions), NULL, &cursor, keys,
				     values, &n, NULL);

	assert(r == 0 || errno == ENOENT);
	return n;
}

bool rig_compare_state(struct rig *b)
{
	unsigned int live = 0, entries = count_entries(b);
	struct fq_control c = prog_get_control(b->t);

	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		const struct orc_flow *f = &b->o.flow[i];

		if (!f->live)
			continue;
		live++;
		if (!compare_half(b, f, FQ_DIR_OUT) || !compare_half(b, f, FQ_DIR_IN))
			return false;
	}
	if (entries != 2 * live)
		return rig_disagree(b, "%u entries of %u sessions", entries, live);
	if (memcmp(&c, &b->o.w.control, sizeof(c)) != 0)
		return rig_disagree(b, "control: %u sessions, not %u", c.sessions,
				    b->o.w.control.sessions);
	b->clean = compare_quotas(b);
	return b->clean;
}
