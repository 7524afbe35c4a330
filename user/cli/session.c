/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat session: the flows that are being translated. Shown from the pinned maps, with or
 * without a daemon; ended by the daemon, which alone may write there.
 */
#include <netinet/in.h>
#include <string.h>

#include "base/ipaddr.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/names.h"
#include "cli/places.h"
#include "cli/text.h"

/* Which sessions: the words as typed, then what they mean. */
struct filter {
	const char *client, *domain, *proxy, *real;
	struct dname domain_name;
	struct ipprefix client_prefix;
	struct fq_addr proxy_addr, real_addr;
	uint32_t domain_id, client_id;
	struct dp_match match;
};

/* Everything that can be said without looking anywhere. */
static enum cli_exit parse_filter(struct cli *cli, int argc, char **argv, struct filter *f)
{
	const struct word_value values[] = {
		{"client", "CLIENT", false, &f->client},
		{"domain", "NAME", false, &f->domain},
		{"proxy", "ADDRESS", false, &f->proxy},
		{"real", "ADDRESS", false, &f->real},
	};
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));

	if (status == CLI_OK)
		status = args_domain(cli, f->domain, &f->domain_name);
	if (status == CLI_OK)
		status = args_address(cli, "proxy", f->proxy, &f->proxy_addr);
	if (status == CLI_OK)
		status = args_address(cli, "real", f->real, &f->real_addr);
	return status;
}

/* A client is an address, a prefix, or a name. */
static bool resolve_client(const struct names *names, struct filter *f)
{
	if (ipprefix_parse(f->client, &f->client_prefix) == 0)
		f->match.client_addr = &f->client_prefix;
	else if (names_find_client(names, f->client, &f->client_id))
		f->match.client = &f->client_id;
	else
		return false;
	return true;
}

static enum cli_exit resolve_filter(struct cli *cli, const struct names *names, struct filter *f)
{
	if (f->client && !resolve_client(names, f))
		return cli_fail(cli,
				"client '%s' is not known, expected an address, a prefix or "
				"the name of a client",
				f->client);
	if (f->domain) {
		if (!names_find_domain(names, f->domain_name.text, &f->domain_id))
			return cli_fail(cli, "no domain '%s'", f->domain);
		f->match.domain = &f->domain_id;
	}
	f->match.proxy = f->proxy ? &f->proxy_addr : NULL;
	f->match.real = f->real ? &f->real_addr : NULL;
	return CLI_OK;
}

static char *endpoint(const json_t *row, const char *address, const char *port)
{
	return text_endpoint(json_string_value(json_object_get(row, address)),
			     (unsigned int)json_integer_value(json_object_get(row, port)));
}

static char *format_client(const json_t *row)
{
	return endpoint(row, "client", "client_port");
}

static char *format_proxy(const json_t *row)
{
	return endpoint(row, "proxy", "port");
}

/* An edge translates nothing: the gateway knows the rest. */
static char *format_nat(const json_t *row)
{
	if (json_is_null(json_object_get(row, "nat")))
		return text_value(NULL);
	return endpoint(row, "nat", "nat_port");
}

static char *format_real(const json_t *row)
{
	const char *gateway = json_string_value(json_object_get(row, "gateway"));
	char *text;

	if (!json_is_null(json_object_get(row, "real")))
		return endpoint(row, "real", "real_port");
	if (!gateway)
		return text_value(NULL);
	return asprintf(&text, "by way of %s", gateway) < 0 ? NULL : text;
}

static char *format_idle(const json_t *row)
{
	return text_duration(json_integer_value(json_object_get(row, "idle_s")));
}

static char *format_expires(const json_t *row)
{
	return text_duration(json_integer_value(json_object_get(row, "expires_s")));
}

/* Two lines for most sessions: what the client sees, and what the resource sees. */
static const struct column columns[] = {
	{"PROTO", "protocol", 0, NULL},
	{"CLIENT", "client", 0, format_client},
	{"PROXY", "proxy", 0, format_proxy},
	{"STATE", "state", 0, NULL},
	{"OUT", "packets_out", COLUMN_RIGHT, NULL},
	{"IN", "packets_in", COLUMN_RIGHT, NULL},
	{"IDLE", "idle_s", COLUMN_RIGHT, format_idle},
	{"EXPIRES", "expires_s", COLUMN_RIGHT, format_expires},
	{"NAT", "nat", COLUMN_BREAK, format_nat},
	{"REAL", "real", 0, format_real},
	{"DOMAIN", "domain", 0, NULL},
};

static const char *protocol_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return NULL;
	}
}

/* What show_row needs. */
struct listing {
	struct cli *cli;
	const struct names *names;
};

static int show_row(void *ctx, const struct dpview_session *s)
{
	const struct listing *l = ctx;
	char client[IPADDR_STRLEN], proxy[IPADDR_STRLEN], nat[IPADDR_STRLEN], real[IPADDR_STRLEN];
	bool here = !s->gateway;
	json_t *row, *more;

	row = json_pack("{s:s?, s:s, s:i, s:s, s:i, s:s?, s:o, s:s?, s:o, s:s?}", "protocol",
			protocol_name(s->proto), "client", ipaddr_format(&s->client, client),
			"client_port", (int)s->client_port, "proxy",
			ipaddr_format(&s->proxy, proxy), "port", (int)s->port, "nat",
			here ? ipaddr_format(&s->nat, nat) : NULL, "nat_port",
			here ? json_integer(s->nat_port) : json_null(), "real",
			here ? ipaddr_format(&s->real, real) : NULL, "real_port",
			here ? json_integer(s->real_port) : json_null(), "gateway",
			here ? CLI_LOCAL : names_gateway(l->names, s->gateway));
	more = json_pack("{s:s?, s:s?, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "domain",
			 names_domain(l->names, s->domain_id), "client_name",
			 names_client(l->names, s->client_id), "state",
			 session_state_name(s->state), "packets_out", (json_int_t)s->packets_out,
			 "bytes_out", (json_int_t)s->bytes_out, "packets_in",
			 (json_int_t)s->packets_in, "bytes_in", (json_int_t)s->bytes_in, "idle_s",
			 (json_int_t)(s->idle_ns / NSEC_PER_SEC), "expires_s",
			 (json_int_t)(s->expires_ns / NSEC_PER_SEC));
	if (row && more && json_object_update(row, more) < 0) {
		json_decref(row);
		row = NULL;
	}
	json_decref(more);
	return print_row(l->cli->printer, row);
}

static enum cli_exit list(struct cli *cli, struct dpview *view, const struct names *names,
			  const struct dp_match *match)
{
	struct listing listing = {.cli = cli, .names = names};
	int r = print_begin(cli->printer, columns, ARRAY_SIZE(columns)), end;

	if (r == 0)
		r = dpview_sessions(view, match, instant_now(), show_row, &listing);
	end = print_end(cli->printer); /* what was shown so far is one value, come what may */
	if (r < 0)
		return cli_fail(cli, "cannot show all sessions: %s", strerror(-r));
	return cli_printed(cli, end);
}

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	_cleanup_(names_freep) struct names *names = NULL;
	struct filter f = {0};
	enum cli_exit status = parse_filter(cli, argc, argv, &f);

	if (status == CLI_OK)
		status = places_view(cli, &view);
	if (status == CLI_OK)
		status = names_open(cli, &names);
	if (status == CLI_OK)
		status = resolve_filter(cli, names, &f);
	return status == CLI_OK ? list(cli, view, names, &f.match) : status;
}

static enum cli_exit flush(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *result = NULL;
	struct filter f = {0};
	enum cli_exit status = parse_filter(cli, argc, argv, &f);
	json_int_t flushed;

	if (status != CLI_OK)
		return status;
	status = daemon_call(cli, "session flush",
			     json_pack("{s:s*, s:s*, s:s*, s:s*}", "client", f.client, "domain",
				       f.domain ? f.domain_name.text : NULL, "proxy", f.proxy,
				       "real", f.real),
			     &result);
	if (status != CLI_OK)
		return status;
	flushed = json_integer_value(json_object_get(result, "flushed"));
	return cli_printed(cli, print_result(cli->printer, result,
					     "%" JSON_INTEGER_FORMAT " session%s flushed", flushed,
					     flushed == 1 ? "" : "s"));
}

#define FILTER "[client CLIENT] [domain NAME] [proxy ADDRESS] [real ADDRESS]"

static const struct command commands[] = {
	{"show", FILTER, "list sessions that match all words", 0, -1, show},
	{"flush", FILTER, "end sessions that match all words; without words: all", 0, -1, flush},
	{0},
};

const struct object object_session = {
	.name = "session",
	.help = "flows that are being translated",
	.commands = commands,
};
