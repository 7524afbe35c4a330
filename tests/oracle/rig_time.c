/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time in the test rig: sessions grow older, and end as user space ends them; see rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "rig.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

void rig_age(struct rig *b, unsigned int seconds)
{
	const uint64_t ns = seconds * 1000000000ULL;

	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		struct orc_flow *f = &b->o.flow[i];

		for (int dir = 0; f->live && dir < 2; dir++) {
			const struct fq_tuple key = orc_flow_tuple(f, dir);
			struct session_entry s;

			f->half[dir].age_ns += ns;
			if (!prog_has_session(b->t, &key))
				continue; /* rig_compare_state will say so */
			s = prog_session(b->t, &key);
			if (s.last)
				s.last -= s.last > ns ? ns : s.last - 1;
			prog_set_session(b->t, &key, &s);
		}
	}
}

static void uncount(struct rig *b, uint32_t index)
{
	struct fq_quota q = prog_get_quota(b->t, index);

	q.sessions--;
	rig_set(b->t->skel->maps.quota, &index, &q);
}

/* A tombstone: late packets are dropped, and only @client may have the tuple. */
void rig_bury(struct rig *b, const struct fq_tuple *in, const struct fq_addr *client)
{
	const struct fq_tombstone t = {.until = b->o.w.now + RIG_HOUR_NS, .client = *client};

	if (b->o.w.tombstones.n == ORC_ENTRIES || orc_tombstone(&b->o.w, in))
		return;
	rig_set(b->t->skel->maps.tombstones, in, &t);
	b->o.w.tombstones.entry[b->o.w.tombstones.n].value = *client;
	b->o.w.tombstones.entry[b->o.w.tombstones.n++].key = *in;
}

/* As user space ends a session: both entries go, a tombstone is set, the counts follow. */
static void expire(struct rig *b, struct orc_flow *f)
{
	const struct fq_tuple in = orc_flow_tuple(f, FQ_DIR_IN),
			      out = orc_flow_tuple(f, FQ_DIR_OUT);
	struct fq_control c = prog_get_control(b->t);
	struct fq_quota q = prog_get_quota(b->t, f->client_id);
	const uint32_t zero = 0;

	prog_drop_session(b->t, &in);
	prog_drop_session(b->t, &out);
	c.sessions--;
	rig_set(b->t->skel->maps.control, &zero, &c);
	uncount(b, f->client_id);
	if (q.scope)
		uncount(b, FQ_CLIENTS_MAX + q.scope);
	rig_bury(b, &in, &f->client);
	orc_flow_end(&b->o, f);
}

void rig_expire_nth(struct rig *b, unsigned int n)
{
	unsigned int live = 0;

	for (unsigned int i = 0; i < ORC_FLOWS; i++)
		live += b->o.flow[i].live;
	if (!live)
		return;
	n %= live;
	for (unsigned int i = 0; i < ORC_FLOWS; i++)
		if (b->o.flow[i].live && n-- == 0) {
			expire(b, &b->o.flow[i]);
			return;
		}
}
