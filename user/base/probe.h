/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static probes of the daemon (USDT), for bpftrace, perf and SystemTap: a nop in the code and a
 * note in the ELF file that says where it is and where its arguments are. docs/operations.md lists
 * them. Built without <sys/sdt.h> (systemtap-sdt-dev) there are none.
 *
 * Arguments are what is at hand: nothing is computed for a probe that nobody looks at.
 */
#pragma once

#if __has_include(<sys/sdt.h>)
/* In registers or constant: not every tool can follow a place like map_specs+168(%rip). */
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>

/* A query that the stub has decided about. Text, RFC 1035 type, enum stub_outcome, enum fq_reason.
 */
#define PROBE_DNS_QUERY(name, qtype, outcome, reason) \
	DTRACE_PROBE4(fqdnat, dns_query, (const char *)(name), qtype, outcome, reason)

/* enum probe_direction; id of the peer; enum control_event; text, empty for some events. */
#define PROBE_CONTROL_MESSAGE(direction, peer, event, generation, domain)          \
	DTRACE_PROBE5(fqdnat, control_message, direction, peer, event, generation, \
		      (const char *)(domain))

/* An entry of a domain. Text, id of the gateway, two enum edge_state. */
#define PROBE_STATE_CHANGE(domain, gateway, from, to) \
	DTRACE_PROBE4(fqdnat, state_change, (const char *)(domain), gateway, from, to)

/* Elements of a map of the kernel were set. Text; the first key; how many; 0 or negative errno. */
#define PROBE_MAP_UPDATE(map, keys, count, result) \
	DTRACE_PROBE4(fqdnat, map_update, (const char *)(map), keys, count, result)

#else
#define PROBE_DNS_QUERY(...)       ((void)0)
#define PROBE_CONTROL_MESSAGE(...) ((void)0)
#define PROBE_STATE_CHANGE(...)    ((void)0)
#define PROBE_MAP_UPDATE(...)      ((void)0)
#endif

enum probe_direction {
	PROBE_IN,
	PROBE_OUT,
	PROBE_WITHIN, /* from one role to the other in this process */
};
