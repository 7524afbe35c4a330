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

#include "dataplane/expiry.h"
#include "rig.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

#define AGEING_NS 1000000000LL /* STEP_AGE, at least */

/* A sequence takes less than the least ageing. */
static bool is_as_old(uint64_t last, uint64_t age_ns)
{
	int64_t late = prog_now() - last - age_ns;

	if (last <= 1 << 20) /* older than the machine: rig_age could not say so */
		return true;
	/* The program counts ticks (bpf/fast.h), of which it may be one or two ahead of this clock.
	 */
	return late >= -2 * (int64_t)clock_tick_ns() && late < AGEING_NS;
}

static uint8_t flags_of(const struct orc_tcp_end *e)
{
	return (e->fin ? FQ_TCP_FIN : 0) | (e->syn ? FQ_TCP_SYN : 0) | (e->rst ? FQ_TCP_RST : 0) |
	       (e->acknowledged ? FQ_TCP_ACK : 0);
}

#define SAME(field)                                                     \
	if (memcmp(&got->field, &said->field, sizeof(got->field)) != 0) \
	return rig_disagree(b, "session: " #field " of the %s entry",   \
			    said->dir == FQ_DIR_OUT ? "out" : "in")

static bool compare_fields(struct rig *b, const struct session_entry *got,
			   const struct session_entry *said)
{
	SAME(src);
	SAME(dst);
	SAME(port);
	SAME(peer_port);
	SAME(dir);
	SAME(gateway);
	SAME(client);
	SAME(resource);
	SAME(domain);
	SAME(gen);
	SAME(packets);
	SAME(bytes);
	return true;
}

static bool compare_half(struct rig *b, const struct orc_flow *f, enum fq_dir dir)
{
	const struct fq_tuple key = orc_flow_tuple(f, dir);
	const struct orc_half *h = &f->half[dir];
	bool out = dir == FQ_DIR_OUT;
	struct session_entry got, said = {
					  .src = out ? f->nat : f->proxy,
					  .dst = out ? f->real : f->client,
					  .port = htons(out ? f->nat_port : f->client_port),
					  .peer_port = htons(h->peer_port),
					  .dir = dir,

					  .gateway = h->gateway,
					  .client = f->client_id,
					  .resource = h->resource,
					  .domain = h->domain,
					  .gen = h->gen,
					  .packets = h->packets,
					  .bytes = h->bytes,
				  };

	if (!prog_has_session(b->t, &key))
		return rig_disagree(b, "session: no %s entry", out ? "out" : "in");
	got = prog_session(b->t, &key);
	if (h->seen != (got.last != 0) || !got.created)
		return rig_disagree(b, "session: an instant of the %s entry", out ? "out" : "in");
	if (h->seen && !is_as_old(got.last, h->age_ns))
		return rig_disagree(b, "session: the age of the %s entry", out ? "out" : "in");
	if (got.tcp_seen != flags_of(&f->end[dir]))
		return rig_disagree(b, "session: flags %02x of the %s entry, not %02x",
				    got.tcp_seen, out ? "out" : "in", flags_of(&f->end[dir]));
	return compare_fields(b, &got, &said);
}

/* The idle time that user space would give it. */
static bool compare_expiry(struct rig *b, const struct orc_flow *f)
{
	static const enum session_state states[] = {
		[ORC_TCP_OPENING] = SESSION_OPENING,
		[ORC_TCP_ESTABLISHED] = SESSION_ESTABLISHED,
		[ORC_TCP_HALF_CLOSED] = SESSION_HALF_CLOSED,
		[ORC_TCP_CLOSING] = SESSION_CLOSING,
		[ORC_TCP_RESET] = SESSION_RESET,
	};
	const struct fq_tuple out = orc_flow_tuple(f, FQ_DIR_OUT),
			      in = orc_flow_tuple(f, FQ_DIR_IN);
	struct session_entry a = prog_session(b->t, &out), z = prog_session(b->t, &in);
	enum session_state got = session_state(&a, &z, IPPROTO_TCP);

	if (out.proto != IPPROTO_TCP || got == states[orc_tcp_state(f->end)])
		return true;
	return rig_disagree(b, "session: %s, not %s", session_state_name(got),
			    session_state_name(states[orc_tcp_state(f->end)]));
}

bool rig_compare_flow(struct rig *b, const struct orc_flow *f)
{
	return compare_half(b, f, FQ_DIR_OUT) && compare_half(b, f, FQ_DIR_IN) &&
	       compare_expiry(b, f);
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

bool rig_compare_state(struct rig *b)
{
	unsigned int live = 0, entries = prog_sessions(b->t);
	struct fq_control c = prog_get_control(b->t);

	for (unsigned int i = 0; i < ORC_FLOWS; i++) {
		const struct orc_flow *f = &b->o.flow[i];

		if (!f->live)
			continue;
		live++;
		if (!rig_compare_flow(b, f))
			return false;
	}
	if (entries != 2 * live)
		return rig_disagree(b, "%u entries of %u sessions", entries, live);
	c.clock_offset = 0;
	if (memcmp(&c, &b->o.w.control, sizeof(c)) != 0)
		return rig_disagree(b, "control: %u sessions, not %u", c.sessions,
				    b->o.w.control.sessions);
	b->clean = compare_quotas(b);
	return b->clean;
}
