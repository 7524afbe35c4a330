/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon has left on disk, in the form in which it would tell it itself. */
#pragma once

#include "cli/cli.h"

/*
 * The rows of `domain show`, from the store.
 *
 * @name:        only this one; NULL: all
 * @ret_domains: an array, a new reference; written on CLI_OK only
 */
enum cli_exit offline_domains(struct cli *cli, const char *name, json_t **ret_domains);
