/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat stats: every reason for which a packet was not simply translated, and every limit.
 * Read from the pinned maps; the daemon adds the limits it keeps itself, if it runs.
 */
#include <string.h>

#include <fqdnat/reason.h>

#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/places.h"

struct reason {
	const char *name;
	enum fq_reason_class class;
	const char *text;
};

static const struct reason reasons[FQ_REASON_MAX] = {
#define X(id, name, class, text) [FQ_R_##id] = {name, FQ_CLASS_##class, text},
	FQ_REASONS(X)
#undef X
};

static const char *const class_names[] = {
	[FQ_CLASS_FORWARD] = "forward", [FQ_CLASS_PASS] = "pass", [FQ_CLASS_HOLD] = "hold",
	[FQ_CLASS_REFUSE] = "refuse",   [FQ_CLASS_DROP] = "drop", [FQ_CLASS_EVENT] = "event",
};

static const struct column reason_columns[] = {
	{"REASON", "reason", 0, NULL},          {"PACKETS", "packets", COLUMN_RIGHT, NULL},
	{"BYTES", "bytes", COLUMN_RIGHT, NULL}, {"FATE", "class", 0, NULL},
	{"TEXT", "text", COLUMN_WRAP, NULL},
};

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct fq_count counts[FQ_REASON_MAX];
	enum cli_exit status = places_view(cli, &view);
	int r;

	(void)argc;
	(void)argv;
	if (status != CLI_OK)
		return status;
	r = dpview_stats(view, counts);
	if (r < 0)
		return cli_fail(cli, "cannot read the counters: %s", strerror(-r));

	r = print_begin(cli->printer, reason_columns, ARRAY_SIZE(reason_columns));
	for (size_t i = FQ_OK + 1; r == 0 && i < FQ_REASON_MAX; i++)
		r = print_row(cli->printer,
			      json_pack("{s:s, s:I, s:I, s:s, s:s}", "reason", reasons[i].name,
					"packets", (json_int_t)counts[i].packets, "bytes",
					(json_int_t)counts[i].bytes, "class",
					class_names[reasons[i].class], "text", reasons[i].text));
	return cli_printed(cli, r == 0 ? print_end(cli->printer) : r);
}

static const struct column limit_columns[] = {
	{"LIMIT", "name", 0, NULL},
	{"USED", "used", COLUMN_RIGHT, NULL},
	{"MAX", "max", COLUMN_RIGHT, NULL},
};

static int show_limit(void *ctx, const struct dpview_limit *limit)
{
	struct cli *cli = ctx;

	return print_row(cli->printer,
			 json_pack("{s:s, s:I, s:I}", "name", limit->name, "used",
				   (json_int_t)limit->used, "max", (json_int_t)limit->max));
}

static enum cli_exit limits(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	_cleanup_(json_decrefp) json_t *daemon = NULL;
	enum cli_exit status = places_view(cli, &view);
	int r, end;

	(void)argc;
	(void)argv;
	if (status != CLI_OK)
		return status;
	(void)daemon_ask(cli, "stats limits", &daemon); /* none without a daemon */

	r = print_begin(cli->printer, limit_columns, ARRAY_SIZE(limit_columns));
	if (r == 0)
		r = dpview_limits(view, show_limit, cli);
	for (size_t i = 0; r == 0 && i < json_array_size(daemon); i++)
		r = print_row(cli->printer, json_incref(json_array_get(daemon, i)));
	end = print_end(cli->printer);
	if (r < 0)
		return cli_fail(cli, "cannot show all limits: %s", strerror(-r));
	return cli_printed(cli, end);
}

static const struct command commands[] = {
	{"show", NULL, "list every reason with its count and what it means", 0, 0, show},
	{"limits", NULL, "list every limit and how much of it is used", 0, 0, limits},
	{0},
};

const struct object object_stats = {
	.name = "stats",
	.help = "why packets were not simply translated; limits and their use",
	.commands = commands,
};
