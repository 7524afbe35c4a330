/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things are, see places.h. Called before maps or the store are opened. */
#include <stdio.h>
#include <string.h>

#include "cli/daemon.h"
#include "cli/places.h"
#include "store/store.h"

static void take(const json_t *config, const char *key, char place[CLI_PATH_LEN])
{
	const char *value = json_string_value(json_object_get(config, key));

	if (value && strlen(value) < CLI_PATH_LEN)
		snprintf(place, CLI_PATH_LEN, "%s", value);
}

static void ask(struct cli *cli)
{
	_cleanup_(json_decrefp) json_t *config = NULL;

	if (cli->daemon.asked)
		return;
	cli->daemon.asked = true;
	if (daemon_ask(cli, "config show", &config) < 0)
		return;
	take(config, "bpffs", cli->daemon.bpffs);
	take(config, "state", cli->daemon.state);
}

const char *places_bpffs(struct cli *cli)
{
	if (cli->bpffs)
		return cli->bpffs;
	ask(cli);
	return cli->daemon.bpffs[0] ? cli->daemon.bpffs : FQ_BPFFS_DEFAULT;
}

const char *places_state(struct cli *cli)
{
	if (cli->state)
		return cli->state;
	ask(cli);
	return cli->daemon.state[0] ? cli->daemon.state : STORE_DIR_DEFAULT;
}

enum cli_exit places_view(struct cli *cli, struct dpview **ret_view)
{
	struct dp_error error = {0};
	int r = dpview_open(places_bpffs(cli), &error, ret_view);

	return r < 0 ? places_failed(cli, "cannot read the maps", r, &error) : CLI_OK;
}

enum cli_exit places_failed(struct cli *cli, const char *what, int r, const struct dp_error *error)
{
	if (error->text[0])
		return cli_fail(cli, "%s", error->text);
	return cli_fail(cli, "%s in %s: %s", what, places_bpffs(cli), strerror(-r));
}
