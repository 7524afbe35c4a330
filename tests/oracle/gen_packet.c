/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames at random: of sessions, out and in, of new flows, errors about sessions, and what else is
 * seen on a wire; see gen.h.
 */
#include <string.h>

#include "base/ipaddr.h"
#include "gen.h"

static const uint16_t PEER_PORTS[] = {443, 80, 53, 8080, 0, 65535};
static const uint8_t TCP_FLAGS[] = {0x02, 0x12, 0x10, 0x10, 0x18, 0x11, 0x04, 0x14, 0x01, 0x06};
static const uint8_t OPTIONS[][8] = {
	{7, 7, 4, 0, 0, 0, 0, 1},       /* record route */
	{148, 4, 0, 0, 1, 1, 1, 0},     /* router alert */
	{131, 7, 4, 198, 51, 100, 9, 0} /* loose source route, in use */
};
static const uint8_t TCP_OPTIONS[][12] = {
	{2, 4, 0x05, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0},
	{1, 2, 4, 0x23, 0x28, 1, 1, 1, 1, 1, 1, 1},  /* at an odd offset, of a large MTU */
	{8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4},       /* cut off */
	{4, 2, 3, 3, 14, 2, 4, 0xff, 0xff, 0, 1, 1}, /* at an odd offset, as large as can be */
	{2, 3, 9, 9, 2, 4, 9, 9, 0, 0, 0, 0},        /* not of its length */
	{2, 4, 5, 0xb4, 1, 1, 1, 1, 1, 1, 3, 3},     /* a window scale without its last byte */
};
static const uint8_t EXTENSIONS[][16] = {
	{6, 0, 1, 4, 0, 0, 0, 0},                          /* one of some kind */
	{60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0}, /* and destination options */
	{43, 0, 1, 4, 0, 0, 0, 0, 6, 0, 4, 0, 0, 0, 0, 0}, /* and a routing header, used up */
	{43, 0, 1, 4, 0, 0, 0, 0, 6, 0, 4, 1, 0, 0, 0, 0}, /* and one in use */
	{44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 1, 2, 3, 4}, /* and a fragment header, first */
	{6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, /* a longer one */
	{6, 0, 0, 1, 1, 2, 3, 4},                          /* a fragment header, first */
	{6, 0, 5, 0x20, 1, 2, 3, 4},                       /* later */
	{6, 0, 0, 0, 1, 2, 3, 4},                          /* whole (RFC 6946) */
};
static const uint8_t EXT_LEN[] = {8, 16, 16, 16, 16, 16, 8, 8, 8};

static uint8_t pick_proto(struct gen *g)
{
	static const uint8_t protos[] = {PKT_TCP, PKT_TCP, PKT_UDP, PKT_UDP, PKT_ICMP};

	return gen_once_in(g, 60) ? gen_below(g, 256) : protos[gen_below(g, sizeof(protos))];
}

static uint16_t pick_client_port(struct gen *g)
{
	if (gen_once_in(g, 12)) /* of the other class (RFC 4787 REQ-3a) */
		return gen_once_in(g, 4) ? gen_below(g, 1026) : 510 + gen_below(g, 4);
	return gen_once_in(g, 20) ? gen_below(g, 65536) : 5000 + gen_below(g, 6);
}

static uint16_t pick_peer_port(struct gen *g)
{
	return PEER_PORTS[gen_below(g, sizeof(PEER_PORTS) / sizeof(PEER_PORTS[0]))];
}

static size_t pick_length(struct gen *g)
{
	switch (gen_below(g, 40)) {
	case 0:
		return gen_below(g, 2900);
	case 1:
		return 540 + gen_below(g, 40); /* about the narrow MTU of IPv4 */
	case 2:
		return 1200 + gen_below(g, 300); /* that of IPv6, and that of Ethernet */
	case 3:
		return 0;
	default:
		return gen_below(g, 40);
	}
}

static uint8_t pick_ttl(struct gen *g)
{
	return gen_once_in(g, 25) ? 1 + gen_below(g, 2) : gen_below(g, 256);
}

void gen_decorate(struct gen *g, struct pkt_spec *s, struct gen_texts *t, bool v6)
{
	static uint8_t payload[4096];
	unsigned int ext;

	if (!payload[1])
		for (size_t i = 0; i < sizeof(payload); i++)
			payload[i] = i * 167 + (i >> 8);
	s->payload = payload + gen_below(g, 1000);
	s->payload_len = pick_length(g);
	s->ttl = pick_ttl(g);
	s->tos = gen_once_in(g, 3) ? gen_below(g, 256) : 0;
	s->flow_label = gen_once_in(g, 3) ? gen_below(g, 1 << 20) : 0;
	s->seq = gen_below(g, 65536);
	s->ip_id = gen_below(g, 65536);
	s->no_df = gen_once_in(g, 2);
	if (gen_once_in(g, 40))
		s->frag = gen_below(g, 65536);
	s->tcp_flags = TCP_FLAGS[gen_below(g, sizeof(TCP_FLAGS))];
	if (gen_once_in(g, 3)) {
		s->tcp_options = TCP_OPTIONS[gen_below(g, 6)];
		s->tcp_options_len = sizeof(TCP_OPTIONS[0]);
	}
	s->csum = gen_once_in(g, 8) ? PKT_CSUM_PARTIAL : PKT_CSUM_FULL;
	if (gen_once_in(g, 12))
		s->csum = PKT_CSUM_ZERO;
	s->pad = gen_once_in(g, 6) ? gen_below(g, 30) : 0;
	if (gen_once_in(g, 40))
		s->dmac = PKT_MAC_GROUP;
	else if (gen_once_in(g, 40))
		s->dmac = PKT_MAC_SERVER;
	if (!v6 && gen_once_in(g, 15)) {
		s->options = OPTIONS[gen_below(g, sizeof(OPTIONS) / sizeof(OPTIONS[0]))];
		s->options_len = 8;
	}
	if (v6 && gen_once_in(g, 12)) {
		ext = gen_below(g, sizeof(EXT_LEN));
		memcpy(t->ext, EXTENSIONS[ext], sizeof(t->ext));
		s->ext = t->ext;
		s->ext_len = EXT_LEN[ext];
		s->ext_first = ext >= 6 ? 44 : gen_once_in(g, 2) ? 0 : 60;
		t->ext[ext >= 1 && ext <= 4 ? 8 : 0] = s->proto == PKT_ICMP ? 58 : s->proto;
	}
}

static void new_flow(struct gen *g, const struct rig *b, struct pkt_spec *s, bool v6)
{
	bool bare = b->o.w.hook[CLIENT_SIDE] == ORC_TC_BARE;

	s->src = rig_client_addr(v6, gen_once_in(g, 8) ? gen_below(g, RIG_CLIENTS)
				     : bare            ? RIG_BARE
						       : gen_below(g, 4));
	s->dst =
		rig_proxy_addr(v6, gen_once_in(g, 8) ? gen_below(g, RIG_PROXIES) : gen_below(g, 4));
	if (gen_once_in(g, 60))
		s->src = v6 ? "ff02::1" : gen_once_in(g, 2) ? "224.0.0.5" : "255.255.255.255";
	if (gen_once_in(g, 20))
		s->dst = rig_real_addr(v6, gen_below(g, RIG_REALS));
	s->proto = pick_proto(g);
	s->sport = pick_client_port(g);
	s->dport = pick_peer_port(g);
	s->reply = gen_once_in(g, 20);
	if (s->proto == PKT_ICMP && gen_once_in(g, 10)) {
		s->icmp_type = gen_below(g, 256);
		s->icmp_code = gen_below(g, 16);
	}
}

static const struct orc_flow *pick_flow(struct gen *g, const struct rig *b)
{
	unsigned int n = 0, at;

	for (unsigned int i = 0; i < ORC_FLOWS; i++)
		n += b->o.flow[i].live;
	if (!n)
		return NULL;
	at = gen_below(g, n);
	for (unsigned int i = 0; i < ORC_FLOWS; i++)
		if (b->o.flow[i].live && at-- == 0)
			return &b->o.flow[i];
	return NULL;
}

static void of_flow(struct gen *g, const struct orc_flow *f, enum fq_dir dir, struct pkt_spec *s,
		    struct gen_texts *t)
{
	bool out = dir == FQ_DIR_OUT;
	uint16_t peer =
		f->proto[dir] == PKT_TCP || gen_once_in(g, 2) ? f->peer_port : pick_peer_port(g);

	s->proto = f->proto[dir] == 58 ? PKT_ICMP : f->proto[dir];
	s->src = ipaddr_format(out ? &f->client : &f->real, t->src);
	s->dst = ipaddr_format(out ? &f->proxy : &f->nat, t->dst);
	s->sport = out ? f->client_port : peer;
	s->dport = out ? peer : f->nat_port;
	if (s->proto == PKT_ICMP) {
		s->reply = !out;
		s->sport = out ? f->client_port : f->nat_port;
	}
	if (out)
		return;
	s->dmac = PKT_MAC_GW_SERVER;
	s->smac = PKT_MAC_SERVER;
	if (gen_once_in(g, 20)) /* from somebody else */
		s->src = rig_real_addr(!orc_v4(&f->real), gen_below(g, RIG_REALS));
	if (gen_once_in(g, 30))
		s->dport += gen_below(g, 4);
}

/* Add (in one's complement) what is missing to zero in the word at @at, and to its sum at @check.
 */
static void aim(uint8_t *frame, size_t at, size_t check, uint16_t missing)
{
	uint32_t word = orc_get16(frame + at) + missing;
	uint8_t to[2];

	orc_put16(to, (word & 0xffff) + (word >> 16));
	orc_replace(frame + at, to, 2, frame + check);
}

/* Let a checksum become zero by the translation: what is done then, depends on the protocol. */
static void aim_at_zero(const struct orc_flow *f, enum fq_dir dir, struct pkt *frame)
{
	const struct orc_plan plan = {.dir = dir,
				      .src = dir == FQ_DIR_OUT ? f->nat : f->proxy,
				      .dst = dir == FQ_DIR_OUT ? f->real : f->client,
				      .port = dir == FQ_DIR_OUT ? f->nat_port : f->client_port};
	struct pkt after = *frame;
	struct orc_pkt p;
	size_t check;

	if (orc_parse(frame, false, &p) || p.v6 != !orc_v4(&plan.dst) || p.l4_len < 30)
		return;
	check = p.l4 + (p.kind == ORC_TCP ? 16 : p.kind == ORC_UDP ? 6 : 2);
	if (orc_get16(pkt_data(frame) + check) == 0)
		return;
	orc_rewrite(&after, &p, &plan);
	if (!p.v6)
		aim(pkt_data(frame), p.l3 + 4, p.l3 + 10, orc_get16(pkt_data(&after) + p.l3 + 10));
	aim(pkt_data(frame), p.l4 + 28, check, orc_get16(pkt_data(&after) + check));
}

/* A checksum that looks partial, and is right as it is. */
static void make_ambiguous(struct pkt *frame)
{
	uint8_t *bytes = pkt_data(frame), word[2];
	struct pkt copy = *frame;
	struct orc_pkt p;
	uint32_t sum;

	if (orc_parse(frame, false, &p) || p.l4_len < 30 || !orc_complete(&copy, &p))
		return;
	sum = orc_sum(bytes + p.l4, p.l4_len, orc_pseudo_sum(&p)) +
	      (~orc_get16(bytes + p.l4 + 28) & 0xffff);
	orc_put16(word, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
	memcpy(bytes + p.l4 + 28, word, sizeof(word));
}

/* A late packet of a session that has ended. */
static bool late(struct gen *g, const struct rig *b, struct pkt_spec *s, struct gen_texts *t)
{
	const struct fq_tuple *in;

	if (!b->o.w.tombstones.n)
		return false;
	in = &b->o.w.tombstones.entry[gen_below(g, b->o.w.tombstones.n)].key;
	s->proto = in->proto == 58 ? PKT_ICMP : in->proto;
	s->reply = true;
	s->src = ipaddr_format(&in->src, t->src);
	s->dst = ipaddr_format(&in->dst, t->dst);
	s->sport = s->proto == PKT_ICMP  ? __builtin_bswap16(in->dport)
		   : s->proto == PKT_TCP ? __builtin_bswap16(in->sport)
					 : pick_peer_port(g);
	s->dport = __builtin_bswap16(in->dport);
	s->dmac = PKT_MAC_GW_SERVER;
	s->smac = PKT_MAC_SERVER;
	return true;
}

static void gen_packet(struct gen *g, const struct rig *b, const struct orc_flow *f,
		       struct step *ret)
{
	enum fq_dir dir = gen_once_in(g, 2) ? FQ_DIR_OUT : FQ_DIR_IN;
	struct pkt_spec s = {0};
	struct gen_texts t;

	if (f)
		of_flow(g, f, dir, &s, &t);
	else if (gen_once_in(g, 8) && late(g, b, &s, &t))
		dir = FQ_DIR_IN;
	else
		new_flow(g, b, &s, gen_once_in(g, 2));
	ret->arg[0] = s.smac ? SERVER_SIDE : CLIENT_SIDE;
	gen_decorate(g, &s, &t, strchr(s.src, ':') != NULL);
	if (f)
		gen_tcp(g, f, dir, &s);
	else if (gen_once_in(g, 2))
		s.tcp_seq = pkt_random(&g->rng) | 1;
	pkt_build(&ret->frame, &s);
	if (f && gen_once_in(g, 8))
		aim_at_zero(f, dir, &ret->frame);
	if (gen_once_in(g, 4))
		make_ambiguous(&ret->frame);
}

/* Cut a datagram in pieces, which are sent in any order, other packets in between. */
static void cut(struct gen *g, struct step *ret)
{
	size_t l3_len = pkt_l3_len(&ret->frame), half, at = 0;
	struct pkt whole = ret->frame;
	uint32_t id = gen_below(g, 4) + 1;

	if (l3_len < 72 || g->fragments)
		return;
	half = 8 * (1 + gen_below(g, (l3_len - 56) / 8));
	g->fragments_side = ret->arg[0];
	while (g->fragments < GEN_FRAGMENTS) {
		struct pkt *p = &g->fragment[g->fragments++];

		pkt_fragment(p, &whole, at, g->fragments == GEN_FRAGMENTS ? 0 : half, id);
		at += half;
		if (gen_once_in(g, 8)) /* over the ports in the first one */
			at = 8 * (1 + gen_below(g, 3));
		if (at + 60 >= l3_len)
			break;
	}
}

static bool send_fragment(struct gen *g, struct step *ret)
{
	unsigned int i = gen_once_in(g, 3) ? gen_below(g, g->fragments) : 0;

	if (!g->fragments || gen_once_in(g, 3))
		return false;
	ret->frame = g->fragment[i];
	ret->arg[0] = g->fragments_side;
	if (gen_once_in(g, 6)) /* twice */
		return true;
	g->fragments--;
	for (; i < g->fragments; i++)
		g->fragment[i] = g->fragment[i + 1];
	return true;
}

static void any_frame(struct gen *g, const struct rig *b, struct step *ret)
{
	const struct orc_flow *f = gen_below(g, 100) < 60 ? pick_flow(g, b) : NULL;

	ret->op = STEP_FRAME;
	if (send_fragment(g, ret))
		return;
	if (f && gen_once_in(g, 12)) {
		gen_error(g, f, &ret->frame);
		ret->arg[0] = pkt_data(&ret->frame)[4] == 2 ? SERVER_SIDE : CLIENT_SIDE;
	} else {
		gen_packet(g, b, f, ret);
		if (gen_once_in(g, 20))
			cut(g, ret);
	}
	if (gen_once_in(g, g->mood == 3 ? 2 : 8))
		gen_mutate(g, &ret->frame);
	if (gen_once_in(g, 100))
		ret->arg[0] = !ret->arg[0];
}

void gen_frame(struct gen *g, const struct rig *b, struct step *ret)
{
	any_frame(g, b, ret);
	if (b->o.w.hook[ret->arg[0]] == ORC_TC_BARE)
		gen_bare(g, &ret->frame);
}
