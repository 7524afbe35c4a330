/* SPDX-License-Identifier: BSD-2-Clause */
/* When a session has ended, see expiry.h. */
#include "dataplane/expiry.h"

#include <netinet/in.h>

#include "base/ipaddr.h"

const char *session_state_name(enum session_state state)
{
	static const char *const name[] = {
		[SESSION_OPENING] = "opening",
		[SESSION_ESTABLISHED] = "established",
		[SESSION_HALF_CLOSED] = "half_closed",
		[SESSION_CLOSING] = "closing",
		[SESSION_RESET] = "reset",
		[SESSION_UNCONFIRMED] = "unconfirmed",
		[SESSION_CONFIRMED] = "confirmed",
	};

	return name[state];
}

/* What both have said counts first; of a tuple that a local socket has, nothing else does. */
static enum session_state tcp_state(uint8_t out, uint8_t in)
{
	const uint8_t both = out & in, either = out | in;

	if ((both & FQ_TCP_RST) || (either & FQ_TCP_LOCAL))
		return SESSION_RESET;
	if (both & FQ_TCP_FIN)
		return SESSION_CLOSING;
	if (!(both & FQ_TCP_ACK))
		return SESSION_OPENING;
	return either & FQ_TCP_FIN ? SESSION_HALF_CLOSED : SESSION_ESTABLISHED;
}

enum session_state session_state(const struct session_entry *out, const struct session_entry *in,
				 uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return tcp_state(out->tcp_seen, in->tcp_seen);
	return in->last ? SESSION_CONFIRMED : SESSION_UNCONFIRMED;
}

static int64_t last_of(const struct session_entry *entry)
{
	return (int64_t)(entry->last ? entry->last : entry->created);
}

static int64_t max_ns(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t min_ns(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

struct instant session_last(const struct session_entry *out, const struct session_entry *in)
{
	return (struct instant){max_ns(last_of(out), (int64_t)in->last)};
}

static int64_t idle_ns(enum session_state state, uint8_t proto, const struct expiry_policy *policy)
{
	int64_t confirmed_ns = proto == IPPROTO_UDP ? policy->udp_ns : policy->icmp_ns;

	switch (state) {
	case SESSION_OPENING:
		return policy->tcp_opening_ns;
	case SESSION_ESTABLISHED:
	case SESSION_HALF_CLOSED:
		return policy->tcp_established_ns;
	case SESSION_CLOSING:
		return policy->tcp_closing_ns;
	case SESSION_RESET:
		return policy->tcp_reset_ns;
	case SESSION_UNCONFIRMED:
		return min_ns(confirmed_ns, policy->unconfirmed_ns);
	default:
		return confirmed_ns;
	}
}

struct instant session_expiry(const struct session_entry *out, const struct session_entry *in,
			      uint8_t proto, const struct expiry_policy *policy)
{
	return instant_add(session_last(out, in),
			   idle_ns(session_state(out, in, proto), proto, policy));
}

int64_t session_idle_least(uint8_t proto, const struct expiry_policy *policy)
{
	int64_t ns;

	if (proto != IPPROTO_TCP)
		return idle_ns(SESSION_UNCONFIRMED, proto, policy);
	ns = min_ns(policy->tcp_opening_ns, policy->tcp_established_ns);
	return min_ns(ns, min_ns(policy->tcp_closing_ns, policy->tcp_reset_ns));
}

/* A session between IPv4 and IPv6 has another ICMP on either side. */
static uint8_t proto_among(uint8_t proto, const struct fq_addr *addr)
{
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return ipaddr_is_v4(addr) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return proto;
}

struct fq_tuple session_partner(const struct fq_tuple *key, const struct session_entry *entry)
{
	struct fq_tuple partner = {
		.src = entry->dst,
		.dst = entry->src,
		.proto = proto_among(key->proto, &entry->dst),
	};

	if (entry->dir == FQ_DIR_OUT) {
		partner.sport = key->dport;
		partner.dport = entry->port;
	} else {
		partner.sport = entry->port;
		partner.dport = key->sport;
	}
	return partner;
}
