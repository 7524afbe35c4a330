/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat resource: what the administrator publishes. Asks the daemon. */
#include "cli/cli.h"
#include "cli/daemon.h"

static const struct column columns[] = {
	{"NAME", "name", 0, NULL},
	{"ADDRESS", "address", 0, NULL},
	{"STACK", "ip_stack", 0, NULL},
	{"GATEWAYS", "gateways", COLUMN_FIRST, NULL},
	{"FILTERS", "filters", COLUMN_WRAP, NULL},
	{NULL, "id", 0, NULL},
};

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	return daemon_show(cli, "resource show", columns, ARRAY_SIZE(columns), "name",
			   argc > 0 ? argv[0] : NULL);
}

static const struct command commands[] = {
	{"show", "[NAME]", "list resources; with NAME everything about one", 0, 1, show},
	{0},
};

const struct object object_resource = {
	.name = "resource",
	.help = "what is published: address patterns, filters, gateways",
	.commands = commands,
};
