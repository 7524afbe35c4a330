/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a packet was not simply translated: one list, used by the BPF programs (return
 * values), the counters, the CLI, the metrics and the documentation.
 *
 * FQ_REASONS(X) expands X(id, name, class, text) for every reason, in ABI order: new ones
 * are added at the end of the list. The name is the stable key of `fqdnat stats show`.
 *
 * Every packet that enters a program ends with exactly one reason whose class is not EVENT.
 * EVENT rows count things that happen beside that (an ICMP error sent, say), so a sum over
 * all packets leaves them out. What has been kept enters a program twice (INJECTED).
 */
#pragma once

/* What becomes of the packet. */
enum fq_reason_class {
	FQ_CLASS_FORWARD, /* translated and sent on */
	FQ_CLASS_PASS,    /* handed to the kernel untouched */
	FQ_CLASS_HOLD,    /* kept until the gateway has answered */
	FQ_CLASS_REFUSE,  /* dropped, sender told by ICMP (RFC 1812, RFC 4443) */
	FQ_CLASS_DROP,    /* dropped silently */
	FQ_CLASS_EVENT,   /* not a packet's fate: counted beside it */
};

/* clang-format off: a table */
#define FQ_REASONS(X)                                                                              \
	X(TRANSLATED, "translated", FORWARD, "translated and forwarded")                           \
	X(TRANSLATED_SLOW, "translated_slow", FORWARD,                                             \
	  "translated, sent by the daemon: neighbour not known yet, to be fragmented, or the "     \
	  "like")                                                                                  \
	X(NOT_OURS, "not_ours", PASS, "no session and no proxy address: left to the kernel")       \
	X(NOT_IP, "not_ip", PASS, "not IPv4 or IPv6 (ARP, LLDP, ...): left to the kernel")         \
	X(VLAN, "vlan", PASS, "VLAN-tagged frame: left to the kernel")                             \
	X(MALFORMED, "malformed", PASS,                                                            \
	  "truncated or lying headers, not to a proxy address: left to the kernel")                \
	X(FRAGMENT, "fragment", PASS,                                                              \
	  "fragment whose first one is unknown, not to a proxy address: left to the kernel")       \
	X(ICMP_ERROR, "icmp_error", PASS,                                                          \
	  "ICMP error about no session, or of no kind that is translated: left to the kernel")     \
	X(L4_UNSUPPORTED, "l4_unsupported", PASS,                                                  \
	  "neither TCP, UDP nor ICMP echo, not to a proxy address: left to the kernel")            \
	X(LOCAL_SOCKET, "local_socket", PASS,                                                      \
	  "belongs to a socket of this host: left to the kernel")                                  \
	X(HELD, "held", HOLD, "domain is pending: kept until the gateway answers")                 \
	X(NO_TRANSLATION, "no_translation", REFUSE,                                                \
	  "proxy address has no translation: network unreachable")                                 \
	X(NO_FAMILY, "no_family", REFUSE,                                                          \
	  "domain has no address of this IP version: network unreachable")                         \
	X(DOMAIN_FAILED, "domain_failed", REFUSE,                                                  \
	  "domain failed at its gateway: network unreachable")                                     \
	X(NOT_A_CLIENT, "not_a_client", REFUSE,                                                    \
	  "source is in no client's prefix: administratively prohibited")                          \
	X(NOT_GRANTED, "not_granted", REFUSE,                                                      \
	  "client has no valid grant for the resource: administratively prohibited")               \
	X(FILTERED, "filtered", REFUSE,                                                            \
	  "resource's filter denies this protocol or port: administratively prohibited")           \
	X(TABLE_FULL, "table_full", REFUSE, "session table is full: administratively prohibited")  \
	X(QUOTA, "quota", REFUSE,                                                                  \
	  "client has reached its session quota: administratively prohibited")                     \
	X(NO_PORT, "no_port", REFUSE, "no free NAT port or id: administratively prohibited")       \
	X(NO_NAT_ADDRESS, "no_nat_address", REFUSE,                                                \
	  "egress interface has no address to masquerade with: network unreachable")               \
	X(NO_ROUTE, "no_route", REFUSE, "no route to the real address: network unreachable")       \
	X(TTL_EXCEEDED, "ttl_exceeded", REFUSE, "TTL or hop limit reached zero: time exceeded")    \
	X(TOO_BIG, "too_big", REFUSE,                                                              \
	  "larger than the next hop's MTU: fragmentation needed or packet too big")                \
	X(EXPIRED_SESSION, "expired_session", DROP, "late packet of a session that has ended")     \
	X(REVOKED, "revoked", DROP, "reply of a session whose grant or filter was withdrawn")      \
	X(POOL_MALFORMED, "pool_malformed", DROP,                                                  \
	  "truncated or lying headers, to a proxy address")                                        \
	X(POOL_FRAGMENT, "pool_fragment", DROP,                                                    \
	  "fragment to a proxy address that is no part of a known datagram and cannot be kept")    \
	X(POOL_ICMP_ERROR, "pool_icmp_error", DROP,                                                \
	  "ICMP error to a proxy address, of no kind that is translated")                          \
	X(POOL_L4, "pool_l4", DROP, "neither TCP, UDP nor ICMP echo, to a proxy address")          \
	X(HOLD_FAILED, "hold_failed", DROP,                                                        \
	  "could not be held: too long, or the queue to the daemon is full")                       \
	X(SLOW_FAILED, "slow_failed", DROP,                                                        \
	  "neighbour unknown and the queue to the daemon is full")                                 \
	X(NO_SESSION_RST, "no_session_rst", DROP,                                                  \
	  "TCP reset from a client that belongs to no session")                                    \
	X(BLACKHOLE, "blackhole", DROP, "route to the real address is a blackhole")                \
	X(FORWARDING_OFF, "forwarding_off", DROP, "IP forwarding is off on the ingress interface") \
	X(BROADCAST, "broadcast", DROP, "link-layer broadcast or multicast to a proxy address")    \
	X(WRITE_FAILED, "write_failed", DROP, "the frame could not be resized or written")         \
	X(HELD_FULL, "held_full", EVENT,                                                           \
	  "oldest held packet overwritten: more than 32 for one domain")                           \
	X(HELD_DUPLICATE, "held_duplicate", EVENT,                                                 \
	  "packet was already held, or replaced a held SYN")                                       \
	X(HELD_DROPPED, "held_dropped", EVENT,                                                     \
	  "held packet dropped: domain failed or was removed")                                     \
	X(HELD_RELEASED, "held_released", EVENT, "held packet put back on its way")                \
	X(HELD_LIMIT, "held_limit", EVENT,                                                         \
	  "packet not held: memory limit for held packets reached")                                \
	X(SESSION_CREATED, "session_created", EVENT, "session opened")                             \
	X(SESSION_EXPIRED, "session_expired", EVENT, "session removed after its idle time")        \
	X(SESSION_REVOKED, "session_revoked", EVENT, "session removed: grant, filter or flush")    \
	X(PORT_RETRY, "port_retry", EVENT, "a NAT port was taken, the next was tried")             \
	X(CSUM_PARTIAL, "csum_partial", EVENT, "partial checksum completed (virtual interface)")   \
	X(ICMP_SENT, "icmp_sent", EVENT, "ICMP error sent")                                        \
	X(ICMP_LIMITED, "icmp_limited", EVENT, "ICMP error not sent: rate limit")                  \
	X(ICMP_NOT_ALLOWED, "icmp_not_allowed", EVENT,                                             \
	  "ICMP error not sent: the RFCs forbid it for this packet")                               \
	X(DNS_LOCAL, "dns_local", EVENT, "DNS query answered here")                                \
	X(DNS_FORWARDED, "dns_forwarded", EVENT, "DNS query handed to an upstream server")         \
	X(DNS_MALFORMED, "dns_malformed", EVENT,                                                   \
	  "malformed DNS message dropped or answered FORMERR")                                     \
	X(DNS_REFUSED, "dns_refused", EVENT, "DNS query refused: source is no client")             \
	X(DNS_TIMEOUT, "dns_timeout", EVENT, "upstream DNS server did not answer")                 \
	X(DNS_OVERLOAD, "dns_overload", EVENT, "DNS query dropped or refused: too many at once")   \
	X(POOL_EXHAUSTED, "pool_exhausted", EVENT, "no proxy address left: SERVFAIL")              \
	X(STORE_FAILED, "store_failed", EVENT, "state could not be written to disk")               \
	X(RESOLVE_LIMITED, "resolve_limited", EVENT, "AssignedIps not acted on: resolution limit") \
	X(CONTROL_INVALID, "control_invalid", EVENT, "control message refused")                    \
	X(FORWARDED, "forwarded", FORWARD, "edge: forwarded as it is, to or from the gateway")     \
	X(FORWARDED_SLOW, "forwarded_slow", FORWARD,                                               \
	  "edge: forwarded through the daemon: interface takes no redirected frames, or the like") \
	X(GATEWAY_UNKNOWN, "gateway_unknown", REFUSE,                                              \
	  "edge: the domain's gateway is not configured: network unreachable")                     \
	X(GATEWAY_UNRESOLVED, "gateway_unresolved", DROP,                                          \
	  "edge: the neighbour on the way to the gateway is not known yet")                        \
	X(EDGE_QUOTA, "edge_quota", REFUSE,                                                        \
	  "the client's edge has reached its session quota: administratively prohibited")          \
	X(CONTROL_UNKNOWN_SOURCE, "control_unknown_source", EVENT,                                 \
	  "control message from an address that is not configured")                                \
	X(CONTROL_FORGED, "control_forged", EVENT,                                                 \
	  "control message without the seal that its sender's key makes")                          \
	X(CONTROL_REPLAYED, "control_replayed", EVENT,                                             \
	  "sealed control message that was received before, or is too old to know")                \
	X(CONTROL_STALE_EPOCH, "control_stale_epoch", EVENT,                                       \
	  "sealed control message to or from an earlier process")                                  \
	X(CONTROL_MALFORMED, "control_malformed", EVENT,                                           \
	  "control message truncated, oversized, or not what its kind looks like")                 \
	X(CONTROL_UNKNOWN_EVENT, "control_unknown_event", EVENT,                                   \
	  "control message of a kind that is not known here")                                      \
	X(CONTROL_LIMITED, "control_limited", EVENT,                                               \
	  "control message not read: its sender's rate limit")                                     \
	X(GATEWAY_UP, "gateway_up", EVENT, "edge: a gateway answers (again)")                      \
	X(GATEWAY_SILENT, "gateway_silent", EVENT, "edge: a gateway has stopped answering")        \
	X(GATEWAY_GOODBYE, "gateway_goodbye", EVENT, "edge: a gateway has said Goodbye")           \
	X(STATUS_STALE, "status_stale", EVENT,                                                     \
	  "edge: DomainStatus of an earlier request, or overtaken by a later one")                 \
	X(FRAGMENT_HELD, "fragment_held", HOLD,                                                    \
	  "fragment to a proxy address: kept until the first one of its datagram arrives")         \
	X(FRAGMENT_OVERLAP, "fragment_overlap", DROP,                                              \
	  "fragment that could overwrite the ports in the first one (RFC 1858, RFC 3128)")         \
	X(FRAGMENT_RELEASED, "fragment_released", EVENT, "kept fragment put back on its way")      \
	X(FRAGMENT_EXPIRED, "fragment_expired", EVENT,                                             \
	  "kept fragment dropped: the first one of its datagram did not arrive")                   \
	X(FRAGMENT_LIMIT, "fragment_limit", EVENT,                                                 \
	  "fragment not kept: limit of kept fragments reached, or the queue to the daemon is "     \
	  "full")                                                                                  \
	X(WRONG_GATEWAY, "wrong_gateway", DROP,                                                    \
	  "edge: reply from an interface that does not lead to its session's gateway")             \
	X(WRONG_WAY, "wrong_way", DROP,                                                            \
	  "client's address, from an interface that does not lead to it (source_check: strict)")   \
	X(SOURCE_ROUTED, "source_routed", REFUSE,                                                  \
	  "IPv4 source route, to an IPv6 address: source route failed")                            \
	X(CSUM_MADE, "csum_made", EVENT,                                                           \
	  "UDP checksum made: there was none, and IPv6 demands one")                               \
	X(FRAGMENT_STAYS, "fragment_stays", DROP,                                                  \
	  "fragment that cannot change its IP version: of ICMP, or of UDP without checksum")       \
	X(ICMP_TRANSLATED, "icmp_translated", FORWARD,                                             \
	  "ICMP error about a session: translated (an edge: as it is) and forwarded")              \
	X(ICMP_NO_SESSION, "icmp_no_session", DROP,                                                \
	  "ICMP error from a client about no session of its own")                                  \
	X(ICMP_BAD_CHECKSUM, "icmp_bad_checksum", DROP,                                            \
	  "ICMP error about a session: its checksum or the quoted header's is wrong")              \
	X(ICMP_UNDELIVERABLE, "icmp_undeliverable", DROP,                                          \
	  "ICMP error about a session: no TTL or route left, or larger than the MTU")              \
	X(INJECTED, "injected", EVENT,                                                             \
	  "kept packet put through the program again: what became of it is counted, too")          \
	X(ICMP_NO_COUNTERPART, "icmp_no_counterpart", DROP,                                        \
	  "ICMP error about a session: the other IP version has no such message")                  \
	X(DNS_ANSWERED, "dns_answered", FORWARD, "DNS query answered by the XDP program")          \
	X(DNS_HEARD, "dns_heard", EVENT,                                                           \
	  "DNS query answered by the XDP program, and told to the daemon")
/* clang-format on */

enum fq_reason {
	FQ_OK = 0, /* go on; never counted */
#define X(id, name, class, text) FQ_R_##id,
	FQ_REASONS(X)
#undef X
		FQ_REASON_MAX
};
