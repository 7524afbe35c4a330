/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat gateway: an edge's gateways, a gateway's edges. Asks the daemon. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/text.h"

static char *format_heard(const json_t *row)
{
	const json_t *heard = json_object_get(row, "last_heard_s");

	return json_is_number(heard) ? text_duration((int64_t)json_number_value(heard))
				     : text_value(NULL);
}

static char *format_rtt(const json_t *row)
{
	const json_t *rtt = json_object_get(row, "rtt_ms");
	char *text;

	if (!json_is_number(rtt))
		return text_value(NULL);
	return asprintf(&text, "%.1fms", json_number_value(rtt)) < 0 ? NULL : text;
}

/* What was counted, without what never happened: "sent_probe 3, received_probe_reply 3". */
static char *format_messages(const json_t *row)
{
	const char *name;
	json_t *value;
	size_t len = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	json_object_foreach (json_object_get(row, "messages"), name, value)
		if (json_integer_value(value))
			fprintf(f, "%s%s %lld", ftell(f) ? ", " : "", name,
				(long long)json_integer_value(value));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static const struct column columns[] = {
	{"NAME", "name", 0, NULL},
	{"ROLE", "role", 0, NULL},
	{"ADDRESS", "address", 0, NULL},
	{"STATE", "state", 0, NULL},
	{"HEARD", "last_heard_s", COLUMN_RIGHT, format_heard},
	{"RTT", "rtt_ms", COLUMN_RIGHT, format_rtt},
	{"DOMAINS", "domains", COLUMN_RIGHT, NULL},
	{NULL, "pending", 0, NULL},
	{NULL, "recreating", 0, NULL},
	{"CONFIRMED", "confirmed", COLUMN_RIGHT, NULL},
	{"FAILED", "failed", COLUMN_RIGHT, NULL},
	{NULL, "translations", 0, NULL},
	{NULL, "lookups", 0, NULL},
	{NULL, "sessions", 0, NULL},
	{NULL, "sessions_max", 0, NULL},
	{NULL, "sealed", 0, NULL},
	{NULL, "messages", COLUMN_WRAP, format_messages},
};

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	return daemon_show(cli, "gateway show", columns, ARRAY_SIZE(columns), "name",
			   argc > 0 ? argv[0] : NULL);
}

static const struct command commands[] = {
	{"show", "[NAME]", "list them; with NAME one of them", 0, 1, show},
	{0},
};

const struct object object_gateway = {
	.name = "gateway",
	.help = "an edge's gateways, a gateway's edges",
	.commands = commands,
};
