/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat domain: the names that were asked for and their state at each gateway. All of it is
 * in the daemon; without it, `show` tells from the store what was last written there.
 */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/offline.h"
#include "cli/places.h"
#include "cli/text.h"

static char *format_age(const json_t *row)
{
	const json_t *age = json_object_get(row, "state_age_s");

	return json_is_number(age) ? text_duration((int64_t)json_number_value(age))
				   : text_value(NULL);
}

static const struct column columns[] = {
	{"DOMAIN", "domain", 0, NULL},
	{"RESOURCE", "resource", 0, NULL},
	{"GATEWAY", "gateway", 0, NULL},
	{"STATE", "state", 0, NULL},
	{"AGE", "state_age_s", COLUMN_RIGHT, format_age},
	{"HELD", "held_packets", COLUMN_RIGHT, NULL},
	{NULL, "resends", 0, NULL},
	{"PROXY", "proxy_addresses", COLUMN_FIRST | COLUMN_BREAK, NULL},
	{"REAL", "real_addresses", COLUMN_FIRST, NULL},
};

/* From the daemon; without one, what it has left on disk. @name: NULL: all */
static enum cli_exit get(struct cli *cli, const char *name, json_t **ret_domains)
{
	char error[CTL_ERROR_LEN];
	int r = daemon_try(cli, "domain show", json_pack("{s:s*}", "name", name), ret_domains,
			   error);

	if (r == 0)
		return CLI_OK;
	if (!daemon_absent(r))
		return cli_fail(cli, "%s", error);
	cli_note(cli, "no daemon answers at %s: showing what it has left in %s", cli->socket,
		 places_state(cli));
	return offline_domains(cli, name, ret_domains);
}

static enum cli_exit show_all(struct cli *cli)
{
	_cleanup_(json_decrefp) json_t *domains = NULL;
	enum cli_exit status = get(cli, NULL, &domains);

	if (status != CLI_OK)
		return status;
	return cli_printed(cli, print_rows(cli->printer, columns, ARRAY_SIZE(columns), domains));
}

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *domains = NULL;
	enum cli_exit status;
	struct dname name;

	if (argc == 0)
		return show_all(cli);

	status = args_domain(cli, argv[0], &name);
	if (status == CLI_OK)
		status = get(cli, name.text, &domains);
	if (status != CLI_OK)
		return status;
	if (json_array_size(domains) == 0)
		return cli_fail(cli, "no domain '%s'", name.text);
	return cli_printed(cli, print_records(cli->printer, columns, ARRAY_SIZE(columns), domains));
}

static enum cli_exit order(struct cli *cli, const char *command, const char *word)
{
	struct dname name;
	enum cli_exit status = args_domain(cli, word, &name);

	if (status != CLI_OK)
		return status;
	return daemon_do(cli, command, json_pack("{s:s}", "name", name.text));
}

static enum cli_exit refresh(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return order(cli, "domain refresh", argv[0]);
}

static enum cli_exit forget(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return order(cli, "domain forget", argv[0]);
}

static const struct command commands[] = {
	{"show", "[NAME]", "list domains; with NAME everything about one", 0, 1, show},
	{"refresh", "NAME", "set it up anew at its gateway, as a DNS query for it would", 1, 1,
	 refresh},
	{"forget", "NAME", "remove it and give its proxy addresses back", 1, 1, forget},
	{0},
};

const struct object object_domain = {
	.name = "domain",
	.help = "names that were asked for, their state and addresses",
	.commands = commands,
};
