/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a command with their values, checked; what is wrong is said (CLI_USAGE). */
#pragma once

#include <fqdnat/abi.h>

#include "cli/cli.h"
#include "cli/words.h"
#include "core/dname.h"

/* words_parse, saying its error. */
enum cli_exit args_parse(const struct cli *cli, int argc, char **argv,
			 const struct word_value *values, size_t n);

/* A domain name in canonical form. @value: NULL: nothing to do */
enum cli_exit args_domain(const struct cli *cli, const char *value, struct dname *ret_name);

/* An address. @word: what it was given for; @value: NULL: nothing to do */
enum cli_exit args_address(const struct cli *cli, const char *word, const char *value,
			   struct fq_addr *ret_addr);
