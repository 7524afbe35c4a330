/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket shows: edge, gateway and configuration in the words of the JSON contract.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"

static json_t *addresses(const struct fq_addr *addr, unsigned int count)
{
	json_t *list = json_array();
	char text[IPADDR_STRLEN];

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(list, json_string(ipaddr_format(&addr[i], text)));
	return list;
}

static json_t *real_addresses(const struct daemon *d, const struct dname *name)
{
	struct gateway_records rec;
	json_t *list = json_array();

	if (!gateway_find_records(d->gateway, name, &rec))
		return list;
	for (enum gateway_family f = 0; f < GATEWAY_FAMILIES; f++) {
		json_t *some = addresses(rec.addr[f], rec.count[f]);

		json_array_extend(list, some);
		json_decref(some);
	}
	return list;
}

/* ---- domain ---- */

struct domain_rows {
	struct daemon *d;
	struct instant now;
	json_t *list;
};

static bool add_domain(const struct edge_domain_view *v, void *ctx)
{
	const struct domain_rows *rows = ctx;

	for (unsigned int i = 0; i < v->entry_count; i++) {
		const struct edge_entry_view *e = &v->entries[i];
		int64_t age_ns = instant_sub(rows->now, e->since);

		json_array_append_new(
			rows->list,
			json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:I, s:i, s:i}", "domain",
				  v->name->text, "resource", name_of_resource(rows->d, e->resource),
				  "gateway", name_of_gateway(rows->d, e->gateway), "state",
				  edge_state_name(e->state), "proxy_addresses",
				  addresses(v->proxies->addr, v->proxies->count), "real_addresses",
				  real_addresses(rows->d, v->name), "held_packets", (int)v->held,
				  "state_age_s", (json_int_t)(age_ns / NSEC_PER_SEC), "resends",
				  (int)e->resends, "id", (int)v->id));
	}
	return true;
}

/* A domain that an edge elsewhere uses: what the gateway knows of it. */
static void add_far_domain(void *ctx, const struct gateway_domain *v)
{
	const struct domain_rows *rows = ctx;
	bool known = v->records.count[GATEWAY_A] || v->records.count[GATEWAY_AAAA];
	enum edge_state state = known ? EDGE_CONFIRMED : EDGE_FAILED;

	if (v->scope == LOCAL_SCOPE)
		return;
	if (!known && v->looking_up)
		state = EDGE_PENDING;
	json_array_append_new(
		rows->list,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:I}", "domain", v->name->text,
			  "resource", name_of_resource(rows->d, v->resource), "gateway",
			  name_of_gateway(rows->d, LOCAL_GATEWAY), "edge",
			  name_of_scope(rows->d, v->scope), "state", edge_state_name(state),
			  "proxy_addresses", addresses(v->proxies, v->proxy_count),
			  "real_addresses", real_addresses(rows->d, v->name), "held_packets", 0,
			  "id", (json_int_t)v->domain));
}

json_t *show_domains(struct daemon *d, const struct dname *only)
{
	struct domain_rows rows = {d, instant_now(), json_array()};
	struct edge_domain_view v;

	gateway_foreach_domain(d->gateway, only, add_far_domain, &rows);
	if (!only)
		edge_foreach_domain(d->edge, add_domain, &rows);
	else if (edge_find_name(d->edge, only, &v))
		add_domain(&v, &rows);
	return rows.list;
}

/* ---- resource, client, grant: in the order of the configuration ---- */

/* The configuration prints itself; the CLI's rows are its rows with what is known beside them. */
static json_t *config_rows(struct daemon *d, const char *key)
{
	json_t *config = config_to_json(d->config);
	json_t *rows = json_incref(json_object_get(config, key));

	json_decref(config);
	return rows ? rows : json_array();
}

json_t *show_resources(struct daemon *d)
{
	json_t *rows = config_rows(d, "resources"), *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (!json_array_size(json_object_get(row, "gateways")))
			json_object_set_new(row, "gateways", json_pack("[s]", "local"));
	return rows;
}

json_t *show_clients(struct daemon *d)
{
	json_t *rows = config_rows(d, "clients"), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));
		struct fq_quota quota = {0};
		uint32_t id;

		if (name && store_id(d->store, STORE_CLIENT, name, &id) == 0)
			(void)dpview_quota(d->view, id, &quota);
		json_object_set_new(row, "scope", json_string(name_of_scope(d, quota.scope)));
		json_object_set_new(row, "sessions", json_integer(quota.sessions));
		json_object_set_new(row, "sessions_max", json_integer(quota.max));
	}
	return rows;
}

static json_t *expiry_json(time_t expires)
{
	char text[sizeof("2027-01-01T00:00:00Z") + 8];
	struct tm tm;

	if (!expires)
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&expires, &tm));
	return json_string(text);
}

static json_t *grant_row(const char *client, const char *resource, time_t expires, bool revoked,
			 const char *source)
{
	const char *state = "valid";

	if (revoked)
		state = "revoked";
	else if (expires && expires <= time(NULL))
		state = "expired";
	return json_pack("{s:s, s:s, s:o, s:s, s:s}", "client", client, "resource", resource,
			 "expires", expiry_json(expires), "state", state, "source", source);
}

static bool same_grant(const json_t *row, const char *client, const char *resource)
{
	return strcmp(json_string_value(json_object_get(row, "client")), client) == 0 &&
	       strcmp(json_string_value(json_object_get(row, "resource")), resource) == 0;
}

struct grant_rows {
	const struct daemon *d;
	json_t *list;
};

/* A grant changed by hand takes the place of the configuration's; it may be nobody's by now. */
static int overlay_grant(void *ctx, const struct store_grant *g)
{
	const struct grant_rows *rows = ctx;
	const struct config_resource *resource = config_resource(rows->d, g->resource);
	json_t *row, *new;
	size_t i;

	if (!resource || !client_configured(rows->d, g->client))
		return 0;
	new = grant_row(g->client, resource->name, g->expires_s, g->revoked, "cli");
	json_array_foreach (rows->list, i, row)
		if (same_grant(row, g->client, resource->name))
			return json_array_set_new(rows->list, i, new);
	return json_array_append_new(rows->list, new);
}

json_t *show_grants(struct daemon *d)
{
	struct grant_rows rows = {d, json_array()};

	for (unsigned int i = 0; i < d->config->grant_count; i++) {
		const struct config_grant *g = &d->config->grants[i];

		json_array_append_new(rows.list, grant_row(d->config->clients[g->client].name,
							   d->config->resources[g->resource].name,
							   g->expires, false, "config"));
	}
	(void)store_foreach_grant(d->store, overlay_grant, &rows);
	return rows.list;
}

/* ---- limits ---- */

static void limit(json_t *rows, const char *name, uint64_t used, uint64_t max)
{
	json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "name", name, "used",
					      (json_int_t)used, "max", (json_int_t)max));
}

json_t *show_limits(struct daemon *d)
{
	struct gateway_usage g = gateway_usage(d->gateway);
	struct edge_usage e;
	struct cache_usage c;
	json_t *rows = json_array();

	edge_usage(d->edge, &e);
	cache_usage(d->cache, &c);
	limit(rows, "domains", e.domains, e.domains_max);
	limit(rows, "held_bytes", e.held_bytes, e.held_bytes_max);
	limit(rows, "fragments_kept", fragments_count(d->fragments), FRAGMENTS_MAX);
	limit(rows, "pool_ipv4", e.v4.leased + e.v4.quarantined, e.v4.size);
	limit(rows, "pool_ipv6", e.v6.leased + e.v6.quarantined, e.v6.size);
	limit(rows, "resolutions", g.resolutions, g.resolutions_max);
	limit(rows, "translations", g.xlats_scope, g.xlat_per_scope);
	limit(rows, "dns_requests", d->dns ? dns_server_counters(d->dns).requests : 0,
	      d->config->limits.dns_requests);
	limit(rows, "dns_upstream", upstream_in_flight(d->upstream),
	      d->config->limits.dns_requests);
	limit(rows, "dns_cache", c.entries, d->config->limits.dns_cache);
	limit(rows, "control_connections", ctl_server_connections(d->ctl), CTL_CONNECTIONS_MAX);
	return rows;
}
