/* SPDX-License-Identifier: BSD-2-Clause */
/* When a session has ended, see expiry.h. */
#include "dataplane/expiry.h"

#include <netinet/in.h>

#include "base/ipaddr.h"

const char *session_state_name(enum session_state state)
{
	static const char *const name[] = {
		[SESSION_NEW] = "new",
		[SESSION_ESTABLISHED] = "established",
		[SESSION_CLOSING] = "closing",
		[SESSION_RESET] = "reset",
	};

	return name[state];
}

enum session_state session_state(const struct fq_session *out, const struct fq_session *in)
{
	if ((out->tcp_seen | in->tcp_seen) & FQ_TCP_RST)
		return SESSION_RESET;
	if (out->tcp_seen & in->tcp_seen & FQ_TCP_FIN)
		return SESSION_CLOSING;
	return in->last ? SESSION_ESTABLISHED : SESSION_NEW;
}

static int64_t last_out(const struct fq_session *out)
{
	return (int64_t)(out->last ? out->last : out->created);
}

struct instant session_last(const struct fq_session *out, const struct fq_session *in)
{
	int64_t out_ns = last_out(out);
	int64_t in_ns = (int64_t)in->last;

	return (struct instant){out_ns > in_ns ? out_ns : in_ns};
}

static int64_t idle_ns(uint8_t proto, const struct expiry_policy *policy)
{
	if (proto == IPPROTO_TCP)
		return policy->tcp_established_ns;
	return proto == IPPROTO_UDP ? policy->udp_ns : policy->icmp_ns;
}

static int64_t min_ns(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The handshake's last segment is the client's second packet. */
static bool half_open(const struct fq_session *out, const struct fq_session *in)
{
	return out->packets < 2 && in->packets > 0;
}

struct instant session_expiry(const struct fq_session *out, const struct fq_session *in,
			      uint8_t proto, const struct expiry_policy *policy)
{
	int64_t ns = idle_ns(proto, policy);

	if (out->tcp_seen & in->tcp_seen & FQ_TCP_FIN)
		ns = min_ns(ns, policy->tcp_closing_ns);
	if ((out->tcp_seen | in->tcp_seen) & FQ_TCP_RST)
		ns = min_ns(ns, policy->tcp_reset_ns);
	if (!in->last || (proto == IPPROTO_TCP && half_open(out, in)))
		ns = min_ns(ns, policy->unconfirmed_ns);
	return instant_add(session_last(out, in), ns);
}

struct instant session_expiry_earliest(const struct fq_session *out, uint8_t proto,
				       const struct expiry_policy *policy)
{
	int64_t ns = min_ns(idle_ns(proto, policy), policy->unconfirmed_ns);

	if (proto == IPPROTO_TCP)
		ns = min_ns(ns, policy->tcp_reset_ns);
	if (out->tcp_seen & FQ_TCP_FIN)
		ns = min_ns(ns, policy->tcp_closing_ns);
	return instant_add((struct instant){last_out(out)}, ns);
}

/* A session between IPv4 and IPv6 has another ICMP on either side. */
static uint8_t proto_among(uint8_t proto, const struct fq_addr *addr)
{
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return ipaddr_is_v4(addr) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return proto;
}

struct fq_tuple session_partner(const struct fq_tuple *key, const struct fq_session *entry)
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
