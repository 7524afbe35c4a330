/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's commands, and events for those who follow. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"

struct request {
	struct daemon *d;
	const json_t *args;
	json_t *result;
	char *error; /* CTL_ERROR_LEN bytes */
};

__attribute__((format(printf, 3, 4))) static int fail(struct request *q, int r, const char *format,
						      ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(q->error, CTL_ERROR_LEN, format, ap);
	va_end(ap);
	return r;
}

/* A string among the arguments; NULL: absent. */
static const char *word_of(const struct request *q, const char *key)
{
	return json_string_value(json_object_get(q->args, key));
}

/* The name of a domain. Return: 0; -EINVAL with an error. */
static int name_arg(struct request *q, const char *key, struct dname *ret_name)
{
	const char *word = word_of(q, key);

	if (!word)
		return fail(q, -EINVAL, "%s is missing", key);
	if (dname_from_text(word, ret_name) < 0)
		return fail(q, -EINVAL, "'%s' is not a domain name", word);
	return 0;
}

/* ---- domain ---- */

static int domain_show(struct request *q)
{
	struct dname name;
	int r;

	if (!word_of(q, "name")) {
		q->result = show_domains(q->d, NULL);
		return 0;
	}
	r = name_arg(q, "name", &name);
	if (r < 0)
		return r;
	q->result = show_domains(q->d, &name);
	if (json_array_size(q->result) == 0)
		return fail(q, -ENOENT, "no domain '%s'", name.text);
	return 0;
}

static int domain_do(struct request *q,
		     int (*fn)(struct edge *, const struct dname *, struct instant))
{
	struct dname name;
	int r;

	r = name_arg(q, "name", &name);
	if (r < 0)
		return r;
	r = fn(q->d->edge, &name, instant_now());
	if (r == -ENOENT)
		return fail(q, r, "no domain '%s'", name.text);
	daemon_drain(q->d);
	return r;
}

static int domain_refresh(struct request *q)
{
	return domain_do(q, edge_refresh);
}

static int domain_forget(struct request *q)
{
	return domain_do(q, edge_forget);
}

/* ---- resource, client, gateway, config, limits ---- */

static int resource_show(struct request *q)
{
	q->result = show_resources(q->d);
	return 0;
}

static int client_show(struct request *q)
{
	q->result = show_clients(q->d);
	return 0;
}

static int gateway_show(struct request *q)
{
	q->result = show_gateways(q->d);
	return 0;
}

static int config_show(struct request *q)
{
	q->result = config_to_json(q->d->config);
	return q->result ? 0 : -ENOMEM;
}

static int limits_show(struct request *q)
{
	q->result = show_limits(q->d);
	return 0;
}

static int version(struct request *q)
{
	q->result = json_pack("{s:s, s:i}", "version", FQ_VERSION, "abi", FQ_ABI_VERSION);
	return 0;
}

/* ---- grant ---- */

static int grant_show(struct request *q)
{
	q->result = show_grants(q->d);
	return 0;
}

/* Client and resource of the arguments, as the configuration knows them. */
static int grant_args(struct request *q, struct store_grant *ret_row,
		      struct policy_grant *ret_grant)
{
	const char *client = word_of(q, "client"), *resource = word_of(q, "resource"), *uuid;
	const struct policy_resource *known;
	int r;

	if (!client || !resource)
		return fail(q, -EINVAL, "%s is missing", client ? "resource" : "client");
	uuid = uuid_of_resource(q->d, resource);
	if (!uuid)
		return fail(q, -ENOENT, "no resource '%s'; see fqdnat resource show", resource);
	if (!client_configured(q->d, client))
		return fail(q, -ENOENT, "no client '%s'; see fqdnat client show", client);
	r = store_id(q->d->store, STORE_CLIENT, client, &ret_grant->client);
	if (r < 0)
		return r;
	known = policy_find_uuid(gateway_policy(q->d->gateway), uuid);
	if (!known)
		return fail(q, -EAGAIN, "resource '%s' is not in force: see the daemon's log",
			    resource);
	ret_grant->resource = known->id;
	snprintf(ret_row->client, sizeof(ret_row->client), "%s", client);
	snprintf(ret_row->resource, sizeof(ret_row->resource), "%s", uuid);
	return 0;
}

/* A change that is in force, but would be gone after a crash, is no success. */
static int grant_keep(struct request *q, const struct store_grant *row)
{
	int r = store_put_grant(q->d->store, row);

	daemon_drain(q->d);
	if (r >= 0 && q->d->store_failing)
		return fail(q, -EIO, "in force, but not written: %s", store_error(q->d->store));
	return r;
}

static int grant_add(struct request *q)
{
	struct policy_grant grant = {.expires = INSTANT_NEVER};
	const char *word = word_of(q, "expires");
	struct store_grant row = {0};
	time_t expires = 0;
	int r;

	r = grant_args(q, &row, &grant);
	if (r < 0)
		return r;
	if (word && config_time_parse(word, &expires) < 0)
		return fail(q, -EINVAL, "'%s' is not a time such as 2027-01-01T00:00:00Z", word);
	if (expires) {
		row.expires_s = expires;
		grant.expires = instant_of_wall(q->d, expires);
	}
	r = gateway_grant_add(q->d->gateway, &grant);
	if (r < 0)
		return r;
	return grant_keep(q, &row);
}

static int grant_del(struct request *q)
{
	struct store_grant row = {.revoked = true};
	struct policy_grant grant;
	int r;

	r = grant_args(q, &row, &grant);
	if (r < 0)
		return r;
	r = gateway_grant_del(q->d->gateway, grant.client, grant.resource);
	if (r == -ENOENT)
		return fail(q, r, "client '%s' has no such grant", row.client);
	if (r < 0)
		return r;
	return grant_keep(q, &row);
}

/* ---- session ---- */

static int address_arg(struct request *q, const char *key, struct fq_addr *addr,
		       const struct fq_addr **ret_addr)
{
	const char *word = word_of(q, key);

	if (!word)
		return 0;
	if (ipaddr_parse(word, addr) < 0)
		return fail(q, -EINVAL, "'%s' is not an address", word);
	*ret_addr = addr;
	return 0;
}

static int session_flush(struct request *q)
{
	const char *client = word_of(q, "client");
	struct fq_addr proxy, real;
	struct ipprefix prefix;
	struct dp_match match = {0};
	struct dname name;
	uint64_t flushed = 0;
	uint32_t id, domain;
	int r;

	if (client && ipprefix_parse(client, &prefix) == 0) {
		match.client_addr = &prefix;
	} else if (client) {
		if (!client_configured(q->d, client) ||
		    store_id(q->d->store, STORE_CLIENT, client, &id) < 0)
			return fail(q, -EINVAL, "'%s' is neither an address, a prefix nor a client",
				    client);
		match.client = &id;
	}
	if (word_of(q, "domain")) {
		r = name_arg(q, "domain", &name);
		if (r < 0)
			return r;
		if (!id_of_domain(q->d, &name, &domain))
			return fail(q, -ENOENT, "no domain '%s'", name.text);
		match.domain = &domain;
	}
	r = address_arg(q, "proxy", &proxy, &match.proxy);
	if (r >= 0)
		r = address_arg(q, "real", &real, &match.real);
	if (r >= 0)
		flushed = dataplane_flush(q->d->dp, &match, instant_now());
	q->result = json_pack("{s:I}", "flushed", (json_int_t)flushed);
	return r;
}

/* ---- prog ---- */

static int prog_attach(struct request *q)
{
	const char *dev = word_of(q, "dev"), *word = word_of(q, "mode");
	enum dp_mode mode = DP_MODE_AUTO;
	struct dp_attached at;
	struct dp_error err;
	int r;

	if (!dev)
		return fail(q, -EINVAL, "dev is missing");
	if (word && dp_mode_parse(word, &mode) < 0)
		return fail(q, -EINVAL, "'%s' is not a mode: expected auto, native, generic or tc",
			    word);
	r = links_attach(q->d, dev, mode, &err, &at);
	if (r < 0)
		return fail(q, r, "%s", err.text);
	q->result = json_pack("{s:s, s:s, s:s}", "dev", dev, "mode", dp_mode_name(at.mode), "note",
			      at.note);
	return 0;
}

static int prog_detach(struct request *q)
{
	const char *dev = word_of(q, "dev");
	struct dp_error err;
	int r;

	if (!dev)
		return fail(q, -EINVAL, "dev is missing");
	r = dataplane_detach(q->d->dp, dev, &err);
	if (r < 0)
		return fail(q, r, "%s", err.text);
	log_event(LOG_INFO, "detached", log_str("dev", dev));
	return 0;
}

/* ---- dispatch ---- */

int ctl_handle(void *ctx, const char *command, const json_t *args, json_t **ret_result,
	       char ret_error[CTL_ERROR_LEN])
{
	static const struct {
		const char *command;
		int (*fn)(struct request *);
	} table[] = {
		{"client show", client_show},
		{"config show", config_show},
		{"domain forget", domain_forget},
		{"domain refresh", domain_refresh},
		{"domain show", domain_show},
		{"gateway show", gateway_show},
		{"grant add", grant_add},
		{"grant del", grant_del},
		{"grant show", grant_show},
		{"prog attach", prog_attach},
		{"prog detach", prog_detach},
		{"resource show", resource_show},
		{"session flush", session_flush},
		{"stats limits", limits_show},
		{"version", version},
	};
	struct request q = {.d = ctx, .args = args, .error = ret_error};
	int r;

	/* Asked while starting: the parts are not there yet. */
	if (!q.d->started)
		return fail(&q, -EAGAIN, "the daemon is starting");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].command, command) != 0)
			continue;
		r = table[i].fn(&q);
		if (r < 0)
			json_decref(q.result);
		else if (q.result)
			*ret_result = q.result;
		return r;
	}
	return fail(&q, -EOPNOTSUPP, "'%s' is not a command of this daemon", command);
}

bool monitor_wanted(const struct daemon *d)
{
	return d->ctl && ctl_server_subscribers(d->ctl) > 0;
}

void monitor_publish(struct daemon *d, json_t *event)
{
	struct timespec now;
	char text[40];
	struct tm tm;
	size_t n;

	if (!event)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
	json_object_set_new(event, "time", json_string(text));
	(void)ctl_server_publish(d->ctl, event);
	json_decref(event);
}
