/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to the daemon, see daemon.h. Called by the objects whose truth is in the daemon; it
 * knows none of them.
 */
#include <errno.h>
#include <string.h>

#include "cli/daemon.h"
#include "io/ctl_client.h"

#define ASK_TIMEOUT_MS 1000 /* a daemon that hangs must not hide what the maps say */

int daemon_try(const struct cli *cli, const char *command, json_t *args, json_t **ret_result,
	       char ret_error[CTL_ERROR_LEN])
{
	int r = ctl_call(cli->socket, command, args, CTL_TIMEOUT_MS, ret_result, ret_error);

	json_decref(args);
	return r;
}

bool daemon_absent(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED;
}

enum cli_exit daemon_failed(const struct cli *cli, int r, const char *error)
{
	if (daemon_absent(r))
		return cli_fail(cli, "no daemon answers at %s (%s): is fqdnatd running?",
				cli->socket, strerror(-r));
	return cli_fail(cli, "%s", error);
}

int daemon_ask(const struct cli *cli, const char *command, json_t **ret_result)
{
	char error[CTL_ERROR_LEN];

	return ctl_call(cli->socket, command, NULL, ASK_TIMEOUT_MS, ret_result, error);
}

enum cli_exit daemon_call(struct cli *cli, const char *command, json_t *args, json_t **ret_result)
{
	char error[CTL_ERROR_LEN];
	int r = daemon_try(cli, command, args, ret_result, error);

	return r < 0 ? daemon_failed(cli, r, error) : CLI_OK;
}

enum cli_exit daemon_do(struct cli *cli, const char *command, json_t *args)
{
	_cleanup_(json_decrefp) json_t *result = NULL;
	enum cli_exit status = daemon_call(cli, command, args, &result);

	if (status != CLI_OK || !cli->json)
		return status;
	return cli_printed(cli, print_tree(cli->printer, result));
}

/* Those elements of @list whose member @key is @name. Return: a new reference; NULL: no memory. */
static json_t *select_named(const json_t *list, const char *key, const char *name)
{
	json_t *selected = json_array();

	for (size_t i = 0; selected && i < json_array_size(list); i++) {
		json_t *row = json_array_get(list, i);
		const char *value = json_string_value(json_object_get(row, key));

		if (value && !strcmp(value, name) && json_array_append(selected, row) < 0) {
			json_decref(selected);
			return NULL;
		}
	}
	return selected;
}

enum cli_exit daemon_show(struct cli *cli, const char *command, const struct column *columns,
			  size_t n, const char *key, const char *name)
{
	_cleanup_(json_decrefp) json_t *all = NULL, *selected = NULL;
	enum cli_exit status = daemon_call(cli, command, NULL, &all);

	if (status != CLI_OK)
		return status;
	if (!name)
		return cli_printed(cli, print_rows(cli->printer, columns, n, all));

	selected = select_named(all, key, name);
	if (!selected)
		return cli_fail(cli, "out of memory");
	if (json_array_size(selected) == 0)
		return cli_fail(cli, "'%s' is not in '%s'", name, command);
	return cli_printed(cli, print_records(cli->printer, columns, n, selected));
}
