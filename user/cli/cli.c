/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors and notes of the command line, see cli.h. Only this file and getopt's caller write
 * to standard error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"

static void put_error(const struct cli *cli, const char *format, va_list args)
{
	_cleanup_(freep) char *message = NULL, *printable = NULL;

	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	if (cli->json) {
		_cleanup_(json_decrefp) json_t *error = NULL;

		error = json_pack("{s:s}", "error", message ?: "out of memory");
		if (error)
			json_dumpf(error, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		return;
	}
	printable = message ? text_printable(message) : NULL;
	fprintf(stderr, "fqdnat: %s\n", printable ?: "out of memory");
}

enum cli_exit cli_fail(const struct cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_error(cli, format, args);
	va_end(args);
	return CLI_FAILED;
}

enum cli_exit cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_error(cli, format, args);
	va_end(args);
	return CLI_USAGE;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->json)
		return;
	va_start(args, format);
	put_error(cli, format, args);
	va_end(args);
}

enum cli_exit cli_printed(const struct cli *cli, int r)
{
	if (r < 0)
		return cli_fail(cli, "cannot write the result: %s", strerror(-r));
	return CLI_OK;
}
