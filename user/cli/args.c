/* SPDX-License-Identifier: BSD-2-Clause */
/* Words with values, see args.h. Called by the objects whose commands take such words. */
#include "base/ipaddr.h"
#include "cli/args.h"

enum cli_exit args_parse(const struct cli *cli, int argc, char **argv,
			 const struct word_value *values, size_t n)
{
	char error[WORDS_ERROR_LEN];

	if (words_parse(argc, argv, values, n, error) < 0)
		return cli_usage(cli, "%s", error);
	return CLI_OK;
}

enum cli_exit args_domain(const struct cli *cli, const char *value, struct dname *ret_name)
{
	if (value && dname_from_text(value, ret_name) < 0)
		return cli_usage(cli, "'%s' is not a domain name", value);
	return CLI_OK;
}

enum cli_exit args_address(const struct cli *cli, const char *word, const char *value,
			   struct fq_addr *ret_addr)
{
	if (value && ipaddr_parse(value, ret_addr) < 0)
		return cli_usage(cli, "'%s' cannot be '%s', expected an address", word, value);
	return CLI_OK;
}
