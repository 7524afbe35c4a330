/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat version: of this program, of the maps it understands, of the daemon if one runs. */
#include <fqdnat/abi.h>

#include "cli/cli.h"
#include "cli/daemon.h"

static enum cli_exit version(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *daemon = NULL, *result = NULL;
	const char *running = NULL;

	(void)argc;
	(void)argv;
	if (daemon_ask(cli, "version", &daemon) == 0)
		running = json_string_value(json_object_get(daemon, "version"));

	result = json_pack("{s:s, s:s?, s:i}", "version", FQ_VERSION, "daemon", running, "abi",
			   FQ_ABI_VERSION);
	if (!result)
		return cli_fail(cli, "out of memory");
	return cli_printed(cli, print_result(cli->printer, result, "fqdnat %s, maps %d, daemon %s",
					     FQ_VERSION, FQ_ABI_VERSION, running ?: "not running"));
}

static const struct command commands[] = {
	{"version", NULL, "show the versions", 0, 0, version},
	{0},
};

const struct object object_version = {
	.name = "version",
	.help = "versions of this program and of the daemon",
	.commands = commands,
};
