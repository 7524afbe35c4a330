/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gateway has decided, applied: policy and translations to the maps, lookups to the
 * resolver, statuses to the edge, records to the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

void gateway_on_resolved(void *ctx, const struct dname *name, const struct resolver_answer *answer)
{
	static const enum gateway_outcome outcome[] = {
		[RESOLVER_OK] = GATEWAY_OK,
		[RESOLVER_NODATA] = GATEWAY_NODATA,
		[RESOLVER_NXDOMAIN] = GATEWAY_NXDOMAIN,
		[RESOLVER_FAILED] = GATEWAY_FAILED,
		[RESOLVER_TIMEOUT] = GATEWAY_TIMEOUT,
	};
	const struct gateway_answer a = {
		.family = answer->family == AF_INET ? GATEWAY_A : GATEWAY_AAAA,
		.outcome = outcome[answer->outcome],
		.addrs = answer->addrs,
		.count = answer->count,
		.ttl_s = answer->ttl_s,
	};
	struct daemon *d = ctx;
	int r;

	log_limited(LOG_DEBUG, "lookup ended", log_str("domain", name->text),
		    log_str("type", a.family == GATEWAY_A ? "A" : "AAAA"),
		    log_int("outcome", a.outcome), log_uint("addresses", a.count));
	r = gateway_resolved(d->gateway, name, &a, instant_now());
	if (r < 0)
		log_limited(LOG_ERR, "cannot use an answer", log_str("domain", name->text),
			    log_errno(r));
	daemon_pump(d);
}

/* A lookup that cannot begin has failed: the edge must not wait for it. */
static void resolve(struct daemon *d, const struct dname *name)
{
	int r = resolver_query(d->resolver, name);

	if (r >= 0)
		return;
	log_limited(LOG_ERR, "cannot look up a name", log_str("domain", name->text), log_errno(r));
	for (enum gateway_family f = 0; f < GATEWAY_FAMILIES; f++) {
		const struct gateway_answer failed = {.family = f, .outcome = GATEWAY_FAILED};

		(void)gateway_resolved(d->gateway, name, &failed, instant_now());
	}
}

static void store_domain_records(struct daemon *d, uint32_t domain,
				 const struct gateway_records *records)
{
	struct store_records row = {
		.domain = domain,
		.v4_count = records->count[GATEWAY_A],
		.v6_count = records->count[GATEWAY_AAAA],
	};

	if (row.v4_count + row.v6_count == 0) {
		(void)store_delete_records(d->store, domain);
		return;
	}
	_Static_assert(STORE_ADDRESSES_MAX >= GATEWAY_ADDRESSES_MAX, "records fit their row");
	memcpy(row.v4, records->addr[GATEWAY_A], row.v4_count * sizeof(row.v4[0]));
	memcpy(row.v6, records->addr[GATEWAY_AAAA], row.v6_count * sizeof(row.v6[0]));
	(void)store_put_records(d->store, &row);
}

static struct ipprefix prefix_of(const struct fq_prefix *key)
{
	return (struct ipprefix){.addr = key->addr, .len = key->prefixlen};
}

/* Return: 0; the errno of the map. */
static int apply_to_maps(struct daemon *d, const struct gateway_action *a)
{
	struct ipprefix prefix;

	switch (a->kind) {
	case GATEWAY_XLAT_DEL:
		return dataplane_xlat_del(d->dp, a->xlat.key.scope, &a->xlat.key.proxy);
	case GATEWAY_CLIENT_SET:
		prefix = prefix_of(&a->client.key);
		dataplane_quota_set(d->dp, a->client.value.client, a->client.value.scope,
				    d->config->gateway.sessions.per_client);
		return dataplane_client_set(d->dp, &prefix, &a->client.value);
	case GATEWAY_CLIENT_DEL:
		prefix = prefix_of(&a->client.key);
		return dataplane_client_del(d->dp, &prefix);
	case GATEWAY_GRANT_SET:
		return dataplane_grant_set(d->dp, a->grant.key.client, a->grant.key.resource,
					   a->grant.value.expires);
	case GATEWAY_GRANT_DEL:
		return dataplane_grant_del(d->dp, a->grant.key.client, a->grant.key.resource);
	case GATEWAY_FILTER_SET:
		return dataplane_filter_set(d->dp, a->filter.resource, &a->filter.value);
	case GATEWAY_FILTER_DEL:
		return dataplane_filter_del(d->dp, a->filter.resource);
	default:
		return 0;
	}
}

/* Collected, because ending any costs a walk over all sessions. */
static void end_sessions(struct daemon *d, const struct gateway_action *a)
{
	struct dp_pair *pairs = reallocarray(d->ending, d->ending_count + 1, sizeof(*pairs));

	if (!pairs) {
		log_limited(LOG_ERR, "cannot end sessions", log_errno(-ENOMEM));
		return;
	}
	d->ending = pairs;
	pairs[d->ending_count++] = (struct dp_pair){a->end.domain, a->end.resource};
}

void sessions_end(struct daemon *d)
{
	const struct dp_match match = {.pairs = d->ending, .pair_count = d->ending_count};

	if (!d->ending_count)
		return;
	qsort(d->ending, d->ending_count, sizeof(*d->ending), dp_pair_compare);
	dataplane_flush(d->dp, &match, instant_now());
	free(TAKE_PTR(d->ending));
	d->ending_count = 0;
}

static void map_failed(enum gateway_action_kind kind, int r)
{
	log_limited(LOG_ERR, "cannot write to a map", log_int("action", kind), log_errno(r));
}

/* A translation that is not in the map: its domain is not Active, whatever it resolves to. */
static void note_unset(struct daemon *d, uint32_t scope, uint32_t domain)
{
	if (d->unset_count < UNSET_MAX)
		d->unset[d->unset_count++] = (struct unset){.scope = scope, .domain = domain};
}

void xlats_write(struct daemon *d)
{
	unsigned int count = d->xlats.count;
	int r;

	if (!count)
		return;
	d->xlats.count = 0;
	r = dataplane_xlat_set_all(d->dp, d->xlats.keys, d->xlats.values, count);
	if (r >= 0)
		return;
	note_unset(d, d->xlats.keys[0].scope, d->xlats.values[0].domain);
	map_failed(GATEWAY_XLAT_SET, r);
}

static bool is_collected_domain(const struct daemon *d, const struct gateway_action *a)
{
	return d->xlats.keys[0].scope == a->xlat.key.scope &&
	       d->xlats.values[0].domain == a->xlat.value.domain;
}

/* A domain's come one after the other, and are written in one call of the kernel. */
static void collect_xlat(struct daemon *d, const struct gateway_action *a)
{
	unsigned int n = 0;

	if (d->xlats.count && !is_collected_domain(d, a))
		xlats_write(d);
	/* What is set twice is what it was set to last. */
	while (n < d->xlats.count && memcmp(&d->xlats.keys[n], &a->xlat.key, sizeof(a->xlat.key)))
		n++;
	if (n == CONTROL_PROXIES_MAX) {
		xlats_write(d);
		n = 0;
	}
	d->xlats.keys[n] = a->xlat.key;
	d->xlats.values[n] = a->xlat.value;
	if (n == d->xlats.count)
		d->xlats.count++;
}

static bool is_unset(const struct daemon *d, uint32_t scope, const struct dname *name)
{
	uint32_t domain;

	if (!d->unset_count || !id_of_domain(d, name, &domain))
		return false;
	/* So many fail that not all are known: none is believed. */
	if (d->unset_count == UNSET_MAX)
		return true;
	for (unsigned int i = 0; i < d->unset_count; i++)
		if (d->unset[i].scope == scope && d->unset[i].domain == domain)
			return true;
	return false;
}

static void send_status(struct daemon *d, const struct gateway_action *a)
{
	struct control_message msg = a->status.msg;

	if (is_unset(d, a->status.scope, &msg.domain)) {
		msg.status = CONTROL_INACTIVE;
		(void)gateway_forget(d->gateway, a->status.scope, &msg.domain);
	}
	if (a->status.scope == LOCAL_SCOPE)
		mailbox_post(&d->to_edge, &msg);
	else
		scope_send(d, a->status.scope, &msg);
}

void gateway_apply(struct daemon *d, const struct gateway_action *a)
{
	int r;

	if (a->kind == GATEWAY_XLAT_SET) {
		collect_xlat(d, a);
		return;
	}
	/* A status, say, is only true once they are in the map. */
	xlats_write(d);
	switch (a->kind) {
	case GATEWAY_RESOLVE:
		resolve(d, &a->resolve.name);
		break;
	case GATEWAY_STATUS:
		send_status(d, a);
		break;
	case GATEWAY_GOODBYE:
		/* The edge in this process has no other gateway to turn to. */
		if (a->goodbye.scope != LOCAL_SCOPE)
			scope_goodbye(d, a->goodbye.scope);
		break;
	case GATEWAY_SESSIONS_END:
		end_sessions(d, a);
		break;
	case GATEWAY_POLICY_CHANGED:
		dataplane_policy_changed(d->dp);
		break;
	case GATEWAY_RECORDS:
		store_domain_records(d, a->records.domain, a->records.records);
		break;
	case GATEWAY_DOMAIN_GONE:
		(void)store_delete_records(d->store, a->gone.domain);
		if (a->gone.domain >= NAMES_FIRST) {
			names_drop(d->names, a->gone.domain);
			(void)store_delete_remote(d->store, a->gone.domain);
		}
		break;
	case GATEWAY_EVENT:
		dataplane_count(d->dp, a->event.reason, 1);
		break;
	default:
		r = apply_to_maps(d, a);
		if (r < 0)
			map_failed(a->kind, r);
	}
}
