/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat config: what the daemon runs with, and whether a file could be that. */
#include "cli/cli.h"
#include "cli/daemon.h"
#include "config/config.h"

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *config = NULL;
	enum cli_exit status = daemon_call(cli, "config show", NULL, &config);

	(void)argc;
	(void)argv;
	if (status != CLI_OK)
		return status;
	return cli_printed(cli, print_tree(cli->printer, config));
}

struct warnings {
	struct cli *cli;
	json_t *texts;
};

static void warn(void *ctx, const char *text)
{
	struct warnings *w = ctx;

	(void)json_array_append_new(w->texts, json_string(text));
	cli_note(w->cli, "%s", text);
}

static enum cli_exit check(struct cli *cli, int argc, char **argv)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(json_decrefp) json_t *result = NULL;
	struct warnings w = {.cli = cli};
	char error[CONFIG_ERROR_LEN];

	(void)argc;
	if (config_load(argv[0], &config, error) < 0)
		return cli_fail(cli, "%s", error);

	w.texts = json_array();
	config_warnings(config, warn, &w);
	result = json_pack("{s:s, s:b, s:o}", "file", argv[0], "ok", 1, "warnings", w.texts);
	if (!result)
		return cli_fail(cli, "out of memory");
	return cli_printed(cli, print_result(cli->printer, result, "%s: ok", argv[0]));
}

static const struct command commands[] = {
	{"show", NULL, "show the configuration in use, with all defaults", 0, 0, show},
	{"check", "FILE", "check a configuration; needs no daemon", 1, 1, check},
	{0},
};

const struct object object_config = {
	.name = "config",
	.help = "the configuration in use; check a file",
	.commands = commands,
};
