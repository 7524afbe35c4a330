/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnat monitor: the daemon's events as they happen, one on a line. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/daemon.h"
#include "io/ctl_client.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* An interrupt ends the wait for the next event, not the middle of a line. */
static void catch_signals(void)
{
	const struct sigaction action = {.sa_handler = interrupt};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int show_event(void *ctx, const json_t *event)
{
	return print_event(ctx, event);
}

static enum cli_exit monitor(struct cli *cli, int argc, char **argv)
{
	char error[CTL_ERROR_LEN] = "";
	int r;

	(void)argc;
	(void)argv;
	catch_signals();
	r = ctl_follow(cli->socket, show_event, cli->printer, &interrupted, error);
	if (r < 0 && r != -EINTR)
		return daemon_failed(cli, r, error[0] ? error : strerror(-r));
	if (r == 0)
		cli_note(cli, "the daemon at %s has ended", cli->socket);
	return CLI_OK;
}

static const struct command commands[] = {
	{"monitor", NULL, "print one event a line until interrupted", 0, 0, monitor},
	{0},
};

const struct object object_monitor = {
	.name = "monitor",
	.help = "follow events live: states of domains, sessions, refusals",
	.commands = commands,
};
