/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat prog: the XDP and tc programs. Shown and measured by their pins; attached and detached by
 * the daemon if one runs, which then keeps that so, else directly.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/places.h"

#define PROFILE_DEFAULT_S 5
#define PROFILE_MAX_S     3600

static char *format_by(const json_t *row)
{
	if (json_is_true(json_object_get(row, "dispatcher")))
		return strdup("dispatcher");
	return strdup(json_is_true(json_object_get(row, "filter")) ? "filter" : "link");
}

/* Sentences, with commas of their own. */
static char *format_warnings(const json_t *row)
{
	const json_t *warnings = json_object_get(row, "warnings");
	_cleanup_(freep) char *text = strdup("");

	for (size_t i = 0; text && i < json_array_size(warnings); i++) {
		const char *warning = json_string_value(json_array_get(warnings, i));
		char *longer;

		if (asprintf(&longer, "%s%s%s", text, i > 0 ? "; " : "", warning) < 0)
			return NULL;
		free(text);
		text = longer;
	}
	return text && *text ? TAKE_PTR(text) : strdup("-");
}

static const struct column prog_columns[] = {
	{"DEV", "dev", 0, NULL},
	{"MODE", "mode", 0, NULL},
	{"BY", "dispatcher", 0, format_by},
	{"ID", "id", COLUMN_RIGHT, NULL},
	{"RUNS", "run_cnt", COLUMN_RIGHT, NULL},
	{"TIME_NS", "run_time_ns", COLUMN_RIGHT, NULL},
	{"WHY", "why", 0, NULL},
	{"WARNINGS", "warnings", COLUMN_WRAP, format_warnings},
};

static json_t *warnings_of(const struct dpview_prog *prog)
{
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < prog->warning_count; i++)
		if (json_array_append_new(list, json_string(prog->warning[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int show_prog(void *ctx, const struct dpview_prog *prog)
{
	struct cli *cli = ctx;

	return print_row(cli->printer,
			 json_pack("{s:s?, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "dev",
				   prog->dev[0] ? prog->dev : NULL, "mode",
				   dp_mode_name(prog->mode), "why", prog->why, "id",
				   (json_int_t)prog->id, "run_cnt", (json_int_t)prog->run_cnt,
				   "run_time_ns", (json_int_t)prog->run_time_ns, "ifindex",
				   (json_int_t)prog->ifindex, "dispatcher", (int)prog->dispatcher,
				   "filter", (int)prog->filter, "warnings", warnings_of(prog)));
}

/* Nothing pinned is an answer: no program runs. */
static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	struct dp_error error = {0};
	int opened, r, end;

	(void)argc;
	(void)argv;
	opened = dpview_open(places_bpffs(cli), &error, &view);
	if (opened < 0 && opened != -ENOENT)
		return places_failed(cli, "cannot read the programs", opened, &error);
	if (opened < 0)
		cli_note(cli, "nothing is pinned in %s", places_bpffs(cli));

	r = print_begin(cli->printer, prog_columns, ARRAY_SIZE(prog_columns));
	if (r == 0 && view)
		r = dpview_progs(view, show_prog, cli);
	end = print_end(cli->printer);
	if (r < 0)
		return cli_fail(cli, "cannot show all programs: %s", strerror(-r));
	return cli_printed(cli, end);
}

static enum cli_exit parse_mode(struct cli *cli, const char *word, enum dp_mode *ret_mode)
{
	const char *const modes[] = {dp_mode_name(DP_MODE_AUTO), dp_mode_name(DP_MODE_NATIVE),
				     dp_mode_name(DP_MODE_GENERIC), dp_mode_name(DP_MODE_TC)};
	char error[WORDS_ERROR_LEN];

	*ret_mode = DP_MODE_AUTO;
	if (word && dp_mode_parse(word, ret_mode) < 0)
		return cli_usage(cli, "%s",
				 words_unknown("mode", word, modes, ARRAY_SIZE(modes), error,
					       sizeof(error)));
	return CLI_OK;
}

/* What became of it: "lan0: generic (the driver has no native XDP)". */
static enum cli_exit tell(struct cli *cli, const char *dev, const json_t *result)
{
	const char *mode = json_string_value(json_object_get(result, "mode"));
	const char *note = json_string_value(json_object_get(result, "note"));

	if (!note || !*note)
		return cli_printed(
			cli, print_result(cli->printer, result, "%s: %s", dev, mode ?: "attached"));
	return cli_printed(cli, print_result(cli->printer, result, "%s: %s (%s)", dev,
					     mode ?: "attached", note));
}

/* As the daemon would: the switch by which the two ways of attaching are tested. */
static enum cli_exit parse_dispatcher(struct cli *cli, enum dp_dispatcher *ret_dispatcher)
{
	const char *word = getenv("FQDNAT_DISPATCHER");

	*ret_dispatcher = DP_DISPATCHER_AUTO;
	if (word && *word && dp_dispatcher_parse(word, ret_dispatcher) < 0)
		return cli_usage(cli,
				 "FQDNAT_DISPATCHER cannot be '%s', expected auto, never or "
				 "require",
				 word);
	return CLI_OK;
}

static enum cli_exit attach_pinned(struct cli *cli, const char *dev, enum dp_mode mode)
{
	_cleanup_(dataplane_freep) struct dataplane *dp = NULL;
	_cleanup_(json_decrefp) json_t *result = NULL;
	enum dp_dispatcher dispatcher;
	struct dp_attached attached;
	struct dp_error error = {0};
	enum cli_exit status;
	int r;

	status = parse_dispatcher(cli, &dispatcher);
	if (status != CLI_OK)
		return status;
	r = dataplane_open_pinned(places_bpffs(cli), dispatcher, &error, &dp);
	if (r == -ENOENT)
		return cli_fail(cli,
				"nothing is pinned in %s that could be attached: "
				"start fqdnatd first",
				places_bpffs(cli));
	if (r == 0)
		r = dataplane_attach(dp, dev, mode, &error, &attached);
	if (r < 0)
		return places_failed(cli, "cannot attach the program", r, &error);

	result = json_pack("{s:s, s:s, s:s}", "dev", dev, "mode", dp_mode_name(attached.mode),
			   "note", attached.note);
	if (!result)
		return cli_fail(cli, "out of memory");
	return tell(cli, dev, result);
}

static enum cli_exit attach(struct cli *cli, int argc, char **argv)
{
	const char *dev, *mode_word;
	const struct word_value values[] = {
		{"dev", "INTERFACE", true, &dev},
		{"mode", "MODE", false, &mode_word},
	};
	_cleanup_(json_decrefp) json_t *result = NULL;
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));
	char refused[CTL_ERROR_LEN];
	enum dp_mode mode;
	int r;

	if (status == CLI_OK)
		status = parse_mode(cli, mode_word, &mode);
	if (status != CLI_OK)
		return status;

	r = daemon_try(cli, "prog attach",
		       json_pack("{s:s, s:s}", "dev", dev, "mode", dp_mode_name(mode)), &result,
		       refused);
	if (daemon_absent(r))
		return attach_pinned(cli, dev, mode);
	if (r < 0)
		return cli_fail(cli, "%s", refused);
	return tell(cli, dev, result);
}

static enum cli_exit detach_pinned(struct cli *cli, const char *dev)
{
	_cleanup_(json_decrefp) json_t *result = json_null();
	struct dp_error error = {0};
	int r = dataplane_detach_pinned(places_bpffs(cli), dev, &error);

	if (r < 0)
		return places_failed(cli, "cannot detach the program", r, &error);
	return cli_printed(cli, print_result(cli->printer, result, "%s: detached", dev));
}

static enum cli_exit detach(struct cli *cli, int argc, char **argv)
{
	const char *dev;
	const struct word_value values[] = {{"dev", "INTERFACE", true, &dev}};
	_cleanup_(json_decrefp) json_t *result = NULL;
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));
	char refused[CTL_ERROR_LEN];
	int r;

	if (status != CLI_OK)
		return status;

	r = daemon_try(cli, "prog detach", json_pack("{s:s}", "dev", dev), &result, refused);
	if (daemon_absent(r))
		return detach_pinned(cli, dev);
	if (r < 0)
		return cli_fail(cli, "%s", refused);
	return cli_printed(cli, print_result(cli->printer, result, "%s: detached", dev));
}

static const struct column profile_columns[] = {
	{"ID", "id", COLUMN_RIGHT, NULL},
	{"NAME", "name", 0, NULL},
	{"RUNS", "run_cnt", COLUMN_RIGHT, NULL},
	{"RUNS/S", "runs_per_s", COLUMN_RIGHT, NULL},
	{"NS/RUN", "ns_per_run", COLUMN_RIGHT, NULL},
};

struct profile {
	struct cli *cli;
	unsigned int seconds;
};

static int show_profile(void *ctx, const struct dpview_profile *row)
{
	const struct profile *p = ctx;
	json_t *ns_per_run =
		row->run_cnt ? json_real((double)row->run_time_ns / row->run_cnt) : json_null();

	return print_row(p->cli->printer,
			 json_pack("{s:I, s:s, s:I, s:I, s:f, s:o}", "id", (json_int_t)row->id,
				   "name", row->name, "run_cnt", (json_int_t)row->run_cnt,
				   "run_time_ns", (json_int_t)row->run_time_ns, "runs_per_s",
				   (double)row->run_cnt / p->seconds, "ns_per_run", ns_per_run));
}

static enum cli_exit profile(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	unsigned long seconds = PROFILE_DEFAULT_S;
	struct profile profile = {.cli = cli};
	struct dp_error error = {0};
	enum cli_exit status;
	int r, end;

	if (argc > 0 && words_number(argv[0], 1, PROFILE_MAX_S, &seconds) < 0)
		return cli_usage(cli, "SECONDS cannot be '%s', expected a number from 1 to %d",
				 argv[0], PROFILE_MAX_S);
	status = places_view(cli, &view);
	if (status != CLI_OK)
		return status;

	profile.seconds = seconds;
	r = print_begin(cli->printer, profile_columns, ARRAY_SIZE(profile_columns));
	if (r == 0)
		r = dpview_profile(view, seconds, &error, show_profile, &profile);
	end = print_end(cli->printer);
	if (r < 0)
		return places_failed(cli, "cannot measure the programs", r, &error);
	return cli_printed(cli, end);
}

static const struct command commands[] = {
	{"show", NULL, "list interfaces, modes and what is wrong with them", 0, 0, show},
	{"attach", "dev INTERFACE [mode auto|native|generic|tc]", "run on an interface", 1, -1,
	 attach},
	{"detach", "dev INTERFACE", "run there no longer; the last one leaves no trace", 1, -1,
	 detach},
	{"profile", "[SECONDS]", "measure runs and their time (5 s)", 0, 1, profile},
	{0},
};

const struct object object_prog = {
	.name = "prog",
	.help = "programs: where they run, and how long they take",
	.commands = commands,
};
