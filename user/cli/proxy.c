/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fqdnat proxy: the proxy addresses that were handed out and what is behind them. Read from the
 * pinned maps: what is shown is what packets meet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ipaddr.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/places.h"

static const struct column columns[] = {
	{"ADDRESS", "address", 0, NULL}, {"REAL", "real_address", 0, NULL},
	{"STATE", "state", 0, NULL},     {"CLIENT", "client", 0, NULL},
	{"DOMAIN", "domain", 0, NULL},
};

struct listing {
	struct cli *cli;
	struct dpview *view;
	const struct names *names;
	const char *domain; /* only this one; NULL: all */
	const char *address;
	struct dname domain_name;
	struct fq_addr proxy;

	struct dpview_proxy *rows; /* those that are wanted */
	size_t n, cap;
};

/* The state as the path of packets knows it; a domain being recreated is confirmed to it. */
static const char *state_name(const struct dpview_proxy *p)
{
	static const char *const names[] = {
		[FQ_EDGE_FORWARD] = "confirmed",
		[FQ_EDGE_HOLD] = "pending",
		[FQ_EDGE_REFUSE] = "failed",
	};

	if (!p->has_edge || p->edge.verdict >= ARRAY_SIZE(names))
		return NULL;
	return names[p->edge.verdict];
}

static bool is_wanted(const struct listing *l, const struct dpview_proxy *p)
{
	const char *domain = names_domain(l->names, p->domain_id);

	if (l->domain && (!domain || strcmp(domain, l->domain_name.text)))
		return false;
	return !l->address || ipaddr_equal(&p->proxy, &l->proxy);
}

static int collect(void *ctx, const struct dpview_proxy *p)
{
	struct listing *l = ctx;

	if (!is_wanted(l, p))
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct dpview_proxy *rows = reallocarray(l->rows, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		l->rows = rows;
		l->cap = cap;
	}
	l->rows[l->n++] = *p;
	return 0;
}

/* Hash tables have no order; two listings of the same addresses should look the same. */
static int by_address(const void *a, const void *b)
{
	const struct dpview_proxy *p = a, *q = b;
	int order = ipaddr_cmp(&p->proxy, &q->proxy);

	return order ? order : (p->scope > q->scope) - (p->scope < q->scope);
}

/* A proxy address that is being shown, a row for each client that may use it. */
struct row {
	const struct listing *listing;
	const struct dpview_proxy *proxy;
	unsigned int clients;
};

static int print_client(struct row *row, const char *client)
{
	const struct dpview_proxy *p = row->proxy;
	bool has_real = p->has_xlat && p->xlat.has_real;
	char address[IPADDR_STRLEN], real[IPADDR_STRLEN];

	row->clients++;
	return print_row(row->listing->cli->printer,
			 json_pack("{s:s, s:s?, s:s?, s:s?, s:s?}", "address",
				   ipaddr_format(&p->proxy, address), "domain",
				   names_domain(row->listing->names, p->domain_id), "client",
				   client, "state", state_name(p), "real_address",
				   has_real ? ipaddr_format(&p->xlat.real, real) : NULL));
}

static int show_client(void *ctx, uint32_t id, const char *name)
{
	struct row *row = ctx;
	const struct fq_xlat *x = &row->proxy->xlat;
	struct fq_quota quota;

	/* Another edge's clients mean another domain by the same address. */
	if (dpview_quota(row->listing->view, id, &quota) < 0 || quota.scope != row->proxy->scope)
		return 0;
	for (unsigned int i = 0; i < x->resources && i < FQ_XLAT_RESOURCES; i++)
		if (dpview_granted(row->listing->view, id, x->resource[i]))
			return print_client(row, name);
	return 0;
}

/* An address that no client may use is shown all the same. */
static int show_row(const struct listing *l, const struct dpview_proxy *p)
{
	struct row row = {.listing = l, .proxy = p};
	int r = p->has_xlat ? names_foreach_client(l->names, show_client, &row) : 0;

	return r == 0 && row.clients == 0 ? print_client(&row, NULL) : r;
}

static int show_rows(struct listing *l)
{
	int r = print_begin(l->cli->printer, columns, ARRAY_SIZE(columns));

	if (l->n > 0)
		qsort(l->rows, l->n, sizeof(*l->rows), by_address);
	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = show_row(l, &l->rows[i]);
	return r == 0 ? print_end(l->cli->printer) : r;
}

static enum cli_exit parse(struct cli *cli, int argc, char **argv, struct listing *l)
{
	const struct word_value values[] = {
		{"domain", "NAME", false, &l->domain},
		{"address", "ADDRESS", false, &l->address},
	};
	enum cli_exit status = args_parse(cli, argc, argv, values, ARRAY_SIZE(values));

	if (status == CLI_OK)
		status = args_domain(cli, l->domain, &l->domain_name);
	if (status == CLI_OK)
		status = args_address(cli, "address", l->address, &l->proxy);
	return status;
}

static void listing_done(struct listing *l)
{
	free(l->rows);
}

static enum cli_exit show(struct cli *cli, int argc, char **argv)
{
	_cleanup_(dpview_freep) struct dpview *view = NULL;
	_cleanup_(names_freep) struct names *names = NULL;
	_cleanup_(listing_done) struct listing listing = {.cli = cli};
	enum cli_exit status = parse(cli, argc, argv, &listing);
	int r;

	if (status == CLI_OK)
		status = places_view(cli, &view);
	if (status == CLI_OK)
		status = names_open(cli, &names);
	if (status != CLI_OK)
		return status;

	listing.view = view;
	listing.names = names;
	r = dpview_proxies(view, collect, &listing);
	if (r < 0)
		return cli_fail(cli, "cannot read the proxy addresses: %s", strerror(-r));
	return cli_printed(cli, show_rows(&listing));
}

static const struct command commands[] = {
	{"show", "[domain NAME] [address ADDRESS]", "list proxy addresses", 0, -1, show},
	{0},
};

const struct object object_proxy = {
	.name = "proxy",
	.help = "proxy addresses that were handed out, and what is behind them",
	.commands = commands,
};
