/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat gateway: an edge's gateways, a gateway's edges. Asks the daemon. */
#include "cli/cli.h"
#include "cli/daemon.h"

static const struct column columns[] = {
	{"NAME", "name", 0, NULL},
	{"ADDRESS", "address", 0, NULL},
	{"STATE", "state", 0, NULL},
	{"DOMAINS", "domains", COLUMN_RIGHT, NULL},
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
