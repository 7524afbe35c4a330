/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things are: what the user says (options, environment), else what the running daemon
 * uses, else the default. The daemon is asked at most once.
 */
#pragma once

#include "cli/cli.h"
#include "dataplane/view.h"

/* Where the BPF objects are pinned. Valid as long as @cli. */
const char *places_bpffs(struct cli *cli);

/* The store's directory. Valid as long as @cli. */
const char *places_state(struct cli *cli);

/* Open the pinned maps, say what failed. */
enum cli_exit places_view(struct cli *cli, struct dpview **ret_view);

/*
 * Say why something about the dataplane failed; returns CLI_FAILED.
 *
 * @what:  what was attempted, used if @error has no words
 * @error: zeroed before the attempt
 */
enum cli_exit places_failed(struct cli *cli, const char *what, int r, const struct dp_error *error);
