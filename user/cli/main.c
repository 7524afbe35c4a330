/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat, the command line: options, then one object and one command (see fqdnat(8)).
 * What it shows comes from the pinned BPF maps, read-only, or from the daemon's control socket.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "io/ctl.h"

const struct object *const cli_objects[] = {
	&object_domain,  &object_resource, &object_client, &object_grant, &object_proxy,
	&object_session, &object_gateway,  &object_prog,   &object_stats, &object_monitor,
	&object_config,  &object_version,  &object_help,   NULL,
};

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"pretty", no_argument, NULL, 'p'},
	{"socket", required_argument, NULL, 's'},
	{"bpffs", required_argument, NULL, 'b'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

#define OPTIONS_EXPECTED "-j, -p, -s PATH, -b DIR, -V or -h"

/* What the options say beside the settings in struct cli. */
struct request {
	enum print_form form;
	bool version;
	bool help;
	bool lacks_value;
	char wrong[64]; /* first option that is unknown or lacks its value */
};

/* getopt says it in one way for "-x" among others in a word, in another for "--xyz". */
static void note_wrong(struct request *req, const char *word, bool lacks_value)
{
	if (req->wrong[0])
		return;
	if (!strncmp(word, "--", 2) || !optopt)
		snprintf(req->wrong, sizeof(req->wrong), "%s", word);
	else
		snprintf(req->wrong, sizeof(req->wrong), "-%c", optopt);
	req->lacks_value = lacks_value;
}

static void parse_options(int argc, char **argv, struct cli *cli, struct request *req)
{
	int c;

	opterr = 0; /* errors may have to be JSON, and -j may come last */
	while ((c = getopt_long(argc, argv, ":jps:b:Vh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			if (req->form == PRINT_TEXT)
				req->form = PRINT_JSON;
			break;
		case 'p':
			req->form = PRINT_JSON_PRETTY;
			break;
		case 's':
			cli->socket = optarg;
			break;
		case 'b':
			cli->bpffs = optarg;
			break;
		case 'V':
			req->version = true;
			break;
		case 'h':
			req->help = true;
			break;
		default:
			note_wrong(req, argv[optind - 1], c == ':');
			break;
		}
	}
	cli->json = req->form != PRINT_TEXT;
}

static size_t terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return PRINT_WIDTH;
	return size.ws_col > PRINT_WIDTH ? size.ws_col : PRINT_WIDTH;
}

/* A variable of the environment; an empty one counts as unset. */
static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool want_bold(void)
{
	return isatty(STDOUT_FILENO) && !setting("NO_COLOR");
}

static enum cli_exit run(struct cli *cli, const struct request *req, int argc, char **argv)
{
	char *version[] = {(char *)"version"}, *help[] = {(char *)"help", argv[0]};

	if (req->wrong[0] && req->lacks_value)
		return cli_usage(cli, "option '%s' needs a value, expected " OPTIONS_EXPECTED,
				 req->wrong);
	if (req->wrong[0])
		return cli_usage(cli, "option '%s' is unknown, expected " OPTIONS_EXPECTED,
				 req->wrong);
	if (req->help)
		return cli_run(cli, argc > 0 ? 2 : 1, help);
	if (req->version)
		return cli_run(cli, 1, version);
	return cli_run(cli, argc, argv);
}

int main(int argc, char **argv)
{
	_cleanup_(printer_freep) struct printer *printer = NULL;
	struct cli cli = {
		.socket = CTL_SOCKET_DEFAULT,
		.bpffs = setting("FQDNAT_BPFFS"),
		.state = setting("FQDNAT_STATE"),
	};
	struct request req = {.form = PRINT_TEXT};
	int r;

	signal(SIGPIPE, SIG_DFL); /* fqdnat ... | head */
	parse_options(argc, argv, &cli, &req);
	r = printer_new(stdout, req.form, terminal_width(), want_bold(), &printer);
	if (r < 0)
		return cli_fail(&cli, "cannot start: %s", strerror(-r));
	cli.printer = printer;
	return run(&cli, &req, argc - optind, argv + optind);
}
