/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat help: made from the command table, so it cannot forget a command. */
#include "cli/cli.h"

static enum cli_exit help(struct cli *cli, int argc, char **argv)
{
	const struct object *object = NULL;
	enum cli_exit status = argc > 0 ? cli_find(cli, argv[0], &object) : CLI_OK;

	return status == CLI_OK ? cli_help(cli, object) : status;
}

static const struct command commands[] = {
	{"help", "[OBJECT]", "list objects, or the commands of one", 0, 1, help},
	{0},
};

const struct object object_help = {
	.name = "help",
	.help = "this help, or that of an object",
	.commands = commands,
};
