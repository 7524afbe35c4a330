/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command table at work: finds object and command by their exact words, names wrong ones,
 * and prints help, which is made from the same table. Called by main.c; `help` by help.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/words.h"
#include "io/ctl.h"

#define OBJECTS_MAX 32

static size_t object_names(const char *names[OBJECTS_MAX])
{
	size_t n = 0;

	for (; cli_objects[n]; n++) {
		assert(n < OBJECTS_MAX);
		names[n] = cli_objects[n]->name;
	}
	return n;
}

/* The object's commands and "help". */
static size_t command_names(const struct object *o, const char *names[CLI_COMMANDS_MAX + 1])
{
	size_t n = 0;

	for (; o->commands[n].name; n++) {
		assert(n < CLI_COMMANDS_MAX);
		names[n] = o->commands[n].name;
	}
	names[n++] = "help";
	return n;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "help");
}

/* "fqdnat session show [client A]" */
static void synopsis(const struct object *o, const struct command *c, char *buf, size_t cap)
{
	snprintf(buf, cap, "fqdnat %s%s%s%s%s", o->name, strcmp(c->name, o->name) ? " " : "",
		 strcmp(c->name, o->name) ? c->name : "", c->args ? " " : "", c->args ?: "");
}

static enum cli_exit run_command(struct cli *cli, const struct object *o, const struct command *c,
				 int argc, char **argv)
{
	char usage[256];

	if (argc == 1 && is_help(argv[0]))
		return cli_help(cli, o);

	synopsis(o, c, usage, sizeof(usage));
	if (argc < c->min_args)
		return cli_usage(cli, "'%s' needs more words, expected: %s", c->name, usage);
	if (c->max_args >= 0 && argc > c->max_args)
		return cli_usage(cli, "word '%s' is too many, expected: %s", argv[c->max_args],
				 usage);
	return c->run(cli, argc, argv);
}

/* An object that is its own only command (monitor) takes its words at once. */
static bool is_single(const struct object *o)
{
	return !strcmp(o->commands[0].name, o->name);
}

static enum cli_exit run_object(struct cli *cli, const struct object *o, int argc, char **argv)
{
	const char *names[CLI_COMMANDS_MAX + 1];
	char error[WORDS_ERROR_LEN], kind[64];
	size_t n, i;

	if (argc == 0 || is_single(o))
		return run_command(cli, o, &o->commands[0], argc, argv);
	if (is_help(argv[0]))
		return cli_help(cli, o);

	n = command_names(o, names);
	i = words_find(argv[0], names, n);
	if (i < n)
		return run_command(cli, o, &o->commands[i], argc - 1, argv + 1);

	snprintf(kind, sizeof(kind), "%s command", o->name);
	return cli_usage(cli, "%s", words_unknown(kind, argv[0], names, n, error, sizeof(error)));
}

enum cli_exit cli_find(const struct cli *cli, const char *word, const struct object **ret_object)
{
	const char *names[OBJECTS_MAX];
	char error[WORDS_ERROR_LEN];
	size_t n = object_names(names), i = words_find(word, names, n);

	if (i == n)
		return cli_usage(cli, "%s",
				 words_unknown("object", word, names, n, error, sizeof(error)));
	*ret_object = cli_objects[i];
	return CLI_OK;
}

enum cli_exit cli_run(struct cli *cli, int argc, char **argv)
{
	const struct object *object;
	enum cli_exit status;

	if (argc == 0) {
		const char *names[OBJECTS_MAX];
		char expected[WORDS_ERROR_LEN];

		words_join(names, object_names(names), expected, sizeof(expected));
		return cli_usage(cli, "no object is given, expected %s", expected);
	}

	status = cli_find(cli, argv[0], &object);
	if (status != CLI_OK)
		return status;
	return run_object(cli, object, argc - 1, argv + 1);
}

static const struct column help_columns[] = {
	{"COMMAND", "usage", COLUMN_WHOLE, NULL},
	{"DOES", "help", COLUMN_WRAP | COLUMN_BREAK, NULL},
};

static int print_object(struct cli *cli, const struct object *o)
{
	int r = 0;

	for (const struct command *c = o->commands; r == 0 && c->name; c++) {
		char usage[256];

		synopsis(o, c, usage, sizeof(usage));
		r = print_row(cli->printer,
			      json_pack("{s:s, s:s, s:s, s:s}", "object", o->name, "command",
					c->name, "usage", usage, "help", c->help));
	}
	return r;
}

static const struct column object_columns[] = {
	{"OBJECT", "object", 0, NULL},
	{"ABOUT", "help", COLUMN_WRAP, NULL},
};

static int print_objects(struct cli *cli)
{
	int r = print_begin(cli->printer, object_columns, ARRAY_SIZE(object_columns));

	for (size_t i = 0; r == 0 && cli_objects[i]; i++)
		r = print_row(cli->printer, json_pack("{s:s, s:s}", "object", cli_objects[i]->name,
						      "help", cli_objects[i]->help));
	return r == 0 ? print_end(cli->printer) : r;
}

static const char options_text[] =
	"Usage: fqdnat [OPTIONS] OBJECT { COMMAND | help }\n"
	"\n"
	"Options:\n"
	"  -j, --json          one JSON value instead of tables\n"
	"  -p, --pretty        the same, indented\n"
	"  -s, --socket PATH   control socket (" CTL_SOCKET_DEFAULT ")\n"
	"  -b, --bpffs DIR     where the BPF objects are pinned (FQDNAT_BPFFS, then the\n"
	"                      daemon's setting, then /sys/fs/bpf/fqdnat)\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print help\n"
	"\n"
	"An object alone shows it. `fqdnat OBJECT help` lists its commands.\n"
	"\n";

enum cli_exit cli_help(struct cli *cli, const struct object *object)
{
	int r;

	if (!object) {
		if (!cli->json)
			fputs(options_text, stdout);
		return cli_printed(cli, print_objects(cli));
	}

	r = print_begin(cli->printer, help_columns, ARRAY_SIZE(help_columns));
	if (r == 0)
		r = print_object(cli, object);
	if (r == 0)
		r = print_end(cli->printer);
	return cli_printed(cli, r);
}
