/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Idle times below what the RFCs demand: permitted, because a lab or a gateway that is short of
 * ports may want them, but nobody should have them without knowing.
 */
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

struct minimum {
	const char *key;
	size_t offset;
	unsigned int least;
	const char *source;
};

#define AT(field) #field, offsetof(struct config_gateway, timeouts.field)

static const struct minimum minimums[] = {
	{AT(tcp_opening_s), 240, "RFC 5382 REQ-5"}, {AT(tcp_established_s), 7440, "RFC 5382 REQ-5"},
	{AT(tcp_closing_s), 240, "RFC 5382 REQ-5"}, {AT(tcp_reset_s), 240, "RFC 7857 2.2"},
	{AT(udp_s), 120, "RFC 4787 REQ-5"},         {AT(icmp_s), 60, "RFC 5508 REQ-2"},
	{AT(unconfirmed_s), 120, "RFC 4787 REQ-5"}, {AT(tombstone_s), 120, "RFC 6888 REQ-8"},
};

void config_warnings(const struct config *config, config_warning_fn cb, void *ctx)
{
	const char *section = config->edge.has_timeouts ? "edge" : "gateway";

	for (size_t i = 0; i < sizeof(minimums) / sizeof(minimums[0]); i++) {
		const struct minimum *m = &minimums[i];
		unsigned int s =
			*(const unsigned int *)((const char *)&config->gateway + m->offset);
		char text[128];

		if (s >= m->least)
			continue;
		snprintf(text, sizeof(text), "%s.timeouts.%s: %u is less than %u (%s)", section,
			 m->key, s, m->least, m->source);
		cb(ctx, text);
	}
}
