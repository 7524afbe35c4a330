/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that wait for a gateway, see held.h. */
#include "core/held.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>

/* What identifies a connection attempt. */
struct syn {
	uint8_t family;        /* 4 or 6 */
	uint8_t addresses[32]; /* source, destination */
	uint8_t ports_seq[8];  /* source port, destination port, sequence number */
};

/* The TCP header of an IPv4 packet that is no fragment, or NULL. */
static const uint8_t *tcp_of_v4(const uint8_t *l3, size_t len, struct syn *syn)
{
	struct iphdr ip;

	if (len < sizeof(ip))
		return NULL;
	memcpy(&ip, l3, sizeof(ip));
	if (ip.ihl < 5 || ip.protocol != IPPROTO_TCP || (ntohs(ip.frag_off) & (IP_MF | IP_OFFMASK)))
		return NULL;
	if (len < ip.ihl * 4U + sizeof(struct tcphdr))
		return NULL;
	memcpy(syn->addresses, &ip.saddr, 8);
	return l3 + ip.ihl * 4U;
}

/* The TCP header of an IPv6 packet without extension headers, or NULL. */
static const uint8_t *tcp_of_v6(const uint8_t *l3, size_t len, struct syn *syn)
{
	struct ip6_hdr ip;

	if (len < sizeof(ip) + sizeof(struct tcphdr))
		return NULL;
	memcpy(&ip, l3, sizeof(ip));
	if (ip.ip6_nxt != IPPROTO_TCP)
		return NULL;
	memcpy(syn->addresses, &ip.ip6_src, 32);
	return l3 + sizeof(ip);
}

/* Whether a packet opens a TCP connection: SYN set, ACK clear (C-05). */
static bool parse_syn(const uint8_t *l3, size_t len, struct syn *ret_syn)
{
	struct syn syn = {0};
	const uint8_t *tcp = NULL;
	struct tcphdr th;

	if (len == 0)
		return false;
	syn.family = l3[0] >> 4;
	if (syn.family == 4)
		tcp = tcp_of_v4(l3, len, &syn);
	else if (syn.family == 6)
		tcp = tcp_of_v6(l3, len, &syn);
	if (!tcp)
		return false;
	memcpy(&th, tcp, sizeof(th));
	if (!th.syn || th.ack)
		return false;
	memcpy(syn.ports_seq, tcp, sizeof(syn.ports_seq));
	*ret_syn = syn;
	return true;
}

static const uint8_t *l3_of(const struct held_frame *f, size_t *ret_len)
{
	*ret_len = f->len - f->l3_offset;
	return f->bytes + f->l3_offset;
}

static bool same_packet(const struct held_frame *a, const struct held_frame *b)
{
	size_t len_a, len_b;
	const uint8_t *l3_a = l3_of(a, &len_a), *l3_b = l3_of(b, &len_b);

	return len_a == len_b && memcmp(l3_a, l3_b, len_a) == 0;
}

static bool same_syn(const struct held_frame *f, const struct syn *syn)
{
	struct syn other;
	size_t len;
	const uint8_t *l3 = l3_of(f, &len);

	return parse_syn(l3, len, &other) && other.family == syn->family &&
	       memcmp(other.addresses, syn->addresses, sizeof(syn->addresses)) == 0 &&
	       memcmp(other.ports_seq, syn->ports_seq, sizeof(syn->ports_seq)) == 0;
}

/* What keeping a frame costs. */
static size_t frame_cost(uint16_t len)
{
	return sizeof(struct held_frame) + len;
}

struct held_frame *held_frame_new(const struct held_offer *offer, struct instant now)
{
	struct held_frame *f;

	if (offer->l3_offset >= offer->len)
		return NULL;
	f = malloc(frame_cost(offer->len));
	if (!f)
		return NULL;
	*f = (struct held_frame){
		.at = now,
		.ifindex = offer->ifindex,
		.l3_offset = offer->l3_offset,
		.len = offer->len,
		.family = offer->family,
	};
	memcpy(f->bytes, offer->bytes, offer->len);
	return f;
}

static void account(struct held_budget *budget, const struct held_frame *f)
{
	budget->bytes += frame_cost(f->len);
	budget->packets++;
}

static void unaccount(struct held_budget *budget, const struct held_frame *f)
{
	budget->bytes -= frame_cost(f->len);
	budget->packets--;
}

static void drop_first(struct held *held, struct held_budget *budget)
{
	struct held_frame *f = held->first;

	held->first = f->next;
	if (!held->first)
		held->last = NULL;
	held->count--;
	unaccount(budget, f);
	free(f);
}

static void append(struct held *held, struct held_budget *budget, struct held_frame *f)
{
	if (held->last)
		held->last->next = f;
	else
		held->first = f;
	held->last = f;
	held->count++;
	account(budget, f);
}

/* Put @f in the place of the frame that *@at points to. */
static void replace(struct held *held, struct held_budget *budget, struct held_frame **at,
		    struct held_frame *f)
{
	struct held_frame *old = *at;

	f->next = old->next;
	*at = f;
	if (held->last == old)
		held->last = f;
	unaccount(budget, old);
	account(budget, f);
	free(old);
}

static bool fits(const struct held_budget *budget, const struct held_frame *f, size_t given_back)
{
	return budget->bytes - given_back + frame_cost(f->len) <= budget->bytes_max;
}

enum held_outcome held_offer(struct held *held, struct held_budget *budget,
			     const struct held_offer *offer, struct instant now)
{
	_cleanup_(held_frames_freep) struct held_frame *f = held_frame_new(offer, now);
	struct syn syn;
	bool full = held->count >= HELD_PACKETS_MAX, is_syn;

	if (!f)
		return HELD_LIMIT;
	is_syn = parse_syn(f->bytes + f->l3_offset, f->len - f->l3_offset, &syn);
	for (struct held_frame **at = &held->first; *at; at = &(*at)->next) {
		if (same_packet(*at, f)) {
			(*at)->at = now;
			return HELD_DUPLICATE;
		}
		if (is_syn && same_syn(*at, &syn)) {
			if (!fits(budget, f, frame_cost((*at)->len)))
				return HELD_LIMIT;
			replace(held, budget, at, TAKE_PTR(f));
			return HELD_REPLACED;
		}
	}
	if (!fits(budget, f, full ? frame_cost(held->first->len) : 0))
		return HELD_LIMIT;
	if (full)
		drop_first(held, budget);
	append(held, budget, TAKE_PTR(f));
	return full ? HELD_FULL : HELD_STORED;
}

struct held_frame *held_take(struct held *held, struct held_budget *budget, unsigned int families,
			     unsigned int *ret_count)
{
	struct held_frame *taken = NULL, **taken_end = &taken, **at = &held->first;
	unsigned int count = 0;

	held->last = NULL;
	while (*at) {
		struct held_frame *f = *at;

		if (!(f->family & families)) {
			held->last = f;
			at = &f->next;
			continue;
		}
		*at = f->next;
		unaccount(budget, f);
		f->next = NULL;
		*taken_end = f;
		taken_end = &f->next;
		count++;
	}
	held->count -= count;
	*ret_count = count;
	return taken;
}

unsigned int held_drop_older(struct held *held, struct held_budget *budget, struct instant limit)
{
	struct held_frame **at = &held->first;
	unsigned int n = 0;

	held->last = NULL;
	while (*at) {
		struct held_frame *f = *at;

		if (!instant_reached(f->at, limit)) {
			held->last = f;
			at = &f->next;
			continue;
		}
		*at = f->next;
		held->count--;
		unaccount(budget, f);
		free(f);
		n++;
	}
	return n;
}

unsigned int held_drop(struct held *held, struct held_budget *budget)
{
	unsigned int n = held->count;

	while (held->first)
		drop_first(held, budget);
	return n;
}

struct held_frame *held_frames_free(struct held_frame *frames)
{
	while (frames) {
		struct held_frame *next = frames->next;

		free(frames);
		frames = next;
	}
	return NULL;
}
