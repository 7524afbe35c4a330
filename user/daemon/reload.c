/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGHUP: the configuration is read again and applied without a packet being lost. One that is
 * wrong, or asks for what only a restart can change, changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"

const char *config_unsupported(const struct config *c)
{
	if (!c->has_edge || !c->has_gateway)
		return "edge and gateway run in one process only: a section edge is needed, "
		       "without edge.gateways";
	if (c->edge.gateway_count)
		return "edge.gateways: edge and gateway run in one process only";
	if (c->gateway.has_listen)
		return "gateway.listen: edge and gateway run in one process only";
	return NULL;
}

/* The key that cannot change while the daemon runs, but does; NULL: none. */
static const char *needs_restart(const struct config *old, const struct config *new)
{
	if (memcmp(&old->edge.pool4, &new->edge.pool4, sizeof(old->edge.pool4)) ||
	    memcmp(&old->edge.pool6, &new->edge.pool6, sizeof(old->edge.pool6)))
		return "edge.pools";
	if (strcmp(old->bpffs, new->bpffs))
		return "bpffs";
	if (strcmp(old->state, new->state))
		return "state";
	if (strcmp(old->control_socket, new->control_socket))
		return "control_socket";
	if (memcmp(&old->limits, &new->limits, sizeof(old->limits)))
		return "limits";
	return NULL;
}

/* Detach from interfaces that are listed no longer; the new ones are attached already. */
static void detach_unlisted(struct daemon *d, const struct config *old)
{
	for (unsigned int i = 0; i < old->interface_count; i++) {
		const char *dev = old->interfaces[i].name;
		struct dp_error err;
		bool listed = false;
		int r;

		for (unsigned int j = 0; j < d->config->interface_count; j++)
			listed |= strcmp(dev, d->config->interfaces[j].name) == 0;
		if (listed)
			continue;
		r = dataplane_detach(d->dp, dev, &err);
		if (r < 0 && r != -ENODEV && r != -ENOENT)
			log_event(LOG_ERR, "cannot detach", log_str("dev", dev),
				  log_str("reason", err.text));
		else
			log_event(LOG_INFO, "detached", log_str("dev", dev));
	}
}

static int reload_dns(struct daemon *d)
{
	dns_stop(d);
	return dns_start(d);
}

/* Lookups under way end with the old resolver, which is kept until then. */
static int reload_resolver(struct daemon *d)
{
	struct resolver *resolver = NULL;
	int r;

	if (d->retired && resolver_in_flight(d->retired)) {
		log_event(LOG_ERR,
			  "cannot change the resolver while the one before is busy; reload again");
		return -EBUSY;
	}
	r = resolver_start(d, &resolver);
	if (r < 0) {
		log_event(LOG_ERR, "cannot change the resolver; the old one stays", log_errno(r));
		return r;
	}
	resolver_free(d->retired);
	d->retired = d->resolver;
	d->resolver = resolver;
	return 0;
}

static bool same_servers(const struct config_servers *a, const struct config_servers *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool same_dns(const struct config *a, const struct config *b)
{
	return memcmp(a->edge.dns.listen, b->edge.dns.listen, sizeof(a->edge.dns.listen)) == 0 &&
	       a->edge.dns.listen_count == b->edge.dns.listen_count &&
	       same_servers(&a->edge.dns.upstream, &b->edge.dns.upstream) &&
	       same_servers(&a->gateway.resolver.servers, &b->gateway.resolver.servers);
}

static bool same_resolver(const struct config *a, const struct config *b)
{
	return same_servers(&a->gateway.resolver.servers, &b->gateway.resolver.servers) &&
	       a->gateway.resolver.timeout_s == b->gateway.resolver.timeout_s;
}

/*
 * New programs in place of the old ones, if their settings have changed (verifying takes a
 * while): first, because it can fail and must then change nothing.
 */
static int reload_programs(struct daemon *d, const struct config *new)
{
	struct dp_settings s;
	struct dp_error err;
	int r;

	settings_dataplane(d, new, &s);
	if (memcmp(&s.program, &d->program, sizeof(s.program)) == 0 &&
	    memcmp(&s.expiry, &d->expiry, sizeof(s.expiry)) == 0)
		return 0;
	r = dataplane_reload(d->dp, &s, &err);
	if (r < 0) {
		log_event(LOG_ERR, "configuration refused: cannot load the programs anew",
			  log_str("reason", err.text));
		return r;
	}
	d->program = s.program;
	d->expiry = s.expiry;
	return 0;
}

static void apply(struct daemon *d, struct config *new)
{
	struct config *old = d->config;

	d->config = new;
	(void)dataplane_sessions_max_set(d->dp, new->gateway.sessions.max);
	if (!d->options.has_log_format)
		log_open(new->log.format, d->options.verbose ? LOG_DEBUG : new->log.level);
	(void)policy_apply(d);
	if (!same_resolver(old, new))
		(void)reload_resolver(d);
	if (!same_dns(old, new))
		(void)reload_dns(d);
	(void)links_attach_all(d);
	detach_unlisted(d, old);
	daemon_pump(d);
	config_free(old);
}

void daemon_reload(struct daemon *d)
{
	_cleanup_(config_freep) struct config *new = NULL;
	char error[CONFIG_ERROR_LEN];
	const char *key;

	if (config_load(d->options.config, &new, error) < 0) {
		log_event(LOG_ERR, "configuration refused; the old one stays",
			  log_str("reason", error));
		return;
	}
	if (config_unsupported(new)) {
		log_event(LOG_ERR, "configuration refused; the old one stays",
			  log_str("reason", config_unsupported(new)));
		return;
	}
	key = needs_restart(d->config, new);
	if (key) {
		log_event(LOG_ERR,
			  "configuration refused; the old one stays: a restart is needed to "
			  "change this key",
			  log_str("key", key));
		return;
	}
	if (reload_programs(d, new) < 0)
		return;
	apply(d, TAKE_PTR(new));
	log_event(LOG_INFO, "configuration reloaded", log_str("config", d->options.config));
}
