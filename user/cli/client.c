/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat client: whom the gateway serves, and how much of its quota each uses. Asks the daemon. */
#include "cli/cli.h"
#include "cli/daemon.h"

static const struct column columns[] = {
	{"NAME", "name", 0, NULL},
	{"SCOPE", "scope", 0, NULL},
	{"SESSIONS", "sessions", COLUMN_RIGHT, NULL},
	{"MAX", "sessions_max", COLUMN_RIGHT, NULL},
	{"PREFIXES", "prefixes", COLUMN_WRAP, NULL},
};

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	return daemon_show(cli, "client show", columns, ARRAY_SIZE(columns), "name",
			   argc > 0 ? argv[0] : NULL);
}

static const struct command commands[] = {
	{"show", "[NAME]", "list clients; with NAME one of them", 0, 1, show},
	{0},
};

const struct object object_client = {
	.name = "client",
	.help = "who is served: prefixes, sessions and their limit",
	.commands = commands,
};
