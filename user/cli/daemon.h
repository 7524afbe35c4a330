/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to the daemon: calls by the control socket, their results and errors for commands. */
#pragma once

#include "cli/cli.h"
#include "io/ctl.h"

/*
 * Ask the daemon, say what failed.
 *
 * @args:       taken over, also on failure; NULL: none
 * @ret_result: a new reference; written on CLI_OK only
 */
enum cli_exit daemon_call(struct cli *cli, const char *command, json_t *args, json_t **ret_result);

/*
 * The same for commands that can do without a daemon: nothing is said.
 *
 * @ret_error: what failed, on failure
 *
 * Return: 0; as ctl_call, of which daemon_absent tells whether a daemon is there at all.
 */
int daemon_try(const struct cli *cli, const char *command, json_t *args, json_t **ret_result,
	       char ret_error[CTL_ERROR_LEN]);

/* Does this error of daemon_try mean that nobody listens at the socket? */
bool daemon_absent(int r);

/* Say why daemon_try or ctl_follow failed; returns CLI_FAILED. @error: their text */
enum cli_exit daemon_failed(const struct cli *cli, int r, const char *error);

/* Ask for something that is good to know, without waiting long. Return: 0; as ctl_call. */
int daemon_ask(const struct cli *cli, const char *command, json_t **ret_result);

/* Do something that has nothing to show: text prints nothing, JSON the daemon's result. */
enum cli_exit daemon_do(struct cli *cli, const char *command, json_t *args);

/*
 * Show the array that @command returns, as a table; or only those whose member @key is @name,
 * with all they have. A @name that is not there is an error.
 *
 * @name: NULL: all
 */
enum cli_exit daemon_show(struct cli *cli, const char *command, const struct column *columns,
			  size_t n, const char *key, const char *name);
