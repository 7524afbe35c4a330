/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat grant: which client may use which resource, until when. Asks the daemon, which keeps
 * what is added or withdrawn here over its restart.
 */
#include <time.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/expiry.h"

static const struct column columns[] = {
	{"CLIENT", "client", 0, NULL}, {"RESOURCE", "resource", 0, NULL},
	{"STATE", "state", 0, NULL},   {"EXPIRES", "expires", 0, NULL},
	{"SOURCE", "source", 0, NULL},
};

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return daemon_show(cli, "grant show", columns, ARRAY_SIZE(columns), NULL, NULL);
}

static enum cli_exit add(struct cli *cli, int argc, char **argv)
{
	const char *client, *resource, *expires;
	const struct word_value values[] = {
		{"client", "NAME", true, &client},
		{"resource", "NAME", true, &resource},
		{"expires", "TIME", false, &expires},
	};
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));
	char until[EXPIRY_LEN];

	if (status != CLI_OK)
		return status;
	if (expires && expiry_parse(expires, time(NULL), until) < 0)
		return cli_usage(cli,
				 "'expires' cannot be '%s', expected a time like "
				 "2027-01-01T00:00:00Z or from now on like 30m, 8h or 7d",
				 expires);

	return daemon_do(cli, "grant add",
			 json_pack("{s:s, s:s, s:s*}", "client", client, "resource", resource,
				   "expires", expires ? until : NULL));
}

static enum cli_exit del(struct cli *cli, int argc, char **argv)
{
	const char *client, *resource;
	const struct word_value values[] = {
		{"client", "NAME", true, &client},
		{"resource", "NAME", true, &resource},
	};
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));

	if (status != CLI_OK)
		return status;
	return daemon_do(cli, "grant del",
			 json_pack("{s:s, s:s}", "client", client, "resource", resource));
}

static const struct command commands[] = {
	{"show", NULL, "list grants", 0, 0, show},
	{"add", "client NAME resource NAME [expires TIME]",
	 "permit; TIME is RFC 3339, or 30m, 8h, 7d from now", 1, -1, add},
	{"del", "client NAME resource NAME", "withdraw: its sessions stop with the next packet", 1,
	 -1, del},
	{0},
};

const struct object object_grant = {
	.name = "grant",
	.help = "which client may use which resource, until when",
	.commands = commands,
};
